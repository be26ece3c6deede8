//! What user agents and servers are built from alike, and how all of it is put together.

use crate::{
    app::App,
    calls::Calls,
    error::BindError,
    listening::{IntoListener, open_everywhere},
    locating::Locating,
    machine::{MEDIA_TOKENS, Machine, Probing},
    resolve::Lookups,
    routing::Routing,
    runtime_choice::default_runtime,
    shared::{Shared, Starting},
    trace::Trace,
    user_agent::Settings,
};
use sip_endpoint::{
    EndpointConfig, Listener, OverloadControl, Sharding, Stack, Timers, TransportConfig, View,
};
use sip_io::{Rng, Shard, WallClock};
use sip_media::{MediaConfig, MediaEngine};
use sip_proxy::Proxy;
use sip_registrar::Registrar;
use sip_runtime::{
    Driver, Runtime,
    shards::{Member, mesh},
};
use sip_ua::UaConfig;
use std::{fmt, net::IpAddr, ops::Range, sync::Arc, time::Duration};

/// Adds TLS to a transport, once the clock is known by which certificates hold.
pub(crate) type Secured = Box<dyn FnOnce(TransportConfig, WallClock) -> TransportConfig + Send>;

/// What user agents and servers are built from alike.
pub(crate) struct StackBuilder {
    listeners: Vec<Result<(Listener, Option<View>), BindError>>,
    pub(crate) runtime: Option<Arc<dyn Runtime>>,
    pub(crate) timers: Timers,
    pub(crate) transport: TransportConfig,
    pub(crate) secured: Option<Secured>,
    pub(crate) locating: Locating,
    pub(crate) media_ports: Option<Range<u16>>,
    pub(crate) media_address: Option<IpAddr>,
    pub(crate) trace: Option<Trace>,
    pub(crate) product: Option<String>,
    pub(crate) calls: usize,
    pub(crate) transactions: Option<usize>,
    pub(crate) close_within: Duration,
    pub(crate) dscp: Option<u8>,
    pub(crate) coalesce: Option<Duration>,
    pub(crate) stream_queue: Option<usize>,
    pub(crate) network_check: Option<Option<Duration>>,
    pub(crate) watchdog: Option<(Duration, Arc<Barks>)>,
    pub(crate) configure: Option<Configure>,
    pub(crate) workers: usize,
    pub(crate) parcels: usize,
    pub(crate) waiting_calls: usize,
    pub(crate) waiting_messages: usize,
    pub(crate) overload_control: Option<OverloadControl>,
    pub(crate) core: Option<Box<dyn Fn(UaConfig) -> UaConfig + Send>>,
}

/// Who is told how long a worker was kept from its work.
pub(crate) type Barks = dyn Fn(Duration) + Send + Sync;

/// What changes the configuration of an endpoint.
pub(crate) type Configure = Box<dyn FnOnce(EndpointConfig) -> EndpointConfig + Send>;

impl StackBuilder {
    pub(crate) fn new() -> Self {
        Self {
            listeners: Vec::new(),
            runtime: None,
            timers: Timers::default(),
            transport: TransportConfig::default(),
            secured: None,
            locating: Locating::default(),
            media_ports: None,
            media_address: None,
            trace: None,
            product: None,
            calls: 10_000,
            transactions: None,
            close_within: Duration::from_secs(5),
            dscp: None,
            coalesce: None,
            stream_queue: None,
            network_check: None,
            watchdog: None,
            configure: None,
            workers: 1,
            parcels: 1_024,
            waiting_calls: 1_024,
            waiting_messages: 64,
            overload_control: None,
            core: None,
        }
    }

    pub(crate) fn listen(&mut self, listener: impl IntoListener) {
        self.add_listener(listener, None);
    }

    pub(crate) fn listen_within(&mut self, listener: impl IntoListener, view: View) {
        self.add_listener(listener, Some(view));
    }

    fn add_listener(&mut self, listener: impl IntoListener, view: Option<View>) {
        let listener = listener.into_listener();
        self.listeners
            .push(listener.map(|listener| (listener, view)));
    }

    /// Makes machine, application and driver of each worker, and waits for the listeners.
    pub(crate) async fn start(
        mut self,
        cores: impl Fn(&mut Rng, WallClock, Shard) -> Served,
        routing: impl Fn() -> Option<Routing>,
    ) -> Result<Shared, BindError> {
        let listeners: Vec<(Listener, Option<View>)> = std::mem::take(&mut self.listeners)
            .into_iter()
            .collect::<Result<_, _>>()?;
        if listeners.iter().any(|(listener, _)| listener.has_tls()) {
            self.secure_listeners();
        }
        if !(1..=Shard::MOST).contains(&self.workers) {
            let text = format!("{} workers, 1 to {} may be", self.workers, Shard::MOST);
            return Err(BindError::Configuration(text));
        }
        let runtime = match self.runtime.take() {
            Some(runtime) => runtime,
            None => default_runtime()?,
        };
        let clock = WallClock {
            at: runtime.now(),
            is: runtime.wall_clock(),
        };
        let mut seed = [0; 32];
        runtime.entropy(&mut seed);
        let mut rng = Rng::new(seed);
        let resolve = self.locating.resolve.clone();
        let endpoint = self.endpoint(rng.seed(), clock, &*runtime);
        let sharing = (self.workers > 1).then(|| rng.seed());
        let mut drivers = Starting::default();
        for member in mesh(self.workers, self.parcels) {
            let shard = member.shard();
            let mut endpoint = endpoint.clone();
            if let Some(sharing) = sharing {
                let sharding = Sharding::new(shard, self.workers, sharing);
                endpoint = endpoint.sharding(sharding).seed(rng.seed());
            }
            let ua = sip_ua::UserAgent::new(self.user_agent(rng.seed(), clock));
            let media = MediaEngine::new(self.media(rng.seed(), clock, shard)?);
            let (registrar, proxy, probing) = cores(&mut rng, clock, shard);
            let stack = Stack::new(endpoint, (registrar, (proxy, (probing, ua))));
            let app = App::new(
                shard,
                Calls::new(rng.next_u64(), self.media_address),
                routing(),
                resolve.clone().map(Lookups::new),
                self.trace.clone(),
            );
            let driver = self.driver(&runtime, member, Machine { stack, media }, app)?;
            drivers.0.push(driver.spawn());
        }
        let settings = Settings {
            close_within: self.close_within,
            listeners: open_everywhere(&drivers, &listeners).await?,
            waiting_calls: self.waiting_calls,
            waiting_messages: self.waiting_messages,
        };
        Ok(Shared::new(runtime, settings, drivers))
    }

