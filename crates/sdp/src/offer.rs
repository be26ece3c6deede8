//! Offer and answer (RFC 3264).

use crate::{
    AnswerCodecs, AnswerError, Capabilities, Codec, CodecOrder, Connection, Fmtp, MaxPacketTime,
    Media, MediaCapabilities, Negotiated, NegotiatedMedia, OfferError, Origin, PacketTime, Rtcp,
    SessionDescription,
    negotiated::{RTCP_MUX, encodings},
};
use std::net::IpAddr;

/// One party's side of a session: what it said last, what is in force, and whether an offer of its own is outstanding.
///
/// ```text
///              offer                      answer received, or given up
///   Stable ------------> Offered ----------------------------------------> Stable
///     |  ^
///     '--' offer received and answered
/// ```
///
/// - Each m= line keeps its place for ever; one that is turned down or removed has port 0 (RFC 3264 §6, §8.2).
/// - A payload type never changes its meaning during the session (§8.3.2).
/// - The version in o= grows by one when something changed since the description that was sent last, and only then (§8).
/// - A failed offer or answer leaves what was in force in force.
#[derive(Clone, Debug)]
pub struct Session {
    session_id: u64,
    version: u64,
    /// The o= address of the first description; it never changes
    origin_address: Option<IpAddr>,
    /// The last description that was written, without its o= line
    last_sent: Option<String>,
    slots: Vec<Slot>,
    local: Option<SessionDescription>,
    remote: Option<SessionDescription>,
    offered: Option<Offered>,
}

#[derive(Clone, Debug)]
struct Offered {
    description: SessionDescription,
    slots: Vec<Slot>,
}

/// One m= line.
#[derive(Clone, Debug, Default)]
struct Slot {
    /// Which of our capabilities it carries
    capability: Option<usize>,
    /// What each payload type has meant so far in what we wrote
    ours: Vec<(u8, Codec)>,
    /// What each payload type has meant so far in what the peer wrote
    theirs: Vec<(u8, Codec)>,
}

impl Session {
    /// A session that nothing was said about yet. The number goes into o=, where it makes the session unique
    /// (RFC 8866 §5.2); the first version has the same number.
    pub const fn new(session_id: u64) -> Self {
        // JSEP (RFC 8829 §5.2.1) keeps the highest bit clear, because some read signed numbers; another bit is left for
        // versions to grow into.
        let session_id = session_id & (u64::MAX >> 2);
        Self {
            session_id,
            version: session_id,
            origin_address: None,
            last_sent: None,
            slots: Vec::new(),
            local: None,
            remote: None,
            offered: None,
        }
    }

    /// Writes an offer: the first of the session, one without which an INVITE came, or one that changes the session.
    pub fn offer(&mut self, capabilities: &Capabilities) -> Result<SessionDescription, OfferError> {
        if self.offered.is_some() {
            return Err(OfferError::Pending);
        }
        let mut slots = self.slots.clone();
        self.place(&mut slots, capabilities)?;
        let mut description = self.head(capabilities);
        for (index, slot) in slots.iter_mut().enumerate() {
            let capability = slot
                .capability
                .and_then(|capability| capabilities.media.get(capability))
                .filter(|capability| capability.port != 0);
            description.push_media(match capability {
                Some(capability) => slot.offer(capabilities, capability),
                None => self.removed(index, slot, capabilities),
            });
        }
        self.stamp(&mut description, capabilities);
        self.offered = Some(Offered {
            description: description.clone(),
            slots,
        });
        Ok(description)
    }

