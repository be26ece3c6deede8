//! What checking a request leads to.

use super::{Malformed, Question};
use std::time::Duration;

/// As what a server asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// As user agent server or registrar: 401, WWW-Authenticate, Authorization
    Server,
    /// As proxy: 407, Proxy-Authenticate, Proxy-Authorization
    Proxy,
}

/// What checking a request leads to.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // it lives for a moment
pub enum Verdict {
    /// Someone has to find the user's secret, for [`Server::decide`](crate::Server::decide).
    Question(Question),
    /// No secret is needed to answer.
    Settled(Outcome),
}

/// Who a request comes from, or why that is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The user knows the password.
    Granted {
        /// The user name as in the credentials
        user: String,
    },
    /// There is no such user, or the password is wrong.
    Refused {
        /// The user name as in the credentials
        user: String,
    },
    /// There were too many failures, so nothing was checked.
    Blocked {
        /// The user name as in the credentials
        user: String,
        /// How long to wait
        wait: Duration,
    },
    /// There are no credentials for this realm, or none that were asked for.
    Missing,
    /// The nonce has ended, is not ours or was used before.
    Stale,
    /// There are credentials for this realm that cannot be read.
    Malformed(Malformed),
}

/// What a server has done, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// Challenges made
    pub challenges: u64,
    /// Requests with valid credentials
    pub granted: u64,
    /// Requests with a wrong password or an unknown user
    pub refused: u64,
    /// Requests that came while their user or source had to wait
    pub blocked: u64,
    /// Requests with a nonce that had ended, was not ours or was used before
    pub stale: u64,
    /// Requests with credentials that cannot be read
    pub malformed: u64,
    /// Nonces that ended before their time, because the table was full
    pub evicted: u64,
    /// Used nonces remembered now
    pub replay_entries: usize,
    /// Users and sources with failures remembered now
    pub failure_entries: usize,
}
