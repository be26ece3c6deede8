//! When frames are due.

use std::time::{Duration, Instant};

/// A beat that does not drift: each frame is due one frame after the one before was, not after it was dealt with.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: u32,
    frame: Duration,
    /// When the frame that begins at `media_time` is due
    anchor: Instant,
    media_time: u32,
    running: bool,
}

impl Pace {
    pub(crate) const fn new(now: Instant, rate: u32) -> Self {
        Self {
            rate,
            frame: Duration::from_millis(20),
            anchor: now,
            media_time: 0,
            running: false,
        }
    }

    /// Sets the length of a frame.
    pub(crate) fn set_frame(&mut self, now: Instant, frame: Duration) {
        if self.frame != frame {
            // The frame that was due in up to a whole old frame is not worth waiting for.
            let running = self.running;
            self.running = false;
            self.frame = frame;
            self.run(now, running);
        }
    }

    /// Starts, at once, or stops; time goes on meanwhile.
    pub(crate) fn run(&mut self, now: Instant, yes: bool) {
        if yes && !self.running {
            self.media_time = self.media_time_at(now);
            self.anchor = self.anchor.max(now);
        }
        self.running = yes;
    }

    /// Goes to the next frame.
    pub(crate) fn advance(&mut self) {
        self.media_time = self.media_time.wrapping_add(self.samples() as u32);
        self.anchor += self.frame;
    }

    /// Leaves out frames up to the first that is due after `now`.
    pub(crate) fn skip_to(&mut self, now: Instant) {
        let behind = now.saturating_duration_since(self.anchor);
        let frames = behind.as_nanos() / self.frame.as_nanos() + 1;
        let frames = u32::try_from(frames).unwrap_or(u32::MAX);
        self.media_time = self
            .media_time
            .wrapping_add(frames.wrapping_mul(self.samples() as u32));
        self.anchor += self.frame * frames;
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.running && self.anchor <= now
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.running.then_some(self.anchor)
    }

    /// The media's clock at the frame that is due.
    pub(crate) const fn media_time(&self) -> u32 {
        self.media_time
    }

    /// The media's clock at `now`.
    pub(crate) fn media_time_at(&self, now: Instant) -> u32 {
        let since = now.saturating_duration_since(self.anchor);
        let ticks = since.as_nanos() * u128::from(self.rate) / 1_000_000_000;
        self.media_time.wrapping_add(ticks as u32)
    }

    /// How many samples a frame has.
    pub(crate) fn samples(&self) -> usize {
        (self.frame.as_nanos() * u128::from(self.rate) / 1_000_000_000) as usize
    }

    pub(crate) const fn frame(&self) -> Duration {
        self.frame
    }
}
