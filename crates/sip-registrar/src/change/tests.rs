use super::*;

fn second(number: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + number)
}

fn register(call_id: &str, cseq: u32, lines: &str) -> Request {
    let text = format!(
        "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.4;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
         From: <sip:bob@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: {call_id}\r\n\
         CSeq: {cseq} REGISTER\r\n{lines}\r\n"
    );
    Request::parse(text.into()).unwrap()
}

fn change_at(at: u64, call_id: &str, cseq: u32, lines: &str) -> Change {
    Change::from_request(&register(call_id, cseq, lines), Terms::new(), second(at)).unwrap()
}

fn change(call_id: &str, cseq: u32, lines: &str) -> Change {
    change_at(0, call_id, cseq, lines)
}

fn uris(bindings: &[Binding]) -> Vec<String> {
    bindings
        .iter()
        .map(|binding| binding.uri().to_string())
        .collect()
}

/// REG-004: RFC 3261 §10.3 step 7.
#[test]
fn a_contact_is_added_with_its_own_expiry_then_that_of_the_request_then_ours() {
    let bindings = change(
        "1",
        1,
        "Contact: <sip:a@h>;expires=100, <sip:b@h>\r\nContact: <sip:c@h>;expires=99999\r\nExpires: 200\r\n",
    )
    .apply(Vec::new())
    .unwrap();
    let ends: Vec<SystemTime> = bindings.iter().map(|binding| binding.expires_at).collect();
    assert_eq!(ends, [second(100), second(200), second(7_200)]);
    let bindings = change("1", 1, "Contact: <sip:a@h>\r\n")
        .apply(Vec::new())
        .unwrap();
    assert_eq!(bindings[0].expires_at, second(3_600));
}

/// MSG-027: RFC 3261 §10.2.1.1: what cannot be read says nothing, and what does not fit is as long as we keep any.
#[test]
fn an_expiry_that_cannot_be_read_removes_nothing() {
    for (lines, lifetime) in [
        ("Contact: <sip:a@h>;expires=soon\r\n", 3_600),
        ("Contact: <sip:a@h>;expires=-1\r\n", 3_600),
        ("Contact: <sip:a@h>;expires\r\n", 3_600),
        ("Contact: <sip:a@h>;expires=99999999999\r\n", 7_200),
        ("Contact: <sip:a@h>\r\nExpires: soon\r\n", 3_600),
        ("Contact: <sip:a@h>\r\nExpires: 4294967296\r\n", 7_200),
    ] {
        let bindings = change("1", 1, lines).apply(Vec::new()).unwrap();
        assert_eq!(bindings[0].expires_at, second(lifetime), "{lines}");
    }
    let star = change("1", 1, "Contact: *\r\nExpires: none\r\n");
    assert_eq!(star.apply(Vec::new()), Err(ChangeError::Wildcard));
}

/// REG-005: RFC 3261 §10.3 step 7.
#[test]
fn a_refresh_needs_a_higher_cseq_within_its_call_id() {
    let old = change("1", 5, "Contact: <sip:a@h>\r\n")
        .apply(Vec::new())
        .unwrap();
    for cseq in [4, 5] {
        assert_eq!(
            change("1", cseq, "Contact: <sip:a@h>;expires=60\r\n").apply(old.clone()),
            Err(ChangeError::OutOfOrder {
                received: cseq,
                last: 5
            })
        );
    }
    let new = change("1", 6, "Contact: <sip:a@h>;expires=60\r\n")
        .apply(old.clone())
        .unwrap();
    assert_eq!(
        (new.len(), new[0].expires_at, new[0].cseq),
        (1, second(60), 6)
    );
    let restarted = change("2", 1, "Contact: <sip:a@h>;expires=60\r\n")
        .apply(old)
        .unwrap();
    assert_eq!((restarted.len(), restarted[0].cseq), (1, 1));
}

