//! Record-Route and what comes of it: whichever way the two ends are reached, requests inside the dialog find it.
#![allow(clippy::unwrap_used)] // in a test a panic is the answer

mod harness;

use harness::*;
use sip_message::{
    Request, Uri,
    headers::{RecordRoute, Route, Via},
};
use sip_proxy::{Foreign, Plan};

fn record_routes(request: &Request) -> Vec<Uri> {
    request
        .headers()
        .all::<RecordRoute>()
        .map(|route| route.unwrap().uri().clone())
        .collect()
}

/// Registers over a stream that bob opens, behind which nobody can reach him.
fn bob_over_tcp(world: &mut World) -> sip_io::Flow {
    let flow = world.connect("bob");
    let register = world
        .message("bob", "REGISTER", "sip:example.com")
        .to("sip:bob@example.com")
        .over_tcp();
    world.tcp(
        flow,
        register
            .line("Contact: <sip:bob@192.168.0.7:5099;transport=tcp>")
            .text(),
    );
    world.response_at("bob", 200);
    flow
}

/// PRX-007 and PRX-023: RFC 5658: a leg over UDP, a leg over TCP; BYE goes over the connection that bob opened, both ways
/// by the route set.
#[test]
fn a_call_between_udp_and_an_accepted_stream_has_two_routes_and_stays_on_the_stream() {
    let mut world = two();
    let bob = bob_over_tcp(&mut world);
    let call = world
        .message("alice", "INVITE", "sip:bob@example.com")
        .line("Contact: <sip:alice@10.0.0.2>");
    world.udp("alice", call.text());
    world.response_at("alice", 100);
    let (came, invite) = world.request_at("bob", "INVITE");
    assert_eq!(came, bob);
    assert_eq!(invite.via().unwrap().transport(), "TCP");
    let routes = record_routes(&invite);
    assert_eq!(routes.len(), 2);
    assert_eq!(
        routes[0].transport().as_deref(),
        Some("tcp"),
        "bob's side first"
    );
    assert!(routes[1].transport().is_none());
    assert!(routes.iter().all(Uri::lr));
    let ok = response_from(
        &invite,
        200,
        "bob",
        "sip:bob@192.168.0.7:5099;transport=tcp",
    );
    world.tcp(bob, ok.to_bytes());
    let answer = world.response_at("alice", 200);
    for method in ["ACK", "INFO"] {
        let inside = inside(
            &call,
            method,
            &answer,
            call.cseq + u32::from(method == "INFO"),
        );
        world.udp("alice", inside.text());
        let (came, request) = world.request_at("bob", method);
        assert_eq!(came, bob);
        assert!(!request.headers().contains::<Route>());
        assert_eq!(
            request.uri().to_string(),
            "sip:bob@192.168.0.7:5099;transport=tcp"
        );
        if method == "INFO" {
            world.tcp(bob, response(&request, 200, "bob").to_bytes());
            world.response_at("alice", 200);
        }
    }
    let bye = from_callee(&mut world, "bob", "BYE", &invite).over_tcp();
    world.tcp(bob, bye.text());
    let (flow, bye) = world.request_at("alice", "BYE");
    assert!(!flow.is_stream());
    assert!(!bye.headers().contains::<Route>());
    world.reply(flow, response(&bye, 200, "alice").to_bytes());
    world.response_at("bob", 200);
    world.finish();
}

/// Both ends behind streams that they opened: one Record-Route, and each request finds the other's stream.
#[test]
fn two_accepted_streams_are_told_apart() {
    let mut world = two();
    let bob = bob_over_tcp(&mut world);
    let alice = world.connect("alice");
    let call = world
        .message("alice", "INVITE", "sip:bob@example.com")
        .over_tcp()
        .line("Contact: <sip:alice@192.168.0.9:5098;transport=tcp>");
    world.tcp(alice, call.text());
    world.response_at("alice", 100);
    let (_, invite) = world.request_at("bob", "INVITE");
    assert_eq!(record_routes(&invite).len(), 1);
    let ok = response_from(
        &invite,
        200,
        "bob",
        "sip:bob@192.168.0.7:5099;transport=tcp",
    );
    world.tcp(bob, ok.to_bytes());
    let answer = world.response_at("alice", 200);
    world.tcp(alice, inside(&call, "ACK", &answer, call.cseq).text());
    assert_eq!(world.request_at("bob", "ACK").0, bob);
    let bye = from_callee(&mut world, "bob", "BYE", &invite).over_tcp();
    world.tcp(bob, bye.text());
    let (came, bye) = world.request_at("alice", "BYE");
    assert_eq!(came, alice);
    world.tcp(alice, response(&bye, 200, "alice").to_bytes());
    world.response_at("bob", 200);
    world.finish();
}

