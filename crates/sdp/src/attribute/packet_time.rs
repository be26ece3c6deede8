//! ptime and maxptime (RFC 8866 §6.4, §6.5).

use super::TypedAttribute;
use crate::ValueError;

/// How many milliseconds of media the writer wants in a packet (RFC 8866 §6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketTime(pub u32);

impl TypedAttribute for PacketTime {
    const NAME: &'static str = "ptime";

    fn parse(value: &str) -> Result<Self, ValueError> {
        milliseconds(value).map(Self).ok_or(ValueError(Self::NAME))
    }

    fn value(&self) -> String {
        self.0.to_string()
    }
}

/// How many milliseconds of media the writer takes in a packet at most (RFC 8866 §6.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPacketTime(pub u32);

impl TypedAttribute for MaxPacketTime {
    const NAME: &'static str = "maxptime";

    fn parse(value: &str) -> Result<Self, ValueError> {
        milliseconds(value).map(Self).ok_or(ValueError(Self::NAME))
    }

    fn value(&self) -> String {
        self.0.to_string()
    }
}

/// Fractions are legal for some codecs (`2.5`) and are rounded up, so that a packet time is never 0.
fn milliseconds(value: &str) -> Option<u32> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    let whole: u32 = whole.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    whole.checked_add(u32::from(fraction.bytes().any(|byte| byte != b'0')))
}
