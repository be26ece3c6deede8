//! STUN where SIP needs it: binding requests on the SIP port (RFC 5626 §3.5.2, RFC 8489).
//!
//! A user agent behind an address translator keeps its binding there alive by asking, and learns the address that the
//! world sees; whoever gets such a question answers it. Here are both halves, as bytes in and bytes out: no socket, no
//! clock, and chance only from a generator that is handed in.
//!
//! ```
//! use sip_io::Rng;
//! use sip_nat::stun;
//!
//! let mut question = stun::Question::new(&mut Rng::new([7; 32]));
//! let source = "198.51.100.7:40000".parse()?;
//! let answer = stun::answer(source, &question.to_bytes()).expect("is a question");
//! assert_eq!(question.read(&answer), Some(Ok(source)));
//! # Ok::<(), std::net::AddrParseError>(())
//! ```

pub mod stun;
