//! Who sent what to whom, and when.

use std::{fmt, time::Duration};

/// The SIP messages of a run, in the order in which they left.
///
/// Shown as `assert_ladder!` takes it:
///
/// ```text
///        0 ms  alice -> bob    INVITE  (lost)
///      500 ms  alice -> bob    INVITE
///      510 ms  bob   -> alice  200
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ladder {
    rungs: Vec<Rung>,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rung {
    /// When it left, since the start of the simulation
    pub at: Duration,
    /// The name of the host that sent it
    pub from: String,
    /// The name of the host that it was sent to, or the address if no host has it
    pub to: String,
    /// The method of a request, the status code of a response
    pub what: String,
    /// Whether it got lost, or its host was down when it left
    pub lost: bool,
}

impl Ladder {
    /// The messages.
    pub fn rungs(&self) -> &[Rung] {
        &self.rungs
    }

    /// How many messages with this method or status code left, lost or not.
    pub fn count(&self, what: &str) -> usize {
        self.rungs.iter().filter(|rung| rung.what == what).count()
    }

    /// What was said from a time on.
    pub fn since(&self, at: Duration) -> Self {
        let rungs = self.rungs.iter().filter(|rung| rung.at >= at);
        Self {
            rungs: rungs.cloned().collect(),
        }
    }

    /// Panics with both when the ladder is not the one that is written here.
    #[track_caller]
    #[doc(hidden)]
    pub fn assert_is(&self, expected: &str) {
        let shown = self.to_string();
        assert!(
            lines(&shown) == lines(expected),
            "the ladder is\n{shown}\nand should be\n{}",
            expected.trim_matches('\n')
        );
    }

    /// Panics when the ladder is not the one that is stored in a file; see
    /// [`assert_ladder_snapshot!`](crate::assert_ladder_snapshot).
    #[track_caller]
    #[doc(hidden)]
    pub fn assert_is_stored(&self, file: &str) {
        let stored = std::fs::read_to_string(file);
        if std::env::var_os(UPDATE).is_some_and(|update| update != "0") {
            let notes = stored.iter().flat_map(|text| text.lines());
            let mut text: String = notes
                .take_while(|line| line.starts_with('#'))
                .flat_map(|line| [line, "\n"])
                .collect();
            text.push_str(&self.to_string());
            let folder = std::path::Path::new(file).parent();
            let written = folder.map_or(Ok(()), std::fs::create_dir_all);
            let written = written.and_then(|()| std::fs::write(file, text));
            return written.unwrap_or_else(|error| panic!("{file} cannot be written: {error}"));
        }
        let shown = self.to_string();
        let Ok(stored) = stored else {
            panic!("there is no {file}; {UPDATE}=1 stores this one\n{shown}");
        };
        let notes = |line: &&str| !line.starts_with('#');
        let expected: Vec<_> = stored.lines().filter(notes).collect();
        let expected = expected.join("\n");
        assert!(
            lines(&shown) == lines(&expected),
            "the ladder is\n{shown}\nand {file} says\n{expected}\n{UPDATE}=1 stores the new one",
        );
    }

    /// Adds a rung, and says where.
    pub(super) fn push(&mut self, rung: Rung) -> usize {
        self.rungs.push(rung);
        self.rungs.len() - 1
    }

    /// What was under way got lost after all.
    pub(super) fn lose(&mut self, rung: Option<usize>) {
        if let Some(rung) = rung.and_then(|rung| self.rungs.get_mut(rung)) {
            rung.lost = true;
        }
    }
}

fn lines(text: &str) -> Vec<Vec<&str>> {
    text.lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| !words.is_empty())
        .collect()
}

impl fmt::Display for Ladder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |name: fn(&Rung) -> &String| {
            let widths = self.rungs.iter().map(|rung| name(rung).chars().count());
            widths.max().unwrap_or(0)
        };
        let (from, to) = (width(|rung| &rung.from), width(|rung| &rung.to));
        for rung in &self.rungs {
            writeln!(
                f,
                "{:>8} ms  {:from$} -> {:to$}  {}{}",
                rung.at.as_millis(),
                rung.from,
                rung.to,
                rung.what,
                if rung.lost { "  (lost)" } else { "" }
            )?;
        }
        Ok(())
    }
}

/// Method or status code of the SIP message that starts here (RFC 3261 §7); `None` if it is something else.
pub(super) fn summary(message: &[u8]) -> Option<String> {
    let line = message
        .split(|&byte| byte == b'\r' || byte == b'\n')
        .next()?;
    let line = std::str::from_utf8(line).ok()?;
    if let Some(status) = line.strip_prefix("SIP/2.0 ") {
        return status.split(' ').next().map(ToOwned::to_owned);
    }
    let (method, rest) = line.split_once(' ')?;
    rest.ends_with(" SIP/2.0").then(|| method.to_owned())
}

/// Finds the SIP messages in what is written to a stream, plain or in the frames of a WebSocket (RFC 7118).
///
/// What is not SIP in clear text – TLS – shows nothing, and is not kept.
#[derive(Debug, Default)]
pub(super) struct StreamReader {
    bytes: Vec<u8>,
    form: Form,
}

