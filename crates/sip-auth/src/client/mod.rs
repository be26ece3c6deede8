//! The side that says who it is.

mod session;
mod shown;
#[cfg(test)]
mod tests;
#[cfg(feature = "aka")]
mod usim;

use crate::{Algorithm, Challenge, Credentials, Qop, Role, digest::Hex};
use session::Session;
use shown::{Group, Shown, challenges, given};
use sip_io::Rng;
use sip_message::{
    HeaderField, HeaderName, Method, ParseError, Request, Response,
    headers::{AuthenticationInfo, Authorization, ProxyAuthenticationInfo},
};
use std::{borrow::Cow, fmt};
use thiserror::Error;

/// Answers challenges, and sends credentials ahead where it was challenged before.
///
/// One client serves one identity: everything it may show is shown to any realm that the credentials fit. It remembers
/// the last nonce of 16 realms and counts its uses, so that requests over the same flow need no further challenge. A
/// proxy's realm gets credentials with every request, a server's with requests to hosts where it asked before.
///
/// ```
/// use sip_auth::{AuthError, Client, Credentials};
/// use sip_message::{Request, Response};
///
/// # fn handle(client: &mut Client, request: &Request, response: &Response) -> Result<(), AuthError> {
/// // Client::new(seed), client.add(Credentials::password("alice", "secret")), then for a 401 or 407:
/// let mut retry = request.clone();
/// client.respond(&mut retry, response)?;
/// // RFC 3261 §22.2: the retry is a new request with CSeq + 1 and a new branch.
/// # Ok(()) }
/// ```
pub struct Client {
    rng: Rng,
    credentials: Vec<Credentials>,
    algorithms: Vec<Algorithm>,
    choice: Choice,
    integrity: bool,
    hash_users: bool,
    refuse_downgrade: bool,
    #[cfg(feature = "aka")]
    usims: Vec<usim::Card>,
    /// What was asked of us, the last one behind
    sessions: Vec<Session>,
}

/// Which of several challenges of one realm is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Choice {
    /// The topmost that we support (RFC 8760 §2.4)
    #[default]
    Topmost,
    /// The one with the strongest algorithm that we support
    Strongest,
}

/// What a response says about the server's knowledge of the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proof {
    /// Nothing
    None,
    /// The server knows it
    Valid,
    /// Someone wanted us to believe that
    Invalid,
}

/// Why a challenge was not answered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The response challenges nobody
    #[error("the response has no challenge")]
    NotChallenged,
    /// There are no credentials for the realm
    #[error("no credentials for realm {realm}")]
    NoCredentials {
        /// Whose users are asked for
        realm: String,
    },
    /// The realm did not take the credentials that the request had
    #[error("realm {realm} refused the credentials")]
    Rejected {
        /// Whose users are asked for
        realm: String,
    },
    /// The realm has asked with a stronger algorithm before
    #[error("realm {realm} asks with a weaker algorithm than before")]
    Downgraded {
        /// Whose users are asked for
        realm: String,
    },
    /// The network of an AKA challenge does not know the user's key
    #[error("the network behind realm {realm} is not the user's")]
    FalseNetwork {
        /// Whose users are asked for
        realm: String,
    },
    /// The scheme, algorithm or protection is none of ours, or not allowed
    #[error("unsupported challenge")]
    Unsupported,
    /// User name, realm or Request-URI cannot be written into a header field
    #[error("credentials cannot be written")]
    Unwritable,
}

