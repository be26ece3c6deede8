//! The registrar core.

use crate::{
    Binding, Change, Event, Location, RegistrarConfig, RegistrarStats, SecretId, UpdateError,
    UpdateId,
    change::is_flow_of_device,
    refusal::{Refusal, respond},
};
use sip_auth::{Admission, Confirmation, Granted, Question, Secret};
use sip_endpoint::{
    Context, Core, Event as EndpointEvent, ServerTransactionId, is_first_hop, neighbour_flow_of,
};
use sip_io::{Flow, TimerId, TimerQueue, earliest};
use sip_message::{
    Aor, Method, Request, StatusCode, Uri,
    headers::{Contact, Date, FlowTimer, Path, Require, Route, ServiceRoute, Supported},
};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    time::{Duration, Instant},
};

/// A registrar (RFC 3261 §10.3) as a core: it takes every REGISTER for its domains.
///
/// ```
/// use sip_endpoint::{Domains, EndpointConfig, Stack};
/// use sip_io::WallClock;
/// use sip_message::Uri;
/// use sip_registrar::{MemoryLocation, Registrar, RegistrarConfig};
/// # use std::time::{Instant, SystemTime};
///
/// let now = Instant::now();
/// let clock = WallClock { at: now, is: SystemTime::now() };
/// let config = RegistrarConfig::new(clock, Domains::new(["example.com"])?);
/// let registrar = Registrar::new(config, MemoryLocation::new([1; 32], clock));
/// let mut stack = Stack::new(EndpointConfig::new([2; 32], clock), registrar);
/// let bob = Uri::parse("sip:bob@example.com")?;
/// let bindings = stack.command(now, |registrar, cx| registrar.lookup(cx, &bob));
/// assert_eq!(bindings.map(|bindings| bindings.len()), Some(0));
/// # Ok::<(), sip_message::ParseError>(())
/// ```
pub struct Registrar {
    pub(crate) config: RegistrarConfig,
    pub(crate) location: Option<Box<dyn Location>>,
    pending: BTreeMap<u64, Pending>,
    /// Questions to other shards
    pub(crate) lookups: BTreeMap<u64, TimerId>,
    pub(crate) last_id: u64,
    pub(crate) timers: TimerQueue<u64>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) stats: RegistrarStats,
    shutting_down: bool,
}

/// A REGISTER that waits for an answer from elsewhere.
struct Pending {
    server: ServerTransactionId,
    request: Request,
    timer: TimerId,
    wait: Wait,
}

/// What it waits for.
enum Wait {
    Secret {
        flow: Flow,
        question: Box<Question>,
    },
    Update {
        aor: Aor,
        change: Change,
        confirmation: Option<Box<Confirmation>>,
    },
}

/// A REGISTER of somebody who may send it.
struct Asked {
    server: ServerTransactionId,
    request: Request,
    /// What its 200 says to them (RFC 7616 §3.5)
    confirmation: Option<Box<Confirmation>>,
}

/// What is known of who sent a REGISTER.
enum Sender {
    /// The user; `None` when nobody has to show who he is
    Known(Option<Granted>),
    /// Somebody has to find the secret
    Unknown(Box<Question>),
}

impl Registrar {
    /// A registrar whose bindings are in `location`.
    pub fn new(config: RegistrarConfig, location: impl Location + 'static) -> Self {
        Self::with(config, Some(Box::new(location)))
    }

    /// A registrar that asks for each update with [`Event::UpdateNeeded`].
    pub fn asking(config: RegistrarConfig) -> Self {
        Self::with(config, None)
    }

    fn with(config: RegistrarConfig, location: Option<Box<dyn Location>>) -> Self {
        Self {
            timers: TimerQueue::new(config.clock.at),
            config,
            location,
            pending: BTreeMap::new(),
            lookups: BTreeMap::new(),
            last_id: 0,
            events: VecDeque::new(),
            stats: RegistrarStats::default(),
            shutting_down: false,
        }
    }

    /// The bindings of the user that `uri` names, most preferred first; `None` when the URI is not of a domain of ours
    /// or names no user. A registrar that asks knows of no bindings itself, and one of several shards knows its own part:
    /// see [`find`](Self::find).
    pub fn lookup(&self, cx: &Context<'_>, uri: &Uri) -> Option<Vec<Binding>> {
        let aor = self.aor(cx, uri)?;
        Some(
            self.location
                .as_ref()
                .map_or_else(Vec::new, |location| location.lookup(cx.now, &aor)),
        )
    }

    /// The address-of-record that `uri` means, if it is ours: the key of its bindings.
    pub fn aor(&self, cx: &Context<'_>, uri: &Uri) -> Option<Aor> {
        self.config.domains.aor(cx, uri)
    }

