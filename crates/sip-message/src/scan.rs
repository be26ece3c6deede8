//! Byte classes and the small scanners that every grammar is made of.
//!
//! RFC 3261 §25.1 defines its character sets as alternatives; here each set is one bit in a table of 256 bytes, so a run of
//! legal bytes costs one look-up each and the byte that stops the run decides what comes next.

use std::borrow::Cow;

use wide::u8x16;

/// `token` (RFC 3261 §25.1).
pub(crate) const TOKEN: u8 = 1;
/// `user` without escapes: `unreserved / user-unreserved`, and what many send unescaped.
pub(crate) const USER: u8 = 2;
/// `paramchar` of a URI without escapes.
pub(crate) const URI_PARAM: u8 = 8;
/// Linear white space, line ends of folds included.
pub(crate) const LWS: u8 = 16;
/// An unquoted value of a header parameter: `token / host`, and the punctuation that is seen in the wild.
pub(crate) const VALUE: u8 = 32;
/// What stands between the dots of a host name; `_` is seen in the wild.
pub(crate) const LABEL: u8 = 64;
/// `word`, of which Call-IDs are made.
pub(crate) const WORD: u8 = 128;

pub(crate) static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        if b.is_ascii_alphanumeric() {
            table[byte] = TOKEN | USER | URI_PARAM | VALUE | LABEL | WORD;
        }
        if b > b' ' && b != 0x7f {
            table[byte] |= VALUE;
        }
        byte += 1;
    }
    table = mark(table, b"-.!%*_+`'~", TOKEN | WORD);
    table = mark(table, b"-_.!~*'()&=+$,;?/", USER);
    // Not legal unescaped in a user part, but harmless and in use: `#` by phones that dial it, braces by old gateways.
    table = mark(table, b"#{}|^`[]", USER);
    table = mark(table, b"-_.!~*'()[]/:&+$", URI_PARAM);
    table = mark(table, b" \t\r\n", LWS);
    table = mark(table, b"-_", LABEL);
    table = mark(table, b"()<>:\\\"/[]?{}", WORD);
    let excluded = b",;\"<>=";
    let mut i = 0;
    while i < excluded.len() {
        table[excluded[i] as usize] &= !VALUE;
        i += 1;
    }
    // `=` inside a value (padding of base64 in a branch) is common and unambiguous after the first one.
    table[b'=' as usize] |= VALUE;
    table
}

const fn mark(mut table: [u8; 256], bytes: &[u8], class: u8) -> [u8; 256] {
    let mut i = 0;
    while i < bytes.len() {
        table[bytes[i] as usize] |= class;
        i += 1;
    }
    table
}

/// Whether `byte` belongs to one of the classes.
#[inline]
pub(crate) const fn is(byte: u8, class: u8) -> bool {
    CLASS[byte as usize] & class != 0
}

/// The end of the run of bytes of `class` that starts at `at`.
///
/// Not inlined: its callers have so many runs that each copy would lack registers.
#[inline(never)]
pub(crate) fn run(text: &[u8], at: usize, class: u8) -> usize {
    let mut at = at;
    // Four at a time: one check of the length for all of them.
    let (fours, rest) = text.get(at..).unwrap_or_default().as_chunks::<4>();
    for &[a, b, c, d] in fours {
        if !is(a, class) {
            return at;
        }
        if !is(b, class) {
            return at + 1;
        }
        if !is(c, class) {
            return at + 2;
        }
        if !is(d, class) {
            return at + 3;
        }
        at += 4;
    }
    for &byte in rest {
        if !is(byte, class) {
            break;
        }
        at += 1;
    }
    at
}

/// The byte at `at`, or 0 behind the end: 0 is in no class.
#[inline]
pub(crate) fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

/// The first byte that is not white space.
#[inline]
pub(crate) fn skip_lws(text: &[u8], at: usize) -> usize {
    let mut at = at;
    while let Some(&byte) = text.get(at) {
        if !is(byte, LWS) {
            break;
        }
        at += 1;
    }
    at
}

