//! Many timers, most of which are cancelled.

use std::{
    collections::VecDeque,
    fmt,
    num::NonZeroU32,
    time::{Duration, Instant},
};

/// A set of timers: a hierarchical wheel with ticks of one millisecond.
///
/// Setting and cancelling cost a few nanoseconds whatever the number of timers; the lists of the wheel live inside one
/// vector, and a cancelled slot is used again. A timer never fires early: its time is rounded up to the next tick.
/// [`next`](Self::next) may name an instant at which nothing fires yet (the edge at which timers come down one level),
/// never one after the first timer's.
///
/// Five levels of 64 slots reach over twelve days; what lies further waits on the highest level and comes round again.
///
/// ```
/// # use sip_io::TimerQueue;
/// # use std::time::{Duration, Instant};
/// let start = Instant::now();
/// let mut timers = TimerQueue::new(start);
/// let retransmit = timers.insert(start + Duration::from_millis(500), "Timer A");
/// timers.insert(start + Duration::from_secs(32), "Timer B");
/// timers.cancel(retransmit);
/// assert_eq!(timers.pop(start + Duration::from_secs(31)), None);
/// assert_eq!(timers.pop(start + Duration::from_secs(32)), Some("Timer B"));
/// ```
pub struct TimerQueue<K> {
    origin: Instant,
    /// The tick up to which time has been worked through
    tick: u64,
    nodes: Vec<Node<K>>,
    free: u32,
    heads: [[u32; SLOTS]; LEVELS],
    occupied: [u64; LEVELS],
    due: VecDeque<u32>,
    live: usize,
    /// The first tick at which a slot of some level begins that is not empty
    edge: u64,
    /// When to ask again: kept, because it is asked for many times a turn and seldom changes
    next: Option<Instant>,
    /// The instant that was asked about last, and how long after the origin it is: most of what happens in one turn is
    /// about the same
    present: (Instant, Duration),
}

/// Names one timer; stale once it fired or was cancelled, and then harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerId {
    index: u32,
    /// Not zero, so that an absent timer takes no room of its own
    generation: NonZeroU32,
}

impl<K> TimerQueue<K> {
    /// An empty set. Instants before `origin` count as `origin`.
    pub fn new(origin: Instant) -> Self {
        Self {
            origin,
            tick: 0,
            nodes: Vec::new(),
            free: NONE,
            heads: [[NONE; SLOTS]; LEVELS],
            occupied: [0; LEVELS],
            due: VecDeque::new(),
            live: 0,
            edge: NEVER,
            next: None,
            present: (origin, Duration::ZERO),
        }
    }

    /// Sets a timer.
    pub fn insert(&mut self, at: Instant, key: K) -> TimerId {
        self.insert_since_origin(at.saturating_duration_since(self.origin), key)
    }

    /// Sets a timer that fires so long after `now`: the cheaper way where many are set at one instant.
    pub fn insert_after(&mut self, now: Instant, after: Duration, key: K) -> TimerId {
        let since = self.since_origin(now);
        self.insert_since_origin(since.saturating_add(after), key)
    }

    fn insert_since_origin(&mut self, since: Duration, key: K) -> TimerId {
        let deadline = tick_up(since).max(self.tick);
        let index = match self.free {
            NONE => {
                self.nodes.push(Node {
                    key: None,
                    deadline,
                    generation: NonZeroU32::MIN,
                    previous: NONE,
                    next: NONE,
                    place: Place::Free,
                });
                (self.nodes.len() - 1) as u32
            }
            index => {
                self.free = self.nodes[index as usize].next;
                index
            }
        };
        let node = &mut self.nodes[index as usize];
        node.key = Some(key);
        node.deadline = deadline;
        let id = TimerId {
            index,
            generation: node.generation,
        };
        self.live += 1;
        self.link(index);
        id
    }

