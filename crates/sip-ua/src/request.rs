//! Requests of ours that make no dialog, and those within a call that the core does not know.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sip_auth::Client;
use sip_dialog::DialogKey;
use sip_endpoint::{ContactTemplate, Context, Draft, Failure, RequestId};
use sip_io::Flow;
use sip_message::{
    HeaderName, HeaderValue, Headers, Method, NameAddr, Request, Response, StatusCode, Uri,
    headers::{CSeq, Contact, ContentType, Supported},
};

use crate::{
    CallId, Cause, Ended, Event, Identity, RequestKey, StartError, UserAgent,
    call::{Ack, Call},
    challenge::{self, is_challenge},
    table::Table,
    user_agent::Purpose,
};

/// What may be said about a request of ours beyond its method and target.
///
/// ```
/// # use sip_ua::RequestOptions;
/// # use sip_message::headers::ContentType;
/// # use std::time::Duration;
/// let options = RequestOptions::new()
///     .body(ContentType::TEXT_PLAIN, "Twelve o'clock?")
///     .deadline(Duration::from_secs(5));
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default)]
pub struct RequestOptions {
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Option<(ContentType, Bytes)>,
    deadline: Option<Duration>,
    contact: bool,
}

impl RequestOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// A header field; each call adds one.
    ///
    /// Defaults to none beyond what the core writes.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The body and what it is.
    ///
    /// Defaults to none.
    #[must_use]
    pub fn body(mut self, content_type: ContentType, body: impl Into<Bytes>) -> Self {
        self.body = Some((content_type, body.into()));
        self
    }

    /// The longest that all attempts together may take, retries with credentials included.
    ///
    /// Defaults to none: each attempt has 64*T1.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Writes a Contact that names us.
    ///
    /// Defaults to no, except where a dialog is made or its remote target moved (SUBSCRIBE, NOTIFY, REFER, UPDATE: RFC 3261
    /// §8.1.1.8, §12.2.1.1), and for OPTIONS outside of dialogs, where it helps a peer that answers with a request of its own.
    #[must_use]
    pub const fn contact(mut self) -> Self {
        self.contact = true;
        self
    }
}

/// A request of the application without an outcome.
#[derive(Debug)]
pub(crate) struct Exchange {
    within: Option<(CallId, DialogKey)>,
    /// Outside of calls; each call has one of its own
    auth: Option<Client>,
    /// Whether there were credentials before anybody asked
    ahead: bool,
    flow: Option<Flow>,
    contact: Option<ContactTemplate>,
    request: Request,
    until: Option<Instant>,
}

impl UserAgent {
    /// Sends a request outside any dialog: OPTIONS, MESSAGE, one of an application's own. [`Event::RequestDone`] tells the
    /// outcome.
    ///
    /// # Errors
    ///
    /// When there are too many, the user agent is shutting down, or the scheme of `target` cannot be reached.
    pub fn request(
        &mut self,
        cx: &mut Context<'_>,
        identity: &Identity,
        method: Method,
        target: Uri,
        options: RequestOptions,
    ) -> Result<RequestKey, StartError> {
        if !cx.can_locate(&target) {
            return Err(StartError::UnsupportedScheme);
        }
        self.may_request()?;
        let shows_us = options.contact || method == Method::OPTIONS || refreshes_target(&method);
        let contact = shows_us.then(|| ContactTemplate {
            user: identity.contact_user_part().map(str::to_owned),
            over_flow: identity.manages_flows(),
            ..ContactTemplate::default()
        });
        let mut request = self.compose(cx, identity, method, &target);
        declare_outbound(identity, &mut request);
        let exchange = Exchange {
            within: None,
            auth: Some(self.auth_client(Some(identity))),
            ahead: false,
            flow: None,
            contact,
            request,
            until: None,
        };
        Ok(self.exchange(cx, exchange, options))
    }

