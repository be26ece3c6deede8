//! The rules of RFC 3261 §7, §20 and §25 that no message of RFC 4475 shows by itself.

use bytes::Bytes;
use sip_message::{
    HeaderName, HeaderValue, Message, Method, ParseErrorKind, Request, Response, StatusCode, Tag,
    Uri,
    headers::{
        CSeq, CallId, Contact, ContentLength, ContentType, Date, Event, Expires, From, MaxForwards,
        Subject, Supported, To, Via,
    },
    reject,
};

fn options() -> sip_message::RequestBuilder {
    Request::builder(Method::OPTIONS, "sip:bob@example.com")
        .from("sip:alice@example.com", Tag::new("1").expect("is a tag"))
        .to("sip:bob@example.com")
        .call_id("1@h")
        .cseq(1)
}

fn with(lines: &str) -> Request {
    let text = format!("OPTIONS sip:a@b SIP/2.0\r\n{lines}\r\n");
    Request::parse(Bytes::from(text)).expect("is a request")
}

/// MSG-001: RFC 3261 §7.1: one space between the parts of a request line, and none elsewhere.
#[test]
fn a_request_line_is_written_with_two_spaces() {
    let uris = [
        "sip:bob@example.com",
        "sips:[2001:db8::1]:5061;a=b",
        "tel:+1-201",
    ];
    for (method, uri) in ["OPTIONS", "X-OWN", "INVITE"].into_iter().zip(uris) {
        let mut request = options().build().expect("is a request");
        request.set_method(Method::new(method).expect("is a token"));
        request.set_uri(Uri::parse(uri).expect("is a URI"));
        let written = request.to_string();
        let line = format!("{method} {uri} SIP/2.0\r\nMax-Forwards");
        assert!(written.starts_with(&line), "{written}");
    }
}

/// MSG-002: RFC 3261 §7.1: the version has no case when it comes, and upper case when it leaves.
#[test]
fn a_version_is_read_in_any_case() {
    let request = Request::parse(Bytes::from("OPTIONS sip:a@b sip/2.0\r\nX: 1\r\n\r\n"));
    let mut request = request.expect("is a request");
    request.set_uri(Uri::parse("sip:c@d").expect("is a URI"));
    assert_eq!(
        request.to_string(),
        "OPTIONS sip:c@d SIP/2.0\r\nX: 1\r\n\r\n"
    );
    let response = Response::parse(Bytes::from("Sip/2.0 200 OK\r\nX: 1\r\n\r\n"));
    let mut response = response.expect("is a response");
    response.headers_mut().push(Expires(1));
    assert_eq!(
        response.to_string(),
        "SIP/2.0 200 OK\r\nX: 1\r\nExpires: 1\r\n\r\n"
    );
}

/// MSG-003: RFC 3261 §7.1: a method has case.
#[test]
fn a_method_in_lower_case_is_another_one() {
    let request = Request::parse(Bytes::from("invite sip:a@b SIP/2.0\r\n\r\n"));
    let request = request.expect("is a request");
    assert_eq!(request.method().as_str(), "invite");
    assert_ne!(*request.method(), Method::INVITE);
    assert_ne!(request.method(), "INVITE");
}

/// MSG-007: RFC 3261 §7.3.1: white space stands around the colon when it comes, and one space after it when it leaves.
#[test]
fn white_space_stands_around_the_colon_of_a_field() {
    for line in [
        "Subject:x",
        "Subject: x",
        "Subject \t:  x",
        "subject\t:\r\n x",
    ] {
        let request = with(&format!("{line}\r\n"));
        let subject = request.headers().require::<Subject>().expect("is there");
        assert_eq!(subject.text(), "x", "{line}");
    }
    let mut request = with("X: 1\r\n");
    let value = HeaderValue::new("x").expect("is text");
    request.headers_mut().push_raw(HeaderName::SUBJECT, value);
    assert!(request.to_string().contains("\r\nSubject: x\r\n"));
}

/// MSG-009: RFC 3261 §7.3.1: names have no case, and what is quoted has.
#[test]
fn names_have_no_case_and_what_is_quoted_has() {
    let request = with("cALL-iD: AbC\r\nfRoM: \"Al Ice\" <sip:a@h>;TaG=x;N=\"V w\"\r\n");
    assert_eq!(request.call_id().expect("is there").as_str(), "AbC");
    let from = request.from().expect("is there");
    assert_eq!(from.tag().expect("is there").as_str(), "x");
    assert_eq!(from.display_name().as_deref(), Some("Al Ice"));
    assert_eq!(from.param("n").flatten().as_deref(), Some("V w"));
    let name: HeaderName = "cALL-iD".parse().expect("is a name");
    assert_eq!(name, HeaderName::CALL_ID);
}

