//! rtcp (RFC 3605).

use super::TypedAttribute;
use crate::{Connection, ValueError};

/// Where RTCP goes when it is not the port after RTP's (RFC 3605).
///
/// ```
/// # use sdp::{Rtcp, TypedAttribute};
/// let rtcp = Rtcp::parse("53020 IN IP4 126.16.64.4")?;
/// assert_eq!(rtcp.port(), 53_020);
/// assert_eq!(rtcp.connection().expect("given").host(), "126.16.64.4");
/// # Ok::<(), sdp::ValueError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rtcp {
    port: u16,
    connection: Option<Connection>,
}

impl Rtcp {
    /// The port, at the address of the media.
    pub const fn new(port: u16) -> Self {
        Self {
            port,
            connection: None,
        }
    }

    /// The same at an address of its own.
    #[must_use]
    pub fn at(mut self, connection: Connection) -> Self {
        self.connection = Some(connection);
        self
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// An address of its own.
    pub const fn connection(&self) -> Option<&Connection> {
        self.connection.as_ref()
    }
}

impl TypedAttribute for Rtcp {
    const NAME: &'static str = "rtcp";

    fn parse(value: &str) -> Result<Self, ValueError> {
        let wrong = ValueError(Self::NAME);
        let (port, rest) = value.split_once(' ').unwrap_or((value, ""));
        Ok(Self {
            port: port.parse().map_err(|_| wrong)?,
            connection: match rest.trim() {
                "" => None,
                rest => Some(rest.parse().map_err(|_| wrong)?),
            },
        })
    }

    fn value(&self) -> String {
        match &self.connection {
            Some(connection) => format!("{} {connection}", self.port),
            None => self.port.to_string(),
        }
    }
}
