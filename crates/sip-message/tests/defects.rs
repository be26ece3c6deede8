//! What other parsers get wrong.

use bytes::Bytes;
use sip_message::{
    Frame, HeaderName, Leniency, Limits, Message, Method, ParseErrorKind, Request, Response,
    StatusCode, StreamFramer, Tag, Uri,
    headers::{
        Accept, AcceptLanguage, Allow, CSeq, Contact, From, MaxForwards, Reason, RecvInfo, Route,
        Subject, Supported, To, UserAgent, Via,
    },
    peek, reject,
};

fn request(lines: &str) -> Request {
    Request::parse(wire(lines)).expect("is a request")
}

fn wire(lines: &str) -> Bytes {
    Bytes::from(format!(
        "OPTIONS sip:bob@example.com SIP/2.0\r\n{lines}\r\n"
    ))
}

fn from(value: &str) -> From {
    value.parse().expect("is a From")
}

/// MSG-034.
#[test]
fn an_escaped_number_sign_survives_forwarding() {
    let text =
        "INVITE sip:%23123@example.com SIP/2.0\r\nTo: <sip:%23123@example.com>\r\nX: 1\r\n\r\n";
    let mut request = Request::parse(Bytes::from(text)).expect("is a request");
    request
        .headers_mut()
        .remove_name(&HeaderName::from_static("X"));
    request.set_uri(request.uri().with_param("x", None));
    let expected = text.replace("X: 1\r\n", "").replace("com SIP", "com;x SIP");
    assert_eq!(request.to_bytes(), expected.as_bytes());
    assert_eq!(request.uri().user().as_deref(), Some("#123"));
}

#[test]
fn angle_brackets_in_a_display_name_are_text() {
    let from = from("\"A <B>;x=1\" <sip:al@example.com>");
    assert_eq!(from.uri().user().as_deref(), Some("al"));
    assert_eq!(from.display_name().as_deref(), Some("A <B>;x=1"));
    assert_eq!(from.params().count(), 0);
}

#[test]
fn a_latin_1_octet_in_subject_costs_nothing_else() {
    let mut bytes = wire("From: <sip:a@h>;tag=1\r\nSubject: caf?\r\n").to_vec();
    let at = bytes.iter().position(|&b| b == b'?').expect("is there");
    bytes[at] = 0xe9;
    let request = Request::parse(Bytes::from(bytes.clone())).expect("is a request");
    assert_eq!(
        request.from().expect("is there").tag().expect("is there"),
        "1"
    );
    let subject = request.headers().require::<Subject>().expect("is there");
    assert_eq!(subject.as_bytes(), b"caf\xe9");
    assert_eq!(subject.text(), "caf\u{fffd}");
    assert_eq!(request.to_bytes(), bytes);
}

/// MSG-028: TRAPS 10.
#[test]
fn without_angle_brackets_parameters_belong_to_the_field() {
    let bare = from("sip:a@h;tag=1");
    assert_eq!(bare.tag(), Some(Tag::new("1").expect("is one")));
    assert_eq!(bare.uri().as_str(), "sip:a@h");
    let bracketed = from("<sip:a@h;tag=1>");
    assert_eq!(bracketed.tag(), None);
}

/// MSG-009.
#[test]
fn parameter_names_have_no_case() {
    assert_eq!(
        from("<sip:a@h>;TAG=x").tag().expect("is there").as_str(),
        "x"
    );
    assert_eq!(
        from("<sip:a@h> ; Tag = x")
            .tag()
            .expect("is there")
            .as_str(),
        "x"
    );
}

#[test]
fn a_contact_may_be_a_star() {
    let contact = request("Contact: *\r\nExpires: 0\r\n")
        .headers()
        .require::<Contact>();
    assert!(contact.expect("is one").is_star());
    let contact: Contact = "<sip:*@h>".parse().expect("is one");
    assert!(!contact.is_star());
}

