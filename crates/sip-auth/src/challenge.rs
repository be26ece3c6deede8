//! What a server asks for, as a client reads it.

use crate::{Algorithm, Qop};
use sip_message::headers::{ProxyAuthenticate, WwwAuthenticate};
use std::borrow::Cow;
use thiserror::Error;

/// A digest challenge that can be answered.
///
/// ```
/// use sip_auth::{Algorithm, Challenge, ChallengeError};
///
/// let field = r#"Digest realm="example.com", nonce="84a4cc6f", qop="auth,auth-int", algorithm=SHA-256"#.parse()?;
/// let challenge = Challenge::of_server(&field)?;
/// assert_eq!((challenge.realm(), challenge.algorithm()), ("example.com", Algorithm::Sha256));
///
/// let basic = r#"Basic realm="example.com""#.parse()?;
/// assert_eq!(Challenge::of_server(&basic), Err(ChallengeError::Scheme));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    realm: String,
    pub(crate) nonce: String,
    pub(crate) opaque: Option<String>,
    algorithm: Algorithm,
    /// Whether the algorithm was written; if it was not, neither will we
    pub(crate) names_algorithm: bool,
    /// Whether each protection is offered: `auth`, `auth-int`; `None` for the form of RFC 2069
    offers: Option<(bool, bool)>,
    stale: bool,
    pub(crate) hashes_users: bool,
    pub(crate) is_utf8: bool,
    #[cfg(feature = "aka")]
    pub(crate) aka: Option<crate::aka::Version>,
}

impl Challenge {
    /// Reads the challenge of a user agent server or registrar.
    ///
    /// # Errors
    ///
    /// If it is none that we can answer.
    pub fn of_server(field: &WwwAuthenticate) -> Result<Self, ChallengeError> {
        Self::read(field.is_scheme("Digest"), field.params())
    }

    /// Reads the challenge of a proxy.
    ///
    /// # Errors
    ///
    /// If it is none that we can answer.
    pub fn of_proxy(field: &ProxyAuthenticate) -> Result<Self, ChallengeError> {
        Self::read(field.is_scheme("Digest"), field.params())
    }

    fn read<'a>(
        is_digest: bool,
        params: impl Iterator<Item = (&'a str, Cow<'a, str>, bool)>,
    ) -> Result<Self, ChallengeError> {
        if !is_digest {
            return Err(ChallengeError::Scheme);
        }
        let (mut realm, mut nonce, mut opaque) = (None, None, None);
        let (mut algorithm, mut qop, mut stale) = (None, None, false);
        let (mut hashes_users, mut is_utf8) = (false, false);
        for (name, value, _) in params {
            // Of a parameter that is there twice the first one counts; unknown ones are skipped (RFC 7616 §3.3).
            let known = [
                ("realm", &mut realm),
                ("nonce", &mut nonce),
                ("opaque", &mut opaque),
                ("algorithm", &mut algorithm),
                ("qop", &mut qop),
            ]
            .into_iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known));
            match known {
                Some((_, slot)) => {
                    slot.get_or_insert(value);
                }
                None => {
                    let is = |known: &str, content: &str| {
                        name.eq_ignore_ascii_case(known) && value.eq_ignore_ascii_case(content)
                    };
                    stale |= is("stale", "true");
                    hashes_users |= is("userhash", "true");
                    is_utf8 |= is("charset", "UTF-8");
                }
            }
        }
        let names_algorithm = algorithm.is_some();
        #[cfg(feature = "aka")]
        let aka = algorithm
            .as_deref()
            .and_then(crate::aka::Version::of_algorithm);
        #[cfg(feature = "aka")]
        let algorithm = match aka {
            Some(version) => algorithm.map(|token| Cow::Owned(version.base(&token).to_owned())),
            None => algorithm,
        };
        let algorithm = match algorithm {
            None => Algorithm::Md5,
            Some(token) => Algorithm::from_token(&token).ok_or(ChallengeError::Algorithm)?,
        };
        let offers = match qop {
            None => None,
            Some(list) => {
                let offers = |qop| {
                    list.split(',')
                        .any(|token| Qop::from_token(token.trim()) == Some(qop))
                };
                let offers = (offers(Qop::Auth), offers(Qop::AuthInt));
                if offers == (false, false) {
                    return Err(ChallengeError::Qop);
                }
                Some(offers)
            }
        };
        Ok(Self {
            realm: realm.ok_or(ChallengeError::Missing("realm"))?.into_owned(),
            nonce: nonce.ok_or(ChallengeError::Missing("nonce"))?.into_owned(),
            opaque: opaque.map(Cow::into_owned),
            algorithm,
            names_algorithm,
            offers,
            stale,
            hashes_users,
            is_utf8,
            #[cfg(feature = "aka")]
            aka,
        })
    }

    /// Whose users are asked for.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// Which hash is wanted.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The protection that we give: `auth` if it is offered, else `auth-int`; `None` for the form of RFC 2069.
    pub const fn qop(&self) -> Option<Qop> {
        match self.offers {
            None => None,
            Some((true, _)) => Some(Qop::Auth),
            Some((false, _)) => Some(Qop::AuthInt),
        }
    }

    /// Whether this protection is offered.
    pub const fn offers(&self, qop: Qop) -> bool {
        match (self.offers, qop) {
            (Some((offered, _)), Qop::Auth) | (Some((_, offered)), Qop::AuthInt) => offered,
            (None, _) => false,
        }
    }

    /// Whether credentials other than of a password are wanted.
    pub(crate) const fn is_aka(&self) -> bool {
        #[cfg(feature = "aka")]
        return self.aka.is_some();
        #[cfg(not(feature = "aka"))]
        false
    }

    /// The token of the `algorithm` parameter for the answer.
    pub(crate) fn algorithm_token(&self) -> String {
        #[cfg(feature = "aka")]
        if let Some(version) = self.aka {
            return format!("{version}-{}", self.algorithm);
        }
        self.algorithm.as_str().to_owned()
    }

    /// Whether only the nonce of the earlier credentials was wrong, so that the same password may be tried again.
    pub const fn is_stale(&self) -> bool {
        self.stale
    }
}

