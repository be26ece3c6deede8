//! Where the stack is reached, and what it says about that.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use thiserror::Error;

use crate::tls::Tls;
use sip_io::Protocol;
use sip_message::Host;

/// A socket to bind, and the address that peers are told.
///
/// The two differ behind a NAT, in a container and with a host name: everything that is written into a message (Via,
/// Contact, Record-Route) uses the advertised address where there is one.
///
/// ```
/// # use sip_transport::Listener;
/// let plain: Listener = "udp:192.0.2.4:5060".parse()?;
/// let behind_nat = Listener::tcp("10.0.0.4:5060".parse()?).advertise("sip.example.com:5060")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    protocol: Protocol,
    local: SocketAddr,
    advertised: Option<Advertised>,
    announced_by: Option<Vec<IpAddr>>,
    own_tls: Option<OwnTls>,
}

impl Listener {
    /// Datagrams at `local`; port 0 asks the system for one.
    ///
    /// RFC 3261 §18.2.1 wants a server to [listen for TCP](Self::tcp) wherever it listens for UDP, because what is too long
    /// for a datagram comes that way; peers that find nobody there have to send long datagrams after all.
    pub const fn udp(local: SocketAddr) -> Self {
        Self::new(Protocol::Udp, local)
    }

    /// TCP connections at `local`; port 0 asks the system for one.
    pub const fn tcp(local: SocketAddr) -> Self {
        Self::new(Protocol::Tcp, local)
    }

    /// TLS connections at `local`; port 0 asks the system for one.
    ///
    /// What `tls` says holds for the connections that the listener accepts, and for those that we open where it speaks
    /// for us. Where it says nothing (no identity, no roots, no question to clients), and with `None` and in the text
    /// form, that of the transport holds. A connection made with one identity takes no requests for another.
    ///
    /// ```
    /// # use sip_transport::{Listener, Tls, TlsError};
    /// # fn configure(chain: &[u8], key: &[u8], carriers: &[u8]) -> Result<[Listener; 2], TlsError> {
    /// let to_carriers = Tls::new().identity_pem(chain, key)?.require_client_certificates(carriers)?;
    /// Ok([
    ///     Listener::tls("192.0.2.4:5061".parse().unwrap(), None),
    ///     Listener::tls("10.0.0.4:5061".parse().unwrap(), to_carriers),
    /// ])
    /// # }
    /// # assert!(configure(b"", b"", b"").is_err());
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls(local: SocketAddr, tls: impl Into<Option<Tls>>) -> Self {
        Self::new(Protocol::Tls, local).with_tls(tls.into())
    }

    /// WebSocket connections at `local` (RFC 7118); port 0 asks the system for one.
    pub const fn ws(local: SocketAddr) -> Self {
        Self::new(Protocol::Ws, local)
    }

    /// Secure WebSocket connections at `local` (RFC 7118), with TLS of their own as for [`tls`](Self::tls); port 0 asks
    /// the system for one.
    #[cfg(feature = "tls")]
    pub fn wss(local: SocketAddr, tls: impl Into<Option<Tls>>) -> Self {
        Self::new(Protocol::Wss, local).with_tls(tls.into())
    }

    #[cfg(feature = "tls")]
    fn with_tls(mut self, tls: Option<Tls>) -> Self {
        self.own_tls = tls.map(|tls| OwnTls(Arc::new(tls)));
        self
    }

    const fn new(protocol: Protocol, local: SocketAddr) -> Self {
        Self {
            protocol,
            local,
            advertised: None,
            announced_by: None,
            own_tls: None,
        }
    }

    /// Takes connections only from these load balancers, and believes whom they say each is from: it begins with a
    /// header of the PROXY protocol, version 2.
    ///
    /// Defaults to none: connections come from whom they come from. Where this is set, every other connection, and one
    /// that begins otherwise, is closed. Nothing like it exists for datagrams, so for a listener for UDP it says nothing.
    pub fn announced_by(mut self, balancers: impl IntoIterator<Item = IpAddr>) -> Self {
        self.announced_by = Some(balancers.into_iter().collect());
        self
    }

    /// Who has to say whom connections are from.
    pub(crate) fn announcers(&self) -> Option<&[IpAddr]> {
        self.announced_by.as_deref()
    }

    /// The TLS that it has for itself.
    pub(crate) fn own_tls(&self) -> Option<&Arc<Tls>> {
        self.own_tls.as_ref().map(|OwnTls(tls)| tls)
    }

    /// Whether it was given TLS for itself.
    pub const fn has_tls(&self) -> bool {
        self.own_tls.is_some()
    }

    /// Sets what peers are told instead of the bound address: `HOST` or `HOST:PORT`, an IPv6 address with a port in
    /// brackets.
    ///
    /// Defaults to the bound address. Without a port, the bound one is told.
    pub fn advertise(mut self, advertised: &str) -> Result<Self, ListenerError> {
        self.advertised = Some(advertised.parse()?);
        Ok(self)
    }

    /// The same listener at another address: the one that the system chose for another shard, say.
    #[must_use]
    pub const fn at(mut self, local: SocketAddr) -> Self {
        self.local = local;
        self
    }

    /// What is spoken there.
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Where the socket is to be bound.
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// What peers are told, where it is not the bound address.
    pub const fn advertised(&self) -> Option<&Advertised> {
        self.advertised.as_ref()
    }
}

impl FromStr for Listener {
    type Err = ListenerError;

