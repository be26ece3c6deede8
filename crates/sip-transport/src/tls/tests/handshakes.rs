//! Handshakes that succeed, fail, stall and are none.

use super::*;

fn mutual(required: bool, client_certificate: bool) -> Pair {
    let authority = Authority::new("authority");
    let server = serving(&authority.certify(&["example.com"]));
    let pem = authority.pem();
    let server = if required {
        server.require_client_certificates(pem.as_bytes())
    } else {
        server.request_client_certificates(pem.as_bytes())
    };
    let mut client = believing(&authority);
    if client_certificate {
        client = authority.certify(&["sip:client.example"]).shown(client);
    }
    Pair::new(client, server.unwrap())
}

#[test]
fn messages_wait_for_the_handshake_and_travel_unread() {
    let mut pair = mutual(false, false);
    let flow = pair.client.flow_to(pair.now, &to("example.com")).unwrap();
    assert!(pair.client.is_connecting(&flow));
    pair.request(&flow, "");
    assert!(!pair.client.is_connecting(&flow));
    let accepted = pair.requested().unwrap();
    assert!(
        !pair
            .wire
            .iter()
            .any(|bytes| bytes.windows(7).any(|text| text == b"OPTIONS"))
    );
    // Back the same way.
    let answer = "SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS 198.51.100.7:40001;branch=z9hG4bK1\r\n\
                  From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: 7\r\nCSeq: 1 OPTIONS\r\n\
                  Content-Length: 0\r\n\r\n";
    pair.server
        .send(pair.now, &accepted, answer.into())
        .unwrap();
    pair.run();
    assert!(
        pair.client_events
            .iter()
            .any(|event| matches!(event, Event::Response { .. }))
    );
    // Large ones take several records.
    let large = options("").replace("Length: 0", "Length: 60000") + &"x".repeat(60_000);
    pair.client.send(pair.now, &flow, large.into()).unwrap();
    pair.run();
    assert!(pair.requested().is_some());
}

#[test]
fn keep_alives_are_answered_inside_tls() {
    let mut pair = mutual(false, false);
    let flow = pair.connect("example.com");
    pair.client
        .send(pair.now, &flow, "\r\n\r\n".into())
        .unwrap();
    pair.run();
    assert_eq!(pair.server.stats().keep_alives, 1);
    assert!(!pair.wire.iter().any(|bytes| bytes.as_ref() == b"\r\n"));
}

#[test]
fn a_client_that_has_to_prove_itself_and_does_is_known() {
    for required in [true, false] {
        let mut pair = mutual(required, true);
        let flow = pair.connect("example.com");
        pair.request(&flow, "");
        let accepted = pair.requested().unwrap();
        let identity = pair.server.peer_identity(&accepted).unwrap();
        assert_eq!(identity.domains().collect::<Vec<_>>(), ["client.example"]);
        assert_eq!(identity.certificates().count(), 1);
    }
}

#[test]
fn a_client_that_may_prove_itself_and_does_not_is_served_and_nobody() {
    let mut pair = mutual(false, false);
    let flow = pair.connect("example.com");
    pair.request(&flow, "");
    let accepted = pair.requested().unwrap();
    assert_eq!(pair.server.peer_identity(&accepted), None);
}

/// TLS 1.3 ends the client's side of the handshake first, so it is told by the alert `certificate_required`.
#[test]
fn a_client_that_has_to_prove_itself_and_cannot_gets_alert_116() {
    let mut pair = mutual(true, false);
    let flow = pair.connect("example.com");
    assert_eq!(pair.client_closed(), Some(CloseReason::Alert(116)));
    assert!(!pair.client.is_open(&flow));
    assert_eq!(pair.server.stats().handshakes_failed, 1);
    assert_eq!(pair.server.stats().connections, 0);
}

