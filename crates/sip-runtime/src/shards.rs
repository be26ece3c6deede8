//! Several drivers that share the work of one.
//!
//! One machine on one task is as fast as one processor. Beyond that, several machines do the same work side by side,
//! each with its own tables, sockets and streams, on a task or thread of its own: shards. No lock and no table is shared
//! by them. What belongs to another shard is handed to it as a [`Parcel`], by a queue that each ordered pair of shards
//! has for itself:
//!
//! ```text
//!      udp:*:5060, tcp:*:5060          udp:*:5060, tcp:*:5060      one address, bound by each (SO_REUSEPORT):
//!             |    |                          |    |               the system gives each a part of what comes
//!      +------v----v------+   parcels  +------v----v------+
//!      |  Driver, shard 0 |===========>|  Driver, shard 1 |
//!      |                  |<===========|                  |
//!      +------------------+            +------------------+
//! ```
//!
//! Which parcels there are is the machines' business: they ask for [`Transmit::Steer`](sip_io::Transmit::Steer), and get
//! [`Receive::Steered`](sip_io::Receive::Steered). The SIP stack steers whole messages, so that everything of one dialog
//! meets on one shard, whatever socket or stream it came by; a stream stays with the shard that accepted or opened it,
//! and others write on it by parcel.
//!
//! No shard ever waits for another one. When a queue is full,
//!
//! - what came in a datagram comes back to its machine, which counts it: lost, as datagrams may be;
//! - what came on a stream waits beside the queue, and that stream is not read until there is room again: its peer
//!   feels it as it feels any slow reader;
//! - what is to be written on another shard's stream waits as well, up to a limit, then comes back.
//!
//! The drivers of a mesh end together: told to [finish](crate::DriverHandle::finish), each goes on as long as one of the
//! others owes something, since that may need a stream of its.

use ahash::RandomState;
use sip_io::{Parcel, Shard, StreamId};
use std::{
    collections::{HashSet, VecDeque},
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
        mpsc::{Receiver, Sender, channel},
    },
    task::Waker,
};

/// One driver's place among those that share its work; see [`mesh`].
pub struct Member {
    me: Shard,
    outgoing: Vec<Option<Outgoing>>,
    incoming: Vec<Option<Incoming>>,
    /// Whose parcels have their turn
    turn: usize,
    idle: Arc<Idle>,
}

/// The places of `shards` drivers that share the work of one, for [`Driver::join`](crate::Driver::join): as many as are
/// asked for, at least one and at most [`Shard::MOST`].
///
/// Between each two of them `queue` parcels may wait in each direction; 1,024 is a good number. See the
/// [module](self) for what happens when there are more.
pub fn mesh(shards: usize, queue: usize) -> Vec<Member> {
    let shards = shards.clamp(1, Shard::MOST);
    let idle = Arc::new(Idle {
        shards: AtomicU64::new(0),
        all: u64::MAX >> (Shard::MOST - shards),
        wakers: (0..shards).map(|_| OnceLock::new()).collect(),
    });
    let mut members: Vec<Member> = Shard::first(shards)
        .map(|me| Member {
            me,
            outgoing: Vec::new(),
            incoming: Vec::new(),
            turn: 0,
            idle: Arc::clone(&idle),
        })
        .collect();
    for to in 0..shards {
        for from in 0..shards {
            let (outgoing, incoming) = match from == to {
                true => (None, None),
                false => {
                    let (outgoing, incoming) = pair(queue.max(1));
                    (Some(outgoing), Some(incoming))
                }
            };
            members[from].outgoing.push(outgoing);
            members[to].incoming.push(incoming);
        }
    }
    members
}

/// Which shards owe nothing.
struct Idle {
    shards: AtomicU64,
    all: u64,
    wakers: Vec<OnceLock<Waker>>,
}

/// What the two ends of a queue know of each other.
struct Link {
    limit: usize,
    /// Parcels under way that need room
    queued: AtomicUsize,
    /// Whether the sender waits for room
    awaited: AtomicBool,
    sender: OnceLock<Waker>,
    receiver: OnceLock<Waker>,
}

struct Outgoing {
    link: Arc<Link>,
    channel: Sender<Box<Parcel>>,
    /// What waits for room
    waiting: VecDeque<Box<Parcel>>,
    /// The streams that are not read meanwhile
    held: HashSet<StreamId, RandomState>,
}

