//! What is checked before a request is relayed (RFC 3261 §16.3), and what is said to it.
#![allow(clippy::unwrap_used)] // in a test a panic is the answer
#![allow(clippy::disallowed_methods)] // a test needs an instant to start from

mod harness;

use harness::*;
use sip_message::{
    Request, Uri,
    headers::{MaxBreadth, MaxForwards, Unsupported, Via},
};
use sip_proxy::Plan;

/// PRX-001: RFC 3261 §16.3 step 1: what routing needs must be readable.
#[test]
fn what_cannot_be_read_is_400() {
    let mut world = two();
    world.register("bob", "<sip:bob@10.0.0.3>");
    let draft = |world: &mut World| world.message("alice", "MESSAGE", "sip:bob@example.com");
    let route = draft(&mut world).line("Route: <sip:10.0.0.1;lr");
    let required = draft(&mut world).line("Proxy-Require: a b");
    let hops = draft(&mut world).max_forwards("many");
    for (request, field) in [
        (route, "Route"),
        (required, "Proxy-Require"),
        (hops, "Max-Forwards"),
    ] {
        world.udp("alice", request.text());
        let refused = world.response_at("alice", 400);
        assert!(refused.reason().contains(field), "{}", refused.reason());
    }
    world.nothing_at("bob");
    world.finish();
}

/// PRX-002: RFC 3261 §16.6 step 3: who said nothing of hops gets 70.
#[test]
fn a_request_without_max_forwards_gets_one() {
    let mut world = two();
    world.register("bob", "<sip:bob@10.0.0.3>");
    let message = world.message("alice", "MESSAGE", "sip:bob@example.com");
    world.udp("alice", message.text().replace("Max-Forwards: 70\r\n", ""));
    let (flow, request) = world.request_at("bob", "MESSAGE");
    let hops = request.headers().require::<MaxForwards>().unwrap();
    assert_eq!(hops, MaxForwards(70));
    world.reply(flow, response(&request, 200, "bob").to_bytes());
    world.response_at("alice", 200);
    world.finish();
}

/// PRX-001 and PRX-002: RFC 3261 §16.3 step 3.
#[test]
fn no_hops_left_is_483_and_one_is_enough() {
    let mut world = two();
    world.register("bob", "<sip:bob@10.0.0.3>");
    let none = world
        .message("alice", "MESSAGE", "sip:bob@example.com")
        .max_forwards("0");
    world.udp("alice", none.text());
    world.response_at("alice", 483);
    let one = world
        .message("alice", "MESSAGE", "sip:bob@example.com")
        .max_forwards("1");
    world.udp("alice", one.text());
    let (flow, request) = world.request_at("bob", "MESSAGE");
    assert_eq!(
        request.headers().require::<MaxForwards>().unwrap(),
        MaxForwards(0)
    );
    world.reply(flow, response(&request, 200, "bob").to_bytes());
    world.response_at("alice", 200);
    world.finish();
}

/// PRX-001: RFC 3261 §16.3 step 2; PRX-018: step 5, and Require is not for proxies.
#[test]
fn unknown_schemes_and_extensions_are_refused_and_require_is_not_ours() {
    let mut world = two();
    world.register("bob", "<sip:bob@10.0.0.3>");
    for uri in ["nobodyKnowsThisScheme:totallyopaque", "tel:+15551234"] {
        let scheme = world.message("alice", "OPTIONS", uri);
        world.udp("alice", scheme.text());
        world.response_at("alice", 416);
    }
    let required = world
        .message("alice", "OPTIONS", "sip:bob@example.com")
        .line("Proxy-Require: telepathy, foresight");
    world.udp("alice", required.text());
    let refused = world.response_at("alice", 420);
    assert_eq!(
        refused
            .headers()
            .require::<Unsupported>()
            .unwrap()
            .iter()
            .collect::<Vec<_>>(),
        ["telepathy", "foresight"]
    );
    let ignored = world
        .message("alice", "PING", "sip:bob@example.com")
        .line("Require: telepathy");
    world.udp("alice", ignored.text());
    let (flow, request) = world.request_at("bob", "PING");
    world.reply(flow, response(&request, 200, "bob").to_bytes());
    world.response_at("alice", 200);
    world.finish();
}