#[test]
fn a_client_of_an_unknown_authority_is_refused() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let server = serving(&ours.certify(&["example.com"]));
    let server = server
        .request_client_certificates(ours.pem().as_bytes())
        .unwrap();
    let client = theirs.certify(&["client.example"]).shown(believing(&ours));
    let mut pair = Pair::new(client, server);
    pair.connect("example.com");
    // RFC 8446 §6: unknown_ca
    assert_eq!(pair.client_closed(), Some(CloseReason::Alert(48)));
}

#[test]
fn goodbyes_are_said_and_heard() {
    let mut pair = mutual(false, false);
    let flow = pair.connect("example.com");
    pair.client.close(&flow);
    pair.run();
    let closed: Vec<_> = std::mem::take(&mut pair.server_events)
        .into_iter()
        .filter(|event| {
            matches!(
                event,
                Event::Closed {
                    reason: CloseReason::ByPeer,
                    ..
                }
            )
        })
        .collect();
    assert_eq!(closed.len(), 1);
    assert_eq!(pair.server.stats().connections, 0);
}

/// A peer without TLS opens a connection to the server.
fn bare_connection(pair: &mut Pair) -> Flow {
    let id = StreamId::accepted(1_000);
    let flow = Flow::stream(Protocol::Tls, id, at(SERVER, 5061), at(CLIENT, 50_000));
    pair.server
        .handle_receive(pair.now, Receive::Opened { flow });
    flow
}

/// What the server sends on a connection, and whether it closes it.
fn answers(pair: &mut Pair, flow: Flow) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let mut closes = false;
    while let Some(transmit) = pair.server.poll_transmit() {
        match transmit {
            Transmit::Stream { flow: to, contents } if to == flow => bytes.extend(contents),
            Transmit::Close { flow: closed } => closes |= closed == flow,
            _ => {}
        }
    }
    (bytes, closes)
}

