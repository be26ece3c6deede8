//! Credentials as they came.

use crate::{Qop, Role, extended};
use sip_message::{ParseError, headers::AuthView};
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
    pub(crate) auts: Option<Cow<'a, str>>,
    wrong: Option<Malformed>,
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
    /// Reads the parameters in one pass. What is wrong with them counts only if they are for our realm, so it is told
    /// by [`Self::parts`].
    pub(crate) fn read(view: &AuthView<'a>) -> Self {
        let mut given = Self::default();
        for param in view.params() {
            let param = match param {
                Ok(param) => param,
                Err(error) => {
                    given.wrong = Some(Malformed::Unreadable(error));
                    break;
                }
            };
            // The length leaves few names to compare with.
            let candidates: &[&'static str] = match param.name().len() {
                2 => &["nc"],
                3 => &["uri", "qop"],
                4 => &["auts"],
                5 => &["realm", "nonce"],
                6 => &["cnonce"],
                8 => &["username", "response", "userhash"],
                9 => &["algorithm", "username*"],
                _ => &[],
            };
            let known = candidates
                .iter()
                .find(|known| param.name().eq_ignore_ascii_case(known));
            let Some(&name) = known else { continue };
            let slot = given.slot(name);
            if slot.is_some() {
                given.wrong.get_or_insert(Malformed::Repeated(name));
            } else if param.raw().len() > LONGEST {
                given.wrong.get_or_insert(Malformed::TooLong(name));
            } else {
                *slot = Some(param.value());
            }
        }
        given
    }

    /// Whether they are, or may be, for this realm.
    pub(crate) fn may_be_for(&self, realm: &str) -> bool {
        match (&self.realm, &self.wrong) {
            (Some(given), _) => given == realm,
            (None, wrong) => *wrong != Some(Malformed::TooLong("realm")),
        }
    }

    fn slot(&mut self, name: &'static str) -> &mut Option<Cow<'a, str>> {
        match name {
            "nc" => &mut self.count,
            "uri" => &mut self.uri,
            "qop" => &mut self.qop,
            "auts" => &mut self.auts,
            "realm" => &mut self.realm,
            "nonce" => &mut self.nonce,
            "cnonce" => &mut self.cnonce,
            "username" => &mut self.user,
            "response" => &mut self.response,
            "userhash" => &mut self.user_is_hash,
            "algorithm" => &mut self.algorithm,
            _ => &mut self.extended_user,
        }
    }

    pub(crate) fn parts(&self) -> Result<Parts<'_>, Malformed> {
        if let Some(wrong) = &self.wrong {
            return Err(wrong.clone());
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
    /// A parameter is longer than 2,048 octets: a peer shall not choose how much is kept of it
    #[error("{0} is too long")]
    TooLong(&'static str),
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

/// Octets of a value as written.
const LONGEST: usize = 2_048;
