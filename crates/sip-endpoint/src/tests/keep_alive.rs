//! Signs of life, asked for and answered; what a broken connection means; what may be set on the way.

use super::harness::*;
use crate::{Event, Failure, KeepAlive, Listener};
use sip_io::{Flow, Rng, Transmit};
use sip_message::{Message, Method, StatusCode};
use sip_nat::stun::{self, Question};
use std::time::Duration;

/// What was sent as bytes that are no SIP message, and nothing else.
#[track_caller]
fn raw(rig: &mut Rig) -> (Flow, bytes::Bytes) {
    match rig.transmits().as_slice() {
        [Transmit::Datagram { flow, contents } | Transmit::Stream { flow, contents }] => {
            (*flow, contents.clone())
        }
        other => panic!("sends one piece: {other:?}"),
    }
}

/// Waits for a sign of life to be asked for.
#[track_caller]
fn asked(rig: &mut Rig) -> (Flow, bytes::Bytes) {
    asked_within(rig, 121 * SECOND)
}

#[track_caller]
fn asked_within(rig: &mut Rig, time: Duration) -> (Flow, bytes::Bytes) {
    let limit = rig.now + time;
    while rig.now < limit {
        rig.wait(SECOND / 10);
        match rig.transmits().as_slice() {
            [] => {}
            [Transmit::Datagram { flow, contents } | Transmit::Stream { flow, contents }] => {
                return (*flow, contents.clone());
            }
            other => panic!("sends one piece: {other:?}"),
        }
    }
    panic!("nothing is asked");
}

/// A connection of ours that is open.
fn connected(rig: &mut Rig) -> Flow {
    rig.request(draft("OPTIONS", "sip:bob@192.0.2.2").to_targets([tcp(BOB)]));
    let flow = rig.open();
    rig.opened(flow);
    let (flow, request) = rig.sent_request();
    rig.answer(flow, &request, StatusCode::OK);
    rig.events();
    flow
}

fn flow_closed(rig: &mut Rig) -> Option<Flow> {
    rig.events().into_iter().find_map(|event| match event {
        Event::FlowClosed { flow } => Some(flow),
        _ => None,
    })
}

/// TRA-031: RFC 5626 §4.4.2, §8.1: STUN on the SIP port is answered, and SIP still works there.
#[test]
fn tra_031_stun_on_the_sip_port_is_answered() {
    let mut rig = Rig::new();
    let question = Question::new(&mut Rng::new([1; 32]));
    rig.datagram("198.51.100.7:40000", question.to_bytes());
    let (flow, answer) = raw(&mut rig);
    assert_eq!(
        (flow.local(), flow.remote()),
        (at(HERE), at("198.51.100.7:40000"))
    );
    assert_eq!(question.read(&answer), Some(Ok(at("198.51.100.7:40000"))));
    // What only looks like STUN is dropped.
    rig.datagram("198.51.100.7:40000", &b"\0\0\0\0 and more"[..]);
    rig.sent_nothing();
    rig.datagram(BOB, inbound("OPTIONS", "UDP 192.0.2.2", "1"));
    assert!(matches!(rig.events().as_slice(), [Event::Request { .. }]));
    let mut silent = Rig::with(|config| config.answer_stun(false));
    silent.datagram("198.51.100.7:40000", question.to_bytes());
    silent.sent_nothing();
    // RFC 6223 §4.4: nobody is told to ask who would wait for an answer in vain.
    for (mut rig, keep) in [(rig, Some("30")), (silent, None)] {
        rig.datagram(BOB, inbound("OPTIONS", "UDP 192.0.2.2;keep", "2"));
        let events = rig.events();
        let [Event::Request { request, .. }] = events.as_slice() else {
            panic!("a request came: {events:?}")
        };
        let via = request.via().unwrap();
        assert_eq!(via.param("keep").flatten().as_deref(), keep);
    }
}

/// TRA-030: RFC 5626 §3.5.1, §4.4.1: a double CRLF every 95 to 120 s, at intervals that differ.
#[test]
fn tra_030_a_connection_is_asked_for_signs_of_life() {
    let mut rig = Rig::new();
    let flow = connected(&mut rig);
    rig.command(|cx| cx.keep_alive(flow, KeepAlive::agreed()));
    let mut waits = Vec::new();
    for _ in 0..5 {
        let since = rig.now;
        assert_eq!(&asked(&mut rig).1[..], b"\r\n\r\n");
        waits.push((rig.now - since).as_millis());
        rig.bytes(flow, "\r\n");
    }
    assert!(
        waits.iter().all(|wait| (95_000..=120_100).contains(wait)),
        "{waits:?}"
    );
    waits.dedup();
    assert!(waits.len() > 1);
    rig.command(|cx| cx.stop_keep_alive(&flow));
    rig.finish();
}

