//! Whom a certificate speaks for (RFC 5922 §7).

use std::net::IpAddr;

use rustls::pki_types::{CertificateDer, DnsName, ServerName};
use webpki::EndEntityCert;

use sip_message::{Host, Uri};

/// Who a peer has proved to be over TLS, with a certificate that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    certificates: Vec<CertificateDer<'static>>,
    domains: Vec<String>,
    wildcards: bool,
}

impl PeerIdentity {
    pub(crate) fn new(certificates: Vec<CertificateDer<'static>>, wildcards: bool) -> Self {
        let domains = certificates.first().map(domains).unwrap_or_default();
        Self {
            certificates,
            domains,
            wildcards,
        }
    }

    /// The domains that the certificate speaks for: those of its `sip:` URIs, else its DNS names (RFC 5922 §7.1).
    pub fn domains(&self) -> impl Iterator<Item = &str> {
        self.domains.iter().map(String::as_str)
    }

    /// Whether the peer speaks for `host`: a name as a whole, an address by an address in the certificate.
    pub fn speaks_for(&self, host: &Host) -> bool {
        match (host.as_ip(), host.as_name()) {
            (Some(address), _) => self.speaks_for_address(address),
            (None, Some(name)) => self
                .domains
                .iter()
                .any(|domain| covers(domain, name, self.wildcards)),
            _ => false,
        }
    }

    /// The peer's certificate in DER, and behind it those that it sent to vouch for it.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.certificates.iter().map(AsRef::as_ref)
    }

    fn speaks_for_address(&self, address: IpAddr) -> bool {
        let own = self.certificates.first();
        own.is_some_and(|own| proves(own, &ServerName::IpAddress(address.into()), false))
    }
}

/// RFC 5922 §7.1: the hosts of `sip:` URIs without a user, else the DNS names. A common name is none.
pub(crate) fn domains(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(parsed) = EndEntityCert::try_from(certificate) else {
        return Vec::new();
    };
    let by_uri: Vec<String> = parsed.valid_uri_names().filter_map(sip_domain).collect();
    if by_uri.is_empty() {
        parsed.valid_dns_names().map(str::to_owned).collect()
    } else {
        by_uri
    }
}

/// The domain of a `sip:` URI; one with a user is a person's (RFC 5922 §7.1), and `sips` was never to be used there.
fn sip_domain(uri: &str) -> Option<String> {
    let scheme = uri.split_once(':')?.0;
    if !scheme.eq_ignore_ascii_case("sip") || uri.contains('@') {
        return None;
    }
    let uri: Uri = uri.parse().ok()?;
    Some(uri.host().as_name()?.to_owned())
}

/// Whether a certificate proves `name`.
pub(crate) fn proves(
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
    wildcards: bool,
) -> bool {
    match name {
        ServerName::DnsName(name) => {
            let name: &DnsName<'_> = name;
            domains(certificate)
                .iter()
                .any(|domain| covers(domain, name.as_ref(), wildcards))
        }
        _ => EndEntityCert::try_from(certificate)
            .is_ok_and(|parsed| parsed.verify_is_valid_for_subject_name(name).is_ok()),
    }
}

/// RFC 5922 §7.2: a whole name is proved by itself; by a wildcard, one label deep, only where that was asked for.
pub(crate) fn covers(domain: &str, name: &str, wildcards: bool) -> bool {
    let domain = domain.trim_end_matches('.');
    let name = name.trim_end_matches('.');
    if domain.eq_ignore_ascii_case(name) {
        return !domain.starts_with('*');
    }
    let parents = domain.strip_prefix("*.").zip(name.split_once('.'));
    wildcards
        && parents.is_some_and(|(parent, (label, rest))| {
            !label.is_empty() && parent.contains('.') && parent.eq_ignore_ascii_case(rest)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_proved_as_a_whole() {
        for (domain, name) in [
            ("example.com", "Example.com"),
            ("example.com.", "example.com"),
        ] {
            assert!(covers(domain, name, false));
        }
        for (domain, name) in [
            ("example.com", "sip.example.com"),
            ("sip.example.com", "example.com"),
            ("*.example.com", "sip.example.com"),
            ("*.example.com", "*.example.com"),
        ] {
            assert!(!covers(domain, name, false), "{domain} {name}");
        }
    }

    #[test]
    fn a_wildcard_stands_for_one_label_where_it_is_asked_for() {
        assert!(covers("*.example.com", "sip.Example.com", true));
        for (domain, name) in [
            ("*.example.com", "example.com"),
            ("*.example.com", "a.b.example.com"),
            ("*.com", "example.com"),
            ("s*.example.com", "sip.example.com"),
        ] {
            assert!(!covers(domain, name, true), "{domain} {name}");
        }
    }

    #[test]
    fn only_sip_uris_without_a_user_name_a_domain() {
        assert_eq!(
            sip_domain("sip:example.com").as_deref(),
            Some("example.com")
        );
        assert_eq!(
            sip_domain("SIP:example.com").as_deref(),
            Some("example.com")
        );
        for uri in [
            "sip:alice@example.com",
            "sips:example.com",
            "https://example.com",
            "sip:192.0.2.1",
            "sip:",
            "example.com",
        ] {
            assert_eq!(sip_domain(uri), None, "{uri}");
        }
    }
}
