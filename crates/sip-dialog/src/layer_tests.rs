#![allow(clippy::disallowed_methods)] // a test needs an instant to start from

use super::*;
use sip_message::{StatusCode, Tag};

const T1: Duration = Duration::from_millis(500);

fn invite(call_id: u32) -> Request {
    let wire = format!(
        "INVITE sip:bob@192.0.2.2 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:alice@example.com>;tag=a\r\n\
         To: <sip:bob@example.com>\r\n\
         Call-ID: {call_id}@192.0.2.1\r\n\
         CSeq: 1 INVITE\r\n\
         Contact: <sip:alice@192.0.2.1>\r\n\
         Content-Length: 0\r\n\r\n"
    );
    Request::parse(wire.into()).unwrap()
}

fn tag(text: &str) -> Tag {
    Tag::new(text).unwrap()
}

fn layer(config: DialogConfig) -> (DialogLayer<u32>, Instant) {
    let now = Instant::now();
    (DialogLayer::new(config, &mut Rng::new([7; 32]), now), now)
}

fn accepted(layer: &mut DialogLayer<u32>, now: Instant) -> DialogKey {
    let invite = invite(1);
    let key = layer
        .insert(Dialog::uas(&invite, tag("b")).unwrap())
        .unwrap();
    let ok = invite.response(StatusCode::OK).to_tag(tag("b")).build();
    layer.accept(now, key, 1, 77, ok).unwrap();
    key
}

/// Runs the layer's own timers and says after how many milliseconds what happened.
fn run(layer: &mut DialogLayer<u32>, start: Instant) -> Vec<(u128, &'static str)> {
    let mut story = Vec::new();
    while let Some(at) = layer.poll_timeout() {
        layer.handle_timeout(at);
        while let Some(event) = layer.poll_event() {
            let what = match event {
                Event::Repeat {
                    transaction: 77, ..
                } => "repeat",
                Event::Repeat { .. } => "repeat of something else",
                Event::NoAck { cseq: 1, .. } => "no ack",
                Event::NoAck { .. } => "no ack of something else",
            };
            story.push(((at - start).as_millis(), what));
        }
    }
    story
}

/// UA-034: RFC 3261 §13.3.1.4; TRAPS 5: repeated from T1 to T2, given up after 64*T1.
#[test]
fn a_2xx_is_repeated_until_64_t1_and_then_given_up() {
    let (mut layer, now) = layer(DialogConfig::new());
    accepted(&mut layer, now);
    let story = run(&mut layer, now);
    let repeats: Vec<_> = story
        .iter()
        .filter(|(_, what)| *what == "repeat")
        .map(|(at, _)| *at)
        .collect();
    assert_eq!(repeats[..5], [500, 1_500, 3_500, 7_500, 11_500]);
    assert_eq!(repeats.len(), 10);
    assert_eq!(story.last(), Some(&(32_000, "no ack")));
    assert_eq!(layer.poll_timeout(), None);
}

/// TRAPS 5: stop at the ACK.
#[test]
fn the_ack_stops_the_repetition_and_leaves_no_timer() {
    let (mut layer, now) = layer(DialogConfig::new());
    let key = accepted(&mut layer, now);
    layer.handle_timeout(now + T1);
    assert!(layer.is_waiting_for_ack(key));
    // The repetition was noted but not fetched: it is not sent any more.
    assert!(layer.acknowledge(key, 1));
    assert!(layer.poll_event().is_none());
    assert!(
        !layer.acknowledge(key, 1),
        "the second ACK acknowledges nothing"
    );
    assert_eq!(layer.poll_timeout(), None);
    assert!(layer.get(key).is_some(), "the dialog stays");
}

/// TRAPS 5: or at the BYE.
#[test]
fn a_bye_makes_the_ack_needless() {
    let (mut layer, now) = layer(DialogConfig::new());
    let key = accepted(&mut layer, now);
    layer.stop_repeating(key);
    assert_eq!(layer.poll_timeout(), None);
    assert!(!layer.is_waiting_for_ack(key));
}

/// RFC 5407 §3.1.4: a re-INVITE may overtake a lost ACK, and its own ACK stands for both.
#[test]
fn a_later_ack_stands_for_earlier_ones() {
    let (mut layer, now) = layer(DialogConfig::new());
    let key = accepted(&mut layer, now);
    let ok = invite(1).response(StatusCode::OK).build();
    layer.accept(now, key, 2, 78, ok).unwrap();
    assert!(layer.acknowledge(key, 2));
    assert_eq!(layer.poll_timeout(), None);
}

#[test]
fn removing_a_dialog_removes_its_timers_and_makes_its_key_stale() {
    let (mut layer, now) = layer(DialogConfig::new());
    let key = accepted(&mut layer, now);
    layer.handle_timeout(now + T1);
    assert!(layer.remove(key).is_some());
    assert_eq!((layer.poll_timeout(), layer.len()), (None, 0));
    assert!(layer.poll_event().is_none());
    let next = layer
        .insert(Dialog::uas(&invite(2), tag("b")).unwrap())
        .unwrap();
    assert!(layer.get(key).is_none() && layer.get(next).is_some());
    assert!(layer.remove(key).is_none());
}

/// DLG-004: TRAPS 7: one INVITE, several dialogs, told apart by the To tag.
#[test]
fn dialogs_are_found_by_call_id_and_both_tags() {
    let (mut layer, _) = layer(DialogConfig::new());
    let invite = invite(1);
    let one = layer
        .insert(Dialog::uas(&invite, tag("b")).unwrap())
        .unwrap();
    let two = layer
        .insert(Dialog::uas(&invite, tag("c")).unwrap())
        .unwrap();
    assert_eq!(
        layer.insert(Dialog::uas(&invite, tag("c")).unwrap()),
        Err(InsertError::Exists)
    );
    let mut bye = invite;
    assert_eq!(layer.find(&bye), None, "no To tag, no dialog");
    let to = bye.to().unwrap();
    bye.headers_mut().set(to.clone().with_tag(&tag("C")));
    assert_eq!(layer.find(&bye), Some(two), "tags are tokens");
    bye.headers_mut().set(to.with_tag(&tag("b")));
    assert_eq!(layer.find(&bye), Some(one));
    let from = bye.from().unwrap();
    bye.headers_mut().set(from.with_tag(&tag("x")));
    assert_eq!(layer.find(&bye), None);
}

#[test]
fn the_table_has_a_limit_and_so_have_unacknowledged_2xx() {
    let (mut layer, now) = layer(DialogConfig::new().limit(1));
    let key = accepted(&mut layer, now);
    assert_eq!(
        layer.insert(Dialog::uas(&invite(2), tag("b")).unwrap()),
        Err(InsertError::Full(1))
    );
    let ok = invite(1).response(StatusCode::OK).build();
    for cseq in 2..=4 {
        layer.accept(now, key, cseq, 77, ok.clone()).unwrap();
    }
    assert_eq!(
        layer.accept(now, key, 5, 77, ok),
        Err(AcceptError::Full(ACCEPTED_LIMIT))
    );
}
