//! setup and connection (RFC 4145 §4, §5).
//!
//! ```text
//! setup-attr      = "a=setup:" ("active" / "passive" / "actpass" / "holdconn")
//! connection-attr = "a=connection:" ("new" / "existing")
//! ```

use super::TypedAttribute;
use crate::ValueError;

/// Who opens the connection or the DTLS association (RFC 4145 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setup {
    /// The writer
    Active,
    /// The other one
    Passive,
    /// Whoever the answerer says
    ActPass,
    /// No one for now
    HoldConn,
}

impl Setup {
    /// What an answer says to this offer, if the answerer prefers to be `preferred` where it may choose (§4.1).
    ///
    /// RFC 5763 §5 recommends `active` to answerers.
    #[must_use]
    pub const fn answer(self, preferred: Self) -> Self {
        match (self, preferred) {
            (Self::HoldConn, _) | (Self::ActPass, Self::HoldConn) => Self::HoldConn,
            (Self::Active, _) | (Self::ActPass, Self::Passive) => Self::Passive,
            (Self::Passive | Self::ActPass, _) => Self::Active,
        }
    }
}

impl TypedAttribute for Setup {
    const NAME: &'static str = "setup";

    fn parse(value: &str) -> Result<Self, ValueError> {
        [Self::Active, Self::Passive, Self::ActPass, Self::HoldConn]
            .into_iter()
            .find(|setup| setup.value().eq_ignore_ascii_case(value))
            .ok_or(ValueError(Self::NAME))
    }

    fn value(&self) -> String {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
            Self::HoldConn => "holdconn",
        }
        .to_owned()
    }
}

/// Whether a connection is opened anew (RFC 4145 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionReuse {
    /// A new one
    New,
    /// The one that exists, if both say so
    Existing,
}

impl TypedAttribute for ConnectionReuse {
    const NAME: &'static str = "connection";

    fn parse(value: &str) -> Result<Self, ValueError> {
        match value {
            "new" => Ok(Self::New),
            "existing" => Ok(Self::Existing),
            _ => Err(ValueError(Self::NAME)),
        }
    }

    fn value(&self) -> String {
        match self {
            Self::New => "new",
            Self::Existing => "existing",
        }
        .to_owned()
    }
}
