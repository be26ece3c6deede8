//! Requests downstream and what comes back: forking, failing over, cancelling (RFC 3261 §16.6 to §16.10).

use crate::{
    CancelUnanswered, Event, Finding, Proxy, ProxyId, Target,
    breadth::shares,
    choice::Outcome,
    context::{Branch, Stage, Verdict, Watched},
    copy::{draft, keeps_secure, not_by_sips},
    proxy::Due,
};
use sip_endpoint::{Context, Failure, RequestId};
use sip_message::{
    HeaderField as _, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    headers::{Reason, RetryAfter, Via},
};
use std::time::Instant;

impl Proxy {
    /// Goes on with a request: waits, starts the next group, or comes to an end.
    pub(crate) fn advance(&mut self, cx: &mut Context<'_>, id: ProxyId) {
        loop {
            let Some(context) = self.contexts.get_mut(id) else {
                return;
            };
            let Stage::Relaying { ending } = context.stage else {
                return;
            };
            if context.is_pending() {
                return;
            }
            let group = if !ending && context.may_fail_over() {
                context.groups.pop_front()
            } else {
                None
            };
            let Some(group) = group else {
                context.groups.clear();
                context.count_no_target();
                return self.conclude(cx, id, true);
            };
            let room = self.config.targets.saturating_sub(context.tried);
            let mut group = context.without_repeats(group, room);
            if group.is_empty() {
                if room == 0 {
                    context.groups.clear();
                }
                continue;
            }
            // RFC 5393 §5.3.3: what does not fit beside each other comes one after the other.
            let breadth = usize::try_from(context.breadth).unwrap_or(usize::MAX);
            if group.len() > breadth {
                let rest = group.split_off(breadth);
                context.groups.push_front(rest);
            }
            context.tried += group.len();
            context.remember(&group);
            self.start_group(cx, id, group);
        }
    }

    fn start_group(&mut self, cx: &mut Context<'_>, id: ProxyId, group: Vec<Target>) {
        self.stop_timer(id);
        let Some(context) = self.contexts.get_mut(id) else {
            return;
        };
        if let Some(ring_for) = context.manner.ring_for {
            context.timer = Some(self.timers.insert(cx.now + ring_for, Due::Group(id)));
        }
        let is_invite = context.is_invite;
        let breadths: Vec<u32> = shares(context.breadth, group.len()).collect();
        for (mut target, breadth) in group.into_iter().zip(breadths) {
            let Some(context) = self.contexts.get_mut(id) else {
                return;
            };
            let timers = target.timers.take();
            let timers = timers.or_else(|| context.manner.timers.clone());
            let c = timers
                .as_ref()
                .map_or(self.config.timer_c, |timers| timers.c);
            let is_binding = target.is_binding;
            let told = context.manner.tell_provisional && is_invite;
            let told = told.then(|| target.uri.clone());
            let watched = context.manner.watch.then(|| Watched {
                uri: target.uri.clone(),
                since: cx.now,
                heard: None,
            });
            if self.watching
                && context.token.is_some()
                && *context.request.method() == Method::BYE
                && let Ok(call) = context.request.call_id()
            {
                self.events.push_back(Event::CallEnding { call });
            }
            let listener = target.listener.and_then(|local| {
                let mut listeners = cx.listeners();
                let found = listeners.find(|(_, _, bound)| *bound == Some(local))?;
                Some(found.0)
            });
            if !keeps_secure(&context.request, &target.uri) {
                let refusal = not_by_sips(cx, context);
                context.outcomes.add(Outcome::Received(Box::new(refusal)));
                continue;
            }
            let can_locate = cx.can_locate(&target.uri);
            let Some(draft) = draft(&self.key, context, target, breadth, can_locate) else {
                context
                    .outcomes
                    .add(Outcome::Found(StatusCode::UNSUPPORTED_URI_SCHEME));
                continue;
            };
            let draft = match listener {
                Some(listener) => draft.by_listener(listener),
                None => draft,
            };
            let draft = match timers {
                Some(timers) => draft.timers(*timers),
                None => draft,
            };
            let request = cx.request(draft);
            self.stats.branches += 1;
            if let Some(watched) = &watched {
                self.watching = true;
                let uri = watched.uri.clone();
                let call = context.request.call_id().ok().filter(|_| is_invite);
                self.events.push_back(Event::TargetTried { id, uri, call });
            }
            let timer_c = is_invite.then(|| self.timers.insert(cx.now + c, Due::C(request)));
            context.branches.push(Branch {
                request,
                pending: true,
                heard: false,
                rings: false,
                told,
                timer_c,
                c,
                is_binding,
                verdict: Verdict::AsIs,
                watched,
            });
            self.contexts.link(request, id);
        }
    }

