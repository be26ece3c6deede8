//! The layer as its user and its driver see it.

mod admission;
mod datagrams;
mod garbage;
mod keep_alive;
mod responses;
mod shards;
mod streams;
#[cfg(feature = "ws")]
mod web_sockets;

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::{Event, Listener, ListenerId, Target, Transport, TransportConfig};
use sip_io::{Flow, Protocol, Receive, Rng, StateMachine, StreamId, Transmit};
use sip_message::Message;

/// A transport with a driver that binds what it is asked to.
struct Stage {
    transport: Transport,
    start: Instant,
    now: Instant,
    out: Vec<Transmit>,
    events: Vec<Event>,
    accepted: u64,
}

const LOCAL: &str = "192.0.2.1";

impl Stage {
    /// Listens on port 5060 for datagrams and connections.
    fn new() -> Self {
        Self::with(TransportConfig::default())
    }

    fn with(config: TransportConfig) -> Self {
        let mut stage = Self::bare(config);
        stage.listen("udp:192.0.2.1:5060".parse().unwrap());
        stage.listen("tcp:192.0.2.1:5060".parse().unwrap());
        stage
    }

    #[allow(clippy::disallowed_methods)] // a test needs an instant to start from
    fn bare(config: TransportConfig) -> Self {
        let start = Instant::now();
        let mut stage = Self {
            transport: Transport::new(config, Rng::new([5; 32]), start),
            start,
            now: start,
            out: Vec::new(),
            events: Vec::new(),
            accepted: 0,
        };
        let addresses = ["127.0.0.1", LOCAL, "2001:db8::1"];
        stage.receive(Receive::Network {
            addresses: addresses.map(|ip| ip.parse().unwrap()).to_vec(),
        });
        stage
    }

    fn listen(&mut self, listener: Listener) -> ListenerId {
        let id = self.transport.listen(self.now, listener);
        let (Some(Transmit::Bind { token, local, .. })
        | Some(Transmit::BindShared { token, local, .. })) = self.transport.poll_transmit()
        else {
            panic!("nothing to bind");
        };
        self.receive(Receive::Bound {
            token,
            result: Ok(local),
        });
        let told = self.events.pop();
        assert!(matches!(told, Some(Event::Listening { listener, .. }) if listener == id));
        id
    }

    fn receive(&mut self, receive: Receive) {
        self.transport.handle_receive(self.now, receive);
        self.drain();
    }

    fn drain(&mut self) {
        self.out
            .extend(std::iter::from_fn(|| self.transport.poll_transmit()));
        self.events
            .extend(std::iter::from_fn(|| self.transport.poll_event()));
    }

    fn datagram(&mut self, flow: Flow, contents: impl Into<Bytes>) {
        let contents = contents.into();
        self.receive(Receive::Datagram { flow, contents });
    }

    fn bytes(&mut self, flow: Flow, contents: impl Into<Bytes>) {
        let contents = contents.into();
        self.receive(Receive::Stream { flow, contents });
    }

    /// A peer opens a connection.
    fn accept(&mut self) -> Flow {
        self.accept_from(peer(40_000))
    }

    fn accept_from(&mut self, remote: SocketAddr) -> Flow {
        self.accepted += 1;
        let id = StreamId::accepted(self.accepted);
        let flow = Flow::stream(Protocol::Tcp, id, local(), remote);
        self.receive(Receive::Opened { flow });
        flow
    }

    /// Lets time pass until `seconds` after the start.
    fn until(&mut self, seconds: u64) {
        let end = self.start + Duration::from_secs(seconds);
        while let Some(due) = self.transport.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.transport.handle_timeout(due);
            assert!(self.transport.poll_timeout().is_none_or(|next| next > due));
            self.drain();
        }
        self.now = end;
    }

    /// What happened since the last time.
    fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The only request or response that was told since the last time.
    fn message(&mut self) -> Message {
        let events = self.events();
        match <[Event; 1]>::try_from(events) {
            Ok([Event::Request { request, .. }]) => Message::Request(*request),
            Ok([Event::Response { response, .. }]) => Message::Response(*response),
            other => panic!("{other:?}"),
        }
    }

    /// What was sent since the last time, as text, with where it went.
    fn sent(&mut self) -> Vec<(Flow, String)> {
        let out = std::mem::take(&mut self.out);
        let text = |contents: Bytes| String::from_utf8_lossy(&contents).into_owned();
        out.into_iter()
            .filter_map(|transmit| match transmit {
                Transmit::Datagram { flow, contents } | Transmit::Stream { flow, contents } => {
                    Some((flow, text(contents)))
                }
                _ => None,
            })
            .collect()
    }

    fn is_closing(&self, closed: Flow) -> bool {
        self.out
            .iter()
            .any(|transmit| matches!(transmit, Transmit::Close { flow } if *flow == closed))
    }
}

fn local() -> SocketAddr {
    SocketAddr::new(LOCAL.parse().unwrap(), 5060)
}

fn peer(port: u16) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 7], port))
}

fn udp_from(port: u16) -> Flow {
    Flow::udp(local(), peer(port))
}

fn target(protocol: Protocol, address: SocketAddr) -> Target {
    Target {
        protocol,
        address,
        name: None,
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// An OPTIONS with this sent-by and these parameters in its top Via.
fn options(sent_by: &str, params: &str) -> String {
    format!(
        "OPTIONS sip:bob@192.0.2.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP {sent_by};branch=z9hG4bK1{params}\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:alice@example.com>;tag=1\r\n\
         To: <sip:bob@192.0.2.1>\r\n\
         Call-ID: 7@example.com\r\n\
         CSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// A response to a request with this sent-by.
fn ok(transport: &str, sent_by: &str) -> String {
    format!(
        "SIP/2.0 200 OK\r\n\
         Via: SIP/2.0/{transport} {sent_by};branch=z9hG4bK1\r\n\
         From: <sip:alice@example.com>;tag=1\r\n\
         To: <sip:bob@192.0.2.1>;tag=2\r\n\
         Call-ID: 7@example.com\r\n\
         CSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    )
}
