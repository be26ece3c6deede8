//! Answers that are late, that fail, that are many, and that nobody waits for any more.

use super::*;

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
