//! Which servers have failed lately.

use crate::Target;
use sip_io::Protocol;
use sip_message::Method;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::{Duration, Instant},
};

/// A shared table of servers that failed, so that a request does not wait for one that another has just waited for.
///
/// A server that is down is tried last, never left out: when everyone is down, someone still has to be asked. When its
/// time is over it is tried in its place again; if it fails then, the next back-off is twice as long.
///
/// ```
/// # use sip_io::Protocol;
/// # use sip_message::Method;
/// # use sip_resolver::{Health, HealthConfig, Trouble};
/// # use std::time::{Duration, Instant};
/// let (now, server) = (Instant::now(), (Protocol::Udp, "192.0.2.1:5060".parse()?));
/// let mut health = Health::new(HealthConfig::new());
/// health.failed(now, server, &Method::INVITE, Trouble::Unavailable { retry_after: Some(Duration::from_secs(60)) });
///
/// assert!(health.is_down(now, server, &Method::INVITE));
/// assert!(!health.is_down(now, server, &Method::BYE), "a call must be able to end");
/// assert!(!health.is_down(now + Duration::from_secs(61), server, &Method::INVITE));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Health {
    config: HealthConfig,
    servers: BTreeMap<ServerKey, Entry>,
    /// The same servers, the one that is forgotten first in front
    ends: BTreeSet<(Instant, ServerKey)>,
}

/// What a server is known by: what is spoken, and where.
pub type ServerKey = (Protocol, SocketAddr);

/// Why a server is thought to be down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// It did not answer in time
    Silent,
    /// It could not be reached
    Unreachable,
    /// It said 503
    Unavailable {
        /// For how long, if it said so
        retry_after: Option<Duration>,
    },
}

/// What is known about a server that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerHealth {
    /// Which
    pub server: ServerKey,
    /// How it failed last
    pub trouble: Trouble,
    /// How often it failed without a success in between
    pub failures: u32,
    /// How much longer it is tried last; zero when it is on trial
    pub remaining: Duration,
}

#[derive(Clone, Debug)]
struct Entry {
    trouble: Trouble,
    failures: u32,
    until: Instant,
    /// When a server that did not fail again is forgotten
    end: Instant,
}

impl Health {
    /// An empty table.
    pub const fn new(config: HealthConfig) -> Self {
        Self {
            config,
            servers: BTreeMap::new(),
            ends: BTreeSet::new(),
        }
    }

    /// Notes that a request of this method failed.
    pub fn failed(&mut self, now: Instant, server: ServerKey, method: &Method, trouble: Trouble) {
        if self.config.servers == 0 || !self.config.counts.contains(method) {
            return;
        }
        let failures = self
            .servers
            .get(&server)
            .map_or(1, |entry| entry.failures.saturating_add(1));
        // Several requests that were under way when a server died are one failure.
        let failures = match self.servers.get(&server) {
            Some(entry) if entry.until > now => entry.failures,
            _ => failures,
        };
        let config = &self.config;
        let back_off = match trouble {
            Trouble::Unavailable {
                retry_after: Some(asked),
            } => asked,
            Trouble::Unavailable { retry_after: None } | Trouble::Silent | Trouble::Unreachable => {
                config.back_off.saturating_mul(1 << (failures - 1).min(16))
            }
        };
        let back_off = back_off.max(config.shortest).min(config.longest);
        self.forget(server);
        while self.servers.len() >= self.config.servers {
            let Some((_, first)) = self.ends.pop_first() else {
                break;
            };
            self.servers.remove(&first);
        }
        let until = now + back_off;
        let end = until + back_off.max(self.config.back_off);
        self.ends.insert((end, server));
        let entry = Entry {
            trouble,
            failures,
            until,
            end,
        };
        self.servers.insert(server, entry);
    }

    /// Notes that a server answered, which ends its back-off, unless it asked for that itself (RFC 3261 §21.5.4).
    pub fn succeeded(&mut self, now: Instant, server: ServerKey) {
        let asked_for_it = |entry: &Entry| {
            let retry_after = Trouble::Unavailable { retry_after: None };
            matches!(entry.trouble, Trouble::Unavailable { .. }) && entry.trouble != retry_after
        };
        match self.servers.get(&server) {
            Some(entry) if asked_for_it(entry) && entry.until > now => {}
            Some(_) => self.forget(server),
            None => {}
        }
    }

    /// Whether requests of this method should go elsewhere if they can.
    pub fn is_down(&self, now: Instant, server: ServerKey, method: &Method) -> bool {
        !self.config.ignores.contains(method)
            && self
                .servers
                .get(&server)
                .is_some_and(|entry| entry.until > now)
    }

