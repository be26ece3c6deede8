//! mid and group (RFC 5888 §4, §5), bundle-only (RFC 9143 §6).
//!
//! ```text
//! mid-attribute   = "a=mid:" identification-tag
//! group-attribute = "a=group:" semantics *(SP identification-tag)
//! a=bundle-only
//! ```

use super::{TypedAttribute, flag, word};
use crate::ValueError;

word! {
    /// The name of an m= line within the description (RFC 5888 §4).
    Mid = "mid"
}
flag! {
    /// The m= line is wanted only within a bundle (RFC 9143 §6).
    BundleOnly = "bundle-only"
}

/// Which m= lines belong together (RFC 5888 §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// `BUNDLE`, `LS`, `FID`, …
    pub semantics: String,
    /// The names of the m= lines; in a bundle, the first decides the address
    pub mids: Vec<String>,
}

impl Group {
    /// One transport for several m= lines (RFC 9143).
    pub const BUNDLE: &'static str = "BUNDLE";
}

impl TypedAttribute for Group {
    const NAME: &'static str = "group";

    fn parse(value: &str) -> Result<Self, ValueError> {
        let mut words = value.split_ascii_whitespace().map(str::to_owned);
        Ok(Self {
            semantics: words.next().ok_or(ValueError(Self::NAME))?,
            mids: words.collect(),
        })
    }

    fn value(&self) -> String {
        let mut text = self.semantics.clone();
        for mid in &self.mids {
            text.push(' ');
            text.push_str(mid);
        }
        text
    }
}
