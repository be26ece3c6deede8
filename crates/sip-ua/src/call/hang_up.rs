//! Ending a call.

use sip_dialog::DialogKey;
use sip_endpoint::{Context, Draft, RequestId, ServerTransactionId};
use sip_message::{Method, Request, Response, StatusCode};

use crate::{
    CallId, Cause, Ended, Event, Gone, UserAgent,
    call::{Ack, Call, Farewell, Ours, Party, Stage},
    challenge::{self, is_challenge},
    user_agent::Purpose,
};

impl UserAgent {
    /// Ends a call, however far it has come: nothing is sent for one that has not gone out, one that rings at the peer is
    /// cancelled, one that rings here is rejected with 480, an established one is hung up. Repeating it is harmless.
    ///
    /// [`Event::Ended`] follows when the peer has confirmed it, or did not in 64*T1. A call that we answered is hung up
    /// when its ACK has come (RFC 3261 §15).
    ///
    /// # Errors
    ///
    /// When the call is over.
    pub fn hang_up(&mut self, cx: &mut Context<'_>, id: CallId) -> Result<(), Gone> {
        let call = self.calls.get_mut(id).ok_or(Gone)?;
        match &mut call.stage {
            Stage::Preparing(_) => self.finish(cx, id, Ended::new(true, Cause::Cancelled)),
            Stage::Calling(_) => self.give_up(cx, id, true, Cause::Cancelled),
            Stage::Ringing(_) => {
                let status = StatusCode::TEMPORARILY_UNAVAILABLE;
                self.turn_down(
                    cx,
                    id,
                    status,
                    Vec::new(),
                    Ended::new(true, Cause::Rejected),
                );
            }
            Stage::Up(up) => match up.ack {
                Ack::Awaited => up.hanging_up = true,
                Ack::Owed(_) => {
                    self.answer_late_offer(cx, id, None);
                    self.part(cx, id, Ended::new(true, Cause::HungUp));
                }
                Ack::Done => self.part(cx, id, Ended::new(true, Cause::HungUp)),
            },
            Stage::Parting { .. } => {}
        }
        Ok(())
    }

