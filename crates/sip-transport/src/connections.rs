//! Connections: opening, open, idle.

use std::{collections::HashMap, io, net::SocketAddr, time::Instant};

use ahash::RandomState;
use bytes::Bytes;

use crate::{config::TransportConfig, event::CloseReason, listener::ListenerId, stream::Stream};
use sip_io::{Flow, Protocol, StreamId, TimerId, TimerQueue};
use sip_message::Limits;

/// Every stream connection, and which of them we opened to whom.
///
/// Only connections that we opened are found by address. One that a peer opened is reused by whoever holds its flow,
/// never because a message names its address: anyone can write one.
pub(crate) struct Connections {
    table: HashMap<StreamId, Connection, RandomState>,
    opened: HashMap<Peer, StreamId, RandomState>,
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
}

/// One connection.
pub(crate) struct Connection {
    pub(crate) flow: Flow,
    /// The listener that accepted it, or that speaks for us on it
    pub(crate) listener: Option<ListenerId>,
    pub(crate) stream: Stream,
    peer: Option<Peer>,
    state: State,
    /// When something was last sent or received
    active: Instant,
    /// When it looks next at how things stand
    timer: Option<(TimerId, Instant)>,
}

enum State {
    /// These messages wait until it is open, `queued` bytes altogether
    Opening {
        since: Instant,
        waiting: Vec<Bytes>,
        queued: usize,
    },
    Open,
}

impl Connection {
    pub(crate) const fn is_opening(&self) -> bool {
        matches!(self.state, State::Opening { .. })
    }
}

impl Connections {
    pub(crate) fn new(hasher: RandomState, now: Instant) -> Self {
        Self {
            table: HashMap::with_hasher(hasher.clone()),
            opened: HashMap::with_hasher(hasher),
            timers: TimerQueue::new(now),
            next: 0,
        }
    }

    /// Takes in a connection that a peer has opened.
    pub(crate) fn accept(
        &mut self,
        now: Instant,
        flow: Flow,
        id: StreamId,
        listener: Option<ListenerId>,
        config: &TransportConfig,
    ) {
        self.insert(now, id, flow, listener, None, State::Open, config);
    }

    /// The connection that we opened to `peer`, or are opening.
    pub(crate) fn find(&self, peer: &Peer) -> Option<Flow> {
        let id = self.opened.get(peer)?;
        self.table.get(id).map(|connection| connection.flow)
    }

    /// Begins to open a connection.
    pub(crate) fn open(
        &mut self,
        now: Instant,
        peer: Peer,
        local: SocketAddr,
        listener: Option<ListenerId>,
        config: &TransportConfig,
    ) -> Flow {
        let id = StreamId::opened(self.next);
        self.next += 1;
        let flow = Flow::stream(peer.protocol, id, local, peer.address);
        let state = State::Opening {
            since: now,
            waiting: Vec::new(),
            queued: 0,
        };
        self.opened.insert(peer.clone(), id);
        self.insert(now, id, flow, listener, Some(peer), state, config);
        flow
    }

    #[allow(clippy::too_many_arguments)] // one call from each of the two above
    fn insert(
        &mut self,
        now: Instant,
        id: StreamId,
        flow: Flow,
        listener: Option<ListenerId>,
        peer: Option<Peer>,
        state: State,
        config: &TransportConfig,
    ) {
        let limits = Limits::default()
            .message_size(config.message_size)
            .head_size(config.message_size);
        let armed = match state {
            State::Opening { .. } => now + config.open_timeout,
            State::Open => now + config.idle_timeout,
        };
        let connection = Connection {
            flow,
            listener,
            stream: Stream::new(limits),
            peer,
            state,
            active: now,
            timer: Some((self.timers.insert(armed, id), armed)),
        };
        self.table.insert(id, connection);
    }

    /// A connection that we asked for is open: answers its flow and the messages that waited.
    pub(crate) fn opened(
        &mut self,
        now: Instant,
        id: StreamId,
        local: SocketAddr,
        config: &TransportConfig,
    ) -> Option<(Flow, Vec<Bytes>)> {
        let connection = self.table.get_mut(&id)?;
        connection.flow = connection.flow.with_local(local);
        connection.active = now;
        let flow = connection.flow;
        let waiting = match std::mem::replace(&mut connection.state, State::Open) {
            State::Opening { waiting, .. } => waiting,
            State::Open => Vec::new(),
        };
        self.rearm(id, config);
        Some((flow, waiting))
    }

    /// Writes a message: answers it if it can go now.
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
            State::Open => {
                connection.active = now;
                Write::Now(connection.flow, message)
            }
            State::Opening {
                waiting, queued, ..
            } => {
                if queued.saturating_add(message.len()) > config.write_queue {
                    return Write::Full;
                }
                *queued += message.len();
                waiting.push(message);
                Write::Queued
            }
        }
    }

    /// The connection, to feed it with what came; `None` unless it is open.
    pub(crate) fn reading(&mut self, now: Instant, id: StreamId) -> Option<&mut Connection> {
        let connection = self.table.get_mut(&id)?;
        connection.active = now;
        matches!(connection.state, State::Open).then_some(connection)
    }

    /// Sets the connection's timer to what its state asks for, if that is earlier than what is set.
    pub(crate) fn rearm(&mut self, id: StreamId, config: &TransportConfig) {
        let Some(connection) = self.table.get_mut(&id) else {
            return;
        };
        let (deadline, _) = connection.deadline(config);
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
        if let Some(peer) = &connection.peer
            && self.opened.get(peer) == Some(&id)
        {
            self.opened.remove(peer);
        }
        Some(connection)
    }

    /// The next connection whose time is over, already forgotten, and why.
    ///
    /// Activity does not touch timers: one that fires finds out how long there has been none, and is set anew.
    pub(crate) fn expire(
        &mut self,
        now: Instant,
        config: &TransportConfig,
    ) -> Option<(Flow, CloseReason)> {
        while let Some(id) = self.timers.pop(now) {
            let Some(connection) = self.table.get_mut(&id) else {
                continue;
            };
            connection.timer = None;
            let (deadline, reason) = connection.deadline(config);
            if deadline <= now {
                return self.remove(id).map(|gone| (gone.flow, reason));
            }
            self.rearm(id, config);
        }
        None
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
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
        if let State::Opening { since, .. } = self.state {
            let reason = CloseReason::Refused(io::ErrorKind::TimedOut);
            return (since + config.open_timeout, reason);
        }
        let idle = (self.active + config.idle_timeout, CloseReason::Idle);
        match self.stream.begun() {
            Some(begun) => {
                let slow = (begun + config.message_timeout, CloseReason::TooSlow);
                if slow.0 <= idle.0 { slow } else { idle }
            }
            None => idle,
        }
    }
}

/// What became of a message.
pub(crate) enum Write {
    /// It goes now
    Now(Flow, Bytes),
    /// It goes when the connection is open
    Queued,
    /// It does not fit
    Full,
    /// There is no such connection
    Gone,
}
