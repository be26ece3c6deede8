//! What holds for all descriptions and for all pairs of capabilities.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use proptest::{prelude::*, test_runner::RngSeed};
use sdp::{
    AnswerCodecs, Capabilities, Codec, CodecOrder, Crypto, Direction, Fingerprint, Ice, Keying,
    MediaCapabilities, MediaSecurity, NegotiatedMedia, Session, SessionDescription, Setup,
    SrtpPolicy,
};
use std::net::SocketAddr;

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![
        4 => Just(Direction::SendRecv),
        1 => Just(Direction::SendOnly),
        1 => Just(Direction::RecvOnly),
        1 => Just(Direction::Inactive),
    ]
}

fn codec() -> impl Strategy<Value = Codec> {
    let names = ["PCMU", "PCMA", "GSM", "iLBC", "opus"];
    let hint = prop_oneof![Just(None), (96_u8..100).prop_map(Some)];
    (0..names.len(), prop_oneof![Just(8_000), Just(16_000)], hint).prop_map(
        move |(name, rate, hint)| {
            let codec = Codec::new(names[name], rate).expect("legal");
            match hint {
                Some(hint) => codec.with_payload_type(hint),
                None => codec,
            }
        },
    )
}

fn keying() -> impl Strategy<Value = Keying> {
    let suites = [
        "AES_CM_128_HMAC_SHA1_80",
        "AES_CM_128_HMAC_SHA1_32",
        "F8_128_HMAC_SHA1_80",
    ];
    let keys = prop::collection::vec((0..suites.len(), any::<[u8; 30]>()), 1..4);
    prop_oneof![
        3 => keys.prop_map(move |keys| {
            let keys = keys.into_iter().zip(1..);
            Keying::Sdes(keys.map(|((suite, key), tag)| Crypto::new(tag, suites[suite], &key)).collect())
        }),
        1 => any::<[u8; 32]>().prop_map(|digest| Keying::Dtls(Fingerprint { hash: "sha-256".into(), digest: digest.into() })),
    ]
}

fn security() -> impl Strategy<Value = (SrtpPolicy, Vec<Keying>, bool)> {
    let policy = prop_oneof![
        2 => Just(SrtpPolicy::Off),
        2 => Just(SrtpPolicy::Optional),
        1 => Just(SrtpPolicy::Mandatory),
        1 => Just(SrtpPolicy::DuplicateOffer),
    ];
    (policy, prop::collection::vec(keying(), 0..3), any::<bool>())
}

fn media(port: u16) -> impl Strategy<Value = MediaCapabilities> {
    (
        prop::collection::vec(codec(), 0..5),
        any::<[bool; 5]>(),
        direction(),
        prop::option::of(1_u32..100),
        security(),
    )
        .prop_map(
            move |(
                codecs,
                [video, gone, first, own_order, own_numbers],
                direction,
                packet_time,
                (policy, keying, ice),
            )| {
                let kind = if video { "video" } else { "audio" };
                let media = MediaCapabilities::new(kind, if gone { 0 } else { port })
                    .unwrap()
                    .codecs(codecs)
                    .telephone_event(!video)
                    .direction(direction)
                    .own_payload_types(own_numbers)
                    .order(if own_order {
                        CodecOrder::Own
                    } else {
                        CodecOrder::Offerer
                    })
                    .answer(if first {
                        AnswerCodecs::First
                    } else {
                        AnswerCodecs::All
                    })
                    .srtp(policy, keying);
                let media = if ice {
                    media.ice(Ice::new("abcd", &format!("{port}aaaaaaaaaaaaaaaaaaaaaa")))
                } else {
                    media
                };
                match packet_time {
                    Some(packet_time) => media.packet_time(packet_time),
                    None => media,
                }
            },
        )
}

fn capabilities(host: u8) -> impl Strategy<Value = Capabilities> {
    (
        media(4_000),
        media(4_002),
        media(4_004),
        1_usize..4,
        any::<bool>(),
    )
        .prop_map(move |(first, second, third, count, bundle)| {
            [first, second, third].into_iter().take(count).fold(
                Capabilities::new([192, 0, 2, host].into()).bundle(bundle),
                Capabilities::media,
            )
        })
}

