//! Servers that are silent, slow, down or known from before.

use super::harness::*;
use crate::{AttemptFailure, Draft, Event, Failure};
use sip_message::{Message, Method, Response, StatusCode, headers::RetryAfter};
use std::time::Duration;

fn to_both(method: &str) -> Draft {
    draft(method, "sip:bob@bob.example;transport=udp")
}

fn impatient() -> Rig {
    Rig::with(|config| {
        config
            .zone(zone())
            .attempt_limit(5 * SECOND)
            .non_invite_limit(20 * SECOND)
    })
}

/// Every datagram that is a new request: retransmissions have the branch of the one before.
fn asked(rig: &mut Rig) -> Vec<(sip_io::Flow, sip_message::Request)> {
    let mut seen: Vec<(sip_io::Flow, sip_message::Request)> = Vec::new();
    for transmit in rig.transmits() {
        let sip_io::Transmit::Datagram { flow, contents } = transmit else {
            continue;
        };
        if let Ok(Message::Request(request)) = Message::parse(contents)
            && !seen.iter().any(|(_, other)| {
                branch(other) == branch(&request) && other.method() == request.method()
            })
        {
            seen.push((flow, request));
        }
    }
    seen
}

/// RFC 3263 §4.3.
#[test]
fn a_silent_server_has_its_time_and_then_the_next_has_its_own() {
    let mut rig = impatient();
    rig.request(to_both("INVITE"));
    let (flow, _) = rig.sent_request();
    assert_eq!(flow.remote(), at(BOB));
    rig.wait(5 * SECOND - SECOND / 10);
    assert!(
        asked(&mut rig)
            .iter()
            .all(|(flow, _)| flow.remote() == at(BOB))
    );
    rig.wait(SECOND / 5);
    let second = asked(&mut rig);
    assert!(second.iter().any(|(flow, _)| flow.remote() == at(CAROL)));
    rig.wait(5 * SECOND);
    let failure = rig.failure();
    assert!(matches!(&failure, Failure::TimedOut { tried } if tried.len() == 2));
}

/// RFC 3261 §17.1.1.2: a 100 says that somebody is there.
#[test]
fn a_server_that_said_anything_is_not_given_up() {
    let mut rig = impatient();
    rig.request(to_both("INVITE"));
    let (flow, request) = rig.sent_request();
    rig.answer(flow, &request, StatusCode::TRYING);
    rig.wait(20 * SECOND);
    assert!(asked(&mut rig).is_empty());
    rig.answer(flow, &request, StatusCode::OK);
    let statuses: Vec<_> = rig
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Response { response, .. } => Some(response.status()),
            _ => None,
        })
        .collect();
    assert_eq!(statuses, [StatusCode::TRYING, StatusCode::OK]);
}

fn ok_with_contact(request: &sip_message::Request) -> Response {
    let text = format!(
        "SIP/2.0 200 OK\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=late\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Record-Route: <sip:192.0.2.8;lr>, <sip:192.0.2.9;lr>\r\nContact: <sip:bob@192.0.2.7>\r\nContent-Length: 0\r\n\r\n",
        raw(request, "Via"),
        raw(request, "From"),
        raw(request, "To"),
        raw(request, "Call-ID"),
        raw(request, "CSeq"),
    );
    Response::parse(text.into()).unwrap()
}

fn raw(request: &sip_message::Request, name: &str) -> String {
    let text = String::from_utf8(request.to_bytes().to_vec()).unwrap();
    let start = format!("{name}: ");
    text.lines()
        .find_map(|line| line.strip_prefix(&start))
        .unwrap()
        .to_owned()
}

