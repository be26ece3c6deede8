//! From one target to the next (RFC 3263 §4.3), and from a flow to the URI.

use super::harness::*;
use crate::{AttemptFailure::*, Draft, Event, Failure};
use sip_io::{Flow, Transmit};
use sip_message::{Message, StatusCode, headers::CSeq};

fn to_both(method: &str) -> Draft {
    draft(method, "sip:bob@bob.example;transport=udp")
}

/// TRA-026, trap 13: another branch, the same CSeq, From tag and Call-ID.
#[test]
fn each_attempt_is_a_transaction_with_a_branch_of_its_own() {
    let mut rig = Rig::new();
    rig.request(to_both("OPTIONS"));
    let (first_flow, first) = rig.sent_request();
    assert_eq!(first_flow.remote(), at(BOB));
    rig.unreachable(first_flow);
    let (second_flow, second) = rig.sent_request();
    assert_eq!(second_flow.remote(), at(CAROL));
    assert_ne!(branch(&first), branch(&second));
    assert_eq!(first.call_id().unwrap(), second.call_id().unwrap());
    assert_eq!(first.from().unwrap().tag(), second.from().unwrap().tag());
    let number =
        |request: &sip_message::Request| request.headers().require::<CSeq>().unwrap().number();
    assert_eq!(number(&first), number(&second));
    assert_eq!(
        second.headers().all::<sip_message::headers::Via>().count(),
        1
    );
    rig.answer(second_flow, &second, StatusCode::OK);
    assert_eq!(rig.status(), StatusCode::OK);
    rig.finish();
}

#[test]
fn time_out_failure_and_503_lead_to_the_next_target_and_are_told_at_the_end() {
    let mut rig = Rig::new();
    rig.request(draft("OPTIONS", "sip:bob@192.0.2.2").to_targets([
        udp(BOB),
        tcp("192.0.2.9:5060"),
        udp("[2001:db8::1]:5060"),
        udp(CAROL),
        udp("192.0.2.4:5060"),
    ]));
    rig.sent_request();
    rig.wait(32 * SECOND - SECOND / 10);
    rig.transmits();
    rig.wait(SECOND / 10);
    let flow = rig.open();
    rig.refused(flow);
    let (flow, request) = rig.sent_request();
    assert_eq!(flow.remote(), at(CAROL), "no listener reaches IPv6");
    rig.events();
    rig.answer(flow, &request, StatusCode::SERVICE_UNAVAILABLE);
    assert!(rig.events().is_empty());
    let (flow, _) = rig.sent_request();
    rig.unreachable(flow);
    let failure = rig.failure();
    let told: Vec<_> = tried(&failure).into_iter().map(|(_, why)| why).collect();
    assert_eq!(
        told,
        [TimedOut, Unreachable, NoListener, Unavailable, Unreachable]
    );
    assert!(matches!(failure, Failure::Unreachable { .. }));
    assert_eq!(failure.status(), StatusCode::SERVICE_UNAVAILABLE);
    rig.finish();
}

#[test]
fn what_times_out_last_has_timed_out() {
    let mut rig = Rig::new();
    rig.request(to_both("INVITE"));
    rig.wait(64 * SECOND);
    let failure = rig.failure();
    assert!(matches!(&failure, Failure::TimedOut { tried } if tried.len() == 2));
    assert_eq!(failure.status(), StatusCode::REQUEST_TIMEOUT);
    rig.finish();
}

