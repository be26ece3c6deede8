//! Calls on lines that lose messages (TRAPS 5, 30).

#![allow(clippy::unwrap_used)] // a test fails by a panic

mod harness;

use std::time::Duration;

use harness::*;
use sip_message::StatusCode;
use sip_ua::{CallOptions, Cause};

/// UA-028: TRAPS 5: a 2xx is repeated until its ACK comes, and each repeat gets the same ACK again.
#[test]
fn a_lost_ack_is_sent_again_for_each_repeated_2xx() {
    // INVITE, 200, and then the ACK and the first repetition of it are lost.
    let mut net = Net::new(1).lose(&[2, 4]);
    net.agent("alice");
    net.agent("bob");
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
    net.until(BOB, established);
    net.assert_ladder(
        "
           0 ms  alice -> bob    INVITE
          10 ms  bob   -> alice  200 INVITE
          20 ms  alice -> bob    ACK (lost)
         510 ms  bob   -> alice  200 INVITE
         520 ms  alice -> bob    ACK (lost)
        1510 ms  bob   -> alice  200 INVITE
        1520 ms  alice -> bob    ACK
        ",
    );
    net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).unwrap();
    net.assert_nothing_is_left();
}

/// UA-034: TRAPS 5 and 30: without ACK by 64*T1 the UAS sends BYE.
#[test]
fn a_uas_that_never_sees_the_ack_sends_bye() {
    let acks: Vec<usize> = (2..60).filter(|number| number % 2 == 0).collect();
    let mut net = Net::new(1).lose(&acks[..11]);
    net.agent("alice");
    net.agent("bob");
    net.ua(ALICE, |ua, cx| {
        ua.call(cx, &alice(), bob(), CallOptions::new())
    })
    .unwrap();
    let taken = net.until(BOB, incoming);
    net.ua(BOB, |ua, cx| {
        ua.answer(cx, taken, StatusCode::OK, Vec::new())
    })
    .unwrap();
    let at_bob = net.until(BOB, ended);
    assert!(
        at_bob.by_us && at_bob.cause == Cause::NoAck,
        "{at_bob:?}\n{}",
        net.show()
    );
    assert_eq!(at_bob.duration, None);
    let at_alice = net.until(ALICE, ended);
    assert_eq!(at_alice.cause, Cause::HungUp);
    assert_eq!(net.count("bob       -> alice     200 INVITE"), 11);
    assert_eq!(
        net.count("   32010 ms  bob       -> alice     BYE"),
        1,
        "{}",
        net.show()
    );
    net.assert_nothing_is_left();
}

/// UA-040: RFC 3261 §15: the callee does not send BYE before the ACK has come.
#[test]
fn a_callee_that_hangs_up_at_once_waits_for_the_ack() {
    let mut net = Net::new(1).lose(&[2]);
    net.agent("alice");
    net.agent("bob");
    net.ua(ALICE, |ua, cx| {
        ua.call(cx, &alice(), bob(), CallOptions::new())
    })
    .unwrap();
    let taken = net.until(BOB, incoming);
    net.ua(BOB, |ua, cx| {
        ua.answer(cx, taken, StatusCode::OK, Vec::new()).unwrap();
    });
    net.ua(BOB, |ua, cx| ua.hang_up(cx, taken)).unwrap();
    net.until(ALICE, ended);
    net.run();
    net.assert_ladder(
        "
           0 ms  alice -> bob    INVITE
          10 ms  bob   -> alice  200 INVITE
          20 ms  alice -> bob    ACK (lost)
         510 ms  bob   -> alice  200 INVITE
         520 ms  alice -> bob    ACK
         530 ms  bob   -> alice  BYE
         540 ms  alice -> bob    200 BYE
        ",
    );
    net.assert_nothing_is_left();
}

