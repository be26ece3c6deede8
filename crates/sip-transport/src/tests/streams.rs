//! Connections.

use std::io;

use super::*;
use crate::{CloseReason, FlowError, SendError};

fn open(stage: &mut Stage, port: u16) -> Flow {
    let to = target(Protocol::Tcp, peer(port));
    let flow = stage.transport.flow_to(stage.now, &to).unwrap();
    stage.drain();
    flow
}

fn opened(stage: &mut Stage, flow: Flow) {
    let flow = flow.with_local(SocketAddr::new(ip(LOCAL), 51_000));
    stage.receive(Receive::Opened { flow });
}

fn closed(stage: &mut Stage) -> Option<CloseReason> {
    stage.events().into_iter().find_map(|event| match event {
        Event::Closed { reason, .. } => Some(reason),
        _ => None,
    })
}

#[test]
fn messages_wait_for_their_connection_and_go_in_order() {
    let mut stage = Stage::new();
    let flow = open(&mut stage, 5060);
    assert!(matches!(stage.out[..], [Transmit::Open { flow: opening }] if opening == flow));
    for text in ["one", "two"] {
        stage.transport.send(stage.now, &flow, text.into()).unwrap();
    }
    stage.drain();
    assert!(stage.sent().is_empty());
    opened(&mut stage, flow);
    let sent: Vec<String> = stage.sent().into_iter().map(|(_, text)| text).collect();
    assert_eq!(sent, ["one", "two"]);
    assert!(matches!(stage.events()[..], [Event::Opened { flow: told }] if told == flow));
}

/// TRA-006: a follow-up request takes the connection that is open.
#[test]
fn tra_006_a_connection_of_ours_is_used_again() {
    let mut stage = Stage::new();
    let flow = open(&mut stage, 5060);
    assert_eq!(open(&mut stage, 5060), flow);
    opened(&mut stage, flow);
    assert_eq!(open(&mut stage, 5060), flow);
    assert_ne!(open(&mut stage, 5061), flow);
    let reason = sip_io::CloseReason::ByPeer;
    stage.receive(Receive::Closed { flow, reason });
    assert_ne!(open(&mut stage, 5060), flow);
}

/// Trap 19: an accepted connection is never found by its address.
#[test]
fn an_accepted_connection_is_not_reused_by_address() {
    let mut stage = Stage::new();
    let accepted = stage.accept();
    let flow = open(&mut stage, accepted.remote().port());
    assert_ne!(flow, accepted);
}

/// TRA-016: RFC 3261 §18.4.
#[test]
fn tra_016_a_refused_connection_is_told() {
    let mut stage = Stage::new();
    let flow = open(&mut stage, 5060);
    let kind = io::ErrorKind::ConnectionRefused;
    let reason = sip_io::CloseReason::Refused(kind);
    stage.receive(Receive::Closed { flow, reason });
    assert_eq!(closed(&mut stage), Some(CloseReason::Refused(kind)));
    assert!(!stage.transport.is_open(&flow));
    let gone = stage.transport.send(stage.now, &flow, Bytes::new());
    assert_eq!(gone, Err(SendError::Gone));
}

#[test]
fn a_connection_that_does_not_open_in_time_fails() {
    let mut stage = Stage::new();
    let flow = open(&mut stage, 5060);
    stage.until(7);
    assert!(stage.transport.is_open(&flow));
    stage.until(9);
    assert_eq!(
        closed(&mut stage),
        Some(CloseReason::Refused(io::ErrorKind::TimedOut))
    );
    assert!(stage.is_closing(flow));
    // It opens after all: nobody wants it any more.
    stage.out.clear();
    opened(&mut stage, flow);
    assert!(stage.is_closing(flow));
    assert_eq!(stage.transport.poll_timeout(), None);
}

#[test]
fn what_waits_for_a_connection_is_bounded() {
    let mut stage = Stage::with(TransportConfig::default().write_queue(5));
    let flow = open(&mut stage, 5060);
    let now = stage.now;
    stage.transport.send(now, &flow, "1234".into()).unwrap();
    let full = stage.transport.send(now, &flow, "56".into());
    assert_eq!(full, Err(SendError::QueueFull { limit: 5 }));
    stage.transport.send(now, &flow, "5".into()).unwrap();
    assert_eq!(stage.transport.stats().queue_full, 1);
}

#[test]
fn connections_are_bounded_and_a_place_is_free_when_one_ends() {
    let mut stage = Stage::with(TransportConfig::default().connections(2));
    let first = stage.accept();
    let _second = stage.accept();
    stage.events();
    let third = stage.accept();
    assert!(stage.events().is_empty() && stage.is_closing(third));
    let to = target(Protocol::Tcp, peer(5060));
    let refused = stage.transport.flow_to(stage.now, &to);
    assert_eq!(refused, Err(FlowError::TooManyConnections { limit: 2 }));
    let reason = sip_io::CloseReason::ByPeer;
    let flow = first;
    stage.receive(Receive::Closed { flow, reason });
    assert!(stage.transport.flow_to(stage.now, &to).is_ok());
    let stats = stage.transport.stats();
    assert_eq!((stats.connections_refused, stats.connections), (1, 2));
}

/// TRA-007: RFC 3261 §18.
#[test]
fn tra_007_an_idle_connection_stays_for_32_s_at_least_and_then_ends() {
    let config = TransportConfig::default().idle_timeout(Duration::from_secs(1));
    let mut stage = Stage::with(config);
    let flow = stage.accept();
    stage.until(31);
    assert!(stage.transport.is_open(&flow));
    // Whatever is sent or received counts.
    stage.bytes(flow, "\r\n\r\n");
    stage.until(60);
    assert!(stage.transport.is_open(&flow));
    stage.transport.send(stage.now, &flow, "x".into()).unwrap();
    stage.until(91);
    assert!(stage.transport.is_open(&flow));
    stage.until(93);
    assert_eq!(closed(&mut stage), Some(CloseReason::Idle));
    assert!(stage.is_closing(flow));
    assert_eq!(stage.transport.stats().closed_idle, 1);
    assert_eq!(stage.transport.poll_timeout(), None);
}

