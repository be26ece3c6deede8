//! What comes in, on its way up.

use crate::{
    Endpoint, Event,
    endpoint::Waiter,
    event::AttemptFailure,
    names::{self, Located, NameEvent},
    observation::Direction,
    stack::Notice,
};
use sip_io::{Flow, Protocol};
use sip_message::{Request, Response, StatusCode};
use sip_transaction::{Event as TransactionEvent, ServerTransactionId};
use sip_transport::{CloseReason, Event as TransportEvent, ResponseRoute};
use std::time::Instant;

// None of these three is to be inlined into the loop of `settle`: it would begin with working out the addresses of all
// that they touch, 55 instructions and 3.5 KB of stack each time, most of the times for nothing.
impl Endpoint {
    #[inline(never)]
    pub(crate) fn handle_transport_event(&mut self, now: Instant, event: TransportEvent) {
        match event {
            TransportEvent::Request { flow, request } => {
                if self.observer.is_on() {
                    self.observe(now, Direction::Received, &flow, &request.to_bytes());
                }
                self.transactions.receive_request(now, flow, request);
            }
            TransportEvent::Response { flow, response } => {
                if self.observer.is_on() {
                    self.observe(now, Direction::Received, &flow, &response.to_bytes());
                }
                self.transactions.receive_response(now, flow, response);
            }
            TransportEvent::Stun { flow, contents } => self.stun_received(now, flow, &contents),
            TransportEvent::Pong { flow } => self.pong_received(now, flow),
            TransportEvent::NetworkChanged => self.events.push_back(Event::NetworkChanged),
            TransportEvent::Opened { flow } => self.flow_opened(now, flow),
            TransportEvent::Closed { flow, reason } => self.flow_closed(now, flow, reason),
            TransportEvent::Failed { flow, .. } => {
                self.transactions.flow_failed(now, &flow);
                self.ack_flow_failed(now, &flow);
            }
            TransportEvent::Note { from, note } => {
                self.events.push_back(Event::Note { from, note });
            }
            TransportEvent::Listening { listener, local } => {
                self.listeners_changed();
                self.notices
                    .push_back(Notice::Listening { listener, local });
            }
            TransportEvent::CertificateEnding { domains, not_after } => {
                self.notices
                    .push_back(Notice::CertificateEnding { domains, not_after });
            }
            TransportEvent::ListenFailed { listener, reason } => {
                self.notices
                    .push_back(Notice::ListenFailed { listener, reason });
            }
            _ => {}
        }
    }

    #[inline(never)]
    pub(crate) fn handle_transaction_event(&mut self, now: Instant, event: TransactionEvent) {
        match event {
            TransactionEvent::Request { id, flow, request } => {
                if let Some(control) = &mut self.overload_control {
                    control.taken(now, id, &request);
                }
                self.events.push_back(Event::Request { id, flow, request });
            }
            TransactionEvent::Ack {
                flow,
                request,
                invite,
            } => {
                self.events.push_back(Event::Ack {
                    flow,
                    request,
                    invite,
                });
            }
            TransactionEvent::Cancel {
                id,
                invite: Some(invite),
                request,
                ..
            } => {
                self.answer_cancel(now, id, invite, request);
            }
            TransactionEvent::Cancel {
                id,
                invite: None,
                flow,
                request,
            } => {
                self.events.push_back(Event::Request { id, flow, request });
            }
            TransactionEvent::Response { id, response, flow } => {
                self.response_received(now, id, response, flow)
            }
            TransactionEvent::TimedOut { id } => {
                self.transaction_failed(now, id, AttemptFailure::TimedOut)
            }
            TransactionEvent::Failed { id } => {
                self.transaction_failed(now, id, AttemptFailure::Unreachable)
            }
            TransactionEvent::Unacknowledged { id } => {
                self.events.push_back(Event::Unacknowledged { id })
            }
            // RFC 6026 §7.3: a stray response is dropped; only a stateless proxy would forward it.
            TransactionEvent::Stray { flow, response } if self.passes_strays => {
                self.events.push_back(Event::Stray { flow, response });
            }
            TransactionEvent::Stray { .. } => {}
            TransactionEvent::Ended { id } => self.transaction_ended(id),
            TransactionEvent::ServerEnded { id } => {
                self.forget_response(id);
                if let Some(control) = &mut self.overload_control {
                    control.answered(id);
                }
                self.events.push_back(Event::ServerEnded { id });
            }
            TransactionEvent::Overloaded { flow, request } => self.refuse(now, flow, &request),
            _ => {}
        }
    }

