//! Who has failed too often.

use ahash::RandomState;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    time::{Duration, Instant},
};

/// After how many failures a user or a source waits, and how long.
///
/// A user waits only towards the source of the failures, so that nobody locks a user out from elsewhere. Each failure
/// beyond the free ones doubles the wait.
///
/// ```
/// use sip_auth::{BackOff, Digest};
///
/// let strict = Digest::realm("example.com").back_off(BackOff::default().user_failures(3));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BackOff {
    user_failures: u32,
    source_failures: u32,
    first: Duration,
    longest: Duration,
    entries: usize,
}

impl Default for BackOff {
    fn default() -> Self {
        Self {
            user_failures: 5,
            source_failures: 100,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(300),
            entries: 10_000,
        }
    }
}

impl BackOff {
    /// Failures of one user from one source that cost no wait. Defaults to 5, because people mistype.
    #[must_use]
    pub const fn user_failures(mut self, user_failures: u32) -> Self {
        self.user_failures = user_failures;
        self
    }

    /// Failures from one source, whoever it says to be, that cost no wait. Defaults to 100, because a source may be a
    /// whole office or a proxy.
    #[must_use]
    pub const fn source_failures(mut self, source_failures: u32) -> Self {
        self.source_failures = source_failures;
        self
    }

    /// The first wait. Defaults to 1 s.
    #[must_use]
    pub const fn first(mut self, first: Duration) -> Self {
        self.first = first;
        self
    }

    /// The longest wait. Defaults to 300 s. After twice that time without a failure all is forgotten.
    #[must_use]
    pub const fn longest(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// How many users and sources are remembered, at some 100 bytes each. Defaults to 10,000; when there are more,
    /// those whose last failure is the oldest are forgotten.
    #[must_use]
    pub const fn entries(mut self, entries: usize) -> Self {
        self.entries = entries;
        self
    }
}

/// A bounded table of failures.
pub(crate) struct Failures {
    policy: BackOff,
    /// Names are kept as keyed hashes: a peer that chooses long ones costs no memory
    hasher: RandomState,
    counts: BTreeMap<u64, Count>,
    /// The same by the time of the last failure
    order: BTreeSet<(Instant, u64)>,
}

#[derive(Clone, Copy)]
struct Count {
    failures: u32,
    last: Instant,
}

impl Failures {
    pub(crate) fn new(policy: BackOff, seeds: [u64; 4]) -> Self {
        Self {
            policy,
            hasher: RandomState::with_seeds(seeds[0], seeds[1], seeds[2], seeds[3]),
            counts: BTreeMap::new(),
            order: BTreeSet::new(),
        }
    }

    /// How long they have to wait still.
    pub(crate) fn wait(
        &self,
        now: Instant,
        user: &str,
        source: Option<IpAddr>,
    ) -> Option<Duration> {
        let [of_user, of_source] = self.keys(user, source);
        let user_wait = self.wait_of(now, of_user, self.policy.user_failures);
        let source_wait =
            source.and_then(|_| self.wait_of(now, of_source, self.policy.source_failures));
        user_wait.max(source_wait)
    }

    pub(crate) fn failed(&mut self, now: Instant, user: &str, source: Option<IpAddr>) {
        let [of_user, of_source] = self.keys(user, source);
        self.add(now, of_user);
        if source.is_some() {
            self.add(now, of_source);
        }
    }

    /// A user who knows the password starts afresh; the source may have guessed at others.
    pub(crate) fn succeeded(&mut self, user: &str, source: Option<IpAddr>) {
        let [of_user, _] = self.keys(user, source);
        if let Some(count) = self.counts.remove(&of_user) {
            self.order.remove(&(count.last, of_user));
        }
    }

    /// Failures of the user from the source, and of the source.
    pub(crate) fn count(&self, user: &str, source: Option<IpAddr>) -> (u32, u32) {
        let [of_user, of_source] = self
            .keys(user, source)
            .map(|key| self.counts.get(&key).map_or(0, |count| count.failures));
        (of_user, of_source)
    }

