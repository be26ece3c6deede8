//! Transactions by key and by id.

use hashbrown::HashTable;
use slab::Slab;

use crate::key::Key;

/// Records in one slab, found by the key that a message has, or by the id that the transaction user was given.
pub(crate) struct Table<T> {
    records: Slab<Record<T>>,
    /// Places in the slab by key. The keys themselves stand in the records alone, which makes this a third as large as a
    /// map from keys to ids.
    places: HashTable<Place>,
    serial: u32,
}

struct Record<T> {
    key: Key,
    serial: u32,
    value: T,
}

#[derive(Clone, Copy)]
struct Place {
    index: u32,
    /// Of the key, so that growing visits no record
    digest: u32,
}

impl Place {
    /// A key is a fingerprint of chance already, so it is only spread.
    const fn hash(self) -> u64 {
        (self.digest as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
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

    /// Where the record stands, which no other one does as long as it stands there.
    pub(crate) const fn index(self) -> u32 {
        self.index
    }
}

impl<T> Table<T> {
    pub(crate) fn new() -> Self {
        Self {
            records: Slab::new(),
            places: HashTable::new(),
            serial: 0,
        }
    }

    /// The id that the next record gets.
    pub(crate) fn next_id(&self) -> Id {
        let index = u32::try_from(self.records.vacant_key());
        Id {
            index: index.expect("limits are far below 2^32"),
            serial: self.serial.wrapping_add(1),
        }
    }

    /// Adds a record under a key that no other one has.
    pub(crate) fn insert(&mut self, key: Key, value: T) -> Id {
        let id = self.next_id();
        let Id { index, serial } = id;
        self.serial = serial;
        self.records.insert(Record { key, serial, value });
        let digest = key.digest();
        let place = Place { index, digest };
        self.places
            .insert_unique(place.hash(), place, |place| place.hash());
        id
    }

    pub(crate) fn find(&self, key: &Key) -> Option<Id> {
        let digest = key.digest();
        let hash = Place { index: 0, digest }.hash();
        let place = self.places.find(hash, |place| {
            place.digest == digest && self.records[place.index as usize].key == *key
        })?;
        self.id_at(place.index)
    }

    /// The id of the record that stands there.
    pub(crate) fn id_at(&self, index: u32) -> Option<Id> {
        let serial = self.records.get(index as usize)?.serial;
        Some(Id { index, serial })
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
        let (index, digest) = (id.index, record.key.digest());
        let hash = Place { index, digest }.hash();
        if let Ok(place) = self.places.find_entry(hash, |place| place.index == index) {
            place.remove();
        }
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
        let mut table = Table::new();
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

    #[test]
    fn keys_of_one_digest_are_told_apart() {
        let mut table = Table::new();
        let keys = [1, 2, 3].map(|other| Key::from_parts(7, other));
        let ids = keys.map(|key| table.insert(key, key));
        assert_eq!(table.remove(ids[1]), Some(keys[1]));
        assert_eq!(
            keys.map(|key| table.find(&key)),
            [Some(ids[0]), None, Some(ids[2])]
        );
    }
}
