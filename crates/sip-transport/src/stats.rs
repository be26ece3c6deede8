//! What was counted.

/// Counters of a [`Transport`](crate::Transport) since its start, and how many connections there are.
///
/// The names are stable: monitoring may rely on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Datagrams that came
    pub datagrams_in: u64,
    /// Datagrams handed to the driver
    pub datagrams_out: u64,
    /// Bytes that came on streams
    pub stream_bytes_in: u64,
    /// Bytes handed to the driver for streams
    pub stream_bytes_out: u64,
    /// Requests passed on
    pub requests: u64,
    /// Responses passed on
    pub responses: u64,
    /// Keep-alives: CRLF in a datagram, CRLFCRLF on a stream
    pub keep_alives: u64,
    /// STUN messages, passed on
    pub stun: u64,
    /// Answers to keep-alives of ours on streams
    pub pongs: u64,
    /// Messages that could not be read
    pub malformed: u64,
    /// Malformed requests that were answered
    pub malformed_answered: u64,
    /// Malformed requests that were not answered because too many came
    pub malformed_unanswered: u64,
    /// Messages longer than the limit
    pub too_long: u64,
    /// Responses whose top Via names somebody else (RFC 3261 §18.1.2), dropped
    pub foreign_responses: u64,
    /// Datagrams that could not be delivered
    pub undelivered: u64,
    /// Connections that peers opened
    pub accepted: u64,
    /// Connections that were opened to peers
    pub opened: u64,
    /// Accepted connections that were closed at once because there were too many
    pub connections_refused: u64,
    /// Accepted connections that were closed at once because their source had as many as it may
    pub connections_limited: u64,
    /// Accepted connections that were closed because no load balancer that is trusted said whom they are from
    pub connections_unannounced: u64,
    /// Connections that could not be opened
    pub connections_failed: u64,
    /// Connections whose handshake of TLS or WebSocket failed or took too long
    pub handshakes_failed: u64,
    /// Warnings that a certificate of ours ends soon
    pub certificates_ending: u64,
    /// Connections closed because nothing happened on them
    pub closed_idle: u64,
    /// Connections closed because their peer answered no keep-alive
    pub closed_silent: u64,
    /// Connections closed because a message took too long to arrive
    pub closed_slow: u64,
    /// Connections closed because no message could be found on them
    pub closed_unframable: u64,
    /// WebSocket connections closed because what came broke the protocol or a limit
    pub closed_web_socket: u64,
    /// Messages that did not fit into the queue of a connection that was not open yet
    pub queue_full: u64,
    /// Connections that are opening or open now
    pub connections: u64,
}
