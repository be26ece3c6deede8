//! rtpmap (RFC 8866 §6.6).

use super::TypedAttribute;
use crate::{IllegalText, ValueError, line::check_word};

/// What a payload type means (RFC 8866 §6.6).
///
/// ```
/// # use sdp::{RtpMap, TypedAttribute};
/// let map = RtpMap::parse("96 opus/48000/2")?;
/// assert_eq!((map.payload_type(), map.encoding(), map.clock_rate(), map.channels()), (96, "opus", 48_000, 2));
/// assert_eq!(map.value(), "96 opus/48000/2");
/// assert_eq!(RtpMap::of_static(9).expect("G722").clock_rate(), 8_000);
/// # Ok::<(), sdp::ValueError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtpMap {
    payload_type: u8,
    encoding: String,
    clock_rate: u32,
    channels: u8,
}

impl RtpMap {
    /// Payload type `payload_type` means `encoding` at `clock_rate`, one channel.
    pub fn new(payload_type: u8, encoding: &str, clock_rate: u32) -> Result<Self, IllegalText> {
        check_word(encoding)?;
        if payload_type > 127 || encoding.contains('/') {
            return Err(IllegalText);
        }
        Ok(Self {
            payload_type,
            encoding: encoding.into(),
            clock_rate,
            channels: 1,
        })
    }

    /// The same with another number of channels.
    #[must_use]
    pub const fn with_channels(mut self, channels: u8) -> Self {
        self.channels = channels;
        self
    }

    /// What a payload type means without an rtpmap (RFC 3551 §6).
    pub fn of_static(payload_type: u8) -> Option<Self> {
        STATIC
            .iter()
            .find(|(number, ..)| *number == payload_type)
            .map(|&(payload_type, encoding, clock_rate, channels)| Self {
                payload_type,
                encoding: encoding.into(),
                clock_rate,
                channels,
            })
    }

    /// The payload type, 0 to 127.
    pub const fn payload_type(&self) -> u8 {
        self.payload_type
    }

    /// The encoding's name, which is compared without case.
    pub fn encoding(&self) -> &str {
        &self.encoding
    }

    /// The RTP clock's rate in Hz.
    pub const fn clock_rate(&self) -> u32 {
        self.clock_rate
    }

    /// How many channels, one if it is not said.
    pub const fn channels(&self) -> u8 {
        self.channels
    }
}

impl TypedAttribute for RtpMap {
    const NAME: &'static str = "rtpmap";

    fn parse(value: &str) -> Result<Self, ValueError> {
        let wrong = ValueError(Self::NAME);
        let (payload_type, encoding) = value.split_once(' ').ok_or(wrong)?;
        let mut parts = encoding.trim().split('/');
        let (name, clock_rate) = (parts.next().ok_or(wrong)?, parts.next().ok_or(wrong)?);
        let map = Self::new(
            payload_type.parse().map_err(|_| wrong)?,
            name,
            clock_rate.parse().map_err(|_| wrong)?,
        )
        .map_err(|_| wrong)?;
        Ok(match parts.next() {
            // Codec parameters that are no number of channels belong to other media; one channel is the default.
            Some(channels) => map.with_channels(channels.parse().unwrap_or(1)),
            None => map,
        })
    }

    fn value(&self) -> String {
        let Self {
            payload_type,
            encoding,
            clock_rate,
            channels,
        } = self;
        match channels {
            1 => format!("{payload_type} {encoding}/{clock_rate}"),
            _ => format!("{payload_type} {encoding}/{clock_rate}/{channels}"),
        }
    }
}

pub(crate) fn static_payload_type(name: &str, clock_rate: u32, channels: u8) -> Option<u8> {
    STATIC
        .iter()
        .find(|(_, encoding, rate, count)| {
            encoding.eq_ignore_ascii_case(name) && *rate == clock_rate && *count == channels
        })
        .map(|(number, ..)| *number)
}

/// RFC 3551 §6, tables 4 and 5.
const STATIC: &[(u8, &str, u32, u8)] = &[
    (0, "PCMU", 8_000, 1),
    (3, "GSM", 8_000, 1),
    (4, "G723", 8_000, 1),
    (5, "DVI4", 8_000, 1),
    (6, "DVI4", 16_000, 1),
    (7, "LPC", 8_000, 1),
    (8, "PCMA", 8_000, 1),
    (9, "G722", 8_000, 1),
    (10, "L16", 44_100, 2),
    (11, "L16", 44_100, 1),
    (12, "QCELP", 8_000, 1),
    (13, "CN", 8_000, 1),
    (14, "MPA", 90_000, 1),
    (15, "G728", 8_000, 1),
    (16, "DVI4", 11_025, 1),
    (17, "DVI4", 22_050, 1),
    (18, "G729", 8_000, 1),
    (25, "CelB", 90_000, 1),
    (26, "JPEG", 90_000, 1),
    (28, "nv", 90_000, 1),
    (31, "H261", 90_000, 1),
    (32, "MPV", 90_000, 1),
    (33, "MP2T", 90_000, 1),
    (34, "H263", 90_000, 1),
];
