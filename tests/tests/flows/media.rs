//! Calls with sound, both ways, in virtual time.

use crate::network::{BOB, Net};
use futures_util::{StreamExt, future::join};
use sipwright::{
    CallEvent, Ended,
    media::{AudioSink, DtmfError, Tone},
    proxy::Foreign,
};
use std::{
    f64::consts::TAU,
    sync::{Arc, Mutex},
    time::Duration,
};

/// What each side plays is what the other hears; media go straight from one to the other, past both proxies.
#[test]
fn both_hear_the_tone_of_the_other() {
    let net = Net::new(1);
    let (caller, callee) = talk(&net);
    for (ended, heard, tone) in
        [&caller, &callee].map(|side| (&side.ended, &side.heard, side.hears))
    {
        let stats = ended.stats().expect("the media were ours");
        assert_eq!((stats.codec(), stats.lost()), ("PCMU", 0));
        assert!(
            (145..=155).contains(&stats.packets_sent()),
            "{} packets in 3 s",
            stats.packets_sent()
        );
        assert!(
            (145..=155).contains(&stats.packets_received()),
            "{} packets in 3 s",
            stats.packets_received()
        );
        assert!(
            power(heard, tone) > 0.9,
            "{tone} Hz has {} of what was heard",
            power(heard, tone)
        );
    }
}

/// A fifth of all packets is lost, and the tone is still what is heard most.
#[test]
fn a_tone_is_heard_on_a_bad_line() {
    let net = Net::new(2);
    net.sim.link("alice", "bob").loss(0.2).reorder(0.1);
    let (caller, callee) = talk(&net);
    for (ended, heard, tone) in
        [&caller, &callee].map(|side| (&side.ended, &side.heard, side.hears))
    {
        let stats = ended.stats().expect("the media were ours");
        assert!(
            (15..=50).contains(&stats.lost()),
            "{} of 150 lost",
            stats.lost()
        );
        assert!(
            power(heard, tone) > 0.5,
            "{tone} Hz has {} of what was heard",
            power(heard, tone)
        );
    }
}

