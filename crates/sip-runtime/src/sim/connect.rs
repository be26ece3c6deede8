//! Streams that are being opened, and the listeners that take them.

use super::{
    stream::SimStream,
    udp::{one_of, overlap},
    world::{Action, HostId, Shared, World},
};
use crate::runtime::{TcpListener, TcpStream, canonical};
use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

/// Everything about streams that are not open yet.
#[derive(Default)]
pub(super) struct Doors {
    listeners: BTreeMap<u64, Listener>,
    attempts: BTreeMap<u64, Attempt>,
}

struct Listener {
    host: HostId,
    local: SocketAddr,
    /// Whether others may listen at the same address
    is_shared: bool,
    backlog: VecDeque<u64>,
    waker: Option<Waker>,
}

/// A stream that is being opened.
struct Attempt {
    host: HostId,
    local: SocketAddr,
    remote: SocketAddr,
    tries: u32,
    outcome: Option<io::Result<u64>>,
    waker: Option<Waker>,
}

impl World {
    fn connect(&mut self, host: HostId, local: Option<SocketAddr>, remote: SocketAddr) -> u64 {
        let id = self.id();
        let remote = canonical(remote);
        let wanted = local.map(canonical).map(|local| (local.ip(), local.port()));
        let ip = wanted.map(|(ip, _)| ip).filter(|ip| !ip.is_unspecified());
        let ip = ip.or_else(|| self.source(host, remote.ip()));
        let port = match wanted {
            Some((_, port)) if port != 0 => port,
            _ => self.next_port(host),
        };
        let refused = if self.is_up(host) {
            ip.is_none().then_some(io::ErrorKind::NetworkUnreachable)
        } else {
            Some(io::ErrorKind::NetworkDown)
        };
        let local = SocketAddr::new(ip.unwrap_or_else(|| remote.ip()), port);
        let way = self.way(host, self.host_at(host, remote.ip()).unwrap_or(host));
        let attempt = Attempt {
            host,
            local,
            remote,
            tries: 0,
            outcome: refused.map(|why| Err(why.into())),
            waker: None,
        };
        self.doors.attempts.insert(id, attempt);
        let at = self.now + way.delay.unwrap_or_default();
        self.schedule(at, Action::Connect { attempt: id });
        id
    }

    /// The request for a stream arrives.
    pub(super) fn deliver_connect(&mut self, id: u64) {
        let Some(attempt) = self.doors.attempts.get_mut(&id) else {
            return;
        };
        attempt.tries += 1;
        let (from, local, remote, tries) =
            (attempt.host, attempt.local, attempt.remote, attempt.tries);
        let to = self.host_at(from, remote.ip()).filter(|to| self.is_up(*to));
        let to = to.filter(|to| self.way(from, *to).passes_streams());
        // A box lets no stream in.
        let to = to.filter(|to| !self.nats.contains_key(to));
        let Some(to) = to else {
            if tries > TRIES {
                self.settle(id, Err(io::ErrorKind::TimedOut.into()));
            } else {
                let at = self.now + Duration::from_secs(1 << tries);
                self.schedule(at, Action::Connect { attempt: id });
            }
            return;
        };
        let listening = self.doors.listeners.iter().filter(|(_, listener)| {
            listener.host == to
                && overlap(listener.local, remote)
                && listener.backlog.len() < BACKLOG
        });
        let listening = one_of(listening.map(|(listener, _)| *listener), local);
        let stream = listening.map(|listener| {
            let stream = self.id();
            self.open_stream(stream, (from, local), (to, remote));
            let waker = self.doors.listeners.get_mut(&listener).and_then(|l| {
                l.backlog.push_back(stream);
                l.waker.take()
            });
            self.wake(waker);
            stream
        });
        let at = self.now + self.way(to, from).delay.unwrap_or_default();
        let attempt = id;
        self.schedule(at, Action::Connected { attempt, stream });
    }

    /// The answer to the request for a stream arrives.
    pub(super) fn finish_connect(&mut self, attempt: u64, stream: Option<u64>) {
        if self.doors.attempts.contains_key(&attempt) {
            self.settle(
                attempt,
                stream.ok_or_else(|| io::ErrorKind::ConnectionRefused.into()),
            );
        } else if let Some(stream) = stream {
            // Nobody waits for it any more.
            self.let_go(stream, 0);
        }
    }

