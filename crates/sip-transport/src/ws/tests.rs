//! One layer, bytes against bytes.

mod hostile;
mod upgrades;

use super::*;
use sip_io::Rng;

/// What became of some bytes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    frames: Vec<Frame>,
    end: Option<CloseReason>,
    output: Vec<u8>,
}

impl Outcome {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// The code of the close frame that was written last, if one was.
    fn code(&self) -> Option<u16> {
        match unframe(&self.output).last() {
            Some((0x88, payload)) if payload.len() >= 2 => {
                Some(u16::from_be_bytes([payload[0], payload[1]]))
            }
            _ => None,
        }
    }
}

#[allow(clippy::disallowed_methods)] // a test needs an instant to start from
fn feed(socket: &mut WebSocket, pieces: &[&[u8]]) -> Outcome {
    let now = Instant::now();
    let mut outcome = Outcome::default();
    for piece in pieces {
        let pushed = socket.push(now, piece);
        loop {
            match socket.next(now) {
                Ok(Some(frame)) => outcome.frames.push(frame),
                Ok(None) => break,
                Err(reason) => outcome.end = outcome.end.or(Some(reason)),
            }
        }
        outcome.end = outcome.end.or_else(|| pushed.err());
        outcome.output.extend(socket.output().unwrap_or_default());
    }
    outcome
}

fn peer() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 7], 40_000))
}

fn server(config: WebSocketConfig) -> WebSocket {
    WebSocket::accepted(Arc::new(config), MESSAGE_SIZE, peer()).unwrap()
}

/// A server whose client has been let in.
fn open_server() -> WebSocket {
    let mut socket = server(WebSocketConfig::default());
    let outcome = feed(&mut socket, &[REQUEST.as_bytes()]);
    assert!(outcome.text().starts_with("HTTP/1.1 101 "), "{outcome:?}");
    socket
}

/// A client that was let in.
fn open_client() -> WebSocket {
    let mut socket = client("sip.example.com");
    let asked = String::from_utf8(socket.output().unwrap().to_vec()).unwrap();
    let key = line(&asked, "Sec-WebSocket-Key: ").unwrap();
    let outcome = feed(&mut socket, &[granted(key).as_bytes()]);
    assert_eq!(outcome, Outcome::default());
    assert!(socket.is_established());
    socket
}

fn client(host: &str) -> WebSocket {
    let config = WebSocketConfig::default();
    let mut socket = WebSocket::opened(Arc::new(config), MESSAGE_SIZE, host.to_owned()).unwrap();
    socket.open();
    socket
}

pub(crate) fn granted(key: &str) -> String {
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
    )
}

pub(crate) fn line<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name))
}

/// A frame as a client writes it.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x11, 0x22, 0x33, 0x44];
    let payload: Vec<u8> = payload
        .iter()
        .zip(mask.iter().cycle())
        .map(|(byte, mask)| byte ^ mask)
        .collect();
    [header(first, payload.len(), 0x80), mask.to_vec(), payload].concat()
}

/// A frame as a server writes it.
fn plain(first: u8, payload: &[u8]) -> Vec<u8> {
    [header(first, payload.len(), 0), payload.to_vec()].concat()
}

fn header(first: u8, length: usize, mask: u8) -> Vec<u8> {
    match length {
        0..=125 => vec![first, mask | length as u8],
        126..=65_535 => {
            let [a, b] = (length as u16).to_be_bytes();
            vec![first, mask | 126, a, b]
        }
        _ => [&[first, mask | 127][..], &(length as u64).to_be_bytes()].concat(),
    }
}

/// First byte and payload of each frame.
pub(crate) fn unframe(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        let (length, rest) = match second & 0x7f {
            126 => (
                usize::from(u16::from_be_bytes([rest[0], rest[1]])),
                &rest[2..],
            ),
            127 => {
                let length: [u8; 8] = rest[..8].try_into().unwrap();
                (u64::from_be_bytes(length) as usize, &rest[8..])
            }
            short => (usize::from(short), rest),
        };
        let (mask, rest) = if second & 0x80 == 0 {
            (vec![0; 4], rest)
        } else {
            (rest[..4].to_vec(), &rest[4..])
        };
        let payload = rest[..length].iter().zip(mask.iter().cycle());
        frames.push((*first, payload.map(|(byte, mask)| byte ^ mask).collect()));
        bytes = &rest[length..];
    }
    frames
}

