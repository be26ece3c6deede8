#![allow(clippy::disallowed_methods)] // a test needs an instant to start from

use super::*;
use crate::{Naptr, Record, RecordType, Zone};
use std::time::Duration;

mod waiting;

fn resolver_with(config: ResolverConfig) -> (Resolver, Instant) {
    let now = Instant::now();
    (Resolver::new(config, Rng::new([3; 32]), now), now)
}

fn query(host: &str, port: Option<u16>, protocol: Option<Protocol>) -> Query {
    Query::host(host, port, protocol).expect("is a host")
}

fn secure(host: &str) -> Query {
    Query {
        secure: true,
        ..query(host, None, None)
    }
}

/// The targets as `UDP 192.0.2.1:5060`, or the failure.
fn outcome(event: Option<Event>) -> Result<Vec<String>, ResolveError> {
    match event {
        Some(Event::Resolved { targets, .. }) => Ok(targets
            .iter()
            .map(|target| format!("{} {}", target.protocol, target.address))
            .collect()),
        Some(Event::Failed { error, .. }) => Err(error),
        other => panic!("the lookup has not ended: {other:?}"),
    }
}

fn located(config: ResolverConfig, query: Query) -> Result<Vec<String>, ResolveError> {
    let (mut resolver, now) = resolver_with(config);
    resolver.start(now, query);
    let outcome = outcome(resolver.poll_event());
    assert_eq!(resolver.poll_timeout(), None, "nothing is left behind");
    outcome
}

/// Every question that is asked now, as text.
fn asked(resolver: &mut Resolver) -> Vec<(QuestionId, String)> {
    std::iter::from_fn(|| match resolver.poll_event() {
        Some(Event::Question { id, question }) => Some((id, question.to_string())),
        Some(other) => panic!("not a question: {other:?}"),
        None => None,
    })
    .collect()
}

fn address(text: &str) -> Answer {
    Answer::addresses(
        [text.parse().expect("is an address")],
        Duration::from_secs(60),
    )
}

const NOTHING: Result<Answer, LookupError> = Err(LookupError::NoRecords { ttl: None });

/// Two servers for UDP and TCP, NAPTR preferring UDP, and the domain's own address.
fn sample() -> Zone {
    Zone::new()
        .domain("example.com")
        .address("server1.example.com", [192, 0, 2, 1])
        .address("server2.example.com", [192, 0, 2, 2])
        .address("example.com", [192, 0, 2, 9])
        .service("_sip._udp.example.com", 0, 5, 5060, "server1.example.com")
        .service("_sip._udp.example.com", 0, 5, 5060, "server2.example.com")
        .service("_sip._tcp.example.com", 0, 5, 5060, "server1.example.com")
        .service("_sip._tcp.example.com", 0, 5, 5060, "server2.example.com")
        .naptr("example.com", 0, 0, "SIP+D2U", "_sip._udp.example.com")
        .naptr("example.com", 1, 0, "SIP+D2T", "_sip._tcp.example.com")
}

/// RFC 3263 §4.1, its own example: the transports in the domain's order, those that we speak.
fn rfc_example() -> Zone {
    Zone::new()
        .address("server1.example.com", [192, 0, 2, 1])
        .address("server2.example.com", [192, 0, 2, 2])
        .naptr("example.com", 50, 50, "SIPS+D2T", "_sips._tcp.example.com")
        .naptr("example.com", 90, 50, "SIP+D2T", "_sip._tcp.example.com")
        .naptr("example.com", 100, 50, "SIP+D2U", "_sip._udp.example.com")
        .naptr("example.com", 40, 50, "SIP+D2S", "_sip._sctp.example.com")
        .service("_sip._tcp.example.com", 0, 1, 5060, "server1.example.com")
        .service("_sip._tcp.example.com", 1, 2, 5070, "server2.example.com")
        .service("_sips._tcp.example.com", 0, 1, 5061, "server2.example.com")
        .service("_sip._udp.example.com", 0, 1, 5060, "server2.example.com")
}

