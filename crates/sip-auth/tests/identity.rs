//! A provider signs a call, another one checks it.
//!
//! The certificates were made for these tests: `ca.pem` has signed `leaf.pem`, and `leaf.pem`, which is no authority,
//! `fake.pem`.
#![cfg(feature = "identity")]
#![allow(clippy::unwrap_used)]

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use p256::ecdsa::Signature;
use sip_auth::identity::{
    Attestation, CertificateError, IdentityCheck, IdentityError, Party, Passport, SignError,
    Signer, Verifier,
};
use sip_message::{
    HeaderName, HeaderValue, Method, Request, Tag,
    headers::{Date, Identity},
};

const ROOT: &[u8] = include_bytes!("pki/ca.pem");
const LEAF: &[u8] = include_bytes!("pki/leaf.pem");
const LEAF_KEY: &str = include_str!("pki/leaf.key");
const FAKE: &[u8] = include_bytes!("pki/fake.pem");
const FAKE_KEY: &str = include_str!("pki/fake.key");
const URL: &str = "https://certificates.example.org/leaf.pem";
/// In the year 2033
const NOW: u64 = 2_000_000_000;

const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\na=fingerprint:SHA-256 02:1a:CC:54\r\n";

fn invite() -> Request {
    Request::builder(Method::INVITE, "sip:+12155551213@b.example")
        .from(
            "sip:+1-215-555-1212@a.example;user=phone",
            Tag::new("88sja8x").unwrap(),
        )
        .to("sip:+12155551213@b.example")
        .call_id("987asjd97y7atg")
        .cseq(1)
        .body("application/sdp".parse().unwrap(), SDP)
        .build()
        .unwrap()
}

fn signer() -> Signer {
    Signer::from_pem(LEAF_KEY, URL).unwrap()
}

fn signed(shaken: bool) -> Request {
    let mut request = invite();
    let shaken = shaken.then(|| (Attestation::Full, "123e4567-e89b".to_owned()));
    signer().sign_request(NOW, &mut request, shaken).unwrap();
    request
}

fn verifier() -> Verifier {
    let mut verifier = Verifier::new();
    verifier.trust(ROOT).unwrap();
    verifier
}

fn check(
    verifier: &mut Verifier,
    seconds: u64,
    request: &Request,
    certificate: Option<&[u8]>,
) -> Result<Passport, IdentityError> {
    match verifier.verify(seconds, request) {
        IdentityCheck::Question(question) => {
            assert_eq!(question.url(), URL);
            verifier.decide(question, certificate)
        }
        IdentityCheck::Settled(result) => result,
    }
}

fn result(request: &Request) -> Result<Passport, IdentityError> {
    check(&mut verifier(), NOW, request, Some(LEAF))
}

/// Writes the field anew with another text in it.
fn edited(request: &Request, from: &str, to: &str) -> Request {
    let text = request
        .headers()
        .raw(&HeaderName::IDENTITY)
        .unwrap()
        .text()
        .into_owned();
    assert!(text.contains(from), "{text}");
    let mut request = request.clone();
    let value = HeaderValue::new(text.replace(from, to)).unwrap();
    request.headers_mut().set_raw(HeaderName::IDENTITY, value);
    request
}

#[test]
fn a_signed_call_is_believed_and_its_certificate_kept() {
    for shaken in [false, true] {
        let request = signed(shaken);
        assert_eq!(
            request.headers().require::<Date>().unwrap().unix_seconds(),
            NOW
        );
        let mut verifier = verifier();
        let passport = check(&mut verifier, NOW + 60, &request, Some(LEAF)).unwrap();
        assert_eq!(passport.origin, Party::Number("12155551212".into()));
        assert_eq!(passport.destinations, [Party::Number("12155551213".into())]);
        assert_eq!(passport.shaken.is_some(), shaken);
        assert_eq!(passport.media_keys[0].digest, "021ACC54");
        // Now it needs no certificate any more.
        assert_eq!(check(&mut verifier, NOW, &request, None), Ok(passport));
    }
}

