//! The offers and answers of RFC 3264 §10 and RFC 4317.
//!
//! The engine is given the capabilities that an example tells of; what it answers has to have the example's m= lines,
//! rtpmap lines and directions. Addresses and the rest of o= are the example's own.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use sdp::{
    AnswerCodecs, Capabilities, Codec, CodecOrder, Direction, MediaCapabilities, Negotiated,
    Session, SessionDescription, TypedAttribute as _,
};

macro_rules! example {
    ($name:literal) => {
        SessionDescription::parse(include_bytes!(concat!("data/", $name, ".sdp")).to_vec())
            .expect($name)
    };
}

/// What an example is about: m= lines, rtpmaps and directions of media that were not turned down.
fn shape(description: &SessionDescription) -> Vec<String> {
    let mut shape = Vec::new();
    for media in description.media() {
        shape.push(media.line().to_owned());
        if !media.is_rejected() {
            shape.extend(media.all::<sdp::RtpMap>().map(|map| map.unwrap().value()));
            shape.push(description.direction_of(media).to_string());
        }
    }
    shape
}

fn answers(
    session: &mut Session,
    offer: &SessionDescription,
    capabilities: &Capabilities,
    expected: &SessionDescription,
) -> Negotiated {
    let (answer, negotiated) = session.answer(offer, capabilities).unwrap();
    assert_eq!(shape(&answer), shape(expected));
    negotiated
}

fn offers(
    session: &mut Session,
    capabilities: &Capabilities,
    expected: &SessionDescription,
) -> SessionDescription {
    let offer = session.offer(capabilities).unwrap();
    assert_eq!(shape(&offer), shape(expected));
    offer
}

fn version(description: &SessionDescription) -> u64 {
    description.origin().version_number().unwrap()
}

fn at() -> Capabilities {
    Capabilities::new([192, 0, 2, 1].into())
}

fn audio<const N: usize>(port: u16, codecs: [Codec; N]) -> MediaCapabilities {
    MediaCapabilities::new("audio", port)
        .unwrap()
        .codecs(codecs)
}

fn video<const N: usize>(port: u16, codecs: [Codec; N]) -> MediaCapabilities {
    MediaCapabilities::new("video", port)
        .unwrap()
        .codecs(codecs)
}

fn ilbc(payload_type: u8) -> Codec {
    Codec::new("iLBC", 8_000)
        .unwrap()
        .with_payload_type(payload_type)
}

fn named(name: &str, rate: u32) -> Codec {
    Codec::new(name, rate).unwrap()
}

fn h261() -> Codec {
    named("H261", 90_000)
}

fn mpv() -> Codec {
    named("MPV", 90_000)
}

/// SDP-011 and SDP-024.
#[test]
fn rfc_3264_10_1_basic_exchange_and_an_added_stream() {
    let offer = example!("rfc3264/10.1-01");
    let bobs = at()
        .media(audio(49_920, [Codec::PCMU]))
        .media(video(53_000, [mpv()]));
    let mut bob = Session::new(1);
    let seen = answers(&mut bob, &offer, &bobs, &example!("rfc3264/10.1-02"));
    assert!(seen.media()[0].is_some() && seen.media()[1].is_none() && seen.media()[2].is_some());
    let first = version(bob.local().unwrap());

    // The codec's name is misspelt in the RFC, which makes it one that nobody knows, but both sides have.
    let events = named("telephone-events", 8_000).with_payload_type(110);
    let mut moved = bobs.media(audio(51_434, [events.clone()]).direction(Direction::RecvOnly));
    moved.all_mut()[0] = audio(65_422, [Codec::PCMU]);
    let offer = offers(&mut bob, &moved, &example!("rfc3264/10.1-03"));
    assert_eq!(version(&offer), first + 1);

    let mut alice = Session::new(2);
    let alices = at()
        .media(audio(49_170, [Codec::PCMU]))
        .media(video(0, [h261()]))
        .media(video(53_000, [mpv()]))
        .media(audio(53_122, [events]).direction(Direction::SendRecv));
    alice.offer(&alices).unwrap();
    let answer = example!("rfc3264/10.1-02");
    alice.apply_answer(&answer).unwrap_err();
    let (answer, _) = alice.answer(&offer, &alices).unwrap();
    let expected: Vec<String> = shape(&example!("rfc3264/10.1-04")).into_iter().collect();
    assert_eq!(shape(&answer), expected);
}

