//! Fields that are one value with parameters behind it.

use std::borrow::Cow;

use bytes::Bytes;

use crate::{HeaderValue, ParseError, ParseErrorKind, params, scan};

/// `head *( SEMI generic-param )`, kept as written.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Valued {
    text: Bytes,
    head: u32,
    params: u32,
}

/// Finds the end of a head that starts at the beginning of the text.
pub(crate) type Head = fn(&[u8]) -> Result<usize, ParseError>;

impl Valued {
    pub(crate) fn new(head: &str, grammar: Head) -> Result<Self, ParseError> {
        let value = HeaderValue::new(head)?;
        match grammar(value.as_bytes())? {
            end if end == value.len() => Self::parse(&value, grammar),
            end => Err(ParseError::new(ParseErrorKind::Malformed, end)),
        }
    }

    pub(crate) fn parse(value: &HeaderValue, grammar: Head) -> Result<Self, ParseError> {
        let text = value.as_bytes();
        if text.is_empty() {
            return Err(ParseError::new(ParseErrorKind::Empty, 0));
        }
        let head = grammar(text)?;
        let params = params::check(text, head)?;
        let place =
            |at| u32::try_from(at).map_err(|_| ParseError::new(ParseErrorKind::OutOfRange, 0));
        Ok(Self {
            text: value.bytes().clone(),
            head: place(head)?,
            params: place(params)?,
        })
    }

    pub(crate) fn head(&self) -> &[u8] {
        &self.text[..self.head as usize]
    }

    pub(crate) fn head_str(&self) -> &str {
        str::from_utf8(self.head()).unwrap_or("")
    }

    fn region(&self) -> (usize, usize) {
        (self.head as usize, self.params as usize)
    }

    pub(crate) fn param(&self, name: &str) -> Option<Option<Cow<'_, str>>> {
        params::get(&self.text, self.region(), name)
    }

    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        super::number::saturating(params::raw(&self.text, self.region(), name)?).ok()
    }

    pub(crate) fn has_param(&self, name: &str) -> bool {
        params::find(&self.text, self.region(), name).is_some()
    }

    pub(crate) fn params(&self) -> impl Iterator<Item = (&str, Option<Cow<'_, str>>)> {
        params::iter(&self.text, self.region()).map(|param| {
            let value = param
                .value
                .map(|(start, end)| scan::lossy(scan::unquote(&self.text[start..end])));
            (scan::ascii(&self.text[param.name.0..param.name.1]), value)
        })
    }

    /// Sets a parameter; `None` removes it.
    pub(crate) fn set_param(&mut self, name: &str, value: Option<Option<&str>>) {
        let text = params::set(&self.text, self.region(), name, value);
        // The head did not change, and what was written follows the grammar of parameters.
        self.params = u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.text = text.into();
    }

    /// Sets a parameter to a quoted string, for values whose grammar asks for one.
    pub(crate) fn set_quoted_param(&mut self, name: &str, value: &str) {
        self.set_param(name, None);
        let mut text = self.text[..self.params as usize].to_vec();
        text.push(b';');
        params::write_token(name, &mut text);
        text.push(b'=');
        scan::quote(value.as_bytes(), &mut text);
        self.params = u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.text = text.into();
    }

    pub(crate) fn value(&self) -> HeaderValue {
        HeaderValue::from_wire(self.text.clone())
    }
}

fn ended(end: usize) -> Result<usize, ParseError> {
    if end == 0 {
        Err(ParseError::new(ParseErrorKind::Malformed, 0))
    } else {
        Ok(end)
    }
}

pub(crate) fn token(text: &[u8]) -> Result<usize, ParseError> {
    ended(scan::run(text, 0, scan::TOKEN))
}

pub(crate) fn digits(text: &[u8]) -> Result<usize, ParseError> {
    ended(
        text.iter()
            .position(|b| !b.is_ascii_digit())
            .unwrap_or(text.len()),
    )
}

pub(crate) fn star(text: &[u8]) -> Result<usize, ParseError> {
    ended(usize::from(text.first() == Some(&b'*')))
}

/// A token, a quoted string, or anything else that a parameter may have as its value.
pub(crate) fn any_value(text: &[u8]) -> Result<usize, ParseError> {
    params::value_end(text, 0)
}

