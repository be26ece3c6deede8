//! What a response asks for, and what a request shows already.

use crate::{Algorithm, Challenge, Credentials, Qop, Role, digest, extended};
use sip_message::{
    HeaderField, HeaderName, Request, Response,
    headers::{Authorization, ProxyAuthenticate, WwwAuthenticate},
};

/// The challenges of one realm, in order; at least one.
pub(super) struct Group {
    pub(super) role: Role,
    pub(super) challenges: Vec<Challenge>,
}

impl Group {
    pub(super) fn realm(&self) -> &str {
        self.challenges.first().map_or("", Challenge::realm)
    }
}

/// All challenges by realm, and whether there were others that cannot be answered.
pub(super) fn challenges(response: &Response) -> (Vec<Group>, bool) {
    let headers = response.headers();
    let server = headers
        .all::<WwwAuthenticate>()
        .take(MOST_CHALLENGES)
        .map(|field| {
            (
                Role::Server,
                field.ok().map(|field| Challenge::of_server(&field)),
            )
        });
    let proxy = headers
        .all::<ProxyAuthenticate>()
        .take(MOST_CHALLENGES)
        .map(|field| {
            (
                Role::Proxy,
                field.ok().map(|field| Challenge::of_proxy(&field)),
            )
        });
    let mut groups: Vec<Group> = Vec::new();
    let mut unsupported = false;
    for (role, challenge) in server.chain(proxy) {
        let Some(Ok(challenge)) = challenge else {
            unsupported = true;
            continue;
        };
        let group = groups
            .iter_mut()
            .find(|group| group.role == role && group.realm() == challenge.realm());
        match group {
            Some(group) => group.challenges.push(challenge),
            None => groups.push(Group {
                role,
                challenges: vec![challenge],
            }),
        }
    }
    (groups, unsupported)
}

/// What a request already shows to a realm.
pub(super) struct Shown {
    pub(super) user: String,
    pub(super) is_hidden: bool,
    pub(super) algorithm: Algorithm,
    pub(super) nonce: String,
    pub(super) uri: String,
    pub(super) cnonce: String,
    pub(super) count: String,
    pub(super) qop: Option<Qop>,
    #[cfg(feature = "aka")]
    pub(super) has_auts: bool,
}

impl Shown {
    pub(super) fn is_of(&self, own: &Credentials, realm: &str) -> bool {
        if self.is_hidden {
            digest::user_hash(self.algorithm, own.user(), realm).as_str() == self.user
        } else {
            own.user() == self.user
        }
    }
}

pub(super) fn given(request: &Request, role: Role, realm: &str) -> Option<Shown> {
    let name = match role {
        Role::Server => HeaderName::AUTHORIZATION,
        Role::Proxy => HeaderName::PROXY_AUTHORIZATION,
    };
    request.headers().raw_all(&name).find_map(|value| {
        let field = Authorization::parse(&value).ok()?;
        if !field.is_scheme("Digest") || field.param("realm")? != realm {
            return None;
        }
        let param = |name| field.param(name).unwrap_or_default().into_owned();
        Some(Shown {
            user: match field.param("username*") {
                Some(user) => extended::decode(&user).unwrap_or_default(),
                None => param("username"),
            },
            is_hidden: field
                .param("userhash")
                .is_some_and(|is| is.eq_ignore_ascii_case("true")),
            algorithm: Algorithm::from_token(&param("algorithm")).unwrap_or(Algorithm::Md5),
            nonce: param("nonce"),
            uri: param("uri"),
            cnonce: param("cnonce"),
            count: param("nc"),
            qop: Qop::from_token(&param("qop")),
            #[cfg(feature = "aka")]
            has_auts: field.param("auts").is_some(),
        })
    })
}

const MOST_CHALLENGES: usize = 16;
