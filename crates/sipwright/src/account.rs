//! Who a user agent speaks for.

use crate::{
    Dial, Registration, UserAgent,
    error::{AccountError, RegisterError},
    request::{Outgoing, OutgoingMessage},
};
use sip_auth::Credentials;
use sip_message::{IntoUri, Method, ParseError, Uri, headers::ContentType};
use sip_ua::{Identity, KeepAlivePolicy, RegistrationOptions};
use std::time::Duration;

/// An identity: an address-of-record with its credentials and its way out.
///
/// It is cheap to clone and may place calls without ever registering; [`register`](Self::register) makes it reachable.
///
/// ```no_run
/// # use sipwright::{Credentials, UserAgent};
/// # async fn example(ua: UserAgent) -> sipwright::Result<()> {
/// let alice = ua.account("sip:alice@example.com")
///     .credentials(Credentials::password("alice", "secret"))
///     .outbound(["sip:edge1.example.com;lr"])
///     .build()?;
/// let registration = alice.register().await?;
/// let call = alice.call("sip:bob@example.com").await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Account {
    user_agent: UserAgent,
    identity: Identity,
    registration: RegistrationOptions,
}

impl Account {
    /// Binds the address-of-record to this user agent, and keeps it bound (RFC 3261 §10.2).
    ///
    /// Resolves at the first 200, or at the first outcome that no retry can mend. A registrar that is silent, cannot be
    /// reached or says 5xx is asked again, after 30 s to 30 min, with a warning by [`tracing`]: whoever cannot wait sets a
    /// time limit. Dropping the future abandons the attempt and, if a request went out, unregisters.
    ///
    /// # Errors
    ///
    /// When the registrar refuses, or takes no credentials of ours.
    pub async fn register(&self) -> Result<Registration, RegisterError> {
        Registration::start(
            self.user_agent.shared.spread(),
            &self.identity,
            self.registration.clone(),
        )
        .await
    }

    /// Calls `uri`; await it, or set more first.
    pub fn call(&self, uri: impl IntoUri) -> Dial {
        Dial::new(
            self.user_agent.shared.spread(),
            self.identity.clone(),
            uri.into_uri(),
        )
    }

    /// Sends a text (RFC 3428); resolves when it was taken, by whom it is for or by a server that keeps it for them (202).
    pub fn message(&self, uri: impl IntoUri, text: impl Into<String>) -> OutgoingMessage {
        let request = self.request(Method::MESSAGE, uri);
        OutgoingMessage::new(request.body(ContentType::TEXT_PLAIN, text.into()))
    }

    /// Any request outside dialogs, in this identity's name and with its credentials; any final response is an answer.
    pub fn request(&self, method: Method, uri: impl IntoUri) -> Outgoing {
        Outgoing::new(
            self.user_agent.shared.spread(),
            Some(self.identity.clone()),
            method,
            uri.into_uri(),
        )
    }

    /// The address-of-record.
    pub fn aor(&self) -> &Uri {
        self.identity.aor()
    }

    /// The user agent that it is an account of.
    pub fn user_agent(&self) -> &UserAgent {
        &self.user_agent
    }
}

/// An account to be.
#[derive(Debug)]
#[must_use = "nothing happens before `build`"]
pub struct AccountBuilder {
    user_agent: UserAgent,
    aor: Result<Uri, ParseError>,
    display_name: Option<String>,
    contact_user: Option<String>,
    credentials: Vec<Credentials>,
    outbound: Vec<Result<Uri, ParseError>>,
    registrar: Option<Result<Uri, ParseError>>,
    registration: RegistrationOptions,
    manages_flows: bool,
}

impl AccountBuilder {
    pub(crate) fn new(user_agent: UserAgent, aor: Result<Uri, ParseError>) -> Self {
        Self {
            user_agent,
            aor,
            display_name: None,
            contact_user: None,
            credentials: Vec::new(),
            outbound: Vec::new(),
            registrar: None,
            registration: RegistrationOptions::new(),
            manages_flows: false,
        }
    }

    /// What challenges are answered with; each call adds one. Defaults to none: a challenge is then a refusal.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials.push(credentials);
        self
    }

    /// The name that From shows beside the address. Defaults to none.
    pub fn display_name(mut self, name: impl Into<String>) -> Self {
        self.display_name = Some(name.into());
        self
    }

    /// The user part of Contact. Defaults to that of the address-of-record.
    pub fn contact_user(mut self, user: impl Into<String>) -> Self {
        self.contact_user = Some(user.into());
        self
    }

    /// The servers that requests pass first, as a route. Defaults to none: the URI says where a request goes.
    ///
    /// While the account is registered, those that its registrar names in Service-Route follow (RFC 3608); of several
    /// workers only the one that registered knows them.
    pub fn outbound(mut self, route: impl IntoIterator<Item = impl IntoUri>) -> Self {
        self.outbound = route.into_iter().map(IntoUri::into_uri).collect();
        self
    }

    /// Where to register. Defaults to the domain of the address-of-record.
    pub fn registrar(mut self, registrar: impl IntoUri) -> Self {
        self.registrar = Some(registrar.into_uri());
        self
    }

    /// How long a binding shall last; it is refreshed before. Defaults to 600 s.
    pub fn expires(mut self, expires: Duration) -> Self {
        self.registration = self.registration.expires(expires);
        self
    }

    /// When the flow that the binding was made on is kept alive (RFC 5626 §4.4). Defaults to
    /// [`KeepAlivePolicy::WhenAgreed`].
    pub fn keep_alive(mut self, policy: KeepAlivePolicy) -> Self {
        self.registration = self.registration.keep_alive(policy);
        self
    }

    /// Registers the flow itself (RFC 5626): requests to us come over it and no other, also those of calls that we place.
    /// `instance` is a URN that stays the same for this device for ever, such as `urn:uuid:…`; `flow` numbers its flows
    /// from 1. Defaults to no.
    pub fn device(mut self, instance: &str, flow: u32) -> Self {
        self.manages_flows = true;
        self.registration = self.registration.outbound(instance, flow);
        self
    }

    /// The account.
    ///
    /// # Errors
    ///
    /// When a text did not parse, or the address-of-record is no `sip` or `sips` URI.
    pub fn build(self) -> Result<Account, AccountError> {
        let aor = self.aor.map_err(AccountError::Aor)?;
        if !(aor.is_sip() || aor.is_sips()) {
            return Err(AccountError::UnsupportedScheme);
        }
        let registrar = match self.registrar {
            Some(registrar) => registrar.map_err(AccountError::Registrar)?,
            None => aor.with_user(None).without_params(),
        };
        let route: Result<Vec<Uri>, ParseError> = self.outbound.into_iter().collect();
        let route = route.map_err(AccountError::Outbound)?;
        let mut identity = Identity::new(aor).route(route);
        if let Some(name) = self.display_name {
            identity = identity.display_name(name);
        }
        if let Some(user) = self.contact_user {
            identity = identity.contact_user(user);
        }
        if self.manages_flows {
            identity = identity.outbound();
        }
        for credentials in self.credentials {
            identity = identity.credentials(credentials);
        }
        Ok(Account {
            user_agent: self.user_agent,
            identity,
            registration: self.registration.registrar(registrar),
        })
    }
}