struct Incoming {
    link: Arc<Link>,
    channel: Receiver<Box<Parcel>>,
}

/// What became of a parcel.
pub(crate) enum Sent {
    Under,
    /// It waits, and this stream of ours is not to be read meanwhile
    Holds(StreamId),
    /// It is not taken
    Refused(Box<Parcel>),
}

fn pair(limit: usize) -> (Outgoing, Incoming) {
    let (sender, receiver) = channel();
    let link = Arc::new(Link {
        limit,
        queued: AtomicUsize::new(0),
        awaited: AtomicBool::new(false),
        sender: OnceLock::new(),
        receiver: OnceLock::new(),
    });
    let outgoing = Outgoing {
        link: Arc::clone(&link),
        channel: sender,
        waiting: VecDeque::new(),
        held: HashSet::with_hasher(RandomState::with_seeds(1, 2, 3, 4)),
    };
    let incoming = Incoming {
        link,
        channel: receiver,
    };
    (outgoing, incoming)
}

impl Member {
    /// Which of the shards it is.
    pub fn shard(&self) -> Shard {
        self.me
    }

    /// How many there are.
    pub fn shards(&self) -> usize {
        self.incoming.len()
    }

    /// Says whom to wake when something comes, when there is room again, and when everybody is idle.
    pub(crate) fn set_waker(&self, waker: &Waker) {
        for outgoing in self.outgoing.iter().flatten() {
            outgoing.link.sender.set(waker.clone()).ok();
        }
        for incoming in self.incoming.iter().flatten() {
            incoming.link.receiver.set(waker.clone()).ok();
        }
        if let Some(place) = self.idle.wakers.get(self.me.index()) {
            place.set(waker.clone()).ok();
        }
    }

    pub(crate) fn send(&mut self, to: Shard, parcel: Box<Parcel>) -> Sent {
        match self.outgoing.get_mut(to.index()) {
            Some(Some(outgoing)) => outgoing.send(self.me, parcel),
            _ => Sent::Refused(parcel),
        }
    }

    /// The next parcel, from each of the others in turn.
    pub(crate) fn take(&mut self) -> Option<(Shard, Box<Parcel>)> {
        let shards = self.incoming.len();
        for _ in 0..shards {
            let from = self.turn;
            self.turn = (from + 1) % shards;
            let taken = self.incoming[from].as_ref().and_then(Incoming::take);
            if let Some(parcel) = taken {
                return Some((Shard::new(from)?, parcel));
            }
        }
        None
    }

    /// Sends what waited for room. Tells which streams may be read again, and what will never be taken.
    pub(crate) fn retry(&mut self) -> (Vec<StreamId>, Vec<(Shard, Box<Parcel>)>) {
        let (mut released, mut refused) = (Vec::new(), Vec::new());
        for (outgoing, to) in self.outgoing.iter_mut().zip(Shard::first(Shard::MOST)) {
            let Some(outgoing) = outgoing.as_mut().filter(|out| !out.waiting.is_empty()) else {
                continue;
            };
            outgoing.retry(|parcel| refused.push((to, parcel)));
            if outgoing.waiting.is_empty() {
                released.extend(outgoing.held.drain());
            }
        }
        (released, refused)
    }

    /// Has the driver look again soon.
    pub(crate) fn wake(&self) {
        if let Some(waker) = self
            .idle
            .wakers
            .get(self.me.index())
            .and_then(OnceLock::get)
        {
            waker.wake_by_ref();
        }
    }

    /// Whether parcels of ours wait for room.
    pub(crate) fn is_flushed(&self) -> bool {
        let mut outgoing = self.outgoing.iter().flatten();
        outgoing.all(|outgoing| outgoing.waiting.is_empty())
    }

    /// Says whether this shard owes anything; tells whether all of them owe nothing.
    pub(crate) fn set_idle(&self, idle: bool) -> bool {
        self.idle.set(self.me, idle)
    }
}

impl Drop for Member {
    /// Who is gone keeps nobody waiting.
    fn drop(&mut self) {
        self.idle.set(self.me, true);
    }
}

impl Idle {
    fn set(&self, shard: Shard, idle: bool) -> bool {
        let bit = 1 << shard.index();
        if !idle {
            self.shards.fetch_and(!bit, SeqCst);
            return false;
        }
        let before = self.shards.fetch_or(bit, SeqCst);
        if before | bit != self.all {
            return false;
        }
        if before != self.all {
            let wakers = self.wakers.iter().filter_map(OnceLock::get);
            wakers.for_each(Waker::wake_by_ref);
        }
        true
    }
}

