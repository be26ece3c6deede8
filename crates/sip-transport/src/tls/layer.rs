//! One TLS connection: its bytes in, clear text up, clear text down, its bytes out.

use std::{
    io::{self, BufRead, Write},
    net::IpAddr,
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use rustls::{CertificateError, Connection, Error};

use super::engine::Clock;
use crate::{
    event::{CloseReason, HandshakeFailure},
    identity::PeerIdentity,
    stream::StreamError,
};
use sip_message::Host;

/// What rustls holds of one connection.
pub(crate) struct TlsLayer {
    connection: Connection,
    clock: Arc<Clock>,
    wildcards: bool,
    /// Which of our identities and whose trust it is made with
    trust: u32,
    /// Whether the peer's certificate was verified, if it has one
    verified: bool,
    /// The peer has said goodbye
    over: bool,
}

impl TlsLayer {
    pub(super) fn new(
        mut connection: Connection,
        clock: Arc<Clock>,
        wildcards: bool,
        trust: u32,
    ) -> Self {
        // What is written is taken out at once, and the queue behind is bounded.
        connection.set_buffer_limit(None);
        Self {
            connection,
            clock,
            wildcards,
            trust,
            verified: true,
            over: false,
        }
    }

    /// The peer is believed without proof.
    pub(super) const fn proves_nothing(&mut self) {
        self.verified = false;
    }

    /// Takes in what came, and hands clear text up.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        mut contents: &[u8],
        mut up: impl FnMut(&[u8]) -> Result<(), StreamError>,
    ) -> Result<(), StreamError> {
        self.clock.set(now);
        while !contents.is_empty() && !self.over {
            let broken = |_| StreamError::Over(CloseReason::Broken(io::ErrorKind::InvalidData));
            self.connection.read_tls(&mut contents).map_err(broken)?;
            let processed = self.connection.process_new_packets();
            // What was in order before an error counts.
            let mut reader = self.connection.reader();
            while let Ok(clear) = reader.fill_buf()
                && !clear.is_empty()
            {
                let length = clear.len();
                up(clear)?;
                reader.consume(length);
            }
            match processed {
                Ok(state) => self.over = state.peer_has_closed(),
                Err(error) => return Err(StreamError::Over(self.reason(&error))),
            }
        }
        Ok(())
    }

    /// Takes in clear text.
    pub(crate) fn write(&mut self, clear: &[u8]) {
        self.connection
            .writer()
            .write_all(clear)
            .expect("the buffer has no limit");
    }

    /// What goes to the peer.
    pub(crate) fn output(&mut self) -> Option<Bytes> {
        let mut out = Vec::new();
        while self.connection.wants_write() {
            self.connection
                .write_tls(&mut out)
                .expect("a vector takes everything");
        }
        (!out.is_empty()).then(|| out.into())
    }

    /// Says goodbye, unless an alert has said it.
    pub(crate) fn close(&mut self) {
        self.connection.send_close_notify();
    }

    pub(crate) fn is_established(&self) -> bool {
        !self.connection.is_handshaking()
    }

    /// Whether the peer has said goodbye.
    pub(crate) const fn is_over(&self) -> bool {
        self.over
    }

    /// Who the peer has proved to be.
    pub(crate) fn peer_identity(&self) -> Option<PeerIdentity> {
        if !self.verified || !self.is_established() {
            return None;
        }
        let certificates = self.connection.peer_certificates()?;
        Some(PeerIdentity::new(certificates.to_vec(), self.wildcards))
    }

    /// Which of our identities and whose trust it was made with.
    pub(crate) const fn trust(&self) -> u32 {
        self.trust
    }

    /// Whether the peer has proved who it is.
    pub(crate) fn knows_peer(&self) -> bool {
        self.verified && self.is_established() && self.connection.peer_certificates().is_some()
    }

    /// Whether the peer has proved to be `name`, or `address` where there is no name.
    pub(crate) fn speaks_for(&self, name: Option<&str>, address: IpAddr) -> bool {
        let host = match name {
            Some(name) => Host::parse(name).ok(),
            None => Some(Host::from(address)),
        };
        host.zip(self.peer_identity())
            .is_some_and(|(host, peer)| peer.speaks_for(&host))
    }

    fn reason(&self, error: &Error) -> CloseReason {
        let handshaking = self.connection.is_handshaking();
        CloseReason::Handshake(match error {
            Error::AlertReceived(alert) if !handshaking => {
                return CloseReason::Alert(u8::from(*alert));
            }
            _ if !handshaking => return CloseReason::Broken(io::ErrorKind::InvalidData),
            Error::AlertReceived(alert) => HandshakeFailure::Alert(u8::from(*alert)),
            Error::InvalidCertificate(error) => certificate_failure(error),
            Error::NoCertificatesPresented => HandshakeFailure::NoCertificate,
            Error::InvalidMessage(_) | Error::PeerSentOversizedRecord => HandshakeFailure::Garbled,
            _ => HandshakeFailure::Disagreement,
        })
    }
}

fn certificate_failure(error: &CertificateError) -> HandshakeFailure {
    use CertificateError as E;
    match error {
        E::NotValidForName | E::NotValidForNameContext { .. } => HandshakeFailure::WrongName,
        E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. } => {
            HandshakeFailure::OutOfDate
        }
        E::UnknownIssuer | E::BadSignature => HandshakeFailure::Untrusted,
        _ => HandshakeFailure::BadCertificate,
    }
}
