//! The sockets, listeners and streams of one driver.

mod coalescing;
mod datagrams;
mod listeners;
mod steering;
mod streams;

use crate::{
    ready::{ReadyList, Source},
    runtime::{Batch, Runtime},
    shards::Member,
};
use ahash::RandomState;
use datagrams::UdpPort;
use listeners::TcpPort;
use sip_io::{BindToken, Protocol, Receive, StreamId, TimerQueue, Transmit};
use slab::Slab;
use std::{
    collections::{HashMap, VecDeque},
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};
use streams::Stream;

type Table<K, V> = HashMap<K, V, RandomState>;

/// What a driver allows; see the setters of `Driver`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) stream_queue: usize,
    pub(crate) accepted_streams: usize,
    pub(crate) linger: Duration,
    pub(crate) stall: Duration,
    pub(crate) network_check: Option<Duration>,
    pub(crate) dscp: Option<u8>,
    pub(crate) coalesce: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stream_queue: 1 << 20,
            accepted_streams: 16_384,
            linger: Duration::from_secs(5),
            stall: Duration::from_secs(32),
            network_check: Some(Duration::from_secs(15)),
            dscp: None,
            coalesce: None,
        }
    }
}

/// The sockets, listeners and streams of one driver, spoken to in the words of `sip-io`.
pub(crate) struct Ports {
    runtime: Arc<dyn Runtime>,
    ready: Arc<ReadyList>,
    pub(crate) limits: Limits,
    bound: Table<BindToken, Bound>,
    udp: Slab<UdpPort>,
    /// Which datagram socket has which address
    udp_at: Table<SocketAddr, usize>,
    listeners: Slab<TcpPort>,
    streams: Table<StreamId, Stream>,
    accepted: u64,
    /// How many of the streams were accepted
    accepted_open: usize,
    /// Datagram sockets with something to send since the last flush
    unsent: Vec<usize>,
    /// Streams with something to write since the last flush
    unwritten: Vec<StreamId>,
    timers: TimerQueue<Due>,
    /// The addresses that the machine was told last
    addresses: Vec<IpAddr>,
    batch: Batch,
    read_buffer: Vec<u8>,
    write_buffer: Vec<u8>,
    /// What the machine is to be told, in order
    pub(crate) received: VecDeque<Receive>,
    /// The place among those that share the work
    member: Option<Member>,
    /// For how long the driver has worked, where datagrams may be taken in groups
    worked: Duration,
}

/// Whether other shards bind the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sharing {
    Alone,
    Shared,
}

#[derive(Clone, Copy)]
enum Bound {
    Udp(usize),
    Listener(usize),
}

/// What the ports themselves wait for.
enum Due {
    /// A stream that is being closed has had its time
    Linger(StreamId),
    /// A peer may not have read for too long
    Stalled(StreamId),
    /// The interfaces are looked at
    Network,
    /// A source that failed, or that nobody watches, is asked again
    Ask(Source),
}

impl Ports {
    pub(crate) fn new(runtime: Arc<dyn Runtime>, ready: Arc<ReadyList>, limits: Limits) -> Self {
        let timers = TimerQueue::new(runtime.now());
        Self {
            runtime,
            ready,
            limits,
            bound: table(),
            udp: Slab::new(),
            udp_at: table(),
            listeners: Slab::new(),
            streams: table(),
            accepted: 0,
            accepted_open: 0,
            unsent: Vec::new(),
            unwritten: Vec::new(),
            timers,
            addresses: Vec::new(),
            batch: Batch::new(),
            read_buffer: Vec::new(),
            write_buffer: Vec::new(),
            received: VecDeque::new(),
            member: None,
            worked: Duration::ZERO,
        }
    }

    /// Does what the machine asked for. What is to be sent leaves at the next flush.
    pub(crate) fn apply(&mut self, now: Instant, transmit: Transmit) {
        match transmit {
            Transmit::Datagram { flow, contents } => self.send(flow, contents),
            Transmit::Stream { flow, contents } => self.queue(flow, contents),
            Transmit::Open { flow } => self.open(flow),
            Transmit::Close { flow } => self.close(now, flow),
            Transmit::Pause { flow } => self.set_paused(flow, true),
            Transmit::Resume { flow } => self.set_paused(flow, false),
            Transmit::Bind {
                token,
                protocol,
                local,
            } => self.bind(token, protocol, local, Sharing::Alone),
            Transmit::BindShared {
                token,
                protocol,
                local,
            } => self.bind(token, protocol, local, Sharing::Shared),
            Transmit::Steer { to, parcel } => self.steer(to, parcel),
            Transmit::Release { token } => self.release(token),
            other => tracing::error!(?other, "a driver older than its machine"),
        }
    }

