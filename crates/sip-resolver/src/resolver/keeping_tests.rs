//! What is kept, for how long, what led to it, and what telephone numbers lead to.
#![allow(clippy::disallowed_methods)] // a test needs an instant to start from

use super::*;
use crate::{Naptr, Zone};

fn resolver_with(config: ResolverConfig) -> (Resolver, Instant) {
    let now = Instant::now();
    let config = config.families(Families::V4);
    (Resolver::new(config, Rng::new([3; 32]), now), now)
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn start(resolver: &mut Resolver, now: Instant) {
    let query = Query::host("pbx.example", Some(5060), None).expect("is a host");
    resolver.start(now, query);
}

fn address(last: u8, ttl: u64) -> Result<Answer, LookupError> {
    Ok(Answer::addresses([[192, 0, 2, last].into()], seconds(ttl)))
}

fn asked(resolver: &mut Resolver) -> QuestionId {
    match resolver.poll_event() {
        Some(Event::Question { id, .. }) => id,
        other => panic!("not a question: {other:?}"),
    }
}

fn resolved(resolver: &mut Resolver) -> String {
    match resolver.poll_event() {
        Some(Event::Resolved { targets, .. }) => targets[0].address.to_string(),
        other => panic!("not resolved: {other:?}"),
    }
}

#[test]
fn a_name_in_use_is_asked_for_again_before_its_answer_ends() {
    let (mut resolver, now) = resolver_with(ResolverConfig::new().prefetch(true));
    start(&mut resolver, now);
    let question = asked(&mut resolver);
    resolver.provide_answer(now, question, address(1, 100));
    assert_eq!(resolved(&mut resolver), "192.0.2.1:5060");

    start(&mut resolver, now + seconds(89));
    assert_eq!(resolved(&mut resolver), "192.0.2.1:5060");
    assert_eq!(resolver.poll_event(), None);

    for _ in 0..2 {
        start(&mut resolver, now + seconds(91));
    }
    let question = asked(&mut resolver);
    for _ in 0..2 {
        assert_eq!(resolved(&mut resolver), "192.0.2.1:5060");
    }
    assert_eq!(resolver.poll_event(), None, "once is enough");
    resolver.provide_answer(now + seconds(92), question, address(2, 100));
    start(&mut resolver, now + seconds(101));
    assert_eq!(resolved(&mut resolver), "192.0.2.2:5060");
    assert_eq!(resolver.stats().questions, 2);
}

/// RFC 8767.
#[test]
fn an_old_answer_serves_while_the_dns_is_dead_and_not_for_ever() {
    let (mut resolver, now) = resolver_with(ResolverConfig::new().serve_stale(seconds(600)));
    start(&mut resolver, now);
    let question = asked(&mut resolver);
    resolver.provide_answer(now, question, address(1, 60));
    assert_eq!(resolved(&mut resolver), "192.0.2.1:5060");

    let later = now + seconds(100);
    start(&mut resolver, later);
    let question = asked(&mut resolver);
    resolver.provide_answer(later, question, Err(LookupError::TimedOut));
    assert_eq!(resolved(&mut resolver), "192.0.2.1:5060");
    start(&mut resolver, later + seconds(29));
    assert_eq!(resolved(&mut resolver), "192.0.2.1:5060");
    assert_eq!(
        resolver.stats().stale,
        1,
        "the DNS is left alone for a while"
    );

    let much_later = now + seconds(661);
    start(&mut resolver, much_later);
    let question = asked(&mut resolver);
    resolver.provide_answer(much_later, question, Err(LookupError::ServerFailure));
    let Some(Event::Failed { error, .. }) = resolver.poll_event() else {
        panic!("it is over")
    };
    assert!(matches!(error, ResolveError::Unanswered { .. }));
}

#[test]
fn a_name_that_is_gone_is_not_served_from_old_answers() {
    let (mut resolver, now) = resolver_with(ResolverConfig::new().serve_stale(seconds(600)));
    start(&mut resolver, now);
    let question = asked(&mut resolver);
    resolver.provide_answer(now, question, address(1, 60));
    resolved(&mut resolver);
    let later = now + seconds(61);
    start(&mut resolver, later);
    let question = asked(&mut resolver);
    resolver.provide_answer(later, question, Err(LookupError::NoSuchName { ttl: None }));
    assert!(matches!(resolver.poll_event(), Some(Event::Failed { .. })));
}

#[test]
fn what_is_kept_can_be_seen_and_dropped() {
    let (mut resolver, now) = resolver_with(ResolverConfig::new());
    start(&mut resolver, now);
    let question = asked(&mut resolver);
    resolver.provide_answer(now, question, address(1, 60));
    resolved(&mut resolver);
    let kept: Vec<Cached> = resolver.cached(now + seconds(20)).collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].question.to_string(), "pbx.example A");
    assert_eq!(
        (&kept[0].outcome, kept[0].remaining),
        (&address(1, 60), seconds(40))
    );
    assert_eq!(resolver.cached(now + seconds(60)).count(), 0);

    resolver.flush_name("other.example");
    assert_eq!(resolver.stats().cached, 1);
    resolver.flush_name("PBX.example.");
    assert_eq!(resolver.stats().cached, 0);
    start(&mut resolver, now);
    asked(&mut resolver);
}

