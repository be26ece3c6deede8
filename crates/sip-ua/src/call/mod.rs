//! A call: what one INVITE of ours or of a peer leads to.

pub(crate) mod acknowledge;
pub(crate) mod cancel;
pub(crate) mod hang_up;
pub(crate) mod incoming;
pub(crate) mod outgoing;
pub(crate) mod progress;
pub(crate) mod reoffer;
pub(crate) mod session;

use std::time::Instant;

use bytes::Bytes;
use sip_auth::Client;
use sip_dialog::{Dialog, DialogKey};
use sip_endpoint::{AckId, RequestId, ServerTransactionId};
use sip_io::{Flow, TimerId};
use sip_message::{
    HeaderName, HeaderValue, Request, Response, StatusCode, Tag, Uri, headers::Reason,
};

use crate::{CallId, CallOptions, Cause, Ended, Identity, SessionQuestionId};

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) party: Party,
    /// What was last agreed, or is offered by us in the first INVITE
    pub(crate) local: Option<Bytes>,
    pub(crate) question: Option<SessionQuestionId>,
    pub(crate) stage: Stage,
}

/// Whom we speak for, and how the dialog's requests are sent.
#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) identity: Option<Identity>,
    /// What answers challenges; without an identity there is nothing to answer with
    pub(crate) auth: Option<Box<Client>>,
    /// RFC 5923 §8 by identity of the dialog: the accepted stream on which its INVITE came
    pub(crate) flow: Option<Flow>,
    pub(crate) contact_user: Option<String>,
    /// RFC 5626 §4.3: requests within the dialog are to come over the flow of its INVITE
    pub(crate) over_flow: bool,
}

/// How far a call has come.
///
/// ```text
///   call                                    INVITE received
///    |                                            |
///    V             session provided               V
///  Preparing -----------------> Calling        Ringing ---- CANCEL, too long,
///    |                            |  |            |              reject ------> (ended)
///    | hang_up    300-699, silence|  | 2xx        | answer
///    V                            V  V            V
///  (ended)                  (ended) Up <----------'
///                                    |  |
///                 hang_up, no ACK,   |  | BYE received
///                 481 to a request   V  V
///              (ended) <--- Parting    (ended)
/// ```
#[derive(Debug)]
pub(crate) enum Stage {
    /// Our offer is being made
    Preparing(Box<Preparing>),
    /// Our INVITE is out
    Calling(Box<Calling>),
    /// A peer's INVITE waits for our final response
    Ringing(Box<Ringing>),
    /// A 2xx was sent or has come
    Up(Box<Up>),
    /// Our BYE is out
    Parting { ended: Box<Ended> },
}

#[derive(Clone, Debug)]
pub(crate) struct Preparing {
    pub(crate) target: Uri,
    pub(crate) options: CallOptions,
}

#[derive(Debug)]
pub(crate) struct Calling {
    pub(crate) request: RequestId,
    pub(crate) early: Vec<Early>,
    pub(crate) limit: Option<TimerId>,
    /// Set once a CANCEL is wished for: how the call will have ended
    pub(crate) giving_up: Option<(bool, Cause)>,
    pub(crate) redirects: Redirects,
}

/// What a 3xx said, and how often it was heeded.
#[derive(Debug, Default)]
pub(crate) struct Redirects {
    pub(crate) followed: usize,
    pub(crate) next: Vec<Uri>,
    pub(crate) seen: Vec<Uri>,
}

#[derive(Debug)]
pub(crate) struct Early {
    pub(crate) dialog: DialogKey,
    pub(crate) remote: Option<Bytes>,
}

#[derive(Debug)]
pub(crate) struct Ringing {
    pub(crate) transaction: ServerTransactionId,
    pub(crate) invite: Request,
    /// The session description in it
    pub(crate) offer: Option<Bytes>,
    pub(crate) flow: Flow,
    pub(crate) tag: Tag,
    /// The dialog to be, until a response with a tag makes it
    pub(crate) unmade: Option<Box<Dialog>>,
    pub(crate) dialog: Option<DialogKey>,
    pub(crate) pending: Option<Pending>,
    /// The last provisional response and whether a session stands in it, for its repetition each minute
    pub(crate) provisional: Option<(StatusCode, bool, TimerId)>,
    /// The last response that keeps the dialog: from one to the next only status and session change
    pub(crate) response: Option<Box<Response>>,
    pub(crate) limit: TimerId,
    /// Whether the limit is the INVITE's own Expires
    pub(crate) expires: bool,
}