    /// Asks a source that was woken.
    pub(crate) fn poll(&mut self, now: Instant, source: Source) {
        match source {
            Source::Udp(key) => self.poll_udp(now, key),
            Source::Listener(key) => self.poll_listener(now, key),
            Source::Stream(id) => self.poll_stream(now, id),
            Source::Mesh => self.poll_mesh(),
            Source::Timer | Source::Inbox | Source::Application => {}
        }
    }

    /// Tells the machine which addresses the host has.
    pub(crate) fn announce_network(&mut self) {
        let addresses = self.runtime.interfaces();
        self.addresses.clone_from(&addresses);
        self.received.push_back(Receive::Network { addresses });
    }

    /// Looks at the interfaces from time to time from now on.
    pub(crate) fn watch_network(&mut self, now: Instant) {
        let every = self.limits.network_check;
        if let Some(every) = every.filter(|_| self.runtime.interfaces_may_change()) {
            self.timers.insert(now + every, Due::Network);
        }
    }

    fn check_network(&mut self, now: Instant) {
        let addresses = self.runtime.interfaces();
        let same = addresses.len() == self.addresses.len()
            && addresses
                .iter()
                .all(|address| self.addresses.contains(address));
        if !same {
            tracing::info!(?addresses, "the addresses of this host have changed");
            self.addresses.clone_from(&addresses);
            self.received.push_back(Receive::Network { addresses });
        }
        self.watch_network(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Does one thing that is due; whether there was any.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> bool {
        let Some(due) = self.timers.pop(now) else {
            return false;
        };
        match due {
            Due::Linger(id) => self.give_up(id),
            Due::Stalled(id) => self.check_stall(now, id),
            Due::Network => self.check_network(now),
            Due::Ask(source) => self.poll(now, source),
        }
        true
    }

    /// Whether [`flush`](Self::flush) has something to do.
    pub(crate) fn has_unwritten(&self) -> bool {
        !self.unwritten.is_empty() || !self.unsent.is_empty()
    }

    /// How many streams there are, whatever their state.
    pub(crate) fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Whether everything that was handed over has left.
    pub(crate) fn is_flushed(&self) -> bool {
        self.udp.iter().all(|(_, port)| port.is_flushed())
            && self.streams.values().all(Stream::is_flushed)
            && self.member.as_ref().is_none_or(Member::is_flushed)
    }

    fn bind(&mut self, token: BindToken, protocol: Protocol, local: SocketAddr, sharing: Sharing) {
        let result = if self.bound.contains_key(&token) {
            Err(io::ErrorKind::AlreadyExists.into())
        } else if protocol.is_stream() {
            self.listen(token, protocol, local, sharing)
        } else {
            self.bind_udp(token, local, sharing)
        };
        if let Err(error) = &result {
            tracing::warn!(%protocol, %local, %error, "cannot bind");
        }
        self.received.push_back(Receive::Bound {
            token,
            result: result.map_err(|error| error.kind()),
        });
    }

    fn release(&mut self, token: BindToken) {
        match self.bound.remove(&token) {
            Some(Bound::Udp(key)) => {
                self.flush_udp(key);
                self.unsent.retain(|unsent| *unsent != key);
                let port = self.udp.remove(key);
                self.udp_at.remove(&port.local());
            }
            Some(Bound::Listener(key)) => {
                self.listeners.remove(key);
            }
            None => {}
        }
    }
}

/// A table whose keys no peer can choose, the same at every run.
fn table<K, V>() -> Table<K, V> {
    HashMap::with_hasher(RandomState::with_seeds(1, 2, 3, 4))
}

/// How long a source that failed is left alone (RFC 3261 says nothing; file descriptors come back in about that time).
const RETRY: Duration = Duration::from_millis(500);
