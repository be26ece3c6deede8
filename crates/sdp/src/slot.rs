//! One m= line through the life of a session.

use crate::{
    AnswerCodecs, Capabilities, Codec, CodecOrder, Ice, Media, MediaCapabilities,
    SessionDescription, Setup, bundle,
    describe::{Line, describe},
    negotiated::{RTCP_MUX, encodings},
    srtp::Protection,
};
use std::slice;

/// One m= line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slot {
    /// Which of our capabilities it carries
    pub(crate) capability: Option<usize>,
    /// What each payload type has meant so far in what we wrote
    pub(crate) ours: Vec<(u8, Codec)>,
    /// What each payload type has meant so far in what the peer wrote
    pub(crate) theirs: Vec<(u8, Codec)>,
    /// Which of two lines for one medium this is: the secure one, the plain one; `None` if there is only one
    pub(crate) secure: Option<bool>,
    /// The name of the line
    pub(crate) mid: Option<String>,
    /// Our part in the handshake, once it was said
    pub(crate) setup: Option<Setup>,
}

impl Slot {
    /// Our line in an offer; `None` if the policy or the values do not allow it. `elsewhere` is what payload types mean
    /// in other lines that may share a transport with it (RFC 9143 §9.1).
    pub(crate) fn offer(
        &mut self,
        session: &Capabilities,
        capability: &MediaCapabilities,
        elsewhere: &[(u8, Codec)],
    ) -> Option<Media> {
        let (protocol, protection) = Protection::offered(capability, self.secure)?;
        let mut formats: Vec<(u8, Codec)> = Vec::new();
        for codec in capability.encodings() {
            if let Some(number) = self.number(&codec, &formats, elsewhere) {
                formats.push((number, codec));
            }
        }
        self.remember_ours(&formats);
        let line = Line {
            protocol: &protocol,
            formats: &formats,
            protection: &protection,
            mid: self.mid.as_deref().filter(|_| session.bundle),
            rtcp_mux: capability.rtcp_mux || session.bundle,
            ice: true,
            ice_mismatch: false,
        };
        describe(session, capability, &line)
    }

    /// Our line in answer to `theirs`; `None` if it is turned down.
    pub(crate) fn answer(
        &mut self,
        offer: &SessionDescription,
        theirs: &Media,
        session: &Capabilities,
        capability: &MediaCapabilities,
    ) -> Option<Media> {
        offer.connection_of(theirs)?;
        let protection = Protection::answered(capability, offer, theirs, self.setup)?;
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
                self.number(&codec, &formats, &[])
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
        if let Protection::Dtls(_, setup) = &protection {
            self.setup = Some(*setup);
        }
        let mid = bundle::mid(theirs);
        let grouped = session.bundle && mid.is_some();
        let ice = Ice::of(offer, theirs).filter(|_| capability.ice.is_some());
        let has_default = ice.as_ref().map(|ice| ice.has_default(offer, theirs));
        let line = Line {
            protocol: theirs.protocol(),
            formats: &formats,
            protection: slice::from_ref(&protection),
            mid: mid.as_deref(),
            rtcp_mux: (capability.rtcp_mux || grouped) && theirs.attribute(RTCP_MUX).is_some(),
            ice: has_default == Some(true),
            ice_mismatch: has_default == Some(false),
        };
        describe(session, &answering, &line)
    }

    /// The payload type for a codec in what we write: the one it always had, the peer's, the wished, the one of
    /// RFC 3551, or a free one.
    fn number(
        &self,
        codec: &Codec,
        taken: &[(u8, Codec)],
        elsewhere: &[(u8, Codec)],
    ) -> Option<u8> {
        let is_taken = |number: u8| {
            taken.iter().any(|(other, _)| *other == number)
                || elsewhere
                    .iter()
                    .any(|(other, meaning)| *other == number && !meaning.matches(codec))
        };
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

    pub(crate) fn remember_theirs(&mut self, theirs: &Media) {
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
pub(crate) fn assign<'c>(
    slots: &mut [Slot],
    index: usize,
    offer: &SessionDescription,
    capabilities: &'c Capabilities,
) -> Option<&'c MediaCapabilities> {
    let theirs = offer.media().get(index)?;
    let usable = |media: &MediaCapabilities| {
        media.port != 0
            && media.kind.eq_ignore_ascii_case(theirs.kind())
            && Protection::answered(media, offer, theirs, None).is_some()
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
