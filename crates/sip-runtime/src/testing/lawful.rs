//! A machine that is held to its laws while it works.

use sip_io::{Receive, Rng, StateMachine, Transmit};
use std::{collections::VecDeque, time::Instant};

/// A machine around a machine, which panics as soon as the one inside breaks a law of [`StateMachine`]:
///
/// - `handle_timeout` at the time that `poll_timeout` named, or later, makes it later or `None`,
/// - an early or repeated call does nothing: such calls are made up from time to time,
/// - polling only pops: it moves no timer, and its order, which is made up too, does not matter.
///
/// Where [`check_laws`](super::check_laws) runs a script, this one stands in the place of the machine in any test: give it
/// to a [`Driver`](crate::Driver) on a simulated host.
///
/// ```
/// use sip_runtime::{Driver, Runtime, sim::Sim, testing::Lawful};
/// # use sip_io::{Receive, StateMachine, Transmit};
/// # use std::{sync::Arc, time::{Duration, Instant}};
/// # struct Alarm { at: Option<Instant>, rang: u32 }
/// # impl StateMachine for Alarm {
/// #     type Event = ();
/// #     fn handle_receive(&mut self, _now: Instant, _receive: Receive) {}
/// #     fn handle_timeout(&mut self, now: Instant) {
/// #         if self.at.take_if(|at| *at <= now).is_some() { self.rang += 1; }
/// #     }
/// #     fn poll_transmit(&mut self) -> Option<Transmit> { None }
/// #     fn poll_event(&mut self) -> Option<()> { None }
/// #     fn poll_timeout(&self) -> Option<Instant> { self.at }
/// # }
/// let sim = Sim::new(1);
/// let runtime: Arc<dyn Runtime> = Arc::new(sim.host("alice"));
/// let alarm = Alarm { at: Some(runtime.now() + Duration::from_secs(5)), rang: 0 };
/// let handle = Driver::new(runtime, Lawful::new(alarm, [7; 32]), ()).spawn();
/// sim.advance(Duration::from_secs(6));
/// let rang = sim.run(handle.command(|lawful, _application, _now| lawful.machine().rang))?;
/// assert_eq!(rang, 1);
/// # Ok::<(), sip_runtime::Gone>(())
/// ```
#[derive(Debug)]
pub struct Lawful<M: StateMachine> {
    machine: M,
    rng: Rng,
    transmits: VecDeque<Transmit>,
    events: VecDeque<M::Event>,
    last_input: Option<Instant>,
}

impl<M: StateMachine> Lawful<M> {
    /// Holds `machine` to the laws; what is made up follows from `seed`.
    pub fn new(machine: M, seed: [u8; 32]) -> Self {
        let mut lawful = Self {
            machine,
            rng: Rng::new(seed),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            last_input: None,
        };
        lawful.drain();
        lawful
    }

    /// Gives the machine inside a command.
    pub fn command<R>(&mut self, now: Instant, command: impl FnOnce(&mut M) -> R) -> R {
        self.disturb(now);
        self.last_input = Some(now);
        let result = command(&mut self.machine);
        self.drain();
        result
    }

    /// The machine inside.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// When the machine inside was last told anything: by the network or by a command, not by time.
    pub fn last_input(&self) -> Option<Instant> {
        self.last_input
    }

    /// Now and then calls `handle_timeout` although nothing is due.
    fn disturb(&mut self, now: Instant) {
        let due = self.machine.poll_timeout();
        if self.rng.below(4) == 0 && due.is_none_or(|due| due > now) {
            self.machine.handle_timeout(now);
            let done = (self.transmits.len(), self.events.len());
            self.drain();
            assert_eq!(
                done,
                (self.transmits.len(), self.events.len()),
                "an early call of handle_timeout sent or told something"
            );
            assert_eq!(
                self.machine.poll_timeout(),
                due,
                "an early call of handle_timeout moved the timer"
            );
        }
    }

    fn drain(&mut self) {
        let due = self.machine.poll_timeout();
        let events_first = self.rng.below(2) == 0;
        if events_first {
            self.events
                .extend(std::iter::from_fn(|| self.machine.poll_event()));
        }
        self.transmits
            .extend(std::iter::from_fn(|| self.machine.poll_transmit()));
        self.events
            .extend(std::iter::from_fn(|| self.machine.poll_event()));
        assert!(
            self.machine.poll_transmit().is_none(),
            "polling an event made something to send"
        );
        assert_eq!(self.machine.poll_timeout(), due, "polling moved the timer");
    }
}

impl<M: StateMachine> StateMachine for Lawful<M> {
    type Event = M::Event;

    fn handle_receive(&mut self, now: Instant, receive: Receive) {
        self.disturb(now);
        self.last_input = Some(now);
        self.machine.handle_receive(now, receive);
        self.drain();
    }

    fn handle_timeout(&mut self, now: Instant) {
        let due = self.machine.poll_timeout().filter(|due| *due <= now);
        self.machine.handle_timeout(now);
        if let Some(due) = due {
            assert!(
                self.machine.poll_timeout().is_none_or(|next| next > due),
                "handle_timeout does not move poll_timeout"
            );
        }
        self.drain();
        self.disturb(now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    fn poll_event(&mut self) -> Option<M::Event> {
        self.events.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a test needs an instant to start from
mod tests {
    use super::*;
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        time::Duration,
    };

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Fault {
        None,
        StaysDue,
        ActsEarly,
        WorksInPoll,
    }

    struct Bell {
        fault: Fault,
        at: Option<Instant>,
        events: u32,
    }

    impl StateMachine for Bell {
        type Event = ();
        fn handle_receive(&mut self, now: Instant, _receive: Receive) {
            self.at = Some(now + Duration::from_secs(1));
        }
        fn handle_timeout(&mut self, now: Instant) {
            let is_due = self.at.is_some_and(|at| at <= now);
            if is_due || self.fault == Fault::ActsEarly {
                self.events += 1;
            }
            if is_due && self.fault != Fault::StaysDue {
                self.at = None;
            }
        }
        fn poll_transmit(&mut self) -> Option<Transmit> {
            None
        }
        fn poll_event(&mut self) -> Option<()> {
            if self.fault == Fault::WorksInPoll {
                self.at = None;
            }
            self.events = self.events.checked_sub(1)?;
            Some(())
        }
        fn poll_timeout(&self) -> Option<Instant> {
            self.at
        }
    }

    fn obeys(fault: Fault) -> bool {
        let mut now = Instant::now();
        let bell = Bell {
            fault,
            at: Some(now + Duration::from_secs(5)),
            events: 0,
        };
        let work = || {
            let mut bell = Lawful::new(bell, [1; 32]);
            for _ in 0..20 {
                bell.command(now, |bell| bell.at = Some(now + Duration::from_secs(1)));
                now += Duration::from_secs(1);
                bell.handle_timeout(now);
                assert!(bell.poll_event().is_some());
            }
            assert_eq!(bell.last_input(), Some(now - Duration::from_secs(1)));
        };
        catch_unwind(AssertUnwindSafe(work)).is_ok()
    }

    #[test]
    fn a_lawful_machine_works_and_faults_are_found() {
        assert!(obeys(Fault::None));
        assert!(!obeys(Fault::StaysDue));
        assert!(!obeys(Fault::ActsEarly));
        assert!(!obeys(Fault::WorksInPoll));
    }
}
