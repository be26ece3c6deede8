//! Schemes with parameters: credentials, challenges, and what Authentication-Info says.

use std::borrow::Cow;

use bytes::Bytes;

use crate::{HeaderValue, ParseError, ParseErrorKind, scan, value};

/// ```text
/// challenge  =  auth-scheme LWS auth-param *(COMMA auth-param)
/// auth-param =  token EQUAL ( token / quoted-string )
/// ```
///
/// Its commas divide parameters, never values of the field (RFC 3261 §7.3.1).
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct AuthParams {
    text: Bytes,
    scheme: u32,
}

struct Param {
    name: (usize, usize),
    value: (usize, usize),
    end: usize,
}

impl AuthParams {
    pub(crate) fn new<'a>(
        scheme: &str,
        params: impl IntoIterator<Item = (&'a str, &'a str, bool)>,
    ) -> Result<Self, ParseError> {
        let mut text = Vec::with_capacity(256);
        if !scheme.is_empty() {
            if !scan::is_token(scheme.as_bytes()) {
                return Err(ParseError::new(ParseErrorKind::Malformed, 0));
            }
            text.extend_from_slice(scheme.as_bytes());
        }
        let mut first = true;
        for (name, content, quoted) in params {
            if !first {
                text.extend_from_slice(b", ");
            } else if !text.is_empty() {
                text.push(b' ');
            }
            first = false;
            if !scan::is_token(name.as_bytes()) {
                return Err(ParseError::new(ParseErrorKind::Malformed, text.len()));
            }
            value::check(content.as_bytes())?;
            text.extend_from_slice(name.as_bytes());
            text.push(b'=');
            if quoted {
                scan::quote(content.as_bytes(), &mut text);
            } else if !content.is_empty()
                && scan::run(content.as_bytes(), 0, scan::VALUE) == content.len()
            {
                text.extend_from_slice(content.as_bytes());
            } else {
                return Err(ParseError::new(ParseErrorKind::Malformed, text.len()));
            }
        }
        Self::parse(&HeaderValue::written(text), !scheme.is_empty())
    }

    pub(crate) fn parse(value: &HeaderValue, with_scheme: bool) -> Result<Self, ParseError> {
        let text = value.as_bytes();
        let scheme = if with_scheme { scheme_end(text)? } else { 0 };
        let mut at = scan::skip_lws(text, scheme);
        // A scheme of its own may carry one bare value instead of parameters (RFC 9110 §11.2: token68).
        let is_digest = !with_scheme || text[..scheme].eq_ignore_ascii_case(b"digest");
        if !is_digest && read(text, at).is_err() {
            at = text.len();
        }
        while let Some((_, rest)) = next(text, at)? {
            at = rest;
        }
        let scheme =
            u32::try_from(scheme).map_err(|_| ParseError::new(ParseErrorKind::OutOfRange, 0))?;
        Ok(Self {
            text: value.bytes().clone(),
            scheme,
        })
    }

    pub(crate) fn scheme(&self) -> &str {
        scan::ascii(&self.text[..self.scheme as usize])
    }

    fn iter(&self) -> impl Iterator<Item = Param> {
        let text = &self.text;
        let mut at = self.scheme as usize;
        std::iter::from_fn(move || {
            let (param, rest) = next(text, at).ok()??;
            at = rest;
            Some(param)
        })
    }

    pub(crate) fn param_raw(&self, name: &str) -> Option<&[u8]> {
        self.iter()
            .find(|param| {
                self.text[param.name.0..param.name.1].eq_ignore_ascii_case(name.as_bytes())
            })
            .map(|param| &self.text[param.value.0..param.value.1])
    }

    pub(crate) fn param(&self, name: &str) -> Option<Cow<'_, str>> {
        self.param_raw(name)
            .map(|raw| scan::lossy(scan::unquote(raw)))
    }

    pub(crate) fn params(&self) -> impl Iterator<Item = (&str, Cow<'_, str>, bool)> {
        self.iter().map(|param| {
            let raw = &self.text[param.value.0..param.value.1];
            (
                scan::ascii(&self.text[param.name.0..param.name.1]),
                scan::lossy(scan::unquote(raw)),
                raw.first() == Some(&b'"'),
            )
        })
    }

    pub(crate) fn value(&self) -> HeaderValue {
        HeaderValue::from_wire(self.text.clone())
    }
}

