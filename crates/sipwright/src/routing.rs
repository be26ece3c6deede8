//! Routers' futures, polled on the driver's own task.

use crate::{
    dispatch::DispatchSet,
    inbound::{Inbound, Rejected, Relayed, Verdict},
    machine::Machine,
    router::ErasedRouter,
};
use futures_channel::oneshot;
use futures_util::{
    FutureExt, StreamExt,
    future::{AbortHandle, Abortable},
    stream::FuturesUnordered,
};
use sip_message::{Response, StatusCode, Uri, headers::CallId};
use sip_proxy::{Event, Finding, Plan, ProxyId, Target};
use sip_registrar::{Binding, Found, LookupId};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// Requests that wait for their router.
///
/// A router's future is polled in place as soon as the request has come: one that is ready costs no task and no
/// channel. What it asks for while it is polled is noted, done when it pends, and answered before it is polled again.
pub(crate) struct Routing {
    router: Arc<dyn ErasedRouter>,
    futures: FuturesUnordered<Routed>,
    parked: BTreeMap<ProxyId, Parked>,
    /// Who waits for the bindings that another shard keeps
    lookups: BTreeMap<LookupId, oneshot::Sender<Located>>,
    asks: Asks,
    limit: usize,
    /// The sets that requests are distributed over
    sets: Vec<DispatchSet>,
    /// Requests that are with a destination of a set
    tried: HashMap<(ProxyId, String), Tried>,
    /// Calls that are at a destination of a set, until their BYE
    calls: HashMap<CallId, (DispatchSet, Uri)>,
    /// The same in the order in which they began
    begun: VecDeque<(Instant, CallId)>,
}

struct Tried {
    set: DispatchSet,
    call: Option<CallId>,
}

type Routed = Pin<Box<dyn Future<Output = (ProxyId, Option<Result<Relayed, Rejected>>)> + Send>>;

struct Parked {
    abort: AbortHandle,
    /// Whom the outcome of a relay concerns
    relaying: Option<oneshot::Sender<Result<StatusCode, Response>>>,
    /// Where the targets of its plan are from
    set: Option<DispatchSet>,
}

/// What routers have asked for and nobody has done yet.
#[derive(Clone, Default)]
pub(crate) struct Asks(Arc<Mutex<Vec<(ProxyId, Ask)>>>);

#[expect(
    clippy::large_enum_variant,
    reason = "it waits for less than a turn of the driver"
)]
pub(crate) enum Ask {
    Contacts {
        uri: Uri,
        reply: oneshot::Sender<Located>,
    },
    Relay {
        plan: Plan,
        set: Option<DispatchSet>,
        reply: oneshot::Sender<Result<StatusCode, Response>>,
    },
    Withdraw,
    Answer(Response),
}

/// Where somebody is reached, or the status that the request gets.
pub(crate) type Located = Result<Vec<Target>, StatusCode>;

