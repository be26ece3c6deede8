//! The INVITE server transaction: RFC 3261 §17.2.1 as RFC 6026 §8.7 changed it.

use std::time::Duration;

use crate::{
    server::Action::{self, *},
    timers::{
        Timer::{self, G, H, I, L},
        Timers,
    },
};

/// INVITE server transaction (RFC 6026 figure 7).
///
/// ```text
///                      |INVITE, pass to TU
///                      V
///                   Trying --------- 2xx from TU ----------------.
///                      | |                                       |
///                      | '---------- 300-699 from TU -----.      |
///                      | 1xx from TU, 100 after 200 ms    |      |
///                      V                                  |      |
///     .-- INVITE, --Proceeding ----- 2xx from TU ---------|----->|
///     '-- send ------> |                                  |      |
///                      | 300-699 from TU                  |      |
///                      V                                  |      V
///     .-- INVITE, --Completed <---------------------------'   Accepted <-.
///     '-- G, send ---> | |                                       | |     |
///                  ACK | '---------- H -----------.              | '-----' ACK to TU,
///                      V                          V              |         2xx from TU
///     .-- ACK ----- Confirmed -----  I --> Terminated <--- L ----'
///     '--------------> '
/// ```
///
/// The RFC's Proceeding is two states here: in Trying nothing has been sent yet, so there is nothing to repeat. A
/// transport error ends no server transaction (RFC 6026 §7.1) and therefore is no input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No response was sent yet
    Trying,
    /// A provisional response was sent
    Proceeding,
    /// A final response other than 2xx was sent; Timer G fires next after `interval`
    Completed { interval: Duration },
    /// The ACK came; repeats of it are absorbed
    Confirmed,
    /// A 2xx was sent, which its sender repeats; INVITEs are absorbed and ACKs passed on
    Accepted,
    /// Nothing is left to do
    Terminated,
}

use State::*;

/// What may happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The INVITE came again
    Request,
    /// An ACK came
    Ack,
    /// The transaction user responds 100 to 199
    Provisional,
    /// The transaction user responds 200 to 299
    Success,
    /// The transaction user responds 300 to 699
    Failure,
    /// A timer fired
    Timer(Timer),
}

