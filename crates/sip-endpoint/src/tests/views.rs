//! What a name means: to one listener and to another, as a number, and for how long.

use super::harness::*;
use crate::{Draft, Failure, HealthConfig, Listener, ResolverConfig, View};
use sip_io::{Flow, Receive, Transmit};
use sip_message::{Message, Method, StatusCode};
use sip_resolver::{Answer, Naptr, Record, Zone};
use std::{net::IpAddr, time::Duration};

const INSIDE: &str = "10.0.0.1:5060";

fn pbx(address: [u8; 4]) -> Zone {
    Zone::new().address("pbx.example", IpAddr::from(address))
}

/// A private view: the same name has another address inside.
fn split() -> (Rig, crate::ListenerId) {
    let mut rig = Rig::listening(
        |config| config.zone(pbx([192, 0, 2, 7])),
        &[Listener::udp(at(HERE))],
    );
    let inside = rig.command(|cx| {
        cx.listen_within(
            Listener::udp(at(INSIDE)),
            View::new().zone(pbx([10, 0, 0, 7])),
        )
    });
    let Some(Transmit::Bind { token, local, .. }) = rig.transmits().pop() else {
        panic!("asks for a socket")
    };
    let result = Ok(local);
    rig.receive(Receive::Bound { token, result });
    (rig, inside)
}

const NAMED: &str = "sip:bob@pbx.example:5070";

#[test]
fn a_name_means_what_the_view_of_the_listener_says() {
    let (mut rig, inside) = split();
    rig.request(draft("OPTIONS", NAMED));
    assert_eq!(
        rig.sent_request().0,
        Flow::udp(at(HERE), at("192.0.2.7:5070"))
    );
    rig.request(draft("MESSAGE", NAMED).by_listener(inside));
    assert_eq!(
        rig.sent_request().0,
        Flow::udp(at(INSIDE), at("10.0.0.7:5070"))
    );
}

#[test]
fn an_ack_and_what_replaces_a_closed_flow_keep_to_their_view() {
    let (mut rig, inside) = split();
    rig.command(|cx| cx.acknowledge(draft("ACK", NAMED).by_listener(inside)));
    assert_eq!(rig.sent_request().0.remote(), at("10.0.0.7:5070"));
    let flow = Flow::udp(at(INSIDE), at("10.0.0.9:5060"));
    rig.request(draft("BYE", NAMED).to_flow(flow));
    assert_eq!(rig.sent_request().0, flow);
    rig.unreachable(flow);
    assert_eq!(rig.sent_request().0.remote(), at("10.0.0.7:5070"));
}

