//! Offers of the usual kind, known without being answered.

use memchr::memchr_iter;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Whether an offer is of the usual kind, for which there is an answer whatever else it says: well-formed lines, of which
/// the first stream is audio over RTP with G.711 by its static number. Seeing that costs a twentieth of making the
/// answer, which is made anyway when the call is taken; an offer that only looks unusual is looked at in full.
pub(super) fn is_plain_audio(offer: &[u8]) -> bool {
    offer.len() <= PLAIN_SIZE && plain_audio(offer).is_some()
}

fn plain_audio(offer: &[u8]) -> Option<()> {
    // A carriage return ends a line, or the offer is not a plain one.
    let returns = memchr_iter(b'\r', offer).count();
    // Without a way out in between, so that many octets are looked at together.
    let other = |byte: &u8| !matches!(byte, b' '..=b'~' | b'\r' | b'\n');
    let others = offer.iter().fold(false, |any, byte| any | other(byte));
    (!others).then_some(())?;
    let mut start = 0;
    let line_ends = memchr_iter(b'\n', offer).chain([offer.len()]);
    let mut ends = 0;
    let mut lines = line_ends.map(|end| {
        let line = offer.get(start..end).unwrap_or_default();
        start = end + 1;
        let end = line.strip_suffix(b"\r");
        ends += usize::from(end.is_some());
        end.unwrap_or(line)
    });
    (lines.next()? == b"v=0").then_some(())?;
    is_plain_origin(lines.next()?.strip_prefix(b"o=")?).then_some(())?;
    let (mut streams, mut connected) = (0, false);
    let mut lines = lines.peekable();
    while let Some(line) = lines.next() {
        let usual = match line {
            [b'c', b'=', value @ ..] => {
                connected |= streams <= 1;
                is_plain_address(value)
            }
            [b'm', b'=', value @ ..] => {
                streams += 1;
                is_plain_stream(value, streams == 1)
            }
            [b'a', b'=', value @ ..] => streams != 1 || !is_remapped(value),
            [b'v' | b'o', b'=', ..] => false,
            // What follows the last line's end is nothing.
            line => line.get(1) == Some(&b'=') || (line.is_empty() && lines.peek().is_none()),
        };
        usual.then_some(())?;
    }
    drop(lines);
    (connected && ends == returns && (1..=PLAIN_STREAMS).contains(&streams)).then_some(())
}

fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b' ')
}

/// `- 1 1 IN IP4 192.0.2.1`
fn is_plain_origin(value: &[u8]) -> bool {
    let mut words = value.splitn(4, |byte| *byte == b' ');
    let mut word = || words.next().filter(|word| !word.is_empty());
    let head = [word(), word(), word()];
    head.iter().all(Option::is_some) && word().is_some_and(is_plain_address)
}

/// `IN IP4 192.0.2.1`
fn is_plain_address(value: &[u8]) -> bool {
    let (kind, address) = value.split_at_checked(b"IN IP4 ".len()).unwrap_or_default();
    match (kind, str::from_utf8(address)) {
        (b"IN IP4 ", Ok(address)) => address.parse::<Ipv4Addr>().is_ok(),
        (b"IN IP6 ", Ok(address)) => address.parse::<Ipv6Addr>().is_ok(),
        _ => false,
    }
}

/// `audio 49170 RTP/AVP 0 8 101`; of other streams than the first it is enough that they can be read.
fn is_plain_stream(value: &[u8], first: bool) -> bool {
    let mut words = words(value);
    let (Some(kind), Some(port), Some(protocol)) = (words.next(), words.next(), words.next())
    else {
        return false;
    };
    let digits = port.iter().all(u8::is_ascii_digit);
    let port = str::from_utf8(port).map(str::parse::<u16>);
    let Some(Ok(Ok(port))) = digits.then_some(port) else {
        return false;
    };
    let mut audio = || {
        let usual = kind == b"audio" && protocol == b"RTP/AVP" && port > 0;
        usual && words.any(|format| of_g711(format).is_some())
    };
    !first || audio()
}

/// `rtpmap:0 …` with another codec than that number's own.
fn is_remapped(attribute: &[u8]) -> bool {
    let Some(map) = attribute.strip_prefix(b"rtpmap:") else {
        return false;
    };
    let mut parts = map.splitn(2, |byte| *byte == b' ');
    let (number, encoding) = (parts.next().unwrap_or_default(), parts.next());
    of_g711(number)
        .zip(encoding)
        .is_some_and(|(usual, encoding)| {
            let start = encoding.get(..usual.len());
            !start.is_some_and(|start| start.eq_ignore_ascii_case(usual))
        })
}

/// What a static number of G.711 stands for.
fn of_g711(number: &[u8]) -> Option<&'static [u8]> {
    match number {
        b"0" => Some(b"PCMU/8000"),
        b"8" => Some(b"PCMA/8000"),
        _ => None,
    }
}

/// The longest offer, and the most streams in it, that are looked at as plain ones.
const PLAIN_SIZE: usize = 4_096;
const PLAIN_STREAMS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::session::anywhere;
    use sip_media::AudioPreferences;

    /// Nothing is taken for plain that cannot be answered.
    #[test]
    fn a_plain_offer_of_audio_has_an_answer() {
        let offer = "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
                     m=audio 4000 RTP/AVP 18 0 101\r\na=rtpmap:0 pcmu/8000/1\r\na=sendrecv\r\nm=video 9 RTP/AVP 31\r\n";
        let plain = |offer: &str| {
            let plain = is_plain_audio(offer.as_bytes());
            let answer = anywhere(&AudioPreferences::default()).answer(offer.as_bytes().to_vec());
            assert!(answer.is_ok() || !plain, "{offer}");
            plain
        };
        assert!(plain(offer));
        assert!(plain(&offer.replace("\r\n", "\n")));
        assert!(plain(&offer.replace("IP4 192.0.2.1", "IP6 2001:db8::1")));
        for (this, that) in [
            ("v=0", "v=1"),
            ("o=a 1 1 IN", "o=a 1 IN"),
            ("c=IN IP4 192.0.2.1\r\nt", "t"),
            ("c=IN IP4 192.0.2.1\r\nt", "c=IN\r\nt"),
            ("audio 4000", "audio 0"),
            ("audio 4000", "audio 70000"),
            ("audio 4000", "image 4000"),
            ("AVP 18", "SAVP 18"),
            (" 0 101", " 101"),
            ("0 pcmu", "0 opus"),
            ("a=sendrecv", "sendrecv"),
            ("a=sendrecv", "a=send\rrecv"),
            ("video 9", "video"),
            ("video 9", "video 9/x"),
        ] {
            let other = offer.replace(this, that);
            assert!(other != offer && !plain(&other), "{other}");
        }
        let streams = "m=audio 4000 RTP/AVP 0\r\n".repeat(64);
        assert!(!plain(&format!("{offer}{streams}")));
    }
}
