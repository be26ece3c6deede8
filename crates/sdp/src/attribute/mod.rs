//! Attributes (RFC 8866 §6): raw, and one file per typed one.

mod candidate;
mod crypto;
mod direction;
mod extmap;
mod fingerprint;
mod fmtp;
mod format_parameters;
mod group;
mod ice;
mod image_attr;
mod label;
mod msid;
mod msrp;
mod packet_time;
mod rid;
mod rtcp;
mod rtcp_feedback;
mod rtcp_mux;
mod rtp_map;
mod setup;
mod simulcast;
mod ssrc;
mod t38;

pub use candidate::{Candidate, EndOfCandidates, RemoteCandidates};
pub use crypto::{Crypto, CryptoKey};
pub use direction::Direction;
pub use extmap::{ExtMap, ExtMapAllowMixed};
pub use fingerprint::Fingerprint;
pub use fmtp::Fmtp;
pub(crate) use fmtp::parameter;
pub use format_parameters::{
    H264Parameters, OpusParameters, Redundancy, T140Parameters, TelephoneEvents,
};
pub use group::{BundleOnly, Group, Mid};
pub use ice::{IceLite, IceMismatch, IceOptions, IcePwd, IceUfrag};
pub use image_attr::{ImageAttr, ImageSet};
pub use label::{Content, Label};
pub use msid::Msid;
pub use msrp::{AcceptTypes, AcceptWrappedTypes, MaxSize, MsrpPath};
pub use packet_time::{MaxPacketTime, PacketTime};
pub use rid::Rid;
pub use rtcp::Rtcp;
pub use rtcp_feedback::RtcpFeedback;
pub use rtcp_mux::{RtcpMux, RtcpMuxOnly, RtcpReducedSize};
pub use rtp_map::RtpMap;
pub(crate) use rtp_map::static_payload_type;
pub use setup::{ConnectionReuse, Setup};
pub use simulcast::{Simulcast, SimulcastId};
pub use ssrc::{Ssrc, SsrcGroup};
pub use t38::T38;

use crate::{
    IllegalText, ValueError,
    line::{check_text, check_word},
};

/// An a= line's name and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    name: &'a str,
    value: Option<&'a [u8]>,
}

impl<'a> Attribute<'a> {
    pub(crate) fn of(line: &'a [u8]) -> Option<Self> {
        let (name, value) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], Some(&line[colon + 1..])),
            None => (line, None),
        };
        Some(Self {
            name: str::from_utf8(name.trim_ascii()).ok()?,
            value,
        })
    }

    /// The name, which is compared as it is written.
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// The value, if there is one and it is UTF-8.
    pub fn value(&self) -> Option<&'a str> {
        str::from_utf8(self.value?).ok()
    }

    /// The value's bytes.
    pub const fn value_bytes(&self) -> Option<&'a [u8]> {
        self.value
    }
}

/// An attribute whose value has a type.
///
/// Parse and write are inverse: what [`parse`](Self::parse) took, [`value`](Self::value) writes so that it is taken
/// again and means the same.
pub trait TypedAttribute: Sized {
    /// The name before the colon.
    const NAME: &'static str;

    /// Whether it stands alone, without a colon and a value. Defaults to no.
    const IS_FLAG: bool = false;

    /// Reads a value.
    fn parse(value: &str) -> Result<Self, ValueError>;

    /// Writes the value.
    fn value(&self) -> String;
}

pub(crate) fn typed<'a, A: TypedAttribute>(
    attributes: impl Iterator<Item = Attribute<'a>>,
) -> impl Iterator<Item = Result<A, ValueError>> {
    attributes
        .filter(|attribute| attribute.name() == A::NAME)
        .map(|attribute| match attribute.value() {
            Some(value) => A::parse(value.trim()),
            None if A::IS_FLAG && attribute.value_bytes().is_none() => A::parse(""),
            None => Err(ValueError(A::NAME)),
        })
}

/// Only what can be read again is written: a space inside of a word would make another value of it.
pub(crate) fn written<A: TypedAttribute>(attribute: &A) -> Result<String, IllegalText> {
    if A::IS_FLAG {
        return raw(A::NAME, None);
    }
    let value = attribute.value();
    let again = A::parse(&value).map_err(|_| IllegalText)?;
    if again.value() != value {
        return Err(IllegalText);
    }
    raw(A::NAME, Some(&value))
}

pub(crate) fn raw(name: &str, value: Option<&str>) -> Result<String, IllegalText> {
    check_word(name)?;
    if name.contains(':') {
        return Err(IllegalText);
    }
    let Some(value) = value else {
        return Ok(name.to_owned());
    };
    check_text(value)?;
    Ok(format!("{name}:{value}"))
}

/// An attribute that is there or not.
macro_rules! flag {
    ($(#[$doc:meta])* $type:ident = $name:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $type;

        impl $crate::TypedAttribute for $type {
            const NAME: &'static str = $name;
            const IS_FLAG: bool = true;

            fn parse(value: &str) -> Result<Self, $crate::ValueError> {
                // A value where none belongs does not make a no of a yes.
                let _ = value;
                Ok(Self)
            }

            fn value(&self) -> String {
                String::new()
            }
        }
    };
}
pub(crate) use flag;

/// An attribute whose value is one word.
macro_rules! word {
    ($(#[$doc:meta])* $type:ident = $name:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $type(pub String);

        impl $crate::TypedAttribute for $type {
            const NAME: &'static str = $name;

            fn parse(value: &str) -> Result<Self, $crate::ValueError> {
                $crate::line::check_word(value).map_err(|_| $crate::ValueError(Self::NAME))?;
                Ok(Self(value.to_owned()))
            }

            fn value(&self) -> String {
                self.0.clone()
            }
        }
    };
}
pub(crate) use word;
