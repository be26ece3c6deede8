//! A request seen by a proxy, its verbs and their outcomes.

use crate::{
    dispatch::{DispatchSet, Gateways},
    routing::{Ask, Asks},
};
use futures_channel::oneshot;
use sip_io::Flow;
use sip_message::{
    HeaderField, Method, ParseError, Request, Response, StatusCode, Uri,
    headers::{Contact, RetryAfter},
};
use sip_proxy::{Plan, ProxyId, Target};
use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

/// A request that a [`Router`](crate::proxy::Router) decides about.
///
/// The checks of RFC 3261 §16.3, Route processing and authentication have been done; ACK and requests inside a dialog
/// follow their Route and do not come here.
#[derive(Debug)]
pub struct Inbound {
    id: ProxyId,
    request: Request,
    user: Option<String>,
    ours: bool,
    flow: Flow,
    asks: Asks,
}

impl Inbound {
    pub(crate) fn new(
        id: ProxyId,
        request: Request,
        user: Option<String>,
        ours: bool,
        flow: Flow,
        asks: Asks,
    ) -> Self {
        Self {
            id,
            request,
            user,
            ours,
            flow,
            asks,
        }
    }

    /// The request itself.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Its method.
    pub fn method(&self) -> &Method {
        self.request.method()
    }

    /// Its Request-URI.
    pub fn uri(&self) -> &Uri {
        self.request.uri()
    }

    /// Who sent it, when that was shown by credentials.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Whether the Request-URI is of a domain that we are responsible for.
    pub fn is_ours(&self) -> bool {
        self.ours
    }

    /// What it came on.
    pub fn flow(&self) -> Flow {
        self.flow
    }

    /// Where the address-of-record of the Request-URI is reached now.
    ///
    /// # Errors
    ///
    /// 404 when its domain is not ours or there is no registrar, 480 when nobody is registered, 503 when the shard that
    /// keeps the bindings has too much to do; all convert into the response by `?`.
    pub async fn contacts(&self) -> Result<Contacts, Rejected> {
        let (reply, answer) = oneshot::channel();
        self.asks.push(
            self.id,
            Ask::Contacts {
                uri: self.uri().clone(),
                reply,
            },
        );
        match answer.await {
            Ok(Ok(targets)) if targets.is_empty() => {
                Err(StatusCode::TEMPORARILY_UNAVAILABLE.into())
            }
            Ok(Ok(targets)) => Ok(Contacts(targets)),
            Ok(Err(status)) => Err(status.into()),
            Err(_) => Err(StatusCode::NOT_FOUND.into()),
        }
    }

    /// Sends the request on: to one URI, to several in their order, to [`Gateways`], or to a [`Plan`]. Set more, then
    /// await it. One at a time: while another is under way it fails with 500; [`at_once`] is for several targets together.
    pub fn relay(&self, targets: impl IntoPlan) -> Relay<'_> {
        let Planned {
            plan,
            set,
            retry_after,
        } = targets.into_plan();
        Relay {
            inbound: self,
            plan,
            set,
            retry_after,
        }
    }

    /// Answers the request instead of relaying it. After a provisional response it still wants a final one: a router whose
    /// last word is a 1xx is mistaken, and the caller hears 500.
    pub fn answer(&self, response: Response) -> Relayed {
        let status = response.status();
        self.asks.push(self.id, Ask::Answer(response));
        Relayed { status }
    }

    /// Sends the caller elsewhere: 302 with Contacts. Of a [`Target`] that is preferred less than others its q is said.
    /// Where the caller has come already it is not sent again; when that leaves nowhere to go, it hears 404 (RFC 3261 §8.3).
    pub fn redirect(&self, targets: impl IntoIterator<Item = impl Into<Target>>) -> Relayed {
        let targets = targets.into_iter().map(Into::into);
        let mut targets = targets
            .filter(|target: &Target| !target.uri().equivalent(self.uri()))
            .peekable();
        let status = match targets.peek() {
            Some(_) => StatusCode::MOVED_TEMPORARILY,
            None => StatusCode::NOT_FOUND,
        };
        let mut response = self.request.response(status);
        for target in targets {
            let contact = Contact::new(target.uri().clone());
            response = response.contact(match target.thousandths() {
                1_000 => contact,
                q => contact.with_q(q),
            });
        }
        self.answer(response.build())
    }
}

