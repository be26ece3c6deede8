//! The layer: every transaction of a stack in two tables, their timers in one queue.
//!
//! Commands and messages come in here; [`clients`] and [`servers`] do what the figures answer.

mod clients;
mod respond;
mod servers;

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroU64,
    time::{Duration, Instant},
};

use ahash::RandomState;
use bytes::Bytes;

use crate::{
    cancel::{self, Cancel},
    client::{self, Client},
    client_invite::{self, Cancellable},
    client_non_invite,
    config::TransactionConfig,
    error::{CancelError, Cancelled, RequestError},
    event::{ClientTransactionId, Event, Owner, Send, ServerTransactionId},
    key::{self, Key, Keys},
    pending::Pending,
    server::{self, Server, SetTimer},
    server_invite, server_non_invite,
    stats::Stats,
    table::{Id, Table},
    timers::{Timer, Timers},
    way::Way,
};
use servers::timers_of;
use sip_io::{Flow, Rng, TimerQueue};
use sip_message::{HeaderValue, Method, Request, Response, StatusCode, headers::Via};
use sip_transport::{Rate, return_flow};

/// The transaction layer of RFC 3261 §17, with RFC 6026 and RFC 4320.
///
/// It stands between a transport, which gives it messages, and a transaction user, which is told what is new. A record
/// in a slab is a transaction: a state of one of the four figures, what to send again, and two timers at most. There
/// is no queue or task for each, and no allocation but for flows that are not datagrams over IPv4, which take more room.
///
/// ```
/// # use sip_io::{Flow, Rng};
/// # use sip_message::{Message, Request, StatusCode};
/// # use sip_transaction::{Event, TransactionConfig, TransactionLayer};
/// # use std::time::Instant;
/// # let now = Instant::now();
/// # let flow = Flow::udp("192.0.2.1:5060".parse()?, "192.0.2.2:5060".parse()?);
/// # let request = Request::parse("OPTIONS sip:bob@192.0.2.1 SIP/2.0\r\n\
/// #     Via: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKnashds8\r\nMax-Forwards: 70\r\n\
/// #     From: <sip:a@192.0.2.2>;tag=1\r\nTo: <sip:bob@192.0.2.1>\r\nCall-ID: 7\r\nCSeq: 1 OPTIONS\r\n\r\n".into())?;
/// let mut layer = TransactionLayer::new(TransactionConfig::default(), Rng::new([7; 32]), now);
/// layer.receive_request(now, flow, request);
/// while let Some(event) = layer.poll_event() {
///     if let Event::Request { id, flow, request } = event {
///         layer.respond(now, id, &request.response(StatusCode::OK).build(), flow)?;
///     }
/// }
/// assert!(layer.poll_transmit().is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TransactionLayer {
    config: TransactionConfig,
    rng: Rng,
    keys: Keys,
    clients: Table<Client>,
    servers: Table<Server>,
    /// Clients by the hash of their flow, as long as its failure concerns them
    pending: Pending,
    /// The first server of each group of requests that would be merged, as far as somebody has asked
    merges: HashMap<NonZeroU64, Id, RandomState>,
    /// The timers of those servers that have their own
    own_timers: OwnTimers,
    timers: TimerQueue<Due>,
    transmits: VecDeque<Send>,
    events: VecDeque<Event>,
    /// What begins something new and may still be taken in
    admission: Option<Rate>,
    stats: Stats,
}

/// What the top Via of a request says.
struct Arrival {
    key: Key,
    /// For a CANCEL, the key of the INVITE that it wants to end
    cancels: Option<Key>,
    /// Where responses go
    back: Way,
    is_loose: bool,
}

type OwnTimers = HashMap<Id, Timers, RandomState>;

/// What stands for the To tag of a response to a peer of RFC 2543 while there is none.
const NO_TAG: NonZeroU64 = NonZeroU64::MIN;

/// Whose timer it is.
#[derive(Clone, Copy)]
pub(crate) enum Due {
    Client(Id, Timer),
    Server(Id, Timer),
}

impl Due {
    const fn timer(self) -> Timer {
        match self {
            Self::Client(_, timer) | Self::Server(_, timer) => timer,
        }
    }
}

