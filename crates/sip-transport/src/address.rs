//! Which addresses are ours, and which of them faces a peer.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use crate::listener::{Listener, ListenerId};
use sip_io::Protocol;
use sip_message::Host;

/// What we write about ourselves: the `sent-by` of a Via, the host and port of a Contact or a Record-Route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentBy {
    /// The host, advertised or concrete
    pub host: Host,
    /// The port; `None` where nobody listens and the connection is not open yet
    pub port: Option<u16>,
    /// What is spoken
    pub protocol: Protocol,
}

impl fmt::Display for SentBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => write!(f, "{}", self.host),
        }
    }
}

/// Listeners, bound or not, and the addresses of the host.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    listeners: Vec<Entry>,
    interfaces: Vec<IpAddr>,
}

#[derive(Debug)]
struct Entry {
    id: ListenerId,
    listener: Listener,
    bound: Option<SocketAddr>,
}

impl Addresses {
    pub(crate) fn add(&mut self, id: ListenerId, listener: Listener) {
        self.listeners.push(Entry {
            id,
            listener,
            bound: None,
        });
    }

    pub(crate) fn remove(&mut self, id: ListenerId) -> bool {
        let before = self.listeners.len();
        self.listeners.retain(|entry| entry.id != id);
        self.listeners.len() < before
    }

    pub(crate) fn set_bound(&mut self, id: ListenerId, bound: SocketAddr) -> bool {
        let entry = self.listeners.iter_mut().find(|entry| entry.id == id);
        entry.map(|entry| entry.bound = Some(bound)).is_some()
    }

    /// Takes in the addresses of the host; whether they are others than before.
    pub(crate) fn set_interfaces(&mut self, interfaces: Vec<IpAddr>) -> bool {
        let before = std::mem::replace(&mut self.interfaces, interfaces);
        !before.is_empty() && before != self.interfaces
    }

