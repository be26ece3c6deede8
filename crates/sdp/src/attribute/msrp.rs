//! path, accept-types, accept-wrapped-types, max-size (RFC 4975 §8).
//!
//! ```text
//! path         = "a=path:" MSRP-URI *(SP MSRP-URI)
//! accept-types = "a=accept-types:" format-list
//! accept-wrapped-types = "a=accept-wrapped-types:" format-list
//! max-size     = "a=max-size:" 1*DIGIT
//! format-list  = format-entry *( SP format-entry)
//! ```

use super::TypedAttribute;
use crate::ValueError;

macro_rules! words {
    ($(#[$doc:meta])* $type:ident = $name:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $type(pub Vec<String>);

        impl TypedAttribute for $type {
            const NAME: &'static str = $name;

            fn parse(value: &str) -> Result<Self, ValueError> {
                let words: Vec<String> = value.split_ascii_whitespace().map(str::to_owned).collect();
                if words.is_empty() {
                    return Err(ValueError(Self::NAME));
                }
                Ok(Self(words))
            }

            fn value(&self) -> String {
                self.0.join(" ")
            }
        }
    };
}

words! {
    /// The MSRP URIs that lead to the writer, its own last (RFC 4975 §8.2).
    MsrpPath = "path"
}
words! {
    /// The types of content that the writer takes (RFC 4975 §8.6), `*` for any.
    AcceptTypes = "accept-types"
}
words! {
    /// The types of content that the writer takes only inside others (RFC 4975 §8.6).
    AcceptWrappedTypes = "accept-wrapped-types"
}

/// The most bytes of a message that the writer takes (RFC 4975 §8.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxSize(pub u64);

impl TypedAttribute for MaxSize {
    const NAME: &'static str = "max-size";

    fn parse(value: &str) -> Result<Self, ValueError> {
        value.parse().map(Self).map_err(|_| ValueError(Self::NAME))
    }

    fn value(&self) -> String {
        self.0.to_string()
    }
}
