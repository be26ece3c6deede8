//! The side that asks who it is.

mod given;
#[cfg(test)]
mod tests;

pub use given::Malformed;

use crate::{
    Algorithm, CredentialStore, Qop, Secret,
    digest::{self, Hex},
    nonce::{NonceId, Nonces},
    replay::Replay,
};
use given::Given;
use sip_io::{Rng, WallClock};
use sip_message::{
    ParseError, Request, Response, StatusCode,
    headers::{Authorization, ProxyAuthenticate, ProxyAuthorization, WwwAuthenticate},
};
use std::{
    borrow::Cow,
    fmt,
    time::{Duration, Instant},
};

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
    realm: String,
    algorithms: Vec<Algorithm>,
    nonce_lifetime: Duration,
    replay_entries: usize,
    forbid_refused: bool,
}

impl Digest {
    /// The policy of the realm with this name, which users see. Control characters are left out.
    pub fn realm(realm: impl Into<String>) -> Self {
        let mut realm = realm.into();
        realm.retain(|character| !character.is_control());
        Self {
            realm,
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            nonce_lifetime: Duration::from_secs(300),
            replay_entries: 65_536,
            forbid_refused: false,
        }
    }

    /// What is offered, the favourite first, and all that is taken.
    ///
    /// Defaults to SHA-256, then MD5, as RFC 8760 §2.3 has it. Some phones fail when SHA-256 is offered at all.
    #[must_use]
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms.clear();
        for algorithm in algorithms {
            if !self.algorithms.contains(&algorithm) {
                self.algorithms.push(algorithm);
            }
        }
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
}

/// As what a server asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// As user agent server or registrar: 401, WWW-Authenticate, Authorization
    Server,
    /// As proxy: 407, Proxy-Authenticate, Proxy-Authorization
    Proxy,
}

/// Makes challenges for one realm and checks the answers.
///
/// Nonces are kept in no table: each one proves by a keyed hash that it is ours, and says how old it is. What is kept is
/// which counts were used with valid credentials, so that nobody who does not know a password makes the server grow.
///
/// A nonce that is not ours, has ended, or was used with the same count before leads to [`Outcome::Stale`] whatever
/// the password: the client tries the same password again without asking the user, also after a restart of the server.
/// Credentials without `qop` (RFC 2069) use a nonce up at once, since they have no count.
///
/// The `uri` parameter is covered by the response, but need not be the Request-URI: proxies on the way may have changed
/// that (RFC 3261 §22.4), and not all clients write it there.
///
/// ```
/// use sip_auth::{Digest, Outcome, Role, Secret, Server, Verdict};
/// # use sip_io::WallClock;
/// # use sip_message::Request;
/// # use std::time::{Instant, SystemTime};
/// # fn check(request: &Request, now: Instant) {
/// # let clock = WallClock { at: now, is: SystemTime::UNIX_EPOCH };
/// let mut server = Server::new(Digest::realm("example.com"), [7; 32], clock);
/// match server.verify(now, request, Role::Proxy) {
///     // Ask a database for question.user(), keep the question, and when the answer is there:
///     Verdict::Question(question) => {
///         let outcome = server.decide(question, Some(&Secret::password("from the database")));
///         if let Outcome::Granted { user } = outcome { /* … */ }
///     }
///     Verdict::Settled(outcome) => {
///         let response = server.answer(now, request, Role::Proxy, &outcome);
///     }
/// }
/// # }
/// ```
pub struct Server {
    policy: Digest,
    nonces: Nonces,
    replay: Replay,
    clock: WallClock,
    stats: ServerStats,
}

/// What checking a request leads to.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // it lives for a moment
pub enum Verdict {
    /// Someone has to find the user's secret, for [`Server::decide`].
    Question(Question),
    /// No secret is needed to answer.
    Settled(Outcome),
}

/// Who a request comes from, or why that is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The user knows the password.
    Granted {
        /// The user name as in the credentials
        user: String,
    },
    /// There is no such user, or the password is wrong.
    Refused {
        /// The user name as in the credentials
        user: String,
    },
    /// There are no credentials for this realm, or none that were asked for.
    Missing,
    /// The nonce has ended, is not ours or was used before.
    Stale,
    /// There are credentials for this realm that cannot be read.
    Malformed(Malformed),
}

/// Credentials that wait for the user's secret.
pub struct Question {
    user: String,
    realm: String,
    algorithm: Algorithm,
    response: Hex,
    covered: Hex,
    nonce: String,
    id: NonceId,
    count: u32,
    /// The protection with the count as written
    protection: Option<(Qop, String)>,
    cnonce: String,
}

