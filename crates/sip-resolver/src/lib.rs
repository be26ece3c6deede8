//! Locating SIP servers (RFC 3263) over questions and answers, and a small DNS client.
