//! extmap (RFC 8285 §8).
//!
//! ```text
//! extmap           = mapentry SP extensionname [SP extensionattributes]
//! mapentry         = "extmap:" 1*5DIGIT ["/" direction]
//! direction        = "sendonly" / "recvonly" / "sendrecv" / "inactive"
//! a=extmap-allow-mixed
//! ```

use super::{TypedAttribute, flag};
use crate::{Direction, ValueError};

/// The number of an RTP header extension (RFC 8285 §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtMap {
    /// 1 to 14 in one-byte headers, up to 255 in two-byte headers, from 4096 on in offers of alternatives
    pub id: u16,
    /// Which way it is used; `None` means as the media
    pub direction: Option<Direction>,
    /// What it is
    pub uri: String,
    /// What the extension itself has to say
    pub attributes: Option<String>,
}

impl TypedAttribute for ExtMap {
    const NAME: &'static str = "extmap";

    fn parse(value: &str) -> Result<Self, ValueError> {
        let wrong = ValueError(Self::NAME);
        let (entry, rest) = value.split_once(' ').ok_or(wrong)?;
        let (id, direction) = match entry.split_once('/') {
            Some((id, direction)) => (id, Some(Direction::named(direction).ok_or(wrong)?)),
            None => (entry, None),
        };
        let rest = rest.trim();
        let (uri, attributes) = match rest.split_once(' ') {
            Some((uri, attributes)) => (uri, Some(attributes.trim())),
            None => (rest, None),
        };
        if uri.is_empty() {
            return Err(wrong);
        }
        Ok(Self {
            id: id.parse().map_err(|_| wrong)?,
            direction,
            uri: uri.to_owned(),
            attributes: attributes.map(str::to_owned),
        })
    }

    fn value(&self) -> String {
        let mut text = self.id.to_string();
        if let Some(direction) = self.direction {
            text.push('/');
            text.push_str(direction.as_str());
        }
        text.push(' ');
        text.push_str(&self.uri);
        if let Some(attributes) = &self.attributes {
            text.push(' ');
            text.push_str(attributes);
        }
        text
    }
}

flag! {
    /// One-byte and two-byte header extensions may be mixed (RFC 8285 §6).
    ExtMapAllowMixed = "extmap-allow-mixed"
}