impl fmt::Debug for Asks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asks")
    }
}

/// Where someone is reached; at least one place.
#[derive(Clone, Debug)]
pub struct Contacts(Vec<Target>);

impl Contacts {
    /// The most preferred together, then the next (RFC 3261 §16.6).
    pub fn by_q(self) -> Plan {
        Plan::by_q(self.0)
    }

    /// All together.
    pub fn at_once(self) -> Plan {
        Plan::at_once(self.0)
    }

    /// The targets, most preferred first.
    pub fn targets(&self) -> &[Target] {
        &self.0
    }
}

/// Several URIs together, for [`Inbound::relay`].
pub fn at_once(uris: impl IntoIterator<Item = Uri>) -> Plan {
    Plan::at_once(uris)
}

/// A URI, several in their order, [`Gateways`], or a [`Plan`]; what other types there could be is nobody's business.
pub trait IntoPlan: sealed::Sealed {
    /// The plan.
    #[doc(hidden)]
    fn into_plan(self) -> Planned;
}

/// A plan, and where its targets are from.
#[doc(hidden)]
#[derive(Debug)]
#[expect(unnameable_types, reason = "nobody outside makes one")]
pub struct Planned {
    plan: Plan,
    set: Option<DispatchSet>,
    /// When there is no target: when there may be one again
    retry_after: Option<Duration>,
}

impl From<Plan> for Planned {
    fn from(plan: Plan) -> Self {
        Self {
            plan,
            set: None,
            retry_after: None,
        }
    }
}

impl IntoPlan for Gateways {
    fn into_plan(self) -> Planned {
        let (plan, set, retry_after) = self.into_parts();
        Planned {
            plan,
            set: Some(set),
            retry_after,
        }
    }
}

impl IntoPlan for Uri {
    fn into_plan(self) -> Planned {
        Plan::to(self).into()
    }
}

impl<const N: usize> IntoPlan for [Uri; N] {
    fn into_plan(self) -> Planned {
        Plan::in_order(self).into()
    }
}

impl IntoPlan for Vec<Uri> {
    fn into_plan(self) -> Planned {
        Plan::in_order(self).into()
    }
}

impl IntoPlan for Plan {
    fn into_plan(self) -> Planned {
        self.into()
    }
}

mod sealed {
    #[expect(unnameable_types, reason = "nobody outside implements it")]
    pub trait Sealed {}
    impl Sealed for sip_message::Uri {}
    impl<const N: usize> Sealed for [sip_message::Uri; N] {}
    impl Sealed for Vec<sip_message::Uri> {}
    impl Sealed for sip_proxy::Plan {}
    impl Sealed for crate::dispatch::Gateways {}
}

/// A request on its way; see [`Inbound::relay`].
///
/// Provisional and 2xx responses go upstream at once. When every target has failed the best response is held and comes
/// back as `Err`: returning it forwards it, relaying again is serial forking. Dropping the future cancels its branches
/// alone.
#[derive(Debug)]
#[must_use = "a request is relayed when it is awaited"]
pub struct Relay<'a> {
    inbound: &'a Inbound,
    plan: Plan,
    set: Option<DispatchSet>,
    retry_after: Option<Duration>,
}

impl Relay<'_> {
    /// How long each group of targets may ring. Defaults to no end but Timer C's.
    pub fn ring_for(mut self, time: Duration) -> Self {
        self.plan = self.plan.ring_for(time);
        self
    }

    /// The only statuses after which the next target has its turn. Defaults to every one but 2xx and 6xx.
    pub fn failover_on<const N: usize>(mut self, statuses: [u16; N]) -> Self {
        let statuses = statuses
            .into_iter()
            .filter_map(|status| StatusCode::try_from(status).ok());
        self.plan = self.plan.failover_on(statuses);
        self
    }

    /// A header field that every branch gets; each call adds one.
    pub fn header<H: HeaderField>(mut self, field: H) -> Self {
        self.plan = self.plan.header(H::NAME, field.value());
        self
    }

    /// Whether we stay on the way of the dialog that is made. Defaults to yes.
    pub fn record_route(mut self, record_route: bool) -> Self {
        self.plan = self.plan.record_route(record_route);
        self
    }
}

