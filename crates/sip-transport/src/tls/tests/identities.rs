//! Whom a certificate makes a peer (RFC 5922).

use super::*;

/// What becomes of a connection to `name` when the server shows `certified`.
fn outcome(
    authority: &Authority,
    certified: &Certified,
    name: &str,
    client: Tls,
) -> Option<CloseReason> {
    let client = client.roots_pem(authority.pem().as_bytes()).unwrap();
    let mut pair = Pair::new(client, serving(certified));
    let flow = pair.connect(name);
    let closed = pair.client_closed();
    assert_eq!(closed.is_none(), pair.client.is_open(&flow));
    closed
}

const WRONG_NAME: Option<CloseReason> = Some(CloseReason::Handshake(HandshakeFailure::WrongName));

/// TRA-020: RFC 5922 §7.1, §7.2, the five certificates.
#[test]
fn tra_020_a_server_is_known_by_its_sip_uri_else_its_dns_name_as_a_whole() {
    let authority = Authority::new("authority");
    let to_example = |names: &[&str]| {
        outcome(
            &authority,
            &authority.certify(names),
            "example.com",
            Tls::new(),
        )
    };
    assert_eq!(to_example(&["sip:example.com"]), None);
    assert_eq!(to_example(&["example.com"]), None);
    assert_eq!(to_example(&["other.example"]), WRONG_NAME);
    let wildcard = authority.certify(&["*.example.com"]);
    let to_sip = |tls: Tls| outcome(&authority, &wildcard, "sip.example.com", tls);
    assert_eq!(to_sip(Tls::new()), WRONG_NAME);
    assert_eq!(to_sip(Tls::new().allow_wildcards()), None);
    let common_name = authority.certify_common_name("example.com");
    assert_eq!(
        outcome(&authority, &common_name, "example.com", Tls::new()),
        WRONG_NAME
    );
}

/// RFC 5922 §7.1: a DNS name counts only where no `sip:` URI does, and a URI with a user names a person.
#[test]
fn a_sip_uri_outweighs_dns_names_unless_it_has_a_user() {
    let authority = Authority::new("authority");
    let to_example = |names: &[&str]| {
        outcome(
            &authority,
            &authority.certify(names),
            "example.com",
            Tls::new(),
        )
    };
    assert_eq!(
        to_example(&["sip:other.example", "example.com"]),
        WRONG_NAME
    );
    assert_eq!(to_example(&["sip:alice@example.com"]), WRONG_NAME);
    assert_eq!(to_example(&["sip:alice@example.com", "example.com"]), None);
    assert_eq!(to_example(&["sips:example.com"]), WRONG_NAME);
    assert_eq!(to_example(&["sip:other.example", "sip:EXAMPLE.com"]), None);
}

/// RFC 5922 §7.2: the whole name, so neither host nor parent.
#[test]
fn a_name_is_compared_as_a_whole() {
    let authority = Authority::new("authority");
    let certified = authority.certify(&["sip.example.com"]);
    let to = |name| outcome(&authority, &certified, name, Tls::new());
    assert_eq!(to("SIP.example.com."), None);
    assert_eq!(to("example.com"), WRONG_NAME);
    assert_eq!(to("a.sip.example.com"), WRONG_NAME);
}

#[test]
fn an_address_is_proved_by_an_address() {
    let authority = Authority::new("authority");
    let to_server =
        |names: &[&str], name| outcome(&authority, &authority.certify(names), name, Tls::new());
    assert_eq!(to_server(&[SERVER], SERVER), None);
    assert_eq!(to_server(&["192.0.2.2"], SERVER), WRONG_NAME);
    assert_eq!(to_server(&["example.com"], SERVER), WRONG_NAME);
    // An address is no name, also where it is written as one.
    assert_eq!(to_server(&["192.0.2.9"], "192.0.2.9"), None);
}

/// TRA-019: RFC 3261 §26.2.1.
#[test]
fn tra_019_a_server_of_an_unknown_authority_fails() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let certified = theirs.certify(&["example.com"]);
    let mut pair = Pair::new(believing(&ours), serving(&certified));
    let flow = pair.client.flow_to(pair.now, &to("example.com")).unwrap();
    let waiting = pair.client.send(pair.now, &flow, "secret".into());
    assert_eq!(waiting, Ok(()));
    pair.run();
    let untrusted = CloseReason::Handshake(HandshakeFailure::Untrusted);
    assert_eq!(pair.client_closed(), Some(untrusted));
    assert!(!pair.client.is_open(&flow));
    // The server was told why, and nobody heard of its connection.
    assert!(pair.server_events.is_empty());
    assert_eq!(pair.server.stats().connections, 0);
    assert_eq!(pair.server.stats().handshakes_failed, 1);
    assert!(
        !pair
            .wire
            .iter()
            .any(|bytes| bytes.windows(6).any(|text| text == b"secret"))
    );
}

