//! Which instant is which time.

use std::time::{Duration, Instant, SystemTime};

/// A pair that says which instant is which time of day.
///
/// Machines count durations in `Instant`s and never read a clock; what needs a date (a Date header field, a nonce's
/// age across a restart) asks the pair. A jump of the system's clock therefore never fires a timer.
///
/// ```
/// # use sip_io::WallClock;
/// # use std::time::{Duration, Instant, SystemTime};
/// let start = Instant::now();
/// let clock = WallClock { at: start, is: SystemTime::UNIX_EPOCH };
/// assert_eq!(clock.at(start + Duration::from_secs(60)), SystemTime::UNIX_EPOCH + Duration::from_secs(60));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallClock {
    /// This instant …
    pub at: Instant,
    /// … is this time
    pub is: SystemTime,
}

impl WallClock {
    /// The time of day at `now`.
    pub fn at(&self, now: Instant) -> SystemTime {
        match now.checked_duration_since(self.at) {
            Some(later) => self.is + later,
            None => self.is - self.at.duration_since(now),
        }
    }

    /// Seconds since 1970 at `now`, zero before that.
    pub fn unix_seconds(&self, now: Instant) -> u64 {
        self.at(now)
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO)
            .as_secs()
    }
}
