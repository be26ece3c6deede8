//! One task that lets a machine meet the world.

use crate::{
    handle::{DriverHandle, Ending, Inbox},
    in_place::{Rest, Sending, Turns},
    ports::{Limits, Ports},
    ready::{ReadyList, Source},
    runtime::{Runtime, Timer},
    shards::Member,
};
use sip_io::{StateMachine, earliest};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// What takes a machine's events, on the driver's own task: no channel, no hop.
///
/// A closure `FnMut(&mut M, Instant, M::Event)` is an application, and so is `()`, which drops every event.
///
/// ```
/// use sip_io::StateMachine;
/// use sip_runtime::Application;
/// use std::{task::Context, time::Instant};
///
/// /// Counts what happens.
/// struct Counter { events: u64 }
///
/// impl<M: StateMachine> Application<M> for Counter {
///     fn handle_event(&mut self, _machine: &mut M, _now: Instant, _event: M::Event) {
///         self.events += 1;
///     }
/// }
/// ```
pub trait Application<M: StateMachine>: Send {
    /// Takes an event. It may command the machine; what that brings about follows at once.
    fn handle_event(&mut self, machine: &mut M, now: Instant, event: M::Event);

    /// Polls what is parked: the answers of databases, say. Called once in every turn that brought events or commands,
    /// and whenever the waker of `cx` was woken. Defaults to nothing.
    fn poll(&mut self, machine: &mut M, now: Instant, cx: &mut Context<'_>) {
        let _ = (machine, now, cx);
    }

    /// Whether nothing is owed any more, so that a driver that was told to [finish](DriverHandle::finish) may end.
    /// Defaults to whether the machine waits for no time.
    fn is_idle(&self, machine: &M) -> bool {
        machine.poll_timeout().is_none()
    }

    /// Whether commands may [run in place](DriverHandle::try_command), on another task or thread than the driver's:
    /// then [`poll`](Self::poll) is not called after them, and what [`handle_event`](Self::handle_event) does must not
    /// depend on whose task it is. Defaults to no.
    fn runs_in_place(&self) -> bool {
        false
    }

    /// For how long a driver that may end stays for those who missed an answer and ask again. Defaults to not at all.
    fn linger(&self, machine: &M) -> Duration {
        let _ = machine;
        Duration::ZERO
    }
}

impl<M, F> Application<M> for F
where
    M: StateMachine,
    F: FnMut(&mut M, Instant, M::Event) + Send,
{
    fn handle_event(&mut self, machine: &mut M, now: Instant, event: M::Event) {
        self(machine, now, event);
    }
}

impl<M: StateMachine> Application<M> for () {
    fn handle_event(&mut self, _machine: &mut M, _now: Instant, _event: M::Event) {}
}