/// RFC 3263 §5: the name in a Via is looked up where the request came in.
#[test]
fn questions_of_two_views_are_kept_apart() {
    let mut rig = Rig::listening(|config| config, &[Listener::udp(at(HERE))]);
    let inside = rig.command(|cx| cx.listen_within(Listener::udp(at(INSIDE)), View::new()));
    let Some(Transmit::Bind { token, local, .. }) = rig.transmits().pop() else {
        panic!("asks for a socket")
    };
    rig.receive(Receive::Bound {
        token,
        result: Ok(local),
    });
    rig.request(draft("OPTIONS", NAMED));
    rig.request(draft("MESSAGE", NAMED).by_listener(inside));
    let questions: Vec<_> = rig.questions.drain(..).collect();
    assert_eq!(questions.len(), 2, "each view asks for itself");
    for ((id, _), last) in questions.into_iter().zip([7, 8]) {
        let answer = Answer::addresses([[192, 0, 2, last].into()], 60 * SECOND);
        let now = rig.now;
        rig.stack.provide_answer(now, id, Ok(answer));
    }
    rig.command(|_| ());
    let sent: Vec<String> = rig
        .transmits()
        .iter()
        .filter_map(|transmit| match transmit {
            Transmit::Datagram { flow, contents } => {
                let Ok(Message::Request(request)) = Message::parse(contents.clone()) else {
                    return None;
                };
                Some(format!("{} {}", request.method(), flow.remote()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(sent, ["OPTIONS 192.0.2.7:5070", "MESSAGE 192.0.2.8:5070"]);
}

/// RFC 6116 §2, §3.4: the number's URI is who is called, at the servers of that URI.
#[test]
fn a_telephone_number_is_called_at_the_uri_that_it_leads_to() {
    let rule = Record::Naptr(Naptr {
        order: 100,
        preference: 10,
        flags: "u".into(),
        services: "E2U+sip".into(),
        regexp: "!^\\+1555(.*)$!sip:\\1@bob.example;transport=udp!".into(),
        replacement: ".".into(),
    });
    let private = zone().record("4.3.2.1.5.5.5.1.numbers.example", rule);
    let mut rig = Rig::with(|config| {
        config
            .zone(private.clone())
            .resolver(ResolverConfig::new().enum_suffix("numbers.example"))
    });
    rig.request(draft("INVITE", "tel:+1-555-1234"));
    let (flow, invite) = rig.sent_request();
    assert_eq!(flow.remote(), at(BOB));
    assert_eq!(
        invite.uri().to_string(),
        "sip:1234@bob.example;transport=udp"
    );
    assert_eq!(
        invite.to().unwrap().uri().to_string(),
        "tel:+1-555-1234",
        "To says who was meant"
    );
    rig.unreachable(flow);
    let (flow, again) = rig.sent_request();
    assert_eq!(
        (flow.remote(), again.uri()),
        (at(CAROL), invite.uri()),
        "the next server gets the same"
    );

    let mut rig = Rig::with(|config| config.zone(private));
    rig.request(draft("INVITE", "tel:+1-555-1234"));
    assert!(
        matches!(rig.failure(), Failure::NoTarget { cause } if cause.contains("+15551234")),
        "without a suffix a number leads nowhere"
    );
}

#[test]
fn what_the_dns_said_can_be_seen_and_forgotten() {
    let mut rig = Rig::with(|config| config);
    let look_up = |rig: &mut Rig, last: u8| {
        rig.request(draft("OPTIONS", NAMED));
        let asked = rig.questions.pop_front();
        if let Some((id, _)) = &asked {
            let answer = Answer::addresses([[192, 0, 2, last].into()], 60 * SECOND);
            let now = rig.now;
            rig.stack.provide_answer(now, *id, Ok(answer));
            rig.command(|_| ());
        }
        let address = rig.sent_request().0.remote().ip();
        (asked.is_some(), address)
    };
    let address = |last| IpAddr::from([192, 0, 2, last]);
    assert_eq!(look_up(&mut rig, 1), (true, address(1)));
    assert_eq!(look_up(&mut rig, 2), (false, address(1)));
    let now = rig.now;
    let kept: Vec<_> = rig.stack.endpoint().cached(now).collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].question.to_string(), "pbx.example A");
    rig.command(|cx| cx.flush_name("other.example"));
    assert_eq!(look_up(&mut rig, 3), (false, address(1)));
    rig.command(|cx| cx.flush_name("pbx.example"));
    assert_eq!(look_up(&mut rig, 4), (true, address(4)));
    rig.command(|cx| cx.flush());
    assert_eq!(look_up(&mut rig, 5), (true, address(5)));
}

/// RFC 8767: when the DNS fails, an old answer is better than none.
#[test]
fn an_old_answer_serves_while_the_dns_is_dead() {
    let config = ResolverConfig::new().serve_stale(3_600 * SECOND);
    let mut rig = Rig::with(|endpoint| endpoint.resolver(config));
    for (round, answer) in [Ok(()), Err(())].into_iter().enumerate() {
        rig.request(draft("OPTIONS", NAMED));
        let (id, _) = rig.questions.pop_front().expect("asks");
        let answer = match answer {
            Ok(()) => Ok(Answer::addresses([[192, 0, 2, 7].into()], 60 * SECOND)),
            Err(()) => Err(crate::LookupError::TimedOut),
        };
        let now = rig.now;
        rig.stack.provide_answer(now, id, answer);
        rig.command(|_| ());
        let (flow, _) = rig.sent_request();
        assert_eq!(flow.remote(), at("192.0.2.7:5070"), "round {round}");
        rig.wait(61 * SECOND);
        rig.transmits();
        rig.events();
    }
}

fn to_both() -> Draft {
    draft("MESSAGE", "sip:bob@bob.example;transport=udp")
}

fn probing() -> Rig {
    let health = HealthConfig::new()
        .back_off(600 * SECOND)
        .probe(10 * SECOND);
    let mut rig = Rig::with(|config| config.zone(zone()).health(health));
    rig.request(to_both());
    let (flow, _) = rig.sent_request();
    rig.unreachable(flow);
    let (flow, request) = rig.sent_request();
    rig.answer(flow, &request, StatusCode::OK);
    rig.events();
    rig
}

#[test]
fn a_server_that_is_down_is_asked_and_comes_back_when_it_answers() {
    let mut rig = probing();
    rig.wait(9 * SECOND);
    rig.sent_nothing();
    rig.wait(SECOND);
    rig.events();
    let (flow, options) = rig.sent_request();
    assert_eq!(
        (flow.remote(), options.method()),
        (at(BOB), &Method::OPTIONS)
    );
    rig.unreachable(flow);
    assert!(rig.events().is_empty(), "no core is told");
    rig.request(to_both());
    let (flow, request) = rig.sent_request();
    assert_eq!(flow.remote(), at(CAROL), "still down");
    rig.answer(flow, &request, StatusCode::OK);
    rig.events();
    rig.wait(10 * SECOND);
    rig.events();
    let (flow, options) = rig.sent_request();
    assert_eq!(flow.remote(), at(BOB));
    rig.answer(flow, &options, StatusCode::NOT_FOUND);
    assert!(rig.events().is_empty(), "no core is told");
    rig.request(to_both());
    assert_eq!(
        rig.sent_request().0.remote(),
        at(BOB),
        "whoever answers lives"
    );
}

#[test]
fn a_server_that_never_answers_is_not_asked_for_ever() {
    let mut rig = probing();
    let mut asked = 0;
    for _ in 0..400 {
        rig.wait(10 * SECOND);
        for transmit in rig.transmits() {
            if let Transmit::Datagram { flow, .. } = transmit {
                assert_eq!(flow.remote(), at(BOB));
                asked += 1;
                rig.unreachable(flow);
            }
        }
    }
    // The longest back-off is an hour.
    assert!((355..=360).contains(&asked), "{asked}");
    rig.finish();
}

#[test]
fn without_being_told_nobody_is_asked() {
    let mut rig = Rig::new();
    rig.request(to_both());
    let (flow, _) = rig.sent_request();
    rig.unreachable(flow);
    let (flow, request) = rig.sent_request();
    rig.answer(flow, &request, StatusCode::OK);
    rig.wait(Duration::from_secs(100));
    rig.sent_nothing();
}
