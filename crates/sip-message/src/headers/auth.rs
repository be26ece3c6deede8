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
        let mut scheme = 0;
        if with_scheme {
            scheme = scan::run(text, 0, scan::TOKEN);
            if scheme == 0 {
                let kind = if text.is_empty() {
                    ParseErrorKind::Empty
                } else {
                    ParseErrorKind::Malformed
                };
                return Err(ParseError::new(kind, 0));
            }
            if scheme < text.len() && !scan::is(text[scheme], scan::LWS) {
                return Err(ParseError::new(ParseErrorKind::Malformed, scheme));
            }
        }
        let mut at = scan::skip_lws(text, scheme);
        // A scheme of its own may carry one bare value instead of parameters (RFC 9110 §11.2: token68).
        let is_digest = !with_scheme || text[..scheme].eq_ignore_ascii_case(b"digest");
        if !is_digest && read(text, at).is_err() {
            at = text.len();
        }
        while at < text.len() {
            if text[at] == b',' {
                at = scan::skip_lws(text, at + 1);
                continue;
            }
            let end = read(text, at)?.end;
            at = scan::skip_lws(text, end);
            match text.get(at) {
                None => break,
                Some(b',') => at = scan::skip_lws(text, at + 1),
                Some(_) => return Err(ParseError::new(ParseErrorKind::Malformed, at)),
            }
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
        let mut at = scan::skip_lws(text, self.scheme as usize);
        std::iter::from_fn(move || {
            while scan::byte(text, at) == b',' {
                at = scan::skip_lws(text, at + 1);
            }
            let param = read(text, at).ok()?;
            at = scan::skip_lws(text, param.end);
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
