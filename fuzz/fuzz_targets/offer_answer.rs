//! Whatever a peer offers or answers, the session keeps its promises.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sdp::{
    Capabilities, Crypto, Direction, Fingerprint, Ice, Keying, MediaCapabilities, Session,
    SessionDescription, SrtpPolicy,
};

fn capabilities(choice: u8) -> Capabilities {
    let keying = if choice & 1 == 0 {
        Keying::Sdes(vec![Crypto::new(1, "AES_CM_128_HMAC_SHA1_80", &[7; 30])])
    } else {
        Keying::Dtls(Fingerprint {
            hash: "sha-256".into(),
            digest: vec![7; 32],
        })
    };
    let policy = match choice >> 1 & 3 {
        0 => SrtpPolicy::Off,
        1 => SrtpPolicy::Optional,
        2 => SrtpPolicy::Mandatory,
        _ => SrtpPolicy::DuplicateOffer,
    };
    let audio = MediaCapabilities::audio(4000)
        .srtp(policy, [keying])
        .rtcp_mux(choice & 8 != 0)
        .own_payload_types(choice & 16 != 0)
        .direction(Direction::new(choice & 32 != 0, true));
    let audio = if choice & 64 == 0 {
        audio
    } else {
        audio.ice(Ice::new("abcd", "aaaaaaaaaaaaaaaaaaaaaa"))
    };
    let video = MediaCapabilities::new("video", 4002).expect("a word");
    Capabilities::new([192, 0, 2, 1].into())
        .media(audio)
        .media(video)
        .bundle(choice & 128 != 0)
}

fuzz_target!(|data: &[u8]| {
    let mut session = Session::new(1);
    // Bodies with a byte of choices in front, zero bytes between them.
    for step in data.split(|byte| *byte == 0).take(8) {
        let Some((&choice, body)) = step.split_first() else {
            continue;
        };
        let Ok(theirs) = SessionDescription::parse(body.to_vec()) else {
            continue;
        };
        let own = capabilities(choice);
        let before = session
            .local()
            .map(|local| local.media().len())
            .unwrap_or_default();
        if let Ok((answer, negotiated)) = session.answer(&theirs, &own) {
            assert_eq!(answer.media().len(), theirs.media().len());
            assert!(answer.media().len() >= before);
            assert_eq!(negotiated.media().len(), answer.media().len());
            for (ours, theirs) in answer.media().iter().zip(theirs.media()) {
                assert!(ours.kind().eq_ignore_ascii_case(theirs.kind()));
                assert!(ours.is_rejected() || !theirs.is_rejected());
            }
            for media in negotiated.media().iter().flatten() {
                assert!(media.receives(media.receive_payload_types()[0].0));
                let ours = answer.direction_of(&answer.media()[media.index()]);
                assert_eq!(ours.and(media.direction()), media.direction());
            }
            let again =
                SessionDescription::parse(answer.to_bytes()).expect("what we write can be read");
            assert_eq!(again.to_bytes(), answer.to_bytes());
        }
        if let Ok(offer) = session.offer(&own) {
            SessionDescription::parse(offer.to_bytes()).expect("what we write can be read");
            if let Ok(negotiated) = session.apply_answer(&theirs) {
                assert_eq!(negotiated.media().len(), offer.media().len());
            }
            session.abandon_offer();
        }
    }
});
