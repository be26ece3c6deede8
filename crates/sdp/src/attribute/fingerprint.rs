//! fingerprint (RFC 8122 §5).
//!
//! ```text
//! attribute        =/ fingerprint-attribute
//! fingerprint-attribute = "fingerprint" ":" hash-func SP fingerprint
//! fingerprint      = 2UHEX *(":" 2UHEX)
//! ```

use super::TypedAttribute;
use crate::ValueError;
use std::fmt::Write as _;

/// The hash of the certificate that the writer will show (RFC 8122 §5).
///
/// ```
/// # use sdp::{Fingerprint, TypedAttribute};
/// let fingerprint = Fingerprint::parse("SHA-1 4A:AD:B9:B1")?;
/// assert_eq!(fingerprint.digest, [0x4a, 0xad, 0xb9, 0xb1]);
/// assert_eq!(fingerprint.value(), "sha-1 4A:AD:B9:B1");
/// # Ok::<(), sdp::ValueError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// The hash function in lower case: `sha-256`, …
    pub hash: String,
    /// What it gives
    pub digest: Vec<u8>,
}

impl TypedAttribute for Fingerprint {
    const NAME: &'static str = "fingerprint";

    fn parse(value: &str) -> Result<Self, ValueError> {
        let wrong = ValueError(Self::NAME);
        let (hash, digest) = value.split_once(' ').ok_or(wrong)?;
        let byte = |text: &str| {
            (text.len() == 2 && text.bytes().all(|digit| digit.is_ascii_hexdigit()))
                .then(|| u8::from_str_radix(text, 16).ok())
                .flatten()
        };
        Ok(Self {
            hash: hash.to_ascii_lowercase(),
            // Lower case is not allowed and written all the same.
            digest: digest
                .trim()
                .split(':')
                .map(byte)
                .collect::<Option<_>>()
                .ok_or(wrong)?,
        })
    }

    fn value(&self) -> String {
        let mut text = self.hash.clone();
        for (index, byte) in self.digest.iter().enumerate() {
            let separator = if index == 0 { ' ' } else { ':' };
            let _ = write!(text, "{separator}{byte:02X}");
        }
        text
    }
}
