//! RFC 3665 §3.8, §3.9 and §3.11: calls that do not come about.
//!
//! The figures begin with credentials that an earlier challenge gave; here proxy 1 asks for none.

use crate::{
    bad_lines::{Ends, on_bad_lines},
    network::{BOB, LINKS, Net, PATIENCE, SESSION, uri},
};
use futures_util::future::join;
use sipwright::{
    Account, AnswerError, Call, CallError, Progress, Server, UserAgent, assert_ladder_snapshot,
    endpoint::Timers,
    message::{StatusCode, Uri, headers::Contact},
    proxy::{Foreign, Inbound},
};
use std::time::Duration;

/// RFC 3665 §3.8.
#[test]
fn a_caller_gives_up_and_the_callee_stops_ringing() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let (alice, bob, _servers) = two_proxies(&net).await;
        let calling = async {
            let mut calling = alice.call(BOB).session(SESSION).start().await.unwrap();
            assert!(matches!(calling.next().await, Some(Progress::Ringing(_))));
            net.sim.sleep(RING).await;
            calling.cancel().await;
        };
        let ringing = async {
            let incoming = bob.incoming().await.unwrap();
            incoming.ring().await.unwrap();
            incoming.cancelled().await;
            assert_eq!(incoming.answer().await.unwrap_err(), AnswerError::Cancelled);
        };
        join(calling, ringing).await;
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    assert_ladder_snapshot!(net.sim, "a_caller_gives_up_and_the_callee_stops_ringing");
    net.sim.run(net.assert_nothing_is_left());
}

/// RFC 3261 §16.6 step 11, §16.8: a phone that dies while it rings is given up after the server's Timer C, and what it owes
/// to the CANCEL after 64×T1 more.
#[test]
fn timer_c_of_a_server_is_that_of_its_timers() {
    let net = Net::new(1);
    net.sim.clone().run(async {
        let to_bob = async |request: Inbound| request.relay(uri("sip:bob@bob")).await;
        let server = net.proxy("proxy1", |server| {
            let server = server.listen("udp:*:5060").domain("atlanta.example.com");
            server
                .timers(Timers::default().c(Duration::from_secs(240)))
                .route(to_bob)
        });
        let _server = server.await;
        let bob = net.phone("bob").await;
        let alice = net.alice_of_atlanta().await;
        let calling = alice.call("sip:bob@atlanta.example.com").session(SESSION);
        let ringing = async {
            let incoming = bob.incoming().await.unwrap();
            incoming.ring().await.unwrap();
            net.sim.host("bob").crash();
        };
        let (called, ()) = join(calling.into_future(), ringing).await;
        assert!(called.is_err());
    });
    let took = net.sim.elapsed().as_secs();
    assert!((240 + 32..240 + 40).contains(&took), "{took} s");
}

/// RFC 3665 §3.8. In every other run Bob answers just when Alice gives up, so that 200 and CANCEL cross somewhere.
#[test]
fn a_call_that_is_given_up_on_a_bad_line_leaves_nothing() {
    on_bad_lines(&LINKS, async |net, seed| {
        let (alice, bob, _servers) = two_proxies(net).await;
        let calling = async {
            let mut calling = alice.call(BOB).session(SESSION).start().await.ok()?;
            let followed = async {
                while let Some(progress) = calling.next().await {
                    if let Progress::Answered(call) = progress {
                        return Some(call);
                    }
                }
                None
            };
            let answered = net.within(RING, followed).await.flatten();
            calling.cancel().await;
            answered
        };
        let callee = async {
            let incoming = net.within(PATIENCE, bob.incoming()).await??;
            incoming.ring().await.ok()?;
            let crossing = RING - Duration::from_millis(seed / 2 % 70);
            if seed % 2 == 0 || net.within(crossing, incoming.cancelled()).await.is_some() {
                incoming.cancelled().await;
            }
            incoming.session(SESSION).answer().await.ok()
        };
        let (caller, callee) = join(calling, callee).await;
        Ends { caller, callee }
    });
}

