//! Whether media are encrypted, and with which keys (RFC 4568, RFC 5763).

use crate::{
    Crypto, Fingerprint, Media, MediaCapabilities, SessionDescription, Setup, TypedAttribute,
    attribute,
};

/// Whether media must be, may be or are not encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SrtpPolicy {
    /// Never: keys in offers are not read
    #[default]
    Off,
    /// Keys are offered beside the plain profile (`RTP/AVP` with a=crypto) and taken if they are offered
    Optional,
    /// The secure profile is offered, and nothing is accepted without keys
    Mandatory,
    /// Two m= lines are offered, a secure one and a plain one, of which the peer takes one; answers as if optional
    DuplicateOffer,
}

/// A way to agree on keys, with what we bring to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keying {
    /// Keys in the description (RFC 4568), in order of preference and with one key for each suite; answers repeat
    /// the offer's tag
    Sdes(Vec<Crypto>),
    /// A handshake on the media path (RFC 5763), with the certificate that we will show
    Dtls(Fingerprint),
}

/// How what was agreed on is protected, seen by one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MediaSecurity {
    /// Not at all
    #[default]
    Plain,
    /// With keys out of the descriptions
    Sdes {
        /// Ours
        send: Crypto,
        /// The peer's
        receive: Crypto,
    },
    /// With keys out of a handshake
    Dtls {
        /// What the peer's certificate must give; any of them will do
        fingerprints: Vec<Fingerprint>,
        /// Our part: [`Setup::Active`] opens the handshake
        setup: Setup,
    },
}

/// What an answer says to the keys of an offer.
#[derive(Clone, Debug)]
pub(crate) enum Protection {
    Plain,
    Sdes(Crypto),
    Dtls(Fingerprint, Setup),
}

impl Protection {
    /// What we offer on one line: the profile and the keys. `None` if the policy wants keys and there are none.
    pub(crate) fn offered(
        capability: &MediaCapabilities,
        secure_line: Option<bool>,
    ) -> Option<(String, Vec<Self>)> {
        let plain = capability
            .protocols
            .first()
            .map_or("RTP/AVP", String::as_str);
        let keying = capability.keying.first();
        let offers = |keying: &Keying| match keying {
            Keying::Sdes(own) => own.iter().cloned().map(Self::Sdes).collect(),
            Keying::Dtls(own) => vec![Self::Dtls(own.clone(), Setup::ActPass)],
        };
        match (capability.srtp, secure_line, keying) {
            (SrtpPolicy::Mandatory, _, None) => None,
            (SrtpPolicy::Off, _, _) | (_, Some(false), _) | (_, _, None) => {
                Some((plain.to_owned(), Vec::new()))
            }
            (SrtpPolicy::Optional, _, Some(keying)) => Some((plain.to_owned(), offers(keying))),
            (SrtpPolicy::Mandatory | SrtpPolicy::DuplicateOffer, _, Some(keying)) => {
                Some((secure_profile(plain, keying), offers(keying)))
            }
        }
    }

    /// What we answer to `theirs`; `None` if that cannot be accepted.
    pub(crate) fn answered(
        capability: &MediaCapabilities,
        offer: &SessionDescription,
        theirs: &Media,
        before: Option<Setup>,
    ) -> Option<Self> {
        let is = |protocol: &str| protocol.eq_ignore_ascii_case(theirs.protocol());
        let plain = capability.protocols.iter().any(|protocol| is(protocol));
        if capability.srtp == SrtpPolicy::Off {
            return plain.then_some(Self::Plain);
        }
        let agreed = capability.keying.iter().find_map(|keying| {
            let secure = |plain: &String| is(&secure_profile(plain, keying));
            if !plain && !capability.protocols.iter().any(secure) {
                return None;
            }
            match keying {
                Keying::Sdes(own) => all::<Crypto>(None, theirs).iter().find_map(|offered| {
                    let own = own.iter().find(|own| fits(own, offered))?;
                    let tag = offered.tag;
                    Some(Self::Sdes(Crypto { tag, ..own.clone() }))
                }),
                Keying::Dtls(own) => {
                    all::<Fingerprint>(Some(offer), theirs).first()?;
                    let setups = all::<Setup>(Some(offer), theirs);
                    // RFC 4145 §4: an offer without a=setup is active. RFC 8842 §5.5: who has a part keeps it.
                    let offered = setups.first().copied().unwrap_or(Setup::Active);
                    let setup = offered.answer(before.unwrap_or(Setup::Active));
                    Some(Self::Dtls(own.clone(), setup))
                }
            }
        });
        let may_be_plain = plain && capability.srtp != SrtpPolicy::Mandatory;
        agreed.or_else(|| (may_be_plain && !is_secure(theirs)).then_some(Self::Plain))
    }

