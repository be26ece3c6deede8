//! Addresses-of-record as keys.

use std::{fmt, sync::Arc};

use crate::{ParseError, Scheme, Uri, equivalence::normalize, scan};

/// The canonical form of an address-of-record (RFC 3261 §10.3): a key for tables.
///
/// Scheme and host are in lower case, the user part is unescaped, password, parameters and headers are gone.
///
/// ```
/// use sip_message::Uri;
///
/// let key = Uri::parse("sip:%61lice@EXAMPLE.com;transport=tcp")?.aor();
/// assert_eq!(key.as_str(), "sip:alice@example.com");
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Aor(Arc<str>);

impl Aor {
    /// The key of the URI in `text`.
    ///
    /// # Errors
    /// If it is not a URI.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Uri::parse(text).map(|uri| uri.aor())
    }

    pub(crate) fn of(uri: &Uri) -> Self {
        let mut key = uri.scheme_str().to_ascii_lowercase();
        key.push(':');
        match uri.scheme() {
            Scheme::Sip | Scheme::Sips => {
                if let Some(raw) = uri.user_raw() {
                    match str::from_utf8(&scan::unescape(raw.as_bytes())) {
                        Ok(user) => key.push_str(user),
                        // Two users that differ in octets which are no UTF-8 stay two keys.
                        Err(_) => key.push_str(&normalize(raw)),
                    }
                    key.push('@');
                }
                match uri.host() {
                    crate::Host::Name(name) => {
                        key.push_str(name.trim_end_matches('.').to_ascii_lowercase().as_str())
                    }
                    address => key.push_str(&address.to_string()),
                }
                if let Some(port) = uri.port() {
                    key.push_str(&format!(":{port}"));
                }
            }
            Scheme::Tel => {
                let number = uri.user_raw().unwrap_or("");
                key.extend(
                    number
                        .chars()
                        .filter(|c| !"-.()".contains(*c))
                        .map(|c| c.to_ascii_lowercase()),
                );
            }
            Scheme::Other => {
                key.push_str(uri.as_str().get(uri.scheme_str().len() + 1..).unwrap_or(""))
            }
        }
        Self(key.into())
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Aor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Aor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Aor {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<&Uri> for Aor {
    fn from(uri: &Uri) -> Self {
        Self::of(uri)
    }
}

impl From<Uri> for Aor {
    fn from(uri: Uri) -> Self {
        Self::of(&uri)
    }
}
