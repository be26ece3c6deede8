//! A virtual network with virtual time, and an executor for what runs on it.
//!
//! Every [`Host`] is a [`Runtime`](crate::Runtime) with its own address, name, clock and entropy, so the program under
//! test is the program that ships. When no task can run, time moves to the next timer or packet: a minute takes
//! microseconds. The same seed gives the same run, byte for byte.
//!
//! Datagrams to a host that has no socket for them are refused as ICMP does it, those to a host that is down or that
//! nobody has are lost. Streams are reliable and in order: loss makes them late, a cut breaks them after a while. A
//! name server at [`Sim::name_server`] knows the hosts by name; what is said to it is neither counted nor shown.
//!
//! | to try | there is |
//! |---|---|
//! | a bad line | [`Sim::loss`], [`Sim::delay`], [`Sim::reorder`], [`Sim::duplicate`], and each of them on a [`Link`] |
//! | one lost message | [`Sim::lose`], [`Sim::lose_next`] |
//! | a cut that heals or does not | [`Sim::partition`], [`Link::up`], [`Host::crash`] and [`Host::restart`] |
//! | NAT | [`Sim::nat`] |
//! | a narrow way | [`Link::bandwidth`], [`Link::mtu`] |
//! | a firewall | [`Link::streams`], [`Link::datagrams`], [`Link::reset_streams`] |
//! | a peer that reads slowly or not at all | [`Link::window`] |
//! | IPv4 and IPv6 | [`Host::without_ipv4`], [`Host::without_ipv6`] |
//! | services in the DNS | [`Sim::naptr`], [`Sim::srv`], [`Sim::alias`] |
//! | a DNS that changes, fails or is silent | [`Sim::forget_name`], [`Sim::dns_ttl`], [`Sim::dns_trouble`] |
//!
//! ```
//! use sip_runtime::{Runtime, assert_ladder, sim::Sim};
//! use std::{future::poll_fn, time::Duration};
//!
//! let sim = Sim::new(1).delay(Duration::from_millis(10)).lose(&[0]);
//! let (alice, bob) = (sim.host("alice"), sim.host("bob"));
//! sim.run(async {
//!     let mut from = alice.bind_udp((alice.ipv4(), 5060).into())?;
//!     let mut to = bob.bind_udp(([0, 0, 0, 0], 5060).into())?;
//!     for _ in 0..2 {
//!         from.try_send(None, (bob.ipv4(), 5060).into(), b"OPTIONS sip:bob SIP/2.0\r\n\r\n")?;
//!         sim.sleep(Duration::from_millis(500)).await;
//!     }
//!     let mut batch = sip_runtime::Batch::new();
//!     poll_fn(|cx| to.poll_recv(cx, &mut batch)).await?;
//!     assert_eq!(batch.len(), 1);
//!     std::io::Result::Ok(())
//! })?;
//! assert_ladder!(sim, "
//!        0 ms  alice -> bob  OPTIONS  (lost)
//!      500 ms  alice -> bob  OPTIONS
//! ");
//! # Ok::<(), std::io::Error>(())
//! ```

mod connect;
mod dns;
mod executor;
mod host;
mod ladder;
mod link;
mod nat;
mod stream;
mod timer;
mod udp;
mod world;

pub use dns::DnsTrouble;
pub use host::Host;
pub use ladder::{Ladder, Rung};
pub use link::{Link, Oversize};
pub use nat::{Nat, NatBox};
pub use timer::Sleep;

use executor::Key;
use std::{
    fmt,
    future::Future,
    net::IpAddr,
    pin::pin,
    sync::Arc,
    task::Context,
    time::{Duration, Instant},
};
use world::{Shared, World};

