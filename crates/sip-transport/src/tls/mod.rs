//! TLS as bytes in, bytes out (RFC 3261 §26, RFC 5630, RFC 5922).
//!
//! [`Tls`] says what we prove and whom we believe. A transport makes two rustls configurations of it, one for each side,
//! and makes them anew when it is given another [`Tls`]: that is how certificates and roots are replaced while running,
//! and since a resumed session is never verified again, the sessions to be resumed are forgotten with it.

mod config;
mod engine;
mod layer;
mod verifier;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Instant};

use crate::{Event, ListenerId, PeerIdentity, Transport, TransportConfig};
use sip_io::{Flow, WallClock};
use sip_message::headers::Date;

pub use config::{DangerousTls, Tls, TlsError};
pub(crate) use engine::Engine;
pub(crate) use layer::TlsLayer;
pub use rustls::{KeyLog, crypto::CryptoProvider};

impl TransportConfig {
    /// Speaks TLS: with servers, and, if `tls` has an identity, with clients of `tls` and `wss` listeners.
    ///
    /// Defaults to none: then such listeners fail, and no flow leads to such targets. Certificates are looked at by the
    /// time that `clock` tells.
    pub fn tls(mut self, tls: Tls, clock: WallClock) -> Self {
        self.tls = Some(tls);
        self.clock = Some(clock);
        self
    }
}

impl Transport {
    /// Replaces what we prove over TLS and whom we believe.
    ///
    /// Open connections stay, and responses still go over them, but no new request takes one that was made with the old
    /// identity and trust; sessions are not resumed across the change. Listeners with TLS of their own keep it, and have
    /// what it does not say from the new one.
    pub fn set_tls(&mut self, now: Instant, tls: &Tls, clock: WallClock) {
        self.engines.set(now, tls.clone(), clock);
        self.look_at_certificates(now);
    }

    /// The same for the TLS that one listener has for itself, had it one before or not; see
    /// [`Listener::tls`](crate::Listener::tls). Nothing happens where there is no such listener.
    pub fn set_listener_tls(&mut self, now: Instant, listener: ListenerId, tls: &Tls) {
        if self.addresses.get(listener).is_some() {
            self.engines.set_own(now, listener, Arc::new(tls.clone()));
            self.look_at_certificates(now);
        }
    }

    /// Who the peer on a flow has proved to be: the server, if we opened the connection, or the client, if it was asked
    /// for a certificate and gave one. `None` also for a peer that was believed without proof.
    pub fn peer_identity(&self, flow: &Flow) -> Option<PeerIdentity> {
        self.connections
            .get(flow.stream_id()?)?
            .stream
            .tls
            .as_ref()?
            .peer_identity()
    }

    /// Tells which of our certificates end soon, at most once a day.
    pub(crate) fn look_at_certificates(&mut self, now: Instant) {
        for (domains, not_after) in self.engines.all().flat_map(|engine| engine.ending(now)) {
            let end = Date::new(not_after);
            tracing::warn!(?domains, not_after = %end, "a certificate of ours ends soon");
            self.stats.certificates_ending += 1;
            self.events
                .push_back(Event::CertificateEnding { domains, not_after });
        }
    }
}
