//! Sources and sinks at the rate of the codec.

use crate::{AudioSink, AudioSource, resample::Resampler};

/// A source, resampled.
pub(crate) struct Feed {
    source: Box<dyn AudioSource>,
    resampler: Resampler,
    buffer: Vec<i16>,
    at: usize,
}

impl Feed {
    pub(crate) fn new(source: Box<dyn AudioSource>, rate: u32) -> Self {
        Self {
            resampler: Resampler::new(source.rate(), rate),
            source,
            buffer: Vec::new(),
            at: 0,
        }
    }

    /// Fills `samples` and says how many there were; fewer than asked for says that the source has ended.
    pub(crate) fn read(&mut self, samples: &mut [i16]) -> usize {
        let mut filled = 0;
        if self.resampler.is_identity() {
            while filled < samples.len() {
                match self.source.read(&mut samples[filled..]) {
                    0 => break,
                    count => filled += count.min(samples.len() - filled),
                }
            }
            return filled;
        }
        let Self {
            source,
            resampler,
            buffer,
            at,
        } = self;
        let mut input = || {
            if *at == buffer.len() {
                buffer.resize(CHUNK, 0);
                let count = source.read(buffer).min(CHUNK);
                buffer.truncate(count);
                *at = 0;
            }
            let sample = buffer.get(*at).copied()?;
            *at += 1;
            Some(sample)
        };
        while filled < samples.len() {
            let Some(sample) = resampler.next(&mut input) else {
                break;
            };
            samples[filled] = sample;
            filled += 1;
        }
        filled
    }
}

/// A sink, resampled.
pub(crate) struct Drain {
    sink: Box<dyn AudioSink>,
    resampler: Resampler,
    buffer: Vec<i16>,
}

impl Drain {
    pub(crate) fn new(sink: Box<dyn AudioSink>, rate: u32) -> Self {
        Self {
            resampler: Resampler::new(rate, sink.rate()),
            sink,
            buffer: Vec::new(),
        }
    }

    pub(crate) fn write(&mut self, samples: &[i16]) {
        if self.resampler.is_identity() {
            self.sink.write(samples);
            return;
        }
        let mut input = samples.iter().copied();
        self.buffer.clear();
        while let Some(sample) = self.resampler.next(|| input.next()) {
            self.buffer.push(sample);
        }
        self.sink.write(&self.buffer);
    }

    pub(crate) fn into_sink(self) -> Box<dyn AudioSink> {
        self.sink
    }
}

const CHUNK: usize = 480;