/// A simulated network of hosts, and the executor that runs them.
///
/// Clones are the same network. The settings of the builder hold for every pair of hosts that has none of its own
/// ([`link`](Self::link)). A fresh network delays everything by 10 ms and loses nothing.
#[derive(Clone)]
pub struct Sim {
    shared: Arc<Shared>,
    /// Hosts know the network and the network's tasks know their hosts; this ends both.
    _owner: Arc<Owner>,
}

struct Owner(Arc<Shared>);

impl Sim {
    /// A network without hosts, whose every chance follows from `seed`.
    pub fn new(seed: u64) -> Self {
        let shared = Arc::new(Shared::new(seed));
        Self {
            _owner: Arc::new(Owner(Arc::clone(&shared))),
            shared,
        }
    }

    /// How long a packet is under way. Defaults to 10 ms.
    pub fn delay(self, delay: Duration) -> Self {
        self.everywhere().delay(delay);
        self
    }

    /// Which share of the datagrams is lost; what is lost of a stream comes 200 ms later. Defaults to 0.
    pub fn loss(self, share: f64) -> Self {
        self.everywhere().loss(share);
        self
    }

    /// Which share of the datagrams is overtaken by later ones. Defaults to 0.
    pub fn reorder(self, share: f64) -> Self {
        self.everywhere().reorder(share);
        self
    }

    /// Which share of the datagrams arrives twice. Defaults to 0.
    pub fn duplicate(self, share: f64) -> Self {
        self.everywhere().duplicate(share);
        self
    }

    /// Loses the SIP datagrams with these numbers, in the order in which they leave, counted from 0.
    pub fn lose(self, numbers: &[usize]) -> Self {
        self.shared.with(|world| world.lost.extend(numbers));
        self
    }

    /// Loses the next `n` SIP datagrams.
    pub fn lose_next(self, n: usize) -> Self {
        self.shared.with(|world| {
            let next = world.sip_datagrams;
            world.lost.extend(next..next + n);
        });
        self
    }

    /// How much virtual time [`run`](Self::run) waits for a future before it panics. Defaults to 30 days, because a
    /// program that refreshes something for ever never comes to a stand.
    pub fn patience(self, patience: Duration) -> Self {
        self.shared.with(|world| world.patience = patience);
        self
    }

    /// Settings of the way between two hosts, in both directions; they go before those of the network.
    pub fn link(&self, one: &str, other: &str) -> Link {
        let (one, other) = self
            .shared
            .with(|world| (world.host(one), world.host(other)));
        Link::new(Arc::clone(&self.shared), vec![(one, other), (other, one)])
    }

    /// Settings of the way from one host to another, but not back.
    pub fn one_way(&self, from: &str, to: &str) -> Link {
        let (from, to) = self.shared.with(|world| (world.host(from), world.host(to)));
        Link::new(Arc::clone(&self.shared), vec![(from, to)])
    }

    /// Settings of the whole network, to be changed while it runs.
    pub fn everywhere(&self) -> Link {
        Link::new(Arc::clone(&self.shared), Vec::new())
    }

    /// Cuts the network in two: nothing passes between the hosts named here and all others. An empty list heals it.
    pub fn partition(&self, names: &[&str]) {
        self.shared.with(|world| {
            let apart = names.iter().map(|name| world.host(name)).collect();
            world.apart = apart;
        });
    }

    /// The host with this name, made when it is asked for the first time.
    pub fn host(&self, name: &str) -> Host {
        let id = self.shared.with(|world| world.host(name));
        Host::new(Arc::clone(&self.shared), id)
    }

    /// A box that translates addresses, with private hosts behind it: [`NatBox::host`]. A box that is asked for again
    /// is of the new kind from then on.
    pub fn nat(&self, name: &str, kind: Nat) -> NatBox {
        let id = self.shared.with(|world| world.nat(name, kind));
        NatBox::new(Arc::clone(&self.shared), id)
    }

    /// Gives a host another name in the simulated DNS: a domain, say.
    pub fn alias(&self, name: &str, host: &str) {
        self.shared.with(|world| {
            let host = world.host(host);
            world.zone.alias(name, host);
        });
    }

