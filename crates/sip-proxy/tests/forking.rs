//! Several targets: at once, in order, and what crosses on the way (RFC 3261 §16.7 to §16.10).
#![allow(clippy::unwrap_used)] // in a test a panic is the answer

mod harness;

use harness::{forks::*, *};
use sip_endpoint::Timers;
use sip_message::{StatusCode, headers::Via};
use sip_proxy::{Event, Plan, ProxyId, RelayError};

/// PRX-008: each copy has a branch of its own. PRX-012: RFC 3261 §16.7 step 10.
#[test]
fn the_first_2xx_wins_and_the_others_are_cancelled() {
    let mut world = three(at_once);
    let call = invite(&mut world);
    let (bob_flow, bob) = world.request_at("bob", "INVITE");
    let (carol_flow, carol) = world.request_at("carol", "INVITE");
    assert_ne!(bob.via().unwrap().branch(), carol.via().unwrap().branch());
    world.reply(bob_flow, response(&bob, 180, "bob").to_bytes());
    world.reply(carol_flow, response(&carol, 183, "carol").to_bytes());
    world.response_at("alice", 180);
    world.response_at("alice", 183);
    world.reply(bob_flow, response_from(&bob, 200, "bob", BOB).to_bytes());
    let answer = world.response_at("alice", 200);
    obey(&mut world, "carol", &carol);
    world.nothing_at("alice");
    world.udp("alice", inside(&call, "ACK", &answer, call.cseq).text());
    world.request_at("bob", "ACK");
    assert!(matches!(
        world.events[0],
        Event::Answered {
            status: StatusCode::OK,
            ..
        }
    ));
    world.finish();
}

/// PRX-011: RFC 3261 §16.7 step 5: CANCEL and 200 cross, and both calls exist.
#[test]
fn a_second_2xx_goes_upstream_too() {
    let mut world = three(at_once);
    let call = invite(&mut world);
    let (bob_flow, bob) = world.request_at("bob", "INVITE");
    let (carol_flow, carol) = world.request_at("carol", "INVITE");
    world.reply(carol_flow, response(&carol, 180, "carol").to_bytes());
    world.response_at("alice", 180);
    world.reply(bob_flow, response_from(&bob, 200, "bob", BOB).to_bytes());
    world.response_at("alice", 200);
    world.reply(
        carol_flow,
        response_from(&carol, 200, "carol", CAROL).to_bytes(),
    );
    let second = world.response_at("alice", 200);
    assert_eq!(second.to().unwrap().tag().unwrap(), "carol");
    let (flow, request) = world.request_at("carol", "CANCEL");
    world.reply(flow, response(&request, 200, "carol").to_bytes());
    let bye = inside(&call, "BYE", &second, call.cseq + 100);
    world.udp("alice", bye.text());
    let (flow, bye) = world.request_at("carol", "BYE");
    world.reply(flow, response(&bye, 200, "carol").to_bytes());
    world.response_at("alice", 200);
    world.finish();
}

#[test]
fn the_best_of_all_failures_is_sent_when_the_last_is_in() {
    let mut world = three(at_once);
    let call = invite(&mut world);
    let (flow, bob) = world.request_at("bob", "INVITE");
    refuse(&mut world, flow, &bob, 404, "bob");
    world.nothing_at("alice");
    let (flow, carol) = world.request_at("carol", "INVITE");
    refuse(&mut world, flow, &carol, 486, "carol");
    let best = fail(&mut world, &call, 486);
    assert_eq!(best.headers().count::<Via>(), 1);
    world.finish();
}

/// PRX-012: RFC 3261 §16.7 steps 5 and 10.
#[test]
fn a_6xx_cancels_the_others_and_waits_for_them() {
    let mut world = three(at_once);
    let call = invite(&mut world);
    let (bob_flow, bob) = world.request_at("bob", "INVITE");
    let (carol_flow, carol) = world.request_at("carol", "INVITE");
    world.reply(carol_flow, response(&carol, 180, "carol").to_bytes());
    world.response_at("alice", 180);
    refuse(&mut world, bob_flow, &bob, 603, "bob");
    world.nothing_at("alice");
    obey(&mut world, "carol", &carol);
    fail(&mut world, &call, 603);
    world.finish();
}

