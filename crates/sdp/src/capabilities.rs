//! What a party can do, and wants.

use crate::{
    Codec, CodecPattern, Direction, Ice, IllegalText, Keying, SrtpPolicy, attribute,
    line::check_word,
};
use std::net::{IpAddr, SocketAddr};

/// What a party can do with each of the media it wants, in the order of its m= lines.
///
/// The order stays the same for all offers and answers of a [`Session`](crate::Session): medium `n` of a re-offer is
/// medium `n` of the first. To hold or resume a call, offer the same with another direction.
///
/// ```
/// # use sdp::{AnswerCodecs, Capabilities, Codec, Direction, MediaCapabilities};
/// let talking = Capabilities::audio("192.0.2.1:4000".parse()?);
/// let holding = talking.clone().direction(Direction::SendOnly);
///
/// let picky = Capabilities::new("192.0.2.1".parse()?)
///     .media(MediaCapabilities::audio(4000).codecs([Codec::PCMA]).answer(AnswerCodecs::First));
/// assert_eq!(picky.all()[0].all_codecs()[0].name(), "PCMA");
/// # let _ = holding;
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    pub(crate) address: IpAddr,
    pub(crate) media: Vec<MediaCapabilities>,
    pub(crate) bundle: bool,
}

impl Capabilities {
    /// Nothing yet, at the address that peers shall send to.
    pub const fn new(address: IpAddr) -> Self {
        Self {
            address,
            media: Vec::new(),
            bundle: false,
        }
    }

    /// One audio stream with G.711 and keys, at the address that the peer shall send to.
    pub fn audio(address: SocketAddr) -> Self {
        Self::new(address.ip()).media(MediaCapabilities::audio(address.port()))
    }

    /// Adds a medium behind the others.
    #[must_use]
    pub fn media(mut self, media: MediaCapabilities) -> Self {
        self.media.push(media);
        self
    }

    /// Sets the direction of all media.
    #[must_use]
    pub fn direction(mut self, direction: Direction) -> Self {
        for media in &mut self.media {
            media.direction = direction;
        }
        self
    }

    /// Moves everything to another address, which becomes a change of the session.
    #[must_use]
    pub const fn address(mut self, address: IpAddr) -> Self {
        self.address = address;
        self
    }

    /// Whether the media may share one transport (RFC 9143), which makes them offer [`rtcp_mux`] as well. Defaults to no,
    /// because few peers but browsers know it.
    ///
    /// [`rtcp_mux`]: MediaCapabilities::rtcp_mux
    #[must_use]
    pub const fn bundle(mut self, yes: bool) -> Self {
        self.bundle = yes;
        self
    }

    /// The media.
    pub fn all(&self) -> &[MediaCapabilities] {
        &self.media
    }

    /// The media, to be changed.
    pub fn all_mut(&mut self) -> &mut [MediaCapabilities] {
        &mut self.media
    }
}

/// What a party can do with one medium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaCapabilities {
    pub(crate) kind: String,
    pub(crate) protocols: Vec<String>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
    pub(crate) rtcp_port: Option<u16>,
    pub(crate) rtcp_mux: bool,
    pub(crate) codecs: Vec<Codec>,
    pub(crate) telephone_event: bool,
    pub(crate) packet_time: Option<u32>,
    pub(crate) max_packet_time: Option<u32>,
    pub(crate) direction: Direction,
    pub(crate) answer: AnswerCodecs,
    pub(crate) order: CodecOrder,
    pub(crate) own_payload_types: bool,
    pub(crate) srtp: SrtpPolicy,
    pub(crate) keying: Vec<Keying>,
    pub(crate) ice: Option<Ice>,
    pub(crate) raw_attributes: Vec<(String, Option<String>)>,
}

