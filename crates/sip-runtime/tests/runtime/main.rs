//! What drivers promise, on every runtime alike, and what they do when the system has no more to give.
#![cfg(any(feature = "tokio", feature = "smol", feature = "sim"))]

#[cfg(feature = "sim")]
mod coalescing;
mod common;
mod driver;
#[cfg(feature = "sim")]
mod in_place;
#[cfg(feature = "sim")]
mod limits;
mod shards;
