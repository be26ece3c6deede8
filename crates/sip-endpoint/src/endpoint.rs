//! The switchboard: one screen for each direction.

use crate::{
    EndpointConfig, EndpointStats, Event, Observation,
    acknowledge::{AckId, Acknowledgement},
    failover::Failover,
    identity::Author,
    keep_alive::Kept,
    names::{Names, View},
    observation::{Direction, Observer},
    overload_control::Control,
    probe::Probes,
    respond::Undelivered,
    search::{Outbound, RequestId},
    stack::Notice,
    table::Table,
};
use ahash::RandomState;
use sip_io::{
    Flow, Note, Receive, Rng, Shard, StateMachine, TimerQueue, Transmit, WallClock, earliest,
};
use sip_message::{Request, Response, StatusCode, Uri};
use sip_resolver::{Answer, Cached, LookupError, LookupId, QuestionId, ServerKey};
use sip_transaction::{
    ClientTransactionId, Limits, ServerTransactionId, Timers, TransactionConfig, TransactionLayer,
};
use sip_transport::{Listener, ListenerId, Rate, Sharding, TooManyAdopted, Transport};
use std::{
    collections::{HashMap, VecDeque},
    fmt,
    time::{Duration, Instant},
};

/// Transport, transactions and resolver as one switchboard for a core.
///
/// It is driven by the [`Stack`](crate::Stack) that owns it; cores give it commands through a
/// [`Context`](crate::Context).
pub struct Endpoint {
    pub(crate) clock: WallClock,
    pub(crate) rng: Rng,
    pub(crate) tag_seed: [u8; 32],
    pub(crate) default_timers: Timers,
    pub(crate) author: Author,
    pub(crate) sharding: Option<Sharding>,
    pub(crate) request_limit: usize,
    pub(crate) datagram_limit: usize,
    pub(crate) failover: Failover,
    pub(crate) probes: Probes,
    pub(crate) overload: Overload,
    pub(crate) lost: Lost,
    /// Only where it is switched on
    pub(crate) overload_control: Option<Box<Control>>,
    pub(crate) transport: Transport,
    pub(crate) transactions: TransactionLayer,
    pub(crate) names: Names,
    pub(crate) requests: Table<Outbound>,
    pub(crate) attempts: HashMap<ClientTransactionId, RequestId, RandomState>,
    pub(crate) acks: Table<Acknowledgement>,
    /// Kept ACKs that have another target if the flow fails
    pub(crate) watched: HashMap<Flow, Vec<AckId>, RandomState>,
    pub(crate) undelivered: HashMap<ServerTransactionId, Undelivered, RandomState>,
    pub(crate) lookups: HashMap<LookupId, Waiter, RandomState>,
    pub(crate) connecting: HashMap<Flow, Vec<Waiter>, RandomState>,
    /// Flows that are kept alive
    pub(crate) kept: HashMap<Flow, Kept, RandomState>,
    pub(crate) flows_failed: u64,
    pub(crate) answers_stun: bool,
    pub(crate) await_reconnection: bool,
    pub(crate) passes_strays: bool,
    pub(crate) trying_reason: Option<String>,
    pub(crate) timers: TimerQueue<Due>,
    /// What goes before everything that the transport has to send
    pub(crate) transmits: VecDeque<Transmit>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) notices: VecDeque<Notice>,
    pub(crate) observer: Observer,
}

/// Who waits for a name or a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiter {
    Request(RequestId),
    Ack(AckId),
    Response(ServerTransactionId),
}

/// What an endpoint's own timers are for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Due {
    Deadline(RequestId),
    /// An attempt that has had no response yet
    Silence(RequestId),
    /// A connection that is not open yet: another address of the same server has its turn
    Race(RequestId),
    /// A server that is down is asked whether it lives
    Probe(ServerKey),
    AckForgotten(AckId),
    /// A kept flow
    KeepAlive(Flow),
}

/// Who is told that there is no room.
#[derive(Debug)]
pub(crate) struct Overload {
    pub(crate) answers: Rate,
    pub(crate) refused: u64,
    pub(crate) answered: u64,
}

