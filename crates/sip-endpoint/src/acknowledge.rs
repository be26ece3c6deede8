//! ACKs to a 2xx, which have no transaction (RFC 3261 §13.2.2.4, §17).

use crate::{
    Draft, Endpoint,
    draft::NextHop,
    endpoint::{Due, Waiter},
    observation::Direction,
    outbound::next_hop,
    table::Key,
};
use bytes::Bytes;
use sip_io::{Flow, TimerId};
use sip_resolver::{LookupId, Query};
use sip_transport::Target;
use std::{collections::VecDeque, time::Instant};

/// Names an ACK that is kept for 64×T1; stale afterwards, and then harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AckId(Key);

/// An ACK on its way, and afterwards its bytes for each repeated 2xx.
#[derive(Debug)]
pub(crate) struct Acknowledgement {
    draft: Draft,
    targets: VecDeque<Target>,
    state: State,
    /// When to forget it; `None` for an ACK that is only forwarded and not kept
    kept: Option<TimerId>,
}

#[derive(Debug)]
enum State {
    Idle,
    Resolving(LookupId),
    Connecting(Flow),
    Sent { flow: Flow, contents: Bytes },
}

impl Endpoint {
    /// Sends the ACK to a 2xx: its way is found once, its bytes are kept for 64×T1.
    pub fn acknowledge(&mut self, now: Instant, draft: Draft) -> AckId {
        let id = self.insert_ack(draft);
        let linger = self.default_timers.lifetime();
        let timer = self.timers.insert(now + linger, Due::AckForgotten(id));
        if let Some(ack) = self.acks.get_mut(id.0) {
            ack.kept = Some(timer);
        }
        self.start_ack(now, id);
        id
    }

    /// Sends the same bytes again, because the same 2xx came again. When the flow they went on is gone they are sent
    /// anew; a stale id does nothing.
    pub fn repeat_acknowledge(&mut self, now: Instant, id: AckId) {
        let Some(ack) = self.acks.get(id.0) else {
            return;
        };
        if let State::Sent { flow, contents } = &ack.state {
            let (flow, contents) = (*flow, contents.clone());
            if self.transport.send(now, &flow, contents.clone()).is_ok() {
                self.observe(now, Direction::Sent, &flow, &contents);
            } else {
                self.start_ack(now, id);
            }
        }
    }

    /// Forwards an ACK once, as a proxy does: it is not kept, and nothing tells whether it arrived.
    pub fn forward_ack(&mut self, now: Instant, draft: Draft) {
        if self.acks.len() >= self.request_limit {
            return;
        }
        let id = self.insert_ack(draft);
        self.start_ack(now, id);
    }

    fn insert_ack(&mut self, draft: Draft) -> AckId {
        AckId(self.acks.insert(Acknowledgement {
            draft,
            targets: VecDeque::new(),
            state: State::Idle,
            kept: None,
        }))
    }

    fn start_ack(&mut self, now: Instant, id: AckId) {
        let Some(ack) = self.acks.get_mut(id.0) else {
            return;
        };
        match ack.draft.next.clone() {
            NextHop::Flow { flow, .. } if self.transport.is_open(&flow) => {
                self.send_ack(now, id, flow)
            }
            NextHop::Flow { or_uri: false, .. } => self.ack_failed(id),
            NextHop::Targets(targets) => {
                ack.targets = targets.into();
                self.attempt_ack(now, id);
            }
            NextHop::Uri | NextHop::Flow { .. } => {
                let Ok(query) = Query::uri(&next_hop(&ack.draft)) else {
                    return self.ack_failed(id);
                };
                let lookup = self.names.start(now, query);
                ack.state = State::Resolving(lookup);
                self.lookups.insert(lookup, Waiter::Ack(id));
            }
        }
    }

    pub(crate) fn ack_located(
        &mut self,
        now: Instant,
        id: AckId,
        targets: Result<Vec<Target>, String>,
    ) {
        let Some(ack) = self.acks.get_mut(id.0) else {
            return;
        };
        ack.state = State::Idle;
        match targets {
            Ok(targets) => {
                ack.targets = targets.into();
                self.attempt_ack(now, id);
            }
            Err(cause) => {
                tracing::debug!(cause, "an ACK has nowhere to go");
                self.ack_failed(id);
            }
        }
    }

    fn attempt_ack(&mut self, now: Instant, id: AckId) {
        loop {
            let Some(ack) = self.acks.get_mut(id.0) else {
                return;
            };
            let Some(target) = ack.targets.pop_front() else {
                return self.ack_failed(id);
            };
            match self.transport.flow_to(now, &target) {
                Ok(flow) if self.transport.is_connecting(&flow) => {
                    ack.state = State::Connecting(flow);
                    self.connecting
                        .entry(flow)
                        .or_default()
                        .push(Waiter::Ack(id));
                    return;
                }
                Ok(flow) => return self.send_ack(now, id, flow),
                Err(_) => {}
            }
        }
    }

    pub(crate) fn ack_connected(&mut self, now: Instant, id: AckId, flow: Flow) {
        self.send_ack(now, id, flow);
    }

    pub(crate) fn ack_not_connected(&mut self, now: Instant, id: AckId) {
        if let Some(ack) = self.acks.get_mut(id.0) {
            ack.state = State::Idle;
            self.attempt_ack(now, id);
        }
    }

    fn send_ack(&mut self, now: Instant, id: AckId, flow: Flow) {
        let Some(ack) = self.acks.get(id.0) else {
            return;
        };
        let (contact, suffix) = (ack.draft.contact.clone(), ack.draft.branch_suffix.clone());
        let mut request = ack.draft.request.clone();
        self.complete(
            &mut request,
            &flow,
            contact.as_ref(),
            None,
            suffix.as_deref(),
        );
        let contents = request.to_bytes();
        if self.transport.send(now, &flow, contents.clone()).is_err() {
            return self.attempt_ack(now, id);
        }
        self.observe(now, Direction::Sent, &flow, &contents);
        match self.acks.get_mut(id.0) {
            Some(ack) if ack.kept.is_some() => ack.state = State::Sent { flow, contents },
            _ => self.forget_ack(id),
        }
    }

    /// A kept ACK may try again at the next 2xx; a forwarded one is lost, as any datagram may be.
    fn ack_failed(&mut self, id: AckId) {
        if self.acks.get(id.0).is_some_and(|ack| ack.kept.is_none()) {
            self.forget_ack(id);
        }
    }

    pub(crate) fn forget_ack(&mut self, id: AckId) {
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
            State::Connecting(flow) => self.stop_waiting(&flow, Waiter::Ack(id)),
            State::Idle | State::Sent { .. } => {}
        }
    }
}
