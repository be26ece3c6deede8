//! What can be played.

use std::time::Duration;

/// Something that can be played: samples of 16 bits, one channel.
///
/// ```
/// # use sip_media::AudioSource;
/// /// Ever louder, then over.
/// struct Ramp(i16);
///
/// impl AudioSource for Ramp {
///     fn read(&mut self, samples: &mut [i16]) -> usize {
///         for (count, sample) in samples.iter_mut().enumerate() {
///             let Some(next) = self.0.checked_add(1) else { return count };
///             *sample = std::mem::replace(&mut self.0, next);
///         }
///         samples.len()
///     }
/// }
/// ```
pub trait AudioSource: Send {
    /// Fills `samples` from the start and says how many there were; 0 says that the source has ended. It must not wait:
    /// a source that has nothing yet gives silence.
    fn read(&mut self, samples: &mut [i16]) -> usize;

    /// Samples per second, the same from beginning to end. Defaults to 8000; others are resampled.
    fn rate(&self) -> u32 {
        8_000
    }
}

/// A sine.
///
/// ```
/// # use sip_media::{AudioSource, Tone};
/// # use std::time::Duration;
/// let mut beep = Tone::new(1_000.0, 0.5).lasting(Duration::from_millis(15));
/// let mut samples = [0; 160];
/// assert_eq!(beep.read(&mut samples), 120);
/// assert_eq!(samples[2], 16_384);
/// assert_eq!(beep.read(&mut samples), 0);
/// ```
#[derive(Clone, Debug)]
pub struct Tone {
    step: f64,
    phase: f64,
    amplitude: f64,
    left: Option<u64>,
}

impl Tone {
    /// A tone of `hz` for ever, at a `level` of 0.0 to 1.0 of what 16 bits can carry.
    pub fn new(hz: f64, level: f64) -> Self {
        Self {
            step: (hz / RATE).fract(),
            phase: 0.0,
            amplitude: level.clamp(0.0, 1.0) * f64::from(i16::MAX),
            left: None,
        }
    }

    /// The same for a while.
    #[must_use]
    pub fn lasting(mut self, duration: Duration) -> Self {
        self.left = Some(samples_in(duration));
        self
    }
}

impl AudioSource for Tone {
    fn read(&mut self, samples: &mut [i16]) -> usize {
        let count = take(&mut self.left, samples.len());
        for sample in &mut samples[..count] {
            let value = (self.phase * std::f64::consts::TAU).sin() * self.amplitude;
            *sample = value.round() as i16;
            // Kept below one turn, so that it stays exact however long the tone.
            self.phase = (self.phase + self.step).fract();
        }
        count
    }
}

/// Nothing to be heard.
#[derive(Clone, Debug)]
pub struct Silence {
    left: Option<u64>,
}

impl Silence {
    /// Silence for a while.
    pub fn lasting(duration: Duration) -> Self {
        Self {
            left: Some(samples_in(duration)),
        }
    }
}

impl AudioSource for Silence {
    fn read(&mut self, samples: &mut [i16]) -> usize {
        let count = take(&mut self.left, samples.len());
        samples[..count].fill(0);
        count
    }
}

/// Samples in memory.
///
/// ```
/// # use sip_media::{AudioSource, Samples};
/// let mut click = Samples::new(8_000, [0, 20_000, -20_000, 0]);
/// assert_eq!(click.read(&mut [0; 160]), 4);
/// ```
#[derive(Clone, Debug)]
pub struct Samples {
    rate: u32,
    samples: Vec<i16>,
    at: usize,
}

impl Samples {
    /// `samples` at a `rate` per second.
    pub fn new(rate: u32, samples: impl Into<Vec<i16>>) -> Self {
        Self {
            rate,
            samples: samples.into(),
            at: 0,
        }
    }
}

impl AudioSource for Samples {
    fn read(&mut self, samples: &mut [i16]) -> usize {
        let rest = self.samples.get(self.at..).unwrap_or_default();
        let count = rest.len().min(samples.len());
        samples[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        count
    }

    fn rate(&self) -> u32 {
        self.rate
    }
}

fn take(left: &mut Option<u64>, wanted: usize) -> usize {
    let Some(left) = left else {
        return wanted;
    };
    let count = (*left).min(wanted as u64);
    *left -= count;
    count as usize
}

fn samples_in(duration: Duration) -> u64 {
    (duration.as_secs_f64() * RATE).round() as u64
}

const RATE: f64 = 8_000.0;
