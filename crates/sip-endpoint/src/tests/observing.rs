//! Observation, and cores beside cores.

use super::harness::*;
use crate::{Context, Core, Direction, Either, Event, Listener, Stack, StackEvent};
use sip_io::{Flow, Receive, StateMachine, Transmit};
use sip_message::{Method, StatusCode};
use std::time::Instant;

fn passing(rig: &mut Rig) -> Vec<(Direction, Flow, String)> {
    let mut seen = Vec::new();
    while let Some(observation) = rig.stack.poll_observation() {
        let line = String::from_utf8_lossy(&observation.contents);
        let first = line.lines().next().unwrap_or_default().to_owned();
        seen.push((observation.direction, observation.flow, first));
    }
    seen
}

fn traffic(rig: &mut Rig) {
    let flow = Flow::udp(at(HERE), at(BOB));
    rig.request(draft("OPTIONS", "sip:bob@192.0.2.2"));
    let (_, request) = rig.sent_request();
    rig.answer(flow, &request, StatusCode::OK);
    rig.datagram(BOB, inbound("INVITE", "UDP 192.0.2.2", "1"));
    rig.command(|cx| cx.acknowledge(draft("ACK", "sip:bob@192.0.2.2")));
    rig.transmits();
}

#[test]
fn every_message_is_observed_with_its_way_and_its_flow() {
    let mut rig = Rig::with(|config| config.observe(10));
    traffic(&mut rig);
    let flow = Flow::udp(at(HERE), at(BOB));
    let seen = passing(&mut rig);
    let expected = [
        (Direction::Sent, "OPTIONS sip:bob@192.0.2.2 SIP/2.0"),
        (Direction::Received, "SIP/2.0 200 OK"),
        (Direction::Received, "INVITE sip:alice@192.0.2.1 SIP/2.0"),
        (Direction::Sent, "ACK sip:bob@192.0.2.2 SIP/2.0"),
    ];
    assert_eq!(seen.len(), expected.len());
    for ((direction, on, line), (wanted, text)) in seen.iter().zip(expected) {
        assert_eq!((*direction, *on, line.as_str()), (wanted, flow, text));
    }
}

#[test]
fn a_full_observation_loses_the_oldest_and_counts_them() {
    let mut rig = Rig::with(|config| config.observe(2));
    traffic(&mut rig);
    assert_eq!(rig.stack.endpoint().stats().observations_lost, 2);
    let seen = passing(&mut rig);
    assert!(seen[0].2.starts_with("INVITE") && seen[1].2.starts_with("ACK"));
    assert_eq!(seen.len(), 2);
}

#[test]
fn nothing_is_observed_unless_it_is_asked_for() {
    let mut rig = Rig::new();
    traffic(&mut rig);
    assert!(passing(&mut rig).is_empty());
    assert_eq!(rig.stack.endpoint().stats().observations_lost, 0);
}

/// Serves one method, and counts the flows that close.
struct Serves {
    method: Method,
    served: Vec<String>,
    closed: usize,
    wakes: Option<Instant>,
}

impl Serves {
    fn new(method: Method) -> Self {
        Self {
            method,
            served: Vec::new(),
            closed: 0,
            wakes: None,
        }
    }
}

impl Core for Serves {
    type Event = String;

    fn handle_event(&mut self, cx: &mut Context<'_>, event: Event) -> Option<Event> {
        match event {
            Event::Request { id, request, .. } if *request.method() == self.method => {
                let response = request.response(StatusCode::OK).to_tag(cx.tag_for(id));
                cx.respond(id, response.build()).unwrap();
                self.served.push(request.method().to_string());
                self.wakes = Some(cx.now + SECOND);
                None
            }
            Event::FlowClosed { .. } => {
                self.closed += 1;
                Some(event)
            }
            other => Some(other),
        }
    }

    fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        if self.wakes.take_if(|at| *at <= cx.now).is_some() {
            self.served.push("woken".to_owned());
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.wakes
    }

    fn poll_event(&mut self) -> Option<String> {
        self.served.pop()
    }

    fn shutdown(&mut self, _cx: &mut Context<'_>) {
        self.wakes = None;
    }

    fn is_idle(&self) -> bool {
        self.wakes.is_none()
    }
}

type Both = (Option<Serves>, (Serves, Option<Serves>));

