//! What places and takes calls.

use crate::{
    AccountBuilder, IncomingCall,
    app::App,
    calls::Calls,
    error::BindError,
    incoming::Ringing,
    locating::{Locating, Names, locating_setters},
    machine::{MEDIA_TOKENS, Machine, Probing},
    messages::Messages,
    queue::Queue,
    request::{Options, Outgoing},
    resolve::Lookups,
    routing::Routing,
    runtime_choice::default_runtime,
    setters::stack_setters,
    shared::{Shared, Starting},
    trace::Trace,
};
use futures_channel::oneshot;
use futures_util::Stream;
use sip_endpoint::{
    EndpointConfig, EndpointStats, Listener, OverloadControl, Sharding, Stack, Timers,
    TransportConfig, View,
};
use sip_io::{Protocol, Rng, Shard, WallClock};
use sip_media::{MediaConfig, MediaEngine};
use sip_message::{IntoUri, Method};
use sip_proxy::Proxy;
use sip_registrar::Registrar;
use sip_runtime::{Driver, DriverHandle, Runtime, shards::mesh};
use sip_ua::{UaConfig, UaStats};
use std::{
    fmt,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// Places and takes calls, registers, and sends and answers other requests: RFC 3261's user agent, both roles.
///
/// It is shared: clones name the same user agent, and go into any framework's state. [`close`](Self::close) ends what
/// is held and waits; dropping the last clone and the last of its handles does the same in the background while the
/// runtime lives, so programs that end call `close`.
///
/// ```no_run
/// use sipwright::UserAgent;
/// use std::time::Duration;
///
/// #[tokio::main]
/// async fn main() -> sipwright::Result<()> {
///     let ua = UserAgent::bind("udp:0.0.0.0:0").await?;
///     let pong = ua.options("sip:pbx.example.com").timeout(Duration::from_secs(5)).await?;
///     println!("{} from {} after {:?}", pong.status(), pong.remote(), pong.round_trip());
///     ua.close().await;
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct UserAgent {
    pub(crate) shared: Shared,
}

/// What the handles need to know of the configuration.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) close_within: Duration,
    pub(crate) listeners: Vec<SocketAddr>,
    pub(crate) waiting_calls: usize,
    pub(crate) waiting_messages: usize,
}

impl UserAgent {
    /// A user agent with one listener, such as `udp:0.0.0.0:5060`, on the tokio runtime of the caller.
    ///
    /// # Errors
    ///
    /// When there is no tokio runtime, the text is no listener, or the system refuses the socket.
    pub async fn bind(listener: &str) -> Result<Self, BindError> {
        Self::builder().listen(listener).start().await
    }

    /// A user agent to be configured.
    pub fn builder() -> UserAgentBuilder {
        UserAgentBuilder::new()
    }

    /// An identity to call, register and send with: `sip:alice@example.com`.
    pub fn account(&self, aor: impl IntoUri) -> AccountBuilder {
        AccountBuilder::new(self.clone(), aor.into_uri())
    }

    /// Asks whoever answers for `uri` what it can do (RFC 3261 §11): a ping.
    pub fn options(&self, uri: impl IntoUri) -> Options {
        Options::new(self.shared.spread(), uri.into_uri())
    }

    /// Any request outside dialogs, without an account.
    pub fn request(&self, method: Method, uri: impl IntoUri) -> Outgoing {
        Outgoing::new(self.shared.spread(), None, method, uri.into_uri())
    }

    /// The next call; `None` when the user agent is closed.
    ///
    /// Until this (or [`calls`](Self::calls)) is asked for the first time, INVITE gets 480; so it does while 1,024 calls
    /// wait, which is a second or more of what a large server gets. Dropping the future loses no call.
    pub async fn incoming(&self) -> Option<IncomingCall> {
        let queue = self.take_calls().await?;
        let ringing = queue.next().await?;
        Some(IncomingCall::new(&self.shared, ringing))
    }

    /// [`incoming`](Self::incoming) as a stream.
    pub fn calls(&self) -> IncomingCalls {
        let user_agent = self.clone();
        IncomingCalls {
            next: Box::pin(async move { user_agent.incoming().await }),
            user_agent: self.clone(),
        }
    }

    /// Messages (RFC 3428) that come outside dialogs. Until it is asked for, MESSAGE gets 405.
    pub fn messages(&self) -> Messages {
        Messages::new(self.shared.clone())
    }

