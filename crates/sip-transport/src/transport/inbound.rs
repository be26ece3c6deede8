//! What comes in, and what is made of it.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use bytes::Bytes;

use super::Transport;
use crate::{
    connections::{Connection, Write},
    event::{CloseReason, Event},
    listener::ListenerId,
    preface::{Introduction, Preface},
    stream::StreamError,
    via::{self, return_flow},
};
use sip_io::{FailReason, Flow, Protocol, StreamId, Transmit};
use sip_message::{Frame, Message, ParseError, Request, Response, headers::Via, reject};

impl Transport {
    pub(super) fn receive_datagram(&mut self, now: Instant, flow: Flow, contents: Bytes) {
        self.stats.datagrams_in += 1;
        match contents.first() {
            // RFC 5626 §4.4.2: STUN and SIP share a port, and the first two bits tell them apart.
            Some(0..=3) => {
                self.stats.stun += 1;
                if let Some(to) = self.stun_elsewhere(&contents) {
                    return self.steer_message(to, flow, contents);
                }
                self.events.push_back(Event::Stun { flow, contents });
            }
            _ if contents.iter().all(|byte| b"\r\n\0 ".contains(byte)) => {
                self.stats.keep_alives += 1;
            }
            _ if contents.len() > self.config.message_size => self.stats.too_long += 1,
            _ => self.receive_message(now, flow, contents),
        }
    }

    pub(super) fn receive_bytes(&mut self, now: Instant, id: StreamId, contents: Bytes) {
        let Some(connection) = self.connections.reading(now, id) else {
            return;
        };
        self.stats.stream_bytes_in += contents.len() as u64;
        if let Some(preface) = &mut connection.preface {
            let introduction = preface.push(&contents);
            return self.introduce(now, id, introduction);
        }
        let shaking = connection.is_opening();
        let pushed = connection.stream.push(now, &contents);
        if shaking {
            self.settle(now, id);
        }
        // Answering a message may end the connection, so it is looked up for each.
        while let Some(connection) = self.connections.reading(now, id) {
            let flow = connection.flow;
            match connection.stream.next(now) {
                Ok(Some(Frame::Message(message))) => {
                    connection.has_spoken();
                    self.receive_message(now, flow, message);
                }
                Ok(Some(Frame::Ping)) => {
                    connection.has_spoken();
                    // RFC 5626 §4.4.1: a double CRLF is answered with a single one.
                    self.stats.keep_alives += 1;
                    self.write(now, id, Bytes::from_static(b"\r\n"));
                }
                Ok(Some(Frame::Pong)) => {
                    connection.has_spoken();
                    connection.pinged = false;
                    self.receive_pong(flow);
                }
                Ok(None) => {
                    // RFC 5626 §4.4.1: who waits for an answer does not wait for the other half of a question.
                    if connection.pinged && connection.stream.take_pong() {
                        connection.has_spoken();
                        connection.pinged = false;
                        self.receive_pong(flow);
                        continue;
                    }
                    if let Err(error) = pushed {
                        return self.stream_over(now, id, flow, error);
                    }
                    if let Some(contents) = connection.stream.output() {
                        self.send_bytes(flow, contents);
                    }
                    self.connections.rearm(id, &self.config);
                    return;
                }
                Err(error) => return self.stream_over(now, id, flow, error),
            }
        }
    }

    fn receive_pong(&mut self, flow: Flow) {
        self.stats.pongs += 1;
        self.events.push_back(Event::Pong { flow });
    }

    /// Takes in whom a load balancer says that a connection is from.
    fn introduce(&mut self, now: Instant, id: StreamId, introduction: Introduction) {
        let Introduction::Complete { source, rest } = introduction else {
            if introduction == Introduction::Wrong {
                self.stats.connections_unannounced += 1;
                self.end(id, CloseReason::Unannounced);
            }
            return;
        };
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        connection.preface = None;
        if let Some(source) = source {
            connection.flow = connection.flow.with_remote(source);
            connection.stream.introduced(source);
            if !self.connections.admit(id, &self.config) {
                return self.limited(id);
            }
        }
        self.begin(now, id);
        if !rest.is_empty() {
            // It was counted with the preface.
            self.stats.stream_bytes_in -= rest.len() as u64;
            self.receive_bytes(now, id, rest);
        }
    }

