//! The parts of typed values, and values made of others.

use bytes::Bytes;
use sip_message::{
    HeaderName, HeaderValue, Message, Method, NameAddr, Request, StatusCode,
    headers::{Contact, MaxForwards, Reason, ReferSub, Refresher, Replaces, SessionExpires, To},
};

fn field<H: sip_message::HeaderField>(text: &str) -> H {
    H::parse(&HeaderValue::new(text).expect("has no line end")).expect(text)
}

/// RFC 5627 §5: what a registrar says in its 200 about where a device is reached.
#[test]
fn the_addresses_of_a_device_are_read_without_their_quotes() {
    let contact: Contact = field(
        "<sip:alice@192.0.2.1>;pub-gruu=\"sip:alice@example.com;gr=urn:uuid:f81d\"\
         ;temp-gruu=\"sip:tgruu.7hs==jd7v\\\"nz@example.com;gr\";expires=3600",
    );
    assert_eq!(
        contact.pub_gruu().unwrap(),
        "sip:alice@example.com;gr=urn:uuid:f81d"
    );
    assert_eq!(
        contact.temp_gruu().unwrap(),
        "sip:tgruu.7hs==jd7v\"nz@example.com;gr"
    );
    let bare: Contact = field("<sip:alice@192.0.2.1>;pub-gruu");
    assert_eq!((bare.pub_gruu(), bare.temp_gruu()), (None, None));
}

#[test]
fn a_tag_or_a_parameter_is_taken_out_and_the_rest_stays() {
    let to: To = field("\"B; tag=1\" <sip:bob@example.com;tag=2>;x=\"a;tag=3\";tag=4;y");
    assert_eq!(
        to.clone().without_tag().to_string(),
        "\"B; tag=1\" <sip:bob@example.com;tag=2>;x=\"a;tag=3\";y"
    );
    assert_eq!(to.without_tag().tag(), None);
    let reason = Reason::q850(16)
        .with_text("Terminated")
        .without_param("cause");
    assert_eq!(reason.to_string(), "Q.850;text=\"Terminated\"");
}

#[test]
fn what_values_say_is_read_whatever_their_case() {
    let reason = Reason::q850(16);
    assert_eq!(
        (reason.to_string().as_str(), reason.cause()),
        ("Q.850;cause=16", Some(16))
    );
    for (text, wanted) in [("true", true), ("FALSE", false), ("other;x", true)] {
        assert_eq!(field::<ReferSub>(text).is_wanted(), wanted, "{text}");
    }
    for (text, early) in [
        ("1@a;to-tag=2;from-tag=3;Early-Only", true),
        ("1@a;to-tag=2;from-tag=3", false),
    ] {
        assert_eq!(field::<Replaces>(text).early_only(), early, "{text}");
    }
    for (refresher, text) in [
        (Refresher::Uac, "1800;refresher=uac"),
        (Refresher::Uas, "1800;refresher=uas"),
    ] {
        let session = SessionExpires::new(1_800).with_refresher(refresher);
        assert_eq!(session.to_string(), text);
        let read: SessionExpires = field(&text.to_uppercase());
        assert_eq!(read.refresher(), Some(refresher));
    }
}

/// RFC 3261 §8.1.3.2: a code that is not understood is treated as the x00 of its class.
#[test]
fn a_status_that_nobody_knows_stands_for_its_class() {
    for (code, class) in [
        (182, 183),
        (299, 200),
        (399, 300),
        (482, 400),
        (599, 500),
        (699, 600),
    ] {
        let status = StatusCode::try_from(code).unwrap();
        assert_eq!(status.class_default(), class, "{code}");
    }
}

#[test]
fn names_are_shown_as_they_are_written_and_errors_name_them() {
    let wire =
        b"OPTIONS sip:a@b SIP/2.0\r\nf: <sip:c@d>;tag=1\r\nMAX-forwards: x\r\nX-Odd: 1\r\n\r\n";
    let mut request = Request::parse(Bytes::from_static(wire)).unwrap();
    let written: Vec<_> = request
        .headers()
        .iter_written()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(written, ["f", "MAX-forwards", "X-Odd"]);
    let error = request.headers().require::<MaxForwards>().unwrap_err();
    assert_eq!(error.header_name(), Some(&HeaderName::MAX_FORWARDS));
    assert_eq!(NameAddr::parse("<sip:a").unwrap_err().header_name(), None);

    request.set_method(Method::INFO);
    let bytes = Message::from(request).to_bytes();
    assert!(bytes.starts_with(b"INFO sip:a@b SIP/2.0\r\nf: <sip:c@d>;tag=1\r\n"));
}
