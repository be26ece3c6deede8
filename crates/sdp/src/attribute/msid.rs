//! msid (RFC 8830 §2).
//!
//! ```text
//! msid-value = msid-id [SP msid-appdata]
//! ```

use super::TypedAttribute;
use crate::ValueError;

/// Which stream and track of a browser an m= line carries (RFC 8830).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Msid {
    /// The stream, `-` for none
    pub stream: String,
    /// The track
    pub track: Option<String>,
}

impl TypedAttribute for Msid {
    const NAME: &'static str = "msid";

    fn parse(value: &str) -> Result<Self, ValueError> {
        let mut words = value.split_ascii_whitespace().map(str::to_owned);
        let stream = words.next().ok_or(ValueError(Self::NAME))?;
        let track = words.next();
        match words.next() {
            None => Ok(Self { stream, track }),
            Some(_) => Err(ValueError(Self::NAME)),
        }
    }

    fn value(&self) -> String {
        match &self.track {
            Some(track) => format!("{} {track}", self.stream),
            None => self.stream.clone(),
        }
    }
}
