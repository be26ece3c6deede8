//! So many in a second, and no more.

use std::time::Instant;

/// A bucket that holds what may be done in one second and fills evenly.
///
/// ```
/// # use sip_transport::Rate;
/// # let now = std::time::Instant::now();
/// let mut answers = Rate::new(1, now);
/// assert!(answers.take(now) && !answers.take(now));
/// ```
#[derive(Debug)]
pub struct Rate {
    per_second: u32,
    left: f64,
    filled: Instant,
}

impl Rate {
    /// So many in a second; all of them may be done at once.
    pub fn new(per_second: u32, now: Instant) -> Self {
        Self {
            per_second,
            left: f64::from(per_second),
            filled: now,
        }
    }

    /// Whether it may be done once more.
    pub fn take(&mut self, now: Instant) -> bool {
        let most = f64::from(self.per_second);
        let since = now.saturating_duration_since(self.filled).as_secs_f64();
        self.left = (self.left + since * most).min(most);
        self.filled = self.filled.max(now);
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a test needs an instant to start from
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_second_gives_so_many_and_no_more() {
        let start = Instant::now();
        let mut rate = Rate::new(3, start);
        let taken = |rate: &mut Rate, at| (0..10).filter(|_| rate.take(at)).count();
        assert_eq!(taken(&mut rate, start), 3);
        assert_eq!(taken(&mut rate, start + Duration::from_millis(350)), 1);
        assert_eq!(taken(&mut rate, start + Duration::from_secs(60)), 3);
        assert_eq!(taken(&mut rate, start), 0);
    }
}
