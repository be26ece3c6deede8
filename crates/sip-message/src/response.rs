//! Responses.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

use crate::{
    Headers, Limits, Message, ParseError, ParseErrorKind, ResponseBuilder, StatusCode,
    headers::{CSeq, CallId, ContentType, From, Pieces, To, Via},
    message, parse,
};

/// A response (RFC 3261 §7.2).
///
/// ```
/// use bytes::Bytes;
/// use sip_message::{Response, StatusCode};
///
/// let response = Response::parse(Bytes::from_static(b"SIP/2.0 200 \r\n\r\n"))?;
/// assert_eq!(response.status(), StatusCode::OK);
/// assert_eq!(response.reason(), "");
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Response {
    status: StatusCode,
    /// Nothing stands for the customary one.
    reason: Option<Bytes>,
    headers: Headers,
    body: Bytes,
    modified: bool,
}

impl Response {
    /// Reads a datagram that must be a response.
    ///
    /// # Errors
    /// As [`Message::parse`], and if it is a request.
    pub fn parse(wire: Bytes) -> Result<Self, ParseError> {
        match parse::message(wire, &Limits::default())? {
            Message::Response(response) => Ok(response),
            Message::Request(_) => {
                Err(ParseError::part(ParseErrorKind::Malformed, "start line", 0))
            }
        }
    }

    /// Starts a response that belongs to no request at hand; [`Request::response`](crate::Request::response) copies what belongs into it.
    pub fn builder(status: StatusCode) -> ResponseBuilder {
        ResponseBuilder::bare(status)
    }

    pub(crate) const fn from_parts(
        status: StatusCode,
        reason: Option<Bytes>,
        headers: Headers,
        body: Bytes,
    ) -> Self {
        Self {
            status,
            reason,
            headers,
            body,
            modified: false,
        }
    }

    pub(crate) fn set_wire_body(&mut self, body: Bytes) {
        self.body = body;
    }

    /// A response with the customary reason phrase, without a body.
    #[inline]
    pub(crate) fn generated(status: StatusCode, headers: Headers) -> Self {
        Self {
            status,
            reason: None,
            headers,
            body: Bytes::new(),
            modified: true,
        }
    }

    pub(crate) fn set_reason(&mut self, reason: Bytes) {
        self.reason = Some(reason);
    }

    /// Writes the length of the body, which is new.
    pub(crate) fn complete_content_length(&mut self) {
        message::set_length(&mut self.headers, self.body.len());
    }

    /// Replaces status code and reason phrase, which becomes the customary one.
    pub fn set_status(&mut self, status: StatusCode) {
        self.status = status;
        self.reason = None;
        self.modified = true;
    }

    /// Replaces the body, Content-Type and Content-Length.
    pub fn set_body(&mut self, content_type: ContentType, body: impl Into<Bytes>) {
        self.body = body.into();
        self.modified = true;
        message::describe_body(&mut self.headers, Some(&content_type), self.body.len());
    }

    /// Removes the body and Content-Type; Content-Length becomes 0.
    pub fn remove_body(&mut self) {
        self.body = Bytes::new();
        self.modified = true;
        message::describe_body(&mut self.headers, None, 0);
    }

    /// Sets Content-Length if it is missing or wrong, as a stream needs it.
    pub fn ensure_content_length(&mut self) {
        message::ensure_length(&mut self.headers, self.body.len());
    }

    /// The header section, to be edited.
    pub const fn headers_mut(&mut self) -> &mut Headers {
        &mut self.headers
    }

    /// The status code.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The reason phrase; octets that are not UTF-8 are replaced.
    pub fn reason(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.reason_bytes())
    }

    fn reason_bytes(&self) -> &[u8] {
        match &self.reason {
            Some(reason) => reason,
            None => self.status.reason().unwrap_or("").as_bytes(),
        }
    }

    /// The header section.
    pub const fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The body; empty if there is none.
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The topmost Via.
    ///
    /// # Errors
    /// If it is absent or malformed; never after [`Response::check`] has passed.
    pub fn via(&self) -> Result<Via, ParseError> {
        self.headers.require()
    }

    /// From.
    ///
    /// # Errors
    /// If it is absent or malformed; never after [`Response::check`] has passed.
    pub fn from(&self) -> Result<From, ParseError> {
        self.headers.require()
    }

    /// To.
    ///
    /// # Errors
    /// If it is absent or malformed; never after [`Response::check`] has passed.
    pub fn to(&self) -> Result<To, ParseError> {
        self.headers.require()
    }

    /// Call-ID.
    ///
    /// # Errors
    /// If it is absent or malformed; never after [`Response::check`] has passed.
    pub fn call_id(&self) -> Result<CallId, ParseError> {
        self.headers.require()
    }

    /// CSeq.
    ///
    /// # Errors
    /// If it is absent or malformed; never after [`Response::check`] has passed.
    pub fn cseq(&self) -> Result<CSeq, ParseError> {
        self.headers.require_view::<CSeq>()
    }

    /// Whether Via, From, To, Call-ID and CSeq are there, once, and readable.
    ///
    /// # Errors
    /// The first thing that is not as it must be.
    pub fn check(&self) -> Result<(), ParseError> {
        message::check(&self.headers, None)
    }

    /// The response as it goes over the wire: the bytes it came as, if nothing was edited.
    pub fn to_bytes(&self) -> Bytes {
        if !self.modified && !self.headers.is_modified() {
            return self.headers.wire().clone();
        }
        // Exactly as much as is needed: then the buffer becomes the message without another allocation.
        self.pieces().concat().into()
    }

    /// As [`Message::write_to`].
    pub fn write_to(&self, out: &mut BytesMut) {
        if !self.modified && !self.headers.is_modified() {
            out.extend_from_slice(self.headers.wire());
            return;
        }
        out.reserve(self.reason_bytes().len() + 16 + self.headers.size_bound() + self.body.len());
        self.each_piece(&mut |piece| out.extend_from_slice(piece));
    }

    /// As [`Message::to_slices`].
    pub fn to_slices(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.pieces().into_iter()
    }

    /// As [`Message::to_bytes_compact`].
    pub fn to_bytes_compact(&self) -> Bytes {
        let mut start = Pieces::new();
        self.start_line(&mut |piece| start.push(piece));
        message::write_compact(&start, &self.headers, &self.body)
    }

    /// The message as it goes over the wire, in pieces.
    pub(crate) fn pieces(&self) -> Pieces<'_> {
        let mut pieces = Pieces::new();
        if !self.modified && !self.headers.is_modified() {
            pieces.push(self.headers.wire());
        } else {
            self.each_piece(&mut |piece| pieces.push(piece));
        }
        pieces
    }

    /// The message as it goes over the wire, piece by piece.
    #[inline]
    fn each_piece<'a>(&'a self, out: &mut impl FnMut(&'a [u8])) {
        self.start_line(out);
        self.headers.each_piece(&self.body, out);
    }

    #[inline]
    fn start_line<'a>(&'a self, out: &mut impl FnMut(&'a [u8])) {
        if let (None, Some(line)) = (&self.reason, self.status.line()) {
            out(line.as_bytes());
            return;
        }
        out(b"SIP/2.0 ");
        out(self.status.digits());
        out(b" ");
        out(self.reason_bytes());
        out(b"\r\n");
    }
}

impl std::fmt::Display for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}
