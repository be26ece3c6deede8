//! TLS of an endpoint: what may change while it runs, and who peers are.

use crate::Endpoint;
use sip_io::Flow;
use sip_transport::{ListenerId, PeerIdentity, Tls};
use std::time::Instant;

impl Endpoint {
    /// Replaces what we prove over TLS and whom we believe; see [`sip_transport::Transport::set_tls`].
    pub fn set_tls(&mut self, now: Instant, tls: &Tls) {
        self.transport.set_tls(now, tls, self.clock);
        self.listeners_changed();
    }

    /// Replaces the TLS of one listener; see [`sip_transport::Transport::set_listener_tls`].
    pub fn set_listener_tls(&mut self, now: Instant, listener: ListenerId, tls: &Tls) {
        self.transport.set_listener_tls(now, listener, tls);
        self.listeners_changed();
    }

    /// Who the peer on a flow has proved to be; see [`sip_transport::Transport::peer_identity`].
    pub fn peer_identity(&self, flow: &Flow) -> Option<PeerIdentity> {
        self.transport.peer_identity(flow)
    }
}
