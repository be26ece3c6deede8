//! The settings of a user agent, and who it speaks for.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use sip_auth::Credentials;
use sip_dialog::RouteSet;
use sip_io::WallClock;
use sip_message::{Method, NameAddr, Scheme, Uri};

/// The settings of a [`UserAgent`](crate::UserAgent): a seed and a clock are required, the rest has defaults.
///
/// ```
/// # use sip_ua::UaConfig;
/// # use sip_io::WallClock;
/// # use sip_message::Method;
/// # use std::time::{Instant, SystemTime};
/// let clock = WallClock { at: Instant::now(), is: SystemTime::UNIX_EPOCH };
/// let config = UaConfig::new([7; 32], clock).listen_to(Method::MESSAGE).calls(100);
/// # let _ = config;
/// ```
#[derive(Clone, Debug)]
pub struct UaConfig {
    pub(crate) seed: [u8; 32],
    pub(crate) clock: WallClock,
    pub(crate) t1: Duration,
    pub(crate) t2: Duration,
    pub(crate) methods: BTreeSet<Method>,
    pub(crate) extensions: Vec<String>,
    pub(crate) take_calls: bool,
    pub(crate) calls: usize,
    pub(crate) early_dialogs: usize,
    pub(crate) registrations: usize,
    pub(crate) requests: usize,
    pub(crate) handed_out: usize,
    pub(crate) ack_to: AckTo,
    pub(crate) ring_for: Duration,
    pub(crate) redirects: usize,
    pub(crate) retry_first: Duration,
    pub(crate) retry_last: Duration,
}

impl UaConfig {
    /// The defaults, with the seed of every delay and the pair that says where time begins.
    pub fn new(seed: [u8; 32], clock: WallClock) -> Self {
        Self {
            seed,
            clock,
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            methods: BTreeSet::new(),
            extensions: Vec::new(),
            take_calls: true,
            calls: 10_000,
            early_dialogs: 8,
            registrations: 10_000,
            requests: 10_000,
            handed_out: 64,
            ack_to: AckTo::default(),
            ring_for: Duration::from_secs(300),
            redirects: 5,
            retry_first: Duration::from_secs(60),
            retry_last: Duration::from_secs(1_800),
        }
    }

    /// The first interval at which a 2xx to INVITE is repeated; 64 of them are what its ACK has.
    ///
    /// Defaults to 500 ms (RFC 3261 §13.3.1.4). Should be what the endpoint's transactions use.
    #[must_use]
    pub const fn t1(mut self, t1: Duration) -> Self {
        self.t1 = t1;
        self
    }

    /// The longest interval at which a 2xx to INVITE is repeated.
    ///
    /// Defaults to 4 s (RFC 3261 §13.3.1.4).
    #[must_use]
    pub const fn t2(mut self, t2: Duration) -> Self {
        self.t2 = t2;
        self
    }

    /// A method that the application answers itself: its requests come as [`Event::Request`](crate::Event::Request),
    /// and Allow names it.
    ///
    /// Defaults to none, because a method that nobody answers is better refused with 405. INVITE, ACK, CANCEL, BYE and
    /// OPTIONS are always served and need no mention.
    #[must_use]
    pub fn listen_to(mut self, method: Method) -> Self {
        self.methods.insert(method);
        self
    }

    /// An extension (an option tag) that the application supports: Supported names it, and a Require for it is no
    /// reason for a 420.
    ///
    /// Defaults to none.
    #[must_use]
    pub fn extension(mut self, tag: impl Into<String>) -> Self {
        self.extensions.push(tag.into());
        self
    }

    /// Whether calls are taken. When not, an INVITE and an OPTIONS get 480.
    ///
    /// Defaults to yes.
    #[must_use]
    pub const fn take_calls(mut self, take: bool) -> Self {
        self.take_calls = take;
        self
    }

    /// How many calls there may be, both directions together.
    ///
    /// Defaults to 10,000. Above it an INVITE gets 503, and [`UserAgent::call`](crate::UserAgent::call) refuses.
    #[must_use]
    pub const fn calls(mut self, limit: usize) -> Self {
        self.calls = limit;
        self
    }

