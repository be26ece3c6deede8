//! Packets back into order and time.

use std::collections::VecDeque;

/// How a [`JitterBuffer`] behaves; all counts are packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JitterConfig {
    least: usize,
    most: usize,
    capacity: usize,
    patience: u32,
}

impl JitterConfig {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            least: 2,
            most: 10,
            capacity: 50,
            patience: 250,
        }
    }

    /// How many packets are waited for at first, and at least. Defaults to 2, 40 ms with the usual packets.
    #[must_use]
    pub const fn least(mut self, packets: usize) -> Self {
        self.least = if packets == 0 { 1 } else { packets };
        self
    }

    /// To how many packets the delay may grow. Defaults to 10.
    #[must_use]
    pub const fn most(mut self, packets: usize) -> Self {
        self.most = packets;
        self
    }

    /// How many packets are held at once, at least what the delay may grow to. Defaults to 50; when more come, the
    /// oldest are dropped.
    #[must_use]
    pub const fn capacity(mut self, packets: usize) -> Self {
        self.capacity = packets;
        self
    }

    /// After how many packets without trouble the delay shrinks by one. Defaults to 250, 5 s with the usual packets.
    #[must_use]
    pub const fn patience(mut self, packets: u32) -> Self {
        self.patience = packets;
        self
    }
}

impl Default for JitterConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// What the next place in the stream holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Playout<T> {
    /// A packet, to be played
    Packet(T),
    /// A packet that was lost or is too late: conceal it
    Lost,
    /// Nothing yet: the stream begins, pauses, or ran dry. Play silence and ask again later
    Waiting,
}

/// What a packet is to the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<T> {
    /// Sound
    Sound(T),
    /// No sound, but a number of the same stream, as telephone events have: neither lost nor played
    Skip,
}

/// Puts packets back into order, waits a little for the late, and says which are lost.
///
/// It is asked for a packet whenever the player runs out of sound, so packets may be of any length. The delay grows by
/// a packet when one came too late or the buffer ran dry in the middle of a stream, and shrinks by one when it was not
/// needed for a while.
///
/// ```
/// # use rtp::{Entry, JitterBuffer, JitterConfig, Playout};
/// let mut buffer = JitterBuffer::new(JitterConfig::default());
/// for (number, sound) in [(3, 'd'), (0, 'a'), (1, 'b')] {
///     buffer.push(number, false, Entry::Sound(sound));
/// }
/// let played = [(); 5].map(|()| buffer.pop());
/// use Playout::{Lost, Packet, Waiting};
/// assert_eq!(played, [Packet('a'), Packet('b'), Lost, Packet('d'), Waiting]);
/// ```
#[derive(Clone, Debug)]
pub struct JitterBuffer<T> {
    config: JitterConfig,
    /// The first is the place `next`; `None` is not yet there
    entries: VecDeque<Option<Entry<T>>>,
    next: Option<u64>,
    state: State,
    held: usize,
    target: usize,
    /// Places that are concealed without being used up, so that the delay grows
    stretch: usize,
    /// Packets played since the delay last changed, and the fewest that were held meanwhile
    quiet: u32,
    slack: usize,
    late: u64,
    repeated: u64,
    overflowed: u64,
    lost: u64,
}

/// ```text
///   Filling --- enough held, or nothing more comes ---> Playing
///                                                        |   ^
///                                            nothing held|   | as above; a longer delay if the
///                                                        v   | packet after was no new spurt
///                                                       Dry -'
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Filling { waited: usize },
    Playing,
    Dry { waited: usize, expected: bool },
}

impl<T> JitterBuffer<T> {
    /// An empty buffer.
    pub fn new(config: JitterConfig) -> Self {
        let most = config.most.max(config.least);
        Self {
            config: JitterConfig {
                most,
                capacity: config.capacity.max(most),
                ..config
            },
            entries: VecDeque::new(),
            next: None,
            state: State::Filling { waited: 0 },
            held: 0,
            target: config.least,
            stretch: 0,
            quiet: 0,
            slack: usize::MAX,
            late: 0,
            repeated: 0,
            overflowed: 0,
            lost: 0,
        }
    }

