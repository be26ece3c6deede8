//! Where secrets are kept.

use crate::{Algorithm, CredentialsError, Secret, digest};
use sip_message::Uri;
use std::{collections::BTreeMap, fmt};
use thiserror::Error;

/// Finds secrets without waiting.
///
/// A store that has to wait is asked by event and command instead: see [`Server::verify`](crate::Server::verify) and
/// [`Server::decide`](crate::Server::decide).
pub trait CredentialStore {
    /// The secret of `user` in `realm`, or `None` when there is no such user.
    fn lookup(&self, user: &str, realm: &str) -> Option<Secret>;

    /// Whose hash of user and realm this is, in lower-case hexadecimal digits (RFC 7616 §3.4.4).
    ///
    /// Defaults to nobody's: a store that cannot find names by their hashes goes with a
    /// [`Digest`](crate::Digest) that does not ask for them.
    fn reveal(&self, hash: &str, realm: &str, algorithm: Algorithm) -> Option<String> {
        let _ = (hash, realm, algorithm);
        None
    }
}

impl<S: CredentialStore + ?Sized> CredentialStore for &S {
    fn lookup(&self, user: &str, realm: &str) -> Option<Secret> {
        (**self).lookup(user, realm)
    }

    fn reveal(&self, hash: &str, realm: &str, algorithm: Algorithm) -> Option<String> {
        (**self).reveal(hash, realm, algorithm)
    }
}

impl<S: CredentialStore + ?Sized> CredentialStore for Box<S> {
    fn lookup(&self, user: &str, realm: &str) -> Option<Secret> {
        (**self).lookup(user, realm)
    }

    fn reveal(&self, hash: &str, realm: &str, algorithm: Algorithm) -> Option<String> {
        (**self).reveal(hash, realm, algorithm)
    }
}

impl<S: CredentialStore + ?Sized> CredentialStore for std::sync::Arc<S> {
    fn lookup(&self, user: &str, realm: &str) -> Option<Secret> {
        (**self).lookup(user, realm)
    }

    fn reveal(&self, hash: &str, realm: &str, algorithm: Algorithm) -> Option<String> {
        (**self).reveal(hash, realm, algorithm)
    }
}

/// Users in memory.
///
/// ```
/// use sip_auth::{CredentialStore, Users};
///
/// let users = Users::parse("# the staff\nalice:s3cret:with:colons\nbob:hello\n")?.add("carol", "example.com", "x");
/// assert!(users.lookup("alice", "any.example").is_some());
/// assert!(users.lookup("carol", "any.example").is_none());
/// # Ok::<(), sip_auth::UsersError>(())
/// ```
#[derive(Clone, Default)]
pub struct Users {
    everywhere: BTreeMap<String, Secret>,
    by_realm: BTreeMap<String, BTreeMap<String, Secret>>,
    /// User names by their hashes, realm by realm
    hidden: BTreeMap<String, BTreeMap<String, String>>,
}

