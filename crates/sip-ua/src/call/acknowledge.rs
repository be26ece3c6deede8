//! ACK in both directions: what it completes.

use bytes::Bytes;
use sip_dialog::{Dialog, DialogId, DialogKey, OfferAnswer};
use sip_endpoint::{Context, Draft, RequestId};
use sip_message::{Request, Response, Tag, headers::ContentType};

use crate::{
    AckTo, CallId, Cause, Ended, Event, UserAgent,
    call::{
        Ack, Call, Invite, Leg, Ours, Stage, Up,
        session::{session_of_request, session_of_response},
    },
    user_agent::Purpose,
};

impl UserAgent {
    /// A 2xx to an INVITE of ours: the first, a repeated one, or that of a further fork (RFC 3261 §13.2.2.4).
    pub(crate) fn accepted(
        &mut self,
        cx: &mut Context<'_>,
        id: RequestId,
        invite: &mut Invite,
        response: Box<Response>,
    ) {
        let tag = tag_of(&response);
        if let Some(leg) = invite.legs.iter().find(|leg| leg.tag == tag) {
            // Without an ACK yet, our answer to the peer's offer is still being made.
            if let Some(ack) = leg.ack {
                cx.repeat_acknowledge(ack);
            }
            return;
        }
        if let Some(dialog) = invite.within {
            self.reoffer_accepted(cx, id, invite, dialog, &response);
            return;
        }
        if invite.legs.len() >= self.config.early_dialogs.max(1) {
            tracing::debug!("one more fork answered than early dialogs are allowed");
            return;
        }
        invite.legs.push(Leg { tag, ack: None });
        let wanted = invite.call.filter(|call| {
            self.calling(*call, id)
                .is_some_and(|calling| calling.giving_up.is_none())
        });
        match (wanted, self.confirmed_dialog(invite, &response)) {
            (Some(call), Some(dialog)) => self.won(cx, id, invite, call, dialog, response),
            (None, Some(dialog)) => self.surplus(cx, id, invite, dialog, response),
            (_, None) => self.give_up_unanswerable(cx, id, invite, response),
        }
    }

    /// The dialog that a 2xx confirms or makes.
    fn confirmed_dialog(&mut self, invite: &Invite, response: &Response) -> Option<DialogKey> {
        let id = DialogId::of_received_response(response).ok()?;
        if let Some(key) = self.dialogs.find_id(&id) {
            if let Err(error) = self.dialogs.get_mut(key)?.receive_response(response) {
                tracing::debug!(%error, "a 2xx with a route that cannot be read");
            }
            return Some(key);
        }
        match Dialog::uac(&invite.request, response) {
            Ok(dialog) => self.dialogs.insert(dialog).ok(),
            Err(error) => {
                tracing::debug!(%error, "a 2xx that makes no dialog");
                None
            }
        }
    }

    /// The first 2xx: the call is answered.
    fn won(
        &mut self,
        cx: &mut Context<'_>,
        id: RequestId,
        invite: &mut Invite,
        call: CallId,
        dialog: DialogKey,
        response: Box<Response>,
    ) {
        let Some(calling) = self.calling(call, id) else {
            return;
        };
        let limit = calling.limit.take();
        let preview = calling
            .early
            .iter()
            .find(|early| early.dialog == dialog)
            .and_then(|early| early.remote.clone());
        if let Some(limit) = limit {
            self.timers.cancel(limit);
        }
        self.end_early_dialogs(call, Some(dialog));
        self.calls_by_dialog.insert(dialog, call);
        // RFC 6337 §3.1.1: the description in the 2xx is that of the provisional response; where a peer changes it
        // nevertheless, the later one is what it will do.
        let session = session_of_response(&response);
        let Some(held) = self.calls.get_mut(call) else {
            return;
        };
        if let Some(auth) = &mut held.party.auth {
            auth.learn(&invite.request, &response);
        }
        held.stage = Stage::Up(Box::new(Up::new(dialog, Ack::Done)));
        let offered = held.local.is_some();
        self.events.push_back(Event::Answered {
            call,
            dialog,
            response,
        });
        let tag = invite.legs.last().and_then(|leg| leg.tag.clone());
        match session {
            Some(offer) if !offered => {
                if let Some(dialog) = self.dialogs.get_mut(dialog) {
                    dialog.offer_answer_mut().offer_remotely().ok();
                }
                if let Some(up) = self.calls.get_mut(call).and_then(Call::up_mut) {
                    up.ack = Ack::Owed(id);
                    up.offered = Some(offer.clone());
                }
                self.ask_for_session(call, Some(offer));
            }
            answer => {
                self.acknowledge(cx, id, invite, dialog, tag, None);
                let answer = answer.or(preview).filter(|_| offered);
                if let Some(dialog) = self.dialogs.get_mut(dialog) {
                    let state = dialog.offer_answer_mut();
                    if offered && state.may_offer() {
                        state.offer_locally().ok();
                    }
                    match answer {
                        Some(_) => state.answer_remotely().unwrap_or(()),
                        None => state.withdraw(),
                    }
                }
                if let Some(answer) = answer {
                    self.session_ready(call, answer, false);
                }
                self.established(cx, call);
            }
        }
    }

