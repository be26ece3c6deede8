//! Typed attributes: what is written is read again and means the same, and what the RFCs show is read.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use proptest::{collection::vec, option, prelude::*, test_runner::RngSeed};
use sdp::{
    AcceptTypes, AcceptWrappedTypes, BundleOnly, Candidate, Connection, ConnectionReuse, Content,
    Crypto, CryptoKey, Direction, EndOfCandidates, ExtMap, ExtMapAllowMixed, Fingerprint, Fmtp,
    Group, H264Parameters, IceLite, IceMismatch, IceOptions, IcePwd, IceUfrag, ImageAttr, ImageSet,
    Label, MaxPacketTime, MaxSize, Media, Mid, Msid, MsrpPath, OpusParameters, PacketTime,
    Redundancy, RemoteCandidates, Rid, Rtcp, RtcpFeedback, RtcpMux, RtcpMuxOnly, RtcpReducedSize,
    RtpMap, SessionDescription, Setup, Simulcast, SimulcastId, Ssrc, SsrcGroup, T38,
    T140Parameters, TelephoneEvents, TypedAttribute, ValueError,
};
use std::{fmt::Debug, str::FromStr};

/// Through a value, through a whole description, and through its bytes.
fn round_trips<A: TypedAttribute + PartialEq + Debug>(attribute: &A) {
    if !A::IS_FLAG {
        let value = attribute.value();
        assert_eq!(A::parse(&value).as_ref(), Ok(attribute), "{value:?}");
    }
    let mut description = SessionDescription::parse("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n").unwrap();
    description.push_attribute(attribute).unwrap();
    let mut media = Media::new("audio", 9, "RTP/AVP", ["0"]).unwrap();
    media.set_attribute(attribute).unwrap();
    description.push_media(media);
    let again = SessionDescription::parse(description.to_bytes()).unwrap();
    assert_eq!(again.get::<A>().unwrap().as_ref(), Ok(attribute));
    assert_eq!(again.media()[0].get::<A>().unwrap().as_ref(), Ok(attribute));
}

fn parameters_round_trip<P: FromStr<Err = ValueError> + ToString + PartialEq + Debug>(
    parameters: &P,
) {
    let text = parameters.to_string();
    assert_eq!(text.parse::<P>().as_ref(), Ok(parameters), "{text:?}");
}

fn reads<A: TypedAttribute + Debug>(value: &str) {
    let attribute = A::parse(value).unwrap_or_else(|error| panic!("{value:?}: {error}"));
    assert_eq!(attribute.value(), value);
}

fn refuses<A: TypedAttribute + Debug>(values: &[&str]) {
    for value in values {
        assert_eq!(
            A::parse(value).err(),
            Some(ValueError::new(A::NAME)),
            "{value:?}"
        );
    }
}

fn word() -> impl Strategy<Value = String> + Clone {
    "[a-zA-Z0-9+_-]{1,12}".prop_map(|word| word)
}

fn words() -> impl Strategy<Value = Vec<String>> {
    vec(word(), 1..4)
}

fn key() -> impl Strategy<Value = CryptoKey> {
    (
        vec(any::<u8>(), 1..50),
        option::of(0_u8..64),
        option::of((any::<u64>(), 1_u8..=128)),
    )
        .prop_map(|(bytes, lifetime, mki)| {
            let mut key = CryptoKey::new(&bytes);
            if let Some(exponent) = lifetime {
                key = key.with_lifetime(exponent);
            }
            if let Some((value, length)) = mki {
                key = key.with_mki(value, length);
            }
            key
        })
}

fn streams() -> impl Strategy<Value = Vec<Vec<SimulcastId>>> {
    let id = ("[a-z0-9]{1,4}", any::<bool>())
        .prop_map(|(rid, is_paused)| SimulcastId { rid, is_paused });
    vec(vec(id, 1..3), 1..4)
}

fn sets() -> impl Strategy<Value = Option<Vec<ImageSet>>> {
    let value = prop_oneof![
        "[0-9]{1,4}",
        "\\[[0-9]{1,3}:[0-9]{1,2}:[0-9]{1,3}\\]",
        "\\[[0-9]{1,3},[0-9]{1,3}\\]"
    ];
    let pair = ("[a-z]{1,3}", value);
    option::of(vec(vec(pair, 1..4).prop_map(ImageSet), 0..3))
}

