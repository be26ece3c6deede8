//! What a server says to those it has let in.

use super::question::Said;
use crate::{
    Algorithm, Role,
    digest::{self, Hex},
};
use sip_message::{
    Response,
    headers::{AuthenticationInfo, ProxyAuthenticationInfo},
};
use std::fmt;

/// Proves to a client that the server knows the password too, and may give it the nonce to use next (RFC 7616 §3.5).
///
/// [`Server::confirm`](crate::Server::confirm) makes it, and it is written into the 2xx once its body is known.
pub struct Confirmation {
    pub(super) role: Role,
    pub(super) algorithm: Algorithm,
    pub(super) key: Hex,
    pub(super) said: Said,
    pub(super) next: Option<Hex>,
}

impl Confirmation {
    /// Writes Authentication-Info, or Proxy-Authentication-Info, into the response.
    pub fn write(&self, response: &mut Response) {
        let proof;
        let mut params = Vec::with_capacity(5);
        if let Some(next) = &self.next {
            params.push(("nextnonce", next.as_str(), true));
        }
        let protection = self.said.protection();
        if let Some((qop, count, cnonce)) = protection
            && let (Ok(count_text), Ok(cnonce_text)) =
                (str::from_utf8(count), str::from_utf8(cnonce))
        {
            let uri = self.said.uri();
            // The method is empty here (RFC 7616 §3.5).
            let covered = digest::covered(self.algorithm, "", uri, Some(qop), response.body());
            proof = digest::proof(
                self.algorithm,
                &self.key,
                self.said.nonce(),
                protection,
                cnonce,
                &covered,
            );
            params.push(("qop", qop.as_str(), false));
            params.push(("rspauth", proof.as_str(), true));
            params.push(("cnonce", cnonce_text, true));
            params.push(("nc", count_text, false));
        }
        if params.is_empty() {
            return;
        }
        let headers = response.headers_mut();
        let written = match self.role {
            Role::Server => AuthenticationInfo::new(params).map(|field| headers.set(field)),
            Role::Proxy => ProxyAuthenticationInfo::new(params).map(|field| headers.set(field)),
        };
        if let Err(error) = written {
            tracing::debug!(%error, "credentials could not be confirmed");
        }
    }
}

impl fmt::Debug for Confirmation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Confirmation")
            .field("role", &self.role)
            .field("gives_next", &self.next.is_some())
            .finish_non_exhaustive()
    }
}
