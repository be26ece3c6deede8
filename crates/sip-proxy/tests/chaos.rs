//! Whatever targets, callers and time do: every INVITE has one outcome, and nothing is left.
#![allow(clippy::unwrap_used)] // in a test a panic is the answer

mod harness;

use harness::*;
use sip_io::{Flow, Rng};
use sip_message::{Message, Method, Request, StatusCode};
use sip_proxy::{Event, Plan};
use std::{cell::RefCell, rc::Rc};

const NAMES: [&str; 4] = ["bob", "carol", "dave", "erin"];

fn plan(rng: &mut Rng) -> Plan {
    let mut plan = Plan::new();
    for _ in 0..=rng.below(2) {
        let group: Vec<_> = (0..=rng.below(2))
            .map(|_| {
                let at = rng.below(5);
                // One in five is nobody's address, and one has no place at all.
                uri(&match at {
                    4 => "sip:x@10.0.0.200;transport=tcp".to_owned(),
                    at => format!("sip:{}@10.0.0.{}", NAMES[at as usize], at + 3),
                })
            })
            .collect();
        plan = plan.then_at_once(group);
    }
    if rng.below(3) == 0 {
        plan = plan.ring_for(seconds(rng.below(30) + 1));
    }
    if rng.below(4) == 0 {
        plan = plan.deadline(seconds(rng.below(60) + 1));
    }
    let mut one_in_four = || rng.below(4) == 0;
    plan.hold_failure(one_in_four())
        .record_route(one_in_four())
        .ordinary_6xx(one_in_four())
        .forget_earlier(one_in_four())
        .relay_100(one_in_four())
        .restart_timer_c(one_in_four())
        .pass_503(one_in_four())
}

/// What a target may say to a request that it got, once or several times.
fn answer(world: &mut World, rng: &mut Rng, name: &str, flow: Flow, request: &Request) {
    if request.method() == Method::ACK {
        return;
    }
    let codes: &[u16] = if request.method() == Method::CANCEL {
        &[200, 481]
    } else {
        &[
            100, 180, 183, 199, 200, 200, 302, 401, 404, 407, 408, 486, 487, 500, 503, 600, 603,
        ]
    };
    for _ in 0..rng.below(3) {
        let code = codes[rng.below(codes.len() as u64) as usize];
        world.reply(
            flow,
            response_from(request, code, name, &format!("sip:{name}@10.0.0.3")).to_bytes(),
        );
    }
}

fn run(seed: u8) {
    let mut rng = Rng::new([seed; 32]);
    let mut world = World::new();
    world.host("alice", "10.0.0.2:5060");
    for (name, last) in NAMES.iter().zip(3..) {
        world.host(name, &format!("10.0.0.{last}:5060"));
    }
    let plans = Rc::new(RefCell::new(Rng::new([seed ^ 0x55; 32])));
    world.route = Box::new(move |_| {
        let mut rng = plans.borrow_mut();
        if rng.below(6) == 0 {
            Decision::Later
        } else {
            Decision::Plan(plan(&mut rng))
        }
    });
    let mut calls: Vec<(Draft, Vec<u16>)> = Vec::new();
    let mut seen: Vec<(String, Flow, Request)> = Vec::new();
    for _ in 0..120 {
        match rng.below(8) {
            0 | 1 if calls.len() < 12 => {
                let method = if rng.below(4) == 0 {
                    "MESSAGE"
                } else {
                    "INVITE"
                };
                let call = world.message("alice", method, "sip:group@example.com");
                let call = call.line("Contact: <sip:alice@10.0.0.2>");
                world.udp("alice", call.text());
                calls.push((call, Vec::new()));
            }
            2 if !calls.is_empty() => {
                let (call, finals) = &calls[rng.below(calls.len() as u64) as usize];
                if rng.below(2) == 0 {
                    world.udp(
                        "alice",
                        Draft {
                            method: "CANCEL".to_owned(),
                            ..call.clone()
                        }
                        .text(),
                    );
                } else if finals.is_empty() && call.method == "INVITE" {
                    world.udp("alice", call.text());
                }
            }
            3 => world.wait(ms(rng.below(3_000))),
            4 => world.wait(seconds(rng.below(40))),
            5 if !world.asked.is_empty() => {
                let (id, _, _) = world.asked[rng.below(world.asked.len() as u64) as usize];
                let plan = plan(&mut rng);
                let action = rng.below(4);
                // Most are gone or under way by now, and say so.
                let _refused = world.stack.command(world.now, |core, cx| match action {
                    0 => core.1.withdraw(cx, id),
                    1 => core.1.reject(cx, id, StatusCode::GONE),
                    2 => core.1.forward(cx, id),
                    _ => core.1.relay(cx, id, plan),
                });
                world.settle();
            }
            _ => {
                for name in NAMES {
                    while let Some((flow, message)) = world.take(name) {
                        if let Message::Request(request) = message {
                            seen.push((name.to_owned(), flow, request));
                        }
                    }
                }
                if !seen.is_empty() {
                    let (name, flow, request) = seen[rng.below(seen.len() as u64) as usize].clone();
                    answer(&mut world, &mut rng, &name, flow, &request);
                }
            }
        }
        while let Some((_, message)) = world.take("alice") {
            let Message::Response(response) = message else {
                panic!("seed {seed}: a request for alice")
            };
            let (cseq, status) = (response.cseq().unwrap(), response.status());
            if !status.is_final() || cseq.method() == Method::CANCEL {
                continue;
            }
            let (call, finals) = calls
                .iter_mut()
                .find(|(call, _)| call.cseq == cseq.number())
                .expect("a request of alice's");
            finals.push(status.as_u16());
            if cseq.method() == Method::INVITE && !status.is_success() {
                let to = response.to().unwrap().to_string();
                let ack = Draft {
                    method: "ACK".to_owned(),
                    to,
                    lines: Vec::new(),
                    ..call.clone()
                };
                world.udp("alice", ack.text());
            }
        }
    }
    let answered = world
        .events
        .iter()
        .filter(|event| matches!(event, Event::Answered { .. }))
        .count();
    assert!(answered > 0, "seed {seed}: nothing was answered");
    world.wait(seconds(600));
    while let Some((_, message)) = world.take("alice") {
        if let Message::Response(response) = message
            && response.status().is_final()
            && response.cseq().unwrap().method() != Method::CANCEL
        {
            let number = response.cseq().unwrap().number();
            let (_, finals) = calls
                .iter_mut()
                .find(|(call, _)| call.cseq == number)
                .expect("a request of alice's");
            finals.push(response.status().as_u16());
        }
    }
    for (call, finals) in &calls {
        let failures: std::collections::BTreeSet<u16> =
            finals.iter().copied().filter(|&code| code >= 300).collect();
        let successes = finals.iter().filter(|&&code| code < 300).count();
        if call.method == "INVITE" {
            assert!(
                !finals.is_empty(),
                "seed {seed}: no outcome\n{}",
                world.ladder()
            );
            assert!(
                failures.len() + usize::from(successes > 0) == 1,
                "seed {seed}: {finals:?}\n{}",
                world.ladder()
            );
        } else {
            assert!(!failures.contains(&408), "seed {seed}: RFC 4320 §4.2");
        }
    }
    for name in NAMES {
        world.discard(name);
    }
    world.finish();
}

#[test]
fn every_invite_has_one_outcome_and_nothing_is_left() {
    for seed in 0..60 {
        run(seed);
    }
}