/// `dtmf` resolves when the last key was sent, also when that is none, and the peer is told each of them in order.
#[test]
fn the_keys_of_one_are_heard_by_the_other() {
    let net = Net::new(3);
    let _witness = net.witness(1);
    net.sim.run(async {
        let _servers = net.proxies(|server| server.foreign(Foreign::Anyone)).await;
        let alice = net.alice_of_atlanta().await;
        let bob = net.phone("bob").await;
        let pressed = async {
            let call = alice.call(BOB).await.unwrap();
            let (first, second) = join(call.dtmf("12*"), call.dtmf("3#A")).await;
            assert_eq!(
                (first, second, call.dtmf("").await),
                (Ok(()), Ok(()), Ok(()))
            );
            assert_eq!(call.dtmf("4x").await, Err(DtmfError::NotAKey('x')));
            call.hang_up().await;
            assert_eq!(call.dtmf("5").await, Err(DtmfError::Gone));
        };
        let heard = async {
            let call = bob.incoming().await.unwrap().answer().await.unwrap();
            let keys = call.events().filter_map(async |event| match event {
                CallEvent::Dtmf(key) => Some(key),
                _ => None,
            });
            keys.collect::<String>().await
        };
        let ((), heard) = join(pressed, heard).await;
        assert_eq!(heard, "12*3#A");
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    net.sim.run(net.assert_nothing_is_left());
}

/// UA-041: RFC 3261 §15.1.1: neither sent nor heard is anything once the BYE is out, though it takes 32 s to learn that
/// nobody answers it.
#[test]
fn media_end_with_the_bye_whether_it_arrives_or_not() {
    let net = Net::new(3);
    let _witness = net.witness(1);
    let (ended, heard) = net.sim.run(async {
        let (alice, bob) = net.alice_and_bob().await;
        let called = async {
            let call = alice.call("sip:bob@bob").await.unwrap();
            let ear = Ear::default();
            call.record(ear.clone()).await.unwrap();
            net.sim.sleep(Duration::from_secs(1)).await;
            net.sim.one_way("alice", "bob").up(false);
            let ended = call.hang_up().await;
            net.sim.one_way("alice", "bob").up(true);
            (ended, ear.heard())
        };
        let answered = async {
            let call = bob.incoming().await.unwrap().answer().await.unwrap();
            let tone = Tone::new(660.0, 0.5);
            call.play(tone.lasting(Duration::from_secs(40))).await.ok();
            call.hang_up().await;
        };
        join(called, answered).await.0
    });
    let seconds = heard.len() as f64 / 8_000.0;
    assert!((0.5..1.5).contains(&seconds), "{seconds} s were heard");
    let stats = ended.stats().expect("the media were ours");
    assert!(
        (30..80).contains(&stats.packets_sent()) && (30..80).contains(&stats.packets_received()),
        "{} sent, {} received",
        stats.packets_sent(),
        stats.packets_received()
    );
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
}

struct Side {
    ended: Ended,
    heard: Vec<i16>,
    hears: f64,
}

/// Alice calls Bob through both proxies, and each plays a tone for three seconds.
fn talk(net: &Net) -> (Side, Side) {
    let _witness = net.witness(1);
    let sides = net.sim.run(async {
        let _servers = net.proxies(|server| server.foreign(Foreign::Anyone)).await;
        let alice = net.alice_of_atlanta().await;
        let bob = net.phone("bob").await;
        let called = async {
            let call = alice.call(BOB).await.unwrap();
            let ear = Ear::default();
            call.record(ear.clone()).await.unwrap();
            call.play(Tone::new(440.0, 0.5).lasting(TALK))
                .await
                .unwrap();
            Side {
                ended: call.hang_up().await,
                heard: ear.heard(),
                hears: 660.0,
            }
        };
        let answered = async {
            let call = bob.incoming().await.unwrap().answer().await.unwrap();
            let ear = Ear::default();
            call.record(ear.clone()).await.unwrap();
            // Alice may hang up before the last of it has left.
            call.play(Tone::new(660.0, 0.5).lasting(TALK)).await.ok();
            Side {
                ended: call.ended().await,
                heard: ear.heard(),
                hears: 440.0,
            }
        };
        join(called, answered).await
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    net.sim.run(net.assert_nothing_is_left());
    sides
}

/// Keeps what it hears.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<i16>>>);

impl Ear {
    fn heard(&self) -> Vec<i16> {
        self.0.lock().expect("nobody panics with it").clone()
    }
}

impl AudioSink for Ear {
    fn write(&mut self, samples: &[i16]) {
        self.0
            .lock()
            .expect("nobody panics with it")
            .extend_from_slice(samples);
    }
}

/// The share of one frequency in the power of a recording, by the algorithm of Goertzel.
fn power(samples: &[i16], hz: f64) -> f64 {
    let coefficient = 2.0 * (TAU * hz / 8_000.0).cos();
    // In pieces, so that a packet that is missing does not turn the phase against itself.
    let of_pieces = samples.chunks_exact(400).map(|piece| {
        let (mut one, mut two) = (0.0, 0.0);
        for &sample in piece {
            (one, two) = (f64::from(sample) + coefficient * one - two, one);
        }
        let of_tone = (one * one + two * two - coefficient * one * two) * 2.0 / piece.len() as f64;
        (
            of_tone,
            piece
                .iter()
                .map(|&sample| f64::from(sample).powi(2))
                .sum::<f64>(),
        )
    });
    let (of_tone, of_all) =
        of_pieces.fold((0.0, 0.0), |sum, piece| (sum.0 + piece.0, sum.1 + piece.1));
    of_tone / of_all
}

const TALK: Duration = Duration::from_secs(3);