impl TransactionLayer {
    /// A layer without transactions.
    pub fn new(config: TransactionConfig, mut rng: Rng, now: Instant) -> Self {
        Self {
            admission: config.new_requests.map(|requests| Rate::new(requests, now)),
            clients: Table::new(),
            servers: Table::new(),
            pending: Pending::new(),
            merges: HashMap::with_hasher(key::hasher(&mut rng)),
            own_timers: HashMap::with_hasher(key::hasher(&mut rng)),
            keys: Keys::new(&mut rng, config.matching),
            config,
            timers: TimerQueue::new(now),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            stats: Stats::default(),
            rng,
        }
    }

    /// Sends a request in a new client transaction, with `timers` instead of the configured ones if there are any.
    ///
    /// The request carries its topmost Via with a branch that no other request has. It is sent at once, and again as
    /// the flow's protocol asks for it.
    pub fn request(
        &mut self,
        now: Instant,
        request: &Request,
        flow: Flow,
        timers: Option<Timers>,
    ) -> Result<ClientTransactionId, RequestError> {
        self.request_written(now, request, request.to_bytes(), flow, timers)
    }

    /// As [`request`](Self::request), for who has written the request already: `contents` are its bytes.
    pub fn request_written(
        &mut self,
        now: Instant,
        request: &Request,
        contents: Bytes,
        flow: Flow,
        timers: Option<Timers>,
    ) -> Result<ClientTransactionId, RequestError> {
        if *request.method() == Method::ACK {
            return Err(RequestError::Ack);
        }
        let via = request.headers().view::<Via>().and_then(Result::ok);
        let branch = via.as_ref().and_then(|via| via.branch_raw());
        let branch = branch.ok_or(RequestError::NoBranch)?;
        let key = self
            .keys
            .client(branch, request.method(), request.headers());
        if self.clients.find(&key).is_some() {
            return Err(RequestError::BranchInUse);
        }
        let (taken, limits) = (self.clients.len(), self.config.limits);
        let has_room =
            limits.admit(taken, false) || is_privileged(request) && limits.admit(taken, true);
        if !has_room {
            return Err(RequestError::Full {
                limit: limits.transactions,
            });
        }
        let own_timers = timers.map(Box::new);
        let timers = timers.unwrap_or(self.config.timers);
        let machine = if *request.method() == Method::INVITE {
            client::Machine::Invite(client_invite::State::new(&timers), Cancel::Unasked)
        } else {
            client::Machine::NonInvite(client_non_invite::State::new(&timers))
        };
        let id = self.start(now, key, machine, flow, own_timers, contents);
        if let Some(client) = self.clients.get_mut(id) {
            client.is_forwarded = request.headers().count::<Via>() > 1;
        }
        Ok(ClientTransactionId(id))
    }

    /// Cancels an INVITE, with a Reason if there is one (RFC 3326).
    ///
    /// CANCEL goes the way of the INVITE: same branch, same flow. Before the first provisional response it is a wish,
    /// which that response fulfils and a final one overtakes (RFC 3261 §9.1). The INVITE goes on until its final
    /// response comes, usually 487, possibly a 2xx; without one it times out 64×T1 after the CANCEL.
    pub fn cancel(
        &mut self,
        now: Instant,
        id: ClientTransactionId,
        reason: Option<HeaderValue>,
    ) -> Result<Cancelled, CancelError> {
        self.cancel_when(now, id, reason, false)
    }

    /// As [`cancel`](Self::cancel), but before the first provisional response the CANCEL goes out as well, and the INVITE
    /// no more. Another one goes out with that response, if it comes, unless the first is still repeated.
    ///
    /// That is not what RFC 3261 §9.1 says: a CANCEL that overtakes its INVITE is answered 481 and cancels nothing.
    ///
    /// # Errors
    ///
    /// As those of [`cancel`](Self::cancel).
    pub fn cancel_at_once(
        &mut self,
        now: Instant,
        id: ClientTransactionId,
        reason: Option<HeaderValue>,
    ) -> Result<Cancelled, CancelError> {
        self.cancel_when(now, id, reason, true)
    }

