//! Which codecs are offered, by patterns and clock rates.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use sdp::{Capabilities, Codec, CodecPattern, MediaCapabilities, Session};

fn codec(name: &str, rate: u32, channels: u8) -> Codec {
    Codec::new(name, rate).unwrap().with_channels(channels)
}

fn audio() -> MediaCapabilities {
    MediaCapabilities::audio(4_000).codecs([
        codec("speex", 8_000, 1),
        codec("speex", 16_000, 1),
        codec("opus", 48_000, 2),
        Codec::PCMU,
        Codec::PCMA,
    ])
}

fn names(media: &MediaCapabilities) -> Vec<String> {
    media.all_codecs().iter().map(ToString::to_string).collect()
}

#[test]
fn patterns_mean_what_they_give() {
    let opus = codec("opus", 48_000, 2);
    for pattern in [
        "opus",
        "OPUS",
        "op*",
        "*",
        "opus/48000",
        "opus/48*",
        "*/48000",
        "opus/48000/2",
        "*/*/2",
    ] {
        assert!(CodecPattern::new(pattern).matches(&opus), "{pattern}");
    }
    for pattern in ["", "opu", "pcm*", "opus/8000", "opus/48000/1", "*/16*"] {
        assert!(!CodecPattern::new(pattern).matches(&opus), "{pattern}");
    }
}

#[test]
fn codecs_are_preferred_and_left_out() {
    assert_eq!(
        names(&audio().prefer(["pcma", "speex/16000", "opus*"])),
        [
            "PCMA/8000",
            "speex/16000",
            "opus/48000/2",
            "speex/8000",
            "PCMU/8000"
        ]
    );
    assert_eq!(
        names(&audio().without(["speex*", "pcmu"])),
        ["opus/48000/2", "PCMA/8000"]
    );
    assert!(names(&audio().without(["*"])).is_empty());
}

/// SDP-016: RFC 4733 §2.1: events have the clock rate of the sound that they go with.
#[test]
fn keys_are_offered_at_each_clock_rate_and_agreed_at_that_of_the_codec() {
    let at = |host: u8, media| Capabilities::new([192, 0, 2, host].into()).media(media);
    let (mut alice, mut bob) = (Session::new(1), Session::new(2));
    let offer = alice.offer(&at(1, audio())).unwrap();
    let maps: Vec<String> = offer.media()[0]
        .attributes()
        .filter_map(|attribute| attribute.value())
        .filter(|value| value.contains("telephone-event"))
        .map(str::to_owned)
        .collect();
    let rates: Vec<&str> = maps
        .iter()
        .filter_map(|map| map.rsplit('/').next())
        .collect();
    assert_eq!(rates, ["8000", "16000", "48000"]);
    let numbers = offer.media()[0].payload_types();
    assert_eq!(numbers.len(), 8);
    for wanted in ["opus", "PCMA"] {
        let (answer, theirs) = bob
            .clone()
            .answer(
                &offer,
                &at(
                    2,
                    audio()
                        .without(["*"])
                        .codecs(
                            audio()
                                .all_codecs()
                                .iter()
                                .filter(|c| c.name() == wanted)
                                .cloned(),
                        )
                        .telephone_event(true),
                ),
            )
            .unwrap();
        let ours = alice.clone().apply_answer(&answer).unwrap();
        let (ours, theirs) = (ours.audio().unwrap(), theirs.audio().unwrap());
        let event = theirs
            .receive_codec(ours.send_telephone_event().unwrap())
            .unwrap();
        assert_eq!(event.clock_rate(), ours.codec().clock_rate(), "{wanted}");
    }
    assert!(bob.answer(&offer, &at(2, audio().without(["*"]))).is_err());
}

/// Not more than once for each kind of medium, whatever the patterns: an empty list offers nothing that can be taken.
#[test]
fn keys_go_with_the_patterns_too() {
    let offer = Session::new(1)
        .offer(&Capabilities::new([192, 0, 2, 1].into()).media(audio().without(["telephone*"])))
        .unwrap();
    assert!(!offer.to_string().contains("telephone-event"));
}
