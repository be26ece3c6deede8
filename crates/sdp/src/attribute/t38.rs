//! Fax over UDPTL (ITU-T T.38 annex D.2.3).
//!
//! ```text
//! a=T38FaxVersion:0                      a=T38FaxUdpEC:t38UDPRedundancy
//! a=T38MaxBitRate:14400                  a=T38FaxMaxBuffer:200
//! a=T38FaxRateManagement:transferredTCF  a=T38FaxMaxDatagram:176
//! a=T38FaxFillBitRemoval  a=T38FaxTranscodingMMR  a=T38FaxTranscodingJBIG
//! ```

use crate::{IllegalText, Media};

/// What the T.38 attributes of an m= line say.
///
/// ```
/// # use sdp::{Media, T38};
/// let mut fax = Media::new("image", 4_010, "udptl", ["t38"])?;
/// T38 { max_bit_rate: Some(14_400), error_correction: Some("t38UDPRedundancy".into()), ..T38::default() }.write(&mut fax)?;
/// assert_eq!(fax.attribute("T38MaxBitRate").and_then(|a| a.value()), Some("14400"));
/// assert_eq!(T38::of(&fax).max_bit_rate, Some(14_400));
/// # Ok::<(), sdp::IllegalText>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct T38 {
    /// `T38FaxVersion`; absent means 0
    pub version: Option<u32>,
    /// `T38MaxBitRate` in bits per second
    pub max_bit_rate: Option<u32>,
    /// `T38FaxRateManagement`: `localTCF` or `transferredTCF`
    pub rate_management: Option<String>,
    /// `T38FaxUdpEC`: `t38UDPFEC`, `t38UDPRedundancy`, `t38UDPNoEC`
    pub error_correction: Option<String>,
    /// `T38FaxMaxBuffer` in bytes
    pub max_buffer: Option<u32>,
    /// `T38FaxMaxDatagram` in bytes
    pub max_datagram: Option<u32>,
    /// `T38FaxFillBitRemoval`
    pub fill_bit_removal: bool,
    /// `T38FaxTranscodingMMR`
    pub transcoding_mmr: bool,
    /// `T38FaxTranscodingJBIG`
    pub transcoding_jbig: bool,
}

impl T38 {
    /// Reads what `media` say; names are compared without case, because the world does not agree on it, and what is
    /// malformed counts as absent.
    pub fn of(media: &Media) -> Self {
        let mut fax = Self::default();
        for attribute in media.attributes() {
            let text = attribute.value().map(str::trim);
            let number = || text.and_then(|text| text.parse().ok());
            // Some gateways write these with a value, 0 for no.
            let yes = text.is_none_or(|text| text != "0");
            match attribute.name().to_ascii_lowercase().as_str() {
                "t38faxversion" => fax.version = number(),
                "t38maxbitrate" => fax.max_bit_rate = number(),
                "t38faxratemanagement" => fax.rate_management = text.map(str::to_owned),
                "t38faxudpec" => fax.error_correction = text.map(str::to_owned),
                "t38faxmaxbuffer" => fax.max_buffer = number(),
                "t38faxmaxdatagram" => fax.max_datagram = number(),
                "t38faxfillbitremoval" => fax.fill_bit_removal = yes,
                "t38faxtranscodingmmr" => fax.transcoding_mmr = yes,
                "t38faxtranscodingjbig" => fax.transcoding_jbig = yes,
                _ => {}
            }
        }
        fax
    }

    /// Adds the attributes to `media`.
    pub fn write(&self, media: &mut Media) -> Result<(), IllegalText> {
        let number = |value: Option<u32>| value.map(|value| value.to_string());
        for (name, value) in [
            ("T38FaxVersion", number(self.version)),
            ("T38MaxBitRate", number(self.max_bit_rate)),
            ("T38FaxRateManagement", self.rate_management.clone()),
            ("T38FaxMaxBuffer", number(self.max_buffer)),
            ("T38FaxMaxDatagram", number(self.max_datagram)),
            ("T38FaxUdpEC", self.error_correction.clone()),
        ] {
            if let Some(value) = value {
                media.push_raw_attribute(name, Some(&value))?;
            }
        }
        for (name, yes) in [
            ("T38FaxFillBitRemoval", self.fill_bit_removal),
            ("T38FaxTranscodingMMR", self.transcoding_mmr),
            ("T38FaxTranscodingJBIG", self.transcoding_jbig),
        ] {
            if yes {
                media.push_raw_attribute(name, None)?;
            }
        }
        Ok(())
    }
}
