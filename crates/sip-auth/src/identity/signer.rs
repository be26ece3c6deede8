//! The side that signs (RFC 8224 §4.1).

use super::{Attestation, MediaKey, Party, Passport, encode};
use p256::{
    ecdsa::{Signature, SigningKey, signature::Signer as _},
    pkcs8::DecodePrivateKey,
};
use sip_message::{
    HeaderField, HeaderValue, ParseError, Request,
    headers::{Date, Identity},
};
use std::fmt;
use thiserror::Error;

/// Signs who calls whom with the key of one certificate.
///
/// Signatures are deterministic (RFC 6979), so no randomness is needed.
pub struct Signer {
    key: SigningKey,
    certificate: String,
}

/// Why a request is not signed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SignError {
    /// The key is not one of the curve P-256 in PKCS #8
    #[error("the key cannot be read")]
    Key,
    /// The request lacks something, or the certificate's URI cannot be written
    #[error(transparent)]
    Request(#[from] ParseError),
}

impl Signer {
    /// With a private key in PEM (PKCS #8), and the URI where its certificate is to be had.
    ///
    /// # Errors
    ///
    /// If the key cannot be read.
    pub fn from_pem(key: &str, certificate: impl Into<String>) -> Result<Self, SignError> {
        Ok(Self {
            key: SigningKey::from_pkcs8_pem(key).map_err(|_| SignError::Key)?,
            certificate: certificate.into(),
        })
    }

    /// Signs a passport: header, claims and signature with dots between them.
    pub fn sign(&self, passport: &Passport) -> String {
        let input = passport.signing_input();
        let signature: Signature = self.key.sign(input.as_bytes());
        format!("{input}.{}", encode(&signature.to_bytes()))
    }

    /// Puts Identity into a request, for SHAKEN with attestation and origin identifier; Date as well, if it has none.
    ///
    /// `seconds` is the time since 1970. Who calls is read from From, who is called from To.
    ///
    /// # Errors
    ///
    /// If From or To cannot be read.
    pub fn sign_request(
        &self,
        seconds: u64,
        request: &mut Request,
        shaken: Option<(Attestation, String)>,
    ) -> Result<(), SignError> {
        let origin = Party::of(request.from()?.address().uri());
        let destination = Party::of(request.to()?.address().uri());
        let mut passport = Passport::new(&self.certificate, seconds, origin, [destination]);
        passport.media_keys = media_keys(request.body());
        passport.shaken = shaken;
        let mut text = format!(
            "{};info=<{}>;alg=ES256",
            self.sign(&passport),
            self.certificate
        );
        if let Some(extension) = passport.extension() {
            text.push_str(";ppt=");
            text.push_str(extension);
        }
        let identity = Identity::parse(&HeaderValue::new(text)?)?;
        if !request.headers().contains::<Date>() {
            request.headers_mut().push(Date::from_unix_seconds(seconds));
        }
        request.headers_mut().push(identity);
        Ok(())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

/// The fingerprints in a session description, sorted and each once (RFC 8224 §4.1 step 4).
pub(super) fn media_keys(body: &[u8]) -> Vec<MediaKey> {
    let mut keys: Vec<MediaKey> = body
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let line = std::str::from_utf8(line).ok()?.trim_end();
            let (algorithm, digest) = line.strip_prefix("a=fingerprint:")?.split_once(' ')?;
            Some(MediaKey {
                algorithm: algorithm.to_ascii_lowercase(),
                digest: digest.trim().replace(':', "").to_ascii_uppercase(),
            })
        })
        .take(MOST_KEYS)
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

const MOST_KEYS: usize = 64;