#[test]
fn certificates_that_are_out_of_date_fail() {
    let authority = Authority::new("authority");
    let out_of_date = Some(CloseReason::Handshake(HandshakeFailure::OutOfDate));
    for (from, to, expected) in [
        (2020, 2025, out_of_date),
        (2030, 2040, out_of_date),
        (2025, 2027, None),
    ] {
        let certified = authority.certify_for("example.com", from, to);
        let closed = outcome(&authority, &certified, "example.com", Tls::new());
        assert_eq!(closed, expected, "{from}-{to}");
    }
}

#[test]
fn whoever_wants_it_dangerous_believes_anyone_but_knows_nobody() {
    let theirs = Authority::new("theirs");
    let certified = theirs.certify(&["other.example"]);
    let client = Tls::new().dangerous().accept_any_certificate();
    let mut pair = Pair::new(client, serving(&certified));
    let flow = pair.connect("example.com");
    assert_eq!(pair.client_closed(), None);
    assert_eq!(pair.client.peer_identity(&flow), None);
}

#[test]
fn a_name_that_no_certificate_can_prove_has_no_flow() {
    let authority = Authority::new("authority");
    let certified = authority.certify(&["example.com"]);
    let mut pair = Pair::new(believing(&authority), serving(&certified));
    let refused = pair.client.flow_to(pair.now, &to("a b"));
    assert_eq!(refused, Err(FlowError::Unprovable("a b".to_owned())));
}

#[test]
fn the_server_shows_the_certificate_that_is_asked_for_by_name() {
    let authority = Authority::new("authority");
    let first = authority.certify(&["sip:first.example"]);
    let second = authority.certify(&["second.example"]);
    let third = authority.certify(&["*.third.example"]);
    let server = third.shown(second.shown(first.shown(Tls::new())));
    let client = believing(&authority).allow_wildcards();
    let mut pair = Pair::new(client, server);
    for name in ["first.example", "second.example", "sip.third.example"] {
        let flow = pair.connect(name);
        assert_eq!(pair.client_closed(), None, "{name}");
        let identity = pair.client.peer_identity(&flow).unwrap();
        assert!(identity.speaks_for(&sip_message::Host::parse(name).unwrap()));
        assert_eq!(identity.domains().count(), 1);
    }
    // For another name there is the first, which the client does not believe.
    pair.connect("fourth.example");
    assert_eq!(pair.client_closed(), WRONG_NAME);
}

/// Trap 20: a connection is found by what its peer has proved, not by its address alone.
#[test]
fn a_connection_is_found_by_what_its_peer_has_proved() {
    let authority = Authority::new("authority");
    let certified = authority.certify(&["sip:one.example", "sip:two.example"]);
    let mut pair = Pair::new(believing(&authority), serving(&certified));
    let one = pair.connect("one.example");
    assert_eq!(pair.connect("ONE.example"), one);
    let two = pair.connect("two.example");
    assert_ne!(two, one);
    assert_eq!(pair.opened.len(), 2);
}

/// A Contact or a Record-Route names an address: within a dialog it means who has proved a name there before.
#[test]
fn an_address_within_a_dialog_is_who_has_proved_a_name_there() {
    let authority = Authority::new("authority");
    let certified = authority.certify(&["sip:example.com"]);
    let mut pair = Pair::new(believing(&authority), serving(&certified));
    let by_address = to(SERVER);
    assert_eq!(pair.client.flow_within_dialog(&by_address), None);
    let flow = pair.connect("example.com");
    assert_eq!(pair.client.flow_within_dialog(&by_address), Some(flow));
    let elsewhere = Target {
        address: at(SERVER, 5062),
        ..by_address.clone()
    };
    assert_eq!(pair.client.flow_within_dialog(&elsewhere), None);
    assert_eq!(pair.client.flow_within_dialog(&to("other.example")), None);
    // Outside dialogs an address is proved like a name.
    assert_ne!(pair.connect(SERVER), flow);
    assert_eq!(pair.client_closed(), WRONG_NAME);
    pair.client
        .set_tls(pair.now, &believing(&authority), pair.clock);
    assert_eq!(
        pair.client.flow_within_dialog(&by_address),
        None,
        "old trust"
    );
    pair.client.close(&flow);
    assert_eq!(pair.client.flow_within_dialog(&by_address), None);
    // However many have ended, the next is found.
    for _ in 0..20 {
        let flow = pair.connect("example.com");
        assert_eq!(pair.client.flow_within_dialog(&by_address), Some(flow));
        pair.client.close(&flow);
        pair.run();
    }
}
