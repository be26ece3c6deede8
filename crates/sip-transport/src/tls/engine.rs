//! The two configurations that connections are made from.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use rustls::{
    ClientConfig, ClientConnection, ServerConfig, ServerConnection,
    client::Resumption,
    pki_types::{DnsName, ServerName, UnixTime},
    server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache, WebPkiClientVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
    time_provider::TimeProvider,
};

use super::{
    config::{Identity, Tls},
    layer::TlsLayer,
    verifier::DomainVerifier,
};
use crate::identity;
use sip_io::WallClock;

/// Makes connections of one [`Tls`].
pub(crate) struct Engine {
    clock: Arc<Clock>,
    client: Arc<ClientConfig>,
    /// `None` without a certificate of ours
    server: Option<Arc<ServerConfig>>,
    wildcards: bool,
    believes_anyone: bool,
    trust: u32,
    identities: Vec<Identity>,
    warn_before: Duration,
    next_look: Instant,
}

impl Engine {
    pub(crate) fn new(tls: &Tls, wall: WallClock, now: Instant, trust: u32) -> Self {
        let clock = Arc::new(Clock::new(wall, now));
        Self {
            client: client_config(tls, &clock),
            server: tls.has_identity().then(|| server_config(tls, &clock)),
            clock,
            wildcards: tls.wildcards,
            believes_anyone: tls.believes_anyone,
            trust,
            identities: tls.identities.clone(),
            warn_before: tls.warn_before,
            next_look: now,
        }
    }

    /// Which one of all it is.
    pub(crate) const fn trust(&self) -> u32 {
        self.trust
    }

    /// Whether there is a certificate of ours, to serve with and to show when asked.
    pub(crate) const fn has_identity(&self) -> bool {
        self.server.is_some()
    }

    /// The server's side of a new connection.
    pub(crate) fn accept(&self, now: Instant) -> Option<TlsLayer> {
        let config = Arc::clone(self.server.as_ref()?);
        self.clock.set(now);
        let connection = ServerConnection::new(config).ok()?;
        Some(TlsLayer::new(
            connection.into(),
            Arc::clone(&self.clock),
            self.wildcards,
            self.trust,
        ))
    }

    /// The client's side of a new connection, at whose other end must be `name`, or `address` where there is no name.
    /// `None` if no certificate could prove the name.
    pub(crate) fn connect(
        &self,
        now: Instant,
        name: Option<&str>,
        address: IpAddr,
    ) -> Option<TlsLayer> {
        self.clock.set(now);
        let name = server_name(name, address)?;
        let connection = ClientConnection::new(Arc::clone(&self.client), name).ok()?;
        let mut layer = TlsLayer::new(
            connection.into(),
            Arc::clone(&self.clock),
            self.wildcards,
            self.trust,
        );
        if self.believes_anyone {
            layer.proves_nothing();
        }
        Some(layer)
    }

    /// The certificates of ours that end soon, unless that was asked less than a day ago.
    pub(super) fn ending(&mut self, now: Instant) -> Vec<(Vec<String>, SystemTime)> {
        if now < self.next_look {
            return Vec::new();
        }
        self.next_look = now + A_DAY;
        let soon = self.clock.wall.at(now) + self.warn_before;
        self.identities
            .iter()
            .filter_map(|identity| Some((identity.domains.clone(), identity.not_after?)))
            .filter(|(_, not_after)| *not_after <= soon)
            .collect()
    }
}

/// What a certificate has to prove (RFC 5922 §7.3): a name as a name, an address as an address.
fn server_name(name: Option<&str>, address: IpAddr) -> Option<ServerName<'static>> {
    let Some(name) = name else {
        return Some(ServerName::IpAddress(address.into()));
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(ServerName::IpAddress(address.into()));
    }
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    DnsName::try_from(name).ok().map(ServerName::DnsName)
}

fn client_config(tls: &Tls, clock: &Arc<Clock>) -> Arc<ClientConfig> {
    let clock: Arc<dyn TimeProvider> = Arc::<Clock>::clone(clock);
    let builder = ClientConfig::builder_with_details(Arc::clone(&tls.provider), clock)
        .with_safe_default_protocol_versions()
        .expect("the provider was tried when it was given")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(DomainVerifier::new(tls)));
    let mut config = match tls.identities.first() {
        Some(own) => {
            let own = CertifiedKey::clone(&own.key);
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own)))
        }
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    if let Some(log) = &tls.key_log {
        config.key_log = Arc::clone(log);
    }
    Arc::new(config)
}

fn server_config(tls: &Tls, clock: &Arc<Clock>) -> Arc<ServerConfig> {
    let clock: Arc<dyn TimeProvider> = Arc::<Clock>::clone(clock);
    let clients = tls
        .clients
        .as_ref()
        .map_or_else(WebPkiClientVerifier::no_client_auth, Arc::clone);
    let mut config = ServerConfig::builder_with_details(Arc::clone(&tls.provider), clock)
        .with_safe_default_protocol_versions()
        .expect("the provider was tried when it was given")
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::new(ByName(tls.identities.clone())));
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    if let Some(log) = &tls.key_log {
        config.key_log = Arc::clone(log);
    }
    Arc::new(config)
}

/// Chooses the certificate that a client asks for by name (RFC 6066 §3).
struct ByName(Vec<Identity>);

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let usable = || {
            self.0
                .iter()
                .filter(|own| own.key.key.choose_scheme(schemes).is_some())
        };
        let named = hello.server_name().and_then(|name| {
            usable().find(|own| {
                own.domains
                    .iter()
                    .any(|domain| identity::covers(domain, name, true))
            })
        });
        // The client decides whether it believes a certificate with another name.
        let chosen = named.or_else(|| usable().next());
        chosen.map(|own| Arc::clone(&own.key))
    }
}

impl std::fmt::Debug for ByName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|own| &own.domains))
            .finish()
    }
}

/// The time of day for rustls, which asks in the middle of its work: that of the last bytes.
#[derive(Debug)]
pub(super) struct Clock {
    wall: WallClock,
    seconds: AtomicU64,
}

impl Clock {
    fn new(wall: WallClock, now: Instant) -> Self {
        let seconds = AtomicU64::new(wall.unix_seconds(now));
        Self { wall, seconds }
    }

    pub(super) fn set(&self, now: Instant) {
        self.seconds
            .store(self.wall.unix_seconds(now), Ordering::Relaxed);
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = self.seconds.load(Ordering::Relaxed);
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// How many sessions of each side may be resumed.
const SESSIONS: usize = 1024;
const A_DAY: Duration = Duration::from_secs(86_400);
