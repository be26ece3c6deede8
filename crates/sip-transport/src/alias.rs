//! Connections that peers opened, and that lead back to them (RFC 5923).

use std::{collections::HashMap, net::SocketAddr};

use ahash::RandomState;

use sip_io::StreamId;

/// RFC 5923 §5: which accepted connections stand for an advertised address.
///
/// Whether the peer is whom a request is for is looked at when one is used: an address has a row for each who claims it.
#[derive(Debug)]
pub(crate) struct Aliases {
    rows: HashMap<SocketAddr, Vec<StreamId>, RandomState>,
}

impl Aliases {
    pub(crate) fn new(hasher: RandomState) -> Self {
        Self {
            rows: HashMap::with_hasher(hasher),
        }
    }

    /// Notes a connection; whether there was room.
    pub(crate) fn insert(&mut self, address: SocketAddr, stream: StreamId) -> bool {
        let rows = self.rows.entry(address).or_default();
        let room = rows.len() < ROWS;
        if room {
            rows.push(stream);
        }
        room
    }

    pub(crate) fn remove(&mut self, address: SocketAddr, stream: StreamId) {
        if let Some(rows) = self.rows.get_mut(&address) {
            rows.retain(|row| *row != stream);
            if rows.is_empty() {
                self.rows.remove(&address);
            }
        }
    }

    /// The connections that stand for an address, the newest first.
    pub(crate) fn at(&self, address: SocketAddr) -> impl Iterator<Item = StreamId> {
        let rows = self.rows.get(&address);
        rows.into_iter().flatten().rev().copied()
    }
}

/// How many connections may stand for one address: those of a few processes of one host, and a few that are dying.
const ROWS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_rows_and_none_is_left_behind() {
        let mut aliases = Aliases::new(RandomState::with_seeds(1, 2, 3, 4));
        let address: SocketAddr = "192.0.2.1:5061".parse().unwrap();
        let taken = (0..20).filter(|n| aliases.insert(address, StreamId::accepted(*n)));
        assert_eq!(taken.count(), ROWS);
        assert_eq!(aliases.at(address).next(), Some(StreamId::accepted(7)));
        for n in 0..20 {
            aliases.remove(address, StreamId::accepted(n));
        }
        assert!(aliases.rows.is_empty());
    }
}