/// TRA-032: RFC 5626 §4.4.1: who does not answer within 10 s is gone, and the core hears of it.
#[test]
fn tra_032_a_connection_that_does_not_answer_within_10_s_is_gone() {
    let mut rig = Rig::new();
    let flow = connected(&mut rig);
    rig.command(|cx| cx.keep_alive(flow, KeepAlive::agreed().at_most(30 * SECOND)));
    rig.wait(30 * SECOND);
    assert_eq!(&raw(&mut rig).1[..], b"\r\n\r\n");
    let asked = rig.now;
    let mut closed = None;
    while closed.is_none() {
        rig.wait(SECOND / 10);
        closed = flow_closed(&mut rig);
        assert!(rig.now <= asked + 10 * SECOND);
    }
    assert_eq!(closed, Some(flow));
    assert!(matches!(
        rig.transmits().as_slice(),
        [Transmit::Close { .. }]
    ));
    rig.finish();
}

/// RFC 5626 §4.4: whoever wants to hear from us every 15 minutes is not left after ten.
#[test]
fn a_connection_that_is_seldom_asked_is_not_idle() {
    let mut rig = Rig::new();
    let flow = connected(&mut rig);
    rig.command(|cx| cx.keep_alive(flow, KeepAlive::agreed().at_most(900 * SECOND)));
    rig.wait(719 * SECOND);
    rig.sent_nothing();
    assert_eq!(&asked_within(&mut rig, 182 * SECOND).1[..], b"\r\n\r\n");
    rig.bytes(flow, "\r\n");
    // Nobody wants it any more.
    rig.command(|cx| cx.stop_keep_alive(&flow));
    rig.wait(601 * SECOND);
    assert_eq!(flow_closed(&mut rig), Some(flow));
    rig.transmits();
    rig.finish();
}

/// Line ends harm nobody; a peer that has not agreed is held to its answers only once it has given one.
#[test]
fn a_peer_that_was_not_asked_may_stay_silent_until_it_has_answered() {
    let mut rig = Rig::new();
    let flow = connected(&mut rig);
    rig.command(|cx| cx.keep_alive(flow, KeepAlive::unasked()));
    for _ in 0..2 {
        asked(&mut rig);
        rig.wait(20 * SECOND);
        assert_eq!(flow_closed(&mut rig), None);
    }
    asked(&mut rig);
    rig.bytes(flow, "\r\n");
    rig.wait(131 * SECOND);
    assert_eq!(flow_closed(&mut rig), Some(flow));
    // Datagrams are not sent to who has not agreed to get them.
    let datagrams = Flow::udp(at(HERE), at(BOB));
    rig.command(|cx| cx.keep_alive(datagrams, KeepAlive::unasked()));
    rig.transmits();
    rig.wait(600 * SECOND);
    rig.sent_nothing();
    rig.finish();
}

/// RFC 5626 §4.4.2: a STUN request every 24 to 29 s; the answers say where we are seen.
#[test]
fn a_datagram_flow_is_asked_for_its_mapping() {
    let mut rig = Rig::new();
    let flow = Flow::udp(at(HERE), at(BOB));
    rig.command(|cx| cx.keep_alive(flow, KeepAlive::agreed()));
    rig.wait(23 * SECOND);
    rig.sent_nothing();
    for _ in 0..3 {
        let (to, question) = asked(&mut rig);
        assert_eq!(to, flow);
        rig.datagram(
            BOB,
            stun::answer(at("203.0.113.5:61000"), &question).unwrap(),
        );
        assert_eq!(
            rig.command(|cx| cx.mapped_address(&flow)),
            Some(at("203.0.113.5:61000"))
        );
        rig.wait(23 * SECOND);
        rig.sent_nothing();
    }
    // A mapping that has changed leads nobody to us who has the old one.
    let (_, question) = asked(&mut rig);
    rig.datagram(
        BOB,
        stun::answer(at("203.0.113.5:61001"), &question).unwrap(),
    );
    assert_eq!(flow_closed(&mut rig), Some(flow));
    rig.finish();
}

/// RFC 8489 §6.2.1: seven times in 39.5 s.
#[test]
fn a_datagram_flow_that_never_answers_is_dead() {
    let mut rig = Rig::new();
    let flow = Flow::udp(at(HERE), at(BOB));
    rig.command(|cx| cx.keep_alive(flow, KeepAlive::agreed()));
    asked(&mut rig);
    rig.wait(39 * SECOND);
    assert_eq!(rig.transmits().len(), 6, "seven times in all");
    rig.wait(SECOND);
    assert_eq!(flow_closed(&mut rig), Some(flow));
    rig.finish();
}

#[test]
fn a_flow_that_two_keep_is_kept_until_both_are_done() {
    let mut rig = Rig::new();
    let flow = connected(&mut rig);
    for _ in 0..2 {
        rig.command(|cx| cx.keep_alive(flow, KeepAlive::agreed()));
    }
    rig.command(|cx| cx.stop_keep_alive(&flow));
    rig.wait(120 * SECOND);
    assert_eq!(&raw(&mut rig).1[..], b"\r\n\r\n");
    rig.bytes(flow, "\r\n");
    rig.command(|cx| cx.stop_keep_alive(&flow));
    rig.wait(130 * SECOND);
    rig.sent_nothing();
    rig.finish();
}

