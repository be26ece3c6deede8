#![allow(clippy::disallowed_methods)] // a test needs an instant to start from

use super::*;
use crate::{Naptr, Record, RecordType, Zone};
use std::time::Duration;

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

#[test]
fn many_callers_for_one_name_make_one_question() {
    let config = ResolverConfig::new().families(Families::V4);
    let (mut resolver, now) = resolver_with(config);
    let ids: Vec<LookupId> = (0..100)
        .map(|_| resolver.start(now, query("pbx.example", Some(5060), None)))
        .collect();
    let questions = asked(&mut resolver);
    assert_eq!(questions.len(), 1);
    resolver.provide_answer(now, questions[0].0, Ok(address("192.0.2.1")));
    let resolved: Vec<LookupId> = std::iter::from_fn(|| resolver.poll_event())
        .map(|event| match event {
            Event::Resolved { id, .. } => id,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(resolved, ids);
    resolver.start(now, query("pbx.example", Some(5070), None));
    assert_eq!(
        outcome(resolver.poll_event()),
        Ok(vec!["UDP 192.0.2.1:5070".into()])
    );
    assert_eq!(
        (resolver.stats().questions, resolver.stats().cache_hits),
        (1, 1)
    );
    assert_eq!(resolver.poll_timeout(), None);
}

#[test]
fn an_answer_without_lifetime_serves_only_who_waits() {
    let (mut resolver, now) = resolver_with(ResolverConfig::new().families(Families::V4));
    for _ in 0..2 {
        resolver.start(now, query("pbx.example", Some(5060), None));
        let questions = asked(&mut resolver);
        let answer = Answer::addresses([[192, 0, 2, 1].into()], Duration::ZERO);
        resolver.provide_answer(now, questions[0].0, Ok(answer));
        assert!(outcome(resolver.poll_event()).is_ok());
    }
    assert_eq!(resolver.stats().questions, 2);
}

#[test]
fn a_name_that_does_not_exist_is_remembered() {
    let (mut resolver, now) = resolver_with(ResolverConfig::new());
    resolver.start(now, query("gone.example", None, None));
    let mut rounds = Vec::new();
    loop {
        let questions = asked_or_ended(&mut resolver);
        let Ok(questions) = questions else { break };
        rounds.push(
            questions
                .iter()
                .map(|(_, text)| text.clone())
                .collect::<Vec<_>>(),
        );
        for (id, _) in questions {
            let ttl = Some(Duration::from_secs(60));
            resolver.provide_answer(now, id, Err(LookupError::NoSuchName { ttl }));
        }
    }
    assert_eq!(
        rounds,
        [
            vec!["gone.example NAPTR"],
            vec!["_sip._udp.gone.example SRV", "_sip._tcp.gone.example SRV"],
            vec!["gone.example A", "gone.example AAAA"],
        ]
    );
    let later = now + Duration::from_secs(59);
    resolver.start(later, query("gone.example", None, None));
    assert_eq!(
        outcome(resolver.poll_event()),
        Err(ResolveError::NoSuchName {
            name: "gone.example".into()
        })
    );
}

/// The questions that are asked now, or the failure of the lookup.
fn asked_or_ended(resolver: &mut Resolver) -> Result<Vec<(QuestionId, String)>, ResolveError> {
    let mut questions = Vec::new();
    while let Some(event) = resolver.poll_event() {
        match event {
            Event::Question { id, question } => questions.push((id, question.to_string())),
            Event::Failed { error, .. } => return Err(error),
            Event::Resolved { targets, .. } => panic!("{targets:?}"),
        }
    }
    Ok(questions)
}

/// RFC 8305 §3: the slow family is waited for, but not for long.
#[test]
fn a_silent_aaaa_question_costs_fifty_milliseconds() {
    let (mut resolver, now) = resolver_with(ResolverConfig::new());
    resolver.start(now, query("pbx.example", Some(5060), None));
    let questions = asked(&mut resolver);
    let texts: Vec<&str> = questions.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["pbx.example A", "pbx.example AAAA"]);
    let answered = now + Duration::from_millis(10);
    resolver.provide_answer(answered, questions[0].0, Ok(address("192.0.2.1")));
    assert_eq!(resolver.poll_event(), None);
    let at = resolver.poll_timeout().expect("it waits");
    resolver.handle_timeout(answered + Duration::from_millis(49));
    assert_eq!(resolver.poll_event(), None);
    assert!(at <= answered + Duration::from_millis(50));
    resolver.handle_timeout(answered + Duration::from_millis(50));
    assert_eq!(
        outcome(resolver.poll_event()),
        Ok(vec!["UDP 192.0.2.1:5060".into()])
    );
    // The late answer still serves the next one.
    resolver.provide_answer(now, questions[1].0, Ok(address("2001:db8::1")));
    resolver.start(answered, query("pbx.example", Some(5060), None));
    assert_eq!(
        outcome(resolver.poll_event()),
        Ok(vec![
            "UDP [2001:db8::1]:5060".into(),
            "UDP 192.0.2.1:5060".into()
        ])
    );
    assert_eq!(resolver.poll_timeout(), None);
}

/// A server that comes first must not be passed over because another one's address is known sooner.
#[test]
fn no_server_is_left_out_while_its_addresses_are_open() {
    let (mut resolver, now) = resolver_with(ResolverConfig::new().families(Families::V4));
    resolver.start(now, query("example.com", None, Some(Protocol::Udp)));
    let services = asked(&mut resolver);
    let server = |priority, target: &str| {
        Record::Srv(crate::Srv {
            priority,
            weight: 0,
            port: 5060,
            target: target.into(),
        })
    };
    let servers = [server(0, "one.example.com"), server(1, "two.example.com")];
    let answer = Answer::new(servers, Duration::from_secs(60));
    resolver.provide_answer(now, services[0].0, Ok(answer));
    let hosts = asked(&mut resolver);
    assert_eq!(hosts[0].1, "one.example.com A");
    resolver.provide_answer(now, hosts[1].0, Ok(address("192.0.2.2")));
    resolver.handle_timeout(now + Duration::from_secs(1));
    assert_eq!(resolver.poll_event(), None);
    resolver.provide_answer(now, hosts[0].0, Ok(address("192.0.2.1")));
    assert_eq!(
        outcome(resolver.poll_event()),
        Ok(vec![
            "UDP 192.0.2.1:5060".into(),
            "UDP 192.0.2.2:5060".into()
        ])
    );
}

#[test]
fn at_the_deadline_what_is_known_is_used() {
    let (mut resolver, now) = resolver_with(ResolverConfig::new().families(Families::V4));
    resolver.start(now, query("silent.example", None, None));
    resolver.start(now, query("example.com", None, Some(Protocol::Udp)));
    let questions = asked(&mut resolver);
    let servers = ["one.example.com", "two.example.com"].map(|target| {
        Record::Srv(crate::Srv {
            priority: 0,
            weight: 0,
            port: 5060,
            target: target.into(),
        })
    });
    let answer = Answer::new(servers, Duration::from_secs(60));
    resolver.provide_answer(now, questions[1].0, Ok(answer));
    let hosts = asked(&mut resolver);
    resolver.provide_answer(now, hosts[1].0, Ok(address("192.0.2.2")));
    let end = now + Duration::from_secs(12);
    resolver.handle_timeout(end);
    assert_eq!(outcome(resolver.poll_event()), Err(ResolveError::TimedOut));
    assert_eq!(
        outcome(resolver.poll_event()),
        Ok(vec!["UDP 192.0.2.2:5060".into()])
    );
    // Questions that nobody answers and nobody waits for do not stay.
    resolver.handle_timeout(end + Duration::from_secs(12));
    assert_eq!(resolver.poll_timeout(), None);
    assert_eq!(resolver.stats().open_questions, 0);
}

#[test]
fn a_dns_failure_is_not_taken_for_absence() {
    let (mut resolver, now) = resolver_with(ResolverConfig::new());
    resolver.start(now, query("pbx.example", Some(5060), None));
    let questions = asked(&mut resolver);
    resolver.provide_answer(now, questions[0].0, Err(LookupError::ServerFailure));
    resolver.provide_answer(now, questions[1].0, NOTHING);
    assert_eq!(
        outcome(resolver.poll_event()),
        Err(ResolveError::Unanswered {
            question: Question::of("pbx.example", RecordType::A),
            error: LookupError::ServerFailure,
        })
    );
}

/// What may go wrong with a name, each an outcome of its own, none of them later than the deadline.
#[test]
fn each_failure_of_a_name_is_an_outcome_of_its_own() {
    let ttl = None;
    let texts: Vec<String> = [
        LookupError::NoSuchName { ttl },
        LookupError::NoRecords { ttl },
        LookupError::ServerFailure,
        LookupError::Refused,
        LookupError::TimedOut,
        LookupError::Malformed,
        LookupError::Truncated,
        LookupError::ChainTooLong,
        LookupError::NoServer,
        LookupError::TooManyQuestions,
    ]
    .into_iter()
    .map(|failure| {
        let (mut resolver, now) = resolver_with(ResolverConfig::new());
        resolver.start(now, query("pbx.example", Some(5060), None));
        for (id, _) in asked(&mut resolver) {
            resolver.provide_answer(now, id, Err(failure));
        }
        let failed = outcome(resolver.poll_event());
        failed.expect_err("there is no answer").to_string()
    })
    .collect();
    assert_eq!(
        texts,
        [
            "pbx.example does not exist",
            "pbx.example has no address",
            "pbx.example AAAA: server failure",
            "pbx.example AAAA: refused by the server",
            "pbx.example AAAA: no answer in time",
            "pbx.example AAAA: malformed answer",
            "pbx.example AAAA: truncated answer",
            "pbx.example AAAA: too long a chain of aliases",
            "pbx.example AAAA: no name server",
            "pbx.example AAAA: too many open questions",
        ]
    );
    let (mut resolver, now) = resolver_with(ResolverConfig::new());
    resolver.start(now, query("pbx.example", Some(5060), None));
    asked(&mut resolver);
    resolver.handle_timeout(now + Duration::from_secs(12));
    let late = outcome(resolver.poll_event()).expect_err("nobody answers");
    assert_eq!(late, ResolveError::TimedOut);
}

/// A resolver on the way that cannot do NAPTR or SRV must not keep anyone from calling.
#[test]
fn failing_service_questions_do_not_hide_the_host() {
    let (mut resolver, now) = resolver_with(ResolverConfig::new().families(Families::V4));
    resolver.start(now, query("pbx.example", None, None));
    for _ in 0..2 {
        for (id, _) in asked(&mut resolver) {
            resolver.provide_answer(now, id, Err(LookupError::TimedOut));
        }
    }
    let hosts = asked(&mut resolver);
    assert_eq!(hosts[0].1, "pbx.example A");
    resolver.provide_answer(now, hosts[0].0, Ok(address("192.0.2.1")));
    assert_eq!(
        outcome(resolver.poll_event()),
        Ok(vec!["UDP 192.0.2.1:5060".into()])
    );
}

#[test]
fn the_number_of_open_lookups_is_bounded() {
    let (mut resolver, now) = resolver_with(ResolverConfig::new().lookups(2));
    for n in 0..3 {
        resolver.start(now, query(&format!("host{n}.example"), Some(5060), None));
    }
    let last = std::iter::from_fn(|| resolver.poll_event()).last();
    assert_eq!(
        outcome(last),
        Err(ResolveError::TooManyLookups { limit: 2 })
    );
    assert_eq!(resolver.stats().open_lookups, 2);
}

#[test]
fn a_cancelled_lookup_says_nothing_more() {
    let (mut resolver, now) = resolver_with(ResolverConfig::new().families(Families::V4));
    let id = resolver.start(now, query("pbx.example", Some(5060), None));
    let questions = asked(&mut resolver);
    resolver.cancel(id);
    resolver.cancel(id);
    resolver.provide_answer(now, questions[0].0, Ok(address("192.0.2.1")));
    resolver.provide_answer(now, questions[0].0, Ok(address("192.0.2.1")));
    assert_eq!(resolver.poll_event(), None);
    assert_eq!(resolver.poll_timeout(), None);
}

#[test]
fn abandoned_questions_do_not_pile_up() {
    let config = ResolverConfig::new().families(Families::V4).lookups(10);
    let (mut resolver, now) = resolver_with(config);
    for n in 0..1_000 {
        let id = resolver.start(now, query(&format!("host{n}.example"), Some(5060), None));
        resolver.cancel(id);
        while resolver.poll_event().is_some() {}
    }
    assert!(resolver.stats().open_questions <= 10);
    resolver.handle_timeout(now + Duration::from_secs(12));
    assert_eq!(resolver.stats().open_questions, 0);
}

#[test]
fn an_answer_of_thousands_of_records_leads_to_few_questions_and_targets() {
    let (mut resolver, now) = resolver_with(ResolverConfig::new());
    resolver.start(now, query("example.com", None, Some(Protocol::Udp)));
    let services = asked(&mut resolver);
    let servers = (0..5_000).map(|n| {
        Record::Srv(crate::Srv {
            priority: 0,
            weight: 1,
            port: 5060,
            target: format!("host{n}.example.com"),
        })
    });
    resolver.provide_answer(now, services[0].0, Ok(Answer::new(servers, Duration::ZERO)));
    let hosts = asked(&mut resolver);
    assert_eq!(hosts.len(), 32);
    for (id, _) in hosts {
        let addresses = (0..5_000_u32).map(|n| std::net::Ipv4Addr::from(n).into());
        resolver.provide_answer(now, id, Ok(Answer::addresses(addresses, Duration::ZERO)));
    }
    assert_eq!(
        outcome(resolver.poll_event()).map(|targets| targets.len()),
        Ok(32)
    );
}

/// The laws of machines: `handle_timeout` at the named instant moves it, whatever happens in between.
#[test]
fn time_always_moves_on() {
    for seed in 0..50 {
        let mut rng = Rng::new([seed; 32]);
        let mut now = Instant::now();
        let mut resolver = Resolver::new(ResolverConfig::new().lookups(20), rng.clone(), now);
        let (mut lookups, mut questions) = (Vec::new(), Vec::new());
        let (mut started, mut ended) = (0_u32, 0_u32);
        for _ in 0..300 {
            match rng.below(5) {
                0 | 1 => {
                    let host = format!("h{}.example", rng.below(6));
                    let port = (rng.below(2) == 0).then_some(5060);
                    lookups.push(resolver.start(now, query(&host, port, None)));
                    started += 1;
                }
                2 if !questions.is_empty() => {
                    let at = rng.below(questions.len() as u64) as usize;
                    let id = questions.swap_remove(at);
                    let answer = match rng.below(4) {
                        0 => Ok(address("192.0.2.1")),
                        1 => Ok(address("2001:db8::1")),
                        2 => NOTHING,
                        _ => Err(LookupError::TimedOut),
                    };
                    resolver.provide_answer(now, id, answer);
                }
                3 => now += Duration::from_millis(rng.below(4_000)),
                _ => {
                    if let Some(at) = resolver.poll_timeout() {
                        now = now.max(at);
                        resolver.handle_timeout(now);
                        assert!(resolver.poll_timeout().is_none_or(|next| next > now));
                    }
                }
            }
            while let Some(event) = resolver.poll_event() {
                match event {
                    Event::Question { id, .. } => questions.push(id),
                    Event::Resolved { targets, .. } => {
                        assert!(!targets.is_empty());
                        ended += 1;
                    }
                    Event::Failed { .. } => ended += 1,
                }
            }
        }
        for _ in 0..1_000 {
            let Some(at) = resolver.poll_timeout() else {
                break;
            };
            now = now.max(at);
            resolver.handle_timeout(now);
        }
        while let Some(event) = resolver.poll_event() {
            ended += u32::from(!matches!(event, Event::Question { .. }));
        }
        assert_eq!(started, ended, "seed {seed}: every lookup ends once");
        assert_eq!(resolver.poll_timeout(), None);
        assert_eq!(resolver.stats().open_lookups, 0);
        assert_eq!(resolver.stats().open_questions, 0);
    }
}
