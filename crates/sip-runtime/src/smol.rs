//! The adapter to smol.

use crate::{
    os::{self, Datagrams, Received},
    runtime::{Batch, BoxFuture, Datagram, Runtime, TcpListener, TcpStream, Timer, UdpSocket},
};
use smol::{
    Async,
    io::{AsyncRead, AsyncWrite},
};
use std::{
    future::Future,
    io,
    net::{IpAddr, Shutdown, SocketAddr},
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Instant, SystemTime},
};

/// Sockets, clock and tasks of smol, whose executor and reactor are global.
///
/// ```
/// use sip_runtime::{Runtime, Smol};
///
/// let runtime = Smol::new();
/// let socket = runtime.bind_udp(([127, 0, 0, 1], 0).into())?;
/// assert_ne!(socket.local_addr()?.port(), 0);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Smol;

impl Smol {
    /// The runtime; it starts what it needs when it is first used.
    pub const fn new() -> Self {
        Self
    }
}

impl Runtime for Smol {
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
        smol::spawn(task).detach();
    }

    fn timer(&self, at: Instant) -> Pin<Box<dyn Timer>> {
        Box::pin(SmolTimer(smol::Timer::at(at)))
    }

    fn bind_udp(&self, local: SocketAddr) -> io::Result<Box<dyn UdpSocket>> {
        Ok(Box::new(SmolUdp::new(Datagrams::bind(local)?)?))
    }

    fn bind_udp_shared(&self, local: SocketAddr) -> io::Result<Box<dyn UdpSocket>> {
        Ok(Box::new(SmolUdp::new(Datagrams::bind_shared(local)?)?))
    }

    fn listen_tcp(&self, local: SocketAddr) -> io::Result<Box<dyn TcpListener>> {
        let listener = Async::new_nonblocking(os::listen(local)?)?;
        Ok(Box::new(SmolListener(listener)))
    }

    fn listen_tcp_shared(&self, local: SocketAddr) -> io::Result<Box<dyn TcpListener>> {
        let listener = Async::new_nonblocking(os::listen_shared(local)?)?;
        Ok(Box::new(SmolListener(listener)))
    }

    fn connect_tcp(
        &self,
        local: Option<SocketAddr>,
        remote: SocketAddr,
    ) -> BoxFuture<io::Result<Box<dyn TcpStream>>> {
        let stream = os::connect(local, remote).and_then(Async::new_nonblocking);
        Box::pin(async move {
            let stream = stream?;
            stream.writable().await?;
            match stream.get_ref().take_error()? {
                Some(error) => Err(error),
                None => Ok(Box::new(SmolStream(stream)) as Box<dyn TcpStream>),
            }
        })
    }
}

struct SmolTimer(smol::Timer);

impl Future for SmolTimer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(|_at| ())
    }
}

impl Timer for SmolTimer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.0.set_at(at);
    }
}

struct SmolUdp {
    socket: Async<std::net::UdpSocket>,
    datagrams: Datagrams,
    readable: Readable,
    watched: bool,
}

/// What is known of a socket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readable {
    Unknown,
    /// The reactor said so, which may be about the error queue alone
    Said,
    /// The last batch took all there was
    Empty,
}

impl SmolUdp {
    fn new((socket, datagrams): (std::net::UdpSocket, Datagrams)) -> io::Result<Self> {
        Ok(Self {
            socket: Async::new_nonblocking(socket)?,
            datagrams,
            readable: Readable::Unknown,
            watched: true,
        })
    }
}

impl UdpSocket for SmolUdp {
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<io::Result<()>> {
        if !self.watched {
            return self.datagrams.look(self.socket.get_ref(), batch);
        }
        loop {
            if self.readable == Readable::Empty {
                ready!(self.socket.poll_readable(cx))?;
                self.readable = Readable::Said;
            }
            match self.datagrams.recv(self.socket.get_ref(), batch) {
                Ok(received) => {
                    self.readable = match received {
                        Received::All => Readable::Empty,
                        Received::Some => Readable::Unknown,
                    };
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Left in its queue, an error would keep the socket readable for ever.
                    let said = self.readable == Readable::Said;
                    self.readable = Readable::Empty;
                    if said && self.datagrams.take_errors(self.socket.get_ref(), batch) {
                        return Poll::Ready(Ok(()));
                    }
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn try_send(
        &mut self,
        source: Option<IpAddr>,
        remote: SocketAddr,
        contents: &[u8],
    ) -> io::Result<()> {
        self.datagrams
            .send(self.socket.get_ref(), source, remote, contents)
    }

    fn try_send_batch(&mut self, batch: &[Datagram]) -> io::Result<usize> {
        self.datagrams.send_batch(self.socket.get_ref(), batch)
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_writable(cx)
    }

    fn set_watched(&mut self, watched: bool) -> io::Result<()> {
        self.watched = watched;
        self.readable = Readable::Unknown;
        Ok(())
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.get_ref().local_addr()
    }

    fn set_dscp(&self, dscp: u8) -> io::Result<()> {
        let socket = self.socket.get_ref();
        os::set_dscp(socket, socket.local_addr()?, dscp)
    }
}

struct SmolListener(Async<std::net::TcpListener>);

impl TcpListener for SmolListener {
    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Box<dyn TcpStream>, SocketAddr)>> {
        loop {
            match self.0.get_ref().accept() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.0.poll_readable(cx))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
                Ok((stream, remote)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "small messages will wait");
                    }
                    let stream = SmolStream(Async::new(stream)?);
                    return Poll::Ready(Ok((Box::new(stream), remote)));
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().local_addr()
    }
}

struct SmolStream(Async<std::net::TcpStream>);

impl TcpStream for SmolStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_shutdown(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.get_ref().shutdown(Shutdown::Write))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().local_addr()
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().peer_addr()
    }

    fn set_dscp(&self, dscp: u8) -> io::Result<()> {
        let stream = self.0.get_ref();
        os::set_dscp(stream, stream.local_addr()?, dscp)
    }
}