    #[inline(never)]
    pub(crate) fn handle_name_event(&mut self, now: Instant, event: NameEvent) {
        let (id, targets) = match event {
            NameEvent::Question { id, question } => {
                self.notices
                    .push_back(Notice::LookupNeeded { id, question });
                return;
            }
            NameEvent::Resolved { id, targets } => {
                (id, Ok(targets.into_iter().map(names::located).collect()))
            }
            NameEvent::Failed { id, error } => (id, Err(error.to_string())),
            _ => return,
        };
        match self.lookups.remove(&id) {
            Some(Waiter::Request(id)) => self.request_located(now, id, targets),
            Some(Waiter::Ack(id)) => self.ack_located(now, id, targets),
            Some(Waiter::Response(id)) => {
                let targets = targets.map(|located: Vec<Located>| {
                    located.into_iter().map(|located| located.target).collect()
                });
                self.response_located(now, id, targets)
            }
            None => {}
        }
    }

    /// RFC 3261 §9.2: a CANCEL that matches is answered with 200 whatever became of the INVITE, with the same To tag.
    fn answer_cancel(
        &mut self,
        now: Instant,
        id: ServerTransactionId,
        invite: ServerTransactionId,
        request: Box<Request>,
    ) {
        let response = request
            .response(StatusCode::OK)
            .to_tag(self.tag_for(invite))
            .build();
        if let Err(error) = self.respond(now, id, response) {
            tracing::debug!(%error, "a CANCEL was not answered");
        }
        self.events.push_back(Event::Cancelled {
            id: invite,
            request,
        });
    }

    /// There is no room: a stateless 503 while this second's share lasts, silence afterwards.
    fn refuse(&mut self, now: Instant, flow: Flow, request: &Request) {
        self.overload.refused += 1;
        if let Some(control) = &mut self.overload_control {
            control.refused(now);
        }
        if !self.overload.answers.take(now) {
            return;
        }
        self.overload.answered += 1;
        let mut response = request
            .response(StatusCode::SERVICE_UNAVAILABLE)
            .to_tag(self.new_tag())
            .build();
        response.ensure_content_length();
        self.tell_overload(now, None, &mut response);
        self.send_statelessly(now, flow, &response);
    }

    fn send_statelessly(&mut self, now: Instant, source: Flow, response: &Response) {
        let Ok(via) = response.via() else { return };
        if let ResponseRoute::Flow(flow) = self.transport.route_response(&source, &via) {
            let contents = response.to_bytes();
            if self.transport.send(now, &flow, contents.clone()).is_ok() {
                self.observe(now, Direction::Sent, &flow, &contents);
            }
        }
    }

    fn flow_opened(&mut self, now: Instant, flow: Flow) {
        for waiter in self.connecting.remove(&flow).unwrap_or_default() {
            match waiter {
                Waiter::Request(id) => self.request_connected(now, id, flow),
                Waiter::Ack(id) => self.ack_connected(now, id, flow),
                Waiter::Response(id) => self.response_connected(now, id, flow),
            }
        }
    }

    fn flow_closed(&mut self, now: Instant, flow: Flow, reason: CloseReason) {
        self.forget_kept(&flow);
        if self.await_reconnection && self.transport.is_reachable(&flow) {
            self.transactions.flow_failed(now, &flow);
        } else {
            self.transactions.flow_cut(now, &flow);
        }
        self.ack_flow_failed(now, &flow);
        let failure = match reason {
            CloseReason::Handshake(failure) => AttemptFailure::Handshake(failure),
            _ => AttemptFailure::Unreachable,
        };
        for waiter in self.connecting.remove(&flow).unwrap_or_default() {
            match waiter {
                Waiter::Request(id) => self.request_not_connected(now, id, &flow, failure),
                Waiter::Ack(id) => self.ack_not_connected(now, id),
                Waiter::Response(id) => self.response_not_connected(now, id),
            }
        }
        // What never was open is known to nobody.
        if !matches!(reason, CloseReason::Refused(_) | CloseReason::Handshake(_)) {
            self.events.push_back(Event::FlowClosed { flow });
        }
    }

    /// RFC 3263 §4.1: only what we speak is of use.
    pub(crate) fn listeners_changed(&mut self) {
        let listeners = self.transport.listeners();
        let bound: Vec<_> = listeners
            .filter_map(|(id, listener, bound)| Some((id, listener.protocol(), bound?)))
            .collect();
        // Whoever listens for one transport may connect over another; TLS is worth a question of its own.
        let secure = self.transport.speaks(Protocol::Tls);
        self.names.set_reach(&bound, secure);
    }

    pub(crate) fn stop_waiting(&mut self, flow: &Flow, waiter: Waiter) {
        if let Some(waiters) = self.connecting.get_mut(flow) {
            waiters.retain(|waiting| *waiting != waiter);
            if waiters.is_empty() {
                self.connecting.remove(flow);
            }
        }
    }
}