#[test]
fn a_2xx_that_crosses_a_6xx_wins() {
    let mut world = three(at_once);
    invite(&mut world);
    let (bob_flow, bob) = world.request_at("bob", "INVITE");
    let (carol_flow, carol) = world.request_at("carol", "INVITE");
    world.reply(carol_flow, response(&carol, 180, "carol").to_bytes());
    world.response_at("alice", 180);
    refuse(&mut world, bob_flow, &bob, 603, "bob");
    world.reply(
        carol_flow,
        response_from(&carol, 200, "carol", CAROL).to_bytes(),
    );
    world.response_at("alice", 200);
    world.nothing_at("alice");
    world.discard("carol");
    world.finish();
}

#[test]
fn a_6xx_ends_a_serial_search_and_anything_else_goes_on() {
    let mut world = three(in_order);
    let call = invite(&mut world);
    let (flow, bob) = world.request_at("bob", "INVITE");
    world.nothing_at("carol");
    refuse(&mut world, flow, &bob, 486, "bob");
    let (flow, carol) = world.request_at("carol", "INVITE");
    refuse(&mut world, flow, &carol, 404, "carol");
    fail(&mut world, &call, 486);
    let call = invite(&mut world);
    let (flow, bob) = world.request_at("bob", "INVITE");
    refuse(&mut world, flow, &bob, 603, "bob");
    world.nothing_at("carol");
    fail(&mut world, &call, 603);
    world.finish();
}

/// Kamailio's `disable_6xx_block`: a gateway's 603 is its own.
#[test]
fn a_6xx_may_be_one_failure_among_others() {
    let mut world = three(|| at_once().ordinary_6xx(true));
    let call = invite(&mut world);
    let (flow, bob) = world.request_at("bob", "INVITE");
    refuse(&mut world, flow, &bob, 603, "bob");
    let (flow, carol) = world.request_at("carol", "INVITE");
    refuse(&mut world, flow, &carol, 500, "carol");
    fail(&mut world, &call, 500);
    world.route = Box::new(|_| Decision::Plan(in_order().ordinary_6xx(true)));
    let call = invite(&mut world);
    let (flow, bob) = world.request_at("bob", "INVITE");
    refuse(&mut world, flow, &bob, 603, "bob");
    let (flow, carol) = world.request_at("carol", "INVITE");
    refuse(&mut world, flow, &carol, 604, "carol");
    fail(&mut world, &call, 603);
    world.finish();
}

/// Kamailio's `t_set_fr` and `t_set_retr`: what one set of targets is given, another need not be.
#[test]
fn a_plan_may_bring_its_own_timers() {
    let hasty = Timers::default().give_up_after(seconds(2)).c(seconds(200));
    let mut world = three(move || in_order().timers(hasty));
    let call = invite(&mut world);
    world.request_at("bob", "INVITE");
    world.wait(seconds(2));
    world.discard("bob");
    let (flow, carol) = world.request_at("carol", "INVITE");
    world.reply(flow, response(&carol, 180, "carol").to_bytes());
    world.response_at("alice", 180);
    world.wait(seconds(199));
    world.nothing_at("carol");
    world.wait(seconds(2));
    obey(&mut world, "carol", &carol);
    fail(&mut world, &call, 408);
    world.finish();
}

#[test]
fn only_the_listed_codes_fail_over() {
    let mut world = three(|| in_order().failover_on([StatusCode::SERVER_INTERNAL_ERROR]));
    let call = invite(&mut world);
    let (flow, bob) = world.request_at("bob", "INVITE");
    refuse(&mut world, flow, &bob, 486, "bob");
    world.nothing_at("carol");
    fail(&mut world, &call, 486);
    let call = invite(&mut world);
    let (flow, bob) = world.request_at("bob", "INVITE");
    refuse(&mut world, flow, &bob, 500, "bob");
    let (flow, carol) = world.request_at("carol", "INVITE");
    refuse(&mut world, flow, &carol, 480, "carol");
    fail(&mut world, &call, 480);
    world.finish();
}