    /// How many early dialogs one call of ours may have.
    ///
    /// Defaults to 8. Provisional responses of further forks are ignored; a 2xx of one is not.
    #[must_use]
    pub const fn early_dialogs(mut self, limit: usize) -> Self {
        self.early_dialogs = limit;
        self
    }

    /// How many registrations there may be.
    ///
    /// Defaults to 10,000. Above it [`UserAgent::register`](crate::UserAgent::register) refuses.
    #[must_use]
    pub const fn registrations(mut self, limit: usize) -> Self {
        self.registrations = limit;
        self
    }

    /// How many other requests of ours may be without an answer.
    ///
    /// Defaults to 10,000. Above it [`UserAgent::request`](crate::UserAgent::request) refuses.
    #[must_use]
    pub const fn requests(mut self, limit: usize) -> Self {
        self.requests = limit;
        self
    }

    /// How many requests may wait for the application's answer.
    ///
    /// Defaults to 64. Above it a request gets 503 with Retry-After.
    #[must_use]
    pub const fn handed_out(mut self, limit: usize) -> Self {
        self.handed_out = limit;
        self
    }

    /// How long a call may ring, in either direction, when neither the call nor its INVITE says otherwise.
    ///
    /// Defaults to 5 minutes. Then a call of ours is cancelled; one of a peer is answered with 480.
    #[must_use]
    pub const fn ring_for(mut self, time: Duration) -> Self {
        self.ring_for = time;
        self
    }

    /// Where the ACK to a 2xx goes.
    ///
    /// Defaults to [`AckTo::Route`], as RFC 3261 §13.2.2.4 says.
    #[must_use]
    pub const fn ack_to(mut self, to: AckTo) -> Self {
        self.ack_to = to;
        self
    }

    /// How many redirections (3xx) one call of ours follows; only Contacts in the domain that was called are.
    ///
    /// Defaults to 5. Zero follows none.
    #[must_use]
    pub const fn redirects(mut self, limit: usize) -> Self {
        self.redirects = limit;
        self
    }

    /// The longest waits after the first failure of a registration and after any number of them; they double in between,
    /// and half of each is left to chance. A flow that is lost before it has shown that it lasts is a failure, too, and
    /// while another flow leads to the user the first one is three times as long.
    ///
    /// Defaults to one minute and 30 minutes: RFC 5626 §4.5 doubles its base time of 30 s with the first failure already.
    #[must_use]
    pub const fn retry(mut self, first: Duration, longest: Duration) -> Self {
        self.retry_first = first;
        self.retry_last = longest;
        self
    }
}

/// Where the ACK to a 2xx goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AckTo {
    /// To the first of the route set, else to the Contact of the 2xx (RFC 3261 §13.2.2.4)
    #[default]
    Route,
    /// Where the INVITE went, with the Route and Request-URI that it should have: for peers behind a proxy that has recorded
    /// no route, or whose Contact leads nowhere
    Invite,
}

/// Who a user agent speaks for: an address-of-record, its credentials and its way out.
///
/// It is cheap to clone, and may place calls without ever registering.
///
/// ```
/// # use sip_ua::Identity;
/// # use sip_auth::Credentials;
/// # use sip_message::Uri;
/// let alice = Identity::new(Uri::parse("sip:alice@example.com")?)
///     .display_name("Alice")
///     .credentials(Credentials::password("alice", "secret"));
/// assert_eq!(alice.from().to_string(), "\"Alice\" <sip:alice@example.com>");
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Identity(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    aor: Uri,
    display_name: Option<String>,
    credentials: Vec<Credentials>,
    route: Vec<Uri>,
    contact_user: Option<String>,
    outbound: bool,
}

impl Identity {
    /// The identity with this address-of-record.
    pub fn new(aor: Uri) -> Self {
        let contact_user = aor.user().map(|user| user.into_owned());
        Self(Arc::new(Inner {
            aor,
            display_name: None,
            credentials: Vec::new(),
            route: Vec::new(),
            contact_user,
            outbound: false,
        }))
    }

