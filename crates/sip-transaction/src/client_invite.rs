//! The INVITE client transaction: RFC 3261 §17.1.1 as RFC 6026 §8.4 changed it.

use std::time::Duration;

use crate::{
    client::Action::{self, *},
    timers::{
        Timer::{self, A, B, D, M},
        Timers,
    },
};

/// INVITE client transaction (RFC 6026 figure 5).
///
/// ```text
///                      |INVITE from TU, send INVITE
///                      V
///      .--- A, send --Calling -------- B / transport error ----------.
///      '-------------> | |  |                                        |
///     .------ 2xx -----' |  '------ 300-699, send ACK -----.         |
///     |                  | 1xx                             |         |
///     |                  V                                 |         |
///     |<----- 2xx --Proceeding ---- 300-699, send ACK ---->|         |
///     |                  |                                 |         |
///     |                  '--------- Cancel ----------------|-------->|
///     V                                                    V         |
///   Accepted <-.                                      Completed <-.  |
///     |  | 2xx |                           300-699,        |  |   |  |
///     |  '-----'                           send ACK        |  '---'  V
///     '--------------------------- M ----------------------'-- D -> Terminated
/// ```
///
/// Timer "Cancel" is the end of §9.1: no final response within 64×T1 after a CANCEL. A transport error matters only
/// in Calling: later the request has arrived, and responses find their way over a new connection (§18.2.2). Where no
/// such connection can come to us ([`Input::Cut`]), both states end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing has come back yet; Timer A fires next after `interval`
    Calling { interval: Duration },
    /// A provisional response came; how long to wait is the transaction user's decision
    Proceeding,
    /// A final response other than 2xx came; each repeat of it is acknowledged
    Completed,
    /// A 2xx came; so may more of them, from other branches of a fork
    Accepted,
    /// Nothing is left to do
    Terminated,
}

use State::*;

/// What may happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A response 100 to 199
    Provisional,
    /// A response 200 to 299
    Success,
    /// A response 300 to 699
    Failure,
    /// A timer fired
    Timer(Timer),
    /// The request could not be sent, or its connection is gone
    TransportError,
    /// Its connection is gone, and no response can come over another
    Cut,
}

impl State {
    /// The state after the INVITE was sent for the first time, with Timers A and B set.
    pub(crate) const fn new(timers: &Timers) -> Self {
        Calling {
            interval: timers.t1,
        }
    }

    /// Follows one arrow of the figure.
    pub(crate) fn step(&mut self, input: Input, timers: &Timers, reliable: bool) -> Action {
        let (next, action) = match (*self, input) {
            // §17.1.1.2: a provisional response ends retransmission and Timer B.
            (Calling { .. }, Input::Provisional) => (Proceeding, PassUpAndDisarm),
            (Proceeding, Input::Provisional) => (Proceeding, PassUp),
            (Calling { .. } | Proceeding, Input::Success) => {
                (Accepted, PassUpAndArm(M, timers.lifetime()))
            }
            (Calling { .. } | Proceeding, Input::Failure) => {
                let linger = if reliable { Duration::ZERO } else { timers.d };
                (Completed, AcknowledgeAndPassUp(D, linger))
            }
            (Accepted, Input::Success) => (Accepted, PassUp),
            (Completed, Input::Failure) => (Completed, Acknowledge),

            (Calling { interval }, Input::Timer(A)) => {
                // Timer A doubles without a bound (§17.1.1.2): Timer B is the bound.
                let interval = interval * 2;
                (Calling { interval }, RetransmitAndArm(A, interval))
            }
            (Calling { .. }, Input::Timer(B)) => (Terminated, TimedOut),
            (Proceeding, Input::Timer(Timer::Cancel)) => (Terminated, TimedOut),
            (Completed, Input::Timer(D)) | (Accepted, Input::Timer(M)) => (Terminated, End),

            (Calling { .. }, Input::TransportError) => (Terminated, Failed),
            (Calling { .. } | Proceeding, Input::Cut) => (Terminated, Failed),

            (state, _) => (state, Absorb),
        };
        *self = next;
        action
    }

    /// Whether a CANCEL may be sent now (RFC 3261 §9.1).
    pub(crate) const fn cancellable(self) -> Cancellable {
        match self {
            Calling { .. } => Cancellable::OnceProvisional,
            Proceeding => Cancellable::Now,
            Completed | Accepted | Terminated => Cancellable::TooLate,
        }
    }
}

