//! Responses, also those whose connection is gone (RFC 3261 §18.2.2).

use crate::{Endpoint, Event, endpoint::Waiter, observation::Direction};
use bytes::Bytes;
use sip_io::Flow;
use sip_message::{Response, headers::Via};
use sip_resolver::{LookupId, Query};
use sip_transaction::{Owner, RespondError, Send, ServerTransactionId};
use sip_transport::{ResponseRoute, Target};
use std::{collections::VecDeque, time::Instant};

/// The newest response of a transaction that has no open flow; an older one is worth nothing.
#[derive(Debug)]
pub(crate) struct Undelivered {
    contents: Bytes,
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
    /// It goes where the Via says, from the socket that got the request; over a new connection when the old one is
    /// gone.
    ///
    /// # Errors
    ///
    /// When the transaction is gone or has had its final response.
    pub fn respond(
        &mut self,
        now: Instant,
        id: ServerTransactionId,
        response: Response,
    ) -> Result<(), RespondError> {
        let source = self
            .transactions
            .server_flow(id)
            .ok_or(RespondError::Gone)?;
        let flow = match response
            .via()
            .map(|via| self.transport.route_response(&source, &via))
        {
            Ok(ResponseRoute::Flow(flow)) => flow,
            // Sending on the dead flow fails, and then the way is looked for.
            _ => source,
        };
        self.transactions.respond(now, id, &response, flow)
    }

    pub(crate) fn handle_transaction_send(&mut self, now: Instant, send: Send) {
        let Send {
            flow,
            contents,
            owner,
        } = send;
        match (self.transport.send(now, &flow, contents.clone()), owner) {
            (Ok(()), _) => self.observe(now, Direction::Sent, &flow, &contents),
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
        let Some(via) = Response::parse(contents.clone())
            .ok()
            .and_then(|response| response.via().ok())
        else {
            return;
        };
        match self.transport.route_response(&source, &via) {
            ResponseRoute::Flow(flow) if flow != source => self.deliver(now, id, flow, contents),
            ResponseRoute::Connect(target) => {
                let targets = VecDeque::from([target]);
                self.undelivered.insert(
                    id,
                    Undelivered {
                        contents,
                        targets,
                        state: State::Idle,
                        asked: false,
                    },
                );
                self.attempt_response(now, id);
            }
            ResponseRoute::Resolve { .. } => {
                self.undelivered.insert(
                    id,
                    Undelivered {
                        contents,
                        targets: VecDeque::new(),
                        state: State::Idle,
                        asked: false,
                    },
                );
                self.attempt_response(now, id);
            }
            _ => self.events.push_back(Event::ResponseUndelivered { id }),
        }
    }

    fn attempt_response(&mut self, now: Instant, id: ServerTransactionId) {
        loop {
            let Some(pending) = self.undelivered.get_mut(&id) else {
                return;
            };
            let Some(target) = pending.targets.pop_front() else {
                break;
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
                Ok(flow) => {
                    let contents = pending.contents.clone();
                    self.forget_response(id);
                    return self.deliver(now, id, flow, contents);
                }
                Err(_) => {}
            }
        }
        self.ask_for_sent_by(now, id);
    }

    /// RFC 3263 §5: the name in the Via, when neither connection nor address leads back.
    fn ask_for_sent_by(&mut self, now: Instant, id: ServerTransactionId) {
        let Some(pending) = self.undelivered.get_mut(&id) else {
            return;
        };
        let via: Option<Via> = Response::parse(pending.contents.clone())
            .ok()
            .and_then(|response| response.via().ok());
        match via.as_ref().and_then(sent_by_query) {
            Some(query) if !pending.asked => {
                pending.asked = true;
                let lookup = self.names.start(now, query);
                pending.state = State::Resolving(lookup);
                self.lookups.insert(lookup, Waiter::Response(id));
            }
            _ => {
                self.forget_response(id);
                self.events.push_back(Event::ResponseUndelivered { id });
            }
        }
    }

    fn deliver(&mut self, now: Instant, id: ServerTransactionId, flow: Flow, contents: Bytes) {
        // Retransmissions follow the response.
        self.transactions.set_server_flow(id, flow);
        if self.transport.send(now, &flow, contents.clone()).is_ok() {
            self.observe(now, Direction::Sent, &flow, &contents);
        } else {
            self.events.push_back(Event::ResponseUndelivered { id });
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
        if let Some(pending) = self.undelivered.remove(&id) {
            self.deliver(now, id, flow, pending.contents);
        }
    }

    pub(crate) fn response_not_connected(&mut self, now: Instant, id: ServerTransactionId) {
        if let Some(pending) = self.undelivered.get_mut(&id) {
            pending.state = State::Idle;
            self.attempt_response(now, id);
        }
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

/// What to ask for the sent-by of a Via; nothing for a name that says it leads nowhere (RFC 7118 §5).
fn sent_by_query(via: &Via) -> Option<Query> {
    let protocol = sip_io::Protocol::from_token(via.transport())?;
    let host = via.host().to_string();
    if host.ends_with(".invalid") {
        return None;
    }
    Query::host(&host, via.port(), Some(protocol)).ok()
}
