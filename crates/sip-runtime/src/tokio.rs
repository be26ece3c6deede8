//! The adapter to tokio.

use crate::{
    os::{self, Datagrams, Received},
    runtime::{Batch, BoxFuture, Runtime, TcpListener, TcpStream, Timer, UdpSocket},
};
use std::{
    fmt,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Instant, SystemTime},
};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net,
    runtime::Handle,
    time::{Sleep, sleep_until},
};

/// Sockets, clock and tasks of tokio.
///
/// The runtime must have its I/O and time drivers enabled. Everything is made on the runtime that the value names,
/// whatever thread asks.
///
/// ```
/// use sip_runtime::{Runtime, Tokio};
///
/// assert!(Tokio::current().is_err()); // no panic outside of tokio
///
/// let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// let runtime = tokio.block_on(async { Tokio::current() })?;
/// let socket = runtime.bind_udp(([127, 0, 0, 1], 0).into())?;
/// assert_ne!(socket.local_addr()?.port(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tokio {
    handle: Handle,
}

/// The calling thread runs no tokio runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no tokio runtime runs on this thread")]
pub struct NoContext;

impl Tokio {
    /// The runtime that the calling task runs on.
    pub fn current() -> Result<Self, NoContext> {
        match Handle::try_current() {
            Ok(handle) => Ok(Self { handle }),
            Err(_) => Err(NoContext),
        }
    }
}

impl From<Handle> for Tokio {
    fn from(handle: Handle) -> Self {
        Self { handle }
    }
}

impl Runtime for Tokio {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall_clock(&self) -> SystemTime {
        SystemTime::now()
    }

    fn entropy(&self, bytes: &mut [u8]) {
        os::entropy(bytes);
    }

    fn spawn(&self, task: BoxFuture<()>) {
        self.handle.spawn(task);
    }

    fn timer(&self, at: Instant) -> Pin<Box<dyn Timer>> {
        let _context = self.handle.enter();
        Box::pin(TokioTimer(Box::pin(sleep_until(at.into()))))
    }

    fn bind_udp(&self, local: SocketAddr) -> io::Result<Box<dyn UdpSocket>> {
        let _context = self.handle.enter();
        let (socket, datagrams) = Datagrams::bind(local)?;
        let socket = Arc::new(net::UdpSocket::from_std(socket)?);
        Ok(Box::new(TokioUdp {
            errors: Box::pin(error_of(Arc::clone(&socket))),
            socket,
            datagrams,
        }))
    }

    fn listen_tcp(&self, local: SocketAddr) -> io::Result<Box<dyn TcpListener>> {
        let _context = self.handle.enter();
        let listener = net::TcpListener::from_std(os::listen(local)?)?;
        Ok(Box::new(TokioListener(listener)))
    }

    fn connect_tcp(
        &self,
        local: Option<SocketAddr>,
        remote: SocketAddr,
    ) -> BoxFuture<io::Result<Box<dyn TcpStream>>> {
        let _context = self.handle.enter();
        let stream = os::connect(local, remote).and_then(net::TcpStream::from_std);
        Box::pin(async move {
            let stream = stream?;
            stream.writable().await?;
            match stream.take_error()? {
                Some(error) => Err(error),
                None => Ok(Box::new(TokioStream(stream)) as Box<dyn TcpStream>),
            }
        })
    }
}

struct TokioTimer(Pin<Box<Sleep>>);

impl Future for TokioTimer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl Timer for TokioTimer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.0.as_mut().reset(at.into());
    }
}

struct TokioUdp {
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

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_send_ready(cx)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

struct TokioListener(net::TcpListener);

impl TcpListener for TokioListener {
    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Box<dyn TcpStream>, SocketAddr)>> {
        let (stream, remote) = ready!(self.0.poll_accept(cx))?;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "small messages will wait");
        }
        Poll::Ready(Ok((Box::new(TokioStream(stream)), remote)))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

struct TokioStream(net::TcpStream);

impl TcpStream for TokioStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }
}

impl fmt::Debug for TokioUdp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokioUdp").field(&self.socket).finish()
    }
}
