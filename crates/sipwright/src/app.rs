//! What stands between the machine's events and the handles that wait for them; it lives on the driver's task.

use crate::{
    calls::{Calls, refusal},
    error::RequestError,
    incoming::Ringing,
    machine::{Machine, MachineEvent},
    messages::Delivered,
    queue::Queue,
    registration::Registrations,
    resolve::Lookups,
    routing::Routing,
    trace::Trace,
};
use futures_channel::oneshot;
use sip_endpoint::{Either, ListenerId, ServerTransactionId, StackEvent};
use sip_io::{Flow, Shard, StateMachine};
use sip_message::{Request, Response, StatusCode, headers::RetryAfter};
use sip_registrar::Event as RegistrarEvent;
use sip_resolver::LookupError;
use sip_runtime::Application;
use sip_ua::{CallId, Event as UaEvent, RequestKey};
use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::SocketAddr,
    task::Context,
    time::{Duration, Instant},
};

/// The application of the driver: handle tables, and the parked futures of routers.
pub(crate) struct App {
    /// Which of the shards this is
    shard: Shard,
    pub(crate) calls: Calls,
    pub(crate) registrations: Registrations,
    pub(crate) requests: BTreeMap<RequestKey, oneshot::Sender<Answered>>,
    pub(crate) incoming: Option<Queue<Box<Ringing>>>,
    pub(crate) messages: Option<Queue<Delivered>>,
    pub(crate) listening: HashMap<ListenerId, Result<SocketAddr, io::ErrorKind>>,
    pub(crate) listeners_awaited: Vec<(
        ListenerId,
        oneshot::Sender<Result<SocketAddr, io::ErrorKind>>,
    )>,
    pub(crate) routing: Option<Routing>,
    pub(crate) lookups: Option<Lookups>,
    pub(crate) trace: Option<Trace>,
    pub(crate) turned_away: TurnedAway,
}

/// What found too many others waiting for the application.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TurnedAway {
    pub(crate) calls: u64,
    pub(crate) messages: u64,
}

/// The outcome of a request outside dialogs.
pub(crate) type Answered = Result<(Box<Response>, Flow), RequestError>;

impl App {
    pub(crate) fn new(
        shard: Shard,
        calls: Calls,
        routing: Option<Routing>,
        lookups: Option<Lookups>,
        trace: Option<Trace>,
    ) -> Self {
        Self {
            shard,
            calls,
            registrations: Registrations::default(),
            requests: BTreeMap::new(),
            incoming: None,
            messages: None,
            listening: HashMap::new(),
            listeners_awaited: Vec::new(),
            routing,
            lookups,
            trace,
            turned_away: TurnedAway::default(),
        }
    }

    /// No more calls and messages: who waits for them gets `None`.
    pub(crate) fn close(&mut self) {
        if let Some(calls) = self.incoming.take() {
            calls.close();
        }
        if let Some(messages) = self.messages.take() {
            messages.close();
        }
    }

    fn handle_sip(&mut self, machine: &mut Machine, now: Instant, event: StackEvent<CoreEvent>) {
        match event {
            StackEvent::Core(Either::Left(event)) => {
                if let (Some(routing), RegistrarEvent::Found { id, bindings }) =
                    (&mut self.routing, event)
                {
                    routing.found(id, bindings);
                }
            }
            StackEvent::Core(Either::Right(Either::Left(event))) => {
                if let Some(routing) = &mut self.routing {
                    routing.handle_event(machine, now, event);
                }
            }
            StackEvent::Core(Either::Right(Either::Right(Either::Left(changed)))) => {
                tracing::info!(?changed, "a destination has changed");
            }
            StackEvent::Core(Either::Right(Either::Right(Either::Right(event)))) => {
                self.handle_ua(machine, now, event)
            }
            StackEvent::Listening { listener, local } => self.listener_done(listener, Ok(local)),
            StackEvent::ListenFailed { listener, reason } => {
                self.listener_done(listener, Err(reason))
            }
            StackEvent::LookupNeeded { id, question } => match &mut self.lookups {
                Some(lookups) => lookups.start(machine, now, id, question),
                None => {
                    let nobody = Err(LookupError::NoServer);
                    machine.stack.provide_answer(now, id, nobody);
                }
            },
            _ => {}
        }
    }

