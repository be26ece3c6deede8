//! SIP over WebSocket (RFC 7118): bytes in, messages out.
//!
//! ```text
//!   server:  request ---> 101 ---> frames        client:  (request) ---> 101 ---> frames
//!                \--> 400 401 403 404 408 426                      \--> anything else
//! ```
//!
//! One WebSocket message holds one SIP message, whatever its Content-Length, or a keep-alive of RFC 5626 §3.5.1.

mod config;
mod frames;
mod upgrade;

#[cfg(test)]
pub(crate) mod tests;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use tungstenite::protocol::{Role, frame::coding::CloseCode};

use crate::event::{CloseReason, HandshakeFailure};
use frames::{Data, Frames};
use sip_message::{
    Frame, Limits, Message, StreamFramer,
    headers::{ContentLength, ContentType},
};
use upgrade::{Admitted, Head, Refused};

pub use config::{Refusal, WebSocketConfig};
pub use upgrade::Upgrade;

/// One WebSocket, on top of a connection or of TLS.
pub(crate) struct WebSocket {
    config: Arc<WebSocketConfig>,
    limits: Limits,
    message_size: usize,
    state: State,
    output: BytesMut,
    /// Since when a message has been incomplete
    begun: Option<Instant>,
    /// Who the peer is, where a trusted proxy says so
    address: Option<IpAddr>,
    /// When the peer was last heard
    heard: Option<Instant>,
    /// Until when it has to answer a ping
    answer_due: Option<Instant>,
}

enum State {
    /// The connection is not open below, and this host is to be asked for
    Silent(String),
    /// The client's request is being read
    Answering { peer: SocketAddr, head: Head },
    /// The server's response is being read
    Asking { key: String, head: Head },
    /// Frames are exchanged
    Open(Box<Frames>),
    /// One of the two has said goodbye
    Over,
}

impl WebSocket {
    /// One that `peer` asks for.
    pub(crate) fn accepted(
        config: Arc<WebSocketConfig>,
        message_size: usize,
        peer: SocketAddr,
    ) -> Option<Self> {
        let head = Head::default();
        let state = State::Answering { peer, head };
        Some(Self::new(config, message_size, state))
    }

    /// One that we ask `host` for.
    pub(crate) fn opened(
        config: Arc<WebSocketConfig>,
        message_size: usize,
        host: String,
    ) -> Option<Self> {
        Some(Self::new(config, message_size, State::Silent(host)))
    }

    fn new(config: Arc<WebSocketConfig>, message_size: usize, state: State) -> Self {
        Self {
            config,
            limits: Limits::default()
                .message_size(message_size)
                .head_size(message_size),
            message_size,
            state,
            output: BytesMut::new(),
            begun: None,
            address: None,
            heard: None,
            answer_due: None,
        }
    }

    /// Says whom the connection is from, before its client asks for anything.
    pub(crate) const fn introduced(&mut self, source: SocketAddr) {
        if let State::Answering { peer, .. } = &mut self.state {
            *peer = source;
        }
    }

    /// Whether a trusted proxy has still to say whom it is from.
    pub(crate) fn is_to_be_introduced(&self) -> bool {
        let State::Answering { peer, .. } = &self.state else {
            return false;
        };
        let address = peer.ip().to_canonical();
        self.config.trusted_proxies.contains(&address)
    }

    /// The connection below is open: a client asks.
    pub(crate) fn open(&mut self) {
        if let State::Silent(host) = &self.state {
            let (text, key) = upgrade::request(host, &self.config);
            let head = Head::default();
            self.state = State::Asking { key, head };
            self.output.extend_from_slice(text.as_bytes());
        }
    }

