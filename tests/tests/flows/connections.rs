//! Phones that nobody can connect to: what is for them goes over the connection that they opened.

use crate::network::{Net, SESSION};
use futures_util::future::join;
use sipwright::{
    Account, Registration, Server, UserAgent, assert_ladder,
    message::{HeaderName, HeaderValue, Method},
    sim::Oversize,
};
use std::time::Duration;

/// RFC 5923 §3 asks for more than an address, so the connection is known by the binding's flow: INVITE, ACK and BYE all
/// go over it, and nobody tries to connect to the phone.
#[test]
fn everything_for_a_phone_behind_a_nat_goes_over_the_connection_that_it_opened() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let (alice, bob, binding, _server) = behind_a_nat(&net).await;
        let (caller, callee) = net.talk(&alice, BOB, &bob).await;
        assert!(caller.hang_up().await.is_normal());
        assert!(!callee.ended().await.by_us());
        binding.unregister().await.unwrap();
        bob.close().await;
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    assert_ladder!(
        net.sim,
        "
              20 ms  bob   -> proxy  REGISTER
              30 ms  proxy -> bob    200
            1000 ms  alice -> proxy  INVITE
            1010 ms  proxy -> alice  100
            1010 ms  proxy -> bob    INVITE
            1020 ms  bob   -> proxy  200
            1030 ms  proxy -> alice  200
            1040 ms  alice -> proxy  ACK
            1050 ms  proxy -> bob    ACK
            2060 ms  alice -> proxy  BYE
            2070 ms  proxy -> bob    BYE
            2080 ms  bob   -> proxy  200
            2090 ms  proxy -> alice  200
            2100 ms  bob   -> proxy  REGISTER
            2110 ms  proxy -> bob    200
    "
    );
    net.sim.run(net.assert_nothing_is_left());
}

/// RFC 3261 §12.2.1.1: the way of the phone's own BYE is its connection too.
#[test]
fn a_phone_behind_a_nat_hangs_up_over_its_connection() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let (alice, bob, binding, _server) = behind_a_nat(&net).await;
        let (caller, callee) = net.talk(&alice, BOB, &bob).await;
        assert!(callee.hang_up().await.is_normal());
        assert!(!caller.ended().await.by_us());
        binding.unregister().await.unwrap();
        bob.close().await;
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    net.sim.run(net.assert_nothing_is_left());
}

/// RFC 5626 §5.3: a flow that is gone cannot be made anew, and whoever calls hears so at once.
#[test]
fn a_call_to_a_phone_whose_connection_is_gone_fails_at_once() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let (alice, bob, binding, _server) = behind_a_nat(&net).await;
        binding.leave();
        bob.close().await;
        net.sim.sleep(Duration::from_secs(1)).await;
        let asked = net.sim.elapsed();
        let error = alice.call(BOB).session(SESSION).await.unwrap_err();
        assert!(
            matches!(
                error.status().map(|status| status.as_u16()),
                Some(430 | 480)
            ),
            "{error}"
        );
        assert!(
            net.sim.elapsed() - asked < Duration::from_secs(2),
            "after {:?}",
            net.sim.elapsed() - asked
        );
    });
}

/// RFC 3261 §18: a connection is no part of a call, so the BYE makes a new one.
#[test]
fn a_call_outlives_the_reset_of_its_connection() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let alice = net.start_phone("alice", |phone| phone.listen("tcp:*:5060"));
        let alice = alice.await.account("sip:alice@alice").build().unwrap();
        let bob = net.start_phone("bob", |phone| phone.listen("tcp:*:5060"));
        let bob = bob.await;
        let answered = async {
            let incoming = bob.incoming().await.unwrap();
            incoming.session(SESSION).answer().await
        };
        let called = alice.call("sip:bob@bob;transport=tcp").session(SESSION);
        let (caller, callee) = join(called.into_future(), answered).await;
        let (caller, callee) = (caller.unwrap(), callee.unwrap());
        net.sim.sleep(Duration::from_secs(1)).await;
        net.sim.link("alice", "bob").reset_streams();
        net.sim.sleep(Duration::from_secs(1)).await;
        assert!(callee.hang_up().await.is_normal());
        assert!(!caller.ended().await.by_us());
    });
}

/// RFC 3261 §18.1.1: a long request goes over TCP, where fragments do not pass; where TCP does not pass either, nothing
/// helps.
#[test]
fn a_long_request_passes_where_fragments_do_not() {
    for (streams, passes) in [(true, true), (false, false)] {
        let net = Net::new(1);
        let _witness = net.witness(1);
        net.sim
            .everywhere()
            .mtu(1_500)
            .oversize(Oversize::Swallowed)
            .streams(streams);
        net.sim.run(async {
            let alice = net.phone("alice").await;
            let _bob = net
                .start_phone("bob", |phone| {
                    phone.listen("udp:*:5060").listen("tcp:*:5060")
                })
                .await;
            for (length, arrives) in [(100, true), (2_000, passes)] {
                let text = "x".repeat(length);
                let options = alice.request(Method::OPTIONS, "sip:bob@bob").raw_header(
                    HeaderName::from_static("Subject"),
                    HeaderValue::try_from(text.as_str()).unwrap(),
                );
                assert_eq!(options.await.is_ok(), arrives, "{length} bytes");
            }
        });
    }
}

/// Bob's phone has no listener: it is on a port that nobody can connect to. Alice is on UDP.
async fn behind_a_nat(net: &Net) -> (Account, UserAgent, Registration, Server) {
    let (alice, bob) = (net.alice().await, net.phone_without_listener("bob").await);
    let (binding, server) = net.registered(&bob, "tcp").await;
    (alice, bob, binding, server)
}

const BOB: &str = "sip:bob@proxy";
