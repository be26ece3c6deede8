//! The non-INVITE client transaction: RFC 3261 §17.1.2.

use std::time::Duration;

use crate::{
    client::Action::{self, *},
    timers::{
        Timer::{self, E, F, K},
        Timers,
    },
};

/// Non-INVITE client transaction (RFC 3261 figure 6).
///
/// ```text
///                |Request from TU, send request
///                V
///   .-E send- Trying ------- F / transport error ---> Terminated
///   '----------> | 1xx                                ^    ^
///                V                                    |    |
///   .-E send- Proceeding -------------- F ------------'    |
///   '----------> | 200-699                                 |
///                V                                         |
///             Completed ------------ K --------------------'
/// ```
///
/// One arrow of the RFC's figure is not drawn: a transport error in Proceeding. The request has arrived, and the
/// response finds its way over a new connection (§18.2.2), or Timer F fires. Where no such connection can come to us
/// ([`Input::Cut`]), it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing has come back yet; Timer E fires next after `interval`
    Trying { interval: Duration },
    /// A provisional response came
    Proceeding,
    /// The final response came; repeats of it are absorbed
    Completed,
    /// Nothing is left to do
    Terminated,
}

use State::*;

/// What may happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A response 100 to 199
    Provisional,
    /// A response 200 to 699
    Final,
    /// A timer fired
    Timer(Timer),
    /// The request could not be sent, or its connection is gone
    TransportError,
    /// Its connection is gone, and no response can come over another
    Cut,
}

impl State {
    /// The state after the request was sent for the first time, with Timers E and F set.
    pub(crate) const fn new(timers: &Timers) -> Self {
        Trying {
            interval: timers.t1,
        }
    }

    /// Follows one arrow of the figure.
    pub(crate) fn step(&mut self, input: Input, timers: &Timers, reliable: bool) -> Action {
        let (next, action) = match (*self, input) {
            (Trying { .. } | Proceeding, Input::Provisional) => (Proceeding, PassUp),
            (Trying { .. } | Proceeding, Input::Final) => {
                // §17.1.2.2: Timer K absorbs what a datagram network may still deliver.
                let linger = if reliable { Duration::ZERO } else { timers.t4 };
                (Completed, PassUpAndArm(K, linger))
            }

            (Trying { interval }, Input::Timer(E)) => {
                let interval = timers.back_off(interval);
                (Trying { interval }, RetransmitAndArm(E, interval))
            }
            (Proceeding, Input::Timer(E)) => (Proceeding, RetransmitAndArm(E, timers.t2)),
            (Trying { .. } | Proceeding, Input::Timer(F)) => (Terminated, TimedOut),
            (Completed, Input::Timer(K)) => (Terminated, End),

            (Trying { .. }, Input::TransportError) => (Terminated, Failed),
            (Trying { .. } | Proceeding, Input::Cut) => (Terminated, Failed),

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

    /// RFC 3261 figure 6: every state with every input.
    #[test]
    fn every_arrow_of_figure_6_and_no_other() {
        let start = Trying { interval: MS(500) };
        let other = Input::Timer(Timer::H);
        #[rustfmt::skip]
        let table = [
            (start,      Input::Provisional,    Proceeding,                    PassUp),
            (start,      Input::Final,          Completed,                     PassUpAndArm(K, MS(5_000))),
            (start,      Input::Timer(E),       Trying { interval: MS(1_000) }, RetransmitAndArm(E, MS(1_000))),
            (start,      Input::Timer(F),       Terminated,                    TimedOut),
            (start,      Input::Timer(K),       start,                         Absorb),
            (start,      Input::TransportError, Terminated,                    Failed),
            (start,      Input::Cut,            Terminated,                     Failed),
            (start,      other,                 start,                         Absorb),
            (Proceeding, Input::Provisional,    Proceeding,                    PassUp),
            (Proceeding, Input::Final,          Completed,                     PassUpAndArm(K, MS(5_000))),
            (Proceeding, Input::Timer(E),       Proceeding,                    RetransmitAndArm(E, MS(4_000))),
            (Proceeding, Input::Timer(F),       Terminated,                    TimedOut),
            (Proceeding, Input::Timer(K),       Proceeding,                    Absorb),
            (Proceeding, Input::TransportError, Proceeding,                    Absorb),
            (Proceeding, Input::Cut,            Terminated,                     Failed),
            (Proceeding, other,                 Proceeding,                    Absorb),
            (Completed,  Input::Provisional,    Completed,                     Absorb),
            (Completed,  Input::Final,          Completed,                     Absorb),
            (Completed,  Input::Timer(E),       Completed,                     Absorb),
            (Completed,  Input::Timer(F),       Completed,                     Absorb),
            (Completed,  Input::Timer(K),       Terminated,                    End),
            (Completed,  Input::TransportError, Completed,                     Absorb),
            (Completed,  Input::Cut,            Completed,                      Absorb),
            (Completed,  other,                 Completed,                     Absorb),
            (Terminated, Input::Provisional,    Terminated,                    Absorb),
            (Terminated, Input::Final,          Terminated,                    Absorb),
            (Terminated, Input::Timer(E),       Terminated,                    Absorb),
            (Terminated, Input::Timer(F),       Terminated,                    Absorb),
            (Terminated, Input::Timer(K),       Terminated,                    Absorb),
            (Terminated, Input::TransportError, Terminated,                    Absorb),
            (Terminated, Input::Cut,            Terminated,                     Absorb),
            (Terminated, other,                 Terminated,                    Absorb),
        ];
        for (state, input, next, action) in table {
            let mut machine = state;
            let did = machine.step(input, &Timers::default(), false);
            assert_eq!((machine, did), (next, action), "{state:?} with {input:?}");
        }
    }

    /// Trap 15: Timer K is zero where the transport is reliable.
    #[test]
    fn timer_k_is_zero_on_a_stream() {
        let mut machine = State::new(&Timers::default());
        let did = machine.step(Input::Final, &Timers::default(), true);
        assert_eq!(did, PassUpAndArm(K, Duration::ZERO));
    }
}
