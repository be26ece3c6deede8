//! A dispatcher on a stack of its own: probes, what they find, and what they cost.
#![allow(clippy::disallowed_methods)] // a test needs an instant to start from

use sip_endpoint::{EndpointConfig, Listener, Stack, StackEvent};
use sip_io::{Flow, Receive, StateMachine, Transmit, WallClock};
use sip_message::{Method, Request, StatusCode, Uri};
use sip_proxy::{DestinationState, DispatchEvent, DispatchSet, Dispatcher, Probe, SetId};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

/// Two gateways that answer OPTIONS with a status, or with silence.
struct World {
    now: Instant,
    start: Instant,
    stack: Stack<Dispatcher>,
    set: SetId,
    answers: BTreeMap<SocketAddr, Option<StatusCode>>,
    retry_after: Option<&'static str>,
    asked: u32,
    changes: Vec<(u64, String, DestinationState)>,
}

fn gateway(n: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, n], 5060))
}

fn uri(n: u8) -> Uri {
    Uri::parse(format!("sip:192.0.2.{n}")).expect("a URI")
}

impl World {
    fn new(probe: Probe) -> Self {
        let now = Instant::now();
        let clock = WallClock {
            at: now,
            is: SystemTime::UNIX_EPOCH,
        };
        let mut set = DispatchSet::new([1; 32]).probe(probe);
        set.add(uri(1), 1).expect("is new");
        set.add(uri(2), 1).expect("is new");
        let mut dispatcher = Dispatcher::new(now);
        let set = dispatcher.add(now, set);
        let mut stack = Stack::new(EndpointConfig::new([2; 32], clock), dispatcher);
        let local = SocketAddr::from(([192, 0, 2, 100], 5060));
        stack.command(now, |_, cx| cx.listen(Listener::udp(local)));
        let Some(Transmit::Bind { token, .. }) = stack.poll_transmit() else {
            panic!("asks for a socket")
        };
        stack.handle_receive(
            now,
            Receive::Bound {
                token,
                result: Ok(local),
            },
        );
        let answers = [1, 2].map(|n| (gateway(n), Some(StatusCode::OK))).into();
        let mut world = Self {
            now,
            start: now,
            stack,
            set,
            answers,
            retry_after: None,
            asked: 0,
            changes: Vec::new(),
        };
        world.turn();
        world
    }

    /// Answers what was asked and notes what is told.
    fn turn(&mut self) {
        loop {
            while let Some(transmit) = self.stack.poll_transmit() {
                let Transmit::Datagram { flow, contents } = transmit else {
                    continue;
                };
                let request = Request::parse(contents).expect("a request");
                assert_eq!(*request.method(), Method::OPTIONS);
                self.asked += 1;
                let Some(status) = self.answers[&flow.remote()] else {
                    continue;
                };
                let mut response = request.response(status);
                if let Some(retry_after) = self.retry_after {
                    response = response.raw_header(
                        sip_message::HeaderName::RETRY_AFTER,
                        sip_message::HeaderValue::from_static(retry_after),
                    );
                }
                let contents = response.build().to_bytes();
                let flow = Flow::udp(flow.local(), flow.remote());
                self.stack
                    .handle_receive(self.now, Receive::Datagram { flow, contents });
            }
            let Some(event) = self.stack.poll_event() else {
                return;
            };
            if let StackEvent::Core(DispatchEvent::Changed { uri, state, .. }) = event {
                let after = (self.now - self.start).as_secs();
                self.changes.push((after, uri.to_string(), state));
            }
        }
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.stack.poll_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.stack.handle_timeout(self.now);
            self.turn();
        }
        self.now = end;
    }

    fn up(&self) -> Vec<bool> {
        let set = self.stack.core().set(self.set).expect("is there");
        let states = set.snapshot(self.now);
        states
            .iter()
            .map(|one| one.state != DestinationState::Down)
            .collect()
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_gateway_that_falls_silent_is_down_after_its_probes_and_up_after_its_answers() {
    let probe = Probe::options(10 * SECOND)
        .timeout(4 * SECOND)
        .down_after(3)
        .up_after(2);
    let mut world = World::new(probe);
    world.run_for(15 * SECOND);
    assert_eq!((world.asked, world.up()), (4, vec![true, true]));
    world.answers.insert(gateway(1), None);
    world.run_for(60 * SECOND);
    // Probes of 20, 30 and 40 s fail after 4 s each.
    assert_eq!(
        world.changes,
        [(44, uri(1).to_string(), DestinationState::Down)]
    );
    assert_eq!(world.up(), [false, true]);
    world
        .answers
        .insert(gateway(1), Some(StatusCode::METHOD_NOT_ALLOWED));
    world.run_for(60 * SECOND);
    assert_eq!(
        world.changes[1..],
        [(90, uri(1).to_string(), DestinationState::Up)]
    );
}

#[test]
fn a_gateway_that_asks_for_a_rest_gets_it() {
    let mut world = World::new(Probe::options(10 * SECOND));
    world
        .answers
        .insert(gateway(2), Some(StatusCode::SERVICE_UNAVAILABLE));
    world.retry_after = Some("35");
    world.run_for(15 * SECOND);
    assert_eq!(world.up(), [true, false]);
    world.answers.insert(gateway(2), Some(StatusCode::OK));
    world.retry_after = None;
    world.run_for(25 * SECOND);
    assert_eq!(world.up(), [true, false], "at 40 s, with 200 since 20 s");
    world.run_for(11 * SECOND);
    assert_eq!(world.up(), [true, true]);
}

#[test]
fn a_set_that_is_taken_out_or_shut_down_is_probed_no_more() {
    let mut world = World::new(Probe::options(10 * SECOND));
    world.run_for(5 * SECOND);
    let set = world.set;
    world
        .stack
        .command(world.now, |dispatcher, _| dispatcher.remove(set))
        .unwrap();
    world.run_for(100 * SECOND);
    assert_eq!(world.asked, 2);
    assert_eq!(world.stack.poll_timeout(), None);

    let mut world = World::new(Probe::options(10 * SECOND));
    world.run_for(5 * SECOND);
    world.stack.shutdown(world.now);
    world.run_for(100 * SECOND);
    assert_eq!(world.asked, 2);
    assert!(world.stack.is_idle());
}