    /// Says what came of an update: the bindings as they are now. An answer that comes too late is ignored.
    pub fn provide_update(
        &mut self,
        cx: &mut Context<'_>,
        id: UpdateId,
        update: Result<Vec<Binding>, UpdateError>,
    ) {
        let pending = self.stop_waiting(id.0, |wait| matches!(wait, Wait::Update { .. }));
        if let Some(Pending {
            server,
            request,
            wait:
                Wait::Update {
                    aor,
                    change,
                    confirmation,
                },
            ..
        }) = pending
        {
            let asked = Asked {
                server,
                request,
                confirmation,
            };
            self.finish(cx, &asked, aor, &change, update.map_err(Refusal::Update));
        }
    }

    /// Says what the secret of [`Event::SecretNeeded`] is; `None` if there is no such user, an error if that cannot be
    /// found out, which the sender gets as 503. An answer that comes too late is ignored.
    pub fn provide_secret(
        &mut self,
        cx: &mut Context<'_>,
        id: SecretId,
        secret: Result<Option<Secret>, String>,
    ) {
        let pending = self.stop_waiting(id.0, |wait| matches!(wait, Wait::Secret { .. }));
        let Some(Pending {
            server,
            request,
            wait: Wait::Secret { flow, question },
            ..
        }) = pending
        else {
            return;
        };
        let Some(auth) = &mut self.config.auth else {
            return;
        };
        match auth.resume(cx.now, &request, *question, secret) {
            Ok(granted) => self.proceed(cx, server, &flow, request, Some(granted)),
            Err(response) => self.refuse(cx, server, &request, Refusal::Response(response)),
        }
    }

    /// What was counted, and what waits.
    pub fn stats(&self) -> RegistrarStats {
        RegistrarStats {
            pending: self.pending.len(),
            ..self.stats
        }
    }

    /// Whether a REGISTER is for us, and not on its way to somebody else's Route.
    fn is_ours(&self, cx: &Context<'_>, request: &Request) -> bool {
        let domains = &self.config.domains;
        domains.contains(cx, request.uri())
            && request
                .headers()
                .all::<Route>()
                .all(|route| route.is_ok_and(|route| domains.contains(cx, route.uri())))
    }

    fn register(
        &mut self,
        cx: &mut Context<'_>,
        server: ServerTransactionId,
        flow: Flow,
        request: Request,
    ) {
        self.stats.requests += 1;
        match self.admit(cx, server, &request) {
            Ok(Sender::Known(granted)) => self.proceed(cx, server, &flow, request, granted),
            Ok(Sender::Unknown(question)) => {
                let (user, realm) = (question.user().to_owned(), question.realm().to_owned());
                if let Some(id) = self.wait(cx, server, request, Wait::Secret { flow, question }) {
                    self.events.push_back(Event::SecretNeeded {
                        id: SecretId(id),
                        user,
                        realm,
                    });
                }
            }
            Err(refusal) => self.refuse(cx, server, &request, refusal),
        }
    }

