//! A registrar and a proxy on one socket: who is where.
#![allow(clippy::unwrap_used)] // in a test a panic is the answer

mod harness;

use harness::*;
use sip_message::{
    HeaderName, Request, Response,
    headers::{Contact, Date, Expires, FlowTimer, MinExpires, Require, ServiceRoute, Unsupported},
};
use sip_registrar::Terms;
use std::time::Duration;

/// REG-001 and REG-007: RFC 3665 §2.1.
#[test]
fn a_new_registration_is_challenged_then_accepted() {
    let mut world = World::authenticating();
    world.host("bob", "10.0.0.3:5060");
    let draft = world
        .message("bob", "REGISTER", "sip:example.com")
        .to("sip:bob@example.com");
    let draft = draft.line("Contact: <sip:bob@10.0.0.3:5060>;expires=600");
    world.udp("bob", draft.text());
    let challenge = world.response_at("bob", 401);
    assert!(
        challenge
            .headers()
            .contains_name(&HeaderName::WWW_AUTHENTICATE)
    );
    assert!(challenge.to().unwrap().tag().is_some());
    world.udp(
        "bob",
        with_credentials(&mut client("bob"), &draft, &challenge),
    );
    let accepted = world.response_at("bob", 200);
    let contact = accepted.headers().require::<Contact>().unwrap();
    assert_eq!(contact.uri().to_string(), "sip:bob@10.0.0.3:5060");
    assert_eq!(contact.expires(), Some(Duration::from_secs(600)));
    assert!(accepted.headers().require::<Date>().is_ok());
    world.finish();
}

/// REG-007: RFC 3665 §2.4: a REGISTER without Contact asks.
#[test]
fn a_query_tells_every_binding_with_what_remains() {
    let mut world = two();
    world.register(
        "bob",
        "<sip:bob@10.0.0.3>;expires=100;q=0.5, <sip:bob@10.0.0.9>;expires=200",
    );
    world.wait(seconds(40));
    let query = world
        .message("bob", "REGISTER", "sip:example.com")
        .to("sip:bob@example.com");
    world.udp("bob", query.text());
    let answer = world.response_at("bob", 200);
    let contacts: Vec<Contact> = answer
        .headers()
        .all::<Contact>()
        .map(Result::unwrap)
        .collect();
    let remaining: Vec<u64> = contacts
        .iter()
        .map(|contact| contact.expires().unwrap().as_secs())
        .collect();
    assert_eq!(remaining, [60, 160]);
    assert_eq!(contacts[0].q(), Some(500));
    world.finish();
}

#[test]
fn a_wrong_password_is_refused_and_binds_nothing() {
    let mut world = World::authenticating();
    world.host("bob", "10.0.0.3:5060");
    let draft = world
        .message("bob", "REGISTER", "sip:example.com")
        .to("sip:bob@example.com");
    let draft = draft.line("Contact: <sip:bob@10.0.0.3>");
    world.udp("bob", draft.text());
    let challenge = world.response_at("bob", 401);
    let mut wrong = sip_auth::Client::new([1; 32]);
    wrong.add(sip_auth::Credentials::password("bob", "guess"));
    world.udp("bob", with_credentials(&mut wrong, &draft, &challenge));
    world.discard("bob");
    let bindings = world.stack.command(world.now, |core, cx| {
        core.0.lookup(cx, &uri("sip:bob@example.com"))
    });
    assert_eq!(bindings.map(|bindings| bindings.len()), Some(0));
    assert_eq!(world.stack.core().0.stats().accepted, 0);
    world.finish();
}

/// REG-001 and REG-020: RFC 3261 §10.3 step 4.
#[test]
fn nobody_registers_for_somebody_else() {
    let mut world = World::authenticating();
    world.host("alice", "10.0.0.2:5060");
    let draft = world
        .message("alice", "REGISTER", "sip:example.com")
        .to("sip:bob@example.com");
    let draft = draft.line("Contact: <sip:alice@10.0.0.2>");
    world.udp("alice", draft.text());
    let challenge = world.response_at("alice", 401);
    world.udp(
        "alice",
        with_credentials(&mut client("alice"), &draft, &challenge),
    );
    world.response_at("alice", 403);
    world.finish();
}

