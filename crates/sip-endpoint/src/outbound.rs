//! Requests of ours, over as many transactions as they take.

use crate::{
    Draft, Endpoint, Event,
    draft::NextHop,
    endpoint::{Due, Waiter},
    event::{Attempt, AttemptFailure, Failure},
    hop::{Hop, LONGEST_DATAGRAM, target_of},
    table::Key,
};
use sip_io::{Flow, TimerId};
use sip_message::{Method, Response, StatusCode, Uri, headers::Route};
use sip_resolver::{LookupId, Query};
use sip_transaction::{ClientTransactionId, RequestError};
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
///      | flow, targets    ^       | targets
///      +------------------|-------+
///                         |       V     stream not open yet
///      .--- next target --|-> (attempt) ------> Connecting
///      |   the given flow |       |                | opened
///      |   is gone        |       | sent           |
///      |                  |       V                |
///      '-- 503, time-out, '- Transaction <---------'
///          failure before         | final response
///          any response           V
///                              Answered
/// ```
#[derive(Debug)]
pub(crate) struct Outbound {
    state: State,
    /// What a further attempt needs: dropped with the final response, because a transaction lingers long after it
    search: Option<Box<Search>>,
    is_invite: bool,
    cancelled: bool,
    deadline: Option<TimerId>,
}

/// The search for a server that answers (RFC 3263 §4.3).
#[derive(Debug)]
struct Search {
    draft: Draft,
    hops: VecDeque<Hop>,
    tried: Vec<Attempt>,
    /// The last provisional response, which ends the search for another server
    heard: Option<StatusCode>,
}

#[derive(Debug)]
enum State {
    Idle,
    Resolving(LookupId),
    Connecting {
        flow: Flow,
        hop: Hop,
    },
    Transaction {
        id: ClientTransactionId,
        flow: Flow,
        target: Target,
    },
    Answered {
        flow: Flow,
    },
}

/// What became of an attempt.
enum Begun {
    /// It is under way
    Yes,
    /// Another place is first
    Elsewhere,
    /// It failed
    Failed(Target, AttemptFailure),
    /// The request is over
    Over,
}

impl Outbound {
    pub(crate) const fn is_answered(&self) -> bool {
        matches!(self.state, State::Answered { .. })
    }
}

impl Search {
    fn failed(&mut self, target: Target, failure: AttemptFailure) {
        self.tried.push(Attempt { target, failure });
    }
}

impl Endpoint {
    /// Sends a request. It never fails here: what goes wrong comes as [`Event::RequestFailed`].
    ///
    /// A request that is longer than [`EndpointConfig::datagram_limit`](crate::EndpointConfig::datagram_limit) goes
    /// over TCP where it would have gone over UDP, and over UDP if TCP cannot be opened (RFC 3261 §18.1.1); on a flow
    /// that the draft names it stays. An ACK is none of these requests: see [`acknowledge`](Self::acknowledge).
    pub fn request(&mut self, now: Instant, draft: Draft) -> RequestId {
        let deadline = draft.deadline;
        let full = self.requests.len() >= self.request_limit;
        let id = RequestId(self.requests.insert(Outbound {
            state: State::Idle,
            is_invite: *draft.request.method() == Method::INVITE,
            search: Some(Box::new(Search {
                draft,
                hops: VecDeque::new(),
                tried: Vec::new(),
                heard: None,
            })),
            cancelled: false,
            deadline: None,
        }));
        if full {
            self.fail_request(id, Failure::Full);
            return id;
        }
        if let Some(at) = deadline.and_then(|deadline| now.checked_add(deadline)) {
            let timer = self.timers.insert(at, Due::Deadline(id));
            if let Some(request) = self.requests.get_mut(id.0) {
                request.deadline = Some(timer);
            }
        }
        self.start_request(now, id);
        id
    }