/// RFC 3261 §13.2.2.4.
#[test]
fn a_late_2xx_of_a_server_that_was_given_up_is_acknowledged_and_the_call_ended() {
    let mut rig = impatient();
    rig.request(to_both("INVITE").contact(crate::ContactTemplate::default()));
    let (flow, request) = rig.sent_request();
    rig.wait(5 * SECOND);
    asked(&mut rig);
    let late = ok_with_contact(&request).to_bytes();
    rig.bytes(flow, late.clone());
    assert!(rig.events().is_empty(), "the core is not told of two calls");
    let sent = asked(&mut rig);
    let methods: Vec<&Method> = sent.iter().map(|(_, request)| request.method()).collect();
    assert_eq!(methods, [&Method::ACK, &Method::BYE]);
    for (flow, request) in &sent {
        assert_eq!(
            flow.remote(),
            at("192.0.2.9:5060"),
            "the route set is followed"
        );
        assert_eq!(request.uri().to_string(), "sip:bob@192.0.2.7");
        assert_eq!(request.to().unwrap().tag().unwrap().as_str(), "late");
    }
    assert_eq!(raw(&sent[0].1, "CSeq"), "1 ACK");
    assert_eq!(raw(&sent[1].1, "CSeq"), "2 BYE");
    rig.bytes(flow, late);
    let again = asked(&mut rig);
    assert_eq!(
        again.len(),
        1,
        "a repeated 2xx is acknowledged again, and there is one BYE"
    );
    assert_eq!(again[0].1.to_bytes(), sent[0].1.to_bytes());
}

/// An INVITE that was given up is not sent again for the rest of 64×T1: the server that wakes up would ring for nobody.
#[test]
fn a_server_that_was_given_up_gets_no_more_copies() {
    let mut rig = impatient();
    rig.request(to_both("INVITE"));
    rig.sent_request();
    rig.wait(5 * SECOND);
    let sent = asked(&mut rig);
    let (flow, second) = sent.last().expect("the next server is asked").clone();
    assert_eq!(flow.remote(), at(CAROL));
    rig.answer(flow, &second, StatusCode::RINGING);
    rig.wait(40 * SECOND);
    rig.sent_nothing();
    // Timer B of what was given up is nobody's failure.
    assert_eq!(rig.events().len(), 1, "ringing");
    rig.answer(flow, &second, StatusCode::OK);
    assert_eq!(rig.status(), StatusCode::OK);
    rig.finish();
}

/// RFC 3261 §22.1: an ACK carries the credentials of its INVITE.
#[test]
fn the_ack_to_a_late_2xx_has_the_credentials_of_the_invite() {
    let mut rig = impatient();
    let mut invite = request("INVITE", "sip:bob@bob.example;transport=udp");
    let credentials = "Digest username=\"alice\", realm=\"a\", nonce=\"1\", uri=\"sip:bob@bob.example\", response=\"2\"";
    for name in [
        sip_message::HeaderName::AUTHORIZATION,
        sip_message::HeaderName::PROXY_AUTHORIZATION,
    ] {
        let value = sip_message::HeaderValue::new(credentials).unwrap();
        invite.headers_mut().push_raw(name, value);
    }
    rig.request(Draft::new(invite).contact(crate::ContactTemplate::default()));
    let (flow, request) = rig.sent_request();
    rig.wait(5 * SECOND);
    asked(&mut rig);
    rig.bytes(flow, ok_with_contact(&request).to_bytes());
    let sent = asked(&mut rig);
    assert_eq!(raw(&sent[0].1, "Authorization"), credentials);
    assert_eq!(raw(&sent[0].1, "Proxy-Authorization"), credentials);
}

/// RFC 3261 §16.7 step 5: a proxy forwards every 2xx.
#[test]
fn a_late_2xx_is_handed_to_a_core_that_is_no_user_agent() {
    let mut rig = impatient();
    rig.request(to_both("INVITE"));
    let (flow, request) = rig.sent_request();
    rig.wait(5 * SECOND);
    asked(&mut rig);
    rig.bytes(flow, ok_with_contact(&request).to_bytes());
    assert!(asked(&mut rig).is_empty());
    assert!(
        matches!(&rig.events()[..], [Event::Response { response, .. }] if response.status() == StatusCode::OK)
    );
}

