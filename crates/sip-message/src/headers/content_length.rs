//! `Content-Length: 349`

use crate::{HeaderField, HeaderName, HeaderValue, ParseError, ViewField, headers::number};

/// The size of the body in bytes (RFC 3261 §20.14).
///
/// ```text
/// Content-Length  =  ( "Content-Length" / "l" ) HCOLON 1*DIGIT
/// ```
///
/// It is written with the body; there is no need to set it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentLength(pub u32);

impl HeaderField for ContentLength {
    const NAME: HeaderName = HeaderName::CONTENT_LENGTH;

    fn parse(value: &HeaderValue) -> Result<Self, ParseError> {
        Self::view(value.as_bytes()).map(|(field, _)| field)
    }

    fn value(&self) -> HeaderValue {
        HeaderValue::from(self.0)
    }
}

impl ViewField for ContentLength {
    type View<'a> = Self;

    #[inline]
    fn view(text: &[u8]) -> Result<(Self, usize), ParseError> {
        number::exact(text).map(|length| (Self(length), text.len()))
    }
}

display_as_value!(ContentLength);
