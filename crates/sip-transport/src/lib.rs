//! SIP transport layer: listeners, connections, framing, where responses go.
//!
//! The [`Transport`] is RFC 3261 §18 as a state machine. It is told what arrived on which flow, and tells its user
//! which requests and responses were in it; it is told what to send where. In between it
//!
//! - binds listeners and keeps their bound and their advertised address apart ([`Listener`], [`SentBy`]);
//! - opens connections, reuses those that it opened, and ends those that are idle, slow or garbled ([`CloseReason`]);
//! - secures connections with TLS, and knows peers by what their certificates prove ([`Tls`], [`PeerIdentity`]; feature
//!   `tls`, on by default);
//! - finds messages in streams by Content-Length, answers keep-alives, asks for them ([`Transport::ping`], RFC 5626), and
//!   closes connections whose peers have promised some and send none ([`Transport::expect_keep_alives`]);
//! - lets so many connections of one source in, and believes those load balancers that it is told to
//!   ([`TransportConfig::connections_per_source`], [`Listener::announced_by`]);
//! - speaks WebSocket as server and as client (RFC 7118), and says who is let in ([`WebSocketConfig`]);
//! - writes `received` and `rport` into requests (RFC 3581) and finds the way of responses ([`ResponseRoute`]);
//! - hands messages to the one of several transports that they belong to, where several share the work ([`Sharding`]);
//! - drops what is no message or not for us, answers what can be answered, and counts all of it ([`Stats`]).
//!
//! ```text
//!   driver                     Transport                         user
//!  -------->  handle_receive   connections -> stream -> via   Event::Request, Event::Response
//!  <--------  poll_transmit    listeners, queues              send, flow_to, route_response
//! ```
//!
//! The features `tls` and `ws` are on by default; without them their listeners fail and nothing leads to their targets.
//!
//! Multicast (RFC 3261 §18.1.1, §18.2.1) is refused: no socket joins a group, nothing is sent to one
//! ([`FlowError::Multicast`]), and a `maddr` that names one is answered to the source of its request alone. Its use died
//! with the networks that it was made for, and an answer from each of many is what a flood is made of.
//!
//! Nothing that a peer sends can make it panic, and nothing that a peer sends can make it grow beyond the limits of
//! [`TransportConfig`].

mod address;
mod alias;
mod config;
mod connections;
#[cfg_attr(
    not(feature = "tls"),
    allow(
        unreachable_code,
        unused_variables,
        reason = "there is nothing to make one from"
    )
)]
mod engines;
mod event;
#[cfg(feature = "tls")]
mod identity;
mod listener;
mod preface;
mod rate;
mod sharding;
mod sources;
mod stats;
mod stream;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;
mod transport;
mod via;
#[cfg(feature = "ws")]
mod ws;
#[cfg(not(feature = "ws"))]
#[path = "no_ws.rs"]
mod ws;

#[cfg(test)]
mod tests;

pub use address::SentBy;
pub use config::TransportConfig;
pub use event::{
    CloseReason, Event, FlowError, HandshakeFailure, SendError, Target, TooManyAdopted,
};
#[cfg(feature = "tls")]
pub use identity::PeerIdentity;
pub use listener::{Advertised, Listener, ListenerError, ListenerId};
pub use rate::Rate;
pub use sharding::Sharding;
pub use stats::{MessageCounts, Stats};
#[cfg(feature = "tls")]
pub use tls::{CryptoProvider, DangerousTls, KeyLog, Tls, TlsError};
pub use transport::Transport;
pub use via::{ResponseRoute, return_flow};
#[cfg(feature = "ws")]
pub use ws::{Refusal, Upgrade, WebSocketConfig};