fn status<C: Core>(stack: &mut Stack<C>, now: Instant, method: &str) -> u16 {
    let flow = Flow::udp(at(HERE), at(BOB));
    let contents = inbound(method, "UDP 192.0.2.2", method).into();
    stack.handle_receive(now, Receive::Datagram { flow, contents });
    while let Some(transmit) = stack.poll_transmit() {
        if let Transmit::Datagram { contents, .. } = transmit {
            return sip_message::Response::parse(contents)
                .unwrap()
                .status()
                .as_u16();
        }
    }
    panic!("{method} is not answered")
}

#[test]
fn cores_in_a_tuple_hand_on_what_they_do_not_take() {
    let now = start();
    let both: Both = (
        Some(Serves::new(Method::OPTIONS)),
        (Serves::new(Method::MESSAGE), None),
    );
    let mut stack = Stack::new(config(now), both);
    stack.command(now, |_, cx| cx.listen(Listener::udp(at(HERE))));
    let Some(Transmit::Bind { token, local, .. }) = stack.poll_transmit() else {
        panic!("asks for a socket")
    };
    let result = Ok(local);
    stack.handle_receive(now, Receive::Bound { token, result });
    assert!(
        matches!(stack.poll_event(), Some(StackEvent::Listening { local, .. }) if local == at(HERE))
    );
    assert_eq!(status(&mut stack, now, "OPTIONS"), 200);
    assert_eq!(status(&mut stack, now, "MESSAGE"), 200);
    assert_eq!(status(&mut stack, now, "REGISTER"), 405);
    assert!(
        matches!(stack.poll_event(), Some(StackEvent::Core(Either::Left(method))) if method == "OPTIONS")
    );
    assert!(
        matches!(stack.poll_event(), Some(StackEvent::Core(Either::Right(Either::Left(method)))) if method == "MESSAGE")
    );
    assert!(stack.poll_event().is_none());
    // Each has timers of its own.
    assert_eq!(stack.poll_timeout(), Some(now + SECOND));
    assert!(!stack.is_idle());
    stack.handle_timeout(now + SECOND);
    assert!(matches!(
        stack.poll_event(),
        Some(StackEvent::Core(Either::Left(_)))
    ));
    assert!(matches!(
        stack.poll_event(),
        Some(StackEvent::Core(Either::Right(Either::Left(_))))
    ));
    assert!(stack.is_idle());
    let later = now + 40 * SECOND;
    stack.handle_timeout(later);
    assert_eq!(status(&mut stack, later, "MESSAGE"), 200);
    assert!(!stack.is_idle());
    stack.shutdown(later);
    assert!(stack.is_idle());
}

#[test]
fn a_flow_that_closes_is_told_to_every_core() {
    let now = start();
    let both = (Serves::new(Method::OPTIONS), Serves::new(Method::MESSAGE));
    let mut stack = Stack::new(config(now), both);
    let flow = Flow::stream(
        sip_io::Protocol::Tcp,
        sip_io::StreamId::accepted(1),
        at(HERE),
        at(BOB),
    );
    stack.handle_receive(now, Receive::Opened { flow });
    let reason = sip_io::CloseReason::ByPeer;
    stack.handle_receive(now, Receive::Closed { flow, reason });
    assert_eq!((stack.core().0.closed, stack.core().1.closed), (1, 1));
}

/// Answers each failure by the same request again.
struct Stubborn(usize);

impl Core for Stubborn {
    type Event = ();

    fn handle_event(&mut self, cx: &mut Context<'_>, event: Event) -> Option<Event> {
        let Event::RequestFailed { .. } = event else {
            return Some(event);
        };
        self.0 += 1;
        cx.request(draft("OPTIONS", "tel:+15551234"));
        None
    }
}

#[test]
fn a_core_that_never_gives_up_is_slowed_down_and_hangs_nothing() {
    let now = start();
    let mut stack = Stack::new(config(now), Stubborn(0));
    stack.command(now, |_, cx| cx.request(draft("OPTIONS", "tel:+15551234")));
    let first = stack.core().0;
    assert!(first > 0);
    let due = stack.poll_timeout().expect("goes on later");
    assert!(due > now);
    stack.handle_timeout(due);
    assert_eq!(stack.core().0, 2 * first);
    assert!(stack.poll_timeout().is_some_and(|next| next > due));
}
