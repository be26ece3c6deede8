//! An endpoint in virtual time, its peers played by hand.

mod acks;
mod dual_stack;
mod failover;
mod harness;
mod holding;
mod identity;
mod keep_alive;
mod laws;
mod length;
mod names;
mod observing;
mod overload;
mod overload_control;
mod requests;
mod responses;
#[cfg(feature = "tls")]
mod secure;
mod servers;
mod shards;
mod unclaimed;
mod views;
