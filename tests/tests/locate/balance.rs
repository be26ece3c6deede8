//! Gateways behind a proxy: which one gets a call, and what becomes of those that fail.

use crate::{TAKES_NO_CALLS, server};
use sipwright::{
    BindError, Server, UserAgent, assert_ladder,
    message::StatusCode,
    proxy::{Algorithm, DestinationState, DispatchSet, Inbound, Probe, Rejected, Relayed, Router},
    sim::Sim,
};
use std::time::Duration;

struct Balancer {
    carriers: DispatchSet,
}

impl Router for Balancer {
    async fn route(&self, request: Inbound) -> Result<Relayed, Rejected> {
        let gateways = self.carriers.pick(request.request());
        request.relay(gateways).failover_on([408, 500, 503]).await
    }
}

async fn balancer(sim: &Sim, carriers: &DispatchSet) -> Server {
    let builder = Server::builder()
        .runtime(sim.host("proxy"))
        .listen("udp:0.0.0.0:5060")
        .domain("proxy")
        .attempt_limit(Duration::from_secs(2))
        .dispatch(carriers)
        .route(Balancer {
            carriers: carriers.clone(),
        });
    builder.start().await.expect("the host is up")
}

async fn alice(sim: &Sim) -> UserAgent {
    server(sim, "alice").await
}

const BOB: &str = "sip:bob@proxy";

fn states(carriers: &DispatchSet) -> Vec<DestinationState> {
    let snapshot = carriers.snapshot();
    snapshot.into_iter().map(|one| one.state).collect()
}

use DestinationState::{Down, Draining, Suspect, Up};

/// The outcome of real calls counts: refused once, the gateway is not asked again for a while.
#[test]
fn a_gateway_that_fails_is_left_out_until_its_time_is_over() {
    let sim = Sim::new(40);
    sim.run(async {
        let carriers = DispatchSet::new()
            .target("sip:gw1", 70)
            .target("sip:gw2", 30)
            .algorithm(Algorithm::Priority)
            .back_off(Duration::from_secs(30));
        let _proxy = balancer(&sim, &carriers).await;
        let alice = alice(&sim).await;
        sim.host("gw1");
        let _gw2 = server(&sim, "gw2").await;
        for _ in 0..2 {
            let pong = alice.options(BOB).await.expect("the second takes it");
            assert_eq!(pong.status(), TAKES_NO_CALLS);
            assert_eq!(states(&carriers), [Down, Up]);
        }
        assert!(carriers.snapshot()[1].latency.is_some());
        sim.sleep(Duration::from_secs(31)).await;
        alice.options(BOB).await.expect("the second takes it");
    });
    let ladder = sim.ladder();
    let asked = |gateway: &str| {
        ladder
            .rungs()
            .iter()
            .filter(|rung| rung.to == gateway)
            .count()
    };
    assert_eq!((asked("gw1"), asked("gw2")), (2, 3), "{ladder}");
}

#[test]
fn probes_take_a_gateway_out_and_bring_it_back_after_their_thresholds() {
    let sim = Sim::new(41);
    sim.run(async {
        let probe = Probe::options(Duration::from_secs(10))
            .timeout(Duration::from_secs(1))
            .down_after(2)
            .up_after(2);
        let carriers = DispatchSet::new().target("sip:gw1", 1).probe(probe);
        let _proxy = balancer(&sim, &carriers).await;
        let gw1 = server(&sim, "gw1").await;
        sim.sleep(Duration::from_secs(5)).await;
        assert_eq!(states(&carriers), [Up]);
        sim.link("proxy", "gw1").up(false);
        sim.sleep(Duration::from_secs(10)).await;
        assert_eq!(states(&carriers), [Suspect], "one failure");
        sim.sleep(Duration::from_secs(10)).await;
        assert_eq!(states(&carriers), [Down], "two");
        sim.link("proxy", "gw1").up(true);
        sim.sleep(Duration::from_secs(10)).await;
        assert_eq!(states(&carriers), [Down], "one answer");
        sim.sleep(Duration::from_secs(10)).await;
        assert_eq!(states(&carriers), [Up], "two");
        drop(gw1);
    });
}

#[test]
fn a_set_is_changed_while_it_is_in_use() {
    let sim = Sim::new(42);
    sim.run(async {
        let carriers = DispatchSet::new()
            .target("sip:gw1", 70)
            .target("sip:gw2", 30)
            .algorithm(Algorithm::Priority);
        let _proxy = balancer(&sim, &carriers).await;
        let alice = alice(&sim).await;
        let _gateways = [server(&sim, "gw1").await, server(&sim, "gw2").await];
        let _third = server(&sim, "gw3").await;
        let mut expected = Vec::new();
        let mut call = async |gateway| {
            alice.options(BOB).await.expect("somebody takes it");
            expected.push(gateway);
        };
        call("gw1").await;
        carriers.set_weight("sip:gw2", 90).expect("it is there");
        call("gw2").await;
        carriers.drain("sip:gw2").expect("it is there");
        assert_eq!(states(&carriers), [Up, Draining]);
        call("gw1").await;
        carriers.resume("sip:gw2").expect("it is there");
        carriers.add("sip:gw3", 100).expect("there is room");
        call("gw3").await;
        carriers.remove("sip:gw3").expect("it is there");
        call("gw2").await;
        let ladder = sim.ladder();
        let asked: Vec<&str> = ladder
            .rungs()
            .iter()
            .filter(|rung| rung.from == "proxy" && rung.what == "OPTIONS")
            .map(|rung| rung.to.as_str())
            .collect();
        assert_eq!(asked, expected);
    });
}

