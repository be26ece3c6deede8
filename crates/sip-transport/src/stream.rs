//! Bytes of a connection in, messages out.
//!
//! ```text
//!   bytes -> push ---> TLS ---> framer, or WebSocket ---> next -> messages
//!   bytes <- output <- TLS <- (framer, or) WebSocket <--- write <- messages
//! ```
//!
//! A connection is of use when every layer's handshake is over ([`Stream::is_established`]); until then
//! [`Stream::output`] alone says what goes to the peer.

use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use bytes::Bytes;

use crate::{event::CloseReason, tls::TlsLayer, ws::WebSocket};
use sip_message::{Frame, FrameError, Limits, StreamFramer};

/// What one connection carries, layer by layer.
pub(crate) struct Stream {
    pub(crate) tls: Option<Box<TlsLayer>>,
    top: Top,
    state: State,
}

/// What finds messages in the bytes of a connection, once those are in clear text.
///
/// A variant whose peers shake hands says so in `is_established`, begins in `open`, and leaves what it has to tell the
/// peer for `output`.
pub(crate) enum Top {
    /// RFC 3261 §18.3: Content-Length
    Framer(Framer),
    /// RFC 7118: one message in each of its own
    WebSocket(Box<WebSocket>),
}

/// How far the layers below the messages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The connection is not open
    Waiting,
    /// TLS shakes hands
    Securing,
    /// The top layer may speak
    Open,
}

/// Why nothing more can be read from a connection.
#[derive(Debug)]
pub(crate) enum StreamError {
    /// The boundaries of messages are lost, and a response may be owed
    Frame(FrameError),
    /// A layer says that it is over; what it tells the peer is in [`Stream::output`]
    Over(CloseReason),
}

impl Stream {
    /// A stream of these layers.
    pub(crate) fn new(tls: Option<TlsLayer>, top: Top) -> Self {
        Self {
            tls: tls.map(Box::new),
            top,
            state: State::Waiting,
        }
    }

    /// Says whom the connection is from, before it is open.
    pub(crate) fn introduced(&mut self, source: SocketAddr) {
        match &mut self.top {
            Top::Framer(_) => {}
            Top::WebSocket(socket) => socket.introduced(source),
        }
    }

    /// Whether somebody between us has still to say who the peer is.
    pub(crate) fn is_to_be_introduced(&self) -> bool {
        match &self.top {
            Top::Framer(_) => false,
            Top::WebSocket(socket) => socket.is_to_be_introduced(),
        }
    }

    /// The connection below is open: handshakes begin.
    pub(crate) fn open(&mut self, now: Instant) {
        if self.state == State::Waiting {
            self.state = State::Securing;
            self.secured(now);
        }
    }

    /// The top layer may speak as soon as TLS lets it.
    fn secured(&mut self, now: Instant) {
        let secured = self.tls.as_ref().is_none_or(|tls| tls.is_established());
        if self.state == State::Securing && secured {
            self.state = State::Open;
            self.top.open(now);
        }
    }

    /// Takes in what was read. Messages have to be taken out before more is pushed, also after an error: they came
    /// before it.
    pub(crate) fn push(&mut self, now: Instant, contents: &[u8]) -> Result<(), StreamError> {
        let Some(tls) = &mut self.tls else {
            return self.top.push(now, contents);
        };
        let (top, state) = (&mut self.top, &mut self.state);
        let received = tls.receive(now, contents, |clear| {
            // Clear text is there only after the handshake, if in one piece with it.
            if *state == State::Securing {
                *state = State::Open;
                top.open(now);
            }
            top.push(now, clear)
        });
        self.secured(now);
        received
    }

    /// The next message or keep-alive, until `None`.
    pub(crate) fn next(&mut self, now: Instant) -> Result<Option<Frame>, StreamError> {
        match self.top.next(now) {
            Ok(None) if self.tls.as_ref().is_some_and(|tls| tls.is_over()) => {
                Err(StreamError::Over(CloseReason::ByPeer))
            }
            next => next,
        }
    }

    /// Whether the only thing that waits is the answer to a keep-alive of ours; it is taken out.
    pub(crate) fn take_pong(&mut self) -> bool {
        match &mut self.top {
            Top::Framer(framer) => framer.framer.take_pong(),
            // There each keep-alive is a message of its own.
            Top::WebSocket(_) => false,
        }
    }

    /// What goes to the peer for `message`, after whatever waited in [`output`](Self::output).
    pub(crate) fn write(&mut self, message: Bytes) -> Bytes {
        let contents = self.top.write(message);
        let Some(tls) = &mut self.tls else {
            return contents;
        };
        tls.write(&contents);
        tls.output().unwrap_or_default()
    }

