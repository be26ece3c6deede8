//! RFC 3261 §18.1.1: what is too long for a datagram (traps 22 and 13).

use super::harness::*;
use crate::{AttemptFailure::*, ContactTemplate, Draft, Event, Failure, Listener};
use sip_io::{Flow, Protocol};
use sip_message::{
    Request, StatusCode,
    headers::{Contact, ContentType, Via},
};

fn long(method: &str, uri: &str, length: usize) -> Draft {
    let mut request = request(method, uri);
    request.set_body(ContentType::new("text/plain").unwrap(), vec![b'x'; length]);
    Draft::new(request)
}

fn transport(request: &Request) -> String {
    request
        .headers()
        .require::<Via>()
        .unwrap()
        .transport()
        .to_owned()
}

/// UA-082, TRA-002: the Via changes with the transport.
#[test]
fn tra_002_a_long_request_goes_over_tcp() {
    let mut rig = Rig::new();
    rig.request(long("MESSAGE", "sip:bob@192.0.2.2", 1300).contact(ContactTemplate::default()));
    let flow = rig.open();
    assert_eq!((flow.protocol(), flow.remote()), (Protocol::Tcp, at(BOB)));
    rig.opened(flow);
    let (used, sent) = rig.sent_request();
    assert_eq!(used, flow);
    assert_eq!(transport(&sent), "TCP");
    let contact = sent.headers().require::<Contact>().unwrap();
    assert_eq!(
        contact.uri().to_string(),
        "sip:192.0.2.1:5060",
        "nothing but the Via changes"
    );
    rig.answer(flow, &sent, StatusCode::OK);
    assert!(matches!(
        rig.events()[..],
        [Event::Response { .. }, Event::RequestEnded { .. }]
    ));
    rig.finish();
}

/// TRA-003: refused, the request goes over UDP after all, as another transaction.
#[test]
fn tra_003_where_tcp_is_refused_a_long_request_goes_over_udp() {
    let mut rig = Rig::new();
    rig.request(long("MESSAGE", "sip:bob@192.0.2.2", 1300));
    let flow = rig.open();
    rig.refused(flow);
    let (used, sent) = rig.sent_request();
    assert_eq!(used, Flow::udp(at(HERE), at(BOB)));
    assert_eq!(transport(&sent), "UDP");
    rig.events();
    rig.wait(40 * SECOND);
    let failure = rig.failure();
    assert_eq!(
        tried(&failure),
        [
            (format!("TCP {BOB}"), Unreachable),
            (format!("UDP {BOB}"), TimedOut)
        ]
    );
    rig.finish();
}

/// UA-082: RFC 3428 §8: what carries media itself goes over TCP or not at all.
#[test]
fn a_long_request_that_wants_congestion_control_never_goes_over_udp() {
    let mut rig = Rig::new();
    rig.request(long("MESSAGE", "sip:bob@192.0.2.2", 1300).congestion_controlled());
    let flow = rig.open();
    rig.refused(flow);
    rig.sent_nothing();
    assert_eq!(tried(&rig.failure()), [(format!("TCP {BOB}"), Unreachable)]);
    let flow = Flow::udp(at(HERE), at(BOB));
    let given = long("MESSAGE", "sip:bob@192.0.2.2", 1300).only_flow(flow);
    rig.request(given.congestion_controlled());
    rig.sent_nothing();
    assert_eq!(tried(&rig.failure()), [(format!("UDP {BOB}"), TooLong)]);
    rig.request(long("MESSAGE", "sip:bob@192.0.2.2", 700).congestion_controlled());
    assert_eq!(rig.sent_request().0, flow);
    rig.finish();
}

#[test]
fn a_firewall_that_swallows_connections_costs_time_only() {
    let mut rig = Rig::new();
    rig.request(long("MESSAGE", "sip:bob@192.0.2.2", 1300));
    rig.open();
    rig.wait(8 * SECOND);
    let sent = rig.transmits();
    assert!(
        sent.iter().any(
            |t| matches!(t, sip_io::Transmit::Datagram { flow, .. } if flow.remote() == at(BOB))
        ),
        "{sent:?}"
    );
    rig.finish();
}

#[test]
fn the_whole_request_counts_to_the_byte() {
    let probe = |limit: usize| {
        let mut rig = Rig::with(|config| config.datagram_limit(limit));
        rig.request(long("MESSAGE", "sip:bob@192.0.2.2", 400));
        rig.transmits().remove(0)
    };
    let sip_io::Transmit::Datagram { contents, .. } = probe(usize::MAX) else {
        panic!("goes over UDP")
    };
    let length = contents.len();
    assert!(matches!(probe(length), sip_io::Transmit::Datagram { .. }));
    assert!(matches!(probe(length - 1), sip_io::Transmit::Open { .. }));
}

