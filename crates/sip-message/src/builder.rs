//! Writing messages from nothing.

use bytes::Bytes;

use crate::{
    HeaderField, HeaderName, HeaderValue, Headers, IntoUri, Method, NameAddr, ParseError,
    ParseErrorKind, Request, Response, StatusCode, Tag, Uri, ViewField,
    headers::{CSeq, CallId, Contact, ContentType, From, MaxForwards, Route, To, Via},
    message, name_addr,
};

mod sealed {
    #[allow(unnameable_types)]
    pub trait Sealed {}
    impl Sealed for &str {}
    impl Sealed for String {}
    impl Sealed for &String {}
    impl Sealed for crate::Uri {}
    impl Sealed for &crate::Uri {}
    impl Sealed for crate::NameAddr {}
    impl Sealed for &crate::NameAddr {}
}

/// What can be given where an address is asked for: text, a URI, or a [`NameAddr`].
pub trait IntoAddress: sealed::Sealed {
    /// The address.
    ///
    /// # Errors
    /// If text does not follow the grammar.
    fn into_address(self) -> Result<NameAddr, ParseError>;
}

impl IntoAddress for &str {
    fn into_address(self) -> Result<NameAddr, ParseError> {
        NameAddr::parse(self)
    }
}

impl IntoAddress for String {
    fn into_address(self) -> Result<NameAddr, ParseError> {
        NameAddr::parse(self)
    }
}

impl IntoAddress for &String {
    fn into_address(self) -> Result<NameAddr, ParseError> {
        NameAddr::parse(self)
    }
}

impl IntoAddress for Uri {
    fn into_address(self) -> Result<NameAddr, ParseError> {
        Ok(NameAddr::new(&self))
    }
}

impl IntoAddress for &Uri {
    fn into_address(self) -> Result<NameAddr, ParseError> {
        Ok(NameAddr::new(self))
    }
}

impl IntoAddress for NameAddr {
    fn into_address(self) -> Result<NameAddr, ParseError> {
        Ok(self)
    }
}

impl IntoAddress for &NameAddr {
    fn into_address(self) -> Result<NameAddr, ParseError> {
        Ok(self.clone())
    }
}

/// Writes a request; see [`Request::builder`].
///
/// It invents nothing: tags and Call-ID are arguments. Calls never fail, so that the chain reads; [`RequestBuilder::build`]
/// reports the first text that could not be read.
#[derive(Clone, Debug)]
#[must_use]
pub struct RequestBuilder {
    method: Method,
    uri: Option<Uri>,
    headers: Headers,
    cseq: Option<u32>,
    body: Bytes,
    error: Option<ParseError>,
}

impl RequestBuilder {
    pub(crate) fn new(method: Method, uri: impl IntoUri) -> Self {
        let mut builder = Self {
            method,
            uri: None,
            headers: Headers::new(),
            cseq: None,
            body: Bytes::new(),
            error: None,
        };
        builder.uri = builder.keep(uri.into_uri().map_err(|error| error.renamed("Request-URI")));
        builder
    }

