//! What the parameters of well-known formats mean: the values of fmtp.
//!
//! ```text
//! opus            (RFC 7587 §7)    maxplaybackrate=…; stereo=1; useinbandfec=1; usedtx=1; …
//! telephone-event (RFC 4733 §2.4)  0-15,66,70
//! H264            (RFC 6184 §8.1)  profile-level-id=42e01f; packetization-mode=1; …
//! t140            (RFC 4103 §11)   cps=30
//! red             (RFC 2198 §5)    98/98/98
//! ```

use super::parameter;
use crate::ValueError;
use std::{fmt, str::FromStr};

/// What a receiver of Opus likes (RFC 7587 §7); `None` and `false` are the defaults of the RFC.
///
/// ```
/// # use sdp::OpusParameters;
/// let opus: OpusParameters = "minptime=10;useinbandfec=1".parse()?;
/// assert!(opus.in_band_fec && !opus.stereo);
/// # Ok::<(), sdp::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpusParameters {
    /// `maxplaybackrate` in Hz
    pub max_playback_rate: Option<u32>,
    /// `sprop-maxcapturerate` in Hz
    pub max_capture_rate: Option<u32>,
    /// `minptime` in milliseconds
    pub min_packet_time: Option<u32>,
    /// `maxaveragebitrate` in bits per second
    pub max_average_bit_rate: Option<u32>,
    /// `stereo`
    pub stereo: bool,
    /// `sprop-stereo`
    pub sends_stereo: bool,
    /// `cbr`
    pub constant_bit_rate: bool,
    /// `useinbandfec`
    pub in_band_fec: bool,
    /// `usedtx`
    pub discontinuous: bool,
}

impl FromStr for OpusParameters {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let number = |name| number(text, name, "opus parameters");
        let flag = |name| parameter(text, name) == Some("1");
        Ok(Self {
            max_playback_rate: number("maxplaybackrate")?,
            max_capture_rate: number("sprop-maxcapturerate")?,
            min_packet_time: number("minptime")?,
            max_average_bit_rate: number("maxaveragebitrate")?,
            stereo: flag("stereo"),
            sends_stereo: flag("sprop-stereo"),
            constant_bit_rate: flag("cbr"),
            in_band_fec: flag("useinbandfec"),
            discontinuous: flag("usedtx"),
        })
    }
}

impl fmt::Display for OpusParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = [
            ("maxplaybackrate", self.max_playback_rate),
            ("sprop-maxcapturerate", self.max_capture_rate),
            ("minptime", self.min_packet_time),
            ("maxaveragebitrate", self.max_average_bit_rate),
        ];
        let flags = [
            ("stereo", self.stereo),
            ("sprop-stereo", self.sends_stereo),
            ("cbr", self.constant_bit_rate),
            ("useinbandfec", self.in_band_fec),
            ("usedtx", self.discontinuous),
        ];
        let numbers = numbers
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", value?)));
        let flags = flags
            .into_iter()
            .filter(|(_, yes)| *yes)
            .map(|(name, _)| format!("{name}=1"));
        f.write_str(&numbers.chain(flags).collect::<Vec<_>>().join(";"))
    }
}

/// The events that a receiver takes (RFC 4733 §2.4.1), as ranges in the order in which they are written.
///
/// ```
/// # use sdp::TelephoneEvents;
/// let events: TelephoneEvents = "0-15,66".parse()?;
/// assert!(events.contains(11) && events.contains(66) && !events.contains(16));
/// # Ok::<(), sdp::ValueError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelephoneEvents(Vec<(u8, u8)>);

impl TelephoneEvents {
    /// Whether `event` is one of them.
    pub fn contains(&self, event: u8) -> bool {
        self.0
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&event))
    }

    /// First and last of each range.
    pub fn ranges(&self) -> &[(u8, u8)] {
        &self.0
    }
}

impl Default for TelephoneEvents {
    /// The keys, which is what counts without parameters.
    fn default() -> Self {
        Self(vec![(0, 15)])
    }
}

impl FromStr for TelephoneEvents {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let range = |range: &str| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (first <= last).then_some((first, last))
        };
        let ranges: Option<Vec<(u8, u8)>> = text.split(',').map(range).collect();
        ranges.map(Self).ok_or(ValueError("telephone events"))
    }
}

impl fmt::Display for TelephoneEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            if first == last {
                write!(f, "{separator}{first}")?;
            } else {
                write!(f, "{separator}{first}-{last}")?;
            }
        }
        Ok(())
    }
}

