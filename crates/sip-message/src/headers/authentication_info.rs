//! `Authentication-Info: nextnonce="47364c23432d2e131a5fb210812c"`

use std::borrow::Cow;

use crate::{HeaderField, HeaderName, HeaderValue, ParseError, headers::auth::AuthParams};

/// How the next request may authenticate, and that the server knows the password (RFC 3261 §20.6).
///
/// ```text
/// Authentication-Info  =  "Authentication-Info" HCOLON ainfo *(COMMA ainfo)
/// ainfo                =  nextnonce / message-qop / response-auth / cnonce / nonce-count
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct AuthenticationInfo(AuthParams);

impl AuthenticationInfo {
    /// Parameters in order: name, value, and whether the value is quoted.
    ///
    /// # Errors
    /// If a name is not a token, an unquoted value is empty or has a comma, quote or white space, or a value has a control
    /// character.
    pub fn new<'a>(params: impl IntoIterator<Item = (&'a str, &'a str, bool)>) -> Result<Self, ParseError> {
        AuthParams::new("", params).map(Self).map_err(|error| error.within(&Self::NAME, 0))
    }

    /// The value of a parameter, unquoted; its name is compared without regard to case.
    pub fn param(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.param(name)
    }

    /// All parameters in order: name, unquoted value, and whether it was quoted.
    pub fn params(&self) -> impl Iterator<Item = (&str, Cow<'_, str>, bool)> {
        self.0.params()
    }
}

impl HeaderField for AuthenticationInfo {
    const NAME: HeaderName = HeaderName::AUTHENTICATION_INFO;

    fn parse(value: &HeaderValue) -> Result<Self, ParseError> {
        AuthParams::parse(value, false).map(Self)
    }

    fn value(&self) -> HeaderValue {
        self.0.value()
    }
}

display_as_value!(AuthenticationInfo);
