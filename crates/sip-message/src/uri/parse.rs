//! Reading URIs: RFC 3261 §25.1, RFC 3966 §3, RFC 3986 §2.

use super::{Parts, Scheme};
use crate::{ParseError, ParseErrorKind, host, scan};

/// Reads `text[start..end]`, all of which must be a URI.
pub(crate) fn parse(text: &[u8], start: usize, end: usize) -> Result<Parts, ParseError> {
    let text = &text[..end];
    match scheme(text, start) {
        Some((scheme, colon)) => match common(text, start, colon, scheme) {
            Some(parts) if parts.end as usize == end => Ok(parts),
            _ => sip(text, start, colon, scheme),
        },
        None => other(text, start),
    }
}

/// Reads the URI that starts at `start` and ends where it ends, if it is a `sip` or `sips` URI of the common form.
#[inline]
pub(crate) fn parse_common(text: &[u8], start: usize) -> Option<Parts> {
    let (scheme, colon) = scheme(text, start)?;
    common(text, start, colon, scheme)
}

/// Reads the URI that starts at `start` and ends before the first `stop`, a byte that no URI has.
#[inline]
pub(crate) fn parse_until(text: &[u8], start: usize, stop: u8) -> Result<Parts, ParseError> {
    if let Some((scheme, colon)) = scheme(text, start)
        && let Some(parts) = common(text, start, colon, scheme)
        && scan::byte(text, parts.end as usize) == stop
    {
        return Ok(parts);
    }
    let end = memchr::memchr(stop, &text[start.min(text.len())..])
        .map(|length| start + length)
        // What opens the URI stands before it.
        .ok_or_else(|| ParseError::new(ParseErrorKind::Unbalanced, start.saturating_sub(1)))?;
    parse(text, start, end)
}

/// `sip:` or `sips:` and the place of its colon.
#[inline(always)]
fn scheme(text: &[u8], start: usize) -> Option<(Scheme, usize)> {
    let rest = text.get(start..)?;
    // Letters of both cases differ in one bit; the colon is taken as it is.
    let word = u32::from_le_bytes(*rest.first_chunk()?);
    if word | 0x0020_2020 == u32::from_le_bytes(*b"sip:") {
        return Some((Scheme::Sip, start + 3));
    }
    if word | 0x2020_2020 == u32::from_le_bytes(*b"sips") && rest.get(4) == Some(&b':') {
        return Some((Scheme::Sips, start + 4));
    }
    None
}

/// What nearly every URI looks like: no password, no escapes, no headers, a name or an IPv4 address. Answers nothing for all
/// others, and for those that are wrong.
///
/// The first run of bytes is a user if an `@` ends it, and otherwise starts with the host.
#[inline(always)]
fn common(text: &[u8], start: usize, colon: usize, scheme: Scheme) -> Option<Parts> {
    if text.len() > u32::MAX as usize {
        return None;
    }
    let first = colon + 1;
    let (mut user_end, mut host) = (colon, first);
    let user = scan::run(text, first, scan::USER);
    if user > first && scan::byte(text, user) == b'@' {
        (user_end, host) = (user, user + 1);
    }
    let (host_end, is_name) = host::name(text, host);
    if !is_name {
        return None;
    }
    let mut next = host_end;
    let mut port = None;
    if scan::byte(text, next) == b':' {
        let (value, end) = host::common_port(text, next + 1)?;
        port = Some(value);
        next = end;
    }
    let params = next;
    while scan::byte(text, next) == b';' {
        let name = next + 1;
        next = scan::run(text, name, scan::URI_PARAM);
        if next == name {
            return None;
        }
        if scan::byte(text, next) == b'=' {
            let value = next + 1;
            next = scan::run(text, value, scan::URI_PARAM);
            if next == value {
                return None;
            }
        }
    }
    // An `@` shows that a user part has been taken for something else.
    if matches!(scan::byte(text, next), b'@' | b'%' | b'?' | b'=' | b':') {
        return None;
    }
    Some(Parts {
        start: start as u32,
        colon: colon as u32,
        user_end: user_end as u32,
        at: user_end as u32,
        host: host as u32,
        host_end: host_end as u32,
        params: params as u32,
        headers: next as u32,
        end: next as u32,
        port,
        scheme,
    })
}

