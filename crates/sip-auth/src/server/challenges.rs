//! Challenges: what a server writes into 401 and 407.

use super::Server;
use crate::Qop;
use sip_message::{
    ParseError,
    headers::{ProxyAuthenticate, WwwAuthenticate},
};
use std::{borrow::Cow, net::IpAddr, time::Instant};

impl Server {
    /// Challenges for a 401 response, one for each algorithm offered, to nobody in particular.
    ///
    /// Where nonces are bound to sources, only [`Self::answer`] makes challenges that can be met.
    pub fn challenge(&mut self, now: Instant, stale: bool) -> Vec<WwwAuthenticate> {
        self.challenge_to(now, stale, None)
    }

    /// Challenges for a 407 response, as [`Self::challenge`] makes them.
    pub fn proxy_challenge(&mut self, now: Instant, stale: bool) -> Vec<ProxyAuthenticate> {
        self.proxy_challenge_to(now, stale, None)
    }

    pub(super) fn challenge_to(
        &mut self,
        now: Instant,
        stale: bool,
        source: Option<IpAddr>,
    ) -> Vec<WwwAuthenticate> {
        self.challenges(now, stale, source, |params| {
            WwwAuthenticate::new("Digest", params)
        })
    }

    pub(super) fn proxy_challenge_to(
        &mut self,
        now: Instant,
        stale: bool,
        source: Option<IpAddr>,
    ) -> Vec<ProxyAuthenticate> {
        self.challenges(now, stale, source, |params| {
            ProxyAuthenticate::new("Digest", params)
        })
    }

    fn challenges<F>(
        &mut self,
        now: Instant,
        stale: bool,
        source: Option<IpAddr>,
        make: impl Fn(Vec<(&'static str, &str, bool)>) -> Result<F, ParseError>,
    ) -> Vec<F> {
        self.stats.challenges += 1;
        let nonce = self.nonces.mint(self.clock.unix_seconds(now), source);
        let protections = match self.policy.protections.as_slice() {
            [] => None,
            [Qop::Auth] => Some(Cow::Borrowed("auth")),
            list => Some(Cow::Owned(
                list.iter()
                    .map(|qop| qop.as_str())
                    .collect::<Vec<_>>()
                    .join(","),
            )),
        };
        self.policy
            .algorithms
            .iter()
            .map(|algorithm| {
                let mut params = Vec::with_capacity(8);
                params.push(("realm", self.policy.realm.as_str(), true));
                params.push(("nonce", nonce.as_str(), true));
                if stale {
                    params.push(("stale", "true", false));
                }
                params.push(("algorithm", algorithm.as_str(), false));
                if let Some(protections) = &protections {
                    params.push(("qop", protections, true));
                }
                if let Some(opaque) = &self.policy.opaque {
                    params.push(("opaque", opaque, true));
                }
                if self.policy.hash_users {
                    params.push(("userhash", "true", false));
                }
                if self.policy.utf8 {
                    params.push(("charset", "UTF-8", false));
                }
                make(params).expect("a realm without control characters can be written")
            })
            .collect()
    }
}
