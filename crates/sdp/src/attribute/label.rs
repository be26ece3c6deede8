//! label (RFC 4574 §5) and content (RFC 4796 §5).
//!
//! ```text
//! label-attribute   = "a=label:" pointer                  ; a token
//! content-attribute = "a=content:" mediacnt-tag *("," mediacnt-tag)
//! ```

use super::{TypedAttribute, word};
use crate::ValueError;

word! {
    /// The name of an m= line for those outside the session (RFC 4574).
    Label = "label"
}

/// What the media show (RFC 4796): `slides`, `speaker`, `sl`, `main`, `alt`, …
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content(pub Vec<String>);

impl TypedAttribute for Content {
    const NAME: &'static str = "content";

    fn parse(value: &str) -> Result<Self, ValueError> {
        let tags: Vec<String> = value.split(',').map(|tag| tag.trim().to_owned()).collect();
        if tags.iter().any(String::is_empty) {
            return Err(ValueError(Self::NAME));
        }
        Ok(Self(tags))
    }

    fn value(&self) -> String {
        self.0.join(",")
    }
}
