//! Reading, editing and writing whole messages.

use bytes::Bytes;
use sip_message::{
    HeaderField, HeaderName, Headers, Message, Method, ParseErrorKind, Request, Response,
    StatusCode, Tag, Uri,
    headers::{
        CallId, Contact, ContentType, From, MaxForwards, RecordRoute, Route, Supported, To, Via,
    },
};

const INVITE: &[u8] = b"INVITE sip:bob@example.com SIP/2.0\r\n\
    v:  SIP/2.0/UDP a.example.com : 5061 ;branch=z9hG4bK1 , SIP/2.0/TCP b.example.com;branch=z9hG4bK0\r\n\
    Via: SIP/2.0/TLS c.example.com;branch=z9hG4bKz\r\n\
    max-FORWARDS:70\r\n\
    Record-Route: <sip:p.example.com;lr>\r\n\
    X-Odd :   kept  as\r\n  it is  \r\n\
    f: \"A <B>;x=1\" <sip:al%23@example.com>;TAG=88\r\n\
    To: sip:bob@example.com\r\n\
    i: 1@a\r\n\
    CSeq: 1  INVITE\r\n\
    Contact: \"Comma, here\" <sip:a,b@h;x=1>, <sip:c@d>;q=0.5 , \"<\" <sip:e@f>\r\n\
    Supported: 100rel\r\n\
    k: timer,  path\r\n\
    l: 4\r\n\r\nbody";

fn invite() -> Request {
    Request::parse(Bytes::from_static(INVITE)).expect("is a request")
}

/// MSG-010.
#[test]
fn an_untouched_message_is_written_as_it_came() {
    assert_eq!(invite().to_bytes(), INVITE);
    invite().check().expect("has all that it must have");
}

#[test]
fn the_top_via_is_read_anew_after_an_edit() {
    let via = || {
        Via::new(
            "WS",
            Uri::parse("sip:new.example.com").expect("a URI").host(),
            None,
        )
    };
    let edits: [fn(&mut Headers, Via); 8] = [
        |headers, via| headers.push_front(via),
        |headers, via| headers.replace_front(via),
        |headers, via| headers.set(via),
        |headers, via| headers.push(via),
        |headers, via| headers.insert_raw(0, HeaderName::VIA, via.value()),
        |headers, _| drop(headers.pop_front::<Via>()),
        |headers, _| assert!(headers.remove::<Via>()),
        |headers, _| assert!(headers.remove::<Contact>()),
    ];
    for edit in edits {
        let mut request = invite();
        let headers = request.headers_mut();
        assert!(headers.view::<Via>().is_some_and(|via| via.is_ok()));
        edit(headers, via());
        let viewed = headers
            .view::<Via>()
            .map(|via| via.expect("a Via").sent_by().into_owned());
        let read = headers
            .get::<Via>()
            .map(|via| via.expect("a Via").sent_by().into_owned());
        assert_eq!(viewed, read);
    }
}

/// MSG-011.
#[test]
fn values_are_found_on_one_line_and_on_several() {
    let request = invite();
    let vias: Vec<_> = request
        .headers()
        .all::<Via>()
        .map(|via| via.expect("is a Via").sent_by().into_owned())
        .collect();
    assert_eq!(
        vias,
        ["a.example.com:5061", "b.example.com", "c.example.com"]
    );
    let contacts: Vec<_> = request
        .headers()
        .all::<Contact>()
        .map(|contact| contact.expect("is a Contact").uri().to_string())
        .collect();
    assert_eq!(contacts, ["sip:a,b@h;x=1", "sip:c@d", "sip:e@f"]);
    assert_eq!(request.headers().count::<Contact>(), 3);
    let supported = request.headers().require::<Supported>().expect("is a list");
    assert_eq!(
        supported.iter().collect::<Vec<_>>(),
        ["100rel", "timer", "path"]
    );
    assert_eq!(
        request.from().expect("is there").tag(),
        Some(Tag::new("88").expect("is a tag"))
    );
    assert_eq!(
        request.from().expect("is there").uri().user_raw(),
        Some("al%23")
    );
}

/// TRAPS 11: only the first value goes, the rest stays byte for byte.
#[test]
fn popping_a_via_takes_the_first_value_only() {
    let mut request = invite();
    let popped = request.headers_mut().pop_front::<Via>().expect("was there");
    assert_eq!(popped, "SIP/2.0/UDP a.example.com : 5061 ;branch=z9hG4bK1");
    let written = request.to_bytes();
    let expected = String::from_utf8_lossy(INVITE).replace(
        "v:  SIP/2.0/UDP a.example.com : 5061 ;branch=z9hG4bK1 , ",
        "v: ",
    );
    assert_eq!(written, expected.as_bytes());
    request.headers_mut().pop_front::<Via>();
    request.headers_mut().pop_front::<Via>();
    assert_eq!(request.headers_mut().pop_front::<Via>(), None);
}

