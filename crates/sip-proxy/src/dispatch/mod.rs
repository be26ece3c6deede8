//! Sets of destinations, and which of them a request goes to.

mod algorithm;
mod dispatcher;
mod member;
#[cfg(test)]
mod tests;

pub use algorithm::Algorithm;
pub use dispatcher::{DispatchEvent, Dispatcher, HoldsSet, SetId};
pub use member::{DestinationState, DestinationStatus, Finding, Probe};

use crate::Target;
use member::Destination;
use sip_io::Rng;
use sip_message::{Request, Uri};
use std::time::{Duration, Instant};
use thiserror::Error;

/// Destinations that serve the same purpose, such as the gateways of a carrier.
///
/// [`pick`](Self::pick) orders those that are up by the set's [`Algorithm`]; a plan
/// [in that order](crate::Plan::in_order) fails over from one to the next. What is up comes from probes that a
/// [`Dispatcher`] sends and from what real requests found out ([`note`](Self::note)). Requests inside a dialog follow
/// their route and never come here, so a set that changes breaks no call.
///
/// ```
/// # use sip_message::{Method, Request, Uri};
/// # use sip_proxy::{Algorithm, DispatchSet, Plan};
/// # use std::time::Instant;
/// # let request = Request::builder(Method::OPTIONS, Uri::parse("sip:bob@example.com")?)
/// #     .from("sip:a@b", sip_message::Tag::new("1")?).to("sip:bob@example.com").call_id("1").cseq(1).build()?;
/// let mut carriers = DispatchSet::new([7; 32]).algorithm(Algorithm::Priority);
/// carriers.add(Uri::parse("sip:gw1.example.net")?, 70)?;
/// carriers.add(Uri::parse("sip:gw2.example.net")?, 30)?;
/// let gateways = carriers.pick(Instant::now(), &request);
/// assert_eq!(Plan::in_order(gateways).len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DispatchSet {
    algorithm: Algorithm,
    probe: Option<Probe>,
    thresholds: Thresholds,
    destinations: Vec<Destination>,
    limit: usize,
    /// How many requests were distributed, for taking turns
    turn: u64,
    rng: Rng,
}

/// When a destination counts as down, and as up again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thresholds {
    pub(crate) down_after: u32,
    pub(crate) up_after: u32,
    /// How long a destination stays down that nobody probes
    pub(crate) back_off: Duration,
}

/// Why a set did not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DispatchError {
    /// The set has that destination already
    #[error("the destination is there already")]
    Exists,
    /// The set does not have that destination
    #[error("there is no such destination")]
    Unknown,
    /// The set is full
    #[error("the set has {limit} destinations already")]
    Full {
        /// The limit
        limit: usize,
    },
    /// Only `sip` and `sips` URIs can be reached
    #[error("only sip and sips uris can be reached")]
    Scheme,
}

