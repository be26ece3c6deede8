//! Requests of ours, over as many transactions as they take.

use crate::{
    Draft, Endpoint, Event,
    draft::NextHop,
    endpoint::{Due, Waiter},
    event::{Attempt, AttemptFailure, Failure},
    table::Key,
};
use sip_io::{Flow, TimerId};
use sip_message::{Method, Response, StatusCode, Uri, headers::Route};
use sip_resolver::{LookupId, Query};
use sip_transaction::ClientTransactionId;
use sip_transport::Target;
use std::{collections::VecDeque, time::Instant};

/// Names a request of ours from [`Endpoint::request`] to [`Event::RequestEnded`] or [`Event::RequestFailed`]; stale
/// afterwards, and then harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub(crate) Key);

/// A request on its way.
///
/// ```text
///   request
///      |            name
///      +---------> Resolving -----.
///      | flow, targets            | targets
///      +--------------------------+
///                                 V     stream not open yet
///      .--- next target ---> (attempt) ------> Connecting
///      |                          |                | opened
///      |                          | sent           |
///      |                          V                |
///      '-- 503, time-out, ---- Transaction <-------'
///          failure before         | final response
///          any response           V
///                              Answered
/// ```
#[derive(Debug)]
pub(crate) struct Outbound {
    draft: Draft,
    state: State,
    targets: VecDeque<Target>,
    tried: Vec<Attempt>,
    /// RFC 3263 §4.3: a response of any kind ends the search for another server
    heard: bool,
    cancelled: bool,
    deadline: Option<TimerId>,
}

#[derive(Debug)]
enum State {
    Idle,
    Resolving(LookupId),
    Connecting {
        flow: Flow,
        target: Target,
    },
    Transaction {
        id: ClientTransactionId,
        flow: Flow,
        target: Option<Target>,
    },
    Answered {
        flow: Flow,
    },
}

impl Outbound {
    pub(crate) const fn is_answered(&self) -> bool {
        matches!(self.state, State::Answered { .. })
    }
}

impl Endpoint {
    /// Sends a request. It never fails here: what goes wrong comes as [`Event::RequestFailed`].
    pub fn request(&mut self, now: Instant, draft: Draft) -> RequestId {
        let deadline = draft.deadline;
        let next = draft.next.clone();
        let full = self.requests.len() >= self.request_limit;
        let id = RequestId(self.requests.insert(Outbound {
            draft,
            state: State::Idle,
            targets: VecDeque::new(),
            tried: Vec::new(),
            heard: false,
            cancelled: false,
            deadline: None,
        }));
        if full {
            self.fail_request(id, Failure::Full);
            return id;
        }
        if let Some(deadline) = deadline {
            let timer = self.timers.insert(now + deadline, Due::Deadline(id));
            if let Some(request) = self.requests.get_mut(id.0) {
                request.deadline = Some(timer);
            }
        }
        match next {
            NextHop::Uri => self.locate(now, id),
            NextHop::Flow { flow, or_uri } => {
                if self.transport.is_open(&flow) {
                    self.begin(now, id, flow, None);
                } else if or_uri {
                    self.locate(now, id);
                } else {
                    self.fail_request(id, Failure::Unreachable { tried: Vec::new() });
                }
            }
            NextHop::Targets(targets) => {
                if let Some(request) = self.requests.get_mut(id.0) {
                    request.targets = targets.into();
                }
                self.attempt(now, id);
            }
        }
        id
    }

    /// Gives up a request (RFC 3261 §9.1). Before anything was sent it fails with [`Failure::Cancelled`]; an INVITE
    /// gets a CANCEL, at once or after its first provisional response, and ends by its final response; any other
    /// request that was sent cannot be cancelled and goes on. Each wish forbids further attempts.
    pub fn cancel(&mut self, now: Instant, id: RequestId) {
        let Some(request) = self.requests.get_mut(id.0) else {
            return;
        };
        request.cancelled = true;
        match request.state {
            State::Transaction {
                id: transaction, ..
            } => {
                if *request.draft.request.method() == Method::INVITE {
                    // Whoever cancels twice wishes the same twice.
                    let _repeated = self.transactions.cancel(now, transaction, None);
                }
            }
            State::Answered { .. } => {}
            State::Idle | State::Resolving(_) | State::Connecting { .. } => {
                self.fail_request(id, Failure::Cancelled)
            }
        }
    }

