//! The layer: every transaction of a stack in two tables, their timers in one queue.

use crate::{
    cancel::{self, Cancel},
    client::{self, Client},
    client_invite::{self, Cancellable},
    client_non_invite,
    config::TransactionConfig,
    error::{CancelError, Cancelled, RequestError, RespondError},
    event::{ClientTransactionId, Event, Owner, Send, ServerTransactionId},
    key::{self, Key, Keys},
    server::{self, Server},
    server_invite, server_non_invite,
    stats::Stats,
    table::{Id, Table},
    timers::{Timer, Timers},
};
use ahash::RandomState;
use bytes::Bytes;
use sip_io::{Flow, Rng, TimerQueue};
use sip_message::{HeaderValue, Method, Request, Response, StatusCode, headers::Via};
use sip_transport::return_flow;
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    num::NonZeroU64,
    time::{Duration, Instant},
};

/// The transaction layer of RFC 3261 §17, with RFC 6026 and RFC 4320.
///
/// It stands between a transport, which gives it messages, and a transaction user, which is told what is new. A record
/// in a slab is a transaction: a state of one of the four figures, what to send again, and two timers at most. There
/// is no queue, allocation or task for each.
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
    keys: Keys,
    clients: Table<Client>,
    servers: Table<Server>,
    /// Clients that nothing came for yet, by the hash of their flow: whom a transport error concerns
    unanswered: BTreeSet<(u64, Id)>,
    /// The first server of each group of requests that would be merged
    merges: HashMap<NonZeroU64, Id, RandomState>,
    timers: TimerQueue<Due>,
    transmits: VecDeque<Send>,
    events: VecDeque<Event>,
    stats: Stats,
}

/// Whose timer it is.
#[derive(Clone, Copy)]
enum Due {
    Client(Id, Timer),
    Server(Id, Timer),
}

