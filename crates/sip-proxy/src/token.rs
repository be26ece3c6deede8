//! Flow tokens: what our Record-Route remembers of a dialog's two ends.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use sip_io::{Flow, Protocol, StreamId};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The flows on which the two ends of a dialog are reached, as far as they cannot be reached by their Contact alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DialogFlows {
    /// The end that sent the request which made the dialog
    pub(crate) caller: Option<Flow>,
    /// The other end
    pub(crate) callee: Option<Flow>,
}

/// Which way a request inside a dialog goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    ToCallee,
    ToCaller,
}

impl DialogFlows {
    /// The flow of the end that a request going in `direction` is for.
    pub(crate) const fn toward(&self, direction: Direction) -> Option<Flow> {
        match direction {
            Direction::ToCallee => self.callee,
            Direction::ToCaller => self.caller,
        }
    }
}

/// The key that seals flow tokens.
///
/// A token is the user part of the URI that we put into Record-Route (RFC 5626 §5.2): the flows, then a MAC over them, the
/// Call-ID and the caller's tag. So nobody can make us send into a connection of somebody else's, and a request tells by
/// its From tag which of the two ends sent it. The callee's tag is not known when the token is made, so whoever was given
/// one may use it for any request with that Call-ID and caller's tag.
pub(crate) struct TokenKey(Hmac<Sha256>);

impl TokenKey {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self(Hmac::new_from_slice(&key).expect("HMAC takes keys of any length"))
    }

    /// The token for a dialog.
    pub(crate) fn seal(&self, flows: &DialogFlows, call_id: &str, caller_tag: &str) -> String {
        let mut bytes = Vec::with_capacity(64);
        put_flow(&mut bytes, flows.caller);
        put_flow(&mut bytes, flows.callee);
        let mac = self
            .mac(&bytes, call_id, caller_tag)
            .finalize()
            .into_bytes();
        bytes.extend_from_slice(&mac[..MAC_LENGTH]);
        encode(&bytes)
    }

    /// What the token says, if it is ours and the request that carries it belongs to the dialog it was made for.
    pub(crate) fn open(
        &self,
        token: &str,
        call_id: &str,
        from_tag: &str,
        to_tag: &str,
    ) -> Option<(DialogFlows, Direction)> {
        if token.len() > MAX_TEXT {
            return None;
        }
        let bytes = decode(token)?;
        let (payload, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC_LENGTH)?)?;
        let direction = [
            (from_tag, Direction::ToCallee),
            (to_tag, Direction::ToCaller),
        ]
        .into_iter()
        .find(|(tag, _)| {
            self.mac(payload, call_id, tag)
                .verify_truncated_left(mac)
                .is_ok()
        })?
        .1;
        let mut rest = payload;
        let flows = DialogFlows {
            caller: take_flow(&mut rest)?,
            callee: take_flow(&mut rest)?,
        };
        rest.is_empty().then_some((flows, direction))
    }

    /// The second part of a branch (RFC 5393 §4.2.1): the same for two requests that this proxy would treat alike.
    pub(crate) fn fingerprint<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> String {
        let mut mac = self.0.clone();
        mac.update(b"loop");
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        // 72 bits: twelve characters.
        encode(&mac.finalize().into_bytes()[..9])
    }

    fn mac(&self, payload: &[u8], call_id: &str, tag: &str) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in [b"flow".as_slice(), payload, call_id.as_bytes()] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        // Tags are tokens, which compare without regard to case.
        mac.update(tag.to_ascii_lowercase().as_bytes());
        mac
    }
}

fn put_flow(bytes: &mut Vec<u8>, flow: Option<Flow>) {
    let Some(flow) = flow else {
        bytes.push(0);
        return;
    };
    let (protocol, family) = (
        protocol_number(flow.protocol()),
        u8::from(flow.remote().is_ipv6()) << 3,
    );
    bytes.push(1 | protocol << 4 | family | u8::from(flow.is_stream()) << 2);
    if let Some(id) = flow.stream_id() {
        bytes.extend_from_slice(&id.as_u64().to_be_bytes());
    }
    for address in [flow.local(), flow.remote()] {
        match (flow.remote().ip(), address.ip()) {
            (IpAddr::V4(_), IpAddr::V4(ip)) => bytes.extend_from_slice(&ip.octets()),
            (IpAddr::V4(_), IpAddr::V6(ip)) => {
                bytes.extend_from_slice(
                    &ip.to_ipv4_mapped()
                        .unwrap_or(Ipv4Addr::UNSPECIFIED)
                        .octets(),
                );
            }
            (IpAddr::V6(_), IpAddr::V6(ip)) => bytes.extend_from_slice(&ip.octets()),
            (IpAddr::V6(_), IpAddr::V4(ip)) => {
                bytes.extend_from_slice(&ip.to_ipv6_mapped().octets())
            }
        }
        bytes.extend_from_slice(&address.port().to_be_bytes());
    }
}

