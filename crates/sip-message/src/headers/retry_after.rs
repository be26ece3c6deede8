//! `Retry-After: 120;duration=3600`

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;

use crate::{HeaderField, HeaderName, HeaderValue, ParseError, ParseErrorKind, headers::number, params, scan};

/// When to try again (RFC 3261 §20.33).
///
/// ```text
/// Retry-After  =  "Retry-After" HCOLON delta-seconds [ comment ] *( SEMI retry-param )
/// retry-param  =  ("duration" EQUAL delta-seconds) / generic-param
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RetryAfter {
    text: Bytes,
    seconds: u32,
    params: (u32, u32),
}

impl RetryAfter {
    /// In whole seconds; more than fit are as many as fit.
    pub fn new(delay: Duration) -> Self {
        let seconds = u32::try_from(delay.as_secs()).unwrap_or(u32::MAX);
        let text = Bytes::from(seconds.to_string());
        let end = text.len() as u32;
        Self { text, seconds, params: (end, end) }
    }

    /// The delay.
    pub const fn delay(&self) -> Duration {
        Duration::from_secs(self.seconds as u64)
    }

    /// The delay in seconds.
    pub const fn seconds(&self) -> u32 {
        self.seconds
    }

    /// How long the called party will be reachable then.
    pub fn duration(&self) -> Option<Duration> {
        let value = self.param("duration")??;
        number::saturating(value.as_bytes()).ok().map(|seconds| Duration::from_secs(u64::from(seconds)))
    }

    /// A parameter, unquoted: `None` if it is absent, `Some(None)` if it has no value.
    pub fn param(&self, name: &str) -> Option<Option<Cow<'_, str>>> {
        params::get(&self.text, (self.params.0 as usize, self.params.1 as usize), name)
    }
}

impl HeaderField for RetryAfter {
    const NAME: HeaderName = HeaderName::RETRY_AFTER;

    fn parse(value: &HeaderValue) -> Result<Self, ParseError> {
        let text = value.as_bytes();
        let digits = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
        let seconds = number::saturating(&text[..digits])?;
        let mut end = digits;
        let next = scan::skip_lws(text, digits);
        if scan::byte(text, next) == b'(' {
            end = scan::comment(text, next).ok_or_else(|| ParseError::new(ParseErrorKind::Unbalanced, next))?;
        }
        let params_end = params::check(text, end)?;
        let offset = |at| u32::try_from(at).map_err(|_| ParseError::malformed(0));
        Ok(Self { text: value.bytes().clone(), seconds, params: (offset(end)?, offset(params_end)?) })
    }

    fn value(&self) -> HeaderValue {
        HeaderValue::from_wire(self.text.clone())
    }
}

display_as_value!(RetryAfter);
