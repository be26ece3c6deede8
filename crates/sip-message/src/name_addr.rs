//! Addresses with a display name and parameters, as From, To, Contact and Route carry them.

use std::{borrow::Cow, fmt};

use bytes::Bytes;

use crate::{HeaderValue, ParseError, ParseErrorKind, Uri, params, scan, uri};

/// `( name-addr / addr-spec ) *( SEMI generic-param )` (RFC 3261 §20.10, §25.1).
///
/// Without angle brackets, parameters belong to the address as a whole and not to the URI.
///
/// ```
/// use sip_message::NameAddr;
///
/// let address = NameAddr::parse("\"A <B>;x=1\" <sip:al@example.com>;tag=7")?;
/// assert_eq!(address.display_name().as_deref(), Some("A <B>;x=1"));
/// assert_eq!(address.uri().as_str(), "sip:al@example.com");
/// assert_eq!(address.param("tag").flatten().as_deref(), Some("7"));
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Clone, Copy)]
pub struct NameAddr<T = Bytes> {
    /// Its buffer is the whole value.
    uri: Uri<T>,
    display: (u32, u32),
    params: (u32, u32),
    /// The value of the parameter `tag`; empty if there is none.
    tag: (u32, u32),
}

/// An address that borrows from the message it stands in.
pub type NameAddrView<'a> = NameAddr<&'a [u8]>;

impl NameAddr {
    /// Reads an address.
    ///
    /// # Errors
    /// If the text does not follow the grammar.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, ParseError> {
        Self::from_value(HeaderValue::new(text)?)
    }

    /// `<uri>`.
    pub fn new(uri: &Uri) -> Self {
        Self::compose(b"", uri.as_bytes(), b"")
    }

    /// `"name" <uri>`; the name is quoted and escaped.
    #[must_use]
    pub fn with_display_name(&self, name: &str) -> Self {
        let mut display = Vec::with_capacity(name.len() + 3);
        if !name.is_empty() {
            scan::quote(name.as_bytes(), &mut display);
            display.push(b' ');
        }
        Self::compose(&display, self.uri.as_bytes(), self.params_raw())
    }

    /// The address with another URI.
    #[must_use]
    pub fn with_uri(&self, uri: &Uri) -> Self {
        let mut display = self.display_raw().to_vec();
        if !display.is_empty() {
            display.push(b' ');
        }
        Self::compose(&display, uri.as_bytes(), self.params_raw())
    }

    fn compose(display: &[u8], uri: &[u8], params: &[u8]) -> Self {
        let mut text = Vec::with_capacity(display.len() + uri.len() + params.len() + 2);
        text.extend_from_slice(display);
        text.push(b'<');
        text.extend_from_slice(uri);
        text.push(b'>');
        text.extend_from_slice(params);
        Self::composed(text)
    }

    fn composed(text: Vec<u8>) -> Self {
        Self::from_value(HeaderValue::written(text))
            .expect("an address put together from its parts can be read")
    }

    /// The address that is all of `value`.
    pub(crate) fn from_value(value: HeaderValue) -> Result<Self, ParseError> {
        let (view, end) = NameAddrView::read(value.as_bytes())?;
        params::whole(value.as_bytes(), end)?;
        let places = view.map(|_| ());
        Ok(places.map(|()| value.into_bytes()))
    }

    /// The address that `value` starts with.
    pub(crate) fn first_of(value: HeaderValue) -> Result<Self, ParseError> {
        let (view, end) = NameAddrView::read(value.as_bytes())?;
        let places = view.map(|_| ());
        Ok(places.map(|()| value.truncated(end).into_bytes()))
    }
}

