//! rtcp-fb (RFC 4585 §4.2, RFC 5104 §7).
//!
//! ```text
//! rtcp-fb-syntax = "a=rtcp-fb:" rtcp-fb-pt SP rtcp-fb-val CRLF
//! rtcp-fb-pt     = "*" / fmt
//! rtcp-fb-val    = "ack" rtcp-fb-ack-param / "nack" rtcp-fb-nack-param / "ccm" SP rtcp-fb-ccm-param
//!                / "trr-int" SP 1*DIGIT / rtcp-fb-id rtcp-fb-param
//! ```

use super::TypedAttribute;
use crate::ValueError;

/// A kind of feedback that the writer takes (RFC 4585 §4.2).
///
/// ```
/// # use sdp::{RtcpFeedback, TypedAttribute};
/// let feedback = RtcpFeedback::parse("98 nack rpsi")?;
/// assert_eq!((feedback.payload_type, feedback.kind.as_str(), feedback.parameter.as_deref()), (Some(98), "nack", Some("rpsi")));
/// # Ok::<(), sdp::ValueError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtcpFeedback {
    /// The format; `None` stands for all of them (`*`)
    pub payload_type: Option<u8>,
    /// `ack`, `nack`, `ccm`, `trr-int`, `transport-cc`, …
    pub kind: String,
    /// What follows the kind: `pli`, `fir`, `tmmbr smaxpr=120`, milliseconds of `trr-int`, …
    pub parameter: Option<String>,
}

impl TypedAttribute for RtcpFeedback {
    const NAME: &'static str = "rtcp-fb";

    fn parse(value: &str) -> Result<Self, ValueError> {
        let wrong = ValueError(Self::NAME);
        let (format, rest) = value.split_once(' ').ok_or(wrong)?;
        let rest = rest.trim();
        let (kind, parameter) = match rest.split_once(' ') {
            Some((kind, parameter)) => (kind, Some(parameter.trim())),
            None => (rest, None),
        };
        if kind.is_empty() {
            return Err(wrong);
        }
        Ok(Self {
            payload_type: match format {
                "*" => None,
                number => Some(number.parse().ok().filter(|n| *n < 128).ok_or(wrong)?),
            },
            kind: kind.to_owned(),
            parameter: parameter.filter(|text| !text.is_empty()).map(str::to_owned),
        })
    }

    fn value(&self) -> String {
        let format = self
            .payload_type
            .map_or_else(|| "*".to_owned(), |number| number.to_string());
        match &self.parameter {
            Some(parameter) => format!("{format} {} {parameter}", self.kind),
            None => format!("{format} {}", self.kind),
        }
    }
}
