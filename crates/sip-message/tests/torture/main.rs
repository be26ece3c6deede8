//! The messages of RFC 4475 and RFC 5118, each with the verdict that its RFC gives.

use bytes::Bytes;
use sip_message::{
    Frame, HeaderName, Host, Limits, Message, Method, ParseError, ParseErrorKind, Request,
    Response, Scheme, StatusCode, StreamFramer, Uri,
    headers::{
        Accept, CSeq, Contact, ContentType, Date, Expires, From, MaxForwards, ProxyRequire,
        Require, Route, Subject, To, Via, Warning,
    },
    reject,
};

macro_rules! message {
    ($file:literal) => {
        Bytes::from_static(include_bytes!($file))
    };
}

/// What became of a datagram.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Read, with all that it must have.
    Accepted,
    /// Answered with this code.
    Answered(u16),
    /// Not answered.
    Dropped,
}

/// What an element does with a datagram before it looks at more than RFC 3261 §8.1.1 asks for.
fn verdict(wire: &Bytes) -> Verdict {
    match Message::parse(wire.clone()) {
        Err(error) => match reject(wire, &error) {
            Some(response) => {
                assert_eq!(
                    response.headers().raw(&HeaderName::CALL_ID).map(|_| ()),
                    Some(())
                );
                Verdict::Answered(response.status().as_u16())
            }
            None => Verdict::Dropped,
        },
        Ok(message) => {
            assert!(
                wire.starts_with(&message.to_bytes()) || wire.ends_with(&message.to_bytes()),
                "written as it came"
            );
            match (message.check(), &message) {
                (Ok(()), _) => Verdict::Accepted,
                (Err(error), Message::Request(request)) => {
                    let response = error.to_response(request);
                    assert!(
                        response.reason().contains(error.field()),
                        "{} names {}",
                        response.reason(),
                        error.field()
                    );
                    Verdict::Answered(response.status().as_u16())
                }
                (Err(_), Message::Response(_)) => Verdict::Dropped,
            }
        }
    }
}

fn accepted(wire: &Bytes) -> Request {
    assert_eq!(verdict(wire), Verdict::Accepted);
    let request = Request::parse(wire.clone()).expect("was accepted");
    // Written after an edit that changes nothing, it is the same message again.
    let mut edited = request.clone();
    edited.set_uri(request.uri().clone());
    assert_eq!(
        Request::parse(edited.to_bytes())
            .expect("is still one")
            .to_bytes(),
        request.to_bytes()
    );
    request
}

fn answered_400(wire: &Bytes) -> ParseError {
    assert_eq!(verdict(wire), Verdict::Answered(400));
    match Message::parse(wire.clone()) {
        Err(error) => error,
        Ok(message) => message.check().expect_err("was not accepted"),
    }
}

/// Feeds a stream byte by byte and takes everything out.
fn frames(wire: &[u8]) -> Vec<Result<Frame, ParseErrorKind>> {
    let mut framer = StreamFramer::new(Limits::default());
    let mut frames = Vec::new();
    for byte in wire {
        framer.push(&[*byte]);
        loop {
            match framer.next() {
                Ok(Some(frame)) => frames.push(Ok(frame)),
                Ok(None) => break,
                Err(error) => {
                    frames.push(Err(error.error().kind()));
                    return frames;
                }
            }
        }
    }
    frames
}

mod rfc4475_invalid;
mod rfc4475_other_layers;
mod rfc4475_valid;
mod rfc5118;

/// Nothing in the sets makes a reader of any header field panic, and every message that has a To and a From of its own can be read
/// again after its own response was written.
#[test]
fn every_field_of_every_message_can_be_asked_for() {
    let all = [
        message!("rfc4475/wsinv.dat"),
        message!("rfc4475/intmeth.dat"),
        message!("rfc4475/badinv01.dat"),
        message!("rfc4475/scalarlg.dat"),
        message!("rfc4475/baddate.dat"),
        message!("rfc5118/ipv4-mapped-ipv6.sip"),
    ];
    for wire in all {
        let message = Message::parse(wire).expect("its structure is sound");
        for (name, value) in message.headers().iter() {
            assert_eq!(
                message
                    .headers()
                    .raw_all(&name)
                    .filter(|other| *other == value)
                    .count(),
                1,
                "{name}"
            );
        }
        let _: Vec<_> = message
            .headers()
            .all::<To>()
            .chain(std::iter::empty())
            .collect();
        let _: Vec<_> = message.headers().all::<From>().collect();
    }
}