    /// Takes the packet with an extended sequence number. `spurt` says that sound begins after silence (the marker
    /// bit), so that a pause before it was nobody's fault.
    pub fn push(&mut self, sequence: u64, spurt: bool, entry: Entry<T>) {
        let mut next = *self.next.get_or_insert(sequence);
        if sequence < next {
            let missing = next - sequence;
            let room = self.config.capacity - self.entries.len();
            if !matches!(self.state, State::Filling { .. }) || missing > room as u64 {
                self.late += 1;
                self.grow();
                return;
            }
            // The first to come was not the first to be sent.
            for _ in 0..missing {
                self.entries.push_front(None);
            }
            next = sequence;
            self.next = Some(sequence);
        }
        let capacity = self.config.capacity as u64;
        if let Some(excess) = (sequence - next).checked_sub(capacity - 1) {
            self.drop_oldest(excess);
            next += excess;
        }
        let place = (sequence - next) as usize;
        while self.entries.len() <= place {
            self.entries.push_back(None);
        }
        if self.entries[place].is_some() {
            self.repeated += 1;
            return;
        }
        match (&entry, &mut self.state) {
            (Entry::Skip, State::Dry { expected, .. }) => *expected = true,
            (Entry::Sound(_), State::Dry { expected, .. }) if !*expected => {
                *expected = true;
                if !spurt {
                    self.target = (self.target + 1).min(self.config.most);
                }
            }
            _ => {}
        }
        self.held += usize::from(matches!(entry, Entry::Sound(_)));
        self.entries[place] = Some(entry);
    }

    /// The next packet to be played.
    pub fn pop(&mut self) -> Playout<T> {
        let skipped = self.skip();
        match self.state {
            State::Playing => {}
            State::Filling { ref mut waited } | State::Dry { ref mut waited, .. } => {
                *waited += usize::from(self.held > 0);
                let waited = *waited;
                // What is held is played at last even if nothing follows.
                if self.held == 0 || (self.held < self.target && waited <= self.target) {
                    return Playout::Waiting;
                }
                if let State::Dry { .. } = self.state {
                    self.skip_missing();
                }
                self.state = State::Playing;
                self.stretch = 0;
                self.calm();
            }
        }
        if self.held == 0 {
            self.state = State::Dry {
                waited: 0,
                expected: skipped,
            };
            return Playout::Waiting;
        }
        if self.stretch > 0 {
            self.stretch -= 1;
            return Playout::Lost;
        }
        self.shrink();
        match self.take() {
            Some(Entry::Sound(sound)) => Playout::Packet(sound),
            Some(Entry::Skip) | None => {
                self.lost += 1;
                Playout::Lost
            }
        }
    }

    /// Forgets all packets and begins with another stream; what was learnt about the delay stays.
    pub fn restart(&mut self) {
        self.entries.clear();
        self.next = None;
        self.held = 0;
        self.state = State::Filling { waited: 0 };
        self.calm();
    }

    /// How many packets of sound are held.
    pub const fn held(&self) -> usize {
        self.held
    }

    /// How many packets are waited for before playing begins.
    pub const fn target(&self) -> usize {
        self.target
    }

    /// How many packets came too late to be played.
    pub const fn late(&self) -> u64 {
        self.late
    }

    /// How many packets came again.
    pub const fn repeated(&self) -> u64 {
        self.repeated
    }