/// REG-001, REG-003 and REG-008.
#[test]
fn refusals_say_why() {
    let mut world = World::with(|registrar, proxy| {
        (
            registrar.terms(Terms::new().min_expires(seconds(60)).bindings(2)),
            proxy,
        )
    });
    world.host("bob", "10.0.0.3:5060");
    let mut register = |lines: &[&str], code: u16| {
        let mut draft = world
            .message("bob", "REGISTER", "sip:example.com")
            .to("sip:bob@example.com");
        for line in lines {
            draft = draft.line(line);
        }
        world.udp("bob", draft.text());
        world.response_at("bob", code)
    };
    let brief = register(&["Contact: <sip:bob@10.0.0.3>;expires=30"], 423);
    assert_eq!(
        brief.headers().require::<MinExpires>().unwrap().seconds(),
        60
    );
    register(&["Contact: *"], 400);
    register(&["Contact: <sip:1@h>, <sip:2@h>, <sip:3@h>"], 503);
    let unknown = register(&["Require: telepathy, path"], 420);
    assert_eq!(
        unknown
            .headers()
            .require::<Unsupported>()
            .unwrap()
            .to_string(),
        "telepathy"
    );
    let malformed = register(&["Contact: <sip:bob@[::>"], 400);
    assert!(
        malformed.reason().contains("Contact"),
        "{}",
        malformed.reason()
    );
    world.finish();
}

/// REG-001: RFC 3261 §10.3: of a REGISTER with which everything is wrong, each step refuses before the next one looks.
#[test]
fn the_steps_of_a_registration_come_in_their_order() {
    let mut world = World::authenticating();
    world.host("bob", "10.0.0.3:5060");
    let send = |world: &mut World, uri: &str, to: &str, lines: &[&str]| {
        let mut draft = world.message("bob", "REGISTER", uri).to(to);
        draft.from = format!("<sip:bob@example.com>;tag={}", draft.cseq);
        for line in lines {
            draft = draft.line(line);
        }
        world.udp("bob", draft.text());
        draft
    };
    let (extension, contact) = ("Require: telepathy", "Contact: *");
    let (elsewhere, ours) = ("sip:elsewhere.example", "sip:example.com");
    let (stranger, bob) = ("sip:carol@elsewhere.example", "sip:bob@example.com");
    // The proxy's, which relays for its users alone.
    send(&mut world, elsewhere, stranger, &[extension, contact]);
    world.response_at("bob", 407);
    send(&mut world, ours, stranger, &[extension, contact]);
    world.response_at("bob", 420);
    for (to, status) in [(stranger, 403), (bob, 400)] {
        let draft = send(&mut world, ours, to, &[contact]);
        let challenge = world.response_at("bob", 401);
        let credentials = with_credentials(&mut client("bob"), &draft, &challenge);
        world.udp("bob", credentials);
        world.response_at("bob", status);
    }
    world.finish();
}

/// How many bindings a user has, by a REGISTER that asks.
fn bindings(world: &mut World, name: &str) -> Vec<String> {
    let query = world.message(name, "REGISTER", "sip:example.com");
    let query = query.to(&format!("sip:{name}@example.com"));
    world.udp(name, query.text());
    let answer = world.response_at(name, 200);
    let contacts = answer.headers().all::<Contact>();
    contacts
        .map(|contact| contact.unwrap().to_string())
        .collect()
}

