//! What a realm asks for.

use crate::{Algorithm, BackOff, Qop};
use std::time::Duration;

/// What a realm asks for.
///
/// ```
/// use sip_auth::{Algorithm, Digest};
///
/// // Many phones fail when SHA-256 is offered beside MD5.
/// let for_old_phones = Digest::realm("example.com").algorithms([Algorithm::Md5]);
/// ```
#[derive(Clone, Debug)]
pub struct Digest {
    pub(super) realm: String,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) protections: Vec<Qop>,
    pub(super) nonce_lifetime: Duration,
    pub(super) replay_entries: usize,
    pub(super) forbid_refused: bool,
    pub(super) one_time: bool,
    pub(super) bind_source: bool,
    pub(super) hash_users: bool,
    pub(super) utf8: bool,
    pub(super) shard: u32,
    pub(super) opaque: Option<String>,
    pub(super) back_off: Option<BackOff>,
}

impl Digest {
    /// The policy of the realm with this name, which users see. Control characters are left out.
    pub fn realm(realm: impl Into<String>) -> Self {
        Self {
            realm: printable(realm.into()),
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            protections: vec![Qop::Auth],
            nonce_lifetime: Duration::from_secs(300),
            replay_entries: 65_536,
            forbid_refused: false,
            one_time: false,
            bind_source: false,
            hash_users: false,
            utf8: false,
            shard: 0,
            opaque: None,
            back_off: None,
        }
    }

    /// What is offered, the favourite first, and all that is taken.
    ///
    /// Defaults to SHA-256, then MD5, as RFC 8760 §2.3 has it. Some phones fail when SHA-256 is offered at all.
    #[must_use]
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = distinct(algorithms);
        self
    }

    /// The protections that are offered, the favourite first.
    ///
    /// Defaults to `auth`. `auth-int` is taken in any case, since it protects more; `auth`, and credentials without
    /// `qop`, are taken only where `auth` is offered. Proxies on the way that change bodies break `auth-int`.
    #[must_use]
    pub fn protections(mut self, protections: impl IntoIterator<Item = Qop>) -> Self {
        self.protections = distinct(protections);
        self
    }

    /// How long a nonce is good, in whole seconds. Defaults to 300 s; then a challenge with `stale=true` follows.
    #[must_use]
    pub fn nonce_lifetime(mut self, nonce_lifetime: Duration) -> Self {
        self.nonce_lifetime = nonce_lifetime;
        self
    }

    /// How many used nonces are remembered, at some 40 bytes each.
    ///
    /// Defaults to 65,536. When one more is used, the oldest ends before its time, and who still uses it is challenged
    /// with `stale=true`. With 0 no credentials are ever taken.
    #[must_use]
    pub fn replay_entries(mut self, replay_entries: usize) -> Self {
        self.replay_entries = replay_entries;
        self
    }

    /// Whether wrong credentials get 403 instead of a new challenge. Defaults to no, because RFC 3261 §22.1 lets a user
    /// try again.
    #[must_use]
    pub fn forbid_refused(mut self, forbid_refused: bool) -> Self {
        self.forbid_refused = forbid_refused;
        self
    }

    /// Whether a nonce is good for one request only (RFC 7616 §3.3). Defaults to no, because each request then costs a
    /// round trip, unless [`Confirmation`](crate::Confirmation) hands out the next nonce.
    #[must_use]
    pub fn one_time(mut self, one_time: bool) -> Self {
        self.one_time = one_time;
        self
    }

    /// Whether a nonce is good only for the address that it was given to. Defaults to no, because phones that roam or
    /// sit behind several addresses would be challenged once more.
    ///
    /// The address is the `received` parameter of the top Via, or else its host, as the transport has stamped it.
    #[must_use]
    pub fn bind_source(mut self, bind_source: bool) -> Self {
        self.bind_source = bind_source;
        self
    }

    /// Whether clients may hide the user name in a hash (RFC 7616 §3.4.4). Defaults to no, because the store has to
    /// find names by their hashes: see [`CredentialStore::reveal`](crate::CredentialStore::reveal).
    #[must_use]
    pub fn hash_users(mut self, hash_users: bool) -> Self {
        self.hash_users = hash_users;
        self
    }

    /// Whether challenges say `charset=UTF-8` (RFC 7616 §3.3). Defaults to no, because SIP is UTF-8 anyway.
    #[must_use]
    pub fn utf8(mut self, utf8: bool) -> Self {
        self.utf8 = utf8;
        self
    }

    /// Which of several servers with one seed this is. Defaults to 0.
    ///
    /// Used counts are known to one server only, so each takes none but its own nonces.
    #[must_use]
    pub fn shard(mut self, shard: u32) -> Self {
        self.shard = shard;
        self
    }

    /// The `opaque` parameter, which clients send back. Defaults to none, because nonces say all there is to know.
    /// Control characters are left out.
    #[must_use]
    pub fn opaque(mut self, opaque: impl Into<String>) -> Self {
        self.opaque = Some(printable(opaque.into()));
        self
    }

    /// Makes users and sources wait after failures. Defaults to no waiting, because a caller may have means of its own.
    #[must_use]
    pub fn back_off(mut self, back_off: BackOff) -> Self {
        self.back_off = Some(back_off);
        self
    }
}

fn printable(mut text: String) -> String {
    text.retain(|character| !character.is_control());
    text
}

fn distinct<T: PartialEq>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut list = Vec::new();
    for value in values {
        if !list.contains(&value) {
            list.push(value);
        }
    }
    list
}
