//! What a phone and a server are told is what they say and do.

use crate::network::Net;
use futures_util::future::join;
use sipwright::{
    message::{
        StatusCode, Uri,
        headers::{Contact, UserAgent},
    },
    proxy::{Foreign, Inbound, Rejected, Relayed},
};
use std::time::Duration;

/// Who answers may be behind a box that it knows of, and is not who the caller wrote to.
#[test]
fn a_phone_says_its_product_its_contact_and_where_its_media_are() {
    let net = Net::new(1);
    net.sim.run(async {
        let alice = net.start_phone("alice", |phone| {
            let phone = phone
                .product("sipwright-test/1")
                .media_ports(20_000..20_010);
            phone
                .media_address([203, 0, 113, 9].into())
                .listen("udp:*:5060")
        });
        let alice = alice.await.account("sip:alice@alice");
        let alice = alice
            .contact_user("desk 7")
            .display_name("Alice \"Al\" Smith");
        let alice = alice.build().unwrap();
        let bob = net.phone("bob").await;
        let called = async {
            let call = alice.call("sip:bob@bob").await.unwrap();
            assert!(call.remote_session().await.unwrap().starts_with(b"v=0"));
            call.hang_up().await;
            assert_eq!(call.remote_session().await, None);
        };
        let answered = async {
            let incoming = bob.incoming().await.unwrap();
            let heads = incoming.request().headers();
            assert_eq!(
                heads.get::<UserAgent>().unwrap().unwrap().to_string(),
                "sipwright-test/1"
            );
            let contact = heads.get::<Contact>().unwrap().unwrap();
            assert_eq!(contact.uri().user().unwrap(), "desk 7");
            let from = incoming.request().from().unwrap();
            assert_eq!(from.display_name().unwrap(), "Alice \"Al\" Smith");
            let call = incoming.answer().await.unwrap();
            let theirs = call.remote_session().await.unwrap();
            let theirs = String::from_utf8(theirs.to_vec()).unwrap();
            assert!(theirs.contains("c=IN IP4 203.0.113.9\r\n"), "{theirs}");
            assert!(theirs.contains("m=audio 2000"), "{theirs}");
            call.ended().await;
        };
        join(called, answered).await;
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    net.sim.run(net.assert_nothing_is_left());
}

/// `close` waits for a BYE that nobody answers no longer than it was told to.
#[test]
fn closing_waits_as_long_as_it_was_told_to() {
    let net = Net::new(2);
    net.sim.run(async {
        let alice = net.start_phone("alice", |phone| {
            phone
                .close_within(Duration::from_secs(2))
                .listen("udp:*:5060")
        });
        let ua = alice.await;
        let alice = ua.account("sip:alice@alice").build().unwrap();
        let bob = net.phone("bob").await;
        let answered = async {
            let call = bob.incoming().await.unwrap().answer().await.unwrap();
            call.detach();
        };
        let (call, ()) = join(async { alice.call("sip:bob@bob").await.unwrap() }, answered).await;
        net.sim.partition(&["alice"]);
        let before = net.sim.now();
        ua.close().await;
        assert_eq!(net.sim.now() - before, Duration::from_secs(2));
        assert!(call.ended().await.by_us());
    });
}

/// A router knows whose a request is, and what it gives back is what the caller hears.
#[test]
fn a_router_tells_requests_for_us_from_others() {
    async fn route(request: Inbound) -> Result<Relayed, Rejected> {
        if request.is_ours() {
            return Err(StatusCode::GONE.into());
        }
        Err(StatusCode::NOT_FOUND.into())
    }
    let net = Net::new(3);
    net.sim.run(async {
        let proxy = net.proxy("proxy", |server| {
            let server = server
                .listen("udp:*:5060")
                .domain("example.com")
                .domain("proxy");
            server.foreign(Foreign::Anyone).route(route)
        });
        let _proxy = proxy.await;
        let alice = net.phone("alice").await.account("sip:alice@example.com");
        let alice = alice.outbound(["sip:proxy;lr"]).build().unwrap();
        for (uri, status) in [
            ("sip:bob@example.com", 410),
            ("sip:bob@elsewhere.example", 404),
        ] {
            let uri = Uri::parse(uri).unwrap();
            let refused = alice.call(uri).await.unwrap_err();
            assert_eq!(refused.status().unwrap(), status);
        }
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    net.sim.run(net.assert_nothing_is_left());
}