    /// Takes in what was read.
    pub(crate) fn push(&mut self, now: Instant, bytes: &[u8]) -> Result<(), CloseReason> {
        self.heard = Some(now);
        self.answer_due = None;
        let failed = match &mut self.state {
            State::Silent(_) | State::Over => return Ok(()),
            State::Open(frames) => {
                frames.push(bytes);
                return Ok(());
            }
            State::Answering { peer, head } => {
                let whole = head.push(bytes, self.config.head_size);
                let admitted = match whole {
                    // What is another protocol will not become a request by waiting for its end.
                    Ok(None) if head.may_be_get() => return Ok(()),
                    Ok(None) | Err(_) => Err(upgrade::bad_request()),
                    Ok(Some((head, rest))) => {
                        upgrade::answer(&head, *peer, &self.config).map(|admitted| (admitted, rest))
                    }
                };
                match admitted {
                    Ok((Admitted { response, address }, rest)) => {
                        self.output.extend_from_slice(&response);
                        self.address = address;
                        self.begin(Role::Server, &rest);
                        return Ok(());
                    }
                    Err(Refused { response, failure }) => {
                        self.output.extend_from_slice(&response);
                        failure
                    }
                }
            }
            State::Asking { key, head } => match head.push(bytes, self.config.head_size) {
                Ok(None) => return Ok(()),
                Ok(Some((head, rest))) => match upgrade::verify(&head, key) {
                    Ok(()) => {
                        self.begin(Role::Client, &rest);
                        return Ok(());
                    }
                    Err(failure) => failure,
                },
                Err(_) => HandshakeFailure::NotWebSocket,
            },
        };
        self.state = State::Over;
        Err(CloseReason::Handshake(failed))
    }

    fn begin(&mut self, role: Role, rest: &[u8]) {
        let mut frames = Frames::new(role, self.message_size, self.config.fragments);
        frames.push(rest);
        self.state = State::Open(Box::new(frames));
    }

    /// The next message or keep-alive, until `None`.
    pub(crate) fn next(&mut self, now: Instant) -> Result<Option<Frame>, CloseReason> {
        loop {
            let State::Open(frames) = &mut self.state else {
                return Ok(None);
            };
            let message = match frames.next() {
                Ok(Some(Data::Message(message))) => message,
                Ok(Some(Data::Goodbye)) => {
                    self.end();
                    return Err(CloseReason::ByPeer);
                }
                Ok(None) => {
                    self.begun = frames.is_within().then(|| self.begun.unwrap_or(now));
                    return Ok(None);
                }
                Err(code) => return Err(self.fail(code, "")),
            };
            self.begun = None;
            match self.single(message) {
                Ok(Some(frame)) => return Ok(Some(frame)),
                Ok(None) => {}
                Err(reason) => return Err(reason),
            }
        }
    }