impl Asks {
    pub(crate) fn push(&self, id: ProxyId, ask: Ask) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((id, ask));
    }

    fn take(&self) -> Vec<(ProxyId, Ask)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Routing {
    pub(crate) fn new(router: Arc<dyn ErasedRouter>, limit: usize) -> Self {
        Self {
            router,
            futures: FuturesUnordered::new(),
            parked: BTreeMap::new(),
            lookups: BTreeMap::new(),
            asks: Asks::default(),
            limit,
            sets: Vec::new(),
            tried: HashMap::new(),
            calls: HashMap::new(),
            begun: VecDeque::new(),
        }
    }

    pub(crate) fn set_sets(&mut self, sets: Vec<DispatchSet>) {
        self.sets = sets;
    }

    pub(crate) fn handle_event(&mut self, machine: &mut Machine, now: Instant, event: Event) {
        match event {
            Event::RouteNeeded {
                id,
                request,
                user,
                ours,
                flow,
            } => {
                if self.parked.len() >= self.limit {
                    machine.proxy(now, |proxy, cx| {
                        proxy.reject(cx, id, StatusCode::SERVICE_UNAVAILABLE)
                    });
                    return;
                }
                let inbound = Inbound::new(id, *request, user, ours, flow, self.asks.clone());
                let routed = AssertUnwindSafe(self.router.route(inbound)).catch_unwind();
                let (abort, registration) = AbortHandle::new_pair();
                let routed = Abortable::new(routed, registration);
                self.futures.push(Box::pin(async move {
                    let outcome = match routed.await {
                        Ok(Ok(outcome)) => Some(outcome),
                        Ok(Err(_panic)) => {
                            Some(Err(Rejected::from(StatusCode::SERVER_INTERNAL_ERROR)))
                        }
                        Err(_aborted) => None,
                    };
                    (id, outcome)
                }));
                self.parked.insert(
                    id,
                    Parked {
                        abort,
                        relaying: None,
                        set: None,
                    },
                );
            }
            Event::RelayFailed { id, response } => self.relayed(id, Err(*response)),
            Event::Answered { id, status } => self.relayed(id, Ok(status)),
            Event::Abandoned { id } => {
                if let Some(parked) = self.parked.remove(&id) {
                    parked.abort.abort();
                }
            }
            Event::TargetTried { id, uri, call } => {
                let set = self.parked.get(&id).and_then(|parked| parked.set.clone());
                if let Some(set) = set {
                    if call.is_some() {
                        set.call_started(&uri);
                    }
                    self.tried
                        .insert((id, uri.to_string()), Tried { set, call });
                }
            }
            Event::TargetDone {
                id,
                uri,
                finding,
                status,
            } => self.target_done(now, (id, uri), finding, status),
            Event::CallEnding { call } => self.call_ended(&call),
            _ => {}
        }
    }

    fn target_done(
        &mut self,
        now: Instant,
        (id, uri): (ProxyId, Uri),
        finding: Finding,
        status: Option<StatusCode>,
    ) {
        let Some(Tried { set, call }) = self.tried.remove(&(id, uri.to_string())) else {
            return;
        };
        set.note(now, &uri, finding);
        let Some(call) = call else { return };
        if !status.is_some_and(StatusCode::is_success) {
            set.call_ended(&uri);
            return;
        }
        self.begun.push_back((now, call.clone()));
        if let Some((set, uri)) = self.calls.insert(call, (set, uri)) {
            set.call_ended(&uri);
        }
        // A call whose BYE goes another way is not counted for ever.
        while let Some((begun, call)) = self.begun.front() {
            let is_over = now.saturating_duration_since(*begun) > LONGEST_CALL;
            if !is_over && self.begun.len() <= MOST_CALLS && self.calls.contains_key(call) {
                break;
            }
            let call = call.clone();
            self.begun.pop_front();
            self.call_ended(&call);
        }
    }

    fn call_ended(&mut self, call: &CallId) {
        if let Some((set, uri)) = self.calls.remove(call) {
            set.call_ended(&uri);
        }
    }

    /// Polls the futures until none can go on, doing in between what they ask for.
    pub(crate) fn poll(&mut self, machine: &mut Machine, now: Instant, cx: &mut Context<'_>) {
        for set in &self.sets {
            set.tick(now);
        }
        loop {
            while let Poll::Ready(Some((id, outcome))) = self.futures.poll_next_unpin(cx) {
                self.decided(machine, now, id, outcome);
            }
            let asks = self.asks.take();
            if asks.is_empty() {
                return;
            }
            for (id, ask) in asks {
                self.perform(machine, now, id, ask);
            }
        }
    }

    fn perform(&mut self, machine: &mut Machine, now: Instant, id: ProxyId, ask: Ask) {
        match ask {
            Ask::Contacts { uri, reply } => {
                let found = machine
                    .stack
                    .command(now, |cores, cx| cores.0.as_mut()?.find(cx, &uri));
                match found {
                    Some(Found::Later(id)) => {
                        self.lookups.insert(id, reply);
                    }
                    // The router may have stopped waiting.
                    Some(Found::Now(bindings)) => drop(reply.send(Ok(targets(&bindings)))),
                    None => drop(reply.send(Err(StatusCode::NOT_FOUND))),
                }
            }
            Ask::Relay { plan, set, reply } => {
                let Some(parked) = self.parked.get_mut(&id) else {
                    return;
                };
                if parked.relaying.is_some() {
                    // One at a time: the reply that is dropped says so to whoever asked too early.
                    return;
                }
                parked.relaying = Some(reply);
                parked.set = set;
                let relayed = machine.proxy(now, |proxy, cx| {
                    proxy.relay(cx, id, plan.hold_failure(true))
                });
                if !matches!(relayed, Some(Ok(()))) {
                    // Dropping the reply tells the router that the request is gone.
                    parked.relaying = None;
                }
            }
            Ask::Withdraw => {
                let relaying = self.parked.get_mut(&id).map(|parked| &mut parked.relaying);
                let given_up = |reply: &mut oneshot::Sender<_>| reply.is_canceled();
                if relaying.is_some_and(|relaying| relaying.take_if(given_up).is_some()) {
                    // It may have been answered.
                    machine.proxy(now, |proxy, cx| proxy.withdraw(cx, id));
                }
            }
            Ask::Answer(response) => {
                machine.proxy(now, |proxy, cx| proxy.answer(cx, id, response));
            }
        }
    }

    /// Another shard has told where somebody is reached, or has too much to do.
    pub(crate) fn found(&mut self, id: LookupId, bindings: Option<Vec<Binding>>) {
        if let Some(reply) = self.lookups.remove(&id) {
            let found = bindings.map(|bindings| targets(&bindings));
            // The router may have stopped waiting.
            reply
                .send(found.ok_or(StatusCode::SERVICE_UNAVAILABLE))
                .ok();
        }
    }

    fn relayed(&mut self, id: ProxyId, outcome: Result<StatusCode, Response>) {
        let Some(parked) = self.parked.get_mut(&id) else {
            return;
        };
        match parked.relaying.take() {
            Some(relaying) => {
                relaying.send(outcome).ok();
            }
            None if outcome.is_ok() => {
                // Answered without the router: cancelled, or past its time.
                parked.abort.abort();
            }
            None => {}
        }
    }

    fn decided(
        &mut self,
        machine: &mut Machine,
        now: Instant,
        id: ProxyId,
        outcome: Option<Result<Relayed, Rejected>>,
    ) {
        for (asked, ask) in self.asks.take() {
            self.perform(machine, now, asked, ask);
        }
        self.parked.remove(&id);
        let outcome = match outcome {
            // Nobody else would send a final response.
            Some(Ok(relayed)) if relayed.status().is_provisional() => {
                Some(Err(StatusCode::SERVER_INTERNAL_ERROR.into()))
            }
            outcome => outcome,
        };
        // What comes too late finds the request gone.
        if let Some(Err(rejected)) = outcome {
            machine.proxy(now, |proxy, cx| match rejected.into_verdict() {
                Verdict::Forward => proxy.forward(cx, id),
                Verdict::Status(status) => proxy.reject(cx, id, status),
                Verdict::Response(response) => proxy.answer(cx, id, *response),
            });
        }
    }
}

fn targets(bindings: &[Binding]) -> Vec<Target> {
    bindings.iter().map(target).collect()
}

/// How a binding is reached: over the flow on which it was made while that is open, else by its Contact.
pub(crate) fn target(binding: &Binding) -> Target {
    let target = Target::new(binding.uri().clone())
        .path(binding.path.clone())
        .q(f32::from(binding.q()) / 1_000.0);
    let target = match binding.flow {
        Some(flow) if binding.is_outbound() => target.only_flow(flow),
        Some(flow) => target.flow(flow),
        None => target.binding(),
    };
    match &binding.instance {
        Some(instance) => target.instance(instance.clone()),
        None => target,
    }
}

/// How long a call counts as one that a destination has.
const LONGEST_CALL: Duration = Duration::from_secs(12 * 3_600);

/// How many calls are counted.
const MOST_CALLS: usize = 100_000;
