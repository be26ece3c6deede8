//! A registrar and a proxy on one endpoint, in memory and in virtual time, between user agents made of text.
#![allow(dead_code)] // each test file uses its part
#![allow(clippy::disallowed_methods)] // a test needs an instant to start from

pub(crate) mod forks;
mod messages;

pub(crate) use messages::*;

use sip_auth::{Algorithm, Digest, Server, Users};
use sip_endpoint::{Domains, Either, EndpointConfig, Listener, LookupError, Stack, StackEvent};
use sip_io::{CloseReason, Flow, Protocol, Receive, StateMachine, StreamId, Transmit, WallClock};
use sip_message::{Message, Request, Response, StatusCode, StreamFramer};
use sip_proxy::{Event, Plan, Proxy, ProxyConfig, ProxyId, Target};
use sip_registrar::{MemoryLocation, Registrar, RegistrarConfig};
use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

/// What the world does with a question of the proxy.
pub(crate) enum Decision {
    /// Bindings of the user, else 404; foreign URIs as they are
    Location,
    /// This plan
    Plan(Plan),
    /// The test will say
    Later,
}

/// One network, one server on it, and what happened.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) start: Instant,
    pub(crate) stack: Stack<(Registrar, Proxy)>,
    pub(crate) route: Box<dyn FnMut(&Request) -> Decision>,
    pub(crate) asked: Vec<(ProxyId, Request, Option<String>)>,
    pub(crate) events: VecDeque<Event>,
    hosts: BTreeMap<String, SocketAddr>,
    streams: BTreeMap<StreamId, (String, Flow, StreamFramer)>,
    accepted: u64,
    inbox: VecDeque<(String, Flow, Message)>,
    ladder: Vec<String>,
    serial: u64,
}

pub(crate) const SERVER: &str = "10.0.0.1:5060";

/// One network with alice and bob on it.
pub(crate) fn two() -> World {
    let mut world = World::new();
    world.host("alice", "10.0.0.2:5060");
    world.host("bob", "10.0.0.3:5060");
    world
}

impl World {
    /// A server for `example.com` without authentication.
    pub(crate) fn new() -> Self {
        Self::with(|registrar, proxy| (registrar, proxy))
    }

    /// A server for `example.com` that knows alice and bob, whose passwords are their names.
    pub(crate) fn authenticating() -> Self {
        let users = || Users::parse("alice:alice\nbob:bob").unwrap();
        let start = Instant::now();
        let clock = WallClock {
            at: start,
            is: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        };
        let server = || {
            Server::new(
                Digest::realm("example.com").algorithms([Algorithm::Md5]),
                [5; 32],
                clock,
            )
        };
        Self::at(start, |registrar, proxy| {
            (
                registrar.authenticate(server(), users()),
                proxy.authenticate(server(), users()),
            )
        })
    }

    pub(crate) fn with(
        configure: impl FnOnce(RegistrarConfig, ProxyConfig) -> (RegistrarConfig, ProxyConfig),
    ) -> Self {
        Self::at(Instant::now(), configure)
    }

    fn at(
        start: Instant,
        configure: impl FnOnce(RegistrarConfig, ProxyConfig) -> (RegistrarConfig, ProxyConfig),
    ) -> Self {
        let clock = WallClock {
            at: start,
            is: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        };
        let domains = Domains::new(["example.com"]).unwrap();
        let (registrar, proxy) = configure(
            RegistrarConfig::new(clock, domains.clone()),
            ProxyConfig::new([3; 32], clock).domains(domains),
        );
        let registrar = Registrar::new(registrar, MemoryLocation::new([4; 32], clock));
        let stack = Stack::new(
            EndpointConfig::new([1; 32], clock),
            (registrar, Proxy::new(proxy)),
        );
        let mut world = Self {
            now: start,
            start,
            stack,
            route: Box::new(|_| Decision::Location),
            asked: Vec::new(),
            events: VecDeque::new(),
            hosts: BTreeMap::new(),
            streams: BTreeMap::new(),
            accepted: 0,
            inbox: VecDeque::new(),
            ladder: Vec::new(),
            serial: 0,
        };
        let local: SocketAddr = SERVER.parse().unwrap();
        world.stack.command(start, |_, cx| {
            cx.listen(Listener::udp(local));
            cx.listen(Listener::tcp(local));
        });
        world.settle();
        world
    }