/// PRX-016: RFC 3261 §16.10.
#[test]
fn a_cancel_reaches_every_branch_and_487_comes_back() {
    let mut world = three(|| at_once().then(uri("sip:never@10.0.0.9")));
    let call = invite(&mut world);
    let (bob_flow, bob) = world.request_at("bob", "INVITE");
    let (carol_flow, carol) = world.request_at("carol", "INVITE");
    world.reply(bob_flow, response(&bob, 180, "bob").to_bytes());
    world.reply(carol_flow, response(&carol, 180, "carol").to_bytes());
    world.discard("alice");
    world.udp("alice", cancel(&call).text());
    world.response_at("alice", 200);
    obey(&mut world, "bob", &bob);
    world.nothing_at("alice");
    obey(&mut world, "carol", &carol);
    fail(&mut world, &call, 487);
    assert_eq!(world.stack.core().1.stats().cancelled, 1);
    world.finish();
}

/// RFC 3326 §2, §3.1: phones tell by it which calls they have missed.
#[test]
fn a_cancel_says_why() {
    let cancelled = |world: &mut World, code: u16| {
        invite(world);
        let (flow, bob) = world.request_at("bob", "INVITE");
        let (carol_flow, carol) = world.request_at("carol", "INVITE");
        world.reply(carol_flow, response(&carol, 180, "carol").to_bytes());
        if code < 300 {
            world.reply(flow, response_from(&bob, code, "bob", BOB).to_bytes());
        } else {
            refuse(world, flow, &bob, code, "bob");
        }
        let reason = obey(world, "carol", &carol);
        world.discard("alice");
        world.wait(seconds(40));
        world.discard("alice");
        reason
    };
    let mut world = three(at_once);
    let elsewhere = "SIP;cause=200;text=\"Call completed elsewhere\"";
    assert_eq!(cancelled(&mut world, 200).as_deref(), Some(elsewhere));
    let declined = "SIP;cause=603;text=\"Decline\"";
    assert_eq!(cancelled(&mut world, 603).as_deref(), Some(declined));
    world.finish();

    let mut silent = World::with(|registrar, proxy| (registrar, proxy.cancel_reason(false)));
    silent.host("alice", "10.0.0.2:5060");
    silent.host("bob", "10.0.0.3:5060");
    silent.host("carol", "10.0.0.4:5060");
    silent.route = Box::new(|_| Decision::Plan(at_once()));
    assert_eq!(cancelled(&mut silent, 200), None);
    silent.finish();
}

/// The Reason of a CANCEL from upstream goes on, every value of it.
#[test]
fn the_reason_of_a_cancel_is_handed_on() {
    let mut world = three(at_once);
    let call = invite(&mut world);
    let (bob_flow, bob) = world.request_at("bob", "INVITE");
    let (carol_flow, carol) = world.request_at("carol", "INVITE");
    world.reply(bob_flow, response(&bob, 180, "bob").to_bytes());
    world.reply(carol_flow, response(&carol, 180, "carol").to_bytes());
    world.discard("alice");
    let cancel = cancel(&call)
        .line("Reason: SIP;cause=600;text=\"Busy Everywhere\"")
        .line("Reason: Q.850;cause=16");
    world.udp("alice", cancel.text());
    world.response_at("alice", 200);
    for (name, invite) in [("bob", &bob), ("carol", &carol)] {
        let reason = obey(&mut world, name, invite);
        let expected = "SIP;cause=600;text=\"Busy Everywhere\", Q.850;cause=16";
        assert_eq!(reason.as_deref(), Some(expected));
    }
    fail(&mut world, &call, 487);
    world.finish();
}

/// RFC 3261 §9.1: before a provisional response CANCEL is a wish.
#[test]
fn a_cancel_waits_for_the_first_provisional_response() {
    let mut world = three(|| Plan::to(uri(BOB)));
    let call = invite(&mut world);
    let (flow, bob) = world.request_at("bob", "INVITE");
    world.udp("alice", cancel(&call).text());
    world.response_at("alice", 200);
    world.nothing_at("bob");
    world.reply(flow, response(&bob, 100, "bob").to_bytes());
    obey(&mut world, "bob", &bob);
    fail(&mut world, &call, 487);
    world.finish();
}

