//! Keys, connectivity checks and bundles in offers and answers.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use sdp::{
    AnswerError, Candidate, Capabilities, Codec, Crypto, Fingerprint, Group, Ice, IceLite, Keying,
    MediaCapabilities, MediaSecurity, Mid, Negotiated, OfferError, RtcpMux, Session,
    SessionDescription, Setup, SrtpPolicy, TypedAttribute,
};

const SUITE: &str = "AES_CM_128_HMAC_SHA1_80";
const SHORT: &str = "AES_CM_128_HMAC_SHA1_32";

fn sdes(key: u8) -> Keying {
    Keying::Sdes(vec![
        Crypto::new(1, SUITE, &[key; 30]),
        Crypto::new(2, SHORT, &[key; 30]),
    ])
}

fn dtls(byte: u8) -> Keying {
    Keying::Dtls(Fingerprint {
        hash: "sha-256".into(),
        digest: vec![byte; 32],
    })
}

fn party(host: u8, policy: SrtpPolicy, keying: Keying) -> Capabilities {
    let audio = MediaCapabilities::audio(4_000).srtp(policy, [keying]);
    Capabilities::new([192, 0, 2, host].into()).media(audio)
}

fn exchange(
    (alice, alices): (&mut Session, &Capabilities),
    (bob, bobs): (&mut Session, &Capabilities),
) -> Result<
    (
        SessionDescription,
        SessionDescription,
        Negotiated,
        Negotiated,
    ),
    OfferError,
> {
    let offer = SessionDescription::parse(alice.offer(alices)?.to_bytes()).unwrap();
    let answered = bob.answer(&offer, bobs);
    if answered.is_err() {
        alice.abandon_offer();
    }
    let (answer, theirs) = answered?;
    let answer = SessionDescription::parse(answer.to_bytes()).unwrap();
    let ours = alice.apply_answer(&answer).unwrap();
    Ok((offer, answer, ours, theirs))
}

fn first(
    alices: &Capabilities,
    bobs: &Capabilities,
) -> Result<
    (
        SessionDescription,
        SessionDescription,
        Negotiated,
        Negotiated,
    ),
    OfferError,
> {
    exchange((&mut Session::new(1), alices), (&mut Session::new(2), bobs))
}

/// KNOBS: 0 off, 1 optional, 2 mandatory, 3 optional by a duplicated m= line; each against each.
#[test]
fn policies_meet() {
    use SrtpPolicy::{DuplicateOffer, Mandatory, Off, Optional};
    // (offerer, answerer, profile that is in force, whether it is encrypted)
    let table = [
        (Off, Off, Some(("RTP/AVP", false))),
        (Off, Optional, Some(("RTP/AVP", false))),
        (Off, Mandatory, None),
        (Off, DuplicateOffer, Some(("RTP/AVP", false))),
        (Optional, Off, Some(("RTP/AVP", false))),
        (Optional, Optional, Some(("RTP/AVP", true))),
        (Optional, Mandatory, Some(("RTP/AVP", true))),
        (Optional, DuplicateOffer, Some(("RTP/AVP", true))),
        (Mandatory, Off, None),
        (Mandatory, Optional, Some(("RTP/SAVP", true))),
        (Mandatory, Mandatory, Some(("RTP/SAVP", true))),
        (Mandatory, DuplicateOffer, Some(("RTP/SAVP", true))),
        (DuplicateOffer, Off, Some(("RTP/AVP", false))),
        (DuplicateOffer, Optional, Some(("RTP/SAVP", true))),
        (DuplicateOffer, Mandatory, Some(("RTP/SAVP", true))),
        (DuplicateOffer, DuplicateOffer, Some(("RTP/SAVP", true))),
    ];
    for (offerer, answerer, expected) in table {
        let case = format!("{offerer:?} and {answerer:?}");
        let outcome = first(&party(1, offerer, sdes(1)), &party(2, answerer, sdes(2)));
        let Some((profile, encrypted)) = expected else {
            assert_eq!(outcome.err(), Some(OfferError::NothingAcceptable), "{case}");
            continue;
        };
        let (.., ours, theirs) = outcome.unwrap();
        let (ours, theirs) = (ours.audio().unwrap(), theirs.audio().unwrap());
        assert_eq!(
            (ours.protocol(), theirs.protocol()),
            (profile, profile),
            "{case}"
        );
        match (ours.security(), theirs.security()) {
            (MediaSecurity::Plain, MediaSecurity::Plain) => assert!(!encrypted, "{case}"),
            (
                MediaSecurity::Sdes {
                    send: a,
                    receive: b,
                },
                MediaSecurity::Sdes {
                    send: c,
                    receive: d,
                },
            ) => {
                assert!(encrypted, "{case}");
                assert_eq!((a, b), (d, c), "{case}");
                assert_ne!(a.keys, b.keys, "{case}");
            }
            other => panic!("{case}: {other:?}"),
        }
    }
}

