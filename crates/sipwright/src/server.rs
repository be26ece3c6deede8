//! Sockets and cores that serve others: registrar and proxy.

use crate::{
    dispatch::DispatchSet,
    error::BindError,
    inbound::{Inbound, Rejected, Relayed},
    locating::{Names, locating_setters},
    router::{Erased, ErasedRouter, Router},
    routing::Routing,
    setters::stack_setters,
    shared::Shared,
    stack_builder::StackBuilder,
};
use sip_auth::{CredentialStore, Digest};
use sip_endpoint::{Domains, EndpointStats};
use sip_io::{Rng, Shard, WallClock};
use sip_message::{Host, Uri};
use sip_proxy::{Dispatcher, Foreign, Proxy, ProxyConfig, ProxyStats};
use sip_registrar::{Registrar as RegistrarCore, RegistrarConfig, Terms};
use std::{fmt, future::Future, net::SocketAddr, sync::Arc};

/// A registrar and record-routing proxy (RFC 3261 §10, §16).
///
/// It is shared: clones name the same server. [`close`](Self::close) ends it; dropping the last clone does the same in
/// the background.
///
/// ```no_run
/// use sipwright::{Server, auth::{Digest, Users}, proxy::Registrar};
///
/// # async fn serve() -> sipwright::Result<()> {
/// let users = Users::new().add("alice", "example.com", "secret");
/// let server = Server::builder()
///     .listen("udp:0.0.0.0:5060")
///     .domain("example.com")
///     .authenticate(Digest::realm("example.com"), users)
///     .registrar(Registrar::default())
///     .start()
///     .await?;
/// server.run_until(std::future::pending::<()>()).await;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Server {
    pub(crate) shared: Shared,
}

impl Server {
    /// A server to be configured.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }

    /// Where it listens, with the ports that the system chose.
    pub fn listeners(&self) -> &[SocketAddr] {
        &self.shared.settings.listeners
    }

    /// Serves until `end` resolves, then closes.
    pub async fn run_until<F: Future>(&self, end: F) {
        end.await;
        self.close().await;
    }

    /// What is held and was counted; `None` when the server is closed.
    pub async fn stats(&self) -> Option<EndpointStats> {
        self.shared
            .sum(|machine, _, _| machine.stack.endpoint().stats())
            .await
    }

    /// What became of the requests that came, and which are held; `None` when the server is closed.
    pub async fn core_stats(&self) -> Option<ProxyStats> {
        let stats = self.shared.sum(|machine, _, now| {
            machine
                .proxy(now, |proxy, _| proxy.stats())
                .unwrap_or_default()
        });
        stats.await
    }

    /// By which share, in percent, neighbours shall send fewer requests that heed it (RFC 7339): 0 leaves it to what is
    /// refused here. Without [`overload_control`](ServerBuilder::overload_control) nobody is told.
    pub async fn set_overload(&self, percent: u8) {
        self.shared.set_overload(percent).await;
    }

    /// What is known about names and servers.
    pub fn names(&self) -> Names {
        Names::new(self.shared.clone())
    }

    /// Refuses new work, lets what is under way end, and resolves when that is done: by default within 5 s. Dropping
    /// the future does not stop it.
    pub async fn close(&self) {
        self.shared.close(self.shared.settings.close_within).await;
    }
}

/// A server to be; a setter that is not called leaves its default.
#[must_use = "nothing happens before `start`"]
pub struct ServerBuilder {
    pub(crate) stack: StackBuilder,
    domains: Vec<String>,
    auth: Option<Auth>,
    registrar: Option<Registrar>,
    router: Option<Arc<dyn ErasedRouter>>,
    default_target: Option<Uri>,
    foreign: Foreign,
    record_route: bool,
    sets: Vec<DispatchSet>,
    undecided: usize,
    core: Option<Box<dyn Fn(ProxyConfig) -> ProxyConfig + Send>>,
}

/// Gives both cores the same policy and users.
type Auth = Box<
    dyn Fn(
            &mut Rng,
            WallClock,
            Shard,
            RegistrarConfig,
            ProxyConfig,
        ) -> (RegistrarConfig, ProxyConfig)
        + Send,
>;