/// AUT-017: RFC 8224 §6.2.2: each failure has its answer.
#[test]
fn what_is_not_believed_is_answered_by_its_kind() {
    let request = signed(false);
    let status = |result: Result<Passport, IdentityError>| result.unwrap_err().status().as_u16();
    assert_eq!(status(result(&invite())), 428);
    assert_eq!(status(check(&mut verifier(), NOW, &request, None)), 436);
    for (certificate, error) in [
        (FAKE, CertificateError::Untrusted),
        (&b"rubbish"[..], CertificateError::Malformed),
        (b"-----BEGIN", CertificateError::Malformed),
        (b"", CertificateError::Malformed),
    ] {
        let result = check(&mut verifier(), NOW, &request, Some(certificate));
        assert_eq!(result, Err(IdentityError::Certificate(error)));
        assert_eq!(status(result), 437);
    }
    for seconds in [NOW - 61, NOW + 61] {
        assert_eq!(
            status(check(&mut verifier(), seconds, &request, Some(LEAF))),
            403
        );
    }
    let other_key = Signer::from_pem(FAKE_KEY, URL).unwrap();
    let mut forged = invite();
    other_key.sign_request(NOW, &mut forged, None).unwrap();
    assert_eq!(result(&forged), Err(IdentityError::Signature));
    assert_eq!(status(result(&forged)), 438);
}

/// AUT-017.
#[test]
fn a_passport_is_good_for_its_own_call_only() {
    let request = signed(false);
    for (part, name, value) in [
        (
            "orig",
            HeaderName::FROM,
            "<sip:+12155551299@a.example>;tag=1",
        ),
        ("dest", HeaderName::TO, "<sip:+12155551299@b.example>"),
    ] {
        let mut other = request.clone();
        other
            .headers_mut()
            .set_raw(name, HeaderValue::new(value).unwrap());
        assert_eq!(result(&other), Err(IdentityError::Mismatch(part)));
    }
    let mut other = request.clone();
    other.set_body("application/sdp".parse().unwrap(), SDP.replace("54", "55"));
    assert_eq!(result(&other), Err(IdentityError::Mismatch("mky")));
    // Visual separators and hosts may change on the way.
    let mut same = request;
    let from = HeaderValue::new("<sip:+1(215)5551212@transit.example>;tag=1").unwrap();
    same.headers_mut().set_raw(HeaderName::FROM, from);
    assert!(result(&same).is_ok());
}

/// RFC 8224 §12.1. The second half of a signature has two values that are valid, and the second one is as old.
#[test]
fn a_passport_that_comes_again_in_another_call_is_a_replay() {
    let request = signed(false);
    let in_call = |request: &Request, call_id: &str| {
        let mut request = request.clone();
        let value = HeaderValue::new(call_id).unwrap();
        request.headers_mut().set_raw(HeaderName::CALL_ID, value);
        request
    };
    let full = request.headers().require::<Identity>().unwrap();
    let (_, written) = full.digest().rsplit_once('.').unwrap();
    let octets = URL_SAFE_NO_PAD.decode(written).unwrap();
    let signature = Signature::from_slice(&octets).unwrap();
    let twin = Signature::from_scalars(*signature.r(), -*signature.s()).unwrap();
    let twin = edited(&request, written, &URL_SAFE_NO_PAD.encode(twin.to_bytes()));

    let mut verifier = verifier();
    assert!(check(&mut verifier, NOW, &request, Some(LEAF)).is_ok());
    // Forked, repeated with credentials, or repeated at all, it is the same call.
    assert!(check(&mut verifier, NOW + 1, &request, None).is_ok());
    assert!(check(&mut verifier, NOW + 1, &twin, None).is_ok());
    for request in [&request, &twin] {
        let result = check(&mut verifier, NOW + 60, &in_call(request, "2@b"), None);
        assert_eq!(result, Err(IdentityError::Replayed));
        assert_eq!(result.unwrap_err().status().as_u16(), 438);
    }
    let stale = check(&mut verifier, NOW + 61, &in_call(&request, "2@b"), None);
    assert_eq!(stale, Err(IdentityError::Stale));
    // What nobody has signed makes no one else's passport a replay.
    let mut verifier = Verifier::new().trusts_fetched(true);
    let forged = check(&mut verifier, NOW, &in_call(&request, "2@b"), Some(FAKE));
    assert_eq!(forged, Err(IdentityError::Signature));
    assert!(check(&mut verifier, NOW, &request, Some(LEAF)).is_ok());
    let mut forgetful = Verifier::new().trusts_fetched(true).remembered_passports(0);
    for call_id in ["1@b", "2@b"] {
        let result = check(&mut forgetful, NOW, &in_call(&request, call_id), Some(LEAF));
        assert!(result.is_ok(), "{result:?}");
    }
}

