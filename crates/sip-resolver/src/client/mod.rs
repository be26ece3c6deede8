//! A small DNS client: one question out, one answer back.

mod config;
#[cfg(test)]
mod tests;
mod wire;

pub use config::DnsConfig;

use crate::{Answer, LookupError, Question, QuestionId};
use ahash::RandomState;
use bytes::Bytes;
use sip_io::{Rng, TimerId, TimerQueue};
use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    time::Instant,
};
use wire::Verdict;

/// Asks name servers over UDP, without owning a socket.
///
/// ```text
///   ask ---> Waiting -- answer, "no such name", "no such record" --> event
///              |  ^
///              |  |  alias that ends elsewhere: the same for the new name, at most 8 times
///              |  |  silence: next server, doubling the wait; failure: next server at once
///              |  |  cut off: the same server over a stream (RFC 7766 §5)
///              '--'
///              |
///              '-- attempts used up ------------------------------> event with the last failure
/// ```
///
/// What comes from elsewhere than a server that was asked, with another id or another question is ignored and
/// counted (RFC 5452 §9.1). Ids are random, and no two open questions have the same one. EDNS0 asks for
/// room (RFC 6891); what does not fit all the same is asked for again over a stream ([`poll_stream`](Self::poll_stream)).
/// When that does not help, what came is used and says so ([`Answer::is_truncated`]).
///
/// ```
/// # use sip_io::Rng;
/// # use sip_resolver::{DnsClient, DnsConfig, Event, Query, Resolver, ResolverConfig};
/// # use std::time::Instant;
/// let now = Instant::now();
/// let mut resolver = Resolver::new(ResolverConfig::new(), Rng::new([1; 32]), now);
/// let mut client = DnsClient::new(DnsConfig::new(["192.0.2.53:53".parse()?]), Rng::new([2; 32]), now);
///
/// resolver.start(now, Query::host("example.com", None, None)?);
/// while let Some(Event::Question { id, question }) = resolver.poll_event() {
///     client.ask(now, id, &question);
/// }
/// let (server, datagram) = client.poll_transmit().expect("a question is on its way");
/// assert_eq!(server.port(), 53);
/// # assert!(datagram.len() > 12);
/// // The socket's owner calls client.handle_datagram(now, from, &bytes), and hands poll_event on to
/// // resolver.provide_answer(now, id, answer).
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DnsClient {
    config: DnsConfig,
    rng: Rng,
    open: HashMap<u16, Open, RandomState>,
    timers: TimerQueue<u16>,
    transmits: VecDeque<(SocketAddr, Bytes)>,
    streams: HashMap<DnsStreamId, u16, RandomState>,
    stream_commands: VecDeque<DnsStream>,
    next_stream: u64,
    events: VecDeque<(QuestionId, Result<Answer, LookupError>)>,
    stats: DnsStats,
}

/// Names a stream to a server; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DnsStreamId(u64);

impl DnsStreamId {
    /// The number, counted from zero.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The id with this number.
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }
}

/// What a client asks of whoever owns its connections.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DnsStream {
    /// Connect to the server and send this; what comes goes to [`DnsClient::handle_stream`], and an end or a failure to
    /// [`DnsClient::handle_stream_end`].
    Open {
        /// The connection's name
        stream: DnsStreamId,
        /// Where to
        server: SocketAddr,
        /// The first bytes, which are also the last
        contents: Bytes,
    },
    /// Close the connection; nothing about it is of interest any more.
    Close {
        /// Which
        stream: DnsStreamId,
    },
}

/// What a client has done, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DnsStats {
    /// Questions taken on
    pub questions: u64,
    /// Questions refused at the limit
    pub refused: u64,
    /// Datagrams sent, repetitions included
    pub sent: u64,
    /// Datagrams that came
    pub received: u64,
    /// Datagrams from elsewhere, with an unknown id or with another question
    pub ignored: u64,
    /// Datagrams that fit but cannot be read
    pub malformed: u64,
    /// Answers that were cut off
    pub truncated: u64,
    /// Questions asked over a stream
    pub streams: u64,
    /// Questions that no server answered in time
    pub timed_out: u64,
    /// Questions open now
    pub open: usize,
}

/// A question on its way.
struct Open {
    caller: QuestionId,
    question: Question,
    /// Aliases followed so far
    aliases: u8,
    /// Attempts made for the name as it is now
    attempts: u32,
    /// Which servers were asked, one bit each
    asked: u32,
    edns: bool,
    timer: TimerId,
    /// The last failure that a server reported
    failure: Option<LookupError>,
    stream: Option<Stream>,
}

/// The rest of an answer on its way over a stream.
struct Stream {
    id: DnsStreamId,
    /// What came already
    received: Vec<u8>,
    /// What the datagram said
    cut_off: Result<Answer, LookupError>,
}

