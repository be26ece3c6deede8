//! Changing the session of an established call: re-INVITE both ways (RFC 3261 §14).

use bytes::Bytes;
use sip_dialog::{DialogKey, Glare, OfferAnswer, OpenInvite, glare_delay, overlap_delay};
use sip_endpoint::{Context, Failure, RequestId, ServerTransactionId};
use sip_io::Flow;
use sip_message::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    headers::{Contact, ContentType, RetryAfter},
};

use crate::{
    CallId, Cause, Ended, Event, ReofferError, ReofferFailure, UserAgent,
    call::{
        Ack, Call, Invite, Leg, Ours, Stage, Theirs,
        session::{session_of_request, session_of_response},
    },
    challenge::{self, is_challenge},
    user_agent::{Asked, Due, respond_to},
};

impl UserAgent {
    /// Offers another session: hold, resume, other codecs. [`Event::ReofferDone`] tells the outcome; a failure leaves the
    /// session as it was. A 491 is retried after the delay that RFC 3261 §14.1 prescribes, with an offer that
    /// [`Event::SessionNeeded`] asks for then: the peer's own change may have come first.
    ///
    /// # Errors
    ///
    /// When the call is over or not established, or another offer is open.
    pub fn reoffer(
        &mut self,
        cx: &mut Context<'_>,
        id: CallId,
        offer: Bytes,
    ) -> Result<(), ReofferError> {
        let call = self.calls.get(id).ok_or(ReofferError::Gone)?;
        let up = call.up().ok_or(ReofferError::NotEstablished)?;
        if up.ack != Ack::Done || up.hanging_up {
            return Err(ReofferError::NotEstablished);
        }
        if !matches!(up.ours, Ours::None) || !self.may_offer(up.dialog) {
            return Err(ReofferError::Busy);
        }
        self.send_reoffer(cx, id, offer, 0);
        Ok(())
    }

    fn may_offer(&self, dialog: DialogKey) -> bool {
        !self.dialogs.is_waiting_for_ack(dialog)
            && self.dialogs.get(dialog).is_some_and(|dialog| {
                dialog.open_invite().is_none() && dialog.offer_answer().may_offer()
            })
    }

    fn send_reoffer(&mut self, cx: &mut Context<'_>, id: CallId, offer: Bytes, collisions: u32) {
        let Some(up) = self.calls.get(id).and_then(Call::up) else {
            return;
        };
        let key = up.dialog;
        let Some(dialog) = self.dialogs.get_mut(key) else {
            return;
        };
        let Ok(mut request) = dialog.request(Method::INVITE) else {
            return;
        };
        dialog.offer_answer_mut().offer_locally().ok();
        request.set_body(ContentType::APPLICATION_SDP, offer.clone());
        self.capabilities.declare(&mut request);
        let ahead = self
            .calls
            .get_mut(id)
            .and_then(|call| call.party.auth.as_deref_mut())
            .is_some_and(|auth| challenge::send_ahead(auth, &mut request));
        self.send_further_invite(cx, id, key, request, ahead, (offer, collisions));
    }

    fn send_further_invite(
        &mut self,
        cx: &mut Context<'_>,
        id: CallId,
        key: DialogKey,
        request: Request,
        ahead: bool,
        (offer, collisions): (Bytes, u32),
    ) {
        if let Some(dialog) = self.dialogs.get_mut(key) {
            *dialog.open_invite_mut() = ours(&request);
        }
        let request = self.send_invite(cx, id, Some(key), request, ahead);
        if let Some(up) = self.calls.get_mut(id).and_then(Call::up_mut) {
            up.ours = Ours::Sent {
                request,
                offer,
                collisions,
            };
        }
    }

    /// The re-INVITE that met a 491 may try again.
    pub(crate) fn reoffer_again(&mut self, cx: &Context<'_>, id: CallId) {
        let Some(up) = self.calls.get(id).and_then(Call::up) else {
            return;
        };
        let (Ours::Resting { collisions, .. }, dialog) = (&up.ours, up.dialog) else {
            return;
        };
        let collisions = *collisions;
        if self.may_offer(dialog) {
            if let Some(up) = self.calls.get_mut(id).and_then(Call::up_mut) {
                up.ours = Ours::Asking { collisions };
            }
            self.ask_for_session(id, None);
        } else {
            self.rest(cx, id, dialog, collisions);
        }
    }

