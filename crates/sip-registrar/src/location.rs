//! Where bindings are kept.

use crate::{Binding, Change, ChangeError};
use ahash::RandomState;
use sip_io::{Flow, TimerId, TimerQueue, WallClock};
use sip_message::{Aor, StatusCode};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// A location service (RFC 3261 §10) that answers at once.
///
/// One that has to ask a database is not a `Location`: see [`Registrar::asking`](crate::Registrar::asking).
pub trait Location: Send {
    /// The bindings of an address-of-record that have not ended, most preferred first.
    fn lookup(&self, now: Instant, aor: &Aor) -> Vec<Binding>;

    /// Applies a change, and returns what the bindings are now.
    ///
    /// # Errors
    ///
    /// When the change breaks a rule, or the store cannot take it.
    fn update(
        &mut self,
        now: Instant,
        aor: &Aor,
        change: &Change,
    ) -> Result<Vec<Binding>, UpdateError>;

    /// A stream has ended: bindings that can only be reached over it go, the others forget it.
    fn flow_closed(&mut self, _flow: &Flow) {}

    /// Forgets what has ended; returns whose bindings changed.
    fn handle_timeout(&mut self, _now: Instant) -> Vec<Aor> {
        Vec::new()
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next.
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

/// Why an update was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The REGISTER breaks a rule
    #[error(transparent)]
    Refused(#[from] ChangeError),
    /// The store is out of order, or full
    #[error("the location service is unavailable: {0}")]
    Unavailable(String),
}

impl UpdateError {
    /// The status of the response: 400, 423 or 503.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Refused(error) => error.status(),
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// A location service in memory: bounded, and forgotten at the end of the program.
///
/// ```
/// use sip_io::WallClock;
/// use sip_message::Aor;
/// use sip_registrar::{Location, MemoryLocation};
/// # use std::time::{Instant, SystemTime};
/// let now = Instant::now();
/// let location = MemoryLocation::new([7; 32], WallClock { at: now, is: SystemTime::now() });
/// assert!(location.lookup(now, &Aor::parse("sip:bob@example.com")?).is_empty());
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Debug)]
pub struct MemoryLocation {
    clock: WallClock,
    limit: usize,
    records: HashMap<Aor, Record, RandomState>,
    /// Who is reached over which stream
    by_flow: HashMap<Flow, Vec<Aor>, RandomState>,
    timers: TimerQueue<Aor>,
}

#[derive(Debug, Default)]
struct Record {
    bindings: Vec<Binding>,
    timer: Option<TimerId>,
}

impl MemoryLocation {
    /// An empty one. The seed is for the hash table, whose keys anyone can choose.
    pub fn new(seed: [u8; 32], clock: WallClock) -> Self {
        let mut rng = sip_io::Rng::new(seed);
        let hasher = RandomState::with_seeds(
            rng.next_u64(),
            rng.next_u64(),
            rng.next_u64(),
            rng.next_u64(),
        );
        Self {
            clock,
            limit: 100_000,
            records: HashMap::with_hasher(hasher.clone()),
            by_flow: HashMap::with_hasher(hasher),
            timers: TimerQueue::new(clock.at),
        }
    }

    /// How many addresses-of-record may have bindings. Defaults to 100,000; above it a REGISTER for another one gets
    /// 503.
    pub const fn limit(mut self, addresses_of_record: usize) -> Self {
        self.limit = addresses_of_record;
        self
    }

    /// How many addresses-of-record have bindings.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether nobody is registered.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Every address-of-record with its bindings, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Aor, &[Binding])> {
        self.records
            .iter()
            .map(|(aor, record)| (aor, record.bindings.as_slice()))
    }

    /// Takes over the bindings of an address-of-record.
    fn store(&mut self, now: Instant, aor: &Aor, bindings: Vec<Binding>) {
        self.take(aor);
        let at = self.clock.at(now);
        let Some(first) = bindings.iter().map(|binding| binding.remaining(at)).min() else {
            return;
        };
        // A timer never fires early, and what it finds must have ended.
        let timer = self
            .timers
            .insert(now + first + Duration::from_millis(1), aor.clone());
        for flow in bindings.iter().filter_map(|binding| binding.flow) {
            let reached = self.by_flow.entry(flow).or_default();
            if !reached.contains(aor) {
                reached.push(aor.clone());
            }
        }
        self.records.insert(
            aor.clone(),
            Record {
                bindings,
                timer: Some(timer),
            },
        );
    }

    fn take(&mut self, aor: &Aor) -> Vec<Binding> {
        let Some(record) = self.records.remove(aor) else {
            return Vec::new();
        };
        if let Some(timer) = record.timer {
            self.timers.cancel(timer);
        }
        for flow in record.bindings.iter().filter_map(|binding| binding.flow) {
            if let Some(reached) = self.by_flow.get_mut(&flow) {
                reached.retain(|other| other != aor);
                if reached.is_empty() {
                    self.by_flow.remove(&flow);
                }
            }
        }
        record.bindings
    }
}

impl Location for MemoryLocation {
    fn lookup(&self, now: Instant, aor: &Aor) -> Vec<Binding> {
        let at = self.clock.at(now);
        let Some(record) = self.records.get(aor) else {
            return Vec::new();
        };
        let mut bindings: Vec<Binding> = record
            .bindings
            .iter()
            .filter(|binding| !binding.is_expired(at))
            .cloned()
            .collect();
        bindings.sort_by_key(|binding| std::cmp::Reverse(binding.q()));
        bindings
    }

    fn update(
        &mut self,
        now: Instant,
        aor: &Aor,
        change: &Change,
    ) -> Result<Vec<Binding>, UpdateError> {
        let old = self.records.get(aor).map(|record| record.bindings.clone());
        if old.is_none() && self.records.len() >= self.limit && !change.is_query() {
            return Err(UpdateError::Unavailable(format!(
                "{} addresses-of-record",
                self.limit
            )));
        }
        let bindings = change.apply(old.unwrap_or_default())?;
        if !change.is_query() {
            self.store(now, aor, bindings.clone());
        }
        Ok(bindings)
    }

    fn flow_closed(&mut self, flow: &Flow) {
        let Some(reached) = self.by_flow.remove(flow) else {
            return;
        };
        for aor in reached {
            let Some(record) = self.records.get_mut(&aor) else {
                continue;
            };
            record.bindings.retain_mut(|binding| {
                if binding.flow != Some(*flow) {
                    return true;
                }
                binding.flow = None;
                // RFC 5626 §7: such a Contact was never meant to be located.
                !binding.is_outbound()
            });
            if record.bindings.is_empty() {
                self.take(&aor);
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) -> Vec<Aor> {
        let mut changed = Vec::new();
        let at = self.clock.at(now);
        while let Some(aor) = self.timers.pop(now) {
            if let Some(record) = self.records.get_mut(&aor) {
                record.timer = None;
            }
            let mut bindings = self.take(&aor);
            let before = bindings.len();
            bindings.retain(|binding| !binding.is_expired(at));
            if bindings.len() < before {
                changed.push(aor.clone());
            }
            self.store(now, &aor, bindings);
        }
        changed
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a test needs an instant to start from
mod tests;