    /// Closes a connection whose source has as many as it may, of which nobody was told.
    fn limited(&mut self, id: StreamId) {
        self.stats.connections_limited += 1;
        let Some(mut gone) = self.connections.remove(id) else {
            return;
        };
        if gone.stream.is_established() {
            self.hang_up(&mut gone);
        } else {
            // Without a last word, so that nothing is held for it (a flood of these is what the limit is for).
            let flow = gone.flow;
            self.transmits.push_back(Transmit::Close { flow });
        }
    }

    fn begin(&mut self, now: Instant, id: StreamId) {
        let flow = self.connections.get(id).map(|connection| connection.flow);
        if let Some(flow) = flow
            && self.connections.begin(now, id, flow.local())
        {
            self.settle(now, id);
        }
    }

    fn stream_over(&mut self, now: Instant, id: StreamId, flow: Flow, error: StreamError) {
        match error {
            StreamError::Frame(error) => {
                self.receive_malformed(now, flow, error.head(), error.error());
                self.stats.closed_unframable += 1;
                self.end(id, CloseReason::Unframable);
            }
            StreamError::Over(reason) => {
                if let CloseReason::WebSocket(code) = reason {
                    self.stats.closed_web_socket += 1;
                    if self.log_lines.take(now) {
                        tracing::debug!(?flow, code, "closed a WebSocket");
                    }
                }
                if let CloseReason::Handshake(failure) = reason {
                    self.stats.handshakes_failed += 1;
                    if self.log_lines.take(now) {
                        tracing::debug!(?flow, ?failure, "handshake failed");
                    }
                }
                self.end(id, reason);
            }
        }
    }

    /// Sends what the layers of a connection say, and tells when its handshakes are over.
    fn settle(&mut self, now: Instant, id: StreamId) {
        if let Some((flow, contents)) = self.connections.output(id) {
            self.send_bytes(flow, contents);
        }
        if let Some((flow, waiting)) = self.connections.establish(now, id) {
            if !id.is_accepted() {
                self.stats.opened += 1;
            } else if !self.connections.admit(id, &self.config) {
                // The proxy of a WebSocket has said by now whom it is from.
                self.limited(id);
                return;
            }
            self.events.push_back(Event::Opened { flow });
            for message in waiting {
                self.write(now, id, message);
            }
        }
        self.connections.rearm(id, &self.config);
    }

    fn receive_message(&mut self, now: Instant, flow: Flow, contents: Bytes) {
        match self.elsewhere(&contents) {
            Some(to) => self.steer_message(to, flow, contents),
            None => self.take_message(now, flow, contents),
        }
    }

    pub(super) fn take_message(&mut self, now: Instant, flow: Flow, contents: Bytes) {
        let parsed = Message::parse_with(contents.clone(), &self.limits);
        if let Ok(message) = &parsed
            && let Err(error) = message.check()
        {
            return self.receive_malformed(now, flow, &contents, &error);
        }
        // A message is moved once, into its box.
        match parsed {
            Ok(Message::Request(request)) => {
                self.stats.of(flow.protocol()).messages_in += 1;
                self.receive_request(flow, Box::new(request));
            }
            Ok(Message::Response(response)) => {
                self.stats.of(flow.protocol()).messages_in += 1;
                self.receive_response(now, flow, Box::new(response));
            }
            Err(error) => self.receive_malformed(now, flow, &contents, &error),
        }
    }