#[test]
fn a_target_tells_which_records_led_to_it() {
    let zone = Zone::new()
        .naptr("example.com", 0, 0, "SIP+D2U", "_sip._udp.example.com")
        .service("_sip._udp.example.com", 0, 5, 5070, "one.example.com")
        .address("one.example.com", [192, 0, 2, 1]);
    let (mut resolver, now) = resolver_with(ResolverConfig::new().zone(zone).origins(true));
    resolver.start(
        now,
        Query::host("example.com", None, None).expect("is a host"),
    );
    let Some(Event::Resolved { targets, .. }) = resolver.poll_event() else {
        panic!("the zone knows")
    };
    let path: Vec<String> = targets[0]
        .origins
        .iter()
        .map(|origin| origin.question.to_string())
        .collect();
    let expected = [
        "example.com NAPTR",
        "_sip._udp.example.com SRV",
        "one.example.com A",
    ];
    assert_eq!(path, expected);
    assert_eq!(
        targets[0].origins[2].record,
        Record::Address([192, 0, 2, 1].into())
    );
}

/// RFC 6116.
#[test]
fn a_telephone_number_leads_to_the_servers_of_its_uri() {
    let rule = Record::Naptr(Naptr {
        order: 100,
        preference: 10,
        flags: "u".to_owned(),
        services: "E2U+sip".to_owned(),
        regexp: "!^\\+44(.*)$!sip:\\1@gw.example.com:5070!".to_owned(),
        replacement: ".".to_owned(),
    });
    let zone = Zone::new()
        .domain("e164.example")
        .record("8.4.1.0.6.4.9.7.0.2.4.4.e164.example", rule)
        .address("gw.example.com", [192, 0, 2, 7]);
    let config = ResolverConfig::new().zone(zone);
    let query = |number: &str| {
        let uri = Uri::parse(number).expect("is a URI");
        Query::uri(&uri).expect("is a global number")
    };
    let (mut resolver, now) = resolver_with(config.clone().enum_suffix("e164.example"));
    resolver.start(now, query("tel:+44-20-7946-0148"));
    let Some(Event::Resolved { targets, .. }) = resolver.poll_event() else {
        panic!("the zone knows")
    };
    assert_eq!(targets[0].address.to_string(), "192.0.2.7:5070");
    assert_eq!(targets[0].name, "gw.example.com");
    let uri = targets[0].uri.as_ref().map(ToString::to_string);
    assert_eq!(uri.as_deref(), Some("sip:2079460148@gw.example.com:5070"));

    resolver.start(now, query("tel:+15551234"));
    let number = "+15551234".to_owned();
    let error = ResolveError::NoSuchNumber { number };
    assert!(
        matches!(resolver.poll_event(), Some(Event::Failed { error: found, .. }) if found == error)
    );

    let (mut resolver, now) = resolver_with(config);
    resolver.start(now, query("tel:+15551234"));
    assert!(
        matches!(resolver.poll_event(), Some(Event::Failed { error: found, .. }) if found == error)
    );
}

#[test]
fn a_dead_dns_is_not_taken_for_an_unknown_number() {
    let (mut resolver, now) = resolver_with(ResolverConfig::new().enum_suffix("e164.arpa"));
    let uri = Uri::parse("tel:+1555").expect("is a URI");
    resolver.start(now, Query::uri(&uri).expect("is a global number"));
    let question = asked(&mut resolver);
    resolver.provide_answer(now, question, Err(LookupError::TimedOut));
    let Some(Event::Failed { error, .. }) = resolver.poll_event() else {
        panic!("it is over")
    };
    assert_eq!(
        error.to_string(),
        "5.5.5.1.e164.arpa NAPTR: no answer in time"
    );
}
