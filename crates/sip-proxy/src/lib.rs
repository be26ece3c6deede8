//! The SIP proxy core: stateful, forking, record-routing (RFC 3261 §16).
//!
//! A [`Proxy`] stands on an endpoint beside other cores. It does what every proxy has to do the same way, and asks what
//! each does in its own:
//!
//! 1. It checks a request (Max-Forwards, loops by RFC 5393, Proxy-Require), takes off its own Routes, and authenticates
//!    who sent it.
//! 2. It asks: [`Event::RouteNeeded`]. The owner looks up bindings, a database, a table of gateways, and answers with a
//!    [`Plan`], now or later. Requests inside a dialog and ACKs are not asked about.
//! 3. It sends copies to the plan's targets, group after group, and brings back what RFC 3261 §16.7 chooses.
//!
//! # Staying on the way
//!
//! The proxy records its route, twice when the two sides see it differently (RFC 5658). The user part of that URI is a
//! token, sealed with a key of ours: it names the connections over which the two ends are reached that cannot be reached
//! by their Contact. So a request inside the dialog finds the connection that its recipient once opened, and nobody else
//! can use it; and the token, which is worth nothing outside its dialog, is what lets a request pass without
//! authentication.
//!
//! # Sets of gateways
//!
//! A [`DispatchSet`] orders destinations that serve the same purpose by hash, weight, turn, load or latency; a
//! [`Dispatcher`] beside the proxy probes them.
//!
//! # A proxy that knows one user
//!
//! ```
//! use sip_endpoint::{Domains, EndpointConfig, Stack, StackEvent};
//! use sip_io::{StateMachine, WallClock};
//! use sip_message::{StatusCode, Uri};
//! use sip_proxy::{Event, Plan, Proxy, ProxyConfig};
//! use std::time::{Instant, SystemTime};
//!
//! # fn bob() -> Result<(), sip_message::ParseError> {
//! let now = Instant::now();
//! let clock = WallClock { at: now, is: SystemTime::now() };
//! let config = ProxyConfig::new([1; 32], clock).domains(Domains::new(["example.com"])?);
//! let mut stack = Stack::new(EndpointConfig::new([2; 32], clock), Proxy::new(config));
//! let desk = Uri::parse("sip:bob@192.0.2.4")?;
//! // … after each input:
//! while let Some(event) = stack.poll_event() {
//!     if let StackEvent::Core(Event::RouteNeeded { id, request, ours, .. }) = event {
//!         stack.command(now, |proxy, cx| match request.uri().user().as_deref() {
//!             Some("bob") if ours => proxy.relay(cx, id, Plan::to(desk.clone())),
//!             _ => proxy.reject(cx, id, StatusCode::NOT_FOUND),
//!         }).ok();
//!     }
//! }
//! # Ok(())
//! # }
//! # bob().unwrap();
//! ```

mod auth;
mod branches;
mod breadth;
mod choice;
mod config;
mod context;
mod dispatch;
mod event;
mod inbound;
mod plan;
mod proxy;
mod route;
mod token;

pub use config::{Foreign, ProxyConfig};
pub use dispatch::{
    Algorithm, DestinationState, DestinationStatus, DispatchError, DispatchEvent, DispatchSet,
    Dispatcher, Finding, HoldsSet, Probe, SetId,
};
pub use event::{Event, ProxyId, RelayError, SecretId};
pub use plan::{Plan, Target};
pub use proxy::{Proxy, ProxyStats};
