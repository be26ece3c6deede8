//! Placing a call.

use std::time::Duration;

use bytes::Bytes;
use sip_dialog::DialogKey;
use sip_endpoint::{ContactTemplate, Context, Draft, Failure, RequestId};
use sip_message::{
    HeaderName, HeaderValue, Method, Request, Response, Uri,
    headers::{Contact, ContentType, Expires},
};

use crate::{
    CallId, Cause, Ended, Event, Identity, StartError, UserAgent,
    call::{Call, Calling, Invite, Preparing, Redirects, Stage},
    challenge::{self, is_challenge},
    request::{count_up, declare_outbound},
    user_agent::{Due, Purpose},
};

/// What may be said about a call of ours beyond who calls whom.
///
/// ```
/// # use sip_ua::{CallOptions, Offer};
/// # use std::time::Duration;
/// let options = CallOptions::new().offer(Offer::Late).ring_for(Duration::from_secs(45));
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) offer: Offer,
    pub(crate) ring_for: Option<Duration>,
}

/// Where the offer of a call of ours comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Offer {
    /// From the answer to [`Event::SessionNeeded`]
    #[default]
    Ask,
    /// From here
    Given(Bytes),
    /// From the peer, in its 2xx (RFC 3261 §13.2.1)
    Late,
}

impl CallOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// A header field of the INVITE; each call adds one.
    ///
    /// Defaults to none beyond what the core writes.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Where the offer comes from.
    ///
    /// Defaults to [`Offer::Ask`].
    #[must_use]
    pub fn offer(mut self, offer: Offer) -> Self {
        self.offer = offer;
        self
    }

    /// How long the call may ring before it is cancelled; written into Expires as well (RFC 3261 §13.2.1).
    ///
    /// Defaults to [`UaConfig::ring_for`](crate::UaConfig::ring_for), without an Expires.
    #[must_use]
    pub const fn ring_for(mut self, time: Duration) -> Self {
        self.ring_for = Some(time);
        self
    }
}

impl UserAgent {
    /// Calls `target`.
    ///
    /// # Errors
    ///
    /// When there are too many calls, the user agent is shutting down, or the scheme of `target` cannot be reached.
    pub fn call(
        &mut self,
        cx: &mut Context<'_>,
        identity: &Identity,
        target: Uri,
        options: CallOptions,
    ) -> Result<CallId, StartError> {
        if !self.running {
            return Err(StartError::ShuttingDown);
        }
        if self.calls.len() >= self.config.calls {
            return Err(StartError::Full(self.config.calls));
        }
        if !cx.can_locate(&target) {
            return Err(StartError::UnsupportedScheme);
        }
        let mut party = self.party(Some(identity), None);
        party.over_flow = identity.manages_flows();
        let offer = options.offer.clone();
        let call = self.calls.insert(Call {
            party,
            local: None,
            question: None,
            stage: Stage::Preparing(Box::new(Preparing { target, options })),
        });
        match offer {
            Offer::Ask => self.ask_for_session(call, None),
            Offer::Given(offer) => self.place(cx, call, Some(offer)),
            Offer::Late => self.place(cx, call, None),
        }
        Ok(call)
    }

    /// The offer is there, or none is to be made: sends the first INVITE.
    pub(crate) fn place(&mut self, cx: &mut Context<'_>, id: CallId, offer: Option<Bytes>) {
        let Some(Call {
            stage: Stage::Preparing(preparing),
            party,
            ..
        }) = self.calls.get(id)
        else {
            return;
        };
        let Some(identity) = party.identity.clone() else {
            return;
        };
        let Preparing { target, options } = (**preparing).clone();
        let mut request = self.compose(cx, &identity, Method::INVITE, &target);
        self.capabilities.declare(&mut request);
        declare_outbound(&identity, &mut request);
        if let Some(time) = options.ring_for {
            request.headers_mut().set(Expires::new(time));
        }
        for (name, value) in options.headers {
            request.headers_mut().push_raw(name, value);
        }
        if let Some(offer) = &offer {
            request.set_body(ContentType::APPLICATION_SDP, offer.clone());
        }
        let limit = options.ring_for.unwrap_or(self.config.ring_for);
        let limit = self.timers.insert(cx.now + limit, Due::RingLimit(id));
        let seen = vec![target];
        let redirects = Redirects {
            followed: 0,
            next: Vec::new(),
            seen,
        };
        let request = self.send_invite(cx, id, None, request, false);
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        call.local = offer;
        let (early, limit) = (Vec::new(), Some(limit));
        call.stage = Stage::Calling(Box::new(Calling {
            request,
            early,
            limit,
            giving_up: None,
            redirects,
        }));
    }

