//! URIs: `sip`, `sips`, `tel`, and any other scheme as it is.

mod edit;
mod parse;

use std::{
    borrow::Cow,
    fmt,
    hash::{Hash, Hasher},
};

use bytes::Bytes;

pub(crate) use parse::{parse, parse_common, parse_until};

use crate::{Aor, Host, ParseError, ParseErrorKind, host, scan};

/// A URI (RFC 3261 §19.1, RFC 3966 for `tel`), kept as it was written.
///
/// `==` and `Hash` are about the text; [`Uri::equivalent`] is RFC 3261's comparison (§19.1.4), [`Uri::aor`] the key of an
/// address-of-record.
///
/// ```
/// use sip_message::{Scheme, Uri};
///
/// let uri = Uri::parse("sip:al%23ice:secret@[2001:db8::10]:5070;transport=tcp;lr?Subject=lunch")?;
/// assert_eq!(uri.scheme(), Scheme::Sip);
/// assert_eq!(uri.user().as_deref(), Some("al#ice"));
/// assert_eq!(uri.port(), Some(5070));
/// assert_eq!(uri.transport().as_deref(), Some("tcp"));
/// assert!(uri.lr());
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Uri<T = Bytes> {
    text: T,
    parts: Parts,
}

/// A URI that borrows from the message it stands in.
pub type UriView<'a> = Uri<&'a [u8]>;

/// The scheme of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// `sip`
    Sip,
    /// `sips`
    Sips,
    /// `tel` (RFC 3966)
    Tel,
    /// Anything else; [`Uri::scheme_str`] names it.
    Other,
}

/// Places in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    start: u32,
    /// The colon after the scheme.
    colon: u32,
    /// The end of the user; equal to `colon` when there is none.
    user_end: u32,
    /// The `@`; equal to `colon` when there is none.
    at: u32,
    host: u32,
    host_end: u32,
    /// Where parameters start, with their semicolon.
    params: u32,
    /// Where headers start, with their question mark.
    headers: u32,
    end: u32,
    port: Option<u16>,
    scheme: Scheme,
}

impl Parts {
    pub(crate) const fn end(&self) -> usize {
        self.end as usize
    }
}

impl Uri {
    /// Reads a URI of any scheme.
    ///
    /// # Errors
    /// If the text does not follow the grammar of its scheme.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, ParseError> {
        Self::from_bytes(Bytes::copy_from_slice(text.as_ref()))
    }

    /// Reads a URI out of a buffer that is kept.
    ///
    /// # Errors
    /// If the text does not follow the grammar of its scheme.
    pub fn from_bytes(text: Bytes) -> Result<Self, ParseError> {
        let parts = parse(&text, 0, text.len()).map_err(|error| error.in_part("URI", 0))?;
        Ok(Self { text, parts })
    }

    /// `sip:user@host`; the user part is escaped, so that no text can name another host.
    ///
    /// `host` may end in `:port`.
    ///
    /// # Errors
    /// If `user` is empty or `host` is not a host.
    pub fn sip(user: &str, host: &str) -> Result<Self, ParseError> {
        if user.is_empty() {
            return Err(ParseError::part(ParseErrorKind::Empty, "user", 0));
        }
        let end = host::host_end(host.as_bytes(), 0).map_err(|error| error.in_part("host", 0))?;
        if end < host.len() {
            let (_, end) = host
                .as_bytes()
                .get(end)
                .filter(|&&b| b == b':')
                .ok_or_else(|| ParseError::part(ParseErrorKind::Host, "host", end))
                .and_then(|_| {
                    host::port(host.as_bytes(), end + 1).map_err(|error| error.in_part("host", 0))
                })?;
            if end < host.len() {
                return Err(ParseError::part(ParseErrorKind::Host, "host", end));
            }
        }
        let mut text = Vec::with_capacity(user.len() + host.len() + 5);
        text.extend_from_slice(b"sip:");
        escape_user(user, &mut text);
        text.push(b'@');
        text.extend_from_slice(host.as_bytes());
        Self::from_bytes(text.into())
    }

    /// A `sip` or `sips` URI from its parts.
    pub fn new(scheme: Scheme, user: Option<&str>, host: &Host, port: Option<u16>) -> Self {
        let mut text = Vec::with_capacity(64);
        text.extend_from_slice(if scheme == Scheme::Sips {
            b"sips:"
        } else {
            b"sip:"
        });
        if let Some(user) = user.filter(|user| !user.is_empty()) {
            escape_user(user, &mut text);
            text.push(b'@');
        }
        text.extend_from_slice(host.to_string().as_bytes());
        if let Some(port) = port {
            text.extend_from_slice(format!(":{port}").as_bytes());
        }
        Self::composed(text)
    }

    /// Reads text that was put together from parts which were checked.
    fn composed(text: Vec<u8>) -> Self {
        Self::from_bytes(text.into()).expect("a URI put together from its parts can be read")
    }
}

