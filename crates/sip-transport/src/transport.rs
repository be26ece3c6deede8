//! The layer: listeners, connections and what travels between them and the user.
//!
//! Commands and questions stand here; [`inbound`] is what the network says.

mod inbound;
mod layers;
mod sent_by;
mod shards;

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use ahash::RandomState;
use bytes::Bytes;

use crate::{
    address::Addresses,
    config::TransportConfig,
    connections::{Connection, Connections, Expired, Peer, Write},
    engines::Engines,
    event::{CloseReason, Event, FlowError, SendError, Target},
    listener::{Listener, ListenerId},
    rate::Rate,
    sharding::Adopted,
    stats::Stats,
    via::{self, ResponseRoute, return_flow},
};
use sip_io::{
    BindToken, FailReason, Flow, Protocol, Receive, Rng, StateMachine, StreamId, Transmit,
};
use sip_message::{Host, Limits, headers::Via};

/// The transport layer of RFC 3261 §18.
///
/// It binds listeners, opens and accepts connections, finds messages in what comes, answers what is no proper message,
/// and says where a response goes and what we write about ourselves. As a [`StateMachine`] it has neither socket nor
/// clock.
///
/// ```
/// # use sip_io::{BindToken, Flow, Receive, Rng, StateMachine, Transmit};
/// # use sip_transport::{Event, Listener, Transport, TransportConfig};
/// # use std::time::Instant;
/// # let now = Instant::now();
/// let mut transport = Transport::new(TransportConfig::default(), Rng::new([7; 32]), now);
/// let listener = transport.listen(now, "udp:192.0.2.1:5060".parse()?);
/// let Some(Transmit::Bind { token, local, .. }) = transport.poll_transmit() else { panic!() };
/// transport.handle_receive(now, Receive::Bound { token, result: Ok(local) });
/// assert!(matches!(transport.poll_event(), Some(Event::Listening { .. })));
/// # Ok::<(), sip_transport::ListenerError>(())
/// ```
pub struct Transport {
    pub(crate) config: TransportConfig,
    limits: Limits,
    pub(crate) addresses: Addresses,
    next_listener: u32,
    pub(crate) connections: Connections,
    /// Connections of other shards, as far as they are known here
    foreign: HashMap<StreamId, Flow, RandomState>,
    adopted: Adopted,
    answers: Rate,
    log_lines: Rate,
    /// Whether no connection is read
    held: bool,
    transmits: VecDeque<Transmit>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) stats: Stats,
    pub(crate) engines: Engines,
}

impl Transport {
    /// A transport without listeners.
    pub fn new(config: TransportConfig, mut rng: Rng, now: Instant) -> Self {
        let hasher = RandomState::with_seeds(
            rng.next_u64(),
            rng.next_u64(),
            rng.next_u64(),
            rng.next_u64(),
        );
        Self {
            limits: Limits::default().message_size(config.message_size),
            addresses: Addresses::default(),
            next_listener: 0,
            connections: Connections::new(hasher.clone(), now),
            foreign: HashMap::with_hasher(hasher),
            adopted: Adopted::default(),
            answers: Rate::new(config.answers, now),
            log_lines: Rate::new(config.log_lines, now),
            held: false,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            stats: Stats::default(),
            engines: Engines::new(config.clock, config.tls.clone(), now),
            config,
        }
    }

    /// Binds a listener; [`Event::Listening`] or [`Event::ListenFailed`] tells how it went.
    ///
    /// One for a protocol that is not spoken here fails as [`Unsupported`](std::io::ErrorKind::Unsupported).
    pub fn listen(&mut self, now: Instant, listener: Listener) -> ListenerId {
        let id = ListenerId(self.next_listener);
        self.next_listener += 1;
        if !self.accepts(&listener) {
            self.events.push_back(Event::ListenFailed {
                listener: id,
                reason: io::ErrorKind::Unsupported,
            });
            return id;
        }
        let (token, protocol, local) = (token(id), listener.protocol(), listener.local());
        self.transmits.push_back(match self.config.sharding {
            None => Transmit::Bind {
                token,
                protocol,
                local,
            },
            Some(_) => Transmit::BindShared {
                token,
                protocol,
                local,
            },
        });
        if let Some(own) = listener.own_tls() {
            self.engines.set_own(now, id, Arc::clone(own));
        }
        self.addresses.add(id, listener);
        id
    }