impl<'a> IntoFuture for Relay<'a> {
    type Output = Result<Relayed, Rejected>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (reply, outcome) = oneshot::channel();
            let (id, asks) = (self.inbound.id, self.inbound.asks.clone());
            if self.plan.is_empty() && self.set.is_some() {
                return Err(Rejected::unavailable(
                    &self.inbound.request,
                    self.retry_after,
                ));
            }
            if self.plan.is_empty() {
                return Err(StatusCode::TEMPORARILY_UNAVAILABLE.into());
            }
            asks.push(
                id,
                Ask::Relay {
                    plan: self.plan,
                    set: self.set,
                    reply,
                },
            );
            let mut withdraw = Withdraw {
                id,
                asks: Some(asks),
            };
            let outcome = outcome.await;
            withdraw.asks = None;
            match outcome {
                Ok(Ok(status)) => Ok(Relayed { status }),
                Ok(Err(response)) => Err(Rejected(Kind::Held(Box::new(response)))),
                Err(_) => Err(StatusCode::SERVER_INTERNAL_ERROR.into()),
            }
        })
    }
}

/// Calls the branches of a relay back that is not waited for any more.
struct Withdraw {
    id: ProxyId,
    asks: Option<Asks>,
}

impl Drop for Withdraw {
    fn drop(&mut self) {
        if let Some(asks) = &self.asks {
            asks.push(self.id, Ask::Withdraw);
        }
    }
}

/// The request was relayed and answered, or answered here. Nothing but a verb of [`Inbound`] makes one, so a router
/// that answers nothing does not compile.
#[derive(Debug)]
pub struct Relayed {
    status: StatusCode,
}

impl Relayed {
    /// The status that went upstream.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

/// The request failed or is refused; returned from a router it becomes the response.
#[derive(Debug)]
pub struct Rejected(Kind);

#[derive(Debug)]
enum Kind {
    /// The best response of all branches, which the proxy holds
    Held(Box<Response>),
    Status(StatusCode),
    Response(Box<Response>),
}

/// What becomes of a rejection.
pub(crate) enum Verdict {
    Forward,
    Status(StatusCode),
    Response(Box<Response>),
}

impl Rejected {
    /// Whether the callee is busy: 486 or 600.
    pub fn is_busy(&self) -> bool {
        matches!(
            self.status(),
            StatusCode::BUSY_HERE | StatusCode::BUSY_EVERYWHERE
        )
    }

    /// Whether nobody answered: 408 or 480.
    pub fn is_no_answer(&self) -> bool {
        matches!(
            self.status(),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TEMPORARILY_UNAVAILABLE
        )
    }

    /// No gateway is up: 503, and when there may be one again.
    fn unavailable(request: &Request, retry_after: Option<Duration>) -> Self {
        let response = request.response(StatusCode::SERVICE_UNAVAILABLE);
        let response = match retry_after {
            Some(after) => response.header(RetryAfter::new(after.max(Duration::from_secs(1)))),
            None => response,
        };
        response.build().into()
    }

    /// The status that it will be answered with.
    pub fn status(&self) -> StatusCode {
        match &self.0 {
            Kind::Held(response) | Kind::Response(response) => response.status(),
            Kind::Status(status) => *status,
        }
    }

    pub(crate) fn into_verdict(self) -> Verdict {
        match self.0 {
            Kind::Held(_) => Verdict::Forward,
            Kind::Status(status) => Verdict::Status(status),
            Kind::Response(response) => Verdict::Response(response),
        }
    }
}

/// A status of 300 and above; a lower one is a mistake of the router and becomes 500.
impl From<StatusCode> for Rejected {
    fn from(status: StatusCode) -> Self {
        Self(Kind::Status(if status.as_u16() < 300 {
            StatusCode::SERVER_INTERNAL_ERROR
        } else {
            status
        }))
    }
}

impl From<ParseError> for Rejected {
    fn from(_: ParseError) -> Self {
        Self(Kind::Status(StatusCode::BAD_REQUEST))
    }
}

impl From<Response> for Rejected {
    fn from(response: Response) -> Self {
        Self(Kind::Response(Box::new(response)))
    }
}
