//! A binding at a registrar, made, refreshed and withdrawn (RFC 3261 §10.2).

mod options;
mod recovery;
pub(crate) mod way;

use options::REG_ID;
pub use options::{KeepAlivePolicy, RegistrationOptions};

use std::time::{Duration, Instant};

use sip_auth::Client;
use sip_endpoint::{ContactTemplate, Context, Draft, Failure, KeepAlive, RequestId};
use sip_io::{Flow, TimerId};
use sip_message::{
    Method, NameAddr, Request, Response, Scheme, StatusCode, Tag, Uri,
    headers::{self, Contact, Expires, FlowTimer, MinExpires, Require, RetryAfter, Supported},
};

use crate::{
    Event, Gone, Identity, RegistrationId, RequestError, StartError, UserAgent,
    challenge::{self, is_challenge},
    request::count_up,
    user_agent::{Due, Purpose},
};

/// A registration.
///
/// ```text
///   register                     refresh is due, flow closed
///      |        .---------------------------------------------.
///      V        V                2xx                          |
///    Asking (bind) ------------------------------------> Resting
///      ^   |  |  '-- 408, 5xx, silence -- back-off ---------> |
///      |   |  |                                               |
///      '---'  '-- any other failure ---> (ended)              | unregister
///    401, 407, 423                                            V
///                        (ended) <-- any answer -- Asking (withdraw)
/// ```
#[derive(Debug)]
pub(crate) struct Registration {
    identity: Identity,
    auth: Client,
    registrar: Uri,
    call_id: headers::CallId,
    tag: Tag,
    cseq: u32,
    expires: Duration,
    params: Vec<(String, Option<String>)>,
    keep_alive: KeepAlivePolicy,
    outbound: bool,
    state: State,
    /// How many attempts in a row have failed, or led to a flow that did not last
    failures: u32,
    /// Whether it failed, or its flow did, and it is not bound anew yet
    recovering: bool,
    bound: Option<Bound>,
    /// The flow that is kept alive for it
    kept: Option<Flow>,
    leaving: bool,
}

#[derive(Debug)]
enum State {
    Asking {
        request: RequestId,
        message: Box<Request>,
        /// Whether its credentials were sent ahead of a challenge
        ahead: bool,
        withdraw: bool,
    },
    Resting(TimerId),
    /// Between two states, inside one call
    Moving,
}

/// What the registrar holds for us.
#[derive(Clone, Copy, Debug)]
struct Bound {
    until: Instant,
    flow: Flow,
    /// When the flow will have shown that it lasts
    lasting: Instant,
}

impl UserAgent {
    /// Registers `identity` and keeps it registered.
    ///
    /// A failure that time may mend (408, 5xx, no answer) is tried again after a time that doubles from
    /// [`UaConfig::retry`](crate::UaConfig::retry)'s first value to its longest; any other ends the registration. Wrong
    /// credentials are tried once.
    ///
    /// # Errors
    ///
    /// When there are too many registrations, the user agent is shutting down, or the registrar's scheme cannot be reached.
    pub fn register(
        &mut self,
        cx: &mut Context<'_>,
        identity: &Identity,
        options: RegistrationOptions,
    ) -> Result<RegistrationId, StartError> {
        if !self.running {
            return Err(StartError::ShuttingDown);
        }
        if self.registrations.len() >= self.config.registrations {
            return Err(StartError::Full(self.config.registrations));
        }
        let RegistrationOptions {
            registrar,
            expires,
            params,
            keep_alive,
            outbound,
        } = options;
        let registrar =
            registrar.unwrap_or_else(|| identity.aor().without_params().without_headers());
        // RFC 3261 §10.2: the Request-URI names the domain; userinfo must not be present.
        let registrar = registrar.with_user(None);
        if !(registrar.is_sip() || registrar.is_sips()) {
            return Err(StartError::UnsupportedScheme);
        }
        let auth = self.auth_client(Some(identity));
        let id = self.registrations.insert(Registration {
            auth,
            identity: identity.clone(),
            registrar,
            call_id: cx.new_call_id(),
            tag: cx.new_tag(),
            cseq: 0,
            expires,
            params,
            keep_alive,
            outbound,
            state: State::Moving,
            failures: 0,
            recovering: false,
            bound: None,
            kept: None,
            leaving: false,
        });
        self.send_register(cx, id, false);
        Ok(id)
    }

