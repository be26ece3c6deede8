//! Requests from upstream: what is checked before anyone is asked (RFC 3261 §16.3, §16.4), and ACKs.

use crate::{
    Event, Proxy, Target, UnmatchedCancel,
    context::{ResponseContext, Stage},
    plan::{Manner, Plan},
    route::{self, Dialog, Way},
};
use sip_endpoint::{Context, Draft, Event as EndpointEvent, ServerTransactionId};
use sip_io::Flow;
use sip_message::{
    HeaderName, HeaderValue, Method, ParseError, Request, Response, ResponseBuilder, StatusCode,
    Tag, Uri,
    headers::{MaxBreadth, MaxForwards, ProxyRequire, Route, Unsupported},
};
use std::time::Duration;

/// Why a request is not relayed.
pub(crate) enum Refusal {
    Malformed(ParseError),
    Status(StatusCode),
    /// RFC 3261 §16.3 step 5
    Extensions(Vec<String>),
    /// A response that is complete
    Response(Box<Response>),
}

impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Self {
        Self::Malformed(error)
    }
}

/// What the checks have found out about a request.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) request: Request,
    way: Way,
    fingerprint: String,
    hops: u8,
    breadth: u32,
}

impl Proxy {
    pub(crate) fn request_received(
        &mut self,
        cx: &mut Context<'_>,
        id: ServerTransactionId,
        flow: Flow,
        request: Box<Request>,
    ) -> Option<EndpointEvent> {
        let passed = if request.method() == Method::CANCEL {
            // RFC 3261 §16.10: one that matches nothing.
            match self.config.unmatched_cancel {
                // Nobody but the stack has an answer to it.
                UnmatchedCancel::Refuse => {
                    return Some(EndpointEvent::Request { id, flow, request });
                }
                UnmatchedCancel::Drop => {
                    self.stats.requests += 1;
                    self.stats.cancels_dropped += 1;
                    cx.forget(id);
                    return None;
                }
                UnmatchedCancel::Forward => self.pass_cancel(cx, id, flow, &request),
            }
        } else {
            self.admit(cx, id, flow, Request::clone(&request))
        };
        self.stats.requests += 1;
        if let Err(refusal) = passed {
            self.refuse(cx, id, &request, refusal);
        }
        None
    }

    /// Sends a CANCEL of somebody else's INVITE where its Route or its Request-URI says.
    fn pass_cancel(
        &mut self,
        cx: &mut Context<'_>,
        id: ServerTransactionId,
        flow: Flow,
        request: &Request,
    ) -> Result<(), Refusal> {
        if self.contexts.len() >= self.config.requests {
            self.stats.refused += 1;
            return Err(Refusal::Status(StatusCode::SERVICE_UNAVAILABLE));
        }
        let mut checked = self.check(cx, &flow, request.clone())?;
        let has_route = checked.request.headers().contains::<Route>();
        if !has_route && self.config.domains.contains(cx, checked.request.uri()) {
            // Only who knows the INVITE knows where it went.
            let default = self.default_target(checked.request.uri());
            let unknown = Refusal::Status(StatusCode::CALL_DOES_NOT_EXIST);
            checked.request.set_uri(default.ok_or(unknown)?);
        }
        self.follow(cx, id, flow, checked, None, None)
    }

    /// An ACK to a 2xx, or to a final response that another element sent: forwarded, never answered (RFC 3261
    /// §16.11). Returns whether it had a way.
    pub(crate) fn ack_received(
        &mut self,
        cx: &mut Context<'_>,
        flow: &Flow,
        request: Request,
    ) -> bool {
        let draft = self.ack_draft(cx, flow, request);
        let forwarded = draft.is_some();
        match draft {
            Some(draft) => {
                self.stats.acks += 1;
                cx.forward_ack(draft);
            }
            None => self.stats.acks_dropped += 1,
        }
        forwarded
    }