#[test]
fn commas_in_quotes_and_brackets_divide_nothing() {
    let lines = "Contact: \"a, b\" <sip:a,b@h>, <sip:c@h?X=1,2>;q=0.1,\"\\\",\"<sip:d@h>\r\n";
    let request = request(lines);
    let contacts: Vec<_> = request
        .headers()
        .all::<Contact>()
        .map(|contact| contact.expect("is one").uri().to_string())
        .collect();
    assert_eq!(contacts, ["sip:a,b@h", "sip:c@h?X=1,2", "sip:d@h"]);
}

/// MSG-043.
#[test]
fn white_space_stands_around_the_colon_of_a_via() {
    let via: Via = "SIP / 2.0 / UDP  example.com : 5061 ; branch = z9hG4bK1"
        .parse()
        .expect("is one");
    assert_eq!((via.port(), via.branch()), (Some(5061), Some("z9hG4bK1")));
    assert_eq!(via.transport(), "UDP");
}

#[test]
fn a_content_length_beyond_all_numbers_is_refused() {
    for length in [
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999999",
        "4294967296",
    ] {
        let lines = format!("Content-Length: {length}\r\n");
        let error = Message::parse(wire(&lines)).expect_err("is too long");
        assert_eq!(error.field(), "Content-Length", "{length}");
        let mut framer = StreamFramer::new(Limits::default());
        framer.push(&wire(&lines));
        assert!(framer.next().is_err(), "{length}");
    }
}

/// TRAPS 29.
#[test]
fn without_content_length_a_datagram_ends_the_body_and_a_stream_cannot() {
    let bytes = Bytes::from([&wire("")[..], b"body"].concat());
    assert_eq!(
        Request::parse(bytes.clone()).expect("is a request").body(),
        "body"
    );
    let mut framer = StreamFramer::new(Limits::default());
    framer.push(&bytes);
    let error = framer.next().expect_err("has no end");
    assert_eq!(error.error().kind(), ParseErrorKind::LengthRequired);
    assert!(framer.next().is_err(), "the boundary stays lost");
}

/// MSG-004.
#[test]
fn a_status_line_needs_no_reason() {
    for line in ["SIP/2.0 200 \r\n\r\n", "SIP/2.0 200\r\n\r\n"] {
        let response = Response::parse(Bytes::from(line)).expect("is a response");
        assert_eq!(
            (response.status(), response.reason().as_ref()),
            (StatusCode::OK, "")
        );
        assert_eq!(response.to_bytes(), line.as_bytes());
    }
}

#[test]
fn ipv6_stands_in_request_uri_and_via() {
    let text = "OPTIONS sip:[2001:db8::1]:5062 SIP/2.0\r\n\
        Via: SIP/2.0/UDP [2001:db8::2]:5061;received=2001:db8::3;rport=5063\r\n\r\n";
    let request = Request::parse(Bytes::from(text)).expect("is a request");
    assert_eq!(
        (request.uri().host_port(), request.uri().port()),
        ("[2001:db8::1]:5062", Some(5062))
    );
    let via = request.via().expect("is there");
    assert_eq!(
        (via.sent_by().as_ref(), via.port()),
        ("[2001:db8::2]:5061", Some(5061))
    );
    assert_eq!(via.received(), Some("2001:db8::3".parse().expect("is one")));
    assert_eq!(via.rport(), Some(Some(5063)));
    assert_eq!(request.to_bytes(), text.as_bytes());
}

