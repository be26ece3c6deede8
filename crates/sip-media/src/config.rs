//! How the engine and its sessions behave.

use rtp::JitterConfig;
use sip_io::WallClock;
use std::{net::IpAddr, ops::Range, time::Duration};

/// How a [`MediaEngine`](crate::MediaEngine) behaves.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    pub(crate) seed: [u8; 32],
    pub(crate) clock: WallClock,
    pub(crate) first_token: u64,
    pub(crate) ports: Range<u16>,
    pub(crate) attempts: usize,
    pub(crate) sessions: usize,
    pub(crate) session: SessionDefaults,
}

/// What each session gets unless it is told otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionDefaults {
    pub(crate) latch: Latch,
    pub(crate) silence: bool,
    pub(crate) reports: bool,
    pub(crate) accept_loops: bool,
    pub(crate) jitter: JitterConfig,
    pub(crate) catch_up: u32,
    pub(crate) keys: usize,
    pub(crate) key_time: Duration,
    pub(crate) key_pause: Duration,
}

impl MediaConfig {
    /// The defaults; all chance comes from `seed`, the time of day in reports from `clock`.
    pub const fn new(seed: [u8; 32], clock: WallClock) -> Self {
        Self {
            seed,
            clock,
            first_token: 0,
            ports: 16_384..32_768,
            attempts: 16,
            sessions: 10_000,
            session: SessionDefaults {
                latch: Latch::Private,
                silence: true,
                reports: true,
                accept_loops: true,
                jitter: JitterConfig::new(),
                catch_up: 5,
                keys: 64,
                key_time: Duration::from_millis(100),
                key_pause: Duration::from_millis(100),
            },
        }
    }

    /// The number of the first socket that is asked for; the next are counted up. Defaults to 0; another is needed
    /// where several machines share a driver.
    #[must_use]
    pub const fn first_token(mut self, token: u64) -> Self {
        self.first_token = token;
        self
    }

    /// The ports of RTP and RTCP. Defaults to 16384 up to 32767, below those that systems give to others.
    #[must_use]
    pub const fn ports(mut self, ports: Range<u16>) -> Self {
        self.ports = ports;
        self
    }

    /// How many pairs of ports are tried before a session fails to open. Defaults to 16.
    #[must_use]
    pub const fn attempts(mut self, count: usize) -> Self {
        self.attempts = count;
        self
    }

    /// The most sessions at once. Defaults to 10,000; more are refused.
    #[must_use]
    pub const fn sessions(mut self, count: usize) -> Self {
        self.sessions = count;
        self
    }

    /// Whether media are sent to where the peer's come from. Defaults to [`Latch::Private`].
    #[must_use]
    pub const fn latch(mut self, latch: Latch) -> Self {
        self.session.latch = latch;
        self
    }

    /// Whether silence is sent while nothing is played. Defaults to yes: it keeps bindings of NATs open, and peers take
    /// a stream that stops for a call that broke.
    #[must_use]
    pub const fn silence(mut self, yes: bool) -> Self {
        self.session.silence = yes;
        self
    }

    /// Whether RTCP reports are sent. Defaults to yes.
    #[must_use]
    pub const fn reports(mut self, yes: bool) -> Self {
        self.session.reports = yes;
        self
    }

    /// Whether our own packets that come back are heard. Defaults to yes, because echo tests of today send packets back
    /// as they are, which RFC 3550 §8.2 would have us drop.
    #[must_use]
    pub const fn accept_loops(mut self, yes: bool) -> Self {
        self.session.accept_loops = yes;
        self
    }

    /// How packets are put back into order and time.
    #[must_use]
    pub const fn jitter(mut self, jitter: JitterConfig) -> Self {
        self.session.jitter = jitter;
        self
    }

    /// How many packets are sent at once after a late wake-up; what is older is left out. Defaults to 5.
    #[must_use]
    pub const fn catch_up(mut self, packets: u32) -> Self {
        self.session.catch_up = if packets == 0 { 1 } else { packets };
        self
    }

    /// How many keys may wait to be sent. Defaults to 64.
    #[must_use]
    pub const fn keys(mut self, count: usize) -> Self {
        self.session.keys = count;
        self
    }

    /// How long a key is pressed, and how long nothing is before the next. Both default to 100 ms, which every receiver
    /// of tones behind a gateway can tell (ITU-T Q.24 asks for 40).
    #[must_use]
    pub const fn key_time(mut self, pressed: Duration, pause: Duration) -> Self {
        self.session.key_time = pressed;
        self.session.key_pause = pause;
        self
    }
}

/// How one session behaves.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    pub(crate) local: IpAddr,
    pub(crate) latch: Option<Latch>,
    pub(crate) silence: Option<bool>,
}

impl SessionConfig {
    /// A session on an address of this host, with the engine's defaults.
    pub const fn new(local: IpAddr) -> Self {
        Self {
            local,
            latch: None,
            silence: None,
        }
    }

    /// Whether media are sent to where the peer's come from. Defaults to [`MediaConfig::latch`].
    #[must_use]
    pub const fn latch(mut self, latch: Latch) -> Self {
        self.latch = Some(latch);
        self
    }

    /// Whether silence is sent while nothing is played. Defaults to [`MediaConfig::silence`].
    #[must_use]
    pub const fn silence(mut self, yes: bool) -> Self {
        self.silence = Some(yes);
        self
    }
}

/// Whether media are sent to where the peer's come from rather than to where it said (symmetric RTP, RFC 4961).
///
/// Only a source that sends what was agreed on counts, only as long as nothing came from the address in the description,
/// and only once for each negotiation: anyone can send a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Latch {
    /// Never
    Never,
    /// When the peer named an address that cannot be reached from elsewhere (RFC 1918, RFC 6598, RFC 4193, link-local,
    /// none at all): then it is behind a NAT and does not know it
    #[default]
    Private,
    /// Whatever it named
    Always,
}

impl Latch {
    pub(crate) fn applies_to(self, named: Option<IpAddr>) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::Private => named.is_none_or(is_private),
        }
    }
}

fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            address.is_private()
                || address.is_link_local()
                || address.is_unspecified()
                || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(address) => {
            address.is_unique_local() || address.is_unicast_link_local() || address.is_unspecified()
        }
    }
}
