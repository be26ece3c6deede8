//! Connections: opening, shaking hands, open, idle.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use ahash::RandomState;
use bytes::Bytes;

use crate::{
    alias::Aliases,
    config::TransportConfig,
    event::{CloseReason, HandshakeFailure},
    listener::ListenerId,
    preface::Preface,
    sharding::Sharding,
    sources::{Source, Sources},
    stream::Stream,
    tls::TlsLayer,
};
use sip_io::{Flow, Protocol, StreamId, TimerId, TimerQueue};

/// Every stream connection, and which of them we opened to whom.
///
/// Only connections that we opened are found by address. One that a peer opened is reused by whoever holds its flow,
/// never because a message names its address: anyone can write one. Only who has proved by certificate who it is, and asks
/// for it, is found by the address that it names (RFC 5923).
pub(crate) struct Connections {
    table: HashMap<StreamId, Connection, RandomState>,
    opened: HashMap<Peer, StreamId, RandomState>,
    sources: Sources,
    aliases: Aliases,
    /// Where the secure ones of `opened` lead
    places: Aliases,
    timers: TimerQueue<StreamId>,
    next: u64,
}

/// Whom a connection was opened to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Peer {
    pub(crate) protocol: Protocol,
    pub(crate) address: SocketAddr,
    /// The name that the peer has proved, where the protocol has it proved
    pub(crate) name: Option<String>,
    /// Which of our identities and whose trust that was
    pub(crate) trust: u32,
}

/// One connection.
pub(crate) struct Connection {
    pub(crate) flow: Flow,
    /// The listener that accepted it, or that speaks for us on it
    pub(crate) listener: Option<ListenerId>,
    pub(crate) stream: Stream,
    /// What comes before the first layer, as long as it is not complete
    pub(crate) preface: Option<Preface>,
    /// Whether the answer to a keep-alive is waited for
    pub(crate) pinged: bool,
    /// The other shards that have used it: a set
    pub(crate) users: u64,
    peer: Option<Peer>,
    /// As whose it is counted
    source: Option<Source>,
    /// The address that it stands for, though the peer opened it (RFC 5923)
    alias: Option<SocketAddr>,
    state: State,
    /// When something was last sent or received
    active: Instant,
    /// When something was last received
    heard: Instant,
    /// How often the peer has promised to say something
    expected: Option<Duration>,
    /// How long it may be idle at least, because we shall say something
    patience: Duration,
    /// When it looks next at how things stand
    timer: Option<(TimerId, Instant)>,
}

enum State {
    /// The connection is asked for
    Opening { since: Instant, waiting: Waiting },
    /// It is open, and the handshakes of its layers are not over
    Shaking { since: Instant, waiting: Waiting },
    /// Messages travel; since when its peer, who opened it, has not said any yet
    Open { unheard: Option<Instant> },
}

/// Messages that wait until they can travel, `queued` bytes altogether.
#[derive(Default)]
struct Waiting {
    messages: Vec<Bytes>,
    queued: usize,
}

impl Connection {
    /// Whether messages cannot travel yet.
    pub(crate) const fn is_opening(&self) -> bool {
        !matches!(self.state, State::Open { .. })
    }

    /// Whether it is known to our user: as one that we opened, or since messages travel.
    pub(crate) const fn is_told(&self) -> bool {
        self.peer.is_some() || !self.is_opening()
    }

    /// The peer has said something whole.
    pub(crate) const fn has_spoken(&mut self) {
        if let State::Open { unheard } = &mut self.state {
            *unheard = None;
        }
    }

    /// Asks for a sign of life at least so often, or no more.
    pub(crate) const fn expect(&mut self, now: Instant, within: Option<Duration>) {
        self.heard = now;
        self.expected = within;
    }

    /// Does not take it for idle before it has been so for so long.
    pub(crate) const fn bear(&mut self, silence: Duration) {
        self.patience = silence;
    }
}