    fn ack_draft(&self, cx: &Context<'_>, flow: &Flow, request: Request) -> Option<Draft> {
        let checked = self.check(cx, flow, request).ok()?;
        let Checked {
            mut request,
            way,
            hops,
            fingerprint,
            ..
        } = checked;
        let has_route = request.headers().contains::<Route>();
        let ours = self.is_ours(cx, request.uri());
        if way.dialog.is_none() && !has_route && ours {
            request.set_uri(self.default_target(request.uri())?);
        }
        if !has_route && !request.uri().is_sip() {
            return None;
        }
        request.headers_mut().set(MaxForwards(hops));
        let next = route::postprocess(&mut request).ok()?;
        let mut draft = Draft::new(request).branch_suffix(fingerprint);
        if let Some(flow) = way
            .dialog
            .as_ref()
            .and_then(|dialog| dialog_flow(cx, dialog, flow, has_route))
        {
            draft = draft.to_flow(flow);
        } else if let Some(next) = next {
            draft = draft.to_uri(next);
        }
        Some(draft)
    }

    fn admit(
        &mut self,
        cx: &mut Context<'_>,
        id: ServerTransactionId,
        flow: Flow,
        request: Request,
    ) -> Result<(), Refusal> {
        if self.is_for_ourselves(cx, &request) {
            let response = options_answer(&request).to_tag(cx.tag_for(id)).build();
            self.reply(cx, id, response);
            return Ok(());
        }
        let mut checked = self.check(cx, &flow, request)?;
        let ours = self.is_ours(cx, checked.request.uri());
        let has_route = checked.request.headers().contains::<Route>();
        if !checked.request.uri().is_sip() && !has_route {
            return Err(Refusal::Status(StatusCode::UNSUPPORTED_URI_SCHEME));
        }
        if let Some(dialog) = checked.way.dialog.take() {
            self.stats.in_dialog += 1;
            let to_flow = dialog_flow(cx, &dialog, &flow, has_route);
            return self.follow(cx, id, flow, checked, Some(dialog), to_flow);
        }
        // What ends or changes a dialog is bounded by the transactions; new work stops here.
        if self.contexts.len() >= self.config.requests {
            self.stats.refused += 1;
            return Err(Refusal::Status(StatusCode::SERVICE_UNAVAILABLE));
        }
        // Some peers end their dialogs without our Route; anything else could pretend to be inside one.
        let ends =
            *checked.request.method() == Method::BYE && checked.request.to()?.tag().is_some();
        if ends
            && ours
            && !has_route
            && let Some(uri) = self.default_target(checked.request.uri())
        {
            checked.request.set_uri(uri);
            return self.follow(cx, id, flow, checked, None, None);
        }
        if self.shutting_down {
            self.stats.refused += 1;
            return Err(Refusal::Status(StatusCode::SERVICE_UNAVAILABLE));
        }
        // A request that goes on to somebody else's Route is not for us, whatever its Request-URI.
        let ours = ours && !has_route;
        self.authorize(cx, id, flow, checked, ours)
    }

    /// Makes a question of a request that may pass.
    pub(crate) fn ask_for_route(
        &mut self,
        cx: &mut Context<'_>,
        id: ServerTransactionId,
        flow: Flow,
        checked: Checked,
        ours: bool,
        user: Option<String>,
    ) {
        let proxy_id = self.open(cx, id, flow, checked, None);
        let request = self
            .contexts
            .get(proxy_id)
            .map(|context| Box::new(context.request.clone()));
        if let Some(request) = request {
            self.await_decision(cx.now, proxy_id);
            self.events.push_back(Event::RouteNeeded {
                id: proxy_id,
                request,
                user,
                ours,
                flow,
            });
        }
    }