    /// The value, or nothing with its error kept if it is the first.
    fn keep<T>(&mut self, result: Result<T, ParseError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.error.get_or_insert(error);
                None
            }
        }
    }

    /// From, with the tag of this end.
    pub fn from(mut self, address: impl IntoAddress, tag: Tag) -> Self {
        let address = address
            .into_address()
            .map_err(|error| error.within(&HeaderName::FROM, 0));
        if let Some(address) = self.keep(address) {
            self.headers.set(From::new(address).with_tag(&tag));
        }
        self
    }

    /// To; within a dialog the address carries the peer's tag.
    pub fn to(mut self, address: impl IntoAddress) -> Self {
        let address = address
            .into_address()
            .map_err(|error| error.within(&HeaderName::TO, 0));
        if let Some(address) = self.keep(address) {
            self.headers.set(To::new(address));
        }
        self
    }

    /// Call-ID.
    pub fn call_id(mut self, call_id: impl AsRef<str>) -> Self {
        if let Some(call_id) = self.keep(CallId::new(call_id)) {
            self.headers.set(call_id);
        }
        self
    }

    /// The number of CSeq; its method is the request's.
    pub const fn cseq(mut self, number: u32) -> Self {
        self.cseq = Some(number);
        self
    }

    /// A Via, below those that are there already.
    pub fn via(mut self, via: Via) -> Self {
        self.headers.push(via);
        self
    }

    /// Max-Forwards.
    ///
    /// Defaults to 70 (RFC 3261 §8.1.1.6).
    pub fn max_forwards(mut self, hops: u8) -> Self {
        self.headers.set(MaxForwards(hops));
        self
    }

    /// A Contact, below those that are there already.
    pub fn contact(mut self, contact: impl Into<Contact>) -> Self {
        self.headers.push(contact.into());
        self
    }

    /// A Route, below those that are there already.
    pub fn route(mut self, route: impl Into<Route>) -> Self {
        self.headers.push(route.into());
        self
    }

    /// Any header field, below those of its name that are there already.
    pub fn header<H: HeaderField>(mut self, field: H) -> Self {
        add(&mut self.headers, H::NAME, field.into_value());
        self
    }

    /// Any header field by name.
    pub fn raw_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        add(&mut self.headers, name, value);
        self
    }

    /// The body and what it is; Content-Length is written with it.
    pub fn body(mut self, content_type: ContentType, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.headers.set(content_type);
        self
    }

    /// The method so far.
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// The header fields so far, for whoever completes the request.
    pub const fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The header fields so far, to be edited.
    pub const fn headers_mut(&mut self) -> &mut Headers {
        &mut self.headers
    }

    /// The request.
    ///
    /// # Errors
    /// The first text that did not follow its grammar, or the first of From, To, Call-ID and CSeq (RFC 3261 §8.1.1) that is
    /// missing. A Via is not asked for: whoever sends the request adds it.
    pub fn build(mut self) -> Result<Request, ParseError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let missing = |name| ParseError::header(ParseErrorKind::Missing, name, 0);
        for name in [HeaderName::FROM, HeaderName::TO, HeaderName::CALL_ID] {
            if !self.headers.contains_name(&name) {
                return Err(missing(name));
            }
        }
        match self.cseq {
            Some(number) => self.headers.set(CSeq::new(number, self.method.clone())),
            None if !self.headers.contains::<CSeq>() => return Err(missing(HeaderName::CSEQ)),
            None => {}
        }
        if !self.headers.contains::<MaxForwards>() {
            self.headers.set(MaxForwards::default());
        }
        message::set_length(&mut self.headers, self.body.len());
        let uri = self
            .uri
            .ok_or_else(|| ParseError::part(ParseErrorKind::Missing, "Request-URI", 0))?;
        let uri = if uri.has_headers() {
            uri.without_headers()
        } else {
            uri
        };
        Ok(Request::generated(
            self.method,
            uri,
            self.headers,
            self.body,
        ))
    }
}

/// Fields that exist once are replaced, others are added.
fn add(headers: &mut Headers, name: HeaderName, value: HeaderValue) {
    const ONCE: u32 = 1 << HeaderName::FROM.id()
        | 1 << HeaderName::TO.id()
        | 1 << HeaderName::CALL_ID.id()
        | 1 << HeaderName::CSEQ.id()
        | 1 << HeaderName::MAX_FORWARDS.id()
        | 1 << HeaderName::CONTENT_LENGTH.id()
        | 1 << HeaderName::CONTENT_TYPE.id();
    if ONCE
        .checked_shr(name.id().into())
        .is_some_and(|bits| bits & 1 == 1)
    {
        headers.set_raw(name, value);
    } else {
        headers.push_raw(name, value);
    }
}

/// Writes a response; see [`Request::response`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ResponseBuilder {
    response: Response,
}

impl ResponseBuilder {
    pub(crate) fn bare(status: StatusCode) -> Self {
        Self {
            response: Response::generated(status, Headers::new()),
        }
    }

    #[inline]
    pub(crate) fn to(request: &Request, status: StatusCode) -> Self {
        let headers = Headers::from_wire(request.headers().wire().clone());
        let mut response = Response::generated(status, headers);
        copy_into(response.headers_mut(), request, status);
        Self { response }
    }

