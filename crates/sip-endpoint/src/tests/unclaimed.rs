//! What no core takes, CANCEL, and a table that is full.

use super::harness::*;
use crate::{Event, ServerTransactionId};
use sip_io::{Flow, Transmit};
use sip_message::{
    Message, Request, Response, StatusCode,
    headers::{Allow, RetryAfter},
};

fn in_dialog(text: &str) -> String {
    text.replace(
        "To: <sip:alice@192.0.2.1>",
        "To: <sip:alice@192.0.2.1>;tag=gone",
    )
}

/// What a stack whose core takes nothing says to a datagram.
fn answer(text: String) -> Option<Response> {
    let mut rig = Rig::new();
    rig.take_nothing();
    rig.datagram(BOB, text);
    let transmits = rig.transmits();
    let answer = match transmits.as_slice() {
        [] => None,
        [Transmit::Datagram { contents, .. }] => Some(Response::parse(contents.clone()).unwrap()),
        other => panic!("{other:?}"),
    };
    rig.finish();
    answer
}

fn status(text: String) -> u16 {
    answer(text).expect("answered").status().as_u16()
}

fn from_bob(method: &str) -> String {
    inbound(method, "UDP 192.0.2.2", "1")
}

#[test]
fn a_method_that_nobody_serves_is_405_with_allow_and_one_that_nobody_knows_501() {
    for method in ["OPTIONS", "INVITE", "MESSAGE", "REGISTER", "BYE"] {
        let answer = answer(from_bob(method)).unwrap();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert!(answer.headers().contains::<Allow>());
        assert!(answer.to().unwrap().tag().is_some());
    }
    assert_eq!(status(from_bob("FROBNICATE")), 501);
    assert_eq!(status(in_dialog(&from_bob("FROBNICATE"))), 501);
}

/// RFC 3261 §12.2.2, §9.2.
#[test]
fn a_dialog_or_an_invite_that_nobody_knows_is_481() {
    for method in ["BYE", "INVITE", "OPTIONS"] {
        assert_eq!(status(in_dialog(&from_bob(method))), 481, "{method}");
    }
    assert_eq!(status(from_bob("CANCEL")), 481);
}

/// UA-092: Trap 3.
#[test]
fn nothing_answers_an_ack_or_a_response() {
    assert!(answer(from_bob("ACK")).is_none());
    assert!(answer(in_dialog(&from_bob("ACK"))).is_none());
    let request = Request::parse(inbound("OPTIONS", "UDP 192.0.2.1:5060", "x").into()).unwrap();
    for status in [StatusCode::TRYING, StatusCode::OK, StatusCode::BUSY_HERE] {
        let response = request.response(status).build().to_string();
        assert!(answer(response).is_none());
    }
    assert!(
        answer("ACK sip:alice@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2\r\n\r\n".into())
            .is_none()
    );
}

/// RFC 3261 §9.2: the same To tag, whatever has become of the INVITE.
#[test]
fn a_cancel_gets_200_with_the_tag_of_the_invite_also_after_its_final_response() {
    for answered in [
        None,
        Some(StatusCode::RINGING),
        Some(StatusCode::BUSY_HERE),
        Some(StatusCode::OK),
    ] {
        let mut rig = Rig::new();
        rig.datagram(BOB, from_bob("INVITE"));
        let Some(Event::Request { id, request, .. }) = rig.events().pop() else {
            panic!("an INVITE came")
        };
        let tag = rig.command(|cx| cx.tag_for(id));
        if let Some(status) = answered {
            let response = request.response(status).to_tag(tag.clone()).build();
            rig.command(|cx| cx.respond(id, response)).unwrap();
            let (_, response) = rig.sent_response();
            assert_eq!(response.to().unwrap().tag(), Some(tag.clone()));
        }
        rig.datagram(BOB, from_bob("CANCEL"));
        let (_, response) = rig.sent_response();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.cseq().unwrap().method().as_str(), "CANCEL");
        assert_eq!(
            response.to().unwrap().tag(),
            Some(tag.clone()),
            "{answered:?}"
        );
        assert!(
            matches!(rig.events()[..], [Event::Cancelled { id: cancelled, .. }] if cancelled == id)
        );
        // A repeated CANCEL gets the same answer, and is not told again.
        rig.datagram(BOB, from_bob("CANCEL"));
        assert_eq!(rig.sent_response().1.to_bytes(), response.to_bytes());
        assert!(rig.events().is_empty());
        let terminated = request.response(StatusCode::REQUEST_TERMINATED).build();
        let is_late = answered.is_some_and(StatusCode::is_final);
        assert_eq!(
            rig.command(|cx| cx.respond(id, terminated)).is_err(),
            is_late
        );
        rig.finish();
    }
}