    /// Sends a request on where it says itself.
    fn follow(
        &mut self,
        cx: &mut Context<'_>,
        id: ServerTransactionId,
        flow: Flow,
        checked: Checked,
        dialog: Option<Dialog>,
        to_flow: Option<Flow>,
    ) -> Result<(), Refusal> {
        let mut target = Target::new(checked.request.uri().clone());
        if let Some(flow) = to_flow {
            target = target.flow(flow);
        } else if leads_nowhere(checked.request.uri())
            && !checked.request.headers().contains::<Route>()
        {
            // The connection is gone, and there was no other way (RFC 5626 §5.3).
            return Err(Refusal::Status(StatusCode::FLOW_FAILED));
        }
        let proxy_id = self.open(cx, id, flow, checked, dialog);
        let record_route = self.config.record_route;
        if let Some(context) = self.contexts.get_mut(proxy_id) {
            context.adopt(Plan::to(target), record_route);
        }
        self.advance(cx, proxy_id);
        Ok(())
    }

    /// Makes a response context; an INVITE gets its 100 (RFC 3261 §16.2).
    fn open(
        &mut self,
        cx: &mut Context<'_>,
        server: ServerTransactionId,
        flow: Flow,
        checked: Checked,
        dialog: Option<Dialog>,
    ) -> crate::ProxyId {
        let Checked {
            request,
            fingerprint,
            hops,
            breadth,
            ..
        } = checked;
        let is_invite = request.method() == Method::INVITE;
        if is_invite && self.config.trying_after == Some(Duration::ZERO) {
            let trying = cx.trying(&request);
            self.reply(cx, server, trying);
        } else if is_invite {
            cx.set_trying_after(server, &request, self.config.trying_after);
        }
        self.contexts.insert(ResponseContext {
            server,
            flow,
            request,
            is_invite,
            stage: Stage::Asking,
            fingerprint,
            hops,
            breadth,
            token: dialog.map(|dialog| dialog.token),
            record_route: false,
            groups: std::collections::VecDeque::new(),
            manner: Manner::default(),
            branches: Vec::new(),
            tried: 0,
            remembered: Vec::new(),
            outcomes: crate::choice::Outcomes::default(),
            earlier: crate::choice::Outcomes::default(),
            timer: None,
            deadline: None,
        })
    }

    /// RFC 3261 §16.3 steps 3 to 5 with RFC 5393, then Route processing (§16.4).
    fn check(
        &self,
        cx: &Context<'_>,
        flow: &Flow,
        mut request: Request,
    ) -> Result<Checked, Refusal> {
        let hops = match request.headers().get::<MaxForwards>().transpose()? {
            Some(MaxForwards(0)) => return Err(Refusal::Status(StatusCode::TOO_MANY_HOPS)),
            Some(MaxForwards(hops)) => hops - 1,
            // RFC 3261 §16.6 step 3.
            None => 70,
        };
        let fingerprint = route::fingerprint(&self.key, &request)?;
        if route::has_looped(&request, &fingerprint) {
            return Err(Refusal::Status(StatusCode::LOOP_DETECTED));
        }
        let breadth = match request.headers().get::<MaxBreadth>().transpose()? {
            Some(MaxBreadth(breadth)) => breadth.min(self.config.max_breadth),
            None => self.config.max_breadth,
        };
        if breadth == 0 {
            return Err(Refusal::Status(StatusCode::MAX_BREADTH_EXCEEDED));
        }
        if let Some(required) = request.headers().get::<ProxyRequire>().transpose()?
            && request.method() != Method::ACK
            && !required.is_empty()
        {
            // We have no extension that a request could require of a proxy.
            return Err(Refusal::Extensions(
                required.iter().map(str::to_owned).collect(),
            ));
        }
        let way = route::preprocess(cx, &self.config.domains, &self.key, flow, &mut request)?;
        Ok(Checked {
            request,
            way,
            fingerprint,
            hops,
            breadth,
        })
    }

    /// Answers a request that is not relayed.
    pub(crate) fn refuse(
        &mut self,
        cx: &mut Context<'_>,
        id: ServerTransactionId,
        request: &Request,
        refusal: Refusal,
    ) {
        let response = self.refusal(request, refusal, cx.tag_for(id));
        self.reply(cx, id, response);
    }

