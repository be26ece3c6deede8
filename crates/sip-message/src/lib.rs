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

mod aor;
mod builder;
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
