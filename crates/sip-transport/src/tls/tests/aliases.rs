//! Requests back over a connection that the peer opened (RFC 5923).

use super::*;

/// A client with a certificate for `client.example`, or with none, at a server that asks for one.
fn pair(client_certificate: bool) -> Pair {
    let authority = Authority::new("authority");
    let server = serving(&authority.certify(&["example.com"]));
    let server = server.request_client_certificates(authority.pem().as_bytes());
    let server = server.unwrap().roots_pem(authority.pem().as_bytes());
    let mut client = believing(&authority);
    if client_certificate {
        client = authority.certify(&["sip:client.example"]).shown(client);
    }
    Pair::new(client, server.unwrap())
}

/// The client sends a request, and the server one to where the Via says that the client listens.
fn there_and_back(pair: &mut Pair, via_params: &str, name: &str, port: u16) -> (Flow, Flow) {
    let flow = pair.connect("example.com");
    pair.request(&flow, via_params);
    let accepted = pair.requested().unwrap();
    let back = back_to(pair, name, port);
    (accepted, back)
}

fn back_to(pair: &mut Pair, name: &str, port: u16) -> Flow {
    let target = Target {
        protocol: Protocol::Tls,
        address: at(CLIENT, port),
        name: Some(name.to_owned()),
    };
    pair.server.flow_to(pair.now, &target).unwrap()
}

/// TRA-029: RFC 5923 §8.2.
#[test]
fn tra_029_an_alias_with_a_certificate_leads_back_over_the_same_connection() {
    let mut same = pair(true);
    let (accepted, back) = there_and_back(&mut same, ";alias", "Client.example", 5061);
    assert_eq!(back, accepted);
    // It is the one that is used again, while it is open.
    assert_eq!(back_to(&mut same, "client.example", 5061), accepted);
    same.server.close(&accepted);
    assert_ne!(back_to(&mut same, "client.example", 5061), accepted);

    let (accepted, back) = there_and_back(&mut pair(true), "", "client.example", 5061);
    assert_ne!(back, accepted, "without alias");
}

/// RFC 5923 §9.2, §9.3: the identity has to be proved, and to be that of the URI; the port is that of the Via.
#[test]
fn an_alias_leads_back_only_to_whom_was_proved() {
    let (accepted, back) = there_and_back(&mut pair(false), ";alias", "client.example", 5061);
    assert_ne!(back, accepted, "without a certificate");
    let (accepted, back) = there_and_back(&mut pair(true), ";alias", "other.example", 5061);
    assert_ne!(back, accepted, "somebody else");
    let (accepted, back) = there_and_back(&mut pair(true), ";alias", "client.example", 5062);
    assert_ne!(back, accepted, "another port");
}

#[test]
fn an_alias_of_old_trust_leads_nowhere() {
    let new = Authority::new("new");
    let tls = serving(&new.certify(&["example.com"]));
    let mut pair = pair(true);
    let (accepted, back) = there_and_back(&mut pair, ";alias", "client.example", 5061);
    assert_eq!(back, accepted);
    pair.server.set_tls(pair.now, &tls, pair.clock);
    assert_ne!(back_to(&mut pair, "client.example", 5061), accepted);
    // Nor does one that was asked for afterwards on the same connection.
    let mut pair = self::pair(true);
    let flow = pair.connect("example.com");
    pair.server.set_tls(pair.now, &tls, pair.clock);
    pair.request(&flow, ";alias");
    let accepted = pair.requested().unwrap();
    assert_ne!(back_to(&mut pair, "client.example", 5061), accepted);
}

#[test]
fn an_alias_can_be_refused() {
    let authority = Authority::new("authority");
    let pem = authority.pem();
    let server = serving(&authority.certify(&["example.com"]));
    let server = server.require_client_certificates(pem.as_bytes()).unwrap();
    let client = authority
        .certify(&["client.example"])
        .shown(believing(&authority));
    let config = TransportConfig::default().connection_reuse(false);
    let mut pair = Pair::with(config, client, server);
    let (accepted, back) = there_and_back(&mut pair, ";alias", "client.example", 5061);
    assert_ne!(back, accepted);
}

/// RFC 5923 §8.1: who can prove itself and listens asks for it.
#[test]
fn a_client_with_a_certificate_and_a_listener_asks_for_an_alias() {
    let mut pair = pair(true);
    let flow = pair.connect("example.com");
    assert!(!pair.client.via(&flow, "z9hG4bK1").has_param("alias"));
    pair.client.close(&flow);
    pair.run();
    listen(&mut pair.client, pair.now, CLIENT);
    let flow = pair.connect("example.com");
    let via = pair.client.via(&flow, "z9hG4bK1");
    assert_eq!(
        via.to_string(),
        "SIP/2.0/TLS 198.51.100.7:5061;alias;branch=z9hG4bK1"
    );
}
