//! Header fields: the section that holds them, and one type for each.

mod map;

#[macro_use]
mod macros;
mod auth;
mod number;
mod tokens;

pub use map::Headers;
pub(crate) use map::Line;

use crate::{HeaderName, HeaderValue, ParseError};

/// A header field with a type of its own.
///
/// An application's own field joins by implementing it:
///
/// ```
/// use sip_message::{HeaderField, HeaderName, HeaderValue, ParseError, Token};
///
/// /// `X-Tenant: token`
/// struct Tenant(Token);
///
/// impl HeaderField for Tenant {
///     const NAME: HeaderName = HeaderName::from_static("X-Tenant");
///     fn parse(value: &HeaderValue) -> Result<Self, ParseError> { Token::parse(value).map(Self) }
///     fn value(&self) -> HeaderValue { HeaderValue::from(&self.0) }
/// }
/// ```
pub trait HeaderField: Sized {
    /// The name, in long form.
    const NAME: HeaderName;

    /// How values and lines relate.
    const SHAPE: Shape = Shape::Single;

    /// Reads one value.
    ///
    /// # Errors
    /// If it does not follow the field's grammar; the offset is counted from the start of the value.
    fn parse(value: &HeaderValue) -> Result<Self, ParseError>;

    /// Writes the value.
    fn value(&self) -> HeaderValue;
}

/// How the values of a field are spread over lines (RFC 3261 §7.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One value on each line; a comma in it divides nothing.
    Single,
    /// Values divided by commas or on lines of their own; the type is one of them.
    List,
    /// As a list, but the type is all of them together.
    Joined,
}

macro_rules! files {
    ($($file:ident: $($type:ident),+;)*) => {
        $(mod $file; pub use $file::{$($type),+};)*
    };
}

files! {
    allow: Allow;
    authorization: Authorization;
    call_id: CallId;
    contact: Contact;
    content_length: ContentLength;
    content_type: ContentType;
    cseq: CSeq;
    expires: Expires;
    from: From;
    max_forwards: MaxForwards;
    min_expires: MinExpires;
    path: Path;
    proxy_authenticate: ProxyAuthenticate;
    proxy_authorization: ProxyAuthorization;
    proxy_require: ProxyRequire;
    record_route: RecordRoute;
    require: Require;
    retry_after: RetryAfter;
    route: Route;
    server: Server;
    service_route: ServiceRoute;
    subject: Subject;
    supported: Supported;
    to: To;
    unsupported: Unsupported;
    user_agent: UserAgent;
    via: Via;
    www_authenticate: WwwAuthenticate;
}
