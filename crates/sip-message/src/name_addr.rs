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
#[derive(Clone)]
pub struct NameAddr {
    /// Its buffer is the whole value.
    uri: Uri,
    display: (u32, u32),
    params: (u32, u32),
}

impl NameAddr {
    /// Reads an address.
    ///
    /// # Errors
    /// If the text does not follow the grammar.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, ParseError> {
        Self::from_value(&HeaderValue::new(text)?)
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
        Self::from_value(&HeaderValue::written(text))
            .expect("an address put together from its parts can be read")
    }

    pub(crate) fn from_value(value: &HeaderValue) -> Result<Self, ParseError> {
        let text = value.as_bytes();
        let start = scan::skip_lws(text, 0);
        match scan::byte(text, start) {
            b'<' => Self::bracketed(value.bytes(), (start, start), start),
            b'"' => {
                let end = scan::quoted(text, start)
                    .ok_or_else(|| ParseError::new(ParseErrorKind::Unbalanced, start))?;
                let open = scan::skip_lws(text, end);
                if scan::byte(text, open) != b'<' {
                    return Err(ParseError::new(ParseErrorKind::Malformed, open));
                }
                Self::bracketed(value.bytes(), (start, end), open)
            }
            0 if text.len() == start => Err(ParseError::new(ParseErrorKind::Empty, start)),
            _ => {
                let token = scan::run(text, start, scan::TOKEN);
                if token > start && scan::byte(text, token) == b':' {
                    Self::bare(value.bytes(), start)
                } else {
                    Self::named(value.bytes(), start)
                }
            }
        }
    }

    /// `*( token LWS ) < ... >`; a name that is not quoted may have any letters, but nothing that divides fields.
    fn named(text: &Bytes, start: usize) -> Result<Self, ParseError> {
        let mut open = start;
        while let Some(&byte) = text.get(open) {
            match byte {
                b'<' => {
                    return Self::bracketed(text, (start, scan::trim_end(text, start, open)), open);
                }
                b'"' | b',' | b';' | b':' | b'>' | b'\\' | b'=' | b'@' => break,
                _ => open += 1,
            }
        }
        Err(ParseError::new(ParseErrorKind::Malformed, open))
    }

    fn bracketed(text: &Bytes, display: (usize, usize), open: usize) -> Result<Self, ParseError> {
        let close = memchr::memchr(b'>', &text[open..])
            .map(|length| open + length)
            .ok_or_else(|| ParseError::new(ParseErrorKind::Unbalanced, open))?;
        let parts = uri::parse(text, open + 1, close)?;
        Self::finish(text, parts, display, close + 1)
    }

    /// `addr-spec`: ends at the first semicolon; a question mark or comma would be ambiguous (RFC 3261 §20).
    fn bare(text: &Bytes, start: usize) -> Result<Self, ParseError> {
        let mut end = start;
        while let Some(&byte) = text.get(end) {
            match byte {
                b';' | b' ' | b'\t' | b'\r' | b'\n' => break,
                b'?' | b',' | b'<' | b'>' | b'"' => {
                    return Err(ParseError::new(ParseErrorKind::Malformed, end));
                }
                _ => end += 1,
            }
        }
        let parts = uri::parse(text, start, end)?;
        Self::finish(text, parts, (start, start), end)
    }

    fn finish(
        text: &Bytes,
        parts: uri::Parts,
        display: (usize, usize),
        params: usize,
    ) -> Result<Self, ParseError> {
        let end = params::check(text, params)?;
        // `uri::parse` has refused text of which the places would not fit.
        let span = |(start, end): (usize, usize)| (start as u32, end as u32);
        Ok(Self {
            uri: Uri::with_parts(text.clone(), parts),
            display: span(display),
            params: span((params, end)),
        })
    }

    fn text(&self) -> &Bytes {
        self.uri.text()
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
    pub const fn uri(&self) -> &Uri {
        &self.uri
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

    pub(crate) fn param_bytes(&self, name: &str) -> Option<Bytes> {
        let (start, end) = params::find(self.text(), self.region(), name)?.value?;
        Some(self.text().slice(start..end))
    }

    pub(crate) fn value(&self) -> HeaderValue {
        HeaderValue::from_wire(self.text().clone())
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

impl PartialEq for NameAddr {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for NameAddr {}

impl fmt::Debug for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for NameAddr {
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
