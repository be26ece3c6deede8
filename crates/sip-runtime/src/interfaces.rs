//! The addresses of this host.

use std::net::{IpAddr, Ipv4Addr};

/// Every address of every interface, loopback included, each once. Those come first from which a datagram to the world
/// would leave: whoever does not know a peer's network takes the first.
#[cfg(unix)]
pub(crate) fn system() -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    let outward = outward();
    match nix::ifaddrs::getifaddrs() {
        Ok(interfaces) => {
            for storage in interfaces.filter_map(|interface| interface.address) {
                let v4 = storage.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
                let v6 = storage.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip()));
                if let Some(address) = v4.or(v6)
                    && !addresses.contains(&address)
                {
                    addresses.push(address);
                }
            }
        }
        Err(error) => tracing::warn!(%error, "cannot list the interfaces"),
    }
    // The sort is stable: among equals the system's order stays.
    addresses.sort_by_key(|address| !outward.contains(address));
    or_loopback(addresses)
}

/// Without a list of interfaces: the address that a datagram to the world would leave from, and loopback.
#[cfg(not(unix))]
pub(crate) fn system() -> Vec<IpAddr> {
    let mut addresses = outward();
    addresses.push(Ipv4Addr::LOCALHOST.into());
    addresses
}

/// The address of each family that a datagram to the world would leave from.
fn outward() -> Vec<IpAddr> {
    let outward = [("0.0.0.0:0", WORLD), ("[::]:0", WORLD_6)];
    let found = outward.into_iter().filter_map(|(local, remote)| {
        let socket = std::net::UdpSocket::bind(local).ok()?;
        // Connecting a datagram socket sends nothing.
        socket.connect(remote).ok()?;
        Some(socket.local_addr().ok()?.ip())
    });
    found.collect()
}

#[cfg(unix)]
fn or_loopback(mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    if addresses.is_empty() {
        addresses.push(Ipv4Addr::LOCALHOST.into());
    }
    addresses
}

/// Addresses that nobody has on his own network: those of two root name servers.
const WORLD: &str = "198.41.0.4:9";
const WORLD_6: &str = "[2001:503:ba3e::2:30]:9";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_among_the_addresses_and_none_comes_twice() {
        let addresses = system();
        assert!(addresses.iter().any(IpAddr::is_loopback), "{addresses:?}");
        for (position, address) in addresses.iter().enumerate() {
            assert!(!addresses[..position].contains(address));
        }
    }

    /// Whatever the order of the interfaces.
    #[test]
    fn the_address_that_faces_the_world_is_the_first_of_its_family() {
        let addresses = system();
        for outward in outward() {
            let family = |address: &&IpAddr| address.is_ipv4() == outward.is_ipv4();
            assert_eq!(
                addresses.iter().find(family),
                Some(&outward),
                "{addresses:?}"
            );
        }
    }
}