    /// Adds an SRV record to the simulated DNS: `_sip._udp.example.com`, 0, 0, 5060, `proxy`.
    pub fn srv(&self, name: &str, priority: u16, weight: u16, port: u16, target: &str) {
        self.shared
            .with(|world| world.zone.srv(name, priority, weight, port, target));
    }

    /// Adds a NAPTR record to the simulated DNS that leads to SRV records (RFC 3263 §4.1): `example.com`, 10, 50,
    /// `SIP+D2T`, `_sip._tcp.example.com`.
    ///
    /// # Panics
    ///
    /// When the replacement is no name.
    pub fn naptr(&self, name: &str, order: u16, preference: u16, service: &str, replacement: &str) {
        self.naptr_rule(name, (order, preference), ("s", service, ""), replacement);
    }

    /// Adds a NAPTR record that makes a URI of a telephone number (RFC 6116): `4.3.2.1.e164.arpa`, 10, 50, `E2U+sip`,
    /// `!^.*$!sip:info@example.com!`.
    pub fn enum_rule(&self, name: &str, order: u16, preference: u16, service: &str, rule: &str) {
        self.naptr_rule(name, (order, preference), ("u", service, rule), ".");
    }

    fn naptr_rule(&self, name: &str, order: (u16, u16), rule: (&str, &str, &str), to: &str) {
        let known = self
            .shared
            .with(|world| world.zone.naptr(name, order, rule, to));
        assert!(known, "{to} is no name");
    }

    /// Takes every record of a name out of the simulated DNS that was added; a host keeps its own name.
    pub fn forget_name(&self, name: &str) {
        self.shared.with(|world| world.zone.forget(name));
    }

    /// How long answers of the simulated DNS may be kept, in whole seconds. Defaults to a minute.
    pub fn dns_ttl(&self, time: Duration) {
        let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        self.shared.with(|world| world.zone.set_ttl(seconds));
    }

    /// What becomes of questions about a name from now on; `None` is the usual answer.
    pub fn dns_trouble(&self, name: &str, trouble: impl Into<Option<DnsTrouble>>) {
        let trouble = trouble.into();
        self.shared.with(|world| world.zone.trouble(name, trouble));
    }

