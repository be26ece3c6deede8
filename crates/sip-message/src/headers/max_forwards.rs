//! `Max-Forwards: 70`

use crate::{HeaderField, HeaderName, HeaderValue, ParseError, ViewField, headers::number};

/// How many more proxies the request may pass (RFC 3261 §20.22).
///
/// ```text
/// Max-Forwards  =  "Max-Forwards" HCOLON 1*DIGIT
/// ```
///
/// More than 255, which the RFC does not allow, is read as 255 (RFC 4475 §3.1.2.4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MaxForwards(pub u8);

impl Default for MaxForwards {
    /// 70 (RFC 3261 §8.1.1.6).
    fn default() -> Self {
        Self(70)
    }
}

impl HeaderField for MaxForwards {
    const NAME: HeaderName = HeaderName::MAX_FORWARDS;

    fn parse(value: &HeaderValue) -> Result<Self, ParseError> {
        Self::view(value.as_bytes()).map(|(field, _)| field)
    }

    fn value(&self) -> HeaderValue {
        HeaderValue::from(u32::from(self.0))
    }
}

impl ViewField for MaxForwards {
    type View<'a> = Self;

    #[inline]
    fn view(text: &[u8]) -> Result<(Self, usize), ParseError> {
        number::saturating(text).map(|hops| (Self(u8::try_from(hops).unwrap_or(u8::MAX)), text.len()))
    }
}

display_as_value!(MaxForwards);
