//! ACKs to a 2xx, which have no transaction (RFC 3261 §13.2.2.4, §17).

use crate::{
    Draft, Endpoint,
    draft::NextHop,
    endpoint::{Due, Waiter},
    hop::{Hop, LONGEST_DATAGRAM},
    names::Located,
    observation::Direction,
    table::Key,
};
use bytes::Bytes;
use sip_io::{Flow, TimerId};
use sip_resolver::LookupId;
use std::{collections::VecDeque, time::Instant};

/// Names an ACK that is kept for 64×T1; stale afterwards, and then harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AckId(Key);

/// An ACK on its way, and afterwards its bytes for each repeated 2xx.
#[derive(Debug)]
pub(crate) struct Acknowledgement {
    draft: Draft,
    hops: VecDeque<Hop>,
    state: State,
    /// When to forget it; `None` for an ACK that is only forwarded and not kept
    kept: Option<TimerId>,
}

#[derive(Debug)]
enum State {
    /// Nothing was sent, and nothing is under way
    Idle,
    Resolving(LookupId),
    Connecting {
        flow: Flow,
        hop: Hop,
    },
    Sent {
        flow: Flow,
        contents: Bytes,
    },
}

impl Endpoint {
    /// Sends the ACK to a 2xx: its way is found once, its bytes are kept for 64×T1.
    ///
    /// When as many are kept as [`EndpointConfig::requests`](crate::EndpointConfig::requests) allows, the ACK is sent
    /// but not kept.
    pub fn acknowledge(&mut self, now: Instant, draft: Draft) -> AckId {
        let has_room = self.acks.len() < self.request_limit;
        let id = self.insert_ack(draft);
        if has_room {
            let linger = self.default_timers.lifetime();
            let timer = self.timers.insert(now + linger, Due::AckForgotten(id));
            if let Some(ack) = self.acks.get_mut(id.0) {
                ack.kept = Some(timer);
            }
        }
        self.start_ack(now, id);
        id
    }

    /// Sends the same bytes again, because the same 2xx came again (RFC 3261 §13.2.2.4). When the flow they went on is
    /// gone, or they could not be sent at all, the way is looked for anew; a stale id does nothing.
    pub fn repeat_acknowledge(&mut self, now: Instant, id: AckId) {
        let Some(ack) = self.acks.get(id.0) else {
            return;
        };
        match &ack.state {
            State::Sent { flow, contents } => {
                let (flow, contents) = (*flow, contents.clone());
                if self.transport.send(now, &flow, contents.clone()).is_ok() {
                    self.observe(now, Direction::Sent, &flow, &contents);
                } else {
                    self.unwatch(id);
                    self.start_ack(now, id);
                }
            }
            State::Idle => self.start_ack(now, id),
            State::Resolving(_) | State::Connecting { .. } => {}
        }
    }

    /// Forwards an ACK once, as a proxy does: it is not kept, and nothing tells whether it arrived.
    ///
    /// When as many wait for a name or a connection as [`EndpointConfig::requests`](crate::EndpointConfig::requests)
    /// allows, it is dropped, as a datagram may be.
    pub fn forward_ack(&mut self, now: Instant, draft: Draft) {
        if self.acks.len() >= self.request_limit {
            self.lost.acknowledgements += 1;
            return;
        }
        let id = self.insert_ack(draft);
        self.start_ack(now, id);
    }

    fn insert_ack(&mut self, draft: Draft) -> AckId {
        AckId(self.acks.insert(Acknowledgement {
            draft,
            hops: VecDeque::new(),
            state: State::Idle,
            kept: None,
        }))
    }

    fn start_ack(&mut self, now: Instant, id: AckId) {
        let Some(ack) = self.acks.get_mut(id.0) else {
            return;
        };
        ack.state = State::Idle;
        match &ack.draft.next {
            NextHop::Flow { flow, .. }
                if self.transport.is_open(flow) && ack.draft.may_use(flow.protocol()) =>
            {
                let flow = *flow;
                if !self.send_ack(now, id, flow, None) {
                    self.ack_failed(id);
                }
            }
            NextHop::Flow { or_uri: false, .. } => self.ack_failed(id),
            NextHop::Targets(targets) => {
                ack.hops = targets.iter().cloned().map(Hop::new).collect();
                self.attempt_ack(now, id);
            }
            NextHop::Uri | NextHop::Flow { .. } => {
                let Ok(query) = ack.draft.next_hop() else {
                    return self.ack_failed(id);
                };
                if let Some(located) = self.names.literal(&query) {
                    return self.ack_located(now, id, Ok(vec![located]));
                }
                let view = ack.draft.view(&self.names, &self.transport);
                let lookup = self.names.start(now, view, query);
                ack.state = State::Resolving(lookup);
                self.lookups.insert(lookup, Waiter::Ack(id));
            }
        }
    }

    pub(crate) fn ack_located(
        &mut self,
        now: Instant,
        id: AckId,
        targets: Result<Vec<Located>, String>,
    ) {
        let Some(ack) = self.acks.get_mut(id.0) else {
            return;
        };
        ack.state = State::Idle;
        match targets {
            Ok(mut targets) => {
                self.failover.order(now, &ack.draft.request, &mut targets);
                ack.hops = targets.into_iter().map(Hop::located).collect();
                self.attempt_ack(now, id);
            }
            Err(cause) => {
                tracing::debug!(cause, "an ACK has nowhere to go");
                self.ack_failed(id);
            }
        }
    }