    pub(crate) fn response_received(
        &mut self,
        cx: &mut Context<'_>,
        id: ProxyId,
        request: RequestId,
        mut response: Response,
    ) {
        let Some(context) = self.contexts.get_mut(id) else {
            return;
        };
        let is_invite = context.is_invite;
        let stage = context.stage;
        let Some(branch) = context.branch_mut(request) else {
            return;
        };
        let verdict = branch.verdict;
        let status = response.status();
        if let Some(done) = watched(cx.now, id, branch, &response) {
            self.events.push_back(done);
        }
        // RFC 3261 §16.7 step 3: our Via goes; one that was the only one was for a request of ours.
        response.headers_mut().pop_front::<Via>();
        let for_upstream = response.headers().contains::<Via>();
        if status.is_provisional() {
            self.provisional_received(cx, id, request, response);
            return;
        }
        branch.pending = false;
        if let Some(timer) = branch.timer_c.take() {
            self.timers.cancel(timer);
        }
        if !for_upstream {
            tracing::debug!(%status, "a response with a single Via");
            response = context
                .request
                .response(StatusCode::BAD_GATEWAY)
                .to_tag(cx.tag_for(context.server))
                .build();
        }
        if response.status().is_success() {
            self.succeeded(cx, id, stage, is_invite, response);
            return;
        }
        if stage == Stage::Answered || verdict == Verdict::Ignored {
            return;
        }
        let outcome = match verdict {
            // The target's own words count, unless it says no more than that we cancelled it.
            Verdict::Becomes(status) if response.status() == StatusCode::REQUEST_TERMINATED => {
                if status == StatusCode::REQUEST_TERMINATED {
                    Outcome::Received(Box::new(response))
                } else {
                    Outcome::Found(status)
                }
            }
            _ => Outcome::Received(Box::new(response)),
        };
        let status = outcome.status();
        let global = context.is_global(status);
        context.outcomes.add(outcome);
        if global {
            // RFC 3261 §16.7 step 5: nobody else is asked any more.
            context.groups.clear();
            self.cancel_branches(cx, id, Verdict::AsIs, Why::Refused(status));
        }
        self.advance(cx, id);
    }

    /// A provisional response, without our Via.
    fn provisional_received(
        &mut self,
        cx: &mut Context<'_>,
        id: ProxyId,
        request: RequestId,
        response: Response,
    ) {
        let Some(context) = self.contexts.get_mut(id) else {
            return;
        };
        let relaying = context.is_invite && matches!(context.stage, Stage::Relaying { .. });
        let (ring_on, relay_100) = (context.manner.ring_on, context.manner.relay_100);
        let Some(branch) = context.branch_mut(request) else {
            return;
        };
        branch.heard = true;
        let rings = response.status() != StatusCode::TRYING;
        // RFC 3261 §16.7 step 2.
        if rings
            && !(branch.rings && ring_on)
            && let Some(timer) = branch.timer_c.take()
        {
            self.timers.cancel(timer);
            branch.timer_c = Some(self.timers.insert(cx.now + branch.c, Due::C(request)));
        }
        branch.rings |= rings;
        // RFC 4320 §4.1: nothing but 100 is provisional outside INVITE. Without a Via it is for nobody upstream.
        let wanted = relaying && branch.verdict != Verdict::Ignored;
        if !wanted || !response.headers().contains::<Via>() {
            return;
        }
        if let Some(uri) = branch.told.clone() {
            let response = Box::new(response.clone());
            self.events
                .push_back(Event::Provisional { id, uri, response });
        }
        if rings || relay_100 {
            self.send_upstream(cx, id, response);
        }
    }

