//! What routers do wrong reaches the caller as a response, at once.

use crate::network::Net;
use futures_util::{FutureExt, future::join};
use sipwright::{
    Account, UserAgent,
    message::{StatusCode, Uri},
    proxy::{Inbound, Rejected, Relayed},
};
use std::time::Duration;

/// A panic, a 1xx as the last word, and a rejection that is none.
#[test]
fn a_router_that_is_mistaken_is_answered_for() {
    let net = Net::new(1);
    run(&net, async |alice, _| {
        for user in ["panics", "rings", "rejects-with-200"] {
            let before = net.sim.now();
            let uri = Uri::sip(user, "example.com").unwrap();
            let refused = alice.call(uri).await.unwrap_err();
            assert_eq!(
                refused.status(),
                Some(StatusCode::SERVER_INTERNAL_ERROR),
                "{user}"
            );
            assert!(net.sim.now() - before < Duration::from_secs(1), "{user}");
        }
    });
}

/// A second relay fails while the first is under way, and disturbs it neither by coming nor by being dropped.
#[test]
fn requests_are_relayed_one_at_a_time() {
    let net = Net::new(2);
    run(&net, async |alice, bob| {
        for user in ["twice", "twice-and-dropped"] {
            let uri = Uri::sip(user, "example.com").unwrap();
            let called = async { alice.call(uri).await.unwrap_err() };
            let answered = async {
                let incoming = bob.incoming().await.unwrap();
                net.sim.sleep(Duration::from_secs(1)).await;
                incoming.reject(StatusCode::BUSY_HERE).await.unwrap();
            };
            let (refused, ()) = join(called, answered).await;
            assert_eq!(refused.status(), Some(StatusCode::BUSY_HERE), "{user}");
        }
    });
}

async fn route(request: Inbound) -> Result<Relayed, Rejected> {
    let relay = || request.relay(Uri::parse("sip:bob@bob").expect("it is a URI"));
    match request.uri().user().as_deref() {
        Some("rings") => {
            Ok(request.answer(request.request().response(StatusCode::RINGING).build()))
        }
        Some("rejects-with-200") => Err(StatusCode::OK.into()),
        Some("twice") => {
            let (first, second) = join(relay().into_future(), relay().into_future()).await;
            assert_eq!(
                second.unwrap_err().status(),
                StatusCode::SERVER_INTERNAL_ERROR
            );
            first
        }
        Some("twice-and-dropped") => {
            let dropped = async { assert!(relay().into_future().now_or_never().is_none()) };
            join(relay().into_future(), dropped).await.0
        }
        _ => panic!("as a bug would"),
    }
}

fn run(net: &Net, story: impl AsyncFnOnce(Account, UserAgent)) {
    let _witness = net.witness(0);
    net.sim.run(async {
        let proxy = net.proxy("proxy", |server| {
            let server = server.listen("udp:*:5060").domain("example.com");
            server.domain("proxy").route(route)
        });
        let _proxy = proxy.await;
        let alice = net.phone("alice").await.account("sip:alice@example.com");
        let alice = alice.outbound(["sip:proxy;lr"]).build().unwrap();
        let bob = net.phone("bob").await;
        story(alice, bob).await;
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    net.sim.run(net.assert_nothing_is_left());
}
