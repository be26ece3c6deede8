//! Phones behind boxes that translate addresses: they register and are called back, whatever the box is
//! (RFC 3581, RFC 5626).

use crate::network::{Net, SESSION};
use futures_util::future::join;
use sipwright::{
    Account, KeepAlivePolicy, Registration, Server, UserAgent, assert_ladder_snapshot,
    message::headers::{Contact, Supported},
    sim::Nat,
};
use std::time::Duration;

const KINDS: [Nat; 4] = [
    Nat::FullCone,
    Nat::Restricted,
    Nat::PortRestricted,
    Nat::Symmetric,
];

/// RFC 3581 §4 and RFC 3261 §10: the binding is that of the flow, so the INVITE comes back to the port that the box
/// opened for the REGISTER; what belongs to the call follows it, from whichever side it comes.
#[test]
fn a_phone_behind_any_box_is_called_over_udp() {
    for kind in KINDS {
        let net = Net::new(1);
        let _witness = net.witness(1);
        net.sim.nat("home", kind).host("bob");
        net.sim.run(async {
            let (alice, bob, binding, _server) = registered(&net, "udp").await;
            let (caller, callee) = net.talk(&alice, BOB, &bob).await;
            assert!(callee.hang_up().await.is_normal());
            assert!(!caller.ended().await.by_us());
            binding.unregister().await.unwrap();
            bob.close().await;
        });
        assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
        assert_ladder_snapshot!(net.sim, "a_phone_behind_a_box_is_called_over_udp");
        net.sim.run(net.assert_nothing_is_left());
    }
}

/// PRX-027: RFC 3581 §4: what answers the phone behind the box comes where its request came from. The other way round: what
/// the callee's side sends finds the phone that called.
#[test]
fn a_phone_behind_any_box_calls_and_is_hung_up_over_udp() {
    for kind in KINDS {
        let net = Net::new(1);
        let _witness = net.witness(1);
        net.sim.nat("home", kind).host("bob");
        net.sim.run(async {
            let (alice, bob, _binding, _server) = registered(&net, "udp").await;
            let from_home = bob.account(BOB).outbound(["sip:proxy;lr"]).build().unwrap();
            let agent = alice.user_agent().clone();
            let (caller, callee) = net.talk(&from_home, "sip:alice@alice", &agent).await;
            assert!(callee.hang_up().await.is_normal());
            assert!(!caller.ended().await.by_us());
        });
    }
}

/// Over TCP the connection is the phone's, and the box lets nobody else in.
#[test]
fn a_phone_behind_any_box_is_called_over_its_connection() {
    for kind in KINDS {
        let net = Net::new(1);
        let _witness = net.witness(1);
        net.sim.nat("home", kind).host("bob");
        net.sim.run(async {
            let (alice, bob, binding, _server) = registered(&net, "tcp").await;
            let (caller, callee) = net.talk(&alice, BOB, &bob).await;
            assert!(caller.hang_up().await.is_normal());
            assert!(!callee.ended().await.by_us());
            binding.unregister().await.unwrap();
            bob.close().await;
        });
        assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
        assert_ladder_snapshot!(net.sim, "a_phone_behind_a_box_is_called_over_tcp");
        net.sim.run(net.assert_nothing_is_left());
    }
}

/// Two phones behind the same box call each other through a server outside, although the box turns nothing back.
#[test]
fn two_phones_behind_one_box_call_each_other() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    let home = net.sim.nat("home", Nat::Symmetric);
    home.host("bob");
    home.host("carol");
    net.sim.run(async {
        let (_alice, bob, _binding, _server) = registered(&net, "udp").await;
        let carol = net.phone("carol").await;
        let carol = carol
            .account("sip:carol@proxy")
            .outbound(["sip:proxy;lr"])
            .build()
            .unwrap();
        let (caller, callee) = net.talk(&carol, BOB, &bob).await;
        assert!(callee.hang_up().await.is_normal());
        assert!(!caller.ended().await.by_us());
    });
}

/// A box that was switched off and on has forgotten the way to the phone until the phone says something again.
#[test]
fn a_phone_whose_box_forgot_it_is_found_again_after_it_registered() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    let home = net.sim.nat("home", Nat::PortRestricted);
    home.host("bob");
    net.sim.run(async {
        let (alice, bob, binding, _server) = registered(&net, "udp").await;
        home.restart();
        let gone = alice
            .call(BOB)
            .session(SESSION)
            .ring_for(Duration::from_secs(20));
        assert!(gone.await.is_err());
        binding.unregister().await.unwrap();
        let account = account(&bob, "udp");
        let _binding = account.register().await.unwrap();
        let (caller, callee) = net.talk(&alice, BOB, &bob).await;
        assert!(caller.hang_up().await.is_normal());
        assert!(!callee.ended().await.by_us());
    });
}

