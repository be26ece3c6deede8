//! `RAck: 776656 1 INVITE`

use crate::{
    HeaderField, HeaderName, HeaderValue, Method, ParseError,
    headers::{CSeq, number},
    scan,
};

/// Which reliable provisional response a PRACK acknowledges (RFC 3262 §7.2).
///
/// ```text
/// RAck  =  "RAck" HCOLON response-num LWS CSeq-num LWS Method
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RAck {
    /// The RSeq of the response.
    pub rseq: u32,
    /// The CSeq of the response.
    pub cseq: CSeq,
}

impl RAck {
    /// RSeq, and number and method of CSeq.
    pub const fn new(rseq: u32, cseq: u32, method: Method) -> Self {
        Self { rseq, cseq: CSeq::new(cseq, method) }
    }
}

impl HeaderField for RAck {
    const NAME: HeaderName = HeaderName::RACK;

    fn parse(value: &HeaderValue) -> Result<Self, ParseError> {
        let text = value.as_bytes();
        let end = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
        let rseq = number::exact(&text[..end])?;
        let rest = scan::skip_lws(text, end);
        if rest == end {
            return Err(ParseError::malformed(end));
        }
        let cseq = CSeq::parse(&value.slice(rest, text.len())).map_err(|error| error.shifted(rest))?;
        Ok(Self { rseq, cseq })
    }

    fn value(&self) -> HeaderValue {
        HeaderValue::written(format!("{} {}", self.rseq, self.cseq))
    }
}

display_as_value!(RAck);
