//! RFC 4475 §3.1.1: valid messages.

use super::*;

/// MSG-008, MSG-014 and MSG-043.
#[test]
fn s3_1_1_1_a_short_tortuous_invite() {
    let request = accepted(&message!("rfc4475/wsinv.dat"));
    assert_eq!(request.method(), &Method::INVITE);
    assert_eq!(
        request.uri().as_str(),
        "sip:vivekg@chair-dnrc.example.com;unknownparam"
    );
    assert_eq!(
        request.headers().require::<MaxForwards>(),
        Ok(MaxForwards(68))
    );
    assert_eq!(request.cseq(), Ok(CSeq::new(9, Method::INVITE)));
    let to = request.to().expect("is there");
    assert_eq!(to.uri().as_str(), "sip:vivekg@chair-dnrc.example.com");
    assert_eq!(to.tag().expect("is there").as_str(), "1918181833n");
    let from = request.from().expect("is there");
    assert_eq!(from.display_name().as_deref(), Some("J Rosenberg \\\""));
    assert_eq!(from.tag().expect("is there").as_str(), "98asjd8");
    assert_eq!(
        request.call_id().expect("is there").as_str(),
        "wsinv.ndaksdj@192.0.2.1"
    );
    assert_eq!(
        request
            .headers()
            .require::<Subject>()
            .expect("is there")
            .as_bytes(),
        b""
    );
    let vias: Vec<_> = request
        .headers()
        .all::<Via>()
        .map(|via| via.expect("is one"))
        .collect();
    let sent_by: Vec<_> = vias.iter().map(Via::sent_by).collect();
    assert_eq!(
        sent_by,
        ["192.0.2.2", "spindle.example.com", "192.168.255.111"]
    );
    let transports: Vec<_> = vias.iter().map(Via::transport).collect();
    assert_eq!(transports, ["UDP", "TCP", "UDP"]);
    let branches: Vec<_> = vias
        .iter()
        .map(|via| via.branch().expect("is there"))
        .collect();
    assert_eq!(branches, ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"]);
    let odd = request
        .headers()
        .raw(&HeaderName::from_static("NewFangledHeader"))
        .expect("is there");
    assert_eq!(odd.text(), "newfangled value continued newfangled value");
    let unusual = request
        .headers()
        .raw(&HeaderName::from_static("UnknownHeaderWithUnusualValue"));
    assert_eq!(unusual.expect("is there"), ";;,,;;,;");
    assert!(
        request
            .headers()
            .require::<ContentType>()
            .expect("is there")
            .is("application/sdp")
    );
    let route = request.headers().require::<Route>().expect("is there");
    assert_eq!(
        route.uri().as_str(),
        "sip:services.example.com;lr;unknownwith=value;unknown-no-value"
    );
    let contact = request.headers().require::<Contact>().expect("is there");
    assert_eq!(
        contact.display_name().as_deref(),
        Some("Quoted string \"\"")
    );
    assert_eq!(contact.uri().as_str(), "sip:jdrosen@example.com");
    assert!(
        contact.has_param("newparam")
            && contact.has_param("secondparam")
            && contact.q() == Some(330)
    );
    assert_eq!(request.body().len(), 150);
}

/// MSG-030, MSG-031 and MSG-032.
#[test]
fn s3_1_1_2_wide_range_of_valid_characters() {
    let request = accepted(&message!("rfc4475/intmeth.dat"));
    assert_eq!(
        request.method().as_str(),
        "!interesting-Method0123456789_*+`.%indeed'~"
    );
    assert!(!request.method().is_known());
    assert_eq!(
        request.uri().user_raw(),
        Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*")
    );
    assert_eq!(
        request.uri().password(),
        Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)")
    );
    assert_eq!(request.uri().host_str(), "example.com");
    let to = request.to().expect("is there");
    assert_eq!(
        to.display_name().as_deref(),
        Some("BEL:\u{7} NUL:\0 DEL:\u{7f}")
    );
    let from = request.from().expect("is there");
    assert_eq!(
        from.display_name().as_deref(),
        Some("token1~` token2'+_ token3*%!.-")
    );
    assert_eq!(from.tag().expect("is there").as_str(), "_token~1'+`*%!-.");
    let odd = from
        .param("fromParam''~+*_!.-%")
        .flatten()
        .expect("is there");
    assert_eq!(
        odd,
        "\u{440}\u{430}\u{431}\u{43e}\u{442}\u{430}\u{44e}\u{449}\u{438}\u{439}"
    );
    assert!(
        request
            .headers()
            .contains_name(&HeaderName::from_static("extensionHeader-!.%*+_`'~"))
    );
}

/// MSG-034.
#[test]
fn s3_1_1_3_use_of_the_percent_when_it_is_an_escape() {
    let request = accepted(&message!("rfc4475/esc01.dat"));
    assert_eq!(
        request.uri().user().as_deref(),
        Some("sips:user@example.com")
    );
    assert_eq!(request.uri().host_str(), "example.net");
    let to = request.to().expect("is there");
    assert!(
        to.uri()
            .equivalent(&Uri::parse("sip:user@example.com").expect("is one"))
    );
    let from = request.from().expect("is there");
    assert_eq!(from.uri().user().as_deref(), Some("I have spaces"));
    let contact = request.headers().require::<Contact>().expect("is there");
    assert_eq!(contact.uri().user().as_deref(), Some("caller"));
    // Unescaped once, not until nothing changes any more.
    assert_eq!(contact.uri().param("lr").map(|_| ()), Some(()));
    let names: Vec<_> = contact
        .uri()
        .params()
        .map(|(name, _)| name.to_owned())
        .collect();
    assert!(names.contains(&"n%61me".to_owned()), "{names:?}");
    assert_eq!(
        contact.uri().param("name").flatten().as_deref(),
        Some("value%41")
    );
}

