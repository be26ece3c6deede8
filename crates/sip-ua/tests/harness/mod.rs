//! User agents and scripted peers on a network in memory, in virtual time.

// Each test file uses a part; a test needs an instant to start from, and fails by a panic.
#![allow(dead_code, clippy::disallowed_methods, clippy::unwrap_used)]

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use sip_endpoint::{Context, EndpointConfig, Listener, Stack, StackEvent};
use sip_io::{
    CloseReason, Flow, Protocol, Receive, Rng, StateMachine, StreamId, Transmit, WallClock,
};
use sip_message::{Message, Request, Response, Uri};
use sip_ua::{Event, Identity, UaConfig, UserAgent};

pub(crate) const ALICE: usize = 0;
pub(crate) const BOB: usize = 1;

/// What a scripted peer does with a message: send some.
pub(crate) type Script = Box<dyn FnMut(&Message, SocketAddr, &mut Outbox)>;

/// What a scripted peer sends.
pub(crate) struct Outbox {
    pub(crate) now: Instant,
    sent: Vec<(SocketAddr, Bytes, Duration)>,
}

impl Outbox {
    pub(crate) fn send(&mut self, to: SocketAddr, contents: impl Into<Bytes>) {
        self.sent.push((to, contents.into(), Duration::ZERO));
    }

    pub(crate) fn send_later(
        &mut self,
        to: SocketAddr,
        contents: impl Into<Bytes>,
        after: Duration,
    ) {
        self.sent.push((to, contents.into(), after));
    }
}

enum Node {
    Agent(Box<Stack<UserAgent>>),
    Script(Script),
}

struct Host {
    name: &'static str,
    address: SocketAddr,
    node: Node,
    events: VecDeque<Event>,
}

struct InFlight {
    at: Instant,
    number: u64,
    to: usize,
    receive: Receive,
}

pub(crate) struct Net {
    start: Instant,
    pub(crate) now: Instant,
    hosts: Vec<Host>,
    wire: Vec<InFlight>,
    number: u64,
    sent: usize,
    lose: Vec<usize>,
    hidden_acks: usize,
    loss: f64,
    reorder: f64,
    rng: Rng,
    ladder: Vec<String>,
    streams: HashMap<(usize, StreamId), (usize, Flow)>,
    accepted: u64,
    last_response: Option<Response>,
    /// Sessions are provided without being asked by the test
    pub(crate) auto_session: bool,
}

pub(crate) fn address(host: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host as u8 + 1], 5060))
}

pub(crate) fn uri(text: &str) -> Uri {
    Uri::parse(text).unwrap()
}

pub(crate) fn offer() -> Bytes {
    Bytes::from_static(b"v=0\r\ns=offer\r\n")
}

pub(crate) fn answer() -> Bytes {
    Bytes::from_static(b"v=0\r\ns=answer\r\n")
}

pub(crate) fn alice() -> Identity {
    Identity::new(uri("sip:alice@192.0.2.1"))
}

pub(crate) fn bob() -> Uri {
    uri("sip:bob@192.0.2.2")
}

impl Net {
    /// A network where a message takes 10 ms.
    pub(crate) fn new(seed: u8) -> Self {
        let start = Instant::now();
        Self {
            start,
            now: start,
            hosts: Vec::new(),
            wire: Vec::new(),
            number: 0,
            sent: 0,
            lose: Vec::new(),
            hidden_acks: 0,
            loss: 0.0,
            reorder: 0.0,
            rng: Rng::new([seed; 32]),
            ladder: Vec::new(),
            streams: HashMap::new(),
            accepted: 0,
            last_response: None,
            auto_session: true,
        }
    }

    /// Alice and Bob.
    pub(crate) fn pair() -> Self {
        let mut net = Self::new(1);
        net.agent("alice");
        net.agent("bob");
        net
    }

    /// Loses the datagrams with these numbers, counted from 0.
    pub(crate) fn lose(mut self, numbers: &[usize]) -> Self {
        self.lose = numbers.to_vec();
        self
    }