/// What was dropped that nobody is told about otherwise.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    pub(crate) responses: u64,
    pub(crate) acknowledgements: u64,
    pub(crate) unclaimed: u64,
}

impl Endpoint {
    /// An endpoint without listeners.
    pub fn new(config: EndpointConfig) -> Self {
        let EndpointConfig {
            seed,
            clock,
            timers,
            transport,
            view,
            product,
            ..
        } = config;
        let EndpointConfig {
            transactions,
            requests,
            ..
        } = config;
        let now = clock.at;
        let mut rng = Rng::new(seed);
        let hasher = RandomState::with_seeds(
            rng.next_u64(),
            rng.next_u64(),
            rng.next_u64(),
            rng.next_u64(),
        );
        let kept_hasher = hasher.clone();
        let transport = match config.answer_stun {
            true => transport,
            false => transport.keep(None),
        };
        let limits = Limits::default()
            .transactions(transactions)
            .reserve(transactions / 16);
        let layer = TransactionConfig::default()
            .timers(timers)
            .limits(limits)
            .trying_after(config.trying_after)
            .new_requests_per_second(config.new_requests)
            .matching(config.matching);
        let layer = config
            .carried
            .into_iter()
            .fold(layer, TransactionConfig::carry);
        let layer = match &config.trying_reason {
            Some(reason) => layer.trying_reason(reason),
            None => layer,
        };
        Self {
            clock,
            tag_seed: rng.seed(),
            default_timers: timers,
            author: Author::new(Rng::new(rng.seed()), product.as_deref(), transport.shard())
                .announcing(config.overload_control.as_ref()),
            sharding: transport.shard().cloned(),
            request_limit: requests,
            datagram_limit: config.datagram_limit,
            failover: Failover::new(
                (config.attempt_limit, config.attempt_delay),
                config.non_invite_limit,
                config.health,
                config.affinity,
                requests,
                hasher.clone(),
            ),
            probes: Probes::new(hasher.clone()),
            lost: Lost::default(),
            overload: Overload {
                answers: Rate::new(config.overload_answers, now),
                refused: 0,
                answered: 0,
            },
            overload_control: config.overload_control.map(|control| {
                let rng = Rng::new(rng.seed());
                Box::new(Control::new(control, clock, rng, hasher.clone()))
            }),
            transport: Transport::new(transport.clock(clock), Rng::new(rng.seed()), now),
            transactions: TransactionLayer::new(layer, Rng::new(rng.seed()), now),
            names: Names::new(view, &mut rng, now, hasher.clone()),
            requests: Table::new(),
            attempts: HashMap::with_hasher(hasher.clone()),
            acks: Table::new(),
            watched: HashMap::with_hasher(hasher.clone()),
            undelivered: HashMap::with_hasher(hasher.clone()),
            lookups: HashMap::with_hasher(hasher.clone()),
            connecting: HashMap::with_hasher(hasher),
            kept: HashMap::with_hasher(kept_hasher),
            flows_failed: 0,
            answers_stun: config.answer_stun,
            await_reconnection: config.await_reconnection,
            passes_strays: config.strays,
            trying_reason: config.trying_reason,
            timers: TimerQueue::new(now),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            notices: VecDeque::new(),
            observer: Observer::new(config.observe, config.redaction),
            rng,
        }
    }

    /// Opens a listener; the outcome comes as [`StackEvent::Listening`](crate::StackEvent::Listening) or
    /// [`StackEvent::ListenFailed`](crate::StackEvent::ListenFailed).
    pub fn listen(&mut self, now: Instant, listener: Listener) -> ListenerId {
        self.transport.listen(now, listener)
    }

    /// Opens a listener whose names are looked up in a view of their own: split horizon DNS.
    ///
    /// It is used for requests that go out [by this listener](crate::Draft::by_listener), for those that were to go out
    /// on a flow of it which is gone, and for responses to requests that came in by it (RFC 3263 §5).
    pub fn listen_within(&mut self, now: Instant, listener: Listener, view: View) -> ListenerId {
        let id = self.listen(now, listener);
        self.names.add_for(id, view, &mut self.rng, now);
        id
    }

