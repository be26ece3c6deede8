//! What goes wrong, one small enum for each verb, and their sum for `?`.

use sip_endpoint::{Attempt, Failure};
use sip_message::{ParseError, Response, StatusCode};
use std::{fmt, io};
use thiserror::Error;

/// Anything that a verb of this crate may say, for `?` in applications.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A socket was not opened
    #[error(transparent)]
    Bind(#[from] BindError),
    /// An account was not made
    #[error(transparent)]
    Account(#[from] AccountError),
    /// A request had no final response
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A message was not taken
    #[error(transparent)]
    Message(#[from] MessageError),
    /// A registration did not come about, or ended
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// A call did not come about
    #[error(transparent)]
    Call(#[from] CallError),
    /// An incoming call was not answered
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// A session was not changed
    #[error(transparent)]
    Reoffer(#[from] ReofferError),
    /// What was asked about is over
    #[error(transparent)]
    Gone(#[from] Gone),
    /// A text is not what it should be
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// Keys were not sent
    #[error(transparent)]
    Dtmf(#[from] sip_media::DtmfError),
    /// Samples were not taken
    #[error(transparent)]
    Push(#[from] crate::audio::PushError),
    /// A WAV file or a recording
    #[error(transparent)]
    Media(#[from] sip_media::MediaError),
    /// A file
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A result whose error is the sum of this crate's.
pub type Result<T> = std::result::Result<T, Error>;

/// The user agent, the call or whatever else a handle names is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it is over")]
pub struct Gone;

/// Why a user agent or a server did not start.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// There is no tokio context here, and no runtime was given
    #[error("there is no tokio runtime here; give one with `runtime`")]
    NoRuntime,
    /// A listener's text does not say `udp:ADDRESS:PORT`
    #[error("`{0}` is no listener: {1}")]
    Listener(String, String),
    /// The system refused the socket
    #[error("cannot listen at {listener}: {reason}")]
    Refused {
        /// Where
        listener: String,
        /// What the system said
        reason: io::ErrorKind,
    },
    /// What is spoken there needs something that is not here
    #[error("cannot listen at {listener}: {missing}")]
    NotSpoken {
        /// Where
        listener: String,
        /// What is not here
        missing: &'static str,
    },
    /// A part of the configuration cannot be
    #[error("{0}")]
    Configuration(String),
    /// The driver ended while it started
    #[error("it is over")]
    Gone,
}

/// Why an account was not made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AccountError {
    /// The address-of-record is no URI
    #[error("address-of-record: {0}")]
    Aor(ParseError),
    /// The address-of-record is no `sip` or `sips` URI
    #[error("address-of-record: only sip and sips uris can be reached")]
    UnsupportedScheme,
    /// The registrar is no URI
    #[error("registrar: {0}")]
    Registrar(ParseError),
    /// A server that requests pass first is no URI
    #[error("outbound: {0}")]
    Outbound(ParseError),
}

/// Why a request had no final response.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// A text did not parse
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// Only `sip` and `sips` URIs can be reached, and `tel` URIs when there is a suffix for ENUM
    #[error("only sip and sips uris can be reached")]
    UnsupportedScheme,
    /// Nobody answered in time
    #[error("no answer in time from {}", Tried(.tried))]
    TimedOut {
        /// What was tried
        tried: Vec<Attempt>,
    },
    /// The name leads to no server
    #[error("no server: {cause}")]
    NoTarget {
        /// What the resolver said
        cause: String,
    },
    /// No server could be reached
    #[error("cannot reach {}", Tried(.tried))]
    Unreachable {
        /// What was tried
        tried: Vec<Attempt>,
    },
    /// Too many requests are under way
    #[error("too many requests are under way")]
    Full,
    /// The user agent is closing, or gone
    #[error("the user agent is closed")]
    Gone,
}

impl RequestError {
    /// The status that RFC 3261 §8.1.3.1 takes the failure for; `None` when nothing was sent.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::TimedOut { .. } => Some(StatusCode::REQUEST_TIMEOUT),
            Self::NoTarget { .. } | Self::Unreachable { .. } => {
                Some(StatusCode::SERVICE_UNAVAILABLE)
            }
            _ => None,
        }
    }
}

impl From<Failure> for RequestError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::TimedOut { tried } => Self::TimedOut { tried },
            Failure::NoTarget { cause } => Self::NoTarget { cause },
            Failure::Unreachable { tried } => Self::Unreachable { tried },
            Failure::Full => Self::Full,
            _ => Self::Gone,
        }
    }
}

/// Why a message was not taken.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Whom it was for, or someone on the way, refused it
    #[error("rejected with {}", .0.status())]
    Rejected(Box<Response>),
    /// It could not be sent or was not answered
    #[error(transparent)]
    Request(#[from] RequestError),
}

impl MessageError {
    /// The status of the response, or the one that RFC 3261 §8.1.3.1 takes the failure for.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Rejected(response) => Some(response.status()),
            Self::Request(error) => error.status(),
        }
    }
}