    /// Runs `future` on this thread, and every task of every host beside it, until it is done.
    ///
    /// # Panics
    ///
    /// When nobody can run and nothing is to come, or when the future waits for longer than the
    /// [patience](Self::patience) allows; the panic shows the ladder and how many tasks of each host wait. Also when
    /// called from within.
    pub fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let _running = self.shared.enter();
        let (main, waker) = self.shared.queue.main();
        let deadline = self.shared.with(|world| world.now + world.patience);
        loop {
            while let Some(key) = self.shared.queue.pop() {
                match key {
                    Key::Main(id) if id == main => {
                        let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
                        if let std::task::Poll::Ready(output) = poll {
                            return output;
                        }
                    }
                    Key::Main(_) => {}
                    Key::Task(id) => self.shared.poll_task(id),
                }
            }
            match self.shared.with(|world| world.next()) {
                None => self.panic("nobody can run and nothing is to come"),
                Some(at) if at > deadline => self.panic("out of patience"),
                Some(_) => self.shared.with(World::advance),
            }
        }
    }

    /// Completes after `duration` of virtual time.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        let at = self.now() + duration;
        Sleep::new(Arc::clone(&self.shared), at)
    }

    /// Lets `duration` of virtual time pass, outside of [`run`](Self::run).
    pub fn advance(&self, duration: Duration) {
        let _running = self.shared.enter();
        let end = self.shared.with(|world| world.now + duration);
        loop {
            while let Some(key) = self.shared.queue.pop() {
                if let Key::Task(id) = key {
                    self.shared.poll_task(id);
                }
            }
            match self.shared.with(|world| world.next()) {
                Some(at) if at <= end => self.shared.with(World::advance),
                _ => break,
            }
        }
        self.shared.with(|world| world.now = end);
    }

    /// Lets time pass until no packet is under way and every driver is quiet; whether that came to be within `limit`.
    pub fn run_until_quiet(&self, limit: Duration) -> bool {
        let end = self.elapsed() + limit;
        loop {
            self.advance(Duration::ZERO);
            if self.left().is_empty() && !self.shared.with(|world| world.has_packets()) {
                return true;
            }
            match self.shared.with(|world| world.next()) {
                Some(at) if at <= end => {
                    self.advance(at.saturating_sub(self.elapsed()));
                }
                _ => return false,
            }
        }
    }

    /// Lets 64×T1 and 5 s pass – the longest that RFC 3261 lets a transaction live, and what belongs to it – and tells
    /// whether nothing is left then: no driver that waits for a time, has a stream open or a command queued.
    /// [`left`](Self::left) says what it is.
    pub fn is_quiet(&self) -> bool {
        self.advance(Duration::from_secs(32 + 5));
        self.left().is_empty()
    }

    /// What drivers are busy with, a line for each that is.
    pub fn left(&self) -> Vec<String> {
        self.shared.with(|world| world.left())
    }

    /// Every SIP message so far.
    pub fn ladder(&self) -> Ladder {
        self.shared.with(|world| world.ladder.clone())
    }

    /// The virtual time.
    pub fn now(&self) -> Instant {
        self.shared.now()
    }

    /// How much virtual time has passed.
    pub fn elapsed(&self) -> Duration {
        self.shared.with(|world| world.now)
    }

    /// The address that the simulated DNS is asked at, on port 53. Questions take no time and are never lost, unless
    /// the [link](Self::link) to the host named `dns` says otherwise.
    pub fn name_server(&self) -> IpAddr {
        dns::ADDRESS.into()
    }

    fn panic(&self, why: &str) -> ! {
        let (now, waiting) = self.shared.with(|world| (world.now, world.waiting()));
        panic!(
            "{why} at {} ms, and the future is not done\nwaiting tasks: {waiting}\n{}",
            now.as_millis(),
            self.ladder()
        );
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim")
            .field("elapsed", &self.elapsed())
            .finish_non_exhaustive()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Tasks give their sockets back when they are dropped, so the network must not be locked then.
        let tasks = self.0.with(World::take_tasks);
        drop(tasks);
        self.0.queue.clear();
    }
}

/// Compares the SIP messages of a [`Sim`](crate::sim::Sim) with what they should be, line by line, whatever the
/// spaces; shows both when they differ.
///
/// ```
/// # use sip_runtime::{assert_ladder, sim::Sim};
/// let sim = Sim::new(1);
/// assert_ladder!(sim, "");
/// ```
#[macro_export]
macro_rules! assert_ladder {
    ($sim:expr, $expected:expr $(,)?) => {
        $sim.ladder().assert_is($expected)
    };
}

/// Compares the SIP messages of a [`Sim`](crate::sim::Sim) with those that are stored in the file
/// `tests/ladders/NAME.txt` of the package that it stands in, line by line, whatever the spaces.
///
/// With the variable `UPDATE_LADDERS=1` in the environment the file is written instead. Lines that begin with `#` at its
/// top are notes, and stay.
///
/// ```no_run
/// # use sip_runtime::{assert_ladder_snapshot, sim::Sim};
/// let sim = Sim::new(1);
/// assert_ladder_snapshot!(sim, "a_call_through_two_proxies");
/// ```
#[macro_export]
macro_rules! assert_ladder_snapshot {
    ($sim:expr, $name:literal $(,)?) => {
        $sim.ladder().assert_is_stored(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/ladders/",
            $name,
            ".txt"
        ))
    };
}

#[cfg(test)]
mod tests;
