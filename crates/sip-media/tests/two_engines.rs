//! Two engines call each other.

mod harness;

use harness::*;
use sdp::AnswerCodecs;
use sip_media::{
    AudioPreferences, Codec, Direction, DtmfError, Event, Gone, Negotiation, Samples, Tone,
};
use std::time::Duration;

#[test]
fn tones_are_heard_both_ways() {
    let mut net = Net::new();
    let [alice, bob] = net.call();
    let hears = [net.listen(ALICE, alice), net.listen(BOB, bob)];
    let now = net.now;
    net.engines[ALICE]
        .play(now, alice, Box::new(Tone::new(440.0, 0.5)))
        .unwrap();
    net.engines[BOB]
        .play(now, bob, Box::new(Tone::new(1_000.0, 0.5)))
        .unwrap();
    net.run(Duration::from_secs(3));
    for (side, hz) in [(ALICE, 1_000.0), (BOB, 440.0)] {
        let heard = all(&hears[side]);
        assert_eq!(heard.len(), 151 * 160);
        assert!(
            sounds_like(&heard[8_000..], hz),
            "{}",
            dominant(&heard[8_000..])
        );
    }
    for (side, id) in [(ALICE, alice), (BOB, bob)] {
        let stats = net.engines[side].close(net.now, id).unwrap();
        assert_eq!(stats.codec(), "PCMU");
        assert_eq!((stats.packets_sent(), stats.bytes_sent()), (151, 151 * 160));
        assert_eq!((stats.packets_received(), stats.lost()), (150, 0));
        assert_eq!(
            (stats.late(), stats.concealed(), stats.unexpected()),
            (0, 0, 0)
        );
        assert_eq!(stats.jitter(), Duration::ZERO);
        assert!(stats.mos() > 4.2, "{}", stats.mos());
    }
    net.settle();
    assert_eq!(net.released, 4);
}

/// RFC 3550 §5.1 and RFC 3551 §4.1: what leaves is one stream, 20 ms apart, the marker where sound begins.
#[test]
fn packets_leave_every_twenty_milliseconds_without_drift() {
    let mut net = Net::new();
    let [alice, _] = net.call();
    let now = net.now;
    net.engines[ALICE]
        .play(now, alice, Box::new(Tone::new(440.0, 0.5)))
        .unwrap();
    net.run(Duration::from_secs(60));
    let alices: Vec<_> = net
        .sent
        .iter()
        .filter(|(_, side, _)| *side == ALICE)
        .collect();
    assert_eq!(alices.len(), 3_001);
    let (_, _, first) = alices[0];
    for (index, (at, _, packet)) in alices.iter().enumerate() {
        assert_eq!(*at, ms(20) * index as u32);
        assert_eq!(packet.sequence, first.sequence.wrapping_add(index as u16));
        assert_eq!(
            packet.timestamp,
            first.timestamp.wrapping_add(index as u32 * 160)
        );
        assert_eq!(packet.marker, index == 0);
        assert_eq!((packet.payload_type, packet.payload.len()), (0, 160));
    }
    // RFC 3550 §6.2: a report every five seconds or so.
    assert!(
        (8..=20).contains(&net.reports[ALICE]),
        "{}",
        net.reports[ALICE]
    );
}

#[test]
fn loss_and_jitter_are_measured_and_the_tone_is_still_heard() {
    let mut net = Net::new();
    net.loss = 10;
    net.shake = ms(50);
    let [alice, bob] = net.call();
    let hears = [net.listen(ALICE, alice), net.listen(BOB, bob)];
    let now = net.now;
    net.engines[ALICE]
        .play(now, alice, Box::new(Tone::new(440.0, 0.5)))
        .unwrap();
    net.engines[BOB]
        .play(now, bob, Box::new(Tone::new(1_500.0, 0.5)))
        .unwrap();
    net.run(Duration::from_secs(20));
    for (side, id, hz) in [(ALICE, alice, 1_500.0), (BOB, bob, 440.0)] {
        let heard = all(&hears[side]);
        assert_eq!(heard.len(), 1_001 * 160);
        assert!(
            sounds_like(&heard[8_000..], hz),
            "{}",
            dominant(&heard[8_000..])
        );
        let stats = net.engines[side].stats(id).unwrap();
        let missing = net.dropped[1 - side];
        // The last of them may not be missed yet.
        assert!(stats.lost() <= missing && stats.lost() + 4 >= missing);
        assert!((60..140).contains(&missing), "{missing}");
        assert!(
            stats.jitter() > ms(5) && stats.jitter() < ms(40),
            "{:?}",
            stats.jitter()
        );
        assert!(stats.concealed() > 50);
        // The delay has grown until late packets are rare.
        assert!(stats.late() < 20, "{}", stats.late());
        assert!((1.0..4.0).contains(&stats.mos()), "{}", stats.mos());
        let other = net.engines[1 - side].stats([bob, alice][side]).unwrap();
        assert!(other.remote_lost().unwrap() > 20);
        let round_trip = other.round_trip().unwrap();
        assert!((ms(38)..ms(145)).contains(&round_trip), "{round_trip:?}");
    }
}

