//! Request methods.

use std::{fmt, sync::Arc};

use crate::{ParseError, ParseErrorKind, scan};

/// The method of a request: an open set, compared with regard to case (RFC 3261 §7.1).
///
/// ```
/// use sip_message::Method;
///
/// assert_eq!(Method::new("INVITE")?, Method::INVITE);
/// assert_eq!(Method::new("PING")?.as_str(), "PING");
/// assert!(Method::new("NO GOOD").is_err());
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Method(Repr);

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Repr {
    Known(Known),
    Other(Arc<str>),
}

macro_rules! methods {
    ($($name:ident $doc:literal)*) => {
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(clippy::upper_case_acronyms)]
        enum Known { $($name),* }

        impl Method {
            $(#[doc = $doc] pub const $name: Self = Self(Repr::Known(Known::$name));)*

            /// Every method that has a constant.
            pub const KNOWN: &'static [Self] = &[$(Self::$name),*];

            /// The method that has a constant and is called `name`.
            #[inline]
            pub(crate) fn known(name: &[u8]) -> Option<Self> {
                $(if name == stringify!($name).as_bytes() {
                    return Some(Self::$name);
                })*
                None
            }
        }

        impl Known {
            const fn line_start(self) -> &'static str {
                match self { $(Self::$name => concat!(stringify!($name), " ")),* }
            }

            const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }
        }
    };
}

methods! {
    INVITE "Starts or changes a session (RFC 3261 §13)."
    ACK "Acknowledges a final response to INVITE (RFC 3261 §13, §17)."
    BYE "Ends a session (RFC 3261 §15)."
    CANCEL "Ends a pending request (RFC 3261 §9)."
    OPTIONS "Asks for capabilities (RFC 3261 §11)."
    REGISTER "Binds an address-of-record to contacts (RFC 3261 §10)."
    PRACK "Acknowledges a reliable provisional response (RFC 3262)."
    UPDATE "Changes a session outside of INVITE (RFC 3311)."
    INFO "Carries application information along a dialog (RFC 6086)."
    MESSAGE "Carries an instant message (RFC 3428)."
    REFER "Asks the recipient to send a request (RFC 3515)."
    SUBSCRIBE "Asks for notifications (RFC 6665)."
    NOTIFY "Reports state (RFC 6665)."
    PUBLISH "Publishes event state (RFC 3903)."
}

impl Method {
    pub(crate) fn from_bytes(name: &[u8]) -> Option<Self> {
        if let Some(known) = Self::known(name) {
            return Some(known);
        }
        scan::is_token(name).then(|| Self(Repr::Other(Arc::from(scan::ascii(name)))))
    }

    /// Any token.
    ///
    /// # Errors
    /// If `name` is not a token.
    pub fn new(name: &str) -> Result<Self, ParseError> {
        Self::from_bytes(name.as_bytes())
            .ok_or_else(|| ParseError::part(ParseErrorKind::Malformed, "method", 0))
    }

    /// As written on the request line.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Known(known) => known.as_str(),
            Repr::Other(name) => name,
        }
    }

    /// What the request line of a known method starts with: name and space.
    pub(crate) const fn line_start(&self) -> Option<&'static str> {
        match self.0 {
            Repr::Known(known) => Some(known.line_start()),
            Repr::Other(_) => None,
        }
    }

    /// Whether this crate has a constant for it.
    pub const fn is_known(&self) -> bool {
        matches!(self.0, Repr::Known(_))
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl AsRef<str> for Method {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<&Self> for Method {
    fn eq(&self, other: &&Self) -> bool {
        self == *other
    }
}

impl PartialEq<Method> for &Method {
    fn eq(&self, other: &Method) -> bool {
        *self == other
    }
}

impl PartialEq<str> for Method {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Method {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl std::str::FromStr for Method {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::new(text)
    }
}
