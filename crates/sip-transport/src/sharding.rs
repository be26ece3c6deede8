//! Which of several machines a message is for.

use ahash::RandomState;
use sip_io::{Rng, Shard};
use sip_message::peek;
use std::{collections::BTreeMap, fmt};

/// The work of one transport layer shared by several, each with a stack of its own above it.
///
/// Everything of one dialog, transaction or registration carries one Call-ID, so a keyed hash of it says on which shard
/// it meets. A response goes where the branch of our own Via says; a Call-ID that we make is chosen such that both agree
/// ([`is_mine`](Self::is_mine)). A request with our Record-Route as its Route carries the Call-ID of the request that was
/// recorded, so it needs no rule of its own.
///
/// | what | belongs to | found by others |
/// |---|---|---|
/// | a dialog, a transaction, a registration under way | the shard of its Call-ID | by Call-ID; responses by branch |
/// | a connection | who accepted or opened it | by its number, which is in every flow |
/// | an adopted call | who adopted it | by a table that each has ([`Transport::adopt`](crate::Transport::adopt)) |
/// | the bindings of an address-of-record | the shard that a hash of it leads to | by asking that one |
/// | a nonce | who gave it | not at all: to others it has ended |
/// | a STUN question | who asked | by the last octet of its number |
///
/// All shards of a mesh have the same seed and count.
///
/// ```
/// # use sip_io::Shard;
/// # use sip_transport::Sharding;
/// let [first, second] = [0, 1].map(|me| Sharding::new(Shard::new(me).unwrap(), 2, [7; 32]));
/// assert_eq!(first.of_call("a84b4c76e66710"), second.of_call("a84b4c76e66710"));
/// assert_ne!(first.is_mine("a84b4c76e66710"), second.is_mine("a84b4c76e66710"));
/// ```
#[derive(Clone)]
pub struct Sharding {
    me: Shard,
    count: usize,
    key: RandomState,
}

impl Sharding {
    /// One of `count` shards; the seed makes the key, so that nobody outside can choose where his messages go.
    pub fn new(me: Shard, count: usize, seed: [u8; 32]) -> Self {
        let mut rng = Rng::new(seed);
        let [one, two, three, four] = [(); 4].map(|()| rng.next_u64());
        Self {
            me,
            count: count.clamp(1, Shard::MOST),
            key: RandomState::with_seeds(one, two, three, four),
        }
    }

    /// Which one it is.
    pub const fn me(&self) -> Shard {
        self.me
    }

    /// How many there are.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// All of them but this one.
    pub fn others(&self) -> impl Iterator<Item = Shard> + use<> {
        let me = self.me;
        Shard::first(self.count).filter(move |shard| *shard != me)
    }

    /// Where the messages with this Call-ID meet.
    pub fn of_call(&self, call_id: &str) -> Shard {
        self.of_key(call_id.as_bytes())
    }

    /// Whether messages with this Call-ID meet here.
    pub fn is_mine(&self, call_id: &str) -> bool {
        self.of_call(call_id) == self.me
    }

    /// Who owns what has this name: the bindings of an address-of-record, say.
    pub fn of_key(&self, key: &[u8]) -> Shard {
        self.of_number(self.number(key))
    }

    /// What stands for a name between shards.
    pub(crate) fn number(&self, key: &[u8]) -> u64 {
        self.key.hash_one(key)
    }

    pub(crate) const fn of_number(&self, number: u64) -> Shard {
        match Shard::new((number % self.count as u64) as usize) {
            Some(shard) => shard,
            None => self.me,
        }
    }

    /// What our branches say after the cookie of RFC 3261 §8.1.1.7: whose they are.
    pub fn mark(&self) -> [char; 2] {
        let number = self.me.index();
        [number >> 5, number & 31].map(|place| char::from(ALPHABET[place]))
    }

