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
        match common(text) {
            Some(cseq) => Ok((cseq, text.len())),
            None => any(text).map(|cseq| (cseq, text.len())),
        }
    }
}

/// A CSeq of up to nine digits, one space and a known method.
#[inline(always)]
fn common(text: &[u8]) -> Option<CSeq> {
    let mut end = 0;
    let mut number = 0;
    loop {
        let digit = scan::byte(text, end).wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        if end == 9 {
            return None;
        }
        number = number * 10 + u32::from(digit);
        end += 1;
    }
    if end == 0 || scan::byte(text, end) != b' ' {
        return None;
    }
    let method = Method::known(&text[end + 1..])?;
    Some(CSeq { number, method })
}

#[inline(never)]
fn any(text: &[u8]) -> Result<CSeq, ParseError> {
    let end = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let number = number::exact(&text[..end])?;
    let start = scan::skip_lws(text, end);
    if start == end {
        return Err(ParseError::malformed(end));
    }
    let method = Method::from_bytes(&text[start..]).ok_or_else(|| ParseError::malformed(start))?;
    Ok(CSeq { number, method })
}

display_as_value!(CSeq);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_form_says_what_the_grammar_says() {
        for text in ["1 INVITE", "0009 BYE", "999999999 ACK", "4294967295 ACK", "1  INVITE", "1 INVIT", "1 invite", "x INVITE", " INVITE", "1", "1 PUBLISHED", "1 PUBLISH"] {
            if let Some(cseq) = common(text.as_bytes()) {
                assert_eq!(any(text.as_bytes()), Ok(cseq), "{text}");
            }
        }
        assert!(common(b"314159 NOTIFY").is_some());
    }
}