#[test]
fn an_address_needs_no_lookup() {
    let (resolver, _) = resolver_with(ResolverConfig::new());
    let found = resolver.literal(&query("192.0.2.7", None, Some(Protocol::Tcp)));
    let found = found.expect("an address is its own target");
    assert_eq!(
        found.address,
        "192.0.2.7:5060".parse().expect("is an address")
    );
    assert_eq!(
        (found.protocol, found.name.as_str()),
        (Protocol::Tcp, "192.0.2.7")
    );
    assert_eq!(
        resolver.literal(&query("pbx.example", Some(5060), None)),
        None
    );
}

/// RFC 3263 §4.1, §4.2.
#[test]
fn numeric_hosts_need_no_questions() {
    let config = ResolverConfig::new();
    let found = |host, port, protocol| located(config.clone(), query(host, port, protocol));
    assert_eq!(
        found("192.0.2.1", None, None),
        Ok(vec!["UDP 192.0.2.1:5060".into()])
    );
    assert_eq!(
        found("[2001:db8::1]", Some(5070), Some(Protocol::Tcp)),
        Ok(vec!["TCP [2001:db8::1]:5070".into()])
    );
    assert_eq!(
        found("2001:db8::1", None, Some(Protocol::Tls)),
        Ok(vec!["TLS [2001:db8::1]:5061".into()])
    );
    let with_tls = config.protocols([Protocol::Udp, Protocol::Tls]);
    assert_eq!(
        located(with_tls, secure("192.0.2.1")),
        Ok(vec!["TLS 192.0.2.1:5061".into()])
    );
}

#[test]
fn a_host_that_speaks_only_tcp_does_not_send_over_udp() {
    let config = ResolverConfig::new().protocols([Protocol::Tcp]);
    assert_eq!(
        located(config, query("192.0.2.1", None, None)),
        Ok(vec!["TCP 192.0.2.1:5060".into()])
    );
}

/// TRA-023, RFC 3263 §4.1, §4.2: an explicit port means UDP, and A and AAAA only.
#[test]
fn an_explicit_port_skips_services() {
    let config = ResolverConfig::new().zone(sample());
    assert_eq!(
        located(config, query("example.com", Some(5060), None)),
        Ok(vec!["UDP 192.0.2.9:5060".into()])
    );
}

#[test]
fn the_sample_zone_prefers_udp_and_falls_back_to_tcp() {
    let targets = located(
        ResolverConfig::new().zone(sample()),
        query("Example.com", None, None),
    )
    .expect("the zone knows");
    let mut udp = targets[..2].to_vec();
    udp.sort();
    assert_eq!(udp, ["UDP 192.0.2.1:5060", "UDP 192.0.2.2:5060"]);
    assert!(targets[2..].iter().all(|target| target.starts_with("TCP")));
    assert_eq!(targets.len(), 4);
}

/// TRA-023, TRA-024, RFC 3263 §4.1: the domain's preference decides; SIP+D2S is discarded, SIPS+D2T only taken by who speaks TLS, and nothing else by a `sips` URI.
#[test]
fn naptr_records_that_do_not_apply_are_discarded() {
    let config = ResolverConfig::new().zone(rfc_example());
    assert_eq!(
        located(config.clone(), query("example.com", None, None)),
        Ok(vec![
            "TCP 192.0.2.1:5060".into(),
            "TCP 192.0.2.2:5070".into(),
            "UDP 192.0.2.2:5060".into(),
        ])
    );
    let config = config.protocols([Protocol::Udp, Protocol::Tls]);
    assert_eq!(
        located(config.clone(), query("example.com", None, None)),
        Ok(vec![
            "TLS 192.0.2.2:5061".into(),
            "UDP 192.0.2.2:5060".into()
        ])
    );
    assert_eq!(
        located(config, secure("example.com")),
        Ok(vec!["TLS 192.0.2.2:5061".into()])
    );
}

