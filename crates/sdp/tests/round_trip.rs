//! Descriptions leave as they came, and what is wrong is said with its place.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use sdp::{
    Attribute, Capabilities, Codec, Connection, Crypto, Direction, Fmtp, IllegalText, Keying,
    Limits, Media, MediaCapabilities, PacketTime, Rtcp, RtpMap, SdpError, SdpErrorKind, Session,
    SessionDescription, SrtpPolicy,
};
use std::{fs, path::Path};

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n";

fn parse(text: &str) -> SessionDescription {
    SessionDescription::parse(text.to_owned()).unwrap()
}

fn refused(text: &str) -> SdpError {
    SessionDescription::parse(text.to_owned()).unwrap_err()
}

/// The examples of RFC 3264, 4317, 8829 and 8866, in the folder beside this file.
#[test]
fn examples_of_the_rfcs_round_trip_byte_for_byte() {
    let mut count = 0;
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    for folder in fs::read_dir(data).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let wire = fs::read(&path).unwrap();
            let mut description = SessionDescription::parse(wire.clone())
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(description.to_bytes(), wire, "{}", path.display());
            // Also when it is put together again from its lines.
            description.retain_lines(|_| true);
            assert_eq!(
                String::from_utf8_lossy(&description.to_bytes()),
                String::from_utf8_lossy(&wire),
                "{}",
                path.display()
            );
            count += 1;
        }
    }
    assert!(count >= 60, "only {count} examples");
}

/// SDP-001 and SDP-002: RFC 8866 §5: whatever we write has its lines in the order of the grammar, and CRLF behind each, also
/// where a line is put into a description that came in another shape.
#[test]
fn what_is_written_is_in_order() {
    let audio = MediaCapabilities::audio(4_000).srtp(
        SrtpPolicy::Optional,
        [Keying::Sdes(vec![Crypto::new(
            1,
            "AES_CM_128_HMAC_SHA1_80",
            &[1; 30],
        )])],
    );
    let video = MediaCapabilities::new("video", 4_002).unwrap();
    let video = video
        .codecs([Codec::new("VP8", 90_000).unwrap()])
        .address([192, 0, 2, 9].into());
    let capabilities = Capabilities::new([192, 0, 2, 1].into())
        .media(audio)
        .media(video)
        .bundle(true);
    let offer = Session::new(1).offer(&capabilities).unwrap();
    let mut edited = parse(
        "v=0\r\no=- 1 1 IN IP4 h\r\nt=0 0\r\na=x\r\nm=audio 9 RTP/AVP 0\r\na=y\r\nm=audio 9 RTP/AVP 8\r\n",
    );
    edited.set_session_name("s").unwrap();
    edited.set_connection(&Connection::new([192, 0, 2, 9].into()));
    edited.push_attribute(&PacketTime(20)).unwrap();
    for index in 0..2 {
        let media = edited.media_mut(index).unwrap();
        media.set_connection(&Connection::new([192, 0, 2, 7].into()));
        media.set_attribute(&PacketTime(20)).unwrap();
    }
    for description in [offer, edited] {
        let text = description.to_string();
        assert!(
            text.ends_with("\r\n") && text.matches('\n').count() == text.matches("\r\n").count()
        );
        let letters: String = text.lines().map(|line| &line[..1]).collect();
        let (session, media) = letters.split_once('m').unwrap();
        for required in ['v', 'o', 's', 'c', 't'] {
            assert_eq!(session.matches(required).count(), 1, "{required}: {text}");
        }
        assert!(is_in_order(session, "vosiuepcbtrzka"), "{text}");
        assert!(
            media.split('m').all(|media| is_in_order(media, "icbka")),
            "{text}"
        );
    }
}

fn is_in_order(letters: &str, order: &str) -> bool {
    letters
        .chars()
        .map(|letter| order.find(letter).unwrap())
        .is_sorted()
}

/// SDP-003: RFC 8866 §5.2: what is too large for a number is text, and can be answered.
#[test]
fn numbers_of_any_length_are_kept() {
    let long = "9".repeat(40);
    for (id, version) in [(long.as_str(), "1"), ("1", long.as_str()), ("-1", "x")] {
        let wire = format!(
            "v=0\r\no=- {id} {version} IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
        );
        let offer = parse(&wire);
        assert_eq!(
            (offer.origin().session_id(), offer.origin().version()),
            (id, version)
        );
        assert_eq!(offer.to_string(), wire);
        let abilities = Capabilities::audio("192.0.2.2:5000".parse().unwrap());
        assert!(Session::new(1).answer(&offer, &abilities).is_ok());
    }
}

