//! One RTP session: our stream, theirs, and the reports about both.

use crate::{
    Packet,
    quality::{Impairment, mos, rating},
    rtcp::{
        Chunk, Compound, Goodbye, ReceiverReport, ReportBlock, RtcpError, RtcpPacket, SenderReport,
        SourceDescription,
    },
    source::{Arrival, Source, fixed_point},
};
use bytes::Bytes;
use sip_io::{Rng, WallClock};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// How a [`Session`] behaves.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionConfig {
    clock_rate: u32,
    sources: usize,
    report_interval: Duration,
    accept_loops: bool,
    impairment: Impairment,
}

impl SessionConfig {
    /// The defaults for media with an RTP clock of `clock_rate` Hz.
    pub const fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate,
            sources: 8,
            report_interval: Duration::from_secs(5),
            accept_loops: false,
            impairment: Impairment::G711,
        }
    }

    /// The most sources that are remembered at once. Defaults to 8; when another comes, the one that was silent longest
    /// is forgotten, its numbers kept in the totals.
    #[must_use]
    pub const fn sources(mut self, count: usize) -> Self {
        self.sources = if count < 2 { 2 } else { count };
        self
    }

    /// The mean time between reports. Defaults to 5 s, the least that RFC 3550 §6.2 allows; the first comes earlier and
    /// each is moved by chance (§6.3.1).
    #[must_use]
    pub const fn report_interval(mut self, interval: Duration) -> Self {
        self.report_interval = interval;
        self
    }

    /// Whether our own packets that come back are taken as the peer's. Defaults to no (RFC 3550 §8.2); echo tests that
    /// send back packets as they are need it.
    #[must_use]
    pub const fn accept_loops(mut self, yes: bool) -> Self {
        self.accept_loops = yes;
        self
    }

    /// What the codec loses, for the estimate of quality. Defaults to G.711 with concealment.
    #[must_use]
    pub const fn impairment(mut self, impairment: Impairment) -> Self {
        self.impairment = impairment;
        self
    }
}

/// One RTP session as seen by one participant (RFC 3550 §3).
///
/// Media times are ticks of the media's clock since the session began; on the wire they start at a random number, as
/// sequence numbers do (§5.1).
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    rng: Rng,
    clock: WallClock,
    origin: Instant,
    cname: String,
    ssrc: u32,
    sequence: u16,
    base: u32,
    /// The media time that was sent last, and when
    last_sent: Option<(u32, Instant)>,
    packets_sent: u64,
    bytes_sent: u64,
    /// Since the last report
    sent_lately: bool,
    sources: Vec<Source>,
    active: Option<u32>,
    /// Addresses from which our own SSRC came (§8.2)
    conflicts: VecDeque<SocketAddr>,
    bytes_received: u64,
    looped: u64,
    ignored: u64,
    /// Of sources that were forgotten
    past_received: u64,
    past_lost: u64,
    remote: Option<ReportBlock>,
    round_trip: Option<Duration>,
    report_at: Option<Instant>,
    reports: VecDeque<Bytes>,
}

/// A packet that belongs to what is to be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// The sequence number, extended by how often it wrapped; comparable within one stream
    pub sequence: u64,
    /// Whether another stream starts here: the first, another source, or one that restarted
    pub is_new_stream: bool,
}

/// Why a packet is not to be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ignored {
    /// Its source or its jump in numbers has to be confirmed by the next packet (RFC 3550 A.1)
    Unproven,
    /// It carries our own SSRC (§8.2)
    Looped,
}

/// What a session has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Packets that we sent
    pub packets_sent: u64,
    /// Bytes of payload that we sent
    pub bytes_sent: u64,
    /// Packets that came and belong to the stream
    pub packets_received: u64,
    /// Bytes of payload in them
    pub bytes_received: u64,
    /// Packets that are missing
    pub lost: u64,
    /// How much the times of arrival vary (RFC 3550 §6.4.1)
    pub jitter: Duration,
    /// Packets of unproven sources, and our own that came back
    pub ignored: u64,
    /// What the peer reports to have lost
    pub remote_lost: Option<u64>,
    /// The jitter that the peer reports
    pub remote_jitter: Option<Duration>,
    /// The time to the peer and back, once reports went both ways
    pub round_trip: Option<Duration>,
    /// An estimate of how the received stream sounds, 1 to 4.5 (ITU-T G.107)
    pub mos: f64,
}

