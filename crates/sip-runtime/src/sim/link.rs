//! How good the way between two hosts is.

use super::world::{HostId, Shared, World};
use std::{sync::Arc, time::Duration};

/// Settings of the way between two hosts, or of the whole network; each takes effect at once.
///
/// ```
/// # use sip_runtime::sim::{Oversize, Sim};
/// let sim = Sim::new(1);
/// sim.link("proxy", "bob").loss(0.2).bandwidth(64_000);
/// sim.link("alice", "proxy").mtu(1_280).oversize(Oversize::Refused);
/// sim.one_way("alice", "proxy").up(false);
/// ```
#[derive(Clone)]
pub struct Link {
    shared: Arc<Shared>,
    /// Empty means everywhere
    ways: Vec<(HostId, HostId)>,
}

/// What happens to a datagram that is longer than the way allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Oversize {
    /// It goes in fragments; it is lost if one of them is
    #[default]
    Fragmented,
    /// It is dropped, and its sender hears so when ICMP has come back: `FailReason::TooLong`
    Refused,
    /// It is dropped without a word, as by firewalls that pass no fragments
    Swallowed,
}

/// What is set; the rest is the network's, and the network's rest the default.
#[derive(Clone, Copy, Default)]
pub(super) struct Settings {
    pub(super) delay: Option<Duration>,
    pub(super) loss: Option<f64>,
    pub(super) reorder: Option<f64>,
    pub(super) duplicate: Option<f64>,
    pub(super) up: Option<bool>,
    pub(super) datagrams: Option<bool>,
    pub(super) streams: Option<bool>,
    pub(super) bandwidth: Option<u64>,
    pub(super) mtu: Option<usize>,
    pub(super) oversize: Option<Oversize>,
    pub(super) window: Option<usize>,
}

impl Link {
    pub(super) fn new(shared: Arc<Shared>, ways: Vec<(HostId, HostId)>) -> Self {
        Self { shared, ways }
    }

    /// How long a packet is under way.
    pub fn delay(&self, delay: Duration) -> &Self {
        self.set(|settings| settings.delay = Some(delay))
    }

    /// Which share of the datagrams is lost; what is lost of a stream comes 200 ms later.
    pub fn loss(&self, share: f64) -> &Self {
        self.set(|settings| settings.loss = Some(share))
    }

    /// Which share of the datagrams is overtaken by later ones.
    pub fn reorder(&self, share: f64) -> &Self {
        self.set(|settings| settings.reorder = Some(share))
    }

    /// Which share of the datagrams arrives twice.
    pub fn duplicate(&self, share: f64) -> &Self {
        self.set(|settings| settings.duplicate = Some(share))
    }

    /// Whether anything passes at all. Streams bear an interruption of about 100 s.
    pub fn up(&self, up: bool) -> &Self {
        self.set(|settings| settings.up = Some(up))
    }

    /// Whether datagrams pass, or a firewall swallows them. Defaults to yes.
    pub fn datagrams(&self, pass: bool) -> &Self {
        self.set(|settings| settings.datagrams = Some(pass))
    }

    /// Whether streams pass, or a firewall swallows them: then connecting takes two minutes to fail, and what is
    /// written to a stream that is open stays under way, as when the way is not [`up`](Self::up). Defaults to yes.
    pub fn streams(&self, pass: bool) -> &Self {
        self.set(|settings| settings.streams = Some(pass))
    }

    /// How many bits a second pass in each direction, the headers of IP and UDP or TCP counted. Defaults to any number.
    ///
    /// What does not pass at once waits; datagrams that would wait for more than half a second are dropped, as the
    /// queues of routers do. A limit of the whole network is one for each pair of hosts.
    pub fn bandwidth(&self, bits_per_second: u64) -> &Self {
        self.set(|settings| settings.bandwidth = Some(bits_per_second.max(1)))
    }

    /// How many bytes a packet may have, the headers of IP and UDP counted (28 or 48). Defaults to any number.
    ///
    /// [`oversize`](Self::oversize) says what becomes of a longer datagram. Streams cut what they carry to measure.
    pub fn mtu(&self, bytes: usize) -> &Self {
        self.set(|settings| settings.mtu = Some(bytes))
    }

    /// What happens to a datagram that is longer than the [`mtu`](Self::mtu). Defaults to [`Oversize::Fragmented`].
    pub fn oversize(&self, oversize: Oversize) -> &Self {
        self.set(|settings| settings.oversize = Some(oversize))
    }

    /// How many bytes of a stream may be under way or unread by the peer; then its writer waits. Defaults to 256 KiB; a
    /// small window shows what a program does with a slow reader.
    pub fn window(&self, bytes: usize) -> &Self {
        self.set(|settings| settings.window = Some(bytes.max(1)))
    }

    /// Breaks every stream on this way, as a firewall does that resets connections: both ends read that at once.
    pub fn reset_streams(&self) {
        self.shared.with(|world| world.reset_streams(&self.ways));
    }

    fn set(&self, set: impl Fn(&mut Settings)) -> &Self {
        self.shared.with(|world| {
            if self.ways.is_empty() {
                set(&mut world.everywhere);
            }
            for way in &self.ways {
                set(world.ways.entry(*way).or_default());
            }
        });
        self
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Link").field(&self.ways).finish()
    }
}

impl Settings {
    /// These, and what they leave open from `others`.
    pub(super) fn or(self, others: Self) -> Self {
        Self {
            delay: self.delay.or(others.delay),
            loss: self.loss.or(others.loss),
            reorder: self.reorder.or(others.reorder),
            duplicate: self.duplicate.or(others.duplicate),
            up: self.up.or(others.up),
            datagrams: self.datagrams.or(others.datagrams),
            streams: self.streams.or(others.streams),
            bandwidth: self.bandwidth.or(others.bandwidth),
            mtu: self.mtu.or(others.mtu),
            oversize: self.oversize.or(others.oversize),
            window: self.window.or(others.window),
        }
    }

    pub(super) fn passes_datagrams(&self) -> bool {
        self.up != Some(false) && self.datagrams != Some(false)
    }

    pub(super) fn passes_streams(&self) -> bool {
        self.up != Some(false) && self.streams != Some(false)
    }
}

impl World {
    /// When the last bit of a packet leaves on a way with this bandwidth; what is before it goes first.
    pub(super) fn departure(
        &mut self,
        (from, to): (HostId, HostId),
        way: &Settings,
        bytes: usize,
    ) -> Duration {
        let Some(bandwidth) = way.bandwidth else {
            return self.now;
        };
        let busy = self.busy.entry((from, to)).or_default();
        let takes =
            Duration::from_nanos((bytes as u64 * 8).saturating_mul(1_000_000_000) / bandwidth);
        *busy = self.now.max(*busy) + takes;
        *busy
    }

    /// How long a packet has to wait until those before it have left.
    pub(super) fn queued(&self, way: (HostId, HostId)) -> Duration {
        let busy = self.busy.get(&way).copied().unwrap_or_default();
        busy.saturating_sub(self.now)
    }
}

/// How long datagrams wait for their turn on a way with a bandwidth.
pub(super) const LONGEST_QUEUE: Duration = Duration::from_millis(500);
