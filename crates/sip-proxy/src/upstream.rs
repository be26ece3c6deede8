//! What goes upstream: the responses of the proxy's own and the best of others'.

use crate::{Event, Proxy, ProxyId, choice::Outcome, context::Stage};
use sip_endpoint::Context;
use sip_message::{Request, Response, ResponseBuilder, StatusCode};

impl Proxy {
    /// Sends a final response of our own making.
    pub(crate) fn finish_with(&mut self, cx: &mut Context<'_>, id: ProxyId, status: StatusCode) {
        let Some(context) = self.contexts.get(id) else {
            return;
        };
        let response = self
            .own_response(&context.request, status)
            .to_tag(cx.tag_for(context.server))
            .build();
        self.finish(cx, id, response);
    }

    /// What RFC 3261 would have us say, in our owner's words.
    pub(crate) fn own_response(&self, request: &Request, status: StatusCode) -> ResponseBuilder {
        let own = self.config.own_status.as_ref().and_then(|own| own(status));
        match own.filter(|(status, _)| status.as_u16() >= 300) {
            Some((status, Some(reason))) => request.response(status).reason(&reason),
            Some((status, None)) => request.response(status),
            None => request.response(status),
        }
    }

    /// Sends a final response and takes the request off the table.
    pub(crate) fn finish(&mut self, cx: &mut Context<'_>, id: ProxyId, response: Response) {
        let status = response.status();
        if status.is_success() {
            self.stats.succeeded += 1
        } else {
            self.stats.failed += 1
        }
        self.send_upstream(cx, id, response);
        self.close(id);
        self.events.push_back(Event::Answered { id, status });
    }

    pub(crate) fn respond_with(&mut self, cx: &mut Context<'_>, id: ProxyId, status: StatusCode) {
        let Some(context) = self.contexts.get(id) else {
            return;
        };
        let response = context
            .request
            .response(status)
            .to_tag(cx.tag_for(context.server))
            .build();
        self.send_upstream(cx, id, response);
    }

    pub(crate) fn send_upstream(&mut self, cx: &mut Context<'_>, id: ProxyId, response: Response) {
        let Some(context) = self.contexts.get(id) else {
            return;
        };
        if let Err(error) = cx.respond(context.server, response) {
            self.stats.dropped_responses += 1;
            tracing::debug!(%error, "a response has nowhere to go upstream");
        }
    }

    /// A final response went upstream, or never will.
    pub(crate) fn close(&mut self, id: ProxyId) {
        self.stop_timer(id);
        self.stop_deadline(id);
        if let Some(context) = self.contexts.get_mut(id) {
            context.stage = Stage::Answered;
            context.groups.clear();
        }
    }

    /// Every target has failed: asks, or sends the best response (RFC 3261 §16.7 steps 6 to 9).
    pub(crate) fn conclude(&mut self, cx: &mut Context<'_>, id: ProxyId, may_hold: bool) {
        self.stop_timer(id);
        self.stop_deadline(id);
        let Some(context) = self.contexts.get_mut(id) else {
            return;
        };
        let method = context.request.method().clone();
        let held = may_hold
            && context.manner.hold_failure
            && context.stage == Stage::Relaying { ending: false };
        if held && let Some(best) = context.outcomes.any() {
            context.stage = Stage::Held;
            let response = self.as_response(cx, id, best);
            self.await_decision(cx.now, id);
            if let Some(response) = response.map(Box::new) {
                self.events.push_back(Event::RelayFailed { id, response });
            }
            return;
        }
        let earlier = std::mem::take(&mut context.earlier);
        context.outcomes.merge(earlier);
        match context.outcomes.best(&method) {
            Some(best) => {
                if let Some(response) = self.as_response(cx, id, best) {
                    self.finish(cx, id, response);
                }
            }
            None => {
                // RFC 4320 §4.2: silence, rather than a 408 that comes too late to be of use.
                self.close(id);
                self.events.push_back(Event::Abandoned { id });
            }
        }
    }

    fn as_response(&self, cx: &Context<'_>, id: ProxyId, outcome: Outcome) -> Option<Response> {
        let context = self.contexts.get(id)?;
        Some(match outcome {
            Outcome::Received(response) => *response,
            found => self
                .own_response(&context.request, found.status())
                .to_tag(cx.tag_for(context.server))
                .build(),
        })
    }
}
