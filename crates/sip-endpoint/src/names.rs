//! Names of servers: the resolver, and our own DNS client when it is to answer the resolver's questions.

use bytes::Bytes;
use sip_io::{BindToken, Flow, Protocol, Receive, Rng, StreamId, Transmit};
use sip_resolver::{
    Answer, DnsClient, DnsConfig, DnsStream, DnsStreamId, Families, LookupError, LookupId, Query,
    Question, QuestionId, Resolver, ResolverConfig, Zone,
};
use sip_transport::Target;
use std::{
    collections::{BTreeMap, VecDeque},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Instant,
};

/// The resolver and who answers it.
#[derive(Debug)]
pub(crate) struct Names {
    resolver: Resolver,
    client: Option<Client>,
}

/// The DNS client and its sockets: one for datagrams per address family, bound when the first question needs it, and a
/// connection for each answer that does not fit into one (RFC 7766 §5).
#[derive(Debug)]
struct Client {
    dns: DnsClient,
    sockets: [Socket; 2],
    streams: BTreeMap<DnsStreamId, (Flow, Bytes)>,
    out: VecDeque<Transmit>,
    /// What waits for a socket
    waiting: VecDeque<(SocketAddr, Bytes)>,
}

#[derive(Clone, Copy, Debug)]
enum Socket {
    Unbound,
    Binding,
    Bound(SocketAddr),
}

pub(crate) type NameEvent = sip_resolver::Event;

impl Names {
    pub(crate) fn new(
        zone: Zone,
        nameservers: Vec<SocketAddr>,
        rng: &mut Rng,
        now: Instant,
    ) -> Self {
        let resolver = Resolver::new(
            ResolverConfig::default().zone(zone),
            Rng::new(rng.seed()),
            now,
        );
        let client = (!nameservers.is_empty()).then(|| Client {
            dns: DnsClient::new(DnsConfig::new(nameservers), Rng::new(rng.seed()), now),
            sockets: [Socket::Unbound; 2],
            streams: BTreeMap::new(),
            out: VecDeque::new(),
            waiting: VecDeque::new(),
        });
        Self { resolver, client }
    }

    /// The target of a query that names an address: nothing has to be looked up for it.
    pub(crate) fn literal(&self, query: &Query) -> Option<Target> {
        self.resolver.literal(query).map(target)
    }

    pub(crate) fn start(&mut self, now: Instant, query: Query) -> LookupId {
        self.resolver.start(now, query)
    }

    pub(crate) fn cancel(&mut self, id: LookupId) {
        self.resolver.cancel(id);
    }

    pub(crate) fn provide_answer(
        &mut self,
        now: Instant,
        id: QuestionId,
        answer: Result<Answer, LookupError>,
    ) {
        self.resolver.provide_answer(now, id, answer);
    }

    /// What is of use to listeners of these protocols at these addresses; without any, everything is.
    pub(crate) fn set_reach(&mut self, bound: impl Iterator<Item = (Protocol, SocketAddr)>) {
        let (mut v4, mut v6, mut spoken) = (false, false, [false; PROTOCOLS.len()]);
        for (protocol, local) in bound {
            // A socket at `[::]` talks to both families.
            v4 |= local.is_ipv4() || local.ip() == Ipv6Addr::UNSPECIFIED;
            v6 |= local.is_ipv6();
            for (spoken, known) in spoken.iter_mut().zip(PROTOCOLS) {
                *spoken |= known == protocol;
            }
        }
        self.resolver.set_families(match (v4, v6) {
            (true, false) => Families::V4,
            (false, true) => Families::V6,
            _ => Families::default(),
        });
        let protocols = PROTOCOLS.into_iter().zip(spoken);
        self.resolver
            .set_protocols(protocols.filter_map(|(protocol, spoken)| spoken.then_some(protocol)));
    }

    /// Takes what is for the DNS client, hands the rest on.
    pub(crate) fn handle_receive(&mut self, now: Instant, receive: Receive) -> Option<Receive> {
        let Some(client) = &mut self.client else {
            return Some(receive);
        };
        client.handle_receive(now, receive)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.resolver.handle_timeout(now);
        if let Some(client) = &mut self.client {
            client.dns.handle_timeout(now);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let client = self
            .client
            .as_ref()
            .and_then(|client| client.dns.poll_timeout());
        [self.resolver.poll_timeout(), client]
            .into_iter()
            .flatten()
            .min()
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.client.as_mut()?.out.pop_front()
    }

    /// The next event for the endpoint; with a DNS client questions are asked and answered inside.
    pub(crate) fn poll_event(&mut self, now: Instant) -> Option<NameEvent> {
        loop {
            match (self.resolver.poll_event(), &mut self.client) {
                (Some(NameEvent::Question { id, question }), Some(client)) => {
                    client.ask(now, id, &question)
                }
                (None, Some(client)) => {
                    client.pump();
                    let (id, answer) = client.dns.poll_event()?;
                    self.resolver.provide_answer(now, id, answer);
                }
                (event, _) => return event,
            }
        }
    }
}

impl Client {
    fn ask(&mut self, now: Instant, id: QuestionId, question: &Question) {
        self.dns.ask(now, id, question);
        self.pump();
    }

