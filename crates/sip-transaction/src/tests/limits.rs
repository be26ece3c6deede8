//! What happens when there is too much.

use super::*;
use crate::Limits;
use sip_message::headers::Via;

fn small() -> Stage {
    let limits = Limits::default().transactions(3).reserve(1);
    Stage::with(TransactionConfig::default().limits(limits))
}

/// The reserve is for what ends something.
#[test]
fn a_full_table_is_told_and_keeps_a_reserve_for_cancel_and_dialogs() {
    let mut stage = small();
    stage.arrive(&invite(), udp());
    stage.arrive(&request(Method::OPTIONS, "z9hG4bKtwo"), udp());
    stage.arrive(&request(Method::OPTIONS, "z9hG4bKthree"), udp());
    stage.arrive(&request(Method::CANCEL, "z9hG4bKone"), udp());
    let bye = edited(
        &request(Method::BYE, "z9hG4bKfour"),
        "To: <sip:bob@192.0.2.1>",
        "To: <sip:bob@192.0.2.1>;tag=bob",
    );
    stage.arrive(&bye, udp());
    // A repetition and an ACK need no place.
    stage.arrive(&invite(), udp());
    stage.arrive(&request(Method::ACK, "z9hG4bKfive"), udp());
    stage.expect(
        "0 up Request INVITE
         0 up Request OPTIONS
         0 up Overloaded OPTIONS
         0 up Cancel matched
         0 up Overloaded BYE
         0 up Ack unmatched",
    );
    assert_eq!(stage.layer.stats().overloaded, 2);
    assert_eq!(stage.layer.stats().servers, 3);
}

/// TXN-035: nothing is left of 100,000 INVITEs whose callers vanished, and of as many that nobody answered.
#[test]
fn txn_035_every_transaction_is_freed_after_its_timers() {
    let Stage {
        mut layer,
        now: start,
        ..
    } = Stage::new();
    let mut invite = invite();
    let answers = [486, 200].map(|code| response(&invite, code, "bob"));
    for number in 0..100_000 {
        let via = Via::new("UDP", at(5060).ip(), None).with_branch(&format!("z9hG4bK{number}"));
        invite.headers_mut().set(via);
        layer.receive_request(start, udp(), invite.clone());
        let Some(Event::Request { id, .. }) = layer.poll_event() else {
            panic!("no new transaction");
        };
        layer
            .respond(start, id, &answers[number % 2], udp())
            .unwrap();
        layer.request(start, &invite, tcp(), None).unwrap();
        while layer.poll_transmit().is_some() {}
    }
    assert_eq!(layer.len_server(), 100_000);
    assert_eq!(layer.len_client(), 100_000);
    while let Some(due) = layer.poll_timeout() {
        layer.handle_timeout(due);
        while layer.poll_transmit().is_some() || layer.poll_event().is_some() {}
    }
    assert_eq!(layer.stats().timed_out, 100_000);
    assert_eq!(layer.stats().unacknowledged, 50_000);
    assert!(layer.is_empty_inside());
}

/// A late, early or repeated call is harmless.
#[test]
fn handling_a_timeout_early_late_or_twice_is_harmless() {
    let mut stage = Stage::new();
    assert_eq!(stage.layer.poll_timeout(), None);
    stage.layer.handle_timeout(stage.now);
    stage.request(&options(), udp());
    stage.layer.handle_timeout(stage.now);
    stage.now += Duration::from_secs(60);
    stage.layer.handle_timeout(stage.now);
    stage.layer.handle_timeout(stage.now);
    stage.drain();
    assert!(stage.ladder.last().unwrap().ends_with("Ended"));
    assert_eq!(stage.layer.poll_timeout(), None);
}