#[test]
fn nothing_that_breaks_out_of_its_field_can_be_constructed() {
    let evil = "x\r\nRoute: <sip:evil.example>";
    assert!(Subject::new(evil).is_err());
    assert!(UserAgent::new(evil).is_err());
    assert!(Tag::new(evil).is_err());
    assert!(Method::new(evil).is_err());
    assert!(HeaderName::new(evil).is_err());
    assert!(Uri::parse(format!("sip:{evil}@h")).is_err());
    let uri = Uri::sip("x@evil;a=b>\r\n", "example.com").expect("is escaped");
    assert_eq!(uri.as_str(), "sip:x%40evil%3Ba=b%3E%0D%0A@example.com");
    assert_eq!(uri.user().as_deref(), Some("x@evil;a=b>\r\n"));
    let lines = |field: String| field.contains(['\r', '\n']);
    let contact = Contact::new(uri.clone())
        .with_display_name("\" <sip:x>\r\nX: 1")
        .with_param("a\r\n", "b\"\r\n");
    assert!(!lines(contact.to_string()), "{contact}");
    assert_eq!(
        contact
            .to_string()
            .parse::<Contact>()
            .expect("can be read")
            .uri(),
        &uri
    );
    let via = Via::new(
        "U\r\nDP",
        "192.0.2.1".parse::<sip_message::Host>().expect("is one"),
        None,
    )
    .with_branch("z;\r\nx");
    assert!(!lines(via.to_string()), "{via}");
    let mut builder = Request::builder(Method::OPTIONS, "sip:a@b").cseq(1);
    builder = builder.call_id(evil);
    assert!(builder.build().is_err());
    let response = Response::builder(StatusCode::OK)
        .reason("OK\r\nX: 1")
        .build();
    assert!(!response.to_bytes().windows(3).any(|bytes| bytes == b"\nX:"));
}

/// MSG-012.
#[test]
fn challenges_are_never_split_at_commas() {
    let lines = "WWW-Authenticate: Digest realm=\"a, b\", nonce=\"1\",\r\n qop=\"auth,auth-int\"\r\n\
        WWW-Authenticate: Digest realm=\"c\", nonce=\"2\", algorithm=SHA-256\r\n";
    let request = request(lines);
    let challenges: Vec<_> = request
        .headers()
        .all::<sip_message::headers::WwwAuthenticate>()
        .map(|challenge| challenge.expect("is one"))
        .collect();
    assert_eq!(challenges.len(), 2);
    assert_eq!(challenges[0].param("REALM").as_deref(), Some("a, b"));
    assert_eq!(challenges[0].param("qop").as_deref(), Some("auth,auth-int"));
    assert_eq!(challenges[1].param("algorithm").as_deref(), Some("SHA-256"));
}

#[test]
fn the_first_value_can_be_changed_in_its_place() {
    let mut request =
        request("Via: SIP/2.0/UDP a ;branch=1 , SIP/2.0/UDP b;branch=2\r\nTo: <sip:b@h>\r\n");
    let mut via = request.via().expect("is there");
    via.set_received("192.0.2.9".parse().expect("is one"));
    request.headers_mut().replace_front(via);
    assert_eq!(
        request.to_bytes(),
        wire(
            "Via: SIP/2.0/UDP a ;branch=1;received=192.0.2.9 , SIP/2.0/UDP b;branch=2\r\nTo: <sip:b@h>\r\n"
        )
    );
}

/// MSG-050.
#[test]
fn a_rejected_request_is_answered_with_what_can_be_found() {
    let text = "OPTIONS sip:bob@@example.com SIP/2.0\r\nBad Line\r\nv: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
        From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\ni: 1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 1\r\n\r\n";
    let error = Request::parse(Bytes::from(text)).expect_err("is malformed");
    let response = reject(text.as_bytes(), &error).expect("can be answered");
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(
        response.reason().contains("Request-URI"),
        "{}",
        response.reason()
    );
    response.check().expect("has all that it must have");
    assert!(
        reject(text.replace("OPTIONS", "ACK").as_bytes(), &error).is_none(),
        "nothing answers an ACK"
    );
    assert!(
        reject(
            text.replace("OPTIONS sip", "SIP/2.0 200").as_bytes(),
            &error
        )
        .is_none()
    );
    assert!(
        reject(text.replace("i: 1\r\n", "").as_bytes(), &error).is_none(),
        "there is no Call-ID"
    );
}

