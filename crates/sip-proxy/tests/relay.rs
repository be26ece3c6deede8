//! One request through the proxy: what is changed, what is answered.
#![allow(clippy::unwrap_used)] // in a test a panic is the answer
#![allow(clippy::disallowed_methods)] // a test needs an instant to start from

mod harness;

use harness::*;
use sip_message::{
    HeaderName,
    headers::{MaxForwards, RecordRoute, Via, Warning},
};
use sip_proxy::{Event, Foreign, Plan, Target};

/// RFC 3665 §3.2, with one proxy. PRX-007: our Record-Route brings ACK and BYE back. PRX-011: a 100 ends here. PRX-019:
/// the ACK to the 2xx goes on.
#[test]
fn a_call_through_the_proxy() {
    let mut world = two();
    world.register("bob", "<sip:bob@10.0.0.3>");
    let call = world.invite("sip:bob@example.com");
    world.udp("alice", call.text());
    world.response_at("alice", 100);
    let (flow, request) = world.request_at("bob", "INVITE");
    assert_eq!(request.uri().to_string(), "sip:bob@10.0.0.3");
    assert_eq!(request.headers().count::<Via>(), 2);
    assert_eq!(
        request.headers().require::<MaxForwards>().unwrap(),
        MaxForwards(69)
    );
    assert_eq!(request.headers().count::<RecordRoute>(), 1);
    world.reply(flow, response(&request, 100, "bob").to_bytes());
    world.nothing_at("alice");
    world.reply(flow, response(&request, 180, "bob").to_bytes());
    let ringing = world.response_at("alice", 180);
    assert_eq!(ringing.headers().count::<Via>(), 1);
    let ok = response_from(&request, 200, "bob", "sip:bob@10.0.0.3");
    world.reply(flow, ok.to_bytes());
    let answer = world.response_at("alice", 200);
    let ack = inside(&call, "ACK", &answer, call.cseq);
    world.udp("alice", ack.text());
    let (_, ack) = world.request_at("bob", "ACK");
    assert_eq!(ack.uri().to_string(), "sip:bob@10.0.0.3");
    assert!(!ack.headers().contains_name(&HeaderName::ROUTE));
    let bye = from_callee(&mut world, "bob", "BYE", &request);
    world.udp("bob", bye.text());
    let (flow, bye) = world.request_at("alice", "BYE");
    assert_eq!(bye.uri().to_string(), "sip:alice@10.0.0.2");
    assert!(!bye.headers().contains_name(&HeaderName::ROUTE));
    world.reply(flow, response(&bye, 200, "alice").to_bytes());
    world.response_at("bob", 200);
    assert_eq!(world.asked.len(), 1, "only the INVITE was a question");
    world.finish();
}

/// PRX-006: RFC 3261 §16.6: a copy differs from what came in the lines that the rules name, and PRX-026: §16.7: a response
/// in our Via alone. All else stands where it stood.
#[test]
fn what_the_rules_do_not_name_stays_where_it_is() {
    let mut world = two();
    world.route = Box::new(|_| Decision::Plan(Plan::to(uri("sip:bob@10.0.0.3"))));
    let call = world
        .invite("sip:bob@example.com")
        .line("Record-Route: <sip:10.0.0.77;lr>")
        .line("X-Unknown: 1, 2")
        .line("s: é \" ,;\"")
        .line("x-unknown:3")
        .line("Content-Type: application/x-odd");
    let body = "\0a\r\n\r\nB: c\r\n";
    let length = format!("Content-Length: {}\r\n\r\n{body}", body.len());
    let sent = call.text().replace("Content-Length: 0\r\n\r\n", &length);
    world.udp("alice", &sent);
    world.response_at("alice", 100);
    let (flow, request) = world.request_at("bob", "INVITE");
    let unnamed = |text: &str, names: &[&str]| -> Vec<String> {
        let lines = text.split("\r\n").skip(1);
        let named = |line: &&str| !names.iter().any(|name| line.starts_with(name));
        lines.filter(named).map(str::to_owned).collect()
    };
    let ours = [
        "Via: ",
        "Max-Forwards: ",
        "Max-Breadth: ",
        "Record-Route: <sip:AA",
    ];
    let copy = String::from_utf8(request.to_bytes().to_vec()).unwrap();
    assert_eq!(unnamed(&copy, &ours), unnamed(&sent, &ours));
    assert!(copy.ends_with(&format!("\r\n\r\n{body}")), "{copy}");

    let mut answer = response_from(&request, 183, "bob", "sip:bob@10.0.0.3;x=y");
    for line in ["<sip:10.0.0.78>;x", "\"a, b\" <sip:c@d>"] {
        let value = sip_message::HeaderValue::new(line).unwrap();
        answer.headers_mut().push_raw(HeaderName::SUBJECT, value);
    }
    let said = String::from_utf8(answer.to_bytes().to_vec()).unwrap();
    world.reply(flow, &said);
    let heard = world.response_at("alice", 183);
    let heard = String::from_utf8(heard.to_bytes().to_vec()).unwrap();
    assert!(said.contains("Record-Route: <sip:10.0.0.77;lr>"), "{said}");
    assert_eq!(unnamed(&heard, &["Via: "]), unnamed(&said, &["Via: "]));
    world.discard("bob");
    world.finish();
}

