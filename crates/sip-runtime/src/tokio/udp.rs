//! Datagram sockets.

use super::watched::Watched;
use crate::{
    os::{self, Datagrams, Received},
    runtime::{Batch, BoxFuture, Datagram, UdpSocket},
};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    task::{Context, Poll, ready},
};
use tokio::{io::Interest, runtime::Handle};

/// A datagram socket whose readiness tokio watches and whose calls quinn-udp makes.
pub(super) struct TokioUdp {
    socket: Watched,
    datagrams: Datagrams,
    /// Completes when the error queue has something, which tokio does not count as readable
    errors: BoxFuture<()>,
}

impl TokioUdp {
    pub(super) fn new(
        handle: &Handle,
        (socket, datagrams): (std::net::UdpSocket, Datagrams),
    ) -> io::Result<Self> {
        let socket = Watched::new(handle, socket)?;
        Ok(Self {
            errors: Box::pin(socket.error()),
            socket,
            datagrams,
        })
    }
}

impl UdpSocket for TokioUdp {
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<io::Result<()>> {
        if !self.socket.is_watched() {
            return self.datagrams.look(self.socket.socket(), batch);
        }
        while self.errors.as_mut().poll(cx).is_ready() {
            let mut taken = false;
            // Said to block once the queue is empty, so that tokio forgets the readiness.
            let _: io::Result<()> = self.socket.try_io(Interest::ERROR, || {
                taken = self.datagrams.take_errors(self.socket.socket(), batch);
                Err(io::ErrorKind::WouldBlock.into())
            });
            self.errors = Box::pin(self.socket.error());
            if taken {
                return Poll::Ready(Ok(()));
            }
        }
        loop {
            ready!(self.socket.poll_readable(cx))?;
            let mut received = None;
            let result = self.socket.try_io(Interest::READABLE, || {
                let outcome = self.datagrams.recv(self.socket.socket(), batch)?;
                received = Some(outcome);
                match outcome {
                    // Nothing is left: saying so here spares the call that would find out.
                    Received::All => Err(io::ErrorKind::WouldBlock.into()),
                    Received::Some => Ok(()),
                }
            });
            match result {
                Err(error) if received.is_none() => {
                    if error.kind() != io::ErrorKind::WouldBlock {
                        return Poll::Ready(Err(error));
                    }
                }
                _ => return Poll::Ready(Ok(())),
            }
        }
    }

    fn try_send(
        &mut self,
        source: Option<IpAddr>,
        remote: SocketAddr,
        contents: &[u8],
    ) -> io::Result<()> {
        let (socket, datagrams) = (self.socket.socket(), &self.datagrams);
        self.socket
            .try_send(|| datagrams.send(socket, source, remote, contents))
    }

    fn try_send_batch(&mut self, batch: &[Datagram]) -> io::Result<usize> {
        let (socket, datagrams) = (self.socket.socket(), &self.datagrams);
        self.socket.try_send(|| datagrams.send_batch(socket, batch))
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_writable(cx)
    }

    fn set_watched(&mut self, watched: bool) -> io::Result<()> {
        self.socket.set_watched(watched)?;
        self.errors = Box::pin(self.socket.error());
        Ok(())
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.socket().local_addr()
    }

    fn set_dscp(&self, dscp: u8) -> io::Result<()> {
        os::set_dscp(self.socket.socket(), self.local_addr()?, dscp)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::{net::Ipv4Addr, task::Waker};

    /// Who waits for errors holds the reactor's entry too.
    #[test]
    fn a_socket_that_is_not_watched_has_left_the_reactor() {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("starts");
        let bound = Datagrams::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("can bind");
        let mut udp = TokioUdp::new(tokio.handle(), bound).expect("can be watched");
        let _context = tokio.enter();
        let (mut cx, mut batch) = (Context::from_waker(Waker::noop()), Batch::new());
        for _ in 0..3 {
            assert!(udp.poll_recv(&mut cx, &mut batch).is_pending());
            let entry = udp.socket.entry();
            assert!(entry.upgrade().is_some());
            udp.set_watched(false).expect("has a descriptor");
            assert!(entry.upgrade().is_none());
            assert!(udp.poll_recv(&mut cx, &mut batch).is_pending());
            udp.set_watched(true).expect("has a descriptor");
        }
    }
}