    /// Answers an offer, and says what may flow from now on.
    pub fn answer(
        &mut self,
        offer: &SessionDescription,
        capabilities: &Capabilities,
    ) -> Result<(SessionDescription, Negotiated), OfferError> {
        if self.offered.is_some() {
            return Err(OfferError::Pending);
        }
        if offer.media().len() < self.slots.len() {
            return Err(OfferError::MediaRemoved {
                offered: offer.media().len(),
                session: self.slots.len(),
            });
        }
        let mut slots = self.slots.clone();
        slots.resize_with(offer.media().len(), Slot::default);
        let mut description = self.head(capabilities);
        let mut accepted = 0;
        for (index, theirs) in offer.media().iter().enumerate() {
            let capability = assign(&mut slots, index, offer, capabilities);
            let ours = capability.and_then(|capability| {
                slots[index].answer(offer, theirs, capabilities, capability)
            });
            accepted += usize::from(ours.is_some());
            slots[index].remember_theirs(theirs);
            description.push_media(ours.unwrap_or_else(|| turned_down(theirs)));
        }
        let wanted = offer.media().iter().filter(|media| !media.is_rejected());
        if accepted == 0 && wanted.count() > 0 {
            return Err(OfferError::NothingAcceptable);
        }
        self.stamp(&mut description, capabilities);
        let negotiated = negotiated(&description, offer, true);
        self.slots = slots;
        self.local = Some(description.clone());
        self.remote = Some(offer.clone());
        Ok((description, negotiated))
    }

    /// Takes the answer to our outstanding offer.
    pub fn apply_answer(&mut self, answer: &SessionDescription) -> Result<Negotiated, AnswerError> {
        let offered = self.offered.take().ok_or(AnswerError::NotOffered)?;
        let offer = &offered.description;
        if answer.media().len() != offer.media().len() {
            return Err(AnswerError::MediaCount {
                answered: answer.media().len(),
                offered: offer.media().len(),
            });
        }
        for (index, (ours, theirs)) in offer.media().iter().zip(answer.media()).enumerate() {
            // A line that is turned down needs no more than its place.
            if !theirs.is_rejected()
                && (!ours.kind().eq_ignore_ascii_case(theirs.kind())
                    || !ours.protocol().eq_ignore_ascii_case(theirs.protocol()))
            {
                return Err(AnswerError::MediaMismatch(index));
            }
        }
        let negotiated = negotiated(offer, answer, false);
        let accepted = offer
            .media()
            .iter()
            .zip(answer.media())
            .any(|(ours, theirs)| !ours.is_rejected() && !theirs.is_rejected());
        if accepted && negotiated.media.iter().all(Option::is_none) {
            return Err(AnswerError::NoCommonCodec);
        }
        self.slots = offered.slots;
        for (slot, theirs) in self.slots.iter_mut().zip(answer.media()) {
            slot.remember_theirs(theirs);
        }
        self.local = Some(offered.description);
        self.remote = Some(answer.clone());
        Ok(negotiated)
    }

    /// Gives up our outstanding offer, because it was turned down or never answered; what was in force stays so.
    pub fn abandon_offer(&mut self) {
        self.offered = None;
    }

    /// Whether an offer of ours waits for its answer.
    pub const fn is_offer_pending(&self) -> bool {
        self.offered.is_some()
    }

    /// Our description that is in force.
    pub const fn local(&self) -> Option<&SessionDescription> {
        self.local.as_ref()
    }

    /// The peer's description that is in force.
    pub const fn remote(&self) -> Option<&SessionDescription> {
        self.remote.as_ref()
    }

    fn head(&self, capabilities: &Capabilities) -> SessionDescription {
        let address = self.origin_address.unwrap_or(capabilities.address);
        let origin = Origin::new(self.session_id, self.version, address);
        let mut description = SessionDescription::new(&origin);
        description.set_connection(&Connection::new(capabilities.address));
        description
    }

    /// Gives the description its version.
    fn stamp(&mut self, description: &mut SessionDescription, capabilities: &Capabilities) {
        let address = *self.origin_address.get_or_insert(capabilities.address);
        let content = without_origin(description);
        if self.last_sent.as_ref().is_some_and(|last| *last != content) {
            self.version += 1;
        }
        self.last_sent = Some(content);
        description.set_origin(&Origin::new(self.session_id, self.version, address));
    }

