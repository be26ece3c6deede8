//! Signs of life, and what is not sent to many.

use super::*;
use crate::{CloseReason, FlowError};

/// RFC 5626 §4.4.1: a lone CRLF answers our ping, at once; without a ping it may be the first half of one.
#[test]
fn a_pong_is_told_when_it_was_asked_for() {
    let mut stage = Stage::new();
    let flow = stage.accept();
    stage.events();
    stage.transport.ping(stage.now, &flow).unwrap();
    stage.drain();
    assert_eq!(stage.sent(), [(flow, "\r\n\r\n".to_owned())]);
    stage.bytes(flow, "\r\n");
    assert!(matches!(stage.events()[..], [Event::Pong { flow: told }] if told == flow));
    // Both halves of a question of the peer, of which the first is no answer to anything.
    stage.bytes(flow, "\r\n");
    assert!(stage.events().is_empty() && stage.sent().is_empty());
    stage.bytes(flow, "\r\n");
    assert_eq!(stage.sent(), [(flow, "\r\n".to_owned())]);
    assert_eq!(stage.transport.stats().pongs, 1);
}

/// A pong in front of a message.
#[test]
fn a_pong_is_told_before_the_message_behind_it() {
    let mut stage = Stage::new();
    let flow = stage.accept();
    stage.events();
    stage.transport.ping(stage.now, &flow).unwrap();
    stage.bytes(flow, format!("\r\n{}", options("198.51.100.7", "")));
    assert!(matches!(
        stage.events()[..],
        [Event::Pong { .. }, Event::Request { .. }]
    ));
}

/// Why a connection was closed, with the second since the start.
fn closed(stage: &mut Stage) -> Vec<(u64, CloseReason)> {
    let second = (stage.now - stage.start).as_secs();
    let events = stage.events().into_iter();
    let reasons = events.filter_map(|event| match event {
        Event::Closed { reason, .. } => Some((second, reason)),
        _ => None,
    });
    reasons.collect()
}

/// RFC 5626 §5.4: whoever was told a Flow-Timer says something in time, whatever we say ourselves.
#[test]
fn a_peer_that_has_promised_keep_alives_and_sends_none_is_silent() {
    let mut stage = Stage::new();
    let flow = stage.accept();
    let within = Duration::from_secs(60);
    stage.bytes(flow, options("198.51.100.7", ""));
    stage
        .transport
        .expect_keep_alives(stage.now, &flow, Some(within));
    for second in [50, 100, 150] {
        stage.until(second);
        stage.bytes(flow, "\r\n\r\n");
    }
    stage.until(200);
    stage.transport.send(stage.now, &flow, "x".into()).unwrap();
    stage.until(209);
    assert_eq!(closed(&mut stage), []);
    stage.until(210);
    assert_eq!(closed(&mut stage), [(210, CloseReason::Silent)]);
    assert_eq!(stage.transport.stats().closed_silent, 1);

    // Who has promised no more may be silent as long as anybody.
    let flow = stage.accept();
    stage.bytes(flow, options("198.51.100.7", ""));
    for expected in [Some(within), None] {
        stage
            .transport
            .expect_keep_alives(stage.now, &flow, expected);
    }
    stage.until(800);
    assert_eq!(closed(&mut stage), []);
    stage.until(810);
    assert_eq!(closed(&mut stage), [(810, CloseReason::Idle)]);
}

/// Who opens a connection has something to say; half a keep-alive says nothing.
#[test]
fn a_connection_on_which_nothing_was_ever_said_ends_before_an_idle_one() {
    let mut stage = Stage::new();
    let mute = stage.accept();
    let hesitant = stage.accept();
    let spoken = stage.accept();
    let alive = stage.accept();
    stage.bytes(hesitant, "\r\n");
    stage.bytes(spoken, options("198.51.100.7", ""));
    stage.bytes(alive, "\r\n\r\n");
    let opened = stage
        .transport
        .flow_to(stage.now, &target(Protocol::Tcp, peer(5060)))
        .unwrap();
    let local = SocketAddr::new(ip(LOCAL), 51_000);
    stage.receive(Receive::Opened {
        flow: opened.with_local(local),
    });
    stage.until(31);
    assert_eq!(closed(&mut stage), []);
    stage.until(32);
    assert_eq!(closed(&mut stage), [(32, CloseReason::Mute); 2]);
    for (flow, open) in [
        (mute, false),
        (hesitant, false),
        (spoken, true),
        (alive, true),
        (opened, true),
    ] {
        assert_eq!(stage.transport.is_open(&flow), open);
    }
    stage.until(599);
    assert_eq!(closed(&mut stage), []);
    stage.until(600);
    assert_eq!(closed(&mut stage), [(600, CloseReason::Idle); 3]);

    let config = TransportConfig::default().first_message_timeout(Duration::from_secs(5));
    let mut stage = Stage::with(config);
    stage.accept();
    stage.until(5);
    assert_eq!(closed(&mut stage), [(5, CloseReason::Mute)]);
    assert_eq!(stage.transport.stats().closed_mute, 1);
}

/// RFC 5626 §4.4: a server waits longer than its Flow-Timer, and a client that asks only so often does so, too.
#[test]
fn a_silence_that_is_agreed_upon_is_not_idle() {
    let mut stage = Stage::new();
    let promised = stage.accept();
    let within = Some(Duration::from_secs(900));
    stage
        .transport
        .expect_keep_alives(stage.now, &promised, within);
    let asked = stage.accept();
    stage
        .transport
        .bear_silence(&asked, Duration::from_secs(1_000));
    for flow in [promised, asked] {
        stage.bytes(flow, "\r\n\r\n");
    }
    stage.events();
    stage.until(899);
    assert_eq!(closed(&mut stage), []);
    stage.until(900);
    assert_eq!(closed(&mut stage), [(900, CloseReason::Silent)]);
    stage.until(1_000);
    assert_eq!(closed(&mut stage), [(1_000, CloseReason::Idle)]);
}

