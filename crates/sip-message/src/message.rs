//! A message of either kind.

use bytes::{BufMut, Bytes, BytesMut};

use crate::{
    HeaderName, HeaderValue, Headers, Leniency, Limits, Method, ParseError, ParseErrorKind,
    Request, Response, ViewField,
    headers::{CSeq, CallId, ContentLength, ContentType, From, MaxForwards, Pieces, To, Via},
    leniency, parse,
};

/// A request or a response (RFC 3261 §7).
///
/// It keeps the one buffer it was given; values are read when they are asked for, and an unmodified message is written as
/// the bytes it came as.
///
/// ```
/// use bytes::Bytes;
/// use sip_message::{Message, ParseError, headers::{MaxForwards, Subject}};
///
/// fn one_hop(wire: Bytes) -> Result<Bytes, ParseError> {
///     let mut message = Message::parse(wire)?;
///     let MaxForwards(hops) = message.headers().require()?;
///     message.headers_mut().set(MaxForwards(hops.saturating_sub(1)));
///     message.headers_mut().remove::<Subject>();
///     Ok(message.to_bytes())
/// }
/// # let wire = Bytes::from_static(b"OPTIONS sip:a@b SIP/2.0\r\nmAX-forwards: 70\r\ns: x\r\n\r\n");
/// # assert_eq!(one_hop(wire)?, "OPTIONS sip:a@b SIP/2.0\r\nMax-Forwards: 69\r\n\r\n");
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

impl Message {
    /// Reads a datagram: what follows Content-Length is cut off, and without Content-Length the datagram ends the body (RFC 3261 §18.3).
    ///
    /// Line ends before the message are skipped.
    ///
    /// # Errors
    /// If the start line, a header line or Content-Length is malformed, if the body is shorter than Content-Length, if there
    /// are two of Call-ID, CSeq, From, To, Content-Length or Max-Forwards, or if a limit is exceeded.
    pub fn parse(wire: Bytes) -> Result<Self, ParseError> {
        parse::message(wire, &Limits::default())
    }

    /// As [`Message::parse`], with other limits.
    ///
    /// # Errors
    /// As [`Message::parse`]; and with [`Limits::strict`], whatever is only tolerated.
    pub fn parse_with(wire: Bytes, limits: &Limits) -> Result<Self, ParseError> {
        if !limits.strict {
            return parse::message(wire, limits);
        }
        let message = parse::message(wire, limits)?;
        leniency::refuse(&message)?;
        Ok(message)
    }

    /// What had to be tolerated, each once: to be counted by name.
    pub fn leniencies(&self) -> impl Iterator<Item = Leniency> {
        leniency::of(self)
    }

    /// The message with every header name in compact form that has one (RFC 3261 §7.3.3): for what must fit a datagram.
    pub fn to_bytes_compact(&self) -> Bytes {
        match self {
            Self::Request(request) => request.to_bytes_compact(),
            Self::Response(response) => response.to_bytes_compact(),
        }
    }

    /// The header section.
    pub const fn headers(&self) -> &Headers {
        match self {
            Self::Request(request) => request.headers(),
            Self::Response(response) => response.headers(),
        }
    }

    /// The header section, to be edited.
    pub const fn headers_mut(&mut self) -> &mut Headers {
        match self {
            Self::Request(request) => request.headers_mut(),
            Self::Response(response) => response.headers_mut(),
        }
    }

    /// The body; empty if there is none.
    pub const fn body(&self) -> &Bytes {
        match self {
            Self::Request(request) => request.body(),
            Self::Response(response) => response.body(),
        }
    }

    pub(crate) fn set_wire_body(&mut self, body: Bytes) {
        match self {
            Self::Request(request) => request.set_wire_body(body),
            Self::Response(response) => response.set_wire_body(body),
        }
    }

