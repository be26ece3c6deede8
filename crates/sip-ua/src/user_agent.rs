//! The table of a user agent, and who gets which event.

use std::{
    borrow::BorrowMut,
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    time::Instant,
};

use ahash::RandomState;
use sip_auth::Client;
use sip_dialog::{DialogConfig, DialogKey, DialogLayer};
use sip_endpoint::{
    Context, Core, Event as EndpointEvent, Failure, RequestId, ServerTransactionId,
};
use sip_io::{Flow, Rng, TimerQueue, earliest};
use sip_message::{Aor, Method, Response, StatusCode, Uri};

use crate::{
    CallId, Event, Identity, RegistrationId, RequestKey, UaConfig, UaStats,
    call::{Call, Farewell, Invite, Party},
    capabilities::Capabilities,
    registration::{Registration, way::Way},
    request::Exchange,
    table::Table,
};

/// A user agent as a core: it registers, places and takes calls, and answers for itself (RFC 3261 §8, §10 to §15).
///
/// Commands take the [`Context`] first and return ids at once; what comes of them is told by [`Event`]s. It takes every
/// request that reaches it, so in a tuple of cores it stands last.
///
/// ```
/// use sip_endpoint::{EndpointConfig, Stack};
/// use sip_io::WallClock;
/// use sip_message::Uri;
/// use sip_ua::{CallOptions, Identity, UaConfig, UserAgent};
/// use std::time::{Instant, SystemTime};
///
/// let now = Instant::now();
/// let clock = WallClock { at: now, is: SystemTime::UNIX_EPOCH };
/// let user_agent = UserAgent::new(UaConfig::new([7; 32], clock));
/// let mut stack = Stack::new(EndpointConfig::new([8; 32], clock), user_agent);
/// let alice = Identity::new(Uri::parse("sip:alice@example.com")?);
/// let bob = Uri::parse("sip:bob@example.com")?;
/// let call = stack.command(now, |ua, cx| ua.call(cx, &alice, bob, CallOptions::new()));
/// assert!(call.is_ok());
/// # Ok::<(), sip_message::ParseError>(())
/// ```
pub struct UserAgent {
    pub(crate) config: UaConfig,
    pub(crate) rng: Rng,
    pub(crate) dialogs: DialogLayer<ServerTransactionId>,
    pub(crate) calls: Table<CallId, Call>,
    pub(crate) calls_by_dialog: BTreeMap<DialogKey, CallId>,
    pub(crate) registrations: Table<RegistrationId, Registration>,
    pub(crate) ways: HashMap<Aor, Way, RandomState>,
    pub(crate) exchanges: Table<RequestKey, Exchange>,
    pub(crate) purposes: HashMap<RequestId, Purpose, RandomState>,
    pub(crate) asked: HashMap<ServerTransactionId, Asked, RandomState>,
    pub(crate) handed_out: usize,
    /// What only grows; what is held now is told when it is asked for
    pub(crate) counted: UaStats,
    pub(crate) timers: TimerQueue<Due>,
    pub(crate) events: VecDeque<Event>,
    /// Flows that nobody needs to be kept alive any more
    pub(crate) released: Vec<Flow>,
    pub(crate) next_question: u32,
    pub(crate) running: bool,
    pub(crate) capabilities: Capabilities,
}

/// What a request of ours is for.
#[derive(Debug)]
pub(crate) enum Purpose {
    Invite(Box<Invite>),
    Bye(Box<Farewell>),
    Register(RegistrationId),
    Exchange(RequestKey),
}

/// What a server transaction is about that waits for its answer.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    /// The first INVITE of a call that has no final response
    Invite(CallId),
    /// A re-INVITE that has no final response
    Reinvite(CallId),
    /// The application answers it
    Application {
        /// The dialog whose remote target a 2xx moves, and where to
        moves: Option<Box<(DialogKey, Uri)>>,
    },
}

/// What a timer of ours is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Due {
    /// Send the provisional response again
    RingAgain(CallId),
    /// The call has rung long enough
    RingLimit(CallId),
    /// Send the re-INVITE again that met a 491
    Reoffer(CallId),
    /// Send the REGISTER
    Register(RegistrationId),
}