#[test]
fn keys_are_heard_once_each_although_packets_are_lost() {
    let mut net = Net::new();
    net.loss = 20;
    let [alice, bob] = net.call();
    net.engines[ALICE]
        .send_dtmf(net.now, alice, "123*#0AB")
        .unwrap();
    net.engines[BOB].send_dtmf(net.now, bob, "77").unwrap();
    net.run(Duration::from_secs(4));
    assert_eq!(net.keys(BOB), "123*#0AB");
    assert_eq!(net.keys(ALICE), "77");
    let sent = |event: &&Event| matches!(event, Event::DtmfSent { .. });
    assert_eq!(net.events[ALICE].iter().filter(sent).count(), 1);

    // RFC 4733 §2.5.1: one timestamp for a press, the marker on its first packet, three ends.
    let first: Vec<_> = net
        .sent
        .iter()
        .filter(|(_, side, packet)| *side == ALICE && packet.payload_type == 101)
        .take(7)
        .collect();
    let timestamps: Vec<u32> = first
        .iter()
        .map(|(_, _, packet)| packet.timestamp)
        .collect();
    assert!(
        timestamps
            .iter()
            .all(|timestamp| *timestamp == timestamps[0])
    );
    let ends: Vec<bool> = first
        .iter()
        .map(|(_, _, packet)| packet.payload[1] & 0x80 != 0)
        .collect();
    assert_eq!(ends, [false, false, false, false, true, true, true]);
    assert!(first[0].2.marker && first[1..].iter().all(|(_, _, packet)| !packet.marker));
}

#[test]
fn keys_that_cannot_be_sent_are_refused() {
    let mut net = Net::with(|config| config.keys(4));
    let mute = AudioPreferences::default().telephone_event(false);
    let ([alice, _], _) = net.call_with([&AudioPreferences::default(), &mute]);
    let now = net.now;
    let engine = &mut net.engines[ALICE];
    assert_eq!(
        engine.send_dtmf(now, alice, "1"),
        Err(DtmfError::NotNegotiated)
    );
    let [alice, _] = net.call();
    let engine = &mut net.engines[ALICE];
    assert_eq!(
        engine.send_dtmf(now, alice, "1x"),
        Err(DtmfError::NotAKey('x'))
    );
    assert_eq!(
        engine.send_dtmf(now, alice, "12345"),
        Err(DtmfError::Full(4))
    );
    assert_eq!(engine.send_dtmf(now, alice, "1234"), Ok(()));
    assert_eq!(engine.send_dtmf(now, alice, "5"), Err(DtmfError::Full(4)));
}

#[test]
fn no_keys_are_sent_at_once() {
    let mut net = Net::new();
    let [alice, _] = net.call();
    let sent = |event: &&Event| matches!(event, Event::DtmfSent { .. });
    net.engines[ALICE].send_dtmf(net.now, alice, "").unwrap();
    net.run(Duration::ZERO);
    assert_eq!(net.events[ALICE].iter().filter(sent).count(), 1);
    // Behind others they wait for those.
    net.engines[ALICE].send_dtmf(net.now, alice, "1").unwrap();
    net.engines[ALICE].send_dtmf(net.now, alice, "").unwrap();
    net.run(Duration::from_millis(40));
    assert_eq!(net.events[ALICE].iter().filter(sent).count(), 1);
    net.run(Duration::from_secs(1));
    assert_eq!(net.events[ALICE].iter().filter(sent).count(), 2);
}

