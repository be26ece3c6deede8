//! Authentication by the card of a mobile network (RFC 3310 AKAv1, RFC 4169 AKAv2, 3GPP TS 33.102).
//!
//! The nonce carries a random number and the network's proof; the card checks that and yields a one-time password. A
//! card that finds the proof's sequence number too old answers with AUTS, and the network makes a new challenge.
//!
//! ```
//! use sip_auth::{Client, aka::{Milenage, SoftUsim}};
//!
//! let (key, opc) = ([1; 16], [2; 16]);
//! let mut client = Client::new([3; 32]);
//! let usim = SoftUsim::new(Milenage::new(key, opc), 0);
//! client.add_usim("001010123456789@ims.example.org", "ims.example.org", usim);
//! ```

mod milenage;
#[cfg(test)]
mod tests;
mod usim;
mod vector;

pub use milenage::{Functions, Milenage};
pub use usim::{SoftUsim, Usim, UsimError};
pub use vector::{Answer, Vector, resynchronise};

use crate::{Algorithm, Secret};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use md5::Md5;
use sha2::{Sha256, Sha512_256};
use std::fmt;

/// How the password is made of the card's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Version {
    /// The answer itself (RFC 3310)
    V1,
    /// The answer and both keys (RFC 4169), so that no one who only relays can use it elsewhere
    V2,
}

impl Version {
    /// The version that an `algorithm` parameter such as `AKAv1-MD5` names.
    pub fn of_algorithm(token: &str) -> Option<Self> {
        let (version, _) = token.split_once('-')?;
        [Self::V1, Self::V2]
            .into_iter()
            .find(|known| version.eq_ignore_ascii_case(known.as_str()))
    }

    /// The digest algorithm behind the version.
    pub(crate) fn base(self, token: &str) -> &str {
        token.get(self.as_str().len() + 1..).unwrap_or_default()
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "AKAv1",
            Self::V2 => "AKAv2",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What card and network make of one random number.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// The answer, RES
    pub res: Vec<u8>,
    /// The cipher key, CK
    pub ck: [u8; 16],
    /// The integrity key, IK
    pub ik: [u8; 16],
}

impl Keys {
    /// The password for a digest response.
    pub(crate) fn secret(&self, version: Version, algorithm: Algorithm) -> Secret {
        match version {
            Version::V1 => Secret::octets(self.res.clone()),
            Version::V2 => {
                let key = [&self.res[..], &self.ik, &self.ck].concat();
                let text = STANDARD.encode(keyed(algorithm, &key, b"http-digest-akav2-password"));
                Secret::octets(text.into_bytes())
            }
        }
    }

    /// The keys CK' and IK' of AKAv2, which other protocols may use (RFC 4169 §2.2).
    pub fn session_keys(&self, algorithm: Algorithm) -> (Vec<u8>, Vec<u8>) {
        (
            keyed(algorithm, &self.ck, b"http-digest-akav2-cipherkey"),
            keyed(algorithm, &self.ik, b"http-digest-akav2-integritykey"),
        )
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// PRF of RFC 4169 §2.1: HMAC over the hash of the algorithm.
fn keyed(algorithm: Algorithm, key: &[u8], data: &[u8]) -> Vec<u8> {
    fn mac<M: Mac + hmac::digest::KeyInit>(key: &[u8], data: &[u8]) -> Vec<u8> {
        let mac = <M as Mac>::new_from_slice(key).expect("a key of any length will do");
        mac.chain_update(data).finalize().into_bytes().to_vec()
    }
    match algorithm.base() {
        Algorithm::Md5 => mac::<Hmac<Md5>>(key, data),
        Algorithm::Sha256 => mac::<Hmac<Sha256>>(key, data),
        _ => mac::<Hmac<Sha512_256>>(key, data),
    }
}

/// Random number and proof of a nonce (RFC 3310 §3.2); what the server has put behind them is its own affair.
pub(crate) fn read_nonce(nonce: &str) -> Option<([u8; 16], [u8; 16])> {
    let octets = STANDARD.decode(nonce).ok()?;
    let rand = octets.get(..16)?.try_into().ok()?;
    let autn = octets.get(16..32)?.try_into().ok()?;
    Some((rand, autn))
}