/// A scheme with its parameters, borrowing from the message it stands in: `Digest username="bob", …`.
///
/// Its parameters are read in one pass, and checked as they are read.
///
/// ```
/// use bytes::Bytes;
/// use sip_message::{Request, headers::Authorization};
///
/// let request = Request::parse(Bytes::from_static(
///     b"REGISTER sip:a SIP/2.0\r\nAuthorization: Digest username=\"bob\", nc=00000001\r\n\r\n",
/// ))?;
/// let view = request.headers().view::<Authorization>().expect("is there")?;
/// assert!(view.is_scheme("digest"));
/// let names: Result<Vec<_>, _> = view.params().map(|param| param.map(|param| param.name())).collect();
/// assert_eq!(names?, ["username", "nc"]);
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AuthView<'a> {
    text: &'a [u8],
    scheme: usize,
    /// Nothing is escaped or folded
    is_plain: bool,
}

impl<'a> AuthView<'a> {
    pub(crate) fn read(text: &'a [u8]) -> Result<Self, ParseError> {
        let scheme = scheme_end(text)?;
        Ok(Self {
            text,
            scheme,
            is_plain: memchr::memchr2(b'\\', b'\n', text).is_none(),
        })
    }

    /// The scheme as written: `Digest`.
    pub fn scheme(&self) -> &'a str {
        scan::ascii(&self.text[..self.scheme])
    }

    /// Whether the scheme is this one, without regard to case.
    pub fn is_scheme(&self, scheme: &str) -> bool {
        self.text[..self.scheme].eq_ignore_ascii_case(scheme.as_bytes())
    }

    /// The parameters in order; behind an error there are no more.
    pub fn params(&self) -> impl Iterator<Item = Result<AuthParam<'a>, ParseError>> + use<'a> {
        let (text, is_plain) = (self.text, self.is_plain);
        let mut at = self.scheme;
        std::iter::from_fn(move || match next(text, at) {
            Ok(Some((param, rest))) => {
                at = rest;
                Some(Ok(AuthParam {
                    name: &text[param.name.0..param.name.1],
                    raw: &text[param.value.0..param.value.1],
                    is_plain,
                }))
            }
            Ok(None) => None,
            Err(error) => {
                at = text.len();
                Some(Err(error))
            }
        })
    }
}

/// A parameter of an [`AuthView`].
#[derive(Clone, Copy, Debug)]
pub struct AuthParam<'a> {
    name: &'a [u8],
    raw: &'a [u8],
    is_plain: bool,
}

impl<'a> AuthParam<'a> {
    /// The name as written.
    pub fn name(&self) -> &'a str {
        scan::ascii(self.name)
    }

    /// Whether the name is this one, without regard to case.
    pub const fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value as written, quotes included.
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The value, unquoted. It borrows, unless something in it was escaped, folded, or no UTF-8.
    pub fn value(&self) -> Cow<'a, str> {
        scan::lossy(self.octets())
    }

    /// The value, unquoted, whether it is text or not. It borrows, unless something in it was escaped or folded.
    pub fn octets(&self) -> Cow<'a, [u8]> {
        match self.raw {
            [b'"', content @ .., b'"'] if self.is_plain => Cow::Borrowed(content),
            raw if self.is_plain => Cow::Borrowed(raw),
            raw => scan::unquote(raw),
        }
    }
}

/// The end of the scheme, behind which nothing or white space stands.
fn scheme_end(text: &[u8]) -> Result<usize, ParseError> {
    let end = scan::run(text, 0, scan::TOKEN);
    match text.get(end) {
        _ if text.is_empty() => Err(ParseError::new(ParseErrorKind::Empty, 0)),
        _ if end == 0 => Err(ParseError::new(ParseErrorKind::Malformed, 0)),
        Some(&behind) if !scan::is(behind, scan::LWS) => {
            Err(ParseError::new(ParseErrorKind::Malformed, end))
        }
        _ => Ok(end),
    }
}

/// The parameter at or behind `at`, and where the comma or the end behind it is.
#[inline]
fn next(text: &[u8], at: usize) -> Result<Option<(Param, usize)>, ParseError> {
    let mut at = scan::skip_lws(text, at);
    while scan::byte(text, at) == b',' {
        at = scan::skip_lws(text, at + 1);
    }
    if at >= text.len() {
        return Ok(None);
    }
    let param = read(text, at)?;
    let rest = scan::skip_lws(text, param.end);
    match text.get(rest) {
        None | Some(b',') => Ok(Some((param, rest))),
        Some(_) => Err(ParseError::new(ParseErrorKind::Malformed, rest)),
    }
}

#[inline]
fn read(text: &[u8], at: usize) -> Result<Param, ParseError> {
    let name_end = scan::run(text, at, scan::TOKEN);
    if name_end == at {
        return Err(ParseError::new(ParseErrorKind::Malformed, at));
    }
    let equal = scan::skip_lws(text, name_end);
    if scan::byte(text, equal) != b'=' {
        return Err(ParseError::new(ParseErrorKind::Malformed, equal));
    }
    let value = scan::skip_lws(text, equal + 1);
    let end = crate::params::value_end(text, value)?;
    Ok(Param {
        name: (at, name_end),
        value: (value, end),
        end,
    })
}

