//! RFC 4475 §3.2 to §3.4: messages that concern other layers as well.

use super::*;

/// The branch is taken as it is; a transaction layer sees that nothing follows the magic cookie.
#[test]
fn s3_2_1_missing_transaction_identifier() {
    let request = accepted(&message!("rfc4475/badbranch.dat"));
    assert_eq!(request.via().expect("is there").branch(), Some("z9hG4bK"));
}

/// MSG-048.
#[test]
fn s3_3_1_missing_required_header_fields() {
    let wire = message!("rfc4475/insuf.dat");
    assert_eq!(answered_400(&wire).kind(), ParseErrorKind::Missing);
    let error = Request::parse(wire.clone())
        .expect("its structure is sound")
        .check()
        .expect_err("lacks From");
    assert_eq!(
        reject(&wire, &error).map(|response| response.status()),
        None,
        "nothing to answer with"
    );
}

#[test]
fn s3_3_2_request_uri_with_unknown_scheme() {
    let request = accepted(&message!("rfc4475/unkscm.dat"));
    assert_eq!(
        (request.uri().scheme(), request.uri().scheme_str()),
        (Scheme::Other, "nobodyKnowsThisScheme")
    );
    let error = request.check_scheme().expect_err("is not SIP");
    assert_eq!(
        error.to_response(&request).status(),
        StatusCode::UNSUPPORTED_URI_SCHEME
    );
}

#[test]
fn s3_3_3_request_uri_with_known_but_atypical_scheme() {
    let request = accepted(&message!("rfc4475/novelsc.dat"));
    assert_eq!(request.uri().scheme_str(), "soap.beep");
    let error = request.check_scheme().expect_err("is not SIP");
    assert_eq!(
        error.to_response(&request).status(),
        StatusCode::UNSUPPORTED_URI_SCHEME
    );
}

#[test]
fn s3_3_4_unknown_uri_schemes_in_header_fields() {
    let request = accepted(&message!("rfc4475/unksm2.dat"));
    request.check_scheme().expect("is SIP");
    assert_eq!(request.to().expect("is there").uri().scheme_str(), "isbn");
    assert_eq!(request.from().expect("is there").uri().scheme_str(), "http");
    assert_eq!(
        request
            .headers()
            .require::<Contact>()
            .expect("is there")
            .uri()
            .scheme_str(),
        "name"
    );
}

#[test]
fn s3_3_5_proxy_require_and_require() {
    let request = accepted(&message!("rfc4475/bext01.dat"));
    let require = request.headers().require::<Require>().expect("is there");
    assert_eq!(
        require.iter().collect::<Vec<_>>(),
        ["nothingSupportsThis", "nothingSupportsThisEither"]
    );
    let proxy = request
        .headers()
        .require::<ProxyRequire>()
        .expect("is there");
    assert_eq!(
        proxy.iter().collect::<Vec<_>>(),
        ["noProxiesSupportThis", "norDoAnyProxiesSupportThis"]
    );
}

#[test]
fn s3_3_6_unknown_content_type() {
    let request = accepted(&message!("rfc4475/invut.dat"));
    assert!(
        request
            .headers()
            .require::<ContentType>()
            .expect("is there")
            .is("application/unknownformat")
    );
    assert_eq!(request.body().len(), 40);
}

#[test]
fn s3_3_7_unknown_authorization_scheme() {
    let request = accepted(&message!("rfc4475/regaut01.dat"));
    let credentials = request
        .headers()
        .require::<sip_message::headers::Authorization>()
        .expect("is there");
    assert_eq!(credentials.scheme(), "NoOneKnowsThisScheme");
    assert_eq!(
        credentials.param_raw("opaque-data"),
        Some(b"here".as_slice())
    );
}

/// MSG-049.
#[test]
fn s3_3_8_multiple_values_in_single_value_required_fields() {
    assert_eq!(
        answered_400(&message!("rfc4475/multi01.dat")).kind(),
        ParseErrorKind::Duplicate
    );
}

/// MSG-021.
#[test]
fn s3_3_9_multiple_content_length_values() {
    let wire = message!("rfc4475/mcl01.dat");
    let error = answered_400(&wire);
    assert_eq!(
        (error.field(), error.kind()),
        ("Content-Length", ParseErrorKind::Duplicate)
    );
    assert_eq!(frames(&wire), [Err(ParseErrorKind::Duplicate)]);
}

#[test]
fn s3_3_10_200_ok_response_with_broadcast_via_header_field_value() {
    let wire = message!("rfc4475/bcast.dat");
    assert_eq!(verdict(&wire), Verdict::Accepted);
    let response = Response::parse(wire).expect("was accepted");
    let hosts: Vec<_> = response
        .headers()
        .all::<Via>()
        .map(|via| via.expect("is one").host())
        .collect();
    assert_eq!(hosts[1], Host::parse("255.255.255.255").expect("is one"));
}

#[test]
fn s3_3_11_max_forwards_of_zero() {
    let request = accepted(&message!("rfc4475/zeromf.dat"));
    assert_eq!(
        request.headers().require::<MaxForwards>(),
        Ok(MaxForwards(0))
    );
}

/// MSG-028.
#[test]
fn s3_3_12_register_with_a_contact_header_parameter() {
    let request = accepted(&message!("rfc4475/cparam01.dat"));
    let contact = request.headers().require::<Contact>().expect("is there");
    assert_eq!(contact.uri().as_str(), "sip:+19725552222@gw1.example.net");
    assert!(contact.has_param("unknownparam"));
}

/// MSG-028.
#[test]
fn s3_3_13_register_with_a_url_parameter() {
    let request = accepted(&message!("rfc4475/cparam02.dat"));
    let contact = request.headers().require::<Contact>().expect("is there");
    assert_eq!(
        contact.uri().as_str(),
        "sip:+19725552222@gw1.example.net;unknownparam"
    );
    assert!(!contact.has_param("unknownparam"));
}

#[test]
fn s3_3_14_register_with_a_url_escaped_header() {
    let request = accepted(&message!("rfc4475/regescrt.dat"));
    let contact = request.headers().require::<Contact>().expect("is there");
    assert_eq!(
        contact.uri().as_str(),
        "sip:user@example.com?Route=%3Csip:sip.example.com%3E"
    );
    let headers: Vec<_> = contact.uri().headers().collect();
    assert_eq!(headers, [("Route".into(), "<sip:sip.example.com>".into())]);
}

#[test]
fn s3_3_15_unacceptable_accept_offering() {
    let request = accepted(&message!("rfc4475/sdp01.dat"));
    let mut accepts = request
        .headers()
        .all::<Accept>()
        .map(|accept| accept.expect("is one"));
    assert!(!accepts.any(|accept| accept.matches("application/sdp")));
}

/// MSG-019.
#[test]
fn s3_4_1_invite_with_rfc_2543_syntax() {
    let wire = message!("rfc4475/inv2543.dat");
    let request = accepted(&wire);
    assert_eq!(request.from().expect("is there").tag(), None);
    assert_eq!(request.via().expect("is there").branch(), None);
    assert_eq!(request.body().len(), 105, "the datagram ends the body");
    assert_eq!(
        frames(&wire),
        [Err(ParseErrorKind::LengthRequired)],
        "a stream cannot end it"
    );
}

/// A stray file of the RFC's archive: no SIP version and nobody to answer.
#[test]
fn appendix_a_stray_message_is_dropped() {
    assert_eq!(verdict(&message!("rfc4475/test.dat")), Verdict::Dropped);
}
