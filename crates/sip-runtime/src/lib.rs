//! Drives sans-IO machines on tokio, smol, a thread of their own, or a simulated network.
//!
//! This is the only crate of the library with sockets and a clock. A [`Driver`] owns one
//! [`StateMachine`](sip_io::StateMachine) and the sockets that it asks for; whatever the machine is – a whole SIP
//! stack, a set of RTP sessions, an application's own –, it sees the same words of `sip-io`. An [`Application`] takes
//! the machine's events on the same task, and a [`DriverHandle`] reaches both from anywhere else.
//!
//! ```text
//!     other tasks                    one task
//!   +--------------+ command  +------------------+ handle_event  +-------------+
//!   | DriverHandle |--------->|      Driver      |-------------->| Application |
//!   +--------------+<---------|  M: StateMachine |<--------------|             |
//!                     answer  +------------------+   commands    +-------------+
//!                               Receive ^ | Transmit
//!                                       | v
//!                      sockets, streams, timer of a Runtime
//! ```
//!
//! A [`Runtime`] gives clock, chance, tasks and sockets. It is a trait for objects, so no type of the library has a
//! parameter for it:
//!
//! | runtime | feature | for |
//! |---|---|---|
//! | `Tokio` | `tokio` (default) | applications that live on tokio |
//! | `Smol` | `smol` | applications that live on smol or async-std |
//! | `Thread` | `smol` | applications without any async runtime |
//! | `sim::Host` | `sim` | tests in virtual time: see the module `sim` |
//!
//! Where one processor is not enough, several drivers share the work of one: see [`shards`].

mod activity;
mod driver;
mod handle;
mod in_place;
mod interfaces;
mod names;
mod ports;
mod ready;
mod runtime;
pub mod shards;

#[cfg(feature = "_os")]
mod os;
#[cfg(feature = "sim")]
pub mod sim;
#[cfg(feature = "smol")]
mod smol;
#[cfg(feature = "sim")]
pub mod testing;
#[cfg(feature = "smol")]
mod thread;
#[cfg(feature = "tokio")]
mod tokio;

pub use activity::Activity;
pub use driver::{Application, Driver};
pub use handle::{Command, DriverHandle, Ended, Gone};
pub use names::NameService;
pub use runtime::{Batch, BoxFuture, Datagram, Runtime, TcpListener, TcpStream, Timer, UdpSocket};

#[cfg(feature = "tokio")]
pub use self::tokio::{NoContext, Tokio};
#[cfg(feature = "smol")]
pub use self::{smol::Smol, thread::Thread};
