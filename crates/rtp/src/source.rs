//! One source of packets (RFC 3550 appendix A).

use crate::rtcp::ReportBlock;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// What is known about one SSRC that sends to us.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) ssrc: u32,
    pub(crate) address: SocketAddr,
    pub(crate) last_heard: Instant,
    /// The highest extended sequence number, counted from one cycle so that stragglers never fall below zero
    highest: u64,
    /// The extended number with which counting started
    base: u64,
    /// The number that would show that the sender has restarted (A.1)
    restart: Option<u16>,
    /// How many packets in order are still needed before the source is believed
    probation: u8,
    received: u64,
    received_before: u64,
    expected_before: u64,
    /// Lost before the sender restarted its numbers
    lost_before: u64,
    transit: Option<u32>,
    timestamp: Option<u32>,
    /// Sixteen times the estimate, in ticks (A.8)
    jitter: u32,
    last_report: Option<(u32, Instant)>,
}

/// What a sequence number means (A.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It belongs to the stream
    Valid(u64),
    /// It belongs to the stream, which starts here
    Started(u64),
    /// It is not yet believed
    Unproven,
}

impl Source {
    /// A source that needs `probation` more packets in order after its first.
    pub(crate) fn new(
        now: Instant,
        address: SocketAddr,
        ssrc: u32,
        sequence: u16,
        probation: u8,
    ) -> Self {
        let first = CYCLE + u64::from(sequence);
        Self {
            ssrc,
            address,
            last_heard: now,
            // One before, so that the first packet is the next.
            highest: first - 1,
            base: first,
            restart: None,
            probation: probation + 1,
            received: 0,
            received_before: 0,
            expected_before: 0,
            lost_before: 0,
            transit: None,
            timestamp: None,
            jitter: 0,
            last_report: None,
        }
    }

    /// Counts a sequence number (A.1).
    pub(crate) fn arrive(&mut self, now: Instant, sequence: u16) -> Arrival {
        self.last_heard = now;
        let ahead = sequence.wrapping_sub(self.highest as u16);
        if self.probation > 0 {
            if ahead != 1 {
                self.probation = MIN_SEQUENTIAL;
            }
            self.probation -= 1;
            self.highest = CYCLE + u64::from(sequence);
            if self.probation > 0 {
                return Arrival::Unproven;
            }
            return self.start(sequence);
        }
        if ahead < MAX_DROPOUT {
            self.highest += u64::from(ahead);
            self.restart = None;
            self.received += 1;
            return Arrival::Valid(self.highest);
        }
        let behind = sequence_behind(ahead);
        if behind > MAX_MISORDER {
            // Two in order after a jump: the sender has restarted and says so to nobody.
            if self.restart == Some(sequence) {
                self.lost_before += self.lost();
                return self.start(sequence);
            }
            self.restart = Some(sequence.wrapping_add(1));
            return Arrival::Unproven;
        }
        self.received += 1;
        Arrival::Valid(self.highest - u64::from(behind))
    }

    /// Counts the time of arrival, in ticks of the media's clock (A.8).
    pub(crate) fn time(&mut self, arrival: u32, timestamp: u32) {
        // Packets of one moment (telephone events, slices of a picture) say nothing about jitter.
        if self.timestamp.replace(timestamp) == Some(timestamp) {
            return;
        }
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let difference = (transit.wrapping_sub(before) as i32).unsigned_abs();
            // A jump of the sender's clock is no jitter; the estimate could not hold it either.
            if difference < MAX_DIFFERENCE {
                self.jitter = self.jitter + difference - ((self.jitter + 8) >> 4);
            }
        }
    }

    /// A sender report's middle bits of time, for the round trip (§6.4.1).
    pub(crate) const fn reported(&mut self, now: Instant, ntp: u64) {
        self.last_report = Some(((ntp >> 16) as u32, now));
    }

    /// Whether enough packets came in order.
    pub(crate) const fn is_proven(&self) -> bool {
        self.probation == 0
    }

    /// How many packets came, repeats included.
    pub(crate) const fn received(&self) -> u64 {
        self.received
    }

    /// How many packets are missing (A.3), before the sender restarted as well.
    pub(crate) const fn lost(&self) -> u64 {
        self.lost_before + self.expected().saturating_sub(self.received)
    }

    /// The jitter in ticks.
    pub(crate) const fn jitter(&self) -> u32 {
        self.jitter >> 4
    }

    /// The block that reports on this source since the last one (A.3).
    pub(crate) fn report(&mut self, now: Instant) -> ReportBlock {
        let expected = self.expected();
        let expected_now = expected - self.expected_before.min(expected);
        let received_now = self.received - self.received_before.min(self.received);
        self.expected_before = expected;
        self.received_before = self.received;
        let lost_now = expected_now.saturating_sub(received_now);
        let fraction_lost = (lost_now << 8)
            .checked_div(expected_now)
            .map_or(0, |fraction| fraction.min(255) as u8);
        let lost = i64::try_from(expected).unwrap_or(i64::MAX)
            - i64::try_from(self.received).unwrap_or(i64::MAX);
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost,
            lost: lost.clamp(-0x80_0000, 0x7f_ffff) as i32,
            highest_sequence: self.highest.wrapping_sub(CYCLE) as u32,
            jitter: self.jitter(),
            last_sender_report: self.last_report.map_or(0, |(middle, _)| middle),
            delay: self
                .last_report
                .map_or(0, |(_, at)| fixed_point(now.saturating_duration_since(at))),
        }
    }

    const fn start(&mut self, sequence: u16) -> Arrival {
        self.highest = CYCLE + sequence as u64;
        self.base = self.highest;
        self.restart = None;
        self.received = 1;
        self.received_before = 0;
        self.expected_before = 0;
        self.transit = None;
        Arrival::Started(self.highest)
    }

    const fn expected(&self) -> u64 {
        if self.is_proven() {
            self.highest + 1 - self.base
        } else {
            0
        }
    }
}