#[test]
fn what_a_proxy_does_not_own_crosses_byte_for_byte() {
    let mut world = two();
    world.register("bob", "<sip:bob@10.0.0.3>");
    let odd = "X-Odd:\t a ,b;  \"c,d\"\r\n folded";
    let message = world
        .message("alice", "MESSAGE", "sip:bob@example.com")
        .line(odd)
        .line("m: <sip:x@y>;a=b");
    world.udp("alice", message.text());
    let (flow, request) = world.request_at("bob", "MESSAGE");
    let text = String::from_utf8(request.to_bytes().to_vec()).unwrap();
    assert!(
        text.contains(&format!("{odd}\r\n")) && text.contains("\r\nm: <sip:x@y>;a=b\r\n"),
        "{text}"
    );
    world.reply(flow, response(&request, 202, "bob").to_bytes());
    world.response_at("alice", 202);
    world.finish();
}

/// An ACK is never answered, and without a way it is dropped.
#[test]
fn a_stray_ack_is_dropped_or_goes_to_the_default_target() {
    let mut world = two();
    let ack = world.message("alice", "ACK", "sip:service@10.0.0.1:5060");
    world.udp("alice", ack.text());
    world.nothing_at("alice");
    assert_eq!(world.stack.core().1.stats().acks_dropped, 1);
    world.finish();

    let mut world =
        World::with(|registrar, proxy| (registrar, proxy.default_target(uri("sip:10.0.0.3:5060"))));
    world.host("alice", "10.0.0.2:5060");
    world.host("bob", "10.0.0.3:5060");
    let ack = world.message("alice", "ACK", "sip:service@10.0.0.1:5060");
    world.udp("alice", ack.text());
    let (_, ack) = world.request_at("bob", "ACK");
    assert_eq!(ack.uri().to_string(), "sip:service@10.0.0.3:5060");
    let mut bye = world.message("alice", "BYE", "sip:service@10.0.0.1:5060");
    bye.to.push_str(";tag=bob");
    world.udp("alice", bye.text());
    let (flow, bye) = world.request_at("bob", "BYE");
    assert_eq!(bye.uri().to_string(), "sip:service@10.0.0.3:5060");
    world.reply(flow, response(&bye, 200, "bob").to_bytes());
    world.response_at("alice", 200);
    assert!(
        world.asked.is_empty(),
        "inside a dialog nothing is looked up"
    );
    world.finish();
}

/// A To tag alone makes no request one inside a dialog: without our Route only ACK and BYE are followed, and anything
/// else is a question like any other.
#[test]
fn a_made_up_to_tag_opens_no_way_to_the_default_target() {
    for method in ["INVITE", "MESSAGE", "REFER"] {
        let mut world = World::with(|registrar, proxy| {
            (registrar, proxy.default_target(uri("sip:10.0.0.3:5060")))
        });
        world.host("alice", "10.0.0.2:5060");
        world.host("bob", "10.0.0.3:5060");
        world.route = Box::new(|_| Decision::Later);
        let mut request = world.message("alice", method, "sip:900@10.0.0.1:5060");
        request.to.push_str(";tag=x");
        world.udp("alice", request.text());
        world.nothing_at("bob");
        assert_eq!(world.asked.len(), 1, "{method}");
    }
}

/// PRX-016: RFC 3261 §9.2. By §16.10 it would go on statelessly, because the INVITE may have gone so. Here none does: what
/// went on has a branch that only its context knows, so a copy would mean nothing to anybody.
#[test]
fn a_cancel_that_matches_nothing_is_481() {
    let mut world = two();
    let cancel = world.message("alice", "CANCEL", "sip:bob@example.com");
    world.udp("alice", cancel.text());
    world.response_at("alice", 481);
    world.finish();
}