/// REG-005: RFC 3261 §10.3 step 7: what comes out of order fails with 500, and changes nothing.
#[test]
fn an_old_register_changes_nothing() {
    let mut world = two();
    let register = |world: &mut World, number, line: &str, code| {
        let mut draft = world.message("bob", "REGISTER", "sip:example.com");
        draft = draft.to("sip:bob@example.com").line(line);
        // Or it would be the same one by another way (RFC 3261 §8.2.2.2).
        draft.from = format!("<sip:bob@example.com>;tag={}", draft.cseq);
        draft.cseq = number;
        world.udp("bob", draft.text());
        world.response_at("bob", code);
    };
    register(
        &mut world,
        7,
        "Contact: <sip:bob@10.0.0.3>;expires=100",
        200,
    );
    for number in [6, 7] {
        register(
            &mut world,
            number,
            "Contact: <sip:bob@10.0.0.3>;expires=0",
            500,
        );
        let both = "Contact: <sip:new@10.0.0.9>, <sip:bob@10.0.0.3>;expires=60";
        register(&mut world, number, both, 500);
    }
    assert_eq!(
        bindings(&mut world, "bob"),
        ["<sip:bob@10.0.0.3>;expires=100"]
    );
    world.finish();
}

/// REG-006: RFC 3261 §10.3 step 7.
#[test]
fn one_contact_that_cannot_be_read_keeps_out_the_others() {
    let mut world = two();
    for contacts in ["<sip:bob@10.0.0.3>, <sip:bob@[::>", "<sip:bob@10.0.0.3>, *"] {
        let draft = world.message("bob", "REGISTER", "sip:example.com");
        let draft = draft.to("sip:bob@example.com").line("Expires: 0");
        world.udp("bob", draft.line(&format!("Contact: {contacts}")).text());
        world.response_at("bob", 400);
        let draft = world.message("bob", "REGISTER", "sip:example.com");
        let draft = draft.to("sip:bob@example.com");
        world.udp("bob", draft.line(&format!("Contact: {contacts}")).text());
        world.response_at("bob", 400);
    }
    assert!(bindings(&mut world, "bob").is_empty());
    world.finish();
}

/// REG-002: RFC 3261 §10.3 step 5: the user unescaped, the host in any case, no parameters.
#[test]
fn an_address_of_record_is_the_same_however_it_is_written() {
    let mut world = two();
    let register = world.message("bob", "REGISTER", "sip:example.com");
    let register = register.to("sip:%62ob@EXAMPLE.com;x=y");
    world.udp("bob", register.line("Contact: <sip:bob@10.0.0.3>").text());
    world.response_at("bob", 200);
    for uri in ["sip:bob@example.com", "sip:bo%62@Example.Com;a=b"] {
        let message = world.message("alice", "MESSAGE", uri);
        world.udp("alice", message.text());
        let (flow, request) = world.request_at("bob", "MESSAGE");
        world.reply(flow, response(&request, 200, "bob").to_bytes());
        world.response_at("alice", 200);
    }
    // The case of a user counts.
    let other = world.message("alice", "MESSAGE", "sip:BOB@example.com");
    world.udp("alice", other.text());
    world.response_at("alice", 404);
    world.finish();
}

/// REG-009: RFC 3261 §10.3: a registration makes no dialog, so Record-Route means nothing in it.
#[test]
fn a_register_records_no_route() {
    let mut world = two();
    let register = world.message("bob", "REGISTER", "sip:example.com");
    let register = register
        .to("sip:bob@example.com")
        .line("Record-Route: <sip:10.0.0.9;lr>")
        .line("Contact: <sip:bob@10.0.0.3>");
    world.udp("bob", register.text());
    let accepted = world.response_at("bob", 200);
    assert!(!accepted.headers().contains_name(&HeaderName::RECORD_ROUTE));
    let message = world.message("alice", "MESSAGE", "sip:bob@example.com");
    world.udp("alice", message.text());
    let (flow, request) = world.request_at("bob", "MESSAGE");
    assert!(!request.headers().contains_name(&HeaderName::ROUTE));
    world.reply(flow, response(&request, 200, "bob").to_bytes());
    world.response_at("alice", 200);
    world.finish();
}

