//! Which passports were shown for which calls.

use super::Passport;
use p256::ecdsa::Signature;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A bounded table of passports that were believed (RFC 8224 §12.1), the oldest first.
///
/// Only who holds a trusted key makes it grow.
#[derive(Debug)]
pub(super) struct Seen {
    calls: BTreeMap<Mark, Call>,
    limit: usize,
}

/// When it was signed, and the first half of its signature: the other half has two values that are valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark(u64, [u8; 32]);

/// The hash of a Call-ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call([u8; 32]);

impl Mark {
    pub(super) fn of(passport: &Passport, signature: &Signature) -> Self {
        let (half, _) = signature.split_bytes();
        Self(passport.issued_at, half.into())
    }
}

impl Call {
    pub(super) fn of(call_id: &[u8]) -> Self {
        Self(Sha256::digest(call_id).into())
    }
}

impl Seen {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            calls: BTreeMap::new(),
            limit,
        }
    }

    pub(super) const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Notes the passport of a call; false if it was of another call before. What was signed before `oldest` is stale
    /// and forgotten.
    pub(super) fn take(&mut self, mark: Mark, call: Call, oldest: u64) -> bool {
        while let Some((first, _)) = self.calls.first_key_value()
            && first.0 < oldest
        {
            self.calls.pop_first();
        }
        if let Some(known) = self.calls.get(&mark) {
            return *known == call;
        }
        if self.limit > 0 {
            while self.calls.len() >= self.limit {
                self.calls.pop_first();
            }
            self.calls.insert(mark, call);
        }
        true
    }

    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(time: u64, n: u64) -> Mark {
        let mut half = [0; 32];
        half[..8].copy_from_slice(&n.to_be_bytes());
        Mark(time, half)
    }

    #[test]
    fn a_passport_is_of_one_call_until_it_is_stale() {
        let (one, other) = (Call::of(b"1@a"), Call::of(b"2@a"));
        let mut seen = Seen::new(10);
        assert!(seen.take(mark(100, 1), one, 40));
        assert!(seen.take(mark(100, 1), one, 40));
        assert!(!seen.take(mark(100, 1), other, 100));
        assert!(seen.take(mark(100, 2), other, 100));
        assert!(seen.take(mark(161, 3), other, 101));
        assert_eq!(seen.len(), 1);
    }

    #[test]
    fn a_million_passports_do_not_grow_the_table_past_its_limit() {
        let (one, other) = (Call::of(b"1@a"), Call::of(b"2@a"));
        let mut seen = Seen::new(1_000);
        for n in 0..1_000_000 {
            assert!(seen.take(mark(n / 100_000, n), one, 0));
            assert!(seen.len() <= 1_000);
        }
        assert!(!seen.take(mark(9, 999_000), other, 0));
        assert!(seen.take(mark(9, 998_999), other, 0));
    }

    #[test]
    fn without_a_table_nothing_is_remembered() {
        let mut seen = Seen::new(0);
        assert!(seen.take(mark(1, 1), Call::of(b"1@a"), 0));
        assert!(seen.take(mark(1, 1), Call::of(b"2@a"), 0));
        assert_eq!(seen.len(), 0);
    }
}
