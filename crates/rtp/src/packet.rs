//! Packets on the wire (RFC 3550 §5.1).

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

/// An RTP packet (RFC 3550 §5.1).
///
/// ```
/// # use rtp::Packet;
/// let packet = Packet::new(0, 1, 160, 0xfeed_beef, "sound".into());
/// let wire = packet.to_bytes();
/// assert_eq!(Packet::parse(wire)?, packet);
/// # Ok::<(), rtp::PacketError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// What the marker bit means is the profile's affair; for audio, the first packet after silence
    pub marker: bool,
    /// What the payload is, 0 to 127
    pub payload_type: u8,
    /// Grows by one with each packet
    pub sequence: u16,
    /// When the first sample of the payload was taken, on the media's clock
    pub timestamp: u32,
    /// Who sent it
    pub ssrc: u32,
    /// Who was mixed into it, at most 15
    pub csrc: Vec<u32>,
    /// A header extension
    pub extension: Option<Extension>,
    /// The payload, without padding
    pub payload: Bytes,
}

/// A header extension (RFC 3550 §5.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// What the profile says that it is
    pub profile: u16,
    /// A multiple of four bytes
    pub data: Bytes,
}

/// Why a datagram is no RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PacketError {
    /// It ends before the header, the extension or the padding does
    #[error("packet is truncated")]
    Truncated,
    /// Its version is not 2
    #[error("version {0} is not 2")]
    Version(u8),
    /// Its padding has no length
    #[error("padding is malformed")]
    Padding,
    /// Its payload type is one of RTCP's (RFC 5761 §4)
    #[error("packet is RTCP")]
    Rtcp,
}

impl Packet {
    /// A packet without marker, contributing sources and extension.
    pub const fn new(
        payload_type: u8,
        sequence: u16,
        timestamp: u32,
        ssrc: u32,
        payload: Bytes,
    ) -> Self {
        Self {
            marker: false,
            payload_type,
            sequence,
            timestamp,
            ssrc,
            csrc: Vec::new(),
            extension: None,
            payload,
        }
    }

    /// Reads a datagram; the payload is a slice of it.
    pub fn parse(wire: Bytes) -> Result<Self, PacketError> {
        let Some((&[first, second, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3], _)) =
            wire.split_first_chunk::<HEADER>()
        else {
            return Err(PacketError::Truncated);
        };
        if first >> 6 != 2 {
            return Err(PacketError::Version(first >> 6));
        }
        if is_rtcp(&wire) {
            return Err(PacketError::Rtcp);
        }
        let mut at = HEADER;
        let mut csrc = Vec::new();
        for _ in 0..first & 0x0f {
            csrc.push(u32::from_be_bytes(take(&wire, &mut at)?));
        }
        let mut extension = None;
        if first & EXTENSION != 0 {
            let profile = u16::from_be_bytes(take(&wire, &mut at)?);
            let length = usize::from(u16::from_be_bytes(take(&wire, &mut at)?)) * 4;
            if wire.len() - at < length {
                return Err(PacketError::Truncated);
            }
            extension = Some(Extension {
                profile,
                data: wire.slice(at..at + length),
            });
            at += length;
        }
        let mut end = wire.len();
        if first & PADDING != 0 {
            let padding = usize::from(wire[end - 1]);
            if padding == 0 {
                return Err(PacketError::Padding);
            }
            if padding > end - at {
                return Err(PacketError::Truncated);
            }
            end -= padding;
        }
        Ok(Self {
            marker: second & MARKER != 0,
            payload_type: second & !MARKER,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([i0, i1, i2, i3]),
            csrc,
            extension,
            payload: wire.slice(at..end),
        })
    }