/// REG-013: RFC 3261 §16.6: who is preferred is asked first, and equals at once.
#[test]
fn preference_orders_the_targets() {
    let mut world = two();
    world.host("desk", "10.0.0.4:5060");
    world.host("cell", "10.0.0.5:5060");
    world.register(
        "bob",
        "<sip:cell@10.0.0.5>;q=0.5, <sip:bob@10.0.0.3>;q=1.0, <sip:desk@10.0.0.4>;q=1.0",
    );
    let call = world
        .message("alice", "INVITE", "sip:bob@example.com")
        .line("Contact: <sip:alice@10.0.0.2>");
    world.udp("alice", call.text());
    world.response_at("alice", 100);
    let ringing = ["bob", "desk"].map(|name| (world.request_at(name, "INVITE"), name));
    world.nothing_at("cell");
    for ((flow, request), name) in ringing {
        world.reply(flow, response(&request, 486, name).to_bytes());
    }
    let (flow, request) = world.request_at("cell", "INVITE");
    world.reply(flow, response(&request, 480, "cell").to_bytes());
    assert_eq!(world.statuses_at("alice"), [486]);
    for name in ["bob", "desk", "cell"] {
        world.discard(name);
    }
    world.finish();
}

/// REG-015: RFC 3608 §6.3: in the order in which it was configured, also for who only asks.
#[test]
fn a_service_route_is_told() {
    let route = ["sip:edge.example.com;lr", "sip:home.example.com;lr"];
    let mut world =
        World::with(|registrar, proxy| (registrar.service_route(route.map(uri)), proxy));
    world.host("bob", "10.0.0.3:5060");
    for contact in ["Contact: <sip:bob@10.0.0.3>", "X-Query: yes"] {
        let draft = world.message("bob", "REGISTER", "sip:example.com");
        let draft = draft.to("sip:bob@example.com").line(contact);
        world.udp("bob", draft.text());
        let accepted = world.response_at("bob", 200);
        let told = accepted.headers().all::<ServiceRoute>();
        let told: Vec<String> = told.map(|route| route.unwrap().uri().to_string()).collect();
        assert_eq!(told, route);
    }
    world.finish();
}

/// REG-001: RFC 3261 §10.3 steps 1 and 5.
#[test]
fn a_stranger_is_not_found_and_another_domain_is_not_ours() {
    let mut world = two();
    let stranger = world
        .message("bob", "REGISTER", "sip:example.com")
        .to("sip:bob@elsewhere.example");
    world.udp("bob", stranger.text());
    world.response_at("bob", 404);
    let elsewhere = world
        .message("bob", "REGISTER", "sip:elsewhere.example")
        .to("sip:bob@elsewhere.example");
    world.udp("bob", elsewhere.text());
    world.response_at("bob", 403);
    world.finish();
}

/// PRX-005: RFC 3261 §16.5.
#[test]
fn who_is_registered_is_called_by_name_or_by_our_own_address() {
    let mut world = two();
    world.register("bob", "<sip:bob@10.0.0.3:5060>");
    for uri in [
        "sip:bob@example.com",
        "sip:bob@EXAMPLE.COM:5060",
        "sip:%62ob@10.0.0.1:5060",
        "sip:bob@10.0.0.1",
    ] {
        let call = world.message("alice", "MESSAGE", uri);
        world.udp("alice", call.text());
        let (flow, request) = world.request_at("bob", "MESSAGE");
        assert_eq!(request.uri().to_string(), "sip:bob@10.0.0.3:5060");
        world.reply(flow, response(&request, 200, "bob").to_bytes());
        world.response_at("alice", 200);
    }
    world.finish();
}

#[test]
fn a_binding_ends_by_its_time_and_by_expires_zero() {
    let mut world = two();
    world.register("bob", "<sip:bob@10.0.0.3:5060>;expires=60");
    world.wait(seconds(61));
    let late = world.message("alice", "OPTIONS", "sip:bob@example.com");
    world.udp("alice", late.text());
    world.response_at("alice", 404);
    world.register("bob", "<sip:bob@10.0.0.3:5060>;expires=60");
    world.register("bob", "<sip:bob@10.0.0.3:5060>;expires=0");
    let gone = world.message("alice", "OPTIONS", "sip:bob@example.com");
    world.udp("alice", gone.text());
    world.response_at("alice", 404);
    world.finish();
}