    /// Finds a place for each of our media that has none: the line of one that is gone on both sides, else a new line
    /// (RFC 3264 §8.1).
    fn place(&self, slots: &mut Vec<Slot>, capabilities: &Capabilities) -> Result<(), OfferError> {
        for (index, media) in capabilities.media.iter().enumerate() {
            if slots.iter().any(|slot| slot.capability == Some(index)) {
                continue;
            }
            let free = self
                .local
                .as_ref()
                .zip(self.remote.as_ref())
                .and_then(|(local, remote)| {
                    local
                        .media()
                        .iter()
                        .zip(remote.media())
                        .zip(slots.iter())
                        .position(|((ours, theirs), slot)| {
                            ours.is_rejected()
                                && theirs.is_rejected()
                                && slot.capability.is_none()
                                && ours.kind() == media.kind
                        })
                });
            match free {
                Some(place) => slots[place].capability = Some(index),
                None if slots.len() == MEDIA => return Err(OfferError::TooManyMedia(MEDIA)),
                None => slots.push(Slot {
                    capability: Some(index),
                    ..Slot::default()
                }),
            }
        }
        Ok(())
    }

    /// An m= line that we do not want, or want no more.
    fn removed(&self, index: usize, slot: &Slot, capabilities: &Capabilities) -> Media {
        let before = self
            .local
            .as_ref()
            .and_then(|local| local.media().get(index));
        match before {
            Some(media) => turned_down(media),
            None => {
                let capability = slot
                    .capability
                    .and_then(|capability| capabilities.media.get(capability));
                let kind = capability.map_or("audio", |media| media.kind.as_str());
                let protocol = capability
                    .and_then(|media| media.protocols.first())
                    .map_or("RTP/AVP", String::as_str);
                Media::new(kind, 0, protocol, ["0"]).unwrap_or_else(|_| {
                    Media::new("audio", 0, "RTP/AVP", ["0"]).expect("these words are legal")
                })
            }
        }
    }
}

impl Slot {
    fn offer(&mut self, session: &Capabilities, capability: &MediaCapabilities) -> Media {
        let mut formats: Vec<(u8, Codec)> = Vec::new();
        for codec in capability.encodings() {
            if let Some(number) = self.number(&codec, &formats) {
                formats.push((number, codec));
            }
        }
        self.remember_ours(&formats);
        let protocol = capability
            .protocols
            .first()
            .map_or("RTP/AVP", String::as_str);
        describe(session, capability, protocol, &formats, capability.rtcp_mux)
    }

    /// Our line in answer to `theirs`; `None` if it is turned down.
    fn answer(
        &mut self,
        offer: &SessionDescription,
        theirs: &Media,
        session: &Capabilities,
        capability: &MediaCapabilities,
    ) -> Option<Media> {
        offer.connection_of(theirs)?;
        let offered = encodings(theirs);
        let own = capability.encodings();
        let mut common: Vec<(u8, Codec)> = match capability.order {
            CodecOrder::Offerer => offered
                .iter()
                .filter_map(|(number, codec)| {
                    let own = own.iter().find(|own| own.matches(codec))?;
                    Some((*number, own.clone()))
                })
                .collect(),
            CodecOrder::Own => own
                .into_iter()
                .filter_map(|own| {
                    let (number, _) = offered.iter().find(|(_, codec)| codec.matches(&own))?;
                    Some((*number, own))
                })
                .collect(),
        };
        let main = common
            .iter()
            .find(|(_, codec)| !codec.is_telephone_event())
            .map(|(number, codec)| (*number, codec.clock_rate()));
        match main {
            // Keys without a codec are media only where no codec is wanted.
            None if !capability.is_for_events_only() => return None,
            Some((first, rate)) if capability.answer == AnswerCodecs::First => {
                common.retain(|(number, codec)| {
                    *number == first || (codec.is_telephone_event() && codec.clock_rate() == rate)
                });
            }
            _ => {}
        }
        let mut formats: Vec<(u8, Codec)> = Vec::new();
        for (offered, codec) in common {
            let taken = formats.iter().any(|(number, _)| *number == offered);
            let mirrored =
                !capability.own_payload_types && !taken && self.may_mean(offered, &codec);
            let number = if mirrored {
                Some(offered)
            } else {
                self.number(&codec, &formats)
            };
            if let Some(number) = number {
                formats.push((number, codec));
            }
        }
        if formats.is_empty() {
            return None;
        }
        self.remember_ours(&formats);
        let wanted = offer.direction_of(theirs);
        let on_hold = offer
            .connection_of(theirs)
            .is_some_and(|connection| connection.is_unspecified());
        let mut answering = capability.clone();
        answering.direction = wanted
            .reversed()
            .and(capability.direction)
            // RFC 3264 §8.4: an old peer that asks for nothing to be sent.
            .and(crate::Direction::new(!on_hold, true));
        let mux = capability.rtcp_mux && theirs.attribute(RTCP_MUX).is_some();
        Some(describe(
            session,
            &answering,
            theirs.protocol(),
            &formats,
            mux,
        ))
    }