/// The outer `None` is a token that says nothing, the inner one a flow that is not in it.
#[allow(clippy::option_option)] // a token without a flow is not a broken token
fn take_flow(bytes: &mut &[u8]) -> Option<Option<Flow>> {
    let [head] = take::<1>(bytes)?;
    if head == 0 {
        return Some(None);
    }
    let protocol = protocol_of(head >> 4)?;
    let stream = match head & 4 {
        0 => None,
        _ => Some(StreamId::from_u64(u64::from_be_bytes(take(bytes)?))),
    };
    let mut address = || {
        let ip = match head & 8 {
            0 => IpAddr::V4(Ipv4Addr::from(take::<4>(bytes)?)),
            _ => IpAddr::V6(Ipv6Addr::from(take::<16>(bytes)?)),
        };
        Some(SocketAddr::new(ip, u16::from_be_bytes(take(bytes)?)))
    };
    let (local, remote) = (address()?, address()?);
    Some(Some(match stream {
        Some(id) => Flow::stream(protocol, id, local, remote),
        None => Flow::udp(local, remote),
    }))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

fn protocol_number(protocol: Protocol) -> u8 {
    PROTOCOLS
        .iter()
        .position(|&known| known == protocol)
        .unwrap_or(0) as u8
}

fn protocol_of(number: u8) -> Option<Protocol> {
    PROTOCOLS.get(usize::from(number)).copied()
}

/// Base 64 with the alphabet for file names (RFC 4648 §5), all of which may stand in a user part, without padding.
fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..=chunk.len()].copy_from_slice(chunk);
        let word = u32::from_be_bytes(word);
        for digit in 0..=chunk.len() {
            text.push(char::from(
                ALPHABET[(word >> (18 - 6 * digit)) as usize & 63],
            ));
        }
    }
    text
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for chunk in text.as_bytes().chunks(4) {
        if chunk.len() == 1 {
            return None;
        }
        let mut word = 0_u32;
        for (digit, &byte) in chunk.iter().enumerate() {
            word |= (ALPHABET.iter().position(|&known| known == byte)? as u32) << (18 - 6 * digit);
        }
        let [_, whole @ ..] = word.to_be_bytes();
        let (used, unused) = whole.split_at(chunk.len() - 1);
        if unused.iter().any(|&byte| byte != 0) {
            return None;
        }
        bytes.extend_from_slice(used);
    }
    Some(bytes)
}

const PROTOCOLS: [Protocol; 5] = [
    Protocol::Udp,
    Protocol::Tcp,
    Protocol::Tls,
    Protocol::Ws,
    Protocol::Wss,
];
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const MAC_LENGTH: usize = 10;
/// Two streams over IPv6 and the MAC, in base 64.
const MAX_TEXT: usize = (2 * (1 + 8 + 2 * 18) + MAC_LENGTH).div_ceil(3) * 4;

#[cfg(test)]
mod tests {
    use super::*;
    use sip_io::Rng;

    fn key() -> TokenKey {
        TokenKey::new([3; 32])
    }

    fn flows() -> DialogFlows {
        let (v4, v6) = (
            "192.0.2.1:5060".parse().unwrap(),
            "[2001:db8::1]:5061".parse().unwrap(),
        );
        DialogFlows {
            caller: Some(Flow::stream(Protocol::Tls, StreamId::accepted(77), v6, v6)),
            callee: Some(Flow::udp(v4, "198.51.100.7:4060".parse().unwrap())),
        }
    }

    #[test]
    fn a_token_tells_its_flows_and_the_direction() {
        for flows in [
            flows(),
            DialogFlows::default(),
            DialogFlows {
                caller: None,
                ..flows()
            },
        ] {
            let token = key().seal(&flows, "call@host", "Alice");
            assert_eq!(
                key().open(&token, "call@host", "alice", "bob"),
                Some((flows, Direction::ToCallee))
            );
            assert_eq!(
                key().open(&token, "call@host", "bob", "alice"),
                Some((flows, Direction::ToCaller))
            );
        }
    }

    #[test]
    fn a_token_is_worth_nothing_in_another_dialog() {
        let token = key().seal(&flows(), "call@host", "alice");
        assert_eq!(key().open(&token, "other@host", "alice", "bob"), None);
        assert_eq!(key().open(&token, "call@host", "mallory", "bob"), None);
        assert_eq!(
            TokenKey::new([4; 32]).open(&token, "call@host", "alice", "bob"),
            None
        );
    }

    #[test]
    fn no_changed_or_cut_token_is_taken() {
        let token = key().seal(&flows(), "call", "alice");
        assert!(token.len() <= MAX_TEXT);
        for at in 0..token.len() {
            assert_eq!(key().open(&token[..at], "call", "alice", ""), None);
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(key().open(&changed, "call", "alice", ""), None);
        }
    }

    #[test]
    fn random_text_is_no_token() {
        let mut rng = Rng::new([9; 32]);
        for _ in 0..2_000 {
            let length = rng.below(200) as usize;
            let text: String = (0..length)
                .map(|_| char::from(rng.below(128) as u8))
                .collect();
            assert_eq!(key().open(&text, "call", "alice", "bob"), None);
        }
    }

    #[test]
    fn base_64_is_its_own_inverse() {
        let mut rng = Rng::new([8; 32]);
        for length in 0..60 {
            let mut bytes = vec![0; length];
            rng.fill(&mut bytes);
            let text = encode(&bytes);
            assert!(text.bytes().all(|byte| ALPHABET.contains(&byte)));
            assert_eq!(decode(&text), Some(bytes));
        }
    }

    #[test]
    fn fingerprints_keep_parts_apart() {
        let one = key().fingerprint([b"ab".as_slice(), b"c"]);
        assert_eq!(one, key().fingerprint([b"ab".as_slice(), b"c"]));
        assert_ne!(one, key().fingerprint([b"a".as_slice(), b"bc"]));
        assert_eq!(one.len(), 12);
    }
}
