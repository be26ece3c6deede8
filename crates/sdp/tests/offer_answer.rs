//! RFC 3264 as a story of two parties.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use sdp::{
    AcceptTypes, AnswerError, Capabilities, Codec, Direction, MediaCapabilities, MsrpPath,
    NegotiatedMedia, OfferError, Session, SessionDescription, TypedAttribute as _,
};
use std::net::SocketAddr;

const ALICE: &str = "192.0.2.1:4000";
const BOB: &str = "192.0.2.2:5000";

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

fn parse(text: &str) -> SessionDescription {
    SessionDescription::parse(text.to_owned()).unwrap()
}

fn version(description: &SessionDescription) -> u64 {
    description.origin().version_number().unwrap()
}

/// A full exchange; what each side sees of the first m= line.
fn exchange(
    (offerer, wishes): (&mut Session, &Capabilities),
    (answerer, abilities): (&mut Session, &Capabilities),
) -> (Option<NegotiatedMedia>, Option<NegotiatedMedia>) {
    let offer = offerer.offer(wishes).unwrap();
    let offer = SessionDescription::parse(offer.to_bytes()).unwrap();
    let (answer, theirs) = answerer.answer(&offer, abilities).unwrap();
    let answer = SessionDescription::parse(answer.to_bytes()).unwrap();
    let ours = offerer.apply_answer(&answer).unwrap();
    (ours.media()[0].clone(), theirs.media()[0].clone())
}

/// SDP-007: RFC 3264 §6.1: each direction of an offer meets each wish of the answerer.
#[test]
fn sixteen_pairs_of_directions_mirror() {
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    let table = [
        (SendRecv, [SendRecv, SendOnly, RecvOnly, Inactive]),
        (SendOnly, [RecvOnly, Inactive, RecvOnly, Inactive]),
        (RecvOnly, [SendOnly, SendOnly, Inactive, Inactive]),
        (Inactive, [Inactive, Inactive, Inactive, Inactive]),
    ];
    for (offered, answers) in table {
        for (wanted, expected) in [SendRecv, SendOnly, RecvOnly, Inactive]
            .into_iter()
            .zip(answers)
        {
            let (ours, theirs) = exchange(
                (
                    &mut Session::new(1),
                    &Capabilities::audio(at(ALICE)).direction(offered),
                ),
                (
                    &mut Session::new(2),
                    &Capabilities::audio(at(BOB)).direction(wanted),
                ),
            );
            assert_eq!(
                theirs.unwrap().direction(),
                expected,
                "{offered} meets {wanted}"
            );
            assert_eq!(ours.unwrap().direction(), expected.reversed());
        }
    }
}

/// SDP-004.
#[test]
fn trap_23_views_are_complementary_and_versions_grow_only_with_changes() {
    let (mut alice, mut bob) = (Session::new(10), Session::new(20));
    let alices = Capabilities::audio(at(ALICE));
    let bobs = Capabilities::audio(at(BOB));
    let (ours, theirs) = exchange((&mut alice, &alices), (&mut bob, &bobs));
    let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
    assert_eq!(ours.remote(), Some(at(BOB)));
    assert_eq!(ours.remote_rtcp(), Some(at("192.0.2.2:5001")));
    assert_eq!(theirs.remote(), Some(at(ALICE)));
    assert_eq!(ours.send_telephone_event(), Some(101));
    assert_eq!(ours.packet_time(), Some(20));
    assert_eq!(
        (
            version(alice.local().unwrap()),
            version(bob.local().unwrap())
        ),
        (10, 20)
    );

    // The same again: nothing grows.
    exchange((&mut alice, &alices), (&mut bob, &bobs));
    assert_eq!(
        (
            version(alice.local().unwrap()),
            version(bob.local().unwrap())
        ),
        (10, 20)
    );

    // Hold, by either side, and resume.
    let held = alices.clone().direction(Direction::SendOnly);
    let (ours, theirs) = exchange((&mut alice, &held), (&mut bob, &bobs));
    assert_eq!(ours.unwrap().direction(), Direction::SendOnly);
    assert_eq!(theirs.unwrap().direction(), Direction::RecvOnly);
    assert_eq!(
        (
            version(alice.local().unwrap()),
            version(bob.local().unwrap())
        ),
        (11, 21)
    );
    let (theirs, ours) = exchange(
        (&mut bob, &bobs.clone().direction(Direction::SendOnly)),
        (&mut alice, &held),
    );
    assert_eq!(theirs.unwrap().direction(), Direction::Inactive);
    assert_eq!(ours.unwrap().direction(), Direction::Inactive);
    let (ours, theirs) = exchange((&mut alice, &alices), (&mut bob, &bobs));
    assert_eq!(ours.unwrap().direction(), Direction::SendRecv);
    assert_eq!(theirs.unwrap().direction(), Direction::SendRecv);
    let ids = [&alice, &bob].map(|side| side.local().unwrap().origin().session_id().to_owned());
    assert_eq!(ids, ["10", "20"]);
}

