//! Who a SIP request comes from: digest authentication, client and server (RFC 3261 §22, RFC 7616, RFC 8760).
//!
//! A [`Client`] answers challenges and sends credentials ahead; a [`Server`] makes challenges and checks what comes
//! back. Neither owns a clock or a database: time is an argument, and a password is a [`Question`] that is answered when
//! it is known, or at once by a [`CredentialStore`].
//!
//! ```
//! use sip_auth::{Client, Credentials, Digest, Outcome, Role, Server, Users};
//! use sip_io::WallClock;
//! use sip_message::{Method, Request, Tag};
//! use std::time::{Instant, SystemTime};
//!
//! let now = Instant::now();
//! let clock = WallClock { at: now, is: SystemTime::UNIX_EPOCH };
//! let mut server = Server::new(Digest::realm("example.com"), [1; 32], clock);
//! let users = Users::parse("alice:secret")?;
//! let mut client = Client::new([2; 32]);
//! client.add(Credentials::password("alice", "secret"));
//!
//! let mut register = Request::builder(Method::REGISTER, "sip:example.com")
//!     .from("sip:alice@example.com", Tag::new("88sja8x")?)
//!     .to("sip:alice@example.com")
//!     .call_id("987asjd97y7atg")
//!     .cseq(1)
//!     .build()?;
//! let outcome = server.authenticate(now, &register, Role::Server, &users);
//! assert_eq!(outcome, Outcome::Missing);
//!
//! let response = server.answer(now, &register, Role::Server, &outcome).expect("a challenge");
//! client.respond(&mut register, &response)?;
//! let outcome = server.authenticate(now, &register, Role::Server, &users);
//! assert_eq!(outcome, Outcome::Granted { user: "alice".into() });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An [`Authenticator`] is a server together with its users, as registrars and proxies have it. With [`Digest::back_off`] those who guess wait. Beside Digest there are tokens ([`BearerToken`], RFC 8898), and what
//! networks say about callers: [`asserted`] identities (RFC 3325), and with features of their own, since they bring
//! ciphers and certificates, `aka` (RFC 3310, RFC 4169) and `identity` (RFC 8224, RFC 8225, RFC 8588).
//!
//! Only the scheme Digest is offered and taken; Basic was removed by RFC 3261 §22. ACK and CANCEL are never challenged:
//! that is for the caller to see to, since they are never to be answered with 401 or 407 at all. Passwords, their hashes
//! and keys never appear in `Debug`.

#[cfg(feature = "aka")]
pub mod aka;
mod algorithm;
mod asserted;
mod authenticator;
mod back_off;
mod bearer;
mod challenge;
mod client;
mod credentials;
mod digest;
mod extended;
mod htdigest;
#[cfg(feature = "identity")]
pub mod identity;
mod nonce;
mod replay;
mod server;
mod users;

pub use algorithm::Algorithm;
pub use asserted::{
    Border, Reading, anonymous, assert_identity, asserted, from_untrusted, preferred,
    towards_untrusted, wants_privacy,
};
pub use authenticator::{Admission, Authenticator, Granted};
pub use back_off::BackOff;
pub use bearer::{BearerChallenge, BearerToken};
pub use challenge::{Challenge, ChallengeError};
pub use client::{AuthError, Choice, Client, Proof, repeat_credentials};
pub use credentials::{Credentials, CredentialsError, Secret};
pub use digest::{Inputs, Qop, response};
pub use htdigest::Htdigest;
pub use server::{
    Confirmation, Digest, Malformed, Outcome, Question, Role, Server, ServerStats, Verdict,
};
pub use users::{CredentialStore, Users, UsersError, names};
