//! Checks for every machine.

mod lawful;

pub use lawful::Lawful;

use sip_io::{Receive, StateMachine};
use std::{
    fmt,
    time::{Duration, Instant},
};

/// One step of a script for a machine.
#[derive(Clone)]
pub enum Step<M> {
    /// Something comes
    Receive(Receive),
    /// Time passes
    Wait(Duration),
    /// The machine's owner wants something
    Command(fn(&mut M, Instant)),
}

impl<M> fmt::Debug for Step<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Receive(receive) => f.debug_tuple("Receive").field(receive).finish(),
            Self::Wait(duration) => f.debug_tuple("Wait").field(duration).finish(),
            Self::Command(_) => f.write_str("Command"),
        }
    }
}

/// Runs a script several times and panics when the machine breaks one of the laws of [`StateMachine`]:
///
/// - the order and the moment of polling change neither what is sent nor what happened,
/// - `handle_timeout(t)` at the time `t` that `poll_timeout` named makes it later or `None`,
/// - early and repeated calls change nothing, and a late call is made up for,
/// - the same script gives the same run.
///
/// `machine` makes a fresh machine that starts at the instant given, with the same seed each time.
///
/// ```
/// use sip_runtime::testing::{Step, check_laws};
/// # use sip_io::{Flow, Receive, StateMachine, Transmit};
/// # use std::{collections::VecDeque, time::{Duration, Instant}};
/// # struct Echo { out: VecDeque<Transmit>, late: Option<(Instant, Transmit)> }
/// # impl StateMachine for Echo {
/// #     type Event = ();
/// #     fn handle_receive(&mut self, now: Instant, receive: Receive) {
/// #         if let Receive::Datagram { flow, contents } = receive {
/// #             self.late = Some((now + Duration::from_secs(1), Transmit::Datagram { flow, contents }));
/// #         }
/// #     }
/// #     fn handle_timeout(&mut self, now: Instant) {
/// #         if let Some((_, transmit)) = self.late.take_if(|(at, _)| *at <= now) { self.out.push_back(transmit); }
/// #     }
/// #     fn poll_transmit(&mut self) -> Option<Transmit> { self.out.pop_front() }
/// #     fn poll_event(&mut self) -> Option<()> { None }
/// #     fn poll_timeout(&self) -> Option<Instant> { self.late.as_ref().map(|(at, _)| *at) }
/// # }
/// let flow = Flow::udp("192.0.2.1:5060".parse()?, "192.0.2.2:5060".parse()?);
/// check_laws(
///     |_start| Echo { out: VecDeque::new(), late: None },
///     &[
///         Step::Receive(Receive::Datagram { flow, contents: "ping".into() }),
///         Step::Wait(Duration::from_secs(32)),
///     ],
/// );
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[track_caller]
pub fn check_laws<M>(machine: impl Fn(Instant) -> M, script: &[Step<M>])
where
    M: StateMachine<Event: fmt::Debug>,
{
    let start = Instant::now();
    let run = |manner| Run::new(machine(start), start, manner).play(script);
    let usual = run(Manner::EventsFirst);
    for manner in [
        Manner::EventsFirst,
        Manner::TransmitsFirst,
        Manner::InTurns,
        Manner::AtTheEnd,
        Manner::Impatient,
    ] {
        let other = run(manner);
        for (what, usual, other) in [
            ("transmits", &usual.transmits, &other.transmits),
            ("events", &usual.events, &other.events),
        ] {
            assert!(
                usual == other,
                "polled {manner:?}, the {what} are\n{other:#?}\nand should be\n{usual:#?}"
            );
        }
    }
    run(Manner::Late);
}

/// How a machine is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    EventsFirst,
    TransmitsFirst,
    InTurns,
    /// Not before the script is over
    AtTheEnd,
    /// With calls of `handle_timeout` that are early or repeated
    Impatient,
    /// With `handle_timeout` only when all the time of a step has passed
    Late,
}

struct Run<M> {
    machine: M,
    now: Instant,
    manner: Manner,
    transmits: Vec<String>,
    events: Vec<String>,
}

impl<M: StateMachine<Event: fmt::Debug>> Run<M> {
    fn new(machine: M, now: Instant, manner: Manner) -> Self {
        Self {
            machine,
            now,
            manner,
            transmits: Vec::new(),
            events: Vec::new(),
        }
    }

