//! Why a command was refused.

use thiserror::Error;

/// The id is stale: what it named is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it is over")]
pub struct Gone;

/// Why [`UserAgent::call`](crate::UserAgent::call), [`UserAgent::register`](crate::UserAgent::register) or
/// [`UserAgent::request`](crate::UserAgent::request) refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StartError {
    /// There are as many as the configuration allows
    #[error("there are {0}, as many as allowed")]
    Full(usize),
    /// The user agent is shutting down
    #[error("the user agent is shutting down")]
    ShuttingDown,
    /// The scheme of the URI is not `sip` or `sips`
    #[error("only sip and sips uris can be reached")]
    UnsupportedScheme,
    /// The call within which it was to be sent is over or not established
    #[error("the call is not established")]
    NotEstablished,
}

/// Why a verb of an incoming call refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The call is over; its [`Event::Ended`](crate::Event::Ended) says why
    #[error("the call is over")]
    Gone,
    /// It is no incoming call, or it was answered
    #[error("the call does not wait for an answer")]
    NotRinging,
    /// The status code is not of the class that the verb sends
    #[error("the status code does not belong to this verb")]
    WrongClass,
}

/// Why [`UserAgent::reoffer`](crate::UserAgent::reoffer) refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReofferError {
    /// The call is over
    #[error("the call is over")]
    Gone,
    /// The call is not established yet, or is being hung up
    #[error("the call is not established")]
    NotEstablished,
    /// An INVITE or an offer of either side is open: try again when it is done
    #[error("another offer is open")]
    Busy,
}

/// Why [`UserAgent::provide_session`](crate::UserAgent::provide_session) or
/// [`UserAgent::refuse_session`](crate::UserAgent::refuse_session) refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The call is over
    #[error("the call is over")]
    Gone,
    /// The question was answered, or its cause is gone
    #[error("the question is no longer open")]
    NotAsked,
}
