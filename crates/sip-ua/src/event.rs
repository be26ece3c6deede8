//! What a user agent tells its owner.

use std::{fmt, time::Duration};

use bytes::Bytes;
use sip_dialog::DialogKey;
use sip_endpoint::{Failure, ServerTransactionId};
use sip_io::Flow;
use sip_message::{Request, Response, Uri, headers::Reason};

use crate::table::id;

id! {
    /// Names a call from its first event or command to its [`Event::Ended`]; stale afterwards, and then harmless.
    CallId
}

id! {
    /// Names a registration from [`UserAgent::register`](crate::UserAgent::register) to its
    /// [`Event::RegistrationEnded`]; stale afterwards, and then harmless.
    RegistrationId
}

id! {
    /// Names a request of ours from [`UserAgent::request`](crate::UserAgent::request) to its [`Event::RequestDone`];
    /// stale afterwards, and then harmless.
    RequestKey
}

/// Names one question about a call's session; stale once it was answered or the call has moved on, and then harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionQuestionId(pub(crate) u32);

/// What a user agent tells its owner.
///
/// # Order
///
/// Events come in the order in which things happened. Of one call:
///
/// - A call of ours: [`SessionNeeded`](Self::SessionNeeded) (unless an offer was given, or none is to be made), then any
///   number of [`Progress`](Self::Progress), [`SessionReady`](Self::SessionReady) with `early` and
///   [`EarlyEnded`](Self::EarlyEnded), a session always after the progress that brought it; then
///   [`Answered`](Self::Answered), `SessionReady` and [`Established`](Self::Established). When the peer's 2xx brings the
///   offer, `SessionNeeded` stands between `Answered` and `SessionReady`.
/// - A call of a peer: [`IncomingCall`](Self::IncomingCall); after the first command that needs a session
///   `SessionNeeded`, then `SessionReady`; `Established` when the ACK has come. When the peer made no offer,
///   `SessionReady` comes with the ACK, directly before `Established`.
/// - [`ReofferDone`](Self::ReofferDone), `SessionNeeded` and `SessionReady` of re-INVITEs come only between `Established`
///   and `Ended`. A successful `ReofferDone` directly follows its `SessionReady`; a call that ends meanwhile has none.
/// - A peer that answers an offer without a description of its own leaves a call without `SessionReady`: nothing is
///   known about its session, and whether to go on is the owner's to decide.
/// - [`Parting`](Self::Parting) comes when a call that was answered is hung up by us or lost; nothing but `Ended` follows it.
/// - [`Ended`](Self::Ended) comes exactly once, is the last event of the call, and makes its id stale. It comes whatever
///   became of the call: never answered, rejected by either side, cancelled, lost.
///
/// Of one registration: [`Registered`](Self::Registered) and [`RegistrationRetrying`](Self::RegistrationRetrying) in any
/// number, [`RegistrationEnded`](Self::RegistrationEnded) exactly once and last. Of one request: exactly one
/// [`RequestDone`](Self::RequestDone).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Somebody calls. Answer with [`ring`](crate::UserAgent::ring), [`progress`](crate::UserAgent::progress),
    /// [`answer`](crate::UserAgent::answer) or [`reject`](crate::UserAgent::reject).
    IncomingCall {
        /// The new call
        call: CallId,
        /// The INVITE; its body is the offer, if it has one
        request: Box<Request>,
        /// What it came on
        flow: Flow,
    },
    /// A session description of ours is needed: answer with
    /// [`provide_session`](crate::UserAgent::provide_session) or [`refuse_session`](crate::UserAgent::refuse_session).
    SessionNeeded {
        /// Whose
        call: CallId,
        /// The question
        question: SessionQuestionId,
        /// The peer's offer, to be answered; `None` asks for an offer
        offer: Option<Bytes>,
    },
    /// Both descriptions of a session are known.
    SessionReady {
        /// Whose
        call: CallId,
        /// On which dialog: a call that forked has one session on each
        dialog: DialogKey,
        /// Ours
        local: Bytes,
        /// The peer's
        remote: Bytes,
        /// Whether the call is not answered yet, so that this is early media
        early: bool,
    },
    /// A provisional response other than 100 came for a call of ours.
    Progress {
        /// Which call
        call: CallId,
        /// The early dialog it belongs to; `None` when it makes none, or there are too many
        dialog: Option<DialogKey>,
        /// The response
        response: Box<Response>,
    },
    /// An early dialog of a call of ours is over, and the call goes on without it.
    EarlyEnded {
        /// Which call
        call: CallId,
        /// Which dialog
        dialog: DialogKey,
    },
    /// A call of ours was answered.
    Answered {
        /// Which call
        call: CallId,
        /// The dialog that won
        dialog: DialogKey,
        /// The 2xx
        response: Box<Response>,
    },
    /// The ACK was sent, or has come: the call is up.
    Established {
        /// Which call
        call: CallId,
    },
    /// A re-INVITE of ours has its outcome; a failure leaves the session as it was.
    ReofferDone {
        /// Which call
        call: CallId,
        /// What became of it
        result: Result<(), ReofferFailure>,
    },
    /// Our BYE goes out: the session is over, and media stop now (RFC 3261 §15.1.1).
    Parting {
        /// Which call
        call: CallId,
    },
    /// The call is over.
    Ended {
        /// Which call
        call: CallId,
        /// How it ended
        ended: Ended,
    },
    /// A binding was made or refreshed.
    Registered {
        /// Which registration
        registration: RegistrationId,
        /// How long it lasts; it is refreshed before
        expires: Duration,
        /// The address that is bound, as the registrar lists it
        contact: Uri,
        /// The registrar's response
        response: Box<Response>,
        /// What it came on
        flow: Flow,
    },
    /// A REGISTER failed in a way that time may mend, or the flow that it was made on was lost as soon as it was there.
    RegistrationRetrying {
        /// Which registration
        registration: RegistrationId,
        /// When it is tried again
        after: Duration,
        /// What went wrong
        cause: RequestError,
    },
    /// The registration is over.
    RegistrationEnded {
        /// Which registration
        registration: RegistrationId,
        /// `Ok` after [`unregister`](crate::UserAgent::unregister) succeeded; else what no further try can mend
        result: Result<(), RequestError>,
    },
    /// A request of ours has its outcome.
    RequestDone {
        /// Which request
        request: RequestKey,
        /// The final response and what it came on, or why there is none
        result: Result<(Box<Response>, Flow), Failure>,
    },
    /// A request that the application listens to; answer with [`respond`](crate::UserAgent::respond).
    Request {
        /// Its transaction
        id: ServerTransactionId,
        /// The call in whose dialog it came
        call: Option<CallId>,
        /// The request
        request: Box<Request>,
        /// What it came on
        flow: Flow,
    },
}

