//! How much a peer may send before we stop reading.

/// Sizes and counts beyond which a message is refused.
///
/// ```
/// use sip_message::Limits;
///
/// let small = Limits::default().message_size(4096).header_lines(64);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub(crate) message_size: usize,
    pub(crate) head_size: usize,
    pub(crate) header_lines: usize,
    pub(crate) nesting: usize,
    pub(crate) parts: usize,
    pub(crate) strict: bool,
}

impl Limits {
    /// The largest message, body included.
    ///
    /// Defaults to 65,535 bytes, because that is the largest datagram (RFC 3261 §18.1.1); beyond it: 513.
    #[must_use]
    pub const fn message_size(mut self, bytes: usize) -> Self {
        self.message_size = bytes;
        self
    }

    /// The largest start line and header section together.
    ///
    /// Defaults to 65,535 bytes, which is also the most that can be set, because places in it are kept in 16 bits; beyond it: 513.
    #[must_use]
    pub const fn head_size(mut self, bytes: usize) -> Self {
        self.head_size = if bytes > 65_535 { 65_535 } else { bytes };
        self
    }

    /// The most header lines.
    ///
    /// Defaults to 256, because carriers stay under 60; beyond it: 513.
    #[must_use]
    pub const fn header_lines(mut self, lines: usize) -> Self {
        self.header_lines = lines;
        self
    }

    /// How deep multipart bodies may be nested.
    ///
    /// Defaults to 4, because two levels are the most that RFC 5621 shows.
    #[must_use]
    pub const fn nesting(mut self, levels: usize) -> Self {
        self.nesting = levels;
        self
    }

    /// The most parts of one multipart body.
    ///
    /// Defaults to 64.
    #[must_use]
    pub const fn parts(mut self, parts: usize) -> Self {
        self.parts = parts;
        self
    }

    /// Refuses what is only tolerated: every [`Leniency`](crate::Leniency) becomes an error.
    ///
    /// Defaults to no, because old and careless peers are many and harmless.
    #[must_use]
    pub const fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_size: 65_535,
            head_size: 65_535,
            header_lines: 256,
            nesting: 4,
            parts: 64,
            strict: false,
        }
    }
}
