//! Server transactions: RFC 3261 §17.2.

use super::*;
use crate::RespondError;

/// UA-020, TXN-011: RFC 3261 §17.2.1.
#[test]
fn txn_011_an_invite_that_nobody_answers_gets_a_100_after_200_ms() {
    let mut stage = Stage::new();
    let sent = edited(
        &invite(),
        "Max-Forwards: 70\r\n",
        "Max-Forwards: 70\r\nTimestamp: 54\r\n",
    );
    stage.arrive(&sent, udp());
    stage.until(1_000);
    stage.expect(
        "0 up Request INVITE
         200 -> 100 INVITE",
    );
    let Message::Response(trying) = stage.last_sent() else {
        panic!("not a response");
    };
    assert_eq!(trying.to().unwrap().tag(), None);
    assert_eq!(trying.via().unwrap(), sent.via().unwrap());
    let timestamp = trying.headers().raw(&sip_message::HeaderName::TIMESTAMP);
    assert_eq!(timestamp.unwrap().text(), "54");
}

/// TXN-011: no 100 where the user answers sooner, or does it itself.
#[test]
fn txn_011_there_is_no_100_after_an_answer_or_if_the_user_sends_it() {
    let mut stage = Stage::new();
    stage.arrive(&invite(), udp());
    stage.until(100);
    let id = stage.served();
    stage.respond(id, &response(&invite(), 180, "bob")).unwrap();
    stage.until(5_000);
    stage.expect(
        "0 up Request INVITE
         100 -> 180 INVITE",
    );
    let mut proxy = Stage::with(TransactionConfig::default().trying_after(None));
    proxy.arrive(&invite(), udp());
    proxy.until(5_000);
    proxy.expect("0 up Request INVITE");
}

/// TXN-012: RFC 3261 §17.2.1.
#[test]
fn txn_012_a_repeated_invite_gets_the_latest_provisional_response() {
    let mut stage = Stage::new();
    stage.arrive(&invite(), udp());
    stage.until(50);
    stage.arrive(&invite(), udp());
    let id = stage.served();
    for (ms, code) in [(60, 180), (70, 183)] {
        stage.until(ms);
        stage
            .respond(id, &response(&invite(), code, "bob"))
            .unwrap();
    }
    stage.until(500);
    stage.arrive(&invite(), udp());
    stage.expect(
        "0 up Request INVITE
         60 -> 180 INVITE
         70 -> 183 INVITE
         500 -> 183 INVITE",
    );
    assert_eq!(stage.layer.stats().requests_repeated, 2);
}

/// TXN-013: RFC 3261 §17.2.1, Timers G and H.
#[test]
fn txn_013_a_refusal_is_repeated_up_to_t2_until_timer_h() {
    let mut stage = Stage::new();
    stage.arrive(&invite(), udp());
    let id = stage.served();
    stage.respond(id, &response(&invite(), 486, "bob")).unwrap();
    stage.until_idle();
    stage.expect(
        "0 up Request INVITE
         0 -> 486 INVITE
         500 -> 486 INVITE
         1500 -> 486 INVITE
         3500 -> 486 INVITE
         7500 -> 486 INVITE
         11500 -> 486 INVITE
         15500 -> 486 INVITE
         19500 -> 486 INVITE
         23500 -> 486 INVITE
         27500 -> 486 INVITE
         31500 -> 486 INVITE
         32000 up Unacknowledged
         32000 up ServerEnded",
    );
}

/// TXN-014: RFC 3261 §17.2.1, Timer I.
#[test]
fn txn_014_acks_to_a_refusal_are_absorbed_until_timer_i() {
    let mut stage = Stage::new();
    stage.arrive(&invite(), udp());
    let id = stage.served();
    stage.respond(id, &response(&invite(), 486, "bob")).unwrap();
    stage.until(100);
    stage.arrive(&ack(&invite(), "bob"), udp());
    stage.until(200);
    stage.arrive(&ack(&invite(), "bob"), udp());
    stage.arrive(&invite(), udp());
    stage.until_idle();
    stage.expect(
        "0 up Request INVITE
         0 -> 486 INVITE
         5100 up ServerEnded",
    );
    assert_eq!(stage.layer.stats().acks_absorbed, 2);
}

/// TXN-014: on a stream Timer I is zero, and Timer H is not.
#[test]
fn txn_014_on_a_stream_the_ack_ends_the_transaction() {
    let mut stage = Stage::new();
    stage.arrive(&invite(), tcp());
    let id = stage.served();
    let refusal = response(&invite(), 486, "bob");
    stage.layer.respond(stage.now, id, &refusal, tcp()).unwrap();
    stage.until(10_000);
    stage.arrive(&ack(&invite(), "bob"), tcp());
    stage.expect(
        "0 up Request INVITE
         10000 -> 486 INVITE
         10000 up ServerEnded",
    );
    assert_eq!(stage.layer.poll_timeout(), None);
}

