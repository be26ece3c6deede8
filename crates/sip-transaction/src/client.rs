//! What a client transaction consists of, whichever figure it follows.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    cancel::Cancel,
    client_invite, client_non_invite,
    pending::Link,
    timers::{Timer, Timers},
    way::Way,
};
use sip_io::TimerId;
use sip_message::StatusCode;

/// A client transaction.
pub(crate) struct Client {
    pub(crate) machine: Machine,
    pub(crate) way: Way,
    /// Whether the request is somebody else's, with a Via for each hop before us
    pub(crate) is_forwarded: bool,
    /// Its place among those that a failure of its flow concerns
    pub(crate) link: Link,
    /// Timers that are not those of all
    pub(crate) own_timers: Option<Box<Timers>>,
    /// What is sent again: the request, or in Completed the ACK to the response
    pub(crate) contents: Bytes,
    /// Timer A or E
    pub(crate) repeat: Option<TimerId>,
    /// The timer that ends the state
    pub(crate) end: Option<TimerId>,
}

/// What may happen to it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input {
    /// A response with this status came
    Response(StatusCode),
    /// A timer fired
    Timer(Timer),
    /// The request could not be sent, or its connection is gone
    TransportError,
    /// Its connection is gone, and no response can come over another
    Cut,
}

/// Which figure it follows.
pub(crate) enum Machine {
    /// Figure 5, and whether it is to be cancelled
    Invite(client_invite::State, Cancel),
    /// Figure 6
    NonInvite(client_non_invite::State),
    /// Figure 6 for a CANCEL of the layer's own, of which the transaction user is told nothing
    Cancel(client_non_invite::State),
}

impl Client {
    /// Follows one arrow of its figure.
    pub(crate) fn step(&mut self, input: Input, usual: &Timers) -> Action {
        let reliable = self.is_reliable();
        let timers = self.own_timers.as_deref().unwrap_or(usual);
        match &mut self.machine {
            Machine::Invite(state, _) => state.step(input.into(), timers, reliable),
            Machine::NonInvite(state) | Machine::Cancel(state) => {
                state.step(input.into(), timers, reliable)
            }
        }
    }

    pub(crate) const fn is_reliable(&self) -> bool {
        self.way.is_stream()
    }

    /// Whether a failure of its flow concerns it: nothing has come back yet, or on a stream no final response.
    pub(crate) const fn is_pending(&self) -> bool {
        use client_invite::State::Proceeding as InviteProceeding;
        use client_non_invite::State::Proceeding;
        let proceeds = matches!(
            self.machine,
            Machine::Invite(InviteProceeding, _)
                | Machine::NonInvite(Proceeding)
                | Machine::Cancel(Proceeding)
        );
        self.is_unanswered() || self.is_reliable() && proceeds
    }

    /// Whether nothing has come back yet.
    pub(crate) const fn is_unanswered(&self) -> bool {
        use client_invite::State::Calling;
        use client_non_invite::State::Trying;
        matches!(
            self.machine,
            Machine::Invite(Calling { .. }, _)
                | Machine::NonInvite(Trying { .. })
                | Machine::Cancel(Trying { .. })
        )
    }

    pub(crate) const fn is_terminated(&self) -> bool {
        use client_invite::State::Terminated as InviteTerminated;
        use client_non_invite::State::Terminated;
        matches!(
            self.machine,
            Machine::Invite(InviteTerminated, _)
                | Machine::NonInvite(Terminated)
                | Machine::Cancel(Terminated)
        )
    }

    /// Whether the transaction user knows of it.
    pub(crate) const fn is_users(&self) -> bool {
        !matches!(self.machine, Machine::Cancel(_))
    }
}

impl From<Input> for client_invite::Input {
    fn from(input: Input) -> Self {
        match input {
            Input::Response(status) if status.is_provisional() => Self::Provisional,
            Input::Response(status) if status.is_success() => Self::Success,
            Input::Response(_) => Self::Failure,
            Input::Timer(timer) => Self::Timer(timer),
            Input::TransportError => Self::TransportError,
            Input::Cut => Self::Cut,
        }
    }
}

impl From<Input> for client_non_invite::Input {
    fn from(input: Input) -> Self {
        match input {
            Input::Response(status) if status.is_provisional() => Self::Provisional,
            Input::Response(_) => Self::Final,
            Input::Timer(timer) => Self::Timer(timer),
            Input::TransportError => Self::TransportError,
            Input::Cut => Self::Cut,
        }
    }
}

/// What a client machine wants done; the layer does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing
    Absorb,
    /// Give the response to the transaction user
    PassUp,
    /// That, and stop every timer
    PassUpAndDisarm,
    /// That, forget the request, and stay for a while
    PassUpAndArm(Timer, Duration),
    /// Make an ACK of the INVITE and the response, send it, give the response to the transaction user, and stay
    AcknowledgeAndPassUp(Timer, Duration),
    /// Send the ACK again
    Acknowledge,
    /// Send the request again, and once more after that time
    RetransmitAndArm(Timer, Duration),
    /// Tell the transaction user that nothing came
    TimedOut,
    /// Tell the transaction user that the transport failed
    Failed,
    /// Just end
    End,
}
