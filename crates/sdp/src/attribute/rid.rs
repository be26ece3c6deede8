//! rid (RFC 8851 §10).
//!
//! ```text
//! rid-syntax      = "a=rid:" rid-id SP rid-dir [rid-pt-param-list / rid-param-list]
//! rid-dir         = "send" / "recv"
//! rid-pt-param-list = SP "pt=" fmt *("," fmt) [";" rid-param-list]
//! ```

use super::TypedAttribute;
use crate::ValueError;

/// An RTP stream within an m= line and what it is restricted to (RFC 8851).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rid {
    /// The stream's name
    pub id: String,
    /// Whether the writer sends it, or receives it
    pub is_sent: bool,
    /// The formats; none means all of the m= line
    pub payload_types: Vec<u8>,
    /// `max-width`, `max-fps`, … with their values
    pub restrictions: Vec<(String, Option<String>)>,
}

impl TypedAttribute for Rid {
    const NAME: &'static str = "rid";

    fn parse(value: &str) -> Result<Self, ValueError> {
        parse(value).ok_or(ValueError(Self::NAME))
    }

    fn value(&self) -> String {
        let mut parts = Vec::new();
        if !self.payload_types.is_empty() {
            let numbers: Vec<String> = self.payload_types.iter().map(u8::to_string).collect();
            parts.push(format!("pt={}", numbers.join(",")));
        }
        parts.extend(self.restrictions.iter().map(|(name, value)| match value {
            Some(value) => format!("{name}={value}"),
            None => name.clone(),
        }));
        let direction = if self.is_sent { "send" } else { "recv" };
        format!("{} {direction} {}", self.id, parts.join(";"))
            .trim_end()
            .to_owned()
    }
}

fn parse(value: &str) -> Option<Rid> {
    let mut words = value.splitn(3, ' ');
    let mut rid = Rid {
        id: words.next().filter(|id| !id.is_empty())?.to_owned(),
        is_sent: match words.next()? {
            "send" => true,
            "recv" => false,
            _ => return None,
        },
        payload_types: Vec::new(),
        restrictions: Vec::new(),
    };
    let parameters = words.next().unwrap_or_default().trim();
    for (index, parameter) in parameters
        .split(';')
        .map(str::trim)
        .filter(|parameter| !parameter.is_empty())
        .enumerate()
    {
        match parameter.split_once('=') {
            Some(("pt", numbers)) if index == 0 => {
                let numbers = numbers.split(',').map(|number| number.trim().parse().ok());
                rid.payload_types = numbers.collect::<Option<_>>()?;
            }
            Some((name, value)) => {
                rid.restrictions
                    .push((name.to_owned(), Some(value.to_owned())));
            }
            None => rid.restrictions.push((parameter.to_owned(), None)),
        }
    }
    Some(rid)
}
