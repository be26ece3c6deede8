//! Finding the lines.

use crate::{Media, SdpError, SdpErrorKind, SessionDescription, connection, line::Lines, origin};
use bytes::Bytes;

/// How much of a description is read.
///
/// ```
/// # use sdp::{Limits, SdpErrorKind, SessionDescription};
/// let two_media = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=audio 9 RTP/AVP 0\r\nm=video 9 RTP/AVP 31\r\n";
/// let refused = SessionDescription::parse_with(two_media, &Limits::default().media(1));
/// assert_eq!(refused.unwrap_err().kind, SdpErrorKind::TooManyMedia(1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    size: usize,
    lines: usize,
    media: usize,
}

impl Limits {
    /// The most bytes. Defaults to 65,536, what a datagram could carry; it cannot exceed 4 GiB.
    #[must_use]
    pub const fn size(mut self, bytes: usize) -> Self {
        self.size = if bytes > u32::MAX as usize {
            u32::MAX as usize
        } else {
            bytes
        };
        self
    }

    /// The most lines. Defaults to 4,096: an offer of a browser with many candidates has a few hundred.
    #[must_use]
    pub const fn lines(mut self, count: usize) -> Self {
        self.lines = count;
        self
    }

    /// The most m= lines. Defaults to 64, because each may become a stream.
    #[must_use]
    pub const fn media(mut self, count: usize) -> Self {
        self.media = count;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            size: 65_536,
            lines: 4_096,
            media: 64,
        }
    }
}

/// Lenient where the world needs it: line feeds alone end lines, blank and unknown lines are kept, s=, t= and c= may be
/// missing, lines may come in another order.
pub(crate) fn parse(buffer: Bytes, limits: &Limits) -> Result<SessionDescription, SdpError> {
    let fail = |line, offset, kind| Err(SdpError { line, offset, kind });
    if buffer.is_empty() {
        return fail(1, 0, SdpErrorKind::Empty);
    }
    if buffer.len() > limits.size {
        return fail(1, 0, SdpErrorKind::TooLong(limits.size));
    }
    let mut lines = Lines::of(&buffer);
    let mut media: Vec<Media> = Vec::new();
    let mut versioned = false;
    let mut origin_seen = false;
    let mut start = 0;
    let mut number = 0;
    while start < buffer.len() {
        number += 1;
        if number > limits.lines {
            return fail(number, start, SdpErrorKind::TooManyLines(limits.lines));
        }
        let (end, next) = match memchr::memchr(b'\n', &buffer[start..]) {
            Some(length) => (start + length, start + length + 1),
            None => (buffer.len(), buffer.len()),
        };
        let content = &buffer[start..end];
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        let end = start + content.len();
        if memchr::memchr2(b'\r', 0, content).is_some() {
            return fail(number, start, SdpErrorKind::IllegalByte);
        }
        let value = match content {
            [_, b'=', value @ ..] => value,
            blank if blank.iter().all(|byte| matches!(byte, b' ' | b'\t')) => b"",
            _ => return fail(number, start, SdpErrorKind::NoEquals),
        };
        match content.first() {
            Some(b'v') if !versioned => {
                if value.trim_ascii() != b"0" {
                    return fail(number, start, SdpErrorKind::Version);
                }
                versioned = true;
            }
            Some(b'o') if media.is_empty() && !origin_seen => {
                if !origin::is_wellformed(value) {
                    return fail(number, start, SdpErrorKind::Origin);
                }
                origin_seen = true;
            }
            Some(b'c') if !connection::is_wellformed(value) => {
                return fail(number, start, SdpErrorKind::Connection);
            }
            Some(b'm') => {
                if media.len() == limits.media {
                    return fail(number, start, SdpErrorKind::TooManyMedia(limits.media));
                }
                match Media::begin(&buffer, value) {
                    Ok(begun) => media.push(begun),
                    Err(kind) => return fail(number, start, kind),
                }
            }
            _ => {}
        }
        if !versioned && content.len() >= 2 {
            return fail(number, start, SdpErrorKind::Version);
        }
        match media.last_mut() {
            Some(media) => media.lines_mut().keep(start, end, next),
            None => lines.keep(start, end, next),
        }
        start = next;
    }
    if !versioned {
        return fail(number, 0, SdpErrorKind::Version);
    }
    if !origin_seen {
        return fail(number, buffer.len(), SdpErrorKind::OriginMissing);
    }
    Ok(SessionDescription::parsed(buffer, lines, media))
}