    /// Every answer of the DNS that is kept, in no particular order.
    pub fn cached(&self, now: Instant) -> impl Iterator<Item = Cached> {
        self.names.cached(now)
    }

    /// Forgets every answer of the DNS.
    pub fn flush(&mut self) {
        self.names.flush();
    }

    /// Forgets the answers of the DNS about one name.
    pub fn flush_name(&mut self, name: &str) {
        self.names.flush_name(name);
    }

    /// Whether servers can be found for a URI of this scheme: `sip`, `sips`, and `tel` when there is a suffix for ENUM
    /// (RFC 6116).
    pub fn can_locate(&self, uri: &Uri) -> bool {
        uri.is_sip() || uri.scheme_str().eq_ignore_ascii_case("tel") && self.names.knows_numbers()
    }

    /// Gives the answer to a question that came as [`StackEvent::LookupNeeded`](crate::StackEvent::LookupNeeded). An
    /// answer that comes too late is ignored.
    pub fn provide_answer(
        &mut self,
        now: Instant,
        id: QuestionId,
        answer: Result<Answer, LookupError>,
    ) {
        self.names.provide_answer(now, id, answer);
    }

    /// The next observed message; see [`EndpointConfig::observe`].
    #[inline]
    pub fn poll_observation(&mut self) -> Option<Observation> {
        self.observer.pop()
    }

    /// Which instant is which time.
    pub fn clock(&self) -> WallClock {
        self.clock
    }

    /// The generator of everything that must not be guessed.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// The transaction timers used when a request brings none of its own.
    pub fn timers(&self) -> &Timers {
        &self.default_timers
    }

    /// Gives the answers to a request timers of their own, before the first of them.
    pub fn set_server_timers(&mut self, now: Instant, id: ServerTransactionId, timers: Timers) {
        self.transactions.set_server_timers(now, id, timers);
    }

    /// Sets when an INVITE that was not answered yet is answered with 100, counted from now, instead of when
    /// [`EndpointConfig::trying_after`] says; `None` leaves it to the core.
    pub fn set_trying_after(
        &mut self,
        now: Instant,
        id: ServerTransactionId,
        request: &Request,
        after: Option<Duration>,
    ) {
        self.transactions.set_trying_after(now, id, request, after);
    }

    /// The 100 to a request, for a core that gives it itself.
    pub fn trying(&self, request: &Request) -> Response {
        let response = request.response(StatusCode::TRYING);
        match &self.trying_reason {
            Some(reason) => response.reason(reason).build(),
            None => response.build(),
        }
    }

    /// Ends a server transaction without an answer: a copy of its request is a new request.
    pub fn forget(&mut self, id: ServerTransactionId) {
        self.transactions.forget(id);
    }

    /// Whether the request of `id` came over another way before: the same From tag, Call-ID and CSeq without a To tag,
    /// in another transaction (RFC 3261 §8.2.2.2).
    ///
    /// Only what was asked about is remembered, so who asks does so for each request, when it comes.
    pub fn is_merged(&mut self, id: ServerTransactionId, request: &Request) -> bool {
        self.transactions.is_merged(id, request)
    }

    /// Which of several endpoints this is that share the work of one, if it is.
    pub const fn sharding(&self) -> Option<&Sharding> {
        self.sharding.as_ref()
    }

    /// Tells the cores of another shard something, which comes there as [`Event::Note`]. It is lost when that shard has
    /// too much to do; whoever asks a question sets a time for the answer.
    pub fn tell(&mut self, to: Shard, note: Note) {
        self.transport.tell(to, note);
    }

    /// Takes a connection of another shard for open that a third one told us of, and learns of its end as
    /// [`Event::FlowClosed`], at once if that has come already. Nothing happens for any other flow.
    pub fn watch_flow(&mut self, flow: &Flow) {
        self.transport.watch(flow);
    }

