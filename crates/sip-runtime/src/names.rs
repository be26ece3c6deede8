//! Who answers questions about names.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

/// Name servers to ask, and names that need no asking.
///
/// ```
/// use sip_runtime::NameService;
/// let names = NameService::parse("nameserver 192.0.2.53\n", "192.0.2.7 proxy.example.com proxy # ours\n");
/// assert_eq!(names.nameservers, ["192.0.2.53:53".parse()?]);
/// assert_eq!(names.hosts[1], ("proxy".to_owned(), "192.0.2.7".parse()?));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameService {
    /// The servers, the preferred one first
    pub nameservers: Vec<SocketAddr>,
    /// Names with an address of their own, as a hosts file has them
    pub hosts: Vec<(String, IpAddr)>,
}

impl NameService {
    /// What the system's `resolv.conf` and `hosts` say; a server on this host when they say nothing.
    pub fn system() -> Self {
        // A system without these files has the answers of empty ones.
        let resolv_conf = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
        Self::parse(&resolv_conf, &hosts)
    }

    /// What the text of a `resolv.conf` and of a `hosts` file say. Lines that cannot be read are passed over, as the
    /// system's resolver does.
    pub fn parse(resolv_conf: &str, hosts: &str) -> Self {
        let mut nameservers: Vec<_> = words_of_lines(resolv_conf)
            .filter_map(|words| match words.as_slice() {
                ["nameserver", address, ..] => address.parse().ok(),
                _ => None,
            })
            .map(|address: IpAddr| SocketAddr::new(address, 53))
            .collect();
        if nameservers.is_empty() {
            nameservers.push(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)));
        }
        let hosts = words_of_lines(hosts)
            .filter_map(|words| {
                let (address, names) = words.split_first()?;
                let address: IpAddr = address.parse().ok()?;
                Some((address, names.to_vec()))
            })
            .flat_map(|(address, names)| {
                names
                    .into_iter()
                    .map(move |name| (name.to_owned(), address))
            })
            .collect();
        Self { nameservers, hosts }
    }
}

fn words_of_lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| {
        line.split(['#', ';'])
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_cannot_be_read_are_passed_over() {
        let names = NameService::parse(
            "# nameserver 192.0.2.1\nnameserver nobody\nsearch example.com\nnameserver 2001:db8::53\n",
            "::1 localhost ip6-localhost\n\nnot-an-address name\n",
        );
        assert_eq!(
            names.nameservers,
            ["[2001:db8::53]:53".parse().expect("is an address")]
        );
        assert_eq!(names.hosts.len(), 2);
    }

    #[test]
    fn without_a_configuration_this_host_is_asked() {
        assert_eq!(
            NameService::parse("", "").nameservers,
            ["127.0.0.1:53".parse().expect("is an address")]
        );
    }
}