    pub(crate) fn write(&self, media: &mut Media) -> Result<(), crate::IllegalText> {
        match self {
            Self::Plain => Ok(()),
            Self::Sdes(crypto) => media.push_attribute(crypto),
            Self::Dtls(fingerprint, setup) => {
                media.push_attribute(fingerprint)?;
                media.push_attribute(setup)
            }
        }
    }
}

impl MediaSecurity {
    /// What two lines agree on; `None` if one of them wants keys and they do not fit.
    pub(crate) fn between(
        (local, ours): (&SessionDescription, &Media),
        (remote, theirs): (&SessionDescription, &Media),
        we_answered: bool,
    ) -> Option<Self> {
        let own_prints = all::<Fingerprint>(Some(local), ours);
        let fingerprints = all::<Fingerprint>(Some(remote), theirs);
        if !own_prints.is_empty() && !fingerprints.is_empty() {
            let (description, answer) = if we_answered {
                (local, ours)
            } else {
                (remote, theirs)
            };
            let answered = all::<Setup>(Some(description), answer).first().copied();
            let setup = match (answered.unwrap_or(Setup::Active), we_answered) {
                (Setup::HoldConn, _) => Setup::HoldConn,
                (Setup::Passive, true) | (Setup::Active | Setup::ActPass, false) => Setup::Passive,
                (Setup::Active | Setup::ActPass, true) | (Setup::Passive, false) => Setup::Active,
            };
            return Some(Self::Dtls {
                fingerprints,
                setup,
            });
        }
        let (own_keys, their_keys) = (all::<Crypto>(None, ours), all::<Crypto>(None, theirs));
        let (answered, offered) = if we_answered {
            (&own_keys, &their_keys)
        } else {
            (&their_keys, &own_keys)
        };
        if let Some(answered) = answered.first() {
            // RFC 4568 §5.1.3: tag and suite must be those of one that was offered.
            let offered = offered
                .iter()
                .find(|offered| offered.tag == answered.tag && offered.suite == answered.suite);
            return match (offered, we_answered) {
                (Some(offered), true) => Some(Self::Sdes {
                    send: answered.clone(),
                    receive: offered.clone(),
                }),
                (Some(offered), false) if fits(offered, answered) => Some(Self::Sdes {
                    send: offered.clone(),
                    receive: answered.clone(),
                }),
                // Keys that no one asked for: RFC 4568 §5.1.3 has the answer refused.
                _ => None,
            };
        }
        // A profile without keys is for those who bring them otherwise, and do so on purpose.
        let brought = !own_keys.is_empty() || !own_prints.is_empty();
        (!is_secure(ours) || !brought).then_some(Self::Plain)
    }
}

/// RFC 4568 §5.1.2: the same suite, session parameters that we know, keys of the right length.
fn fits(own: &Crypto, offered: &Crypto) -> bool {
    let right_length = |length: usize| {
        let is_right = |bytes: Vec<u8>| bytes.len() == length;
        offered
            .keys
            .iter()
            .all(|key| key.material().is_some_and(is_right))
    };
    own.suite == offered.suite
        && (offered.session_parameters.is_empty()
            || offered.session_parameters == own.session_parameters)
        && own.material_length().is_none_or(right_length)
}

pub(crate) fn is_secure(media: &Media) -> bool {
    let profile = media.protocol().rsplit('/').next().unwrap_or_default();
    profile.eq_ignore_ascii_case("SAVP") || profile.eq_ignore_ascii_case("SAVPF")
}

/// The values of an attribute of the media, or of the session where they have none; what is malformed is left out.
pub(crate) fn all<A: TypedAttribute>(
    session: Option<&SessionDescription>,
    media: &Media,
) -> Vec<A> {
    let own: Vec<A> = attribute::typed(media.attributes()).flatten().collect();
    match session {
        Some(session) if own.is_empty() => {
            attribute::typed(session.attributes()).flatten().collect()
        }
        _ => own,
    }
}

fn secure_profile(plain: &str, keying: &Keying) -> String {
    let secure = match plain {
        "RTP/AVP" => "RTP/SAVP",
        "RTP/AVPF" => "RTP/SAVPF",
        other => return other.to_owned(),
    };
    match keying {
        Keying::Sdes(_) => secure.to_owned(),
        Keying::Dtls(_) => format!("UDP/TLS/{secure}"),
    }
}
