//! Names of servers: a resolver for each view, and our own DNS client where it is to answer the resolver's questions.

use ahash::RandomState;
use bytes::Bytes;
use sip_io::{BindToken, Flow, Protocol, Receive, Rng, StreamId, Transmit, earliest};
use sip_message::Uri;
use sip_resolver::{
    Answer, Cached, DnsClient, DnsConfig, DnsStream, DnsStreamId, Families, LookupError, LookupId,
    Query, Question, QuestionId, Resolver, ResolverConfig, Zone,
};
use sip_transport::{ListenerId, Target};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Instant,
};

/// Whom names are asked of: how a resolver works, and the DNS servers that it has asked.
///
/// An [`Endpoint`](crate::Endpoint) has one for everything, and may have others for
/// [single listeners](crate::Endpoint::listen_within), where a name means something else inside than outside.
///
/// ```
/// # use sip_endpoint::{View, Zone};
/// let inside = View::new().nameservers(["10.0.0.53:53".parse()?]).zone(Zone::new().address("pbx.example.com", [10, 0, 0, 7]));
/// # let _ = inside;
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct View {
    pub(crate) resolver: ResolverConfig,
    pub(crate) zone: Option<Zone>,
    pub(crate) dns: Option<DnsConfig>,
}

impl View {
    /// The defaults: nothing is known, and each question comes out as
    /// [`StackEvent::LookupNeeded`](crate::StackEvent::LookupNeeded).
    pub fn new() -> Self {
        Self::default()
    }

    /// How the resolver works: its cache, prefetching, old answers when the DNS is dead, telephone numbers. Defaults to
    /// [`ResolverConfig`]'s values. Of its transports and address families those are used that the listeners speak.
    #[must_use]
    pub fn resolver(mut self, resolver: ResolverConfig) -> Self {
        self.resolver = resolver;
        self
    }

    /// Names that are known without asking. Defaults to those of the resolver's configuration.
    #[must_use]
    pub fn zone(mut self, zone: Zone) -> Self {
        self.zone = Some(zone);
        self
    }

    /// The servers that our own DNS client asks. Defaults to none.
    #[must_use]
    pub fn nameservers(self, nameservers: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.dns(DnsConfig::new(nameservers))
    }

    /// The servers that our own DNS client asks, and how often. Defaults to none.
    #[must_use]
    pub fn dns(mut self, dns: DnsConfig) -> Self {
        self.dns = Some(dns).filter(|dns| !dns.servers().is_empty());
        self
    }
}

/// The resolver of each view, and who answers it. The first one is for everything that has none of its own.
#[derive(Debug)]
pub(crate) struct Names {
    views: Vec<Known>,
    /// Which view a listener has, if it is not the first
    listeners: HashMap<ListenerId, usize, RandomState>,
    /// Whether something has happened since there was no event: most of what an endpoint does concerns no name
    stirred: bool,
}

#[derive(Debug)]
struct Known {
    resolver: Resolver,
    /// What was configured, before the listeners were looked at
    families: Families,
    client: Option<Client>,
}

/// A place to send to, and what the resolver said beside.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    pub(crate) target: Target,
    /// The host behind it: the same one for each of its addresses
    pub(crate) server: String,
    /// What a telephone number has become
    pub(crate) uri: Option<Uri>,
}

/// The DNS client and its sockets: one for datagrams per address family, bound when the first question needs it, and a
/// connection for each answer that does not fit into one (RFC 7766 §5).
#[derive(Debug)]
struct Client {
    /// Which view it works for
    view: usize,
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
    pub(crate) fn new(view: View, rng: &mut Rng, now: Instant, hasher: RandomState) -> Self {
        let mut names = Self {
            views: Vec::new(),
            listeners: HashMap::with_hasher(hasher),
            stirred: true,
        };
        names.add(view, rng, now);
        names
    }

    fn add(&mut self, view: View, rng: &mut Rng, now: Instant) -> usize {
        let index = self.views.len();
        let mut config = view.resolver.ids_from((index as u64) << VIEW_BITS);
        if let Some(zone) = view.zone {
            config = config.zone(zone);
        }
        let resolver = Resolver::new(config, Rng::new(rng.seed()), now);
        let client = view.dns.map(|dns| Client {
            view: index,
            dns: DnsClient::new(dns, Rng::new(rng.seed()), now),
            sockets: [Socket::Unbound; 2],
            streams: BTreeMap::new(),
            out: VecDeque::new(),
            waiting: VecDeque::new(),
        });
        self.views.push(Known {
            families: resolver.families(),
            resolver,
            client,
        });
        index
    }