fn options(body: &str, length: &str) -> String {
    format!(
        "OPTIONS sip:bob@example.com SIP/2.0\r\n\
         Via: SIP/2.0/WS df7jal23ls0d.invalid;branch=z9hG4bK1\r\n\
         Max-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\n\
         Call-ID: 7@df7jal23ls0d.invalid\r\nCSeq: 1 OPTIONS\r\n{length}\r\n{body}"
    )
}

fn message(text: impl Into<Bytes>) -> Frame {
    Frame::Message(text.into())
}

const MESSAGE_SIZE: usize = 65_535;

/// RFC 7118 §4.1
pub(crate) const REQUEST: &str = "GET / HTTP/1.1\r\n\
    Host: sip-ws.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: keep-alive, Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Origin: http://www.example.com\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
    Sec-WebSocket-Protocol: sip\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

const FINAL_TEXT: u8 = 0x81;
const FINAL_BINARY: u8 = 0x82;
const TEXT: u8 = 0x01;
const CONTINUED: u8 = 0x00;
const FINAL_CONTINUED: u8 = 0x80;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// TRA-034: RFC 7118 §4.2, §5.
#[test]
fn tra_034_text_and_binary_messages_are_read_whole_and_fragmented() {
    let mut socket = open_server();
    let text = options("", "Content-Length: 0\r\n");
    let (first, rest) = text.split_at(30);
    let (second, third) = rest.split_at(1);
    let bytes = [
        masked(FINAL_TEXT, text.as_bytes()),
        masked(FINAL_BINARY, text.as_bytes()),
        masked(TEXT, first.as_bytes()),
        // RFC 6455 §5.4: a control frame may stand between.
        masked(PING, b"there?"),
        masked(CONTINUED, second.as_bytes()),
        masked(FINAL_CONTINUED, third.as_bytes()),
    ]
    .concat();
    let outcome = feed(&mut socket, &[&bytes]);
    assert_eq!(outcome.frames, vec![message(text); 3]);
    assert_eq!(unframe(&outcome.output), [(PONG, b"there?".to_vec())]);
    assert_eq!(outcome.end, None);
}

/// TRA-034: RFC 7118 §5.
#[test]
fn tra_034_two_sip_messages_in_one_end_the_connection() {
    let text = options("", "Content-Length: 0\r\n");
    for second in [&text, "SIP/2.0 200 OK\r\n\r\n", "x"] {
        let mut socket = open_server();
        let two = text.clone() + second;
        let outcome = feed(&mut socket, &[&masked(FINAL_TEXT, two.as_bytes())]);
        assert_eq!(outcome.end, Some(CloseReason::WebSocket(1002)));
        assert_eq!(outcome.code(), Some(1002));
        assert!(outcome.frames.is_empty());
        // Nothing is read afterwards.
        assert_eq!(
            feed(&mut socket, &[&masked(FINAL_TEXT, text.as_bytes())]),
            Outcome::default()
        );
    }
}

/// TRA-034: without Content-Length the frame ends the body, but a body without a type is none.
#[test]
fn tra_034_a_second_message_is_no_body() {
    let text = options("", "");
    for (body, length, two) in [
        (text.as_str(), "", true),
        ("SIP/2.0 200 OK\r\n\r\n", "", true),
        (
            "SIP/2.0 200 OK\r\n",
            "Content-Type: message/sipfrag\r\n",
            false,
        ),
        ("v=0\r\n", "", false),
    ] {
        let mut socket = open_server();
        let bytes = masked(FINAL_TEXT, options(body, length).as_bytes());
        let outcome = feed(&mut socket, &[&bytes]);
        assert_eq!(outcome.code(), two.then_some(1002), "{body}");
        assert_eq!(outcome.frames.is_empty(), two, "{body}");
    }
}

#[test]
fn line_ends_around_a_message_do_no_harm() {
    let mut socket = open_server();
    let text = options("", "Content-Length: 0\r\n");
    let padded = format!("\r\n\r\n{text}\r\n");
    let outcome = feed(&mut socket, &[&masked(FINAL_TEXT, padded.as_bytes())]);
    assert_eq!(outcome.frames, [message(text)]);
}

