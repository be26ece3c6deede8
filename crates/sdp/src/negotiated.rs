//! What both sides may do after an answer.

use crate::{
    Codec, Direction, Fmtp, Ice, MaxPacketTime, Media, MediaSecurity, PacketTime, Rtcp, RtpMap,
    SessionDescription, TypedAttribute as _,
};
use std::net::SocketAddr;

/// What was agreed on, seen by one side, m= line for m= line.
///
/// The views of the two sides complement each other: what one sends (payload type, codec, address) is what the other
/// receives there. They need not be equal: payload types may differ per direction (RFC 3264 §5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Negotiated {
    pub(crate) media: Vec<Option<NegotiatedMedia>>,
}

impl Negotiated {
    /// The m= lines in order; `None` where one was turned down.
    pub fn media(&self) -> &[Option<NegotiatedMedia>] {
        &self.media
    }

    /// The first audio stream that was accepted and has a codec.
    pub fn audio(&self) -> Option<&NegotiatedMedia> {
        self.media
            .iter()
            .flatten()
            .find(|media| media.kind == "audio" && !media.codec.is_telephone_event())
    }
}

/// What was agreed on about one m= line, seen by one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegotiatedMedia {
    index: usize,
    kind: String,
    protocol: String,
    remote_host: String,
    remote: Option<SocketAddr>,
    remote_rtcp: Option<SocketAddr>,
    rtcp_mux: bool,
    codec: Codec,
    send_payload_type: u8,
    receive: Vec<(u8, Codec)>,
    send_telephone_event: Option<u8>,
    direction: Direction,
    packet_time: Option<u32>,
    security: MediaSecurity,
    ice: Option<Ice>,
    bundled_with: Option<usize>,
}

impl NegotiatedMedia {
    /// Reads what `local` and `remote` agree on, where one of them answers the other.
    ///
    /// The order of the answer decides what is sent (RFC 3264 §7).
    pub(crate) fn between(
        index: usize,
        (local, ours): (&SessionDescription, &Media),
        (remote, theirs): (&SessionDescription, &Media),
        we_answered: bool,
    ) -> Option<Self> {
        if ours.is_rejected() || theirs.is_rejected() {
            return None;
        }
        let security = MediaSecurity::between((local, ours), (remote, theirs), we_answered)?;
        let ice = Ice::of(local, ours).and_then(|_| Ice::of(remote, theirs));
        let receive = encodings(ours);
        let send = encodings(theirs);
        let (first, second) = if we_answered {
            (&receive, &send)
        } else {
            (&send, &receive)
        };
        let codec = first
            .iter()
            .filter(|(_, codec)| second.iter().any(|(_, other)| other.matches(codec)))
            .min_by_key(|(_, codec)| codec.is_telephone_event())
            .map(|(_, codec)| codec.clone())?;
        let send_payload_type = find(&send, &codec)?;
        let event = Codec::telephone_event(codec.clock_rate());
        let send_telephone_event = find(&receive, &event).and_then(|_| find(&send, &event));

        let connection = remote.connection_of(theirs)?;
        let on_hold = connection.is_unspecified();
        let direction = local
            .direction_of(ours)
            .and(remote.direction_of(theirs).reversed())
            // RFC 3264 §8.4: nothing, not even RTCP, is sent to 0.0.0.0.
            .and(Direction::new(!on_hold, true));
        let ip = connection.ip().filter(|_| !on_hold);
        let rtcp_mux = ours.attribute(RTCP_MUX).is_some() && theirs.attribute(RTCP_MUX).is_some();
        let remote = ip.map(|ip| SocketAddr::new(ip, theirs.port()));
        let remote_rtcp = if rtcp_mux {
            remote
        } else {
            ip.and_then(|ip| rtcp_address(ip, theirs))
        };
        Some(Self {
            index,
            kind: theirs.kind().to_owned(),
            protocol: theirs.protocol().to_owned(),
            remote_host: connection.host().to_owned(),
            remote,
            remote_rtcp,
            rtcp_mux,
            codec,
            send_payload_type,
            receive,
            send_telephone_event,
            direction,
            packet_time: packet_time(theirs),
            security,
            ice,
            bundled_with: None,
        })
    }

    /// The m= line's place, counted from 0.
    pub const fn index(&self) -> usize {
        self.index
    }

    /// `audio`, `video`, …
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The transport profile.
    pub fn protocol(&self) -> &str {
        &self.protocol
    }