/// Drives one machine: a future that owns it, its sockets and its application.
///
/// It is one task. In each turn it asks the sources that were woken – datagram sockets in batches, listeners, streams,
/// commands –, tells the machine, hands its events to the application and sends what the machine wants sent, what one
/// turn brought about together at its end, all without a channel or a hop to another task. Work per turn is bounded: a
/// busy source goes to the end of the line, and the task wakes itself. Between its turns a driver that was
/// [spawned](Self::spawn) lets commands [run in place](DriverHandle::try_command).
///
/// A socket's error never ends it. A datagram that could not be delivered (ICMP, too long) becomes
/// `Receive::Failed`; a listener that finds no file descriptor pauses for half a second; a stream's error is its
/// `Receive::Closed`.
///
/// Dropping the driver closes everything at once; commands that wait resolve with [`Gone`](crate::Gone).
///
/// ```
/// # #[cfg(feature = "tokio")] {
/// use sip_io::{BindToken, Protocol, Receive, StateMachine, Transmit};
/// use sip_runtime::{Driver, Runtime, Tokio};
/// use std::{collections::VecDeque, sync::Arc, time::{Duration, Instant}};
///
/// /// Sends every datagram back.
/// struct Echo { out: VecDeque<Transmit>, events: VecDeque<Event>, echoed: u64 }
///
/// enum Event { Bound(u16) }
///
/// impl StateMachine for Echo {
///     type Event = Event;
///     fn handle_receive(&mut self, _now: Instant, receive: Receive) {
///         match receive {
///             Receive::Datagram { flow, contents } => {
///                 self.echoed += 1;
///                 self.out.push_back(Transmit::Datagram { flow, contents });
///             }
///             Receive::Bound { result: Ok(local), .. } => self.events.push_back(Event::Bound(local.port())),
///             _ => {}
///         }
///     }
///     fn handle_timeout(&mut self, _now: Instant) {}
///     fn poll_transmit(&mut self) -> Option<Transmit> { self.out.pop_front() }
///     fn poll_event(&mut self) -> Option<Event> { self.events.pop_front() }
///     fn poll_timeout(&self) -> Option<Instant> { None }
/// }
///
/// # let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # tokio.block_on(async {
/// let bind = Transmit::Bind { token: BindToken(0), protocol: Protocol::Udp, local: ([127, 0, 0, 1], 0).into() };
/// let echo = Echo { out: [bind].into(), events: VecDeque::new(), echoed: 0 };
/// let (ports, bound) = std::sync::mpsc::channel();
/// let application = move |_: &mut Echo, _: Instant, Event::Bound(port)| { ports.send(port).ok(); };
///
/// let runtime: Arc<dyn Runtime> = Arc::new(Tokio::current()?);
/// let handle = Driver::new(runtime, echo, application).spawn();
/// let echoed = handle.command(|echo, _application, _now| echo.echoed).await?;
/// assert_eq!(echoed, 0);
/// assert!(bound.recv()? > 0);
/// handle.finish(Duration::from_secs(32)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a driver does nothing until it is spawned or awaited"]
pub struct Driver<M: StateMachine, A: Application<M>> {
    runtime: Arc<dyn Runtime>,
    machine: M,
    application: A,
    ports: Ports,
    ready: Arc<ReadyList>,
    inbox: Arc<Inbox<M, A>>,
    wakers: Wakers,
    timer: Option<Pin<Box<dyn Timer>>>,
    /// When the timer will fire
    armed: Option<Instant>,
    /// Whether the timer was set or woken since it was polled
    timer_stirred: bool,
    /// Whether the application has had events or commands since it was polled
    stirred: bool,
    /// How many commands may run in place before the driver's next turn
    in_place: usize,
    /// Who is told of turns that take too long
    watchdog: Option<Watchdog>,
    ending: Option<Deadline>,
    /// Since when nothing is owed, once it was told to end
    idle_since: Option<Instant>,
    started: bool,
}

struct Watchdog {
    limit: Duration,
    barks: Box<dyn FnMut(Duration) + Send>,
}

struct Wakers {
    timer: Waker,
    application: Waker,
}

#[derive(Clone, Copy)]
enum Deadline {
    WhenIdle(Instant),
    Now,
}

impl<M: StateMachine, A: Application<M>> Driver<M, A> {
    /// A driver of `machine` on `runtime`, whose events `application` takes.
    ///
    /// The machine first hears of the host's addresses; whatever it wants bound it asks for itself.
    pub fn new(runtime: Arc<dyn Runtime>, machine: M, application: A) -> Self {
        let ready = Arc::<ReadyList>::default();
        let inbox = Arc::new(Inbox::new(1_024, ready.source(Source::Inbox)));
        runtime.watch(Arc::clone(inbox.activity()));
        Self {
            ports: Ports::new(Arc::clone(&runtime), Arc::clone(&ready), Limits::default()),
            wakers: Wakers {
                timer: ready.source(Source::Timer),
                application: ready.source(Source::Application),
            },
            runtime,
            machine,
            application,
            ready,
            inbox,
            timer: None,
            armed: None,
            timer_stirred: false,
            stirred: true,
            in_place: 0,
            watchdog: None,
            ending: None,
            idle_since: None,
            started: false,
        }
    }

    /// How many commands may wait. Defaults to 1,024, because a driver that far behind needs no more; while the queue
    /// is full, [`DriverHandle::command`] waits.
    pub fn command_queue(self, commands: usize) -> Self {
        self.inbox.set_limit(commands);
        self
    }

    /// How many bytes may wait in each stream for a peer that does not read. Defaults to 1 MiB, some hundred messages;
    /// one more closes the stream with `CloseReason::PeerTooSlow`. A single larger message always finds room.
    ///
    /// While half of it is taken the stream is not read either: who asks without listening to the answers is not
    /// served faster than it listens.
    pub fn stream_queue(mut self, bytes: usize) -> Self {
        self.ports.limits.stream_queue = bytes;
        self
    }

