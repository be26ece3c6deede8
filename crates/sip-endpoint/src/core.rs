//! What stands on an endpoint.

use crate::{Draft, Endpoint, Event, KeepAlive, RequestId, View, acknowledge::AckId};
use sip_io::{Flow, earliest};
use sip_message::{HeaderValue, Request, Response};
use sip_transaction::{RespondError, ServerTransactionId, Timers};
use sip_transport::{Listener, ListenerId};
use std::{
    borrow::BorrowMut,
    ops::{Deref, DerefMut},
    time::{Duration, Instant},
};

/// A core in RFC 3261's word: a transaction user.
///
/// A core owns its own tables and timers, never the endpoint. It takes an event (and returns `None`) or hands it on;
/// what no core takes, the [`Stack`](crate::Stack) answers.
pub trait Core {
    /// What the core tells its owner.
    type Event;

    /// Takes `event`, or hands it on.
    fn handle_event(&mut self, cx: &mut Context<'_>, event: Event) -> Option<Event>;

    /// Does what is due at `cx.now`.
    fn handle_timeout(&mut self, _cx: &mut Context<'_>) {}

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next.
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// The next thing that happened, until `None`.
    fn poll_event(&mut self) -> Option<Self::Event> {
        None
    }

    /// Refuses new work from now on and ends what is held.
    fn shutdown(&mut self, _cx: &mut Context<'_>) {}

    /// Whether nothing is owed to anyone.
    fn is_idle(&self) -> bool {
        true
    }

    /// Whether there is nobody, so that no event need be moved there and back.
    fn is_absent(&self) -> bool {
        false
    }
}

/// Now, and the endpoint to give commands to.
///
/// It dereferences to the [`Endpoint`], whose questions need no time; its commands stand here with the time filled in.
#[derive(Debug)]
pub struct Context<'a> {
    /// The present
    pub now: Instant,
    /// The switchboard
    pub endpoint: &'a mut Endpoint,
}

impl Context<'_> {
    /// See [`Endpoint::listen`].
    pub fn listen(&mut self, listener: Listener) -> ListenerId {
        self.endpoint.listen(self.now, listener)
    }

    /// See [`Endpoint::listen_within`].
    pub fn listen_within(&mut self, listener: Listener, view: View) -> ListenerId {
        self.endpoint.listen_within(self.now, listener, view)
    }

    /// See [`Endpoint::request`].
    pub fn request(&mut self, draft: Draft) -> RequestId {
        self.endpoint.request(self.now, draft)
    }

    /// See [`Endpoint::keep_alive`].
    pub fn keep_alive(&mut self, flow: Flow, keep: KeepAlive) -> bool {
        self.endpoint.keep_alive(self.now, flow, keep)
    }

    /// See [`Endpoint::set_timeout`].
    pub fn set_timeout(&mut self, id: RequestId, after: Duration) -> bool {
        self.endpoint.set_timeout(self.now, id, after)
    }

    /// See [`Endpoint::set_server_timers`].
    pub fn set_server_timers(&mut self, id: ServerTransactionId, timers: Timers) {
        self.endpoint.set_server_timers(self.now, id, timers);
    }

    /// See [`Endpoint::set_trying_after`].
    pub fn set_trying_after(
        &mut self,
        id: ServerTransactionId,
        request: &Request,
        after: Option<Duration>,
    ) {
        self.endpoint.set_trying_after(self.now, id, request, after);
    }

    /// See [`Endpoint::cancel`].
    pub fn cancel(&mut self, id: RequestId) {
        self.endpoint.cancel(self.now, id);
    }

    /// See [`Endpoint::cancel_because`].
    pub fn cancel_because(&mut self, id: RequestId, reason: Option<HeaderValue>) {
        self.endpoint.cancel_because(self.now, id, reason);
    }

    /// See [`Endpoint::cancel_at_once`].
    pub fn cancel_at_once(&mut self, id: RequestId, reason: Option<HeaderValue>) {
        self.endpoint.cancel_at_once(self.now, id, reason);
    }

    /// See [`Endpoint::respond`].
    ///
    /// # Errors
    ///
    /// When the transaction is gone or has had its final response.
    pub fn respond(
        &mut self,
        id: ServerTransactionId,
        response: impl BorrowMut<Response>,
    ) -> Result<(), RespondError> {
        self.endpoint.respond(self.now, id, response)
    }

    /// See [`Endpoint::respond_statelessly`].
    ///
    /// # Errors
    ///
    /// When the transaction is gone or has had its final response.
    pub fn respond_statelessly(
        &mut self,
        id: ServerTransactionId,
        response: Response,
    ) -> Result<(), RespondError> {
        self.endpoint.respond_statelessly(self.now, id, response)
    }

    /// See [`Endpoint::acknowledge`].
    pub fn acknowledge(&mut self, draft: Draft) -> AckId {
        self.endpoint.acknowledge(self.now, draft)
    }

    /// See [`Endpoint::repeat_acknowledge`].
    pub fn repeat_acknowledge(&mut self, id: AckId) {
        self.endpoint.repeat_acknowledge(self.now, id);
    }

    /// See [`Endpoint::forward_ack`].
    pub fn forward_ack(&mut self, draft: Draft) {
        self.endpoint.forward_ack(self.now, draft);
    }
}

impl Deref for Context<'_> {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        self.endpoint
    }
}