    /// Closes a listener. Connections that it accepted stay.
    pub fn unlisten(&mut self, id: ListenerId) {
        if self.addresses.remove(id) {
            self.engines.remove(id);
            self.transmits
                .push_back(Transmit::Release { token: token(id) });
        }
    }

    /// Finds or makes a flow to a target.
    ///
    /// For datagrams that is a matter of choosing the listener and local address that face the target. For streams it
    /// is a connection that we opened there before, or a new one that is being opened: what is sent meanwhile waits,
    /// and [`Event::Closed`] tells when it fails. A connection that the peer opened is never chosen by its address, but
    /// for one over TLS whose peer has proved to be the target's name and asked for it (RFC 5923).
    pub fn flow_to(&mut self, now: Instant, target: &Target) -> Result<Flow, FlowError> {
        let Target {
            protocol, address, ..
        } = *target;
        // RFC 3261 §18.1.1 allows a request to many; an answer from each of them is what a flood is made of.
        if address.ip().to_canonical().is_multicast() {
            let address = address.ip();
            return Err(FlowError::Multicast { address });
        }
        match protocol {
            Protocol::Udp => match self.addresses.facing(protocol, address.ip()) {
                Some((_, local)) => Ok(Flow::udp(local, address)),
                None => Err(FlowError::NoListener {
                    protocol,
                    address: address.ip(),
                }),
            },
            _ => self.connect(now, target, self.speaker(target)),
        }
    }

    /// The same for who wants a certain listener to speak for us: with its own TLS, if it has one.
    ///
    /// # Errors
    /// Also if the listener is another protocol's, or has gone.
    pub fn flow_to_by(
        &mut self,
        now: Instant,
        target: &Target,
        listener: ListenerId,
    ) -> Result<Flow, FlowError> {
        let Target {
            protocol, address, ..
        } = *target;
        let own = self.addresses.iter().find(|(id, ..)| *id == listener);
        match own {
            Some((_, found, _)) if found.protocol() == protocol && protocol.is_stream() => {
                self.connect(now, target, Some(listener))
            }
            _ => Err(FlowError::NoListener {
                protocol,
                address: address.ip(),
            }),
        }
    }

    /// The listener that speaks for us where a target is.
    fn speaker(&self, target: &Target) -> Option<ListenerId> {
        let facing = self.addresses.facing(target.protocol, target.address.ip());
        facing.map(|(id, _)| id)
    }

    /// The secure connection of ours on which a request within a dialog goes to a target that is named by its address.
    ///
    /// Contacts and Record-Routes name addresses, and certificates names. A dialog's peer has proved one when the
    /// connection was opened, and who is at the address is still who it was; outside dialogs an address has to be
    /// proved like a name.
    pub fn flow_within_dialog(&self, target: &Target) -> Option<Flow> {
        let Target {
            protocol,
            address,
            name,
        } = target;
        let is_address = |name: &String| Host::parse(name).is_ok_and(|host| host.is_ip());
        if !protocol.is_secure() || !name.as_ref().is_none_or(is_address) {
            return None;
        }
        let trust = self.engines.trust(*protocol, self.speaker(target));
        self.connections.find_place(*protocol, *address, trust)
    }

