//! The core that probes.

use super::{DestinationState, DispatchSet, Finding, Probe};
use sip_endpoint::{Context, Core, Draft, Event, RequestId};
use sip_io::TimerQueue;
use sip_message::{Method, Request, Uri, headers::RetryAfter};
use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

/// Dispatch sets, and the OPTIONS requests that find out which destinations live.
///
/// It stands on the endpoint beside a [`Proxy`](crate::Proxy), which asks its owner where a request goes; the owner asks
/// [`set_mut`](Self::set_mut) for the set and [picks](DispatchSet::pick).
///
/// ```
/// # use sip_message::Uri;
/// # use sip_proxy::{Algorithm, Dispatcher, DispatchSet, Probe};
/// # use std::time::{Duration, Instant};
/// let now = Instant::now();
/// let probe = Probe::options(Duration::from_secs(10)).down_after(3).up_after(2);
/// let mut set = DispatchSet::new([1; 32]).algorithm(Algorithm::LeastLoad).probe(probe);
/// set.add(Uri::parse("sip:gw1.example.net")?, 50)?;
///
/// let mut dispatcher = Dispatcher::new(now);
/// let carriers = dispatcher.add(now, set);
/// assert_eq!(dispatcher.set(carriers).map(|set| set.snapshot(now).len()), Some(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Dispatcher<S = DispatchSet> {
    sets: BTreeMap<SetId, S>,
    probes: BTreeMap<RequestId, Sent>,
    timers: TimerQueue<SetId>,
    events: VecDeque<DispatchEvent>,
    serial: u32,
    stopped: bool,
}

/// Names a set of a dispatcher; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetId(u32);

/// What a dispatcher tells its owner.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum DispatchEvent {
    /// A probe found that a destination is up or down now.
    Changed {
        /// The set
        set: SetId,
        /// The destination
        uri: Uri,
        /// How it is now
        state: DestinationState,
    },
}

#[derive(Debug)]
struct Sent {
    set: SetId,
    uri: Uri,
    at: Instant,
    /// Whether a final response came already
    answered: bool,
}

/// A [`DispatchSet`], or a handle of one that others have too.
pub trait HoldsSet {
    /// Looks at the set, or changes it.
    fn with<R>(&mut self, job: impl FnOnce(&mut DispatchSet) -> R) -> R;
}

impl HoldsSet for DispatchSet {
    fn with<R>(&mut self, job: impl FnOnce(&mut Self) -> R) -> R {
        job(self)
    }
}

impl<S: HoldsSet> Dispatcher<S> {
    /// A dispatcher without sets.
    pub fn new(now: Instant) -> Self {
        Self {
            sets: BTreeMap::new(),
            probes: BTreeMap::new(),
            timers: TimerQueue::new(now),
            events: VecDeque::new(),
            serial: 0,
            stopped: false,
        }
    }

    /// Adds a set. The first probes are sent at once.
    pub fn add(&mut self, now: Instant, mut set: S) -> SetId {
        let id = SetId(self.serial);
        self.serial += 1;
        if set.with(|set| set.probe.is_some()) {
            self.timers.insert(now, id);
        }
        self.sets.insert(id, set);
        id
    }

    /// Takes a set out.
    pub fn remove(&mut self, id: SetId) -> Option<S> {
        self.sets.remove(&id)
    }

    /// A set.
    pub fn set(&self, id: SetId) -> Option<&S> {
        self.sets.get(&id)
    }

    /// A set, to pick from it or to change it.
    pub fn set_mut(&mut self, id: SetId) -> Option<&mut S> {
        self.sets.get_mut(&id)
    }

    fn probe_all(&mut self, cx: &mut Context<'_>, id: SetId) {
        let Some(set) = self.sets.get_mut(&id) else {
            return;
        };
        let (probe, uris) = set.with(|set| {
            let uris = set.destinations.iter();
            let uris: Vec<Uri> = uris.map(|destination| destination.uri.clone()).collect();
            (set.probe, uris)
        });
        let Some(probe) = probe else { return };
        for uri in uris {
            let is_open = |sent: &Sent| sent.set == id && sent.uri == uri && !sent.answered;
            if !self.probes.values().any(is_open)
                && let Some(draft) = options(cx, &uri, probe)
            {
                let sent = Sent {
                    set: id,
                    uri,
                    at: cx.now,
                    answered: false,
                };
                self.probes.insert(cx.request(draft), sent);
            }
        }
        self.timers.insert(cx.now + probe.interval, id);
    }

    fn note(&mut self, now: Instant, id: SetId, uri: Uri, finding: Finding) {
        let Some(set) = self.sets.get_mut(&id) else {
            return;
        };
        if let Some(state) = set.with(|set| set.note(now, &uri, finding)) {
            let set = id;
            self.events
                .push_back(DispatchEvent::Changed { set, uri, state });
        }
    }
}

impl<S: HoldsSet> Core for Dispatcher<S> {
    type Event = DispatchEvent;

    fn handle_event(&mut self, cx: &mut Context<'_>, event: Event) -> Option<Event> {
        match event {
            Event::Response { id, response, flow } => {
                let Some(sent) = self.probes.get_mut(&id) else {
                    return Some(Event::Response { id, response, flow });
                };
                if response.status().is_final() {
                    sent.answered = true;
                    let (set, uri) = (sent.set, sent.uri.clone());
                    let after = cx.now.saturating_duration_since(sent.at);
                    let retry_after = match response.headers().get::<RetryAfter>() {
                        Some(Ok(retry_after)) => Some(retry_after.delay()),
                        _ => None,
                    };
                    let finding = Finding::of(response.status(), retry_after, after);
                    self.note(cx.now, set, uri, finding);
                }
                None
            }
            Event::RequestFailed { id, reason } => match self.probes.remove(&id) {
                Some(sent) => {
                    self.note(cx.now, sent.set, sent.uri, Finding::Failed);
                    None
                }
                None => Some(Event::RequestFailed { id, reason }),
            },
            Event::RequestEnded { id } => match self.probes.remove(&id) {
                Some(_) => None,
                None => Some(Event::RequestEnded { id }),
            },
            other => Some(other),
        }
    }

    fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        while let Some(id) = self.timers.pop(cx.now) {
            if !self.stopped {
                self.probe_all(cx, id);
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    fn poll_event(&mut self) -> Option<DispatchEvent> {
        self.events.pop_front()
    }

    fn shutdown(&mut self, cx: &mut Context<'_>) {
        self.stopped = true;
        self.timers = TimerQueue::new(cx.now);
    }
}

/// RFC 3261 §11: a request that asks for nothing but a sign of life.
fn options(cx: &mut Context<'_>, uri: &Uri, probe: Probe) -> Option<Draft> {
    let (tag, call_id) = (cx.new_tag(), cx.new_call_id());
    let request = Request::builder(Method::OPTIONS, uri.clone())
        .from("sip:ping@dispatch.invalid", tag)
        .to(uri.clone())
        .call_id(&call_id)
        .cseq(1)
        .max_forwards(HOPS)
        .build()
        .ok()?;
    Some(Draft::new(request).deadline(probe.timeout.max(SHORTEST)))
}

/// A probe is for the destination itself and perhaps an outbound proxy before it.
const HOPS: u8 = 10;

const SHORTEST: Duration = Duration::from_millis(100);
