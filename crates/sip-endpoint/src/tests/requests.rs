//! The states of a request, and what ends it in each.

use super::harness::*;
use crate::{AttemptFailure::*, Event, Failure};
use sip_message::{HeaderName, HeaderValue, Method, StatusCode, headers::CSeq};
use sip_transaction::Timers;
use std::time::Duration;

const TCP_BOB: &str = "sip:bob@192.0.2.2;transport=tcp";

#[test]
fn a_request_resolves_connects_is_sent_and_answered() {
    let mut rig = Rig::with(|config| config);
    let id = rig.request(draft("OPTIONS", "sip:bob@bob.example;transport=tcp"));
    // Resolving
    let (question, asked) = rig.questions.pop_front().unwrap();
    assert_eq!(asked.to_string(), "_sip._tcp.bob.example SRV");
    rig.sent_nothing();
    assert_eq!(rig.command(|cx| cx.request_flow(id)), None);
    let none = Err(sip_resolver::LookupError::NoSuchName { ttl: None });
    rig.stack.provide_answer(rig.now, question, none);
    rig.command(|_| ());
    let (question, asked) = rig.questions.pop_front().unwrap();
    assert_eq!(asked.to_string(), "bob.example A");
    let answer = sip_resolver::Answer::addresses([[192, 0, 2, 2].into()], SECOND);
    rig.stack.provide_answer(rig.now, question, Ok(answer));
    rig.command(|_| ());
    // Connecting
    let flow = rig.open();
    assert_eq!(flow.remote(), at(BOB));
    rig.wait(SECOND);
    rig.sent_nothing();
    rig.opened(flow);
    // Transaction
    let (sent_on, request) = rig.sent_request();
    assert_eq!(sent_on, flow);
    assert_eq!(rig.command(|cx| cx.request_flow(id)), Some(flow));
    rig.answer(flow, &request, StatusCode::OK);
    // Answered
    let events = rig.events();
    assert!(
        matches!(&events[..], [Event::Response { id: a, response, .. }, Event::RequestEnded { id: b }]
            if *a == id && *b == id && response.status() == StatusCode::OK),
        "{events:?}"
    );
    rig.finish();
}

#[test]
fn an_answered_request_ends_when_its_transaction_does() {
    let mut rig = Rig::new();
    let id = rig.request(draft("OPTIONS", "sip:bob@192.0.2.2"));
    let (flow, request) = rig.sent_request();
    rig.answer(flow, &request, StatusCode::OK);
    assert_eq!(rig.status(), StatusCode::OK);
    rig.answer(flow, &request, StatusCode::OK);
    assert!(rig.events().is_empty(), "a repeated response is absorbed");
    // Timer K.
    rig.wait(5 * SECOND);
    assert!(matches!(rig.events()[..], [Event::RequestEnded { id: ended }] if ended == id));
    rig.finish();
}

/// TRA-027 lies with the peer; here each 2xx of a forked INVITE is told (RFC 3261 §13.2.2.4, RFC 6026 §7.2).
#[test]
fn each_2xx_of_an_invite_that_forked_is_told() {
    let mut rig = Rig::new();
    let id = rig.request(draft("INVITE", "sip:bob@192.0.2.2"));
    let (flow, invite) = rig.sent_request();
    for tag in ["one", "two"] {
        let response = invite
            .response(StatusCode::OK)
            .to_tag(sip_message::Tag::new(tag).unwrap());
        rig.bytes(flow, response.build().to_bytes());
    }
    let events = rig.events();
    assert_eq!(events.len(), 2);
    assert!(
        events
            .iter()
            .all(|event| matches!(event, Event::Response { id: of, .. } if *of == id))
    );
    rig.wait(40 * SECOND);
    assert!(matches!(rig.events()[..], [Event::RequestEnded { .. }]));
    rig.finish();
}

