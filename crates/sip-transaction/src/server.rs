//! What a server transaction consists of, whichever figure it follows.

use std::{
    num::NonZeroU64,
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::{
    layer::Due,
    server_invite, server_non_invite,
    table::Id,
    timers::{Timer, Timers},
    way::Way,
};
use sip_io::{TimerId, TimerQueue};
use sip_message::StatusCode;

/// A server transaction.
pub(crate) struct Server {
    pub(crate) machine: Machine,
    /// Where the last response went, or the next one goes
    pub(crate) way: Way,
    /// What is sent again: the last response; before the first one the request, of which a 100 can be made
    pub(crate) contents: Bytes,
    /// The status of the last response
    pub(crate) status: Option<StatusCode>,
    /// For a peer of RFC 2543, a fingerprint of the tag that its ACK must have (RFC 3261 §17.2.3)
    pub(crate) loose_tag: Option<NonZeroU64>,
    /// Chance of its own, of which the tag of its responses is made
    pub(crate) chance: u64,
    /// What a merged request would have in common with it, once somebody has asked
    pub(crate) merge: Option<NonZeroU64>,
    /// Timer G, or the one for a 100
    pub(crate) repeat: Option<TimerId>,
    /// The timer that ends the state
    pub(crate) end: Option<TimerId>,
}

/// Sets timers of one server transaction.
pub(crate) struct SetTimer<'a> {
    pub(crate) timers: &'a mut TimerQueue<Due>,
    pub(crate) now: Instant,
    pub(crate) id: Id,
}

impl SetTimer<'_> {
    fn after(&mut self, timer: Timer, after: Duration) -> TimerId {
        let due = Due::Server(self.id, timer);
        self.timers.insert_after(self.now, after, due)
    }
}

/// What may happen to it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input {
    /// The request came again
    Request,
    /// An ACK came
    Ack,
    /// The transaction user responds with this status
    Response(StatusCode),
    /// A timer fired
    Timer(Timer),
}

/// Which figure it follows.
pub(crate) enum Machine {
    /// Figure 7
    Invite(server_invite::State),
    /// Figure 8
    NonInvite(server_non_invite::State),
}

impl Server {
    /// Follows one arrow of its figure.
    pub(crate) fn step(&mut self, input: Input, timers: &Timers) -> Action {
        let reliable = self.is_reliable();
        match &mut self.machine {
            Machine::Invite(state) => state.step(invite_input(input), timers, reliable),
            Machine::NonInvite(state) => match non_invite_input(input) {
                Some(input) => state.step(input, timers, reliable),
                None => Action::Refuse,
            },
        }
    }

    pub(crate) const fn is_reliable(&self) -> bool {
        self.way.is_stream()
    }

    /// Sets the timer that repeats something.
    pub(crate) fn repeat_after(
        &mut self,
        set: &mut SetTimer<'_>,
        (timer, after): (Timer, Duration),
    ) {
        self.repeat = Some(set.after(timer, after));
    }

    /// Sets the timer that ends the state.
    pub(crate) fn end_after(&mut self, set: &mut SetTimer<'_>, (timer, after): (Timer, Duration)) {
        self.end = Some(set.after(timer, after));
    }

    pub(crate) fn disarm_repeat(&mut self, timers: &mut TimerQueue<Due>) {
        if let Some(timer) = self.repeat.take() {
            timers.cancel(timer);
        }
    }

    pub(crate) fn disarm(&mut self, timers: &mut TimerQueue<Due>) {
        self.disarm_repeat(timers);
        if let Some(timer) = self.end.take() {
            timers.cancel(timer);
        }
    }

    pub(crate) const fn is_non_invite(&self) -> bool {
        matches!(self.machine, Machine::NonInvite(_))
    }

    pub(crate) const fn is_terminated(&self) -> bool {
        matches!(
            self.machine,
            Machine::Invite(server_invite::State::Terminated)
                | Machine::NonInvite(server_non_invite::State::Terminated)
        )
    }
}

fn invite_input(input: Input) -> server_invite::Input {
    use server_invite::Input as To;
    match input {
        Input::Request => To::Request,
        Input::Ack => To::Ack,
        Input::Response(status) if status.is_provisional() => To::Provisional,
        Input::Response(status) if status.is_success() => To::Success,
        Input::Response(_) => To::Failure,
        Input::Timer(timer) => To::Timer(timer),
    }
}

/// What the figure has no arrow for is `None`: an ACK, and the responses that RFC 4320 §4 forbids.
fn non_invite_input(input: Input) -> Option<server_non_invite::Input> {
    use server_non_invite::Input as To;
    match input {
        Input::Request => Some(To::Request),
        Input::Ack | Input::Response(StatusCode::REQUEST_TIMEOUT) => None,
        Input::Response(StatusCode::TRYING) => Some(To::Provisional),
        Input::Response(status) => status.is_final().then_some(To::Final),
        Input::Timer(timer) => Some(To::Timer(timer)),
    }
}

/// What a server machine wants done; the layer does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing
    Absorb,
    /// Give the ACK to the transaction user, as one to its 2xx
    PassUp,
    /// Give the ACK to the transaction user, as one to nothing that is known here
    PassUpAsStray,
    /// Send the response and keep it
    Send,
    /// Send the response; nothing is to be kept, no timer to be set
    SendOnly,
    /// Make a 100 of the request, send it and keep it
    SendTrying,
    /// Send the response and keep it, set the timer that ends the state, and the one that repeats the response
    SendAndArm(Timer, Duration, Option<(Timer, Duration)>),
    /// Send the response, which somebody else repeats, and stay
    SendAndForget(Timer, Duration),
    /// Send the last response again
    Retransmit,
    /// That, and once more after that time
    RetransmitAndArm(Timer, Duration),
    /// Forget the response, and stay to absorb what comes
    Linger(Timer, Duration),
    /// Tell the transaction user that its response cannot go now
    Refuse,
    /// Tell the transaction user that no ACK came, and end
    Unacknowledged,
    /// Just end
    End,
}
