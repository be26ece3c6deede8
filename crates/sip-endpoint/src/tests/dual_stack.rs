//! Servers with several addresses: which are tried together, which one after the other, and which not at all.

use super::harness::*;
use crate::{AttemptFailure::*, Draft, EndpointConfig, Event, Failure, Listener};
use sip_io::{Flow, Transmit};
use sip_message::StatusCode;
use sip_resolver::Zone;
use std::{net::IpAddr, time::Duration};

const HERE_6: &str = "[2001:db8::1]:5060";
const ONE_6: &str = "[2001:db8::2]:5060";
const MS: Duration = Duration::from_millis(1);

/// The first server of dual.example has an address of each family, the second one IPv4 only.
fn dual() -> Zone {
    let mut zone = Zone::new()
        .address("one.example", IpAddr::from([192, 0, 2, 2]))
        .address("one.example", at(ONE_6).ip())
        .address("two.example", IpAddr::from([192, 0, 2, 3]));
    for service in ["_sip._udp", "_sip._tcp"] {
        let name = format!("{service}.dual.example");
        zone = zone.service(&name, 1, 0, 5060, "one.example");
        zone = zone.service(&name, 2, 0, 5060, "two.example");
    }
    zone
}

fn rig(configure: impl FnOnce(EndpointConfig) -> EndpointConfig) -> Rig {
    let listeners = [HERE, HERE_6].map(at);
    let listeners: Vec<_> = listeners
        .into_iter()
        .flat_map(|local| [Listener::udp(local), Listener::tcp(local)])
        .collect();
    Rig::listening(|config| configure(config.zone(dual())), &listeners)
}

fn by(transport: &str) -> Draft {
    draft(
        "OPTIONS",
        &format!("sip:bob@dual.example;transport={transport}"),
    )
}

#[track_caller]
fn opens(rig: &mut Rig, remote: &str) -> Flow {
    let flow = rig.open();
    assert_eq!(flow.remote(), at(remote));
    flow
}

/// The response that came; over a stream the request ends with it.
fn answered(rig: &mut Rig) -> StatusCode {
    match rig.events().as_slice() {
        [Event::Response { response, .. }, Event::RequestEnded { .. }] => response.status(),
        other => panic!("one response comes: {other:?}"),
    }
}

/// RFC 8305 §5: 250 ms, and the first to be open is used.
#[test]
fn a_slow_connection_has_a_rival_of_the_other_family_after_250_ms() {
    let mut rig = rig(|config| config);
    rig.request(by("tcp"));
    let slow = opens(&mut rig, ONE_6);
    rig.wait(249 * MS);
    rig.sent_nothing();
    rig.wait(MS);
    let quick = opens(&mut rig, BOB);
    rig.wait(10 * MS);
    rig.opened(quick);
    let transmits = rig.transmits();
    let [
        Transmit::Close { flow: closed },
        Transmit::Stream { flow, .. },
    ] = &transmits[..]
    else {
        panic!("closes one, sends on the other: {transmits:?}")
    };
    assert_eq!((*closed, *flow), (slow, quick));
    rig.wait(2 * SECOND);
    rig.sent_nothing();
}

#[test]
fn a_connection_that_opens_in_time_has_no_rival() {
    let mut rig = rig(|config| config);
    rig.request(by("tcp"));
    let first = opens(&mut rig, ONE_6);
    rig.wait(200 * MS);
    rig.opened(first);
    let (flow, request) = rig.sent_request();
    assert_eq!(flow, first);
    rig.wait(SECOND);
    rig.sent_nothing();
    rig.answer(flow, &request, StatusCode::OK);
    assert_eq!(answered(&mut rig), StatusCode::OK);
}

#[test]
fn a_refused_connection_is_not_waited_for_and_each_is_told() {
    let mut rig = rig(|config| config);
    rig.request(by("tcp"));
    let first = opens(&mut rig, ONE_6);
    rig.refused(first);
    let second = opens(&mut rig, BOB);
    rig.wait(SECOND);
    rig.sent_nothing();
    rig.refused(second);
    let third = opens(&mut rig, CAROL);
    rig.refused(third);
    let failure = rig.failure();
    let told = [ONE_6, BOB, CAROL].map(|address| (format!("TCP {address}"), Unreachable));
    assert_eq!(tried(&failure), told);
    rig.finish();
}

#[test]
fn when_one_of_two_rivals_is_refused_the_other_is_waited_for() {
    let mut rig = rig(|config| config);
    rig.request(by("tcp"));
    let first = opens(&mut rig, ONE_6);
    rig.wait(250 * MS);
    let second = opens(&mut rig, BOB);
    rig.refused(second);
    rig.sent_nothing();
    rig.opened(first);
    let (flow, request) = rig.sent_request();
    assert_eq!(flow, first);
    rig.answer(flow, &request, StatusCode::OK);
    assert_eq!(answered(&mut rig), StatusCode::OK);
}