impl TransactionLayer {
    /// A layer without transactions.
    pub fn new(config: TransactionConfig, mut rng: Rng, now: Instant) -> Self {
        Self {
            config,
            clients: Table::new(key::hasher(&mut rng)),
            servers: Table::new(key::hasher(&mut rng)),
            unanswered: BTreeSet::new(),
            merges: HashMap::with_hasher(key::hasher(&mut rng)),
            keys: Keys::new(&mut rng),
            timers: TimerQueue::new(now),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            stats: Stats::default(),
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
        if *request.method() == Method::ACK {
            return Err(RequestError::Ack);
        }
        let via = request.via().map_err(|_| RequestError::NoBranch)?;
        let branch = via.branch().ok_or(RequestError::NoBranch)?;
        let key = self.keys.client(branch, request.method());
        if self.clients.find(&key).is_some() {
            return Err(RequestError::BranchInUse);
        }
        let limits = self.config.limits;
        if !limits.admit(self.clients.len(), is_privileged(request)) {
            return Err(RequestError::Full {
                limit: limits.transactions,
            });
        }
        let timers = timers.unwrap_or(self.config.timers);
        let machine = if *request.method() == Method::INVITE {
            client::Machine::Invite(client_invite::State::new(&timers), Cancel::Unasked)
        } else {
            client::Machine::NonInvite(client_non_invite::State::new(&timers))
        };
        let id = self.start(now, key, machine, flow, timers, request.to_bytes());
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
            .and_then(|invite| cancel::cancel(&invite, reason))
            .map_err(|_| CancelError::Unreadable)?;
        let via = cancel.via().map_err(|_| CancelError::Unreadable)?;
        let branch = via.branch().ok_or(CancelError::Unreadable)?;
        let key = self.keys.client(branch, &Method::CANCEL);
        *wish = Cancel::Wished(key, cancel.to_bytes());
        if cancellable == Cancellable::OnceProvisional {
            return Ok(Cancelled::Wished);
        }
        self.send_cancel(now, id.0);
        Ok(Cancelled::Sent)
    }

    /// Sends a response in a server transaction over `flow`, which the transport's `route_response` found.
    ///
    /// After a 2xx to an INVITE, further 2xx may follow: the transaction user repeats them until the ACK comes
    /// (RFC 6026 §7.1).
    pub fn respond(
        &mut self,
        now: Instant,
        id: ServerTransactionId,
        response: &Response,
        flow: Flow,
    ) -> Result<(), RespondError> {
        let status = response.status();
        let server = self.servers.get_mut(id.0).ok_or(RespondError::Gone)?;
        let action = server.step(server::Input::Response(status), &self.config.timers);
        if action == server::Action::Refuse {
            return Err(match server.status {
                Some(sent) if sent.is_final() => RespondError::AlreadyFinal(sent),
                _ => RespondError::NotAllowed(status),
            });
        }
        server.flow = flow;
        server.status = Some(status);
        if let (Some(tag), Ok(to)) = (&mut server.loose_tag, response.to()) {
            *tag = self.keys.tag(&to);
        }
        self.perform_server(now, id.0, action, response.to_bytes());
        Ok(())
    }

    /// Takes in a request that the transport has checked.
    pub fn receive_request(&mut self, now: Instant, flow: Flow, request: Request) {
        let Ok(via) = request.via() else {
            self.stats.unmatchable += 1;
            return;
        };
        let Ok(key) = self.keys.server(&request, &via, request.method()) else {
            self.stats.unmatchable += 1;
            return;
        };
        match self.servers.find(&key) {
            found if *request.method() == Method::ACK => {
                self.receive_ack(now, found, flow, request);
            }
            Some(id) => {
                self.stats.requests_repeated += 1;
                if let Some(server) = self.servers.get_mut(id) {
                    // The way back is that of the newest copy: the old one may be a NAT binding that is gone.
                    server.flow = return_flow(&flow, &via);
                    let action = server.step(server::Input::Request, &self.config.timers);
                    self.perform_server(now, id, action, Bytes::new());
                }
            }
            None => self.serve(now, key, &via, flow, request),
        }
    }

    /// Takes in a response that the transport found to be ours.
    pub fn receive_response(&mut self, now: Instant, flow: Flow, response: Response) {
        let found = self
            .keys
            .response(&response)
            .and_then(|key| self.clients.find(&key));
        match found {
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

    /// Takes in that a flow has failed or is closed.
    ///
    /// It fails the client transactions that had no response over it. Others wait on, because the peer has the
    /// request; and no server transaction ends by it (RFC 6026 §7.1), because its response may go another way.
    pub fn flow_failed(&mut self, now: Instant, flow: &Flow) {
        let hash = self.keys.hash(flow);
        let concerned: Vec<Id> = self
            .unanswered
            .range((hash, Id::FIRST)..=(hash, Id::LAST))
            .map(|(_, id)| *id)
            .filter(|id| {
                self.clients
                    .get(*id)
                    .is_some_and(|client| client.flow == *flow)
            })
            .collect();
        for id in concerned {
            self.step_client(now, id, client::Input::TransportError, None);
        }
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
            match due {
                Due::Client(id, timer) => {
                    self.step_client(now, id, client::Input::Timer(timer), None);
                }
                Due::Server(id, timer) => self.step_server(now, id, server::Input::Timer(timer)),
            }
        }
    }

    /// The next message to send, until `None`.
    pub fn poll_transmit(&mut self) -> Option<Send> {
        self.transmits.pop_front()
    }

    /// The next thing that happened, until `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next; `None` when nothing is owed.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The flow of a client transaction that has not ended.
    pub fn client_flow(&self, id: ClientTransactionId) -> Option<Flow> {
        self.clients.get(id.0).map(|client| client.flow)
    }

    /// The status of the last response in a server transaction that has not ended, if there was one.
    pub fn server_status(&self, id: ServerTransactionId) -> Option<StatusCode> {
        self.servers.get(id.0)?.status
    }

    /// Whether the server transaction has not ended.
    pub fn is_serving(&self, id: ServerTransactionId) -> bool {
        self.servers.get(id.0).is_some()
    }

    /// Whether the request of a server transaction came over another way before (RFC 3261 §8.2.2.2): it has no To
    /// tag, and From tag, Call-ID and CSeq are those of another transaction.
    ///
    /// A user agent answers 482. A proxy never asks: there it may be a spiral or a legal fork.
    pub fn is_merged(&self, id: ServerTransactionId) -> bool {
        let merge = self.servers.get(id.0).and_then(|server| server.merge);
        merge
            .and_then(|merge| self.merges.get(&merge))
            .is_some_and(|first| *first != id.0)
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

/// Clients.
impl TransactionLayer {
    fn start(
        &mut self,
        now: Instant,
        key: Key,
        machine: client::Machine,
        flow: Flow,
        timers: Timers,
        contents: Bytes,
    ) -> Id {
        let (again, give_up) = match machine {
            client::Machine::Invite(..) => (Timer::A, Timer::B),
            _ => (Timer::E, Timer::F),
        };
        let id = self.clients.insert(
            key,
            Client {
                machine,
                flow,
                timers,
                contents: contents.clone(),
                repeat: None,
                end: None,
            },
        );
        let client = self.clients.get_mut(id).expect("inserted above");
        if !flow.is_stream() {
            let due = Due::Client(id, again);
            client.repeat = Some(self.timers.insert(now + timers.t1, due));
        }
        let due = Due::Client(id, give_up);
        client.end = Some(self.timers.insert(now + timers.timeout(), due));
        self.unanswered.insert((self.keys.hash(flow), id));
        self.stats.client_transactions += 1;
        self.transmits.push_back(Send {
            flow,
            contents,
            owner: Owner::Client(ClientTransactionId(id)),
        });
        id
    }

    fn step_client(
        &mut self,
        now: Instant,
        id: Id,
        input: client::Input,
        arrived: Option<(Flow, Response)>,
    ) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let was_unanswered = client.is_unanswered();
        let action = client.step(input);
        if was_unanswered && !client.is_unanswered() {
            self.unanswered.remove(&(self.keys.hash(client.flow), id));
        }
        self.perform_client(now, id, action, arrived);
    }

    fn perform_client(
        &mut self,
        now: Instant,
        id: Id,
        action: client::Action,
        arrived: Option<(Flow, Response)>,
    ) {
        use client::Action::*;
        match action {
            Absorb => self.stats.responses_repeated += u64::from(arrived.is_some()),
            PassUp => self.pass_up(id, arrived),
            PassUpAndDisarm => {
                self.disarm_client(id);
                self.pass_up(id, arrived);
                self.send_cancel(now, id);
            }
            PassUpAndArm(timer, after) => {
                self.pass_up(id, arrived);
                self.linger_client(now, id, timer, after, Bytes::new());
            }
            AcknowledgeAndPassUp(timer, after) => {
                let ack = self.acknowledge(id, arrived.as_ref());
                self.pass_up(id, arrived);
                self.transmit_client(id, ack.clone());
                self.linger_client(now, id, timer, after, ack);
            }
            Acknowledge => {
                self.stats.responses_repeated += 1;
                self.transmit_contents(id);
            }
            RetransmitAndArm(timer, after) => {
                self.stats.requests_retransmitted += 1;
                self.transmit_contents(id);
                if let Some(client) = self.clients.get_mut(id) {
                    client.repeat = Some(self.timers.insert(now + after, Due::Client(id, timer)));
                }
            }
            TimedOut => {
                self.stats.timed_out += 1;
                self.tell_client(id, |id| Event::TimedOut { id });
            }
            Failed => {
                self.stats.failed += 1;
                self.tell_client(id, |id| Event::Failed { id });
            }
            End => {}
        }
        if self.clients.get(id).is_some_and(Client::is_terminated) {
            self.end_client(id);
        }
    }

    /// Leaves a state for the last one, which ends with `timer`; `contents` is what may be sent again there.
    fn linger_client(
        &mut self,
        now: Instant,
        id: Id,
        timer: Timer,
        after: Duration,
        contents: Bytes,
    ) {
        self.disarm_client(id);
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        client.contents = contents;
        if after.is_zero() {
            client.step(client::Input::Timer(timer));
        } else {
            client.end = Some(self.timers.insert(now + after, Due::Client(id, timer)));
        }
    }

    /// Sends the CANCEL that was wished for, in a transaction of its own.
    fn send_cancel(&mut self, now: Instant, id: Id) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let client::Machine::Invite(_, wish) = &mut client.machine else {
            return;
        };
        let Some((key, cancel)) = wish.take_wish() else {
            return;
        };
        // §9.1: without a final response within 64×T1 the INVITE counts as cancelled.
        let (flow, timers) = (client.flow, client.timers);
        let due = Due::Client(id, Timer::Cancel);
        client.end = Some(self.timers.insert(now + timers.lifetime(), due));
        if self.clients.find(&key).is_none() {
            let machine = client::Machine::Cancel(client_non_invite::State::new(&timers));
            self.start(now, key, machine, flow, timers, cancel);
        }
    }

    fn acknowledge(&self, id: Id, arrived: Option<&(Flow, Response)>) -> Bytes {
        let ack = self
            .clients
            .get(id)
            .zip(arrived)
            .and_then(|(client, (_, response))| {
                let invite = Request::parse(client.contents.clone()).ok()?;
                cancel::acknowledge(&invite, response).ok()
            });
        // A response without To is not acknowledged; its sender could not match the ACK.
        ack.map_or_else(Bytes::new, |ack| ack.to_bytes())
    }

    fn pass_up(&mut self, id: Id, arrived: Option<(Flow, Response)>) {
        if let Some((flow, response)) = arrived {
            self.tell_client(id, |id| Event::Response { id, flow, response });
        }
    }

    fn tell_client(&mut self, id: Id, event: impl FnOnce(ClientTransactionId) -> Event) {
        if self.clients.get(id).is_some_and(Client::is_users) {
            self.events.push_back(event(ClientTransactionId(id)));
        }
    }

    fn transmit_contents(&mut self, id: Id) {
        let contents = self.clients.get(id).map(|client| client.contents.clone());
        self.transmit_client(id, contents.unwrap_or_default());
    }

    fn transmit_client(&mut self, id: Id, contents: Bytes) {
        if let Some(client) = self.clients.get(id)
            && !contents.is_empty()
        {
            self.transmits.push_back(Send {
                flow: client.flow,
                contents,
                owner: Owner::Client(ClientTransactionId(id)),
            });
        }
    }

    fn disarm_client(&mut self, id: Id) {
        if let Some(client) = self.clients.get_mut(id) {
            for timer in [client.repeat.take(), client.end.take()]
                .into_iter()
                .flatten()
            {
                self.timers.cancel(timer);
            }
        }
    }

    fn end_client(&mut self, id: Id) {
        self.disarm_client(id);
        self.tell_client(id, |id| Event::Ended { id });
        self.clients.remove(id);
    }
}

/// Servers.
impl TransactionLayer {
    fn serve(&mut self, now: Instant, key: Key, via: &Via, flow: Flow, request: Request) {
        if !self
            .config
            .limits
            .admit(self.servers.len(), is_privileged(&request))
        {
            self.stats.overloaded += 1;
            self.events.push_back(Event::Overloaded { flow, request });
            return;
        }
        let timers = self.config.timers;
        let is_invite = *request.method() == Method::INVITE;
        let is_cancel = *request.method() == Method::CANCEL;
        let (machine, trying, end) = if is_invite {
            let state = server_invite::State::Trying;
            let trying = self.config.trying_after;
            (server::Machine::Invite(state), trying, None)
        } else {
            let state = server_non_invite::State::Trying;
            let trying = Some(timers.slow_answer());
            let end = Some((Timer::F, timers.lifetime()));
            (server::Machine::NonInvite(state), trying, end)
        };
        let merge = if is_cancel {
            None
        } else {
            self.keys.merge(&request)
        };
        let server = Server {
            machine,
            flow: return_flow(&flow, via),
            contents: trying.map_or_else(Bytes::new, |_| request.to_bytes()),
            status: None,
            loose_tag: key::is_loose(via).then_some(0),
            merge,
            repeat: None,
            end: None,
        };
        let id = self.servers.insert(key, server);
        self.stats.server_transactions += 1;
        if let Some(merge) = merge {
            self.merges.entry(merge).or_insert(id);
        }
        let trying = trying.map(|after| (Timer::Trying, after));
        self.arm_server(now, id, trying, end);
        let id = ServerTransactionId(id);
        self.events.push_back(if is_cancel {
            let invite = self.keys.server(&request, via, &Method::INVITE);
            let invite = invite.ok().and_then(|key| self.servers.find(&key));
            Event::Cancel {
                id,
                invite: invite.map(ServerTransactionId),
                flow,
                request,
            }
        } else {
            Event::Request { id, flow, request }
        });
    }

    fn receive_ack(&mut self, now: Instant, found: Option<Id>, flow: Flow, request: Request) {
        use server::Action::*;
        let tag = request.to().map(|to| self.keys.tag(&to)).ok();
        let server = found.and_then(|id| Some((id, self.servers.get_mut(id)?)));
        let invite = match server {
            // §17.2.3: without a branch the To tag must be that of our response.
            Some((_, server)) if server.loose_tag.is_some() && server.loose_tag != tag => None,
            Some((id, server)) => match server.step(server::Input::Ack, &self.config.timers) {
                PassUp => Some(ServerTransactionId(id)),
                PassUpAsStray => None,
                action => {
                    self.stats.acks_absorbed += 1;
                    self.perform_server(now, id, action, Bytes::new());
                    return;
                }
            },
            None => None,
        };
        self.events.push_back(Event::Ack {
            invite,
            flow,
            request,
        });
    }

    fn step_server(&mut self, now: Instant, id: Id, input: server::Input) {
        if let Some(server) = self.servers.get_mut(id) {
            let action = server.step(input, &self.config.timers);
            self.perform_server(now, id, action, Bytes::new());
        }
    }

    fn perform_server(&mut self, now: Instant, id: Id, action: server::Action, response: Bytes) {
        use server::Action::*;
        match action {
            Absorb | Refuse | PassUp | PassUpAsStray | End => {}
            Send => {
                self.disarm_trying(id);
                self.transmit_server(id, response.clone());
                self.keep(id, response);
            }
            SendOnly => self.transmit_server(id, response),
            SendTrying => {
                let trying = self.trying(id);
                self.transmit_server(id, trying.clone());
                self.keep(id, trying);
            }
            SendAndArm(timer, after, repeat) => {
                self.disarm_server(id);
                self.transmit_server(id, response.clone());
                self.keep(id, response);
                self.linger_server(now, id, timer, after, repeat);
            }
            SendAndForget(timer, after) => {
                self.disarm_server(id);
                self.transmit_server(id, response);
                self.keep(id, Bytes::new());
                self.linger_server(now, id, timer, after, None);
            }
            Retransmit => self.retransmit_server(id),
            RetransmitAndArm(timer, after) => {
                self.retransmit_server(id);
                self.arm_server(now, id, Some((timer, after)), None);
            }
            Linger(timer, after) => {
                self.disarm_server(id);
                self.keep(id, Bytes::new());
                self.linger_server(now, id, timer, after, None);
            }
            Unacknowledged => {
                self.stats.unacknowledged += 1;
                let id = ServerTransactionId(id);
                self.events.push_back(Event::Unacknowledged { id });
            }
        }
        if self.servers.get(id).is_some_and(Server::is_terminated) {
            self.end_server(id);
        }
    }

    fn linger_server(
        &mut self,
        now: Instant,
        id: Id,
        timer: Timer,
        after: Duration,
        repeat: Option<(Timer, Duration)>,
    ) {
        if !after.is_zero() {
            self.arm_server(now, id, repeat, Some((timer, after)));
        } else if let Some(server) = self.servers.get_mut(id) {
            server.step(server::Input::Timer(timer), &self.config.timers);
        }
    }

    fn arm_server(
        &mut self,
        now: Instant,
        id: Id,
        repeat: Option<(Timer, Duration)>,
        end: Option<(Timer, Duration)>,
    ) {
        let Some(server) = self.servers.get_mut(id) else {
            return;
        };
        if let Some((timer, after)) = repeat {
            let due = Due::Server(id, timer);
            server.repeat = Some(self.timers.insert(now + after, due));
        }
        if let Some((timer, after)) = end {
            let due = Due::Server(id, timer);
            server.end = Some(self.timers.insert(now + after, due));
        }
    }

    /// The 100 to a request that nobody has answered yet (RFC 3261 §8.2.6.1).
    fn trying(&mut self, id: Id) -> Bytes {
        let Some(server) = self.servers.get_mut(id) else {
            return Bytes::new();
        };
        server.status = Some(StatusCode::TRYING);
        Request::parse(server.contents.clone()).map_or_else(
            |_| Bytes::new(),
            |request| request.response(StatusCode::TRYING).build().to_bytes(),
        )
    }

    fn keep(&mut self, id: Id, contents: Bytes) {
        if let Some(server) = self.servers.get_mut(id) {
            server.contents = contents;
        }
    }

    fn retransmit_server(&mut self, id: Id) {
        self.stats.responses_retransmitted += 1;
        let contents = self.servers.get(id).map(|server| server.contents.clone());
        self.transmit_server(id, contents.unwrap_or_default());
    }

    fn transmit_server(&mut self, id: Id, contents: Bytes) {
        if let Some(server) = self.servers.get(id)
            && !contents.is_empty()
        {
            self.transmits.push_back(Send {
                flow: server.flow,
                contents,
                owner: Owner::Server(ServerTransactionId(id)),
            });
        }
    }

    fn disarm_trying(&mut self, id: Id) {
        let server = self.servers.get_mut(id);
        if let Some(timer) = server.and_then(|server| server.repeat.take()) {
            self.timers.cancel(timer);
        }
    }

    fn disarm_server(&mut self, id: Id) {
        self.disarm_trying(id);
        let server = self.servers.get_mut(id);
        if let Some(timer) = server.and_then(|server| server.end.take()) {
            self.timers.cancel(timer);
        }
    }

    fn end_server(&mut self, id: Id) {
        self.disarm_server(id);
        if let Some(merge) = self.servers.remove(id).and_then(|server| server.merge)
            && self.merges.get(&merge) == Some(&id)
        {
            self.merges.remove(&merge);
        }
        let id = ServerTransactionId(id);
        self.events.push_back(Event::ServerEnded { id });
    }
}

/// Whether the request may use the reserve: it ends something that is held, or belongs to it.
fn is_privileged(request: &Request) -> bool {
    *request.method() == Method::CANCEL || request.to().is_ok_and(|to| to.tag().is_some())
}