impl UserAgent {
    /// A user agent that holds nothing.
    pub fn new(config: UaConfig) -> Self {
        let mut rng = Rng::new(config.seed);
        let now = config.clock.at;
        let hasher = RandomState::with_seeds(
            rng.next_u64(),
            rng.next_u64(),
            rng.next_u64(),
            rng.next_u64(),
        );
        // A call has its early dialogs and, of further 2xx, those that are being hung up.
        let dialogs = config.calls.saturating_mul(2 * config.early_dialogs + 2);
        let dialogs = DialogConfig::new()
            .t1(config.t1)
            .t2(config.t2)
            .limit(dialogs);
        Self {
            dialogs: DialogLayer::new(dialogs, &mut rng, now),
            calls: Table::new(),
            calls_by_dialog: BTreeMap::new(),
            registrations: Table::new(),
            ways: HashMap::with_hasher(hasher.clone()),
            exchanges: Table::new(),
            purposes: HashMap::with_hasher(hasher.clone()),
            asked: HashMap::with_hasher(hasher),
            handed_out: 0,
            counted: UaStats::default(),
            timers: TimerQueue::new(now),
            events: VecDeque::new(),
            released: Vec::new(),
            next_question: 0,
            running: true,
            capabilities: Capabilities::new(&config),
            rng,
            config,
        }
    }

    /// Hands requests of `method` to the application from now on; see [`UaConfig::listen_to`].
    pub fn listen_to(&mut self, method: Method) {
        self.config.methods.insert(method);
        self.capabilities = Capabilities::new(&self.config);
    }

    /// Takes calls from now on, or refuses them with 480.
    pub const fn take_calls(&mut self, take: bool) {
        self.config.take_calls = take;
    }

    /// Refuses requests of `method` with 405 from now on: the opposite of [`listen_to`](Self::listen_to).
    pub fn ignore(&mut self, method: &Method) {
        self.config.methods.remove(method);
        self.capabilities = Capabilities::new(&self.config);
    }

    /// What is held.
    pub fn stats(&self) -> UaStats {
        UaStats {
            calls: self.calls.len(),
            dialogs: self.dialogs.len(),
            registrations: self.registrations.len(),
            requests: self.exchanges.len(),
            awaited: self.purposes.len(),
            handed_out: self.handed_out,
            ..self.counted
        }
    }

    /// What answers challenges for `identity`.
    pub(crate) fn auth_client(&mut self, identity: Option<&Identity>) -> Client {
        let mut client = Client::new(self.rng.seed());
        for credentials in identity.map_or(&[][..], Identity::all_credentials) {
            client.add(credentials.clone());
        }
        client
    }

    pub(crate) fn party(&mut self, identity: Option<&Identity>, flow: Option<Flow>) -> Party {
        Party {
            auth: identity.map(|identity| Box::new(self.auth_client(Some(identity)))),
            identity: identity.cloned(),
            flow,
            contact_user: identity
                .and_then(Identity::contact_user_part)
                .map(str::to_owned),
            over_flow: false,
        }
    }

    fn response_received(
        &mut self,
        cx: &mut Context<'_>,
        id: RequestId,
        response: Box<Response>,
        flow: Flow,
    ) {
        match self.purposes.remove(&id) {
            Some(Purpose::Invite(invite)) => self.invite_answered(cx, id, invite, response),
            Some(Purpose::Bye(farewell)) => self.bye_answered(cx, id, farewell, response),
            Some(Purpose::Register(registration)) => {
                self.register_answered(cx, id, registration, response, flow);
                self.release_flows(cx);
            }
            Some(Purpose::Exchange(key)) => self.exchange_answered(cx, id, key, response, flow),
            None => {}
        }
    }

    fn request_failed(&mut self, cx: &mut Context<'_>, id: RequestId, failure: Failure) {
        match self.purposes.remove(&id) {
            Some(Purpose::Invite(invite)) => self.invite_failed(cx, id, *invite, failure),
            // RFC 3261 §15.1.1: no answer to a BYE ends the session just the same.
            Some(Purpose::Bye(farewell)) => self.call_parted(cx, farewell.call, farewell.dialog),
            Some(Purpose::Register(registration)) => {
                self.register_failed(cx, registration, failure)
            }
            Some(Purpose::Exchange(key)) => self.exchange_failed(cx, key, failure),
            None => {}
        }
    }

