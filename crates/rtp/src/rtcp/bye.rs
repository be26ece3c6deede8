//! Goodbyes (RFC 3550 §6.6).

use super::{MOST, frame, word};
use bytes::{BufMut, BytesMut};

/// Sources that end (RFC 3550 §6.6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Goodbye {
    /// Which, at most 31
    pub sources: Vec<u32>,
    /// Why, at most 255 bytes
    pub reason: Option<Vec<u8>>,
}

impl Goodbye {
    pub(super) const TYPE: u8 = 203;

    pub(super) fn parse(count: usize, body: &[u8]) -> Option<Self> {
        let sources = (0..count)
            .map(|index| word(body, index))
            .collect::<Option<Vec<u32>>>()?;
        let reason = body.get(count * 4..).and_then(|rest| {
            let (length, text) = rest.split_first()?;
            Some(text.get(..usize::from(*length))?.to_vec())
        });
        Some(Self { sources, reason })
    }

    pub(super) fn write(&self, wire: &mut BytesMut) {
        let sources = &self.sources[..self.sources.len().min(MOST)];
        frame(wire, Self::TYPE, sources.len(), |wire| {
            for source in sources {
                wire.put_u32(*source);
            }
            if let Some(reason) = &self.reason {
                let reason = &reason[..reason.len().min(255)];
                wire.put_u8(reason.len() as u8);
                wire.put_slice(reason);
            }
        });
    }
}
