//! Datagrams and listeners.

use std::io;

use super::*;
use crate::{FlowError, SendError};
use sip_io::FailReason;

/// TRA-001: RFC 3261 §18.
#[test]
fn tra_001_requests_come_by_datagram_and_by_stream_on_one_port() {
    let mut stage = Stage::new();
    stage.datagram(udp_from(5060), options("198.51.100.7", ""));
    assert!(stage.message().is_request());
    let flow = stage.accept();
    stage.events();
    stage.bytes(flow, options("198.51.100.7", ""));
    assert!(stage.message().is_request());
}

/// TRA-004: RFC 3261 §18.1.1.
#[test]
fn tra_004_a_datagram_of_60_kb_is_a_message() {
    let mut stage = Stage::new();
    let body = "x".repeat(60_000);
    let long = options("198.51.100.7", "").replace("Length: 0\r\n\r\n", "Length: 60000\r\n\r\n");
    stage.datagram(udp_from(5060), long + &body);
    assert_eq!(stage.message().body().len(), 60_000);
    let mut small = Stage::with(TransportConfig::default().message_size(300));
    small.datagram(udp_from(5060), options("198.51.100.7", "") + &body);
    assert!(small.events().is_empty());
    assert_eq!(small.transport.stats().too_long, 1);
}

/// TRA-005, TRA-013: RFC 3261 §18.1.1, RFC 3581 §3.
#[test]
fn tra_005_tra_013_our_via_names_the_listener_and_asks_for_rport_over_datagrams() {
    let mut stage = Stage::new();
    let to = target(Protocol::Udp, peer(5060));
    let flow = stage.transport.flow_to(stage.now, &to).unwrap();
    let via = stage.transport.via(&flow, "z9hG4bK77");
    assert_eq!(via.sent_by(), "192.0.2.1:5060");
    assert_eq!(via.rport(), Some(None));
    assert_eq!(via.branch(), Some("z9hG4bK77"));
    assert_eq!(via.transport(), "UDP");
    // A connection of ours has a port that nobody can connect to: the listener's is named.
    let to = target(Protocol::Tcp, peer(5060));
    let flow = stage.transport.flow_to(stage.now, &to).unwrap();
    let flow = flow.with_local(SocketAddr::new(ip(LOCAL), 51_000));
    stage.receive(Receive::Opened { flow });
    let via = stage.transport.via(&flow, "z9hG4bK78");
    assert_eq!(via.sent_by(), "192.0.2.1:5060");
    assert_eq!((via.rport(), via.transport()), (None, "TCP"));
}

/// TRA-008: RFC 3261 §18.1.2.
#[test]
fn tra_008_a_response_to_somebody_elses_request_is_dropped_and_counted() {
    let mut stage = Stage::new();
    for foreign in ["203.0.113.9:5060", "192.0.2.1:5070", "example.com"] {
        stage.datagram(udp_from(5060), ok("UDP", foreign));
    }
    assert!(stage.events().is_empty());
    assert_eq!(stage.transport.stats().foreign_responses, 3);
    stage.datagram(udp_from(5060), ok("UDP", "192.0.2.1:5060"));
    assert!(!stage.message().is_request());
    stage.datagram(udp_from(5060), ok("UDP", "192.0.2.1"));
    assert!(!stage.message().is_request());
}

#[test]
fn a_response_is_ours_by_the_advertised_name_or_by_a_connection_of_ours() {
    let mut stage = Stage::bare(TransportConfig::default());
    let listener = Listener::udp("0.0.0.0:5070".parse().unwrap());
    stage.listen(listener.advertise("sip.example.com:5061").unwrap());
    let from = Flow::udp(SocketAddr::new(ip(LOCAL), 5070), peer(5060));
    stage.datagram(from, ok("UDP", "SIP.EXAMPLE.COM:5061"));
    assert!(!stage.message().is_request());
    // Nobody listens for TCP here, and yet the response on our connection is ours.
    let to = target(Protocol::Tcp, peer(5060));
    let flow = stage.transport.flow_to(stage.now, &to).unwrap();
    let announced = stage.transport.sent_by(&flow).to_string();
    assert_eq!(announced, LOCAL);
    let flow = flow.with_local(SocketAddr::new(ip(LOCAL), 51_000));
    stage.receive(Receive::Opened { flow });
    assert_eq!(
        stage.transport.sent_by(&flow).to_string(),
        "192.0.2.1:51000"
    );
    stage.events();
    stage.bytes(flow, ok("TCP", &announced));
    assert!(!stage.message().is_request());
    stage.bytes(flow, ok("TCP", "192.0.2.1:51000"));
    assert!(!stage.message().is_request());
    stage.bytes(flow, ok("TCP", "203.0.113.9:51000"));
    assert!(stage.events().is_empty());
}

