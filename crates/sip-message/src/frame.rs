//! Finding messages in a stream.

use bytes::{Buf, Bytes, BytesMut};

use crate::{HeaderName, Limits, ParseError, ParseErrorKind, name, parse, scan};

/// Cuts a stream into messages (RFC 3261 §18.3) and keep-alives (RFC 5626 §4.4.1).
///
/// It remembers where it stopped looking, so that a message that comes byte by byte costs no more than one that comes at once.
///
/// ```
/// use sip_message::{Frame, Limits, StreamFramer};
///
/// let mut framer = StreamFramer::new(Limits::default());
/// framer.push(b"\r\n\r\nOPTIONS sip:a@b SIP/2.0\r\nl: 2");
/// assert_eq!(framer.next()?, Some(Frame::Ping));
/// assert_eq!(framer.next()?, None);
/// framer.push(b"\r\n\r\nhi");
/// assert!(matches!(framer.next()?, Some(Frame::Message(_))));
/// # Ok::<(), sip_message::FrameError>(())
/// ```
#[derive(Debug)]
pub struct StreamFramer {
    buffer: BytesMut,
    limits: Limits,
    /// Up to here there is no end of the head.
    scanned: usize,
    /// Whether the first line of the message that is being waited for looks like one of SIP.
    greeted: bool,
    /// Head and body of the message that is being waited for.
    expected: Option<usize>,
    failed: Option<FrameError>,
}

/// What a stream carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// One message, whole.
    Message(Bytes),
    /// `CRLF CRLF`: the peer asks whether we live (RFC 5626 §4.4.1).
    Ping,
    /// `CRLF`: the answer to our ping.
    Pong,
}

/// Why nothing more can be read from a stream: its boundaries are lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct FrameError {
    error: ParseError,
    head: Bytes,
}

impl FrameError {
    /// What is wrong.
    pub const fn error(&self) -> &ParseError {
        &self.error
    }

    /// What was read of the message, for [`reject`](crate::reject): it is owed a response before the stream is closed.
    pub const fn head(&self) -> &Bytes {
        &self.head
    }
}

impl StreamFramer {
    /// A framer for the start of a stream.
    pub fn new(limits: Limits) -> Self {
        Self {
            buffer: BytesMut::new(),
            limits,
            scanned: 0,
            greeted: false,
            expected: None,
            failed: None,
        }
    }

    /// Adds what was read. Take frames out until there is none before adding more.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// How many bytes wait for the rest of their message.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Whether a single `CRLF` is all that waits, which is then taken out: for who has sent a ping and waits for its
    /// answer (RFC 5626 §4.4.1). [`next`](Self::next) leaves it there, because it may be the first half of a ping.
    pub fn take_pong(&mut self) -> bool {
        let is_pong = self.expected.is_none() && self.buffer.as_ref() == b"\r\n";
        if is_pong {
            self.buffer.clear();
        }
        is_pong
    }

