//! A thread of its own, for applications without any async runtime.

use crate::{
    runtime::{BoxFuture, Runtime, TcpListener, TcpStream, Timer, UdpSocket},
    smol::Smol,
};
use sip_io::Shard;
use smol::{Executor, channel};
use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    time::{Instant, SystemTime},
};

/// One thread that runs every task given to it, sockets and timers included.
///
/// Clones share the thread; it ends when the last of them and the last driver on it are gone.
///
/// ```
/// use sip_runtime::{Runtime, Thread};
///
/// let thread = Thread::new("sip")?;
/// let (sender, receiver) = std::sync::mpsc::channel();
/// thread.spawn(Box::pin(async move {
///     sender.send(std::thread::current().name().map(str::to_owned)).ok();
/// }));
/// assert_eq!(receiver.recv().ok().flatten().as_deref(), Some("sip"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Thread {
    sockets: Smol,
    executor: Arc<Executor<'static>>,
    name: Arc<str>,
    /// The thread goes on as long as somebody holds the other end
    _alive: channel::Sender<()>,
}

impl Thread {
    /// Starts a thread with this name.
    pub fn new(name: &str) -> io::Result<Self> {
        let executor = Arc::new(Executor::new());
        let (alive, all_gone) = channel::bounded::<()>(1);
        let tasks = Arc::clone(&executor);
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                // Nothing is ever sent: the channel closes when the last clone is dropped.
                smol::block_on(tasks.run(all_gone.recv())).ok();
            })?;
        Ok(Self {
            sockets: Smol::new(),
            executor,
            name: name.into(),
            _alive: alive,
        })
    }
}

impl Runtime for Thread {
    fn now(&self) -> Instant {
        self.sockets.now()
    }

    fn wall_clock(&self) -> SystemTime {
        self.sockets.wall_clock()
    }

    fn entropy(&self, bytes: &mut [u8]) {
        self.sockets.entropy(bytes);
    }

    fn spawn(&self, task: BoxFuture<()>) {
        self.executor.spawn(task).detach();
    }

    fn timer(&self, at: Instant) -> Pin<Box<dyn Timer>> {
        self.sockets.timer(at)
    }

    fn bind_udp(&self, local: SocketAddr) -> io::Result<Box<dyn UdpSocket>> {
        self.sockets.bind_udp(local)
    }

    fn listen_tcp(&self, local: SocketAddr) -> io::Result<Box<dyn TcpListener>> {
        self.sockets.listen_tcp(local)
    }

    fn bind_udp_shared(&self, local: SocketAddr) -> io::Result<Box<dyn UdpSocket>> {
        self.sockets.bind_udp_shared(local)
    }

    fn listen_tcp_shared(&self, local: SocketAddr) -> io::Result<Box<dyn TcpListener>> {
        self.sockets.listen_tcp_shared(local)
    }

    /// Another thread for each shard but the first.
    fn for_shard(&self, shard: Shard) -> io::Result<Option<Arc<dyn Runtime>>> {
        match shard.index() {
            0 => Ok(None),
            number => {
                let thread = Self::new(&format!("{}-{number}", self.name))?;
                Ok(Some(Arc::new(thread)))
            }
        }
    }

    fn connect_tcp(
        &self,
        local: Option<SocketAddr>,
        remote: SocketAddr,
    ) -> BoxFuture<io::Result<Box<dyn TcpStream>>> {
        self.sockets.connect_tcp(local, remote)
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Thread")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tells when it is dropped, by its sender.
    #[test]
    fn the_thread_ends_when_the_last_clone_is_gone() {
        let thread = Thread::new("short").expect("starts");
        let clone = thread.clone();
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        thread.spawn(Box::pin(async move {
            std::future::pending::<()>().await;
            drop(sender);
        }));
        drop(thread);
        assert!(receiver.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty));
        drop(clone);
        // The executor drops its tasks when the thread lets go of it.
        assert!(receiver.recv().is_err());
    }
}
