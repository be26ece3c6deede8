//! What is no message, or no proper one.

use super::*;

/// A request that can be answered gets 400 with a reason that says what is wrong; the rest is counted.
#[test]
fn a_malformed_request_is_answered_with_what_is_wrong() {
    let mut stage = Stage::new();
    let source = udp_from(40_000);
    let no_sequence = options("198.51.100.7:5070", ";rport").replace("1 OPTIONS", "one OPTIONS");
    stage.datagram(source, no_sequence);
    let sent = stage.sent();
    assert_eq!(sent[0].0, source, "rport was asked for");
    assert!(sent[0].1.starts_with("SIP/2.0 400 "), "{}", sent[0].1);
    assert!(sent[0].1.contains("CSeq"), "{}", sent[0].1);
    assert!(sent[0].1.contains("rport=40000"), "{}", sent[0].1);
    stage.datagram(
        source,
        options("198.51.100.7:5070", "").replace("1 OPTIONS", "1 INVITE"),
    );
    assert_eq!(stage.sent()[0].0, udp_from(5070), "to sent-by");
    stage.datagram(
        source,
        options("198.51.100.7", "").replace("SIP/2.0\r\nVia", "SIP/7.0\r\nVia"),
    );
    assert!(stage.sent()[0].1.starts_with("SIP/2.0 505 "));
    assert!(stage.events().is_empty());
    let stats = stage.transport.stats();
    assert_eq!((stats.malformed, stats.malformed_answered), (3, 3));
}

/// Trap 3: nothing answers an ACK or a response, nor what nobody can be found for.
#[test]
fn malformed_acks_responses_and_noise_are_not_answered() {
    let mut stage = Stage::new();
    let broken = options("198.51.100.7", "").replace("Call-ID: 7@example.com\r\n", "");
    for text in [
        broken.replace("OPTIONS", "ACK"),
        ok("UDP", "192.0.2.1:5060").replace("1 OPTIONS", "x"),
        "hello".to_owned(),
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        options("198.51.100.7", "").replace("Via:", "Vie:"),
    ] {
        stage.datagram(udp_from(5060), text);
    }
    assert!(stage.out.is_empty() && stage.events().is_empty());
    assert_eq!(stage.transport.stats().malformed, 5);
}

#[test]
fn answers_to_garbage_are_bounded() {
    let mut stage = Stage::with(TransportConfig::default().answers_per_second(10));
    let broken = options("198.51.100.7", "").replace("1 OPTIONS", "x");
    for _ in 0..1_000 {
        stage.datagram(udp_from(5060), broken.clone());
    }
    assert_eq!(stage.sent().len(), 10);
    assert_eq!(stage.transport.stats().malformed_unanswered, 990);
    stage.until(1);
    stage.datagram(udp_from(5060), broken);
    assert_eq!(stage.sent().len(), 1);
}

/// On a stream a message that can be framed but not read costs an answer, not the connection.
#[test]
fn a_malformed_message_on_a_stream_is_answered_and_the_next_one_is_read() {
    let mut stage = Stage::new();
    let flow = stage.accept();
    stage.events();
    let good = options("198.51.100.7", "");
    stage.bytes(flow, good.replace("1 OPTIONS", "x") + &good);
    assert!(stage.sent()[0].1.starts_with("SIP/2.0 400 "));
    assert!(stage.message().is_request());
    assert!(stage.transport.is_open(&flow));
}

/// Whatever comes: no panic, every request that goes up is complete, nothing grows beyond its limit, and a proper
/// request is still served afterwards.
#[test]
fn random_and_mutated_bytes_do_no_harm() {
    let mut rng = Rng::new([11; 32]);
    let mut stage = Stage::with(TransportConfig::default().connections(8));
    let seeds = [
        options(
            "client.example.com:5070",
            ";rport, SIP/2.0/TCP 10.0.0.1;branch=z9hG4bK0",
        ),
        ok("UDP", "192.0.2.1:5060"),
        options("[2001:db8::9]:5070", ";maddr=203.0.113.5;ttl=1")
            .replace("Length: 0\r\n\r\n", "Length: 4\r\n\r\nbody"),
    ];
    let mut flows: Vec<Flow> = (0..8).map(|_| stage.accept()).collect();
    for turn in 0..30_000_u64 {
        let mut bytes = if rng.below(8) == 0 {
            let mut noise = vec![0; rng.below(200) as usize];
            rng.fill(&mut noise);
            noise
        } else {
            seeds[rng.below(3) as usize].clone().into_bytes()
        };
        for _ in 0..rng.below(6) {
            mutate(&mut bytes, &mut rng);
        }
        if rng.below(2) == 0 {
            stage.datagram(udp_from(5060), bytes);
        } else {
            let slot = rng.below(8) as usize;
            if !stage.transport.is_open(&flows[slot]) {
                flows[slot] = stage.accept();
            }
            stage.bytes(flows[slot], bytes);
        }
        for event in stage.events() {
            match event {
                Event::Request { request, .. } => request.check().unwrap(),
                Event::Response { response, .. } => response.check().unwrap(),
                _ => {}
            }
        }
        for (_, text) in stage.sent() {
            assert!(text.starts_with("SIP/2.0 ") || text == "\r\n", "{text}");
        }
        assert!(stage.transport.stats().connections <= 8);
        stage.now += Duration::from_millis(turn % 50);
    }
    stage.datagram(udp_from(5060), options("198.51.100.7", ""));
    assert!(stage.message().is_request());
    let stats = stage.transport.stats();
    assert!(stats.malformed > 1_000 && stats.requests > 1_000 && stats.closed_unframable > 100);
}

fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let place = rng.below(bytes.len() as u64 + 1) as usize;
    match rng.below(6) {
        0 => bytes.truncate(place),
        1 if place < bytes.len() => bytes[place] = rng.next_u32() as u8,
        2 if place < bytes.len() => drop(bytes.remove(place)),
        3 => bytes.insert(place, b"\r\n:;,<>\"@ \0"[rng.below(11) as usize]),
        4 => {
            let end = (place + rng.below(40) as usize).min(bytes.len());
            let copy = bytes[place..end].to_vec();
            bytes.splice(place..place, copy);
        }
        _ if place < bytes.len() => bytes[place] ^= 1 << rng.below(8),
        _ => {}
    }
}
