//! What was counted.

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
    /// Client transactions that exist now
    pub clients: u64,
    /// Server transactions that exist now
    pub servers: u64,
}
