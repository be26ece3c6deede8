//! `received`, `rport`, and where responses go. Trap 12.

use super::*;
use crate::ResponseRoute;
use sip_message::{Host, headers::Via};

fn via(stage: &mut Stage, flow: Flow, sent_by: &str, params: &str) -> Via {
    stage.datagram(flow, options(sent_by, params));
    stage.message().headers().require().unwrap()
}

fn route(stage: &Stage, source: Flow, via: &Via) -> Option<SocketAddr> {
    match stage.transport.route_response(&source, via) {
        ResponseRoute::Flow(flow) => {
            assert_eq!(flow.local(), source.local(), "TRA-014");
            Some(flow.remote())
        }
        _ => None,
    }
}

/// TRA-010: RFC 3261 §18.2.1.
#[test]
fn tra_010_received_is_added_when_sent_by_is_a_name_or_another_address() {
    let mut stage = Stage::new();
    for sent_by in ["client.invalid:5060", "10.0.0.1:5060"] {
        let via = via(&mut stage, udp_from(5060), sent_by, "");
        assert_eq!(via.received(), Some(peer(0).ip()));
    }
    let plain = via(&mut stage, udp_from(5060), "198.51.100.7:5060", "");
    assert_eq!(plain.received(), None);
}

/// What a peer writes there itself is not believed.
#[test]
fn a_forged_received_or_rport_is_replaced() {
    let mut stage = Stage::new();
    let forged = ";received=203.0.113.1;rport=9";
    let via = via(&mut stage, udp_from(40_000), "198.51.100.7", forged);
    assert_eq!(via.received(), Some(peer(0).ip()));
    assert_eq!(via.rport(), Some(Some(40_000)));
    // Also where nothing else has to be written.
    let forged = ";received=203.0.113.1";
    let via = self::via(&mut stage, udp_from(5060), "198.51.100.7", forged);
    assert_eq!(via.received(), Some(peer(0).ip()));
}

/// What needs no stamp stays byte for byte (trap 11), and other Vias on the same line do, too.
#[test]
fn only_the_top_value_of_the_via_is_touched() {
    let mut stage = Stage::new();
    let text = options("198.51.100.7", "");
    stage.datagram(udp_from(5060), text.clone());
    assert_eq!(stage.message().to_bytes(), text);
    let two = options("10.0.0.1", ", SIP/2.0/UDP  10.0.0.2;branch=z9hG4bK0;rport");
    stage.datagram(udp_from(5060), two.clone());
    let expected = two.replace("branch=z9hG4bK1,", "branch=z9hG4bK1;received=198.51.100.7,");
    assert_eq!(stage.message().to_bytes(), expected);
}

/// TRA-011: RFC 3261 §18.2.2.
#[test]
fn tra_011_a_response_goes_to_the_source_address_and_the_port_of_sent_by() {
    let mut stage = Stage::new();
    let source = udp_from(40_000);
    for (sent_by, port) in [("198.51.100.7:5070", 5070), ("client.example.com", 5060)] {
        let via = via(&mut stage, source, sent_by, "");
        assert_eq!(route(&stage, source, &via), Some(peer(port)));
    }
    let by_maddr = via(
        &mut stage,
        source,
        "198.51.100.7:5070",
        ";maddr=203.0.113.5",
    );
    let maddr = SocketAddr::new(ip("203.0.113.5"), 5070);
    assert_eq!(route(&stage, source, &by_maddr), Some(maddr));
}

/// TRA-012, TRA-014: RFC 3581 §4.
#[test]
fn tra_012_tra_014_with_rport_a_response_goes_to_the_source_port_from_where_the_request_came() {
    let mut stage = Stage::new();
    let source = udp_from(40_000);
    let via = via(&mut stage, source, "198.51.100.7:5070", ";rport");
    assert_eq!(via.rport(), Some(Some(40_000)));
    assert_eq!(via.received(), Some(peer(0).ip()));
    assert_eq!(route(&stage, source, &via), Some(peer(40_000)));
}

/// A multicast address, or one of the other family, in maddr is not honoured.
#[test]
fn a_multicast_maddr_is_ignored() {
    let mut stage = Stage::new();
    let source = udp_from(40_000);
    for maddr in ["224.0.1.75", "255.255.255.255", "[ff02::1]", "0.0.0.0"] {
        let params = format!(";maddr={maddr}");
        let via = via(&mut stage, source, "198.51.100.7:5070", &params);
        assert_eq!(route(&stage, source, &via), Some(peer(5070)), "{maddr}");
    }
}

#[test]
fn a_name_in_maddr_has_to_be_resolved() {
    let mut stage = Stage::new();
    let source = udp_from(40_000);
    let via = via(
        &mut stage,
        source,
        "198.51.100.7:5070",
        ";maddr=m.example.com",
    );
    let expected = ResponseRoute::Resolve {
        host: Host::parse("m.example.com").unwrap(),
        port: Some(5070),
        protocol: Protocol::Udp,
    };
    assert_eq!(stage.transport.route_response(&source, &via), expected);
}

/// TRA-006: RFC 3261 §18.2.2.
#[test]
fn tra_006_a_response_goes_back_on_the_connection_of_the_request() {
    let mut stage = Stage::new();
    let flow = stage.accept();
    stage.events();
    stage.bytes(flow, options("client.example.com:5070", ""));
    let via = stage.message().headers().require().unwrap();
    let route = stage.transport.route_response(&flow, &via);
    assert_eq!(route, ResponseRoute::Flow(flow));
    stage
        .transport
        .send(
            stage.now,
            &flow,
            Bytes::from_static(b"SIP/2.0 200 OK\r\n\r\n"),
        )
        .unwrap();
    stage.drain();
    assert!(matches!(&stage.sent()[..], [(on, _)] if *on == flow));
}

/// TRA-015: RFC 3261 §18.2.2.
#[test]
fn tra_015_when_the_connection_is_gone_another_is_opened_to_sent_by() {
    let mut stage = Stage::new();
    let flow = stage.accept();
    stage.events();
    stage.bytes(flow, options("client.example.com:5070", ""));
    let via: Via = stage.message().headers().require().unwrap();
    let reason = sip_io::CloseReason::ByPeer;
    stage.receive(Receive::Closed { flow, reason });
    let ResponseRoute::Connect(to) = stage.transport.route_response(&flow, &via) else {
        panic!("no connection");
    };
    assert_eq!((to.protocol, to.address), (Protocol::Tcp, peer(5070)));
    let again = stage.transport.flow_to(stage.now, &to).unwrap();
    assert_ne!(again, flow);
    // RFC 3263 §5: when that fails, the name of sent-by is the last resort.
    let last = ResponseRoute::Resolve {
        host: Host::parse("client.example.com").unwrap(),
        port: Some(5070),
        protocol: Protocol::Tcp,
    };
    assert_eq!(stage.transport.reroute_response(&flow, &via), last);
}

/// Trap 12: `.invalid` is never resolved, and nobody listens there.
#[test]
fn a_response_to_a_name_that_is_invalid_goes_nowhere_once_its_connection_is_gone() {
    let mut stage = Stage::new();
    let flow = stage.accept();
    for sent_by in ["df7jal23ls0d.invalid", "x.INVALID.:5060"] {
        let via: Via = format!("SIP/2.0/TCP {sent_by};branch=z9hG4bK1")
            .parse()
            .unwrap();
        stage.transport.close(&flow);
        let gone = stage.transport.route_response(&flow, &via);
        assert_eq!(gone, ResponseRoute::Gone);
        let gone = stage.transport.reroute_response(&flow, &via);
        assert_eq!(gone, ResponseRoute::Gone);
    }
}