    /// Where the peer wants RTP; `None` if it gave a name, see [`remote_host`](Self::remote_host), or wants nothing
    /// because it holds the call by an address of zeros.
    pub const fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }

    /// Where the peer wants RTCP; `None` if it gave no address or turned RTCP off by port 0.
    pub const fn remote_rtcp(&self) -> Option<SocketAddr> {
        self.remote_rtcp
    }

    /// The address or name that the peer gave.
    pub fn remote_host(&self) -> &str {
        &self.remote_host
    }

    /// Whether RTP and RTCP share a port (RFC 5761).
    pub const fn rtcp_mux(&self) -> bool {
        self.rtcp_mux
    }

    /// What we send.
    pub const fn codec(&self) -> &Codec {
        &self.codec
    }

    /// The payload type of what we send: the peer's number for the codec.
    pub const fn send_payload_type(&self) -> u8 {
        self.send_payload_type
    }

    /// What the peer may send, by our payload types, telephone events included.
    pub fn receive_payload_types(&self) -> &[(u8, Codec)] {
        &self.receive
    }

    /// What `payload_type` means when we receive it.
    pub fn receive_codec(&self, payload_type: u8) -> Option<&Codec> {
        self.receive
            .iter()
            .find(|(number, _)| *number == payload_type)
            .map(|(_, codec)| codec)
    }

    /// Whether the peer may send `payload_type`.
    pub fn receives(&self, payload_type: u8) -> bool {
        self.receive_codec(payload_type).is_some()
    }

    /// The payload type under which we send keys at the codec's clock rate; `None` if the peer takes none.
    pub const fn send_telephone_event(&self) -> Option<u8> {
        self.send_telephone_event
    }

    /// What we may do.
    pub const fn direction(&self) -> Direction {
        self.direction
    }

    /// The milliseconds of a packet that the peer likes to receive, at most what it can; `None` if it did not say.
    pub const fn packet_time(&self) -> Option<u32> {
        self.packet_time
    }

    /// How it is protected.
    pub const fn security(&self) -> &MediaSecurity {
        &self.security
    }

    /// What the peer says about connectivity checks, if both sides speak of them.
    pub const fn ice(&self) -> Option<&Ice> {
        self.ice.as_ref()
    }

    /// The m= line whose transport is used, in a bundle (RFC 9143); it may be this one.
    pub const fn bundled_with(&self) -> Option<usize> {
        self.bundled_with
    }

    /// RFC 9143 §7.3: address, checks and keys of handshakes are those of the tagged line.
    pub(crate) fn share(&mut self, tagged: &Self) {
        self.bundled_with = Some(tagged.index);
        self.remote = tagged.remote;
        self.remote_rtcp = tagged.remote_rtcp;
        self.remote_host.clone_from(&tagged.remote_host);
        self.ice.clone_from(&tagged.ice);
        if matches!(tagged.security, MediaSecurity::Dtls { .. }) {
            self.security.clone_from(&tagged.security);
        }
    }
}

pub(crate) const RTCP_MUX: &str = "rtcp-mux";

/// What each format of an m= line means, in order, as far as that is known.
///
/// One pass over the attributes, however many formats there are: a peer chooses both.
pub(crate) fn encodings(media: &Media) -> Vec<(u8, Codec)> {
    let mut maps = [const { None }; 128];
    let mut parameters = [const { None }; 128];
    for attribute in media.attributes() {
        let value = attribute.value().unwrap_or_default().trim();
        if attribute.name() == RtpMap::NAME {
            if let Ok(map) = RtpMap::parse(value) {
                note(&mut maps, map.payload_type(), map);
            }
        } else if attribute.name() == Fmtp::NAME
            && let Ok(fmtp) = Fmtp::parse(value)
            && let Ok(number) = fmtp.format().parse()
        {
            note(&mut parameters, number, fmtp);
        }
    }
    let meaning = |number: u8| {
        let index = usize::from(number);
        let map = maps.get_mut(index)?.take();
        let map = map.or_else(|| RtpMap::of_static(number))?;
        let fmtp = parameters.get_mut(index)?.take();
        Some((number, Codec::described(&map, fmtp.as_ref())))
    };
    // Each number is listed once, so that its meaning can be taken out.
    media
        .payload_types()
        .into_iter()
        .filter_map(meaning)
        .collect()
}

/// The first counts.
fn note<T>(table: &mut [Option<T>; 128], number: u8, value: T) {
    if let Some(place) = table.get_mut(usize::from(number)) {
        place.get_or_insert(value);
    }
}

fn find(encodings: &[(u8, Codec)], codec: &Codec) -> Option<u8> {
    encodings
        .iter()
        .find(|(_, other)| other.matches(codec))
        .map(|(number, _)| *number)
}

fn rtcp_address(ip: std::net::IpAddr, media: &Media) -> Option<SocketAddr> {
    match media.get::<Rtcp>() {
        Some(Ok(rtcp)) => {
            let ip = match rtcp.connection() {
                Some(connection) => connection.ip().filter(|ip| !ip.is_unspecified())?,
                None => ip,
            };
            (rtcp.port() != 0).then(|| SocketAddr::new(ip, rtcp.port()))
        }
        // RFC 3550 §11
        _ => media
            .port()
            .checked_add(1)
            .map(|port| SocketAddr::new(ip, port)),
    }
}

fn packet_time(media: &Media) -> Option<u32> {
    let at_most = match media.get::<MaxPacketTime>() {
        Some(Ok(MaxPacketTime(milliseconds))) if milliseconds > 0 => Some(milliseconds),
        _ => None,
    };
    match media.get::<PacketTime>() {
        Some(Ok(PacketTime(milliseconds))) if milliseconds > 0 => {
            Some(at_most.map_or(milliseconds, |limit| milliseconds.min(limit)))
        }
        // Without a wish, only a limit below the usual 20 ms matters.
        _ => at_most.filter(|limit| *limit < 20),
    }
}
