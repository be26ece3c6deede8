//! Compound packets (RFC 3550 §6.1).

use super::{Goodbye, ReceiverReport, SenderReport, SourceDescription};
use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

/// The RTCP packets of one datagram (RFC 3550 §6.1).
///
/// ```
/// # use rtp::rtcp::{Chunk, Compound, ReceiverReport, RtcpPacket, SourceDescription};
/// let compound = Compound {
///     packets: vec![
///         RtcpPacket::ReceiverReport(ReceiverReport { ssrc: 7, blocks: Vec::new() }),
///         RtcpPacket::SourceDescription(SourceDescription { chunks: vec![Chunk::cname(7, "x")] }),
///     ],
/// };
/// assert_eq!(Compound::parse(&compound.to_bytes())?, compound);
/// # Ok::<(), rtp::rtcp::RtcpError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compound {
    /// In order; a report comes first
    pub packets: Vec<RtcpPacket>,
}

/// One RTCP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RtcpPacket {
    /// SR
    SenderReport(SenderReport),
    /// RR
    ReceiverReport(ReceiverReport),
    /// SDES
    SourceDescription(SourceDescription),
    /// BYE
    Goodbye(Goodbye),
    /// Any other: application-defined, feedback, extended reports
    Other {
        /// The five bits before the type: a count or a kind of feedback
        count: u8,
        /// Its number
        packet_type: u8,
        /// What follows the first word; whole words
        body: Vec<u8>,
    },
}

/// Why a datagram is no RTCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RtcpError {
    /// A packet ends before its length or its count says
    #[error("packet is truncated")]
    Truncated,
    /// A packet's version is not 2
    #[error("version {0} is not 2")]
    Version(u8),
    /// It is not an RTCP packet
    #[error("packet type {0} is not RTCP")]
    Type(u8),
    /// There are more packets than any honest peer sends
    #[error("more than {0} packets")]
    TooMany(usize),
}

impl Compound {
    /// Reads a datagram. It need not begin with a report, because peers may leave that out (RFC 5506).
    pub fn parse(wire: &[u8]) -> Result<Self, RtcpError> {
        let mut packets = Vec::new();
        let mut rest = wire;
        while !rest.is_empty() {
            let Some((&[first, packet_type, l0, l1], _)) = rest.split_first_chunk::<4>() else {
                return Err(RtcpError::Truncated);
            };
            if first >> 6 != 2 {
                return Err(RtcpError::Version(first >> 6));
            }
            if !(192..=223).contains(&packet_type) {
                return Err(RtcpError::Type(packet_type));
            }
            if packets.len() == LIMIT {
                return Err(RtcpError::TooMany(LIMIT));
            }
            let end = (usize::from(u16::from_be_bytes([l0, l1])) + 1) * 4;
            let body = rest.get(4..end).ok_or(RtcpError::Truncated)?;
            let body = unpadded(first & 0x20 != 0, body).ok_or(RtcpError::Truncated)?;
            let packet =
                RtcpPacket::parse(first & 0x1f, packet_type, body).ok_or(RtcpError::Truncated)?;
            packets.push(packet);
            rest = &rest[end..];
        }
        if packets.is_empty() {
            return Err(RtcpError::Truncated);
        }
        Ok(Self { packets })
    }

    /// Writes the datagram.
    pub fn to_bytes(&self) -> Bytes {
        let mut wire = BytesMut::with_capacity(128);
        for packet in &self.packets {
            packet.write(&mut wire);
        }
        wire.freeze()
    }
}

impl RtcpPacket {
    fn parse(count: u8, packet_type: u8, body: &[u8]) -> Option<Self> {
        let items = usize::from(count);
        Some(match packet_type {
            SenderReport::TYPE => Self::SenderReport(SenderReport::parse(items, body)?),
            ReceiverReport::TYPE => Self::ReceiverReport(ReceiverReport::parse(items, body)?),
            SourceDescription::TYPE => {
                Self::SourceDescription(SourceDescription::parse(items, body)?)
            }
            Goodbye::TYPE => Self::Goodbye(Goodbye::parse(items, body)?),
            _ => Self::Other {
                count,
                packet_type,
                body: body.to_vec(),
            },
        })
    }

