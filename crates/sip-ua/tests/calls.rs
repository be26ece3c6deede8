//! Calls between two user agents (RFC 3665 §3).

#![allow(clippy::unwrap_used)] // a test fails by a panic

mod harness;

use std::time::Duration;

use harness::*;
use sip_message::StatusCode;
use sip_ua::{CallOptions, Cause, Event, Offer};

/// Alice calls, Bob rings and answers; both are established.
fn established_call() -> (Net, sip_ua::CallId, sip_ua::CallId) {
    let mut net = Net::pair();
    let call = net
        .ua(ALICE, |ua, cx| {
            ua.call(cx, &alice(), bob(), CallOptions::new())
        })
        .unwrap();
    let taken = net.until(BOB, incoming);
    net.ua(BOB, |ua, cx| {
        ua.answer(cx, taken, StatusCode::OK, Vec::new())
    })
    .unwrap();
    net.until(ALICE, established);
    net.until(BOB, established);
    (net, call, taken)
}

/// RFC 3665 §3.1: session establishment, and who hangs up is told so.
#[test]
fn a_call_is_placed_rung_answered_and_hung_up() {
    let mut net = Net::pair();
    let call = net
        .ua(ALICE, |ua, cx| {
            ua.call(cx, &alice(), bob(), CallOptions::new())
        })
        .unwrap();
    let taken = net.until(BOB, incoming);
    net.ua(BOB, |ua, cx| ua.ring(cx, taken)).unwrap();
    net.run_for(Duration::from_secs(2));
    net.ua(BOB, |ua, cx| {
        ua.answer(cx, taken, StatusCode::OK, Vec::new())
    })
    .unwrap();
    net.until(BOB, established);
    net.run_for(Duration::from_secs(10));
    net.ua(BOB, |ua, cx| ua.hang_up(cx, taken)).unwrap();
    let ended_at_bob = net.until(BOB, ended);
    net.assert_ladder(
        "
           0 ms  alice -> bob    INVITE
          10 ms  bob   -> alice  180 INVITE
        2010 ms  bob   -> alice  200 INVITE
        2020 ms  alice -> bob    ACK
       12030 ms  bob   -> alice  BYE
       12040 ms  alice -> bob    200 BYE
        ",
    );
    assert!(ended_at_bob.by_us && ended_at_bob.cause == Cause::HungUp);
    assert_eq!(ended_at_bob.duration, Some(Duration::from_secs(10)));
    let events = net.events(ALICE);
    let order = [
        "session needed",
        "progress",
        "answered",
        "session",
        "established",
        "ended",
    ];
    assert_eq!(names(&events), order);
    let Some(Event::Ended { ended, .. }) = events.last() else {
        panic!("the last event is the end")
    };
    assert!(!ended.by_us && ended.cause == Cause::HungUp);
    assert!(
        net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).is_err(),
        "the id is stale"
    );
    net.assert_nothing_is_left();
}

/// UA-027: RFC 3261 §13.2.1: the offer is in the 2xx, the answer in the ACK.
#[test]
fn an_invite_without_an_offer_gets_one_and_answers_in_the_ack() {
    let mut net = Net::pair();
    let options = CallOptions::new().offer(Offer::Late);
    let call = net
        .ua(ALICE, |ua, cx| ua.call(cx, &alice(), bob(), options))
        .unwrap();
    let taken = net.until(BOB, incoming);
    net.ua(BOB, |ua, cx| {
        ua.answer(cx, taken, StatusCode::OK, Vec::new())
    })
    .unwrap();
    let (local, remote) = net.until(BOB, |event| match event {
        Event::SessionReady {
            local,
            remote,
            early: false,
            ..
        } => Some((local.clone(), remote.clone())),
        _ => None,
    });
    assert_eq!((local, remote), (offer(), answer()));
    net.until(BOB, established);
    assert_eq!(
        names(&net.events(ALICE)),
        ["answered", "session needed", "session", "established"]
    );
    net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).unwrap();
    net.assert_nothing_is_left();
}

