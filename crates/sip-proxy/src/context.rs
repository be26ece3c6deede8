//! Response contexts: one request and its branches (RFC 3261 §16.2).

use crate::{
    ProxyId,
    choice::{Outcome, Outcomes},
    plan::{Manner, Plan, Target},
};
use ahash::RandomState;
use sip_endpoint::{RequestId, ServerTransactionId};
use sip_io::{Flow, TimerId};
use sip_message::{Request, StatusCode, Uri};
use slab::Slab;
use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

/// One request and everything that it became.
///
/// ```text
///    request --> Asking --- relay ---> Relaying --- all targets failed, held ---> Held
///                  |  ^                 |  |  ^                                    |
///                  |  '---- withdraw ---'  |  '-------------- relay ---------------+
///                  |                       | 2xx, all targets failed               |
///                  V                       V                                       |
///               Answered <-----------------+--------- answer, forward -------------'
/// ```
#[derive(Debug)]
pub(crate) struct ResponseContext {
    pub(crate) server: ServerTransactionId,
    pub(crate) flow: Flow,
    /// As it is copied to every branch but for Request-URI, hops, breadth and routes
    pub(crate) request: Request,
    pub(crate) is_invite: bool,
    pub(crate) stage: Stage,
    /// What ends the branches that we send (RFC 5393 §4.2.1)
    pub(crate) fingerprint: String,
    pub(crate) hops: u8,
    pub(crate) breadth: u32,
    /// The user part of our Record-Route, when the request is inside a dialog already
    pub(crate) token: Option<String>,
    pub(crate) record_route: bool,
    pub(crate) groups: VecDeque<Vec<Target>>,
    pub(crate) manner: Manner,
    pub(crate) branches: Vec<Branch>,
    /// How many targets were sent to, all plans together
    pub(crate) tried: usize,
    /// Those of them that a later group or plan might name again
    pub(crate) remembered: Vec<Target>,
    /// What this plan came to
    pub(crate) outcomes: Outcomes,
    /// What the plans before it came to
    pub(crate) earlier: Outcomes,
    /// For the decision, or for how long a group rings
    pub(crate) timer: Option<TimerId>,
    /// For the plan as a whole
    pub(crate) deadline: Option<TimerId>,
}

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Where to?
    Asking,
    /// It is with its targets
    Relaying {
        /// CANCEL came, or we are shutting down: no more targets
        ending: bool,
    },
    /// All targets have failed; what now?
    Held,
    /// A final response went upstream, or none ever will
    Answered,
}

/// One copy of the request.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) request: RequestId,
    /// No final response yet
    pub(crate) pending: bool,
    /// A provisional response has come, be it 100
    pub(crate) heard: bool,
    /// One other than 100 has come
    pub(crate) rings: bool,
    /// Whose provisional responses are told, if they are
    pub(crate) told: Option<Uri>,
    pub(crate) timer_c: Option<TimerId>,
    /// How long Timer C is
    pub(crate) c: Duration,
    /// The target is a device that registered
    pub(crate) is_binding: bool,
    pub(crate) verdict: Verdict,
    /// What is told about the target, if somebody watches
    pub(crate) watched: Option<Watched>,
}

/// A target whose outcome is told.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) uri: Uri,
    pub(crate) since: Instant,
    /// How long the first response took, if there was one
    pub(crate) heard: Option<Duration>,
}

/// What the failure of a branch counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// What it is
    AsIs,
    /// We cancelled it, for this reason
    Becomes(StatusCode),
    /// Nothing: the plan it belongs to was withdrawn
    Ignored,
}

impl ResponseContext {
    /// Takes over a plan.
    pub(crate) fn adopt(&mut self, plan: Plan, record_route: bool) {
        self.groups = plan.groups;
        self.manner = plan.manner;
        self.record_route = self.manner.record_route.unwrap_or(record_route);
        let outcomes = Outcomes::new(self.manner.choice.clone());
        let mut before = std::mem::replace(&mut self.outcomes, outcomes);
        before.merge(std::mem::take(&mut self.earlier));
        if self.manner.forget_earlier {
            self.remembered.clear();
        } else {
            self.earlier = before;
        }
        self.stage = Stage::Relaying { ending: false };
    }

    /// At most `room` targets of a group, without those that were in the target set already (RFC 3261 §16.5).
    pub(crate) fn without_repeats(&self, group: Vec<Target>, room: usize) -> Vec<Target> {
        if self.remembered.is_empty() && group.len() <= room.min(1) {
            return group;
        }
        let mut fresh: Vec<Target> = Vec::with_capacity(group.len().min(room));
        for target in group {
            if fresh.len() == room {
                break;
            }
            let mut before = self.remembered.iter().chain(&fresh);
            if !before.any(|before| before.is_same(&target)) {
                fresh.push(target);
            }
        }
        fresh
    }

