//! Which of several final responses goes upstream (RFC 3261 §16.7 step 6).

use sip_message::{HeaderName, HeaderValue, Method, Response, StatusCode};
use std::{fmt, sync::Arc};

/// How one branch ended without a 2xx.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// By a response, our Via already taken off
    Received(Box<Response>),
    /// By our own finding: nobody there, nobody answered
    Found(StatusCode),
    /// By what its server had asked for: fewer requests
    Shed,
}

impl Outcome {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Received(response) => response.status(),
            Self::Found(status) => *status,
            Self::Shed => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    const fn is_found(&self) -> bool {
        matches!(self, Self::Found(_) | Self::Shed)
    }
}

/// A final response that may go upstream, as [`Plan::rank`](crate::Plan::rank) sees it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'r> {
    outcome: &'r Outcome,
    rank: u32,
}

impl<'r> Candidate<'r> {
    /// Its status, or what our own finding counts as: 408 where nobody answered.
    pub fn status(&self) -> StatusCode {
        self.outcome.status()
    }

    /// The response, if one came; `None` for a finding of our own.
    pub const fn response(&self) -> Option<&'r Response> {
        match self.outcome {
            Outcome::Received(response) => Some(response),
            Outcome::Found(_) | Outcome::Shed => None,
        }
    }

    /// The rank that it has without anybody's help, less is better: the hundreds are the class, and 0 for a 6xx (RFC
    /// 3261 §16.7 step 6).
    pub const fn rank(&self) -> u32 {
        self.rank
    }
}

type Rank = dyn Fn(&Candidate<'_>) -> u32 + Send + Sync;

/// How the best response is found.
#[derive(Clone, Default)]
pub(crate) struct Choice {
    /// Whether a 6xx is the least, and not the most
    pub(crate) ordinary_6xx: bool,
    /// Whether a 503 goes upstream as one
    pub(crate) pass_503: bool,
    /// Whether the best response brings its own challenges alone
    pub(crate) challenges_apart: bool,
    pub(crate) rank: Option<Arc<Rank>>,
}

impl Choice {
    fn rank(&self, outcome: &Outcome) -> u32 {
        let rank = match rank(outcome) {
            (0, _) if self.ordinary_6xx => 600,
            (class, order) => u32::from(class) * 100 + u32::from(order),
        };
        match &self.rank {
            Some(own) => own(&Candidate { outcome, rank }),
            None => rank,
        }
    }
}

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Choice")
            .field("ordinary_6xx", &self.ordinary_6xx)
            .field("pass_503", &self.pass_503)
            .field("challenges_apart", &self.challenges_apart)
            .finish_non_exhaustive()
    }
}

/// The final responses of a response context so far: the best, and the challenges of all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcomes {
    best: Option<Outcome>,
    choice: Choice,
    challenges: Vec<(HeaderName, HeaderValue)>,
}

impl Outcomes {
    /// None yet; the best of them is found by `choice`.
    pub(crate) fn new(choice: Choice) -> Self {
        Self {
            choice,
            ..Self::default()
        }
    }

    /// Notes how a branch ended. The first of equals stays.
    pub(crate) fn add(&mut self, outcome: Outcome) {
        if let Outcome::Received(response) = &outcome
            && is_challenge(response.status())
        {
            let room = MAX_CHALLENGES.saturating_sub(self.challenges.len());
            for name in [HeaderName::WWW_AUTHENTICATE, HeaderName::PROXY_AUTHENTICATE] {
                let values = response
                    .headers()
                    .raw_all(&name)
                    .map(|value| (name.clone(), value));
                self.challenges.extend(values.take(room));
            }
        }
        self.prefer(outcome);
    }

    fn prefer(&mut self, outcome: Outcome) {
        let rank = |outcome: &Outcome| self.choice.rank(outcome);
        let best = self.best.as_ref();
        if best.is_none_or(|best| rank(&outcome) < rank(best)) {
            self.best = Some(outcome);
        }
    }

    /// Adds what another set of branches came to.
    pub(crate) fn merge(&mut self, other: Self) {
        self.challenges.extend(other.challenges);
        self.challenges.truncate(MAX_CHALLENGES);
        if let Some(outcome) = other.best {
            self.prefer(outcome);
        }
    }

