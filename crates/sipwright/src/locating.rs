//! How names become servers, for user agents and servers alike.

use crate::{
    resolve::{Erased, ErasedResolve, Resolve},
    shared::Shared,
};
use sip_endpoint::EndpointConfig;
use sip_resolver::{
    Cached, DnsConfig, HealthConfig, ResolverConfig, ServerHealth, ServerKey, Zone,
};
use sip_runtime::NameService;
use std::{fmt, sync::Arc, time::Duration};

/// What is known about names and servers: looked at and forgotten while it is in use.
///
/// ```no_run
/// # async fn look(ua: &sipwright::UserAgent) {
/// for answer in ua.names().cached().await {
///     println!("{}: {:?}, {} s more", answer.question, answer.outcome, answer.remaining.as_secs());
/// }
/// for server in ua.names().failed().await {
///     println!("{:?} is tried last for {:?}", server.server, server.remaining);
/// }
/// ua.names().flush().await;
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Names {
    shared: Shared,
}

impl Names {
    pub(crate) const fn new(shared: Shared) -> Self {
        Self { shared }
    }

    /// Every answer of the DNS that is kept, in no particular order, by each worker for itself; none when the user agent or server is closed.
    pub async fn cached(&self) -> Vec<Cached> {
        let cached = self.shared.everywhere(|machine, _, now| {
            let cached = machine.stack.endpoint().cached(now);
            cached.collect::<Vec<_>>()
        });
        cached.await.unwrap_or_default().concat()
    }

    /// Forgets every answer of the DNS.
    pub async fn flush(&self) {
        let flushed = self.shared.everywhere(|machine, _, now| {
            machine.stack.command(now, |_, cx| cx.flush());
        });
        // Whoever is closed keeps nothing.
        flushed.await.ok();
    }

    /// Forgets the answers of the DNS about one name.
    pub async fn flush_name(&self, name: impl Into<String>) {
        let name = name.into();
        let flushed = self.shared.everywhere(move |machine, _, now| {
            machine.stack.command(now, |_, cx| cx.flush_name(&name));
        });
        flushed.await.ok();
    }

    /// The servers that failed lately and are tried last.
    pub async fn failed(&self) -> Vec<ServerHealth> {
        let failed = self.shared.everywhere(|machine, _, now| {
            machine
                .stack
                .command(now, |_, cx| cx.endpoint.health().snapshot(now))
        });
        failed.await.unwrap_or_default().concat()
    }

    /// Takes a server for one that has not failed.
    pub async fn forgive(&self, server: ServerKey) {
        let forgiven = self.shared.everywhere(move |machine, _, now| {
            machine
                .stack
                .command(now, |_, cx| cx.endpoint.health().forget(server));
        });
        forgiven.await.ok();
    }
}

/// What builders are told about names and servers.
#[derive(Clone, Default)]
pub(crate) struct Locating {
    pub(crate) resolver: ResolverConfig,
    pub(crate) zone: Zone,
    pub(crate) dns: Option<DnsConfig>,
    pub(crate) resolve: Option<Arc<dyn ErasedResolve>>,
    pub(crate) health: HealthConfig,
    pub(crate) affinity: Option<Duration>,
    pub(crate) attempt_limit: Option<Duration>,
    pub(crate) attempt_delay: Option<Duration>,
}

impl Locating {
    pub(crate) fn set_resolve(&mut self, resolve: impl Resolve) {
        self.resolve = Some(Arc::new(Erased(Arc::new(resolve))));
    }

    pub(crate) fn apply(self, config: EndpointConfig, system: NameService) -> EndpointConfig {
        let zone = system
            .hosts
            .iter()
            .fold(self.zone, |zone, (name, address)| {
                zone.address(name, *address)
            });
        let mut config = config
            .resolver(self.resolver)
            .zone(zone)
            .health(self.health);
        if self.resolve.is_none() {
            let dns = self.dns;
            config = config.dns(dns.unwrap_or_else(|| DnsConfig::new(system.nameservers)));
        }
        if let Some(lasts) = self.affinity {
            config = config.affinity(lasts);
        }
        if let Some(limit) = self.attempt_limit {
            let non_invite = Duration::from_secs(20);
            config = config.attempt_limit(limit).non_invite_limit(non_invite);
        }
        if let Some(delay) = self.attempt_delay {
            config = config.attempt_delay(delay);
        }
        config
    }
}

