//! Listeners with TLS of their own.

use super::*;
use crate::{Listener, ListenerId};

/// A server that is `one.example` at 5061 for everybody, and has `own` for itself at 5062; and the second listener.
fn pair(client: Tls, common: Tls, own: Tls) -> (Pair, ListenerId) {
    let mut pair = Pair::new(client, common);
    let second = Listener::tls(at(SERVER, 5062), own);
    let id = bind(&mut pair.server, pair.now, second);
    (pair, id)
}

fn at_port(name: &str, port: u16) -> Target {
    Target {
        address: at(SERVER, port),
        ..to(name)
    }
}

/// Connects to a port as to `name`; who the server has proved to be, or why there is no connection.
fn connect(pair: &mut Pair, name: &str, port: u16) -> Result<Vec<String>, CloseReason> {
    let target = at_port(name, port);
    let flow = pair.client.flow_to(pair.now, &target).unwrap();
    pair.run();
    if let Some(reason) = pair.client_closed() {
        return Err(reason);
    }
    let identity = pair.client.peer_identity(&flow).unwrap();
    pair.client.close(&flow);
    pair.run();
    Ok(identity.domains().map(str::to_owned).collect())
}

const WRONG_NAME: Result<Vec<String>, CloseReason> =
    Err(CloseReason::Handshake(HandshakeFailure::WrongName));
/// RFC 8446 §6.2: certificate_required
const CERTIFICATE_REQUIRED: Result<Vec<String>, CloseReason> = Err(CloseReason::Alert(116));

#[test]
fn each_listener_shows_its_certificate_and_asks_its_clients() {
    let authority = Authority::new("authority");
    let pem = authority.pem();
    let one = serving(&authority.certify(&["one.example"]));
    let two = serving(&authority.certify(&["two.example"]));
    let two = two.require_client_certificates(pem.as_bytes()).unwrap();
    let known = authority
        .certify(&["client.example"])
        .shown(believing(&authority));

    let (mut stranger, _) = pair(believing(&authority), one.clone(), two.clone());
    let one_example = Ok(vec!["one.example".to_owned()]);
    assert_eq!(connect(&mut stranger, "one.example", 5061), one_example);
    assert_eq!(connect(&mut stranger, "two.example", 5061), WRONG_NAME);
    assert_eq!(connect(&mut stranger, "one.example", 5062), WRONG_NAME);
    assert_eq!(
        connect(&mut stranger, "two.example", 5062),
        CERTIFICATE_REQUIRED
    );

    let (mut known, _) = pair(known, one, two);
    assert_eq!(connect(&mut known, "one.example", 5061), one_example);
    let two_example = Ok(vec!["two.example".to_owned()]);
    assert_eq!(connect(&mut known, "two.example", 5062), two_example);
}

/// Trap 20: connections are looked up by own identity as well.
#[test]
fn a_connection_made_with_one_identity_takes_no_requests_for_another() {
    let authority = Authority::new("authority");
    let identity = |name| authority.certify(&[name]).shown(believing(&authority));
    let (mut pair, second) = pair(
        believing(&authority),
        identity("one.example"),
        identity("two.example"),
    );
    let third = Listener::tls(at(SERVER, 5063), None);
    let third = bind(&mut pair.server, pair.now, third);
    let target = Target {
        address: at(CLIENT, 5061),
        ..to("client.example")
    };
    let mut by = |listener| pair.server.flow_to_by(pair.now, &target, listener);
    let (with_own, with_common) = (by(second).unwrap(), by(third).unwrap());
    assert_ne!(with_own, with_common);
    assert_eq!(by(second), Ok(with_own));
    assert_eq!(
        pair.server.flow_to(pair.now, &target),
        Ok(with_common),
        "the listener that faces the target shares the transport's identity"
    );
    assert_eq!(pair.server.listener_of(&with_own), Some(second));
    pair.server.unlisten(second);
    let gone = pair.server.flow_to_by(pair.now, &target, second);
    assert!(matches!(gone, Err(FlowError::NoListener { .. })));
}

#[test]
fn what_a_listener_does_not_say_is_as_the_transport_says_also_when_that_is_replaced() {
    let authority = Authority::new("authority");
    let common = |name| authority.certify(&[name]).shown(believing(&authority));
    let asking = Tls::new()
        .require_client_certificates(authority.pem().as_bytes())
        .unwrap();
    let client = authority.certify(&["client.example"]);
    let client = client.shown(believing(&authority));
    let (mut known, second) = pair(client, common("one.example"), asking.clone());
    let domains = connect(&mut known, "one.example", 5062);
    assert_eq!(domains, Ok(vec!["one.example".to_owned()]));
    known
        .server
        .set_tls(known.now, &common("new.example"), known.clock);
    let domains = connect(&mut known, "new.example", 5062);
    assert_eq!(domains, Ok(vec!["new.example".to_owned()]));
    // Its own is replaced alone, and forgotten with it.
    known
        .server
        .set_listener_tls(known.now, second, &common("own.example"));
    let domains = connect(&mut known, "own.example", 5062);
    assert_eq!(domains, Ok(vec!["own.example".to_owned()]));
    let domains = connect(&mut known, "new.example", 5061);
    assert_eq!(domains, Ok(vec!["new.example".to_owned()]));

    let (mut stranger, _) = pair(believing(&authority), common("one.example"), asking);
    let answer = connect(&mut stranger, "one.example", 5062);
    assert_eq!(answer, CERTIFICATE_REQUIRED);
    let answer = connect(&mut stranger, "one.example", 5061);
    assert!(answer.is_ok(), "{answer:?}");
}

#[test]
fn a_listener_brings_tls_to_a_transport_that_has_none_if_the_time_is_known() {
    let authority = Authority::new("authority");
    let now = Instant::now();
    let clock = WallClock {
        at: now,
        is: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600),
    };
    let own = Listener::tls(
        at(SERVER, 5061),
        serving(&authority.certify(&["own.example"])),
    );
    let make = |config: TransportConfig| Transport::new(config, Rng::new([1; 32]), now);
    let mut timeless = make(TransportConfig::default());
    timeless.listen(now, own.clone());
    let told = timeless.poll_event();
    let unsupported = std::io::ErrorKind::Unsupported;
    assert!(matches!(told, Some(Event::ListenFailed { reason, .. }) if reason == unsupported));
    assert!(!timeless.speaks(Protocol::Tls));

    let mut server = make(TransportConfig::default().clock(clock));
    assert!(!server.speaks(Protocol::Tls));
    let id = bind(&mut server, now, own);
    assert!(server.speaks(Protocol::Tls));
    let mut pair = Pair::new(
        believing(&authority),
        serving(&authority.certify(&["replaced.example"])),
    );
    pair.server = server;
    assert!(connect(&mut pair, "own.example", 5061).is_ok());
    pair.server.unlisten(id);
    assert!(!pair.server.speaks(Protocol::Tls));
}
