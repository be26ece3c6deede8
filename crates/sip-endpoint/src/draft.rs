//! A request before it has found its way.

use crate::names::Names;
use sip_io::{Flow, Protocol};
use sip_message::{Request, Uri, headers::Route};
use sip_resolver::Query;
use sip_transaction::Timers;
use sip_transport::{FlowError, ListenerId, Target, Transport};
use std::time::{Duration, Instant};

/// A request that is complete but for what only its way can tell: Via, and where asked Contact and Record-Route.
///
/// The next hop is that of RFC 3261 §8.1.2: the topmost Route, else the Request-URI, located by RFC 3263; a flow or a
/// list of targets overrides it.
#[derive(Clone, Debug)]
pub struct Draft {
    pub(crate) request: Request,
    pub(crate) next: NextHop,
    pub(crate) located_by: Option<Uri>,
    pub(crate) contact: Option<ContactTemplate>,
    pub(crate) record_route: Option<RecordRouteTemplate>,
    pub(crate) timers: Option<Timers>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) branch_suffix: Option<String>,
    pub(crate) asks_to_keep: bool,
    pub(crate) congestion_controlled: bool,
    pub(crate) listener: Option<ListenerId>,
}

impl Draft {
    /// A request that goes where its topmost Route or its Request-URI says.
    pub fn new(request: Request) -> Self {
        Self {
            request,
            next: NextHop::Uri,
            located_by: None,
            contact: None,
            record_route: None,
            timers: None,
            deadline: None,
            branch_suffix: None,
            asks_to_keep: false,
            congestion_controlled: false,
            listener: None,
        }
    }

    /// Locates the next hop by this URI instead of the topmost Route or the Request-URI: for a proxy that has put a
    /// strict router into the Request-URI (RFC 3261 §16.6 step 7).
    pub fn to_uri(mut self, uri: Uri) -> Self {
        self.located_by = Some(uri);
        self
    }

    /// Sends on `flow` while it is open, else where the URI says: the flow of a dialog or a binding.
    ///
    /// A flow that breaks before any response leads to the URI as well; silence does not, because the peer may have the
    /// request. However long the request is, it stays on the flow.
    pub fn to_flow(mut self, flow: Flow) -> Self {
        self.next = NextHop::Flow { flow, or_uri: true };
        self
    }

    /// Sends on `flow` or, when it is closed, fails with [`Failure::Unreachable`](crate::Failure::Unreachable): for a
    /// Contact that cannot be reached in any other way.
    pub fn only_flow(mut self, flow: Flow) -> Self {
        self.next = NextHop::Flow {
            flow,
            or_uri: false,
        };
        self
    }

    /// Sends to the first of `targets` that can be reached and answers, without asking the resolver (RFC 3263 §4.3).
    pub fn to_targets(mut self, targets: impl IntoIterator<Item = Target>) -> Self {
        self.next = NextHop::Targets(targets.into_iter().collect());
        self
    }

    /// Writes a Contact that names the address under which we are reached on the way that is taken.
    pub fn contact(mut self, contact: ContactTemplate) -> Self {
        self.contact = Some(contact);
        self
    }

    /// Inserts Record-Route for a proxy: one, or two when listener, transport or address family change (RFC 5658).
    pub fn record_route(mut self, record_route: RecordRouteTemplate) -> Self {
        self.record_route = Some(record_route);
        self
    }

    /// Timers of this request's transactions alone.
    pub fn timers(mut self, timers: Timers) -> Self {
        self.timers = Some(timers);
        self
    }

    /// The longest that all attempts together may take until a final response. Afterwards the request fails with
    /// [`Failure::TimedOut`](crate::Failure::TimedOut); an INVITE that was sent is cancelled first. Defaults to none:
    /// each attempt ends by its own timers.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Asks the next hop in the Via whether the flow may be kept alive (RFC 6223 §4.2); a value of `keep` in the Via of
    /// the response says that it may.
    pub fn ask_to_keep(mut self) -> Self {
        self.asks_to_keep = true;
        self
    }

    /// A text that ends every branch of this request, such as the loop detection hash of RFC 5393 §4.2.
    pub fn branch_suffix(mut self, suffix: impl Into<String>) -> Self {
        self.branch_suffix = Some(suffix.into());
        self
    }

    /// Sends by this listener: its [view](crate::Endpoint::listen_within) says what the next hop's name means, datagrams
    /// of its family leave from its socket, and connections of its protocol are made with its TLS. Defaults to none: the flow's listener, if there is one, tells the
    /// view, and the way tells the listener.
    pub const fn by_listener(mut self, listener: ListenerId) -> Self {
        self.listener = Some(listener);
        self
    }

