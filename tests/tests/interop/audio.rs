//! Tones: writing them, and finding them again in a recording.

use std::f64::consts::TAU;
use std::path::Path;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

/// Writes a sine tone of the frequency in Hz as 16-bit mono at 8 kHz.
pub fn write_tone(path: &Path, frequency: f64, seconds: u32) {
    let spec = WavSpec {
        channels: 1,
        sample_rate: 8000,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let mut writer = WavWriter::create(path, spec).expect("the folder is writable");
    for sample in tone(frequency, seconds as usize * 8000) {
        writer.write_sample(sample).expect("the disk has room");
    }
    writer.finalize().expect("the disk has room");
}

/// Fails the test unless, in at least one whole second of the recording, the dominant frequency is the expected one within 2 %.
pub fn assert_heard(recording: &Path, expected: f64) {
    let mut reader = match WavReader::open(recording) {
        Ok(reader) => reader,
        Err(error) => panic!("no recording in {}: {error}", recording.display()),
    };
    let spec = reader.spec();
    let samples: Vec<i16> = reader
        .samples::<i16>()
        .step_by(usize::from(spec.channels))
        .map(|sample| sample.expect("a 16-bit recording"))
        .collect();
    let heard = windows(&samples, spec.sample_rate)
        .map(|window| dominant(window, spec.sample_rate))
        .collect::<Vec<_>>();
    let longest = heard
        .split(|frequency| !frequency.is_some_and(|hz| (hz / expected - 1.0).abs() <= 0.02))
        .map(<[_]>::len)
        .max()
        .unwrap_or(0);
    assert!(
        longest >= WINDOWS_PER_SECOND,
        "{} has {expected} Hz for {longest} windows of 1/{WINDOWS_PER_SECOND} s in a row; it has {heard:?}",
        recording.display()
    );
}

const WINDOWS_PER_SECOND: usize = 5;

fn windows(samples: &[i16], rate: u32) -> impl Iterator<Item = &[i16]> {
    samples.chunks_exact(rate as usize / WINDOWS_PER_SECOND)
}

/// The strongest frequency between 200 Hz and 3 kHz; `None` where it is quiet.
///
/// Goertzel's filter on a grid of 5 Hz, which is the resolution of a window.
fn dominant(window: &[i16], rate: u32) -> Option<f64> {
    let energy: f64 = window.iter().map(|&sample| f64::from(sample).powi(2)).sum();
    if (energy / window.len() as f64).sqrt() < 500.0 {
        return None;
    }
    (40..600)
        .map(|step| f64::from(step) * 5.0)
        .map(|hz| (hz, power(window, hz, rate)))
        .max_by(|left, right| left.1.total_cmp(&right.1))
        .map(|(hz, _)| hz)
}

fn power(window: &[i16], frequency: f64, rate: u32) -> f64 {
    let coefficient = 2.0 * (TAU * frequency / f64::from(rate)).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for &sample in window {
        (last, before) = (f64::from(sample) + coefficient * last - before, last);
    }
    last * last + before * before - coefficient * last * before
}

fn tone(frequency: f64, length: usize) -> impl Iterator<Item = i16> {
    (0..length).map(move |n| ((TAU * frequency * n as f64 / 8000.0).sin() * 12_000.0) as i16)
}

#[test]
fn the_dominant_frequency_of_a_tone_is_found_beside_a_weaker_one() {
    let mixed: Vec<i16> = tone(425.0, 1600)
        .zip(tone(1330.0, 1600))
        .map(|(strong, weak)| strong + weak / 3)
        .collect();
    assert_eq!(dominant(&mixed, 8000), Some(425.0));
    assert_eq!(dominant(&[0; 1600], 8000), None);
}
