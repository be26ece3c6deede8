//! RTCP (RFC 3550 §6): one packet type per file.

mod bye;
mod compound;
mod rr;
mod sdes;
mod sr;

pub use bye::Goodbye;
pub use compound::{Compound, RtcpError, RtcpPacket};
pub use rr::{ReceiverReport, ReportBlock};
pub use sdes::{Chunk, SourceDescription};
pub use sr::SenderReport;

use bytes::{BufMut, BytesMut};

/// Writes a packet's header around what `body` writes.
fn frame(wire: &mut BytesMut, packet_type: u8, count: usize, body: impl FnOnce(&mut BytesMut)) {
    let start = wire.len();
    wire.put_u8(2 << 6 | count as u8);
    wire.put_u8(packet_type);
    wire.put_u16(0);
    body(wire);
    let padding = wire.len().wrapping_sub(start).wrapping_neg() & 3;
    wire.put_bytes(0, padding);
    let words = ((wire.len() - start) / 4 - 1) as u16;
    wire[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
}

fn word(body: &[u8], index: usize) -> Option<u32> {
    let bytes = body.get(index * 4..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*bytes))
}

/// The most that five bits can count
const MOST: usize = 31;
