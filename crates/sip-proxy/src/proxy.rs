//! The proxy core: its state, its commands, and what it does with each event.

use crate::{
    Event, ProxyConfig, ProxyId, ProxyStats, RelayError, SecretId,
    auth::Waiting,
    branches::Why,
    context::{Contexts, Stage, Verdict},
    plan::Plan,
    token::TokenKey,
};
use ahash::RandomState;
use sip_endpoint::{Context, Core, Event as EndpointEvent, RequestId, ServerTransactionId};
use sip_io::{Rng, TimerQueue};
use sip_message::{Request, Response, StatusCode};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    time::{Duration, Instant},
};

/// A stateful, forking, record-routing proxy (RFC 3261 §16) as a core.
///
/// It checks each request, follows and takes off its Routes, authenticates its sender, and asks where it should go:
/// [`Event::RouteNeeded`]. The answer is a [`Plan`]; what comes back is chosen by the rules of §16.7. Requests inside a
/// dialog that the proxy recorded its route in, and ACKs, go their way without a question.
///
/// ```
/// use sip_endpoint::{EndpointConfig, Stack};
/// use sip_io::WallClock;
/// use sip_proxy::{Proxy, ProxyConfig};
/// # use std::time::{Instant, SystemTime};
/// let clock = WallClock { at: Instant::now(), is: SystemTime::now() };
/// let proxy = Proxy::new(ProxyConfig::new([1; 32], clock));
/// let stack = Stack::new(EndpointConfig::new([2; 32], clock), proxy);
/// assert_eq!(stack.core().stats().requests, 0);
/// ```
pub struct Proxy {
    pub(crate) config: ProxyConfig,
    pub(crate) key: TokenKey,
    pub(crate) contexts: Contexts,
    pub(crate) waiting: BTreeMap<SecretId, Waiting>,
    pub(crate) last_secret: u64,
    pub(crate) timers: TimerQueue<Due>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) stats: ProxyStats,
    pub(crate) shutting_down: bool,
    /// Whether a plan was watched, so that the end of calls is told
    pub(crate) watching: bool,
}

/// What a proxy's timers are for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Due {
    /// The answer to a question is late
    Decision(ProxyId),
    /// A secret is late
    Secret(SecretId),
    /// A group has rung long enough
    Group(ProxyId),
    /// A plan has taken long enough
    Plan(ProxyId),
    /// Timer C
    C(RequestId),
}

impl Proxy {
    /// A proxy that has done nothing yet.
    pub fn new(config: ProxyConfig) -> Self {
        let mut rng = Rng::new(config.seed);
        let key = TokenKey::new(rng.seed());
        let hasher = RandomState::with_seeds(
            rng.next_u64(),
            rng.next_u64(),
            rng.next_u64(),
            rng.next_u64(),
        );
        Self {
            key,
            contexts: Contexts::new(hasher),
            waiting: BTreeMap::new(),
            last_secret: 0,
            timers: TimerQueue::new(config.clock.at),
            events: VecDeque::new(),
            stats: ProxyStats::default(),
            shutting_down: false,
            watching: false,
            config,
        }
    }

    /// Sends a request to the targets of `plan`.
    ///
    /// # Errors
    ///
    /// When the request is gone or already on its way, or when there is no target.
    pub fn relay(
        &mut self,
        cx: &mut Context<'_>,
        id: ProxyId,
        plan: Plan,
    ) -> Result<(), RelayError> {
        self.undecided(id)?;
        if plan.is_empty() {
            return Err(RelayError::NoTarget);
        }
        let record_route = self.config.record_route;
        self.stop_timer(id);
        if let Some(context) = self.contexts.get_mut(id) {
            context.adopt(plan, record_route);
            let deadline = context.manner.deadline.map(|time| cx.now + time);
            context.deadline = deadline.map(|at| self.timers.insert(at, Due::Plan(id)));
        }
        self.advance(cx, id);
        Ok(())
    }