impl Connections {
    pub(crate) fn new(hasher: RandomState, now: Instant) -> Self {
        Self {
            table: HashMap::with_hasher(hasher.clone()),
            opened: HashMap::with_hasher(hasher.clone()),
            sources: Sources::new(hasher.clone()),
            aliases: Aliases::new(hasher.clone()),
            places: Aliases::new(hasher),
            timers: TimerQueue::new(now),
            next: 0,
        }
    }

    /// Takes in a connection that a peer has opened; [`begin`](Self::begin) follows.
    pub(crate) fn accept(
        &mut self,
        now: Instant,
        flow: Flow,
        id: StreamId,
        listener: Option<ListenerId>,
        stream: Stream,
        preface: Option<Preface>,
    ) {
        let waiting = Waiting::default();
        let connection = Connection {
            flow,
            listener,
            stream,
            preface,
            pinged: false,
            users: 0,
            peer: None,
            source: None,
            alias: None,
            state: State::Shaking {
                since: now,
                waiting,
            },
            active: now,
            heard: now,
            expected: None,
            patience: Duration::ZERO,
            timer: None,
        };
        self.table.insert(id, connection);
    }

    /// Counts a connection as one from its peer's address; not if that has as many as it may.
    pub(crate) fn admit(&mut self, id: StreamId, config: &TransportConfig) -> bool {
        let Some(connection) = self.table.get_mut(&id) else {
            return false;
        };
        let address = connection.flow.remote().ip().to_canonical();
        // A proxy's connection counts as its client's, as soon as it has said whose that is.
        if connection.source.is_some() || connection.stream.is_to_be_introduced() {
            return true;
        }
        if config.unlimited_sources.contains(&address) {
            return true;
        }
        let source = Source::from(address);
        let admitted = self.sources.admit(source, config.connections_per_source);
        if admitted {
            connection.source = Some(source);
        }
        admitted
    }

    /// The connection that we opened to `peer`, or are opening.
    pub(crate) fn find(&self, peer: &Peer) -> Option<Flow> {
        let id = self.opened.get(peer)?;
        self.table.get(id).map(|connection| connection.flow)
    }

    /// A secure connection that we opened to this address, whatever name its peer has proved.
    pub(crate) fn find_place(
        &self,
        protocol: Protocol,
        address: SocketAddr,
        trust: u32,
    ) -> Option<Flow> {
        let mut places = self.places.at(address);
        places.find_map(|id| {
            let connection = self.table.get(&id)?;
            let peer = connection.peer.as_ref()?;
            let fits = !connection.is_opening() && peer.protocol == protocol && peer.trust == trust;
            fits.then_some(connection.flow)
        })
    }

    /// The connection that `peer` opened to us and wants to be reached on (RFC 5923 §8.2), if it is whom we want.
    pub(crate) fn find_alias(&self, peer: &Peer) -> Option<Flow> {
        let mut aliases = self.aliases.at(peer.address);
        aliases.find_map(|id| {
            let connection = self.table.get(&id)?;
            let tls = connection.stream.tls.as_ref()?;
            let fits = connection.flow.protocol() == peer.protocol
                && tls.trust() == peer.trust
                && tls.speaks_for(peer.name.as_deref(), peer.address.ip());
            fits.then_some(connection.flow)
        })
    }

    /// Lets a connection that a peer opened stand for an address, once and for all.
    pub(crate) fn alias(&mut self, id: StreamId, address: SocketAddr) {
        let Some(connection) = self.table.get_mut(&id) else {
            return;
        };
        let proved = |tls: &TlsLayer| tls.knows_peer();
        if connection.alias.is_none() && connection.stream.tls.as_deref().is_some_and(proved) {
            connection.alias = self.aliases.insert(address, id).then_some(address);
        }
    }

