//! Where responses go (RFC 3261 §18.2.2, RFC 3263 §5; traps 4 and 12).

use super::harness::*;
use crate::{Event, RespondError, ServerTransactionId};
use sip_io::{Flow, Transmit};
use sip_message::{Request, StatusCode};
use std::time::Duration;

/// The request that came, and nothing else.
#[track_caller]
fn arrived(rig: &mut Rig) -> (ServerTransactionId, Request) {
    let events = rig.events();
    match events.as_slice() {
        [Event::Request { id, request, .. }] => (*id, Request::clone(request)),
        other => panic!("one request comes: {other:?}"),
    }
}

fn respond(
    rig: &mut Rig,
    id: ServerTransactionId,
    request: &Request,
    status: StatusCode,
) -> Result<(), RespondError> {
    rig.command(|cx| {
        let tag = cx.tag_for(id);
        cx.respond(id, request.response(status).to_tag(tag).build())
    })
}

/// A request over TCP whose connection is gone before it is answered.
fn abandoned(rig: &mut Rig, method: &str, via: &str) -> (ServerTransactionId, Request) {
    let flow = rig.accept(1, "192.0.2.2:40000");
    rig.bytes(flow, inbound(method, via, "1"));
    let arrived = arrived(rig);
    rig.closed(flow);
    rig.events();
    arrived
}

fn undelivered(events: &[Event]) -> usize {
    events
        .iter()
        .filter(|event| matches!(event, Event::ResponseUndelivered { .. }))
        .count()
}

#[test]
fn a_datagram_is_answered_from_the_socket_that_got_it() {
    for (via, to) in [
        ("UDP 192.0.2.2", "192.0.2.2:5060"),
        ("UDP 192.0.2.2:5070", "192.0.2.2:5070"),
        ("UDP 10.0.0.1:5070", "192.0.2.2:5070"),
        ("UDP 10.0.0.1:5070;rport", "192.0.2.2:40000"),
        ("UDP phone.invalid;rport", "192.0.2.2:40000"),
        ("UDP 192.0.2.2;maddr=192.0.2.9", "192.0.2.9:5060"),
    ] {
        let mut rig = Rig::new();
        rig.datagram("192.0.2.2:40000", inbound("OPTIONS", via, "1"));
        let (id, request) = arrived(&mut rig);
        respond(&mut rig, id, &request, StatusCode::OK).unwrap();
        let (flow, _) = rig.sent_response();
        assert_eq!(flow, Flow::udp(at(HERE), at(to)), "{via}");
        rig.finish();
    }
}

#[test]
fn a_stream_is_answered_on_itself_while_it_lives() {
    let mut rig = Rig::new();
    let flow = rig.accept(1, "192.0.2.2:40000");
    rig.bytes(flow, inbound("OPTIONS", "TCP 192.0.2.2:5060", "1"));
    let (id, request) = arrived(&mut rig);
    respond(&mut rig, id, &request, StatusCode::OK).unwrap();
    let (used, response) = rig.sent_response();
    assert_eq!(used, flow);
    assert_eq!(response.via().unwrap().branch(), Some("z9hG4bK1"));
    rig.finish();
}

/// Trap 29: what has no Content-Length in a datagram gets one on a stream.
#[test]
fn on_a_stream_every_message_says_how_long_it_is() {
    let mut rig = Rig::new();
    let flow = rig.accept(1, "192.0.2.2:40000");
    rig.bytes(flow, inbound("OPTIONS", "TCP 192.0.2.2:5060", "1"));
    let (id, request) = arrived(&mut rig);
    let mut response = request.response(StatusCode::OK).build();
    response
        .headers_mut()
        .remove::<sip_message::headers::ContentLength>();
    rig.command(|cx| cx.respond(id, response)).unwrap();
    let (_, response) = rig.sent_response();
    assert!(
        response
            .headers()
            .contains::<sip_message::headers::ContentLength>()
    );
    rig.events();
    let text = request.to_string().replace("Content-Length: 0\r\n", "");
    let forwarded = Request::parse(text.into()).unwrap();
    rig.request(crate::Draft::new(forwarded).to_flow(flow));
    let (_, forwarded) = rig.sent_request();
    assert!(
        forwarded
            .headers()
            .contains::<sip_message::headers::ContentLength>()
    );
    rig.finish();
}

