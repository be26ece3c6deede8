//! What proves who someone is.

use crate::{
    Algorithm,
    digest::{self, Hex},
};
use std::fmt;
use thiserror::Error;

/// A user's name and secret, for the side that is challenged.
///
/// ```
/// use sip_auth::{Algorithm, Credentials};
///
/// let credentials = Credentials::password("alice", "secret").for_realm("example.com");
/// assert_eq!(format!("{credentials:?}"), r#"Credentials { user: "alice", realm: Some("example.com"), .. }"#);
/// // What an htdigest file holds.
/// Credentials::ha1("alice", "example.com", Algorithm::Md5, "0123456789abcdef0123456789abcdef")?;
/// # Ok::<(), sip_auth::CredentialsError>(())
/// ```
#[derive(Clone)]
pub struct Credentials {
    user: String,
    realm: Option<String>,
    secret: Secret,
}

impl Credentials {
    /// A password, for any realm that asks.
    pub fn password(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            realm: None,
            secret: Secret::password(password),
        }
    }

    /// A hash of user, realm and password (H(A1) of RFC 7616 §3.4.2), which is good for one realm and algorithm.
    ///
    /// # Errors
    ///
    /// If `hex` does not have as many hexadecimal digits as the algorithm yields.
    pub fn ha1(
        user: impl Into<String>,
        realm: impl Into<String>,
        algorithm: Algorithm,
        hex: &str,
    ) -> Result<Self, CredentialsError> {
        Ok(Self {
            user: user.into(),
            realm: Some(realm.into()),
            secret: Secret::ha1(algorithm, hex)?,
        })
    }

    #[cfg(feature = "aka")]
    pub(crate) const fn with_secret(user: String, realm: String, secret: Secret) -> Self {
        Self {
            user,
            realm: Some(realm),
            secret,
        }
    }

    /// The same credentials, shown to one realm only.
    #[must_use]
    pub fn for_realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// The user name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The only realm that they are for, if there is one.
    pub fn realm(&self) -> Option<&str> {
        self.realm.as_deref()
    }

    pub(crate) fn fit(&self, realm: &str) -> bool {
        self.realm.as_deref().is_none_or(|own| own == realm)
    }

    pub(crate) fn can(&self, algorithm: Algorithm) -> bool {
        self.secret.has(algorithm)
    }

    pub(crate) const fn secret(&self) -> &Secret {
        &self.secret
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}

/// What a server knows of a user: the password, or hashes that stand for it.
///
/// ```
/// use sip_auth::{Algorithm, Secret};
///
/// let stored = Secret::ha1(Algorithm::Md5, "0123456789abcdef0123456789abcdef")?;
/// assert_eq!(format!("{stored:?}"), "Secret(..)");
/// assert!(Secret::ha1(Algorithm::Sha256, "too short").is_err());
/// # Ok::<(), sip_auth::CredentialsError>(())
/// ```
#[derive(Clone)]
pub struct Secret(Kind);

#[derive(Clone)]
enum Kind {
    /// Octets, since AKA's are no text
    Password(Vec<u8>),
    /// One hash for each base algorithm
    Hashes(Vec<(Algorithm, Hex)>),
}

impl Secret {
    /// The password itself.
    pub fn password(password: impl Into<String>) -> Self {
        Self(Kind::Password(password.into().into_bytes()))
    }

    #[cfg(feature = "aka")]
    pub(crate) const fn octets(password: Vec<u8>) -> Self {
        Self(Kind::Password(password))
    }

    /// A hash of user, realm and password (H(A1) of RFC 7616 §3.4.2).
    ///
    /// # Errors
    ///
    /// If `hex` does not have as many hexadecimal digits as the algorithm yields.
    pub fn ha1(algorithm: Algorithm, hex: &str) -> Result<Self, CredentialsError> {
        let hash = Self::hash(algorithm, hex)?;
        Ok(Self(Kind::Hashes(vec![hash])))
    }

    /// Adds the hash of another algorithm. A password needs none and stays as it is.
    ///
    /// # Errors
    ///
    /// If `hex` does not have as many hexadecimal digits as the algorithm yields.
    pub fn and_ha1(mut self, algorithm: Algorithm, hex: &str) -> Result<Self, CredentialsError> {
        let hash = Self::hash(algorithm, hex)?;
        if let Kind::Hashes(hashes) = &mut self.0 {
            hashes.retain(|(other, _)| *other != hash.0);
            hashes.push(hash);
        }
        Ok(self)
    }

    /// Whether responses of this algorithm can be made and checked with it.
    pub fn has(&self, algorithm: Algorithm) -> bool {
        match &self.0 {
            Kind::Password(_) => true,
            Kind::Hashes(hashes) => hashes.iter().any(|(other, _)| *other == algorithm.base()),
        }
    }

    /// H(A1) without a session key.
    pub(crate) fn key(&self, algorithm: Algorithm, user: &str, realm: &str) -> Option<Hex> {
        match &self.0 {
            Kind::Password(password) => Some(digest::key(algorithm, user, realm, password)),
            Kind::Hashes(hashes) => hashes
                .iter()
                .find(|(other, _)| *other == algorithm.base())
                .map(|(_, hash)| *hash),
        }
    }

    pub(crate) const fn is_password(&self) -> bool {
        matches!(self.0, Kind::Password(_))
    }

    fn hash(algorithm: Algorithm, hex: &str) -> Result<(Algorithm, Hex), CredentialsError> {
        Hex::parse(hex, algorithm.hex_length())
            .map(|hash| (algorithm.base(), hash))
            .ok_or(CredentialsError { algorithm })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A stored hash does not have the form that its algorithm gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a hash of {algorithm} has {} hexadecimal digits", algorithm.hex_length())]
pub struct CredentialsError {
    /// The algorithm that was named
    pub algorithm: Algorithm,
}
