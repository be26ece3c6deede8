//! Which URIs are ours.

use crate::Endpoint;
use sip_message::{Aor, Host, ParseError, Uri};

/// The domains that an element is responsible for, beside its listeners' own addresses.
///
/// A URI is ours when it names a listener, or when its host is one of the domains and its port, if it has one, is a
/// listener's. So `sip:bob@192.0.2.1:5080` is not ours on a host that listens at 5060 only, even if `192.0.2.1` is a
/// domain.
///
/// ```
/// use sip_endpoint::Domains;
///
/// let domains = Domains::new(["example.com", "192.0.2.1"])?;
/// assert_eq!(domains.iter().count(), 2);
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Domains(Vec<Host>);

impl Domains {
    /// Host names and addresses, the first of them the principal one.
    ///
    /// # Errors
    ///
    /// When one of them is not a host.
    pub fn new(hosts: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, ParseError> {
        hosts
            .into_iter()
            .map(|host| Host::parse(host.as_ref()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The domains as given.
    pub fn iter(&self) -> impl Iterator<Item = &Host> {
        self.0.iter()
    }

    /// Whether `uri` is ours.
    pub fn contains(&self, endpoint: &Endpoint, uri: &Uri) -> bool {
        uri.is_sip() && (self.is_domain(endpoint, uri) || endpoint.is_local_uri(uri))
    }

    /// The key under which the bindings of a URI of ours are kept (RFC 3261 §10.3 step 5): user and domain. A URI that
    /// names a listener means the principal domain, and so does `sips`.
    pub fn aor(&self, endpoint: &Endpoint, uri: &Uri) -> Option<Aor> {
        if !self.contains(endpoint, uri) {
            return None;
        }
        let user = uri.user()?;
        let host = match self.0.first() {
            Some(principal) if !self.is_domain(endpoint, uri) => principal.clone(),
            _ => uri.host(),
        };
        Some(Uri::new(sip_message::Scheme::Sip, Some(&user), &host, None).aor())
    }

    /// Whether `uri` is ours and that of the user who has authenticated as `user`: by the name alone or by name and
    /// domain.
    pub fn is_user(&self, endpoint: &Endpoint, uri: &Uri, user: &str) -> bool {
        let (name, domain) = match user.rsplit_once('@') {
            Some((name, domain)) => (name, Some(domain)),
            None => (user, None),
        };
        let is = |name: &str| uri.user().is_some_and(|written| written == name);
        let named = is(user) || domain.is_some_and(|domain| is(name) && uri.host() == *domain);
        named && self.contains(endpoint, uri)
    }

    fn is_domain(&self, endpoint: &Endpoint, uri: &Uri) -> bool {
        let host = uri.host();
        let is_domain = self.0.iter().any(|domain| same_host(domain, &host));
        is_domain && uri.port().is_none_or(|port| is_listening(endpoint, port))
    }
}

/// Whether some listener is bound to the port, or advertises it.
fn is_listening(endpoint: &Endpoint, port: u16) -> bool {
    endpoint.listeners().any(|(_, listener, bound)| {
        let advertised = listener
            .advertised()
            .and_then(|advertised| advertised.port());
        bound.unwrap_or_else(|| listener.local()).port() == port || advertised == Some(port)
    })
}

/// A name may end in the dot of the root.
fn same_host(one: &Host, other: &Host) -> bool {
    match (one.as_name(), other.as_name()) {
        (Some(one), Some(other)) => one
            .trim_end_matches('.')
            .eq_ignore_ascii_case(other.trim_end_matches('.')),
        _ => one == other,
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a test needs an instant to start from
mod tests {
    use super::*;
    use crate::{EndpointConfig, Listener};
    use sip_io::{Receive, Transmit, WallClock};
    use std::time::{Instant, SystemTime};

    /// Listens at 192.0.2.1:5062 and tells others sip.example.net:6000.
    fn endpoint() -> Endpoint {
        let now = Instant::now();
        let clock = WallClock {
            at: now,
            is: SystemTime::UNIX_EPOCH,
        };
        let mut endpoint = Endpoint::new(EndpointConfig::new([1; 32], clock));
        let local = "192.0.2.1:5062".parse().unwrap();
        endpoint.listen(
            now,
            Listener::udp(local)
                .advertise("sip.example.net:6000")
                .unwrap(),
        );
        let Some(Transmit::Bind { token, .. }) = endpoint.poll_transmit() else {
            panic!("asked for a socket")
        };
        endpoint.handle_receive(
            now,
            Receive::Bound {
                token,
                result: Ok(local),
            },
        );
        endpoint.settle(now);
        endpoint
    }

    fn uri(text: &str) -> Uri {
        Uri::parse(text).unwrap()
    }

    #[test]
    fn a_domain_and_a_listener_are_ours_and_a_neighbour_on_the_same_host_is_not() {
        let (endpoint, domains) = (
            endpoint(),
            Domains::new(["Example.com", "192.0.2.1"]).unwrap(),
        );
        for ours in [
            "sip:bob@example.COM",
            "sip:bob@example.com.",
            "sips:example.com",
            "sip:bob@example.com:5062",
            "sip:bob@192.0.2.1",
            "sip:192.0.2.1:5062",
            "sip:bob@sip.example.net:6000",
        ] {
            assert!(domains.contains(&endpoint, &uri(ours)), "{ours}");
        }
        for foreign in [
            "sip:bob@example.org",
            "sip:bob@example.com:5080",
            "sip:bob@192.0.2.1:5080",
            "sip:bob@192.0.2.2",
            "sip:example.com@elsewhere.org",
            "tel:+15551234",
        ] {
            assert!(!domains.contains(&endpoint, &uri(foreign)), "{foreign}");
        }
    }

    /// RFC 3261 §10.3 step 5.
    #[test]
    fn an_address_of_record_is_user_and_domain() {
        let (endpoint, domains) = (
            endpoint(),
            Domains::new(["example.com", "example.net"]).unwrap(),
        );
        let aor = |text: &str| {
            domains
                .aor(&endpoint, &uri(text))
                .map(|aor| aor.to_string())
        };
        let bob = Some("sip:bob@example.com".to_owned());
        assert_eq!(aor("sip:bob@EXAMPLE.com"), bob);
        assert_eq!(
            aor("sips:%62ob@example.com:5062;transport=tcp;user=phone"),
            bob
        );
        assert_eq!(
            aor("sip:bob@192.0.2.1:5062"),
            bob,
            "a listener means the principal domain"
        );
        assert_eq!(
            aor("sip:bob@example.net"),
            Some("sip:bob@example.net".to_owned())
        );
        assert_eq!(aor("sip:example.com"), None);
        assert_eq!(aor("sip:bob@example.org"), None);
    }

    #[test]
    fn a_user_is_named_alone_or_with_the_domain() {
        let (endpoint, domains) = (endpoint(), Domains::new(["example.com"]).unwrap());
        let is = |text: &str, user: &str| domains.is_user(&endpoint, &uri(text), user);
        assert!(is("sip:bob@example.com", "bob"));
        assert!(is("sip:bob@example.com", "bob@example.com"));
        assert!(!is("sip:bob@example.com", "Bob"));
        assert!(!is("sip:bob@example.com", "bob@example.org"));
        assert!(!is("sip:bob@example.org", "bob"));
        assert!(!is("sip:example.com", ""));
    }
}