/// RFC 5626 §4.4.2: a box of today closes a port after a minute without a word; what keeps it open is asked of the server
/// all the while.
#[test]
fn a_flow_that_is_kept_alive_stays_open_and_another_does_not() {
    for (policy, reached) in [
        (KeepAlivePolicy::Always, true),
        (KeepAlivePolicy::Never, false),
    ] {
        let net = Net::new(1);
        let _witness = net.witness(1);
        let home = net.sim.nat("home", Nat::Symmetric);
        home.timeout(Duration::from_secs(60));
        home.host("bob");
        net.sim.run(async {
            let (alice, bob, binding, _server) = registered(&net, "udp").await;
            binding.unregister().await.unwrap();
            let account = bob.account(BOB).outbound(["sip:proxy;lr"]);
            let account = account.keep_alive(policy).build().unwrap();
            let _binding = account.register().await.unwrap();
            net.sim.sleep(Duration::from_secs(400)).await;
            assert_eq!(home.mappings() > 0, reached);
            if reached {
                let (caller, callee) = net.talk(&alice, BOB, &bob).await;
                assert!(caller.hang_up().await.is_normal());
                assert!(!callee.ended().await.by_us());
            } else {
                let ring = Duration::from_secs(20);
                let call = alice.call(BOB).session(SESSION).ring_for(ring);
                assert!(call.await.is_err());
            }
        });
    }
}

/// RFC 5626 §4.4, §4.5: a device that manages its flow finds out that its box has forgotten it, and is reached again over
/// another flow without anybody's help; the old one is gone.
#[test]
fn a_device_whose_box_forgot_it_is_soon_found_again() {
    for transport in ["udp", "tcp"] {
        let net = Net::new(1);
        let _witness = net.witness(1);
        let home = net.sim.nat("home", Nat::Symmetric);
        home.host("bob");
        net.sim.run(async {
            let (alice, bob, binding, _server) = registered(&net, transport).await;
            binding.unregister().await.unwrap();
            let route = format!("sip:proxy;transport={transport};lr");
            let device = bob.account(BOB).outbound([route]);
            let device = device.device("urn:uuid:00000000-0000-1000-8000-000A95A0E128", 1);
            let _binding = device.build().unwrap().register().await.unwrap();
            net.sim.sleep(Duration::from_secs(200)).await;
            home.restart();
            let asked = net.sim.ladder().count("REGISTER");
            net.sim.sleep(Duration::from_secs(135)).await;
            assert!(net.sim.ladder().count("REGISTER") > asked);
            let (caller, callee) = net.talk(&alice, BOB, &bob).await;
            assert!(caller.hang_up().await.is_normal());
            assert!(!callee.ended().await.by_us());
        });
        let invites = net.sim.ladder().count("INVITE");
        assert_eq!(invites, 2, "from alice, and to one flow of bob's");
    }
}

/// RFC 5626 §4.3: an edge proxy sees by `ob` that what belongs to a device's call is to come over its flow.
#[test]
fn a_device_says_that_its_calls_belong_to_its_flow() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let (alice, bob) = net.alice_and_bob().await;
        let device = bob.account("sip:bob@bob").device("urn:uuid:0", 1);
        let device = device.build().unwrap();
        let answered = async {
            let incoming = alice.user_agent().incoming().await.unwrap();
            let headers = incoming.request().headers();
            let contact = headers.require::<Contact>().unwrap();
            assert!(contact.uri().has_param("ob"));
            assert!(headers.require::<Supported>().unwrap().contains("outbound"));
            incoming.session(SESSION).answer().await.unwrap()
        };
        let called = device.call("sip:alice@alice").session(SESSION);
        let (caller, callee) = join(called.into_future(), answered).await;
        assert!(callee.hang_up().await.is_normal());
        assert!(!caller.unwrap().ended().await.by_us());
    });
}

fn account(bob: &UserAgent, transport: &str) -> Account {
    let route = format!("sip:proxy;transport={transport};lr");
    bob.account(BOB).outbound([route]).build().unwrap()
}

/// Bob has registered from where he is; Alice is on the open network.
async fn registered(net: &Net, transport: &str) -> (Account, UserAgent, Registration, Server) {
    let (alice, bob) = net.alice_and_bob().await;
    let (binding, server) = net.registered(&bob, transport).await;
    (alice, bob, binding, server)
}

const BOB: &str = "sip:bob@proxy";