    /// The payload type for a codec in what we write: the one it always had, the peer's, the wished, the one of
    /// RFC 3551, or a free one.
    fn number(&self, codec: &Codec, taken: &[(u8, Codec)]) -> Option<u8> {
        let is_taken = |number: u8| taken.iter().any(|(other, _)| *other == number);
        let known = self
            .ours
            .iter()
            .chain(&self.theirs)
            .find(|(number, other)| {
                other.matches(codec) && !is_taken(*number) && self.may_mean(*number, codec)
            })
            .map(|(number, _)| *number);
        known.or_else(|| {
            let is_new = |number: &u8| {
                *number < 128
                    && !is_taken(*number)
                    && [&self.ours, &self.theirs]
                        .iter()
                        .all(|said| said.iter().all(|(other, _)| other != number))
            };
            codec
                .static_payload_type()
                .filter(|number| !is_taken(*number) && self.may_mean(*number, codec))
                .or_else(|| codec.payload_type().filter(is_new))
                // RFC 3551 §3: dynamic ones first, then what is unassigned there and safe beside RTCP (RFC 5761 §4).
                .or_else(|| (96..128).chain(35..64).find(is_new))
        })
    }

    /// RFC 3264 §8.3.2: a payload type that we gave a meaning keeps it.
    fn may_mean(&self, number: u8, codec: &Codec) -> bool {
        self.ours
            .iter()
            .all(|(other, meaning)| *other != number || meaning.matches(codec))
    }

    fn remember_ours(&mut self, formats: &[(u8, Codec)]) {
        remember(&mut self.ours, formats);
    }

    fn remember_theirs(&mut self, theirs: &Media) {
        remember(&mut self.theirs, &encodings(theirs));
    }
}

/// Bounded by the 128 payload types that there are.
fn remember(said: &mut Vec<(u8, Codec)>, formats: &[(u8, Codec)]) {
    for (number, codec) in formats {
        if said.iter().all(|(other, _)| other != number) {
            said.push((*number, codec.clone()));
        }
    }
}

