//! candidate, remote-candidates, end-of-candidates (RFC 8839 §5.1, §5.2, RFC 8840 §8.2).
//!
//! ```text
//! candidate-attribute = "candidate" ":" foundation SP component-id SP transport SP priority SP
//!                       connection-address SP port SP "typ" SP candidate-types
//!                       [SP "raddr" SP connection-address] [SP "rport" SP port] *(SP extension-name SP value)
//! remote-candidate-att = "remote-candidates:" remote-candidate 0*(SP remote-candidate)
//! remote-candidate     = component-ID SP connection-address SP port
//! ```

use super::{TypedAttribute, flag};
use crate::ValueError;
use std::net::IpAddr;

/// An address at which the writer may be reached (RFC 8839 §5.1).
///
/// ```
/// # use sdp::{Candidate, TypedAttribute};
/// let candidate = Candidate::parse("2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 10.0.1.1 rport 8998")?;
/// assert_eq!((candidate.kind.as_str(), candidate.port), ("srflx", 45_664));
/// assert_eq!(candidate.related, Some(("10.0.1.1".into(), 8_998)));
/// # Ok::<(), sdp::ValueError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Equal for candidates of one kind, base, server and protocol
    pub foundation: String,
    /// 1 for RTP, 2 for RTCP
    pub component: u16,
    /// `UDP`, `TCP`, …
    pub transport: String,
    /// Higher is better
    pub priority: u32,
    /// An address, or a name that is looked up (`….local`)
    pub host: String,
    /// Its port
    pub port: u16,
    /// `host`, `srflx`, `prflx` or `relay`
    pub kind: String,
    /// The address from which it was derived
    pub related: Option<(String, u16)>,
    /// `tcptype`, `generation`, `network-id`, … with their values
    pub extensions: Vec<(String, String)>,
}

impl Candidate {
    /// The address, if it is one and not a name.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl TypedAttribute for Candidate {
    const NAME: &'static str = "candidate";

    fn parse(value: &str) -> Result<Self, ValueError> {
        parse(value).ok_or(ValueError(Self::NAME))
    }

    fn value(&self) -> String {
        let Self {
            foundation,
            component,
            transport,
            priority,
            host,
            port,
            kind,
            related,
            extensions,
        } = self;
        let mut text =
            format!("{foundation} {component} {transport} {priority} {host} {port} typ {kind}");
        if let Some((host, port)) = related {
            text.push_str(&format!(" raddr {host} rport {port}"));
        }
        for (name, value) in extensions {
            text.push_str(&format!(" {name} {value}"));
        }
        text
    }
}

fn parse(value: &str) -> Option<Candidate> {
    let mut words = value.split_ascii_whitespace();
    let mut candidate = Candidate {
        foundation: words.next()?.to_owned(),
        component: words.next()?.parse().ok()?,
        transport: words.next()?.to_owned(),
        priority: words.next()?.parse().ok()?,
        host: words.next()?.to_owned(),
        port: words.next()?.parse().ok()?,
        kind: words
            .next()
            .filter(|word| word.eq_ignore_ascii_case("typ"))
            .and_then(|_| words.next())?
            .to_owned(),
        related: None,
        extensions: Vec::new(),
    };
    while let Some(name) = words.next() {
        let value = words.next()?;
        match &mut candidate.related {
            None if name == "raddr" && candidate.extensions.is_empty() => {
                candidate.related = Some((value.to_owned(), 0));
            }
            Some((_, port)) if name == "rport" && candidate.extensions.is_empty() => {
                *port = value.parse().ok()?;
            }
            _ => candidate
                .extensions
                .push((name.to_owned(), value.to_owned())),
        }
    }
    Some(candidate)
}

/// The candidates of the reader that the controlling agent chose (RFC 8839 §5.2): component, host, port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteCandidates(pub Vec<(u16, String, u16)>);

impl TypedAttribute for RemoteCandidates {
    const NAME: &'static str = "remote-candidates";

    fn parse(value: &str) -> Result<Self, ValueError> {
        let wrong = ValueError(Self::NAME);
        let words: Vec<&str> = value.split_ascii_whitespace().collect();
        let mut candidates = Vec::with_capacity(words.len() / 3);
        for triple in words.chunks(3) {
            let [component, host, port] = triple else {
                return Err(wrong);
            };
            candidates.push((
                component.parse().map_err(|_| wrong)?,
                (*host).to_owned(),
                port.parse().map_err(|_| wrong)?,
            ));
        }
        if candidates.is_empty() {
            return Err(wrong);
        }
        Ok(Self(candidates))
    }

    fn value(&self) -> String {
        let all: Vec<String> = self
            .0
            .iter()
            .map(|(component, host, port)| format!("{component} {host} {port}"))
            .collect();
        all.join(" ")
    }
}

flag! {
    /// No more candidates will come (RFC 8840 §8.2).
    EndOfCandidates = "end-of-candidates"
}
