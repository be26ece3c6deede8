//! Ports, time and strangers.

mod harness;

use bytes::Bytes;
use harness::*;
use rtp::Packet;
use sip_io::{Flow, Receive, Rng, StateMachine, Transmit};
use sip_media::{
    AudioPreferences, Event, Gone, Latch, Negotiation, OpenError, SessionConfig, StartError, Tone,
};
use std::{net::SocketAddr, time::Duration};

#[test]
fn ports_are_even_and_odd_and_others_are_tried_when_some_are_taken() {
    let mut net = Net::with(|config| config.ports(4_000..4_020).attempts(10));
    net.busy.extend(4_000..4_016);
    net.busy.remove(&4_005);
    net.busy.remove(&4_008);
    let (_, local) = net.open(ALICE);
    assert!([4_016, 4_018].contains(&local.port()), "{local}");
    // What was bound of a pair of which the other was taken has been given back.
    let (other, _) = net.open(ALICE);
    assert_eq!(net.engines[ALICE].len(), 2);
    net.busy.extend(4_016..4_020);
    net.engines[ALICE].close(net.now, other).unwrap();
    let third = net.engines[ALICE]
        .open(net.now, SessionConfig::new(ip(ALICE)))
        .unwrap();
    net.settle();
    assert_eq!(
        net.events[ALICE].last(),
        Some(&Event::OpenFailed { session: third })
    );
    assert_eq!(net.engines[ALICE].stats(third), Err(Gone));
    assert_eq!(net.engines[ALICE].len(), 1);
}

#[test]
fn sessions_and_ports_have_limits() {
    let mut net = Net::with(|config| config.ports(4_000..4_004).sessions(3));
    net.open(ALICE);
    let (second, _) = net.open(ALICE);
    let config = SessionConfig::new(ip(ALICE));
    assert_eq!(
        net.engines[ALICE].open(net.now, config.clone()),
        Err(OpenError::NoPort)
    );
    net.engines[ALICE].close(net.now, second).unwrap();
    net.open(ALICE);
    let elsewhere = SessionConfig::new([192, 0, 2, 77].into());
    net.engines[ALICE].open(net.now, elsewhere).unwrap();
    assert_eq!(
        net.engines[ALICE].open(net.now, config),
        Err(OpenError::Full(3))
    );
}

