//! Which ports sessions use.

use sip_io::Rng;
use std::{collections::BTreeSet, net::IpAddr, ops::Range};

/// Pairs of an even port and the next (RFC 3550 §11).
#[derive(Debug)]
pub(crate) struct Ports {
    first: u16,
    pairs: u16,
    next: u16,
    used: BTreeSet<(IpAddr, u16)>,
}

impl Ports {
    pub(crate) fn new(range: &Range<u16>, rng: &mut Rng) -> Self {
        // Port 0 and its neighbour are none.
        let first = range.start.max(2).checked_next_multiple_of(2);
        let first = first.unwrap_or(u16::MAX);
        let pairs = range.end.saturating_sub(first) / 2;
        Self {
            first,
            pairs,
            // Not always the same port after a restart: stragglers of an old call would come to a new one.
            next: rng.below(u64::from(pairs)) as u16,
            used: BTreeSet::new(),
        }
    }

    /// The even port of a pair that is free at `address` as far as we know.
    pub(crate) fn take(&mut self, address: IpAddr) -> Option<u16> {
        for _ in 0..self.pairs {
            let port = self.first + self.next * 2;
            self.next = (self.next + 1) % self.pairs;
            if self.used.insert((address, port)) {
                return Some(port);
            }
        }
        None
    }

    pub(crate) fn free(&mut self, address: IpAddr, port: u16) {
        self.used.remove(&(address, port));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_even_distinct_and_used_again() {
        let address = IpAddr::from([192, 0, 2, 1]);
        let mut ports = Ports::new(&(4_001..4_009), &mut Rng::new([1; 32]));
        let mut taken: Vec<u16> = std::iter::from_fn(|| ports.take(address)).collect();
        let first = taken[0];
        taken.sort_unstable();
        assert_eq!(taken, [4_002, 4_004, 4_006]);
        assert!(ports.take(IpAddr::from([192, 0, 2, 2])).is_some());
        ports.free(address, first);
        assert_eq!(ports.take(address), Some(first));
    }

    #[test]
    fn ranges_at_the_edges_hold_what_fits() {
        let address = IpAddr::from([192, 0, 2, 1]);
        for (range, count) in [
            (0..4, 1),
            (0..2, 0),
            (65_534..65_535, 0),
            (65_532..65_535, 1),
            (9..9, 0),
        ] {
            let mut ports = Ports::new(&range, &mut Rng::new([1; 32]));
            assert_eq!(
                std::iter::from_fn(|| ports.take(address)).count(),
                count,
                "{range:?}"
            );
        }
    }
}