    fn write(&self, wire: &mut BytesMut) {
        match self {
            Self::SenderReport(report) => report.write(wire),
            Self::ReceiverReport(report) => report.write(wire),
            Self::SourceDescription(description) => description.write(wire),
            Self::Goodbye(goodbye) => goodbye.write(wire),
            Self::Other {
                count,
                packet_type,
                body,
            } => super::frame(wire, *packet_type, usize::from(count & 0x1f), |wire| {
                wire.put_slice(body);
            }),
        }
    }
}

fn unpadded(padded: bool, body: &[u8]) -> Option<&[u8]> {
    if !padded {
        return Some(body);
    }
    let padding = usize::from(*body.last()?);
    body.get(..body.len().checked_sub(padding)?)
}

/// More than a report, a description, a goodbye and some feedback is noise.
const LIMIT: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{Chunk, ReportBlock};

    fn block(ssrc: u32) -> ReportBlock {
        ReportBlock {
            ssrc,
            fraction_lost: 25,
            lost: -3,
            highest_sequence: 0x1_0005,
            jitter: 80,
            last_sender_report: 0x1234_5678,
            delay: 65_536,
        }
    }

    fn all() -> Compound {
        Compound {
            packets: vec![
                RtcpPacket::SenderReport(SenderReport {
                    ssrc: 1,
                    ntp: 0x0102_0304_0506_0708,
                    timestamp: 160,
                    packets: 10,
                    octets: 1_600,
                    blocks: vec![block(2), block(3)],
                }),
                RtcpPacket::ReceiverReport(ReceiverReport {
                    ssrc: 1,
                    blocks: vec![block(4)],
                }),
                RtcpPacket::SourceDescription(SourceDescription {
                    chunks: vec![
                        Chunk::cname(1, "abc"),
                        Chunk::cname(2, ""),
                        Chunk {
                            ssrc: 3,
                            items: vec![(2, b"name".to_vec()), (1, b"xy".to_vec())],
                        },
                    ],
                }),
                RtcpPacket::Other {
                    count: 1,
                    packet_type: 205,
                    body: vec![0; 8],
                },
                RtcpPacket::Goodbye(Goodbye {
                    sources: vec![1, 2],
                    reason: Some(b"over".to_vec()),
                }),
            ],
        }
    }

    #[test]
    fn every_packet_type_is_written_and_read_back() {
        let wire = all().to_bytes();
        assert_eq!(wire.len() % 4, 0);
        let compound = Compound::parse(&wire).unwrap();
        let goodbye = compound.packets.last().unwrap();
        assert!(
            matches!(goodbye, RtcpPacket::Goodbye(bye) if bye.reason.as_deref() == Some(b"over"))
        );
        assert_eq!(compound, all());
        assert!(crate::is_rtcp(&wire));
    }

    #[test]
    fn a_report_is_laid_out_as_rfc_3550_6_4_2_draws_it() {
        let report = Compound {
            packets: vec![RtcpPacket::ReceiverReport(ReceiverReport {
                ssrc: 1,
                blocks: vec![block(2)],
            })],
        };
        assert_eq!(
            &report.to_bytes()[..],
            b"\x81\xc9\x00\x07\0\0\0\x01\0\0\0\x02\x19\xff\xff\xfd\0\x01\0\x05\0\0\0\x50\x12\x34\x56\x78\0\x01\0\0"
        );
    }

    #[test]
    fn truncated_and_foreign_datagrams_are_refused() {
        let wire = all().to_bytes();
        for end in 0..wire.len() {
            // A cut between two packets leaves a shorter compound.
            if let Ok(compound) = Compound::parse(&wire[..end]) {
                assert!(compound.packets.len() < 5 && end % 4 == 0);
            }
        }
        assert_eq!(Compound::parse(b"\x40\xc9\0\0"), Err(RtcpError::Version(1)));
        assert_eq!(Compound::parse(b"\x80\x00\0\0"), Err(RtcpError::Type(0)));
        assert_eq!(
            Compound::parse(b"\x81\xc9\0\x01\0\0\0\x01"),
            Err(RtcpError::Truncated)
        );
        assert_eq!(
            Compound::parse(&b"\x80\xcb\0\0".repeat(33)),
            Err(RtcpError::TooMany(32))
        );
        assert_eq!(
            Compound::parse(b"\xa0\xcc\0\x01\0\0\0\x09"),
            Err(RtcpError::Truncated)
        );
        assert!(Compound::parse(b"\xa0\xcc\0\x01\0\0\0\x04").is_ok());
    }
}
