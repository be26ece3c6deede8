//! ice-ufrag, ice-pwd, ice-options, ice-lite, ice-mismatch (RFC 8839 §5.3 to §5.6).
//!
//! ```text
//! ice-pwd-att   = "ice-pwd:" password           ; 22*256ice-char
//! ice-ufrag-att = "ice-ufrag:" ufrag            ; 4*256ice-char
//! ice-options   = "ice-options:" ice-option-tag *(SP ice-option-tag)
//! ice-lite      = "ice-lite"
//! ice-mismatch  = "ice-mismatch"
//! ice-char      = ALPHA / DIGIT / "+" / "/"
//! ```

use super::{TypedAttribute, flag, word};
use crate::ValueError;

word! {
    /// The fragment of a user name for connectivity checks (RFC 8839 §5.4).
    IceUfrag = "ice-ufrag"
}
word! {
    /// The password of connectivity checks (RFC 8839 §5.4).
    IcePwd = "ice-pwd"
}
flag! {
    /// The writer only answers connectivity checks (RFC 8839 §5.3).
    IceLite = "ice-lite"
}
flag! {
    /// The offer's default destination is no candidate of it, so ICE is not used (RFC 8839 §5.3).
    IceMismatch = "ice-mismatch"
}

/// Extensions of ICE that the writer knows (RFC 8839 §5.6): `trickle`, `ice2`, …
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceOptions(pub Vec<String>);

impl TypedAttribute for IceOptions {
    const NAME: &'static str = "ice-options";

    fn parse(value: &str) -> Result<Self, ValueError> {
        let tags: Vec<String> = value.split_ascii_whitespace().map(str::to_owned).collect();
        if tags.is_empty() {
            return Err(ValueError(Self::NAME));
        }
        Ok(Self(tags))
    }

    fn value(&self) -> String {
        self.0.join(" ")
    }
}
