//! One INVITE, several dialogs (TRAPS 7), and answers that a peer may give to it.

#![allow(clippy::unwrap_used)] // a test fails by a panic

mod harness;

use std::{cell::RefCell, rc::Rc, time::Duration};

use harness::*;
use sip_message::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode, Tag,
    headers::{Contact, ContentType, MaxForwards, RecordRoute, Route, To},
};
use sip_ua::{CallOptions, Cause, Event};

/// What a scripted peer answers: a fork of it is known by its tag.
fn reply(request: &Request, status: u16, tag: &str, session: bool) -> Response {
    let status = StatusCode::try_from(status).unwrap();
    let contact = uri(&format!("sip:{tag}@192.0.2.2"));
    let builder = request
        .response(status)
        .to_tag(Tag::new(tag).unwrap())
        .contact(Contact::new(contact));
    if session {
        builder
            .body(ContentType::APPLICATION_SDP, format!("v=0 {tag}"))
            .build()
    } else {
        builder.build()
    }
}

/// DLG-004, UA-028, UA-029: Two phones ring behind one address and both answer: the first is kept, the second acknowledged and hung up.
#[test]
fn two_phones_that_both_answer_get_one_call_and_one_bye() {
    let mut net = Net::new(1);
    net.agent("alice");
    net.script("forks", |message, from, out| {
        let Some(request) = request(message) else {
            return;
        };
        match *request.method() {
            Method::INVITE => {
                out.send(from, reply(request, 180, "one", false).to_bytes());
                out.send(from, reply(request, 183, "two", true).to_bytes());
                out.send_later(
                    from,
                    reply(request, 200, "two", true).to_bytes(),
                    Duration::from_secs(1),
                );
                out.send_later(
                    from,
                    reply(request, 200, "one", true).to_bytes(),
                    Duration::from_secs(2),
                );
                // The winner did not see its ACK.
                out.send_later(
                    from,
                    reply(request, 200, "two", true).to_bytes(),
                    Duration::from_secs(3),
                );
            }
            Method::BYE => out.send(from, request.response(StatusCode::OK).build().to_bytes()),
            _ => {}
        }
    });
    let call = net
        .ua(ALICE, |ua, cx| {
            ua.call(cx, &alice(), bob(), CallOptions::new())
        })
        .unwrap();
    net.run_for(Duration::from_secs(5));
    net.assert_ladder(
        "
           0 ms  alice -> forks  INVITE
          10 ms  forks -> alice  180 INVITE
          10 ms  forks -> alice  183 INVITE
          10 ms  forks -> alice  200 INVITE
          10 ms  forks -> alice  200 INVITE
          10 ms  forks -> alice  200 INVITE
        1020 ms  alice -> forks  ACK
        2020 ms  alice -> forks  ACK
        2020 ms  alice -> forks  BYE
        2030 ms  forks -> alice  200 BYE
        3020 ms  alice -> forks  ACK
        ",
    );
    let events = net.events(ALICE);
    let order = [
        "session needed",
        "progress",
        "progress",
        "early session",
        "early ended",
        "answered",
        "session",
        "established",
    ];
    assert_eq!(names(&events), order);
    let dialogs: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Progress { dialog, .. } => *dialog,
            _ => None,
        })
        .collect();
    assert!(dialogs.len() == 2 && dialogs[0] != dialogs[1]);
    assert!(
        events.iter().any(
            |event| matches!(event, Event::EarlyEnded { dialog, .. } if *dialog == dialogs[0])
        )
    );
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Answered { dialog, .. } if *dialog == dialogs[1]))
    );
    net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).unwrap();
    assert_eq!(net.until(ALICE, ended).cause, Cause::HungUp);
    net.assert_nothing_is_left();
}