impl ServerBuilder {
    fn new() -> Self {
        Self {
            stack: StackBuilder::new(),
            domains: Vec::new(),
            auth: None,
            registrar: None,
            router: None,
            default_target: None,
            foreign: Foreign::default(),
            record_route: true,
            sets: Vec::new(),
            undecided: 10_000,
            core: None,
        }
    }

    /// A domain that we are responsible for; each call adds one. Our listeners' addresses are besides.
    ///
    /// The first is the principal one, whose users a URI with an address of ours means. What clients call us in a Route
    /// belongs here too, `edge.example.com` where they have `sip:edge.example.com;lr`: a name that we are not told is
    /// somebody else's.
    pub fn domain(mut self, domain: &str) -> Self {
        self.domains.push(domain.to_owned());
        self
    }

    /// Asks for digest credentials: of REGISTER, and of requests from our domains or to foreign ones. Defaults to
    /// none: everyone may register, and nobody relays to foreign domains.
    pub fn authenticate(
        mut self,
        digest: Digest,
        users: impl CredentialStore + Clone + Send + 'static,
    ) -> Self {
        self.auth = Some(Box::new(move |rng, clock, shard, registrar, proxy| {
            // With one seed a nonce that the registrar gave works at the proxy.
            let seed = rng.seed();
            let digest = digest.clone().shard(shard.index() as u32);
            let server = || sip_auth::Server::new(digest.clone(), seed, clock);
            let registrar = registrar.authenticate(server(), users.clone());
            (registrar, proxy.authenticate(server(), users.clone()))
        }));
        self
    }

    /// Takes registrations. Defaults to no: REGISTER gets 405.
    pub fn registrar(mut self, registrar: Registrar) -> Self {
        self.registrar = Some(registrar);
        self
    }

    /// Decides where requests go. Defaults to: to whoever registered, and foreign domains by their URI.
    pub fn route(mut self, router: impl Router) -> Self {
        self.router = Some(Arc::new(Erased(Arc::new(router))));
        self
    }

    /// How many requests may wait for the router, with each worker. Defaults to 10,000; further ones get 503.
    pub fn max_undecided(mut self, requests: usize) -> Self {
        self.undecided = requests;
        self
    }

    /// Whatever else can be set of the proxy. What it is given has everything else already; each worker asks.
    ///
    /// ```
    /// # use sipwright::{Server, proxy_core::UnmatchedCancel};
    /// let server = Server::builder().core(|proxy| proxy.unmatched_cancel(UnmatchedCancel::Drop));
    /// ```
    pub fn core(mut self, configure: impl Fn(ProxyConfig) -> ProxyConfig + Send + 'static) -> Self {
        self.core = Some(Box::new(configure));
        self
    }

    /// Probes the destinations of a set; each call adds one. A router [picks](DispatchSet::pick) from it.
    pub fn dispatch(mut self, set: &DispatchSet) -> Self {
        self.sets.push(set.clone());
        self
    }

    /// Where requests go that are for nobody registered, also ACK and BYE that come without Route to our own URI.
    /// Defaults to nowhere.
    pub fn forward(mut self, uri: Uri) -> Self {
        self.default_target = Some(uri);
        self
    }

    /// Who may have requests relayed between foreign domains. Defaults to authenticated users.
    pub fn foreign(mut self, foreign: Foreign) -> Self {
        self.foreign = foreign;
        self
    }

    /// Whether we stay on the way of dialogs. Defaults to yes.
    pub fn record_route(mut self, record_route: bool) -> Self {
        self.record_route = record_route;
        self
    }

    /// How many workers share the work; see [`UserAgentBuilder::workers`](crate::UserAgentBuilder::workers).
    ///
    /// Bindings are kept by the worker that the address-of-record leads to, who is asked by the others. A nonce is good
    /// for the worker that gave it; the others answer it like one that has ended, with a new one. A
    /// [`DispatchSet`] is one for all, behind a lock.
    pub fn workers(mut self, workers: usize) -> Self {
        self.stack.workers = workers;
        self
    }

