//! Finding the start line, the header lines and the body.

use bytes::Bytes;

use crate::{
    HeaderName, Headers, Limits, Message, Method, ParseError, ParseErrorKind, Request, Response,
    StatusCode, Uri,
    headers::{Line, Lines, Places},
    name, scan, uri,
};

/// What the start line says.
pub(crate) enum Start {
    Request {
        method: Method,
        uri: Uri,
    },
    Response {
        status: StatusCode,
        reason: (usize, usize),
    },
}

/// Reads one whole message.
pub(crate) fn message(wire: Bytes, limits: &Limits) -> Result<Message, ParseError> {
    if wire.len() > limits.message_size {
        return Err(ParseError::part(
            ParseErrorKind::TooLarge {
                limit: limits.message_size,
            },
            "message",
            limits.message_size,
        ));
    }
    // RFC 3261 §7.5: line ends before the start line are ignored.
    let skipped = leading_line_ends(&wire);
    if skipped > 0 {
        return read(wire.slice(skipped..), limits).map_err(|error| error.shifted(skipped));
    }
    read(wire, limits)
}

pub(crate) fn leading_line_ends(wire: &[u8]) -> usize {
    wire.iter()
        .position(|b| !matches!(b, b'\r' | b'\n'))
        .unwrap_or(wire.len())
}

fn read(wire: Bytes, limits: &Limits) -> Result<Message, ParseError> {
    let (start, lines_at) = start_line(&wire)?;
    // The table of lines is large, so it is filled where it stays: in what is answered.
    let mut message = Ok(match start {
        Start::Request { method, uri } => Message::Request(Request::from_parts(
            method,
            uri,
            Headers::from_wire(wire),
            Bytes::new(),
        )),
        Start::Response { status, reason } => {
            let (start, end) = reason;
            let customary = status.reason().map(str::as_bytes) == Some(&wire[start..end]);
            let reason = (!customary).then(|| wire.slice(start..end));
            Message::Response(Response::from_parts(
                status,
                reason,
                Headers::from_wire(wire),
                Bytes::new(),
            ))
        }
    });
    if let Ok(filled) = &mut message
        && let Err(error) = fill(filled, lines_at, limits)
    {
        message = Err(error);
    }
    message
}

/// Reads header lines and body of a message of which the start line is read.
fn fill(message: &mut Message, lines_at: usize, limits: &Limits) -> Result<(), ParseError> {
    let headers = message.headers_mut();
    let (body_at, content_length) = headers.read(lines_at, limits)?;
    let available = headers.wire().len() - body_at;
    let length = match content_length {
        None => available,
        Some((length, _)) if length <= available => length,
        Some((_, at)) => {
            return Err(ParseError::header(
                ParseErrorKind::Truncated,
                HeaderName::CONTENT_LENGTH,
                at,
            ));
        }
    };
    let body = headers.end_body(body_at, length);
    if !body.is_empty() {
        message.set_wire_body(body);
    }
    Ok(())
}

#[cold]
fn start_error(kind: ParseErrorKind, at: usize) -> ParseError {
    ParseError::part(kind, "start line", at)
}

/// ```text
/// Request-Line  =  Method SP Request-URI SP SIP-Version CRLF
/// Status-Line   =  SIP-Version SP Status-Code SP Reason-Phrase CRLF
/// ```
pub(crate) fn start_line(wire: &Bytes) -> Result<(Start, usize), ParseError> {
    if let Some(start) = common_request_line(wire) {
        return Ok(start);
    }
    let Some(newline) = memchr::memchr(b'\n', wire) else {
        return Err(start_error(ParseErrorKind::Incomplete, wire.len()));
    };
    let end = if newline > 0 && wire[newline - 1] == b'\r' {
        newline - 1
    } else {
        newline
    };
    let line = &wire[..end];
    let start = if line
        .get(..4)
        .is_some_and(|sip| sip.eq_ignore_ascii_case(b"SIP/"))
    {
        status_line(line)?
    } else {
        request_line(wire, line)?
    };
    Ok((start, newline + 1))
}

/// A request line as nearly all are, read in one go; answers nothing for all others.
#[inline]
fn common_request_line(wire: &Bytes) -> Option<(Start, usize)> {
    let method_end = scan::run(wire, 0, scan::TOKEN);
    if scan::byte(wire, method_end) != b' ' {
        return None;
    }
    let parts = uri::parse_common(wire, method_end + 1)?;
    let end = parts.end();
    if !wire[end..].starts_with(b" SIP/2.0\r\n") {
        return None;
    }
    let method = Method::from_bytes(&wire[..method_end])?;
    Some((
        Start::Request {
            method,
            uri: Uri::with_parts(wire.clone(), parts),
        },
        end + 10,
    ))
}