    /// The offer for another try is there, or there is none.
    pub(crate) fn reoffer_with(
        &mut self,
        cx: &mut Context<'_>,
        id: CallId,
        offer: Option<Bytes>,
        collisions: u32,
    ) {
        let Some(up) = self.calls.get_mut(id).and_then(Call::up_mut) else {
            return;
        };
        up.ours = Ours::None;
        match offer {
            Some(offer) => self.send_reoffer(cx, id, offer, collisions),
            None => self.reoffer_done(id, Err(ReofferFailure::Glare)),
        }
    }

    fn rest(&mut self, cx: &Context<'_>, id: CallId, key: DialogKey, collisions: u32) {
        let Some(role) = self.dialogs.get(key).map(sip_dialog::Dialog::role) else {
            return;
        };
        let delay = glare_delay(role, &mut self.rng);
        let Some(up) = self.calls.get_mut(id).and_then(Call::up_mut) else {
            return;
        };
        if collisions >= MOST_COLLISIONS {
            up.ours = Ours::None;
            self.reoffer_done(id, Err(ReofferFailure::Glare));
            return;
        }
        let timer = self.timers.insert(cx.now + delay, Due::Reoffer(id));
        up.ours = Ours::Resting {
            timer,
            collisions: collisions + 1,
        };
    }

    /// A 2xx to a re-INVITE of ours.
    pub(crate) fn reoffer_accepted(
        &mut self,
        cx: &mut Context<'_>,
        id: RequestId,
        invite: &mut Invite,
        key: DialogKey,
        response: &Response,
    ) {
        let Some(dialog) = self.dialogs.get_mut(key) else {
            // The call is over and its dialog gone; the peer learns it from the BYE.
            return;
        };
        if let Err(error) = dialog.receive_response(response) {
            tracing::debug!(%error, "a Contact that cannot be read");
        }
        dialog.open_invite_mut().finish(ours(&invite.request));
        let tag = response.to().ok().and_then(|to| to.tag());
        invite.legs.push(Leg {
            tag: tag.clone(),
            ack: None,
        });
        let answer = session_of_response(response);
        match answer {
            Some(_) => dialog.offer_answer_mut().answer_remotely().ok(),
            None => {
                dialog.offer_answer_mut().withdraw();
                None
            }
        };
        self.acknowledge(cx, id, invite, key, tag, None);
        let Some((call, offer, _)) = self.take_sent(invite.call, id) else {
            return;
        };
        let held = self.calls.get_mut(call);
        if let Some(auth) = held.and_then(|held| held.party.auth.as_deref_mut()) {
            auth.learn(&invite.request, response);
        }
        match answer {
            Some(answer) => {
                if let Some(call) = self.calls.get_mut(call) {
                    call.local = Some(offer);
                }
                self.session_ready(call, answer, false);
                self.reoffer_done(call, Ok(()));
            }
            None => self.reoffer_done(call, Err(ReofferFailure::NoAnswer)),
        }
    }

    /// 300 to 699 to a re-INVITE of ours: the session stays as it was.
    pub(crate) fn reoffer_refused(
        &mut self,
        cx: &mut Context<'_>,
        id: RequestId,
        invite: Invite,
        response: Box<Response>,
    ) {
        let Some(key) = invite.within else {
            return;
        };
        if let Some(dialog) = self.dialogs.get_mut(key) {
            dialog.open_invite_mut().finish(ours(&invite.request));
        }
        let Some((call, offer, collisions)) = self.take_sent(invite.call, id) else {
            return;
        };
        match response.status() {
            _ if is_challenge(&response) => {
                let Invite {
                    mut request, ahead, ..
                } = invite;
                if let Some(held) = self.calls.get_mut(call)
                    && let Some(auth) = &mut held.party.auth
                    && challenge::answer(auth, &mut request, &response, ahead)
                    && let Some(dialog) = self.dialogs.get_mut(key)
                {
                    dialog.renumber(&mut request);
                    self.send_further_invite(cx, call, key, request, false, (offer, collisions));
                    return;
                }
                self.withdraw(key);
                self.reoffer_done(call, Err(ReofferFailure::Rejected(response)));
            }
            StatusCode::REQUEST_PENDING => {
                self.withdraw(key);
                self.rest(cx, call, key, collisions);
            }
            // RFC 3261 §12.2.1.2.
            StatusCode::CALL_DOES_NOT_EXIST | StatusCode::REQUEST_TIMEOUT => {
                self.withdraw(key);
                self.part(
                    cx,
                    call,
                    Ended::new(true, Cause::Lost).with_response(response),
                );
            }
            _ => {
                self.withdraw(key);
                self.reoffer_done(call, Err(ReofferFailure::Rejected(response)));
            }
        }
    }

