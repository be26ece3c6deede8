//! What a caller can get wrong.

use thiserror::Error;

use sip_message::StatusCode;

/// Why [`request`](crate::TransactionLayer::request) refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// There are as many client transactions as there may be
    #[error("the limit of {limit} client transactions is reached")]
    Full {
        /// How many there may be
        limit: usize,
    },
    /// The request has no Via with a branch
    #[error("the request has no branch")]
    NoBranch,
    /// Another request was sent with the same branch (RFC 3261 §8.1.1.7)
    #[error("the branch belongs to another transaction")]
    BranchInUse,
    /// An ACK makes no transaction
    #[error("an ACK makes no transaction")]
    Ack,
}

/// Why [`cancel`](crate::TransactionLayer::cancel) refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CancelError {
    /// Only an INVITE can be cancelled (RFC 3261 §9.1)
    #[error("only an INVITE can be cancelled")]
    NotInvite,
    /// The final response came
    #[error("the final response came already")]
    AlreadyFinal,
    /// The INVITE is longer or stranger than what can be read back
    #[error("the request cannot be read back")]
    Unreadable,
    /// The transaction is gone
    #[error("the transaction has ended")]
    Gone,
}

/// What [`cancel`](crate::TransactionLayer::cancel) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cancelled {
    /// CANCEL was sent
    Sent,
    /// CANCEL is sent with the first provisional response, because it must not go before (RFC 3261 §9.1)
    Wished,
    /// It had been asked for before
    Already,
}

/// Why [`respond`](crate::TransactionLayer::respond) refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RespondError {
    /// A final response was already sent, and this is not a 2xx after a 2xx (RFC 6026 §7.1)
    #[error("final response {0} was already sent")]
    AlreadyFinal(StatusCode),
    /// The response must not be sent to anything but INVITE: 101–199, 408, or a 100 too early (RFC 4320 §4)
    #[error("{0} must not be sent now to a request that is no INVITE")]
    NotAllowed(StatusCode),
    /// The transaction is gone
    #[error("the transaction has ended")]
    Gone,
}
