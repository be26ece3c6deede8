//! Finding another server when one fails (RFC 3263 §4.3), in virtual time: one domain, two servers, one of them bad.

mod balance;
mod names;

use sipwright::{
    CallError, UserAgent, assert_ladder, assert_ladder_snapshot, message::StatusCode, sim::Sim,
};
use std::time::Duration;

/// Alice, who gives a server five seconds, and a domain whose first server is `one` and whose second is `two`.
async fn alice(sim: &Sim) -> UserAgent {
    sim.srv("_sip._udp.pair.example", 1, 0, 5060, "one");
    sim.srv("_sip._udp.pair.example", 2, 0, 5060, "two");
    let builder = UserAgent::builder()
        .runtime(sim.host("alice"))
        .listen("udp:0.0.0.0:5060");
    builder
        .attempt_limit(Duration::from_secs(5))
        .start()
        .await
        .expect("the host is up")
}

async fn server(sim: &Sim, name: &str) -> UserAgent {
    let builder = UserAgent::builder()
        .runtime(sim.host(name))
        .listen("udp:0.0.0.0:5060");
    builder.start().await.expect("the host is up")
}

const DOMAIN: &str = "sip:pair.example";

/// What a user agent says to OPTIONS when nobody waits for calls.
const TAKES_NO_CALLS: StatusCode = StatusCode::TEMPORARILY_UNAVAILABLE;

#[test]
fn a_silent_server_is_left_after_five_seconds() {
    let sim = Sim::new(1);
    sim.run(async {
        let alice = alice(&sim).await;
        let _two = server(&sim, "two").await;
        sim.host("one");
        sim.link("alice", "one").up(false);
        let pong = alice
            .options(DOMAIN)
            .await
            .expect("the second server answers");
        assert_eq!(pong.status(), TAKES_NO_CALLS);
    });
    assert_ladder!(
        sim,
        "
               0 ms  alice -> one    OPTIONS  (lost)
             500 ms  alice -> one    OPTIONS  (lost)
            1500 ms  alice -> one    OPTIONS  (lost)
            3500 ms  alice -> one    OPTIONS  (lost)
            5000 ms  alice -> two    OPTIONS
            5010 ms  two   -> alice  480
    "
    );
}

#[test]
fn a_refusing_server_is_left_at_once_and_not_asked_first_again() {
    let sim = Sim::new(2);
    sim.run(async {
        let alice = alice(&sim).await;
        let _two = server(&sim, "two").await;
        sim.host("one");
        for _ in 0..2 {
            let pong = alice
                .options(DOMAIN)
                .await
                .expect("the second server answers");
            assert_eq!(pong.status(), TAKES_NO_CALLS);
        }
    });
    assert_ladder!(
        sim,
        "
               0 ms  alice -> one    OPTIONS
              20 ms  alice -> two    OPTIONS
              30 ms  two   -> alice  480
              40 ms  alice -> two    OPTIONS
              50 ms  two   -> alice  480
    "
    );
}

#[test]
fn a_server_that_says_503_is_left_at_once() {
    let sim = Sim::new(3);
    sim.run(async {
        let alice = alice(&sim).await;
        let (one, two) = (server(&sim, "one").await, server(&sim, "two").await);
        let busy = async {
            let incoming = one.incoming().await.expect("a call comes");
            incoming.reject(StatusCode::SERVICE_UNAVAILABLE).await.expect("nobody cancelled");
        };
        let taking = async {
            let incoming = two.incoming().await.expect("the call comes");
            incoming.reject(StatusCode::BUSY_HERE).await.expect("nobody cancelled");
        };
        let account = alice.account("sip:alice@alice").build().expect("a URI");
        let calling = async { account.call(DOMAIN).session(SESSION).await };
        let (_, _, outcome) = futures_util::future::join3(busy, taking, calling).await;
        assert!(matches!(outcome, Err(CallError::Rejected(response)) if response.status() == StatusCode::BUSY_HERE));
    });
    assert_ladder!(
        sim,
        "
               0 ms  alice -> one    INVITE
              10 ms  one   -> alice  503
              20 ms  alice -> one    ACK
              20 ms  alice -> two    INVITE
              30 ms  two   -> alice  486
              40 ms  alice -> two    ACK
    "
    );
}

/// RFC 3263 §4.3: a response of any kind ends the search.
#[test]
fn a_server_that_dies_after_its_first_response_is_waited_for() {
    let sim = Sim::new(4);
    sim.run(async {
        let alice = alice(&sim).await;
        let (one, _two) = (server(&sim, "one").await, server(&sim, "two").await);
        let dying = async {
            let incoming = one.incoming().await.expect("a call comes");
            incoming.ring().await.expect("nobody cancelled");
            sim.sleep(Duration::from_secs(1)).await;
            sim.link("alice", "one").up(false);
            incoming
        };
        let account = alice.account("sip:alice@alice").build().expect("a URI");
        let calling = async {
            account
                .call(DOMAIN)
                .session(SESSION)
                .ring_for(Duration::from_secs(60))
                .await
        };
        let (_incoming, outcome) = futures_util::future::join(dying, calling).await;
        assert!(outcome.is_err());
    });
    assert_ladder_snapshot!(sim, "a_server_that_dies_after_its_first_response");
}

#[test]
fn when_all_are_dead_the_caller_knows_after_five_seconds_each() {
    let sim = Sim::new(5);
    sim.run(async {
        let alice = alice(&sim).await;
        sim.host("one");
        sim.host("two");
        sim.partition(&["one", "two"]);
        let started = sim.elapsed();
        let error = alice.options(DOMAIN).await.expect_err("nobody answers");
        let took = (sim.elapsed() - started).as_secs_f64();
        assert!((10.0..10.2).contains(&took), "{took} s: {error}");
    });
    assert_ladder!(
        sim,
        "
               0 ms  alice -> one    OPTIONS  (lost)
             500 ms  alice -> one    OPTIONS  (lost)
            1500 ms  alice -> one    OPTIONS  (lost)
            3500 ms  alice -> one    OPTIONS  (lost)
            5000 ms  alice -> two    OPTIONS  (lost)
            5500 ms  alice -> two    OPTIONS  (lost)
            6500 ms  alice -> two    OPTIONS  (lost)
            8500 ms  alice -> two    OPTIONS  (lost)
    "
    );
}

const SESSION: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
    m=audio 49172 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";
