//! What we write about ourselves in messages.

use std::net::IpAddr;

use super::Transport;
use crate::{address::SentBy, tls::Engine};
use sip_io::{Flow, Protocol};
use sip_message::{Host, headers::Via};

impl Transport {
    /// The address of ours from which a listener of any protocol faces `remote`.
    pub fn address_facing(&self, remote: IpAddr) -> Option<IpAddr> {
        let protocols = [
            Protocol::Udp,
            Protocol::Tcp,
            Protocol::Tls,
            Protocol::Ws,
            Protocol::Wss,
        ];
        let mut facing = protocols
            .into_iter()
            .filter_map(|protocol| self.addresses.facing(protocol, remote));
        facing
            .next()
            .map(|(_, local)| local.ip())
            .or_else(|| self.addresses.interface_facing(remote))
    }

    /// What we write about ourselves in messages on this flow: the listener's advertised address, else its bound one.
    ///
    /// On a connection that we opened it is a listener's, too, where there is one of that protocol and family: nobody
    /// can connect to the port that the system gave us.
    pub fn sent_by(&self, flow: &Flow) -> SentBy {
        let connection = flow.stream_id().and_then(|id| self.connections.get(id));
        let flow = connection.map_or(*flow, |connection| connection.flow);
        let local = if flow.local().ip().is_unspecified() {
            self.addresses
                .interface_facing(flow.remote().ip())
                .unwrap_or_else(|| flow.local().ip())
        } else {
            flow.local().ip()
        };
        let listener = self.listener_of(&flow);
        listener
            .and_then(|id| self.addresses.sent_by(id, local))
            .unwrap_or_else(|| SentBy {
                host: Host::from(local),
                port: Some(flow.local().port()).filter(|port| *port != 0),
                protocol: flow.protocol(),
            })
    }

    /// The Via that we put on top of a request on this flow (RFC 3261 §18.1.1, RFC 3581 §3).
    pub fn via(&self, flow: &Flow, branch: &str) -> Via {
        let SentBy {
            host,
            port,
            protocol,
        } = self.sent_by(flow);
        let via = Via::new(protocol.as_str(), host, port);
        // RFC 3581 §3: a server answers to where the request came from, which a NAT may have changed.
        let via = if protocol.is_stream() {
            via
        } else {
            via.with_rport()
        };
        let via = if self.asks_for_alias(flow) {
            via.with_param("alias", None)
        } else {
            via
        };
        via.with_branch(branch)
    }

    /// RFC 5923 §8.1: who has a certificate to show and listens where its Via says.
    fn asks_for_alias(&self, flow: &Flow) -> bool {
        let listener = self.listener_of(flow);
        self.config.connection_reuse
            && flow.protocol() == Protocol::Tls
            && flow.stream_id().is_some_and(|id| !id.is_accepted())
            && listener.is_some()
            && self.engines.of(listener).is_some_and(Engine::has_identity)
    }

    /// Whether a host and a port name one of our listeners, by its bound or by its advertised address.
    ///
    /// Without a port the protocol's usual one is meant. An address of ours with somebody else's port is not ours.
    pub fn is_local(&self, host: &Host, port: Option<u16>, protocol: Option<Protocol>) -> bool {
        self.addresses.is_local(host, port, protocol)
    }
}