    /// Tries one target after the other until one takes it.
    fn attempt_ack(&mut self, now: Instant, id: AckId) {
        loop {
            let Some(ack) = self.acks.get_mut(id.0) else {
                return;
            };
            let Some(hop) = ack.hops.pop_front() else {
                return self.ack_failed(id);
            };
            if !ack.draft.may_use(hop.target.protocol) {
                continue;
            }
            match ack.draft.flow_to(now, &mut self.transport, &hop.target) {
                Ok(flow) if self.transport.is_connecting(&flow) => {
                    ack.state = State::Connecting { flow, hop };
                    self.connecting
                        .entry(flow)
                        .or_default()
                        .push(Waiter::Ack(id));
                    return;
                }
                Ok(flow) => {
                    if self.send_ack(now, id, flow, Some(hop)) {
                        return;
                    }
                }
                Err(error) => tracing::debug!(%error, "an ACK has no way"),
            }
        }
    }

    pub(crate) fn ack_connected(&mut self, now: Instant, id: AckId, flow: Flow) {
        if let Some(hop) = self.stop_connecting_ack(id)
            && !self.send_ack(now, id, flow, Some(hop))
        {
            self.attempt_ack(now, id);
        }
    }

    pub(crate) fn ack_not_connected(&mut self, now: Instant, id: AckId) {
        if self.stop_connecting_ack(id).is_some() {
            self.attempt_ack(now, id);
        }
    }

    fn stop_connecting_ack(&mut self, id: AckId) -> Option<Hop> {
        let ack = self.acks.get_mut(id.0)?;
        match std::mem::replace(&mut ack.state, State::Idle) {
            State::Connecting { hop, .. } => Some(hop),
            other => {
                ack.state = other;
                None
            }
        }
    }

    /// Whether it went out; otherwise the next hop is first.
    fn send_ack(&mut self, now: Instant, id: AckId, flow: Flow, hop: Option<Hop>) -> bool {
        let Some(ack) = self.acks.get_mut(id.0) else {
            return true;
        };
        let written_for = hop.as_ref().map_or(&flow, |hop| hop.written_for(&flow));
        let request = self
            .author
            .write(&self.transport, &ack.draft, &flow, written_for);
        let contents = request.to_bytes();
        match hop {
            Some(hop) if hop.wants_stream(&flow, contents.len(), self.datagram_limit) => {
                for hop in hop.by_stream(flow).into_iter().rev() {
                    ack.hops.push_front(hop);
                }
                return false;
            }
            _ => {}
        }
        let too_long = !flow.is_stream() && contents.len() > LONGEST_DATAGRAM;
        if too_long || self.transport.send(now, &flow, contents.clone()).is_err() {
            return false;
        }
        if ack.hops.front().is_some_and(Hop::is_last_resort) {
            ack.hops.pop_front();
        }
        let is_kept = ack.kept.is_some();
        if is_kept && !ack.hops.is_empty() {
            self.watched.entry(flow).or_default().push(id);
        }
        ack.state = State::Sent {
            flow,
            contents: contents.clone(),
        };
        self.observe(now, Direction::Sent, &flow, &contents);
        if !is_kept {
            self.forget_ack(id);
        }
        true
    }

    /// A flow has failed: kept ACKs that went out on it go to their next target (RFC 3263 §4.3).
    pub(crate) fn ack_flow_failed(&mut self, now: Instant, flow: &Flow) {
        for id in self.watched.remove(flow).unwrap_or_default() {
            if let Some(ack) = self.acks.get_mut(id.0) {
                ack.state = State::Idle;
                self.attempt_ack(now, id);
            }
        }
    }

    fn unwatch(&mut self, id: AckId) {
        let Some(State::Sent { flow, .. }) = self.acks.get(id.0).map(|ack| &ack.state) else {
            return;
        };
        if let Some(watched) = self.watched.get_mut(flow) {
            watched.retain(|other| *other != id);
            if watched.is_empty() {
                self.watched.remove(flow);
            }
        }
    }

    /// A kept ACK may try again at the next 2xx; a forwarded one is lost, as any datagram may be.
    fn ack_failed(&mut self, id: AckId) {
        self.lost.acknowledgements += 1;
        if self.acks.get(id.0).is_some_and(|ack| ack.kept.is_none()) {
            self.forget_ack(id);
        }
    }

    pub(crate) fn forget_ack(&mut self, id: AckId) {
        self.unwatch(id);
        let Some(ack) = self.acks.remove(id.0) else {
            return;
        };
        if let Some(timer) = ack.kept {
            self.timers.cancel(timer);
        }
        match ack.state {
            State::Resolving(lookup) => {
                self.lookups.remove(&lookup);
                self.names.cancel(lookup);
            }
            State::Connecting { flow, .. } => self.stop_waiting(&flow, Waiter::Ack(id)),
            State::Idle | State::Sent { .. } => {}
        }
    }
}