    /// Takes a timer back; `None` when it has fired or was cancelled before.
    pub fn cancel(&mut self, id: TimerId) -> Option<K> {
        let node = self.nodes.get(id.index as usize)?;
        if node.generation != id.generation || node.key.is_none() {
            return None;
        }
        match node.place {
            Place::Slot { level, slot } => self.unlink(id.index, level, slot),
            Place::Due => {
                self.due.retain(|&index| index != id.index);
                self.note_next();
            }
            Place::Free => return None,
        }
        self.release(id.index)
    }

    /// The next timer whose time has come, in the order of time and then of setting.
    pub fn pop(&mut self, now: Instant) -> Option<K> {
        let since = self.since_origin(now);
        self.advance(tick_down(since));
        let index = self.due.pop_front()?;
        let key = self.release(index);
        self.note_next();
        key
    }

    /// When to ask again; `None` when no timer is set.
    #[inline]
    pub const fn next(&self) -> Option<Instant> {
        self.next
    }

    /// How many timers are set.
    pub const fn len(&self) -> usize {
        self.live
    }

    /// Whether no timer is set.
    pub const fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Moves time forward to `target`, from edge to edge, as far as something is due.
    fn advance(&mut self, target: u64) {
        while self.due.is_empty() {
            if self.edge > target {
                self.tick = self.tick.max(target);
                return;
            }
            self.tick = self.edge;
            self.cascade();
            self.edge = self.first_edge();
            self.note_next();
        }
    }

    fn note_next(&mut self) {
        let tick = if self.due.is_empty() {
            self.edge
        } else {
            self.tick
        };
        self.next = (tick != NEVER).then(|| self.origin + Duration::from_millis(tick));
    }

    fn first_edge(&self) -> u64 {
        let edges = (0..LEVELS).map(|level| self.level_edge(level));
        edges.fold(NEVER, u64::min)
    }

    fn level_edge(&self, level: usize) -> u64 {
        let occupied = self.occupied[level];
        if occupied == 0 {
            return NEVER;
        }
        let shift = BITS * level as u32;
        let current = self.tick >> shift;
        let distance = u64::from(
            occupied
                .rotate_right((current & MASK) as u32)
                .trailing_zeros(),
        );
        if distance == 0 {
            // The slot of now: on level 0 due at once; above, what came round a whole turn later.
            return if level == 0 {
                self.tick
            } else {
                (current + SLOTS as u64) << shift
            };
        }
        (current + distance) << shift
    }

    /// Empties the slots that begin at `self.tick`, from the highest level down.
    fn cascade(&mut self) {
        for level in (1..LEVELS).rev() {
            let shift = BITS * level as u32;
            if self.tick & ((1 << shift) - 1) == 0 {
                let slot = ((self.tick >> shift) & MASK) as usize;
                for index in self.take(level, slot) {
                    self.link(index);
                }
            }
        }
        let slot = (self.tick & MASK) as usize;
        for index in self.take(0, slot) {
            self.nodes[index as usize].place = Place::Due;
            self.due.push_back(index);
        }
    }

    fn take(&mut self, level: usize, slot: usize) -> Vec<u32> {
        let mut taken = Vec::new();
        let mut index = self.heads[level][slot];
        while index != NONE {
            taken.push(index);
            index = self.nodes[index as usize].next;
        }
        self.heads[level][slot] = NONE;
        self.occupied[level] &= !(1 << slot);
        // Lists grow at their head.
        taken.reverse();
        taken
    }