    /// Puts targets that are down behind those that are not, and leaves the order otherwise as it is.
    pub fn order(&self, now: Instant, targets: &mut [Target], method: &Method) {
        if !self.servers.is_empty() {
            targets
                .sort_by_key(|target| self.is_down(now, (target.protocol, target.address), method));
        }
    }

    /// How often a server that is down is asked whether it lives; see [`HealthConfig::probe`].
    pub const fn probe_interval(&self) -> Option<Duration> {
        self.config.probe
    }

    /// The longest that a server is tried last for one failure.
    pub const fn longest(&self) -> Duration {
        self.config.longest
    }

    /// Drops what is known about a server.
    pub fn forget(&mut self, server: ServerKey) {
        if let Some(entry) = self.servers.remove(&server) {
            self.ends.remove(&(entry.end, server));
        }
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.servers.clear();
        self.ends.clear();
    }

    /// Every server that failed lately, by protocol and address.
    pub fn snapshot(&self, now: Instant) -> Vec<ServerHealth> {
        let current = self.servers.iter().filter(|(_, entry)| entry.end > now);
        current
            .map(|(server, entry)| ServerHealth {
                server: *server,
                trouble: entry.trouble,
                failures: entry.failures,
                remaining: entry.until.saturating_duration_since(now),
            })
            .collect()
    }
}

/// Settings of a [`Health`] table.
///
/// Who comes from Kamailio knows them by other names:
///
/// | here | there |
/// |---|---|
/// | [`back_off`](Self::back_off) | `blst_503_def_timeout`, `DST_BLST_TTL` |
/// | [`shortest`](Self::shortest), [`longest`](Self::longest) | `blst_503_min_timeout`, `blst_503_max_timeout` |
/// | [`count`](Self::count), [`ignore`](Self::ignore) | `blst_methods_add`, the complement of `blst_methods_lookup` |
/// | [`servers`](Self::servers) | `DST_BLST_MEM` |
///
/// ```
/// # use sip_message::Method;
/// # use sip_resolver::{HealthConfig, Methods};
/// # use std::time::Duration;
/// let config = HealthConfig::new()
///     .back_off(Duration::from_secs(10))
///     .longest(Duration::from_secs(600))
///     .count(Methods::Only(vec![Method::INVITE]))
///     .probe(Duration::from_secs(5));
/// # let _ = config;
/// ```
#[derive(Clone, Debug)]
pub struct HealthConfig {
    back_off: Duration,
    shortest: Duration,
    longest: Duration,
    servers: usize,
    counts: Methods,
    ignores: Methods,
    probe: Option<Duration>,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            back_off: Duration::from_secs(30),
            shortest: Duration::from_secs(1),
            longest: Duration::from_secs(3_600),
            servers: 4_096,
            counts: Methods::All,
            ignores: Methods::Only(vec![Method::BYE, Method::CANCEL, Method::ACK]),
            probe: None,
        }
    }
}

impl HealthConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a server that failed once is tried last, unless its Retry-After says otherwise. Defaults to 30 s; it
    /// doubles with each failure in a row.
    #[must_use]
    pub const fn back_off(mut self, back_off: Duration) -> Self {
        self.back_off = back_off;
        self
    }

    /// The shortest back-off, whatever Retry-After says. Defaults to 1 s.
    #[must_use]
    pub const fn shortest(mut self, shortest: Duration) -> Self {
        self.shortest = shortest;
        self
    }

    /// The longest back-off, whatever Retry-After says. Defaults to an hour, so that nobody can talk a server out of
    /// use for good.
    #[must_use]
    pub const fn longest(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// How many servers are remembered. Defaults to 4,096; when one more fails, the one that would be forgotten first is.
    /// With 0 the table is off.
    #[must_use]
    pub const fn servers(mut self, servers: usize) -> Self {
        self.servers = servers;
        self
    }

    /// Failures of which methods count. Defaults to all.
    #[must_use]
    pub fn count(mut self, methods: Methods) -> Self {
        self.counts = methods;
        self
    }

    /// Asks a server that is down whether it lives, with an OPTIONS every `interval`, at least a second: when it answers
    /// it is tried in its place again at once, unless its Retry-After said otherwise. Defaults to no: its time has to be
    /// over. A server that stays silent is asked for as long as the [longest](Self::longest) back-off after the last
    /// request that failed there.
    ///
    /// It takes someone who sends: the endpoint of `sip-endpoint` does.
    #[must_use]
    pub fn probe(mut self, interval: Duration) -> Self {
        self.probe = Some(interval.max(Duration::from_secs(1)));
        self
    }

    /// Which methods go to a server that is down as if it were not. Defaults to BYE, CANCEL and ACK: what ends a call
    /// belongs where the call is.
    #[must_use]
    pub fn ignore(mut self, methods: Methods) -> Self {
        self.ignores = methods;
        self
    }
}