/// REG-006: RFC 3261 §10.3 step 7.
#[test]
fn one_failed_contact_leaves_all_as_they_were() {
    let old = change("1", 5, "Contact: <sip:a@h>\r\n")
        .apply(Vec::new())
        .unwrap();
    let failed = change("1", 5, "Contact: <sip:new@h>, <sip:a@h>\r\n").apply(old);
    assert!(matches!(failed, Err(ChangeError::OutOfOrder { .. })));
}

/// REG-012: RFC 3261 §19.1.4 decides what is the same Contact.
#[test]
fn an_equivalent_uri_replaces_and_another_port_does_not() {
    let old = change("1", 1, "Contact: <sip:%61lice@H.example;transport=udp>\r\n")
        .apply(Vec::new())
        .unwrap();
    let same = change("1", 2, "Contact: <sip:alice@h.EXAMPLE;Transport=UDP>\r\n")
        .apply(old.clone())
        .unwrap();
    assert_eq!(same.len(), 1);
    let other = change(
        "1",
        2,
        "Contact: <sip:alice@h.example:5060;transport=udp>\r\n",
    )
    .apply(old)
    .unwrap();
    assert_eq!(other.len(), 2);
}

/// REG-012: RFC 4475 §3.3.13 and §3.3.14: parameters and headers of a URI count as they do anywhere.
#[test]
fn parameters_and_headers_of_a_contact_count() {
    for (one, other, count) in [
        ("sip:a@h;unknownparam", "sip:a@h", 1),
        ("sip:a@h;unknownparam=1", "sip:a@h;unknownparam=2", 2),
        ("sip:a@h;transport=tcp", "sip:a@h", 2),
        ("sip:a@h?Route=%3Csip:sip.h%3E", "sip:a@h", 2),
        (
            "sip:a@h?Route=%3Csip:sip.h%3E",
            "sip:a@h?route=%3csip:sip.h%3e",
            1,
        ),
    ] {
        let old = change("1", 1, &format!("Contact: <{one}>\r\n"));
        let old = old.apply(Vec::new()).unwrap();
        let new = change("1", 2, &format!("Contact: <{other}>\r\n"));
        assert_eq!(new.apply(old).unwrap().len(), count, "{one} and {other}");
    }
}

/// REG-003 and REG-004.
#[test]
fn zero_removes_one_and_a_star_removes_all() {
    let old = change("1", 1, "Contact: <sip:a@h>, <sip:b@h>\r\n")
        .apply(Vec::new())
        .unwrap();
    let one = change("1", 2, "Contact: <sip:a@h>;expires=0\r\n")
        .apply(old.clone())
        .unwrap();
    assert_eq!(uris(&one), ["sip:b@h"]);
    let none = change("1", 2, "Contact: *\r\nExpires: 0\r\n")
        .apply(old.clone())
        .unwrap();
    assert!(none.is_empty());
    assert_eq!(
        change("2", 1, "Contact: *\r\nExpires: 0\r\n").apply(old),
        Ok(Vec::new())
    );
}

/// REG-003 and MSG-029: RFC 3261 §10.3 step 6.
#[test]
fn a_star_stands_alone_with_expires_zero_and_in_order() {
    let old = change("1", 5, "Contact: <sip:a@h>\r\n")
        .apply(Vec::new())
        .unwrap();
    for lines in [
        "Contact: *\r\n",
        "Contact: *\r\nExpires: 60\r\n",
        "Contact: *, <sip:b@h>\r\nExpires: 0\r\n",
        "Contact: <sip:b@h>\r\nContact: *\r\nExpires: 0\r\n",
    ] {
        assert_eq!(
            change("1", 6, lines).apply(old.clone()),
            Err(ChangeError::Wildcard),
            "{lines}"
        );
    }
    let late = change("1", 5, "Contact: *\r\nExpires: 0\r\n").apply(old);
    assert_eq!(
        late,
        Err(ChangeError::OutOfOrder {
            received: 5,
            last: 5
        })
    );
}

