//! What goes between a driver and a machine.

use crate::{Flow, Parcel, Protocol, Shard};
use bytes::Bytes;
use std::{
    io,
    net::{IpAddr, SocketAddr},
};

/// The machine's own number for a socket that it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BindToken(pub u64);

/// What a driver tells a machine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Receive {
    /// A datagram came.
    Datagram {
        /// Between whom; the local address is the one it was sent to
        flow: Flow,
        /// Its payload
        contents: Bytes,
    },
    /// Some bytes of a stream came.
    Stream {
        /// Which stream
        flow: Flow,
        /// The bytes, at least one
        contents: Bytes,
    },
    /// A stream that the machine asked for is open, or a peer opened one to a listener of ours.
    Opened {
        /// The stream, its local address filled in
        flow: Flow,
    },
    /// A stream has ended, or could not be opened; nothing more comes on it.
    Closed {
        /// Which stream
        flow: Flow,
        /// Why
        reason: CloseReason,
    },
    /// A datagram could not be delivered; the socket goes on.
    Failed {
        /// Where it was to go
        flow: Flow,
        /// Why
        reason: FailReason,
    },
    /// The answer to [`Transmit::Bind`].
    Bound {
        /// The number given in the request
        token: BindToken,
        /// The address that is now bound, with the port that the system chose
        result: Result<SocketAddr, io::ErrorKind>,
    },
    /// The addresses of the host's interfaces, at the start and whenever they change.
    Network {
        /// All of them, loopback included
        addresses: Vec<IpAddr>,
    },
    /// Another shard handed something over.
    Steered {
        /// Who
        from: Shard,
        /// What
        parcel: Box<Parcel>,
    },
    /// A parcel of ours was not taken: there is no room for what came in a datagram, too much waits already, or the
    /// shard is gone.
    Unsteered {
        /// For whom it was
        to: Shard,
        /// What
        parcel: Box<Parcel>,
    },
}

/// What a machine asks of a driver.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Transmit {
    /// Send a datagram from the socket bound to `flow.local()`.
    Datagram {
        /// From where, to where
        flow: Flow,
        /// Its payload
        contents: Bytes,
    },
    /// Append to a stream.
    Stream {
        /// Which stream
        flow: Flow,
        /// The bytes
        contents: Bytes,
    },
    /// Open a stream to `flow.remote()`; answered by [`Receive::Opened`] or [`Receive::Closed`]. A local address that
    /// is unspecified leaves the choice to the system.
    Open {
        /// The stream, numbered by the machine
        flow: Flow,
    },
    /// Write what was queued, then close the stream; no [`Receive::Closed`] follows.
    Close {
        /// Which stream
        flow: Flow,
    },
    /// Stop reading from a stream, for back-pressure.
    Pause {
        /// Which stream
        flow: Flow,
    },
    /// Read from a paused stream again.
    Resume {
        /// Which stream
        flow: Flow,
    },
    /// Bind a socket (for streams: listen); answered by [`Receive::Bound`]. What comes in on it carries `protocol`.
    Bind {
        /// The machine's number for the socket
        token: BindToken,
        /// What is spoken there
        protocol: Protocol,
        /// Where; port 0 asks the system
        local: SocketAddr,
    },
    /// As [`Bind`](Self::Bind), at an address that every shard binds for itself: the system gives each of them a part of
    /// what comes.
    BindShared {
        /// The machine's number for the socket
        token: BindToken,
        /// What is spoken there
        protocol: Protocol,
        /// Where; port 0 asks the system, and the other shards then bind what it chose
        local: SocketAddr,
    },
    /// Hand something to another shard. What cannot be taken comes back as [`Receive::Unsteered`].
    ///
    /// A message that came on a stream waits until there is room, and the stream is not read meanwhile.
    Steer {
        /// To whom
        to: Shard,
        /// What
        parcel: Box<Parcel>,
    },
    /// Close a bound socket.
    Release {
        /// The number it was bound with
        token: BindToken,
    },
}

/// Why a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer closed it
    ByPeer,
    /// It could not be opened
    Refused(io::ErrorKind),
    /// It broke
    Broken(io::ErrorKind),
    /// The peer does not read what we write, and the queue is full
    PeerTooSlow,
}

/// Why a datagram was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailReason {
    /// The destination or a router on the way said so (ICMP), or the host knows no way
    Unreachable,
    /// It is longer than the way allows
    TooLong,
    /// Too many others wait for their turn at the socket: it is lost, as datagrams may be
    NoRoom,
    /// Anything else that the socket said
    Socket(io::ErrorKind),
}