/// A set of methods.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Methods {
    /// Every one
    All,
    /// Only these
    Only(Vec<Method>),
}

impl Methods {
    fn contains(&self, method: &Method) -> bool {
        match self {
            Self::All => true,
            Self::Only(methods) => methods.contains(method),
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a test needs an instant to start from
mod tests {
    use super::*;

    fn server(n: u8) -> ServerKey {
        (Protocol::Udp, SocketAddr::from(([192, 0, 2, n], 5060)))
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    const UNAVAILABLE: Trouble = Trouble::Unavailable { retry_after: None };

    #[test]
    fn a_server_that_fails_again_is_avoided_twice_as_long() {
        let mut now = Instant::now();
        let mut health = Health::new(HealthConfig::new().longest(seconds(100)));
        for (failures, back_off) in [(1, 30), (2, 60), (3, 100), (4, 100)] {
            health.failed(now, server(1), &Method::INVITE, Trouble::Silent);
            // What was under way at the same time fails too, and is the same failure.
            health.failed(now, server(1), &Method::INVITE, Trouble::Silent);
            let known = health.snapshot(now);
            assert_eq!(
                (known[0].failures, known[0].remaining),
                (failures, seconds(back_off))
            );
            now += seconds(back_off);
            assert!(!health.is_down(now, server(1), &Method::INVITE), "on trial");
        }
        health.succeeded(now, server(1));
        assert!(health.snapshot(now).is_empty());
    }

    /// RFC 3261 §21.5.4.
    #[test]
    fn retry_after_is_honoured_between_the_limits() {
        let now = Instant::now();
        let mut health = Health::new(
            HealthConfig::new()
                .shortest(seconds(2))
                .longest(seconds(600)),
        );
        for (asked, kept) in [(120, 120), (0, 2), (1_000_000, 600)] {
            let trouble = Trouble::Unavailable {
                retry_after: Some(seconds(asked)),
            };
            health.failed(now, server(1), &Method::OPTIONS, trouble);
            health.succeeded(now, server(1));
            assert!(health.is_down(now + seconds(kept - 1), server(1), &Method::INVITE));
            assert!(!health.is_down(now + seconds(kept), server(1), &Method::INVITE));
            health.clear();
        }
    }

    #[test]
    fn methods_count_and_are_turned_away_by_their_masks() {
        let now = Instant::now();
        let config = HealthConfig::new().count(Methods::Only(vec![Method::INVITE]));
        let mut health = Health::new(config);
        health.failed(now, server(1), &Method::REGISTER, UNAVAILABLE);
        assert!(!health.is_down(now, server(1), &Method::INVITE));
        health.failed(now, server(1), &Method::INVITE, UNAVAILABLE);
        assert!(health.is_down(now, server(1), &Method::REGISTER));
        assert!(!health.is_down(now, server(1), &Method::BYE));
    }

    #[test]
    fn who_is_down_comes_last_and_is_not_left_out() {
        let now = Instant::now();
        let mut health = Health::new(HealthConfig::new());
        let target = |n| Target {
            protocol: Protocol::Udp,
            address: server(n).1,
            name: "example.com".to_owned(),
            server: "server.example.com".to_owned(),
            origins: Vec::new(),
            uri: None,
        };
        let mut targets = [target(1), target(2), target(3)];
        health.failed(now, server(1), &Method::INVITE, Trouble::Unreachable);
        health.order(now, &mut targets, &Method::INVITE);
        assert_eq!(targets, [target(2), target(3), target(1)]);
        for n in [2, 3] {
            health.failed(now, server(n), &Method::INVITE, Trouble::Silent);
        }
        health.order(now, &mut targets, &Method::INVITE);
        assert_eq!(targets, [target(2), target(3), target(1)]);
    }

    #[test]
    fn the_table_forgets_who_would_be_forgotten_first() {
        let now = Instant::now();
        let mut health = Health::new(HealthConfig::new().servers(3));
        for n in 0..=255 {
            let at = now + seconds(u64::from(n));
            health.failed(at, server(n), &Method::INVITE, Trouble::Silent);
        }
        assert_eq!((health.servers.len(), health.ends.len()), (3, 3));
        assert!(health.is_down(now + seconds(256), server(255), &Method::INVITE));
        let mut off = Health::new(HealthConfig::new().servers(0));
        off.failed(now, server(1), &Method::INVITE, Trouble::Silent);
        assert!(off.snapshot(now).is_empty());
    }
}
