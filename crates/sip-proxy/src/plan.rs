//! What to do with a request: a relay plan as data.

use crate::choice::{Candidate, Choice};
use sip_endpoint::Timers;
use sip_io::Flow;
use sip_message::{HeaderName, HeaderValue, StatusCode, Uri};
use std::{collections::VecDeque, net::SocketAddr, sync::Arc, time::Duration};

/// One element of a target set (RFC 3261 §16.5): the Request-URI that a branch gets, and how to reach it.
///
/// ```
/// use sip_message::Uri;
/// use sip_proxy::Target;
///
/// let bob = Target::new(Uri::parse("sip:bob@192.0.2.4:5070")?).q(0.7);
/// assert_eq!(bob.uri().to_string(), "sip:bob@192.0.2.4:5070");
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Target {
    pub(crate) uri: Uri,
    pub(crate) path: Vec<Uri>,
    pub(crate) flow: Option<Flow>,
    pub(crate) only_flow: bool,
    pub(crate) is_binding: bool,
    pub(crate) q: u16,
    pub(crate) instance: Option<String>,
    pub(crate) listener: Option<SocketAddr>,
    pub(crate) timers: Option<Box<Timers>>,
}

impl Target {
    /// A target that is located by its URI (RFC 3263).
    pub const fn new(uri: Uri) -> Self {
        Self {
            uri,
            path: Vec::new(),
            flow: None,
            only_flow: false,
            is_binding: false,
            q: 1_000,
            instance: None,
            listener: None,
            timers: None,
        }
    }

    /// Routes that the request gets before it leaves: the Path of a binding (RFC 3327 §5.4). Defaults to none.
    pub fn path(mut self, path: impl IntoIterator<Item = Uri>) -> Self {
        self.path = path.into_iter().collect();
        self
    }

    /// The flow to send on while it is open: the one on which a binding was made. When it is closed the URI is located
    /// as usual, and when that leads nowhere the branch ends with 480.
    ///
    /// Requests inside the dialog that is made go over the same flow.
    pub const fn flow(mut self, flow: Flow) -> Self {
        self.flow = Some(flow);
        self.is_binding = true;
        self
    }

    /// Says that the URI is the Contact of a device that registered: when it leads nowhere the device is not there,
    /// and the branch ends with 480 instead of 500.
    pub const fn binding(mut self) -> Self {
        self.is_binding = true;
        self
    }

    /// The flow to send on, and no other way: the URI leads nowhere (RFC 5626 §7). When it is closed the branch ends
    /// with 480.
    pub const fn only_flow(mut self, flow: Flow) -> Self {
        self.flow = Some(flow);
        self.only_flow = true;
        self.is_binding = true;
        self
    }

    /// How much it is preferred, from 0.0 to 1.0, for [`Plan::by_q`]. Defaults to 1.0 (RFC 3261 §16.6).
    pub fn q(mut self, q: f32) -> Self {
        self.q = (q.clamp(0.0, 1.0) * 1_000.0).round() as u16;
        self
    }

    /// The instance-id of the device behind it (RFC 5626 §4.1): [`Plan::by_q`] rings a device once at a time.
    pub fn instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// Sends by the listener that is bound to this address: its view of names counts, and datagrams leave from it; see
    /// [`Draft::by_listener`](sip_endpoint::Draft::by_listener). Defaults to none.
    pub const fn by_listener(mut self, local: SocketAddr) -> Self {
        self.listener = Some(local);
        self
    }

    /// The timers of this branch, instead of the plan's: T1, T2, T4, how long the target may be silent, and Timer C.
    pub fn timers(mut self, timers: Timers) -> Self {
        self.timers = Some(Box::new(timers));
        self
    }

    /// How much it is preferred, in thousandths; see [`q`](Self::q).
    pub const fn thousandths(&self) -> u16 {
        self.q
    }

    /// The URI.
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Whether both are one place, reached in one way. Two flows to one Contact are two places (RFC 5626 §4.2).
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.uri.equivalent(&other.uri)
            && self.flow == other.flow
            && self.path == other.path
            && self.listener == other.listener
    }
}

impl From<Uri> for Target {
    fn from(uri: Uri) -> Self {
        Self::new(uri)
    }
}

/// Where a request goes: groups of targets, one group after the other, all of a group at once.
///
/// A target that was tried for the same request is left out: one with an equal URI and the same path, flow and listener
/// (RFC 3261 §16.5), so that redirections that name each other come to an end. A later plan that
/// [forgets the earlier ones](Self::forget_earlier) may try it again.
///
/// ```
/// use sip_message::Uri;
/// use sip_proxy::Plan;
/// use std::time::Duration;
///
/// let desk = Uri::parse("sip:bob@192.0.2.4")?;
/// let voicemail = Uri::parse("sip:bob@voicemail.example.com")?;
/// let plan = Plan::to(desk).then(voicemail).ring_for(Duration::from_secs(20));
/// assert_eq!(plan.len(), 2);
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub(crate) groups: VecDeque<Vec<Target>>,
    pub(crate) manner: Manner,
}

