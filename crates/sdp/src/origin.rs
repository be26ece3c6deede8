//! The o= line (RFC 8866 §5.2).

use crate::{IllegalText, ValueError, line::check_word};
use std::{fmt, net::IpAddr, str::FromStr};

/// Who made a session and which version of it this is (RFC 8866 §5.2).
///
/// Numbers are kept as text, because the world writes some that no integer holds.
///
/// ```
/// # use sdp::Origin;
/// let origin: Origin = "jdoe 3724394400 3724394405 IN IP4 198.51.100.1".parse()?;
/// assert_eq!(origin.username(), "jdoe");
/// assert_eq!(origin.version_number(), Some(3_724_394_405));
/// # Ok::<(), sdp::ValueError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    username: String,
    session_id: String,
    version: String,
    network: String,
    address_type: String,
    address: String,
}

impl Origin {
    /// The origin of session `session_id` in its `version`, made at `address` by nobody in particular.
    pub fn new(session_id: u64, version: u64, address: IpAddr) -> Self {
        Self {
            username: "-".into(),
            session_id: session_id.to_string(),
            version: version.to_string(),
            network: "IN".into(),
            address_type: if address.is_ipv4() { "IP4" } else { "IP6" }.into(),
            address: address.to_string(),
        }
    }

    /// The same origin with a user's name, which has no spaces.
    pub fn with_username(mut self, username: &str) -> Result<Self, IllegalText> {
        check_word(username)?;
        self.username = username.into();
        Ok(self)
    }

    /// The same session at another address.
    #[must_use]
    pub fn at(mut self, address: IpAddr) -> Self {
        self.address_type = if address.is_ipv4() { "IP4" } else { "IP6" }.into();
        self.address = address.to_string();
        self
    }

    /// The user's name on the originating host, `-` if it has no such thing.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The session's number.
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// The version's number as written.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The version, if it is a number of 64 bits.
    pub fn version_number(&self) -> Option<u64> {
        self.version.parse().ok()
    }

    /// The address or name of the originating host.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl FromStr for Origin {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let [
            username,
            session_id,
            version,
            network,
            address_type,
            address,
        ] = parts(text).ok_or(ValueError("o="))?;
        Ok(Self {
            username: username.trim().into(),
            session_id: session_id.into(),
            version: version.into(),
            network: network.into(),
            address_type: address_type.into(),
            address: address.into(),
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} {} {} {}",
            self.username,
            self.session_id,
            self.version,
            self.network,
            self.address_type,
            self.address
        )
    }
}

pub(crate) fn is_wellformed(value: &[u8]) -> bool {
    str::from_utf8(value).is_ok_and(|text| parts(text).is_some())
}

/// Counted from the right, because some user names have spaces.
fn parts(text: &str) -> Option<[&str; 6]> {
    let mut parts = text.trim_end().rsplitn(6, ' ');
    let (address, address_type, network) = (parts.next()?, parts.next()?, parts.next()?);
    let (version, session_id, username) = (parts.next()?, parts.next()?, parts.next()?);
    let parts = [
        username,
        session_id,
        version,
        network,
        address_type,
        address,
    ];
    parts[1..]
        .iter()
        .all(|part| !part.is_empty())
        .then_some(parts)
}
