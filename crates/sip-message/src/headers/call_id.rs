//! `Call-ID: f81d4fae-7dec-11d0-a765-00a0c91e6bf6@biloxi.com`

use bytes::Bytes;

use crate::{HeaderField, HeaderName, HeaderValue, ParseError, ParseErrorKind, ViewField, scan};

/// What groups the messages of a dialog or registration (RFC 3261 §20.8); compared byte for byte.
///
/// ```text
/// Call-ID  =  ( "Call-ID" / "i" ) HCOLON callid
/// callid   =  word [ "@" word ]
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId<T = Bytes>(T);

/// A Call-ID that borrows from the message it stands in.
pub type CallIdView<'a> = CallId<&'a [u8]>;

impl CallId {
    /// Checks the characters.
    ///
    /// # Errors
    /// If it is not `word [ "@" word ]`.
    pub fn new(text: impl AsRef<str>) -> Result<Self, ParseError> {
        let text = HeaderValue::new(text.as_ref()).map_err(|error| error.within(&HeaderName::CALL_ID, 0))?;
        Self::parse(&text).map_err(|error| error.within(&HeaderName::CALL_ID, 0))
    }
}

impl<T: AsRef<[u8]>> CallId<T> {
    /// The text.
    pub fn as_str(&self) -> &str {
        scan::ascii(self.as_bytes())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_ref()
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

    fn into_value(self) -> HeaderValue {
        HeaderValue::from_wire(self.0)
    }
}

impl ViewField for CallId {
    type View<'a> = CallIdView<'a>;

    #[inline]
    fn view(line: &[u8]) -> Result<(CallIdView<'_>, usize), ParseError> {
        check(line)?;
        Ok((CallId(line), line.len()))
    }
}

#[inline]
fn check(text: &[u8]) -> Result<(), ParseError> {
    let word = scan::run(text, 0, scan::WORD);
    let mut end = word;
    if word > 0 && scan::byte(text, word) == b'@' {
        end = scan::run(text, word + 1, scan::WORD);
    }
    // Behind an `@` there is another word.
    if end == text.len() && end > 0 && end != word + 1 {
        Ok(())
    } else {
        Err(wrong(text, end))
    }
}

#[cold]
fn wrong(text: &[u8], at: usize) -> ParseError {
    let kind = if text.is_empty() { ParseErrorKind::Empty } else { ParseErrorKind::Malformed };
    ParseError::new(kind, at)
}

impl<T: AsRef<[u8]>> AsRef<str> for CallId<T> {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl<T: AsRef<[u8]>> PartialEq<str> for CallId<T> {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<T: AsRef<[u8]>> PartialEq<&str> for CallId<T> {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

display_as_value!(CallId);