/// RFC 3665 §3.9.
#[test]
fn a_busy_callee_is_heard_by_the_caller() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let (alice, bob, _servers) = two_proxies(&net).await;
        let (called, refused) = join(call(&alice), refuse(&net, &bob, None, StatusCode::BUSY_HERE)).await;
        assert!(matches!(called, Err(CallError::Rejected(response)) if response.status() == StatusCode::BUSY_HERE));
        refused.unwrap();
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    assert_ladder_snapshot!(net.sim, "a_busy_callee_is_heard_by_the_caller");
    net.sim.run(net.assert_nothing_is_left());
}

/// RFC 3665 §3.9.
#[test]
fn a_busy_callee_on_a_bad_line_leaves_nothing() {
    on_bad_lines(&LINKS, async |net, _| {
        let (alice, bob, _servers) = two_proxies(net).await;
        let (called, _) = join(call(&alice), refuse(net, &bob, None, StatusCode::BUSY_HERE)).await;
        Ends {
            caller: called.ok(),
            callee: None,
        }
    });
}

/// UA-023: RFC 3261 §8.3: nobody is sent where he has come already; 404 when there is nowhere else.
#[test]
fn a_redirection_never_leads_back() {
    for (targets, status, contacts) in [
        (&["sip:bob@bob", "sip:%62ob@bob"][..], 404, &[""; 0][..]),
        (
            &["sip:bob@bob", "sip:bob@elsewhere"],
            302,
            &["sip:bob@elsewhere"],
        ),
    ] {
        let targets: Vec<Uri> = targets.iter().map(|it| it.parse().unwrap()).collect();
        let net = Net::new(1);
        net.sim.run(async {
            let (alice, bob) = net.alice_and_bob().await;
            let called = alice.call("sip:bob@bob").session(SESSION).into_future();
            let sent = async { bob.incoming().await.unwrap().redirect(targets).await };
            let (called, sent) = join(called, sent).await;
            sent.unwrap();
            let Err(CallError::Rejected(response)) = called else {
                panic!("not refused")
            };
            assert_eq!(response.status().as_u16(), status);
            let listed: Vec<String> = response
                .headers()
                .all::<Contact>()
                .map(|contact| contact.unwrap().uri().to_string())
                .collect();
            assert_eq!(listed, contacts);
        });
    }
}

/// RFC 3665 §3.11.
#[test]
fn a_callee_that_rang_and_is_not_there_is_heard_by_the_caller() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let (alice, bob, _servers) = two_proxies(&net).await;
        let away = StatusCode::TEMPORARILY_UNAVAILABLE;
        let (called, refused) = join(call(&alice), refuse(&net, &bob, Some(RING), away)).await;
        assert!(matches!(called, Err(CallError::Rejected(response)) if response.status() == away));
        refused.unwrap();
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    assert_ladder_snapshot!(
        net.sim,
        "a_callee_that_rang_and_is_not_there_is_heard_by_the_caller"
    );
    net.sim.run(net.assert_nothing_is_left());
}

/// RFC 3665 §3.11.
#[test]
fn a_callee_that_is_not_there_on_a_bad_line_leaves_nothing() {
    on_bad_lines(&LINKS, async |net, _| {
        let (alice, bob, _servers) = two_proxies(net).await;
        let away = StatusCode::TEMPORARILY_UNAVAILABLE;
        let (called, _) = join(call(&alice), refuse(net, &bob, Some(RING), away)).await;
        Ends {
            caller: called.ok(),
            callee: None,
        }
    });
}

async fn two_proxies(net: &Net) -> (Account, UserAgent, [Server; 2]) {
    let servers = net.proxies(|server| server.foreign(Foreign::Anyone)).await;
    (
        net.alice_of_atlanta().await,
        net.phone("bob").await,
        servers,
    )
}

async fn call(alice: &Account) -> Result<Call, CallError> {
    alice.call(BOB).session(SESSION).await
}

/// Bob refuses the next call, after it rang for some time or at once.
async fn refuse(
    net: &Net,
    bob: &UserAgent,
    ring: Option<Duration>,
    status: StatusCode,
) -> Result<(), AnswerError> {
    let Some(Some(incoming)) = net.within(PATIENCE, bob.incoming()).await else {
        return Err(AnswerError::Gone);
    };
    if let Some(time) = ring {
        incoming.ring().await?;
        net.sim.sleep(time).await;
    }
    incoming.reject(status).await
}

const RING: Duration = Duration::from_secs(4);