    /// Where it listens, with the ports that the system chose.
    pub fn listeners(&self) -> &[SocketAddr] {
        &self.shared.settings.listeners
    }

    /// What is held and was counted; `None` when the user agent is closed.
    pub async fn stats(&self) -> Option<EndpointStats> {
        self.shared
            .sum(|machine, _, _| machine.stack.endpoint().stats())
            .await
    }

    /// Which calls, dialogs, registrations and requests the core holds; `None` when the user agent is closed.
    pub async fn core_stats(&self) -> Option<UaStats> {
        self.shared
            .sum(|machine, _, now| machine.ua(now, |ua, _| ua.stats()))
            .await
    }

    /// By which share, in percent, neighbours shall send fewer requests that heed it (RFC 7339): 0 leaves it to what is
    /// refused here. Without [`overload_control`](UserAgentBuilder::overload_control) nobody is told.
    pub async fn set_overload(&self, percent: u8) {
        self.shared.set_overload(percent).await;
    }

    /// What is known about names and servers.
    pub fn names(&self) -> Names {
        Names::new(self.shared.clone())
    }

    /// Refuses new work, ends calls, withdraws registrations, and resolves when that is done: by default within 5 s.
    /// Dropping the future does not stop it.
    pub async fn close(&self) {
        self.shared.close(self.shared.settings.close_within).await;
    }

    async fn take_calls(&self) -> Option<Queue<Box<Ringing>>> {
        // Asked for once: with a way through the driver for each call, a burst of them would overtake the application.
        let queue = self.shared.incoming.clone();
        if self.shared.takes_calls.get().is_none() {
            let given = queue.clone();
            let asked = self.shared.everywhere(move |machine, app, now| {
                if app.incoming.is_none() {
                    machine.ua(now, |ua, _| ua.take_calls(true));
                }
                app.incoming.get_or_insert(given);
            });
            asked.await.ok()?;
            self.shared.takes_calls.get_or_init(|| ());
        }
        Some(queue)
    }
}

/// Calls as they come; see [`UserAgent::calls`].
pub struct IncomingCalls {
    user_agent: UserAgent,
    next: Pin<Box<dyn Future<Output = Option<IncomingCall>> + Send>>,
}

impl Stream for IncomingCalls {
    type Item = IncomingCall;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<IncomingCall>> {
        let next = self.next.as_mut().poll(cx);
        if let Poll::Ready(Some(_)) = &next {
            let user_agent = self.user_agent.clone();
            self.next = Box::pin(async move { user_agent.incoming().await });
        }
        next
    }
}

impl fmt::Debug for IncomingCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IncomingCalls")
    }
}

/// A user agent to be; a setter that is not called leaves its default.
#[must_use = "nothing happens before `start`"]
pub struct UserAgentBuilder {
    pub(crate) stack: StackBuilder,
}

impl UserAgentBuilder {
    fn new() -> Self {
        Self {
            stack: StackBuilder::new(),
        }
    }

    /// The ports of RTP and RTCP. Defaults to 16384 up to 32767.
    pub fn media_ports(mut self, ports: Range<u16>) -> Self {
        self.stack.media_ports = Some(ports);
        self
    }

    /// The address that session descriptions name. Defaults to the one that faces the peer.
    pub fn media_address(mut self, address: IpAddr) -> Self {
        self.stack.media_address = Some(address);
        self
    }

    /// What User-Agent says. Defaults to nothing.
    pub fn product(mut self, product: impl Into<String>) -> Self {
        self.stack.product = Some(product.into());
        self
    }

    /// How many calls there may be, both directions together. Defaults to 10,000; above it an INVITE gets 503 and a
    /// call of ours fails.
    pub fn max_calls(mut self, calls: usize) -> Self {
        self.stack.calls = calls;
        self
    }

    /// Whatever else can be set of the core. What it is given has everything else already; each worker asks.
    pub fn core(mut self, configure: impl Fn(UaConfig) -> UaConfig + Send + 'static) -> Self {
        self.stack.core = Some(Box::new(configure));
        self
    }

