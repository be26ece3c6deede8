//! SIP for Rust programs: phones, voice bots, proxies and registrars from one set of parts.
//!
//! Add it to your program; there is no daemon to configure.
//!
//! ```no_run
//! use sipwright::{Credentials, UserAgent, media::Wav};
//!
//! #[tokio::main]
//! async fn main() -> sipwright::Result<()> {
//!     let ua = UserAgent::bind("udp:0.0.0.0:5060").await?;
//!     let alice = ua.account("sip:alice@example.com")
//!         .credentials(Credentials::password("alice", "secret"))
//!         .build()?;
//!     let _registration = alice.register().await?;
//!     let call = alice.call("sip:bob@example.com").await?;
//!     call.play(Wav::open("hello.wav")?).await?;
//!     call.hang_up().await;
//!     ua.close().await;
//!     Ok(())
//! }
//! ```
//!
//! # Rules of the handles
//!
//! - **Own it and it lives; drop it and it ends politely.** Dropping the future of an outgoing call sends CANCEL,
//!   dropping a [`Call`] sends BYE, dropping a [`Registration`] unregisters, dropping an [`IncomingCall`] answers 480.
//!   [`Call::detach`] and [`Registration::leave`] say otherwise.
//! - **Shared things are `Clone`, owned things are not.** [`UserAgent`], [`Server`] and [`Account`] are shared.
//! - **Builders are awaited**: `alice.call(uri).ring_for(time).await`. What takes a future, such as `join`, takes
//!   [`into_future`](std::future::IntoFuture::into_future) of them.
//! - Every future is `Send` and independent of the executor that polls it.
//!
//! # How it is made
//!
//! One task drives one machine: a [`Stack`](endpoint::Stack) of cores – registrar, proxy, user agent – on one endpoint,
//! and the RTP sessions of its calls beside it. A handle sends a closure to that task and waits for what comes of it;
//! an event of the machine that concerns a handle is told by the application that lives on the same task. Nothing
//! below this crate knows sockets, tasks or locks: what the facade does, a program can do one layer down with
//! [`endpoint`], [`ua`], [`proxy_core`] and [`runtime`].
//!
//! Where one processor is not enough, `workers` of both builders makes several such stacks side by side, each on a task
//! or thread of its own: [`runtime::shards`] says how messages find theirs. Handles know which one they talk to.
//!
//! # Tests in virtual time
//!
//! With the feature `sim`, `sipwright::sim` is a network in memory with a clock of its own. Give a simulated host as the
//! [runtime](UserAgentBuilder::runtime), and the program under test is the program that ships. Lines lose, repeat and
//! delay; boxes translate addresses; ladders are compared with text beside the test or in a file.
//!
//! ```
//! # #[cfg(feature = "sim")] {
//! use sipwright::{UserAgent, assert_ladder, sim::{Nat, Sim}};
//!
//! let sim = Sim::new(1);
//! let home = sim.nat("home", Nat::Symmetric);
//! sim.run(async {
//!     let phone = UserAgent::builder().runtime(home.host("phone")).listen("udp:*:5060").start().await?;
//!     let _server = UserAgent::builder().runtime(sim.host("server")).listen("udp:*:5060").start().await?;
//!     let pong = phone.options("sip:server").await?;
//!     assert_eq!(pong.status(), 480, "it lives, and nobody takes its calls");
//!     sipwright::Result::Ok(())
//! })?;
//! assert_ladder!(sim, "
//!        0 ms  phone  -> server  OPTIONS
//!       10 ms  server -> phone   480
//! ");
//! # }
//! # Ok::<(), sipwright::Error>(())
//! ```

mod account;
mod app;
mod audio;
mod call;
mod calls;
mod dial;
mod dispatch;
mod error;
#[cfg(feature = "hickory-resolver")]
mod hickory;
mod inbound;
mod incoming;
mod latch;
mod listening;
mod locating;
mod machine;
mod messages;
mod queue;
mod registration;
mod request;
mod resolve;
mod router;
mod routing;
mod runtime_choice;
mod server;
mod setters;
mod shared;
mod stack_builder;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;
pub mod trace;
mod user_agent;

pub use account::{Account, AccountBuilder};
pub use call::{Call, CallEvents};
pub use calls::{CallEvent, Ended};
pub use dial::{Calling, Dial, EarlyDialog, Progress};
pub use error::{
    AccountError, AnswerError, BindError, CallError, Error, Gone, MessageError, RegisterError,
    ReofferError, RequestError, Result,
};
pub use incoming::{EarlyMedia, IncomingCall};
pub use listening::IntoListener;
pub use locating::Names;
pub use messages::{IncomingMessage, Messages};
pub use registration::{Registration, RegistrationState, RegistrationStates};
pub use request::{Options, Outgoing, OutgoingMessage, Pong};
pub use server::{Server, ServerBuilder};
pub use sip_auth::Credentials;
pub use sip_endpoint::{Listener, OverloadControl, Timers};
#[cfg(feature = "tls")]
pub use sip_endpoint::{PeerIdentity, Tls};
#[cfg(feature = "ws")]
pub use sip_endpoint::{Refusal, Upgrade, WebSocketConfig};
pub use sip_ua::{Cause, KeepAlivePolicy};
#[cfg(feature = "tls")]
pub use tls::with_roots;
pub use user_agent::{IncomingCalls, UserAgent, UserAgentBuilder};

pub use sip_auth as auth;
pub use sip_endpoint as endpoint;
pub use sip_io as io;
pub use sip_message as message;
pub use sip_proxy as proxy_core;
pub use sip_registrar as registrar;
pub use sip_runtime as runtime;
pub use sip_transport as transport;
pub use sip_ua as ua;
pub use {rtp, sdp};

/// Where names lead: what answers for them, and how it is configured.
pub mod resolver {
    #[cfg(feature = "hickory-resolver")]
    pub use crate::hickory::Hickory;
    pub use crate::resolve::Resolve;
    pub use sip_endpoint::View;
    pub use sip_resolver::*;
}

/// Routing as control flow: what a [`Server`] asks and is told.
pub mod proxy {
    pub use crate::dispatch::{DispatchSet, Gateways};
    pub use crate::inbound::{Contacts, Inbound, IntoPlan, Rejected, Relay, Relayed, at_once};
    pub use crate::router::Router;
    pub use crate::server::{MemoryLocation, Registrar};
    pub use sip_proxy::{
        Algorithm, Candidate, DestinationState, DestinationStatus, DispatchError, Foreign, Plan,
        Probe, Target,
    };
    pub use sip_registrar::Terms;
}

/// What calls play and record.
pub mod media {
    pub use crate::audio::{Audio, Ear, Frame, Mouth, Pcm, PushError};
    pub use sip_media::{
        AudioPreferences, AudioSink, AudioSource, Codec, DtmfError, MediaError, Recorder, Samples,
        Silence, Stats, Tone, Wav,
    };
}

/// A network in memory with a clock of its own.
#[cfg(feature = "sim")]
pub use sip_runtime::{assert_ladder, assert_ladder_snapshot, sim};
