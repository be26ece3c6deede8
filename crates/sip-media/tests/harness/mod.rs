//! Two engines and the network between them, in virtual time.

#![allow(
    dead_code,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "each test uses a part of the harness; an instant can only be had from the clock"
)]

use bytes::Bytes;
use rtp::{Packet, is_rtcp};
use sip_io::{Flow, Receive, Rng, StateMachine, Transmit, WallClock};
use sip_media::{
    AudioPreferences, AudioSink, Event, MediaConfig, MediaEngine, NegotiatedMedia, Negotiation,
    SessionConfig, SessionId, Tap,
};
use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr},
    sync::mpsc::Receiver,
    time::{Duration, Instant, SystemTime},
};

pub(crate) const ALICE: usize = 0;
pub(crate) const BOB: usize = 1;

pub(crate) fn ip(side: usize) -> IpAddr {
    IpAddr::from([192, 0, 2, side as u8 + 1])
}

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// What is between two engines.
pub(crate) struct Net {
    pub(crate) now: Instant,
    pub(crate) start: Instant,
    pub(crate) engines: [MediaEngine; 2],
    pub(crate) events: [Vec<Event>; 2],
    /// Every RTP packet that left, with when and from whom
    pub(crate) sent: Vec<(Duration, usize, Packet)>,
    pub(crate) reports: [usize; 2],
    pub(crate) dropped: [u64; 2],
    pub(crate) rng: Rng,
    /// Of a hundred
    pub(crate) loss: u64,
    pub(crate) delay: Duration,
    pub(crate) shake: Duration,
    pub(crate) busy: BTreeSet<u16>,
    pub(crate) released: usize,
    /// What the world sees in place of Alice's address
    pub(crate) nat: Option<IpAddr>,
    flying: Vec<(Instant, u64, usize, Flow, Bytes)>,
    count: u64,
}

impl Net {
    pub(crate) fn new() -> Self {
        Self::with(|config| config)
    }

    pub(crate) fn with(configure: impl Fn(MediaConfig) -> MediaConfig) -> Self {
        let now = Instant::now();
        let clock = WallClock {
            at: now,
            is: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        };
        let engine = |seed| MediaEngine::new(configure(MediaConfig::new([seed; 32], clock)));
        Self {
            now,
            start: now,
            engines: [engine(1), engine(2)],
            events: Default::default(),
            sent: Vec::new(),
            reports: [0; 2],
            dropped: [0; 2],
            rng: Rng::new([3; 32]),
            loss: 0,
            delay: ms(20),
            shake: Duration::ZERO,
            busy: BTreeSet::new(),
            released: 0,
            nat: None,
            flying: Vec::new(),
            count: 0,
        }
    }

    /// Opens a session and waits for its ports.
    pub(crate) fn open(&mut self, side: usize) -> (SessionId, SocketAddr) {
        let id = self.engines[side]
            .open(self.now, SessionConfig::new(ip(side)))
            .unwrap();
        self.settle();
        let local = self.engines[side].local(id).expect("ports are free");
        (id, local)
    }

    /// A call between both, media started on both sides.
    pub(crate) fn call(&mut self) -> [SessionId; 2] {
        let preferences = AudioPreferences::default();
        self.call_with([&preferences, &preferences]).0
    }

    pub(crate) fn call_with(
        &mut self,
        preferences: [&AudioPreferences; 2],
    ) -> ([SessionId; 2], [Negotiation; 2]) {
        let (alice, alices) = self.open(ALICE);
        let (bob, bobs) = self.open(BOB);
        let mut negotiations = [
            Negotiation::new(1, alices, preferences[ALICE]),
            Negotiation::new(2, bobs, preferences[BOB]),
        ];
        let [ours, theirs] = negotiate(&mut negotiations);
        self.engines[ALICE].start(self.now, alice, &ours).unwrap();
        self.engines[BOB].start(self.now, bob, &theirs).unwrap();
        ([alice, bob], negotiations)
    }

    /// Offers and answers again, and starts both sides with what came of it.
    pub(crate) fn renegotiate(&mut self, ids: [SessionId; 2], negotiations: &mut [Negotiation; 2]) {
        let agreed = negotiate(negotiations);
        for side in [ALICE, BOB] {
            self.engines[side]
                .start(self.now, ids[side], &agreed[side])
                .unwrap();
        }
    }

    /// Lets a side listen; all that it hears can be had at the end.
    pub(crate) fn listen(&mut self, side: usize, id: SessionId) -> Receiver<Vec<i16>> {
        let (tap, heard) = Tap::new(100_000);
        self.record(side, id, tap);
        heard
    }

    pub(crate) fn record(&mut self, side: usize, id: SessionId, sink: impl AudioSink + 'static) {
        self.engines[side]
            .record(self.now, id, Box::new(sink))
            .unwrap();
    }

