//! Where sound goes.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Something that hears: samples of 16 bits, one channel, in their time.
///
/// Frames come without gaps: what was lost is concealed, and pauses are silence.
pub trait AudioSink: Send {
    /// Takes the next samples. It must not wait: a sink that cannot keep up drops them.
    fn write(&mut self, samples: &[i16]);

    /// Samples per second, the same from beginning to end. Defaults to 8000; others are resampled.
    fn rate(&self) -> u32 {
        8_000
    }
}

/// Hands frames to someone else, through a queue with a limit.
///
/// ```
/// # use sip_media::{AudioSink, Tap};
/// let (mut tap, frames) = Tap::new(2);
/// tap.write(&[1, 2, 3]);
/// assert_eq!(frames.try_recv().as_deref(), Ok(&[1, 2, 3][..]));
/// ```
#[derive(Debug)]
pub struct Tap {
    frames: SyncSender<Vec<i16>>,
    rate: u32,
    dropped: u64,
}

impl Tap {
    /// A tap and the queue behind it, of `limit` frames; what comes while it is full is dropped and counted.
    pub fn new(limit: usize) -> (Self, Receiver<Vec<i16>>) {
        let (frames, receiver) = sync_channel(limit);
        let tap = Self {
            frames,
            rate: 8_000,
            dropped: 0,
        };
        (tap, receiver)
    }

    /// The same at another number of samples per second. Defaults to 8000.
    #[must_use]
    pub const fn at_rate(mut self, rate: u32) -> Self {
        self.rate = rate;
        self
    }

    /// How many frames were dropped.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl AudioSink for Tap {
    fn write(&mut self, samples: &[i16]) {
        if self.frames.try_send(samples.to_vec()).is_err() {
            self.dropped += 1;
        }
    }

    fn rate(&self) -> u32 {
        self.rate
    }
}