/// TXN-015, TXN-016: RFC 6026 §7.1, Accepted and Timer L.
#[test]
fn txn_015_txn_016_after_a_2xx_invites_are_absorbed_and_only_the_user_repeats_it() {
    let mut stage = Stage::new();
    stage.arrive(&invite(), udp());
    let id = stage.served();
    stage.respond(id, &response(&invite(), 200, "bob")).unwrap();
    stage.until(500);
    stage.arrive(&invite(), udp());
    stage.respond(id, &response(&invite(), 200, "bob")).unwrap();
    stage.until(20_000);
    stage.respond(id, &response(&invite(), 200, "bob")).unwrap();
    stage.until_idle();
    stage.expect(
        "0 up Request INVITE
         0 -> 200 INVITE
         500 -> 200 INVITE
         20000 -> 200 INVITE
         32000 up ServerEnded",
    );
}

/// TXN-018: RFC 3261 §17.2.2, Timer J.
#[test]
fn txn_018_a_repeated_request_gets_the_final_response_again_until_timer_j() {
    let mut stage = Stage::new();
    stage.arrive(&options(), udp());
    stage.arrive(&options(), udp());
    stage.until(100);
    let id = stage.served();
    stage
        .respond(id, &response(&options(), 200, "bob"))
        .unwrap();
    stage.until(500);
    stage.arrive(&options(), udp());
    stage.until(32_200);
    stage.arrive(&options(), udp());
    stage.expect(
        "0 up Request OPTIONS
         100 -> 200 OPTIONS
         500 -> 200 OPTIONS
         32100 up ServerEnded
         32200 up Request OPTIONS",
    );
    assert_ne!(stage.served(), id);
}

/// TXN-018: on a stream Timer J is zero.
#[test]
fn txn_018_on_a_stream_the_final_response_ends_the_transaction() {
    let mut stage = Stage::new();
    stage.arrive(&options(), tcp());
    let id = stage.served();
    let ok = response(&options(), 200, "bob");
    stage.layer.respond(stage.now, id, &ok, tcp()).unwrap();
    stage.drain();
    stage.expect(
        "0 up Request OPTIONS
         0 -> 200 OPTIONS
         0 up ServerEnded",
    );
    assert_eq!(stage.layer.poll_timeout(), None);
}

/// TXN-019: RFC 4320 §4.1, §4.2. Trap 16.
#[test]
fn txn_019_a_slow_answer_is_announced_by_100_when_timer_e_has_reached_t2_and_is_never_408() {
    for flow in [udp(), tcp()] {
        let mut stage = Stage::new();
        stage.arrive(&options(), flow);
        stage.until(3_499);
        stage.expect("0 up Request OPTIONS");
        stage.until(7_500);
        stage.arrive(&options(), flow);
        stage.until_idle();
        stage.expect(
            "3500 -> 100 OPTIONS
             7500 -> 100 OPTIONS
             32000 up ServerEnded",
        );
    }
    let mut stage = Stage::new();
    stage.arrive(&options(), udp());
    let id = stage.served();
    let late = stage.respond(id, &response(&options(), 408, "bob"));
    assert_eq!(late, Err(RespondError::NotAllowed(status(408))));
}

/// TXN-032: RFC 3261 §8.2.6.1, RFC 4320 §4.1.
#[test]
fn txn_032_no_provisional_response_but_100_answers_what_is_no_invite() {
    let mut stage = Stage::new();
    stage.arrive(&options(), udp());
    let id = stage.served();
    for code in [100, 101, 180, 183, 199] {
        let refused = stage.respond(id, &response(&options(), code, "bob"));
        assert_eq!(refused, Err(RespondError::NotAllowed(status(code))));
    }
    stage.until(4_000);
    stage
        .respond(id, &response(&options(), 100, "bob"))
        .unwrap();
    stage.expect(
        "0 up Request OPTIONS
         3500 -> 100 OPTIONS
         4000 -> 100 OPTIONS",
    );
}

/// TXN-023: RFC 6026 §7.1. Trap 4: no transport error ends a server transaction.
#[test]
fn txn_023_a_server_transaction_survives_its_connection() {
    let mut stage = Stage::new();
    stage.arrive(&invite(), tcp());
    let id = stage.served();
    stage.layer.flow_failed(stage.now, &tcp());
    stage.arrive(&invite(), tcp());
    let another = Flow::stream(Protocol::Tcp, StreamId::opened(2), at(40_001), at(5070));
    let ok = response(&invite(), 200, "bob");
    stage.layer.respond(stage.now, id, &ok, another).unwrap();
    stage.layer.send_failed(stage.now, Owner::Server(id));
    stage.drain();
    stage.expect(
        "0 up Request INVITE
         0 -> 200 INVITE",
    );
    assert_eq!(stage.sent.last().unwrap().0, another);
    assert!(stage.layer.is_serving(id));
}