fn request_line(wire: &Bytes, line: &[u8]) -> Result<Start, ParseError> {
    let method_end = scan::run(line, 0, scan::TOKEN);
    if method_end == 0 || scan::byte(line, method_end) != b' ' {
        return Err(start_error(ParseErrorKind::Malformed, method_end));
    }
    let uri_at = method_end + 1;
    let Some(uri_end) = memchr::memchr(b' ', &line[uri_at..]).map(|length| uri_at + length) else {
        return Err(start_error(ParseErrorKind::Malformed, line.len()));
    };
    let version = &line[uri_end + 1..];
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        let is_version = version
            .get(..4)
            .is_some_and(|sip| sip.eq_ignore_ascii_case(b"SIP/"))
            && version[4..]
                .split(|&b| b == b'.')
                .all(|part| scan::decimal(part).is_some())
            && version.contains(&b'.');
        let kind = if is_version {
            ParseErrorKind::Version
        } else {
            ParseErrorKind::Malformed
        };
        return Err(start_error(kind, uri_end + 1));
    }
    let parts =
        uri::parse(wire, uri_at, uri_end).map_err(|error| error.in_part("Request-URI", 0))?;
    let uri = Uri::with_parts(wire.clone(), parts);
    if uri.has_headers() {
        // RFC 3261 §19.1.1: headers have no place in a Request-URI.
        return Err(ParseError::part(
            ParseErrorKind::Malformed,
            "Request-URI",
            uri_at,
        ));
    }
    let method = Method::from_bytes(&line[..method_end])
        .ok_or_else(|| start_error(ParseErrorKind::Malformed, 0))?;
    Ok(Start::Request { method, uri })
}

fn status_line(line: &[u8]) -> Result<Start, ParseError> {
    if !line
        .get(..8)
        .is_some_and(|version| version.eq_ignore_ascii_case(b"SIP/2.0 "))
    {
        return Err(start_error(ParseErrorKind::Version, 0));
    }
    let digits = line[8..].iter().take_while(|b| b.is_ascii_digit()).count();
    let code = match digits {
        3 => line[8..11]
            .iter()
            .fold(0, |code, digit| code * 10 + u16::from(digit - b'0')),
        0 => return Err(start_error(ParseErrorKind::Malformed, 8)),
        _ => return Err(start_error(ParseErrorKind::OutOfRange, 8)),
    };
    let status =
        StatusCode::try_from(code).map_err(|_| start_error(ParseErrorKind::OutOfRange, 8))?;
    // `SIP/2.0 200` without the space before an empty reason phrase is seen in the wild.
    let reason = match line.get(11) {
        None => 11,
        Some(b' ') => 12,
        Some(_) => return Err(start_error(ParseErrorKind::Malformed, 11)),
    };
    if let Some(at) = line[reason..]
        .iter()
        .position(|&b| (b < b' ' && b != b'\t') || b == 0x7f)
    {
        return Err(start_error(ParseErrorKind::Control, reason + at));
    }
    Ok(Start::Response {
        status,
        reason: (reason, line.len()),
    })
}

#[cold]
fn line_error(kind: ParseErrorKind, at: usize) -> ParseError {
    ParseError::part(kind, "header line", at)
}

/// Fields of which a second one makes a message ambiguous.
const SINGLE: u16 = 1 << HeaderName::CALL_ID.id()
    | 1 << HeaderName::CSEQ.id()
    | 1 << HeaderName::FROM.id()
    | 1 << HeaderName::TO.id()
    | 1 << HeaderName::CONTENT_LENGTH.id()
    | 1 << HeaderName::MAX_FORWARDS.id();

/// Whether a message that was parsed has at most one line of the field.
#[inline]
const fn is_single(id: u8) -> bool {
    id < 16 && SINGLE & (1 << id) != 0
}

/// Where the body starts, and Content-Length with its place.
pub(crate) type BodyAt = (usize, Option<(usize, usize)>);