/// RFC 5626 §4.4: who says Flow-Timer is not overruled by another user of the flow who says nothing, and is not made to
/// wait until a longer time is over.
#[test]
fn of_several_times_the_shortest_counts_at_once() {
    let mut rig = Rig::new();
    let flow = connected(&mut rig);
    rig.command(|cx| cx.keep_alive(flow, KeepAlive::agreed()));
    rig.wait(20 * SECOND);
    for keep in [
        KeepAlive::agreed().at_most(30 * SECOND),
        KeepAlive::agreed(),
    ] {
        assert!(rig.command(|cx| cx.keep_alive(flow, keep)));
    }
    for _ in 0..2 {
        rig.wait(23 * SECOND);
        rig.sent_nothing();
        rig.wait(7 * SECOND);
        assert_eq!(&raw(&mut rig).1[..], b"\r\n\r\n");
        rig.bytes(flow, "\r\n");
    }
    rig.finish();
}

/// Who was not taken for a user takes nothing from one.
#[test]
fn what_is_not_kept_is_told() {
    let mut rig = Rig::new();
    let flow = Flow::udp(at(HERE), at(BOB));
    assert!(!rig.command(|cx| cx.keep_alive(flow, KeepAlive::unasked())));
    assert!(rig.command(|cx| cx.keep_alive(flow, KeepAlive::agreed())));
    assert!(!rig.command(|cx| cx.keep_alive(flow, KeepAlive::unasked())));
    rig.finish();
}

/// RFC 6223 §4.2: the Via asks.
#[test]
fn a_request_asks_whether_its_flow_may_be_kept() {
    let mut rig = Rig::new();
    rig.request(draft("OPTIONS", "sip:bob@192.0.2.2").ask_to_keep());
    let (_, request) = rig.sent_request();
    assert_eq!(request.via().unwrap().param("keep"), Some(None));
}

/// An INVITE that was answered with 180 on a connection which then breaks.
fn ringing_on_a_broken_connection(rig: &mut Rig) {
    rig.request(draft("INVITE", "sip:bob@192.0.2.2").to_targets([tcp(BOB)]));
    let flow = rig.open();
    rig.opened(flow);
    let (flow, request) = rig.sent_request();
    rig.answer(flow, &request, StatusCode::RINGING);
    rig.events();
    rig.closed(flow);
}

/// RFC 3261 §18.2.2: the final response may come over a connection that the server opens to our sent-by.
#[test]
fn a_request_that_is_under_way_waits_for_a_new_connection_to_our_listener() {
    let mut rig = Rig::new();
    ringing_on_a_broken_connection(&mut rig);
    assert!(matches!(
        rig.events().as_slice(),
        [Event::FlowClosed { .. }]
    ));
    rig.wait(60 * SECOND);
    assert!(rig.events().is_empty());
}

#[test]
fn a_request_fails_at_once_when_no_connection_can_come_in_place_of_its_own() {
    let datagrams_only = [Listener::udp(at(HERE))];
    for mut rig in [
        Rig::listening(|config| config.zone(zone()), &datagrams_only),
        Rig::with(|config| config.await_reconnection(false)),
    ] {
        ringing_on_a_broken_connection(&mut rig);
        let events = rig.events();
        let failed = events.iter().any(|event| {
            matches!(
                event,
                Event::RequestFailed {
                    reason: Failure::Unreachable { .. },
                    ..
                }
            )
        });
        assert!(failed, "{events:?}");
        rig.finish();
    }
}

/// RFC 6026 §7.3: only a stateless proxy sees what belongs to nothing.
#[test]
fn strays_are_told_to_those_alone_who_ask_for_them() {
    let stray = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKnone\r\nFrom: <sip:a@h>;tag=1\r\n\
        To: <sip:b@h>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
    let mut rig = Rig::new();
    rig.datagram(BOB, stray);
    assert!(rig.events().is_empty());
    let mut rig = Rig::with(|config| config.strays(true));
    rig.datagram(BOB, stray);
    assert!(matches!(rig.events().as_slice(), [Event::Stray { .. }]));
}

#[test]
fn how_long_a_server_may_take_is_set_on_the_way() {
    let mut rig = Rig::new();
    let id = rig.request(draft("OPTIONS", "sip:bob@192.0.2.2"));
    let (_, request) = rig.sent_request();
    assert_eq!(*request.method(), Method::OPTIONS);
    assert!(rig.command(|cx| cx.set_timeout(id, 3 * SECOND)));
    rig.wait(3 * SECOND);
    assert!(matches!(rig.failure(), Failure::TimedOut { .. }));
    assert!(!rig.command(|cx| cx.set_timeout(id, 3 * SECOND)));
    rig.finish();
}

#[test]
fn when_a_100_goes_out_by_itself_is_a_setting() {
    let mut rig = Rig::with(|config| config.trying_after(Some(SECOND)));
    rig.datagram(BOB, inbound("INVITE", "UDP 192.0.2.2", "1"));
    rig.wait(SECOND / 2);
    rig.sent_nothing();
    rig.wait(SECOND / 2);
    let (_, message) = rig.message();
    assert!(
        matches!(message, Message::Response(response) if response.status() == StatusCode::TRYING)
    );
}
