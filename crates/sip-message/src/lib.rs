//! SIP messages: lossless parsing, typed header fields, writing.
//!
//! A message keeps the one buffer it came in. Parsing finds the start line, the header lines and the body; a value is read
//! when it is asked for. What was not edited is written byte for byte as it came.
//!
//! ```
//! use bytes::Bytes;
//! use sip_message::{Message, headers::{Contact, Via}};
//!
//! let wire = Bytes::from_static(b"OPTIONS sip:bob@example.com SIP/2.0\r\n\
//!     Via: SIP/2.0/UDP pc33.example.com:5066;branch=z9hG4bKhjhs8ass877\r\n\r\n");
//! let message = Message::parse(wire.clone())?;
//! assert_eq!(message.headers().require::<Via>()?.port(), Some(5066));
//! assert!(message.headers().get::<Contact>().is_none());
//! assert_eq!(message.to_bytes(), wire);
//! # Ok::<(), sip_message::ParseError>(())
//! ```
//!
//! | to | use |
//! |---|---|
//! | read and edit a message | [`Message`], [`Request`], [`Response`], [`Headers`] |
//! | write one from nothing | [`Request::builder`], [`Request::response`] |
//! | read a value without keeping it | [`Headers::view`] |
//! | cut a stream into messages | [`StreamFramer`] |
//! | steer a message without parsing it | [`peek`] |
//! | answer what cannot be parsed | [`reject`], [`ParseError::to_response`] |
//! | add a header field of one's own | [`HeaderField`] |
//! | split a body | [`multipart`], [`SipFrag`] |
//!
//! Which hostile and odd messages are read and which are refused: [`conformance`].
//!
//! # How a message is kept
//!
//! One [`bytes::Bytes`] holds what came. A table of eight bytes for each line says where name and value stand; the first 32
//! lines need no allocation. Typed values own a slice of the buffer and places in it. Edits are entries of the same table
//! that point to new text, so that writing copies runs of untouched lines. Reading takes time linear in the size of the
//! message, whatever is in it.
//!
//! What nearly every message looks like has a way of its own, without detours: a name in its customary spelling, one space, a
//! URI without escapes, parameters without white space. Whatever is not of that form, and whatever is wrong, takes the way of
//! the whole grammar; tests hold the two together.
//!
//! Every grammar is scanned by hand over one table of byte classes, also where a value is rarely read. There is no parser
//! combinator (nom) for those: nearly all header fields are of ten families that share their scanners with the fields
//! that routing reads, and the few others have grammars of a dozen lines; a second way to read the same would be more
//! code, and errors would have to be translated.
//!
//! The crate needs `std`. Nothing in it must: its dependencies build without, and of `std` itself only [`headers::Date`] takes
//! what `core` and `alloc` lack, the system's time. But `no_std` is not free: some thirty files would import what the prelude of
//! `std` brings, and nobody would build the form without, since all crates that stand on this one need `std`.

mod aor;
mod builder;
#[doc = include_str!("conformance.md")]
pub mod conformance {}
mod equivalence;
mod error;
mod frame;
pub mod headers;
mod host;
mod leniency;
mod limits;
mod message;
mod method;
pub mod multipart;
mod name;
mod name_addr;
mod params;
mod parse;
mod peek;
mod reject;
mod request;
mod response;
mod scan;
mod sipfrag;
mod status;
mod token;
mod uri;
mod value;

pub use aor::Aor;
pub use builder::{IntoAddress, RequestBuilder, ResponseBuilder};
pub use error::{ParseError, ParseErrorKind};
pub use frame::{Frame, FrameError, StreamFramer};
pub use headers::{HeaderField, Headers, Shape, ViewField};
pub use host::{Host, HostName};
pub use leniency::Leniency;
pub use limits::Limits;
pub use message::Message;
pub use method::Method;
pub use name::HeaderName;
pub use name_addr::{NameAddr, NameAddrView};
pub use peek::{Peek, peek};
pub use reject::reject;
pub use request::Request;
pub use response::Response;
pub use sipfrag::SipFrag;
pub use status::StatusCode;
pub use token::{Tag, Token};
pub use uri::{IntoUri, Scheme, Uri, UriView};
pub use value::HeaderValue;
