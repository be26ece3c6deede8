//! What places and takes calls.

use crate::{
    AccountBuilder, IncomingCall,
    error::BindError,
    incoming::Ringing,
    locating::{Names, locating_setters},
    messages::Messages,
    queue::Queue,
    request::{Options, Outgoing},
    setters::stack_setters,
    shared::Shared,
    stack_builder::StackBuilder,
};
use futures_util::Stream;
use sip_endpoint::EndpointStats;
use sip_message::{IntoUri, Method};
use sip_ua::{UaConfig, UaStats};
use std::{
    fmt,
    future::Future,
    net::{IpAddr, SocketAddr},
    ops::Range,
    pin::Pin,
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

    /// Messages (RFC 3428) that come outside dialogs. Until it is asked for, MESSAGE gets 405; from then on messages wait to
    /// be taken, also while there is no stream any more.
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

    /// Which calls, dialogs, registrations and requests the core holds, and what was refused because too many waited for it
    /// or for the application; `None` when the user agent is closed.
    pub async fn core_stats(&self) -> Option<UaStats> {
        self.shared
            .sum(|machine, app, now| {
                let mut stats = machine.ua(now, |ua, _| ua.stats());
                stats.calls_refused += app.turned_away.calls;
                stats.requests_refused += app.turned_away.messages;
                stats
            })
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
