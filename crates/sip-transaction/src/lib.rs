//! SIP transaction layer: the four machines of RFC 3261 section 17 and their table.
