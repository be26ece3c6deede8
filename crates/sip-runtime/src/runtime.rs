//! What a driver needs from the world.

use crate::{activity::Activity, interfaces, names::NameService};
use bytes::Bytes;
use sip_io::{FailReason, Shard};
use std::{
    fmt,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Instant, SystemTime},
};

/// A future on the heap that may move between threads.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Clock, chance, tasks and sockets.
///
/// Object-safe, so it is held as `Arc<dyn Runtime>` and no public type gains a parameter; sockets are poll-based and
/// the virtual call is made once per batch. Ready-made are `Tokio`, `Smol`, `Thread` and the simulator's `sim::Host`,
/// each behind the feature of its name.
///
/// An own runtime gives the first eight methods; the others have defaults that ask the system.
///
/// ```
/// # #[cfg(feature = "tokio")] {
/// use sip_runtime::{BoxFuture, Runtime, TcpListener, TcpStream, Timer, Tokio, UdpSocket};
/// use std::{io, net::SocketAddr, pin::Pin, sync::mpsc, time::{Instant, SystemTime}};
///
/// /// Clock and sockets of the ready-made runtime, tasks on the application's own pool.
/// struct OnPool { sockets: Tokio, pool: mpsc::SyncSender<BoxFuture<()>> }
///
/// impl Runtime for OnPool {
///     fn now(&self) -> Instant { self.sockets.now() }
///     fn wall_clock(&self) -> SystemTime { self.sockets.wall_clock() }
///     fn entropy(&self, seed: &mut [u8]) { self.sockets.entropy(seed) }
///     fn spawn(&self, task: BoxFuture<()>) { self.pool.send(task).ok(); }
///     fn timer(&self, at: Instant) -> Pin<Box<dyn Timer>> { self.sockets.timer(at) }
///     fn bind_udp(&self, local: SocketAddr) -> io::Result<Box<dyn UdpSocket>> { self.sockets.bind_udp(local) }
///     fn listen_tcp(&self, local: SocketAddr) -> io::Result<Box<dyn TcpListener>> { self.sockets.listen_tcp(local) }
///     fn connect_tcp(&self, local: Option<SocketAddr>, remote: SocketAddr) -> BoxFuture<io::Result<Box<dyn TcpStream>>> {
///         self.sockets.connect_tcp(local, remote)
///     }
/// }
/// # }
/// ```
pub trait Runtime: Send + Sync + 'static {
    /// The clock that durations are counted on.
    fn now(&self) -> Instant;

    /// The time of day.
    fn wall_clock(&self) -> SystemTime;

    /// Fills `bytes` with what nobody can guess: the seed of every generator.
    fn entropy(&self, bytes: &mut [u8]);

    /// Runs a task beside the others.
    fn spawn(&self, task: BoxFuture<()>);

    /// A timer that completes at `at`.
    fn timer(&self, at: Instant) -> Pin<Box<dyn Timer>>;

    /// Binds a datagram socket. An IPv6 wildcard takes IPv4 datagrams as well.
    fn bind_udp(&self, local: SocketAddr) -> io::Result<Box<dyn UdpSocket>>;

    /// Listens for streams. An IPv6 wildcard takes IPv4 connections as well.
    fn listen_tcp(&self, local: SocketAddr) -> io::Result<Box<dyn TcpListener>>;

    /// Opens a stream, from `local` if given. Dropping the future gives the attempt up.
    fn connect_tcp(
        &self,
        local: Option<SocketAddr>,
        remote: SocketAddr,
    ) -> BoxFuture<io::Result<Box<dyn TcpStream>>>;

    /// As [`bind_udp`](Self::bind_udp), at an address that others of this program bind in the same way: the system gives
    /// each of them a part of what comes. Defaults to `Unsupported`.
    fn bind_udp_shared(&self, local: SocketAddr) -> io::Result<Box<dyn UdpSocket>> {
        let _ = local;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// As [`listen_tcp`](Self::listen_tcp), at an address that others of this program listen at in the same way.
    /// Defaults to `Unsupported`.
    fn listen_tcp_shared(&self, local: SocketAddr) -> io::Result<Box<dyn TcpListener>> {
        let _ = local;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The runtime that one of several [shards](crate::shards) runs on. Defaults to `None`, this one; a runtime of one
    /// thread gives each shard another.
    ///
    /// # Errors
    ///
    /// When the system has no thread for it.
    fn for_shard(&self, shard: Shard) -> io::Result<Option<Arc<dyn Runtime>>> {
        let _ = shard;
        Ok(None)
    }

    /// Who answers questions about names. Defaults to the system's configuration.
    fn name_service(&self) -> NameService {
        NameService::system()
    }

    /// The addresses of the interfaces, loopback included. Defaults to asking the system.
    fn interfaces(&self) -> Vec<IpAddr> {
        interfaces::system()
    }

    /// Whether the interfaces may change while programs run, so that drivers look at them from time to time. Defaults
    /// to yes.
    fn interfaces_may_change(&self) -> bool {
        true
    }

    /// Is told of every driver that starts on this runtime. Defaults to nothing; the simulator looks there to see
    /// whether all is quiet.
    fn watch(&self, activity: Arc<Activity>) {
        let _ = activity;
    }
}

/// A shared runtime is a runtime.
impl<R: Runtime + ?Sized> Runtime for Arc<R> {
    fn now(&self) -> Instant {
        (**self).now()
    }

    fn wall_clock(&self) -> SystemTime {
        (**self).wall_clock()
    }

    fn entropy(&self, bytes: &mut [u8]) {
        (**self).entropy(bytes);
    }

    fn spawn(&self, task: BoxFuture<()>) {
        (**self).spawn(task);
    }

    fn timer(&self, at: Instant) -> Pin<Box<dyn Timer>> {
        (**self).timer(at)
    }

    fn bind_udp(&self, local: SocketAddr) -> io::Result<Box<dyn UdpSocket>> {
        (**self).bind_udp(local)
    }

    fn listen_tcp(&self, local: SocketAddr) -> io::Result<Box<dyn TcpListener>> {
        (**self).listen_tcp(local)
    }

    fn connect_tcp(
        &self,
        local: Option<SocketAddr>,
        remote: SocketAddr,
    ) -> BoxFuture<io::Result<Box<dyn TcpStream>>> {
        (**self).connect_tcp(local, remote)
    }

    fn bind_udp_shared(&self, local: SocketAddr) -> io::Result<Box<dyn UdpSocket>> {
        (**self).bind_udp_shared(local)
    }

    fn listen_tcp_shared(&self, local: SocketAddr) -> io::Result<Box<dyn TcpListener>> {
        (**self).listen_tcp_shared(local)
    }

    fn for_shard(&self, shard: Shard) -> io::Result<Option<Arc<dyn Runtime>>> {
        (**self).for_shard(shard)
    }

    fn name_service(&self) -> NameService {
        (**self).name_service()
    }

    fn interfaces(&self) -> Vec<IpAddr> {
        (**self).interfaces()
    }

    fn interfaces_may_change(&self) -> bool {
        (**self).interfaces_may_change()
    }

    fn watch(&self, activity: Arc<Activity>) {
        (**self).watch(activity);
    }
}

impl fmt::Debug for dyn Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Runtime")
    }
}

