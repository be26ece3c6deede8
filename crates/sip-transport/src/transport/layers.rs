//! What the bytes of a connection go through, by its protocol.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use super::Transport;
use crate::{
    event::{FlowError, Target},
    listener::{Listener, ListenerId},
    stream::{Stream, Top},
    tls::TlsLayer,
    ws::WebSocket,
};
use sip_io::{Flow, Protocol};
use sip_message::{Host, Limits};

impl Transport {
    /// Whether a listener could do anything with what comes.
    pub(super) fn accepts(&self, listener: &Listener) -> bool {
        let protocol = listener.protocol();
        if matches!(protocol, Protocol::Ws | Protocol::Wss) && !cfg!(feature = "ws") {
            return false;
        }
        match protocol {
            Protocol::Udp | Protocol::Tcp | Protocol::Ws => true,
            Protocol::Tls | Protocol::Wss => self.engines.serve(listener),
            _ => false,
        }
    }

    /// The layers of a connection that a peer has opened.
    pub(super) fn accepted_stream(
        &mut self,
        now: Instant,
        flow: &Flow,
        listener: Option<ListenerId>,
    ) -> Option<Stream> {
        let top = self.top(flow.protocol(), Asked::By(flow.remote()))?;
        if !flow.protocol().is_secure() {
            return Some(Stream::new(None, top));
        }
        self.look_at_certificates(now);
        let tls = self.engines.of(listener)?.accept(now)?;
        Some(Stream::new(Some(tls), top))
    }

    /// The layers of a connection that we open.
    pub(super) fn opened_stream(
        &mut self,
        now: Instant,
        target: &Target,
        listener: Option<ListenerId>,
    ) -> Result<Stream, FlowError> {
        let unsupported = FlowError::Unsupported(target.protocol);
        let top = self
            .top(target.protocol, Asked::Of(target))
            .ok_or(unsupported)?;
        let tls = match target.protocol.is_secure() {
            true => Some(self.opened_tls(now, target, listener)?),
            false => None,
        };
        Ok(Stream::new(tls, top))
    }

    fn opened_tls(
        &mut self,
        now: Instant,
        target: &Target,
        listener: Option<ListenerId>,
    ) -> Result<TlsLayer, FlowError> {
        self.look_at_certificates(now);
        let unsupported = FlowError::Unsupported(target.protocol);
        let engine = self.engines.of(listener).ok_or(unsupported)?;
        let layer = engine.connect(now, target.name.as_deref(), target.address.ip());
        layer.ok_or_else(|| FlowError::Unprovable(target.name.clone().unwrap_or_default()))
    }

    fn top(&self, protocol: Protocol, asked: Asked<'_>) -> Option<Top> {
        let limits = Limits::default()
            .message_size(self.config.message_size)
            .head_size(self.config.message_size);
        match protocol {
            Protocol::Tcp | Protocol::Tls => Some(Top::framer(limits)),
            Protocol::Ws | Protocol::Wss => Some(Top::WebSocket(Box::new(self.web_socket(asked)?))),
            _ => None,
        }
    }

    fn web_socket(&self, asked: Asked<'_>) -> Option<WebSocket> {
        let config = Arc::clone(&self.config.web_socket);
        let size = self.config.message_size;
        match asked {
            Asked::By(peer) => WebSocket::accepted(config, size, peer),
            Asked::Of(target) => WebSocket::opened(config, size, authority(target)),
        }
    }
}

/// Who asked whom for a connection.
enum Asked<'a> {
    By(SocketAddr),
    Of(&'a Target),
}

/// What a client writes into Host (RFC 6455 §4.1): the host of the URI, and the port if it is not the usual one.
fn authority(target: &Target) -> String {
    let host = match &target.name {
        Some(name) => name.clone(),
        None => Host::from(target.address.ip()).to_string(),
    };
    match target.address.port() {
        usual if usual == target.protocol.default_port() => host,
        port => format!("{host}:{port}"),
    }
}
