//! One dialog.

use sip_message::{
    Method, NameAddr, ParseError, Request, Response, StatusCode, Tag, Uri,
    headers::{Authorization, CSeq, Contact, ProxyAuthorization, Route},
};
use thiserror::Error;

use crate::{DialogId, Glare, OfferAnswer, OpenInvite, RouteSet};

/// Who sent the request that made the dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We did
    Uac,
    /// The peer did
    Uas,
}

/// How far a dialog has come (RFC 3261 §12).
///
/// ```text
///            INVITE
///   101-199 with |        | 2xx
///   a To tag     V        V
///              Early --2xx--> Confirmed
///                |                |
///   300-699, BYE,|                | BYE; 481, 408 or silence
///   another fork |                | in answer to a request
///                V                V
///                   Terminated
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A provisional response made it
    Early,
    /// A 2xx confirmed it
    Confirmed,
    /// It is over; nothing may be sent on it
    Terminated,
}

/// Why no dialog could be made from a message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DialogError {
    /// A header field that the dialog needs cannot be read, or is missing
    #[error(transparent)]
    Malformed(#[from] ParseError),
    /// The response is 100, or final and not 2xx: it makes no dialog
    #[error("a {0} makes no dialog")]
    Status(StatusCode),
    /// A provisional response without a To tag makes no dialog
    #[error("the response has no To tag")]
    NoTag,
    /// There is no Contact to send further requests to
    #[error("the request has no Contact")]
    NoContact,
}

/// The request's CSeq number is lower than one that came before: 500 (RFC 3261 §12.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("cseq {number} came after {last}")]
pub struct OutOfOrder {
    /// The number that came
    pub number: u32,
    /// The highest number that came before
    pub last: u32,
}

/// A peer-to-peer relation of two user agents that lasts over several transactions (RFC 3261 §12).
///
/// The route set is taken from the response that makes the dialog, and again from the 2xx that confirms it; afterwards
/// only the remote target changes. See the crate's documentation for an example.
#[derive(Clone, Debug)]
pub struct Dialog {
    id: DialogId,
    role: Role,
    state: State,
    /// Perhaps without our tag, which is in the id
    local: NameAddr,
    remote: NameAddr,
    local_cseq: Option<u32>,
    remote_cseq: Option<u32>,
    route_set: RouteSet,
    remote_target: Uri,
    secure: bool,
    open_invite: OpenInvite,
    offer_answer: OfferAnswer,
}

impl Dialog {
    /// The dialog that a response to our INVITE makes (RFC 3261 §12.1.2): early for 101 to 199, confirmed for 2xx.
    ///
    /// A response without Contact leaves the Request-URI as the remote target: a peer that answered must be
    /// acknowledged and hung up somewhere.
    ///
    /// # Errors
    ///
    /// When the response makes no dialog, or what the dialog needs cannot be read.
    pub fn uac(invite: &Request, response: &Response) -> Result<Self, DialogError> {
        let status = response.status();
        let state = match status {
            status if status.is_success() => State::Confirmed,
            status if status.is_provisional() && status != StatusCode::TRYING => State::Early,
            status => return Err(DialogError::Status(status)),
        };
        let id = DialogId::of_received_response(response)?;
        if state == State::Early && id.remote_tag().is_none() {
            return Err(DialogError::NoTag);
        }
        let remote_target = match response.headers().get::<Contact>() {
            Some(contact) if !contact.as_ref().is_ok_and(Contact::is_star) => {
                contact?.uri().clone()
            }
            _ => invite.uri().clone(),
        };
        Ok(Self {
            role: Role::Uac,
            state,
            local: invite.from()?.address().clone(),
            remote: response.to()?.address().clone(),
            local_cseq: Some(invite.cseq()?.number()),
            remote_cseq: None,
            route_set: RouteSet::of_response(response)?,
            remote_target,
            secure: invite.uri().is_sips(),
            open_invite: OpenInvite::None,
            offer_answer: OfferAnswer::New,
            id,
        })
    }

    /// The dialog that our response to `request` makes, with `local_tag` in its To (RFC 3261 §12.1.1); early until
    /// [`confirm`](Self::confirm).
    ///
    /// # Errors
    ///
    /// When the request has no Contact, or what the dialog needs cannot be read.
    pub fn uas(request: &Request, local_tag: Tag) -> Result<Self, DialogError> {
        let contact = request
            .headers()
            .get::<Contact>()
            .ok_or(DialogError::NoContact)??;
        if contact.is_star() {
            return Err(DialogError::NoContact);
        }
        let from = request.from()?;
        Ok(Self {
            id: DialogId::new(request.call_id()?, local_tag, from.tag()),
            role: Role::Uas,
            state: State::Early,
            local: request.to()?.into(),
            remote: from.into(),
            local_cseq: None,
            remote_cseq: Some(request.cseq()?.number()),
            route_set: RouteSet::of_request(request)?,
            remote_target: contact.uri().clone(),
            secure: request.uri().is_sips(),
            open_invite: OpenInvite::None,
            offer_answer: OfferAnswer::New,
        })
    }

    /// We sent a 2xx: the dialog is confirmed.
    pub fn confirm(&mut self) {
        if self.state == State::Early {
            self.state = State::Confirmed;
        }
    }

    /// Takes in a further response to our INVITE on this dialog.
    ///
    /// The first 2xx confirms it and sets the route set anew (RFC 3261 §13.2.2.4); each 2xx that has a Contact moves
    /// the remote target (§12.2.1.2).
    ///
    /// # Errors
    ///
    /// When Record-Route or Contact of a 2xx cannot be read; the dialog is confirmed nevertheless, with what it had.
    pub fn receive_response(&mut self, response: &Response) -> Result<(), ParseError> {
        if !response.status().is_success() {
            return Ok(());
        }
        let was_early = self.state == State::Early;
        self.confirm();
        if was_early {
            self.route_set = RouteSet::of_response(response)?;
        }
        if let Some(contact) = response.headers().get::<Contact>().transpose()?
            && !contact.is_star()
        {
            self.remote_target = contact.uri().clone();
        }
        Ok(())
    }