/// Whoever took the stream has the request: no second copy in a datagram.
#[test]
fn once_the_stream_is_open_a_failure_does_not_lead_back_to_udp() {
    let mut rig = Rig::new();
    let targets = [udp(BOB), udp(CAROL)];
    rig.request(long("MESSAGE", "sip:bob@192.0.2.2", 1300).to_targets(targets));
    let flow = rig.open();
    rig.opened(flow);
    let (_, sent) = rig.sent_request();
    rig.answer(flow, &sent, StatusCode::SERVICE_UNAVAILABLE);
    let next = rig.open();
    assert_eq!((next.protocol(), next.remote()), (Protocol::Tcp, at(CAROL)));
    rig.opened(next);
    rig.sent_request();
    rig.closed(next);
    rig.sent_nothing();
    assert!(
        rig.events()
            .iter()
            .any(|event| matches!(event, Event::RequestFailed { .. }))
    );
    rig.finish();
}

#[test]
fn a_flow_that_is_given_is_kept() {
    let mut rig = Rig::new();
    let flow = Flow::udp(at(HERE), at("192.0.2.2:40000"));
    rig.request(long("MESSAGE", "sip:bob@192.0.2.2", 1300).to_flow(flow));
    let (used, _) = rig.sent_request();
    assert_eq!(used, flow);
    rig.finish();
}

#[test]
fn more_than_a_datagram_carries_is_an_error_over_udp() {
    let mut rig = Rig::new();
    rig.request(long("MESSAGE", "sip:bob@192.0.2.2", 65_535));
    let flow = rig.open();
    rig.refused(flow);
    rig.sent_nothing();
    let failures: Vec<_> = rig
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::RequestFailed { reason, .. } => Some(reason),
            _ => None,
        })
        .collect();
    assert_eq!(
        tried(&failures[0]),
        [
            (format!("TCP {BOB}"), Unreachable),
            (format!("UDP {BOB}"), TooLong)
        ]
    );
    let flow = Flow::udp(at(HERE), at(BOB));
    rig.request(long("MESSAGE", "sip:bob@192.0.2.2", 65_535).only_flow(flow));
    rig.sent_nothing();
    assert!(matches!(rig.failure(), Failure::Unreachable { .. }));
    rig.finish();
}

/// Trap 22: responses never switch.
#[test]
fn a_long_response_stays_on_its_way() {
    let mut rig = Rig::new();
    rig.datagram(BOB, inbound("OPTIONS", "UDP 192.0.2.2", "1"));
    let Some(Event::Request { id, request, .. }) = rig.events().pop() else {
        panic!("a request came")
    };
    let content_type = ContentType::new("text/plain").unwrap();
    let response = request
        .response(StatusCode::OK)
        .body(content_type, vec![b'x'; 3000]);
    rig.command(|cx| cx.respond(id, response.build())).unwrap();
    let (flow, _) = rig.sent_response();
    assert_eq!(flow, Flow::udp(at(HERE), at(BOB)));
    rig.finish();
}

#[test]
fn a_long_ack_goes_over_tcp_and_back_to_udp_where_that_is_refused() {
    let mut rig = Rig::new();
    let id = rig.command(|cx| cx.acknowledge(long("ACK", "sip:bob@192.0.2.2", 1300)));
    let flow = rig.open();
    rig.command(|cx| cx.repeat_acknowledge(id));
    rig.sent_nothing();
    rig.refused(flow);
    let (used, ack) = rig.sent_request();
    assert_eq!(
        (used.protocol(), transport(&ack)),
        (Protocol::Udp, "UDP".to_owned())
    );
    rig.command(|cx| cx.forward_ack(long("ACK", "sip:bob@192.0.2.2", 1300)));
    let flow = rig.open();
    rig.opened(flow);
    let (used, ack) = rig.sent_request();
    assert_eq!((used, transport(&ack)), (flow, "TCP".to_owned()));
    // Whoever took the stream has the ACK: nothing follows in a datagram when it breaks.
    rig.command(|cx| cx.acknowledge(long("ACK", "sip:bob@192.0.2.2", 1300)));
    assert_eq!(rig.sent_request().0, flow);
    rig.closed(flow);
    rig.sent_nothing();
    rig.finish();
}

#[test]
fn an_endpoint_without_a_tcp_listener_still_opens_connections() {
    let mut rig = Rig::listening(|config| config, &[Listener::udp(at(HERE))]);
    rig.request(long("MESSAGE", "sip:bob@192.0.2.2", 1300).contact(ContactTemplate::default()));
    let flow = rig.open();
    rig.opened(flow);
    let (_, sent) = rig.sent_request();
    let contact = sent.headers().require::<Contact>().unwrap();
    assert_eq!(
        contact.uri().to_string(),
        "sip:192.0.2.1:5060",
        "where we can be reached"
    );
    rig.answer(flow, &sent, StatusCode::OK);
    assert!(
        rig.events()
            .iter()
            .any(|event| matches!(event, Event::Response { .. }))
    );
    rig.finish();
}
