//! What goes wrong, one small enum for each verb.

use sdp::{AnswerError, OfferError, SdpError};
use thiserror::Error;

/// The session is closed, or never was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("media session is closed")]
pub struct Gone;

/// Why a session was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There are as many sessions as [`MediaConfig::sessions`](crate::MediaConfig::sessions) allows
    #[error("more than {0} media sessions")]
    Full(usize),
    /// All ports of the range are in use
    #[error("no media port is free")]
    NoPort,
}

/// Why media were not started.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The session is closed
    #[error("media session is closed")]
    Gone,
    /// Its ports are not bound yet
    #[error("media session is not open yet")]
    NotOpen,
    /// The codec that was agreed on is not built in
    #[error("codec {0} is not supported")]
    Codec(String),
}

/// Why keys were not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DtmfError {
    /// The session is closed
    #[error("media session is closed")]
    Gone,
    /// The peer takes no telephone events (RFC 4733)
    #[error("telephone events were not negotiated")]
    NotNegotiated,
    /// A character is no key
    #[error("{0:?} is not a key")]
    NotAKey(char),
    /// More keys wait than [`MediaConfig::keys`](crate::MediaConfig::keys) allows
    #[error("more than {0} keys")]
    Full(usize),
}

/// Why a file cannot be played or recorded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MediaError {
    /// The file, or what it says about itself
    #[error(transparent)]
    Wav(#[from] hound::Error),
    /// It has no channels or no samples per second
    #[error("WAV file has no channels or no sample rate")]
    Empty,
    /// The recording stopped early, because it could not be written or grew too long
    #[error("recording stopped early")]
    Stopped,
}

/// Why two descriptions do not make a session.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NegotiateError {
    /// A description could not be read
    #[error(transparent)]
    Sdp(#[from] SdpError),
    /// An offer could not be made or answered
    #[error(transparent)]
    Offer(#[from] OfferError),
    /// An answer does not fit its offer
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

impl NegotiateError {
    /// The SIP status code with which a peer's offer is turned down for this reason.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Sdp(error) => error.status(),
            Self::Offer(error) => error.status(),
            Self::Answer(_) => 488,
        }
    }

    /// The code of the Warning header field (RFC 3261 §20.43) that belongs to it.
    pub const fn warning(&self) -> Option<u16> {
        match self {
            Self::Offer(error) => error.warning(),
            Self::Sdp(_) | Self::Answer(_) => Some(399),
        }
    }
}
