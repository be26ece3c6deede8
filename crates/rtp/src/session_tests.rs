//! Two participants and what they report.

#![allow(
    clippy::disallowed_methods,
    reason = "an instant can only be had from the clock"
)]

use super::*;
use std::time::SystemTime;

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn session(seed: u8, config: SessionConfig, now: Instant) -> Session {
    let clock = WallClock {
        at: now,
        is: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000),
    };
    Session::new(config, Rng::new([seed; 32]), clock, now)
}

fn plain(seed: u8, now: Instant) -> Session {
    session(seed, SessionConfig::new(8_000), now)
}

/// `from` sends packets `numbers` of 20 ms, of which those that `lost` says do not arrive.
fn stream(
    from: &mut Session,
    to: &mut Session,
    start: Instant,
    numbers: std::ops::Range<u32>,
    lost: impl Fn(u32) -> bool,
) -> Vec<Result<Received, Ignored>> {
    let mut results = Vec::new();
    for number in numbers {
        let now = start + Duration::from_millis(20) * number;
        let wire = from.send(now, 0, number == 0, number * 160, &[0xff; 160]);
        if !lost(number) {
            let packet = Packet::parse(wire).unwrap();
            results.push(to.receive(now + Duration::from_millis(10), address(1), &packet));
        }
    }
    results
}

#[test]
fn rfc_3550_5_1_numbers_start_anywhere_and_count_on() {
    let now = Instant::now();
    let mut one = plain(1, now);
    let mut other = plain(2, now);
    let packets: Vec<Packet> = (0..3)
        .map(|n| Packet::parse(one.send(now, 8, false, n * 160, b"x")).unwrap())
        .collect();
    let foreign = Packet::parse(other.send(now, 8, false, 0, b"x")).unwrap();
    assert_ne!(packets[0].ssrc, foreign.ssrc);
    assert_ne!(packets[0].timestamp, foreign.timestamp);
    assert_ne!(packets[0].sequence, foreign.sequence);
    assert!(packets[0].sequence < 0x8000);
    for pair in packets.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert_eq!(pair[1].timestamp, pair[0].timestamp.wrapping_add(160));
        assert_eq!(pair[1].ssrc, pair[0].ssrc);
    }
}

#[test]
fn both_ends_count_packets_losses_and_bytes() {
    let now = Instant::now();
    let (mut alice, mut bob) = (plain(1, now), plain(2, now));
    let results = stream(&mut alice, &mut bob, now, 0..100, |n| n % 10 == 5);
    assert!(results.iter().all(Result::is_ok));
    let new = |result: &Result<Received, Ignored>| result.unwrap().is_new_stream;
    assert!(new(&results[0]) && !results[1..].iter().any(new));
    let (sent, heard) = (alice.stats(), bob.stats());
    assert_eq!((sent.packets_sent, sent.bytes_sent), (100, 16_000));
    assert_eq!((heard.packets_received, heard.bytes_received), (90, 14_400));
    assert_eq!((heard.lost, heard.jitter), (10, Duration::ZERO));
    assert!((3.2..3.8).contains(&heard.mos), "{}", heard.mos);
    assert!(sent.mos > 4.3);
}

#[test]
fn rfc_3550_6_4_reports_carry_losses_and_the_round_trip() {
    let start = Instant::now();
    let (mut alice, mut bob) = (plain(1, start), plain(2, start));
    alice.start_reports(start);
    bob.start_reports(start);
    stream(&mut alice, &mut bob, start, 0..400, |n| n % 4 == 1);
    let mut reports = 0;
    let mut sender_reports = 0;
    let mut now = start;
    while now < start + Duration::from_secs(30) {
        let due = |session: &Session| session.poll_timeout().unwrap();
        now = due(&alice).min(due(&bob));
        for alice_sends in [true, false] {
            let (from, to) = if alice_sends {
                (&mut alice, &mut bob)
            } else {
                (&mut bob, &mut alice)
            };
            from.handle_timeout(now);
            while let Some(report) = from.poll_report() {
                reports += 1;
                // 30 ms on the way.
                let compound = to
                    .receive_reports(now + Duration::from_millis(30), &report)
                    .unwrap();
                sender_reports +=
                    usize::from(matches!(compound.packets[0], RtcpPacket::SenderReport(_)));
                assert!(matches!(
                    compound.packets[1],
                    RtcpPacket::SourceDescription(_)
                ));
            }
        }
    }
    // §6.3.1: a mean of 5 s, so about six reports each.
    assert!((8..=18).contains(&reports), "{reports}");
    // Only Alice sent, and only before her first report.
    assert_eq!(sender_reports, 1);
    let stats = alice.stats();
    assert_eq!(stats.remote_lost, Some(100));
    let round_trip = stats.round_trip.unwrap();
    assert!(
        round_trip.abs_diff(Duration::from_millis(60)) < Duration::from_millis(1),
        "{round_trip:?}"
    );
    assert_eq!(bob.stats().round_trip, None);
}