impl<'a> NameAddrView<'a> {
    /// As [`NameAddr::tag_raw`], for as long as the text lives.
    pub(crate) fn into_tag_raw(self) -> Option<&'a [u8]> {
        let (start, end) = (self.tag.0 as usize, self.tag.1 as usize);
        (end > start).then(|| &self.uri.into_text()[start..end])
    }

    /// The address that `text` starts with, and its end: behind it there is nothing or a comma.
    ///
    /// It is called from a dozen places, which share one copy of it: a copy is 40 lines of code that must be fetched.
    #[inline(never)]
    pub(crate) fn read(text: &'a [u8]) -> Result<(Self, usize), ParseError> {
        match Self::common(text) {
            Some(read) => Ok(read),
            None => Self::any(text),
        }
    }

    /// What nearly every address looks like: angle brackets, white space before them alone, a URI of the common form. Answers
    /// nothing for all others, and for those that are wrong.
    #[inline(always)]
    fn common(text: &'a [u8]) -> Option<(Self, usize)> {
        let display = match scan::byte(text, 0) {
            b'<' => 0,
            b'"' => scan::plain_quoted(text)?,
            _ => scan::run(text, 0, scan::TOKEN),
        };
        let open = display + usize::from(display > 0 && scan::byte(text, display) == b' ');
        if scan::byte(text, open) != b'<' {
            return None;
        }
        let parts = uri::parse_common(text, open + 1)?;
        let params = parts.end() + 1;
        if scan::byte(text, params - 1) != b'>' {
            return None;
        }
        let mut tag = (0, 0);
        let mut end = params;
        while scan::byte(text, end) == b';' {
            let name = end + 1;
            if tag.1 == 0 && is_tag(text, name) {
                end = params::common_value(text, name + 4)?;
                tag = (name + 4, end);
            } else {
                end = params::common_one(text, name)?.1;
            }
        }
        if end < text.len() && text[end] != b',' {
            return None;
        }
        Some((
            Self::placed(text, parts, (0, display), (params, end), tag),
            end,
        ))
    }

    /// An address of any form.
    #[inline(never)]
    fn any(text: &'a [u8]) -> Result<(Self, usize), ParseError> {
        let start = scan::skip_lws(text, 0);
        let (display, open) = match scan::byte(text, start) {
            b'<' => (start, start),
            b'"' => quoted_name(text, start)?,
            _ => {
                let token = scan::run(text, start, scan::TOKEN);
                if token > start && scan::byte(text, token) == b':' {
                    return Self::bare(text, start);
                }
                token_name(text, start)?
            }
        };
        let parts = uri::parse_until(text, open + 1, b'>')?;
        Self::finish(text, parts, (start, display), parts.end() + 1)
    }

    /// `addr-spec`: ends at the first semicolon or comma; a question mark would be ambiguous (RFC 3261 §20).
    fn bare(text: &'a [u8], start: usize) -> Result<(Self, usize), ParseError> {
        let mut end = start;
        while let Some(&byte) = text.get(end) {
            match byte {
                b';' | b',' | b' ' | b'\t' | b'\r' | b'\n' => break,
                b'?' | b'<' | b'>' | b'"' => {
                    return Err(ParseError::new(ParseErrorKind::Malformed, end));
                }
                _ => end += 1,
            }
        }
        let parts = uri::parse(text, start, end)?;
        Self::finish(text, parts, (start, start), end)
    }

    fn finish(
        text: &'a [u8],
        parts: uri::Parts,
        display: (usize, usize),
        params: usize,
    ) -> Result<(Self, usize), ParseError> {
        let mut tag = (0, 0);
        let end = params::check_item(text, params, |param| {
            let name = &text[param.name.0..param.name.1];
            if name.len() == 3 && tag == (0, 0) && name.eq_ignore_ascii_case(b"tag") {
                tag = param.value.unwrap_or_default();
            }
        })?;
        Ok((Self::placed(text, parts, display, (params, end), tag), end))
    }

    #[inline(always)]
    fn placed(
        text: &'a [u8],
        parts: uri::Parts,
        display: (usize, usize),
        params: (usize, usize),
        tag: (usize, usize),
    ) -> Self {
        // `uri::parse` has refused text of which the places would not fit.
        let span = |(start, end): (usize, usize)| (start as u32, end as u32);
        Self {
            uri: Uri::with_parts(text, parts),
            display: span(display),
            params: span(params),
            tag: span(tag),
        }
    }
}

/// Whether the address ends with its URI, so that it has no parameters; a common one, that is: for all others the answer is no.
pub(crate) fn ends_with_uri(text: &[u8]) -> bool {
    let display = match scan::byte(text, 0) {
        b'"' => scan::plain_quoted(text).unwrap_or(0),
        _ => scan::run(text, 0, scan::TOKEN),
    };
    let open = display + usize::from(scan::byte(text, display) == b' ');
    scan::byte(text, open) == b'<' && memchr::memchr(b'>', text) == Some(text.len() - 1)
}