    fn cancel_when(
        &mut self,
        now: Instant,
        id: ClientTransactionId,
        reason: Option<HeaderValue>,
        at_once: bool,
    ) -> Result<Cancelled, CancelError> {
        let client = self.clients.get_mut(id.0).ok_or(CancelError::Gone)?;
        let client::Machine::Invite(state, wish) = &mut client.machine else {
            return Err(CancelError::NotInvite);
        };
        let cancellable = state.cancellable();
        if cancellable == Cancellable::TooLate {
            return Err(CancelError::AlreadyFinal);
        }
        if *wish != Cancel::Unasked {
            return Ok(Cancelled::Already);
        }
        let cancel = Request::parse(client.contents.clone())
            .and_then(|invite| cancel::cancel(&invite, reason, &self.config.carried))
            .map_err(|_| CancelError::Unreadable)?;
        let via = cancel.via().map_err(|_| CancelError::Unreadable)?;
        let branch = via.branch_raw().ok_or(CancelError::Unreadable)?;
        let key = self.keys.client(branch, &Method::CANCEL, cancel.headers());
        let contents = cancel.to_bytes();
        *wish = Cancel::Wished(Box::new((key, contents.clone())));
        if cancellable == Cancellable::OnceProvisional {
            if !at_once {
                return Ok(Cancelled::Wished);
            }
            self.stop_repeating(id);
            self.start_cancel(now, id.0, key, contents);
            return Ok(Cancelled::Sent);
        }
        self.send_cancel(now, id.0);
        Ok(Cancelled::Sent)
    }

    /// Ends a server transaction at once, whatever it has sent: a copy of its request is a new request, and nothing is
    /// sent again. For requests that are to get no answer.
    pub fn forget(&mut self, id: ServerTransactionId) {
        if self.servers.get(id.0).is_some() {
            self.end_server(id.0);
        }
    }

    /// Sends a request no more that nobody has answered: for whoever tries another server (RFC 3263 §4.3).
    ///
    /// The copies that went out may still be answered; the transaction waits for that as long as it would have.
    pub fn stop_repeating(&mut self, id: ClientTransactionId) {
        if let Some(client) = self.clients.get_mut(id.0)
            && client.is_unanswered()
            && let Some(repeat) = client.repeat.take()
        {
            self.timers.cancel(repeat);
        }
    }

    /// Sets how long a client transaction still waits from now on: for any response to an INVITE, for the final response
    /// to anything else. Whether it waits at all: an INVITE that had a provisional response waits for its user.
    pub fn set_timeout(&mut self, now: Instant, id: ClientTransactionId, after: Duration) -> bool {
        let Some(client) = self.clients.get_mut(id.0) else {
            return false;
        };
        let timer = match &client.machine {
            client::Machine::Invite(client_invite::State::Calling { .. }, _) => Timer::B,
            client::Machine::NonInvite(
                client_non_invite::State::Trying { .. } | client_non_invite::State::Proceeding,
            ) => Timer::F,
            _ => return false,
        };
        if let Some(timer) = client.end.take() {
            self.timers.cancel(timer);
        }
        client.end = Some(
            self.timers
                .insert_after(now, after, Due::Client(id.0, timer)),
        );
        true
    }

    /// Gives a server transaction that was not answered yet timers of its own.
    pub fn set_server_timers(&mut self, now: Instant, id: ServerTransactionId, timers: Timers) {
        let Some(server) = self.servers.get_mut(id.0) else {
            return;
        };
        use server_non_invite::State::{Proceeding, Trying};
        if let server::Machine::NonInvite(Trying | Proceeding) = server.machine {
            if let Some(end) = server.end.take() {
                self.timers.cancel(end);
            }
            let mut set = SetTimer {
                timers: &mut self.timers,
                now,
                id: id.0,
            };
            server.end_after(&mut set, (Timer::F, timers.lifetime()));
        }
        self.own_timers.insert(id.0, timers);
    }

    /// Sets when an INVITE that was not answered yet is answered with 100, where
    /// [`trying_after`](crate::TransactionConfig::trying_after) is not what suits it, counted from now; `None` leaves it
    /// to the transaction user, who may say 100 in words of its own. Of other requests the answer's time is fixed
    /// (RFC 4320 §4.1), and nothing happens.
    pub fn set_trying_after(
        &mut self,
        now: Instant,
        id: ServerTransactionId,
        request: &Request,
        after: Option<Duration>,
    ) {
        use server::Machine::Invite;
        let server = self.servers.get_mut(id.0);
        let Some(server) =
            server.filter(|server| matches!(server.machine, Invite(server_invite::State::Trying)))
        else {
            return;
        };
        server.disarm_repeat(&mut self.timers);
        server.contents = after.map_or_else(Bytes::new, |_| request.to_bytes());
        if let Some(after) = after {
            let timers = &mut self.timers;
            let mut set = SetTimer {
                timers,
                now,
                id: id.0,
            };
            server.repeat_after(&mut set, (Timer::Trying, after));
        }
    }

