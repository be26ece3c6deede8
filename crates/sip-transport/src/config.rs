//! What may be set, and what is then done.

use std::{net::IpAddr, sync::Arc, time::Duration};

use crate::{sharding::Sharding, tls::Tls, ws::WebSocketConfig};
use sip_io::WallClock;

/// Limits and times of a [`Transport`](crate::Transport).
///
/// ```
/// # use sip_transport::TransportConfig;
/// # use std::time::Duration;
/// let config = TransportConfig::default()
///     .connections(1_000)
///     .idle_timeout(Duration::from_secs(120));
/// ```
#[derive(Clone, Debug)]
pub struct TransportConfig {
    pub(crate) message_size: usize,
    pub(crate) connections: usize,
    pub(crate) connections_per_source: usize,
    pub(crate) unlimited_sources: Vec<IpAddr>,
    pub(crate) idle_timeout: Duration,
    pub(crate) open_timeout: Duration,
    pub(crate) handshake_timeout: Duration,
    pub(crate) message_timeout: Duration,
    pub(crate) first_message_timeout: Duration,
    pub(crate) write_queue: usize,
    pub(crate) answers: u32,
    pub(crate) log_lines: u32,
    pub(crate) web_socket: Arc<WebSocketConfig>,
    pub(crate) tls: Option<Tls>,
    pub(crate) clock: Option<WallClock>,
    pub(crate) keep: Option<Duration>,
    pub(crate) connection_reuse: bool,
    pub(crate) sharding: Option<Sharding>,
    pub(crate) adoptions: usize,
}

impl TransportConfig {
    /// Sets the greatest length of a message, in bytes.
    ///
    /// Defaults to 65,535, the longest datagram that RFC 3261 §18.1.1 wants accepted. A longer datagram is dropped
    /// and counted; a stream on which a longer message begins is closed. This is also what one connection may keep
    /// buffered.
    pub const fn message_size(mut self, bytes: usize) -> Self {
        self.message_size = bytes;
        self
    }

    /// Sets how many stream connections there may be at one time, accepted and opened ones together.
    ///
    /// Defaults to 10,000. Above it an accepted connection is closed at once, and none is opened
    /// ([`FlowError::TooManyConnections`](crate::FlowError::TooManyConnections)).
    pub const fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Sets how many connections one peer may have opened to us at one time: one IPv4 address, or one IPv6 network of
    /// 64 bits, because its hosts choose the rest.
    ///
    /// Defaults to 1,000, enough for an office behind one address. A further one is closed at once.
    pub const fn connections_per_source(mut self, connections: usize) -> Self {
        self.connections_per_source = connections;
        self
    }

    /// Sets the peers that [`connections_per_source`](Self::connections_per_source) does not hold, such as the proxies of
    /// a large provider. Load balancers and HTTP proxies that are believed need not be among them: whom they speak for
    /// counts.
    ///
    /// Defaults to none.
    pub fn unlimited_sources(mut self, sources: impl IntoIterator<Item = IpAddr>) -> Self {
        self.unlimited_sources = sources.into_iter().collect();
        self
    }