/// What the bytes of a stream are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    #[default]
    Messages,
    Frames,
    Opaque,
}

impl StreamReader {
    /// Takes what was written; the summaries of the messages that are now complete.
    pub(super) fn read(&mut self, written: &[u8]) -> Vec<String> {
        let mut messages = Vec::new();
        if self.form != Form::Opaque {
            self.bytes.extend_from_slice(written);
        }
        while self.form == Form::Messages {
            // RFC 5626 §3.5.1: line ends between messages keep the connection alive.
            let blank = |byte: &u8| matches!(byte, b'\r' | b'\n');
            let start = self.bytes.iter().take_while(|byte| blank(byte)).count();
            self.bytes.drain(..start);
            let Some(head) = self.bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
                if self.bytes.len() > HEAD {
                    self.form = Form::Opaque;
                }
                break;
            };
            if self.bytes.starts_with(b"GET ") || self.bytes.starts_with(b"HTTP/1.1 101 ") {
                self.bytes.drain(..head + 4);
                self.form = Form::Frames;
                break;
            }
            let Some(summary) = summary(&self.bytes) else {
                self.form = Form::Opaque;
                break;
            };
            let length = head + 4 + content_length(self.bytes.get(..head).unwrap_or_default());
            if self.bytes.len() < length {
                break;
            }
            self.bytes.drain(..length);
            messages.push(summary);
        }
        while self.form == Form::Frames {
            let Some((payload, length)) = frame(&self.bytes) else {
                break;
            };
            messages.extend(summary(&payload));
            self.bytes.drain(..length);
        }
        if self.form == Form::Opaque {
            self.bytes = Vec::new();
        }
        messages
    }
}

/// The payload of the frame that begins here, and how long the frame is (RFC 6455 §5.2).
fn frame(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let second = *bytes.get(1)?;
    let (length, at) = match second & 0x7f {
        126 => (
            u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
            4,
        ),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
        short => (u64::from(short), 2),
    };
    let masked = second & 0x80 != 0;
    let mask = if masked {
        bytes.get(at..at + 4)?
    } else {
        &[0; 4]
    };
    let start = at + if masked { 4 } else { 0 };
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    let payload = bytes.get(start..end)?.iter().zip(mask.iter().cycle());
    Some((payload.map(|(byte, mask)| byte ^ mask).collect(), end))
}

fn content_length(head: &[u8]) -> usize {
    String::from_utf8_lossy(head)
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| {
            let name = name.trim();
            name.eq_ignore_ascii_case("Content-Length") || name.eq_ignore_ascii_case("l")
        })
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}

/// The variable of the environment that has ladders stored instead of compared.
const UPDATE: &str = "UPDATE_LADDERS";

/// No head of a message is longer.
const HEAD: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_responses_are_told_from_other_things() {
        assert_eq!(summary(b"BYE sip:a@b SIP/2.0\r\n").as_deref(), Some("BYE"));
        assert_eq!(summary(b"SIP/2.0 180 Ringing\r\n").as_deref(), Some("180"));
        assert_eq!(summary(b"GET / HTTP/1.1\r\n"), None);
        assert_eq!(summary(&[0x80, 0, 1, 2]), None);
        assert_eq!(summary(b"\r\n\r\n"), None);
    }

    #[test]
    fn messages_of_a_stream_are_found_however_it_is_cut() {
        let stream = b"\r\n\r\nMESSAGE sip:b SIP/2.0\r\nl: 4\r\n\r\nBYE SIP/2.0 200 OK\r\nContent-Length : 0\r\n\r\n";
        let mut whole = StreamReader::default();
        let stream: Vec<u8> = stream.to_vec();
        let joined = [&stream[..], b"ACK sip:b SIP/2.0\r\n\r\n"].concat();
        assert_eq!(whole.read(&joined), ["MESSAGE", "200", "ACK"]);
        let mut cut = StreamReader::default();
        let found: Vec<_> = joined.iter().flat_map(|&byte| cut.read(&[byte])).collect();
        assert_eq!(found, ["MESSAGE", "200", "ACK"]);
    }

    #[test]
    fn messages_in_frames_are_found() {
        let asked = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
        let unmasked = b"\x81\x13BYE sip:b SIP/2.0\r\n";
        let masked: Vec<u8> = b"SIP/2.0 200 OK\r\n".iter().map(|byte| byte ^ 7).collect();
        let ping = b"\x89\x00";
        let all = [
            &asked[..],
            ping,
            unmasked,
            b"\x82\x90\x07\x07\x07\x07",
            &masked,
        ]
        .concat();
        assert_eq!(StreamReader::default().read(&all), ["BYE", "200"]);
        let mut cut = StreamReader::default();
        let found: Vec<_> = all.iter().flat_map(|&byte| cut.read(&[byte])).collect();
        assert_eq!(found, ["BYE", "200"]);
    }

    #[test]
    fn what_cannot_be_read_is_not_kept() {
        let mut tls = StreamReader::default();
        assert!(tls.read(&[0x16; 70_000]).is_empty());
        assert!(tls.bytes.is_empty());
    }
}
