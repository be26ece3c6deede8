//! What a server's figure wants done, done.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Arrival, Due, TransactionLayer, is_privileged};
use crate::{
    event::{Event, Owner, Send, ServerTransactionId},
    server::{self, Server},
    server_invite, server_non_invite,
    table::Id,
    timers::Timer,
};
use sip_io::Flow;
use sip_message::{Method, Request, StatusCode};

impl TransactionLayer {
    pub(super) fn serve(&mut self, now: Instant, arrival: Arrival, flow: Flow, request: Request) {
        let privileged = is_privileged(&request);
        let full = !self.config.limits.admit(self.servers.len(), privileged);
        let mut too_many = || {
            let admission = self.admission.as_mut().filter(|_| !privileged);
            admission.is_some_and(|admission| !admission.take(now))
        };
        if full || too_many() {
            self.stats.overloaded += 1;
            self.events.push_back(Event::Overloaded { flow, request });
            return;
        }
        let timers = self.config.timers;
        let (machine, trying, end) = if *request.method() == Method::INVITE {
            let machine = server::Machine::Invite(server_invite::State::Trying);
            (machine, self.config.trying_after, None)
        } else {
            // RFC 4320 §4: 100 when a client would expect one, and nothing after its Timer F.
            let machine = server::Machine::NonInvite(server_non_invite::State::Trying);
            let end = Some((Timer::F, timers.lifetime()));
            (machine, Some(timers.slow_answer()), end)
        };
        let is_cancel = *request.method() == Method::CANCEL;
        let merge = if is_cancel {
            None
        } else {
            self.keys.merge(&request)
        };
        let server = Server {
            machine,
            flow: arrival.back,
            contents: trying.map_or_else(Bytes::new, |_| request.to_bytes()),
            status: None,
            loose_tag: arrival.is_loose.then_some(0),
            chance: self.rng.next_u64(),
            merge,
            repeat: None,
            end: None,
        };
        let id = self.servers.insert(arrival.key, server);
        self.stats.server_transactions += 1;
        if let Some(merge) = merge {
            self.merges.entry(merge).or_insert(id);
        }
        let trying = trying.map(|after| (Timer::Trying, after));
        self.arm_server(now, id, trying, end);
        let id = ServerTransactionId(id);
        self.events.push_back(if is_cancel {
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

    pub(super) fn receive_ack(
        &mut self,
        now: Instant,
        found: Option<Id>,
        flow: Flow,
        request: Request,
    ) {
        use server::Action::*;
        let tag = self.keys.tag(request.headers());
        let timers = found.map_or(self.config.timers, |id| self.server_timers(id));
        let server = found.and_then(|id| Some((id, self.servers.get_mut(id)?)));
        let invite = match server {
            // §17.2.3: without a branch the To tag must be that of our response.
            Some((_, server)) if server.loose_tag.is_some() && server.loose_tag != tag => None,
            Some((id, server)) => match server.step(server::Input::Ack, &timers) {
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
        let timers = self.server_timers(id);
        if let Some(server) = self.servers.get_mut(id) {
            let action = server.step(input, &timers);
            self.perform_server(now, id, action, Bytes::new());
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
        match action {
            Absorb | Refuse | PassUp | PassUpAsStray | End => {}
            Send => {
                self.disarm_trying(id);
                self.transmit_server(id, response.clone());
                self.keep(id, response);
            }
            SendOnly => self.transmit_server(id, response),
            SendTrying => {
                let trying = self.trying(id);
                self.transmit_server(id, trying.clone());
                self.keep(id, trying);
            }
            SendAndArm(timer, after, repeat) => {
                self.disarm_server(id);
                self.transmit_server(id, response.clone());
                self.keep(id, response);
                self.linger_server(now, id, timer, after, repeat);
            }
            SendAndForget(timer, after) => {
                self.disarm_server(id);
                self.transmit_server(id, response);
                self.keep(id, Bytes::new());
                self.linger_server(now, id, timer, after, None);
            }
            Retransmit => self.retransmit_server(id),
            RetransmitAndArm(timer, after) => {
                self.retransmit_server(id);
                self.arm_server(now, id, Some((timer, after)), None);
            }
            Linger(timer, after) => {
                self.disarm_server(id);
                self.keep(id, Bytes::new());
                self.linger_server(now, id, timer, after, None);
            }
            Unacknowledged => {
                self.stats.unacknowledged += 1;
                let id = ServerTransactionId(id);
                self.events.push_back(Event::Unacknowledged { id });
            }
        }
        if self.servers.get(id).is_some_and(Server::is_terminated) {
            self.end_server(id);
        }
    }

    fn linger_server(
        &mut self,
        now: Instant,
        id: Id,
        timer: Timer,
        after: Duration,
        repeat: Option<(Timer, Duration)>,
    ) {
        if !after.is_zero() {
            self.arm_server(now, id, repeat, Some((timer, after)));
            return;
        }
        let timers = self.server_timers(id);
        if let Some(server) = self.servers.get_mut(id) {
            server.step(server::Input::Timer(timer), &timers);
        }
    }

    fn arm_server(
        &mut self,
        now: Instant,
        id: Id,
        repeat: Option<(Timer, Duration)>,
        end: Option<(Timer, Duration)>,
    ) {
        let Some(server) = self.servers.get_mut(id) else {
            return;
        };
        if let Some((timer, after)) = repeat {
            let due = Due::Server(id, timer);
            server.repeat = Some(self.timers.insert(now + after, due));
        }
        if let Some((timer, after)) = end {
            let due = Due::Server(id, timer);
            server.end = Some(self.timers.insert(now + after, due));
        }
    }

    /// The 100 to a request that nobody has answered yet (RFC 3261 §8.2.6.1).
    fn trying(&mut self, id: Id) -> Bytes {
        let Some(server) = self.servers.get_mut(id) else {
            return Bytes::new();
        };
        server.status = Some(StatusCode::TRYING);
        Request::parse(server.contents.clone()).map_or_else(
            |_| Bytes::new(),
            |request| request.response(StatusCode::TRYING).build().to_bytes(),
        )
    }

    fn keep(&mut self, id: Id, contents: Bytes) {
        if let Some(server) = self.servers.get_mut(id) {
            server.contents = contents;
        }
    }

    fn retransmit_server(&mut self, id: Id) {
        self.stats.responses_retransmitted += 1;
        let contents = self.servers.get(id).map(|server| server.contents.clone());
        self.transmit_server(id, contents.unwrap_or_default());
    }

    fn transmit_server(&mut self, id: Id, contents: Bytes) {
        if let Some(server) = self.servers.get(id)
            && !contents.is_empty()
        {
            self.transmits.push_back(Send {
                flow: server.flow,
                contents,
                owner: Owner::Server(ServerTransactionId(id)),
            });
        }
    }

    fn disarm_trying(&mut self, id: Id) {
        let server = self.servers.get_mut(id);
        if let Some(timer) = server.and_then(|server| server.repeat.take()) {
            self.timers.cancel(timer);
        }
    }

    fn disarm_server(&mut self, id: Id) {
        self.disarm_trying(id);
        let server = self.servers.get_mut(id);
        if let Some(timer) = server.and_then(|server| server.end.take()) {
            self.timers.cancel(timer);
        }
    }

    pub(super) fn end_server(&mut self, id: Id) {
        self.disarm_server(id);
        if !self.own_timers.is_empty() {
            self.own_timers.remove(&id);
        }
        if let Some(merge) = self.servers.remove(id).and_then(|server| server.merge)
            && self.merges.get(&merge) == Some(&id)
        {
            self.merges.remove(&merge);
        }
        let id = ServerTransactionId(id);
        self.events.push_back(Event::ServerEnded { id });
    }
}
