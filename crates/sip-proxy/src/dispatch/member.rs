//! One destination, and how it does.

use super::Thresholds;
use sip_message::{StatusCode, Uri};
use std::time::{Duration, Instant};

/// How the destinations of a set are asked whether they live.
///
/// Any answer but 408, 503 and 504 is one of somebody who lives, as a gateway that knows no OPTIONS says 405.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) down_after: u32,
    pub(crate) up_after: u32,
}

impl Probe {
    /// An OPTIONS to each destination every `interval`, at least a second.
    pub fn options(interval: Duration) -> Self {
        Self {
            interval: interval.max(Duration::from_secs(1)),
            timeout: Duration::from_secs(4),
            down_after: 1,
            up_after: 1,
        }
    }

    /// How long an answer may take. Defaults to 4 s.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many failures in a row make a destination count as down. Defaults to 1.
    #[must_use]
    pub fn down_after(mut self, failures: u32) -> Self {
        self.down_after = failures.max(1);
        self
    }

    /// How many answers in a row make it count as up again. Defaults to 1.
    #[must_use]
    pub fn up_after(mut self, answers: u32) -> Self {
        self.up_after = answers.max(1);
        self
    }
}

/// What a request found out about a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// It answered, after this time
    Answered(Duration),
    /// It did not answer, or could not be reached
    Failed,
    /// It was not asked, because it wants fewer requests (RFC 7339)
    Shed,
    /// It said 503, and perhaps for how long
    Unavailable(Option<Duration>),
}

impl Finding {
    /// What a final response says about who sent it.
    pub fn of(status: StatusCode, retry_after: Option<Duration>, after: Duration) -> Self {
        match status.as_u16() {
            503 => Self::Unavailable(retry_after),
            408 | 504 => Self::Failed,
            _ => Self::Answered(after),
        }
    }
}

/// Whether a destination gets calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DestinationState {
    /// It gets calls
    Up,
    /// It gets calls, but has failed lately and has not failed often enough to be down
    Suspect,
    /// It gets no calls
    Down,
    /// It gets no new calls because we were told so
    Draining,
}

/// A destination as it is at one moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DestinationStatus {
    /// Which
    pub uri: Uri,
    /// Its share
    pub weight: u32,
    /// Whether it gets calls
    pub state: DestinationState,
    /// Calls that it has, as far as was told
    pub load: u32,
    /// How fast it answers, the latest answers counting most; `None` before the first
    pub latency: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) uri: Uri,
    pub(crate) weight: u32,
    pub(crate) draining: bool,
    pub(crate) load: u32,
    pub(crate) latency: Option<Duration>,
    health: Health,
}

#[derive(Clone, Copy, Debug)]
enum Health {
    Up {
        failures: u32,
    },
    Down {
        answers: u32,
        /// When it may be tried again; `None`: when a probe says so
        until: Option<Instant>,
    },
}

impl Destination {
    pub(super) const fn new(uri: Uri, weight: u32) -> Self {
        Self {
            uri,
            weight,
            draining: false,
            load: 0,
            latency: None,
            health: Health::Up { failures: 0 },
        }
    }

    pub(super) fn is_usable(&self, now: Instant) -> bool {
        !self.draining && self.down_for(now).is_zero()
    }

    /// How long it stays down as far as is known.
    pub(super) fn down_for(&self, now: Instant) -> Duration {
        match self.health {
            Health::Up { .. } => Duration::ZERO,
            Health::Down { until: None, .. } => NEXT_PROBE,
            Health::Down {
                until: Some(until), ..
            } => until.saturating_duration_since(now),
        }
    }

    /// Takes a finding in; returns the new state if it has changed.
    pub(super) fn note(
        &mut self,
        now: Instant,
        finding: Finding,
        thresholds: Thresholds,
        probed: bool,
    ) -> Option<DestinationState> {
        let was_up = self.down_for(now).is_zero();
        let back_off = (!probed).then(|| now + thresholds.back_off);
        let down = |until| Health::Down { answers: 0, until };
        self.health = match (finding, self.health) {
            (Finding::Shed, health) => health,
            (Finding::Answered(after), health) => {
                self.latency = Some(self.latency.map_or(after, |old| (old * 7 + after) / 8));
                match health {
                    Health::Down { answers, until } if answers + 1 < thresholds.up_after => {
                        Health::Down {
                            answers: answers + 1,
                            until,
                        }
                    }
                    // RFC 3261 §21.5.4: who asked for a rest gets it, whatever else is answered meanwhile.
                    Health::Down {
                        until: Some(until), ..
                    } if until > now && probed => down(Some(until)),
                    _ => Health::Up { failures: 0 },
                }
            }
            (Finding::Unavailable(Some(asked)), _) => down(Some(now + asked.min(LONGEST_REST))),
            (Finding::Failed | Finding::Unavailable(None), Health::Up { failures }) => {
                if failures + 1 < thresholds.down_after {
                    Health::Up {
                        failures: failures + 1,
                    }
                } else {
                    down(back_off)
                }
            }
            (Finding::Failed | Finding::Unavailable(None), Health::Down { until, .. }) => {
                down(until.max(back_off))
            }
        };
        let is_up = self.down_for(now).is_zero();
        (is_up != was_up).then_some(if is_up {
            DestinationState::Up
        } else {
            DestinationState::Down
        })
    }

    pub(super) fn status(&self, now: Instant) -> DestinationStatus {
        let state = match self.health {
            _ if self.draining => DestinationState::Draining,
            _ if !self.down_for(now).is_zero() => DestinationState::Down,
            Health::Up { failures: 0 } => DestinationState::Up,
            Health::Up { .. } | Health::Down { .. } => DestinationState::Suspect,
        };
        DestinationStatus {
            uri: self.uri.clone(),
            weight: self.weight,
            state,
            load: self.load,
            latency: self.latency,
        }
    }
}

/// What a caller is told to wait when only a probe knows.
const NEXT_PROBE: Duration = Duration::from_secs(10);

/// Nobody can ask to be left alone for longer.
const LONGEST_REST: Duration = Duration::from_secs(3_600);
