//! RFC 3665 §3.1 and §3.2: calls that come about.

use crate::{
    bad_lines::{Ends, on_bad_lines},
    network::{BOB, LINKS, Net, PATIENCE, SESSION},
};
use futures_util::future::join;
use sipwright::{
    Account, Call, Server, UserAgent, assert_ladder_snapshot,
    auth::{Digest, Users},
};
use std::time::Duration;

/// RFC 3665 §3.1.
#[test]
fn a_call_is_answered_and_hung_up_by_the_callee() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let (alice, bob) = net.alice_and_bob().await;
        let ends = talk(&net, &alice, "sip:bob@bob", &bob).await;
        let (caller, callee) = (ends.caller.unwrap(), ends.callee.unwrap());
        net.sim.sleep(TALK).await;
        assert!(callee.hang_up().await.is_normal());
        assert!(!caller.ended().await.by_us());
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    assert_ladder_snapshot!(net.sim, "a_call_is_answered_and_hung_up_by_the_callee");
    net.sim.run(net.assert_nothing_is_left());
}

/// RFC 3665 §3.1.
#[test]
fn a_call_on_a_bad_line_is_held_by_both_or_neither() {
    let established = on_bad_lines(&[("alice", "bob")], async |net, seed| {
        let (alice, bob) = net.alice_and_bob().await;
        let ends = talk(net, &alice, "sip:bob@bob", &bob).await;
        end_somehow(net, seed, ends).await
    });
    assert!(
        established > 190,
        "only {established} of 200 calls came about"
    );
}

/// RFC 3665 §3.2.
#[test]
fn a_call_passes_two_proxies_of_which_one_authenticates() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let (alice, bob, _servers) = two_proxies(&net).await;
        let ends = talk(&net, &alice, BOB, &bob).await;
        let (caller, callee) = (ends.caller.unwrap(), ends.callee.unwrap());
        net.sim.sleep(TALK).await;
        assert!(callee.hang_up().await.is_normal());
        assert!(!caller.ended().await.by_us());
    });
    assert_ladder_snapshot!(
        net.sim,
        "a_call_passes_two_proxies_of_which_one_authenticates"
    );
}

/// RFC 3665 §3.2.
#[test]
fn a_call_through_two_proxies_on_a_bad_line_is_held_by_both_or_neither() {
    let established = on_bad_lines(&LINKS, async |net, seed| {
        let (alice, bob, _servers) = two_proxies(net).await;
        let ends = talk(net, &alice, BOB, &bob).await;
        end_somehow(net, seed, ends).await
    });
    assert!(
        established > 190,
        "only {established} of 200 calls came about"
    );
}

/// Proxy 1 asks Alice who she is.
async fn two_proxies(net: &Net) -> (Account, UserAgent, [Server; 2]) {
    let users = Users::new().add("alice", "atlanta.example.com", "secret");
    let servers = net
        .proxies(|server| server.authenticate(Digest::realm("atlanta.example.com"), users))
        .await;
    (
        net.alice_of_atlanta().await,
        net.phone("bob").await,
        servers,
    )
}

/// Alice calls, Bob's phone rings for two seconds, Bob answers.
async fn talk(net: &Net, alice: &Account, bob_uri: &str, bob: &UserAgent) -> Ends {
    let called = async { alice.call(bob_uri).session(SESSION).await.ok() };
    let answered = async {
        let incoming = net.within(PATIENCE, bob.incoming()).await??;
        incoming.ring().await.ok()?;
        net.sim.sleep(Duration::from_secs(2)).await;
        incoming.session(SESSION).answer().await.ok()
    };
    let (caller, callee) = join(called, answered).await;
    Ends { caller, callee }
}

/// They talk for a while, and then one hangs up, the other, both at once or nobody.
async fn end_somehow(net: &Net, seed: u64, ends: Ends) -> Ends {
    net.sim.sleep(TALK).await;
    let hang_up = async |call: &Option<Call>, does: bool| {
        if let (Some(call), true) = (call, does) {
            call.hang_up().await;
        }
    };
    join(
        hang_up(&ends.callee, seed / 3 % 4 < 2),
        hang_up(&ends.caller, (1..3).contains(&(seed / 3 % 4))),
    )
    .await;
    ends
}

const TALK: Duration = Duration::from_secs(5);