/// A connection that somebody else waits for, or has, is not closed and wins at once.
#[test]
fn a_connection_that_is_open_for_somebody_else_wins_at_once() {
    let mut rig = rig(|config| config);
    rig.request(draft("MESSAGE", "sip:bob@192.0.2.2;transport=tcp"));
    let known = opens(&mut rig, BOB);
    rig.opened(known);
    rig.sent_request();
    rig.request(by("tcp"));
    let slow = opens(&mut rig, ONE_6);
    rig.wait(250 * MS);
    let transmits = rig.transmits();
    assert!(
        matches!(&transmits[..], [Transmit::Close { flow: closed }, Transmit::Stream { flow, .. }]
            if *closed == slow && *flow == known),
        "{transmits:?}"
    );
}

/// A connection that somebody else waits for is not closed because it was too slow for one.
#[test]
fn a_connection_that_somebody_else_waits_for_goes_on_opening() {
    let mut rig = rig(|config| config);
    let patient = format!("sip:bob@{ONE_6};transport=tcp");
    rig.request(draft("MESSAGE", &patient));
    let slow = opens(&mut rig, ONE_6);
    rig.request(by("tcp"));
    rig.wait(250 * MS);
    let quick = opens(&mut rig, BOB);
    rig.opened(quick);
    assert_eq!(rig.sent_request().0, quick);
    rig.opened(slow);
    let (flow, request) = rig.sent_request();
    assert_eq!((flow, request.method().as_str()), (slow, "MESSAGE"));
}

/// Another server is not tried beside the first: it would get requests that are not its share.
#[test]
fn a_server_that_takes_no_connection_has_the_time_of_an_attempt() {
    let mut rig = rig(|config| config.attempt_limit(5 * SECOND));
    rig.request(by("tcp"));
    opens(&mut rig, ONE_6);
    rig.wait(250 * MS);
    opens(&mut rig, BOB);
    rig.wait(4 * SECOND);
    rig.sent_nothing();
    rig.wait(750 * MS);
    let other = opens(&mut rig, CAROL);
    rig.opened(other);
    let (flow, request) = rig.sent_request();
    rig.answer(flow, &request, StatusCode::OK);
    assert_eq!(answered(&mut rig), StatusCode::OK);
    // The next request does not wait for who was silent.
    rig.request(draft("MESSAGE", "sip:bob@dual.example;transport=tcp"));
    assert_eq!(rig.sent_request().0, other);
}

/// RFC 3261 §21.5.4, RFC 3263 §4.3: an alternate server, which another address of the same one is not.
#[test]
fn after_a_503_no_other_address_of_the_same_server_is_tried() {
    let mut rig = rig(|config| config);
    for expected in [&[ONE_6, CAROL][..], &[CAROL]] {
        rig.request(by("udp"));
        for remote in expected {
            let (flow, request) = rig.sent_request();
            assert_eq!(flow.remote(), at(remote));
            let is_last = *remote == CAROL;
            let status = if is_last {
                StatusCode::OK
            } else {
                StatusCode::SERVICE_UNAVAILABLE
            };
            rig.answer(flow, &request, status);
        }
        assert_eq!(rig.status(), StatusCode::OK);
    }
}

#[test]
fn a_503_of_the_only_server_is_told_though_it_has_another_address() {
    let mut rig = rig(|config| config);
    rig.request(draft("OPTIONS", "sip:bob@one.example:5060;transport=udp"));
    let (flow, request) = rig.sent_request();
    assert_eq!(flow.remote(), at(ONE_6));
    rig.answer(flow, &request, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(rig.status(), StatusCode::SERVICE_UNAVAILABLE);
    rig.sent_nothing();
}

/// RFC 7984: one family may be broken where the other works.
#[test]
fn when_an_address_cannot_be_reached_the_other_of_the_same_server_is_next() {
    let mut rig = rig(|config| config);
    rig.request(by("udp"));
    for remote in [ONE_6, BOB, CAROL] {
        let (flow, _) = rig.sent_request();
        assert_eq!(flow.remote(), at(remote));
        rig.unreachable(flow);
    }
    let failure = rig.failure();
    assert!(matches!(&failure, Failure::Unreachable { tried } if tried.len() == 3));
    assert_eq!(
        failure.to_string(),
        "nobody can be reached: [2001:db8::2]:5060 over UDP (unreachable), 192.0.2.2:5060 over UDP (unreachable), \
         192.0.2.3:5060 over UDP (unreachable)"
    );
}
