//! The frames of a connection, once it is a WebSocket (RFC 6455 §5).

use std::io::{self, Read, Write};

use bytes::{Buf, Bytes, BytesMut};
use tungstenite::{
    Error, Message,
    protocol::{CloseFrame, Role, WebSocket, WebSocketConfig as Limits, frame::coding::CloseCode},
};

/// Frames on bytes: tungstenite on a pipe that never waits.
///
/// Ping, pong and close frames are dealt with here; data frames come out as whole messages. Where both ends agree on no
/// extension, masks are all that needs randomness, and tungstenite takes it from the system.
#[derive(Debug)]
pub(super) struct Frames {
    socket: WebSocket<Pipe>,
    progress: Progress,
    fragments: usize,
    /// What is fed up to here breaks a limit of ours
    excess: bool,
}

/// What came in frames.
#[derive(Debug)]
pub(super) enum Data {
    /// A whole message, text or binary
    Message(Bytes),
    /// The peer has said goodbye, and has its answer
    Goodbye,
}

impl Frames {
    /// Frames that begin now.
    pub(super) fn new(role: Role, message_size: usize, fragments: usize) -> Self {
        let limits = Limits::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(message_size))
            .max_frame_size(Some(message_size));
        Self {
            socket: WebSocket::from_raw_socket(Pipe::default(), role, Some(limits)),
            progress: Progress::default(),
            fragments,
            excess: false,
        }
    }

    /// Adds what was read. Messages have to be taken out before more is added.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.excess {
            return;
        }
        let taken = self.progress.advance(bytes, self.fragments);
        self.excess = taken < bytes.len();
        let input = &mut self.socket.get_mut().input;
        input.extend_from_slice(bytes.get(..taken).unwrap_or_default());
    }

    /// The next message, until `None`; after an error the close code says what was wrong.
    pub(super) fn next(&mut self) -> Result<Option<Data>, CloseCode> {
        loop {
            return match self.socket.read() {
                Ok(Message::Text(text)) => Ok(Some(Data::Message(text.into()))),
                Ok(Message::Binary(bytes)) => Ok(Some(Data::Message(bytes))),
                // A ping's answer goes out with the next read or flush.
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => continue,
                Ok(Message::Close(_)) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => {
                    self.flush();
                    Ok(Some(Data::Goodbye))
                }
                Err(Error::Io(_)) if self.excess => Err(CloseCode::Policy),
                Err(Error::Io(_)) => {
                    self.flush();
                    Ok(None)
                }
                Err(Error::Capacity(_)) => Err(CloseCode::Size),
                Err(Error::Utf8(_)) => Err(CloseCode::Invalid),
                Err(_) => Err(CloseCode::Protocol),
            };
        }
    }

    /// Writes a message: as text, unless it cannot be (RFC 7118 §4.2).
    pub(super) fn write(&mut self, message: Bytes) {
        let message = match message.clone().try_into() {
            Ok(text) => Message::Text(text),
            Err(_) => Message::Binary(message),
        };
        // The pipe takes everything, so this fails only after a goodbye, when nobody reads any more.
        if let Err(error) = self.socket.send(message) {
            tracing::trace!(%error, "not written");
        }
    }

    /// Says goodbye, once.
    pub(super) fn close(&mut self, code: CloseCode, reason: &'static str) {
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        if let Err(error) = self.socket.close(Some(frame)) {
            tracing::trace!(%error, "not closed");
        }
    }

    /// Asks whether the peer lives.
    pub(super) fn ping(&mut self) {
        if let Err(error) = self.socket.send(Message::Ping(Bytes::new())) {
            tracing::trace!(%error, "not asked");
        }
    }

    /// What is to be written.
    pub(super) fn output(&mut self) -> Bytes {
        self.socket.get_mut().output.split().freeze()
    }

    /// Whether a message or frame has begun that is not complete yet.
    pub(super) const fn is_within(&self) -> bool {
        self.progress.is_within()
    }

    fn flush(&mut self) {
        // After a goodbye the peer's end is the only news that there can be.
        if let Err(error) = self.socket.flush() {
            tracing::trace!(%error, "goodbye");
        }
    }
}

/// What the connection is to tungstenite: bytes that are there, and room for those that go.
#[derive(Debug, Default)]
struct Pipe {
    input: BytesMut,
    output: BytesMut,
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            // Zero would say that the connection has ended.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let length = into.len().min(self.input.len());
        let (into, _) = into.split_at_mut(length);
        self.input.copy_to_slice(into);
        Ok(length)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where in a frame and in a message the bytes end, and in how many frames the message came.
///
/// ```text
///  byte 0: FIN RSV RSV RSV opcode(4)   byte 1: MASK length(7)   [length 2 or 8]   [mask 4]   payload
/// ```
#[derive(Debug, Default)]
struct Progress {
    header: [u8; 14],
    held: usize,
    payload: u64,
    fragments: usize,
}

impl Progress {
    /// Follows the bytes, at most to where a message has more frames than it may: answers how many are before that.
    fn advance(&mut self, bytes: &[u8], limit: usize) -> usize {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if self.payload > 0 {
                let skipped =
                    usize::try_from(self.payload).map_or(rest.len(), |n| n.min(rest.len()));
                self.payload -= skipped as u64;
                at += skipped;
                continue;
            }
            let (Some(slot), Some(byte)) = (self.header.get_mut(self.held), rest.first()) else {
                break;
            };
            *slot = *byte;
            self.held += 1;
            if self.held == self.header_length() {
                let [first, ..] = self.header;
                // Control frames stand between the frames of a message.
                if first & CONTROL == 0 {
                    if self.fragments >= limit {
                        return at;
                    }
                    self.fragments = if first & FINAL == 0 {
                        self.fragments + 1
                    } else {
                        0
                    };
                }
                self.payload = self.payload_length();
                self.held = 0;
            }
            at += 1;
        }
        at
    }

    const fn header_length(&self) -> usize {
        let [_, second, ..] = self.header;
        if self.held < 2 {
            return 2;
        }
        let length = match second & LENGTH {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + length + if second & MASKED == 0 { 0 } else { 4 }
    }

    const fn payload_length(&self) -> u64 {
        let [_, second, a, b, c, d, e, f, g, h, ..] = self.header;
        match second & LENGTH {
            126 => u16::from_be_bytes([a, b]) as u64,
            127 => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            short => short as u64,
        }
    }

    const fn is_within(&self) -> bool {
        self.held > 0 || self.payload > 0 || self.fragments > 0
    }
}

const FINAL: u8 = 0x80;
const CONTROL: u8 = 0x08;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;

/// A larger one is cleared for each read, which costs more than it saves.
const READ_BUFFER: usize = 4_096;
