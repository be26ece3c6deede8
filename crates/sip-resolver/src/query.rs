//! What is to be located.

use crate::{enum_, name};
use sip_io::Protocol;
use sip_message::Uri;
use std::net::{IpAddr, Ipv6Addr};
use thiserror::Error;

/// Host, port and transport that are to become addresses.
///
/// ```
/// # use sip_io::Protocol;
/// # use sip_resolver::Query;
/// let next_hop = Query::uri(&"sip:bob@example.com;transport=tcp".parse()?)?;
/// assert_eq!(next_hop.name(), "example.com");
///
/// // RFC 3263 §5: where a response goes when the connection is gone.
/// let sent_by = Query::host("client.example.com", Some(5060), Some(Protocol::Tcp))?;
/// assert_eq!(sent_by.name(), "client.example.com");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query {
    /// The host as it was written: the name that a TLS certificate has to have
    pub(crate) name: String,
    pub(crate) host: Host,
    pub(crate) port: Option<u16>,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) secure: bool,
    /// A telephone number that has to become a URI first
    pub(crate) number: Option<String>,
}

/// RFC 3263's TARGET.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    Numeric(IpAddr),
    Name(String),
}

impl Query {
    /// Where a request to this URI goes: the topmost Route, or else the Request-URI (RFC 3263 §4).
    ///
    /// A `tel` URI with a global number is looked for by ENUM (RFC 6116), if the resolver has a
    /// [suffix](crate::ResolverConfig::enum_suffix) for it.
    ///
    /// A `maddr` parameter replaces the host as what is looked up, not as the name that a certificate has to have.
    ///
    /// # Errors
    ///
    /// If the scheme is not `sip`, `sips` or `tel` with a global number, the transport none that we know or not one for `sips`, the host no domain
    /// name, or the port 0.
    pub fn uri(uri: &Uri) -> Result<Self, QueryError> {
        if let Some(number) = telephone_number(uri) {
            return Ok(Self {
                name: number.clone(),
                host: Host::Name(String::new()),
                port: None,
                protocol: None,
                secure: false,
                number: Some(number),
            });
        }
        if !uri.is_sip() {
            return Err(QueryError::Scheme(uri.scheme_str().to_owned()));
        }
        let secure = uri.is_sips();
        let protocol = match uri.transport() {
            None => None,
            Some(token) => match Protocol::from_token(&token).and_then(|protocol| {
                if secure {
                    secured(protocol)
                } else {
                    Some(protocol)
                }
            }) {
                Some(protocol) => Some(protocol),
                None => return Err(QueryError::Transport(token.into_owned())),
            },
        };
        let host = match uri.maddr() {
            Some(maddr) => Host::parse(&maddr.to_string())?,
            None => Host::parse(uri.host_str())?,
        };
        Ok(Self {
            name: uri.host_str().to_owned(),
            host,
            port: written_port(uri.port())?,
            protocol,
            secure,
            number: None,
        })
    }

    /// The same as if the URI had been a `sips` URI: that is what a Route's is for a request that is to a `sips` URI
    /// (RFC 3261 §8.1.2).
    ///
    /// # Errors
    ///
    /// If the transport is none for `sips`.
    pub fn secured(mut self) -> Result<Self, QueryError> {
        if let Some(protocol) = self.protocol {
            let transport = || QueryError::Transport(protocol.to_string());
            self.protocol = Some(secured(protocol).ok_or_else(transport)?);
        }
        self.secure = true;
        Ok(self)
    }

    /// A host with what is known about port and transport, as in a Via's sent-by (RFC 3263 §5).
    ///
    /// The host is a name, an IPv4 address or an IPv6 address with or without brackets.
    pub fn host(
        host: &str,
        port: Option<u16>,
        protocol: Option<Protocol>,
    ) -> Result<Self, QueryError> {
        Ok(Self {
            name: host.to_owned(),
            host: Host::parse(host)?,
            port: written_port(port)?,
            protocol,
            secure: protocol.is_some_and(Protocol::is_secure),
            number: None,
        })
    }

    /// Whether there is nothing to look up.
    pub(crate) const fn is_numeric(&self) -> bool {
        matches!(self.host, Host::Numeric(_)) && self.number.is_none()
    }

    /// The host as it was written: the name that a TLS certificate has to have.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Host {
    fn parse(host: &str) -> Result<Self, QueryError> {
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        if let Some(bare) = bare {
            return match bare.parse::<Ipv6Addr>() {
                Ok(address) => Ok(Self::Numeric(IpAddr::V6(address))),
                Err(_) => Err(QueryError::NotADomain(host.to_owned())),
            };
        }
        if let Ok(address) = host.parse() {
            return Ok(Self::Numeric(address));
        }
        match name::normalize(host) {
            Some(name) => Ok(Self::Name(name)),
            None => Err(QueryError::NotADomain(host.to_owned())),
        }
    }
}