    /// How many accepted streams may be open. Defaults to 16,384, because each costs a file descriptor; at the limit
    /// nothing is accepted until one ends, and the system's backlog holds or refuses the rest.
    pub fn accepted_streams(mut self, streams: usize) -> Self {
        self.ports.limits.accepted_streams = streams.max(1);
        self
    }

    /// How long a stream that the machine closed may take to write what was queued. Defaults to 5 s, because a peer
    /// that reads at all has read it by then.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.ports.limits.linger = linger;
        self
    }

    /// How long a stream's peer may read nothing at all while something waits for it. Defaults to 32 s, the length of a
    /// SIP transaction; then the stream is closed with `CloseReason::PeerTooSlow`.
    pub fn stall(mut self, stall: Duration) -> Self {
        self.ports.limits.stall = stall;
        self
    }

    /// How often the addresses of the host's interfaces are looked at; the machine hears of it when they have changed.
    /// Defaults to 15 s; `None` leaves it to [`DriverHandle::refresh_network`].
    pub fn network_check(mut self, every: Option<Duration>) -> Self {
        self.ports.limits.network_check = every;
        self
    }

    /// Marks everything that is sent with a Differentiated Services code point (RFC 2474), six bits: 24 (CS3) is usual
    /// for signalling (RFC 4594 §2.3). Defaults to none. A stream is marked as soon as it is open.
    pub fn dscp(mut self, dscp: u8) -> Self {
        self.ports.limits.dscp = Some(dscp);
        self
    }

    /// Takes datagrams in groups, this far apart, while they come more often than that. Defaults to none: each is taken
    /// when it comes.
    ///
    /// To wake a thread that sleeps costs more than the work that most datagrams bring, so a server that has much to do
    /// and yet is idle for most of the time spends up to half less of a processor. What it pays is time: a datagram then
    /// waits for as long. The driver counts that in whole milliseconds, rounded up, and tokio's timer rounds up twice
    /// more, so that one becomes up to three. SIP's shortest timer has 200 (RFC 3261 §17.2.1), so one is a good choice.
    /// Meanwhile what comes waits in the socket's receive buffer, which the system limits (`net.core.rmem_max` on
    /// Linux).
    ///
    /// Each socket is judged by itself, by 32 turns at a time: it is read in groups when datagrams woke the driver more
    /// often than once in the interval and its turns took less than 40 % of the time, until more than half of the looks
    /// find nothing or the turns take more than 25 % of the time. Single datagrams are therefore taken at once, and so
    /// is everything when the driver sleeps too little to gain. Sockets of a runtime that cannot leave them
    /// [unwatched](crate::UdpSocket::set_watched) are always taken at once. Sockets for audio are judged likewise, so the
    /// interval should be well below the 20 ms of its packets. More than 100 ms counts as that, and zero as none.
    pub fn coalesce(mut self, interval: Duration) -> Self {
        let interval = interval.min(Duration::from_millis(100));
        self.ports.limits.coalesce = Some(interval).filter(|interval| !interval.is_zero());
        self
    }

    /// Tells how long a turn took that took longer than `limit`: somebody in it – a core, an observer, a future of the
    /// application's own – keeps the thread, and meanwhile nothing else is done. Defaults to none, because reading the
    /// clock twice in each turn costs something.
    pub fn watchdog(
        mut self,
        limit: Duration,
        slow: impl FnMut(Duration) + Send + 'static,
    ) -> Self {
        let barks = Box::new(slow);
        self.watchdog = Some(Watchdog { limit, barks });
        self
    }

    /// Makes it one of several drivers that share the work; see [`shards`](crate::shards). Defaults to none, and then a
    /// machine has nobody to steer to.
    pub fn join(mut self, member: Member) -> Self {
        self.ports.join(member);
        self
    }

    /// A handle that reaches the driver from elsewhere.
    pub fn handle(&self) -> DriverHandle<M, A> {
        DriverHandle::new(Arc::clone(&self.inbox))
    }

    /// Hands the driver to its runtime as a task.
    pub fn spawn(self) -> DriverHandle<M, A>
    where
        M: Send + 'static,
        A: 'static,
    {
        let handle = self.handle();
        let runtime = Arc::clone(&self.runtime);
        let driver = Arc::new(Mutex::new(self));
        let resting: Arc<dyn Rest<M, A>> = Arc::<Mutex<Self>>::clone(&driver);
        handle.set_resting(&resting);
        runtime.spawn(Box::pin(Turns(driver)));
        handle
    }

    /// Runs `job` between two turns, unless something else comes first; says whether it did.
    ///
    /// What it brings about is told and sent at once, but for what needs the driver's own turn: writing to streams, so
    /// that messages share a write, and setting the timer.
    pub(crate) fn run_in_place(
        &mut self,
        sending: Sending,
        job: &mut dyn FnMut(&mut M, &mut A, Instant),
    ) -> bool {
        let first = self.in_place > 0 && self.ending.is_none() && self.inbox.is_empty();
        if !first || !self.application.runs_in_place() {
            return false;
        }
        self.in_place -= 1;
        let now = self.runtime.now();
        job(&mut self.machine, &mut self.application, now);
        self.settle(now);
        if sending == Sending::AtOnce {
            self.ports.flush_datagrams();
            self.settle_received(now);
        }
        let timeout = self.machine.poll_timeout();
        let next = earliest([timeout, self.ports.poll_timeout()]);
        let sooner = next.is_some_and(|next| self.armed.is_none_or(|armed| next < armed));
        if sooner || self.ports.has_unwritten() {
            self.wake();
        }
        self.note_activity(timeout);
        true
    }

    /// Asks for a turn.
    pub(crate) fn wake(&self) {
        self.wakers.application.wake_by_ref();
    }

    fn note_activity(&self, timeout: Option<Instant>) {
        let activity = self.inbox.activity();
        activity.turned(timeout.is_some(), self.ports.streams());
    }

    /// Asks every source that was woken before this turn, once.
    fn poll_sources(&mut self) {
        for _ in 0..self.ready.len() {
            let Some(source) = self.ready.pop() else {
                return;
            };
            match source {
                Source::Udp(_) | Source::Listener(_) | Source::Stream(_) | Source::Mesh => {
                    let now = self.runtime.now();
                    self.ports.poll(now, source);
                    self.settle(now);
                }
                Source::Inbox => self.poll_inbox(),
                Source::Application => self.stirred = true,
                // Polled at the end of the turn, when it is known what to wait for.
                Source::Timer => self.timer_stirred = true,
            }
        }
    }

    fn poll_inbox(&mut self) {
        for _ in 0..COMMANDS {
            let news = self.inbox.take();
            let now = self.runtime.now();
            if news.network {
                self.ports.announce_network();
            }
            if news.ending.is_some() {
                // What has come before the end is told.
                self.ports.look_now(now);
            }
            match news.ending {
                Some(Ending::AtOnce) => self.ending = Some(Deadline::Now),
                Some(Ending::WhenIdle(within)) => {
                    self.ending = Some(Deadline::WhenIdle(now + within));
                }
                None => {}
            }
            let last = news.job.is_none();
            if let Some(job) = news.job {
                job(&mut self.machine, &mut self.application, now);
                self.stirred = true;
            }
            self.settle(now);
            if last {
                return;
            }
        }
        self.inbox.wake_driver();
    }

    /// Does what is due, polls the application and writes, until there is nothing to do but wait.
    fn finish_turn(&mut self) {
        for _ in 0..ROUNDS {
            let now = self.runtime.now();
            // Before the machine's timers: what has come may be what it waits for.
            while self.ports.handle_timeout(now) {
                self.settle_received(now);
            }
            if self.machine.poll_timeout().is_some_and(|at| at <= now) {
                self.machine.handle_timeout(now);
                self.settle(now);
            }
            if std::mem::take(&mut self.stirred) {
                let mut cx = Context::from_waker(&self.wakers.application);
                self.application.poll(&mut self.machine, now, &mut cx);
                self.settle(now);
            }
            // Written last, so that the messages of one turn share a write.
            self.ports.flush(now);
            self.settle_received(now);
            let settled = !self.stirred && !self.ports.has_unwritten();
            if settled && self.poll_timer(now).is_pending() {
                return;
            }
        }
        self.wakers.application.wake_by_ref();
    }

    /// Arms the timer for what is next. Ready means that it has fired already.
    fn poll_timer(&mut self, now: Instant) -> Poll<()> {
        let end = self.end(now);
        let wanted = [self.machine.poll_timeout(), self.ports.poll_timeout(), end];
        if let Some(mut wanted) = earliest(wanted) {
            if wanted <= now {
                // A machine that stays overdue shall not keep the task from everything else.
                wanted = now + TICK;
            }
            // A timer that fires early costs a turn, setting it at every turn costs more.
            if self.armed.is_none_or(|armed| wanted < armed) {
                match &mut self.timer {
                    Some(timer) => timer.as_mut().reset(wanted),
                    None => self.timer = Some(self.runtime.timer(wanted)),
                }
                self.armed = Some(wanted);
                self.timer_stirred = true;
            }
        }
        let stirred = std::mem::take(&mut self.timer_stirred) && self.armed.is_some();
        let Some(timer) = self.timer.as_mut().filter(|_| stirred) else {
            return Poll::Pending;
        };
        let fired = timer
            .as_mut()
            .poll(&mut Context::from_waker(&self.wakers.timer));
        if fired.is_ready() {
            self.armed = None;
        }
        fired
    }

    /// Takes the machine's events and transmits, and tells it the answers, until all is said.
    fn settle(&mut self, now: Instant) {
        loop {
            while let Some(event) = self.machine.poll_event() {
                self.application.handle_event(&mut self.machine, now, event);
                self.stirred = true;
            }
            while let Some(transmit) = self.machine.poll_transmit() {
                self.ports.apply(now, transmit);
            }
            match self.ports.received.pop_front() {
                Some(receive) => self.machine.handle_receive(now, receive),
                None => return,
            }
        }
    }

    /// As [`settle`](Self::settle), when the ports alone can have news.
    fn settle_received(&mut self, now: Instant) {
        if !self.ports.received.is_empty() {
            self.settle(now);
        }
    }

    /// When the driver ends, as things stand.
    fn end(&mut self, now: Instant) -> Option<Instant> {
        match self.ending? {
            Deadline::Now => Some(now),
            Deadline::WhenIdle(deadline) => {
                let idle = self.application.is_idle(&self.machine) && self.ports.is_flushed();
                if !self.ports.set_idle(idle) {
                    self.idle_since = None;
                    return Some(deadline);
                }
                let since = *self.idle_since.get_or_insert(now);
                Some(deadline.min(since + self.application.linger(&self.machine)))
            }
        }
    }

    fn has_ended(&mut self) -> bool {
        let now = self.runtime.now();
        self.end(now).is_some_and(|end| end <= now)
    }
}

