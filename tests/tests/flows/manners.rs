//! What dropping an owned handle brings about.

use crate::network::{Net, SESSION};
use futures_util::{FutureExt, future::join};
use sipwright::{
    Account, AnswerError, CallError, Credentials, UserAgent, assert_ladder, message::StatusCode,
};
use std::time::Duration;

/// RFC 3261 §9.1: the callee rings, so CANCEL goes at once.
#[test]
fn dropping_the_future_of_a_call_cancels_it() {
    let net = Net::new(1);
    run(&net, async |alice, bob| {
        let ringing = async {
            let incoming = bob.incoming().await.unwrap();
            incoming.ring().await.unwrap();
            incoming.cancelled().await;
        };
        let called = net.within(SECOND, alice.call(BOB).session(SESSION).into_future());
        let (called, ()) = join(called, ringing).await;
        assert!(called.is_none());
    });
    assert_ladder!(
        net.sim,
        "
               0 ms  alice -> bob    INVITE
              10 ms  bob   -> alice  180
            1000 ms  alice -> bob    CANCEL
            1010 ms  bob   -> alice  200
            1010 ms  bob   -> alice  487
            1020 ms  alice -> bob    ACK
    "
    );
}

/// RFC 3261 §9.1: before a provisional response CANCEL is a wish, which the first one fulfils.
#[test]
fn a_call_that_is_dropped_before_anyone_answered_is_cancelled_after_the_first_response() {
    let net = Net::new(1);
    net.sim.clone().lose_next(2);
    run(&net, async |alice, bob| {
        let ringing = async {
            let incoming = bob.incoming().await.unwrap();
            incoming.ring().await.unwrap();
            incoming.cancelled().await;
        };
        let called = net.within(SECOND, alice.call(BOB).session(SESSION).into_future());
        let (called, ()) = join(called, ringing).await;
        assert!(called.is_none());
    });
    assert_ladder!(
        net.sim,
        "
               0 ms  alice -> bob    INVITE  (lost)
             500 ms  alice -> bob    INVITE  (lost)
            1500 ms  alice -> bob    INVITE
            1510 ms  bob   -> alice  180
            1520 ms  alice -> bob    CANCEL
            1530 ms  bob   -> alice  200
            1530 ms  bob   -> alice  487
            1540 ms  alice -> bob    ACK
    "
    );
}

/// RFC 3261 §9.1 and §15: what was answered meanwhile is acknowledged and hung up.
#[test]
fn a_200_that_crosses_a_cancel_is_acknowledged_and_hung_up() {
    let net = Net::new(1);
    run(&net, async |alice, bob| {
        let answered = async {
            let incoming = bob.incoming().await.unwrap();
            incoming.ring().await.unwrap();
            net.sim.sleep(SECOND - Duration::from_millis(15)).await;
            let call = incoming.session(SESSION).answer().await.unwrap();
            assert!(!call.ended().await.by_us());
        };
        let called = net.within(SECOND, alice.call(BOB).session(SESSION).into_future());
        let (called, ()) = join(called, answered).await;
        assert!(called.is_none());
    });
    assert_ladder!(
        net.sim,
        "
               0 ms  alice -> bob    INVITE
              10 ms  bob   -> alice  180
             995 ms  bob   -> alice  200
            1000 ms  alice -> bob    CANCEL
            1005 ms  alice -> bob    ACK
            1005 ms  alice -> bob    BYE
            1010 ms  bob   -> alice  200
            1015 ms  bob   -> alice  200
    "
    );
}

/// RFC 3261 §15.1.1.
#[test]
fn dropping_a_call_hangs_it_up_on_either_side() {
    for caller_drops in [true, false] {
        let net = Net::new(1);
        run(&net, async |alice, bob| {
            let (caller, callee) = net.talk(alice, BOB, bob).await;
            let (dropped, left) = if caller_drops {
                (caller, callee)
            } else {
                (callee, caller)
            };
            drop(dropped);
            let ended = left.ended().await;
            assert!(ended.is_normal() && !ended.by_us());
        });
        assert_eq!(net.sim.ladder().count("BYE"), 1);
    }
}

#[test]
fn a_detached_call_lives_until_the_peer_ends_it() {
    let net = Net::new(1);
    run(&net, async |alice, bob| {
        let (caller, callee) = net.talk(alice, BOB, bob).await;
        caller.detach();
        net.sim.sleep(Duration::from_secs(600)).await;
        assert!(callee.ended().now_or_never().is_none());
        assert!(callee.hang_up().await.is_normal());
    });
    assert_eq!(net.sim.ladder().count("BYE"), 1);
}

#[test]
fn dropping_an_incoming_call_says_that_nobody_is_there() {
    let net = Net::new(1);
    run(&net, async |alice, bob| {
        let dropped = async { drop(bob.incoming().await.unwrap()) };
        let (called, ()) = join(alice.call(BOB).session(SESSION).into_future(), dropped).await;
        let unavailable = StatusCode::TEMPORARILY_UNAVAILABLE;
        assert!(
            matches!(called, Err(CallError::Rejected(response)) if response.status() == unavailable)
        );
    });
    assert_ladder!(
        net.sim,
        "
               0 ms  alice -> bob    INVITE
              10 ms  bob   -> alice  480
              20 ms  alice -> bob    ACK
    "
    );
}