    /// Keeps the targets whose turn it is, if others may come after them.
    pub(crate) fn remember(&mut self, group: &[Target]) {
        if self.manner.hold_failure || !self.groups.is_empty() {
            self.remembered.extend_from_slice(group);
        }
    }

    /// RFC 3261 §16.5: an empty target set is 480, unless an earlier plan has come to something.
    pub(crate) fn count_no_target(&mut self) {
        let tells = self.manner.hold_failure || self.earlier.status().is_none();
        if self.outcomes.status().is_none() && tells {
            let nobody = Outcome::Found(StatusCode::TEMPORARILY_UNAVAILABLE);
            self.outcomes.add(nobody);
        }
    }

    /// Whether a branch of the current plan has no final response yet.
    pub(crate) fn is_pending(&self) -> bool {
        self.branches
            .iter()
            .any(|branch| branch.pending && branch.verdict != Verdict::Ignored)
    }

    /// Whether what has come in so far lets the next group have its turn.
    pub(crate) fn may_fail_over(&self) -> bool {
        let Some(status) = self.outcomes.status() else {
            return true;
        };
        match &self.manner.failover_on {
            Some(codes) => codes.contains(&status),
            None => !self.is_global(status),
        }
    }

    /// Whether a status speaks for every place where the callee might be (RFC 3261 §16.7 step 5).
    pub(crate) const fn is_global(&self, status: StatusCode) -> bool {
        status.is_global_failure() && !self.manner.choice.ordinary_6xx
    }

    pub(crate) fn branch_mut(&mut self, id: RequestId) -> Option<&mut Branch> {
        self.branches.iter_mut().find(|branch| branch.request == id)
    }

    pub(crate) fn remove_branch(&mut self, id: RequestId) -> Option<Branch> {
        let at = self
            .branches
            .iter()
            .position(|branch| branch.request == id)?;
        Some(self.branches.swap_remove(at))
    }
}

/// Every response context, and the ways to find it.
#[derive(Debug)]
pub(crate) struct Contexts {
    slots: Slab<(u32, ResponseContext)>,
    generation: u32,
    by_server: HashMap<ServerTransactionId, ProxyId, RandomState>,
    by_request: HashMap<RequestId, ProxyId, RandomState>,
}

impl Contexts {
    pub(crate) fn new(hasher: RandomState) -> Self {
        Self {
            slots: Slab::new(),
            generation: 0,
            by_server: HashMap::with_hasher(hasher.clone()),
            by_request: HashMap::with_hasher(hasher),
        }
    }

    pub(crate) fn insert(&mut self, context: ResponseContext) -> ProxyId {
        self.generation = self.generation.wrapping_add(1);
        let server = context.server;
        let index = self.slots.insert((self.generation, context)) as u32;
        let id = ProxyId {
            index,
            generation: self.generation,
        };
        self.by_server.insert(server, id);
        id
    }

    pub(crate) fn get(&self, id: ProxyId) -> Option<&ResponseContext> {
        let (generation, context) = self.slots.get(id.index as usize)?;
        (*generation == id.generation).then_some(context)
    }

    pub(crate) fn get_mut(&mut self, id: ProxyId) -> Option<&mut ResponseContext> {
        let (generation, context) = self.slots.get_mut(id.index as usize)?;
        (*generation == id.generation).then_some(context)
    }

    pub(crate) fn by_server(&self, server: ServerTransactionId) -> Option<ProxyId> {
        self.by_server.get(&server).copied()
    }

    pub(crate) fn by_request(&self, request: RequestId) -> Option<ProxyId> {
        self.by_request.get(&request).copied()
    }

    pub(crate) fn link(&mut self, request: RequestId, id: ProxyId) {
        self.by_request.insert(request, id);
    }

    pub(crate) fn unlink(&mut self, request: RequestId) {
        self.by_request.remove(&request);
    }

    /// Forgets the server transaction of a context.
    pub(crate) fn end_server(&mut self, server: ServerTransactionId) -> Option<ProxyId> {
        self.by_server.remove(&server)
    }

    /// Removes a context of which both sides are over.
    pub(crate) fn remove_if_over(&mut self, id: ProxyId) -> Option<ResponseContext> {
        let context = self.get(id)?;
        if !context.branches.is_empty() || self.by_server.contains_key(&context.server) {
            return None;
        }
        Some(self.slots.remove(id.index as usize).1)
    }

    pub(crate) fn ids(&self) -> Vec<ProxyId> {
        let id = |(index, (generation, _)): (usize, &(u32, ResponseContext))| ProxyId {
            index: index as u32,
            generation: *generation,
        };
        self.slots.iter().map(id).collect()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &ResponseContext> {
        self.slots.iter().map(|(_, (_, context))| context)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
}
