//! Files of the program `htdigest`.

use crate::{Algorithm, CredentialStore, Secret, Users, UsersError};
use std::fmt;

/// Users with the hashes of their passwords, as `htdigest` writes them.
///
/// ```
/// use sip_auth::{CredentialStore, Htdigest};
///
/// let users = Htdigest::parse("alice:example.com:0123456789abcdef0123456789abcdef\n")?;
/// assert!(users.lookup("alice", "example.com").is_some());
/// assert!(users.lookup("alice", "example.net").is_none());
/// # Ok::<(), sip_auth::UsersError>(())
/// ```
#[derive(Clone, Default)]
pub struct Htdigest(Users);

impl Htdigest {
    /// Reads one `user:realm:hash` a line: 32 digits are MD5, 64 are SHA-256.
    ///
    /// Empty lines and lines that begin with `#` are skipped. A user may be there once for each algorithm; of several
    /// lines for one algorithm the last one counts.
    ///
    /// # Errors
    ///
    /// Names the first line that cannot be read.
    pub fn parse(text: &str) -> Result<Self, UsersError> {
        let mut users = Users::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let error = |problem| UsersError {
                line: number,
                problem,
            };
            // A realm may have colons, a user name and a hash may not (RFC 7616 §3.4.2).
            let parts = line.split_once(':').and_then(|(user, rest)| {
                rest.rsplit_once(':').map(|(realm, hex)| (user, realm, hex))
            });
            let (user, realm, hex) = parts.ok_or_else(|| error("expected user:realm:hash"))?;
            if user.is_empty() {
                return Err(error("the user has no name"));
            }
            let algorithm = match hex.len() {
                32 => Algorithm::Md5,
                _ => Algorithm::Sha256,
            };
            users
                .merge_ha1(user, realm, algorithm, hex)
                .map_err(|_| error("the hash has neither 32 nor 64 hexadecimal digits"))?;
        }
        Ok(Self(users))
    }

    /// Notes the hashes of the names of a realm's users, as [`Users::hide`] does.
    #[must_use]
    pub fn hide(self, realm: &str) -> Self {
        Self(self.0.hide(realm))
    }

    /// How many users there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl CredentialStore for Htdigest {
    fn lookup(&self, user: &str, realm: &str) -> Option<Secret> {
        self.0.lookup(user, realm)
    }

    fn reveal(&self, hash: &str, realm: &str, algorithm: Algorithm) -> Option<String> {
        self.0.reveal(hash, realm, algorithm)
    }
}

impl fmt::Debug for Htdigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Htdigest")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_several_algorithms_stand_together() {
        let (md5, sha) = ("0".repeat(32), "A".repeat(64));
        let text = format!("# staff\r\nalice:a:b:{md5}\r\n\nalice:a:b:{sha}\nbob:a:{md5}\n");
        let users = Htdigest::parse(&text).expect("can be read");
        assert_eq!(users.len(), 2);
        let alice = users.lookup("alice", "a:b").expect("is there");
        assert!(alice.has(Algorithm::Md5) && alice.has(Algorithm::Sha256Session));
        assert!(!alice.has(Algorithm::Sha512_256));
        assert!(
            !users
                .lookup("bob", "a")
                .expect("is there")
                .has(Algorithm::Sha256)
        );
        assert!(users.lookup("bob", "a:b").is_none());
    }

    #[test]
    fn a_bad_line_is_named_and_its_text_is_not() {
        for bad in ["alice", "alice:r", ":r:00", "alice:r:00", "alice:r:zz"] {
            let error = Htdigest::parse(&format!("\n{bad}\n")).expect_err("is bad");
            assert_eq!(error.line, 2);
            assert!(!error.to_string().contains("alice"), "{error}");
        }
    }
}