/// TRA-038: RFC 3261 §20.42.
#[test]
fn tra_038_ipv6_is_spoken_and_stands_in_brackets() {
    let mut stage = Stage::bare(TransportConfig::default());
    stage.listen("udp:[::1]:5070".parse().unwrap());
    let to = target(Protocol::Udp, "[::1]:5080".parse().unwrap());
    let flow = stage.transport.flow_to(stage.now, &to).unwrap();
    let via = stage.transport.via(&flow, "z9hG4bK1");
    assert_eq!(via.sent_by(), "[::1]:5070");
    stage.datagram(flow, ok("UDP", "[::1]:5070"));
    assert!(!stage.message().is_request());
    stage.datagram(flow, options("[::1]:5080", ""));
    assert!(stage.message().is_request());
}

/// TRA-017: RFC 3261 §18.4. Trap 14: a failed datagram concerns its peer, not the socket.
#[test]
fn tra_017_an_undeliverable_datagram_is_told_and_the_socket_goes_on() {
    let mut stage = Stage::new();
    let flow = udp_from(5060);
    let reason = FailReason::Unreachable;
    stage.receive(Receive::Failed { flow, reason });
    assert!(matches!(stage.events()[..], [Event::Failed { flow: failed, .. }] if failed == flow));
    assert!(stage.transport.is_open(&flow));
}

/// RFC 5626 §4.4: the first byte tells STUN from SIP; CRLF is a keep-alive for streams, and nothing here (trap 21).
#[test]
fn stun_is_handed_on_and_line_ends_in_datagrams_are_counted_and_dropped() {
    let mut stage = Stage::new();
    stage.datagram(udp_from(5060), &b"\x00\x01\x00\x00\x21\x12\xa4\x42"[..]);
    for nothing in ["\r\n\r\n", "\r\n", "", "\0\0\0\0"] {
        stage.datagram(udp_from(5060), nothing);
    }
    let events = stage.events();
    assert!(matches!(
        events[..],
        [Event::Stun { .. }, Event::Stun { .. }]
    ));
    assert!(stage.out.is_empty());
    let stats = stage.transport.stats();
    assert_eq!((stats.stun, stats.keep_alives, stats.malformed), (2, 3, 0));
}

/// MSG-017: RFC 3261 §7.5: line ends before a message are not part of it.
#[test]
fn line_ends_before_a_message_in_a_datagram_are_skipped() {
    let mut stage = Stage::new();
    stage.datagram(
        udp_from(5060),
        "\r\n\r\n".to_owned() + &options("198.51.100.7", ""),
    );
    assert!(stage.message().is_request());
    assert!(stage.events().is_empty());
}

/// MSG-019 and MSG-020: RFC 3261 §18.3: what is more than Content-Length says is not there, and what is less gets 400, if it
/// is a request.
#[test]
fn a_content_length_that_is_not_that_of_the_datagram_cuts_it_or_spoils_it() {
    let mut stage = Stage::new();
    let text = options("198.51.100.7", "").replace("Length: 0", "Length: 4");
    stage.datagram(
        udp_from(5060),
        text.clone() + "bodyOPTIONS sip:a@b SIP/2.0\r\n",
    );
    assert_eq!(stage.message().body(), "body");
    stage.datagram(udp_from(5060), text + "bod");
    assert!(stage.events().is_empty());
    let answered = stage.out.iter().filter(|transmit| match transmit {
        Transmit::Datagram { contents, .. } => contents.starts_with(b"SIP/2.0 400 "),
        _ => false,
    });
    assert_eq!(answered.count(), 1);
    let before = stage.out.len();
    let cut = ok("UDP", "192.0.2.1:5060").replace("Length: 0", "Length: 4");
    stage.datagram(udp_from(5060), cut);
    assert!(stage.events().is_empty());
    assert_eq!(stage.out.len(), before, "nobody answers a response");
}

