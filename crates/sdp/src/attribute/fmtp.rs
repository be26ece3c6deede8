//! fmtp (RFC 8866 §6.15).

use super::TypedAttribute;
use crate::{
    IllegalText, ValueError,
    line::{check_text, check_word},
};

/// The parameters of a format (RFC 8866 §6.15).
///
/// ```
/// # use sdp::{Fmtp, TypedAttribute};
/// let fmtp = Fmtp::parse("96 mode=20; useinbandfec=1")?;
/// assert_eq!(fmtp.parameter("MODE"), Some("20"));
/// # Ok::<(), sdp::ValueError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fmtp {
    format: String,
    parameters: String,
}

impl Fmtp {
    /// The `parameters` of a format; for RTP, of a payload type.
    pub fn new(format: &str, parameters: &str) -> Result<Self, IllegalText> {
        check_word(format)?;
        check_text(parameters)?;
        Ok(Self {
            format: format.into(),
            parameters: parameters.into(),
        })
    }

    /// Which format it is about.
    pub fn format(&self) -> &str {
        &self.format
    }

    /// The parameters as they are written.
    pub fn parameters(&self) -> &str {
        &self.parameters
    }

    /// One parameter of a list `name=value;…`, whatever the case of its name.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        parameter(&self.parameters, name)
    }
}

impl TypedAttribute for Fmtp {
    const NAME: &'static str = "fmtp";

    fn parse(value: &str) -> Result<Self, ValueError> {
        let (format, parameters) = value.split_once(' ').unwrap_or((value, ""));
        Self::new(format, parameters.trim()).map_err(|_| ValueError(Self::NAME))
    }

    fn value(&self) -> String {
        format!("{} {}", self.format, self.parameters)
    }
}

pub(crate) fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    parameters.split(';').find_map(|parameter| {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
