//! SIP dialogs: route sets, targets, the INVITE usage.
//!
//! A dialog is what two user agents remember of each other between a request and the next (RFC 3261 §12). This crate
//! holds the rules as values without sockets, transactions or a clock:
//!
//! - [`Dialog`]: one dialog. It makes requests ([`Dialog::request`], [`Dialog::ack`]) that carry the right tags, CSeq,
//!   Request-URI and Route, and judges those that come in ([`Dialog::receive_request`]).
//! - [`DialogLayer`]: all of them, found by [`DialogId`], and the 2xx that are repeated until their ACK comes.
//! - [`Acceptance`], [`OpenInvite`], [`OfferAnswer`]: the small states behind, each with its figure.
//!
//! What needs a transaction is the owner's to do: a user agent pairs both. Via, Contact and the choice of a connection
//! belong to whoever sends.
//!
//! ```
//! use sip_dialog::{Dialog, State};
//! use sip_message::{Method, Request, Response, headers::Route};
//!
//! let invite = Request::parse(
//!     "INVITE sip:bob@example.com SIP/2.0\r\n\
//!      Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
//!      Max-Forwards: 70\r\n\
//!      From: <sip:alice@example.com>;tag=a\r\n\
//!      To: <sip:bob@example.com>\r\n\
//!      Call-ID: 1@192.0.2.1\r\n\
//!      CSeq: 1 INVITE\r\n\
//!      Contact: <sip:alice@192.0.2.1>\r\n\
//!      Content-Length: 0\r\n\r\n".into(),
//! )?;
//! let ok = Response::parse(
//!     "SIP/2.0 200 OK\r\n\
//!      Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
//!      Record-Route: <sip:inner.example.com;lr>, <sip:outer.example.com;lr>\r\n\
//!      From: <sip:alice@example.com>;tag=a\r\n\
//!      To: <sip:bob@example.com>;tag=b\r\n\
//!      Call-ID: 1@192.0.2.1\r\n\
//!      CSeq: 1 INVITE\r\n\
//!      Contact: <sip:bob@192.0.2.2>\r\n\
//!      Content-Length: 0\r\n\r\n".into(),
//! )?;
//! let mut dialog = Dialog::uac(&invite, &ok)?;
//! assert_eq!(dialog.state(), State::Confirmed);
//! let bye = dialog.request(Method::BYE)?;
//! assert_eq!(bye.uri().as_str(), "sip:bob@192.0.2.2");
//! let first = bye.headers().get::<Route>().expect("has a Route")?;
//! assert_eq!(first.uri().as_str(), "sip:outer.example.com;lr");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod dialog;
mod id;
mod invite;
mod layer;
mod offer_answer;
mod route_set;

pub use dialog::{Dialog, DialogError, DialogOver, OutOfOrder, Role, State};
pub use id::DialogId;
pub use invite::{
    Acceptance, AcceptanceAction, AcceptanceInput, Glare, OpenInvite, glare_delay, overlap_delay,
};
pub use layer::{
    ACCEPTED_LIMIT, AcceptError, DialogConfig, DialogKey, DialogLayer, Event, InsertError,
};
pub use offer_answer::{OfferAnswer, OfferError};
pub use route_set::RouteSet;