/// SDP-020: RFC 4568 §5.1.2: the answer repeats tag and suite of one that was offered, with a key of its own.
#[test]
fn an_answer_takes_the_first_suite_that_it_knows() {
    let only = Keying::Sdes(vec![Crypto::new(7, SHORT, &[9; 30])]);
    let (_, answer, ours, _) = first(
        &party(1, SrtpPolicy::Mandatory, sdes(1)),
        &party(2, SrtpPolicy::Mandatory, only),
    )
    .unwrap();
    let said: Vec<Crypto> = answer.media()[0].all().flatten().collect();
    assert_eq!(said, [Crypto::new(2, SHORT, &[9; 30])]);
    let expected = MediaSecurity::Sdes {
        send: Crypto::new(2, SHORT, &[1; 30]),
        receive: said[0].clone(),
    };
    assert_eq!(*ours.audio().unwrap().security(), expected);
}

/// SDP-020.
#[test]
fn keys_that_were_not_offered_are_refused() {
    let wishes = party(1, SrtpPolicy::Mandatory, sdes(1));
    for wrong in [
        Crypto::new(3, SUITE, &[2; 30]).value(),
        Crypto::new(1, SHORT, &[2; 30]).value(),
        Crypto::new(1, SUITE, &[2; 29]).value(),
        format!(
            "{} UNENCRYPTED_SRTP",
            Crypto::new(1, SUITE, &[2; 30]).value()
        ),
    ] {
        let mut alice = Session::new(1);
        alice.offer(&wishes).unwrap();
        let answer = format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\nc=IN IP4 192.0.2.2\r\nm=audio 9 RTP/SAVP 0\r\na=crypto:{wrong}\r\n"
        );
        let answer = SessionDescription::parse(answer).unwrap();
        assert_eq!(
            alice.apply_answer(&answer),
            Err(AnswerError::Keys(0)),
            "{wrong}"
        );
    }
    let mut alice = Session::new(1);
    alice.offer(&wishes).unwrap();
    let none = "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\nc=IN IP4 192.0.2.2\r\nm=audio 9 RTP/SAVP 0\r\n";
    let none = SessionDescription::parse(none).unwrap();
    assert_eq!(alice.apply_answer(&none), Err(AnswerError::Keys(0)));
}

#[test]
fn a_duplicate_offer_becomes_one_line_in_force() {
    let (mut alice, mut bob) = (Session::new(1), Session::new(2));
    let alices = party(1, SrtpPolicy::DuplicateOffer, sdes(1));
    let bobs = party(2, SrtpPolicy::Off, sdes(2));
    let (offer, answer, ..) = exchange((&mut alice, &alices), (&mut bob, &bobs)).unwrap();
    let protocols = |description: &SessionDescription| -> Vec<(String, bool)> {
        let media = description.media().iter();
        media
            .map(|media| (media.protocol().to_owned(), media.is_rejected()))
            .collect()
    };
    let line = |profile: &str, rejected| (profile.to_owned(), rejected);
    assert_eq!(
        protocols(&offer),
        [line("RTP/SAVP", false), line("RTP/AVP", false)]
    );
    assert_eq!(
        protocols(&answer),
        [line("RTP/SAVP", true), line("RTP/AVP", false)]
    );
    // What was not taken is not offered again, whoever offers next.
    let (offer, ..) = exchange((&mut alice, &alices), (&mut bob, &bobs)).unwrap();
    assert_eq!(
        protocols(&offer),
        [line("RTP/SAVP", true), line("RTP/AVP", false)]
    );
    let (offer, answer, ..) = exchange((&mut bob, &bobs), (&mut alice, &alices)).unwrap();
    assert_eq!(
        protocols(&offer),
        [line("RTP/SAVP", true), line("RTP/AVP", false)]
    );
    assert_eq!(protocols(&answer), protocols(&offer));
}