    /// The shard for a message, if it can be told.
    pub(crate) fn of_message(&self, message: &[u8], adopted: &Adopted) -> Option<Shard> {
        let peek = peek(message)?;
        if !peek.is_request
            && let Some(shard) = peek.branch.and_then(|branch| self.of_branch(branch))
        {
            return Some(shard);
        }
        let call = self.number(peek.call_id.as_bytes());
        Some(adopted.by(call).unwrap_or_else(|| self.of_number(call)))
    }

    /// Whose branch it is, as [`mark`](Self::mark) says.
    fn of_branch(&self, branch: &str) -> Option<Shard> {
        let mark = branch.as_bytes().get(COOKIE..COOKIE + 2)?;
        let place = |byte: &u8| {
            let byte = byte.to_ascii_lowercase();
            ALPHABET.iter().position(|known| *known == byte)
        };
        let number = place(&mark[0])? << 5 | place(&mark[1])?;
        Shard::new(number).filter(|shard| shard.index() < self.count)
    }
}

impl fmt::Debug for Sharding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sharding({} of {})", self.me, self.count)
    }
}

/// The calls whose messages meet elsewhere than their Call-ID says.
#[derive(Debug, Default)]
pub(crate) struct Adopted(BTreeMap<u64, Shard>);

impl Adopted {
    /// Who has a call, if it was adopted. Where none was it costs nothing.
    fn by(&self, call: u64) -> Option<Shard> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&call).copied()
    }

    /// Whether there is room for it.
    pub(crate) fn admits(&self, call: u64, limit: usize) -> bool {
        self.0.len() < limit || self.0.contains_key(&call)
    }

    pub(crate) fn insert(&mut self, call: u64, by: Shard) {
        self.0.insert(call, by);
    }

    pub(crate) fn remove(&mut self, call: u64) {
        self.0.remove(&call);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Five bits each, whatever becomes of the case.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The length of `z9hG4bK`.
const COOKIE: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;

    fn shards(count: usize) -> Vec<Sharding> {
        Shard::first(count)
            .map(|me| Sharding::new(me, count, [5; 32]))
            .collect()
    }

    #[test]
    fn every_call_has_one_shard_and_every_shard_its_calls() {
        let shards = shards(4);
        let mut calls = [0_u32; 4];
        for number in 0..4_000 {
            let call_id = format!("{number}@pbx");
            let mine: Vec<_> = shards.iter().filter(|s| s.is_mine(&call_id)).collect();
            assert_eq!(mine.len(), 1);
            calls[mine[0].me().index()] += 1;
        }
        assert!(
            calls.iter().all(|calls| (850..1_150).contains(calls)),
            "{calls:?}"
        );
    }

    #[test]
    fn a_response_goes_where_our_branch_says_whatever_its_call_id() {
        let none = Adopted::default();
        for sharding in shards(64) {
            let [high, low] = sharding.mark();
            let response = format!(
                "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{high}{low}rest\r\n\
                 Call-ID: x\r\nCSeq: 1 BYE\r\n\r\n"
            );
            assert_eq!(
                sharding.of_message(response.as_bytes(), &none),
                Some(sharding.me())
            );
            // A request with that branch is somebody else's.
            let request = response.replace("SIP/2.0 200 OK", "BYE sip:h SIP/2.0");
            assert_eq!(
                sharding.of_message(request.as_bytes(), &none),
                Some(sharding.of_call("x"))
            );
        }
    }

    #[test]
    fn a_branch_that_names_no_shard_leads_by_call_id() {
        let (sharding, none) = (&shards(3)[0], Adopted::default());
        for branch in ["z9hG4bK", "z9hG4bK77x", "z9hG4bKa!", "1", ""] {
            let response = format!(
                "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch={branch}\r\nCall-ID: x\r\nCSeq: 1 BYE\r\n\r\n"
            );
            let shard = sharding.of_message(response.as_bytes(), &none);
            assert_eq!(shard, Some(sharding.of_call("x")), "{branch}");
        }
        assert_eq!(sharding.of_message(b"nonsense", &none), None);
    }
}
