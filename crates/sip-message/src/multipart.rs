//! Bodies of several parts (RFC 2046 §5.1, RFC 5621).

use bytes::Bytes;

use crate::{
    HeaderField, HeaderName, HeaderValue, Headers, Limits, ParseError, ParseErrorKind,
    headers::{ContentDisposition, ContentType, Pieces},
    scan,
};

/// One part of a body.
///
/// ```
/// use bytes::Bytes;
/// use sip_message::{Limits, headers::ContentType, multipart::{self, Part}};
///
/// let parts = [Part::new(ContentType::APPLICATION_SDP, "v=0\r\n"), Part::new(ContentType::TEXT_PLAIN, "hello")];
/// let (content_type, body) = multipart::write("mixed", "b1", &parts);
/// let again = multipart::parse(&content_type, &body, &Limits::default())?;
/// assert_eq!(again[1].body(), "hello");
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Part {
    headers: Headers,
    body: Bytes,
    depth: usize,
}

impl Part {
    /// A part of this type.
    pub fn new(content_type: ContentType, body: impl Into<Bytes>) -> Self {
        let mut headers = Headers::new();
        headers.set(content_type);
        Self {
            headers,
            body: body.into(),
            depth: 1,
        }
    }

    /// The part with a header field.
    #[must_use]
    pub fn header<H: HeaderField>(mut self, field: H) -> Self {
        self.headers.set(field);
        self
    }

    /// The header section, to be edited.
    pub const fn headers_mut(&mut self) -> &mut Headers {
        &mut self.headers
    }

    /// The header section.
    pub const fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The content.
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// What the content is; `text/plain` if the part does not say (RFC 2046 §5.2).
    ///
    /// # Errors
    /// If the field is malformed.
    pub fn content_type(&self) -> Result<ContentType, ParseError> {
        self.headers.get().unwrap_or(Ok(ContentType::TEXT_PLAIN))
    }

    /// Whether the whole message must be refused if this part is not understood (RFC 5621 §8.1.1): unless it says `handling=optional`.
    pub fn is_required(&self) -> bool {
        !matches!(self.headers.get::<ContentDisposition>(), Some(Ok(disposition)) if disposition.is_optional())
    }

    /// The parts of this part, if it is one of several again.
    ///
    /// # Errors
    /// If its type is not multipart, its content is malformed, or it is nested deeper than the limit.
    pub fn parts(&self, limits: &Limits) -> Result<Vec<Self>, ParseError> {
        split(&self.content_type()?, &self.body, limits, self.depth + 1)
    }
}

/// The parts of a body, in order; their content is slices of the body.
///
/// # Errors
/// If the type is not multipart or has no boundary, if the boundary is not found, if a part's header section is malformed, or
/// if there are more parts than the limit.
pub fn parse(
    content_type: &ContentType,
    body: &Bytes,
    limits: &Limits,
) -> Result<Vec<Part>, ParseError> {
    split(content_type, body, limits, 1)
}

fn split(
    content_type: &ContentType,
    body: &Bytes,
    limits: &Limits,
    depth: usize,
) -> Result<Vec<Part>, ParseError> {
    let malformed = |kind, at| ParseError::part(kind, "body", at);
    if depth > limits.nesting {
        return Err(malformed(
            ParseErrorKind::TooDeep {
                limit: limits.nesting,
            },
            0,
        ));
    }
    let boundary = content_type
        .param("boundary")
        .flatten()
        .filter(|_| content_type.is_multipart());
    let Some(boundary) = boundary.filter(|boundary| (1..=70).contains(&boundary.len())) else {
        return Err(ParseError::header(
            ParseErrorKind::Malformed,
            HeaderName::CONTENT_TYPE,
            0,
        ));
    };
    let marker = format!("--{boundary}");
    let mut parts = Vec::new();
    // Where the content of the current part starts; nothing counts before the first boundary.
    let mut start = None;
    for at in memchr::memmem::find_iter(body, marker.as_bytes()) {
        if at > 0 && body[at - 1] != b'\n' {
            continue;
        }
        let after = at + marker.len();
        let (is_last, next) = match body.get(after..) {
            Some([b'-', b'-', ..]) => (true, body.len()),
            Some(rest) => {
                let blank = rest.iter().take_while(|b| b" \t".contains(b)).count();
                match rest.get(blank..) {
                    Some([b'\r', b'\n', ..]) => (false, after + blank + 2),
                    Some([b'\n', ..]) => (false, after + blank + 1),
                    // A longer boundary that starts alike is another one.
                    _ => continue,
                }
            }
            None => continue,
        };
        if let Some(start) = start {
            // RFC 2046 §5.1.1: the line end before a boundary belongs to the boundary.
            let end = if at >= 2 && body[at - 2] == b'\r' {
                at - 2
            } else {
                at.saturating_sub(1)
            };
            if parts.len() == limits.parts {
                return Err(malformed(
                    ParseErrorKind::TooMany {
                        limit: limits.parts,
                    },
                    at,
                ));
            }
            parts.push(part(
                body.slice(start..end.max(start)),
                limits,
                depth,
                start,
            )?);
        }
        start = Some(next);
        if is_last {
            return Ok(parts);
        }
    }
    Err(malformed(ParseErrorKind::Incomplete, body.len()))
}

