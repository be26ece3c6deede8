//! What happens to requests of peers: the rules of RFC 3261 §8.2 and §12.2.2, in their order.

use sip_dialog::DialogKey;
use sip_endpoint::{Context, Event as EndpointEvent, RespondError, ServerTransactionId};
use sip_io::Flow;
use sip_message::{
    HeaderName, HeaderValue, Method, Request, Response, ResponseBuilder, StatusCode, Uri,
    headers::{Require, RetryAfter, Unsupported},
};
use std::time::Duration;

use crate::{
    Event, UserAgent,
    call::session::{is_optional, is_session},
    capabilities::is_always,
    request::{refreshes_target, target_in},
    user_agent::{Asked, respond_to},
};

impl UserAgent {
    /// Answers a request that came as [`Event::Request`]. Via, From, To, Call-ID and CSeq of `response` should come from
    /// [`Request::response`]; a To tag is added where it is missing.
    ///
    /// # Errors
    ///
    /// When the transaction is gone or has had its final response.
    pub fn respond(
        &mut self,
        cx: &mut Context<'_>,
        id: ServerTransactionId,
        mut response: Response,
    ) -> Result<(), RespondError> {
        if response.status() != StatusCode::TRYING
            && let Ok(to) = response.to()
            && to.tag().is_none()
        {
            response.headers_mut().set(to.with_tag(&cx.tag_for(id)));
        }
        if response.status().is_final()
            && let Some(Asked::Application { moves }) = self.asked.get(&id)
        {
            // RFC 6141 §4.6: what is refused has moved nothing.
            if let Some(moves) = moves
                && response.status().is_success()
                && let Some(dialog) = self.dialogs.get_mut(moves.0)
            {
                dialog.refresh_target(&moves.1);
            }
            self.asked.remove(&id);
            self.handed_out = self.handed_out.saturating_sub(1);
        }
        cx.respond(id, response)
    }

    pub(crate) fn request_received(
        &mut self,
        cx: &mut Context<'_>,
        id: ServerTransactionId,
        flow: Flow,
        request: Box<Request>,
    ) -> Option<EndpointEvent> {
        if *request.method() == Method::CANCEL {
            // It matches no INVITE; whoever answers for all cores says 481.
            return Some(EndpointEvent::Request { id, flow, request });
        }
        let within = request.has_to_tag();
        let dialog = if within {
            self.dialogs.find(&request)
        } else {
            None
        };
        match self.refusal(cx, id, &request, within, dialog) {
            None => self.serve(cx, id, flow, request, dialog),
            Some(response) => {
                self.asked.remove(&id);
                let response = response.to_tag(cx.tag_for(id)).build();
                respond_to(cx, id, response);
            }
        }
        None
    }

    /// RFC 3261 §8.2.1 to §8.2.3: the answer to a request that is not to be served.
    fn refusal(
        &self,
        cx: &mut Context<'_>,
        id: ServerTransactionId,
        request: &Request,
        within: bool,
        dialog: Option<DialogKey>,
    ) -> Option<ResponseBuilder> {
        let refuse = |status| Some(request.response(status));
        let method = request.method();
        if !self.serves(method) {
            let status = if Method::KNOWN.contains(method) {
                StatusCode::METHOD_NOT_ALLOWED
            } else {
                StatusCode::NOT_IMPLEMENTED
            };
            return Some(self.capabilities.allow(request.response(status)));
        }
        if !(request.uri().is_sip() || request.uri().is_sips()) {
            return refuse(StatusCode::UNSUPPORTED_URI_SCHEME);
        }
        if !within && cx.is_merged(id, request) {
            return refuse(StatusCode::LOOP_DETECTED);
        }
        if within && dialog.is_none() || !within && *method == Method::BYE {
            return refuse(StatusCode::CALL_DOES_NOT_EXIST);
        }
        match request.headers().get::<Require>() {
            Some(Ok(require)) => {
                if let Some(unsupported) = self.unsupported(&require) {
                    return Some(
                        request
                            .response(StatusCode::BAD_EXTENSION)
                            .header(unsupported),
                    );
                }
            }
            Some(Err(error)) => {
                return Some(
                    request
                        .response(StatusCode::BAD_REQUEST)
                        .reason(&error.reason()),
                );
            }
            None => {}
        }
        if *method == Method::INVITE {
            return refusal_of_body(request);
        }
        None
    }

    /// The option tags of Require that nobody here knows.
    fn unsupported(&self, require: &Require) -> Option<Unsupported> {
        let known = |tag: &str| {
            self.config
                .extensions
                .iter()
                .any(|known| known.eq_ignore_ascii_case(tag))
        };
        let unknown: Vec<&str> = require.iter().filter(|tag| !known(tag)).collect();
        if unknown.is_empty() {
            None
        } else {
            Unsupported::new(unknown).ok()
        }
    }