impl Session {
    /// A session that begins now; its SSRC, names and first numbers come from `rng`.
    pub fn new(config: SessionConfig, mut rng: Rng, clock: WallClock, now: Instant) -> Self {
        Self {
            // RFC 7022 §4.2: a name for this session only.
            cname: rng.token(20),
            ssrc: rng.next_u32(),
            // RFC 3711 §3.3.1 wants the first half, so that an early loss does not hide a wrap.
            sequence: rng.next_u32() as u16 & 0x7fff,
            base: rng.next_u32(),
            config,
            rng,
            clock,
            origin: now,
            last_sent: None,
            packets_sent: 0,
            bytes_sent: 0,
            sent_lately: false,
            sources: Vec::new(),
            active: None,
            conflicts: VecDeque::new(),
            bytes_received: 0,
            looped: 0,
            ignored: 0,
            past_received: 0,
            past_lost: 0,
            remote: None,
            round_trip: None,
            report_at: None,
            reports: VecDeque::new(),
        }
    }

    /// Starts the reports (RFC 3550 §6.3); does nothing if they are on.
    pub fn start_reports(&mut self, now: Instant) {
        if self.report_at.is_none() {
            // §6.2: half the interval before the first.
            let half = self.config.report_interval / 2;
            self.schedule(now, half);
        }
    }

    /// Sends no more reports until they are started again.
    pub fn stop_reports(&mut self) {
        self.report_at = None;
        self.reports.clear();
    }

    /// Writes the next packet of our stream. `marker` says that sound begins after silence; packets of one moment share
    /// a `media_time`.
    pub fn send(
        &mut self,
        now: Instant,
        payload_type: u8,
        marker: bool,
        media_time: u32,
        payload: &[u8],
    ) -> Bytes {
        let mut packet = Packet::new(
            payload_type,
            self.sequence,
            self.base.wrapping_add(media_time),
            self.ssrc,
            Bytes::copy_from_slice(payload),
        );
        packet.marker = marker;
        self.sequence = self.sequence.wrapping_add(1);
        self.packets_sent += 1;
        self.bytes_sent += payload.len() as u64;
        self.sent_lately = true;
        if self
            .last_sent
            .is_none_or(|(last, _)| (media_time.wrapping_sub(last) as i32) > 0)
        {
            self.last_sent = Some((media_time, now));
        }
        packet.to_bytes()
    }

    /// Counts a packet that came from `address`, and says whether it is to be heard.
    ///
    /// The first source is believed at once, another only when two of its packets come in order; from then on it is the
    /// one to be heard, and the one before no more.
    pub fn receive(
        &mut self,
        now: Instant,
        address: SocketAddr,
        packet: &Packet,
    ) -> Result<Received, Ignored> {
        if packet.ssrc == self.ssrc && self.is_loop(now, address) {
            return Err(Ignored::Looped);
        }
        let index = match self
            .sources
            .iter()
            .position(|source| source.ssrc == packet.ssrc)
        {
            Some(index) => index,
            None => self.add_source(now, address, packet),
        };
        let ticks = self.ticks(now);
        let is_active = self.active == Some(packet.ssrc);
        let source = &mut self.sources[index];
        let (sequence, started) = match source.arrive(now, packet.sequence) {
            Arrival::Valid(sequence) => (sequence, false),
            Arrival::Started(sequence) => (sequence, true),
            Arrival::Unproven => {
                self.ignored += 1;
                return Err(Ignored::Unproven);
            }
        };
        source.address = address;
        source.time(ticks, packet.timestamp);
        self.active = Some(packet.ssrc);
        self.bytes_received += packet.payload.len() as u64;
        Ok(Received {
            sequence,
            is_new_stream: started || !is_active,
        })
    }