/// SDP-024.
#[test]
fn rfc_3264_10_2_one_of_many_codecs_is_locked_down() {
    let (g723, g729) = (named("G723", 8_000), named("G729", 8_000));
    let mut alice = Session::new(1);
    let wishes =
        at().media(audio(62_986, [Codec::PCMU, g723.clone(), g729]).direction(Direction::Inactive));
    let offer = offers(&mut alice, &wishes, &example!("rfc3264/10.2-01"));

    let mut bob = Session::new(2);
    let bobs = at().media(audio(54_344, [Codec::PCMU, g723.clone()]));
    let seen = answers(&mut bob, &offer, &bobs, &example!("rfc3264/10.2-02"));
    assert_eq!(seen.audio().unwrap().direction(), Direction::Inactive);
    alice.apply_answer(bob.local().unwrap()).unwrap();

    let locked = at().media(audio(62_986, [g723]));
    let offer = offers(&mut alice, &locked, &example!("rfc3264/10.2-03"));
    let seen = answers(&mut bob, &offer, &bobs, &example!("rfc3264/10.2-04"));
    assert_eq!(seen.audio().unwrap().direction(), Direction::SendRecv);
    assert_eq!(seen.audio().unwrap().send_payload_type(), 4);
    let seen = alice.apply_answer(bob.local().unwrap()).unwrap();
    assert_eq!(seen.audio().unwrap().codec().name(), "G723");
}

/// SDP-024.
#[test]
fn rfc_4317_2_1_audio_and_video_with_one_codec_each() {
    let bobs = at()
        .media(audio(49_174, [Codec::PCMU, ilbc(97)]).answer(AnswerCodecs::First))
        .media(video(49_170, [mpv()]));
    answers(
        &mut Session::new(1),
        &example!("rfc4317/2.1-01"),
        &bobs,
        &example!("rfc4317/2.1-02"),
    );
}

#[test]
fn rfc_4317_2_2_video_is_turned_down_and_audio_is_locked_down() {
    let mut bob = Session::new(1);
    let bobs = at().media(audio(49_172, [Codec::PCMU, Codec::PCMA]));
    let offer = example!("rfc4317/2.2-01");
    let (answer, _) = bob.answer(&offer, &bobs).unwrap();
    let audio_of = |description: &SessionDescription| {
        let shape = shape(description);
        shape[..shape.len() - 1].to_vec()
    };
    let expected = example!("rfc4317/2.2-02");
    assert_eq!(audio_of(&answer), audio_of(&expected));
    // The RFC lists one of the formats of the line that is turned down; any list does.
    assert_eq!(answer.media()[1].line(), "video 0 RTP/AVP 31 32");
    let first = version(&answer);
    let (answer, _) = bob.answer(&example!("rfc4317/2.2-03"), &bobs).unwrap();
    assert_eq!(shape(&answer), shape(&example!("rfc4317/2.2-04")));
    assert_eq!(version(&answer), first + 1);
}

#[test]
fn rfc_4317_2_3_payload_types_differ_per_direction() {
    let bobs = at()
        .media(audio(49_172, [ilbc(99)]).own_payload_types(true))
        .media(video(51_374, [h261()]));
    let offer = example!("rfc4317/2.3-01");
    let seen = answers(
        &mut Session::new(1),
        &offer,
        &bobs,
        &example!("rfc4317/2.3-02"),
    );
    let bob = seen.audio().unwrap();
    assert_eq!(bob.send_payload_type(), 97);
    assert!(bob.receives(99) && !bob.receives(97));

    let mut alice = Session::new(2);
    let alices = at()
        .media(audio(49_170, [Codec::PCMU, Codec::PCMA, ilbc(97)]))
        .media(video(51_372, [h261(), mpv()]));
    offers(&mut alice, &alices, &offer);
    let seen = alice.apply_answer(&example!("rfc4317/2.3-02")).unwrap();
    let alice = seen.audio().unwrap();
    assert_eq!(alice.send_payload_type(), 99);
    assert_eq!(alice.codec().name(), "iLBC");
    assert!(alice.receives(97) && !alice.receives(99));
}

#[test]
fn rfc_4317_2_4_a_stream_of_keys_alone() {
    let events = Codec::telephone_event(8_000).with_payload_type(98);
    let bobs = at()
        .media(audio(49_172, [ilbc(97)]))
        .media(audio(49_174, [events]).direction(Direction::RecvOnly));
    let seen = answers(
        &mut Session::new(1),
        &example!("rfc4317/2.4-01"),
        &bobs,
        &example!("rfc4317/2.4-02"),
    );
    assert_eq!(seen.audio().unwrap().codec().name(), "iLBC");
    let keys = seen.media()[1].as_ref().unwrap();
    assert_eq!(keys.direction(), Direction::RecvOnly);
    assert!(keys.codec().is_telephone_event());
}

