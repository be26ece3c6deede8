//! The switchboard that SIP cores stand on: transport, transactions and resolver as one machine.
//!
//! RFC 3261 calls what sits above the transaction layer a *core*: a user agent, a proxy, a registrar, an application's
//! own. Here a [`Core`] is a value that takes [`Event`]s and gives commands to the [`Endpoint`] through a [`Context`].
//! A pair of cores is a core, so one socket serves registrar, proxy and user agent together, and a [`Stack`] of one
//! endpoint and one core is the [`StateMachine`](sip_io::StateMachine) that a driver, a test or a plain loop runs.
//!
//! ```text
//!                          Stack: a machine
//!   +-----------------------------------------------------------+
//!   |   Core, or a tuple of cores        handle_event, commands |
//!   |        ^ Event                           |                |
//!   |        |                                 V request,       |
//!   |   +----------------- Endpoint ----------- respond, ... -+ |
//!   |   |  requests, ACKs to 2xx, undelivered responses       | |
//!   |   |        ^ |               ^ |              ^ |       | |
//!   |   |        | V               | V              | V       | |
//!   |   |   transactions       transport          resolver,   | |
//!   |   |                        |    ^           DNS client  | |
//!   |   +------------------------|----|--------------|--^-----+ |
//!   +----------------------------|----|--------------|--|-------+
//!                                V    | Receive      V  |
//!                              Transmit            questions
//! ```
//!
//! # What the endpoint owns
//!
//! - **Requests** that live longer than one transaction: a [`Draft`] becomes a [`RequestId`] at once; finding the
//!   servers (RFC 3263), opening a connection and each attempt (a new transaction with a new branch) happen behind it.
//!   A server that fails, is silent or says 503 before it has answered anything leads to the next one; the
//!   [`Failure`] at the end tells what was tried. Addresses of one server race for a connection (RFC 8305); after a 503
//!   the server is left with all its addresses (RFC 3261 §21.5.4).
//! - **What is known of servers**: a [`View`] of names for everything and perhaps for [single
//!   listeners](Endpoint::listen_within), and the table of those that [failed](Endpoint::health), which may be
//!   [probed](HealthConfig::probe).
//! - **The size of a request**: what is longer than [`EndpointConfig::datagram_limit`] goes over TCP instead of UDP, and
//!   over UDP where TCP cannot be opened (RFC 3261 §18.1.1).
//! - **`sips`**: a request to a `sips` URI never goes in clear text, whatever a Route says (RFC 3261 §26.2.2), and Contact
//!   and Record-Route in it are `sips` (§8.1.1.8, §16.6). In a request to a `sip` URI they stay `sip` (RFC 5630 §5.1.1.2),
//!   and where that goes over TLS they say `transport=tls`, which RFC 5630 §3.1.4 deprecates and everybody writes: nothing
//!   else tells a peer that our port speaks TLS.
//! - **Responses** that need a connection or a name because their connection is gone (RFC 3261 §18.2.2, RFC 3263 §5).
//! - **ACKs to a 2xx**, resolved once and repeated byte for byte for 64×T1 (RFC 3261 §13.2.2.4).
//! - **Flows** that a user agent is reached by: [`Endpoint::keep_alive`] (RFC 5626 §4.4), and the answers to the
//!   keep-alives of others, STUN on the SIP port among them.
//! - **What we write about ourselves**: Via, Contact, one or two Record-Routes (RFC 5658), from the bound or the
//!   advertised address of the listener that faces the peer.
//! - **Overload control** where it is [asked for](EndpointConfig::overload_control): next hops that have too much to do get
//!   less, clients are told when we have (RFC 7339, loss-based).
//! - What nobody takes: 481, 405 or 501 by [`Stack`], never anything to an ACK or a response.
//!
//! # Limits
//!
//! Everything that a peer can make grow has a limit in [`EndpointConfig`] or [`TransportConfig`]: transactions (a
//! stateless 503 at a bounded rate, a reserve for CANCEL and requests within dialogs), requests, ACKs, responses that
//! wait, connections, lookups, observed messages, overloaded next hops. After their timers every table is empty, and
//! [`poll_timeout`](sip_io::StateMachine::poll_timeout) is `None`.
//!
//! # Example
//!
//! ```
//! use sip_endpoint::{Context, Core, EndpointConfig, Event, Stack};
//! use sip_io::{Flow, Receive, StateMachine, Transmit, WallClock};
//! use sip_message::{Method, StatusCode};
//! use sip_transport::Listener;
//! use std::time::{Instant, SystemTime};
//!
//! #[derive(Default)]
//! struct Pinger;
//!
//! impl Core for Pinger {
//!     type Event = ();
//!     fn handle_event(&mut self, cx: &mut Context<'_>, event: Event) -> Option<Event> {
//!         match event {
//!             Event::Request { id, request, .. } if *request.method() == Method::OPTIONS => {
//!                 let tag = cx.tag_for(id);
//!                 cx.respond(id, request.response(StatusCode::OK).to_tag(tag).build()).ok();
//!                 None
//!             }
//!             other => Some(other),
//!         }
//!     }
//! }
//!
//! let now = Instant::now();
//! let clock = WallClock { at: now, is: SystemTime::UNIX_EPOCH };
//! let mut stack = Stack::new(EndpointConfig::new([7; 32], clock), Pinger);
//! let local = "192.0.2.1:5060".parse()?;
//! stack.command(now, |_, cx| cx.listen(Listener::udp(local)));
//! // A driver would bind the socket now; a test says that it is bound.
//! let Some(Transmit::Bind { token, .. }) = stack.poll_transmit() else { panic!("asked for a socket") };
//! stack.handle_receive(now, Receive::Bound { token, result: Ok(local) });
//! let flow = Flow::udp(local, "192.0.2.2:5060".parse()?);
//! let contents = "OPTIONS sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1\r\n\
//!     From: <sip:a@192.0.2.2>;tag=1\r\nTo: <sip:192.0.2.1>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n\r\n";
//! stack.handle_receive(now, Receive::Datagram { flow, contents: contents.into() });
//! let Some(Transmit::Datagram { contents, .. }) = stack.poll_transmit() else { panic!("answered") };
//! assert!(contents.starts_with(b"SIP/2.0 200 OK\r\n"));
//! # Ok::<(), std::net::AddrParseError>(())
//! ```