#[test]
fn plain_sip_and_garbage_on_a_tls_port_get_an_alert_and_the_end() {
    let garbage = vec![0xa5; 4_000];
    for contents in [
        options("").into_bytes(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        garbage,
    ] {
        let mut pair = mutual(true, false);
        let flow = bare_connection(&mut pair);
        let contents = contents.into();
        pair.server
            .handle_receive(pair.now, Receive::Stream { flow, contents });
        let (bytes, closes) = answers(&mut pair, flow);
        // RFC 8446 §5.1: a record of type alert (21), of level fatal (2).
        assert_eq!((bytes[0], bytes[5]), (21, 2), "{bytes:?}");
        assert!(closes);
        assert!(pair.server.poll_event().is_none(), "nobody hears of it");
        assert_eq!(pair.server.stats().handshakes_failed, 1);
        assert_eq!(pair.server.stats().connections, 0);
    }
}

#[test]
fn a_server_without_tls_on_a_tls_port_fails_the_connection() {
    let mut pair = mutual(false, false);
    let flow = pair.client.flow_to(pair.now, &to("example.com")).unwrap();
    let _open = pair.client.poll_transmit();
    pair.client.handle_receive(
        pair.now,
        Receive::Opened {
            flow: flow.with_local(at(CLIENT, 4)),
        },
    );
    let contents = "SIP/2.0 400 Bad Request\r\n\r\n".into();
    pair.client
        .handle_receive(pair.now, Receive::Stream { flow, contents });
    pair.run();
    let garbled = CloseReason::Handshake(HandshakeFailure::Garbled);
    assert_eq!(pair.client_closed(), Some(garbled));
}

#[test]
fn a_stalled_handshake_ends_in_time() {
    let config = TransportConfig::default().handshake_timeout(Duration::from_secs(3));
    let authority = Authority::new("authority");
    let server = serving(&authority.certify(&["example.com"]));
    let mut pair = Pair::with(config, believing(&authority), server);
    // As a server: silence, and one byte each second, which is not enough.
    let flow = bare_connection(&mut pair);
    for byte in [22_u8, 3, 1] {
        pair.wait(Duration::from_millis(900));
        assert!(pair.server.is_open(&flow));
        let contents = vec![byte].into();
        pair.server
            .handle_receive(pair.now, Receive::Stream { flow, contents });
    }
    pair.wait(Duration::from_millis(301));
    assert!(!pair.server.is_open(&flow));
    assert!(pair.server_events.is_empty());
    assert_eq!(pair.server.stats().handshakes_failed, 1);
    assert_eq!(pair.server.poll_timeout(), None);
    // As a client: nobody answers.
    let flow = pair.client.flow_to(pair.now, &to("example.com")).unwrap();
    let _open = pair.client.poll_transmit();
    pair.client.handle_receive(
        pair.now,
        Receive::Opened {
            flow: flow.with_local(at(CLIENT, 4)),
        },
    );
    pair.wait(Duration::from_secs(3));
    let late = CloseReason::Handshake(HandshakeFailure::TimedOut);
    assert_eq!(pair.client_closed(), Some(late));
}

#[test]
fn a_handshake_may_come_byte_by_byte() {
    let mut pair = mutual(true, true);
    let flow = pair.client.flow_to(pair.now, &to("example.com")).unwrap();
    let _open = pair.client.poll_transmit();
    let accepted = bare_connection(&mut pair);
    pair.client.handle_receive(
        pair.now,
        Receive::Opened {
            flow: flow.with_local(at(CLIENT, 4)),
        },
    );
    pair.client
        .send(pair.now, &flow, options("").into())
        .unwrap();
    loop {
        let mut moved = false;
        while let Some(transmit) = pair.client.poll_transmit() {
            moved |= feed(&mut pair.server, pair.now, accepted, transmit);
        }
        while let Some(transmit) = pair.server.poll_transmit() {
            moved |= feed(&mut pair.client, pair.now, flow, transmit);
        }
        if !moved {
            break;
        }
    }
    pair.run();
    assert_eq!(pair.requested(), Some(accepted));
}

fn feed(side: &mut Transport, now: Instant, flow: Flow, transmit: Transmit) -> bool {
    let Transmit::Stream { contents, .. } = transmit else {
        return false;
    };
    for byte in &contents {
        let contents = vec![*byte].into();
        side.handle_receive(now, Receive::Stream { flow, contents });
    }
    true
}

/// What waits for a handshake is bounded, like what waits for a connection.
#[test]
fn what_waits_for_a_handshake_is_bounded() {
    let authority = Authority::new("authority");
    let server = serving(&authority.certify(&["example.com"]));
    let config = TransportConfig::default().write_queue(10);
    let mut pair = Pair::with(config, believing(&authority), server);
    let flow = pair.client.flow_to(pair.now, &to("example.com")).unwrap();
    let _open = pair.client.poll_transmit();
    pair.client.handle_receive(
        pair.now,
        Receive::Opened {
            flow: flow.with_local(at(CLIENT, 4)),
        },
    );
    assert_eq!(
        pair.client.send(pair.now, &flow, "0123456789".into()),
        Ok(())
    );
    assert!(pair.client.send(pair.now, &flow, "x".into()).is_err());
}

#[test]
fn without_an_identity_nothing_listens_and_without_tls_nothing_leads_there() {
    let now = Instant::now();
    let mut transport = Transport::new(TransportConfig::default(), Rng::new([1; 32]), now);
    let unsupported = Err(FlowError::Unsupported(Protocol::Tls));
    assert_eq!(transport.flow_to(now, &to("example.com")), unsupported);
    let clock = WallClock {
        at: now,
        is: SystemTime::UNIX_EPOCH,
    };
    transport.set_tls(now, &Tls::new(), clock);
    assert!(transport.flow_to(now, &to("example.com")).is_ok());
    transport.listen(now, crate::Listener::tls(at(SERVER, 5061), None));
    let told = std::iter::from_fn(|| transport.poll_event()).last();
    let unsupported = std::io::ErrorKind::Unsupported;
    assert!(matches!(told, Some(Event::ListenFailed { reason, .. }) if reason == unsupported));
}
