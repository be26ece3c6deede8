//! Datagram sockets.

use crate::{
    os::{self, Datagrams, Received},
    runtime::{Batch, BoxFuture, Datagram, UdpSocket},
};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{io::Interest, net, runtime::Handle};

/// A datagram socket whose readiness tokio watches and whose calls quinn-udp makes.
pub(super) struct TokioUdp {
    socket: Arc<net::UdpSocket>,
    datagrams: Datagrams,
    /// Completes when the error queue has something, which tokio does not count as readable
    errors: BoxFuture<()>,
}

async fn error_of(socket: Arc<net::UdpSocket>) {
    if socket.ready(Interest::ERROR).await.is_err() {
        // The runtime is being shut down.
        std::future::pending().await
    }
}

impl TokioUdp {
    pub(super) fn new(
        handle: &Handle,
        (socket, datagrams): (std::net::UdpSocket, Datagrams),
    ) -> io::Result<Self> {
        let _context = handle.enter();
        let socket = Arc::new(net::UdpSocket::from_std(socket)?);
        Ok(Self {
            errors: Box::pin(error_of(Arc::clone(&socket))),
            socket,
            datagrams,
        })
    }
}

impl UdpSocket for TokioUdp {
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<io::Result<()>> {
        while self.errors.as_mut().poll(cx).is_ready() {
            let mut taken = false;
            // Said to block once the queue is empty, so that tokio forgets the readiness.
            let _: io::Result<()> = self.socket.try_io(Interest::ERROR, || {
                taken = self.datagrams.take_errors(&*self.socket, batch);
                Err(io::ErrorKind::WouldBlock.into())
            });
            self.errors = Box::pin(error_of(Arc::clone(&self.socket)));
            if taken {
                return Poll::Ready(Ok(()));
            }
        }
        loop {
            ready!(self.socket.poll_recv_ready(cx))?;
            let mut received = None;
            let result = self.socket.try_io(Interest::READABLE, || {
                let outcome = self.datagrams.recv(&*self.socket, batch)?;
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
        // Not through `try_io`, which refuses until the first readiness was reported.
        let send = || self.datagrams.send(&*self.socket, source, remote, contents);
        match send() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.socket.try_io(Interest::WRITABLE, send)
            }
            result => result,
        }
    }

    fn try_send_batch(&mut self, batch: &[Datagram]) -> io::Result<usize> {
        let send = || self.datagrams.send_batch(&*self.socket, batch);
        match send() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.socket.try_io(Interest::WRITABLE, send)
            }
            result => result,
        }
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_send_ready(cx)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn set_dscp(&self, dscp: u8) -> io::Result<()> {
        os::set_dscp(&*self.socket, self.socket.local_addr()?, dscp)
    }
}