/// TRA-030: RFC 5626 §3.5.1, §4.4.1.
#[test]
fn tra_030_a_double_crlf_is_answered_with_a_single_one() {
    let mut stage = Stage::new();
    let flow = stage.accept();
    stage.events();
    stage.bytes(flow, "\r\n");
    assert!(stage.sent().is_empty());
    stage.bytes(flow, "\r\n");
    assert_eq!(stage.sent(), [(flow, "\r\n".to_owned())]);
    stage.bytes(flow, "\r\n\r\n".to_owned() + &options("198.51.100.7", ""));
    assert_eq!(stage.sent().len(), 1);
    assert!(stage.message().is_request());
    assert_eq!(stage.transport.stats().keep_alives, 2);
}

#[test]
fn messages_are_found_however_the_bytes_are_cut() {
    let text = options("198.51.100.7", "");
    let two = text.replace("Length: 0\r\n\r\n", "Length: 4\r\n\r\nbody") + &text;
    for size in [1, 2, 3, 7, 64, 100_000] {
        let mut stage = Stage::new();
        let flow = stage.accept();
        stage.events();
        for piece in two.as_bytes().chunks(size) {
            stage.bytes(flow, piece.to_vec());
        }
        let requests = stage.events();
        assert_eq!(requests.len(), 2, "in pieces of {size}");
        assert!(matches!(&requests[0], Event::Request { request, .. } if request.body() == "body"));
    }
}

/// Trap 29: RFC 3261 §18.3.
#[test]
fn without_content_length_a_request_gets_400_and_the_stream_ends() {
    let mut stage = Stage::new();
    let flow = stage.accept();
    let text = options("198.51.100.7", "").replace("Content-Length: 0\r\n", "");
    stage.bytes(flow, text);
    assert!(stage.is_closing(flow));
    let order: Vec<bool> = stage
        .out
        .iter()
        .map(|transmit| matches!(transmit, Transmit::Close { .. }))
        .collect();
    assert_eq!(order, [false, true], "the answer goes before the end");
    let sent = stage.sent();
    assert!(sent[0].1.starts_with("SIP/2.0 400 "), "{}", sent[0].1);
    assert!(sent[0].1.contains("Content-Length"), "{}", sent[0].1);
    assert_eq!(closed(&mut stage), Some(CloseReason::Unframable));
}

/// MSG-021: Trap 26.
#[test]
fn two_content_lengths_get_400_and_the_stream_ends() {
    let mut stage = Stage::new();
    let flow = stage.accept();
    let text = options("198.51.100.7", "").replace("Length: 0\r\n", "Length: 0\r\nl: 5\r\n");
    stage.bytes(flow, text);
    assert!(stage.is_closing(flow));
    assert!(stage.sent()[0].1.starts_with("SIP/2.0 400 "));
}

/// TRA-039: an endless head.
#[test]
fn tra_039_a_head_without_end_ends_the_connection_within_the_limit() {
    let mut stage = Stage::new();
    let flow = stage.accept();
    let mut taken = 0;
    stage.bytes(flow, "OPTIONS sip:bob@192.0.2.1 SIP/2.0\r\n");
    while !stage.is_closing(flow) {
        stage.bytes(flow, "X-Long: ".to_owned() + &"x".repeat(992));
        taken += 1_000;
        assert!(taken < 70_000, "still open after {taken} bytes");
    }
    assert_eq!(closed(&mut stage), Some(CloseReason::Unframable));
    // What comes afterwards finds nobody.
    stage.out.clear();
    stage.bytes(flow, options("198.51.100.7", ""));
    assert!(stage.events().is_empty() && stage.out.is_empty());
}

/// TRA-039: a slow head. Its bytes are activity, but its time is counted from the first.
#[test]
fn tra_039_a_message_that_takes_too_long_ends_the_connection() {
    let mut stage = Stage::new();
    let flow = stage.accept();
    let text = options("198.51.100.7", "");
    for (second, byte) in text.bytes().enumerate() {
        stage.until(second as u64);
        if !stage.transport.is_open(&flow) {
            break;
        }
        stage.bytes(flow, vec![byte]);
    }
    assert_eq!(closed(&mut stage), Some(CloseReason::TooSlow));
    // The fourth byte, in second 3, cannot be part of a keep-alive any more.
    assert_eq!(stage.now - stage.start, Duration::from_secs(35));
    assert_eq!(stage.transport.stats().closed_slow, 1);
}

#[test]
fn a_body_larger_than_the_limit_gets_513_and_the_stream_ends() {
    let mut stage = Stage::new();
    let flow = stage.accept();
    stage.bytes(
        flow,
        options("198.51.100.7", "").replace("Length: 0", "Length: 99999999"),
    );
    assert!(stage.is_closing(flow));
    assert!(stage.sent()[0].1.starts_with("SIP/2.0 513 "));
}

#[test]
fn shutting_down_closes_everything() {
    let mut stage = Stage::new();
    let accepted = stage.accept();
    let flow = open(&mut stage, 5060);
    stage.transport.shutdown();
    stage.drain();
    assert!(stage.is_closing(accepted) && stage.is_closing(flow));
    assert_eq!(stage.transport.poll_timeout(), None);
    assert_eq!(stage.transport.listeners().count(), 0);
    assert_eq!(stage.transport.stats().connections, 0);
}
