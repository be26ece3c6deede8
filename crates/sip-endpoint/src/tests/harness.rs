//! One stack, a clock that is moved by hand, and the wire on a bench.

use crate::{
    Context, Core, Draft, EndpointConfig, Event, Failure, Listener, Question, QuestionId,
    RequestId, Stack, StackEvent, Target,
};
use sip_io::{
    CloseReason, FailReason, Flow, Protocol, Receive, StateMachine, StreamId, Transmit, WallClock,
};
use sip_message::{Message, Request, Response, StatusCode, Tag};
use sip_resolver::Zone;
use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant, SystemTime},
};

/// Takes every event, or none.
#[derive(Debug)]
pub(super) struct Probe {
    takes: bool,
    events: VecDeque<Event>,
}

impl Core for Probe {
    type Event = Event;

    fn handle_event(&mut self, _cx: &mut Context<'_>, event: Event) -> Option<Event> {
        if !self.takes {
            return Some(event);
        }
        self.events.push_back(event);
        None
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

pub(super) struct Rig {
    pub(super) now: Instant,
    pub(super) stack: Stack<Probe>,
    out: VecDeque<Transmit>,
    events: VecDeque<Event>,
    pub(super) questions: VecDeque<(QuestionId, Question)>,
}

/// Where the endpoint listens, with UDP and with TCP.
pub(super) const HERE: &str = "192.0.2.1:5060";
pub(super) const BOB: &str = "192.0.2.2:5060";
pub(super) const CAROL: &str = "192.0.2.3:5060";

pub(super) const SECOND: Duration = Duration::from_secs(1);

#[allow(clippy::disallowed_methods)] // a test needs an instant to start from
pub(super) fn start() -> Instant {
    Instant::now()
}

pub(super) fn config(start: Instant) -> EndpointConfig {
    EndpointConfig::new(
        [7; 32],
        WallClock {
            at: start,
            is: SystemTime::UNIX_EPOCH,
        },
    )
}

pub(super) fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(super) fn udp(address: &str) -> Target {
    Target {
        protocol: Protocol::Udp,
        address: at(address),
        name: None,
    }
}

pub(super) fn tcp(address: &str) -> Target {
    Target {
        protocol: Protocol::Tcp,
        ..udp(address)
    }
}

/// bob.example has two servers by UDP, tcp.example has one by TCP, and nowhere.example has none.
pub(super) fn zone() -> Zone {
    Zone::new()
        .address("one.example", IpAddr::from([192, 0, 2, 2]))
        .address("two.example", IpAddr::from([192, 0, 2, 3]))
        .service("_sip._udp.bob.example", 1, 0, 5060, "one.example")
        .service("_sip._udp.bob.example", 2, 0, 5060, "two.example")
        .service("_sip._tcp.tcp.example", 1, 0, 5060, "one.example")
}

/// A request without what only its way can tell.
pub(super) fn request(method: &str, uri: &str) -> Request {
    let text = format!(
        "{method} {uri} SIP/2.0\r\nFrom: <sip:alice@192.0.2.1>;tag=a\r\nTo: <{uri}>\r\nCall-ID: {method}-1\r\n\
         CSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    );
    Request::parse(text.into()).unwrap()
}

pub(super) fn draft(method: &str, uri: &str) -> Draft {
    Draft::new(request(method, uri))
}

/// A request as a peer sends it.
pub(super) fn inbound(method: &str, via: &str, branch: &str) -> String {
    format!(
        "{method} sip:alice@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/{via};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:bob@192.0.2.2>;tag=b\r\nTo: <sip:alice@192.0.2.1>\r\nCall-ID: {branch}\r\nCSeq: 1 {method}\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

impl Rig {
    /// Listens with UDP and TCP and knows [`zone`].
    pub(super) fn new() -> Self {
        Self::with(|config| config.zone(zone()))
    }

    pub(super) fn with(configure: impl FnOnce(EndpointConfig) -> EndpointConfig) -> Self {
        Self::listening(
            configure,
            &[Listener::udp(at(HERE)), Listener::tcp(at(HERE))],
        )
    }

    pub(super) fn listening(
        configure: impl FnOnce(EndpointConfig) -> EndpointConfig,
        listeners: &[Listener],
    ) -> Self {
        let start = start();
        let probe = Probe {
            takes: true,
            events: VecDeque::new(),
        };
        let mut rig = Self {
            now: start,
            stack: Stack::new(configure(config(start)), probe),
            out: VecDeque::new(),
            events: VecDeque::new(),
            questions: VecDeque::new(),
        };
        for listener in listeners {
            rig.command(|cx| cx.listen(listener.clone()));
            let (Some(Transmit::Bind { token, local, .. })
            | Some(Transmit::BindShared { token, local, .. })) = rig.out.pop_front()
            else {
                panic!("asks for a socket")
            };
            rig.receive(Receive::Bound {
                token,
                result: Ok(local),
            });
        }
        rig
    }

    /// Hands every event on from now on.
    pub(super) fn take_nothing(&mut self) {
        let now = self.now;
        self.stack.command(now, |core, _| core.takes = false);
    }

    pub(super) fn command<R>(&mut self, command: impl FnOnce(&mut Context<'_>) -> R) -> R {
        let result = self.stack.command(self.now, |_, cx| command(cx));
        self.collect();
        result
    }

    pub(super) fn request(&mut self, draft: Draft) -> RequestId {
        self.command(|cx| cx.request(draft))
    }

    pub(super) fn receive(&mut self, receive: Receive) {
        self.stack.handle_receive(self.now, receive);
        self.collect();
    }

    /// A datagram from `remote` to our socket.
    pub(super) fn datagram(&mut self, remote: &str, contents: impl Into<bytes::Bytes>) {
        let flow = Flow::udp(at(HERE), at(remote));
        self.bytes(flow, contents);
    }

    pub(super) fn bytes(&mut self, flow: Flow, contents: impl Into<bytes::Bytes>) {
        let contents = contents.into();
        self.receive(if flow.is_stream() {
            Receive::Stream { flow, contents }
        } else {
            Receive::Datagram { flow, contents }
        });
    }

    /// The peer at the other end of `flow` answers.
    pub(super) fn answer(&mut self, flow: Flow, request: &Request, status: StatusCode) {
        let mut response = request.response(status);
        if status != StatusCode::TRYING {
            response = response.to_tag(Tag::new("r").unwrap());
        }
        let mut response = response.build();
        response.ensure_content_length();
        self.bytes(flow, response.to_bytes());
    }

    pub(super) fn opened(&mut self, flow: Flow) {
        let flow = flow.with_local(at("192.0.2.1:40000"));
        self.receive(Receive::Opened { flow });
    }

    pub(super) fn refused(&mut self, flow: Flow) {
        let reason = CloseReason::Refused(io::ErrorKind::ConnectionRefused);
        self.receive(Receive::Closed { flow, reason });
    }

    pub(super) fn closed(&mut self, flow: Flow) {
        let reason = CloseReason::ByPeer;
        self.receive(Receive::Closed { flow, reason });
    }

    pub(super) fn unreachable(&mut self, flow: Flow) {
        let reason = FailReason::Unreachable;
        self.receive(Receive::Failed { flow, reason });
    }

    /// A peer opens a stream to our listener.
    pub(super) fn accept(&mut self, number: u64, remote: &str) -> Flow {
        let id = StreamId::accepted(number);
        let flow = Flow::stream(Protocol::Tcp, id, at(HERE), at(remote));
        self.receive(Receive::Opened { flow });
        flow
    }

    /// Lets time pass.
    pub(super) fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(due) = self.stack.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.stack.handle_timeout(self.now);
            self.collect();
            let next = self.stack.poll_timeout();
            assert!(next.is_none_or(|next| next > due), "time stands still");
        }
        self.now = end;
    }

    fn collect(&mut self) {
        while let Some(transmit) = self.stack.poll_transmit() {
            self.out.push_back(transmit);
        }
        while let Some(event) = self.stack.poll_event() {
            match event {
                StackEvent::Core(event) => self.events.push_back(event),
                StackEvent::LookupNeeded { id, question } => {
                    self.questions.push_back((id, question));
                }
                StackEvent::Listening { .. }
                | StackEvent::ListenFailed { .. }
                | StackEvent::CertificateEnding { .. } => {}
            }
        }
    }

    /// What was sent since the last look.
    pub(super) fn transmits(&mut self) -> Vec<Transmit> {
        self.out.drain(..).collect()
    }

    /// What happened since the last look.
    pub(super) fn events(&mut self) -> Vec<Event> {
        self.events.drain(..).collect()
    }

    /// The one stream that we asked to be opened, and nothing else.
    #[track_caller]
    pub(super) fn open(&mut self) -> Flow {
        match self.transmits().as_slice() {
            [Transmit::Open { flow }] => *flow,
            other => panic!("opens one stream: {other:?}"),
        }
    }

    /// The one message that was sent, and nothing else.
    #[track_caller]
    pub(super) fn message(&mut self) -> (Flow, Message) {
        let transmits = self.transmits();
        match transmits.as_slice() {
            [Transmit::Datagram { flow, contents } | Transmit::Stream { flow, contents }] => {
                (*flow, Message::parse(contents.clone()).unwrap())
            }
            other => panic!("sends one message: {other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn sent_request(&mut self) -> (Flow, Request) {
        match self.message() {
            (flow, Message::Request(request)) => (flow, request),
            (_, other) => panic!("sends a request: {other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn sent_response(&mut self) -> (Flow, Response) {
        match self.message() {
            (flow, Message::Response(response)) => (flow, response),
            (_, other) => panic!("sends a response: {other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn sent_nothing(&mut self) {
        let transmits = self.transmits();
        assert!(transmits.is_empty(), "sends {transmits:?}");
    }

    /// The one failure that happened, and nothing else.
    #[track_caller]
    pub(super) fn failure(&mut self) -> Failure {
        match self.events().as_slice() {
            [Event::RequestFailed { reason, .. }] => reason.clone(),
            other => panic!("one request fails: {other:?}"),
        }
    }

    /// The status of the one response that came, and nothing else.
    #[track_caller]
    pub(super) fn status(&mut self) -> StatusCode {
        match self.events().as_slice() {
            [Event::Response { response, .. }] => response.status(),
            other => panic!("one response comes: {other:?}"),
        }
    }

    /// When all timers have run out nothing is left.
    #[track_caller]
    pub(super) fn finish(mut self) {
        self.wait(4_000 * SECOND);
        let endpoint = self.stack.endpoint();
        let stats = endpoint.stats();
        assert_eq!(
            [
                stats.requests,
                stats.acknowledgements,
                stats.client_transactions,
                stats.server_transactions,
                endpoint.attempts.len(),
                endpoint.lookups.len(),
                endpoint.connecting.len(),
                endpoint.undelivered.len(),
                endpoint.watched.len(),
                endpoint.events.len(),
            ],
            [0; 10],
            "requests, ACKs, clients, servers, attempts, lookups, connecting, undelivered, watched, events"
        );
        assert_eq!(self.stack.poll_timeout(), None, "a timer is left");
        assert!(self.stack.is_idle());
    }
}

/// Why the attempts failed, and where.
pub(super) fn tried(failure: &Failure) -> Vec<(String, crate::AttemptFailure)> {
    match failure {
        Failure::TimedOut { tried } | Failure::Unreachable { tried } => tried
            .iter()
            .map(|attempt| {
                let Target {
                    protocol, address, ..
                } = &attempt.target;
                (format!("{protocol} {address}"), attempt.failure)
            })
            .collect(),
        other => panic!("nothing is tried in {other:?}"),
    }
}

/// The branch of the topmost Via.
pub(super) fn branch(request: &Request) -> String {
    request.via().unwrap().branch().unwrap().to_owned()
}