/// RFC 3263 §4.1: flags, service and expression decide whether a NAPTR record is for us.
#[test]
fn odd_naptr_records_are_discarded() {
    let odd = |flags: &str, services: &str, regexp: &str| {
        Record::Naptr(Naptr {
            order: 0,
            preference: 0,
            flags: flags.into(),
            services: services.into(),
            regexp: regexp.into(),
            replacement: "_sip._udp.trap.example".into(),
        })
    };
    let zone = sample()
        .address("server.trap.example", [203, 0, 113, 1])
        .service("_sip._udp.trap.example", 0, 0, 5060, "server.trap.example")
        .record("example.com", odd("u", "SIP+D2U", ""))
        .record("example.com", odd("s", "SIP+D2X", ""))
        .record("example.com", odd("s", "E2U+sip", ""))
        .record(
            "example.com",
            odd("s", "SIP+D2U", "!^.*$!sip:x@trap.example!"),
        );
    let targets = located(
        ResolverConfig::new().zone(zone),
        query("example.com", None, None),
    );
    let targets = targets.expect("the zone knows");
    assert!(
        targets.iter().all(|target| !target.contains("203.0.113")),
        "{targets:?}"
    );
}

/// TRA-025, RFC 3263 §4.2: a transport without a port leads to the SRV records of that transport.
#[test]
fn a_transport_without_port_uses_its_srv_records() {
    let config = ResolverConfig::new().zone(rfc_example());
    assert_eq!(
        located(config, query("example.com", None, Some(Protocol::Tls))),
        Ok(vec!["TLS 192.0.2.2:5061".into()])
    );
}

/// TRA-025, RFC 3263 §4.1 and §4.2: no NAPTR, so SRV of each transport; no SRV, so the host itself.
#[test]
fn a_domain_without_services_is_its_own_server() {
    let zone = Zone::new().address("pbx.example", [192, 0, 2, 7]);
    assert_eq!(
        located(
            ResolverConfig::new().zone(zone),
            query("pbx.example", None, None)
        ),
        Ok(vec!["UDP 192.0.2.7:5060".into()])
    );
    let zone = Zone::new().address("pbx.example", [192, 0, 2, 7]).service(
        "_sip._tcp.pbx.example",
        0,
        0,
        5080,
        "pbx.example",
    );
    assert_eq!(
        located(
            ResolverConfig::new().zone(zone),
            query("pbx.example", None, None)
        ),
        Ok(vec!["TCP 192.0.2.7:5080".into()])
    );
}

/// RFC 2782: target "." and port 0.
#[test]
fn a_service_that_is_decidedly_not_offered_is_not_tried() {
    let zone = Zone::new().address("example.com", [192, 0, 2, 9]).service(
        "_sip._udp.example.com",
        0,
        0,
        0,
        ".",
    );
    assert_eq!(
        located(
            ResolverConfig::new().zone(zone.clone()),
            query("example.com", None, Some(Protocol::Udp))
        ),
        Err(ResolveError::NotOffered {
            name: "example.com".into()
        })
    );
    // Another transport is offered all the same.
    let zone = zone.service("_sip._tcp.example.com", 0, 0, 5060, "example.com");
    assert_eq!(
        located(
            ResolverConfig::new().zone(zone),
            query("example.com", None, None)
        ),
        Ok(vec!["TCP 192.0.2.9:5060".into()])
    );
}

/// RFC 5922 §4: the name to be verified is the host of the URI, never the SRV target.
#[test]
fn targets_keep_the_name_that_was_resolved() {
    let (mut resolver, now) = resolver_with(ResolverConfig::new().zone(sample()));
    resolver.start(now, query("Example.com", None, None));
    let Some(Event::Resolved { targets, .. }) = resolver.poll_event() else {
        panic!("the zone knows");
    };
    assert!(targets.iter().all(|target| target.name == "Example.com"));
}

/// RFC 6761 §6.3 and §6.4.
#[test]
fn localhost_and_invalid_are_never_asked_for() {
    assert_eq!(
        located(ResolverConfig::new(), query("localhost", None, None)),
        Ok(vec!["UDP [::1]:5060".into(), "UDP 127.0.0.1:5060".into()])
    );
    assert_eq!(
        located(
            ResolverConfig::new(),
            query("df7jal23ls0d.invalid", None, None)
        ),
        Err(ResolveError::NeverAsked {
            name: "df7jal23ls0d.invalid".into()
        })
    );
}
