//! What a user agent holds and counts.

use std::ops::AddAssign;

/// A snapshot of what a user agent holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct UaStats {
    /// Calls that are not over
    pub calls: usize,
    /// Dialogs
    pub dialogs: usize,
    /// Registrations that are not over
    pub registrations: usize,
    /// Requests of the application that have no outcome
    pub requests: usize,
    /// Client transactions whose responses are waited for
    pub awaited: usize,
    /// Requests of peers that wait for the application's answer
    pub handed_out: usize,
    /// Calls of peers that were refused because there were too many
    pub calls_refused: u64,
    /// Other requests of peers that were refused because too many waited for the application's answer
    pub requests_refused: u64,
    /// ACKs that belonged to no dialog of ours
    pub acknowledgements_dropped: u64,
}

impl UaStats {
    /// Every number under a name that stays the same, for monitoring: `ua_…`.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("ua_calls", self.calls as u64),
            ("ua_dialogs", self.dialogs as u64),
            ("ua_registrations", self.registrations as u64),
            ("ua_requests", self.requests as u64),
            ("ua_awaited", self.awaited as u64),
            ("ua_handed_out", self.handed_out as u64),
            ("ua_calls_refused", self.calls_refused),
            ("ua_requests_refused", self.requests_refused),
            ("ua_acknowledgements_dropped", self.acknowledgements_dropped),
        ]
        .into_iter()
    }
}

/// The counts of several shards together.
impl AddAssign for UaStats {
    fn add_assign(&mut self, other: Self) {
        // Taken apart, so that no number is forgotten.
        let Self {
            calls,
            dialogs,
            registrations,
            requests,
            awaited,
            handed_out,
            calls_refused,
            requests_refused,
            acknowledgements_dropped,
        } = other;
        self.calls += calls;
        self.dialogs += dialogs;
        self.registrations += registrations;
        self.requests += requests;
        self.awaited += awaited;
        self.handed_out += handed_out;
        self.calls_refused += calls_refused;
        self.requests_refused += requests_refused;
        self.acknowledgements_dropped += acknowledgements_dropped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_one_name() {
        let stats = UaStats::default();
        let mut names: Vec<_> = stats.entries().map(|(name, _)| name).collect();
        let numbers = format!("{stats:?}").matches(": 0").count();
        assert_eq!(names.len(), numbers, "{stats:?}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), numbers);
    }
}