#[test]
fn an_error_says_where_it_is() {
    let text = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h:99999\r\n\r\n";
    let request = Request::parse(Bytes::from(text)).expect("its structure is sound");
    let error = request.via().expect_err("has no such port");
    assert_eq!(
        (error.field(), error.kind()),
        ("Via", ParseErrorKind::OutOfRange)
    );
    assert_eq!(&text[error.offset()..error.offset() + 5], "99999");
    let second = "OPTIONS sip:a@b SIP/2.0\r\nRoute: <sip:a>, <sip:b\r\n\r\n";
    let request = Request::parse(Bytes::from(second)).expect("its structure is sound");
    let error = request
        .headers()
        .all::<Route>()
        .nth(1)
        .expect("is there")
        .expect_err("is not closed");
    assert_eq!(
        (error.kind(), error.offset()),
        (
            ParseErrorKind::Unbalanced,
            second.find("<sip:b").expect("is there")
        )
    );
}

/// MSG-017 and MSG-018.
#[test]
fn a_stream_is_cut_where_messages_end_however_it_comes() {
    let one = b"\r\n\r\nOPTIONS sip:a@b SIP/2.0\r\nl: 3\r\n\r\nabc";
    let two = b"\r\nSIP/2.0 200 OK\r\nContent-Length :  0\r\n\r\n";
    let stream = [one.as_slice(), two].concat();
    let whole = |sizes: &[usize]| {
        let mut framer = StreamFramer::new(Limits::default());
        let mut frames = Vec::new();
        let mut rest = stream.as_slice();
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                return frames;
            }
            let (now, later) = rest.split_at((*size).min(rest.len()));
            framer.push(now);
            rest = later;
            while let Some(frame) = framer.next().expect("can be framed") {
                frames.push(frame);
            }
        }
        frames
    };
    let frames = whole(&[stream.len()]);
    assert_eq!(frames.len(), 4);
    assert_eq!((&frames[0], &frames[2]), (&Frame::Ping, &Frame::Pong));
    for sizes in [&[1][..], &[2], &[3, 1], &[7, 5]] {
        assert_eq!(whole(sizes), frames, "{sizes:?}");
    }
}

#[test]
fn peek_sees_what_the_parser_sees() {
    let text = "INVITE sip:a@b SIP/2.0\r\nCall-ID : 1@h\r\nv: SIP/2.0/UDP h\r\n ;branch=z9hG4bK1, SIP/2.0/UDP g\r\n\
        CSEQ: 7\r\n INVITE\r\n\r\n";
    let peeked = peek(text.as_bytes()).expect("is a message");
    assert_eq!(
        (peeked.call_id, peeked.branch, peeked.cseq),
        ("1@h", Some("z9hG4bK1"), 7)
    );
    assert_eq!((peeked.method, peeked.is_request), (Method::INVITE, true));
    assert!(peek(text.replace("CSEQ", "Call-ID").as_bytes()).is_none());
    assert!(peek(text.replace("Call-ID", "X").as_bytes()).is_none());
}

/// MSG-055.
#[test]
fn limits_have_their_errors() {
    let parse = |limits: Limits| {
        Message::parse_with(wire("A: 1\r\nB: 2\r\n"), &limits)
            .map(|_| ())
            .map_err(|e| e.kind())
    };
    assert_eq!(parse(Limits::default()), Ok(()));
    assert_eq!(
        parse(Limits::default().message_size(50)),
        Err(ParseErrorKind::TooLarge { limit: 50 })
    );
    assert_eq!(
        parse(Limits::default().head_size(45)),
        Err(ParseErrorKind::TooLarge { limit: 45 })
    );
    assert_eq!(
        parse(Limits::default().header_lines(1)),
        Err(ParseErrorKind::TooMany { limit: 1 })
    );
    let error = Message::parse_with(wire("A: 1\r\n"), &Limits::default().header_lines(0))
        .expect_err("is too many");
    assert_eq!(error.status(), StatusCode::MESSAGE_TOO_LARGE);
}