/// The end of `text[start..end]` without trailing white space.
#[inline]
pub(crate) fn trim_end(text: &[u8], start: usize, end: usize) -> usize {
    let mut end = end;
    while end > start && is(byte(text, end - 1), LWS) {
        end -= 1;
    }
    end
}

/// `text` without white space around it.
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    let start = skip_lws(text, 0);
    &text[start..trim_end(text, start, text.len())]
}

/// The position after the closing quote of the quoted string that starts at `at`, if it is closed.
#[inline]
pub(crate) fn quoted(text: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at += quote_or_escape(text.get(at..)?)?;
        match text[at] {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

/// The place of the first quote or backslash.
#[inline]
fn quote_or_escape(text: &[u8]) -> Option<usize> {
    let (chunks, tail) = text.as_chunks::<16>();
    for (n, chunk) in chunks.iter().enumerate() {
        let bytes = u8x16::new(*chunk);
        let found = bytes.simd_eq(u8x16::splat(b'"')) | bytes.simd_eq(u8x16::splat(b'\\'));
        let mask = found.to_bitmask();
        if mask != 0 {
            return Some(16 * n + mask.trailing_zeros() as usize);
        }
    }
    let place = tail.iter().position(|&byte| matches!(byte, b'"' | b'\\'))?;
    Some(16 * chunks.len() + place)
}

/// The position after the closing quote of the quoted string that `text` starts with, if there is no backslash in it.
#[inline]
pub(crate) fn plain_quoted(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => return None,
            _ => at += 1,
        }
    }
}

/// Whether `text` is a token.
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && run(text, 0, TOKEN) == text.len()
}

/// The value of two hexadecimal digits at `at`.
pub(crate) fn hex_pair(text: &[u8], at: usize) -> Option<u8> {
    let high = char::from(*text.get(at)?).to_digit(16)?;
    let low = char::from(*text.get(at + 1)?).to_digit(16)?;
    u8::try_from(high * 16 + low).ok()
}

/// `text` with `%HH` replaced, once.
pub(crate) fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'%', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match (text[at], hex_pair(text, at + 1)) {
            (b'%', Some(value)) => {
                out.push(value);
                at += 3;
            }
            (other, _) => {
                out.push(other);
                at += 1;
            }
        }
    }
    Cow::Owned(out)
}

/// Appends `text` with everything outside of `class` written as `%HH`.
pub(crate) fn escape(text: &[u8], class: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &b in text {
        if is(b, class) && !b"#{}|^`[]".contains(&b) {
            out.push(b);
        } else {
            out.extend_from_slice(&[b'%', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
        }
    }
}

/// The content of a quoted string (quotes included in `text`), or `text` itself when it is not quoted; folds become one space.
pub(crate) fn unquote(text: &[u8]) -> Cow<'_, [u8]> {
    let inner = match text {
        [b'"', inner @ .., b'"'] => inner,
        other => return unfold(other),
    };
    if memchr::memchr2(b'\\', b'\n', inner).is_none() {
        return Cow::Borrowed(inner);
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut at = 0;
    while let Some(&b) = inner.get(at) {
        match b {
            b'\\' if at + 1 < inner.len() => {
                out.push(inner[at + 1]);
                at += 2;
            }
            b'\r' | b'\n' => {
                at = skip_lws(inner, at);
                out.push(b' ');
            }
            other => {
                out.push(other);
                at += 1;
            }
        }
    }
    Cow::Owned(out)
}

/// `text` with every fold (RFC 3261 §7.3.1) replaced by one space.
pub(crate) fn unfold(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\n', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&b) = text.get(at) {
        if is(b, LWS) {
            let end = skip_lws(text, at);
            if memchr::memchr(b'\n', &text[at..end]).is_some() {
                out.push(b' ');
            } else {
                out.extend_from_slice(&text[at..end]);
            }
            at = end;
        } else {
            out.push(b);
            at += 1;
        }
    }
    Cow::Owned(out)
}

/// Appends `text` as a quoted string; control bytes, which no quoting makes safe on every path, become spaces.
pub(crate) fn quote(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &b in text {
        match b {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', b]),
            0..=0x1f | 0x7f => out.push(b' '),
            other => out.push(other),
        }
    }
    out.push(b'"');
}

/// A decimal number that is all of `text`; `None` if it is none, `Some(Err)` if it does not fit.
pub(crate) fn decimal(text: &[u8]) -> Option<Result<u64, ()>> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    if text.len() < 19 {
        return Some(Ok(text
            .iter()
            .fold(0, |value, digit| value * 10 + u64::from(digit - b'0'))));
    }
    let mut value = 0_u64;
    for digit in text {
        let next = value
            .checked_mul(10)
            .and_then(|v| v.checked_add(u64::from(digit - b'0')));
        match next {
            Some(next) => value = next,
            None => return Some(Err(())),
        }
    }
    Some(Ok(value))
}

