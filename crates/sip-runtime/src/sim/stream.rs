//! Simulated streams: reliable, in order, with the delay of the way.

use super::{
    ladder::StreamReader,
    world::{Action, HostId, Shared, World},
};
use crate::runtime::TcpStream;
use bytes::{Buf, Bytes};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

/// Everything about open streams.
#[derive(Default)]
pub(super) struct Streams {
    open: BTreeMap<u64, Stream>,
}

struct Stream {
    ends: [End; 2],
    /// When something left last
    used: Duration,
    /// The box on its way, and how long that remembers what is not used
    through: Option<(HostId, Duration)>,
    /// The box has forgotten it
    is_forgotten: bool,
}

/// One end of a stream, and what is under way from it.
struct End {
    host: HostId,
    local: SocketAddr,
    /// The address that the peer sees
    seen: SocketAddr,
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
            seen: local,
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
        self.streams.open.get_mut(&stream)?.ends.get_mut(end)
    }

    /// The hosts at both ends, the writer's first.
    fn hosts_of(&self, stream: u64, from: usize) -> Option<(HostId, HostId)> {
        let ends = &self.streams.open.get(&stream)?.ends;
        Some((ends.get(from)?.host, ends.get(1 - from)?.host))
    }

    /// A stream comes about between who opened it and who listened.
    pub(super) fn open_stream(
        &mut self,
        stream: u64,
        (from, local): (HostId, SocketAddr),
        (to, remote): (HostId, SocketAddr),
    ) {
        let mut opener = End::new(from, local);
        let nat = self.passes(from, Some(to));
        if let Some(nat) = nat {
            let outside = self.hosts.get(&nat).map(|host| host.ipv4);
            let port = self.next_port(nat);
            opener.seen = outside.map_or(local, |outside| (outside, port).into());
        }
        let through = nat.and_then(|nat| Some((nat, self.nats.get(&nat)?.stream_timeout)));
        let open = Stream {
            ends: [opener, End::new(to, remote)],
            used: self.now,
            through,
            is_forgotten: false,
        };
        self.streams.open.insert(stream, open);
    }

    /// A box forgets the streams that pass it.
    pub(super) fn cut_streams_behind(&mut self, nat: HostId) {
        for stream in self.streams.open.values_mut() {
            stream.is_forgotten |= stream.through.is_some_and(|(through, _)| through == nat);
        }
    }

    /// Breaks the streams on these ways, or on all if there are none.
    pub(super) fn reset_streams(&mut self, ways: &[(HostId, HostId)]) {
        let is_on_way = |stream: &Stream| {
            let [one, other] = &stream.ends;
            let way = (one.host, other.host);
            ways.is_empty() || ways.contains(&way) || ways.contains(&(way.1, way.0))
        };
        let mut wakers = Vec::new();
        for stream in self.streams.open.values_mut().filter(|s| is_on_way(s)) {
            for end in &mut stream.ends {
                wakers.push(end.break_off(io::ErrorKind::ConnectionReset));
            }
        }
        for wakers in wakers {
            self.wakes_of(wakers);
        }
    }

    /// Puts something on its way; what comes later never overtakes it.
    fn put(&mut self, stream: u64, from: usize, segment: Segment) {
        let Some(hosts) = self.hosts_of(stream, from) else {
            return;
        };
        let way = self.way(hosts.0, hosts.1);
        let size = match &segment {
            Segment::Bytes(bytes) => bytes.len() + HEADERS,
            Segment::End | Segment::Reset => HEADERS,
        };
        let mut at = self.departure(hosts, &way, size) + way.delay.unwrap_or_default();
        for _ in 0..LOSSES {
            if !self.chance(way.loss) {
                break;
            }
            at += RETRANSMISSION;
        }
        let now = self.now;
        if let Some(open) = self.streams.open.get_mut(&stream) {
            let idle = now - std::mem::replace(&mut open.used, now);
            open.is_forgotten |= open.through.is_some_and(|(_, timeout)| idle > timeout);
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
        let Some(hosts) = self.hosts_of(stream, from) else {
            return;
        };
        let is_forgotten = self
            .streams
            .open
            .get(&stream)
            .is_some_and(|s| s.is_forgotten);
        let way = self.way(hosts.0, hosts.1);
        let up = way.passes_streams() && self.is_up(hosts.1) && !is_forgotten;
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
    pub(super) fn let_go(&mut self, stream: u64, end: usize) {
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
            .is_some_and(|stream| stream.ends.iter().all(over))
        {
            self.streams.open.remove(&stream);
        }
    }

    /// What a host without power held is gone; nobody is told.
    pub(super) fn crash_streams(&mut self, host: HostId) {
        let streams = self.streams.open.values_mut();
        for end in streams.flat_map(|stream| &mut stream.ends) {
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
    pub(super) remote: SocketAddr,
}

impl SimStream {
    pub(super) fn new(shared: &Arc<Shared>, stream: u64, end: usize) -> io::Result<Self> {
        let (local, remote) = shared
            .with(|world| {
                let ends = &world.streams.open.get(&stream)?.ends;
                Some((ends.get(end)?.local, ends.get(1 - end)?.seen))
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
            let hosts = world.hosts_of(self.stream, self.end);
            let window = hosts.and_then(|(from, to)| world.way(from, to).window);
            let Some(end) = world.end(self.stream, self.end).filter(|end| end.held) else {
                return Poll::Ready(Err(io::ErrorKind::NetworkDown.into()));
            };
            if let Some(why) = end.broken {
                return Poll::Ready(Err(why.into()));
            }
            if end.shut {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let written = bytes
                .len()
                .min(window.unwrap_or(WINDOW).saturating_sub(end.unread));
            if written == 0 {
                end.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let bytes = &bytes[..written];
            end.unread += written;
            let messages = end.messages.read(bytes);
            if let Some((from, to)) = hosts {
                for what in messages {
                    world.observe(from, Ok(to), what, false);
                }
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

/// How many bytes may be under way or unread, unless the way says otherwise.
const WINDOW: usize = 256 * 1_024;

/// How often something is lost at most before it comes.
const LOSSES: u32 = 6;

/// How long it takes until something lost comes again.
const RETRANSMISSION: Duration = Duration::from_millis(200);

/// How often what is under way is repeated while the way is down: for about 100 s.
const STREAM_TRIES: u32 = 8;

/// The headers of IP and TCP.
const HEADERS: usize = 40;