    pub(crate) fn get(&self, id: ListenerId) -> Option<&Listener> {
        let entry = self.listeners.iter().find(|entry| entry.id == id)?;
        Some(&entry.listener)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = ListenerId> {
        self.listeners.iter().map(|entry| entry.id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ListenerId, &Listener, Option<SocketAddr>)> {
        self.listeners
            .iter()
            .map(|entry| (entry.id, &entry.listener, entry.bound))
    }

    /// The listener of `protocol` that faces `remote`, and the concrete address that it has there.
    ///
    /// A listener on one address of the peer's kind (loopback or not) that faces it goes before one on every address, and
    /// that one before those on other addresses: what leaves by them might not come back.
    pub(crate) fn facing(
        &self,
        protocol: Protocol,
        remote: IpAddr,
    ) -> Option<(ListenerId, SocketAddr)> {
        let bound = || {
            self.listeners
                .iter()
                .filter(|entry| entry.listener.protocol() == protocol)
                .filter_map(|entry| Some((entry.id, entry.bound?)))
                .filter(|(_, bound)| serves(bound.ip(), remote))
        };
        let alike = |&(_, bound): &(ListenerId, SocketAddr)| {
            !bound.ip().is_unspecified() && bound.ip().is_loopback() == remote.is_loopback()
        };
        let outward = self.interface_facing(remote);
        let nearness = |bound: SocketAddr| match common_prefix(bound.ip(), remote) {
            bits if bits >= NEAR => bits,
            _ => u32::from(outward == Some(bound.ip())),
        };
        // The first of those that are equally near.
        let nearest = bound().filter(alike).reduce(|best, other| {
            if nearness(other.1) > nearness(best.1) {
                other
            } else {
                best
            }
        });
        if let Some(found) = nearest.filter(|(_, bound)| nearness(*bound) > 0) {
            return Some(found);
        }
        let everywhere = bound().find(|(_, bound)| bound.ip().is_unspecified());
        if let Some((id, bound)) = everywhere
            && let Some(address) = outward
        {
            return Some((id, SocketAddr::new(address, bound.port())));
        }
        nearest.or_else(|| bound().find(|(_, bound)| !bound.ip().is_unspecified()))
    }

    /// The interface address from which `remote` is best reached: on its network, else the first, which is the one that
    /// faces the world where the driver knows it.
    pub(crate) fn interface_facing(&self, remote: IpAddr) -> Option<IpAddr> {
        if remote.is_loopback() {
            // The system talks to itself from the address that it talks to.
            return Some(remote);
        }
        let candidates = || {
            self.interfaces
                .iter()
                .copied()
                .filter(|address| same_family(*address, remote) && !address.is_loopback())
                .filter(|address| is_link_local(*address) == is_link_local(remote))
        };
        let near = candidates()
            .map(|address| (common_prefix(address, remote), address))
            .filter(|(bits, _)| *bits >= NEAR)
            .max_by_key(|(bits, _)| *bits);
        near.map(|(_, address)| address)
            .or_else(|| candidates().next())
    }

    /// The listener whose socket has the concrete address `local`.
    pub(crate) fn listener_at(&self, protocol: Protocol, local: SocketAddr) -> Option<ListenerId> {
        let at = |exact: bool| {
            self.listeners.iter().find(|entry| {
                entry.listener.protocol() == protocol
                    && entry.bound.is_some_and(|bound| {
                        bound.port() == local.port()
                            && if exact {
                                bound.ip() == local.ip()
                            } else {
                                bound.ip().is_unspecified() && serves(bound.ip(), local.ip())
                            }
                    })
            })
        };
        at(true).or_else(|| at(false)).map(|entry| entry.id)
    }

    /// What the listener says about itself on a flow whose local address is `local`.
    pub(crate) fn sent_by(&self, id: ListenerId, local: IpAddr) -> Option<SentBy> {
        let entry = self.listeners.iter().find(|entry| entry.id == id)?;
        let bound = entry.bound?;
        let protocol = entry.listener.protocol();
        Some(match entry.listener.advertised() {
            Some(advertised) => SentBy {
                host: advertised.host().clone(),
                port: Some(advertised.port_or(bound)),
                protocol,
            },
            None => SentBy {
                host: Host::from(if bound.ip().is_unspecified() {
                    local
                } else {
                    bound.ip()
                }),
                port: Some(bound.port()),
                protocol,
            },
        })
    }

    /// Whether `host` and `port` name one of the listeners, by its bound or by its advertised address.
    pub(crate) fn is_local(
        &self,
        host: &Host,
        port: Option<u16>,
        protocol: Option<Protocol>,
    ) -> bool {
        let ip = host.as_ip();
        self.listeners
            .iter()
            .filter(|entry| protocol.is_none_or(|wanted| wanted == entry.listener.protocol()))
            .any(|entry| {
                let Some(bound) = entry.bound else {
                    return false;
                };
                let port = port.unwrap_or_else(|| entry.listener.protocol().default_port());
                let advertised = entry.listener.advertised().is_some_and(|advertised| {
                    advertised.port_or(bound) == port && same_host(advertised.host(), host)
                });
                advertised
                    || bound.port() == port && ip.is_some_and(|ip| self.is_at(bound.ip(), ip))
            })
    }

    /// Whether `host` is an address or an advertised name of ours, whatever the port.
    pub(crate) fn names_us(&self, host: &Host) -> bool {
        let ip = host.as_ip();
        ip.is_some_and(|ip| ip.is_loopback() || self.interfaces.contains(&ip))
            || self.listeners.iter().any(|entry| {
                let advertised = entry.listener.advertised();
                advertised.is_some_and(|advertised| same_host(advertised.host(), host))
                    || ip.is_some() && entry.bound.map(|bound| bound.ip()) == ip
            })
    }

    fn is_at(&self, bound: IpAddr, ip: IpAddr) -> bool {
        if bound.is_unspecified() {
            serves(bound, ip) && (ip.is_loopback() || self.interfaces.contains(&ip))
        } else {
            bound == ip
        }
    }
}

/// Whether two hosts are the same; a name may end with a dot.
fn same_host(ours: &Host, theirs: &Host) -> bool {
    match (ours.as_name(), theirs.as_name()) {
        (Some(ours), Some(theirs)) => ours
            .trim_end_matches('.')
            .eq_ignore_ascii_case(theirs.trim_end_matches('.')),
        _ => ours == theirs,
    }
}

/// Whether a socket at `bound` can talk to `remote`; one at `[::]` talks to both families.
fn serves(bound: IpAddr, remote: IpAddr) -> bool {
    same_family(bound, remote) || bound == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
}

const fn same_family(one: IpAddr, other: IpAddr) -> bool {
    one.is_ipv4() == other.is_ipv4()
}

const fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

fn common_prefix(one: IpAddr, other: IpAddr) -> u32 {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => 0,
    }
}

/// From how many equal leading bits an interface counts as being on the peer's network.
const NEAR: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn listening(listeners: &[(&str, Option<&str>)], interfaces: &[&str]) -> Addresses {
        let mut addresses = Addresses::default();
        for (number, (listener, advertised)) in listeners.iter().enumerate() {
            let id = ListenerId(number as u32);
            let mut listener: Listener = listener.parse().unwrap();
            if let Some(advertised) = advertised {
                listener = listener.advertise(advertised).unwrap();
            }
            let bound = listener.local();
            addresses.add(id, listener);
            assert!(addresses.set_bound(id, bound));
        }
        addresses.set_interfaces(interfaces.iter().map(|ip| ip.parse().unwrap()).collect());
        addresses
    }

    fn is_local(
        addresses: &Addresses,
        host: &str,
        port: Option<u16>,
        protocol: Option<Protocol>,
    ) -> bool {
        addresses.is_local(&Host::parse(host).unwrap(), port, protocol)
    }

    fn facing(addresses: &Addresses, remote: &str) -> Option<String> {
        addresses
            .facing(Protocol::Udp, remote.parse().unwrap())
            .map(|(_, local)| local.to_string())
    }

    const INTERFACES: &[&str] = &[
        "127.0.0.1",
        "::1",
        "198.51.100.7",
        "10.1.0.9",
        "fe80::7",
        "2001:db8::7",
    ];