#[test]
fn providers_sign_whom_they_assert() {
    let mut request = signed(true);
    let from = HeaderValue::new("<sip:anonymous@anonymous.invalid>;tag=1").unwrap();
    request.headers_mut().set_raw(HeaderName::FROM, from);
    assert_eq!(result(&request), Err(IdentityError::Mismatch("orig")));
    let asserted = HeaderValue::new("<tel:+12155551212>").unwrap();
    request
        .headers_mut()
        .push_raw(HeaderName::P_ASSERTED_IDENTITY, asserted);
    assert!(result(&request).is_ok());
}

/// RFC 8224 §7.
#[test]
fn the_compact_form_takes_its_claims_from_the_request() {
    let request = signed(false);
    let full = request.headers().require::<Identity>().unwrap();
    let (claims, _) = full.digest().rsplit_once('.').unwrap();
    let compact = edited(&request, claims, ".");
    assert!(result(&compact).is_ok());
    let mut late = compact;
    late.headers_mut().set(Date::from_unix_seconds(NOW + 1));
    assert_eq!(result(&late), Err(IdentityError::Signature));
    late.headers_mut().remove::<Date>();
    assert_eq!(result(&late), Err(IdentityError::Malformed));
    let shaken = signed(true);
    let full = shaken.headers().require::<Identity>().unwrap();
    let (claims, _) = full.digest().rsplit_once('.').unwrap();
    assert_eq!(
        result(&edited(&shaken, claims, ".")),
        Err(IdentityError::Malformed)
    );
}

#[test]
fn parameters_that_contradict_the_passport_spoil_it() {
    let shaken = signed(true);
    for (from, to) in [
        ("leaf.pem>", "other.pem>"),
        (";ppt=shaken", ""),
        (";ppt=shaken", ";ppt=div"),
        ("alg=ES256", "alg=RS256"),
        (";info=", ";ofni="),
    ] {
        assert_eq!(
            result(&edited(&shaken, from, to)),
            Err(IdentityError::Malformed),
            "{to}"
        );
    }
    // One that cannot be read does no harm beside one that can.
    let mut both = edited(&shaken, "alg=ES256", "alg=RS256");
    let good = shaken.headers().raw(&HeaderName::IDENTITY).unwrap();
    both.headers_mut().push_raw(HeaderName::IDENTITY, good);
    assert!(result(&both).is_ok());
}

#[test]
fn only_authorities_that_are_trusted_vouch() {
    let mut request = invite();
    Signer::from_pem(FAKE_KEY, URL)
        .unwrap()
        .sign_request(NOW, &mut request, None)
        .unwrap();
    // The middle one is signed by the root, but is no authority itself.
    let chain = [FAKE, LEAF, ROOT].concat();
    let untrusted = Err(IdentityError::Certificate(CertificateError::Untrusted));
    assert_eq!(
        check(&mut verifier(), NOW, &request, Some(&chain)),
        untrusted
    );
    assert_eq!(
        check(&mut Verifier::new(), NOW, &request, Some(FAKE)),
        untrusted
    );
    let mut pinned = Verifier::new();
    pinned.trust(FAKE).unwrap();
    assert!(check(&mut pinned, NOW, &request, Some(FAKE)).is_ok());
    let mut any = Verifier::new().trusts_fetched(true);
    assert!(check(&mut any, NOW, &request, Some(FAKE)).is_ok());
    let whole = [LEAF, ROOT].concat();
    assert!(check(&mut verifier(), NOW, &signed(false), Some(&whole)).is_ok());
    let expired = 5_000_000_000;
    let mut late = invite();
    signer().sign_request(expired, &mut late, None).unwrap();
    let result = check(&mut verifier(), expired, &late, Some(LEAF));
    assert_eq!(
        result,
        Err(IdentityError::Certificate(CertificateError::Expired))
    );
}

#[test]
fn keys_of_other_kinds_do_not_sign() {
    assert_eq!(
        Signer::from_pem("rubbish", URL).unwrap_err(),
        SignError::Key
    );
    let shown = format!("{:?}", signer());
    assert!(shown.contains(URL) && !shown.contains("key"));
}