/// RFC 5763 §5: the answerer opens the handshake; RFC 8842 §5.5: parts are kept in re-offers.
#[test]
fn handshakes_have_complementary_parts_that_stay() {
    let (mut alice, mut bob) = (Session::new(1), Session::new(2));
    let alices = party(1, SrtpPolicy::Mandatory, dtls(1));
    let bobs = party(2, SrtpPolicy::Mandatory, dtls(2));
    let parts = |negotiated: &Negotiated| match negotiated.audio().unwrap().security() {
        MediaSecurity::Dtls {
            fingerprints,
            setup,
        } => (fingerprints[0].digest[0], *setup),
        other => panic!("{other:?}"),
    };
    let (offer, _, ours, theirs) = exchange((&mut alice, &alices), (&mut bob, &bobs)).unwrap();
    assert_eq!(offer.media()[0].protocol(), "UDP/TLS/RTP/SAVP");
    assert_eq!(offer.media()[0].get::<Setup>(), Some(Ok(Setup::ActPass)));
    assert_eq!(
        (parts(&ours), parts(&theirs)),
        ((2, Setup::Passive), (1, Setup::Active))
    );
    let (.., ours, theirs) = exchange((&mut alice, &alices), (&mut bob, &bobs)).unwrap();
    assert_eq!(
        (parts(&ours), parts(&theirs)),
        ((2, Setup::Passive), (1, Setup::Active))
    );
}

#[test]
fn profiles_are_mirrored() {
    for profile in ["RTP/AVP", "RTP/AVPF"] {
        for (keying, expected) in [
            (sdes as fn(u8) -> Keying, profile.replace("RTP/A", "RTP/SA")),
            (dtls, profile.replace("RTP/A", "UDP/TLS/RTP/SA")),
        ] {
            let audio = MediaCapabilities::audio(4_000).srtp(SrtpPolicy::Mandatory, [keying(1)]);
            let alices =
                Capabilities::new([192, 0, 2, 1].into()).media(audio.protocols([profile]).unwrap());
            // Bob takes either kind of keys.
            let audio =
                MediaCapabilities::audio(4_000).srtp(SrtpPolicy::Optional, [dtls(2), sdes(2)]);
            let bobs = Capabilities::new([192, 0, 2, 2].into()).media(audio);
            let (offer, answer, ..) = first(&alices, &bobs).unwrap();
            assert_eq!(offer.media()[0].protocol(), expected);
            assert_eq!(answer.media()[0].protocol(), expected);
        }
    }
}

fn ice(host: u8, port: u16) -> Ice {
    let mut ice = Ice::new("abcd", "aaaaaaaaaaaaaaaaaaaaaa");
    let value = format!("1 1 UDP 2130706431 192.0.2.{host} {port} typ host");
    ice.candidates.push(Candidate::parse(&value).unwrap());
    ice
}

/// RFC 8839 §4.2, §4.3.
#[test]
fn checks_happen_if_both_speak_of_them() {
    let with = |host, ice: Option<Ice>| {
        let audio = MediaCapabilities::audio(4_000);
        let audio = match ice {
            Some(ice) => audio.ice(ice),
            None => audio,
        };
        Capabilities::new([192, 0, 2, host].into()).media(audio)
    };
    let lite = Ice {
        is_lite: true,
        is_complete: true,
        ..ice(2, 4_000)
    };
    let (_, answer, ours, theirs) =
        first(&with(1, Some(ice(1, 4_000))), &with(2, Some(lite.clone()))).unwrap();
    assert_eq!(ours.audio().unwrap().ice(), Some(&lite));
    assert_eq!(theirs.audio().unwrap().ice(), Some(&ice(1, 4_000)));
    assert_eq!(answer.get::<IceLite>(), Some(Ok(IceLite)));

    let (.., ours, theirs) = first(&with(1, Some(ice(1, 4_000))), &with(2, None)).unwrap();
    assert_eq!(
        (ours.audio().unwrap().ice(), theirs.audio().unwrap().ice()),
        (None, None)
    );

    // Something between changed the address (RFC 8839 §4.2.5): no checks, and the offerer is told.
    let (_, answer, ours, _) = first(&with(1, Some(ice(1, 4_444))), &with(2, Some(lite))).unwrap();
    assert!(answer.media()[0].attribute("ice-mismatch").is_some());
    assert_eq!(ours.audio().unwrap().ice(), None);
}

