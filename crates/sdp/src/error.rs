//! What can be wrong, and whose fault it is.

use thiserror::Error;

/// Why a session description was refused, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("session description line {line}, byte {offset}: {kind}")]
pub struct SdpError {
    /// The line, counted from 1
    pub line: usize,
    /// The byte of the description at which the line begins
    pub offset: usize,
    /// What is wrong there
    pub kind: SdpErrorKind,
}

impl SdpError {
    /// The SIP status code with which a description is turned down for this reason: 488 if it may be right and is more
    /// than we take, else 400. A body of another type is a 415 before anyone parses it.
    pub const fn status(&self) -> u16 {
        match self.kind {
            SdpErrorKind::TooLong(_)
            | SdpErrorKind::TooManyLines(_)
            | SdpErrorKind::TooManyMedia(_) => 488,
            _ => 400,
        }
    }

    /// The code of the Warning header field (RFC 3261 §20.43) that belongs to it; its text is what `Display` writes.
    pub const fn warning(&self) -> u16 {
        399
    }
}

/// What is wrong with a session description.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SdpErrorKind {
    /// There is nothing in it
    #[error("empty description")]
    Empty,
    /// It is longer than [`Limits::size`](crate::Limits::size)
    #[error("more than {0} bytes")]
    TooLong(usize),
    /// It has more lines than [`Limits::lines`](crate::Limits::lines)
    #[error("more than {0} lines")]
    TooManyLines(usize),
    /// It has more m= lines than [`Limits::media`](crate::Limits::media)
    #[error("more than {0} media")]
    TooManyMedia(usize),
    /// A line is not a letter, an equals sign and a value
    #[error("not a line of the form letter=value")]
    NoEquals,
    /// A carriage return or a zero byte stands inside a line
    #[error("illegal byte in a line")]
    IllegalByte,
    /// The first line is not `v=0`
    #[error("version is missing or not 0")]
    Version,
    /// There is no o= line
    #[error("origin is missing")]
    OriginMissing,
    /// The o= line has not six parts
    #[error("malformed origin")]
    Origin,
    /// A c= line has not three parts
    #[error("malformed connection data")]
    Connection,
    /// An m= line has not at least kind, port and protocol
    #[error("malformed media line")]
    Media,
    /// The port of an m= line is not a number up to 65535
    #[error("malformed port")]
    Port,
}

/// Why a value that is there could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("malformed {0}")]
pub struct ValueError(pub(crate) &'static str);

impl ValueError {
    /// The error of an attribute or line called `name`, for an own [`TypedAttribute`](crate::TypedAttribute).
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name of the attribute or line.
    pub const fn name(&self) -> &'static str {
        self.0
    }
}

/// A text that cannot stand in a session description: it is empty where it must not be, or has a control character
/// or, where a token is meant, a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("text is not allowed in a session description")]
pub struct IllegalText;

/// Why an offer was not made or not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OfferError {
    /// An offer of ours is outstanding (RFC 3264 §4): 491
    #[error("an offer is outstanding")]
    Pending,
    /// Nothing that the offer lists can be accepted: 488
    #[error("no media in common")]
    NothingAcceptable,
    /// The offer has fewer m= lines than the session (RFC 3264 §8): 488
    #[error("offer has {offered} media, the session {session}")]
    MediaRemoved {
        /// How many the offer has
        offered: usize,
        /// How many it needs
        session: usize,
    },
    /// The session would have more m= lines than a description may have
    #[error("more than {0} media")]
    TooManyMedia(usize),
}

impl OfferError {
    /// The SIP status code with which a peer's offer is turned down for this reason.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Pending => 491,
            Self::NothingAcceptable | Self::MediaRemoved { .. } | Self::TooManyMedia(_) => 488,
        }
    }

    /// The code of the Warning header field (RFC 3261 §20.43) that belongs to a 488.
    pub const fn warning(&self) -> Option<u16> {
        match self {
            Self::Pending => None,
            Self::NothingAcceptable => Some(305),
            Self::MediaRemoved { .. } | Self::TooManyMedia(_) => Some(399),
        }
    }
}

/// Why an answer cannot be applied; the session is then as it was before the offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// No offer of ours is outstanding
    #[error("no offer is outstanding")]
    NotOffered,
    /// It has not as many m= lines as the offer (RFC 3264 §6)
    #[error("answer has {answered} media, the offer {offered}")]
    MediaCount {
        /// How many the answer has
        answered: usize,
        /// How many the offer had
        offered: usize,
    },
    /// An m= line has another kind or protocol than the one of the offer (RFC 3264 §6)
    #[error("media {0} of the answer is of another kind than offered")]
    MediaMismatch(usize),
    /// An m= line has keys that were not offered, or lacks those that were needed (RFC 4568 §5.1.3)
    #[error("keys of media {0} of the answer do not fit the offer")]
    Keys(usize),
    /// Media were accepted, but none with a codec that was offered
    #[error("no codec in common")]
    NoCommonCodec,
}