    /// RFC 3261 §16.7 step 5: every 2xx to an INVITE goes upstream at once, and so does the first to anything else.
    fn succeeded(
        &mut self,
        cx: &mut Context<'_>,
        id: ProxyId,
        stage: Stage,
        is_invite: bool,
        response: Response,
    ) {
        match stage {
            Stage::Answered if is_invite => self.send_upstream(cx, id, response),
            Stage::Answered => {}
            _ => {
                self.finish(cx, id, response);
                // RFC 3261 §16.7 step 10.
                self.cancel_branches(cx, id, Verdict::AsIs, Why::AnsweredElsewhere);
            }
        }
    }

    pub(crate) fn branch_failed(
        &mut self,
        cx: &mut Context<'_>,
        id: ProxyId,
        request: RequestId,
        reason: &Failure,
    ) {
        self.contexts.unlink(request);
        let Some(context) = self.contexts.get_mut(id) else {
            return;
        };
        let Some(branch) = context.remove_branch(request) else {
            return;
        };
        if let Some(timer) = branch.timer_c {
            self.timers.cancel(timer);
        }
        if let Some(watched) = branch.watched.filter(|_| branch.pending) {
            self.events.push_back(Event::TargetDone {
                id,
                uri: watched.uri,
                finding: match watched.heard {
                    // Whoever said anything lives; what failed then is the call.
                    Some(after) => Finding::Answered(after),
                    None if reason.is_shed() => Finding::Shed,
                    None => Finding::Failed,
                },
                status: None,
            });
        }
        if branch.pending && branch.verdict != Verdict::Ignored && context.stage != Stage::Answered
        {
            context.outcomes.add(match branch.verdict {
                Verdict::Becomes(status) => Outcome::Found(status),
                _ if reason.is_shed() => Outcome::Shed,
                _ => Outcome::Found(found(reason, branch.is_binding)),
            });
            self.advance(cx, id);
        }
        self.contexts.remove_if_over(id);
    }

    pub(crate) fn branch_ended(&mut self, cx: &mut Context<'_>, id: ProxyId, request: RequestId) {
        self.contexts.unlink(request);
        let Some(context) = self.contexts.get_mut(id) else {
            return;
        };
        if let Some(branch) = context.remove_branch(request)
            && let Some(timer) = branch.timer_c
        {
            self.timers.cancel(timer);
        }
        self.advance(cx, id);
        self.contexts.remove_if_over(id);
    }

    /// Cancels what still rings (RFC 3261 §16.10). Requests other than INVITE cannot be cancelled; what they come to is
    /// waited for.
    pub(crate) fn cancel_branches(
        &mut self,
        cx: &mut Context<'_>,
        id: ProxyId,
        verdict: Verdict,
        why: Why<'_>,
    ) {
        let reason = self.reason(why);
        let unanswered = self.config.cancel_unanswered;
        let Some(context) = self.contexts.get_mut(id) else {
            return;
        };
        let is_invite = context.is_invite;
        let mut pending = Vec::new();
        for branch in context.branches.iter_mut().filter(|branch| branch.pending) {
            if branch.verdict == Verdict::AsIs {
                branch.verdict = verdict;
            }
            pending.push((branch.request, branch.heard));
        }
        for (request, heard) in pending {
            if is_invite {
                let reason = reason.clone();
                match unanswered {
                    CancelUnanswered::AtOnce => cx.cancel_at_once(request, reason),
                    CancelUnanswered::GiveUp if !heard => {
                        cx.cancel_because(request, reason);
                        self.give_up(id, request, verdict);
                    }
                    _ => cx.cancel_because(request, reason),
                }
            } else if verdict != Verdict::AsIs {
                self.give_up(id, request, verdict);
            }
        }
    }

    fn reason(&self, why: Why<'_>) -> Option<HeaderValue> {
        let says = match why {
            Why::Asked(_) => self.config.hand_on_reason,
            _ => self.config.cancel_reason,
        };
        why.reason().filter(|_| says)
    }

