//! crypto (RFC 4568 §9.1, suites of RFC 6188 and 7714 as well).
//!
//! ```text
//! crypto-attribute = "a=crypto:" tag 1*WSP crypto-suite 1*WSP key-params *(1*WSP session-param)
//! tag              = 1*9DIGIT
//! key-params       = key-param *(";" key-param)
//! key-param        = "inline:" <base64 of key and salt> ["|" lifetime] ["|" mki ":" length]
//! lifetime         = ["2^"] 1*(DIGIT)
//! ```

use super::TypedAttribute;
use crate::ValueError;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::fmt;

/// Keys with which the writer encrypts what it sends (RFC 4568).
///
/// `Debug` does not show keys.
///
/// ```
/// # use sdp::{Crypto, TypedAttribute};
/// let crypto = Crypto::parse("1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32")?;
/// let key = &crypto.keys[0];
/// assert_eq!(key.material().map(|bytes| bytes.len()), crypto.material_length());
/// assert_eq!((key.lifetime(), key.mki()), (Some(1 << 20), Some((1, 32))));
/// # Ok::<(), sdp::ValueError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crypto {
    /// Names this attribute among those of its m= line; an answer repeats it
    pub tag: u32,
    /// `AES_CM_128_HMAC_SHA1_80`, …
    pub suite: String,
    /// At least one
    pub keys: Vec<CryptoKey>,
    /// `UNENCRYPTED_SRTCP`, `KDR=…`, `WSH=…`, …
    pub session_parameters: Vec<String>,
}

impl Crypto {
    /// A suite and the key and salt for it.
    pub fn new(tag: u32, suite: &str, key_and_salt: &[u8]) -> Self {
        Self {
            tag,
            suite: suite.to_owned(),
            keys: vec![CryptoKey::new(key_and_salt)],
            session_parameters: Vec::new(),
        }
    }

    /// How many bytes key and salt have together in this suite; `None` if the suite is not known.
    pub fn material_length(&self) -> Option<usize> {
        SUITES
            .iter()
            .find(|(name, _)| *name == self.suite)
            .map(|(_, length)| *length)
    }
}

impl TypedAttribute for Crypto {
    const NAME: &'static str = "crypto";

    fn parse(value: &str) -> Result<Self, ValueError> {
        let wrong = ValueError(Self::NAME);
        let mut words = value.split_ascii_whitespace();
        let tag = words.next().ok_or(wrong)?;
        let suite = words.next().ok_or(wrong)?;
        let keys = words.next().ok_or(wrong)?.split(';');
        if tag.len() > 9 || !tag.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong);
        }
        Ok(Self {
            tag: tag.parse().map_err(|_| wrong)?,
            suite: suite.to_owned(),
            keys: keys
                .map(CryptoKey::parse)
                .collect::<Option<_>>()
                .ok_or(wrong)?,
            session_parameters: words.map(str::to_owned).collect(),
        })
    }

    fn value(&self) -> String {
        let keys: Vec<String> = self.keys.iter().map(CryptoKey::text).collect();
        let mut text = format!("{} {} {}", self.tag, self.suite, keys.join(";"));
        for parameter in &self.session_parameters {
            text.push(' ');
            text.push_str(parameter);
        }
        text
    }
}

/// One master key with its salt (RFC 4568 §6.1).
#[derive(Clone, PartialEq, Eq)]
pub struct CryptoKey {
    inline: String,
    lifetime: Option<Lifetime>,
    mki: Option<(u64, u8)>,
}

/// Kept as it is written, because both forms can say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lifetime {
    Power(u8),
    Packets(u64),
}

impl CryptoKey {
    /// A key and its salt.
    pub fn new(key_and_salt: &[u8]) -> Self {
        Self {
            inline: STANDARD.encode(key_and_salt),
            lifetime: None,
            mki: None,
        }
    }

    /// The same for at most `2^exponent` packets. Defaults to what the suite allows.
    #[must_use]
    pub fn with_lifetime(mut self, exponent: u8) -> Self {
        self.lifetime = Some(Lifetime::Power(exponent.min(63)));
        self
    }

    /// The same with the number by which packets name it, written in `length` bytes (1 to 128). Defaults to none.
    #[must_use]
    pub fn with_mki(mut self, value: u64, length: u8) -> Self {
        self.mki = Some((value, length.clamp(1, 128)));
        self
    }

    fn parse(text: &str) -> Option<Self> {
        // RFC 4568 §9.1: the method is a token and thus compared without case.
        let (method, info) = text.split_once(':')?;
        if !method.eq_ignore_ascii_case("inline") {
            return None;
        }
        let mut parts = info.split('|');
        let inline = parts.next().filter(|key| !key.is_empty())?.to_owned();
        let mut key = Self {
            inline,
            lifetime: None,
            mki: None,
        };
        for part in parts {
            if let Some((value, length)) = part.split_once(':') {
                let length = length.parse().ok().filter(|n| (1..=128).contains(n))?;
                if key.mki.replace((value.parse().ok()?, length)).is_some() {
                    return None;
                }
            } else {
                let lifetime = match part.strip_prefix("2^") {
                    Some(power) => Lifetime::Power(power.parse().ok().filter(|n| *n < 64)?),
                    None => Lifetime::Packets(part.parse().ok()?),
                };
                // The lifetime stands before the MKI.
                if key.mki.is_some() || key.lifetime.replace(lifetime).is_some() {
                    return None;
                }
            }
        }
        Some(key)
    }

    fn text(&self) -> String {
        let mut text = format!("inline:{}", self.inline);
        match self.lifetime {
            Some(Lifetime::Power(exponent)) => text.push_str(&format!("|2^{exponent}")),
            Some(Lifetime::Packets(count)) => text.push_str(&format!("|{count}")),
            None => {}
        }
        if let Some((value, length)) = self.mki {
            text.push_str(&format!("|{value}:{length}"));
        }
        text
    }

    /// The bytes of key and salt; `None` if they are not base64.
    pub fn material(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.inline).ok()
    }

    /// For how many packets the key may be used.
    pub const fn lifetime(&self) -> Option<u64> {
        match self.lifetime {
            Some(Lifetime::Power(exponent)) => Some(1 << exponent),
            Some(Lifetime::Packets(count)) => Some(count),
            None => None,
        }
    }

    /// The number by which packets name this key, and in how many bytes.
    pub const fn mki(&self) -> Option<(u64, u8)> {
        self.mki
    }
}

impl fmt::Debug for CryptoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CryptoKey")
            .field("lifetime", &self.lifetime)
            .field("mki", &self.mki)
            .finish_non_exhaustive()
    }
}

/// Bytes of key and salt: RFC 4568 §6.2, RFC 6188 §5, RFC 7714 §14.2.
const SUITES: &[(&str, usize)] = &[
    ("AES_CM_128_HMAC_SHA1_80", 30),
    ("AES_CM_128_HMAC_SHA1_32", 30),
    ("F8_128_HMAC_SHA1_80", 30),
    ("AES_192_CM_HMAC_SHA1_80", 38),
    ("AES_192_CM_HMAC_SHA1_32", 38),
    ("AES_256_CM_HMAC_SHA1_80", 46),
    ("AES_256_CM_HMAC_SHA1_32", 46),
    ("AEAD_AES_128_GCM", 28),
    ("AEAD_AES_256_GCM", 44),
];
