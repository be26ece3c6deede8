//! Whose request it is: challenges, credentials, and secrets that are kept elsewhere.
#![allow(clippy::unwrap_used)] // in a test a panic is the answer
#![allow(clippy::disallowed_methods)] // a test needs an instant to start from

mod harness;

use harness::*;
use sip_message::HeaderName;
use sip_proxy::{Event, Plan};

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
    let call = world.invite("sip:bob@example.com");
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