    /// How many packets were dropped because too many were held or the delay shrank.
    pub const fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// How many packets were missing when their time came.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    fn take(&mut self) -> Option<Entry<T>> {
        let taken = self.entries.pop_front()?;
        self.next = self.next.map(|next| next + 1);
        self.held -= usize::from(matches!(taken, Some(Entry::Sound(_))));
        taken
    }

    /// Passes over packets without sound at the head, and says whether there were any.
    fn skip(&mut self) -> bool {
        let mut skipped = false;
        while matches!(self.entries.front(), Some(Some(Entry::Skip))) {
            self.take();
            skipped = true;
        }
        skipped
    }

    /// Passes over what is missing at the head: its time went by while the buffer was dry.
    fn skip_missing(&mut self) {
        while matches!(self.entries.front(), Some(None | Some(Entry::Skip))) {
            self.lost += u64::from(self.take().is_none());
        }
    }

    fn grow(&mut self) {
        if self.target < self.config.most {
            self.target += 1;
            self.stretch += usize::from(self.state == State::Playing);
            self.calm();
        }
    }

    /// When something was left all through the patience, the delay shrinks; when much was left, at once, by leaving out
    /// one packet.
    fn shrink(&mut self) {
        self.slack = self.slack.min(self.held - 1);
        self.quiet += 1;
        if self.quiet < self.config.patience {
            return;
        }
        if self.slack > 0 {
            self.target = (self.target - 1).max(self.config.least);
        }
        if self.slack >= self.config.least {
            self.drop_oldest(1);
            self.skip();
        }
        self.calm();
    }

    const fn calm(&mut self) {
        self.quiet = 0;
        self.slack = usize::MAX;
    }

    fn drop_oldest(&mut self, places: u64) {
        let present = places.min(self.entries.len() as u64);
        for _ in 0..present {
            self.overflowed += u64::from(matches!(self.take(), Some(Entry::Sound(_))));
        }
        self.next = self.next.map(|next| next + (places - present));
    }
}

#[cfg(test)]
mod tests {
    use super::{Playout::*, *};

    fn buffer() -> JitterBuffer<u64> {
        JitterBuffer::new(JitterConfig::default())
    }