/// How a plan is carried out: all of it but the targets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manner {
    pub(crate) ring_for: Option<Duration>,
    pub(crate) hold_failure: bool,
    pub(crate) failover_on: Option<Vec<StatusCode>>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) record_route: Option<bool>,
    /// Whether it is told how each target does
    pub(crate) watch: bool,
    /// Those of its branches, where they are not those of all
    pub(crate) timers: Option<Box<Timers>>,
    pub(crate) choice: Choice,
    /// What the plans before it came to is forgotten
    pub(crate) forget_earlier: bool,
    /// Timer C runs from the first provisional response, whatever comes after it
    pub(crate) ring_on: bool,
    /// Whether 100 goes upstream as well
    pub(crate) relay_100: bool,
    /// Whether provisional responses are told
    pub(crate) tell_provisional: bool,
    /// How long all targets may take together
    pub(crate) deadline: Option<Duration>,
}

impl Plan {
    /// A plan without targets; add some by [`then`](Self::then) and [`then_at_once`](Self::then_at_once).
    pub fn new() -> Self {
        Self::default()
    }

    /// One target.
    pub fn to(target: impl Into<Target>) -> Self {
        Self::new().then(target)
    }

    /// The targets in order, each when the one before it has failed.
    pub fn in_order(targets: impl IntoIterator<Item = impl Into<Target>>) -> Self {
        targets.into_iter().fold(Self::new(), Self::then)
    }

    /// All targets together.
    pub fn at_once(targets: impl IntoIterator<Item = impl Into<Target>>) -> Self {
        Self::new().then_at_once(targets)
    }

    /// The most preferred targets together, then the next (RFC 3261 §16.6). Of targets with one instance-id only the
    /// first is in its group, the others follow it one by one (RFC 5626 §7.2).
    pub fn by_q(targets: impl IntoIterator<Item = Target>) -> Self {
        let mut targets: Vec<Target> = targets.into_iter().collect();
        // The sort is stable: among equals the order given stays.
        targets.sort_by_key(|target| std::cmp::Reverse(target.q));
        let mut groups: VecDeque<Vec<Target>> = VecDeque::new();
        let mut rest: &[Target] = &targets;
        while let Some(first) = rest.first() {
            let (same, after) = rest.split_at(rest.partition_point(|target| target.q == first.q));
            let mut group: Vec<Target> = Vec::with_capacity(same.len());
            let mut others = Vec::new();
            for target in same {
                let rings = target.instance.is_some()
                    && group.iter().any(|other| other.instance == target.instance);
                if rings {
                    others.push(vec![target.clone()])
                } else {
                    group.push(target.clone())
                }
            }
            groups.push_back(group);
            groups.extend(others);
            rest = after;
        }
        Self {
            groups,
            ..Self::default()
        }
    }

    /// One more target, for when all before it have failed.
    pub fn then(mut self, target: impl Into<Target>) -> Self {
        self.groups.push_back(vec![target.into()]);
        self
    }

    /// Several more targets, together, for when all before them have failed.
    pub fn then_at_once(mut self, targets: impl IntoIterator<Item = impl Into<Target>>) -> Self {
        let group: Vec<Target> = targets.into_iter().map(Into::into).collect();
        if !group.is_empty() {
            self.groups.push_back(group);
        }
        self
    }

    /// How long each group may ring before it counts as not answering (408) and the next one's turn comes. Defaults to
    /// no end but the transaction's own, and Timer C for INVITE.
    pub const fn ring_for(mut self, time: Duration) -> Self {
        self.manner.ring_for = Some(time);
        self
    }

    /// Whether a plan that failed is reported by [`Event::RelayFailed`](crate::Event::RelayFailed) instead of being
    /// answered with the best response. Defaults to no.
    pub const fn hold_failure(mut self, hold: bool) -> Self {
        self.manner.hold_failure = hold;
        self
    }

    /// The timers of every branch without [its own](Target::timers): T1, T2, T4, how long a target may be silent, and
    /// Timer C. Defaults to those of the endpoint, and to [`ProxyConfig::timer_c`](crate::ProxyConfig::timer_c).
    pub fn timers(mut self, timers: Timers) -> Self {
        self.manner.timers = Some(Box::new(timers));
        self
    }

    /// Whether a 6xx is one failure among others: the other targets go on, the next group has its turn, and any response
    /// of another class is better. Defaults to no: a 6xx speaks for every place where the callee might be (RFC 3261
    /// §16.7 step 5), which gateways that say 603 for themselves alone do not know.
    pub const fn ordinary_6xx(mut self, ordinary: bool) -> Self {
        self.manner.choice.ordinary_6xx = ordinary;
        self
    }

    /// Whether a 503 goes upstream as it is. Defaults to no: it becomes 500, because upstream a 503 says that this proxy is
    /// out of order (RFC 3261 §16.7 step 6), which is what one in front of a single server may want to say.
    pub const fn pass_503(mut self, pass: bool) -> Self {
        self.manner.choice.pass_503 = pass;
        self
    }