/// The caller comes back on another connection: its requests still find the callee's.
#[test]
fn a_new_connection_of_the_caller_still_finds_the_callee() {
    let mut world = two();
    let bob = bob_over_tcp(&mut world);
    let alice = world.connect("alice");
    let call = world
        .message("alice", "INVITE", "sip:bob@example.com")
        .over_tcp()
        .line("Contact: <sip:alice@192.168.0.9:5098;transport=tcp>");
    world.tcp(alice, call.text());
    let (_, invite) = world.request_at("bob", "INVITE");
    world.tcp(
        bob,
        response_from(
            &invite,
            200,
            "bob",
            "sip:bob@192.168.0.7:5099;transport=tcp",
        )
        .to_bytes(),
    );
    world.response_at("alice", 100);
    let answer = world.response_at("alice", 200);
    world.close(alice);
    let again = world.connect("alice");
    let bye = inside(&call, "BYE", &answer, call.cseq + 1);
    world.tcp(again, bye.text());
    let (came, bye) = world.request_at("bob", "BYE");
    assert_eq!(came, bob);
    world.tcp(bob, response(&bye, 200, "bob").to_bytes());
    world.response_at("alice", 200);
    world.finish();
}

/// When the stream is gone the Contact is located as any URI.
#[test]
fn a_closed_stream_leaves_the_contact_to_be_located() {
    let mut world = two();
    world.host("bob's port", "10.0.0.3:5099");
    let bob = world.connect("bob");
    let register = world
        .message("bob", "REGISTER", "sip:example.com")
        .to("sip:bob@example.com")
        .over_tcp();
    world.tcp(
        bob,
        register
            .line("Contact: <sip:bob@10.0.0.3:5099;transport=tcp>")
            .text(),
    );
    world.response_at("bob", 200);
    let call = world
        .message("alice", "INVITE", "sip:bob@example.com")
        .line("Contact: <sip:alice@10.0.0.2>");
    world.udp("alice", call.text());
    let (_, invite) = world.request_at("bob", "INVITE");
    world.tcp(
        bob,
        response_from(&invite, 200, "bob", "sip:bob@10.0.0.3:5099;transport=tcp").to_bytes(),
    );
    world.response_at("alice", 100);
    let answer = world.response_at("alice", 200);
    world.close(bob);
    world.udp("alice", inside(&call, "BYE", &answer, call.cseq + 1).text());
    let (flow, bye) = world.request_at("bob's port", "BYE");
    assert!(flow.is_stream() && flow != bob);
    world.reply(flow, response(&bye, 200, "bob").to_bytes());
    world.response_at("alice", 200);
    world.finish();
}

/// RFC 5626 §5.3: a Contact that names no place, and its stream is gone.
#[test]
fn a_closed_stream_to_a_contact_without_a_place_is_430() {
    let mut world = two();
    let bob = world.connect("bob");
    let register = world
        .message("bob", "REGISTER", "sip:example.com")
        .to("sip:bob@example.com")
        .over_tcp();
    world.tcp(
        bob,
        register
            .line("Contact: <sip:bob@df7jal23ls0d.invalid;transport=tcp>")
            .text(),
    );
    world.response_at("bob", 200);
    let call = world
        .message("alice", "INVITE", "sip:bob@example.com")
        .line("Contact: <sip:alice@10.0.0.2>");
    world.udp("alice", call.text());
    let (_, invite) = world.request_at("bob", "INVITE");
    world.tcp(
        bob,
        response_from(
            &invite,
            200,
            "bob",
            "sip:bob@df7jal23ls0d.invalid;transport=tcp",
        )
        .to_bytes(),
    );
    world.response_at("alice", 100);
    let answer = world.response_at("alice", 200);
    world.close(bob);
    world.udp("alice", inside(&call, "BYE", &answer, call.cseq + 1).text());
    world.response_at("alice", 430);
    world.finish();
}

