//! How many connections each peer has opened.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
};

use ahash::RandomState;

/// Counts accepted connections by where they come from.
#[derive(Debug)]
pub(crate) struct Sources {
    counts: HashMap<Source, usize, RandomState>,
}

/// An IPv4 address, or the network that an IPv6 peer can choose its addresses from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Source(IpAddr);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            // RFC 4291 §2.5.1: the lower half is the host's own.
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
            v4 => v4,
        })
    }
}

impl Sources {
    pub(crate) fn new(hasher: RandomState) -> Self {
        Self {
            counts: HashMap::with_hasher(hasher),
        }
    }

    /// Counts one more, unless there are `limit` already.
    pub(crate) fn admit(&mut self, source: Source, limit: usize) -> bool {
        let count = self.counts.entry(source).or_default();
        let admitted = *count < limit;
        *count += usize::from(admitted);
        if *count == 0 {
            self.counts.remove(&source);
        }
        admitted
    }

    /// Counts one less.
    pub(crate) fn release(&mut self, source: Source) {
        if let Some(count) = self.counts.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&source);
            }
        }
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_source() {
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:0:0:1"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    }

    #[test]
    fn nobody_gets_past_the_limit_and_nothing_remains() {
        let mut sources = Sources::new(RandomState::with_seeds(1, 2, 3, 4));
        let (one, other) = (source("192.0.2.1"), source("192.0.2.2"));
        assert!(sources.admit(one, 2) && sources.admit(one, 2));
        assert!(!sources.admit(one, 2));
        assert!(sources.admit(other, 2));
        sources.release(one);
        assert!(sources.admit(one, 2));
        for _ in 0..2 {
            sources.release(one);
        }
        sources.release(other);
        assert!(sources.is_empty());
        assert!(!sources.admit(one, 0));
        assert!(sources.is_empty());
    }
}
