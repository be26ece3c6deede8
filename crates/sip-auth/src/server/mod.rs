//! The side that asks who it is.

mod challenges;
mod confirmation;
pub(crate) mod given;
mod outcome;
mod policy;
mod question;
#[cfg(test)]
mod tests;

pub use confirmation::Confirmation;
pub use given::Malformed;
pub use outcome::{Outcome, Role, ServerStats, Verdict};
pub use policy::Digest;
pub use question::Question;

use crate::{
    Algorithm, CredentialStore, Qop, Secret,
    back_off::Failures,
    digest::{self, Hex},
    nonce::{NonceId, Nonces},
    replay::Replay,
};
use given::Given;
use question::Said;
use sip_io::{Rng, WallClock};
use sip_message::{
    Request, Response, StatusCode, ViewField,
    headers::{AuthView, Authorization, ProxyAuthorization, RetryAfter, Via},
};
use std::{
    fmt,
    hint::black_box,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

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
    failures: Option<Failures>,
    clock: WallClock,
    realm: Arc<str>,
    kept: Kept,
    stats: ServerStats,
}

/// What the users' secrets have been so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Unknown,
    /// Hashes only: nothing needs to be hashed for the key
    Hashes,
    /// Passwords, at least some
    Passwords,
}

impl Server {
    /// How many lines of credentials are looked at.
    pub(crate) const MOST_CREDENTIALS: usize = 16;

    /// A server for one realm. The seed makes the key of its nonces.
    pub fn new(policy: Digest, seed: [u8; 32], clock: WallClock) -> Self {
        let mut rng = Rng::new(seed);
        let mut key = [0; 16];
        rng.fill(&mut key);
        Self {
            nonces: Nonces::new(
                key,
                rng.next_u32(),
                &policy.realm,
                policy.shard,
                policy.nonce_lifetime,
            ),
            replay: Replay::new(policy.replay_entries),
            failures: policy
                .back_off
                .map(|policy| Failures::new(policy, [(); 4].map(|()| rng.next_u64()))),
            realm: policy.realm.as_str().into(),
            kept: Kept::Unknown,
            policy,
            clock,
            stats: ServerStats::default(),
        }
    }

    /// Reads the credentials of a request and sees whether a secret is needed to go on.
    ///
    /// Credentials of other realms and schemes are skipped. ACK and CANCEL must not be challenged, so their callers do
    /// not ask.
    pub fn verify(&mut self, now: Instant, request: &Request, role: Role) -> Verdict {
        let asked = Asked {
            request,
            role,
            now,
            seconds: self.clock.unix_seconds(now),
            source: self.needs_source().then(|| source(request)).flatten(),
        };
        let verdict = match role {
            Role::Server => self.look::<Authorization>(&asked),
            Role::Proxy => self.look::<ProxyAuthorization>(&asked),
        };
        match verdict {
            Verdict::Question(question) => self.admit(question),
            Verdict::Settled(outcome) => {
                self.count(&outcome);
                Verdict::Settled(outcome)
            }
        }
    }

