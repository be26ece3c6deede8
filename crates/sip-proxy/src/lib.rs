//! The SIP proxy core.
