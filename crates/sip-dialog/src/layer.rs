//! The table of dialogs, and the 2xx that wait for their ACK.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    hash::{BuildHasher, Hasher},
    time::{Duration, Instant},
};

use ahash::RandomState;
use sip_io::{Rng, TimerId, TimerQueue};
use sip_message::{Request, Response, Tag, headers};
use slab::Slab;
use thiserror::Error;

use crate::{
    Dialog, DialogId,
    invite::{Acceptance, AcceptanceAction, AcceptanceInput},
};

/// The settings of a [`DialogLayer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DialogConfig {
    t1: Duration,
    t2: Duration,
    limit: usize,
}

impl Default for DialogConfig {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            limit: 65_536,
        }
    }
}

impl DialogConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first interval at which a 2xx is repeated; 64 of them are the time that the ACK has.
    ///
    /// Defaults to 500 ms, because RFC 3261 §17.1.1.1 estimates a round trip so. Should be what the transactions use.
    #[must_use]
    pub const fn t1(mut self, t1: Duration) -> Self {
        self.t1 = t1;
        self
    }

    /// The longest interval at which a 2xx is repeated.
    ///
    /// Defaults to 4 s (RFC 3261 §13.3.1.4).
    #[must_use]
    pub const fn t2(mut self, t2: Duration) -> Self {
        self.t2 = t2;
        self
    }

    /// How many dialogs there may be.
    ///
    /// Defaults to 65,536, as many as transactions. When it is reached, [`DialogLayer::insert`] refuses; a user agent
    /// then answers 503.
    #[must_use]
    pub const fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }
}

/// Names one dialog of a [`DialogLayer`]; stale once the dialog was removed, and then harmless.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DialogKey {
    index: u32,
    generation: u32,
}

impl fmt::Debug for DialogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dialog {}.{}", self.index, self.generation)
    }
}

/// Why a dialog could not be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InsertError {
    /// There are as many as the configuration allows
    #[error("there are {0} dialogs, as many as allowed")]
    Full(usize),
    /// There is one with the same Call-ID and tags
    #[error("there is a dialog with the same Call-ID and tags")]
    Exists,
}

/// Why a 2xx could not be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The dialog is gone
    #[error("the dialog is gone")]
    Gone,
    /// Too many 2xx of this dialog wait for their ACK
    #[error("{0} responses of this dialog wait for their ACK, as many as allowed")]
    Full(usize),
}

/// What a [`DialogLayer`] tells its owner.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // made once and handed over once
pub enum Event<T> {
    /// Send this 2xx again: its ACK has not come
    Repeat {
        /// The dialog
        dialog: DialogKey,
        /// What the owner called the server transaction of the INVITE
        transaction: T,
        /// The response, as it was first sent
        response: Response,
    },
    /// No ACK came in 64*T1: end the session with a BYE (RFC 3261 §13.3.1.4)
    NoAck {
        /// The dialog
        dialog: DialogKey,
        /// The CSeq number of the INVITE
        cseq: u32,
    },
}

/// Every dialog of a user agent, found by Call-ID and both tags, with the timers of the INVITE usage.
///
/// The layer knows messages and time, not transactions: its owner pairs the two, and `T` is whatever that owner calls
/// a server transaction.
///
/// ```
/// # use sip_dialog::{Dialog, DialogConfig, DialogLayer};
/// # use sip_io::Rng;
/// # use sip_message::{Request, Tag};
/// # use std::time::Instant;
/// let now = Instant::now();
/// let mut layer: DialogLayer<u32> = DialogLayer::new(DialogConfig::new(), &mut Rng::new([7; 32]), now);
/// let invite = Request::parse(
///     "INVITE sip:bob@192.0.2.2 SIP/2.0\r\n\
///      Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
///      Max-Forwards: 70\r\n\
///      From: <sip:alice@example.com>;tag=a\r\n\
///      To: <sip:bob@example.com>\r\n\
///      Call-ID: 1@192.0.2.1\r\n\
///      CSeq: 1 INVITE\r\n\
///      Contact: <sip:alice@192.0.2.1>\r\n\
///      Content-Length: 0\r\n\r\n".into(),
/// )?;
/// let key = layer.insert(Dialog::uas(&invite, Tag::new("b")?)?)?;
/// assert!(layer.get(key).is_some());
/// layer.remove(key);
/// assert!(layer.get(key).is_none() && layer.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DialogLayer<T> {
    config: DialogConfig,
    dialogs: Slab<Entry<T>>,
    by_id: HashMap<Fingerprint, DialogKey, RandomState>,
    next_generation: u32,
    timers: TimerQueue<Due>,
    events: VecDeque<Event<T>>,
}