/// MSG-011: RFC 3261 §7.3.1: rows and one list are the same.
#[test]
fn rows_and_one_list_are_the_same() {
    let vias = |request: &Request| -> Vec<String> {
        let vias = request.headers().all::<Via>();
        vias.map(|via| via.expect("is a Via").to_string()).collect()
    };
    let rows = with("Via: SIP/2.0/UDP a\r\nX: 1\r\nv: SIP/2.0/TCP b\r\nVia: SIP/2.0/UDP c\r\n");
    let list = with("X: 1\r\nVia: SIP/2.0/UDP a, SIP/2.0/TCP b ,SIP/2.0/UDP c\r\n");
    assert_eq!(vias(&rows), vias(&list));
    assert_eq!(vias(&rows).len(), 3);
}

/// MSG-013: RFC 3261 §7.3.1: a field of one value is no list, whatever stands in it.
#[test]
fn a_comma_in_to_divides_nothing() {
    for (value, user) in [
        ("\"Bob, the other\" <sip:bob@h>", "bob"),
        ("<sip:bob,carol@h>", "bob,carol"),
    ] {
        let request = with(&format!("To: {value}\r\n"));
        let to = request.to().expect("is one");
        assert_eq!(to.uri().user().as_deref(), Some(user), "{value}");
        assert_eq!(request.headers().count::<To>(), 1, "{value}");
    }
}

/// MSG-015: RFC 3261 §7.3.3 and the extensions that have such names: one letter is as good as the name.
#[test]
fn compact_names_mean_the_long_ones() {
    let request = with(
        "v: SIP/2.0/UDP h\r\nf: <sip:a@h>;tag=1\r\nt: <sip:b@h>\r\ni: 1\r\nCSeq: 1 OPTIONS\r\nm: <sip:c@d>\r\n\
         k: path\r\ns: x\r\nc: text/plain\r\no: presence\r\nl: 0\r\n",
    );
    request.check().expect("has all that it must have");
    let headers = request.headers();
    assert!(headers.contains::<Contact>() && headers.contains::<Supported>());
    assert!(headers.contains::<Subject>() && headers.contains::<ContentType>());
    assert!(headers.contains::<Event>() && headers.contains::<ContentLength>());
    for (letter, long) in [
        ("i", "Call-ID"),
        ("m", "Contact"),
        ("e", "Content-Encoding"),
        ("l", "Content-Length"),
        ("c", "Content-Type"),
        ("f", "From"),
        ("s", "Subject"),
        ("k", "Supported"),
        ("t", "To"),
        ("v", "Via"),
        ("u", "Allow-Events"),
        ("o", "Event"),
        ("r", "Refer-To"),
        ("b", "Referred-By"),
        ("x", "Session-Expires"),
        ("d", "Request-Disposition"),
        ("a", "Accept-Contact"),
        ("j", "Reject-Contact"),
        ("y", "Identity"),
        ("n", "Identity-Info"),
    ] {
        for letter in [letter.to_owned(), letter.to_uppercase()] {
            let short: HeaderName = letter.parse().expect("is a name");
            let long: HeaderName = long.parse().expect("is a name");
            assert_eq!(short, long, "{letter}");
        }
    }
}

/// MSG-020: RFC 3261 §18.3: nobody answers a response.
#[test]
fn a_response_that_was_cut_is_answered_by_nothing() {
    let text = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\n\
        Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 5\r\n\r\nabc";
    let error = Message::parse(Bytes::from(text)).expect_err("is cut");
    assert_eq!(error.kind(), ParseErrorKind::Truncated);
    assert!(reject(text.as_bytes(), &error).is_none());
}

