//! Edits for the middle touch what they name, and nothing else.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use sdp::{Group, Ice, SessionDescription};
use std::net::{IpAddr, SocketAddr};

const OFFER: &str = "v=0\no=alice 1 1 IN IP4 10.0.0.1\ns=odd  name\nc=IN IP4 10.0.0.1\nt=0 0\na=group:BUNDLE 0 1\nx=?\n\
    m=audio 4000 RTP/AVP 111 0 8 101\na=rtpmap:111 opus/48000/2\na=fmtp:111 useinbandfec=1\na=rtpmap:101 telephone-event/8000\n\
    a=fmtp:101 0-15\na=mid:0\na=rtcp:4001 IN IP4 10.0.0.1\na=ice-ufrag:abcd\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaa\n\
    a=candidate:1 1 UDP 2130706431 10.0.0.1 4000 typ host\na=candidate:2 1 UDP 1694498815 198.51.100.9 4000 typ srflx raddr 10.0.0.1 rport 4000\n\
    a=candidate:1 2 UDP 2130706430 10.0.0.1 4001 typ host\na=remote-candidates:1 10.0.0.1 4000\na=odd:  as it was\n\
    m=video 4002 RTP/AVP 96 97 98\nc=IN IP6 2001:db8::1\na=rtpmap:96 VP8/90000\na=rtcp-fb:96 nack\na=rtpmap:97 rtx/90000\na=fmtp:97 apt=96\n\
    a=rtpmap:98 H264/90000\na=mid:1\na=sendonly\n";

fn offer() -> SessionDescription {
    SessionDescription::parse(OFFER).unwrap()
}

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

/// The lines that are only in one of the two, in order.
fn changes(edited: &SessionDescription) -> Vec<String> {
    let edited = edited.to_string();
    let gone = OFFER
        .lines()
        .filter(|line| edited.lines().all(|other| other != *line));
    let new = edited
        .lines()
        .filter(|line| OFFER.lines().all(|other| other != *line));
    let gone = gone.map(|line| format!("- {line}"));
    gone.chain(new.map(|line| format!("+ {line}"))).collect()
}

#[test]
fn media_are_anchored_one_by_one() {
    let mut description = offer();
    assert!(description.anchor(0, at("203.0.113.7:30000"), None));
    assert_eq!(
        changes(&description),
        [
            "- m=audio 4000 RTP/AVP 111 0 8 101",
            "- a=rtcp:4001 IN IP4 10.0.0.1",
            "- a=candidate:1 1 UDP 2130706431 10.0.0.1 4000 typ host",
            "- a=candidate:2 1 UDP 1694498815 198.51.100.9 4000 typ srflx raddr 10.0.0.1 rport 4000",
            "- a=candidate:1 2 UDP 2130706430 10.0.0.1 4001 typ host",
            "- a=remote-candidates:1 10.0.0.1 4000",
            "+ m=audio 30000 RTP/AVP 111 0 8 101",
            "+ c=IN IP4 203.0.113.7",
            "+ a=rtcp:30001 IN IP4 203.0.113.7",
            "+ a=candidate:1 1 UDP 2130706431 203.0.113.7 30000 typ host",
            "+ a=candidate:1 2 UDP 2130706430 203.0.113.7 30001 typ host",
        ]
    );
    let ice = Ice::of(&description, &description.media()[0]).unwrap();
    assert_eq!(ice.candidates.len(), 2);
}

#[test]
fn an_anchor_may_be_of_the_other_family_and_have_rtcp_elsewhere() {
    let mut description = offer();
    assert!(description.anchor(
        0,
        at("[2001:db8::7]:30000"),
        Some(at("[2001:db8::8]:40000"))
    ));
    assert!(description.anchor(1, at("203.0.113.7:30002"), Some(at("203.0.113.7:30009"))));
    let text = description.to_string();
    assert!(text.contains("c=IN IP6 2001:db8::7\r\n"));
    assert!(text.contains("a=rtcp:40000 IN IP6 2001:db8::8\r\n"));
    assert!(text.contains("a=candidate:1 2 UDP 2130706430 2001:db8::8 40000 typ host\r\n"));
    assert!(text.contains("m=video 30002 RTP/AVP 96 97 98\r\nc=IN IP4 203.0.113.7\r\n"));
    assert!(text.contains("a=rtcp:30009 IN IP4 203.0.113.7\r\n"));
    // The session's own line and those of others are as they were.
    assert!(text.contains("c=IN IP4 10.0.0.1\nt=0 0\n"));
    assert!(!description.anchor(2, at("203.0.113.7:1"), None));
}

