//! Who sent a request, and whether it may pass: credentials (RFC 3261 §22.3) and the relay policy.

use crate::{
    Event, Foreign, Proxy, SecretId,
    inbound::{Checked, Refusal},
    proxy::Due,
};
use sip_auth::{Admission, Granted, Question, Secret};
use sip_endpoint::{Context, ServerTransactionId};
use sip_io::{Flow, TimerId};
use sip_message::{Method, Request, StatusCode, headers::ProxyAuthorization};

/// A request that waits for the secret of its sender.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) server: ServerTransactionId,
    flow: Flow,
    checked: Checked,
    ours: bool,
    question: Box<Question>,
    timer: TimerId,
}

/// What is known of a sender.
enum Sender {
    /// Nothing, and that is enough
    Anyone,
    User(String),
    /// Somebody has to find the secret
    Unknown(Box<Question>),
}

impl Proxy {
    /// Says what the secret of [`Event::SecretNeeded`] is; `None` if there is no such user, an error if that cannot be
    /// found out, which the sender gets as 500. An answer that comes too late is ignored.
    pub fn provide_secret(
        &mut self,
        cx: &mut Context<'_>,
        id: SecretId,
        secret: Result<Option<Secret>, String>,
    ) {
        let Some(waiting) = self.waiting.remove(&id) else {
            return;
        };
        self.timers.cancel(waiting.timer);
        let Waiting {
            server,
            flow,
            mut checked,
            ours,
            question,
            ..
        } = waiting;
        let original = checked.request.clone();
        let Some(auth) = &mut self.config.auth else {
            return;
        };
        let passed = match auth.resume(cx.now, &checked.request, *question, secret) {
            Ok(granted) => self.let_in(cx, &mut checked.request, granted),
            Err(response) => Err(Refusal::Response(response)),
        };
        match passed {
            Ok(user) => self.ask_for_route(cx, server, flow, checked, ours, Some(user)),
            Err(refusal) => self.refuse(cx, server, &original, refusal),
        }
    }

    /// Lets a request outside a dialog pass, refuses it, or has it wait for the secret of its sender.
    pub(crate) fn authorize(
        &mut self,
        cx: &mut Context<'_>,
        server: ServerTransactionId,
        flow: Flow,
        mut checked: Checked,
        ours: bool,
    ) -> Result<(), Refusal> {
        let user = match self.sender(cx, &flow, &mut checked.request, ours)? {
            Sender::Anyone => None,
            Sender::User(user) => Some(user),
            Sender::Unknown(question) => {
                if self.waiting.len() >= self.config.secrets {
                    self.stats.refused += 1;
                    return Err(Refusal::Status(StatusCode::SERVICE_UNAVAILABLE));
                }
                self.last_secret += 1;
                let id = SecretId(self.last_secret);
                let timer = self
                    .timers
                    .insert(cx.now + self.config.decision, Due::Secret(id));
                self.events.push_back(Event::SecretNeeded {
                    id,
                    user: question.user().to_owned(),
                    realm: question.realm().to_owned(),
                });
                self.waiting.insert(
                    id,
                    Waiting {
                        server,
                        flow,
                        checked,
                        ours,
                        question,
                        timer,
                    },
                );
                return Ok(());
            }
        };
        self.ask_for_route(cx, server, flow, checked, ours, user);
        Ok(())
    }

    /// Takes a waiting request off the table: it was cancelled, or waited too long.
    pub(crate) fn stop_waiting(&mut self, cx: &mut Context<'_>, id: SecretId, status: StatusCode) {
        let Some(waiting) = self.waiting.remove(&id) else {
            return;
        };
        self.timers.cancel(waiting.timer);
        self.refuse(
            cx,
            waiting.server,
            &waiting.checked.request,
            Refusal::Status(status),
        );
    }

    /// The relay policy: who says to be of ours, or wants to go elsewhere, shows that it is a user of ours.
    fn sender(
        &mut self,
        cx: &Context<'_>,
        flow: &Flow,
        request: &mut Request,
        ours: bool,
    ) -> Result<Sender, Refusal> {
        if self
            .config
            .trusted
            .contains(&flow.remote().ip().to_canonical())
        {
            return Ok(Sender::Anyone);
        }
        let from_ours = self.config.domains.contains(cx, request.from()?.uri());
        let foreign = !ours && self.config.foreign == Foreign::Authenticated;
        // An ACK cannot be answered, and a CANCEL not be sent again (RFC 3261 §22.1).
        let is_asked =
            (from_ours || foreign) && ![Method::ACK, Method::CANCEL].contains(request.method());
        let Some(auth) = self.config.auth.as_mut().filter(|_| is_asked) else {
            // Without authentication nobody is a user of ours.
            return if foreign {
                Err(Refusal::Status(StatusCode::FORBIDDEN))
            } else {
                Ok(Sender::Anyone)
            };
        };
        match auth.check(cx.now, request) {
            Admission::Granted(granted) => self.let_in(cx, request, granted).map(Sender::User),
            Admission::Refused(response) => Err(Refusal::Response(response)),
            Admission::Asks(question) => Ok(Sender::Unknown(question)),
        }
    }

    /// The user, if From says the same; else 403.
    fn let_in(
        &self,
        cx: &Context<'_>,
        request: &mut Request,
        granted: Granted,
    ) -> Result<String, Refusal> {
        if let Some(auth) = &self.config.auth {
            consume(request, auth.server().realm());
        }
        if !self
            .config
            .domains
            .is_user(cx, request.from()?.uri(), &granted.user)
        {
            return Err(Refusal::Status(StatusCode::FORBIDDEN));
        }
        Ok(granted.user)
    }
}

/// Credentials that were for us tell nobody else anything (RFC 3261 §22.3).
fn consume(request: &mut Request, realm: &str) {
    let others: Vec<ProxyAuthorization> = request
        .headers()
        .all::<ProxyAuthorization>()
        .flatten()
        .filter(|credentials| credentials.param("realm").as_deref() != Some(realm))
        .collect();
    request.headers_mut().remove::<ProxyAuthorization>();
    for credentials in others {
        request.headers_mut().push(credentials);
    }
}
