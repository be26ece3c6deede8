//! Simulated streams: reliable, in order, with the delay of the way.

use super::{
    ladder::StreamReader,
    udp::overlap,
    world::{Action, HostId, Shared, World},
};
use crate::runtime::{TcpListener, TcpStream, canonical};
use bytes::{Buf, Bytes};
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

/// Everything about streams.
#[derive(Default)]
pub(super) struct Streams {
    listeners: BTreeMap<u64, Listener>,
    attempts: BTreeMap<u64, Attempt>,
    open: BTreeMap<u64, [End; 2]>,
}

struct Listener {
    host: HostId,
    local: SocketAddr,
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

/// One end of a stream, and what is under way from it.
struct End {
    host: HostId,
    local: SocketAddr,
    /// Somebody holds it
    held: bool,
    /// Bytes that came and were not read
    inbox: VecDeque<Bytes>,
    /// The peer has ended its direction
    ended: bool,
    broken: Option<io::ErrorKind>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// Bytes that left and were not read by the peer
    unread: usize,
    /// We have ended our direction
    shut: bool,
    under_way: VecDeque<(Duration, Segment)>,
    tries: u32,
    messages: StreamReader,
}

enum Segment {
    Bytes(Bytes),
    End,
    Reset,
}

impl End {
    fn new(host: HostId, local: SocketAddr) -> Self {
        Self {
            host,
            local,
            held: true,
            inbox: VecDeque::new(),
            ended: false,
            broken: None,
            reader: None,
            writer: None,
            unread: 0,
            shut: false,
            under_way: VecDeque::new(),
            tries: 0,
            messages: StreamReader::default(),
        }
    }

    /// Nothing comes or goes any more.
    fn break_off(&mut self, why: io::ErrorKind) -> [Option<Waker>; 2] {
        self.broken = Some(why);
        self.under_way.clear();
        [self.reader.take(), self.writer.take()]
    }
}

impl World {
    fn end(&mut self, stream: u64, end: usize) -> Option<&mut End> {
        self.streams.open.get_mut(&stream)?.get_mut(end)
    }

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
        let local = SocketAddr::new(ip.unwrap_or_else(|| remote.ip()), port);
        let way = self.way(host, self.host_at(host, remote.ip()).unwrap_or(host));
        let attempt = Attempt {
            host,
            local,
            remote,
            tries: 0,
            outcome: (!self.is_up(host)).then(|| Err(io::ErrorKind::NetworkDown.into())),
            waker: None,
        };
        self.streams.attempts.insert(id, attempt);
        let at = self.now + way.delay.unwrap_or_default();
        self.schedule(at, Action::Connect { attempt: id });
        id
    }

