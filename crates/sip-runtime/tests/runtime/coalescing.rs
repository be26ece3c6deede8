//! What a driver promises that takes datagrams in groups.

use crate::common::{Driven, Event, Probe, any_port, driver, echo};
use futures_util::{FutureExt, StreamExt};
use sip_io::{BindToken, FailReason, Flow, Protocol, Receive, Transmit};
use sip_runtime::{
    Runtime, UdpSocket,
    sim::{Host, Sim},
};
use std::{net::SocketAddr, ops::Range, sync::Arc, time::Duration};

const LINK: Duration = Duration::from_millis(5);
const INTERVAL: Duration = Duration::from_millis(1);

/// A peer that sends, and a driver that takes what comes in groups.
struct Pair {
    sim: Sim,
    peer: Box<dyn UdpSocket>,
    driven: Driven,
    remote: SocketAddr,
}

/// A datagram that came.
#[derive(Clone, Copy)]
struct Came {
    at: Duration,
    number: u32,
    /// For how long it waited at the socket
    waited: Duration,
}

fn pair(interval: Duration, probe: Probe) -> Pair {
    let sim = Sim::new(1).delay(LINK);
    let (alice, bob) = (sim.host("alice"), sim.host("bob"));
    let bob: Arc<dyn Runtime> = Arc::<Host>::new(bob);
    let (driver, mut driven) = driver(&bob, probe);
    driver.coalesce(interval).spawn();
    let peer = alice.bind_udp(any_port(alice.ipv4().into()));
    let local = any_port(sim.host("bob").ipv4().into());
    let remote = sim.run(driven.bind(1, Protocol::Udp, local));
    Pair {
        peer: peer.expect("is free"),
        sim,
        driven,
        remote,
    }
}

impl Pair {
    /// Sends numbered datagrams, one every `gap`, and gives the link time; what came meanwhile.
    fn send(&mut self, numbers: Range<u32>, gap: Duration) -> Vec<Came> {
        let (start, first) = (self.sim.elapsed(), numbers.start);
        let mut came = Vec::new();
        let (sim, peer) = (&self.sim, &mut self.peer);
        for number in numbers {
            peer.try_send(None, self.remote, &number.to_be_bytes())
                .expect("can send");
            let next = sim.elapsed() + gap;
            while sim.elapsed() < next {
                sim.advance(STEP);
                take(&mut self.driven, sim.elapsed(), &mut came);
            }
        }
        let end = sim.elapsed() + 2 * LINK;
        while sim.elapsed() < end {
            sim.advance(STEP);
            take(&mut self.driven, sim.elapsed(), &mut came);
        }
        let waited = |(at, number)| Came {
            at,
            number,
            waited: at - (start + gap * (number - first)) - LINK,
        };
        came.into_iter().map(waited).collect()
    }

    /// Sends a datagram that comes when nobody looks.
    fn send_between_looks(&mut self) {
        self.sim.advance(Duration::from_micros(370));
        self.peer
            .try_send(None, self.remote, &200_u32.to_be_bytes())
            .expect("can send");
    }
}

/// How finely time is looked at.
const STEP: Duration = Duration::from_micros(100);

fn take(driven: &mut Driven, at: Duration, came: &mut Vec<(Duration, u32)>) {
    while let Some(receive) = driven.received().now_or_never() {
        if let Receive::Datagram { contents, .. } = receive {
            let number = contents.as_ref().try_into().expect("is a number");
            came.push((at, u32::from_be_bytes(number)));
        }
    }
}

/// The different times in `came`.
fn times(came: &[Came]) -> Vec<Duration> {
    let mut times: Vec<_> = came.iter().map(|came| came.at).collect();
    times.dedup();
    times
}

#[test]
fn datagrams_in_a_hurry_are_taken_in_groups_and_none_is_lost() {
    let mut pair = pair(INTERVAL, Probe::default());
    let came = pair.send(0..500, Duration::from_micros(400));
    assert!(came.iter().map(|came| came.number).eq(0..500));
    assert!(came.iter().all(|came| came.waited <= INTERVAL));
    // The first come one by one, then two or three together.
    let grouped = times(&came[100..]);
    assert!(grouped.windows(2).all(|pair| pair[1] - pair[0] >= INTERVAL));
    assert_eq!(times(&came[..30]).len(), 30);
}

#[test]
fn without_an_interval_each_is_taken_when_it_comes() {
    let mut pair = pair(Duration::ZERO, Probe::default());
    let came = pair.send(0..500, Duration::from_micros(400));
    assert_eq!(came.len(), 500);
    assert!(came.iter().all(|came| came.waited.is_zero()));
}

