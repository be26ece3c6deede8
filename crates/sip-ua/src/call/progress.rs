//! What is heard of a call of ours before its final response.

use sip_dialog::{Dialog, DialogId, DialogKey};
use sip_endpoint::RequestId;
use sip_message::{Response, StatusCode};

use crate::{
    CallId, Event, UserAgent,
    call::{Call, Early, Invite, Stage, session::session_of_response},
};

impl UserAgent {
    /// A provisional response to the first INVITE of a call of ours.
    pub(crate) fn progressed(&mut self, id: RequestId, invite: &Invite, response: Box<Response>) {
        let status = response.status();
        let Some(call) = invite.call else {
            return;
        };
        if status == StatusCode::TRYING || self.calling(call, id).is_none() {
            return;
        }
        if status == StatusCode::EARLY_DIALOG_TERMINATED {
            self.early_terminated(call, &response);
            return;
        }
        let dialog = self.early_dialog(call, invite, &response);
        let remote = session_of_response(&response);
        self.events.push_back(Event::Progress {
            call,
            dialog,
            response,
        });
        let Some(Call {
            stage: Stage::Calling(calling),
            local: Some(local),
            ..
        }) = self.calls.get_mut(call)
        else {
            return;
        };
        let (Some(dialog), Some(remote)) = (dialog, remote) else {
            return;
        };
        let Some(early) = calling
            .early
            .iter_mut()
            .find(|early| early.dialog == dialog)
        else {
            return;
        };
        if early.remote.as_ref() != Some(&remote) {
            early.remote = Some(remote.clone());
            let local = local.clone();
            self.events.push_back(Event::SessionReady {
                call,
                dialog,
                local,
                remote,
                early: true,
            });
        }
    }

    /// The early dialog of a provisional response, made by its first (RFC 3261 §12.1.2).
    fn early_dialog(
        &mut self,
        call: CallId,
        invite: &Invite,
        response: &Response,
    ) -> Option<DialogKey> {
        let id = DialogId::of_received_response(response).ok()?;
        if let Some(key) = self.dialogs.find_id(&id) {
            return Some(key);
        }
        let limit = self.config.early_dialogs;
        let held = self.calls.get_mut(call)?;
        let offered = held.local.is_some();
        let calling = held.calling_mut()?;
        if calling.early.len() >= limit {
            return None;
        }
        let mut dialog = Dialog::uac(&invite.request, response).ok()?;
        if offered {
            dialog.offer_answer_mut().offer_locally().ok();
        }
        let key = self.dialogs.insert(dialog).ok()?;
        calling.early.push(Early {
            dialog: key,
            remote: None,
        });
        self.calls_by_dialog.insert(key, call);
        Some(key)
    }

    /// RFC 6228: a proxy tells that one fork has failed.
    fn early_terminated(&mut self, call: CallId, response: &Response) {
        let Some(dialog) = DialogId::of_received_response(response)
            .ok()
            .and_then(|id| self.dialogs.find_id(&id))
        else {
            return;
        };
        let Some(calling) = self.calls.get_mut(call).and_then(Call::calling_mut) else {
            return;
        };
        calling.early.retain(|early| early.dialog != dialog);
        self.forget_dialog(dialog);
        self.events.push_back(Event::EarlyEnded { call, dialog });
    }
}