#[test]
fn an_echo_sends_back_sound_and_keys() {
    let mut net = Net::new();
    let [alice, bob] = net.call();
    net.engines[BOB].echo(net.now, bob, true).unwrap();
    let heard = net.listen(ALICE, alice);
    net.engines[ALICE]
        .play(net.now, alice, Box::new(Tone::new(700.0, 0.5)))
        .unwrap();
    net.run(Duration::from_secs(2));
    net.engines[ALICE].send_dtmf(net.now, alice, "5").unwrap();
    net.run(Duration::from_secs(1));
    let heard = all(&heard);
    assert!(sounds_like(&heard[4_000..16_000], 700.0));
    assert_eq!((net.keys(BOB), net.keys(ALICE)), ("5".into(), "5".into()));
    let stats = net.engines[BOB].stats(bob).unwrap();
    assert_eq!(stats.packets_sent(), stats.packets_received());
    assert_eq!(stats.bytes_sent(), stats.bytes_received());
    // The same distances in time, under another name.
    let of = |side| {
        net.sent
            .iter()
            .filter(move |(_, from, _)| *from == side)
            .map(|(_, _, packet)| packet)
    };
    let (there, back) = (of(ALICE).next().unwrap(), of(BOB).next().unwrap());
    assert_ne!(there.ssrc, back.ssrc);
    for (there, back_again) in of(ALICE).zip(of(BOB)) {
        assert_eq!(
            back_again.timestamp.wrapping_sub(back.timestamp),
            there_since(there_first(&net), there.timestamp)
        );
    }

    fn there_first(net: &Net) -> u32 {
        net.sent[0].2.timestamp
    }

    fn there_since(first: u32, timestamp: u32) -> u32 {
        timestamp.wrapping_sub(first)
    }
}

/// Trap 23: each side sends what the other wants, under the other's number.
#[test]
fn codecs_may_differ_per_direction() {
    let mut net = Net::new();
    let law = |codecs: [Codec; 2]| AudioPreferences::default().codecs(codecs);
    let (ids, _) = net.call_with([
        &law([Codec::PCMA, Codec::PCMU]),
        &law([Codec::PCMU, Codec::PCMA]).answer(AnswerCodecs::First),
    ]);
    let heard = net.listen(BOB, ids[BOB]);
    net.engines[ALICE]
        .play(net.now, ids[ALICE], Box::new(Tone::new(440.0, 0.5)))
        .unwrap();
    net.run(Duration::from_secs(1));
    assert!(sounds_like(&all(&heard)[3_200..], 440.0));
    assert!(
        net.sent
            .iter()
            .all(|(_, _, packet)| packet.payload_type == 8)
    );
    assert_eq!(net.engines[BOB].stats(ids[BOB]).unwrap().codec(), "PCMA");
}

/// SDP-009: RFC 3264 §6.1: whatever was agreed may come at any time; here the codec changes in the middle of the sound.
#[test]
fn a_sender_may_change_to_any_codec_that_was_agreed() {
    let mut net = Net::new();
    let law = |codecs: [Codec; 2]| AudioPreferences::default().codecs(codecs);
    let both = law([Codec::PCMA, Codec::PCMU]);
    let (ids, _) = net.call_with([&both, &both]);
    let heard = net.listen(BOB, ids[BOB]);
    net.engines[ALICE]
        .play(net.now, ids[ALICE], Box::new(Tone::new(440.0, 0.5)))
        .unwrap();
    net.run(Duration::from_secs(1));
    // What Alice would have agreed to, had Bob preferred the other one: Bob knows nothing of it.
    let local = [ALICE, BOB].map(|side| net.engines[side].local(ids[side]).unwrap());
    let [ours, _] = negotiate(&mut [
        Negotiation::new(1, local[ALICE], &law([Codec::PCMU, Codec::PCMA])),
        Negotiation::new(2, local[BOB], &law([Codec::PCMU, Codec::PCMA])),
    ]);
    net.engines[ALICE]
        .start(net.now, ids[ALICE], &ours)
        .unwrap();
    net.run(Duration::from_secs(1));
    let numbers: Vec<u8> = net
        .sent
        .iter()
        .filter(|(_, side, _)| *side == ALICE)
        .map(|(_, _, packet)| packet.payload_type)
        .collect();
    assert!(
        numbers.is_sorted_by(|one, next| one >= next),
        "8 and then 0"
    );
    assert!(numbers.contains(&8) && numbers.contains(&0));
    let heard = all(&heard);
    assert!(sounds_like(&heard[3_200..7_200], 440.0));
    assert!(sounds_like(&heard[9_600..], 440.0));
}

#[test]
fn packets_may_be_of_any_length() {
    for (asks, milliseconds) in [(10, 10), (30, 30), (60, 60), (1, 10), (500, 100)] {
        let mut net = Net::new();
        let (ids, _) = net.call_with([
            &AudioPreferences::default(),
            &AudioPreferences::default().packet_time(asks),
        ]);
        let heard = net.listen(BOB, ids[BOB]);
        net.engines[ALICE]
            .play(net.now, ids[ALICE], Box::new(Tone::new(440.0, 0.5)))
            .unwrap();
        net.run(Duration::from_secs(3));
        let heard = all(&heard);
        assert!(sounds_like(&heard[8_000..], 440.0), "{asks}");
        assert_eq!(net.engines[BOB].stats(ids[BOB]).unwrap().concealed(), 0);
        let (_, _, packet) = net.sent.iter().find(|(_, side, _)| *side == ALICE).unwrap();
        assert_eq!(packet.payload.len(), milliseconds * 8);
    }
}