    /// The status of the best.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        self.best.as_ref().map(Outcome::status)
    }

    /// The best, if it may be sent: a stateful element never sends a 408 to a request other than INVITE (RFC 4320 §4.2).
    pub(crate) fn best(&self, method: &Method) -> Option<Outcome> {
        self.any()
            .filter(|best| best.status() != StatusCode::REQUEST_TIMEOUT || method == Method::INVITE)
    }

    /// The best, made ready to go upstream.
    pub(crate) fn any(&self) -> Option<Outcome> {
        let mut best = self.best.clone()?;
        match &mut best {
            best if self.choice.pass_503 && best.status() == StatusCode::SERVICE_UNAVAILABLE => {}
            // RFC 3261 §16.7 step 6: upstream a 503 would say that this proxy is out of order.
            Outcome::Found(status) if *status == StatusCode::SERVICE_UNAVAILABLE => {
                *status = StatusCode::SERVER_INTERNAL_ERROR;
            }
            Outcome::Received(response) if response.status() == StatusCode::SERVICE_UNAVAILABLE => {
                response.set_status(StatusCode::SERVER_INTERNAL_ERROR);
                response.headers_mut().remove_name(&HeaderName::RETRY_AFTER);
            }
            // RFC 3261 §16.7 step 7: the user agent answers all challenges at once or never gets through.
            Outcome::Received(response)
                if is_challenge(response.status()) && !self.choice.challenges_apart =>
            {
                for name in [HeaderName::WWW_AUTHENTICATE, HeaderName::PROXY_AUTHENTICATE] {
                    response.headers_mut().remove_name(&name);
                }
                for (name, value) in &self.challenges {
                    response.headers_mut().push_raw(name.clone(), value.clone());
                }
            }
            _ => {}
        }
        Some(best)
    }
}

/// Less is better.
fn rank(outcome: &Outcome) -> (u8, u8) {
    let code = outcome.status().as_u16();
    match (code / 100, code) {
        // RFC 3261 §16.7 step 6: a 6xx before all, then the lowest class …
        (6, _) => (0, 0),
        // … and of that what says how to try again, …
        (4, 401 | 407) => (4, 0),
        (4, 415 | 420 | 484) => (4, 1),
        // … what tells a caller something, …
        (4, 404 | 410 | 430 | 480) => (4, 3),
        // … and last what we brought about ourselves by cancelling or by waiting.
        (4, 487) => (4, 4),
        (4, 408) => (4, 5),
        (class, 503) => (class as u8, 2),
        (class, _) => (
            class as u8,
            if outcome.is_found() {
                3
            } else {
                1 + u8::from(class == 4)
            },
        ),
    }
}

fn is_challenge(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED
    )
}

