//! User agents and servers that close while something is under way.

use crate::network::{BOB, Net, SESSION};
use futures_util::{
    StreamExt,
    future::{join, join3},
};
use sipwright::{CallError, assert_ladder, proxy::Registrar};
use std::time::Duration;

#[test]
fn closing_ends_calls_and_withdraws_registrations() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let server = net.proxy("proxy2", |server| {
            server
                .listen("udp:*:5060")
                .domain("biloxi.example.com")
                .registrar(Registrar::default())
        });
        let _server = server.await;
        let (alice, bob) = net.alice_and_bob().await;
        let _binding = bob.account(BOB).build().unwrap().register().await.unwrap();
        let (caller, callee) = net.talk(&alice, "sip:bob@bob", &bob).await;
        bob.close().await;
        assert!(callee.ended().await.is_normal());
        assert!(!caller.ended().await.by_us());
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    assert_ladder!(
        net.sim,
        "
               0 ms  bob    -> proxy2  REGISTER
              10 ms  proxy2 -> bob     200
              20 ms  alice  -> bob     INVITE
              30 ms  bob    -> alice   200
              40 ms  alice  -> bob     ACK
            1050 ms  bob    -> alice   BYE
            1050 ms  bob    -> proxy2  REGISTER
            1060 ms  alice  -> bob     200
            1060 ms  proxy2 -> bob     200
    "
    );
    net.sim.run(net.assert_nothing_is_left());
}

/// The answer to Alice's BYE is lost, and Bob closes: the BYE that she repeats finds him still there.
#[test]
fn a_user_agent_that_closes_answers_stragglers() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let (alice, bob) = net.alice_and_bob().await;
        let (caller, callee) = net.talk(&alice, "sip:bob@bob", &bob).await;
        net.sim.one_way("bob", "alice").up(false);
        let closed = async {
            assert!(!callee.ended().await.by_us());
            net.sim.one_way("bob", "alice").up(true);
            bob.close().await;
        };
        let (ended, ()) = join(caller.hang_up(), closed).await;
        assert!(ended.is_normal());
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    assert_ladder!(
        net.sim,
        "
               0 ms  alice -> bob    INVITE
              10 ms  bob   -> alice  200
              20 ms  alice -> bob    ACK
            1030 ms  alice -> bob    BYE
            1040 ms  bob   -> alice  200  (lost)
            1530 ms  alice -> bob    BYE
            1540 ms  bob   -> alice  200
    "
    );
    net.sim.run(net.assert_nothing_is_left());
}

/// Who closes takes no new calls, and says so.
#[test]
fn a_user_agent_that_closes_refuses_new_calls() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let (alice, bob) = net.alice_and_bob().await;
        let (caller, _callee) = net.talk(&alice, "sip:bob@bob", &bob).await;
        // Bob's BYE gets no answer for a while, so closing takes its time.
        net.sim.one_way("bob", "alice").up(false);
        let late = async {
            net.sim.sleep(Duration::from_secs(1)).await;
            net.sim.one_way("bob", "alice").up(true);
            alice.call("sip:bob@bob").session(SESSION).await
        };
        let ((), late) = join(bob.close(), late).await;
        assert!(
            matches!(late, Err(CallError::Rejected(response)) if response.status().as_u16() == 480)
        );
        assert!(!caller.ended().await.by_us());
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    net.sim.run(net.assert_nothing_is_left());
}

/// Closing does not wait for ever for a peer that is gone.
#[test]
fn closing_takes_no_longer_than_it_may() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let (alice, bob) = net.alice_and_bob().await;
        let (_caller, callee) = net.talk(&alice, "sip:bob@bob", &bob).await;
        net.sim.link("alice", "bob").up(false);
        let before = net.sim.elapsed();
        bob.close().await;
        assert_eq!(
            net.sim.elapsed() - before,
            Duration::from_secs(5),
            "the default"
        );
        assert!(callee.hang_up().await.by_us());
        assert!(bob.stats().await.is_none(), "it is closed");
    });
}

/// Programs wait for calls in a loop, which ends with the user agent.
#[test]
fn nobody_waits_for_calls_and_messages_of_a_closed_user_agent() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let bob = net.phone("bob").await;
        let mut messages = bob.messages();
        let closed = async {
            net.sim.sleep(Duration::from_secs(1)).await;
            bob.close().await;
        };
        let (call, message, ()) = join3(bob.incoming(), messages.next(), closed).await;
        assert!(call.is_none() && message.is_none());
        assert!(bob.incoming().await.is_none());
    });
}