impl DnsClient {
    /// A client without anything to do. The generator makes the ids.
    pub fn new(config: DnsConfig, mut rng: Rng, now: Instant) -> Self {
        let hasher = RandomState::with_seeds(
            rng.next_u64(),
            rng.next_u64(),
            rng.next_u64(),
            rng.next_u64(),
        );
        Self {
            config,
            rng,
            open: HashMap::with_hasher(hasher.clone()),
            streams: HashMap::with_hasher(hasher),
            stream_commands: VecDeque::new(),
            next_stream: 0,
            timers: TimerQueue::new(now),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            stats: DnsStats::default(),
        }
    }

    /// Asks a question. Exactly one event with `caller` answers it.
    pub fn ask(&mut self, now: Instant, caller: QuestionId, question: &Question) {
        self.stats.questions += 1;
        if self.config.servers.is_empty() {
            self.events.push_back((caller, Err(LookupError::NoServer)));
            return;
        }
        if self.open.len() >= self.config.questions {
            self.stats.refused += 1;
            let error = LookupError::TooManyQuestions;
            self.events.push_back((caller, Err(error)));
            return;
        }
        let id = self.free_id();
        let open = Open {
            caller,
            question: question.clone(),
            aliases: 0,
            attempts: 0,
            asked: 0,
            edns: true,
            timer: self.timers.insert(now, id),
            failure: None,
            stream: None,
        };
        self.open.insert(id, open);
        self.attempt(now, id);
    }