/// MSG-019: trap 29: the end of the datagram ends the body.
#[test]
fn a_datagram_needs_no_content_length() {
    let mut stage = Stage::new();
    let text = options("198.51.100.7", "").replace("Content-Length: 0\r\n", "") + "body";
    stage.datagram(udp_from(5060), text);
    assert_eq!(stage.message().body(), "body");
}

#[test]
fn a_target_that_no_listener_reaches_has_no_flow() {
    let mut stage = Stage::bare(TransportConfig::default());
    let to = target(Protocol::Udp, peer(5060));
    let none = stage.transport.flow_to(stage.now, &to);
    assert!(matches!(none, Err(FlowError::NoListener { .. })));
    let listener = stage.listen("udp:192.0.2.1:5060".parse().unwrap());
    stage.listen("udp:127.0.0.1:5060".parse().unwrap());
    let flow = stage.transport.flow_to(stage.now, &to).unwrap();
    assert_eq!(stage.transport.listener_of(&flow), Some(listener));
    assert!(stage.transport.is_open(&flow));
    stage.transport.unlisten(listener);
    stage.drain();
    assert!(matches!(stage.out[..], [Transmit::Release { .. }]));
    assert!(!stage.transport.is_open(&flow));
    let gone = stage.transport.send(stage.now, &flow, Bytes::new());
    assert_eq!(gone, Err(SendError::Gone));
    let unspoken = stage
        .transport
        .flow_to(stage.now, &target(Protocol::Wss, peer(443)));
    assert_eq!(unspoken, Err(FlowError::Unsupported(Protocol::Wss)));
}

#[test]
fn a_listener_that_cannot_be_bound_is_told_and_forgotten() {
    let mut stage = Stage::bare(TransportConfig::default());
    let id = stage
        .transport
        .listen(stage.now, "udp:192.0.2.1:5060".parse().unwrap());
    let Some(Transmit::Bind { token, .. }) = stage.transport.poll_transmit() else {
        panic!("nothing to bind");
    };
    let result = Err(io::ErrorKind::AddrInUse);
    stage.receive(Receive::Bound { token, result });
    assert!(matches!(stage.events()[..], [Event::ListenFailed { listener, .. }] if listener == id));
    assert_eq!(stage.transport.listeners().count(), 0);
}

#[test]
fn a_message_longer_than_a_datagram_is_refused() {
    let mut stage = Stage::new();
    let long = Bytes::from(vec![b'x'; 65_508]);
    let refused = stage.transport.send(stage.now, &udp_from(5060), long);
    assert!(matches!(
        refused,
        Err(SendError::TooLong { limit: 65_507, .. })
    ));
}

/// A full socket says nothing about whoever the datagram was for.
#[test]
fn a_datagram_for_which_there_was_no_room_is_counted_and_speaks_against_nobody() {
    let mut stage = Stage::new();
    let flow = udp_from(5060);
    let reason = FailReason::NoRoom;
    stage.receive(Receive::Failed { flow, reason });
    assert!(stage.events().is_empty());
    let stats = stage.transport.stats();
    assert_eq!((stats.datagrams_dropped, stats.undelivered), (1, 0));
}

/// The system chooses the port, and everything that we write about ourselves has it.
#[test]
fn port_0_becomes_what_the_system_chose() {
    let mut stage = Stage::bare(TransportConfig::default());
    let id = stage
        .transport
        .listen(stage.now, "udp:127.0.0.1:0".parse().unwrap());
    let Some(Transmit::Bind { token, .. }) = stage.transport.poll_transmit() else {
        panic!("nothing to bind");
    };
    let bound: SocketAddr = "127.0.0.1:49152".parse().unwrap();
    stage.receive(Receive::Bound {
        token,
        result: Ok(bound),
    });
    let listeners: Vec<_> = stage.transport.listeners().collect();
    assert!(matches!(listeners[..], [(one, _, Some(at))] if one == id && at == bound));
    let to = target(Protocol::Udp, "127.0.0.1:5060".parse().unwrap());
    let flow = stage.transport.flow_to(stage.now, &to).unwrap();
    assert_eq!(
        stage.transport.sent_by(&flow).to_string(),
        "127.0.0.1:49152"
    );
}
