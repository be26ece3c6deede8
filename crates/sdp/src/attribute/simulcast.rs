//! simulcast (RFC 8853 §5.1).
//!
//! ```text
//! sc-value     = ( sc-send [SP sc-recv] ) / ( sc-recv [SP sc-send] )
//! sc-send      = "send" SP sc-str-list
//! sc-str-list  = sc-alt-list *( ";" sc-alt-list )
//! sc-alt-list  = sc-id *( "," sc-id )
//! sc-id        = [ "~" ] rid-id
//! ```

use super::TypedAttribute;
use crate::ValueError;

/// Which streams are sent or received at once (RFC 8853), each a list of alternatives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Simulcast {
    /// The streams that the writer sends
    pub send: Vec<Vec<SimulcastId>>,
    /// The streams that the writer receives
    pub receive: Vec<Vec<SimulcastId>>,
}

/// One alternative of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulcastId {
    /// The name that a=rid gives it
    pub rid: String,
    /// Whether it starts paused (`~`)
    pub is_paused: bool,
}

impl TypedAttribute for Simulcast {
    const NAME: &'static str = "simulcast";

    fn parse(value: &str) -> Result<Self, ValueError> {
        let wrong = ValueError(Self::NAME);
        let mut simulcast = Self::default();
        let mut words = value.split_ascii_whitespace();
        while let Some(direction) = words.next() {
            let list = match direction {
                "send" => &mut simulcast.send,
                "recv" => &mut simulcast.receive,
                _ => return Err(wrong),
            };
            if !list.is_empty() {
                return Err(wrong);
            }
            *list = streams(words.next().ok_or(wrong)?).ok_or(wrong)?;
        }
        if simulcast == Self::default() {
            return Err(wrong);
        }
        Ok(simulcast)
    }

    fn value(&self) -> String {
        let mut parts = Vec::new();
        for (direction, streams) in [("send", &self.send), ("recv", &self.receive)] {
            if !streams.is_empty() {
                let streams: Vec<String> = streams.iter().map(|ids| alternatives(ids)).collect();
                parts.push(format!("{direction} {}", streams.join(";")));
            }
        }
        parts.join(" ")
    }
}

fn streams(text: &str) -> Option<Vec<Vec<SimulcastId>>> {
    let id = |text: &str| {
        let (rid, is_paused) = match text.strip_prefix('~') {
            Some(rid) => (rid, true),
            None => (text, false),
        };
        (!rid.is_empty()).then(|| SimulcastId {
            rid: rid.to_owned(),
            is_paused,
        })
    };
    text.split(';')
        .map(|ids| ids.split(',').map(id).collect())
        .collect()
}

fn alternatives(ids: &[SimulcastId]) -> String {
    let ids: Vec<String> = ids
        .iter()
        .map(|id| format!("{}{}", if id.is_paused { "~" } else { "" }, id.rid))
        .collect();
    ids.join(",")
}