    /// How many workers share the work: each is a whole stack with its own sockets at the listeners' addresses
    /// (`SO_REUSEPORT`, so on Unix), on a task of its own, or on a thread of its own where the runtime is one
    /// `Thread`. Defaults to 1, and there may be 64; more of them than processors, or than threads of
    /// the runtime, serve nobody.
    ///
    /// What belongs to one dialog, transaction or registration meets on one worker, whatever socket it comes by; see
    /// [`sip_runtime::shards`]. Limits – of calls, transactions, connections, in all and of one source –, rates, caches of
    /// names and ports for media are each worker's own, the latter an equal part of the whole. Each opens its own
    /// connections to a server, and finds connections for RFC 5923 among its own. Incoming calls and messages wait in one
    /// queue for all, behind a lock. Linux gives each socket its share of what comes; a system that does not leaves the
    /// work of reading to one of them, and what is read is handed on all the same.
    ///
    /// ```no_run
    /// # async fn start() -> sipwright::Result<()> {
    /// let ua = sipwright::UserAgent::builder().listen("udp:0.0.0.0:5060").workers(4).start().await?;
    /// # Ok(()) }
    /// ```
    pub fn workers(mut self, workers: usize) -> Self {
        self.stack.workers = workers;
        self
    }

    /// Opens the listeners and starts.
    ///
    /// # Errors
    ///
    /// When there is no runtime, a text is no listener, or the system refuses a socket. Dropping the future closes
    /// what was opened.
    pub async fn start(self) -> Result<UserAgent, BindError> {
        let shared = self
            .stack
            .start(|_, _, _| (None, None, None), || None)
            .await?;
        Ok(UserAgent { shared })
    }
}

impl Default for UserAgentBuilder {
    fn default() -> Self {
        Self::new()
    }
}

stack_setters!(UserAgentBuilder);
locating_setters!(UserAgentBuilder);

impl fmt::Debug for UserAgentBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserAgentBuilder")
            .field("stack", &self.stack)
            .finish()
    }
}

/// A text or a [`Listener`]; what other types there could be is nobody's business.
pub trait IntoListener: sealed::Sealed {
    /// The listener, or why the text is none.
    #[doc(hidden)]
    fn into_listener(self) -> Result<Listener, BindError>;
}

impl IntoListener for &str {
    fn into_listener(self) -> Result<Listener, BindError> {
        self.parse().map_err(|error: sip_transport::ListenerError| {
            BindError::Listener(self.to_owned(), error.to_string())
        })
    }
}

impl IntoListener for String {
    fn into_listener(self) -> Result<Listener, BindError> {
        self.as_str().into_listener()
    }
}

impl IntoListener for Listener {
    fn into_listener(self) -> Result<Listener, BindError> {
        Ok(self)
    }
}

