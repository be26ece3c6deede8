//! What was counted.

use crate::timers::Timer;
use std::ops::AddAssign;

/// Counters of a [`TransactionLayer`](crate::TransactionLayer) since its start, and how many transactions there are.
///
/// The names are stable: monitoring may rely on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Client transactions that were begun, those of CANCEL included
    pub client_transactions: u64,
    /// Server transactions that were begun
    pub server_transactions: u64,
    /// Requests that were sent again (Timers A and E)
    pub requests_retransmitted: u64,
    /// Responses that were sent again (Timer G, or because the request came again)
    pub responses_retransmitted: u64,
    /// Requests that came again
    pub requests_repeated: u64,
    /// Responses that came again
    pub responses_repeated: u64,
    /// ACKs that a transaction absorbed
    pub acks_absorbed: u64,
    /// Client transactions that ended without a response (Timers B and F), or without a final one after CANCEL
    pub timed_out: u64,
    /// Client transactions that ended because of the transport
    pub failed: u64,
    /// INVITE server transactions that saw no ACK (Timer H)
    pub unacknowledged: u64,
    /// Responses that belong to no transaction (RFC 6026 §8.9)
    pub strays: u64,
    /// Requests that were not taken in because the table was full
    pub overloaded: u64,
    /// Messages without the header fields that a transaction is found by
    pub unmatchable: u64,
    /// How often each timer fired, in the order of [`Timer`]; see [`fired`](Self::fired)
    pub(crate) timers: [u64; TIMERS.len()],
    /// Client transactions that exist now
    pub clients: u64,
    /// Server transactions that exist now
    pub servers: u64,
}

/// The counts of several shards together.
impl AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        // Taken apart, so that no number is forgotten.
        let Self {
            client_transactions,
            server_transactions,
            requests_retransmitted,
            responses_retransmitted,
            requests_repeated,
            responses_repeated,
            acks_absorbed,
            timed_out,
            failed,
            unacknowledged,
            strays,
            overloaded,
            unmatchable,
            timers,
            clients,
            servers,
        } = other;
        self.client_transactions += client_transactions;
        self.server_transactions += server_transactions;
        self.requests_retransmitted += requests_retransmitted;
        self.responses_retransmitted += responses_retransmitted;
        self.requests_repeated += requests_repeated;
        self.responses_repeated += responses_repeated;
        self.acks_absorbed += acks_absorbed;
        self.timed_out += timed_out;
        self.failed += failed;
        self.unacknowledged += unacknowledged;
        self.strays += strays;
        self.overloaded += overloaded;
        self.unmatchable += unmatchable;
        for (count, more) in self.timers.iter_mut().zip(timers) {
            *count += more;
        }
        self.clients += clients;
        self.servers += servers;
    }
}

impl Stats {
    /// How often a timer fired.
    pub const fn fired(&self, timer: Timer) -> u64 {
        self.timers[timer as usize]
    }

    /// Every number under a name that stays the same, for monitoring.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let timers = TIMERS
            .into_iter()
            .map(|(name, timer)| (name, self.fired(timer)));
        [
            ("transaction_client_transactions", self.client_transactions),
            ("transaction_server_transactions", self.server_transactions),
            (
                "transaction_requests_retransmitted",
                self.requests_retransmitted,
            ),
            (
                "transaction_responses_retransmitted",
                self.responses_retransmitted,
            ),
            ("transaction_requests_repeated", self.requests_repeated),
            ("transaction_responses_repeated", self.responses_repeated),
            ("transaction_acks_absorbed", self.acks_absorbed),
            ("transaction_timed_out", self.timed_out),
            ("transaction_failed", self.failed),
            ("transaction_unacknowledged", self.unacknowledged),
            ("transaction_strays", self.strays),
            ("transaction_overloaded", self.overloaded),
            ("transaction_unmatchable", self.unmatchable),
            ("transaction_clients", self.clients),
            ("transaction_servers", self.servers),
        ]
        .into_iter()
        .chain(timers)
    }

    pub(crate) const fn count(&mut self, timer: Timer) {
        self.timers[timer as usize] += 1;
    }
}

const TIMERS: [(&str, Timer); 14] = [
    ("timer_a", Timer::A),
    ("timer_b", Timer::B),
    ("timer_d", Timer::D),
    ("timer_e", Timer::E),
    ("timer_f", Timer::F),
    ("timer_g", Timer::G),
    ("timer_h", Timer::H),
    ("timer_i", Timer::I),
    ("timer_j", Timer::J),
    ("timer_k", Timer::K),
    ("timer_l", Timer::L),
    ("timer_m", Timer::M),
    ("timer_trying", Timer::Trying),
    ("timer_cancel", Timer::Cancel),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_one_name_and_every_timer_its_own() {
        let mut stats = Stats::default();
        for (place, (_, timer)) in TIMERS.into_iter().enumerate() {
            assert_eq!(timer as usize, place);
            stats.count(timer);
        }
        let mut names: Vec<_> = stats.entries().map(|(name, _)| name).collect();
        let numbers = names.len();
        assert_eq!(
            numbers,
            format!("{stats:?}").matches(": ").count() - 1 + TIMERS.len()
        );
        assert_eq!(stats.entries().map(|(_, number)| number).sum::<u64>(), 14);
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), numbers);
    }
}
