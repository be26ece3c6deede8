//! Parameters of header fields: `*(SEMI name [EQUAL value])` (RFC 3261 §7.3.1), checked once and found again when asked for.

use std::borrow::Cow;

use crate::{ParseError, ParseErrorKind, scan};

/// One parameter: places of its name and value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Param {
    /// Where the semicolon stands.
    pub(crate) start: usize,
    pub(crate) name: (usize, usize),
    /// With the quotes, if it is quoted.
    pub(crate) value: Option<(usize, usize)>,
    /// The end of name or value.
    pub(crate) end: usize,
}

/// Reads the parameter whose semicolon stands at `at`.
fn one(text: &[u8], at: usize) -> Result<Param, ParseError> {
    let name = scan::skip_lws(text, at + 1);
    let name_end = scan::run(text, name, scan::TOKEN);
    // What nearly every parameter looks like: no white space, no quotes.
    if scan::byte(text, name_end) == b'=' && name_end > name {
        let end = scan::run(text, name_end + 1, scan::VALUE);
        if end > name_end + 1 {
            return Ok(Param {
                start: at,
                name: (name, name_end),
                value: Some((name_end + 1, end)),
                end,
            });
        }
    }
    if name_end == name {
        return Err(ParseError::new(ParseErrorKind::Empty, name));
    }
    let equal = scan::skip_lws(text, name_end);
    if scan::byte(text, equal) != b'=' {
        return Ok(Param {
            start: at,
            name: (name, name_end),
            value: None,
            end: name_end,
        });
    }
    let value = scan::skip_lws(text, equal + 1);
    let end = value_end(text, value)?;
    Ok(Param {
        start: at,
        name: (name, name_end),
        value: Some((value, end)),
        end,
    })
}

/// The end of the name of the parameter at `at`, and the end of the parameter, if it is what nearly every one is: no white
/// space, no angle brackets.
#[inline(always)]
pub(crate) fn common_one(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let name = scan::run(text, at, scan::TOKEN);
    if name == at {
        return None;
    }
    if scan::byte(text, name) == b'=' {
        return Some((name, common_value(text, name + 1)?));
    }
    Some((name, name))
}

/// The end of the value at `at`, if it is what nearly every one is.
#[inline(always)]
pub(crate) fn common_value(text: &[u8], at: usize) -> Option<usize> {
    let end = scan::run(text, at, scan::VALUE);
    if end > at {
        return Some(end);
    }
    if scan::byte(text, at) == b'"' {
        return scan::quoted(text, at);
    }
    None
}

/// The end of the value of a parameter: quoted or not.
#[inline]
pub(crate) fn value_end(text: &[u8], at: usize) -> Result<usize, ParseError> {
    if scan::byte(text, at) == b'"' {
        return scan::quoted(text, at)
            .ok_or_else(|| ParseError::new(ParseErrorKind::Unbalanced, at));
    }
    if scan::byte(text, at) == b'<' {
        // RFC 8224 §4: `info=<https://…>`.
        let close = memchr::memchr2(b'>', b'"', &text[at..])
            .map(|length| at + length)
            .filter(|&close| text[close] == b'>');
        return close
            .map(|close| close + 1)
            .ok_or_else(|| ParseError::new(ParseErrorKind::Unbalanced, at));
    }
    let end = scan::run(text, at, scan::VALUE);
    if end == at {
        Err(ParseError::new(ParseErrorKind::Empty, at))
    } else {
        Ok(end)
    }
}

/// Checks the parameters from `at` to the end of `text`; answers where the last one ends.
#[inline]
pub(crate) fn check(text: &[u8], at: usize) -> Result<usize, ParseError> {
    let end = check_item(text, at, |_| {})?;
    let next = scan::skip_lws(text, end);
    if next < text.len() {
        Err(ParseError::new(ParseErrorKind::Malformed, next))
    } else {
        Ok(end)
    }
}

