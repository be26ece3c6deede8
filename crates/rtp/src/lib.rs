//! RTP sessions, jitter buffer, telephone events and codecs.