/// REG-014: RFC 3327 §5.3, §5.4.
#[test]
fn a_path_becomes_the_route_to_the_binding() {
    let mut world = two();
    world.host("edge", "10.0.0.8:5060");
    let register = world
        .message("edge", "REGISTER", "sip:example.com")
        .to("sip:bob@example.com");
    let register = register
        .line("Via: SIP/2.0/UDP 10.0.0.3;branch=z9hG4bKua")
        .line("Path: <sip:10.0.0.8;lr>")
        .line("Contact: <sip:bob@10.0.0.3>");
    world.udp("edge", register.text());
    let accepted = world.response_at("edge", 200);
    assert_eq!(
        accepted.headers().raw(&HeaderName::PATH).unwrap().text(),
        "<sip:10.0.0.8;lr>"
    );
    let call = world.message("alice", "OPTIONS", "sip:bob@example.com");
    world.udp("alice", call.text());
    let (flow, request) = world.request_at("edge", "OPTIONS");
    assert_eq!(request.uri().to_string(), "sip:bob@10.0.0.3");
    assert_eq!(
        request.headers().raw(&HeaderName::ROUTE).unwrap().text(),
        "<sip:10.0.0.8;lr>"
    );
    world.reply(flow, response(&request, 200, "bob").to_bytes());
    world.response_at("alice", 200);
    world.finish();
}

fn outbound_register(world: &mut World, reg_id: u32) -> Request {
    let draft = world
        .message("bob", "REGISTER", "sip:example.com")
        .to("sip:bob@example.com")
        .over_tcp();
    let contact = format!(
        "Contact: <sip:bob@10.0.0.3;transport=tcp>;reg-id={reg_id};+sip.instance=\"<urn:uuid:b>\""
    );
    Request::parse(
        draft
            .line(&contact)
            .line("Supported: outbound, path")
            .text()
            .into(),
    )
    .unwrap()
}

/// REG-016: RFC 5626 §6, §7.
#[test]
fn a_managed_flow_is_the_only_way_and_takes_its_binding_along() {
    let mut world = two();
    let flow = world.connect("bob");
    let register = outbound_register(&mut world, 1);
    world.tcp(flow, register.to_bytes());
    let accepted = world.response_at("bob", 200);
    assert!(
        accepted
            .headers()
            .require::<Require>()
            .unwrap()
            .contains("outbound")
    );
    let call = world.message("alice", "OPTIONS", "sip:bob@example.com");
    world.udp("alice", call.text());
    let (came, request) = world.request_at("bob", "OPTIONS");
    assert_eq!(came, flow);
    world.tcp(flow, response(&request, 200, "bob").to_bytes());
    world.response_at("alice", 200);
    world.close(flow);
    let again = world.message("alice", "OPTIONS", "sip:bob@example.com");
    world.udp("alice", again.text());
    world.response_at("alice", 404);
    world.finish();
}

/// RFC 5626 §4.4.2, §6: a device that finds its flow of datagrams dead binds another one, which takes the old one's place
/// whatever its Contact says.
#[test]
fn a_managed_flow_of_datagrams_is_replaced_by_the_next() {
    let mut world = two();
    // The same device, seen at another port of its address translator.
    world.host("moved", "10.0.0.3:6000");
    let contacts = [("bob", "192.168.1.5:5060"), ("moved", "192.168.7.7:5060")];
    for (from, contact) in contacts {
        let register = world
            .message(from, "REGISTER", "sip:example.com")
            .to("sip:bob@example.com");
        let contact =
            format!("Contact: <sip:bob@{contact}>;reg-id=1;+sip.instance=\"<urn:uuid:b>\"");
        let register = register.line(&contact).line("Supported: outbound, path");
        world.udp(from, register.text());
        let accepted = world.response_at(from, 200);
        let required = accepted.headers().require::<Require>().unwrap();
        assert!(required.contains("outbound"));
        assert_eq!(flow_timer(&accepted), None, "a minute or two is too long");
    }
    let call = world.message("alice", "OPTIONS", "sip:bob@example.com");
    world.udp("alice", call.text());
    let (flow, request) = world.request_at("moved", "OPTIONS");
    world.nothing_at("bob");
    world.reply(flow, response(&request, 200, "bob").to_bytes());
    world.response_at("alice", 200);
    world.finish();
}

