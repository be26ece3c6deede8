//! `Timestamp: 54.21 0.5`

use crate::{HeaderField, HeaderName, HeaderValue, ParseError, ParseErrorKind, scan};

/// When a request was sent by its sender's clock, and how long the response took to make (RFC 3261 §20.38).
///
/// ```text
/// Timestamp  =  "Timestamp" HCOLON 1*(DIGIT) [ "." *(DIGIT) ] [ LWS delay ]
/// delay      =  *(DIGIT) [ "." *(DIGIT) ]
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Timestamp(HeaderValue);

impl Timestamp {
    /// A number of seconds as text, and perhaps a delay.
    ///
    /// # Errors
    /// If it does not follow the grammar.
    pub fn new(text: &str) -> Result<Self, ParseError> {
        text.parse()
    }

    /// The time as written.
    pub fn time(&self) -> &str {
        let text = self.0.as_bytes();
        scan::ascii(&text[..number(text, 0)])
    }

    /// The delay as written.
    pub fn delay(&self) -> Option<&str> {
        let text = self.0.as_bytes();
        let start = scan::skip_lws(text, number(text, 0));
        (start < text.len()).then(|| scan::ascii(&text[start..]))
    }
}

impl HeaderField for Timestamp {
    const NAME: HeaderName = HeaderName::TIMESTAMP;

    fn parse(value: &HeaderValue) -> Result<Self, ParseError> {
        let text = value.as_bytes();
        if text.is_empty() {
            return Err(ParseError::new(ParseErrorKind::Empty, 0));
        }
        let end = number(text, 0);
        let delay = scan::skip_lws(text, end);
        let whole = if delay > end { number(text, delay) } else { end };
        if !text[0].is_ascii_digit() || whole < text.len() {
            return Err(ParseError::malformed(whole));
        }
        Ok(Self(value.clone()))
    }

    fn value(&self) -> HeaderValue {
        self.0.clone()
    }
}

display_as_value!(Timestamp);

/// The end of digits, perhaps with one dot.
fn number(text: &[u8], at: usize) -> usize {
    let digits = |mut at| {
        while text.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let end = digits(at);
    if scan::byte(text, end) == b'.' { digits(end + 1) } else { end }
}