    /// The message as it goes over the wire.
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Request(request) => request.to_bytes(),
            Self::Response(response) => response.to_bytes(),
        }
    }

    /// Appends the message as it goes over the wire to a buffer that is used for many.
    ///
    /// ```
    /// use bytes::{Bytes, BytesMut};
    /// use sip_message::Message;
    ///
    /// let message = Message::parse(Bytes::from_static(b"SIP/2.0 200 OK\r\n\r\n"))?;
    /// let mut pool = BytesMut::with_capacity(65_536);
    /// message.write_to(&mut pool);
    /// assert_eq!(pool.split().freeze(), message.to_bytes());
    /// # Ok::<(), sip_message::ParseError>(())
    /// ```
    pub fn write_to(&self, out: &mut BytesMut) {
        match self {
            Self::Request(request) => request.write_to(out),
            Self::Response(response) => response.write_to(out),
        }
    }

    /// The message as it goes over the wire, in pieces that borrow from it: for writes that gather.
    ///
    /// One behind the other they are what [`Message::to_bytes`] answers; untouched stretches are one piece each.
    pub fn to_slices(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        match self {
            Self::Request(request) => request.pieces().into_iter(),
            Self::Response(response) => response.pieces().into_iter(),
        }
    }

    /// See [`Request::check`] and [`Response::check`].
    ///
    /// # Errors
    /// If something that RFC 3261 §8.1.1 requires is missing or malformed.
    pub fn check(&self) -> Result<(), ParseError> {
        match self {
            Self::Request(request) => request.check(),
            Self::Response(response) => response.check(),
        }
    }

    /// The request, if it is one.
    pub const fn as_request(&self) -> Option<&Request> {
        match self {
            Self::Request(request) => Some(request),
            Self::Response(_) => None,
        }
    }

    /// The response, if it is one.
    pub const fn as_response(&self) -> Option<&Response> {
        match self {
            Self::Request(_) => None,
            Self::Response(response) => Some(response),
        }
    }

    /// Whether it is a request.
    pub const fn is_request(&self) -> bool {
        matches!(self, Self::Request(_))
    }
}

impl std::convert::From<Request> for Message {
    fn from(request: Request) -> Self {
        Self::Request(request)
    }
}

impl std::convert::From<Response> for Message {
    fn from(response: Response) -> Self {
        Self::Response(response)
    }
}

/// Checks what every message must have (RFC 3261 §8.1.1); `method` is the request's.
pub(crate) fn check(headers: &Headers, method: Option<&Method>) -> Result<(), ParseError> {
    if !headers.is_readable::<Via>() {
        headers.require::<Via>()?;
        headers.all::<Via>().try_for_each(|via| via.map(drop))?;
    }
    once::<From>(headers)?;
    once::<To>(headers)?;
    once::<CallId>(headers)?;
    let cseq = headers.require_view::<CSeq>()?;
    not_repeated::<CSeq>(headers)?;
    if headers.contains::<MaxForwards>() {
        once::<MaxForwards>(headers)?;
    }
    match method {
        Some(method) if cseq.method != *method => Err(ParseError::header(
            ParseErrorKind::MethodMismatch,
            HeaderName::CSEQ,
            0,
        )),
        _ => Ok(()),
    }
}

fn once<H: ViewField>(headers: &Headers) -> Result<(), ParseError> {
    if headers.is_one_value::<H>() {
        return Ok(());
    }
    // What is wrong is found out by reading it again.
    headers.require::<H>()?;
    not_repeated::<H>(headers)
}

fn not_repeated<H: ViewField>(headers: &Headers) -> Result<(), ParseError> {
    if headers.is_repeated::<H>() {
        return Err(ParseError::header(ParseErrorKind::Duplicate, H::NAME, 0));
    }
    Ok(())
}

/// Writes a message with compact names.
pub(crate) fn write_compact(start: &Pieces<'_>, headers: &Headers, body: &Bytes) -> Bytes {
    let mut out = BytesMut::with_capacity(headers.size_bound() + body.len() + 256);
    for piece in start {
        out.put_slice(piece);
    }
    headers.write_compact(&mut out);
    out.put_slice(b"\r\n");
    out.put_slice(body);
    out.freeze()
}

/// Content-Type and Content-Length of a new body.
pub(crate) fn describe_body(
    headers: &mut Headers,
    content_type: Option<&ContentType>,
    length: usize,
) {
    match content_type {
        Some(content_type) => headers.set(content_type.clone()),
        None => {
            headers.remove::<ContentType>();
        }
    }
    set_length(headers, length);
}

fn length_value(length: usize) -> HeaderValue {
    u32::try_from(length).map_or_else(
        |_| HeaderValue::written(length.to_string()),
        HeaderValue::from,
    )
}

pub(crate) fn set_length(headers: &mut Headers, length: usize) {
    headers.set_raw(HeaderName::CONTENT_LENGTH, length_value(length));
}

/// Makes Content-Length agree with the body, for streams.
pub(crate) fn ensure_length(headers: &mut Headers, length: usize) {
    let says = headers.get::<ContentLength>();
    if !matches!(says, Some(Ok(ContentLength(said))) if said as usize == length) {
        set_length(headers, length);
    }
}