fn flow_timer(response: &Response) -> Option<Duration> {
    let timer = response.headers().get::<FlowTimer>();
    timer.map(|timer| timer.unwrap().duration())
}

/// RFC 5626 §5.4, §6: the registrar says how often it wants a sign of life, and acts on it.
#[test]
fn a_managed_flow_without_signs_of_life_is_closed_and_its_binding_goes() {
    let mut world = two();
    let flow = world.connect("bob");
    let register = outbound_register(&mut world, 1);
    world.tcp(flow, register.to_bytes());
    let accepted = world.response_at("bob", 200);
    assert_eq!(flow_timer(&accepted), Some(Duration::from_secs(120)));
    for _ in 0..3 {
        world.wait(Duration::from_secs(120));
        world.tcp(flow, "\r\n\r\n");
    }
    world.wait(Duration::from_secs(151));
    assert!(world.is_open(flow));
    world.wait(Duration::from_secs(1));
    assert!(!world.is_open(flow));
    let call = world.message("alice", "OPTIONS", "sip:bob@example.com");
    world.udp("alice", call.text());
    world.response_at("alice", 404);
    world.finish();
}

#[test]
fn who_is_bound_to_its_flow_no_more_owes_no_sign_of_life() {
    let mut world = two();
    let flow = world.connect("bob");
    let register = outbound_register(&mut world, 1);
    world.tcp(flow, register.to_bytes());
    world.response_at("bob", 200);
    let mut unregister = outbound_register(&mut world, 1);
    unregister.headers_mut().set(Expires(0));
    world.tcp(flow, unregister.to_bytes());
    let removed = world.response_at("bob", 200);
    assert!(removed.headers().get::<Contact>().is_none());
    assert_eq!(flow_timer(&removed), None);
    world.wait(Duration::from_secs(300));
    assert!(world.is_open(flow));
    world.finish();
}

/// RFC 5626 §5.1, §6: behind an edge proxy that says `ob` the flow is the edge's, and so is its Flow-Timer.
#[test]
fn behind_an_edge_with_outbound_the_flow_is_the_edges() {
    let mut world = two();
    let draft = world
        .message("bob", "REGISTER", "sip:example.com")
        .to("sip:bob@example.com");
    let draft = draft
        .line("Via: SIP/2.0/TCP 10.0.0.77;branch=z9hG4bKua")
        .line("Path: <sip:flow@10.0.0.3;lr;ob>")
        .line("Contact: <sip:bob@10.0.0.77>;reg-id=1;+sip.instance=\"<urn:uuid:b>\"")
        .line("Supported: outbound, path");
    world.udp("bob", draft.text());
    let accepted = world.response_at("bob", 200);
    let required = accepted.headers().require::<Require>().unwrap();
    assert!(required.contains("outbound"));
    assert_eq!(flow_timer(&accepted), None);
    world.finish();
}

/// REG-017: RFC 5626 §6.
#[test]
fn a_reg_id_behind_an_edge_without_outbound_is_439() {
    let mut world = two();
    let draft = world
        .message("bob", "REGISTER", "sip:example.com")
        .to("sip:bob@example.com");
    let draft = draft
        .line("Via: SIP/2.0/UDP 10.0.0.77;branch=z9hG4bKua")
        .line("Contact: <sip:bob@10.0.0.77>;reg-id=1;+sip.instance=\"<urn:uuid:b>\"")
        .line("Supported: outbound");
    world.udp("bob", draft.text());
    world.response_at("bob", 439);
    world.finish();
}

#[test]
fn a_retransmitted_register_gets_the_same_answer() {
    let mut world = two();
    let draft = world
        .message("bob", "REGISTER", "sip:example.com")
        .to("sip:bob@example.com");
    let draft = draft.line("Contact: <sip:bob@10.0.0.3>");
    world.udp("bob", draft.text());
    let first = world.response_at("bob", 200);
    world.udp("bob", draft.text());
    assert_eq!(world.response_at("bob", 200).to_bytes(), first.to_bytes());
    world.finish();
}
