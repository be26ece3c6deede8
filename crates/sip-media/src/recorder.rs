//! Recording to WAV files.

use crate::{AudioSink, MediaError};
use hound::{SampleFormat, WavSpec, WavWriter};
use std::{
    fmt,
    fs::File,
    io::{BufWriter, Seek, Write},
    path::Path,
};

/// Records a WAV file of 16 bits, one channel.
///
/// The header is right after every second of sound and when the recorder is dropped, so that a recording can be heard
/// whatever happens. Recording stops when the disk is full or the file has grown to 4 GiB, the most that the format can
/// say.
///
/// ```no_run
/// # use sip_media::{AudioSink, Recorder};
/// let mut recorder = Recorder::create("call.wav")?;
/// recorder.write(&[0; 160]);
/// recorder.finish()?;
/// # Ok::<(), sip_media::MediaError>(())
/// ```
pub struct Recorder<W: Write + Seek = BufWriter<File>> {
    /// Gone once something failed
    writer: Option<WavWriter<W>>,
    rate: u32,
    unflushed: usize,
}

impl Recorder {
    /// Creates a file, or empties it, for 8000 samples a second.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, MediaError> {
        let file = File::create(path).map_err(hound::Error::from)?;
        Self::new(BufWriter::new(file))
    }
}

impl<W: Write + Seek> Recorder<W> {
    /// Writes the header of something like a file, for 8000 samples a second.
    pub fn new(writer: W) -> Result<Self, MediaError> {
        Self::with_rate(writer, 8_000)
    }

    /// The same for another number of samples a second.
    pub fn with_rate(writer: W, rate: u32) -> Result<Self, MediaError> {
        let spec = WavSpec {
            channels: 1,
            sample_rate: rate,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut writer = WavWriter::new(writer, spec)?;
        writer.flush()?;
        Ok(Self {
            writer: Some(writer),
            rate,
            unflushed: 0,
        })
    }

    /// Writes the header for the last time and says whether all went well.
    pub fn finish(mut self) -> Result<(), MediaError> {
        match self.writer.take() {
            Some(writer) => Ok(writer.finalize()?),
            None => Err(MediaError::Stopped),
        }
    }

    fn append(&mut self, samples: &[i16]) -> Result<(), hound::Error> {
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        if u64::from(writer.len()) + samples.len() as u64 > MOST_SAMPLES {
            return Err(hound::Error::TooWide);
        }
        for sample in samples {
            writer.write_sample(*sample)?;
        }
        self.unflushed += samples.len();
        if self.unflushed >= self.rate as usize {
            self.unflushed = 0;
            writer.flush()?;
        }
        Ok(())
    }
}

impl<W: Write + Seek + Send> AudioSink for Recorder<W> {
    fn write(&mut self, samples: &[i16]) {
        if let Err(error) = self.append(samples) {
            tracing::warn!(%error, "recording stopped");
            self.writer = None;
        }
    }

    fn rate(&self) -> u32 {
        self.rate
    }
}

impl<W: Write + Seek> fmt::Debug for Recorder<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("rate", &self.rate)
            .field("recording", &self.writer.is_some())
            .finish_non_exhaustive()
    }
}

/// 4 GiB of samples of two bytes, less a header
const MOST_SAMPLES: u64 = (1 << 31) - 1_024;