    /// An INVITE of alice's.
    pub(crate) fn invite(&mut self, uri: &str) -> Draft {
        self.message("alice", "INVITE", uri)
            .line("Contact: <sip:alice@10.0.0.2>")
    }

    /// A host of the network.
    pub(crate) fn host(&mut self, name: &str, address: &str) {
        self.hosts.insert(name.to_owned(), address.parse().unwrap());
    }

    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        *self
            .hosts
            .get(name)
            .unwrap_or_else(|| panic!("no host {name}"))
    }

    /// Sends a datagram to the server.
    pub(crate) fn udp(&mut self, from: &str, message: impl AsRef<[u8]>) {
        let flow = Flow::udp(SERVER.parse().unwrap(), self.address(from));
        let contents = bytes::Bytes::copy_from_slice(message.as_ref());
        self.note(from, "server", &contents);
        self.stack
            .handle_receive(self.now, Receive::Datagram { flow, contents });
        self.settle();
    }

    /// Opens a stream to the server.
    pub(crate) fn connect(&mut self, from: &str) -> Flow {
        self.accepted += 1;
        let id = StreamId::accepted(self.accepted);
        let mut remote = self.address(from);
        remote.set_port(40_000 + self.accepted as u16);
        let flow = Flow::stream(Protocol::Tcp, id, SERVER.parse().unwrap(), remote);
        self.streams.insert(
            id,
            (
                from.to_owned(),
                flow,
                StreamFramer::new(sip_message::Limits::default()),
            ),
        );
        self.stack
            .handle_receive(self.now, Receive::Opened { flow });
        self.settle();
        flow
    }

    /// Writes to a stream.
    pub(crate) fn tcp(&mut self, flow: Flow, message: impl AsRef<[u8]>) {
        let name = self.streams[&flow.stream_id().unwrap()].0.clone();
        let contents = bytes::Bytes::copy_from_slice(message.as_ref());
        self.note(&name, "server", &contents);
        self.stack
            .handle_receive(self.now, Receive::Stream { flow, contents });
        self.settle();
    }

    /// Whether the server has left a stream open.
    pub(crate) fn is_open(&self, flow: Flow) -> bool {
        self.streams.contains_key(&flow.stream_id().unwrap())
    }

    /// Closes a stream at the user agent's end.
    pub(crate) fn close(&mut self, flow: Flow) {
        self.streams.remove(&flow.stream_id().unwrap());
        self.stack.handle_receive(
            self.now,
            Receive::Closed {
                flow,
                reason: CloseReason::ByPeer,
            },
        );
        self.settle();
    }

    /// Sends a message back on the flow that another came on.
    pub(crate) fn reply(&mut self, flow: Flow, message: impl AsRef<[u8]>) {
        if flow.is_stream() {
            return self.tcp(flow, message);
        }
        let name = self.name(flow.remote());
        self.udp(&name, message);
    }

    /// The next request that `name` got.
    pub(crate) fn request_at(&mut self, name: &str, method: &str) -> (Flow, Request) {
        match self.take(name) {
            Some((flow, Message::Request(request))) if request.method() == method => {
                (flow, request)
            }
            other => panic!("{name} expected {method}, got {other:?}\n{}", self.ladder()),
        }
    }

    /// The next response that `name` got.
    pub(crate) fn response_at(&mut self, name: &str, code: u16) -> Response {
        match self.take(name) {
            Some((_, Message::Response(response))) if response.status() == code => response,
            other => panic!("{name} expected {code}, got {other:?}\n{}", self.ladder()),
        }
    }

    /// That `name` got nothing more.
    pub(crate) fn nothing_at(&mut self, name: &str) {
        if let Some(other) = self.take(name) {
            panic!("{name} expected nothing, got {other:?}\n{}", self.ladder());
        }
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<(Flow, Message)> {
        let place = self.inbox.iter().position(|(to, ..)| to == name)?;
        self.inbox
            .remove(place)
            .map(|(_, flow, message)| (flow, message))
    }

    /// The statuses of all responses that `name` got.
    pub(crate) fn statuses_at(&mut self, name: &str) -> Vec<u16> {
        let statuses = std::iter::from_fn(|| match self.take(name) {
            Some((_, Message::Response(response))) => Some(response.status().as_u16()),
            Some((_, request)) => panic!("{name} got {request:?}\n{}", self.ladder()),
            None => None,
        });
        statuses.collect()
    }

    /// Forgets what came to `name`.
    pub(crate) fn discard(&mut self, name: &str) {
        self.inbox.retain(|(to, ..)| to != name);
    }

    /// Moves time.
    pub(crate) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.stack.poll_timeout().filter(|&at| at <= end) {
            self.now = at.max(self.now);
            self.stack.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    /// Moves time until nothing is left to wait for, and checks that nothing is left.
    pub(crate) fn finish(mut self) {
        for (_, (_, flow, _)) in std::mem::take(&mut self.streams) {
            self.stack.handle_receive(
                self.now,
                Receive::Closed {
                    flow,
                    reason: CloseReason::ByPeer,
                },
            );
            self.settle();
        }
        for _ in 0..10_000 {
            let Some(at) = self.stack.poll_timeout() else {
                break;
            };
            self.now = at.max(self.now);
            self.stack.handle_timeout(self.now);
            self.settle();
        }
        assert_eq!(
            self.stack.poll_timeout(),
            None,
            "a timer is left\n{}",
            self.ladder()
        );
        let stats = self.stack.endpoint().stats();
        let left = (
            stats.client_transactions,
            stats.server_transactions,
            stats.requests,
            stats.acknowledgements,
        );
        assert_eq!(
            left,
            (0, 0, 0, 0),
            "a transaction is left\n{}",
            self.ladder()
        );
        assert_eq!(
            self.stack.core().1.stats().held,
            0,
            "a response context is left\n{}",
            self.ladder()
        );
        assert!(self.stack.is_idle());
    }

    /// Registers a Contact over UDP.
    pub(crate) fn register(&mut self, name: &str, contact: &str) {
        // RFC 5630 §5.2: a `sips` Contact is registered by `sips`.
        let scheme = if contact.contains("sips:") {
            "sips"
        } else {
            "sip"
        };
        let request = self
            .message(name, "REGISTER", &format!("{scheme}:example.com"))
            .to(&format!("sip:{name}@example.com"));
        let request = request.line(&format!("Contact: {contact}"));
        self.udp(name, request.text());
        self.response_at(name, 200);
    }

    /// A request of `name` as text.
    pub(crate) fn message(&mut self, name: &str, method: &str, uri: &str) -> Draft {
        self.serial += 1;
        let address = self.address(name);
        Draft {
            method: method.to_owned(),
            uri: uri.to_owned(),
            via: format!(
                "SIP/2.0/UDP {address};rport;branch=z9hG4bK{name}{}",
                self.serial
            ),
            from: format!("<sip:{name}@example.com>;tag={name}"),
            to: format!("<{uri}>"),
            call_id: format!("call-of-{name}"),
            cseq: self.serial as u32,
            max_forwards: "70".to_owned(),
            lines: Vec::new(),
        }
    }

    pub(crate) fn ladder(&self) -> String {
        self.ladder.join("\n")
    }

    /// Runs what the stack wants done.
    pub(crate) fn settle(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(transmit) = self.stack.poll_transmit() {
                quiet = false;
                self.transmit(transmit);
            }
            while let Some(event) = self.stack.poll_event() {
                quiet = false;
                match event {
                    StackEvent::Core(Either::Right(event)) => self.decide(event),
                    StackEvent::LookupNeeded { id, .. } => {
                        let nowhere = Err(LookupError::NoSuchName { ttl: None });
                        self.stack.provide_answer(self.now, id, nowhere);
                    }
                    _ => {}
                }
            }
            if quiet {
                return;
            }
        }
    }

    fn transmit(&mut self, transmit: Transmit) {
        match transmit {
            Transmit::Bind { token, local, .. } => {
                self.stack.handle_receive(
                    self.now,
                    Receive::Bound {
                        token,
                        result: Ok(local),
                    },
                );
            }
            Transmit::Datagram { flow, contents } => {
                let name = self.name(flow.remote());
                self.note("server", &name, &contents);
                let message = Message::parse(contents).unwrap();
                self.inbox.push_back((name, flow, message));
            }
            Transmit::Stream { flow, contents } => {
                let Some((name, _, framer)) = self.streams.get_mut(&flow.stream_id().unwrap())
                else {
                    return;
                };
                let name = name.clone();
                framer.push(&contents);
                let mut messages = Vec::new();
                while let Some(message) = next_message(framer) {
                    messages.push(message);
                }
                self.note("server", &name, &contents);
                self.inbox.extend(
                    messages
                        .into_iter()
                        .map(|message| (name.clone(), flow, message)),
                );
            }
            Transmit::Open { flow } => {
                let Some(name) = self
                    .hosts
                    .iter()
                    .find(|(_, at)| **at == flow.remote())
                    .map(|(name, _)| name.clone())
                else {
                    let reason = CloseReason::Refused(std::io::ErrorKind::ConnectionRefused);
                    return self
                        .stack
                        .handle_receive(self.now, Receive::Closed { flow, reason });
                };
                let mut local: SocketAddr = SERVER.parse().unwrap();
                local.set_port(50_000);
                let flow = flow.with_local(local);
                self.streams.insert(
                    flow.stream_id().unwrap(),
                    (
                        name,
                        flow,
                        StreamFramer::new(sip_message::Limits::default()),
                    ),
                );
                self.stack
                    .handle_receive(self.now, Receive::Opened { flow });
            }
            Transmit::Close { flow } => {
                self.streams.remove(&flow.stream_id().unwrap());
            }
            _ => {}
        }
    }

    fn decide(&mut self, event: Event) {
        let Event::RouteNeeded {
            id,
            request,
            user,
            ours,
            ..
        } = &event
        else {
            self.events.push_back(event);
            return;
        };
        self.asked.push((*id, (**request).clone(), user.clone()));
        let (id, uri, ours) = (*id, request.uri().clone(), *ours);
        match (self.route)(request) {
            Decision::Later => {}
            Decision::Plan(plan) => self
                .stack
                .command(self.now, |core, cx| core.1.relay(cx, id, plan))
                .unwrap(),
            Decision::Location if !ours => {
                self.stack
                    .command(self.now, |core, cx| core.1.relay(cx, id, Plan::to(uri)))
                    .unwrap();
            }
            Decision::Location => {
                let decided = self.stack.command(self.now, |(registrar, proxy), cx| {
                    let targets = registrar.lookup(cx, &uri).unwrap_or_default();
                    let plan = Plan::by_q(targets.into_iter().map(target));
                    if plan.is_empty() {
                        proxy.reject(cx, id, StatusCode::NOT_FOUND)
                    } else {
                        proxy.relay(cx, id, plan)
                    }
                });
                decided.unwrap();
            }
        }
    }

    fn name(&self, address: SocketAddr) -> String {
        let found = self.hosts.iter().find(|(_, at)| **at == address);
        found.map_or_else(|| address.to_string(), |(name, _)| name.clone())
    }

    fn note(&mut self, from: &str, to: &str, contents: &[u8]) {
        let text = String::from_utf8_lossy(contents);
        let line = text.lines().next().unwrap_or_default();
        let at = self.now.duration_since(self.start).as_millis();
        self.ladder
            .push(format!("{at:>8} ms  {from:>7} -> {to:<7} {line}"));
    }
}

fn next_message(framer: &mut StreamFramer) -> Option<Message> {
    loop {
        match framer.next() {
            Ok(Some(sip_message::Frame::Message(wire))) => {
                return Some(Message::parse(wire).unwrap());
            }
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(error) => panic!("the server wrote {error}"),
        }
    }
}

fn target(binding: sip_registrar::Binding) -> Target {
    let target = Target::new(binding.uri().clone())
        .q(f32::from(binding.q()) / 1_000.0)
        .path(binding.path.clone());
    match binding.flow {
        Some(flow) if binding.is_outbound() => target.only_flow(flow),
        Some(flow) => target.flow(flow),
        None => target.binding(),
    }
}