    /// Never sends it in a datagram that is longer than [`EndpointConfig::datagram_limit`](crate::EndpointConfig::datagram_limit):
    /// for what carries media of its own, as MESSAGE does (RFC 3428 §8).
    ///
    /// Defaults to no: where nobody takes the connection that a long request wants, it goes in a datagram after all
    /// (RFC 3261 §18.1.1).
    #[must_use]
    pub const fn congestion_controlled(mut self) -> Self {
        self.congestion_controlled = true;
        self
    }

    pub(crate) fn flow_to(
        &self,
        now: Instant,
        transport: &mut Transport,
        target: &Target,
    ) -> Result<Flow, FlowError> {
        let own = self.listener.filter(|_| !target.protocol.is_stream());
        let own = own.and_then(|own| {
            let mut listeners = transport.listeners();
            let (_, listener, bound) = listeners.find(|(id, ..)| *id == own)?;
            bound.filter(|bound| {
                listener.protocol() == target.protocol
                    && bound.is_ipv4() == target.address.is_ipv4()
                    && !bound.ip().is_unspecified()
            })
        });
        let speaker = self.listener.filter(|own| {
            let mut listeners = transport.listeners();
            target.protocol.is_stream()
                && listeners
                    .any(|(id, listener, _)| id == *own && listener.protocol() == target.protocol)
        });
        match (own, speaker) {
            (Some(local), _) => Ok(Flow::udp(local, target.address)),
            (None, Some(speaker)) => transport.flow_to_by(now, target, speaker),
            (None, None) => match transport.flow_within_dialog(target) {
                Some(flow) if self.is_within_dialog() => Ok(flow),
                _ => transport.flow_to(now, target),
            },
        }
    }

    fn is_within_dialog(&self) -> bool {
        self.request.to().is_ok_and(|to| to.tag().is_some())
    }

    /// RFC 3261 §26.2.2: what is addressed by a `sips` URI never goes in clear text, whatever a Route says.
    pub(crate) fn may_use(&self, protocol: Protocol) -> bool {
        protocol.is_secure() || !self.request.uri().is_sips()
    }

    /// Which view its names are looked up in: that of the listener which it leaves by.
    pub(crate) fn view(&self, names: &Names, transport: &Transport) -> usize {
        let listener = self.listener.or_else(|| match &self.next {
            NextHop::Flow { flow, .. } => transport.listener_of(flow),
            NextHop::Uri | NextHop::Targets(_) => None,
        });
        names.view_of(listener)
    }

    /// Where it goes (RFC 3261 §8.1.2): the topmost Route, else the Request-URI.
    pub(crate) fn next_hop(&self) -> Result<Query, String> {
        // RFC 3261 §8.1.2: for a request to a `sips` URI whatever leads there counts as one.
        let is_secure = self.request.uri().is_sips();
        let query = |uri: &Uri| {
            let query = Query::uri(uri);
            let query = if is_secure {
                query.and_then(Query::secured)
            } else {
                query
            };
            query.map_err(|error| error.to_string())
        };
        if let Some(uri) = &self.located_by {
            return query(uri);
        }
        match self.request.headers().get::<Route>() {
            Some(Ok(route)) => query(route.uri()),
            // Never past a Route that cannot be read.
            Some(Err(error)) => Err(error.to_string()),
            None => query(self.request.uri()),
        }
    }

    /// The request as it was given.
    pub fn request(&self) -> &Request {
        &self.request
    }
}

/// How a Contact of ours is made: everything but the address.
#[derive(Clone, Debug, Default)]
pub struct ContactTemplate {
    /// The user part, unescaped
    pub user: Option<String>,
    /// Header field parameters, such as `expires`: name and value
    pub params: Vec<(String, Option<String>)>,
    /// Whether what belongs to the dialog that begins is to come over the flow on which it begins: `ob` (RFC 5626 §4.3)
    pub over_flow: bool,
}

/// How a Record-Route of ours is made: everything but the addresses.
#[derive(Clone, Debug)]
pub struct RecordRouteTemplate {
    /// The flow that the request came in on
    pub inbound: Flow,
    /// The user part: a flow token (RFC 5626 §5.3)
    pub user: Option<String>,
}

/// Where a request goes next.
#[derive(Clone, Debug)]
pub(crate) enum NextHop {
    Uri,
    Flow { flow: Flow, or_uri: bool },
    Targets(Vec<Target>),
}