/// RFC 9143: one transport for what both bundle; payload types are unique in it.
#[test]
fn a_bundle_shares_the_transport_of_its_first_line() {
    let both = |host: u8, port: u16, bundle: bool| {
        let opus = Codec::new("opus", 48_000).unwrap().with_payload_type(96);
        let video = MediaCapabilities::new("video", port + 2).unwrap();
        let vp8 = Codec::new("VP8", 90_000).unwrap().with_payload_type(96);
        Capabilities::new([192, 0, 2, host].into())
            .media(MediaCapabilities::audio(port).codecs([opus]))
            .media(video.codecs([vp8]))
            .bundle(bundle)
    };
    let (mut alice, mut bob) = (Session::new(1), Session::new(2));
    let (alices, bobs) = (both(1, 4_000, true), both(2, 5_000, true));
    let (offer, answer, ours, theirs) = exchange((&mut alice, &alices), (&mut bob, &bobs)).unwrap();
    let group = Group {
        semantics: "BUNDLE".into(),
        mids: vec!["0".into(), "1".into()],
    };
    assert_eq!(offer.get::<Group>(), Some(Ok(group.clone())));
    assert_eq!(answer.get::<Group>(), Some(Ok(group)));
    assert_eq!(offer.media()[0].get::<RtcpMux>(), Some(Ok(RtcpMux)));
    assert_eq!(
        offer.media().iter().map(|m| m.port()).collect::<Vec<_>>(),
        [4_000, 4_002]
    );
    assert_eq!(
        answer.media().iter().map(|m| m.port()).collect::<Vec<_>>(),
        [5_000, 5_000]
    );
    assert_ne!(
        offer.media()[0].payload_types()[0],
        offer.media()[1].payload_types()[0]
    );
    for (view, remote) in [(&ours, "192.0.2.2:5000"), (&theirs, "192.0.2.1:4000")] {
        for media in view.media() {
            let media = media.as_ref().unwrap();
            assert_eq!(media.remote(), Some(remote.parse().unwrap()));
            assert_eq!(media.remote_rtcp(), media.remote());
            assert_eq!(media.bundled_with(), Some(0));
        }
    }
    // §7.5: once in force, the shared address is offered.
    let (offer, ..) = exchange((&mut alice, &alices), (&mut bob, &bobs)).unwrap();
    assert_eq!(
        offer.media().iter().map(|m| m.port()).collect::<Vec<_>>(),
        [4_000, 4_000]
    );

    let (_, answer, ours, _) = first(&alices, &both(2, 5_000, false)).unwrap();
    assert!(answer.get::<Group>().is_none());
    assert_eq!(answer.media()[1].get::<Mid>(), Some(Ok(Mid("1".into()))));
    assert_eq!(
        ours.media()[1].as_ref().unwrap().remote(),
        Some("192.0.2.2:5002".parse().unwrap())
    );
}

