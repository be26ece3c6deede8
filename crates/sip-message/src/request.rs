//! Requests.

use bytes::{Bytes, BytesMut};

use crate::{
    HeaderName, Headers, IntoUri, Limits, Message, Method, ParseError, ParseErrorKind,
    RequestBuilder, ResponseBuilder, StatusCode, Uri, ViewField as _,
    headers::{CSeq, CallId, ContentType, From, Pieces, To, Via},
    message, name_addr, parse,
};

/// A request (RFC 3261 §7.1).
///
/// ```
/// use sip_message::{Method, Request, StatusCode, Tag, headers::{ContentType, Via}};
///
/// let request = Request::builder(Method::MESSAGE, "sip:bob@example.com")
///     .from("Alice <sip:alice@example.com>", Tag::new("9fxced76sl")?)
///     .to("Bob <sip:bob@example.com>")
///     .call_id("3848276298220188511@client.example.com")
///     .cseq(1)
///     .body(ContentType::TEXT_PLAIN, "Twelve o'clock?")
///     .build()?;
/// let response = request.response(StatusCode::OK).to_tag(Tag::new("7")?).build();
/// assert_eq!(response.to()?.tag(), Some(Tag::new("7")?));
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Request {
    method: Method,
    uri: Uri,
    headers: Headers,
    body: Bytes,
    modified: bool,
}

impl Request {
    /// Reads a datagram that must be a request.
    ///
    /// # Errors
    /// As [`Message::parse`], and if it is a response.
    pub fn parse(wire: Bytes) -> Result<Self, ParseError> {
        match parse::message(wire, &Limits::default())? {
            Message::Request(request) => Ok(request),
            Message::Response(_) => {
                Err(ParseError::part(ParseErrorKind::Malformed, "start line", 0))
            }
        }
    }

    /// Starts a request that is written from nothing.
    pub fn builder(method: Method, uri: impl IntoUri) -> RequestBuilder {
        RequestBuilder::new(method, uri)
    }

    pub(crate) const fn from_parts(
        method: Method,
        uri: Uri,
        headers: Headers,
        body: Bytes,
    ) -> Self {
        Self {
            method,
            uri,
            headers,
            body,
            modified: false,
        }
    }

    pub(crate) fn set_wire_body(&mut self, body: Bytes) {
        self.body = body;
    }

    pub(crate) const fn generated(method: Method, uri: Uri, headers: Headers, body: Bytes) -> Self {
        Self {
            method,
            uri,
            headers,
            body,
            modified: true,
        }
    }

    /// Starts the response to this request, with what RFC 3261 §8.2.6.2 copies from it.
    #[inline]
    pub fn response(&self, status: StatusCode) -> ResponseBuilder {
        ResponseBuilder::to(self, status)
    }

    /// Replaces the Request-URI; the rest stays byte for byte. Headers of the URI are left out (RFC 3261 §19.1.1).
    pub fn set_uri(&mut self, uri: Uri) {
        self.uri = if uri.has_headers() {
            uri.without_headers()
        } else {
            uri
        };
        self.modified = true;
    }

    /// Replaces the method of the request line; CSeq is not touched.
    pub fn set_method(&mut self, method: Method) {
        self.method = method;
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

    /// The method.
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// The Request-URI.
    pub const fn uri(&self) -> &Uri {
        &self.uri
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
    /// If it is absent or malformed; never after [`Request::check`] has passed.
    pub fn via(&self) -> Result<Via, ParseError> {
        self.headers.require()
    }

    /// From.
    ///
    /// # Errors
    /// If it is absent or malformed; never after [`Request::check`] has passed.
    pub fn from(&self) -> Result<From, ParseError> {
        self.headers.require()
    }

    /// To.
    ///
    /// # Errors
    /// If it is absent or malformed; never after [`Request::check`] has passed.
    pub fn to(&self) -> Result<To, ParseError> {
        self.headers.require()
    }

    /// Whether To has a tag: then the request is one within a dialog (RFC 3261 §12.2), or says so.
    #[inline]
    pub fn has_to_tag(&self) -> bool {
        let Some(text) = self.headers.raw_bytes(&HeaderName::TO) else {
            return false;
        };
        if name_addr::ends_with_uri(text) {
            return false;
        }
        name_addr::only_tag(text).is_some()
            || To::view(text).is_ok_and(|(to, _)| to.has_param("tag"))
    }

    /// The From tag as it is written, if there is one: for readers that only compare.
    pub fn from_tag_raw(&self) -> Option<&[u8]> {
        let text = self.headers.raw_bytes(&HeaderName::FROM)?;
        name_addr::only_tag(text).or_else(|| From::view(text).ok()?.0.into_tag_raw())
    }

    /// As [`Request::from_tag_raw`], of To.
    pub fn to_tag_raw(&self) -> Option<&[u8]> {
        let text = self.headers.raw_bytes(&HeaderName::TO)?;
        name_addr::only_tag(text).or_else(|| To::view(text).ok()?.0.into_tag_raw())
    }

    /// Call-ID.
    ///
    /// # Errors
    /// If it is absent or malformed; never after [`Request::check`] has passed.
    pub fn call_id(&self) -> Result<CallId, ParseError> {
        self.headers.require()
    }

    /// CSeq.
    ///
    /// # Errors
    /// If it is absent or malformed; never after [`Request::check`] has passed.
    pub fn cseq(&self) -> Result<CSeq, ParseError> {
        self.headers.require_view::<CSeq>()
    }

    /// Whether what RFC 3261 §8.1.1 requires is there, once, and readable: Via, From, To, Call-ID, and CSeq with the method of the request.
    ///
    /// Max-Forwards may be absent, as in requests of RFC 2543.
    ///
    /// # Errors
    /// The first thing that is not as it must be.
    pub fn check(&self) -> Result<(), ParseError> {
        message::check(&self.headers, Some(&self.method))
    }

    /// Whether the Request-URI is `sip` or `sips`, the schemes that SIP can route by itself (RFC 3261 §8.2.2.1).
    ///
    /// # Errors
    /// Of kind [`ParseErrorKind::Scheme`], which is answered by 416.
    pub fn check_scheme(&self) -> Result<(), ParseError> {
        if self.uri.is_sip() {
            Ok(())
        } else {
            Err(ParseError::part(ParseErrorKind::Scheme, "Request-URI", 0))
        }
    }

    /// The request as it goes over the wire: the bytes it came as, if nothing was edited.
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
        out.reserve(
            self.method.as_str().len()
                + self.uri.as_bytes().len()
                + 16
                + self.headers.size_bound()
                + self.body.len(),
        );
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
        match self.method.line_start() {
            Some(start) => out(start.as_bytes()),
            None => {
                out(self.method.as_str().as_bytes());
                out(b" ");
            }
        }
        out(self.uri.as_bytes());
        out(b" SIP/2.0\r\n");
    }
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}