    /// Sends an INVITE, the first of a call or a further one `within` its dialog.
    pub(crate) fn send_invite(
        &mut self,
        cx: &mut Context<'_>,
        id: CallId,
        within: Option<DialogKey>,
        request: Request,
        ahead: bool,
    ) -> RequestId {
        let mut draft_flow = None;
        let mut identity = None;
        let mut contact = ContactTemplate::default();
        if let Some(call) = self.calls.get_mut(id) {
            identity.clone_from(&call.party.identity);
            contact.user.clone_from(&call.party.contact_user);
            contact.over_flow = call.party.over_flow;
            draft_flow = call.party.flow.filter(|_| within.is_some());
        }
        let mut draft = Draft::new(request.clone()).contact(contact);
        if let Some(flow) = draft_flow {
            draft = draft.to_flow(flow);
        }
        let sent = cx.request(draft);
        let invite = Invite {
            call: Some(id),
            within,
            identity,
            request,
            ahead,
            legs: Vec::new(),
        };
        self.purposes
            .insert(sent, Purpose::Invite(Box::new(invite)));
        sent
    }

    /// A response to an INVITE of ours.
    pub(crate) fn invite_answered(
        &mut self,
        cx: &mut Context<'_>,
        id: RequestId,
        mut invite: Box<Invite>,
        response: Box<Response>,
    ) {
        let status = response.status();
        if status.is_success() {
            self.accepted(cx, id, &mut invite, response);
        } else if status.is_provisional() {
            if invite.within.is_none() {
                self.progressed(id, &invite, response);
            }
        } else {
            // Nothing but the end of the transaction follows, and the transaction has sent the ACK.
            match invite.within {
                None => self.refused(cx, id, *invite, response),
                Some(_) => self.reoffer_refused(cx, id, *invite, response),
            }
            return;
        }
        self.purposes.insert(id, Purpose::Invite(invite));
    }

    /// The INVITE of ours had no final response.
    pub(crate) fn invite_failed(
        &mut self,
        cx: &mut Context<'_>,
        id: RequestId,
        invite: Invite,
        failure: Failure,
    ) {
        let Some(call) = invite.call else {
            return;
        };
        if invite.within.is_some() {
            self.reoffer_failed(cx, id, call, failure);
            return;
        }
        let Some(calling) = self.calling(call, id) else {
            return;
        };
        let ended = match calling.giving_up.take() {
            Some((by_us, cause)) => Ended::new(by_us, cause),
            None => Ended::new(false, Cause::Failed(failure)),
        };
        self.finish(cx, call, ended);
    }

    /// 300 to 699 to the first INVITE.
    fn refused(
        &mut self,
        cx: &mut Context<'_>,
        id: RequestId,
        invite: Invite,
        response: Box<Response>,
    ) {
        let Some(call) = invite.call else {
            return;
        };
        let Some(calling) = self.calling(call, id) else {
            return;
        };
        if let Some((by_us, cause)) = calling.giving_up.take() {
            self.finish(cx, call, Ended::new(by_us, cause).with_response(response));
            return;
        }
        let next = match response.status() {
            _ if is_challenge(&response) => self.with_credentials(call, &invite, &response),
            status if status.is_redirection() => {
                self.note_contacts(call, &response);
                self.redirected(call, &invite.request)
            }
            // RFC 3261 §8.1.3.4: the next of the contacts that a 3xx named.
            _ => self.redirected(call, &invite.request),
        };
        match next {
            Some((request, ahead)) => self.call_again(cx, call, request, ahead),
            None => self.finish(
                cx,
                call,
                Ended::new(false, Cause::Rejected).with_response(response),
            ),
        }
    }

    /// The INVITE once more, with CSeq + 1 and as a transaction of its own.
    fn call_again(
        &mut self,
        cx: &mut Context<'_>,
        call: CallId,
        mut request: Request,
        ahead: bool,
    ) {
        count_up(&mut request);
        // Early dialogs end with the transaction that made them (RFC 3261 §12.3).
        self.end_early_dialogs(call, None);
        let sent = self.send_invite(cx, call, None, request, ahead);
        if let Some(calling) = self.calls.get_mut(call).and_then(Call::calling_mut) {
            calling.request = sent;
        }
    }