fn direction() -> impl Strategy<Value = Option<Direction>> {
    option::of(
        (any::<bool>(), any::<bool>())
            .prop_map(|(sends, receives)| Direction::new(sends, receives)),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: RngSeed::Fixed(8866), ..ProptestConfig::with_cases(64) })]

    #[test]
    fn codecs_and_packets((payload_type, name, rate, channels) in (0_u8..128, word(), any::<u32>(), 1_u8..9), time in any::<u32>(), text in "[a-z]{1,4}=[a-z0-9/,]{0,8}", kind in word(), parameter in option::of(word())) {
        round_trips(&RtpMap::new(payload_type, &name, rate).unwrap().with_channels(channels));
        round_trips(&Fmtp::new(&payload_type.to_string(), &text).unwrap());
        round_trips(&PacketTime(time));
        round_trips(&MaxPacketTime(time));
        round_trips(&RtcpFeedback { payload_type: (payload_type > 9).then_some(payload_type), kind, parameter });
    }

    #[test]
    fn addresses(port in any::<u16>(), ip in any::<std::net::IpAddr>(), components in vec((1_u16..3, word(), any::<u16>()), 1..4)) {
        round_trips(&Rtcp::new(port));
        round_trips(&Rtcp::new(port).at(Connection::new(ip)));
        round_trips(&RemoteCandidates(components));
    }

    #[test]
    fn candidates(foundation in word(), component in any::<u16>(), priority in any::<u32>(), ip in any::<std::net::IpAddr>(), port in any::<u16>(), kind in word(), related in option::of((any::<std::net::IpAddr>(), any::<u16>())), extensions in vec((word().prop_filter("has its own place", |word| word != "raddr"), word()), 0..3)) {
        let candidate = Candidate { foundation, component, transport: "UDP".into(), priority, host: ip.to_string(), port, kind, related: related.map(|(ip, port)| (ip.to_string(), port)), extensions };
        round_trips(&candidate);
        prop_assert_eq!(candidate.ip(), Some(ip));
    }

    #[test]
    fn keys(tag in 0_u32..1_000_000_000, suite in word(), keys in vec(key(), 1..3), session_parameters in vec("[A-Z_]{1,8}(=[0-9]{1,4})?", 0..3), digest in vec(any::<u8>(), 1..40)) {
        round_trips(&Crypto { tag, suite, keys, session_parameters });
        round_trips(&Fingerprint { hash: "sha-256".into(), digest });
    }

    #[test]
    fn names((one, two, many) in (word(), option::of(word()), words()), ids in vec(any::<u32>(), 0..4), number in any::<u64>()) {
        round_trips(&Mid(one.clone()));
        round_trips(&Label(one.clone()));
        round_trips(&IceUfrag(one.clone()));
        round_trips(&IcePwd(one.clone()));
        round_trips(&IceOptions(many.clone()));
        round_trips(&Group { semantics: one.clone(), mids: many.clone() });
        round_trips(&Msid { stream: one.clone(), track: two.clone() });
        round_trips(&Ssrc { id: number as u32, attribute: one.clone(), value: two });
        round_trips(&SsrcGroup { semantics: one, ids });
        round_trips(&Content(many.clone()));
        round_trips(&AcceptTypes(many.clone()));
        round_trips(&AcceptWrappedTypes(many.clone()));
        round_trips(&MsrpPath(many));
        round_trips(&MaxSize(number));
    }

    #[test]
    fn extensions_and_streams((id, direction, uri, attributes) in (any::<u16>(), direction(), word(), option::of(word())), send in streams(), receive in streams(), sends in any::<bool>(), payload_types in vec(0_u8..128, 0..3), restrictions in vec((word().prop_filter("is no restriction", |word| word != "pt"), option::of(word())), 0..3), (send_sets, receive_sets) in (sets(), sets())) {
        round_trips(&ExtMap { id, direction, uri: uri.clone(), attributes });
        round_trips(&Rid { id: uri, is_sent: sends, payload_types, restrictions });
        round_trips(&Simulcast { send: send.clone(), receive: Vec::new() });
        round_trips(&Simulcast { send, receive });
        if send_sets.is_some() || receive_sets.is_some() {
            round_trips(&ImageAttr { payload_type: sends.then_some(97), send: send_sets, receive: receive_sets });
        }
    }

    #[test]
    fn parameters_of_formats(numbers in any::<[Option<u32>; 4]>(), flags in any::<[bool; 5]>(), level in any::<Option<[u8; 3]>>(), mode in 0_u8..3, ranges in vec((any::<u8>(), any::<u8>()), 1..5), types in vec(0_u8..128, 1..4)) {
        let [max_playback_rate, max_capture_rate, min_packet_time, max_average_bit_rate] = numbers;
        let [stereo, sends_stereo, constant_bit_rate, in_band_fec, discontinuous] = flags;
        parameters_round_trip(&OpusParameters { max_playback_rate, max_capture_rate, min_packet_time, max_average_bit_rate, stereo, sends_stereo, constant_bit_rate, in_band_fec, discontinuous });
        parameters_round_trip(&H264Parameters { profile_level_id: level, packetization_mode: mode, level_asymmetry_allowed: stereo, max_mbps: numbers[0], max_fs: numbers[1], max_br: numbers[2], parameter_sets: sends_stereo.then(|| "Z0IACpZTBYmI,aMljiA==".to_owned()) });
        parameters_round_trip(&T140Parameters { characters_per_second: numbers[0].unwrap_or(30) });
        parameters_round_trip(&Redundancy(types));
        let text: Vec<String> = ranges.iter().map(|(a, b)| if a == b { a.to_string() } else { format!("{}-{}", a.min(b), a.max(b)) }).collect();
        let events: TelephoneEvents = text.join(",").parse().unwrap();
        parameters_round_trip(&events);
        prop_assert!(ranges.iter().all(|(a, b)| events.contains(*a) && events.contains(*b)));
    }

    #[test]
    fn fax(version in any::<Option<u32>>(), rate in any::<Option<u32>>(), management in option::of(word()), buffer in any::<Option<u32>>(), [fill, mmr, jbig] in any::<[bool; 3]>()) {
        let fax = T38 { version, max_bit_rate: rate, rate_management: management.clone(), error_correction: management, max_buffer: buffer, max_datagram: rate, fill_bit_removal: fill, transcoding_mmr: mmr, transcoding_jbig: jbig };
        let mut media = Media::new("image", 9, "udptl", ["t38"]).unwrap();
        fax.write(&mut media).unwrap();
        prop_assert_eq!(T38::of(&media), fax);
    }

    #[test]
    fn nothing_panics_on_any_value(value in "[ -~]{0,40}") {
        let _ = (Crypto::parse(&value), Candidate::parse(&value), RemoteCandidates::parse(&value), Fingerprint::parse(&value));
        let _ = (ImageAttr::parse(&value), Simulcast::parse(&value), Rid::parse(&value), ExtMap::parse(&value));
        let _ = (RtcpFeedback::parse(&value), Ssrc::parse(&value), SsrcGroup::parse(&value), Group::parse(&value));
        let _ = (value.parse::<OpusParameters>(), value.parse::<H264Parameters>(), value.parse::<TelephoneEvents>());
    }
}

