//! A datagram socket that tokio watches, where it watches for everything at once.

use std::{
    io,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::{io::Interest, net::UdpSocket, runtime::Handle};

/// A datagram socket that is watched for what comes and for room.
pub(super) struct Watched {
    socket: Arc<UdpSocket>,
}

impl Watched {
    pub(super) fn new(handle: &Handle, socket: std::net::UdpSocket) -> io::Result<Self> {
        let _context = handle.enter();
        let socket = Arc::new(UdpSocket::from_std(socket)?);
        Ok(Self { socket })
    }

    pub(super) fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Whether tokio watches for what comes: always.
    pub(super) fn is_watched(&self) -> bool {
        true
    }

    /// Refuses to leave the socket unwatched.
    pub(super) fn set_watched(&self, watched: bool) -> io::Result<()> {
        match watched {
            true => Ok(()),
            false => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Completes when the error queue may have something.
    pub(super) fn error(&self) -> impl Future<Output = ()> + Send + 'static {
        let socket = Arc::clone(&self.socket);
        async move {
            if socket.ready(Interest::ERROR).await.is_err() {
                // The runtime is being shut down.
                std::future::pending().await
            }
        }
    }

    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_recv_ready(cx)
    }

    /// Runs `io`; when it says `WouldBlock`, tokio forgets the readiness.
    pub(super) fn try_io<R>(
        &self,
        interest: Interest,
        io: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        self.socket.try_io(interest, io)
    }

    /// Runs `send`, once more when it says `WouldBlock`: so that tokio forgets the readiness.
    pub(super) fn try_send<R>(&self, send: impl Fn() -> io::Result<R>) -> io::Result<R> {
        // Not through `try_io` alone, which refuses until the first readiness was reported.
        match send() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.socket.try_io(Interest::WRITABLE, send)
            }
            result => result,
        }
    }

    /// Becomes ready when there is room.
    pub(super) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_send_ready(cx)
    }
}
