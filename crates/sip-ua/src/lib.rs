//! The SIP user agent core.
