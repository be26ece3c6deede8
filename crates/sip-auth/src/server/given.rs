//! Credentials as they came.

use crate::{Qop, Role, extended};
use sip_message::ParseError;
use std::borrow::Cow;
use thiserror::Error;

/// The parameters of digest credentials that mean something here.
#[derive(Default)]
pub(crate) struct Given<'a> {
    user: Option<Cow<'a, str>>,
    extended_user: Option<Cow<'a, str>>,
    user_is_hash: Option<Cow<'a, str>>,
    pub(crate) realm: Option<Cow<'a, str>>,
    nonce: Option<Cow<'a, str>>,
    uri: Option<Cow<'a, str>>,
    response: Option<Cow<'a, str>>,
    pub(crate) algorithm: Option<Cow<'a, str>>,
    pub(crate) cnonce: Option<Cow<'a, str>>,
    qop: Option<Cow<'a, str>>,
    count: Option<Cow<'a, str>>,
    repeated: Option<&'static str>,
}

/// The parameters that must be there.
pub(crate) struct Parts<'a> {
    pub(crate) user: Cow<'a, str>,
    /// Whether the user is a hash (RFC 7616 §3.4.4)
    pub(crate) is_hidden: bool,
    pub(crate) nonce: &'a str,
    pub(crate) uri: &'a str,
    pub(crate) response: &'a str,
    /// The protection, the nonce count, and the count as written
    pub(crate) protection: Option<(Qop, u32, &'a str)>,
}

impl<'a> Given<'a> {
    pub(crate) fn collect(params: impl Iterator<Item = (&'a str, Cow<'a, str>, bool)>) -> Self {
        let mut given = Self::default();
        for (name, value, _) in params {
            let known = [
                ("username", &mut given.user),
                ("username*", &mut given.extended_user),
                ("userhash", &mut given.user_is_hash),
                ("realm", &mut given.realm),
                ("nonce", &mut given.nonce),
                ("uri", &mut given.uri),
                ("response", &mut given.response),
                ("algorithm", &mut given.algorithm),
                ("cnonce", &mut given.cnonce),
                ("qop", &mut given.qop),
                ("nc", &mut given.count),
            ]
            .into_iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known));
            if let Some((name, slot)) = known
                && slot.replace(value).is_some()
            {
                given.repeated = Some(name);
            }
        }
        given
    }

    pub(crate) fn parts(&self) -> Result<Parts<'_>, Malformed> {
        if let Some(name) = self.repeated {
            return Err(Malformed::Repeated(name));
        }
        required(&self.realm, "realm")?;
        let is_hidden = self
            .user_is_hash
            .as_ref()
            .is_some_and(|is_hash| is_hash.eq_ignore_ascii_case("true"));
        let user = match (&self.user, &self.extended_user) {
            (Some(user), None) if is_hidden => Cow::Owned(user.to_ascii_lowercase()),
            (Some(user), None) => Cow::Borrowed(&**user),
            (None, Some(_)) if is_hidden => return Err(Malformed::Invalid("userhash")),
            (None, Some(user)) => {
                Cow::Owned(extended::decode(user).ok_or(Malformed::Invalid("username*"))?)
            }
            (None, None) => return Err(Malformed::Missing("username")),
            // RFC 7616 §3.4: never both.
            (Some(_), Some(_)) => return Err(Malformed::Repeated("username")),
        };
        Ok(Parts {
            user,
            is_hidden,
            nonce: required(&self.nonce, "nonce")?,
            uri: required(&self.uri, "uri")?,
            response: required(&self.response, "response")?,
            protection: self.protection()?,
        })
    }

    fn protection(&self) -> Result<Option<(Qop, u32, &str)>, Malformed> {
        let Some(qop) = &self.qop else {
            return Ok(None);
        };
        let qop = Qop::from_token(qop).ok_or(Malformed::Invalid("qop"))?;
        required(&self.cnonce, "cnonce")?;
        let written = required(&self.count, "nc")?;
        // RFC 7616 §3.4 asks for eight digits; fewer are as clear.
        let is_number = (1..=8).contains(&written.len())
            && written.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u32::from_str_radix(written, 16) {
            Ok(count) if is_number && count > 0 => Ok(Some((qop, count, written))),
            _ => Err(Malformed::Invalid("nc")),
        }
    }
}

fn required<'a>(param: &'a Option<Cow<'_, str>>, name: &'static str) -> Result<&'a str, Malformed> {
    param.as_deref().ok_or(Malformed::Missing(name))
}

/// What is wrong with credentials.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// A parameter is not there
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A parameter is there twice
    #[error("{0} is there more than once")]
    Repeated(&'static str),
    /// A parameter has a value that cannot be
    #[error("{0} is invalid")]
    Invalid(&'static str),
    /// The field cannot be read at all
    #[error(transparent)]
    Unreadable(#[from] ParseError),
}

impl Malformed {
    /// The reason phrase of the 400.
    pub(crate) fn reason(&self, role: Role) -> String {
        match self {
            Self::Unreadable(error) => error.reason().into_owned(),
            _ => {
                let field = match role {
                    Role::Server => "Authorization",
                    Role::Proxy => "Proxy-Authorization",
                };
                format!("Bad Request ({field} {self})")
            }
        }
    }
}