impl<T: Copy> DialogLayer<T> {
    /// An empty table.
    pub fn new(config: DialogConfig, rng: &mut Rng, now: Instant) -> Self {
        let hasher = RandomState::with_seeds(
            rng.next_u64(),
            rng.next_u64(),
            rng.next_u64(),
            rng.next_u64(),
        );
        Self {
            config,
            dialogs: Slab::new(),
            by_id: HashMap::with_hasher(hasher),
            next_generation: 0,
            timers: TimerQueue::new(now),
            events: VecDeque::new(),
        }
    }

    /// Adds a dialog.
    ///
    /// # Errors
    /// When the table is full, or one with the same Call-ID and tags is in it.
    pub fn insert(&mut self, dialog: impl Into<Box<Dialog>>) -> Result<DialogKey, InsertError> {
        let dialog = dialog.into();
        if self.dialogs.len() >= self.config.limit {
            return Err(InsertError::Full(self.config.limit));
        }
        let id = self.fingerprint(dialog.id().into());
        // By a chance of one in 2**64 it is another dialog, and this one is refused for nothing.
        if self.by_id.contains_key(&id) {
            return Err(InsertError::Exists);
        }
        let generation = self.next_generation;
        self.next_generation = self.next_generation.wrapping_add(1);
        let index = self.dialogs.insert(Entry {
            generation,
            dialog,
            accepted: Vec::new(),
        });
        let key = DialogKey {
            index: index as u32,
            generation,
        };
        self.by_id.insert(id, key);
        Ok(key)
    }

    /// Takes a dialog out, and with it the timers of its 2xx.
    pub fn remove(&mut self, key: DialogKey) -> Option<Box<Dialog>> {
        self.entry(key)?;
        let entry = self.dialogs.remove(key.index as usize);
        let id = self.fingerprint(entry.dialog.id().into());
        self.by_id.remove(&id);
        for accepted in &entry.accepted {
            accepted.cancel(&mut self.timers);
        }
        self.forget_events(key);
        Some(entry.dialog)
    }

    /// The 2xx to the INVITE with this CSeq number was sent: repeat it until [`acknowledge`](Self::acknowledge).
    ///
    /// # Errors
    /// When the dialog is gone, or [`ACCEPTED_LIMIT`] of its 2xx wait already.
    pub fn accept(
        &mut self,
        now: Instant,
        key: DialogKey,
        cseq: u32,
        transaction: T,
        response: impl Into<Box<Response>>,
    ) -> Result<(), AcceptError> {
        let DialogConfig { t1, .. } = self.config;
        let entry = entry_mut(&mut self.dialogs, key).ok_or(AcceptError::Gone)?;
        if entry.accepted.len() >= ACCEPTED_LIMIT {
            return Err(AcceptError::Full(ACCEPTED_LIMIT));
        }
        let due = |what| Due {
            dialog: key,
            cseq,
            what,
        };
        // One at a time is what correct peers bring about.
        entry.accepted.reserve_exact(1);
        entry.accepted.push(Accepted {
            cseq,
            transaction,
            response: response.into(),
            state: Acceptance::new(t1),
            interval: self.timers.insert(now + t1, due(What::Interval)),
            deadline: self.timers.insert(now + 64 * t1, due(What::Deadline)),
        });
        Ok(())
    }

