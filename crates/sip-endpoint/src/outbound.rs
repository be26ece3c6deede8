//! Requests of ours, over as many transactions as they take.

use crate::{
    Draft, Endpoint, Event,
    draft::NextHop,
    endpoint::{Due, Waiter},
    event::{AttemptFailure, Failure},
    hop::{Hop, LONGEST_DATAGRAM, target_of},
    names::Located,
    search::{Begun, Outbound, RequestId, Search, State},
};
use sip_io::Flow;
use sip_message::{HeaderValue, Method, Response, StatusCode};
use sip_transaction::{ClientTransactionId, RequestError};
use std::{collections::VecDeque, time::Instant};

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
                server: None,
                tried: Vec::new(),
                heard: None,
            })),
            cancelled: false,
            deadline: None,
            silence: None,
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
                    let target = target_of(&flow);
                    let begun = if self.is_shed(now, id, &target, None) {
                        Begun::Failed(target, AttemptFailure::Shed)
                    } else {
                        self.begin(now, id, flow, None)
                    };
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
        self.cancel_because(now, id, None);
    }

    /// As [`cancel`](Self::cancel), and the CANCEL says why: the values of its Reason (RFC 3326).
    pub fn cancel_because(&mut self, now: Instant, id: RequestId, reason: Option<HeaderValue>) {
        self.cancel_when(now, id, reason, false);
    }

    /// As [`cancel_because`](Self::cancel_because), but a CANCEL does not wait for a provisional response; see
    /// [`TransactionLayer::cancel_at_once`](sip_transaction::TransactionLayer::cancel_at_once).
    pub fn cancel_at_once(&mut self, now: Instant, id: RequestId, reason: Option<HeaderValue>) {
        self.cancel_when(now, id, reason, true);
    }

    fn cancel_when(
        &mut self,
        now: Instant,
        id: RequestId,
        reason: Option<HeaderValue>,
        at_once: bool,
    ) {
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
                    let _repeated = match at_once {
                        true => self.transactions.cancel_at_once(now, transaction, reason),
                        false => self.transactions.cancel(now, transaction, reason),
                    };
                }
            }
            State::Answered { .. } => {}
            State::Idle | State::Resolving(_) | State::Connecting(_) => {
                self.fail_request(id, Failure::Cancelled)
            }
        }
    }

    /// Sets how long the server that has the request now may still take from now on: for any response to an INVITE, for
    /// the final response to anything else. Whether it waits for one at all.
    pub fn set_timeout(&mut self, now: Instant, id: RequestId, after: std::time::Duration) -> bool {
        match self.requests.get(id.0).map(|request| &request.state) {
            Some(State::Transaction { id, .. }) => self.transactions.set_timeout(now, *id, after),
            _ => false,
        }
    }

    /// The flow that a request went out on, once it has.
    pub fn request_flow(&self, id: RequestId) -> Option<Flow> {
        match self.requests.get(id.0)?.state {
            State::Transaction { flow, .. } | State::Answered { flow } => Some(flow),
            State::Idle | State::Resolving(_) | State::Connecting(_) => None,
        }
    }

    pub(crate) fn search(&mut self, id: RequestId) -> Option<&mut Search> {
        self.requests.get_mut(id.0)?.search.as_deref_mut()
    }

    /// Asks where the topmost Route or the Request-URI leads.
    fn locate(&mut self, now: Instant, id: RequestId) {
        let Some(Outbound {
            search: Some(search),
            ..
        }) = self.requests.get(id.0)
        else {
            return;
        };
        let view = search.draft.view(&self.names, &self.transport);
        let Some(search) = self.search(id) else {
            return;
        };
        // Failing over from a flow to the URI happens once.
        search.draft.next = NextHop::Uri;
        let query = match search.draft.next_hop() {
            Ok(query) => query,
            Err(cause) => return self.fail_request(id, Failure::NoTarget { cause }),
        };
        if let Some(located) = self.names.literal(&query) {
            return self.request_located(now, id, Ok(vec![located]));
        }
        let lookup = self.names.start(now, view, query);
        self.lookups.insert(lookup, Waiter::Request(id));
        if let Some(request) = self.requests.get_mut(id.0) {
            request.state = State::Resolving(lookup);
        }
    }

    pub(crate) fn request_located(
        &mut self,
        now: Instant,
        id: RequestId,
        targets: Result<Vec<Located>, String>,
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
                // RFC 6116 §2: what the number has become is who is called.
                if let Some(uri) = targets.first().and_then(|first| first.uri.clone()) {
                    search.draft.request.set_uri(uri);
                }
                search.hops = targets.into_iter().map(Hop::located).collect();
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
    pub(crate) fn attempt(&mut self, now: Instant, id: RequestId) {
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
    pub(crate) fn go_on(&mut self, now: Instant, id: RequestId, begun: Begun) {
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
        let protocol = hop.target.protocol;
        let search = self.search(id);
        if search.is_some_and(|search| !search.draft.may_use(protocol)) {
            return Begun::Failed(hop.target, AttemptFailure::Insecure);
        }
        if hop.is_as_told() && self.is_shed(now, id, &hop.target, hop.server.as_deref()) {
            return Begun::Failed(hop.target, AttemptFailure::Shed);
        }
        let Some(request) = self.requests.get_mut(id.0) else {
            return Begun::Over;
        };
        match request.flow_to(now, &mut self.transport, &hop) {
            Some(Ok(flow)) if self.transport.is_connecting(&flow) => {
                self.await_connection(now, id, flow, hop);
                Begun::Yes
            }
            Some(Ok(flow)) => self.begin(now, id, flow, Some(hop)),
            Some(Err(error)) => Begun::Failed(hop.target, error.into()),
            None => Begun::Over,
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

    /// Begins a transaction with a branch of its own; without a hop on a flow that the draft names.
    pub(crate) fn begin(
        &mut self,
        now: Instant,
        id: RequestId,
        flow: Flow,
        hop: Option<Hop>,
    ) -> Begun {
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
                let [stream, datagram] = hop.by_stream(flow);
                if !search.draft.congestion_controlled {
                    search.hops.push_front(datagram);
                }
                search.hops.push_front(stream);
                return Begun::Elsewhere;
            }
            hop => hop,
        };
        let (target, server) = match hop {
            Some(hop) => (hop.target, hop.server),
            None => (target_of(&flow), None),
        };
        let longest = match search.draft.congestion_controlled {
            true => LONGEST_DATAGRAM.min(self.datagram_limit),
            false => LONGEST_DATAGRAM,
        };
        if !flow.is_stream() && contents.len() > longest {
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
                search.server = server;
                request.state = State::Transaction {
                    id: transaction,
                    flow,
                    target,
                };
                self.attempts.insert(transaction, id);
                self.limit_silence(now, id);
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
        mut response: Box<Response>,
        flow: Flow,
    ) {
        self.heed_overload(now, transaction, &mut response, &flow);
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
        if let Some(timer) = request.silence.take() {
            self.timers.cancel(timer);
        }
        let mut down = None;
        if let (State::Transaction { target, .. }, Some(search)) = (&request.state, &request.search)
        {
            let (method, server) = (search.draft.request.method(), search.server.as_deref());
            let same = search
                .hops
                .iter()
                .filter(|hop| hop.is_same_server(target, server));
            let same = same.map(|hop| &hop.target);
            self.failover.answered(now, method, target, same, &response);
            if status == StatusCode::SERVICE_UNAVAILABLE {
                down = Some(target.clone());
            }
        }
        if let Some(search) = &mut request.search {
            // A 100 says that the next hop lives, not that anybody behind it has heard of the request.
            let unheard = search.heard.is_none_or(|heard| heard == StatusCode::TRYING);
            if let Some(target) = &down {
                // RFC 3261 §21.5.4: to an alternate server, which another address of the same one is not.
                let server = search.server.take();
                let server = server.as_deref();
                search
                    .hops
                    .retain(|hop| !hop.is_same_server(target, server));
            }
            let may_fail_over = unheard && !request.cancelled && !search.hops.is_empty();
            if down.is_some() && may_fail_over {
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
        if let Some(target) = down {
            self.probe_later(now, id, &target);
        }
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

    pub(crate) fn attempt_failed(&mut self, now: Instant, id: RequestId, failure: AttemptFailure) {
        self.stop_silence(id);
        let Some(request) = self.requests.get_mut(id.0) else {
            return;
        };
        // Answered, then broken while it lingered: nobody is owed anything.
        let Some(search) = &mut request.search else {
            return;
        };
        let mut failed = None;
        if let State::Transaction { target, .. } =
            std::mem::replace(&mut request.state, State::Idle)
        {
            let method = search.draft.request.method();
            self.failover.failed(now, method, &target, failure);
            search.failed(target.clone(), failure);
            failed = Some(target);
        }
        // RFC 3263 §4.3: a server that has answered anything is the one.
        let ends =
            request.cancelled || failure != AttemptFailure::Unavailable && search.heard.is_some();
        search.heard = None;
        let to_uri = failure == AttemptFailure::Unreachable
            && matches!(search.draft.next, NextHop::Flow { or_uri: true, .. });
        if ends {
            search.hops.clear();
        }
        if let Some(target) = failed {
            self.probe_later(now, id, &target);
        }
        if to_uri && !ends {
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
        if request.search.is_none() {
            return;
        }
        let targets = match &request.state {
            State::Transaction { .. } if request.is_invite => return self.cancel(now, id),
            State::Transaction {
                target,
                id: transaction,
                ..
            } => {
                self.transactions.stop_repeating(*transaction);
                vec![target.clone()]
            }
            State::Connecting(_) => self.stop_connections(id),
            State::Idle | State::Resolving(_) | State::Answered { .. } => Vec::new(),
        };
        let Some(search) = self.search(id) else {
            return;
        };
        for target in targets {
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
        self.stop_connections(id);
        let Some(request) = self.requests.remove(id.0) else {
            return false;
        };
        for timer in [request.deadline, request.silence].into_iter().flatten() {
            self.timers.cancel(timer);
        }
        match &request.state {
            State::Resolving(lookup) => {
                self.lookups.remove(lookup);
                self.names.cancel(*lookup);
            }
            State::Transaction {
                id: transaction, ..
            } => {
                self.attempts.remove(transaction);
            }
            State::Idle | State::Connecting(_) | State::Answered { .. } => {}
        }
        true
    }
}
