//! Nothing that a peer sends makes anything panic, and what is read can be written.

#![allow(
    clippy::disallowed_methods,
    reason = "an instant can only be had from the clock"
)]

use proptest::{prelude::*, test_runner::RngSeed};
use rtp::{Event, EventReceiver, Extension, Packet, Session, SessionConfig, rtcp::Compound};
use sip_io::{Rng, WallClock};
use std::time::{Instant, SystemTime};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: RngSeed::Fixed(3550), ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn any_datagram_is_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..200), rtcp in any::<bool>()) {
        if let Some(first) = bytes.first_mut() {
            *first = *first & 0x3f | 0x80;
        }
        if let (true, Some(second)) = (rtcp, bytes.get_mut(1)) {
            *second = 200 + (*second & 3);
        }
        if let Ok(packet) = Packet::parse(bytes.clone().into()) {
            prop_assert_eq!(Packet::parse(packet.to_bytes()).unwrap(), packet);
        }
        if let Ok(compound) = Compound::parse(&bytes) {
            prop_assert_eq!(Compound::parse(&compound.to_bytes()).unwrap(), compound);
        }
        let now = Instant::now();
        let clock = WallClock { at: now, is: SystemTime::UNIX_EPOCH };
        let mut session = Session::new(SessionConfig::new(8_000), Rng::new([0; 32]), clock, now);
        let _ = session.receive_reports(now, &bytes);
    }

    #[test]
    fn any_packet_is_written_and_read_back(
        (marker, payload_type, sequence, timestamp, ssrc) in any::<(bool, u8, u16, u32, u32)>(),
        csrc in prop::collection::vec(any::<u32>(), 0..16),
        extension in prop::option::of((any::<u16>(), prop::collection::vec(any::<[u8; 4]>(), 0..5))),
        payload in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        // With the marker bit, 64 to 95 would be RTCP.
        let payload_type = if marker { payload_type & 0x3f } else { payload_type & 0x7f };
        let mut packet = Packet::new(payload_type, sequence, timestamp, ssrc, payload.into());
        packet.marker = marker;
        packet.csrc = csrc;
        packet.extension = extension.map(|(profile, words)| Extension { profile, data: words.concat().into() });
        prop_assert_eq!(Packet::parse(packet.to_bytes()).unwrap(), packet);
    }

    #[test]
    fn any_stream_of_packets_is_counted(numbers in prop::collection::vec(any::<(u16, u32, u8)>(), 0..200)) {
        let now = Instant::now();
        let clock = WallClock { at: now, is: SystemTime::UNIX_EPOCH };
        let mut session = Session::new(SessionConfig::new(8_000), Rng::new([0; 32]), clock, now);
        let mut events = EventReceiver::new(8_000);
        let address = ([192, 0, 2, 1], 4_000).into();
        for (sequence, timestamp, ssrc) in numbers {
            let packet = Packet::new(0, sequence, timestamp, u32::from(ssrc % 4), Vec::new().into());
            let _ = session.receive(now, address, &packet);
            let event = Event { code: ssrc, end: ssrc > 100, volume: 0, duration: sequence };
            prop_assert!(events.receive(timestamp, &event.to_bytes()).count() <= 3);
        }
        session.start_reports(now);
        session.handle_timeout(now + std::time::Duration::from_secs(10));
        prop_assert!(Compound::parse(&session.poll_report().expect("due")).is_ok());
        prop_assert!((1.0..=4.5).contains(&session.stats().mos));
    }
}
