//! TS 35.208's first set, and digests over it.

use super::*;
use crate::{AuthError, Client, Inputs, Qop, Role, response};
use sip_message::{Method, Request, StatusCode, Tag};

const USER: &str = "001010123456789@ims.mnc001.mcc001.3gppnetwork.org";
const REALM: &str = "ims.mnc001.mcc001.3gppnetwork.org";
const NONCE: &str = "I1U8vpY3qJ0hiuZNrke/NVXzKLQ1d7m5Sp/6w1Tfr7M=";
const SQN: u64 = 0xff9b_b4d0_b607;
const AMF: [u8; 2] = [0xb9, 0xb9];

fn hex<const N: usize>(text: &str) -> [u8; N] {
    assert_eq!(text.len(), 2 * N);
    std::array::from_fn(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).expect("is hex"))
}

fn rand() -> [u8; 16] {
    hex("23553cbe9637a89d218ae64dae47bf35")
}

fn milenage() -> Milenage {
    Milenage::from_op(
        hex("465b5ce8b199b49faa5f0a2ee238a6bc"),
        hex("cdc202d5123e20f62b6d676ac72cb318"),
    )
}

fn register(cseq: u32) -> Request {
    Request::builder(Method::REGISTER, "sip:ims.mnc001.mcc001.3gppnetwork.org")
        .from(
            "sip:001010123456789@ims.mnc001.mcc001.3gppnetwork.org",
            Tag::new("88sja8x").expect("is a tag"),
        )
        .to("sip:001010123456789@ims.mnc001.mcc001.3gppnetwork.org")
        .call_id("987asjd97y7atg")
        .cseq(cseq)
        .build()
        .expect("is complete")
}

/// 3GPP TS 35.208, test set 1.
#[test]
fn milenage_yields_the_numbers_of_its_specification() {
    let functions = milenage();
    let (one, star) = functions.proofs(&rand(), hex("ff9bb4d0b607"), AMF);
    assert_eq!(one, hex("4a9ffac354dfafb3"));
    assert_eq!(star, hex("01cfaf9ec4e871e9"));
    let (keys, hidden) = functions.keys(&rand());
    assert_eq!(keys.res, hex::<8>("a54211d5e3ba50bf"));
    assert_eq!(keys.ck, hex("b40ba9a3c58b2a05bbf0d987b21bf8cb"));
    assert_eq!(keys.ik, hex("f769bcd751044604127672711c6d3441"));
    assert_eq!(hidden, hex("aa689c648370"));
    assert_eq!(functions.hidden_again(&rand()), hex("451e8beca43b"));
    let (of_opc, _) = Milenage::new(
        hex("465b5ce8b199b49faa5f0a2ee238a6bc"),
        hex("cd63cb71954a9f4e48a5994e37a02baf"),
    )
    .keys(&rand());
    assert_eq!(of_opc, keys);
}

/// AUT-014: RFC 3310 §3.3, RFC 4169 §2.1.
#[test]
fn both_versions_answer_as_they_must() {
    let vector = Vector::new(&milenage(), rand(), SQN, AMF);
    assert_eq!(vector.autn(), &hex("55f328b43577b9b94a9ffac354dfafb3"));
    assert_eq!(vector.nonce(), NONCE);
    for (version, expected) in [
        (Version::V1, "cbefdcc54c81aa658d67da2fba29638c"),
        (Version::V2, "8bcf53b701e7803582f4167efb760cd0"),
    ] {
        let inputs = Inputs {
            algorithm: Algorithm::Md5,
            user: USER,
            realm: REALM,
            method: "REGISTER",
            uri: "sip:ims.mnc001.mcc001.3gppnetwork.org",
            nonce: NONCE,
            protection: Some((Qop::Auth, "00000001", "0a4f113b")),
            body: b"",
        };
        let secret = vector.keys().secret(version, Algorithm::Md5);
        assert_eq!(response(&inputs, &secret).as_deref(), Some(expected));
    }
    let akav2 = Secret::password("shzt3q8CWaZnCAWqs3WmEQ==");
    let made = vector.keys().secret(Version::V2, Algorithm::Md5);
    let key = |secret: &Secret| secret.key(Algorithm::Md5, "u", "r").expect("is a password");
    assert!(key(&akav2).matches(&key(&made)));
    let (ck, ik) = vector.keys().session_keys(Algorithm::Sha256);
    assert!(ck.len() == 32 && ik.len() == 32 && ck != ik);
}

#[test]
fn versions_are_read_whatever_their_case() {
    assert_eq!(Version::of_algorithm("akaV1-MD5"), Some(Version::V1));
    assert_eq!(Version::of_algorithm("AKAv2-SHA-256"), Some(Version::V2));
    assert_eq!(Version::V2.base("AKAv2-SHA-256"), "SHA-256");
    for other in ["MD5", "AKAv3-MD5", "AKAv1", "SHA-256", "é-MD5"] {
        assert_eq!(Version::of_algorithm(other), None);
    }
}

fn client(sqn: u64) -> Client {
    let mut client = Client::new([1; 32]);
    client.add_usim(USER, REALM, SoftUsim::new(milenage(), sqn));
    client
}

fn unauthorized(
    request: &Request,
    vector: &Vector,
    version: Version,
    algorithm: Algorithm,
) -> sip_message::Response {
    let challenge = vector
        .challenge(REALM, version, algorithm)
        .expect("can be written");
    request
        .response(StatusCode::UNAUTHORIZED)
        .header(challenge)
        .build()
}