impl DerefMut for Context<'_> {
    fn deref_mut(&mut self) -> &mut Endpoint {
        self.endpoint
    }
}

/// An event of one of two cores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Either<A, B> {
    /// Of the first
    Left(A),
    /// Of the second
    Right(B),
}

/// First `A` is asked, then `B`.
impl<A: Core, B: Core> Core for (A, B) {
    type Event = Either<A::Event, B::Event>;

    fn handle_event(&mut self, cx: &mut Context<'_>, event: Event) -> Option<Event> {
        if self.0.is_absent() {
            return self.1.handle_event(cx, event);
        }
        // What ends concerns everyone who may have noted it.
        if let Event::FlowClosed { .. } | Event::NetworkChanged = event {
            let _taken = self.0.handle_event(cx, event.clone());
            return self.1.handle_event(cx, event);
        }
        let event = self.0.handle_event(cx, event)?;
        self.1.handle_event(cx, event)
    }

    fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        self.0.handle_timeout(cx);
        self.1.handle_timeout(cx);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        earliest([self.0.poll_timeout(), self.1.poll_timeout()])
    }

    fn poll_event(&mut self) -> Option<Self::Event> {
        // Not by `map`: most of the time there is nothing, which need not be moved.
        if let Some(event) = self.0.poll_event() {
            return Some(Either::Left(event));
        }
        let event = self.1.poll_event()?;
        Some(Either::Right(event))
    }

    fn shutdown(&mut self, cx: &mut Context<'_>) {
        self.0.shutdown(cx);
        self.1.shutdown(cx);
    }

    fn is_idle(&self) -> bool {
        self.0.is_idle() && self.1.is_idle()
    }

    fn is_absent(&self) -> bool {
        self.0.is_absent() && self.1.is_absent()
    }
}

/// A core that may be absent: then every event is handed on.
impl<C: Core> Core for Option<C> {
    type Event = C::Event;

    fn handle_event(&mut self, cx: &mut Context<'_>, event: Event) -> Option<Event> {
        match self {
            Some(core) => core.handle_event(cx, event),
            None => Some(event),
        }
    }

    fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        if let Some(core) = self {
            core.handle_timeout(cx);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.as_ref().and_then(Core::poll_timeout)
    }

    fn poll_event(&mut self) -> Option<Self::Event> {
        self.as_mut().and_then(Core::poll_event)
    }

    fn shutdown(&mut self, cx: &mut Context<'_>) {
        if let Some(core) = self {
            core.shutdown(cx);
        }
    }

    fn is_idle(&self) -> bool {
        self.as_ref().is_none_or(Core::is_idle)
    }

    fn is_absent(&self) -> bool {
        self.as_ref().is_none_or(Core::is_absent)
    }
}