impl Outgoing {
    fn send(&mut self, me: Shard, parcel: Box<Parcel>) -> Sent {
        // Nothing overtakes what waits.
        let has_room = self.waiting.is_empty() && self.has_room();
        if has_room || self.waiting.is_empty() && !parcel.needs_room() {
            return match self.hand_over(parcel) {
                Ok(()) => Sent::Under,
                Err(parcel) => Sent::Refused(parcel),
            };
        }
        let holds = match &*parcel {
            Parcel::Message { flow, .. } => match flow.stream_id() {
                Some(id) if id.shard() == me => Some(id),
                _ => return Sent::Refused(parcel),
            },
            Parcel::Write { .. } if self.waiting.len() < WAITING => None,
            parcel if !parcel.needs_room() => None,
            _ => return Sent::Refused(parcel),
        };
        self.waiting.push_back(parcel);
        self.await_room();
        match holds {
            Some(id) if self.held.insert(id) => Sent::Holds(id),
            _ => Sent::Under,
        }
    }

    fn retry(&mut self, mut refuse: impl FnMut(Box<Parcel>)) {
        while let Some(next) = self.waiting.front() {
            if next.needs_room() && !self.has_room() {
                return self.await_room();
            }
            if let Some(parcel) = self.waiting.pop_front()
                && let Err(parcel) = self.hand_over(parcel)
            {
                refuse(parcel);
            }
        }
    }

    fn has_room(&self) -> bool {
        self.link.queued.load(SeqCst) < self.link.limit
    }

    fn hand_over(&self, parcel: Box<Parcel>) -> Result<(), Box<Parcel>> {
        let counts = parcel.needs_room();
        if counts {
            self.link.queued.fetch_add(1, SeqCst);
        }
        if let Err(error) = self.channel.send(parcel) {
            if counts {
                self.link.queued.fetch_sub(1, SeqCst);
            }
            return Err(error.0);
        }
        if let Some(receiver) = self.link.receiver.get() {
            receiver.wake_by_ref();
        }
        Ok(())
    }

    fn await_room(&self) {
        self.link.awaited.store(true, SeqCst);
        // The receiver may have made room before it could see that somebody waits.
        if self.link.queued.load(SeqCst) <= self.link.limit / 2
            && self.link.awaited.swap(false, SeqCst)
        {
            self.link.tell_sender();
        }
    }
}

impl Incoming {
    fn take(&self) -> Option<Box<Parcel>> {
        let parcel = self.channel.try_recv().ok()?;
        if parcel.needs_room() {
            let left = self.link.queued.fetch_sub(1, SeqCst) - 1;
            if left <= self.link.limit / 2 && self.link.awaited.swap(false, SeqCst) {
                self.link.tell_sender();
            }
        }
        Some(parcel)
    }
}

impl Drop for Incoming {
    /// What is sent from now on is refused, and who waits for room learns that there will be none.
    fn drop(&mut self) {
        self.link.queued.store(0, SeqCst);
        self.link.tell_sender();
    }
}

impl Link {
    fn tell_sender(&self) {
        if let Some(sender) = self.sender.get() {
            sender.wake_by_ref();
        }
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Member({} of {})", self.me, self.shards())
    }
}