    /// Sends the BYE of a call.
    pub(crate) fn part(&mut self, cx: &mut Context<'_>, id: CallId, mut ended: Ended) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let Stage::Up(up) = &mut call.stage else {
            return;
        };
        let dialog = up.dialog;
        ended.duration = up
            .since
            .map(|since| cx.now.saturating_duration_since(since));
        let ours = std::mem::replace(&mut up.ours, Ours::None);
        let theirs = up.theirs.take();
        call.question = None;
        let nobody = self.party(None, None);
        if let Some(call) = self.calls.get_mut(id) {
            let party = std::mem::replace(&mut call.party, nobody);
            call.stage = Stage::Parting {
                ended: Box::new(ended),
            };
            if let Ours::Resting { timer, .. } = ours {
                self.timers.cancel(timer);
            }
            if let Some(theirs) = theirs {
                self.terminate_request(cx, theirs.transaction, &theirs.request);
            }
            self.events.push_back(Event::Parting { call: id });
            self.say_bye(cx, Some(id), dialog, party);
        }
    }

    /// Sends a BYE, for a call or for a dialog that no call wants.
    pub(crate) fn say_bye(
        &mut self,
        cx: &mut Context<'_>,
        call: Option<CallId>,
        dialog: DialogKey,
        mut party: Party,
    ) {
        self.dialogs.stop_repeating(dialog);
        let request = self.dialogs.get_mut(dialog).and_then(|dialog| {
            let request = dialog.request(Method::BYE).ok();
            dialog.terminate();
            request
        });
        match request {
            Some(mut request) => {
                let ahead = party
                    .auth
                    .as_deref_mut()
                    .is_some_and(|auth| challenge::send_ahead(auth, &mut request));
                self.send_bye(
                    cx,
                    Farewell {
                        call,
                        dialog,
                        request,
                        ahead,
                        party,
                    },
                );
            }
            // Somebody said goodbye before us.
            None => self.call_parted(cx, call, dialog),
        }
    }

    fn send_bye(&mut self, cx: &mut Context<'_>, farewell: Farewell) {
        let mut draft = Draft::new(farewell.request.clone());
        if let Some(flow) = farewell.party.flow {
            draft = draft.to_flow(flow);
        }
        let id = cx.request(draft);
        self.purposes.insert(id, Purpose::Bye(Box::new(farewell)));
    }

    pub(crate) fn bye_answered(
        &mut self,
        cx: &mut Context<'_>,
        id: RequestId,
        mut farewell: Box<Farewell>,
        response: Box<Response>,
    ) {
        if response.status().is_provisional() {
            self.purposes.insert(id, Purpose::Bye(farewell));
            return;
        }
        let Farewell {
            dialog,
            request,
            party,
            ahead,
            ..
        } = &mut *farewell;
        if is_challenge(&response)
            && let Some(dialog) = self.dialogs.get_mut(*dialog)
            && let Some(auth) = &mut party.auth
            && challenge::answer(auth, request, &response, *ahead)
        {
            *ahead = false;
            dialog.renumber(request);
            self.send_bye(cx, *farewell);
            return;
        }
        // RFC 3261 §15.1.1: whatever the answer, the session is over.
        self.call_parted(cx, farewell.call, farewell.dialog);
    }

    pub(crate) fn call_parted(
        &mut self,
        cx: &mut Context<'_>,
        call: Option<CallId>,
        dialog: DialogKey,
    ) {
        self.forget_dialog(dialog);
        let Some(id) = call else {
            return;
        };
        if let Some(Call {
            stage: Stage::Parting { ended },
            ..
        }) = self.calls.get(id)
        {
            let ended = (**ended).clone();
            self.finish(cx, id, ended);
        }
    }

    /// A BYE of the peer (RFC 3261 §15.1.2).
    pub(crate) fn bye_received(
        &mut self,
        cx: &mut Context<'_>,
        id: ServerTransactionId,
        request: &Request,
        dialog: DialogKey,
    ) {
        self.answer_with(cx, id, request, StatusCode::OK);
        self.dialogs.stop_repeating(dialog);
        let Some(&call) = self.calls_by_dialog.get(&dialog) else {
            return;
        };
        match self.calls.get_mut(call).map(|call| &mut call.stage) {
            Some(Stage::Ringing(_)) => {
                let ended = Ended::by_peer(Cause::Cancelled, request);
                self.turn_down(cx, call, StatusCode::REQUEST_TERMINATED, Vec::new(), ended);
            }
            Some(Stage::Calling(calling)) => {
                // The peer's 2xx was lost and it heard no ACK (RFC 5407 §3.1 in the mirror).
                calling.early.retain(|early| early.dialog != dialog);
                let alone = calling.early.is_empty();
                self.forget_dialog(dialog);
                self.events.push_back(Event::EarlyEnded { call, dialog });
                if alone {
                    self.give_up(cx, call, false, Cause::HungUp);
                }
            }
            Some(Stage::Up(_)) => self.finish(cx, call, Ended::by_peer(Cause::HungUp, request)),
            // Both hung up at once (RFC 5407 §3.2.1): our own BYE ends the call.
            Some(Stage::Parting { .. } | Stage::Preparing(_)) | None => {}
        }
    }

    /// Takes a call out of the table with everything that it holds, and tells of it.
    pub(crate) fn finish(&mut self, cx: &mut Context<'_>, id: CallId, mut ended: Ended) {
        self.end_early_dialogs_quietly(id);
        let Some(call) = self.calls.remove(id) else {
            return;
        };
        match call.stage {
            Stage::Preparing(_) | Stage::Parting { .. } => {}
            Stage::Calling(calling) => {
                if let Some(limit) = calling.limit {
                    self.timers.cancel(limit);
                }
            }
            Stage::Ringing(ringing) => {
                self.timers.cancel(ringing.limit);
                if let Some((.., again)) = ringing.provisional {
                    self.timers.cancel(again);
                }
                if let Some(dialog) = ringing.dialog {
                    self.forget_dialog(dialog);
                }
            }
            Stage::Up(up) => {
                ended.duration = up
                    .since
                    .map(|since| cx.now.saturating_duration_since(since));
                if let Ours::Resting { timer, .. } = up.ours {
                    self.timers.cancel(timer);
                }
                if let Some(theirs) = up.theirs {
                    self.terminate_request(cx, theirs.transaction, &theirs.request);
                }
                self.forget_dialog(up.dialog);
            }
        }
        tracing::debug!(call = ?id, cause = ?ended.cause, by_us = ended.by_us, "call ended");
        self.events.push_back(Event::Ended { call: id, ended });
    }

    fn end_early_dialogs_quietly(&mut self, id: CallId) {
        let Some(calling) = self.calls.get_mut(id).and_then(Call::calling_mut) else {
            return;
        };
        for early in std::mem::take(&mut calling.early) {
            self.forget_dialog(early.dialog);
        }
    }

    /// RFC 3261 §15.1.2: requests that are pending when the BYE comes get 487.
    fn terminate_request(
        &mut self,
        cx: &mut Context<'_>,
        id: ServerTransactionId,
        request: &Request,
    ) {
        self.asked.remove(&id);
        self.answer_with(cx, id, request, StatusCode::REQUEST_TERMINATED);
    }
}