/// A field that is a scheme and parameters: credentials and challenges.
macro_rules! auth_field {
    ($(#[$doc:meta])* $type:ident, $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $type($crate::headers::auth::AuthParams);

        impl $type {
            /// A scheme and its parameters in order: name, value, and whether the value is quoted.
            ///
            /// # Errors
            /// If the scheme or a name is not a token, an unquoted value is empty or has a comma, quote or white space, or a
            /// value has a control character.
            pub fn new<'a>(
                scheme: &str,
                params: impl IntoIterator<Item = (&'a str, &'a str, bool)>,
            ) -> Result<Self, $crate::ParseError> {
                $crate::headers::auth::AuthParams::new(scheme, params)
                    .map(Self)
                    .map_err(|error| error.within(&$crate::HeaderName::$name, 0))
            }

            /// The scheme as written: `Digest`.
            pub fn scheme(&self) -> &str {
                self.0.scheme()
            }

            /// Whether the scheme is this one, without regard to case.
            pub fn is_scheme(&self, scheme: &str) -> bool {
                self.0.scheme().eq_ignore_ascii_case(scheme)
            }

            /// The value of a parameter, unquoted; its name is compared without regard to case.
            pub fn param(&self, name: &str) -> Option<std::borrow::Cow<'_, str>> {
                self.0.param(name)
            }

            /// The value of a parameter as written, quotes included.
            pub fn param_raw(&self, name: &str) -> Option<&[u8]> {
                self.0.param_raw(name)
            }

            /// All parameters in order: name, unquoted value, and whether it was quoted.
            pub fn params(&self) -> impl Iterator<Item = (&str, std::borrow::Cow<'_, str>, bool)> {
                self.0.params()
            }
        }

        impl $crate::HeaderField for $type {
            const NAME: $crate::HeaderName = $crate::HeaderName::$name;

            fn parse(value: &$crate::HeaderValue) -> Result<Self, $crate::ParseError> {
                $crate::headers::auth::AuthParams::parse(value, true).map(Self)
            }

            fn value(&self) -> $crate::HeaderValue {
                self.0.value()
            }
        }

        impl $crate::ViewField for $type {
            type View<'a> = $crate::headers::AuthView<'a>;

            fn view(text: &[u8]) -> Result<($crate::headers::AuthView<'_>, usize), $crate::ParseError> {
                $crate::headers::AuthView::read(text).map(|view| (view, text.len()))
            }
        }

        display_as_value!($type);
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_says_what_the_whole_field_says() {
        for text in [
            r#"Digest username="a \"b\" c", realm="x, y",nc=1 ,  qop = auth"#,
            "Digest",
            "Digest ,, a=b,,",
            "Digest a=\"one\r\n two\",b=c",
            "Digest a=\"\u{e4}\", b=\"0123456789abcdef0123456789abcdef\\\\\"",
            "Digest a=b c=d",
            r#"Digest a="b"#,
            r#"Digest a="b\"#,
            "Digest a",
            "Digest =b",
            "Digest a=",
            "",
            ",",
            "Digest,a=b",
        ] {
            let value = HeaderValue::from_wire(Bytes::copy_from_slice(text.as_bytes()));
            let whole = AuthParams::parse(&value, true);
            let viewed = AuthView::read(text.as_bytes()).and_then(|view| {
                let params: Result<Vec<_>, _> = view.params().collect();
                params.map(|params| (view.scheme(), params))
            });
            match (&whole, &viewed) {
                (Ok(whole), Ok((scheme, params))) => {
                    assert_eq!(whole.scheme(), *scheme, "{text}");
                    let whole: Vec<_> = whole
                        .params()
                        .map(|(name, value, _)| (name, value))
                        .collect();
                    let params: Vec<_> = params
                        .iter()
                        .inspect(|param| {
                            assert!(param.is(&param.name().to_uppercase()), "{text}");
                            assert_eq!(param.value(), scan::lossy(param.octets()), "{text}");
                        })
                        .map(|param| (param.name(), param.value()))
                        .collect();
                    assert_eq!(whole, params, "{text}");
                }
                (Err(one), Err(other)) => assert_eq!(one, other, "{text}"),
                _ => panic!(
                    "{text}: {whole:?} {viewed:?}",
                    whole = whole.is_ok(),
                    viewed = viewed.is_ok()
                ),
            }
        }
    }
}