    /// What a WebSocket message holds: one SIP message or keep-alive (RFC 7118 §5), or nothing.
    fn single(&mut self, contents: Bytes) -> Result<Option<Frame>, CloseReason> {
        let mut framer = StreamFramer::new(self.limits);
        framer.push(&contents);
        let mut begins = true;
        loop {
            match framer.next() {
                Ok(Some(Frame::Message(message))) => {
                    let behind = framer.buffered();
                    let rest = contents.len().saturating_sub(behind);
                    let rest = contents.get(rest..).unwrap_or_default();
                    if rest.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
                        return Ok(Some(Frame::Message(message)));
                    }
                    return Err(self.fail(CloseCode::Protocol, ONE));
                }
                // Line ends alone are a keep-alive; before a message they mean nothing.
                Ok(Some(line_ends)) if begins && framer.buffered() == 0 => {
                    return Ok(Some(line_ends));
                }
                Ok(Some(_)) => begins = false,
                Ok(None) if contents.as_ref() == b"\r\n" => return Ok(Some(Frame::Pong)),
                Ok(None) if contents.iter().all(|byte| matches!(byte, b'\r' | b'\n')) => {
                    return Ok(None);
                }
                // RFC 7118 §5: without Content-Length, or with a wrong one, the frame ends the message.
                Ok(None) => return Ok(Some(Frame::Message(contents))),
                Err(_) if self.has_second(&contents) => {
                    return Err(self.fail(CloseCode::Protocol, ONE));
                }
                Err(_) => return Ok(Some(Frame::Message(contents))),
            }
        }
    }

    /// Whether what would be the body of a message without Content-Length is another message: a body has a type
    /// (RFC 3261 §20.15), also one that holds a message.
    fn has_second(&self, contents: &Bytes) -> bool {
        let Ok(message) = Message::parse_with(contents.clone(), &self.limits) else {
            return false;
        };
        let headers = message.headers();
        if headers.contains::<ContentLength>() || headers.contains::<ContentType>() {
            return false;
        }
        let mut lines = message.body().split(|byte| matches!(byte, b'\r' | b'\n'));
        let first = lines.next().unwrap_or_default();
        first.starts_with(b"SIP/2.0 ") || first.ends_with(b" SIP/2.0")
    }

    /// What goes to the peer for `message`, behind what waits in [`output`](Self::output).
    pub(crate) fn write(&mut self, message: Bytes) -> Bytes {
        if let State::Open(frames) = &mut self.state {
            frames.write(message);
        }
        self.output().unwrap_or_default()
    }

    /// What is to be told to the peer.
    pub(crate) fn output(&mut self) -> Option<Bytes> {
        if let State::Open(frames) = &mut self.state {
            let frames = frames.output();
            if self.output.is_empty() {
                return Some(frames).filter(|frames| !frames.is_empty());
            }
            self.output.extend_from_slice(&frames);
        }
        (!self.output.is_empty()).then(|| self.output.split().freeze())
    }

    /// Says goodbye, if nobody has yet.
    pub(crate) fn close(&mut self) {
        if let State::Open(frames) = &mut self.state {
            // RFC 6455 §7.4.1: a server that goes down or a page that is left.
            frames.close(CloseCode::Away, "");
            self.end();
        }
    }

    /// The client has taken too long to ask: it is told so, if it has begun.
    pub(crate) fn time_out(&mut self) {
        if let State::Answering { head, .. } = &self.state
            && head.has_begun()
        {
            let Refused { response, .. } = upgrade::request_timeout();
            self.output.extend_from_slice(&response);
            self.end();
        }
    }

    /// Whether frames are exchanged.
    pub(crate) const fn is_established(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Since when a message has been incomplete.
    pub(crate) const fn begun(&self) -> Option<Instant> {
        self.begun
    }

    /// When [`keep_alive`](Self::keep_alive) has something to do.
    pub(crate) fn wake(&self) -> Option<Instant> {
        let State::Open(_) = self.state else {
            return None;
        };
        match self.answer_due {
            Some(_) => None,
            None => Some(self.heard? + self.config.ping_interval?),
        }
    }

    /// Asks a peer that has been silent for long whether it lives.
    pub(crate) fn keep_alive(&mut self, now: Instant) {
        if self.wake().is_some_and(|wake| wake <= now)
            && let State::Open(frames) = &mut self.state
        {
            frames.ping();
            self.answer_due = Some(now + PONG_TIMEOUT);
        }
    }

    /// Until when a peer that was asked has to give a sign of life.
    pub(crate) const fn silent(&self) -> Option<Instant> {
        self.answer_due
    }

    /// Who the peer is, where a trusted proxy says so.
    pub(crate) const fn address(&self) -> Option<IpAddr> {
        self.address
    }

    fn fail(&mut self, code: CloseCode, reason: &'static str) -> CloseReason {
        if let State::Open(frames) = &mut self.state {
            frames.close(code, reason);
        }
        self.end();
        CloseReason::WebSocket(code.into())
    }

    /// Keeps what is still to be written, and nothing else.
    fn end(&mut self) {
        let output = self.output();
        self.output.extend_from_slice(&output.unwrap_or_default());
        self.state = State::Over;
        self.begun = None;
    }
}

/// RFC 7118 §5
const ONE: &str = "one SIP message in each";

/// How long a pong may take: as long as the answer to a CRLF keep-alive (RFC 5626 §4.4.1).
const PONG_TIMEOUT: Duration = Duration::from_secs(10);
