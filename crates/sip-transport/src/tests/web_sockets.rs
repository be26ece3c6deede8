//! Connections that are WebSockets (RFC 7118).

use std::net::IpAddr;

use super::*;
use crate::{
    CloseReason, HandshakeFailure, ResponseRoute, WebSocketConfig,
    ws::tests::{REQUEST, granted, line, masked, unframe},
};
use sip_message::headers::Via;

fn stage_with(config: TransportConfig) -> Stage {
    let mut stage = Stage::bare(config);
    stage.listen("ws:192.0.2.1:80".parse().unwrap());
    stage
}

fn stage() -> Stage {
    stage_with(TransportConfig::default())
}

/// A peer opens a connection, and has not asked for anything yet.
fn accept(stage: &mut Stage) -> Flow {
    stage.accepted += 1;
    let id = StreamId::accepted(stage.accepted);
    let local = SocketAddr::new(LOCAL.parse().unwrap(), 80);
    let flow = Flow::stream(Protocol::Ws, id, local, peer(40_000));
    stage.receive(Receive::Opened { flow });
    flow
}

/// A peer that is let in.
fn browser(stage: &mut Stage) -> Flow {
    let flow = accept(stage);
    stage.bytes(flow, REQUEST);
    assert!(matches!(stage.events()[..], [Event::Opened { flow: told }] if told == flow));
    assert!(stage.sent()[0].1.starts_with("HTTP/1.1 101 "));
    flow
}

fn text(message: &str) -> Vec<u8> {
    masked(0x81, message.as_bytes())
}

fn options_of_browser() -> String {
    let text = options("df7jal23ls0d.invalid", "").replace("SIP/2.0/UDP", "SIP/2.0/WS");
    text.replace("Content-Length: 0\r\n", "")
}

/// The bytes that went to a connection since the last time.
fn bytes_to(stage: &mut Stage, to: Flow) -> Vec<u8> {
    let out = std::mem::take(&mut stage.out);
    let contents = out.into_iter().filter_map(|transmit| match transmit {
        Transmit::Stream { flow, contents } if flow == to => Some(contents),
        _ => None,
    });
    contents.flatten().collect()
}

fn end(stage: &mut Stage) -> Option<CloseReason> {
    stage.events().into_iter().find_map(|event| match event {
        Event::Closed { reason, .. } => Some(reason),
        _ => None,
    })
}

/// TRA-035, TRA-036: RFC 7118 §5, appendix B.1. The response goes where the request came from, though its sent-by names
/// nobody, and nothing is resolved or opened when that is gone.
#[test]
fn tra_035_tra_036_a_browser_is_answered_on_its_own_connection() {
    let mut stage = stage();
    let flow = browser(&mut stage);
    stage.bytes(flow, text(&options_of_browser()));
    let Message::Request(request) = stage.message() else {
        panic!("no request");
    };
    let via = request.via().unwrap();
    assert_eq!(via.host_str(), "df7jal23ls0d.invalid");
    assert_eq!(
        stage.transport.route_response(&flow, &via),
        ResponseRoute::Flow(flow)
    );
    let response = ok("WS", "df7jal23ls0d.invalid");
    stage
        .transport
        .send(stage.now, &flow, response.clone().into())
        .unwrap();
    stage.drain();
    let sent = bytes_to(&mut stage, flow);
    assert_eq!(unframe(&sent), [(0x81, response.into_bytes())]);
    let reason = sip_io::CloseReason::ByPeer;
    stage.receive(Receive::Closed { flow, reason });
    for route in [
        stage.transport.route_response(&flow, &via),
        stage.transport.reroute_response(&flow, &via),
    ] {
        assert_eq!(route, ResponseRoute::Gone);
    }
    // Nor over another protocol than its own.
    let udp = udp_from(5060);
    let via: Via = "SIP/2.0/UDP a.invalid;branch=z9hG4bK1".parse().unwrap();
    let rerouted = stage.transport.reroute_response(&udp, &via);
    assert_eq!(rerouted, ResponseRoute::Gone);
}

