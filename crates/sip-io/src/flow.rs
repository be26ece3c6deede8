//! Associations between two hosts.

use crate::Shard;
use std::{
    fmt,
    hash::{Hash, Hasher},
    net::SocketAddr,
};

/// A SIP transport (RFC 3261 §18, RFC 7118).
///
/// A driver needs only [`is_stream`](Self::is_stream): TLS and WebSocket are transforms on the bytes of a TCP stream
/// that happen inside the machine, so the label is carried along and handed back unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Protocol {
    /// Datagrams
    Udp,
    /// A plain stream
    Tcp,
    /// TLS over TCP
    Tls,
    /// WebSocket over TCP
    Ws,
    /// WebSocket over TLS
    Wss,
}

impl Protocol {
    /// Whether the protocol is carried by a stream, which makes it reliable in the sense of RFC 3261 §17.
    pub const fn is_stream(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// Whether the protocol is protected by TLS.
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// The token of a Via header field: `UDP`, `TCP`, `TLS`, `WS`, `WSS`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// The port that is meant when none is written (RFC 3261 §19.1.2, RFC 7118 §10.2.5).
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    /// The protocol that a Via or a `transport` parameter names, whatever its case.
    pub fn from_token(token: &str) -> Option<Self> {
        [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss]
            .into_iter()
            .find(|protocol| protocol.as_str().eq_ignore_ascii_case(token))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The number of a stream, unique within one driver and machine.
///
/// Machines number the streams that they open, drivers those that they accept; the two never meet, because accepted
/// numbers have the highest bit set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(u64);

impl StreamId {
    const ACCEPTED: u64 = 1 << 63;
    /// Where the number of the shard stands: six bits
    const SHARD: u32 = 56;

    /// The `n`th stream that a machine opens.
    pub const fn opened(n: u64) -> Self {
        Self(n & !Self::ACCEPTED)
    }

    /// The `n`th stream that a driver accepts.
    pub const fn accepted(n: u64) -> Self {
        Self(n | Self::ACCEPTED)
    }

    /// The same number among those of one shard.
    #[must_use]
    pub const fn of_shard(self, shard: Shard) -> Self {
        Self(self.0 & !(63 << Self::SHARD) | (shard.index() as u64) << Self::SHARD)
    }

    /// Whose stream it is; the first shard's where nobody said.
    pub fn shard(self) -> Shard {
        Shard::new((self.0 >> Self::SHARD) as usize & 63).unwrap_or_default()
    }

    /// Whether the peer opened the stream.
    pub const fn is_accepted(self) -> bool {
        self.0 & Self::ACCEPTED != 0
    }

    /// The number as it is, for tokens and tables.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The id with the number `raw`, as [`as_u64`](Self::as_u64) gave it.
    pub const fn from_u64(raw: u64) -> Self {
        Self(raw)
    }
}

/// A transport-layer association between two hosts (RFC 5626 §2): protocol, local and remote address, and for streams
/// a number.
///
/// Streams are equal when their numbers are; datagram flows are equal when protocol and both addresses are. The local
/// address of a datagram flow is the concrete one on which the datagram came in, so that a response leaves from there.
#[derive(Clone, Copy)]
pub struct Flow {
    protocol: Protocol,
    local: SocketAddr,
    remote: SocketAddr,
    stream: Option<StreamId>,
}

impl Flow {
    /// The association of datagrams between `local` and `remote`.
    pub const fn udp(local: SocketAddr, remote: SocketAddr) -> Self {
        Self {
            protocol: Protocol::Udp,
            local,
            remote,
            stream: None,
        }
    }

    /// The stream `id` between `local` and `remote`.
    pub const fn stream(
        protocol: Protocol,
        id: StreamId,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Self {
        Self {
            protocol,
            local,
            remote,
            stream: Some(id),
        }
    }

    /// What is spoken on it.
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Our address.
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// The peer's address.
    pub const fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// The number of the stream; `None` for datagrams.
    pub const fn stream_id(&self) -> Option<StreamId> {
        self.stream
    }

    /// Whether it is a stream.
    pub const fn is_stream(&self) -> bool {
        self.stream.is_some()
    }

    /// The same flow with the local address that the system chose.
    pub const fn with_local(mut self, local: SocketAddr) -> Self {
        self.local = local;
        self
    }

    /// The same flow with the address of the peer that an intermediary tells.
    pub const fn with_remote(mut self, remote: SocketAddr) -> Self {
        self.remote = remote;
        self
    }
}

impl PartialEq for Flow {
    fn eq(&self, other: &Self) -> bool {
        match (self.stream, other.stream) {
            (None, None) => {
                self.protocol == other.protocol
                    && self.local == other.local
                    && self.remote == other.remote
            }
            (ours, theirs) => ours == theirs,
        }
    }
}

impl Eq for Flow {}

impl Hash for Flow {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.stream {
            Some(id) => id.hash(state),
            None => (self.protocol, self.local, self.remote).hash(state),
        }
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} -> {}", self.protocol, self.local, self.remote)?;
        let Some(id) = self.stream else {
            return Ok(());
        };
        let number = id.of_shard(Shard::default()).0 & !StreamId::ACCEPTED;
        let how = if id.is_accepted() {
            "accepted"
        } else {
            "opened"
        };
        match id.shard().index() {
            0 => write!(f, " ({how} {number})"),
            shard => write!(f, " ({how} {number} by shard {shard})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn streams_are_equal_by_number_alone() {
        let before = Flow::stream(Protocol::Tcp, StreamId::opened(7), at(0), at(5060));
        assert_eq!(before, before.with_local(at(40_000)));
        assert_ne!(
            before,
            Flow::stream(Protocol::Tcp, StreamId::accepted(7), at(0), at(5060))
        );
        assert_ne!(before, Flow::udp(at(0), at(5060)));
    }

    #[test]
    fn datagram_flows_are_equal_by_addresses() {
        assert_eq!(Flow::udp(at(1), at(2)), Flow::udp(at(1), at(2)));
        assert_ne!(Flow::udp(at(1), at(2)), Flow::udp(at(1), at(3)));
    }

    #[test]
    fn protocol_tokens_are_read_whatever_their_case() {
        assert_eq!(Protocol::from_token("wSs"), Some(Protocol::Wss));
        assert_eq!(Protocol::from_token("sctp"), None);
    }
}
