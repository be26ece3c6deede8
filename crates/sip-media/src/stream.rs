//! The media of one session, once its ports are bound.

use crate::{
    AudioSink, AudioSource, DtmfError, Event, PlaybackId, SessionId, StartError, Stats,
    conceal::Concealer,
    config::SessionDefaults,
    engine::Out,
    feed::{Drain, Feed},
    keys::Keys,
    pace::Pace,
};
use bytes::Bytes;
use rtp::{
    Codec, Entry, EventReceiver, JitterBuffer, KeyEvent, Packet, Playout, codec, is_rtcp,
    quality::{Impairment, mos, rating},
};
use sdp::NegotiatedMedia;
use sip_io::{Rng, WallClock};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// What is sent and heard between two sockets and a peer.
pub(crate) struct Stream {
    id: SessionId,
    defaults: SessionDefaults,
    rtp: rtp::Session,
    local: SocketAddr,
    local_reports: SocketAddr,
    agreed: Option<Agreed>,
    pace: Pace,
    /// Whether the packet before was sound, so that the next needs no marker
    talking: bool,
    playing: Option<Playing>,
    keys: Keys,
    ear: Option<Drain>,
    jitter: JitterBuffer<Frame>,
    concealer: Concealer,
    /// Decoded and not yet heard
    pcm: VecDeque<i16>,
    events: EventReceiver,
    echo: Option<Echo>,
    unexpected: u64,
    samples: Vec<i16>,
    payload: Vec<u8>,
}

/// What offer and answer said.
struct Agreed {
    media: NegotiatedMedia,
    encoder: Box<dyn Codec>,
    decoders: Vec<(u8, Decoder)>,
    /// Where the peer's media come from, if that counts more than what it said
    latched: Option<SocketAddr>,
    /// Whether anything came from where the peer said
    heard_as_named: bool,
}

enum Decoder {
    Sound(Box<dyn Codec>),
    Events,
}

struct Playing {
    id: PlaybackId,
    feed: Feed,
}

/// A packet that waits to be decoded.
struct Frame {
    payload_type: u8,
    payload: Bytes,
}

/// What is added to the peer's timestamps to get ours; unknown until the next packet.
#[derive(Default)]
struct Echo {
    offset: Option<u32>,
}

impl Stream {
    pub(crate) fn new(
        now: Instant,
        id: SessionId,
        defaults: SessionDefaults,
        rng: Rng,
        clock: WallClock,
    ) -> Self {
        let config = rtp::SessionConfig::new(RATE).accept_loops(defaults.accept_loops);
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Self {
            id,
            rtp: rtp::Session::new(config, rng, clock, now),
            local: nowhere,
            local_reports: nowhere,
            agreed: None,
            pace: Pace::new(now, RATE),
            talking: false,
            playing: None,
            keys: Keys::new(&defaults, RATE),
            ear: None,
            jitter: JitterBuffer::new(defaults.jitter),
            concealer: Concealer::default(),
            pcm: VecDeque::new(),
            events: EventReceiver::new(RATE),
            echo: None,
            unexpected: 0,
            samples: Vec::new(),
            payload: Vec::new(),
            defaults,
        }
    }

    pub(crate) const fn bound(&mut self, local: SocketAddr, local_reports: SocketAddr) {
        self.local = local;
        self.local_reports = local_reports;
    }

    pub(crate) fn start(
        &mut self,
        now: Instant,
        media: &NegotiatedMedia,
    ) -> Result<(), StartError> {
        let encoder = codec::by_name(media.codec().name(), media.codec().clock_rate())
            .ok_or_else(|| StartError::Codec(media.codec().to_string()))?;
        let decoders = media
            .receive_payload_types()
            .iter()
            .filter_map(|(number, meaning)| {
                let decoder = if meaning.is_telephone_event() {
                    Decoder::Events
                } else {
                    Decoder::Sound(codec::by_name(meaning.name(), meaning.clock_rate())?)
                };
                Some((*number, decoder))
            })
            .collect();
        // A peer behind a NAT stays where it was found as long as it names the same address.
        let before = self
            .agreed
            .take()
            .filter(|before| before.media.remote() == media.remote());
        self.agreed = Some(Agreed {
            media: media.clone(),
            encoder,
            decoders,
            latched: before.as_ref().and_then(|before| before.latched),
            heard_as_named: before.is_some_and(|before| before.heard_as_named),
        });
        let milliseconds = media.packet_time().unwrap_or(20).clamp(10, 100);
        self.pace
            .set_frame(now, Duration::from_millis(u64::from(milliseconds)));
        if self.defaults.reports && media.remote_rtcp().is_some() {
            self.rtp.start_reports(now);
        } else {
            self.rtp.stop_reports();
        }
        self.adjust(now);
        Ok(())
    }