/// RFC 3665 §3.3 in its core: early media is told before the answer, once for each description.
#[test]
fn early_media_has_a_session_before_the_answer() {
    let mut net = Net::pair();
    let call = net
        .ua(ALICE, |ua, cx| {
            ua.call(cx, &alice(), bob(), CallOptions::new())
        })
        .unwrap();
    let taken = net.until(BOB, incoming);
    net.ua(BOB, |ua, cx| {
        ua.progress(cx, taken, StatusCode::SESSION_PROGRESS)
    })
    .unwrap();
    net.run_for(Duration::from_secs(1));
    net.ua(BOB, |ua, cx| {
        ua.answer(cx, taken, StatusCode::OK, Vec::new())
    })
    .unwrap();
    net.until(BOB, established);
    let order = [
        "session needed",
        "progress",
        "early session",
        "answered",
        "session",
        "established",
    ];
    assert_eq!(names(&net.events(ALICE)), order);
    net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).unwrap();
    net.assert_nothing_is_left();
}

/// UA-040: RFC 3665 §3.8: unsuccessful, no answer.
#[test]
fn a_ringing_call_is_cancelled() {
    let mut net = Net::pair();
    let call = net
        .ua(ALICE, |ua, cx| {
            ua.call(cx, &alice(), bob(), CallOptions::new())
        })
        .unwrap();
    let taken = net.until(BOB, incoming);
    net.ua(BOB, |ua, cx| ua.ring(cx, taken)).unwrap();
    net.run_for(Duration::from_secs(1));
    net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).unwrap();
    let at_alice = net.until(ALICE, ended);
    let at_bob = net.until(BOB, ended);
    assert!(at_alice.by_us && at_alice.cause == Cause::Cancelled);
    assert!(!at_bob.by_us && at_bob.cause == Cause::Cancelled);
    assert!(
        net.ua(BOB, |ua, cx| ua.answer(
            cx,
            taken,
            StatusCode::OK,
            Vec::new()
        ))
        .is_err()
    );
    net.run();
    net.assert_ladder(
        "
           0 ms  alice -> bob    INVITE
          10 ms  bob   -> alice  180 INVITE
        1010 ms  alice -> bob    CANCEL
        1020 ms  bob   -> alice  200 CANCEL
        1020 ms  bob   -> alice  487 INVITE
        1030 ms  alice -> bob    ACK
        ",
    );
    net.assert_nothing_is_left();
}

/// TRAPS 6: CANCEL before any 1xx is a wish that waits for the first 1xx.
#[test]
fn a_cancel_before_the_first_provisional_response_waits_for_it() {
    let mut net = Net::pair();
    let call = net
        .ua(ALICE, |ua, cx| {
            ua.call(cx, &alice(), bob(), CallOptions::new())
        })
        .unwrap();
    net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).unwrap();
    net.until(BOB, incoming);
    net.until(ALICE, ended);
    // Nobody rings: the 100 that goes out by itself after 200 ms is what the CANCEL waits for.
    net.assert_ladder(
        "
           0 ms  alice -> bob    INVITE
         210 ms  bob   -> alice  100 INVITE
         220 ms  alice -> bob    CANCEL
         230 ms  bob   -> alice  200 CANCEL
         230 ms  bob   -> alice  487 INVITE
         240 ms  alice -> bob    ACK
        ",
    );
    net.assert_nothing_is_left();
}

/// A call whose offer is still being made has sent nothing.
#[test]
fn a_call_without_an_offer_yet_ends_without_a_message() {
    let mut net = Net::pair();
    net.auto_session = false;
    let call = net
        .ua(ALICE, |ua, cx| {
            ua.call(cx, &alice(), bob(), CallOptions::new())
        })
        .unwrap();
    let question = net.until(ALICE, |event| match event {
        Event::SessionNeeded { question, .. } => Some(*question),
        _ => None,
    });
    net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).unwrap();
    assert_eq!(net.until(ALICE, ended).cause, Cause::Cancelled);
    assert!(
        net.ua(ALICE, |ua, cx| ua.provide_session(
            cx,
            call,
            question,
            offer()
        ))
        .is_err()
    );
    net.assert_ladder("");
    net.assert_nothing_is_left();
}

