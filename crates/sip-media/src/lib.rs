//! What an m= line becomes: audio sessions over RTP, tones, players, recorders.
//!
//! One [`MediaEngine`] is a [`StateMachine`](sip_io::StateMachine) that owns the RTP sessions of all calls of a stack.
//! A session is [opened](MediaEngine::open), which binds an even port for RTP and the next for RTCP; then an offer or an
//! answer can name its address, which is what [`Negotiation`] writes; what was agreed on is
//! [started](MediaEngine::start). From then on it plays an [`AudioSource`], records to an [`AudioSink`], sends and hears
//! keys, until it is [closed](MediaEngine::close) and tells its [`Stats`].
//!
//! ```
//! use sip_io::{Receive, StateMachine, Transmit, WallClock};
//! use sip_media::{Event, MediaConfig, MediaEngine, Negotiation, SessionConfig, Tone};
//! use std::time::{Instant, SystemTime};
//!
//! let now = Instant::now();
//! let clock = WallClock { at: now, is: SystemTime::UNIX_EPOCH };
//! let mut media = MediaEngine::new(MediaConfig::new([7; 32], clock));
//! let session = media.open(now, SessionConfig::new("192.0.2.1".parse()?))?;
//!
//! // What a driver does with sockets.
//! while let Some(Transmit::Bind { token, local, .. }) = media.poll_transmit() {
//!     media.handle_receive(now, Receive::Bound { token, result: Ok(local) });
//! }
//! let Some(Event::Opened { local, .. }) = media.poll_event() else { panic!("two ports were free") };
//!
//! let mut negotiation = Negotiation::new(1, local, &Default::default());
//! let offer = negotiation.offer()?;
//! let (answer, _) = Negotiation::new(2, "192.0.2.2:4000".parse()?, &Default::default()).answer(offer)?;
//! let audio = negotiation.apply_answer(answer)?.expect("audio was accepted");
//!
//! media.start(now, session, &audio)?;
//! media.play(now, session, Box::new(Tone::new(440.0, 0.5)))?;
//! media.handle_timeout(now);
//! assert!(matches!(media.poll_transmit(), Some(Transmit::Datagram { .. })));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod conceal;
mod config;
mod engine;
mod error;
mod event;
mod feed;
mod keys;
mod negotiate;
mod pace;
mod ports;
mod recorder;
mod resample;
mod session;
mod sink;
mod source;
mod stats;
mod stream;
mod wav;

pub use config::{Latch, MediaConfig, SessionConfig};
pub use engine::MediaEngine;
pub use error::{DtmfError, Gone, MediaError, NegotiateError, OpenError, StartError};
pub use event::{Event, PlaybackId, SessionId};
pub use negotiate::{AudioPreferences, Negotiation};
pub use recorder::Recorder;
pub use rtp::JitterConfig;
pub use sdp::{Codec, Direction, NegotiatedMedia};
pub use sink::{AudioSink, Tap};
pub use source::{AudioSource, Samples, Silence, Tone};
pub use stats::Stats;
pub use wav::Wav;