/// A phone behind an address translator is reached by where its datagrams come from.
#[test]
fn datagrams_through_an_address_translator_find_their_way_back() {
    let mut world = two();
    let register = world
        .message("bob", "REGISTER", "sip:example.com")
        .to("sip:bob@example.com");
    let mut register = register.line("Contact: <sip:bob@192.168.1.5:5060>");
    register.via = "SIP/2.0/UDP 192.168.1.5:5060;rport;branch=z9hG4bKnat".to_owned();
    world.udp("bob", register.text());
    world.response_at("bob", 200);
    let call = world
        .message("alice", "INVITE", "sip:bob@example.com")
        .line("Contact: <sip:alice@10.0.0.2>");
    world.udp("alice", call.text());
    world.response_at("alice", 100);
    let (flow, invite) = world.request_at("bob", "INVITE");
    world.reply(
        flow,
        response_from(&invite, 200, "bob", "sip:bob@192.168.1.5:5060").to_bytes(),
    );
    let answer = world.response_at("alice", 200);
    world.udp("alice", inside(&call, "ACK", &answer, call.cseq).text());
    let (_, ack) = world.request_at("bob", "ACK");
    assert_eq!(ack.uri().to_string(), "sip:bob@192.168.1.5:5060");
    world.finish();
}

/// A token is worth something in its dialog only: anything else with a Route of ours is asked about like the first.
#[test]
fn a_route_of_ours_opens_no_door_without_its_dialog() {
    let mut world = World::authenticating();
    world.host("alice", "10.0.0.2:5060");
    world.host("bob", "10.0.0.3:5060");
    world.route = Box::new(|_| Decision::Plan(Plan::to(uri("sip:bob@10.0.0.3"))));
    let mut call = world
        .message("alice", "INVITE", "sip:bob@example.com")
        .line("Contact: <sip:alice@10.0.0.2>");
    call.from = "<sip:zoe@foreign.example>;tag=z".to_owned();
    world.udp("alice", call.text());
    world.response_at("alice", 100);
    let (flow, invite) = world.request_at("bob", "INVITE");
    world.reply(
        flow,
        response_from(&invite, 200, "bob", "sip:bob@10.0.0.3").to_bytes(),
    );
    let answer = world.response_at("alice", 200);
    world.udp("alice", inside(&call, "ACK", &answer, call.cseq).text());
    world.request_at("bob", "ACK");
    let info = inside(&call, "INFO", &answer, call.cseq + 1);
    world.udp("alice", info.text());
    let (flow, passed) = world.request_at("bob", "INFO");
    world.reply(flow, response(&passed, 200, "bob").to_bytes());
    world.response_at("alice", 200);
    let mut stolen = inside(&call, "INFO", &answer, call.cseq + 2);
    stolen.call_id = "another".to_owned();
    stolen.uri = "sip:victim@198.51.100.1".to_owned();
    world.udp("alice", stolen.text());
    world.response_at("alice", 407);
    let mut plain = inside(&call, "INFO", &answer, call.cseq + 3);
    plain.lines = vec!["Route: <sip:10.0.0.1;lr>".to_owned()];
    plain.uri = "sip:victim@198.51.100.1".to_owned();
    world.udp("alice", plain.text());
    world.response_at("alice", 407);
    world.finish();
}

/// PRX-004: RFC 3261 §16.4. A user agent that knows us as its outbound proxy.
#[test]
fn a_preloaded_route_is_taken_off_and_the_request_is_routed_as_usual() {
    let mut world = two();
    world.register("bob", "<sip:bob@10.0.0.3>");
    let message = world
        .message("alice", "MESSAGE", "sip:bob@example.com")
        .line("Route: <sip:10.0.0.1:5060;lr>");
    world.udp("alice", message.text());
    let (flow, request) = world.request_at("bob", "MESSAGE");
    assert!(!request.headers().contains::<Route>());
    world.reply(flow, response(&request, 200, "bob").to_bytes());
    world.response_at("alice", 200);
    world.finish();
}

/// PRX-004: RFC 3261 §16.4: `maddr` that names us goes, with port and transport, if that is how the request came.
#[test]
fn an_maddr_of_ours_is_taken_off() {
    let mut world = World::with(|registrar, proxy| (registrar, proxy.foreign(Foreign::Anyone)));
    world.host("alice", "10.0.0.2:5060");
    world.host("bob", "10.0.0.3:5060");
    world.register("bob", "<sip:bob@10.0.0.3;ours=1>");
    for (to, gets) in [
        (
            "sip:bob@example.com;maddr=10.0.0.1",
            "sip:bob@10.0.0.3;ours=1",
        ),
        (
            "sip:bob@10.0.0.3:5060;maddr=10.0.0.1;transport=udp;x=y",
            "sip:bob@10.0.0.3;x=y",
        ),
        // Meant for somebody else, who has another address.
        (
            "sip:b@example.com;maddr=10.0.0.3",
            "sip:b@example.com;maddr=10.0.0.3",
        ),
    ] {
        let message = world.message("alice", "MESSAGE", to);
        world.udp("alice", message.text());
        let (flow, request) = world.request_at("bob", "MESSAGE");
        assert_eq!(request.uri().to_string(), gets);
        world.reply(flow, response(&request, 200, "bob").to_bytes());
        world.response_at("alice", 200);
    }
    world.finish();
}

