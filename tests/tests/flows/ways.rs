//! Which way a request goes: what the DNS says of a domain, and what a program says.

use crate::network::{Net, SESSION, uri};
use futures_util::future::join;
use sipwright::{
    UserAgent,
    message::{Method, headers::Contact},
    proxy::{Foreign, Inbound, Target},
    sim::{DnsTrouble, Sim},
    ua::AckTo,
};
use std::{future::IntoFuture, time::Duration};

/// RFC 3263 §4.1: what NAPTR prefers is taken, and what the DNS cannot say fails the request in time.
#[test]
fn a_domain_chooses_its_transport_and_its_name_server_may_fail() {
    let sim = Sim::new(1);
    sim.naptr("example.com", 10, 0, "SIP+D2T", "_sip._tcp.example.com");
    sim.naptr("example.com", 20, 0, "SIP+D2U", "_sip._udp.example.com");
    for transport in ["tcp", "udp"] {
        sim.srv(
            &format!("_sip._{transport}.example.com"),
            0,
            0,
            5070,
            "server",
        );
    }
    sim.dns_ttl(Duration::from_secs(10));
    sim.run(async {
        let server = UserAgent::builder().runtime(sim.host("server"));
        let server = server.listen("udp:*:5070").listen("tcp:*:5070");
        let _server = server.start().await.expect("starts");
        let phone = UserAgent::builder().runtime(sim.host("phone"));
        let phone = phone.listen("udp:*:5060").listen("tcp:*:5060");
        let phone = phone.start().await.expect("starts");
        let ways = async || {
            let stats = phone.stats().await.expect("runs").transport;
            [stats.tcp.messages_out, stats.udp.messages_out]
        };
        phone.options("sip:example.com").await.expect("answered");
        assert_eq!(ways().await, [1, 0]);
        sim.forget_name("example.com");
        sim.naptr("example.com", 20, 0, "SIP+D2U", "_sip._udp.example.com");
        sim.sleep(Duration::from_secs(11)).await;
        phone.options("sip:example.com").await.expect("answered");
        assert_eq!(ways().await, [1, 1]);
        sim.sleep(Duration::from_secs(11)).await;
        for trouble in [DnsTrouble::Silence, DnsTrouble::Garbage] {
            for name in [
                "example.com",
                "_sip._udp.example.com",
                "_sip._tcp.example.com",
            ] {
                sim.dns_trouble(name, trouble);
            }
            let before = sim.elapsed();
            phone.options("sip:example.com").await.expect_err("unknown");
            assert!(
                sim.elapsed() - before < Duration::from_secs(64),
                "{trouble:?}"
            );
        }
        assert_eq!(ways().await, [1, 1]);
    });
}

/// Kamailio's `local_ack_mode`: a proxy that records no route still gets the ACK of who wants it so.
#[test]
fn an_ack_goes_by_the_route_set_or_the_way_of_its_invite() {
    for (to, by_proxy) in [(AckTo::Route, 0), (AckTo::Invite, 1)] {
        let net = Net::new(1);
        net.sim.run(async {
            let proxy = net
                .proxy("proxy", |proxy| {
                    let to_bob = async |request: Inbound| request.relay(uri("sip:bob@bob")).await;
                    let proxy = proxy.listen("udp:*:5060").foreign(Foreign::Anyone);
                    proxy.route(to_bob).record_route(false)
                })
                .await;
            let alice = net
                .start_phone("alice", |phone| {
                    phone.listen("udp:*:5060").core(move |core| core.ack_to(to))
                })
                .await;
            let bob = net.phone("bob").await;
            let account = alice.account("sip:alice@alice").build().expect("is one");
            let answered = async {
                let incoming = bob.incoming().await.expect("calls");
                incoming.answer().await.expect("acknowledged")
            };
            let called = account.call("sip:bob@proxy").session(SESSION).into_future();
            let (called, answered) = join(called, answered).await;
            assert!(called.expect("answers").hang_up().await.is_normal());
            drop(answered);
            assert_eq!(proxy.core_stats().await.expect("runs").acks, by_proxy);
        });
    }
}

/// Kamailio's `rich_redirect`: how much each place is preferred.
#[test]
fn a_redirection_says_how_much_each_place_is_preferred() {
    let net = Net::new(1);
    net.sim.run(async {
        let _proxy = net
            .proxy("proxy", |proxy| {
                let elsewhere = async |request: Inbound| {
                    let targets = [("sip:bob@desk", 1.0), ("sip:bob@mobile", 0.5)];
                    let targets = targets.map(|(place, q)| Target::new(uri(place)).q(q));
                    Ok(request.redirect(targets))
                };
                let proxy = proxy.listen("udp:*:5060").foreign(Foreign::Anyone);
                proxy.route(elsewhere)
            })
            .await;
        let alice = net.phone("alice").await;
        let moved = alice.request(Method::MESSAGE, "sip:bob@proxy").await;
        let moved = moved.expect("is answered");
        assert_eq!(moved.status(), 302);
        let contacts: Vec<_> = moved.headers().all::<Contact>().collect();
        let contacts = contacts
            .into_iter()
            .map(|contact| contact.expect("is one").to_string());
        let contacts: Vec<String> = contacts.collect();
        assert_eq!(contacts, ["<sip:bob@desk>", "<sip:bob@mobile>;q=0.500"]);
    });
}