    fn start_request(&mut self, now: Instant, id: RequestId) {
        let Some(search) = self.search(id) else {
            return;
        };
        match &mut search.draft.next {
            NextHop::Uri => self.locate(now, id),
            NextHop::Targets(targets) => {
                search.hops = std::mem::take(targets).into_iter().map(Hop::new).collect();
                self.attempt(now, id);
            }
            NextHop::Flow { flow, or_uri } => {
                let (flow, or_uri) = (*flow, *or_uri);
                let usable = search.draft.may_use(flow.protocol());
                if usable && self.transport.is_open(&flow) {
                    let begun = self.begin(now, id, flow, None);
                    self.go_on(now, id, begun);
                } else if or_uri {
                    self.locate(now, id);
                } else {
                    self.fail_request(id, Failure::Unreachable { tried: Vec::new() });
                }
            }
        }
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
                if request.is_invite {
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

    fn search(&mut self, id: RequestId) -> Option<&mut Search> {
        self.requests.get_mut(id.0)?.search.as_deref_mut()
    }

    /// Asks where the topmost Route or the Request-URI leads.
    fn locate(&mut self, now: Instant, id: RequestId) {
        let Some(search) = self.search(id) else {
            return;
        };
        // Failing over from a flow to the URI happens once.
        search.draft.next = NextHop::Uri;
        let query = match next_hop(&search.draft) {
            Ok(query) => query,
            Err(cause) => return self.fail_request(id, Failure::NoTarget { cause }),
        };
        if let Some(target) = self.names.literal(&query) {
            return self.request_located(now, id, Ok(vec![target]));
        }
        let lookup = self.names.start(now, query);
        self.lookups.insert(lookup, Waiter::Request(id));
        if let Some(request) = self.requests.get_mut(id.0) {
            request.state = State::Resolving(lookup);
        }
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
        request.state = State::Idle;
        let Some(search) = &mut request.search else {
            return;
        };
        match targets {
            Ok(mut targets) => {
                self.failover
                    .order(now, &search.draft.request, &mut targets);
                search.hops = targets.into_iter().map(Hop::new).collect();
                let limit = self.failover.non_invite_limit;
                if let Some(limit) = limit.filter(|_| search.hops.len() > 1 && !request.is_invite)
                    && request.deadline.is_none()
                {
                    let timer = self.timers.insert(now + limit, Due::Deadline(id));
                    request.deadline = Some(timer);
                }
                self.attempt(now, id);
            }
            // Where something was tried already, that is what is told.
            Err(_) if !search.tried.is_empty() => self.attempt(now, id),
            Err(cause) => self.fail_request(id, Failure::NoTarget { cause }),
        }
    }

    /// Tries one target after the other until one is under way.
    fn attempt(&mut self, now: Instant, id: RequestId) {
        loop {
            let Some(search) = self.search(id) else {
                return;
            };
            let Some(hop) = search.hops.pop_front() else {
                return self.give_up(id);
            };
            match self.attempt_hop(now, id, hop) {
                Begun::Yes | Begun::Over => return,
                Begun::Elsewhere => {}
                Begun::Failed(target, failure) => {
                    if let Some(search) = self.search(id) {
                        search.failed(target, failure);
                    }
                }
            }
        }
    }

    /// Goes on where an attempt outside [`attempt`](Self::attempt) has led.
    fn go_on(&mut self, now: Instant, id: RequestId, begun: Begun) {
        match begun {
            Begun::Yes | Begun::Over => return,
            Begun::Elsewhere => {}
            Begun::Failed(target, failure) => {
                if let Some(search) = self.search(id) {
                    search.failed(target, failure);
                }
            }
        }
        self.attempt(now, id);
    }

    fn attempt_hop(&mut self, now: Instant, id: RequestId, hop: Hop) -> Begun {
        let Some(request) = self.requests.get_mut(id.0) else {
            return Begun::Over;
        };
        let protocol = hop.target.protocol;
        let search = request.search.as_ref();
        if search.is_some_and(|search| !search.draft.may_use(protocol)) {
            return Begun::Failed(hop.target, AttemptFailure::Insecure);
        }
        match self.transport.flow_to(now, &hop.target) {
            Ok(flow) if self.transport.is_connecting(&flow) => {
                request.state = State::Connecting { flow, hop };
                self.connecting
                    .entry(flow)
                    .or_default()
                    .push(Waiter::Request(id));
                Begun::Yes
            }
            Ok(flow) => self.begin(now, id, flow, Some(hop)),
            Err(error) => Begun::Failed(hop.target, error.into()),
        }
    }

    fn give_up(&mut self, id: RequestId) {
        let Some(search) = self.search(id) else {
            return;
        };
        let tried = std::mem::take(&mut search.tried);
        let timed_out = tried
            .last()
            .is_some_and(|last| last.failure == AttemptFailure::TimedOut);
        let reason = if timed_out {
            Failure::TimedOut { tried }
        } else {
            Failure::Unreachable { tried }
        };
        self.fail_request(id, reason);
    }

    pub(crate) fn request_connected(&mut self, now: Instant, id: RequestId, flow: Flow) {
        if let Some(hop) = self.stop_connecting(id) {
            let begun = self.begin(now, id, flow, Some(hop));
            self.go_on(now, id, begun);
        }
    }

    pub(crate) fn request_not_connected(&mut self, now: Instant, id: RequestId) {
        if let Some(hop) = self.stop_connecting(id) {
            let failure = AttemptFailure::Unreachable;
            self.failover
                .failed(now, &Method::INVITE, &hop.target, failure);
            let failed = Begun::Failed(hop.target, AttemptFailure::Unreachable);
            self.go_on(now, id, failed);
        }
    }

    fn stop_connecting(&mut self, id: RequestId) -> Option<Hop> {
        let request = self.requests.get_mut(id.0)?;
        match std::mem::replace(&mut request.state, State::Idle) {
            State::Connecting { hop, .. } => Some(hop),
            other => {
                request.state = other;
                None
            }
        }
    }

    /// Begins a transaction with a branch of its own; without a hop on a flow that the draft names.
    fn begin(&mut self, now: Instant, id: RequestId, flow: Flow, hop: Option<Hop>) -> Begun {
        let Some(request) = self.requests.get_mut(id.0) else {
            return Begun::Over;
        };
        let Some(search) = &mut request.search else {
            return Begun::Over;
        };
        let written_for = hop.as_ref().map_or(&flow, |hop| hop.written_for(&flow));
        let attempt = self
            .author
            .write(&self.transport, &search.draft, &flow, written_for);
        let contents = attempt.to_bytes();
        let hop = match hop {
            Some(hop) if hop.wants_stream(&flow, contents.len(), self.datagram_limit) => {
                for hop in hop.by_stream(flow).into_iter().rev() {
                    search.hops.push_front(hop);
                }
                return Begun::Elsewhere;
            }
            hop => hop,
        };
        let target = hop.map_or_else(|| target_of(&flow), |hop| hop.target);
        if !flow.is_stream() && contents.len() > LONGEST_DATAGRAM {
            return Begun::Failed(target, AttemptFailure::TooLong);
        }
        let timers = search.draft.timers;
        match self
            .transactions
            .request_written(now, &attempt, contents, flow, timers)
        {
            Ok(transaction) => {
                // Someone took the stream.
                if search.hops.front().is_some_and(Hop::is_last_resort) {
                    search.hops.pop_front();
                }
                request.state = State::Transaction {
                    id: transaction,
                    flow,
                    target,
                };
                self.attempts.insert(transaction, id);
                if let Some(limit) = self.failover.attempt_limit {
                    let due = Due::Silence(id, transaction);
                    self.timers.insert(now + limit, due);
                }
                Begun::Yes
            }
            Err(RequestError::Full { .. }) => {
                self.fail_request(id, Failure::Full);
                Begun::Over
            }
            Err(error) => {
                tracing::warn!(%error, "a request cannot be sent");
                self.fail_request(id, Failure::Unreachable { tried: Vec::new() });
                Begun::Over
            }
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
            if let Some(id) = self.abandoned_answered(now, transaction, &response)
                && self.requests.get(id.0).is_some()
            {
                self.events
                    .push_back(Event::Response { id, response, flow });
            }
            return;
        };
        let Some(request) = self.requests.get_mut(id.0) else {
            return;
        };
        let status = response.status();
        if let (State::Transaction { target, .. }, Some(search)) = (&request.state, &request.search)
        {
            let method = search.draft.request.method();
            self.failover.answered(now, method, target, &response);
        }
        if let Some(search) = &mut request.search {
            // A 100 says that the next hop lives, not that anybody behind it has heard of the request.
            let unheard = search.heard.is_none_or(|heard| heard == StatusCode::TRYING);
            let may_fail_over = unheard && !request.cancelled && !search.hops.is_empty();
            if status == StatusCode::SERVICE_UNAVAILABLE && may_fail_over {
                self.attempts.remove(&transaction);
                return self.attempt_failed(now, id, AttemptFailure::Unavailable);
            }
            search.heard = Some(status);
        }
        if status.is_final() && !request.is_answered() {
            request.state = State::Answered { flow };
            request.search = None;
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
        self.failover.abandoned.remove(&transaction);
        if let Some(id) = self.attempts.remove(&transaction) {
            self.attempt_failed(now, id, failure);
        }
    }

    /// A server had its time and said nothing at all: another one has its turn (RFC 3263 §4.3).
    pub(crate) fn stayed_silent(
        &mut self,
        now: Instant,
        id: RequestId,
        transaction: ClientTransactionId,
    ) {
        let Some(request) = self.requests.get(id.0) else {
            return;
        };
        let is_current =
            matches!(&request.state, State::Transaction { id, .. } if *id == transaction);
        match &request.search {
            Some(search) if is_current && search.heard.is_none() => {
                let ends_late_calls = search.draft.contact.is_some();
                self.abandon(now, id, transaction, ends_late_calls);
                self.attempt_failed(now, id, AttemptFailure::TimedOut);
            }
            _ => {}
        }
    }

    fn attempt_failed(&mut self, now: Instant, id: RequestId, failure: AttemptFailure) {
        let Some(request) = self.requests.get_mut(id.0) else {
            return;
        };
        // Answered, then broken while it lingered: nobody is owed anything.
        let Some(search) = &mut request.search else {
            return;
        };
        if let State::Transaction { target, .. } =
            std::mem::replace(&mut request.state, State::Idle)
        {
            let method = search.draft.request.method();
            self.failover.failed(now, method, &target, failure);
            search.failed(target, failure);
        }
        // RFC 3263 §4.3: a server that has answered anything is the one.
        let ends =
            request.cancelled || failure != AttemptFailure::Unavailable && search.heard.is_some();
        search.heard = None;
        if ends {
            search.hops.clear();
        } else if failure == AttemptFailure::Unreachable
            && matches!(search.draft.next, NextHop::Flow { or_uri: true, .. })
        {
            return self.locate(now, id);
        }
        self.attempt(now, id);
    }

    /// A client transaction has left the layer.
    pub(crate) fn transaction_ended(&mut self, transaction: ClientTransactionId) {
        self.failover.abandoned.remove(&transaction);
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
        let Some(search) = &mut request.search else {
            return;
        };
        let target = match &request.state {
            State::Transaction { .. } if request.is_invite => return self.cancel(now, id),
            State::Transaction { target, .. } => Some(target.clone()),
            State::Connecting { hop, .. } => Some(hop.target.clone()),
            State::Idle | State::Resolving(_) | State::Answered { .. } => None,
        };
        if let Some(target) = target {
            search.failed(target, AttemptFailure::TimedOut);
        }
        let tried = std::mem::take(&mut search.tried);
        self.fail_request(id, Failure::TimedOut { tried });
    }

    fn fail_request(&mut self, id: RequestId, reason: Failure) {
        if self.forget_request(id) {
            self.events.push_back(Event::RequestFailed { id, reason });
        }
    }

    fn forget_request(&mut self, id: RequestId) -> bool {
        let Some(request) = self.requests.remove(id.0) else {
            return false;
        };
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
        true
    }
}

/// Where a request goes (RFC 3261 §8.1.2): the topmost Route, else the Request-URI.
pub(crate) fn next_hop(draft: &Draft) -> Result<Query, String> {
    let query = |uri: &Uri| Query::uri(uri).map_err(|error| error.to_string());
    if let Some(uri) = &draft.located_by {
        return query(uri);
    }
    match draft.request.headers().get::<Route>() {
        Some(Ok(route)) => query(route.uri()),
        // Never past a Route that cannot be read.
        Some(Err(error)) => Err(error.to_string()),
        None => query(draft.request.uri()),
    }
}