impl State {
    /// Follows one arrow of the figure.
    pub(crate) fn step(&mut self, input: Input, timers: &Timers, reliable: bool) -> Action {
        let (next, action) = match (*self, input) {
            (Trying | Proceeding, Input::Provisional) => (Proceeding, Send),
            (Trying, Input::Timer(Timer::Trying)) => (Proceeding, SendTrying),
            (Trying | Proceeding, Input::Success) => {
                // RFC 6026 §7.1: the 2xx is repeated by the transaction user, so its bytes are not kept.
                (Accepted, SendAndForget(L, timers.lifetime()))
            }
            (Trying | Proceeding, Input::Failure) => {
                let interval = timers.t1;
                let repeat = if reliable { None } else { Some((G, interval)) };
                (
                    Completed { interval },
                    SendAndArm(H, timers.lifetime(), repeat),
                )
            }
            (Accepted, Input::Success) => (Accepted, SendOnly),
            (state, Input::Provisional | Input::Success | Input::Failure) => (state, Refuse),

            (state @ (Proceeding | Completed { .. }), Input::Request) => (state, Retransmit),

            (Completed { .. }, Input::Ack) => {
                let linger = if reliable { Duration::ZERO } else { timers.t4 };
                (Confirmed, Linger(I, linger))
            }
            // RFC 6026 §7.1: an ACK to a 2xx is the transaction user's.
            (Accepted, Input::Ack) => (Accepted, PassUp),
            (state @ (Trying | Proceeding), Input::Ack) => (state, PassUpAsStray),

            (Completed { interval }, Input::Timer(G)) => {
                let interval = timers.back_off(interval);
                (Completed { interval }, RetransmitAndArm(G, interval))
            }
            (Completed { .. }, Input::Timer(H)) => (Terminated, Unacknowledged),
            (Confirmed, Input::Timer(I)) | (Accepted, Input::Timer(L)) => (Terminated, End),

            (state, _) => (state, Absorb),
        };
        *self = next;
        action
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// RFC 6026 figure 7: every state with every input.
    #[test]
    fn every_arrow_of_figure_7_and_no_other() {
        let completed = Completed { interval: MS(500) };
        let later = Completed {
            interval: MS(1_000),
        };
        let refused = SendAndArm(H, MS(32_000), Some((G, MS(500))));
        let trying = Input::Timer(Timer::Trying);
        let other = Input::Timer(Timer::E);
        #[rustfmt::skip]
        let table = [
            (Trying,     Input::Request,     Trying,     Absorb),
            (Trying,     Input::Ack,         Trying,     PassUpAsStray),
            (Trying,     Input::Provisional, Proceeding, Send),
            (Trying,     Input::Success,     Accepted,   SendAndForget(L, MS(32_000))),
            (Trying,     Input::Failure,     completed,  refused),
            (Trying,     trying,             Proceeding, SendTrying),
            (Trying,     Input::Timer(G),    Trying,     Absorb),
            (Trying,     Input::Timer(H),    Trying,     Absorb),
            (Trying,     Input::Timer(I),    Trying,     Absorb),
            (Trying,     Input::Timer(L),    Trying,     Absorb),
            (Trying,     other,              Trying,     Absorb),
            (Proceeding, Input::Request,     Proceeding, Retransmit),
            (Proceeding, Input::Ack,         Proceeding, PassUpAsStray),
            (Proceeding, Input::Provisional, Proceeding, Send),
            (Proceeding, Input::Success,     Accepted,   SendAndForget(L, MS(32_000))),
            (Proceeding, Input::Failure,     completed,  refused),
            (Proceeding, trying,             Proceeding, Absorb),
            (Proceeding, Input::Timer(G),    Proceeding, Absorb),
            (Proceeding, Input::Timer(H),    Proceeding, Absorb),
            (Proceeding, Input::Timer(I),    Proceeding, Absorb),
            (Proceeding, Input::Timer(L),    Proceeding, Absorb),
            (Proceeding, other,              Proceeding, Absorb),
            (completed,  Input::Request,     completed,  Retransmit),
            (completed,  Input::Ack,         Confirmed,  Linger(I, MS(5_000))),
            (completed,  Input::Provisional, completed,  Refuse),
            (completed,  Input::Success,     completed,  Refuse),
            (completed,  Input::Failure,     completed,  Refuse),
            (completed,  trying,             completed,  Absorb),
            (completed,  Input::Timer(G),    later,      RetransmitAndArm(G, MS(1_000))),
            (completed,  Input::Timer(H),    Terminated, Unacknowledged),
            (completed,  Input::Timer(I),    completed,  Absorb),
            (completed,  Input::Timer(L),    completed,  Absorb),
            (completed,  other,              completed,  Absorb),
            (Confirmed,  Input::Request,     Confirmed,  Absorb),
            (Confirmed,  Input::Ack,         Confirmed,  Absorb),
            (Confirmed,  Input::Provisional, Confirmed,  Refuse),
            (Confirmed,  Input::Success,     Confirmed,  Refuse),
            (Confirmed,  Input::Failure,     Confirmed,  Refuse),
            (Confirmed,  trying,             Confirmed,  Absorb),
            (Confirmed,  Input::Timer(G),    Confirmed,  Absorb),
            (Confirmed,  Input::Timer(H),    Confirmed,  Absorb),
            (Confirmed,  Input::Timer(I),    Terminated, End),
            (Confirmed,  Input::Timer(L),    Confirmed,  Absorb),
            (Confirmed,  other,              Confirmed,  Absorb),
            (Accepted,   Input::Request,     Accepted,   Absorb),
            (Accepted,   Input::Ack,         Accepted,   PassUp),
            (Accepted,   Input::Provisional, Accepted,   Refuse),
            (Accepted,   Input::Success,     Accepted,   SendOnly),
            (Accepted,   Input::Failure,     Accepted,   Refuse),
            (Accepted,   trying,             Accepted,   Absorb),
            (Accepted,   Input::Timer(G),    Accepted,   Absorb),
            (Accepted,   Input::Timer(H),    Accepted,   Absorb),
            (Accepted,   Input::Timer(I),    Accepted,   Absorb),
            (Accepted,   Input::Timer(L),    Terminated, End),
            (Accepted,   other,              Accepted,   Absorb),
            (Terminated, Input::Request,     Terminated, Absorb),
            (Terminated, Input::Ack,         Terminated, Absorb),
            (Terminated, Input::Provisional, Terminated, Refuse),
            (Terminated, Input::Success,     Terminated, Refuse),
            (Terminated, Input::Failure,     Terminated, Refuse),
            (Terminated, trying,             Terminated, Absorb),
            (Terminated, Input::Timer(G),    Terminated, Absorb),
            (Terminated, Input::Timer(H),    Terminated, Absorb),
            (Terminated, Input::Timer(I),    Terminated, Absorb),
            (Terminated, Input::Timer(L),    Terminated, Absorb),
            (Terminated, other,              Terminated, Absorb),
        ];
        for (state, input, next, action) in table {
            let mut machine = state;
            let did = machine.step(input, &Timers::default(), false);
            assert_eq!((machine, did), (next, action), "{state:?} with {input:?}");
        }
    }

    /// Trap 15: on a stream there is no Timer G, Timer I is zero, and Timer H runs all the same.
    #[test]
    fn on_a_stream_nothing_is_repeated_and_timer_i_is_zero() {
        let timers = Timers::default();
        let mut machine = Trying;
        assert_eq!(
            machine.step(Input::Failure, &timers, true),
            SendAndArm(H, timers.lifetime(), None)
        );
        assert_eq!(
            machine.step(Input::Ack, &timers, true),
            Linger(I, Duration::ZERO)
        );
    }
}