/// Trap 5: a second final response is refused, but for a 2xx after a 2xx.
#[test]
fn a_second_final_response_is_refused_but_for_a_2xx_after_a_2xx() {
    let mut stage = Stage::new();
    stage.arrive(&invite(), udp());
    let id = stage.served();
    stage.respond(id, &response(&invite(), 200, "bob")).unwrap();
    let already = Err(RespondError::AlreadyFinal(StatusCode::OK));
    assert_eq!(stage.respond(id, &response(&invite(), 486, "bob")), already);
    assert_eq!(stage.respond(id, &response(&invite(), 180, "bob")), already);
    assert_eq!(stage.respond(id, &response(&invite(), 200, "bob")), Ok(()));
    stage.until_idle();
    let gone = stage.respond(id, &response(&invite(), 200, "bob"));
    assert_eq!(gone, Err(RespondError::Gone));

    stage.arrive(&options(), udp());
    let id = stage.served();
    stage
        .respond(id, &response(&options(), 404, "bob"))
        .unwrap();
    let already = Err(RespondError::AlreadyFinal(status(404)));
    assert_eq!(
        stage.respond(id, &response(&options(), 200, "bob")),
        already
    );
}

/// Trap 12: the automatic 100 goes where the Via says, not where the request came from.
#[test]
fn the_automatic_100_goes_where_the_via_says() {
    let source = Flow::udp(at(5060), SocketAddr::from(([192, 0, 2, 2], 40_000)));
    let mut stage = Stage::new();
    stage.arrive(&invite(), source);
    stage.until(200);
    assert_eq!(stage.sent[0].0, udp());
    let symmetric = edited(
        &invite(),
        "branch=z9hG4bKone",
        "rport=40000;branch=z9hG4bKtwo",
    );
    stage.arrive(&symmetric, source);
    stage.until(400);
    assert_eq!(stage.sent[1].0, source);
}

/// RFC 3581 §4: a translator that forgets its binding between two copies of a request makes the first one's source useless.
#[test]
fn a_response_goes_where_the_newest_copy_came_from() {
    let from = |port| Flow::udp(at(5060), SocketAddr::from(([192, 0, 2, 2], port)));
    let symmetric = edited(
        &invite(),
        "branch=z9hG4bKone",
        "rport=40000;branch=z9hG4bKone",
    );
    let mut stage = Stage::new();
    stage.arrive(&symmetric, from(40_000));
    stage.until(200);
    stage.arrive(&symmetric, from(40_001));
    let ways: Vec<Flow> = stage.sent.iter().map(|(flow, _)| *flow).collect();
    assert_eq!(ways, [from(40_000), from(40_001)]);
    assert_eq!(stage.layer.server_flow(stage.served()), Some(from(40_001)));
}

/// Per-transaction state stays small.
#[test]
fn a_lingering_transaction_keeps_no_request_and_an_accepted_one_no_response() {
    let mut stage = Stage::new();
    stage.arrive(&invite(), udp());
    let id = stage.served();
    let ok = response(&invite(), 200, "bob");
    stage.respond(id, &ok).unwrap();
    assert!(stage.layer.kept(id).is_empty());
    let mut stage = Stage::new();
    stage.arrive(&options(), udp());
    let id = stage.served();
    let ok = response(&options(), 200, "bob");
    stage.respond(id, &ok).unwrap();
    assert_eq!(stage.layer.kept(id), ok.to_bytes());
    assert!(size_of::<crate::client::Client>() <= 224);
    assert!(size_of::<crate::server::Server>() <= 256);
}

/// RFC 3261 §8.2.7, §26.3.2.4: a challenge leaves nothing behind, and a copy of the request is challenged anew.
#[test]
fn a_stateless_response_ends_the_transaction_of_all_but_invite() {
    let mut stage = Stage::new();
    let options = options();
    for _ in 0..2 {
        stage.arrive(&options, udp());
        let id = stage.served();
        let challenge = response(&options, 401, "bob");
        let (now, layer) = (stage.now, &mut stage.layer);
        layer
            .respond_statelessly(now, id, &challenge, udp())
            .unwrap();
        stage.drain();
        assert_eq!(stage.layer.len_server(), 0);
    }
    let invite = invite();
    stage.arrive(&invite, udp());
    let id = stage.served();
    let challenge = response(&invite, 401, "bob");
    let (now, layer) = (stage.now, &mut stage.layer);
    layer
        .respond_statelessly(now, id, &challenge, udp())
        .unwrap();
    stage.drain();
    stage.arrive(&ack(&invite, "bob"), udp());
    stage.until_idle();
    stage.expect(
        "0 up Request OPTIONS
         0 -> 401 OPTIONS
         0 up ServerEnded
         0 up Request OPTIONS
         0 -> 401 OPTIONS
         0 up ServerEnded
         0 up Request INVITE
         0 -> 401 INVITE
         5000 up ServerEnded",
    );
}
