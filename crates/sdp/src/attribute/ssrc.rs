//! ssrc and ssrc-group (RFC 5576 §10).
//!
//! ```text
//! ssrc-attr       = "ssrc:" ssrc-id SP attribute
//! ssrc-group-attr = "ssrc-group:" semantics *(SP ssrc-id)
//! ```

use super::TypedAttribute;
use crate::ValueError;

/// What one source of the writer is (RFC 5576 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ssrc {
    /// The source
    pub id: u32,
    /// `cname`, `msid`, `fmtp`, …
    pub attribute: String,
    /// The attribute's value
    pub value: Option<String>,
}

impl TypedAttribute for Ssrc {
    const NAME: &'static str = "ssrc";

    fn parse(value: &str) -> Result<Self, ValueError> {
        let wrong = ValueError(Self::NAME);
        let (id, rest) = value.split_once(' ').ok_or(wrong)?;
        let (attribute, value) = match rest.split_once(':') {
            Some((attribute, value)) => (attribute, Some(value.to_owned())),
            None => (rest, None),
        };
        let attribute = attribute.trim();
        if attribute.is_empty() {
            return Err(wrong);
        }
        Ok(Self {
            id: id.parse().map_err(|_| wrong)?,
            attribute: attribute.to_owned(),
            value,
        })
    }

    fn value(&self) -> String {
        match &self.value {
            Some(value) => format!("{} {}:{value}", self.id, self.attribute),
            None => format!("{} {}", self.id, self.attribute),
        }
    }
}

/// Which sources belong together (RFC 5576 §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SsrcGroup {
    /// `FID`, `FEC`, `SIM`, …
    pub semantics: String,
    /// The sources
    pub ids: Vec<u32>,
}

impl TypedAttribute for SsrcGroup {
    const NAME: &'static str = "ssrc-group";

    fn parse(value: &str) -> Result<Self, ValueError> {
        let wrong = ValueError(Self::NAME);
        let mut words = value.split_ascii_whitespace();
        Ok(Self {
            semantics: words.next().ok_or(wrong)?.to_owned(),
            ids: words
                .map(str::parse)
                .collect::<Result<_, _>>()
                .map_err(|_| wrong)?,
        })
    }

    fn value(&self) -> String {
        let mut text = self.semantics.clone();
        for id in &self.ids {
            text.push_str(&format!(" {id}"));
        }
        text
    }
}
