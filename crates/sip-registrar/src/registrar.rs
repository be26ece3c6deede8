//! The registrar core.

use crate::{Binding, Change, Event, Location, RegistrarConfig, UpdateError, UpdateId};
use sip_auth::{Outcome, Role};
use sip_endpoint::{
    Context, Core, Event as EndpointEvent, ServerTransactionId, is_first_hop, neighbour_flow_of,
};
use sip_io::{Flow, TimerId, TimerQueue};
use sip_message::{
    Aor, Method, ParseError, Request, Response, ResponseBuilder, StatusCode, Uri,
    headers::{Contact, Date, MinExpires, Path, Require, Route, Supported, Unsupported},
};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    time::Instant,
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
    config: RegistrarConfig,
    location: Option<Box<dyn Location>>,
    pending: BTreeMap<UpdateId, Pending>,
    last_id: u64,
    timers: TimerQueue<UpdateId>,
    events: VecDeque<Event>,
    stats: RegistrarStats,
    shutting_down: bool,
}

/// A REGISTER that waits for a store elsewhere.
struct Pending {
    server: ServerTransactionId,
    request: Request,
    aor: Aor,
    change: Change,
    timer: TimerId,
}

/// What a registrar has counted since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistrarStats {
    /// REGISTER requests that came
    pub requests: u64,
    /// Of those, answered with 200
    pub accepted: u64,
    /// Of those, answered with 401
    pub challenged: u64,
    /// Of those, answered with anything else
    pub refused: u64,
    /// Updates that wait for a store elsewhere
    pub pending: usize,
}

/// Why a REGISTER changes nothing.
enum Refusal {
    Malformed(ParseError),
    Status(StatusCode),
    Extensions(Vec<String>),
    Response(Box<Response>),
    Update(UpdateError),
}

impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Self {
        Self::Malformed(error)
    }
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
            last_id: 0,
            events: VecDeque::new(),
            stats: RegistrarStats::default(),
            shutting_down: false,
        }
    }

    /// The bindings of the user that `uri` names, most preferred first; `None` when the URI is not of a domain of ours
    /// or names no user. A registrar that asks knows of no bindings itself.
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
        let Some(pending) = self.pending.remove(&id) else {
            return;
        };
        self.timers.cancel(pending.timer);
        let Pending {
            server,
            request,
            aor,
            change,
            ..
        } = pending;
        let result = update.map_err(Refusal::Update);
        self.finish(cx, server, &request, aor, &change, result);
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
        match self.admit(cx, server, &flow, &request) {
            Ok((aor, change)) => self.update(cx, server, request, aor, change),
            Err(refusal) => self.refuse(cx, server, &request, refusal),
        }
    }

    /// RFC 3261 §10.3 steps 2 to 5.
    fn admit(
        &mut self,
        cx: &Context<'_>,
        server: ServerTransactionId,
        flow: &Flow,
        request: &Request,
    ) -> Result<(Aor, Change), Refusal> {
        if self.shutting_down {
            return Err(Refusal::Status(StatusCode::SERVICE_UNAVAILABLE));
        }
        if let Some(required) = request.headers().get::<Require>().transpose()? {
            let unknown: Vec<String> = required
                .iter()
                .filter(|option| {
                    !EXTENSIONS
                        .iter()
                        .any(|known| known.eq_ignore_ascii_case(option))
                })
                .map(str::to_owned)
                .collect();
            if !unknown.is_empty() {
                return Err(Refusal::Extensions(unknown));
            }
        }
        // RFC 3261 §8.2.2.2.
        if cx.is_merged(server) {
            return Err(Refusal::Status(StatusCode::LOOP_DETECTED));
        }
        let to = request.to()?;
        let user = self.authenticate(cx.now, request)?;
        let aor = self
            .aor(cx, to.uri())
            .ok_or(Refusal::Status(StatusCode::NOT_FOUND))?;
        if let Some(user) = user
            && !self.config.domains.is_user(cx, to.uri(), &user)
        {
            return Err(Refusal::Status(StatusCode::FORBIDDEN));
        }
        let outbound = self.outbound(flow, request)?;
        let at = self.config.clock.at(cx.now);
        let change = Change::from_request(request, self.config.terms.clone(), at)?
            .outbound(outbound)
            .reached_by(|contact| neighbour_flow_of(request, flow, contact.uri()));
        Ok((aor, change))
    }

    fn authenticate(&mut self, now: Instant, request: &Request) -> Result<Option<String>, Refusal> {
        let Some((server, store)) = &mut self.config.auth else {
            return Ok(None);
        };
        let outcome = server.authenticate(now, request, Role::Server, store.as_ref());
        if let Outcome::Granted { user } = outcome {
            return Ok(Some(user));
        }
        Err(match server.answer(now, request, Role::Server, &outcome) {
            Some(response) => Refusal::Response(Box::new(response)),
            None => Refusal::Status(StatusCode::FORBIDDEN),
        })
    }

    /// Whether reg-id counts (RFC 5626 §6): only on a stream from the user agent itself, because over datagrams we
    /// answer no keep-alive.
    fn outbound(&self, flow: &Flow, request: &Request) -> Result<bool, Refusal> {
        let supported = request.headers().get::<Supported>().transpose()?;
        let asks = supported.is_some_and(|supported| supported.contains("outbound"));
        if !asks || is_first_hop(request) {
            return Ok(asks && flow.is_stream());
        }
        let edge = request.headers().get::<Path>().transpose()?;
        if edge.is_some_and(|path| path.uri().has_param("ob")) {
            return Ok(true);
        }
        let has_reg_id = request
            .headers()
            .all::<Contact>()
            .flatten()
            .any(|contact| contact.reg_id().is_some());
        if has_reg_id {
            return Err(Refusal::Status(
                StatusCode::FIRST_HOP_LACKS_OUTBOUND_SUPPORT,
            ));
        }
        Ok(false)
    }

    /// RFC 3261 §10.3 steps 6 and 7, here or elsewhere.
    fn update(
        &mut self,
        cx: &mut Context<'_>,
        server: ServerTransactionId,
        request: Request,
        aor: Aor,
        change: Change,
    ) {
        if let Some(location) = &mut self.location {
            let result = location
                .update(cx.now, &aor, &change)
                .map_err(Refusal::Update);
            return self.finish(cx, server, &request, aor, &change, result);
        }
        if self.pending.len() >= self.config.updates {
            return self.refuse(
                cx,
                server,
                &request,
                Refusal::Status(StatusCode::SERVICE_UNAVAILABLE),
            );
        }
        self.last_id += 1;
        let id = UpdateId(self.last_id);
        let timer = self.timers.insert(cx.now + self.config.decision, id);
        self.events.push_back(Event::UpdateNeeded {
            id,
            aor: aor.clone(),
            change: change.clone(),
        });
        self.pending.insert(
            id,
            Pending {
                server,
                request,
                aor,
                change,
                timer,
            },
        );
    }

    /// RFC 3261 §10.3 step 8.
    fn finish(
        &mut self,
        cx: &mut Context<'_>,
        server: ServerTransactionId,
        request: &Request,
        aor: Aor,
        change: &Change,
        result: Result<Vec<Binding>, Refusal>,
    ) {
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
        if change.is_outbound() {
            builder = builder.header(Require::new(["outbound"]).expect("is a token"));
        }
        builder = builder
            .header(Supported::new(EXTENSIONS).expect("are tokens"))
            .header(Date::new(at));
        respond(cx, server, builder.build());
        if !change.is_query() {
            self.events.push_back(Event::Changed { aor, bindings });
        }
    }

    fn refuse(
        &mut self,
        cx: &mut Context<'_>,
        server: ServerTransactionId,
        request: &Request,
        refusal: Refusal,
    ) {
        let tag = cx.tag_for(server);
        let response = match refusal {
            Refusal::Response(mut response) => {
                if let Ok(to) = response.to()
                    && to.tag().is_none()
                {
                    response.headers_mut().set(to.with_tag(&tag));
                }
                *response
            }
            other => self.refusal(request, &other).to_tag(tag).build(),
        };
        if response.status() == StatusCode::UNAUTHORIZED {
            self.stats.challenged += 1;
        } else {
            self.stats.refused += 1;
        }
        respond(cx, server, response);
    }

    fn refusal(&self, request: &Request, refusal: &Refusal) -> ResponseBuilder {
        match refusal {
            Refusal::Malformed(error) => request.response(error.status()).reason(&error.reason()),
            Refusal::Status(status) => request.response(*status),
            Refusal::Response(response) => request.response(response.status()),
            Refusal::Extensions(options) => {
                let builder = request.response(StatusCode::BAD_EXTENSION);
                match Unsupported::new(options) {
                    Ok(unsupported) => builder.header(unsupported),
                    Err(_) => builder,
                }
            }
            Refusal::Update(error) => {
                let builder = request.response(error.status());
                match error.status() {
                    StatusCode::INTERVAL_TOO_BRIEF => {
                        builder.header(MinExpires::new(self.config.terms.min_expires))
                    }
                    StatusCode::BAD_REQUEST => builder.reason(&error.to_string()),
                    _ => builder,
                }
            }
        }
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
                self.register(cx, id, flow, request);
                None
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
        [self.timers.next(), location].into_iter().flatten().min()
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

fn respond(cx: &mut Context<'_>, server: ServerTransactionId, response: Response) {
    if let Err(error) = cx.respond(server, response) {
        tracing::debug!(%error, "a REGISTER could not be answered");
    }
}

/// What a REGISTER may require of us.
const EXTENSIONS: [&str; 2] = ["path", "outbound"];
