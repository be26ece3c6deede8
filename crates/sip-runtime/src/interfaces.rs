//! The addresses of this host.

use std::net::{IpAddr, Ipv4Addr};

/// Every address of every interface, loopback included, each once.
#[cfg(unix)]
pub(crate) fn system() -> Vec<IpAddr> {
    let mut addresses = Vec::new();
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
    or_loopback(addresses)
}

/// Without a list of interfaces: the address that a datagram to the world would leave from, and loopback.
#[cfg(not(unix))]
pub(crate) fn system() -> Vec<IpAddr> {
    let outward = [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")];
    let addresses = outward
        .into_iter()
        .filter_map(|(local, remote)| {
            let socket = std::net::UdpSocket::bind(local).ok()?;
            // Connecting a datagram socket sends nothing.
            socket.connect(remote).ok()?;
            Some(socket.local_addr().ok()?.ip())
        })
        .chain([IpAddr::from(Ipv4Addr::LOCALHOST)])
        .collect();
    or_loopback(addresses)
}

fn or_loopback(mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    if addresses.is_empty() {
        addresses.push(Ipv4Addr::LOCALHOST.into());
    }
    addresses
}

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
}