/// Completes at its instant, and can be set again, also after it completed.
pub trait Timer: Future<Output = ()> + Send {
    /// Sets the timer to another instant.
    fn reset(self: Pin<&mut Self>, at: Instant);
}

/// A bound datagram socket.
pub trait UdpSocket: Send {
    /// Appends what has come to `batch`: at least one datagram or failure when ready.
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<io::Result<()>>;

    /// Sends one datagram now, or says `WouldBlock`; `FileTooLarge` if it is longer than datagrams can be. `source`
    /// selects the address that it leaves from when the socket is bound to a wildcard.
    fn try_send(
        &mut self,
        source: Option<IpAddr>,
        remote: SocketAddr,
        contents: &[u8],
    ) -> io::Result<()>;

    /// Sends a beginning of `batch`, at least one datagram, and says how many; what is said of the first one if that
    /// cannot leave is as for [`try_send`](Self::try_send), which is all that the default calls.
    fn try_send_batch(&mut self, batch: &[Datagram]) -> io::Result<usize> {
        let Some(first) = batch.first() else {
            return Ok(0);
        };
        self.try_send(first.local, first.remote, &first.contents)?;
        Ok(1)
    }

    /// Becomes ready when [`try_send`](Self::try_send) is worth trying after it said `WouldBlock`.
    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether [`poll_recv`](Self::poll_recv) is to wake its task, as it does at first. While not, it says `Pending`
    /// where nothing is there, also where it found out by the last batch, and wakes nobody but who asked before: whoever
    /// wants to know asks again. Who has it watched again asks once, and is woken from then on. An error changes
    /// nothing. Defaults to `Unsupported`.
    fn set_watched(&mut self, watched: bool) -> io::Result<()> {
        let _ = watched;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The bound address.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// Marks what is sent with a Differentiated Services code point (RFC 2474). Defaults to `Unsupported`.
    fn set_dscp(&self, dscp: u8) -> io::Result<()> {
        let _ = dscp;
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Takes streams that peers open.
pub trait TcpListener: Send {
    /// The next stream and who opened it.
    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Box<dyn TcpStream>, SocketAddr)>>;

    /// The bound address.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// An open stream. Dropping it closes it.
pub trait TcpStream: Send {
    /// Reads what is there; zero is the peer's end.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes a beginning of `bytes`, at least one byte.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Ends our direction; the peer may still write.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Our address.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// The peer's address.
    fn peer_addr(&self) -> io::Result<SocketAddr>;

    /// Marks what is sent with a Differentiated Services code point (RFC 2474). Defaults to `Unsupported`.
    fn set_dscp(&self, dscp: u8) -> io::Result<()> {
        let _ = dscp;
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Datagrams on their way from a socket to a machine, with the buffers that they were read into.
///
/// A driver keeps one batch for all its sockets. Each datagram is copied once, into memory of exactly its size, so
/// that what a transaction keeps never holds a larger buffer back.
#[derive(Debug, Default)]
pub struct Batch {
    pub(crate) datagrams: Vec<Datagram>,
    pub(crate) failures: Vec<Failure>,
    /// Read buffers, made when a socket of the system first asks for them
    #[cfg(feature = "_os")]
    pub(crate) space: Vec<u8>,
    /// Whether the last read found as many as it had asked for
    #[cfg(feature = "_os")]
    pub(crate) flooded: bool,
}

/// A datagram that came, or that is to leave.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Datagram {
    /// Which of the socket's addresses it came to or leaves from; `None` if the socket has but one, or cannot tell
    pub local: Option<IpAddr>,
    /// Who sent it, or gets it
    pub remote: SocketAddr,
    /// What it says
    pub contents: Bytes,
}

/// A datagram that was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) local: Option<IpAddr>,
    pub(crate) remote: SocketAddr,
    pub(crate) reason: FailReason,
}

impl Batch {
    /// How many datagrams are read at once; a socket that gave as many probably has more.
    pub const SIZE: usize = 32;

    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a datagram from `remote`. `local` is the address that it was sent to, `None` if the socket cannot tell
    /// (the bound address then stands for it).
    pub fn push(&mut self, local: Option<IpAddr>, remote: SocketAddr, contents: Bytes) {
        self.datagrams.push(Datagram {
            local,
            remote,
            contents,
        });
    }

    /// Adds the news that a datagram to `remote` was not delivered.
    pub fn fail(&mut self, local: Option<IpAddr>, remote: SocketAddr, reason: FailReason) {
        self.failures.push(Failure {
            local,
            remote,
            reason,
        });
    }

    /// How many datagrams and failures wait in it.
    pub fn len(&self) -> usize {
        self.datagrams.len() + self.failures.len()
    }

    /// Whether nothing waits in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// IPv4-mapped IPv6 addresses, which dual-stack sockets report, as the IPv4 addresses that they are.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    let mapped = match address {
        SocketAddr::V6(v6) => v6.ip().to_ipv4_mapped(),
        SocketAddr::V4(_) => None,
    };
    mapped.map_or(address, |v4| SocketAddr::from((v4, address.port())))
}