/// How many writes for one shard may wait beside a full queue; a machine that makes more of them than another one takes
/// loses them.
const WAITING: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use sip_io::{CloseReason, Flow, Protocol};

    fn at(port: u16) -> std::net::SocketAddr {
        std::net::SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn datagram(text: &'static str) -> Box<Parcel> {
        Box::new(Parcel::Message {
            flow: Flow::udp(at(1), at(2)),
            contents: Bytes::from_static(text.as_bytes()),
        })
    }

    fn stream(number: u64) -> Flow {
        Flow::stream(Protocol::Tcp, StreamId::accepted(number), at(1), at(2))
    }

    fn streamed(number: u64, text: &'static str) -> Box<Parcel> {
        Box::new(Parcel::Message {
            flow: stream(number),
            contents: Bytes::from_static(text.as_bytes()),
        })
    }

    fn closed(number: u64) -> Box<Parcel> {
        Box::new(Parcel::Closed {
            flow: stream(number),
            reason: CloseReason::ByPeer,
        })
    }

    fn taken(member: &mut Member) -> Vec<String> {
        std::iter::from_fn(|| member.take())
            .map(|(from, parcel)| match *parcel {
                Parcel::Message { contents, .. } | Parcel::Write { contents, .. } => {
                    format!("{from} {}", String::from_utf8_lossy(&contents))
                }
                _ => format!("{from} end"),
            })
            .collect()
    }

    fn two(queue: usize) -> (Member, Member) {
        let mut members = mesh(2, queue);
        let other = members.pop().expect("two were asked for");
        (members.pop().expect("two were asked for"), other)
    }

    #[test]
    fn a_full_queue_refuses_datagrams_and_keeps_what_came_on_streams() {
        let (mut one, mut other) = two(2);
        let to = other.shard();
        assert!(matches!(one.send(to, datagram("a")), Sent::Under));
        assert!(matches!(one.send(to, datagram("b")), Sent::Under));
        assert!(matches!(one.send(to, datagram("c")), Sent::Refused(_)));
        assert!(
            matches!(one.send(to, streamed(1, "d")), Sent::Holds(id) if id == StreamId::accepted(1))
        );
        assert!(matches!(one.send(to, streamed(1, "e")), Sent::Under));
        // What is about a stream finds room, but overtakes nothing.
        assert!(matches!(one.send(to, closed(1)), Sent::Under));
        assert!(!one.is_flushed());
        assert_eq!(taken(&mut other), ["0 a", "0 b"]);
        let (released, refused) = one.retry();
        assert_eq!((released.len(), refused.len()), (1, 0));
        assert_eq!(taken(&mut other), ["0 d", "0 e", "0 end"]);
        assert!(one.is_flushed());
    }

    #[test]
    fn nothing_overtakes_what_waits_even_when_there_is_room_again() {
        let (mut one, mut other) = two(1);
        let to = other.shard();
        one.send(to, streamed(1, "a"));
        one.send(to, streamed(1, "b"));
        assert_eq!(taken(&mut other), ["0 a"]);
        assert!(matches!(one.send(to, datagram("late")), Sent::Refused(_)));
        one.send(to, streamed(1, "c"));
        one.retry();
        assert_eq!(taken(&mut other), ["0 b"]);
        one.retry();
        assert_eq!(taken(&mut other), ["0 c"]);
    }

    #[test]
    fn who_is_gone_takes_nothing_and_holds_nobody() {
        let (mut one, other) = two(1);
        let to = other.shard();
        one.send(to, streamed(1, "a"));
        one.send(to, streamed(1, "b"));
        drop(other);
        let (released, refused) = one.retry();
        assert_eq!((released.len(), refused.len()), (1, 1));
        assert!(matches!(one.send(to, closed(1)), Sent::Refused(_)));
        assert!(one.set_idle(true));
    }

    #[test]
    fn nobody_ends_before_all_of_them_owe_nothing() {
        let members = mesh(3, 1);
        assert!(!members[0].set_idle(true));
        assert!(!members[1].set_idle(true));
        assert!(!members[1].set_idle(false));
        assert!(!members[2].set_idle(true));
        assert!(members[1].set_idle(true));
        assert!(members[0].set_idle(true));
    }

    /// As between two threads: each parcel arrives once and in order, and the sender is never left waiting.
    #[test]
    fn two_threads_lose_nothing_that_came_on_a_stream() {
        const PARCELS: usize = 20_000;
        let (mut one, mut other) = two(8);
        let to = other.shard();
        let reader = std::thread::spawn(move || {
            let mut next = 0_usize;
            while next < PARCELS {
                let Some((_, parcel)) = other.take() else {
                    std::thread::yield_now();
                    continue;
                };
                let Parcel::Message { contents, .. } = *parcel else {
                    panic!("only messages were sent");
                };
                assert_eq!(contents, Bytes::from(next.to_string()));
                next += 1;
            }
        });
        for number in 0..PARCELS {
            let contents = Bytes::from(number.to_string());
            let flow = stream(1);
            one.send(to, Box::new(Parcel::Message { flow, contents }));
            one.retry();
        }
        while !one.is_flushed() {
            one.retry();
            std::thread::yield_now();
        }
        reader.join().expect("the reader finds everything in order");
    }
}