    /// The ACK to the 2xx of the INVITE with this CSeq number came; says whether one was waited for.
    ///
    /// It also ends the wait for the ACKs of earlier INVITEs: who sends the later one has seen their 2xx.
    pub fn acknowledge(&mut self, key: DialogKey, cseq: u32) -> bool {
        let t2 = self.config.t2;
        let timers = &mut self.timers;
        let Some(entry) = entry_mut(&mut self.dialogs, key) else {
            return false;
        };
        if !entry.accepted.iter().any(|accepted| accepted.cseq == cseq) {
            return false;
        }
        entry.accepted.retain_mut(|accepted| {
            if accepted.cseq > cseq {
                return true;
            }
            accepted.state.step(AcceptanceInput::Acknowledged, t2);
            accepted.cancel(timers);
            false
        });
        if entry.accepted.is_empty() {
            // Most dialogs never have another one, and live long.
            entry.accepted = Vec::new();
        }
        self.forget_repeats(key, cseq);
        true
    }

    /// A BYE makes every outstanding ACK of the dialog needless (RFC 3261 §13.3.1.4).
    pub fn stop_repeating(&mut self, key: DialogKey) {
        let Some(entry) = entry_mut(&mut self.dialogs, key) else {
            return;
        };
        for accepted in std::mem::take(&mut entry.accepted) {
            accepted.cancel(&mut self.timers);
        }
        self.forget_events(key);
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        let t2 = self.config.t2;
        while let Some(due) = self.timers.pop(now) {
            let Some(entry) = entry_mut(&mut self.dialogs, due.dialog) else {
                continue;
            };
            let Some(position) = entry
                .accepted
                .iter()
                .position(|accepted| accepted.cseq == due.cseq)
            else {
                continue;
            };
            let accepted = &mut entry.accepted[position];
            let input = match due.what {
                What::Interval => AcceptanceInput::Interval,
                What::Deadline => AcceptanceInput::Deadline,
            };
            match accepted.state.step(input, t2) {
                AcceptanceAction::SendAgain { next } => {
                    accepted.interval = self.timers.insert(now + next, due);
                    self.events.push_back(Event::Repeat {
                        dialog: due.dialog,
                        transaction: accepted.transaction,
                        response: (*accepted.response).clone(),
                    });
                }
                AcceptanceAction::GiveUp => {
                    let accepted = entry.accepted.swap_remove(position);
                    accepted.cancel(&mut self.timers);
                    self.events.push_back(Event::NoAck {
                        dialog: due.dialog,
                        cseq: due.cseq,
                    });
                }
                AcceptanceAction::Nothing | AcceptanceAction::Stop => {}
            }
        }
    }

    /// The next thing that happened, until `None`.
    pub fn poll_event(&mut self) -> Option<Event<T>> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The dialog that a request belongs to: its To tag is ours, its From tag the peer's (RFC 3261 §12.2.2).
    pub fn find(&self, request: &Request) -> Option<DialogKey> {
        // By the bytes that came, of which nothing is copied: every request within a dialog comes here.
        let call_id = request.headers().view::<headers::CallId>()?.ok()?;
        self.find_parts(Parts {
            call_id: call_id.as_bytes(),
            local_tag: request.to_tag_raw()?,
            // Something else than a token is no tag, here as in `DialogId`.
            remote_tag: request.from_tag_raw().filter(|tag| is_token(tag)),
        })
    }

    /// The dialog with this Call-ID and these tags.
    pub fn find_id(&self, id: &DialogId) -> Option<DialogKey> {
        self.find_parts(id.into())
    }

    /// A dialog.
    pub fn get(&self, key: DialogKey) -> Option<&Dialog> {
        self.entry(key).map(|entry| &*entry.dialog)
    }

    /// A dialog, to change it.
    pub fn get_mut(&mut self, key: DialogKey) -> Option<&mut Dialog> {
        entry_mut(&mut self.dialogs, key).map(|entry| &mut *entry.dialog)
    }

    /// Whether some 2xx of the dialog waits for its ACK.
    pub fn is_waiting_for_ack(&self, key: DialogKey) -> bool {
        self.entry(key)
            .is_some_and(|entry| !entry.accepted.is_empty())
    }

    /// How many dialogs there are.
    pub fn len(&self) -> usize {
        self.dialogs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.dialogs.is_empty()
    }

    fn find_parts(&self, parts: Parts<'_>) -> Option<DialogKey> {
        let key = *self.by_id.get(&self.fingerprint(parts))?;
        parts.name(self.entry(key)?.dialog.id()).then_some(key)
    }