#[test]
fn a_cancel_that_crosses_a_200_changes_nothing() {
    let mut world = three(|| Plan::to(uri(BOB)));
    let call = invite(&mut world);
    let (flow, bob) = world.request_at("bob", "INVITE");
    world.reply(flow, response(&bob, 180, "bob").to_bytes());
    world.response_at("alice", 180);
    world.udp("alice", cancel(&call).text());
    world.response_at("alice", 200);
    let (cancel_flow, cancelling) = world.request_at("bob", "CANCEL");
    world.reply(flow, response_from(&bob, 200, "bob", BOB).to_bytes());
    let answer = world.response_at("alice", 200);
    assert_eq!(answer.cseq().unwrap().method(), "INVITE");
    world.reply(cancel_flow, response(&cancelling, 481, "bob").to_bytes());
    world.udp("alice", inside(&call, "ACK", &answer, call.cseq).text());
    world.request_at("bob", "ACK");
    world.finish();
}

#[test]
fn a_cancel_before_a_decision_is_487_at_once() {
    let mut world = three(at_once);
    world.route = Box::new(|_| Decision::Later);
    let call = invite(&mut world);
    world.udp("alice", cancel(&call).text());
    world.response_at("alice", 200);
    fail(&mut world, &call, 487);
    let id = world.asked[0].0;
    assert!(matches!(world.events[0], Event::Abandoned { id: gone } if gone == id));
    let late = world
        .stack
        .command(world.now, |core, cx| core.1.relay(cx, id, at_once()));
    assert_eq!(late, Err(RelayError::Gone));
    world.nothing_at("bob");
    world.finish();
}

/// A cancelled branch that never says so counts as 487 after 64×T1 (RFC 3261 §9.1).
#[test]
fn a_target_that_ignores_cancel_is_given_up() {
    let mut world = three(|| Plan::to(uri(BOB)));
    let call = invite(&mut world);
    let (flow, bob) = world.request_at("bob", "INVITE");
    world.reply(flow, response(&bob, 180, "bob").to_bytes());
    world.response_at("alice", 180);
    world.udp("alice", cancel(&call).text());
    world.response_at("alice", 200);
    world.wait(seconds(31));
    world.nothing_at("alice");
    world.wait(seconds(2));
    fail(&mut world, &call, 487);
    world.discard("bob");
    world.finish();
}

/// PRX-020: RFC 3261 §16.7 step 5: once a failure went upstream nothing comes after it. By that step a 2xx would; RFC 6026
/// §8.3 discards it, because the server transaction that has had a failure takes none.
#[test]
fn what_comes_after_a_failure_went_upstream_stays_here() {
    for late in [404, 603, 200] {
        let mut world = three(|| Plan::to(uri(BOB)));
        let call = invite(&mut world);
        let id = world.asked[0].0;
        let (flow, bob) = world.request_at("bob", "INVITE");
        world.reply(flow, response(&bob, 180, "bob").to_bytes());
        world.response_at("alice", 180);
        let rejected = world.stack.command(world.now, |core, cx| {
            core.1.withdraw(cx, id).unwrap();
            core.1.reject(cx, id, StatusCode::GONE)
        });
        assert_eq!(rejected, Ok(()));
        world.settle();
        fail(&mut world, &call, 410);
        world.discard("bob");
        world.reply(flow, response(&bob, 183, "bob").to_bytes());
        world.reply(flow, response_from(&bob, late, "bob", BOB).to_bytes());
        world.nothing_at("alice");
        world.discard("bob");
        world.finish();
    }
}

/// PRX-015: RFC 3261 §16.6 step 11, §16.8: what rings without end is cancelled; each 101 to 199 starts the time anew.
#[test]
fn timer_c_ends_what_rings_for_ever() {
    let mut world = three(|| Plan::to(uri(BOB)));
    let call = invite(&mut world);
    let (flow, bob) = world.request_at("bob", "INVITE");
    world.reply(flow, response(&bob, 180, "bob").to_bytes());
    world.wait(seconds(180));
    world.reply(flow, response(&bob, 180, "bob").to_bytes());
    world.wait(seconds(184));
    world.nothing_at("bob");
    world.discard("alice");
    world.wait(seconds(2));
    let reason = obey(&mut world, "bob", &bob);
    let late = "SIP;cause=408;text=\"Request Timeout\"";
    assert_eq!(reason.as_deref(), Some(late));
    fail(&mut world, &call, 408);
    assert_eq!(world.stack.core().1.stats().timer_c, 1);
    world.finish();
}

