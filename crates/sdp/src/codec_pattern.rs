//! Codecs by pattern.

use crate::Codec;

/// Which codecs are meant: `opus`, `opus/48000/2`, `speex*`, `*/8000`, `*`.
///
/// Name, clock rate and channels are compared as far as they are given; a `*` at the end stands for whatever follows.
///
/// ```
/// # use sdp::{Codec, CodecPattern, MediaCapabilities};
/// assert!(CodecPattern::new("PCM*").matches(&Codec::PCMA));
/// assert!(!CodecPattern::new("*/16000").matches(&Codec::PCMA));
///
/// let audio = MediaCapabilities::audio(4000).prefer(["PCMA"]).without(["speex*"]);
/// assert_eq!(audio.all_codecs()[0], Codec::PCMA);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodecPattern {
    parts: Vec<String>,
}

impl CodecPattern {
    /// A pattern.
    pub fn new(pattern: &str) -> Self {
        Self {
            parts: pattern
                .trim()
                .splitn(3, '/')
                .map(str::to_ascii_lowercase)
                .collect(),
        }
    }

    /// Whether `codec` is meant.
    pub fn matches(&self, codec: &Codec) -> bool {
        let values = [
            codec.name().to_ascii_lowercase(),
            codec.clock_rate().to_string(),
            codec.channels().max(1).to_string(),
        ];
        self.parts
            .iter()
            .zip(&values)
            .all(|(part, value)| match part.strip_suffix('*') {
                Some(start) => value.starts_with(start),
                None => part == value,
            })
    }

    /// A sort key that puts codecs into the order of the patterns that mean them, and the others behind.
    pub(crate) fn rank(patterns: &[Self], codec: &Codec) -> usize {
        patterns
            .iter()
            .position(|pattern| pattern.matches(codec))
            .unwrap_or(patterns.len())
    }

    pub(crate) fn all<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Vec<Self> {
        patterns.into_iter().map(Self::new).collect()
    }
}