/// A duration in units of 1/65536 second, as report blocks count it.
pub(crate) fn fixed_point(duration: Duration) -> u32 {
    let units = duration.as_nanos() * 65_536 / 1_000_000_000;
    u32::try_from(units).unwrap_or(u32::MAX)
}

const fn sequence_behind(ahead: u16) -> u16 {
    ahead.wrapping_neg()
}

const CYCLE: u64 = 1 << 16;
/// A.1
const MIN_SEQUENTIAL: u8 = 2;
const MAX_DROPOUT: u16 = 3_000;
const MAX_MISORDER: u16 = 100;
const MAX_DIFFERENCE: u32 = 1 << 20;

#[cfg(test)]
#[allow(
    clippy::disallowed_methods,
    reason = "an instant can only be had from the clock"
)]
mod tests {
    use super::*;

    fn source(now: Instant, sequence: u16) -> Source {
        Source::new(now, ([192, 0, 2, 1], 4_000).into(), 7, sequence, 0)
    }

    fn feed(source: &mut Source, now: Instant, numbers: impl IntoIterator<Item = u16>) {
        for number in numbers {
            source.arrive(now, number);
        }
    }

    #[test]
    fn rfc_3550_a_1_a_new_source_needs_packets_in_order() {
        let now = Instant::now();
        let mut source = Source::new(now, ([192, 0, 2, 1], 4_000).into(), 7, 10, 1);
        assert_eq!(source.arrive(now, 10), Arrival::Unproven);
        assert_eq!(source.arrive(now, 20), Arrival::Unproven);
        assert!(!source.is_proven());
        assert_eq!(source.arrive(now, 21), Arrival::Started(CYCLE + 21));
        assert_eq!((source.received(), source.lost()), (1, 0));
    }

    #[test]
    fn rfc_3550_a_1_numbers_wrap_and_stragglers_keep_their_place() {
        let now = Instant::now();
        let mut source = source(now, 65_534);
        assert_eq!(source.arrive(now, 65_534), Arrival::Started(CYCLE + 65_534));
        assert_eq!(source.arrive(now, 0), Arrival::Valid(2 * CYCLE));
        assert_eq!(source.arrive(now, 65_535), Arrival::Valid(2 * CYCLE - 1));
        assert_eq!(source.lost(), 0);
        let report = source.report(now);
        assert_eq!(report.highest_sequence, 0x1_0000);
    }

    #[test]
    fn rfc_3550_a_3_losses_are_counted_in_total_and_since_the_last_report() {
        let now = Instant::now();
        let mut source = source(now, 0);
        feed(&mut source, now, (0..100).filter(|number| number % 4 != 3));
        assert_eq!((source.received(), source.lost()), (75, 24));
        let report = source.report(now);
        assert_eq!((report.lost, report.fraction_lost), (24, 62));
        feed(&mut source, now, 100..200);
        let report = source.report(now);
        assert_eq!(report.lost, 25);
        assert_eq!(report.fraction_lost, 2);
        // More repeats than losses: the total may be negative, the fraction not.
        feed(&mut source, now, [199; 40]);
        let report = source.report(now);
        assert_eq!((report.lost, report.fraction_lost), (-15, 0));
        assert_eq!(source.lost(), 0);
    }

    #[test]
    fn rfc_3550_a_1_a_jump_is_believed_only_when_it_goes_on() {
        let now = Instant::now();
        let mut source = source(now, 0);
        feed(&mut source, now, 0..10);
        assert_eq!(source.arrive(now, 40_000), Arrival::Unproven);
        assert_eq!(source.arrive(now, 10), Arrival::Valid(CYCLE + 10));
        assert_eq!(source.arrive(now, 40_000), Arrival::Unproven);
        assert_eq!(source.arrive(now, 40_001), Arrival::Started(CYCLE + 40_001));
        assert_eq!(source.lost(), 0);
    }

    #[test]
    fn rfc_3550_a_8_jitter_is_the_smoothed_difference_of_transit_times() {
        let now = Instant::now();
        let mut steady = source(now, 0);
        let mut shaky = source(now, 0);
        for packet in 0..200_u32 {
            steady.time(packet * 160 + 5_000, packet * 160);
            // Every second packet is 80 ticks late.
            shaky.time(packet * 160 + packet % 2 * 80, packet * 160);
        }
        assert_eq!(steady.jitter(), 0);
        assert!((78..=80).contains(&shaky.jitter()), "{}", shaky.jitter());
        // Neither a clock that jumps nor a repeated timestamp shakes it.
        let before = shaky.jitter();
        shaky.time(0, 0x8000_0000);
        shaky.time(7_000, 0x8000_0000);
        assert_eq!(shaky.jitter(), before);
    }

    #[test]
    fn the_delay_since_a_report_is_in_units_of_65536() {
        let now = Instant::now();
        let mut source = source(now, 0);
        source.reported(now, 0x1234_5678_9abc_def0);
        let report = source.report(now + Duration::from_millis(1_500));
        assert_eq!(report.last_sender_report, 0x5678_9abc);
        assert_eq!(report.delay, 65_536 + 32_768);
    }
}
