//! RTP sessions (RFC 3550), jitter buffer, telephone events (RFC 4733) and codecs (G.711).
//!
//! [`Session`] numbers what goes out, judges what comes in and reports both by RTCP; [`JitterBuffer`] puts packets back
//! into order and time; [`EventSender`] and [`EventReceiver`] turn keys into packets and back; a [`Codec`] turns samples
//! into payloads and back. None of them owns a socket or a clock.
//!
//! ```
//! use rtp::{Packet, Session, SessionConfig, codec};
//! use sip_io::{Rng, WallClock};
//! use std::time::{Instant, SystemTime};
//!
//! let now = Instant::now();
//! let clock = WallClock { at: now, is: SystemTime::UNIX_EPOCH };
//! let mut alice = Session::new(SessionConfig::new(8_000), Rng::new([1; 32]), clock, now);
//! let mut bob = Session::new(SessionConfig::new(8_000), Rng::new([2; 32]), clock, now);
//!
//! let mut pcmu = codec::by_name("PCMU", 8_000).expect("G.711 is built in");
//! let mut payload = Vec::new();
//! pcmu.encode(&[0; 160], &mut payload);
//! let datagram = alice.send(now, 0, true, 0, &payload);
//!
//! let packet = Packet::parse(datagram)?;
//! let received = bob.receive(now, "192.0.2.1:4000".parse().expect("an address"), &packet);
//! assert!(received.is_ok());
//! assert_eq!(packet.payload.len(), 160);
//! # Ok::<(), rtp::PacketError>(())
//! ```

pub mod codec;
mod event;
mod jitter;
mod packet;
pub mod quality;
pub mod rtcp;
mod session;
mod source;

pub use codec::Codec;
pub use event::{Event, EventReceiver, EventSender, Key, KeyEvent};
pub use jitter::{Entry, JitterBuffer, JitterConfig, Playout};
pub use packet::{Extension, Packet, PacketError, is_rtcp};
pub use session::{Ignored, Received, Session, SessionConfig, Stats};
