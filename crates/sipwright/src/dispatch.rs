//! Sets of gateways, shared between routers, their driver and whoever administers them.

use sip_message::{IntoUri, Request, Uri};
use sip_proxy::{
    Algorithm, DestinationStatus, DispatchError, DispatchSet as Set, Finding, HoldsSet, Plan,
    Probe, Target,
};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Destinations that serve the same purpose, such as the gateways of a carrier, changed while they are in use.
///
/// It is shared: clones name the same set. A router [picks](Self::pick) an ordered list and relays to it; what comes of
/// each destination – answers, 503 with Retry-After, silence, refused connections – is noted, and a server that was told
/// of the set by [`dispatch`](crate::ServerBuilder::dispatch) probes it. Requests inside a dialog follow their route and
/// never come here, so a set that changes breaks no call.
///
/// ```
/// use sipwright::Server;
/// use sipwright::proxy::{Algorithm, DispatchSet, Inbound, Probe, Rejected, Relayed, Router};
/// use std::time::Duration;
///
/// struct Balancer { carriers: DispatchSet }
///
/// impl Router for Balancer {
///     async fn route(&self, request: Inbound) -> Result<Relayed, Rejected> {
///         let gateways = self.carriers.pick(request.request());
///         request.relay(gateways).failover_on([408, 500, 503]).await
///     }
/// }
///
/// async fn balance() -> sipwright::Result<Server> {
///     let carriers = DispatchSet::new()
///         .target("sip:gw1.example.net", 70)
///         .target("sip:gw2.example.net;transport=tls", 30)
///         .algorithm(Algorithm::Weighted)
///         .probe(Probe::options(Duration::from_secs(10)).down_after(3).up_after(2));
///     let balancer = Balancer { carriers: carriers.clone() };
///     Ok(Server::builder().listen("udp:0.0.0.0:5060").dispatch(&carriers).route(balancer).start().await?)
/// }
/// # let _ = balance;
/// ```
#[derive(Clone)]
pub struct DispatchSet(Arc<Mutex<Inner>>);

struct Inner {
    set: Set,
    /// The time of the driver's last turn
    now: Instant,
    /// The first target that could not be added, for whoever starts the server
    failure: Option<String>,
}

