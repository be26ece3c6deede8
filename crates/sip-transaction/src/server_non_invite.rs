//! The non-INVITE server transaction: RFC 3261 §17.2.2 as RFC 4320 §4 changed it.

use std::time::Duration;

use crate::{
    server::Action::{self, *},
    timers::{
        Timer::{self, F, J},
        Timers,
    },
};

/// Non-INVITE server transaction (RFC 3261 figure 8, RFC 4320 §4).
///
/// ```text
///                  |Request, pass to TU
///                  V
///   .-request-- Trying ----------- F ----------> Terminated
///   '------------> | |                            ^    ^
///                  | | 100 when Timer E would     |    |
///                  | | have reached T2            |    |
///                  | V                            |    |
///   .-request-- Proceeding ------- F -------------'    |
///   '-send 100---> |                                   |
///                  | 200-699 from TU                   |
///                  V                                   |
///   .-request-- Completed -------- J ------------------'
///   '-send-------> |
/// ```
///
/// RFC 4320 §4: no provisional response but 100, over datagrams not before a client's Timer E has reached T2, and then
/// from the transaction itself. Timer F is the client's: once it has fired there, a response only makes noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No response was sent yet
    Trying,
    /// A 100 was sent
    Proceeding,
    /// The final response was sent; it answers each repeat of the request
    Completed,
    /// Nothing is left to do
    Terminated,
}

use State::*;

/// What may happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The request came again
    Request,
    /// The transaction user responds 100
    Provisional,
    /// The transaction user responds 200 to 699
    Final,
    /// A timer fired
    Timer(Timer),
}

impl State {
    /// Follows one arrow of the figure.
    pub(crate) fn step(&mut self, input: Input, timers: &Timers, reliable: bool) -> Action {
        let (next, action) = match (*self, input) {
            (Trying, Input::Timer(Timer::Trying)) => (Proceeding, SendTrying),
            (Trying, Input::Provisional) if !reliable => (Trying, Refuse),
            (Trying | Proceeding, Input::Provisional) => (Proceeding, Send),
            (Trying | Proceeding, Input::Final) => {
                let linger = if reliable {
                    Duration::ZERO
                } else {
                    timers.lifetime()
                };
                (Completed, SendAndArm(J, linger, None))
            }
            (state, Input::Provisional | Input::Final) => (state, Refuse),

            (state @ (Proceeding | Completed), Input::Request) => (state, Retransmit),

            (Trying | Proceeding, Input::Timer(F)) => (Terminated, End),
            (Completed, Input::Timer(J)) => (Terminated, End),

            (state, _) => (state, Absorb),
        };
        *self = next;
        action
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(32);

    /// RFC 3261 figure 8: every state with every input.
    #[test]
    fn every_arrow_of_figure_8_and_no_other() {
        let trying = Input::Timer(Timer::Trying);
        let other = Input::Timer(Timer::G);
        #[rustfmt::skip]
        let table = [
            (Trying,     Input::Request,     Trying,     Absorb),
            (Trying,     Input::Provisional, Trying,     Refuse),
            (Trying,     Input::Final,       Completed,  SendAndArm(J, LIFETIME, None)),
            (Trying,     trying,             Proceeding, SendTrying),
            (Trying,     Input::Timer(F),    Terminated, End),
            (Trying,     Input::Timer(J),    Trying,     Absorb),
            (Trying,     other,              Trying,     Absorb),
            (Proceeding, Input::Request,     Proceeding, Retransmit),
            (Proceeding, Input::Provisional, Proceeding, Send),
            (Proceeding, Input::Final,       Completed,  SendAndArm(J, LIFETIME, None)),
            (Proceeding, trying,             Proceeding, Absorb),
            (Proceeding, Input::Timer(F),    Terminated, End),
            (Proceeding, Input::Timer(J),    Proceeding, Absorb),
            (Proceeding, other,              Proceeding, Absorb),
            (Completed,  Input::Request,     Completed,  Retransmit),
            (Completed,  Input::Provisional, Completed,  Refuse),
            (Completed,  Input::Final,       Completed,  Refuse),
            (Completed,  trying,             Completed,  Absorb),
            (Completed,  Input::Timer(F),    Completed,  Absorb),
            (Completed,  Input::Timer(J),    Terminated, End),
            (Completed,  other,              Completed,  Absorb),
            (Terminated, Input::Request,     Terminated, Absorb),
            (Terminated, Input::Provisional, Terminated, Refuse),
            (Terminated, Input::Final,       Terminated, Refuse),
            (Terminated, trying,             Terminated, Absorb),
            (Terminated, Input::Timer(F),    Terminated, Absorb),
            (Terminated, Input::Timer(J),    Terminated, Absorb),
            (Terminated, other,              Terminated, Absorb),
        ];
        for (state, input, next, action) in table {
            let mut machine = state;
            let did = machine.step(input, &Timers::default(), false);
            assert_eq!((machine, did), (next, action), "{state:?} with {input:?}");
        }
    }

    /// RFC 4320 §4.1: over a reliable transport a 100 may go at any time. Trap 15: Timer J is zero there.
    #[test]
    fn on_a_stream_a_100_may_go_at_once_and_timer_j_is_zero() {
        let timers = Timers::default();
        let mut machine = Trying;
        assert_eq!(machine.step(Input::Provisional, &timers, true), Send);
        assert_eq!(
            machine.step(Input::Final, &timers, true),
            SendAndArm(J, Duration::ZERO, None)
        );
    }
}
