//! Header fields: the section that holds them, and one type for each.

mod map;

// What families of fields have in common: a type for the value, and a macro that makes it a field.
#[macro_use]
mod macros;
#[macro_use]
mod auth;
#[macro_use]
mod listed;
#[macro_use]
mod number;
#[macro_use]
mod tokens;
#[macro_use]
mod valued;

pub use auth::{AuthParam, AuthView};
pub use map::Headers;
pub(crate) use map::{Line, Lines, Pieces, Places};

use crate::{HeaderName, HeaderValue, ParseError, scan};

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

    /// As [`HeaderField::value`], of a field that is not needed any more.
    #[doc(hidden)]
    fn into_value(self) -> HeaderValue {
        self.value()
    }

    /// As [`HeaderField::parse`], of a value that may be kept.
    #[doc(hidden)]
    fn take(value: HeaderValue) -> Result<Self, ParseError> {
        Self::parse(&value)
    }

    /// The first value of a line.
    #[doc(hidden)]
    fn first_of(line: HeaderValue) -> Result<Self, ParseError> {
        if Self::SHAPE == Shape::List {
            let end = scan::list_item_end(line.as_bytes(), 0);
            let end = scan::trim_end(line.as_bytes(), 0, end);
            return Self::take(line.truncated(end));
        }
        Self::take(line)
    }
}

/// A header field that can be read without counting a reference to the message's buffer.
///
/// The dozen fields that routing reads have it; see [`Headers::view`].
pub trait ViewField: HeaderField {
    /// The value, borrowing from the message.
    type View<'a>;

    /// Reads the first value of a line; answers where it ends.
    ///
    /// # Errors
    /// If it does not follow the field's grammar.
    fn view(line: &[u8]) -> Result<(Self::View<'_>, usize), ParseError>;

    /// As [`ViewField::view`], of the first line of the field in `headers`.
    #[doc(hidden)]
    #[inline]
    fn view_first<'h>(
        headers: &'h Headers,
        line: &'h [u8],
    ) -> Result<(Self::View<'h>, usize), ParseError> {
        let _ = headers;
        Self::view(line)
    }
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
    accept: Accept;
    accept_contact: AcceptContact;
    accept_encoding: AcceptEncoding;
    accept_language: AcceptLanguage;
    accept_resource_priority: AcceptResourcePriority;
    alert_info: AlertInfo;
    allow: Allow;
    allow_events: AllowEvents;
    answer_mode: AnswerMode;
    authentication_info: AuthenticationInfo;
    authorization: Authorization;
    call_id: CallId, CallIdView;
    call_info: CallInfo;
    contact: Contact;
    content_disposition: ContentDisposition;
    content_encoding: ContentEncoding;
    content_language: ContentLanguage;
    content_length: ContentLength;
    content_type: ContentType, ContentTypeView;
    cseq: CSeq;
    date: Date;
    diversion: Diversion;
    error_info: ErrorInfo;
    event: Event;
    expires: Expires;
    feature_caps: FeatureCaps;
    flow_timer: FlowTimer;
    from: From;
    geolocation: Geolocation;
    geolocation_error: GeolocationError;
    geolocation_routing: GeolocationRouting;
    history_info: HistoryInfo;
    identity: Identity;
    in_reply_to: InReplyTo;
    info_package: InfoPackage;
    join: Join;
    max_breadth: MaxBreadth;
    max_forwards: MaxForwards;
    mime_version: MimeVersion;
    min_expires: MinExpires;
    min_se: MinSe;
    organization: Organization;
    p_access_network_info: PAccessNetworkInfo;
    p_asserted_identity: PAssertedIdentity;
    p_asserted_service: PAssertedService;
    p_associated_uri: PAssociatedUri;
    p_called_party_id: PCalledPartyId;
    p_charging_function_addresses: PChargingFunctionAddresses;
    p_charging_vector: PChargingVector;
    p_early_media: PEarlyMedia;
    p_preferred_identity: PPreferredIdentity;
    p_preferred_service: PPreferredService;
    p_served_user: PServedUser;
    p_visited_network_id: PVisitedNetworkId;
    path: Path;
    priority: Priority;
    privacy: Privacy;
    proxy_authenticate: ProxyAuthenticate;
    proxy_authentication_info: ProxyAuthenticationInfo;
    proxy_authorization: ProxyAuthorization;
    proxy_require: ProxyRequire;
    rack: RAck;
    reason: Reason;
    record_route: RecordRoute;
    recv_info: RecvInfo;
    refer_sub: ReferSub;
    refer_to: ReferTo;
    referred_by: ReferredBy;
    reject_contact: RejectContact;
    replaces: Replaces;
    reply_to: ReplyTo;
    request_disposition: RequestDisposition;
    require: Require;
    resource_priority: ResourcePriority;
    retry_after: RetryAfter;
    route: Route;
    rseq: RSeq;
    security_client: SecurityClient;
    security_server: SecurityServer;
    security_verify: SecurityVerify;
    server: Server;
    service_route: ServiceRoute;
    session_expires: Refresher, SessionExpires;
    sip_etag: SipETag;
    sip_if_match: SipIfMatch;
    subject: Subject;
    subscription_state: SubscriptionState;
    supported: Supported;
    suppress_if_match: SuppressIfMatch;
    target_dialog: TargetDialog;
    timestamp: Timestamp;
    to: To;
    unsupported: Unsupported;
    user_agent: UserAgent;
    user_to_user: UserToUser;
    via: Via, ViaView;
    warning: Warning;
    www_authenticate: WwwAuthenticate;
}

/// `field` with a parameter that is quoted even where it need not be.
fn quoted_param(field: &valued::Valued, name: &str, value: &str) -> valued::Valued {
    let mut field = field.clone();
    field.set_quoted_param(name, value);
    field
}