    /// The request for a stream arrives.
    pub(super) fn deliver_connect(&mut self, id: u64) {
        let Some(attempt) = self.streams.attempts.get_mut(&id) else {
            return;
        };
        attempt.tries += 1;
        let (from, local, remote, tries) =
            (attempt.host, attempt.local, attempt.remote, attempt.tries);
        let to = self.host_at(from, remote.ip()).filter(|to| self.is_up(*to));
        let to = to.filter(|to| self.way(from, *to).up != Some(false));
        let Some(to) = to else {
            if tries > TRIES {
                self.settle(id, Err(io::ErrorKind::TimedOut.into()));
            } else {
                let at = self.now + Duration::from_secs(1 << tries);
                self.schedule(at, Action::Connect { attempt: id });
            }
            return;
        };
        let listening = self.streams.listeners.iter().find(|(_, listener)| {
            listener.host == to
                && overlap(listener.local, remote)
                && listener.backlog.len() < BACKLOG
        });
        let listening = listening.map(|(listener, _)| *listener);
        let stream = listening.map(|listener| {
            let stream = self.id();
            let ends = [End::new(from, local), End::new(to, remote)];
            self.streams.open.insert(stream, ends);
            let waker = self.streams.listeners.get_mut(&listener).and_then(|l| {
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
        if self.streams.attempts.contains_key(&attempt) {
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
        let waker = self.streams.attempts.get_mut(&attempt).and_then(|attempt| {
            attempt.outcome = Some(outcome);
            attempt.waker.take()
        });
        self.wake(waker);
    }

    /// Puts something on its way; what comes later never overtakes it.
    fn put(&mut self, stream: u64, from: usize, segment: Segment) {
        let Some(hosts) = self.streams.open.get(&stream).map(|ends| {
            let to = 1 - from;
            (ends[from].host, ends[to].host)
        }) else {
            return;
        };
        let way = self.way(hosts.0, hosts.1);
        let mut at = self.now + way.delay.unwrap_or_default();
        for _ in 0..TRIES {
            if !self.chance(way.loss) {
                break;
            }
            at += RETRANSMISSION;
        }
        let Some(end) = self.end(stream, from) else {
            return;
        };
        if let Some((last, _)) = end.under_way.back() {
            at = at.max(*last);
        }
        end.under_way.push_back((at, segment));
        if end.under_way.len() == 1 {
            self.schedule(at, Action::Stream { stream, from });
        }
    }

    /// What is under way from one end arrives.
    pub(super) fn deliver_stream(&mut self, stream: u64, from: usize) {
        let (now, to) = (self.now, 1 - from);
        let Some(hosts) = self
            .streams
            .open
            .get(&stream)
            .map(|ends| (ends[from].host, ends[to].host))
        else {
            return;
        };
        let up = self.way(hosts.0, hosts.1).up != Some(false) && self.is_up(hosts.1);
        let Some(end) = self.end(stream, from) else {
            return;
        };
        if end.under_way.is_empty() {
            return;
        }
        if !up {
            end.tries += 1;
            if end.tries > STREAM_TRIES {
                let wakers = end.break_off(io::ErrorKind::TimedOut);
                self.wakes_of(wakers);
                self.forget(stream);
            } else {
                let at = now + RETRANSMISSION * (1 << end.tries);
                self.schedule(at, Action::Stream { stream, from });
            }
            return;
        }
        end.tries = 0;
        while let Some(end) = self.end(stream, from) {
            match end.under_way.front() {
                Some((at, _)) if *at <= now => {}
                Some((at, _)) => {
                    let at = *at;
                    self.schedule(at, Action::Stream { stream, from });
                    break;
                }
                None => break,
            }
            if let Some((_, segment)) = end.under_way.pop_front() {
                self.arrive(stream, to, segment);
            }
        }
        self.forget(stream);
    }

    fn arrive(&mut self, stream: u64, to: usize, segment: Segment) {
        let Some(end) = self.end(stream, to) else {
            return;
        };
        if end.broken.is_some() {
            return;
        }
        match segment {
            Segment::Bytes(_) if !end.held => self.put(stream, to, Segment::Reset),
            Segment::Bytes(bytes) => {
                end.inbox.push_back(bytes);
                let waker = end.reader.take();
                self.wake(waker);
            }
            Segment::End => {
                end.ended = true;
                let waker = end.reader.take();
                self.wake(waker);
            }
            Segment::Reset => {
                let wakers = end.break_off(io::ErrorKind::ConnectionReset);
                self.wakes_of(wakers);
            }
        }
    }

    /// The holder of an end drops it.
    fn let_go(&mut self, stream: u64, end: usize) {
        let Some(state) = self.end(stream, end) else {
            return;
        };
        if !std::mem::take(&mut state.held) {
            return;
        }
        let (unread, shut) = (!state.inbox.is_empty(), state.shut);
        let broken = state.broken.is_some();
        state.shut = true;
        state.inbox.clear();
        if unread && !broken {
            self.put(stream, end, Segment::Reset);
        } else if !shut && !broken {
            self.put(stream, end, Segment::End);
        }
        self.forget(stream);
    }

    /// Removes a stream that nobody holds and nothing travels on.
    fn forget(&mut self, stream: u64) {
        let over = |end: &End| !end.held && end.under_way.is_empty();
        if self
            .streams
            .open
            .get(&stream)
            .is_some_and(|ends| ends.iter().all(over))
        {
            self.streams.open.remove(&stream);
        }
    }

    /// What a host without power held is gone; nobody is told.
    pub(super) fn crash_streams(&mut self, host: HostId) {
        self.streams
            .listeners
            .retain(|_, listener| listener.host != host);
        self.streams
            .attempts
            .retain(|_, attempt| attempt.host != host);
        for end in self.streams.open.values_mut().flatten() {
            if end.host == host {
                end.held = false;
                end.shut = true;
                end.inbox.clear();
                end.under_way.clear();
            }
        }
        let streams: Vec<_> = self.streams.open.keys().copied().collect();
        for stream in streams {
            self.forget(stream);
        }
    }

    fn wakes_of(&mut self, wakers: [Option<Waker>; 2]) {
        for waker in wakers {
            self.wake(waker);
        }
    }
}

/// A stream, as its holder knows it.
pub(super) struct SimStream {
    shared: Arc<Shared>,
    stream: u64,
    end: usize,
    local: SocketAddr,
    remote: SocketAddr,
}

impl SimStream {
    fn new(shared: &Arc<Shared>, stream: u64, end: usize) -> io::Result<Self> {
        let (local, remote) = shared
            .with(|world| {
                let ends = world.streams.open.get(&stream)?;
                Some((ends.get(end)?.local, ends.get(1 - end)?.local))
            })
            .ok_or(io::ErrorKind::ConnectionAborted)?;
        Ok(Self {
            shared: Arc::clone(shared),
            stream,
            end,
            local,
            remote,
        })
    }
}

impl TcpStream for SimStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.shared.with(|world| {
            let Some(end) = world.end(self.stream, self.end).filter(|end| end.held) else {
                return Poll::Ready(Err(io::ErrorKind::NetworkDown.into()));
            };
            let Some(bytes) = end.inbox.front_mut() else {
                if let Some(why) = end.broken {
                    return Poll::Ready(Err(why.into()));
                }
                if end.ended {
                    return Poll::Ready(Ok(0));
                }
                end.reader = Some(cx.waker().clone());
                return Poll::Pending;
            };
            let read = bytes.len().min(buffer.len());
            bytes.copy_to_slice(&mut buffer[..read]);
            if bytes.is_empty() {
                end.inbox.pop_front();
            }
            let waker = world.end(self.stream, 1 - self.end).and_then(|peer| {
                peer.unread = peer.unread.saturating_sub(read);
                peer.writer.take()
            });
            world.wake(waker);
            Poll::Ready(Ok(read))
        })
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.shared.with(|world| {
            let Some(end) = world.end(self.stream, self.end).filter(|end| end.held) else {
                return Poll::Ready(Err(io::ErrorKind::NetworkDown.into()));
            };
            if let Some(why) = end.broken {
                return Poll::Ready(Err(why.into()));
            }
            if end.shut {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let written = bytes.len().min(WINDOW.saturating_sub(end.unread));
            if written == 0 {
                end.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let bytes = &bytes[..written];
            end.unread += written;
            let host = end.host;
            for what in end.messages.read(bytes) {
                world.observe(host, self.remote.ip(), what, false);
            }
            let segment = Segment::Bytes(Bytes::copy_from_slice(bytes));
            world.put(self.stream, self.end, segment);
            Poll::Ready(Ok(written))
        })
    }

    fn poll_shutdown(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.with(|world| {
            let Some(end) = world.end(self.stream, self.end).filter(|end| end.held) else {
                return Poll::Ready(Err(io::ErrorKind::NetworkDown.into()));
            };
            if !std::mem::replace(&mut end.shut, true) {
                world.put(self.stream, self.end, Segment::End);
            }
            Poll::Ready(Ok(()))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.remote)
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.shared
            .with(|world| world.let_go(self.stream, self.end));
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
            let Some(attempt) = world.streams.attempts.get_mut(&self.attempt) else {
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
            .with(|world| world.streams.attempts.remove(&self.attempt));
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
    pub(super) fn bind(shared: &Arc<Shared>, host: HostId, local: SocketAddr) -> io::Result<Self> {
        let (id, local) = shared.with(|world| {
            let local = world.free_address(host, local, |world, address| {
                let mut listeners = world.streams.listeners.values();
                listeners.any(|other| other.host == host && overlap(other.local, address))
            })?;
            let id = world.id();
            let listener = Listener {
                host,
                local,
                backlog: VecDeque::new(),
                waker: None,
            };
            world.streams.listeners.insert(id, listener);
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
            let listener = world.streams.listeners.get_mut(&self.id)?;
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
            let listener = world.streams.listeners.remove(&self.id)?;
            for stream in &listener.backlog {
                world.let_go(*stream, 1);
            }
            Some(listener)
        });
        drop(listener);
    }
}

/// How many bytes may be under way or unread.
const WINDOW: usize = 256 * 1_024;

/// How many streams wait to be accepted.
const BACKLOG: usize = 1_024;

/// How often a request for a stream is repeated: for about two minutes.
const TRIES: u32 = 6;

/// How long it takes until something lost comes again.
const RETRANSMISSION: Duration = Duration::from_millis(200);

/// How often what is under way is repeated while the way is down: for about 100 s.
const STREAM_TRIES: u32 = 8;
