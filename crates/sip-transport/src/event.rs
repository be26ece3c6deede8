//! What the transport tells its user.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::SystemTime,
};

use bytes::Bytes;
use thiserror::Error;

use crate::listener::ListenerId;
use sip_io::{FailReason, Flow, Note, Protocol, Shard};
use sip_message::{Request, Response};

/// What a [`Transport`](crate::Transport) tells its user.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A listener is bound.
    Listening {
        /// Which one
        listener: ListenerId,
        /// Where, with the port that the system chose
        local: SocketAddr,
    },
    /// A listener could not be bound, and is forgotten.
    ListenFailed {
        /// Which one
        listener: ListenerId,
        /// Why
        reason: io::ErrorKind,
    },
    /// A request came. It is complete and readable, and its top Via says where it really came from.
    Request {
        /// Between whom
        flow: Flow,
        /// The request
        request: Box<Request>,
    },
    /// A response to a request of ours came.
    Response {
        /// Between whom
        flow: Flow,
        /// The response
        response: Box<Response>,
    },
    /// A connection is open, its handshakes included: one that was asked for, or one that a peer has opened.
    Opened {
        /// The connection, its local address filled in
        flow: Flow,
    },
    /// A connection has ended, or could not be opened.
    Closed {
        /// Which one
        flow: Flow,
        /// Why
        reason: CloseReason,
    },
    /// A certificate of ours ends soon; told once a day.
    CertificateEnding {
        /// What it proves
        domains: Vec<String>,
        /// When it ends
        not_after: SystemTime,
    },
    /// A datagram came that is no SIP: its first two bits are those of STUN (RFC 5626 §4.4.2).
    Stun {
        /// Between whom
        flow: Flow,
        /// The datagram
        contents: Bytes,
    },
    /// The peer answered a keep-alive ([`Transport::ping`](crate::Transport::ping)).
    Pong {
        /// On which connection
        flow: Flow,
    },
    /// The addresses of the host have changed.
    NetworkChanged,
    /// A datagram could not be delivered.
    Failed {
        /// Where it was to go
        flow: Flow,
        /// Why
        reason: FailReason,
    },
    /// The user of another shard tells something ([`Transport::tell`](crate::Transport::tell)).
    Note {
        /// Whose user
        from: Shard,
        /// What
        note: Note,
    },
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer closed it
    ByPeer,
    /// It could not be opened, or not in time
    Refused(io::ErrorKind),
    /// It broke
    Broken(io::ErrorKind),
    /// The peer does not read what we write
    PeerTooSlow,
    /// Nothing happened on it for too long
    Idle,
    /// A message took too long to arrive
    TooSlow,
    /// No message could be found in what came
    Unframable,
    /// It answered no keep-alive, or sent none though it had promised to (RFC 5626 §4.4.1, §5.4)
    Silent,
    /// The peer opened it and said nothing
    Mute,
    /// No load balancer that is trusted said whom it is from
    Unannounced,
    /// The handshake of TLS or WebSocket failed, so that no message ever travelled
    Handshake(HandshakeFailure),
    /// What came in a WebSocket was wrong, which we told the peer by this code (RFC 6455 §7.4)
    WebSocket(u16),
    /// The peer ended TLS with this alert (RFC 8446 §6); a server of TLS 1.3 refuses a client's certificate like that,
    /// after the client's side of the handshake
    Alert(u8),
}

/// Why a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HandshakeFailure {
    /// It took too long
    #[error("the handshake took too long")]
    TimedOut,
    /// A WebSocket was refused with this HTTP status: by the server that we asked, or by us
    #[error("the WebSocket was refused with HTTP status {0}")]
    Upgrade(u16),
    /// What the server answered makes no WebSocket for SIP (RFC 6455 §4.1, RFC 7118 §4.1)
    #[error("what was answered makes no WebSocket")]
    NotWebSocket,
    /// The certificate leads to nobody whom we believe
    #[error("the certificate leads to nobody whom we believe")]
    Untrusted,
    /// The certificate is not one of whom we wanted to reach (RFC 5922)
    #[error("the certificate names somebody else")]
    WrongName,
    /// The certificate is not valid yet, or no longer
    #[error("the certificate is not valid yet, or no longer")]
    OutOfDate,
    /// The certificate has another fault
    #[error("the certificate is of no use")]
    BadCertificate,
    /// The client has no certificate, and has to have one
    #[error("a certificate is required")]
    NoCertificate,
    /// The peer refused, with this alert (RFC 8446 §6)
    #[error("refused with TLS alert {0}")]
    Alert(u8),
    /// What came is no TLS
    #[error("what came is no TLS")]
    Garbled,
    /// There is no version or suite that both know, or the peer broke the protocol
    #[error("no common TLS")]
    Disagreement,
}

impl From<sip_io::CloseReason> for CloseReason {
    fn from(reason: sip_io::CloseReason) -> Self {
        match reason {
            sip_io::CloseReason::ByPeer => Self::ByPeer,
            sip_io::CloseReason::Refused(kind) => Self::Refused(kind),
            sip_io::CloseReason::PeerTooSlow => Self::PeerTooSlow,
            sip_io::CloseReason::Broken(kind) => Self::Broken(kind),
            _ => Self::Broken(io::ErrorKind::Other),
        }
    }
}

/// Where a message is to go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// What is spoken there
    pub protocol: Protocol,
    /// Where it is
    pub address: SocketAddr,
    /// The host of the URI that led there, which the peer has to prove where the protocol lets it (RFC 5922)
    pub name: Option<String>,
}

/// Why there is no flow to a target.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FlowError {
    /// No listener for datagrams can reach the address
    #[error("no {protocol} listener reaches {address}")]
    NoListener {
        /// What was to be spoken
        protocol: Protocol,
        /// Where
        address: IpAddr,
    },
    /// The address is one of many, and nothing is sent to many
    #[error("{address} is a multicast address")]
    Multicast {
        /// The address
        address: IpAddr,
    },
    /// The protocol is not spoken here
    #[error("{0} is not spoken here")]
    Unsupported(Protocol),
    /// No certificate could prove the name of the target
    #[error("no certificate can prove {0:?}")]
    Unprovable(String),
    /// There are as many connections as there may be
    #[error("the limit of {limit} connections is reached")]
    TooManyConnections {
        /// How many there may be
        limit: usize,
    },
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The connection has ended, or the listener is gone
    #[error("the flow is gone")]
    Gone,
    /// The message is longer than what the protocol carries
    #[error("the message has {length} bytes, {limit} is the most")]
    TooLong {
        /// How long it is
        length: usize,
        /// How long it may be
        limit: usize,
    },
    /// The connection is not open yet, and too much waits for it already
    #[error("more than {limit} bytes wait for the connection to open")]
    QueueFull {
        /// How much may wait
        limit: usize,
    },
}

/// Why a call was not adopted: as many are as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{limit} calls are adopted, as many as may be")]
pub struct TooManyAdopted {
    /// How many may be
    pub limit: usize,
}