    /// Withdraws the binding. [`Event::RegistrationEnded`] follows; repeating it is harmless.
    ///
    /// # Errors
    ///
    /// When the registration is over.
    pub fn unregister(&mut self, cx: &mut Context<'_>, id: RegistrationId) -> Result<(), Gone> {
        let registration = self.registrations.get_mut(id).ok_or(Gone)?;
        registration.leaving = true;
        match &registration.state {
            // What was sent cannot be cancelled (RFC 4320); what was not is given up, and that tells its failure.
            State::Asking {
                request,
                withdraw: false,
                ..
            } => cx.cancel(*request),
            State::Asking { withdraw: true, .. } | State::Moving => {}
            State::Resting(timer) => {
                self.timers.cancel(*timer);
                let bound = registration.bound.is_some_and(|bound| bound.until > cx.now);
                if bound {
                    self.send_register(cx, id, true);
                } else {
                    self.registration_ended(id, Ok(()));
                }
            }
        }
        Ok(())
    }

    /// Forgets a registration without a message, so that its binding outlives us until it expires.
    ///
    /// # Errors
    ///
    /// When the registration is over.
    pub fn leave(&mut self, id: RegistrationId) -> Result<(), Gone> {
        let registration = self.registrations.get(id).ok_or(Gone)?;
        match &registration.state {
            State::Asking { request, .. } => {
                self.purposes.remove(request);
            }
            State::Resting(timer) => {
                self.timers.cancel(*timer);
            }
            State::Moving => {}
        }
        self.registration_ended(id, Ok(()));
        Ok(())
    }

    /// Makes a new REGISTER and sends it.
    fn send_register(&mut self, cx: &mut Context<'_>, id: RegistrationId, withdraw: bool) {
        let Some(registration) = self.registrations.get_mut(id) else {
            return;
        };
        registration.cseq = registration.cseq.saturating_add(1);
        let expires = if withdraw {
            Duration::ZERO
        } else {
            registration.expires
        };
        // RFC 5630 §5.1.1.1, §5.2: a `sips` Contact, which a `sips` Route makes ours (RFC 3261 §8.1.1.8), is registered by
        // `sips` alone, in From and To as well, and any other by `sip`.
        let identity = &registration.identity;
        let scheme = match registration.registrar.is_sips() || identity.starts_secure() {
            true => Scheme::Sips,
            false => Scheme::Sip,
        };
        let registrar = registration.registrar.with_scheme(scheme);
        let own = identity.aor().with_scheme(scheme);
        let mut message = Request::builder(Method::REGISTER, &registrar)
            .from(identity.from().with_uri(&own), registration.tag.clone())
            .to(NameAddr::new(&own))
            .header(registration.call_id.clone())
            .cseq(registration.cseq)
            .header(Expires::new(expires))
            .build()
            .expect("From, To, Call-ID and CSeq are there");
        // RFC 3327 §5.1: a Path asks nothing of us, and without our word the registrar has to refuse it (§5.3).
        // RFC 5626 §4.2.1: a registrar acts on `outbound` only if it is offered.
        let tags: &[&str] = match registration.outbound {
            true => &["path", "outbound"],
            false => &["path"],
        };
        let supported = Supported::new(tags.iter().copied()).expect("are tokens");
        message.headers_mut().set(supported);
        identity
            .route_to(&registrar, &[])
            .write(&mut message, &registrar);
        let ahead = challenge::send_ahead(&mut registration.auth, &mut message);
        self.send_register_message(cx, id, Box::new(message), ahead, withdraw);
    }

    fn send_register_message(
        &mut self,
        cx: &mut Context<'_>,
        id: RegistrationId,
        message: Box<Request>,
        ahead: bool,
        withdraw: bool,
    ) {
        let Some(registration) = self.registrations.get_mut(id) else {
            return;
        };
        let mut params = registration.params.clone();
        let expires = if withdraw {
            Duration::ZERO
        } else {
            registration.expires
        };
        params.push(("expires".to_owned(), Some(expires.as_secs().to_string())));
        let user = registration.identity.contact_user_part().map(str::to_owned);
        let contact = ContactTemplate {
            user,
            params,
            ..ContactTemplate::default()
        };
        let mut draft = Draft::new((*message).clone()).contact(contact);
        if registration.keep_alive == KeepAlivePolicy::WhenAgreed && !withdraw {
            draft = draft.ask_to_keep();
        }
        // RFC 5626 §4.2.2: what refreshes or removes a binding is sent over its flow.
        let managed = registration.bound.filter(|_| registration.outbound);
        if let Some(bound) = managed.filter(|_| !registration.recovering) {
            draft = draft.to_flow(bound.flow);
        }
        let request = cx.request(draft);
        registration.state = State::Asking {
            request,
            message,
            ahead,
            withdraw,
        };
        self.purposes.insert(request, Purpose::Register(id));
    }