    /// Sends and hears nothing until the next start.
    pub(crate) fn suspend(&mut self, now: Instant) {
        self.agreed = None;
        self.rtp.stop_reports();
        self.adjust(now);
    }

    /// Plays a source from the next frame on; the one that it takes the place of is returned.
    pub(crate) fn play(
        &mut self,
        now: Instant,
        id: PlaybackId,
        source: Box<dyn AudioSource>,
    ) -> Option<PlaybackId> {
        let feed = Feed::new(source, RATE);
        let before = self.playing.replace(Playing { id, feed });
        self.adjust(now);
        before.map(|playing| playing.id)
    }

    /// Stops playing, `only` that one if it is given.
    pub(crate) fn stop_playing(&mut self, only: Option<PlaybackId>) -> Option<PlaybackId> {
        let playing = self
            .playing
            .take_if(|playing| only.is_none_or(|only| only == playing.id));
        playing.map(|playing| playing.id)
    }

    pub(crate) fn record(
        &mut self,
        now: Instant,
        sink: Option<Box<dyn AudioSink>>,
    ) -> Option<Box<dyn AudioSink>> {
        self.jitter.restart();
        self.pcm.clear();
        let before = std::mem::replace(&mut self.ear, sink.map(|sink| Drain::new(sink, RATE)));
        self.adjust(now);
        before.map(Drain::into_sink)
    }

    pub(crate) fn set_echo(&mut self, now: Instant, yes: bool) {
        self.echo = yes.then(Echo::default);
        self.adjust(now);
    }

    pub(crate) fn send_keys(
        &mut self,
        now: Instant,
        keys: &str,
        out: &mut Out,
    ) -> Result<(), DtmfError> {
        let agreed = self.agreed.as_ref().ok_or(DtmfError::NotNegotiated)?;
        if agreed.media.send_telephone_event().is_none() {
            return Err(DtmfError::NotNegotiated);
        }
        self.keys.push(keys)?;
        if self.keys.is_done() {
            out.event(Event::DtmfSent { session: self.id });
        }
        self.adjust(now);
        Ok(())
    }