    /// All that the layers themselves have to tell the peer; to be asked for after each call.
    pub(crate) fn output(&mut self) -> Option<Bytes> {
        let contents = self.top.output();
        let Some(tls) = &mut self.tls else {
            return contents;
        };
        if let Some(contents) = contents {
            tls.write(&contents);
        }
        tls.output()
    }

    /// Its handshakes have taken too long: a peer that can be told why is told, before the goodbye.
    pub(crate) fn time_out(&mut self) {
        match &mut self.top {
            Top::Framer(_) => {}
            Top::WebSocket(socket) => socket.time_out(),
        }
    }

    /// Says goodbye; what that takes is in [`output`](Self::output).
    pub(crate) fn close(&mut self) {
        self.top.close();
        if let Some(tls) = &mut self.tls {
            if let Some(contents) = self.top.output() {
                tls.write(&contents);
            }
            tls.close();
        }
    }

    /// Whether messages can travel: no handshake is owed any more.
    pub(crate) const fn is_established(&self) -> bool {
        matches!(self.state, State::Open) && self.top.is_established()
    }

    /// Since when a message has been incomplete.
    pub(crate) const fn begun(&self) -> Option<Instant> {
        self.top.begun()
    }

    /// When [`keep_alive`](Self::keep_alive) has something to do.
    pub(crate) fn wake(&self) -> Option<Instant> {
        match &self.top {
            Top::Framer(_) => None,
            Top::WebSocket(socket) => socket.wake(),
        }
    }

    /// Asks a peer that has been silent for long whether it lives; what that takes is in [`output`](Self::output).
    pub(crate) fn keep_alive(&mut self, now: Instant) {
        match &mut self.top {
            Top::Framer(_) => {}
            Top::WebSocket(socket) => socket.keep_alive(now),
        }
    }

    /// Until when a peer that was asked has to give a sign of life.
    pub(crate) fn silent(&self) -> Option<Instant> {
        match &self.top {
            Top::Framer(_) => None,
            Top::WebSocket(socket) => socket.silent(),
        }
    }

    /// Whether its peer has had to ask for it before messages could travel.
    pub(crate) const fn is_asked_for(&self) -> bool {
        matches!(self.top, Top::WebSocket(_))
    }

    /// Who the peer is, where somebody between us says so who is believed.
    pub(crate) const fn address(&self) -> Option<IpAddr> {
        match &self.top {
            Top::Framer(_) => None,
            Top::WebSocket(socket) => socket.address(),
        }
    }
}

#[allow(clippy::needless_pass_by_ref_mut)] // a layer that shakes hands changes with each
impl Top {
    /// What all but WebSocket have on top.
    pub(crate) fn framer(limits: Limits) -> Self {
        Self::Framer(Framer {
            framer: StreamFramer::new(limits),
            begun: None,
        })
    }

    fn open(&mut self, _now: Instant) {
        match self {
            Self::Framer(_) => {}
            Self::WebSocket(socket) => socket.open(),
        }
    }

    fn push(&mut self, now: Instant, contents: &[u8]) -> Result<(), StreamError> {
        match self {
            Self::Framer(framer) => framer.framer.push(contents),
            Self::WebSocket(socket) => socket.push(now, contents).map_err(StreamError::Over)?,
        }
        Ok(())
    }

    fn next(&mut self, now: Instant) -> Result<Option<Frame>, StreamError> {
        match self {
            Self::Framer(framer) => framer.next(now).map_err(StreamError::Frame),
            Self::WebSocket(socket) => socket.next(now).map_err(StreamError::Over),
        }
    }

    fn write(&mut self, message: Bytes) -> Bytes {
        match self {
            Self::Framer(_) => message,
            Self::WebSocket(socket) => socket.write(message),
        }
    }

    fn output(&mut self) -> Option<Bytes> {
        match self {
            Self::Framer(_) => None,
            Self::WebSocket(socket) => socket.output(),
        }
    }

    fn close(&mut self) {
        match self {
            Self::Framer(_) => {}
            Self::WebSocket(socket) => socket.close(),
        }
    }

    const fn is_established(&self) -> bool {
        match self {
            Self::Framer(_) => true,
            Self::WebSocket(socket) => socket.is_established(),
        }
    }

    const fn begun(&self) -> Option<Instant> {
        match self {
            Self::Framer(framer) => framer.begun,
            Self::WebSocket(socket) => socket.begun(),
        }
    }
}

/// Cuts clear text into messages.
#[derive(Debug)]
pub(crate) struct Framer {
    framer: StreamFramer,
    /// Since when a message has been incomplete
    begun: Option<Instant>,
}

impl Framer {
    fn next(&mut self, now: Instant) -> Result<Option<Frame>, FrameError> {
        let frame = self.framer.next();
        match frame {
            // Up to three bytes may be a keep-alive that is not complete yet, and stays so.
            Ok(None) if self.framer.buffered() > 3 => {
                self.begun.get_or_insert(now);
            }
            _ => self.begun = None,
        }
        frame
    }
}