#[test]
fn flags_and_roles() {
    round_trips(&RtcpMux);
    round_trips(&RtcpMuxOnly);
    round_trips(&RtcpReducedSize);
    round_trips(&IceLite);
    round_trips(&IceMismatch);
    round_trips(&EndOfCandidates);
    round_trips(&BundleOnly);
    round_trips(&ExtMapAllowMixed);
    round_trips(&ConnectionReuse::New);
    round_trips(&ConnectionReuse::Existing);
    for setup in [
        Setup::Active,
        Setup::Passive,
        Setup::ActPass,
        Setup::HoldConn,
    ] {
        round_trips(&setup);
    }
}

/// RFC 4145 §4.1: which answers each offer allows.
#[test]
fn roles_of_answers() {
    use Setup::{ActPass, Active, HoldConn, Passive};
    for (offered, preferred, answered) in [
        (Active, Active, Passive),
        (Active, Passive, Passive),
        (Passive, Active, Active),
        (Passive, Passive, Active),
        (ActPass, Active, Active),
        (ActPass, ActPass, Active),
        (ActPass, Passive, Passive),
        (HoldConn, Active, HoldConn),
    ] {
        assert_eq!(offered.answer(preferred), answered, "{offered:?}");
    }
}

/// Values out of RFC 4568, 4585, 5104, 5576, 6236, 8122, 8285, 8839, 8851, 8853, 4975, 9143.
#[test]
fn values_that_rfcs_show() {
    reads::<Crypto>(
        "1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^20|1:32",
    );
    reads::<Crypto>(
        "1 AES_CM_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5QUJjZGVm|2^20|1:4;inline:QUJjZGVmMTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5|2^20|2:4 FEC_ORDER=FEC_SRTP",
    );
    reads::<Crypto>(
        "1 AES_CM_128_HMAC_SHA1_80 inline:QUJjZGVmMTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5|1048576|2:4",
    );
    reads::<RtcpFeedback>("* ccm tmmbr smaxpr=120");
    reads::<RtcpFeedback>("98 trr-int 100");
    reads::<Ssrc>("12345 cname:another-user@example.com");
    reads::<ImageAttr>(
        "97 send [x=[480:16:800],y=[320:16:640],par=[1.2-1.3],q=0.6] [x=[176:8:208],y=[144:8:176],par=[1.2-1.3]] recv *",
    );
    reads::<Fingerprint>("sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB");
    reads::<ExtMap>("4/recvonly http://example.com/082005/ext.htm#ttime short");
    reads::<Candidate>("1 1 UDP 2130706431 fe80::6676:baff:fe9c:ee4a 8998 typ host");
    reads::<RemoteCandidates>("1 192.0.2.3 45664 2 192.0.2.3 45665");
    reads::<Rid>("5 send pt=99,102;max-br=64000;max-width=1280;max-height=720;max-fps=30");
    reads::<Simulcast>("send 1,2,3;~4,~5 recv 6;~7,~8");
    reads::<MsrpPath>("msrp://alicepc.example.com:7777/iau39soe2843z;tcp");
    reads::<AcceptTypes>("message/cpim text/* *");
    reads::<Group>("BUNDLE foo bar");
    refuses::<Crypto>(&[
        "",
        "1",
        "1 X",
        "1 X inline",
        "1 X prompt:a",
        "x X inline:AA",
        "1234567890 X inline:AA",
        "1 X inline:AA|1:0",
        "1 X inline:AA|1:129",
        "1 X inline:AA|2^64",
        "1 X inline:AA|1:4|2^20",
    ]);
    refuses::<Candidate>(&[
        "",
        "1 1 UDP 1 192.0.2.1 1",
        "1 1 UDP 1 192.0.2.1 1 host",
        "1 1 UDP 4294967296 h 1 typ host",
        "1 1 UDP 1 h 65536 typ host",
        "1 1 UDP 1 h 1 typ host generation",
    ]);
    refuses::<Fingerprint>(&[
        "",
        "sha-1",
        "sha-1 4",
        "sha-1 4AA",
        "sha-1 4A:",
        "sha-1 +A:00",
    ]);
    refuses::<RemoteCandidates>(&["", "1 h", "1 h 70000"]);
    refuses::<ImageAttr>(&[
        "",
        "97",
        "97 send",
        "97 send x",
        "97 send [x]",
        "300 recv *",
        "97 send * send *",
    ]);
    refuses::<Simulcast>(&["", "send", "send ;", "both 1", "send 1 send 2"]);
    refuses::<Rid>(&["", "1", "1 both", "1 send pt=x"]);
    refuses::<ExtMap>(&["1", "x uri", "1/both uri", "65536 uri"]);
}

