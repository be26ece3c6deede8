//! Responses, also those whose connection is gone (RFC 3261 §18.2.2).

use crate::{Endpoint, Event, endpoint::Waiter, observation::Direction};
use bytes::Bytes;
use sip_io::Flow;
use sip_message::{
    Method, Response,
    headers::{CSeq, Via},
};
use sip_resolver::{LookupId, Query};
use sip_transaction::{Owner, RespondError, Send, ServerTransactionId};
use sip_transport::{ResponseRoute, Target};
use std::{borrow::BorrowMut, collections::VecDeque, time::Instant};

/// The newest response of a transaction that has no open flow; an older one is worth nothing.
///
/// ```text
///   connection gone
///      |                                       not opened
///      +--> Connecting to source and sent-by port ----.
///      |            | opened                          V
///      |            V          found              Resolving sent-by
///      |        delivered <--- Connecting <-----------+
///      |                                              | not found, an address, or it said `.invalid`
///      '--> nobody can open another ----------------> ResponseUndelivered
/// ```
#[derive(Debug)]
pub(crate) struct Undelivered {
    contents: Bytes,
    /// What the request came on
    source: Flow,
    via: Via,
    targets: VecDeque<Target>,
    state: State,
    /// RFC 3263 §5: after the address of the Via, its name is asked once
    asked: bool,
}

#[derive(Debug)]
enum State {
    Idle,
    Resolving(LookupId),
    Connecting(Flow),
}

impl Endpoint {
    /// Answers a request: provisional, final, or a further 2xx that a user agent repeats (RFC 6026 §7.1).
    ///
    /// It goes where the Via says, from the socket that got the request, or on its connection; over a new connection
    /// when that one is gone (RFC 3261 §18.2.2, RFC 3263 §5). A `maddr` that is a name is not looked up while the
    /// source can be reached: anyone could have a third party be answered.
    ///
    /// Who may need the response again lends it instead of giving it away; what is said in it about overload is replaced
    /// the next time.
    ///
    /// # Errors
    ///
    /// When the transaction is gone or has had its final response.
    pub fn respond(
        &mut self,
        now: Instant,
        id: ServerTransactionId,
        mut response: impl BorrowMut<Response>,
    ) -> Result<(), RespondError> {
        let response = response.borrow_mut();
        let flow = self.transactions.server_flow(id);
        if flow.ok_or(RespondError::Gone)?.is_stream() {
            // RFC 3261 §18.3: what came in a datagram may lack what a stream is framed by.
            response.ensure_content_length();
        }
        self.tell_overload(now, Some(id), response);
        // The layer has read the Via; on a flow that is gone sending fails, and then the way is looked for.
        self.transactions.respond_back(now, id, response)
    }

    /// As [`Self::respond`], but what answers a request other than INVITE is forgotten at once: a copy of the request is a
    /// new one, and its answer has the same To tag where that is ours ([`tag_for`](Self::tag_for), RFC 3261 §8.2.7).
    ///
    /// For challenges, so that who shows no credentials costs no memory (RFC 3261 §26.3.2.4).
    ///
    /// # Errors
    ///
    /// When the transaction is gone or has had its final response.
    pub fn respond_statelessly(
        &mut self,
        now: Instant,
        id: ServerTransactionId,
        mut response: Response,
    ) -> Result<(), RespondError> {
        let flow = self
            .transactions
            .server_flow(id)
            .ok_or(RespondError::Gone)?;
        if flow.is_stream() {
            response.ensure_content_length();
        }
        let is_invite = |cseq: CSeq| *cseq.method() == Method::INVITE;
        if !response.cseq().is_ok_and(is_invite)
            && let Ok(to) = response.to()
            && to.tag() == Some(self.tag_for(id))
        {
            let tag = self.stateless_tag(&response);
            response.headers_mut().set(to.with_tag(&tag));
        }
        self.tell_overload(now, Some(id), &mut response);
        self.transactions
            .respond_statelessly(now, id, &response, flow)
    }

    /// Not to be inlined into the loop of [`settle`](Self::settle), for the reason that stands at the others.
    #[inline(never)]
    pub(crate) fn handle_transaction_send(&mut self, now: Instant, send: Send) {
        let Send {
            flow,
            mut contents,
            owner,
        } = send;
        // Another reference to what is sent costs an allocation.
        let observed = self.observer.is_on().then(|| contents.clone());
        let sent = self.transport.send_or_leave(now, &flow, &mut contents);
        match (sent, owner) {
            (Ok(()), _) => {
                if let Some(contents) = observed {
                    self.observe(now, Direction::Sent, &flow, &contents);
                }
            }
            (Err(_), Owner::Client(_)) => self.transactions.send_failed(now, owner),
            (Err(_), Owner::Server(id)) => self.reroute(now, id, flow, contents),
        }
    }

