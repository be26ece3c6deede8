//! Which nonce counts were seen.

use crate::nonce::NonceId;
use std::collections::BTreeMap;

/// A bounded table of counts that were used with valid credentials (RFC 7616 §3.4.5).
///
/// Over UDP requests overtake each other, so each nonce has a window of 64 counts. When the table is full, the oldest
/// nonce leaves it, and from then on nothing up to that one is taken any more unless it is in the table: a replay never
/// succeeds, and whoever still uses such a nonce gets a new one by a challenge with `stale=true`.
#[derive(Debug)]
pub(crate) struct Replay {
    windows: BTreeMap<NonceId, Window>,
    limit: usize,
    /// The newest nonce that had to leave while it was good
    evicted: Option<NonceId>,
    evictions: u64,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    highest: u32,
    /// Bit `n` says that `highest - n` was seen
    seen: u64,
}

impl Replay {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            windows: BTreeMap::new(),
            limit,
            evicted: None,
            evictions: 0,
        }
    }

    /// Whether the count would be taken.
    pub(crate) fn is_new(&self, id: NonceId, count: u32) -> bool {
        match self.windows.get(&id) {
            Some(window) => window.is_new(count),
            None => !self.is_gone(id),
        }
    }

    /// Whether the nonce may have been in the table and had to leave.
    fn is_gone(&self, id: NonceId) -> bool {
        self.evicted.is_some_and(|evicted| id <= evicted)
    }

    /// Takes the count; false if it was taken before, or may have been. `is_over` says which nonces have ended anyway.
    pub(crate) fn take(
        &mut self,
        id: NonceId,
        count: u32,
        is_over: impl Fn(NonceId) -> bool,
    ) -> bool {
        if let Some(window) = self.windows.get_mut(&id) {
            let is_new = window.is_new(count);
            if is_new {
                window.take(count);
            }
            return is_new;
        }
        if self.is_gone(id) {
            return false;
        }
        while let Some((&oldest, _)) = self.windows.first_key_value() {
            let full = self.windows.len() >= self.limit;
            if !full && !is_over(oldest) {
                break;
            }
            if !is_over(oldest) {
                self.evictions += 1;
                self.evicted = self.evicted.max(Some(oldest));
            }
            self.windows.pop_first();
        }
        // With the table's newest nonces in it, an older one would have to leave at once.
        if self.limit == 0 || self.is_gone(id) {
            return false;
        }
        let window = Window {
            highest: count,
            seen: 1,
        };
        self.windows.insert(id, window);
        true
    }

    pub(crate) fn len(&self) -> usize {
        self.windows.len()
    }

    pub(crate) const fn evictions(&self) -> u64 {
        self.evictions
    }
}

impl Window {
    const fn is_new(self, count: u32) -> bool {
        if count > self.highest {
            return true;
        }
        let back = self.highest - count;
        back < u64::BITS && self.seen & (1 << back) == 0
    }

    const fn take(&mut self, count: u32) {
        if count > self.highest {
            let ahead = count - self.highest;
            self.seen = if ahead < u64::BITS {
                self.seen << ahead
            } else {
                0
            } | 1;
            self.highest = count;
        } else {
            self.seen |= 1 << (self.highest - count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nonce::Nonces;
    use proptest::prelude::*;
    use std::{collections::BTreeSet, time::Duration};

    fn ids(count: usize) -> Vec<NonceId> {
        let mut nonces = Nonces::new([1; 16], 0, "r", 0, Duration::from_secs(300));
        (0..count)
            .map(|n| {
                let seconds = n as u64 / 100;
                let nonce = nonces.mint(seconds, None);
                nonces
                    .check(nonce.as_bytes(), seconds, None)
                    .expect("is ours")
            })
            .collect()
    }

    #[test]
    fn counts_may_overtake_each_other_but_not_repeat() {
        let id = ids(1)[0];
        let mut replay = Replay::new(10);
        for count in [1, 3, 2, 70, 7, 69, 71] {
            assert!(replay.take(id, count, |_| false), "{count}");
        }
        for count in [1, 2, 3, 6, 7, 69, 70, 71] {
            assert!(!replay.take(id, count, |_| false), "{count}");
        }
        assert!(replay.take(id, u32::MAX, |_| false));
        assert!(!replay.take(id, 72, |_| false));
        assert!(replay.take(id, u32::MAX - 63, |_| false));
    }

    #[test]
    fn a_full_table_never_lets_a_replay_through() {
        let ids = ids(1_000);
        let mut replay = Replay::new(10);
        for id in &ids {
            assert!(replay.take(*id, 1, |_| false));
            assert!(replay.len() <= 10);
        }
        assert!(ids.iter().all(|id| !replay.take(*id, 1, |_| false)));
        // Evicted ones take no count at all, those that are left go on.
        assert!(!replay.take(ids[500], 2, |_| false));
        assert!(replay.take(ids[995], 2, |_| false));
        assert_eq!(replay.evictions(), 990);
    }

    #[test]
    fn nonces_that_have_ended_make_room() {
        let ids = ids(300);
        let mut replay = Replay::new(250);
        for id in &ids {
            assert!(replay.take(*id, 1, |old| old.seconds() + 1 < id.seconds()));
        }
        assert_eq!((replay.len(), replay.evictions()), (200, 0));
    }

    #[test]
    fn a_million_nonces_do_not_grow_the_table_past_its_limit() {
        let mut replay = Replay::new(1_000);
        for id in (0..1_000_000).map(NonceId::from_serial) {
            assert!(replay.take(id, 1, |_| false));
            assert!(replay.len() <= 1_000);
        }
        assert_eq!(replay.evictions(), 999_000);
    }

    #[test]
    fn without_a_table_nothing_is_taken() {
        assert!(!Replay::new(0).take(ids(1)[0], 1, |_| false));
    }

    proptest! {
        #[test]
        fn each_count_is_taken_at_most_once(counts in prop::collection::vec(1_u32..200, 1..400)) {
            let id = ids(1)[0];
            let mut replay = Replay::new(1);
            let (mut taken, mut highest) = (BTreeSet::new(), 0);
            for count in counts {
                let is_new = !taken.contains(&count) && (count > highest || highest - count < 64);
                prop_assert_eq!(replay.is_new(id, count), is_new);
                prop_assert_eq!(replay.take(id, count, |_| false), is_new);
                if is_new {
                    taken.insert(count);
                    highest = highest.max(count);
                }
            }
        }
    }
}
