//! Keys as telephone events (RFC 4733).

use std::{fmt, time::Duration};

/// A key of a telephone: a digit, star, hash, A to D, or the hook flash.
///
/// ```
/// # use rtp::Key;
/// let keys: Option<Vec<Key>> = "12#d".chars().map(Key::from_char).collect();
/// assert_eq!(keys.expect("all of them are keys")[3].as_char(), 'D');
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(u8);

impl Key {
    /// The key with a character: `0` to `9`, `*`, `#`, `A` to `D` in either case, `!` for the flash.
    pub fn from_char(key: char) -> Option<Self> {
        let key = key.to_ascii_uppercase();
        let code = KEYS.chars().position(|other| other == key)?;
        u8::try_from(code).ok().map(Self)
    }

    /// The key with an event code (RFC 4733 §3.2), 0 to 16.
    pub fn from_code(code: u8) -> Option<Self> {
        (usize::from(code) < KEYS.len()).then_some(Self(code))
    }

    /// Its character.
    pub fn as_char(self) -> char {
        KEYS.chars()
            .nth(usize::from(self.0))
            .expect("only codes of keys are constructed")
    }

    /// Its event code.
    pub const fn code(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_char())
    }
}

/// The payload of a telephone event (RFC 4733 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which event
    pub code: u8,
    /// Whether it has ended
    pub end: bool,
    /// The tone's power in −dBm0, 0 to 63
    pub volume: u8,
    /// How long it has lasted, in ticks of the clock
    pub duration: u16,
}

impl Event {
    /// Reads a payload; of several events in one packet (§2.5.1.5) the first.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let [code, flags, d0, d1] = *payload.first_chunk::<4>()?;
        Some(Self {
            code,
            end: flags & END != 0,
            volume: flags & 0x3f,
            duration: u16::from_be_bytes([d0, d1]),
        })
    }

    /// Writes the payload.
    pub fn to_bytes(self) -> [u8; 4] {
        let [d0, d1] = self.duration.to_be_bytes();
        let flags = self.volume.min(0x3f) | if self.end { END } else { 0 };
        [self.code, flags, d0, d1]
    }
}

/// The packets of one key press, to be sent at a steady pace under one timestamp (RFC 4733 §2.5.1).
///
/// The first has the marker bit; the durations grow; the last comes three times (§2.5.1.4).
///
/// ```
/// # use rtp::{EventSender, Key};
/// let key = Key::from_char('5').expect("a key");
/// // 100 ms at 8000 Hz, a packet every 20 ms
/// let durations: Vec<u16> = EventSender::new(key, 800, 160).map(|event| event.duration).collect();
/// assert_eq!(durations, [160, 320, 480, 640, 800, 800, 800]);
/// ```
#[derive(Clone, Debug)]
pub struct EventSender {
    key: Key,
    total: u16,
    step: u16,
    elapsed: u16,
    ends: u8,
}

impl EventSender {
    /// A press of `key` for `total` ticks of the clock, in packets that are `step` ticks apart.
    pub const fn new(key: Key, total: u16, step: u16) -> Self {
        let step = if step == 0 { 1 } else { step };
        Self {
            key,
            total: if total < step { step } else { total },
            step,
            elapsed: 0,
            ends: 0,
        }
    }

    /// Which key is pressed.
    pub const fn key(&self) -> Key {
        self.key
    }

    /// Whether nothing was sent yet, so that the next packet has the marker bit.
    pub const fn is_first(&self) -> bool {
        self.elapsed == 0
    }

    /// Whether the last packet was sent.
    pub const fn is_done(&self) -> bool {
        self.ends == REPEATS
    }
}

impl Iterator for EventSender {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if self.is_done() {
            return None;
        }
        self.elapsed = self.elapsed.saturating_add(self.step).min(self.total);
        let end = self.elapsed == self.total;
        if end {
            self.ends += 1;
        }
        Some(Event {
            code: self.key.code(),
            end,
            volume: VOLUME,
            duration: self.elapsed,
        })
    }
}

/// What a received event packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyEvent {
    /// A key was pressed
    Pressed(Key),
    /// The key that was pressed last was released
    Released(Key, Duration),
}

/// Makes one key press of many packets (RFC 4733 §2.5.2).
///
/// Packets of one press share a timestamp, so repeats, lost and late packets make no second one. A press is told with
/// its first packet that comes, whichever that is.
///
/// ```
/// # use rtp::{EventReceiver, EventSender, Key, KeyEvent};
/// let key = Key::from_char('#').expect("a key");
/// let mut receiver = EventReceiver::new(8_000);
/// let told: Vec<KeyEvent> = EventSender::new(key, 800, 160)
///     .skip(2) // lost
///     .flat_map(|event| receiver.receive(1_000, &event.to_bytes()))
///     .collect();
/// assert_eq!(told[0], KeyEvent::Pressed(key));
/// assert_eq!(told.len(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct EventReceiver {
    clock_rate: u32,
    current: Option<Press>,
}

#[derive(Clone, Copy, Debug)]
struct Press {
    key: Key,
    timestamp: u32,
    duration: u16,
    released: bool,
}

