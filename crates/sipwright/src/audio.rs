//! The samples of a call, to hear and to say.

use crate::{Gone, calls::CallHandle, queue::Queue};
use futures_util::Stream;
use sip_media::{AudioSink, AudioSource};
use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};
use thiserror::Error;

/// The form in which a program wants samples: 16 bits, one channel, so many a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pcm {
    rate: u32,
    queue: Duration,
}

impl Pcm {
    /// One channel at `rate` samples a second; what the call has is resampled.
    pub const fn mono(rate: u32) -> Self {
        Self {
            rate,
            queue: Duration::from_secs(60),
        }
    }

    /// How much may wait to be said. Defaults to 60 s, because synthesised speech comes faster than it is spoken; beyond
    /// it [`Mouth::push`] is [`PushError::Full`].
    pub const fn queue_limit(mut self, time: Duration) -> Self {
        self.queue = time;
        self
    }
}

/// Both directions of a call's audio; see [`Call::audio`](crate::Call::audio).
#[derive(Debug)]
pub struct Audio {
    ear: Ear,
    mouth: Mouth,
}

impl Audio {
    pub(crate) fn new(pcm: Pcm, handle: CallHandle) -> (Self, EarSink, MouthSource) {
        let heard = Queue::new(HEARD);
        let limit = (u64::from(pcm.rate) * pcm.queue.as_millis() as u64 / 1_000) as usize;
        let said = Arc::new(Mutex::new(Said {
            samples: VecDeque::new(),
            limit,
            open: true,
            waiting: Vec::new(),
        }));
        let audio = Self {
            ear: Ear {
                frames: heard.clone(),
            },
            mouth: Mouth {
                said: Arc::clone(&said),
                rate: pcm.rate,
                handle,
            },
        };
        (
            audio,
            EarSink {
                frames: heard,
                rate: pcm.rate,
            },
            MouthSource {
                said,
                rate: pcm.rate,
            },
        )
    }

    /// The two directions apart.
    pub fn split(self) -> (Ear, Mouth) {
        (self.ear, self.mouth)
    }
}

/// What the peer says, as a stream of frames. A listener that lags loses the oldest frames; it never delays the call.
/// The stream ends with the call.
#[derive(Debug)]
pub struct Ear {
    frames: Queue<Frame>,
}

impl Stream for Ear {
    type Item = Frame;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        self.frames.poll_next(cx)
    }
}

/// Some milliseconds of what the peer says. Lost packets are concealed, so there is never a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    samples: Vec<i16>,
}

impl Frame {
    /// The samples, at the rate that was asked for.
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// Whether somebody seems to be speaking: louder than -40 dB of full scale on average.
    pub fn is_speech(&self) -> bool {
        let energy: i64 = self
            .samples
            .iter()
            .map(|&sample| i64::from(sample).pow(2))
            .sum();
        energy > SPEECH * self.samples.len() as i64
    }
}

/// What we say: a queue of samples.
#[derive(Clone)]
pub struct Mouth {
    said: Arc<Mutex<Said>>,
    rate: u32,
    handle: CallHandle,
}

struct Said {
    samples: VecDeque<i16>,
    limit: usize,
    open: bool,
    waiting: Vec<Waker>,
}

/// Why samples were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PushError {
    /// They do not fit into the queue
    #[error("the queue of {limit} samples is full")]
    Full {
        /// How many may wait
        limit: usize,
    },
    /// The call is over
    #[error("the call is over")]
    Gone,
}

impl Mouth {
    /// Appends samples, without waiting: all of them or none.
    ///
    /// # Errors
    ///
    /// When they do not fit, or the call is over.
    pub fn push(&self, samples: &[i16]) -> Result<(), PushError> {
        let mut said = lock(&self.said);
        if !said.open || self.handle.ended.get().is_some() {
            return Err(PushError::Gone);
        }
        if said.samples.len() + samples.len() > said.limit {
            return Err(PushError::Full { limit: said.limit });
        }
        said.samples.extend(samples);
        Ok(())
    }

    /// Drops what has not been said, and returns how long that would have taken: barge-in.
    pub fn flush(&self) -> Duration {
        let mut said = lock(&self.said);
        let dropped = said.samples.len();
        said.samples.clear();
        said.waiting.drain(..).for_each(Waker::wake);
        Duration::from_secs_f64(dropped as f64 / f64::from(self.rate.max(1)))
    }

    /// Resolves when everything that was pushed has been said. Dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// When the call ended before.
    pub async fn played(&self) -> Result<(), Gone> {
        poll_fn(|cx| {
            let mut said = lock(&self.said);
            if said.samples.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if !said.open {
                return Poll::Ready(Err(Gone));
            }
            if !said.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                said.waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}

impl fmt::Debug for Mouth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mouth")
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

/// The driver's end of an [`Ear`].
pub(crate) struct EarSink {
    frames: Queue<Frame>,
    rate: u32,
}

impl AudioSink for EarSink {
    fn write(&mut self, samples: &[i16]) {
        self.frames.push_newest(Frame {
            samples: samples.to_vec(),
        });
    }

    fn rate(&self) -> u32 {
        self.rate
    }
}

impl Drop for EarSink {
    fn drop(&mut self) {
        self.frames.close();
    }
}

/// The driver's end of a [`Mouth`]: silence while there is nothing to say.
pub(crate) struct MouthSource {
    said: Arc<Mutex<Said>>,
    rate: u32,
}

impl AudioSource for MouthSource {
    fn read(&mut self, samples: &mut [i16]) -> usize {
        let mut said = lock(&self.said);
        for sample in samples.iter_mut() {
            *sample = said.samples.pop_front().unwrap_or(0);
        }
        if said.samples.is_empty() {
            said.waiting.drain(..).for_each(Waker::wake);
        }
        samples.len()
    }

    fn rate(&self) -> u32 {
        self.rate
    }
}

impl Drop for MouthSource {
    fn drop(&mut self) {
        let mut said = lock(&self.said);
        said.open = false;
        said.waiting.drain(..).for_each(Waker::wake);
    }
}

fn lock(said: &Mutex<Said>) -> MutexGuard<'_, Said> {
    // Nothing that can panic runs under the lock.
    said.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many frames are kept for a listener that lags: five seconds of them.
const HEARD: usize = 250;

/// The mean square of samples 40 dB below full scale.
const SPEECH: i64 = 327 * 327;
