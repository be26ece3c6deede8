//! What the bytes of a connection go through, by its protocol.

use std::{net::SocketAddr, sync::Arc};

use super::Transport;
use crate::{
    event::{FlowError, Target},
    stream::{Stream, Top},
    ws::WebSocket,
};
use sip_io::{Flow, Protocol};
use sip_message::{Host, Limits};

impl Transport {
    /// Whether a listener for `protocol` could do anything with what comes.
    pub(super) const fn accepts(&self, protocol: Protocol) -> bool {
        matches!(protocol, Protocol::Udp | Protocol::Tcp | Protocol::Ws)
    }

    /// The layers of a connection that a peer has opened.
    pub(super) fn accepted_stream(&self, flow: &Flow) -> Option<Stream> {
        let top = self.top(flow.protocol(), Asked::By(flow.remote()))?;
        Some(Stream::new(top))
    }

    /// The layers of a connection that we open.
    pub(super) fn opened_stream(&self, target: &Target) -> Result<Stream, FlowError> {
        let top = self.top(target.protocol, Asked::Of(target));
        let top = top.ok_or(FlowError::Unsupported(target.protocol))?;
        Ok(Stream::new(top))
    }

    fn top(&self, protocol: Protocol, asked: Asked<'_>) -> Option<Top> {
        let limits = Limits::default()
            .message_size(self.config.message_size)
            .head_size(self.config.message_size);
        match protocol {
            Protocol::Tcp => Some(Top::framer(limits)),
            Protocol::Ws => Some(Top::WebSocket(Box::new(self.web_socket(asked)))),
            _ => None,
        }
    }

    fn web_socket(&self, asked: Asked<'_>) -> WebSocket {
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
