//! `Warning: 307 isi.edu "Session parameter 'foo' not understood"`

use std::borrow::Cow;

use crate::{HeaderField, HeaderName, HeaderValue, ParseError, ParseErrorKind, Shape, scan, value};

/// More about a response, for people (RFC 3261 §20.43).
///
/// ```text
/// Warning        =  "Warning" HCOLON warning-value *(COMMA warning-value)
/// warning-value  =  warn-code SP warn-agent SP warn-text
/// warn-code      =  3DIGIT
/// warn-agent     =  hostport / pseudonym
/// warn-text      =  quoted-string
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Warning {
    value: HeaderValue,
    code: u16,
    agent: (u32, u32),
    text: u32,
}

impl Warning {
    /// A code of three digits, who warns, and a text, which is quoted.
    ///
    /// # Errors
    /// If the code has not three digits, or agent or text have characters that they cannot have.
    pub fn new(code: u16, agent: &str, text: &str) -> Result<Self, ParseError> {
        value::check(text.as_bytes())?;
        let mut out = format!("{code:03} {agent} ").into_bytes();
        scan::quote(text.as_bytes(), &mut out);
        Self::parse(&HeaderValue::new(out)?).map_err(|error| error.within(&Self::NAME, 0))
    }

    /// The code.
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// Who warns: a host or a name.
    pub fn agent(&self) -> &str {
        scan::ascii(&self.value.as_bytes()[self.agent.0 as usize..self.agent.1 as usize])
    }

    /// The text without quotes.
    pub fn text(&self) -> Cow<'_, str> {
        scan::lossy(scan::unquote(&self.value.as_bytes()[self.text as usize..]))
    }
}

impl HeaderField for Warning {
    const NAME: HeaderName = HeaderName::WARNING;
    const SHAPE: Shape = Shape::List;

    fn parse(value: &HeaderValue) -> Result<Self, ParseError> {
        let text = value.as_bytes();
        let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits != 3 {
            let kind = if digits > 3 { ParseErrorKind::OutOfRange } else { ParseErrorKind::Malformed };
            return Err(ParseError::new(kind, 0));
        }
        let code = text[..3].iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
        let agent = scan::skip_lws(text, 3);
        let mut agent_end = agent;
        while text.get(agent_end).is_some_and(|&b| scan::is(b, scan::TOKEN) || b"[]:".contains(&b)) {
            agent_end += 1;
        }
        let quote = scan::skip_lws(text, agent_end);
        if agent == 3 || agent_end == agent || quote == agent_end || scan::byte(text, quote) != b'"' {
            return Err(ParseError::malformed(quote.min(text.len())));
        }
        match scan::quoted(text, quote) {
            Some(end) if end == text.len() => {}
            Some(end) => return Err(ParseError::malformed(end)),
            None => return Err(ParseError::new(ParseErrorKind::Unbalanced, quote)),
        }
        let place = |at| u32::try_from(at).map_err(|_| ParseError::malformed(0));
        Ok(Self { code, agent: (place(agent)?, place(agent_end)?), text: place(quote)?, value: value.clone() })
    }

    fn value(&self) -> HeaderValue {
        self.value.clone()
    }
}

display_as_value!(Warning);
