//! Session descriptions (RFC 8866) and offer/answer (RFC 3264).
//!
//! A [`SessionDescription`] keeps the bytes that it was parsed from and finds the lines in them; values are read when
//! they are asked for. What was not touched leaves byte for byte as it came, in its order, unknown lines and
//! attributes included.
//!
//! [`Session`] is one party's side of the offer/answer exchange: it writes offers and answers from [`Capabilities`],
//! and says with [`Negotiated`] what may flow each way afterwards. Keys ([`SrtpPolicy`]), connectivity checks ([`Ice`]) and
//! bundles are data that the caller brings and gets.
//!
//! Those in the middle change descriptions with [`SessionDescription::anchor`],
//! [`replace_addresses`](SessionDescription::replace_addresses), [`Media::retain_codecs`] and their neighbours.
//!
//! ```
//! use sdp::{Capabilities, Session};
//!
//! let (mut alice, mut bob) = (Session::new(1), Session::new(2));
//! let offer = alice.offer(&Capabilities::audio("192.0.2.1:4000".parse()?))?;
//! let (answer, bobs) = bob.answer(&offer, &Capabilities::audio("192.0.2.2:5000".parse()?))?;
//! let alices = alice.apply_answer(&answer)?;
//!
//! let (ours, theirs) = (alices.audio().expect("accepted"), bobs.audio().expect("accepted"));
//! assert_eq!(ours.codec().name(), "PCMU");
//! assert_eq!(ours.remote(), Some("192.0.2.2:5000".parse()?));
//! assert!(theirs.receives(ours.send_payload_type()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The crate needs `std`, of which it uses nothing that `core` and `alloc` lack: `no_std` would cost imports in forty files.

mod attribute;
mod bundle;
mod capabilities;
mod codec;
mod codec_pattern;
mod connection;
mod describe;
mod description;
mod edit;
mod error;
mod ice;
mod line;
mod media;
mod negotiated;
mod offer;
mod origin;
mod parse;
mod slot;
mod srtp;

pub use attribute::{
    AcceptTypes, AcceptWrappedTypes, Attribute, BundleOnly, Candidate, ConnectionReuse, Content,
    Crypto, CryptoKey, Direction, EndOfCandidates, ExtMap, ExtMapAllowMixed, Fingerprint, Fmtp,
    Group, H264Parameters, IceLite, IceMismatch, IceOptions, IcePwd, IceUfrag, ImageAttr, ImageSet,
    Label, MaxPacketTime, MaxSize, Mid, Msid, MsrpPath, OpusParameters, PacketTime, Redundancy,
    RemoteCandidates, Rid, Rtcp, RtcpFeedback, RtcpMux, RtcpMuxOnly, RtcpReducedSize, RtpMap,
    Setup, Simulcast, SimulcastId, Ssrc, SsrcGroup, T38, T140Parameters, TelephoneEvents,
    TypedAttribute,
};
pub use capabilities::{AnswerCodecs, Capabilities, CodecOrder, MediaCapabilities};
pub use codec::Codec;
pub use codec_pattern::CodecPattern;
pub use connection::Connection;
pub use description::SessionDescription;
pub use error::{AnswerError, IllegalText, OfferError, SdpError, SdpErrorKind, ValueError};
pub use ice::Ice;
pub use line::Line;
pub use media::Media;
pub use negotiated::{Negotiated, NegotiatedMedia};
pub use offer::Session;
pub use origin::Origin;
pub use parse::Limits;
pub use srtp::{Keying, MediaSecurity, SrtpPolicy};
