//! Codecs, as a description speaks of them.

use crate::{
    Fmtp, IllegalText, RtpMap,
    attribute::{parameter, static_payload_type},
    line::{check_text, check_word},
};
use std::{borrow::Cow, fmt};

/// An encoding that can be offered: name, clock rate, channels and parameters.
///
/// ```
/// # use sdp::Codec;
/// let opus = Codec::new("opus", 48_000)?.with_channels(2).with_fmtp("useinbandfec=1")?.with_payload_type(111);
/// assert_eq!(opus.to_string(), "opus/48000/2");
/// assert_eq!(Codec::PCMA.payload_type(), Some(8));
/// # Ok::<(), sdp::IllegalText>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codec {
    name: Cow<'static, str>,
    clock_rate: u32,
    channels: u8,
    fmtp: Option<Cow<'static, str>>,
    payload_type: Option<u8>,
}

impl Codec {
    /// G.711 µ-law, payload type 0
    pub const PCMU: Self = Self::fixed("PCMU", 8_000, 0);
    /// G.711 A-law, payload type 8
    pub const PCMA: Self = Self::fixed("PCMA", 8_000, 8);

    /// An encoding by its registered name and RTP clock rate.
    pub fn new(name: &str, clock_rate: u32) -> Result<Self, IllegalText> {
        check_word(name)?;
        if name.contains('/') {
            return Err(IllegalText);
        }
        Ok(Self {
            name: name.to_owned().into(),
            clock_rate,
            channels: 1,
            fmtp: None,
            payload_type: None,
        })
    }

    /// Keys pressed during a call (RFC 4733): digits, star, hash and A to D.
    pub const fn telephone_event(clock_rate: u32) -> Self {
        Self {
            name: Cow::Borrowed(TELEPHONE_EVENT),
            clock_rate,
            channels: 1,
            // RFC 4733 §2.4.1
            fmtp: Some(Cow::Borrowed("0-15")),
            payload_type: Some(101),
        }
    }

    const fn fixed(name: &'static str, clock_rate: u32, payload_type: u8) -> Self {
        Self {
            name: Cow::Borrowed(name),
            clock_rate,
            channels: 1,
            fmtp: None,
            payload_type: Some(payload_type),
        }
    }

    /// The same with another number of channels. Defaults to 1.
    #[must_use]
    pub const fn with_channels(mut self, channels: u8) -> Self {
        self.channels = channels;
        self
    }

    /// The same with parameters, as they stand in a=fmtp. Defaults to none.
    pub fn with_fmtp(mut self, parameters: &str) -> Result<Self, IllegalText> {
        check_text(parameters)?;
        self.fmtp = Some(parameters.to_owned().into());
        Ok(self)
    }

    /// The same with the payload type that it shall have in our offers, if that is still free. Defaults to the one of
    /// RFC 3551 §6, else to a free dynamic one.
    #[must_use]
    pub const fn with_payload_type(mut self, payload_type: u8) -> Self {
        self.payload_type = Some(payload_type);
        self
    }

    pub(crate) fn described(map: &RtpMap, fmtp: Option<&Fmtp>) -> Self {
        Self {
            name: map.encoding().to_owned().into(),
            clock_rate: map.clock_rate(),
            channels: map.channels(),
            fmtp: fmtp.map(|fmtp| fmtp.parameters().to_owned().into()),
            payload_type: Some(map.payload_type()),
        }
    }

    /// The registered name, which is compared without case.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The RTP clock's rate in Hz.
    pub const fn clock_rate(&self) -> u32 {
        self.clock_rate
    }

    /// How many channels.
    pub const fn channels(&self) -> u8 {
        self.channels
    }

    /// The parameters.
    pub fn fmtp(&self) -> Option<&str> {
        self.fmtp.as_deref()
    }

    /// The payload type that is wished for, or that it has.
    pub const fn payload_type(&self) -> Option<u8> {
        self.payload_type
    }

    /// Whether it carries keys and not sound.
    pub fn is_telephone_event(&self) -> bool {
        self.name.eq_ignore_ascii_case(TELEPHONE_EVENT)
    }

    /// Whether two descriptions mean the same encoding: name, clock rate, channels, and those parameters that make
    /// streams incompatible.
    pub fn matches(&self, other: &Self) -> bool {
        self.name.eq_ignore_ascii_case(&other.name)
            && self.clock_rate == other.clock_rate
            && self.channels.max(1) == other.channels.max(1)
            && DISTINGUISHING.iter().all(|(codec, name, default)| {
                !self.name.eq_ignore_ascii_case(codec)
                    || self.parameter(name).unwrap_or(default)
                        == other.parameter(name).unwrap_or(default)
            })
    }

    pub(crate) fn static_payload_type(&self) -> Option<u8> {
        static_payload_type(&self.name, self.clock_rate, self.channels)
    }

    pub(crate) fn rtp_map(&self, payload_type: u8) -> Option<RtpMap> {
        RtpMap::new(payload_type, &self.name, self.clock_rate)
            .ok()
            .map(|map| map.with_channels(self.channels))
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        parameter(self.fmtp.as_deref()?, name)
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.clock_rate)?;
        if self.channels > 1 {
            write!(f, "/{}", self.channels)?;
        }
        Ok(())
    }
}

const TELEPHONE_EVENT: &str = "telephone-event";

/// Parameters that both sides must agree on, with the value that counts when they are absent.
const DISTINGUISHING: &[(&str, &str, &str)] = &[
    ("H264", "packetization-mode", "0"), // RFC 6184 §8.2.2
    ("AMR", "octet-align", "0"),         // RFC 4867 §8.3.1
    ("AMR-WB", "octet-align", "0"),
];
