//! What an observer need not know.

use bytes::Bytes;

/// What is hidden in messages that are shown to somebody.
///
/// Credentials are hidden unless that is switched off: from a digest response a weak password can be found. Whoever
/// shows messages to more than those who run the server hides users and bodies as well.
///
/// ```
/// # use sip_endpoint::Redaction;
/// let shown = Redaction::default().users().bodies();
/// let message = "MESSAGE sip:bob@example.com SIP/2.0\r\nContent-Length: 2\r\n\r\nhi";
/// assert_eq!(shown.apply(message.into()), "MESSAGE sip:***@example.com SIP/2.0\r\nContent-Length: 2\r\n\r\n[2 bytes]");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redaction {
    credentials: bool,
    users: bool,
    bodies: bool,
}

impl Default for Redaction {
    /// Credentials alone.
    fn default() -> Self {
        Self {
            credentials: true,
            users: false,
            bodies: false,
        }
    }
}

impl Redaction {
    /// Nothing is hidden, credentials neither.
    pub const fn none() -> Self {
        Self {
            credentials: false,
            users: false,
            bodies: false,
        }
    }

    /// Hides the user parts of `sip` and `sips` URIs, the numbers of `tel` URIs and display names in quotes, wherever
    /// they stand in the head.
    pub const fn users(mut self) -> Self {
        self.users = true;
        self
    }

    /// Hides bodies; their length stays.
    pub const fn bodies(mut self) -> Self {
        self.bodies = true;
        self
    }

    /// The message without what is hidden.
    pub fn apply(&self, message: Bytes) -> Bytes {
        if !(self.credentials || self.users || self.bodies) {
            return message;
        }
        let end = head_end(&message);
        let (head, body) = (&message[..end], &message[end..]);
        let mut shown = Vec::with_capacity(message.len());
        for line in lines(head) {
            match line.iter().position(|byte| *byte == b':') {
                Some(colon) if self.credentials && is_secret(&line[..colon]) => {
                    shown.extend_from_slice(&line[..=colon]);
                    shown.extend_from_slice(b" ***\r\n");
                }
                _ if self.users => hide_users(line, &mut shown),
                _ => shown.extend_from_slice(line),
            }
        }
        if self.bodies && !body.is_empty() {
            shown.extend_from_slice(format!("[{} bytes]", body.len()).as_bytes());
        } else {
            shown.extend_from_slice(body);
        }
        shown.into()
    }
}

/// Behind the empty line.
fn head_end(message: &[u8]) -> usize {
    let empty = message.windows(4).position(|window| window == b"\r\n\r\n");
    empty.map_or(message.len(), |at| at + 4)
}

/// Header lines with their line ends, folds included.
fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = head;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = 0;
        loop {
            let found = rest[end..].iter().position(|byte| *byte == b'\n');
            end = found.map_or(rest.len(), |at| end + at + 1);
            if !matches!(rest.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let (line, behind) = rest.split_at(end);
        rest = behind;
        Some(line)
    })
}

fn is_secret(name: &[u8]) -> bool {
    let name = name.trim_ascii();
    [&b"Authorization"[..], b"Proxy-Authorization"]
        .iter()
        .any(|secret| name.eq_ignore_ascii_case(secret))
}

fn hide_users(line: &[u8], shown: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(byte) = line.get(at) {
        let rest = &line[at..];
        let starts = |scheme: &[u8]| {
            rest.get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        };
        if *byte == b'"' {
            let mut end = 1;
            while let Some(quoted) = rest.get(end) {
                end += if *quoted == b'\\' { 2 } else { 1 };
                if *quoted == b'"' {
                    break;
                }
            }
            shown.extend_from_slice(b"\"***\"");
            at += end.min(rest.len());
        } else if starts(b"sip:") || starts(b"sips:") {
            let scheme = if starts(b"sip:") { 4 } else { 5 };
            shown.extend_from_slice(&rest[..scheme]);
            at += scheme;
            let uri = &line[at..];
            let stop = uri
                .iter()
                .position(|byte| b"@>, \t\r\n\"".contains(byte))
                .unwrap_or(uri.len());
            if uri.get(stop) == Some(&b'@') {
                shown.extend_from_slice(b"***");
                at += stop;
            }
        } else if starts(b"tel:") {
            shown.extend_from_slice(b"tel:***");
            at += 4;
            let number = |byte: &u8| byte.is_ascii_hexdigit() || b"+-.()*#".contains(byte);
            at += line[at..].iter().take_while(|byte| number(byte)).count();
        } else {
            shown.push(*byte);
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:bob@example.com;user=phone SIP/2.0\r\n\
        From: \"Alice \\\" A\" <sips:alice:pw@example.com>;tag=1\r\nTo: <sip:example.com>\r\n\
        P-Asserted-Identity: tel:+1-201-555-0123;x=1\r\nAUTHORIZATION : Digest username=\"alice\",\r\n response=\"ab\"\r\n\
        Content-Length: 4\r\n\r\nv=0\n";

    fn shown(redaction: Redaction) -> String {
        String::from_utf8(redaction.apply(INVITE.into()).to_vec()).unwrap()
    }

    #[test]
    fn credentials_are_hidden_unless_nothing_is() {
        let text = shown(Redaction::default());
        assert!(
            text.contains("AUTHORIZATION : ***\r\nContent-Length"),
            "{text}"
        );
        assert!(text.contains("sips:alice:pw@") && text.ends_with("\r\n\r\nv=0\n"));
        assert_eq!(shown(Redaction::none()), INVITE);
    }

    #[test]
    fn users_numbers_and_names_are_hidden_when_asked_for() {
        let text = shown(Redaction::default().users());
        for secret in ["bob", "alice", "Alice", "pw", "201"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert!(text.contains("INVITE sip:***@example.com;user=phone SIP/2.0"));
        assert!(text.contains("To: <sip:example.com>"));
        assert!(text.contains("tel:***;x=1"));
    }

    #[test]
    fn bodies_leave_their_length() {
        let text = shown(Redaction::none().bodies());
        assert!(text.ends_with("\r\n\r\n[4 bytes]"), "{text}");
    }

    #[test]
    fn pieces_of_messages_do_no_harm() {
        for end in 0..INVITE.len() {
            let piece = Bytes::copy_from_slice(&INVITE.as_bytes()[..end]);
            Redaction::default().users().bodies().apply(piece);
        }
    }
}