    /// Makes the requests of a call meet on the shard `by`; see [`Transport::adopt`](sip_transport::Transport::adopt).
    ///
    /// # Errors
    ///
    /// When too many are adopted.
    pub fn adopt(&mut self, call_id: &str, by: Shard) -> Result<(), TooManyAdopted> {
        self.transport.adopt(call_id, by)
    }

    /// Whether no request of ours is without an outcome, no response is on its way and no name is asked for.
    pub fn is_idle(&self) -> bool {
        self.events.is_empty()
            && self.lookups.is_empty()
            && self.connecting.is_empty()
            && self.undelivered.is_empty()
            && self.requests.values().all(Outbound::is_answered)
    }

    /// What is held and was counted.
    pub fn stats(&self) -> EndpointStats {
        EndpointStats {
            transport: self.transport.stats(),
            transactions: self.transactions.stats(),
            client_transactions: self.transactions.len_client(),
            server_transactions: self.transactions.len_server(),
            requests: self.requests.len(),
            acknowledgements: self.acks.len(),
            refused: self.overload.refused,
            refused_answered: self.overload.answered,
            shed: self
                .overload_control
                .as_ref()
                .map_or(0, |control| control.shed()),
            flows_kept: self.kept.len(),
            flows_failed: self.flows_failed,
            lookups: self.lookups.len(),
            undelivered: self.undelivered.len(),
            responses_lost: self.lost.responses,
            acknowledgements_lost: self.lost.acknowledgements,
            acknowledgements_unclaimed: self.lost.unclaimed,
            observations_lost: self.observer.lost(),
        }
    }

    pub(crate) fn handle_receive(&mut self, now: Instant, receive: Receive) {
        if self.names.wants(&receive) {
            self.names.handle_receive(now, receive);
        } else {
            self.transport.handle_receive(now, receive);
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.transport.handle_timeout(now);
        self.transactions.handle_timeout(now);
        self.names.handle_timeout(now);
        while let Some(due) = self.timers.pop(now) {
            match due {
                Due::Deadline(id) => self.deadline_passed(now, id),
                Due::Silence(id) => self.stayed_silent(now, id),
                Due::Race(id) => self.race(now, id),
                Due::Probe(server) => self.probe(now, server),
                Due::AckForgotten(id) => self.forget_ack(id),
                Due::KeepAlive(flow) => self.keep_alive_due(now, flow),
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        earliest([
            self.transport.poll_timeout(),
            self.transactions.poll_timeout(),
            self.names.poll_timeout(),
            self.timers.next(),
        ])
    }

    #[inline]
    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        if let Some(earlier) = self.transmits.pop_front() {
            return Some(earlier);
        }
        self.transport.poll_transmit()
    }

    /// Lets the layers hand to each other until none has anything for another; afterwards `events` holds what is for
    /// the core, and only `poll_transmit` is left to ask.
    pub(crate) fn settle(&mut self, now: Instant) {
        let mut asks = false;
        loop {
            let mut quiet = true;
            while let Some(event) = self.transport.poll_event() {
                quiet = false;
                self.handle_transport_event(now, event);
            }
            while let Some(event) = self.transactions.poll_event() {
                quiet = false;
                self.handle_transaction_event(now, event);
            }
            while let Some(send) = self.transactions.poll_transmit() {
                quiet = false;
                self.handle_transaction_send(now, send);
            }
            if self.names.is_stirred() {
                asks = true;
                while let Some(event) = self.names.poll_event(now) {
                    quiet = false;
                    self.handle_name_event(now, event);
                }
            }
            if quiet {
                break;
            }
        }
        if !asks {
            return;
        }
        // What is sent keeps its order, whenever it is polled.
        while let Some(question) = self.names.poll_transmit() {
            while let Some(transmit) = self.transport.poll_transmit() {
                self.transmits.push_back(transmit);
            }
            self.transmits.push_back(question);
        }
    }

    pub(crate) fn observe(
        &mut self,
        now: Instant,
        direction: Direction,
        flow: &Flow,
        contents: &bytes::Bytes,
    ) {
        if self.observer.is_on() {
            self.observer.note(now, direction, *flow, contents.clone());
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
