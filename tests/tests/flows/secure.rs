//! Calls over TLS. On the line nothing can be read; what the phones say is in their traces.

use crate::{network::SESSION, pki::Authority};
use futures_util::future::join;
use sipwright::{
    Call, CallError, Listener, Server, Tls, UserAgent, assert_ladder, message::headers::Contact,
    proxy::Registrar, sim::Sim, trace::Trace,
};
use std::time::Duration;

/// A phone with TLS; on `bob` it listens, and shows a certificate.
async fn phone(sim: &Sim, name: &str, listener: Option<&str>, tls: Tls) -> UserAgent {
    let mut builder = UserAgent::builder().runtime(sim.host(name)).tls(tls);
    if let Some(listener) = listener {
        builder = builder.listen(listener);
    }
    builder.start().await.unwrap()
}

async fn call(alice: &UserAgent, bob: &UserAgent, uri: &str) -> (Call, Call, String) {
    let account = alice.account("sip:alice@alice").build().unwrap();
    let answered = async {
        let incoming = bob.incoming().await.unwrap();
        let contact = incoming.request().headers().get::<Contact>();
        let contact = contact.unwrap().unwrap().uri().to_string();
        assert!(incoming.flow().protocol().is_secure());
        (incoming.session(SESSION).answer().await.unwrap(), contact)
    };
    let called = account.call(uri).session(SESSION);
    let (caller, (callee, contact)) = join(called.into_future(), answered).await;
    (caller.unwrap(), callee, contact)
}

/// RFC 3261 §26.2.2, RFC 5630 §3.1: every way to say it leads to TLS, and both can hang up.
#[test]
fn a_call_to_a_sips_uri_goes_over_tls_from_end_to_end() {
    let authority = Authority::new("authority");
    for (uri, contact) in [
        ("sips:bob@bob", "sips:"),
        ("sips:bob@bob;transport=tcp", "sips:"),
        ("sip:bob@bob;transport=tls", "sip:"),
    ] {
        let sim = Sim::new(1);
        sim.run(async {
            let tls = authority.certify(&["sip:bob"]).shown(Tls::new());
            let bob = phone(&sim, "bob", Some("tls:*"), tls).await;
            let alice = phone(&sim, "alice", None, authority.believed()).await;
            let (caller, callee, offered) = call(&alice, &bob, uri).await;
            assert!(offered.starts_with(contact), "{offered} for {uri}");
            // The callee's BYE goes back over the connection that the caller opened: nobody could open another.
            assert!(callee.hang_up().await.is_normal());
            assert!(!caller.ended().await.by_us());
            alice.close().await;
            bob.close().await;
        });
        assert!(sim.is_quiet(), "{:?}", sim.left());
        // In clear text there was nothing.
        assert_ladder!(sim, "");
    }
}

/// TRA-019: RFC 3261 §26.2.1, §8.1.3.1: a server that cannot prove who it is counts as one that is not there.
#[test]
fn tra_019_a_call_to_a_server_that_proves_nothing_fails_with_503() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let impostors = [theirs.certify(&["sip:bob"]), ours.certify(&["sip:carol"])];
    for impostor in impostors {
        let sim = Sim::new(1);
        sim.run(async {
            let tls = impostor.shown(Tls::new());
            let _bob = phone(&sim, "bob", Some("tls:*"), tls).await;
            let alice = phone(&sim, "alice", None, ours.believed()).await;
            let account = alice.account("sip:alice@alice").build().unwrap();
            let failed = account.call("sips:bob@bob").session(SESSION).await;
            let error: CallError = failed.err().unwrap();
            assert_eq!(error.status().unwrap().as_u16(), 503, "{error}");
            assert!(error.to_string().contains("certificate"), "{error}");
            assert!(sim.elapsed() < Duration::from_secs(1));
        });
        assert_ladder!(sim, "");
    }
}