impl fmt::Debug for Locating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locating")
            .field("resolver", &self.resolver)
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

/// The setters that user agents and servers have in common.
macro_rules! locating_setters {
    ($builder:ty) => {
        /// How names become servers, and who answers for them.
        impl $builder {
            /// Names that are known without asking; the system's hosts file is read besides.
            pub fn zone(mut self, zone: sip_resolver::Zone) -> Self {
                self.stack.locating.zone = zone;
                self
            }

            /// The DNS servers to ask. Defaults to the system's.
            pub fn nameservers(
                self,
                nameservers: impl IntoIterator<Item = std::net::SocketAddr>,
            ) -> Self {
                self.dns(sip_resolver::DnsConfig::new(nameservers))
            }

            /// The DNS servers to ask, how often, and how long each time. Defaults to the system's and
            /// [`DnsConfig`](crate::resolver::DnsConfig)'s values.
            pub fn dns(mut self, dns: sip_resolver::DnsConfig) -> Self {
                self.stack.locating.dns = Some(dns);
                self
            }

            /// Has the questions to the DNS answered by the application instead of our own client.
            pub fn resolver(mut self, resolver: impl crate::resolver::Resolve) -> Self {
                self.stack.locating.set_resolve(resolver);
                self
            }

            /// How names become servers: the cache, prefetching, old answers when the DNS is dead, telephone numbers.
            /// Defaults to [`ResolverConfig`](crate::resolver::ResolverConfig)'s values; the names of
            /// [`zone`](Self::zone) and the hosts file take the place of its zone.
            ///
            /// ```
            #[doc = concat!("# let builder = sipwright::", stringify!($builder), "::default();")]
            /// use sipwright::resolver::ResolverConfig;
            /// use std::time::Duration;
            ///
            /// let builder = builder.lookups(
            ///     ResolverConfig::new()
            ///         .prefetch(true)
            ///         .serve_stale(Duration::from_secs(86_400))
            ///         .enum_suffix("e164.arpa"),
            /// );
            /// # let _ = builder;
            /// ```
            pub fn lookups(mut self, resolver: sip_resolver::ResolverConfig) -> Self {
                self.stack.locating.resolver = resolver;
                self
            }

            /// What is remembered of servers that failed: how long they are tried last, for which methods, and whether
            /// they are probed. Defaults to [`HealthConfig`](crate::resolver::HealthConfig)'s values: 30 s, doubling up
            /// to an hour, Retry-After honoured, and not for BYE, CANCEL and ACK.
            pub fn health(mut self, health: sip_resolver::HealthConfig) -> Self {
                self.stack.locating.health = health;
                self
            }

            /// For how long requests with one Call-ID, those of a dialog or a registration, stay with the server that
            /// answered the last of them, as long as the name leads to it. Defaults to none: each request chooses anew.
            pub fn affinity(mut self, lasts: std::time::Duration) -> Self {
                self.stack.locating.affinity = Some(lasts);
                self
            }

            /// How long one of several servers may stay silent before the next one is tried, or the request fails.
            /// Defaults to none: each has 64×T1, 32 s (RFC 3263 §4.3). With a limit, all attempts of a request other
            /// than INVITE take 20 s at most when there are several servers (RFC 4321 §1.2).
            pub fn attempt_limit(mut self, limit: std::time::Duration) -> Self {
                self.stack.locating.attempt_limit = Some(limit);
                self
            }

            /// How long a connection may take to open before another address of the same server is tried beside it.
            /// Defaults to 250 ms (RFC 8305 §8).
            pub fn attempt_delay(mut self, delay: std::time::Duration) -> Self {
                self.stack.locating.attempt_delay = Some(delay);
                self
            }

            /// A [`listener`](Self::listen) with a view of its own: names of requests that go out by it are looked up
            /// there (split horizon).
            pub fn listen_within(
                mut self,
                listener: impl crate::IntoListener,
                view: sip_endpoint::View,
            ) -> Self {
                self.stack.listen_within(listener, view);
                self
            }
        }
    };
}

pub(crate) use locating_setters;
