//! Offer and answer (RFC 3264).

use crate::{
    AnswerError, Capabilities, Connection, IceLite, IceUfrag, Media, MediaSecurity, Negotiated,
    NegotiatedMedia, OfferError, Origin, SessionDescription, SrtpPolicy, bundle,
    describe::turned_down,
    slot::{Slot, assign},
};
use std::{borrow::Cow, net::IpAddr};

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
        self.offer_with(capabilities, |_| ())
    }

    /// The same, with a last look at the offer before it gets its version: what `edit` makes of it is what is offered
    /// and what the answer is read against.
    pub fn offer_with(
        &mut self,
        capabilities: &Capabilities,
        edit: impl FnOnce(&mut SessionDescription),
    ) -> Result<SessionDescription, OfferError> {
        if self.offered.is_some() {
            return Err(OfferError::Pending);
        }
        let mut slots = self.slots.clone();
        end_duplicates(&mut slots, |capability| {
            let media = capabilities.media.get(capability);
            media.is_none_or(|media| media.srtp != SrtpPolicy::DuplicateOffer)
        });
        self.place(&mut slots, capabilities)?;
        if capabilities.bundle {
            name(&mut slots);
        }
        let mut description = self.head(capabilities);
        let mut bundled = Vec::new();
        for index in 0..slots.len() {
            let elsewhere: Vec<_> = if capabilities.bundle {
                let others = slots
                    .iter()
                    .enumerate()
                    .filter(|(other, _)| *other != index);
                others.flat_map(|(_, slot)| slot.ours.clone()).collect()
            } else {
                Vec::new()
            };
            let slot = &mut slots[index];
            let media = slot
                .capability
                .and_then(|capability| capabilities.media.get(capability))
                .filter(|capability| capability.port != 0)
                .and_then(|capability| slot.offer(capabilities, capability, &elsewhere));
            if capabilities.bundle && media.is_some() {
                bundled.push(index);
            }
            description.push_media(
                media.unwrap_or_else(|| self.removed(index, &slots[index], capabilities)),
            );
        }
        let in_force = match (&self.local, &self.remote) {
            (Some(local), Some(remote)) => bundle::agreed(local, remote),
            _ => Vec::new(),
        };
        // RFC 9143 §7.2.1, §7.5: addresses of their own at first, the shared one once it is in force.
        let share = !in_force.is_empty() && bundled.iter().all(|index| in_force.contains(index));
        bundle::join(&mut description, &bundled, share);
        say_lite(&mut description, capabilities);
        edit(&mut description);
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
        self.answer_with(offer, capabilities, |_| ())
    }

    /// The same, with a last look at the answer before it gets its version; what may flow is read from what `edit`
    /// makes of it.
    pub fn answer_with(
        &mut self,
        offer: &SessionDescription,
        capabilities: &Capabilities,
        edit: impl FnOnce(&mut SessionDescription),
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
        let (shared, tagged) = match capabilities.bundle {
            true => bundle::shared(offer),
            false => (Cow::Borrowed(offer), None),
        };
        let (said, offer) = (offer, &*shared);
        let mut slots = self.slots.clone();
        end_duplicates(&mut slots, |_| true);
        slots.resize_with(offer.media().len(), Slot::default);
        let mut description = self.head(capabilities);
        let mut accepted = 0;
        for (index, theirs) in offer.media().iter().enumerate() {
            let is_alone = || {
                let first = tagged.and_then(|first| description.media().get(first));
                first.is_none_or(Media::is_rejected)
            };
            // RFC 9143 §7.3.3: what is there only within a bundle goes with its first line.
            let is_only = said.media().get(index).is_some_and(bundle::is_bundle_only);
            let capability = match is_only && is_alone() {
                true => None,
                false => assign(&mut slots, index, offer, capabilities),
            };
            let ours = capability.and_then(|capability| {
                slots[index].answer(offer, theirs, capabilities, capability)
            });
            accepted += usize::from(ours.is_some());
            slots[index].remember_theirs(theirs);
            slots[index].mid = bundle::mid(theirs);
            description.push_media(ours.unwrap_or_else(|| turned_down(theirs)));
        }
        let wanted = offer.media().iter().filter(|media| !media.is_rejected());
        if accepted == 0 && wanted.count() > 0 {
            return Err(OfferError::NothingAcceptable);
        }
        if capabilities.bundle {
            let accepted = |index: &usize| {
                let media = description.media().get(*index);
                media.is_some_and(|media| !media.is_rejected())
            };
            let bundled: Vec<usize> = bundle::lines(offer).into_iter().filter(accepted).collect();
            bundle::join(&mut description, &bundled, true);
        }
        say_lite(&mut description, capabilities);
        edit(&mut description);
        self.stamp(&mut description, capabilities);
        let negotiated = negotiated(&description, offer, true);
        self.slots = slots;
        self.local = Some(description.clone());
        self.remote = Some(shared.into_owned());
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
            let pair = ((offer, ours), (answer, theirs));
            if !ours.is_rejected()
                && !theirs.is_rejected()
                && MediaSecurity::between(pair.0, pair.1, false).is_none()
            {
                return Err(AnswerError::Keys(index));
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
        settle_duplicates(&mut self.slots, &negotiated);
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

    /// The peer's description that is in force; a line that was offered only within a bundle has the transport it shares.
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
                None => {
                    let duplicate = media.srtp == SrtpPolicy::DuplicateOffer
                        && !media.keying.is_empty()
                        && media.port != 0
                        && slots.len() + 2 <= MEDIA;
                    let lines: &[Option<bool>] = if duplicate {
                        &[Some(true), Some(false)]
                    } else {
                        &[None]
                    };
                    slots.extend(lines.iter().map(|secure| Slot {
                        capability: Some(index),
                        secure: *secure,
                        ..Slot::default()
                    }));
                }
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

fn negotiated(
    local: &SessionDescription,
    remote: &SessionDescription,
    we_answered: bool,
) -> Negotiated {
    let (offer, answer) = if we_answered {
        (remote, local)
    } else {
        (local, remote)
    };
    let bundled = bundle::agreed(offer, answer);
    let pairs = local.media().iter().zip(remote.media()).enumerate();
    let mut media: Vec<Option<NegotiatedMedia>> = pairs
        .map(|(index, (ours, theirs))| {
            NegotiatedMedia::between(index, (local, ours), (remote, theirs), we_answered)
        })
        .collect();
    if let Some(tagged) = bundled.first().and_then(|first| media.get(*first)?.clone()) {
        for index in bundled {
            if let Some(Some(media)) = media.get_mut(index) {
                media.share(&tagged);
            }
        }
    }
    Negotiated { media }
}

/// RFC 8839 §5.3: a=ice-lite is about all media, and said where checks are spoken of.
fn say_lite(description: &mut SessionDescription, capabilities: &Capabilities) {
    let speaks = |media: &Media| media.get::<IceUfrag>().is_some();
    let mut own = capabilities
        .media
        .iter()
        .filter_map(|media| media.ice.as_ref());
    if description.media().iter().any(speaks) && own.all(|ice| ice.is_lite) {
        description
            .push_attribute(&IceLite)
            .expect("it has no value");
    }
}

/// Gives names to the lines that have none.
fn name(slots: &mut [Slot]) {
    let mut next = 0_usize;
    for index in 0..slots.len() {
        while slots[index].mid.is_none() {
            let name = next.to_string();
            next += 1;
            if slots.iter().all(|slot| slot.mid.as_ref() != Some(&name)) {
                slots[index].mid = Some(name);
            }
        }
    }
}

/// Of two lines for one medium, of which none was accepted, the plain one is given up.
fn end_duplicates(slots: &mut [Slot], is_over: impl Fn(usize) -> bool) {
    for index in 0..slots.len() {
        let Some(capability) = slots[index].capability.filter(|number| is_over(*number)) else {
            continue;
        };
        let is_twin =
            |slot: &Slot| slot.capability == Some(capability) && slot.secure == Some(true);
        if slots[index].secure == Some(false) && slots.iter().any(is_twin) {
            slots[index].capability = None;
            slots[index].secure = None;
        }
    }
}

/// Of two lines that were offered for one medium, the first that was accepted carries it from now on.
fn settle_duplicates(slots: &mut [Slot], negotiated: &Negotiated) {
    for index in 0..slots.len() {
        let accepted = negotiated.media.get(index).is_some_and(Option::is_some);
        if !accepted || slots[index].secure.is_none() {
            continue;
        }
        let capability = slots[index].capability;
        for (other, slot) in slots.iter_mut().enumerate() {
            if other != index && slot.secure.is_some() && slot.capability == capability {
                slot.capability = None;
                slot.secure = None;
            }
        }
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
