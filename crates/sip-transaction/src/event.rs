//! What the layer tells its user, and what it wants sent.

use bytes::Bytes;

use crate::table::Id;
use sip_io::Flow;
use sip_message::{Request, Response};

/// Names a client transaction, also after it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientTransactionId(pub(crate) Id);

/// Names a server transaction, also after it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerTransactionId(pub(crate) Id);

impl ServerTransactionId {
    /// A number that no other server transaction of the layer has, for what is derived from it.
    pub const fn as_u64(self) -> u64 {
        self.0.as_u64()
    }
}

/// What a [`TransactionLayer`](crate::TransactionLayer) tells the transaction user.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A new request came, neither ACK nor CANCEL; it wants [`respond`](crate::TransactionLayer::respond).
    Request {
        /// Its transaction
        id: ServerTransactionId,
        /// Where it came from
        flow: Flow,
        /// The request
        request: Box<Request>,
    },
    /// A CANCEL came: it wants 200, or 481 where `invite` is `None`; and the INVITE, if it has no final response
    /// yet, wants 487 (RFC 3261 §9.2).
    ///
    /// A CANCEL for any other method has no effect by RFC 3261 §9.2, and matches nothing here.
    Cancel {
        /// The CANCEL's own transaction
        id: ServerTransactionId,
        /// The INVITE that it wants to end
        invite: Option<ServerTransactionId>,
        /// Where it came from
        flow: Flow,
        /// The CANCEL
        request: Box<Request>,
    },
    /// An ACK came that is not to a 300–699 of ours. Nothing answers it.
    Ack {
        /// The INVITE that was accepted, where its branch is that of the ACK; peers of RFC 3261 use another one, and
        /// then the dialog tells
        invite: Option<ServerTransactionId>,
        /// Where it came from
        flow: Flow,
        /// The ACK
        request: Box<Request>,
    },
    /// A response came: each provisional one, the final one, and to an INVITE each 2xx.
    Response {
        /// The transaction of the request
        id: ClientTransactionId,
        /// Where it came from
        flow: Flow,
        /// The response
        response: Box<Response>,
    },
    /// No response came in time (Timers B and F), or no final one within 64×T1 after CANCEL. It counts as 408.
    TimedOut {
        /// The transaction of the request
        id: ClientTransactionId,
    },
    /// The transport failed before any response came. It counts as 503 (RFC 3261 §8.1.3.1).
    Failed {
        /// The transaction of the request
        id: ClientTransactionId,
    },
    /// No ACK to the final response came (Timer H).
    Unacknowledged {
        /// The transaction of the INVITE
        id: ServerTransactionId,
    },
    /// A response came that belongs to no transaction: only a stateless proxy forwards it (RFC 6026 §8.9).
    Stray {
        /// Where it came from
        flow: Flow,
        /// The response
        response: Box<Response>,
    },
    /// A request came and the table is full: it may be answered with 503 without state, at a bounded rate.
    Overloaded {
        /// Where it came from
        flow: Flow,
        /// The request
        request: Box<Request>,
    },
    /// A client transaction has ended, for whatever reason: the last that is heard of it.
    Ended {
        /// Which one
        id: ClientTransactionId,
    },
    /// A server transaction has ended, for whatever reason: the last that is heard of it.
    ServerEnded {
        /// Which one
        id: ServerTransactionId,
    },
}

/// A message that is to be sent.
#[derive(Clone, Debug)]
pub struct Send {
    /// Where
    pub flow: Flow,
    /// The message
    pub contents: Bytes,
    /// For whom
    pub owner: Owner,
}

/// The transaction that a message belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The message is a request
    Client(ClientTransactionId),
    /// The message is a response
    Server(ServerTransactionId),
}