    pub(crate) fn register_answered(
        &mut self,
        cx: &mut Context<'_>,
        request: RequestId,
        id: RegistrationId,
        response: Box<Response>,
        flow: Flow,
    ) {
        if response.status().is_provisional() {
            self.purposes.insert(request, Purpose::Register(id));
            return;
        }
        let Some(registration) = self.registrations.get_mut(id) else {
            return;
        };
        let State::Asking {
            mut message,
            ahead,
            withdraw,
            ..
        } = std::mem::replace(&mut registration.state, State::Moving)
        else {
            return;
        };
        match response.status() {
            status if status.is_success() && withdraw => self.registration_ended(id, Ok(())),
            status if status.is_success() => {
                registration.auth.learn(&message, &response);
                self.bound(cx, id, &message, response, flow);
            }
            _ if is_challenge(&response) => {
                if challenge::answer(&mut registration.auth, &mut message, &response, ahead) {
                    count_up(&mut message);
                    registration.cseq = message
                        .cseq()
                        .map_or(registration.cseq, |cseq| cseq.number());
                    self.send_register_message(cx, id, message, false, withdraw);
                } else {
                    self.registration_ended(id, Err(RequestError::Unauthorized(response)));
                }
            }
            StatusCode::INTERVAL_TOO_BRIEF if !withdraw => {
                // RFC 3261 §10.2.8; a registrar that names no longer time than it refused is not asked again.
                match response.headers().get::<MinExpires>() {
                    Some(Ok(least)) if least.duration() > registration.expires => {
                        registration.expires = least.duration();
                        self.send_register(cx, id, false);
                    }
                    _ => self.registration_ended(id, Err(RequestError::Rejected(response))),
                }
            }
            // RFC 5626 §4.2.1: a binding that is located by its Contact is better than none.
            StatusCode::FIRST_HOP_LACKS_OUTBOUND_SUPPORT if registration.outbound && !withdraw => {
                registration.outbound = false;
                registration.params.retain(|(name, _)| name != REG_ID);
                self.send_register(cx, id, false);
            }
            status if !withdraw && may_pass(status) => {
                let after = match response.headers().get::<RetryAfter>() {
                    Some(Ok(after)) => after.delay(),
                    _ => Duration::ZERO,
                };
                self.try_later(cx, id, after, RequestError::Rejected(response));
            }
            _ => self.registration_ended(id, Err(RequestError::Rejected(response))),
        }
    }

    pub(crate) fn register_failed(
        &mut self,
        cx: &Context<'_>,
        id: RegistrationId,
        failure: Failure,
    ) {
        let Some(registration) = self.registrations.get_mut(id) else {
            return;
        };
        let state = std::mem::replace(&mut registration.state, State::Moving);
        let withdraw = matches!(state, State::Asking { withdraw: true, .. });
        let cause = RequestError::Failed(failure.clone());
        if withdraw {
            self.registration_ended(id, Err(cause));
        } else if registration.leaving
            && failure == Failure::Cancelled
            && registration.bound.is_none()
        {
            self.registration_ended(id, Ok(()));
        } else {
            self.try_later(cx, id, Duration::ZERO, cause);
        }
    }