impl<T> Uri<T> {
    pub(crate) const fn with_parts(text: T, parts: Parts) -> Self {
        Self { text, parts }
    }

    #[cfg(test)]
    pub(crate) const fn parts(&self) -> Parts {
        self.parts
    }

    pub(crate) fn into_text(self) -> T {
        self.text
    }

    /// The same places in another buffer with the same text.
    pub(crate) fn map<U>(self, buffer: impl FnOnce(T) -> U) -> Uri<U> {
        Uri {
            text: buffer(self.text),
            parts: self.parts,
        }
    }
}

impl<T: AsRef<[u8]>> Uri<T> {
    fn span(&self, start: u32, end: u32) -> &[u8] {
        &self.text.as_ref()[start as usize..end as usize]
    }

    fn str(&self, start: u32, end: u32) -> &str {
        scan::ascii(self.span(start, end))
    }

    /// The whole URI.
    pub fn as_str(&self) -> &str {
        self.str(self.parts.start, self.parts.end)
    }

    /// The whole URI as a slice of the buffer.
    pub fn as_bytes(&self) -> &[u8] {
        self.span(self.parts.start, self.parts.end)
    }

    /// The buffer that the URI stands in: itself alone, or the header value around it.
    pub(crate) const fn text(&self) -> &T {
        &self.text
    }

    /// The scheme.
    pub const fn scheme(&self) -> Scheme {
        self.parts.scheme
    }

    /// The scheme as written.
    pub fn scheme_str(&self) -> &str {
        self.str(self.parts.start, self.parts.colon)
    }

    /// Whether the scheme is `sip` or `sips`.
    pub const fn is_sip(&self) -> bool {
        matches!(self.parts.scheme, Scheme::Sip | Scheme::Sips)
    }

    /// Whether the scheme is `sips`.
    pub const fn is_sips(&self) -> bool {
        matches!(self.parts.scheme, Scheme::Sips)
    }

    /// The user part of a `sip` URI or the number of a `tel` URI, unescaped once.
    ///
    /// Octets that are not UTF-8 after unescaping are replaced; [`Uri::user_raw`] has them.
    pub fn user(&self) -> Option<Cow<'_, str>> {
        self.user_raw()
            .map(|raw| scan::lossy(scan::unescape(raw.as_bytes())))
    }

    /// The user part as written.
    pub fn user_raw(&self) -> Option<&str> {
        (self.parts.user_end > self.parts.colon)
            .then(|| self.str(self.parts.colon + 1, self.parts.user_end))
    }

    /// The password as written; its use is discouraged (RFC 3261 §19.1.1).
    pub fn password(&self) -> Option<&str> {
        (self.parts.user_end > self.parts.colon && self.parts.at > self.parts.user_end)
            .then(|| self.str(self.parts.user_end + 1, self.parts.at))
    }

    /// The host as written, with the brackets of an IPv6 address.
    pub fn host_str(&self) -> &str {
        self.str(self.parts.host, self.parts.host_end)
    }

    /// Host and, if it was given, port, as written.
    pub fn host_port(&self) -> &str {
        self.str(
            self.parts.host,
            if self.is_sip() {
                self.parts.params
            } else {
                self.parts.host_end
            },
        )
    }

    /// The port, if it was given.
    pub const fn port(&self) -> Option<u16> {
        self.parts.port
    }

    /// The parameter `name`, unescaped: `None` if it is absent, `Some(None)` if it has no value.
    pub fn param(&self, name: &str) -> Option<Option<Cow<'_, str>>> {
        self.param_raw(name)
            .map(|value| value.map(|raw| scan::lossy(scan::unescape(raw.as_bytes()))))
    }

    /// The parameter `name` as written.
    pub fn param_raw(&self, name: &str) -> Option<Option<&str>> {
        self.params()
            .find(|(key, _)| same_name(key, name))
            .map(|(_, value)| value)
    }

    /// Whether the parameter is there, with or without a value.
    pub fn has_param(&self, name: &str) -> bool {
        self.param_raw(name).is_some()
    }

    /// All parameters in order, as written.
    pub fn params(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        split_params(self.str(self.parts.params, self.parts.headers))
    }

    /// The `transport` parameter as written.
    pub fn transport(&self) -> Option<Cow<'_, str>> {
        self.param("transport").flatten()
    }

    /// The `maddr` parameter, if it is a host.
    pub fn maddr(&self) -> Option<Host> {
        self.param("maddr")
            .flatten()
            .and_then(|host| Host::parse(&host).ok())
    }

    /// Whether the `lr` parameter is there: a loose router (RFC 3261 §16.12).
    pub fn lr(&self) -> bool {
        self.has_param("lr")
    }

    /// The `method` parameter.
    pub fn method(&self) -> Option<Cow<'_, str>> {
        self.param("method").flatten()
    }

    /// The headers of the URI in order, unescaped.
    pub fn headers(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let text = self.str(self.parts.headers, self.parts.end);
        text.get(1..)
            .unwrap_or("")
            .split('&')
            .filter(|header| !header.is_empty())
            .map(|header| {
                let (name, value) = header.split_once('=').unwrap_or((header, ""));
                (
                    scan::lossy(scan::unescape(name.as_bytes())),
                    scan::lossy(scan::unescape(value.as_bytes())),
                )
            })
    }

    /// Whether the URI carries headers.
    pub const fn has_headers(&self) -> bool {
        self.parts.end > self.parts.headers
    }
}

