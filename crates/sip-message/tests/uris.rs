//! URIs: RFC 3261 §19.1, RFC 3966.

use sip_message::{Aor, Host, ParseErrorKind, Scheme, Uri};

fn uri(text: &str) -> Uri {
    Uri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// MSG-035 and MSG-036: Every example of RFC 3261 §19.1.4.
#[test]
fn equivalent_uris_are_equivalent() {
    let sets: [&[&str]; 4] = [
        &[
            "sip:%61lice@atlanta.com;transport=TCP",
            "sip:alice@AtLanTa.CoM;Transport=tcp",
        ],
        &[
            "sip:carol@chicago.com",
            "sip:carol@chicago.com;newparam=5",
            "sip:carol@chicago.com;security=on",
        ],
        &[
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ],
        &[
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ],
    ];
    for set in sets {
        for left in set {
            for right in set {
                // RFC 3261 says itself that equivalence is not transitive: of two parameters with different names each is ignored.
                assert!(uri(left).equivalent(&uri(right)), "{left} {right}");
            }
        }
    }
}

/// MSG-035, MSG-036, MSG-037 and MSG-038: Every counter-example of RFC 3261 §19.1.4.
#[test]
fn different_uris_are_different() {
    let pairs = [
        (
            "SIP:ALICE@AtLanTa.CoM;Transport=udp",
            "sip:alice@AtLanTa.CoM;Transport=UDP",
        ),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        (
            "sip:bob@biloxi.com",
            "sip:bob@biloxi.com:6000;transport=tcp",
        ),
        (
            "sip:carol@chicago.com",
            "sip:carol@chicago.com?Subject=next%20meeting",
        ),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        (
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;security=off",
        ),
        ("sip:alice@a.com", "sips:alice@a.com"),
        ("sip:alice@a.com;maddr=1.2.3.4", "sip:alice@a.com"),
        ("sip:alice@a.com;user=phone", "sip:alice@a.com"),
        ("sip:a%3Bb@a.com", "sip:a;b@a.com"),
        ("sip:alice:one@a.com", "sip:alice:two@a.com"),
    ];
    for (left, right) in pairs {
        assert!(!uri(left).equivalent(&uri(right)), "{left} {right}");
        assert!(!uri(right).equivalent(&uri(left)), "{right} {left}");
    }
}

#[test]
fn addresses_compare_as_addresses() {
    assert!(uri("sip:a@[2001:DB8::1]").equivalent(&uri("sip:a@[2001:db8:0::1]")));
    assert!(!uri("sip:a@[2001:db8::1]").equivalent(&uri("sip:a@[2001:db8::2]")));
}

/// MSG-041.
#[test]
fn telephone_numbers_compare_without_separators() {
    assert!(uri("tel:+1-201-555-0123").equivalent(&uri("TEL:+1(201)5550123")));
    assert!(!uri("tel:+12015550123").equivalent(&uri("tel:+12015550123;ext=1")));
    assert!(
        uri("tel:7042;phone-context=example.com;isub=1")
            .equivalent(&uri("tel:7042;isub=1;phone-context=EXAMPLE.com"))
    );
    assert!(!uri("tel:+12015550123").equivalent(&uri("sip:+12015550123@h;user=phone")));
}

#[test]
fn keys_of_addresses_of_record_are_canonical() {
    let key = |text: &str| Aor::parse(text).expect("is a URI").to_string();
    assert_eq!(
        key("SIP:%61lice:pw@EXAMPLE.com;transport=tcp?a=b"),
        "sip:alice@example.com"
    );
    assert_eq!(
        key("sip:alice@example.com.:5061"),
        "sip:alice@example.com:5061"
    );
    assert_eq!(key("sip:[2001:DB8:0::1]"), "sip:[2001:db8::1]");
    assert_eq!(key("tel:+1-201-555"), "tel:+1201555");
    assert_ne!(key("sip:Alice@h"), key("sip:alice@h"));
    assert_ne!(key("sip:%FF@h"), key("sip:%FE@h"));
}

/// MSG-033.
#[test]
fn every_part_is_found() {
    let full = uri("sips:a;b=c%40:p&w@[2001:db8::1]:65535;lr;x=%41/[1]?A=b&C=");
    assert_eq!(full.scheme(), Scheme::Sips);
    assert_eq!(
        (full.user_raw(), full.user().as_deref()),
        (Some("a;b=c%40"), Some("a;b=c@"))
    );
    assert_eq!(full.password(), Some("p&w"));
    assert_eq!(
        full.host(),
        Host::V6("2001:db8::1".parse().expect("is one"))
    );
    assert_eq!((full.port(), full.lr()), (Some(65_535), true));
    assert_eq!(full.param("X").flatten().as_deref(), Some("A/[1]"));
    let headers: Vec<_> = full.headers().collect();
    assert_eq!(headers, [("A".into(), "b".into()), ("C".into(), "".into())]);
    let bare = uri("sip:example.com");
    assert_eq!(
        (bare.user(), bare.password(), bare.port()),
        (None, None, None)
    );
    assert_eq!(bare.host_port(), "example.com");
}

#[test]
fn other_schemes_are_kept() {
    for text in [
        "urn:service:sos.fire",
        "http://example.com/a?b#c",
        "mailto:a@b.c",
        "cid:1@2",
        "urn:uuid:f81d4fae-7dec",
    ] {
        let kept = uri(text);
        assert_eq!(
            (kept.scheme(), kept.as_str(), kept.user()),
            (Scheme::Other, text, None)
        );
        assert!(kept.equivalent(&kept));
    }
}

#[test]
fn what_is_no_uri_is_refused() {
    let cases = [
        ("", ParseErrorKind::Empty),
        ("sip", ParseErrorKind::NoScheme),
        ("alice@example.com", ParseErrorKind::NoScheme),
        ("sip:", ParseErrorKind::Host),
        ("sip:@h", ParseErrorKind::Empty),
        ("sip:a@", ParseErrorKind::Host),
        ("sip:a@h:", ParseErrorKind::Malformed),
        ("sip:a@h:65536", ParseErrorKind::OutOfRange),
        ("sip:a@h;", ParseErrorKind::Empty),
        ("sip:a@h;;x", ParseErrorKind::Empty),
        ("sip:a@h;x=", ParseErrorKind::Empty),
        ("sip:a@h?", ParseErrorKind::Empty),
        ("sip:a@b@c", ParseErrorKind::Host),
        ("sip:a%4@h", ParseErrorKind::Escape),
        ("sip:a@h%41", ParseErrorKind::Malformed),
        ("sip:a@[::g]", ParseErrorKind::Host),
        ("sip:a@[::1", ParseErrorKind::Host),
        ("sip:a@a..b", ParseErrorKind::Host),
        ("sip:a b@h", ParseErrorKind::Malformed),
        ("sip:a@h c", ParseErrorKind::Malformed),
        ("sip:é@h", ParseErrorKind::Malformed),
        ("tel:", ParseErrorKind::Empty),
        ("tel:+", ParseErrorKind::Empty),
        ("tel:+x", ParseErrorKind::Empty),
        ("1a:b", ParseErrorKind::NoScheme),
        ("a b:c", ParseErrorKind::NoScheme),
    ];
    for (text, kind) in cases {
        match Uri::parse(text) {
            Ok(uri) => panic!("{text} was read as {uri:?}"),
            Err(error) if text != "sip:a@b@c" => assert_eq!(error.kind(), kind, "{text}"),
            Err(_) => {}
        }
    }
}

#[test]
fn edits_touch_one_part() {
    let full = uri("sip:a:p@h:5061;x=1;lr;Y?S=t");
    assert_eq!(
        full.with_param("X", "2").as_str(),
        "sip:a:p@h:5061;X=2;lr;Y?S=t"
    );
    assert_eq!(
        full.with_param("z", None).as_str(),
        "sip:a:p@h:5061;x=1;lr;Y;z?S=t"
    );
    assert_eq!(
        full.with_param("z", "a;b c").as_str(),
        "sip:a:p@h:5061;x=1;lr;Y;z=a%3Bb%20c?S=t"
    );
    let mut edited = full.clone();
    edited.remove_param("LR");
    assert_eq!(edited.as_str(), "sip:a:p@h:5061;x=1;Y?S=t");
    assert_eq!(full.without_params().as_str(), "sip:a:p@h:5061");
    assert_eq!(full.without_headers().as_str(), "sip:a:p@h:5061;x=1;lr;Y");
    assert_eq!(full.with_port(None).as_str(), "sip:a:p@h;x=1;lr;Y?S=t");
    let secure = full.with_scheme(Scheme::Sips);
    assert_eq!(secure.as_str(), "sips:a:p@h:5061;x=1;lr;Y?S=t");
    assert!(secure.is_sips());
    assert_eq!(secure.with_scheme(Scheme::Sip), full);
    assert_eq!(secure.with_scheme(Scheme::Tel), secure);
    assert_eq!(
        full.with_user(Some("b?c")).as_str(),
        "sip:b%3Fc@h:5061;x=1;lr;Y?S=t"
    );
    assert_eq!(full.with_user(None).as_str(), "sip:h:5061;x=1;lr;Y?S=t");
    let host = Host::parse("2001:db8::1").expect("is one");
    assert_eq!(
        full.with_host(&host, Some(1)).as_str(),
        "sip:a:p@[2001:db8::1]:1;x=1;lr;Y?S=t"
    );
    assert_eq!(
        Uri::new(Scheme::Sips, Some("a"), &host, None).as_str(),
        "sips:a@[2001:db8::1]"
    );
}

/// MSG-041.
#[test]
fn telephone_numbers_become_sip_uris_and_back() {
    let tel = uri("tel:+1-201-555-0123;ext=7");
    let sip = tel
        .to_sip(&Host::parse("gw.example.com").expect("is one"))
        .expect("is a number");
    assert_eq!(
        sip.as_str(),
        "sip:+1-201-555-0123;ext=7@gw.example.com;user=phone"
    );
    assert_eq!(sip.to_tel().expect("is a number"), tel);
    assert_eq!(uri("sip:alice@example.com").to_tel(), None);
    assert_eq!(
        uri("sip:+12015550123@h")
            .to_tel()
            .map(|tel| tel.to_string())
            .as_deref(),
        None
    );
    assert!(
        uri("sip:alice@h")
            .to_sip(&Host::parse("h").expect("is one"))
            .is_none()
    );
}