    /// Takes in a request of the peer, other than ACK and CANCEL: its CSeq must not fall behind (RFC 3261 §12.2.2).
    ///
    /// The remote target moves only when the request is accepted: see [`refresh_target`](Self::refresh_target).
    ///
    /// # Errors
    ///
    /// When the CSeq number is lower than one before; the answer is 500.
    pub fn receive_request(&mut self, cseq: u32) -> Result<(), OutOfOrder> {
        match self.remote_cseq {
            Some(last) if cseq < last => Err(OutOfOrder { number: cseq, last }),
            _ => {
                self.remote_cseq = Some(cseq);
                Ok(())
            }
        }
    }

    /// Takes in a re-INVITE, after [`receive_request`](Self::receive_request).
    ///
    /// # Errors
    ///
    /// When an INVITE is open already, or an offer of ours (RFC 3261 §14.2, RFC 5407 §3.1.5).
    pub fn receive_invite(&mut self, cseq: u32) -> Result<(), Glare> {
        if self.open_invite.is_none() && matches!(self.offer_answer, OfferAnswer::LocalOffer { .. })
        {
            return Err(Glare::Pending);
        }
        self.open_invite.receive(cseq)
    }

    /// An accepted target refresh request, or a 2xx to one of ours, moves the remote target (RFC 3261 §12.2).
    pub fn refresh_target(&mut self, contact: &Uri) {
        self.remote_target = contact.clone();
    }

    /// The next request of ours: Request-URI, Route, From, To, Call-ID, CSeq and Max-Forwards. What sends it adds Via,
    /// and Contact where the method wants one.
    ///
    /// # Errors
    ///
    /// When the dialog is over.
    pub fn request(&mut self, method: Method) -> Result<Request, DialogOver> {
        if self.state == State::Terminated {
            return Err(DialogOver);
        }
        let number = self.next_cseq();
        Ok(self.compose(method, number))
    }

    /// Gives a request of ours that was challenged the next CSeq number (RFC 3261 §22.2).
    pub fn renumber(&mut self, request: &mut Request) {
        let number = self.next_cseq();
        let method = request.method().clone();
        request.headers_mut().set(CSeq::new(number, method));
    }

    /// The ACK to a 2xx (RFC 3261 §13.2.2.4): the number and the credentials of `invite`, the route set and target of
    /// now. It is a request of its own; each repetition of the 2xx is answered with the same bytes.
    pub fn ack(&self, invite: &Request) -> Request {
        let number = invite.cseq().map_or(1, |cseq| cseq.number());
        let mut ack = self.compose(Method::ACK, number);
        for credentials in invite.headers().all::<Authorization>().flatten() {
            ack.headers_mut().push(credentials);
        }
        for credentials in invite.headers().all::<ProxyAuthorization>().flatten() {
            ack.headers_mut().push(credentials);
        }
        ack
    }

    /// Ends the dialog.
    pub fn terminate(&mut self) {
        self.state = State::Terminated;
    }

    /// Which INVITE of the dialog is open.
    pub fn open_invite_mut(&mut self) -> &mut OpenInvite {
        &mut self.open_invite
    }

    /// Who may offer now.
    pub fn offer_answer_mut(&mut self) -> &mut OfferAnswer {
        &mut self.offer_answer
    }

    /// Which INVITE of the dialog is open.
    pub const fn open_invite(&self) -> OpenInvite {
        self.open_invite
    }

    /// Who may offer now.
    pub const fn offer_answer(&self) -> OfferAnswer {
        self.offer_answer
    }

    /// Call-ID and tags.
    pub const fn id(&self) -> &DialogId {
        &self.id
    }

    /// Who sent the request that made it.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// How far it has come.
    pub const fn state(&self) -> State {
        self.state
    }

    /// What our requests have in From, with our tag.
    pub fn local(&self) -> NameAddr {
        self.local
            .clone()
            .with_param("tag", self.id.local_tag().as_str())
    }

    /// What our requests have in To, with the peer's tag.
    pub const fn remote(&self) -> &NameAddr {
        &self.remote
    }

    /// Where our requests go in the end.
    pub const fn remote_target(&self) -> &Uri {
        &self.remote_target
    }

    /// The servers between.
    pub const fn route_set(&self) -> &RouteSet {
        &self.route_set
    }

    /// Whether the dialog was made by a request to a `sips:` URI, so that our Contact must be one as well.
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    fn next_cseq(&mut self) -> u32 {
        // RFC 3261 §8.1.1.5: the number stays below 2**31, which a request every millisecond reaches after 24 days.
        let number = self
            .local_cseq
            .map_or(1, |last| last.saturating_add(1))
            .min(i32::MAX as u32);
        self.local_cseq = Some(number);
        number
    }

    fn compose(&self, method: Method, number: u32) -> Request {
        let (uri, route) = self.route_set.apply(&self.remote_target);
        let mut builder = Request::builder(method, uri)
            .from(&self.local, self.id.local_tag().clone())
            .to(&self.remote)
            .header(self.id.call_id().clone())
            .cseq(number);
        for uri in route {
            builder = builder.route(Route::new(uri));
        }
        builder
            .build()
            .expect("From, To, Call-ID and CSeq were parsed before")
    }
}

/// The dialog is over, so nothing may be sent on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the dialog is over")]
pub struct DialogOver;

#[cfg(test)]
#[path = "dialog_tests.rs"]
mod tests;
