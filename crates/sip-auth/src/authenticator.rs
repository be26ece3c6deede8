//! A server together with its users.

use crate::{Confirmation, CredentialStore, Outcome, Question, Role, Secret, Server, Verdict};
use sip_message::{Request, Response, StatusCode};
use std::{fmt, time::Instant};

/// A [`Server`] in one role, and the store of its users; or none, where secrets are elsewhere and have to be asked for.
///
/// This is how a registrar and a proxy let requests in. Each keeps the counts of what was shown to it by itself: two of
/// them with one seed take each other's nonces, and what was shown to one is good once at the other as well, for the
/// method that it was made for.
///
/// ```
/// use sip_auth::{Admission, Authenticator, Digest, Role, Server, Users};
/// # use sip_io::WallClock;
/// # use sip_message::{Request, Response};
/// # use std::time::{Instant, SystemTime};
/// # fn handle(request: &Request, now: Instant, send: impl Fn(Response)) -> Result<(), Box<dyn std::error::Error>> {
/// # let clock = WallClock { at: now, is: SystemTime::UNIX_EPOCH };
/// let server = Server::new(Digest::realm("example.com"), [7; 32], clock);
/// let mut door = Authenticator::new(server, Role::Server, Users::parse("alice:secret")?);
/// match door.check(now, request) {
///     Admission::Granted(granted) => tracing::info!(granted.user, "may come in"),
///     Admission::Refused(response) => send(*response),
///     Admission::Asks(_) => unreachable!("it has a store"),
/// }
/// # Ok(()) }
/// ```
pub struct Authenticator {
    server: Server,
    role: Role,
    store: Option<Box<dyn CredentialStore + Send>>,
}

/// What is to be done with a request.
#[derive(Debug)]
pub enum Admission {
    /// It may go on.
    Granted(Granted),
    /// It is answered with this: a challenge, 400 or 403.
    Refused(Box<Response>),
    /// It waits for the secret of [`Question::user`], and goes on with [`Authenticator::resume`].
    Asks(Box<Question>),
}

/// A user who was let in.
#[derive(Debug)]
pub struct Granted {
    /// The user name as in the credentials
    pub user: String,
    /// What a user agent server or registrar writes into its 2xx.
    ///
    /// Proxies have none, because SIP knows no field for it: Proxy-Authentication-Info is HTTP's (RFC 7615).
    pub confirmation: Option<Box<Confirmation>>,
}

impl Authenticator {
    /// With a store that answers at once.
    pub fn new(server: Server, role: Role, store: impl CredentialStore + Send + 'static) -> Self {
        Self {
            server,
            role,
            store: Some(Box::new(store)),
        }
    }

    /// With users that are elsewhere: each secret is asked for.
    pub const fn asking(server: Server, role: Role) -> Self {
        Self {
            server,
            role,
            store: None,
        }
    }

    /// Sees whether a request may go on. ACK and CANCEL are never to be asked about.
    pub fn check(&mut self, now: Instant, request: &Request) -> Admission {
        let mut question = match self.server.verify(now, request, self.role) {
            Verdict::Settled(outcome) => return self.settle(now, request, outcome, None).into(),
            Verdict::Question(question) => question,
        };
        let Some(store) = &self.store else {
            return Admission::Asks(Box::new(question));
        };
        let secret = question.ask(store);
        self.decide(now, request, question, secret.as_ref()).into()
    }

    /// Goes on with a request once the secret is found: `None` if there is no such user, an error if that cannot be found
    /// out.
    ///
    /// # Errors
    ///
    /// The response, if the request may not go on. A secret that cannot be found out is a 503 of a registrar, whose
    /// clients then try the next server of the domain (RFC 3263 §4.3), and a 500 of a proxy, because its 503 would stop
    /// all that comes from upstream.
    pub fn resume(
        &mut self,
        now: Instant,
        request: &Request,
        question: Question,
        secret: Result<Option<Secret>, String>,
    ) -> Result<Granted, Box<Response>> {
        match secret {
            Ok(secret) => self.decide(now, request, question, secret.as_ref()),
            Err(error) => {
                tracing::warn!(error, "a secret could not be looked up");
                let status = match self.role {
                    Role::Server => StatusCode::SERVICE_UNAVAILABLE,
                    Role::Proxy => StatusCode::SERVER_INTERNAL_ERROR,
                };
                Err(Box::new(request.response(status).build()))
            }
        }
    }

    /// The server.
    pub const fn server(&self) -> &Server {
        &self.server
    }

    fn decide(
        &mut self,
        now: Instant,
        request: &Request,
        question: Question,
        secret: Option<&Secret>,
    ) -> Result<Granted, Box<Response>> {
        let (outcome, confirmation) = match self.role {
            Role::Server => self.server.confirm(question, secret),
            Role::Proxy => (self.server.decide(question, secret), None),
        };
        self.settle(now, request, outcome, confirmation)
    }

    fn settle(
        &mut self,
        now: Instant,
        request: &Request,
        outcome: Outcome,
        confirmation: Option<Confirmation>,
    ) -> Result<Granted, Box<Response>> {
        let response = self.server.answer(now, request, self.role, &outcome);
        match (outcome, response) {
            (Outcome::Granted { user }, _) => Ok(Granted {
                user,
                confirmation: confirmation.map(Box::new),
            }),
            (_, Some(response)) => Err(Box::new(response)),
            (_, None) => Err(Box::new(request.response(StatusCode::FORBIDDEN).build())),
        }
    }
}

impl From<Result<Granted, Box<Response>>> for Admission {
    fn from(settled: Result<Granted, Box<Response>>) -> Self {
        match settled {
            Ok(granted) => Self::Granted(granted),
            Err(response) => Self::Refused(response),
        }
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("server", &self.server)
            .field("role", &self.role)
            .field("asks", &self.store.is_none())
            .finish_non_exhaustive()
    }
}