#[test]
fn holding_stops_sound_and_resuming_goes_on_in_time() {
    let mut net = Net::new();
    let preferences = AudioPreferences::default();
    let (ids, mut negotiations) = net.call_with([&preferences, &preferences]);
    net.engines[ALICE]
        .play(net.now, ids[ALICE], Box::new(Tone::new(440.0, 0.5)))
        .unwrap();
    net.run(Duration::from_secs(1));
    negotiations[BOB].set_direction(Direction::Inactive);
    net.renegotiate(ids, &mut negotiations);
    net.run(ms(100));
    let before = net.sent.len();
    net.run(Duration::from_secs(2));
    assert_eq!(net.sent.len(), before);
    negotiations[BOB].set_direction(Direction::SendRecv);
    net.renegotiate(ids, &mut negotiations);
    net.run(Duration::from_secs(1));
    let alices: Vec<_> = net
        .sent
        .iter()
        .filter(|(_, side, _)| *side == ALICE)
        .collect();
    let resumed = alices
        .iter()
        .skip(1)
        .position(|(_, _, packet)| packet.marker)
        .unwrap()
        + 1;
    let (first, again) = (alices[0], alices[resumed]);
    assert_eq!(
        again.2.sequence,
        alices[resumed - 1].2.sequence.wrapping_add(1)
    );
    let ticks = again.2.timestamp.wrapping_sub(first.2.timestamp);
    let expected = (again.0 - first.0).as_millis() as u32 * 8;
    assert!(ticks.abs_diff(expected) <= 8, "{ticks} {expected}");
    assert_eq!(net.engines[BOB].stats(ids[BOB]).unwrap().lost(), 0);
}

/// A source that ends says so, one that is replaced as well.
#[test]
fn playing_ends_with_an_event() {
    let mut net = Net::new();
    let [alice, bob] = net.call();
    let heard = net.listen(BOB, bob);
    let now = net.now;
    let engine = &mut net.engines[ALICE];
    let first = engine
        .play(now, alice, Box::new(Tone::new(440.0, 0.5)))
        .unwrap();
    let second = engine
        .play(now, alice, Box::new(Samples::new(8_000, [9_000; 400])))
        .unwrap();
    net.run(ms(500));
    let done = |playback, completed| Event::PlaybackDone {
        session: alice,
        playback,
        completed,
    };
    assert_eq!(
        net.events[ALICE][1..],
        [done(first, false), done(second, true)]
    );
    let loud = all(&heard)
        .into_iter()
        .filter(|sample| *sample > 8_000)
        .count();
    assert_eq!(loud, 400);

    let third = net.engines[ALICE]
        .play(net.now, alice, Box::new(Tone::new(440.0, 0.5)))
        .unwrap();
    net.engines[ALICE]
        .stop_playing(alice, Some(second))
        .unwrap();
    net.run(ms(100));
    assert_eq!(net.events[ALICE].len(), 3);
    net.engines[ALICE].stop_playing(alice, Some(third)).unwrap();
    let fourth = net.engines[ALICE]
        .play(net.now, alice, Box::new(Tone::new(440.0, 0.5)))
        .unwrap();
    net.engines[ALICE].close(net.now, alice).unwrap();
    net.settle();
    assert_eq!(
        net.events[ALICE][3..],
        [done(third, false), done(fourth, false)]
    );
    assert_eq!(net.engines[ALICE].stop_playing(alice, None), Err(Gone));
}

#[test]
fn silence_is_sent_or_not_as_configured() {
    for silence in [true, false] {
        let mut net = Net::with(|config| config.silence(silence));
        let [alice, _] = net.call();
        net.run(ms(500));
        net.engines[ALICE]
            .play(
                net.now,
                alice,
                Box::new(Tone::new(440.0, 0.5).lasting(ms(100))),
            )
            .unwrap();
        net.run(ms(500));
        let alices: Vec<_> = net
            .sent
            .iter()
            .filter(|(_, side, _)| *side == ALICE)
            .collect();
        assert_eq!(alices.len(), if silence { 51 } else { 5 });
        assert!(alices[0].2.marker);
        if !silence {
            assert_eq!(alices[0].0, ms(500));
            assert_eq!(net.engines[ALICE].stats(alice).unwrap().packets_sent(), 5);
        }
    }
}
