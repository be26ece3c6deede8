//! A datagram socket that tokio watches.

use std::{
    io,
    net::UdpSocket,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    runtime::Handle,
};

/// A datagram socket that is watched for what comes, and for room only while there was none.
///
/// Each datagram that has left makes room. Who watches for that all the time is woken once more for every answer.
pub(super) struct Watched {
    socket: State,
    /// The same socket once more, while somebody waits for room in it
    room: Option<AsyncFd<UdpSocket>>,
    handle: Handle,
}

/// Who has the socket.
enum State {
    /// The reactor as well
    Watched(Arc<AsyncFd<UdpSocket>>),
    Unwatched(UdpSocket),
}

impl Watched {
    pub(super) fn new(handle: &Handle, socket: UdpSocket) -> io::Result<Self> {
        Ok(Self {
            socket: State::Watched(Arc::new(watch(handle, socket, COMING)?)),
            room: None,
            handle: handle.clone(),
        })
    }

    pub(super) fn socket(&self) -> &UdpSocket {
        match &self.socket {
            State::Watched(socket) => socket.get_ref(),
            State::Unwatched(socket) => socket,
        }
    }

    /// Whether tokio watches for what comes.
    pub(super) fn is_watched(&self) -> bool {
        matches!(self.socket, State::Watched(_))
    }

    /// Has tokio watch for what comes, or not. Who waits for an [error](Self::error) has to wait anew.
    pub(super) fn set_watched(&mut self, watched: bool) -> io::Result<()> {
        if watched != self.is_watched() {
            // The descriptor is another, the socket the same: whatever fails, one is left.
            let again = self.socket().try_clone()?;
            self.socket = if watched {
                State::Watched(Arc::new(watch(&self.handle, again, COMING)?))
            } else {
                State::Unwatched(again)
            };
        }
        Ok(())
    }

    /// Completes when the error queue may have something.
    pub(super) fn error(&self) -> impl Future<Output = ()> + Send + 'static {
        let socket = match &self.socket {
            State::Watched(socket) => Some(Arc::clone(socket)),
            State::Unwatched(_) => None,
        };
        async move {
            match socket {
                Some(socket) if socket.ready(Interest::ERROR).await.is_ok() => {}
                // The runtime is being shut down, or nobody watches.
                _ => std::future::pending().await,
            }
        }
    }

    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.socket {
            State::Watched(socket) => socket.poll_read_ready(cx).map_ok(drop),
            State::Unwatched(_) => Poll::Pending,
        }
    }

    /// Runs `io`; when it says `WouldBlock`, tokio forgets the readiness.
    pub(super) fn try_io<R>(
        &self,
        interest: Interest,
        io: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        match &self.socket {
            State::Watched(socket) => socket.try_io(interest, |_socket| io()),
            State::Unwatched(_) => io(),
        }
    }

    /// Runs `send`. Nobody remembers whether there was room.
    pub(super) fn try_send<R>(&self, send: impl Fn() -> io::Result<R>) -> io::Result<R> {
        send()
    }

    /// Becomes ready when there is room.
    pub(super) fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let room = match &self.room {
            Some(room) => room,
            None => {
                let again = self.socket().try_clone()?;
                let room = watch(&self.handle, again, Interest::WRITABLE)?;
                self.room.insert(room)
            }
        };
        let result = ready!(room.poll_write_ready(cx)).map(drop);
        self.room = None;
        Poll::Ready(result)
    }
}

#[expect(
    deprecated,
    reason = "what replaces it is unsafe because of descriptors that end before their owner, as that of a socket never does"
)]
fn watch(handle: &Handle, socket: UdpSocket, interest: Interest) -> io::Result<AsyncFd<UdpSocket>> {
    let _context = handle.enter();
    AsyncFd::with_interest(socket, interest)
}

/// What a socket is watched for.
const COMING: Interest = Interest::READABLE.add(Interest::ERROR);

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::poll_fn, net::Ipv4Addr, sync::Weak};

    impl Watched {
        /// What is left of the reactor's entry.
        pub(in super::super) fn entry(&self) -> Weak<AsyncFd<UdpSocket>> {
            match &self.socket {
                State::Watched(socket) => Arc::downgrade(socket),
                State::Unwatched(_) => Weak::new(),
            }
        }
    }

    #[test]
    fn room_is_seen_as_often_as_it_is_asked_for() {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("starts");
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("can bind");
        socket.set_nonblocking(true).expect("is a socket");
        let mut watched = Watched::new(tokio.handle(), socket).expect("can be watched");
        tokio.block_on(async {
            for _ in 0..3 {
                let room = poll_fn(|cx| watched.poll_writable(cx));
                room.await.expect("there is room");
                assert!(watched.room.is_none(), "nobody waits any more");
            }
        });
    }
}
