//! The adapter to tokio.

mod udp;
#[cfg(unix)]
mod watched;
#[cfg(not(unix))]
#[path = "watched_whole.rs"]
mod watched;

use crate::{
    os::{self, Datagrams},
    runtime::{BoxFuture, Runtime, TcpListener, TcpStream, Timer, UdpSocket},
};
use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Instant, SystemTime},
};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net,
    runtime::Handle,
    time::{Sleep, sleep_until},
};
use udp::TokioUdp;

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
        Ok(Box::new(TokioUdp::new(
            &self.handle,
            Datagrams::bind(local)?,
        )?))
    }

    fn bind_udp_shared(&self, local: SocketAddr) -> io::Result<Box<dyn UdpSocket>> {
        Ok(Box::new(TokioUdp::new(
            &self.handle,
            Datagrams::bind_shared(local)?,
        )?))
    }

    fn listen_tcp(&self, local: SocketAddr) -> io::Result<Box<dyn TcpListener>> {
        let _context = self.handle.enter();
        let listener = net::TcpListener::from_std(os::listen(local)?)?;
        Ok(Box::new(TokioListener(listener)))
    }

    fn listen_tcp_shared(&self, local: SocketAddr) -> io::Result<Box<dyn TcpListener>> {
        let _context = self.handle.enter();
        let listener = net::TcpListener::from_std(os::listen_shared(local)?)?;
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

    fn set_dscp(&self, dscp: u8) -> io::Result<()> {
        os::set_dscp(&self.0, self.0.local_addr()?, dscp)
    }
}