/// Both prove who they are; certificates change while a call is up, and the call goes on.
#[test]
fn a_peer_is_known_by_its_certificate_and_certificates_change_while_calls_are_up() {
    let authority = Authority::new("authority");
    let pem = authority.pem();
    let serving = || {
        let tls = authority.certify(&["sip:bob"]).shown(authority.believed());
        tls.require_client_certificates(pem.as_bytes()).unwrap()
    };
    let sim = Sim::new(1);
    sim.run(async {
        let bob = phone(&sim, "bob", Some("tls:*"), serving()).await;
        let own = authority
            .certify(&["sip:alice"])
            .shown(authority.believed());
        let alice = phone(&sim, "alice", None, own).await;
        let account = alice.account("sip:alice@alice").build().unwrap();
        let answered = async {
            let incoming = bob.incoming().await.unwrap();
            let identity = bob.peer_identity(incoming.flow()).await.unwrap();
            assert_eq!(identity.domains().collect::<Vec<_>>(), ["alice"]);
            incoming.session(SESSION).answer().await.unwrap()
        };
        let called = account.call("sips:bob@bob").session(SESSION);
        let (caller, callee) = join(called.into_future(), answered).await;
        bob.set_tls(serving()).await.unwrap();
        sim.sleep(Duration::from_secs(1)).await;
        assert!(caller.unwrap().hang_up().await.is_normal());
        assert!(!callee.ended().await.by_us());
        // Who cannot prove anything is sent away now as before.
        let nobody = phone(&sim, "nobody", None, authority.believed()).await;
        assert!(nobody.options("sips:bob@bob").await.is_err());
        assert!(alice.options("sips:bob@bob").await.is_ok());
    });
}

/// A server with two sides: phones, and a carrier that has to prove who it is and knows the server by another name.
#[test]
fn each_listener_has_its_own_certificate_and_its_own_question_to_clients() {
    let authority = Authority::new("authority");
    let certified = |name: &str| authority.certify(&[name]).shown(authority.believed());
    let asking = |tls: Tls| {
        tls.require_client_certificates(authority.pem().as_bytes())
            .unwrap()
    };
    let sim = Sim::new(1);
    sim.run(async {
        let server = sim.host("server").without_ipv6();
        sim.alias("carrier-side", "server");
        let outer = Listener::tls(
            (server.ipv4(), 5071).into(),
            asking(certified("sip:carrier-side")),
        );
        let bob = UserAgent::builder()
            .runtime(server)
            .tls(certified("sip:server"))
            .listen("tls:*")
            .listen(outer);
        let bob = bob.start().await.unwrap();
        let phone_tls = authority.believed();
        let alice = phone(&sim, "alice", None, phone_tls).await;
        assert!(alice.options("sips:bob@server").await.is_ok());
        assert!(alice.options("sips:bob@carrier-side:5071").await.is_err());
        let carrier = phone(&sim, "carrier", None, certified("sip:carrier")).await;
        assert!(carrier.options("sips:bob@carrier-side:5071").await.is_ok());
        assert!(carrier.options("sips:bob@server:5071").await.is_err());
        // What is replaced is the one that is named.
        let local = bob.listeners()[1];
        let renamed = asking(certified("sip:server"));
        bob.set_listener_tls(local, renamed).await.unwrap();
        carrier.close().await;
        let carrier = phone(&sim, "carrier2", None, certified("sip:carrier")).await;
        assert!(carrier.options("sips:bob@server:5071").await.is_ok());
        assert!(alice.options("sips:bob@server:5071").await.is_err());
        let nowhere = "192.0.2.99:5061".parse().unwrap();
        assert!(bob.set_listener_tls(nowhere, Tls::new()).await.is_err());
    });
}

