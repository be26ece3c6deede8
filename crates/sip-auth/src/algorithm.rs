//! Which hash, and over what.

use crate::digest::Hex;
use md5::Md5;
use sha2::{Sha256, Sha512_256};
use std::fmt;

/// A digest algorithm (RFC 7616 §3.3, RFC 8760 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Algorithm {
    /// MD5, which every peer knows and nobody should rely on
    Md5,
    /// MD5 with a session key
    Md5Session,
    /// SHA-256
    Sha256,
    /// SHA-256 with a session key
    Sha256Session,
    /// SHA-512/256 of FIPS 180-4, which is not SHA-512 cut short
    Sha512_256,
    /// SHA-512/256 with a session key
    Sha512_256Session,
}

impl Algorithm {
    /// All of them, the strongest first.
    pub const ALL: [Self; 6] = [
        Self::Sha512_256,
        Self::Sha512_256Session,
        Self::Sha256,
        Self::Sha256Session,
        Self::Md5,
        Self::Md5Session,
    ];

    /// The token of the `algorithm` parameter.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Md5Session => "MD5-sess",
            Self::Sha256 => "SHA-256",
            Self::Sha256Session => "SHA-256-sess",
            Self::Sha512_256 => "SHA-512-256",
            Self::Sha512_256Session => "SHA-512-256-sess",
        }
    }

    /// The algorithm that a token names, whatever its case.
    pub fn from_token(token: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(token))
    }

    /// Whether the key is mixed with both nonces once per session (RFC 7616 §3.4.2).
    pub const fn is_session(self) -> bool {
        matches!(
            self,
            Self::Md5Session | Self::Sha256Session | Self::Sha512_256Session
        )
    }

    /// The algorithm without a session key: both take the same stored hash.
    pub const fn base(self) -> Self {
        match self {
            Self::Md5 | Self::Md5Session => Self::Md5,
            Self::Sha256 | Self::Sha256Session => Self::Sha256,
            Self::Sha512_256 | Self::Sha512_256Session => Self::Sha512_256,
        }
    }

    /// Which of two is the stronger; session keys make no difference.
    pub(crate) const fn strength(self) -> u8 {
        match self.base() {
            Self::Md5 => 0,
            Self::Sha256 => 1,
            _ => 2,
        }
    }

    /// How many hexadecimal digits a response has.
    pub const fn hex_length(self) -> usize {
        match self.base() {
            Self::Md5 => 32,
            _ => 64,
        }
    }

    /// The hash of the parts with colons between them, in lower-case hexadecimal digits.
    pub(crate) fn hash(self, parts: &[&[u8]]) -> Hex {
        match self.base() {
            Self::Md5 => joined::<Md5>(parts),
            Self::Sha256 => joined::<Sha256>(parts),
            _ => joined::<Sha512_256>(parts),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn joined<D: sha2::Digest>(parts: &[&[u8]]) -> Hex {
    #[cfg(test)]
    crate::digest::HASHES.with(|count| count.set(count.get() + 1));
    // One long piece costs a hash function less than ten short ones.
    let (mut gathered, mut length) = ([0; 256], 0);
    let mut hash = D::new();
    for (n, part) in parts.iter().enumerate() {
        for piece in [if n > 0 { b":" } else { &b""[..] }, part] {
            if length + piece.len() > gathered.len() {
                hash.update(&gathered[..length]);
                length = 0;
            }
            match gathered.get_mut(length..length + piece.len()) {
                Some(room) => {
                    room.copy_from_slice(piece);
                    length += piece.len();
                }
                None => hash.update(piece),
            }
        }
    }
    Hex::of(&hash.chain_update(&gathered[..length]).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_any_length_are_one_text_with_colons() {
        for lengths in [
            [0, 0, 0],
            [1, 2, 3],
            [84, 85, 85],
            [85, 85, 85],
            [255, 0, 256],
            [256, 257, 1],
            [1_000, 1, 255],
        ] {
            let parts = lengths.map(|length| vec![b'x'; length]);
            let text = parts.join(&b':');
            let [one, two, three] = &parts;
            let gathered = Algorithm::Md5.hash(&[one, two, three]);
            let whole = Hex::of(&<Md5 as sha2::Digest>::digest(&text));
            assert_eq!(gathered.as_str(), whole.as_str(), "{lengths:?}");
        }
    }

    #[test]
    fn tokens_are_read_whatever_their_case() {
        for algorithm in Algorithm::ALL {
            let token = algorithm.as_str();
            assert_eq!(Algorithm::from_token(token), Some(algorithm));
            assert_eq!(
                Algorithm::from_token(&token.to_lowercase()),
                Some(algorithm)
            );
            assert_eq!(algorithm.is_session(), token.ends_with("-sess"));
            assert_eq!(
                algorithm.hash(&[b"x"]).as_str().len(),
                algorithm.hex_length()
            );
        }
        assert_eq!(Algorithm::from_token("AKAv1-MD5"), None);
    }
}
