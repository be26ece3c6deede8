//! Connections that a request waits for: one, or several addresses of one server beside each other (RFC 8305 §5).

use crate::{
    Endpoint,
    endpoint::{Due, Waiter},
    event::AttemptFailure,
    hop::Hop,
    search::{Outbound, RequestId, State},
};
use sip_io::{Flow, TimerId};
use sip_message::Method;
use sip_transport::Target;
use std::time::Instant;

/// The connections that are being opened for a request.
///
/// ```text
///   first address --- 250 ms ---> second address --- 250 ms ---> …
///        |                             |
///        '------- the first that is open is used, the others are closed
/// ```
#[derive(Debug, Default)]
pub(crate) struct Connecting {
    under_way: Vec<(Flow, Hop)>,
    /// When the next address has its turn beside these
    race: Option<TimerId>,
}

impl Connecting {
    fn flows(&self) -> impl Iterator<Item = Flow> {
        self.under_way.iter().map(|(flow, _)| *flow)
    }
}

impl Endpoint {
    /// Waits for a connection that is being opened, beside those that it waits for already.
    pub(crate) fn await_connection(&mut self, now: Instant, id: RequestId, flow: Flow, hop: Hop) {
        let Some(request) = self.requests.get_mut(id.0) else {
            return;
        };
        let next = request.next_hop();
        let has_rival = next.is_some_and(|next| next.may_race(&hop));
        if !matches!(request.state, State::Connecting(_)) {
            request.state = State::Connecting(Connecting::default());
        }
        let State::Connecting(connecting) = &mut request.state else {
            return;
        };
        connecting.under_way.push((flow, hop));
        if has_rival {
            let at = now + self.failover.attempt_delay;
            connecting.race = Some(self.timers.insert(at, Due::Race(id)));
        }
        self.connecting
            .entry(flow)
            .or_default()
            .push(Waiter::Request(id));
        self.limit_silence(now, id);
    }

    /// The connection takes long: another address of the same server is tried beside it.
    pub(crate) fn race(&mut self, now: Instant, id: RequestId) {
        loop {
            let Some(request) = self.requests.get_mut(id.0) else {
                return;
            };
            let Some(hop) = request.next_rival() else {
                return;
            };
            if self.is_shed(now, id, &hop.target, hop.server.as_deref()) {
                if let Some(search) = self.search(id) {
                    search.failed(hop.target, AttemptFailure::Shed);
                }
                return;
            }
            let Some(request) = self.requests.get_mut(id.0) else {
                return;
            };
            match request.flow_to(now, &mut self.transport, &hop) {
                Some(Ok(flow)) if self.transport.is_connecting(&flow) => {
                    return self.await_connection(now, id, flow, hop);
                }
                // It is open already, for somebody else.
                Some(Ok(flow)) => {
                    self.end_race(id, None);
                    let begun = self.begin(now, id, flow, Some(hop));
                    return self.go_on(now, id, begun);
                }
                Some(Err(error)) => {
                    if let Some(search) = self.search(id) {
                        search.failed(hop.target, error.into());
                    }
                }
                None => return,
            }
        }
    }

    pub(crate) fn request_connected(&mut self, now: Instant, id: RequestId, flow: Flow) {
        if let Some(hop) = self.end_race(id, Some(flow)) {
            let begun = self.begin(now, id, flow, Some(hop));
            self.go_on(now, id, begun);
        }
    }

    pub(crate) fn request_not_connected(
        &mut self,
        now: Instant,
        id: RequestId,
        flow: &Flow,
        failure: AttemptFailure,
    ) {
        let Some(request) = self.requests.get_mut(id.0) else {
            return;
        };
        let State::Connecting(connecting) = &mut request.state else {
            return;
        };
        let place = connecting.flows().position(|other| other == *flow);
        let Some(place) = place else { return };
        let (_, hop) = connecting.under_way.remove(place);
        let is_last = connecting.under_way.is_empty();
        self.failover
            .failed(now, &Method::INVITE, &hop.target, failure);
        if let Some(search) = self.search(id) {
            search.failed(hop.target, failure);
        }
        if is_last {
            self.end_race(id, None);
            self.stop_silence(id);
            self.attempt(now, id);
        } else {
            // RFC 8305 §5: who has failed is not waited for.
            self.stop_race_timer(id);
            self.race(now, id);
        }
    }

    /// Stops waiting for connections, and closes those that nobody else waits for. The hop of the one that is open; the
    /// others may still be tried.
    fn end_race(&mut self, id: RequestId, open: Option<Flow>) -> Option<Hop> {
        self.stop_race_timer(id);
        let request = self.requests.get_mut(id.0)?;
        if !matches!(request.state, State::Connecting(_)) {
            return None;
        }
        let State::Connecting(connecting) = std::mem::replace(&mut request.state, State::Idle)
        else {
            return None;
        };
        let mut winner = None;
        let mut losers = Vec::new();
        for (flow, hop) in connecting.under_way {
            if open == Some(flow) {
                winner = Some(hop);
            } else {
                losers.push((flow, hop));
            }
        }
        for (flow, hop) in losers.into_iter().rev() {
            self.stop_waiting(&flow, Waiter::Request(id));
            if !self.connecting.contains_key(&flow) && self.transport.is_connecting(&flow) {
                self.transport.close(&flow);
            }
            if let Some(search) = self.search(id) {
                search.hops.push_front(hop);
            }
        }
        winner
    }

    /// Stops waiting for connections; what they were opened to.
    pub(crate) fn stop_connections(&mut self, id: RequestId) -> Vec<Target> {
        let Some(request) = self.requests.get_mut(id.0) else {
            return Vec::new();
        };
        match std::mem::replace(&mut request.state, State::Idle) {
            State::Connecting(connecting) => {
                if let Some(timer) = connecting.race {
                    self.timers.cancel(timer);
                }
                for flow in connecting.flows() {
                    self.stop_waiting(&flow, Waiter::Request(id));
                }
                let targets = connecting.under_way.into_iter();
                targets.map(|(_, hop)| hop.target).collect()
            }
            other => {
                request.state = other;
                Vec::new()
            }
        }
    }

    fn stop_race_timer(&mut self, id: RequestId) {
        if let Some(request) = self.requests.get_mut(id.0)
            && let State::Connecting(connecting) = &mut request.state
            && let Some(timer) = connecting.race.take()
        {
            self.timers.cancel(timer);
        }
    }
}

impl Outbound {
    /// The next hop, if it may be tried beside the connections that are being opened; their timer is over.
    fn next_rival(&mut self) -> Option<Hop> {
        let State::Connecting(connecting) = &mut self.state else {
            return None;
        };
        connecting.race = None;
        let (_, latest) = connecting.under_way.last()?;
        let hops = &mut self.search.as_mut()?.hops;
        let is_rival = hops.front().is_some_and(|next| next.may_race(latest));
        is_rival.then(|| hops.pop_front()).flatten()
    }
}