/// REG-008.
#[test]
fn too_brief_is_refused_but_zero_is_not() {
    let terms = Terms::new().min_expires(Duration::from_secs(60));
    let of =
        |lines| Change::from_request(&register("1", 1, lines), terms.clone(), second(0)).unwrap();
    assert_eq!(
        of("Contact: <sip:a@h>;expires=59\r\n").apply(Vec::new()),
        Err(ChangeError::TooBrief {
            minimum: Duration::from_secs(60)
        })
    );
    assert_eq!(
        of("Contact: <sip:a@h>;expires=60\r\n")
            .apply(Vec::new())
            .map(|new| new.len()),
        Ok(1)
    );
    assert_eq!(
        of("Contact: <sip:a@h>;expires=0\r\n").apply(Vec::new()),
        Ok(Vec::new())
    );
}

/// REG-008: RFC 3261 §10.3 step 7: an hour is never too brief, whatever the minimum.
#[test]
fn an_hour_is_never_refused() {
    let terms = Terms::new().min_expires(Duration::from_secs(7_000));
    let hour = register("1", 1, "Contact: <sip:a@h>;expires=3600\r\n");
    let change = Change::from_request(&hour, terms, second(0)).unwrap();
    assert_eq!(change.apply(Vec::new()).map(|new| new.len()), Ok(1));
}

#[test]
fn bindings_are_bounded_and_may_still_be_removed() {
    let mut bindings = Vec::new();
    for number in 0..16 {
        bindings = change("1", number, &format!("Contact: <sip:{number}@h>\r\n"))
            .apply(bindings)
            .unwrap();
    }
    let more = change("1", 20, "Contact: <sip:more@h>\r\n").apply(bindings.clone());
    assert_eq!(more, Err(ChangeError::TooMany { limit: 16 }));
    assert_eq!(more.unwrap_err().status(), StatusCode::SERVICE_UNAVAILABLE);
    let fewer = change("1", 20, "Contact: <sip:3@h>;expires=0\r\n")
        .apply(bindings.clone())
        .unwrap();
    assert_eq!(fewer.len(), 15);
    let swapped = change("1", 21, "Contact: <sip:more@h>, <sip:3@h>;expires=0\r\n")
        .apply(bindings)
        .unwrap();
    assert_eq!(swapped.len(), 16);
}

#[test]
fn what_has_ended_is_gone_before_the_rules_apply() {
    let old = change("1", 9, "Contact: <sip:a@h>;expires=60\r\n")
        .apply(Vec::new())
        .unwrap();
    assert_eq!(
        change_at(59, "1", 10, "")
            .apply(old.clone())
            .map(|now| now.len()),
        Ok(1)
    );
    assert_eq!(
        change_at(60, "1", 10, "").apply(old.clone()),
        Ok(Vec::new())
    );
    let again = change_at(61, "1", 2, "Contact: <sip:a@h>\r\n")
        .apply(old)
        .unwrap();
    assert_eq!(again[0].cseq, 2);
}

/// REG-016: RFC 5626 §6.
#[test]
fn the_same_flow_of_a_device_replaces_whatever_its_contact() {
    let lines = |uri: &str, reg_id: u32| {
        format!(
            "Contact: <{uri}>;reg-id={reg_id};+sip.instance=\"<urn:uuid:1>\"\r\nSupported: outbound\r\n"
        )
    };
    let of = |cseq, uri: &str, reg_id| change("1", cseq, &lines(uri, reg_id)).outbound(true);
    let old = of(1, "sip:bob@192.0.2.4:5555;transport=tcp", 1)
        .apply(Vec::new())
        .unwrap();
    let second_flow = of(2, "sip:bob@192.0.2.4:5556;transport=tcp", 2)
        .apply(old)
        .unwrap();
    assert_eq!(second_flow.len(), 2);
    let moved = of(3, "sip:bob@192.0.2.9:1;transport=tcp", 1)
        .apply(second_flow)
        .unwrap();
    assert_eq!(
        uris(&moved),
        [
            "sip:bob@192.0.2.9:1;transport=tcp",
            "sip:bob@192.0.2.4:5556;transport=tcp"
        ]
    );
}