#[test]
fn the_503_of_the_last_target_is_told() {
    let mut rig = Rig::new();
    rig.request(draft("INVITE", "sip:bob@192.0.2.2"));
    let (flow, invite) = rig.sent_request();
    rig.answer(flow, &invite, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(rig.status(), StatusCode::SERVICE_UNAVAILABLE);
    rig.finish();
}

#[test]
fn a_100_is_no_answer_that_a_503_could_not_follow() {
    let mut rig = Rig::new();
    rig.request(to_both("INVITE"));
    let (flow, invite) = rig.sent_request();
    rig.answer(flow, &invite, StatusCode::TRYING);
    rig.answer(flow, &invite, StatusCode::SERVICE_UNAVAILABLE);
    let transmits = rig.transmits();
    assert!(
        matches!(&transmits[..], [Transmit::Datagram { flow: ack, .. }, Transmit::Datagram { flow: next, .. }]
            if ack.remote() == at(BOB) && next.remote() == at(CAROL)),
        "{transmits:?}"
    );
    rig.finish();
}

#[test]
fn after_ringing_nobody_else_is_tried() {
    let mut rig = Rig::new();
    rig.request(to_both("INVITE"));
    let (flow, invite) = rig.sent_request();
    rig.answer(flow, &invite, StatusCode::RINGING);
    rig.answer(flow, &invite, StatusCode::SERVICE_UNAVAILABLE);
    let statuses: Vec<_> = rig.events();
    assert_eq!(statuses.len(), 2, "180 and 503");
    let (to, ack) = rig.sent_request();
    assert_eq!((to, ack.method().as_str()), (flow, "ACK"));
    rig.finish();
}

#[test]
fn after_a_100_a_request_that_times_out_is_not_sent_elsewhere() {
    let mut rig = Rig::new();
    rig.request(to_both("OPTIONS"));
    let (flow, request) = rig.sent_request();
    rig.answer(flow, &request, StatusCode::TRYING);
    rig.events();
    rig.wait(40 * SECOND);
    let failure = rig.failure();
    assert_eq!(tried(&failure), [(format!("UDP {BOB}"), TimedOut)]);
    rig.finish();
}

#[test]
fn a_cancelled_invite_is_not_tried_elsewhere() {
    let mut rig = Rig::new();
    let id = rig.request(to_both("INVITE"));
    let (flow, invite) = rig.sent_request();
    rig.command(|cx| cx.cancel(id));
    rig.answer(flow, &invite, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(rig.status(), StatusCode::SERVICE_UNAVAILABLE);
    rig.finish();
}

/// TRA-028, RFC 3263 §4: a CANCEL and the ACK to a refusal go where their INVITE went, and nowhere that the name leads to.
#[test]
fn a_cancel_and_an_ack_follow_their_invite() {
    let mut rig = Rig::new();
    let id = rig.request(to_both("INVITE"));
    let (first, _) = rig.sent_request();
    rig.unreachable(first);
    let (flow, invite) = rig.sent_request();
    assert_eq!(flow.remote(), at(CAROL));
    rig.answer(flow, &invite, StatusCode::RINGING);
    rig.command(|cx| cx.cancel(id));
    let (to, cancel) = rig.sent_request();
    assert_eq!((to, cancel.method().as_str()), (flow, "CANCEL"));
    rig.answer(flow, &invite, StatusCode::REQUEST_TERMINATED);
    let (to, ack) = rig.sent_request();
    assert_eq!((to, ack.method().as_str()), (flow, "ACK"));
}

#[test]
fn nothing_but_503_is_a_reason_to_go_elsewhere() {
    for status in [
        StatusCode::BUSY_HERE,
        StatusCode::SERVER_INTERNAL_ERROR,
        StatusCode::MOVED_TEMPORARILY,
        StatusCode::OK,
    ] {
        let mut rig = Rig::new();
        rig.request(to_both("OPTIONS"));
        let (flow, request) = rig.sent_request();
        rig.answer(flow, &request, status);
        assert_eq!(rig.status(), status);
        rig.sent_nothing();
        rig.finish();
    }
}

/// Trap 14: an ICMP error concerns a peer, not the socket.
#[test]
fn an_icmp_error_fails_only_what_goes_to_that_peer() {
    let mut rig = Rig::new();
    rig.request(draft("OPTIONS", "sip:bob@192.0.2.2"));
    let (to_bob, _) = rig.sent_request();
    rig.request(draft("OPTIONS", "sip:carol@192.0.2.3"));
    let (to_carol, request) = rig.sent_request();
    rig.unreachable(to_bob);
    assert!(matches!(rig.failure(), Failure::Unreachable { .. }));
    rig.answer(to_carol, &request, StatusCode::OK);
    assert_eq!(rig.status(), StatusCode::OK);
    rig.finish();
}

#[test]
fn a_stream_that_closes_before_the_response_fails_the_request() {
    let mut rig = Rig::new();
    rig.request(draft("OPTIONS", "sip:bob@192.0.2.2").to_targets([tcp(BOB), udp(CAROL)]));
    let flow = rig.open();
    rig.opened(flow);
    rig.sent_request();
    rig.closed(flow);
    let events = rig.events();
    assert!(matches!(events[..], [Event::FlowClosed { flow: closed }] if closed == flow));
    let (next, request) = rig.sent_request();
    assert_eq!(next.remote(), at(CAROL));
    rig.answer(next, &request, StatusCode::OK);
    assert_eq!(rig.status(), StatusCode::OK);
    rig.finish();
}

#[test]
fn a_stream_that_closes_after_a_response_fails_nothing() {
    let mut rig = Rig::new();
    rig.request(draft("INVITE", "sip:bob@192.0.2.2").to_targets([tcp(BOB), udp(CAROL)]));
    let flow = rig.open();
    rig.opened(flow);
    let (_, invite) = rig.sent_request();
    rig.answer(flow, &invite, StatusCode::RINGING);
    rig.closed(flow);
    rig.sent_nothing();
    // RFC 3261 §18.2.2: the response may come on a connection that the peer opens.
    let other = rig.accept(1, BOB);
    rig.answer(other, &invite, StatusCode::OK);
    assert!(rig.events().iter().any(
        |event| matches!(event, Event::Response { response, .. } if response.status() == StatusCode::OK)
    ));
    rig.finish();
}

#[test]
fn two_requests_share_the_connection_that_is_being_opened() {
    let mut rig = Rig::new();
    rig.request(draft("OPTIONS", "sip:bob@192.0.2.2;transport=tcp"));
    let flow = rig.open();
    rig.request(draft("MESSAGE", "sip:bob@192.0.2.2;transport=tcp"));
    rig.sent_nothing();
    rig.opened(flow);
    assert_eq!(rig.transmits().len(), 2);
    rig.closed(flow);
    assert_eq!(rig.events().len(), 3, "two failures and a closed flow");
    rig.finish();
}

#[test]
fn more_connections_than_there_may_be_are_not_opened() {
    let mut rig = Rig::with(|config| {
        config.transport(sip_transport::TransportConfig::default().connections(1))
    });
    rig.accept(1, BOB);
    rig.request(draft("OPTIONS", "sip:bob@192.0.2.2;transport=tcp"));
    let failure = rig.failure();
    assert_eq!(
        tried(&failure),
        [(format!("TCP {BOB}"), TooManyConnections)]
    );
    rig.sent_nothing();
    rig.finish();
}

#[test]
fn many_unreachable_targets_are_gone_through_without_recursion() {
    let mut rig = Rig::listening(|config| config, &[]);
    let listener = crate::Listener::tcp(at(HERE));
    rig.command(|cx| cx.listen(listener));
    let targets = (0..50_000).map(|_| udp(BOB));
    rig.request(draft("OPTIONS", "sip:bob@192.0.2.2").to_targets(targets));
    assert!(matches!(rig.failure(), Failure::Unreachable { tried } if tried.len() == 50_000));
}

#[test]
fn without_targets_nobody_can_be_reached() {
    let mut rig = Rig::new();
    rig.request(draft("OPTIONS", "sip:bob@192.0.2.2").to_targets([]));
    assert_eq!(rig.failure(), Failure::Unreachable { tried: vec![] });
    rig.finish();
}

#[test]
fn a_flow_is_used_while_it_is_open_and_the_uri_afterwards() {
    let mut rig = Rig::new();
    let flow = rig.accept(1, "192.0.2.2:40000");
    rig.request(draft("BYE", "sip:bob@192.0.2.3").to_flow(flow));
    let (used, bye) = rig.sent_request();
    assert_eq!(used, flow);
    rig.answer(flow, &bye, StatusCode::OK);
    rig.closed(flow);
    rig.events();
    rig.request(draft("BYE", "sip:bob@192.0.2.3").to_flow(flow));
    let (used, bye) = rig.sent_request();
    assert_eq!(used.remote(), at(CAROL));
    rig.answer(used, &bye, StatusCode::OK);
    assert_eq!(rig.status(), StatusCode::OK);
    rig.finish();
}

#[test]
fn a_flow_that_closes_under_a_request_leads_to_the_uri_and_is_told() {
    let mut rig = Rig::new();
    let flow = rig.accept(1, "192.0.2.2:40000");
    rig.request(draft("BYE", "sip:bob@192.0.2.3").to_flow(flow));
    let (_, first) = rig.sent_request();
    rig.closed(flow);
    let (next, second) = rig.sent_request();
    assert_eq!(next.remote(), at(CAROL));
    assert_ne!(branch(&first), branch(&second));
    rig.events();
    rig.unreachable(next);
    let failure = rig.failure();
    assert_eq!(
        tried(&failure),
        [
            ("TCP 192.0.2.2:40000".to_owned(), Unreachable),
            (format!("UDP {CAROL}"), Unreachable)
        ]
    );
    rig.finish();
}

/// The server has the request: the same again over another way would be served twice.
#[test]
fn silence_on_a_flow_does_not_lead_to_the_uri() {
    let mut rig = Rig::new();
    let flow = Flow::udp(at(HERE), at("192.0.2.2:40000"));
    rig.request(draft("BYE", "sip:bob@192.0.2.3").to_flow(flow));
    rig.wait(33 * SECOND);
    let failure = rig.failure();
    assert_eq!(
        tried(&failure),
        [("UDP 192.0.2.2:40000".to_owned(), TimedOut)]
    );
    rig.finish();
}

#[test]
fn a_flow_whose_uri_leads_nowhere_is_what_is_told() {
    let mut rig = Rig::new();
    let flow = rig.accept(1, "192.0.2.2:40000");
    rig.request(draft("BYE", "sip:bob@a.invalid;transport=tcp").to_flow(flow));
    rig.sent_request();
    rig.closed(flow);
    let failures: Vec<_> = rig
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::RequestFailed { reason, .. } => Some(reason),
            _ => None,
        })
        .collect();
    assert_eq!(failures.len(), 1);
    assert_eq!(
        tried(&failures[0]),
        [("TCP 192.0.2.2:40000".to_owned(), Unreachable)]
    );
    rig.finish();
}