impl Uri {
    /// The host of a `sip` or `sips` URI; an empty name for other schemes.
    pub fn host(&self) -> Host {
        Host::from_checked(
            self.text
                .slice(self.parts.host as usize..self.parts.host_end as usize),
        )
    }

    /// The key of the address-of-record that this URI names (RFC 3261 §10.3).
    pub fn aor(&self) -> Aor {
        Aor::of(self)
    }

    /// Whether the two name the same resource by RFC 3261 §19.1.4 (`tel`: RFC 3966 §4).
    pub fn equivalent(&self, other: &Self) -> bool {
        crate::equivalence::equivalent(self, other)
    }
}

impl<T: AsRef<[u8]>> fmt::Debug for Uri<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<T: AsRef<[u8]>> fmt::Display for Uri<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<T: AsRef<[u8]>> PartialEq for Uri<T> {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<T: AsRef<[u8]>> Eq for Uri<T> {}

impl<T: AsRef<[u8]>> Hash for Uri<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl<T: AsRef<[u8]>> AsRef<str> for Uri<T> {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl std::str::FromStr for Uri {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl TryFrom<&str> for Uri {
    type Error = ParseError;

    fn try_from(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

mod sealed {
    #[allow(unnameable_types)]
    pub trait Sealed {}
    impl Sealed for &str {}
    impl Sealed for String {}
    impl Sealed for &String {}
    impl Sealed for super::Uri {}
    impl Sealed for &super::Uri {}
}

/// What can be given where a URI is asked for: a [`Uri`], or text that is read when it is needed.
pub trait IntoUri: sealed::Sealed {
    /// The URI.
    ///
    /// # Errors
    /// If text does not follow the grammar.
    fn into_uri(self) -> Result<Uri, ParseError>;
}

impl IntoUri for &str {
    fn into_uri(self) -> Result<Uri, ParseError> {
        Uri::parse(self)
    }
}

impl IntoUri for String {
    fn into_uri(self) -> Result<Uri, ParseError> {
        Uri::from_bytes(self.into())
    }
}

impl IntoUri for &String {
    fn into_uri(self) -> Result<Uri, ParseError> {
        Uri::parse(self)
    }
}

impl IntoUri for Uri {
    fn into_uri(self) -> Result<Uri, ParseError> {
        Ok(self)
    }
}

impl IntoUri for &Uri {
    fn into_uri(self) -> Result<Uri, ParseError> {
        Ok(self.clone())
    }
}

/// Parameter names compare without regard to case, escapes resolved.
fn same_name(written: &str, name: &str) -> bool {
    written.eq_ignore_ascii_case(name)
        || (written.contains('%')
            && scan::unescape(written.as_bytes()).eq_ignore_ascii_case(name.as_bytes()))
}

fn split_params(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    text.split(';')
        .skip(1)
        .map(|param| match param.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (param, None),
        })
}

fn escape_user(user: &str, out: &mut Vec<u8>) {
    // A semicolon, question mark or slash is legal in a user part (§25.1), but many take it for the start of parameters.
    for &b in user.as_bytes() {
        if b";?/".contains(&b) {
            out.extend_from_slice(format!("%{b:02X}").as_bytes());
        } else {
            scan::escape(&[b], scan::USER, out);
        }
    }
}