    /// RFC 3261 §10.3 steps 2 and 3.
    fn admit(
        &mut self,
        cx: &mut Context<'_>,
        server: ServerTransactionId,
        request: &Request,
    ) -> Result<Sender, Refusal> {
        if self.shutting_down {
            return Err(Refusal::Status(StatusCode::SERVICE_UNAVAILABLE));
        }
        if let Some(required) = request.headers().get::<Require>().transpose()? {
            let is_known = |option: &str| {
                EXTENSIONS
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(option))
            };
            let unknown: Vec<String> = required
                .iter()
                .filter(|option| !is_known(option))
                .map(str::to_owned)
                .collect();
            if !unknown.is_empty() {
                return Err(Refusal::Extensions(unknown));
            }
        }
        // RFC 3261 §8.2.2.2.
        if cx.is_merged(server, request) {
            return Err(Refusal::Status(StatusCode::LOOP_DETECTED));
        }
        let Some(auth) = &mut self.config.auth else {
            return Ok(Sender::Known(None));
        };
        match auth.check(cx.now, request) {
            Admission::Granted(granted) => Ok(Sender::Known(Some(granted))),
            Admission::Refused(response) => Err(Refusal::Response(response)),
            Admission::Asks(question) => Ok(Sender::Unknown(question)),
        }
    }

    /// Goes on with a REGISTER whose sender is known.
    fn proceed(
        &mut self,
        cx: &mut Context<'_>,
        server: ServerTransactionId,
        flow: &Flow,
        request: Request,
        granted: Option<Granted>,
    ) {
        let (user, confirmation) = match granted {
            Some(granted) => (Some(granted.user), granted.confirmation),
            None => (None, None),
        };
        match self.change(cx, flow, &request, user) {
            Ok((aor, change)) => {
                let asked = Asked {
                    server,
                    request,
                    confirmation,
                };
                self.update(cx, asked, aor, change);
            }
            Err(refusal) => self.refuse(cx, server, &request, refusal),
        }
    }

    /// RFC 3261 §10.3 steps 4 and 5: whose bindings, and what is to be done to them.
    fn change(
        &self,
        cx: &Context<'_>,
        flow: &Flow,
        request: &Request,
        user: Option<String>,
    ) -> Result<(Aor, Change), Refusal> {
        let to = request.to()?;
        if let Some(user) = user
            && !self.config.domains.is_user(cx, to.uri(), &user)
        {
            return Err(Refusal::Status(StatusCode::FORBIDDEN));
        }
        let aor = self
            .aor(cx, to.uri())
            .ok_or(Refusal::Status(StatusCode::NOT_FOUND))?;
        let outbound = outbound(flow, request, cx.answers_stun())?;
        let at = self.config.clock.at(cx.now);
        // RFC 5626 §6: a device that manages its flows is reached by this one, wherever its Contact leads.
        let managed = |contact: &Contact| {
            let is_direct = outbound && is_first_hop(request) && !flow.is_stream();
            is_direct && contact.uri().is_sip() && is_flow_of_device(contact)
        };
        let change = Change::from_request(request, self.config.terms.clone(), at)?
            .outbound(outbound)
            .reached_by(|contact| {
                let neighbour = neighbour_flow_of(request, flow, contact.uri());
                neighbour.or_else(|| managed(contact).then_some(*flow))
            });
        Ok((aor, change))
    }

    /// Keeps a REGISTER until its question is answered; `None` when there are too many.
    fn wait(
        &mut self,
        cx: &mut Context<'_>,
        server: ServerTransactionId,
        request: Request,
        wait: Wait,
    ) -> Option<u64> {
        if self.pending.len() >= self.config.pending {
            self.refuse(
                cx,
                server,
                &request,
                Refusal::Status(StatusCode::SERVICE_UNAVAILABLE),
            );
            return None;
        }
        self.last_id += 1;
        let timer = self
            .timers
            .insert(cx.now + self.config.decision, self.last_id);
        self.pending.insert(
            self.last_id,
            Pending {
                server,
                request,
                timer,
                wait,
            },
        );
        Some(self.last_id)
    }

    fn stop_waiting(&mut self, id: u64, is: impl FnOnce(&Wait) -> bool) -> Option<Pending> {
        self.pending.get(&id).filter(|pending| is(&pending.wait))?;
        let pending = self.pending.remove(&id)?;
        self.timers.cancel(pending.timer);
        Some(pending)
    }

    /// RFC 3261 §10.3 steps 6 and 7, here or elsewhere.
    fn update(&mut self, cx: &mut Context<'_>, asked: Asked, aor: Aor, change: Change) {
        let keeper = self.keeper(cx, &aor);
        if keeper.is_none()
            && let Some(location) = &mut self.location
        {
            let result = location
                .update(cx.now, &aor, &change)
                .map_err(Refusal::Update);
            return self.finish(cx, &asked, aor, &change, result);
        }
        let question = (aor.clone(), change.clone());
        let wait = Wait::Update {
            aor,
            change,
            confirmation: asked.confirmation,
        };
        if let Some(id) = self.wait(cx, asked.server, asked.request, wait) {
            let (aor, change) = question;
            if let Some(keeper) = keeper {
                return self.ask_for_update(cx, keeper, id, aor, change);
            }
            self.events.push_back(Event::UpdateNeeded {
                id: UpdateId(id),
                aor,
                change,
            });
        }
    }

    /// RFC 3261 §10.3 step 8.
    fn finish(
        &mut self,
        cx: &mut Context<'_>,
        asked: &Asked,
        aor: Aor,
        change: &Change,
        result: Result<Vec<Binding>, Refusal>,
    ) {
        let (server, request) = (asked.server, &asked.request);
        let bindings = match result {
            Ok(bindings) => bindings,
            Err(refusal) => return self.refuse(cx, server, request, refusal),
        };
        self.stats.accepted += 1;
        let at = self.config.clock.at(cx.now);
        let mut builder = request.response(StatusCode::OK).to_tag(cx.tag_for(server));
        for binding in &bindings {
            builder = builder.header(binding.contact_at(at));
        }
        // RFC 3327 §5.3.
        for path in request.headers().all::<Path>().flatten() {
            builder = builder.header(path);
        }
        for uri in &self.config.service_route {
            builder = builder.header(ServiceRoute::new(uri.clone()));
        }
        if change.is_outbound() {
            builder = builder.header(Require::new(["outbound"]).expect("is a token"));
            if let Some(timer) = self.hold(cx, change, &bindings) {
                builder = builder.header(FlowTimer::new(timer));
            }
        }
        builder = builder
            .header(Supported::new(EXTENSIONS).expect("are tokens"))
            .header(Date::new(at));
        let mut response = builder.build();
        if let Some(confirmation) = &asked.confirmation {
            confirmation.write(&mut response);
        }
        respond(cx, server, response);
        if !change.is_query() {
            self.events.push_back(Event::Changed { aor, bindings });
        }
    }

    /// RFC 5626 §5.4, §6: how often the device has to say something on its flow, from now on.
    fn hold(
        &self,
        cx: &mut Context<'_>,
        change: &Change,
        bindings: &[Binding],
    ) -> Option<Duration> {
        // RFC 5626 §4.4.2: without Flow-Timer a flow of datagrams is kept alive often enough for any address translator.
        let flow = change.flow_of_device().filter(Flow::is_stream)?;
        let mut bound = bindings.iter().filter(|binding| binding.is_outbound());
        let is_bound = bound.any(|binding| binding.flow == Some(flow));
        let timer = self.config.terms.flow_timer.filter(|_| is_bound);
        let now = cx.now;
        cx.expect_keep_alives(now, &flow, timer.map(|timer| timer + GRACE));
        timer
    }
}