    /// What From shows beside the address.
    ///
    /// Defaults to nothing.
    #[must_use]
    pub fn display_name(mut self, name: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).display_name = Some(name.into());
        self
    }

    /// What a challenge is answered with; each call adds one.
    ///
    /// Defaults to none: a challenge is then a rejection.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        Arc::make_mut(&mut self.0).credentials.push(credentials);
        self
    }

    /// The servers that requests outside dialogs pass first (RFC 3261 §8.1.1.1: a pre-existing route set).
    ///
    /// Defaults to none: the Request-URI says where a request goes. While the identity is registered, what its registrar
    /// says in Service-Route comes after them (RFC 3608 §6.1).
    #[must_use]
    pub fn route(mut self, route: impl IntoIterator<Item = Uri>) -> Self {
        Arc::make_mut(&mut self.0).route = route.into_iter().collect();
        self
    }

    /// The user part of Contact.
    ///
    /// Defaults to the user part of the address-of-record.
    #[must_use]
    pub fn contact_user(mut self, user: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).contact_user = Some(user.into());
        self
    }

    /// Says in requests that begin dialogs that the rest is to come over the flow on which they go, and that the user agent
    /// manages its flows (RFC 5626 §4.3): `ob` in the Contact, `outbound` in Supported. An edge proxy then finds the way
    /// back through an address translator.
    ///
    /// Defaults to no. It goes with [`RegistrationOptions::outbound`](crate::RegistrationOptions::outbound).
    #[must_use]
    pub fn outbound(mut self) -> Self {
        Arc::make_mut(&mut self.0).outbound = true;
        self
    }

    /// The address-of-record.
    pub fn aor(&self) -> &Uri {
        &self.0.aor
    }

    /// The From of this identity, without tag.
    pub fn from(&self) -> NameAddr {
        let address = NameAddr::new(&self.0.aor);
        match &self.0.display_name {
            Some(name) => address.with_display_name(name),
            None => address,
        }
    }

    /// The servers that a request to `target` passes first, ours and then those `further` on: all by `sips` where the
    /// target is one (RFC 5630 §5.1.1).
    pub(crate) fn route_to(&self, target: &Uri, further: &[Uri]) -> RouteSet {
        let own = &self.0.route;
        // A registrar that begins with the server that we end with means the same one.
        let further = match (own.last(), further) {
            (Some(last), [first, rest @ ..]) if last.equivalent(first) => rest,
            _ => further,
        };
        let route = own.iter().chain(further);
        RouteSet::new(route.map(|uri| match target.is_sips() {
            true => uri.with_scheme(Scheme::Sips),
            false => uri.clone(),
        }))
    }

    /// Whether the first of these servers is asked for by `sips`.
    pub(crate) fn starts_secure(&self) -> bool {
        self.0.route.first().is_some_and(Uri::is_sips)
    }

    pub(crate) fn contact_user_part(&self) -> Option<&str> {
        self.0.contact_user.as_deref()
    }

    pub(crate) fn manages_flows(&self) -> bool {
        self.0.outbound
    }

    pub(crate) fn all_credentials(&self) -> &[Credentials] {
        &self.0.credentials
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        Uri::parse(text).unwrap()
    }

    /// RFC 5630 §5.1.1: one route serves both schemes.
    #[test]
    fn the_route_to_a_sips_uri_is_sips_throughout() {
        let route = ["sip:p1.example.com;lr", "sips:p2.example.com:5071;lr"].map(uri);
        let alice = Identity::new(uri("sip:alice@example.com")).route(route.clone());
        let to = |target: &str| alice.route_to(&uri(target), &[]).uris().to_vec();
        assert_eq!(to("sip:bob@example.com"), route);
        let secure = ["sips:p1.example.com;lr", "sips:p2.example.com:5071;lr"].map(uri);
        assert_eq!(to("sips:bob@example.com"), secure);
    }
}
