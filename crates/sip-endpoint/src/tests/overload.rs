//! Too much at once, and what is counted.

use super::harness::*;
use crate::{Direction, Event, Redaction};
use sip_message::{Message, Request, StatusCode};

/// The requests that the core got.
fn taken(rig: &mut Rig) -> usize {
    let is_request = |event: &Event| matches!(event, Event::Request { .. });
    rig.events()
        .iter()
        .filter(|event| is_request(event))
        .count()
}

/// What belongs to something passes when what begins something new is shed: BYE and others in dialogs, CANCEL, ACK.
#[test]
fn new_requests_are_shed_first_and_at_a_bounded_rate_told_so() {
    let mut rig = Rig::with(|config| config.new_requests_per_second(Some(10)).overload_answers(5));
    for number in 0..50 {
        rig.datagram(
            BOB,
            inbound("OPTIONS", "UDP 192.0.2.2", &format!("o{number}")),
        );
    }
    assert_eq!(taken(&mut rig), 10);
    let told = rig.transmits().len();
    assert_eq!(told, 5, "503s");
    for number in 0..50 {
        let bye = inbound("BYE", "UDP 192.0.2.2", &format!("b{number}")).replace(
            "To: <sip:alice@192.0.2.1>",
            "To: <sip:alice@192.0.2.1>;tag=a",
        );
        rig.datagram(BOB, bye);
    }
    assert_eq!(taken(&mut rig), 50);
    rig.datagram(BOB, inbound("CANCEL", "UDP 192.0.2.2", "c"));
    assert_eq!(taken(&mut rig), 1);
    rig.datagram(BOB, inbound("ACK", "UDP 192.0.2.2", "a"));
    assert!(matches!(rig.events().as_slice(), [Event::Ack { .. }]));
    // A second later there is room again.
    rig.wait(SECOND);
    rig.datagram(BOB, inbound("OPTIONS", "UDP 192.0.2.2", "later"));
    assert_eq!(taken(&mut rig), 1);
    let stats = rig.stack.endpoint().stats();
    assert_eq!((stats.refused, stats.refused_answered), (40, 5));
    assert_eq!(stats.transactions.overloaded, 40);
}

#[test]
fn every_number_is_told_under_a_name_of_its_own() {
    let mut rig = Rig::new();
    rig.request(draft("OPTIONS", "sip:bob@192.0.2.2"));
    let (flow, request) = rig.sent_request();
    rig.wait(SECOND / 2);
    rig.answer(flow, &request, StatusCode::OK);
    rig.answer(flow, &request, StatusCode::OK);
    rig.datagram(BOB, "hello");
    let entries: std::collections::BTreeMap<_, _> =
        rig.stack.endpoint().stats().entries().collect();
    assert_eq!(
        entries.len(),
        rig.stack.endpoint().stats().entries().count()
    );
    for (name, number) in [
        ("transport_udp_messages_out", 2),
        ("transport_udp_messages_in", 2),
        ("transport_malformed", 1),
        ("transaction_client_transactions", 1),
        ("transaction_requests_retransmitted", 1),
        ("transaction_responses_repeated", 1),
        ("timer_e", 1),
        ("transaction_clients", 1),
        ("endpoint_requests", 1),
        ("endpoint_refused", 0),
    ] {
        assert_eq!(entries.get(name), Some(&number), "{name} in {entries:?}");
    }
}

#[test]
fn what_is_observed_hides_what_it_shall() {
    let mut rig = Rig::with(|config| {
        config
            .observe(10)
            .redact(Redaction::default().users().bodies())
    });
    let secret = inbound("MESSAGE", "UDP 192.0.2.2", "1").replace(
        "Content-Length: 0\r\n\r\n",
        "Authorization: Digest response=\"x\"\r\nContent-Length: 6\r\n\r\nsecret",
    );
    rig.datagram(BOB, secret);
    let seen = rig.stack.poll_observation().expect("is observed");
    assert_eq!(seen.direction, Direction::Received);
    let text = String::from_utf8_lossy(&seen.contents);
    for hidden in ["secret", "Digest", "alice", "bob"] {
        assert!(!text.contains(hidden), "{text}");
    }
    // What is passed on is whole.
    let [Event::Request { request, .. }] = &rig.events()[..] else {
        panic!("a request comes");
    };
    let whole = Message::Request(Request::clone(request)).to_bytes();
    assert!(String::from_utf8_lossy(&whole).contains("secret"));
}
