//! One question to the DNS, and its answer.

use crate::name;
use std::{fmt, net::IpAddr, time::Duration};
use thiserror::Error;

/// One name and one kind of record.
///
/// ```
/// # use sip_resolver::{Question, RecordType};
/// let question = Question::new("Example.com.", RecordType::A).expect("is a domain name");
/// assert_eq!(question.name(), "example.com");
/// assert_eq!(Question::new("not a name", RecordType::A), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Question {
    name: String,
    record_type: RecordType,
}

impl Question {
    /// Asks for the records of `record_type` at `name`; `None` when that is no domain name.
    pub fn new(name: &str, record_type: RecordType) -> Option<Self> {
        name::normalize(name).map(|name| Self { name, record_type })
    }

    /// For names that are normalized already.
    pub(crate) fn of(name: &str, record_type: RecordType) -> Self {
        Self {
            name: name.to_owned(),
            record_type,
        }
    }

    /// The name, in lower case and without the last dot.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is asked for.
    pub const fn record_type(&self) -> RecordType {
        self.record_type
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.record_type)
    }
}

/// The kinds of record that locating SIP servers needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RecordType {
    /// An IPv4 address (RFC 1035)
    A,
    /// An IPv6 address (RFC 3596)
    Aaaa,
    /// The servers of a service (RFC 2782)
    Srv,
    /// The services of a domain (RFC 3403)
    Naptr,
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Srv => "SRV",
            Self::Naptr => "NAPTR",
        })
    }
}

/// The records that answer a question, at least one, and how long they hold.
///
/// ```
/// # use sip_resolver::Answer;
/// # use std::time::Duration;
/// let answer = Answer::addresses(["192.0.2.1".parse()?], Duration::from_secs(60));
/// assert_eq!(answer.records().len(), 1);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    records: Vec<Record>,
    ttl: Duration,
    truncated: bool,
}

impl Answer {
    /// These records, to be kept for `ttl`; zero means that they serve only who asks now.
    ///
    /// Records of another kind than was asked for are ignored, and so is what lies beyond the first 64.
    pub fn new(records: impl IntoIterator<Item = Record>, ttl: Duration) -> Self {
        Self {
            records: records.into_iter().take(Self::MOST_RECORDS).collect(),
            ttl,
            truncated: false,
        }
    }

    /// These addresses, to be kept for `ttl`.
    pub fn addresses(addresses: impl IntoIterator<Item = IpAddr>, ttl: Duration) -> Self {
        Self::new(addresses.into_iter().map(Record::Address), ttl)
    }

    /// The same answer, known to be incomplete.
    #[must_use]
    pub fn truncated(mut self) -> Self {
        self.truncated = true;
        self
    }

    /// The records, in the order in which they came.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// How long the answer holds.
    pub const fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Whether the server had more records than fitted.
    pub const fn is_truncated(&self) -> bool {
        self.truncated
    }

    const MOST_RECORDS: usize = 64;
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Record {
    /// What A and AAAA records hold
    Address(IpAddr),
    /// What SRV records hold
    Srv(Srv),
    /// What NAPTR records hold
    Naptr(Naptr),
}

/// One server of a service (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Srv {
    /// Lower ones are tried first
    pub priority: u16,
    /// The share of requests among servers of one priority
    pub weight: u16,
    /// The server's port
    pub port: u16,
    /// The server's name; `.` says that the service is decidedly not offered
    pub target: String,
}

/// One service of a domain (RFC 3403).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Naptr {
    /// Lower ones are looked at first
    pub order: u16,
    /// Among records of one order, lower ones are preferred
    pub preference: u16,
    /// What kind of rule it is: `s` leads to SRV records
    pub flags: String,
    /// What is offered, such as `SIP+D2U`
    pub services: String,
    /// A rule to rewrite with; empty for SIP
    pub regexp: String,
    /// Where to go on
    pub replacement: String,
}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The name does not exist (NXDOMAIN)
    #[error("no such name")]
    NoSuchName {
        /// How long that holds, if the server said so (RFC 2308)
        ttl: Option<Duration>,
    },
    /// The name exists but has no such record (NODATA)
    #[error("no such record")]
    NoRecords {
        /// How long that holds, if the server said so (RFC 2308)
        ttl: Option<Duration>,
    },
    /// The server could not find out (SERVFAIL)
    #[error("server failure")]
    ServerFailure,
    /// The server does not serve us (REFUSED, NOTIMP and the like)
    #[error("refused by the server")]
    Refused,
    /// No server answered in time
    #[error("no answer in time")]
    TimedOut,
    /// What came back cannot be read
    #[error("malformed answer")]
    Malformed,
    /// The answer did not fit, and nothing usable came
    #[error("truncated answer")]
    Truncated,
    /// The name is an alias of an alias, too many times or in a circle
    #[error("too long a chain of aliases")]
    ChainTooLong,
    /// There is nobody to ask
    #[error("no name server")]
    NoServer,
    /// Too many questions are open
    #[error("too many open questions")]
    TooManyQuestions,
}

impl LookupError {
    /// Whether the DNS said with authority that there is nothing, as against having failed.
    pub const fn is_negative(&self) -> bool {
        matches!(self, Self::NoSuchName { .. } | Self::NoRecords { .. })
    }
}
