//! What requests of ours say, and how their answers are taken (RFC 3261 §8.1, §13.2).

#![allow(clippy::unwrap_used)] // a test fails by a panic

mod harness;

use std::{cell::RefCell, rc::Rc, time::Duration};

use harness::*;
use sip_message::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode, Tag,
    headers::{Contact, ContentType},
};
use sip_ua::{CallOptions, Cause, Event, Identity, RequestOptions, UaConfig};

type Seen = Rc<RefCell<Vec<Request>>>;

/// Alice, and a scripted Bob; the requests that he was sent. What he does not care for gets 200.
fn with_bob(
    configure: impl FnOnce(UaConfig) -> UaConfig,
    mut answer: impl FnMut(&Request) -> Vec<(Response, Duration)> + 'static,
) -> (Net, Seen) {
    let seen = Seen::default();
    let noted = seen.clone();
    let mut net = Net::new(1);
    let config = configure(net.config(ALICE));
    net.agent_with("alice", config);
    net.script("bob", move |message, from, out| {
        let Some(request) = request(message) else {
            return;
        };
        noted.borrow_mut().push(request.clone());
        let mut answers = answer(request);
        if answers.is_empty() && *request.method() != Method::ACK {
            answers.push((reply(request, 200, "b", false), Duration::ZERO));
        }
        for (response, after) in answers {
            out.send_later(from, response.to_bytes(), after);
        }
    });
    (net, seen)
}

/// A response with a Contact, and a tag where the request had none.
fn reply(request: &Request, status: u16, tag: &str, session: bool) -> Response {
    let mut response = request
        .response(StatusCode::try_from(status).unwrap())
        .contact(Contact::new(uri(&format!("sip:{tag}@192.0.2.2"))));
    if !request.has_to_tag() {
        response = response.to_tag(Tag::new(tag).unwrap());
    }
    if session {
        response = response.body(ContentType::APPLICATION_SDP, format!("v=0 {tag}"));
    }
    response.build()
}

fn at_once(response: Response) -> Vec<(Response, Duration)> {
    vec![(response, Duration::ZERO)]
}

fn is_first_invite(request: &Request) -> bool {
    *request.method() == Method::INVITE && !request.has_to_tag()
}

fn call(net: &mut Net) -> sip_ua::CallId {
    net.ua(ALICE, |ua, cx| {
        ua.call(cx, &alice(), bob(), CallOptions::new())
    })
    .unwrap()
}

fn invites(seen: &Seen) -> Vec<Request> {
    let seen = seen.borrow();
    let invites = seen.iter().filter(|it| *it.method() == Method::INVITE);
    invites.cloned().collect()
}

fn done(event: &Event) -> Option<Result<StatusCode, sip_endpoint::Failure>> {
    match event {
        Event::RequestDone { result, .. } => {
            Some(result.clone().map(|(response, _)| response.status()))
        }
        _ => None,
    }
}

/// UA-003, UA-004: RFC 3261 §8.1.1.3, §8.1.1.4.
#[test]
fn each_call_has_a_tag_and_a_call_id_of_its_own() {
    let (mut net, seen) = with_bob(
        |config| config,
        |request| match is_first_invite(request) {
            true => at_once(reply(request, 486, "b", false)),
            false => Vec::new(),
        },
    );
    for _ in 0..2 {
        call(&mut net);
        net.until(ALICE, ended);
    }
    let [one, other] = &invites(&seen)[..] else {
        panic!("{}", net.show())
    };
    let tag = |request: &Request| request.from().unwrap().tag().unwrap();
    assert_ne!(tag(one), tag(other));
    assert_ne!(one.call_id().unwrap(), other.call_id().unwrap());
    net.assert_nothing_is_left();
}

