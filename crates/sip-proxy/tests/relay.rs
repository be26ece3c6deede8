//! One request through the proxy: what is checked, what is changed, what is answered.
#![allow(clippy::unwrap_used)] // in a test a panic is the answer
#![allow(clippy::disallowed_methods)] // a test needs an instant to start from

mod harness;

use harness::*;
use sip_message::{
    HeaderName, Request, Uri,
    headers::{MaxBreadth, MaxForwards, RecordRoute, Unsupported, Via, Warning},
};
use sip_proxy::{Event, Foreign, Plan, Target};

fn two() -> World {
    let mut world = World::new();
    world.host("alice", "10.0.0.2:5060");
    world.host("bob", "10.0.0.3:5060");
    world
}

fn invite(world: &mut World, uri: &str) -> Draft {
    world
        .message("alice", "INVITE", uri)
        .line("Contact: <sip:alice@10.0.0.2>")
}

/// RFC 3665 §3.2, with one proxy. PRX-007: our Record-Route brings ACK and BYE back. PRX-011: a 100 ends here. PRX-019:
/// the ACK to the 2xx goes on.
#[test]
fn a_call_through_the_proxy() {
    let mut world = two();
    world.register("bob", "<sip:bob@10.0.0.3>");
    let call = invite(&mut world, "sip:bob@example.com");
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
    let call = invite(&mut world, "sip:bob@example.com")
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

/// PRX-001: RFC 3261 §16.3 step 6. The relay policy: whoever says to be of ours shows it, and a stranger reaches only our
/// own users.
#[test]
fn users_of_ours_authenticate_and_strangers_reach_only_our_users() {
    let mut world = World::authenticating();
    world.host("alice", "10.0.0.2:5060");
    world.host("bob", "10.0.0.3:5060");
    world.route = Box::new(|_| Decision::Plan(Plan::to(uri("sip:bob@10.0.0.3"))));
    let draft = world.message("alice", "MESSAGE", "sip:anyone@foreign.example");
    world.udp("alice", draft.text());
    let challenge = world.response_at("alice", 407);
    world.udp(
        "alice",
        with_credentials(&mut client("alice"), &draft, &challenge),
    );
    let (flow, request) = world.request_at("bob", "MESSAGE");
    assert!(
        !request
            .headers()
            .contains_name(&HeaderName::PROXY_AUTHORIZATION),
        "what was for us stays here"
    );
    assert_eq!(world.asked[0].2.as_deref(), Some("alice"));
    world.reply(flow, response(&request, 200, "bob").to_bytes());
    world.response_at("alice", 200);

    let mut stranger = world.message("alice", "MESSAGE", "sip:bob@example.com");
    stranger.from = "<sip:zoe@foreign.example>;tag=z".to_owned();
    world.udp("alice", stranger.text());
    let (flow, request) = world.request_at("bob", "MESSAGE");
    assert_eq!(world.asked[1].2, None);
    world.reply(flow, response(&request, 200, "bob").to_bytes());
    world.response_at("alice", 200);

    let mut relayed = world.message("alice", "MESSAGE", "sip:x@elsewhere.example");
    relayed.from = "<sip:zoe@foreign.example>;tag=z".to_owned();
    world.udp("alice", relayed.text());
    world.response_at("alice", 407);
    assert_eq!(world.asked.len(), 2);
    world.finish();
}

/// AUT-009: RFC 3261 §22.3: what was for the next proxy goes on to it.
#[test]
fn credentials_for_another_realm_go_on() {
    let mut world = World::authenticating();
    world.host("alice", "10.0.0.2:5060");
    world.host("bob", "10.0.0.3:5060");
    world.route = Box::new(|_| Decision::Plan(Plan::to(uri("sip:bob@10.0.0.3"))));
    let next = "Digest username=\"alice\", realm=\"next.example\", nonce=\"n\", uri=\"sip:b\", response=\"0\"";
    let draft = world.message("alice", "MESSAGE", "sip:bob@example.com");
    let draft = draft.line(&format!("Proxy-Authorization: {next}"));
    world.udp("alice", draft.text());
    let challenge = world.response_at("alice", 407);
    let wire = with_credentials(&mut client("alice"), &draft, &challenge);
    assert_eq!(
        String::from_utf8_lossy(&wire)
            .matches("Proxy-Authorization")
            .count(),
        2
    );
    world.udp("alice", &wire);
    let (flow, request) = world.request_at("bob", "MESSAGE");
    let left = request.headers().raw_all(&HeaderName::PROXY_AUTHORIZATION);
    let left: Vec<String> = left.map(|value| value.text().into_owned()).collect();
    assert_eq!(left, [next]);
    world.reply(flow, response(&request, 200, "bob").to_bytes());
    world.response_at("alice", 200);
    world.finish();
}

#[test]
fn nobody_calls_in_somebody_elses_name() {
    let mut world = World::authenticating();
    world.host("alice", "10.0.0.2:5060");
    let mut draft = world.message("alice", "MESSAGE", "sip:carol@example.com");
    draft.from = "<sip:bob@example.com>;tag=b".to_owned();
    world.udp("alice", draft.text());
    let challenge = world.response_at("alice", 407);
    world.udp(
        "alice",
        with_credentials(&mut client("alice"), &draft, &challenge),
    );
    world.response_at("alice", 403);
    assert!(world.asked.is_empty());
    world.finish();
}

/// AUT-008: RFC 3261 §22.1, TRAPS 3: nobody could answer for them.
#[test]
fn ack_and_cancel_are_never_challenged() {
    let mut world = World::authenticating();
    world.host("alice", "10.0.0.2:5060");
    world.host("bob", "10.0.0.3:5060");
    world.route = Box::new(|_| Decision::Plan(Plan::to(uri("sip:bob@10.0.0.3"))));
    let begin = |world: &mut World| {
        let call = invite_with_credentials(world);
        world.response_at("alice", 100);
        let (flow, request) = world.request_at("bob", "INVITE");
        let retry = Draft {
            via: format!("{}auth", call.via),
            cseq: call.cseq + 1,
            ..call
        };
        (retry, flow, request)
    };

    let (call, flow, request) = begin(&mut world);
    let ok = response_from(&request, 200, "bob", "sip:bob@10.0.0.3");
    world.reply(flow, ok.to_bytes());
    let answer = world.response_at("alice", 200);
    world.udp("alice", inside(&call, "ACK", &answer, call.cseq).text());
    world.request_at("bob", "ACK");
    // Nor is one that belongs to nothing.
    let stray = world.message("alice", "ACK", "sip:bob@example.com");
    world.udp("alice", stray.text());
    world.nothing_at("alice");
    world.discard("bob");

    let (call, flow, request) = begin(&mut world);
    world.reply(flow, response(&request, 180, "bob").to_bytes());
    world.response_at("alice", 180);
    let cancel = Draft {
        method: "CANCEL".to_owned(),
        ..call
    };
    world.udp("alice", cancel.text());
    world.response_at("alice", 200);
    let (flow, cancel) = world.request_at("bob", "CANCEL");
    world.reply(flow, response(&cancel, 200, "bob").to_bytes());
    let stray = world.message("alice", "CANCEL", "sip:bob@example.com");
    world.udp("alice", stray.text());
    world.response_at("alice", 481);
}

fn asking() -> World {
    let mut world = World::with(|registrar, proxy| {
        let digest = sip_auth::Digest::realm("example.com").algorithms([sip_auth::Algorithm::Md5]);
        let clock = sip_io::WallClock {
            at: std::time::Instant::now(),
            is: std::time::SystemTime::UNIX_EPOCH,
        };
        (
            registrar,
            proxy.authenticate_asking(sip_auth::Server::new(digest, [5; 32], clock)),
        )
    });
    world.host("alice", "10.0.0.2:5060");
    world.host("bob", "10.0.0.3:5060");
    world.route = Box::new(|_| Decision::Plan(Plan::to(uri("sip:bob@10.0.0.3"))));
    world
}

/// Sends an INVITE, acknowledges its challenge, and sends it again with credentials; returns the first.
fn invite_with_credentials(world: &mut World) -> Draft {
    let call = invite(world, "sip:bob@example.com");
    world.udp("alice", call.text());
    let challenge = world.response_at("alice", 407);
    let ack = Draft {
        method: "ACK".to_owned(),
        to: challenge.to().unwrap().to_string(),
        ..call.clone()
    };
    world.udp("alice", ack.text());
    let wire = with_credentials(&mut client("alice"), &call, &challenge);
    world.udp("alice", &wire);
    call
}

/// Sends an INVITE with credentials, and returns the question about their secret.
fn secret_needed(world: &mut World) -> (Draft, sip_proxy::SecretId) {
    let call = invite_with_credentials(world);
    let Some(Event::SecretNeeded { id, user, .. }) = world.events.pop_back() else {
        panic!("asked")
    };
    assert_eq!(user, "alice");
    let via = format!("{}auth", call.via);
    (
        Draft {
            via,
            cseq: call.cseq + 1,
            ..call
        },
        id,
    )
}

#[test]
fn a_secret_from_elsewhere_lets_the_request_go_on() {
    let mut world = asking();
    let (_, id) = secret_needed(&mut world);
    world.nothing_at("bob");
    let secret = sip_auth::Secret::password("alice");
    world.stack.command(world.now, |core, cx| {
        core.1.provide_secret(cx, id, Ok(Some(secret)))
    });
    world.settle();
    assert_eq!(world.asked[0].2.as_deref(), Some("alice"));
    let (flow, request) = world.request_at("bob", "INVITE");
    world.reply(flow, response(&request, 486, "bob").to_bytes());
    world.discard("alice");
    world.discard("bob");
    world.finish();
}

#[test]
fn a_request_that_waits_for_a_secret_is_cancelled_refused_or_forgotten() {
    let mut world = asking();
    let (call, id) = secret_needed(&mut world);
    world.udp(
        "alice",
        Draft {
            method: "CANCEL".to_owned(),
            ..call
        }
        .text(),
    );
    assert_eq!(world.statuses_at("alice"), [200, 487]);
    world.stack.command(world.now, |core, cx| {
        core.1.provide_secret(cx, id, Ok(None))
    });
    world.settle();
    world.nothing_at("alice");
    let (_, id) = secret_needed(&mut world);
    world.stack.command(world.now, |core, cx| {
        core.1.provide_secret(cx, id, Ok(None))
    });
    world.settle();
    assert_eq!(world.statuses_at("alice"), [407]);
    let (_, id) = secret_needed(&mut world);
    world.stack.command(world.now, |core, cx| {
        core.1
            .provide_secret(cx, id, Err("no connection".to_owned()))
    });
    world.settle();
    assert_eq!(world.statuses_at("alice"), [500]);
    assert!(world.asked.is_empty());
    world.finish();
}

#[test]
fn a_secret_that_does_not_come_is_500() {
    let mut world = asking();
    secret_needed(&mut world);
    world.wait(seconds(29));
    assert_eq!(world.statuses_at("alice"), [100]);
    world.wait(ms(1_100));
    assert_eq!(world.statuses_at("alice")[0], 500);
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
    let call = invite(&mut world, "sip:bob@example.com");
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
    let call = invite(&mut world, "sip:bob@10.0.0.3");
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
    let call = invite(&mut world, "sip:bob@example.com");
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
    let call = invite(&mut world, "sip:bob@example.com");
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
        let call = invite(&mut world, "sip:bob@example.com");
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
    let call = invite(&mut world, "sip:bob@example.com");
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
    let call = invite(&mut world, "sip:bob@example.com");
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
    let call = invite(&mut world, "sips:bob@example.com");
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
    let call = invite(&mut world, "sip:bob@example.com");
    world.udp("alice", call.text());
    world.response_at("alice", 100);
    world.response_at("alice", 480);
    world.nothing_at("bob");
}