    /// A 2xx that nobody wants: of a further fork, or after we gave up. It is acknowledged and hung up
    /// (RFC 3261 §13.2.2.4, §9.1).
    fn surplus(
        &mut self,
        cx: &mut Context<'_>,
        id: RequestId,
        invite: &mut Invite,
        dialog: DialogKey,
        response: Box<Response>,
    ) {
        let tag = invite.legs.last().and_then(|leg| leg.tag.clone());
        self.acknowledge(cx, id, invite, dialog, tag, None);
        self.calls_by_dialog.remove(&dialog);
        let party = self.party(invite.identity.as_ref(), None);
        if let Some(call) = invite.call
            && let Some(calling) = self.calling(call, id)
        {
            calling.early.retain(|early| early.dialog != dialog);
            if let Some((by_us, cause)) = calling.giving_up.take() {
                self.finish(cx, call, Ended::new(by_us, cause).with_response(response));
            }
        }
        self.say_bye(cx, None, dialog, party);
    }

    /// A 2xx from which no dialog can be made cannot be acknowledged either; the peer gives up after 64*T1.
    fn give_up_unanswerable(
        &mut self,
        cx: &mut Context<'_>,
        id: RequestId,
        invite: &Invite,
        response: Box<Response>,
    ) {
        if let Some(call) = invite.call
            && self.calling(call, id).is_some()
        {
            self.finish(
                cx,
                call,
                Ended::new(true, Cause::Lost).with_response(response),
            );
        }
    }

    /// Sends the ACK for the 2xx with this To tag and remembers it for its repetition.
    pub(crate) fn acknowledge(
        &self,
        cx: &mut Context<'_>,
        id: RequestId,
        invite: &mut Invite,
        dialog: DialogKey,
        tag: Option<Tag>,
        answer: Option<Bytes>,
    ) {
        let Some(state) = self.dialogs.get(dialog) else {
            return;
        };
        let mut ack = state.ack(&invite.request);
        if let Some(answer) = answer {
            ack.set_body(ContentType::APPLICATION_SDP, answer);
        }
        let mut draft = Draft::new(ack);
        let call = self
            .calls_by_dialog
            .get(&dialog)
            .and_then(|call| self.calls.get(*call));
        let flow = match self.config.ack_to {
            AckTo::Route => call.and_then(|call| call.party.flow),
            AckTo::Invite => cx.request_flow(id),
        };
        if let Some(flow) = flow {
            draft = draft.to_flow(flow);
        }
        let ack = Some(cx.acknowledge(draft));
        match invite.legs.iter_mut().find(|leg| leg.tag == tag) {
            Some(leg) => leg.ack = ack,
            None => invite.legs.push(Leg { tag, ack }),
        }
    }

