//! Streams: opening, reading, writing, closing.

use super::{Due, Ports};
use crate::{
    ready::Source,
    runtime::{BoxFuture, TcpStream, canonical},
};
use bytes::{Buf, Bytes};
use sip_io::{CloseReason, Flow, Receive, StreamId, TimerId};
use std::{
    collections::VecDeque,
    io,
    task::{Context, Poll, Waker},
    time::Instant,
};

/// One stream.
///
/// ```text
///   Open -> Opening ---- refused ----> (gone, the machine is told)
///              |
///              v
///   accepted -> Open --- broken, ended by the peer, too slow ---> (gone, the machine is told)
///              |
///              | Close
///              v
///          Writing -- queue empty --> Draining -- the peer's end --> (gone)
///              |                          |
///              +------- linger over ------+----------------------> (gone)
/// ```
pub(super) struct Stream {
    flow: Flow,
    state: State,
    waker: Waker,
    paused: bool,
    /// How many other shards have no room for what comes on it
    holders: u32,
    queue: VecDeque<Bytes>,
    queued: usize,
    /// Whether anything was ever to be written: words that a reset must not overtake
    spoken: bool,
    /// Whether reading waits until the peer has read
    choked: bool,
    /// Since when nothing was written though something waits
    stuck: Option<Instant>,
    /// Whether a timer looks after that
    watched: bool,
}

enum State {
    /// Not there yet; `closing` when the machine has given it up, but wants its words delivered
    Opening {
        opening: BoxFuture<io::Result<Box<dyn TcpStream>>>,
        closing: Option<TimerId>,
    },
    Open(Box<dyn TcpStream>),
    /// The machine is done with it, what was queued is not written yet
    Writing(Box<dyn TcpStream>, TimerId),
    /// Everything is written. What the peer still sends is thrown away: were it left unread, the system would answer
    /// with a reset, which may overtake our last words.
    Draining(Box<dyn TcpStream>, TimerId),
}

/// What came of one step.
enum Step {
    Wait,
    Again,
    Gone(Option<CloseReason>),
}

impl Stream {
    pub(super) fn is_flushed(&self) -> bool {
        self.queue.is_empty() && !matches!(self.state, State::Writing(..) | State::Draining(..))
    }

    fn is_closing(&self) -> bool {
        match &self.state {
            State::Opening { closing, .. } => closing.is_some(),
            State::Open(_) => false,
            State::Writing(..) | State::Draining(..) => true,
        }
    }