/// MSG-057.
#[test]
fn a_proxy_changes_what_it_must_and_nothing_else() {
    let mut request = invite();
    request.set_uri(Uri::parse("sip:bob@192.0.2.4").expect("is a URI"));
    let MaxForwards(hops) = request.headers().require().expect("is there");
    request.headers_mut().set(MaxForwards(hops - 1));
    let via: Via = "SIP/2.0/UDP proxy;branch=z9hG4bKp"
        .parse()
        .expect("is a Via");
    request.headers_mut().push_front(via);
    request.headers_mut().push_front(RecordRoute::new(
        Uri::parse("sip:proxy;lr").expect("is a URI"),
    ));
    let expected = String::from_utf8_lossy(INVITE)
        .replace("INVITE sip:bob@example.com", "INVITE sip:bob@192.0.2.4")
        .replace(
            "v:  SIP",
            "Via: SIP/2.0/UDP proxy;branch=z9hG4bKp\r\nv:  SIP",
        )
        .replace(
            "Record-Route:",
            "Record-Route: <sip:proxy;lr>\r\nRecord-Route:",
        )
        .replace("max-FORWARDS:70", "Max-Forwards: 69");
    assert_eq!(String::from_utf8_lossy(&request.to_bytes()), expected);
    let again = Request::parse(request.to_bytes()).expect("can be read");
    assert_eq!(again.to_bytes(), request.to_bytes());
}

/// TRAPS 27.
#[test]
fn generated_requests_have_the_customary_order() {
    let uri = Uri::parse("sip:c@d").expect("is a URI");
    let request = Request::builder(Method::INVITE, "sip:bob@example.com")
        .body(ContentType::APPLICATION_SDP, "v=0\r\n")
        .contact(Contact::new(uri.clone()))
        .cseq(7)
        .call_id("1@h")
        .to("<sip:bob@example.com>")
        .from("sip:alice@example.com", Tag::new("1").expect("is a tag"))
        .route(Route::new(uri))
        .via(
            Via::new(
                "UDP",
                "192.0.2.1".parse::<sip_message::Host>().expect("is a host"),
                None,
            )
            .with_branch("z9hG4bKx"),
        )
        .build()
        .expect("is complete");
    assert_eq!(
        String::from_utf8_lossy(&request.to_bytes()),
        "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\nRoute: <sip:c@d>\r\n\
         Max-Forwards: 70\r\nFrom: sip:alice@example.com;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: 1@h\r\n\
         CSeq: 7 INVITE\r\nContact: <sip:c@d>\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n"
    );
    request.check().expect("has all that it must have");
}

#[test]
fn a_response_takes_from_the_request_what_belongs_to_it() {
    let response = invite()
        .response(StatusCode::RINGING)
        .to_tag(Tag::new("x").expect("is a tag"))
        .build();
    let again = Response::parse(response.to_bytes()).expect("can be read");
    again.check().expect("has all that it must have");
    assert_eq!(again.headers().count::<Via>(), 3);
    assert!(again.headers().contains::<RecordRoute>());
    assert_eq!(again.to().expect("is there").tag().expect("is there"), "x");
    assert!(
        !invite()
            .response(StatusCode::TRYING)
            .build()
            .headers()
            .contains::<RecordRoute>()
    );
}

#[test]
fn a_builder_reports_what_is_missing_or_wrong() {
    let missing = Request::builder(Method::OPTIONS, "sip:a@b")
        .build()
        .unwrap_err();
    assert_eq!(
        (missing.field(), missing.kind()),
        ("From", ParseErrorKind::Missing)
    );
    let wrong = Request::builder(Method::OPTIONS, "sip:a b")
        .call_id("\"")
        .build()
        .unwrap_err();
    assert_eq!(wrong.field(), "Request-URI");
}

#[test]
fn set_replaces_in_place_and_removes_the_others() {
    let mut request = invite();
    request
        .headers_mut()
        .set(Contact::new(Uri::parse("sip:x@y").expect("is a URI")));
    assert_eq!(request.headers().count::<Contact>(), 1);
    request.headers_mut().remove::<Supported>();
    assert!(request.headers().get::<Supported>().is_none());
    let names: Vec<_> = request.headers().iter().map(|(name, _)| name).collect();
    assert_eq!(names[8..10], [HeaderName::CSEQ, HeaderName::CONTACT]);
    assert!(!request.headers_mut().remove::<Supported>());
}

/// MSG-049.
#[test]
fn a_second_single_field_is_refused() {
    for line in [
        "Call-ID: 2",
        "f: <sip:a@b>",
        "t: <sip:a@b>",
        "CSeq: 1 INVITE",
        "l: 4",
        "Max-Forwards: 70",
    ] {
        let text = String::from_utf8_lossy(INVITE).replace("X-Odd", &format!("{line}\r\nX-Odd"));
        let error = Message::parse(Bytes::from(text)).unwrap_err();
        assert_eq!(error.kind(), ParseErrorKind::Duplicate, "{line}");
    }
    let _: (Option<To>, Option<From>, Option<CallId>) = (None, None, None);
}