    fn fingerprint(&self, parts: Parts<'_>) -> Fingerprint {
        let mut hasher = self.by_id.hasher().build_hasher();
        hasher.write(parts.call_id);
        for tag in [Some(parts.local_tag), parts.remote_tag]
            .into_iter()
            .flatten()
        {
            for letters in tag.chunks(8) {
                // RFC 3261 §7.3.1: tags are equal whatever their case.
                let fold = |word, &byte: &u8| word << 8 | u64::from(byte | 0x20);
                hasher.write_u64(letters.iter().fold(0, fold));
            }
        }
        hasher.finish()
    }

    fn entry(&self, key: DialogKey) -> Option<&Entry<T>> {
        self.dialogs
            .get(key.index as usize)
            .filter(|entry| entry.generation == key.generation)
    }

    fn forget_events(&mut self, key: DialogKey) {
        self.events.retain(|event| match event {
            Event::Repeat { dialog, .. } | Event::NoAck { dialog, .. } => *dialog != key,
        });
    }

    fn forget_repeats(&mut self, key: DialogKey, cseq: u32) {
        self.events.retain(|event| match event {
            Event::Repeat {
                dialog, response, ..
            } => *dialog != key || response.cseq().is_ok_and(|value| value.number() > cseq),
            Event::NoAck {
                dialog,
                cseq: other,
            } => *dialog != key || *other > cseq,
        });
    }
}

impl<T> fmt::Debug for DialogLayer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DialogLayer")
            .field("dialogs", &self.dialogs.len())
            .field("timers", &self.timers)
            .finish_non_exhaustive()
    }
}

/// How many 2xx of one dialog may wait for their ACK: more than a correct peer can bring about, since it sends no
/// INVITE before it has acknowledged the last one.
pub const ACCEPTED_LIMIT: usize = 4;

/// Call-ID and tags of a dialog under a keyed hash: a peer does not know the seeds, so it cannot make many meet. What is
/// found by it is compared.
type Fingerprint = u64;

/// Call-ID and tags where they stand.
#[derive(Clone, Copy)]
struct Parts<'a> {
    call_id: &'a [u8],
    local_tag: &'a [u8],
    remote_tag: Option<&'a [u8]>,
}

impl<'a> From<&'a DialogId> for Parts<'a> {
    fn from(id: &'a DialogId) -> Self {
        Self {
            call_id: id.call_id().as_bytes(),
            local_tag: id.local_tag().as_bytes(),
            remote_tag: id.remote_tag().map(Tag::as_bytes),
        }
    }
}

impl Parts<'_> {
    fn name(self, id: &DialogId) -> bool {
        let other = Parts::from(id);
        self.call_id == other.call_id
            && is_same_tag(self.local_tag, other.local_tag)
            && match (self.remote_tag, other.remote_tag) {
                (Some(one), Some(other)) => is_same_tag(one, other),
                (one, other) => one.is_none() && other.is_none(),
            }
    }
}

struct Entry<T> {
    generation: u32,
    /// It comes in a box and goes in one; the table of all stays small
    dialog: Box<Dialog>,
    accepted: Vec<Accepted<T>>,
}

struct Accepted<T> {
    cseq: u32,
    transaction: T,
    response: Box<Response>,
    state: Acceptance,
    interval: TimerId,
    deadline: TimerId,
}

impl<T> Accepted<T> {
    fn cancel(&self, timers: &mut TimerQueue<Due>) {
        timers.cancel(self.interval);
        timers.cancel(self.deadline);
    }
}

#[derive(Clone, Copy)]
struct Due {
    dialog: DialogKey,
    cseq: u32,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    Interval,
    Deadline,
}

fn is_same_tag(one: &[u8], other: &[u8]) -> bool {
    // A peer hands back what it got; to compare without regard to case takes ten times as long.
    one == other || one.eq_ignore_ascii_case(other)
}

fn is_token(tag: &[u8]) -> bool {
    tag.iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(byte))
}

fn entry_mut<T>(dialogs: &mut Slab<Entry<T>>, key: DialogKey) -> Option<&mut Entry<T>> {
    dialogs
        .get_mut(key.index as usize)
        .filter(|entry| entry.generation == key.generation)
}

#[cfg(test)]
#[path = "layer_tests.rs"]
mod tests;