    #[test]
    fn a_wildcard_listener_faces_a_peer_with_a_concrete_address() {
        let v4 = listening(&[("udp:0.0.0.0:5060", None)], INTERFACES);
        assert_eq!(facing(&v4, "127.0.0.1").unwrap(), "127.0.0.1:5060");
        assert_eq!(facing(&v4, "10.1.2.3").unwrap(), "10.1.0.9:5060");
        assert_eq!(facing(&v4, "203.0.113.1").unwrap(), "198.51.100.7:5060");
        assert_eq!(facing(&v4, "::1"), None);
        let both = listening(&[("udp:*:5060", None)], INTERFACES);
        assert_eq!(facing(&both, "2001:db8::1").unwrap(), "[2001:db8::7]:5060");
        assert_eq!(facing(&both, "fe80::1").unwrap(), "[fe80::7]:5060");
        assert_eq!(facing(&both, "203.0.113.1").unwrap(), "198.51.100.7:5060");
    }

    #[test]
    fn a_listener_on_the_peers_side_goes_before_another() {
        let two = listening(
            &[("udp:127.0.0.1:5060", None), ("udp:10.1.0.9:5070", None)],
            INTERFACES,
        );
        assert_eq!(facing(&two, "127.0.0.1").unwrap(), "127.0.0.1:5060");
        assert_eq!(facing(&two, "203.0.113.1").unwrap(), "10.1.0.9:5070");
    }

    /// Of several listeners the one that the peer's answers reach, whatever was listed first.
    #[test]
    fn of_several_listeners_the_one_that_faces_the_peer_is_chosen() {
        let inside_first = listening(
            &[
                ("udp:10.1.0.9:5060", None),
                ("udp:198.51.100.7:5070", None),
                ("udp:198.51.100.7:5080", None),
            ],
            INTERFACES,
        );
        assert_eq!(facing(&inside_first, "10.1.7.7").unwrap(), "10.1.0.9:5060");
        for outside in ["198.51.100.99", "203.0.113.1"] {
            let local = facing(&inside_first, outside).unwrap();
            assert_eq!(local, "198.51.100.7:5070", "{outside}");
        }
        let with_wildcard = listening(
            &[("udp:10.1.0.9:5060", None), ("udp:0.0.0.0:5070", None)],
            INTERFACES,
        );
        assert_eq!(facing(&with_wildcard, "10.1.7.7").unwrap(), "10.1.0.9:5060");
        assert_eq!(
            facing(&with_wildcard, "203.0.113.1").unwrap(),
            "198.51.100.7:5070"
        );
        let only_inside = listening(&[("udp:10.1.0.9:5060", None)], INTERFACES);
        assert_eq!(
            facing(&only_inside, "203.0.113.1").unwrap(),
            "10.1.0.9:5060"
        );
    }

    #[test]
    fn hosts_are_ours_with_the_right_port_only() {
        let addresses = listening(
            &[
                ("udp:0.0.0.0:5060", None),
                ("tcp:10.1.0.9:5070", Some("sip.example.com")),
            ],
            INTERFACES,
        );
        let udp = Some(Protocol::Udp);
        let tcp = Some(Protocol::Tcp);
        for (host, port, protocol) in [
            ("127.0.0.1", None, None),
            ("127.0.0.53", Some(5060), udp),
            ("10.1.0.9", None, udp),
            ("10.1.0.9", Some(5070), tcp),
            ("SIP.example.com", Some(5070), None),
            ("sip.example.com.", Some(5070), tcp),
        ] {
            assert!(
                is_local(&addresses, host, port, protocol),
                "{host} {port:?}"
            );
        }
        for (host, port, protocol) in [
            ("10.1.0.9", Some(5061), None),
            ("10.1.0.9", Some(5070), udp),
            ("10.1.0.8", None, None),
            ("sip.example.com", None, None),
            ("example.com", Some(5070), None),
            ("0.0.0.0", None, None),
        ] {
            assert!(
                !is_local(&addresses, host, port, protocol),
                "{host} {port:?}"
            );
        }
    }

    /// TRA-038: RFC 3261 §25.1 writes an IPv6 address in brackets.
    #[test]
    fn tra_038_an_ipv6_sent_by_stands_in_brackets() {
        let addresses = listening(&[("udp:[::1]:5070", None)], INTERFACES);
        let ip: IpAddr = "::1".parse().unwrap();
        let sent_by = addresses.sent_by(ListenerId(0), ip).unwrap();
        assert_eq!(sent_by.to_string(), "[::1]:5070");
        assert!(is_local(&addresses, "[::1]", Some(5070), None));
    }

    #[test]
    fn an_advertised_host_takes_the_bound_port_unless_it_has_one() {
        let addresses = listening(
            &[
                ("udp:0.0.0.0:5070", Some("sip.example.com")),
                ("udp:0.0.0.0:5080", Some("203.0.113.9:6000")),
            ],
            INTERFACES,
        );
        let ip = "10.1.0.9".parse().unwrap();
        let text = |id| addresses.sent_by(ListenerId(id), ip).unwrap().to_string();
        assert_eq!(text(0), "sip.example.com:5070");
        assert_eq!(text(1), "203.0.113.9:6000");
    }
}
