//! TLS as the layer's user and driver see it.

#![allow(clippy::disallowed_methods)] // a test needs an instant to start from

mod aliases;
mod handshakes;
mod identities;
mod listeners;
mod pki;
mod replacing;
#[cfg(feature = "ws")]
mod web_sockets;

use std::{
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;

use crate::{
    CloseReason, Event, FlowError, HandshakeFailure, Target, Tls, Transport, TransportConfig,
};
use pki::{Authority, Certified};
use sip_io::{Flow, Protocol, Receive, Rng, StateMachine, StreamId, Transmit, WallClock};

/// A client and a server with TLS, and the connections between them.
struct Pair {
    now: Instant,
    clock: WallClock,
    client: Transport,
    server: Transport,
    client_events: Vec<Event>,
    server_events: Vec<Event>,
    /// Bytes that went over connections, as they were
    wire: Vec<Bytes>,
    /// Where the client connected to
    opened: Vec<SocketAddr>,
    accepted: u64,
    links: Vec<(Flow, Flow)>,
}

impl Pair {
    fn new(client: Tls, server: Tls) -> Self {
        Self::with(TransportConfig::default(), client, server)
    }

    fn with(config: TransportConfig, client: Tls, server: Tls) -> Self {
        let now = Instant::now();
        // 2026-01-01
        let is = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let clock = WallClock { at: now, is };
        let side = |tls: Tls, local: &str, seed| {
            let config = config.clone().tls(tls, clock);
            let mut transport = Transport::new(config, Rng::new([seed; 32]), now);
            let addresses = vec![local.parse().unwrap()];
            transport.handle_receive(now, Receive::Network { addresses });
            transport
        };
        let mut pair = Self {
            now,
            clock,
            client: side(client, CLIENT, 1),
            server: side(server, SERVER, 2),
            client_events: Vec::new(),
            server_events: Vec::new(),
            wire: Vec::new(),
            opened: Vec::new(),
            accepted: 0,
            links: Vec::new(),
        };
        listen(&mut pair.server, now, SERVER);
        pair
    }

    /// Opens a connection for requests to `name` and lets the two talk.
    fn connect(&mut self, name: &str) -> Flow {
        let flow = self.client.flow_to(self.now, &to(name)).unwrap();
        self.run();
        flow
    }

    /// Sends an OPTIONS on a flow of the client's.
    fn request(&mut self, flow: &Flow, via_params: &str) {
        let text = options(via_params);
        self.client.send(self.now, flow, text.into()).unwrap();
        self.run();
    }

    /// Moves bytes until nothing is left to move.
    fn run(&mut self) {
        loop {
            let out: Vec<(bool, Transmit)> = std::iter::from_fn(|| self.client.poll_transmit())
                .map(|out| (true, out))
                .chain(std::iter::from_fn(|| self.server.poll_transmit()).map(|out| (false, out)))
                .collect();
            self.client_events
                .extend(std::iter::from_fn(|| self.client.poll_event()));
            self.server_events
                .extend(std::iter::from_fn(|| self.server.poll_event()));
            if out.is_empty() {
                return;
            }
            for (by_client, transmit) in out {
                self.carry(by_client, transmit);
            }
        }
    }

    fn carry(&mut self, by_client: bool, transmit: Transmit) {
        match transmit {
            Transmit::Open { flow } => self.open(by_client, flow),
            Transmit::Stream { flow, contents } => {
                self.wire.push(contents.clone());
                if let Some(flow) = self.other(by_client, flow) {
                    self.tell(!by_client, Receive::Stream { flow, contents });
                }
            }
            Transmit::Close { flow } => {
                if let Some(flow) = self.other(by_client, flow) {
                    let reason = sip_io::CloseReason::ByPeer;
                    self.tell(!by_client, Receive::Closed { flow, reason });
                }
            }
            _ => {}
        }
    }

    fn open(&mut self, by_client: bool, flow: Flow) {
        self.opened.push(flow.remote());
        let (own, peer) = if by_client {
            (CLIENT, SERVER)
        } else {
            (SERVER, CLIENT)
        };
        if ![at(peer, 5061), at(peer, 5062)].contains(&flow.remote()) {
            let reason = sip_io::CloseReason::Refused(std::io::ErrorKind::ConnectionRefused);
            return self.tell(by_client, Receive::Closed { flow, reason });
        }
        self.accepted += 1;
        let local = at(own, 40_000 + self.accepted as u16);
        let id = StreamId::accepted(self.accepted);
        let accepted = Flow::stream(flow.protocol(), id, flow.remote(), local);
        let flow = flow.with_local(local);
        self.links.push(if by_client {
            (flow, accepted)
        } else {
            (accepted, flow)
        });
        self.tell(!by_client, Receive::Opened { flow: accepted });
        self.tell(by_client, Receive::Opened { flow });
    }

    fn other(&self, by_client: bool, flow: Flow) -> Option<Flow> {
        let mut links = self.links.iter();
        if by_client {
            links.find(|link| link.0 == flow).map(|link| link.1)
        } else {
            links.find(|link| link.1 == flow).map(|link| link.0)
        }
    }

    fn tell(&mut self, client: bool, receive: Receive) {
        let side = if client {
            &mut self.client
        } else {
            &mut self.server
        };
        side.handle_receive(self.now, receive);
    }

    /// Lets time pass on both sides.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        let next = |pair: &Self| {
            let due = [pair.client.poll_timeout(), pair.server.poll_timeout()];
            due.into_iter().flatten().min().filter(|due| *due <= end)
        };
        while let Some(due) = next(self) {
            self.now = self.now.max(due);
            self.client.handle_timeout(due);
            self.server.handle_timeout(due);
            self.run();
        }
        self.now = end;
    }

    /// Why the client's connection ended, if one did.
    fn client_closed(&mut self) -> Option<CloseReason> {
        closed(&mut self.client_events)
    }

    /// The flow on which the only request came to the server.
    fn requested(&mut self) -> Option<Flow> {
        let events = std::mem::take(&mut self.server_events);
        let mut requests = events.into_iter().filter_map(|event| match event {
            Event::Request { flow, .. } => Some(flow),
            _ => None,
        });
        let first = requests.next();
        assert!(requests.next().is_none());
        first
    }
}