    /// Takes in a datagram that came from `from`.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, contents: &[u8]) {
        self.stats.received += 1;
        let id = match contents {
            [high, low, ..] => u16::from_be_bytes([*high, *low]),
            _ => {
                self.stats.ignored += 1;
                return;
            }
        };
        let servers = &self.config.servers;
        let asks = |open: &&mut Open| open.stream.is_none();
        let Some(open) = self.open.get_mut(&id).filter(asks).filter(|open| {
            servers
                .iter()
                .enumerate()
                .any(|(index, server)| open.asked & (1 << index) != 0 && same_host(*server, from))
        }) else {
            self.stats.ignored += 1;
            return;
        };
        let verdict = wire::read(contents, &open.question, open.aliases);
        self.follow(now, id, from, verdict);
    }

    /// Takes in bytes of a stream.
    pub fn handle_stream(&mut self, now: Instant, stream: DnsStreamId, contents: &[u8]) {
        let Some(&id) = self.streams.get(&stream) else {
            return;
        };
        let Some(open) = self.open.get_mut(&id) else {
            return;
        };
        let Some(rest) = &mut open.stream else { return };
        // A length has two bytes, so that this cannot grow beyond 65,537 (RFC 1035 §4.2.2).
        rest.received.extend_from_slice(contents);
        let [high, low, message @ ..] = rest.received.as_slice() else {
            return;
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some(message) = message.get(..length) else {
            return;
        };
        let named = message.get(..2) == Some(&id.to_be_bytes()[..]);
        let verdict = if named {
            wire::read(message, &open.question, open.aliases)
        } else {
            Verdict::Ignored
        };
        match verdict {
            Verdict::Ignored | Verdict::Failed(_) | Verdict::WithoutEdns => {
                self.handle_stream_end(now, stream);
            }
            Verdict::Answered(answer) => self.finish(id, answer),
            verdict @ Verdict::Alias { .. } => {
                self.close_stream(id);
                let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
                self.follow(now, id, nowhere, verdict);
            }
        }
    }

    /// A stream has ended, or could not be opened: what the datagram said has to do.
    pub fn handle_stream_end(&mut self, _now: Instant, stream: DnsStreamId) {
        if let Some(id) = self.streams.get(&stream).copied() {
            self.give_up_stream(id);
        }
    }

    /// The next thing to do with a stream. It has work for those who can connect; who cannot calls
    /// [`handle_stream_end`](Self::handle_stream_end).
    pub fn poll_stream(&mut self) -> Option<DnsStream> {
        self.stream_commands.pop_front()
    }

    /// Goes on with what a message says.
    fn follow(&mut self, now: Instant, id: u16, from: SocketAddr, verdict: Verdict) {
        let Some(open) = self.open.get_mut(&id) else {
            return;
        };
        match verdict {
            Verdict::Ignored => self.stats.ignored += 1,
            Verdict::Answered(answer) => {
                let is_cut_off = match &answer {
                    Ok(answer) => answer.is_truncated(),
                    Err(error) => *error == LookupError::Truncated,
                };
                self.stats.truncated += u64::from(is_cut_off);
                if is_cut_off && self.config.streams && self.streams.len() < MOST_STREAMS {
                    self.ask_by_stream(now, id, from, answer);
                } else {
                    self.finish(id, answer);
                }
            }
            Verdict::Alias { name, aliases } => {
                open.question = Question::of(&name, open.question.record_type());
                open.aliases = aliases;
                open.attempts = 0;
                open.asked = 0;
                self.attempt(now, id);
            }
            Verdict::WithoutEdns if open.edns => {
                open.edns = false;
                // The same server, and no attempt lost.
                open.attempts -= 1;
                self.attempt(now, id);
            }
            Verdict::WithoutEdns => {
                open.failure = Some(LookupError::Refused);
                self.attempt(now, id);
            }
            Verdict::Failed(error) => {
                self.stats.malformed += u64::from(error == LookupError::Malformed);
                open.failure = Some(error);
                self.attempt(now, id);
            }
        }
    }

    /// Repeats and gives up what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(id) = self.timers.pop(now) {
            if self.open.get(&id).is_some_and(|open| open.stream.is_some()) {
                self.give_up_stream(id);
            } else {
                self.attempt(now, id);
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The next datagram to send, and where to.
    pub fn poll_transmit(&mut self) -> Option<(SocketAddr, Bytes)> {
        self.transmits.pop_front()
    }

    /// The next question that has ended.
    pub fn poll_event(&mut self) -> Option<(QuestionId, Result<Answer, LookupError>)> {
        self.events.pop_front()
    }

    /// The servers that are asked.
    pub fn servers(&self) -> &[SocketAddr] {
        &self.config.servers
    }

    /// Changes the servers, for attempts from now on; the first 16 are used.
    pub fn set_servers(&mut self, servers: impl IntoIterator<Item = SocketAddr>) {
        self.config.set_servers(servers);
        // The bits of the old servers mean nothing any more.
        for open in self.open.values_mut() {
            open.asked = 0;
        }
    }

    /// What was done and what is held.
    pub fn stats(&self) -> DnsStats {
        DnsStats {
            open: self.open.len(),
            ..self.stats
        }
    }

    /// Sends the question once more, or gives up.
    fn attempt(&mut self, now: Instant, id: u16) {
        let Some(open) = self.open.get_mut(&id) else {
            return;
        };
        self.timers.cancel(open.timer);
        if open.attempts >= self.config.attempts || self.config.servers.is_empty() {
            let error = open.failure.unwrap_or(LookupError::TimedOut);
            self.stats.timed_out += u64::from(error == LookupError::TimedOut);
            self.finish(id, Err(error));
            return;
        }
        let server = open.attempts as usize % self.config.servers.len();
        let wait = self.config.wait(open.attempts);
        open.asked |= 1 << server;
        open.attempts += 1;
        open.timer = self.timers.insert(now + wait, id);
        match wire::write(id, &open.question, open.edns) {
            Some(datagram) => {
                self.stats.sent += 1;
                self.transmits
                    .push_back((self.config.servers[server], datagram));
            }
            None => self.finish(id, Err(LookupError::NoSuchName { ttl: None })),
        }
    }

    /// RFC 7766 §5: what was cut off is asked for over a stream.
    fn ask_by_stream(
        &mut self,
        now: Instant,
        id: u16,
        server: SocketAddr,
        cut_off: Result<Answer, LookupError>,
    ) {
        let Some(open) = self.open.get_mut(&id) else {
            return;
        };
        let Some(message) = wire::write(id, &open.question, open.edns) else {
            return self.finish(id, cut_off);
        };
        let mut contents = Vec::with_capacity(message.len() + 2);
        contents.extend_from_slice(&(message.len() as u16).to_be_bytes());
        contents.extend_from_slice(&message);
        let stream = DnsStreamId(self.next_stream);
        self.next_stream += 1;
        self.timers.cancel(open.timer);
        open.timer = self.timers.insert(now + self.config.longest_interval, id);
        open.stream = Some(Stream {
            id: stream,
            received: Vec::new(),
            cut_off,
        });
        self.streams.insert(stream, id);
        self.stats.streams += 1;
        self.stream_commands.push_back(DnsStream::Open {
            stream,
            server,
            contents: Bytes::from(contents),
        });
    }

    fn give_up_stream(&mut self, id: u16) {
        if let Some(rest) = self.close_stream(id) {
            self.finish(id, rest.cut_off);
        }
    }

    fn close_stream(&mut self, id: u16) -> Option<Stream> {
        let rest = self.open.get_mut(&id)?.stream.take()?;
        self.streams.remove(&rest.id);
        self.stream_commands
            .push_back(DnsStream::Close { stream: rest.id });
        Some(rest)
    }

    fn finish(&mut self, id: u16, answer: Result<Answer, LookupError>) {
        self.close_stream(id);
        if let Some(open) = self.open.remove(&id) {
            self.timers.cancel(open.timer);
            self.events.push_back((open.caller, answer));
        }
    }

    /// An id that no open question has. The limit leaves at least half of all ids free.
    fn free_id(&mut self) -> u16 {
        loop {
            let id = self.rng.next_u32() as u16;
            if !self.open.contains_key(&id) {
                return id;
            }
        }
    }
}

/// Whether both are the same address and port; the scope of a link-local address is not the sender's to say.
fn same_host(one: SocketAddr, other: SocketAddr) -> bool {
    one.ip().to_canonical() == other.ip().to_canonical() && one.port() == other.port()
}

/// Connections open at one time; what is cut off beyond that stays so.
const MOST_STREAMS: usize = 64;

impl std::fmt::Debug for DnsClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DnsClient")
            .field("servers", &self.config.servers)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
