//! rtcp-mux (RFC 5761 §5.1.1), rtcp-mux-only (RFC 8858), rtcp-rsize (RFC 5506 §5).
//!
//! ```text
//! a=rtcp-mux
//! a=rtcp-mux-only
//! a=rtcp-rsize
//! ```

use super::flag;

flag! {
    /// RTP and RTCP share a port (RFC 5761).
    RtcpMux = "rtcp-mux"
}
flag! {
    /// RTP and RTCP share a port or there is no session (RFC 8858).
    RtcpMuxOnly = "rtcp-mux-only"
}
flag! {
    /// RTCP packets may be sent without a report in front (RFC 5506).
    RtcpReducedSize = "rtcp-rsize"
}