impl Question {
    /// The user name.
    pub fn user(&self) -> &str {
        &self.user
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

/// What a server has done, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// Challenges made
    pub challenges: u64,
    /// Requests with valid credentials
    pub granted: u64,
    /// Requests with a wrong password or an unknown user
    pub refused: u64,
    /// Requests with a nonce that had ended, was not ours or was used before
    pub stale: u64,
    /// Requests with credentials that cannot be read
    pub malformed: u64,
    /// Nonces that ended before their time, because the table was full
    pub evicted: u64,
    /// Used nonces remembered now
    pub replay_entries: usize,
}

impl Server {
    /// A server for one realm. The seed makes the key of its nonces.
    pub fn new(policy: Digest, seed: [u8; 32], clock: WallClock) -> Self {
        let mut rng = Rng::new(seed);
        Self {
            nonces: Nonces::new(
                rng.seed(),
                rng.next_u32(),
                &policy.realm,
                policy.nonce_lifetime,
            ),
            replay: Replay::new(policy.replay_entries),
            policy,
            clock,
            stats: ServerStats::default(),
        }
    }

    /// Challenges for a 401 response, one for each algorithm offered.
    pub fn challenge(&mut self, now: Instant, stale: bool) -> Vec<WwwAuthenticate> {
        self.challenges(now, stale, |params| WwwAuthenticate::new("Digest", params))
    }

    /// Challenges for a 407 response, one for each algorithm offered.
    pub fn proxy_challenge(&mut self, now: Instant, stale: bool) -> Vec<ProxyAuthenticate> {
        self.challenges(now, stale, |params| {
            ProxyAuthenticate::new("Digest", params)
        })
    }

    /// Reads the credentials of a request and sees whether a secret is needed to go on.
    ///
    /// Credentials of other realms and schemes are skipped. ACK and CANCEL must not be challenged, so their callers do
    /// not ask.
    pub fn verify(&mut self, now: Instant, request: &Request, role: Role) -> Verdict {
        let seconds = self.clock.unix_seconds(now);
        let mut settled = None;
        let mut unreadable = None;
        let headers = request.headers();
        // A macro instead of a function: the two fields are types without a common trait.
        macro_rules! read_all {
            ($field:ty) => {
                for field in headers.all::<$field>().take(MOST_CREDENTIALS) {
                    let verdict = match &field {
                        Ok(field) if field.is_scheme("Digest") => {
                            self.examine(&Given::collect(field.params()), request, seconds)
                        }
                        Ok(_) => None,
                        Err(error) => {
                            unreadable.get_or_insert_with(|| Malformed::from(error.clone()));
                            None
                        }
                    };
                    match verdict {
                        Some(Verdict::Question(question)) => return Verdict::Question(question),
                        Some(Verdict::Settled(outcome)) => {
                            settled.get_or_insert(outcome);
                        }
                        None => {}
                    }
                }
            };
        }
        match role {
            Role::Server => read_all!(Authorization),
            Role::Proxy => read_all!(ProxyAuthorization),
        }
        let outcome = match (settled, unreadable) {
            (Some(outcome), _) => outcome,
            (None, Some(error)) => Outcome::Malformed(error),
            (None, None) => Outcome::Missing,
        };
        self.count(&outcome);
        Verdict::Settled(outcome)
    }

    /// Goes on with the secret of [`Question::user`]; `None` if there is no such user, which costs as much work.
    pub fn decide(&mut self, question: Question, secret: Option<&Secret>) -> Outcome {
        let Question {
            algorithm,
            user,
            realm,
            ..
        } = &question;
        // One hash for the key in every case, so that the time does not tell whether the user exists.
        let decoy = || std::hint::black_box(digest::key(*algorithm, user, realm, ""));
        let (key, is_known) = match secret {
            Some(secret) if secret.is_password() => match secret.key(*algorithm, user, realm) {
                Some(key) => (key, true),
                None => (decoy(), false),
            },
            secret => {
                let decoy = decoy();
                match secret.and_then(|secret| secret.key(*algorithm, user, realm)) {
                    Some(key) => (key, true),
                    None => (decoy, false),
                }
            }
        };
        let protection = question
            .protection
            .as_ref()
            .map(|(qop, count)| (*qop, count.as_str(), question.cnonce.as_str()));
        let proof = digest::proof(
            *algorithm,
            &key,
            &question.nonce,
            protection,
            &question.cnonce,
            &question.covered,
        );
        let user = question.user;
        let outcome = if !(proof.matches(&question.response) & is_known) {
            Outcome::Refused { user }
        } else if self.take(question.id, question.count) {
            Outcome::Granted { user }
        } else {
            Outcome::Stale
        };
        self.count(&outcome);
        outcome
    }

    /// Both steps in one, for a store that answers at once.
    pub fn authenticate<S: CredentialStore + ?Sized>(
        &mut self,
        now: Instant,
        request: &Request,
        role: Role,
        store: &S,
    ) -> Outcome {
        match self.verify(now, request, role) {
            Verdict::Settled(outcome) => outcome,
            Verdict::Question(question) => {
                let secret = store.lookup(question.user(), question.realm());
                self.decide(question, secret.as_ref())
            }
        }
    }