    /// Calls a request back from its targets, so that it may be relayed elsewhere or answered. A 2xx that crosses is
    /// forwarded all the same.
    ///
    /// # Errors
    ///
    /// When the request is gone.
    pub fn withdraw(&mut self, cx: &mut Context<'_>, id: ProxyId) -> Result<(), RelayError> {
        let context = self.contexts.get_mut(id).ok_or(RelayError::Gone)?;
        match context.stage {
            Stage::Answered | Stage::Relaying { ending: true } => return Err(RelayError::Gone),
            Stage::Asking | Stage::Held => return Ok(()),
            Stage::Relaying { ending: false } => {}
        }
        context.groups.clear();
        context.stage = Stage::Asking;
        self.stop_deadline(id);
        self.cancel_branches(cx, id, Verdict::Ignored, Why::Unsaid);
        self.await_decision(cx.now, id);
        Ok(())
    }

    /// Answers a request with a response of one's own. A provisional response leaves it to be decided.
    ///
    /// # Errors
    ///
    /// When the request is gone or is with its targets.
    pub fn answer(
        &mut self,
        cx: &mut Context<'_>,
        id: ProxyId,
        response: Response,
    ) -> Result<(), RelayError> {
        self.undecided(id)?;
        if response.status().is_provisional() {
            self.send_upstream(cx, id, response);
        } else {
            self.finish(cx, id, response);
        }
        Ok(())
    }

    /// Answers a request with nothing but a status.
    ///
    /// # Errors
    ///
    /// When the request is gone or is with its targets.
    pub fn reject(
        &mut self,
        cx: &mut Context<'_>,
        id: ProxyId,
        status: StatusCode,
    ) -> Result<(), RelayError> {
        self.undecided(id)?;
        let context = self.contexts.get(id).ok_or(RelayError::Gone)?;
        let response = context
            .request
            .response(status)
            .to_tag(cx.tag_for(context.server))
            .build();
        self.finish(cx, id, response);
        Ok(())
    }

    /// Forwards the response that [`Event::RelayFailed`] has shown.
    ///
    /// # Errors
    ///
    /// When the request is gone or is with its targets, or when no plan has failed yet.
    pub fn forward(&mut self, cx: &mut Context<'_>, id: ProxyId) -> Result<(), RelayError> {
        self.undecided(id)?;
        if !self
            .contexts
            .get(id)
            .is_some_and(|context| context.stage == Stage::Held)
        {
            return Err(RelayError::NothingHeld);
        }
        self.conclude(cx, id, false);
        Ok(())
    }

    /// Sets how long the targets whose turn it is may still ring, in place of the plan's
    /// [`ring_for`](Plan::ring_for); those after them have what the plan says.
    ///
    /// # Errors
    ///
    /// When the request is gone or with nobody.
    pub fn set_ring_for(
        &mut self,
        cx: &mut Context<'_>,
        id: ProxyId,
        time: Duration,
    ) -> Result<(), RelayError> {
        self.relaying(id)?;
        self.stop_timer(id);
        let timer = self.timers.insert(cx.now + time, Due::Group(id));
        if let Some(context) = self.contexts.get_mut(id) {
            context.timer = Some(timer);
        }
        Ok(())
    }

    /// Sets how long the targets whose turn it is may still be silent; see
    /// [`Endpoint::set_timeout`](sip_endpoint::Endpoint::set_timeout).
    ///
    /// # Errors
    ///
    /// When the request is gone or with nobody.
    pub fn set_timeout(
        &mut self,
        cx: &mut Context<'_>,
        id: ProxyId,
        after: Duration,
    ) -> Result<(), RelayError> {
        self.relaying(id)?;
        let branches = self.contexts.get(id).map(|context| &context.branches);
        for branch in branches.into_iter().flatten() {
            if branch.pending {
                cx.set_timeout(branch.request, after);
            }
        }
        Ok(())
    }

    /// Sets when an INVITE gets its 100, counted from now, where the [configured time](ProxyConfig::trying_after) has not
    /// passed yet; `None` leaves it to [`answer`](Self::answer). A request that has had a response keeps it.
    ///
    /// # Errors
    ///
    /// When the request is gone.
    pub fn set_trying_after(
        &mut self,
        cx: &mut Context<'_>,
        id: ProxyId,
        after: Option<Duration>,
    ) -> Result<(), RelayError> {
        let context = self.contexts.get(id).ok_or(RelayError::Gone)?;
        cx.set_trying_after(context.server, &context.request, after);
        Ok(())
    }

