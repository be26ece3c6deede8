//! The machine that owns the sessions of all calls.

use crate::{
    AudioSink, AudioSource, DtmfError, Event, Gone, MediaConfig, OpenError, PlaybackId,
    SessionConfig, SessionId, StartError, Stats,
    ports::Ports,
    session::{Binding, Session, Socket},
    stream::Stream,
};
use bytes::Bytes;
use sdp::NegotiatedMedia;
use sip_io::{BindToken, Flow, Protocol, Receive, Rng, StateMachine, TimerQueue, Transmit};
use slab::Slab;
use std::{
    collections::{BTreeMap, VecDeque},
    fmt, io,
    net::SocketAddr,
    time::Instant,
};

/// The media sessions of all calls of a stack: one machine, one driver, no task per call.
///
/// A session lives from [`open`](Self::open) to [`close`](Self::close). Commands to a session that is closed say so and
/// do nothing.
pub struct MediaEngine {
    config: MediaConfig,
    rng: Rng,
    ports: Ports,
    sessions: Slab<Session>,
    opened: u64,
    /// Which session a socket belongs to, and whether it is the one for RTCP
    sockets: BTreeMap<SocketAddr, (usize, bool)>,
    tokens: BTreeMap<BindToken, usize>,
    next_token: u64,
    next_playback: u64,
    timers: TimerQueue<usize>,
    out: Out,
}

/// What goes out of the engine.
#[derive(Debug, Default)]
pub(crate) struct Out {
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

impl MediaEngine {
    /// An engine without sessions.
    pub fn new(config: MediaConfig) -> Self {
        let mut rng = Rng::new(config.seed);
        Self {
            ports: Ports::new(&config.ports, &mut rng),
            rng,
            sessions: Slab::new(),
            opened: 0,
            sockets: BTreeMap::new(),
            tokens: BTreeMap::new(),
            next_token: config.first_token,
            next_playback: 0,
            timers: TimerQueue::new(config.clock.at),
            out: Out::default(),
            config,
        }
    }

    /// Asks for an even port and the next. [`Event::Opened`] or [`Event::OpenFailed`] follows; in between other ports
    /// are tried where some are taken.
    pub fn open(&mut self, now: Instant, config: SessionConfig) -> Result<SessionId, OpenError> {
        if self.sessions.len() >= self.config.sessions {
            return Err(OpenError::Full(self.config.sessions));
        }
        let port = self.ports.take(config.local).ok_or(OpenError::NoPort)?;
        let mut defaults = self.config.session;
        defaults.latch = config.latch.unwrap_or(defaults.latch);
        defaults.silence = config.silence.unwrap_or(defaults.silence);
        let entry = self.sessions.vacant_entry();
        let id = SessionId {
            index: entry.key(),
            generation: self.opened,
        };
        self.opened += 1;
        let rng = Rng::new(self.rng.seed());
        let unasked = Socket {
            token: BindToken(u64::MAX),
            state: Binding::Failed,
        };
        entry.insert(Session {
            id,
            address: config.local,
            port,
            attempts_left: self.config.attempts.max(1),
            rtp: unasked,
            rtcp: unasked,
            timer: None,
            stream: Stream::new(now, id, defaults, rng, self.config.clock),
        });
        self.bind(id.index);
        Ok(id)
    }

    /// Does what was agreed on from now on; called again after another offer and answer, it changes to that. What is
    /// played and recorded goes on.
    pub fn start(
        &mut self,
        now: Instant,
        session: SessionId,
        media: &NegotiatedMedia,
    ) -> Result<(), StartError> {
        let found = self.session(session).map_err(|Gone| StartError::Gone)?;
        if found.bound().is_none() {
            return Err(StartError::NotOpen);
        }
        found.stream.start(now, media)?;
        self.reschedule(session.index);
        Ok(())
    }

    /// Sends and hears nothing until [`start`](Self::start) is called again: audio was turned down. What is played and
    /// recorded waits.
    pub fn suspend(&mut self, now: Instant, session: SessionId) -> Result<(), Gone> {
        self.session(session)?.stream.suspend(now);
        self.reschedule(session.index);
        Ok(())
    }

    /// Plays a source to the peer, in place of what was played before. [`Event::PlaybackDone`] follows. While the call
    /// is on hold or keys are sent, the source waits.
    pub fn play(
        &mut self,
        now: Instant,
        session: SessionId,
        source: Box<dyn AudioSource>,
    ) -> Result<PlaybackId, Gone> {
        let playback = PlaybackId(self.next_playback);
        let replaced = self.session(session)?.stream.play(now, playback, source);
        self.next_playback += 1;
        self.interrupted(session, replaced);
        self.reschedule(session.index);
        Ok(playback)
    }

