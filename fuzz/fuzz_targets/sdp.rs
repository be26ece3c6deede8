//! A description leaves as it came, its values can be read, and edits leave a description.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sdp::{
    Candidate, Crypto, ExtMap, Fingerprint, Group, Ice, ImageAttr, Limits, RemoteCandidates, Rid,
    Rtcp, RtcpFeedback, RtpMap, SessionDescription, Simulcast, Ssrc, SsrcGroup, T38,
    TypedAttribute,
};
use std::net::IpAddr;

/// What is read is written so that it is read again and means the same.
fn read<A: TypedAttribute + PartialEq + std::fmt::Debug>(description: &SessionDescription) {
    let media = description
        .media()
        .iter()
        .flat_map(|media| media.all::<A>());
    for value in description.all::<A>().chain(media).flatten() {
        assert_eq!(A::parse(&value.value()).as_ref(), Ok(&value));
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(description) = SessionDescription::parse(data.to_vec()) else {
        return;
    };
    assert_eq!(description.to_bytes(), data);
    let _ = (
        description.origin(),
        description.connection(),
        description.session_name(),
    );
    read::<RtpMap>(&description);
    read::<Rtcp>(&description);
    read::<RtcpFeedback>(&description);
    read::<Crypto>(&description);
    read::<Fingerprint>(&description);
    read::<Candidate>(&description);
    read::<RemoteCandidates>(&description);
    read::<Group>(&description);
    read::<ExtMap>(&description);
    read::<Ssrc>(&description);
    read::<SsrcGroup>(&description);
    read::<ImageAttr>(&description);
    read::<Simulcast>(&description);
    read::<Rid>(&description);
    let mut written = description.clone();
    written.retain_lines(|_| true);
    let bytes = written.to_bytes();
    // The last line may have come without an ending, or with half of one.
    assert!([&b""[..], b"\r\n", b"\n"].iter().any(|ending| bytes.strip_suffix(*ending) == Some(data)));

    let mut edited = description.clone();
    edited.replace_addresses(true, |_| Some(IpAddr::from([203, 0, 113, 7])));
    for index in 0..edited.media().len() {
        let media = &edited.media()[index];
        let _ = (
            Ice::of(&edited, media),
            T38::of(media),
            edited.direction_of(media),
        );
        let media = edited.media_mut(index).expect("it is there");
        media.prefer_codecs(["PCMA", "*/8000"]);
        media.retain_codecs(|codec| codec.clock_rate() > 8_000);
        edited.anchor(index, ([203, 0, 113, 8], 30_000).into(), None);
    }
    edited.turn_down(0);
    edited.remove_media(1);
    let wide = Limits::default().size(usize::MAX).lines(usize::MAX);
    let bytes = edited.to_bytes();
    let again =
        SessionDescription::parse_with(bytes.clone(), &wide).expect("edits leave a description");
    assert_eq!(again.to_bytes(), bytes);
    assert_eq!(again.media().len(), edited.media().len());
});
