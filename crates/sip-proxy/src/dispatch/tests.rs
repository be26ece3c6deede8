#![allow(clippy::disallowed_methods)] // a test needs an instant to start from

use super::*;
use sip_message::{Method, Tag};
use std::collections::BTreeMap;

fn uri(n: u32) -> Uri {
    Uri::parse(format!("sip:gw{n}.example.net")).unwrap()
}

fn set(algorithm: Algorithm, weights: &[u32]) -> DispatchSet {
    let mut set = DispatchSet::new([4; 32]).algorithm(algorithm);
    for (n, weight) in (1..).zip(weights) {
        set.add(uri(n), *weight).unwrap();
    }
    set
}

/// A request of call `n` from one of ten callers to one of seven callees.
fn request(n: u32) -> Request {
    let callee = format!("sip:callee{}@example.com", n % 7);
    Request::builder(Method::INVITE, Uri::parse(&callee).unwrap())
        .from(
            format!("sip:caller{}@example.com", n % 10).as_str(),
            Tag::new("1").unwrap(),
        )
        .to(callee.as_str())
        .call_id(format!("call-{n}"))
        .cseq(1)
        .build()
        .unwrap()
}

fn picked(set: &mut DispatchSet, now: Instant, request: &Request) -> Vec<String> {
    let targets = set.pick(now, request);
    targets
        .iter()
        .map(|target| target.uri().to_string())
        .collect()
}

/// How often each destination comes first in 10,000 calls.
fn firsts(set: &mut DispatchSet, now: Instant) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for n in 0..10_000 {
        let order = picked(set, now, &request(n));
        assert_eq!(
            order.len(),
            set.destinations.len(),
            "everyone is in the list"
        );
        *counts.entry(order[0].clone()).or_default() += 1;
    }
    counts
}

#[test]
fn lots_and_hashes_share_by_weight() {
    let now = Instant::now();
    for algorithm in [Algorithm::Weighted, Algorithm::HashCallId] {
        let counts = firsts(&mut set(algorithm, &[60, 30, 10, 0]), now);
        let expected = [(1, 6_000.0), (2, 3_000.0), (3, 1_000.0)];
        let chi_square: f64 = expected
            .into_iter()
            .map(|(n, share)| (f64::from(counts[&uri(n).to_string()]) - share).powi(2) / share)
            .sum();
        // The 99.9 % point with two degrees of freedom
        assert!(chi_square < 13.82, "{algorithm:?} {counts:?}");
        assert_eq!(counts.get(&uri(4).to_string()), None);
    }
}

#[test]
fn a_hash_keeps_together_what_belongs_together_and_moves_only_what_must() {
    let now = Instant::now();
    type Key = fn(u32) -> u32;
    let keys: [(Algorithm, Key); 4] = [
        (Algorithm::HashCallId, |n| n),
        (Algorithm::HashFrom, |n| n % 10),
        (Algorithm::HashTo, |n| n % 7),
        (Algorithm::HashRequestUri, |n| n % 7),
    ];
    for (algorithm, key) in keys {
        let mut set = set(algorithm, &[1, 1, 1, 1]);
        let mut places = BTreeMap::new();
        for n in 0..500 {
            let order = picked(&mut set, now, &request(n));
            assert_eq!(
                *places.entry(key(n)).or_insert_with(|| order.clone()),
                order,
                "{algorithm:?}"
            );
        }
        set.remove(&uri(2)).unwrap();
        for n in 0..500 {
            let order = picked(&mut set, now, &request(n));
            let mut before = places[&key(n)].clone();
            before.retain(|other| *other != uri(2).to_string());
            assert_eq!(order, before, "{algorithm:?}");
        }
    }
}

