//! A whole description.

use crate::{
    Attribute, Connection, Direction, IllegalText, Limits, Line, Media, Origin, SdpError,
    TypedAttribute, ValueError, attribute, line::Lines, parse,
};
use bytes::{Bytes, BytesMut};
use std::fmt;

/// A session description (RFC 8866): a head and media, in the order in which they came.
///
/// It keeps the one buffer that it was parsed from. As long as nothing is changed, [`to_bytes`](Self::to_bytes) is that
/// buffer; after a change, every line that was not touched is still what it was, its line ending included.
///
/// ```
/// # use sdp::SessionDescription;
/// let wire = "v=0\no=- 1 1 IN IP4 192.0.2.1\nx=what is this\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0 96\n\
///             a=rtpmap:96 opus/48000/2\n";
/// let mut description = SessionDescription::parse(wire)?;
/// assert_eq!(description.to_bytes(), wire);
///
/// let audio = description.media_mut(0).expect("one m= line");
/// assert_eq!(audio.rtp_map(96).expect("mapped").clock_rate(), 48_000);
/// audio.set_port(5000);
/// assert_eq!(description.to_string(), wire.replace("audio 4000 RTP/AVP 0 96\n", "audio 5000 RTP/AVP 0 96\r\n"));
/// # Ok::<(), sdp::SdpError>(())
/// ```
#[derive(Clone)]
pub struct SessionDescription {
    /// What it was parsed from, as long as it is unchanged
    pristine: Option<Bytes>,
    lines: Lines,
    media: Vec<Media>,
}

impl SessionDescription {
    /// A description with v=, o=, s=, t= and no media.
    pub fn new(origin: &Origin) -> Self {
        let mut lines = Lines::default();
        for (letter, value) in [
            (b'v', "0"),
            (b'o', origin.to_string().as_str()),
            (b's', "-"),
            (b't', "0 0"),
        ] {
            lines
                .set(letter, value)
                .expect("an origin has no control characters");
        }
        Self {
            pristine: None,
            lines,
            media: Vec::new(),
        }
    }

    /// Finds the lines of a description, within the default [`Limits`].
    pub fn parse(wire: impl Into<Bytes>) -> Result<Self, SdpError> {
        Self::parse_with(wire, &Limits::default())
    }

    /// Finds the lines of a description, within `limits`.
    pub fn parse_with(wire: impl Into<Bytes>, limits: &Limits) -> Result<Self, SdpError> {
        parse::parse(wire.into(), limits)
    }

    pub(crate) const fn parsed(buffer: Bytes, lines: Lines, media: Vec<Media>) -> Self {
        Self {
            pristine: Some(buffer),
            lines,
            media,
        }
    }

    /// Replaces the o= line.
    pub fn set_origin(&mut self, origin: &Origin) {
        self.edit()
            .set(b'o', &origin.to_string())
            .expect("an origin has no control characters");
    }

    /// Replaces the s= line.
    pub fn set_session_name(&mut self, name: &str) -> Result<(), IllegalText> {
        self.edit().set(b's', name)
    }

    /// Replaces the session's c= line.
    pub fn set_connection(&mut self, connection: &Connection) {
        self.edit()
            .set(b'c', &connection.to_string())
            .expect("a connection has no control characters");
    }

    /// Adds an attribute of the session behind the others.
    pub fn push_attribute<A: TypedAttribute>(&mut self, attribute: &A) -> Result<(), IllegalText> {
        let text = attribute::written(attribute)?;
        self.edit().push(b'a', &text)
    }

    /// Adds an attribute of the session by name behind the others.
    pub fn push_raw_attribute(
        &mut self,
        name: &str,
        value: Option<&str>,
    ) -> Result<(), IllegalText> {
        let text = attribute::raw(name, value)?;
        self.edit().push(b'a', &text)
    }

    /// Takes out every line of the head for which `keep` says no, except v= and o=.
    pub fn retain_lines(&mut self, mut keep: impl FnMut(Line<'_>) -> bool) {
        self.edit()
            .retain(|line| line.is(b'v') || line.is(b'o') || keep(line));
    }

    /// Adds media behind the others.
    pub fn push_media(&mut self, media: Media) {
        self.pristine = None;
        self.media.push(media);
    }

    /// The media of m= line `index`, to be changed.
    pub fn media_mut(&mut self, index: usize) -> Option<&mut Media> {
        let media = self.media.get_mut(index)?;
        self.pristine = None;
        Some(media)
    }

    /// Who made the session, and its version.
    pub fn origin(&self) -> Origin {
        self.lines
            .first(b'o')
            .and_then(|line| line.as_str())
            .and_then(|text| text.parse().ok())
            .expect("a description always has a well-formed origin")
    }

    /// The s= line's text, if there is one.
    pub fn session_name(&self) -> Option<&str> {
        self.lines.first(b's')?.as_str()
    }

    /// The session's connection data.
    pub fn connection(&self) -> Option<Connection> {
        self.lines.first(b'c')?.as_str()?.parse().ok()
    }

    /// The connection data that count for `media`: its own or the session's.
    pub fn connection_of(&self, media: &Media) -> Option<Connection> {
        media.connection().or_else(|| self.connection())
    }

    /// The direction that counts for `media`: its own, the session's, or `sendrecv` (RFC 8866 §6.7).
    pub fn direction_of(&self, media: &Media) -> Direction {
        media
            .direction()
            .or_else(|| {
                self.attributes()
                    .find_map(|attribute| Direction::of(&attribute))
            })
            .unwrap_or_default()
    }

    /// The media in order.
    pub fn media(&self) -> &[Media] {
        &self.media
    }

    /// The first attribute of the session of a type: absent, malformed or there.
    pub fn get<A: TypedAttribute>(&self) -> Option<Result<A, ValueError>> {
        self.all().next()
    }

    /// All attributes of the session of a type.
    pub fn all<A: TypedAttribute>(&self) -> impl Iterator<Item = Result<A, ValueError>> {
        attribute::typed(self.attributes())
    }

    /// The session's attributes in order; the media have their own.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'_>> {
        self.lines.iter().filter_map(|line| line.attribute())
    }

    /// The lines of the head in order.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.lines.iter()
    }

    /// The description as it goes into a body.
    pub fn to_bytes(&self) -> Bytes {
        if let Some(bytes) = &self.pristine {
            return bytes.clone();
        }
        let mut out = BytesMut::with_capacity(512);
        self.lines.write(&mut out);
        for media in &self.media {
            media.lines_ref().write(&mut out);
        }
        out.freeze()
    }

    pub(crate) fn head_and_media(&mut self) -> (&mut Lines, &mut Vec<Media>) {
        self.pristine = None;
        (&mut self.lines, &mut self.media)
    }

    fn edit(&mut self) -> &mut Lines {
        self.pristine = None;
        &mut self.lines
    }
}

impl fmt::Display for SessionDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

impl fmt::Debug for SessionDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SessionDescription")
            .field(&String::from_utf8_lossy(&self.to_bytes()))
            .finish()
    }
}
