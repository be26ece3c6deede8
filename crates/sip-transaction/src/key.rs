//! Which transaction a message belongs to: RFC 3261 §17.1.3 and §17.2.3.

use std::num::NonZeroU64;

use ahash::RandomState;

use crate::config::Matching;
use sip_io::Rng;
use sip_message::{
    Headers, Method, NameAddrView, Request, Response,
    headers::{CSeq, CallId, To, Via, ViaView},
};

/// What a message has in common with the request of its transaction, as a keyed fingerprint of 128 bits.
///
/// A peer does not know the seeds, so it cannot make two keys meet, and a lingering transaction keeps 16 bytes instead
/// of branch, host and tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(u64, u64);

impl Key {
    /// A part of it, for tables.
    pub(crate) const fn digest(self) -> u32 {
        self.0 as u32
    }

    #[cfg(test)]
    pub(crate) const fn from_parts(one: u64, other: u64) -> Self {
        Self(one, other)
    }
}

/// Makes keys.
pub(crate) struct Keys {
    one: RandomState,
    other: RandomState,
    /// What is hashed next; kept so that it is not allocated for each
    text: Vec<u8>,
    matching: Matching,
}

impl Keys {
    pub(crate) fn new(rng: &mut Rng, matching: Matching) -> Self {
        Self {
            one: hasher(rng),
            other: hasher(rng),
            text: Vec::new(),
            matching,
        }
    }

    /// The key of a client transaction: its branch and its method (§17.1.3); `headers` are those of a message in it.
    pub(crate) fn client(&mut self, branch: &[u8], method: &Method, headers: &Headers) -> Key {
        self.text.clear();
        push_folded(&mut self.text, branch);
        push(&mut self.text, method.as_str().as_bytes());
        if self.matching.call_id {
            // What cannot be read agrees with what cannot be read: a message without either is refused before.
            if let Some(Ok(call_id)) = headers.view::<CallId>() {
                push(&mut self.text, call_id.as_bytes());
            }
            if let Some(Ok(cseq)) = headers.view::<CSeq>() {
                push_number(&mut self.text, cseq.number());
            }
        }
        self.key()
    }

    /// The key of the client transaction that a response answers.
    pub(crate) fn response(&mut self, response: &Response) -> Option<Key> {
        let headers = response.headers();
        let via = headers.view::<Via>()?.ok()?;
        let cseq = headers.view::<CSeq>()?.ok()?;
        Some(self.client(via.branch_raw()?, cseq.method(), headers))
    }

    /// The key of the server transaction that a request would have if its method were `method` (§17.2.3); `branch` is that
    /// of its Via, if it is one of RFC 3261.
    ///
    /// An ACK counts as an INVITE; a CANCEL is also looked up as the INVITE that it wants to end.
    pub(crate) fn server(
        &mut self,
        request: &Request,
        via: &ViaView<'_>,
        branch: Option<&[u8]>,
        method: &Method,
    ) -> Option<Key> {
        let text = &mut self.text;
        text.clear();
        match branch {
            Some(branch) => {
                push(text, branch);
                push(text, via.host_raw());
                text.make_ascii_lowercase();
                push_number(text, via.port().unwrap_or(0).into());
            }
            None => push_loose(text, self.matching, request, method)?,
        }
        let method = if *method == Method::ACK {
            &Method::INVITE
        } else {
            method
        };
        push(text, method.as_str().as_bytes());
        Some(self.key())
    }

    /// A fingerprint of the To tag, for peers without branches.
    pub(crate) fn tag(&mut self, headers: &Headers) -> Option<NonZeroU64> {
        let to = headers.view::<To>()?.ok()?;
        self.text.clear();
        push_folded(&mut self.text, tag(&to));
        NonZeroU64::new(self.one.hash_one(self.text.as_slice()) | 1)
    }

    /// What requests that came over several ways have in common (§8.2.2.2); `None` within a dialog.
    pub(crate) fn merge(&mut self, request: &Request) -> Option<NonZeroU64> {
        if request.has_to_tag() {
            return None;
        }
        self.text.clear();
        push_origin(&mut self.text, request)?;
        push(&mut self.text, request.method().as_str().as_bytes());
        NonZeroU64::new(self.one.hash_one(self.text.as_slice()))
    }

    /// A fingerprint of anything that is the same in the same table.
    pub(crate) fn hash(&self, value: impl std::hash::Hash) -> u64 {
        self.one.hash_one(value)
    }

    fn key(&self) -> Key {
        let text = self.text.as_slice();
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

/// The branch, if it is one of RFC 3261 (§8.1.1.7): the cookie, and something after it. Peers of RFC 2543 have none that
/// means anything.
pub(crate) fn branch<'a>(via: &'a ViaView<'_>) -> Option<&'a [u8]> {
    let branch = via.branch_raw()?;
    let (cookie, rest) = branch.split_at_checked(COOKIE.len())?;
    // Nearly everybody writes it as the RFC does, and to compare that is one instruction or two.
    let has_cookie = cookie == COOKIE || cookie.eq_ignore_ascii_case(COOKIE);
    (has_cookie && !rest.is_empty()).then_some(branch)
}

/// RFC 2543 has no branches: there the whole lot of header fields has to be equal (§17.2.3).
///
/// The To tag is left out of an INVITE's key, because the ACK carries that of the response: [`Keys::tag`] compares it.
fn push_loose(
    text: &mut Vec<u8>,
    matching: Matching,
    request: &Request,
    method: &Method,
) -> Option<()> {
    if matching.request_uri {
        push(text, request.uri().as_ref().as_bytes());
    }
    if matching.via {
        push_folded(text, request.via().ok()?.to_string().as_bytes());
    }
    push_origin(text, request)?;
    if *method != Method::INVITE && *method != Method::ACK {
        push_folded(text, tag(&request.headers().view::<To>()?.ok()?));
    }
    Some(())
}

/// What the origin of a request wrote, wherever it came through: From tag, Call-ID and the number of the CSeq.
fn push_origin(text: &mut Vec<u8>, request: &Request) -> Option<()> {
    let headers = request.headers();
    push_folded(text, request.from_tag_raw().unwrap_or_default());
    push(text, headers.view::<CallId>()?.ok()?.as_bytes());
    push_number(text, headers.view::<CSeq>()?.ok()?.number());
    Some(())
}

fn tag<'a>(address: &'a NameAddrView<'_>) -> &'a [u8] {
    address.tag_raw().unwrap_or_default()
}

fn push(text: &mut Vec<u8>, part: &[u8]) {
    text.extend_from_slice(part);
    // No part of a message has a zero byte, so parts cannot run into each other.
    text.push(0);
}

/// Branches, hosts and tags are equal whatever their case (§7.3.1).
fn push_folded(text: &mut Vec<u8>, part: &[u8]) {
    let start = text.len();
    push(text, part);
    text[start..].make_ascii_lowercase();
}

fn push_number(text: &mut Vec<u8>, number: u32) {
    text.extend_from_slice(&number.to_be_bytes());
}

const COOKIE: &[u8] = b"z9hG4bK";
