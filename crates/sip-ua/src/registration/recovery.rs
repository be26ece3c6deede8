//! What is done about a registration that failed, or whose flow did (RFC 5626 §4.5).

use std::time::Duration;

use sip_endpoint::{Context, Failure};
use sip_io::Flow;

use super::{Registration, State};
use crate::{Event, RegistrationId, RequestError, UserAgent, user_agent::Due};

impl UserAgent {
    /// The time doubles with each failure, and half of it is left to chance.
    pub(super) fn try_later(
        &mut self,
        cx: &Context<'_>,
        id: RegistrationId,
        at_least: Duration,
        cause: RequestError,
    ) {
        let longest = self.longest_wait(cx, id);
        let Some(registration) = self.registrations.get_mut(id) else {
            return;
        };
        if registration.leaving {
            self.registration_ended(id, Err(cause));
            return;
        }
        registration.fail(cx);
        // RFC 3608 §6.1: nothing is left of what has expired.
        let lapsed = registration
            .bound
            .is_none_or(|bound| bound.until <= cx.now)
            .then(|| registration.identity.clone());
        let after = longest
            .mul_f64(0.5 + 0.5 * self.rng.fraction())
            .max(at_least);
        let timer = self.timers.insert(cx.now + after, Due::Register(id));
        registration.state = State::Resting(timer);
        if let Some(identity) = lapsed {
            self.forget_way(id, &identity);
        }
        self.events.push_back(Event::RegistrationRetrying {
            registration: id,
            after,
            cause,
        });
    }

    /// The connection that a binding was made on is gone, and with it the way to us: binds anew. One that has lasted is
    /// replaced soon; a server that closes what it has only just taken is met ever less often.
    pub(crate) fn registered_flow_closed(&mut self, cx: &Context<'_>, flow: &Flow) {
        for id in self.registrations.keys() {
            let Some(registration) = self.registrations.get_mut(id) else {
                continue;
            };
            if registration.kept == Some(*flow) {
                registration.kept = None;
            }
            let State::Resting(timer) = registration.state else {
                continue;
            };
            if !registration.is_bound_on(flow) {
                continue;
            }
            let has_lasted = registration.has_lasted(cx);
            // RFC 5626 binds only those that manage their flows.
            let is_first = !registration.outbound && registration.failures == 0;
            if has_lasted {
                registration.failures = 0;
                self.bind_soon(cx, id);
            } else if is_first {
                registration.fail(cx);
                self.bind_soon(cx, id);
            } else {
                self.timers.cancel(timer);
                let tried = Vec::new();
                let cause = RequestError::Failed(Failure::Unreachable { tried });
                self.try_later(cx, id, Duration::ZERO, cause);
            }
        }
    }

    /// The addresses of this host have changed: what was bound on one that is gone is bound anew.
    pub(crate) fn network_changed(&mut self, cx: &Context<'_>) {
        for id in self.registrations.keys() {
            let Some(registration) = self.registrations.get_mut(id) else {
                continue;
            };
            let Some(flow) = registration.bound.map(|bound| bound.flow) else {
                continue;
            };
            let facing = cx.local_address(Some(flow.remote().ip()));
            if facing.is_none_or(|facing| facing == flow.local().ip()) {
                continue;
            }
            if registration.kept == Some(flow) {
                registration.kept = None;
                self.released.push(flow);
            }
            let is_resting = matches!(registration.state, State::Resting(_));
            if is_resting && registration.is_bound_on(&flow) {
                self.bind_soon(cx, id);
            }
        }
    }

    /// Binds anew, a little later so that a registrar that restarts is not met by everybody at once.
    fn bind_soon(&mut self, cx: &Context<'_>, id: RegistrationId) {
        let Some(registration) = self.registrations.get_mut(id) else {
            return;
        };
        if let State::Resting(timer) = registration.state {
            self.timers.cancel(timer);
        }
        registration.recovering = true;
        let after = SOON.mul_f64(self.rng.fraction());
        let timer = self.timers.insert(cx.now + after, Due::Register(id));
        registration.state = State::Resting(timer);
    }

    /// The upper bound of the next wait.
    fn longest_wait(&self, cx: &Context<'_>, id: RegistrationId) -> Duration {
        let Some(registration) = self.registrations.get(id) else {
            return Duration::ZERO;
        };
        let failures = match registration.has_lasted(cx) {
            true => 0,
            false => registration.failures,
        };
        let mut others = self.registrations.keys().into_iter();
        let reached = others.any(|other| {
            let other = self.registrations.get(other).filter(|_| other != id);
            other.is_some_and(|other| other.is_another_flow_of(registration, cx))
        });
        let patience = if reached { WHILE_REACHED } else { 1 };
        let doubled = 2_u32.saturating_pow(failures.min(16));
        let longest = self.config.retry_first.saturating_mul(patience);
        longest.saturating_mul(doubled).min(self.config.retry_last)
    }
}

impl Registration {
    /// One failure more.
    fn fail(&mut self, cx: &Context<'_>) {
        if self.has_lasted(cx) {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        self.recovering = true;
    }

    /// Whether all is well, and has been for as long as it takes to say so.
    fn has_lasted(&self, cx: &Context<'_>) -> bool {
        !self.recovering && self.bound.is_some_and(|bound| bound.lasting <= cx.now)
    }

    fn is_bound_on(&self, flow: &Flow) -> bool {
        !self.recovering && self.bound.is_some_and(|bound| bound.flow == *flow)
    }

    /// Whether the user is reached by this one, too, while that one is not there.
    fn is_another_flow_of(&self, that: &Self, cx: &Context<'_>) -> bool {
        let lives = !self.recovering && self.bound.is_some_and(|bound| bound.until > cx.now);
        let both = self.outbound && that.outbound;
        lives && both && self.identity.aor().equivalent(that.identity.aor())
    }
}

/// How long a flow has to last before its loss is no failure of the attempt that made it.
///
/// RFC 5626 §4.5: until one keep-alive was answered, where they are agreed upon; that has happened when the first one is
/// due and no answer to it can be owed any more. Where nothing is agreed upon, it is as long as the shortest wait.
pub(super) fn proof(outbound: bool, keep_alives: Option<Duration>) -> Duration {
    match outbound {
        true => keep_alives.unwrap_or(KEEP_ALIVES) + ANSWER,
        false => SHORTEST_WAIT,
    }
}

const SOON: Duration = Duration::from_secs(2);
const SHORTEST_WAIT: Duration = Duration::from_secs(30);

/// RFC 5626 §4.4.1: the longest time between two keep-alives that nobody has said anything about.
const KEEP_ALIVES: Duration = Duration::from_secs(120);

/// RFC 5626 §4.4.2, RFC 8489 §6.2.1: how long a STUN question is asked again; a CRLF is answered sooner.
const ANSWER: Duration = Duration::from_secs(40);

/// RFC 5626 §4.5: the base time is 90 s instead of 30 s while another flow leads to the user.
const WHILE_REACHED: u32 = 3;
