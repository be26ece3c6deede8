//! What is handed to the other shards and taken from them.
//!
//! A connection belongs to the shard that accepted or opened it: that one frames and decrypts what comes, and hands each
//! message to the shard it is for. Who has used a foreign connection knows it as open until its owner says otherwise,
//! and the owner remembers whom it has to tell.

use std::{
    io,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::Transport;
use crate::{
    connections::{Connection, Write},
    event::{CloseReason, Event, SendError, TooManyAdopted},
    listener::ListenerId,
};
use sip_io::{FailReason, Flow, Note, Parcel, Shard, StreamId, Transmit};

impl Transport {
    /// Whose a flow is, if it is a connection of another shard.
    pub fn owner_elsewhere(&self, flow: &Flow) -> Option<Shard> {
        let owner = flow.stream_id()?.shard();
        let sharding = self.config.sharding.as_ref()?;
        (owner != sharding.me()).then_some(owner)
    }

    /// Takes a connection of another shard, which somebody there told us of, for open, and learns of its end: as
    /// [`Event::Closed`], at once if that has come already. Does nothing for a flow that is our own or known.
    pub fn watch(&mut self, flow: &Flow) {
        if let (Some(owner), Some(id)) = (self.owner_elsewhere(flow), flow.stream_id())
            && self.foreign.insert(id, *flow).is_none()
        {
            self.steer(owner, Parcel::Watch { flow: *flow });
        }
    }

    /// Tells the user of another shard something, which comes there as [`Event::Note`]. It is lost when that shard has
    /// too much to do; whoever asks a question sets a time for the answer.
    pub fn tell(&mut self, to: Shard, note: Note) {
        self.steer(to, Parcel::Note(note));
    }

    /// Makes the requests of a call meet on the shard `by`, wherever its Call-ID leads, from now on and on every shard: for a
    /// call that is joined with another one (RFC 3891, RFC 3911, a bridge), whose shard is to have both. To say whom the
    /// Call-ID leads to by itself takes that back, as is to be done when the call ends.
    ///
    /// Responses go by their branch, to who sent the request. A message that is under way meanwhile may still come to the
    /// former shard. Who has a call says whose it is to be; when two speak at the same time, shards may disagree. Without
    /// shards there is nothing to do.
    ///
    /// # Errors
    ///
    /// When as many calls as [`TransportConfig::adoptions`](crate::TransportConfig::adoptions) allows are adopted.
    pub fn adopt(&mut self, call_id: &str, by: Shard) -> Result<(), TooManyAdopted> {
        let Some(sharding) = self.config.sharding.clone() else {
            return Ok(());
        };
        let call = sharding.number(call_id.as_bytes());
        if !self.note_adoption(call, by) {
            return Err(TooManyAdopted {
                limit: self.config.adoptions,
            });
        }
        for shard in sharding.others() {
            self.steer(shard, Parcel::Adopted { call, by });
        }
        Ok(())
    }

    /// Whether there was room for it.
    fn note_adoption(&mut self, call: u64, by: Shard) -> bool {
        let sharding = self.config.sharding.as_ref();
        if sharding.is_some_and(|sharding| sharding.of_number(call) == by) {
            self.adopted.remove(call);
            return true;
        }
        let has_room = self.adopted.admits(call, self.config.adoptions);
        if has_room {
            self.adopted.insert(call, by);
        } else {
            self.stats.adoptions_refused += 1;
        }
        has_room
    }

    /// Who is to handle a message that came here, if it is not us.
    pub(super) fn elsewhere(&self, message: &[u8]) -> Option<Shard> {
        let sharding = self.config.sharding.as_ref()?;
        let shard = sharding.of_message(message, &self.adopted)?;
        (shard != sharding.me()).then_some(shard)
    }

    /// Whose question of ours a STUN answer is for, if it is another's: its number ends with that of the shard.
    pub(super) fn stun_elsewhere(&self, contents: &[u8]) -> Option<Shard> {
        let sharding = self.config.sharding.as_ref()?;
        let is_answer = contents.first().is_some_and(|first| first & 1 == 1);
        let mark = contents.get(STUN_NUMBER_END).filter(|_| is_answer)?;
        let shard = Shard::new(usize::from(*mark))?;
        (shard != sharding.me() && shard.index() < sharding.count()).then_some(shard)
    }

    pub(super) fn steer_message(&mut self, to: Shard, flow: Flow, contents: Bytes) {
        self.stats.steered += 1;
        if let Some(id) = flow.stream_id() {
            self.note_user(id, to);
        }
        self.steer(to, Parcel::Message { flow, contents });
    }

    pub(super) fn receive_steered(&mut self, now: Instant, from: Shard, parcel: Parcel) {
        match parcel {
            Parcel::Message { flow, contents } => {
                if let (Some(id), Some(_)) = (flow.stream_id(), self.owner_elsewhere(&flow)) {
                    self.foreign.insert(id, flow);
                }
                if let Some(0..=3) = contents.first() {
                    self.events.push_back(Event::Stun { flow, contents });
                } else {
                    self.take_message(now, flow, contents);
                }
            }
            Parcel::Adopted { call, by } => {
                self.note_adoption(call, by);
            }
            Parcel::Write { flow, contents } => self.write_for(now, from, flow, contents),
            Parcel::Expect { flow, within } => self.expect_keep_alives(now, &flow, within),
            Parcel::Watch { flow } => self.watched_by(from, flow),
            Parcel::Close { flow } => {
                if let Some(id) = flow.stream_id() {
                    self.stats.closed_silent += u64::from(self.connections.get(id).is_some());
                    self.end(id, CloseReason::Silent);
                }
            }
            Parcel::Closed { flow, reason } => self.ended_elsewhere(flow, reason.into()),
            Parcel::Failed { flow, reason } => {
                self.events.push_back(Event::Failed { flow, reason });
            }
            Parcel::Note(note) => self.events.push_back(Event::Note { from, note }),
            _ => {}
        }
    }

    pub(super) fn receive_unsteered(&mut self, parcel: Parcel) {
        self.stats.steer_lost += u64::from(parcel.needs_room());
        match parcel {
            // The bytes are lost, so what they were part of has failed.
            Parcel::Write { flow, .. } => {
                let reason = FailReason::Socket(io::ErrorKind::WouldBlock);
                self.events.push_back(Event::Failed { flow, reason });
            }
            Parcel::Watch { flow } => {
                let gone = CloseReason::Broken(io::ErrorKind::NotConnected);
                self.ended_elsewhere(flow, gone);
            }
            _ => {}
        }
    }

    /// Sends on a connection of another shard.
    pub(super) fn send_elsewhere(&mut self, flow: Flow, contents: Bytes) -> Result<(), SendError> {
        let owner = self.owner_elsewhere(&flow).ok_or(SendError::Gone)?;
        self.steer(owner, Parcel::Write { flow, contents });
        self.stats.of(flow.protocol()).messages_out += 1;
        Ok(())
    }

    /// Gives up a connection of another shard, which then tells everybody.
    pub(super) fn close_elsewhere(&mut self, flow: &Flow) {
        if let Some(owner) = self.owner_elsewhere(flow)
            && flow
                .stream_id()
                .is_some_and(|id| self.foreign.contains_key(&id))
        {
            self.steer(owner, Parcel::Close { flow: *flow });
        }
    }

    /// Has the owner of a connection hold the peer to its promise.
    pub(super) fn expect_elsewhere(&mut self, flow: &Flow, within: Option<Duration>) {
        if let Some(owner) = self.owner_elsewhere(flow) {
            let flow = *flow;
            self.steer(owner, Parcel::Expect { flow, within });
        }
    }

    /// The listener that a connection of another shard belongs to: all shards have the same ones.
    pub(super) fn listener_elsewhere(&self, id: StreamId) -> Option<ListenerId> {
        let flow = self.foreign.get(&id)?;
        if id.is_accepted() {
            return self.addresses.listener_at(flow.protocol(), flow.local());
        }
        let facing = self.addresses.facing(flow.protocol(), flow.remote().ip());
        facing.map(|(listener, _)| listener)
    }

    /// Tells every shard that has used a connection that it is over.
    pub(super) fn tell_users(&mut self, gone: &Connection, reason: CloseReason) {
        if gone.users == 0 {
            return;
        }
        let (flow, reason) = (gone.flow, told(reason));
        for shard in Shard::first(Shard::MOST) {
            if gone.users & 1 << shard.index() != 0 {
                self.steer(shard, Parcel::Closed { flow, reason });
            }
        }
    }

    /// A datagram was not delivered: the system tells the socket that the peer's answers would come to, not the one that
    /// it was sent from, so the others have to know as well.
    pub(super) fn tell_failed(&mut self, flow: Flow, reason: FailReason) {
        let Some(sharding) = &self.config.sharding else {
            return;
        };
        for shard in sharding.others() {
            self.steer(shard, Parcel::Failed { flow, reason });
        }
    }

    fn watched_by(&mut self, user: Shard, flow: Flow) {
        let lives = flow.stream_id().is_some_and(|id| self.note_user(id, user));
        if !lives {
            self.tell_gone(user, flow);
        }
    }

    fn ended_elsewhere(&mut self, flow: Flow, reason: CloseReason) {
        let known = flow.stream_id().and_then(|id| self.foreign.remove(&id));
        if known.is_some() {
            self.events.push_back(Event::Closed { flow, reason });
        }
    }

    fn write_for(&mut self, now: Instant, from: Shard, flow: Flow, contents: Bytes) {
        let Some(id) = flow.stream_id() else {
            return;
        };
        self.note_user(id, from);
        match self.connections.write(now, id, contents, &self.config) {
            Write::Now(flow, contents) => self.send_bytes(flow, contents),
            Write::Queued => {}
            Write::Full => {
                self.stats.queue_full += 1;
                let reason = FailReason::Socket(io::ErrorKind::WouldBlock);
                self.steer(from, Parcel::Failed { flow, reason });
            }
            Write::Gone => self.tell_gone(from, flow),
        }
    }

    /// Remembers who has to hear of the end of a connection; not if that has come.
    fn note_user(&mut self, id: StreamId, user: Shard) -> bool {
        let connection = self.connections.get_mut(id);
        connection
            .map(|connection| connection.users |= 1 << user.index())
            .is_some()
    }

    fn tell_gone(&mut self, to: Shard, flow: Flow) {
        let reason = sip_io::CloseReason::ByPeer;
        self.steer(to, Parcel::Closed { flow, reason });
    }

    fn steer(&mut self, to: Shard, parcel: Parcel) {
        let parcel = Box::new(parcel);
        self.transmits.push_back(Transmit::Steer { to, parcel });
    }
}

/// What another shard needs to know of the end of a connection that was open.
const fn told(reason: CloseReason) -> sip_io::CloseReason {
    match reason {
        CloseReason::ByPeer => sip_io::CloseReason::ByPeer,
        CloseReason::Broken(kind) => sip_io::CloseReason::Broken(kind),
        CloseReason::PeerTooSlow => sip_io::CloseReason::PeerTooSlow,
        _ => sip_io::CloseReason::Broken(io::ErrorKind::ConnectionAborted),
    }
}

/// Where the number of a STUN message ends (RFC 8489 §5).
const STUN_NUMBER_END: usize = 19;