/// UA-028: TRAPS 2 and 5: every ACK of a 2xx is the same, byte for byte, and has the number of the INVITE.
#[test]
fn each_repeated_2xx_gets_the_same_bytes() {
    let acks: Rc<RefCell<Vec<bytes::Bytes>>> = Rc::default();
    let seen = acks.clone();
    let mut net = Net::new(1);
    net.agent("alice");
    net.script("bob", move |message, from, out| {
        let Some(request) = request(message) else {
            return;
        };
        match *request.method() {
            Method::INVITE => {
                let mut ok = reply(request, 200, "b", true);
                let route = RecordRoute::new(uri("sip:192.0.2.2;lr"));
                ok.headers_mut().push(route);
                out.send(from, ok.to_bytes());
                out.send_later(from, ok.to_bytes(), Duration::from_millis(500));
            }
            Method::ACK => seen.borrow_mut().push(request.to_bytes()),
            Method::BYE => out.send(from, request.response(StatusCode::OK).build().to_bytes()),
            _ => {}
        }
    });
    let call = net
        .ua(ALICE, |ua, cx| {
            ua.call(cx, &alice(), bob(), CallOptions::new())
        })
        .unwrap();
    net.run_for(Duration::from_secs(2));
    assert_eq!(acks.borrow().len(), 2);
    assert_eq!(acks.borrow()[0], acks.borrow()[1]);
    let ack = Request::parse(acks.borrow()[0].clone()).unwrap();
    assert_eq!(ack.cseq().unwrap().number(), 1);
    assert_eq!(ack.uri().as_str(), "sip:b@192.0.2.2");
    assert_eq!(
        ack.headers()
            .get::<Route>()
            .unwrap()
            .unwrap()
            .uri()
            .as_str(),
        "sip:192.0.2.2;lr"
    );
    net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).unwrap();
    net.assert_nothing_is_left();
}

/// More forks than are allowed do not grow the table, and the call is answered all the same.
#[test]
fn early_dialogs_have_a_limit() {
    let mut net = Net::new(1);
    net.agent("alice");
    net.script("forks", |message, from, out| {
        let Some(request) = request(message) else {
            return;
        };
        match *request.method() {
            Method::INVITE => {
                for fork in 0..40 {
                    out.send(
                        from,
                        reply(request, 180, &format!("f{fork}"), false).to_bytes(),
                    );
                }
                out.send_later(
                    from,
                    reply(request, 200, "f39", true).to_bytes(),
                    Duration::from_secs(1),
                );
            }
            Method::BYE => out.send(from, request.response(StatusCode::OK).build().to_bytes()),
            _ => {}
        }
    });
    let call = net
        .ua(ALICE, |ua, cx| {
            ua.call(cx, &alice(), bob(), CallOptions::new())
        })
        .unwrap();
    net.run_for(Duration::from_millis(500));
    assert_eq!(net.core(ALICE).stats().dialogs, 8);
    net.until(ALICE, established);
    assert_eq!(net.core(ALICE).stats().dialogs, 1);
    net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).unwrap();
    net.assert_nothing_is_left();
}

/// A peer that invents a new tag for each 2xx is acknowledged and hung up a bounded number of times.
#[test]
fn further_2xx_have_a_limit() {
    let mut net = Net::new(1);
    net.agent("alice");
    net.script("flood", |message, from, out| {
        let Some(request) = request(message) else {
            return;
        };
        match *request.method() {
            Method::INVITE => {
                for fork in 0..40 {
                    out.send(
                        from,
                        reply(request, 200, &format!("f{fork}"), true).to_bytes(),
                    );
                }
            }
            Method::BYE => out.send(from, request.response(StatusCode::OK).build().to_bytes()),
            _ => {}
        }
    });
    let call = net
        .ua(ALICE, |ua, cx| {
            ua.call(cx, &alice(), bob(), CallOptions::new())
        })
        .unwrap();
    net.run_for(Duration::from_secs(1));
    assert_eq!(net.count("alice     -> flood     BYE"), 7, "{}", net.show());
    net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).unwrap();
    net.assert_nothing_is_left();
}

/// DLG-014: RFC 6228: 199 ends one early dialog; RFC 3261 §12.3: a failure ends all of them.
#[test]
fn early_dialogs_end_by_199_or_with_the_final_response() {
    let mut net = Net::new(1);
    net.agent("alice");
    net.script("forks", |message, from, out| {
        let Some(request) = request(message) else {
            return;
        };
        if *request.method() == Method::INVITE {
            out.send(from, reply(request, 180, "one", false).to_bytes());
            out.send(from, reply(request, 180, "two", false).to_bytes());
            out.send_later(
                from,
                reply(request, 199, "one", false).to_bytes(),
                Duration::from_secs(1),
            );
            out.send_later(
                from,
                reply(request, 480, "two", false).to_bytes(),
                Duration::from_secs(2),
            );
        }
    });
    net.ua(ALICE, |ua, cx| {
        ua.call(cx, &alice(), bob(), CallOptions::new())
    })
    .unwrap();
    net.run_for(Duration::from_millis(1_500));
    assert_eq!(net.core(ALICE).stats().dialogs, 1);
    assert_eq!(net.until(ALICE, ended).cause, Cause::Rejected);
    net.assert_nothing_is_left();
}