/// The tag, where it is the only parameter of an address in angle brackets: in nearly every address that has one. For all
/// others the answer is none.
pub(crate) fn only_tag(text: &[u8]) -> Option<&[u8]> {
    // A bracket inside of a quoted name has no token behind it that ends the text.
    let params = memchr::memchr(b'>', text)? + 1;
    let tag = params + 5;
    (scan::byte(text, params) == b';'
        && is_tag(text, params + 1)
        && tag < text.len()
        && scan::run(text, tag, scan::TOKEN) == text.len())
    .then(|| &text[tag..])
}

/// Whether `tag=` stands at `at`.
#[inline(always)]
fn is_tag(text: &[u8], at: usize) -> bool {
    let word = text.get(at..).and_then(<[u8]>::first_chunk::<4>);
    word.is_some_and(|word| u32::from_le_bytes(*word) | 0x0020_2020 == u32::from_le_bytes(*b"tag="))
}

/// A quoted display name: its end, and the bracket behind it.
#[inline]
fn quoted_name(text: &[u8], start: usize) -> Result<(usize, usize), ParseError> {
    let end = scan::quoted(text, start)
        .ok_or_else(|| ParseError::new(ParseErrorKind::Unbalanced, start))?;
    let open = scan::skip_lws(text, end);
    if scan::byte(text, open) == b'<' {
        Ok((end, open))
    } else {
        Err(ParseError::new(ParseErrorKind::Malformed, open))
    }
}

/// `*( token LWS )`: its end, and the bracket behind it. A name that is not quoted may have any letters, but nothing that divides
/// fields.
fn token_name(text: &[u8], start: usize) -> Result<(usize, usize), ParseError> {
    if start == text.len() {
        return Err(ParseError::new(ParseErrorKind::Empty, start));
    }
    let mut open = start;
    while let Some(&byte) = text.get(open) {
        match byte {
            b'<' => return Ok((scan::trim_end(text, start, open), open)),
            b'"' | b',' | b';' | b':' | b'>' | b'\\' | b'=' | b'@' => break,
            _ => open += 1,
        }
    }
    Err(ParseError::new(ParseErrorKind::Malformed, open))
}

impl<T> NameAddr<T> {
    /// The same places in another buffer with the same text.
    fn map<U>(self, buffer: impl FnOnce(T) -> U) -> NameAddr<U> {
        NameAddr {
            uri: self.uri.map(buffer),
            display: self.display,
            params: self.params,
            tag: self.tag,
        }
    }
}

impl<T: AsRef<[u8]>> NameAddr<T> {
    fn text(&self) -> &[u8] {
        self.uri.text().as_ref()
    }

    fn region(&self) -> (usize, usize) {
        (self.params.0 as usize, self.params.1 as usize)
    }

    fn display_raw(&self) -> &[u8] {
        &self.text()[self.display.0 as usize..self.display.1 as usize]
    }

    fn params_raw(&self) -> &[u8] {
        &self.text()[self.params.0 as usize..self.params.1 as usize]
    }

    /// The URI.
    pub const fn uri(&self) -> &Uri<T> {
        &self.uri
    }

    /// Whether there is a display name that is not quoted although it is not made of tokens.
    pub(crate) fn has_odd_name(&self) -> bool {
        let name = self.display_raw();
        name.first() != Some(&b'"') && !name.iter().all(|&b| scan::is(b, scan::TOKEN | scan::LWS))
    }

    /// The display name without quotes and escapes, if there is one that is not empty.
    pub fn display_name(&self) -> Option<Cow<'_, str>> {
        let raw = self.display_raw();
        if raw.is_empty() {
            None
        } else {
            Some(scan::lossy(scan::unquote(raw))).filter(|name| !name.is_empty())
        }
    }

    /// The value of the parameter `tag` (RFC 3261 §19.3), if there is one.
    pub fn tag(&self) -> Option<&str> {
        str::from_utf8(self.tag_raw()?).ok()
    }

    /// As [`NameAddr::tag`], as bytes: for readers that only compare.
    pub fn tag_raw(&self) -> Option<&[u8]> {
        let (start, end) = (self.tag.0 as usize, self.tag.1 as usize);
        (end > start).then(|| &self.text()[start..end])
    }

    /// The parameter `name`, unquoted: `None` if it is absent, `Some(None)` if it has no value.
    pub fn param(&self, name: &str) -> Option<Option<Cow<'_, str>>> {
        params::get(self.text(), self.region(), name)
    }

    /// The value of the parameter `name` as written, quotes included.
    pub fn param_raw(&self, name: &str) -> Option<&[u8]> {
        params::raw(self.text(), self.region(), name)
    }

    /// Whether the parameter is there, with or without a value.
    pub fn has_param(&self, name: &str) -> bool {
        params::find(self.text(), self.region(), name).is_some()
    }

    /// All parameters in order; values unquoted.
    pub fn params(&self) -> impl Iterator<Item = (&str, Option<Cow<'_, str>>)> {
        let text = self.text();
        params::iter(text, self.region()).map(|param| {
            let value = param
                .value
                .map(|(start, end)| scan::lossy(scan::unquote(&text[start..end])));
            (scan::ascii(&text[param.name.0..param.name.1]), value)
        })
    }
}