    fn with_credentials(
        &mut self,
        call: CallId,
        invite: &Invite,
        response: &Response,
    ) -> Option<(Request, bool)> {
        let auth = self.calls.get_mut(call)?.party.auth.as_deref_mut()?;
        let mut request = invite.request.clone();
        challenge::answer(auth, &mut request, response, invite.ahead).then_some((request, false))
    }

    /// Keeps the Contacts of a 3xx that lie in the domain that was called, the best first.
    fn note_contacts(&mut self, call: CallId, response: &Response) {
        let Some(Call {
            stage: Stage::Calling(calling),
            ..
        }) = self.calls.get_mut(call)
        else {
            return;
        };
        let redirects = &mut calling.redirects;
        let mut contacts: Vec<_> = response
            .headers()
            .all::<Contact>()
            .flatten()
            .filter(|contact| !contact.is_star())
            .map(|contact| (contact.q().unwrap_or(1000), contact.uri().clone()))
            .filter(|(_, uri)| {
                let first = redirects.seen.first();
                let domain = first.map(Uri::host);
                // RFC 5630 §5.1.1, RFC 3261 §8.1.3.4: nobody said that less than `sips` would do.
                let is_secure_enough = uri.is_sips() || !first.is_some_and(Uri::is_sips);
                uri.is_sip()
                    && is_secure_enough
                    && domain.is_some_and(|domain| domain == uri.host())
                    && !redirects.seen.iter().any(|seen| seen.equivalent(uri))
            })
            .collect();
        contacts.sort_by_key(|(q, _)| *q);
        let room = MOST_REDIRECT_TARGETS.saturating_sub(redirects.next.len());
        let skipped = contacts.len().saturating_sub(room);
        for (_, uri) in contacts.into_iter().skip(skipped) {
            // RFC 3261 §8.1.3.4: whoever names it again, it is tried once.
            if !redirects.next.iter().any(|next| next.equivalent(&uri)) {
                redirects.next.push(uri);
            }
        }
    }

    /// The INVITE to the next Contact of a 3xx, if there is one and the policy allows it.
    fn redirected(&mut self, call: CallId, request: &Request) -> Option<(Request, bool)> {
        let limit = self.config.redirects;
        let identity = self.calls.get(call)?.party.identity.clone()?;
        let service_route = self.service_route(&identity).to_vec();
        let call = self.calls.get_mut(call)?;
        let calling = call.calling_mut()?;
        if calling.redirects.followed >= limit {
            return None;
        }
        let target = calling.redirects.next.pop()?;
        calling.redirects.followed += 1;
        calling.redirects.seen.push(target.clone());
        let mut request = request.clone();
        identity
            .route_to(&target, &service_route)
            .write(&mut request, &target.without_headers());
        let auth = call.party.auth.as_deref_mut();
        let ahead = auth.is_some_and(|auth| challenge::renew(auth, &mut request));
        Some((request, ahead))
    }

    /// The call, if it waits for the answer to this INVITE.
    pub(crate) fn calling(&mut self, call: CallId, request: RequestId) -> Option<&mut Calling> {
        self.calls
            .get_mut(call)
            .and_then(Call::calling_mut)
            .filter(|calling| calling.request == request)
    }

    /// Ends the early dialogs of a call of ours, all or all but the one that won.
    pub(crate) fn end_early_dialogs(&mut self, call: CallId, winner: Option<DialogKey>) {
        let Some(calling) = self.calls.get_mut(call).and_then(Call::calling_mut) else {
            return;
        };
        for early in std::mem::take(&mut calling.early) {
            if Some(early.dialog) != winner {
                self.forget_dialog(early.dialog);
                self.events.push_back(Event::EarlyEnded {
                    call,
                    dialog: early.dialog,
                });
            }
        }
    }

    pub(crate) fn forget_dialog(&mut self, dialog: DialogKey) {
        self.dialogs.remove(dialog);
        self.calls_by_dialog.remove(&dialog);
    }
}

/// How many Contacts of redirections wait to be tried.
const MOST_REDIRECT_TARGETS: usize = 8;