impl Core for Registrar {
    type Event = Event;

    fn handle_event(
        &mut self,
        cx: &mut Context<'_>,
        event: EndpointEvent,
    ) -> Option<EndpointEvent> {
        match event {
            EndpointEvent::Request { id, flow, request }
                if request.method() == Method::REGISTER && self.is_ours(cx, &request) =>
            {
                self.register(cx, id, flow, *request);
                None
            }
            EndpointEvent::Note { from, note } => {
                let is_ours = self.note_received(cx, from, &note);
                (!is_ours).then_some(EndpointEvent::Note { from, note })
            }
            EndpointEvent::FlowClosed { flow } => {
                if let Some(location) = &mut self.location {
                    location.flow_closed(&flow);
                }
                Some(EndpointEvent::FlowClosed { flow })
            }
            other => Some(other),
        }
    }

    fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        while let Some(id) = self.timers.pop(cx.now) {
            if self.lookup_over(id) {
                continue;
            }
            if let Some(Pending {
                server, request, ..
            }) = self.pending.remove(&id)
            {
                self.refuse(
                    cx,
                    server,
                    &request,
                    Refusal::Status(StatusCode::SERVICE_UNAVAILABLE),
                );
            }
        }
        if let Some(location) = &mut self.location {
            let expired = location.handle_timeout(cx.now);
            self.events
                .extend(expired.into_iter().map(|aor| Event::Expired { aor }));
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let location = self
            .location
            .as_ref()
            .and_then(|location| location.poll_timeout());
        earliest([self.timers.next(), location])
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// REGISTER requests get 503 from now on.
    fn shutdown(&mut self, cx: &mut Context<'_>) {
        self.shutting_down = true;
        for (
            _,
            Pending {
                server,
                request,
                timer,
                ..
            },
        ) in std::mem::take(&mut self.pending)
        {
            self.timers.cancel(timer);
            self.refuse(
                cx,
                server,
                &request,
                Refusal::Status(StatusCode::SERVICE_UNAVAILABLE),
            );
        }
    }

    fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }
}

impl fmt::Debug for Registrar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registrar")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// Whether reg-id counts (RFC 5626 §6): on a flow from the user agent itself that it can keep alive, or behind an edge that
/// takes care of it.
fn outbound(flow: &Flow, request: &Request, answers_stun: bool) -> Result<bool, Refusal> {
    let supported = request.headers().get::<Supported>().transpose()?;
    let asks = supported.is_some_and(|supported| supported.contains("outbound"));
    if !asks || is_first_hop(request) {
        return Ok(asks && (flow.is_stream() || answers_stun));
    }
    let edge = request.headers().get::<Path>().transpose()?;
    if edge.is_some_and(|path| path.uri().has_param("ob")) {
        return Ok(true);
    }
    let mut contacts = request.headers().all::<Contact>().flatten();
    if contacts.any(|contact| contact.reg_id().is_some()) {
        return Err(Refusal::Status(
            StatusCode::FIRST_HOP_LACKS_OUTBOUND_SUPPORT,
        ));
    }
    Ok(false)
}

/// RFC 5626 §5.4: how long a sign of life may be on its way, which is as long as a transaction.
const GRACE: Duration = Duration::from_secs(32);

/// What a REGISTER may require of us.
const EXTENSIONS: [&str; 2] = ["path", "outbound"];