    pub(crate) fn len(&self) -> usize {
        self.counts.len()
    }

    fn keys(&self, user: &str, source: Option<IpAddr>) -> [u64; 2] {
        [
            self.hasher.hash_one((Some(user), source)),
            self.hasher.hash_one((None::<&str>, source)),
        ]
    }

    fn wait_of(&self, now: Instant, key: u64, free: u32) -> Option<Duration> {
        let count = self.counts.get(&key)?;
        let beyond = count.failures.checked_sub(free)?.checked_sub(1)?;
        let wait = self
            .policy
            .first
            .saturating_mul(1 << beyond.min(20))
            .min(self.policy.longest);
        (count.last + wait)
            .checked_duration_since(now)
            .filter(|left| !left.is_zero())
    }

    fn add(&mut self, now: Instant, key: u64) {
        let forgotten = self.policy.longest.saturating_mul(2);
        while let Some(&(last, oldest)) = self.order.first() {
            let is_over = now.saturating_duration_since(last) >= forgotten;
            let is_full =
                self.counts.len() >= self.policy.entries && !self.counts.contains_key(&key);
            if !is_over && !is_full {
                break;
            }
            self.order.pop_first();
            self.counts.remove(&oldest);
        }
        if self.policy.entries == 0 {
            return;
        }
        let count = self.counts.entry(key).or_insert(Count {
            failures: 0,
            last: now,
        });
        self.order.remove(&(count.last, key));
        count.failures = count.failures.saturating_add(1);
        count.last = now;
        self.order.insert((now, key));
    }
}

impl fmt::Debug for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failures")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a test needs an instant to start from
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn here() -> Option<IpAddr> {
        "192.0.2.1".parse().ok()
    }

    #[test]
    fn waits_double_and_end_and_spare_other_sources() {
        let now = Instant::now();
        let policy = BackOff::default().user_failures(2).longest(4 * SECOND);
        let mut failures = Failures::new(policy, [1, 2, 3, 4]);
        let expected = [None, None, Some(1), Some(2), Some(4), Some(4)];
        for wait in expected {
            failures.failed(now, "alice", here());
            assert_eq!(
                failures.wait(now, "alice", here()),
                wait.map(|n| n * SECOND)
            );
        }
        assert_eq!(failures.count("alice", here()), (6, 6));
        assert_eq!(failures.wait(now, "alice", "192.0.2.2".parse().ok()), None);
        assert_eq!(failures.wait(now, "bob", here()), None);
        assert_eq!(failures.wait(now + 4 * SECOND, "alice", here()), None);
        failures.succeeded("alice", here());
        assert_eq!(failures.wait(now, "alice", here()), None);
        assert_eq!(failures.count("alice", here()), (0, 6));
        // After twice the longest wait the next failure finds an empty table.
        failures.failed(now + 8 * SECOND, "carol", None);
        assert_eq!(failures.count("alice", here()), (0, 0));
    }

    #[test]
    fn a_source_that_tries_many_users_waits() {
        let now = Instant::now();
        let policy = BackOff::default().source_failures(10);
        let mut failures = Failures::new(policy, [1, 2, 3, 4]);
        for n in 0..11 {
            assert_eq!(failures.wait(now, "next", here()), None);
            failures.failed(now, &format!("user{n}"), here());
        }
        assert_eq!(failures.wait(now, "next", here()), Some(SECOND));
        assert_eq!(failures.wait(now, "next", None), None);
    }

    #[test]
    fn a_million_users_do_not_grow_the_table_past_its_limit() {
        let mut now = Instant::now();
        let mut failures = Failures::new(BackOff::default().entries(1_000), [1, 2, 3, 4]);
        for n in 0_u32..1_000_000 {
            now += Duration::from_micros(1);
            failures.failed(now, &n.to_string(), here());
            assert!(failures.len() <= 1_000);
        }
        assert_eq!(failures.order.len(), failures.len());
        assert!(failures.wait(now, "x", here()).is_some());
    }
}
