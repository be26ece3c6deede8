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
    /// Receives one batch, or what ICMP has said, and wakes nobody. `Pending` is nothing there; after a batch that was all
    /// there was it is said once without asking.
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
            Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::runtime::Datagram;
    use std::net::{Ipv4Addr, UdpSocket};

    /// The error queue is not read at every look, and a send may be the one that is told of it.
    #[test]
    fn a_refusal_is_told_however_often_datagrams_come() {
        let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("can bind");
        let open = peer.local_addr().expect("is bound");
        let closed = (Ipv4Addr::new(127, 9, 9, 9), 9).into();
        for (together, remotes) in [
            (1, [closed].as_slice()),
            (1, &[closed, open]),
            (2, &[open, closed]),
            (2, &[closed, open]),
            (3, &[closed, open, open]),
            (4, &[open, closed, open, open]),
        ] {
            let (socket, datagrams) =
                Datagrams::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("can bind");
            socket.set_nonblocking(true).expect("is a socket");
            let local = socket.local_addr().expect("is bound");
            let to = |remote: &_| Datagram {
                local: None,
                remote: *remote,
                contents: "anyone?".into(),
            };
            let batch: Vec<_> = remotes.iter().map(to).collect();
            for batch in batch.chunks(together) {
                let mut rest = batch;
                while !rest.is_empty() {
                    let sent = datagrams.send_batch(&socket, rest).expect("leaves");
                    rest = &rest[sent..];
                }
            }
            let mut failures = Vec::new();
            for _ in 0..3 {
                peer.send_to(b"I am", local).expect("can send");
                let mut batch = Batch::new();
                while datagrams.look(&socket, &mut batch).is_ready() {}
                assert_eq!(batch.datagrams.len(), 1);
                failures.extend(batch.failures.iter().map(|failure| failure.remote));
            }
            assert_eq!(failures, [closed], "{remotes:?}");
        }
    }
}
