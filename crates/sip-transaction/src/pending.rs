//! Which client transactions the failure of a flow concerns.

use hashbrown::HashTable;

use crate::{
    client::Client,
    table::{Id, Table},
};

/// The pending client transactions of each flow, as a list through their records: to join one and to leave it costs the
/// same however many there are.
pub(crate) struct Pending {
    lists: HashTable<List>,
}

/// The newest transaction over a flow.
struct List {
    /// Of the flow
    hash: u64,
    newest: u32,
}

/// Where a client transaction stands among those over its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    newer: u32,
    older: u32,
}

impl Link {
    pub(crate) const ALONE: Self = Self {
        newer: NONE,
        older: NONE,
    };
}

const NONE: u32 = u32::MAX;

impl Pending {
    pub(crate) const fn new() -> Self {
        Self {
            lists: HashTable::new(),
        }
    }

    /// Adds a transaction to those over the flow with this hash.
    pub(crate) fn join(&mut self, clients: &mut Table<Client>, hash: u64, id: Id) {
        let newest = id.index();
        let older = match self.lists.find_mut(hash, |list| list.hash == hash) {
            Some(list) => std::mem::replace(&mut list.newest, newest),
            None => {
                let list = List { hash, newest };
                self.lists.insert_unique(hash, list, |list| list.hash);
                NONE
            }
        };
        if let Some(client) = clients.get_mut(id) {
            client.link = Link { newer: NONE, older };
        }
        if let Some(client) = at(clients, older) {
            client.link.newer = newest;
        }
    }

    /// Takes a transaction out; `hash` is that of its flow.
    pub(crate) fn leave(
        &mut self,
        clients: &mut Table<Client>,
        hash: impl FnOnce() -> u64,
        id: Id,
    ) {
        let Some(client) = clients.get_mut(id) else {
            return;
        };
        let Link { newer, older } = std::mem::replace(&mut client.link, Link::ALONE);
        if let Some(client) = at(clients, older) {
            client.link.newer = newer;
        }
        if let Some(client) = at(clients, newer) {
            client.link.older = older;
            return;
        }
        let hash = hash();
        if let Ok(mut list) = self.lists.find_entry(hash, |list| list.hash == hash) {
            if older == NONE {
                list.remove();
            } else {
                list.get_mut().newest = older;
            }
        }
    }

    /// Those over the flow with this hash, the oldest first.
    pub(crate) fn over(&self, clients: &Table<Client>, hash: u64) -> Vec<Id> {
        let list = self.lists.find(hash, |list| list.hash == hash);
        let mut index = list.map_or(NONE, |list| list.newest);
        let mut ids = Vec::new();
        while let Some(id) = clients.id_at(index) {
            ids.push(id);
            index = clients.get(id).map_or(NONE, |client| client.link.older);
        }
        ids.reverse();
        ids
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }
}

fn at(clients: &mut Table<Client>, index: u32) -> Option<&mut Client> {
    let id = clients.id_at(index)?;
    clients.get_mut(id)
}
