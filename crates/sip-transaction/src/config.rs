//! What may be set, and what is then done.

use std::time::Duration;

use crate::timers::Timers;

/// Timers and limits of a [`TransactionLayer`](crate::TransactionLayer).
///
/// ```
/// # use sip_transaction::{Limits, Timers, TransactionConfig};
/// # use std::time::Duration;
/// let config = TransactionConfig::default()
///     .timers(Timers::default().t1(Duration::from_millis(200)))
///     .limits(Limits::default().transactions(10_000));
/// ```
#[derive(Clone, Debug)]
pub struct TransactionConfig {
    pub(crate) timers: Timers,
    pub(crate) limits: Limits,
    pub(crate) trying_after: Option<Duration>,
    pub(crate) trying_reason: Option<String>,
    pub(crate) new_requests: Option<u32>,
    pub(crate) matching: Matching,
    pub(crate) carried: Vec<String>,
}

impl TransactionConfig {
    /// Sets the timers of every server transaction, and of client transactions that bring none of their own.
    ///
    /// Defaults to the values of RFC 3261.
    pub const fn timers(mut self, timers: Timers) -> Self {
        self.timers = timers;
        self
    }

    /// Sets how many transactions there may be.
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how many requests are taken in within a second that begin something new. Those that end what is held or belong
    /// to it pass always: ACK, CANCEL, and every request within a dialog, BYE among them.
    ///
    /// Defaults to none. A request above it is told as [`Event::Overloaded`](crate::Event::Overloaded); its repetitions
    /// too.
    pub const fn new_requests_per_second(mut self, requests: Option<u32>) -> Self {
        self.new_requests = requests;
        self
    }

    /// Sets when an INVITE that was not answered yet is answered with 100; `None` leaves it to the transaction user.
    ///
    /// Defaults to 200 ms (RFC 3261 §17.2.1). A proxy answers 100 itself, at once, and wants `None`.
    pub const fn trying_after(mut self, after: Option<Duration>) -> Self {
        self.trying_after = after;
        self
    }

    /// Sets the reason phrase of the 100 that answer by themselves.
    ///
    /// Defaults to the customary one, `Trying`. Control characters become spaces.
    pub fn trying_reason(mut self, reason: impl Into<String>) -> Self {
        self.trying_reason = Some(reason.into());
        self
    }

    /// Sets what else has to agree, and what need not, for a message to belong to a transaction.
    pub const fn matching(mut self, matching: Matching) -> Self {
        self.matching = matching;
        self
    }

    /// Repeats those header fields of an INVITE in its CANCEL and in the ACK to its refusal whose names begin so, whatever
    /// the case: `X-Tenant`, or `P-`. Each call adds one beginning.
    ///
    /// Defaults to none: those requests end at the next hop, which knows the INVITE (RFC 3261 §9.1, §17.1.1.3). What
    /// RFC 3261 fills in itself is never repeated, nor is what describes a body or requires an extension.
    pub fn carry(mut self, beginning: impl Into<String>) -> Self {
        self.carried.push(beginning.into());
        self
    }
}

impl Default for TransactionConfig {
    fn default() -> Self {
        Self {
            timers: Timers::default(),
            limits: Limits::default(),
            trying_after: Some(Duration::from_millis(200)),
            trying_reason: None,
            new_requests: None,
            matching: Matching::default(),
            carried: Vec::new(),
        }
    }
}

/// What has to agree for a message to belong to a transaction, where it is not what RFC 3261 §17.1.3 and §17.2.3 say.
///
/// ```
/// # use sip_transaction::{Matching, TransactionConfig};
/// let wary = TransactionConfig::default().matching(Matching::default().call_id(true));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matching {
    pub(crate) call_id: bool,
    pub(crate) request_uri: bool,
    pub(crate) via: bool,
}

impl Matching {
    /// Whether a response has to have the Call-ID and the CSeq number of its request.
    ///
    /// Defaults to no: the branch is enough, which nobody guesses (RFC 3261 §17.1.3). Yes keeps a peer out that answers
    /// with the right branch in the wrong call; then its responses are strays.
    pub const fn call_id(mut self, agrees: bool) -> Self {
        self.call_id = agrees;
        self
    }

    /// Whether requests without a branch of RFC 3261 have to have the same Request-URI to be the same.
    ///
    /// Defaults to yes (RFC 3261 §17.2.3). No suits elements of RFC 2543 that write another one into their ACK.
    pub const fn request_uri(mut self, agrees: bool) -> Self {
        self.request_uri = agrees;
        self
    }

    /// Whether requests without a branch of RFC 3261 have to have the same top Via to be the same.
    ///
    /// Defaults to yes (RFC 3261 §17.2.3).
    pub const fn via(mut self, agrees: bool) -> Self {
        self.via = agrees;
        self
    }
}

impl Default for Matching {
    fn default() -> Self {
        Self {
            call_id: false,
            request_uri: true,
            via: true,
        }
    }
}

/// How many transactions there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub(crate) transactions: usize,
    pub(crate) reserve: usize,
}

impl Limits {
    /// Sets how many client transactions there may be, and how many server transactions.
    ///
    /// Defaults to 262,144 of each, because a transaction over datagrams lingers for 32 s: that is some 4,000 calls a
    /// second. A request above the limit is not taken in
    /// ([`Event::Overloaded`](crate::Event::Overloaded)) and not sent
    /// ([`RequestError::Full`](crate::RequestError::Full)).
    pub const fn transactions(mut self, transactions: usize) -> Self {
        self.transactions = transactions;
        self
    }

    /// Sets how many of them are kept for CANCEL and for requests within a dialog, which end what is held.
    ///
    /// Defaults to 16,384.
    pub const fn reserve(mut self, reserve: usize) -> Self {
        self.reserve = reserve;
        self
    }

    /// Whether a table of `taken` transactions has a place for one more.
    pub(crate) const fn admit(&self, taken: usize, privileged: bool) -> bool {
        let limit = if privileged {
            self.transactions
        } else {
            self.transactions.saturating_sub(self.reserve)
        };
        taken < limit
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            transactions: 262_144,
            reserve: 16_384,
        }
    }
}
