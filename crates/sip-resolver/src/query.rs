//! What is to be located.

use crate::name;
use sip_io::Protocol;
use std::net::{IpAddr, Ipv6Addr};
use thiserror::Error;

/// Host, port and transport that are to become addresses.
///
/// ```
/// # use sip_io::Protocol;
/// # use sip_resolver::Query;
/// // RFC 3263 §5: where a response goes when the connection is gone.
/// let sent_by = Query::host("client.example.com", Some(5060), Some(Protocol::Tcp))?;
/// assert_eq!(sent_by.name(), "client.example.com");
/// # Ok::<(), sip_resolver::QueryError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query {
    /// The host as it was written: the name that a TLS certificate has to have
    pub(crate) name: String,
    pub(crate) host: Host,
    pub(crate) port: Option<u16>,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) secure: bool,
}

/// RFC 3263's TARGET.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    Numeric(IpAddr),
    Name(String),
}

impl Query {
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
        })
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
