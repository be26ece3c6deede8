//! Reading a session description of a browser, beside other crates that do so.
//!
//! `structure` is what each crate's own parser does with the same 2.5 KB. Others read values while they parse, this one
//! when they are asked for: `values` adds those that a call asks for.

use bytes::Bytes;
use divan::{Bencher, black_box, counter::BytesCount};
use sdp::{Candidate, Fingerprint, Fmtp, Ice, RtpMap, SessionDescription, Setup};
use std::io::Cursor;

fn main() {
    divan::main();
}

const WEBRTC: &str = include_str!("webrtc.sdp");

mod structure {
    use super::*;

    #[divan::bench(sample_count = 1000, sample_size = 8)]
    fn sipwright(bencher: Bencher<'_, '_>) {
        let wire = Bytes::from_static(WEBRTC.as_bytes());
        bencher
            .counter(BytesCount::of_str(WEBRTC))
            .bench(|| SessionDescription::parse(black_box(&wire).clone()).expect("a good offer"));
    }

    #[divan::bench(sample_count = 1000, sample_size = 8)]
    fn sdp_types(bencher: Bencher<'_, '_>) {
        bencher.counter(BytesCount::of_str(WEBRTC)).bench(|| {
            sdp_types::Session::parse(black_box(WEBRTC.as_bytes())).expect("a good offer")
        });
    }

    #[divan::bench(sample_count = 1000, sample_size = 8)]
    fn webrtc_sdp(bencher: Bencher<'_, '_>) {
        bencher
            .counter(BytesCount::of_str(WEBRTC))
            .bench(|| webrtc_sdp::parse_sdp(black_box(WEBRTC), false).expect("a good offer"));
    }

    #[divan::bench(sample_count = 1000, sample_size = 8)]
    fn rtc_sdp(bencher: Bencher<'_, '_>) {
        bencher.counter(BytesCount::of_str(WEBRTC)).bench(|| {
            let mut reader = Cursor::new(black_box(WEBRTC));
            rtc_sdp::SessionDescription::unmarshal(&mut reader).expect("a good offer")
        });
    }
}

/// Everything about codecs, candidates and keys, of each m= line.
#[divan::bench(sample_count = 1000, sample_size = 8)]
fn values(bencher: Bencher<'_, '_>) {
    let wire = Bytes::from_static(WEBRTC.as_bytes());
    bencher.counter(BytesCount::of_str(WEBRTC)).bench(|| {
        let description =
            SessionDescription::parse(black_box(&wire).clone()).expect("a good offer");
        let mut count = 0;
        for media in description.media() {
            count += media.all::<RtpMap>().filter(Result::is_ok).count();
            count += media.all::<Fmtp>().filter(Result::is_ok).count();
            count += media.all::<Candidate>().filter(Result::is_ok).count();
            count += media.all::<Fingerprint>().filter(Result::is_ok).count();
            count += usize::from(matches!(media.get::<Setup>(), Some(Ok(_))));
            count += usize::from(Ice::of(&description, media).is_some());
            count += description.direction_of(media) as usize;
        }
        count
    });
}
