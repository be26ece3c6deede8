//! Locating SIP servers (RFC 3263) over questions and answers, and a small DNS client.
//!
//! A [`Resolver`] turns a [`Query`] (a URI, or the sent-by of a Via) into an ordered list of [`Target`]s. It never
//! speaks DNS itself: what it does not know from its [`Zone`], its cache or by rule it asks as an
//! [`Event::Question`], one name and record type at a time, and goes on when [`Resolver::provide_answer`] brings the
//! answer. Anyone may answer: the [`DnsClient`] of this crate, a database, a test.
//!
//! ```
//! use sip_io::{Protocol, Rng};
//! use sip_resolver::{Event, Query, Resolver, ResolverConfig, Zone};
//! use std::time::Instant;
//!
//! let zone = Zone::new()
//!     .address("server1.example.com", [192, 0, 2, 1])
//!     .address("server2.example.com", [192, 0, 2, 2])
//!     .service("_sip._tcp.example.com", 0, 5, 5060, "server1.example.com")
//!     .service("_sip._tcp.example.com", 1, 5, 5060, "server2.example.com");
//! let now = Instant::now();
//! let mut resolver = Resolver::new(ResolverConfig::new().zone(zone), Rng::new([7; 32]), now);
//!
//! let lookup = resolver.start(now, Query::host("example.com", None, Some(Protocol::Tcp))?);
//! let Some(Event::Resolved { id, targets }) = resolver.poll_event() else { panic!("the zone knows") };
//! assert_eq!(id, lookup);
//! let addresses: Vec<_> = targets.iter().map(|target| target.address.to_string()).collect();
//! assert_eq!(addresses, ["192.0.2.1:5060", "192.0.2.2:5060"]);
//! # Ok::<(), sip_resolver::QueryError>(())
//! ```
//!
//! # The procedure
//!
//! ```text
//!            numeric host ------------------------------------------------------------.
//!            port written --------------------------------------.                     |
//!            transport written, no port --.                     |                     |
//!                                         V                     V                     V
//!   Query --> NAPTR of the host ------> SRV ------> A and AAAA of each server ---> Resolved
//!               | none, or none           | none         ^  (families interleaved)
//!               | that fits               |              |
//!               '--> SRV of each          '--> the host itself, default port
//!                    transport of ours
//! ```
//!
//! A `tel` URI is looked for by ENUM first when there is a [suffix](ResolverConfig::enum_suffix) for it, and the URI that it
//! leads to goes the same way. A [`Health`] table beside the resolver remembers which servers failed.
//!
//! The procedure is a function of the answers so far, run again whenever one comes; it keeps no state of its own that
//! could disagree with them. Limits, their defaults and what happens when they are reached are in [`ResolverConfig`]
//! and [`DnsConfig`].

mod cache;
mod client;
mod config;
mod enum_;
mod health;
mod name;
mod order;
mod procedure;
mod query;
mod question;
mod resolver;
mod zone;

pub use cache::Cached;
pub use client::{DnsClient, DnsConfig, DnsStats, DnsStream, DnsStreamId};
pub use config::{Families, ResolverConfig};
pub use enum_::enum_domain;
pub use health::{Health, HealthConfig, Methods, ServerHealth, ServerKey, Trouble};
pub use query::{Query, QueryError};
pub use question::{Answer, LookupError, Naptr, Question, Record, RecordType, Srv};
pub use resolver::{
    Event, LookupId, Origin, QuestionId, ResolveError, Resolver, ResolverStats, Target,
};
pub use zone::{Zone, ZoneError};
