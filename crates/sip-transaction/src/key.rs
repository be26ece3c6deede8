//! Which transaction a message belongs to: RFC 3261 §17.1.3 and §17.2.3.

use std::num::NonZeroU64;

use ahash::RandomState;
use smallvec::SmallVec;

use sip_io::Rng;
use sip_message::{
    Method, ParseError, Request, Response,
    headers::{From, To, Via},
};

/// What a message has in common with the request of its transaction, as a keyed fingerprint of 128 bits.
///
/// A peer does not know the seeds, so it cannot make two keys meet, and a lingering transaction keeps 16 bytes instead
/// of branch, host and tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(u64, u64);

impl Key {
    #[cfg(test)]
    pub(crate) const fn from_parts(one: u64, other: u64) -> Self {
        Self(one, other)
    }
}

/// Makes keys.
pub(crate) struct Keys {
    one: RandomState,
    other: RandomState,
}

impl Keys {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        Self {
            one: hasher(rng),
            other: hasher(rng),
        }
    }

    /// The key of a client transaction: its branch and its method (§17.1.3).
    pub(crate) fn client(&self, branch: &str, method: &Method) -> Key {
        let mut text = Text::new();
        push_folded(&mut text, branch);
        push(&mut text, method.as_str());
        self.key(&text)
    }

    /// The key of the client transaction that a response answers.
    pub(crate) fn response(&self, response: &Response) -> Option<Key> {
        let via = response.via().ok()?;
        let cseq = response.cseq().ok()?;
        Some(self.client(via.branch()?, cseq.method()))
    }

    /// The key of the server transaction that a request would have if its method were `method` (§17.2.3).
    ///
    /// An ACK counts as an INVITE; a CANCEL is also looked up as the INVITE that it wants to end.
    pub(crate) fn server(
        &self,
        request: &Request,
        via: &Via,
        method: &Method,
    ) -> Result<Key, ParseError> {
        let mut text = Text::new();
        match branch(via) {
            Some(branch) => {
                push_folded(&mut text, branch);
                push_folded(&mut text, via.host_str());
                if let Some(port) = via.port() {
                    text.extend_from_slice(&port.to_be_bytes());
                }
            }
            None => self.push_loose(&mut text, request, via, method)?,
        }
        let method = if *method == Method::ACK {
            &Method::INVITE
        } else {
            method
        };
        push(&mut text, method.as_str());
        Ok(self.key(&text))
    }

    /// RFC 2543 has no branches: there the whole lot of header fields has to be equal (§17.2.3).
    ///
    /// The To tag is left out of an INVITE's key, because the ACK carries that of the response:
    /// [`tag`](Self::tag) compares it.
    fn push_loose(
        &self,
        text: &mut Text,
        request: &Request,
        via: &Via,
        method: &Method,
    ) -> Result<(), ParseError> {
        push(text, request.uri().as_ref());
        push_folded(text, tag_of_from(&request.from()?).as_str());
        push(text, request.call_id()?.as_str());
        text.extend_from_slice(&request.cseq()?.number().to_be_bytes());
        push_folded(text, &via.to_string());
        if *method != Method::INVITE && *method != Method::ACK {
            push_folded(text, tag_of_to(&request.to()?).as_str());
        }
        Ok(())
    }

    /// A fingerprint of the To tag, for peers without branches.
    pub(crate) fn tag(&self, to: &To) -> u64 {
        self.one
            .hash_one(tag_of_to(to).to_ascii_lowercase().as_bytes())
    }

    /// What requests that came over several ways have in common (§8.2.2.2); `None` within a dialog.
    pub(crate) fn merge(&self, request: &Request) -> Option<NonZeroU64> {
        if request.to().ok()?.tag().is_some() {
            return None;
        }
        let cseq = request.cseq().ok()?;
        let mut text = Text::new();
        push_folded(&mut text, tag_of_from(&request.from().ok()?).as_str());
        push(&mut text, request.call_id().ok()?.as_str());
        text.extend_from_slice(&cseq.number().to_be_bytes());
        push(&mut text, cseq.method().as_str());
        NonZeroU64::new(self.one.hash_one(text.as_slice()))
    }

    /// A fingerprint of anything that is the same in the same table.
    pub(crate) fn hash(&self, value: impl std::hash::Hash) -> u64 {
        self.one.hash_one(value)
    }

    fn key(&self, text: &Text) -> Key {
        let text = text.as_slice();
        Key(self.one.hash_one(text), self.other.hash_one(text))
    }
}

/// A hash function that a peer cannot foresee.
pub(crate) fn hasher(rng: &mut Rng) -> RandomState {
    RandomState::with_seeds(
        rng.next_u64(),
        rng.next_u64(),
        rng.next_u64(),
        rng.next_u64(),
    )
}

/// Whether the request comes from a peer of RFC 2543, whose branches mean nothing.
pub(crate) fn is_loose(via: &Via) -> bool {
    branch(via).is_none()
}

/// The branch, if it is one of RFC 3261 (§8.1.1.7): the cookie, and something after it.
fn branch(via: &Via) -> Option<&str> {
    let branch = via.branch()?;
    let (cookie, rest) = branch.split_at_checked(COOKIE.len())?;
    (cookie.eq_ignore_ascii_case(COOKIE) && !rest.is_empty()).then_some(branch)
}

fn tag_of_from(from: &From) -> String {
    from.tag()
        .map_or_else(String::new, |tag| tag.as_str().to_owned())
}

fn tag_of_to(to: &To) -> String {
    to.tag()
        .map_or_else(String::new, |tag| tag.as_str().to_owned())
}

fn push(text: &mut Text, part: &str) {
    text.extend_from_slice(part.as_bytes());
    // No part of a message has a zero byte, so parts cannot run into each other.
    text.push(0);
}

/// Branches, hosts and tags are equal whatever their case (§7.3.1).
fn push_folded(text: &mut Text, part: &str) {
    let start = text.len();
    push(text, part);
    text[start..].make_ascii_lowercase();
}

type Text = SmallVec<[u8; 192]>;

const COOKIE: &str = "z9hG4bK";