/// Why a registration did not come about, or ended.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The registrar does not take our credentials, or we have none for it
    #[error("not authorized for realm {realm:?}")]
    Unauthorized {
        /// What the challenge said
        realm: String,
    },
    /// The registrar refused
    #[error("refused with {}", .0.status())]
    Rejected(Box<Response>),
    /// The request could not be sent or was not answered
    #[error(transparent)]
    Request(#[from] RequestError),
}

/// Why a call did not come about.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum CallError {
    /// The callee, or someone for it, refused
    #[error("rejected with {}", .0.status())]
    Rejected(Box<Response>),
    /// Nobody answered in time: the network's silence, or the time to ring was over
    #[error("no answer in time")]
    NoAnswer,
    /// It was cancelled by us
    #[error("cancelled")]
    Cancelled,
    /// The other side's description of the session cannot be used, or ours was not made
    #[error("no common session")]
    NoSession,
    /// The INVITE could not be sent or was not answered
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The user agent is closing, or gone
    #[error("the user agent is closed")]
    Gone,
}

impl CallError {
    /// The status of the response, or the one that RFC 3261 §8.1.3.1 takes the failure for.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Rejected(response) => Some(response.status()),
            Self::NoAnswer => Some(StatusCode::REQUEST_TIMEOUT),
            Self::Cancelled => Some(StatusCode::REQUEST_TERMINATED),
            Self::NoSession => Some(StatusCode::NOT_ACCEPTABLE_HERE),
            Self::Request(error) => error.status(),
            Self::Gone => None,
        }
    }
}

/// Why an incoming call was not answered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The caller gave up
    #[error("the caller gave up")]
    Cancelled,
    /// The caller never acknowledged; the call was ended with BYE
    #[error("the answer was never acknowledged")]
    NoAck,
    /// The caller's offer has no acceptable answer and got 488, or there is none where one is needed
    #[error("no common session")]
    NoSession,
    /// The status code is not of the class that the verb sends
    #[error("the status code does not belong to this verb")]
    WrongClass,
    /// It rang too long, was answered already, or the user agent is gone
    #[error("the call is over")]
    Gone,
}

/// Why a session was not changed; the call goes on as it was.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ReofferError {
    /// The peer refused
    #[error("rejected with {}", .0.status())]
    Rejected(Box<Response>),
    /// Both sides kept offering at the same time, or another change is under way
    #[error("another offer is open")]
    Busy,
    /// The peer accepted, and its answer cannot be used
    #[error("no usable answer")]
    NoAnswer,
    /// The session is of another kind: hold and resume are for audio of ours, other offers for descriptions of the
    /// application's own
    #[error("the session is of another kind")]
    NoSession,
    /// The call is over
    #[error("the call is over")]
    Gone,
}

struct Tried<'a>(&'a [Attempt]);

impl fmt::Display for Tried<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("anyone");
        }
        for (place, attempt) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{attempt}")?;
        }
        Ok(())
    }
}