    /// Sends a request within an established call, such as INFO or MESSAGE. [`Event::RequestDone`] tells the outcome; a 481
    /// or 408 ends the call as well (RFC 3261 §12.2.1.2).
    ///
    /// # Errors
    ///
    /// When the call is over or not established, there are too many requests, or the user agent is shutting down.
    pub fn request_within(
        &mut self,
        cx: &mut Context<'_>,
        call: CallId,
        method: Method,
        options: RequestOptions,
    ) -> Result<RequestKey, StartError> {
        self.may_request()?;
        let held = self.calls.get(call).ok_or(StartError::NotEstablished)?;
        let up = held
            .up()
            .filter(|up| up.ack == Ack::Done)
            .ok_or(StartError::NotEstablished)?;
        let (key, flow) = (up.dialog, held.party.flow);
        let contact = (options.contact || refreshes_target(&method)).then(|| ContactTemplate {
            user: held.party.contact_user.clone(),
            over_flow: held.party.over_flow,
            ..ContactTemplate::default()
        });
        let request = self
            .dialogs
            .get_mut(key)
            .and_then(|dialog| dialog.request(method).ok());
        let request = request.ok_or(StartError::NotEstablished)?;
        let exchange = Exchange {
            within: Some((call, key)),
            auth: None,
            ahead: false,
            flow,
            contact,
            request,
            until: None,
        };
        Ok(self.exchange(cx, exchange, options))
    }

    fn may_request(&self) -> Result<(), StartError> {
        if !self.running {
            return Err(StartError::ShuttingDown);
        }
        if self.exchanges.len() >= self.config.requests {
            return Err(StartError::Full(self.config.requests));
        }
        Ok(())
    }

    fn exchange(
        &mut self,
        cx: &mut Context<'_>,
        mut exchange: Exchange,
        options: RequestOptions,
    ) -> RequestKey {
        for (name, value) in options.headers {
            exchange.request.headers_mut().push_raw(name, value);
        }
        if let Some((content_type, body)) = options.body {
            exchange.request.set_body(content_type, body);
        }
        exchange.until = options.deadline.map(|deadline| cx.now + deadline);
        if let Some(auth) = client(&mut self.calls, exchange.within, &mut exchange.auth) {
            exchange.ahead = challenge::send_ahead(auth, &mut exchange.request);
        }
        let key = self.exchanges.insert(exchange);
        self.send_exchange(cx, key);
        key
    }

    fn send_exchange(&mut self, cx: &mut Context<'_>, key: RequestKey) {
        let Some(exchange) = self.exchanges.get(key) else {
            return;
        };
        let mut draft = Draft::new(exchange.request.clone());
        if *exchange.request.method() == Method::MESSAGE {
            draft = draft.congestion_controlled();
        }
        if let Some(contact) = exchange.contact.clone() {
            draft = draft.contact(contact);
        }
        if let Some(flow) = exchange.flow {
            draft = draft.to_flow(flow);
        }
        if let Some(until) = exchange.until {
            draft = draft.deadline(until.saturating_duration_since(cx.now));
        }
        let id = cx.request(draft);
        self.purposes.insert(id, Purpose::Exchange(key));
    }

    pub(crate) fn exchange_answered(
        &mut self,
        cx: &mut Context<'_>,
        id: RequestId,
        key: RequestKey,
        response: Box<Response>,
        flow: Flow,
    ) {
        if response.status().is_provisional() {
            self.purposes.insert(id, Purpose::Exchange(key));
            return;
        }
        let Some(exchange) = self.exchanges.get_mut(key) else {
            return;
        };
        let Exchange { request, ahead, .. } = exchange;
        let auth = client(&mut self.calls, exchange.within, &mut exchange.auth);
        let is_answered = auth.is_some_and(|auth| {
            if is_challenge(&response) {
                challenge::answer(auth, request, &response, std::mem::take(ahead))
            } else {
                auth.learn(request, &response);
                false
            }
        });
        if is_answered {
            match exchange.within {
                None => count_up(&mut exchange.request),
                Some((_, dialog)) => {
                    if let Some(dialog) = self.dialogs.get_mut(dialog) {
                        dialog.renumber(&mut exchange.request);
                    }
                }
            }
            self.send_exchange(cx, key);
            return;
        }
        let within = exchange.within;
        if let Some((_, dialog)) = within
            && response.status().is_success()
            && refreshes_target(exchange.request.method())
            && let Some(contact) = target_in(response.headers())
            && let Some(dialog) = self.dialogs.get_mut(dialog)
        {
            dialog.refresh_target(&contact);
        }
        self.exchanges.remove(key);
        let lost = matches!(
            response.status(),
            StatusCode::CALL_DOES_NOT_EXIST | StatusCode::REQUEST_TIMEOUT
        );
        let ended = Ended::new(true, Cause::Lost).with_response(response.clone());
        self.events.push_back(Event::RequestDone {
            request: key,
            result: Ok((response, flow)),
        });
        if let Some((call, _)) = within
            && lost
        {
            self.part_if_up(cx, call, ended);
        }
    }

