//! Who may connect, how often, and who says whom a connection is from.

use super::*;
use crate::CloseReason;

fn from(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

/// A header of the PROXY protocol, version 2, for TCP over IPv4 from port 40000 of `source`.
pub(super) fn preface(source: IpAddr) -> Vec<u8> {
    let IpAddr::V4(source) = source else {
        panic!("is written for IPv4")
    };
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
    bytes.extend(source.octets());
    bytes.extend([192, 0, 2, 1, 0x9c, 0x40, 0x13, 0xc4]);
    bytes
}

/// Whom the load balancer speaks for.
const CLIENT: &str = "203.0.113.9";

const BALANCER: &str = "10.0.0.9:33000";

/// A stage behind a load balancer.
fn behind_balancer(config: TransportConfig) -> Stage {
    let mut stage = Stage::bare(config);
    let listener: Listener = "tcp:192.0.2.1:5060".parse().unwrap();
    stage.listen(listener.announced_by([ip("10.0.0.9")]));
    stage
}

/// The bad input: who opens connections in thousands is held to its limit, and others are served.
#[test]
fn a_peer_is_held_to_its_limit_and_others_are_served() {
    let config = TransportConfig::default().connections_per_source(100);
    let mut stage = Stage::with(config);
    let mut kept = Vec::new();
    for port in 1..=10_000 {
        let flow = stage.accept_from(SocketAddr::new(ip("198.51.100.66"), port));
        if stage.is_closing(flow) {
            stage.out.clear();
        } else {
            kept.push(flow);
        }
    }
    assert_eq!(kept.len(), 100);
    let stats = stage.transport.stats();
    assert_eq!((stats.connections, stats.connections_limited), (100, 9_900));
    let other = stage.accept_from(from("198.51.100.67:5060"));
    stage.events();
    stage.bytes(other, options("198.51.100.67", ""));
    assert!(matches!(stage.message(), Message::Request(_)));
    // A connection that ends makes room for another one.
    let reason = sip_io::CloseReason::ByPeer;
    let flow = kept[0];
    stage.receive(Receive::Closed { flow, reason });
    let next = stage.accept_from(from("198.51.100.66:20000"));
    assert!(!stage.is_closing(next));
    // What was refused was never told, so nobody hears of its end.
    let opened = |event: &Event| matches!(event, Event::Opened { .. });
    assert_eq!(
        stage.events().iter().filter(|event| opened(event)).count(),
        1
    );
}

#[test]
fn the_hosts_of_an_ipv6_network_share_a_limit() {
    let config = TransportConfig::default().connections_per_source(1);
    let mut stage = Stage::with(config);
    let first = stage.accept_from(from("[2001:db8:7::1]:5060"));
    let second = stage.accept_from(from("[2001:db8:7::2]:5060"));
    let elsewhere = stage.accept_from(from("[2001:db8:8::1]:5060"));
    let refused = [first, second, elsewhere].map(|flow| stage.is_closing(flow));
    assert_eq!(refused, [false, true, false]);
}

#[test]
fn a_source_without_a_limit_has_none() {
    let config = TransportConfig::default()
        .connections_per_source(1)
        .unlimited_sources([ip("10.0.0.9")]);
    let mut stage = Stage::with(config);
    for _ in 0..5 {
        let flow = stage.accept_from(from(BALANCER));
        assert!(!stage.is_closing(flow));
    }
}

/// What a trusted load balancer says stands for the peer: in the flow, and in the Via (RFC 3261 §18.2.1).
#[test]
fn a_balancer_that_is_trusted_says_whom_a_connection_is_from() {
    let mut stage = behind_balancer(TransportConfig::default());
    let flow = stage.accept_from(from(BALANCER));
    assert!(stage.events().is_empty(), "nobody knows whose it is");
    let mut contents = preface(ip(CLIENT));
    contents.extend(options("client.invalid", "").bytes());
    // In two pieces, the cut within the header.
    stage.bytes(flow, contents[..20].to_vec());
    assert!(stage.events().is_empty());
    stage.bytes(flow, contents[20..].to_vec());
    match &stage.events()[..] {
        [
            Event::Opened { flow: opened },
            Event::Request {
                flow: told,
                request,
            },
        ] => {
            assert_eq!((*opened, *told), (flow, flow));
            assert_eq!(told.remote(), from("203.0.113.9:40000"));
            assert_eq!(request.via().unwrap().received(), Some(ip("203.0.113.9")));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        stage.transport.stats().stream_bytes_in,
        contents.len() as u64
    );
}

#[test]
fn a_balancer_that_is_not_trusted_or_says_nothing_is_closed() {
    let mut stage = behind_balancer(TransportConfig::default());
    let stranger = stage.accept_from(peer(40_000));
    assert!(stage.is_closing(stranger));
    let silent = stage.accept_from(from(BALANCER));
    stage.bytes(silent, options("198.51.100.7", ""));
    assert!(stage.is_closing(silent));
    assert_eq!(stage.transport.stats().connections_unannounced, 2);
    // One that does not get to the end of its header has the time of a handshake.
    let slow = stage.accept_from(from(BALANCER));
    stage.bytes(slow, preface(ip(CLIENT))[..10].to_vec());
    stage.until(60);
    assert!(stage.is_closing(slow));
    assert!(stage.events().is_empty());
}

/// The limit holds the clients, not the load balancer that all of them come through.
#[test]
fn behind_a_balancer_its_clients_are_counted() {
    let mut stage = behind_balancer(TransportConfig::default().connections_per_source(1));
    let flows: Vec<Flow> = (0..3).map(|_| stage.accept_from(from(BALANCER))).collect();
    let mut second = preface(ip(CLIENT));
    second[16..20].copy_from_slice(&[203, 0, 113, 10]);
    stage.bytes(flows[0], preface(ip(CLIENT)));
    stage.bytes(flows[1], second);
    stage.bytes(flows[2], preface(ip(CLIENT)));
    let refused = flows.into_iter().map(|flow| stage.is_closing(flow));
    assert_eq!(refused.collect::<Vec<_>>(), [false, false, true]);
}

/// The bad input: a stream with garbage before the first line closes, at once.
#[test]
fn garbage_before_the_first_line_closes_a_stream() {
    for garbage in [
        &b"\x16\x03\x01\x02\x00"[..],
        b"GET / HTTP/1.1\r\n",
        b"hello\n",
        b"\0",
    ] {
        let mut stage = Stage::new();
        let flow = stage.accept();
        stage.events();
        stage.bytes(flow, garbage);
        assert!(stage.is_closing(flow), "{garbage:?}");
        assert!(matches!(
            stage.events()[..],
            [Event::Closed {
                reason: CloseReason::Unframable,
                ..
            }]
        ));
        assert_eq!(stage.transport.stats().closed_unframable, 1);
    }
}

#[test]
fn while_held_no_connection_is_read() {
    let mut stage = Stage::new();
    let one = stage.accept();
    stage.out.clear();
    for _ in 0..2 {
        stage.transport.hold(true);
        stage.drain();
    }
    assert!(matches!(stage.out[..], [Transmit::Pause { flow }] if flow == one));
    stage.out.clear();
    let other = stage.accept();
    assert!(matches!(stage.out[..], [Transmit::Pause { flow }] if flow == other));
    // One of ours that is open by then is none that comes before the hold.
    let ours = target(Protocol::Tcp, peer(5060));
    let ours = stage.transport.flow_to(stage.now, &ours).unwrap();
    stage.drain();
    stage.out.clear();
    stage.receive(Receive::Opened {
        flow: ours.with_local(local()),
    });
    assert!(matches!(stage.out[..], [Transmit::Pause { flow }] if flow == ours));
    stage.out.clear();
    stage.transport.hold(false);
    stage.drain();
    let resumed = |transmit: &Transmit| matches!(transmit, Transmit::Resume { .. });
    assert_eq!(stage.out.iter().filter(|out| resumed(out)).count(), 3);
}