    /// Gives a listener a view of its own.
    pub(crate) fn add_for(
        &mut self,
        listener: ListenerId,
        view: View,
        rng: &mut Rng,
        now: Instant,
    ) {
        let index = self.add(view, rng, now);
        self.listeners.insert(listener, index);
    }

    /// The view of a listener; without one, that of everything.
    pub(crate) fn view_of(&self, listener: Option<ListenerId>) -> usize {
        let own = listener.and_then(|listener| self.listeners.get(&listener));
        own.copied().unwrap_or_default()
    }

    /// The target of a query that names an address: nothing has to be looked up for it.
    pub(crate) fn literal(&self, query: &Query) -> Option<Located> {
        let known = self.views.first()?;
        known.resolver.literal(query).map(located)
    }

    /// Whether a telephone number may lead somewhere.
    pub(crate) fn knows_numbers(&self) -> bool {
        self.views
            .iter()
            .any(|known| known.resolver.knows_numbers())
    }

    pub(crate) fn start(&mut self, now: Instant, view: usize, query: Query) -> LookupId {
        self.stirred = true;
        let view = view.min(self.views.len() - 1);
        self.views[view].resolver.start(now, query)
    }

    pub(crate) fn cancel(&mut self, id: LookupId) {
        if let Some(known) = self.whose(id.as_u64()) {
            known.resolver.cancel(id);
        }
    }

    pub(crate) fn provide_answer(
        &mut self,
        now: Instant,
        id: QuestionId,
        answer: Result<Answer, LookupError>,
    ) {
        if let Some(known) = self.whose(id.as_u64()) {
            known.resolver.provide_answer(now, id, answer);
        }
    }

    fn whose(&mut self, id: u64) -> Option<&mut Known> {
        self.stirred = true;
        self.views.get_mut((id >> VIEW_BITS) as usize)
    }

    pub(crate) fn flush(&mut self) {
        for known in &mut self.views {
            known.resolver.flush();
        }
    }

    pub(crate) fn flush_name(&mut self, name: &str) {
        for known in &mut self.views {
            known.resolver.flush_name(name);
        }
    }

    pub(crate) fn cached(&self, now: Instant) -> impl Iterator<Item = Cached> {
        self.views
            .iter()
            .flat_map(move |known| known.resolver.cached(now))
    }

    /// What is of use to listeners of these protocols at these addresses, and to who can connect over TLS if it is
    /// `secure`; without any, everything is.
    pub(crate) fn set_reach(&mut self, bound: &[(ListenerId, Protocol, SocketAddr)], secure: bool) {
        let over_tls =
            |protocol: Protocol| secure && protocol == Protocol::Tls && !bound.is_empty();
        let spoken = PROTOCOLS.into_iter().filter(|known| {
            over_tls(*known) || bound.iter().any(|(_, protocol, _)| protocol == known)
        });
        let spoken: Vec<Protocol> = spoken.collect();
        for (index, known) in self.views.iter_mut().enumerate() {
            let own = bound.iter().filter(|(listener, ..)| {
                self.listeners.get(listener).copied().unwrap_or_default() == index
            });
            let (mut v4, mut v6) = (false, false);
            for (_, _, local) in own {
                // A socket at `[::]` talks to both families.
                v4 |= local.is_ipv4() || local.ip() == Ipv6Addr::UNSPECIFIED;
                v6 |= local.is_ipv6();
            }
            known.resolver.set_families(match (v4, v6) {
                (true, false) => Families::V4,
                (false, true) => Families::V6,
                _ => known.families,
            });
            known.resolver.set_protocols(spoken.iter().copied());
        }
    }

    /// Whether it is for a DNS client.
    pub(crate) fn wants(&self, receive: &Receive) -> bool {
        let mut clients = self.views.iter().filter_map(|known| known.client.as_ref());
        clients.any(|client| client.wants(receive))
    }