/// What one sends is exactly what the other accepts.
fn fits(sender: &NegotiatedMedia, receiver: &NegotiatedMedia, receivers: &SessionDescription) {
    assert_eq!(sender.direction(), receiver.direction().reversed());
    let heard = receiver
        .receive_codec(sender.send_payload_type())
        .expect("the payload type is known");
    assert!(heard.matches(sender.codec()));
    match (sender.security(), receiver.security()) {
        (MediaSecurity::Plain, MediaSecurity::Plain) => {}
        (MediaSecurity::Sdes { send, .. }, MediaSecurity::Sdes { receive, .. }) => {
            assert_eq!(send, receive);
        }
        (MediaSecurity::Dtls { setup, .. }, MediaSecurity::Dtls { setup: other, .. }) => {
            let parts = (*setup, *other);
            assert!(matches!(
                parts,
                (Setup::Active, Setup::Passive) | (Setup::Passive, Setup::Active)
            ));
        }
        other => panic!("one side encrypts: {other:?}"),
    }
    assert_eq!(sender.rtcp_mux(), receiver.rtcp_mux());
    assert_eq!(sender.bundled_with(), receiver.bundled_with());
    assert_eq!(sender.ice().is_some(), receiver.ice().is_some());
    let line = &receivers.media()[sender.bundled_with().unwrap_or_else(|| sender.index())];
    let address = receivers.connection_of(line).unwrap().ip().unwrap();
    assert_eq!(sender.remote(), Some(SocketAddr::new(address, line.port())));
    if let Some(event) = sender.send_telephone_event() {
        let heard = receiver.receive_codec(event).expect("keys are known");
        assert!(heard.is_telephone_event());
        assert_eq!(heard.clock_rate(), sender.codec().clock_rate());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: RngSeed::Fixed(3264), ..ProptestConfig::with_cases(400) })]

    #[test]
    fn both_views_complement_each_other_through_a_whole_session(
        steps in prop::collection::vec((any::<bool>(), capabilities(1), capabilities(2)), 1..5)
    ) {
        let (mut alice, mut bob) = (Session::new(1), Session::new(2));
        let mut lines = 0;
        for (alice_offers, alices, bobs) in steps {
            let (offerer, wishes, answerer, abilities) = if alice_offers {
                (&mut alice, &alices, &mut bob, &bobs)
            } else {
                (&mut bob, &bobs, &mut alice, &alices)
            };
            let Ok(offer) = offerer.offer(wishes) else { panic!("no offer is pending") };
            let offer = SessionDescription::parse(offer.to_bytes()).unwrap();
            let Ok((answer, theirs)) = answerer.answer(&offer, abilities) else {
                offerer.abandon_offer();
                continue;
            };
            let answer = SessionDescription::parse(answer.to_bytes()).unwrap();
            let ours = offerer.apply_answer(&answer).unwrap();
            prop_assert_eq!(offer.media().len(), answer.media().len());
            prop_assert!(offer.media().len() >= lines);
            prop_assert_eq!(ours.media().len(), theirs.media().len());
            for (ours, theirs) in offer.media().iter().zip(answer.media()) {
                prop_assert_eq!(ours.kind(), theirs.kind());
            }
            lines = offer.media().len();
            for (ours, theirs) in ours.media().iter().zip(theirs.media()) {
                prop_assert_eq!(ours.is_some(), theirs.is_some());
                if let (Some(ours), Some(theirs)) = (ours, theirs) {
                    fits(ours, theirs, &answer);
                    fits(theirs, ours, &offer);
                }
            }
        }
    }

    #[test]
    fn whatever_is_parsed_leaves_as_it_came(text in "(v=0\r\n)(o=- 1 1 IN IP4 h\r?\n)([a-z]=[ -~]{0,20}\r?\n|\n|m=audio [0-9]{1,5} RTP/AVP [0-9 ]{1,8}\r\n){0,8}[a-z]=[ -~]{0,10}") {
        if let Ok(mut description) = SessionDescription::parse(text.clone()) {
            prop_assert_eq!(description.to_bytes(), text.as_bytes());
            description.retain_lines(|_| true);
            let written = description.to_bytes();
            let text = text.into_bytes();
            prop_assert!(written == text || written.strip_suffix(b"\r\n") == Some(&text[..]));
        }
    }

    #[test]
    fn nothing_panics_on_any_bytes(mut bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0_usize..200) {
        let _ = SessionDescription::parse(bytes.clone());
        let whole = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
                     m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=rtcp:1 IN IP4 x\r\n";
        let mut mutated = whole.as_bytes().to_vec();
        bytes.truncate(8);
        let end = (at + bytes.len()).min(mutated.len());
        mutated.splice(at.min(end)..end, bytes);
        if let Ok(description) = SessionDescription::parse(mutated) {
            let capabilities = Capabilities::audio("192.0.2.9:4000".parse().unwrap());
            let _ = Session::new(1).answer(&description, &capabilities);
        }
    }
}
