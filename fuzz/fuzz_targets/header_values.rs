//! What a typed header field reads it writes, and reads again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sip_message::{HeaderField, HeaderValue, headers::*};

macro_rules! every {
    ($value:ident: $($type:ident)*) => {
        $(if let Ok(field) = $type::parse(&$value) {
            assert!($type::parse(&field.value()).as_ref() == Ok(&field), "{}", $type::NAME);
        })*
    };
}

fuzz_target!(|data: &[u8]| {
    let Ok(value) = HeaderValue::new(data) else { return };
    every!(value:
        Accept
        AcceptContact
        AcceptEncoding
        AcceptLanguage
        AcceptResourcePriority
        AlertInfo
        Allow
        AllowEvents
        AnswerMode
        AuthenticationInfo
        Authorization
        CSeq
        CallId
        CallInfo
        Contact
        ContentDisposition
        ContentEncoding
        ContentLanguage
        ContentLength
        ContentType
        Date
        Diversion
        ErrorInfo
        Event
        Expires
        FeatureCaps
        FlowTimer
        From
        Geolocation
        GeolocationError
        GeolocationRouting
        HistoryInfo
        Identity
        InReplyTo
        InfoPackage
        Join
        MaxBreadth
        MaxForwards
        MimeVersion
        MinExpires
        MinSe
        Organization
        PAccessNetworkInfo
        PAssertedIdentity
        PAssertedService
        PAssociatedUri
        PCalledPartyId
        PChargingFunctionAddresses
        PChargingVector
        PEarlyMedia
        PPreferredIdentity
        PPreferredService
        PServedUser
        PVisitedNetworkId
        Path
        Priority
        Privacy
        ProxyAuthenticate
        ProxyAuthenticationInfo
        ProxyAuthorization
        ProxyRequire
        RAck
        RSeq
        Reason
        RecordRoute
        RecvInfo
        ReferSub
        ReferTo
        ReferredBy
        RejectContact
        Replaces
        ReplyTo
        RequestDisposition
        Require
        ResourcePriority
        RetryAfter
        Route
        SecurityClient
        SecurityServer
        SecurityVerify
        Server
        ServiceRoute
        SessionExpires
        SipETag
        SipIfMatch
        Subject
        SubscriptionState
        Supported
        SuppressIfMatch
        TargetDialog
        Timestamp
        To
        Unsupported
        UserAgent
        UserToUser
        Via
        Warning
        WwwAuthenticate
    );
    if let Ok(via) = Via::parse(&value) {
        let edited = via.with_param("x", "y z").with_branch("z9hG4bK1").with_rport();
        assert_eq!(edited.branch(), Some("z9hG4bK1"));
        assert_eq!(edited.rport(), Some(None));
    }
    if let Ok(contact) = Contact::parse(&value) {
        let q = contact.with_q(300);
        assert!(q.is_star() || q.q() == Some(300));
    }
    if let Ok(to) = To::parse(&value) {
        let tag = sip_message::Tag::new("x").expect("is a tag");
        assert_eq!(to.with_tag(&tag).tag(), Some(tag));
    }
});
