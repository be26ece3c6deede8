//! Codecs: samples to payloads and back.

mod pcma;
mod pcmu;

pub use pcma::Pcma;
pub use pcmu::Pcmu;

/// Turns samples of 16 bits into payloads and back.
///
/// A codec may have a memory, so each direction of each stream has one of its own.
///
/// ```
/// # use rtp::{Codec, codec::Pcma};
/// let mut payload = Vec::new();
/// Pcma.encode(&[1_000, -1_000], &mut payload);
/// let mut samples = Vec::new();
/// Pcma.decode(&payload, &mut samples);
/// assert!(samples[0].abs_diff(1_000) < 32);
/// ```
pub trait Codec: Send {
    /// The registered name.
    fn name(&self) -> &'static str;

    /// Samples per second.
    fn sample_rate(&self) -> u32;

    /// Ticks of the RTP clock per second; of most codecs the sample rate.
    fn clock_rate(&self) -> u32 {
        self.sample_rate()
    }

    /// Appends the payload that carries `samples`.
    fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>);

    /// Appends the samples that `payload` carries; of a malformed one as many as can be read.
    fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>);
}

/// The built-in codec with a registered name, whatever its case, and a clock rate.
pub fn by_name(name: &str, clock_rate: u32) -> Option<Box<dyn Codec>> {
    let codec: Box<dyn Codec> = if name.eq_ignore_ascii_case("PCMU") {
        Box::new(Pcmu)
    } else if name.eq_ignore_ascii_case("PCMA") {
        Box::new(Pcma)
    } else {
        return None;
    };
    (codec.clock_rate() == clock_rate).then_some(codec)
}