#[test]
fn a_card_registers_and_its_answer_is_good_for_the_next_request() {
    for version in [Version::V1, Version::V2] {
        for algorithm in [Algorithm::Md5, Algorithm::Md5Session, Algorithm::Sha256] {
            let vector = Vector::new(&milenage(), rand(), 100, AMF);
            let mut client = client(99);
            let mut request = register(1);
            let answer = vector.verify(&request, Role::Server, REALM, version, algorithm);
            assert_eq!(answer, Answer::Missing);
            let response = unauthorized(&request, &vector, version, algorithm);
            client
                .respond(&mut request, &response)
                .expect("is answered");
            let mut again = register(2);
            client.prepare(&mut again);
            for (request, count) in [(&request, 1), (&again, 2)] {
                let answer = vector.verify(request, Role::Server, REALM, version, algorithm);
                assert_eq!(
                    answer,
                    Answer::Granted {
                        user: USER.into(),
                        count
                    }
                );
            }
            let other = Vector::new(&milenage(), [7; 16], 101, AMF);
            let answer = other.verify(&request, Role::Server, REALM, version, algorithm);
            assert_eq!(answer, Answer::Missing);
            // The same challenge once more would be answered for ever.
            let refused = client.respond(&mut request, &response);
            assert_eq!(
                refused,
                Err(AuthError::Rejected {
                    realm: REALM.into()
                })
            );
        }
    }
}

#[test]
fn another_card_is_refused() {
    let vector = Vector::new(&milenage(), rand(), 100, AMF);
    let mut client = client(0);
    let mut request = register(1);
    let response = unauthorized(&request, &vector, Version::V1, Algorithm::Md5);
    client
        .respond(&mut request, &response)
        .expect("is answered");
    let answer = vector.verify(&request, Role::Server, REALM, Version::V2, Algorithm::Md5);
    assert_eq!(answer, Answer::Missing);
    let mut other = vector;
    other.keys.res[0] ^= 1;
    let answer = other.verify(&request, Role::Server, REALM, Version::V1, Algorithm::Md5);
    assert_eq!(answer, Answer::Refused { user: USER.into() });
}

/// AUT-014: RFC 3310 §3.4 and TS 33.102 §6.3.5.
#[test]
fn a_card_that_is_ahead_is_caught_up_with() {
    let vector = Vector::new(&milenage(), rand(), 100, AMF);
    let mut client = client(5_000);
    let mut request = register(1);
    let response = unauthorized(&request, &vector, Version::V1, Algorithm::Md5);
    client
        .respond(&mut request, &response)
        .expect("is answered");
    let answer = vector.verify(&request, Role::Server, REALM, Version::V1, Algorithm::Md5);
    let Answer::OutOfStep { user, auts } = answer else {
        panic!("is out of step: {answer:?}");
    };
    assert_eq!(user, USER);
    assert_eq!(resynchronise(&milenage(), &[0; 16], &auts), None);
    let sqn = resynchronise(&milenage(), &rand(), &auts).expect("is the card's");
    assert_eq!(sqn, 5_000);
    // What says nothing but AUTS is not sent ahead.
    let mut ahead = register(2);
    client.prepare(&mut ahead);
    assert_eq!(
        vector.verify(&ahead, Role::Server, REALM, Version::V1, Algorithm::Md5),
        Answer::Missing
    );

    let vector = Vector::new(&milenage(), [9; 16], sqn + 1, AMF);
    let response = unauthorized(&request, &vector, Version::V1, Algorithm::Md5);
    client
        .respond(&mut request, &response)
        .expect("is answered");
    let answer = vector.verify(&request, Role::Server, REALM, Version::V1, Algorithm::Md5);
    assert_eq!(
        answer,
        Answer::Granted {
            user: USER.into(),
            count: 1
        }
    );
}

#[test]
fn a_network_that_never_catches_up_is_left() {
    let mut client = client(5_000);
    let mut request = register(1);
    let answers = (1..10).map(|n| {
        let vector = Vector::new(&milenage(), [n; 16], 100, AMF);
        let response = unauthorized(&request, &vector, Version::V1, Algorithm::Md5);
        client.respond(&mut request, &response)
    });
    assert_eq!(answers.take_while(Result::is_ok).count(), 4);
}

#[test]
fn a_network_without_the_key_gets_no_answer() {
    let stranger = Milenage::new([0; 16], [0; 16]);
    let vector = Vector::new(&stranger, rand(), 100, AMF);
    let mut request = register(1);
    let response = unauthorized(&request, &vector, Version::V1, Algorithm::Md5);
    let refused = client(0).respond(&mut request, &response);
    assert_eq!(
        refused,
        Err(AuthError::FalseNetwork {
            realm: REALM.into()
        })
    );
    let mut usim = SoftUsim::new(milenage(), 100);
    let jump = Vector::new(&milenage(), rand(), 101 + (1 << 28), AMF);
    assert!(matches!(
        usim.authenticate(jump.rand(), jump.autn()),
        Err(UsimError::OutOfStep { .. })
    ));
    let next = Vector::new(&milenage(), rand(), 100 + (1 << 28), AMF);
    assert!(usim.authenticate(next.rand(), next.autn()).is_ok());
    assert_eq!(usim.sqn(), 100 + (1 << 28));
}

#[test]
fn a_nonce_that_carries_no_challenge_is_not_answered() {
    for nonce in ["", "AAAA", "not base 64", &"A".repeat(40)] {
        assert_eq!(read_nonce(nonce), None);
    }
    assert!(read_nonce(&STANDARD.encode([7; 40])).is_some());
}