    /// Our answer to the offer in the peer's 2xx is there, or there will be none: the ACK goes out (RFC 3261 §13.2.1).
    pub(crate) fn answer_late_offer(
        &mut self,
        cx: &mut Context<'_>,
        id: CallId,
        answer: Option<Bytes>,
    ) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let Some(up) = call.up_mut() else {
            return;
        };
        let Ack::Owed(request) = up.ack else {
            return;
        };
        up.ack = Ack::Done;
        let dialog = up.dialog;
        let offer = up.offered.take();
        let Some(Purpose::Invite(mut invite)) = self.purposes.remove(&request) else {
            // The transaction has ended: the peer waits no longer.
            self.part(cx, id, Ended::new(true, Cause::NoSession));
            return;
        };
        let tag = self
            .dialogs
            .get(dialog)
            .and_then(|dialog| dialog.id().remote_tag().cloned());
        self.acknowledge(cx, request, &mut invite, dialog, tag, answer.clone());
        self.purposes.insert(request, Purpose::Invite(invite));
        if let (Some(answer), Some(offer)) = (answer, offer) {
            if let Some(dialog) = self.dialogs.get_mut(dialog) {
                dialog.offer_answer_mut().answer_locally().ok();
            }
            if let Some(call) = self.calls.get_mut(id) {
                call.local = Some(answer);
            }
            self.session_ready(id, offer, false);
            self.established(cx, id);
        }
    }

    /// An ACK to a 2xx of ours, or one that belongs to nothing, which is dropped.
    pub(crate) fn ack_received(&mut self, cx: &mut Context<'_>, request: &Request) {
        let (Some(dialog), Ok(cseq)) = (self.dialogs.find(request), request.cseq()) else {
            self.counted.acknowledgements_dropped += 1;
            return;
        };
        if !self.dialogs.acknowledge(dialog, cseq.number()) {
            return;
        }
        let Some(&id) = self.calls_by_dialog.get(&dialog) else {
            return;
        };
        let Some(up) = self.calls.get_mut(id).and_then(Call::up_mut) else {
            return;
        };
        let first = up.ack == Ack::Awaited;
        up.ack = Ack::Done;
        let hanging_up = up.hanging_up;
        // An offer of a re-INVITE of ours is not what this ACK answers.
        let ours_is_out = matches!(up.ours, Ours::Sent { .. });
        let mut answered = true;
        if !ours_is_out {
            answered = self.answered_in_ack(id, dialog, request);
        }
        if first && !answered && !hanging_up {
            // RFC 3261 §13.2.1: an offer in the 2xx must be answered in the ACK.
            self.part(cx, id, Ended::new(true, Cause::NoSession));
            return;
        }
        if first {
            self.established(cx, id);
        }
        if hanging_up {
            self.part(cx, id, Ended::new(true, Cause::HungUp));
        }
    }

    /// Takes the answer to our offer in the 2xx; says whether there was one, where one was due.
    fn answered_in_ack(&mut self, id: CallId, dialog: DialogKey, request: &Request) -> bool {
        let Some(state) = self.dialogs.get_mut(dialog).map(Dialog::offer_answer_mut) else {
            return true;
        };
        if !matches!(state, OfferAnswer::LocalOffer { .. }) {
            return true;
        }
        match session_of_request(request) {
            Some(answer) => {
                state.answer_remotely().ok();
                self.session_ready(id, answer, false);
                true
            }
            None => {
                state.withdraw();
                false
            }
        }
    }

    /// No ACK came in 64*T1: the session ends with a BYE (RFC 3261 §13.3.1.4).
    pub(crate) fn no_ack(&mut self, cx: &mut Context<'_>, dialog: DialogKey) {
        let Some(&id) = self.calls_by_dialog.get(&dialog) else {
            return;
        };
        let cause = match self.calls.get(id).and_then(Call::up) {
            Some(up) if up.hanging_up => Cause::HungUp,
            _ => Cause::NoAck,
        };
        self.part(cx, id, Ended::new(true, cause));
    }

    fn established(&mut self, cx: &Context<'_>, id: CallId) {
        if let Some(up) = self.calls.get_mut(id).and_then(Call::up_mut) {
            up.since = Some(cx.now);
            self.events.push_back(Event::Established { call: id });
        }
    }
}

impl Up {
    pub(crate) const fn new(dialog: DialogKey, ack: Ack) -> Self {
        Self {
            dialog,
            since: None,
            ack,
            ours: Ours::None,
            theirs: None,
            offered: None,
            hanging_up: false,
        }
    }
}

fn tag_of(response: &Response) -> Option<Tag> {
    response.to().ok().and_then(|to| to.tag())
}
