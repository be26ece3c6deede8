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
    let protection = inputs
        .protection
        .map(|(qop, count, cnonce)| (qop, count.as_bytes(), cnonce.as_bytes()));
    let covered = covered(
        inputs.algorithm,
        inputs.method,
        inputs.uri.as_bytes(),
        protection.map(|(qop, ..)| qop),
        inputs.body,
    );
    let proof = proof(
        inputs.algorithm,
        &key,
        inputs.nonce.as_bytes(),
        protection,
        protection.map_or(b"", |(.., cnonce)| cnonce),
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
    uri: &[u8],
    qop: Option<Qop>,
    body: &[u8],
) -> Hex {
    match qop {
        Some(Qop::AuthInt) => {
            let body = algorithm.hash(&[body]);
            algorithm.hash(&[method.as_bytes(), uri, body.as_bytes()])
        }
        _ => algorithm.hash(&[method.as_bytes(), uri]),
    }
}

/// KD(H(A1), …) (RFC 7616 §3.4.1, RFC 2617 §3.2.2.1).
pub(crate) fn proof(
    algorithm: Algorithm,
    key: &Hex,
    nonce: &[u8],
    protection: Option<(Qop, &[u8], &[u8])>,
    session_cnonce: &[u8],
    covered: &Hex,
) -> Hex {
    let session_key;
    let key = if algorithm.is_session() {
        session_key = algorithm.hash(&[key.as_bytes(), nonce, session_cnonce]);
        &session_key
    } else {
        key
    };
    match protection {
        Some((qop, count, cnonce)) => algorithm.hash(&[
            key.as_bytes(),
            nonce,
            count,
            cnonce,
            qop.as_str().as_bytes(),
            covered.as_bytes(),
        ]),
        None => algorithm.hash(&[key.as_bytes(), nonce, covered.as_bytes()]),
    }
}

/// A hash in lower-case hexadecimal digits, without an allocation. It may be a key, so `Debug` shows nothing.
#[derive(Clone, Copy)]
pub(crate) struct Hex {
    /// Zero behind the last one
    digits: [u8; 64],
    length: usize,
}

impl Hex {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut digits = [0; 64];
        let (pairs, _) = digits.as_chunks_mut();
        for (pair, byte) in pairs.iter_mut().zip(bytes) {
            *pair = PAIRS[usize::from(*byte)];
        }
        Self {
            digits,
            length: (2 * bytes.len()).min(64),
        }
    }

    /// Reads `length` hexadecimal digits of either case.
    pub(crate) fn parse(text: impl AsRef<[u8]>, length: usize) -> Option<Self> {
        let text = text.as_ref();
        if text.len() != length || length > 64 {
            return None;
        }
        let (mut digits, mut seen) = ([0; 64], 0);
        for (digit, written) in digits.iter_mut().zip(text) {
            seen |= VALUES[usize::from(*written)];
            // Digits have this bit, and letters that have it are small.
            *digit = written | 0x20;
        }
        (seen < 16).then_some(Self { digits, length })
    }

    /// The number that 16 hexadecimal digits make.
    pub(crate) fn number(digits: &[u8; 16]) -> Option<u64> {
        let (mut number, mut seen) = (0, 0);
        for digit in digits {
            let value = VALUES[usize::from(*digit)];
            seen |= value;
            number = number << 4 | u64::from(value & 15);
        }
        (seen < 16).then_some(number)
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

    /// Whether this is the text, letter by letter. It takes the same time for all texts of one length.
    pub(crate) fn is_written(&self, text: &[u8]) -> bool {
        let mut digits = [0; 64];
        match digits.get_mut(..text.len()) {
            Some(room) if text.len() == self.length => room.copy_from_slice(text),
            _ => return false,
        }
        self.matches(&Self {
            digits,
            length: self.length,
        })
    }

    /// Equality that takes the same time whatever it finds.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        let (own, _) = self.digits.as_chunks();
        let (others, _) = other.digits.as_chunks();
        let is_same = own.iter().zip(others).fold(
            self.length.ct_eq(&other.length),
            |is_same, (one, other)| {
                is_same & u128::from_ne_bytes(*one).ct_eq(&u128::from_ne_bytes(*other))
            },
        );
        is_same.into()
    }
}

impl fmt::Debug for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

/// Each octet in two digits.
const PAIRS: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut octet = 0;
    while octet < 256 {
        pairs[octet] = [digits[octet >> 4], digits[octet & 15]];
        octet += 1;
    }
    pairs
};

/// What each hexadecimal digit is worth; of all else, more than any.
const VALUES: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let mut value = 0;
    while value < 16 {
        let digit = b"0123456789abcdef"[value];
        values[digit as usize] = value as u8;
        values[digit.to_ascii_uppercase() as usize] = value as u8;
        value += 1;
    }
    values
};

#[cfg(test)]
thread_local! {
    /// How many hashes this test has taken.
    pub(crate) static HASHES: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
mod tests;