/// A response that waits for our session description.
#[derive(Debug)]
pub(crate) enum Pending {
    Progress(StatusCode),
    Answer {
        status: StatusCode,
        headers: Vec<(HeaderName, HeaderValue)>,
    },
}

#[derive(Debug)]
pub(crate) struct Up {
    pub(crate) dialog: DialogKey,
    pub(crate) since: Option<Instant>,
    pub(crate) ack: Ack,
    pub(crate) ours: Ours,
    pub(crate) theirs: Option<Box<Theirs>>,
    /// The peer's open offer in a 2xx or re-INVITE, until it is answered
    pub(crate) offered: Option<Bytes>,
    /// We want to hang up as soon as the ACK has come (RFC 3261 §15)
    pub(crate) hanging_up: bool,
}

/// The ACK of the first INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ack {
    /// Sent or received
    Done,
    /// Has not come yet
    Awaited,
    /// Waits for our answer to the offer in the 2xx of this request
    Owed(RequestId),
}

/// A re-INVITE of ours.
#[derive(Debug)]
pub(crate) enum Ours {
    None,
    Sent {
        request: RequestId,
        offer: Bytes,
        collisions: u32,
    },
    /// After a 491 (RFC 3261 §14.1)
    Resting {
        timer: TimerId,
        collisions: u32,
    },
    /// The rest is over: an offer is asked for anew, because the session may have changed meanwhile
    Asking {
        collisions: u32,
    },
}

/// A re-INVITE of the peer that waits for our answer.
#[derive(Debug)]
pub(crate) struct Theirs {
    pub(crate) transaction: ServerTransactionId,
    pub(crate) request: Request,
    pub(crate) flow: Flow,
}

/// An INVITE of ours, first or further, kept as long as responses may come: each 2xx wants its ACK.
#[derive(Debug)]
pub(crate) struct Invite {
    pub(crate) call: Option<CallId>,
    /// `None` for a first INVITE, the dialog for a further one
    pub(crate) within: Option<DialogKey>,
    pub(crate) identity: Option<Identity>,
    pub(crate) request: Request,
    /// Whether its credentials were sent ahead of a challenge
    pub(crate) ahead: bool,
    pub(crate) legs: Vec<Leg>,
}

/// A 2xx of our INVITE.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) tag: Option<Tag>,
    pub(crate) ack: Option<AckId>,
}

/// A BYE of ours.
#[derive(Debug)]
pub(crate) struct Farewell {
    pub(crate) call: Option<CallId>,
    pub(crate) dialog: DialogKey,
    pub(crate) request: Request,
    pub(crate) ahead: bool,
    pub(crate) party: Party,
}

impl Call {
    pub(crate) const fn up(&self) -> Option<&Up> {
        match &self.stage {
            Stage::Up(up) => Some(up),
            _ => None,
        }
    }

    pub(crate) const fn up_mut(&mut self) -> Option<&mut Up> {
        match &mut self.stage {
            Stage::Up(up) => Some(up),
            _ => None,
        }
    }

    pub(crate) const fn calling_mut(&mut self) -> Option<&mut Calling> {
        match &mut self.stage {
            Stage::Calling(calling) => Some(calling),
            _ => None,
        }
    }

    pub(crate) const fn ringing(&self) -> Option<&Ringing> {
        match &self.stage {
            Stage::Ringing(ringing) => Some(ringing),
            _ => None,
        }
    }

    pub(crate) const fn ringing_mut(&mut self) -> Option<&mut Ringing> {
        match &mut self.stage {
            Stage::Ringing(ringing) => Some(ringing),
            _ => None,
        }
    }
}

impl Ended {
    /// An end without a response, of a call that never was established.
    pub const fn new(by_us: bool, cause: Cause) -> Self {
        Self {
            by_us,
            cause,
            response: None,
            duration: None,
            reasons: Vec::new(),
        }
    }

    /// The end that a CANCEL or a BYE of the peer brings.
    pub(crate) fn by_peer(cause: Cause, request: &Request) -> Self {
        let reasons = request.headers().all::<Reason>().flatten();
        Self {
            reasons: reasons.take(MOST_REASONS).collect(),
            ..Self::new(false, cause)
        }
    }

    pub(crate) fn with_response(mut self, response: Box<Response>) -> Self {
        self.response = Some(response);
        self
    }
}

/// One for each protocol that somebody on the way may speak.
const MOST_REASONS: usize = 8;
