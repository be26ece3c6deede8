//! Tokens and tags.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use bytes::Bytes;

use crate::{HeaderValue, ParseError, ParseErrorKind, scan};

/// A `token` (RFC 3261 §25.1): letters, digits and a little punctuation, compared without regard to case (§7.3.1).
///
/// ```
/// use sip_message::Token;
///
/// assert_eq!(Token::new("100rel")?, Token::new("100REL")?);
/// assert!(Token::new("two words").is_err());
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Clone)]
pub struct Token(Bytes);

impl Token {
    /// Checks the characters.
    ///
    /// # Errors
    /// If `text` is empty or has a character that a token cannot have.
    pub fn new(text: &str) -> Result<Self, ParseError> {
        Self::from_bytes(Bytes::copy_from_slice(text.as_bytes()))
    }

    /// A token that is known when the program is compiled.
    ///
    /// # Panics
    /// If `text` is not a token; in a constant that is an error of compilation.
    pub const fn from_static(text: &'static str) -> Self {
        let bytes = text.as_bytes();
        assert!(!bytes.is_empty(), "a token is not empty");
        let mut at = 0;
        while at < bytes.len() {
            assert!(scan::is(bytes[at], scan::TOKEN), "not a token");
            at += 1;
        }
        Self(Bytes::from_static(bytes))
    }

    /// A header value that is one token.
    ///
    /// # Errors
    /// If it is not.
    pub fn parse(value: &HeaderValue) -> Result<Self, ParseError> {
        Self::from_bytes(value.bytes().clone())
    }

    pub(crate) fn from_bytes(text: Bytes) -> Result<Self, ParseError> {
        let end = scan::run(&text, 0, scan::TOKEN);
        if text.is_empty() {
            Err(ParseError::new(ParseErrorKind::Empty, 0))
        } else if end < text.len() {
            Err(ParseError::new(ParseErrorKind::Malformed, end))
        } else {
            Ok(Self(text))
        }
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        scan::ascii(&self.0)
    }

    pub(crate) const fn bytes(&self) -> &Bytes {
        &self.0
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Token {}

impl Hash for Token {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in &self.0 {
            state.write_u8(byte.to_ascii_lowercase());
        }
        state.write_u8(0xff);
    }
}

impl PartialEq<str> for Token {
    fn eq(&self, other: &str) -> bool {
        self.as_str().eq_ignore_ascii_case(other)
    }
}

impl PartialEq<&str> for Token {
    fn eq(&self, other: &&str) -> bool {
        self.as_str().eq_ignore_ascii_case(other)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl AsRef<str> for Token {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl std::str::FromStr for Token {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::new(text)
    }
}

/// The tag of a From or To (RFC 3261 §19.3): with the Call-ID, one end of a dialog.
///
/// Tags are tokens and compare as tokens do, without regard to case.
///
/// ```
/// use sip_message::Tag;
///
/// let tag = Tag::new("9fxced76sl")?;
/// assert_eq!(tag.as_str(), "9fxced76sl");
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Tag(Token);

impl Tag {
    /// Checks the characters.
    ///
    /// # Errors
    /// If `text` is not a token.
    pub fn new(text: &str) -> Result<Self, ParseError> {
        Token::new(text)
            .map(Self)
            .map_err(|error| error.in_part("tag", 0))
    }

    pub(crate) fn from_bytes(text: Bytes) -> Option<Self> {
        Token::from_bytes(text).ok().map(Self)
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// As [`Tag::as_str`], as bytes: for readers that only compare.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl AsRef<str> for Tag {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Tag {
    fn eq(&self, other: &str) -> bool {
        self.0 == *other
    }
}

impl PartialEq<&str> for Tag {
    fn eq(&self, other: &&str) -> bool {
        self.0 == **other
    }
}

impl std::str::FromStr for Tag {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::new(text)
    }
}
