//! Whatever two user agents do on a bad line, events keep their order and nothing is left.

#![allow(clippy::unwrap_used)] // a test fails by a panic

mod harness;

use std::{collections::BTreeMap, time::Duration};

use harness::*;
use sip_io::Rng;
use sip_message::{Method, StatusCode};
use sip_ua::{CallId, CallOptions, Event, Identity, Offer, RequestOptions};

/// What the events of one call have told so far.
#[derive(Debug, Default)]
struct Story {
    incoming: bool,
    answered: bool,
    established: bool,
    ended: bool,
    reoffers: usize,
}

impl Story {
    /// The order that [`Event`] promises.
    fn tell(&mut self, event: &Event) {
        assert!(!self.ended, "nothing comes after the end: {event:?}");
        match event {
            Event::IncomingCall { .. } => {
                assert!(!self.incoming, "a call comes in once");
                self.incoming = true;
            }
            Event::Progress { .. } | Event::EarlyEnded { .. } => {
                assert!(
                    !self.incoming && !self.answered,
                    "progress comes before the answer: {event:?}"
                );
            }
            Event::SessionReady { early, .. } => {
                assert!(
                    !early || !self.answered && !self.established,
                    "early is before the answer"
                );
            }
            Event::Answered { .. } => {
                assert!(!self.answered && !self.incoming);
                self.answered = true;
            }
            Event::Established { .. } => {
                assert!(!self.established, "a call is established once");
                assert!(self.answered || self.incoming);
                self.established = true;
            }
            Event::ReofferDone { result, .. } => {
                assert!(self.established, "re-INVITEs need an established call");
                self.reoffers += usize::from(result.is_ok());
            }
            Event::Ended { ended, .. } => {
                assert_eq!(ended.duration.is_some(), self.established, "{ended:?}");
                self.ended = true;
            }
            _ => {}
        }
    }
}

fn call_of(event: &Event) -> Option<CallId> {
    match event {
        Event::IncomingCall { call, .. }
        | Event::SessionNeeded { call, .. }
        | Event::SessionReady { call, .. }
        | Event::Progress { call, .. }
        | Event::EarlyEnded { call, .. }
        | Event::Answered { call, .. }
        | Event::Established { call }
        | Event::ReofferDone { call, .. }
        | Event::Ended { call, .. } => Some(*call),
        _ => None,
    }
}

struct Play {
    net: Net,
    rng: Rng,
    stories: [BTreeMap<CallId, Story>; 2],
}

impl Play {
    fn new(seed: u8, loss: f64) -> Self {
        let mut net = Net::new(seed).unreliable(loss, loss);
        net.agent("alice");
        net.agent("bob");
        Self {
            net,
            rng: Rng::new([seed; 32]),
            stories: Default::default(),
        }
    }

    fn listen(&mut self) {
        for host in [ALICE, BOB] {
            for event in self.net.events(host) {
                if let Some(call) = call_of(&event) {
                    self.stories[host].entry(call).or_default().tell(&event);
                }
            }
        }
    }

    fn some_call(&mut self, host: usize) -> Option<CallId> {
        let living: Vec<_> = self.stories[host]
            .iter()
            .filter(|(_, story)| !story.ended)
            .map(|(call, _)| *call)
            .collect();
        if living.is_empty() {
            None
        } else {
            Some(living[self.rng.below(living.len() as u64) as usize])
        }
    }

    /// One thing that a user may do, at whatever time.
    fn act(&mut self) {
        let host = self.rng.below(2) as usize;
        let verb = self.rng.below(12);
        let (me, peer) = if host == ALICE {
            (alice(), bob())
        } else {
            (Identity::new(bob()), uri("sip:alice@192.0.2.1"))
        };
        if verb == 0 {
            let offer = if self.rng.below(4) == 0 {
                Offer::Late
            } else {
                Offer::Ask
            };
            self.net
                .ua(host, |ua, cx| {
                    ua.call(cx, &me, peer, CallOptions::new().offer(offer))
                })
                .unwrap();
            return;
        }
        let Some(call) = self.some_call(host) else {
            return;
        };
        self.net.ua(host, |ua, cx| match verb {
            1 | 2 => drop(ua.ring(cx, call)),
            3 => drop(ua.progress(cx, call, StatusCode::SESSION_PROGRESS)),
            4..=6 => drop(ua.answer(cx, call, StatusCode::OK, Vec::new())),
            7 => drop(ua.reject(cx, call, StatusCode::BUSY_HERE, Vec::new())),
            8 => drop(ua.hang_up(cx, call)),
            9 | 10 => drop(ua.reoffer(cx, call, offer())),
            _ => drop(ua.request_within(cx, call, Method::OPTIONS, RequestOptions::new())),
        });
    }

    /// Ends everything and says how many calls were established and how many offers changed them.
    fn end(mut self) -> (usize, usize) {
        for host in [ALICE, BOB] {
            while let Some(call) = self.some_call(host) {
                self.net.ua(host, |ua, cx| ua.hang_up(cx, call)).ok();
                let mut patience = 0;
                while !self.stories[host][&call].ended {
                    patience += 1;
                    assert!(patience < 200, "a call does not end\n{}", self.net.show());
                    self.net.run_for(Duration::from_secs(1));
                    self.listen();
                }
            }
        }
        self.net.assert_nothing_is_left();
        self.listen();
        let stories = || self.stories.iter().flat_map(BTreeMap::values);
        assert!(stories().all(|story| story.ended), "every call ends");
        (
            stories().filter(|story| story.established).count(),
            stories().map(|story| story.reoffers).sum(),
        )
    }
}

fn play(seed: u8, loss: f64) -> (usize, usize) {
    let mut play = Play::new(seed, loss);
    for _ in 0..80 {
        play.act();
        let pause = play.rng.below(1_500);
        play.net.run_for(Duration::from_millis(pause));
        play.listen();
    }
    play.end()
}

fn play_all(seeds: std::ops::Range<u8>, loss: f64) {
    let (mut established, mut changed) = (0, 0);
    for seed in seeds {
        let (calls, offers) = play(seed, loss);
        established += calls;
        changed += offers;
    }
    assert!(
        established > 200 && changed > 100,
        "only {established} calls and {changed} changes"
    );
}

#[test]
fn on_a_good_line_events_keep_their_order_and_nothing_is_left() {
    play_all(0..100, 0.0);
}

#[test]
fn on_a_bad_line_events_keep_their_order_and_nothing_is_left() {
    play_all(100..200, 0.2);
}