    /// The registrar has bound us.
    fn bound(
        &mut self,
        cx: &mut Context<'_>,
        id: RegistrationId,
        message: &Request,
        response: Box<Response>,
        flow: Flow,
    ) {
        let Some(registration) = self.registrations.get_mut(id) else {
            return;
        };
        let user = registration.identity.contact_user_part();
        let (contact, expires) = granted(
            &response,
            &cx.contact_uri_in(message, &flow, user),
            registration.expires,
        );
        if expires.is_zero() {
            self.try_later(cx, id, Duration::ZERO, RequestError::Rejected(response));
            return;
        }
        // One of datagrams that was given up and made anew looks like the old one.
        let same = registration.bound.filter(|bound| bound.flow == flow);
        let same = same.filter(|_| !registration.recovering);
        registration.recovering = false;
        let proof = recovery::proof(registration.outbound, announced(&response));
        registration.bound = Some(Bound {
            until: cx.now + expires,
            flow,
            lasting: same.map_or(cx.now + proof, |bound| bound.lasting),
        });
        let identity = registration.identity.clone();
        let leaving = registration.leaving;
        let before = registration.kept.take();
        if let Some(keep) = agreed(&response, registration.keep_alive) {
            registration.kept = cx.keep_alive(flow, keep).then_some(flow);
        }
        if let Some(before) = before {
            cx.stop_keep_alive(&before);
        }
        // Refreshed after 80 to 90 % of the time, so that bindings made together are not refreshed together and there is
        // time to try again.
        let after = expires.mul_f64(0.8 + 0.1 * self.rng.fraction());
        let timer = self.timers.insert(cx.now + after, Due::Register(id));
        registration.state = State::Resting(timer);
        self.learn_way(id, &identity, &response);
        self.events.push_back(Event::Registered {
            registration: id,
            expires,
            contact,
            response,
            flow,
        });
        if leaving {
            self.timers.cancel(timer);
            self.send_register(cx, id, true);
        }
    }

    /// It is time to refresh or to try again.
    pub(crate) fn registration_due(&mut self, cx: &mut Context<'_>, id: RegistrationId) {
        self.send_register(cx, id, false);
    }

    /// Lets go of flows that ended registrations kept alive.
    pub(crate) fn release_flows(&mut self, cx: &mut Context<'_>) {
        for flow in self.released.drain(..) {
            cx.stop_keep_alive(&flow);
        }
    }

    fn registration_ended(&mut self, id: RegistrationId, result: Result<(), RequestError>) {
        if let Some(gone) = self.registrations.remove(id) {
            self.released.extend(gone.kept);
            self.forget_way(id, &gone.identity);
            self.events.push_back(Event::RegistrationEnded {
                registration: id,
                result,
            });
        }
    }
}

/// The binding that a 2xx grants us: ours among those it lists, or the only one.
fn granted(response: &Response, ours: &Uri, asked: Duration) -> (Uri, Duration) {
    let contacts: Vec<Contact> = response.headers().all::<Contact>().flatten().collect();
    let own = contacts
        .iter()
        .find(|contact| contact.uri().equivalent(ours))
        .or(match &contacts[..] {
            [only] => Some(only),
            _ => None,
        });
    let common = match response.headers().get::<Expires>() {
        Some(Ok(expires)) => expires.duration(),
        _ => asked,
    };
    match own {
        Some(contact) => (contact.uri().clone(), contact.expires().unwrap_or(common)),
        None => (ours.clone(), common),
    }
}

/// How the flow of a binding is to be kept alive, by what the registrar says about that.
fn agreed(response: &Response, policy: KeepAlivePolicy) -> Option<KeepAlive> {
    if policy == KeepAlivePolicy::Never {
        return None;
    }
    let by_outbound = matches!(
        response.headers().get::<Require>(),
        Some(Ok(require)) if require.contains("outbound")
    );
    let agrees = by_outbound || by_via(response).is_some() || policy == KeepAlivePolicy::Always;
    let keep = if agrees {
        KeepAlive::agreed()
    } else {
        KeepAlive::unasked()
    };
    Some(announced(response).map_or(keep, |time| keep.at_most(time)))
}

/// How often the registrar wants to hear from us, if it says so.
fn announced(response: &Response) -> Option<Duration> {
    let flow_timer = match response.headers().get::<FlowTimer>() {
        Some(Ok(timer)) => Some(timer.duration()),
        _ => None,
    };
    // RFC 5626 §4.4: Flow-Timer wins. A zero says that keep-alives are wanted, not how often (RFC 6223 §4.4).
    let at_most = flow_timer.or_else(|| by_via(response));
    at_most.filter(|time| !time.is_zero())
}

/// RFC 6223 §4.3: the value is what the next hop wants; without one it has not agreed.
fn by_via(response: &Response) -> Option<Duration> {
    let via = response.via().ok()?;
    let seconds = via.param("keep")??.parse::<u32>().ok()?;
    Some(Duration::from_secs(seconds.into()))
}

/// Whether time may mend what made a registrar answer so.
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT
                | StatusCode::TEMPORARILY_UNAVAILABLE
                | StatusCode::FLOW_FAILED
        )
}