/// TRA-035: RFC 7118 §5.1.
#[test]
fn tra_035_requests_wait_for_the_upgrade_and_say_ws() {
    let mut stage = stage();
    let mut to = target(Protocol::Ws, peer(8080));
    to.name = Some("sip.example.com".to_owned());
    let flow = stage.transport.flow_to(stage.now, &to).unwrap();
    let via = stage.transport.via(&flow, "z9hG4bK1");
    assert_eq!(via.to_string(), "SIP/2.0/WS 192.0.2.1:80;branch=z9hG4bK1");
    stage
        .transport
        .send(stage.now, &flow, "one".into())
        .unwrap();
    stage.receive(Receive::Opened { flow });
    let asked = String::from_utf8(bytes_to(&mut stage, flow)).unwrap();
    assert!(asked.starts_with("GET / HTTP/1.1\r\nHost: sip.example.com:8080\r\n"));
    assert!(stage.events().is_empty(), "no message can travel yet");
    assert!(stage.transport.is_connecting(&flow));
    stage.bytes(flow, granted(line(&asked, "Sec-WebSocket-Key: ").unwrap()));
    assert!(matches!(stage.events()[..], [Event::Opened { flow: told }] if told == flow));
    let sent = bytes_to(&mut stage, flow);
    assert_eq!(unframe(&sent), [(0x81, b"one".to_vec())]);
    assert!(sent[1] & 0x80 != 0, "a client masks");
    // What the server asks comes in on the same connection.
    let request = options("sip.example.com", "").replace("SIP/2.0/UDP", "SIP/2.0/WS");
    stage.bytes(
        flow,
        [&[0x81, 126, 0, request.len() as u8][..], request.as_bytes()].concat(),
    );
    assert!(stage.message().is_request());
    assert_eq!(stage.transport.flow_to(stage.now, &to), Ok(flow));
}

