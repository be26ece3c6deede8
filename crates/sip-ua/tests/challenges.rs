//! Challenges within dialogs and outside of them (RFC 3261 §22.1 to §22.3).

#![allow(clippy::unwrap_used)] // a test fails by a panic

mod harness;

use std::{cell::RefCell, rc::Rc, time::Duration};

use harness::*;
use sip_auth::{Credentials, Digest, Outcome, Role, Server, Users, Verdict};
use sip_message::{
    HeaderName, Message, Method, Request, StatusCode, Tag,
    headers::{Authorization, Contact, ContentType},
};
use sip_ua::{CallId, CallOptions, Cause, Event, Identity, RequestOptions};

type Seen = Rc<RefCell<Vec<Request>>>;

/// Alice, and a Bob who takes every nonce once: each request of hers is challenged. What he was sent.
fn with_strict_bob() -> (Net, Seen) {
    with_bob(Digest::realm("example.com").one_time(true), false)
}

/// Alice, and a Bob with this policy, who may confirm what he takes. What he was sent.
fn with_bob(policy: Digest, confirms: bool) -> (Net, Seen) {
    let mut net = Net::new(1);
    net.agent("alice");
    let seen = Seen::default();
    let noted = seen.clone();
    let mut server = Server::new(policy, [9; 32], net.clock());
    let users = Users::new().add("alice", "example.com", "secret");
    net.script("bob", move |message, from, out| {
        let Message::Request(request) = message else {
            return;
        };
        noted.borrow_mut().push(request.clone());
        if *request.method() == Method::ACK {
            return;
        }
        let (outcome, confirmation) = match server.verify(out.now, request, Role::Server) {
            Verdict::Settled(outcome) => (outcome, None),
            Verdict::Question(mut question) => {
                let secret = question.ask(&users);
                server.confirm(question, secret.as_ref())
            }
        };
        let mut response = match (&outcome, request.method()) {
            (Outcome::Granted { .. }, &Method::INVITE) => request
                .response(StatusCode::OK)
                .contact(Contact::new(uri("sip:bob@192.0.2.2")))
                .body(ContentType::APPLICATION_SDP, answer())
                .build(),
            (Outcome::Granted { .. }, _) => request.response(StatusCode::OK).build(),
            _ => server
                .answer(out.now, request, Role::Server, &outcome)
                .unwrap(),
        };
        if let Some(confirmation) = confirmation.filter(|_| confirms) {
            confirmation.write(&mut response);
        }
        let to = response.to().unwrap();
        if to.tag().is_none() {
            // A challenge has a tag too, which is none of a dialog's.
            let is_ok = response.status() == StatusCode::OK;
            let tag = Tag::new(if is_ok { "b" } else { "challenge" }).unwrap();
            response.headers_mut().set(to.with_tag(&tag));
        }
        out.send(from, response.to_bytes());
    });
    (net, seen)
}

fn identity() -> Identity {
    alice().credentials(Credentials::password("alice", "secret"))
}

fn call(net: &mut Net) -> CallId {
    let call = net
        .ua(ALICE, |ua, cx| {
            ua.call(cx, &identity(), bob(), CallOptions::new())
        })
        .unwrap();
    net.until(ALICE, established);
    settle(net);
    call
}

/// Alice offers the session of a call again, and has an answer.
fn reoffer(net: &mut Net, call: CallId) {
    net.ua(ALICE, |ua, cx| ua.reoffer(cx, call, offer()))
        .unwrap();
    net.until(ALICE, |event| match event {
        Event::ReofferDone { result, .. } => Some(result.clone()),
        _ => None,
    })
    .unwrap();
}

/// Lets the last ACK arrive.
fn settle(net: &mut Net) {
    net.run_for(Duration::from_millis(50));
}

fn done(event: &Event) -> Option<StatusCode> {
    match event {
        Event::RequestDone { result, .. } => Some(result.as_ref().unwrap().0.status()),
        _ => None,
    }
}

fn credentials(request: &Request) -> Option<String> {
    let field = request.headers().get::<Authorization>()?;
    Some(field.unwrap().to_string())
}

/// RFC 3261 §22.2, TRAPS 13: the retry is a new request to the same target.
#[track_caller]
fn assert_retried(first: &Request, retry: &Request) {
    let number = |request: &Request| request.cseq().unwrap().number();
    assert_eq!(number(retry), number(first) + 1);
    assert_eq!(retry.method(), first.method());
    assert_eq!(retry.uri(), first.uri());
    assert_eq!(retry.call_id().unwrap(), first.call_id().unwrap());
    assert_eq!(retry.from().unwrap(), first.from().unwrap());
    assert_eq!(retry.to().unwrap(), first.to().unwrap());
    assert_ne!(retry.via().unwrap().branch(), first.via().unwrap().branch());
    let route = HeaderName::ROUTE;
    assert_eq!(retry.headers().raw(&route), first.headers().raw(&route));
    assert_eq!(retry.body(), first.body());
    assert!(credentials(retry).unwrap().contains("nc=00000001"));
}

/// Everything but ACK that was sent from `place` on.
fn requests(seen: &Seen, place: usize) -> Vec<Request> {
    let requests = seen.borrow()[place..].to_vec();
    requests
        .into_iter()
        .filter(|request| *request.method() != Method::ACK)
        .collect()
}

