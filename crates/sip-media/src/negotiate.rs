//! From what we can do to what both do.

use crate::NegotiateError;
use bytes::Bytes;
use sdp::{
    AnswerCodecs, Capabilities, Codec, CodecOrder, CodecPattern, Direction, MediaCapabilities,
    NegotiatedMedia, Session, SessionDescription,
};
use std::net::SocketAddr;

/// What an audio session would like.
///
/// ```
/// # use sip_media::{AudioPreferences, Codec};
/// let preferences = AudioPreferences::default().codecs([Codec::PCMA]).packet_time(30);
/// assert_ne!(preferences, AudioPreferences::default().prefer(["PCMA"]).without(["speex*"]));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct AudioPreferences {
    codecs: Vec<Codec>,
    telephone_event: bool,
    packet_time: u32,
    answer: AnswerCodecs,
    order: CodecOrder,
    rtcp_mux: bool,
}

impl AudioPreferences {
    /// The codecs in order of preference. Defaults to µ-law, then A-law; what is not built in is left out.
    #[must_use]
    pub fn codecs(mut self, codecs: impl IntoIterator<Item = Codec>) -> Self {
        self.codecs = codecs
            .into_iter()
            .filter(|codec| rtp::codec::by_name(codec.name(), codec.clock_rate()).is_some())
            .collect();
        self
    }

    /// Puts the codecs that the patterns mean in front (`PCMA`, `PCM*/8000`, `*`), in the order of the patterns; the others
    /// follow as they were.
    #[must_use]
    pub fn prefer<'p>(mut self, patterns: impl IntoIterator<Item = &'p str>) -> Self {
        let patterns: Vec<CodecPattern> = patterns.into_iter().map(CodecPattern::new).collect();
        self.codecs.sort_by_key(|codec| {
            let place = patterns.iter().position(|pattern| pattern.matches(codec));
            place.unwrap_or(patterns.len())
        });
        self
    }

    /// Takes out the codecs that the patterns mean.
    #[must_use]
    pub fn without<'p>(mut self, patterns: impl IntoIterator<Item = &'p str>) -> Self {
        let patterns: Vec<CodecPattern> = patterns.into_iter().map(CodecPattern::new).collect();
        self.codecs
            .retain(|codec| !patterns.iter().any(|pattern| pattern.matches(codec)));
        self
    }

    /// Whether keys are sent and received as telephone events (RFC 4733). Defaults to yes.
    #[must_use]
    pub const fn telephone_event(mut self, yes: bool) -> Self {
        self.telephone_event = yes;
        self
    }

    /// The milliseconds of a packet that we like to receive. Defaults to 20.
    #[must_use]
    pub const fn packet_time(mut self, milliseconds: u32) -> Self {
        self.packet_time = milliseconds;
        self
    }

    /// How many codecs an answer lists. Defaults to all in common.
    #[must_use]
    pub const fn answer(mut self, codecs: AnswerCodecs) -> Self {
        self.answer = codecs;
        self
    }

    /// Whose order of codecs counts in an answer. Defaults to the offerer's.
    #[must_use]
    pub const fn order(mut self, order: CodecOrder) -> Self {
        self.order = order;
        self
    }

    /// Whether RTCP may share RTP's port (RFC 5761). Defaults to no.
    #[must_use]
    pub const fn rtcp_mux(mut self, yes: bool) -> Self {
        self.rtcp_mux = yes;
        self
    }

    fn media(&self, port: u16) -> MediaCapabilities {
        MediaCapabilities::audio(port)
            .codecs(self.codecs.iter().cloned())
            .telephone_event(self.telephone_event)
            .packet_time(self.packet_time)
            .answer(self.answer)
            .order(self.order)
            .rtcp_mux(self.rtcp_mux)
    }
}

impl Default for AudioPreferences {
    fn default() -> Self {
        Self {
            codecs: vec![Codec::PCMU, Codec::PCMA],
            telephone_event: true,
            packet_time: 20,
            answer: AnswerCodecs::default(),
            order: CodecOrder::default(),
            rtcp_mux: false,
        }
    }
}

/// One call's side of offer and answer (RFC 3264), for one audio stream.
///
/// Offers and answers are the bodies of SIP messages; what comes of them goes to
/// [`MediaEngine::start`](crate::MediaEngine::start).
///
/// ```
/// # use sip_media::{Direction, Negotiation};
/// let mut alice = Negotiation::new(1, "192.0.2.1:4000".parse()?, &Default::default());
/// let mut bob = Negotiation::new(2, "192.0.2.2:5000".parse()?, &Default::default());
///
/// let (answer, audio) = bob.answer(alice.offer()?)?;
/// assert_eq!(audio.expect("accepted").remote(), Some("192.0.2.1:4000".parse()?));
/// alice.apply_answer(answer)?;
///
/// alice.set_direction(Direction::SendOnly); // hold
/// let (_, audio) = bob.answer(alice.offer()?)?;
/// assert_eq!(audio.expect("accepted").direction(), Direction::RecvOnly);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Negotiation {
    session: Session,
    capabilities: Capabilities,
}

impl Negotiation {
    /// A call that nothing was said about yet. `session_id` makes it unique in o=; `local` is where the peer shall send
    /// RTP, which may be an address that is not ours but leads to us.
    pub fn new(session_id: u64, local: SocketAddr, preferences: &AudioPreferences) -> Self {
        Self {
            session: Session::new(session_id),
            capabilities: Capabilities::new(local.ip()).media(preferences.media(local.port())),
        }
    }

    /// Sets what we want to do from the next offer or answer on: [`Direction::SendOnly`] holds the call.
    pub fn set_direction(&mut self, direction: Direction) {
        for media in self.capabilities.all_mut() {
            *media = media.clone().direction(direction);
        }
    }

    /// Writes an offer.
    pub fn offer(&mut self) -> Result<Bytes, NegotiateError> {
        Ok(self.session.offer(&self.capabilities)?.to_bytes())
    }

    /// Answers an offer; what was agreed on is `None` if audio was turned down or removed by the peer.
    pub fn answer(
        &mut self,
        offer: impl Into<Bytes>,
    ) -> Result<(Bytes, Option<NegotiatedMedia>), NegotiateError> {
        let offer = SessionDescription::parse(offer)?;
        let (answer, negotiated) = self.session.answer(&offer, &self.capabilities)?;
        Ok((answer.to_bytes(), negotiated.audio().cloned()))
    }

    /// Takes the answer to our offer; what was agreed on is `None` if the peer turned audio down.
    pub fn apply_answer(
        &mut self,
        answer: impl Into<Bytes>,
    ) -> Result<Option<NegotiatedMedia>, NegotiateError> {
        let answer = match SessionDescription::parse(answer) {
            Ok(answer) => answer,
            Err(error) => {
                self.session.abandon_offer();
                return Err(error.into());
            }
        };
        Ok(self.session.apply_answer(&answer)?.audio().cloned())
    }

    /// Gives up our outstanding offer; what was agreed on before stays.
    pub fn abandon_offer(&mut self) {
        self.session.abandon_offer();
    }

    /// Whether an offer of ours waits for its answer.
    pub const fn is_offer_pending(&self) -> bool {
        self.session.is_offer_pending()
    }

    /// Our description that is in force.
    pub fn local(&self) -> Option<Bytes> {
        self.session.local().map(SessionDescription::to_bytes)
    }
}