/// UA-031: RFC 3261 §13.3.1: the Expires of an INVITE ends it with 487.
#[test]
fn an_invite_that_expires_gets_487() {
    // Alice's CANCEL never arrives: Bob goes by the Expires alone.
    let mut net = Net::new(1).lose(&[2, 3, 4, 5, 6, 7]);
    net.agent("alice");
    net.agent("bob");
    let options = CallOptions::new().ring_for(Duration::from_secs(20));
    net.ua(ALICE, |ua, cx| ua.call(cx, &alice(), bob(), options))
        .unwrap();
    let taken = net.until(BOB, incoming);
    net.ua(BOB, |ua, cx| ua.ring(cx, taken)).unwrap();
    let at_bob = net.until(BOB, ended);
    assert!(!at_bob.by_us && at_bob.cause == Cause::Expired);
    assert_eq!(net.elapsed(), Duration::from_millis(20_010));
    assert_eq!(
        net.count("   20010 ms  bob       -> alice     487 INVITE"),
        1
    );
    assert_eq!(net.until(ALICE, ended).cause, Cause::Expired);
    net.assert_nothing_is_left();
}

/// UA-041: RFC 3261 §15.1.1: no answer to the BYE ends the session just the same.
#[test]
fn a_bye_without_an_answer_ends_the_call() {
    let lost: Vec<usize> = (3..40).collect();
    let mut net = Net::new(1).lose(&lost);
    net.agent("alice");
    net.agent("bob");
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
    net.until(BOB, established);
    net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).unwrap();
    let at_alice = net.until(ALICE, ended);
    assert!(at_alice.by_us && at_alice.cause == Cause::HungUp);
    net.ua(BOB, |ua, cx| ua.hang_up(cx, taken)).unwrap();
    net.until(BOB, ended);
    net.assert_nothing_is_left();
}

/// TRAPS 30: within the RFC's times both ends have ended the call or both hold it, whatever is lost.
#[test]
fn on_a_bad_line_both_ends_agree_and_nothing_is_left() {
    for seed in 0..100 {
        let mut net = Net::new(seed).unreliable(0.2, 0.2);
        net.agent("alice");
        net.agent("bob");
        let call = net
            .ua(ALICE, |ua, cx| {
                ua.call(cx, &alice(), bob(), CallOptions::new())
            })
            .unwrap();
        net.run_for(Duration::from_secs(5));
        if let Some(taken) = net.events(BOB).iter().find_map(incoming) {
            net.ua(BOB, |ua, cx| ua.ring(cx, taken)).ok();
            net.run_for(Duration::from_secs(3));
            net.ua(BOB, |ua, cx| {
                ua.answer(cx, taken, StatusCode::OK, Vec::new())
            })
            .ok();
        }
        net.run_for(Duration::from_secs(64));
        let (at_alice, at_bob) = (net.core(ALICE).stats().calls, net.core(BOB).stats().calls);
        assert_eq!(at_alice, at_bob, "seed {seed}\n{}", net.show());
        net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).ok();
        // A BYE may be lost for good as well: who is left over hangs up in the end.
        net.run_for(Duration::from_secs(40));
        net.shutdown(BOB);
        net.assert_nothing_is_left();
    }
}

/// UA-034: TRAPS 5: on TCP as well, because the connection says nothing about the hops behind it.
#[test]
fn a_2xx_is_repeated_on_tcp_too() {
    let mut net = Net::new(1).hide_acks(2);
    net.agent("alice");
    net.agent("bob");
    let target = uri("sip:bob@192.0.2.2;transport=tcp");
    let call = net
        .ua(ALICE, |ua, cx| {
            ua.call(cx, &alice(), target, CallOptions::new())
        })
        .unwrap();
    let taken = net.until(BOB, incoming);
    net.ua(BOB, |ua, cx| {
        ua.answer(cx, taken, StatusCode::OK, Vec::new())
    })
    .unwrap();
    net.until(BOB, established);
    net.assert_ladder(
        "
          10 ms  alice -> bob    INVITE
          20 ms  bob   -> alice  200 INVITE
          30 ms  alice -> bob    ACK (lost)
         520 ms  bob   -> alice  200 INVITE
         530 ms  alice -> bob    ACK (lost)
        1520 ms  bob   -> alice  200 INVITE
        1530 ms  alice -> bob    ACK
        ",
    );
    net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).unwrap();
    net.until(ALICE, ended);
    net.run();
}
