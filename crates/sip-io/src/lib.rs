//! The vocabulary of sans-IO machines: flows, receive and transmit, timers, clock, seeded randomness.
//!
//! Every protocol layer of sipwright is a [`StateMachine`]: it is told what arrived and what time it is, and it is
//! asked what to send, what happened and when it wants to be woken. It owns no socket, clock, thread or lock, so a
//! whole call runs in a unit test, in virtual time, byte for byte the same at every run.
//!
//! ```
//! use sip_io::{Flow, Receive, StateMachine, Transmit};
//! use std::{collections::VecDeque, time::Instant};
//!
//! /// Sends every datagram back.
//! #[derive(Default)]
//! struct Echo { out: VecDeque<Transmit> }
//!
//! impl StateMachine for Echo {
//!     type Event = ();
//!     fn handle_receive(&mut self, _now: Instant, receive: Receive) {
//!         if let Receive::Datagram { flow, contents } = receive {
//!             self.out.push_back(Transmit::Datagram { flow, contents });
//!         }
//!     }
//!     fn handle_timeout(&mut self, _now: Instant) {}
//!     fn poll_transmit(&mut self) -> Option<Transmit> { self.out.pop_front() }
//!     fn poll_event(&mut self) -> Option<()> { None }
//!     fn poll_timeout(&self) -> Option<Instant> { None }
//! }
//!
//! let flow = Flow::udp("192.0.2.1:5060".parse()?, "192.0.2.2:5060".parse()?);
//! let mut echo = Echo::default();
//! echo.handle_receive(Instant::now(), Receive::Datagram { flow, contents: "ping".into() });
//! assert!(matches!(echo.poll_transmit(), Some(Transmit::Datagram { flow: back, .. }) if back == flow));
//! # Ok::<(), std::net::AddrParseError>(())
//! ```

mod clock;
mod flow;
mod machine;
mod rng;
mod shard;
mod timer;
mod transmit;

pub use clock::WallClock;
pub use flow::{Flow, Protocol, StreamId};
pub use machine::{StateMachine, earliest};
pub use rng::Rng;
pub use shard::{Note, Parcel, Shard};
pub use timer::{TimerId, TimerQueue};
pub use transmit::{BindToken, CloseReason, FailReason, Receive, Transmit};
