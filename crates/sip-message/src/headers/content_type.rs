//! `Content-Type: application/sdp`

use std::borrow::Cow;

use bytes::Bytes;

use crate::{HeaderField, HeaderName, HeaderValue, ParseError, ViewField, params, scan};

/// What the body is (RFC 3261 §20.15).
///
/// ```text
/// Content-Type  =  ( "Content-Type" / "c" ) HCOLON media-type
/// media-type    =  m-type SLASH m-subtype *(SEMI m-parameter)
/// ```
///
/// `==` compares the text; [`ContentType::is`] compares media types.
///
/// ```
/// use sip_message::headers::ContentType;
///
/// let sdp: ContentType = "Application / SDP;charset=utf-8".parse()?;
/// assert!(sdp.is("application/sdp"));
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ContentType<T = Bytes> {
    text: T,
    media: (u32, u32),
    subtype: (u32, u32),
    params: (u32, u32),
}

/// A media type that borrows from the message it stands in.
pub type ContentTypeView<'a> = ContentType<&'a [u8]>;

macro_rules! constants {
    ($($name:ident $text:literal $slash:literal)*) => {
        $(
            #[doc = concat!("`", $text, "`.")]
            pub const $name: Self = Self::constant($text, $slash);
        )*
    };
}

// Each is a media type whose text never changes; `Bytes` from static text holds no interior state.
#[allow(clippy::declare_interior_mutable_const)]
impl ContentType {
    constants! {
        APPLICATION_SDP "application/sdp" 11
        TEXT_PLAIN "text/plain" 4
        MESSAGE_SIPFRAG "message/sipfrag;version=2.0" 7
        APPLICATION_PIDF "application/pidf+xml" 11
        APPLICATION_DTMF_RELAY "application/dtmf-relay" 11
        APPLICATION_SIMPLE_MESSAGE_SUMMARY "application/simple-message-summary" 11
        APPLICATION_DIALOG_INFO "application/dialog-info+xml" 11
        APPLICATION_REGINFO "application/reginfo+xml" 11
        APPLICATION_CONFERENCE_INFO "application/conference-info+xml" 11
        APPLICATION_MEDIA_CONTROL "application/media_control+xml" 11
        APPLICATION_RESOURCE_LISTS "application/resource-lists+xml" 11
        APPLICATION_ISUP "application/isup" 11
    }

    const fn constant(text: &'static str, slash: u32) -> Self {
        let bytes = text.as_bytes();
        let mut end = 0;
        while end < bytes.len() && bytes[end] != b';' {
            end += 1;
        }
        let (end, length) = (end as u32, bytes.len() as u32);
        Self { text: Bytes::from_static(bytes), media: (0, slash), subtype: (slash + 1, end), params: (end, length) }
    }

    /// Reads a media type with its parameters.
    ///
    /// # Errors
    /// If the text does not follow the grammar.
    pub fn new(text: &str) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl<T: AsRef<[u8]>> ContentType<T> {
    fn str(&self, (start, end): (u32, u32)) -> &str {
        scan::ascii(&self.text.as_ref()[start as usize..end as usize])
    }

    fn region(&self) -> (usize, usize) {
        (self.params.0 as usize, self.params.1 as usize)
    }

    /// The type: `application`.
    pub fn media_type(&self) -> &str {
        self.str(self.media)
    }

    /// The subtype: `sdp`.
    pub fn subtype(&self) -> &str {
        self.str(self.subtype)
    }

    /// Whether it is this `type/subtype`, without regard to case and parameters.
    pub fn is(&self, media_type: &str) -> bool {
        // The usual case needs no look at the parts, nor at the case of letters.
        let text = self.text.as_ref();
        if text == media_type.as_bytes() || text.eq_ignore_ascii_case(media_type.as_bytes()) {
            return true;
        }
        media_type.split_once('/').is_some_and(|(media, subtype)| {
            media.trim().eq_ignore_ascii_case(self.media_type()) && subtype.trim().eq_ignore_ascii_case(self.subtype())
        })
    }

    /// Whether it is a multipart type (RFC 2046 §5.1).
    pub fn is_multipart(&self) -> bool {
        self.media_type().eq_ignore_ascii_case("multipart")
    }

    /// A parameter, unquoted: `None` if it is absent, `Some(None)` if it has no value.
    pub fn param(&self, name: &str) -> Option<Option<Cow<'_, str>>> {
        params::get(self.text.as_ref(), self.region(), name)
    }

    /// All parameters in order; values unquoted.
    pub fn params(&self) -> impl Iterator<Item = (&str, Option<Cow<'_, str>>)> {
        params::iter(self.text.as_ref(), self.region()).map(|param| {
            let value = param.value.map(|(start, end)| scan::lossy(scan::unquote(&self.text.as_ref()[start..end])));
            (scan::ascii(&self.text.as_ref()[param.name.0..param.name.1]), value)
        })
    }
}

impl ContentType {
    /// The type with a parameter set; a value that is no token is quoted.
    #[must_use]
    pub fn with_param<'a>(&self, name: &str, value: impl Into<Option<&'a str>>) -> Self {
        let text = params::set(&self.text, self.region(), name, Some(value.into()));
        Self::parse(&HeaderValue::written(text)).expect("a media type put together from its parts can be read")
    }
}

impl HeaderField for ContentType {
    const NAME: HeaderName = HeaderName::CONTENT_TYPE;

    fn parse(value: &HeaderValue) -> Result<Self, ParseError> {
        Self::take(value.clone())
    }

    fn take(value: HeaderValue) -> Result<Self, ParseError> {
        let view = read(value.as_bytes())?;
        Ok(Self { media: view.media, subtype: view.subtype, params: view.params, text: value.into_bytes() })
    }

    fn value(&self) -> HeaderValue {
        HeaderValue::from_wire(self.text.clone())
    }
}

impl ViewField for ContentType {
    type View<'a> = ContentTypeView<'a>;

    #[inline]
    fn view(line: &[u8]) -> Result<(ContentTypeView<'_>, usize), ParseError> {
        read(line).map(|view| (view, line.len()))
    }
}

display_as_value!(ContentType);

fn read(text: &[u8]) -> Result<ContentTypeView<'_>, ParseError> {
    let media = scan::run(text, 0, scan::TOKEN);
    let slash = scan::skip_lws(text, media);
    if media == 0 || scan::byte(text, slash) != b'/' {
        return Err(ParseError::malformed(slash.min(text.len())));
    }
    let subtype = scan::skip_lws(text, slash + 1);
    let end = scan::run(text, subtype, scan::TOKEN);
    if end == subtype {
        return Err(ParseError::malformed(end));
    }
    let params_end = params::check(text, end)?;
    if u32::try_from(text.len()).is_err() {
        return Err(ParseError::malformed(0));
    }
    let span = |start: usize, end: usize| (start as u32, end as u32);
    Ok(ContentType { text, media: span(0, media), subtype: span(subtype, end), params: span(end, params_end) })
}