    fn receive_request(&mut self, flow: Flow, mut request: Box<Request>) {
        via::stamp(request.headers_mut(), &flow, self.config.keep);
        if flow.protocol() == Protocol::Tls {
            self.note_alias(&flow, &request);
        }
        self.stats.requests += 1;
        self.events.push_back(Event::Request { flow, request });
    }

    /// RFC 5923 §8.2: requests to the address in the Via may go back over this connection, if the peer has proved whose
    /// it is.
    fn note_alias(&mut self, flow: &Flow, request: &Request) {
        let accepted = flow.stream_id().filter(|id| id.is_accepted());
        let Some(id) = accepted.filter(|_| self.config.connection_reuse) else {
            return;
        };
        if let Some(Ok(via)) = request.headers().view::<Via>()
            && via.has_param("alias")
        {
            let port = via.port().unwrap_or_else(|| flow.protocol().default_port());
            let address = SocketAddr::new(flow.remote().ip(), port);
            self.connections.alias(id, address);
        }
    }

    fn receive_response(&mut self, now: Instant, flow: Flow, response: Box<Response>) {
        if response.via().is_ok_and(|via| self.is_ours(&flow, &via)) {
            self.stats.responses += 1;
            self.events.push_back(Event::Response { flow, response });
        } else {
            // RFC 3261 §18.1.2: who did not send the request has no use for the response.
            self.stats.foreign_responses += 1;
            if self.log_lines.take(now) {
                tracing::debug!(?flow, "dropped a response to somebody else's request");
            }
        }
    }

    /// Whether the top Via of a response that came on `flow` is one that we wrote.
    fn is_ours(&self, flow: &Flow, via: &Via) -> bool {
        let (host, port) = (via.host(), via.port());
        if self.is_local(&host, port, Some(flow.protocol())) {
            return true;
        }
        if self.listener_of(flow).is_some() {
            return false;
        }
        let is_at_hand = host.as_ip() == Some(flow.local().ip());
        match flow.stream_id() {
            // On a connection that we opened without listening, sent-by has no port that anyone could know.
            Some(id) => !id.is_accepted() && (is_at_hand || self.addresses.names_us(&host)),
            // The sockets are those of whoever drives the machine.
            None => {
                let port = port.unwrap_or_else(|| flow.protocol().default_port());
                is_at_hand && port == flow.local().port()
            }
        }
    }

    fn receive_malformed(&mut self, now: Instant, flow: Flow, contents: &[u8], error: &ParseError) {
        self.stats.malformed += 1;
        if self.log_lines.take(now) {
            tracing::debug!(?flow, %error, "malformed message");
        }
        let Some(mut response) = reject(contents, error) else {
            return;
        };
        if !self.answers.take(now) {
            self.stats.malformed_unanswered += 1;
            return;
        }
        let Ok(via) = response.via() else {
            return;
        };
        let back = return_flow(&flow, &via);
        via::stamp(response.headers_mut(), &flow, None);
        if self.send(now, &back, response.to_bytes()).is_ok() {
            self.stats.malformed_answered += 1;
        }
    }

    pub(super) fn receive_opened(&mut self, now: Instant, flow: Flow, id: StreamId) {
        if id.is_accepted() {
            return self.receive_accepted(now, flow, id);
        }
        if self.connections.begin(now, id, flow.local()) {
            if self.held {
                self.transmits.push_back(Transmit::Pause { flow });
            }
            self.settle(now, id);
        } else {
            // It was given up before it was open.
            self.transmits.push_back(Transmit::Close { flow });
        }
    }