#[test]
fn what_may_only_use_its_flow_fails_with_it() {
    let mut rig = Rig::new();
    let flow = rig.accept(1, "192.0.2.2:40000");
    rig.request(draft("BYE", "sip:bob@192.0.2.3").only_flow(flow));
    rig.sent_request();
    rig.closed(flow);
    rig.sent_nothing();
    let events = rig.events();
    assert!(events.iter().any(
        |event| matches!(event, Event::RequestFailed { reason: Failure::Unreachable { tried }, .. } if tried.len() == 1)
    ));
    rig.request(draft("BYE", "sip:bob@192.0.2.3").only_flow(flow));
    rig.sent_nothing();
    assert_eq!(rig.failure(), Failure::Unreachable { tried: vec![] });
    rig.finish();
}

/// RFC 3261 §8.1.2: the topmost Route goes before the Request-URI, and `to_uri` before both.
#[test]
fn the_next_hop_is_the_topmost_route_unless_it_is_given() {
    let mut rig = Rig::new();
    let routed = || {
        let mut request = request("OPTIONS", "sip:bob@192.0.2.2");
        request.headers_mut().push_raw(
            sip_message::HeaderName::ROUTE,
            sip_message::HeaderValue::from_static("<sip:192.0.2.3;lr>, <sip:192.0.2.4;lr>"),
        );
        Draft::new(request)
    };
    rig.request(routed());
    let (flow, sent) = rig.sent_request();
    assert_eq!(flow.remote(), at(CAROL));
    assert_eq!(sent.uri().to_string(), "sip:bob@192.0.2.2");
    rig.request(routed().to_uri("sip:192.0.2.5:5070".parse().unwrap()));
    let (flow, _) = rig.message();
    assert_eq!(flow.remote(), at("192.0.2.5:5070"));
    rig.wait(33 * SECOND);
    let Some(Transmit::Datagram { contents, .. }) = rig.transmits().pop() else {
        panic!("retransmits")
    };
    assert!(Message::parse(contents).is_ok());
    rig.finish();
}
