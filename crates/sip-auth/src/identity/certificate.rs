//! Certificates, as far as signatures of calls need them (RFC 8226).

use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};
use thiserror::Error;
use x509_cert::{
    Certificate,
    der::{Decode, Encode, asn1::ObjectIdentifier},
    ext::pkix::BasicConstraints,
};

/// Why a certificate is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// It is not a certificate, or there are too many
    #[error("the certificate cannot be read")]
    Malformed,
    /// It is not valid yet, or not any more
    #[error("the certificate is not valid at this time")]
    Expired,
    /// Its key is not one of ES256
    #[error("the certificate's key is not of the curve P-256")]
    Key,
    /// No trusted certificate stands behind it
    #[error("the certificate is not signed by anyone trusted")]
    Untrusted,
}

/// Reads one certificate in DER or several in PEM, the signer's first.
pub(super) fn read(octets: &[u8]) -> Result<Vec<Certificate>, CertificateError> {
    let chain = if octets.starts_with(b"-----") {
        Certificate::load_pem_chain(octets)
    } else {
        Certificate::from_der(octets).map(|certificate| vec![certificate])
    };
    match chain {
        Ok(chain) if (1..=MOST_CERTIFICATES).contains(&chain.len()) => Ok(chain),
        _ => Err(CertificateError::Malformed),
    }
}

/// The key of the first certificate, if each one is valid and signed by the next, up to one that is trusted.
pub(super) fn verify(
    chain: &[Certificate],
    anchors: &[Certificate],
    seconds: u64,
) -> Result<VerifyingKey, CertificateError> {
    let [leaf, ..] = chain else {
        return Err(CertificateError::Malformed);
    };
    let mut current = leaf;
    let mut rest = chain[1..].iter();
    loop {
        check_time(current, seconds)?;
        if anchors.contains(current) {
            break;
        }
        if let Some(anchor) = anchors.iter().find(|anchor| is_issued(current, anchor)) {
            check_time(anchor, seconds)?;
            break;
        }
        let next = rest.next().ok_or(CertificateError::Untrusted)?;
        if !is_issued(current, next) {
            return Err(CertificateError::Untrusted);
        }
        current = next;
    }
    key(leaf)
}

/// The key, whoever has signed it.
pub(super) fn key(certificate: &Certificate) -> Result<VerifyingKey, CertificateError> {
    let info = &certificate.tbs_certificate.subject_public_key_info;
    let curve = info
        .algorithm
        .parameters
        .as_ref()
        .and_then(|curve| curve.decode_as::<ObjectIdentifier>().ok());
    if info.algorithm.oid != EC_PUBLIC_KEY || curve != Some(P_256) {
        return Err(CertificateError::Key);
    }
    VerifyingKey::from_sec1_bytes(info.subject_public_key.raw_bytes())
        .map_err(|_| CertificateError::Key)
}

pub(super) fn check_time(certificate: &Certificate, seconds: u64) -> Result<(), CertificateError> {
    let validity = &certificate.tbs_certificate.validity;
    let from = validity.not_before.to_unix_duration().as_secs();
    let until = validity.not_after.to_unix_duration().as_secs();
    if (from..=until).contains(&seconds) {
        Ok(())
    } else {
        Err(CertificateError::Expired)
    }
}

fn is_issued(certificate: &Certificate, issuer: &Certificate) -> bool {
    let is_authority = matches!(
        issuer.tbs_certificate.get::<BasicConstraints>(),
        Ok(Some((_, BasicConstraints { ca: true, .. })))
    );
    let signed = || {
        let key = key(issuer).ok()?;
        let signature = Signature::from_der(certificate.signature.raw_bytes()).ok()?;
        let octets = certificate.tbs_certificate.to_der().ok()?;
        key.verify(&octets, &signature).ok()
    };
    is_authority
        && certificate.signature_algorithm.oid == ECDSA_WITH_SHA_256
        && certificate.tbs_certificate.issuer == issuer.tbs_certificate.subject
        && signed().is_some()
}

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ECDSA_WITH_SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const MOST_CERTIFICATES: usize = 8;
