//! `CSeq: 4711 INVITE`

use crate::{HeaderField, HeaderName, HeaderValue, Method, ParseError, ViewField, headers::number, scan};

/// The place of a request in its dialog, and its method again (RFC 3261 §20.16).
///
/// ```text
/// CSeq  =  "CSeq" HCOLON 1*DIGIT LWS Method
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CSeq {
    /// The number, which counts up within a dialog.
    pub number: u32,
    /// The method of the request.
    pub method: Method,
}

impl CSeq {
    /// Number and method.
    pub const fn new(number: u32, method: Method) -> Self {
        Self { number, method }
    }

    /// The number.
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The method.
    pub const fn method(&self) -> &Method {
        &self.method
    }
}

impl HeaderField for CSeq {
    const NAME: HeaderName = HeaderName::CSEQ;

    fn parse(value: &HeaderValue) -> Result<Self, ParseError> {
        Self::view(value.as_bytes()).map(|(cseq, _)| cseq)
    }

    fn value(&self) -> HeaderValue {
        HeaderValue::written(format!("{} {}", self.number, self.method))
    }
}

impl ViewField for CSeq {
    type View<'a> = Self;

    #[inline]
    fn view(text: &[u8]) -> Result<(Self, usize), ParseError> {
        let end = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
        let number = number::exact(&text[..end])?;
        let start = scan::skip_lws(text, end);
        if start == end {
            return Err(ParseError::malformed(end));
        }
        let method = Method::from_bytes(&text[start..]).ok_or_else(|| ParseError::malformed(start))?;
        Ok((Self { number, method }, text.len()))
    }
}

display_as_value!(CSeq);