#[test]
fn rfc_4317_2_5_a_moved_peer_gets_the_same_answer_in_the_same_version() {
    let mut alice = Session::new(1);
    let alices = at()
        .media(audio(49_170, [ilbc(97)]))
        .media(video(51_372, [h261()]));
    let offer = offers(&mut alice, &alices, &example!("rfc4317/2.5-01"));
    alice.apply_answer(&example!("rfc4317/2.5-02")).unwrap();
    let again = example!("rfc4317/2.5-03");
    let seen = answers(&mut alice, &again, &alices, &example!("rfc4317/2.5-04"));
    assert_eq!(version(alice.local().unwrap()), version(&offer));
    assert_eq!(
        seen.audio().unwrap().remote_host(),
        "newhost.biloxi.example.com"
    );
}

#[test]
fn rfc_4317_2_6_one_of_two_audio_streams_is_taken() {
    let events = Codec::telephone_event(8_000);
    let bobs = at().media(audio(49_170, [ilbc(97), events]));
    let seen = answers(
        &mut Session::new(1),
        &example!("rfc4317/2.6-01"),
        &bobs,
        &example!("rfc4317/2.6-02"),
    );
    assert!(seen.media()[0].is_none());
    assert_eq!(seen.audio().unwrap().send_telephone_event(), Some(101));
}

#[test]
fn rfc_4317_2_7_a_second_codec_is_added() {
    let mut alice = Session::new(1);
    let one = at()
        .media(audio(49_170, [ilbc(99)]))
        .media(video(51_372, [h261()]));
    let offer = offers(&mut alice, &one, &example!("rfc4317/2.7-01"));
    let mut bob = Session::new(2);
    let bobs = at()
        .media(audio(49_172, [ilbc(97)]))
        .media(video(51_374, [h261(), mpv()]));
    answers(&mut bob, &offer, &bobs, &example!("rfc4317/2.7-02"));
    alice.apply_answer(bob.local().unwrap()).unwrap();
    let both = at()
        .media(audio(49_170, [ilbc(99)]))
        .media(video(51_372, [h261(), mpv()]));
    let again = offers(&mut alice, &both, &example!("rfc4317/2.7-03"));
    assert_eq!(version(&again), version(&offer) + 1);
    answers(&mut bob, &again, &bobs, &example!("rfc4317/2.7-04"));
}

#[test]
fn rfc_4317_2_8_media_at_an_address_of_their_own() {
    let bobs = at()
        .media(audio(49_174, [Codec::PCMU]))
        .media(video(49_172, [mpv()]).address([192, 0, 2, 99].into()));
    let mut bob = Session::new(1);
    answers(
        &mut bob,
        &example!("rfc4317/2.8-01"),
        &bobs,
        &example!("rfc4317/2.8-02"),
    );
    let video = &bob.local().unwrap().media()[1];
    assert_eq!(video.connection().unwrap().host(), "192.0.2.99");
}

/// SDP-010 and SDP-024.
#[test]
fn rfc_4317_3_1_hold_and_resume() {
    // Bob's placeholder answers with sendonly, then his phone takes over with a new offer.
    let mut bob = Session::new(1);
    let music = at().media(audio(49_172, [ilbc(97)]).direction(Direction::SendOnly));
    let seen = answers(
        &mut bob,
        &example!("rfc4317/3.1-01"),
        &music,
        &example!("rfc4317/3.1-02"),
    );
    assert_eq!(seen.audio().unwrap().direction(), Direction::SendOnly);
    let first = version(bob.local().unwrap());
    let talking = at().media(audio(49_170, [ilbc(97)]));
    let offer = offers(&mut bob, &talking, &example!("rfc4317/3.1-03"));
    assert_eq!(version(&offer), first + 1);
    let seen = bob.apply_answer(&example!("rfc4317/3.1-04")).unwrap();
    assert_eq!(seen.audio().unwrap().direction(), Direction::SendRecv);
}

#[test]
fn rfc_4317_3_2_hold_with_two_streams() {
    let events = Codec::telephone_event(8_000).with_payload_type(98);
    let bobs = at()
        .media(audio(49_172, [ilbc(97)]))
        .media(audio(49_174, [events]).direction(Direction::RecvOnly));
    let mut bob = Session::new(1);
    answers(
        &mut bob,
        &example!("rfc4317/3.2-01"),
        &bobs,
        &example!("rfc4317/3.2-02"),
    );
    let mut held = bobs;
    held.all_mut()[0] = held.all()[0].clone().direction(Direction::SendOnly);
    offers(&mut bob, &held, &example!("rfc4317/3.2-03"));
}

