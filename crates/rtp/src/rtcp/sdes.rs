//! Source descriptions (RFC 3550 §6.5).

use super::{MOST, frame, word};
use bytes::{BufMut, BytesMut};

/// Who the sources are (RFC 3550 §6.5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceDescription {
    /// One for each source, at most 31
    pub chunks: Vec<Chunk>,
}

/// What is said about one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Which source
    pub ssrc: u32,
    /// Item types and texts, at most 255 bytes each, in order; type 1 is the canonical name
    pub items: Vec<(u8, Vec<u8>)>,
}

impl Chunk {
    /// A source's canonical name (RFC 7022).
    pub fn cname(ssrc: u32, name: &str) -> Self {
        Self {
            ssrc,
            items: vec![(CNAME, name.as_bytes().to_vec())],
        }
    }

    /// The canonical name.
    pub fn name(&self) -> Option<&[u8]> {
        self.items
            .iter()
            .find(|(kind, _)| *kind == CNAME)
            .map(|(_, text)| text.as_slice())
    }
}

impl SourceDescription {
    pub(super) const TYPE: u8 = 202;

    pub(super) fn parse(count: usize, body: &[u8]) -> Option<Self> {
        let mut chunks = Vec::new();
        let mut rest = body;
        for _ in 0..count {
            let ssrc = word(rest, 0)?;
            let mut at = 4;
            let mut items = Vec::new();
            loop {
                let kind = *rest.get(at)?;
                if kind == 0 {
                    break;
                }
                let length = usize::from(*rest.get(at + 1)?);
                items.push((kind, rest.get(at + 2..at + 2 + length)?.to_vec()));
                at += 2 + length;
            }
            chunks.push(Chunk { ssrc, items });
            // One to four zeros fill the last word.
            rest = rest.get((at / 4 + 1) * 4..)?;
        }
        Some(Self { chunks })
    }

    pub(super) fn write(&self, wire: &mut BytesMut) {
        let chunks = &self.chunks[..self.chunks.len().min(MOST)];
        frame(wire, Self::TYPE, chunks.len(), |wire| {
            for chunk in chunks {
                let start = wire.len();
                wire.put_u32(chunk.ssrc);
                for (kind, text) in chunk.items.iter().filter(|(kind, _)| *kind != 0) {
                    let text = &text[..text.len().min(255)];
                    wire.put_u8(*kind);
                    wire.put_u8(text.len() as u8);
                    wire.put_slice(text);
                }
                wire.put_bytes(0, 4 - (wire.len() - start) % 4);
            }
        });
    }
}

const CNAME: u8 = 1;
