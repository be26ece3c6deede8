//! Taking a call.

use std::time::Duration;

use sip_dialog::Dialog;
use sip_endpoint::{Context, ServerTransactionId};
use sip_io::Flow;
use sip_message::{
    HeaderName, HeaderValue, Request, Response, StatusCode,
    headers::{ContentType, Expires},
};

use crate::{
    AnswerError, CallId, Cause, Ended, Event, Gone, Identity, UserAgent,
    call::{Ack, Call, Pending, Ringing, Stage, Up, session::session_of_request},
    user_agent::{Asked, Due, respond_to},
};

impl UserAgent {
    /// Sends 180: the phone rings. It is repeated every minute, so that no proxy on the way loses patience
    /// (RFC 3261 §13.3.1.1).
    ///
    /// # Errors
    ///
    /// When the call is over, or does not wait for an answer.
    pub fn ring(&mut self, cx: &mut Context<'_>, id: CallId) -> Result<(), AnswerError> {
        self.ringing(id)?;
        self.send_progress(cx, id, StatusCode::RINGING, false);
        Ok(())
    }

    /// Sends a provisional response with an answer to the caller's offer: early media. [`Event::SessionNeeded`] asks for
    /// the answer, once; 183 is the usual status, and the call must still be answered.
    ///
    /// When the INVITE brought no offer, the response goes out without a session: an offer in a provisional response
    /// needs reliable delivery.
    ///
    /// # Errors
    ///
    /// When the call is over or does not wait for an answer, or `status` is not 101 to 199.
    pub fn progress(
        &mut self,
        cx: &mut Context<'_>,
        id: CallId,
        status: StatusCode,
    ) -> Result<(), AnswerError> {
        let ringing = self.ringing(id)?;
        if !status.is_provisional() || status == StatusCode::TRYING {
            return Err(AnswerError::WrongClass);
        }
        let offer = ringing.offer.clone();
        let asked = ringing.pending.is_some();
        let known = self.calls.get(id).is_some_and(|call| call.local.is_some());
        if known || offer.is_none() {
            self.send_progress(cx, id, status, known);
        } else if !asked {
            if let Ok(ringing) = self.ringing(id) {
                ringing.pending = Some(Pending::Progress(status));
            }
            self.ask_for_session(id, offer);
        }
        Ok(())
    }

