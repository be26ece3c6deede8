//! `Call-ID: f81d4fae-7dec-11d0-a765-00a0c91e6bf6@biloxi.com`

use bytes::Bytes;

use crate::{HeaderField, HeaderName, HeaderValue, ParseError, ParseErrorKind, ViewField, scan};

/// What groups the messages of a dialog or registration (RFC 3261 §20.8); compared byte for byte.
///
/// ```text
/// Call-ID  =  ( "Call-ID" / "i" ) HCOLON callid
/// callid   =  word [ "@" word ]
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(Bytes);

impl CallId {
    /// Checks the characters.
    ///
    /// # Errors
    /// If it is not `word [ "@" word ]`.
    pub fn new(text: impl AsRef<str>) -> Result<Self, ParseError> {
        let text = HeaderValue::new(text.as_ref()).map_err(|error| error.within(&HeaderName::CALL_ID, 0))?;
        Self::parse(&text).map_err(|error| error.within(&HeaderName::CALL_ID, 0))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        scan::ascii(&self.0)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl HeaderField for CallId {
    const NAME: HeaderName = HeaderName::CALL_ID;

    fn parse(value: &HeaderValue) -> Result<Self, ParseError> {
        Self::take(value.clone())
    }

    fn take(value: HeaderValue) -> Result<Self, ParseError> {
        check(value.as_bytes())?;
        Ok(Self(value.into_bytes()))
    }

    fn value(&self) -> HeaderValue {
        HeaderValue::from_wire(self.0.clone())
    }
}

impl ViewField for CallId {
    type View<'a> = &'a str;

    #[inline]
    fn view(line: &[u8]) -> Result<(&str, usize), ParseError> {
        check(line)?;
        Ok((scan::ascii(line), line.len()))
    }
}

fn check(text: &[u8]) -> Result<(), ParseError> {
    if text.is_empty() {
        return Err(ParseError::new(ParseErrorKind::Empty, 0));
    }
    let mut end = scan::run(text, 0, scan::WORD);
    if end > 0 && scan::byte(text, end) == b'@' {
        let host = end + 1;
        end = scan::run(text, host, scan::WORD);
        if end == host {
            return Err(ParseError::new(ParseErrorKind::Malformed, end));
        }
    }
    if end < text.len() { Err(ParseError::new(ParseErrorKind::Malformed, end)) } else { Ok(()) }
}

impl AsRef<str> for CallId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for CallId {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for CallId {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

display_as_value!(CallId);