    /// Loses the first ACKs on streams, as a proxy's next hop might.
    pub(crate) fn hide_acks(mut self, number: usize) -> Self {
        self.hidden_acks = number;
        self
    }

    /// Loses and delays datagrams by chance.
    pub(crate) fn unreliable(mut self, loss: f64, reorder: f64) -> Self {
        (self.loss, self.reorder) = (loss, reorder);
        self
    }

    pub(crate) fn config(&self, host: usize) -> UaConfig {
        UaConfig::new([host as u8 + 50; 32], self.clock())
    }

    pub(crate) fn clock(&self) -> WallClock {
        WallClock {
            at: self.start,
            is: SystemTime::UNIX_EPOCH,
        }
    }

    pub(crate) fn agent(&mut self, name: &'static str) -> usize {
        let config = self.config(self.hosts.len());
        self.agent_with(name, config)
    }

    pub(crate) fn agent_with(&mut self, name: &'static str, config: UaConfig) -> usize {
        let index = self.hosts.len();
        let address = address(index);
        let endpoint = EndpointConfig::new([index as u8 + 1; 32], self.clock());
        let mut stack = Stack::new(endpoint, UserAgent::new(config));
        stack.command(self.now, |_, cx| {
            cx.listen(Listener::udp(address));
            cx.listen(Listener::tcp(address));
        });
        self.hosts.push(Host {
            name,
            address,
            node: Node::Agent(Box::new(stack)),
            events: VecDeque::new(),
        });
        self.pump();
        index
    }

    pub(crate) fn script(
        &mut self,
        name: &'static str,
        script: impl FnMut(&Message, SocketAddr, &mut Outbox) + 'static,
    ) -> usize {
        let index = self.hosts.len();
        self.hosts.push(Host {
            name,
            address: address(index),
            node: Node::Script(Box::new(script)),
            events: VecDeque::new(),
        });
        index
    }

