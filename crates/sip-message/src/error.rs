//! Why something could not be read, and the response that says so.

use std::{borrow::Cow, fmt};

use crate::{HeaderName, Request, Response, StatusCode};

/// A message, header field or URI that cannot be read: which field, where, and why.
///
/// ```
/// use bytes::Bytes;
/// use sip_message::{Request, headers::MaxForwards};
///
/// let request = Request::parse(Bytes::from_static(b"OPTIONS sip:a@b SIP/2.0\r\nMax-Forwards: many\r\n\r\n"))?;
/// let error = request.headers().require::<MaxForwards>().unwrap_err();
/// assert_eq!(error.field(), "Max-Forwards");
/// assert_eq!(error.offset(), 39);
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    kind: ParseErrorKind,
    field: Field,
    offset: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    None,
    Part(&'static str),
    Header(HeaderName),
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// A header field that must be there is not.
    #[error("is missing")]
    Missing,
    /// A header field that may be there once is there again.
    #[error("is there more than once")]
    Duplicate,
    /// There is nothing where a value must be.
    #[error("is empty")]
    Empty,
    /// The text does not follow its grammar.
    #[error("is malformed")]
    Malformed,
    /// A quoted string or a pair of angle brackets is not closed.
    #[error("has an unbalanced quote or bracket")]
    Unbalanced,
    /// A control character where none may be.
    #[error("has a control character")]
    Control,
    /// A `%` that is not followed by two hexadecimal digits.
    #[error("has an invalid escape")]
    Escape,
    /// Neither a host name nor an address.
    #[error("has an invalid host")]
    Host,
    /// A number that does not fit its field.
    #[error("has a number out of range")]
    OutOfRange,
    /// CSeq names another method than the request line.
    #[error("does not match the method of the request")]
    MethodMismatch,
    /// The version is not `SIP/2.0`.
    #[error("has an unsupported version")]
    Version,
    /// A URI that begins with nothing like `sip:`.
    #[error("has no scheme such as sip:")]
    NoScheme,
    /// A URI scheme that cannot be used here.
    #[error("has an unsupported URI scheme")]
    Scheme,
    /// The head does not end.
    #[error("has no end")]
    Incomplete,
    /// The body is shorter than Content-Length says.
    #[error("is longer than the message")]
    Truncated,
    /// A stream needs Content-Length to find the end of a message.
    #[error("is needed on a stream")]
    LengthRequired,
    /// Tolerated by default, but not with [`Limits::strict`](crate::Limits::strict).
    #[error("is not as it must be by the letter")]
    NotStrict,
    /// Larger than the configured limit.
    #[error("exceeds the limit of {limit} bytes")]
    TooLarge {
        /// The limit that was exceeded.
        limit: usize,
    },
    /// More than the configured limit.
    #[error("exceeds the limit of {limit} elements")]
    TooMany {
        /// The limit that was exceeded.
        limit: usize,
    },
    /// Nested deeper than the configured limit.
    #[error("is nested deeper than {limit}")]
    TooDeep {
        /// The limit that was exceeded.
        limit: usize,
    },
}

impl ParseError {
    #[cold]
    #[inline(never)]
    pub(crate) const fn new(kind: ParseErrorKind, offset: usize) -> Self {
        Self {
            kind,
            field: Field::None,
            offset,
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) const fn part(kind: ParseErrorKind, part: &'static str, offset: usize) -> Self {
        Self {
            kind,
            field: Field::Part(part),
            offset,
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) const fn header(kind: ParseErrorKind, name: HeaderName, offset: usize) -> Self {
        Self {
            kind,
            field: Field::Header(name),
            offset,
        }
    }

    /// Says that a value does not follow its grammar, `offset` bytes into it.
    ///
    /// For header fields of an application's own; the field's name and its place in the message are added when the value
    /// is read through [`Headers`](crate::Headers).
    pub const fn malformed(offset: usize) -> Self {
        Self::new(ParseErrorKind::Malformed, offset)
    }

    /// Gives the error its field, and moves it to where the value stands in the message.
    pub(crate) fn within(mut self, name: &HeaderName, base: usize) -> Self {
        if self.field == Field::None {
            self.field = Field::Header(name.clone());
        }
        self.offset += base;
        self
    }

    pub(crate) fn shifted(mut self, base: usize) -> Self {
        self.offset += base;
        self
    }

    pub(crate) fn in_part(mut self, part: &'static str, base: usize) -> Self {
        if self.field == Field::None {
            self.field = Field::Part(part);
        }
        self.offset += base;
        self
    }

    /// Names the part of the message that it is about, whatever it was called before.
    pub(crate) fn renamed(mut self, part: &'static str) -> Self {
        self.field = Field::Part(part);
        self
    }

    /// What is wrong.
    pub const fn kind(&self) -> ParseErrorKind {
        self.kind
    }

    /// The header field's name, or the part of the message: `start line`, `Request-URI`, `header line`, `body`, `message`.
    pub fn field(&self) -> &str {
        match &self.field {
            Field::None => "value",
            Field::Part(part) => part,
            Field::Header(name) => name.as_str(),
        }
    }

    /// The header field, if it is one.
    pub const fn header_name(&self) -> Option<&HeaderName> {
        match &self.field {
            Field::Header(name) => Some(name),
            _ => None,
        }
    }

    /// Where it went wrong, in bytes from the start of the message (of the text, when only a value was parsed).
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// The status code of the response that answers this error: 400, 416, 505 or 513.
    pub const fn status(&self) -> StatusCode {
        match self.kind {
            ParseErrorKind::Version => StatusCode::VERSION_NOT_SUPPORTED,
            ParseErrorKind::Scheme => StatusCode::UNSUPPORTED_URI_SCHEME,
            ParseErrorKind::TooLarge { .. }
            | ParseErrorKind::TooMany { .. }
            | ParseErrorKind::TooDeep { .. } => StatusCode::MESSAGE_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The reason phrase of that response; it names the field.
    pub fn reason(&self) -> Cow<'static, str> {
        Cow::Owned(format!(
            "{} ({} {})",
            self.status().reason().unwrap_or("Error"),
            self.field(),
            self.kind
        ))
    }

    /// The response to `request`, which has this error: 400, 416, 505 or 513 with a reason phrase that names the field.
    ///
    /// A request that could not be parsed at all is answered by [`reject`](crate::reject).
    pub fn to_response(&self, request: &Request) -> Response {
        request
            .response(self.status())
            .reason(&self.reason())
            .build()
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} at byte {}", self.field(), self.kind, self.offset)
    }
}

impl std::error::Error for ParseError {}
