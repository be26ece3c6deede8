//! One place to send a request to, and what its length has to do with the way there (RFC 3261 §18.1.1).

use crate::{AttemptFailure, names::Located};
use sip_io::{Flow, Protocol};
use sip_transport::{FlowError, Target};

/// A target that has not been tried yet.
#[derive(Clone, Debug)]
pub(crate) struct Hop {
    pub(crate) target: Target,
    /// The host behind it, if the resolver told one
    pub(crate) server: Option<String>,
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
            server: None,
            way: Way::Open,
        }
    }

    pub(crate) fn located(located: Located) -> Self {
        Self {
            target: located.target,
            server: Some(located.server),
            way: Way::Open,
        }
    }

    /// Whether both lead to one server: its other addresses, its other transports at the same port.
    pub(crate) fn is_same_server(&self, target: &Target, server: Option<&str>) -> bool {
        server.is_some()
            && self.server.as_deref() == server
            && self.target.address.port() == target.address.port()
    }

    /// RFC 8305 §5: whether this connection may be tried while the one to `earlier` is still being opened: another
    /// address of the same server. Another server has its turn when this one has failed.
    pub(crate) fn may_race(&self, earlier: &Self) -> bool {
        self.target.protocol.is_stream()
            && self.target.protocol == earlier.target.protocol
            && self.way == Way::Open
            && earlier.way == Way::Open
            && self.is_same_server(&earlier.target, earlier.server.as_deref())
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
            server: self.server.clone(),
            way: Way::Stream { instead_of },
        };
        let datagram = Self {
            target: self.target,
            server: self.server,
            way: Way::Datagram,
        };
        [stream, datagram]
    }

    /// Whether the length of the request has not led elsewhere yet.
    pub(crate) fn is_as_told(&self) -> bool {
        self.way == Way::Open
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