/// Why a challenge cannot be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChallengeError {
    /// It is not Digest
    #[error("unsupported scheme")]
    Scheme,
    /// The algorithm is none of ours
    #[error("unsupported algorithm")]
    Algorithm,
    /// It insists on a protection that we do not have
    #[error("unsupported quality of protection")]
    Qop,
    /// A parameter without which there is no answer
    #[error("{0} is missing")]
    Missing(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Challenge, ChallengeError> {
        Challenge::of_server(&text.parse().expect("is a challenge"))
    }

    /// AUT-016: RFC 3261 §22.1, RFC 7616 §3.3: escapes, commas in quotes, unknown parameters, any case.
    #[test]
    fn quoted_strings_and_unknown_parameters_are_read() {
        let challenge = read(
            r#"dIgEsT REALM="a \"b\", c", Nonce="n,=\\", x=y, foo="bar, baz", opaque="", qop="foo, AUTH-INT,auth", stale=TRUE"#,
        )
        .expect("can be answered");
        assert_eq!(challenge.realm(), r#"a "b", c"#);
        assert_eq!(challenge.nonce, r"n,=\");
        assert_eq!(challenge.opaque.as_deref(), Some(""));
        assert_eq!(challenge.qop(), Some(Qop::Auth));
        assert_eq!(challenge.algorithm(), Algorithm::Md5);
        assert!(challenge.is_stale() && !challenge.names_algorithm);
    }

    #[test]
    fn what_cannot_be_answered_is_said_so() {
        assert_eq!(
            read(r#"Digest realm="r", nonce="n", algorithm=SHA-1"#),
            Err(ChallengeError::Algorithm)
        );
        assert_eq!(
            read(r#"Digest realm="r", nonce="n", qop="x""#),
            Err(ChallengeError::Qop)
        );
        assert_eq!(
            read(r#"Digest realm="r""#),
            Err(ChallengeError::Missing("nonce"))
        );
        assert_eq!(
            read(r#"Digest nonce="n""#),
            Err(ChallengeError::Missing("realm"))
        );
        assert_eq!(
            read(r#"Digest realm="r", nonce="n", qop="auth-int""#).map(|c| c.qop()),
            Ok(Some(Qop::AuthInt))
        );
    }
}
