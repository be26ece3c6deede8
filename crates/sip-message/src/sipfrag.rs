//! Pieces of SIP messages as bodies (RFC 3420).

use bytes::Bytes;

use crate::{Headers, Limits, Method, ParseError, StatusCode, Uri, parse};

/// A body of type `message/sipfrag`: a start line, header fields and a body, of which any may be missing.
///
/// ```
/// use bytes::Bytes;
/// use sip_message::{SipFrag, StatusCode};
///
/// // What a NOTIFY in a REFER's subscription carries (RFC 3515 §2.4.5).
/// let progress = SipFrag::parse(&Bytes::from_static(b"SIP/2.0 180 Ringing"))?;
/// assert_eq!(progress.status(), Some(StatusCode::RINGING));
/// assert_eq!(SipFrag::status_line(StatusCode::OK), "SIP/2.0 200 OK\r\n");
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SipFrag {
    start: Option<Start>,
    headers: Headers,
    body: Bytes,
}

#[derive(Clone, Debug)]
enum Start {
    Request(Method, Uri),
    Response(StatusCode),
}

impl SipFrag {
    /// Reads a fragment.
    ///
    /// # Errors
    /// If the start line or a header line is malformed.
    pub fn parse(body: &Bytes) -> Result<Self, ParseError> {
        // What ends a head may be left out: give it back, so that one grammar serves.
        let mut whole = body.to_vec();
        if !whole.ends_with(b"\n") {
            whole.extend_from_slice(b"\r\n");
        }
        whole.extend_from_slice(b"\r\n");
        let whole = Bytes::from(whole);
        let first = whole
            .split(|&b| b == b'\n')
            .next()
            .unwrap_or_default()
            .trim_ascii_end();
        let is_start = first
            .get(..4)
            .is_some_and(|sip| sip.eq_ignore_ascii_case(b"SIP/"))
            || first.len() > 8 && first[first.len() - 8..].eq_ignore_ascii_case(b" SIP/2.0");
        let (start, lines_at) = if is_start {
            let (start, lines_at) = parse::start_line(&whole)?;
            let start = match start {
                parse::Start::Request { method, uri } => Start::Request(method, uri),
                parse::Start::Response { status, .. } => Start::Response(status),
            };
            (Some(start), lines_at)
        } else {
            (None, 0)
        };
        let mut headers = Headers::from_wire(whole);
        let (body_at, _) = headers.read(lines_at, &Limits::default())?;
        let body = body.slice(body_at.min(body.len())..);
        Ok(Self {
            start,
            headers,
            body,
        })
    }

    /// The fragment that is one status line, with the customary reason phrase.
    pub fn status_line(status: StatusCode) -> Bytes {
        Bytes::from(format!(
            "SIP/2.0 {} {}\r\n",
            status.as_u16(),
            status.reason().unwrap_or("")
        ))
    }

    /// The status code, if the fragment starts with a status line.
    pub const fn status(&self) -> Option<StatusCode> {
        match self.start {
            Some(Start::Response(status)) => Some(status),
            _ => None,
        }
    }

    /// Method and Request-URI, if the fragment starts with a request line.
    pub const fn request_line(&self) -> Option<(&Method, &Uri)> {
        match &self.start {
            Some(Start::Request(method, uri)) => Some((method, uri)),
            _ => None,
        }
    }

    /// The header fields.
    pub const fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The body; empty if there is none.
    pub const fn body(&self) -> &Bytes {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::{From, To};

    /// The examples of RFC 3420 §2.2.
    #[test]
    fn any_part_of_a_message_may_be_missing() {
        let read = |text: &'static str| {
            SipFrag::parse(&Bytes::from_static(text.as_bytes())).expect("is a fragment")
        };
        let line = read("INVITE sip:alice@atlanta.com SIP/2.0\r\n");
        assert_eq!(
            line.request_line().map(|(method, _)| method.clone()),
            Some(Method::INVITE)
        );
        let status = read("SIP/2.0 603 Declined\r\n");
        assert_eq!(status.status(), Some(StatusCode::DECLINE));
        let fields = read(
            "From: Alice <sip:alice@atlanta.com>\r\nContact: <sip:alice@pc33.atlanta.com>\r\n",
        );
        assert!(fields.headers().contains::<From>() && fields.status().is_none());
        let body = read("To: Bob <sip:bob@biloxi.com>\r\n\r\nv=0\r\n");
        assert!(body.headers().contains::<To>());
        assert_eq!(body.body(), "v=0\r\n");
        let nothing = read("");
        assert!(nothing.headers().is_empty() && nothing.body().is_empty());
    }
}