/// SDP-010.
#[test]
fn an_old_peer_holds_with_an_address_of_zeros() {
    let mut bob = Session::new(1);
    let bobs = Capabilities::audio(at(BOB));
    let hold = |connection: &str, direction: &str| {
        parse(&format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN {connection}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n{direction}"
        ))
    };
    for (connection, direction, expected) in [
        ("IP4 0.0.0.0", "", Direction::RecvOnly),
        ("IP4 0.0.0.0", "a=sendonly\r\n", Direction::RecvOnly),
        ("IP4 0.0.0.0", "a=recvonly\r\n", Direction::Inactive),
        ("IP6 ::", "", Direction::RecvOnly),
        ("IP4 192.0.2.1", "", Direction::SendRecv),
    ] {
        let (answer, seen) = bob.answer(&hold(connection, direction), &bobs).unwrap();
        let seen = seen.audio().unwrap().clone();
        assert_eq!(seen.direction(), expected, "{connection} {direction}");
        assert_eq!(answer.direction_of(&answer.media()[0]), expected);
        assert_eq!(seen.remote().is_some(), seen.direction().sends());
    }
}

/// SDP-005 and SDP-011: RFC 3264 §8.2: a removed stream keeps its line, and a new one may take it over (§8.1).
#[test]
fn every_line_keeps_its_place() {
    let both = |video_port| {
        Capabilities::audio(at(ALICE)).media(
            MediaCapabilities::new("video", video_port)
                .unwrap()
                .codecs([Codec::new("H261", 90_000).unwrap()]),
        )
    };
    let (mut alice, mut bob) = (Session::new(1), Session::new(2));
    exchange((&mut alice, &both(4_002)), (&mut bob, &both(5_002)));
    assert_eq!(bob.local().unwrap().media().len(), 2);

    exchange((&mut alice, &both(0)), (&mut bob, &both(5_002)));
    let lines: Vec<&str> = alice
        .local()
        .unwrap()
        .media()
        .iter()
        .map(|media| media.line())
        .collect();
    assert_eq!(lines, ["audio 4000 RTP/AVP 0 8 101", "video 0 RTP/AVP 31"]);

    exchange((&mut bob, &both(5_002)), (&mut alice, &both(4_002)));
    let ports: Vec<u16> = bob
        .local()
        .unwrap()
        .media()
        .iter()
        .map(|media| media.port())
        .collect();
    assert_eq!(ports, [4_000, 5_002]);
    assert_eq!(alice.local().unwrap().media()[1].port(), 4_002);

    let shrunk = parse(
        "v=0\r\no=- 1 9 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n",
    );
    let before = bob.local().unwrap().to_bytes();
    assert_eq!(
        bob.answer(&shrunk, &both(5_002)).unwrap_err(),
        OfferError::MediaRemoved {
            offered: 1,
            session: 2
        }
    );
    assert_eq!(bob.local().unwrap().to_bytes(), before);
}

/// SDP-005 and SDP-006.
#[test]
fn what_cannot_be_accepted_is_turned_down_in_its_place_or_refused_as_a_whole() {
    let bobs = Capabilities::audio(at(BOB));
    let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";
    for only in [
        "m=audio 4000 RTP/SAVP 0\r\n",
        "m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\n",
        "m=audio 4000 RTP/AVP 18\r\n",
        "m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n",
        "m=audio 4000 RTP/AVP 99\r\n",
        "m=audio 4000 RTP/AVP 0\r\nm=audio 4002 RTP/AVP 8\r\n",
        "m=image 4000 udptl t38\r\n",
    ] {
        let mut bob = Session::new(1);
        let offer = parse(&format!("{head}{only}"));
        if offer.media().len() == 2 {
            // One stream of ours can serve only one line.
            let (answer, _) = bob.answer(&offer, &bobs).unwrap();
            assert_eq!(answer.media()[1].line(), "audio 0 RTP/AVP 8");
            continue;
        }
        let error = bob.answer(&offer, &bobs).unwrap_err();
        assert_eq!(error, OfferError::NothingAcceptable, "{only}");
        assert_eq!((error.status(), error.warning()), (488, Some(305)));
        assert!(bob.local().is_none());
    }
    let offer = parse(&format!(
        "{head}m=image 4000 udptl t38\r\nm=audio 4002 RTP/AVPF 8\r\n"
    ));
    let (answer, seen) = Session::new(1).answer(&offer, &bobs).unwrap();
    assert_eq!(answer.media()[0].line(), "image 0 udptl t38");
    // The profile is mirrored.
    assert_eq!(answer.media()[1].line(), "audio 5000 RTP/AVPF 8");
    assert_eq!(seen.audio().unwrap().codec().name(), "PCMA");
    // No media at all is a legal offer, and so is an offer that takes all away.
    for empty in ["", "m=audio 0 RTP/AVP 0\r\n"] {
        let (_, seen) = Session::new(1)
            .answer(&parse(&format!("{head}{empty}")), &bobs)
            .unwrap();
        assert!(seen.audio().is_none());
    }
}