#[test]
fn a_datagram_after_a_rest_is_taken_at_once() {
    let mut pair = pair(INTERVAL, Probe::default());
    let hurry = pair.send(0..200, Duration::from_micros(400));
    assert!(times(&hurry).len() < 150, "they came in groups");
    pair.sim.advance(Duration::from_secs(1));
    for number in 200..203 {
        // Not a multiple of the interval.
        pair.sim.advance(Duration::from_micros(10_300));
        let came = pair.send(number..number + 1, Duration::ZERO);
        assert_eq!(came[0].waited, Duration::ZERO);
        assert_eq!(came.len(), 1);
    }
}

#[test]
fn datagrams_that_come_less_often_are_taken_when_they_come() {
    let mut pair = pair(INTERVAL, Probe::default());
    let came = pair.send(0..200, Duration::from_micros(1_200));
    assert_eq!(came.len(), 200);
    assert!(came.iter().all(|came| came.waited.is_zero()));
}

#[test]
fn a_refusal_is_told_while_datagrams_are_taken_in_groups() {
    let mut pair = pair(INTERVAL, echo());
    let came = pair.send(0..200, Duration::from_micros(400));
    assert!(times(&came).len() < 150, "they came in groups");
    let nobody = SocketAddr::new(pair.sim.host("alice").ipv4().into(), 9);
    let flow = Flow::udp(pair.remote, nobody);
    let contents = "anyone?".into();
    let told = pair.sim.run(async {
        pair.driven
            .send(Transmit::Datagram { flow, contents })
            .await;
        pair.driven.received().await
    });
    match told {
        Receive::Failed { flow: told, reason } => {
            assert_eq!((told, reason), (flow, FailReason::Unreachable));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_socket_may_be_released_while_it_is_read_in_groups() {
    let mut pair = pair(INTERVAL, Probe::default());
    let came = pair.send(0..200, Duration::from_micros(400));
    assert!(times(&came).len() < 150, "they came in groups");
    let token = BindToken(1);
    pair.sim.run(pair.driven.send(Transmit::Release { token }));
    // The next socket in its place is read as it comes.
    let again = pair.driven.bind(2, Protocol::Udp, pair.remote);
    assert_eq!(pair.sim.run(again), pair.remote);
    let came = pair.send(0..20, Duration::from_micros(300));
    assert_eq!(times(&came).len(), 20);
}

/// RFC 3261 §17.1: an answer that has come stops the retransmission that is due.
#[test]
fn what_has_come_is_told_before_a_timer_that_is_due() {
    let mut pair = pair(INTERVAL, Probe::default());
    let came = pair.send(0..200, Duration::from_micros(400));
    let grouped = times(&came[..180]);
    let (last, before) = (grouped[grouped.len() - 1], grouped[grouped.len() - 2]);
    assert_eq!(last - before, INTERVAL, "the looks are even");
    // At one of the looks to come.
    let alarm = pair.sim.now() - pair.sim.elapsed() + last + 40 * INTERVAL;
    let set = pair
        .driven
        .handle
        .command(move |probe, _, _| probe.alarm = Some(alarm));
    pair.sim.run(set).expect("the driver runs");
    let mut told = Vec::new();
    while pair.sim.now() < alarm + INTERVAL {
        pair.peer
            .try_send(None, pair.remote, b"ping")
            .expect("can send");
        pair.sim.advance(STEP);
        while let Some(Some(event)) = pair.driven.events.next().now_or_never() {
            told.push((pair.sim.now(), event));
        }
    }
    let fired = told
        .iter()
        .position(|(_, event)| matches!(event, Event::Fired(_)))
        .expect("the timer fires");
    let at = told[fired].0;
    assert_eq!(told[fired - 1].0, at, "datagrams were taken at that moment");
    assert!(told[fired + 1..].iter().all(|(told, _)| *told > at));
}

#[test]
fn the_network_is_not_quiet_before_everything_is_taken() {
    let mut pair = pair(INTERVAL, Probe::default());
    pair.send(0..200, Duration::from_micros(400));
    pair.send_between_looks();
    assert!(pair.sim.run_until_quiet(Duration::from_secs(1)));
    let mut came = Vec::new();
    take(&mut pair.driven, pair.sim.elapsed(), &mut came);
    assert_eq!(came.len(), 1);
}

#[test]
fn what_came_before_the_end_is_told() {
    for interval in [Duration::ZERO, INTERVAL] {
        let mut pair = pair(interval, Probe::default());
        pair.send(0..200, Duration::from_micros(400));
        pair.send_between_looks();
        pair.sim.advance(LINK + Duration::from_micros(50));
        let finish = pair.driven.handle.finish(Duration::from_secs(1));
        pair.sim.run(finish);
        let told = pair.sim.run(pair.driven.events.collect::<Vec<_>>());
        let datagram = |event: &&Event| matches!(event, Event::Received(Receive::Datagram { .. }));
        assert_eq!(told.iter().filter(datagram).count(), 1, "{interval:?}");
    }
}
