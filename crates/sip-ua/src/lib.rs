//! The SIP user agent core.
//!
//! [`UserAgent`] is a [`Core`](sip_endpoint::Core): put on a [`Stack`](sip_endpoint::Stack) it registers, places and
//! takes calls, hangs them up and changes their sessions, and answers what peers ask of it. Commands are methods that
//! take the [`Context`](sip_endpoint::Context) first; everything that happens comes as an [`Event`], in the order that
//! its documentation promises.
//!
//! - **What a session is** the core does not know: when a description is needed it asks
//!   ([`Event::SessionNeeded`]) and is told ([`UserAgent::provide_session`]); both sides' descriptions come out with
//!   [`Event::SessionReady`].
//! - **Who speaks** is an [`Identity`], a value that is given with each command.
//! - **What peers may ask**: INVITE, ACK, CANCEL, BYE and OPTIONS are served; other methods when the application
//!   [listens to](UaConfig::listen_to) them, else 405 with Allow, or 501 when no one knows them. Then 416 for a
//!   Request-URI that is neither `sip` nor `sips`, 482 for a merged request, 420 for a Require that names an
//!   extension we lack, 415 for a body that is no session description, 481 for a dialog that is not ours, 500 for
//!   a CSeq that falls behind, 491 and 500 for INVITEs that collide.
//! - **Nothing leaks**: when everything has ended, no timer is set and every table is empty.
//!
//! One file holds one verb: `call/outgoing`, `call/incoming`, `call/hang_up`, `call/reoffer`, ….

mod call;
mod capabilities;
mod challenge;
mod config;
mod error;
mod event;
mod inbound;
mod registration;
mod request;
mod stats;
mod table;
mod user_agent;

pub use call::outgoing::{CallOptions, Offer};
pub use config::{AckTo, Identity, UaConfig};
pub use error::{AnswerError, Gone, ReofferError, SessionError, StartError};
pub use event::{
    CallId, Cause, Ended, Event, RegistrationId, ReofferFailure, RequestError, RequestKey,
    SessionQuestionId,
};
pub use registration::{KeepAlivePolicy, RegistrationOptions};
pub use request::RequestOptions;
pub use sip_dialog::DialogKey;
pub use stats::UaStats;
pub use user_agent::UserAgent;