    /// A re-INVITE of ours had no final response (RFC 3261 §12.2.1.2: so the dialog is over), or could not be sent.
    pub(crate) fn reoffer_failed(
        &mut self,
        cx: &mut Context<'_>,
        id: RequestId,
        call: CallId,
        failure: Failure,
    ) {
        let Some((call, ..)) = self.take_sent(Some(call), id) else {
            return;
        };
        if let Some(key) = self.calls.get(call).and_then(Call::up).map(|up| up.dialog) {
            self.withdraw(key);
            if let Some(dialog) = self.dialogs.get_mut(key) {
                *dialog.open_invite_mut() = OpenInvite::None;
            }
        }
        match failure {
            Failure::Full | Failure::Cancelled => {
                self.reoffer_done(call, Err(ReofferFailure::Failed(failure)))
            }
            lost => self.part(cx, call, Ended::new(true, Cause::Failed(lost))),
        }
    }

    /// A re-INVITE of the peer, its CSeq in order.
    pub(crate) fn reinvite_received(
        &mut self,
        cx: &mut Context<'_>,
        id: ServerTransactionId,
        flow: Flow,
        request: Box<Request>,
        key: DialogKey,
    ) {
        let call = self.calls_by_dialog.get(&key).copied();
        let stage = call
            .and_then(|call| self.calls.get(call))
            .map(|call| &call.stage);
        let status = match stage {
            Some(Stage::Up(up)) if !up.hanging_up => None,
            Some(Stage::Calling(_)) => Some(StatusCode::REQUEST_PENDING),
            Some(Stage::Ringing(_)) => Some(StatusCode::SERVER_INTERNAL_ERROR),
            // RFC 5407 §3.2.2: after our BYE there is no dialog for it.
            Some(Stage::Up(_) | Stage::Parting { .. } | Stage::Preparing(_)) | None => {
                Some(StatusCode::CALL_DOES_NOT_EXIST)
            }
        };
        if let Some(status) = status {
            self.refuse_overlapping(cx, id, &request, status);
            return;
        }
        let (Some(call), Some(dialog)) = (call, self.dialogs.get_mut(key)) else {
            return;
        };
        let cseq = request.cseq().map_or(0, |cseq| cseq.number());
        let offer = session_of_request(&request);
        let refused = match dialog.receive_invite(cseq) {
            Err(Glare::Pending) => Some(StatusCode::REQUEST_PENDING),
            Err(Glare::Overlapping) => Some(StatusCode::SERVER_INTERNAL_ERROR),
            // An offer of the peer that we have not answered yet: it could not know the outcome of a second one.
            Ok(()) if offer.is_some() && dialog.offer_answer_mut().offer_remotely().is_err() => {
                dialog.open_invite_mut().finish(OpenInvite::Theirs { cseq });
                Some(StatusCode::SERVER_INTERNAL_ERROR)
            }
            Ok(()) => None,
        };
        if let Some(status) = refused {
            self.refuse_overlapping(cx, id, &request, status);
            return;
        }
        if let Some(up) = self.calls.get(call).and_then(Call::up)
            && let Ours::Asking { collisions } = up.ours
        {
            // The peer's question takes the place of ours.
            self.rest(cx, call, key, collisions);
        }
        self.asked.insert(id, Asked::Reinvite(call));
        if let Some(up) = self.calls.get_mut(call).and_then(Call::up_mut) {
            up.theirs = Some(Box::new(Theirs {
                transaction: id,
                request: *request,
                flow,
            }));
            up.offered.clone_from(&offer);
        }
        self.ask_for_session(call, offer);
    }

    /// RFC 3261 §14.2: 500 goes with a Retry-After of 0 to 10 seconds.
    fn refuse_overlapping(
        &mut self,
        cx: &mut Context<'_>,
        id: ServerTransactionId,
        request: &Request,
        status: StatusCode,
    ) {
        let mut response = request.response(status).to_tag(cx.tag_for(id));
        if status == StatusCode::SERVER_INTERNAL_ERROR {
            response = response.header(RetryAfter::new(overlap_delay(&mut self.rng)));
        }
        self.asked.remove(&id);
        respond_to(cx, id, response.build());
    }

