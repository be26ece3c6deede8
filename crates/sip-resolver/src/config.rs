//! What a resolver is told once.

use crate::Zone;
use sip_io::Protocol;
use std::time::Duration;

/// Settings of a [`Resolver`](crate::Resolver).
///
/// ```
/// # use sip_resolver::{Families, ResolverConfig, Zone};
/// let config = ResolverConfig::new()
///     .zone(Zone::new().address("pbx.example", [192, 0, 2, 7]))
///     .families(Families::V4);
/// ```
#[derive(Clone, Debug)]
pub struct ResolverConfig {
    pub(crate) zone: Zone,
    pub(crate) families: Families,
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) services: bool,
    pub(crate) lookups: usize,
    pub(crate) servers: usize,
    pub(crate) targets: usize,
    pub(crate) deadline: Duration,
    pub(crate) resolution_delay: Duration,
    pub(crate) cache_entries: usize,
    pub(crate) longest_ttl: Duration,
    pub(crate) negative_ttl: Duration,
    pub(crate) longest_negative_ttl: Duration,
    pub(crate) failure_ttl: Duration,
    pub(crate) prefetch: bool,
    pub(crate) stale: Duration,
    pub(crate) origins: bool,
    pub(crate) enum_suffix: Option<String>,
    pub(crate) ids_from: u64,
}

impl Default for ResolverConfig {
    fn default() -> Self {
        Self {
            zone: Zone::new(),
            families: Families::default(),
            protocols: vec![Protocol::Udp, Protocol::Tcp],
            services: true,
            lookups: 16_384,
            servers: 16,
            targets: 32,
            deadline: Duration::from_secs(12),
            resolution_delay: Duration::from_millis(50),
            cache_entries: 16_384,
            longest_ttl: Duration::from_secs(86_400),
            negative_ttl: Duration::from_secs(30),
            longest_negative_ttl: Duration::from_secs(900),
            failure_ttl: Duration::from_secs(1),
            prefetch: false,
            stale: Duration::ZERO,
            origins: false,
            enum_suffix: None,
            ids_from: 0,
        }
    }
}