    /// Takes in a request that the transport has checked.
    ///
    /// In a box it is handed on to the transaction user without being moved.
    pub fn receive_request(&mut self, now: Instant, flow: Flow, request: impl Into<Box<Request>>) {
        let request = request.into();
        let Some(arrival) = self.arrival(&flow, &request) else {
            self.stats.unmatchable += 1;
            return;
        };
        match self.servers.find(&arrival.key) {
            found if *request.method() == Method::ACK => {
                self.receive_ack(now, found, flow, request);
            }
            Some(id) => {
                self.stats.requests_repeated += 1;
                let timers = timers_of(&self.own_timers, &self.config.timers, id);
                if let Some(server) = self.servers.get_mut(id) {
                    // The way back is that of the newest copy: the old one may be a NAT binding that is gone.
                    server.way = arrival.back;
                    let action = server.step(server::Input::Request, timers);
                    self.perform_server(now, id, action, Bytes::new());
                }
            }
            None => self.serve(now, arrival, flow, request),
        }
    }

    /// Takes in a response that the transport found to be ours.
    ///
    /// In a box it is handed on to the transaction user without being moved.
    pub fn receive_response(
        &mut self,
        now: Instant,
        flow: Flow,
        response: impl Into<Box<Response>>,
    ) {
        let response = response.into();
        let found = self
            .keys
            .response(&response)
            .and_then(|key| self.clients.find(&key));
        match found {
            // RFC 3261 §8.1.3.3: who is behind our Via, when nobody was? The true response may still come.
            Some(id) if !self.is_forwarded(id) && response.headers().count::<Via>() > 1 => {
                self.stats.strays += 1;
            }
            Some(id) => {
                let input = client::Input::Response(response.status());
                self.step_client(now, id, input, Some((flow, response)));
            }
            None => {
                self.stats.strays += 1;
                self.events.push_back(Event::Stray { flow, response });
            }
        }
    }

    fn is_forwarded(&self, id: Id) -> bool {
        let client = self.clients.get(id);
        client.is_some_and(|client| client.is_forwarded)
    }

    /// Takes in that a flow has failed or is closed.
    ///
    /// It fails the client transactions that had no response over it. Others wait on, because the peer has the
    /// request; and no server transaction ends by it (RFC 6026 §7.1), because its response may go another way.
    pub fn flow_failed(&mut self, now: Instant, flow: &Flow) {
        self.step_clients_on(now, flow, client::Input::TransportError);
    }

    /// Takes in that a connection is gone over which alone responses could have come, because nobody can connect to us.
    ///
    /// It fails all client transactions over it that had no final response.
    pub fn flow_cut(&mut self, now: Instant, flow: &Flow) {
        self.step_clients_on(now, flow, client::Input::Cut);
    }