    fn receive_accepted(&mut self, now: Instant, flow: Flow, id: StreamId) {
        if self.connections.get(id).is_some() {
            return;
        }
        let listener = self.addresses.listener_at(flow.protocol(), flow.local());
        let announcers = listener.and_then(|id| self.addresses.get(id)?.announcers());
        let announced = announcers.map(|by| by.contains(&flow.remote().ip().to_canonical()));
        let stream = if self.connections.len() >= self.config.connections {
            self.stats.connections_refused += 1;
            None
        } else if announced == Some(false) {
            self.stats.connections_unannounced += 1;
            None
        } else {
            let stream = self.accepted_stream(now, &flow, listener);
            self.stats.connections_refused += u64::from(stream.is_none());
            stream
        };
        let Some(stream) = stream else {
            self.transmits.push_back(Transmit::Close { flow });
            return;
        };
        let preface = announced.map(|_| Preface::default());
        let is_announced = preface.is_some();
        self.connections
            .accept(now, flow, id, listener, stream, preface);
        if is_announced {
            self.connections.rearm(id, &self.config);
        } else if self.connections.admit(id, &self.config) {
            self.begin(now, id);
        } else {
            return self.limited(id);
        }
        self.stats.accepted += 1;
        if self.held {
            self.transmits.push_back(Transmit::Pause { flow });
        }
    }

    pub(super) fn receive_closed(&mut self, id: StreamId, reason: CloseReason) {
        if let Some(gone) = self.connections.remove(id) {
            match reason {
                CloseReason::Refused(_) => self.stats.connections_failed += 1,
                _ if gone.is_opening() => self.stats.handshakes_failed += 1,
                _ => {}
            }
            self.tell_users(&gone, reason);
            self.tell_closed(&gone, reason);
        }
    }

    pub(super) fn receive_bound(
        &mut self,
        id: ListenerId,
        result: Result<SocketAddr, io::ErrorKind>,
    ) {
        match result {
            Ok(local) => {
                if self.addresses.set_bound(id, local) {
                    let listener = id;
                    self.events.push_back(Event::Listening { listener, local });
                }
            }
            Err(reason) => {
                if self.addresses.remove(id) {
                    self.engines.remove(id);
                    let listener = id;
                    self.events
                        .push_back(Event::ListenFailed { listener, reason });
                }
            }
        }
    }

    pub(super) fn receive_network(&mut self, addresses: Vec<IpAddr>) {
        if self.addresses.set_interfaces(addresses) {
            self.events.push_back(Event::NetworkChanged);
        }
    }

    pub(super) fn receive_failed(&mut self, flow: Flow, reason: FailReason) {
        // A failed datagram concerns a peer, not the socket.
        self.stats.undelivered += 1;
        self.events.push_back(Event::Failed { flow, reason });
    }

    /// Ends a connection by our own decision.
    pub(super) fn end(&mut self, id: StreamId, reason: CloseReason) {
        if let Some(mut gone) = self.connections.remove(id) {
            self.hang_up(&mut gone);
            self.tell_closed(&gone, reason);
        }
    }

    /// Closes a connection that is forgotten already, after what its layers have to say.
    pub(super) fn hang_up(&mut self, gone: &mut Connection) {
        let flow = gone.flow;
        self.tell_users(gone, CloseReason::Idle);
        gone.stream.close();
        if let Some(contents) = gone.stream.output() {
            self.send_bytes(flow, contents);
        }
        self.transmits.push_back(Transmit::Close { flow });
    }

    pub(super) fn tell_closed(&mut self, gone: &Connection, reason: CloseReason) {
        if gone.is_told() {
            let flow = gone.flow;
            self.events.push_back(Event::Closed { flow, reason });
        }
    }

    /// Writes what must not wait for anybody's decision.
    fn write(&mut self, now: Instant, id: StreamId, message: Bytes) {
        if let Write::Now(flow, contents) = self.connections.write(now, id, message, &self.config) {
            self.send_bytes(flow, contents);
        }
    }

    pub(super) fn send_datagram(&mut self, flow: Flow, contents: Bytes) {
        self.stats.datagrams_out += 1;
        self.transmits
            .push_back(Transmit::Datagram { flow, contents });
    }

    pub(super) fn send_bytes(&mut self, flow: Flow, contents: Bytes) {
        self.stats.stream_bytes_out += contents.len() as u64;
        self.transmits
            .push_back(Transmit::Stream { flow, contents });
    }
}
