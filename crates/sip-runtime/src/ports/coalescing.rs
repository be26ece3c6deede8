//! Datagrams taken in groups, at times of our own; see [`Driver::coalesce`](crate::Driver::coalesce).

use super::{Due, Ports, datagrams::UdpPort};
use sip_io::TimerId;
use std::time::{Duration, Instant};

/// How a datagram socket is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reading {
    /// Whenever something comes
    Watched(Window),
    /// At `next`, whatever comes
    Timed {
        next: Instant,
        timer: Option<TimerId>,
        window: Window,
    },
}

/// What some turns in a row found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    began: Instant,
    /// For how long the driver had worked when it began
    worked: Duration,
    turns: u32,
    /// The turns that found nothing
    empty: u32,
}

impl Reading {
    pub(super) fn new(now: Instant, worked: Duration) -> Self {
        Self::Watched(Window::new(now, worked))
    }

    /// Whether it is not yet time to look.
    pub(super) fn is_early(&self, now: Instant) -> bool {
        matches!(self, Self::Timed { next, .. } if now < *next)
    }

    /// What will have the socket looked at again.
    pub(super) fn timer(&self) -> Option<TimerId> {
        match self {
            Self::Timed { timer, .. } => *timer,
            Self::Watched(_) => None,
        }
    }
}

impl Window {
    fn new(now: Instant, worked: Duration) -> Self {
        Self {
            began: now,
            worked,
            turns: 0,
            empty: 0,
        }
    }

    fn count(&mut self, found: bool) {
        self.turns += 1;
        self.empty += u32::from(!found);
    }

    /// Whether the driver worked for less than `share` percent of the time.
    fn is_idle(&self, now: Instant, worked: Duration, share: u32) -> bool {
        let elapsed = now.saturating_duration_since(self.began);
        worked.saturating_sub(self.worked) * 100 < elapsed * share
    }
}

impl Ports {
    /// Notes how long a turn of the driver took.
    pub(crate) fn note_turn(&mut self, began: Instant, ended: Instant) {
        self.worked += ended.saturating_duration_since(began);
    }

    /// Chooses how a socket that has nothing more is read from now on. `found` is whether this turn found anything.
    pub(super) fn choose_reading(&mut self, now: Instant, key: usize, found: bool) {
        let (Some(interval), worked) = (self.limits.coalesce, self.worked) else {
            return;
        };
        let Some(port) = self.udp.get_mut(key) else {
            return;
        };
        let (timed, mut window) = match port.reading {
            Reading::Watched(window) => (false, window),
            Reading::Timed { window, .. } => (true, window),
        };
        window.count(found);
        let is_over = window.turns == WINDOW;
        let timed = if timed {
            let wanted =
                window.empty <= WINDOW / 2 && (!is_over || window.is_idle(now, worked, LEAVE));
            wanted || !port.watch(true)
        } else {
            let often = now.saturating_duration_since(window.began) < interval * WINDOW;
            is_over && often && window.is_idle(now, worked, ENTER) && port.watch(false)
        };
        if is_over || timed != matches!(port.reading, Reading::Timed { .. }) {
            window = Window::new(now, worked);
        }
        port.reading = if timed {
            let next = now + interval;
            let timer = Some(self.timers.insert(next, Due::Look(key)));
            Reading::Timed {
                next,
                timer,
                window,
            }
        } else {
            Reading::Watched(window)
        };
    }
}

impl UdpPort {
    /// Has the socket wake the driver, or not; whether it does so now.
    fn watch(&mut self, watched: bool) -> bool {
        match self.socket.set_watched(watched) {
            Ok(()) => {
                tracing::trace!(local = %self.local(), watched, "reads otherwise");
                if watched {
                    // It tells of nothing that came before it was asked.
                    self.waker.wake_by_ref();
                }
                true
            }
            Err(error) => {
                tracing::debug!(%error, local = %self.local(), watched, "reads as before");
                false
            }
        }
    }
}

/// How many turns are looked back at: enough to tell a stream of datagrams from the few of one call.
const WINDOW: u32 = 32;

/// Up to which percentage of its time a driver may be at work when it begins to read at times of its own. Above it, it
/// sleeps too little for fewer wake-ups to spare much.
const ENTER: u32 = 40;

/// From which percentage on it reads whenever something comes again. Lower, because the same load takes less time
/// while it is read in groups.
const LEAVE: u32 = 25;

#[cfg(all(test, feature = "sim"))]
mod tests {
    use super::*;
    use crate::{
        ports::Limits,
        ready::{ReadyList, Source},
        runtime::{Runtime, UdpSocket},
        sim::Sim,
    };
    use sip_io::{BindToken, Protocol, Transmit};
    use std::{net::SocketAddr, sync::Arc};

    /// The ports of a driver, and who sends to them.
    struct Fed {
        sim: Sim,
        ports: Ports,
        peer: Box<dyn UdpSocket>,
        remote: SocketAddr,
    }

    fn fed() -> Fed {
        let sim = Sim::new(1).delay(Duration::ZERO);
        let host = sim.host("fed");
        let limits = Limits {
            coalesce: Some(Duration::from_millis(1)),
            ..Limits::default()
        };
        let remote = (host.ipv4(), 5060).into();
        let peer = host.bind_udp((host.ipv4(), 0).into()).expect("is free");
        let now = sim.now();
        let mut ports = Ports::new(Arc::new(host), Arc::<ReadyList>::default(), limits);
        let bind = Transmit::Bind {
            token: BindToken(1),
            protocol: Protocol::Udp,
            local: remote,
        };
        ports.apply(now, bind);
        Fed {
            sim,
            ports,
            peer,
            remote,
        }
    }

    impl Fed {
        /// `turns` turns, 0.4 ms apart, each with a datagram, that work for so many percent of the time; whether the
        /// socket is then read at times of the driver's own.
        fn work(&mut self, turns: u32, percent: u32) -> bool {
            let gap = Duration::from_micros(400);
            for _ in 0..turns {
                self.peer
                    .try_send(None, self.remote, b"ping")
                    .expect("can send");
                self.sim.advance(gap);
                let now = self.sim.now();
                self.ports.poll(now, Source::Udp(0));
                self.ports.handle_timeout(now);
                self.ports.note_turn(now, now + gap * percent / 100);
            }
            matches!(self.ports.udp[0].reading, Reading::Timed { .. })
        }
    }

    #[test]
    fn a_driver_at_work_for_most_of_the_time_reads_what_comes_when_it_comes() {
        let mut fed = fed();
        assert!(!fed.work(200, ENTER + 1));
        assert!(fed.work(100, ENTER - 2));
    }

    #[test]
    fn what_is_read_in_groups_must_take_less_than_a_quarter_of_the_time() {
        let mut fed = fed();
        assert!(fed.work(100, 5));
        assert!((0..300).all(|_| fed.work(1, LEAVE - 2)));
        assert!(!(0..300).all(|_| fed.work(1, LEAVE + 2)), "left once");
        assert!(!fed.work(200, ENTER + 1), "and for good");
        assert!(fed.work(100, 5), "but comes back");
    }
}
