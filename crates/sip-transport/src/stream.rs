//! Bytes of a connection in, messages out.

use std::time::Instant;

use sip_message::{Frame, FrameError, Limits, StreamFramer};

/// What one connection carries, below its messages.
///
/// Bytes go in as they come; whole messages come out. A protocol that wraps the stream has its place here, between
/// [`push`](Self::push) and the framer.
#[derive(Debug)]
pub(crate) struct Stream {
    framer: StreamFramer,
    /// Since when a message has been incomplete
    begun: Option<Instant>,
}

impl Stream {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            framer: StreamFramer::new(limits),
            begun: None,
        }
    }

    /// Adds what was read.
    pub(crate) fn push(&mut self, contents: &[u8]) {
        self.framer.push(contents);
    }

    /// The next message or keep-alive, until `None`.
    pub(crate) fn next(&mut self, now: Instant) -> Result<Option<Frame>, FrameError> {
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

    /// Since when a message has been incomplete.
    pub(crate) const fn begun(&self) -> Option<Instant> {
        self.begun
    }
}
