//! Header values as bytes.

use std::{borrow::Cow, fmt};

use bytes::Bytes;

use crate::{ParseError, ParseErrorKind, Token, scan};

/// The value of a header field, as bytes that cannot leave their field.
///
/// A value that is made here has no CR, LF or NUL. A value that came in a message may be folded over several lines (RFC 3261
/// §7.3.1), which stays inside the field as well and is kept, so that copying it changes nothing.
///
/// ```
/// use sip_message::HeaderValue;
///
/// assert!(HeaderValue::new("lunch").is_ok());
/// assert!(HeaderValue::new("lunch\r\nRoute: <sip:evil.example>").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HeaderValue(Bytes);

impl HeaderValue {
    /// Checks the bytes; white space around them is dropped.
    ///
    /// # Errors
    /// If there is a CR, LF, NUL or another control character but HT.
    pub fn new(value: impl AsRef<[u8]>) -> Result<Self, ParseError> {
        let value = scan::trim(value.as_ref());
        check(value)?;
        Ok(Self(Bytes::copy_from_slice(value)))
    }

    /// As [`HeaderValue::new`], of bytes that are given away.
    ///
    /// # Errors
    /// As [`HeaderValue::new`].
    pub fn from_vec(value: Vec<u8>) -> Result<Self, ParseError> {
        if scan::trim(&value).len() < value.len() {
            return Self::new(value);
        }
        check(&value)?;
        Ok(Self(value.into()))
    }

    /// A value that is known when the program is compiled.
    ///
    /// # Panics
    /// If it has a control character; in a constant that is an error of compilation.
    pub const fn from_static(value: &'static str) -> Self {
        let bytes = value.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            assert!(
                (bytes[at] >= b' ' && bytes[at] != 0x7f) || bytes[at] == b'\t',
                "control character in a header value"
            );
            at += 1;
        }
        Self(Bytes::from_static(bytes))
    }

    /// Bytes that the message parser has checked.
    pub(crate) const fn from_wire(value: Bytes) -> Self {
        Self(value)
    }

    /// Text that a typed value has written: its parts were checked when it was made.
    pub(crate) fn written(value: impl Into<Bytes>) -> Self {
        Self(value.into())
    }

    /// The bytes as they stand in the message.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As text with folds replaced by a space; octets that are not UTF-8 are replaced by U+FFFD.
    pub fn text(&self) -> Cow<'_, str> {
        scan::lossy(scan::unfold(&self.0))
    }

    /// As text, if it is UTF-8.
    pub fn to_str(&self) -> Option<&str> {
        str::from_utf8(&self.0).ok()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) const fn bytes(&self) -> &Bytes {
        &self.0
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        self.0
    }

    /// The value up to a place in it.
    pub(crate) fn truncated(mut self, end: usize) -> Self {
        self.0.truncate(end);
        self
    }

    /// The value between two places in this one.
    pub(crate) fn slice(&self, start: usize, end: usize) -> Self {
        Self(self.0.slice(start..end))
    }
}

/// Nothing that could end the field.
pub(crate) fn check(value: &[u8]) -> Result<(), ParseError> {
    let mut at = scan::control(value, 0);
    while value.get(at) == Some(&b'\t') {
        at = scan::control(value, at + 1);
    }
    if at < value.len() {
        Err(ParseError::new(ParseErrorKind::Control, at))
    } else {
        Ok(())
    }
}

impl From<&Token> for HeaderValue {
    fn from(token: &Token) -> Self {
        Self(token.bytes().clone())
    }
}

impl From<Token> for HeaderValue {
    fn from(token: Token) -> Self {
        Self(token.bytes().clone())
    }
}

impl From<u32> for HeaderValue {
    fn from(number: u32) -> Self {
        match usize::try_from(number) {
            Ok(small) if small < 256 => {
                let digits = if small < 10 {
                    1
                } else if small < 100 {
                    2
                } else {
                    3
                };
                Self(Bytes::from_static(
                    &SMALL[small * 3 + 3 - digits..small * 3 + 3],
                ))
            }
            _ => Self(Bytes::from(number.to_string())),
        }
    }
}

/// The numbers that Max-Forwards and short bodies need, three digits each.
static SMALL: [u8; 768] = {
    let mut table = [0; 768];
    let mut number = 0;
    while number < 256 {
        table[number * 3] = b'0' + (number / 100) as u8;
        table[number * 3 + 1] = b'0' + (number / 10 % 10) as u8;
        table[number * 3 + 2] = b'0' + (number % 10) as u8;
        number += 1;
    }
    table
};

impl TryFrom<&str> for HeaderValue {
    type Error = ParseError;

    fn try_from(text: &str) -> Result<Self, ParseError> {
        Self::new(text)
    }
}

impl std::str::FromStr for HeaderValue {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::new(text)
    }
}

impl AsRef<[u8]> for HeaderValue {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq<str> for HeaderValue {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for HeaderValue {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl fmt::Debug for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text())
    }
}

impl fmt::Display for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}
