//! Tokens of an authorization server (RFC 8898).

use crate::Role;
use sip_message::{
    HeaderName, HeaderValue, ParseError, Request,
    headers::{ProxyAuthenticate, WwwAuthenticate},
};
use std::{borrow::Cow, fmt};

/// A challenge for a token.
///
/// ```
/// use sip_auth::BearerChallenge;
///
/// let challenge = BearerChallenge::new("https://login.example.com").realm("example.com").scope("sip");
/// let field = challenge.server_field()?;
/// assert_eq!(field.to_string(), r#"Bearer realm="example.com", authz_server="https://login.example.com", scope="sip""#);
/// assert_eq!(BearerChallenge::of_server(&field), Some(challenge));
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BearerChallenge {
    realm: Option<String>,
    authorization_server: Option<String>,
    scope: Option<String>,
    error: Option<String>,
}

impl BearerChallenge {
    /// Sends clients to an authorization server, by its https URI.
    pub fn new(authorization_server: impl Into<String>) -> Self {
        Self {
            authorization_server: Some(authorization_server.into()),
            ..Self::default()
        }
    }

    /// Names the realm.
    #[must_use]
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// What the token has to be good for, words divided by spaces.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// What was wrong with the token that came: `invalid_token` (RFC 6750 §3.1).
    #[must_use]
    pub fn error(mut self, error: impl Into<String>) -> Self {
        self.error = Some(error.into());
        self
    }

    /// Reads the challenge of a user agent or registrar; `None` if it is of another scheme.
    pub fn of_server(field: &WwwAuthenticate) -> Option<Self> {
        field.is_scheme(SCHEME).then(|| Self::read(field.params()))
    }

    /// Reads the challenge of a proxy; `None` if it is of another scheme.
    pub fn of_proxy(field: &ProxyAuthenticate) -> Option<Self> {
        field.is_scheme(SCHEME).then(|| Self::read(field.params()))
    }

    /// For a 401.
    ///
    /// # Errors
    ///
    /// If a value has a control character.
    pub fn server_field(&self) -> Result<WwwAuthenticate, ParseError> {
        WwwAuthenticate::new(SCHEME, self.params())
    }

    /// For a 407.
    ///
    /// # Errors
    ///
    /// If a value has a control character.
    pub fn proxy_field(&self) -> Result<ProxyAuthenticate, ParseError> {
        ProxyAuthenticate::new(SCHEME, self.params())
    }

    /// Where a token is to be had.
    ///
    /// Only servers that were configured may be asked (RFC 8898 §2.1.1): anybody can write a challenge.
    pub fn authorization_server(&self) -> Option<&str> {
        self.authorization_server.as_deref()
    }

    /// The realm, the scope and the error, where they are given.
    pub fn details(&self) -> (Option<&str>, Option<&str>, Option<&str>) {
        (
            self.realm.as_deref(),
            self.scope.as_deref(),
            self.error.as_deref(),
        )
    }

    fn read<'a>(params: impl Iterator<Item = (&'a str, Cow<'a, str>, bool)>) -> Self {
        let mut challenge = Self::default();
        for (name, value, _) in params {
            let known = [
                ("realm", &mut challenge.realm),
                ("authz_server", &mut challenge.authorization_server),
                ("scope", &mut challenge.scope),
                ("error", &mut challenge.error),
            ]
            .into_iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known));
            if let Some((_, slot)) = known {
                slot.get_or_insert_with(|| value.into_owned());
            }
        }
        challenge
    }

    fn params(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        [
            ("realm", &self.realm),
            ("authz_server", &self.authorization_server),
            ("scope", &self.scope),
            ("error", &self.error),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?, true)))
    }
}

/// A token in a request. Whoever has it is the user, so it goes over TLS only (RFC 8898 §2.1.2).
///
/// ```
/// use sip_auth::BearerToken;
///
/// let token = BearerToken::new("mF_9.B5f-4.1JqM").expect("has the form of a token");
/// assert_eq!(format!("{token:?}"), "BearerToken(..)");
/// assert!(BearerToken::new("two words").is_none());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(String);

