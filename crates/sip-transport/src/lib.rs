//! SIP transport layer: listeners, connections, framing, where responses go.