    /// Begins to open a connection.
    pub(crate) fn open(
        &mut self,
        now: Instant,
        peer: Peer,
        local: SocketAddr,
        listener: Option<ListenerId>,
        stream: Stream,
        config: &TransportConfig,
    ) -> Flow {
        let shard = config.shard().map(Sharding::me).unwrap_or_default();
        let id = StreamId::opened(self.next).of_shard(shard);
        self.next += 1;
        let flow = Flow::stream(peer.protocol, id, local, peer.address);
        self.opened.insert(peer.clone(), id);
        if peer.protocol.is_secure() {
            self.places.insert(peer.address, id);
        }
        let waiting = Waiting::default();
        let connection = Connection {
            flow,
            listener,
            stream,
            preface: None,
            pinged: false,
            users: 0,
            peer: Some(peer),
            source: None,
            alias: None,
            state: State::Opening {
                since: now,
                waiting,
            },
            active: now,
            heard: now,
            expected: None,
            patience: Duration::ZERO,
            timer: None,
        };
        self.table.insert(id, connection);
        self.rearm(id, config);
        flow
    }

    /// A connection that we asked for is open, or one that a peer asked for: handshakes begin.
    pub(crate) fn begin(&mut self, now: Instant, id: StreamId, local: SocketAddr) -> bool {
        let Some(connection) = self.table.get_mut(&id) else {
            return false;
        };
        connection.flow = connection.flow.with_local(local);
        connection.active = now;
        if let State::Opening { waiting, .. } = &mut connection.state {
            connection.state = State::Shaking {
                since: now,
                waiting: std::mem::take(waiting),
            };
        }
        connection.stream.open(now);
        true
    }

    /// If the handshakes have just ended: the messages that waited for that.
    pub(crate) fn establish(&mut self, now: Instant, id: StreamId) -> Option<(Flow, Vec<Bytes>)> {
        let connection = self.table.get_mut(&id)?;
        let State::Shaking { waiting, .. } = &mut connection.state else {
            return None;
        };
        if !connection.stream.is_established() {
            return None;
        }
        let waiting = std::mem::take(&mut waiting.messages);
        if let Some(address) = connection.stream.address() {
            let port = connection.flow.remote().port();
            connection.flow = connection.flow.with_remote(SocketAddr::new(address, port));
        }
        // Who has asked for a WebSocket has said something.
        let silent = id.is_accepted() && !connection.stream.is_asked_for();
        connection.state = State::Open {
            unheard: silent.then_some(now),
        };
        connection.active = now;
        Some((connection.flow, waiting))
    }

    /// Writes a message: answers its bytes if it can go now.
    pub(crate) fn write(
        &mut self,
        now: Instant,
        id: StreamId,
        message: Bytes,
        config: &TransportConfig,
    ) -> Write {
        let Some(connection) = self.table.get_mut(&id) else {
            return Write::Gone;
        };
        match &mut connection.state {
            State::Open { .. } => {
                connection.active = now;
                let contents = connection.stream.write(message);
                Write::Now(connection.flow, contents)
            }
            State::Opening { waiting, .. } | State::Shaking { waiting, .. } => {
                if waiting.queued.saturating_add(message.len()) > config.write_queue {
                    return Write::Full;
                }
                waiting.queued += message.len();
                waiting.messages.push(message);
                Write::Queued
            }
        }
    }

    /// The connection, to feed it with what came; `None` unless it is open below.
    pub(crate) fn reading(&mut self, now: Instant, id: StreamId) -> Option<&mut Connection> {
        let connection = self.table.get_mut(&id)?;
        connection.active = now;
        connection.heard = now;
        (!matches!(connection.state, State::Opening { .. })).then_some(connection)
    }

    /// What the layers of a connection have to tell the peer.
    pub(crate) fn output(&mut self, id: StreamId) -> Option<(Flow, Bytes)> {
        let connection = self.table.get_mut(&id)?;
        Some((connection.flow, connection.stream.output()?))
    }

    /// Sets the connection's timer to what its state asks for, if that is earlier than what is set.
    pub(crate) fn rearm(&mut self, id: StreamId, config: &TransportConfig) {
        let Some(connection) = self.table.get_mut(&id) else {
            return;
        };
        let (deadline, _) = connection.deadline(config);
        let wake = connection.stream.wake();
        let deadline = wake.map_or(deadline, |wake| wake.min(deadline));
        match connection.timer {
            Some((_, armed)) if armed <= deadline => return,
            Some((timer, _)) => drop(self.timers.cancel(timer)),
            None => {}
        }
        connection.timer = Some((self.timers.insert(deadline, id), deadline));
    }