    fn push(buffer: &mut JitterBuffer<u64>, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            buffer.push(number, false, Entry::Sound(number));
        }
    }

    fn pop(buffer: &mut JitterBuffer<u64>, count: usize) -> Vec<Playout<u64>> {
        (0..count).map(|_| buffer.pop()).collect()
    }

    #[test]
    fn packets_are_put_into_order_and_repeats_dropped() {
        let mut buffer = buffer();
        push(&mut buffer, [12, 10, 11, 11, 14, 10]);
        assert_eq!(
            pop(&mut buffer, 6),
            [
                Packet(10),
                Packet(11),
                Packet(12),
                Lost,
                Packet(14),
                Waiting
            ]
        );
        assert_eq!((buffer.repeated(), buffer.lost(), buffer.late()), (2, 1, 0));
    }

    #[test]
    fn playing_begins_when_enough_is_held_or_nothing_more_comes() {
        let mut buffer = buffer();
        assert_eq!(buffer.pop(), Waiting);
        push(&mut buffer, [0]);
        assert_eq!(buffer.pop(), Waiting);
        push(&mut buffer, [1]);
        assert_eq!(pop(&mut buffer, 3), [Packet(0), Packet(1), Waiting]);
        push(&mut buffer, [2]);
        let rest = pop(&mut buffer, 6);
        assert_eq!(
            rest.iter().filter(|played| **played == Packet(2)).count(),
            1
        );
    }

    #[test]
    fn a_late_packet_lengthens_the_delay_and_quiet_shortens_it_again() {
        let mut buffer = JitterBuffer::new(JitterConfig::default().patience(20));
        push(&mut buffer, [0, 1, 3]);
        assert_eq!(pop(&mut buffer, 3), [Packet(0), Packet(1), Lost]);
        push(&mut buffer, [2]);
        assert_eq!((buffer.late(), buffer.target()), (1, 3));
        // One place is concealed without using up a packet.
        push(&mut buffer, [4]);
        assert_eq!(pop(&mut buffer, 2), [Lost, Packet(3)]);
        let mut most = 0;
        for number in 5..60 {
            push(&mut buffer, [number]);
            most = most.max(buffer.held());
            assert!(matches!(buffer.pop(), Packet(_)));
        }
        assert_eq!(buffer.target(), 2);
        push(&mut buffer, [60]);
        assert!(buffer.held() <= most);
    }

    #[test]
    fn running_dry_lengthens_the_delay_but_a_pause_does_not() {
        let mut buffer = buffer();
        push(&mut buffer, [0, 1]);
        assert_eq!(pop(&mut buffer, 3), [Packet(0), Packet(1), Waiting]);
        push(&mut buffer, [2]);
        assert_eq!(buffer.target(), 3);
        push(&mut buffer, [3, 4]);
        assert_eq!(
            pop(&mut buffer, 4),
            [Packet(2), Packet(3), Packet(4), Waiting]
        );
        // After silence the marker bit says that nothing was late.
        buffer.push(5, true, Entry::Sound(5));
        assert_eq!(buffer.target(), 3);
        push(&mut buffer, [6, 7]);
        // Telephone events take numbers but no time.
        for number in 8..20 {
            buffer.push(number, false, Entry::Skip);
        }
        assert_eq!(
            pop(&mut buffer, 4),
            [Packet(5), Packet(6), Packet(7), Waiting]
        );
        push(&mut buffer, [20, 21, 22]);
        assert_eq!(buffer.target(), 3);
        assert_eq!(buffer.pop(), Packet(20));
        assert_eq!(buffer.lost(), 0);
    }

    #[test]
    fn what_was_lost_while_dry_is_not_concealed_again() {
        let mut buffer = buffer();
        push(&mut buffer, [0, 1]);
        assert_eq!(
            pop(&mut buffer, 5),
            [Packet(0), Packet(1), Waiting, Waiting, Waiting]
        );
        push(&mut buffer, [5, 6, 7]);
        assert_eq!(buffer.pop(), Packet(5));
        assert_eq!(buffer.lost(), 3);
    }

    #[test]
    fn the_delay_and_the_memory_have_limits() {
        let mut buffer = JitterBuffer::new(JitterConfig::default().most(4).capacity(5));
        push(&mut buffer, 0..100);
        assert_eq!((buffer.held(), buffer.overflowed()), (5, 95));
        assert_eq!(buffer.pop(), Packet(95));
        for _ in 0..50 {
            push(&mut buffer, [3]);
        }
        assert_eq!(buffer.target(), 4);
        push(&mut buffer, [1 << 40]);
        assert_eq!(buffer.held(), 1);
        assert!(buffer.entries.len() <= 5);
        push(&mut buffer, [u64::MAX - 1]);
        assert!(buffer.entries.len() <= 5);
    }

    #[test]
    fn another_stream_starts_afresh() {
        let mut buffer = buffer();
        push(&mut buffer, [1_000, 1_001]);
        assert_eq!(buffer.pop(), Packet(1_000));
        buffer.restart();
        push(&mut buffer, [5, 6]);
        assert_eq!(pop(&mut buffer, 3), [Packet(5), Packet(6), Waiting]);
    }

    /// Random order, loss and repeats: every packet that came is played at most once, in order.
    #[test]
    fn what_is_played_is_in_order_whatever_comes() {
        let mut rng = sip_io::Rng::new([3; 32]);
        for _ in 0..200 {
            let mut buffer = buffer();
            let mut last = None;
            let mut on_the_way: Vec<(u64, u64)> = Vec::new();
            for now in 0..300_u64 {
                if rng.below(10) != 0 {
                    on_the_way.push((now + rng.below(6), now));
                }
                let arrived = on_the_way.iter().filter(|(at, _)| *at <= now);
                push(&mut buffer, arrived.map(|(_, number)| *number));
                on_the_way.retain(|(at, _)| *at > now);
                if let Packet(number) = buffer.pop() {
                    assert!(last < Some(number));
                    last = Some(number);
                }
            }
            assert!(last > Some(280), "{last:?}");
            assert!(buffer.target() <= 10);
        }
    }
}
