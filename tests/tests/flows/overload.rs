//! Too much to do: what waits is bounded as the program says, and neighbours tell each other.

use crate::network::{SESSION, uri};
use futures_util::{
    StreamExt,
    future::{join_all, pending, select},
};
use sipwright::{
    OverloadControl, Server, ServerBuilder, UserAgent, UserAgentBuilder,
    message::Method,
    proxy::{Foreign, Inbound},
    proxy_core::UnmatchedCancel,
    sim::Sim,
};
use std::{
    future::{Future, IntoFuture},
    pin::pin,
    time::Duration,
};

const SECOND: Duration = Duration::from_secs(1);

async fn phone(
    sim: &Sim,
    name: &str,
    configure: impl FnOnce(UserAgentBuilder) -> UserAgentBuilder,
) -> UserAgent {
    let phone = UserAgent::builder()
        .runtime(sim.host(name))
        .listen("udp:*:5060");
    configure(phone).start().await.expect("starts")
}

async fn proxy(
    sim: &Sim,
    name: &str,
    configure: impl FnOnce(ServerBuilder) -> ServerBuilder,
) -> Server {
    let server = Server::builder()
        .runtime(sim.host(name))
        .listen("udp:*:5060")
        .foreign(Foreign::Anyone);
    configure(server).start().await.expect("starts")
}

/// Polls `future` for a second and no longer.
async fn for_a_second(sim: &Sim, future: impl Future) {
    select(pin!(future), pin!(sim.sleep(SECOND))).await;
}

/// Somebody asks for calls and messages once, and does not come back for them.
#[test]
fn as_many_calls_and_messages_wait_as_the_program_says() {
    for limit in [1, 3, 100] {
        let sim = Sim::new(1);
        sim.run(async {
            let bob = phone(&sim, "bob", |bob| {
                bob.max_waiting_calls(limit).max_waiting_messages(limit)
            })
            .await;
            for_a_second(&sim, bob.incoming()).await;
            for_a_second(&sim, bob.messages().next()).await;
            let alice = phone(&sim, "alice", |alice| alice).await;
            let account = alice.account("sip:alice@alice").build().expect("is one");
            let calls =
                (0..limit + 2).map(|_| account.call("sip:bob@bob").session(SESSION).into_future());
            let messages =
                (0..limit + 2).map(|_| alice.request(Method::MESSAGE, "sip:bob@bob").into_future());
            for_a_second(&sim, join_all(calls)).await;
            for_a_second(&sim, join_all(messages)).await;
            let stats = bob.core_stats().await.expect("runs");
            assert_eq!((stats.calls_refused, stats.requests_refused), (2, 2));
        });
        let ladder = sim.ladder();
        assert_eq!(ladder.count("480"), 2, "{limit} may wait\n{ladder}");
        assert_eq!(ladder.count("503"), 2, "{limit} may wait\n{ladder}");
    }
}

#[test]
fn as_many_requests_wait_for_their_router_as_the_program_says() {
    let sim = Sim::new(2);
    sim.run(async {
        let never = async |_: Inbound| pending().await;
        let server = proxy(&sim, "proxy", |proxy| proxy.route(never).max_undecided(2)).await;
        let alice = phone(&sim, "alice", |alice| alice).await;
        let messages = (0..5).map(|_| {
            alice
                .request(Method::MESSAGE, "sip:bob@proxy")
                .into_future()
        });
        for_a_second(&sim, join_all(messages)).await;
        drop(server);
    });
    assert_eq!(sim.ladder().count("503"), 3, "{}", sim.ladder());
}

/// RFC 7339 through two settings: who says that everything is too much gets nothing, until he says otherwise.
#[test]
fn a_server_that_has_too_much_to_do_is_heeded_by_who_agreed_to_it() {
    let sim = Sim::new(3);
    sim.run(async {
        let server = proxy(&sim, "proxy", |proxy| {
            let to_bob = async |request: Inbound| request.relay(uri("sip:bob@bob")).await;
            proxy.route(to_bob).overload_control(OverloadControl::new())
        })
        .await;
        let _bob = phone(&sim, "bob", |bob| bob.max_waiting_messages(0)).await;
        let heeding = phone(&sim, "alice", |alice| {
            alice.overload_control(OverloadControl::new())
        })
        .await;
        let deaf = phone(&sim, "carol", |carol| carol).await;
        let mut sent = Vec::new();
        for percent in [0, 100, 0] {
            server.set_overload(percent).await;
            for sender in [&heeding, &deaf] {
                // The first is told by the answer, the second is not sent any more.
                for _ in 0..2 {
                    sender.options("sip:bob@proxy").await.ok();
                }
                let stats = sender.stats().await.expect("runs");
                sent.push((stats.transport.udp.messages_out, stats.shed));
            }
            sim.sleep(SECOND).await;
        }
        // alice and carol, three times: requests sent, requests not sent.
        assert_eq!(sent, [(2, 0), (2, 0), (3, 1), (4, 0), (5, 1), (6, 0)]);
    });
}

/// What has no setter of its own is set at the core.
#[test]
fn a_core_is_configured_through_its_builder() {
    let sim = Sim::new(4);
    sim.run(async {
        let _proxy = proxy(&sim, "proxy", |proxy| {
            proxy.core(|core| core.unmatched_cancel(UnmatchedCancel::Drop))
        })
        .await;
        let _bob = phone(&sim, "bob", |bob| {
            bob.core(|core| core.take_calls(true).calls(0))
        })
        .await;
        let alice = phone(&sim, "alice", |alice| alice).await;
        let cancel = alice.request(Method::CANCEL, "sip:x@proxy");
        assert!(cancel.timeout(SECOND).await.is_err());
        let account = alice.account("sip:alice@alice").build().expect("is one");
        for_a_second(
            &sim,
            account.call("sip:bob@bob").session(SESSION).into_future(),
        )
        .await;
    });
    assert_eq!(sim.ladder().count("481"), 0, "{}", sim.ladder());
    assert_eq!(sim.ladder().count("503"), 1, "{}", sim.ladder());
}
