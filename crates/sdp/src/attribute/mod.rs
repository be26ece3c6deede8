//! Attributes (RFC 8866 §6): raw, and one file per typed one.

mod direction;
mod fmtp;
mod packet_time;
mod rtcp;
mod rtp_map;

pub use direction::Direction;
pub use fmtp::Fmtp;
pub(crate) use fmtp::parameter;
pub use packet_time::{MaxPacketTime, PacketTime};
pub use rtcp::Rtcp;
pub use rtp_map::RtpMap;
pub(crate) use rtp_map::static_payload_type;

use crate::{
    IllegalText, ValueError,
    line::{check_text, check_word},
};

/// An a= line's name and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    name: &'a str,
    value: Option<&'a [u8]>,
}

impl<'a> Attribute<'a> {
    pub(crate) fn of(line: &'a [u8]) -> Option<Self> {
        let (name, value) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], Some(&line[colon + 1..])),
            None => (line, None),
        };
        Some(Self {
            name: str::from_utf8(name.trim_ascii()).ok()?,
            value,
        })
    }

    /// The name, which is compared as it is written.
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// The value, if there is one and it is UTF-8.
    pub fn value(&self) -> Option<&'a str> {
        str::from_utf8(self.value?).ok()
    }

    /// The value's bytes.
    pub const fn value_bytes(&self) -> Option<&'a [u8]> {
        self.value
    }
}

/// An attribute whose value has a type.
///
/// Parse and write are inverse: what [`parse`](Self::parse) took, [`value`](Self::value) writes so that it is taken
/// again and means the same.
pub trait TypedAttribute: Sized {
    /// The name before the colon.
    const NAME: &'static str;

    /// Reads a value.
    fn parse(value: &str) -> Result<Self, ValueError>;

    /// Writes the value.
    fn value(&self) -> String;
}

pub(crate) fn typed<'a, A: TypedAttribute>(
    attributes: impl Iterator<Item = Attribute<'a>>,
) -> impl Iterator<Item = Result<A, ValueError>> {
    attributes
        .filter(|attribute| attribute.name() == A::NAME)
        .map(|attribute| match attribute.value() {
            Some(value) => A::parse(value.trim()),
            None => Err(ValueError(A::NAME)),
        })
}

pub(crate) fn written<A: TypedAttribute>(attribute: &A) -> Result<String, IllegalText> {
    raw(A::NAME, Some(&attribute.value()))
}

pub(crate) fn raw(name: &str, value: Option<&str>) -> Result<String, IllegalText> {
    check_word(name)?;
    if name.contains(':') {
        return Err(IllegalText);
    }
    let Some(value) = value else {
        return Ok(name.to_owned());
    };
    check_text(value)?;
    Ok(format!("{name}:{value}"))
}