    /// The first credentials that need a secret; else what is to be said of the first that are for us.
    fn look<H>(&self, asked: &Asked<'_>) -> Verdict
    where
        H: for<'a> ViewField<View<'a> = AuthView<'a>>,
    {
        let headers = asked.request.headers();
        let mut settled = None;
        let mut unreadable = None;
        for (place, view) in headers
            .views::<H>()
            .take(Self::MOST_CREDENTIALS)
            .enumerate()
        {
            let verdict = match view {
                Ok(view) if view.is_scheme("Digest") => self.examine(&Given::read(&view), asked),
                Ok(_) => None,
                Err(error) => Some(Verdict::Settled(Outcome::Malformed(error.into()))),
            };
            match verdict {
                Some(Verdict::Settled(Outcome::Malformed(Malformed::Unreadable(error)))) => {
                    // Read as a whole, the field says where in the message it went wrong.
                    let error = headers
                        .all::<H>()
                        .nth(place)
                        .and_then(Result::err)
                        .unwrap_or(error);
                    unreadable.get_or_insert(Malformed::Unreadable(error));
                }
                Some(Verdict::Settled(outcome)) => {
                    settled.get_or_insert(outcome);
                }
                Some(question) => return question,
                None => {}
            }
        }
        Verdict::Settled(match (settled, unreadable) {
            (Some(outcome), _) => outcome,
            (None, Some(error)) => Outcome::Malformed(error),
            (None, None) => Outcome::Missing,
        })
    }

    /// Goes on with the secret of [`Question::user`]; `None` if there is no such user, which costs as much work.
    pub fn decide(&mut self, question: Question, secret: Option<&Secret>) -> Outcome {
        let mut question = question;
        self.judge(&mut question, secret).0
    }

    /// As [`Self::decide`], and gives those who are let in a proof and, if theirs is half over or good for one request
    /// only, the next nonce: for servers that write Authentication-Info.
    pub fn confirm(
        &mut self,
        mut question: Question,
        secret: Option<&Secret>,
    ) -> (Outcome, Option<Confirmation>) {
        let (outcome, key) = self.judge(&mut question, secret);
        let confirmation = key.map(|key| {
            let seconds = self.clock.unix_seconds(question.now);
            let source = question.source.filter(|_| self.policy.bind_source);
            let age = seconds.saturating_sub(question.id.seconds());
            let is_due = self.policy.one_time || 2 * age >= self.policy.nonce_lifetime.as_secs();
            Confirmation {
                role: question.role,
                algorithm: question.algorithm,
                key,
                said: question.said,
                next: is_due.then(|| self.nonces.mint(seconds, source)),
            }
        });
        (outcome, confirmation)
    }

    /// The outcome, and H(A1) if it is that somebody is let in.
    fn judge(
        &mut self,
        question: &mut Question,
        secret: Option<&Secret>,
    ) -> (Outcome, Option<Hex>) {
        let (key, is_known) = self.key(question, secret);
        let said = &question.said;
        let proof = digest::proof(
            question.algorithm,
            &key,
            said.nonce(),
            said.protection(),
            said.cnonce(),
            &question.covered,
        );
        let is_right = proof.matches(&question.response) & is_known;
        let is_new = is_right && self.take(question.id, question.count);
        if let Some(failures) = &mut self.failures {
            if is_right {
                failures.succeeded(&question.user, question.source);
            } else {
                failures.failed(question.now, &question.user, question.source);
            }
        }
        let user = std::mem::take(&mut question.user);
        let outcome = match (is_right, is_new) {
            (true, true) => Outcome::Granted { user },
            (true, false) => Outcome::Stale,
            (false, _) => Outcome::Refused { user },
        };
        self.count(&outcome);
        (outcome, is_new.then_some(key))
    }

    /// H(A1), and whether it is somebody's. The time that it takes does not tell whether the user exists: where
    /// passwords are kept everybody costs one hash, where hashes are kept nobody does.
    fn key(&mut self, question: &Question, secret: Option<&Secret>) -> (Hex, bool) {
        let (algorithm, user, realm) = (question.algorithm, &*question.user, &*question.realm);
        let secret = secret.filter(|_| !question.is_hidden);
        let is_password = secret.map(Secret::is_password);
        let hashes = self.kept != Kept::Hashes;
        self.kept = match (self.kept, is_password) {
            (_, Some(true)) => Kept::Passwords,
            (Kept::Unknown, Some(false)) => Kept::Hashes,
            (kept, _) => kept,
        };
        let decoy = (hashes && is_password != Some(true))
            .then(|| black_box(digest::key(algorithm, user, realm, b"")));
        match secret.and_then(|secret| secret.key(algorithm, user, realm)) {
            Some(key) => (key, true),
            None => (decoy.unwrap_or_else(|| Hex::of(&[0; 32])), false),
        }
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
            Verdict::Question(mut question) => {
                let secret = question.ask(store);
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
            Outcome::Blocked { wait, .. } => {
                let mut response = request
                    .response(StatusCode::FORBIDDEN)
                    .reason("Forbidden (too many failures)")
                    .build();
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                let retry = RetryAfter::new(Duration::from_secs(seconds));
                response.headers_mut().set(retry);
                return Some(response);
            }
            Outcome::Refused { .. } | Outcome::Missing => false,
            Outcome::Stale => true,
        };
        let source = self.policy.bind_source.then(|| source(request)).flatten();
        Some(match role {
            Role::Server => self
                .challenge_to(now, stale, source)
                .into_iter()
                .fold(
                    request.response(StatusCode::UNAUTHORIZED),
                    sip_message::ResponseBuilder::header,
                )
                .build(),
            Role::Proxy => self
                .proxy_challenge_to(now, stale, source)
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
            failure_entries: self.failures.as_ref().map_or(0, Failures::len),
            ..self.stats
        }
    }

    /// How often this user failed from this source, and how often the source did with whatever user.
    ///
    /// Zero without [`Digest::back_off`].
    pub fn failures(&self, user: &str, source: Option<IpAddr>) -> (u32, u32) {
        self.failures
            .as_ref()
            .map_or((0, 0), |failures| failures.count(user, source))
    }

    /// Lets those wait who have failed too often.
    fn admit(&mut self, question: Question) -> Verdict {
        let wait = self
            .failures
            .as_ref()
            .and_then(|failures| failures.wait(question.now, &question.user, question.source));
        let Some(wait) = wait else {
            return Verdict::Question(question);
        };
        let outcome = Outcome::Blocked {
            user: question.user,
            wait,
        };
        self.count(&outcome);
        Verdict::Settled(outcome)
    }

    const fn needs_source(&self) -> bool {
        self.policy.bind_source || self.failures.is_some()
    }

    /// `None` for credentials of another realm.
    fn examine(&self, given: &Given<'_>, asked: &Asked<'_>) -> Option<Verdict> {
        if !given.may_be_for(&self.realm) {
            return None;
        }
        Some(match self.question(given, asked) {
            Ok(question) => Verdict::Question(question),
            Err(outcome) => Verdict::Settled(outcome),
        })
    }

    fn question(&self, given: &Given<'_>, asked: &Asked<'_>) -> Result<Question, Outcome> {
        let parts = given.parts().map_err(Outcome::Malformed)?;
        let algorithm = match &given.algorithm {
            None => Some(Algorithm::Md5),
            Some(token) => str::from_utf8(token).ok().and_then(Algorithm::from_token),
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
        let qop = parts.protection.map(|(qop, ..)| qop);
        // Weaker protection than was asked for is not taken either.
        if qop != Some(Qop::AuthInt) && self.policy.protections == [Qop::AuthInt] {
            return Err(Outcome::Missing);
        }
        // Without a count, or where it must not be counted on, a nonce is used up at once.
        let count = parts
            .protection
            .filter(|_| !self.policy.one_time)
            .map_or(u32::MAX, |(_, count, _)| count);
        let source = asked.source.filter(|_| self.policy.bind_source);
        let id = self
            .nonces
            .check(parts.nonce, asked.seconds, source)
            .filter(|id| self.replay.is_new(*id, count))
            .ok_or(Outcome::Stale)?;
        Ok(Question {
            role: asked.role,
            now: asked.now,
            source: asked.source,
            is_hidden: parts.is_hidden,
            user: parts.user.into_owned(),
            realm: self.realm.clone(),
            algorithm,
            response,
            covered: digest::covered(
                algorithm,
                asked.request.method().as_str(),
                parts.uri,
                qop,
                asked.request.body(),
            ),
            id,
            count,
            said: Said::new(
                qop,
                parts.nonce,
                parts.protection.map_or(b"", |(.., written)| written),
                given.cnonce.as_deref().unwrap_or_default(),
                parts.uri,
            ),
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
            Outcome::Blocked { .. } => self.stats.blocked += 1,
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

/// A request that is looked at.
struct Asked<'a> {
    request: &'a Request,
    role: Role,
    now: Instant,
    seconds: u64,
    source: Option<IpAddr>,
}

/// Where a request came from, as the transport has written it into the top Via (RFC 3261 §18.2.1).
fn source(request: &Request) -> Option<IpAddr> {
    let via = request.headers().get::<Via>()?.ok()?;
    via.received()
        .or_else(|| via.host_str().trim_matches(['[', ']']).parse().ok())
        .map(|address| address.to_canonical())
}