/// SDP-004, SDP-013 and SDP-014.
#[test]
fn only_one_offer_at_a_time_and_a_failed_one_changes_nothing() {
    let (mut alice, mut bob) = (Session::new(1), Session::new(2));
    let (alices, bobs) = (Capabilities::audio(at(ALICE)), Capabilities::audio(at(BOB)));
    exchange((&mut alice, &alices), (&mut bob, &bobs));
    let in_force = alice.local().unwrap().to_bytes();

    let held = alices.clone().direction(Direction::SendOnly);
    let first = alice.offer(&held).unwrap();
    assert!(alice.is_offer_pending());
    assert_eq!(alice.offer(&held).unwrap_err(), OfferError::Pending);
    let crossing = bob.offer(&bobs).unwrap();
    let glare = alice.answer(&crossing, &alices).unwrap_err();
    assert_eq!((glare, glare.status()), (OfferError::Pending, 491));
    alice.abandon_offer();
    bob.abandon_offer();
    assert_eq!(alice.local().unwrap().to_bytes(), in_force);

    // The same offer again is the same version; another one is a newer one, also than the failed.
    let again = alice.offer(&held).unwrap();
    assert_eq!(again.to_bytes(), first.to_bytes());
    alice.abandon_offer();
    let other = alice.offer(&alices).unwrap();
    assert_eq!(version(&other), version(&first) + 1);
}

#[test]
fn answers_that_do_not_fit_leave_the_session_as_it_was() {
    let alices = Capabilities::audio(at(ALICE));
    let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n";
    let mut alice = Session::new(1);
    assert_eq!(
        alice.apply_answer(&parse(head)).unwrap_err(),
        AnswerError::NotOffered
    );
    for (media, expected) in [
        (
            "",
            AnswerError::MediaCount {
                answered: 0,
                offered: 1,
            },
        ),
        ("m=video 1 RTP/AVP 0\r\n", AnswerError::MediaMismatch(0)),
        ("m=audio 1 RTP/SAVP 0\r\n", AnswerError::MediaMismatch(0)),
        ("m=audio 1 RTP/AVP 18\r\n", AnswerError::NoCommonCodec),
    ] {
        alice.offer(&alices).unwrap();
        let answer = parse(&format!("{head}{media}"));
        assert_eq!(alice.apply_answer(&answer).unwrap_err(), expected);
        assert!(alice.local().is_none() && !alice.is_offer_pending());
    }
    alice.offer(&alices).unwrap();
    let all_turned_down = parse(&format!("{head}m=audio 0 RTP/AVP 0\r\n"));
    assert_eq!(
        alice.apply_answer(&all_turned_down).unwrap().media(),
        [None]
    );
}

/// SDP-008 and SDP-018: RFC 3264 §6.1: an answer may list more than was offered; what we send is among what we know.
#[test]
fn answers_may_list_more_than_the_offer() {
    let mut alice = Session::new(1);
    alice.offer(&Capabilities::audio(at(ALICE))).unwrap();
    let seen = alice
        .apply_answer(&parse(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n\
             m=audio 5000 RTP/AVP 96 8 0 97\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:97 telephone-event/8000\r\n\
             a=rtcp:6001 IN IP4 192.0.2.3\r\na=ptime:60\r\na=maxptime:40\r\n",
        ))
        .unwrap();
    let seen = seen.audio().unwrap();
    assert_eq!((seen.codec().name(), seen.send_payload_type()), ("PCMA", 8));
    // Keys travel under the peer's number one way and under ours the other way.
    assert_eq!(seen.send_telephone_event(), Some(97));
    assert!(seen.receive_codec(101).unwrap().is_telephone_event());
    assert_eq!(seen.remote_rtcp(), Some(at("192.0.2.3:6001")));
    assert_eq!(seen.packet_time(), Some(40));
}