/// RFC 3261 §9.1: a call that begins to ring at a server that was given up is cancelled.
#[test]
fn a_server_that_wakes_up_too_late_is_told_to_stop() {
    let mut rig = impatient();
    rig.request(to_both("INVITE"));
    let (flow, request) = rig.sent_request();
    rig.wait(5 * SECOND);
    asked(&mut rig);
    rig.answer(flow, &request, StatusCode::RINGING);
    let sent = asked(&mut rig);
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (sent[0].1.method(), branch(&sent[0].1)),
        (&Method::CANCEL, branch(&request))
    );
    assert!(rig.events().is_empty());
}

/// RFC 4321 §1.2.
#[test]
fn a_request_other_than_invite_ends_within_twenty_seconds_over_all_servers() {
    let mut rig = impatient();
    rig.request(draft("OPTIONS", "sip:bob@bob.example;transport=udp"));
    rig.wait(10 * SECOND);
    assert!(matches!(rig.failure(), Failure::TimedOut { .. }));
    let mut rig = Rig::with(|config| config.zone(zone()).non_invite_limit(20 * SECOND));
    rig.request(to_both("OPTIONS"));
    rig.wait(20 * SECOND - SECOND / 10);
    assert!(rig.events().is_empty());
    rig.wait(SECOND / 5);
    assert!(matches!(rig.failure(), Failure::TimedOut { .. }));
}

/// UA-044: RFC 3261 §21.5.4.
#[test]
fn a_server_that_failed_is_tried_last_until_its_time_is_over() {
    let mut rig = Rig::new();
    rig.request(to_both("OPTIONS"));
    let (flow, request) = rig.sent_request();
    let mut busy = request.response(StatusCode::SERVICE_UNAVAILABLE);
    busy = busy.header(RetryAfter::new(Duration::from_secs(90)));
    rig.bytes(flow, busy.build().to_bytes());
    let (flow, request) = rig.sent_request();
    rig.answer(flow, &request, StatusCode::OK);
    rig.events();
    for (wait, first) in [(1, CAROL), (80, CAROL), (10, BOB)] {
        rig.wait(wait * SECOND);
        rig.request(to_both("OPTIONS"));
        let (flow, request) = rig.sent_request();
        assert_eq!(flow.remote(), at(first), "after {wait} s");
        rig.answer(flow, &request, StatusCode::OK);
    }
}

#[test]
fn all_servers_are_tried_even_when_all_are_down() {
    let mut rig = Rig::new();
    for _ in 0..2 {
        rig.request(to_both("OPTIONS"));
        for _ in 0..2 {
            let (flow, _) = rig.sent_request();
            rig.unreachable(flow);
        }
        let failure = rig.failure();
        let told: Vec<_> = tried(&failure).into_iter().map(|(_, why)| why).collect();
        assert_eq!(told, [AttemptFailure::Unreachable; 2]);
    }
}

#[test]
fn requests_with_one_call_id_stay_with_the_server_that_answered() {
    let mut rig = Rig::with(|config| {
        config
            .zone(zone())
            .affinity(3_600 * SECOND)
            .health(crate::HealthConfig::new().servers(0))
    });
    rig.request(to_both("INVITE"));
    let (flow, _) = rig.sent_request();
    rig.unreachable(flow);
    let (flow, request) = rig.sent_request();
    assert_eq!(flow.remote(), at(CAROL));
    rig.answer(flow, &request, StatusCode::OK);
    for _ in 0..10 {
        rig.request(to_both("INVITE"));
        let (flow, request) = rig.sent_request();
        assert_eq!(flow.remote(), at(CAROL));
        rig.answer(flow, &request, StatusCode::OK);
    }
    rig.request(to_both("OPTIONS"));
    assert_eq!(
        rig.sent_request().0.remote(),
        at(BOB),
        "another Call-ID chooses anew"
    );
}