impl BearerToken {
    /// `None` if it does not have the form of a token (RFC 6750 §2.1).
    pub fn new(token: impl Into<String>) -> Option<Self> {
        let token = token.into();
        let body = token.trim_end_matches('=');
        let is_token = !body.is_empty()
            && body
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte));
        is_token.then_some(Self(token))
    }

    /// The token that a request has, for the authorization server's rules to be checked by.
    pub fn of(request: &Request, role: Role) -> Option<Self> {
        request
            .headers()
            .raw_all(&field_name(role))
            .take(MOST_CREDENTIALS)
            .find_map(|value| {
                let text = value.to_str()?;
                let (scheme, token) = text.split_once([' ', '\t'])?;
                scheme
                    .eq_ignore_ascii_case(SCHEME)
                    .then(|| Self::new(token.trim()))?
            })
    }

    /// Puts the token into a request, in place of another one.
    pub fn write(&self, request: &mut Request, role: Role) {
        let name = field_name(role);
        let others: Vec<HeaderValue> = request
            .headers()
            .raw_all(&name)
            .filter(|value| {
                !value
                    .text()
                    .split([' ', '\t'])
                    .next()
                    .is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME))
            })
            .collect();
        let headers = request.headers_mut();
        headers.remove_name(&name);
        for value in others {
            headers.push_raw(name.clone(), value);
        }
        let value = HeaderValue::new(format!("{SCHEME} {}", self.0))
            .expect("a token has no control characters");
        headers.push_raw(name, value);
    }

    /// The token itself.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(..)")
    }
}

const fn field_name(role: Role) -> HeaderName {
    match role {
        Role::Server => HeaderName::AUTHORIZATION,
        Role::Proxy => HeaderName::PROXY_AUTHORIZATION,
    }
}

const SCHEME: &str = "Bearer";
const MOST_CREDENTIALS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use sip_message::{Method, Tag};

    fn request() -> Request {
        Request::builder(Method::REGISTER, "sips:example.com")
            .from(
                "sip:alice@example.com",
                Tag::new("88sja8x").expect("is a tag"),
            )
            .to("sip:alice@example.com")
            .call_id("987asjd97y7atg")
            .cseq(1)
            .build()
            .expect("is complete")
    }

    /// RFC 8898 §2.1.
    #[test]
    fn a_token_replaces_a_token_and_nothing_else() {
        let mut request = request();
        let digest = HeaderValue::new(r#"Digest realm="r""#).expect("is a value");
        let headers = request.headers_mut();
        headers.push_raw(HeaderName::AUTHORIZATION, digest);
        for token in ["one", "two=="] {
            let token = BearerToken::new(token).expect("is a token");
            token.write(&mut request, Role::Server);
            assert_eq!(BearerToken::of(&request, Role::Server), Some(token));
        }
        assert_eq!(
            request
                .headers()
                .raw_all(&HeaderName::AUTHORIZATION)
                .count(),
            2
        );
        assert_eq!(BearerToken::of(&request, Role::Proxy), None);
    }

    #[test]
    fn what_is_no_token_is_not_taken() {
        for bad in ["", "=", "a=b", "a b", "é", "a,b", "\"a\""] {
            assert_eq!(BearerToken::new(bad), None, "{bad}");
        }
        let mut request = request();
        let value = HeaderValue::new("bearer  a,b").expect("is a value");
        request
            .headers_mut()
            .push_raw(HeaderName::PROXY_AUTHORIZATION, value);
        assert_eq!(BearerToken::of(&request, Role::Proxy), None);
    }

    #[test]
    fn a_challenge_says_what_was_wrong() {
        let challenge = BearerChallenge::new("https://a.example").error("invalid_token");
        let field = challenge.proxy_field().expect("can be written");
        let read = BearerChallenge::of_proxy(&field).expect("is of this scheme");
        assert_eq!(read.details(), (None, None, Some("invalid_token")));
        assert_eq!(read.authorization_server(), Some("https://a.example"));
        let digest = r#"Digest realm="r", nonce="n""#.parse().expect("is a challenge");
        assert_eq!(BearerChallenge::of_server(&digest), None);
        assert!(BearerChallenge::new("a\nb").server_field().is_err());
    }
}