/// SDP-023: RFC 9143 §7.3.2, §7.3.3: a line that is there only within the bundle has port 0 and the transport of the first;
/// who bundles takes it, and whoever does not, or not that first line, turns it down.
#[test]
fn a_line_that_is_there_only_within_a_bundle_goes_with_its_first() {
    let offer = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=group:BUNDLE a v\r\n\
        m=audio 4000 RTP/AVP 0\r\na=mid:a\r\na=rtcp-mux\r\n\
        m=video 0 RTP/AVP 31\r\na=mid:v\r\na=bundle-only\r\nm=video 0 RTP/AVP 31\r\na=mid:w\r\na=bundle-only\r\n";
    let offer = SessionDescription::parse(offer).unwrap();
    let audio = || MediaCapabilities::audio(5_000);
    let video = || {
        let video = MediaCapabilities::new("video", 5_002).unwrap();
        video.codecs([Codec::new("H261", 90_000).unwrap()])
    };
    let bob = |bundle| Capabilities::new([192, 0, 2, 2].into()).bundle(bundle);
    let ports = |answer: &SessionDescription| -> Vec<u16> {
        answer.media().iter().map(|media| media.port()).collect()
    };
    let mut session = Session::new(1);
    let both = bob(true).media(audio()).media(video());
    let (answer, seen) = session.answer(&offer, &both).unwrap();
    assert_eq!(ports(&answer), [5_000, 5_000, 0]);
    let group = answer.get::<Group>().unwrap().unwrap();
    assert_eq!(group.mids, ["a", "v"]);
    assert!(answer.media()[1].attribute("bundle-only").is_none());
    let video_seen = seen.media()[1].as_ref().unwrap();
    assert_eq!(video_seen.remote(), Some("192.0.2.1:4000".parse().unwrap()));
    assert_eq!(video_seen.remote_rtcp(), video_seen.remote());
    assert_eq!(video_seen.bundled_with(), Some(0));
    assert!(seen.media()[2].is_none(), "it is in no bundle");

    let apart = bob(false).media(audio()).media(video());
    let (answer, _) = Session::new(1).answer(&offer, &apart).unwrap();
    assert_eq!(ports(&answer), [5_000, 0, 0]);
    let without_first = bob(true).media(video());
    let refused = Session::new(1).answer(&offer, &without_first);
    assert_eq!(refused.err(), Some(OfferError::NothingAcceptable));
}

/// RFC 3264 §5: an INVITE without an offer makes the callee offer, with the same rules.
#[test]
fn a_late_offer_is_an_offer() {
    let (mut caller, mut callee) = (Session::new(1), Session::new(2));
    // One suite only, because an answer says no more than one.
    let one = Keying::Sdes(vec![Crypto::new(1, SUITE, &[1; 30])]);
    let callers = party(1, SrtpPolicy::Optional, one);
    let callees = party(2, SrtpPolicy::Optional, sdes(2));
    let (.., in_200, in_ack) = exchange((&mut callee, &callees), (&mut caller, &callers)).unwrap();
    assert!(matches!(
        in_200.audio().unwrap().security(),
        MediaSecurity::Sdes { .. }
    ));
    assert_eq!(
        in_ack.audio().unwrap().remote(),
        Some("192.0.2.2:4000".parse().unwrap())
    );
    // Nothing changed: the caller's own offer has the version that its answer had.
    let answered = caller.local().unwrap().origin();
    let offered = caller.offer(&callers).unwrap().origin();
    assert_eq!(answered, offered);
}

#[test]
fn raw_attributes_and_edits_are_said_and_counted() {
    let audio = MediaCapabilities::audio(4_000)
        .raw_attribute("x-odd", Some("1 2"))
        .unwrap();
    assert!(
        MediaCapabilities::audio(4_000)
            .raw_attribute("x", Some("1\r\n"))
            .is_err()
    );
    let alices = Capabilities::new([192, 0, 2, 1].into()).media(audio);
    let (mut alice, mut bob) = (Session::new(1), Session::new(2));
    let offer = alice
        .offer_with(&alices, |offer| {
            offer.media_mut(0).unwrap().set_port(6_000);
        })
        .unwrap();
    assert_eq!(
        offer.media()[0].attribute("x-odd").unwrap().value(),
        Some("1 2")
    );
    let (answer, theirs) = bob
        .answer_with(&offer, &party(2, SrtpPolicy::Off, sdes(2)), |answer| {
            answer.media_mut(0).unwrap().set_formats(["8"]).unwrap();
        })
        .unwrap();
    assert_eq!(
        theirs.audio().unwrap().remote(),
        Some("192.0.2.1:6000".parse().unwrap())
    );
    assert_eq!(theirs.audio().unwrap().codec().name(), "PCMA");
    assert_eq!(
        alice
            .apply_answer(&answer)
            .unwrap()
            .audio()
            .unwrap()
            .codec()
            .name(),
        "PCMA"
    );
    let versions = alice
        .offer(&alices)
        .unwrap()
        .origin()
        .version_number()
        .unwrap();
    assert_eq!(versions, offer.origin().version_number().unwrap() + 1);
}