    fn refusal(&mut self, request: &Request, refusal: Refusal, tag: Tag) -> Response {
        self.stats.rejected += 1;
        let builder = match refusal {
            Refusal::Response(mut response) => {
                let challenge = response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED;
                self.stats.challenged += u64::from(challenge);
                if let Ok(to) = response.to()
                    && to.tag().is_none()
                {
                    response.headers_mut().set(to.with_tag(&tag));
                }
                return *response;
            }
            Refusal::Malformed(error) => request.response(error.status()).reason(&error.reason()),
            Refusal::Extensions(tokens) => {
                let builder = request.response(StatusCode::BAD_EXTENSION);
                match Unsupported::new(&tokens) {
                    Ok(unsupported) => builder.header(unsupported),
                    Err(_) => builder,
                }
            }
            Refusal::Status(status) => {
                self.stats.looped += u64::from(status == StatusCode::LOOP_DETECTED);
                self.own_response(request, status)
            }
        };
        builder.to_tag(tag).build()
    }

    /// Whether the target of a request is ours to find; one with the `maddr` of somebody else is its own (RFC 3261
    /// §16.5).
    fn is_ours(&self, cx: &Context<'_>, uri: &Uri) -> bool {
        let elsewhere = || uri.maddr().is_some() && !cx.is_local_uri(uri);
        self.config.domains.contains(cx, uri) && !elsewhere()
    }

    /// OPTIONS for the proxy itself (RFC 3261 §11): our own URI without a user.
    fn is_for_ourselves(&self, cx: &Context<'_>, request: &Request) -> bool {
        self.config.answer_options
            && request.method() == Method::OPTIONS
            && request.uri().user_raw().is_none()
            && self.is_ours(cx, request.uri())
            && request.to().is_ok_and(|to| to.tag().is_none())
            && request
                .headers()
                .all::<Route>()
                .all(|route| route.is_ok_and(|route| self.config.domains.contains(cx, route.uri())))
    }

    /// The [default target](crate::ProxyConfig::default_target) for a request to `uri`: with its user, if the target
    /// has none of its own.
    pub fn default_target(&self, uri: &Uri) -> Option<Uri> {
        let default = self.config.default_target.as_ref()?;
        Some(match uri.user() {
            Some(user) if default.user_raw().is_none() => default.with_user(Some(&user)),
            _ => default.clone(),
        })
    }

    fn reply(&mut self, cx: &mut Context<'_>, id: ServerTransactionId, response: Response) {
        if let Err(error) = cx.respond(id, response) {
            self.stats.dropped_responses += 1;
            tracing::debug!(%error, "a response has nowhere to go upstream");
        }
    }
}

/// What a proxy says of itself (RFC 3261 §11.2).
fn options_answer(request: &Request) -> ResponseBuilder {
    request
        .response(StatusCode::OK)
        .raw_header(HeaderName::ACCEPT, HeaderValue::from_static("*/*"))
        .raw_header(
            HeaderName::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        )
        .raw_header(HeaderName::SUPPORTED, HeaderValue::from_static("path"))
}

/// The flow of the end that a request inside a dialog is for, if it has one that is open and is not where the request
/// came from.
fn dialog_flow(cx: &Context<'_>, dialog: &Dialog, came: &Flow, has_route: bool) -> Option<Flow> {
    // The flow is that of the neighbour, and with a Route left the neighbour is another.
    let flow = dialog
        .flows
        .toward(dialog.direction)
        .filter(|_| !has_route)?;
    (flow != *came && cx.is_flow_open(&flow)).then_some(flow)
}

/// A Contact that names no place (RFC 7118 §5).
fn leads_nowhere(uri: &Uri) -> bool {
    uri.host().as_name().is_some_and(|name| {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        name == "invalid" || name.ends_with(".invalid")
    })
}
