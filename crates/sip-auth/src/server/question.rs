//! Credentials between the two steps of checking them.

use crate::{
    Algorithm, CredentialStore, Qop, Role, Secret,
    digest::{self, Hex},
    nonce::NonceId,
};
use std::{fmt, net::IpAddr, sync::Arc, time::Instant};

/// Credentials that wait for the user's secret.
pub struct Question {
    pub(super) role: Role,
    pub(super) now: Instant,
    pub(super) source: Option<IpAddr>,
    pub(super) user: String,
    /// Whether `user` is still a hash
    pub(super) is_hidden: bool,
    pub(super) realm: Arc<str>,
    pub(super) algorithm: Algorithm,
    pub(super) response: Hex,
    pub(super) covered: Hex,
    pub(super) id: NonceId,
    pub(super) count: u32,
    pub(super) said: Said,
}

/// What goes into the response beside the secret, in one piece.
pub(super) struct Said {
    qop: Option<Qop>,
    /// Nonce, count as written, client nonce, uri
    text: Vec<u8>,
    /// Where the first three end
    ends: [usize; 3],
}

impl Said {
    pub(super) fn new(
        qop: Option<Qop>,
        nonce: &[u8],
        count: &[u8],
        cnonce: &[u8],
        uri: &[u8],
    ) -> Self {
        let count_end = nonce.len() + count.len();
        Self {
            qop,
            text: [nonce, count, cnonce, uri].concat(),
            ends: [nonce.len(), count_end, count_end + cnonce.len()],
        }
    }

    pub(super) fn nonce(&self) -> &[u8] {
        &self.text[..self.ends[0]]
    }

    pub(super) fn cnonce(&self) -> &[u8] {
        &self.text[self.ends[1]..self.ends[2]]
    }

    pub(super) fn uri(&self) -> &[u8] {
        &self.text[self.ends[2]..]
    }

    pub(super) fn protection(&self) -> Option<(Qop, &[u8], &[u8])> {
        let count = &self.text[self.ends[0]..self.ends[1]];
        self.qop.map(|qop| (qop, count, self.cnonce()))
    }
}

impl Question {
    /// The user name, or its hash while that is all that is known.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Whether [`Self::user`] is a hash of user and realm (RFC 7616 §3.4.4), for [`Self::reveal`].
    pub const fn is_hidden(&self) -> bool {
        self.is_hidden
    }

    /// Says whose hash [`Self::user`] is; false if it is not this user's. Users who stay hidden are refused.
    pub fn reveal(&mut self, user: &str) -> bool {
        let is_theirs = self.is_hidden
            && digest::user_hash(self.algorithm, user, &self.realm).as_str() == self.user;
        if is_theirs {
            user.clone_into(&mut self.user);
            self.is_hidden = false;
        }
        is_theirs
    }

    /// Asks a store, for the name too if it is hidden.
    pub fn ask<S: CredentialStore + ?Sized>(&mut self, store: &S) -> Option<Secret> {
        if self.is_hidden {
            let user = store.reveal(&self.user, &self.realm, self.algorithm)?;
            if !self.reveal(&user) {
                return None;
            }
        }
        store.lookup(&self.user, &self.realm)
    }

    /// The realm.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The algorithm, for stores of hashes.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question")
            .field("user", &self.user)
            .field("realm", &self.realm)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}