/// `callid`.
pub(crate) fn call_id(text: &[u8]) -> Result<usize, ParseError> {
    let end = scan::run(text, 0, scan::WORD);
    match scan::byte(text, end) {
        b'@' if end > 0 => {
            let host = scan::run(text, end + 1, scan::WORD);
            if host == end + 1 {
                Err(ParseError::new(ParseErrorKind::Malformed, host))
            } else {
                Ok(host)
            }
        }
        _ => ended(end),
    }
}

/// `type/subtype`, either of which may be `*`.
pub(crate) fn media_range(text: &[u8]) -> Result<usize, ParseError> {
    let slash = scan::skip_lws(text, token(text)?);
    if scan::byte(text, slash) != b'/' {
        return Err(ParseError::new(ParseErrorKind::Malformed, slash));
    }
    let subtype = scan::skip_lws(text, slash + 1);
    let end = scan::run(text, subtype, scan::TOKEN);
    if end == subtype {
        Err(ParseError::new(ParseErrorKind::Malformed, end))
    } else {
        Ok(end)
    }
}

/// A field that is one value with parameters behind it; the accessor of the value has a name of its own.
macro_rules! valued_field {
    ($(#[$doc:meta])* $type:ident, $name:ident, $shape:ident, $grammar:ident, $(#[$accessor_doc:meta])* $accessor:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $type($crate::headers::valued::Valued);

        impl $type {
            /// The value without parameters.
            ///
            /// # Errors
            /// If it does not follow the grammar.
            pub fn new(value: &str) -> Result<Self, $crate::ParseError> {
                $crate::headers::valued::Valued::new(value, $crate::headers::valued::$grammar)
                    .map(Self)
                    .map_err(|error| error.within(&$crate::HeaderName::$name, 0))
            }

            $(#[$accessor_doc])*
            pub fn $accessor(&self) -> &str {
                self.0.head_str()
            }

            params_of_valued!();
        }

        valued_impl!($type, $name, $shape, $grammar);
    };
}

macro_rules! params_of_valued {
    () => {
        /// A parameter, unquoted: `None` if it is absent, `Some(None)` if it has no value.
        pub fn param(&self, name: &str) -> Option<Option<std::borrow::Cow<'_, str>>> {
            self.0.param(name)
        }

        /// Whether the parameter is there, with or without a value.
        pub fn has_param(&self, name: &str) -> bool {
            self.0.has_param(name)
        }

        /// All parameters in order, unquoted.
        pub fn params(&self) -> impl Iterator<Item = (&str, Option<std::borrow::Cow<'_, str>>)> {
            self.0.params()
        }

        /// The field with a parameter set; a value that is no token is quoted.
        #[must_use]
        pub fn with_param<'a>(mut self, name: &str, value: impl Into<Option<&'a str>>) -> Self {
            self.0.set_param(name, Some(value.into()));
            self
        }

        /// The field without a parameter.
        #[must_use]
        pub fn without_param(mut self, name: &str) -> Self {
            self.0.set_param(name, None);
            self
        }
    };
}

macro_rules! valued_impl {
    ($type:ident, $name:ident, $shape:ident, $grammar:ident) => {
        impl $crate::HeaderField for $type {
            const NAME: $crate::HeaderName = $crate::HeaderName::$name;
            const SHAPE: $crate::Shape = $crate::Shape::$shape;

            fn parse(value: &$crate::HeaderValue) -> Result<Self, $crate::ParseError> {
                $crate::headers::valued::Valued::parse(value, $crate::headers::valued::$grammar)
                    .map(Self)
            }

            fn value(&self) -> $crate::HeaderValue {
                self.0.value()
            }
        }

        display_as_value!($type);
    };
}

/// A field that is one number with parameters behind it.
macro_rules! numbered_field {
    ($(#[$doc:meta])* $type:ident, $name:ident, $(#[$accessor_doc:meta])* $accessor:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $type($crate::headers::valued::Valued);

        impl $type {
            /// The number without parameters.
            pub fn new(number: u32) -> Self {
                let value = $crate::HeaderValue::from(number);
                Self($crate::headers::valued::Valued::parse(&value, $crate::headers::valued::digits).expect("digits"))
            }

            $(#[$accessor_doc])*
            pub fn $accessor(&self) -> u32 {
                $crate::headers::number::saturating(self.0.head()).unwrap_or(u32::MAX)
            }

            params_of_valued!();
        }

        valued_impl!($type, $name, Single, digits);
    };
}