    /// The request, as [`Event::RouteNeeded`] has shown it, while it is to be decided or with its targets.
    pub fn request(&self, id: ProxyId) -> Option<&Request> {
        let context = self.contexts.get(id)?;
        (context.stage != Stage::Answered).then_some(&context.request)
    }

    /// What was counted, and what is held.
    pub fn stats(&self) -> ProxyStats {
        ProxyStats {
            held: self.contexts.len(),
            waiting: self.waiting.len(),
            ..self.stats
        }
    }

    fn undecided(&self, id: ProxyId) -> Result<(), RelayError> {
        match self.contexts.get(id).map(|context| context.stage) {
            None | Some(Stage::Answered) => Err(RelayError::Gone),
            Some(Stage::Relaying { .. }) => Err(RelayError::Busy),
            Some(Stage::Asking | Stage::Held) => Ok(()),
        }
    }

    fn relaying(&self, id: ProxyId) -> Result<(), RelayError> {
        match self.contexts.get(id).map(|context| context.stage) {
            None | Some(Stage::Answered) => Err(RelayError::Gone),
            Some(Stage::Relaying { .. }) => Ok(()),
            Some(Stage::Asking | Stage::Held) => Err(RelayError::NotRelayed),
        }
    }

    /// Sets the time until which a decision is to come.
    pub(crate) fn await_decision(&mut self, now: Instant, id: ProxyId) {
        self.stop_timer(id);
        let timer = self
            .timers
            .insert(now + self.config.decision, Due::Decision(id));
        if let Some(context) = self.contexts.get_mut(id) {
            context.timer = Some(timer);
        }
    }

    pub(crate) fn stop_timer(&mut self, id: ProxyId) {
        if let Some(timer) = self
            .contexts
            .get_mut(id)
            .and_then(|context| context.timer.take())
        {
            self.timers.cancel(timer);
        }
    }

    pub(crate) fn stop_deadline(&mut self, id: ProxyId) {
        let context = self.contexts.get_mut(id);
        if let Some(timer) = context.and_then(|context| context.deadline.take()) {
            self.timers.cancel(timer);
        }
    }

    /// CANCEL came from upstream and was answered (RFC 3261 §16.10).
    fn cancelled(&mut self, cx: &mut Context<'_>, id: ProxyId, cancel: &Request) {
        let Some(context) = self.contexts.get_mut(id) else {
            return;
        };
        match context.stage {
            Stage::Answered | Stage::Relaying { ending: true } => {}
            Stage::Asking | Stage::Held => {
                self.stats.cancelled += 1;
                self.respond_with(cx, id, StatusCode::REQUEST_TERMINATED);
                self.close(id);
                self.events.push_back(Event::Abandoned { id });
            }
            Stage::Relaying { ending: false } => {
                self.stats.cancelled += 1;
                self.end_relay(cx, id, StatusCode::REQUEST_TERMINATED, Why::Asked(cancel));
            }
        }
    }

    /// No more targets; those that ring are cancelled, and what they then fail with counts as `status`.
    fn end_relay(&mut self, cx: &mut Context<'_>, id: ProxyId, status: StatusCode, why: Why<'_>) {
        self.stop_timer(id);
        if let Some(context) = self.contexts.get_mut(id) {
            context.groups.clear();
            context.stage = Stage::Relaying { ending: true };
        }
        self.cancel_branches(cx, id, Verdict::Becomes(status), why);
        self.advance(cx, id);
    }

    fn due(&mut self, cx: &mut Context<'_>, due: Due) {
        match due {
            Due::Decision(id) => {
                let Some(context) = self.contexts.get_mut(id) else {
                    return;
                };
                context.timer = None;
                match context.stage {
                    Stage::Held => self.conclude(cx, id, false),
                    Stage::Asking => self.finish_with(cx, id, StatusCode::SERVER_INTERNAL_ERROR),
                    Stage::Relaying { .. } | Stage::Answered => {}
                }
            }
            Due::Group(id) => {
                if let Some(context) = self.contexts.get_mut(id) {
                    context.timer = None;
                    let verdict = Verdict::Becomes(StatusCode::REQUEST_TIMEOUT);
                    self.cancel_branches(cx, id, verdict, Why::TookTooLong);
                    self.advance(cx, id);
                }
            }
            Due::Plan(id) => {
                if let Some(context) = self.contexts.get_mut(id) {
                    context.deadline = None;
                    context.groups.clear();
                    let verdict = Verdict::Becomes(StatusCode::REQUEST_TIMEOUT);
                    self.cancel_branches(cx, id, verdict, Why::TookTooLong);
                    self.advance(cx, id);
                }
            }
            Due::Secret(id) => self.stop_waiting(cx, id, StatusCode::SERVER_INTERNAL_ERROR),
            Due::C(request) => self.timer_c_fired(cx, request),
        }
    }