    /// What the endpoints of all workers have in common.
    fn endpoint(
        &mut self,
        seed: [u8; 32],
        clock: WallClock,
        runtime: &dyn Runtime,
    ) -> EndpointConfig {
        let transport = std::mem::take(&mut self.transport);
        let transport = match self.secured.take() {
            Some(secured) => secured(transport, clock),
            None => transport,
        };
        let mut endpoint = EndpointConfig::new(seed, clock)
            .timers(self.timers)
            .transport(transport)
            .observe(self.trace.as_ref().map_or(0, Trace::limit));
        endpoint = std::mem::take(&mut self.locating).apply(endpoint, runtime.name_service());
        if let Some(transactions) = self.transactions {
            endpoint = endpoint.transactions(transactions);
        }
        if let Some(product) = self.product.take() {
            endpoint = endpoint.product(product);
        }
        if let Some(control) = self.overload_control.take() {
            endpoint = endpoint.overload_control(control);
        }
        match self.configure.take() {
            Some(configure) => configure(endpoint),
            None => endpoint,
        }
    }

    /// A worker's user agent.
    fn user_agent(&self, seed: [u8; 32], clock: WallClock) -> UaConfig {
        let ua = UaConfig::new(seed, clock)
            .t1(self.timers.t1)
            .t2(self.timers.t2)
            .calls(self.calls)
            .handed_out(self.waiting_messages.max(HANDED_OUT))
            .take_calls(false);
        match &self.core {
            Some(configure) => configure(ua),
            None => ua,
        }
    }

    /// A worker's media, with its part of the ports.
    fn media(
        &self,
        seed: [u8; 32],
        clock: WallClock,
        shard: Shard,
    ) -> Result<MediaConfig, BindError> {
        let media = MediaConfig::new(seed, clock).first_token(MEDIA_TOKENS);
        if self.media_ports.is_none() && self.workers == 1 {
            return Ok(media);
        }
        let ports = self.media_ports.clone().unwrap_or(16_384..32_768);
        let part = part(&ports, shard, self.workers);
        if part.is_empty() {
            let text = format!("ports {ports:?} are too few for {} workers", self.workers);
            return Err(BindError::Configuration(text));
        }
        Ok(media.ports(part))
    }

    /// What drives a worker, where the runtime wants it.
    fn driver(
        &self,
        runtime: &Arc<dyn Runtime>,
        member: Member,
        machine: Machine,
        app: App,
    ) -> Result<Driver<Machine, App>, BindError> {
        let own = runtime.for_shard(member.shard()).map_err(|error| {
            BindError::Configuration(format!("no thread for a worker: {error}"))
        })?;
        let own = own.unwrap_or_else(|| Arc::clone(runtime));
        let mut driver = Driver::new(own, machine, app);
        if self.workers > 1 {
            driver = driver.join(member);
        }
        if let Some(dscp) = self.dscp {
            driver = driver.dscp(dscp);
        }
        if let Some(interval) = self.coalesce {
            driver = driver.coalesce(interval);
        }
        if let Some(bytes) = self.stream_queue {
            driver = driver.stream_queue(bytes);
        }
        if let Some(every) = self.network_check {
            driver = driver.network_check(every);
        }
        if let Some((limit, slow)) = self.watchdog.clone() {
            driver = driver.watchdog(limit, move |took| slow(took));
        }
        Ok(driver)
    }
}

/// The cores of a worker that serve others.
pub(crate) type Served = (Option<Registrar>, Option<Proxy>, Probing);

/// One worker's part of the ports for media: pairs of them, so that two workers never try the same.
fn part(ports: &Range<u16>, shard: Shard, workers: usize) -> Range<u16> {
    if workers == 1 {
        return ports.clone();
    }
    let each = (ports.len() / workers) as u16 & !1;
    let start = ports.start + each * shard.index() as u16;
    start..start + each
}

impl fmt::Debug for StackBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackBuilder")
            .field("listeners", &self.listeners)
            .finish_non_exhaustive()
    }
}

/// How many messages may be without an answer at least: those that the application has taken count.
const HANDED_OUT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_worker_has_ports_of_its_own_in_pairs() {
        for (ports, workers) in [(16_384..32_768, 64), (20_000..20_101, 7), (10..20, 4)] {
            let mut next = ports.start;
            for shard in Shard::first(workers) {
                let part = part(&ports, shard, workers);
                assert_eq!((part.start, part.len() % 2), (next, 0), "{ports:?}");
                assert!(part.end <= ports.end);
                next = part.end;
            }
        }
        assert!(part(&(10..12), Shard::default(), 2).is_empty());
        assert_eq!(part(&(10..15), Shard::default(), 1), 10..15);
    }
}