/// SDP-002 and SDP-003.
#[test]
fn lenient_where_the_world_needs_it() {
    // Line feeds alone, no s=, no t=, an unknown letter, b=TIAS, a blank line, an attribute that is not UTF-8.
    let wire = b"v=0\no=Some Phone 1 -2 IN IP4 pc.example.com\nb=TIAS:64000\ny=what\n\nm=audio 9 RTP/AVP 0\na=x:\xff\n";
    let description = SessionDescription::parse(wire.to_vec()).unwrap();
    assert_eq!(description.to_bytes(), wire.as_slice());
    assert_eq!(description.origin().username(), "Some Phone");
    assert_eq!(description.origin().version(), "-2");
    assert_eq!(description.origin().version_number(), None);
    assert_eq!(description.session_name(), None);
    let attribute = description.media()[0].attribute("x").unwrap();
    assert_eq!(attribute.value(), None);
    assert_eq!(attribute.value_bytes(), Some(b"\xff".as_slice()));
}

#[test]
fn an_edit_touches_no_other_line() {
    let wire = "v=0\no=- 1 1 IN IP4 192.0.2.1\ns= \nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0 8\na=odd  one\na=sendonly\na=ptime:30\nz=after";
    let mut description = parse(wire);
    let audio = description.media_mut(0).unwrap();
    audio.set_direction(Direction::Inactive);
    audio.set_attribute(&PacketTime(20)).unwrap();
    audio.set_formats(["8"]).unwrap();
    audio.set_connection(&Connection::new([192, 0, 2, 7].into()));
    description.set_connection(&Connection::new([192, 0, 2, 9].into()));
    assert_eq!(
        description.to_string(),
        "v=0\no=- 1 1 IN IP4 192.0.2.1\ns= \nc=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP 8\r\n\
         c=IN IP4 192.0.2.7\r\na=odd  one\na=inactive\r\na=ptime:20\r\nz=after\r\n"
    );
    let edited = description.to_bytes();
    assert_eq!(
        SessionDescription::parse(edited.clone())
            .unwrap()
            .to_bytes(),
        edited
    );
}

/// SDP-001 and SDP-028.
#[test]
fn errors_name_line_offset_and_kind() {
    let wrong = [
        ("", 1, 0, SdpErrorKind::Empty),
        ("o=- 1 1 IN IP4 h\r\n", 1, 0, SdpErrorKind::Version),
        ("v=1\r\n", 1, 0, SdpErrorKind::Version),
        ("v=0\r\ns=-\r\n", 2, 10, SdpErrorKind::OriginMissing),
        ("v=0\r\no=- 1 IN IP4 h\r\n", 2, 5, SdpErrorKind::Origin),
        ("v=0\r\nnonsense\r\n", 2, 5, SdpErrorKind::NoEquals),
        ("v=0\r\ns=a\rb\r\n", 2, 5, SdpErrorKind::IllegalByte),
        ("v=0\r\ns=a\0b\r\n", 2, 5, SdpErrorKind::IllegalByte),
    ];
    for (text, line, offset, kind) in wrong {
        assert_eq!(refused(text), SdpError { line, offset, kind }, "{text:?}");
    }
    for (media, kind) in [
        ("c=IN IP4", SdpErrorKind::Connection),
        ("m=audio", SdpErrorKind::Media),
        ("m=audio 9", SdpErrorKind::Media),
        ("m=audio 65536 RTP/AVP 0", SdpErrorKind::Port),
        ("m=audio 99999999999999999999 RTP/AVP 0", SdpErrorKind::Port),
        ("m=audio -1 RTP/AVP 0", SdpErrorKind::Port),
        ("m=audio +1 RTP/AVP 0", SdpErrorKind::Port),
        ("m=audio 9/x RTP/AVP 0", SdpErrorKind::Port),
    ] {
        let error = refused(&format!("{HEAD}{media}\r\n"));
        assert_eq!(
            error,
            SdpError {
                line: 3,
                offset: HEAD.len(),
                kind
            },
            "{media}"
        );
    }
}