mod sealed {
    #[expect(unnameable_types, reason = "nobody outside implements it")]
    pub trait Sealed {}
    impl Sealed for &str {}
    impl Sealed for String {}
    impl Sealed for sip_endpoint::Listener {}
}

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
    media_ports: Option<Range<u16>>,
    media_address: Option<IpAddr>,
    pub(crate) trace: Option<Trace>,
    product: Option<String>,
    calls: usize,
    pub(crate) transactions: Option<usize>,
    pub(crate) close_within: Duration,
    pub(crate) dscp: Option<u8>,
    pub(crate) coalesce: Option<Duration>,
    pub(crate) configure: Option<Configure>,
    pub(crate) workers: usize,
    pub(crate) parcels: usize,
    pub(crate) waiting_calls: usize,
    pub(crate) waiting_messages: usize,
    pub(crate) overload_control: Option<OverloadControl>,
    core: Option<Box<dyn Fn(UaConfig) -> UaConfig + Send>>,
}

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
        cores: impl Fn(&mut Rng, WallClock, Shard) -> (Option<Registrar>, Option<Proxy>, Probing),
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
        let runtime = match self.runtime {
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

        let transport = match self.secured {
            Some(secured) => secured(self.transport, clock),
            None => self.transport,
        };
        let mut endpoint = EndpointConfig::new(rng.seed(), clock)
            .timers(self.timers)
            .transport(transport)
            .observe(self.trace.as_ref().map_or(0, Trace::limit));
        let resolve = self.locating.resolve.clone();
        endpoint = self.locating.apply(endpoint, runtime.name_service());
        if let Some(transactions) = self.transactions {
            endpoint = endpoint.transactions(transactions);
        }
        if let Some(product) = self.product {
            endpoint = endpoint.product(product);
        }
        if let Some(control) = self.overload_control {
            endpoint = endpoint.overload_control(control);
        }
        if let Some(configure) = self.configure {
            endpoint = configure(endpoint);
        }
        let mut sharing = [0; 32];
        if self.workers > 1 {
            sharing = rng.seed();
        }
        let mut drivers = Starting::default();
        for member in mesh(self.workers, self.parcels) {
            let shard = member.shard();
            let mut endpoint = endpoint.clone();
            if self.workers > 1 {
                let sharding = Sharding::new(shard, self.workers, sharing);
                endpoint = endpoint.sharding(sharding).seed(rng.seed());
            }
            let ua = UaConfig::new(rng.seed(), clock)
                .t1(self.timers.t1)
                .t2(self.timers.t2)
                .calls(self.calls)
                .handed_out(self.waiting_messages.max(HANDED_OUT))
                .take_calls(false);
            let ua = match &self.core {
                Some(configure) => configure(ua),
                None => ua,
            };
            let mut media = MediaConfig::new(rng.seed(), clock).first_token(MEDIA_TOKENS);
            if self.media_ports.is_some() || self.workers > 1 {
                let ports = self.media_ports.clone().unwrap_or(16_384..32_768);
                let part = part(&ports, shard, self.workers);
                if part.is_empty() {
                    let text = format!("ports {ports:?} are too few for {} workers", self.workers);
                    return Err(BindError::Configuration(text));
                }
                media = media.ports(part);
            }
            let (registrar, proxy, probing) = cores(&mut rng, clock, shard);
            let cores = (registrar, (proxy, (probing, sip_ua::UserAgent::new(ua))));
            let machine = Machine {
                stack: Stack::new(endpoint, cores),
                media: MediaEngine::new(media),
            };
            let app = App::new(
                shard,
                Calls::new(rng.next_u64(), self.media_address),
                routing(),
                resolve.clone().map(Lookups::new),
                self.trace.clone(),
            );
            let own = runtime.for_shard(shard).map_err(|error| {
                BindError::Configuration(format!("no thread for a worker: {error}"))
            })?;
            let own = own.unwrap_or_else(|| Arc::clone(&runtime));
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
            drivers.0.push(driver.spawn());
        }

        let mut bound = Vec::new();
        for (place, driver) in drivers.0.iter().enumerate() {
            // The others bind what the system chose for the first.
            let listeners = listeners
                .iter()
                .enumerate()
                .map(|(number, (listener, view))| {
                    let chosen = bound.get(number).copied();
                    let local = chosen.unwrap_or_else(|| listener.local());
                    (listener.clone().at(local), view.clone())
                });
            let addresses = open(driver, listeners.collect()).await?;
            if place == 0 {
                bound = addresses;
            }
        }
        let settings = Settings {
            close_within: self.close_within,
            listeners: bound,
            waiting_calls: self.waiting_calls,
            waiting_messages: self.waiting_messages,
        };
        Ok(Shared::new(runtime, settings, drivers))
    }
}

/// Opens the listeners of one worker; their addresses.
async fn open(
    driver: &DriverHandle<Machine, App>,
    listeners: Vec<(Listener, Option<View>)>,
) -> Result<Vec<SocketAddr>, BindError> {
    let mut awaited = Vec::new();
    for (listener, view) in listeners {
        let (text, protocol) = (listener.to_string(), listener.protocol());
        let (sender, receiver) = oneshot::channel();
        let opening = driver.command(move |machine, app, now| {
            let id = machine.stack.command(now, |_, cx| match view {
                Some(view) => cx.listen_within(listener, view),
                None => cx.listen(listener),
            });
            app.listeners_awaited.push((id, sender));
        });
        opening.await.map_err(|_| BindError::Gone)?;
        awaited.push((text, protocol, receiver));
    }
    let mut bound = Vec::new();
    for (listener, protocol, receiver) in awaited {
        match receiver.await {
            Ok(Ok(local)) => bound.push(local),
            Ok(Err(reason)) => {
                return Err(match missing(protocol) {
                    Some(missing) if reason == io::ErrorKind::Unsupported => {
                        BindError::NotSpoken { listener, missing }
                    }
                    _ => BindError::Refused { listener, reason },
                });
            }
            Err(_) => return Err(BindError::Gone),
        }
    }
    Ok(bound)
}

/// What is not here when nobody speaks `protocol` at a listener.
const fn missing(protocol: Protocol) -> Option<&'static str> {
    let web = matches!(protocol, Protocol::Ws | Protocol::Wss);
    if web && !cfg!(feature = "ws") {
        Some("it needs the feature `ws`")
    } else if protocol.is_secure() && !cfg!(feature = "tls") {
        Some("it needs the feature `tls`")
    } else if protocol.is_secure() {
        Some("it needs a certificate, given with `tls` or to the listener")
    } else {
        None
    }
}

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
