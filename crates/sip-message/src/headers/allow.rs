//! `Allow: INVITE, ACK, BYE`

use std::borrow::Borrow;

use crate::{Method, headers::tokens::Tokens};

token_list_field! {
    /// Methods that are supported (RFC 3261 §20.5).
    ///
    /// ```text
    /// Allow  =  "Allow" HCOLON [Method *(COMMA Method)]
    /// ```
    Allow, ALLOW
}

/// ```
/// use sip_message::{Method, headers::Allow};
///
/// let allow: Allow = [Method::OPTIONS, Method::MESSAGE].into_iter().collect();
/// assert_eq!(allow.to_string(), "OPTIONS, MESSAGE");
/// ```
impl<M: Borrow<Method>> FromIterator<M> for Allow {
    fn from_iter<I: IntoIterator<Item = M>>(methods: I) -> Self {
        let mut text = Vec::new();
        for method in methods {
            if !text.is_empty() {
                text.extend_from_slice(b", ");
            }
            text.extend_from_slice(method.borrow().as_str().as_bytes());
        }
        Self(Tokens::written(text))
    }
}