#[test]
fn when_all_are_down_the_caller_is_told_when_to_try_again() {
    let sim = Sim::new(43);
    sim.run(async {
        let carriers = DispatchSet::new()
            .target("sip:gw1", 1)
            .back_off(Duration::from_secs(30));
        let _proxy = balancer(&sim, &carriers).await;
        let alice = alice(&sim).await;
        sim.host("gw1");
        let first = alice.options(BOB).await.expect("the proxy answers");
        assert_eq!(
            first.status(),
            StatusCode::SERVER_INTERNAL_ERROR,
            "a 503 that was found is none of the proxy's own"
        );
        sim.sleep(Duration::from_secs(10)).await;
        let second = alice.options(BOB).await.expect("the proxy answers");
        assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
        let retry_after = second
            .response()
            .headers()
            .get::<sipwright::message::headers::RetryAfter>();
        let delay = retry_after
            .expect("it is there")
            .expect("is a time")
            .delay();
        assert!((15..=20).contains(&delay.as_secs()), "{delay:?}");
    });
}

/// What a destination has counts from the INVITE to the BYE.
#[test]
fn the_fewest_calls_are_counted_from_invite_to_bye() {
    let sim = Sim::new(44);
    sim.run(async {
        let carriers = DispatchSet::new()
            .target("sip:gw1", 1)
            .target("sip:gw2", 1)
            .algorithm(Algorithm::LeastLoad);
        let _proxy = balancer(&sim, &carriers).await;
        let alice = alice(&sim).await;
        let gateways = [server(&sim, "gw1").await, server(&sim, "gw2").await];
        let take = async |gateway: &UserAgent| {
            let incoming = gateway.incoming().await.expect("a call comes");
            incoming
                .session(crate::SESSION)
                .answer()
                .await
                .expect("nobody cancelled")
        };
        let account = alice.account("sip:alice@alice").build().expect("is a URI");
        let load = || -> Vec<u32> {
            let snapshot = carriers.snapshot();
            snapshot.into_iter().map(|one| one.load).collect()
        };
        let mut calls = Vec::new();
        for (gateway, expected) in gateways.iter().zip([[1, 0], [1, 1]]) {
            let dial = async { account.call(BOB).session(crate::SESSION).await };
            let (taken, call) = futures_util::future::join(take(gateway), dial).await;
            calls.push((taken, call.expect("it is taken")));
            assert_eq!(load(), expected);
        }
        let (_taken, call) = calls.remove(0);
        call.hang_up().await;
        sim.sleep(Duration::from_secs(1)).await;
        assert_eq!(load(), [0, 1]);
    });
}

#[test]
fn a_target_that_is_no_uri_is_told_by_the_start() {
    let sim = Sim::new(45);
    sim.run(async {
        let carriers = DispatchSet::new().target("not a uri", 1);
        let builder = Server::builder()
            .runtime(sim.host("proxy"))
            .listen("udp:0.0.0.0:5060")
            .dispatch(&carriers);
        let error = builder.start().await.expect_err("the target is none");
        assert!(matches!(error, BindError::Configuration(_)), "{error}");
    });
}

/// The walk down the list is failover: a new branch each, within the time of the attempt.
#[test]
fn a_call_walks_down_the_list() {
    let sim = Sim::new(46);
    sim.run(async {
        let carriers = DispatchSet::new()
            .target("sip:gw1", 70)
            .target("sip:gw2", 30)
            .algorithm(Algorithm::Priority);
        let _proxy = balancer(&sim, &carriers).await;
        let alice = alice(&sim).await;
        let (gw1, gw2) = (server(&sim, "gw1").await, server(&sim, "gw2").await);
        let refuse = async |gateway: &UserAgent, status| {
            let incoming = gateway.incoming().await.expect("a call comes");
            incoming.reject(status).await.expect("nobody cancelled");
        };
        let account = alice.account("sip:alice@alice").build().expect("is a URI");
        let dial = async { account.call(BOB).session(crate::SESSION).await };
        let (_, _, outcome) = futures_util::future::join3(
            refuse(&gw1, StatusCode::SERVICE_UNAVAILABLE),
            refuse(&gw2, StatusCode::BUSY_HERE),
            dial,
        )
        .await;
        assert_eq!(
            outcome.expect_err("it is busy").status(),
            Some(StatusCode::BUSY_HERE)
        );
        assert_eq!(states(&carriers), [Down, Up]);
    });
    assert_ladder!(
        sim,
        "
               0 ms  alice -> proxy  INVITE
              10 ms  proxy -> alice  100
              10 ms  proxy -> gw1    INVITE
              20 ms  gw1   -> proxy  503
              30 ms  proxy -> gw1    ACK
              30 ms  proxy -> gw2    INVITE
              40 ms  gw2   -> proxy  486
              50 ms  proxy -> gw2    ACK
              50 ms  proxy -> alice  486
              60 ms  alice -> proxy  ACK
    "
    );
}