#[test]
fn when_the_connection_is_gone_a_new_one_goes_to_the_source_and_the_port_of_sent_by() {
    let mut rig = Rig::new();
    let (id, request) = abandoned(&mut rig, "INVITE", "TCP 10.0.0.1:5070");
    respond(&mut rig, id, &request, StatusCode::RINGING).unwrap();
    let flow = rig.open();
    assert_eq!(flow.remote(), at("192.0.2.2:5070"));
    assert!(!rig.stack.is_idle());
    // The newest response takes the place of an older one.
    respond(&mut rig, id, &request, StatusCode::BUSY_HERE).unwrap();
    rig.sent_nothing();
    rig.opened(flow);
    let (used, response) = rig.sent_response();
    assert_eq!((used, response.status()), (flow, StatusCode::BUSY_HERE));
    assert_eq!(undelivered(&rig.events()), 0);
    rig.finish();
}

#[test]
fn further_responses_follow_over_the_new_connection() {
    let mut rig = Rig::new();
    let (id, request) = abandoned(&mut rig, "INVITE", "TCP 192.0.2.2:5070");
    respond(&mut rig, id, &request, StatusCode::RINGING).unwrap();
    let flow = rig.open();
    rig.opened(flow);
    rig.sent_response();
    respond(&mut rig, id, &request, StatusCode::OK).unwrap();
    let (used, _) = rig.sent_response();
    assert_eq!(used, flow);
    // RFC 6026 §7.1: the user agent's core repeats a 2xx.
    respond(&mut rig, id, &request, StatusCode::OK).unwrap();
    assert_eq!(rig.sent_response().0, flow);
    rig.finish();
}

/// TRA-027: after the address of the Via, its name (RFC 3263 §5).
#[test]
fn tra_027_when_that_cannot_be_opened_the_name_of_sent_by_is_looked_up() {
    let mut rig = Rig::new();
    let (id, request) = abandoned(&mut rig, "INVITE", "TCP two.example:5070");
    respond(&mut rig, id, &request, StatusCode::BUSY_HERE).unwrap();
    let flow = rig.open();
    assert_eq!(flow.remote(), at("192.0.2.2:5070"), "the source first");
    rig.refused(flow);
    let flow = rig.open();
    assert_eq!(flow.remote(), at("192.0.2.3:5070"));
    rig.opened(flow);
    assert_eq!(rig.sent_response().0, flow);
    rig.finish();
}

#[test]
fn a_response_that_nobody_takes_is_told_and_the_transaction_stays() {
    let mut rig = Rig::new();
    let (id, request) = abandoned(&mut rig, "INVITE", "TCP two.example:5070");
    respond(&mut rig, id, &request, StatusCode::BUSY_HERE).unwrap();
    for _ in 0..2 {
        let flow = rig.open();
        rig.refused(flow);
    }
    rig.sent_nothing();
    assert_eq!(undelivered(&rig.events()), 1);
    // RFC 6026 §7.1.
    assert_eq!(
        respond(&mut rig, id, &request, StatusCode::OK),
        Err(RespondError::AlreadyFinal(StatusCode::BUSY_HERE))
    );
    rig.finish();
}

#[test]
fn an_address_in_sent_by_is_not_asked_for_twice() {
    let mut rig = Rig::new();
    let (id, request) = abandoned(&mut rig, "OPTIONS", "TCP 192.0.2.2:5070");
    respond(&mut rig, id, &request, StatusCode::OK).unwrap();
    let flow = rig.open();
    rig.refused(flow);
    rig.sent_nothing();
    assert_eq!(undelivered(&rig.events()), 1);
    assert_eq!(rig.stack.endpoint().stats().responses_lost, 1);
    rig.finish();
}

/// Trap 12.
#[test]
fn a_name_that_stands_for_nothing_is_never_resolved() {
    let mut rig = Rig::with(|config| config);
    let (id, request) = abandoned(&mut rig, "OPTIONS", "TCP phone.INVALID:5070");
    respond(&mut rig, id, &request, StatusCode::OK).unwrap();
    rig.sent_nothing();
    assert!(rig.questions.is_empty());
    assert_eq!(undelivered(&rig.events()), 1);
    rig.finish();
}

