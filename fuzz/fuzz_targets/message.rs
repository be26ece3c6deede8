//! A message that is read is written as it came, and peeker, parser and rejection agree.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sip_message::{
    Limits, Message,
    headers::{CSeq, CallId, ContentType, Via},
    multipart, peek, reject,
};

fuzz_target!(|data: &[u8]| {
    let wire = Bytes::copy_from_slice(data);
    let peeked = peek(&wire);
    match Message::parse(wire.clone()) {
        Ok(message) => {
            let written = message.to_bytes();
            let start = wire.iter().position(|b| !b"\r\n".contains(b)).unwrap_or(0);
            assert!(wire[start..].starts_with(&written));
            let _ = message.leniencies().count();
            let compact = Message::parse(message.to_bytes_compact()).expect("is a message");
            assert_eq!(compact.headers().len(), message.headers().len());
            if message.check().is_ok() {
                let peeked = peeked.expect("peek finds what the parser finds");
                let headers = message.headers();
                assert_eq!(headers.require::<CallId>().expect("was checked").as_str(), peeked.call_id);
                assert_eq!(headers.require::<Via>().expect("was checked").branch(), peeked.branch);
                assert_eq!(headers.require::<CSeq>().expect("was checked").number, peeked.cseq);
                if let Message::Request(request) = &message {
                    let response = request.response(sip_message::StatusCode::OK).build();
                    let again = Message::parse(response.to_bytes()).expect("a response can be read");
                    again.check().expect("a response has all that it must have");
                }
            }
            if let Some(Ok(content_type)) = message.headers().get::<ContentType>() {
                let limits = Limits::default();
                for part in multipart::parse(&content_type, message.body(), &limits).into_iter().flatten() {
                    let _ = part.parts(&limits);
                }
            }
        }
        Err(error) => {
            if let Some(response) = reject(&wire, &error) {
                Message::parse(response.to_bytes()).expect("a rejection can be read");
            }
        }
    }
});
