//! Transactions by key and by id.

use std::collections::HashMap;

use ahash::RandomState;
use slab::Slab;

use crate::key::Key;

/// Records in one slab, found by the key that a message has, or by the id that the transaction user was given.
pub(crate) struct Table<T> {
    records: Slab<Record<T>>,
    ids: HashMap<Key, Id, RandomState>,
    serial: u32,
}

struct Record<T> {
    key: Key,
    serial: u32,
    value: T,
}

/// A place in the slab and the number of its tenant, so that an id of a former tenant finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id {
    index: u32,
    serial: u32,
}

impl Id {
    pub(crate) const fn as_u64(self) -> u64 {
        (self.serial as u64) << 32 | self.index as u64
    }

    /// Before every other one
    pub(crate) const FIRST: Self = Self {
        index: 0,
        serial: 0,
    };

    /// After every other one
    pub(crate) const LAST: Self = Self {
        index: u32::MAX,
        serial: u32::MAX,
    };
}

impl<T> Table<T> {
    pub(crate) fn new(hasher: RandomState) -> Self {
        Self {
            records: Slab::new(),
            ids: HashMap::with_hasher(hasher),
            serial: 0,
        }
    }

    /// Adds a record under a key that no other one has.
    pub(crate) fn insert(&mut self, key: Key, value: T) -> Id {
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        let index = self.records.insert(Record { key, serial, value });
        let index = u32::try_from(index).expect("limits are far below 2^32");
        let id = Id { index, serial };
        self.ids.insert(key, id);
        id
    }

    pub(crate) fn find(&self, key: &Key) -> Option<Id> {
        self.ids.get(key).copied()
    }

    pub(crate) fn get(&self, id: Id) -> Option<&T> {
        let record = self.records.get(id.index as usize)?;
        (record.serial == id.serial).then_some(&record.value)
    }

    pub(crate) fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        let record = self.records.get_mut(id.index as usize)?;
        (record.serial == id.serial).then_some(&mut record.value)
    }

    pub(crate) fn remove(&mut self, id: Id) -> Option<T> {
        self.get(id)?;
        let record = self.records.remove(id.index as usize);
        self.ids.remove(&record.key);
        Some(record.value)
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_former_tenant_finds_nothing() {
        let mut table = Table::new(RandomState::with_seeds(1, 2, 3, 4));
        let (one, other) = (Key::from_parts(1, 1), Key::from_parts(2, 2));
        let first = table.insert(one, "first");
        assert_eq!(table.remove(first), Some("first"));
        let second = table.insert(other, "second");
        assert_eq!(first.index, second.index);
        assert_eq!(table.get(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!(table.find(&one), None);
        assert_eq!(table.find(&other), Some(second));
        assert_eq!(table.len(), 1);
    }
}