/// Reads header lines up to the empty line.
#[inline]
pub(crate) fn header_lines(
    wire: &[u8],
    start: usize,
    limits: &Limits,
    lines: &mut Lines,
    places: &mut Places,
) -> Result<BodyAt, ParseError> {
    let head_limit = limits.head_size.min(usize::from(u16::MAX));
    let mut content_length = None;
    let mut at = start;
    let mut count = 0;
    loop {
        // The line end is looked for from where the line starts, not from behind the colon: so nothing waits for the name.
        let control = scan::control(wire, at);
        let (name_end, colon, id) = match name::read(wire, at) {
            Some((length, id)) => (at + length, at + length, id),
            None => match wire.get(at..) {
                Some([b'\r', b'\n', ..]) => return Ok((at + 2, content_length)),
                Some([b'\n', ..]) => return Ok((at + 1, content_length)),
                _ => odd_name(wire, at)?,
            },
        };
        let (value, end, next) = value(wire, colon + 1, control)?;
        if next > head_limit {
            return Err(too_large(head_limit));
        }
        if count >= limits.header_lines {
            return Err(too_many(limits.header_lines, at));
        }
        let is_first = places.pushed(id, count);
        count += 1;
        if !is_first && is_single(id) {
            return Err(duplicate(id, at));
        }
        if id == HeaderName::CONTENT_LENGTH.id() {
            let length = length(&wire[value..end])
                .map_err(|kind| ParseError::header(kind, HeaderName::CONTENT_LENGTH, value))?;
            content_length = Some((length, value));
        }
        // All places are below the limit of the head, which fits 16 bits.
        lines.push(Line::wire(
            at as u16,
            name_end - at,
            value as u16,
            end as u16,
            id,
        ));
        at = next;
    }
}

#[cold]
fn duplicate(id: u8, at: usize) -> ParseError {
    ParseError::header(ParseErrorKind::Duplicate, HeaderName::from_id(id), at)
}

#[cold]
fn too_large(limit: usize) -> ParseError {
    ParseError::part(ParseErrorKind::TooLarge { limit }, "header section", limit)
}

#[cold]
fn too_many(limit: usize, at: usize) -> ParseError {
    ParseError::part(ParseErrorKind::TooMany { limit }, "header section", at)
}

/// A name that is long, unknown, in unusual case, or has white space behind it: its end, the colon, its id.
#[inline(never)]
fn odd_name(wire: &[u8], at: usize) -> Result<(usize, usize, u8), ParseError> {
    let name_end = scan::run(wire, at, scan::TOKEN);
    if name_end == wire.len() {
        return Err(ParseError::part(
            ParseErrorKind::Incomplete,
            "header section",
            wire.len(),
        ));
    }
    let colon = blank(wire, name_end);
    if name_end == at || scan::byte(wire, colon) != b':' {
        return Err(line_error(ParseErrorKind::Malformed, colon));
    }
    Ok((name_end, colon, name::id_of(&wire[at..name_end])))
}

/// Content-Length as a number that can be compared with what there is.
pub(crate) fn length(text: &[u8]) -> Result<usize, ParseErrorKind> {
    match scan::decimal(text) {
        Some(Ok(number)) => usize::try_from(number).map_err(|_| ParseErrorKind::OutOfRange),
        Some(Err(())) => Err(ParseErrorKind::OutOfRange),
        None if text.is_empty() => Err(ParseErrorKind::Empty),
        None => Err(ParseErrorKind::Malformed),
    }
}

fn blank(wire: &[u8], at: usize) -> usize {
    let mut at = at;
    while matches!(scan::byte(wire, at), b' ' | b'\t') && at < wire.len() {
        at += 1;
    }
    at
}

/// Start and end of a value without white space around it, and the start of the next line; `control` is the first control
/// character of the line.
#[inline(always)]
fn value(wire: &[u8], at: usize, control: usize) -> Result<(usize, usize, usize), ParseError> {
    // What nearly every line looks like: one space, a value without control characters, CRLF, a name.
    let start = at + usize::from(scan::byte(wire, at) == b' ');
    if control > start
        && let Some([last, b'\r', b'\n', next, ..]) = wire.get(control - 1..)
        && !matches!(next, b' ' | b'\t')
        && *last != b' '
        && wire[start] != b' '
    {
        return Ok((start, control, control + 2));
    }
    odd_value(wire, at)
}

/// A value that is folded, empty, surrounded by white space, or has control characters.
#[inline(never)]
fn odd_value(wire: &[u8], at: usize) -> Result<(usize, usize, usize), ParseError> {
    let incomplete = || ParseError::part(ParseErrorKind::Incomplete, "header section", wire.len());
    let mut next = at;
    loop {
        next = scan::control(wire, next);
        let after = match wire.get(next).ok_or_else(incomplete)? {
            b'\t' => {
                next += 1;
                continue;
            }
            b'\n' => next + 1,
            b'\r' if scan::byte(wire, next + 1) == b'\n' => next + 2,
            b'\r' if next + 1 == wire.len() => return Err(incomplete()),
            // A control character may be quoted (RFC 3261 §25.1 quoted-pair), but a line end may not.
            b'\r' => return Err(line_error(ParseErrorKind::Control, next)),
            _ if next > at && wire[next - 1] == b'\\' => {
                next += 1;
                continue;
            }
            _ => return Err(line_error(ParseErrorKind::Control, next)),
        };
        if !matches!(scan::byte(wire, after), b' ' | b'\t') {
            let start = scan::skip_lws(&wire[..next], at);
            return Ok((start, scan::trim_end(wire, start, next), after));
        }
        next = after;
    }
}