    /// Sets how long a connection stays open with nothing sent or received.
    ///
    /// Defaults to 10 minutes, because re-opening costs more than holding. RFC 3261 §18 wants 32 s at least; what is
    /// shorter counts as that. One on which signs of life are agreed upon may be silent as long as they allow.
    pub const fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = if timeout.as_secs() < MINIMUM_IDLE.as_secs() {
            MINIMUM_IDLE
        } else {
            timeout
        };
        self
    }

    /// Sets how long a connection may take to open.
    ///
    /// Defaults to 8 s, so that a second target can still be tried within a transaction's 32 s. A connection that
    /// takes longer counts as refused.
    pub const fn open_timeout(mut self, timeout: Duration) -> Self {
        self.open_timeout = timeout;
        self
    }

    /// Sets how long the handshakes of TLS and WebSocket may take together, once the connection is open.
    ///
    /// Defaults to 5 s: a few round trips on a bad line, and little for those who hold connections without talking.
    /// Then the connection is closed with [`HandshakeFailure::TimedOut`](crate::HandshakeFailure::TimedOut).
    pub const fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Sets how long a message on a stream may take from its first byte to its last.
    ///
    /// Defaults to 32 s, the length of a transaction. A slower sender's connection is closed.
    pub const fn message_timeout(mut self, timeout: Duration) -> Self {
        self.message_timeout = timeout;
        self
    }

    /// Sets how long a connection that a peer has opened may be silent at first: until a message begins or a keep-alive
    /// is complete. It counts from the end of the TLS handshake; who has asked for a WebSocket has said something.
    ///
    /// Defaults to 32 s, the length of a transaction: a connection is opened because there is something to say. Then it
    /// is closed with [`CloseReason::Mute`](crate::CloseReason::Mute); all others may be
    /// [idle](Self::idle_timeout) longer.
    pub const fn first_message_timeout(mut self, timeout: Duration) -> Self {
        self.first_message_timeout = timeout;
        self
    }

    /// Sets whether requests go back over TLS connections that peers opened, and whether we offer that (RFC 5923).
    ///
    /// Defaults to yes: it takes a certificate of the client that we have asked for and that proves the name of the
    /// request's target, and `alias` in the client's Via. We write `alias` where we have a certificate and a listener.
    pub const fn connection_reuse(mut self, reuse: bool) -> Self {
        self.connection_reuse = reuse;
        self
    }

    /// Makes the transport one of several that share the work of one; see [`Sharding`].
    ///
    /// Defaults to none. Limits and rates are then those of each shard.
    pub fn sharding(mut self, sharding: Sharding) -> Self {
        self.sharding = Some(sharding).filter(|sharding| sharding.count() > 1);
        self
    }

    /// Which of several transports this one is to be, if it is.
    pub const fn shard(&self) -> Option<&Sharding> {
        self.sharding.as_ref()
    }

    /// Sets how many bytes may wait for one connection to open and to shake hands.
    ///
    /// Defaults to 262,144. What does not fit is refused with [`SendError::QueueFull`](crate::SendError::QueueFull).
    /// The queue of an open connection is the driver's.
    pub const fn write_queue(mut self, bytes: usize) -> Self {
        self.write_queue = bytes;
        self
    }

    /// Sets how many malformed requests are answered in a second.
    ///
    /// Defaults to 100. The rest is dropped and counted, so that garbage cannot be made into a flood of responses.
    pub const fn answers_per_second(mut self, answers: u32) -> Self {
        self.answers = answers;
        self
    }

    /// Sets what peers that ask whether they may keep their flows alive are told: the seconds between two keep-alives
    /// (RFC 6223 §4.4).
    ///
    /// Defaults to 30 s, what address translators hold a flow for at least; `None` tells nothing. Keep-alives are
    /// answered either way.
    pub const fn keep(mut self, every: Option<Duration>) -> Self {
        self.keep = every;
        self
    }

    /// Sets by which time certificates are looked at, for listeners that bring TLS of their own where the transport has
    /// none. An endpoint tells its own.
    ///
    /// Defaults to none: such listeners fail.
    pub const fn clock(mut self, clock: WallClock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Sets how many calls may be adopted by another shard than their Call-ID leads to
    /// ([`Transport::adopt`](crate::Transport::adopt)).
    ///
    /// Defaults to 10,000; each takes some 16 bytes on every shard.
    pub const fn adoptions(mut self, calls: usize) -> Self {
        self.adoptions = calls;
        self
    }

    /// Sets how many log lines about bad input are written in a second.
    ///
    /// Defaults to 10. The counters of [`Stats`](crate::Stats) always tell everything.
    pub const fn log_lines_per_second(mut self, lines: u32) -> Self {
        self.log_lines = lines;
        self
    }
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            message_size: 65_535,
            connections: 10_000,
            connections_per_source: 1_000,
            unlimited_sources: Vec::new(),
            idle_timeout: Duration::from_secs(600),
            open_timeout: Duration::from_secs(8),
            handshake_timeout: Duration::from_secs(5),
            message_timeout: Duration::from_secs(32),
            first_message_timeout: Duration::from_secs(32),
            write_queue: 262_144,
            answers: 100,
            log_lines: 10,
            web_socket: Arc::default(),
            tls: None,
            clock: None,
            keep: Some(Duration::from_secs(30)),
            connection_reuse: true,
            sharding: None,
            adoptions: 10_000,
        }
    }
}

const MINIMUM_IDLE: Duration = Duration::from_secs(32);