/// Which of our capabilities answers m= line `index`: the one it had, else the first unused of its kind and protocol.
fn assign<'c>(
    slots: &mut [Slot],
    index: usize,
    offer: &SessionDescription,
    capabilities: &'c Capabilities,
) -> Option<&'c MediaCapabilities> {
    let theirs = offer.media().get(index)?;
    let usable = |media: &MediaCapabilities| {
        media.port != 0
            && media.kind.eq_ignore_ascii_case(theirs.kind())
            && media
                .protocols
                .iter()
                .any(|protocol| protocol.eq_ignore_ascii_case(theirs.protocol()))
    };
    if theirs.is_rejected() {
        slots[index].capability = None;
        return None;
    }
    let is_usable = |number: &usize| capabilities.media.get(*number).is_some_and(usable);
    let capability = match slots[index].capability.filter(is_usable) {
        Some(capability) => capability,
        // RFC 3264 §8.3.3: a line may even change its kind.
        None => {
            let used =
                |capability: usize| slots.iter().any(|slot| slot.capability == Some(capability));
            let own = |capability: &MediaCapabilities| {
                let encodings = capability.encodings();
                encodings_match(theirs, &encodings, capability.is_for_events_only())
            };
            let free =
                |&(number, media): &(usize, &MediaCapabilities)| usable(media) && !used(number);
            let mut candidates = capabilities.media.iter().enumerate().filter(free);
            let (capability, _) = candidates.find(|(_, media)| own(media))?;
            slots[index].capability = Some(capability);
            capability
        }
    };
    capabilities.media.get(capability)
}

fn encodings_match(theirs: &Media, own: &[Codec], events_only: bool) -> bool {
    encodings(theirs).iter().any(|(_, codec)| {
        (events_only || !codec.is_telephone_event()) && own.iter().any(|own| own.matches(codec))
    })
}

fn describe(
    session: &Capabilities,
    capability: &MediaCapabilities,
    protocol: &str,
    formats: &[(u8, Codec)],
    rtcp_mux: bool,
) -> Media {
    let numbers: Vec<String> = formats
        .iter()
        .map(|(number, _)| number.to_string())
        .collect();
    let mut media = Media::new(
        &capability.kind,
        capability.port,
        protocol,
        numbers.iter().map(String::as_str),
    )
    .expect("kind and protocol are words");
    if let Some(address) = capability.address.filter(|own| *own != session.address) {
        media.set_connection(&Connection::new(address));
    }
    let legal = "these values have no control characters";
    for (number, codec) in formats {
        if let Some(map) = codec.rtp_map(*number) {
            media.push_attribute(&map).expect(legal);
        }
        if let Some(parameters) = codec.fmtp() {
            let fmtp = Fmtp::new(&number.to_string(), parameters).expect(legal);
            media.push_attribute(&fmtp).expect(legal);
        }
    }
    if let Some(milliseconds) = capability.packet_time {
        media
            .push_attribute(&PacketTime(milliseconds))
            .expect(legal);
    }
    if let Some(milliseconds) = capability.max_packet_time {
        media
            .push_attribute(&MaxPacketTime(milliseconds))
            .expect(legal);
    }
    if let Some(port) = capability
        .rtcp_port
        .filter(|port| Some(*port) != capability.port.checked_add(1))
    {
        media.push_attribute(&Rtcp::new(port)).expect(legal);
    }
    if rtcp_mux {
        media.push_raw_attribute(RTCP_MUX, None).expect(legal);
    }
    media.set_direction(capability.direction);
    media
}

/// RFC 3264 §6: a line that is turned down keeps its kind, protocol and formats, which no one reads.
fn turned_down(media: &Media) -> Media {
    Media::new(media.kind(), 0, media.protocol(), media.formats())
        .expect("the words were read from a line")
}

fn negotiated(
    local: &SessionDescription,
    remote: &SessionDescription,
    we_answered: bool,
) -> Negotiated {
    Negotiated {
        media: local
            .media()
            .iter()
            .zip(remote.media())
            .enumerate()
            .map(|(index, (ours, theirs))| {
                NegotiatedMedia::between(index, (local, ours), (remote, theirs), we_answered)
            })
            .collect(),
    }
}

fn without_origin(description: &SessionDescription) -> String {
    let mut content = String::new();
    let media = description.media().iter().flat_map(Media::lines);
    for line in description.lines().chain(media) {
        if let Some(letter) = line.letter().filter(|letter| *letter != 'o') {
            content.push(letter);
            content.push_str(&line.text());
            content.push('\n');
        }
    }
    content
}

/// The most m= lines that we write, the parser's default limit.
const MEDIA: usize = 64;