impl NameAddr {
    /// Sets a parameter, in its place if it is there already; a value that is no token is quoted.
    pub fn set_param<'a>(&mut self, name: &str, value: impl Into<Option<&'a str>>) {
        *self = Self::composed(params::set(
            self.text(),
            self.region(),
            name,
            Some(value.into()),
        ));
    }

    /// The address with a parameter set.
    #[must_use]
    pub fn with_param<'a>(mut self, name: &str, value: impl Into<Option<&'a str>>) -> Self {
        self.set_param(name, value);
        self
    }

    /// Removes a parameter.
    pub fn remove_param(&mut self, name: &str) {
        if self.has_param(name) {
            *self = Self::composed(params::set(self.text(), self.region(), name, None));
        }
    }

    pub(crate) fn tag_bytes(&self) -> Option<Bytes> {
        let (start, end) = (self.tag.0 as usize, self.tag.1 as usize);
        (end > start).then(|| self.uri.text().slice(start..end))
    }

    pub(crate) fn value(&self) -> HeaderValue {
        HeaderValue::from_wire(self.uri.text().clone())
    }

    pub(crate) fn into_value(self) -> HeaderValue {
        HeaderValue::from_wire(self.uri.into_text())
    }
}

impl From<&Uri> for NameAddr {
    fn from(uri: &Uri) -> Self {
        Self::new(uri)
    }
}

impl From<Uri> for NameAddr {
    fn from(uri: Uri) -> Self {
        Self::new(&uri)
    }
}

impl<T: AsRef<[u8]>> PartialEq for NameAddr<T> {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl<T: AsRef<[u8]>> Eq for NameAddr<T> {}

impl<T: AsRef<[u8]>> fmt::Debug for NameAddr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<T: AsRef<[u8]>> fmt::Display for NameAddr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.text()))
    }
}

impl std::str::FromStr for NameAddr {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    const PIECES: &[&str] = &[
        "<sip:a@b>",
        "<sip:a.b.c:5060;lr>",
        "<sips:h;x=y>",
        "<tel:+1>",
        "<sip:a@b",
        ";tag=1",
        ";TAG=2",
        ";tag",
        ";x=\"a,b\"",
        ";y=<z>",
        "\"A <B>\"",
        "\"A\\\"\"",
        "Alice",
        " ",
        ",",
        ";",
        "sip:a@b",
        "=",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(3261), failure_persistence: None, cases: 4096, ..ProptestConfig::default() })]

        #[test]
        fn the_common_form_says_what_the_grammar_says(pieces in vec(select(PIECES), 0..7)) {
            let text = pieces.concat();
            let text = text.as_bytes();
            let places = |address: NameAddrView<'_>| (address.uri.map(|_| ()).parts(), address.display, address.params, address.tag);
            let any = NameAddrView::any(text).map(|(address, end)| (places(address), end));
            if let Some((address, end)) = NameAddrView::common(text) {
                prop_assert_eq!(&any, &Ok((places(address), end)));
            }
            if let (true, Ok((_, end))) = (ends_with_uri(text), &any) {
                let (address, _) = NameAddrView::read(text).expect("was read");
                prop_assert_eq!((address.params().count(), *end), (0, text.len()));
            }
            if let (Some(tag), Ok(_)) = (only_tag(text), any) {
                let (address, _) = NameAddrView::read(text).expect("was read");
                prop_assert_eq!(address.tag_raw(), Some(tag));
            }
        }
    }

    #[test]
    fn the_common_form_covers_what_phones_send() {
        for text in [
            "\"Alice\" <sip:alice@atlanta.example.com>;tag=9fxced76sl",
            "Bob <sip:bob@b:5060;transport=udp>",
            "<sip:p1.example.com;lr>, <sip:p2>",
        ] {
            assert!(NameAddrView::common(text.as_bytes()).is_some(), "{text}");
        }
    }
}