fn closed(events: &mut Vec<Event>) -> Option<CloseReason> {
    std::mem::take(events)
        .into_iter()
        .find_map(|event| match event {
            Event::Closed { reason, .. } => Some(reason),
            _ => None,
        })
}

fn listen(transport: &mut Transport, now: Instant, host: &str) {
    bind(transport, now, crate::Listener::tls(at(host, 5061), None));
}

fn bind(transport: &mut Transport, now: Instant, listener: crate::Listener) -> crate::ListenerId {
    let id = transport.listen(now, listener);
    let Some(Transmit::Bind { token, local, .. }) = transport.poll_transmit() else {
        panic!("nothing to bind: {:?}", transport.poll_event());
    };
    let result = Ok(local);
    transport.handle_receive(now, Receive::Bound { token, result });
    let told = transport.poll_event();
    assert!(matches!(told, Some(Event::Listening { listener, .. }) if listener == id));
    id
}

/// A server that is to be `name`; an address stands for itself.
fn to(name: &str) -> Target {
    Target {
        protocol: Protocol::Tls,
        address: at(SERVER, 5061),
        name: (name != SERVER).then(|| name.to_owned()),
    }
}

fn at(host: &str, port: u16) -> SocketAddr {
    SocketAddr::new(host.parse().unwrap(), port)
}

fn options(via_params: &str) -> String {
    format!(
        "OPTIONS sip:bob@example.com SIP/2.0\r\n\
         Via: SIP/2.0/TLS {CLIENT}:5061;branch=z9hG4bK1{via_params}\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:alice@example.com>;tag=1\r\n\
         To: <sip:bob@example.com>\r\n\
         Call-ID: 7@example.com\r\n\
         CSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// A client that believes `authority`.
fn believing(authority: &Authority) -> Tls {
    Tls::new().roots_pem(authority.pem().as_bytes()).unwrap()
}

/// A server with a certificate.
fn serving(certified: &Certified) -> Tls {
    certified.shown(Tls::new())
}

const CLIENT: &str = "198.51.100.7";
const SERVER: &str = "192.0.2.1";