/// PRX-015: RFC 3261 §16.7 step 2: a 100 does not count.
#[test]
fn a_100_does_not_start_timer_c_anew() {
    let mut world = three(|| Plan::to(uri(BOB)));
    let call = invite(&mut world);
    let (flow, bob) = world.request_at("bob", "INVITE");
    world.reply(flow, response(&bob, 100, "bob").to_bytes());
    world.wait(seconds(180));
    world.reply(flow, response(&bob, 100, "bob").to_bytes());
    world.wait(seconds(6));
    obey(&mut world, "bob", &bob);
    fail(&mut world, &call, 408);
    world.finish();
}

/// PRX-015: Timer B of a branch that is not there: 408 for an INVITE.
#[test]
fn a_silent_target_is_408_and_the_next_has_its_turn() {
    let mut world = three(in_order);
    let call = invite(&mut world);
    world.wait(seconds(33));
    world.discard("bob");
    let (flow, carol) = world.request_at("carol", "INVITE");
    refuse(&mut world, flow, &carol, 487, "carol");
    fail(&mut world, &call, 487);
    world.finish();
}

#[test]
fn a_group_rings_only_so_long() {
    let mut world = three(|| in_order().ring_for(seconds(20)));
    let call = invite(&mut world);
    let (flow, bob) = world.request_at("bob", "INVITE");
    world.reply(flow, response(&bob, 180, "bob").to_bytes());
    world.response_at("alice", 180);
    world.wait(seconds(21));
    obey(&mut world, "bob", &bob);
    let (flow, carol) = world.request_at("carol", "INVITE");
    refuse(&mut world, flow, &carol, 408, "carol");
    fail(&mut world, &call, 408);
    world.finish();
}

fn held(world: &mut World) -> (Draft, ProxyId) {
    let call = invite(world);
    let (flow, bob) = world.request_at("bob", "INVITE");
    refuse(world, flow, &bob, 486, "bob");
    world.nothing_at("alice");
    let Some(Event::RelayFailed { id, response }) = world.events.pop_front() else {
        panic!("held")
    };
    assert_eq!(response.status(), StatusCode::BUSY_HERE);
    (call, id)
}

#[test]
fn a_held_failure_may_be_relayed_elsewhere() {
    let mut world = three(|| Plan::to(uri(BOB)).hold_failure(true));
    let (call, id) = held(&mut world);
    world
        .stack
        .command(world.now, |core, cx| {
            core.1.relay(cx, id, Plan::to(uri(CAROL)))
        })
        .unwrap();
    world.settle();
    let (flow, carol) = world.request_at("carol", "INVITE");
    world.reply(flow, response_from(&carol, 200, "carol", CAROL).to_bytes());
    let answer = world.response_at("alice", 200);
    world.udp("alice", inside(&call, "ACK", &answer, call.cseq).text());
    world.request_at("carol", "ACK");
    world.finish();
}

#[test]
fn a_held_failure_may_be_forwarded_answered_or_forgotten() {
    let mut world = three(|| Plan::to(uri(BOB)).hold_failure(true));
    let (call, id) = held(&mut world);
    world
        .stack
        .command(world.now, |core, cx| core.1.forward(cx, id))
        .unwrap();
    world.settle();
    fail(&mut world, &call, 486);
    world.events.clear();
    let (call, id) = held(&mut world);
    world
        .stack
        .command(world.now, |core, cx| {
            core.1.reject(cx, id, StatusCode::GONE)
        })
        .unwrap();
    world.settle();
    fail(&mut world, &call, 410);
    world.events.clear();
    let (call, _) = held(&mut world);
    world.wait(seconds(31));
    fail(&mut world, &call, 486);
    world.finish();
}