#[test]
fn turns_weights_load_and_latency_decide_who_is_first() {
    let now = Instant::now();
    let counts = firsts(&mut set(Algorithm::RoundRobin, &[1, 1, 1, 1]), now);
    assert!(counts.values().all(|count| *count == 2_500), "{counts:?}");

    let mut by_priority = set(Algorithm::Priority, &[1, 9, 5]);
    let order = [2, 3, 1].map(|n| uri(n).to_string());
    assert_eq!(picked(&mut by_priority, now, &request(1)), order);

    let mut by_load = set(Algorithm::LeastLoad, &[2, 1, 0]);
    for n in 0..300 {
        let first = by_load.pick(now, &request(n)).remove(0);
        by_load.call_started(first.uri());
    }
    let loads = |set: &DispatchSet| {
        set.snapshot(now)
            .iter()
            .map(|one| one.load)
            .collect::<Vec<_>>()
    };
    assert_eq!(loads(&by_load), [200, 100, 0]);
    for _ in 0..200 {
        by_load.call_ended(&uri(1));
        by_load.call_ended(&uri(3));
    }
    assert_eq!(loads(&by_load), [0, 100, 0]);
    assert_eq!(
        picked(&mut by_load, now, &request(1))[0],
        uri(1).to_string()
    );

    let mut by_latency = set(Algorithm::Latency, &[1, 1, 1]);
    for (n, milliseconds) in [(1, 80), (2, 20)] {
        by_latency.note(
            now,
            &uri(n),
            Finding::Answered(Duration::from_millis(milliseconds)),
        );
    }
    let order = [3, 2, 1].map(|n| uri(n).to_string());
    assert_eq!(picked(&mut by_latency, now, &request(1)), order);
}

#[test]
fn thresholds_decide_when_a_probed_destination_is_down_and_up() {
    let now = Instant::now();
    let probe = Probe::options(Duration::from_secs(10))
        .down_after(3)
        .up_after(2);
    let mut set = set(Algorithm::Priority, &[2, 1]).probe(probe);
    let (failed, answered) = (Finding::Failed, Finding::Answered(Duration::ZERO));
    let changes: Vec<Option<DestinationState>> = [
        failed, failed, answered, failed, failed, failed, answered, failed, answered, answered,
    ]
    .into_iter()
    .map(|finding| set.note(now, &uri(1), finding))
    .collect();
    let mut expected = vec![None; 10];
    expected[5] = Some(DestinationState::Down);
    expected[9] = Some(DestinationState::Up);
    assert_eq!(changes, expected);
    set.note(now, &uri(1), failed);
    assert_eq!(set.snapshot(now)[0].state, DestinationState::Suspect);
    assert_eq!(picked(&mut set, now, &request(1)).len(), 2);
    for _ in 0..9 {
        assert_eq!(
            set.note(now, &uri(1), Finding::Shed),
            None,
            "it is not down"
        );
    }
    assert_eq!(set.note(now, &uri(7), failed), None, "a stranger");
}

/// RFC 3261 §21.5.4.
#[test]
fn retry_after_keeps_a_destination_down_and_the_shortest_is_told_when_all_are() {
    let now = Instant::now();
    let seconds = Duration::from_secs;
    let mut set = set(Algorithm::Priority, &[2, 1]);
    assert_eq!(set.retry_after(now), None);
    set.note(now, &uri(1), Finding::Unavailable(Some(seconds(120))));
    assert_eq!(set.retry_after(now), None);
    assert_eq!(picked(&mut set, now, &request(1)), [uri(2).to_string()]);
    set.note(now, &uri(2), Finding::Failed);
    assert!(set.pick(now, &request(1)).is_empty());
    assert_eq!(set.retry_after(now), Some(seconds(30)));
    let later = now + seconds(30);
    assert_eq!(picked(&mut set, later, &request(1)), [uri(2).to_string()]);
    assert_eq!(set.pick(now + seconds(120), &request(1)).len(), 2);
}

#[test]
fn a_set_changes_while_it_runs() {
    let now = Instant::now();
    let mut set = set(Algorithm::Priority, &[3, 2, 1]).limit(3);
    set.drain(&uri(1), true).unwrap();
    assert_eq!(set.snapshot(now)[0].state, DestinationState::Draining);
    assert_eq!(picked(&mut set, now, &request(1))[0], uri(2).to_string());
    set.drain(&uri(1), false).unwrap();
    set.set_weight(&uri(3), 9).unwrap();
    assert_eq!(picked(&mut set, now, &request(1))[0], uri(3).to_string());
    assert_eq!(set.add(uri(1), 1), Err(DispatchError::Exists));
    assert_eq!(set.add(uri(4), 1), Err(DispatchError::Full { limit: 3 }));
    set.remove(&uri(3)).unwrap();
    set.add(uri(4), 10).unwrap();
    assert_eq!(picked(&mut set, now, &request(1))[0], uri(4).to_string());
    let unknown = Err(DispatchError::Unknown);
    assert_eq!(set.remove(&uri(3)), unknown);
    assert_eq!(set.drain(&uri(3), true), unknown);
    assert_eq!(set.set_weight(&uri(3), 1), unknown);
    assert_eq!(
        set.add(Uri::parse("tel:+1555").unwrap(), 1),
        Err(DispatchError::Scheme)
    );
}