/// Bytes as text, octets that are no UTF-8 replaced.
pub(crate) fn lossy(text: Cow<'_, [u8]>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(bytes) => match str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(bytes),
        },
        Cow::Owned(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Cow::Owned(text),
            Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
        },
    }
}

/// Bytes that a scanner found to be ASCII.
pub(crate) fn ascii(text: &[u8]) -> &str {
    str::from_utf8(text).unwrap_or("")
}

/// The end of the first value of a comma list: commas inside quotes and angle brackets do not count.
pub(crate) fn list_item_end(text: &[u8], at: usize) -> usize {
    let mut at = at;
    while let Some(found) = text
        .get(at..)
        .and_then(|rest| memchr::memchr3(b',', b'"', b'<', rest))
    {
        at += found;
        match text[at] {
            b'"' => match quoted(text, at) {
                Some(end) => at = end,
                None => return text.len(),
            },
            b'<' => match memchr::memchr2(b'>', b'"', &text[at..]) {
                // A quote inside angle brackets is no URI; leave the judgement to the value's parser.
                Some(end) => at += end.max(1),
                None => return text.len(),
            },
            _ => return at,
        }
    }
    text.len()
}

/// The position after the comment that starts at `at`: parentheses, nested and with escapes.
pub(crate) fn comment(text: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = at;
    loop {
        match text.get(at)? {
            b'(' => depth += 1,
            b')' if depth == 1 => return Some(at + 1),
            b')' => depth = depth.checked_sub(1)?,
            b'\\' => at += 1,
            _ => {}
        }
        at += 1;
    }
}

/// The first control character at or after `at`, HT and DEL included; the length of `text` if there is none.
///
/// One scan finds the end of a line and whatever may not stand in it.
#[inline]
pub(crate) fn control(text: &[u8], at: usize) -> usize {
    let Some(rest) = text.get(at..) else {
        return text.len();
    };
    let (chunks, tail) = rest.as_chunks::<16>();
    let mut place = at;
    for chunk in chunks {
        let mask = controls(chunk);
        if mask != 0 {
            return place + mask.trailing_zeros() as usize;
        }
        place += 16;
    }
    // The last bytes once more with those before them, which takes less time than one by one.
    match text.last_chunk() {
        _ if tail.is_empty() => text.len(),
        Some(chunk) => {
            let mask = controls(chunk) >> (16 - tail.len());
            (place + mask.trailing_zeros() as usize).min(text.len())
        }
        None => tail
            .iter()
            .position(|&byte| byte < b' ' || byte == 0x7f)
            .map_or(text.len(), |length| place + length),
    }
}

/// One bit for each control character among 16 bytes.
#[inline(always)]
fn controls(chunk: &[u8; 16]) -> u32 {
    let bytes = u8x16::new(*chunk);
    let found = bytes.min(u8x16::splat(0x1f)).simd_eq(bytes) | bytes.simd_eq(u8x16::splat(0x7f));
    found.to_bitmask()
}

/// The distance to the colon among the next 16 bytes.
#[inline]
pub(crate) fn colon(chunk: &[u8; 16]) -> Option<usize> {
    let found = u8x16::new(*chunk).simd_eq(u8x16::splat(b':')).to_bitmask();
    if found == 0 {
        None
    } else {
        Some(found.trailing_zeros() as usize)
    }
}
