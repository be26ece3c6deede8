//! Receiver reports (RFC 3550 §6.4.2).

use super::{MOST, frame, word};
use bytes::{BufMut, BytesMut};

/// How one source is heard (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// Who is heard
    pub ssrc: u32,
    /// Packets lost since the last report, in 1/256
    pub fraction_lost: u8,
    /// Packets lost in all; negative when more repeats came than losses. Written in 24 bits
    pub lost: i32,
    /// The highest sequence number, extended by how often it wrapped
    pub highest_sequence: u32,
    /// The jitter in ticks of the media's clock
    pub jitter: u32,
    /// The middle 32 bits of the last sender report's time, 0 without one
    pub last_sender_report: u32,
    /// How long ago that came, in 1/65536 s
    pub delay: u32,
}

/// A report of who only receives (RFC 3550 §6.4.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiverReport {
    /// Who reports
    pub ssrc: u32,
    /// What it hears, at most 31
    pub blocks: Vec<ReportBlock>,
}

impl ReceiverReport {
    pub(super) const TYPE: u8 = 201;

    pub(super) fn parse(count: usize, body: &[u8]) -> Option<Self> {
        Some(Self {
            ssrc: word(body, 0)?,
            blocks: ReportBlock::parse_all(count, body.get(4..)?)?,
        })
    }

    pub(super) fn write(&self, wire: &mut BytesMut) {
        let blocks = &self.blocks[..self.blocks.len().min(MOST)];
        frame(wire, Self::TYPE, blocks.len(), |wire| {
            wire.put_u32(self.ssrc);
            for block in blocks {
                block.write(wire);
            }
        });
    }
}

impl ReportBlock {
    pub(super) fn parse_all(count: usize, body: &[u8]) -> Option<Vec<Self>> {
        (0..count)
            .map(|index| {
                let at = index * 6;
                let losses = word(body, at + 1)?;
                Some(Self {
                    ssrc: word(body, at)?,
                    fraction_lost: (losses >> 24) as u8,
                    // 24 bits with a sign
                    lost: (losses << 8) as i32 >> 8,
                    highest_sequence: word(body, at + 2)?,
                    jitter: word(body, at + 3)?,
                    last_sender_report: word(body, at + 4)?,
                    delay: word(body, at + 5)?,
                })
            })
            .collect()
    }

    pub(super) fn write(&self, wire: &mut BytesMut) {
        let lost = self.lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0x00ff_ffff;
        wire.put_u32(self.ssrc);
        wire.put_u32(u32::from(self.fraction_lost) << 24 | lost);
        wire.put_u32(self.highest_sequence);
        wire.put_u32(self.jitter);
        wire.put_u32(self.last_sender_report);
        wire.put_u32(self.delay);
    }
}