/// RFC 6116 §2: only a global number has a place in the tree.
fn telephone_number(uri: &Uri) -> Option<String> {
    if !uri.scheme_str().eq_ignore_ascii_case("tel") {
        return None;
    }
    enum_::e164(&uri.user()?)
}

/// RFC 3261 §26.2.2: `sips` means TLS whatever stream is named; there is none over datagrams here.
const fn secured(protocol: Protocol) -> Option<Protocol> {
    match protocol {
        Protocol::Tcp | Protocol::Tls => Some(Protocol::Tls),
        Protocol::Ws | Protocol::Wss => Some(Protocol::Wss),
        _ => None,
    }
}

/// Port 0 names no port that anything could be sent to.
fn written_port(port: Option<u16>) -> Result<Option<u16>, QueryError> {
    match port {
        Some(0) => Err(QueryError::NoPort),
        port => Ok(port),
    }
}

/// Why something cannot be located at all.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The scheme leads nowhere in the DNS
    #[error("cannot locate a server for scheme {0}")]
    Scheme(String),
    /// The transport is none of ours, or does not go with the scheme
    #[error("cannot use transport {0}")]
    Transport(String),
    /// The host is neither a domain name nor an address
    #[error("{0} is neither a domain name nor an address")]
    NotADomain(String),
    /// The port is 0
    #[error("port 0 is no port")]
    NoPort,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Result<Query, QueryError> {
        Query::uri(&text.parse().expect("is a URI"))
    }

    /// RFC 3261 §8.1.2.
    #[test]
    fn what_is_secured_is_as_if_it_had_been_sips() {
        for (sip, sips) in [
            (
                "sip:example.com;transport=ws",
                "sips:example.com;transport=ws",
            ),
            (
                "sip:192.0.2.1:443;transport=ws",
                "sips:192.0.2.1:443;transport=wss",
            ),
            (
                "sip:example.com;transport=tcp",
                "sips:example.com;transport=tls",
            ),
            ("sip:example.com", "sips:example.com"),
            ("sips:example.com", "sips:example.com"),
        ] {
            assert_eq!(uri(sip).unwrap().secured(), uri(sips));
        }
        let datagrams = uri("sip:example.com;transport=udp").unwrap().secured();
        assert_eq!(datagrams, Err(QueryError::Transport("UDP".to_owned())));
    }

    #[test]
    fn transport_and_scheme_together_name_the_protocol() {
        for (text, protocol) in [
            ("sip:example.com", None),
            ("sip:example.com;transport=TCP", Some(Protocol::Tcp)),
            ("sip:example.com;transport=tls", Some(Protocol::Tls)),
            ("sip:example.com;transport=ws", Some(Protocol::Ws)),
            ("sip:example.com;transport", None),
            ("sips:example.com", None),
            ("sips:example.com;transport=tcp", Some(Protocol::Tls)),
            ("sips:example.com;transport=ws", Some(Protocol::Wss)),
        ] {
            let query = uri(text).expect(text);
            assert_eq!(query.protocol, protocol, "{text}");
            assert_eq!(query.secure, text.starts_with("sips"));
        }
        for text in [
            "sips:example.com;transport=udp",
            "sip:example.com;transport=sctp",
        ] {
            assert!(matches!(uri(text), Err(QueryError::Transport(_))), "{text}");
        }
    }

    /// RFC 3263 §4: TARGET is the maddr; RFC 5922 §4: the name to verify is the host.
    #[test]
    fn maddr_replaces_the_target_but_not_the_name() {
        let query = uri("sip:bob@Example.com:5070;maddr=192.0.2.7").expect("can be located");
        assert_eq!(query.host, Host::Numeric([192, 0, 2, 7].into()));
        assert_eq!((query.name(), query.port), ("Example.com", Some(5070)));
        let query = uri("sip:bob@example.com;maddr=[2001:db8::7]").expect("can be located");
        assert!(matches!(query.host, Host::Numeric(IpAddr::V6(_))));
    }

    #[test]
    fn what_leads_nowhere_is_said_so() {
        assert_eq!(
            uri("tel:5551234;phone-context=example.com"),
            Err(QueryError::Scheme("tel".into()))
        );
        assert_eq!(
            Query::host("a b", None, None),
            Err(QueryError::NotADomain("a b".into()))
        );
        assert_eq!(
            Query::host("[::1", None, None),
            Err(QueryError::NotADomain("[::1".into()))
        );
        assert_eq!(
            Query::host("example.com", Some(0), None),
            Err(QueryError::NoPort)
        );
    }
}