/// UA-007, UA-026: RFC 3261 §8.1.1.9, §13.2.1. An INVITE may have an Accept, and need not: §13.2.1 says MAY, and what is
/// accepted without one is what we accept (§20.1).
#[test]
fn an_invite_says_what_its_sender_serves_and_supports() {
    let (mut net, seen) = with_bob(
        |config| config.extension("path").listen_to(Method::MESSAGE),
        |request| match is_first_invite(request) {
            true => at_once(reply(request, 486, "b", false)),
            false => Vec::new(),
        },
    );
    call(&mut net);
    net.until(ALICE, ended);
    let invite = &invites(&seen)[0];
    let raw = |name| invite.headers().raw(&name);
    assert_eq!(
        raw(HeaderName::ALLOW).unwrap(),
        "INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE"
    );
    assert_eq!(raw(HeaderName::SUPPORTED).unwrap(), "path");
    assert!(raw(HeaderName::REQUIRE).is_none() && raw(HeaderName::PROXY_REQUIRE).is_none());
    net.assert_nothing_is_left();
}

/// UA-009: RFC 3261 §8.1.3.2: a code that nobody knows counts as the first of its class, a provisional one as 183. 199 is
/// known since RFC 6228.
#[test]
fn codes_that_nobody_knows_count_as_the_first_of_their_class() {
    let invited = |answers: &'static [u16]| {
        let mut round = 0;
        let (mut net, seen) = with_bob(
            |config| config,
            move |request| {
                if !is_first_invite(request) {
                    return Vec::new();
                }
                let status = answers[round];
                round += 1;
                at_once(reply(request, status, &format!("b{round}"), true))
            },
        );
        call(&mut net);
        net.run_for(Duration::from_secs(1));
        (net, seen)
    };
    let (mut net, _) = invited(&[189]);
    let early = ["session needed", "progress", "early session"];
    assert_eq!(names(&net.events(ALICE)), early);
    let (mut net, _) = invited(&[299]);
    net.until(ALICE, established);
    assert_eq!(net.count("ACK"), 1);
    for (answers, requests) in [(&[499][..], 1), (&[599], 1), (&[699], 1), (&[399, 486], 2)] {
        let (mut net, seen) = invited(answers);
        let ended = net.until(ALICE, ended);
        assert_eq!(ended.cause, Cause::Rejected, "{answers:?}");
        assert_eq!(
            ended.response.unwrap().status().as_u16(),
            *answers.last().unwrap()
        );
        assert_eq!(invites(&seen).len(), requests, "{answers:?}");
        net.assert_nothing_is_left();
    }
}

/// UA-011: RFC 3261 §8.1.3.4: the best first, each once whoever names it again, and all of one call.
#[test]
fn contacts_of_redirections_are_tried_once_each_the_best_first() {
    let moved = |request: &Request, contacts: &'static str| {
        let mut moved = reply(request, 302, "m", false);
        let contacts = HeaderValue::from_static(contacts);
        moved.headers_mut().set_raw(HeaderName::CONTACT, contacts);
        at_once(moved)
    };
    let (mut net, seen) = with_bob(
        |config| config,
        move |request| {
            let user = request.uri().user().unwrap_or_default().into_owned();
            match (is_first_invite(request), user.as_str()) {
                (false, _) => Vec::new(),
                (true, "bob") => moved(
                    request,
                    "<sip:second@192.0.2.2>;q=0.5, <sip:first@192.0.2.2>;q=0.9",
                ),
                (true, "first") => moved(
                    request,
                    "<sip:bob@192.0.2.2>, <sip:second@192.0.2.2>, <sip:%66irst@192.0.2.2>",
                ),
                (true, _) => at_once(reply(request, 404, "f", false)),
            }
        },
    );
    call(&mut net);
    assert_eq!(net.until(ALICE, ended).cause, Cause::Rejected);
    let invites = invites(&seen);
    let users: Vec<_> = invites
        .iter()
        .map(|it| it.uri().user().unwrap().into_owned())
        .collect();
    assert_eq!(users, ["bob", "first", "second"]);
    for (number, invite) in (1..).zip(&invites) {
        assert_eq!(invite.cseq().unwrap().number(), number);
        assert_eq!(invite.to().unwrap(), invites[0].to().unwrap());
        assert_eq!(invite.from().unwrap(), invites[0].from().unwrap());
        assert_eq!(invite.call_id().unwrap(), invites[0].call_id().unwrap());
        assert_eq!(invite.body(), invites[0].body());
    }
    net.assert_nothing_is_left();
}

