//! How a session went.

use std::time::Duration;

/// What a session has sent and heard so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    pub(crate) codec: String,
    pub(crate) rtp: rtp::Stats,
    pub(crate) late: u64,
    pub(crate) concealed: u64,
    pub(crate) unexpected: u64,
    pub(crate) mos: f64,
}

impl Stats {
    /// The name of the codec that we send, empty if none was agreed on.
    pub fn codec(&self) -> &str {
        &self.codec
    }

    /// RTP packets that we sent.
    pub const fn packets_sent(&self) -> u64 {
        self.rtp.packets_sent
    }

    /// Bytes of payload in them.
    pub const fn bytes_sent(&self) -> u64 {
        self.rtp.bytes_sent
    }

    /// RTP packets of the stream that we heard.
    pub const fn packets_received(&self) -> u64 {
        self.rtp.packets_received
    }

    /// Bytes of payload in them.
    pub const fn bytes_received(&self) -> u64 {
        self.rtp.bytes_received
    }

    /// Packets of the peer that never came.
    pub const fn lost(&self) -> u64 {
        self.rtp.lost
    }

    /// Packets that came too late to be heard; counted while someone listens.
    pub const fn late(&self) -> u64 {
        self.late
    }

    /// Places in the stream that were made up because their packet was lost or late; counted while someone listens.
    pub const fn concealed(&self) -> u64 {
        self.concealed
    }

    /// Datagrams that were no packets of the stream: malformed, of another payload type, before it began.
    pub const fn unexpected(&self) -> u64 {
        self.unexpected
    }

    /// How much the times of arrival vary (RFC 3550 §6.4.1).
    pub const fn jitter(&self) -> Duration {
        self.rtp.jitter
    }

    /// How many of our packets the peer reports to have lost.
    pub const fn remote_lost(&self) -> Option<u64> {
        self.rtp.remote_lost
    }

    /// The jitter that the peer reports.
    pub const fn remote_jitter(&self) -> Option<Duration> {
        self.rtp.remote_jitter
    }

    /// The time to the peer and back, once reports went both ways.
    pub const fn round_trip(&self) -> Option<Duration> {
        self.rtp.round_trip
    }

    /// An estimate of how the peer sounds to us, 1 to 4.5 (ITU-T G.107): from loss, lateness and delay.
    pub const fn mos(&self) -> f64 {
        self.mos
    }
}
