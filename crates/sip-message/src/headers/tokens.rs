//! Lists of tokens.

use bytes::Bytes;

use crate::{HeaderValue, ParseError, ParseErrorKind, scan};

/// `[token *(COMMA token)]`, kept as written.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Tokens(Bytes);

impl Tokens {
    pub(crate) fn new<I, T>(tokens: I) -> Result<Self, ParseError>
    where
        I: IntoIterator<Item = T>,
        T: AsRef<str>,
    {
        let mut text = Vec::new();
        for token in tokens {
            let token = token.as_ref();
            if !scan::is_token(token.as_bytes()) {
                return Err(ParseError::new(ParseErrorKind::Malformed, text.len()));
            }
            if !text.is_empty() {
                text.extend_from_slice(b", ");
            }
            text.extend_from_slice(token.as_bytes());
        }
        Ok(Self::written(text))
    }

    /// Text that is a list of tokens.
    pub(crate) fn written(text: Vec<u8>) -> Self {
        Self(text.into())
    }

    pub(crate) fn parse(value: &HeaderValue) -> Result<Self, ParseError> {
        let text = value.as_bytes();
        let mut at = scan::skip_lws(text, 0);
        while at < text.len() {
            let end = scan::run(text, at, scan::TOKEN);
            if end == at {
                // An empty element between commas says nothing and costs nothing (RFC 9110 §5.6.1.2 has the same rule).
                if text[at] != b',' {
                    return Err(ParseError::new(ParseErrorKind::Malformed, at));
                }
                at = scan::skip_lws(text, at + 1);
                continue;
            }
            at = scan::skip_lws(text, end);
            match text.get(at) {
                None => break,
                Some(b',') => at = scan::skip_lws(text, at + 1),
                Some(_) => return Err(ParseError::new(ParseErrorKind::Malformed, at)),
            }
        }
        Ok(Self(value.bytes().clone()))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0
            .split(|&b| b == b',')
            .map(|token| scan::ascii(scan::trim(token)))
            .filter(|token| !token.is_empty())
    }

    pub(crate) fn contains(&self, token: &str) -> bool {
        self.iter().any(|known| known.eq_ignore_ascii_case(token))
    }

    pub(crate) fn value(&self) -> HeaderValue {
        HeaderValue::from_wire(self.0.clone())
    }
}

/// A field that is a list of tokens.
macro_rules! token_list_field {
    ($(#[$doc:meta])* $type:ident, $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $type($crate::headers::tokens::Tokens);

        impl $type {
            /// A list of tokens.
            ///
            /// # Errors
            /// If one of them is not a token.
            pub fn new<I, T>(tokens: I) -> Result<Self, $crate::ParseError>
            where
                I: IntoIterator<Item = T>,
                T: AsRef<str>,
            {
                $crate::headers::tokens::Tokens::new(tokens).map(Self)
            }

            /// The tokens in order, as written.
            pub fn iter(&self) -> impl Iterator<Item = &str> {
                self.0.iter()
            }

            /// Whether the token is in the list, without regard to case.
            pub fn contains(&self, token: impl AsRef<str>) -> bool {
                self.0.contains(token.as_ref())
            }

            /// How many tokens there are.
            pub fn len(&self) -> usize {
                self.0.iter().count()
            }

            /// Whether the list is empty, which for some fields means "nothing at all".
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }
        }

        impl $crate::HeaderField for $type {
            const NAME: $crate::HeaderName = $crate::HeaderName::$name;
            const SHAPE: $crate::Shape = $crate::Shape::Joined;

            fn parse(value: &$crate::HeaderValue) -> Result<Self, $crate::ParseError> {
                $crate::headers::tokens::Tokens::parse(value).map(Self)
            }

            fn value(&self) -> $crate::HeaderValue {
                self.0.value()
            }
        }

        display_as_value!($type);
    };
}