    pub(crate) fn receive(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        contents: Bytes,
        on_report_port: bool,
        out: &mut Out,
    ) {
        if on_report_port || is_rtcp(&contents) {
            if self.rtp.receive_reports(now, &contents).is_err() {
                self.unexpected += 1;
            }
            return;
        }
        let Ok(packet) = Packet::parse(contents) else {
            self.unexpected += 1;
            return;
        };
        let Some((wanted, decoder)) = self.agreed.as_ref().and_then(|agreed| {
            let decoder = agreed.decoder(packet.payload_type)?;
            Some((agreed.media.direction().receives(), decoder))
        }) else {
            self.unexpected += 1;
            return;
        };
        let is_event = matches!(decoder, Decoder::Events);
        let Ok(received) = self.rtp.receive(now, remote, &packet) else {
            return;
        };
        self.latch(now, remote);
        if received.is_new_stream {
            self.jitter.restart();
            self.events = EventReceiver::new(RATE);
            self.echo = self.echo.take().map(|_| Echo::default());
        }
        // What was on its way when the call was held counts as received, but is not heard.
        if !wanted {
            return;
        }
        self.send_back(now, &packet, out);
        let entry = if is_event {
            for event in self.events.receive(packet.timestamp, &packet.payload) {
                if let KeyEvent::Pressed(key) = event {
                    out.peer_event(Event::Dtmf {
                        session: self.id,
                        digit: key.as_char(),
                    });
                }
            }
            Entry::Skip
        } else {
            Entry::Sound(Frame {
                payload_type: packet.payload_type,
                payload: packet.payload,
            })
        };
        if self.ear.is_some() {
            self.jitter.push(received.sequence, packet.marker, entry);
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut Out) {
        let mut done = 0;
        while self.pace.is_due(now) {
            if done == self.defaults.catch_up {
                // What is too late to be sent is left out, but its time has passed.
                self.pace.skip_to(now);
                self.talking = false;
                break;
            }
            self.hear();
            self.speak(now, out);
            self.pace.advance();
            self.adjust(now);
            done += 1;
        }
        self.rtp.handle_timeout(now);
        self.send_reports(out);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let frame = self.pace.next();
        let report = self.rtp.poll_timeout();
        frame.into_iter().chain(report).min()
    }

    /// Says goodbye and how it went.
    pub(crate) fn close(&mut self, now: Instant, out: &mut Out) -> Stats {
        let stats = self.stats();
        if let Some(goodbye) = self.rtp.close(now)
            && self.defaults.reports
        {
            self.send_report(goodbye, out);
        }
        stats
    }

    pub(crate) fn stats(&self) -> Stats {
        let rtp = self.rtp.stats();
        let late = self.jitter.late();
        let expected = rtp.packets_received + rtp.lost;
        let missing = (rtp.lost + late) as f64 / expected.max(1) as f64;
        // Half the way there and back, the packet itself, and what waits in the jitter buffer.
        let frames = if self.ear.is_some() {
            1 + self.jitter.target() as u32
        } else {
            1
        };
        let delay = rtp.round_trip.unwrap_or_default() / 2 + self.pace.frame() * frames;
        Stats {
            codec: self
                .agreed
                .as_ref()
                .map_or_else(String::new, |agreed| agreed.media.codec().name().to_owned()),
            rtp,
            late,
            concealed: self.jitter.lost(),
            unexpected: self.unexpected,
            mos: mos(rating(Impairment::G711, missing.min(1.0), delay)),
        }
    }

    /// Frames are paced only while there is something to do in them.
    fn adjust(&mut self, now: Instant) {
        let may_send = self
            .agreed
            .as_ref()
            .is_some_and(|agreed| agreed.destination().is_some());
        let sends = may_send
            && (self.playing.is_some()
                || !self.keys.is_idle()
                || (self.defaults.silence && self.echo.is_none()));
        self.talking &= sends;
        self.pace
            .run(now, sends || (self.agreed.is_some() && self.ear.is_some()));
    }

    fn latch(&mut self, now: Instant, source: SocketAddr) {
        let Some(agreed) = &mut self.agreed else {
            return;
        };
        let named = agreed.media.remote();
        if named == Some(source) {
            agreed.heard_as_named = true;
        } else if !agreed.heard_as_named
            && agreed.latched.is_none()
            && agreed.media.direction().sends()
            && self
                .defaults
                .latch
                .applies_to(named.map(|named| named.ip()))
        {
            tracing::debug!(?named, %source, "media latched");
            agreed.latched = Some(source);
            self.adjust(now);
        }
    }

    /// Gives the next frame of the peer's stream to the ear.
    fn hear(&mut self) {
        let (Some(ear), Some(agreed)) = (&mut self.ear, &mut self.agreed) else {
            return;
        };
        let wanted = self.pace.samples();
        let Self {
            pcm,
            concealer,
            samples,
            jitter,
            ..
        } = self;
        while pcm.len() < wanted {
            match jitter.pop() {
                Playout::Packet(frame) => {
                    samples.clear();
                    if let Some(Decoder::Sound(decoder)) = agreed.decoder_mut(frame.payload_type) {
                        decoder.decode(&frame.payload, samples);
                    }
                    // More than a second in a packet is nonsense.
                    samples.truncate(RATE as usize);
                    concealer.heard(samples);
                    pcm.extend(samples.iter());
                }
                Playout::Lost => match concealer.length() {
                    0 => concealer.fill(wanted, pcm),
                    length => concealer.fill(length, pcm),
                },
                Playout::Waiting => concealer.fill(wanted - pcm.len(), pcm),
            }
        }
        samples.clear();
        samples.extend(pcm.drain(..wanted));
        ear.write(samples);
    }

    /// Sends the next frame of ours.
    fn speak(&mut self, now: Instant, out: &mut Out) {
        let Some(agreed) = &mut self.agreed else {
            return;
        };
        let Some(remote) = agreed.destination() else {
            self.talking = false;
            return;
        };
        if let Some(payload_type) = agreed.media.send_telephone_event() {
            if let Some(press) = self.keys.next(&self.pace) {
                self.talking = false;
                let payload = press.event.to_bytes();
                let wire = self.rtp.send(
                    now,
                    payload_type,
                    press.is_first,
                    press.media_time,
                    &payload,
                );
                out.datagram(self.local, remote, wire);
                if self.keys.is_done() {
                    out.event(Event::DtmfSent { session: self.id });
                }
                return;
            }
        } else if self.keys.clear() {
            // A new agreement without keys.
            out.event(Event::DtmfSent { session: self.id });
        }
        let wanted = self.pace.samples();
        self.samples.clear();
        self.samples.resize(wanted, 0);
        let mut sound = false;
        if let Some(playing) = &mut self.playing {
            let count = playing.feed.read(&mut self.samples);
            sound = count > 0;
            if count < wanted {
                out.event(Event::PlaybackDone {
                    session: self.id,
                    playback: playing.id,
                    completed: true,
                });
                self.playing = None;
            }
        }
        if !sound && (!self.defaults.silence || self.echo.is_some()) {
            self.talking = false;
            return;
        }
        self.payload.clear();
        agreed.encoder.encode(&self.samples, &mut self.payload);
        let wire = self.rtp.send(
            now,
            agreed.media.send_payload_type(),
            !self.talking,
            self.pace.media_time(),
            &self.payload,
        );
        self.talking = true;
        out.datagram(self.local, remote, wire);
    }

    /// Echoes a packet: the same payload under our numbers, at once.
    fn send_back(&mut self, now: Instant, packet: &Packet, out: &mut Out) {
        let (Some(echo), Some(agreed)) = (&mut self.echo, &mut self.agreed) else {
            return;
        };
        let Some(remote) = agreed.destination() else {
            return;
        };
        let sent = agreed.media.codec().clone();
        let same = agreed
            .media
            .receive_codec(packet.payload_type)
            .is_some_and(|codec| codec.matches(&sent));
        self.payload.clear();
        let payload_type = match agreed.decoder_mut(packet.payload_type) {
            Some(Decoder::Sound(_)) if same => {
                self.payload.extend_from_slice(&packet.payload);
                Some(agreed.media.send_payload_type())
            }
            // The peer sends one codec and wants another.
            Some(Decoder::Sound(decoder)) => {
                self.samples.clear();
                decoder.decode(&packet.payload, &mut self.samples);
                agreed.encoder.encode(&self.samples, &mut self.payload);
                Some(agreed.media.send_payload_type())
            }
            Some(Decoder::Events) => {
                self.payload.extend_from_slice(&packet.payload);
                agreed.media.send_telephone_event()
            }
            None => None,
        };
        let Some(payload_type) = payload_type else {
            return;
        };
        let ours = self.pace.media_time_at(now);
        let offset = *echo
            .offset
            .get_or_insert_with(|| ours.wrapping_sub(packet.timestamp));
        let wire = self.rtp.send(
            now,
            payload_type,
            packet.marker,
            packet.timestamp.wrapping_add(offset),
            &self.payload,
        );
        out.datagram(self.local, remote, wire);
    }

    fn send_reports(&mut self, out: &mut Out) {
        while let Some(report) = self.rtp.poll_report() {
            self.send_report(report, out);
        }
    }

    fn send_report(&self, report: Bytes, out: &mut Out) {
        let Some(agreed) = &self.agreed else {
            return;
        };
        let Some(remote) = agreed.media.remote_rtcp() else {
            return;
        };
        let (local, remote) = if agreed.media.rtcp_mux() {
            (self.local, agreed.latched.unwrap_or(remote))
        } else {
            (self.local_reports, remote)
        };
        out.datagram(local, remote, report);
    }
}

impl Agreed {
    /// Where our media go; `None` while they shall not, or when nobody knows where.
    fn destination(&self) -> Option<SocketAddr> {
        self.latched
            .or_else(|| self.media.remote())
            .filter(|_| self.media.direction().sends())
    }

    fn decoder(&self, payload_type: u8) -> Option<&Decoder> {
        self.decoders
            .iter()
            .find(|(number, _)| *number == payload_type)
            .map(|(_, decoder)| decoder)
    }

    fn decoder_mut(&mut self, payload_type: u8) -> Option<&mut Decoder> {
        self.decoders
            .iter_mut()
            .find(|(number, _)| *number == payload_type)
            .map(|(_, decoder)| decoder)
    }
}

/// What all codecs that are built in have.
const RATE: u32 = 8_000;