mod acknowledge;
mod config;
mod connecting;
mod core;
mod domains;
mod draft;
mod endpoint;
mod event;
mod failover;
mod hop;
mod identity;
mod inbound;
mod keep_alive;
mod names;
mod neighbour;
mod observation;
mod outbound;
mod overload_control;
mod probe;
mod redaction;
mod respond;
mod search;
mod stack;
mod stats;
mod table;
#[cfg(feature = "tls")]
mod tls;

#[cfg(test)]
mod tests;

pub use crate::core::{Context, Core, Either};
pub use acknowledge::AckId;
pub use config::EndpointConfig;
pub use domains::Domains;
pub use draft::{ContactTemplate, Draft, RecordRouteTemplate};
pub use endpoint::Endpoint;
pub use event::{Attempt, AttemptFailure, Event, Failure};
pub use keep_alive::KeepAlive;
pub use names::View;
pub use neighbour::{is_first_hop, neighbour_flow, neighbour_flow_of};
pub use observation::{Direction, Observation};
pub use overload_control::OverloadControl;
pub use redaction::Redaction;
pub use search::RequestId;
pub use sip_resolver::{
    Answer, Cached, DnsConfig, Health, HealthConfig, LookupError, Methods, Question, QuestionId,
    ResolverConfig, ServerHealth, ServerKey, Zone,
};
pub use sip_transaction::{Matching, RespondError, ServerTransactionId, Timers};
pub use sip_transport::{
    HandshakeFailure, Listener, ListenerId, Sharding, Target, TooManyAdopted, TransportConfig,
};
#[cfg(feature = "tls")]
pub use sip_transport::{PeerIdentity, Tls};
#[cfg(feature = "ws")]
pub use sip_transport::{Refusal, Upgrade, WebSocketConfig};
pub use stack::{Stack, StackEvent};
pub use stats::EndpointStats;
