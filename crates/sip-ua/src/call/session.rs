//! The questions about a call's session, and their answers.

use bytes::Bytes;
use sip_endpoint::Context;
use sip_message::{
    HeaderName, HeaderValue, Headers, Request, Response, StatusCode, headers::ContentType,
};

use crate::{
    CallId, Cause, Ended, Event, SessionError, SessionQuestionId, UserAgent,
    call::{Ack, Call, Ours, Pending, Stage},
};

impl UserAgent {
    /// Answers [`Event::SessionNeeded`] with a session description of ours: the answer to the offer that came with the
    /// question, or an offer when there was none.
    ///
    /// # Errors
    ///
    /// When the call is over or the question is not open any more.
    pub fn provide_session(
        &mut self,
        cx: &mut Context<'_>,
        id: CallId,
        question: SessionQuestionId,
        session: Bytes,
    ) -> Result<(), SessionError> {
        match self.close_question(id, question)? {
            Waiting::Offer => self.place(cx, id, Some(session)),
            Waiting::Progress(status) => {
                self.keep_local(id, &session);
                self.send_progress(cx, id, status, true);
            }
            Waiting::Answer => {
                self.keep_local(id, &session);
                self.accept(cx, id);
            }
            Waiting::LateOffer => self.answer_late_offer(cx, id, Some(session)),
            Waiting::Reinvite => self.accept_reinvite(cx, id, session),
            Waiting::Reoffer(collisions) => self.reoffer_with(cx, id, Some(session), collisions),
        }
        Ok(())
    }

    /// Answers [`Event::SessionNeeded`] with no: there can be no such session. `status` goes to the peer where a response
    /// is due; 488 is the usual one. A call that has no session yet ends; an established one keeps the session it has.
    ///
    /// # Errors
    ///
    /// When the call is over or the question is not open any more.
    pub fn refuse_session(
        &mut self,
        cx: &mut Context<'_>,
        id: CallId,
        question: SessionQuestionId,
        status: StatusCode,
    ) -> Result<(), SessionError> {
        self.refuse_session_saying(cx, id, question, status, Vec::new())
    }

    /// As [`refuse_session`](Self::refuse_session), with header fields for the response, such as the Warning that says why
    /// (RFC 3261 §21.4.26).
    ///
    /// # Errors
    ///
    /// When the call is over or the question is not open any more.
    pub fn refuse_session_saying(
        &mut self,
        cx: &mut Context<'_>,
        id: CallId,
        question: SessionQuestionId,
        status: StatusCode,
        headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Result<(), SessionError> {
        let status = if status.is_failure() {
            status
        } else {
            StatusCode::NOT_ACCEPTABLE_HERE
        };
        match self.close_question(id, question)? {
            Waiting::Offer => self.finish(cx, id, Ended::new(true, Cause::NoSession)),
            Waiting::Progress(_) | Waiting::Answer => {
                let ended = Ended::new(true, Cause::NoSession);
                self.turn_down(cx, id, status, headers, ended);
            }
            Waiting::LateOffer => {
                self.answer_late_offer(cx, id, None);
                self.part(cx, id, Ended::new(true, Cause::NoSession));
            }
            Waiting::Reinvite => self.refuse_reinvite(cx, id, status, headers),
            Waiting::Reoffer(collisions) => self.reoffer_with(cx, id, None, collisions),
        }
        Ok(())
    }

    /// Asks for an answer to `offer`, or for an offer. A question that was open is closed by it.
    pub(crate) fn ask_for_session(&mut self, id: CallId, offer: Option<Bytes>) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let question = SessionQuestionId(self.next_question);
        self.next_question = self.next_question.wrapping_add(1);
        call.question = Some(question);
        self.events.push_back(Event::SessionNeeded {
            call: id,
            question,
            offer,
        });
    }

    fn close_question(
        &mut self,
        id: CallId,
        question: SessionQuestionId,
    ) -> Result<Waiting, SessionError> {
        let call = self.calls.get_mut(id).ok_or(SessionError::Gone)?;
        if call.question != Some(question) {
            return Err(SessionError::NotAsked);
        }
        let waiting = match &call.stage {
            Stage::Preparing(_) => Waiting::Offer,
            Stage::Ringing(ringing) => match ringing.pending {
                Some(Pending::Progress(status)) => Waiting::Progress(status),
                Some(Pending::Answer { .. }) => Waiting::Answer,
                None => return Err(SessionError::NotAsked),
            },
            Stage::Up(up) if up.theirs.is_some() => Waiting::Reinvite,
            Stage::Up(up) if matches!(up.ack, Ack::Owed(_)) => Waiting::LateOffer,
            Stage::Up(up) => match up.ours {
                Ours::Asking { collisions } => Waiting::Reoffer(collisions),
                _ => return Err(SessionError::NotAsked),
            },
            Stage::Calling(_) | Stage::Parting { .. } => return Err(SessionError::NotAsked),
        };
        call.question = None;
        Ok(waiting)
    }

    fn keep_local(&mut self, id: CallId, session: &Bytes) {
        if let Some(call) = self.calls.get_mut(id) {
            call.local = Some(session.clone());
        }
    }

    pub(crate) fn session_ready(&mut self, id: CallId, remote: Bytes, early: bool) {
        let Some(Call {
            local: Some(local),
            stage,
            ..
        }) = self.calls.get(id)
        else {
            return;
        };
        let dialog = match stage {
            Stage::Up(up) => Some(up.dialog),
            Stage::Ringing(ringing) => ringing.dialog,
            Stage::Preparing(_) | Stage::Calling(_) | Stage::Parting { .. } => None,
        };
        if let Some(dialog) = dialog {
            let local = local.clone();
            self.events.push_back(Event::SessionReady {
                call: id,
                dialog,
                local,
                remote,
                early,
            });
        }
    }
}

/// What an open question holds up.
enum Waiting {
    /// The first INVITE
    Offer,
    /// A provisional response with a session
    Progress(StatusCode),
    /// The 2xx
    Answer,
    /// The ACK
    LateOffer,
    /// The 2xx to a re-INVITE
    Reinvite,
    /// A re-INVITE of ours that met so many 491
    Reoffer(u32),
}

/// The session description that a request carries.
pub(crate) fn session_of_request(request: &Request) -> Option<Bytes> {
    session(request.headers(), request.body())
}

/// The session description that a response carries.
pub(crate) fn session_of_response(response: &Response) -> Option<Bytes> {
    session(response.headers(), response.body())
}

fn session(headers: &Headers, body: &Bytes) -> Option<Bytes> {
    (!body.is_empty() && is_session(headers)).then(|| body.clone())
}

/// Whether the body is a session description; without a Content-Type it is taken for one, as that is all a call carries.
pub(crate) fn is_session(headers: &Headers) -> bool {
    match headers.view::<ContentType>() {
        Some(Ok(content_type)) => content_type.is("application/sdp"),
        Some(Err(_)) => false,
        None => true,
    }
}

/// Whether the sender allows its body to be ignored (RFC 3261 §20.11).
pub(crate) fn is_optional(headers: &Headers) -> bool {
    headers
        .raw(&HeaderName::CONTENT_DISPOSITION)
        .is_some_and(|value| {
            value
                .text()
                .split(';')
                .skip(1)
                .filter_map(|param| param.split_once('='))
                .any(|(name, value)| {
                    name.trim().eq_ignore_ascii_case("handling")
                        && value.trim().eq_ignore_ascii_case("optional")
                })
        })
}