/// SDP-028.
#[test]
fn limits_are_kept() {
    let many = format!("{HEAD}{}", "m=audio 9 RTP/AVP 0\r\n".repeat(10_000));
    assert_eq!(refused(&many).kind, SdpErrorKind::TooLong(65_536));
    let wide = Limits::default().size(1_000_000).lines(100_000);
    let error = SessionDescription::parse_with(many, &wide).unwrap_err();
    assert_eq!(
        (error.kind.clone(), error.line),
        (SdpErrorKind::TooManyMedia(64), 67)
    );
    assert_eq!((error.status(), error.warning()), (488, 399));
    assert_eq!(
        error.to_string(),
        "session description line 67, byte 1375: more than 64 media"
    );
    assert_eq!(refused("v=0\r\ns=-\r\n").status(), 400);
    let long = format!("{HEAD}{}", "a=x\r\n".repeat(5_000));
    assert_eq!(refused(&long).kind, SdpErrorKind::TooManyLines(4_096));
}

#[test]
fn nothing_that_is_written_can_break_out_of_its_line() {
    let mut media = Media::new("audio", 9, "RTP/AVP", ["0"]).unwrap();
    assert_eq!(
        media.push_raw_attribute("x", Some("1\r\na=y")),
        Err(IllegalText)
    );
    assert_eq!(media.push_raw_attribute("x\n", None), Err(IllegalText));
    assert_eq!(media.push_raw_attribute("x:y", None), Err(IllegalText));
    assert_eq!(media.set_formats(["0\r\n"]), Err(IllegalText));
    assert!(Media::new("au dio", 9, "RTP/AVP", ["0"]).is_err());
    assert!(Fmtp::new("0", "a\nb").is_err());
    assert!(RtpMap::new(0, "A\r", 8_000).is_err());
    assert!(Connection::named("a b", false).is_err());
    let mut description = parse(HEAD);
    assert_eq!(description.set_session_name("a\nb"), Err(IllegalText));
    assert_eq!(description.to_string(), HEAD);
}

#[test]
fn attributes_are_absent_malformed_or_there() {
    let description = parse(&format!(
        "{HEAD}m=audio 9/2 RTP/AVP 0 97 97 200 x\r\na=rtpmap:97 iLBC/8000\r\na=fmtp:97 mode=20;foo\r\n\
         a=ptime:2.5\r\na=rtcp:x\r\na=sendonly\r\n"
    ));
    let audio = &description.media()[0];
    assert_eq!(audio.payload_types(), [0, 97]);
    assert_eq!(audio.rtp_map(0).unwrap().encoding(), "PCMU");
    assert_eq!(audio.rtp_map(97).unwrap().encoding(), "iLBC");
    assert_eq!(audio.rtp_map(98), None);
    assert_eq!(audio.fmtp(97).unwrap().parameter("mode"), Some("20"));
    assert_eq!(audio.get::<PacketTime>(), Some(Ok(PacketTime(3))));
    assert!(matches!(audio.get::<Rtcp>(), Some(Err(_))));
    assert!(audio.get::<sdp::MaxPacketTime>().is_none());
    assert_eq!(description.direction_of(audio), Direction::SendOnly);
    let names: Vec<&str> = audio
        .attributes()
        .map(|a: Attribute<'_>| a.name())
        .collect();
    assert_eq!(names, ["rtpmap", "fmtp", "ptime", "rtcp", "sendonly"]);
}

/// RFC 8866 §6.7: a direction of the session counts for media that say nothing.
#[test]
fn session_values_count_for_media_without_their_own() {
    let description = parse(&format!(
        "{HEAD}c=IN IP4 192.0.2.1\r\na=recvonly\r\nm=audio 9 RTP/AVP 0\r\n\
         m=video 9 RTP/AVP 31\r\nc=IN IP6 ::1\r\na=sendrecv\r\n"
    ));
    let [audio, video] = description.media() else {
        panic!("two media");
    };
    assert_eq!(description.direction_of(audio), Direction::RecvOnly);
    assert_eq!(description.direction_of(video), Direction::SendRecv);
    assert_eq!(
        description.connection_of(audio).unwrap().host(),
        "192.0.2.1"
    );
    assert_eq!(description.connection_of(video).unwrap().host(), "::1");
}
