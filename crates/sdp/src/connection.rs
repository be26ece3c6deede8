//! The c= line (RFC 8866 §5.7).

use crate::{IllegalText, ValueError, line::check_word};
use std::{fmt, net::IpAddr, str::FromStr};

/// Where media are to be sent (RFC 8866 §5.7).
///
/// ```
/// # use sdp::Connection;
/// let connection: Connection = "IN IP4 224.2.1.1/127".parse()?;
/// assert_eq!(connection.ip(), Some([224, 2, 1, 1].into()));
/// assert_eq!(connection.to_string(), "IN IP4 224.2.1.1/127");
/// # Ok::<(), sdp::ValueError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    network: String,
    address_type: String,
    address: String,
}

impl Connection {
    /// The address `ip`.
    pub fn new(ip: IpAddr) -> Self {
        Self {
            network: "IN".into(),
            address_type: if ip.is_ipv4() { "IP4" } else { "IP6" }.into(),
            address: ip.to_string(),
        }
    }

    /// A host name instead of an address, to be looked up as IPv4 or IPv6.
    pub fn named(host: &str, ipv6: bool) -> Result<Self, IllegalText> {
        check_word(host)?;
        Ok(Self {
            network: "IN".into(),
            address_type: if ipv6 { "IP6" } else { "IP4" }.into(),
            address: host.into(),
        })
    }

    /// The address or name, without a multicast scope behind it.
    pub fn host(&self) -> &str {
        self.address.split('/').next().unwrap_or_default()
    }

    /// The address, if it is one and not a name.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host().parse().ok()
    }

    /// Whether it is `0.0.0.0` or `::`, with which old peers say that they are on hold (RFC 3264 §8.4).
    pub fn is_unspecified(&self) -> bool {
        self.ip().is_some_and(|ip| ip.is_unspecified())
    }
}

impl FromStr for Connection {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let [network, address_type, address] = parts(text).ok_or(ValueError("c="))?;
        Ok(Self {
            network: network.into(),
            address_type: address_type.into(),
            address: address.into(),
        })
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.network, self.address_type, self.address)
    }
}

pub(crate) fn is_wellformed(value: &[u8]) -> bool {
    str::from_utf8(value).is_ok_and(|text| parts(text).is_some())
}

fn parts(text: &str) -> Option<[&str; 3]> {
    let mut parts = text.split_ascii_whitespace();
    let found = [parts.next()?, parts.next()?, parts.next()?];
    // RFC 3108 and others put more behind the address; it is kept in the line and not read.
    Some(found)
}