    /// Writes as much as the system takes. Small pieces go together in one call.
    fn write(&mut self, cx: &mut Context<'_>, scratch: &mut Vec<u8>) -> Poll<io::Result<()>> {
        let (State::Open(io) | State::Writing(io, _)) = &mut self.state else {
            return Poll::Pending;
        };
        while let Some(first) = self.queue.front() {
            let written = if self.queue.len() == 1 {
                io.poll_write(cx, first)
            } else {
                scratch.clear();
                for piece in &self.queue {
                    let room = TOGETHER - scratch.len();
                    scratch.extend_from_slice(&piece[..piece.len().min(room)]);
                    if scratch.len() == TOGETHER {
                        break;
                    }
                }
                io.poll_write(cx, scratch)
            };
            let mut written = match written {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => written.min(self.queued),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            };
            self.queued -= written;
            self.stuck = None;
            while let Some(piece) = self.queue.front_mut() {
                if written < piece.len() {
                    piece.advance(written);
                    break;
                }
                written -= piece.len();
                self.queue.pop_front();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Ports {
    pub(super) fn open(&mut self, flow: Flow) {
        let Some(id) = flow.stream_id() else {
            return;
        };
        if self.streams.contains_key(&id) {
            tracing::error!(?flow, "the number of a stream was used twice");
            return;
        }
        let local = Some(flow.local()).filter(|local| !local.ip().is_unspecified());
        let opening = self.runtime.connect_tcp(local, flow.remote());
        let state = State::Opening {
            opening,
            closing: None,
        };
        self.insert(id, flow, state);
    }

    pub(super) fn insert_accepted(&mut self, flow: Flow, stream: Box<dyn TcpStream>) {
        let Some(id) = flow.stream_id() else {
            return;
        };
        mark(&*stream, self.limits.dscp);
        self.accepted_open += 1;
        self.insert(id, flow, State::Open(stream));
    }

    fn insert(&mut self, id: StreamId, flow: Flow, state: State) {
        let stream = Stream {
            flow,
            state,
            waker: self.ready.source(Source::Stream(id)),
            paused: false,
            holders: 0,
            queue: VecDeque::new(),
            queued: 0,
            spoken: false,
            choked: false,
            stuck: None,
            watched: false,
        };
        self.streams.insert(id, stream);
    }

    /// Puts bytes on a stream's queue; they are written at the end of the turn.
    pub(super) fn queue(&mut self, flow: Flow, contents: Bytes) {
        let Some((id, stream)) = self.stream_mut(&flow) else {
            return;
        };
        if contents.is_empty() || stream.is_closing() {
            return;
        }
        if stream.queue.is_empty() {
            self.unwritten.push(id);
        }
        // Looked up again, for the list above is borrowed from the same place.
        let limit = self.limits.stream_queue;
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.queued + contents.len() > limit && stream.queued > 0 {
            self.remove(id, Some(CloseReason::PeerTooSlow));
            return;
        }
        stream.spoken = true;
        stream.queued += contents.len();
        stream.queue.push_back(contents);
    }

    /// Writes what was queued in this turn.
    pub(crate) fn flush(&mut self, now: Instant) {
        self.flush_datagrams();
        let mut unwritten = std::mem::take(&mut self.unwritten);
        for id in unwritten.drain(..) {
            self.write_stream(now, id);
        }
        self.unwritten = unwritten;
    }

    pub(super) fn close(&mut self, now: Instant, flow: Flow) {
        let Some((id, stream)) = self.stream_mut(&flow) else {
            return;
        };
        if stream.is_closing() {
            return;
        }
        // Where nothing was said there is nothing to linger for: who opens streams in thousands shall not hold a
        // descriptor for each until the last one has had its time.
        if !stream.spoken {
            self.remove(id, None);
            return;
        }
        let linger = self
            .timers
            .insert(now + self.limits.linger, Due::Linger(id));
        self.start_closing(id, linger);
    }

    fn start_closing(&mut self, id: StreamId, linger: TimerId) {
        let Some(mut stream) = self.streams.remove(&id) else {
            return;
        };
        stream.state = match stream.state {
            State::Open(io) => State::Writing(io, linger),
            State::Opening { opening, .. } => State::Opening {
                opening,
                closing: Some(linger),
            },
            closing => closing,
        };
        stream.waker.wake_by_ref();
        self.streams.insert(id, stream);
    }

    /// Whether a peer still reads nothing.
    pub(super) fn check_stall(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let Some(stuck) = stream.stuck else {
            stream.watched = false;
            return;
        };
        let until = stuck + self.limits.stall;
        if until > now {
            self.timers.insert(until, Due::Stalled(id));
        } else {
            self.remove(id, Some(CloseReason::PeerTooSlow));
        }
    }

    /// The time for closing is over.
    pub(super) fn give_up(&mut self, id: StreamId) {
        tracing::debug!(?id, "a stream was closed with something unsaid");
        self.remove(id, None);
    }

    pub(super) fn set_paused(&mut self, flow: Flow, paused: bool) {
        if let Some((_, stream)) = self.stream_mut(&flow) {
            stream.paused = paused;
            stream.waker.wake_by_ref();
        }
    }

    /// Stops reading until another shard has room.
    pub(super) fn hold(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.holders += 1;
        }
    }

    /// There is room again.
    pub(super) fn release_stream(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.holders -= 1;
            stream.waker.wake_by_ref();
        }
    }

    pub(super) fn poll_stream(&mut self, now: Instant, id: StreamId) {
        self.write_stream(now, id);
        for _ in 0..READS {
            match self.step(id) {
                Step::Wait => return,
                Step::Again => {}
                Step::Gone(reason) => {
                    self.remove_or_finish(now, id, reason);
                    return;
                }
            }
        }
        if let Some(stream) = self.streams.get(&id) {
            stream.waker.wake_by_ref();
        }
    }

    /// Opens, reads, or goes on closing, by one step.
    fn step(&mut self, id: StreamId) -> Step {
        let Some(stream) = self.streams.get_mut(&id) else {
            return Step::Wait;
        };
        let waker = stream.waker.clone();
        let cx = &mut Context::from_waker(&waker);
        match &mut stream.state {
            State::Opening { opening, closing } => {
                let closing = *closing;
                match opening.as_mut().poll(cx) {
                    Poll::Pending => Step::Wait,
                    Poll::Ready(Err(error)) => Step::Gone(
                        closing
                            .is_none()
                            .then(|| CloseReason::Refused(error.kind())),
                    ),
                    Poll::Ready(Ok(io)) => {
                        let local = io
                            .local_addr()
                            .map_or_else(|_| stream.flow.local(), canonical);
                        stream.flow = stream.flow.with_local(local);
                        mark(&*io, self.limits.dscp);
                        if let Some(linger) = closing {
                            stream.state = State::Writing(io, linger);
                        } else {
                            stream.state = State::Open(io);
                            let flow = stream.flow;
                            self.received.push_back(Receive::Opened { flow });
                        }
                        self.unwritten.push(id);
                        Step::Again
                    }
                }
            }
            State::Open(_) if stream.paused || stream.holders > 0 => Step::Wait,
            State::Open(_) if stream.queued > self.limits.stream_queue / 2 => {
                stream.choked = true;
                Step::Wait
            }
            State::Open(io) => {
                self.read_buffer.resize(READ_BUFFER, 0);
                match io.poll_read(cx, &mut self.read_buffer) {
                    Poll::Pending => Step::Wait,
                    Poll::Ready(Ok(0)) => Step::Gone(Some(CloseReason::ByPeer)),
                    Poll::Ready(Ok(read)) => {
                        let contents = self.read_buffer.get(..read).unwrap_or_default();
                        self.received.push_back(Receive::Stream {
                            flow: stream.flow,
                            contents: Bytes::copy_from_slice(contents),
                        });
                        Step::Again
                    }
                    Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {
                        Step::Again
                    }
                    Poll::Ready(Err(error)) => Step::Gone(Some(CloseReason::Broken(error.kind()))),
                }
            }
            State::Writing(..) => Step::Wait,
            State::Draining(io, _) => {
                self.read_buffer.resize(READ_BUFFER, 0);
                match io.poll_read(cx, &mut self.read_buffer) {
                    Poll::Pending => Step::Wait,
                    Poll::Ready(Ok(0) | Err(_)) => Step::Gone(None),
                    Poll::Ready(Ok(_)) => Step::Again,
                }
            }
        }
    }

    /// Writes what waits; the end of our direction follows the last byte when the stream is being closed.
    fn write_stream(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let waker = stream.waker.clone();
        let cx = &mut Context::from_waker(&waker);
        let written = stream.write(cx, &mut self.write_buffer);
        if stream.choked && stream.queued <= self.limits.stream_queue / 2 {
            stream.choked = false;
            waker.wake_by_ref();
        }
        match written {
            Poll::Pending => {
                let waits = matches!(stream.state, State::Open(_)) && stream.queued > 0;
                if waits {
                    stream.stuck.get_or_insert(now);
                }
                if waits && !std::mem::replace(&mut stream.watched, true) {
                    self.timers
                        .insert(now + self.limits.stall, Due::Stalled(id));
                }
            }
            Poll::Ready(Err(error)) => {
                let reason = CloseReason::Broken(error.kind());
                let reason = Some(reason).filter(|_| !stream.is_closing());
                self.remove(id, reason);
            }
            Poll::Ready(Ok(())) => {
                let State::Writing(io, _) = &mut stream.state else {
                    return;
                };
                match io.poll_shutdown(cx) {
                    Poll::Pending => {}
                    Poll::Ready(Err(_)) => self.remove(id, None),
                    Poll::Ready(Ok(())) => self.drain(now, id),
                }
            }
        }
    }

    fn drain(&mut self, now: Instant, id: StreamId) {
        let Some(mut stream) = self.streams.remove(&id) else {
            return;
        };
        stream.state = match stream.state {
            State::Writing(io, linger) => State::Draining(io, linger),
            other => other,
        };
        self.streams.insert(id, stream);
        if let Step::Gone(_) = self.step(id) {
            self.remove_or_finish(now, id, None);
        } else if let Some(stream) = self.streams.get(&id) {
            stream.waker.wake_by_ref();
        }
    }

    /// Removes a stream that has come to its end. A peer that only ended its own direction still gets what is queued.
    fn remove_or_finish(&mut self, now: Instant, id: StreamId, reason: Option<CloseReason>) {
        let unsaid = self.streams.get(&id).is_some_and(|s| !s.queue.is_empty());
        if reason != Some(CloseReason::ByPeer) || !unsaid {
            self.remove(id, reason);
            return;
        }
        if let Some(stream) = self.streams.get(&id) {
            self.received.push_back(Receive::Closed {
                flow: stream.flow,
                reason: CloseReason::ByPeer,
            });
        }
        let linger = self
            .timers
            .insert(now + self.limits.linger, Due::Linger(id));
        self.start_closing(id, linger);
    }

    /// Drops a stream, and tells the machine why if it still cares.
    fn remove(&mut self, id: StreamId, reason: Option<CloseReason>) {
        let Some(stream) = self.streams.remove(&id) else {
            return;
        };
        match stream.state {
            State::Writing(_, linger)
            | State::Draining(_, linger)
            | State::Opening {
                closing: Some(linger),
                ..
            } => {
                self.timers.cancel(linger);
            }
            State::Open(_) | State::Opening { closing: None, .. } => {}
        }
        if id.is_accepted() {
            self.accepted_open -= 1;
            if self.accepted_open + 1 == self.limits.accepted_streams {
                self.wake_listeners();
            }
        }
        if let Some(reason) = reason {
            let flow = stream.flow;
            self.received.push_back(Receive::Closed { flow, reason });
        }
    }

    fn stream_mut(&mut self, flow: &Flow) -> Option<(StreamId, &mut Stream)> {
        let id = flow.stream_id()?;
        Some((id, self.streams.get_mut(&id)?))
    }
}

fn mark(stream: &dyn TcpStream, dscp: Option<u8>) {
    if let Some(Err(error)) = dscp.map(|dscp| stream.set_dscp(dscp)) {
        tracing::warn!(%error, "a stream goes without its code point");
    }
}

/// How many times one stream is read before others have their turn.
const READS: usize = 8;

/// How much is read at once.
const READ_BUFFER: usize = 65_536;

/// How much is written at once when several pieces wait.
const TOGETHER: usize = 65_536;