    fn link(&mut self, index: u32) {
        let deadline = self.nodes[index as usize].deadline;
        let distance = deadline.saturating_sub(self.tick);
        let level = (distance.max(1).ilog2() / BITS) as usize;
        let level = level.min(LEVELS - 1);
        let shift = BITS * level as u32;
        // Beyond the last level's reach a timer waits in the furthest slot and is linked anew when time gets there.
        let place = (deadline >> shift).min((self.tick >> shift) + SLOTS as u64 - 1);
        let slot = (place & MASK) as usize;
        let head = self.heads[level][slot];
        if head != NONE {
            self.nodes[head as usize].previous = index;
        }
        let node = &mut self.nodes[index as usize];
        node.previous = NONE;
        node.next = head;
        node.place = Place::Slot {
            level: level as u8,
            slot: slot as u8,
        };
        self.heads[level][slot] = index;
        self.occupied[level] |= 1 << slot;
        let begin = place << shift;
        if begin < self.edge {
            self.edge = begin;
            self.note_next();
        }
    }

    fn unlink(&mut self, index: u32, level: u8, slot: u8) {
        let (level, slot) = (usize::from(level), usize::from(slot));
        let Node { previous, next, .. } = self.nodes[index as usize];
        match previous {
            NONE => self.heads[level][slot] = next,
            previous => self.nodes[previous as usize].next = next,
        }
        if next != NONE {
            self.nodes[next as usize].previous = previous;
        }
        if self.heads[level][slot] == NONE {
            self.occupied[level] &= !(1 << slot);
            let shift = BITS * level as u32;
            if (self.edge >> shift) & MASK == slot as u64 {
                self.edge = self.first_edge();
                self.note_next();
            }
        }
    }

    fn release(&mut self, index: u32) -> Option<K> {
        let free = self.free;
        let node = &mut self.nodes[index as usize];
        node.generation = node.generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        node.place = Place::Free;
        node.next = free;
        self.free = index;
        self.live -= 1;
        node.key.take()
    }

    fn since_origin(&mut self, now: Instant) -> Duration {
        if now != self.present.0 {
            self.present = (now, now.saturating_duration_since(self.origin));
        }
        self.present.1
    }
}

const fn tick_up(since: Duration) -> u64 {
    since.as_secs() * 1_000 + since.subsec_nanos().div_ceil(1_000_000) as u64
}

const fn tick_down(since: Duration) -> u64 {
    since.as_secs() * 1_000 + since.subsec_millis() as u64
}

impl<K> fmt::Debug for TimerQueue<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerQueue")
            .field("live", &self.live)
            .field("next", &self.next())
            .finish_non_exhaustive()
    }
}

struct Node<K> {
    key: Option<K>,
    deadline: u64,
    generation: NonZeroU32,
    previous: u32,
    next: u32,
    place: Place,
}

#[derive(Clone, Copy)]
enum Place {
    Free,
    Slot { level: u8, slot: u8 },
    Due,
}

const LEVELS: usize = 5;
const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
const MASK: u64 = SLOTS as u64 - 1;
const NONE: u32 = u32::MAX;
const NEVER: u64 = u64::MAX;

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a test needs an instant to start from
mod tests {
    use super::*;
    use crate::Rng;

    #[test]
    fn timers_fire_in_order_and_never_early() {
        let start = Instant::now();
        let mut timers = TimerQueue::new(start);
        for ms in [32_000_u64, 500, 4_000, 64, 63, 1, 300_000, 0] {
            timers.insert(start + Duration::from_millis(ms), ms);
        }
        let mut fired = Vec::new();
        while let Some(at) = timers.next() {
            while let Some(ms) = timers.pop(at) {
                assert_eq!(at, start + Duration::from_millis(ms));
                fired.push(ms);
            }
        }
        assert_eq!(fired, [0, 1, 63, 64, 500, 4_000, 32_000, 300_000]);
    }

    #[test]
    fn handling_the_named_instant_always_moves_it() {
        let start = Instant::now();
        let mut timers = TimerQueue::new(start);
        timers.insert(start + Duration::from_secs(86_400 * 400), ());
        let mut last = None;
        let mut turns = 0;
        while let Some(at) = timers.next() {
            assert!(last.is_none_or(|last| at > last), "stuck at {at:?}");
            last = Some(at);
            turns += 1;
            if timers.pop(at).is_some() {
                break;
            }
        }
        assert_eq!(last, Some(start + Duration::from_secs(86_400 * 400)));
        assert!(turns < 200, "{turns} wake-ups for one timer");
    }

