//! WAV files in and out.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod harness;

use harness::*;
use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use sip_media::{AudioSink, AudioSource, Event, MediaError, Recorder, Tap, Wav};
use std::{io::Cursor, path::PathBuf, time::Duration};

/// A file with a sine of 440 Hz.
fn tone(
    channels: u16,
    rate: u32,
    bits: u16,
    format: SampleFormat,
    seconds: f64,
) -> Cursor<Vec<u8>> {
    let mut file = Cursor::new(Vec::new());
    let spec = WavSpec {
        channels,
        sample_rate: rate,
        bits_per_sample: bits,
        sample_format: format,
    };
    let mut writer = WavWriter::new(&mut file, spec).unwrap();
    for index in 0..(f64::from(rate) * seconds) as u32 {
        let value =
            (f64::from(index) / f64::from(rate) * 440.0 * std::f64::consts::TAU).sin() * 0.5;
        for _ in 0..channels {
            match format {
                SampleFormat::Float => writer.write_sample(value as f32).unwrap(),
                SampleFormat::Int => {
                    let full = (1_i64 << (bits - 1)) as f64;
                    writer.write_sample((value * full) as i32).unwrap();
                }
            }
        }
    }
    writer.finalize().unwrap();
    file.set_position(0);
    file
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn files_of_any_kind_are_heard_at_the_other_end() {
    for (channels, rate, bits, format) in [
        (1, 8_000, 16, SampleFormat::Int),
        (2, 44_100, 16, SampleFormat::Int),
        (1, 11_025, 8, SampleFormat::Int),
        (2, 16_000, 24, SampleFormat::Int),
        (1, 48_000, 32, SampleFormat::Float),
    ] {
        let mut net = Net::new();
        let [alice, bob] = net.call();
        let heard = net.listen(BOB, bob);
        let wav = Wav::new(tone(channels, rate, bits, format, 1.0)).unwrap();
        assert_eq!(wav.len(), rate);
        let playback = net.engines[ALICE]
            .play(net.now, alice, Box::new(wav))
            .unwrap();
        net.run(ms(1_500));
        let heard = all(&heard);
        assert!(
            sounds_like(&heard[1_600..7_200], 440.0),
            "{channels} {rate} {bits}"
        );
        // Nothing is cut off or added, and the level is what it was.
        let loud = heard
            .iter()
            .rposition(|sample| sample.unsigned_abs() > 2_000)
            .unwrap();
        let begin = heard
            .iter()
            .position(|sample| sample.unsigned_abs() > 2_000)
            .unwrap();
        assert!((7_950..8_010).contains(&(loud - begin)), "{}", loud - begin);
        let peak = heard
            .iter()
            .map(|sample| sample.unsigned_abs())
            .max()
            .unwrap();
        assert!((15_300..17_400).contains(&peak), "{peak}");
        assert!(net.events[ALICE].contains(&Event::PlaybackDone {
            session: alice,
            playback,
            completed: true
        }));
    }
}

#[test]
fn a_looped_file_goes_on_and_an_empty_one_ends() {
    let mut wav = Wav::new(tone(1, 8_000, 16, SampleFormat::Int, 0.01))
        .unwrap()
        .looped();
    let mut samples = [0; 800];
    assert_eq!(wav.read(&mut samples), 800);
    assert_eq!(samples[..80], samples[720..]);
    let mut empty = Wav::new(tone(1, 8_000, 16, SampleFormat::Int, 0.0))
        .unwrap()
        .looped();
    assert!(empty.is_empty());
    assert_eq!(empty.read(&mut samples), 0);
    assert_eq!(empty.read(&mut samples), 0);
}

#[test]
fn what_is_no_wav_file_is_refused_and_a_cut_one_ends_early() {
    assert!(matches!(
        Wav::open(path("is-not-there.wav")),
        Err(MediaError::Wav(_))
    ));
    assert!(Wav::new(Cursor::new(b"ID3 and more".to_vec())).is_err());
    let whole = tone(1, 8_000, 16, SampleFormat::Int, 1.0).into_inner();
    let mut cut = Wav::new(Cursor::new(whole[..8_044].to_vec())).unwrap();
    let mut samples = vec![0; 8_000];
    assert_eq!(cut.read(&mut samples), 4_000);
    assert_eq!(cut.read(&mut samples), 0);
}

#[test]
fn a_recording_can_be_played_again_however_it_ended() {
    // Dropped with the session, finished, and left behind by a process that was killed.
    let dropped = path("dropped.wav");
    let mut net = Net::new();
    let [alice, bob] = net.call();
    net.record(BOB, bob, Recorder::create(&dropped).unwrap());
    let wav = Wav::new(tone(1, 16_000, 16, SampleFormat::Int, 2.0)).unwrap();
    net.engines[ALICE]
        .play(net.now, alice, Box::new(wav))
        .unwrap();
    net.run(Duration::from_secs(2));
    net.engines[BOB].close(net.now, bob).unwrap();
    let recorded = WavReader::open(&dropped).unwrap();
    assert_eq!(recorded.spec().sample_rate, 8_000);
    assert_eq!(
        (recorded.spec().channels, recorded.spec().bits_per_sample),
        (1, 16)
    );
    let samples: Vec<i16> = recorded.into_samples().map(Result::unwrap).collect();
    assert_eq!(samples.len(), 101 * 160);
    assert!(sounds_like(&samples[1_600..], 440.0));

    let mut finished = Cursor::new(Vec::new());
    let mut recorder = Recorder::new(&mut finished).unwrap();
    recorder.write(&[7; 160]);
    recorder.finish().unwrap();
    finished.set_position(0);
    assert_eq!(WavReader::new(finished).unwrap().duration(), 160);

    let killed = path("killed.wav");
    let mut recorder = Recorder::create(&killed).unwrap();
    for _ in 0..75 {
        recorder.write(&[7; 160]);
    }
    std::mem::forget(recorder);
    assert_eq!(WavReader::open(&killed).unwrap().duration(), 8_000);
}

#[test]
fn sinks_hear_at_the_rate_that_they_ask_for() {
    let mut net = Net::new();
    let [alice, bob] = net.call();
    let (tap, heard) = Tap::new(1_000);
    net.record(BOB, bob, tap.at_rate(16_000));
    let wav = Wav::new(tone(1, 8_000, 16, SampleFormat::Int, 2.0)).unwrap();
    net.engines[ALICE]
        .play(net.now, alice, Box::new(wav))
        .unwrap();
    net.run(Duration::from_secs(1));
    let heard = all(&heard);
    assert!((heard.len() as i64 - 51 * 320).abs() < 4, "{}", heard.len());
    let at = |hz| power(&heard[4_000..12_000], hz, 16_000.0);
    assert!(at(440.0) > at(880.0) * 100.0 && at(440.0) > at(220.0) * 100.0);
}

#[test]
fn a_tap_that_nobody_empties_drops_frames() {
    let (mut tap, frames) = Tap::new(2);
    for number in 0..5 {
        tap.write(&[number]);
    }
    assert_eq!(tap.dropped(), 3);
    assert_eq!(frames.try_iter().collect::<Vec<_>>(), [[0], [1]]);
}