#[test]
fn an_ack_that_nobody_takes_is_counted() {
    let mut rig = Rig::new();
    rig.take_nothing();
    for _ in 0..2 {
        rig.datagram(BOB, from_bob("ACK"));
    }
    assert_eq!(rig.stack.endpoint().stats().acknowledgements_unclaimed, 2);
    rig.finish();
}

#[test]
fn a_cancel_that_matches_nothing_is_a_request_for_the_core() {
    let mut rig = Rig::new();
    rig.datagram(BOB, from_bob("CANCEL"));
    assert!(matches!(rig.events()[..], [Event::Request { .. }]));
    rig.finish();
}

/// Fills a table of 32, of which 2 are kept back.
fn full() -> (Rig, Vec<ServerTransactionId>) {
    let mut rig = Rig::with(|config| config.transactions(32).overload_answers(5));
    for number in 0..30 {
        rig.datagram(
            BOB,
            inbound("INVITE", "UDP 192.0.2.2", &format!("full{number}")),
        );
    }
    let ids: Vec<_> = rig
        .events()
        .iter()
        .map(|event| match event {
            Event::Request { id, .. } => *id,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids.len(), 30);
    rig.sent_nothing();
    (rig, ids)
}

#[test]
fn a_full_table_is_answered_with_503_at_a_bounded_rate_and_silence_above_it() {
    let (mut rig, _) = full();
    for second in 0..2 {
        for number in 0..20 {
            let branch = format!("more{second}-{number}");
            rig.datagram(BOB, inbound("OPTIONS", "UDP 192.0.2.2", &branch));
        }
        let answers: Vec<_> = rig
            .transmits()
            .into_iter()
            .filter_map(|transmit| match transmit {
                Transmit::Datagram { flow, contents } => {
                    assert_eq!(flow, Flow::udp(at(HERE), at(BOB)));
                    match Message::parse(contents).unwrap() {
                        Message::Response(response) if response.status() != StatusCode::TRYING => {
                            Some(response)
                        }
                        _ => None,
                    }
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(answers.len(), 5);
        for answer in &answers {
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            // Trap 25: it would stop everything that an upstream proxy sends.
            assert!(!answer.headers().contains::<RetryAfter>());
            assert!(answer.to().unwrap().tag().is_some());
        }
        assert!(rig.events().is_empty());
        rig.wait(SECOND);
    }
    assert_eq!(rig.stack.endpoint().stats().refused, 40);
    rig.datagram(BOB, inbound("ACK", "UDP 192.0.2.2", "ack"));
    assert!(matches!(rig.events()[..], [Event::Ack { .. }]));
    assert!(rig.transmits().iter().all(|transmit| match transmit {
        Transmit::Datagram { contents, .. } => contents.starts_with(b"SIP/2.0 100"),
        _ => false,
    }));
}

#[test]
fn cancel_and_requests_within_dialogs_are_served_when_the_table_is_full() {
    let (mut rig, ids) = full();
    rig.datagram(BOB, inbound("CANCEL", "UDP 192.0.2.2", "full3"));
    assert_eq!(rig.sent_response().1.status(), StatusCode::OK);
    assert!(matches!(rig.events()[..], [Event::Cancelled { id, .. }] if id == ids[3]));
    rig.datagram(BOB, in_dialog(&inbound("BYE", "UDP 192.0.2.2", "bye")));
    assert!(matches!(rig.events()[..], [Event::Request { .. }]));
    rig.sent_nothing();
    // The reserve has an end, too.
    rig.datagram(BOB, in_dialog(&inbound("BYE", "UDP 192.0.2.2", "another")));
    assert!(rig.events().is_empty());
    assert_eq!(
        rig.sent_response().1.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    // What exists goes on.
    let Message::Request(invite) =
        Message::parse(inbound("INVITE", "UDP 192.0.2.2", "full3").into()).unwrap()
    else {
        panic!("is a request")
    };
    let response = invite.response(StatusCode::REQUEST_TERMINATED).build();
    rig.command(|cx| cx.respond(ids[3], response)).unwrap();
    assert_eq!(
        rig.sent_response().1.status(),
        StatusCode::REQUEST_TERMINATED
    );
}