impl Users {
    /// No users.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one `user:password` a line, for any realm; the password is everything behind the first colon.
    ///
    /// Empty lines and lines that begin with `#` are skipped, and so is white space before a user's name. Of several
    /// lines for one user the last one counts.
    ///
    /// # Errors
    ///
    /// Names the first line that has no colon or no user's name.
    pub fn parse(text: &str) -> Result<Self, UsersError> {
        let mut users = Self::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (user, password) = line.split_once(':').ok_or(UsersError {
                line: number,
                problem: "expected user:password",
            })?;
            if user.is_empty() {
                return Err(UsersError {
                    line: number,
                    problem: "the user has no name",
                });
            }
            users
                .everywhere
                .insert(user.to_owned(), Secret::password(password));
        }
        Ok(users)
    }

    /// Adds a user of one realm with a password.
    #[must_use]
    pub fn add(self, user: &str, realm: &str, password: &str) -> Self {
        self.add_secret(user, realm, Secret::password(password))
    }

    /// Adds a user of one realm with whatever is known of the password.
    #[must_use]
    pub fn add_secret(mut self, user: &str, realm: &str, secret: Secret) -> Self {
        self.by_realm
            .entry(realm.to_owned())
            .or_default()
            .insert(user.to_owned(), secret);
        self
    }

    /// Notes the hashes of the names of a realm's users, so that clients may hide them (RFC 7616 §3.4.4).
    ///
    /// Users who are added later are not among them.
    #[must_use]
    pub fn hide(mut self, realm: &str) -> Self {
        let own = self
            .by_realm
            .get(realm)
            .into_iter()
            .flat_map(BTreeMap::keys);
        let mut hashes = BTreeMap::new();
        for user in own.chain(self.everywhere.keys()) {
            for algorithm in [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512_256] {
                let hash = digest::user_hash(algorithm, user, realm);
                hashes.insert(hash.as_str().to_owned(), user.clone());
            }
        }
        self.hidden.insert(realm.to_owned(), hashes);
        self
    }

    pub(crate) fn merge_ha1(
        &mut self,
        user: &str,
        realm: &str,
        algorithm: Algorithm,
        hex: &str,
    ) -> Result<(), CredentialsError> {
        let users = self.by_realm.entry(realm.to_owned()).or_default();
        let secret = match users.get(user) {
            Some(known) => known.clone().and_ha1(algorithm, hex)?,
            None => Secret::ha1(algorithm, hex)?,
        };
        users.insert(user.to_owned(), secret);
        Ok(())
    }

    /// How many users there are.
    pub fn len(&self) -> usize {
        self.everywhere.len() + self.by_realm.values().map(BTreeMap::len).sum::<usize>()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl CredentialStore for Users {
    fn lookup(&self, user: &str, realm: &str) -> Option<Secret> {
        self.by_realm
            .get(realm)
            .and_then(|users| users.get(user))
            .or_else(|| self.everywhere.get(user))
            .cloned()
    }

    fn reveal(&self, hash: &str, realm: &str, _: Algorithm) -> Option<String> {
        self.hidden.get(realm)?.get(hash).cloned()
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// Whether a URI names the user who authenticated: `alice` or `alice@example.com` for `sip:alice@example.com`.
///
/// RFC 3261 §22.1 leaves the form of user names to the realm; both are in use. Whether the host is one of ours is for
/// the caller to say.
///
/// ```
/// let uri = "sip:alice@Example.com:5070".parse()?;
/// assert!(sip_auth::names(&uri, "alice") && sip_auth::names(&uri, "alice@example.com"));
/// assert!(!sip_auth::names(&uri, "alice@elsewhere.example") && !sip_auth::names(&uri, "Alice"));
/// # Ok::<(), sip_message::ParseError>(())
/// ```
pub fn names(uri: &Uri, user: &str) -> bool {
    let Some(named) = uri.user().filter(|named| !named.is_empty()) else {
        return false;
    };
    match user.strip_prefix(&*named) {
        Some("") => true,
        Some(rest) => rest
            .strip_prefix('@')
            .is_some_and(|host| host.eq_ignore_ascii_case(uri.host_str())),
        None => false,
    }
}

/// A line of a list of users cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {problem}")]
pub struct UsersError {
    /// The number of the line, counted from 1
    pub line: usize,
    pub(crate) problem: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(secret: Option<Secret>, password: &str) -> bool {
        secret
            .and_then(|secret| secret.key(Algorithm::Md5, "u", "r"))
            .is_some_and(|key| {
                key.matches(&digest::key(Algorithm::Md5, "u", "r", password.as_bytes()))
            })
    }

    #[test]
    fn passwords_may_have_colons_and_spaces() {
        let text =
            "\u{feff}# staff\r\n\r\nalice:s3cret:with:colons\r\n  bob: spaced out \ncarol:\n";
        let users = Users::parse(text).expect("can be read");
        assert_eq!(users.len(), 3);
        assert!(is(users.lookup("alice", "r"), "s3cret:with:colons"));
        assert!(is(users.lookup("bob", "r"), " spaced out "));
        assert!(is(users.lookup("carol", "r"), ""));
        assert!(users.lookup("dave", "r").is_none());
    }

    #[test]
    fn a_bad_line_is_named_and_its_text_is_not() {
        let error = Users::parse("alice:a\n# two\nsecretword\n").expect_err("has no colon");
        assert_eq!(error.to_string(), "line 3: expected user:password");
        let error = Users::parse(":password").expect_err("has no user");
        assert_eq!(error.line, 1);
    }

    #[test]
    fn a_realm_has_users_of_its_own() {
        let users =
            Users::parse("alice:one")
                .expect("can be read")
                .add("alice", "b.example", "two");
        assert!(is(users.lookup("alice", "a.example"), "one"));
        assert!(is(users.lookup("alice", "b.example"), "two"));
        assert_eq!(format!("{users:?}"), "Users { len: 2, .. }");
    }
}