/// How many challenges are put together; more than any user agent has credentials for.
const MAX_CHALLENGES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use sip_message::Request;

    fn request(method: &str) -> Request {
        let text = format!(
            "{method} sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
             From: <sip:a@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: 1\r\nCSeq: 1 {method}\r\n\r\n"
        );
        Request::parse(text.into()).unwrap()
    }

    fn received(code: u16, headers: &[(HeaderName, &str)]) -> Outcome {
        let mut response = request("INVITE")
            .response(StatusCode::try_from(code).unwrap())
            .build();
        for (name, value) in headers {
            response
                .headers_mut()
                .push_raw(name.clone(), HeaderValue::new(value).unwrap());
        }
        Outcome::Received(Box::new(response))
    }

    fn best_of(codes: &[u16]) -> u16 {
        let mut outcomes = Outcomes::default();
        for &code in codes {
            outcomes.add(received(code, &[]));
        }
        outcomes.status().unwrap().as_u16()
    }

    /// RFC 3261 §16.7 step 6.
    #[test]
    fn a_6xx_wins_then_the_lowest_class_then_what_helps_to_try_again() {
        assert_eq!(best_of(&[486, 603, 302]), 603);
        assert_eq!(best_of(&[500, 486, 302]), 302);
        assert_eq!(best_of(&[486, 404, 407]), 407);
        assert_eq!(best_of(&[486, 420, 404]), 420);
        assert_eq!(best_of(&[404, 486]), 486);
        assert_eq!(best_of(&[487, 404]), 404);
        assert_eq!(best_of(&[408, 487]), 487);
        assert_eq!(best_of(&[503, 500]), 500);
        assert_eq!(best_of(&[486, 488]), 486, "the first of equals");
    }

    #[test]
    fn what_a_target_said_counts_more_than_what_we_found() {
        let mut outcomes = Outcomes::default();
        outcomes.add(Outcome::Found(StatusCode::SERVER_INTERNAL_ERROR));
        outcomes.add(received(502, &[]));
        assert_eq!(outcomes.status(), Some(StatusCode::BAD_GATEWAY));
    }

    /// AUT-010: RFC 3261 §16.7 step 7.
    #[test]
    fn challenges_of_all_branches_go_upstream_together() {
        let mut outcomes = Outcomes::default();
        outcomes.add(received(
            401,
            &[(
                HeaderName::WWW_AUTHENTICATE,
                "Digest realm=\"a\", nonce=\"1\"",
            )],
        ));
        outcomes.add(received(486, &[]));
        outcomes.add(received(
            407,
            &[(
                HeaderName::PROXY_AUTHENTICATE,
                "Digest realm=\"b\", nonce=\"2\"",
            )],
        ));
        let Some(Outcome::Received(best)) = outcomes.best(&Method::INVITE) else {
            panic!("a response")
        };
        assert_eq!(best.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(
            best.headers()
                .raw_all(&HeaderName::WWW_AUTHENTICATE)
                .count(),
            1
        );
        assert_eq!(
            best.headers()
                .raw_all(&HeaderName::PROXY_AUTHENTICATE)
                .count(),
            1
        );
    }

    /// RFC 3261 §16.7 step 6: a 503 would stop everything that the upstream element sends to us.
    #[test]
    fn a_503_becomes_a_500_without_retry_after() {
        let mut outcomes = Outcomes::default();
        outcomes.add(received(503, &[(HeaderName::RETRY_AFTER, "120")]));
        let Some(Outcome::Received(best)) = outcomes.best(&Method::INVITE) else {
            panic!("a response")
        };
        assert_eq!(best.status(), StatusCode::SERVER_INTERNAL_ERROR);
        assert!(!best.headers().contains_name(&HeaderName::RETRY_AFTER));
    }

    /// RFC 7339 §5.10: who sends to a server that asked for less is told so by 503, and not for how long.
    #[test]
    fn what_was_shed_stays_a_503() {
        let mut outcomes = Outcomes::default();
        outcomes.add(Outcome::Shed);
        let best = outcomes.best(&Method::INVITE).map(|best| best.status());
        assert_eq!(best, Some(StatusCode::SERVICE_UNAVAILABLE));
        outcomes.add(received(486, &[]));
        assert_eq!(outcomes.status(), Some(StatusCode::BUSY_HERE));
    }

    /// RFC 4320 §4.2.
    #[test]
    fn a_408_is_sent_to_an_invite_only() {
        let mut outcomes = Outcomes::default();
        outcomes.add(Outcome::Found(StatusCode::REQUEST_TIMEOUT));
        assert!(outcomes.best(&Method::MESSAGE).is_none());
        let best = outcomes.best(&Method::INVITE).map(|best| best.status());
        assert_eq!(best, Some(StatusCode::REQUEST_TIMEOUT));
    }

    #[test]
    fn challenges_are_bounded() {
        let mut outcomes = Outcomes::default();
        for number in 0..1_000 {
            let challenge = format!("Digest realm=\"{number}\", nonce=\"1\"");
            outcomes.add(received(401, &[(HeaderName::WWW_AUTHENTICATE, &challenge)]));
        }
        let Some(Outcome::Received(best)) = outcomes.best(&Method::INVITE) else {
            panic!("a response")
        };
        assert_eq!(
            best.headers()
                .raw_all(&HeaderName::WWW_AUTHENTICATE)
                .count(),
            MAX_CHALLENGES
        );
    }
}