/// REG-017: RFC 5626 §6.
#[test]
fn a_reg_id_counts_only_with_an_instance_and_on_a_fitting_way() {
    let with_both = "Contact: <sip:a@h>;reg-id=1;+sip.instance=\"<urn:uuid:1>\"\r\n";
    let ignored = change("1", 1, with_both).apply(Vec::new()).unwrap();
    assert!(!ignored[0].is_outbound());
    let bare = change("1", 1, "Contact: <sip:a@h>;reg-id=1\r\n").outbound(true);
    assert!(!bare.is_outbound());
    assert!(!bare.apply(Vec::new()).unwrap()[0].is_outbound());
    let both = change("1", 1, with_both).outbound(true);
    assert!(both.is_outbound() && both.apply(Vec::new()).unwrap()[0].is_outbound());
}

/// RFC 5626 §6.
#[test]
fn one_register_makes_one_flow() {
    let two = "Contact: <sip:a@h>;reg-id=1;+sip.instance=\"<urn:uuid:1>\", <sip:b@h>\r\n";
    assert_eq!(
        change("1", 1, two).outbound(true).apply(Vec::new()),
        Err(ChangeError::SeveralFlows)
    );
    let replaced =
        "Contact: <sip:a@h>;reg-id=1;+sip.instance=\"<urn:uuid:1>\", <sip:b@h>;expires=0\r\n";
    assert_eq!(
        change("1", 1, replaced)
            .outbound(true)
            .apply(Vec::new())
            .map(|new| new.len()),
        Ok(1)
    );
}

#[test]
fn a_binding_keeps_path_parameters_and_preference() {
    let bindings = change(
        "1",
        1,
        "Path: <sip:edge;lr>, <sip:inner;lr>\r\nContact: \"B\" <sip:a@h;x=1>;q=0.25;methods=\"INVITE\";expires=60\r\n\
         User-Agent: phone/1\r\n",
    )
    .apply(Vec::new())
    .unwrap();
    let binding = &bindings[0];
    assert_eq!(
        binding.path.iter().map(Uri::to_string).collect::<Vec<_>>(),
        ["sip:edge;lr", "sip:inner;lr"]
    );
    assert_eq!(binding.q(), 250);
    assert_eq!(binding.user_agent.as_deref(), Some("phone/1"));
    let contact = binding.contact_at(second(10));
    assert_eq!(contact.expires(), Some(Duration::from_secs(50)));
    assert!(contact.has_param("methods") && contact.display_name().is_some());
}

/// RFC 5630 §5.2: what is promised to be secure must have come so.
#[test]
fn a_sips_contact_needs_sips_all_the_way() {
    let apply = |uri: &str, lines: &str| {
        let request = register("1", 1, lines).to_string();
        let text = request.replace("REGISTER sip:", &format!("REGISTER {uri}:"));
        let request = Request::parse(text.into()).unwrap();
        let change = Change::from_request(&request, Terms::new(), second(0)).unwrap();
        change.apply(Vec::new()).map(|bindings| bindings.len())
    };
    let secure = "Contact: <sips:a@h>\r\n";
    assert_eq!(apply("sips", secure), Ok(1));
    assert_eq!(apply("sip", secure), Err(ChangeError::Insecure));
    assert_eq!(ChangeError::Insecure.status(), StatusCode::BAD_REQUEST);
    let mixed = "Contact: <sips:a@h>, <sip:b@h>\r\n";
    assert_eq!(apply("sips", mixed), Err(ChangeError::Insecure));
    let by_edge = "Path: <sip:edge;lr>\r\nContact: <sips:a@h>\r\n";
    assert_eq!(apply("sips", by_edge), Err(ChangeError::Insecure));
    let by_secure_edge = "Path: <sips:edge;lr>\r\nContact: <sips:a@h>\r\n";
    assert_eq!(apply("sips", by_secure_edge), Ok(1));
    // Who asks for less gets it, and what is taken away endangers nobody.
    assert_eq!(apply("sips", "Contact: <sip:a@h>\r\n"), Ok(1));
    assert_eq!(apply("sip", "Contact: <sips:a@h>;expires=0\r\n"), Ok(0));
}