impl DispatchSet {
    /// A set without destinations. The seed decides by lot; where a hash puts a call is the same with every seed.
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            algorithm: Algorithm::default(),
            probe: None,
            thresholds: Thresholds {
                down_after: 1,
                up_after: 1,
                back_off: Duration::from_secs(30),
            },
            destinations: Vec::new(),
            limit: 256,
            turn: 0,
            rng: Rng::new(seed),
        }
    }

    /// Takes another seed, for who had none when the set was made.
    pub fn reseed(&mut self, seed: [u8; 32]) {
        self.rng = Rng::new(seed);
    }

    /// How destinations are ordered. Defaults to [`Algorithm::Weighted`].
    #[must_use]
    pub const fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// Asks each destination now and then whether it lives, which takes a [`Dispatcher`]. Defaults to no: then only what
    /// real requests find counts.
    #[must_use]
    pub const fn probe(mut self, probe: Probe) -> Self {
        self.thresholds.down_after = probe.down_after;
        self.thresholds.up_after = probe.up_after;
        self.probe = Some(probe);
        self
    }

    /// How long a destination stays down when nobody probes it and it did not say. Defaults to 30 s.
    #[must_use]
    pub const fn back_off(mut self, back_off: Duration) -> Self {
        self.thresholds.back_off = back_off;
        self
    }

    /// How many destinations the set may have. Defaults to 256, because each request looks at all of them.
    #[must_use]
    pub const fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Adds a destination, up until something else is found.
    ///
    /// # Errors
    ///
    /// When it is there already, the set is full, or the URI cannot be reached.
    pub fn add(&mut self, uri: Uri, weight: u32) -> Result<(), DispatchError> {
        if !uri.is_sip() {
            return Err(DispatchError::Scheme);
        }
        if self.position(&uri).is_some() {
            return Err(DispatchError::Exists);
        }
        if self.destinations.len() >= self.limit {
            return Err(DispatchError::Full { limit: self.limit });
        }
        self.destinations.push(Destination::new(uri, weight));
        Ok(())
    }

    /// Takes a destination out. Calls that it has go on.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn remove(&mut self, uri: &Uri) -> Result<(), DispatchError> {
        let position = self.position(uri).ok_or(DispatchError::Unknown)?;
        self.destinations.remove(position);
        Ok(())
    }

    /// Changes a destination's share; 0 leaves it to be tried last.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn set_weight(&mut self, uri: &Uri, weight: u32) -> Result<(), DispatchError> {
        self.find(uri).ok_or(DispatchError::Unknown)?.weight = weight;
        Ok(())
    }

    /// Gives a destination no new calls from now on, or with `false` new calls again.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn drain(&mut self, uri: &Uri, drain: bool) -> Result<(), DispatchError> {
        self.find(uri).ok_or(DispatchError::Unknown)?.draining = drain;
        Ok(())
    }

    /// The destinations that are up, the one to be tried first in front; none when all are down or draining.
    pub fn pick(&mut self, now: Instant, request: &Request) -> Vec<Target> {
        self.turn = self.turn.wrapping_add(1);
        let usable: Vec<&Destination> = self
            .destinations
            .iter()
            .filter(|destination| destination.is_usable(now))
            .collect();
        algorithm::ordered(self.algorithm, usable, request, self.turn, &mut self.rng)
            .into_iter()
            .map(|destination| Target::new(destination.uri.clone()))
            .collect()
    }

    /// When all are down: how long until the first may be up again, for the Retry-After of a 503.
    pub fn retry_after(&self, now: Instant) -> Option<Duration> {
        let waits = self
            .destinations
            .iter()
            .filter(|destination| !destination.draining)
            .map(|destination| destination.down_for(now));
        waits.min().filter(|wait| !wait.is_zero())
    }

    /// Notes what a request found out about a destination. Whether it is up or down now, if that has changed; a stranger
    /// changes nothing.
    pub fn note(&mut self, now: Instant, uri: &Uri, finding: Finding) -> Option<DestinationState> {
        let thresholds = self.thresholds;
        let probed = self.probe.is_some();
        self.find(uri)?.note(now, finding, thresholds, probed)
    }

    /// Notes that a call goes to a destination, for [`Algorithm::LeastLoad`].
    pub fn call_started(&mut self, uri: &Uri) {
        if let Some(destination) = self.find(uri) {
            destination.load = destination.load.saturating_add(1);
        }
    }

    /// Notes that a call at a destination is over.
    pub fn call_ended(&mut self, uri: &Uri) {
        if let Some(destination) = self.find(uri) {
            destination.load = destination.load.saturating_sub(1);
        }
    }

    /// Every destination as it is now, in the order in which they were added.
    pub fn snapshot(&self, now: Instant) -> Vec<DestinationStatus> {
        self.destinations
            .iter()
            .map(|destination| destination.status(now))
            .collect()
    }

    fn position(&self, uri: &Uri) -> Option<usize> {
        self.destinations
            .iter()
            .position(|destination| destination.uri == *uri)
    }

    fn find(&mut self, uri: &Uri) -> Option<&mut Destination> {
        self.destinations
            .iter_mut()
            .find(|destination| destination.uri == *uri)
    }
}