fn offset(at: usize) -> Result<u32, ParseError> {
    u32::try_from(at).map_err(|_| {
        ParseError::new(
            ParseErrorKind::TooLarge {
                limit: u32::MAX as usize,
            },
            at,
        )
    })
}

/// ```text
/// SIP-URI = "sip:" [ userinfo ] hostport uri-parameters [ headers ]
/// ```
#[inline(never)]
fn sip(text: &[u8], start: usize, colon: usize, scheme: Scheme) -> Result<Parts, ParseError> {
    let first = colon + 1;
    let (mut user_end, mut at, mut host) = (colon, colon, first);
    if let Some(found) = memchr::memchr(b'@', &text[first..]) {
        at = first + found;
        host = at + 1;
        user_end = escaped_run(text, first, scan::USER)?;
        if user_end == first {
            let kind = if at == first {
                ParseErrorKind::Empty
            } else {
                ParseErrorKind::Malformed
            };
            return Err(ParseError::new(kind, first));
        }
        let mut end = user_end;
        if scan::byte(text, end) == b':' {
            end = escaped_run(text, end + 1, scan::USER)?;
        }
        if end != at {
            return Err(ParseError::new(ParseErrorKind::Malformed, end));
        }
    }
    let host_end = host::host_end(text, host)?;
    let mut next = host_end;
    let mut port = None;
    if scan::byte(text, next) == b':' {
        let (value, end) = host::port(text, next + 1)?;
        port = Some(value);
        next = end;
    }
    let params = next;
    while scan::byte(text, next) == b';' {
        next = param(text, next + 1)?;
    }
    let headers = next;
    if scan::byte(text, next) == b'?' {
        next = any_run(text, next + 1)?;
        if next == headers + 1 {
            return Err(ParseError::new(ParseErrorKind::Empty, next));
        }
    }
    if next < text.len() {
        return Err(ParseError::new(ParseErrorKind::Malformed, next));
    }
    Ok(Parts {
        start: offset(start)?,
        colon: offset(colon)?,
        user_end: offset(user_end)?,
        at: offset(at)?,
        host: offset(host)?,
        host_end: offset(host_end)?,
        params: offset(params)?,
        headers: offset(headers)?,
        end: offset(next)?,
        port,
        scheme,
    })
}

/// `pname [ "=" pvalue ]`
fn param(text: &[u8], at: usize) -> Result<usize, ParseError> {
    let name = escaped_run(text, at, scan::URI_PARAM)?;
    if name == at {
        return Err(ParseError::new(ParseErrorKind::Empty, at));
    }
    if scan::byte(text, name) != b'=' {
        return Ok(name);
    }
    let mut end = escaped_run(text, name + 1, scan::URI_PARAM)?;
    if end == name + 1 {
        return Err(ParseError::new(ParseErrorKind::Empty, end));
    }
    // A second `=` ends a base64 value; no grammar gives it another meaning.
    while scan::byte(text, end) == b'=' {
        end = escaped_run(text, end + 1, scan::URI_PARAM)?;
    }
    Ok(end)
}

/// The end of a run of `class` and `%HH`.
#[inline]
fn escaped_run(text: &[u8], at: usize, class: u8) -> Result<usize, ParseError> {
    let mut at = at;
    loop {
        at = scan::run(text, at, class);
        if scan::byte(text, at) != b'%' {
            return Ok(at);
        }
        if scan::hex_pair(text, at + 1).is_none() {
            return Err(ParseError::new(ParseErrorKind::Escape, at));
        }
        at += 3;
    }
}

