//! Requests that travel one hop with an INVITE: its CANCEL (RFC 3261 §9.1) and the ACK to its refusal (§17.1.1.3).

use bytes::Bytes;

use crate::key::Key;
use sip_message::{HeaderName, HeaderValue, Method, ParseError, Request, RequestBuilder, Response};

/// Whether an INVITE that we sent is to be cancelled.
///
/// ```text
///   Unasked --- asked before a 1xx ---> Wished
///      |                                  | first 1xx: send CANCEL
///      | asked after a 1xx: send CANCEL   V
///      '-------------------------------> Sent
/// ```
///
/// A final response overtakes the wish: then nothing is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cancel {
    /// Nobody asked for it
    Unasked,
    /// This CANCEL goes out with the first provisional response, in the transaction with this key
    Wished(Box<(Key, Bytes)>),
    /// It was sent
    Sent,
}

impl Cancel {
    /// Takes the CANCEL that has waited for a provisional response.
    pub(crate) fn take_wish(&mut self) -> Option<Box<(Key, Bytes)>> {
        match std::mem::replace(self, Self::Sent) {
            Self::Wished(wish) => Some(wish),
            other => {
                *self = other;
                None
            }
        }
    }
}

/// The CANCEL for an INVITE (RFC 3261 §9.1).
pub(crate) fn cancel(
    invite: &Request,
    reason: Option<HeaderValue>,
    carried: &[String],
) -> Result<Request, ParseError> {
    let mut cancel = companion(invite, Method::CANCEL, carried)?;
    let headers = cancel.headers_mut();
    headers.copy_from(invite.headers(), &HeaderName::TO);
    if let Some(reason) = reason {
        headers.push_raw(HeaderName::REASON, reason);
    }
    cancel.build()
}

/// The ACK to a final response other than 2xx (RFC 3261 §17.1.1.3): with the To of the response, which has a tag.
pub(crate) fn acknowledge(
    invite: &Request,
    response: &Response,
    carried: &[String],
) -> Result<Request, ParseError> {
    let mut ack = companion(invite, Method::ACK, carried)?;
    ack.headers_mut()
        .copy_from(response.headers(), &HeaderName::TO);
    ack.build()
}

/// What both have: Request-URI, top Via and therefore branch, Route, From, Call-ID and the number of the CSeq, and what
/// is to be carried along.
fn companion(
    invite: &Request,
    method: Method,
    carried: &[String],
) -> Result<RequestBuilder, ParseError> {
    let mut request = Request::builder(method, invite.uri().clone())
        .via(invite.via()?)
        .cseq(invite.cseq()?.number());
    let headers = request.headers_mut();
    for name in [HeaderName::ROUTE, HeaderName::FROM, HeaderName::CALL_ID] {
        headers.copy_from(invite.headers(), &name);
    }
    if !carried.is_empty() {
        let lines = invite.headers().iter();
        for (name, value) in lines.filter(|(name, _)| is_carried(name, carried)) {
            headers.push_raw(name, value);
        }
    }
    Ok(request)
}

fn is_carried(name: &HeaderName, carried: &[String]) -> bool {
    let text = name.as_str().as_bytes();
    let begins = |beginning: &String| {
        let start = text.get(..beginning.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(beginning.as_bytes()))
    };
    !OWN.contains(name) && !is_about_a_body(text) && carried.iter().any(begins)
}

fn is_about_a_body(name: &[u8]) -> bool {
    name.get(..CONTENT.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(CONTENT))
}

const CONTENT: &[u8] = b"Content-";

/// What such a request has of its own, or never.
const OWN: [HeaderName; 10] = [
    HeaderName::VIA,
    HeaderName::ROUTE,
    HeaderName::FROM,
    HeaderName::TO,
    HeaderName::CALL_ID,
    HeaderName::CSEQ,
    HeaderName::MAX_FORWARDS,
    HeaderName::REQUIRE,
    HeaderName::PROXY_REQUIRE,
    HeaderName::REASON,
];
