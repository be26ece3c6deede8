//! The network's side.

use super::{
    Functions, Keys, STANDARD, Version,
    usim::{MASK, RESYNCHRONISATION, from_octets, to_octets},
};
use crate::{
    Algorithm, Malformed, Role, Server,
    digest::{self, Hex},
    server::given::Given,
};
use base64::Engine;
use sip_message::{
    Request,
    headers::{AuthView, Authorization, ProxyAuthenticate, ProxyAuthorization, WwwAuthenticate},
};
use std::fmt;
use subtle::ConstantTimeEq;

/// A challenge for one subscriber, and the answer to it.
///
/// Whoever challenges keeps the vector until the answer comes, for each random number once.
#[derive(Clone)]
pub struct Vector {
    rand: [u8; 16],
    autn: [u8; 16],
    pub(super) keys: Keys,
}

/// What came back for a vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The card is the subscriber's.
    Granted {
        /// The user name as in the credentials
        user: String,
        /// How often the vector was used, which must grow; 1 without a count
        count: u32,
    },
    /// It is not.
    Refused {
        /// The user name as in the credentials
        user: String,
    },
    /// The card wants a vector with a later sequence number, for [`resynchronise`].
    OutOfStep {
        /// The user name as in the credentials
        user: String,
        /// What the card says of its own number
        auts: [u8; 14],
    },
    /// There are no credentials for this vector.
    Missing,
    /// They cannot be read.
    Malformed(Malformed),
}

impl Vector {
    /// Makes a vector with a random number that was never used before and the next sequence number.
    pub fn new(functions: &impl Functions, rand: [u8; 16], sqn: u64, amf: [u8; 2]) -> Self {
        let sqn = to_octets(sqn & MASK);
        let (keys, hidden) = functions.keys(&rand);
        let (proof, _) = functions.proofs(&rand, sqn, amf);
        let mut autn = [0; 16];
        for (octet, (plain, hidden)) in autn.iter_mut().zip(sqn.iter().zip(hidden)) {
            *octet = plain ^ hidden;
        }
        autn[6..8].copy_from_slice(&amf);
        autn[8..].copy_from_slice(&proof);
        Self { rand, autn, keys }
    }

    /// The random number.
    pub const fn rand(&self) -> &[u8; 16] {
        &self.rand
    }

    /// The network's proof.
    pub const fn autn(&self) -> &[u8; 16] {
        &self.autn
    }

    /// What the card will answer, and the keys.
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The nonce that carries the challenge.
    pub fn nonce(&self) -> String {
        STANDARD.encode([self.rand, self.autn].concat())
    }

    /// The challenge of a registrar; `None` if the realm has control characters.
    pub fn challenge(
        &self,
        realm: &str,
        version: Version,
        algorithm: Algorithm,
    ) -> Option<WwwAuthenticate> {
        let (token, nonce) = (format!("{version}-{algorithm}"), self.nonce());
        WwwAuthenticate::new("Digest", params(realm, &nonce, &token)).ok()
    }

    /// The challenge of a proxy; `None` if the realm has control characters.
    pub fn proxy_challenge(
        &self,
        realm: &str,
        version: Version,
        algorithm: Algorithm,
    ) -> Option<ProxyAuthenticate> {
        let (token, nonce) = (format!("{version}-{algorithm}"), self.nonce());
        ProxyAuthenticate::new("Digest", params(realm, &nonce, &token)).ok()
    }

    /// Checks what a request says to this vector.
    pub fn verify(
        &self,
        request: &Request,
        role: Role,
        realm: &str,
        version: Version,
        algorithm: Algorithm,
    ) -> Answer {
        let answer = |view: AuthView<'_>| {
            let given = view.is_scheme("Digest").then(|| Given::read(&view))?;
            self.examine(&given, request, realm, version, algorithm)
        };
        let headers = request.headers();
        let fields = Server::MOST_CREDENTIALS;
        match role {
            Role::Server => headers
                .views::<Authorization>()
                .take(fields)
                .flatten()
                .find_map(answer),
            Role::Proxy => headers
                .views::<ProxyAuthorization>()
                .take(fields)
                .flatten()
                .find_map(answer),
        }
        .unwrap_or(Answer::Missing)
    }

    fn examine(
        &self,
        given: &Given<'_>,
        request: &Request,
        realm: &str,
        version: Version,
        algorithm: Algorithm,
    ) -> Option<Answer> {
        if given.realm.as_deref() != Some(realm.as_bytes()) {
            return None;
        }
        let parts = match given.parts() {
            Ok(parts) => parts,
            Err(error) => return Some(Answer::Malformed(error)),
        };
        let token = format!("{version}-{algorithm}");
        let is_ours = parts.nonce == self.nonce().as_bytes()
            && given
                .algorithm
                .as_ref()
                .is_some_and(|given| given.eq_ignore_ascii_case(token.as_bytes()));
        if !is_ours {
            return None;
        }
        let user = parts.user.clone().into_owned();
        let Some(response) = Hex::parse(parts.response, algorithm.hex_length()) else {
            return Some(Answer::Malformed(Malformed::Invalid("response")));
        };
        let auts = match given.auts.as_deref().map(|text| STANDARD.decode(text)) {
            None => None,
            Some(Ok(octets)) if octets.len() == 14 => octets.try_into().ok(),
            Some(_) => return Some(Answer::Malformed(Malformed::Invalid("auts"))),
        };
        // RFC 3310 §3.4: who is out of step answers with an empty password.
        let secret = match auts {
            Some(_) => crate::Secret::password(""),
            None => self.keys.secret(version, algorithm),
        };
        let key = secret.key(algorithm, &user, realm)?;
        let cnonce = given.cnonce.as_deref().unwrap_or_default();
        let protection = parts
            .protection
            .map(|(qop, _, written)| (qop, written, cnonce));
        let covered = digest::covered(
            algorithm,
            request.method().as_str(),
            parts.uri,
            protection.map(|(qop, ..)| qop),
            request.body(),
        );
        let proof = digest::proof(algorithm, &key, parts.nonce, protection, cnonce, &covered);
        Some(match (proof.matches(&response), auts) {
            (false, _) => Answer::Refused { user },
            (true, Some(auts)) => Answer::OutOfStep { user, auts },
            (true, None) => Answer::Granted {
                user,
                count: parts.protection.map_or(1, |(_, count, _)| count),
            },
        })
    }
}

impl fmt::Debug for Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vector(..)")
    }
}

/// The card's sequence number, or `None` if `auts` was not made by the subscriber's card for this random number.
pub fn resynchronise(functions: &impl Functions, rand: &[u8; 16], auts: &[u8; 14]) -> Option<u64> {
    let mut sqn = [0; 6];
    for (octet, (written, hidden)) in sqn
        .iter_mut()
        .zip(auts.iter().zip(functions.hidden_again(rand)))
    {
        *octet = written ^ hidden;
    }
    let (_, star) = functions.proofs(rand, sqn, RESYNCHRONISATION);
    bool::from(star.ct_eq(&auts[6..])).then(|| from_octets(sqn))
}

fn params<'a>(realm: &'a str, nonce: &'a str, token: &'a str) -> [(&'a str, &'a str, bool); 4] {
    [
        ("realm", realm, true),
        ("nonce", nonce, true),
        ("algorithm", token, false),
        ("qop", "auth", true),
    ]
}