    /// Takes in that the transport refused a message.
    ///
    /// A request's transaction fails if it had no response; a response's stays.
    pub fn send_failed(&mut self, now: Instant, owner: Owner) {
        if let Owner::Client(ClientTransactionId(id)) = owner {
            self.step_client(now, id, client::Input::TransportError, None);
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(due) = self.timers.pop(now) {
            self.stats.count(due.timer());
            match due {
                Due::Client(id, timer) => {
                    self.step_client(now, id, client::Input::Timer(timer), None);
                }
                Due::Server(id, timer) => self.step_server(now, id, server::Input::Timer(timer)),
            }
        }
    }

    /// The next message to send, until `None`.
    #[inline]
    pub fn poll_transmit(&mut self) -> Option<Send> {
        self.transmits.pop_front()
    }

    /// The next thing that happened, until `None`.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next; `None` when nothing is owed.
    #[inline]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The flow of a client transaction that has not ended.
    pub fn client_flow(&self, id: ClientTransactionId) -> Option<Flow> {
        self.clients.get(id.0).map(|client| client.way.flow())
    }

    /// The flow of a server transaction that has not ended: where its request came from, or where
    /// [`set_server_flow`](Self::set_server_flow) said that its responses go.
    #[inline]
    pub fn server_flow(&self, id: ServerTransactionId) -> Option<Flow> {
        self.servers.get(id.0).map(|server| server.way.flow())
    }

    /// Sends what is retransmitted in a server transaction over another flow from now on, because the old one is gone
    /// (RFC 3261 §18.2.2).
    pub fn set_server_flow(&mut self, id: ServerTransactionId, flow: Flow) {
        if let Some(server) = self.servers.get_mut(id.0) {
            server.way = flow.into();
        }
    }

    /// The status of the last response in a server transaction that has not ended, if there was one.
    pub fn server_status(&self, id: ServerTransactionId) -> Option<StatusCode> {
        self.servers.get(id.0)?.status
    }

    /// 64 bits of chance that a server transaction has had since its request came, the same until it ends: what its
    /// responses have in common, such as the To tag, can be made of them.
    pub fn server_chance(&self, id: ServerTransactionId) -> Option<u64> {
        self.servers.get(id.0).map(|server| server.chance)
    }

    /// Whether the server transaction has not ended.
    pub fn is_serving(&self, id: ServerTransactionId) -> bool {
        self.servers.get(id.0).is_some()
    }

    /// Whether the request of a server transaction came over another way before (RFC 3261 §8.2.2.2): it has no To
    /// tag, and From tag, Call-ID and CSeq are those of another transaction.
    ///
    /// A user agent answers 482. A proxy never asks: there it may be a spiral or a legal fork. Only what was asked about is
    /// remembered, so who asks does so for each request, when it comes.
    pub fn is_merged(&mut self, id: ServerTransactionId, request: &Request) -> bool {
        let Some(server) = self.servers.get_mut(id.0) else {
            return false;
        };
        if server.merge.is_none() && *request.method() != Method::CANCEL {
            server.merge = self.keys.merge(request);
        }
        let first = server
            .merge
            .map(|merge| *self.merges.entry(merge).or_insert(id.0));
        first.is_some_and(|first| first != id.0)
    }

    /// How many client transactions there are.
    pub fn len_client(&self) -> usize {
        self.clients.len()
    }

    /// How many server transactions there are.
    pub fn len_server(&self) -> usize {
        self.servers.len()
    }

    /// What was counted so far.
    pub fn stats(&self) -> Stats {
        Stats {
            clients: self.clients.len() as u64,
            servers: self.servers.len() as u64,
            ..self.stats
        }
    }
}

impl TransactionLayer {
    fn step_clients_on(&mut self, now: Instant, flow: &Flow, input: client::Input) {
        let hash = self.keys.hash(flow);
        for id in self.pending.over(&self.clients, hash) {
            let client = self.clients.get(id);
            if client.is_some_and(|client| client.way.flow() == *flow) {
                self.step_client(now, id, input, None);
            }
        }
    }

    /// Reads what a request is found by, and where its responses go.
    fn arrival(&mut self, flow: &Flow, request: &Request) -> Option<Arrival> {
        let via = request.headers().view::<Via>()?.ok()?;
        let (branch, method) = (key::branch(&via), request.method());
        let key = self.keys.server(request, &via, branch, method)?;
        let cancels = if *method == Method::CANCEL {
            self.keys.server(request, &via, branch, &Method::INVITE)
        } else {
            None
        };
        Some(Arrival {
            key,
            cancels,
            back: return_flow(flow, &via).into(),
            is_loose: branch.is_none(),
        })
    }
}

/// Whether the request may use the reserve: it ends something that is held, or belongs to it.
fn is_privileged(request: &Request) -> bool {
    *request.method() == Method::CANCEL || request.has_to_tag()
}

#[cfg(test)]
impl TransactionLayer {
    /// What a server transaction would send again.
    pub(crate) fn kept(&self, id: ServerTransactionId) -> Bytes {
        let server = self.servers.get(id.0);
        server.map_or_else(Bytes::new, |server| server.contents.clone())
    }

    /// Whether no table has anything left in it.
    pub(crate) fn is_empty_inside(&self) -> bool {
        self.pending.is_empty()
            && self.merges.is_empty()
            && self.own_timers.is_empty()
            && self.timers.is_empty()
    }
}