    /// Forgets a connection.
    pub(crate) fn remove(&mut self, id: StreamId) -> Option<Connection> {
        let connection = self.table.remove(&id)?;
        if let Some((timer, _)) = connection.timer {
            self.timers.cancel(timer);
        }
        if let Some(source) = connection.source {
            self.sources.release(source);
        }
        if let Some(address) = connection.alias {
            self.aliases.remove(address, id);
        }
        if let Some(peer) = &connection.peer {
            self.places.remove(peer.address, id);
        }
        if let Some(peer) = &connection.peer
            && self.opened.get(peer) == Some(&id)
        {
            self.opened.remove(peer);
        }
        Some(connection)
    }

    /// The next connection whose time has come.
    ///
    /// Activity does not touch timers: one that fires finds out how long there has been none, and is set anew.
    pub(crate) fn expire(&mut self, now: Instant, config: &TransportConfig) -> Option<Expired> {
        while let Some(id) = self.timers.pop(now) {
            let Some(connection) = self.table.get_mut(&id) else {
                continue;
            };
            connection.timer = None;
            let (deadline, reason) = connection.deadline(config);
            if deadline <= now {
                return self
                    .remove(id)
                    .map(|gone| Expired::Over(Box::new(gone), reason));
            }
            connection.stream.keep_alive(now);
            let said = connection.stream.output();
            let flow = connection.flow;
            self.rearm(id, config);
            if let Some(contents) = said {
                return Some(Expired::Speaks(flow, contents));
            }
        }
        None
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    pub(crate) fn get_mut(&mut self, id: StreamId) -> Option<&mut Connection> {
        self.table.get_mut(&id)
    }

    pub(crate) fn flows(&self) -> impl Iterator<Item = Flow> {
        self.table.values().map(|connection| connection.flow)
    }

    pub(crate) fn get(&self, id: StreamId) -> Option<&Connection> {
        self.table.get(&id)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = StreamId> {
        self.table.keys().copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }
}

impl Connection {
    /// Until when what is under way must have happened, and what it means if it has not.
    fn deadline(&self, config: &TransportConfig) -> (Instant, CloseReason) {
        let unheard = match self.state {
            State::Opening { since, .. } => {
                let reason = CloseReason::Refused(io::ErrorKind::TimedOut);
                return (since + config.open_timeout, reason);
            }
            State::Shaking { since, .. } => {
                let reason = CloseReason::Handshake(HandshakeFailure::TimedOut);
                return (since + config.handshake_timeout, reason);
            }
            State::Open { unheard } => unheard,
        };
        let expected = self
            .expected
            .map(|within| (self.heard + within, CloseReason::Silent));
        // What the two have agreed upon is not too long.
        let agreed = self
            .expected
            .map_or(self.patience, |within| within.max(self.patience));
        let idle = self.active + config.idle_timeout.max(agreed);
        let idle = Some((idle, CloseReason::Idle));
        let begun = self.stream.begun();
        let mute = unheard.filter(|_| begun.is_none());
        let mute = mute.map(|since| (since + config.first_message_timeout, CloseReason::Mute));
        let slow = begun.map(|begun| (begun + config.message_timeout, CloseReason::TooSlow));
        let silent = self.stream.silent();
        let silent = silent.map(|deadline| (deadline, CloseReason::Silent));
        let first = [slow, silent, mute, expected, idle].into_iter().flatten();
        first
            .min_by_key(|(deadline, _)| *deadline)
            .expect("there is a limit to being idle")
    }
}

/// What a connection's time means.
pub(crate) enum Expired {
    /// It is over and already forgotten, for this reason
    Over(Box<Connection>, CloseReason),
    /// Its layers have this to say
    Speaks(Flow, Bytes),
}

/// What became of a message.
pub(crate) enum Write {
    /// These bytes go now
    Now(Flow, Bytes),
    /// It goes when the connection is open
    Queued,
    /// It does not fit
    Full,
    /// There is no such connection
    Gone,
}
