//! What is known about servers from one request to the next, and what becomes of attempts that were given up.

use crate::{
    AckId, Draft, Endpoint, RequestId, endpoint::Due, event::AttemptFailure, names::Located,
    search::State,
};
use ahash::RandomState;
use sip_message::{
    HeaderName, HeaderValue, Method, ParseError, Request, Response, StatusCode,
    headers::{CSeq, CallId, Contact, RecordRoute, RetryAfter, Route},
};
use sip_resolver::{Health, HealthConfig, Trouble};
use sip_transaction::ClientTransactionId;
use sip_transport::Target;
use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

/// How far a search for a server goes, and what it remembers for the next one.
#[derive(Debug)]
pub(crate) struct Failover {
    /// How long an attempt waits for any response
    pub(crate) attempt_limit: Option<Duration>,
    /// How long a connection may take before one to another address of the same server is tried beside it
    pub(crate) attempt_delay: Duration,
    /// How long all attempts of a request other than INVITE may take
    pub(crate) non_invite_limit: Option<Duration>,
    pub(crate) health: Health,
    affinity: Option<Affinity>,
    /// Attempts that were given up and may still be answered
    pub(crate) abandoned: HashMap<ClientTransactionId, Abandoned, RandomState>,
}

/// An attempt that was given up before its transaction ended.
#[derive(Debug)]
pub(crate) struct Abandoned {
    request: RequestId,
    /// Whether we are the user agent: a proxy leaves what a late 2xx has made to those on whose behalf it acts
    ends_late_calls: bool,
    /// What the INVITE was authorized with: its ACK is too (RFC 3261 §22.1)
    credentials: Vec<(HeaderName, HeaderValue)>,
    ack: Option<AckId>,
}

/// Which server answered last in a dialog or registration: requests with one Call-ID stay together.
#[derive(Debug)]
struct Affinity {
    lasts: Duration,
    limit: usize,
    servers: HashMap<CallId, (Target, Instant), RandomState>,
    /// In the order in which they were first noted
    order: VecDeque<CallId>,
}

impl Failover {
    pub(crate) fn new(
        (attempt_limit, attempt_delay): (Option<Duration>, Duration),
        non_invite_limit: Option<Duration>,
        health: HealthConfig,
        affinity: Option<Duration>,
        limit: usize,
        hasher: RandomState,
    ) -> Self {
        Self {
            attempt_limit,
            attempt_delay,
            non_invite_limit,
            health: Health::new(health),
            affinity: affinity.map(|lasts| Affinity {
                lasts,
                limit,
                servers: HashMap::with_hasher(hasher.clone()),
                order: VecDeque::new(),
            }),
            abandoned: HashMap::with_hasher(hasher),
        }
    }

    /// The order in which targets are tried: the server of the dialog first, those that failed lately last.
    pub(crate) fn order(&self, now: Instant, request: &Request, targets: &mut [Located]) {
        let method = request.method();
        targets.sort_by_key(|Located { target, .. }| {
            self.health
                .is_down(now, (target.protocol, target.address), method)
        });
        if let Some(affinity) = &self.affinity
            && let Ok(call_id) = request.call_id()
            && let Some((server, noted)) = affinity.servers.get(&call_id)
            && now.saturating_duration_since(*noted) < affinity.lasts
        {
            targets.sort_by_key(|located| located.target != *server);
        }
    }

    /// Takes in what a response says about a server: one that has said 503 is down, whichever of its addresses is tried
    /// (`others`, RFC 3261 §21.5.4).
    pub(crate) fn answered<'a>(
        &mut self,
        now: Instant,
        method: &Method,
        target: &'a Target,
        others: impl Iterator<Item = &'a Target>,
        response: &Response,
    ) {
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            let retry_after = match response.headers().get::<RetryAfter>() {
                Some(Ok(retry_after)) => Some(retry_after.delay()),
                _ => None,
            };
            let trouble = Trouble::Unavailable { retry_after };
            for target in std::iter::once(target).chain(others) {
                let server = (target.protocol, target.address);
                self.health.failed(now, server, method, trouble);
            }
            return;
        }
        self.health
            .succeeded(now, (target.protocol, target.address));
        if let Some(affinity) = &mut self.affinity
            && let Ok(call_id) = response.call_id()
        {
            affinity.note(now, call_id, target);
        }
    }

    pub(crate) fn failed(
        &mut self,
        now: Instant,
        method: &Method,
        target: &Target,
        failure: AttemptFailure,
    ) {
        let trouble = match failure {
            AttemptFailure::TimedOut => Trouble::Silent,
            AttemptFailure::Unreachable => Trouble::Unreachable,
            // A 503 was noted with its Retry-After; the others say nothing about the server.
            _ => return,
        };
        let server = (target.protocol, target.address);
        self.health.failed(now, server, method, trouble);
    }
}

impl Affinity {
    fn note(&mut self, now: Instant, call_id: CallId, target: &Target) {
        if self
            .servers
            .insert(call_id.clone(), (target.clone(), now))
            .is_none()
        {
            self.order.push_back(call_id);
        }
        while self.order.len() > self.limit {
            if let Some(first) = self.order.pop_front() {
                self.servers.remove(&first);
            }
        }
    }
}

impl Endpoint {
    /// The table of servers that failed lately, to be looked at or changed.
    pub const fn health(&mut self) -> &mut Health {
        &mut self.failover.health
    }

