//! Media descriptions (RFC 8866 §5.14).

use crate::{
    Attribute, Connection, Direction, IllegalText, Line, RtpMap, SdpErrorKind, TypedAttribute,
    ValueError,
    attribute::{self, Fmtp},
    line::{Lines, check_word},
};
use bytes::Bytes;

/// One m= line and what follows it.
///
/// ```
/// # use sdp::{Media, PacketTime};
/// let mut media = Media::new("audio", 49_170, "RTP/AVP", ["0", "8"])?;
/// media.set_attribute(&PacketTime(20))?;
/// assert_eq!(media.line(), "audio 49170 RTP/AVP 0 8");
/// assert_eq!(media.get::<PacketTime>(), Some(Ok(PacketTime(20))));
/// assert_eq!(media.rtp_map(8).expect("static").encoding(), "PCMA");
/// # Ok::<(), sdp::IllegalText>(())
/// ```
#[derive(Clone, Debug)]
pub struct Media {
    port: u16,
    lines: Lines,
}

impl Media {
    /// A description with one m= line and nothing else.
    pub fn new<'f>(
        kind: &str,
        port: u16,
        protocol: &str,
        formats: impl IntoIterator<Item = &'f str>,
    ) -> Result<Self, IllegalText> {
        let mut media = Self {
            port,
            lines: Lines::default(),
        };
        media.write_line(kind, &port.to_string(), protocol, formats)?;
        Ok(media)
    }

    pub(crate) fn begin(buffer: &Bytes, value: &[u8]) -> Result<Self, SdpErrorKind> {
        let value = str::from_utf8(value).map_err(|_| SdpErrorKind::Media)?;
        let mut parts = value.split_ascii_whitespace();
        let (Some(_kind), Some(port), Some(_protocol)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(SdpErrorKind::Media);
        };
        // The words of the line go into answers, so they have to be writable.
        if value
            .split_ascii_whitespace()
            .any(|word| check_word(word).is_err())
        {
            return Err(SdpErrorKind::Media);
        }
        let (port, count) = port.split_once('/').unwrap_or((port, "1"));
        if !is_number(port) || !is_number(count) || count.parse::<u16>().is_err() {
            return Err(SdpErrorKind::Port);
        }
        Ok(Self {
            port: port.parse().map_err(|_| SdpErrorKind::Port)?,
            lines: Lines::of(buffer),
        })
    }

    /// Moves the media to another port; 0 turns them down (RFC 3264 §6).
    pub fn set_port(&mut self, port: u16) {
        let (kind, protocol) = (self.kind().to_owned(), self.protocol().to_owned());
        let formats: Vec<String> = self.formats().map(str::to_owned).collect();
        self.port = port;
        self.write_line(
            &kind,
            &port.to_string(),
            &protocol,
            formats.iter().map(String::as_str),
        )
        .expect("the words were read from a line");
    }

    /// Replaces the list of formats; rtpmap and fmtp lines stay.
    pub fn set_formats<'f>(
        &mut self,
        formats: impl IntoIterator<Item = &'f str>,
    ) -> Result<(), IllegalText> {
        let (kind, protocol) = (self.kind().to_owned(), self.protocol().to_owned());
        let port = self.words().nth(1).unwrap_or_default().to_owned();
        self.write_line(&kind, &port, &protocol, formats)
    }

    /// Gives the media an address of their own.
    pub fn set_connection(&mut self, connection: &Connection) {
        self.lines
            .set(b'c', &connection.to_string())
            .expect("a connection has no control characters");
    }

    /// Replaces the attributes of this type by one.
    pub fn set_attribute<A: TypedAttribute>(&mut self, attribute: &A) -> Result<(), IllegalText> {
        let text = attribute::written(attribute)?;
        self.remove_attributes(A::NAME);
        self.lines.push(b'a', &text)
    }

    /// Adds an attribute behind the others.
    pub fn push_attribute<A: TypedAttribute>(&mut self, attribute: &A) -> Result<(), IllegalText> {
        self.lines.push(b'a', &attribute::written(attribute)?)
    }

    /// Adds an attribute by name behind the others.
    pub fn push_raw_attribute(
        &mut self,
        name: &str,
        value: Option<&str>,
    ) -> Result<(), IllegalText> {
        self.lines.push(b'a', &attribute::raw(name, value)?)
    }

    /// Replaces whatever direction is written by `direction`.
    pub fn set_direction(&mut self, direction: Direction) {
        self.lines.retain(|line| {
            line.attribute()
                .is_none_or(|attribute| Direction::of(&attribute).is_none())
        });
        self.lines
            .push(b'a', direction.as_str())
            .expect("a direction has no control characters");
    }

    /// Takes out every attribute called `name`.
    pub fn remove_attributes(&mut self, name: &str) {
        self.lines.retain(|line| {
            line.attribute()
                .is_none_or(|attribute| attribute.name() != name)
        });
    }

    /// Takes out every line for which `keep` says no, except the m= line.
    pub fn retain_lines(&mut self, mut keep: impl FnMut(Line<'_>) -> bool) {
        self.lines.retain(|line| line.is(b'm') || keep(line));
    }

    /// `audio`, `video`, `image`, …
    pub fn kind(&self) -> &str {
        self.words().next().unwrap_or_default()
    }

    /// The port; 0 says that the media are turned down or removed.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether the port is 0.
    pub const fn is_rejected(&self) -> bool {
        self.port == 0
    }

    /// The transport profile: `RTP/AVP`, `RTP/SAVP`, `udptl`, …
    pub fn protocol(&self) -> &str {
        self.words().nth(2).unwrap_or_default()
    }

    /// The formats in order of preference; for RTP, payload types.
    pub fn formats(&self) -> impl Iterator<Item = &str> {
        self.words().skip(3)
    }

    /// The formats that are payload types, in order of preference, each once.
    pub fn payload_types(&self) -> Vec<u8> {
        let mut seen = [false; 128];
        self.formats()
            .filter_map(|format| format.parse::<u8>().ok())
            .filter(|number| {
                seen.get_mut(usize::from(*number))
                    .is_some_and(|seen| !std::mem::replace(seen, true))
            })
            .collect()
    }

    /// The value of the m= line.
    pub fn line(&self) -> &str {
        self.lines
            .first(b'm')
            .and_then(|line| line.as_str())
            .unwrap_or_default()
    }

    /// The media's own connection data; [`SessionDescription::connection_of`](crate::SessionDescription::connection_of)
    /// knows the session's as well.
    pub fn connection(&self) -> Option<Connection> {
        self.lines.first(b'c')?.as_str()?.parse().ok()
    }

    /// The media's own direction; [`SessionDescription::direction_of`](crate::SessionDescription::direction_of) knows
    /// the session's as well.
    pub fn direction(&self) -> Option<Direction> {
        self.attributes()
            .find_map(|attribute| Direction::of(&attribute))
    }

    /// What a payload type means: its rtpmap, or RFC 3551 §6 if it has none.
    pub fn rtp_map(&self, payload_type: u8) -> Option<RtpMap> {
        self.all::<RtpMap>()
            .filter_map(Result::ok)
            .find(|map| map.payload_type() == payload_type)
            .or_else(|| RtpMap::of_static(payload_type))
    }

    /// The parameters of a payload type.
    pub fn fmtp(&self, payload_type: u8) -> Option<Fmtp> {
        self.all::<Fmtp>()
            .filter_map(Result::ok)
            .find(|fmtp| fmtp.format().parse() == Ok(payload_type))
    }

    /// The first attribute of a type: absent, malformed or there.
    pub fn get<A: TypedAttribute>(&self) -> Option<Result<A, ValueError>> {
        self.all().next()
    }

    /// All attributes of a type.
    pub fn all<A: TypedAttribute>(&self) -> impl Iterator<Item = Result<A, ValueError>> {
        attribute::typed(self.attributes())
    }

    /// The first attribute called `name`.
    pub fn attribute(&self, name: &str) -> Option<Attribute<'_>> {
        self.attributes().find(|attribute| attribute.name() == name)
    }

    /// All attributes in order.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'_>> {
        self.lines.iter().filter_map(|line| line.attribute())
    }

    /// All lines in order, the m= line first.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.lines.iter()
    }

    pub(crate) const fn lines_ref(&self) -> &Lines {
        &self.lines
    }

    pub(crate) const fn lines_mut(&mut self) -> &mut Lines {
        &mut self.lines
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.line().split_ascii_whitespace()
    }

    fn write_line<'f>(
        &mut self,
        kind: &str,
        port: &str,
        protocol: &str,
        formats: impl IntoIterator<Item = &'f str>,
    ) -> Result<(), IllegalText> {
        check_word(kind)?;
        check_word(protocol)?;
        let mut line = format!("{kind} {port} {protocol}");
        for format in formats {
            check_word(format)?;
            line.push(' ');
            line.push_str(format);
        }
        self.lines.set(b'm', &line)
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
