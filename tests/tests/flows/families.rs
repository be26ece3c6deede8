//! Calls over IPv6, and between hosts of which one has IPv4 alone and the other IPv6 alone.

use crate::network::Net;
use futures_util::future::join;
use sipwright::{
    UserAgent, assert_ladder_snapshot,
    proxy::{Foreign, Registrar},
};
use std::time::Duration;

/// RFC 3261 §19.1.1: an address of IPv6 stands in brackets, in URIs, Via and Contact.
#[test]
fn a_call_between_addresses_of_ipv6() {
    for transport in ["udp", "tcp"] {
        let net = Net::new(1);
        let _witness = net.witness(1);
        let hosts = ["alice", "bob"].map(|name| net.sim.host(name).without_ipv4());
        net.sim.run(async {
            let [alice, bob] = [phone(&net, "alice").await, phone(&net, "bob").await];
            let [ours, theirs] = hosts.each_ref().map(|host| host.ipv6());
            let account = alice
                .account(format!("sip:alice@[{ours}]"))
                .build()
                .unwrap();
            let uri = format!("sip:bob@[{theirs}]:5060;transport={transport}");
            let (caller, callee) = net.talk(&account, &uri, &bob).await;
            assert!(callee.hang_up().await.is_normal());
            assert!(!caller.ended().await.by_us());
        });
        net.sim.run(async {
            for phone in ["alice", "bob"] {
                let heads = net.heads(phone);
                assert!(
                    heads.contains("Via: SIP/2.0") && !heads.contains("10.0.0."),
                    "{heads}"
                );
            }
        });
    }
}

/// RFC 6157 §3.1: a proxy of both families stands between, and records its route for each side (RFC 5658).
#[test]
fn a_phone_of_ipv4_and_one_of_ipv6_call_each_other_through_a_proxy_of_both() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.host("old").without_ipv6();
    net.sim.host("new").without_ipv4();
    net.sim.run(async {
        let _server = net
            .proxy("proxy", |server| {
                let server = server.listen("udp:[::]:5060");
                let server = server.domain("proxy").registrar(Registrar::default());
                server.foreign(Foreign::Anyone)
            })
            .await;
        let old = net.phone("old").await;
        let new = phone(&net, "new").await;
        let [old_account, new_account] = [(&old, "old"), (&new, "new")].map(|(phone, name)| {
            let account = phone.account(format!("sip:{name}@proxy"));
            account.outbound(["sip:proxy;lr"]).build().unwrap()
        });
        let bindings = join(old_account.register(), new_account.register()).await;
        let _bindings = (bindings.0.unwrap(), bindings.1.unwrap());
        net.sim
            .sleep(Duration::from_secs(1) - net.sim.elapsed())
            .await;
        let (caller, callee) = net.talk(&old_account, "sip:new@proxy", &new).await;
        assert!(callee.hang_up().await.is_normal());
        assert!(!caller.ended().await.by_us());
        let (caller, callee) = net.talk(&new_account, "sip:old@proxy", &old).await;
        assert!(caller.hang_up().await.is_normal());
        assert!(!callee.ended().await.by_us());
    });
    assert_ladder_snapshot!(net.sim, "a_phone_of_ipv4_and_one_of_ipv6_through_a_proxy");
}

/// A phone that listens on IPv6.
async fn phone(net: &Net, name: &'static str) -> UserAgent {
    net.start_phone(name, |builder| {
        builder.listen("udp:[::]:5060").listen("tcp:[::]:5060")
    })
    .await
}