/// UA-030: RFC 3261 §13.2.2.4: for 64*T1 after the first 2xx others may come, and then no more. Our early dialogs end with the
/// first already, since nothing but a 2xx could become of them.
#[test]
fn further_2xx_are_taken_for_64_t1_after_the_first() {
    let (mut net, _) = with_bob(
        |config| config,
        |request| {
            if !is_first_invite(request) {
                return Vec::new();
            }
            let after = [
                (180, "one", 0),
                (200, "two", 1),
                (200, "one", 32),
                (200, "three", 34),
            ];
            after
                .map(|(status, tag, seconds)| {
                    let response = reply(request, status, tag, true);
                    (response, Duration::from_secs(seconds))
                })
                .to_vec()
        },
    );
    let call = call(&mut net);
    net.run_for(Duration::from_secs(40));
    let sent: Vec<String> = net
        .show()
        .lines()
        .filter(|line| line.contains("alice     ->"))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        sent,
        [
            "0 ms alice -> bob INVITE",
            "1020 ms alice -> bob ACK",
            "32020 ms alice -> bob ACK",
            "32020 ms alice -> bob BYE"
        ]
    );
    net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).unwrap();
    net.until(ALICE, ended);
    net.assert_nothing_is_left();
}

/// UA-082: RFC 3428 §8: a long MESSAGE goes over TCP or not at all, where anything else would take to datagrams again.
#[test]
fn a_long_message_goes_in_no_datagram() {
    let (mut net, seen) = with_bob(|config| config, |_| Vec::new());
    for (method, length, arrives) in [
        (Method::MESSAGE, 500, true),
        (Method::MESSAGE, 1_300, false),
        (Method::OPTIONS, 1_300, true),
    ] {
        let before = seen.borrow().len();
        let body = RequestOptions::new().body(ContentType::TEXT_PLAIN, vec![b'x'; length]);
        net.ua(ALICE, |ua, cx| {
            ua.request(cx, &alice(), method.clone(), bob(), body)
        })
        .unwrap();
        // Nobody takes the connection.
        assert_eq!(net.until(ALICE, done).is_ok(), arrives, "{method}");
        assert_eq!(seen.borrow().len() > before, arrives, "{method}");
    }
    net.assert_nothing_is_left();
}

/// UA-085: RFC 3323 §4.1.1, RFC 3325 §9.3: who wants to be nobody says so, and nothing of ours says otherwise.
#[test]
fn an_anonymous_call_names_nobody() {
    let (mut net, seen) = with_bob(
        |config| config,
        |request| match is_first_invite(request) {
            true => at_once(reply(request, 486, "b", false)),
            false => Vec::new(),
        },
    );
    let nobody = Identity::new(uri("sip:anonymous@anonymous.invalid")).display_name("Anonymous");
    let options = CallOptions::new().header(HeaderName::PRIVACY, HeaderValue::from_static("id"));
    net.ua(ALICE, |ua, cx| ua.call(cx, &nobody, bob(), options))
        .unwrap();
    net.until(ALICE, ended);
    let invite = &invites(&seen)[0];
    let from = invite.from().unwrap();
    assert_eq!(from.display_name().unwrap(), "Anonymous");
    assert_eq!(from.uri().as_str(), "sip:anonymous@anonymous.invalid");
    let contact = invite.headers().get::<Contact>().unwrap().unwrap();
    assert_eq!(contact.uri().user().unwrap(), "anonymous");
    assert_eq!(invite.headers().raw(&HeaderName::PRIVACY).unwrap(), "id");
    for name in [
        HeaderName::P_ASSERTED_IDENTITY,
        HeaderName::P_PREFERRED_IDENTITY,
    ] {
        assert!(invite.headers().raw(&name).is_none());
    }
    net.assert_nothing_is_left();
}