fn part(content: Bytes, limits: &Limits, depth: usize, offset: usize) -> Result<Part, ParseError> {
    let mut headers = Headers::from_wire(content.clone());
    match headers.read(0, limits) {
        Ok((body, _)) => Ok(Part {
            headers,
            body: content.slice(body..),
            depth,
        }),
        // A header section may be all there is, when the body behind it is empty.
        Err(error) if error.kind() == ParseErrorKind::Incomplete => {
            let mut whole = content.to_vec();
            whole.extend_from_slice(b"\r\n\r\n");
            let mut headers = Headers::from_wire(whole.into());
            headers
                .read(0, limits)
                .map_err(|error| error.shifted(offset))?;
            Ok(Part {
                headers,
                body: Bytes::new(),
                depth,
            })
        }
        Err(error) => Err(error.shifted(offset)),
    }
}

/// A body of several parts and its type: `multipart/` and `subtype`.
///
/// The boundary is `boundary`, lengthened until no part contains it; characters that it cannot have are left out.
pub fn write(subtype: &str, boundary: &str, parts: &[Part]) -> (ContentType, Bytes) {
    let mut boundary: String = boundary
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_.+".contains(*c))
        .take(60)
        .collect();
    if boundary.is_empty() {
        boundary.push('b');
    }
    let heads: Vec<_> = parts
        .iter()
        .map(|part| {
            let mut head = Pieces::new();
            part.headers.each_piece(b"", &mut |piece| head.push(piece));
            head.concat()
        })
        .collect();
    let occurs = |boundary: &str| {
        let finder = memchr::memmem::Finder::new(boundary);
        parts.iter().any(|part| finder.find(&part.body).is_some())
            || heads.iter().any(|head| finder.find(head).is_some())
    };
    let stem = boundary.clone();
    let mut number = 0_u32;
    while occurs(&boundary) {
        number += 1;
        boundary = format!("{stem}{number}");
    }
    let mut body = Vec::new();
    for (part, head) in parts.iter().zip(&heads) {
        body.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        body.extend_from_slice(head);
        body.extend_from_slice(&part.body);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let subtype = if scan::is_token(subtype.as_bytes()) {
        subtype
    } else {
        "mixed"
    };
    let content_type = HeaderValue::written(format!("multipart/{subtype};boundary={boundary}"));
    let content_type =
        ContentType::parse(&content_type).expect("a type put together from its parts can be read");
    (content_type, body.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(boundary: &str) -> ContentType {
        ContentType::new(&format!("multipart/mixed;boundary=\"{boundary}\"")).expect("is one")
    }

    /// MSG-052.
    #[test]
    fn preamble_and_epilogue_and_longer_boundaries_are_no_parts() {
        let body = Bytes::from_static(b"pre\r\n--b\r\n\r\none --b\r\n--bb\r\n--b  \r\nContent-Type: a/b\r\n\r\n\r\n--b--\r\npost\r\n--b\r\n");
        let parts = parse(&typed("b"), &body, &Limits::default()).expect("is one");
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0].body(), "one --b\r\n--bb");
        assert!(
            parts[0]
                .content_type()
                .expect("is the default")
                .is("text/plain")
        );
        assert!(parts[1].body().is_empty());
    }

    #[test]
    fn a_boundary_that_a_part_contains_is_lengthened() {
        let parts = [Part::new(ContentType::TEXT_PLAIN, "\r\n--b\r\n\r\n--b1--")];
        let (content_type, body) = write("mixed", "b", &parts);
        let again = parse(&content_type, &body, &Limits::default()).expect("is one");
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].body(), parts[0].body());
    }

    #[test]
    fn nesting_and_number_of_parts_are_limited() {
        let mut part = Part::new(ContentType::TEXT_PLAIN, "x");
        for _ in 0..5 {
            let (content_type, body) = write("mixed", "b", &[part]);
            part = Part::new(content_type, body);
        }
        let limits = Limits::default().nesting(3);
        let mut depth = 0;
        let mut level = parse(&part.content_type().expect("is one"), part.body(), &limits);
        let error = loop {
            match level {
                Ok(parts) => level = parts[0].parts(&limits),
                Err(error) => break error,
            }
            depth += 1;
        };
        assert_eq!(
            (depth, error.kind()),
            (3, ParseErrorKind::TooDeep { limit: 3 })
        );
        let many: Vec<_> = (0..5)
            .map(|_| Part::new(ContentType::TEXT_PLAIN, "x"))
            .collect();
        let (content_type, body) = write("mixed", "b", &many);
        let error = parse(&content_type, &body, &limits.parts(4)).expect_err("is too many");
        assert_eq!(error.kind(), ParseErrorKind::TooMany { limit: 4 });
    }

    #[test]
    fn a_part_that_is_optional_says_so() {
        let part = Part::new(ContentType::TEXT_PLAIN, "x");
        assert!(part.is_required());
        let disposition: ContentDisposition = "render;handling=optional".parse().expect("is one");
        assert!(!part.header(disposition).is_required());
    }

    #[test]
    fn a_missing_end_is_an_error() {
        let error = parse(
            &typed("b"),
            &Bytes::from_static(b"--b\r\n\r\nx\r\n"),
            &Limits::default(),
        )
        .expect_err("no end");
        assert_eq!(error.kind(), ParseErrorKind::Incomplete);
    }
}