/// UA-011: RFC 3261 §8.1.3.4: Contacts in the same domain are tried, the best first; others are not.
#[test]
fn a_redirection_within_the_domain_is_followed() {
    let mut net = Net::new(1);
    net.agent("alice");
    net.script("bob", |message, from, out| {
        let Some(request) = request(message) else { return };
        match (request.method().clone(), request.uri().user().unwrap_or_default().into_owned().as_str()) {
            (Method::INVITE, "bob") => {
                let mut moved = reply(request, 302, "m", false);
                let contacts = "<sip:evil@198.51.100.1>, <sip:second@192.0.2.2>;q=0.5, <sip:first@192.0.2.2>;q=0.9";
                moved.headers_mut().set_raw(HeaderName::CONTACT, HeaderValue::new(contacts).unwrap());
                out.send(from, moved.to_bytes());
            }
            (Method::INVITE, "first") => out.send(from, reply(request, 404, "f", false).to_bytes()),
            (Method::INVITE, "second") => out.send(from, reply(request, 200, "s", true).to_bytes()),
            (Method::BYE, _) => out.send(from, request.response(StatusCode::OK).build().to_bytes()),
            _ => {}
        }
    });
    let call = net
        .ua(ALICE, |ua, cx| {
            ua.call(cx, &alice(), bob(), CallOptions::new())
        })
        .unwrap();
    net.until(ALICE, established);
    assert_eq!(
        net.count("INVITE")
            - net.count("200 INVITE")
            - net.count("302 INVITE")
            - net.count("404 INVITE"),
        3
    );
    net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).unwrap();
    net.assert_nothing_is_left();
}

/// RFC 3326 §2: the peer may say why it hangs up, once for each protocol on the way; what cannot be read says nothing.
#[test]
fn a_bye_may_say_why() {
    let mut net = Net::new(1);
    net.agent("alice");
    net.script("bob", |message, from, out| {
        let Some(request) = request(message) else {
            return;
        };
        if *request.method() != Method::INVITE {
            return;
        }
        out.send(from, reply(request, 200, "b", true).to_bytes());
        let via = "SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKbye";
        let mut bye = Request::builder(Method::BYE, "sip:alice@192.0.2.1")
            .via(via.parse().unwrap())
            .from("<sip:bob@192.0.2.2>", Tag::new("b").unwrap())
            .to(request.from().unwrap().address())
            .call_id(request.call_id().unwrap())
            .cseq(1)
            .build()
            .unwrap();
        for line in ["Q.850;cause=31", ";;", "SIP;cause=580;text=\"No radio\""] {
            let line = HeaderValue::new(line).unwrap();
            bye.headers_mut().push_raw(HeaderName::REASON, line);
        }
        out.send_later(from, bye.to_bytes(), Duration::from_secs(1));
    });
    net.ua(ALICE, |ua, cx| {
        ua.call(cx, &alice(), bob(), CallOptions::new())
    })
    .unwrap();
    let ended = net.until(ALICE, ended);
    assert_eq!((ended.by_us, ended.cause), (false, Cause::HungUp));
    let told = ended.reasons.iter();
    let told: Vec<_> = told.map(|it| (it.protocol(), it.cause())).collect();
    assert_eq!(told, [("Q.850", Some(31)), ("SIP", Some(580))]);
    assert_eq!(ended.reasons[1].text().as_deref(), Some("No radio"));
    net.assert_nothing_is_left();
}

/// A peer whose 2xx was lost hangs up what it takes for a call: that ends ours as well.
#[test]
fn a_bye_on_an_early_dialog_ends_the_call() {
    let mut net = Net::new(1);
    net.agent("alice");
    net.script("bob", |message, from, out| {
        let Some(request) = request(message) else {
            return;
        };
        match *request.method() {
            Method::INVITE => {
                out.send(from, reply(request, 180, "b", false).to_bytes());
                let bye = Request::builder(Method::BYE, "sip:alice@192.0.2.1")
                    .via(
                        "SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKbye"
                            .parse()
                            .unwrap(),
                    )
                    .from("<sip:bob@192.0.2.2>", Tag::new("b").unwrap())
                    .to(request.from().unwrap().address())
                    .call_id(request.call_id().unwrap())
                    .cseq(1)
                    .build()
                    .unwrap();
                out.send_later(from, bye.to_bytes(), Duration::from_secs(1));
            }
            Method::CANCEL => {
                // The INVITE is long answered and forgotten over there.
                out.send(
                    from,
                    request
                        .response(StatusCode::CALL_DOES_NOT_EXIST)
                        .build()
                        .to_bytes(),
                );
            }
            _ => {}
        }
    });
    net.ua(ALICE, |ua, cx| {
        ua.call(cx, &alice(), bob(), CallOptions::new())
    })
    .unwrap();
    let ended = net.until(ALICE, ended);
    assert!(
        !ended.by_us && ended.cause == Cause::HungUp,
        "{ended:?}\n{}",
        net.show()
    );
    assert_eq!(net.count("200 BYE"), 1);
    net.assert_nothing_is_left();
}

