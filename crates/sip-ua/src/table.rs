//! Tables whose ids go stale instead of meaning something else.

use std::{fmt, marker::PhantomData};

use slab::Slab;

/// An id of a [`Table`].
pub(crate) trait Key: Copy {
    fn new(index: u32, generation: u32) -> Self;
    fn index(self) -> u32;
    fn generation(self) -> u32;
}

/// A slab with generations: an id names one value and never its successor in the same place.
pub(crate) struct Table<K, T> {
    slots: Slab<(u32, T)>,
    generation: u32,
    keys: PhantomData<fn(K) -> K>,
}

impl<K: Key, T> Table<K, T> {
    pub(crate) const fn new() -> Self {
        Self {
            slots: Slab::new(),
            generation: 0,
            keys: PhantomData,
        }
    }

    pub(crate) fn insert(&mut self, value: T) -> K {
        self.insert_with(|_| value)
    }

    /// Inserts what knows its own id.
    pub(crate) fn insert_with(&mut self, value: impl FnOnce(K) -> T) -> K {
        self.generation = self.generation.wrapping_add(1);
        let slot = self.slots.vacant_entry();
        let key = K::new(slot.key() as u32, self.generation);
        slot.insert((self.generation, value(key)));
        key
    }

    pub(crate) fn get(&self, key: K) -> Option<&T> {
        let (generation, value) = self.slots.get(key.index() as usize)?;
        (*generation == key.generation()).then_some(value)
    }

    pub(crate) fn get_mut(&mut self, key: K) -> Option<&mut T> {
        let (generation, value) = self.slots.get_mut(key.index() as usize)?;
        (*generation == key.generation()).then_some(value)
    }

    pub(crate) fn remove(&mut self, key: K) -> Option<T> {
        self.get(key)?;
        Some(self.slots.remove(key.index() as usize).1)
    }

    pub(crate) fn keys(&self) -> Vec<K> {
        self.slots
            .iter()
            .map(|(index, (generation, _))| K::new(index as u32, *generation))
            .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

impl<K, T> fmt::Debug for Table<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("len", &self.slots.len())
            .finish_non_exhaustive()
    }
}

/// Declares the id of a table.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name {
            index: u32,
            generation: u32,
        }

        impl $crate::table::Key for $name {
            fn new(index: u32, generation: u32) -> Self {
                Self { index, generation }
            }

            fn index(self) -> u32 {
                self.index
            }

            fn generation(self) -> u32 {
                self.generation
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), " {}.{}"), self.index, self.generation)
            }
        }
    };
}

pub(crate) use id;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Number(u32, u32);

    impl Key for Number {
        fn new(index: u32, generation: u32) -> Self {
            Self(index, generation)
        }

        fn index(self) -> u32 {
            self.0
        }

        fn generation(self) -> u32 {
            self.1
        }
    }

    #[test]
    fn a_stale_key_does_not_name_the_successor() {
        let mut table: Table<Number, &str> = Table::new();
        let first = table.insert("first");
        assert_eq!(table.remove(first), Some("first"));
        let second = table.insert("second");
        assert_eq!(table.get(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!(table.get_mut(second), Some(&mut "second"));
        assert_eq!(table.keys(), [second]);
        assert_eq!(table.len(), 1);
    }
}
