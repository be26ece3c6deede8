//! What an endpoint counts.

use std::ops::AddAssign;

/// A snapshot of what an endpoint holds and has counted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndpointStats {
    /// The transport layer's counters
    pub transport: sip_transport::Stats,
    /// The transaction layer's counters
    pub transactions: sip_transaction::Stats,
    /// Client transactions that exist
    pub client_transactions: usize,
    /// Server transactions that exist
    pub server_transactions: usize,
    /// Requests of ours that are not over
    pub requests: usize,
    /// ACKs to a 2xx that are kept for repetition
    pub acknowledgements: usize,
    /// Requests refused because the transaction table was full, or more came than may in a second
    pub refused: u64,
    /// Those of them that were told so by 503
    pub refused_answered: u64,
    /// Requests of ours that were not sent because the next hop asked for fewer (RFC 7339)
    pub shed: u64,
    /// Flows that are kept alive
    pub flows_kept: usize,
    /// Flows that gave no sign of life
    pub flows_failed: u64,
    /// Names that are being looked up for somebody
    pub lookups: usize,
    /// Responses that wait for a connection or a name
    pub undelivered: usize,
    /// Responses that were given up because there was no way to whom they are for
    pub responses_lost: u64,
    /// ACKs that were dropped because too many waited for a name or a connection, or because nothing led to whom they are
    /// for
    pub acknowledgements_lost: u64,
    /// ACKs that came and belonged to nothing
    pub acknowledgements_unclaimed: u64,
    /// Observed messages lost because nobody fetched them
    pub observations_lost: u64,
}

/// The counts of several shards together.
impl AddAssign for EndpointStats {
    fn add_assign(&mut self, other: Self) {
        // Taken apart, so that no number is forgotten.
        let Self {
            transport,
            transactions,
            client_transactions,
            server_transactions,
            requests,
            acknowledgements,
            refused,
            refused_answered,
            shed,
            flows_kept,
            flows_failed,
            lookups,
            undelivered,
            responses_lost,
            acknowledgements_lost,
            acknowledgements_unclaimed,
            observations_lost,
        } = other;
        self.transport += transport;
        self.transactions += transactions;
        self.client_transactions += client_transactions;
        self.server_transactions += server_transactions;
        self.requests += requests;
        self.acknowledgements += acknowledgements;
        self.refused += refused;
        self.refused_answered += refused_answered;
        self.shed += shed;
        self.flows_kept += flows_kept;
        self.flows_failed += flows_failed;
        self.lookups += lookups;
        self.undelivered += undelivered;
        self.responses_lost += responses_lost;
        self.acknowledgements_lost += acknowledgements_lost;
        self.acknowledgements_unclaimed += acknowledgements_unclaimed;
        self.observations_lost += observations_lost;
    }
}

impl EndpointStats {
    /// Every number under a name that stays the same, for monitoring: `transport_…`, `transaction_…`, `timer_…`,
    /// `endpoint_…`.
    ///
    /// ```
    /// # fn scrape(stats: &sip_endpoint::EndpointStats) {
    /// for (name, number) in stats.entries() {
    ///     println!("sip_{name} {number}");
    /// }
    /// # }
    /// ```
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let own = [
            ("endpoint_requests", self.requests as u64),
            ("endpoint_acknowledgements", self.acknowledgements as u64),
            ("endpoint_refused", self.refused),
            ("endpoint_refused_answered", self.refused_answered),
            ("endpoint_shed", self.shed),
            ("endpoint_flows_kept", self.flows_kept as u64),
            ("endpoint_flows_failed", self.flows_failed),
            ("endpoint_lookups", self.lookups as u64),
            ("endpoint_undelivered", self.undelivered as u64),
            ("endpoint_responses_lost", self.responses_lost),
            ("endpoint_acknowledgements_lost", self.acknowledgements_lost),
            (
                "endpoint_acknowledgements_unclaimed",
                self.acknowledgements_unclaimed,
            ),
            ("endpoint_observations_lost", self.observations_lost),
        ];
        let transport = self.transport.entries().collect::<Vec<_>>();
        let transactions = self.transactions.entries().collect::<Vec<_>>();
        own.into_iter().chain(transport).chain(transactions)
    }
}