/// PRX-001, PRX-008 and PRX-021: RFC 5393 §4.2: the same request again is a loop, by what ends our branch, and the same
/// user under another name a spiral.
#[test]
fn a_loop_is_482_and_a_spiral_passes() {
    let mut world = two();
    world.host("mirror", "10.0.0.9:5060");
    world.register("bob", "<sip:bob@10.0.0.9>");
    let call = world.message("alice", "MESSAGE", "sip:bob@example.com");
    world.udp("alice", call.text());
    let (_, request) = world.request_at("mirror", "MESSAGE");
    let again = |request: &Request, uri: &str| {
        let mut copy = request.clone();
        copy.set_uri(Uri::parse(uri).unwrap());
        let via = Via::new("UDP", sip_message::Host::parse("10.0.0.9").unwrap(), None);
        copy.headers_mut()
            .push_front(via.with_branch(&format!("z9hG4bKmirror{}", uri.len())));
        copy
    };
    world.udp("mirror", again(&request, "sip:bob@example.com").to_bytes());
    let looped = world.response_at("mirror", 482);
    assert_eq!(looped.headers().count::<Via>(), 3);
    world.host("carol", "10.0.0.4:5060");
    world.register("carol", "<sip:bob@10.0.0.3>");
    world.udp(
        "mirror",
        again(&request, "sip:carol@example.com").to_bytes(),
    );
    let (flow, spiral) = world.request_at("bob", "MESSAGE");
    assert_eq!(spiral.headers().count::<Via>(), 4);
    world.reply(flow, response(&spiral, 200, "bob").to_bytes());
    let mut back = world.response_at("mirror", 200);
    back.headers_mut().pop_front::<Via>();
    world.udp("mirror", back.to_bytes());
    world.response_at("alice", 200);
    assert_eq!(world.stack.core().1.stats().looped, 1);
    world.finish();
}

/// PRX-022: RFC 5393 §5.3.3.
#[test]
fn breadth_is_added_capped_and_divided() {
    let mut world = two();
    world.host("carol", "10.0.0.4:5060");
    let both = || Plan::at_once([uri("sip:bob@10.0.0.3"), uri("sip:carol@10.0.0.4")]);
    world.route = Box::new(move |_| Decision::Plan(both()));
    for (line, shares) in [
        ("X: y", [30, 30]),
        ("Max-Breadth: 5", [3, 2]),
        ("Max-Breadth: 1000", [30, 30]),
    ] {
        let message = world
            .message("alice", "MESSAGE", "sip:group@example.com")
            .line(line);
        world.udp("alice", message.text());
        for (name, share) in ["bob", "carol"].into_iter().zip(shares) {
            let (flow, request) = world.request_at(name, "MESSAGE");
            assert_eq!(
                request.headers().require::<MaxBreadth>().unwrap(),
                MaxBreadth(share),
                "{line}"
            );
            world.reply(flow, response(&request, 486, name).to_bytes());
        }
        world.response_at("alice", 486);
    }
    let serial = world
        .message("alice", "MESSAGE", "sip:group@example.com")
        .line("Max-Breadth: 1");
    world.udp("alice", serial.text());
    let (flow, request) = world.request_at("bob", "MESSAGE");
    world.nothing_at("carol");
    world.reply(flow, response(&request, 486, "bob").to_bytes());
    let (flow, request) = world.request_at("carol", "MESSAGE");
    world.reply(flow, response(&request, 200, "carol").to_bytes());
    world.response_at("alice", 200);
    let none = world
        .message("alice", "MESSAGE", "sip:group@example.com")
        .line("Max-Breadth: 0");
    world.udp("alice", none.text());
    world.response_at("alice", 440);
    world.finish();
}

#[test]
fn options_for_the_proxy_itself_is_answered() {
    let mut world = two();
    for uri in [
        "sip:10.0.0.1",
        "sip:example.com",
        "sip:10.0.0.1:5060;transport=udp",
    ] {
        let ping = world.message("alice", "OPTIONS", uri);
        world.udp("alice", ping.text());
        world.response_at("alice", 200);
    }
    let foreign = world.message("alice", "OPTIONS", "sip:10.0.0.1:9");
    world.udp("alice", foreign.text());
    world.response_at("alice", 403);
    world.finish();
}