    /// Stops playing, if that is what is played; without a name, whatever is played.
    pub fn stop_playing(
        &mut self,
        session: SessionId,
        playback: Option<PlaybackId>,
    ) -> Result<(), Gone> {
        let stopped = self.session(session)?.stream.stop_playing(playback);
        self.interrupted(session, stopped);
        Ok(())
    }

    /// Gives what the peer says to a sink from now on, and returns the sink that had it before.
    pub fn record(
        &mut self,
        now: Instant,
        session: SessionId,
        sink: Box<dyn AudioSink>,
    ) -> Result<Option<Box<dyn AudioSink>>, Gone> {
        let before = self.session(session)?.stream.record(now, Some(sink));
        self.reschedule(session.index);
        Ok(before)
    }

    /// Takes the sink back.
    pub fn stop_recording(
        &mut self,
        now: Instant,
        session: SessionId,
    ) -> Result<Option<Box<dyn AudioSink>>, Gone> {
        let before = self.session(session)?.stream.record(now, None);
        self.reschedule(session.index);
        Ok(before)
    }

    /// Sends back what comes, payload for payload, or stops to. What is played goes out as well.
    pub fn echo(&mut self, now: Instant, session: SessionId, yes: bool) -> Result<(), Gone> {
        self.session(session)?.stream.set_echo(now, yes);
        self.reschedule(session.index);
        Ok(())
    }

    /// Presses keys one after the other (RFC 4733). [`Event::DtmfSent`] follows when all are sent, at once where none
    /// are and none wait.
    pub fn send_dtmf(
        &mut self,
        now: Instant,
        session: SessionId,
        digits: &str,
    ) -> Result<(), DtmfError> {
        let Self { sessions, out, .. } = self;
        let found = find(sessions, session).map_err(|Gone| DtmfError::Gone)?;
        found.stream.send_keys(now, digits, out)?;
        self.reschedule(session.index);
        Ok(())
    }

    /// Ends a session: says goodbye by RTCP, gives the ports back, drops source and sink.
    pub fn close(&mut self, now: Instant, session: SessionId) -> Result<Stats, Gone> {
        let stats = {
            let Self { sessions, out, .. } = self;
            let found = find(sessions, session)?;
            found.stream.close(now, out)
        };
        let playing = self.session(session)?.stream.stop_playing(None);
        self.interrupted(session, playing);
        self.remove(session.index);
        Ok(stats)
    }

    /// What a session has sent and heard so far.
    pub fn stats(&self, session: SessionId) -> Result<Stats, Gone> {
        self.sessions
            .get(session.index)
            .filter(|found| found.id == session)
            .map(|found| found.stream.stats())
            .ok_or(Gone)
    }

    /// Where a session receives RTP, once it is open.
    pub fn local(&self, session: SessionId) -> Option<SocketAddr> {
        self.sessions
            .get(session.index)
            .filter(|found| found.id == session)?
            .bound()
            .map(|(rtp, _)| rtp)
    }