/// RFC 3261 §15: a callee may not send BYE before the ACK has come, or 64×T1 have passed without one.
#[test]
fn dropping_the_future_of_an_answer_hangs_up_when_the_ack_has_come() {
    let net = Net::new(1);
    // INVITE, 200 and the ACK, which comes with the repeated 200.
    net.sim.clone().lose(&[2]);
    run(&net, async |alice, bob| {
        let answered = async {
            let incoming = bob.incoming().await.unwrap();
            let answer = incoming.session(SESSION).answer();
            assert!(
                net.within(Duration::from_millis(100), answer)
                    .await
                    .is_none()
            );
        };
        let called = async {
            let call = alice.call(BOB).session(SESSION).await.unwrap();
            assert!(!call.ended().await.by_us());
        };
        join(called, answered).await;
    });
    assert_ladder!(
        net.sim,
        "
               0 ms  alice -> bob    INVITE
              10 ms  bob   -> alice  200
              20 ms  alice -> bob    ACK  (lost)
             510 ms  bob   -> alice  200
             520 ms  alice -> bob    ACK
             530 ms  bob   -> alice  BYE
             540 ms  alice -> bob    200
    "
    );
}

/// RFC 3261 §13.3.1.4: the 200 is repeated for 64×T1, and then the call is hung up.
#[test]
fn an_answer_that_is_never_acknowledged_ends_with_bye() {
    let net = Net::new(1);
    run(&net, async |alice, bob| {
        let answered = async {
            let incoming = bob.incoming().await.unwrap();
            net.sim.one_way("alice", "bob").up(false);
            let error = incoming.session(SESSION).answer().await.unwrap_err();
            assert_eq!(error, AnswerError::NoAck);
            net.sim.one_way("alice", "bob").up(true);
        };
        let called = async {
            let call = alice.call(BOB).session(SESSION).await.unwrap();
            assert!(!call.ended().await.by_us());
        };
        join(called, answered).await;
    });
    let ladder = net.sim.ladder();
    assert_eq!(
        ladder
            .rungs()
            .iter()
            .filter(|rung| rung.from == "bob" && rung.what == "200")
            .count(),
        11
    );
    let bye = ladder
        .rungs()
        .iter()
        .find(|rung| rung.what == "BYE")
        .unwrap();
    assert_eq!(
        bye.at,
        Duration::from_millis(10 + 32_000),
        "64×T1 after the answer"
    );
}

/// RFC 3261 §10.2.2.
#[test]
fn dropping_a_registration_withdraws_it() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let (bob, _registrar) = registrar(&net).await;
        drop(bob.register().await.unwrap());
        net.sim.sleep(SECOND).await;
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    assert_ladder!(
        net.sim,
        "
               0 ms  bob       -> registrar  REGISTER
              10 ms  registrar -> bob        200
              20 ms  bob       -> registrar  REGISTER
              30 ms  registrar -> bob        200
    "
    );
}

/// A REGISTER went out, so there may be a binding.
#[test]
fn dropping_the_future_of_a_registration_withdraws_what_it_may_have_made() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let (bob, _registrar) = registrar(&net).await;
        assert!(
            net.within(Duration::from_millis(5), bob.register())
                .await
                .is_none()
        );
        net.sim.sleep(SECOND).await;
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    assert_ladder!(
        net.sim,
        "
               0 ms  bob       -> registrar  REGISTER
              10 ms  registrar -> bob        200
              20 ms  bob       -> registrar  REGISTER
              30 ms  registrar -> bob        200
    "
    );
}

#[test]
fn a_registration_that_is_left_stays_until_its_time_is_over() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let (bob, _registrar) = registrar(&net).await;
        bob.register().await.unwrap().leave();
        net.sim.sleep(Duration::from_secs(590)).await;
        assert!(
            !net.sim.left().is_empty(),
            "the registrar waits for the binding to expire"
        );
        net.sim.sleep(Duration::from_secs(11)).await;
    });
    assert_eq!(net.sim.left(), [""; 0]);
    assert_eq!(net.sim.ladder().count("REGISTER"), 1);
}

/// Runs what happens between two phones, and checks that nothing is left of it.
#[track_caller]
fn run(net: &Net, story: impl AsyncFn(&Account, &UserAgent)) {
    let _witness = net.witness(1);
    net.sim.run(async {
        let (alice, bob) = net.alice_and_bob().await;
        story(&alice, &bob).await;
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    net.sim.run(net.assert_nothing_is_left());
}

async fn registrar(net: &Net) -> (Account, sipwright::Server) {
    let server = net.proxy("registrar", |server| {
        server
            .listen("udp:*:5060")
            .domain("registrar")
            .registrar(sipwright::proxy::Registrar::default())
    });
    let server = server.await;
    let bob = net.phone("bob").await.account("sip:bob@registrar");
    let bob = bob.credentials(Credentials::password("bob", "hush"));
    (bob.build().unwrap(), server)
}

const BOB: &str = "sip:bob@bob";

const SECOND: Duration = Duration::from_secs(1);