/// The end of a run of bytes that may stand in some URI (RFC 3986 §2).
#[cold]
fn any_run(text: &[u8], at: usize) -> Result<usize, ParseError> {
    let mut at = at;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'%' if scan::hex_pair(text, at + 1).is_none() => {
                return Err(ParseError::new(ParseErrorKind::Escape, at));
            }
            b'%' => at += 3,
            _ if byte.is_ascii_alphanumeric() || b"-_.!~*'();/?:@&=+$,[]#".contains(&byte) => {
                at += 1
            }
            _ => break,
        }
    }
    Ok(at)
}

/// `tel` (RFC 3966 §3), and any other absolute URI, which is only checked for characters that no URI has.
#[cold]
fn other(text: &[u8], start: usize) -> Result<Parts, ParseError> {
    let mut colon = start;
    while text
        .get(colon)
        .is_some_and(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b))
    {
        colon += 1;
    }
    if colon == start || scan::byte(text, colon) != b':' || !text[start].is_ascii_alphabetic() {
        let kind = if start == text.len() {
            ParseErrorKind::Empty
        } else {
            ParseErrorKind::NoScheme
        };
        return Err(ParseError::new(kind, colon.min(text.len())));
    }
    let first = colon + 1;
    if first == text.len() {
        return Err(ParseError::new(ParseErrorKind::Empty, first));
    }
    let is_tel = text[start..colon].eq_ignore_ascii_case(b"tel");
    let (user_end, params, end) = if is_tel {
        let number = tel_number(text, first)?;
        let mut next = number;
        while scan::byte(text, next) == b';' {
            next = param(text, next + 1)?;
        }
        (number, number, next)
    } else {
        let end = any_run(text, first)?;
        (colon, end, end)
    };
    if end < text.len() {
        return Err(ParseError::new(ParseErrorKind::Malformed, end));
    }
    Ok(Parts {
        start: offset(start)?,
        colon: offset(colon)?,
        user_end: offset(user_end)?,
        at: offset(user_end)?,
        host: offset(params)?,
        host_end: offset(params)?,
        params: offset(params)?,
        headers: offset(end)?,
        end: offset(end)?,
        port: None,
        scheme: if is_tel { Scheme::Tel } else { Scheme::Other },
    })
}

/// ```text
/// global-number-digits = "+" *phonedigit DIGIT *phonedigit
/// local-number-digits  = *phonedigit-hex (HEXDIG / "*" / "#") *phonedigit-hex
/// ```
fn tel_number(text: &[u8], at: usize) -> Result<usize, ParseError> {
    let first = if scan::byte(text, at) == b'+' {
        at + 1
    } else {
        at
    };
    let mut end = first;
    while text
        .get(end)
        .is_some_and(|b| b.is_ascii_hexdigit() || b"-.()*#".contains(b))
    {
        end += 1;
    }
    if text[first..end]
        .iter()
        .any(|b| b.is_ascii_hexdigit() || b"*#".contains(b))
    {
        Ok(end)
    } else {
        Err(ParseError::new(ParseErrorKind::Empty, first))
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    const PIECES: &[&str] = &[
        "a", "b1", "-", ".", "..", "_", "+", "@", ":", "5060", "99999", ";", "=", "lr", "?", "%41",
        "&", "/", "[::1]", ">", " ", "sip:", "é",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(3261), failure_persistence: None, cases: 4096, ..ProptestConfig::default() })]

        #[test]
        fn the_common_form_says_what_the_grammar_says(scheme_text in select(&["sip:", "SIPs:", "sIp:"][..]), pieces in vec(select(PIECES), 0..9)) {
            let text = format!("{scheme_text}{}", pieces.concat());
            let text = text.as_bytes();
            let (scheme, colon) = scheme(text, 0).expect("a scheme from the list");
            if let Some(parts) = common(text, 0, colon, scheme) {
                prop_assert_eq!(sip(&text[..parts.end()], 0, colon, scheme), Ok(parts));
            }
        }
    }
}