#[test]
fn a_sender_report_ties_the_medias_clock_to_the_time_of_day() {
    let start = Instant::now();
    let mut alice = plain(1, start);
    let base = Packet::parse(alice.send(start, 0, true, 0, b"x"))
        .unwrap()
        .timestamp;
    let packet = alice.send(start + Duration::from_secs(1), 0, false, 8_000, b"x");
    drop(packet);
    let goodbye = alice.close(start + Duration::from_millis(1_500)).unwrap();
    let compound = Compound::parse(&goodbye).unwrap();
    let [
        RtcpPacket::SenderReport(report),
        _,
        RtcpPacket::Goodbye(bye),
    ] = &compound.packets[..]
    else {
        panic!("{compound:?}");
    };
    assert_eq!(report.timestamp, base.wrapping_add(12_000));
    assert_eq!(report.ntp >> 32, 2_208_988_800 + 1_000_001);
    assert_eq!(report.ntp as u32, 1 << 31);
    assert_eq!((report.packets, report.octets), (2, 2));
    assert_eq!(bye.sources, [alice.ssrc()]);
    assert_eq!(plain(2, start).close(start), None);
}

#[test]
fn another_source_takes_over_once_it_is_proven() {
    let now = Instant::now();
    let (mut old, mut new, mut bob) = (plain(1, now), plain(2, now), plain(3, now));
    stream(&mut old, &mut bob, now, 0..10, |_| false);
    let results = stream(&mut new, &mut bob, now, 0..3, |_| false);
    assert_eq!(results[0], Err(Ignored::Unproven));
    assert!(results[1].unwrap().is_new_stream);
    assert!(!results[2].unwrap().is_new_stream);
    assert_eq!(bob.active_source(), Some(new.ssrc()));
    let stats = bob.stats();
    assert_eq!(
        (stats.packets_received, stats.lost, stats.ignored),
        (12, 0, 1)
    );
}

#[test]
fn strangers_take_no_more_memory_than_allowed_and_the_call_goes_on() {
    let now = Instant::now();
    let (mut alice, mut bob) = (plain(1, now), plain(2, now));
    stream(&mut alice, &mut bob, now, 0..10, |_| false);
    for ssrc in 0..10_000 {
        let stray = Packet::new(0, 1, 0, ssrc, Bytes::new());
        assert_eq!(bob.receive(now, address(9), &stray), Err(Ignored::Unproven));
    }
    assert!(bob.sources.len() <= 8);
    let results = stream(&mut alice, &mut bob, now, 10..20, |_| false);
    assert!(results.iter().all(|result| !result.unwrap().is_new_stream));
    assert_eq!(bob.stats().packets_received, 20);
}

#[test]
fn rfc_3550_8_2_a_collision_changes_our_ssrc_and_a_loop_is_dropped() {
    let now = Instant::now();
    let mut alice = plain(1, now);
    alice.start_reports(now);
    let before = alice.ssrc();
    let back = Packet::parse(alice.send(now, 0, true, 0, b"x")).unwrap();
    assert_eq!(alice.receive(now, address(1), &back), Err(Ignored::Looped));
    assert_ne!(alice.ssrc(), before);
    let goodbye = Compound::parse(&alice.poll_report().unwrap()).unwrap();
    assert!(
        matches!(goodbye.packets.last(), Some(RtcpPacket::Goodbye(bye)) if bye.sources == [before])
    );
    assert!(alice.poll_timeout().is_some());

    // What comes back from there again is a loop.
    let after = alice.ssrc();
    let back = Packet::parse(alice.send(now, 0, false, 160, b"x")).unwrap();
    assert_eq!(alice.receive(now, address(1), &back), Err(Ignored::Looped));
    assert_eq!(alice.ssrc(), after);
    assert_eq!((alice.looped(), alice.stats().ignored), (2, 2));

    let mut echo = session(1, SessionConfig::new(8_000).accept_loops(true), now);
    let back = Packet::parse(echo.send(now, 0, true, 0, b"x")).unwrap();
    assert!(echo.receive(now, address(1), &back).is_ok());
    assert_eq!(echo.looped(), 1);
}

#[test]
fn forged_reports_neither_grow_nor_fool_anything() {
    let now = Instant::now();
    let mut alice = plain(1, now);
    alice.send(now, 0, true, 0, b"x");
    let block = ReportBlock {
        ssrc: alice.ssrc(),
        last_sender_report: 1,
        delay: 0,
        lost: -5,
        ..ReportBlock::default()
    };
    let forged = Compound {
        packets: vec![RtcpPacket::ReceiverReport(ReceiverReport {
            ssrc: 9,
            blocks: vec![block],
        })],
    };
    alice.receive_reports(now, &forged.to_bytes()).unwrap();
    let stats = alice.stats();
    assert_eq!((stats.remote_lost, stats.round_trip), (Some(0), None));
    assert!(alice.receive_reports(now, b"not RTCP").is_err());
    assert!(!is_due(&alice, now));
}

fn is_due(session: &Session, now: Instant) -> bool {
    session.poll_timeout().is_some_and(|at| at <= now)
}
