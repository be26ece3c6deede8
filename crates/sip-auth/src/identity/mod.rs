//! Who calls whom, signed (RFC 8224 Identity, RFC 8225 PASSporT, RFC 8588 SHAKEN).
//!
//! A [`Signer`] puts an Identity header field into a request; a [`Verifier`] checks it. Certificates are fetched by
//! whoever drives it: [`Verifier::verify`] asks with a [`CertificateQuestion`], and [`Verifier::decide`] goes on.

mod certificate;
mod party;
mod passport;
mod seen;
mod signer;
mod verifier;

pub use certificate::CertificateError;
pub use party::{Party, canonical_number};
pub use passport::{Attestation, MediaKey, Passport};
pub use signer::{SignError, Signer};
pub use verifier::{CertificateQuestion, IdentityCheck, IdentityError, Verifier};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

fn encode(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

/// Padding is not in the grammar, but in some messages.
fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}
