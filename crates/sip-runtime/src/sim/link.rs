//! How good the way between two hosts is.

use super::world::{HostId, Shared};
use std::{sync::Arc, time::Duration};

/// Settings of the way between two hosts, or of the whole network; each takes effect at once.
///
/// ```
/// # use sip_runtime::sim::Sim;
/// let sim = Sim::new(1);
/// sim.link("proxy", "bob").loss(0.2);
/// sim.one_way("alice", "proxy").up(false);
/// ```
#[derive(Clone)]
pub struct Link {
    shared: Arc<Shared>,
    /// Empty means everywhere
    ways: Vec<(HostId, HostId)>,
}

/// What is set; the rest is the network's, and the network's rest the default.
#[derive(Clone, Copy, Default)]
pub(super) struct Settings {
    pub(super) delay: Option<Duration>,
    pub(super) loss: Option<f64>,
    pub(super) reorder: Option<f64>,
    pub(super) duplicate: Option<f64>,
    pub(super) up: Option<bool>,
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
        }
    }
}