    fn serve(
        &mut self,
        cx: &mut Context<'_>,
        id: ServerTransactionId,
        flow: Flow,
        request: Box<Request>,
        dialog: Option<DialogKey>,
    ) {
        let Some(key) = dialog else {
            match *request.method() {
                Method::INVITE => self.invite_received(cx, id, flow, request),
                Method::OPTIONS => self.options_received(cx, id, flow, &request, false),
                _ => self.hand_out(cx, id, flow, request, None, None),
            }
            return;
        };
        let cseq = request.cseq().map_or(0, |cseq| cseq.number());
        let in_order = self
            .dialogs
            .get_mut(key)
            .map(|dialog| dialog.receive_request(cseq));
        if let Some(Err(error)) = in_order {
            // RFC 3261 §12.2.2.
            tracing::debug!(%error, "a request out of order");
            self.answer_with(cx, id, &request, StatusCode::SERVER_INTERNAL_ERROR);
            return;
        }
        match *request.method() {
            Method::INVITE => self.reinvite_received(cx, id, flow, request, key),
            Method::BYE => self.bye_received(cx, id, &request, key),
            Method::OPTIONS => self.options_received(cx, id, flow, &request, true),
            _ => {
                let call = self.calls_by_dialog.get(&key).copied();
                let target = refreshes_target(request.method())
                    .then(|| target_in(request.headers()))
                    .flatten();
                let moves = target.map(|target| Box::new((key, target)));
                self.hand_out(cx, id, flow, request, call, moves);
            }
        }
    }

    /// RFC 3261 §11.2: what an INVITE would get, and what is supported.
    fn options_received(
        &mut self,
        cx: &mut Context<'_>,
        id: ServerTransactionId,
        flow: Flow,
        request: &Request,
        within: bool,
    ) {
        let status = self
            .refusal_of_calls()
            .filter(|_| !within)
            .unwrap_or(StatusCode::OK);
        let contact = cx.contact_for(request, &flow, request.uri().user().as_deref());
        let mut response = request.response(status).to_tag(cx.tag_for(id));
        let headers = response.headers_mut();
        headers.push_raw(HeaderName::CONTACT, contact);
        headers.push_raw(HeaderName::ACCEPT, ACCEPT);
        headers.push_raw(HeaderName::ACCEPT_ENCODING, ACCEPT_ENCODING);
        headers.push_raw(HeaderName::ACCEPT_LANGUAGE, ACCEPT_LANGUAGE);
        self.capabilities.describe(headers);
        let response = response.build();
        self.asked.remove(&id);
        respond_to(cx, id, response);
    }

    /// Gives a request to the application.
    fn hand_out(
        &mut self,
        cx: &mut Context<'_>,
        id: ServerTransactionId,
        flow: Flow,
        request: Box<Request>,
        call: Option<crate::CallId>,
        moves: Option<Box<(DialogKey, Uri)>>,
    ) {
        if !self.running {
            self.answer_with(cx, id, &request, StatusCode::TEMPORARILY_UNAVAILABLE);
            return;
        }
        if self.handed_out >= self.config.handed_out {
            self.counted.requests_refused += 1;
            let response = request
                .response(StatusCode::SERVICE_UNAVAILABLE)
                .to_tag(cx.tag_for(id))
                .header(RetryAfter::new(RETRY_AFTER))
                .build();
            self.asked.remove(&id);
            respond_to(cx, id, response);
            return;
        }
        self.handed_out += 1;
        self.asked.insert(id, Asked::Application { moves });
        self.events.push_back(Event::Request {
            id,
            call,
            request,
            flow,
        });
    }

    /// A final response that says nothing but its status.
    pub(crate) fn answer_with(
        &mut self,
        cx: &mut Context<'_>,
        id: ServerTransactionId,
        request: &Request,
        status: StatusCode,
    ) {
        let mut response = request.response(status);
        if !request.has_to_tag() {
            response = response.to_tag(cx.tag_for(id));
        }
        self.asked.remove(&id);
        respond_to(cx, id, response.build());
    }

    fn serves(&self, method: &Method) -> bool {
        is_always(method) || self.config.methods.contains(method)
    }
}

/// RFC 3261 §8.2.3: an INVITE carries a session description or nothing that must be understood.
fn refusal_of_body(request: &Request) -> Option<ResponseBuilder> {
    if request.body().is_empty() {
        return None;
    }
    let encoding = request.headers().raw(&HeaderName::CONTENT_ENCODING);
    let encoded =
        encoding.is_some_and(|encoding| !encoding.text().trim().eq_ignore_ascii_case("identity"));
    if !encoded && is_session(request.headers()) || is_optional(request.headers()) {
        return None;
    }
    let refusal = request.response(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    Some(if encoded {
        refusal.raw_header(HeaderName::ACCEPT_ENCODING, ACCEPT_ENCODING)
    } else {
        refusal.raw_header(HeaderName::ACCEPT, ACCEPT)
    })
}

/// What the body of an INVITE may be.
#[allow(clippy::declare_interior_mutable_const)] // bytes of static text hold no state
const ACCEPT: HeaderValue = HeaderValue::from_static("application/sdp");

/// How a body may be encoded: not at all.
#[allow(clippy::declare_interior_mutable_const)] // bytes of static text hold no state
const ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("identity");

/// Whatever language there is: it is the application's matter.
#[allow(clippy::declare_interior_mutable_const)] // bytes of static text hold no state
const ACCEPT_LANGUAGE: HeaderValue = HeaderValue::from_static("*");

/// When an application that is busy may be asked again.
const RETRY_AFTER: Duration = Duration::from_secs(5);