#[test]
fn a_decision_that_does_not_come_is_500() {
    let mut world = two();
    world.route = Box::new(|_| Decision::Later);
    let call = world.invite("sip:bob@example.com");
    world.udp("alice", call.text());
    world.response_at("alice", 100);
    world.wait(seconds(29));
    world.nothing_at("alice");
    world.wait(seconds(2));
    world.response_at("alice", 500);
    let id = world.asked[0].0;
    let late = world.stack.command(world.now, |core, cx| {
        core.1.relay(cx, id, Plan::to(uri("sip:b@10.0.0.3")))
    });
    assert_eq!(late, Err(sip_proxy::RelayError::Gone));
    world.finish();
}

/// PRX-019: RFC 3261 §17.1.1.3: the ACK to a failure is for this hop, although it names the next one.
#[test]
fn the_ack_to_a_failure_ends_here() {
    let mut world = World::with(|registrar, proxy| (registrar, proxy.foreign(Foreign::Anyone)));
    world.host("alice", "10.0.0.2:5060");
    world.host("bob", "10.0.0.3:5060");
    let call = world.invite("sip:bob@10.0.0.3");
    world.udp("alice", call.text());
    world.response_at("alice", 100);
    let (flow, request) = world.request_at("bob", "INVITE");
    forks::refuse(&mut world, flow, &request, 486, "bob");
    forks::fail(&mut world, &call, 486);
    world.nothing_at("bob");
    world.nothing_at("alice");
    world.finish();
}

/// PRX-010: RFC 3261 §16.7 step 3: what has no Via left but ours was for nobody upstream.
#[test]
fn a_response_without_another_via_does_not_go_on() {
    let mut world = two();
    world.route = Box::new(|_| Decision::Plan(Plan::to(uri("sip:bob@10.0.0.3"))));
    let call = world.invite("sip:bob@example.com");
    world.udp("alice", call.text());
    world.response_at("alice", 100);
    let (flow, mut request) = world.request_at("bob", "INVITE");
    let ours = request.via().unwrap();
    request.headers_mut().pop_front::<Via>();
    request.headers_mut().pop_front::<Via>();
    request.headers_mut().push_front(ours);
    for code in [183, 180, 486] {
        world.reply(flow, response(&request, code, "bob").to_bytes());
        if code < 200 {
            world.nothing_at("alice");
        }
    }
    // The branch has failed, and what it said is not told.
    let refused = world.response_at("alice", 502);
    assert_eq!(refused.headers().count::<Via>(), 1);
    world.discard("bob");
    world.finish();
}

/// PRX-005: RFC 3261 §16.5: who is not of our domain is the only target, and stays as named; who is may have bindings.
#[test]
fn another_domain_is_its_own_target_and_ours_has_a_location_service() {
    let mut world = World::with(|registrar, proxy| (registrar, proxy.foreign(Foreign::Anyone)));
    world.host("alice", "10.0.0.2:5060");
    world.host("bob", "10.0.0.3:5060");
    world.register("bob", "<sip:bob@10.0.0.3;x=y>");
    for (to, gets) in [
        ("sip:bob@example.com", "sip:bob@10.0.0.3;x=y"),
        ("sip:carol@10.0.0.3;a=b", "sip:carol@10.0.0.3;a=b"),
        (
            "sip:bob@10.0.0.1;maddr=10.0.0.3",
            "sip:bob@10.0.0.1;maddr=10.0.0.3",
        ),
    ] {
        let message = world.message("alice", "MESSAGE", to);
        world.udp("alice", message.text());
        let (flow, request) = world.request_at("bob", "MESSAGE");
        assert_eq!(request.uri().to_string(), gets);
        world.reply(flow, response(&request, 200, "bob").to_bytes());
        world.response_at("alice", 200);
    }
    let nobody = world.message("alice", "MESSAGE", "sip:nobody@example.com");
    world.udp("alice", nobody.text());
    world.response_at("alice", 404);
    world.finish();
}

/// RFC 4320 §4.2.
#[test]
fn a_silent_target_leaves_a_request_other_than_invite_unanswered() {
    let mut world = two();
    world.register("bob", "<sip:bob@10.0.0.3>");
    let message = world.message("alice", "MESSAGE", "sip:bob@example.com");
    world.udp("alice", message.text());
    world.wait(seconds(40));
    assert_eq!(world.statuses_at("alice"), [100]);
    world.discard("bob");
    assert!(matches!(
        world.events.pop_back(),
        Some(Event::Abandoned { .. })
    ));
    world.finish();
}