/// RFC 7118 §4.1: no 101 is a failed connection.
#[test]
fn a_server_that_grants_no_web_socket_fails_the_connection() {
    let mut stage = stage();
    let to = target(Protocol::Ws, peer(80));
    let flow = stage.transport.flow_to(stage.now, &to).unwrap();
    stage.receive(Receive::Opened { flow });
    let asked = String::from_utf8(bytes_to(&mut stage, flow)).unwrap();
    assert_eq!(line(&asked, "Host: "), Some("198.51.100.7"));
    stage.bytes(flow, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    let failure = HandshakeFailure::Upgrade(404);
    assert_eq!(end(&mut stage), Some(CloseReason::Handshake(failure)));
    assert!(stage.is_closing(flow));
    let stats = stage.transport.stats();
    assert_eq!((stats.handshakes_failed, stats.connections), (1, 0));
}

/// TRA-039: an upgrade that takes too long, however many bytes come.
#[test]
fn tra_039_a_slow_upgrade_ends_after_5_seconds() {
    let mut stage = stage();
    let flow = accept(&mut stage);
    for (second, byte) in REQUEST.bytes().enumerate() {
        stage.until(second as u64);
        if !stage.transport.is_open(&flow) {
            break;
        }
        stage.bytes(flow, vec![byte]);
    }
    assert_eq!(stage.now - stage.start, Duration::from_secs(5));
    assert!(stage.is_closing(flow));
    assert!(stage.events().is_empty(), "nobody was told of it");
    let stats = stage.transport.stats();
    assert_eq!((stats.handshakes_failed, stats.connections), (1, 0));
    assert!(stage.sent()[0].1.starts_with("HTTP/1.1 408 "));
    // Who has not begun to ask is told nothing.
    let flow = accept(&mut stage);
    stage.until(10);
    assert!(matches!(stage.out[..], [Transmit::Close { flow: closed }] if closed == flow));
}

#[test]
fn who_is_refused_gets_the_status_and_then_the_end() {
    let mut stage = stage_with(
        TransportConfig::default().web_socket(WebSocketConfig::default().paths(["/sip"])),
    );
    let flow = accept(&mut stage);
    stage.bytes(flow, REQUEST);
    let closing = |transmit: &Transmit| matches!(transmit, Transmit::Close { .. });
    let order: Vec<bool> = stage.out.iter().map(closing).collect();
    assert_eq!(order, [false, true]);
    assert!(stage.sent()[0].1.starts_with("HTTP/1.1 404 Not Found\r\n"));
    assert!(stage.events().is_empty());
    assert_eq!(stage.transport.stats().handshakes_failed, 1);
}

/// Garbage before the first line, or another protocol, closes.
#[test]
fn what_is_no_http_is_refused_at_once() {
    for garbage in [
        &b"\x16\x03\x01\x00\xa5"[..],
        b"REGISTER sip:a SIP/2.0\r\n",
        b"\0\0\0",
    ] {
        let mut stage = stage();
        let flow = accept(&mut stage);
        stage.bytes(flow, garbage);
        assert!(stage.is_closing(flow));
        assert!(stage.sent()[0].1.starts_with("HTTP/1.1 400 "));
    }
}

#[test]
fn a_frame_that_is_too_large_closes_with_1009() {
    let mut stage = stage_with(TransportConfig::default().message_size(2_000));
    let flow = browser(&mut stage);
    stage.bytes(flow, masked(0x82, &[b'x'; 2_001]));
    assert!(stage.is_closing(flow));
    let sent = bytes_to(&mut stage, flow);
    assert_eq!(unframe(&sent), [(0x88, 1009_u16.to_be_bytes().to_vec())]);
    assert_eq!(end(&mut stage), Some(CloseReason::WebSocket(1009)));
    let stats = stage.transport.stats();
    assert_eq!((stats.closed_web_socket, stats.connections), (1, 0));
}

#[test]
fn messages_before_a_wrong_frame_are_read() {
    let mut stage = stage();
    let flow = browser(&mut stage);
    let bytes = [text(&options_of_browser()), masked(0x83, b"x")].concat();
    stage.bytes(flow, bytes);
    let [Event::Request { .. }, Event::Closed { reason, .. }] = &stage.events()[..] else {
        panic!("not both");
    };
    assert_eq!(*reason, CloseReason::WebSocket(1002));
}

/// TRA-039: a slow message.
#[test]
fn tra_039_a_message_that_takes_too_long_ends_the_web_socket() {
    let mut stage = stage();
    let flow = browser(&mut stage);
    for (second, byte) in text(&options_of_browser()).into_iter().enumerate() {
        stage.until(second as u64);
        if !stage.transport.is_open(&flow) {
            break;
        }
        stage.bytes(flow, vec![byte]);
    }
    assert_eq!(end(&mut stage), Some(CloseReason::TooSlow));
    assert_eq!(stage.now - stage.start, Duration::from_secs(32));
    let sent = bytes_to(&mut stage, flow);
    assert_eq!(unframe(&sent), [(0x88, 1001_u16.to_be_bytes().to_vec())]);
}

/// RFC 6455 §5.5.2; RFC 7118 §6 with RFC 5626 §3.5.1.
#[test]
fn pings_of_both_kinds_are_answered() {
    let mut stage = stage();
    let flow = browser(&mut stage);
    stage.bytes(flow, masked(0x89, b"there?"));
    stage.bytes(flow, text("\r\n\r\n"));
    let sent = bytes_to(&mut stage, flow);
    assert_eq!(
        unframe(&sent),
        [(0x8a, b"there?".to_vec()), (0x81, b"\r\n".to_vec())]
    );
    assert_eq!(stage.transport.stats().keep_alives, 1);
}

/// RFC 7118 §4.2.
#[test]
fn a_body_that_is_no_utf_8_travels_in_binary() {
    let mut stage = stage();
    let flow = browser(&mut stage);
    let mut contents = ok("WS", "df7jal23ls0d.invalid").into_bytes();
    contents.extend(b"\xff\xfe");
    stage
        .transport
        .send(stage.now, &flow, contents.clone().into())
        .unwrap();
    stage.drain();
    assert_eq!(unframe(&bytes_to(&mut stage, flow)), [(0x82, contents)]);
}

/// A message that cannot be read costs an answer, not the connection: the frame says where the next one begins.
#[test]
fn a_malformed_message_is_answered_in_a_frame() {
    let mut stage = stage();
    let flow = browser(&mut stage);
    let wrong = options_of_browser().replace("1 OPTIONS", "x");
    stage.bytes(flow, [text(&wrong), text(&options_of_browser())].concat());
    let sent = bytes_to(&mut stage, flow);
    let [(0x81, answer)] = &unframe(&sent)[..] else {
        panic!("not one frame");
    };
    assert!(answer.starts_with(b"SIP/2.0 400 "));
    assert!(stage.message().is_request());
    assert!(stage.transport.is_open(&flow));
}

/// The limit holds the clients, not the proxy that all of them come through.
#[test]
fn behind_a_trusted_proxy_its_clients_are_counted() {
    let proxy: IpAddr = "198.51.100.7".parse().unwrap();
    let config = TransportConfig::default()
        .web_socket(WebSocketConfig::default().trusted_proxies([proxy]))
        .connections_per_source(1);
    let mut stage = stage_with(config);
    let mut admitted = |forwarded: &str| {
        let flow = accept(&mut stage);
        stage.bytes(flow, REQUEST.replace("Origin", forwarded));
        stage.out.clear();
        stage.transport.is_open(&flow)
    };
    let (one, other) = (
        "X-Forwarded-For: 203.0.113.9\r\nOrigin",
        "X-Forwarded-For: 203.0.113.10\r\nOrigin",
    );
    assert!(admitted(one));
    assert!(!admitted(one));
    assert!(admitted(other));
    // A proxy that does not say for whom it speaks is one peer itself.
    assert!(admitted("Origin"));
    assert!(!admitted("Origin"));
    let stats = stage.transport.stats();
    assert_eq!((stats.connections, stats.connections_limited), (3, 2));
}

#[test]
fn a_client_behind_a_trusted_proxy_has_its_own_address() {
    let proxy: IpAddr = "198.51.100.7".parse().unwrap();
    let config = WebSocketConfig::default().trusted_proxies([proxy]);
    let mut stage = stage_with(TransportConfig::default().web_socket(config));
    let flow = accept(&mut stage);
    let request = REQUEST.replace("Origin", "X-Forwarded-For: 203.0.113.9\r\nOrigin");
    let both = [request.as_bytes(), &text(&options_of_browser())].concat();
    stage.bytes(flow, both);
    let remote = "203.0.113.9:40000".parse().unwrap();
    let [
        Event::Opened { flow: opened },
        Event::Request { flow, request },
    ] = &stage.events()[..]
    else {
        panic!("not both");
    };
    assert_eq!((opened.remote(), flow.remote()), (remote, remote));
    assert_eq!(request.via().unwrap().received(), Some(remote.ip()));
}

/// A load balancer that is an HTTP proxy to others is not one to those whom it introduces: these write the field as they
/// like.
#[test]
fn whom_a_load_balancer_introduces_is_not_believed_to_be_a_proxy() {
    let balancer = ip("198.51.100.7");
    let proxy = ip("203.0.113.80");
    let config = WebSocketConfig::default().trusted_proxies([balancer, proxy]);
    for (introduced, believed) in [
        (ip("203.0.113.9"), ip("203.0.113.9")),
        (proxy, ip("10.9.9.9")),
    ] {
        let mut stage = Stage::bare(TransportConfig::default().web_socket(config.clone()));
        let listener: Listener = "ws:192.0.2.1:80".parse().unwrap();
        stage.listen(listener.announced_by([balancer]));
        let flow = accept(&mut stage);
        stage.bytes(flow, admission::preface(introduced));
        let forwarded = "X-Forwarded-For: 10.9.9.9\r\nOrigin";
        stage.bytes(flow, REQUEST.replace("Origin", forwarded));
        match stage.events()[..] {
            [Event::Opened { flow }] => assert_eq!(flow.remote().ip(), believed),
            ref other => panic!("{other:?}"),
        }
    }
}

/// RFC 7118 §6: whoever is silent is asked, and whoever does not answer is gone.
#[test]
fn a_silent_peer_is_pinged_and_given_up() {
    let mut stage = stage();
    let flow = browser(&mut stage);
    stage.until(44);
    assert!(stage.out.is_empty());
    stage.until(45);
    assert_eq!(unframe(&bytes_to(&mut stage, flow)), [(0x89, Vec::new())]);
    // Whatever it says is a sign of life.
    stage.until(54);
    stage.bytes(flow, masked(0x8a, b""));
    stage.until(54 + 44);
    assert!(stage.out.is_empty() && stage.transport.is_open(&flow));
    stage.until(54 + 45);
    assert_eq!(unframe(&bytes_to(&mut stage, flow)), [(0x89, Vec::new())]);
    stage.until(54 + 54);
    assert!(stage.transport.is_open(&flow));
    stage.until(54 + 55);
    assert_eq!(end(&mut stage), Some(CloseReason::Silent));
    assert_eq!(stage.transport.stats().closed_silent, 1);
    assert!(stage.is_closing(flow));
    assert_eq!(stage.transport.poll_timeout(), None);
}

#[test]
fn without_pings_a_silent_peer_is_idle() {
    let config = WebSocketConfig::default().ping_interval(None);
    let mut stage = stage_with(TransportConfig::default().web_socket(config));
    let _flow = browser(&mut stage);
    stage.until(601);
    assert_eq!(end(&mut stage), Some(CloseReason::Idle));
    assert_eq!(stage.transport.stats().closed_idle, 1);
}

#[test]
fn shutting_down_says_goodbye() {
    let mut stage = stage();
    let (open, shaking) = (browser(&mut stage), accept(&mut stage));
    stage.transport.shutdown();
    stage.drain();
    assert!(stage.is_closing(open) && stage.is_closing(shaking));
    let sent = bytes_to(&mut stage, open);
    assert_eq!(unframe(&sent), [(0x88, 1001_u16.to_be_bytes().to_vec())]);
    assert_eq!(stage.transport.poll_timeout(), None);
}
