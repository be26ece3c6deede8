//! What a server's figure wants done, done.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Arrival, NO_TAG, OwnTimers, TransactionLayer, is_privileged};
use crate::{
    event::{Event, Owner, ServerTransactionId},
    key::Keys,
    server::{self, Server, SetTimer},
    server_invite, server_non_invite,
    table::Id,
    timers::{Timer, Timers},
};
use sip_io::Flow;
use sip_message::{Method, Request, StatusCode};
use sip_transport::Rate;

impl TransactionLayer {
    pub(super) fn serve(
        &mut self,
        now: Instant,
        arrival: Arrival,
        flow: Flow,
        request: Box<Request>,
    ) {
        if !self.admit(now, &request) {
            self.stats.overloaded += 1;
            self.events.push_back(Event::Overloaded { flow, request });
            return;
        }
        let timers = &self.config.timers;
        let (machine, trying, end) = if *request.method() == Method::INVITE {
            let machine = server::Machine::Invite(server_invite::State::Trying);
            (machine, self.config.trying_after, None)
        } else {
            let machine = server::Machine::NonInvite(server_non_invite::State::Trying);
            let trying = timers.slow_answer();
            let lifetime = timers.lifetime();
            if trying < lifetime {
                // RFC 4320 §4: 100 when a client would expect one; Timer F is set then.
                (machine, Some(trying), None)
            } else {
                (machine, None, Some((Timer::F, lifetime)))
            }
        };
        let mut server = Server {
            machine,
            way: arrival.back,
            contents: trying.map_or_else(Bytes::new, |_| request.to_bytes()),
            status: None,
            loose_tag: arrival.is_loose.then_some(NO_TAG),
            chance: self.rng.next_u64(),
            merge: None,
            repeat: None,
            end: None,
        };
        let id = self.servers.next_id();
        let mut set = SetTimer {
            timers: &mut self.timers,
            now,
            id,
        };
        if let Some(after) = trying {
            server.repeat_after(&mut set, (Timer::Trying, after));
        }
        if let Some(end) = end {
            server.end_after(&mut set, end);
        }
        self.servers.insert(arrival.key, server);
        self.stats.server_transactions += 1;
        let id = ServerTransactionId(id);
        self.events
            .push_back(if *request.method() == Method::CANCEL {
                let invite = arrival.cancels.and_then(|key| self.servers.find(&key));
                Event::Cancel {
                    id,
                    invite: invite.map(ServerTransactionId),
                    flow,
                    request,
                }
            } else {
                Event::Request { id, flow, request }
            });
    }

    /// Whether there is room for a new transaction, and time for a new request.
    fn admit(&mut self, now: Instant, request: &Request) -> bool {
        let (taken, limits) = (self.servers.len(), self.config.limits);
        // To is read only where it matters what the request is.
        let has_room =
            limits.admit(taken, false) || limits.admit(taken, true) && is_privileged(request);
        let has_time = |admission: &mut Rate| is_privileged(request) || admission.take(now);
        has_room && self.admission.as_mut().is_none_or(has_time)
    }

    pub(super) fn receive_ack(
        &mut self,
        now: Instant,
        found: Option<Id>,
        flow: Flow,
        request: Box<Request>,
    ) {
        use server::Action::*;
        let timers = found.map_or(&self.config.timers, |id| {
            timers_of(&self.own_timers, &self.config.timers, id)
        });
        let server = found.and_then(|id| Some((id, self.servers.get_mut(id)?)));
        let is_to_another = |server: &Server, keys: &mut Keys| {
            server.loose_tag.is_some() && server.loose_tag != keys.tag(request.headers())
        };
        let invite = match server {
            // §17.2.3: without a branch the To tag must be that of our response.
            Some((_, server)) if is_to_another(server, &mut self.keys) => None,
            Some((id, server)) => match server.step(server::Input::Ack, timers) {
                PassUp => Some(ServerTransactionId(id)),
                PassUpAsStray => None,
                action => {
                    self.stats.acks_absorbed += 1;
                    self.perform_server(now, id, action, Bytes::new());
                    return;
                }
            },
            None => None,
        };
        self.events.push_back(Event::Ack {
            invite,
            flow,
            request,
        });
    }

    pub(super) fn step_server(&mut self, now: Instant, id: Id, input: server::Input) {
        let timers = timers_of(&self.own_timers, &self.config.timers, id);
        if let Some(server) = self.servers.get_mut(id) {
            let action = server.step(input, timers);
            if matches!(input, server::Input::Timer(Timer::Trying)) {
                self.trying_passed(now, id);
            }
            self.perform_server(now, id, action, Bytes::new());
        }
    }