#[test]
fn addresses_are_replaced_wherever_they_stand_and_the_origin_if_wanted() {
    let public =
        |ip: IpAddr| (ip == IpAddr::from([10, 0, 0, 1])).then(|| IpAddr::from([203, 0, 113, 7]));
    let mut description = offer();
    description.replace_addresses(false, public);
    let changed = changes(&description);
    assert_eq!(changed.len(), 12);
    assert!(changed.contains(&"+ a=candidate:2 1 UDP 1694498815 198.51.100.9 4000 typ srflx raddr 203.0.113.7 rport 4000".to_owned()));
    assert!(changed.contains(&"+ a=remote-candidates:1 203.0.113.7 4000".to_owned()));
    assert!(
        description
            .to_string()
            .contains("o=alice 1 1 IN IP4 10.0.0.1\n")
    );
    description.replace_addresses(true, public);
    assert!(
        description
            .to_string()
            .contains("o=alice 1 1 IN IP4 203.0.113.7\r\n")
    );
    assert!(!description.to_string().contains("10.0.0.1"));

    let mut same = offer();
    same.replace_addresses(true, |_| None);
    assert_eq!(same.to_string(), OFFER);
    let v6 = |ip: IpAddr| ip.is_ipv6().then(|| IpAddr::from([203, 0, 113, 9]));
    same.replace_addresses(false, v6);
    assert_eq!(
        changes(&same),
        ["- c=IN IP6 2001:db8::1", "+ c=IN IP4 203.0.113.9"]
    );
}

#[test]
fn codecs_are_filtered_with_all_that_belongs_to_them() {
    let mut description = offer();
    assert!(
        description
            .media_mut(1)
            .unwrap()
            .retain_codecs(|codec| codec.name() != "VP8")
    );
    assert_eq!(
        changes(&description),
        [
            "- m=video 4002 RTP/AVP 96 97 98",
            "- a=rtpmap:96 VP8/90000",
            "- a=rtcp-fb:96 nack",
            "- a=rtpmap:97 rtx/90000",
            "- a=fmtp:97 apt=96",
            "+ m=video 4002 RTP/AVP 98",
        ]
    );
    let mut description = offer();
    // Static payload types go as well, and keys alone are no audio.
    assert!(
        !description
            .media_mut(0)
            .unwrap()
            .retain_codecs(|codec| codec.is_telephone_event())
    );
    assert_eq!(description.to_string(), OFFER);
    assert!(
        description
            .media_mut(0)
            .unwrap()
            .retain_codecs(|codec| codec.clock_rate() == 8_000 && codec.name() != "PCMU")
    );
    assert_eq!(description.media()[0].line(), "audio 4000 RTP/AVP 8 101");
}

#[test]
fn codecs_are_reordered_in_the_line_of_media_alone() {
    let mut description = offer();
    description
        .media_mut(0)
        .unwrap()
        .prefer_codecs(["pcma", "PCM*/8000"]);
    assert_eq!(
        changes(&description),
        [
            "- m=audio 4000 RTP/AVP 111 0 8 101",
            "+ m=audio 4000 RTP/AVP 8 0 111 101"
        ]
    );
}

#[test]
fn media_are_turned_down_in_place_or_taken_out() {
    let mut description = offer();
    description.turn_down(1);
    assert!(
        description
            .to_string()
            .ends_with("m=video 0 RTP/AVP 96 97 98\r\na=mid:1\n")
    );
    assert_eq!(
        description.get::<Group>(),
        Some(Ok(Group {
            semantics: "BUNDLE".into(),
            mids: vec!["0".into()]
        }))
    );
    assert!(description.to_string().contains("a=odd:  as it was\n"));

    let mut description = offer();
    assert_eq!(description.remove_media(0).unwrap().kind(), "audio");
    assert!(description.remove_media(1).is_none());
    assert_eq!(description.media().len(), 1);
    assert!(description.to_string().contains("a=group:BUNDLE 1\r\n"));
    description.turn_down(0);
    assert!(description.get::<Group>().is_none());
}

#[test]
fn a_line_behind_half_a_line_ending_stands_alone() {
    let wire =
        "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=mid:0\r";
    let mut description = SessionDescription::parse(wire).unwrap();
    assert_eq!(description.to_string(), wire);
    assert!(description.anchor(0, at("203.0.113.7:30000"), None));
    let edited = SessionDescription::parse(description.to_bytes()).unwrap();
    assert_eq!(edited.to_bytes(), description.to_bytes());
    assert!(
        edited
            .to_string()
            .ends_with("c=IN IP4 203.0.113.7\r\na=mid:0\r\n")
    );
}
