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
//! # What Kamailio's tm has, and where it is here
//!
//! | parameter or function of tm | here |
//! |---|---|
//! | `fr_timer`, `t_set_fr` | [`Timers::give_up_after`]: of all, of a plan ([`Plan::timers`]), of a branch ([`Target::timers`]), of a request ([`Draft::timers`]), while it waits ([`Proxy::set_timeout`], [`Endpoint::set_timeout`]) |
//! | `fr_inv_timer`, `t_set_fr` | [`Plan::ring_for`] for a group, while it rings [`Proxy::set_ring_for`]; [`ProxyConfig::timer_c`] for each branch |
//! | `max_inv_lifetime`, `max_noninv_lifetime`, `t_set_max_lifetime` | [`Plan::deadline`], [`Draft::deadline`], [`EndpointConfig::non_invite_limit`] |
//! | `wt_timer` | [`Timers::remember_for`] and [`Timers::d`]: of all, or of one ([`Endpoint::set_server_timers`]) |
//! | `retr_timer1`, `retr_timer2`, `t_set_retr` | [`Timers::t1`], [`Timers::t2`], in the same places |
//! | `restart_fr_on_each_reply` | [`Plan::restart_timer_c`]; `ring_for` never begins anew |
//! | `noisy_ctimer` | always: who is given up gets 408 |
//! | `auto_inv_100`, `t_set_auto_inv_100` | [`ProxyConfig::trying_after`], for one request [`Proxy::set_trying_after`]; for other cores [`EndpointConfig::trying_after`] and [`Endpoint::set_trying_after`] |
//! | `auto_inv_100_reason` | [`EndpointConfig::trying_reason`] |
//! | `aggregate_challenges` | [`Plan::aggregate_challenges`] |
//! | `blst_503…`, `blst_methods_…` | [`EndpointConfig::health`] |
//! | `cancel_b_method` | [`ProxyConfig::cancel_unanswered`] |
//! | `unmatched_cancel` | [`ProxyConfig::unmatched_cancel`] |
//! | `pass_provisional_replies` | [`Plan::tell_provisional`] |
//! | `disable_6xx_block`, `t_set_disable_6xx` | [`Plan::ordinary_6xx`] |
//! | `local_ack_mode` | a proxy makes no ACK to a 2xx; sip-ua has `UaConfig::ack_to` |
//! | `failure_reply_mode`, `t_drop_replies` | [`Plan::forget_earlier`]; a held failure may be answered by any other response ([`Proxy::answer`]) |
//! | `failure_exec_mode`, `failover_reply_codes` | [`Plan::failover_on`]; what fails here counts as the status that it means |
//! | `faked_reply_prio` | [`Plan::rank`]; without it, of one class, what came goes before what was found here, and 408 is last |
//! | `e2e_cancel_reason`, `local_cancel_reason` | [`ProxyConfig::hand_on_reason`], [`ProxyConfig::cancel_reason`] |
//! | `reparse_invite`, `ac_extra_hdrs` | CANCEL and ACK are made of the INVITE as it was sent; [`EndpointConfig::carry`] |
//! | `remap_503_500` | [`Plan::pass_503`]; what a server has asked not to get is 503 in any case (RFC 7339 §5.10) |
//! | `dns_reuse_rcv_socket` | [`Target::by_listener`] |
//! | `reparse_on_dns_failover` | each attempt is made of the request as it was given |
//! | `relay_100` | [`Plan::relay_100`] |
//! | `default_code`, `reply_408_code`, their reasons | [`ProxyConfig::own_status`]; for one request [`Plan::hold_failure`], then [`Proxy::answer`] with any response |
//! | `rich_redirect` | [`Proxy::answer`] with any Contacts; the facade writes the q of a [`Target`] |
//! | `contacts_avp`, `contact_flows_avp` | [`Plan::by_q`] |
//! | `callid_matching`, `callid_cseq_matching`, `via1_matching`, `ruri_matching` | [`EndpointConfig::matching`] |
//! | `exec_time_check` | `Driver::watchdog` of sip-runtime |
//! | `on_sl_reply` | [`EndpointConfig::strays`] |
//!
//! [`Draft::deadline`]: sip_endpoint::Draft::deadline
//! [`Draft::timers`]: sip_endpoint::Draft::timers
//! [`EndpointConfig::carry`]: sip_endpoint::EndpointConfig::carry
//! [`EndpointConfig::matching`]: sip_endpoint::EndpointConfig::matching
//! [`Endpoint::set_server_timers`]: sip_endpoint::Endpoint::set_server_timers
//! [`Endpoint::set_timeout`]: sip_endpoint::Endpoint::set_timeout
//! [`Endpoint::set_trying_after`]: sip_endpoint::Endpoint::set_trying_after
//! [`EndpointConfig::health`]: sip_endpoint::EndpointConfig::health
//! [`EndpointConfig::non_invite_limit`]: sip_endpoint::EndpointConfig::non_invite_limit
//! [`EndpointConfig::strays`]: sip_endpoint::EndpointConfig::strays
//! [`EndpointConfig::trying_after`]: sip_endpoint::EndpointConfig::trying_after
//! [`EndpointConfig::trying_reason`]: sip_endpoint::EndpointConfig::trying_reason
//! [`Timers::d`]: sip_endpoint::Timers::d
//! [`Timers::give_up_after`]: sip_endpoint::Timers::give_up_after
//! [`Timers::remember_for`]: sip_endpoint::Timers::remember_for
//! [`Timers::t1`]: sip_endpoint::Timers::t1
//! [`Timers::t2`]: sip_endpoint::Timers::t2
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
mod copy;
mod dispatch;
mod event;
mod inbound;
mod plan;
mod proxy;
mod route;
mod stats;
mod token;
mod upstream;

pub use choice::Candidate;
pub use config::{CancelUnanswered, Foreign, ProxyConfig, UnmatchedCancel};
pub use dispatch::{
    Algorithm, DestinationState, DestinationStatus, DispatchError, DispatchEvent, DispatchSet,
    Dispatcher, Finding, HoldsSet, Probe, SetId,
};
pub use event::{Event, ProxyId, RelayError, SecretId};
pub use plan::{Plan, Target};
pub use proxy::Proxy;
pub use stats::ProxyStats;