#[test]
fn control_characters_are_refused_unless_quoted() {
    for byte in [0_u8, 1, 0x0b, 0x1f, 0x7f] {
        let mut bytes = wire("Subject: a?b\r\n").to_vec();
        let at = bytes.iter().position(|&b| b == b'?').expect("is there");
        bytes[at] = byte;
        assert_eq!(
            Message::parse(bytes.into())
                .map(|_| ())
                .map_err(|e| e.kind()),
            Err(ParseErrorKind::Control)
        );
    }
    let bare = "OPTIONS sip:a@b SIP/2.0\r\nSubject: a\rb\r\n\r\n";
    assert_eq!(
        Message::parse(Bytes::from(bare))
            .map(|_| ())
            .map_err(|e| e.kind()),
        Err(ParseErrorKind::Control)
    );
}

#[test]
fn typed_values_outlive_their_message() {
    let (to, reason, cseq) = {
        let request = request(
            "To: \"B\" <sip:b@h>;tag=2\r\nReason: SIP;cause=200;text=\"Call, completed\"\r\nCSeq: 5 BYE\r\n",
        );
        (
            request.headers().require::<To>().expect("is there"),
            request.headers().require::<Reason>().expect("is there"),
            request.cseq().expect("is there"),
        )
    };
    assert_eq!(to.display_name().as_deref(), Some("B"));
    assert_eq!(
        (reason.cause(), reason.text().as_deref()),
        (Some(200), Some("Call, completed"))
    );
    assert_eq!(cseq, CSeq::new(5, Method::BYE));
    assert_eq!(
        Reason::sip(StatusCode::OK).to_string(),
        "SIP;cause=200;text=\"OK\""
    );
    let _: MaxForwards = MaxForwards::default();
}

#[test]
fn what_is_tolerated_is_named_and_can_be_refused() {
    let text = "OPTIONS sip:a@b SIP/2.0\nVia: SIP/2.0/UDP h;branch=1;received=[::1]\r\nFrom: Jos\u{e9} <sip:a@b>\r\n\r\nbody";
    let message = Message::parse(Bytes::from(text)).expect("is tolerated");
    let names: Vec<_> = message.leniencies().map(Leniency::name).collect();
    let expected = [
        "bare-line-feed",
        "no-max-forwards",
        "no-content-length",
        "no-from-tag",
        "no-branch",
        "unquoted-name",
        "bracketed-received",
    ];
    assert_eq!(names, expected);
    let strict = Limits::default().strict(true);
    let error = Message::parse_with(Bytes::from(text), &strict).expect_err("is not strict");
    assert_eq!(error.kind(), ParseErrorKind::NotStrict);
    let good = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
        From: \"J\" <sip:a@b>;tag=1\r\n\r\n";
    let message = Message::parse_with(Bytes::from(good), &strict).expect("is strict");
    assert_eq!(message.leniencies().count(), 0);
    let numbers = "SIP/2.0 200\r\nMax-Forwards: 256\r\nContact: <sip:a>;expires=4294967296\r\n\r\n";
    let message = Message::parse(Bytes::from(numbers)).expect("is tolerated");
    assert_eq!(
        message.leniencies().collect::<Vec<_>>(),
        [Leniency::NoReasonSpace, Leniency::LargeNumber]
    );
}

/// RFC 3261 §7.3.3.
#[test]
fn a_message_can_be_written_with_compact_names() {
    let request = request(
        "Via: SIP/2.0/UDP h ,SIP/2.0/UDP g\r\ncontact:  <sip:a@b>\r\nX-Own: 1\r\nSubject: x\r\n y\r\n",
    );
    let compact = "v: SIP/2.0/UDP h ,SIP/2.0/UDP g\r\nm: <sip:a@b>\r\nX-Own: 1\r\ns: x\r\n y\r\n";
    assert_eq!(request.to_bytes_compact(), wire(compact));
    assert_eq!(Message::from(request).to_bytes_compact(), wire(compact));
}