impl EventReceiver {
    /// A receiver of events on a clock of `clock_rate` Hz.
    pub const fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate,
            current: None,
        }
    }

    /// Takes a payload that came under `timestamp`.
    ///
    /// Up to three things happened: the end of the press before, whose own end was lost, a new press, and its end, if
    /// nothing else of it came.
    pub fn receive(
        &mut self,
        timestamp: u32,
        payload: &[u8],
    ) -> impl Iterator<Item = KeyEvent> + use<> {
        self.step(timestamp, payload).into_iter().flatten()
    }

    fn step(&mut self, timestamp: u32, payload: &[u8]) -> [Option<KeyEvent>; 3] {
        let Some(event) = Event::parse(payload) else {
            return [None; 3];
        };
        let Some(key) = Key::from_code(event.code) else {
            return [None; 3];
        };
        if let Some(press) = &mut self.current {
            if press.timestamp == timestamp {
                press.duration = press.duration.max(event.duration);
                return [self.release(event.end), None, None];
            }
            // Wrapping comparison: what is older than the current press came too late.
            if (timestamp.wrapping_sub(press.timestamp) as i32) < 0 {
                return [None; 3];
            }
        }
        let before = self.release(true);
        self.current = Some(Press {
            key,
            timestamp,
            duration: event.duration,
            released: false,
        });
        [
            before,
            Some(KeyEvent::Pressed(key)),
            self.release(event.end),
        ]
    }

    fn release(&mut self, end: bool) -> Option<KeyEvent> {
        let press = self.current.as_mut()?;
        if !end || press.released {
            return None;
        }
        press.released = true;
        let seconds = f64::from(press.duration) / f64::from(self.clock_rate.max(1));
        Some(KeyEvent::Released(
            press.key,
            Duration::from_secs_f64(seconds),
        ))
    }
}

const KEYS: &str = "0123456789*#ABCD!";
const END: u8 = 0x80;
/// RFC 4733 §2.5.1.4
const REPEATS: u8 = 3;
/// −10 dBm0, what others send
const VOLUME: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: char) -> Key {
        Key::from_char(key).unwrap()
    }

    fn payloads(pressed: char) -> Vec<[u8; 4]> {
        EventSender::new(key(pressed), 800, 160)
            .map(Event::to_bytes)
            .collect()
    }

    fn pressed(told: impl IntoIterator<Item = KeyEvent>) -> String {
        told.into_iter()
            .filter_map(|event| match event {
                KeyEvent::Pressed(key) => Some(key.as_char()),
                KeyEvent::Released(..) => None,
            })
            .collect()
    }

    /// SDP-016.
    #[test]
    fn rfc_4733_2_5_1_durations_grow_and_the_end_comes_three_times() {
        let mut sender = EventSender::new(key('1'), 400, 160);
        assert!(sender.is_first());
        let first = sender.next().unwrap();
        assert_eq!(first.to_bytes(), [1, 10, 0, 160]);
        assert!(!sender.is_first() && !sender.is_done());
        let rest: Vec<[u8; 4]> = sender.by_ref().map(Event::to_bytes).collect();
        assert!(sender.is_done());
        assert_eq!(rest[0], [1, 10, 1, 64]);
        assert_eq!(rest[1..], [[1, 0x8a, 1, 144]; 3]);
    }

    #[test]
    fn presses_shorter_than_a_packet_and_longest_ones_end() {
        assert_eq!(EventSender::new(key('1'), 0, 0).count(), 3);
        assert_eq!(EventSender::new(key('1'), 10, 160).count(), 3);
        let long = EventSender::new(key('1'), u16::MAX, 40_000);
        let durations: Vec<u16> = long.map(|event| event.duration).collect();
        assert_eq!(durations, [40_000, 65_535, 65_535, 65_535]);
    }

    /// Any of the seven packets lost, for each pattern: one press, at most one release.
    #[test]
    fn rfc_4733_2_5_2_a_press_is_told_once_whatever_is_lost() {
        for lost in 0_u32..127 {
            let mut receiver = EventReceiver::new(8_000);
            let kept = payloads('7')
                .into_iter()
                .enumerate()
                .filter(|(index, _)| lost >> index & 1 == 0);
            let told: Vec<KeyEvent> = kept
                .flat_map(|(_, payload)| receiver.receive(u32::MAX, &payload))
                .collect();
            assert_eq!(told[0], KeyEvent::Pressed(key('7')), "{lost:07b}");
            let released = KeyEvent::Released(key('7'), Duration::from_millis(100));
            let end_lost = lost >> 4 == 7;
            assert_eq!(told.get(1), (!end_lost).then_some(&released), "{lost:07b}");
            assert!(told.len() <= 2);
        }
    }

    #[test]
    fn the_same_key_twice_is_two_presses_also_across_the_wrap_of_the_timestamp() {
        let mut receiver = EventReceiver::new(8_000);
        let mut told = Vec::new();
        for timestamp in [u32::MAX - 100, 1_500, 3_000] {
            // The ends are lost.
            for payload in &payloads('7')[..4] {
                told.extend(receiver.receive(timestamp, payload));
            }
        }
        assert_eq!(pressed(told.clone()), "777");
        assert_eq!(told.len(), 5);
        // A straggler of the second press says nothing new.
        assert_eq!(receiver.receive(1_500, &payloads('7')[6]).count(), 0);
    }

    #[test]
    fn other_events_and_short_payloads_are_nothing() {
        let mut receiver = EventReceiver::new(8_000);
        assert_eq!(receiver.receive(0, &[1, 2, 3]).count(), 0);
        assert_eq!(receiver.receive(0, &[17, 0, 0, 1]).count(), 0);
        assert_eq!(Key::from_char('x'), None);
        assert_eq!(Key::from_char('d').map(Key::code), Some(15));
        assert_eq!(Key::from_code(16).map(Key::as_char), Some('!'));
    }
}