    /// Whether connections can be opened, or datagrams sent, over `protocol`.
    pub fn speaks(&self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::Udp => self
                .addresses
                .iter()
                .any(|(_, listener, _)| listener.protocol() == protocol),
            _ => !protocol.is_secure() || !self.engines.is_empty(),
        }
    }

    fn connect(
        &mut self,
        now: Instant,
        target: &Target,
        listener: Option<ListenerId>,
    ) -> Result<Flow, FlowError> {
        let peer = Peer {
            protocol: target.protocol,
            address: target.address,
            // Without TLS no peer can prove a name, so one connection serves all of them.
            name: target
                .name
                .clone()
                .filter(|_| target.protocol.is_secure())
                .map(|name| name.trim_end_matches('.').to_ascii_lowercase()),
            trust: self.engines.trust(target.protocol, listener),
        };
        let alias = || self.connections.find_alias(&peer);
        // RFC 7118 §5.2, §8.2: `sip` with `transport=ws` is written for secure ones as well, and who writes it asks for
        // no proof, so the secure connection to that address serves.
        let secured = || match peer.protocol {
            Protocol::Ws => {
                let secure = self.addresses.facing(Protocol::Wss, peer.address.ip());
                let trust = self.engines.trust(Protocol::Wss, secure.map(|(id, _)| id));
                self.connections
                    .find_place(Protocol::Wss, peer.address, trust)
            }
            _ => None,
        };
        let existing = self.connections.find(&peer);
        if let Some(flow) = existing.or_else(alias).or_else(secured) {
            return Ok(flow);
        }
        if self.connections.len() >= self.config.connections {
            let limit = self.config.connections;
            return Err(FlowError::TooManyConnections { limit });
        }
        let stream = self.opened_stream(now, target, listener)?;
        let local = unspecified(peer.address);
        let flow = self
            .connections
            .open(now, peer, local, listener, stream, &self.config);
        self.transmits.push_back(Transmit::Open { flow });
        Ok(flow)
    }

    /// Sends a message.
    pub fn send(&mut self, now: Instant, flow: &Flow, mut message: Bytes) -> Result<(), SendError> {
        self.send_or_leave(now, flow, &mut message)
    }

    /// As [`send`](Self::send), but a message that is not sent stays with the caller, who may know another way.
    pub fn send_or_leave(
        &mut self,
        now: Instant,
        flow: &Flow,
        message: &mut Bytes,
    ) -> Result<(), SendError> {
        let length = message.len();
        let Some(id) = flow.stream_id() else {
            if length > LONGEST_DATAGRAM {
                let limit = LONGEST_DATAGRAM;
                return Err(SendError::TooLong { length, limit });
            }
            if !self.is_open(flow) {
                return Err(SendError::Gone);
            }
            self.send_datagram(*flow, std::mem::take(message));
            self.stats.of(flow.protocol()).messages_out += 1;
            return Ok(());
        };
        if !self.foreign.is_empty()
            && let Some(flow) = self.foreign.get(&id)
        {
            return self.send_elsewhere(*flow, message.clone());
        }
        match self
            .connections
            .write(now, id, message.clone(), &self.config)
        {
            Write::Now(flow, message) => self.send_bytes(flow, message),
            Write::Queued => {}
            Write::Full => {
                self.stats.queue_full += 1;
                let limit = self.config.write_queue;
                return Err(SendError::QueueFull { limit });
            }
            Write::Gone => return Err(SendError::Gone),
        }
        self.stats.of(flow.protocol()).messages_out += 1;
        Ok(())
    }

    /// Asks the peer of a connection for a sign of life: a double CRLF (RFC 5626 §4.4.1), which [`Event::Pong`] answers.
    pub fn ping(&mut self, now: Instant, flow: &Flow) -> Result<(), SendError> {
        let id = flow.stream_id().ok_or(SendError::Gone)?;
        self.send(now, flow, Bytes::from_static(b"\r\n\r\n"))?;
        if let Some(connection) = self.connections.get_mut(id) {
            connection.pinged = true;
        }
        Ok(())
    }

    /// Asks that the peer of a connection says something at least so often, as one does that was told a Flow-Timer
    /// (RFC 5626 §5.4), or with `None` no more. One that does not is closed as [`CloseReason::Silent`].
    pub fn expect_keep_alives(&mut self, now: Instant, flow: &Flow, within: Option<Duration>) {
        self.expect_elsewhere(flow, within);
        if let Some(id) = flow.stream_id()
            && let Some(connection) = self.connections.get_mut(id)
        {
            connection.expect(now, within);
            self.connections.rearm(id, &self.config);
        }
    }

    /// Does not close a connection as [`CloseReason::Idle`] before it has been idle for so long, whatever
    /// [`TransportConfig::idle_timeout`] says: for who asks its peer for signs of life that often, and no more often.
    pub fn bear_silence(&mut self, flow: &Flow, silence: Duration) {
        let connection = flow.stream_id().and_then(|id| self.connections.get_mut(id));
        if let Some(connection) = connection {
            connection.bear(silence);
        }
    }

    /// Gives up a connection whose peer gives no sign of life; [`Event::Closed`] follows.
    pub fn give_up(&mut self, flow: &Flow) {
        self.close_elsewhere(flow);
        let own = flow
            .stream_id()
            .filter(|_| self.owner_elsewhere(flow).is_none());
        if let Some(id) = own.filter(|_| self.is_open(flow)) {
            self.stats.closed_silent += 1;
            self.end(id, CloseReason::Silent);
        }
    }

    /// Stops reading from every connection, or goes on: for a user that has no room for what comes. Datagrams go on
    /// coming, for those who send them can bear their loss.
    #[inline]
    pub fn hold(&mut self, hold: bool) {
        if self.held != hold {
            self.set_held(hold);
        }
    }

    fn set_held(&mut self, hold: bool) {
        self.held = hold;
        for flow in self.connections.flows() {
            self.transmits.push_back(if hold {
                Transmit::Pause { flow }
            } else {
                Transmit::Resume { flow }
            });
        }
    }

    /// Closes a connection, after what was written to it. [`Event::Closed`] does not follow.
    pub fn close(&mut self, flow: &Flow) {
        if let Some(mut gone) = flow.stream_id().and_then(|id| self.connections.remove(id)) {
            self.hang_up(&mut gone);
        }
    }

    /// Closes every listener and every connection.
    pub fn shutdown(&mut self) {
        self.foreign.clear();
        for id in self.addresses.ids().collect::<Vec<_>>() {
            self.unlisten(id);
        }
        for id in self.connections.ids().collect::<Vec<_>>() {
            if let Some(mut gone) = self.connections.remove(id) {
                self.hang_up(&mut gone);
            }
        }
    }

    /// Whether something can be sent on the flow: its socket is bound, its connection open or being opened.
    pub fn is_open(&self, flow: &Flow) -> bool {
        match flow.stream_id() {
            Some(id) => self.connections.get(id).is_some() || self.foreign.contains_key(&id),
            // Without any listener the sockets are those of whoever drives the machine.
            None => self.listener_of(flow).is_some() || self.addresses.ids().next().is_none(),
        }
    }

    /// Whether the flow is a connection of ours that is being opened; what is sent on it waits.
    pub fn is_connecting(&self, flow: &Flow) -> bool {
        let connection = flow.stream_id().and_then(|id| self.connections.get(id));
        connection.is_some_and(Connection::is_opening)
    }

    /// Whether the peer of a flow could open another connection to us: a listener of ours speaks its protocol and faces
    /// it.
    pub fn is_reachable(&self, flow: &Flow) -> bool {
        let facing = self.addresses.facing(flow.protocol(), flow.remote().ip());
        facing.is_some()
    }

    /// Every listener, with the address it is bound to once it is.
    pub fn listeners(&self) -> impl Iterator<Item = (ListenerId, &Listener, Option<SocketAddr>)> {
        self.addresses.iter()
    }

    /// The listener that a flow belongs to: whose socket it uses, that accepted it, or that speaks for us on it.
    pub fn listener_of(&self, flow: &Flow) -> Option<ListenerId> {
        match flow.stream_id() {
            Some(id) => match self.connections.get(id) {
                Some(connection) => connection.listener,
                None => self.listener_elsewhere(id),
            },
            None => self.addresses.listener_at(flow.protocol(), flow.local()),
        }
    }

    /// Where the response to a request goes that came on `source` with this top Via (RFC 3261 §18.2.2, RFC 3581 §4).
    pub fn route_response(&self, source: &Flow, top_via: &Via) -> ResponseRoute {
        if source.is_stream() && !self.is_open(source) {
            return via::reconnect(source, top_via);
        }
        match top_via.maddr() {
            Some(Host::Name(_)) if !source.is_stream() => via::resolve(source, top_via),
            _ => ResponseRoute::Flow(return_flow(source, top_via)),
        }
    }

    /// Where it goes when the way of [`route_response`](Self::route_response) has failed (RFC 3263 §5).
    pub fn reroute_response(&self, source: &Flow, top_via: &Via) -> ResponseRoute {
        via::resolve(source, top_via)
    }

    /// What was counted so far.
    pub fn stats(&self) -> Stats {
        Stats {
            connections: self.connections.len() as u64,
            adopted: self.adopted.len() as u64,
            ..self.stats
        }
    }
}

