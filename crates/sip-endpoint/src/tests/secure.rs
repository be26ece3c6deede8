//! `sips` and TLS (RFC 3261 §26.2, RFC 5630).

use super::harness::*;
use crate::{AttemptFailure, Draft, Failure, Tls};
use sip_io::{Flow, Protocol, Transmit, WallClock};
use sip_message::{
    Uri,
    headers::{Contact, Route},
};
use std::time::SystemTime;

/// Someone who speaks TLS as a client, and listens for UDP and TCP only.
fn secured() -> Rig {
    Rig::with(|config| {
        let clock = WallClock {
            at: start(),
            is: SystemTime::UNIX_EPOCH,
        };
        let offered = ("SIPS+D2T", "_sips._tcp.one.example");
        let zone = zone()
            .naptr("one.example", 10, 10, offered.0, offered.1)
            .service(offered.1, 1, 0, 5061, "one.example");
        let transport = crate::TransportConfig::default();
        config
            .zone(zone)
            .transport(transport.tls(Tls::new(), clock))
    })
}

/// The connections that were asked for; nothing else goes out.
fn opens(rig: &mut Rig) -> Vec<String> {
    let transmits = rig.transmits().into_iter();
    transmits
        .map(|transmit| match transmit {
            Transmit::Open { flow } => format!("{} {}", flow.protocol(), flow.remote()),
            other => panic!("{other:?}"),
        })
        .collect()
}

/// TRA-022: RFC 5630 §3.1; `transport=tls` is deprecated, and taken.
#[test]
fn tra_022_sips_with_tcp_means_tls() {
    for (uri, connection) in [
        ("sips:bob@one.example;transport=tcp", "TLS 192.0.2.2:5061"),
        ("sips:bob@one.example", "TLS 192.0.2.2:5061"),
        ("sip:bob@one.example;transport=tls", "TLS 192.0.2.2:5061"),
        ("sips:bob@192.0.2.2", "TLS 192.0.2.2:5061"),
        ("sips:bob@192.0.2.2:5071", "TLS 192.0.2.2:5071"),
        ("sips:bob@192.0.2.2;transport=ws", "WSS 192.0.2.2:443"),
        ("sip:bob@192.0.2.2;transport=tls", "TLS 192.0.2.2:5061"),
    ] {
        let mut rig = secured();
        rig.request(draft("OPTIONS", uri));
        assert_eq!(opens(&mut rig), [connection], "{uri}");
    }
}

/// RFC 3261 §8.1.2: a Route counts as `sips` where the Request-URI is. Servers write `transport=ws` for secure
/// WebSockets into Record-Route.
#[test]
fn a_route_of_a_sips_request_is_taken_as_sips() {
    for (route, connection) in [
        ("sip:192.0.2.2:8443;transport=ws;lr", "WSS 192.0.2.2:8443"),
        ("sip:192.0.2.2;transport=tcp;lr", "TLS 192.0.2.2:5061"),
        ("sip:one.example;lr", "TLS 192.0.2.2:5061"),
    ] {
        let mut rig = secured();
        let mut request = request("OPTIONS", "sips:bob@two.example");
        request
            .headers_mut()
            .push(Route::new(route.parse::<Uri>().unwrap()));
        rig.request(Draft::new(request));
        assert_eq!(opens(&mut rig), [connection], "{route}");
    }
}

/// TRA-021: RFC 3261 §26.2.2.
#[test]
fn tra_021_where_no_tls_is_to_be_had_a_sips_request_fails_and_nothing_goes_in_clear_text() {
    // A domain that has only TCP, in its records and then at its address.
    let mut rig = secured();
    rig.request(draft("OPTIONS", "sips:bob@tcp.example"));
    rig.wait(60 * SECOND);
    assert!(matches!(rig.failure(), Failure::NoTarget { .. }));
    rig.sent_nothing();
    rig.request(draft("OPTIONS", "sips:bob@one.example"));
    let flow = rig.open();
    assert_eq!(flow.protocol(), Protocol::Tls);
    rig.refused(flow);
    let failure = rig.failure();
    let place = "TLS 192.0.2.2:5061".to_owned();
    assert_eq!(tried(&failure), [(place, AttemptFailure::Unreachable)]);
    rig.sent_nothing();
    // It takes the connection and speaks no TLS.
    rig.request(draft("OPTIONS", "sips:bob@192.0.2.2"));
    let flow = rig.open();
    rig.opened(flow);
    let [Transmit::Stream { contents, .. }] = &rig.transmits()[..] else {
        panic!("no hello");
    };
    assert_eq!(contents[0], 22, "a record of type handshake");
    rig.bytes(flow, "SIP/2.0 400 Bad Request\r\n\r\n");
    let Failure::Unreachable { tried } = rig.failure() else {
        panic!("not unreachable");
    };
    assert!(matches!(tried[0].failure, AttemptFailure::Handshake(_)));
    for transmit in rig.transmits() {
        if let Transmit::Stream { contents, .. } = transmit {
            assert_eq!(contents[0], 21, "an alert is all that is said");
        }
    }
}

/// A flow over TLS to a peer whose name is no secret.
fn tls_flow() -> Flow {
    let id = sip_io::StreamId::accepted(9);
    Flow::stream(Protocol::Tls, id, at("192.0.2.1:5061"), at(BOB))
}

/// UA-006, DLG-002: RFC 3261 §8.1.1.8, §12.1.1: a Contact is `sips` where the request is, and where that is true.
#[test]
fn a_contact_is_sips_where_the_request_is() {
    let mut rig = secured();
    let mut contact = |text: &str, flow: &Flow| {
        let request = request("INVITE", text);
        rig.command(|cx| {
            let asking = cx.contact_uri_in(&request, flow, Some("alice"));
            let answering = cx.contact_uri_for(&request, flow, Some("alice"));
            assert_eq!(asking.to_string(), answering.to_string());
            asking.to_string()
        })
    };
    let (tls, udp) = (tls_flow(), Flow::udp(at(HERE), at(BOB)));
    assert_eq!(
        contact("sips:bob@one.example", &tls),
        "sips:alice@192.0.2.1:5061"
    );
    assert_eq!(
        contact("sip:bob@one.example", &tls),
        "sip:alice@192.0.2.1:5061;transport=tls"
    );
    assert_eq!(
        contact("sips:bob@one.example", &udp),
        "sip:alice@192.0.2.1:5060"
    );
}

/// RFC 3261 §12.1.1: or where its Contact is.
#[test]
fn a_contact_is_sips_where_the_peers_is() {
    let mut rig = secured();
    let mut request = request("INVITE", "sip:bob@one.example");
    let sips: Uri = "sips:alice@192.0.2.2".parse().unwrap();
    request.headers_mut().set(Contact::new(sips));
    let uri = rig.command(|cx| cx.contact_uri_for(&request, &tls_flow(), None));
    assert_eq!(uri.to_string(), "sips:192.0.2.1:5061");
}
