//! SIP messages: lossless parsing, typed header fields, writing.