#[test]
fn requests_within_a_call_are_challenged_and_answered() {
    let (mut net, seen) = with_strict_bob();
    let call = call(&mut net);
    for method in [
        Method::REFER,
        Method::UPDATE,
        Method::PRACK,
        Method::SUBSCRIBE,
        Method::NOTIFY,
        Method::INFO,
        Method::MESSAGE,
        Method::OPTIONS,
    ] {
        let before = seen.borrow().len();
        net.ua(ALICE, |ua, cx| {
            ua.request_within(cx, call, method.clone(), RequestOptions::new())
        })
        .unwrap();
        assert_eq!(net.until(ALICE, done), StatusCode::OK, "{}", net.show());
        let sent = requests(&seen, before);
        let [first, retry] = &sent[..] else {
            panic!("{method}: {}", net.show())
        };
        assert_eq!(*first.method(), method);
        // Sent ahead, with a nonce that is used up.
        assert!(credentials(first).unwrap().contains("nc=00000002"));
        assert_eq!(first.to().unwrap().tag().unwrap().as_str(), "b");
        assert_retried(first, retry);
    }
    net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).unwrap();
    assert_eq!(net.until(ALICE, ended).cause, Cause::HungUp);
    net.assert_nothing_is_left();
}

/// RFC 7616 §3.6: the nonce of the INVITE with the next count, or the one that the last 2xx has brought.
#[test]
fn one_challenge_serves_a_whole_call() {
    let policy = Digest::realm("example.com");
    for (policy, confirms) in [(policy.clone(), false), (policy.one_time(true), true)] {
        let (mut net, seen) = with_bob(policy, confirms);
        let call = call(&mut net);
        for method in [Method::INFO, Method::MESSAGE] {
            net.ua(ALICE, |ua, cx| {
                ua.request_within(cx, call, method, RequestOptions::new())
            })
            .unwrap();
            assert_eq!(net.until(ALICE, done), StatusCode::OK, "{}", net.show());
        }
        reoffer(&mut net, call);
        net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).unwrap();
        assert_eq!(net.until(ALICE, ended).cause, Cause::HungUp);
        let sent = requests(&seen, 0);
        let counts: Vec<Option<String>> = sent
            .iter()
            .map(|request| {
                let field = request.headers().get::<Authorization>()?.unwrap();
                Some(field.param("nc").unwrap().into_owned())
            })
            .collect();
        let expected = if confirms {
            [0, 1, 1, 1, 1, 1]
        } else {
            [0, 1, 2, 3, 4, 5]
        };
        let expected = expected.map(|count| (count > 0).then(|| format!("{count:08x}")));
        assert_eq!(counts, expected, "{}", net.show());
        net.assert_nothing_is_left();
    }
}

/// UA-013: What is sent ahead has a nonce that is used up; the new one is answered at once (RFC 7616 §3.3: stale).
#[test]
fn reinvite_and_bye_answer_a_nonce_that_is_stale() {
    let (mut net, seen) = with_strict_bob();
    let call = call(&mut net);
    let sent = requests(&seen, 0);
    assert_eq!(sent[0].to().unwrap().tag(), None);
    assert_retried(&sent[0], &sent[1]);

    let before = seen.borrow().len();
    reoffer(&mut net, call);
    settle(&mut net);
    let reinvite = requests(&seen, before);
    assert!(credentials(&reinvite[0]).unwrap().contains("nc=00000002"));
    assert_retried(&reinvite[0], &reinvite[1]);
    // TRAPS 2: the ACK to the challenge is its INVITE's, the one to the 2xx a request of its own with the credentials
    // of the INVITE that was accepted.
    let acks: Vec<Request> = seen.borrow()[before..]
        .iter()
        .filter(|request| *request.method() == Method::ACK)
        .cloned()
        .collect();
    let [refused, accepted] = &acks[..] else {
        panic!("{}", net.show())
    };
    let branch = |request: &Request| request.via().unwrap().branch().map(ToString::to_string);
    assert_eq!(branch(refused), branch(&reinvite[0]));
    assert_ne!(branch(accepted), branch(&reinvite[1]));
    assert_eq!(credentials(accepted), credentials(&reinvite[1]));
    assert_eq!(
        accepted.cseq().unwrap().number(),
        reinvite[1].cseq().unwrap().number()
    );

    let before = seen.borrow().len();
    net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).unwrap();
    assert_eq!(net.until(ALICE, ended).cause, Cause::HungUp);
    let bye = requests(&seen, before);
    assert_eq!(bye.len(), 2, "{}", net.show());
    assert_eq!(*bye[0].method(), Method::BYE);
    assert_retried(&bye[0], &bye[1]);
    net.assert_nothing_is_left();
}

/// UA-013: RFC 3261 §22.2: there is no dialog, so the tag of the 401 is not taken over.
#[test]
fn a_request_outside_of_dialogs_is_sent_again_without_the_tag_of_the_challenge() {
    for method in [Method::OPTIONS, Method::MESSAGE, Method::SUBSCRIBE] {
        let (mut net, seen) = with_strict_bob();
        net.ua(ALICE, |ua, cx| {
            ua.request(cx, &identity(), method, bob(), RequestOptions::new())
        })
        .unwrap();
        assert_eq!(net.until(ALICE, done), StatusCode::OK);
        let sent = requests(&seen, 0);
        let [first, retry] = &sent[..] else {
            panic!("{}", net.show())
        };
        assert_eq!(retry.to().unwrap().tag(), None);
        assert_retried(first, retry);
        net.assert_nothing_is_left();
    }
}
