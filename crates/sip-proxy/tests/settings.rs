//! What a plan and a proxy may be told to do otherwise than RFC 3261 says where it leaves no choice, and where it does.
#![allow(clippy::unwrap_used)] // in a test a panic is the answer

mod harness;

use harness::{forks::*, *};
use sip_endpoint::Timers;
use sip_message::{HeaderName, Request, Response, StatusCode};
use sip_proxy::{
    CancelUnanswered, Candidate, Event, Plan, ProxyConfig, ProxyId, RelayError, Target,
    UnmatchedCancel,
};
use std::time::Duration;

/// Both are asked at once and answer with these codes, bob first; what the caller gets.
fn outcome(plan: impl Fn() -> Plan + 'static, bob: u16, carol: u16) -> Response {
    let mut world = three(plan);
    let call = invite(&mut world);
    for (name, code) in [("bob", bob), ("carol", carol)] {
        let (flow, request) = world.request_at(name, "INVITE");
        let challenge = match code {
            401 => Some((HeaderName::WWW_AUTHENTICATE, "Digest")),
            407 => Some((HeaderName::PROXY_AUTHENTICATE, "Digest")),
            503 => Some((HeaderName::RETRY_AFTER, "60")),
            _ => None,
        };
        let mut answer = response(&request, code, name);
        if let Some((header, value)) = challenge {
            let value = format!("{value} realm={name}, nonce=1");
            let value = if code == 503 { "60" } else { &value };
            let value = sip_message::HeaderValue::new(value).unwrap();
            answer.headers_mut().push_raw(header, value);
        }
        world.reply(flow, answer.to_bytes());
        world.request_at(name, "ACK");
    }
    let (_, message) = world.take("alice").unwrap();
    let sip_message::Message::Response(best) = message else {
        panic!("a response")
    };
    world.udp("alice", ack(&call, &best).text());
    world.finish();
    best
}

/// PRX-013: RFC 3261 §16.7 step 6, at the caller's end: a 6xx, else one of the lowest class, and of the 4xx one that says
/// how to try again.
#[test]
fn the_best_response_is_that_of_the_table() {
    for (bob, carol, best) in [
        (486, 603, 603),
        (302, 404, 302),
        (503, 404, 404),
        (486, 401, 401),
        (486, 407, 407),
        (404, 415, 415),
        (486, 420, 420),
        (404, 484, 484),
        (503, 504, 504),
    ] {
        let chosen = [(bob, carol), (carol, bob)].map(|(a, b)| outcome(at_once, a, b).status());
        assert_eq!(
            chosen.map(|status| status.as_u16()),
            [best; 2],
            "{bob}, {carol}"
        );
    }
}

/// PRX-013. Kamailio's `remap_503_500`.
#[test]
fn a_503_may_stay_one() {
    let is = |plan: fn() -> Plan, code, retry| {
        let best = outcome(plan, 503, 503);
        assert_eq!(best.status(), code);
        assert_eq!(
            best.headers().contains_name(&HeaderName::RETRY_AFTER),
            retry
        );
    };
    is(at_once, 500, false);
    is(|| at_once().pass_503(true), 503, true);
}

/// AUT-010: RFC 3261 §16.7 step 7. Kamailio's `aggregate_challenges`.
#[test]
fn challenges_may_come_one_by_one() {
    let realms = |plan: fn() -> Plan| {
        let best = outcome(plan, 401, 407);
        assert_eq!(best.status(), 401);
        let names = [HeaderName::WWW_AUTHENTICATE, HeaderName::PROXY_AUTHENTICATE];
        names.map(|name| best.headers().raw_all(&name).count())
    };
    assert_eq!(realms(at_once), [1, 1]);
    assert_eq!(realms(|| at_once().aggregate_challenges(false)), [1, 0]);
}

/// Kamailio's `faked_reply_prio`, and any other order.
#[test]
fn an_order_of_ones_own_chooses_the_best_response() {
    let best = |plan: fn() -> Plan, bob, carol| outcome(plan, bob, carol).status();
    assert_eq!(best(at_once, 404, 486), 486);
    assert_eq!(best(|| at_once().rank(not_found_first), 404, 486), 404);
    assert_eq!(best(|| at_once().rank(not_found_first), 486, 404), 404);
    assert_eq!(best(|| at_once().rank(not_found_first), 486, 480), 486);
}

