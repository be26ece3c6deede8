//! Giving up a call before it is answered.

use sip_endpoint::Context;
use sip_message::{Request, StatusCode};

use crate::{
    CallId, Cause, Ended, UserAgent,
    call::{Call, Stage},
    user_agent::Asked,
};

impl UserAgent {
    /// Cancels the INVITE of a call of ours. What ends the call is its final response: a 487, or a 2xx that crossed and
    /// is acknowledged and hung up (RFC 3261 §9.1).
    pub(crate) fn give_up(&mut self, cx: &mut Context<'_>, id: CallId, by_us: bool, cause: Cause) {
        let Some(calling) = self.calls.get_mut(id).and_then(Call::calling_mut) else {
            return;
        };
        if calling.giving_up.is_some() {
            return;
        }
        calling.giving_up = Some((by_us, cause));
        let request = calling.request;
        if let Some(limit) = calling.limit.take() {
            self.timers.cancel(limit);
        }
        cx.cancel(request);
    }

    /// Nobody answered for as long as the call may ring.
    pub(crate) fn rang_too_long(&mut self, cx: &mut Context<'_>, id: CallId) {
        match self.calls.get_mut(id).map(|call| &mut call.stage) {
            Some(Stage::Calling(calling)) => {
                calling.limit = None;
                self.give_up(cx, id, true, Cause::Expired);
            }
            Some(Stage::Ringing(ringing)) => {
                // RFC 3261 §13.3.1: 487 when the INVITE's own Expires has passed.
                let (status, by_us) = if ringing.expires {
                    (StatusCode::REQUEST_TERMINATED, false)
                } else {
                    (StatusCode::TEMPORARILY_UNAVAILABLE, true)
                };
                self.turn_down(
                    cx,
                    id,
                    status,
                    Vec::new(),
                    Ended::new(by_us, Cause::Expired),
                );
            }
            _ => {}
        }
    }

    /// A CANCEL for an INVITE that came to us. It was answered with 200; the INVITE gets 487 unless it has its final
    /// response (RFC 3261 §9.2).
    pub(crate) fn cancel_received(&mut self, cx: &mut Context<'_>, asked: Asked, cancel: &Request) {
        match asked {
            Asked::Invite(call) => {
                let ended = Ended::by_peer(Cause::Cancelled, cancel);
                self.turn_down(cx, call, StatusCode::REQUEST_TERMINATED, Vec::new(), ended);
            }
            Asked::Reinvite(call) => {
                self.refuse_reinvite(cx, call, StatusCode::REQUEST_TERMINATED, Vec::new());
            }
            Asked::Application { .. } => {}
        }
    }
}