    fn drain_dialogs(&mut self, cx: &mut Context<'_>) {
        while let Some(event) = self.dialogs.poll_event() {
            match event {
                sip_dialog::Event::Repeat {
                    transaction,
                    response,
                    ..
                } => {
                    // A transaction that is gone means that 64*T1 are over; the dialog layer says so next.
                    cx.respond(transaction, response).ok();
                }
                sip_dialog::Event::NoAck { dialog, .. } => self.no_ack(cx, dialog),
            }
        }
    }
}

impl Core for UserAgent {
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
            EndpointEvent::Ack { request, .. } => {
                self.ack_received(cx, &request);
                None
            }
            EndpointEvent::Cancelled { id, ref request } => match self.asked.get(&id) {
                Some(asked) => {
                    let asked = asked.clone();
                    self.cancel_received(cx, asked, request);
                    None
                }
                None => Some(event),
            },
            EndpointEvent::Response { id, response, flow } if self.purposes.contains_key(&id) => {
                self.response_received(cx, id, response, flow);
                None
            }
            EndpointEvent::RequestFailed { id, reason } if self.purposes.contains_key(&id) => {
                self.request_failed(cx, id, reason);
                None
            }
            EndpointEvent::RequestEnded { id } if self.purposes.contains_key(&id) => {
                self.purposes.remove(&id);
                None
            }
            EndpointEvent::ServerEnded { id } => match self.asked.remove(&id) {
                Some(asked) => {
                    if matches!(asked, Asked::Application { .. }) {
                        self.handed_out = self.handed_out.saturating_sub(1);
                    }
                    None
                }
                None => Some(event),
            },
            EndpointEvent::FlowClosed { flow } => {
                self.registered_flow_closed(cx, &flow);
                Some(event)
            }
            EndpointEvent::NetworkChanged => {
                self.network_changed(cx);
                Some(event)
            }
            other => Some(other),
        }
    }

    fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        self.release_flows(cx);
        self.dialogs.handle_timeout(cx.now);
        self.drain_dialogs(cx);
        while let Some(due) = self.timers.pop(cx.now) {
            match due {
                Due::RingAgain(call) => self.ring_again(cx, call),
                Due::RingLimit(call) => self.rang_too_long(cx, call),
                Due::Reoffer(call) => self.reoffer_again(cx, call),
                Due::Register(registration) => self.registration_due(cx, registration),
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        earliest([self.dialogs.poll_timeout(), self.timers.next()])
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Refuses new work: an INVITE gets 480, a command [`StartError::ShuttingDown`](crate::StartError::ShuttingDown).
    /// Ends what is held: calls are cancelled, rejected with 480 or hung up, registrations withdrawn.
    fn shutdown(&mut self, cx: &mut Context<'_>) {
        self.running = false;
        for call in self.calls.keys() {
            if self
                .calls
                .get(call)
                .is_some_and(|held| matches!(held.stage, crate::call::Stage::Ringing(_)))
            {
                self.reject(cx, call, StatusCode::TEMPORARILY_UNAVAILABLE, Vec::new())
                    .ok();
            } else {
                self.hang_up(cx, call).ok();
            }
        }
        for registration in self.registrations.keys() {
            self.unregister(cx, registration).ok();
        }
    }

    /// Whether every call, registration and request is over; what lingers only to repeat an ACK does not count.
    fn is_idle(&self) -> bool {
        self.calls.is_empty()
            && self.registrations.is_empty()
            && self.exchanges.is_empty()
            && !self
                .purposes
                .values()
                .any(|purpose| matches!(purpose, Purpose::Bye(_)))
    }
}

/// Answers a server transaction; one that is gone wants no answer any more.
pub(crate) fn respond_to(
    cx: &mut Context<'_>,
    id: ServerTransactionId,
    response: impl BorrowMut<Response>,
) {
    let status = response.borrow().status();
    if let Err(error) = cx.respond(id, response) {
        tracing::debug!(%status, %error, "a response came too late");
    }
}

impl fmt::Debug for UserAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserAgent")
            .field("holds", &self.stats())
            .finish_non_exhaustive()
    }
}
