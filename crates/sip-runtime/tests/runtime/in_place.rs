//! Commands that run where they are given.

use crate::common::{Driven, Event, Probe, any_port, drive, echo};
use sip_io::{Flow, Protocol, Transmit};
use sip_runtime::{Gone, Runtime, sim::Sim};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

/// A host whose driver has had its first turns and allows commands in place.
async fn willing(sim: &Sim, name: &str, probe: Probe) -> (Driven, Flow) {
    let host = sim.host(name);
    let ip = host.ipv4().into();
    let runtime: Arc<dyn Runtime> = Arc::new(host);
    let mut driven = drive(&runtime, probe);
    let allowed = driven.handle.command(|_, teller, _| teller.in_place = true);
    allowed.await.expect("the driver runs");
    let local = driven.bind(1, Protocol::Udp, any_port(ip)).await;
    (driven, Flow::udp(local, local))
}

fn is_refused(driven: &Driven) -> bool {
    driven.handle.try_command(|_, _, _| ()).is_err()
}

#[test]
fn what_a_command_in_place_sends_and_waits_for_comes_about() {
    let sim = Sim::new(1);
    sim.run(async {
        let (mut alice, ours) = willing(&sim, "alice", Probe::default()).await;
        let (_bob, theirs) = willing(&sim, "bob", echo()).await;
        let flow = Flow::udp(ours.local(), theirs.local());
        let done = alice.handle.try_command(|probe, _, now| {
            probe.out.push_back(Transmit::Datagram {
                flow,
                contents: "at once".into(),
            });
            probe.alarm = Some(now + Duration::from_secs(10));
            7
        });
        assert_eq!(done.ok(), Some(7));
        assert_eq!(alice.datagram().await.1, b"at once");
        let done = alice.handle.try_command_unhurried(|probe, _, _| {
            let contents = "soon".into();
            probe.out.push_back(Transmit::Datagram { flow, contents });
        });
        assert!(done.is_ok());
        assert_eq!(alice.datagram().await.1, b"soon");
        match alice.event().await {
            Event::Fired(_) => assert!(sim.elapsed() >= Duration::from_secs(10)),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_command_in_place_overtakes_nothing() {
    let sim = Sim::new(1);
    sim.run(async {
        let (alice, _) = willing(&sim, "alice", Probe::default()).await;
        assert!(!is_refused(&alice));
        alice.handle.post(|_, teller, _| teller.busy = true);
        assert!(is_refused(&alice), "what was posted comes first");
        let posted = alice.handle.command(|_, teller, _| teller.busy);
        assert_eq!(posted.await, Ok(true));
        let inner = alice.handle.clone();
        let nested = alice
            .handle
            .try_command(move |_, _, _| inner.try_command(|_, _, _| ()).is_err());
        assert_eq!(nested.ok(), Some(true), "no command within another");
        drop(alice.handle.finish(Duration::from_secs(1)));
        assert!(is_refused(&alice), "a driver that ends weighs each turn");
    });
}

#[test]
fn who_does_not_allow_it_has_no_command_run_in_place() {
    let sim = Sim::new(1);
    sim.run(async {
        let (alice, _) = willing(&sim, "alice", Probe::default()).await;
        let forbidden = alice
            .handle
            .try_command(|_, teller, _| teller.in_place = false);
        assert!(forbidden.is_ok());
        assert!(is_refused(&alice));
    });
}

#[test]
fn commands_in_place_leave_the_driver_its_turn() {
    let sim = Sim::new(1);
    sim.run(async {
        let (alice, _) = willing(&sim, "alice", Probe::default()).await;
        let in_place = (0..100_000).take_while(|_| !is_refused(&alice)).count();
        assert!((100..1_000).contains(&in_place), "{in_place}");
        let queued = alice.handle.command(|_, _, _| ());
        queued.await.expect("the driver runs");
        assert!(!is_refused(&alice));
    });
}

#[test]
fn a_command_that_panics_in_place_ends_the_driver() {
    let sim = Sim::new(1);
    sim.run(async {
        let (alice, _) = willing(&sim, "alice", Probe::default()).await;
        let panics = || {
            alice
                .handle
                .try_command(|_, _, _| panic!("on purpose"))
                .ok()
        };
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        alice.handle.ended().await;
        assert_eq!(alice.handle.command(|_, _, _| ()).await, Err(Gone));
    });
}