    /// Takes in what [`wants`](Self::wants) has said to be for a DNS client.
    pub(crate) fn handle_receive(&mut self, now: Instant, receive: Receive) {
        let mut clients = self
            .views
            .iter_mut()
            .filter_map(|known| known.client.as_mut());
        if let Some(client) = clients.find(|client| client.wants(&receive)) {
            self.stirred = true;
            client.handle_receive(now, receive);
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.stirred = true;
        for known in &mut self.views {
            known.resolver.handle_timeout(now);
            if let Some(client) = &mut known.client {
                client.dns.handle_timeout(now);
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let of_each = self.views.iter().filter_map(|known| {
            let client = known.client.as_ref();
            earliest([
                known.resolver.poll_timeout(),
                client.and_then(|client| client.dns.poll_timeout()),
            ])
        });
        of_each.min()
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.views
            .iter_mut()
            .filter_map(|known| known.client.as_mut())
            .find_map(|client| client.out.pop_front())
    }

    /// Whether there may be events, or something to send.
    pub(crate) const fn is_stirred(&self) -> bool {
        self.stirred
    }

    /// The next event for the endpoint; with a DNS client questions are asked and answered inside.
    pub(crate) fn poll_event(&mut self, now: Instant) -> Option<NameEvent> {
        let event = self
            .views
            .iter_mut()
            .find_map(|known| known.poll_event(now));
        self.stirred = event.is_some();
        event
    }
}

impl Known {
    fn poll_event(&mut self, now: Instant) -> Option<NameEvent> {
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

    /// Whether it is for one of the client's sockets.
    fn wants(&self, receive: &Receive) -> bool {
        match receive {
            Receive::Bound { token, .. } => self.family_of(*token).is_some(),
            Receive::Datagram { flow, .. } => self.is_ours(flow),
            Receive::Failed { flow, .. } => self.is_ours(flow),
            Receive::Opened { flow }
            | Receive::Stream { flow, .. }
            | Receive::Closed { flow, .. } => self.stream_of(flow).is_some(),
            _ => false,
        }
    }

    /// Takes in what [`wants`](Self::wants) has said to be the client's.
    fn handle_receive(&mut self, now: Instant, receive: Receive) {
        match receive {
            Receive::Bound { token, result } => {
                let family = self.family_of(token).unwrap_or_default();
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
            }
            Receive::Datagram { flow, contents } => {
                self.dns.handle_datagram(now, flow.remote(), &contents);
                self.pump();
            }
            Receive::Opened { flow } => {
                let waiting = self
                    .stream_of(&flow)
                    .and_then(|stream| self.streams.get(&stream));
                self.out.push_back(match waiting {
                    Some((_, contents)) => Transmit::Stream {
                        flow,
                        contents: contents.clone(),
                    },
                    // It was given up before it was open.
                    None => Transmit::Close { flow },
                });
            }
            Receive::Stream { flow, contents } => {
                if let Some(stream) = self.stream_of(&flow) {
                    self.dns.handle_stream(now, stream, &contents);
                    self.pump();
                }
            }
            Receive::Closed { flow, .. } => {
                if let Some(stream) = self.stream_of(&flow) {
                    self.streams.remove(&stream);
                    self.dns.handle_stream_end(now, stream);
                    self.pump();
                }
            }
            // A lost question is asked again.
            _ => {}
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
                let number = stream.as_u64() & ((1 << VIEW_BITS) - 1);
                let id = StreamId::opened(STREAMS | ((self.view as u64) << VIEW_BITS) | number);
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
                    token: self.token(family),
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

    /// The number of the socket for a family.
    const fn token(&self, family: usize) -> BindToken {
        BindToken(TOKENS + 2 * self.view as u64 + family as u64)
    }

    fn family_of(&self, token: BindToken) -> Option<usize> {
        [0, 1]
            .into_iter()
            .find(|family| self.token(*family) == token)
    }

    /// Which of our connections this is, if it is one.
    fn stream_of(&self, flow: &Flow) -> Option<DnsStreamId> {
        let id = flow.stream_id().filter(|id| !id.is_accepted())?;
        let number = id.as_u64().checked_sub(STREAMS)?;
        let is_ours = number >> VIEW_BITS == self.view as u64;
        is_ours.then(|| DnsStreamId::from_u64(number & ((1 << VIEW_BITS) - 1)))
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

/// What the endpoint makes of what the resolver found.
pub(crate) fn located(found: sip_resolver::Target) -> Located {
    Located {
        target: Target {
            protocol: found.protocol,
            address: found.address,
            name: Some(found.name),
        },
        server: found.server,
        uri: found.uri,
    }
}

/// Where the system shall choose the address and the port to reach `server` from.
fn unspecified(server: SocketAddr) -> SocketAddr {
    match server {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    }
}

/// Outside the numbers of sip-transport, which count from zero: two for each view.
const TOKENS: u64 = 1 << 63;

/// Marks the connections of the DNS clients; those of sip-transport count from zero.
const STREAMS: u64 = 1 << 62;

/// Above these bits a number says which view it belongs to.
const VIEW_BITS: u32 = 48;

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