#[test]
fn rfc_4317_4_1_an_added_stream_with_a_connection_of_its_own() {
    let mut bob = Session::new(1);
    let one = at().media(audio(49_170, [ilbc(97)]));
    answers(
        &mut bob,
        &example!("rfc4317/4.1-01"),
        &one,
        &example!("rfc4317/4.1-02"),
    );
    let events = Codec::telephone_event(8_000).with_payload_type(98);
    let two = one.media(
        audio(48_282, [events])
            .direction(Direction::RecvOnly)
            .address([192, 0, 2, 50].into()),
    );
    offers(&mut bob, &two, &example!("rfc4317/4.1-03"));
    let seen = bob.apply_answer(&example!("rfc4317/4.1-04")).unwrap();
    let keys = seen.media()[1].as_ref().unwrap();
    assert_eq!(keys.direction(), Direction::RecvOnly);
    assert_eq!(keys.remote_host(), "host.atlanta.example.com");
}

/// RFC 3264 §9 (figure 1): what OPTIONS tells of carol. Ports of 0 offer nothing, so that each line is turned down.
#[test]
fn rfc_3264_9_capabilities_without_ports() {
    let told = example!("rfc3264/9-01");
    assert_eq!(
        shape(&told),
        ["audio 0 RTP/AVP 0 1 3", "video 0 RTP/AVP 31 34"]
    );
    let codecs = |place: usize| -> Vec<String> {
        let maps = told.media()[place].all::<sdp::RtpMap>();
        maps.map(|map| map.unwrap().value()).collect()
    };
    assert_eq!(codecs(0), ["0 PCMU/8000", "1 1016/8000", "3 GSM/8000"]);
    assert_eq!(codecs(1), ["31 H261/90000", "34 H263/90000"]);
    let mine = at()
        .media(audio(4_000, [Codec::PCMU]))
        .media(video(4_002, [h261()]));
    let mut session = Session::new(1);
    match session.answer(&told, &mine) {
        Ok((answer, seen)) => {
            assert!(answer.media().iter().all(sdp::Media::is_rejected));
            assert!(seen.media().iter().all(Option::is_none));
        }
        Err(error) => assert_eq!(error.status(), 488),
    }
}

#[test]
fn rfc_4317_4_2_video_is_added_to_audio() {
    let alices = at().media(audio(49_170, [Codec::PCMU]));
    let mut alice = Session::new(1);
    let offer = offers(&mut alice, &alices, &example!("rfc4317/4.2-01"));
    let seen = alice.apply_answer(&example!("rfc4317/4.2-02")).unwrap();
    assert_eq!(seen.media().len(), 1);
    let both = alices.media(video(49_172, [h261()]));
    let second = offers(&mut alice, &both, &example!("rfc4317/4.2-03"));
    assert_eq!(version(&second), version(&offer) + 1);
    let seen = alice.apply_answer(&example!("rfc4317/4.2-04")).unwrap();
    let picture = seen.media()[1].as_ref().unwrap();
    assert_eq!(picture.direction(), Direction::SendRecv);
    assert_eq!(picture.remote_host(), "host.biloxi.example.com");

    let bobs = at().media(audio(49_172, [Codec::PCMU]));
    let mut bob = Session::new(2);
    answers(
        &mut bob,
        &example!("rfc4317/4.2-01"),
        &bobs,
        &example!("rfc4317/4.2-02"),
    );
    let first = version(bob.local().unwrap());
    answers(
        &mut bob,
        &example!("rfc4317/4.2-03"),
        &bobs.media(video(49_168, [h261()])),
        &example!("rfc4317/4.2-04"),
    );
    assert_eq!(version(bob.local().unwrap()), first + 1);
}