    /// The secret that the request of a server transaction waits for.
    fn waiting_for(&self, server: ServerTransactionId) -> Option<SecretId> {
        let found = self
            .waiting
            .iter()
            .find(|(_, waiting)| waiting.server == server);
        found.map(|(id, _)| *id)
    }

    fn server_ended(&mut self, server: ServerTransactionId) -> bool {
        let Some(id) = self.contexts.end_server(server) else {
            return false;
        };
        if let Some(context) = self.contexts.get_mut(id)
            && context.stage != Stage::Answered
        {
            // Nobody upstream waits any more.
            self.close(id);
            self.events.push_back(Event::Abandoned { id });
        }
        self.contexts.remove_if_over(id);
        true
    }
}

impl Core for Proxy {
    type Event = Event;

    fn handle_event(
        &mut self,
        cx: &mut Context<'_>,
        event: EndpointEvent,
    ) -> Option<EndpointEvent> {
        match event {
            EndpointEvent::Request { id, flow, request } => {
                self.request_received(cx, id, flow, request)
            }
            EndpointEvent::Ack {
                flow,
                request,
                invite,
            } => {
                let forwarded = self.ack_received(cx, &flow, Request::clone(&request));
                (!forwarded).then_some(EndpointEvent::Ack {
                    flow,
                    request,
                    invite,
                })
            }
            EndpointEvent::Cancelled { id, request } => match self.contexts.by_server(id) {
                Some(id) => {
                    self.cancelled(cx, id, &request);
                    None
                }
                None => match self.waiting_for(id) {
                    Some(secret) => {
                        self.stats.cancelled += 1;
                        self.stop_waiting(cx, secret, StatusCode::REQUEST_TERMINATED);
                        None
                    }
                    None => Some(EndpointEvent::Cancelled { id, request }),
                },
            },
            EndpointEvent::Response { id, response, flow } => match self.contexts.by_request(id) {
                Some(context) => {
                    self.response_received(cx, context, id, *response);
                    None
                }
                None => Some(EndpointEvent::Response { id, response, flow }),
            },
            EndpointEvent::RequestFailed { id, reason } => match self.contexts.by_request(id) {
                Some(context) => {
                    self.branch_failed(cx, context, id, &reason);
                    None
                }
                None => Some(EndpointEvent::RequestFailed { id, reason }),
            },
            EndpointEvent::RequestEnded { id } => match self.contexts.by_request(id) {
                Some(context) => {
                    self.branch_ended(cx, context, id);
                    None
                }
                None => Some(EndpointEvent::RequestEnded { id }),
            },
            EndpointEvent::ServerEnded { id } if self.server_ended(id) => None,
            other => Some(other),
        }
    }

    fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        while let Some(due) = self.timers.pop(cx.now) {
            self.due(cx, due);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// New requests outside dialogs get 503 from now on; what rings is cancelled.
    fn shutdown(&mut self, cx: &mut Context<'_>) {
        self.shutting_down = true;
        let waiting: Vec<SecretId> = self.waiting.keys().copied().collect();
        for id in waiting {
            self.stop_waiting(cx, id, StatusCode::SERVICE_UNAVAILABLE);
        }
        for id in self.contexts.ids() {
            let Some(context) = self.contexts.get(id) else {
                continue;
            };
            match context.stage {
                Stage::Asking => self.finish_with(cx, id, StatusCode::SERVICE_UNAVAILABLE),
                Stage::Held => self.conclude(cx, id, false),
                Stage::Relaying { ending: false } if context.is_invite => {
                    self.end_relay(cx, id, StatusCode::SERVICE_UNAVAILABLE, Why::Unsaid);
                }
                Stage::Relaying { .. } | Stage::Answered => {}
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty()
            && self
                .contexts
                .values()
                .all(|context| context.stage == Stage::Answered)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