    fn settle(&mut self, attempt: u64, outcome: io::Result<u64>) {
        let waker = self.doors.attempts.get_mut(&attempt).and_then(|attempt| {
            attempt.outcome = Some(outcome);
            attempt.waker.take()
        });
        self.wake(waker);
    }

    /// What a host without power opened, and where it listened, is gone; nobody is told.
    pub(super) fn crash_doors(&mut self, host: HostId) {
        let others = |listener: &Listener| listener.host != host;
        self.doors.listeners.retain(|_, listener| others(listener));
        self.doors
            .attempts
            .retain(|_, attempt| attempt.host != host);
    }
}

/// A stream that is being opened, as its opener knows it.
pub(super) struct SimConnect {
    shared: Arc<Shared>,
    attempt: u64,
}

impl SimConnect {
    pub(super) fn new(
        shared: &Arc<Shared>,
        host: HostId,
        local: Option<SocketAddr>,
        remote: SocketAddr,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            attempt: shared.with(|world| world.connect(host, local, remote)),
        }
    }
}

impl Future for SimConnect {
    type Output = io::Result<Box<dyn TcpStream>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = self.shared.with(|world| {
            let Some(attempt) = world.doors.attempts.get_mut(&self.attempt) else {
                return Some(Err(io::ErrorKind::NetworkDown.into()));
            };
            attempt.waker = Some(cx.waker().clone());
            attempt.outcome.take()
        });
        let Some(outcome) = outcome else {
            return Poll::Pending;
        };
        Poll::Ready(outcome.and_then(|stream| {
            let stream = SimStream::new(&self.shared, stream, 0)?;
            Ok(Box::new(stream) as Box<dyn TcpStream>)
        }))
    }
}

impl Drop for SimConnect {
    fn drop(&mut self) {
        let attempt = self
            .shared
            .with(|world| world.doors.attempts.remove(&self.attempt));
        if let Some(Attempt {
            outcome: Some(Ok(stream)),
            ..
        }) = attempt
        {
            self.shared.with(|world| world.let_go(stream, 0));
        }
    }
}

/// A listening socket, as its owner knows it.
pub(super) struct SimListener {
    shared: Arc<Shared>,
    id: u64,
    local: SocketAddr,
}

impl SimListener {
    pub(super) fn bind(
        shared: &Arc<Shared>,
        host: HostId,
        local: SocketAddr,
        is_shared: bool,
    ) -> io::Result<Self> {
        let (id, local) = shared.with(|world| {
            let local = world.free_address(host, local, |world, address| {
                let mut listeners = world.doors.listeners.values();
                listeners.any(|other| {
                    let agreed = is_shared && other.is_shared && other.local == address;
                    other.host == host && overlap(other.local, address) && !agreed
                })
            })?;
            let id = world.id();
            let listener = Listener {
                host,
                local,
                is_shared,
                backlog: VecDeque::new(),
                waker: None,
            };
            world.doors.listeners.insert(id, listener);
            io::Result::Ok((id, local))
        })?;
        Ok(Self {
            shared: Arc::clone(shared),
            id,
            local,
        })
    }
}

impl TcpListener for SimListener {
    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Box<dyn TcpStream>, SocketAddr)>> {
        let stream = self.shared.with(|world| {
            let listener = world.doors.listeners.get_mut(&self.id)?;
            let stream = listener.backlog.pop_front();
            if stream.is_none() {
                listener.waker = Some(cx.waker().clone());
            }
            stream
        });
        let Some(stream) = stream else {
            return Poll::Pending;
        };
        Poll::Ready(SimStream::new(&self.shared, stream, 1).map(|stream| {
            let remote = stream.remote;
            (Box::new(stream) as Box<dyn TcpStream>, remote)
        }))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        let listener = self.shared.with(|world| {
            let listener = world.doors.listeners.remove(&self.id)?;
            for stream in &listener.backlog {
                world.let_go(*stream, 1);
            }
            Some(listener)
        });
        drop(listener);
    }
}

/// How many streams wait to be accepted.
const BACKLOG: usize = 1_024;

/// How often a request for a stream is repeated: for about two minutes.
const TRIES: u32 = 6;
