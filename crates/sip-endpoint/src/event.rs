//! What an endpoint tells its core.

use crate::RequestId;
use sip_io::{Flow, Note, Shard};
use sip_message::{Request, Response, StatusCode};
use sip_transaction::ServerTransactionId;
use sip_transport::{HandshakeFailure, Target};
use std::fmt;

/// What happened below a core. Ids belong to the core that made them or took the event that brought them; every other
/// core hands the event on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A new request, checked for what RFC 3261 §8.1.1 makes mandatory. Never an ACK; a CANCEL only when there is no
    /// INVITE transaction that it could mean.
    Request {
        /// Its server transaction, to be answered
        id: ServerTransactionId,
        /// What it came on
        flow: Flow,
        /// The request, `received` and `rport` filled in
        request: Box<Request>,
    },
    /// An ACK to a 2xx, or one that belongs to nothing. It is never answered.
    Ack {
        /// What it came on
        flow: Flow,
        /// The ACK
        request: Box<Request>,
        /// The INVITE's transaction, when the branch tells (a peer of RFC 2543)
        invite: Option<ServerTransactionId>,
    },
    /// The INVITE `id` is cancelled. The CANCEL was answered with 200 already; the core answers the INVITE with 487,
    /// unless it has answered it.
    Cancelled {
        /// The INVITE's transaction
        id: ServerTransactionId,
        /// The CANCEL, whose Reason may be of interest
        request: Box<Request>,
    },
    /// A response to a request of ours: provisional, final, and each 2xx of an INVITE that forked.
    Response {
        /// The request
        id: RequestId,
        /// The response
        response: Box<Response>,
        /// What it came on
        flow: Flow,
    },
    /// A request of ours got no final response and will get none.
    RequestFailed {
        /// The request
        id: RequestId,
        /// Why
        reason: Failure,
    },
    /// Nothing more will come for a request that had a final response; the id is stale now.
    RequestEnded {
        /// The request
        id: RequestId,
    },
    /// No ACK came for a final response other than 2xx, within 64×T1 (Timer H).
    Unacknowledged {
        /// The INVITE's transaction
        id: ServerTransactionId,
    },
    /// A response could be sent neither on the request's connection nor on a new one (RFC 3261 §18.2.2). The
    /// transaction stays (RFC 6026 §7.1).
    ResponseUndelivered {
        /// The transaction
        id: ServerTransactionId,
    },
    /// A server transaction is over; the id is stale now.
    ServerEnded {
        /// The transaction
        id: ServerTransactionId,
    },
    /// A stream that was open has ended, or a datagram flow that was kept alive is dead (RFC 5626 §4.4).
    FlowClosed {
        /// Which
        flow: Flow,
    },
    /// The addresses of this host have changed: what we wrote about ourselves may lead nowhere now.
    NetworkChanged,
    /// The core of another shard tells something; it is for whichever core knows its type.
    Note {
        /// Whose core
        from: Shard,
        /// What
        note: Note,
    },
    /// A response came that belongs to no request of ours: only where [`EndpointConfig::strays`] asks for it.
    ///
    /// [`EndpointConfig::strays`]: crate::EndpointConfig::strays
    Stray {
        /// What it came on
        flow: Flow,
        /// The response
        response: Box<Response>,
    },
}

/// Why a request got no final response.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// Nobody answered in time: to a core this is a 408 (RFC 3261 §8.1.3.1)
    TimedOut {
        /// What was tried
        tried: Vec<Attempt>,
    },
    /// The name leads to no server: to a core this is a 503
    NoTarget {
        /// What the resolver said
        cause: String,
    },
    /// No server could be reached: to a core this is a 503 (RFC 3261 §8.1.3.1)
    Unreachable {
        /// What was tried
        tried: Vec<Attempt>,
    },
    /// It was cancelled before anything was sent
    Cancelled,
    /// A limit of ours stands in the way
    Full,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tried = match self {
            Self::NoTarget { cause } => return write!(f, "no server: {cause}"),
            Self::Cancelled => return f.write_str("cancelled"),
            Self::Full => return f.write_str("too many requests are under way"),
            Self::TimedOut { tried } => {
                f.write_str("no answer in time")?;
                tried
            }
            Self::Unreachable { tried } => {
                f.write_str("nobody can be reached")?;
                tried
            }
        };
        for (place, attempt) in tried.iter().enumerate() {
            write!(f, "{}{attempt}", if place == 0 { ": " } else { ", " })?;
        }
        Ok(())
    }
}

impl Failure {
    /// The status code that RFC 3261 §8.1.3.1 tells a core to take the failure for.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TimedOut { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::Cancelled => StatusCode::REQUEST_TERMINATED,
            Self::NoTarget { .. } | Self::Unreachable { .. } | Self::Full => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// Whether nothing stood in the way but that every server that there was has asked for fewer requests (RFC 7339):
    /// a proxy says so upstream by 503 without Retry-After (§5.10).
    pub fn is_shed(&self) -> bool {
        match self {
            Self::Unreachable { tried } => {
                let shed = |attempt: &Attempt| attempt.failure == AttemptFailure::Shed;
                !tried.is_empty() && tried.iter().all(shed)
            }
            _ => false,
        }
    }
}

/// One target that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Where
    pub target: Target,
    /// Why it failed
    pub failure: AttemptFailure,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Target {
            protocol, address, ..
        } = self.target;
        write!(f, "{address} over {protocol} ({})", self.failure)
    }
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttemptFailure {
    /// No response in time
    TimedOut,
    /// Refused, unreachable or broken
    Unreachable,
    /// The handshake of TLS or WebSocket failed: a certificate that proves nothing, an alert, a refused upgrade
    Handshake(HandshakeFailure),
    /// No listener of ours reaches that kind of target, or we do not speak its protocol
    NoListener,
    /// It said 503
    Unavailable,
    /// It has asked for fewer requests, and this is one of those that it does not get (RFC 7339 §5.5)
    Shed,
    /// A `sips` URI asks for TLS, and the target has none (RFC 3261 §26.2.2)
    Insecure,
    /// No datagram is long enough for the request (RFC 3261 §18.1.1)
    TooLong,
    /// There are as many connections as there may be
    TooManyConnections,
}

impl fmt::Display for AttemptFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake(failure) => return failure.fmt(f),
            Self::TimedOut => "no answer in time",
            Self::Unreachable => "unreachable",
            Self::NoListener => "no listener of ours reaches it",
            Self::Unavailable => "503",
            Self::Shed => "it asked for fewer requests",
            Self::Insecure => "not secure",
            Self::TooLong => "the request is too long",
            Self::TooManyConnections => "too many connections",
        })
    }
}