#[test]
fn a_withdrawn_relay_is_cancelled_and_its_late_200_still_passes() {
    let mut world = three(|| Plan::to(uri(BOB)));
    let call = invite(&mut world);
    let id = world.asked[0].0;
    let (bob_flow, bob) = world.request_at("bob", "INVITE");
    world.reply(bob_flow, response(&bob, 180, "bob").to_bytes());
    world.response_at("alice", 180);
    let busy = world.stack.command(world.now, |core, cx| {
        core.1.relay(cx, id, Plan::to(uri(CAROL)))
    });
    assert_eq!(busy, Err(RelayError::Busy));
    world
        .stack
        .command(world.now, |core, cx| core.1.withdraw(cx, id))
        .unwrap();
    world
        .stack
        .command(world.now, |core, cx| {
            core.1.relay(cx, id, Plan::to(uri(CAROL)))
        })
        .unwrap();
    world.settle();
    let (_, carol) = world.request_at("carol", "INVITE");
    let (flow, cancelling) = world.request_at("bob", "CANCEL");
    world.reply(flow, response(&cancelling, 200, "bob").to_bytes());
    world.reply(bob_flow, response_from(&bob, 200, "bob", BOB).to_bytes());
    let answer = world.response_at("alice", 200);
    assert_eq!(answer.to().unwrap().tag().unwrap(), "bob");
    let (flow, _) = (bob_flow, ());
    world.reply(flow, response_from(&bob, 200, "bob", BOB).to_bytes());
    world.response_at("alice", 200);
    let _ringing_no_more = &carol;
    world.udp("alice", inside(&call, "ACK", &answer, call.cseq).text());
    world.request_at("bob", "ACK");
    world.discard("carol");
    world.finish();
}

/// RFC 3261 §16.7 step 5: only the first 2xx to a request other than INVITE.
#[test]
fn one_200_is_enough_for_a_message() {
    let mut world = three(at_once);
    let message = world.message("alice", "MESSAGE", "sip:group@example.com");
    world.udp("alice", message.text());
    let (bob_flow, bob) = world.request_at("bob", "MESSAGE");
    let (carol_flow, carol) = world.request_at("carol", "MESSAGE");
    world.reply(bob_flow, response(&bob, 200, "bob").to_bytes());
    world.reply(carol_flow, response(&carol, 200, "carol").to_bytes());
    world.response_at("alice", 200);
    world.nothing_at("alice");
    world.nothing_at("carol");
    world.finish();
}

#[test]
fn targets_are_bounded() {
    let mut world = World::with(|registrar, proxy| (registrar, proxy.targets(1)));
    world.host("alice", "10.0.0.2:5060");
    world.host("bob", "10.0.0.3:5060");
    world.host("carol", "10.0.0.4:5060");
    world.route = Box::new(|_| Decision::Plan(at_once()));
    let call = invite(&mut world);
    let (flow, bob) = world.request_at("bob", "INVITE");
    world.nothing_at("carol");
    refuse(&mut world, flow, &bob, 486, "bob");
    fail(&mut world, &call, 486);
    world.finish();
}

#[test]
fn shutting_down_ends_what_rings_and_refuses_what_is_new() {
    let mut world = three(|| Plan::to(uri(BOB)));
    let call = invite(&mut world);
    let (flow, bob) = world.request_at("bob", "INVITE");
    world.reply(flow, response(&bob, 180, "bob").to_bytes());
    world.response_at("alice", 180);
    world.stack.shutdown(world.now);
    world.settle();
    assert!(!world.stack.is_idle());
    let new = world.message("alice", "MESSAGE", "sip:group@example.com");
    world.udp("alice", new.text());
    world.response_at("alice", 503);
    obey(&mut world, "bob", &bob);
    let last = world.statuses_at("alice");
    assert_eq!(last.len(), 1);
    assert!(last[0] >= 500, "{last:?}");
    world.udp(
        "alice",
        Draft {
            method: "ACK".to_owned(),
            ..call
        }
        .text(),
    );
    world.discard("alice");
    assert!(world.stack.is_idle());
    world.finish();
}