/// RFC 3261 §26.3.2.1: phones without listeners and certificates of their own, at a proxy that proves who it is. The
/// callee is reached over the connection on which it registered.
#[test]
fn a_call_through_a_proxy_is_secure_on_each_hop() {
    let authority = Authority::new("authority");
    for (target, asked) in [("sips:bob@proxy", "sips:"), ("sip:bob@proxy", "sip:")] {
        let sim = Sim::new(1);
        let trace = Trace::new().keep(100).named("proxy");
        sim.run(async {
            let tls = authority.certify(&["sip:proxy"]).shown(Tls::new());
            let server = Server::builder()
                .runtime(sim.host("proxy"))
                .trace(trace.clone())
                .listen("tls:*")
                .domain("proxy")
                .registrar(Registrar::default())
                .tls(tls);
            let server = server.start().await.unwrap();
            let alice = phone(&sim, "alice", None, authority.believed()).await;
            let bob = phone(&sim, "bob", None, authority.believed()).await;
            let at_proxy = |ua: &UserAgent, aor: &str| {
                ua.account(aor).outbound(["sips:proxy;lr"]).build().unwrap()
            };
            let binding = at_proxy(&bob, "sip:bob@proxy").register().await.unwrap();
            let account = at_proxy(&alice, "sip:alice@proxy");
            let answered = async {
                let incoming = bob.incoming().await.unwrap();
                let uri = incoming.request().uri().to_string();
                assert!(uri.starts_with(asked), "{uri} for {target}");
                incoming.session(SESSION).answer().await.unwrap()
            };
            let called = account.call(target).session(SESSION);
            let (caller, callee) = join(called.into_future(), answered).await;
            let caller = caller.unwrap();
            sim.sleep(Duration::from_secs(1)).await;
            assert!(callee.hang_up().await.is_normal());
            assert!(!caller.ended().await.by_us());
            binding.unregister().await.unwrap();
            alice.close().await;
            bob.close().await;
            server.close().await;
        });
        assert!(sim.is_quiet(), "{:?}", sim.left());
        assert_ladder!(sim, "");
        let ladder = trace.ladder();
        let seen: Vec<&str> = ladder.messages().map(|message| message.summary()).collect();
        assert_eq!(
            seen,
            [
                "REGISTER",
                "200 OK",
                "INVITE",
                "100 Trying",
                "INVITE",
                "200 OK",
                "200 OK",
                "ACK",
                "ACK",
                "BYE",
                "BYE",
                "200 OK",
                "200 OK",
                "REGISTER",
                "200 OK"
            ],
            "{ladder}"
        );
    }
}

/// UA-011: RFC 5630 §5.1.1, RFC 3261 §8.1.3.4: who asked for `sips` is not led to less by a redirection; the application is told.
#[test]
fn a_sips_call_is_not_redirected_to_clear_text() {
    let authority = Authority::new("authority");
    for (target, status) in [("sip:carol@bob", 302), ("sips:carol@bob", 200)] {
        let sim = Sim::new(1);
        sim.run(async {
            let tls = authority.certify(&["sip:bob"]).shown(Tls::new());
            let bob = UserAgent::builder().runtime(sim.host("bob")).tls(tls);
            let bob = bob.listen("tls:*").listen("udp:*").start().await.unwrap();
            let alice = UserAgent::builder()
                .runtime(sim.host("alice"))
                .tls(authority.believed());
            let alice = alice.listen("udp:*").start().await.unwrap();
            let account = alice.account("sip:alice@alice").build().unwrap();
            let redirected = async {
                let incoming = bob.incoming().await.unwrap();
                incoming.redirect([target.parse().unwrap()]).await.unwrap();
                if status == 200 {
                    let again = bob.incoming().await.unwrap();
                    assert!(again.flow().protocol().is_secure());
                    again
                        .session(SESSION)
                        .answer()
                        .await
                        .unwrap()
                        .hang_up()
                        .await;
                }
            };
            let called = account.call("sips:bob@bob").session(SESSION);
            let (called, ()) = join(called.into_future(), redirected).await;
            match called {
                Ok(call) => assert!(status == 200 && call.ended().await.is_normal()),
                Err(error) => assert_eq!(error.status().unwrap().as_u16(), status, "{error}"),
            }
            alice.close().await;
            bob.close().await;
        });
        assert_ladder!(sim, "");
    }
}
