//! What a proxy tells its owner, and asks.

use crate::Finding;
use sip_io::Flow;
use sip_message::{Request, Response, StatusCode, Uri, headers::CallId};
use std::fmt;

/// Names a request that a proxy is handling: a response context (RFC 3261 §16.2).
///
/// Ids are not used again, so a stale one is answered by [`RelayError::Gone`] and never means another request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProxyId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl fmt::Debug for ProxyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyId({}.{})", self.index, self.generation)
    }
}

/// Names a request that waits for the secret of its sender. Ids are not used again, so a stale one is ignored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretId(pub(crate) u64);

impl fmt::Debug for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretId({})", self.0)
    }
}

/// What a [`Proxy`](crate::Proxy) tells its owner.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Where should this request go? Answered by [`Proxy::relay`](crate::Proxy::relay),
    /// [`Proxy::answer`](crate::Proxy::answer) or [`Proxy::reject`](crate::Proxy::reject), now or later; without an
    /// answer in time the proxy sends 500.
    ///
    /// Checks, Route processing and authentication have been done. ACK and requests inside a dialog that we recorded
    /// our route in go their way without a question.
    RouteNeeded {
        /// The request's name
        id: ProxyId,
        /// The request, without Routes that were ours and without credentials that were for us
        request: Box<Request>,
        /// Who sent it, if that was shown
        user: Option<String>,
        /// Whether the Request-URI is of a domain that we are responsible for; if not, the usual plan is to relay to
        /// the Request-URI itself
        ours: bool,
        /// What it came on
        flow: Flow,
    },
    /// What is the secret of this user? Answered by [`Proxy::provide_secret`](crate::Proxy::provide_secret); only a
    /// proxy with [`authenticate_asking`](crate::ProxyConfig::authenticate_asking) asks. Without an answer in time the
    /// proxy sends 500.
    SecretNeeded {
        /// The request's name
        id: SecretId,
        /// The user as in the credentials
        user: String,
        /// The realm
        realm: String,
    },
    /// Every target of a plan with [`hold_failure`](crate::Plan::hold_failure) has failed, and nothing was answered
    /// yet. It may be relayed again, answered, or forwarded by [`Proxy::forward`](crate::Proxy::forward).
    RelayFailed {
        /// The request's name
        id: ProxyId,
        /// The best of the responses, as it would go upstream
        response: Box<Response>,
    },
    /// A final response went upstream; 2xx responses of other branches may still follow. The name is of no more use.
    Answered {
        /// The request's name
        id: ProxyId,
        /// Its status
        status: StatusCode,
    },
    /// The request ended without a final response from us: the caller cancelled before there was a plan (487 was
    /// sent), or a request other than INVITE found no answer (RFC 4320 §4.2). The name is of no more use.
    Abandoned {
        /// The request's name
        id: ProxyId,
    },
    /// A provisional response to an INVITE came, of a plan that [tells them](crate::Plan::tell_provisional). It has gone
    /// upstream already, unless it is 100.
    Provisional {
        /// The request's name
        id: ProxyId,
        /// The target that it came from
        uri: Uri,
        /// The response, as it goes upstream
        response: Box<Response>,
    },
    /// A request goes to a target of a plan that is [watched](crate::Plan::watch). One [`TargetDone`](Self::TargetDone)
    /// follows.
    TargetTried {
        /// The request's name
        id: ProxyId,
        /// The target
        uri: Uri,
        /// The call that the request begins, if it is an INVITE
        call: Option<CallId>,
    },
    /// A target of a plan that is watched has answered, or will not.
    TargetDone {
        /// The request's name, which may be of no more use
        id: ProxyId,
        /// The target
        uri: Uri,
        /// What that says about it
        finding: Finding,
        /// Its final response, if there was one
        status: Option<StatusCode>,
    },
    /// A BYE ends a call that went through us; told once a plan was watched.
    CallEnding {
        /// The call
        call: CallId,
    },
}

/// Why a command about a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// The request is gone: answered, cancelled, or past its time
    #[error("the request is gone")]
    Gone,
    /// The request is with its targets; [`Proxy::withdraw`](crate::Proxy::withdraw) calls it back
    #[error("the request is being relayed")]
    Busy,
    /// The plan has no target
    #[error("the plan has no target")]
    NoTarget,
    /// The request is with nobody yet, or no more
    #[error("the request is not being relayed")]
    NotRelayed,
    /// There is no failure to forward
    #[error("there is no response to forward")]
    NothingHeld,
}
