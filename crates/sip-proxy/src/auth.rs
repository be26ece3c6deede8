//! Credentials for the proxy (RFC 3261 §22.3).

use crate::{Proxy, inbound::Refusal};
use sip_auth::{CredentialStore, Outcome, Role, Server};
use sip_message::{Method, Request, headers::ProxyAuthorization};
use std::{fmt, time::Instant};

/// Who checks credentials, and who knows them.
pub(crate) struct Authenticator {
    pub(crate) server: Server,
    pub(crate) store: Box<dyn CredentialStore + Send>,
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").finish_non_exhaustive()
    }
}

impl Proxy {
    /// The user who sent a request. Without credentials, and if they are `required`, a challenge.
    pub(crate) fn authenticate(
        &mut self,
        now: Instant,
        request: &mut Request,
        required: bool,
    ) -> Result<Option<String>, Refusal> {
        let Some(Authenticator { server, store }) = &mut self.config.auth else {
            return Ok(None);
        };
        // An ACK cannot be answered, and a CANCEL not be sent again (RFC 3261 §22.1).
        if !required || [Method::ACK, Method::CANCEL].contains(request.method()) {
            return Ok(None);
        }
        let outcome = server.authenticate(now, request, Role::Proxy, store.as_ref());
        if let Outcome::Granted { user } = outcome {
            self.consume(request);
            return Ok(Some(user));
        }
        match server.answer(now, request, Role::Proxy, &outcome) {
            Some(response) => Err(Refusal::Response(Box::new(response))),
            None => Err(Refusal::Status(sip_message::StatusCode::FORBIDDEN)),
        }
    }

    /// Credentials that were for us tell nobody else anything (RFC 3261 §22.3).
    fn consume(&self, request: &mut Request) {
        let Some(Authenticator { server, .. }) = &self.config.auth else {
            return;
        };
        let others: Vec<ProxyAuthorization> = request
            .headers()
            .all::<ProxyAuthorization>()
            .flatten()
            .filter(|credentials| credentials.param("realm").as_deref() != Some(server.realm()))
            .collect();
        request.headers_mut().remove::<ProxyAuthorization>();
        for credentials in others {
            request.headers_mut().push(credentials);
        }
    }
}