    /// Adds our tag to To, unless the request had one: then the response keeps it.
    #[inline]
    pub fn to_tag(mut self, tag: Tag) -> Self {
        add_tag(self.headers_mut(), &tag);
        self
    }

    /// Another reason phrase than the customary one; line ends and other control characters become spaces.
    pub fn reason(mut self, reason: &str) -> Self {
        self.response.set_reason(
            reason
                .bytes()
                .map(|b| if b < b' ' || b == 0x7f { b' ' } else { b })
                .collect(),
        );
        self
    }

    /// Any header field, below those of its name that are there already.
    #[inline]
    pub fn header<H: HeaderField>(mut self, field: H) -> Self {
        add(self.headers_mut(), H::NAME, field.into_value());
        self
    }

    /// Any header field by name.
    #[inline]
    pub fn raw_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        add(self.headers_mut(), name, value);
        self
    }

    /// A Contact, below those that are there already.
    #[inline]
    pub fn contact(mut self, contact: impl Into<Contact>) -> Self {
        self.headers_mut().push(contact.into());
        self
    }

    /// The body and what it is; Content-Length is written with it.
    pub fn body(mut self, content_type: ContentType, body: impl Into<Bytes>) -> Self {
        self.response.set_wire_body(body.into());
        self.headers_mut().set(content_type);
        self
    }

    /// The header fields so far.
    pub const fn headers(&self) -> &Headers {
        self.response.headers()
    }

    /// The header fields so far, to be edited.
    pub const fn headers_mut(&mut self) -> &mut Headers {
        self.response.headers_mut()
    }

    /// The response.
    #[inline]
    pub fn build(mut self) -> Response {
        self.response.complete_content_length();
        self.response
    }
}

/// RFC 3261 §8.2.6.2, and for Record-Route §12.1.1, for Timestamp §8.2.6.1.
fn copy_into(headers: &mut Headers, request: &Request, status: StatusCode) {
    const VIA: u8 = HeaderName::VIA.id();
    const RECORD_ROUTE: u8 = HeaderName::RECORD_ROUTE.id();
    const FROM: u8 = HeaderName::FROM.id();
    const TO: u8 = HeaderName::TO.id();
    const CALL_ID: u8 = HeaderName::CALL_ID.id();
    const CSEQ: u8 = HeaderName::CSEQ.id();
    const TIMESTAMP: u8 = HeaderName::TIMESTAMP.id();
    let ids: &[u8] = match status.as_u16() {
        100 => &[VIA, FROM, TO, CALL_ID, CSEQ, TIMESTAMP],
        101..300 if may_form_dialog(request.method()) => {
            &[VIA, RECORD_ROUTE, FROM, TO, CALL_ID, CSEQ]
        }
        _ => &[VIA, FROM, TO, CALL_ID, CSEQ],
    };
    headers.copy_lines(request.headers(), ids);
}

/// Adds a tag to To, if it has none and can be read.
fn add_tag(headers: &mut Headers, tag: &Tag) {
    let Some(text) = headers.raw_bytes(&HeaderName::TO) else {
        return;
    };
    if has_tag(text) {
        return;
    }
    let tag = tag.as_bytes();
    let mut new = Vec::with_capacity(text.len() + tag.len() + 5);
    new.extend_from_slice(text);
    new.extend_from_slice(b";tag=");
    new.extend_from_slice(tag);
    headers.set_raw(HeaderName::TO, HeaderValue::written(new));
}

/// Whether To has a tag, or cannot be read, so that none can be added to it.
#[inline]
fn has_tag(to: &[u8]) -> bool {
    if name_addr::ends_with_uri(to) {
        return false;
    }
    name_addr::only_tag(to).is_some() || To::view(to).map_or(true, |(to, _)| to.has_param("tag"))
}

/// Methods whose responses may create a dialog, or stand in one (RFC 3261 §12.1, RFC 6665, RFC 3515); an unknown one may.
fn may_form_dialog(method: &Method) -> bool {
    !matches!(
        *method,
        Method::REGISTER
            | Method::OPTIONS
            | Method::MESSAGE
            | Method::PUBLISH
            | Method::CANCEL
            | Method::BYE
    )
}