    /// Stops waiting for a request that cannot be cancelled.
    fn give_up(&mut self, id: ProxyId, request: RequestId, verdict: Verdict) {
        let Some(context) = self.contexts.get_mut(id) else {
            return;
        };
        let Some(branch) = context.branch_mut(request) else {
            return;
        };
        branch.verdict = Verdict::Ignored;
        if let Verdict::Becomes(status) = verdict {
            context.outcomes.add(Outcome::Found(status));
        }
    }

    /// Timer C (RFC 3261 §16.8): CANCEL, and what comes of that counts as 408.
    pub(crate) fn timer_c_fired(&mut self, cx: &mut Context<'_>, request: RequestId) {
        let Some(id) = self.contexts.by_request(request) else {
            return;
        };
        let Some(branch) = self
            .contexts
            .get_mut(id)
            .and_then(|context| context.branch_mut(request))
        else {
            return;
        };
        branch.timer_c = None;
        if branch.pending {
            if branch.verdict == Verdict::AsIs {
                branch.verdict = Verdict::Becomes(StatusCode::REQUEST_TIMEOUT);
            }
            self.stats.timer_c += 1;
            cx.cancel_because(request, self.reason(Why::TookTooLong));
        }
    }
}

/// Why branches are cancelled.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Why<'r> {
    /// Another branch has the call
    AnsweredElsewhere,
    /// A 6xx speaks for all branches
    Refused(StatusCode),
    /// It rang, or was silent, for as long as it may
    TookTooLong,
    /// The CANCEL from upstream says why, if anybody does
    Asked(&'r Request),
    /// That concerns nobody downstream
    Unsaid,
}

impl Why<'_> {
    /// The Reason of the CANCEL (RFC 3326 §2).
    fn reason(self) -> Option<HeaderValue> {
        match self {
            // §3.1: a phone does not show a call as missed that somebody else has taken.
            Self::AnsweredElsewhere => Some(
                Reason::sip(StatusCode::OK)
                    .with_text("Call completed elsewhere")
                    .value(),
            ),
            Self::Refused(status) => Some(Reason::sip(status).value()),
            Self::TookTooLong => Some(Reason::sip(StatusCode::REQUEST_TIMEOUT).value()),
            Self::Asked(cancel) => {
                let lines = cancel.headers().raw_all(&HeaderName::REASON);
                let lines: Vec<_> = lines.map(|line| line.as_bytes().to_vec()).collect();
                HeaderValue::new(lines.join(&b", "[..]))
                    .ok()
                    .filter(|value| !value.as_bytes().is_empty())
            }
            Self::Unsaid => None,
        }
    }
}

/// What a response says about a target that is watched, when it is its first final one.
fn watched(now: Instant, id: ProxyId, branch: &mut Branch, response: &Response) -> Option<Event> {
    let is_pending = branch.pending;
    let watched = branch.watched.as_mut()?;
    let after = now.saturating_duration_since(watched.since);
    // How long a callee lets it ring says nothing about who forwards the call.
    let heard = *watched.heard.get_or_insert(after);
    let status = response.status();
    if !status.is_final() || !is_pending {
        return None;
    }
    let finding = if status == StatusCode::SERVICE_UNAVAILABLE {
        let retry_after = match response.headers().get::<RetryAfter>() {
            Some(Ok(retry_after)) => Some(retry_after.delay()),
            _ => None,
        };
        Finding::Unavailable(retry_after)
    } else {
        Finding::Answered(heard)
    };
    Some(Event::TargetDone {
        id,
        uri: watched.uri.clone(),
        finding,
        status: Some(status),
    })
}

/// What a branch without a response counts as (RFC 3261 §16.8, §16.9).
fn found(reason: &Failure, is_binding: bool) -> StatusCode {
    match reason {
        // RFC 5626 §7: the flow on which the device was reached is gone, and its URI leads nowhere either.
        Failure::Unreachable { .. } | Failure::NoTarget { .. } if is_binding => {
            StatusCode::TEMPORARILY_UNAVAILABLE
        }
        reason => reason.status(),
    }
}