    /// Whether a 401 or 407 brings the challenges of all branches along. Defaults to yes: a user agent that has to answer
    /// one by one never gets through (RFC 3261 §16.7 step 7). Some phones of today read no more than one.
    pub const fn aggregate_challenges(mut self, aggregate: bool) -> Self {
        self.manner.choice.challenges_apart = !aggregate;
        self
    }

    /// Which final response goes upstream when all have failed: that of the least rank, the first of equals. Defaults to
    /// [`Candidate::rank`], from which an own order may start; it is asked several times for each response.
    ///
    /// ```
    /// use sip_proxy::{Candidate, Plan};
    ///
    /// // What anybody said counts more than our finding that nobody did.
    /// let own_last = |candidate: &Candidate<'_>| match candidate.response() {
    ///     Some(_) => candidate.rank(),
    ///     None => candidate.rank() + 1_000,
    /// };
    /// let plan = Plan::new().rank(own_last);
    /// ```
    pub fn rank(mut self, rank: impl Fn(&Candidate<'_>) -> u32 + Send + Sync + 'static) -> Self {
        self.manner.choice.rank = Some(Arc::new(rank));
        self
    }

    /// Whether the targets and the failures of earlier plans for the same request are forgotten. Defaults to no: no target
    /// is tried twice, and the best response of all plans goes upstream.
    pub const fn forget_earlier(mut self, forget: bool) -> Self {
        self.manner.forget_earlier = forget;
        self
    }

    /// Whether each provisional response but 100 begins Timer C anew. Defaults to yes (RFC 3261 §16.7 step 2); otherwise
    /// only the first one does, and a callee that repeats its 180 rings no longer than others.
    pub const fn restart_timer_c(mut self, restart: bool) -> Self {
        self.manner.ring_on = !restart;
        self
    }

    /// Whether the 100s of the targets go upstream. Defaults to no: they are for this hop (RFC 3261 §16.7 step 5).
    pub const fn relay_100(mut self, relay: bool) -> Self {
        self.manner.relay_100 = relay;
        self
    }

    /// Whether each provisional response to an INVITE is told, by [`Event::Provisional`](crate::Event::Provisional).
    /// Defaults to no.
    pub const fn tell_provisional(mut self, tell: bool) -> Self {
        self.manner.tell_provisional = tell;
        self
    }

    /// How long all targets together may take, one group after the other: then those that ring are cancelled, no further
    /// one has its turn, and the plan has failed, with 408 unless something better came. Defaults to no end.
    pub const fn deadline(mut self, time: Duration) -> Self {
        self.manner.deadline = Some(time);
        self
    }

    /// The only responses after which the next group has its turn. Defaults to every one but 2xx and 6xx.
    pub fn failover_on(mut self, codes: impl IntoIterator<Item = StatusCode>) -> Self {
        self.manner.failover_on = Some(codes.into_iter().collect());
        self
    }

    /// A header field that every branch gets, such as a Diversion.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.manner.headers.push((name, value));
        self
    }

    /// Whether we stay on the way of requests inside the dialog that is made. Defaults to what the configuration says.
    pub const fn record_route(mut self, record_route: bool) -> Self {
        self.manner.record_route = Some(record_route);
        self
    }

    /// Whether it is told how each target does, by [`Event::TargetTried`](crate::Event::TargetTried) and
    /// [`Event::TargetDone`](crate::Event::TargetDone). Defaults to no.
    pub const fn watch(mut self, watch: bool) -> Self {
        self.manner.watch = watch;
        self
    }

    /// How many targets there are.
    pub fn len(&self) -> usize {
        self.groups.iter().map(Vec::len).sum()
    }

    /// Whether there is no target.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str, q: f32) -> Target {
        Target::new(Uri::parse(text).unwrap()).q(q)
    }

    fn users(plan: &Plan) -> Vec<Vec<String>> {
        plan.groups
            .iter()
            .map(|group| group.iter().map(|target| target.uri.to_string()).collect())
            .collect()
    }

    #[test]
    fn equal_q_rings_together_and_lower_q_later() {
        let plan = Plan::by_q([
            target("sip:a@h", 0.5),
            target("sip:b@h", 1.0),
            target("sip:c@h", 0.5),
        ]);
        assert_eq!(users(&plan), [vec!["sip:b@h"], vec!["sip:a@h", "sip:c@h"]]);
    }

    #[test]
    fn one_device_rings_once_at_a_time() {
        let plan = Plan::by_q([
            target("sip:a@h", 1.0).instance("urn:uuid:1"),
            target("sip:b@h", 1.0).instance("urn:uuid:1"),
            target("sip:c@h", 1.0),
        ]);
        assert_eq!(users(&plan), [vec!["sip:a@h", "sip:c@h"], vec!["sip:b@h"]]);
    }

    #[test]
    fn a_group_of_none_is_no_group() {
        assert!(Plan::at_once(Vec::<Uri>::new()).groups.is_empty());
        assert!(Plan::new().is_empty());
    }
}