#[test]
fn keys_are_not_shown() {
    let crypto = Crypto::new(1, "AEAD_AES_128_GCM", &[7; 28]);
    assert_eq!(
        crypto.keys[0].material().unwrap().len(),
        crypto.material_length().unwrap()
    );
    let written = crypto.value();
    let secret = written.split_once("inline:").unwrap().1;
    assert!(!format!("{crypto:?}").contains(secret));
}

/// A space inside of a word would make another value of it, and is not written.
#[test]
fn what_would_be_read_otherwise_is_not_written() {
    let mut media = Media::new("audio", 9, "RTP/AVP", ["0"]).unwrap();
    assert!(media.push_attribute(&Mid("a b".into())).is_err());
    assert!(media.push_attribute(&Mid(String::new())).is_err());
    assert!(
        media
            .push_attribute(&Msid {
                stream: "a b".into(),
                track: Some("c".into())
            })
            .is_err()
    );
    assert!(media.push_attribute(&IceOptions(Vec::new())).is_err());
    assert_eq!(media.attributes().count(), 0);
}

/// RFC 8856: floor control has no types here; its lines stay as they are.
#[test]
fn floor_control_is_left_as_it_is() {
    let text = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=application 50000 TCP/TLS/BFCP *\r\na=setup:actpass\r\n\
                a=connection:new\r\na=floorctrl:c-only s-only\r\na=confid:4321\r\na=userid:1234\r\na=floorid:1 mstrm:10\r\n";
    let mut description = SessionDescription::parse(text).unwrap();
    assert_eq!(
        description.media()[0]
            .attribute("floorctrl")
            .unwrap()
            .value(),
        Some("c-only s-only")
    );
    assert_eq!(
        description.media()[0].get::<Setup>(),
        Some(Ok(Setup::ActPass))
    );
    description.media_mut(0).unwrap().set_port(50_002);
    assert_eq!(description.to_string(), text.replace("50000", "50002"));
}
