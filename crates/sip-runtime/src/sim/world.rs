//! The state of the network, and what is to come.

use super::{
    connect::Doors,
    dns::{self, Zone},
    executor::{Key, RunQueue},
    ladder::{Ladder, Rung},
    link::Settings,
    nat::NatState,
    stream::Streams,
    udp::{Datagram, Socket},
};
use crate::{activity::Activity, runtime::BoxFuture};
use sip_io::{FailReason, Rng};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    time::{Duration, Instant},
};

/// The number of a host.
pub(super) type HostId = u32;

/// What the network, its hosts and their sockets share.
pub(super) struct Shared {
    world: Mutex<World>,
    pub(super) queue: Arc<RunQueue>,
    running: AtomicBool,
    start: Instant,
}

/// The state of the network.
pub(super) struct World {
    /// Virtual time since the start
    pub(super) now: Duration,
    pub(super) patience: Duration,
    pub(super) rng: Rng,
    seed: u64,
    pub(super) hosts: BTreeMap<HostId, HostState>,
    pub(super) names: BTreeMap<String, HostId>,
    pub(super) zone: Zone,
    pub(super) tasks: BTreeMap<u64, Task>,
    pub(super) sockets: BTreeMap<u64, Socket>,
    pub(super) doors: Doors,
    pub(super) streams: Streams,
    pub(super) nats: BTreeMap<HostId, NatState>,
    /// What is to come, by time and then by the order of scheduling
    pub(super) agenda: BTreeMap<(Duration, u64), Action>,
    /// Actions without any time between them
    at_once: u64,
    pub(super) everywhere: Settings,
    pub(super) ways: BTreeMap<(HostId, HostId), Settings>,
    /// Until when a way with a bandwidth is taken
    pub(super) busy: BTreeMap<(HostId, HostId), Duration>,
    pub(super) apart: BTreeSet<HostId>,
    /// SIP datagrams to lose, by number
    pub(super) lost: BTreeSet<usize>,
    pub(super) sip_datagrams: usize,
    pub(super) ladder: Ladder,
    ids: u64,
    /// Woken when the network is no longer locked
    wakes: Vec<Waker>,
}

pub(super) struct HostState {
    pub(super) name: String,
    pub(super) ipv4: Ipv4Addr,
    pub(super) ipv6: Ipv6Addr,
    pub(super) has_ipv4: bool,
    pub(super) has_ipv6: bool,
    /// The box that translates its addresses
    pub(super) behind: Option<HostId>,
    pub(super) up: bool,
    pub(super) rng: Rng,
    pub(super) wall_clock: Duration,
    pub(super) next_port: u16,
    pub(super) activities: Vec<Arc<Activity>>,
}

pub(super) struct Task {
    pub(super) host: HostId,
    /// Away while it is polled
    pub(super) future: Option<BoxFuture<()>>,
    pub(super) waker: Waker,
}

/// Something that happens at its time.
pub(super) enum Action {
    Wake(Waker),
    Datagram(Datagram),
    /// The news that a datagram was not delivered
    Refused(Datagram, FailReason),
    /// What is under way from one end of a stream to the other
    Stream {
        stream: u64,
        from: usize,
    },
    /// A request for a stream arrives
    Connect {
        attempt: u64,
    },
    /// Its answer arrives
    Connected {
        attempt: u64,
        stream: Option<u64>,
    },
}

impl Shared {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            world: Mutex::new(World::new(seed)),
            queue: Arc::default(),
            running: AtomicBool::new(false),
            start: Instant::now(),
        }
    }

    /// Does something with the network, and wakes whom it concerns when the network is free again.
    pub(super) fn with<R>(&self, with: impl FnOnce(&mut World) -> R) -> R {
        let (result, wakes) = {
            let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
            let result = with(&mut world);
            (result, std::mem::take(&mut world.wakes))
        };
        for waker in wakes {
            waker.wake();
        }
        result
    }

    pub(super) fn now(&self) -> Instant {
        self.start + self.with(|world| world.now)
    }

    pub(super) fn since_start(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.start)
    }

    pub(super) fn spawn(&self, host: HostId, future: BoxFuture<()>) {
        let refused = self.with(|world| {
            if !world.hosts.get(&host).is_some_and(|host| host.up) {
                return Some(future);
            }
            let id = world.id();
            let task = Task {
                host,
                future: Some(future),
                waker: self.queue.waker(Key::Task(id)),
            };
            world.tasks.insert(id, task);
            None
        });
        drop(refused);
    }

    /// Marks the executor as running.
    pub(super) fn enter(&self) -> Running<'_> {
        assert!(
            !self.running.swap(true, Ordering::AcqRel),
            "the simulator runs already: inside, use `sim.sleep(..).await`"
        );
        Running(self)
    }
}