/// MSG-022: RFC 3261 §20.14: the octets of the body, in decimal.
#[test]
fn content_length_is_what_follows_the_empty_line() {
    let bodies = ["", "a", "ü€", "\r\n\r\nA: b\r\n"].map(str::to_owned);
    for body in bodies.into_iter().chain(["x".repeat(65_000)]) {
        let builder = options().body(ContentType::TEXT_PLAIN, body.clone());
        let request = builder.build().expect("is a request");
        let built = request.to_string();
        let response = request.response(StatusCode::OK);
        let response = response.body(ContentType::TEXT_PLAIN, body.clone());
        let mut changed = options().build().expect("is a request");
        changed.set_body(ContentType::TEXT_PLAIN, body.clone());
        for written in [built, response.build().to_string(), changed.to_string()] {
            let (head, after) = written.split_once("\r\n\r\n").expect("has an end");
            assert_eq!(after, body);
            let line = format!("Content-Length: {}", body.len());
            assert!(head.lines().any(|own| own == line), "{head}");
        }
    }
}

/// MSG-023: RFC 3261 §20.16: below 2³², and with the method of the request.
#[test]
fn a_cseq_fits_32_bits_and_its_request() {
    for (value, fits) in [
        ("4294967295 OPTIONS", true),
        ("4294967296 OPTIONS", false),
        ("-1 OPTIONS", false),
        ("1", false),
        ("OPTIONS", false),
    ] {
        assert_eq!(value.parse::<CSeq>().is_ok(), fits, "{value}");
    }
    let via = "SIP/2.0/UDP h;branch=z9hG4bK1".parse().expect("is a Via");
    let mut request = options().via(via).build().expect("is a request");
    request.check().expect("has all that it must have");
    request.headers_mut().set(CSeq::new(1, Method::INVITE));
    let error = request.check().expect_err("is of another method");
    assert_eq!(error.kind(), ParseErrorKind::MethodMismatch);
}

/// MSG-025: RFC 3261 §20.8.
#[test]
fn a_call_id_has_case() {
    let call_id = |text: &str| text.parse::<CallId>().expect("is one");
    assert_eq!(call_id("a1@Host"), call_id("a1@Host"));
    assert_ne!(call_id("a1@Host"), call_id("a1@host"));
    let written = with("Call-ID: A1\r\n");
    assert_ne!(written.call_id().expect("is there").as_str(), "a1");
}

/// MSG-026: RFC 3261 §20.22: more hops than there can be are as many as there can be, and never none.
#[test]
fn max_forwards_does_not_wrap() {
    for (value, hops) in [("0", 0), ("255", 255), ("256", 255), ("4294967296", 255)] {
        let field: MaxForwards = value.parse().expect("is a number");
        assert_eq!(field, MaxForwards(hops), "{value}");
    }
    assert!("-1".parse::<MaxForwards>().is_err());
}

/// MSG-030: RFC 3261 §20.20: what is escaped in a display name stays so on its way.
#[test]
fn an_escaped_display_name_survives() {
    let value = r#""a \"b\" \\ c" <sip:a@h>;tag=1"#;
    let from: From = value.parse().expect("is a From");
    assert_eq!(from.display_name().as_deref(), Some(r#"a "b" \ c"#));
    assert_eq!(from.to_string(), value);
    let again = From::new(from.address().clone()).with_tag(&Tag::new("1").expect("is a tag"));
    assert_eq!(again.to_string(), value);
}

/// MSG-046: RFC 3261 §20.17: the date of RFC 1123, in GMT.
#[test]
fn a_date_is_written_in_gmt() {
    let date = Date::new(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_289_671_351));
    assert_eq!(date.to_string(), "Sat, 13 Nov 2010 18:02:31 GMT");
    for other in ["Fri, 01 Jan 2010 16:00:00 EST", "yesterday", ""] {
        assert!(other.parse::<Date>().is_err(), "{other}");
    }
}

/// MSG-048: RFC 3261 §8.1.1: six fields; Max-Forwards is younger than some peers. MSG-050: §21.4.1: the reason names what
/// is missing.
#[test]
fn what_lacks_a_field_is_refused_by_its_name() {
    let whole = options()
        .via("SIP/2.0/UDP h;branch=z9hG4bK1".parse().expect("is a Via"))
        .build()
        .expect("is a request");
    whole.check().expect("has all that it must have");
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        let mut request = whole.clone();
        request
            .headers_mut()
            .remove_name(&name.parse().expect("is a name"));
        let error = request.check().expect_err(name);
        assert_eq!(
            (error.field(), error.kind()),
            (name, ParseErrorKind::Missing)
        );
        assert_eq!(error.status(), StatusCode::BAD_REQUEST);
        assert!(error.reason().contains(name), "{}", error.reason());
    }
    let mut old = whole;
    old.headers_mut().remove::<MaxForwards>();
    old.check().expect("is of RFC 2543");
}