    /// Time passes.
    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            self.settle();
            let wake = self.engines.iter().filter_map(StateMachine::poll_timeout);
            let arrival = self.flying.iter().map(|(at, ..)| *at);
            let Some(next) = wake.chain(arrival).min().filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            self.deliver();
            for engine in &mut self.engines {
                if engine.poll_timeout().is_some_and(|at| at <= self.now) {
                    engine.handle_timeout(self.now);
                    let after = engine.poll_timeout();
                    assert!(after.is_none_or(|at| at > self.now), "a timeout that stays");
                }
            }
        }
        self.now = end;
    }

    /// Does what the engines ask for.
    pub(crate) fn settle(&mut self) {
        for side in [ALICE, BOB] {
            while let Some(transmit) = self.engines[side].poll_transmit() {
                self.transmit(side, transmit);
            }
            while let Some(event) = self.engines[side].poll_event() {
                self.events[side].push(event);
            }
        }
    }

    /// The keys that a side has heard.
    pub(crate) fn keys(&self, side: usize) -> String {
        self.events[side]
            .iter()
            .filter_map(|event| match event {
                Event::Dtmf { digit, .. } => Some(*digit),
                _ => None,
            })
            .collect()
    }

    fn transmit(&mut self, side: usize, transmit: Transmit) {
        match transmit {
            Transmit::Bind { token, local, .. } => {
                let result = if self.busy.contains(&local.port()) {
                    Err(io::ErrorKind::AddrInUse)
                } else {
                    Ok(local)
                };
                self.engines[side].handle_receive(self.now, Receive::Bound { token, result });
                self.settle();
            }
            Transmit::Release { .. } => self.released += 1,
            Transmit::Datagram { flow, contents } => self.send(side, flow, contents),
            other => panic!("no media engine asks for {other:?}"),
        }
    }

    fn send(&mut self, side: usize, flow: Flow, contents: Bytes) {
        assert_eq!(flow.local().ip(), ip(side));
        if is_rtcp(&contents) {
            self.reports[side] += 1;
            assert_eq!(flow.local().port() % 2, 1);
        } else {
            let packet = Packet::parse(contents.clone()).unwrap();
            self.sent.push((self.now - self.start, side, packet));
            if self.rng.below(100) < self.loss {
                self.dropped[side] += 1;
                return;
            }
        }
        let mut source = flow.local();
        let mut target = flow.remote();
        if let Some(outside) = self.nat {
            if source.ip() == ip(ALICE) {
                source = SocketAddr::new(outside, source.port() + 1_000);
            } else if target.ip() == outside {
                target = SocketAddr::new(ip(ALICE), target.port() - 1_000);
            } else {
                // Nothing comes in to an address that only the inside knows.
                return;
            }
        }
        let to = usize::from(target.ip() == ip(BOB));
        let shake = self.rng.below(self.shake.as_micros() as u64 + 1);
        let at = self.now + self.delay + Duration::from_micros(shake);
        self.count += 1;
        self.flying
            .push((at, self.count, to, Flow::udp(target, source), contents));
    }

    fn deliver(&mut self) {
        self.flying.sort_by_key(|(at, count, ..)| (*at, *count));
        let due = self.flying.partition_point(|(at, ..)| *at <= self.now);
        for (_, _, to, flow, contents) in self.flying.drain(..due) {
            self.engines[to].handle_receive(self.now, Receive::Datagram { flow, contents });
        }
    }
}

/// An offer of the first and the answer of the second.
pub(crate) fn negotiate([offerer, answerer]: &mut [Negotiation; 2]) -> [NegotiatedMedia; 2] {
    let offer = offerer.offer().unwrap();
    let (answer, theirs) = answerer.answer(offer).unwrap();
    let ours = offerer.apply_answer(answer).unwrap();
    [ours.unwrap(), theirs.unwrap()]
}

/// All that came through a tap.
pub(crate) fn all(heard: &Receiver<Vec<i16>>) -> Vec<i16> {
    heard.try_iter().flatten().collect()
}

/// How much of a frequency there is (Goertzel).
pub(crate) fn power(samples: &[i16], hz: f64, rate: f64) -> f64 {
    let factor = 2.0 * (std::f64::consts::TAU * hz / rate).cos();
    let (mut before, mut last) = (0.0, 0.0);
    for sample in samples {
        let next = f64::from(*sample) + factor * last - before;
        (before, last) = (last, next);
    }
    before * before + last * last - factor * before * last
}

/// Which frequency there is most of, in the last second.
pub(crate) fn dominant(samples: &[i16]) -> f64 {
    let samples = &samples[samples.len().saturating_sub(8_000)..];
    (100..3_900)
        .step_by(2)
        .map(f64::from)
        .max_by(|one, other| {
            power(samples, *one, 8_000.0).total_cmp(&power(samples, *other, 8_000.0))
        })
        .unwrap()
}

/// Whether a tone is what is heard, within 2 %.
pub(crate) fn sounds_like(samples: &[i16], hz: f64) -> bool {
    let loud = samples
        .iter()
        .filter(|sample| sample.unsigned_abs() > 1_000);
    let found = dominant(samples);
    loud.count() > samples.len() / 4 && (found - hz).abs() <= hz * 0.02
}