    /// Opens the listeners and starts.
    ///
    /// # Errors
    ///
    /// When there is no runtime, a text is no listener or no domain, or the system refuses a socket.
    pub async fn start(self) -> Result<Server, BindError> {
        let Self {
            stack,
            domains,
            auth,
            registrar,
            router,
            default_target,
            foreign,
            record_route,
            sets,
            undecided,
            core,
        } = self;
        if let Some(domain) = domains.iter().find(|domain| Host::parse(domain).is_err()) {
            let text = format!("{domain:?} is no domain");
            return Err(BindError::Configuration(text));
        }
        let domains =
            Domains::new(domains).map_err(|error| BindError::Configuration(error.to_string()))?;
        let router = router.unwrap_or_else(|| Arc::new(Erased(Arc::new(to_whoever_registered))));
        for set in &sets {
            set.check().map_err(BindError::Configuration)?;
        }
        let shown = sets.clone();
        let routing = move || {
            let mut routing = Routing::new(Arc::clone(&router), undecided);
            routing.set_sets(shown.clone());
            Some(routing)
        };
        let timer_c = stack.timers.c;
        let make = move |rng: &mut Rng, clock: WallClock, shard: Shard| {
            let mut dispatcher = Dispatcher::new(clock.at);
            // All shards have the sets in common, and the first one probes them.
            let probed = sets.iter().filter(|_| shard == Shard::default());
            for set in probed {
                set.begin(rng.seed(), clock.at);
                dispatcher.add(clock.at, set.clone());
            }
            let mut proxy = ProxyConfig::new(rng.seed(), clock)
                .domains(domains.clone())
                .foreign(foreign)
                .record_route(record_route)
                .timer_c(timer_c);
            if let Some(uri) = &default_target {
                proxy = proxy.default_target(uri.clone());
            }
            let mut config = RegistrarConfig::new(clock, domains.clone());
            if let Some(registrar) = &registrar {
                config = config
                    .terms(registrar.terms.clone())
                    .service_route(registrar.service_route.iter().cloned());
            }
            if let Some(auth) = &auth {
                (config, proxy) = auth(rng, clock, shard, config, proxy);
            }
            if let Some(configure) = &core {
                proxy = configure(proxy);
            }
            let registrar = registrar.as_ref().map(|registrar| {
                let location = sip_registrar::MemoryLocation::new(rng.seed(), clock)
                    .limit(registrar.location.limit);
                RegistrarCore::new(config, location)
            });
            (registrar, Some(Proxy::new(proxy)), Some(dispatcher))
        };
        let shared = stack.start(make, routing).await?;
        Ok(Server { shared })
    }
}

impl Default for ServerBuilder {
    fn default() -> Self {
        Self::new()
    }
}

stack_setters!(ServerBuilder);
locating_setters!(ServerBuilder);

impl fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("stack", &self.stack)
            .finish_non_exhaustive()
    }
}

/// The registrar of a server: its terms, and where bindings are kept.
#[derive(Clone, Debug, Default)]
pub struct Registrar {
    location: MemoryLocation,
    terms: Terms,
    service_route: Vec<Uri>,
}

impl Registrar {
    /// A registrar that keeps bindings in `location`.
    pub fn new(location: MemoryLocation) -> Self {
        Self {
            location,
            ..Self::default()
        }
    }

    /// How long bindings may be, and how many there may be of one address-of-record.
    pub fn terms(mut self, terms: Terms) -> Self {
        self.terms = terms;
        self
    }

    /// The route that requests of registered user agents take, the next hop first (RFC 3608). Defaults to none: they send
    /// as they were configured.
    pub fn service_route(mut self, route: impl IntoIterator<Item = Uri>) -> Self {
        self.service_route = route.into_iter().collect();
        self
    }
}

/// Bindings in memory, gone with the server.
#[derive(Clone, Debug)]
pub struct MemoryLocation {
    limit: usize,
}

impl MemoryLocation {
    /// An empty one.
    pub fn new() -> Self {
        Self { limit: 100_000 }
    }

    /// How many addresses-of-record may have bindings, with each worker. Defaults to 100,000; above it a REGISTER for
    /// another one gets 503.
    pub fn limit(mut self, addresses_of_record: usize) -> Self {
        self.limit = addresses_of_record;
        self
    }
}

impl Default for MemoryLocation {
    fn default() -> Self {
        Self::new()
    }
}

/// What a server does without a router.
async fn to_whoever_registered(request: Inbound) -> Result<Relayed, Rejected> {
    if !request.is_ours() {
        return request.relay(request.uri().clone()).await;
    }
    match request.contacts().await {
        Ok(contacts) => request.relay(contacts.by_q()).await,
        Err(rejected) => Err(rejected),
    }
}
