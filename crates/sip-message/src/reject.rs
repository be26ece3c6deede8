//! Answering what cannot be parsed.

use crate::{
    HeaderField, HeaderName, HeaderValue, ParseError, Response, StatusCode,
    headers::{CSeq, CallId, From, To, Via},
    name, scan,
};

/// The response to a request that could not be parsed, made of the Via, From, To, Call-ID and CSeq lines that can be found in
/// it: the first From, To, Call-ID and CSeq, and all Vias.
///
/// `None` if it is a response or an ACK, which nothing answers, or if one of the five cannot be found: then there is nobody
/// to answer.
///
/// ```
/// let wire = b"OPTIONS sip:a@b SIP/7.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:x@y>;tag=1\r\n\
///              To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n";
/// let error = sip_message::Request::parse(bytes::Bytes::from_static(wire)).unwrap_err();
/// let response = sip_message::reject(wire, &error).unwrap();
/// assert_eq!(response.status().as_u16(), 505);
/// ```
pub fn reject(wire: &[u8], error: &ParseError) -> Option<Response> {
    answer(wire, error.status(), &error.reason())
}

fn answer(wire: &[u8], status: StatusCode, reason: &str) -> Option<Response> {
    let wire = &wire[crate::parse::leading_line_ends(wire)..];
    let wire = &wire[..wire.len().min(65_535)];
    let mut lines = Lines { rest: wire };
    let start = lines.next()?;
    let method = start.split(|b| b" \t".contains(b)).next()?;
    if !scan::is_token(method)
        || method.eq_ignore_ascii_case(b"ACK")
        || start.get(..4)?.eq_ignore_ascii_case(b"SIP/")
    {
        return None;
    }
    let mut builder = Response::builder(status).reason(reason);
    let headers = builder.headers_mut();
    for line in lines.take_while(|line| !line.is_empty()).take(256) {
        let end = scan::run(line, 0, scan::TOKEN);
        let colon = scan::skip_lws(line, end);
        let name = HeaderName::from_id(match name::id_of(&line[..end]) {
            name::UNKNOWN => continue,
            id => id,
        });
        let wanted = [
            HeaderName::VIA,
            HeaderName::FROM,
            HeaderName::TO,
            HeaderName::CALL_ID,
            HeaderName::CSEQ,
        ];
        if scan::byte(line, colon) != b':' || !wanted.contains(&name) {
            continue;
        }
        let Ok(value) = HeaderValue::new(scan::unfold(&line[colon + 1..])) else {
            continue;
        };
        if name == HeaderName::VIA || !headers.contains_name(&name) {
            headers.push_raw(name, value);
        }
    }
    // The top Via says where to; the others are carried as they are, however broken.
    readable::<Via>(headers)?;
    let there = |name: &HeaderName| headers.raw(name).filter(|value| !value.is_empty());
    there(&From::NAME)?;
    there(&To::NAME)?;
    there(&CallId::NAME)?;
    there(&CSeq::NAME)?;
    Some(builder.build())
}

fn readable<H: HeaderField>(headers: &crate::Headers) -> Option<H> {
    headers.get::<H>()?.ok()
}

/// Lines without their ends, folds included.
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let mut at = 0;
        loop {
            let end = memchr::memchr(b'\n', &self.rest[at..])
                .map_or(self.rest.len(), |length| at + length);
            let next = (end + 1).min(self.rest.len());
            if end > 1 && matches!(scan::byte(self.rest, next), b' ' | b'\t') {
                at = next;
                continue;
            }
            let line = &self.rest[..end];
            self.rest = &self.rest[next..];
            return Some(line.strip_suffix(b"\r").unwrap_or(line));
        }
    }
}
