//! The response of RFC 7616 §3.4.1 and of RFC 2069.

use crate::Algorithm;
use std::fmt;
use subtle::ConstantTimeEq;

/// How a response is protected (RFC 7616 §3.4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Qop {
    /// The method and URI are covered
    Auth,
    /// The body as well
    AuthInt,
}

impl Qop {
    /// The token of the `qop` parameter.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        }
    }

    /// The protection that a token names, whatever its case.
    pub fn from_token(token: &str) -> Option<Self> {
        [Self::Auth, Self::AuthInt]
            .into_iter()
            .find(|qop| qop.as_str().eq_ignore_ascii_case(token))
    }
}

/// What goes into a response beside the secret.
///
/// ```
/// use sip_auth::{Algorithm, Inputs, Qop, Secret, response};
///
/// // RFC 2617 §3.5.
/// let inputs = Inputs {
///     algorithm: Algorithm::Md5,
///     user: "Mufasa",
///     realm: "testrealm@host.com",
///     method: "GET",
///     uri: "/dir/index.html",
///     nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
///     protection: Some((Qop::Auth, "00000001", "0a4f113b")),
///     body: b"",
/// };
/// let response = response(&inputs, &Secret::password("Circle Of Life"));
/// assert_eq!(response.as_deref(), Some("6629fae49393a05397450978507c4ef1"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Which hash
    pub algorithm: Algorithm,
    /// The user name
    pub user: &'a str,
    /// The realm
    pub realm: &'a str,
    /// The method of the request
    pub method: &'a str,
    /// The `uri` parameter as written
    pub uri: &'a str,
    /// The server's nonce
    pub nonce: &'a str,
    /// Quality of protection, nonce count as written, client nonce; `None` for RFC 2069
    pub protection: Option<(Qop, &'a str, &'a str)>,
    /// The body of the request, for `auth-int`
    pub body: &'a [u8],
}

/// The response that proves knowledge of the secret, or `None` when the secret is a hash of another algorithm.
///
/// A session algorithm needs a client nonce; without protection the empty one is taken.
pub fn response(inputs: &Inputs<'_>, secret: &crate::Secret) -> Option<String> {
    let key = secret.key(inputs.algorithm, inputs.user, inputs.realm)?;
    let covered = covered(
        inputs.algorithm,
        inputs.method,
        inputs.uri,
        inputs.protection.map(|(qop, ..)| qop),
        inputs.body,
    );
    let proof = proof(
        inputs.algorithm,
        &key,
        inputs.nonce,
        inputs.protection,
        inputs.protection.map_or("", |(.., cnonce)| cnonce),
        &covered,
    );
    Some(proof.as_str().to_owned())
}

/// H(A1) without a session key: what a server may store (RFC 7616 §3.4.2).
pub(crate) fn key(algorithm: Algorithm, user: &str, realm: &str, password: &[u8]) -> Hex {
    algorithm.hash(&[user.as_bytes(), realm.as_bytes(), password])
}

/// The user name in disguise (RFC 7616 §3.4.4).
pub(crate) fn user_hash(algorithm: Algorithm, user: &str, realm: &str) -> Hex {
    algorithm.hash(&[user.as_bytes(), realm.as_bytes()])
}

/// H(A2) (RFC 7616 §3.4.3).
pub(crate) fn covered(
    algorithm: Algorithm,
    method: &str,
    uri: &str,
    qop: Option<Qop>,
    body: &[u8],
) -> Hex {
    match qop {
        Some(Qop::AuthInt) => {
            let body = algorithm.hash(&[body]);
            algorithm.hash(&[method.as_bytes(), uri.as_bytes(), body.as_bytes()])
        }
        _ => algorithm.hash(&[method.as_bytes(), uri.as_bytes()]),
    }
}

/// KD(H(A1), …) (RFC 7616 §3.4.1, RFC 2617 §3.2.2.1).
pub(crate) fn proof(
    algorithm: Algorithm,
    key: &Hex,
    nonce: &str,
    protection: Option<(Qop, &str, &str)>,
    session_cnonce: &str,
    covered: &Hex,
) -> Hex {
    let session_key;
    let key = if algorithm.is_session() {
        session_key =
            algorithm.hash(&[key.as_bytes(), nonce.as_bytes(), session_cnonce.as_bytes()]);
        &session_key
    } else {
        key
    };
    match protection {
        Some((qop, count, cnonce)) => algorithm.hash(&[
            key.as_bytes(),
            nonce.as_bytes(),
            count.as_bytes(),
            cnonce.as_bytes(),
            qop.as_str().as_bytes(),
            covered.as_bytes(),
        ]),
        None => algorithm.hash(&[key.as_bytes(), nonce.as_bytes(), covered.as_bytes()]),
    }
}

/// A hash in lower-case hexadecimal digits, without an allocation. It may be a key, so `Debug` shows nothing.
#[derive(Clone, Copy)]
pub(crate) struct Hex {
    digits: [u8; 64],
    length: usize,
}

impl Hex {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut digits = [0; 64];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Self {
            digits,
            length: (2 * bytes.len()).min(64),
        }
    }

    /// Reads `length` hexadecimal digits of either case.
    pub(crate) fn parse(text: &str, length: usize) -> Option<Self> {
        if text.len() != length || length > 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let mut digits = [0; 64];
        digits[..length].copy_from_slice(text.as_bytes());
        digits.make_ascii_lowercase();
        Some(Self { digits, length })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.digits[..self.length]
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("hexadecimal digits are ASCII")
    }

    /// Whether these are the digits, in either case.
    pub(crate) fn is(&self, text: &str) -> bool {
        Self::parse(text, self.length).is_some_and(|other| self.matches(&other))
    }

    /// Equality that takes the same time whatever it finds.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl fmt::Debug for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
thread_local! {
    /// How many hashes this test has taken.
    pub(crate) static HASHES: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
mod tests;