#[test]
fn cancelled_before_anything_was_sent_a_request_sends_nothing() {
    // Resolving
    let mut rig = Rig::with(|config| config);
    let id = rig.request(draft("INVITE", "sip:bob@bob.example;transport=udp"));
    assert_eq!(rig.questions.len(), 1);
    rig.command(|cx| cx.cancel(id));
    assert_eq!(rig.failure(), Failure::Cancelled);
    rig.command(|cx| cx.cancel(id));
    rig.finish();
    // Connecting
    let mut rig = Rig::new();
    let id = rig.request(draft("INVITE", TCP_BOB));
    let flow = rig.open();
    rig.command(|cx| cx.cancel(id));
    assert_eq!(rig.failure(), Failure::Cancelled);
    rig.opened(flow);
    rig.sent_nothing();
    rig.finish();
}

/// RFC 3261 §9.1, trap 6.
#[test]
fn cancelling_an_invite_is_a_wish_until_the_first_provisional_response() {
    let mut rig = Rig::new();
    let id = rig.request(draft("INVITE", "sip:bob@192.0.2.2"));
    let (flow, invite) = rig.sent_request();
    rig.command(|cx| cx.cancel(id));
    rig.sent_nothing();
    assert!(rig.events().is_empty());
    rig.answer(flow, &invite, StatusCode::RINGING);
    let (_, cancel) = rig.sent_request();
    assert_eq!(*cancel.method(), Method::CANCEL);
    assert_eq!(branch(&cancel), branch(&invite));
    rig.answer(flow, &cancel, StatusCode::OK);
    rig.answer(flow, &invite, StatusCode::REQUEST_TERMINATED);
    let statuses: Vec<_> = rig
        .events()
        .iter()
        .map(|event| match event {
            Event::Response { response, .. } => response.status().as_u16(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(statuses, [180, 487]);
    rig.finish();
}

/// RFC 3261 §9.1: only an INVITE can be cancelled.
/// RFC 3326 §2: a CANCEL that waits for its time still says why.
#[test]
fn a_cancel_says_why_it_is_sent() {
    let mut rig = Rig::new();
    let id = rig.request(draft("INVITE", "sip:bob@192.0.2.2"));
    let (flow, invite) = rig.sent_request();
    let reason = HeaderValue::new("SIP;cause=200;text=\"Call completed elsewhere\"").unwrap();
    rig.command(|cx| cx.cancel_because(id, Some(reason.clone())));
    rig.answer(flow, &invite, StatusCode::RINGING);
    let (_, cancel) = rig.sent_request();
    assert_eq!(cancel.headers().raw(&HeaderName::REASON), Some(reason));
}

#[test]
fn cancelling_another_request_that_was_sent_only_keeps_it_from_further_attempts() {
    let mut rig = Rig::new();
    let id = rig.request(draft("OPTIONS", "sip:bob@bob.example;transport=udp"));
    let (flow, _) = rig.sent_request();
    rig.command(|cx| cx.cancel(id));
    rig.sent_nothing();
    rig.unreachable(flow);
    rig.sent_nothing();
    let failure = rig.failure();
    assert_eq!(tried(&failure), [(format!("UDP {BOB}"), Unreachable)]);
    rig.finish();
}

#[test]
fn cancelling_what_was_answered_changes_nothing() {
    let mut rig = Rig::new();
    let id = rig.request(draft("INVITE", "sip:bob@192.0.2.2"));
    let (flow, invite) = rig.sent_request();
    rig.answer(flow, &invite, StatusCode::OK);
    assert_eq!(rig.status(), StatusCode::OK);
    rig.command(|cx| cx.cancel(id));
    rig.sent_nothing();
    rig.finish();
}

#[test]
fn a_deadline_ends_a_request_that_resolves_or_connects() {
    let mut rig = Rig::with(|config| config);
    for (method, uri) in [
        ("INVITE", "sip:bob@bob.example;transport=udp"),
        ("OPTIONS", "sip:bob@bob.example;transport=udp"),
    ] {
        rig.request(draft(method, uri).deadline(2 * SECOND));
        rig.wait(2 * SECOND);
        assert_eq!(rig.failure(), Failure::TimedOut { tried: vec![] }, "{uri}");
    }
    rig.request(draft("INVITE", TCP_BOB).deadline(2 * SECOND));
    let flow = rig.open();
    rig.wait(2 * SECOND);
    let failure = rig.failure();
    assert_eq!(tried(&failure), [(format!("TCP {BOB}"), TimedOut)]);
    assert!(matches!(failure, Failure::TimedOut { .. }));
    rig.opened(flow);
    rig.sent_nothing();
    rig.finish();
}

#[test]
fn a_deadline_ends_a_request_that_was_sent_and_a_late_response_is_not_told() {
    let mut rig = Rig::new();
    rig.request(
        draft("OPTIONS", "sip:bob@bob.example;transport=udp")
            .deadline(300 * Duration::from_millis(1)),
    );
    let (flow, request) = rig.sent_request();
    rig.wait(SECOND);
    let failure = rig.failure();
    assert_eq!(tried(&failure), [(format!("UDP {BOB}"), TimedOut)]);
    rig.answer(flow, &request, StatusCode::OK);
    assert!(rig.events().is_empty());
    rig.finish();
}

#[test]
fn a_deadline_cancels_an_invite_which_ends_by_its_final_response() {
    let mut rig = Rig::new();
    rig.request(draft("INVITE", "sip:bob@192.0.2.2").deadline(10 * SECOND));
    let (flow, invite) = rig.sent_request();
    rig.answer(flow, &invite, StatusCode::RINGING);
    assert_eq!(rig.status(), StatusCode::RINGING);
    rig.wait(10 * SECOND);
    let (_, cancel) = rig.sent_request();
    assert_eq!(*cancel.method(), Method::CANCEL);
    rig.answer(flow, &cancel, StatusCode::OK);
    rig.answer(flow, &invite, StatusCode::REQUEST_TERMINATED);
    assert_eq!(rig.status(), StatusCode::REQUEST_TERMINATED);
    rig.finish();
}

#[test]
fn a_deadline_that_was_met_does_nothing() {
    let mut rig = Rig::new();
    rig.request(draft("OPTIONS", "sip:bob@192.0.2.2").deadline(2 * SECOND));
    let (flow, request) = rig.sent_request();
    rig.answer(flow, &request, StatusCode::OK);
    assert_eq!(rig.status(), StatusCode::OK);
    rig.wait(4 * SECOND);
    assert!(rig.events().is_empty());
    rig.finish();
}

#[test]
fn an_attempt_has_the_timers_of_its_draft() {
    let mut rig = Rig::new();
    let fast = Timers::default().t1(Duration::from_millis(10));
    rig.request(draft("OPTIONS", "sip:bob@192.0.2.2").timers(fast));
    rig.wait(Duration::from_millis(640));
    assert!(matches!(rig.failure(), Failure::TimedOut { .. }));
    rig.finish();
}

#[test]
fn what_cannot_be_located_has_no_target() {
    let mut rig = Rig::new();
    for uri in [
        "tel:+15551234",
        "sip:bob@host.invalid",
        "sip:bob@example.com;transport=sctp",
        "sip:bob@example.com:0",
    ] {
        rig.request(draft("OPTIONS", uri));
        assert!(matches!(rig.failure(), Failure::NoTarget { .. }), "{uri}");
    }
    // Never past a Route that cannot be read.
    let mut request = request("OPTIONS", "sip:bob@192.0.2.2");
    request
        .headers_mut()
        .push_raw(HeaderName::ROUTE, HeaderValue::from_static("<sip:[>"));
    rig.request(crate::Draft::new(request));
    assert!(matches!(rig.failure(), Failure::NoTarget { .. }));
    rig.sent_nothing();
    rig.finish();
}

#[test]
fn a_name_that_nobody_looks_up_has_no_target_in_the_end() {
    let mut rig = Rig::with(|config| config);
    rig.request(draft("OPTIONS", "sip:bob@bob.example;transport=udp"));
    assert_eq!(rig.questions.len(), 1);
    rig.wait(60 * SECOND);
    assert!(matches!(rig.failure(), Failure::NoTarget { .. }));
    rig.finish();
}

/// RFC 3261 §8.1.2, §26.2.2: nobody hears in clear text what `sips` asks to keep.
#[test]
fn a_sips_request_never_goes_in_clear_text() {
    let mut rig = Rig::new();
    let given = rig.accept(1, BOB);
    for draft in [
        draft("MESSAGE", "sips:bob@192.0.2.2"),
        draft("MESSAGE", "sips:bob@one.example:5061"),
        draft("MESSAGE", "sips:bob@192.0.2.2").to_targets([udp(BOB), tcp(BOB)]),
        draft("MESSAGE", "sips:bob@192.0.2.2").only_flow(given),
        draft("MESSAGE", "sips:bob@192.0.2.2").to_flow(given),
        draft("MESSAGE", "sips:bob@192.0.2.2").to_uri("sip:192.0.2.3".parse().unwrap()),
    ] {
        rig.events();
        rig.request(draft);
        rig.sent_nothing();
        assert!(matches!(
            rig.failure(),
            Failure::Unreachable { .. } | Failure::NoTarget { .. }
        ));
    }
    rig.request(draft("MESSAGE", "sips:bob@192.0.2.2").to_targets([udp(BOB)]));
    let failure = rig.failure();
    assert_eq!(tried(&failure), [(format!("UDP {BOB}"), Insecure)]);
    let ack = draft("ACK", "sips:bob@192.0.2.2").to_targets([udp(BOB)]);
    rig.command(|cx| cx.forward_ack(ack));
    let ack = draft("ACK", "sips:bob@192.0.2.2").only_flow(given);
    rig.command(|cx| cx.forward_ack(ack));
    rig.sent_nothing();
    rig.finish();
}

#[test]
fn a_transport_that_is_not_spoken_is_unreachable() {
    let mut rig = Rig::new();
    for transport in ["tls", "wss"] {
        rig.request(draft(
            "OPTIONS",
            &format!("sip:bob@192.0.2.2:5061;transport={transport}"),
        ));
        let failure = rig.failure();
        let place = format!("{} 192.0.2.2:5061", transport.to_uppercase());
        assert_eq!(tried(&failure), [(place, NoListener)]);
    }
    rig.finish();
}

#[test]
fn above_the_limit_requests_fail_at_once() {
    let mut rig = Rig::with(|config| config.requests(2));
    for _ in 0..2 {
        rig.request(draft("OPTIONS", "sip:bob@192.0.2.2"));
        rig.sent_request();
    }
    let id = rig.request(draft("OPTIONS", "sip:bob@192.0.2.2"));
    rig.sent_nothing();
    assert!(
        matches!(rig.events()[..], [Event::RequestFailed { id: of, reason: Failure::Full }] if of == id)
    );
    rig.finish();
}

#[test]
fn above_the_limit_of_transactions_requests_fail_but_those_within_dialogs_go_on() {
    let mut rig = Rig::with(|config| config.transactions(32));
    for _ in 0..30 {
        rig.request(draft("OPTIONS", "sip:bob@192.0.2.2"));
        rig.sent_request();
    }
    rig.request(draft("OPTIONS", "sip:bob@192.0.2.2"));
    assert_eq!(rig.failure(), Failure::Full);
    let text = request("BYE", "sip:bob@192.0.2.2")
        .to_string()
        .replace("To: <sip:bob@192.0.2.2>", "To: <sip:bob@192.0.2.2>;tag=b");
    rig.request(crate::Draft::new(
        sip_message::Request::parse(text.into()).unwrap(),
    ));
    let (_, bye) = rig.sent_request();
    assert_eq!(
        bye.headers().require::<CSeq>().unwrap().method(),
        &Method::BYE
    );
    rig.finish();
}

/// Trap 2: an ACK has no transaction.
#[test]
fn an_ack_is_no_request_that_anything_answers() {
    let mut rig = Rig::new();
    rig.request(draft("ACK", "sip:bob@192.0.2.2"));
    rig.sent_nothing();
    assert!(matches!(rig.events()[..], [Event::RequestFailed { .. }]));
    rig.finish();
}