fn not_found_first(candidate: &Candidate<'_>) -> u32 {
    match candidate.status() {
        StatusCode::NOT_FOUND => 0,
        _ => candidate.rank(),
    }
}

/// Our finding that nobody answered has no response.
#[test]
fn an_own_finding_is_told_from_a_response() {
    for (plan, best) in [(at_once as fn() -> Plan, 480), (own_findings_first, 408)] {
        let mut world = three(plan);
        let call = invite(&mut world);
        let (flow, bob) = world.request_at("bob", "INVITE");
        refuse(&mut world, flow, &bob, 480, "bob");
        world.wait(seconds(33));
        world.discard("carol");
        fail(&mut world, &call, best);
        world.finish();
    }
}

fn own_findings_first() -> Plan {
    at_once().rank(|candidate| match candidate.response() {
        Some(_) => candidate.rank(),
        None => 0,
    })
}

fn relay(world: &mut World, id: ProxyId, plan: Plan) {
    world
        .stack
        .command(world.now, |core, cx| core.1.relay(cx, id, plan))
        .unwrap();
    world.settle();
}

/// PRX-014: RFC 3261 §16.5: who was in the target set once gets no second copy, whatever a redirection says.
#[test]
fn no_target_is_tried_twice() {
    let again = "sip:%62ob@10.0.0.3;x=1";
    let plans: [fn() -> Plan; 2] = [
        || Plan::at_once([uri(BOB), uri("sip:%62ob@10.0.0.3;x=1"), uri(CAROL)]),
        || in_order().then(uri("sip:%62ob@10.0.0.3;x=1")),
    ];
    for plan in plans {
        let mut world = three(plan);
        let call = invite(&mut world);
        let (flow, bob) = world.request_at("bob", "INVITE");
        world.nothing_at("bob");
        refuse(&mut world, flow, &bob, 480, "bob");
        let (flow, carol) = world.request_at("carol", "INVITE");
        refuse(&mut world, flow, &carol, 486, "carol");
        world.nothing_at("bob");
        fail(&mut world, &call, 486);
        world.finish();
    }

    let mut world = three(|| Plan::to(uri(BOB)).hold_failure(true));
    let call = invite(&mut world);
    let (flow, bob) = world.request_at("bob", "INVITE");
    refuse(&mut world, flow, &bob, 302, "bob");
    let Some(Event::RelayFailed { id, .. }) = world.events.pop_front() else {
        panic!("held")
    };
    // Contacts that lead to whoever gave them.
    relay(&mut world, id, Plan::in_order([uri(again), uri(BOB)]));
    world.nothing_at("bob");
    fail(&mut world, &call, 302);
    world.finish();
}

/// A plan that has nobody new is an empty target set (RFC 3261 §16.5), and one that forgets may begin again.
#[test]
fn who_was_tried_may_be_forgotten() {
    let mut world = three(|| Plan::to(uri(BOB)).hold_failure(true));
    let call = invite(&mut world);
    let (flow, bob) = world.request_at("bob", "INVITE");
    refuse(&mut world, flow, &bob, 503, "bob");
    let held = |world: &mut World| match world.events.pop_front() {
        Some(Event::RelayFailed { id, response }) => (id, response.status().as_u16()),
        other => panic!("{other:?}"),
    };
    let (id, status) = held(&mut world);
    assert_eq!(status, 500);
    relay(&mut world, id, Plan::to(uri(BOB)).hold_failure(true));
    world.nothing_at("bob");
    let (id, status) = held(&mut world);
    assert_eq!(status, 480);
    relay(&mut world, id, Plan::to(uri(BOB)).forget_earlier(true));
    let (flow, bob) = world.request_at("bob", "INVITE");
    refuse(&mut world, flow, &bob, 486, "bob");
    fail(&mut world, &call, 486);
    world.finish();
}