/// PRX-003: RFC 3261 §16.4: a strict router upstream has put our Record-Route into the Request-URI.
#[test]
fn a_strict_router_upstream_is_understood() {
    let mut world = two();
    world.register("bob", "<sip:bob@10.0.0.3>");
    let call = world
        .message("alice", "INVITE", "sip:bob@example.com")
        .line("Contact: <sip:alice@10.0.0.2>");
    world.udp("alice", call.text());
    let (flow, invite) = world.request_at("bob", "INVITE");
    world.reply(
        flow,
        response_from(&invite, 200, "bob", "sip:bob@10.0.0.3").to_bytes(),
    );
    world.response_at("alice", 100);
    let answer = world.response_at("alice", 200);
    let mut bye = inside(&call, "BYE", &answer, call.cseq + 1);
    bye.uri = record_routes(&invite)[0].to_string();
    bye.lines = vec!["Route: <sip:bob@10.0.0.3>".to_owned()];
    world.udp("alice", bye.text());
    let (flow, bye) = world.request_at("bob", "BYE");
    assert_eq!(bye.uri().to_string(), "sip:bob@10.0.0.3");
    assert!(!bye.headers().contains::<Route>());
    world.reply(flow, response(&bye, 200, "bob").to_bytes());
    world.response_at("alice", 200);
    world.finish();
}

/// PRX-009: RFC 3261 §16.6 step 6: a next hop without `lr` gets itself as the Request-URI.
#[test]
fn a_strict_router_downstream_gets_what_it_expects() {
    let mut world = World::with(|registrar, proxy| (registrar, proxy.foreign(Foreign::Anyone)));
    world.host("alice", "10.0.0.2:5060");
    world.host("old", "10.0.0.20:5060");
    world.route = Box::new(|request| Decision::Plan(Plan::to(request.uri().clone())));
    let message = world
        .message("alice", "MESSAGE", "sip:bob@example.com")
        .line("Route: <sip:10.0.0.1;lr>, <sip:10.0.0.20>, <sip:10.0.0.21;lr>");
    world.udp("alice", message.text());
    world.nothing_at("alice");
    let (flow, request) = world.request_at("old", "MESSAGE");
    assert_eq!(request.uri().to_string(), "sip:10.0.0.20");
    let routes: Vec<String> = request
        .headers()
        .all::<Route>()
        .map(|route| route.unwrap().uri().to_string())
        .collect();
    assert_eq!(routes, ["sip:10.0.0.21;lr", "sip:bob@example.com"]);
    world.reply(flow, response(&request, 200, "bob").to_bytes());
    world.response_at("alice", 200);
    world.finish();
}

/// PRX-007: RFC 3261 §16.6 step 4: no dialog, no Record-Route; and a plan may say that we do not stay.
#[test]
fn only_what_makes_a_dialog_is_recorded() {
    let mut world = two();
    let stays = std::rc::Rc::new(std::cell::Cell::new(true));
    let says = stays.clone();
    world.route = Box::new(move |_| {
        Decision::Plan(Plan::to(uri("sip:bob@10.0.0.3")).record_route(says.get()))
    });
    for (method, stay, count) in [
        ("INVITE", true, 1),
        ("SUBSCRIBE", true, 1),
        ("X-NEW", true, 1),
        ("MESSAGE", true, 0),
        ("INVITE", false, 0),
    ] {
        stays.set(stay);
        let request = world
            .message("alice", method, "sip:bob@example.com")
            .line("Contact: <sip:alice@10.0.0.2>");
        world.udp("alice", request.text());
        let (flow, request) = world.request_at("bob", method);
        assert_eq!(request.headers().count::<RecordRoute>(), count, "{method}");
        assert_eq!(request.headers().count::<Via>(), 2);
        world.reply(flow, response(&request, 480, "bob").to_bytes());
        world.discard("alice");
        world.discard("bob");
    }
    world.finish();
}
