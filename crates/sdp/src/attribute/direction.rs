//! sendrecv, sendonly, recvonly, inactive (RFC 8866 §6.7).

use super::Attribute;
use std::fmt;

/// Which way media flow, seen by whoever wrote it (RFC 8866 §6.7).
///
/// ```
/// # use sdp::Direction;
/// // RFC 3264 §6.1: what an answer may say is what both want, seen from the other side.
/// assert_eq!(Direction::SendOnly.reversed().and(Direction::SendRecv), Direction::RecvOnly);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both ways
    #[default]
    SendRecv,
    /// From the writer only: with this a writer puts its peer on hold
    SendOnly,
    /// To the writer only
    RecvOnly,
    /// Neither way; RTCP still flows
    Inactive,
}

impl Direction {
    /// The direction in which the writer sends, receives, both or neither.
    pub const fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    pub(crate) fn of(attribute: &Attribute<'_>) -> Option<Self> {
        if attribute.value_bytes().is_some() {
            return None;
        }
        Self::named(attribute.name())
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [
            Self::SendRecv,
            Self::SendOnly,
            Self::RecvOnly,
            Self::Inactive,
        ]
        .into_iter()
        .find(|direction| direction.as_str() == name)
    }

    /// Whether the writer sends.
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the writer receives.
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same, seen by the other side.
    pub const fn reversed(self) -> Self {
        Self::new(self.receives(), self.sends())
    }

    /// What both allow.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self::new(
            self.sends() && other.sends(),
            self.receives() && other.receives(),
        )
    }

    /// The attribute's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
