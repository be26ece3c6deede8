//! `Contact: "Mr. Watson" <sip:watson@worcester.example.com>;q=0.7;expires=3600`

use std::{borrow::Cow, time::Duration};

use crate::{HeaderField, HeaderName, HeaderValue, NameAddr, NameAddrView, ParseError, Shape, Uri, ViewField, headers::number};

/// Where somebody can be reached directly (RFC 3261 §20.10).
///
/// ```text
/// Contact        =  ("Contact" / "m" ) HCOLON ( STAR / (contact-param *(COMMA contact-param)))
/// contact-param  =  (name-addr / addr-spec) *(SEMI contact-params)
/// ```
///
/// ```
/// use sip_message::{Uri, headers::Contact};
/// use std::time::Duration;
///
/// let contact = Contact::new(Uri::parse("sip:alice@192.0.2.1:5062")?).with_expires(Duration::from_secs(600));
/// assert_eq!(contact.to_string(), "<sip:alice@192.0.2.1:5062>;expires=600");
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Contact {
    address: NameAddr,
    star: bool,
}

impl Contact {
    /// `*`, which in a REGISTER with `Expires: 0` stands for all bindings (RFC 3261 §10.2.2).
    pub fn star() -> Self {
        let nowhere = Uri::parse("sip:invalid.invalid").expect("is a URI");
        Self { address: NameAddr::new(&nowhere), star: true }
    }

    /// Around an address, or a bare URI, which gets angle brackets.
    pub fn new(address: impl Into<NameAddr>) -> Self {
        Self { address: address.into(), star: false }
    }

    /// Whether it is `*`; then there is no URI worth reading.
    pub const fn is_star(&self) -> bool {
        self.star
    }

    /// The address.
    pub const fn address(&self) -> &NameAddr {
        &self.address
    }

    /// The URI; `sip:invalid.invalid` for `*`.
    pub const fn uri(&self) -> &Uri {
        self.address.uri()
    }

    /// The display name without quotes and escapes, if there is one.
    pub fn display_name(&self) -> Option<Cow<'_, str>> {
        self.address.display_name()
    }

    /// How long the binding lasts or shall last; a number that does not fit is as large as fits, a malformed one
    /// is 3600 seconds (RFC 3261 §10.2.1.1).
    pub fn expires(&self) -> Option<Duration> {
        let value = self.param("expires")?;
        let seconds = value.and_then(|value| number::saturating(value.as_bytes()).ok()).unwrap_or(3600);
        Some(Duration::from_secs(u64::from(seconds)))
    }

    /// The preference among contacts in thousandths, from 0 to 1000.
    pub fn q(&self) -> Option<u16> {
        number::qvalue(self.param("q")??.as_bytes())
    }

    /// `+sip.instance` (RFC 5626 §4.1) without quotes and angle brackets: the URN of the device.
    pub fn instance(&self) -> Option<String> {
        let value = self.param("+sip.instance")??;
        let urn = value.strip_prefix('<').and_then(|urn| urn.strip_suffix('>')).unwrap_or(&value);
        Some(urn.to_owned())
    }

    /// `reg-id` (RFC 5626 §4.2): which flow of the device.
    pub fn reg_id(&self) -> Option<u32> {
        number::exact(self.param("reg-id")??.as_bytes()).ok()
    }

    /// `pub-gruu` (RFC 5627 §5): the address of this device that everybody may know.
    pub fn pub_gruu(&self) -> Option<Cow<'_, str>> {
        self.param("pub-gruu").flatten()
    }

    /// `temp-gruu` (RFC 5627 §5): an address of this device that gives nothing away.
    pub fn temp_gruu(&self) -> Option<Cow<'_, str>> {
        self.param("temp-gruu").flatten()
    }

    /// The contact with a lifetime in whole seconds.
    #[must_use]
    pub fn with_expires(self, lifetime: Duration) -> Self {
        let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
        self.with_param("expires", seconds.to_string().as_str())
    }

    /// The contact with a preference in thousandths; more than 1000 is 1000.
    #[must_use]
    pub fn with_q(self, thousandths: u16) -> Self {
        let q = thousandths.min(1000);
        self.with_param("q", format!("{}.{:03}", q / 1000, q % 1000).as_str())
    }

    /// A parameter of the field, unquoted: `None` if it is absent, `Some(None)` if it has no value.
    pub fn param(&self, name: &str) -> Option<Option<Cow<'_, str>>> {
        self.address.param(name)
    }

    /// Whether the parameter is there, with or without a value.
    pub fn has_param(&self, name: &str) -> bool {
        self.address.has_param(name)
    }

    /// All parameters of the field in order, unquoted.
    pub fn params(&self) -> impl Iterator<Item = (&str, Option<Cow<'_, str>>)> {
        self.address.params()
    }

    /// The contact with a parameter set; a value that is no token is quoted. `*` takes none.
    #[must_use]
    pub fn with_param<'a>(mut self, name: &str, value: impl Into<Option<&'a str>>) -> Self {
        self.set_param(name, value);
        self
    }

    /// Sets a parameter; `*` takes none.
    pub fn set_param<'a>(&mut self, name: &str, value: impl Into<Option<&'a str>>) {
        if !self.star {
            self.address.set_param(name, value);
        }
    }

    /// Removes a parameter.
    pub fn remove_param(&mut self, name: &str) {
        self.address.remove_param(name);
    }

    /// The contact with another URI.
    #[must_use]
    pub fn with_uri(&self, uri: &Uri) -> Self {
        Self { address: self.address.with_uri(uri), star: false }
    }

    /// The contact with a display name.
    #[must_use]
    pub fn with_display_name(&self, name: &str) -> Self {
        Self { address: self.address.with_display_name(name), star: self.star }
    }
}

impl HeaderField for Contact {
    const NAME: HeaderName = HeaderName::CONTACT;
    const SHAPE: Shape = Shape::List;

    fn parse(value: &HeaderValue) -> Result<Self, ParseError> {
        Self::take(value.clone())
    }

    fn take(value: HeaderValue) -> Result<Self, ParseError> {
        if value.as_bytes() == b"*" {
            return Ok(Self::star());
        }
        NameAddr::from_value(value).map(Self::new)
    }

    fn first_of(value: HeaderValue) -> Result<Self, ParseError> {
        if value.as_bytes() == b"*" {
            return Ok(Self::star());
        }
        NameAddr::first_of(value).map(Self::new)
    }

    fn value(&self) -> HeaderValue {
        if self.star { HeaderValue::from_static("*") } else { self.address.value() }
    }
}

impl ViewField for Contact {
    /// `None` stands for `*`.
    type View<'a> = Option<NameAddrView<'a>>;

    #[inline]
    fn view(text: &[u8]) -> Result<(Option<NameAddrView<'_>>, usize), ParseError> {
        if text == b"*" {
            return Ok((None, 1));
        }
        NameAddrView::read(text).map(|(view, end)| (Some(view), end))
    }
}

impl From<NameAddr> for Contact {
    fn from(address: NameAddr) -> Self {
        Self::new(address)
    }
}

display_as_value!(Contact);
