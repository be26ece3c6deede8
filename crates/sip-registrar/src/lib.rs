//! The SIP registrar core and its location service (RFC 3261 §10).
//!
//! A [`Registrar`] stands on an endpoint beside other cores and takes every REGISTER for its domains: it authenticates
//! the sender, reads the REGISTER into a [`Change`], has the change applied to the bindings, and answers. What the
//! bindings are is told by [`Registrar::lookup`], to whoever routes requests.
//!
//! The rules of RFC 3261 §10.3 are a pure function, [`Change::apply`]; where bindings are kept is a [`Location`], such
//! as [`MemoryLocation`], or a store elsewhere that is asked by [`Event::UpdateNeeded`].
//!
//! A device that manages its flows (RFC 5626) is told by Flow-Timer how often to say something on a connection, and taken
//! for gone when it does not ([`Terms::flow_timer`]). Over datagrams it finds out by STUN itself that its flow is dead, and
//! binds another one in its place. Behind an edge proxy that takes care of its flow by `ob`, the edge sees to that, and
//! behind one that does not the device gets 439.
//!
//! On one of several endpoints that share the work of one, each registrar keeps a part of the bindings, and they ask each
//! other for the rest: [`Registrar::find`].

mod binding;
mod change;
mod config;
mod event;
mod location;
mod refusal;
mod registrar;
mod shards;
mod stats;

pub use binding::Binding;
pub use change::{Change, ChangeError, Terms};
pub use config::RegistrarConfig;
pub use event::{Event, LookupId, SecretId, UpdateId};
pub use location::{Location, MemoryLocation, UpdateError};
pub use registrar::Registrar;
pub use shards::Found;
pub use stats::RegistrarStats;