impl ResolverConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names that are known without asking. Defaults to none.
    #[must_use]
    pub fn zone(mut self, zone: Zone) -> Self {
        self.zone = zone;
        self
    }

    /// Which addresses are of use. Defaults to both families, IPv6 first, as RFC 7984 and RFC 6724 have it.
    #[must_use]
    pub fn families(mut self, families: Families) -> Self {
        self.families = families;
        self
    }

    /// The transports that we speak, in the order in which a domain without NAPTR records is asked for them.
    ///
    /// Defaults to UDP and TCP, because RFC 3261 §18 asks for both.
    #[must_use]
    pub fn protocols(mut self, protocols: impl IntoIterator<Item = Protocol>) -> Self {
        self.protocols = protocols.into_iter().collect();
        self
    }

    /// Whether NAPTR and SRV records are asked for. Defaults to yes, because RFC 3263 §4 does; without them a name
    /// leads to its own addresses only.
    #[must_use]
    pub fn services(mut self, services: bool) -> Self {
        self.services = services;
        self
    }

    /// How many lookups may be open. Defaults to 16,384; one more fails at once with
    /// [`ResolveError::TooManyLookups`](crate::ResolveError::TooManyLookups).
    #[must_use]
    pub fn lookups(mut self, lookups: usize) -> Self {
        self.lookups = lookups;
        self
    }

    /// How many servers of one domain are looked at. Defaults to 16, so that one answer cannot cause more than 32
    /// questions; those that come last in order are left out.
    #[must_use]
    pub fn servers(mut self, servers: usize) -> Self {
        self.servers = servers.max(1);
        self
    }

    /// How many targets a lookup yields at most. Defaults to 32.
    #[must_use]
    pub fn targets(mut self, targets: usize) -> Self {
        self.targets = targets.max(1);
        self
    }

    /// How long a lookup may take. Defaults to 12 s, which lets three silent questions in a row end first and leaves
    /// more than half of Timer B; what is known then is used.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How long the slower address family is waited for once the other one is there. Defaults to 50 ms, the
    /// Resolution Delay of RFC 8305 §3.
    #[must_use]
    pub fn resolution_delay(mut self, resolution_delay: Duration) -> Self {
        self.resolution_delay = resolution_delay;
        self
    }

    /// How many answers are kept. Defaults to 16,384; when one more comes, the one that would end first is dropped.
    #[must_use]
    pub fn cache_entries(mut self, cache_entries: usize) -> Self {
        self.cache_entries = cache_entries;
        self
    }

    /// How long an answer is kept at most, whatever it says itself. Defaults to one day.
    #[must_use]
    pub fn longest_ttl(mut self, longest_ttl: Duration) -> Self {
        self.longest_ttl = longest_ttl;
        self
    }

    /// How long "there is nothing" is kept when the server did not say. Defaults to 30 s.
    #[must_use]
    pub fn negative_ttl(mut self, negative_ttl: Duration) -> Self {
        self.negative_ttl = negative_ttl;
        self
    }

    /// How long "there is nothing" is kept at most. Defaults to 15 minutes, because someone who adds a server does
    /// not want to wait for hours.
    #[must_use]
    pub fn longest_negative_ttl(mut self, longest_negative_ttl: Duration) -> Self {
        self.longest_negative_ttl = longest_negative_ttl;
        self
    }

    /// How long a failure to find out is kept. Defaults to 1 s, the least that RFC 9520 §3.2 allows.
    #[must_use]
    pub fn failure_ttl(mut self, failure_ttl: Duration) -> Self {
        self.failure_ttl = failure_ttl;
        self
    }

    /// Whether an answer that is used in the last tenth of its time is asked for again at once, so that names in use are
    /// always known. Defaults to no, because it makes more questions.
    #[must_use]
    pub fn prefetch(mut self, prefetch: bool) -> Self {
        self.prefetch = prefetch;
        self
    }

    /// How long after its end an answer may still be used when the DNS fails to give a new one (RFC 8767). Defaults to
    /// zero, which is never; RFC 8767 §5 suggests one to three days.
    #[must_use]
    pub fn serve_stale(mut self, stale: Duration) -> Self {
        self.stale = stale;
        self
    }

    /// Whether [`Target::origins`](crate::Target::origins) is filled in. Defaults to no, because it costs copies.
    #[must_use]
    pub fn origins(mut self, origins: bool) -> Self {
        self.origins = origins;
        self
    }

    /// Where telephone numbers are looked for (RFC 6116): `e164.arpa`, or the suffix of a private tree. Defaults to none:
    /// a `tel` URI then leads nowhere.
    #[must_use]
    pub fn enum_suffix(mut self, suffix: impl Into<String>) -> Self {
        self.enum_suffix = Some(suffix.into());
        self
    }

    /// Where the numbers of lookups and questions begin. Defaults to 0; who runs several resolvers side by side sets them
    /// apart, and knows from a number whose it is.
    #[must_use]
    pub const fn ids_from(mut self, first: u64) -> Self {
        self.ids_from = first;
        self
    }

    /// The transport when nothing names one: UDP, and TLS for `sips` (RFC 3263 §4.1, RFC 3261 §26.2.2).
    pub(crate) fn default_protocol(&self, secure: bool) -> Protocol {
        let supported = |protocol: &Protocol| self.protocols.contains(protocol);
        let candidates: &[Protocol] = if secure {
            &[Protocol::Tls, Protocol::Wss]
        } else {
            &[Protocol::Udp, Protocol::Tcp, Protocol::Tls]
        };
        candidates
            .iter()
            .copied()
            .find(supported)
            .unwrap_or(candidates[0])
    }
}

/// Which addresses are of use, and which come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Families {
    /// Only IPv4: no AAAA question is asked
    V4,
    /// Only IPv6: no A question is asked
    V6,
    /// Both, starting with IPv4
    V4First,
    /// Both, starting with IPv6
    #[default]
    V6First,
}

impl Families {
    pub(crate) const fn has_v4(self) -> bool {
        !matches!(self, Self::V6)
    }

    pub(crate) const fn has_v6(self) -> bool {
        !matches!(self, Self::V4)
    }
}