pub(super) struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::Release);
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            now: Duration::ZERO,
            patience: Duration::from_secs(30 * 86_400),
            rng: Rng::new(seed_of(seed, "network")),
            seed,
            hosts: BTreeMap::new(),
            names: BTreeMap::new(),
            zone: Zone::default(),
            tasks: BTreeMap::new(),
            sockets: BTreeMap::new(),
            doors: Doors::default(),
            streams: Streams::default(),
            nats: BTreeMap::new(),
            agenda: BTreeMap::new(),
            at_once: 0,
            everywhere: Settings {
                delay: Some(Duration::from_millis(10)),
                ..Settings::default()
            },
            ways: BTreeMap::new(),
            busy: BTreeMap::new(),
            apart: BTreeSet::new(),
            lost: BTreeSet::new(),
            sip_datagrams: 0,
            ladder: Ladder::default(),
            ids: 0,
            wakes: Vec::new(),
        };
        let dns = world.host(dns::NAME);
        if let Some(dns) = world.hosts.get_mut(&dns) {
            dns.ipv4 = dns::ADDRESS;
            dns.ipv6 = dns::ADDRESS_6;
        }
        world
    }

    /// The host with a name.
    pub(super) fn host(&mut self, name: &str) -> HostId {
        let next = self.hosts.len() as HostId;
        let id = *self.names.entry(dns::key(name)).or_insert(next);
        if id == next {
            // The name server is the first one, so that addresses start at 10.0.0.1.
            let [_, b, c, d] = next.to_be_bytes();
            self.hosts.insert(
                id,
                HostState {
                    name: name.to_owned(),
                    ipv4: Ipv4Addr::new(10, b, c, d),
                    ipv6: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, (next >> 16) as u16, next as u16),
                    has_ipv4: true,
                    has_ipv6: true,
                    behind: None,
                    up: true,
                    rng: Rng::new(seed_of(self.seed, name)),
                    wall_clock: WALL_CLOCK,
                    next_port: FIRST_PORT,
                    activities: Vec::new(),
                },
            );
        }
        id
    }

    pub(super) fn host_at(&self, from: HostId, address: IpAddr) -> Option<HostId> {
        if address.is_loopback() {
            return Some(from);
        }
        let behind = |id: &HostId| self.hosts.get(id).and_then(|host| host.behind);
        let own = behind(&from);
        self.hosts
            .iter()
            .find(|(_, host)| host.has(address) && (host.behind.is_none() || host.behind == own))
            .map(|(id, _)| *id)
    }

    pub(super) fn is_up(&self, host: HostId) -> bool {
        self.hosts.get(&host).is_some_and(|host| host.up)
    }

    /// A port that a host has not given out lately.
    pub(super) fn next_port(&mut self, host: HostId) -> u16 {
        let Some(host) = self.hosts.get_mut(&host) else {
            return FIRST_PORT;
        };
        let port = host.next_port;
        host.next_port = port.checked_add(1).unwrap_or(FIRST_PORT);
        port
    }

    /// How good the way between two hosts is now.
    pub(super) fn way(&self, from: HostId, to: HostId) -> Settings {
        let own = self.ways.get(&(from, to)).copied().unwrap_or_default();
        // Within a host, and to ask for a name, takes no time.
        if from == to || self.is_name_server(from) || self.is_name_server(to) {
            return own;
        }
        let mut settings = own.or(self.everywhere);
        if self.apart.contains(&from) != self.apart.contains(&to) {
            settings.up = Some(false);
        }
        settings
    }

    pub(super) fn is_name_server(&self, host: HostId) -> bool {
        self.names.get(dns::NAME) == Some(&host)
    }

    pub(super) fn chance(&mut self, share: Option<f64>) -> bool {
        // Asked even when it is not needed, so that a setting of one link does not shift the chances of another.
        let fraction = self.rng.fraction();
        share.is_some_and(|share| fraction < share)
    }

    pub(super) fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    pub(super) fn schedule(&mut self, at: Duration, action: Action) -> (Duration, u64) {
        let place = (at.max(self.now), self.id());
        self.agenda.insert(place, action);
        place
    }

    /// When something happens next.
    pub(super) fn next(&self) -> Option<Duration> {
        self.agenda.first_key_value().map(|((at, _), _)| *at)
    }

    /// Whether packets are under way, or wait for somebody who will look.
    pub(super) fn has_packets(&self) -> bool {
        let packet = |action: &Action| !matches!(action, Action::Wake(_));
        self.agenda.values().any(packet) || self.sockets.values().any(Socket::is_unread)
    }

    /// Moves time to what happens next, and lets it happen.
    pub(super) fn advance(&mut self) {
        let Some(((at, _), action)) = self.agenda.pop_first() else {
            return;
        };
        self.at_once = if at > self.now { 0 } else { self.at_once + 1 };
        assert!(
            self.at_once < AT_ONCE,
            "{AT_ONCE} things happened at {} ms and time does not move\n{}",
            at.as_millis(),
            self.ladder
        );
        self.now = self.now.max(at);
        match action {
            Action::Wake(waker) => self.wakes.push(waker),
            Action::Datagram(datagram) => self.deliver(datagram),
            Action::Refused(datagram, reason) => self.refuse(&datagram, reason),
            Action::Stream { stream, from } => self.deliver_stream(stream, from),
            Action::Connect { attempt } => self.deliver_connect(attempt),
            Action::Connected { attempt, stream } => self.finish_connect(attempt, stream),
        }
    }

    pub(super) fn wake(&mut self, waker: Option<Waker>) {
        self.wakes.extend(waker);
    }

    /// Writes a message down, and says where.
    pub(super) fn observe(
        &mut self,
        from: HostId,
        to: Result<HostId, IpAddr>,
        what: String,
        lost: bool,
    ) -> usize {
        let name = |host: HostId| self.hosts.get(&host).map(|host| host.name.clone());
        let to = to.map_or_else(|address| Some(address.to_string()), name);
        let rung = Rung {
            at: self.now,
            from: name(from).unwrap_or_default(),
            to: to.unwrap_or_default(),
            what,
            lost,
        };
        self.ladder.push(rung)
    }

    /// What the drivers of all hosts are busy with.
    pub(super) fn left(&mut self) -> Vec<String> {
        let mut left = Vec::new();
        for host in self.hosts.values_mut() {
            host.activities.retain(|activity| !activity.has_ended());
            for activity in host.activities.iter().filter(|a| !a.is_quiet()) {
                left.push(format!(
                    "{}: {}{} streams, {} commands",
                    host.name,
                    if activity.has_timer() {
                        "a timer, "
                    } else {
                        ""
                    },
                    activity.streams(),
                    activity.commands()
                ));
            }
        }
        left
    }

    /// How many tasks of each host wait.
    pub(super) fn waiting(&self) -> String {
        let mut waiting = BTreeMap::<&str, usize>::new();
        for task in self.tasks.values() {
            if let Some(host) = self.hosts.get(&task.host) {
                *waiting.entry(&host.name).or_default() += 1;
            }
        }
        let waiting: Vec<_> = waiting
            .iter()
            .map(|(name, tasks)| format!("{tasks} of {name}"))
            .collect();
        if waiting.is_empty() {
            "none".to_owned()
        } else {
            waiting.join(", ")
        }
    }

    /// All tasks, to be dropped when the network is free.
    pub(super) fn take_tasks(&mut self) -> BTreeMap<u64, Task> {
        for host in self.hosts.values_mut() {
            host.up = false;
        }
        std::mem::take(&mut self.tasks)
    }

    /// Takes a host's power away; its tasks are to be dropped when the network is free.
    pub(super) fn crash(&mut self, id: HostId) -> BTreeMap<u64, Task> {
        if let Some(host) = self.hosts.get_mut(&id) {
            host.up = false;
            host.activities.clear();
        }
        self.sockets.retain(|_, socket| socket.host() != id);
        self.crash_doors(id);
        self.crash_streams(id);
        let (crashed, others) = std::mem::take(&mut self.tasks)
            .into_iter()
            .partition(|(_, task)| task.host == id);
        self.tasks = others;
        crashed
    }
}

impl HostState {
    /// Whether an address is one of its.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.has_ipv4 && self.ipv4 == address,
            IpAddr::V6(address) => self.has_ipv6 && self.ipv6 == address,
        }
    }
}

/// A seed for one part.
fn seed_of(seed: u64, part: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    // FNV-1a: names shall only not collide.
    let hash = part.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    bytes[8..16].copy_from_slice(&hash.to_le_bytes());
    bytes
}

/// It is New Year 2026 when a simulation starts.
const WALL_CLOCK: Duration = Duration::from_secs(1_767_225_600);

/// The first port that is given to whom asks for any (RFC 6335 §6).
const FIRST_PORT: u16 = 49_152;

/// More than this at one instant is a loop.
const AT_ONCE: u64 = 1_000_000;
