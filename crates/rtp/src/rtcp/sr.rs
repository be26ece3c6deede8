//! Sender reports (RFC 3550 §6.4.1).

use super::{MOST, ReportBlock, frame, word};
use bytes::{BufMut, BytesMut};

/// A report of who sends (RFC 3550 §6.4.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SenderReport {
    /// Who reports
    pub ssrc: u32,
    /// The time of day, seconds since 1900 and their fraction
    pub ntp: u64,
    /// The same moment on the media's clock
    pub timestamp: u32,
    /// Packets sent so far
    pub packets: u32,
    /// Bytes of payload sent so far
    pub octets: u32,
    /// What it hears, at most 31
    pub blocks: Vec<ReportBlock>,
}

impl SenderReport {
    pub(super) const TYPE: u8 = 200;

    pub(super) fn parse(count: usize, body: &[u8]) -> Option<Self> {
        Some(Self {
            ssrc: word(body, 0)?,
            ntp: u64::from(word(body, 1)?) << 32 | u64::from(word(body, 2)?),
            timestamp: word(body, 3)?,
            packets: word(body, 4)?,
            octets: word(body, 5)?,
            blocks: ReportBlock::parse_all(count, body.get(24..)?)?,
        })
    }

    pub(super) fn write(&self, wire: &mut BytesMut) {
        let blocks = &self.blocks[..self.blocks.len().min(MOST)];
        frame(wire, Self::TYPE, blocks.len(), |wire| {
            wire.put_u32(self.ssrc);
            wire.put_u64(self.ntp);
            wire.put_u32(self.timestamp);
            wire.put_u32(self.packets);
            wire.put_u32(self.octets);
            for block in blocks {
                block.write(wire);
            }
        });
    }
}
