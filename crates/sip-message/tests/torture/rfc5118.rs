//! RFC 5118: IPv6.

use super::*;

/// MSG-045.
#[test]
fn s4_1_valid_message_with_ipv6_references() {
    let request = accepted(&message!("rfc5118/ipv6-good.sip"));
    assert_eq!(
        request.uri().host(),
        Host::parse("2001:db8::10").expect("is one")
    );
    assert_eq!(request.uri().to_string(), "sip:[2001:db8::10]");
    assert_eq!(
        request.via().expect("is there").host_str(),
        "[2001:db8::9:1]"
    );
    assert_eq!(
        request
            .headers()
            .require::<Contact>()
            .expect("is there")
            .uri()
            .host_str(),
        "[2001:db8::1]"
    );
}

/// MSG-045.
#[test]
fn s4_2_invalid_message_with_ipv6_references() {
    assert_eq!(
        answered_400(&message!("rfc5118/ipv6-bad.sip")).field(),
        "Request-URI"
    );
}

#[test]
fn s4_3_port_specified_ambiguously() {
    let request = accepted(&message!("rfc5118/port-ambiguous.sip"));
    assert_eq!(request.uri().port(), None);
    assert_eq!(request.uri().host_str(), "[2001:db8::10:5070]");
}

#[test]
fn s4_4_port_specified_unambiguously() {
    let request = accepted(&message!("rfc5118/port-unambiguous.sip"));
    assert_eq!(request.uri().port(), Some(5070));
    assert_eq!(request.uri().host_str(), "[2001:db8::10]");
}

/// MSG-044.
#[test]
fn s4_5_ipv6_references_in_via_received_with_and_without_delimiters() {
    let expected: std::net::IpAddr = "2001:db8::9:255".parse().expect("is one");
    let request = accepted(&message!("rfc5118/via-received-param-no-delim.sip"));
    assert_eq!(request.via().expect("is there").received(), Some(expected));
    let request = accepted(&message!("rfc5118/via-received-param-with-delim.sip"));
    let mut via = request.via().expect("is there");
    assert_eq!(via.received(), Some(expected));
    via.set_received(expected);
    assert!(
        via.to_string().contains("received=2001:db8::9:255"),
        "without brackets when sending"
    );
}

#[test]
fn s4_6_sdp_with_ipv6_addresses() {
    let request = accepted(&message!("rfc5118/ipv6-in-sdp.sip"));
    assert!(
        request
            .body()
            .starts_with(b"v=0\r\no=assistant 971731711378798081 0 IN IP6 2001:db8::20\r\n")
    );
}

#[test]
fn s4_7_multiple_ip_addresses_in_sip_header_fields() {
    let request = accepted(&message!("rfc5118/mult-ip-in-header.sip"));
    let vias: Vec<_> = request
        .headers()
        .all::<Via>()
        .map(|via| via.expect("is one").sent_by().into_owned())
        .collect();
    assert_eq!(
        vias,
        ["[2001:db8::9:1]:6050", "192.0.2.1", "[2001:db8::9:255]"]
    );
}

#[test]
fn s4_8_multiple_ip_addresses_in_sdp() {
    accepted(&message!("rfc5118/mult-ip-in-sdp.sip"));
}

#[test]
fn s4_9_ipv4_mapped_ipv6_addresses() {
    let request = accepted(&message!("rfc5118/ipv4-mapped-ipv6.sip"));
    let via = request.via().expect("is there");
    assert_eq!(
        via.host(),
        Host::V6("::ffff:192.0.2.10".parse().expect("is one"))
    );
    let contact = request.headers().require::<Contact>().expect("is there");
    assert_eq!(contact.uri().host_str(), "[::ffff:192.0.2.2]");
}

#[test]
fn s4_10_ipv6_reference_bug_in_rfc_3261_abnf() {
    let expected = Host::V6("2001:db8::192.0.2.1".parse().expect("is one"));
    let correct = accepted(&message!("rfc5118/ipv6-correct-abnf-2-colons.sip"));
    assert_eq!(correct.uri().host(), expected);
    let bug = accepted(&message!("rfc5118/ipv6-bug-abnf-3-colons.sip"));
    assert_eq!(bug.uri().host(), expected);
    assert_eq!(
        bug.uri().with_host(&expected, None).to_string(),
        "sip:user@[2001:db8::c000:201]"
    );
}