/// TRA-035: RFC 7118 §5. What is longer than the frame is the parser's to refuse.
#[test]
fn tra_035_without_content_length_the_frame_ends_the_body() {
    for length in ["", "Content-Length: 99\r\n", "l: x\r\n"] {
        let mut socket = open_server();
        let text = options("v=0\r\n\r\nmore", length);
        let outcome = feed(&mut socket, &[&masked(FINAL_TEXT, text.as_bytes())]);
        assert_eq!(outcome.frames, [message(text)]);
        assert_eq!(outcome.end, None);
    }
}

/// RFC 7118 §6, RFC 5626 §3.5.1.
#[test]
fn keep_alives_are_messages_of_their_own() {
    let mut socket = open_server();
    let bytes = [
        masked(FINAL_TEXT, b"\r\n\r\n"),
        masked(FINAL_BINARY, b"\r\n"),
        masked(FINAL_TEXT, b""),
        masked(FINAL_TEXT, b"\r\n\r\n\r\n"),
    ]
    .concat();
    let outcome = feed(&mut socket, &[&bytes]);
    assert_eq!(outcome.frames, [Frame::Ping, Frame::Pong]);
    assert_eq!(outcome.end, None);
}

/// RFC 7118 §4.2.
#[test]
fn what_is_no_utf_8_is_written_as_binary() {
    let (mut server, mut client) = (open_server(), open_client());
    for (body, first) in [("h\u{e9}".as_bytes(), FINAL_TEXT), (b"h\xe9", FINAL_BINARY)] {
        let from_server = server.write(Bytes::copy_from_slice(body));
        assert_eq!(unframe(&from_server), [(first, body.to_vec())]);
        let from_client = client.write(Bytes::copy_from_slice(body));
        assert_eq!(unframe(&from_client), [(first, body.to_vec())]);
        // RFC 6455 §5.3: a client masks, a server does not.
        assert_eq!((from_server[1] & 0x80, from_client[1] & 0x80), (0, 0x80));
        assert_eq!(feed(&mut client, &[&from_server]).frames, [message(body)]);
        assert_eq!(feed(&mut server, &[&from_client]).frames, [message(body)]);
    }
}

#[test]
fn goodbyes_are_answered_with_their_own_code() {
    for (payload, answered) in [
        (&b""[..], &b""[..]),
        (b"\x03\xe8bye", b"\x03\xe8bye"),
        (b"\x0f\xa0", b"\x0f\xa0"),
        // RFC 6455 §7.4.1: never on the wire
        (b"\x03\xed", b"\x03\xeaProtocol violation"),
    ] {
        let mut socket = open_server();
        let bytes = [masked(CLOSE, payload), masked(FINAL_TEXT, b"late")].concat();
        let outcome = feed(&mut socket, &[&bytes]);
        assert_eq!(outcome.end, Some(CloseReason::ByPeer));
        assert!(outcome.frames.is_empty());
        assert_eq!(unframe(&outcome.output), [(CLOSE, answered.to_vec())]);
    }
    let mut socket = open_client();
    let outcome = feed(&mut socket, &[&plain(CLOSE, b"\x03\xe8")]);
    assert_eq!(outcome.end, Some(CloseReason::ByPeer));
    assert_eq!(unframe(&outcome.output), [(CLOSE, b"\x03\xe8".to_vec())]);
}

#[test]
fn we_say_goodbye_once() {
    for mut socket in [open_server(), open_client()] {
        socket.close();
        socket.close();
        let said = socket.output().unwrap();
        assert_eq!(unframe(&said), [(CLOSE, b"\x03\xe9".to_vec())]);
        assert_eq!(socket.output(), None);
        assert_eq!(socket.write("late".into()), "");
    }
}

/// The time of a message counts from its first byte, also where that is one of a frame's header.
#[test]
fn a_message_has_begun_until_its_last_byte_is_there() {
    let mut socket = open_server();
    let text = options("", "");
    let (one, two) = text.split_at(20);
    let bytes = [
        masked(TEXT, one.as_bytes()),
        masked(FINAL_CONTINUED, two.as_bytes()),
    ]
    .concat();
    let (last, before) = bytes.split_last().unwrap();
    for byte in before {
        feed(&mut socket, &[&[*byte]]);
        assert!(socket.begun().is_some());
    }
    assert_eq!(feed(&mut socket, &[&[*last]]).frames, [message(text)]);
    assert_eq!(socket.begun(), None);
}
