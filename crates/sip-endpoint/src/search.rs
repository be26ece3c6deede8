//! The search of a request for a server that answers it.

use crate::{
    Draft,
    connecting::Connecting,
    event::{Attempt, AttemptFailure},
    hop::Hop,
    table::Key,
};
use sip_io::{Flow, TimerId};
use sip_message::StatusCode;
use sip_resolver::LookupId;
use sip_transaction::ClientTransactionId;
use sip_transport::{FlowError, Target, Transport};
use std::{collections::VecDeque, time::Instant};

/// Names a request of ours from [`Endpoint::request`](crate::Endpoint::request) to [`Event::RequestEnded`](crate::Event::RequestEnded) or [`Event::RequestFailed`](crate::Event::RequestFailed); stale
/// afterwards, and then harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub(crate) Key);

/// A request on its way.
///
/// ```text
///   request
///      |            name
///      +---------> Resolving -----.
///      | flow, targets    ^       | targets
///      +------------------|-------+
///                         |       V     stream not open yet
///      .--- next target --|-> (attempt) ------> Connecting
///      |   the given flow |       |                | opened
///      |   is gone        |       | sent           |
///      |                  |       V                |
///      '-- 503, time-out, '- Transaction <---------'
///          failure before         | final response
///          any response           V
///                              Answered
/// ```
#[derive(Debug)]
pub(crate) struct Outbound {
    pub(crate) state: State,
    /// What a further attempt needs: dropped with the final response, because a transaction lingers long after it
    pub(crate) search: Option<Box<Search>>,
    pub(crate) is_invite: bool,
    pub(crate) cancelled: bool,
    pub(crate) deadline: Option<TimerId>,
    /// When the attempt has been without any response for too long
    pub(crate) silence: Option<TimerId>,
}

/// The search for a server that answers (RFC 3263 §4.3).
#[derive(Debug)]
pub(crate) struct Search {
    pub(crate) draft: Draft,
    pub(crate) hops: VecDeque<Hop>,
    /// The host behind the target of this attempt, if the resolver told one
    pub(crate) server: Option<String>,
    pub(crate) tried: Vec<Attempt>,
    /// The last provisional response, which ends the search for another server
    pub(crate) heard: Option<StatusCode>,
}

#[derive(Debug)]
pub(crate) enum State {
    Idle,
    Resolving(LookupId),
    Connecting(Connecting),
    Transaction {
        id: ClientTransactionId,
        flow: Flow,
        target: Target,
    },
    Answered {
        flow: Flow,
    },
}

/// What became of an attempt.
pub(crate) enum Begun {
    /// It is under way
    Yes,
    /// Another place is first
    Elsewhere,
    /// It failed
    Failed(Target, AttemptFailure),
    /// The request is over
    Over,
}

impl Outbound {
    pub(crate) const fn is_answered(&self) -> bool {
        matches!(self.state, State::Answered { .. })
    }

    pub(crate) fn next_hop(&self) -> Option<&Hop> {
        self.search.as_ref()?.hops.front()
    }

    pub(crate) fn flow_to(
        &self,
        now: Instant,
        transport: &mut Transport,
        hop: &Hop,
    ) -> Option<Result<Flow, FlowError>> {
        let draft = &self.search.as_ref()?.draft;
        Some(draft.flow_to(now, transport, &hop.target))
    }
}

impl Search {
    pub(crate) fn failed(&mut self, target: Target, failure: AttemptFailure) {
        self.tried.push(Attempt { target, failure });
    }
}