    /// Takes the call. Unless early media has a session already, [`Event::SessionNeeded`] asks for one first; then the 2xx
    /// is sent, and repeated until its ACK comes and with it [`Event::Established`]. `headers` are added to the 2xx.
    ///
    /// # Errors
    ///
    /// When the call is over or does not wait for an answer, or `status` is no 2xx.
    pub fn answer(
        &mut self,
        cx: &mut Context<'_>,
        id: CallId,
        status: StatusCode,
        headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Result<(), AnswerError> {
        let ringing = self.ringing(id)?;
        if !status.is_success() {
            return Err(AnswerError::WrongClass);
        }
        let offer = ringing.offer.clone();
        if matches!(ringing.pending, Some(Pending::Answer { .. })) {
            return Ok(());
        }
        let asked = ringing.pending.is_some();
        ringing.pending = Some(Pending::Answer { status, headers });
        if self.calls.get(id).is_some_and(|call| call.local.is_some()) {
            self.accept(cx, id);
        } else if !asked {
            self.ask_for_session(id, offer);
        }
        Ok(())
    }

    /// Refuses the call with a status of 300 to 699; `headers` are added, such as the Contacts of a redirection.
    ///
    /// # Errors
    ///
    /// When the call is over or does not wait for an answer, or `status` is below 300.
    pub fn reject(
        &mut self,
        cx: &mut Context<'_>,
        id: CallId,
        status: StatusCode,
        headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Result<(), AnswerError> {
        self.ringing(id)?;
        if status.as_u16() < 300 {
            return Err(AnswerError::WrongClass);
        }
        self.turn_down(cx, id, status, headers, Ended::new(true, Cause::Rejected));
        Ok(())
    }

    /// Says who takes a call of a peer, so that challenges within it can be answered and Contact names that user.
    ///
    /// Without it Contact has the user part of the Request-URI, and a challenged BYE ends the call unauthenticated.
    ///
    /// # Errors
    ///
    /// When the call is over.
    pub fn identify(&mut self, id: CallId, identity: &Identity) -> Result<(), Gone> {
        let flow = self.calls.get(id).ok_or(Gone)?.party.flow;
        let party = self.party(Some(identity), flow);
        if let Some(call) = self.calls.get_mut(id) {
            call.party = party;
            if let Some(ringing) = call.ringing_mut() {
                ringing.response = None;
            }
        }
        Ok(())
    }

    /// An INVITE outside any dialog that passed the rules of RFC 3261 §8.2.
    pub(crate) fn invite_received(
        &mut self,
        cx: &mut Context<'_>,
        id: ServerTransactionId,
        flow: Flow,
        request: Box<Request>,
    ) {
        if let Some(status) = self.refusal_of_calls() {
            let too_many = status == StatusCode::SERVICE_UNAVAILABLE;
            self.counted.calls_refused += u64::from(too_many);
            self.answer_with(cx, id, &request, status);
            return;
        }
        let tag = cx.tag_for(id);
        // The dialog's needs are looked at now, so that a request that cannot be answered gets its 400 at once.
        let dialog = match Dialog::uas(&request, tag.clone()) {
            Ok(dialog) => Box::new(dialog),
            Err(error) => {
                let response = request
                    .response(StatusCode::BAD_REQUEST)
                    .to_tag(tag)
                    .reason(&error.to_string());
                self.asked.remove(&id);
                respond_to(cx, id, response.build());
                return;
            }
        };
        let mut party = self.party(
            None,
            flow.stream_id()
                .filter(|stream| stream.is_accepted())
                .map(|_| flow),
        );
        party.contact_user = request.uri().user().map(|user| user.into_owned());
        let expires = match request.headers().get::<Expires>() {
            Some(Ok(expires)) => Some(expires.duration()),
            _ => None,
        };
        let patience = expires.map_or(self.config.ring_for, |expires| {
            expires.min(self.config.ring_for)
        });
        let until = cx.now + patience;
        let call = self.calls.insert_with(|call| Call {
            party,
            local: None,
            question: None,
            stage: Stage::Ringing(Box::new(Ringing {
                transaction: id,
                offer: session_of_request(&request),
                invite: (*request).clone(),
                flow,
                tag,
                unmade: Some(dialog),
                dialog: None,
                pending: None,
                provisional: None,
                response: None,
                limit: self.timers.insert(until, Due::RingLimit(call)),
                expires: expires.is_some_and(|expires| expires <= patience),
            })),
        });
        self.asked.insert(id, Asked::Invite(call));
        self.events.push_back(Event::IncomingCall {
            call,
            request,
            flow,
        });
    }

    /// Sends a provisional response and, a minute later, again.
    pub(crate) fn send_progress(
        &mut self,
        cx: &mut Context<'_>,
        id: CallId,
        status: StatusCode,
        session: bool,
    ) {
        self.make_dialog(id);
        self.respond_to_invite(cx, id, status, session);
        let Some(ringing) = self.calls.get_mut(id).and_then(Call::ringing_mut) else {
            return;
        };
        let again = self
            .timers
            .insert(cx.now + REPEAT_PROVISIONAL, Due::RingAgain(id));
        if matches!(ringing.pending, Some(Pending::Progress(_))) {
            ringing.pending = None;
        }
        if let Some((.., before)) = ringing.provisional.replace((status, session, again)) {
            self.timers.cancel(before);
        }
        let remote = session.then(|| ringing.offer.clone()).flatten();
        if let Some(remote) = remote {
            self.session_ready(id, remote, true);
        }
    }

    /// The minute is over.
    pub(crate) fn ring_again(&mut self, cx: &mut Context<'_>, id: CallId) {
        let ringing = self.calls.get(id).and_then(Call::ringing);
        let Some((status, session, _)) = ringing.and_then(|ringing| ringing.provisional) else {
            return;
        };
        let again = self
            .timers
            .insert(cx.now + REPEAT_PROVISIONAL, Due::RingAgain(id));
        if let Some(ringing) = self.calls.get_mut(id).and_then(Call::ringing_mut) {
            ringing.provisional = Some((status, session, again));
        }
        self.respond_to_invite(cx, id, status, session);
    }

    /// The session is known and the call is to be answered: sends the 2xx.
    pub(crate) fn accept(&mut self, cx: &mut Context<'_>, id: CallId) {
        let Some(Call {
            stage: Stage::Ringing(ringing),
            ..
        }) = self.calls.get_mut(id)
        else {
            return;
        };
        let Some(Pending::Answer { status, headers }) = ringing.pending.take() else {
            return;
        };
        let transaction = ringing.transaction;
        let offer = ringing.offer.clone();
        let cseq = ringing.invite.cseq().map_or(0, |cseq| cseq.number());
        self.make_dialog(id);
        let Some(dialog) = self.ringing(id).ok().and_then(|ringing| ringing.dialog) else {
            // The table of dialogs is full.
            self.counted.calls_refused += 1;
            let ended = Ended::new(true, Cause::Rejected);
            self.turn_down(cx, id, StatusCode::SERVICE_UNAVAILABLE, Vec::new(), ended);
            return;
        };
        let Some(response) = self.response_to_invite(cx, id, status, true) else {
            return;
        };
        for (name, value) in headers {
            response.headers_mut().push_raw(name, value);
        }
        respond_to(cx, transaction, response);
        self.asked.remove(&transaction);
        if let Some(state) = self.dialogs.get_mut(dialog) {
            state.confirm();
            match &offer {
                Some(_) => state.offer_answer_mut().answer_locally().ok(),
                None => state.offer_answer_mut().offer_locally().ok(),
            };
        }
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let up = Stage::Up(Box::new(Up::new(dialog, Ack::Awaited)));
        if let Stage::Ringing(ringing) = std::mem::replace(&mut call.stage, up) {
            self.timers.cancel(ringing.limit);
            if let Some((.., again)) = ringing.provisional {
                self.timers.cancel(again);
            }
            if let Some(response) = ringing.response {
                self.dialogs
                    .accept(cx.now, dialog, cseq, transaction, response)
                    .ok();
            }
        }
        if let Some(offer) = offer {
            self.session_ready(id, offer, false);
        }
    }

    /// Sends the final response that ends a call of a peer before it is answered.
    pub(crate) fn turn_down(
        &mut self,
        cx: &mut Context<'_>,
        id: CallId,
        status: StatusCode,
        headers: Vec<(HeaderName, HeaderValue)>,
        ended: Ended,
    ) {
        let Some(ringing) = self.calls.get_mut(id).and_then(Call::ringing_mut) else {
            return;
        };
        let transaction = ringing.transaction;
        let mut response = ringing.invite.response(status).to_tag(ringing.tag.clone());
        for (name, value) in headers {
            response = response.raw_header(name, value);
        }
        let response = response.build();
        self.asked.remove(&transaction);
        respond_to(cx, transaction, response);
        self.finish(cx, id, ended);
    }

    /// The status with which every call is refused now, if it is.
    pub(crate) fn refusal_of_calls(&self) -> Option<StatusCode> {
        if !self.running || !self.config.take_calls {
            Some(StatusCode::TEMPORARILY_UNAVAILABLE)
        } else if self.calls.len() >= self.config.calls {
            Some(StatusCode::SERVICE_UNAVAILABLE)
        } else {
            None
        }
    }

    /// The dialog that our first response with a tag makes.
    fn make_dialog(&mut self, id: CallId) {
        let Some(ringing) = self.calls.get_mut(id).and_then(Call::ringing_mut) else {
            return;
        };
        let Some(mut dialog) = ringing.unmade.take() else {
            return;
        };
        if ringing.offer.is_some() {
            dialog.offer_answer_mut().offer_remotely().ok();
        }
        ringing.dialog = self.dialogs.insert(dialog).ok();
        if let Some(dialog) = ringing.dialog {
            self.calls_by_dialog.insert(dialog, id);
        }
    }

    fn respond_to_invite(
        &mut self,
        cx: &mut Context<'_>,
        id: CallId,
        status: StatusCode,
        session: bool,
    ) {
        let Some(transaction) = self.ringing(id).ok().map(|ringing| ringing.transaction) else {
            return;
        };
        if let Some(response) = self.response_to_invite(cx, id, status, session) {
            respond_to(cx, transaction, response);
        }
    }

    /// A response that makes or keeps the dialog: what we serve, and perhaps the session (RFC 3261 §13.3.1).
    fn response_to_invite(
        &mut self,
        cx: &Context<'_>,
        id: CallId,
        status: StatusCode,
        session: bool,
    ) -> Option<&mut Response> {
        let Call {
            stage: Stage::Ringing(ringing),
            party,
            local,
            ..
        } = self.calls.get_mut(id)?
        else {
            return None;
        };
        let Ringing {
            invite,
            flow,
            tag,
            response,
            ..
        } = &mut **ringing;
        let response = response.get_or_insert_with(|| {
            let contact = cx.contact_for(invite, flow, party.contact_user.as_deref());
            let mut response = invite.response(status).to_tag(tag.clone());
            let headers = response.headers_mut();
            headers.push_raw(HeaderName::CONTACT, contact);
            self.capabilities.describe(headers);
            Box::new(response.build())
        });
        response.set_status(status);
        match local {
            Some(local) if session => {
                response.set_body(ContentType::APPLICATION_SDP, local.clone());
            }
            _ if response.body().is_empty() => {}
            _ => response.remove_body(),
        }
        Some(response)
    }

    fn ringing(&mut self, id: CallId) -> Result<&mut Ringing, AnswerError> {
        let call = self.calls.get_mut(id).ok_or(AnswerError::Gone)?;
        call.ringing_mut().ok_or(AnswerError::NotRinging)
    }
}

/// RFC 3261 §13.3.1.1.
const REPEAT_PROVISIONAL: Duration = Duration::from_secs(60);
