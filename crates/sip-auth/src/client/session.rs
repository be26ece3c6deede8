//! What was agreed with one realm.

use super::shown::Shown;
use crate::{
    Challenge, Credentials, Qop, Role,
    digest::{self, Hex},
    extended,
};
use sip_message::{ParseError, Request, headers::Authorization};

/// The nonce of a realm, and whose secret goes with it.
pub(super) struct Session {
    pub(super) role: Role,
    pub(super) challenge: Challenge,
    pub(super) credentials: Credentials,
    pub(super) qop: Option<Qop>,
    pub(super) hides_user: bool,
    /// In base 64, when a USIM found the network's sequence number too old
    pub(super) auts: Option<String>,
    pub(super) cnonce: Hex,
    /// How often the nonce was used
    pub(super) count: u32,
    /// How often in a row a nonce was called stale that had never been used before
    pub(super) refusals: u8,
    /// Hosts of Request-URIs that were challenged, the latest in front
    pub(super) hosts: Vec<String>,
}

impl Session {
    /// The credentials for a request, with the count as it is. Both fields have one grammar, so one type writes them.
    pub(super) fn field(&self, request: &Request) -> Result<Authorization, ParseError> {
        let challenge = &self.challenge;
        let algorithm = challenge.algorithm();
        let user = self.credentials.user();
        let uri = request.uri().as_str();
        let count = format!("{:08x}", self.count);
        let cnonce = self.cnonce.as_bytes();
        let protection = self.qop.map(|qop| (qop, count.as_bytes(), cnonce));
        let key = self
            .credentials
            .secret()
            .key(algorithm, user, challenge.realm())
            .expect("credentials were chosen for this algorithm");
        let covered = digest::covered(
            algorithm,
            request.method().as_str(),
            uri.as_bytes(),
            self.qop,
            request.body(),
        );
        let proof = digest::proof(
            algorithm,
            &key,
            challenge.nonce.as_bytes(),
            protection,
            cnonce,
            &covered,
        );
        let hidden;
        let extended;
        let name = if self.hides_user {
            hidden = digest::user_hash(algorithm, user, challenge.realm());
            ("username", hidden.as_str(), true)
        } else if challenge.is_utf8 && !user.is_ascii() {
            extended = extended::encode(user);
            ("username*", extended.as_str(), false)
        } else {
            ("username", user, true)
        };
        let token = challenge.algorithm_token();
        let mut params = vec![
            name,
            ("realm", challenge.realm(), true),
            ("nonce", challenge.nonce.as_str(), true),
            ("uri", uri, true),
            ("response", proof.as_str(), true),
        ];
        if challenge.names_algorithm {
            params.push(("algorithm", token.as_str(), false));
        }
        if protection.is_some() || algorithm.is_session() {
            params.push(("cnonce", self.cnonce.as_str(), true));
        }
        if let Some(opaque) = &challenge.opaque {
            params.push(("opaque", opaque, true));
        }
        if let Some(qop) = self.qop {
            params.push(("qop", qop.as_str(), false));
            params.push(("nc", count.as_str(), false));
        }
        if self.hides_user {
            params.push(("userhash", "true", false));
        }
        if let Some(auts) = &self.auts {
            params.push(("auts", auts, true));
        }
        Authorization::new("Digest", params)
    }

    /// Adds hosts that were challenged before, the latest in front; there is room for some of them.
    pub(super) fn add_hosts(&mut self, mut hosts: Vec<String>) {
        hosts.retain(|host| !self.hosts.contains(host));
        hosts.truncate(MOST_HOSTS.saturating_sub(self.hosts.len()));
        self.hosts.append(&mut hosts);
    }

    /// Whether credentials go ahead with requests to this host: a proxy's with all, a server's to where it asked before.
    pub(super) fn reaches(&self, host: &str) -> bool {
        self.role == Role::Proxy
            || self
                .hosts
                .iter()
                .any(|known| known.eq_ignore_ascii_case(host))
    }

    /// What a server that knows the password says of it (RFC 7616 §3.5).
    pub(super) fn expected_proof(
        &self,
        shown: &Shown,
        qop: Option<&str>,
        body: &[u8],
    ) -> Option<Hex> {
        let algorithm = self.challenge.algorithm();
        let key = self.credentials.secret().key(
            algorithm,
            self.credentials.user(),
            self.challenge.realm(),
        )?;
        // The server may protect its body less than we did ours, and says so.
        let qop = qop.map_or(shown.qop, Qop::from_token)?;
        let covered = digest::covered(algorithm, "", shown.uri.as_bytes(), Some(qop), body);
        let cnonce = shown.cnonce.as_bytes();
        let protection = Some((qop, shown.count.as_bytes(), cnonce));
        Some(digest::proof(
            algorithm,
            &key,
            shown.nonce.as_bytes(),
            protection,
            cnonce,
            &covered,
        ))
    }
}

const MOST_HOSTS: usize = 8;
