//! Responding in a server transaction.

use std::time::Instant;

use super::{TransactionLayer, servers::timers_of};
use crate::{
    error::RespondError,
    event::ServerTransactionId,
    server::{self, Server},
    way::Way,
};
use sip_io::Flow;
use sip_message::Response;

impl TransactionLayer {
    /// Sends a response in a server transaction over `flow`, which the transport's `route_response` found.
    ///
    /// After a 2xx to an INVITE, further 2xx may follow: the transaction user repeats them until the ACK comes
    /// (RFC 6026 §7.1).
    pub fn respond(
        &mut self,
        now: Instant,
        id: ServerTransactionId,
        response: &Response,
        flow: Flow,
    ) -> Result<(), RespondError> {
        self.respond_over(now, id, response, Some(flow.into()))
    }

    /// As [`Self::respond`], over the [flow](Self::server_flow) that the transaction has already.
    ///
    /// # Errors
    ///
    /// As those of [`Self::respond`].
    pub fn respond_back(
        &mut self,
        now: Instant,
        id: ServerTransactionId,
        response: &Response,
    ) -> Result<(), RespondError> {
        self.respond_over(now, id, response, None)
    }

    fn respond_over(
        &mut self,
        now: Instant,
        id: ServerTransactionId,
        response: &Response,
        other_way: Option<Way>,
    ) -> Result<(), RespondError> {
        let status = response.status();
        let timers = timers_of(&self.own_timers, &self.config.timers, id.0);
        let server = self.servers.get_mut(id.0).ok_or(RespondError::Gone)?;
        let action = server.step(server::Input::Response(status), timers);
        if action == server::Action::Refuse {
            return Err(match server.status {
                Some(sent) if sent.is_final() => RespondError::AlreadyFinal(sent),
                _ => RespondError::NotAllowed(status),
            });
        }
        if let Some(way) = other_way {
            server.way = way;
        }
        server.status = Some(status);
        if server.loose_tag.is_some() {
            server.loose_tag = self.keys.tag(response.headers());
        }
        self.perform_server(now, id.0, action, response.to_bytes());
        Ok(())
    }

    /// As [`Self::respond`], but a transaction of a request other than INVITE ends at once, so that a copy of the request
    /// is a new request (RFC 3261 §8.2.7).
    ///
    /// For challenges: those who show no credentials shall cost no memory (RFC 3261 §26.3.2.4). What answers an INVITE
    /// stays until its ACK.
    ///
    /// # Errors
    ///
    /// As those of [`Self::respond`].
    pub fn respond_statelessly(
        &mut self,
        now: Instant,
        id: ServerTransactionId,
        response: &Response,
        flow: Flow,
    ) -> Result<(), RespondError> {
        self.respond(now, id, response, flow)?;
        let server = self.servers.get(id.0);
        if response.status().is_final() && server.is_some_and(Server::is_non_invite) {
            self.end_server(id.0);
        }
        Ok(())
    }
}