    #[track_caller]
    fn play(mut self, script: &[Step<M>]) -> Self {
        for step in script {
            match step {
                Step::Receive(receive) => self.machine.handle_receive(self.now, receive.clone()),
                Step::Wait(duration) => self.wait(*duration),
                Step::Command(command) => command(&mut self.machine, self.now),
            }
            self.poll();
        }
        self.manner = Manner::EventsFirst;
        self.poll();
        self
    }

    #[track_caller]
    fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        for _ in 0..WAKES {
            let Some(at) = self.machine.poll_timeout().filter(|at| *at <= end) else {
                self.now = end;
                return;
            };
            // What is overdue is due now.
            let due = at.max(self.now);
            match self.manner {
                Manner::Late => self.now = end,
                Manner::Impatient => {
                    let early = self.now + due.duration_since(self.now) / 2;
                    if early < due {
                        self.machine.handle_timeout(early);
                        self.poll();
                    }
                    self.machine.handle_timeout(due);
                    self.now = due;
                }
                _ => self.now = due,
            }
            self.machine.handle_timeout(self.now);
            let next = self.machine.poll_timeout();
            assert!(
                next.is_none_or(|next| next > at),
                "handle_timeout does not move poll_timeout"
            );
            self.poll();
        }
        panic!("the machine wants to be woken more than {WAKES} times in {duration:?}");
    }

    fn poll(&mut self) {
        match self.manner {
            Manner::AtTheEnd => {}
            Manner::TransmitsFirst => {
                while self.poll_transmit() {}
                while self.poll_event() {}
            }
            Manner::InTurns => while self.poll_transmit() | self.poll_event() {},
            Manner::EventsFirst | Manner::Impatient | Manner::Late => {
                while self.poll_event() {}
                while self.poll_transmit() {}
            }
        }
    }

    fn poll_transmit(&mut self) -> bool {
        let transmit = self.machine.poll_transmit();
        self.transmits
            .extend(transmit.iter().map(|t| format!("{t:?}")));
        transmit.is_some()
    }

    fn poll_event(&mut self) -> bool {
        let event = self.machine.poll_event();
        self.events.extend(event.iter().map(|e| format!("{e:?}")));
        event.is_some()
    }
}

/// More is a machine that does not let time pass.
const WAKES: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;
    use sip_io::Transmit;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// Ticks each second, five times; with a fault if asked to.
    #[derive(Clone, Copy, PartialEq)]
    enum Fault {
        None,
        /// Counts each call of `handle_timeout`
        CountsCalls,
        /// Does not forget its timer
        StaysDue,
        /// Makes work in `poll_event`
        WorksInPoll,
    }

    struct Ticker {
        fault: Fault,
        next: Option<Instant>,
        left: u32,
        events: Vec<u32>,
        calls: u32,
    }

    impl StateMachine for Ticker {
        type Event = u32;
        fn handle_receive(&mut self, _now: Instant, _receive: Receive) {}
        fn handle_timeout(&mut self, now: Instant) {
            self.calls += 1;
            while let Some(at) = self.next.filter(|at| *at <= now) {
                self.left -= 1;
                let told = if self.fault == Fault::CountsCalls {
                    self.calls
                } else {
                    self.left
                };
                self.events.push(told);
                if self.fault == Fault::StaysDue {
                    return;
                }
                self.next = (self.left > 0).then_some(at + Duration::from_secs(1));
            }
        }
        fn poll_transmit(&mut self) -> Option<Transmit> {
            if self.fault == Fault::WorksInPoll && self.events.is_empty() {
                self.left = self.left.min(3);
            }
            None
        }
        fn poll_event(&mut self) -> Option<u32> {
            (!self.events.is_empty()).then(|| self.events.remove(0))
        }
        fn poll_timeout(&self) -> Option<Instant> {
            self.next
        }
    }

    fn check(fault: Fault) -> bool {
        let ticker = |start| Ticker {
            fault,
            next: Some(start + Duration::from_secs(1)),
            left: 5,
            events: Vec::new(),
            calls: 0,
        };
        let script = [
            Step::Command(|ticker: &mut Ticker, _now| ticker.calls = 0),
            Step::Wait(Duration::from_millis(2_500)),
            Step::Wait(Duration::from_secs(60)),
        ];
        catch_unwind(AssertUnwindSafe(|| check_laws(ticker, &script))).is_ok()
    }

    #[test]
    fn a_lawful_machine_passes_and_faults_are_found() {
        assert!(check(Fault::None));
        assert!(!check(Fault::CountsCalls));
        assert!(!check(Fault::StaysDue));
        assert!(!check(Fault::WorksInPoll));
    }
}