/// TRAPS 6: a 200 that crosses the CANCEL is acknowledged and hung up (RFC 3261 §9.1).
#[test]
fn a_2xx_that_crosses_the_cancel_is_acknowledged_and_hung_up() {
    let mut net = Net::pair();
    let call = net
        .ua(ALICE, |ua, cx| {
            ua.call(cx, &alice(), bob(), CallOptions::new())
        })
        .unwrap();
    let taken = net.until(BOB, incoming);
    net.ua(BOB, |ua, cx| ua.ring(cx, taken)).unwrap();
    net.run_for(Duration::from_secs(1));
    net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).unwrap();
    net.ua(BOB, |ua, cx| {
        ua.answer(cx, taken, StatusCode::OK, Vec::new())
    })
    .unwrap();
    assert_eq!(net.until(ALICE, ended).cause, Cause::Cancelled);
    net.until(BOB, established);
    assert_eq!(net.until(BOB, ended).cause, Cause::HungUp);
    net.run();
    net.assert_ladder(
        "
           0 ms  alice -> bob    INVITE
          10 ms  bob   -> alice  180 INVITE
        1010 ms  alice -> bob    CANCEL
        1010 ms  bob   -> alice  200 INVITE
        1020 ms  bob   -> alice  200 CANCEL
        1020 ms  alice -> bob    ACK
        1020 ms  alice -> bob    BYE
        1030 ms  bob   -> alice  200 BYE
        ",
    );
    net.assert_nothing_is_left();
}

/// UA-033: RFC 3665 §3.9: unsuccessful, busy.
#[test]
fn a_busy_callee_says_so() {
    let mut net = Net::pair();
    net.ua(ALICE, |ua, cx| {
        ua.call(cx, &alice(), bob(), CallOptions::new())
    })
    .unwrap();
    let taken = net.until(BOB, incoming);
    net.ua(BOB, |ua, cx| {
        ua.reject(cx, taken, StatusCode::BUSY_HERE, Vec::new())
    })
    .unwrap();
    let at_alice = net.until(ALICE, ended);
    assert_eq!(at_alice.cause, Cause::Rejected);
    assert_eq!(at_alice.response.unwrap().status(), StatusCode::BUSY_HERE);
    assert!(net.until(BOB, ended).by_us);
    net.run();
    net.assert_ladder(
        "
           0 ms  alice -> bob    INVITE
          10 ms  bob   -> alice  486 INVITE
          20 ms  alice -> bob    ACK
        ",
    );
    net.assert_nothing_is_left();
}

/// RFC 3665 §3.10: nobody is there. Timer B ends it.
#[test]
fn a_call_to_nobody_times_out() {
    let mut net = Net::new(1);
    net.agent("alice");
    net.script("deaf", |_, _, _| {});
    net.ua(ALICE, |ua, cx| {
        ua.call(cx, &alice(), bob(), CallOptions::new())
    })
    .unwrap();
    let ended = net.until(ALICE, ended);
    assert!(
        matches!(
            ended.cause,
            Cause::Failed(sip_endpoint::Failure::TimedOut { .. })
        ),
        "{ended:?}"
    );
    assert_eq!(net.elapsed(), Duration::from_secs(32));
    net.assert_nothing_is_left();
}

/// RFC 3665 §3.11: unsuccessful, temporarily unavailable.
#[test]
fn a_phone_that_rings_in_vain_is_unavailable() {
    let mut net = Net::pair();
    net.ua(ALICE, |ua, cx| {
        ua.call(cx, &alice(), bob(), CallOptions::new())
    })
    .unwrap();
    let taken = net.until(BOB, incoming);
    net.ua(BOB, |ua, cx| ua.ring(cx, taken)).unwrap();
    net.run_for(Duration::from_secs(3));
    let unavailable = StatusCode::TEMPORARILY_UNAVAILABLE;
    net.ua(BOB, |ua, cx| ua.reject(cx, taken, unavailable, Vec::new()))
        .unwrap();
    assert_eq!(
        net.until(ALICE, ended).response.unwrap().status(),
        unavailable
    );
    net.run();
    net.assert_ladder(
        "
           0 ms  alice -> bob    INVITE
          10 ms  bob   -> alice  180 INVITE
        3010 ms  bob   -> alice  480 INVITE
        3020 ms  alice -> bob    ACK
        ",
    );
    net.assert_nothing_is_left();
}