    /// The flow that a request went out on, once it has.
    pub fn request_flow(&self, id: RequestId) -> Option<Flow> {
        match self.requests.get(id.0)?.state {
            State::Transaction { flow, .. } | State::Answered { flow } => Some(flow),
            State::Idle | State::Resolving(_) | State::Connecting { .. } => None,
        }
    }

    /// Asks where the topmost Route or the Request-URI leads.
    fn locate(&mut self, now: Instant, id: RequestId) {
        let Some(request) = self.requests.get_mut(id.0) else {
            return;
        };
        let query = match Query::uri(&next_hop(&request.draft)) {
            Ok(query) => query,
            Err(error) => {
                return self.fail_request(
                    id,
                    Failure::NoTarget {
                        cause: error.to_string(),
                    },
                );
            }
        };
        let lookup = self.names.start(now, query);
        request.state = State::Resolving(lookup);
        // Failing over from a flow to the URI happens once.
        request.draft.next = NextHop::Uri;
        self.lookups.insert(lookup, Waiter::Request(id));
    }

    pub(crate) fn request_located(
        &mut self,
        now: Instant,
        id: RequestId,
        targets: Result<Vec<Target>, String>,
    ) {
        let Some(request) = self.requests.get_mut(id.0) else {
            return;
        };
        match targets {
            Ok(targets) => {
                request.state = State::Idle;
                request.targets = targets.into();
                self.attempt(now, id);
            }
            Err(cause) => self.fail_request(id, Failure::NoTarget { cause }),
        }
    }

    /// Tries the next target.
    fn attempt(&mut self, now: Instant, id: RequestId) {
        loop {
            let Some(request) = self.requests.get_mut(id.0) else {
                return;
            };
            let Some(target) = request.targets.pop_front() else {
                let tried = std::mem::take(&mut request.tried);
                let timed_out = tried
                    .last()
                    .is_some_and(|last| last.failure == AttemptFailure::TimedOut);
                let reason = if timed_out {
                    Failure::TimedOut { tried }
                } else {
                    Failure::Unreachable { tried }
                };
                self.fail_request(id, reason);
                return;
            };
            match self.transport.flow_to(now, &target) {
                Ok(flow) if self.transport.is_connecting(&flow) => {
                    request.state = State::Connecting { flow, target };
                    self.connecting
                        .entry(flow)
                        .or_default()
                        .push(Waiter::Request(id));
                    return;
                }
                Ok(flow) => return self.begin(now, id, flow, Some(target)),
                Err(_) => request.tried.push(Attempt {
                    target,
                    failure: AttemptFailure::NoListener,
                }),
            }
        }
    }

    pub(crate) fn request_connected(&mut self, now: Instant, id: RequestId, flow: Flow) {
        let Some(request) = self.requests.get_mut(id.0) else {
            return;
        };
        if let State::Connecting { target, .. } = &request.state {
            let target = target.clone();
            self.begin(now, id, flow, Some(target));
        }
    }

    pub(crate) fn request_not_connected(&mut self, now: Instant, id: RequestId) {
        let Some(request) = self.requests.get_mut(id.0) else {
            return;
        };
        if let State::Connecting { target, .. } = &request.state {
            request.tried.push(Attempt {
                target: target.clone(),
                failure: AttemptFailure::Unreachable,
            });
            request.state = State::Idle;
            self.attempt(now, id);
        }
    }

    /// Begins a transaction with a branch of its own.
    fn begin(&mut self, now: Instant, id: RequestId, flow: Flow, target: Option<Target>) {
        let Some(request) = self.requests.get(id.0) else {
            return;
        };
        let draft = &request.draft;
        let (contact, record_route) = (draft.contact.clone(), draft.record_route.clone());
        let (suffix, timers) = (draft.branch_suffix.clone(), draft.timers);
        let mut attempt = draft.request.clone();
        self.complete(
            &mut attempt,
            &flow,
            contact.as_ref(),
            record_route.as_ref(),
            suffix.as_deref(),
        );
        match self.transactions.request(now, &attempt, flow, timers) {
            Ok(transaction) => {
                self.attempts.insert(transaction, id);
                if let Some(request) = self.requests.get_mut(id.0) {
                    request.state = State::Transaction {
                        id: transaction,
                        flow,
                        target,
                    };
                }
            }
            Err(_) => self.fail_request(id, Failure::Full),
        }
    }