    /// The response to a request that does not pass: 401 or 407 with challenges, 400, or 403 if the policy says so.
    ///
    /// `None` when the request was granted.
    pub fn answer(
        &mut self,
        now: Instant,
        request: &Request,
        role: Role,
        outcome: &Outcome,
    ) -> Option<Response> {
        let stale = match outcome {
            Outcome::Granted { .. } => return None,
            Outcome::Malformed(error) => {
                let response = request.response(StatusCode::BAD_REQUEST);
                return Some(response.reason(&error.reason(role)).build());
            }
            Outcome::Refused { .. } if self.policy.forbid_refused => {
                return Some(request.response(StatusCode::FORBIDDEN).build());
            }
            Outcome::Refused { .. } | Outcome::Missing => false,
            Outcome::Stale => true,
        };
        Some(match role {
            Role::Server => self
                .challenge(now, stale)
                .into_iter()
                .fold(
                    request.response(StatusCode::UNAUTHORIZED),
                    sip_message::ResponseBuilder::header,
                )
                .build(),
            Role::Proxy => self
                .proxy_challenge(now, stale)
                .into_iter()
                .fold(
                    request.response(StatusCode::PROXY_AUTHENTICATION_REQUIRED),
                    sip_message::ResponseBuilder::header,
                )
                .build(),
        })
    }

    /// The realm.
    pub fn realm(&self) -> &str {
        &self.policy.realm
    }

    /// What was done and what is held.
    pub fn stats(&self) -> ServerStats {
        ServerStats {
            evicted: self.replay.evictions(),
            replay_entries: self.replay.len(),
            ..self.stats
        }
    }

    fn challenges<F>(
        &mut self,
        now: Instant,
        stale: bool,
        make: impl Fn(Vec<(&'static str, &str, bool)>) -> Result<F, ParseError>,
    ) -> Vec<F> {
        self.stats.challenges += 1;
        let nonce = self.nonces.mint(self.clock.unix_seconds(now));
        self.policy
            .algorithms
            .iter()
            .map(|algorithm| {
                let mut params = Vec::with_capacity(5);
                params.push(("realm", self.policy.realm.as_str(), true));
                params.push(("nonce", nonce.as_str(), true));
                if stale {
                    params.push(("stale", "true", false));
                }
                params.push(("algorithm", algorithm.as_str(), false));
                params.push(("qop", "auth", true));
                make(params).expect("a realm without control characters can be written")
            })
            .collect()
    }

    /// `None` for credentials of another realm.
    fn examine(&self, given: &Given<'_>, request: &Request, seconds: u64) -> Option<Verdict> {
        if given
            .realm
            .as_ref()
            .is_some_and(|realm| *realm != self.policy.realm)
        {
            return None;
        }
        Some(match self.question(given, request, seconds) {
            Ok(question) => Verdict::Question(question),
            Err(outcome) => Verdict::Settled(outcome),
        })
    }

    fn question(
        &self,
        given: &Given<'_>,
        request: &Request,
        seconds: u64,
    ) -> Result<Question, Outcome> {
        let parts = given.parts().map_err(Outcome::Malformed)?;
        let algorithm = match &given.algorithm {
            None => Some(Algorithm::Md5),
            Some(token) => Algorithm::from_token(token),
        };
        // What was not offered is not taken: nobody on the way can talk us down to a weaker algorithm.
        let algorithm = algorithm
            .filter(|algorithm| self.policy.algorithms.contains(algorithm))
            .ok_or(Outcome::Missing)?;
        let response = Hex::parse(parts.response, algorithm.hex_length())
            .ok_or(Outcome::Malformed(Malformed::Invalid("response")))?;
        if algorithm.is_session() && given.cnonce.is_none() {
            return Err(Outcome::Malformed(Malformed::Missing("cnonce")));
        }
        // Without a count a nonce is used up at once.
        let count = parts.protection.map_or(u32::MAX, |(_, count, _)| count);
        let id = self
            .nonces
            .check(parts.nonce, seconds)
            .filter(|id| self.replay.is_new(*id, count))
            .ok_or(Outcome::Stale)?;
        let qop = parts.protection.map(|(qop, ..)| qop);
        Ok(Question {
            user: parts.user.to_owned(),
            realm: self.policy.realm.clone(),
            algorithm,
            response,
            covered: digest::covered(
                algorithm,
                request.method().as_str(),
                parts.uri,
                qop,
                request.body(),
            ),
            nonce: parts.nonce.to_owned(),
            id,
            count,
            protection: parts
                .protection
                .map(|(qop, _, written)| (qop, written.to_owned())),
            cnonce: given
                .cnonce
                .as_ref()
                .map_or_else(String::new, Cow::to_string),
        })
    }

    fn take(&mut self, id: NonceId, count: u32) -> bool {
        let nonces = &self.nonces;
        // Counted from the nonce at hand, the ends of the others need no clock.
        self.replay
            .take(id, count, |old| nonces.is_over(old, id.seconds()))
    }

    const fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Granted { .. } => self.stats.granted += 1,
            Outcome::Refused { .. } => self.stats.refused += 1,
            Outcome::Stale => self.stats.stale += 1,
            Outcome::Malformed(_) => self.stats.malformed += 1,
            Outcome::Missing => {}
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("policy", &self.policy)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// How many lines of credentials are looked at.
const MOST_CREDENTIALS: usize = 16;