    /// The next message or keep-alive, if it is complete.
    ///
    /// # Errors
    /// If the boundary of the message cannot be found; then the stream must be closed, and every later call fails too.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.advance().inspect_err(|error| {
            self.failed = Some(error.clone());
            self.buffer.clear();
        })
    }

    fn advance(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.expected.is_none() {
            if self.scanned == 0
                && let Some(frame) = self.line_ends()
            {
                return Ok(frame);
            }
            let from = self.scanned;
            let end = self.head_end();
            if !self.greeted && !self.greets(from) {
                let kind = ParseErrorKind::Malformed;
                return self.fail(ParseError::part(kind, "start line", 0));
            }
            // The empty line is not counted, so that the limit means what it means to the parser, however the bytes come.
            let limit = self.limits.head_size;
            if end.unwrap_or(self.buffer.len()) > limit + 2 {
                let kind = ParseErrorKind::TooLarge { limit };
                return self.fail(ParseError::part(kind, "header section", limit));
            }
            let Some(end) = end else {
                return Ok(None);
            };
            match content_length(&self.buffer[..end]) {
                Ok(length) if length <= self.limits.message_size.saturating_sub(end) => {
                    self.expected = Some(end + length);
                }
                Ok(_) => {
                    let limit = self.limits.message_size;
                    return self.fail(ParseError::part(
                        ParseErrorKind::TooLarge { limit },
                        "message",
                        limit,
                    ));
                }
                Err(error) => return self.fail(error),
            }
        }
        match self.expected {
            Some(length) if self.buffer.len() >= length => {
                self.expected = None;
                self.scanned = 0;
                self.greeted = false;
                Ok(Some(Frame::Message(self.buffer.split_to(length).freeze())))
            }
            _ => Ok(None),
        }
    }

    #[cold]
    fn fail(&mut self, error: ParseError) -> Result<Option<Frame>, FrameError> {
        let head = self
            .buffer
            .split_to(self.buffer.len().min(self.limits.head_size))
            .freeze();
        Err(FrameError { error, head })
    }

    /// Line ends between messages; the outer `None` says that a message has begun.
    fn line_ends(&mut self) -> Option<Option<Frame>> {
        // A LF alone, and a CR that no LF follows, say nothing; the parser skips them before a message as well.
        let stray = |buffer: &[u8]| {
            let mut at = 0;
            loop {
                match buffer.get(at..) {
                    Some([b'\n', ..]) => at += 1,
                    Some([b'\r', next, ..]) if *next != b'\n' => at += 1,
                    _ => return at,
                }
            }
        };
        let stray = stray(&self.buffer);
        self.buffer.advance(stray);
        match self.buffer.as_ref() {
            [b'\r', b'\n', b'\r', b'\n', ..] => {
                self.buffer.advance(4);
                Some(Some(Frame::Ping))
            }
            // What follows may be the second half of a ping.
            [] | [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => Some(None),
            [b'\r', b'\n', ..] => {
                self.buffer.advance(2);
                Some(Some(Frame::Pong))
            }
            _ => None,
        }
    }

    /// Whether what is there may be the beginning of a message. What is not ends the stream at once, because whoever
    /// speaks TLS, HTTP or nothing at all here will not change its mind.
    ///
    /// Every start line begins with a token and names its version somewhere (RFC 3261 §7.1, §7.2). One that is wrong in
    /// another way is for the parser, which says what is wrong with it.
    fn greets(&mut self, from: usize) -> bool {
        let buffer = self.buffer.as_ref();
        if scan::run(buffer, 0, scan::TOKEN) == 0 {
            return false;
        }
        let Some(end) = memchr::memchr(b'\n', &buffer[from.min(buffer.len())..]) else {
            return true;
        };
        let line = &buffer[..from + end];
        self.greeted = line
            .windows(VERSION.len())
            .any(|window| window.eq_ignore_ascii_case(VERSION));
        self.greeted
    }

    /// Behind the empty line that ends the head.
    fn head_end(&mut self) -> Option<usize> {
        let buffer = self.buffer.as_ref();
        let mut at = self.scanned;
        while let Some(found) = memchr::memchr(b'\n', &buffer[at..]) {
            let newline = at + found;
            match buffer.get(newline + 1..) {
                Some([b'\n', ..]) => return Some(newline + 2),
                Some([b'\r', b'\n', ..]) => return Some(newline + 3),
                // Look at this line end again when more has come.
                Some([]) | Some([b'\r']) | None => {
                    self.scanned = newline;
                    return None;
                }
                Some(_) => at = newline + 1,
            }
        }
        self.scanned = buffer.len();
        None
    }
}

/// What every start line has in it.
const VERSION: &[u8] = b"SIP/";

/// Content-Length of a complete head; on a stream it must be there, once.
fn content_length(head: &[u8]) -> Result<usize, ParseError> {
    let error = |kind, at| ParseError::header(kind, HeaderName::CONTENT_LENGTH, at);
    let mut found = None;
    let mut at = memchr::memchr(b'\n', head).map_or(head.len(), |newline| newline + 1);
    while at < head.len() {
        let name_end = scan::run(head, at, scan::TOKEN);
        let mut colon = name_end;
        while matches!(scan::byte(head, colon), b' ' | b'\t') {
            colon += 1;
        }
        let line = at;
        let mut next = at;
        let end = loop {
            let Some(found) = memchr::memchr(b'\n', &head[next..]) else {
                break head.len();
            };
            let end = next + found;
            next = end + 1;
            if !matches!(scan::byte(head, next), b' ' | b'\t') {
                break end;
            }
        };
        at = end + 1;
        if scan::byte(head, colon) != b':'
            || name::id_of(&head[line..name_end]) != HeaderName::CONTENT_LENGTH.id()
        {
            continue;
        }
        if found.is_some() {
            return Err(error(ParseErrorKind::Duplicate, line));
        }
        let length = parse::length(scan::trim(&head[colon + 1..end]))
            .map_err(|kind| error(kind, colon + 1))?;
        found = Some(length);
    }
    found.ok_or_else(|| error(ParseErrorKind::LengthRequired, 0))
}
