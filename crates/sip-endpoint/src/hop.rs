//! One place to send a request to, and what its length has to do with the way there (RFC 3261 §18.1.1).

use crate::AttemptFailure;
use sip_io::{Flow, Protocol};
use sip_transport::{FlowError, Target};

/// A target that has not been tried yet.
#[derive(Clone, Debug)]
pub(crate) struct Hop {
    pub(crate) target: Target,
    way: Way,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// As the target says, unless the request turns out to be too long for datagrams
    Open,
    /// Over a stream, because the request is too long for `instead_of`
    Stream { instead_of: Flow },
    /// In a datagram after all, because nobody takes the stream
    Datagram,
}

impl Hop {
    pub(crate) const fn new(target: Target) -> Self {
        Self {
            target,
            way: Way::Open,
        }
    }

    /// Whether a request of `length` bytes must not go in a datagram on `flow` before a stream was tried.
    pub(crate) fn wants_stream(&self, flow: &Flow, length: usize, limit: usize) -> bool {
        self.way == Way::Open && !flow.is_stream() && length > limit
    }

    /// RFC 3261 §18.1.1: the same server over TCP, and if that cannot be opened over UDP after all.
    pub(crate) fn by_stream(self, instead_of: Flow) -> [Self; 2] {
        let target = Target {
            protocol: Protocol::Tcp,
            ..self.target.clone()
        };
        let stream = Self {
            target,
            way: Way::Stream { instead_of },
        };
        let datagram = Self {
            target: self.target,
            way: Way::Datagram,
        };
        [stream, datagram]
    }

    /// Whether this was kept for the case that no stream can be opened.
    pub(crate) fn is_last_resort(&self) -> bool {
        self.way == Way::Datagram
    }

    /// The flow that Contact and Record-Route are written for: §18.1.1 changes nothing but the Via, because where we
    /// are reached does not depend on the length of a request.
    pub(crate) const fn written_for<'f>(&'f self, flow: &'f Flow) -> &'f Flow {
        match &self.way {
            Way::Stream { instead_of } => instead_of,
            Way::Open | Way::Datagram => flow,
        }
    }
}

/// What there is at the other end of a flow that was given.
pub(crate) fn target_of(flow: &Flow) -> Target {
    Target {
        protocol: flow.protocol(),
        address: flow.remote(),
        name: None,
    }
}

impl From<FlowError> for AttemptFailure {
    fn from(error: FlowError) -> Self {
        match error {
            FlowError::TooManyConnections { .. } => Self::TooManyConnections,
            _ => Self::NoListener,
        }
    }
}

/// The most that a datagram carries: 65,535 bytes, including the headers of IP and UDP (RFC 3261 §18.1.1).
pub(crate) const LONGEST_DATAGRAM: usize = 65_507;
