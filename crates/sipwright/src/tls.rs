//! TLS of user agents and servers: what they prove, and whom they believe.

use crate::{
    Gone, Server, ServerBuilder, UserAgent, UserAgentBuilder, shared::Shared,
    stack_builder::StackBuilder,
};
use sip_endpoint::{PeerIdentity, Tls};
use sip_io::{Flow, StreamId};
use std::net::SocketAddr;

/// What a handle and its builder have of TLS.
macro_rules! secured {
    ($handle:ty, $builder:ty) => {
        impl $builder {
            /// Speaks TLS: to `sips` URIs and those with `transport=tls`, and, with an identity, on `tls:` and `wss:`
            /// listeners.
            ///
            /// Defaults to not at all. Without roots of its own the platform's are believed. Servers prove the domain of
            /// the URI that leads to them (RFC 5922); [`Tls::dangerous`] is the only way round.
            pub fn tls(mut self, tls: Tls) -> Self {
                self.stack.secure(tls);
                self
            }
        }

        impl $handle {
            /// Replaces certificates, trust and all else about TLS while it runs. Open connections stay; new requests
            /// open new ones, and no session is resumed.
            ///
            /// # Errors
            ///
            /// When it is closed.
            pub async fn set_tls(&self, tls: Tls) -> Result<(), Gone> {
                self.shared.set_tls(tls).await
            }

            /// The same for the TLS that the listener bound to `local` has for itself
            /// ([`Listener::tls`](crate::Listener::tls)); what it does not say is as the others have it.
            ///
            /// # Errors
            ///
            /// When it is closed, or no secure listener is there.
            pub async fn set_listener_tls(&self, local: SocketAddr, tls: Tls) -> Result<(), Gone> {
                self.shared.set_listener_tls(local, tls).await
            }

            /// Who the peer on a flow has proved to be by certificate; `None` when it has proved nothing or is gone.
            pub async fn peer_identity(&self, flow: Flow) -> Option<PeerIdentity> {
                self.shared.peer_identity(flow).await
            }
        }
    };
}

secured!(UserAgent, UserAgentBuilder);
secured!(Server, ServerBuilder);

impl Shared {
    async fn set_tls(&self, tls: Tls) -> Result<(), Gone> {
        let tls = with_roots(tls);
        self.everywhere(move |machine, _, now| {
            machine.stack.command(now, |_, cx| cx.set_tls(now, &tls));
        })
        .await
        .map_or(Err(Gone), |_| Ok(()))
    }

    async fn set_listener_tls(&self, local: SocketAddr, tls: Tls) -> Result<(), Gone> {
        let found = self.everywhere(move |machine, _, now| {
            machine.stack.command(now, |_, cx| {
                let mut listeners = cx.listeners();
                let at = listeners.find(|(_, listener, bound)| {
                    listener.protocol().is_secure() && *bound == Some(local)
                });
                let id = at.map(|(id, ..)| id);
                drop(listeners);
                id.map(|id| cx.set_listener_tls(now, id, &tls)).ok_or(Gone)
            })
        });
        let found: Result<Vec<()>, Gone> = found.await.map_err(|_| Gone)?.into_iter().collect();
        found.map(drop)
    }

    async fn peer_identity(&self, flow: Flow) -> Option<PeerIdentity> {
        let owner = self.on(flow.stream_id().map(StreamId::shard).unwrap_or_default());
        let identity =
            owner.command(move |machine, _, _| machine.stack.endpoint().peer_identity(&flow));
        identity.await.ok().flatten()
    }
}

impl StackBuilder {
    fn secure(&mut self, tls: Tls) {
        self.secured = Some(Box::new(|transport, clock| {
            transport.tls(with_roots(tls), clock)
        }));
    }

    /// Gives listeners with TLS of their own something to have the rest from.
    pub(crate) fn secure_listeners(&mut self) {
        if self.secured.is_none() {
            self.secure(Tls::new());
        }
    }
}

/// Believes those whom the platform believes, where nobody else was named.
pub fn with_roots(tls: Tls) -> Tls {
    if tls.has_roots() || tls.believes_anyone() {
        return tls;
    }
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a certificate of the platform cannot be read");
    }
    let certificates = found.certs.into_iter();
    tls.roots_der(certificates.map(|certificate| certificate.to_vec()))
}