    /// RFC 4320 §4: a request other than INVITE that is still not answered is given up when its client's Timer F fires.
    ///
    /// One timer after the other, because nearly every request is answered before the first.
    fn trying_passed(&mut self, now: Instant, id: Id) {
        let timers = timers_of(&self.own_timers, &self.config.timers, id);
        let left = timers.lifetime().saturating_sub(timers.slow_answer());
        let Some(server) = self.servers.get_mut(id) else {
            return;
        };
        server.repeat = None;
        if server.is_non_invite() && server.end.is_none() {
            let timers = &mut self.timers;
            server.end_after(&mut SetTimer { timers, now, id }, (Timer::F, left));
        }
    }

    pub(super) fn perform_server(
        &mut self,
        now: Instant,
        id: Id,
        action: server::Action,
        response: Bytes,
    ) {
        use server::Action::*;
        let Some(server) = self.servers.get_mut(id) else {
            return;
        };
        let mut set = SetTimer {
            timers: &mut self.timers,
            now,
            id,
        };
        let mut sent = Bytes::new();
        match action {
            Absorb | Refuse | PassUp | PassUpAsStray | End => {}
            Send => {
                // That of another request goes on: Timer F comes after it.
                if !server.is_non_invite() {
                    server.disarm_repeat(set.timers);
                }
                server.contents = response.clone();
                sent = response;
            }
            SendOnly => sent = response,
            SendTrying => {
                sent = trying(server, self.config.trying_reason.as_deref());
                server.contents = sent.clone();
            }
            SendAndArm(timer, after, repeat) => {
                server.disarm(set.timers);
                server.contents = response.clone();
                sent = response;
                if let Some(repeat) = repeat {
                    server.repeat_after(&mut set, repeat);
                }
                linger(server, &mut set, (timer, after), &self.config.timers);
            }
            SendAndForget(timer, after) => {
                server.disarm(set.timers);
                server.contents = Bytes::new();
                sent = response;
                linger(server, &mut set, (timer, after), &self.config.timers);
            }
            Retransmit => {
                self.stats.responses_retransmitted += 1;
                sent = server.contents.clone();
            }
            RetransmitAndArm(timer, after) => {
                self.stats.responses_retransmitted += 1;
                sent = server.contents.clone();
                server.repeat_after(&mut set, (timer, after));
            }
            Linger(timer, after) => {
                server.disarm(set.timers);
                server.contents = Bytes::new();
                linger(server, &mut set, (timer, after), &self.config.timers);
            }
            Unacknowledged => {
                self.stats.unacknowledged += 1;
                let id = ServerTransactionId(id);
                self.events.push_back(Event::Unacknowledged { id });
            }
        }
        if !sent.is_empty() {
            self.transmits.push_back(crate::Send {
                flow: server.way.flow(),
                contents: sent,
                owner: Owner::Server(ServerTransactionId(id)),
            });
        }
        if server.is_terminated() {
            self.end_server(id);
        }
    }

    pub(super) fn end_server(&mut self, id: Id) {
        if let Some(mut server) = self.servers.remove(id) {
            server.disarm(&mut self.timers);
            if let Some(merge) = server.merge
                && self.merges.get(&merge) == Some(&id)
            {
                self.merges.remove(&merge);
            }
        }
        if !self.own_timers.is_empty() {
            self.own_timers.remove(&id);
        }
        let id = ServerTransactionId(id);
        self.events.push_back(Event::ServerEnded { id });
    }
}

/// The timers of a server transaction: its own, or the usual ones.
pub(super) fn timers_of<'a>(own: &'a OwnTimers, usual: &'a Timers, id: Id) -> &'a Timers {
    if own.is_empty() {
        return usual;
    }
    own.get(&id).unwrap_or(usual)
}

/// Waits in the last state, or leaves it at once where there is nothing to wait for.
fn linger(
    server: &mut Server,
    set: &mut SetTimer<'_>,
    (timer, after): (Timer, Duration),
    usual: &Timers,
) {
    if after.is_zero() {
        server.step(server::Input::Timer(timer), usual);
    } else {
        server.end_after(set, (timer, after));
    }
}

/// The 100 to a request that nobody has answered yet (RFC 3261 §8.2.6.1).
fn trying(server: &mut Server, reason: Option<&str>) -> Bytes {
    server.status = Some(StatusCode::TRYING);
    let Ok(request) = Request::parse(server.contents.clone()) else {
        return Bytes::new();
    };
    let response = request.response(StatusCode::TRYING);
    let response = match reason {
        Some(reason) => response.reason(reason),
        None => response,
    };
    response.build().to_bytes()
}
