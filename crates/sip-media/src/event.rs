//! What the engine tells.

use std::net::SocketAddr;

/// Names one media session; stale once it is closed, and then harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId {
    pub(crate) index: usize,
    pub(crate) generation: u64,
}

/// Names one playing of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlaybackId(pub(crate) u64);

/// What happened in a media session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Both ports are bound.
    Opened {
        /// Which session
        session: SessionId,
        /// Where it receives RTP; RTCP is on the next port
        local: SocketAddr,
    },
    /// No two ports could be bound; the session is gone.
    OpenFailed {
        /// Which session
        session: SessionId,
    },
    /// A source has ended, or gave way to another.
    PlaybackDone {
        /// Which session
        session: SessionId,
        /// Which playing
        playback: PlaybackId,
        /// Whether its last sample was sent
        completed: bool,
    },
    /// The peer pressed a key.
    Dtmf {
        /// Which session
        session: SessionId,
        /// `0` to `9`, `*`, `#`, `A` to `D`, or `!` for the hook flash
        digit: char,
    },
    /// The last of the keys that were to be sent has been.
    DtmfSent {
        /// Which session
        session: SessionId,
    },
}