impl MediaCapabilities {
    /// Media of a `kind` (`audio`, `video`, …) over plain RTP at `port`, without codecs yet. Port 0 says that the
    /// medium is not wanted: it is offered and answered as turned down.
    pub fn new(kind: &str, port: u16) -> Result<Self, IllegalText> {
        check_word(kind)?;
        Ok(Self::of_kind(kind, port))
    }

    fn of_kind(kind: &str, port: u16) -> Self {
        Self {
            kind: kind.into(),
            protocols: vec!["RTP/AVP".into(), "RTP/AVPF".into()],
            address: None,
            port,
            rtcp_port: None,
            rtcp_mux: false,
            codecs: Vec::new(),
            telephone_event: false,
            packet_time: None,
            max_packet_time: None,
            direction: Direction::SendRecv,
            answer: AnswerCodecs::All,
            order: CodecOrder::Offerer,
            own_payload_types: false,
            srtp: SrtpPolicy::Off,
            keying: Vec::new(),
            ice: None,
            raw_attributes: Vec::new(),
        }
    }

    /// Audio with µ-law and A-law, telephone events and packets of 20 ms.
    pub fn audio(port: u16) -> Self {
        Self::of_kind("audio", port)
            .codecs([Codec::PCMU, Codec::PCMA])
            .telephone_event(true)
            .packet_time(20)
    }

    /// The codecs in order of preference.
    #[must_use]
    pub fn codecs(mut self, codecs: impl IntoIterator<Item = Codec>) -> Self {
        self.codecs = codecs.into_iter().collect();
        self
    }

    /// Whether keys are sent and received as telephone events (RFC 4733), one for each clock rate of the codecs, or
    /// alone at 8000 Hz when there is no codec. Defaults to no, [`audio`](Self::audio) says yes.
    #[must_use]
    pub const fn telephone_event(mut self, yes: bool) -> Self {
        self.telephone_event = yes;
        self
    }

    /// The milliseconds of a packet that we like to receive. Defaults to saying nothing.
    #[must_use]
    pub const fn packet_time(mut self, milliseconds: u32) -> Self {
        self.packet_time = Some(milliseconds);
        self
    }

    /// The most milliseconds of a packet. Defaults to saying nothing.
    #[must_use]
    pub const fn max_packet_time(mut self, milliseconds: u32) -> Self {
        self.max_packet_time = Some(milliseconds);
        self
    }

    /// What we want to do. Defaults to sending and receiving.
    #[must_use]
    pub const fn direction(mut self, direction: Direction) -> Self {
        self.direction = direction;
        self
    }

    /// An address of its own. Defaults to the one of the [`Capabilities`].
    #[must_use]
    pub const fn address(mut self, address: IpAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// The port for RTCP (RFC 3605). Defaults to the one after RTP's.
    #[must_use]
    pub const fn rtcp_port(mut self, port: u16) -> Self {
        self.rtcp_port = Some(port);
        self
    }

    /// Whether RTCP may share RTP's port (RFC 5761). Defaults to no, because not every peer reads the offer.
    #[must_use]
    pub const fn rtcp_mux(mut self, yes: bool) -> Self {
        self.rtcp_mux = yes;
        self
    }

    /// The transport profiles that can be answered; the first is offered. Defaults to `RTP/AVP`, then `RTP/AVPF`.
    pub fn protocols<'p>(
        mut self,
        protocols: impl IntoIterator<Item = &'p str>,
    ) -> Result<Self, IllegalText> {
        self.protocols.clear();
        for protocol in protocols {
            check_word(protocol)?;
            self.protocols.push(protocol.to_owned());
        }
        Ok(self)
    }

    /// How many codecs an answer lists. Defaults to all in common, so that either may be sent at any time.
    #[must_use]
    pub const fn answer(mut self, codecs: AnswerCodecs) -> Self {
        self.answer = codecs;
        self
    }

    /// Whose preference counts in an answer. Defaults to the offerer's (RFC 3264 §6.1).
    #[must_use]
    pub const fn order(mut self, order: CodecOrder) -> Self {
        self.order = order;
        self
    }