impl StateMachine for Transport {
    type Event = Event;

    fn handle_receive(&mut self, now: Instant, receive: Receive) {
        match receive {
            Receive::Datagram { flow, contents } => self.receive_datagram(now, flow, contents),
            Receive::Stream { flow, contents } => {
                if let Some(id) = flow.stream_id() {
                    self.receive_bytes(now, id, contents);
                }
            }
            Receive::Opened { flow } => {
                if let Some(id) = flow.stream_id() {
                    self.receive_opened(now, flow, id);
                }
            }
            Receive::Closed { flow, reason } => {
                if let Some(id) = flow.stream_id() {
                    self.receive_closed(id, reason.into());
                }
            }
            // Nobody is unreachable by that: what matters is sent again.
            Receive::Failed {
                reason: FailReason::NoRoom,
                ..
            } => self.stats.datagrams_dropped += 1,
            Receive::Failed { flow, reason } => {
                self.tell_failed(flow, reason);
                self.receive_failed(flow, reason);
            }
            Receive::Steered { from, parcel } => self.receive_steered(now, from, *parcel),
            Receive::Unsteered { parcel, .. } => self.receive_unsteered(*parcel),
            Receive::Bound { token, result } => {
                if let Ok(id) = u32::try_from(token.0) {
                    self.receive_bound(ListenerId(id), result);
                }
                // Who starts a server is told at once, not when somebody connects.
                self.look_at_certificates(now);
            }
            Receive::Network { addresses } => self.receive_network(addresses),
            _ => {}
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        while let Some(expired) = self.connections.expire(now, &self.config) {
            let (mut gone, reason) = match expired {
                Expired::Over(gone, reason) => (gone, reason),
                Expired::Speaks(flow, contents) => {
                    self.send_bytes(flow, contents);
                    continue;
                }
            };
            match reason {
                CloseReason::Handshake(_) => {
                    gone.stream.time_out();
                    self.stats.handshakes_failed += 1;
                }
                CloseReason::Idle => self.stats.closed_idle += 1,
                CloseReason::TooSlow => self.stats.closed_slow += 1,
                CloseReason::Silent => self.stats.closed_silent += 1,
                CloseReason::Mute => self.stats.closed_mute += 1,
                _ => self.stats.connections_failed += 1,
            }
            self.hang_up(&mut gone);
            self.tell_closed(&gone, reason);
        }
        self.look_at_certificates(now);
    }

    #[inline]
    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    #[inline]
    fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.connections.next_timeout()
    }
}

fn token(id: ListenerId) -> BindToken {
    BindToken(u64::from(id.0))
}

/// A local address of the right family that leaves the choice to the system.
const fn unspecified(remote: SocketAddr) -> SocketAddr {
    let any = match remote {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    SocketAddr::new(any, 0)
}

/// The most that a UDP datagram carries over IPv4; RFC 3261 §18.1.1 counts the headers below in.
const LONGEST_DATAGRAM: usize = 65_507;
