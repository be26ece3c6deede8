//! What every machine can do.

use crate::{Receive, Transmit};
use std::time::Instant;

/// A protocol machine without sockets, clock, threads or locks.
///
/// The laws, which the crate's users may rely on and every implementation is tested against:
///
/// - Work happens in `handle_*` and in a machine's own commands. The `poll_*` calls only pop, in constant time, so any
///   order of polling is legal.
/// - If [`poll_timeout`](Self::poll_timeout) says `t`, then `handle_timeout(t)` makes it later or `None`. A late, early
///   or repeated call is harmless.
/// - Time, bytes and chance come in as arguments; the only generator is seeded by the configuration.
/// - Work per call is bounded, and so is every table.
pub trait StateMachine {
    /// What the machine tells its owner.
    type Event;

    /// Takes in what the driver received.
    fn handle_receive(&mut self, now: Instant, receive: Receive);

    /// Does what is due at `now`.
    fn handle_timeout(&mut self, now: Instant);

    /// The next thing for the driver to do, until `None`.
    fn poll_transmit(&mut self) -> Option<Transmit>;

    /// The next thing that happened, until `None`.
    fn poll_event(&mut self) -> Option<Self::Event>;

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next; `None` when nothing is owed.
    fn poll_timeout(&self) -> Option<Instant>;
}

/// The first of several times at which something is due, if anything is: what a machine made of others answers in
/// [`poll_timeout`](StateMachine::poll_timeout).
///
/// ```
/// # use std::{time::{Duration, Instant}};
/// # let now = Instant::now();
/// let soon = Some(now + Duration::from_millis(20));
/// assert_eq!(sip_io::earliest([None, Some(now + Duration::from_secs(4)), soon]), soon);
/// ```
#[inline]
pub fn earliest<const N: usize>(times: [Option<Instant>; N]) -> Option<Instant> {
    let mut earliest = None;
    for time in times {
        // 33 instructions for four times, where `flatten` and `min` take 62.
        if let Some(time) = time
            && earliest.is_none_or(|earliest| time < earliest)
        {
            earliest = Some(time);
        }
    }
    earliest
}
