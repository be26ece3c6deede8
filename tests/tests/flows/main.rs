//! Whole calls in virtual time: the flows of RFC 3665, message by message, and again on bad lines.
//!
//! Every host is a simulated one with the program that ships on it. A ladder shows every message in the order in which
//! they leave; where it differs from the figure of the RFC the test says why. Two differences are everywhere:
//!
//! - A proxy answers an INVITE with 100 at once, before it forwards it, and the figures draw it after; both are within
//!   the 200 ms of RFC 3261 §17.2.1.
//! - The figures are drawn over TCP or TLS, and these flows run over UDP, where everything can get lost.

mod bad_lines;
mod bots;
mod changes;
mod closing;
mod connections;
mod failures;
mod families;
mod forks;
mod manners;
mod media;
mod mistakes;
mod nat;
mod network;
mod overload;
#[path = "../pki.rs"]
mod pki;
mod registrations;
mod routers;
mod secure;
mod sessions;
mod settings;
mod shards;
mod ways;
mod web_sockets;
mod wire;
