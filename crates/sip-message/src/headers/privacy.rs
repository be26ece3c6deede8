//! `Privacy: id;critical`

use bytes::Bytes;

use crate::{HeaderField, HeaderName, HeaderValue, ParseError, ParseErrorKind, scan};

/// What a privacy service shall hide (RFC 3323 §4.2, RFC 3325 §9.3).
///
/// ```text
/// Privacy-hdr  =  "Privacy" HCOLON priv-value *(";" priv-value)
/// priv-value   =  "header" / "session" / "user" / "none" / "critical" / "id" / token
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Privacy(Bytes);

impl Privacy {
    /// Values in order.
    ///
    /// # Errors
    /// If there is none, or one is not a token.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<Self, ParseError> {
        let values: Vec<_> = values.into_iter().collect();
        values.join(";").parse()
    }

    /// The values in order, as written.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        split(&self.0).map(|value| scan::ascii(scan::trim(value))).filter(|value| !value.is_empty())
    }

    /// Whether the value is there, without regard to case.
    pub fn contains(&self, value: &str) -> bool {
        self.iter().any(|known| known.eq_ignore_ascii_case(value))
    }
}

/// Commas are not in the grammar, but in many messages.
fn split(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|b| b";,".contains(b))
}

impl HeaderField for Privacy {
    const NAME: HeaderName = HeaderName::PRIVACY;

    fn parse(value: &HeaderValue) -> Result<Self, ParseError> {
        if value.is_empty() {
            return Err(ParseError::new(ParseErrorKind::Empty, 0));
        }
        let mut at = 0;
        for part in split(value.as_bytes()) {
            if !scan::is_token(scan::trim(part)) {
                return Err(ParseError::malformed(at));
            }
            at += part.len() + 1;
        }
        Ok(Self(value.bytes().clone()))
    }

    fn value(&self) -> HeaderValue {
        HeaderValue::from_wire(self.0.clone())
    }
}

display_as_value!(Privacy);
