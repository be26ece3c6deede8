use super::*;
use crate::Secret;

const NONCE: &str = "84a4cc6f3082121f32b42a2187831a9e";
const BODY: &[u8] = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
const CNONCE: &str = "0a4f113b";

fn invite(algorithm: Algorithm, qop: Option<Qop>) -> Inputs<'static> {
    Inputs {
        algorithm,
        user: "alice",
        realm: "atlanta.example.com",
        method: "INVITE",
        uri: "sip:bob@biloxi.example.com",
        nonce: NONCE,
        protection: qop.map(|qop| (qop, "00000001", CNONCE)),
        body: BODY,
    }
}

/// AUT-002 and AUT-004: RFC 2617 §3.5, RFC 7616 §3.9.1 and §3.9.2.
///
/// What RFC 7616 prints for SHA-512-256 is SHA-512 cut short; the value here is that of FIPS 180-4's SHA-512/256, which
/// RFC 8760 §2.1 asks for.
#[test]
fn the_examples_of_the_rfcs_hold() {
    let http = |algorithm, uri, nonce, cnonce| Inputs {
        algorithm,
        user: "Mufasa",
        realm: "http-auth@example.org",
        method: "GET",
        uri,
        nonce,
        protection: Some((Qop::Auth, "00000001", cnonce)),
        body: b"",
    };
    let rfc_2617 = Inputs {
        realm: "testrealm@host.com",
        ..http(
            Algorithm::Md5,
            "/dir/index.html",
            "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            CNONCE,
        )
    };
    assert_eq!(
        response(&rfc_2617, &Secret::password("Circle Of Life")).as_deref(),
        Some("6629fae49393a05397450978507c4ef1")
    );
    for (algorithm, expected) in [
        (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
        (
            Algorithm::Sha256,
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
    ] {
        let inputs = http(
            algorithm,
            "/dir/index.html",
            "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        );
        assert_eq!(
            response(&inputs, &Secret::password("Circle of Life")).as_deref(),
            Some(expected)
        );
    }
    let rfc_7616 = Inputs {
        user: "Jäsøn Doe",
        realm: "api@example.org",
        ..http(
            Algorithm::Sha512_256,
            "/doe.json",
            "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
            "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
        )
    };
    assert_eq!(
        response(&rfc_7616, &Secret::password("Secret, or not?")).as_deref(),
        Some("3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5")
    );
}

/// AUT-002 and AUT-004: RFC 3261 §22.4, RFC 7616 §3.4, RFC 8760: each algorithm without protection, with `auth`, with
/// `auth-int`, and with a session key.
#[test]
fn every_form_of_a_response_is_right() {
    use Algorithm::{Md5, Md5Session, Sha256, Sha256Session, Sha512_256, Sha512_256Session};
    let cases = [
        (Md5, None, "9876dc2dabf10ff65779536685d85240"),
        (Md5, Some(Qop::Auth), "64c31ab53902b1aa73d4acb2b783cc95"),
        (Md5, Some(Qop::AuthInt), "8f0debf1948a907c9d39a063f6b214a5"),
        (
            Md5Session,
            Some(Qop::Auth),
            "6cbb1d5e840aae3a8ed9751a3b62c489",
        ),
        (
            Sha256,
            None,
            "b75bac74f000fdd2d6f08534c0ff90c2eb27b7e84b25990631588fdd3964b227",
        ),
        (
            Sha256,
            Some(Qop::Auth),
            "402f9f699bbb3229ce324fa021cd2ef20a4505c63e8d8b56f7d714118c5e3fa7",
        ),
        (
            Sha256,
            Some(Qop::AuthInt),
            "4402fba6efa8059296e8f5ef55e92a806a259b5169fd760022d42cbc98c131ba",
        ),
        (
            Sha256Session,
            Some(Qop::Auth),
            "98abad2c783429e6eaa476c306b91309e297e454a0221c1c927855dee8f3ac1f",
        ),
        (
            Sha512_256,
            None,
            "bcd581d4587bc82a4a711c1b1889c620faf752f40d33ddfcd6dd38363418ccfd",
        ),
        (
            Sha512_256,
            Some(Qop::Auth),
            "c0135c90240935c27b2dc74c7916f6de2a4ecab07eaca59e83b5e3a11987898d",
        ),
        (
            Sha512_256,
            Some(Qop::AuthInt),
            "26a4127e451cc6ba3924c5b301a9383e7ffd758075503d88bac7aaca1c27b2b1",
        ),
        (
            Sha512_256Session,
            Some(Qop::Auth),
            "b273607cae692910f6dd2856af173ebd1e1cd87f55a945cadd0f42196c8db0fc",
        ),
    ];
    let password = "s3cret:with:colons";
    for (algorithm, qop, expected) in cases {
        let inputs = invite(algorithm, qop);
        let by_password = response(&inputs, &Secret::password(password));
        assert_eq!(
            by_password.as_deref(),
            Some(expected),
            "{algorithm} {qop:?}"
        );
        // A stored hash is as good, for the algorithm and its session form.
        let hash = key(
            algorithm,
            "alice",
            "atlanta.example.com",
            password.as_bytes(),
        );
        let stored = Secret::ha1(algorithm, hash.as_str()).expect("is a hash");
        assert_eq!(response(&inputs, &stored).as_deref(), Some(expected));
    }
}

#[test]
fn a_hash_of_another_algorithm_proves_nothing() {
    let stored = Secret::ha1(Algorithm::Md5, &"0".repeat(32)).expect("is a hash");
    assert_eq!(response(&invite(Algorithm::Sha256, None), &stored), None);
    let both = stored
        .and_ha1(Algorithm::Sha256Session, &"A".repeat(64))
        .expect("is a hash");
    assert!(response(&invite(Algorithm::Sha256, None), &both).is_some());
}

/// AUT-019.
#[test]
fn hashes_are_read_in_either_case_and_never_shown() {
    let lower = Hex::parse("00ff", 4).expect("is a hash");
    assert!(lower.matches(&Hex::parse("00FF", 4).expect("is a hash")));
    assert!(!lower.matches(&Hex::of(&[0, 254])));
    assert!(!lower.matches(&Hex::of(&[0, 255, 0])));
    for text in ["00f", "00fg", "00ff0", "+0ff", "00é"] {
        assert!(Hex::parse(text, 4).is_none(), "{text}");
    }
    assert_eq!(format!("{lower:?}"), "..");
}