/// SDP-011 and SDP-024.
#[test]
fn rfc_4317_4_3_video_is_deleted_and_its_line_stays() {
    let bobs = at()
        .media(audio(49_174, [ilbc(97)]))
        .media(video(49_170, [h261()]));
    let mut bob = Session::new(1);
    answers(
        &mut bob,
        &example!("rfc4317/4.3-01"),
        &bobs,
        &example!("rfc4317/4.3-02"),
    );
    let first = version(bob.local().unwrap());
    let mut one = bobs;
    one.all_mut()[1] = video(0, [h261()]);
    let offer = offers(&mut bob, &one, &example!("rfc4317/4.3-03"));
    assert_eq!(version(&offer), first + 1);
    let seen = bob.apply_answer(&example!("rfc4317/4.3-04")).unwrap();
    assert!(seen.audio().is_some() && seen.media()[1].is_none());

    let alices = at()
        .media(audio(49_170, [ilbc(97)]))
        .media(video(51_372, [h261()]));
    let mut alice = Session::new(2);
    offers(&mut alice, &alices, &example!("rfc4317/4.3-01"));
    alice.apply_answer(&example!("rfc4317/4.3-02")).unwrap();
    let seen = answers(
        &mut alice,
        &example!("rfc4317/4.3-03"),
        &alices,
        &example!("rfc4317/4.3-04"),
    );
    assert!(seen.audio().is_some() && seen.media()[1].is_none());
}

#[test]
fn rfc_4317_5_1_no_media_and_then_audio() {
    let mut alice = Session::new(1);
    offers(&mut alice, &at(), &example!("rfc4317/5.1-01"));
    let seen = alice.apply_answer(&example!("rfc4317/5.1-02")).unwrap();
    assert!(seen.media().is_empty());
    let talking = at().media(audio(49_170, [ilbc(97)]));
    offers(&mut alice, &talking, &example!("rfc4317/5.1-03"));
    let seen = alice.apply_answer(&example!("rfc4317/5.1-04")).unwrap();
    assert_eq!(seen.audio().unwrap().direction(), Direction::SendRecv);

    let bobs = at().media(audio(49_172, [ilbc(97)]));
    let mut bob = Session::new(2);
    let seen = answers(
        &mut bob,
        &example!("rfc4317/5.1-01"),
        &bobs,
        &example!("rfc4317/5.1-02"),
    );
    assert!(seen.media().is_empty());
    let first = version(bob.local().unwrap());
    answers(
        &mut bob,
        &example!("rfc4317/5.1-03"),
        &bobs,
        &example!("rfc4317/5.1-04"),
    );
    assert_eq!(version(bob.local().unwrap()), first + 1);
}

/// The answer has an address of zeros: there is nowhere to send to until the other side offers one.
#[test]
fn rfc_4317_5_3_an_answer_with_an_address_of_zeros_is_hold() {
    let alices = at().media(audio(49_170, [ilbc(97)]));
    let mut alice = Session::new(1);
    let offer = offers(&mut alice, &alices, &example!("rfc4317/5.3-01"));
    let seen = alice.apply_answer(&example!("rfc4317/5.3-02")).unwrap();
    let held = seen.audio().unwrap();
    assert!(!held.direction().sends());
    assert_eq!((held.remote(), held.remote_rtcp()), (None, None));
    let seen = answers(
        &mut alice,
        &example!("rfc4317/5.3-03"),
        &alices,
        &example!("rfc4317/5.3-04"),
    );
    assert_eq!(seen.audio().unwrap().direction(), Direction::SendRecv);
    assert_eq!(
        version(alice.local().unwrap()),
        version(&offer),
        "nothing of ours has changed"
    );
}

/// A controller offers an address of zeros first, and the real one in a second offer.
#[test]
fn rfc_4317_5_2_an_address_of_zeros_is_hold() {
    let mut bob = Session::new(1);
    let bobs = at().media(audio(49_170, [ilbc(97)]));
    let (answer, seen) = bob.answer(&example!("rfc4317/5.2-01"), &bobs).unwrap();
    let held = seen.audio().unwrap();
    assert!(!held.direction().sends());
    assert_eq!((held.remote(), held.remote_rtcp()), (None, None));
    assert_eq!(shape(&answer)[..2], shape(&example!("rfc4317/5.2-02"))[..2]);
    let seen = answers(
        &mut bob,
        &example!("rfc4317/5.2-03"),
        &bobs,
        &example!("rfc4317/5.2-04"),
    );
    assert_eq!(seen.audio().unwrap().direction(), Direction::SendRecv);
}

#[test]
fn own_preference_may_decide_instead_of_the_offerers() {
    let bobs = at().media(
        audio(4_000, [Codec::PCMA, Codec::PCMU])
            .order(CodecOrder::Own)
            .answer(AnswerCodecs::First),
    );
    let (answer, _) = Session::new(1)
        .answer(&example!("rfc4317/2.1-01"), &bobs)
        .unwrap();
    assert_eq!(answer.media()[0].line(), "audio 4000 RTP/AVP 8");
}