/// SDP-008: RFC 3264 §6.1: the numbers and the order of the offer are those of the answer.
#[test]
fn an_answer_uses_the_numbers_of_the_offer() {
    let opus = Codec::new("opus", 48_000).unwrap().with_channels(2);
    let bobs = Capabilities::new([192, 0, 2, 2].into())
        .media(MediaCapabilities::audio(5_000).codecs([Codec::PCMA, opus.with_payload_type(96)]));
    let offer = parse(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
         m=audio 4000 RTP/AVP 111 9 8\r\na=rtpmap:111 opus/48000/2\r\n",
    );
    let (answer, seen) = Session::new(1).answer(&offer, &bobs).unwrap();
    assert_eq!(answer.media()[0].line(), "audio 5000 RTP/AVP 111 8");
    let seen = seen.audio().unwrap();
    assert_eq!(
        (seen.codec().name(), seen.send_payload_type()),
        ("opus", 111)
    );
    assert!(seen.receives(111) && seen.receives(8) && !seen.receives(96));
}

/// SDP-017: RFC 3551 §6: what has a number of its own needs no rtpmap, and G.722 has the clock that it does not have.
#[test]
fn static_payload_types_need_no_rtpmap() {
    let known = [
        (0, "PCMU", 8_000),
        (3, "GSM", 8_000),
        (4, "G723", 8_000),
        (8, "PCMA", 8_000),
        (9, "G722", 8_000),
        (18, "G729", 8_000),
        (31, "H261", 90_000),
        (34, "H263", 90_000),
    ];
    for (number, name, rate) in known {
        let kind = if rate == 90_000 { "video" } else { "audio" };
        let offer = parse(&format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm={kind} 4000 RTP/AVP {number}\r\n"
        ));
        let bobs = Capabilities::new([192, 0, 2, 2].into()).media(
            MediaCapabilities::new(kind, 5_000)
                .unwrap()
                .codecs([Codec::new(name, rate).unwrap()]),
        );
        let (answer, seen) = Session::new(1).answer(&offer, &bobs).unwrap();
        let line = format!("{kind} 5000 RTP/AVP {number}");
        assert_eq!(answer.media()[0].line(), line);
        let seen = seen.media()[0].as_ref().unwrap();
        assert_eq!(
            (seen.codec().name(), seen.send_payload_type()),
            (name, number)
        );
    }
}

/// SDP-025: RFC 3362: a call that speaks no T.38 refuses to become a fax, and goes on speaking; one beside the audio is
/// turned down in its place.
#[test]
fn a_fax_is_refused_and_the_audio_kept() {
    let (mut alice, mut bob) = (Session::new(1), Session::new(2));
    let (alices, bobs) = (Capabilities::audio(at(ALICE)), Capabilities::audio(at(BOB)));
    exchange((&mut alice, &alices), (&mut bob, &bobs));
    let before = bob.local().unwrap().to_bytes();
    let fax = |lines: &str| {
        parse(&format!(
            "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{lines}a=T38FaxVersion:0\r\n"
        ))
    };
    for lines in [
        "m=image 4100 udptl t38\r\n",
        "m=audio 0 RTP/AVP 0\r\nm=image 4100 udptl t38\r\n",
    ] {
        let error = bob.answer(&fax(lines), &bobs).unwrap_err();
        assert_eq!(error.status(), 488, "{lines}");
        assert_eq!(bob.local().unwrap().to_bytes(), before);
    }
    let both = fax("m=audio 4000 RTP/AVP 0\r\nm=image 4100 udptl t38\r\n");
    let (answer, seen) = bob.answer(&both, &bobs).unwrap();
    assert_eq!(answer.media()[1].line(), "image 0 udptl t38");
    assert!(seen.audio().is_some());
}

