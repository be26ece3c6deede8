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
        bound.unwrap_or(listener.local()).port() == port || advertised == Some(port)
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
