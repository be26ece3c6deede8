//! Sockets that nobody watches.

use super::{Datagrams, Received, Sock};
use crate::runtime::Batch;
use std::{
    cell::Cell,
    io::{self, ErrorKind},
    task::Poll,
};

/// What is known of a socket without asking it.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The last read took all there was
    emptied: Cell<bool>,
    /// A send was told what ICMP said, and the error queue says about what
    complained: Cell<bool>,
}

impl Known {
    /// A send met an error that may be another datagram's.
    pub(super) fn complain(&self) {
        self.complained.set(true);
    }
}

impl Datagrams {
    /// Receives what is there, or says `Pending` once, and wakes nobody.
    pub(crate) fn look<S: Sock>(&self, socket: &S, batch: &mut Batch) -> Poll<io::Result<()>> {
        if self.known.emptied.take() {
            return Poll::Pending;
        }
        if self.known.complained.take() && self.take_errors(socket, batch) {
            return Poll::Ready(Ok(()));
        }
        match self.recv(socket, batch) {
            Ok(received) => {
                self.known.emptied.set(received == Received::All);
                Poll::Ready(Ok(()))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                // A socket that is not watched tells of its error queue only to who asks for it.
                if self.take_errors(socket, batch) {
                    Poll::Ready(Ok(()))
                } else {
                    Poll::Pending
                }
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}