    /// Reads `PROTOCOL:ADDRESS[:PORT]`: `udp:192.0.2.4:5060`, `tcp:[2001:db8::4]:5060`, `udp:0.0.0.0`. `*` is every
    /// address of both families; without a port, it is the protocol's usual one (RFC 3261 §18.2.1).
    fn from_str(text: &str) -> Result<Self, ListenerError> {
        let malformed = || ListenerError::Malformed(text.to_owned());
        let (protocol, address) = text.split_once(':').ok_or_else(malformed)?;
        let Some(protocol) = Protocol::from_token(protocol) else {
            return Err(ListenerError::Protocol(protocol.to_owned()));
        };
        let address = match address.strip_prefix('*') {
            Some(port) => format!("[::]{port}"),
            None => address.to_owned(),
        };
        let local = address
            .parse()
            .ok()
            .or_else(|| {
                Some(SocketAddr::new(
                    Host::parse(&address).ok()?.as_ip()?,
                    protocol.default_port(),
                ))
            })
            .ok_or_else(malformed)?;
        Ok(Self::new(protocol, local))
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = self.protocol.as_str().to_ascii_lowercase();
        write!(f, "{protocol}:{}", self.local)
    }
}

/// Two are the same if one is a clone of the other.
#[derive(Clone, Debug)]
struct OwnTls(Arc<Tls>);

impl PartialEq for OwnTls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for OwnTls {}

/// A host and a port that peers are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    host: Host,
    port: Option<u16>,
}

impl Advertised {
    /// The host.
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The port, where one was given.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The port that is told by a listener at `bound`.
    pub(crate) fn port_or(&self, bound: SocketAddr) -> u16 {
        self.port.unwrap_or_else(|| bound.port())
    }
}

impl FromStr for Advertised {
    type Err = ListenerError;

    fn from_str(text: &str) -> Result<Self, ListenerError> {
        let malformed = || ListenerError::Advertised(text.to_owned());
        let (host, port) = match text.rsplit_once(':') {
            // A bare IPv6 address has colons and no port.
            _ if text.parse::<Ipv6Addr>().is_ok() => (text, None),
            Some((host, port)) if !port.contains(']') => {
                (host, Some(port.parse().map_err(|_| malformed())?))
            }
            _ => (text, None),
        };
        let host = Host::parse(host).map_err(|_| malformed())?;
        Ok(Self { host, port })
    }
}

/// Why a listener could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ListenerError {
    /// It is not `PROTOCOL:ADDRESS[:PORT]`
    #[error("{0:?} is not PROTOCOL:ADDRESS[:PORT]")]
    Malformed(String),
    /// Nothing can listen for this protocol
    #[error("{0:?} is not a protocol to listen for (udp, tcp, tls, ws, wss)")]
    Protocol(String),
    /// The advertised address is not `HOST[:PORT]`
    #[error("{0:?} is not HOST[:PORT]")]
    Advertised(String),
}

/// Names one listener of a [`Transport`](crate::Transport), also after it has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub(crate) u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms_are_read() {
        for (text, protocol, local) in [
            ("udp:192.0.2.4:5070", Protocol::Udp, "192.0.2.4:5070"),
            ("TCP:[2001:db8::4]:0", Protocol::Tcp, "[2001:db8::4]:0"),
            ("udp:*:5062", Protocol::Udp, "[::]:5062"),
            ("tcp:[::1]", Protocol::Tcp, "[::1]:5060"),
            ("udp:::1", Protocol::Udp, "[::1]:5060"),
            ("tls:192.0.2.4", Protocol::Tls, "192.0.2.4:5061"),
            ("ws:192.0.2.4:8080", Protocol::Ws, "192.0.2.4:8080"),
            ("wss:*", Protocol::Wss, "[::]:443"),
        ] {
            let listener: Listener = text.parse().unwrap();
            assert_eq!(listener.protocol(), protocol, "{text}");
            assert_eq!(listener.local(), local.parse().unwrap(), "{text}");
        }
        for text in [
            "",
            "udp",
            "udp:",
            "sctp:1.2.3.4:5",
            "udp:example.com:5060",
            "udp:*x",
        ] {
            assert!(text.parse::<Listener>().is_err(), "{text}");
        }
    }

    /// TRA-018: RFC 3261 §18.2.1 recommends the ports; which of the transports there are is for the application to say, so
    /// nobody listens unasked.
    #[test]
    fn tra_018_without_a_port_it_is_the_usual_one() {
        for (text, port) in [
            ("udp:0.0.0.0", 5060),
            ("tcp:*", 5060),
            ("tls:[::1]", 5061),
            ("ws:*", 80),
            ("wss:*", 443),
        ] {
            assert_eq!(text.parse::<Listener>().unwrap().local().port(), port);
        }
    }

    #[test]
    fn advertised_addresses_are_read_and_checked() {
        for (text, host, port) in [
            ("Sip.Example.com", "Sip.Example.com", None),
            ("sip.example.com:5070", "sip.example.com", Some(5070)),
            ("203.0.113.5:5060", "203.0.113.5", Some(5060)),
            ("2001:db8::5", "[2001:db8::5]", None),
            ("[2001:db8::5]:5060", "[2001:db8::5]", Some(5060)),
            ("[2001:db8::5]", "[2001:db8::5]", None),
        ] {
            let advertised: Advertised = text.parse().unwrap();
            assert_eq!(advertised.host().to_string(), host);
            assert_eq!(advertised.port(), port);
        }
        for text in [
            "",
            ":5060",
            "a b",
            "a\r\nVia: x",
            "h:70000",
            "h:",
            "-a",
            "[::1",
        ] {
            assert!(text.parse::<Advertised>().is_err(), "{text:?}");
        }
    }
}