    /// Writes the datagram, without padding. More than 15 contributing sources are cut off; an extension is filled up
    /// to whole words with zeros.
    pub fn to_bytes(&self) -> Bytes {
        let csrc = &self.csrc[..self.csrc.len().min(15)];
        let extension = self.extension.as_ref();
        let words = extension.map_or(0, |extension| {
            extension.data.len().div_ceil(4).min(usize::from(u16::MAX))
        });
        let mut wire =
            BytesMut::with_capacity(HEADER + csrc.len() * 4 + 4 + words * 4 + self.payload.len());
        let mut first = 2 << 6 | csrc.len() as u8;
        if extension.is_some() {
            first |= EXTENSION;
        }
        wire.put_u8(first);
        wire.put_u8(self.payload_type & !MARKER | if self.marker { MARKER } else { 0 });
        wire.put_u16(self.sequence);
        wire.put_u32(self.timestamp);
        wire.put_u32(self.ssrc);
        for source in csrc {
            wire.put_u32(*source);
        }
        if let Some(extension) = extension {
            let data = &extension.data[..extension.data.len().min(words * 4)];
            wire.put_u16(extension.profile);
            wire.put_u16(words as u16);
            wire.put_slice(data);
            wire.put_bytes(0, words * 4 - data.len());
        }
        wire.put_slice(&self.payload);
        wire.freeze()
    }
}

/// Whether a datagram is RTCP rather than RTP, where both share a port (RFC 5761 §4).
pub fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [first, 192..=223, ..] if first >> 6 == 2)
}

fn take<const N: usize>(wire: &[u8], at: &mut usize) -> Result<[u8; N], PacketError> {
    let bytes = wire
        .get(*at..)
        .and_then(|rest| rest.first_chunk::<N>())
        .ok_or(PacketError::Truncated)?;
    *at += N;
    Ok(*bytes)
}

const HEADER: usize = 12;
const PADDING: u8 = 0x20;
const EXTENSION: u8 = 0x10;
const MARKER: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &[u8] = b"\x80\x80\x12\x34\x00\x00\x00\xa0\xfe\xed\xbe\xefabc";

    fn parse(wire: &[u8]) -> Result<Packet, PacketError> {
        Packet::parse(Bytes::copy_from_slice(wire))
    }

    #[test]
    fn rfc_3550_5_1_header_is_read_and_written() {
        let packet = parse(PLAIN).unwrap();
        assert!(packet.marker);
        assert_eq!((packet.payload_type, packet.sequence), (0, 0x1234));
        assert_eq!((packet.timestamp, packet.ssrc), (160, 0xfeed_beef));
        assert_eq!(packet.payload, "abc");
        assert_eq!(packet.to_bytes(), PLAIN);
    }

    #[test]
    fn sources_extension_and_padding_are_taken_off() {
        let mut wire = b"\xb1\x08\x00\x01\x00\x00\x00\x00\x00\x00\x00\x07".to_vec();
        wire.extend(b"\x00\x00\x00\x09\xbe\xde\x00\x01wxyzpayload\x00\x00\x03");
        let packet = parse(&wire).unwrap();
        assert_eq!(packet.csrc, [9]);
        let extension = packet.extension.as_ref().unwrap();
        assert_eq!(
            (extension.profile, &extension.data[..]),
            (0xbede, &b"wxyz"[..])
        );
        assert_eq!(packet.payload, "payload");
        assert_eq!(parse(&packet.to_bytes()).unwrap(), packet);
        for end in 12..wire.len() {
            let cut = parse(&wire[..end]);
            assert!(
                cut.is_err() || cut.is_ok_and(|cut| cut.payload.len() < 7),
                "{end}"
            );
        }
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        assert_eq!(parse(&PLAIN[..11]), Err(PacketError::Truncated));
        assert_eq!(parse(b"OPTIONS sip:"), Err(PacketError::Version(1)));
        let mut wire = PLAIN.to_vec();
        wire[1] = 200;
        assert_eq!(parse(&wire), Err(PacketError::Rtcp));
        wire[1] = 0;
        wire[0] = 0x8f;
        assert_eq!(parse(&wire), Err(PacketError::Truncated));
        wire[0] = 0xa0;
        *wire.last_mut().unwrap() = 0;
        assert_eq!(parse(&wire), Err(PacketError::Padding));
        *wire.last_mut().unwrap() = 4;
        assert_eq!(parse(&wire), Err(PacketError::Truncated));
        *wire.last_mut().unwrap() = 3;
        assert_eq!(parse(&wire).unwrap().payload.len(), 0);
    }
}