/// Kamailio's `failure_reply_mode` and `t_drop_replies`.
#[test]
fn what_earlier_plans_came_to_may_be_forgotten() {
    for (forget, best) in [(false, 302), (true, 480)] {
        let mut world = three(|| Plan::to(uri(BOB)).hold_failure(true));
        let call = invite(&mut world);
        let (flow, bob) = world.request_at("bob", "INVITE");
        refuse(&mut world, flow, &bob, 302, "bob");
        let Some(Event::RelayFailed { id, .. }) = world.events.pop_front() else {
            panic!("held")
        };
        relay(&mut world, id, Plan::to(uri(CAROL)).forget_earlier(forget));
        let (flow, carol) = world.request_at("carol", "INVITE");
        refuse(&mut world, flow, &carol, 480, "carol");
        fail(&mut world, &call, best);
        world.finish();
    }
}

fn ring(world: &mut World, flow: sip_io::Flow, request: &Request, code: u16) {
    world.reply(flow, response(request, code, "bob").to_bytes());
}

/// Kamailio's `restart_fr_on_each_reply`.
#[test]
fn timer_c_may_run_from_the_first_provisional_response_on() {
    let mut world = three(|| Plan::to(uri(BOB)).restart_timer_c(false));
    let call = invite(&mut world);
    let (flow, bob) = world.request_at("bob", "INVITE");
    world.wait(seconds(20));
    world.discard("bob");
    ring(&mut world, flow, &bob, 180);
    world.wait(seconds(180));
    ring(&mut world, flow, &bob, 180);
    world.wait(seconds(4));
    world.nothing_at("bob");
    world.wait(seconds(2));
    world.discard("alice");
    obey(&mut world, "bob", &bob);
    fail(&mut world, &call, 408);
    world.finish();
}

