//! The SIP registrar core and its location service.