    /// A server had its time and said nothing at all: another one has its turn (RFC 3263 §4.3).
    pub(crate) fn stayed_silent(&mut self, now: Instant, id: RequestId) {
        let Some(request) = self.requests.get_mut(id.0) else {
            return;
        };
        request.silence = None;
        let Some(search) = &request.search else {
            return;
        };
        match &request.state {
            State::Transaction {
                id: transaction, ..
            } => {
                let transaction = *transaction;
                let is_users = search.draft.contact.is_some();
                let invite = is_users.then(|| search.draft.request.clone());
                self.abandon(now, id, transaction, invite.as_ref());
                self.attempt_failed(now, id, AttemptFailure::TimedOut);
            }
            State::Connecting(_) => {
                for target in self.stop_connections(id) {
                    let failure = AttemptFailure::TimedOut;
                    self.failover.failed(now, &Method::INVITE, &target, failure);
                    self.probe_later(now, id, &target);
                    if let Some(search) = self.search(id) {
                        search.failed(target, failure);
                    }
                }
                self.attempt(now, id);
            }
            State::Idle | State::Resolving(_) | State::Answered { .. } => {}
        }
    }

    /// Gives an attempt its time, unless it has one.
    pub(crate) fn limit_silence(&mut self, now: Instant, id: RequestId) {
        if let Some(limit) = self.failover.attempt_limit
            && let Some(request) = self.requests.get_mut(id.0)
            && request.silence.is_none()
        {
            request.silence = Some(self.timers.insert(now + limit, Due::Silence(id)));
        }
    }

    pub(crate) fn stop_silence(&mut self, id: RequestId) {
        if let Some(request) = self.requests.get_mut(id.0)
            && let Some(timer) = request.silence.take()
        {
            self.timers.cancel(timer);
        }
    }

    /// Leaves an attempt alone: it is sent no more, and an INVITE that is answered after all is cancelled, or the call
    /// that it made is ended. `invite` is the request of a user agent, who ends late calls.
    pub(crate) fn abandon(
        &mut self,
        now: Instant,
        id: RequestId,
        transaction: ClientTransactionId,
        invite: Option<&Request>,
    ) {
        self.attempts.remove(&transaction);
        self.transactions.stop_repeating(transaction);
        // Only an INVITE can be cancelled, and only what may still be answered has to be known.
        if self.transactions.cancel(now, transaction, None).is_ok() {
            let credentials = invite.map(credentials).unwrap_or_default();
            let abandoned = Abandoned {
                request: id,
                ends_late_calls: invite.is_some(),
                credentials,
                ack: None,
            };
            self.failover.abandoned.insert(transaction, abandoned);
        }
    }

    /// A response to an attempt that was given up. Whether to go on with it as one to the request.
    pub(crate) fn abandoned_answered(
        &mut self,
        now: Instant,
        transaction: ClientTransactionId,
        response: &Response,
    ) -> Option<RequestId> {
        let abandoned = self.failover.abandoned.get(&transaction)?;
        if !response.status().is_success() {
            return None;
        }
        if !abandoned.ends_late_calls {
            return Some(abandoned.request);
        }
        match abandoned.ack {
            Some(ack) => self.repeat_acknowledge(now, ack),
            None => self.end_late_call(now, transaction, response),
        }
        None
    }

    /// RFC 3261 §13.2.2.4: a call that nobody wants any more is acknowledged and then ended.
    fn end_late_call(
        &mut self,
        now: Instant,
        transaction: ClientTransactionId,
        response: &Response,
    ) {
        let (mut ack, bye) = match (
            in_late_call(Method::ACK, response),
            in_late_call(Method::BYE, response),
        ) {
            (Ok(ack), Ok(bye)) => (ack, bye),
            (Err(error), _) | (_, Err(error)) => {
                tracing::debug!(%error, "a late call cannot be ended");
                return;
            }
        };
        if let Some(abandoned) = self.failover.abandoned.get(&transaction) {
            for (name, value) in &abandoned.credentials {
                ack.headers_mut().push_raw(name.clone(), value.clone());
            }
        }
        let ack = self.acknowledge(now, Draft::new(ack));
        if let Some(abandoned) = self.failover.abandoned.get_mut(&transaction) {
            abandoned.ack = Some(ack);
        }
        self.request(now, Draft::new(bye));
    }
}

fn credentials(request: &Request) -> Vec<(HeaderName, HeaderValue)> {
    [HeaderName::AUTHORIZATION, HeaderName::PROXY_AUTHORIZATION]
        .into_iter()
        .flat_map(|name| {
            let values = request.headers().raw_all(&name);
            values.map(move |value| (name.clone(), value))
        })
        .collect()
}

/// A request inside the dialog that a 2xx has made (RFC 3261 §12.1.2, §12.2.1.1).
fn in_late_call(method: Method, response: &Response) -> Result<Request, ParseError> {
    let number = response.headers().require::<CSeq>()?.number();
    let number = if method == Method::ACK {
        number
    } else {
        number.saturating_add(1)
    };
    let contact = response.headers().require::<Contact>()?;
    let mut request = Request::builder(method, contact.uri())
        .header(response.from()?)
        .header(response.to()?)
        .header(response.call_id()?)
        .cseq(number)
        .build()?;
    for route in response.headers().all::<RecordRoute>() {
        let route = Route::new(route?.address().clone());
        request.headers_mut().push_front(route);
    }
    Ok(request)
}