/// How a call ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ended {
    /// Whether we ended it, rather than the peer or fate
    pub by_us: bool,
    /// Why
    pub cause: Cause,
    /// The final response that ended a call of ours before it was established, or that told that its dialog is lost
    pub response: Option<Box<Response>>,
    /// How long it was established; `None` when it never was
    pub duration: Option<Duration>,
    /// What the peer's CANCEL or BYE said about why (RFC 3326), such as that somebody else has taken the call
    pub reasons: Vec<Reason>,
}

/// Why a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// Somebody hung up
    HungUp,
    /// The caller gave up before the call was answered
    Cancelled,
    /// The callee did not take it
    Rejected,
    /// It rang too long
    Expired,
    /// A request of ours could not be delivered or was not answered
    Failed(Failure),
    /// The peer never acknowledged our 2xx; a BYE was sent (RFC 3261 §13.3.1.4)
    NoAck,
    /// The peer's answers say that it knows nothing of the call: 481 or 408 (RFC 3261 §12.2.1.2)
    Lost,
    /// No session came about: an offer had no acceptable answer, or nobody provided one
    NoSession,
    /// The user agent itself went away before the call was over; only its owner can say so
    Closed,
}

/// Why a re-INVITE of ours changed nothing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ReofferFailure {
    /// The peer refused it
    Rejected(Box<Response>),
    /// Both sides kept offering at the same time
    Glare,
    /// The peer accepted and sent no answer
    NoAnswer,
    /// It could not be delivered
    Failed(Failure),
}

/// Why a request of ours did not succeed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RequestError {
    /// The response was final and not 2xx
    Rejected(Box<Response>),
    /// Our credentials were refused, or we have none for what was asked
    Unauthorized(Box<Response>),
    /// There was no response
    Failed(Failure),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HungUp => "hung up",
            Self::Cancelled => "the caller gave up",
            Self::Rejected => "rejected",
            Self::Expired => "rang too long",
            Self::Failed(_) => "a request could not be delivered",
            Self::NoAck => "never acknowledged",
            Self::Lost => "the peer lost the call",
            Self::NoSession => "no common session",
            Self::Closed => "the user agent was closed",
        })
    }
}