impl DispatchSet {
    /// A set without destinations.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Inner {
            set: Set::new([0; 32]),
            now: Instant::now(),
            failure: None,
        })))
    }

    /// One more destination and its share. A text that is no URI is told by the `start` of the server.
    #[must_use]
    pub fn target(self, uri: impl IntoUri, weight: u32) -> Self {
        if let Err(error) = self.add(uri, weight) {
            self.lock().failure.get_or_insert_with(|| error.to_string());
        }
        self
    }

    /// How destinations are ordered. Defaults to [`Algorithm::Weighted`].
    #[must_use]
    pub fn algorithm(self, algorithm: Algorithm) -> Self {
        self.configure(|set| set.algorithm(algorithm))
    }

    /// Asks each destination now and then whether it lives. Defaults to no: then only what real requests find counts.
    #[must_use]
    pub fn probe(self, probe: Probe) -> Self {
        self.configure(|set| set.probe(probe))
    }

    /// How long a destination stays down when nobody probes it and it did not say. Defaults to 30 s.
    #[must_use]
    pub fn back_off(self, back_off: Duration) -> Self {
        self.configure(|set| set.back_off(back_off))
    }

    /// How many destinations the set may have. Defaults to 256, because each request looks at all of them.
    #[must_use]
    pub fn limit(self, limit: usize) -> Self {
        self.configure(|set| set.limit(limit))
    }

    fn configure(self, configure: impl FnOnce(Set) -> Set) -> Self {
        let mut inner = self.lock();
        let set = std::mem::replace(&mut inner.set, Set::new([0; 32]));
        inner.set = configure(set);
        drop(inner);
        self
    }

    /// Adds a destination, up until something else is found.
    ///
    /// # Errors
    ///
    /// When it is there already, the set is full, or the URI cannot be reached or is none.
    pub fn add(&self, uri: impl IntoUri, weight: u32) -> Result<(), DispatchError> {
        let uri = parsed(uri)?;
        self.lock().set.add(uri, weight)
    }

    /// Takes a destination out. Calls that it has go on.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn remove(&self, uri: impl IntoUri) -> Result<(), DispatchError> {
        let uri = parsed(uri)?;
        self.lock().set.remove(&uri)
    }

    /// Changes a destination's share; 0 leaves it to be tried last.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn set_weight(&self, uri: impl IntoUri, weight: u32) -> Result<(), DispatchError> {
        let uri = parsed(uri)?;
        self.lock().set.set_weight(&uri, weight)
    }

    /// Gives a destination no new calls from now on; those that it has go on.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn drain(&self, uri: impl IntoUri) -> Result<(), DispatchError> {
        let uri = parsed(uri)?;
        self.lock().set.drain(&uri, true)
    }

    /// Gives a destination that was [drained](Self::drain) new calls again.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn resume(&self, uri: impl IntoUri) -> Result<(), DispatchError> {
        let uri = parsed(uri)?;
        self.lock().set.drain(&uri, false)
    }

    /// The destinations that are up, the one to be tried first in front; none when all are down or draining. Relayed
    /// to, an empty list is a 503 with the shortest Retry-After.
    pub fn pick(&self, request: &Request) -> Gateways {
        let mut inner = self.lock();
        let now = inner.now;
        let targets = inner.set.pick(now, request);
        let retry_after = inner.set.retry_after(now).filter(|_| targets.is_empty());
        Gateways {
            targets,
            retry_after,
            set: self.clone(),
        }
    }

    /// Every destination as it is now – state, load and latency –, in the order in which they were added.
    pub fn snapshot(&self) -> Vec<DestinationStatus> {
        let inner = self.lock();
        inner.set.snapshot(inner.now)
    }

    /// What is wrong with a target.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.lock().failure.clone().map_or(Ok(()), Err)
    }

    pub(crate) fn begin(&self, seed: [u8; 32], now: Instant) {
        let mut inner = self.lock();
        inner.now = now;
        inner.set.reseed(seed);
    }

    pub(crate) fn tick(&self, now: Instant) {
        self.lock().now = now;
    }

    pub(crate) fn note(&self, now: Instant, uri: &Uri, finding: Finding) {
        let mut inner = self.lock();
        inner.now = now;
        if let Some(state) = inner.set.note(now, uri, finding) {
            tracing::info!(%uri, ?state, "a destination has changed");
        }
    }

    pub(crate) fn call_started(&self, uri: &Uri) {
        self.lock().set.call_started(uri);
    }

    pub(crate) fn call_ended(&self, uri: &Uri) {
        self.lock().set.call_ended(uri);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for DispatchSet {
    fn default() -> Self {
        Self::new()
    }
}

impl HoldsSet for DispatchSet {
    fn with<R>(&mut self, job: impl FnOnce(&mut Set) -> R) -> R {
        job(&mut self.lock().set)
    }
}

impl fmt::Debug for DispatchSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.snapshot()).finish()
    }
}

fn parsed(uri: impl IntoUri) -> Result<Uri, DispatchError> {
    uri.into_uri().map_err(|_| DispatchError::Scheme)
}

/// Destinations in the order in which they are to be tried; see [`DispatchSet::pick`].
#[derive(Clone, Debug)]
pub struct Gateways {
    targets: Vec<Target>,
    /// How long until the first may be up again
    retry_after: Option<Duration>,
    set: DispatchSet,
}

impl Gateways {
    /// The destinations.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Whether none is up.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// When none is up: how long until the first may be up again.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    pub(crate) fn into_parts(self) -> (Plan, DispatchSet, Option<Duration>) {
        let plan = Plan::in_order(self.targets).watch(true);
        (plan, self.set, self.retry_after)
    }
}
