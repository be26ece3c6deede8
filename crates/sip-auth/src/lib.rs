//! SIP digest authentication, client and server.