impl Client {
    /// A client without credentials. The seed makes its nonces.
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            rng: Rng::new(seed),
            credentials: Vec::new(),
            algorithms: Algorithm::ALL.to_vec(),
            choice: Choice::default(),
            integrity: false,
            hash_users: true,
            refuse_downgrade: false,
            #[cfg(feature = "aka")]
            usims: Vec::new(),
            sessions: Vec::new(),
        }
    }

    /// Adds credentials. Those for the realm that asks are tried before those for any realm, and earlier ones first.
    pub fn add(&mut self, credentials: Credentials) {
        self.credentials.push(credentials);
    }

    /// Restricts the algorithms that are answered. Defaults to all, because most servers know MD5 only.
    pub fn set_algorithms(&mut self, algorithms: impl IntoIterator<Item = Algorithm>) {
        self.algorithms = algorithms.into_iter().collect();
    }

    /// Which of several challenges of one realm is answered. Defaults to the topmost, as RFC 8760 §2.4 has it.
    pub const fn set_choice(&mut self, choice: Choice) {
        self.choice = choice;
    }

    /// Whether `auth-int` is chosen where it is offered beside `auth`. Defaults to no, because proxies on the way may
    /// change bodies.
    pub const fn set_integrity(&mut self, integrity: bool) {
        self.integrity = integrity;
    }

    /// Whether user names are hidden where a server says that it can find them by their hashes (RFC 7616 §3.4.4).
    /// Defaults to yes.
    pub const fn set_hash_users(&mut self, hash_users: bool) {
        self.hash_users = hash_users;
    }

    /// Whether a realm that has asked with a stronger algorithm before gets no answer with a weaker one. Defaults to
    /// no, because several servers may stand for one realm.
    ///
    /// To refuse weak algorithms in any case, see [`Self::set_algorithms`].
    pub const fn set_refuse_downgrade(&mut self, refuse_downgrade: bool) {
        self.refuse_downgrade = refuse_downgrade;
    }

    /// Gives a request that was challenged by `response` the credentials that were asked for.
    ///
    /// Of several challenges of one realm the topmost that can be answered is (RFC 8760 §2.4). Credentials that the
    /// request had for other realms are renewed. A realm that refuses credentials is shown the next ones that fit and
    /// no others; with `stale=true` the same ones again.
    ///
    /// # Errors
    ///
    /// When no challenge could be answered; the request is as it was.
    pub fn respond(&mut self, request: &mut Request, response: &Response) -> Result<(), AuthError> {
        let (groups, unsupported) = challenges(response);
        let mut failure = if unsupported {
            AuthError::Unsupported
        } else {
            AuthError::NotChallenged
        };
        let mut answered = Vec::new();
        for group in &groups {
            match self.accept(request, group) {
                Ok(session) => answered.push(session),
                Err(error) => failure = worse(failure, error),
            }
        }
        if answered.is_empty() {
            return Err(failure);
        }
        for session in answered {
            self.remember(session);
        }
        let asked = |session: &Session| {
            groups.iter().any(|group| {
                group.role == session.role && group.realm() == session.challenge.realm()
            }) || given(request, session.role, session.challenge.realm()).is_some()
        };
        let realms: Vec<usize> = (0..self.sessions.len())
            .filter(|&index| asked(&self.sessions[index]))
            .collect();
        self.write(request, &realms)
            .map_err(|_| AuthError::Unwritable)
    }

    /// Gives a request credentials ahead, with the next count of nonces that are known (RFC 7616 §3.6).
    ///
    /// ACK and CANCEL stay as they are: nobody challenges them, and an ACK repeats its INVITE's credentials
    /// ([`repeat_credentials`]).
    pub fn prepare(&mut self, request: &mut Request) {
        if [Method::ACK, Method::CANCEL].contains(request.method()) {
            return;
        }
        self.sessions
            .retain(|session| session.count < u32::MAX && session.auts.is_none());
        let host = request.uri().host_str();
        let realms: Vec<usize> = self
            .sessions
            .iter()
            .enumerate()
            .filter(|(_, session)| session.reaches(host))
            .map(|(index, _)| index)
            .collect();
        if self.write(request, &realms).is_err() {
            tracing::debug!("credentials could not be written ahead");
        }
    }

    /// Learns from the response to a request with credentials: the nonce to use next, and whether the server knows the
    /// password too (RFC 7616 §3.5).
    ///
    /// What comes with a wrong proof is not believed.
    pub fn learn(&mut self, request: &Request, response: &Response) -> Proof {
        let mut proof = Proof::None;
        if !response.status().is_success() {
            return proof;
        }
        let headers = response.headers();
        let server = headers.get::<AuthenticationInfo>().and_then(Result::ok);
        let proxy = headers
            .get::<ProxyAuthenticationInfo>()
            .and_then(Result::ok);
        let server = server.map(|info| {
            ["nextnonce", "rspauth", "qop"].map(|name| info.param(name).map(Cow::into_owned))
        });
        let proxy = proxy.map(|info| {
            ["nextnonce", "rspauth", "qop"].map(|name| info.param(name).map(Cow::into_owned))
        });
        for (role, info) in [(Role::Server, server), (Role::Proxy, proxy)] {
            let mut spoken: Vec<(&mut Session, Shown)> = self
                .sessions
                .iter_mut()
                .filter(|session| session.role == role)
                .filter_map(|session| {
                    let shown = given(request, role, session.challenge.realm())?;
                    Some((session, shown))
                })
                .collect();
            for (session, _) in &mut spoken {
                session.refusals = 0;
            }
            // The field does not name a realm, so it is clear only when one was spoken to.
            let (Some([next, rspauth, qop]), [(session, shown)]) = (info, spoken.as_mut_slice())
            else {
                continue;
            };
            if let Some(rspauth) = rspauth {
                let expected = session.expected_proof(shown, qop.as_deref(), response.body());
                if !expected.is_some_and(|expected| expected.is(&rspauth)) {
                    return Proof::Invalid;
                }
                proof = Proof::Valid;
            }
            if let Some(next) = next.filter(|next| !next.is_empty())
                && next != session.challenge.nonce
            {
                session.challenge.nonce = next;
                session.count = 0;
            }
        }
        proof
    }

    /// Forgets every nonce.
    pub fn forget(&mut self) {
        self.sessions.clear();
    }

    /// Chooses credentials and challenge for one realm.
    fn accept(&mut self, request: &Request, group: &Group) -> Result<Session, AuthError> {
        #[cfg(feature = "aka")]
        if let Some(answer) = self.accept_card(request, group) {
            return answer;
        }
        let realm = group.realm().to_owned();
        let known = self
            .sessions
            .iter()
            .find(|session| session.role == group.role && session.challenge.realm() == realm);
        let shown = given(request, group.role, &realm);
        let mut refusals = 0;
        let mut is_stale = group.challenges.iter().any(Challenge::is_stale);
        if let Some(shown) = &shown
            && is_stale
        {
            // A server that calls fresh nonces stale, or gives the same one again, would be answered for ever.
            let same_nonce = group
                .challenges
                .iter()
                .any(|challenge| challenge.nonce == shown.nonce);
            if let Some(known) = known
                && known.count <= 1
            {
                refusals = known.refusals + 1;
            }
            is_stale = !same_nonce && refusals <= MOST_REFUSALS;
        }
        if self.refuse_downgrade
            && let Some(known) = known
            && self.best(group).is_some_and(|best| {
                best.algorithm().strength() < known.challenge.algorithm().strength()
            })
        {
            return Err(AuthError::Downgraded { realm });
        }
        let own = self.credentials.iter().filter(|own| own.realm().is_some());
        let general = self.credentials.iter().filter(|own| own.realm().is_none());
        let mut fitting = own.chain(general).filter(|own| own.fit(&realm)).peekable();
        if fitting.peek().is_none() {
            return Err(AuthError::NoCredentials { realm });
        }
        if let Some(shown) = &shown {
            let mut rest = fitting
                .skip_while(|own| !shown.is_of(own, &realm))
                .peekable();
            if !is_stale {
                rest.next();
                // One user may be there twice, with secrets of different kinds; it was the same password.
                while rest.next_if(|own| shown.is_of(own, &realm)).is_some() {}
            }
            if rest.peek().is_none() {
                return Err(AuthError::Rejected { realm });
            }
            return self.choose(
                rest.cloned().collect(),
                request,
                group,
                known_hosts(known),
                refusals,
            );
        }
        let fitting = fitting.cloned().collect();
        self.choose(fitting, request, group, known_hosts(known), refusals)
    }

    /// The first credentials that can answer one of the challenges.
    fn choose(
        &mut self,
        fitting: Vec<Credentials>,
        request: &Request,
        group: &Group,
        hosts: Vec<String>,
        refusals: u8,
    ) -> Result<Session, AuthError> {
        for credentials in fitting {
            let Some(challenge) = self.pick(group, |algorithm| credentials.can(algorithm)) else {
                continue;
            };
            let challenge = challenge.clone();
            let mut session = self.open(request, group.role, challenge, credentials);
            session.add_hosts(hosts);
            session.refusals = refusals;
            return Ok(session);
        }
        Err(AuthError::Unsupported)
    }

    /// What of a realm's challenges could be answered best, whoever the user is.
    fn best<'a>(&self, group: &'a Group) -> Option<&'a Challenge> {
        self.pick(group, |_| true)
    }

    fn pick<'a>(&self, group: &'a Group, can: impl Fn(Algorithm) -> bool) -> Option<&'a Challenge> {
        let mut usable = group.challenges.iter().filter(|challenge| {
            let algorithm = challenge.algorithm();
            !challenge.is_aka() && self.algorithms.contains(&algorithm) && can(algorithm)
        });
        match self.choice {
            Choice::Topmost => usable.next(),
            // Of equally strong ones the last is the greatest, but the first was preferred.
            Choice::Strongest => usable
                .rev()
                .max_by_key(|challenge| challenge.algorithm().strength()),
        }
    }

    fn open(
        &mut self,
        request: &Request,
        role: Role,
        challenge: Challenge,
        credentials: Credentials,
    ) -> Session {
        let mut octets = [0; 16];
        self.rng.fill(&mut octets);
        let qop = if self.integrity && challenge.offers(Qop::AuthInt) {
            Some(Qop::AuthInt)
        } else {
            challenge.qop()
        };
        Session {
            role,
            qop,
            hides_user: self.hash_users && challenge.hashes_users,
            auts: None,
            challenge,
            credentials,
            cnonce: Hex::of(&octets),
            count: 0,
            refusals: 0,
            hosts: vec![request.uri().host_str().to_ascii_lowercase()],
        }
    }

    fn remember(&mut self, session: Session) {
        self.sessions.retain(|other| {
            other.role != session.role || other.challenge.realm() != session.challenge.realm()
        });
        if self.sessions.len() >= MOST_SESSIONS {
            self.sessions.remove(0);
        }
        self.sessions.push(session);
    }

    /// Replaces the credentials of these sessions in the request.
    fn write(&mut self, request: &mut Request, sessions: &[usize]) -> Result<(), ParseError> {
        let mut fields: Vec<(Role, String, Authorization)> = Vec::new();
        for &index in sessions {
            let Some(session) = self.sessions.get_mut(index) else {
                continue;
            };
            session.count += 1;
            let field = session.field(request)?;
            fields.push((session.role, session.challenge.realm().to_owned(), field));
        }
        for (role, name) in [
            (Role::Server, HeaderName::AUTHORIZATION),
            (Role::Proxy, HeaderName::PROXY_AUTHORIZATION),
        ] {
            let realms: Vec<&str> = fields
                .iter()
                .filter(|(other, ..)| *other == role)
                .map(|(_, realm, _)| realm.as_str())
                .collect();
            if realms.is_empty() {
                continue;
            }
            let kept: Vec<_> = request
                .headers()
                .raw_all(&name)
                .filter(|value| {
                    Authorization::parse(value)
                        .ok()
                        .and_then(|field| field.param("realm").map(|realm| realm.into_owned()))
                        .is_none_or(|realm| !realms.contains(&realm.as_str()))
                })
                .collect();
            let headers = request.headers_mut();
            headers.remove_name(&name);
            for value in kept {
                headers.push_raw(name.clone(), value);
            }
            for (_, _, field) in fields.iter().filter(|(other, ..)| *other == role) {
                headers.push_raw(name.clone(), field.value());
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("credentials", &self.credentials)
            .field("realms", &self.sessions.len())
            .finish_non_exhaustive()
    }
}

/// Repeats an INVITE's credentials in the ACK to its 2xx (RFC 3261 §13.2.2.4, §22.1).
pub fn repeat_credentials(invite: &Request, ack: &mut Request) {
    for name in [HeaderName::AUTHORIZATION, HeaderName::PROXY_AUTHORIZATION] {
        ack.headers_mut().remove_name(&name);
        ack.headers_mut().copy_from(invite.headers(), &name);
    }
}

fn known_hosts(session: Option<&Session>) -> Vec<String> {
    session.map_or_else(Vec::new, |session| session.hosts.clone())
}

/// A refusal says more than missing credentials, and those more than a challenge that is not understood.
fn worse(one: AuthError, other: AuthError) -> AuthError {
    let rank = |error: &AuthError| match error {
        AuthError::FalseNetwork { .. } | AuthError::Downgraded { .. } => 4,
        AuthError::Rejected { .. } => 3,
        AuthError::NoCredentials { .. } => 2,
        AuthError::Unsupported => 1,
        _ => 0,
    };
    if rank(&other) > rank(&one) {
        other
    } else {
        one
    }
}

const MOST_SESSIONS: usize = 16;
const MOST_REFUSALS: u8 = 3;