/// Kamailio's `relay_100` and `pass_provisional_replies`.
#[test]
fn provisional_responses_may_be_told_and_100_handed_on() {
    let mut world = three(|| Plan::to(uri(BOB)).relay_100(true).tell_provisional(true));
    let call = invite(&mut world);
    let (flow, bob) = world.request_at("bob", "INVITE");
    ring(&mut world, flow, &bob, 100);
    world.response_at("alice", 100);
    ring(&mut world, flow, &bob, 183);
    world.response_at("alice", 183);
    let told: Vec<_> = world.events.drain(..).collect();
    let told: Vec<_> = told
        .iter()
        .map(|event| match event {
            Event::Provisional { uri, response, .. } => {
                assert_eq!(response.via().unwrap().host_raw(), b"10.0.0.2");
                (uri.to_string(), response.status().as_u16())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, [(BOB.to_owned(), 100), (BOB.to_owned(), 183)]);
    refuse(&mut world, flow, &bob, 486, "bob");
    fail(&mut world, &call, 486);
    world.finish();
}

/// Kamailio's `max_inv_lifetime`: the end of all, beside how long each may ring.
#[test]
fn a_plan_has_a_deadline_for_all_its_targets() {
    let mut world = three(|| {
        let plan = in_order().then(uri("sip:bob@10.0.0.3:5060"));
        let plan = plan.ring_for(seconds(20));
        plan.deadline(seconds(30))
    });
    let call = invite(&mut world);
    let (flow, bob) = world.request_at("bob", "INVITE");
    ring(&mut world, flow, &bob, 180);
    world.response_at("alice", 180);
    world.wait(seconds(21));
    obey(&mut world, "bob", &bob);
    let (flow, carol) = world.request_at("carol", "INVITE");
    world.reply(flow, response(&carol, 180, "carol").to_bytes());
    world.response_at("alice", 180);
    world.wait(seconds(8));
    world.nothing_at("carol");
    world.wait(seconds(2));
    obey(&mut world, "carol", &carol);
    fail(&mut world, &call, 408);
    world.nothing_at("bob");
    world.finish();
}

/// Kamailio's `t_set_fr` and `t_set_retr` in a branch route.
#[test]
fn a_branch_may_have_timers_of_its_own() {
    let mut world = three(|| {
        let hasty = Timers::default().t1(ms(100)).give_up_after(seconds(2));
        let hasty = Target::new(uri(BOB)).timers(hasty.c(seconds(200)));
        Plan::to(hasty).then(uri(CAROL))
    });
    let call = invite(&mut world);
    world.request_at("bob", "INVITE");
    world.wait(ms(100));
    world.request_at("bob", "INVITE");
    world.wait(seconds(2));
    world.discard("bob");
    world.request_at("carol", "INVITE");
    world.wait(ms(399));
    world.nothing_at("carol");
    world.wait(ms(2));
    let (flow, carol) = world.request_at("carol", "INVITE");
    refuse(&mut world, flow, &carol, 486, "carol");
    fail(&mut world, &call, 486);

    let call = invite(&mut world);
    let (flow, bob) = world.request_at("bob", "INVITE");
    ring(&mut world, flow, &bob, 180);
    world.response_at("alice", 180);
    world.wait(seconds(199));
    world.nothing_at("bob");
    world.wait(seconds(2));
    obey(&mut world, "bob", &bob);
    world.discard("carol");
    world.wait(seconds(33));
    world.discard("carol");
    fail(&mut world, &call, 408);
    world.finish();
}

/// A plan that was in time has no deadline left, and neither has the one after it.
#[test]
fn a_deadline_ends_with_its_plan() {
    let mut world = three(|| Plan::to(uri(BOB)).deadline(seconds(10)).hold_failure(true));
    let call = invite(&mut world);
    let (flow, bob) = world.request_at("bob", "INVITE");
    refuse(&mut world, flow, &bob, 486, "bob");
    let Some(Event::RelayFailed { id, .. }) = world.events.pop_front() else {
        panic!("held")
    };
    relay(&mut world, id, Plan::to(uri(CAROL)));
    let (flow, carol) = world.request_at("carol", "INVITE");
    world.reply(flow, response(&carol, 180, "carol").to_bytes());
    world.response_at("alice", 180);
    world.wait(seconds(60));
    world.nothing_at("carol");
    refuse(&mut world, flow, &carol, 480, "carol");
    fail(&mut world, &call, 486);
    world.finish();
}

/// Kamailio's `t_set_fr`, while targets ring or are silent.
#[test]
fn how_long_targets_may_ring_or_be_silent_is_changed_under_way() {
    let mut world = three(in_order);
    world.route = Box::new(|_| Decision::Later);
    let call = invite(&mut world);
    let id = world.asked[0].0;
    let set = |world: &mut World, silent: bool, time| {
        let result = world.stack.command(world.now, |core, cx| match silent {
            true => core.1.set_timeout(cx, id, seconds(time)),
            false => core.1.set_ring_for(cx, id, seconds(time)),
        });
        world.settle();
        result
    };
    assert_eq!(set(&mut world, true, 3), Err(RelayError::NotRelayed));
    assert_eq!(set(&mut world, false, 3), Err(RelayError::NotRelayed));
    relay(&mut world, id, in_order());
    world.request_at("bob", "INVITE");
    assert_eq!(set(&mut world, true, 3), Ok(()));
    world.wait(seconds(4));
    world.discard("bob");
    let (flow, carol) = world.request_at("carol", "INVITE");
    world.discard("carol");
    world.reply(flow, response(&carol, 180, "carol").to_bytes());
    world.response_at("alice", 180);
    assert_eq!(set(&mut world, false, 5), Ok(()));
    world.wait(seconds(6));
    obey(&mut world, "carol", &carol);
    fail(&mut world, &call, 408);
    assert_eq!(set(&mut world, false, 5), Err(RelayError::Gone));
    world.finish();
}

/// As [`three`], with a proxy that is made so.
fn configured(
    configure: impl FnOnce(ProxyConfig) -> ProxyConfig,
    plan: impl Fn() -> Plan + 'static,
) -> World {
    let mut world = World::with(|registrar, proxy| (registrar, configure(proxy)));
    world.host("alice", "10.0.0.2:5060");
    world.host("bob", "10.0.0.3:5060");
    world.host("carol", "10.0.0.4:5060");
    world.route = Box::new(move |_| Decision::Plan(plan()));
    world
}

/// Kamailio's `unmatched_cancel`; RFC 3261 §16.10.
#[test]
fn a_cancel_for_an_unknown_invite_is_refused_or_handed_on_or_dropped() {
    let cancel_to = |world: &mut World, uri: &str| {
        let cancel = world.message("alice", "CANCEL", uri);
        world.udp("alice", cancel.text());
    };
    let mut world = configured(
        |proxy| proxy.unmatched_cancel(UnmatchedCancel::Refuse),
        at_once,
    );
    cancel_to(&mut world, BOB);
    world.response_at("alice", 481);
    world.nothing_at("bob");
    world.finish();

    let mut world = configured(
        |proxy| proxy.unmatched_cancel(UnmatchedCancel::Forward),
        at_once,
    );
    cancel_to(&mut world, BOB);
    let (flow, cancel) = world.request_at("bob", "CANCEL");
    assert_eq!(cancel.headers().count::<sip_message::headers::Via>(), 2);
    world.reply(flow, response(&cancel, 200, "bob").to_bytes());
    world.response_at("alice", 200);
    // Nobody but who knows the INVITE knows where our own users are called.
    cancel_to(&mut world, "sip:bob@example.com");
    world.response_at("alice", 481);
    world.finish();

    let mut world = configured(
        |proxy| proxy.unmatched_cancel(UnmatchedCancel::Drop),
        at_once,
    );
    cancel_to(&mut world, BOB);
    world.wait(seconds(40));
    world.nothing_at("alice");
    world.nothing_at("bob");
    assert_eq!(world.stack.core().1.stats().cancels_dropped, 1);
    assert_eq!(world.stack.endpoint().stats().server_transactions, 0);
    world.finish();
}

/// Kamailio's `cancel_b_method`.
#[test]
fn a_branch_that_said_nothing_is_waited_for_or_given_up_or_cancelled_at_once() {
    let start = |how| {
        let mut world = configured(|proxy| proxy.cancel_unanswered(how), || Plan::to(uri(BOB)));
        let call = invite(&mut world);
        let (flow, bob) = world.request_at("bob", "INVITE");
        world.udp("alice", cancel(&call).text());
        world.response_at("alice", 200);
        (world, call, flow, bob)
    };
    let (mut world, call, flow, bob) = start(CancelUnanswered::Wait);
    world.nothing_at("alice");
    world.nothing_at("bob");
    ring(&mut world, flow, &bob, 180);
    world.response_at("alice", 180);
    obey(&mut world, "bob", &bob);
    fail(&mut world, &call, 487);
    world.finish();

    let (mut world, call, flow, bob) = start(CancelUnanswered::GiveUp);
    fail(&mut world, &call, 487);
    world.nothing_at("bob");
    ring(&mut world, flow, &bob, 180);
    obey(&mut world, "bob", &bob);
    world.nothing_at("alice");
    world.finish();

    let (mut world, call, _, bob) = start(CancelUnanswered::AtOnce);
    obey(&mut world, "bob", &bob);
    fail(&mut world, &call, 487);
    world.finish();
}

/// A 6xx ends the others; who has said nothing is not waited for where that is set.
#[test]
fn who_is_given_up_holds_up_nobody() {
    let give_up = |proxy: ProxyConfig| proxy.cancel_unanswered(CancelUnanswered::GiveUp);
    let mut world = configured(give_up, at_once);
    let call = invite(&mut world);
    let (flow, bob) = world.request_at("bob", "INVITE");
    let (late, carol) = world.request_at("carol", "INVITE");
    refuse(&mut world, flow, &bob, 603, "bob");
    fail(&mut world, &call, 603);
    // The race that this setting opens: the call goes nowhere.
    world.reply(late, response_from(&carol, 200, "carol", CAROL).to_bytes());
    world.nothing_at("alice");
    assert_eq!(world.stack.core().1.stats().dropped_responses, 1);
    world.finish();
}

/// Kamailio's `auto_inv_100` and `t_set_auto_inv_100`.
#[test]
fn a_100_comes_at_once_or_later_or_when_the_decider_says() {
    let ask = |after| {
        let mut world = configured(|proxy| proxy.trying_after(after), at_once);
        world.route = Box::new(|_| Decision::Later);
        let call = world
            .message("alice", "INVITE", "sip:group@example.com")
            .line("Contact: <sip:alice@10.0.0.2>");
        world.udp("alice", call.text());
        (world, call)
    };
    let (mut world, _) = ask(Some(ms(300)));
    world.wait(ms(299));
    world.nothing_at("alice");
    world.wait(ms(2));
    world.response_at("alice", 100);

    let (mut world, _) = ask(None);
    world.wait(seconds(20));
    world.nothing_at("alice");

    let (mut world, _) = ask(None);
    let id = world.asked[0].0;
    let set = world.stack.command(world.now, |core, cx| {
        core.1
            .set_trying_after(cx, id, Some(Duration::from_secs(1)))
    });
    assert_eq!(set, Ok(()));
    world.wait(seconds(1));
    world.response_at("alice", 100);

    let (mut world, _) = ask(Some(Duration::ZERO));
    world.response_at("alice", 100);
}

/// Kamailio's `e2e_cancel_reason` and `local_cancel_reason`, each for itself.
#[test]
fn reasons_of_others_and_of_ourselves_are_said_apart() {
    let reason_of = |configure: fn(ProxyConfig) -> ProxyConfig, asked: bool| {
        let mut world = configured(configure, || Plan::to(uri(BOB)).ring_for(seconds(5)));
        let call = invite(&mut world);
        let (flow, bob) = world.request_at("bob", "INVITE");
        ring(&mut world, flow, &bob, 180);
        world.response_at("alice", 180);
        if asked {
            let cancel = cancel(&call).line("Reason: SIP;cause=200");
            world.udp("alice", cancel.text());
            world.response_at("alice", 200);
        } else {
            world.wait(seconds(6));
        }
        let reason = obey(&mut world, "bob", &bob);
        fail(&mut world, &call, if asked { 487 } else { 408 });
        world.finish();
        reason.is_some()
    };
    for asked in [false, true] {
        assert!(reason_of(|proxy| proxy, asked));
        assert_eq!(
            reason_of(|proxy| proxy.hand_on_reason(false), asked),
            !asked
        );
        assert_eq!(reason_of(|proxy| proxy.cancel_reason(false), asked), asked);
    }
}

/// Kamailio's `default_code`, `reply_408_code` and their reasons.
#[test]
fn what_the_proxy_says_by_itself_may_be_something_else() {
    let own = |proxy: ProxyConfig| {
        proxy.own_status(|status| match status {
            StatusCode::REQUEST_TIMEOUT => Some((
                StatusCode::TEMPORARILY_UNAVAILABLE,
                Some("Gone fishing".to_owned()),
            )),
            StatusCode::TOO_MANY_HOPS => Some((StatusCode::SERVER_INTERNAL_ERROR, None)),
            // No refusal: as it is.
            StatusCode::SERVER_INTERNAL_ERROR => Some((StatusCode::OK, None)),
            _ => None,
        })
    };
    let mut world = configured(own, || Plan::to(uri(BOB)));
    let call = invite(&mut world);
    world.wait(seconds(33));
    world.discard("bob");
    let late = fail(&mut world, &call, 480);
    assert_eq!(late.reason(), "Gone fishing");
    world.discard("alice");
    let looping = world.message("alice", "MESSAGE", BOB).max_forwards("0");
    world.udp("alice", looping.text());
    world.response_at("alice", 500);
    world.route = Box::new(|_| Decision::Later);
    let call = invite(&mut world);
    world.wait(seconds(31));
    fail(&mut world, &call, 500);
    world.discard("alice");
    // What somebody else says stays.
    world.route = Box::new(|_| Decision::Plan(Plan::to(uri(BOB))));
    let call = invite(&mut world);
    let (flow, bob) = world.request_at("bob", "INVITE");
    refuse(&mut world, flow, &bob, 408, "bob");
    fail(&mut world, &call, 408);
    world.finish();
}