#[test]
fn a_target_that_cannot_be_reached_is_500_and_no_503() {
    let mut world = two();
    world.route = Box::new(|_| Decision::Plan(Plan::to(uri("sip:bob@10.0.0.99;transport=tcp"))));
    let call = world.invite("sip:bob@example.com");
    world.udp("alice", call.text());
    world.response_at("alice", 100);
    world.response_at("alice", 500);
    world.finish();
}

/// PRX-029: RFC 3261 §16.9: a branch that cannot be sent has failed, and the call goes on without it.
#[test]
fn who_cannot_be_reached_does_not_hold_up_the_others() {
    let dead = || uri("sip:bob@10.0.0.99;transport=tcp");
    let plans: [fn() -> Plan; 2] = [
        || Plan::in_order(["sip:b@10.0.0.99;transport=tcp", "sip:bob@10.0.0.3"].map(uri)),
        || Plan::at_once(["sip:b@10.0.0.99;transport=tcp", "sip:bob@10.0.0.3"].map(uri)),
    ];
    for plan in plans {
        let mut world = two();
        world.route = Box::new(move |_| Decision::Plan(plan()));
        let call = world.invite("sip:bob@example.com");
        world.udp("alice", call.text());
        world.response_at("alice", 100);
        let (flow, request) = world.request_at("bob", "INVITE");
        world.nothing_at("alice");
        let ok = response_from(&request, 200, "bob", "sip:bob@10.0.0.3");
        world.reply(flow, ok.to_bytes());
        let answer = world.response_at("alice", 200);
        world.udp("alice", inside(&call, "ACK", &answer, call.cseq).text());
        world.request_at("bob", "ACK");
        world.finish();
    }
    // As a 503 would: of two failures the other one is told.
    let mut world = two();
    world.route =
        Box::new(move |_| Decision::Plan(Plan::at_once([dead(), uri("sip:bob@10.0.0.3")])));
    let call = world.invite("sip:bob@example.com");
    world.udp("alice", call.text());
    world.response_at("alice", 100);
    let (flow, request) = world.request_at("bob", "INVITE");
    world.reply(flow, response(&request, 504, "bob").to_bytes());
    world.response_at("alice", 504);
    world.discard("bob");
    world.finish();
}

#[test]
fn a_device_that_cannot_be_reached_is_480() {
    let mut world = two();
    world.route = Box::new(|_| {
        let gone = Target::new(uri("sip:bob@10.0.0.99;transport=tcp")).binding();
        Decision::Plan(Plan::to(gone))
    });
    let call = world.invite("sip:bob@example.com");
    world.udp("alice", call.text());
    world.response_at("alice", 100);
    world.response_at("alice", 480);
    world.finish();
}

#[test]
fn requests_are_bounded() {
    let mut world = World::with(|registrar, proxy| (registrar, proxy.requests(2)));
    world.host("alice", "10.0.0.2:5060");
    world.route = Box::new(|_| Decision::Later);
    for _ in 0..2 {
        let call = world.message("alice", "MESSAGE", "sip:bob@example.com");
        world.udp("alice", call.text());
    }
    let third = world.message("alice", "MESSAGE", "sip:bob@example.com");
    world.udp("alice", third.text());
    world.response_at("alice", 503);
    assert_eq!(world.stack.core().1.stats().refused, 1);
    world.finish();
}

/// PRX-023: RFC 5630 §5.3: who asked for `sips` does not get less.
#[test]
fn a_sips_request_is_not_handed_on_by_sip() {
    let mut world = two();
    world.register("bob", "<sip:bob@10.0.0.3>");
    let call = world.invite("sips:bob@example.com");
    world.udp("alice", call.text());
    world.response_at("alice", 100);
    let refused = world.response_at("alice", 480);
    assert!(refused.headers().count::<Via>() == 1);
    let warning = refused.headers().get::<Warning>().unwrap().unwrap();
    assert_eq!((warning.code(), warning.agent()), (380, "example.com"));
    world.nothing_at("bob");
}

/// PRX-023: RFC 5630 §5.3: nor does a `sip` request go in clear text to who has a `sips` Contact.
#[test]
fn a_sips_contact_is_not_reached_in_clear_text() {
    let mut world = two();
    world.register("bob", "<sips:bob@10.0.0.3>");
    let call = world.invite("sip:bob@example.com");
    world.udp("alice", call.text());
    world.response_at("alice", 100);
    world.response_at("alice", 480);
    world.nothing_at("bob");
}