    /// Whether a datagram flow is one of ours, where several machines share a driver.
    pub fn owns(&self, flow: &Flow) -> bool {
        self.socket(flow).is_some()
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is no session, so that nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    fn session(&mut self, id: SessionId) -> Result<&mut Session, Gone> {
        find(&mut self.sessions, id)
    }

    fn socket(&self, flow: &Flow) -> Option<(usize, bool)> {
        if flow.is_stream() {
            return None;
        }
        let local = flow.local();
        let any = match local {
            SocketAddr::V4(_) => SocketAddr::from(([0; 4], local.port())),
            SocketAddr::V6(_) => SocketAddr::from(([0; 16], local.port())),
        };
        self.sockets
            .get(&local)
            .or_else(|| self.sockets.get(&any))
            .copied()
    }

    fn interrupted(&mut self, session: SessionId, playback: Option<PlaybackId>) {
        if let Some(playback) = playback {
            self.out.event(Event::PlaybackDone {
                session,
                playback,
                completed: false,
            });
        }
    }

    /// Asks for the session's two sockets.
    fn bind(&mut self, index: usize) {
        let tokens = [self.token(), self.token()];
        let Some(session) = self.sessions.get_mut(index) else {
            return;
        };
        let asked = |token| Socket {
            token,
            state: Binding::Asked,
        };
        [session.rtp, session.rtcp] = tokens.map(asked);
        for (token, port) in tokens.into_iter().zip([session.port, session.port + 1]) {
            self.tokens.insert(token, index);
            self.out.transmits.push_back(Transmit::Bind {
                token,
                protocol: Protocol::Udp,
                local: SocketAddr::new(session.address, port),
            });
        }
    }

    fn bound(&mut self, token: BindToken, result: Result<SocketAddr, io::ErrorKind>) {
        let Some(index) = self.tokens.get(&token).copied() else {
            return;
        };
        let Some(session) = self.sessions.get_mut(index) else {
            return;
        };
        let socket = if session.rtp.token == token {
            &mut session.rtp
        } else {
            &mut session.rtcp
        };
        socket.state = result.map_or(Binding::Failed, Binding::Bound);
        if session.is_waiting() {
            return;
        }
        if let Some((rtp, rtcp)) = session.bound() {
            session.stream.bound(rtp, rtcp);
            self.sockets.insert(rtp, (index, false));
            self.sockets.insert(rtcp, (index, true));
            self.out.event(Event::Opened {
                session: session.id,
                local: rtp,
            });
            return;
        }
        session.attempts_left -= 1;
        let id = session.id;
        let (address, port) = (session.address, session.port);
        let another = if session.attempts_left > 0 {
            self.ports.take(address)
        } else {
            None
        };
        match another {
            Some(another) => {
                self.release(index);
                self.ports.free(address, port);
                if let Some(session) = self.sessions.get_mut(index) {
                    session.port = another;
                }
                self.bind(index);
            }
            None => {
                self.remove(index);
                self.out.event(Event::OpenFailed { session: id });
            }
        }
    }

    /// Gives back the session's sockets, also those that are not bound yet.
    fn release(&mut self, index: usize) {
        let Some(session) = self.sessions.get_mut(index) else {
            return;
        };
        for socket in [&mut session.rtp, &mut session.rtcp] {
            self.tokens.remove(&socket.token);
            if let Binding::Bound(local) = socket.state {
                self.sockets.remove(&local);
            }
            if socket.state != Binding::Failed {
                socket.state = Binding::Failed;
                self.out.transmits.push_back(Transmit::Release {
                    token: socket.token,
                });
            }
        }
    }

    fn remove(&mut self, index: usize) {
        self.release(index);
        if let Some(session) = self.sessions.try_remove(index) {
            self.ports.free(session.address, session.port);
            if let Some((timer, _)) = session.timer {
                self.timers.cancel(timer);
            }
        }
    }

    /// Sets the session's timer to when it is due next.
    fn reschedule(&mut self, index: usize) {
        let Some(session) = self.sessions.get_mut(index) else {
            return;
        };
        let due = session.stream.poll_timeout();
        if session.timer.map(|(_, at)| at) == due {
            return;
        }
        if let Some((timer, _)) = session.timer.take() {
            self.timers.cancel(timer);
        }
        session.timer = due.map(|due| (self.timers.insert(due, index), due));
    }

    const fn token(&mut self) -> BindToken {
        let token = BindToken(self.next_token);
        self.next_token += 1;
        token
    }
}

impl StateMachine for MediaEngine {
    type Event = Event;

    fn handle_receive(&mut self, now: Instant, receive: Receive) {
        match receive {
            Receive::Datagram { flow, contents } => {
                let Some((index, on_report_port)) = self.socket(&flow) else {
                    return;
                };
                if let Some(session) = self.sessions.get_mut(index) {
                    let remote = flow.remote();
                    session
                        .stream
                        .receive(now, remote, contents, on_report_port, &mut self.out);
                    self.reschedule(index);
                }
            }
            Receive::Bound { token, result } => self.bound(token, result),
            // A peer whose port is closed may open it again; that it is gone for good is for signalling to say.
            _ => {}
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        while let Some(index) = self.timers.pop(now) {
            if let Some(session) = self.sessions.get_mut(index) {
                session.timer = None;
                session.stream.handle_timeout(now, &mut self.out);
                self.reschedule(index);
            }
        }
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.transmits.pop_front()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.out.events.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }
}

impl fmt::Debug for MediaEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaEngine")
            .field("sessions", &self.sessions.len())
            .field("sockets", &self.sockets.len())
            .finish_non_exhaustive()
    }
}

impl Out {
    /// Sends a datagram; when nobody takes what is sent, media are lost, not memory.
    pub(crate) fn datagram(&mut self, local: SocketAddr, remote: SocketAddr, contents: Bytes) {
        if self.transmits.len() < QUEUE {
            self.transmits.push_back(Transmit::Datagram {
                flow: Flow::udp(local, remote),
                contents,
            });
        }
    }

    /// Tells what one of our commands led to; there are never more of these than commands.
    pub(crate) fn event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// Tells what a peer did, unless it does so more often than anyone listens.
    pub(crate) fn peer_event(&mut self, event: Event) {
        if self.events.len() < QUEUE {
            self.events.push_back(event);
        }
    }
}

fn find(sessions: &mut Slab<Session>, id: SessionId) -> Result<&mut Session, Gone> {
    sessions
        .get_mut(id.index)
        .filter(|found| found.id == id)
        .ok_or(Gone)
}

/// More than all sessions send in a frame
const QUEUE: usize = 65_536;