/// What a receiver of H.264 takes (RFC 6184 §8.1).
///
/// ```
/// # use sdp::H264Parameters;
/// let video: H264Parameters = "profile-level-id=42E01F;packetization-mode=1".parse()?;
/// assert_eq!((video.profile_level_id, video.packetization_mode), (Some([0x42, 0xe0, 0x1f]), 1));
/// # Ok::<(), sdp::ValueError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct H264Parameters {
    /// `profile-level-id`: profile, constraints, level
    pub profile_level_id: Option<[u8; 3]>,
    /// `packetization-mode`, 0 to 2; both sides must have the same
    pub packetization_mode: u8,
    /// `level-asymmetry-allowed`
    pub level_asymmetry_allowed: bool,
    /// `max-mbps` in macroblocks per second
    pub max_mbps: Option<u32>,
    /// `max-fs` in macroblocks
    pub max_fs: Option<u32>,
    /// `max-br` in kbit/s
    pub max_br: Option<u32>,
    /// `sprop-parameter-sets`, base64 as written
    pub parameter_sets: Option<String>,
}

impl FromStr for H264Parameters {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        const NAME: &str = "H264 parameters";
        let wrong = ValueError(NAME);
        let level = |hex: &str| {
            let digits = hex.len() == 6 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
            let number = u32::from_str_radix(hex, 16).ok().filter(|_| digits)?;
            let [_, profile, constraints, level] = number.to_be_bytes();
            Some([profile, constraints, level])
        };
        Ok(Self {
            profile_level_id: match parameter(text, "profile-level-id") {
                Some(hex) => Some(level(hex).ok_or(wrong)?),
                None => None,
            },
            packetization_mode: match parameter(text, "packetization-mode") {
                Some(mode) => mode.parse().ok().filter(|mode| *mode <= 2).ok_or(wrong)?,
                None => 0,
            },
            level_asymmetry_allowed: parameter(text, "level-asymmetry-allowed") == Some("1"),
            max_mbps: number(text, "max-mbps", NAME)?,
            max_fs: number(text, "max-fs", NAME)?,
            max_br: number(text, "max-br", NAME)?,
            parameter_sets: parameter(text, "sprop-parameter-sets").map(str::to_owned),
        })
    }
}

impl fmt::Display for H264Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some([profile, constraints, level]) = self.profile_level_id {
            parts.push(format!(
                "profile-level-id={profile:02x}{constraints:02x}{level:02x}"
            ));
        }
        if self.level_asymmetry_allowed {
            parts.push("level-asymmetry-allowed=1".to_owned());
        }
        if self.packetization_mode != 0 {
            parts.push(format!("packetization-mode={}", self.packetization_mode));
        }
        for (name, value) in [
            ("max-mbps", self.max_mbps),
            ("max-fs", self.max_fs),
            ("max-br", self.max_br),
        ] {
            parts.extend(value.map(|value| format!("{name}={value}")));
        }
        let sets = self.parameter_sets.as_ref();
        parts.extend(sets.map(|sets| format!("sprop-parameter-sets={sets}")));
        f.write_str(&parts.join(";"))
    }
}

/// How fast a receiver of T.140 text takes characters (RFC 4103 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct T140Parameters {
    /// `cps`, characters per second
    pub characters_per_second: u32,
}

impl Default for T140Parameters {
    fn default() -> Self {
        Self {
            characters_per_second: 30,
        }
    }
}

impl FromStr for T140Parameters {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Ok(
            number(text, "cps", "t140 parameters")?.map_or_else(Self::default, |cps| Self {
                characters_per_second: cps,
            }),
        )
    }
}

impl fmt::Display for T140Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cps={}", self.characters_per_second)
    }
}

/// The payload types in a redundant packet, the primary one first (RFC 2198 §5, RFC 4103 §9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redundancy(pub Vec<u8>);

impl FromStr for Redundancy {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let number = |text: &str| text.trim().parse().ok().filter(|number| *number < 128);
        let numbers: Option<Vec<u8>> = text.split('/').map(number).collect();
        numbers.map(Self).ok_or(ValueError("red parameters"))
    }
}

impl fmt::Display for Redundancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(u8::to_string).collect();
        f.write_str(&numbers.join("/"))
    }
}

fn number(text: &str, name: &str, of: &'static str) -> Result<Option<u32>, ValueError> {
    match parameter(text, name) {
        Some(value) => value.parse().map(Some).map_err(|_| ValueError(of)),
        None => Ok(None),
    }
}