/// Checks the parameters from `at` to the end of `text` or a comma, showing each; answers where the last one ends.
#[inline]
pub(crate) fn check_item(
    text: &[u8],
    at: usize,
    mut show: impl FnMut(&Param),
) -> Result<usize, ParseError> {
    let mut end = at;
    loop {
        let next = scan::skip_lws(text, end);
        match scan::byte(text, next) {
            b';' => {
                let param = one(text, next)?;
                show(&param);
                end = param.end;
            }
            b',' => return Ok(end),
            _ if next >= text.len() => return Ok(end),
            _ => return Err(ParseError::new(ParseErrorKind::Malformed, next)),
        }
    }
}

/// Whether the item of a list that ends at `end` is all there is; otherwise a comma follows.
pub(crate) fn whole(text: &[u8], end: usize) -> Result<(), ParseError> {
    let next = scan::skip_lws(text, end);
    if next < text.len() {
        Err(ParseError::new(ParseErrorKind::Malformed, next))
    } else {
        Ok(())
    }
}

/// The parameters of a region that [`check`] has accepted.
pub(crate) fn iter(text: &[u8], region: (usize, usize)) -> impl Iterator<Item = Param> {
    let text = &text[..region.1];
    let mut at = region.0;
    std::iter::from_fn(move || {
        at = scan::skip_lws(text, at);
        if at >= text.len() {
            return None;
        }
        let param = one(text, at).ok()?;
        at = param.end;
        Some(param)
    })
}

/// The parameter called `name`, without regard to case.
pub(crate) fn find(text: &[u8], region: (usize, usize), name: &str) -> Option<Param> {
    iter(text, region)
        .find(|param| text[param.name.0..param.name.1].eq_ignore_ascii_case(name.as_bytes()))
}

/// The value of the parameter called `name`: `None` if it is absent, `Some(None)` if it has no value.
pub(crate) fn get<'a>(
    text: &'a [u8],
    region: (usize, usize),
    name: &str,
) -> Option<Option<Cow<'a, str>>> {
    let param = find(text, region, name)?;
    Some(
        param
            .value
            .map(|(start, end)| scan::lossy(scan::unquote(&text[start..end]))),
    )
}

/// The value as written, quotes included.
pub(crate) fn raw<'a>(text: &'a [u8], region: (usize, usize), name: &str) -> Option<&'a [u8]> {
    let (start, end) = find(text, region, name)?.value?;
    Some(&text[start..end])
}

/// Appends `;name=value`; a value that is no token is quoted. What is left of a name without its foreign characters is the name.
pub(crate) fn write(name: &str, value: Option<&str>, out: &mut Vec<u8>) {
    out.push(b';');
    write_token(name, out);
    if let Some(value) = value {
        out.push(b'=');
        write_value(value, out);
    }
}

/// Appends a value as it is if it is a token or a host, and quoted otherwise.
pub(crate) fn write_value(value: &str, out: &mut Vec<u8>) {
    let bytes = value.as_bytes();
    if !bytes.is_empty()
        && bytes
            .iter()
            .all(|&b| scan::is(b, scan::TOKEN) || b"[]:=/".contains(&b))
    {
        out.extend_from_slice(bytes);
    } else {
        scan::quote(bytes, out);
    }
}

/// Appends the characters of `text` that a token can have; `x` if there is none.
pub(crate) fn write_token(text: &str, out: &mut Vec<u8>) {
    let before = out.len();
    out.extend(text.bytes().filter(|&b| scan::is(b, scan::TOKEN)));
    if out.len() == before {
        out.push(b'x');
    }
}

/// `text` with the parameter `name` set, replaced in its place or appended at the end of the region; `None` removes it.
pub(crate) fn set(
    text: &[u8],
    region: (usize, usize),
    name: &str,
    value: Option<Option<&str>>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + name.len() + 24);
    out.extend_from_slice(&text[..region.0]);
    let mut copied = region.0;
    let mut pending = value;
    for param in iter(text, region) {
        if !text[param.name.0..param.name.1].eq_ignore_ascii_case(name.as_bytes()) {
            continue;
        }
        out.extend_from_slice(&text[copied..param.start]);
        copied = param.end;
        if let Some(value) = pending.take() {
            write(name, value, &mut out);
        }
    }
    out.extend_from_slice(&text[copied..region.1]);
    if let Some(value) = pending {
        write(name, value, &mut out);
    }
    out.extend_from_slice(&text[region.1..]);
    out
}
