//! Playing WAV files.

use crate::{AudioSource, MediaError};
use hound::{SampleFormat, WavReader};
use std::{
    fmt,
    fs::File,
    io::{BufReader, Read, Seek},
    path::Path,
};

/// Plays a WAV file: whole numbers of 8 to 32 bits or fractions, any number of channels and samples per second.
///
/// The channels are mixed to one. A file that breaks off in the middle ends there.
///
/// ```
/// # use sip_media::{AudioSource, AudioSink, Recorder, Wav};
/// # use std::io::Cursor;
/// let mut file = Cursor::new(Vec::new());
/// Recorder::new(&mut file)?.write(&[1, -1, 300]);
/// file.set_position(0);
///
/// let mut wav = Wav::new(file)?;
/// let mut samples = [0; 160];
/// assert_eq!(wav.read(&mut samples), 3);
/// assert_eq!(samples[..3], [1, -1, 300]);
/// # Ok::<(), sip_media::MediaError>(())
/// ```
pub struct Wav<R = BufReader<File>> {
    reader: WavReader<R>,
    looped: bool,
    over: bool,
}

impl Wav {
    /// Opens a file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, MediaError> {
        let file = File::open(path).map_err(hound::Error::from)?;
        Self::new(BufReader::new(file))
    }
}

impl<R: Read + Seek> Wav<R> {
    /// Reads the header of something like a file.
    pub fn new(reader: R) -> Result<Self, MediaError> {
        let reader = WavReader::new(reader)?;
        let spec = reader.spec();
        if spec.channels == 0 || spec.sample_rate == 0 {
            return Err(MediaError::Empty);
        }
        Ok(Self {
            reader,
            looped: false,
            over: false,
        })
    }

    /// Begins again at the end, for ever. Defaults to playing once. An empty file still ends.
    #[must_use]
    pub const fn looped(mut self) -> Self {
        self.looped = true;
        self
    }

    /// How many samples one channel has.
    pub fn len(&self) -> u32 {
        self.reader.duration()
    }

    /// Whether there is nothing to be played.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn next(&mut self) -> Option<i16> {
        let spec = self.reader.spec();
        let mut sum = 0_i64;
        for _ in 0..spec.channels {
            let sample = match spec.sample_format {
                SampleFormat::Float => {
                    let sample = self.reader.samples::<f32>().next()?.ok()?;
                    (sample.clamp(-1.0, 1.0) * 32_767.0) as i64
                }
                SampleFormat::Int => {
                    let sample = i64::from(self.reader.samples::<i32>().next()?.ok()?);
                    match spec.bits_per_sample {
                        bits @ 0..16 => sample << (16 - bits),
                        bits => sample >> (bits - 16).min(16),
                    }
                }
            };
            sum += sample;
        }
        let sample = sum / i64::from(spec.channels);
        Some(sample.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16)
    }
}

impl<R: Read + Seek + Send> AudioSource for Wav<R> {
    fn read(&mut self, samples: &mut [i16]) -> usize {
        let mut count = 0;
        let mut rewound = false;
        while count < samples.len() && !self.over {
            match self.next() {
                Some(sample) => {
                    samples[count] = sample;
                    count += 1;
                    rewound = false;
                }
                // Rewinding twice in a row would go on for ever.
                None if self.looped && !rewound && self.reader.seek(0).is_ok() => rewound = true,
                None => self.over = true,
            }
        }
        count
    }

    fn rate(&self) -> u32 {
        self.reader.spec().sample_rate
    }
}

impl<R> fmt::Debug for Wav<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wav")
            .field("looped", &self.looped)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}