    pub(crate) fn exchange_failed(
        &mut self,
        cx: &mut Context<'_>,
        key: RequestKey,
        failure: Failure,
    ) {
        let Some(exchange) = self.exchanges.remove(key) else {
            return;
        };
        let ended = Ended::new(true, Cause::Failed(failure.clone()));
        let silent = matches!(failure, Failure::TimedOut { .. });
        self.events.push_back(Event::RequestDone {
            request: key,
            result: Err(failure),
        });
        if let Some((call, _)) = exchange.within
            && silent
        {
            self.part_if_up(cx, call, ended);
        }
    }

    /// A request outside any dialog, complete but for Via and Contact (RFC 3261 §8.1.1).
    pub(crate) fn compose(
        &self,
        cx: &mut Context<'_>,
        identity: &Identity,
        method: Method,
        target: &Uri,
    ) -> Request {
        let (tag, call_id) = (cx.new_tag(), cx.new_call_id());
        let target = target.without_headers();
        // RFC 3261 §19.1.1, table 1: neither port nor transport parameters have a place in To.
        let to = NameAddr::new(&target.without_params().with_port(None));
        let mut request = Request::builder(method, &target)
            .from(identity.from(), tag)
            .to(to)
            .header(call_id)
            .cseq(1)
            .build()
            .expect("From, To, Call-ID and CSeq are there");
        identity
            .route_to(&target, self.service_route(identity))
            .write(&mut request, &target);
        request
    }

    fn part_if_up(&mut self, cx: &mut Context<'_>, call: CallId, ended: Ended) {
        if self.calls.get(call).and_then(Call::up).is_some() {
            self.part(cx, call, ended);
        }
    }
}

/// RFC 5626 §4.3: who manages flows says so in every request that begins something.
pub(crate) fn declare_outbound(identity: &Identity, request: &mut Request) {
    if !identity.manages_flows() {
        return;
    }
    let declared = request.headers().get::<Supported>();
    let mut tags = match &declared {
        Some(Ok(declared)) => declared.iter().collect(),
        _ => Vec::new(),
    };
    tags.push("outbound");
    let supported = Supported::new(tags).expect("are tokens");
    request.headers_mut().set(supported);
}

/// Whether a request of this method makes a dialog or moves its remote target, and so needs a Contact (RFC 3261 §12.2;
/// RFC 3311 §5.1, RFC 3515 §2.4.7, RFC 6665 §4.5.1).
pub(crate) const fn refreshes_target(method: &Method) -> bool {
    matches!(
        *method,
        Method::INVITE | Method::UPDATE | Method::SUBSCRIBE | Method::NOTIFY | Method::REFER
    )
}

/// Where the sender of a message wants requests within the dialog to go.
pub(crate) fn target_in(headers: &Headers) -> Option<Uri> {
    let contact = headers.get::<Contact>()?.ok()?;
    (!contact.is_star()).then(|| contact.uri().clone())
}

/// RFC 3261 §22.2: the retry with credentials has the next CSeq number.
pub(crate) fn count_up(request: &mut Request) {
    let number = request.cseq().map_or(0, |cseq| cseq.number());
    let method = request.method().clone();
    request
        .headers_mut()
        .set(CSeq::new(number.saturating_add(1), method));
}

/// Who answers challenges to a request.
fn client<'a>(
    calls: &'a mut Table<CallId, Call>,
    within: Option<(CallId, DialogKey)>,
    own: &'a mut Option<Client>,
) -> Option<&'a mut Client> {
    match within {
        Some((call, _)) => calls.get_mut(call)?.party.auth.as_deref_mut(),
        None => own.as_mut(),
    }
}