    pub(crate) fn response_received(
        &mut self,
        now: Instant,
        transaction: ClientTransactionId,
        response: Response,
        flow: Flow,
    ) {
        let Some(&id) = self.attempts.get(&transaction) else {
            return;
        };
        let Some(request) = self.requests.get_mut(id.0) else {
            return;
        };
        let may_fail_over = !request.heard && !request.cancelled && !request.targets.is_empty();
        if response.status() == StatusCode::SERVICE_UNAVAILABLE && may_fail_over {
            self.attempts.remove(&transaction);
            return self.attempt_failed(now, id, AttemptFailure::Unavailable);
        }
        request.heard = true;
        if response.status().is_final() && !request.is_answered() {
            request.state = State::Answered { flow };
            if let Some(timer) = request.deadline.take() {
                self.timers.cancel(timer);
            }
        }
        self.events
            .push_back(Event::Response { id, response, flow });
    }

    /// A transaction ended without a final response.
    pub(crate) fn transaction_failed(
        &mut self,
        now: Instant,
        transaction: ClientTransactionId,
        failure: AttemptFailure,
    ) {
        let Some(id) = self.attempts.remove(&transaction) else {
            return;
        };
        let Some(request) = self.requests.get_mut(id.0) else {
            return;
        };
        if request.is_answered() {
            // Answered, then broken while it lingered: nobody is owed anything.
            return;
        }
        if request.heard || request.cancelled {
            request.targets.clear();
        } else if matches!(request.draft.next, NextHop::Flow { or_uri: true, .. }) {
            return self.locate(now, id);
        }
        self.attempt_failed(now, id, failure);
    }

    fn attempt_failed(&mut self, now: Instant, id: RequestId, failure: AttemptFailure) {
        let Some(request) = self.requests.get_mut(id.0) else {
            return;
        };
        match std::mem::replace(&mut request.state, State::Idle) {
            State::Transaction {
                target: Some(target),
                ..
            } => request.tried.push(Attempt { target, failure }),
            State::Transaction {
                target: None, flow, ..
            } => {
                let target = Target {
                    protocol: flow.protocol(),
                    address: flow.remote(),
                    name: None,
                };
                request.tried.push(Attempt { target, failure });
            }
            State::Idle
            | State::Resolving(_)
            | State::Connecting { .. }
            | State::Answered { .. } => {}
        }
        self.attempt(now, id);
    }

    /// A client transaction has left the layer.
    pub(crate) fn transaction_ended(&mut self, transaction: ClientTransactionId) {
        let Some(id) = self.attempts.remove(&transaction) else {
            return;
        };
        if self.requests.get(id.0).is_some_and(Outbound::is_answered) {
            self.forget_request(id);
            self.events.push_back(Event::RequestEnded { id });
        }
    }

    pub(crate) fn deadline_passed(&mut self, now: Instant, id: RequestId) {
        let Some(request) = self.requests.get_mut(id.0) else {
            return;
        };
        request.deadline = None;
        let is_invite = *request.draft.request.method() == Method::INVITE;
        match request.state {
            State::Transaction { .. } if is_invite => self.cancel(now, id),
            State::Answered { .. } => {}
            _ => {
                let tried = std::mem::take(&mut request.tried);
                self.fail_request(id, Failure::TimedOut { tried });
            }
        }
    }

    pub(crate) fn forget_request(&mut self, id: RequestId) -> Option<Outbound> {
        let request = self.requests.remove(id.0)?;
        if let Some(timer) = request.deadline {
            self.timers.cancel(timer);
        }
        match &request.state {
            State::Resolving(lookup) => {
                self.lookups.remove(lookup);
                self.names.cancel(*lookup);
            }
            State::Connecting { flow, .. } => self.stop_waiting(flow, Waiter::Request(id)),
            State::Transaction {
                id: transaction, ..
            } => {
                self.attempts.remove(transaction);
            }
            State::Idle | State::Answered { .. } => {}
        }
        Some(request)
    }
}

/// RFC 3261 §8.1.2: the topmost Route, else the Request-URI.
pub(crate) fn next_hop(draft: &Draft) -> Uri {
    if let Some(uri) = &draft.located_by {
        return uri.clone();
    }
    match draft.request.headers().get::<Route>() {
        Some(Ok(route)) => route.uri().clone(),
        _ => draft.request.uri().clone(),
    }
}
