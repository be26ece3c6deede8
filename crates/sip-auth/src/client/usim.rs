//! Challenges that a card answers (RFC 3310 §3).

use super::{
    AuthError, Client, MOST_REFUSALS,
    session::Session,
    shown::{Group, given},
};
use crate::{
    Challenge, Credentials, Secret,
    aka::{self, Usim, UsimError},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use sip_message::Request;

/// A card and where it is shown.
pub(super) struct Card {
    user: String,
    realm: String,
    usim: Box<dyn Usim + Send + Sync>,
}

impl Client {
    /// Adds a card for one realm. Where both are asked for, it is taken before a password.
    pub fn add_usim(
        &mut self,
        user: impl Into<String>,
        realm: impl Into<String>,
        usim: impl Usim + Send + Sync + 'static,
    ) {
        self.usims.push(Card {
            user: user.into(),
            realm: realm.into(),
            usim: Box::new(usim),
        });
    }

    /// `None` if no card fits, or none is asked for.
    pub(super) fn accept_card(
        &mut self,
        request: &Request,
        group: &Group,
    ) -> Option<Result<Session, AuthError>> {
        let challenge = group.challenges.iter().find(|challenge| {
            challenge.aka.is_some() && self.algorithms.contains(&challenge.algorithm())
        })?;
        let card = self
            .usims
            .iter_mut()
            .find(|card| card.realm == challenge.realm())?;
        let realm = || challenge.realm().to_owned();
        let mut refusals = 0;
        if let Some(shown) = given(request, group.role, challenge.realm()) {
            let known = self.sessions.iter().find(|session| {
                session.role == group.role && session.challenge.realm() == challenge.realm()
            });
            refusals = known.map_or(0, |known| known.refusals) + 1;
            let may_retry = shown.has_auts || group.challenges.iter().any(Challenge::is_stale);
            if !may_retry || refusals > MOST_REFUSALS || shown.nonce == challenge.nonce {
                return Some(Err(AuthError::Rejected { realm: realm() }));
            }
        }
        let Some((rand, autn)) = aka::read_nonce(&challenge.nonce) else {
            return Some(Err(AuthError::Unsupported));
        };
        let version = challenge.aka?;
        let (secret, auts) = match card.usim.authenticate(&rand, &autn) {
            Ok(keys) => (keys.secret(version, challenge.algorithm()), None),
            // RFC 3310 §3.4: an empty password says that only AUTS matters.
            Err(UsimError::OutOfStep { auts }) => {
                (Secret::password(""), Some(STANDARD.encode(auts)))
            }
            Err(UsimError::FalseNetwork) => {
                return Some(Err(AuthError::FalseNetwork { realm: realm() }));
            }
        };
        let credentials = Credentials::with_secret(card.user.clone(), realm(), secret);
        let mut session = self.open(request, group.role, challenge.clone(), credentials);
        session.auts = auts;
        session.refusals = refusals;
        Some(Ok(session))
    }
}