#[test]
fn a_session_closed_before_its_ports_are_bound_gives_them_back() {
    let mut net = Net::new();
    let id = net.engines[ALICE]
        .open(net.now, SessionConfig::new(ip(ALICE)))
        .unwrap();
    let engine = &mut net.engines[ALICE];
    assert_eq!(engine.local(id), None);
    engine.close(net.now, id).unwrap();
    let asked: Vec<Transmit> = std::iter::from_fn(|| engine.poll_transmit()).collect();
    let [
        Transmit::Bind { token: first, .. },
        Transmit::Bind { token: second, .. },
        rest @ ..,
    ] = &asked[..]
    else {
        panic!("{asked:?}");
    };
    let released: Vec<_> = rest
        .iter()
        .map(|transmit| match transmit {
            Transmit::Release { token } => *token,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(released, [*first, *second]);
    let result = Ok(SocketAddr::new(ip(ALICE), 4_000));
    engine.handle_receive(
        net.now,
        Receive::Bound {
            token: *first,
            result,
        },
    );
    assert!(engine.poll_event().is_none() && engine.poll_transmit().is_none());
    assert!(engine.is_empty() && engine.poll_timeout().is_none());
}

#[test]
fn commands_to_sessions_that_are_closed_or_not_open_say_so() {
    let mut net = Net::new();
    let (ids, mut negotiations) = {
        let preferences = AudioPreferences::default();
        net.call_with([&preferences, &preferences])
    };
    let [agreed, _] = negotiate(&mut negotiations);
    let now = net.now;
    let engine = &mut net.engines[ALICE];
    engine.close(now, ids[ALICE]).unwrap();
    let unopened = engine.open(now, SessionConfig::new(ip(ALICE))).unwrap();
    // The place in the table is the same.
    assert_eq!(
        engine.start(now, unopened, &agreed),
        Err(StartError::NotOpen)
    );
    assert_eq!(
        engine.start(now, ids[ALICE], &agreed),
        Err(StartError::Gone)
    );
    assert_eq!(engine.close(now, ids[ALICE]).unwrap_err(), Gone);
    assert_eq!(engine.echo(now, ids[ALICE], true), Err(Gone));
    assert!(
        engine
            .play(now, ids[ALICE], Box::new(Tone::new(1.0, 1.0)))
            .is_err()
    );
}

#[test]
fn what_is_left_after_all_sessions_are_closed_is_nothing() {
    let mut net = Net::new();
    let calls: Vec<_> = (0..50).map(|_| net.call()).collect();
    net.run(Duration::from_secs(1));
    assert_eq!(net.events[BOB].len(), 50);
    for [alice, bob] in calls {
        assert_eq!(
            net.engines[ALICE].stats(alice).unwrap().packets_received(),
            50
        );
        net.engines[ALICE].close(net.now, alice).unwrap();
        net.engines[BOB].close(net.now, bob).unwrap();
    }
    net.settle();
    // Goodbyes were said (RFC 3550 §6.6) and come to closed ports.
    assert!(net.reports.iter().all(|reports| *reports >= 50));
    net.run(Duration::from_secs(60));
    for engine in &net.engines {
        assert!(engine.is_empty());
        assert_eq!(engine.poll_timeout(), None);
    }
    assert_eq!(net.released, 200);
}

#[test]
fn a_late_wake_up_is_made_good_up_to_a_limit() {
    let mut net = Net::new();
    let [alice, _] = net.call();
    net.run(ms(100));
    let count = |net: &Net| {
        net.sent
            .iter()
            .filter(|(_, side, _)| *side == ALICE)
            .count()
    };
    assert_eq!(count(&net), 6);
    for (late, packets) in [(70, 3), (5_000, 5)] {
        let before = count(&net);
        net.now += ms(late);
        net.engines[ALICE].handle_timeout(net.now);
        net.settle();
        assert_eq!(count(&net) - before, packets);
    }
    // The beat is the old one, and the timestamps have not lost time.
    net.run(ms(100));
    let alices: Vec<_> = net
        .sent
        .iter()
        .filter(|(_, side, _)| *side == ALICE)
        .collect();
    let (first, last) = (alices[0], alices[alices.len() - 1]);
    assert_eq!(last.0.as_millis() % 20, 0);
    let ticks = last.2.timestamp.wrapping_sub(first.2.timestamp);
    assert_eq!(u128::from(ticks), (last.0 - first.0).as_millis() * 8);
    assert!(alices[14].2.marker && !alices[13].2.marker);
    assert_eq!(
        net.engines[ALICE].stats(alice).unwrap().packets_sent(),
        alices.len() as u64
    );
}

/// RFC 4961: a peer that names an address behind a NAT is found where its media come from.
#[test]
fn a_peer_behind_a_nat_is_found_where_its_media_come_from() {
    for (latch, inside, heard) in [
        (Latch::Private, "192.168.1.2", true),
        (Latch::Private, "100.64.0.1", true),
        (Latch::Private, "198.51.100.7", false),
        (Latch::Never, "192.168.1.2", false),
        (Latch::Always, "198.51.100.7", true),
    ] {
        let mut net = Net::with(|config| config.latch(latch));
        net.nat = Some([203, 0, 113, 9].into());
        let (alice, alices) = net.open(ALICE);
        let (bob, bobs) = net.open(BOB);
        let named = SocketAddr::new(inside.parse().unwrap(), alices.port());
        let preferences = AudioPreferences::default();
        let mut negotiations = [
            Negotiation::new(1, named, &preferences),
            Negotiation::new(2, bobs, &preferences),
        ];
        net.renegotiate([alice, bob], &mut negotiations);
        net.run(Duration::from_secs(1));
        let stats = net.engines[ALICE].stats(alice).unwrap();
        assert_eq!(stats.packets_received() > 40, heard, "{latch:?} {inside}");
        // Offering the same again keeps what was found.
        net.renegotiate([alice, bob], &mut negotiations);
        net.run(Duration::from_secs(1));
        let after = net.engines[ALICE].stats(alice).unwrap();
        assert_eq!(after.packets_received() > 80, heard);
    }
}

/// A name cannot be sent to, but who sends can be answered.
#[test]
fn a_peer_that_names_a_host_is_answered_where_its_media_come_from() {
    let mut net = Net::new();
    let (alice, alices) = net.open(ALICE);
    let (bob, bobs) = net.open(BOB);
    let preferences = AudioPreferences::default();
    let mut caller = Negotiation::new(1, alices, &preferences);
    let mut callee = Negotiation::new(2, bobs, &preferences);
    let offer = String::from_utf8(caller.offer().unwrap().to_vec()).unwrap();
    let named = offer.replace("c=IN IP4 192.0.2.1", "c=IN IP4 phone.example.com");
    assert_ne!(named, offer);
    let (answer, theirs) = callee.answer(named).unwrap();
    let theirs = theirs.unwrap();
    assert_eq!(
        (theirs.remote(), theirs.remote_host()),
        (None, "phone.example.com")
    );
    net.engines[BOB].start(net.now, bob, &theirs).unwrap();
    net.run(ms(200));
    assert!(net.sent.is_empty());
    let ours = caller.apply_answer(answer).unwrap().unwrap();
    net.engines[ALICE].start(net.now, alice, &ours).unwrap();
    net.run(Duration::from_secs(1));
    let stats = net.engines[ALICE].stats(alice).unwrap();
    assert!(stats.packets_received() > 40);
}

#[test]
fn a_suspended_session_is_still_until_it_is_started_again() {
    let mut net = Net::new();
    let preferences = AudioPreferences::default();
    let (ids, mut negotiations) = net.call_with([&preferences, &preferences]);
    let source = Box::new(Tone::new(440.0, 0.5).lasting(ms(300)));
    net.engines[ALICE]
        .play(net.now, ids[ALICE], source)
        .unwrap();
    net.run(ms(100));
    net.engines[ALICE].suspend(net.now, ids[ALICE]).unwrap();
    net.engines[BOB].suspend(net.now, ids[BOB]).unwrap();
    net.run(ms(100));
    let before = net.sent.len();
    net.run(Duration::from_secs(20));
    assert_eq!(net.sent.len(), before);
    assert_eq!(net.reports, [0, 0]);
    assert_eq!(net.engines[ALICE].poll_timeout(), None);
    net.renegotiate(ids, &mut negotiations);
    // The source has waited.
    let done = |event: &Event| {
        matches!(
            event,
            Event::PlaybackDone {
                completed: true,
                ..
            }
        )
    };
    net.run(ms(150));
    assert!(!net.events[ALICE].iter().any(done));
    net.run(ms(100));
    assert!(net.events[ALICE].iter().any(done));
}

#[test]
fn a_stranger_can_not_draw_media_to_itself() {
    let mut net = Net::with(|config| config.latch(Latch::Always));
    let [_, bob] = net.call();
    net.run(Duration::from_secs(1));
    let stranger = SocketAddr::from(([198, 51, 100, 66], 6_666));
    let bobs = net.engines[BOB].local(bob).unwrap();
    let flow = Flow::udp(bobs, stranger);
    for number in 0..10 {
        let packet = Packet::new(
            0,
            number,
            u32::from(number) * 160,
            99,
            Bytes::from_static(&[0; 160]),
        );
        net.engines[BOB].handle_receive(
            net.now,
            Receive::Datagram {
                flow,
                contents: packet.to_bytes(),
            },
        );
    }
    net.engines[BOB].handle_timeout(net.now + ms(20));
    while let Some(transmit) = net.engines[BOB].poll_transmit() {
        assert!(matches!(transmit, Transmit::Datagram { flow, .. } if flow.remote() != stranger));
    }
}

#[test]
fn nothing_that_comes_in_panics_or_grows() {
    let mut net = Net::new();
    let [alice, bob] = net.call();
    let _heard = net.listen(BOB, bob);
    net.engines[BOB].echo(net.now, bob, true).unwrap();
    net.run(ms(200));
    let mut rng = Rng::new([9; 32]);
    let bobs = net.engines[BOB].local(bob).unwrap();
    let alices = net.engines[ALICE].local(alice).unwrap();
    let genuine = net.sent[0].2.to_bytes();
    for round in 0..20_000_u64 {
        let mut wire = if rng.below(2) == 0 {
            let mut wire = vec![0; rng.below(300) as usize];
            rng.fill(&mut wire);
            wire
        } else {
            genuine.to_vec()
        };
        for _ in 0..rng.below(6) {
            let length = wire.len() as u64;
            if let Some(byte) = wire.get_mut(rng.below(length) as usize) {
                *byte = rng.next_u32() as u8;
            }
        }
        if let Some(first) = wire.first_mut().filter(|_| rng.below(4) != 0) {
            *first = 0x80;
        }
        let port = bobs.port() + (round % 2) as u16;
        let flow = Flow::udp(SocketAddr::new(bobs.ip(), port), alices);
        net.engines[BOB].handle_receive(
            net.now,
            Receive::Datagram {
                flow,
                contents: wire.into(),
            },
        );
        if round % 100 == 0 {
            net.run(ms(20));
        }
    }
    net.run(Duration::from_secs(1));
    let stats = net.engines[BOB].stats(bob).unwrap();
    assert!(stats.unexpected() > 1_000);
    assert!((1.0..=4.5).contains(&stats.mos()));
    // The call is still there.
    net.engines[BOB].echo(net.now, bob, false).unwrap();
    let before = net.engines[ALICE].stats(alice).unwrap().packets_received();
    net.run(Duration::from_secs(1));
    assert!(net.engines[ALICE].stats(alice).unwrap().packets_received() > before + 40);
}

#[test]
fn media_that_nobody_takes_are_lost_and_memory_is_not() {
    let mut net = Net::new();
    let [_, bob] = net.call();
    net.engines[BOB].echo(net.now, bob, true).unwrap();
    net.run(ms(100));
    let bobs = net.engines[BOB].local(bob).unwrap();
    let flow = Flow::udp(bobs, SocketAddr::new(ip(ALICE), 9));
    for number in 0..70_000_u32 {
        let packet = Packet::new(0, number as u16, number * 160, 7, Bytes::from_static(b"x"));
        net.engines[BOB].handle_receive(
            net.now,
            Receive::Datagram {
                flow,
                contents: packet.to_bytes(),
            },
        );
    }
    let queued = std::iter::from_fn(|| net.engines[BOB].poll_transmit()).count();
    assert_eq!(queued, 65_536);
}

/// The laws of `sip_io::StateMachine`: calls that are early, late or repeated are harmless.
#[test]
fn any_order_of_calls_is_legal() {
    let mut rng = Rng::new([5; 32]);
    let mut net = Net::new();
    let [alice, bob] = net.call();
    net.engines[ALICE].send_dtmf(net.now, alice, "12").unwrap();
    for _ in 0..2_000 {
        let engine = &mut net.engines[rng.below(2) as usize];
        match rng.below(4) {
            0 => engine.handle_timeout(net.now),
            1 => {
                if let Some(at) = engine.poll_timeout() {
                    engine.handle_timeout(at);
                    assert!(engine.poll_timeout().is_none_or(|later| later > at));
                    net.now = net.now.max(at);
                }
            }
            2 => net.now += Duration::from_micros(rng.below(10_000)),
            _ => net.settle(),
        }
    }
    net.run(Duration::from_secs(2));
    assert_eq!(net.keys(BOB), "12");
    assert!(net.engines[BOB].stats(bob).unwrap().packets_received() > 50);
}