/// When nobody takes calls, a caller learns it at once.
#[test]
fn a_user_agent_that_takes_no_calls_is_unavailable() {
    let mut net = Net::pair();
    net.ua(BOB, |ua, _| ua.take_calls(false));
    net.ua(ALICE, |ua, cx| {
        ua.call(cx, &alice(), bob(), CallOptions::new())
    })
    .unwrap();
    let status = net.until(ALICE, ended).response.unwrap().status();
    assert_eq!(status, StatusCode::TEMPORARILY_UNAVAILABLE);
    assert_eq!(names(&net.events(BOB)), [""; 0]);
    net.assert_nothing_is_left();
}

/// UA-032: RFC 3261 §13.3.1.1: a phone that rings long says so every minute.
#[test]
fn ringing_is_repeated_every_minute_until_the_call_has_rung_too_long() {
    let mut net = Net::pair();
    net.ua(ALICE, |ua, cx| {
        ua.call(cx, &alice(), bob(), CallOptions::new())
    })
    .unwrap();
    let taken = net.until(BOB, incoming);
    net.ua(BOB, |ua, cx| ua.ring(cx, taken)).unwrap();
    assert_eq!(net.until(ALICE, ended).cause, Cause::Expired);
    assert_eq!(net.count("180 INVITE"), 5, "{}", net.show());
    assert_eq!(net.elapsed().as_secs(), 300);
    net.assert_nothing_is_left();
}

/// RFC 5407 §3.2.1: both hang up at once; each answers the other's BYE.
#[test]
fn byes_that_cross_are_both_answered() {
    let (mut net, call, taken) = established_call();
    net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).unwrap();
    net.ua(BOB, |ua, cx| ua.hang_up(cx, taken)).unwrap();
    assert!(net.until(ALICE, ended).by_us);
    assert!(net.until(BOB, ended).by_us);
    assert_eq!(net.count("200 BYE"), 2, "{}", net.show());
    net.assert_nothing_is_left();
}

/// DESIGN's promise of a shutdown: refuse new work, end what is held, then be idle.
#[test]
fn a_shutdown_ends_calls_and_refuses_new_ones() {
    let (mut net, ..) = established_call();
    net.ua(BOB, |ua, cx| {
        let back = sip_ua::Identity::new(bob());
        ua.call(cx, &back, uri("sip:alice@192.0.2.1"), CallOptions::new())
    })
    .unwrap();
    net.until(ALICE, incoming);
    net.shutdown(ALICE);
    assert!(
        net.ua(ALICE, |ua, cx| ua.call(
            cx,
            &alice(),
            bob(),
            CallOptions::new()
        ))
        .is_err()
    );
    net.ua(BOB, |ua, cx| {
        let back = sip_ua::Identity::new(bob());
        ua.call(cx, &back, uri("sip:alice@192.0.2.1"), CallOptions::new())
    })
    .unwrap();
    let mut causes = Vec::new();
    for _ in 0..3 {
        let ended = net.until(BOB, ended);
        causes.push((
            ended.cause,
            ended.response.map(|response| response.status().as_u16()),
        ));
    }
    causes.sort_by_key(|(_, status)| *status);
    assert_eq!(
        causes,
        [
            (Cause::HungUp, None),
            (Cause::Rejected, Some(480)),
            (Cause::Rejected, Some(480))
        ]
    );
    assert!(net.is_idle(ALICE));
    net.assert_nothing_is_left();
}

/// TRAPS 19: the flow of the dialog, by identity; the caller's Contact is never connected to.
#[test]
fn a_bye_goes_back_on_the_accepted_connection_of_its_dialog() {
    let mut net = Net::pair();
    let target = uri("sip:bob@192.0.2.2;transport=tcp");
    net.ua(ALICE, |ua, cx| {
        ua.call(cx, &alice(), target, CallOptions::new())
    })
    .unwrap();
    let taken = net.until(BOB, incoming);
    net.ua(BOB, |ua, cx| {
        ua.answer(cx, taken, StatusCode::OK, Vec::new())
    })
    .unwrap();
    net.until(BOB, established);
    net.ua(BOB, |ua, cx| ua.hang_up(cx, taken)).unwrap();
    net.until(ALICE, ended);
    net.until(BOB, ended);
    assert_eq!(net.opened(BOB), 0, "{}", net.show());
    net.run();
}