    /// Our answer to the peer's re-INVITE, or our offer when it had none, is there.
    pub(crate) fn accept_reinvite(&mut self, cx: &mut Context<'_>, id: CallId, session: Bytes) {
        let Some((key, theirs)) = self.take_theirs(id) else {
            return;
        };
        let Theirs {
            transaction,
            request,
            flow,
        } = theirs;
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let offer = call.up_mut().and_then(|up| up.offered.take());
        call.local = Some(session.clone());
        let contact = cx.contact_uri_for(&request, &flow, call.party.contact_user.as_deref());
        let mut response = request
            .response(StatusCode::OK)
            .contact(Contact::new(contact));
        self.capabilities.describe(response.headers_mut());
        let response = response.body(ContentType::APPLICATION_SDP, session).build();
        let cseq = request.cseq().map_or(0, |cseq| cseq.number());
        let Some(dialog) = self.dialogs.get_mut(key) else {
            return;
        };
        dialog.open_invite_mut().finish(OpenInvite::Theirs { cseq });
        if let Some(Ok(contact)) = request.headers().get::<Contact>()
            && !contact.is_star()
        {
            dialog.refresh_target(contact.uri());
        }
        match &offer {
            Some(_) => dialog.offer_answer_mut().answer_locally().ok(),
            None => dialog.offer_answer_mut().offer_locally().ok(),
        };
        self.asked.remove(&transaction);
        if self
            .dialogs
            .accept(cx.now, key, cseq, transaction, response.clone())
            .is_err()
        {
            // A peer that acknowledges nothing and keeps offering.
            self.withdraw(key);
            self.refuse_overlapping(cx, transaction, &request, StatusCode::SERVER_INTERNAL_ERROR);
            return;
        }
        respond_to(cx, transaction, response);
        if let Some(offer) = offer {
            self.session_ready(id, offer, false);
        }
    }

    /// The peer's re-INVITE gets a failure: the session stays as it was.
    pub(crate) fn refuse_reinvite(
        &mut self,
        cx: &mut Context<'_>,
        id: CallId,
        status: StatusCode,
        headers: Vec<(HeaderName, HeaderValue)>,
    ) {
        let Some((key, theirs)) = self.take_theirs(id) else {
            return;
        };
        let cseq = theirs.request.cseq().map_or(0, |cseq| cseq.number());
        if let Some(dialog) = self.dialogs.get_mut(key) {
            dialog.open_invite_mut().finish(OpenInvite::Theirs { cseq });
            if matches!(dialog.offer_answer(), OfferAnswer::RemoteOffer { .. }) {
                dialog.offer_answer_mut().withdraw();
            }
        }
        if let Some(call) = self.calls.get_mut(id) {
            call.question = None;
            if let Some(up) = call.up_mut() {
                up.offered = None;
            }
        }
        let mut response = theirs.request.response(status);
        for (name, value) in headers {
            response = response.raw_header(name, value);
        }
        let response = response.to_tag(cx.tag_for(theirs.transaction)).build();
        self.asked.remove(&theirs.transaction);
        respond_to(cx, theirs.transaction, response);
    }

    fn take_theirs(&mut self, id: CallId) -> Option<(DialogKey, Theirs)> {
        let up = self.calls.get_mut(id)?.up_mut()?;
        Some((up.dialog, *up.theirs.take()?))
    }

    /// The re-INVITE of ours that this was, if the call still waits for it.
    fn take_sent(&mut self, call: Option<CallId>, id: RequestId) -> Option<(CallId, Bytes, u32)> {
        let call = call?;
        let up = self.calls.get_mut(call)?.up_mut()?;
        match std::mem::replace(&mut up.ours, Ours::None) {
            Ours::Sent {
                request,
                offer,
                collisions,
            } if request == id => Some((call, offer, collisions)),
            other => {
                up.ours = other;
                None
            }
        }
    }

    fn withdraw(&mut self, key: DialogKey) {
        if let Some(dialog) = self.dialogs.get_mut(key) {
            dialog.offer_answer_mut().withdraw();
        }
    }

    fn reoffer_done(&mut self, call: CallId, result: Result<(), ReofferFailure>) {
        self.events.push_back(Event::ReofferDone { call, result });
    }
}

fn ours(request: &Request) -> OpenInvite {
    OpenInvite::Ours {
        cseq: request.cseq().map_or(0, |cseq| cseq.number()),
    }
}

/// After so many 491 in a row a re-INVITE is given up.
const MOST_COLLISIONS: u32 = 10;
