//! SIP transaction layer: the four machines of RFC 3261 section 17 and their table.
//!
//! A transaction is a request and every response to it, one hop long. Four figures say what happens in one; each is a
//! small `enum` in a file of its own, with the figure in its doc comment, and one `match`. The [`TransactionLayer`]
//! holds all transactions in two tables, sets their timers and does what the figures want done. RFC 6026 (2xx to
//! INVITE) and RFC 4320 (provisional responses to the rest) are part of the figures.
//!
//! The layer has no socket and no clock: messages and time come in as arguments, and what it wants sent or known is
//! polled.
//!
//! ```text
//!    transport                     layer                        transaction user
//!   ----------->  receive_request        Event::Request  -------------->
//!                 receive_response       Event::Response -------------->
//!                 flow_failed            Event::Failed   -------------->
//!   <-----------  poll_transmit          request, cancel, respond  <----
//! ```
//!
//! What is *not* here: the choice of targets and a new branch for each (that is the endpoint's), the ACK to a 2xx and
//! the repetition of a 2xx (that is the user agent's core), Timer C (that is the proxy's).

mod cancel;
mod client;
mod client_invite;
mod client_non_invite;
mod config;
mod error;
mod event;
mod key;
mod layer;
mod pending;
mod server;
mod server_invite;
mod server_non_invite;
mod stats;
mod table;
mod timers;
mod way;

#[cfg(test)]
mod tests;

pub use config::{Limits, Matching, TransactionConfig};
pub use error::{CancelError, Cancelled, RequestError, RespondError};
pub use event::{ClientTransactionId, Event, Owner, Send, ServerTransactionId};
pub use layer::TransactionLayer;
pub use stats::Stats;
pub use timers::{Timer, Timers};