impl<M: StateMachine, A: Application<M>> Future for Driver<M, A> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.ready.set_driver(cx.waker());
        if !this.started {
            this.started = true;
            let now = this.runtime.now();
            this.ports.announce_network();
            this.ports.watch_network(now);
            this.settle(now);
        }
        let timed = this.ports.limits.coalesce.is_some() || this.watchdog.is_some();
        let began = timed.then(|| this.runtime.now());
        this.in_place = COMMANDS;
        this.poll_sources();
        this.finish_turn();
        if let Some(began) = began {
            let ended = this.runtime.now();
            this.ports.note_turn(began, ended);
            let took = ended.saturating_duration_since(began);
            if let Some(watchdog) = this.watchdog.as_mut().filter(|dog| took > dog.limit) {
                (watchdog.barks)(took);
            }
        }
        this.note_activity(this.machine.poll_timeout());
        if this.has_ended() {
            this.inbox.close();
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

// Nothing inside is pinned: the machine and the application are values, the timer is pinned by its own box.
impl<M: StateMachine, A: Application<M>> Unpin for Driver<M, A> {}

impl<M: StateMachine, A: Application<M>> Drop for Driver<M, A> {
    fn drop(&mut self) {
        self.inbox.close();
        self.ready.clear();
    }
}

impl<M: StateMachine, A: Application<M>> fmt::Debug for Driver<M, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("streams", &self.ports.streams())
            .field("armed", &self.armed)
            .finish_non_exhaustive()
    }
}

/// How many commands run before others have their turn, in the driver's own and in place between two of them.
const COMMANDS: usize = 256;

/// How often what one turn brought about is looked after within it.
const ROUNDS: usize = 8;

/// How long an overdue machine is left alone.
const TICK: Duration = Duration::from_millis(1);