#[test]
fn a_name_that_leads_nowhere_leaves_the_response_undelivered() {
    let mut rig = Rig::with(|config| config);
    let (id, request) = abandoned(&mut rig, "INVITE", "TCP gone.example:5070");
    respond(&mut rig, id, &request, StatusCode::BUSY_HERE).unwrap();
    let flow = rig.open();
    rig.refused(flow);
    assert!(!rig.questions.is_empty());
    assert!(!rig.stack.is_idle());
    rig.wait(20 * SECOND);
    assert_eq!(undelivered(&rig.events()), 1);
    rig.finish();
}

#[test]
fn a_transaction_that_ends_takes_its_undelivered_response_with_it() {
    let mut rig = Rig::with(|config| {
        config.timers(sip_transaction::Timers::default().t1(Duration::from_millis(10)))
    });
    let (id, request) = abandoned(&mut rig, "INVITE", "TCP gone.example:5070");
    respond(&mut rig, id, &request, StatusCode::BUSY_HERE).unwrap();
    let flow = rig.open();
    rig.refused(flow);
    rig.wait(SECOND);
    assert!(rig.stack.endpoint().undelivered.is_empty());
    assert!(rig.stack.endpoint().lookups.is_empty());
    rig.finish();
}

#[test]
fn responses_that_wait_have_a_limit() {
    let mut rig = Rig::with(|config| config.requests(2));
    let flow = rig.accept(1, "192.0.2.2:40000");
    let mut requests = Vec::new();
    for number in 0..3 {
        let via = format!("TCP 192.0.2.2:{}", 5070 + number);
        rig.bytes(flow, inbound("INVITE", &via, &number.to_string()));
        requests.push(arrived(&mut rig));
    }
    rig.closed(flow);
    rig.events();
    for (id, request) in &requests {
        respond(&mut rig, *id, request, StatusCode::BUSY_HERE).unwrap();
    }
    assert_eq!(rig.transmits().len(), 2);
    assert_eq!(undelivered(&rig.events()), 1);
    rig.finish();
}

#[test]
fn what_is_over_cannot_be_answered() {
    let mut rig = Rig::new();
    rig.datagram(BOB, inbound("OPTIONS", "UDP 192.0.2.2", "1"));
    let (id, request) = arrived(&mut rig);
    respond(&mut rig, id, &request, StatusCode::OK).unwrap();
    rig.wait(33 * SECOND);
    assert!(matches!(rig.events()[..], [Event::ServerEnded { id: ended }] if ended == id));
    assert_eq!(
        respond(&mut rig, id, &request, StatusCode::OK),
        Err(RespondError::Gone)
    );
    rig.finish();
}

#[test]
fn a_final_response_that_is_never_acknowledged_is_told() {
    let mut rig = Rig::new();
    rig.datagram(BOB, inbound("INVITE", "UDP 192.0.2.2", "1"));
    let (id, request) = arrived(&mut rig);
    respond(&mut rig, id, &request, StatusCode::BUSY_HERE).unwrap();
    rig.wait(33 * SECOND);
    let copies = rig.transmits();
    assert!(
        copies.len() > 5
            && copies
                .iter()
                .all(|t| matches!(t, Transmit::Datagram { .. }))
    );
    assert!(matches!(
        rig.events()[..],
        [Event::Unacknowledged { .. }, Event::ServerEnded { .. }]
    ));
    rig.finish();
}

#[test]
fn the_same_request_by_another_way_is_merged() {
    let mut rig = Rig::new();
    rig.datagram(BOB, inbound("MESSAGE", "UDP 192.0.2.2", "1"));
    let (first, request) = arrived(&mut rig);
    assert!(!rig.command(|cx| cx.is_merged(first, &request)));
    let again = inbound("MESSAGE", "UDP 192.0.2.3", "1").replace("z9hG4bK1", "z9hG4bK2");
    rig.datagram(CAROL, again);
    let (second, request) = arrived(&mut rig);
    assert!(rig.command(|cx| cx.is_merged(second, &request)));
    rig.finish();
}
