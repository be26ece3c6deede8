//! Programs that talk: what is said before the answer, and samples in the program's own form.

use crate::network::{BOB, Net};
use futures_util::{StreamExt, future::join};
use sipwright::{
    AnswerError, Gone,
    media::{Pcm, PushError, Tone},
    message::StatusCode,
    proxy::Foreign,
};
use std::time::Duration;

/// What a callee plays before it answers is heard, however often it says 183 or rings again, and the answer keeps the session.
#[test]
fn early_media_are_heard_before_the_answer() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let _servers = net.proxies(|server| server.foreign(Foreign::Anyone)).await;
        let alice = net.alice_of_atlanta().await;
        let bob = net.phone("bob").await;
        let called = async {
            let call = alice.call(BOB).await.unwrap();
            call.ended().await.stats().unwrap().packets_received()
        };
        let answered = async {
            let incoming = bob.incoming().await.unwrap();
            for _ in 0..2 {
                let early = incoming.early_media().await.unwrap();
                let beep = Tone::new(440.0, 0.5).lasting(SECOND);
                early.play(beep).await.unwrap();
                incoming.ring().await.unwrap();
            }
            let call = incoming.answer().await.unwrap();
            call.play(Tone::new(440.0, 0.5).lasting(SECOND))
                .await
                .unwrap();
            call.hang_up().await;
        };
        let (heard, ()) = join(called, answered).await;
        assert!((145..=155).contains(&heard), "{heard} packets in 3 s");
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    net.sim.run(net.assert_nothing_is_left());
}

/// Whoever plays learns that the call ended before the last sample; what gave way to something else is over as well.
#[test]
fn a_playback_ends_with_its_call_or_gives_way_to_the_next() {
    let net = Net::new(4);
    let _witness = net.witness(4);
    net.sim.run(async {
        let (alice, bob) = net.alice_and_bob().await;
        let beep = |seconds| Tone::new(440.0, 0.5).lasting(SECOND * seconds);
        let cancelled = async {
            let calling = alice.call("sip:bob@bob").into_future();
            assert!(net.within(SECOND, calling).await.is_none());
            let call = alice.call("sip:bob@bob").await.unwrap();
            let next = async {
                net.sim.sleep(SECOND).await;
                call.play(beep(10)).await
            };
            let (replaced, ended) = join(call.play(beep(10)), next).await;
            assert_eq!((replaced, ended), (Ok(()), Err(Gone)));
        };
        let answered = async {
            let incoming = bob.incoming().await.unwrap();
            let early = incoming.early_media().await.unwrap();
            assert_eq!(early.play(beep(10)).await, Err(Gone));
            let again = incoming.answer().await.unwrap_err();
            assert_eq!(again, AnswerError::Cancelled);
            let call = bob.incoming().await.unwrap().answer().await.unwrap();
            net.sim.sleep(SECOND * 2).await;
            call.hang_up().await;
        };
        join(cancelled, answered).await;
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    net.sim.run(net.assert_nothing_is_left());
}

/// An offer in a 183 would have to be acknowledged, so there is no early session where the caller leaves it to us.
#[test]
fn without_an_offer_there_are_no_early_media() {
    let net = Net::new(3);
    net.sim.run(async {
        let (alice, bob) = net.alice_and_bob().await;
        let called = async { alice.call("sip:bob@bob").session("").await.unwrap_err() };
        let answered = async {
            let incoming = bob.incoming().await.unwrap();
            let early = incoming.early_media().await;
            assert_eq!(early.unwrap_err(), AnswerError::NoSession);
            incoming.reject(StatusCode::BUSY_HERE).await.unwrap();
        };
        let (refused, ()) = join(called, answered).await;
        assert_eq!(refused.status(), Some(StatusCode::BUSY_HERE));
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    net.sim.run(net.assert_nothing_is_left());
}

/// 16,000 samples a second on one side and 8,000 on the other: what the first says the second hears as speech, up to
/// where it is interrupted.
#[test]
fn a_bot_hears_and_says_samples_in_its_own_form() {
    let net = Net::new(2);
    let _witness = net.witness(2);
    net.sim.run(async {
        let (alice, bob) = net.alice_and_bob().await;
        let called = async {
            let call = alice.call("sip:bob@bob").await.unwrap();
            let (_ear, mouth) = call
                .audio(Pcm::mono(16_000).queue_limit(4 * SECOND))
                .split();
            let words: Vec<i16> = (0..48_000)
                .map(|at| if at % 32 < 16 { 9_000 } else { -9_000 })
                .collect();
            mouth.push(&words).unwrap();
            assert_eq!(mouth.push(&words), Err(PushError::Full { limit: 64_000 }));
            net.sim.sleep(SECOND).await;
            let left = mouth.flush();
            assert!(
                (1_900..2_100).contains(&left.as_millis()),
                "{left:?} were left"
            );
            mouth.played().await.unwrap();
            net.sim.sleep(SECOND).await;
            call.hang_up().await;
            assert_eq!(mouth.push(&words), Err(PushError::Gone));
        };
        let answered = async {
            let call = bob.incoming().await.unwrap().answer().await.unwrap();
            let (ear, _mouth) = call.audio(Pcm::mono(8_000)).split();
            let frames: Vec<_> = ear.collect().await;
            let speech = frames.iter().filter(|frame| frame.is_speech()).count();
            assert!(frames.iter().all(|frame| frame.samples().len() == 160));
            (frames.len(), speech)
        };
        let ((), (frames, speech)) = join(called, answered).await;
        assert!((95..=105).contains(&frames), "{frames} frames in 2 s");
        assert!(
            (48..=53).contains(&speech),
            "{speech} of them with speech in 1 s"
        );
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    net.sim.run(net.assert_nothing_is_left());
}

const SECOND: Duration = Duration::from_secs(1);