#[test]
fn a_head_beyond_its_limit_is_refused_however_it_comes() {
    let stream = b"OPTIONS sip:a@b SIP/2.0\r\nX: 123456\r\nl: 0\r\n\r\n";
    let head = stream.len() - 2;
    for (limit, fits) in [(head, true), (head - 1, false)] {
        for step in [1, 7, stream.len()] {
            let mut framer = StreamFramer::new(Limits::default().head_size(limit));
            let mut last = Ok(None);
            for chunk in stream.chunks(step) {
                framer.push(chunk);
                last = framer.next();
            }
            assert_eq!(matches!(last, Ok(Some(_))), fits, "{limit} {step}");
            let parsed = Message::parse_with(
                Bytes::from_static(stream),
                &Limits::default().head_size(limit),
            );
            assert_eq!(parsed.is_ok(), fits, "{limit}");
        }
    }
}

/// MSG-055: Everything is read in a time that grows as the message grows: squares of these sizes would take minutes.
#[test]
fn hostile_shapes_cost_no_more_than_honest_ones() {
    let size = 60_000;
    let fill = |piece: &str| piece.repeat(size / piece.len());
    let shapes = [
        format!("Via: {}\r\n", fill("SIP/2.0/UDP h,")),
        format!("Via: SIP/2.0/UDP h{}\r\n", fill(";a=b")),
        format!("Contact: {}\r\n", fill("<sip:a>,")),
        format!("Contact: {}\r\n", fill("<")),
        format!("Contact: {}\r\n", fill("\"")),
        format!("Contact: {}\r\n", fill("\"<,")),
        format!("Contact: <sip:a{}>\r\n", fill(";b=c")),
        format!("Contact: <sip:{}@h>\r\n", fill("%41")),
        format!("Contact: sip:{}\r\n", fill("a@")),
        format!("Subject: {}\r\n", fill("\r\n ")),
        format!("Supported: {}\r\n", fill(",")),
        format!("Retry-After: 1 {}\r\n", fill("(")),
        format!("WWW-Authenticate: Digest {}\r\n", fill("a=b,")),
    ];
    for shape in shapes {
        let message = Message::from(request(&shape));
        for contact in message.headers().all::<Contact>().take(size).flatten() {
            let _ = (
                contact.uri().aor(),
                contact.uri().params().count(),
                contact.expires(),
            );
        }
        let _ =
            message.headers().views::<Via>().count() + message.headers().views::<Contact>().count();
        let _ = message.headers().get::<sip_message::headers::RetryAfter>();
        let _ = message
            .headers()
            .get::<sip_message::headers::WwwAuthenticate>();
        let _ = message.headers().get::<Supported>();
        let _ = (
            message.leniencies().count(),
            message.to_bytes_compact(),
            message.check(),
        );
        if let Some(Ok(contact)) = message.headers().get::<Contact>() {
            assert!(contact.uri().equivalent(contact.uri()));
        }
    }
    let mut framer = StreamFramer::new(Limits::default());
    framer.push(&vec![b'\n'; 1 << 20]);
    assert_eq!(framer.next(), Ok(None));
    let mut pongs = 0;
    for _ in 0..size {
        framer.push(b"\r\nx");
        pongs += usize::from(framer.next() == Ok(Some(Frame::Pong)));
    }
    assert_eq!(pongs, 1);
}

#[test]
fn a_line_end_that_is_half_there_belongs_to_no_message() {
    let message = b"OPTIONS sip:a@b SIP/2.0\r\nl: 0\r\n\r\n";
    for before in [&b"\r"[..], b"\n", b"\r\r\n\r", b"\n\r\r"] {
        let stream = [before, message].concat();
        for step in [1, 2, stream.len()] {
            let mut framer = StreamFramer::new(Limits::default());
            let mut frames = Vec::new();
            for chunk in stream.chunks(step) {
                framer.push(chunk);
                while let Some(frame) = framer.next().expect("can be framed") {
                    frames.push(frame);
                }
            }
            assert_eq!(
                frames.last(),
                Some(&Frame::Message(Bytes::from_static(message))),
                "{before:?} {step}"
            );
        }
    }
}

