//! Credentials as they came.

use crate::{Qop, Role, extended};
use sip_message::{ParseError, headers::AuthView};
use std::borrow::Cow;
use thiserror::Error;

/// The parameters of digest credentials that mean something here.
#[derive(Default)]
pub(crate) struct Given<'a> {
    user: Option<Cow<'a, [u8]>>,
    extended_user: Option<Cow<'a, [u8]>>,
    user_is_hash: Option<Cow<'a, [u8]>>,
    pub(crate) realm: Option<Cow<'a, [u8]>>,
    nonce: Option<Cow<'a, [u8]>>,
    uri: Option<Cow<'a, [u8]>>,
    response: Option<Cow<'a, [u8]>>,
    pub(crate) algorithm: Option<Cow<'a, [u8]>>,
    pub(crate) cnonce: Option<Cow<'a, [u8]>>,
    qop: Option<Cow<'a, [u8]>>,
    count: Option<Cow<'a, [u8]>>,
    pub(crate) auts: Option<Cow<'a, [u8]>>,
    wrong: Option<Malformed>,
}

/// The parameters that must be there.
pub(crate) struct Parts<'a> {
    pub(crate) user: Cow<'a, str>,
    /// Whether the user is a hash (RFC 7616 §3.4.4)
    pub(crate) is_hidden: bool,
    pub(crate) nonce: &'a [u8],
    pub(crate) uri: &'a [u8],
    pub(crate) response: &'a [u8],
    pub(crate) protection: Option<Protection<'a>>,
}

/// The protection, the nonce count, and the count as written.
pub(crate) type Protection<'a> = (Qop, u32, &'a [u8]);

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
            let known = [
                ("username", &mut given.user),
                ("realm", &mut given.realm),
                ("nonce", &mut given.nonce),
                ("uri", &mut given.uri),
                ("response", &mut given.response),
                ("algorithm", &mut given.algorithm),
                ("cnonce", &mut given.cnonce),
                ("qop", &mut given.qop),
                ("nc", &mut given.count),
                ("username*", &mut given.extended_user),
                ("userhash", &mut given.user_is_hash),
                ("auts", &mut given.auts),
            ];
            let Some((name, slot)) = known.into_iter().find(|(name, _)| param.is(name)) else {
                continue;
            };
            if slot.is_some() {
                given.wrong.get_or_insert(Malformed::Repeated(name));
            } else if param.raw().len() > LONGEST {
                given.wrong.get_or_insert(Malformed::TooLong(name));
            } else {
                *slot = Some(param.octets());
            }
        }
        given
    }

    /// Whether they are, or may be, for this realm.
    pub(crate) fn may_be_for(&self, realm: &str) -> bool {
        match (&self.realm, &self.wrong) {
            (Some(given), _) => **given == *realm.as_bytes(),
            (None, wrong) => *wrong != Some(Malformed::TooLong("realm")),
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
            .is_some_and(|is_hash| is_hash.eq_ignore_ascii_case(b"true"));
        let user = match (&self.user, &self.extended_user) {
            (Some(user), None) if is_hidden => Cow::Owned(text(user).to_ascii_lowercase()),
            (Some(user), None) => text(user),
            (None, Some(_)) if is_hidden => return Err(Malformed::Invalid("userhash")),
            (None, Some(user)) => {
                Cow::Owned(extended::decode(&text(user)).ok_or(Malformed::Invalid("username*"))?)
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

    fn protection(&self) -> Result<Option<Protection<'_>>, Malformed> {
        let Some(qop) = &self.qop else {
            return Ok(None);
        };
        let qop = Qop::from_token(&text(qop)).ok_or(Malformed::Invalid("qop"))?;
        required(&self.cnonce, "cnonce")?;
        let written = required(&self.count, "nc")?;
        // RFC 7616 §3.4 asks for eight digits; fewer are as clear.
        let count = written.iter().try_fold(0, |count, digit| {
            let digit = char::from(*digit).to_digit(16)?;
            Some((count << 4) | digit)
        });
        match count {
            Some(count) if written.len() <= 8 && count > 0 => Ok(Some((qop, count, written))),
            _ => Err(Malformed::Invalid("nc")),
        }
    }
}

fn required<'a>(
    param: &'a Option<Cow<'_, [u8]>>,
    name: &'static str,
) -> Result<&'a [u8], Malformed> {
    param.as_deref().ok_or(Malformed::Missing(name))
}

/// Octets as text, those that are no UTF-8 replaced.
fn text(octets: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(octets) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(octets),
    }
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
