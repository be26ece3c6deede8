//! G.711 against the ITU-T tables.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use rtp::{
    Codec,
    codec::{Pcma, Pcmu, by_name},
};

fn rows(table: &str) -> Vec<Vec<i32>> {
    table
        .lines()
        .skip(1)
        .map(|line| line.split('\t').map(|cell| cell.parse().unwrap()).collect())
        .collect()
}

fn decode(codec: &mut dyn Codec, code: u8) -> i32 {
    let mut samples = Vec::new();
    codec.decode(&[code], &mut samples);
    i32::from(samples[0])
}

fn encode(codec: &mut dyn Codec, sample: i32) -> u8 {
    let mut payload = Vec::new();
    codec.encode(&[i16::try_from(sample).unwrap()], &mut payload);
    payload[0]
}

#[test]
fn every_code_is_expanded_as_the_table_says_and_compressed_back() {
    let tables = [
        (include_str!("data/g711-ulaw-decode.tsv"), "PCMU"),
        (include_str!("data/g711-alaw-decode.tsv"), "PCMA"),
    ];
    for (table, name) in tables {
        let mut codec = by_name(name, 8_000).unwrap();
        let rows = rows(table);
        assert_eq!(rows.len(), 256);
        for row in rows {
            let code = u8::try_from(row[0]).unwrap();
            assert_eq!(decode(&mut *codec, code), row[1], "{name} {code}");
            // µ-law has two zeros.
            let back = encode(&mut *codec, row[1]);
            assert!(
                back == code || (row[1] == 0 && name == "PCMU"),
                "{name} {code}"
            );
        }
    }
}

#[test]
fn samples_are_compressed_as_the_reference_does() {
    for row in rows(include_str!("data/g711-encode-samples.tsv")) {
        assert_eq!(i32::from(encode(&mut Pcmu, row[0])), row[1], "{}", row[0]);
        assert_eq!(i32::from(encode(&mut Pcma, row[0])), row[2], "{}", row[0]);
    }
}

#[test]
fn compression_never_strays_further_than_half_a_step() {
    for sample in i16::MIN..=i16::MAX {
        let sample = i32::from(sample);
        for codec in [&mut Pcmu as &mut dyn Codec, &mut Pcma] {
            let code = encode(codec, sample);
            let heard = decode(codec, code);
            // The steps of the highest segment are 1024 wide.
            let allowed = (sample.abs() / 16).clamp(16, 1_024);
            assert!((heard - sample).abs() <= allowed, "{sample} became {heard}");
        }
    }
}

#[test]
fn unknown_codecs_and_rates_are_not_built_in() {
    assert!(by_name("pcma", 8_000).is_some());
    assert!(by_name("PCMA", 16_000).is_none());
    assert!(by_name("G729", 8_000).is_none());
}