#[test]
fn s3_1_1_4_escaped_nulls_in_uris() {
    let request = accepted(&message!("rfc4475/escnull.dat"));
    assert_eq!(
        request.to().expect("is there").uri().user().as_deref(),
        Some("null-\0-null")
    );
    let contacts: Vec<_> = request
        .headers()
        .all::<Contact>()
        .map(|contact| contact.expect("is one"))
        .collect();
    let users: Vec<_> = contacts
        .iter()
        .map(|contact| contact.uri().user().expect("is there"))
        .collect();
    assert_eq!(users, ["\0", "\0\0"]);
    assert_ne!(contacts[0].uri().aor(), contacts[1].uri().aor());
}

#[test]
fn s3_1_1_5_use_of_percent_when_it_is_not_an_escape() {
    let request = accepted(&message!("rfc4475/esc02.dat"));
    assert_eq!(request.method().as_str(), "RE%47IST%45R");
    assert_ne!(request.method(), &Method::REGISTER);
    assert_eq!(
        request.to().expect("is there").display_name().as_deref(),
        Some("%Z%45")
    );
    assert_eq!(request.headers().count::<Contact>(), 2);
    assert!(
        request
            .headers()
            .contains_name(&HeaderName::from_static("C%6Fntact"))
    );
}

#[test]
fn s3_1_1_6_message_with_no_lws_between_display_name_and_angle_bracket() {
    let request = accepted(&message!("rfc4475/lwsdisp.dat"));
    let from = request.from().expect("is there");
    assert_eq!(from.display_name().as_deref(), Some("caller"));
    assert_eq!(from.uri().as_str(), "sip:caller@example.com");
}

#[test]
fn s3_1_1_7_long_values_in_header_fields() {
    let request = accepted(&message!("rfc4475/longreq.dat"));
    assert_eq!(request.headers().count::<Via>(), 34);
    assert!(
        request
            .from()
            .expect("is there")
            .tag()
            .expect("is there")
            .as_str()
            .len()
            > 100
    );
    assert!(request.call_id().expect("is there").as_str().len() > 100);
    assert!(
        request
            .to()
            .expect("is there")
            .display_name()
            .expect("is there")
            .len()
            > 100
    );
}

/// MSG-019.
#[test]
fn s3_1_1_8_extra_trailing_octets_in_a_udp_datagram() {
    let wire = message!("rfc4475/dblreq.dat");
    let request = accepted(&wire);
    assert_eq!(request.method(), &Method::REGISTER);
    assert!(request.body().is_empty());
    assert!(request.to_bytes().len() < wire.len());
    let messages = frames(&wire)
        .into_iter()
        .filter(|frame| matches!(frame, Ok(Frame::Message(_))));
    assert_eq!(
        messages.count(),
        2,
        "on a stream the rest is the next message"
    );
}

#[test]
fn s3_1_1_9_semicolon_separated_parameters_in_uri_user_part() {
    let request = accepted(&message!("rfc4475/semiuri.dat"));
    assert_eq!(
        request.uri().user().as_deref(),
        Some("user;par=u@example.net")
    );
    assert_eq!(request.uri().host_str(), "example.com");
    assert_eq!(request.uri().params().count(), 0);
}

#[test]
fn s3_1_1_10_varied_and_unknown_transport_types() {
    let request = accepted(&message!("rfc4475/transports.dat"));
    let transports: Vec<_> = request
        .headers()
        .all::<Via>()
        .map(|via| via.expect("is one").transport().to_owned())
        .collect();
    assert_eq!(transports, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
}

/// MSG-032 and MSG-052.
#[test]
fn s3_1_1_11_multipart_mime_message() {
    let request = accepted(&message!("rfc4475/mpart01.dat"));
    assert_eq!(request.method(), &Method::MESSAGE);
    assert_eq!(request.body().len(), 553);
    assert!(request.body().contains(&0));
    let content_type = request
        .headers()
        .require::<ContentType>()
        .expect("is there");
    assert!(content_type.is("multipart/mixed"));
    let parts = sip_message::multipart::parse(&content_type, request.body(), &Limits::default())
        .expect("is one");
    assert_eq!(parts.len(), 2);
    assert!(parts[0].content_type().expect("is one").is("text/plain"));
    assert_eq!(parts[0].body().as_ref(), b"Hello");
    assert!(
        parts[1]
            .content_type()
            .expect("is one")
            .is("application/octet-stream")
    );
    assert!(parts[1].body().starts_with(b"0\x82"));
}

/// MSG-031.
#[test]
fn s3_1_1_12_unusual_reason_phrase() {
    let wire = message!("rfc4475/unreason.dat");
    assert_eq!(verdict(&wire), Verdict::Accepted);
    let response = Response::parse(wire).expect("was accepted");
    assert!(
        response
            .reason()
            .starts_with("= 2**3 * 5**2 \u{43d}\u{43e} \u{441}\u{442}\u{43e}")
    );
}

/// MSG-004.
#[test]
fn s3_1_1_13_empty_reason_phrase() {
    let wire = message!("rfc4475/noreason.dat");
    assert_eq!(verdict(&wire), Verdict::Accepted);
    let response = Response::parse(wire).expect("was accepted");
    assert_eq!(
        (response.status(), response.reason().as_ref()),
        (StatusCode::TRYING, "")
    );
}