    /// Reads reports that came.
    pub fn receive_reports(
        &mut self,
        now: Instant,
        datagram: &[u8],
    ) -> Result<Compound, RtcpError> {
        let compound = Compound::parse(datagram)?;
        for packet in &compound.packets {
            let blocks = match packet {
                RtcpPacket::SenderReport(report) => {
                    if let Some(source) = self
                        .sources
                        .iter_mut()
                        .find(|source| source.ssrc == report.ssrc)
                    {
                        source.reported(now, report.ntp);
                    }
                    &report.blocks
                }
                RtcpPacket::ReceiverReport(report) => &report.blocks,
                _ => continue,
            };
            if let Some(block) = blocks.iter().find(|block| block.ssrc == self.ssrc) {
                self.remote = Some(*block);
                self.measure_round_trip(now, block);
            }
        }
        Ok(compound)
    }

    /// Writes the reports that are due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.report_at.is_none_or(|at| at > now) {
            return;
        }
        let report = self.report(now);
        // A driver that does not poll loses old reports, not memory.
        if self.reports.len() == REPORTS {
            self.reports.pop_front();
        }
        self.reports.push_back(report);
        self.schedule(now, self.config.report_interval);
    }

    /// The next report to be sent.
    pub fn poll_report(&mut self) -> Option<Bytes> {
        self.reports.pop_front()
    }

    /// When the next report is due.
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.report_at
    }

    /// Ends the reports and writes the last, with a goodbye (RFC 3550 §6.6); `None` if nothing was ever sent.
    pub fn close(&mut self, now: Instant) -> Option<Bytes> {
        self.stop_reports();
        (self.packets_sent > 0).then(|| {
            let mut packets = self.compound(now);
            packets.push(RtcpPacket::Goodbye(Goodbye {
                sources: vec![self.ssrc],
                reason: None,
            }));
            Compound { packets }.to_bytes()
        })
    }

    /// Who we are on the wire.
    pub const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Whom we hear.
    pub const fn active_source(&self) -> Option<u32> {
        self.active
    }

    /// Where whom we hear sends from.
    pub fn active_address(&self) -> Option<SocketAddr> {
        let active = self.active?;
        self.sources
            .iter()
            .find(|source| source.ssrc == active)
            .map(|source| source.address)
    }

    /// How many of our own packets came back.
    pub const fn looped(&self) -> u64 {
        self.looped
    }

    /// What was seen so far.
    pub fn stats(&self) -> Stats {
        let proven = || self.sources.iter().filter(|source| source.is_proven());
        let packets_received = self.past_received + proven().map(Source::received).sum::<u64>();
        let lost = self.past_lost + proven().map(Source::lost).sum::<u64>();
        let jitter = proven()
            .find(|source| Some(source.ssrc) == self.active)
            .map_or(0, Source::jitter);
        let expected = packets_received + lost;
        let fraction = if expected == 0 {
            0.0
        } else {
            lost as f64 / expected as f64
        };
        let delay = self.round_trip.unwrap_or_default() / 2;
        Stats {
            packets_sent: self.packets_sent,
            bytes_sent: self.bytes_sent,
            packets_received,
            bytes_received: self.bytes_received,
            lost,
            jitter: self.duration(jitter),
            ignored: self.ignored,
            remote_lost: self.remote.map(|block| block.lost.max(0) as u64),
            remote_jitter: self.remote.map(|block| self.duration(block.jitter)),
            round_trip: self.round_trip,
            mos: mos(rating(self.config.impairment, fraction, delay)),
        }
    }

    /// A place for a new source; the first needs no proof.
    fn add_source(&mut self, now: Instant, address: SocketAddr, packet: &Packet) -> usize {
        if self.sources.len() >= self.config.sources {
            let silent = self
                .sources
                .iter()
                .enumerate()
                .filter(|(_, source)| Some(source.ssrc) != self.active)
                .min_by_key(|(_, source)| source.last_heard)
                .map(|(index, _)| index);
            if let Some(index) = silent {
                let source = self.sources.swap_remove(index);
                self.past_received += source.received();
                self.past_lost += source.lost();
            }
        }
        let probation = u8::from(self.active.is_some());
        self.sources.push(Source::new(
            now,
            address,
            packet.ssrc,
            packet.sequence,
            probation,
        ));
        self.sources.len() - 1
    }

    /// §8.2: the first packet with our SSRC from an address is a collision, and we choose another; more from there are
    /// our own coming back.
    fn is_loop(&mut self, now: Instant, address: SocketAddr) -> bool {
        self.looped += 1;
        if self.config.accept_loops {
            return false;
        }
        self.ignored += 1;
        if !self.conflicts.contains(&address) {
            if self.conflicts.len() == CONFLICTS {
                self.conflicts.pop_front();
            }
            self.conflicts.push_back(address);
            if let Some(goodbye) = self.leave(now) {
                self.reports.push_back(goodbye);
            }
        }
        true
    }

    /// Takes another SSRC, and says goodbye under the old one.
    fn leave(&mut self, now: Instant) -> Option<Bytes> {
        let reporting = self.report_at;
        let goodbye = self.close(now);
        self.report_at = reporting;
        self.ssrc = self.rng.next_u32();
        // What the peer reported was about the old one.
        self.remote = None;
        goodbye
    }

    fn report(&mut self, now: Instant) -> Bytes {
        let packets = self.compound(now);
        self.sent_lately = false;
        Compound { packets }.to_bytes()
    }

    fn compound(&mut self, now: Instant) -> Vec<RtcpPacket> {
        let active = self.active;
        let blocks = self
            .sources
            .iter_mut()
            .filter(|source| source.is_proven() && Some(source.ssrc) == active)
            .map(|source| source.report(now))
            .collect();
        let ssrc = self.ssrc;
        let report = match self.last_sent.filter(|_| self.sent_lately) {
            Some((media_time, at)) => RtcpPacket::SenderReport(SenderReport {
                ssrc,
                ntp: self.ntp(now),
                timestamp: self.base.wrapping_add(media_time).wrapping_add(ticks(
                    now.saturating_duration_since(at),
                    self.config.clock_rate,
                )),
                packets: self.packets_sent as u32,
                octets: self.bytes_sent as u32,
                blocks,
            }),
            None => RtcpPacket::ReceiverReport(ReceiverReport { ssrc, blocks }),
        };
        let name = SourceDescription {
            chunks: vec![Chunk::cname(ssrc, &self.cname)],
        };
        vec![report, RtcpPacket::SourceDescription(name)]
    }

    /// §6.3.1: between half and one and a half of the mean, corrected for its skew.
    fn schedule(&mut self, now: Instant, mean: Duration) {
        let factor = (0.5 + self.rng.fraction()) / (std::f64::consts::E - 1.5);
        self.report_at = Some(now + mean.mul_f64(factor));
    }

    /// §6.4.1: now, minus when our report left, minus how long the peer kept it.
    fn measure_round_trip(&mut self, now: Instant, block: &ReportBlock) {
        if block.last_sender_report == 0 {
            return;
        }
        let middle = (self.ntp(now) >> 16) as u32;
        let units = middle
            .wrapping_sub(block.last_sender_report)
            .wrapping_sub(block.delay);
        // Clocks tick; a little less than nothing is nothing, and more than a minute is a lie.
        if units < fixed_point(Duration::from_secs(60)) {
            self.round_trip = Some(Duration::from_secs_f64(f64::from(units) / 65_536.0));
        } else if units > u32::MAX - 655 {
            self.round_trip = Some(Duration::ZERO);
        }
    }

    fn ntp(&self, now: Instant) -> u64 {
        let since = self
            .clock
            .at(now)
            .duration_since(std::time::SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
        (since.as_secs() + SECONDS_1900_TO_1970) << 32 | fraction
    }

    fn ticks(&self, now: Instant) -> u32 {
        ticks(
            now.saturating_duration_since(self.origin),
            self.config.clock_rate,
        )
    }

    fn duration(&self, ticks: u32) -> Duration {
        Duration::from_secs_f64(f64::from(ticks) / f64::from(self.config.clock_rate.max(1)))
    }
}

fn ticks(duration: Duration, clock_rate: u32) -> u32 {
    (duration.as_nanos() * u128::from(clock_rate) / 1_000_000_000) as u32
}

const SECONDS_1900_TO_1970: u64 = 2_208_988_800;
const REPORTS: usize = 8;
const CONFLICTS: usize = 8;

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
