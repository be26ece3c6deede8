//! What a registrar is made from.

use crate::Terms;
use sip_auth::{Authenticator, CredentialStore, Role, Server};
use sip_endpoint::Domains;
use sip_io::WallClock;
use sip_message::Uri;
use std::{fmt, time::Duration};

/// The configuration of a [`Registrar`](crate::Registrar): a clock and the domains are required, the rest has defaults.
///
/// ```
/// # use sip_endpoint::Domains;
/// # use sip_io::WallClock;
/// # use sip_registrar::{RegistrarConfig, Terms};
/// # use std::time::{Duration, Instant, SystemTime};
/// let clock = WallClock { at: Instant::now(), is: SystemTime::now() };
/// let config = RegistrarConfig::new(clock, Domains::new(["example.com"])?)
///     .terms(Terms::new().max_expires(Duration::from_secs(600)));
/// # Ok::<(), sip_message::ParseError>(())
/// ```
pub struct RegistrarConfig {
    pub(crate) clock: WallClock,
    pub(crate) domains: Domains,
    pub(crate) auth: Option<Authenticator>,
    pub(crate) terms: Terms,
    pub(crate) service_route: Vec<Uri>,
    pub(crate) pending: usize,
    pub(crate) decision: Duration,
}

impl RegistrarConfig {
    /// The defaults for the users of `domains`.
    pub fn new(clock: WallClock, domains: Domains) -> Self {
        Self {
            clock,
            domains,
            auth: None,
            terms: Terms::new(),
            service_route: Vec::new(),
            pending: 10_000,
            decision: Duration::from_secs(30),
        }
    }

    /// Who checks credentials, and the users. A REGISTER is then challenged with 401, and refused with 403 when its To
    /// is not the user who authenticated (RFC 3261 §10.3 steps 3 and 4); the 200 has Authentication-Info. Defaults to
    /// none: anyone may register as anyone.
    pub fn authenticate(
        mut self,
        server: Server,
        users: impl CredentialStore + Send + 'static,
    ) -> Self {
        self.auth = Some(Authenticator::new(server, Role::Server, users));
        self
    }

    /// As [`authenticate`](Self::authenticate), with users that are elsewhere: each secret is asked for by
    /// [`Event::SecretNeeded`](crate::Event::SecretNeeded).
    pub fn authenticate_asking(mut self, server: Server) -> Self {
        self.auth = Some(Authenticator::asking(server, Role::Server));
        self
    }

    /// How long bindings may be, and how many there may be.
    pub fn terms(mut self, terms: Terms) -> Self {
        self.terms = terms;
        self
    }

    /// The route that requests of registered user agents take, the next hop first: what every 200 tells them by
    /// Service-Route (RFC 3608 §6.3). Defaults to none: they send as they were configured.
    pub fn service_route(mut self, route: impl IntoIterator<Item = Uri>) -> Self {
        self.service_route = route.into_iter().collect();
        self
    }

    /// How many REGISTER requests may wait for a secret or a store elsewhere. Defaults to 10,000; above it one gets
    /// 503.
    pub fn pending(mut self, limit: usize) -> Self {
        self.pending = limit;
        self
    }

    /// How long a REGISTER may wait for a secret or a store elsewhere; afterwards it gets 503. Defaults to 30 s, because
    /// a user agent gives up after 32.
    pub fn decision(mut self, time: Duration) -> Self {
        self.decision = time;
        self
    }
}

impl fmt::Debug for RegistrarConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistrarConfig")
            .field("domains", &self.domains)
            .field("authenticates", &self.auth.is_some())
            .field("terms", &self.terms)
            .finish_non_exhaustive()
    }
}