    /// Looks for another way to deliver a response.
    fn reroute(&mut self, now: Instant, id: ServerTransactionId, source: Flow, contents: Bytes) {
        if let Some(pending) = self.undelivered.get_mut(&id) {
            // Already on its way somewhere: the newest response takes the place.
            pending.contents = contents;
            return;
        }
        let via = Response::parse(contents.clone()).and_then(|response| response.via());
        let route = match &via {
            Ok(via) if self.undelivered.len() < self.request_limit => {
                self.transport.route_response(&source, via)
            }
            _ => ResponseRoute::Gone,
        };
        let (Ok(via), ResponseRoute::Connect(target)) = (via, route) else {
            self.response_lost(id);
            return;
        };
        self.undelivered.insert(
            id,
            Undelivered {
                contents,
                source,
                via,
                targets: VecDeque::from([target]),
                state: State::Idle,
                asked: false,
            },
        );
        self.attempt_response(now, id);
    }

    fn attempt_response(&mut self, now: Instant, id: ServerTransactionId) {
        loop {
            let Some(pending) = self.undelivered.get_mut(&id) else {
                return;
            };
            let Some(target) = pending.targets.pop_front() else {
                return self.ask_for_sent_by(now, id);
            };
            match self.transport.flow_to(now, &target) {
                Ok(flow) if self.transport.is_connecting(&flow) => {
                    pending.state = State::Connecting(flow);
                    self.connecting
                        .entry(flow)
                        .or_default()
                        .push(Waiter::Response(id));
                    return;
                }
                Ok(flow) => return self.deliver(now, id, flow),
                Err(error) => tracing::debug!(%error, "a response has no way"),
            }
        }
    }

    /// RFC 3263 §5: the name in the Via, when neither connection nor address leads back.
    fn ask_for_sent_by(&mut self, now: Instant, id: ServerTransactionId) {
        let Some(pending) = self.undelivered.get_mut(&id) else {
            return;
        };
        let query = match self
            .transport
            .reroute_response(&pending.source, &pending.via)
        {
            ResponseRoute::Resolve {
                host,
                port,
                protocol,
            } if !pending.asked => Query::host(&host.to_string(), port, Some(protocol)).ok(),
            _ => None,
        };
        match query {
            Some(query) => {
                pending.asked = true;
                let listener = self.transport.listener_of(&pending.source);
                let view = self.names.view_of(listener);
                let lookup = self.names.start(now, view, query);
                pending.state = State::Resolving(lookup);
                self.lookups.insert(lookup, Waiter::Response(id));
            }
            None => {
                self.forget_response(id);
                self.response_lost(id);
            }
        }
    }

    fn deliver(&mut self, now: Instant, id: ServerTransactionId, flow: Flow) {
        let Some(Undelivered { contents, .. }) = self.undelivered.remove(&id) else {
            return;
        };
        // Retransmissions follow the response.
        self.transactions.set_server_flow(id, flow);
        if self.transport.send(now, &flow, contents.clone()).is_ok() {
            self.observe(now, Direction::Sent, &flow, &contents);
        } else {
            self.response_lost(id);
        }
    }

    pub(crate) fn response_located(
        &mut self,
        now: Instant,
        id: ServerTransactionId,
        targets: Result<Vec<Target>, String>,
    ) {
        if let Some(pending) = self.undelivered.get_mut(&id) {
            pending.state = State::Idle;
            pending.targets = targets.unwrap_or_default().into();
            self.attempt_response(now, id);
        }
    }

    pub(crate) fn response_connected(&mut self, now: Instant, id: ServerTransactionId, flow: Flow) {
        self.deliver(now, id, flow);
    }

    pub(crate) fn response_not_connected(&mut self, now: Instant, id: ServerTransactionId) {
        if let Some(pending) = self.undelivered.get_mut(&id) {
            pending.state = State::Idle;
            self.attempt_response(now, id);
        }
    }

    fn response_lost(&mut self, id: ServerTransactionId) {
        self.lost.responses += 1;
        self.events.push_back(Event::ResponseUndelivered { id });
    }

    pub(crate) fn forget_response(&mut self, id: ServerTransactionId) {
        let Some(pending) = self.undelivered.remove(&id) else {
            return;
        };
        match pending.state {
            State::Resolving(lookup) => {
                self.lookups.remove(&lookup);
                self.names.cancel(lookup);
            }
            State::Connecting(flow) => self.stop_waiting(&flow, Waiter::Response(id)),
            State::Idle => {}
        }
    }
}