    fn handle_receive(&mut self, now: Instant, receive: Receive) -> Option<Receive> {
        match receive {
            Receive::Bound { token, result } if TOKENS.contains(&token) => {
                let family = usize::from(token == TOKENS[1]);
                let (ready, waiting) = std::mem::take(&mut self.waiting)
                    .into_iter()
                    .partition(|(server, _)| usize::from(server.is_ipv6()) == family);
                self.waiting = waiting;
                match result {
                    Ok(local) => {
                        self.sockets[family] = Socket::Bound(local);
                        let ready: VecDeque<_> = ready;
                        for (server, contents) in ready {
                            self.send(server, contents);
                        }
                    }
                    // What waited is lost like a datagram. The client retransmits, and that binds anew.
                    Err(_) => self.sockets[family] = Socket::Unbound,
                }
                None
            }
            Receive::Datagram { flow, contents } if self.is_ours(&flow) => {
                self.dns.handle_datagram(now, flow.remote(), &contents);
                self.pump();
                None
            }
            Receive::Failed { flow, .. } if self.is_ours(&flow) => None,
            Receive::Opened { flow } if dns_stream(&flow).is_some() => {
                let waiting = dns_stream(&flow).and_then(|stream| self.streams.get(&stream));
                self.out.push_back(match waiting {
                    Some((_, contents)) => Transmit::Stream {
                        flow,
                        contents: contents.clone(),
                    },
                    // It was given up before it was open.
                    None => Transmit::Close { flow },
                });
                None
            }
            Receive::Stream { flow, contents } if dns_stream(&flow).is_some() => {
                if let Some(stream) = dns_stream(&flow) {
                    self.dns.handle_stream(now, stream, &contents);
                    self.pump();
                }
                None
            }
            Receive::Closed { flow, .. } if dns_stream(&flow).is_some() => {
                if let Some(stream) = dns_stream(&flow) {
                    self.streams.remove(&stream);
                    self.dns.handle_stream_end(now, stream);
                    self.pump();
                }
                None
            }
            other => Some(other),
        }
    }

    /// Moves what the client wants to send into the sockets' queue. After a retransmission timer too: the endpoint
    /// asks for events after every input.
    fn pump(&mut self) {
        while let Some((server, contents)) = self.dns.poll_transmit() {
            self.send(server, contents);
        }
        while let Some(command) = self.dns.poll_stream() {
            self.handle_stream_command(command);
        }
    }

    fn handle_stream_command(&mut self, command: DnsStream) {
        match command {
            DnsStream::Open {
                stream,
                server,
                contents,
            } => {
                let id = StreamId::opened(STREAMS | stream.as_u64());
                let flow = Flow::stream(Protocol::Tcp, id, unspecified(server), server);
                self.streams.insert(stream, (flow, contents));
                self.out.push_back(Transmit::Open { flow });
            }
            DnsStream::Close { stream } => {
                if let Some((flow, _)) = self.streams.remove(&stream) {
                    self.out.push_back(Transmit::Close { flow });
                }
            }
            _ => {}
        }
    }

    fn send(&mut self, server: SocketAddr, contents: Bytes) {
        let family = usize::from(server.is_ipv6());
        match self.sockets[family] {
            Socket::Bound(local) => {
                self.out.push_back(Transmit::Datagram {
                    flow: Flow::udp(local, server),
                    contents,
                });
            }
            Socket::Binding => self.wait(server, contents),
            Socket::Unbound => {
                self.sockets[family] = Socket::Binding;
                self.out.push_back(Transmit::Bind {
                    token: TOKENS[family],
                    protocol: Protocol::Udp,
                    local: unspecified(server),
                });
                self.wait(server, contents);
            }
        }
    }

    fn wait(&mut self, server: SocketAddr, contents: Bytes) {
        // What does not fit is lost like a datagram and sent again like one.
        if self.waiting.len() < WAITING {
            self.waiting.push_back((server, contents));
        }
    }

    fn is_ours(&self, flow: &Flow) -> bool {
        !flow.is_stream()
            && self.sockets.iter().any(|socket| match socket {
                Socket::Bound(local) => {
                    local.port() == flow.local().port() && local.is_ipv4() == flow.local().is_ipv4()
                }
                Socket::Unbound | Socket::Binding => false,
            })
    }
}

/// What the transport makes of what the resolver found.
pub(crate) fn target(found: sip_resolver::Target) -> Target {
    Target {
        protocol: found.protocol,
        address: found.address,
        name: Some(found.name),
    }
}

/// Where the system shall choose the address and the port to reach `server` from.
fn unspecified(server: SocketAddr) -> SocketAddr {
    match server {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    }
}

/// Which of the DNS client's connections this is, if it is one.
fn dns_stream(flow: &Flow) -> Option<DnsStreamId> {
    let id = flow.stream_id().filter(|id| !id.is_accepted())?;
    let is_ours = id.as_u64() & STREAMS != 0;
    is_ours.then(|| DnsStreamId::from_u64(id.as_u64() & !STREAMS))
}

/// Outside the numbers of sip-transport, which count from zero.
const TOKENS: [BindToken; 2] = [BindToken(1 << 63), BindToken((1 << 63) + 1)];

/// Marks the connections of the DNS client; those of sip-transport count from zero.
const STREAMS: u64 = 1 << 62;

/// What a listener may speak, UDP first (RFC 3263 §4.1).
const PROTOCOLS: [Protocol; 5] = [
    Protocol::Udp,
    Protocol::Tcp,
    Protocol::Tls,
    Protocol::Ws,
    Protocol::Wss,
];

/// Questions kept while the socket is being bound.
const WAITING: usize = 64;