    #[test]
    fn a_stale_id_cancels_nothing() {
        let start = Instant::now();
        let mut timers = TimerQueue::new(start);
        let first = timers.insert(start, 1);
        assert_eq!(timers.cancel(first), Some(1));
        let second = timers.insert(start, 2);
        assert_eq!(timers.cancel(first), None);
        assert_eq!(timers.pop(start), Some(2));
        assert_eq!(timers.cancel(second), None);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_time_from_now_is_the_same_as_an_instant() {
        let start = Instant::now();
        let mut timers = TimerQueue::new(start);
        for after in [0_u64, 1, 999_999, 1_000_000, 32_000_000_001] {
            let (now, after) = (
                start + Duration::from_nanos(700),
                Duration::from_nanos(after),
            );
            timers.insert(now + after, after);
            timers.insert_after(now, after, after);
        }
        while let Some(at) = timers.next() {
            let fired: Vec<_> = std::iter::from_fn(|| timers.pop(at)).collect();
            assert!(
                fired
                    .chunks(2)
                    .all(|pair| pair.len() == 2 && pair[0] == pair[1])
            );
        }
    }

    #[test]
    fn late_polls_lose_nothing() {
        let start = Instant::now();
        let mut timers = TimerQueue::new(start);
        for ms in 0..10_000_u64 {
            timers.insert(start + Duration::from_millis(ms), ms);
        }
        let late = start + Duration::from_secs(3_600);
        let fired: Vec<u64> = std::iter::from_fn(|| timers.pop(late)).collect();
        assert!(fired.is_sorted() && fired.len() == 10_000);
    }

    #[test]
    fn it_agrees_with_a_sorted_list() {
        let start = Instant::now();
        for seed in 0..20 {
            let mut rng = Rng::new([seed; 32]);
            let mut timers = TimerQueue::new(start);
            let mut model: Vec<(u64, u64, TimerId)> = Vec::new();
            let (mut now, mut serial) = (0_u64, 0_u64);
            for _ in 0..5_000 {
                match rng.below(4) {
                    0 | 1 => {
                        let magnitude = rng.below(24);
                        let at = now + rng.below(1 << magnitude);
                        model.push((
                            at,
                            serial,
                            timers.insert(start + Duration::from_millis(at), serial),
                        ));
                        serial += 1;
                    }
                    2 if !model.is_empty() => {
                        let (_, key, id) =
                            model.swap_remove(rng.below(model.len() as u64) as usize);
                        assert_eq!(timers.cancel(id), Some(key));
                    }
                    _ => {
                        let magnitude = rng.below(18);
                        now += rng.below(1 << magnitude);
                        let mut expected: Vec<u64> = Vec::new();
                        model.sort_unstable_by_key(|&(at, serial, _)| (at, serial));
                        model.retain(|&(at, serial, _)| {
                            if at <= now {
                                expected.push(serial);
                            }
                            at > now
                        });
                        let mut fired: Vec<u64> =
                            std::iter::from_fn(|| timers.pop(start + Duration::from_millis(now)))
                                .collect();
                        fired.sort_unstable();
                        expected.sort_unstable();
                        assert_eq!(fired, expected, "seed {seed}");
                        let first = model.iter().map(|entry| entry.0).min();
                        assert_eq!(timers.next().is_none(), first.is_none());
                        if let (Some(next), Some(first)) = (timers.next(), first) {
                            assert!(next <= start + Duration::from_millis(first));
                            assert!(next > start + Duration::from_millis(now));
                        }
                    }
                }
                assert_eq!(timers.edge, timers.first_edge(), "seed {seed}");
                assert_eq!(timers.len(), model.len());
            }
        }
    }
}