    /// Whether answers use our own dynamic payload types where they differ from the offer's. Defaults to no, because
    /// RFC 3264 §6.1 says that an answer should use the offer's numbers.
    #[must_use]
    pub const fn own_payload_types(mut self, yes: bool) -> Self {
        self.own_payload_types = yes;
        self
    }

    /// Puts the codecs that the patterns mean in front, in the order of the patterns; the others follow as they were.
    #[must_use]
    pub fn prefer<'p>(mut self, patterns: impl IntoIterator<Item = &'p str>) -> Self {
        let patterns = CodecPattern::all(patterns);
        self.codecs
            .sort_by_key(|codec| CodecPattern::rank(&patterns, codec));
        self
    }

    /// Takes out the codecs that the patterns mean, telephone events included.
    #[must_use]
    pub fn without<'p>(mut self, patterns: impl IntoIterator<Item = &'p str>) -> Self {
        let patterns = CodecPattern::all(patterns);
        let is_meant = |codec: &Codec| patterns.iter().any(|pattern| pattern.matches(codec));
        self.codecs.retain(|codec| !is_meant(codec));
        self.telephone_event &= !is_meant(&Codec::telephone_event(8_000));
        self
    }

    /// Whether media are encrypted, and how keys are agreed on; the first way is offered, any is taken in answers.
    /// Defaults to not at all.
    ///
    /// ```
    /// # use sdp::{Capabilities, Crypto, Keying, MediaCapabilities, Session, SrtpPolicy};
    /// let keys = Keying::Sdes(vec![Crypto::new(1, "AES_CM_128_HMAC_SHA1_80", &[7; 30])]);
    /// let audio = MediaCapabilities::audio(4000).srtp(SrtpPolicy::Mandatory, [keys]);
    /// let offer = Session::new(1).offer(&Capabilities::new("192.0.2.1".parse()?).media(audio))?;
    /// assert_eq!(offer.media()[0].protocol(), "RTP/SAVP");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn srtp(mut self, policy: SrtpPolicy, keying: impl IntoIterator<Item = Keying>) -> Self {
        self.srtp = policy;
        self.keying = keying.into_iter().collect();
        self
    }

    /// What connectivity checks need, which is offered, and answered if the offer has the same. Defaults to none.
    #[must_use]
    pub fn ice(mut self, ice: Ice) -> Self {
        self.ice = Some(ice);
        self
    }

    /// An attribute that is written as it is into offers and answers. Defaults to none.
    pub fn raw_attribute(mut self, name: &str, value: Option<&str>) -> Result<Self, IllegalText> {
        attribute::raw(name, value)?;
        self.raw_attributes
            .push((name.to_owned(), value.map(str::to_owned)));
        Ok(self)
    }

    /// The codecs that were set.
    pub fn all_codecs(&self) -> &[Codec] {
        &self.codecs
    }

    pub(crate) fn is_for_events_only(&self) -> bool {
        self.codecs.iter().all(Codec::is_telephone_event)
    }

    /// The codecs and the telephone events that go with them.
    pub(crate) fn encodings(&self) -> Vec<Codec> {
        let mut encodings = self.codecs.clone();
        if self.telephone_event {
            let mut rates: Vec<u32> = Vec::new();
            for codec in &self.codecs {
                if !codec.is_telephone_event() && !rates.contains(&codec.clock_rate()) {
                    rates.push(codec.clock_rate());
                }
            }
            if rates.is_empty() {
                rates.push(8_000);
            }
            encodings.extend(rates.into_iter().map(Codec::telephone_event));
        }
        encodings
    }
}

/// How many codecs an answer lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerCodecs {
    /// All that both can
    #[default]
    All,
    /// The first that both can, and telephone events
    First,
}

/// Whose order of preference an answer follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CodecOrder {
    /// The offerer's
    #[default]
    Offerer,
    /// Our own
    Own,
}
