//! SIP for Rust programs: user agents, proxies, registrars and back-to-back user agents from one set of parts.