/// SDP-027: RFC 4975 §8: a stream of messages is a line like any other to who sends none.
#[test]
fn messages_are_turned_down_beside_audio() {
    let wire = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
        m=message 7654 TCP/MSRP *\r\na=accept-types:text/plain message/cpim\r\n\
        a=path:msrp://192.0.2.1:7654/jshA7weztas;tcp\r\nm=audio 4000 RTP/AVP 0\r\n";
    let offer = parse(wire);
    assert_eq!(offer.to_string(), wire);
    let messages = &offer.media()[0];
    assert_eq!((messages.port(), messages.protocol()), (7_654, "TCP/MSRP"));
    let path = messages.get::<MsrpPath>().unwrap().unwrap();
    assert_eq!(path.value(), "msrp://192.0.2.1:7654/jshA7weztas;tcp");
    let types = messages.get::<AcceptTypes>().unwrap().unwrap();
    assert_eq!(types.value(), "text/plain message/cpim");
    let bobs = Capabilities::audio(at(BOB));
    let (answer, seen) = Session::new(1).answer(&offer, &bobs).unwrap();
    assert_eq!(answer.media()[0].line(), "message 0 TCP/MSRP *");
    assert!(seen.audio().is_some());
}

/// SDP-012: RFC 3264 §8.3.2
#[test]
fn a_payload_type_never_changes_its_meaning() {
    let named = |name: &str| Codec::new(name, 8_000).unwrap();
    let with = |codecs: Vec<Codec>| {
        Capabilities::new([192, 0, 2, 1].into()).media(
            MediaCapabilities::new("audio", 4_000)
                .unwrap()
                .codecs(codecs),
        )
    };
    let formats = |description: &SessionDescription| description.media()[0].payload_types();
    let (mut alice, mut bob) = (Session::new(1), Session::new(2));
    let all = with(vec![named("a"), named("b"), named("c")]);
    exchange((&mut alice, &with(vec![named("a")])), (&mut bob, &all));
    assert_eq!(formats(alice.local().unwrap()), [96]);
    exchange((&mut alice, &with(vec![named("b")])), (&mut bob, &all));
    assert_eq!(formats(alice.local().unwrap()), [97]);
    // Even one that wishes for a number that has a meaning gets another; and the peer keeps to the numbers it heard.
    let wishing = with(vec![named("c").with_payload_type(96), named("a")]);
    exchange((&mut alice, &wishing), (&mut bob, &all));
    assert_eq!(formats(alice.local().unwrap()), [98, 96]);
    exchange((&mut bob, &all), (&mut alice, &all));
    assert_eq!(formats(bob.local().unwrap()), [96, 97, 98]);
}

#[test]
fn more_codecs_than_payload_types_are_left_out() {
    let codecs = (0..200).map(|n| Codec::new(&format!("c{n}"), 8_000).unwrap());
    let many = Capabilities::new([192, 0, 2, 1].into()).media(
        MediaCapabilities::new("audio", 4_000)
            .unwrap()
            .codecs(codecs),
    );
    let offer = Session::new(1).offer(&many).unwrap();
    assert_eq!(offer.media()[0].payload_types().len(), 32 + 29);
}

/// SDP-018 and SDP-019: RFC 5761 §5.1.1
#[test]
fn rtcp_shares_the_port_only_if_both_agree() {
    for (ours, theirs) in [(true, true), (true, false), (false, true), (false, false)] {
        let with = |address: &str, mux| {
            Capabilities::new(at(address).ip()).media(
                MediaCapabilities::audio(at(address).port())
                    .rtcp_mux(mux)
                    .rtcp_port(7_777),
            )
        };
        let mut bob = Session::new(2);
        let (seen, _) = exchange(
            (&mut Session::new(1), &with(ALICE, ours)),
            (&mut bob, &with(BOB, theirs)),
        );
        let seen = seen.unwrap();
        assert_eq!(seen.rtcp_mux(), ours && theirs);
        let port = if ours && theirs { 5_000 } else { 7_777 };
        assert_eq!(seen.remote_rtcp().unwrap().port(), port);
        let answered = bob.local().unwrap().media()[0].attribute("rtcp-mux");
        assert_eq!(answered.is_some(), ours && theirs);
    }
}

/// Also in an offer as full of formats and attributes as the limits allow.
#[test]
fn an_rtpmap_counts_more_than_the_static_payload_type() {
    let mut offer =
        String::from("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n");
    let formats: String = (0..128).rev().map(|number| format!(" {number}")).collect();
    for line in 0..60 {
        offer.push_str(&format!(
            "m=audio {} RTP/AVP{formats}\r\n",
            4_000 + line * 2
        ));
        for number in 0..60 {
            offer.push_str(&format!("a=rtpmap:{number} x/1\r\n"));
        }
        if offer.len() > 60_000 {
            break;
        }
    }
    let offer = parse(&offer);
    let bobs = Capabilities::audio(at(BOB));
    // 0 and 8 are no G.711 here, so nothing is left.
    let error = Session::new(1).answer(&offer, &bobs).unwrap_err();
    assert_eq!(error, OfferError::NothingAcceptable);
}