/// When a CANCEL may go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cancellable {
    /// With the first provisional response
    OnceProvisional,
    /// Now
    Now,
    /// Not any more: the final response came
    TooLate,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// RFC 6026 figure 5: every state with every input.
    #[test]
    fn every_arrow_of_figure_5_and_no_other() {
        let start = Calling { interval: MS(500) };
        let later = Calling {
            interval: MS(1_000),
        };
        let cancel = Input::Timer(Timer::Cancel);
        let other = Input::Timer(Timer::H);
        #[rustfmt::skip]
        let table = [
            (start,      Input::Provisional,    Proceeding, PassUpAndDisarm),
            (start,      Input::Success,        Accepted,   PassUpAndArm(M, MS(32_000))),
            (start,      Input::Failure,        Completed,  AcknowledgeAndPassUp(D, MS(32_000))),
            (start,      Input::Timer(A),       later,      RetransmitAndArm(A, MS(1_000))),
            (start,      Input::Timer(B),       Terminated, TimedOut),
            (start,      Input::Timer(D),       start,      Absorb),
            (start,      Input::Timer(M),       start,      Absorb),
            (start,      cancel,                start,      Absorb),
            (start,      Input::TransportError, Terminated, Failed),
            (start,      Input::Cut,            Terminated, Failed),
            (start,      other,                 start,      Absorb),
            (Proceeding, Input::Provisional,    Proceeding, PassUp),
            (Proceeding, Input::Success,        Accepted,   PassUpAndArm(M, MS(32_000))),
            (Proceeding, Input::Failure,        Completed,  AcknowledgeAndPassUp(D, MS(32_000))),
            (Proceeding, Input::Timer(A),       Proceeding, Absorb),
            (Proceeding, Input::Timer(B),       Proceeding, Absorb),
            (Proceeding, Input::Timer(D),       Proceeding, Absorb),
            (Proceeding, Input::Timer(M),       Proceeding, Absorb),
            (Proceeding, cancel,                Terminated, TimedOut),
            (Proceeding, Input::TransportError, Proceeding, Absorb),
            (Proceeding, Input::Cut,            Terminated, Failed),
            (Proceeding, other,                 Proceeding, Absorb),
            (Completed,  Input::Provisional,    Completed,  Absorb),
            (Completed,  Input::Success,        Completed,  Absorb),
            (Completed,  Input::Failure,        Completed,  Acknowledge),
            (Completed,  Input::Timer(A),       Completed,  Absorb),
            (Completed,  Input::Timer(B),       Completed,  Absorb),
            (Completed,  Input::Timer(D),       Terminated, End),
            (Completed,  Input::Timer(M),       Completed,  Absorb),
            (Completed,  cancel,                Completed,  Absorb),
            (Completed,  Input::TransportError, Completed,  Absorb),
            (Completed,  Input::Cut,            Completed,  Absorb),
            (Completed,  other,                 Completed,  Absorb),
            (Accepted,   Input::Provisional,    Accepted,   Absorb),
            (Accepted,   Input::Success,        Accepted,   PassUp),
            (Accepted,   Input::Failure,        Accepted,   Absorb),
            (Accepted,   Input::Timer(A),       Accepted,   Absorb),
            (Accepted,   Input::Timer(B),       Accepted,   Absorb),
            (Accepted,   Input::Timer(D),       Accepted,   Absorb),
            (Accepted,   Input::Timer(M),       Terminated, End),
            (Accepted,   cancel,                Accepted,   Absorb),
            (Accepted,   Input::TransportError, Accepted,   Absorb),
            (Accepted,   Input::Cut,            Accepted,   Absorb),
            (Accepted,   other,                 Accepted,   Absorb),
            (Terminated, Input::Provisional,    Terminated, Absorb),
            (Terminated, Input::Success,        Terminated, Absorb),
            (Terminated, Input::Failure,        Terminated, Absorb),
            (Terminated, Input::Timer(A),       Terminated, Absorb),
            (Terminated, Input::Timer(B),       Terminated, Absorb),
            (Terminated, Input::Timer(D),       Terminated, Absorb),
            (Terminated, Input::Timer(M),       Terminated, Absorb),
            (Terminated, cancel,                Terminated, Absorb),
            (Terminated, Input::TransportError, Terminated, Absorb),
            (Terminated, Input::Cut,            Terminated, Absorb),
            (Terminated, other,                 Terminated, Absorb),
        ];
        for (state, input, next, action) in table {
            let mut machine = state;
            let did = machine.step(input, &Timers::default(), false);
            assert_eq!((machine, did), (next, action), "{state:?} with {input:?}");
        }
    }

    /// Trap 15: Timer D is zero where the transport is reliable; Timer M is not.
    #[test]
    fn timer_d_is_zero_on_a_stream_and_timer_m_is_not() {
        let timers = Timers::default();
        let mut refused = State::new(&timers);
        assert_eq!(
            refused.step(Input::Failure, &timers, true),
            AcknowledgeAndPassUp(D, Duration::ZERO)
        );
        let mut accepted = State::new(&timers);
        assert_eq!(
            accepted.step(Input::Success, &timers, true),
            PassUpAndArm(M, timers.lifetime())
        );
    }

    /// Trap 6: before a provisional response a CANCEL is a wish, after the final response it is too late.
    #[test]
    fn a_cancel_may_go_out_in_proceeding_only() {
        assert_eq!(
            State::new(&Timers::default()).cancellable(),
            Cancellable::OnceProvisional
        );
        assert_eq!(Proceeding.cancellable(), Cancellable::Now);
        for state in [Completed, Accepted, Terminated] {
            assert_eq!(state.cancellable(), Cancellable::TooLate);
        }
    }
}
