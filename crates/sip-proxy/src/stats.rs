//! What a proxy has counted.

use std::ops::AddAssign;

/// What a proxy has counted since it began, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyStats {
    /// Requests that came, ACKs not counted
    pub requests: u64,
    /// Of those, inside a dialog that we recorded our route in
    pub in_dialog: u64,
    /// ACKs that were forwarded
    pub acks: u64,
    /// ACKs that led nowhere
    pub acks_dropped: u64,
    /// CANCELs for an INVITE that nobody here knows, which got no answer
    pub cancels_dropped: u64,
    /// Copies of requests that were sent
    pub branches: u64,
    /// Requests answered with 2xx
    pub succeeded: u64,
    /// Requests answered with 300 to 699 that was not our own finding
    pub failed: u64,
    /// Requests that were not relayed: malformed, looped, too many hops, not allowed
    pub rejected: u64,
    /// Requests answered with 482
    pub looped: u64,
    /// Requests answered with 407
    pub challenged: u64,
    /// Requests answered with 503 because there were too many, or because we are shutting down
    pub refused: u64,
    /// Requests cancelled from upstream
    pub cancelled: u64,
    /// Branches cancelled by Timer C
    pub timer_c: u64,
    /// Responses that could not go upstream, because their transaction was over
    pub dropped_responses: u64,
    /// Requests that are held now
    pub held: usize,
    /// Requests that wait for a secret now
    pub waiting: usize,
}

impl ProxyStats {
    /// Every number under a name that stays the same, for monitoring: `proxy_…`.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("proxy_requests", self.requests),
            ("proxy_in_dialog", self.in_dialog),
            ("proxy_acks", self.acks),
            ("proxy_acks_dropped", self.acks_dropped),
            ("proxy_cancels_dropped", self.cancels_dropped),
            ("proxy_branches", self.branches),
            ("proxy_succeeded", self.succeeded),
            ("proxy_failed", self.failed),
            ("proxy_rejected", self.rejected),
            ("proxy_looped", self.looped),
            ("proxy_challenged", self.challenged),
            ("proxy_refused", self.refused),
            ("proxy_cancelled", self.cancelled),
            ("proxy_timer_c", self.timer_c),
            ("proxy_dropped_responses", self.dropped_responses),
            ("proxy_held", self.held as u64),
            ("proxy_waiting", self.waiting as u64),
        ]
        .into_iter()
    }
}

/// The counts of several shards together.
impl AddAssign for ProxyStats {
    fn add_assign(&mut self, other: Self) {
        // Taken apart, so that no number is forgotten.
        let Self {
            requests,
            in_dialog,
            acks,
            acks_dropped,
            cancels_dropped,
            branches,
            succeeded,
            failed,
            rejected,
            looped,
            challenged,
            refused,
            cancelled,
            timer_c,
            dropped_responses,
            held,
            waiting,
        } = other;
        self.requests += requests;
        self.in_dialog += in_dialog;
        self.acks += acks;
        self.acks_dropped += acks_dropped;
        self.cancels_dropped += cancels_dropped;
        self.branches += branches;
        self.succeeded += succeeded;
        self.failed += failed;
        self.rejected += rejected;
        self.looped += looped;
        self.challenged += challenged;
        self.refused += refused;
        self.cancelled += cancelled;
        self.timer_c += timer_c;
        self.dropped_responses += dropped_responses;
        self.held += held;
        self.waiting += waiting;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_one_name() {
        let stats = ProxyStats::default();
        let mut names: Vec<_> = stats.entries().map(|(name, _)| name).collect();
        let numbers = format!("{stats:?}").matches(": 0").count();
        assert_eq!(names.len(), numbers, "{stats:?}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), numbers);
    }
}