    fn handle_ua(&mut self, machine: &mut Machine, now: Instant, event: UaEvent) {
        match event {
            UaEvent::IncomingCall {
                call,
                request,
                flow,
            } => self.call_received(machine, now, call, request, flow),
            UaEvent::Registered { .. }
            | UaEvent::RegistrationRetrying { .. }
            | UaEvent::RegistrationEnded { .. } => {
                self.registrations.handle_event(event);
            }
            UaEvent::RequestDone { request, result } => {
                if let Some(waiting) = self.requests.remove(&request) {
                    // Whoever asked may have gone.
                    waiting.send(result.map_err(RequestError::from)).ok();
                }
            }
            UaEvent::Request {
                id, request, flow, ..
            } => self.message_received(machine, now, id, request, flow),
            call_event => self.calls.handle_event(machine, now, call_event),
        }
    }

    fn listener_done(&mut self, listener: ListenerId, outcome: Result<SocketAddr, io::ErrorKind>) {
        self.listening.insert(listener, outcome);
        if let Some(place) = self
            .listeners_awaited
            .iter()
            .position(|(awaited, _)| *awaited == listener)
        {
            let (_, waiting) = self.listeners_awaited.swap_remove(place);
            waiting.send(outcome).ok();
        }
    }

    /// Offers a call to whoever takes calls; nobody takes it when nobody asked, or too many wait already.
    fn call_received(
        &mut self,
        machine: &mut Machine,
        now: Instant,
        call: CallId,
        request: Box<Request>,
        flow: Flow,
    ) {
        let (status, headers) = match self.calls.refusal_of_offer(&request) {
            Some(error) => refusal(&error),
            None => {
                let ringing = Box::new(Ringing {
                    shard: self.shard,
                    call,
                    request,
                    handle: self.calls.incoming(call, flow),
                    flow,
                });
                if let Some(queue) = &self.incoming {
                    if queue.push(ringing).is_ok() {
                        return;
                    }
                    self.turned_away.calls += 1;
                }
                (StatusCode::TEMPORARILY_UNAVAILABLE, Vec::new())
            }
        };
        // The caller may have given up in the meantime.
        machine
            .ua(now, |ua, cx| ua.reject(cx, call, status, headers))
            .ok();
    }

    /// Offers a message to whoever takes messages. A queue that is full answers 503 with Retry-After.
    fn message_received(
        &mut self,
        machine: &mut Machine,
        now: Instant,
        id: ServerTransactionId,
        request: Box<Request>,
        flow: Flow,
    ) {
        let delivered = Delivered {
            shard: self.shard,
            id,
            request,
            flow,
        };
        let asked = self.messages.is_some();
        let refused = match &self.messages {
            Some(queue) => queue.push(delivered).err(),
            None => Some(delivered),
        };
        if let Some(Delivered { request, .. }) = refused {
            self.turned_away.messages += u64::from(asked);
            let refusal = request
                .response(StatusCode::SERVICE_UNAVAILABLE)
                .header(RetryAfter::new(Duration::from_secs(5)))
                .build();
            machine.ua(now, |ua, cx| ua.respond(cx, id, refusal)).ok();
        }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.close();
    }
}

type CoreEvent = <crate::machine::Cores as sip_endpoint::Core>::Event;

impl Application<Machine> for App {
    fn handle_event(
        &mut self,
        machine: &mut Machine,
        now: Instant,
        event: <Machine as StateMachine>::Event,
    ) {
        match event {
            MachineEvent::Sip(event) => self.handle_sip(machine, now, event),
            MachineEvent::Media(event) => self.calls.handle_media(machine, now, event),
            MachineEvent::Seen(observation) => {
                if let Some(trace) = &self.trace {
                    trace.note(observation);
                }
            }
        }
    }

    fn poll(&mut self, machine: &mut Machine, now: Instant, cx: &mut Context<'_>) {
        if let Some(lookups) = &mut self.lookups {
            lookups.poll(machine, now, cx);
        }
        if let Some(routing) = &mut self.routing {
            routing.poll(machine, now, cx);
        }
    }

    // Routers and resolvers of the application's own are polled on the driver's task alone.
    fn runs_in_place(&self) -> bool {
        self.routing.is_none() && self.lookups.is_none()
    }

    fn is_idle(&self, machine: &Machine) -> bool {
        machine.stack.is_idle()
    }

    fn linger(&self, machine: &Machine) -> Duration {
        if machine.stack.endpoint().stats().server_transactions > 0 {
            STRAGGLERS
        } else {
            Duration::ZERO
        }
    }
}

/// How long a closing stack waits for who did not get its last answer: a request is sent again after T1, 500 ms, and
/// may take as long on its way.
const STRAGGLERS: Duration = Duration::from_secs(1);
