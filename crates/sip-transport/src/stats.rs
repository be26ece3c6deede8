//! What was counted.

use sip_io::Protocol;
use std::ops::AddAssign;

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
    /// What came and went over UDP
    pub udp: MessageCounts,
    /// What came and went over TCP
    pub tcp: MessageCounts,
    /// What came and went over TLS
    pub tls: MessageCounts,
    /// What came and went over WebSocket
    pub ws: MessageCounts,
    /// What came and went over secure WebSocket
    pub wss: MessageCounts,
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
    /// Datagrams that were lost because too many waited at their socket
    pub datagrams_dropped: u64,
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
    /// Connections closed because the peer opened them and said nothing
    pub closed_mute: u64,
    /// Connections closed because a message took too long to arrive
    pub closed_slow: u64,
    /// Connections closed because no message could be found on them
    pub closed_unframable: u64,
    /// WebSocket connections closed because what came broke the protocol or a limit
    pub closed_web_socket: u64,
    /// Messages that did not fit into the queue of a connection that was not open yet
    pub queue_full: u64,
    /// Messages handed to the shard that they are for
    pub steered: u64,
    /// What was for another shard and found no room there
    pub steer_lost: u64,
    /// Calls that were not adopted because too many were
    pub adoptions_refused: u64,
    /// Calls that another shard has than their Call-ID leads to, now
    pub adopted: u64,
    /// Connections that are opening or open now
    pub connections: u64,
}

/// The counts of several shards together.
impl AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        // Taken apart, so that no number is forgotten.
        let Self {
            datagrams_in,
            datagrams_out,
            stream_bytes_in,
            stream_bytes_out,
            udp,
            tcp,
            tls,
            ws,
            wss,
            requests,
            responses,
            keep_alives,
            stun,
            pongs,
            malformed,
            malformed_answered,
            malformed_unanswered,
            too_long,
            foreign_responses,
            undelivered,
            datagrams_dropped,
            accepted,
            opened,
            connections_refused,
            connections_limited,
            connections_unannounced,
            connections_failed,
            handshakes_failed,
            certificates_ending,
            closed_idle,
            closed_silent,
            closed_mute,
            closed_slow,
            closed_unframable,
            closed_web_socket,
            queue_full,
            steered,
            steer_lost,
            adoptions_refused,
            adopted,
            connections,
        } = other;
        self.datagrams_in += datagrams_in;
        self.datagrams_out += datagrams_out;
        self.stream_bytes_in += stream_bytes_in;
        self.stream_bytes_out += stream_bytes_out;
        self.udp += udp;
        self.tcp += tcp;
        self.tls += tls;
        self.ws += ws;
        self.wss += wss;
        self.requests += requests;
        self.responses += responses;
        self.keep_alives += keep_alives;
        self.stun += stun;
        self.pongs += pongs;
        self.malformed += malformed;
        self.malformed_answered += malformed_answered;
        self.malformed_unanswered += malformed_unanswered;
        self.too_long += too_long;
        self.foreign_responses += foreign_responses;
        self.undelivered += undelivered;
        self.datagrams_dropped += datagrams_dropped;
        self.accepted += accepted;
        self.opened += opened;
        self.connections_refused += connections_refused;
        self.connections_limited += connections_limited;
        self.connections_unannounced += connections_unannounced;
        self.connections_failed += connections_failed;
        self.handshakes_failed += handshakes_failed;
        self.certificates_ending += certificates_ending;
        self.closed_idle += closed_idle;
        self.closed_silent += closed_silent;
        self.closed_mute += closed_mute;
        self.closed_slow += closed_slow;
        self.closed_unframable += closed_unframable;
        self.closed_web_socket += closed_web_socket;
        self.queue_full += queue_full;
        self.steered += steered;
        self.steer_lost += steer_lost;
        self.adoptions_refused += adoptions_refused;
        // Each shard knows of all of them.
        self.adopted = self.adopted.max(adopted);
        self.connections += connections;
    }
}

/// Messages over one protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageCounts {
    /// Messages that came and could be read
    pub messages_in: u64,
    /// Messages that were sent
    pub messages_out: u64,
}

/// The counts of several shards together.
impl AddAssign for MessageCounts {
    fn add_assign(&mut self, other: Self) {
        // Taken apart, so that no number is forgotten.
        let Self {
            messages_in,
            messages_out,
        } = other;
        self.messages_in += messages_in;
        self.messages_out += messages_out;
    }
}

impl Stats {
    /// Every number under a name that stays the same, for monitoring.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("transport_udp_messages_in", self.udp.messages_in),
            ("transport_udp_messages_out", self.udp.messages_out),
            ("transport_tcp_messages_in", self.tcp.messages_in),
            ("transport_tcp_messages_out", self.tcp.messages_out),
            ("transport_tls_messages_in", self.tls.messages_in),
            ("transport_tls_messages_out", self.tls.messages_out),
            ("transport_ws_messages_in", self.ws.messages_in),
            ("transport_ws_messages_out", self.ws.messages_out),
            ("transport_wss_messages_in", self.wss.messages_in),
            ("transport_wss_messages_out", self.wss.messages_out),
            ("transport_datagrams_in", self.datagrams_in),
            ("transport_datagrams_out", self.datagrams_out),
            ("transport_stream_bytes_in", self.stream_bytes_in),
            ("transport_stream_bytes_out", self.stream_bytes_out),
            ("transport_requests", self.requests),
            ("transport_responses", self.responses),
            ("transport_keep_alives", self.keep_alives),
            ("transport_stun", self.stun),
            ("transport_pongs", self.pongs),
            ("transport_malformed", self.malformed),
            ("transport_malformed_answered", self.malformed_answered),
            ("transport_malformed_unanswered", self.malformed_unanswered),
            ("transport_too_long", self.too_long),
            ("transport_foreign_responses", self.foreign_responses),
            ("transport_undelivered", self.undelivered),
            ("transport_datagrams_dropped", self.datagrams_dropped),
            ("transport_accepted", self.accepted),
            ("transport_opened", self.opened),
            ("transport_connections_refused", self.connections_refused),
            ("transport_connections_limited", self.connections_limited),
            (
                "transport_connections_unannounced",
                self.connections_unannounced,
            ),
            ("transport_connections_failed", self.connections_failed),
            ("transport_handshakes_failed", self.handshakes_failed),
            ("transport_certificates_ending", self.certificates_ending),
            ("transport_closed_idle", self.closed_idle),
            ("transport_closed_silent", self.closed_silent),
            ("transport_closed_mute", self.closed_mute),
            ("transport_closed_slow", self.closed_slow),
            ("transport_closed_unframable", self.closed_unframable),
            ("transport_closed_web_socket", self.closed_web_socket),
            ("transport_queue_full", self.queue_full),
            ("transport_steered", self.steered),
            ("transport_steer_lost", self.steer_lost),
            ("transport_adoptions_refused", self.adoptions_refused),
            ("transport_adopted", self.adopted),
            ("transport_connections", self.connections),
        ]
        .into_iter()
    }

    pub(crate) const fn of(&mut self, protocol: Protocol) -> &mut MessageCounts {
        match protocol {
            Protocol::Tcp => &mut self.tcp,
            Protocol::Tls => &mut self.tls,
            Protocol::Ws => &mut self.ws,
            Protocol::Wss => &mut self.wss,
            _ => &mut self.udp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_one_name() {
        let stats = Stats::default();
        let mut names: Vec<_> = stats.entries().map(|(name, _)| name).collect();
        let numbers = format!("{stats:?}").matches(": 0").count();
        assert_eq!(names.len(), numbers, "{stats:?}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), numbers);
    }
}