    /// Gives commands to a user agent.
    pub(crate) fn ua<R>(
        &mut self,
        host: usize,
        command: impl FnOnce(&mut UserAgent, &mut Context<'_>) -> R,
    ) -> R {
        let now = self.now;
        let Node::Agent(stack) = &mut self.hosts[host].node else {
            panic!("{} is scripted", self.hosts[host].name)
        };
        let result = stack.command(now, command);
        self.pump();
        result
    }

    pub(crate) fn core(&self, host: usize) -> &UserAgent {
        match &self.hosts[host].node {
            Node::Agent(stack) => stack.core(),
            Node::Script(_) => panic!("{} is scripted", self.hosts[host].name),
        }
    }

    /// How many connections a host has opened.
    pub(crate) fn opened(&self, host: usize) -> u64 {
        match &self.hosts[host].node {
            Node::Agent(stack) => stack.endpoint().stats().transport.opened,
            Node::Script(_) => 0,
        }
    }

    pub(crate) fn shutdown(&mut self, host: usize) {
        let now = self.now;
        if let Node::Agent(stack) = &mut self.hosts[host].node {
            stack.shutdown(now);
        }
        self.pump();
    }

    pub(crate) fn is_idle(&self, host: usize) -> bool {
        match &self.hosts[host].node {
            Node::Agent(stack) => stack.is_idle(),
            Node::Script(_) => true,
        }
    }

    /// Sends a message from a scripted peer.
    pub(crate) fn send(&mut self, from: usize, to: usize, contents: impl Into<Bytes>) {
        let to = self.hosts[to].address;
        self.datagram(from, to, contents.into(), Duration::ZERO);
    }

    /// Closes every stream of a host, as its peers see it.
    pub(crate) fn break_streams(&mut self, host: usize) {
        let ends: Vec<_> = self
            .streams
            .drain()
            .filter(|((at, _), (peer, _))| *at == host || *peer == host)
            .collect();
        for (_, (to, flow)) in ends {
            let receive = Receive::Closed {
                flow,
                reason: CloseReason::ByPeer,
            };
            self.post(to, receive, Duration::ZERO);
        }
    }

    /// Runs until `pick` finds what it wants among the host's events; what stands before is dropped.
    pub(crate) fn until<R>(&mut self, host: usize, mut pick: impl FnMut(&Event) -> Option<R>) -> R {
        loop {
            while let Some(event) = self.hosts[host].events.pop_front() {
                if let Some(found) = pick(&event) {
                    return found;
                }
            }
            assert!(
                self.step(),
                "{} waits in vain\n{}",
                self.hosts[host].name,
                self.show()
            );
        }
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.next().is_some_and(|next| next <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Runs until nothing is on its way and no timer is set.
    pub(crate) fn run(&mut self) {
        while self.step() {
            assert!(
                self.elapsed() < Duration::from_secs(86_400),
                "it never ends\n{}",
                self.show()
            );
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// The events of a host that were not looked at.
    pub(crate) fn events(&mut self, host: usize) -> Vec<Event> {
        self.hosts[host].events.drain(..).collect()
    }

    pub(crate) fn show(&self) -> String {
        self.ladder.join("\n")
    }

    /// The response that was sent last.
    pub(crate) fn last_response(&self) -> Response {
        self.last_response.clone().expect("there was a response")
    }

    pub(crate) fn count(&self, what: &str) -> usize {
        self.ladder
            .iter()
            .filter(|line| line.contains(what))
            .count()
    }

    #[track_caller]
    pub(crate) fn assert_ladder(&self, expected: &str) {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let expected: Vec<_> = expected
            .lines()
            .map(words)
            .filter(|line| !line.is_empty())
            .collect();
        let seen: Vec<_> = self.ladder.iter().map(|line| words(line)).collect();
        assert!(
            seen == expected,
            "expected\n{}\nbut saw\n{}",
            expected.join("\n"),
            self.show()
        );
    }

    /// Nothing leaks: when everything is over, no timer is set and every table is empty.
    #[track_caller]
    pub(crate) fn assert_nothing_is_left(&mut self) {
        self.run();
        for host in &self.hosts {
            let Node::Agent(stack) = &host.node else {
                continue;
            };
            assert!(
                stack.is_idle(),
                "{} is not idle\n{}",
                host.name,
                self.show()
            );
            assert_eq!(stack.poll_timeout(), None, "{}", host.name);
            let stats = stack.core().stats();
            let held = [
                stats.calls,
                stats.dialogs,
                stats.registrations,
                stats.requests,
                stats.awaited,
                stats.handed_out,
            ];
            assert_eq!(
                held,
                [0; 6],
                "{} holds {stats:?}\n{}",
                host.name,
                self.show()
            );
            let stats = stack.endpoint().stats();
            assert_eq!(
                (
                    stats.client_transactions,
                    stats.server_transactions,
                    stats.requests,
                    stats.acknowledgements
                ),
                (0, 0, 0, 0),
                "{}",
                host.name
            );
        }
    }

    fn next(&self) -> Option<Instant> {
        let timers = self.hosts.iter().filter_map(|host| match &host.node {
            Node::Agent(stack) => stack.poll_timeout(),
            Node::Script(_) => None,
        });
        self.wire.iter().map(|parcel| parcel.at).chain(timers).min()
    }

    /// Moves time to the next thing that happens.
    fn step(&mut self) -> bool {
        let Some(next) = self.next() else {
            return false;
        };
        self.now = self.now.max(next);
        let now = self.now;
        self.wire.sort_by_key(|parcel| (parcel.at, parcel.number));
        if self.wire.first().is_some_and(|parcel| parcel.at <= now) {
            let parcel = self.wire.remove(0);
            self.deliver(parcel);
        } else {
            for host in &mut self.hosts {
                if let Node::Agent(stack) = &mut host.node
                    && stack.poll_timeout().is_some_and(|at| at <= now)
                {
                    stack.handle_timeout(now);
                }
            }
        }
        self.pump();
        true
    }

    fn deliver(&mut self, parcel: InFlight) {
        let now = self.now;
        match &mut self.hosts[parcel.to].node {
            Node::Agent(stack) => stack.handle_receive(now, parcel.receive),
            Node::Script(script) => {
                let Receive::Datagram { flow, contents } = parcel.receive else {
                    return;
                };
                let message = Message::parse(contents).unwrap();
                let mut outbox = Outbox {
                    now,
                    sent: Vec::new(),
                };
                script(&message, flow.remote(), &mut outbox);
                for (to, contents, after) in outbox.sent {
                    self.datagram(parcel.to, to, contents, after);
                }
            }
        }
    }

    /// Moves what the machines want to send onto the wire, and their events to the test.
    fn pump(&mut self) {
        for index in 0..self.hosts.len() {
            while let Node::Agent(stack) = &mut self.hosts[index].node {
                if let Some(transmit) = stack.poll_transmit() {
                    self.transmit(index, transmit);
                } else if let Some(event) = stack.poll_event() {
                    if let StackEvent::Core(event) = event {
                        self.event(index, event);
                    }
                } else {
                    break;
                }
            }
        }
    }

    fn event(&mut self, index: usize, event: Event) {
        if let Event::SessionNeeded {
            call,
            question,
            offer: theirs,
        } = &event
            && self.auto_session
        {
            let session = if theirs.is_some() { answer() } else { offer() };
            let (call, question, now) = (*call, *question, self.now);
            if let Node::Agent(stack) = &mut self.hosts[index].node {
                stack
                    .command(now, |ua, cx| {
                        ua.provide_session(cx, call, question, session)
                    })
                    .unwrap();
            }
        }
        self.hosts[index].events.push_back(event);
    }

    fn transmit(&mut self, from: usize, transmit: Transmit) {
        match transmit {
            Transmit::Datagram { flow, contents } => {
                self.datagram(from, flow.remote(), contents, Duration::ZERO)
            }
            Transmit::Stream { flow, contents } => {
                let id = flow.stream_id().unwrap();
                let Some(&(to, flow)) = self.streams.get(&(from, id)) else {
                    return;
                };
                if self.hidden_acks > 0 && contents.starts_with(b"ACK ") {
                    self.hidden_acks -= 1;
                    self.note(from, to, &contents, "(lost)");
                    return;
                }
                self.note(from, to, &contents, "");
                self.post(to, Receive::Stream { flow, contents }, DELAY);
            }
            Transmit::Open { flow } => self.open(from, flow),
            Transmit::Close { flow } => {
                if let Some((to, theirs)) = flow
                    .stream_id()
                    .and_then(|id| self.streams.remove(&(from, id)))
                {
                    self.streams.remove(&(to, theirs.stream_id().unwrap()));
                    self.post(
                        to,
                        Receive::Closed {
                            flow: theirs,
                            reason: CloseReason::ByPeer,
                        },
                        DELAY,
                    );
                }
            }
            Transmit::Bind { token, local, .. } => {
                let now = self.now;
                if let Node::Agent(stack) = &mut self.hosts[from].node {
                    stack.handle_receive(
                        now,
                        Receive::Bound {
                            token,
                            result: Ok(local),
                        },
                    );
                }
            }
            _ => {}
        }
    }

    fn open(&mut self, from: usize, flow: Flow) {
        let local =
            SocketAddr::from((self.hosts[from].address.ip(), 40_000 + self.accepted as u16));
        let flow = flow.with_local(local);
        let to = self
            .hosts
            .iter()
            .position(|host| host.address == flow.remote());
        let Some(to) = to.filter(|to| matches!(self.hosts[*to].node, Node::Agent(_))) else {
            let reason = CloseReason::Refused(std::io::ErrorKind::ConnectionRefused);
            self.post(from, Receive::Closed { flow, reason }, DELAY);
            return;
        };
        self.accepted += 1;
        let id = StreamId::accepted(self.accepted);
        let theirs = Flow::stream(Protocol::Tcp, id, flow.remote(), local);
        self.streams
            .insert((from, flow.stream_id().unwrap()), (to, theirs));
        self.streams.insert((to, id), (from, flow));
        self.post(to, Receive::Opened { flow: theirs }, DELAY);
        self.post(from, Receive::Opened { flow }, DELAY);
    }

    fn datagram(&mut self, from: usize, to: SocketAddr, contents: Bytes, after: Duration) {
        let number = self.sent;
        self.sent += 1;
        let lost = self.lose.contains(&number) || self.rng.fraction() < self.loss;
        let late = if self.rng.fraction() < self.reorder {
            Duration::from_millis(self.rng.below(300))
        } else {
            Duration::ZERO
        };
        let Some(index) = self.hosts.iter().position(|host| host.address == to) else {
            return;
        };
        self.note(from, index, &contents, if lost { "(lost)" } else { "" });
        if !lost {
            let flow = Flow::udp(to, self.hosts[from].address);
            self.post(
                index,
                Receive::Datagram { flow, contents },
                DELAY + late + after,
            );
        }
    }

    fn post(&mut self, to: usize, receive: Receive, delay: Duration) {
        self.number += 1;
        self.wire.push(InFlight {
            at: self.now + delay,
            number: self.number,
            to,
            receive,
        });
    }

    fn note(&mut self, from: usize, to: usize, contents: &Bytes, lost: &str) {
        let what = match Message::parse(contents.clone()) {
            Ok(Message::Request(request)) => request.method().to_string(),
            Ok(Message::Response(response)) => {
                self.last_response = Some(response.clone());
                format!(
                    "{} {}",
                    response.status().as_u16(),
                    response.cseq().unwrap().method()
                )
            }
            Err(_) => return,
        };
        let (at, from, to) = (
            self.elapsed().as_millis(),
            self.hosts[from].name,
            self.hosts[to].name,
        );
        self.ladder
            .push(format!("{at:>8} ms  {from:<9} -> {to:<9} {what} {lost}"));
    }
}

const DELAY: Duration = Duration::from_millis(10);

/// The request in a message.
pub(crate) fn request(message: &Message) -> Option<&Request> {
    match message {
        Message::Request(request) => Some(request),
        Message::Response(_) => None,
    }
}

/// The response in a message.
pub(crate) fn response(message: &Message) -> Option<&Response> {
    match message {
        Message::Response(response) => Some(response),
        Message::Request(_) => None,
    }
}

pub(crate) fn incoming(event: &Event) -> Option<sip_ua::CallId> {
    match event {
        Event::IncomingCall { call, .. } => Some(*call),
        _ => None,
    }
}

pub(crate) fn established(event: &Event) -> Option<()> {
    matches!(event, Event::Established { .. }).then_some(())
}

pub(crate) fn ended(event: &Event) -> Option<sip_ua::Ended> {
    match event {
        Event::Ended { ended, .. } => Some(ended.clone()),
        _ => None,
    }
}

/// The names of events, for assertions about their order.
pub(crate) fn names(events: &[Event]) -> Vec<&'static str> {
    events
        .iter()
        .map(|event| match event {
            Event::IncomingCall { .. } => "incoming",
            Event::SessionNeeded { .. } => "session needed",
            Event::SessionReady { early: true, .. } => "early session",
            Event::SessionReady { .. } => "session",
            Event::Progress { .. } => "progress",
            Event::EarlyEnded { .. } => "early ended",
            Event::Answered { .. } => "answered",
            Event::Established { .. } => "established",
            Event::ReofferDone { result: Ok(()), .. } => "reoffered",
            Event::ReofferDone { .. } => "reoffer failed",
            Event::Parting { .. } => "parting",
            Event::Ended { .. } => "ended",
            Event::Registered { .. } => "registered",
            Event::RegistrationRetrying { .. } => "retrying",
            Event::RegistrationEnded { .. } => "registration ended",
            Event::RequestDone { .. } => "done",
            Event::Request { .. } => "request",
            _ => "other",
        })
        .collect()
}
