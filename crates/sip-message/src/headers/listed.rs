//! Lists of parameters divided by semicolons.

use std::borrow::Cow;

use bytes::Bytes;

use crate::{HeaderValue, ParseError, ParseErrorKind, params, scan, value};

/// `param *( SEMI param )`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ParamList {
    /// With a semicolon before the first one, so that all look alike.
    text: Bytes,
}

impl ParamList {
    pub(crate) fn new<'a>(
        list: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<Self, ParseError> {
        let mut text = Vec::new();
        for (name, content) in list {
            if !scan::is_token(name.as_bytes()) {
                return Err(ParseError::new(ParseErrorKind::Malformed, text.len()));
            }
            value::check(content.unwrap_or("").as_bytes())?;
            params::write(name, content, &mut text);
        }
        Self::checked(text.into())
    }

    pub(crate) fn parse(value: &HeaderValue) -> Result<Self, ParseError> {
        let mut text = Vec::with_capacity(value.len() + 1);
        text.push(b';');
        text.extend_from_slice(value.as_bytes());
        Self::checked(text.into())
    }

    fn checked(text: Bytes) -> Result<Self, ParseError> {
        if text.len() <= 1 {
            return Err(ParseError::new(ParseErrorKind::Empty, 0));
        }
        params::check(&text, 0)?;
        Ok(Self { text })
    }

    pub(crate) fn param(&self, name: &str) -> Option<Option<Cow<'_, str>>> {
        params::get(&self.text, (0, self.text.len()), name)
    }

    pub(crate) fn params(&self) -> impl Iterator<Item = (&str, Option<Cow<'_, str>>)> {
        params::iter(&self.text, (0, self.text.len())).map(|param| {
            let value = param
                .value
                .map(|(start, end)| scan::lossy(scan::unquote(&self.text[start..end])));
            (scan::ascii(&self.text[param.name.0..param.name.1]), value)
        })
    }

    pub(crate) fn value(&self) -> HeaderValue {
        HeaderValue::from_wire(self.text.slice(1..))
    }
}

/// A field that is a list of parameters, the first without a semicolon.
macro_rules! params_field {
    ($(#[$doc:meta])* $type:ident, $name:ident, $shape:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $type($crate::headers::listed::ParamList);

        impl $type {
            /// Names and values in order; values that are no tokens are quoted.
            ///
            /// # Errors
            /// If there is none, if a name is not a token, or if a value has a control character.
            pub fn new<'a>(
                params: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
            ) -> Result<Self, $crate::ParseError> {
                $crate::headers::listed::ParamList::new(params)
                    .map(Self)
                    .map_err(|error| error.within(&$crate::HeaderName::$name, 0))
            }

            /// A parameter, unquoted: `None` if it is absent, `Some(None)` if it has no value.
            pub fn param(&self, name: &str) -> Option<Option<std::borrow::Cow<'_, str>>> {
                self.0.param(name)
            }

            /// All parameters in order, unquoted.
            pub fn params(&self) -> impl Iterator<Item = (&str, Option<std::borrow::Cow<'_, str>>)> {
                self.0.params()
            }
        }

        impl $crate::HeaderField for $type {
            const NAME: $crate::HeaderName = $crate::HeaderName::$name;
            const SHAPE: $crate::Shape = $crate::Shape::$shape;

            fn parse(value: &$crate::HeaderValue) -> Result<Self, $crate::ParseError> {
                $crate::headers::listed::ParamList::parse(value).map(Self)
            }

            fn value(&self) -> $crate::HeaderValue {
                self.0.value()
            }
        }

        display_as_value!($type);
    };
}