#[test]
fn a_silent_connection_is_given_up() {
    let mut stage = Stage::new();
    let flow = stage.accept();
    stage.events();
    stage.transport.give_up(&flow);
    stage.drain();
    assert!(stage.is_closing(flow));
    assert!(matches!(
        stage.events()[..],
        [Event::Closed {
            reason: CloseReason::Silent,
            ..
        }]
    ));
    assert!(stage.transport.ping(stage.now, &flow).is_err());
    let datagrams = udp_from(5060);
    assert!(stage.transport.ping(stage.now, &datagrams).is_err());
}

/// RFC 5626 §4.4.2: the first two bits tell STUN from SIP, and it is handed on as it came.
#[test]
fn stun_is_handed_on() {
    let mut stage = Stage::new();
    let contents = b"\x00\x01\x00\x00\x21\x12\xa4\x42twelve bytes";
    stage.datagram(udp_from(5060), &contents[..]);
    match &stage.events()[..] {
        [
            Event::Stun {
                flow,
                contents: told,
            },
        ] => {
            assert_eq!((*flow, &told[..]), (udp_from(5060), &contents[..]));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(stage.transport.stats().stun, 1);
}

/// RFC 6223 §4.4: who asks to keep its flow alive is told how often; a value that a peer made up is left alone.
#[test]
fn who_asks_to_keep_a_flow_is_told_how_often() {
    let mut stage = Stage::new();
    for (params, keep) in [(";keep", Some("30")), (";keep=7", Some("7")), ("", None)] {
        stage.datagram(udp_from(5060), options("198.51.100.7", params));
        let Message::Request(request) = stage.message() else {
            panic!("a request came");
        };
        let via = request.via().unwrap();
        assert_eq!(via.param("keep").flatten().as_deref(), keep);
        assert_eq!(via.received(), None, "it came from where it says");
    }
    let mut stage = Stage::with(TransportConfig::default().keep(None));
    stage.datagram(udp_from(5060), options("198.51.100.7", ";keep"));
    let Message::Request(request) = stage.message() else {
        panic!("a request came");
    };
    assert_eq!(request.via().unwrap().param("keep"), Some(None));
}

/// TRA-037: multicast is refused, in both directions. Nothing is sent to many, and a request that names many in its
/// `maddr` (RFC 3261 §18.2.2) is answered to its source alone; no socket joins a group, so none comes that way.
#[test]
fn tra_037_nothing_is_sent_to_many() {
    let mut stage = Stage::new();
    for address in [
        "224.0.1.75:5060",
        "[ff05::d]:5060",
        "[::ffff:224.0.1.75]:5060",
    ] {
        for protocol in [Protocol::Udp, Protocol::Tcp] {
            let to = target(protocol, address.parse().unwrap());
            let refused = stage.transport.flow_to(stage.now, &to);
            assert!(
                matches!(refused, Err(FlowError::Multicast { .. })),
                "{address}"
            );
        }
    }
    stage.datagram(
        udp_from(5060),
        options("198.51.100.7", ";maddr=224.0.1.75;ttl=16"),
    );
    let events = stage.events();
    let [Event::Request { flow, request }] = &events[..] else {
        panic!("{events:?}");
    };
    let route = stage
        .transport
        .route_response(flow, &request.via().unwrap());
    assert_eq!(route, crate::ResponseRoute::Flow(udp_from(5060)));
}

#[test]
fn new_addresses_are_told_once() {
    let mut stage = Stage::new();
    let addresses = ["127.0.0.1", LOCAL, "2001:db8::2"].map(ip).to_vec();
    for told in [1, 0] {
        let addresses = addresses.clone();
        stage.receive(Receive::Network { addresses });
        let events = stage.events();
        assert_eq!(events.len(), told);
        assert!(
            events
                .iter()
                .all(|event| matches!(event, Event::NetworkChanged))
        );
    }
}

/// A zone says something to this host alone (RFC 4007 §11.2): neither a Via of ours nor `received` has one.
#[test]
fn zones_never_go_into_a_message() {
    let mut stage = Stage::bare(TransportConfig::default());
    stage.receive(Receive::Network {
        addresses: vec![ip("fe80::1")],
    });
    stage.listen("udp:[fe80::1]:5060".parse().unwrap());
    stage.events();
    let zoned = |text: &str| match text.parse().unwrap() {
        SocketAddr::V6(v6) => {
            let (ip, port) = (*v6.ip(), v6.port());
            SocketAddr::from(std::net::SocketAddrV6::new(ip, port, 0, 3))
        }
        v4 => v4,
    };
    let flow = Flow::udp(zoned("[fe80::1]:5060"), zoned("[fe80::9]:5060"));
    let via = stage.transport.via(&flow, "z9hG4bK1").to_string();
    assert!(via.contains("[fe80::1]"), "{via}");
    assert!(!via.contains('%'), "{via}");
    stage.datagram(flow, options("client.invalid", ";rport"));
    let Message::Request(request) = stage.message() else {
        panic!("a request came");
    };
    let via = request.via().unwrap().to_string();
    assert!(
        via.contains("received=fe80::9") || via.contains("received=[fe80::9]"),
        "{via}"
    );
    assert!(!via.contains('%'), "{via}");
}
