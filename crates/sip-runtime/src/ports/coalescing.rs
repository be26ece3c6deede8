//! Datagrams taken in groups, at times of our own; see [`Driver::coalesce`](crate::Driver::coalesce).

use super::{Due, Ports, datagrams::UdpPort};
use crate::ready::Source;
use std::time::{Duration, Instant};

/// How a datagram socket is read, and what the last turns found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// When to look next, where nobody says that something comes
    next: Option<Instant>,
    window: Window,
}

/// Some turns in a row.
#[derive(Clone, Copy, Debug)]
struct Window {
    began: Instant,
    /// For how long the driver had worked when it began
    worked: Duration,
    turns: u32,
    /// The turns that found nothing
    empty: u32,
}

impl Reading {
    pub(super) fn new(now: Instant, worked: Duration) -> Self {
        Self {
            next: None,
            window: Window::new(now, worked),
        }
    }

    /// Whether it is not yet time to look.
    pub(super) fn is_early(&self, now: Instant) -> bool {
        self.next.is_some_and(|next| now < next)
    }

    /// Whether set times are better from now on.
    fn wants_times(&self, now: Instant, worked: Duration, interval: Duration) -> bool {
        let window = &self.window;
        if self.next.is_some() {
            let leaves = window.is_over() && !window.is_idle(now, worked, LEAVE);
            return !leaves && window.empty <= WINDOW / 2;
        }
        let often = now.saturating_duration_since(window.began) < interval * WINDOW;
        window.is_over() && often && window.is_idle(now, worked, ENTER)
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

    fn is_over(&self) -> bool {
        self.turns >= WINDOW
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

    /// Looks at the sockets whose time has not come.
    pub(crate) fn look_now(&mut self, now: Instant) {
        let early = self.udp.iter_mut().filter_map(|(key, port)| {
            let next = port.reading.next.as_mut()?;
            *next = now.min(*next);
            Some(key)
        });
        for key in early.collect::<Vec<_>>() {
            self.poll_udp(now, key);
        }
    }

    /// Chooses how a socket that has nothing more is read from now on. `found` is whether this turn found anything.
    pub(super) fn choose_reading(&mut self, now: Instant, key: usize, found: bool) {
        let Some(interval) = self.limits.coalesce else {
            return;
        };
        let Some(port) = self.udp.get_mut(key) else {
            return;
        };
        port.reading.window.count(found);
        let was_timed = port.reading.next.is_some();
        let wanted = port.reading.wants_times(now, self.worked, interval);
        let changed = wanted != was_timed && port.watch(!wanted);
        if changed || port.reading.window.is_over() {
            port.reading.window = Window::new(now, self.worked);
        }
        port.reading.next = (was_timed != changed).then(|| now + interval);
        if let Some(next) = port.reading.next {
            // Set once more where somebody looked before the last one fired; that one comes early then.
            self.timers.insert(next, Due::Ask(Source::Udp(key)));
        }
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
        ready::ReadyList,
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
                while self.ports.handle_timeout(now) {}
                self.ports.note_turn(now, now + gap * percent / 100);
            }
            self.ports.udp[0].reading.next.is_some()
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
