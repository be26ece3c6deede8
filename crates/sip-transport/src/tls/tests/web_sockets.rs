//! WebSocket on top of TLS (RFC 7118 §9.1).

use super::*;
use crate::WebSocketConfig;

fn pair_with(config: WebSocketConfig) -> Pair {
    let authority = Authority::new("authority");
    let server = serving(&authority.certify(&["example.com"]));
    let config = TransportConfig::default().web_socket(config);
    let mut pair = Pair::with(config, believing(&authority), server);
    let listener = crate::Listener::wss(at(SERVER, 5061), None);
    bind(&mut pair.server, pair.now, listener);
    pair
}

fn secure(name: &str) -> Target {
    Target {
        protocol: Protocol::Wss,
        ..to(name)
    }
}

fn has(pair: &Pair, text: &[u8]) -> bool {
    let mut wire = pair.wire.iter();
    wire.any(|bytes| bytes.windows(text.len()).any(|window| window == text))
}

/// TRA-035: RFC 7118 §5.1. Both handshakes come before the first message, and nothing is to be read on the way.
#[test]
fn tra_035_a_secure_web_socket_is_one_inside_tls() {
    let mut pair = pair_with(WebSocketConfig::default());
    let flow = pair
        .client
        .flow_to(pair.now, &secure("example.com"))
        .unwrap();
    let via = pair.client.via(&flow, "z9hG4bK1").to_string();
    assert!(via.starts_with("SIP/2.0/WSS "), "{via}");
    pair.request(&flow, "");
    let accepted = pair.requested().unwrap();
    assert_eq!(accepted.protocol(), Protocol::Wss);
    assert!(!pair.client.is_connecting(&flow));
    assert!(!has(&pair, b"GET ") && !has(&pair, b"OPTIONS"));
    let answer = "SIP/2.0 200 OK\r\nVia: SIP/2.0/WSS 198.51.100.7:40001;branch=z9hG4bK1\r\n\
                  From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: 7\r\nCSeq: 1 OPTIONS\r\n\r\n";
    pair.server
        .send(pair.now, &accepted, answer.into())
        .unwrap();
    pair.run();
    let answered = |event: &Event| matches!(event, Event::Response { .. });
    assert!(pair.client_events.iter().any(answered));
    // RFC 5626 §3.5.1 inside both.
    pair.client.ping(pair.now, &flow).unwrap();
    pair.run();
    let ponged = |event: &Event| matches!(event, Event::Pong { .. });
    assert!(pair.client_events.iter().any(ponged));
    // Large ones take several records.
    let large = options("").replace("Length: 0", "Length: 60000") + &"x".repeat(60_000);
    pair.client.send(pair.now, &flow, large.into()).unwrap();
    pair.run();
    assert!(pair.requested().is_some());
}

/// RFC 7118 §5.2, §8.2: servers of secure WebSockets write `sip` and `transport=ws` into Record-Route.
#[test]
fn a_secure_connection_serves_whoever_writes_ws() {
    let mut pair = pair_with(WebSocketConfig::default());
    let flow = pair
        .client
        .flow_to(pair.now, &secure("example.com"))
        .unwrap();
    let plain = Target {
        protocol: Protocol::Ws,
        ..to(SERVER)
    };
    let flow_to = |pair: &mut Pair, target: &Target| {
        let flow = pair.client.flow_to(pair.now, target).unwrap();
        pair.run();
        flow
    };
    pair.run();
    assert_eq!(flow_to(&mut pair, &plain), flow);
    let elsewhere = Target {
        address: at(SERVER, 5062),
        ..plain.clone()
    };
    assert_ne!(flow_to(&mut pair, &elsewhere), flow);
    // Who wants proof gets a connection to whom has proved it.
    assert_ne!(flow_to(&mut pair, &secure("example.net")), flow);
    pair.client.close(&flow);
    pair.run();
    assert_ne!(flow_to(&mut pair, &plain), flow);
}

#[test]
fn the_status_of_a_refusal_comes_through_tls() {
    let mut pair = pair_with(WebSocketConfig::default().paths(["/elsewhere"]));
    let flow = pair
        .client
        .flow_to(pair.now, &secure("example.com"))
        .unwrap();
    pair.run();
    let failure = HandshakeFailure::Upgrade(404);
    assert_eq!(pair.client_closed(), Some(CloseReason::Handshake(failure)));
    assert!(!pair.client.is_open(&flow));
    assert_eq!(pair.server.stats().handshakes_failed, 1);
}

#[test]
fn a_server_of_another_name_is_not_asked_for_a_web_socket() {
    let mut pair = pair_with(WebSocketConfig::default());
    pair.client
        .flow_to(pair.now, &secure("example.net"))
        .unwrap();
    pair.run();
    let failure = HandshakeFailure::WrongName;
    assert_eq!(pair.client_closed(), Some(CloseReason::Handshake(failure)));
    assert!(pair.requested().is_none());
}

/// Who shakes hands with TLS and then says nothing has no more time than others.
#[test]
fn a_client_that_never_asks_ends_in_time() {
    let mut pair = pair_with(WebSocketConfig::default());
    let flow = pair.client.flow_to(pair.now, &to("example.com")).unwrap();
    // It comes to the listener for WebSockets.
    let Some(Transmit::Open { .. }) = pair.client.poll_transmit() else {
        panic!("nothing to open");
    };
    let (local, remote) = (at(CLIENT, 40_000), at(SERVER, 5061));
    let accepted = Flow::stream(Protocol::Wss, StreamId::accepted(9), remote, local);
    pair.links.push((flow.with_local(local), accepted));
    pair.tell(false, Receive::Opened { flow: accepted });
    pair.tell(
        true,
        Receive::Opened {
            flow: flow.with_local(local),
        },
    );
    pair.run();
    assert!(!pair.client.is_connecting(&flow), "TLS is established");
    pair.wait(Duration::from_secs(5));
    assert!(!pair.server.is_open(&accepted));
    assert_eq!(pair.server.stats().handshakes_failed, 1);
}