/// MSG-005: RFC 3261 §7.2: the phrase is for people, the code for programs.
#[test]
fn a_reason_phrase_changes_nothing() {
    for (status, phrase) in [(200, "Busy Here"), (486, "OK")] {
        let mut net = Net::new(1);
        net.agent("alice");
        net.script("bob", move |message, from, out| {
            let Some(request) = request(message) else {
                return;
            };
            if *request.method() == Method::INVITE {
                let text = reply(request, status, "b", true).to_string();
                let (_, fields) = text.split_once("\r\n").unwrap();
                out.send(from, format!("SIP/2.0 {status} {phrase}\r\n{fields}"));
            } else if *request.method() == Method::BYE {
                out.send(from, reply(request, 200, "b", false).to_bytes());
            }
        });
        let call = net
            .ua(ALICE, |ua, cx| {
                ua.call(cx, &alice(), bob(), CallOptions::new())
            })
            .unwrap();
        if status == 200 {
            net.until(ALICE, established);
            net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).unwrap();
        } else {
            net.until(ALICE, ended);
        }
        net.assert_nothing_is_left();
    }
}

/// UA-001, UA-002, UA-005, UA-006, UA-008, MSG-024, MSG-039: RFC 3261 §8.1.1: what a request of ours looks like.
#[test]
fn an_invite_has_what_rfc_3261_asks_for() {
    let invites: Rc<RefCell<Vec<Request>>> = Rc::default();
    let seen = invites.clone();
    let mut net = Net::new(1);
    net.agent("alice");
    net.script("bob", move |message, from, out| {
        let Some(request) = request(message) else {
            return;
        };
        if *request.method() == Method::INVITE {
            seen.borrow_mut().push(request.clone());
            out.send(from, reply(request, 603, "b", false).to_bytes());
        }
    });
    let identity = alice()
        .display_name("Alice")
        .route([uri("sip:192.0.2.2;lr")]);
    let options = CallOptions::new().header(HeaderName::SUBJECT, HeaderValue::from_static("lunch"));
    let target = uri("sip:bob@elsewhere.invalid:5062;transport=udp?Subject=no");
    net.ua(ALICE, |ua, cx| ua.call(cx, &identity, target, options))
        .unwrap();
    net.until(ALICE, ended);
    let invite = invites.borrow()[0].clone();
    assert!(invite.cseq().unwrap().number() < 1 << 31);
    assert_eq!(
        invite.uri().as_str(),
        "sip:bob@elsewhere.invalid:5062;transport=udp"
    );
    assert_eq!(
        invite
            .headers()
            .get::<Route>()
            .unwrap()
            .unwrap()
            .uri()
            .as_str(),
        "sip:192.0.2.2;lr"
    );
    assert_eq!(
        invite.to().unwrap().uri().as_str(),
        "sip:bob@elsewhere.invalid"
    );
    assert!(
        invite
            .headers()
            .get::<To>()
            .unwrap()
            .unwrap()
            .tag()
            .is_none()
    );
    assert_eq!(invite.from().unwrap().display_name().unwrap(), "Alice");
    assert_eq!(
        invite
            .headers()
            .get::<Contact>()
            .unwrap()
            .unwrap()
            .uri()
            .as_str(),
        "sip:alice@192.0.2.1:5060"
    );
    assert_eq!(
        invite.headers().get::<MaxForwards>().unwrap().unwrap(),
        MaxForwards(70)
    );
    assert_eq!(
        invite.headers().raw(&HeaderName::ALLOW).unwrap(),
        "INVITE, ACK, CANCEL, BYE, OPTIONS"
    );
    assert_eq!(invite.headers().raw(&HeaderName::SUBJECT).unwrap(), "lunch");
    assert_eq!(invite.body(), &offer());
    net.assert_nothing_is_left();
}