/// RFC 3261 §20.1, §20.5, §20.37: these lists may be empty, which says something else than no list.
#[test]
fn an_empty_list_is_no_error() {
    let message = Message::parse(Bytes::from_static(
        b"OPTIONS sip:a@b SIP/2.0\r\nAccept:\r\nAccept-Language: \r\nSupported:\r\nAllow:\r\nRecv-Info:\r\n\r\n",
    ))
    .expect("is a request");
    let headers = message.headers();
    assert!(headers.contains::<Accept>());
    assert_eq!(headers.all::<Accept>().count(), 0);
    assert!(headers.get::<Accept>().is_none());
    assert_eq!(headers.count::<AcceptLanguage>(), 0);
    assert_eq!(headers.all::<RecvInfo>().count(), 0);
    assert!(
        headers
            .require::<Supported>()
            .expect("is a list")
            .is_empty()
    );
    assert!(headers.require::<Allow>().expect("is a list").is_empty());
    // Where the grammar asks for a value, its absence is malformed.
    let message = Message::parse(Bytes::from_static(
        b"OPTIONS sip:a@b SIP/2.0\r\nContact:\r\nRequire:\r\n\r\n",
    ))
    .expect("is a request");
    assert!(
        message
            .headers()
            .get::<Contact>()
            .is_some_and(|contact| contact.is_err())
    );
}

/// What a gathering write sends is what a plain one sends.
#[test]
fn slices_of_an_edited_message_add_up_to_its_bytes() {
    let wire = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c\r\nSubject: x\r\nMax-Forwards: 70\r\nX: y\r\nContent-Length: 4\r\n\r\nbody";
    let mut message = Message::parse(Bytes::from(wire)).expect("is a request");
    assert_eq!(message.to_slices().collect::<Vec<_>>(), [wire.as_bytes()]);
    message.headers_mut().set(MaxForwards(69));
    let pieces: Vec<_> = message.to_slices().collect();
    assert_eq!(pieces.concat(), message.to_bytes());
    // The body is not a piece of its own: it came behind the last lines.
    assert!(
        pieces
            .last()
            .is_some_and(|last| last.ends_with(b"Content-Length: 4\r\n\r\nbody"))
    );
    let mut pool = bytes::BytesMut::from("before");
    message.write_to(&mut pool);
    assert_eq!(pool[6..], message.to_bytes());
}

/// Who speaks something else is found out by its first bytes, not when its head is as long as it may be.
#[test]
fn a_stream_that_is_not_sip_fails_at_its_first_line() {
    for garbage in [&b"\x16\x03\x01"[..], b"\0", b"GET / HTTP/1.1\r\n", b"hi\n"] {
        let mut framer = StreamFramer::new(Limits::default());
        let mut failed = false;
        for byte in garbage {
            framer.push(&[*byte]);
            failed |= framer.next().is_err();
        }
        assert!(failed, "{garbage:?}");
    }
    // A version that is not ours is for the parser to refuse, with an answer.
    let mut framer = StreamFramer::new(Limits::default());
    framer.push(b"OPTIONS sip:a@b sip/7.0\r\nl: 0\r\n\r\n");
    assert!(matches!(framer.next(), Ok(Some(Frame::Message(_)))));
    framer.push(b"hello\r\n");
    assert!(framer.next().is_err(), "the second message begins anew");
}

/// RFC 5626 §4.4.1: a lone CRLF is an answer to those who asked, half a question to others.
#[test]
fn a_lone_line_end_is_a_pong_when_one_is_waited_for() {
    let mut framer = StreamFramer::new(Limits::default());
    framer.push(b"\r\n");
    assert_eq!(framer.next(), Ok(None));
    assert!(framer.take_pong() && !framer.take_pong());
    framer.push(b"OPTIONS sip:a@b SIP/2.0\r\n");
    assert_eq!(framer.next(), Ok(None));
    assert!(!framer.take_pong());
}
