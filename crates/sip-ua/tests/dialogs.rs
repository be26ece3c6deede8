//! What a dialog shows on the wire, at its beginning and while it lasts (RFC 3261 §12), against scripted peers.

#![allow(clippy::unwrap_used)] // a test fails by a panic

mod harness;

use std::{cell::RefCell, rc::Rc, time::Duration};

use harness::*;
use sip_message::{
    HeaderName, HeaderValue, Message, Method, Request, Response, StatusCode, Tag, Uri,
    headers::{Contact, ContentType, Route},
};
use sip_ua::{CallId, CallOptions, Cause, Event, RequestOptions};

type Seen = Rc<RefCell<Vec<Message>>>;

/// The scripted peer is at 192.0.2.1 when it calls, and at 192.0.2.2 when it is called.
const CALLER: usize = 0;

/// Alice, and a callee who takes every call and says 200 to everything else but for what the closure wants; what it was
/// sent.
fn with_callee(other: impl Fn(&Request) -> Option<Response> + 'static) -> (Net, Seen) {
    let (seen, noted) = twice();
    let mut net = Net::new(1);
    net.agent("alice");
    net.script("callee", move |message, from, out| {
        noted.borrow_mut().push(message.clone());
        let Some(request) = request(message) else {
            return;
        };
        let response = match (other(request), request.method()) {
            (Some(response), _) => response,
            (None, &Method::ACK) => return,
            (None, &Method::INVITE) => taken(request, "sip:bob@192.0.2.2"),
            (None, _) => request.response(StatusCode::OK).build(),
        };
        out.send(from, response.to_bytes());
    });
    (net, seen)
}

/// A callee's 200 with a session and this Contact.
fn taken(invite: &Request, contact: &str) -> Response {
    let mut ok = invite.response(StatusCode::OK);
    if !invite.has_to_tag() {
        ok = ok.to_tag(tag("b"));
    }
    ok.contact(Contact::new(uri(contact)))
        .body(ContentType::APPLICATION_SDP, answer())
        .build()
}

/// A caller that is played by hand, and Bob; what the caller was sent.
fn with_caller(configure: impl FnOnce(sip_ua::UaConfig) -> sip_ua::UaConfig) -> (Net, Seen) {
    let (seen, noted) = twice();
    let mut net = Net::new(1);
    net.script("caller", move |message, from, out| {
        noted.borrow_mut().push(message.clone());
        if let Some(request) = request(message)
            && *request.method() != Method::ACK
        {
            let contact = Contact::new(uri("sip:caller@192.0.2.1"));
            let ok = request.response(StatusCode::OK).contact(contact).build();
            out.send(from, ok.to_bytes());
        }
    });
    let config = configure(net.config(BOB));
    net.agent_with("bob", config);
    (net, seen)
}

fn twice() -> (Seen, Seen) {
    let seen = Seen::default();
    (seen.clone(), seen)
}

fn tag(text: &str) -> Tag {
    Tag::new(text).unwrap()
}

/// A request of the caller, with further lines.
fn by_caller(method: &str, number: u32, to_tag: &str, lines: &str) -> Request {
    let wire = format!(
        "{method} sip:bob@192.0.2.2 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{number}{method}\r\n\
         Max-Forwards: 70\r\n\
         From: \"Caller\" <sip:caller@192.0.2.1>;tag=c\r\n\
         To: <sip:bob@192.0.2.2>{to_tag}\r\n\
         Call-ID: by-the-caller\r\n\
         CSeq: {number} {method}\r\n\
         {lines}Content-Length: 0\r\n\r\n"
    );
    Request::parse(wire.into()).unwrap()
}

const CONTACT: &str = "Contact: <sip:caller@192.0.2.1>\r\n";

/// The caller's INVITE, which Bob answers; and Bob's tag, as it stands in To.
fn answered(net: &mut Net, mut invite: Request) -> (CallId, String) {
    invite.set_body(ContentType::APPLICATION_SDP, offer());
    net.send(CALLER, BOB, invite.to_bytes());
    let call = net.until(BOB, incoming);
    net.ua(BOB, |ua, cx| {
        ua.answer(cx, call, StatusCode::OK, Vec::new())
    })
    .unwrap();
    settle(net);
    let bob = net.last_response().to().unwrap().tag().unwrap();
    (call, format!(";tag={bob}"))
}

fn established_by(net: &mut Net, invite: Request) -> (CallId, String) {
    let (call, bob) = answered(net, invite);
    net.send(CALLER, BOB, by_caller("ACK", 1, &bob, "").to_bytes());
    net.until(BOB, established);
    (call, bob)
}

fn called(net: &mut Net) -> CallId {
    let call = net
        .ua(ALICE, |ua, cx| {
            ua.call(cx, &alice(), bob(), CallOptions::new())
        })
        .unwrap();
    net.until(ALICE, established);
    settle(net);
    call
}

fn reoffered(net: &mut Net, call: CallId) {
    net.ua(ALICE, |ua, cx| ua.reoffer(cx, call, offer()))
        .unwrap();
    net.until(ALICE, |event| {
        matches!(event, Event::ReofferDone { .. }).then_some(())
    });
    settle(net);
}

/// Sends a request of the application within a call and waits for its outcome.
fn asked(net: &mut Net, host: usize, call: CallId, method: Method) {
    net.ua(host, |ua, cx| {
        ua.request_within(cx, call, method, RequestOptions::new())
    })
    .unwrap();
    net.until(host, |event| {
        matches!(event, Event::RequestDone { .. }).then_some(())
    });
}

fn hung_up(net: &mut Net, host: usize, call: CallId) {
    net.ua(host, |ua, cx| ua.hang_up(cx, call)).unwrap();
    net.until(host, ended);
    net.assert_nothing_is_left();
}

fn settle(net: &mut Net) {
    net.run_for(Duration::from_millis(50));
}

fn requests(seen: &Seen) -> Vec<Request> {
    seen.borrow().iter().filter_map(request).cloned().collect()
}

fn responses(seen: &Seen) -> Vec<Response> {
    seen.borrow().iter().filter_map(response).cloned().collect()
}

fn last_request(seen: &Seen) -> Request {
    requests(seen).pop().unwrap()
}

fn contact(request: &Request) -> Option<String> {
    let contact = request.headers().get::<Contact>()?;
    Some(contact.unwrap().to_string())
}

fn routes(request: &Request) -> Vec<String> {
    let routes = request.headers().all::<Route>();
    routes.map(|route| route.unwrap().to_string()).collect()
}

/// The lines of a message that have this name, as they stand.
fn lines(message: &str, name: &str) -> Vec<String> {
    let lines = message.split("\r\n");
    lines
        .filter(|line| line.starts_with(name))
        .map(str::to_owned)
        .collect()
}

/// DLG-001, UA-021: RFC 3261 §12.1.1, §8.2.6.2.
#[test]
fn responses_copy_what_they_must_and_have_one_tag() {
    let invite = |call_id: &str| {
        let invite = by_caller(
            "INVITE",
            1,
            "",
            "Via: SIP/2.0/TCP p1.example.com;branch=z9hG4bKp1, SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKua\r\n\
             Record-Route: <sip:p2.example.com;lr;x=1>, <sip:p1.example.com;transport=tcp;lr>;rr=2\r\n\
             Record-Route: \"Name\" <sip:p0.example.com;lr>\r\n\
             Contact: <sip:caller@192.0.2.1>\r\n",
        );
        let text = invite.to_string();
        Request::parse(text.replace("by-the-caller", call_id).into()).unwrap()
    };
    for (final_response, call_id) in [(200, "taken"), (486, "refused")] {
        let (mut net, seen) = with_caller(|config| config);
        let invite = invite(call_id);
        net.send(CALLER, BOB, invite.to_bytes());
        let call = net.until(BOB, incoming);
        net.ua(BOB, |ua, cx| {
            ua.ring(cx, call).unwrap();
            match final_response {
                200 => ua.answer(cx, call, StatusCode::OK, Vec::new()).unwrap(),
                _ => ua
                    .reject(cx, call, StatusCode::BUSY_HERE, Vec::new())
                    .unwrap(),
            }
        });
        settle(&mut net);
        let asked = invite.to_string();
        let responses = responses(&seen);
        let statuses: Vec<u16> = responses.iter().map(|it| it.status().as_u16()).collect();
        assert_eq!(statuses, [180, final_response]);
        for response in &responses {
            let said = response.to_string();
            for name in ["Via", "From", "Call-ID", "CSeq"] {
                assert_eq!(lines(&said, name), lines(&asked, name));
            }
            if response.status() != StatusCode::BUSY_HERE {
                assert_eq!(lines(&said, "Record-Route"), lines(&asked, "Record-Route"));
                assert_eq!(lines(&said, "Contact").len(), 1);
            }
            let to = response.to().unwrap();
            assert_eq!(to.uri(), invite.to().unwrap().uri());
            assert!(to.tag().is_some());
            assert_eq!(to.tag(), responses[0].to().unwrap().tag());
        }
        // The caller never acknowledges: after 64*T1 Bob gives up, and so it ends either way.
        net.run();
    }
}

/// DLG-006, DLG-008: RFC 3261 §12.2.1.1. DLG-007: without servers between, the target is all there is. UA-001: §8.1.1.1.
#[test]
fn requests_within_a_dialog_count_up_and_name_both_ends() {
    let (mut net, seen) = with_callee(|_| None);
    let call = called(&mut net);
    asked(&mut net, ALICE, call, Method::INFO);
    reoffered(&mut net, call);
    asked(&mut net, ALICE, call, Method::OPTIONS);
    hung_up(&mut net, ALICE, call);
    let seen = requests(&seen);
    let numbers: Vec<String> = seen
        .iter()
        .map(|request| request.cseq().unwrap().to_string())
        .collect();
    assert_eq!(
        numbers,
        [
            "1 INVITE",
            "1 ACK",
            "2 INFO",
            "3 INVITE",
            "3 ACK",
            "4 OPTIONS",
            "5 BYE"
        ]
    );
    let invite = &seen[0];
    assert_eq!(invite.uri(), invite.to().unwrap().uri());
    for within in &seen[1..] {
        assert_eq!(within.call_id().unwrap(), invite.call_id().unwrap());
        assert_eq!(within.from().unwrap(), invite.from().unwrap());
        let to = within.to().unwrap();
        assert_eq!(
            (to.uri().as_str(), to.tag()),
            ("sip:bob@192.0.2.2", Some(tag("b")))
        );
        assert_eq!(within.uri().as_str(), "sip:bob@192.0.2.2");
        assert_eq!(routes(within), [""; 0]);
    }
    assert_eq!(contact(&seen[3]), contact(invite));
    assert!(contact(invite).is_some());
}

/// DLG-009: RFC 3261 §12.2.1.2: what answers a request that may move the target moves it; no server gets between.
#[test]
fn a_2xx_moves_the_remote_target_and_never_the_route_set() {
    let moving = [Method::INVITE, Method::UPDATE, Method::SUBSCRIBE];
    for (method, moves) in moving
        .into_iter()
        .map(|method| (method, true))
        .chain([(Method::INFO, false)])
    {
        let within = method.clone();
        let (mut net, seen) = with_callee(move |request| {
            let moved = || {
                let mut ok = taken(request, "sip:bob@192.0.2.2;moved");
                let late = HeaderValue::from_static("<sip:too-late.example.com;lr>");
                ok.headers_mut().push_raw(HeaderName::RECORD_ROUTE, late);
                ok
            };
            (*request.method() == within && request.has_to_tag()).then(moved)
        });
        let call = called(&mut net);
        match method {
            Method::INVITE => reoffered(&mut net, call),
            _ => asked(&mut net, ALICE, call, method.clone()),
        }
        hung_up(&mut net, ALICE, call);
        let bye = last_request(&seen);
        assert_eq!(*bye.method(), Method::BYE);
        let target = if moves {
            "sip:bob@192.0.2.2;moved"
        } else {
            "sip:bob@192.0.2.2"
        };
        assert_eq!(bye.uri().as_str(), target, "{method}");
        assert_eq!(routes(&bye), [""; 0]);
    }
}

/// DLG-013: RFC 3261 §12.2.2, RFC 6141 §4.6: what is accepted moves the target, what is refused does not.
#[test]
fn a_request_that_is_accepted_moves_the_remote_target() {
    for (method, status, moves) in [
        ("INVITE", StatusCode::OK, true),
        ("UPDATE", StatusCode::OK, true),
        ("SUBSCRIBE", StatusCode::ACCEPTED, true),
        ("NOTIFY", StatusCode::OK, true),
        ("REFER", StatusCode::ACCEPTED, true),
        ("UPDATE", StatusCode::NOT_ACCEPTABLE_HERE, false),
        ("INFO", StatusCode::OK, false),
        ("OPTIONS", StatusCode::OK, false),
    ] {
        let (mut net, seen) = with_caller(|config| {
            let methods = ["UPDATE", "SUBSCRIBE", "NOTIFY", "REFER", "INFO"];
            methods.into_iter().fold(config, |config, method| {
                config.listen_to(Method::new(method).unwrap())
            })
        });
        let (call, bob) = established_by(&mut net, by_caller("INVITE", 1, "", CONTACT));
        let moved = "Contact: <sip:caller@192.0.2.1;moved>\r\n";
        net.send(CALLER, BOB, by_caller(method, 2, &bob, moved).to_bytes());
        settle(&mut net);
        match method {
            "INVITE" => {
                let mut ack = by_caller("ACK", 2, &bob, "");
                ack.set_body(ContentType::APPLICATION_SDP, answer());
                net.send(CALLER, BOB, ack.to_bytes());
                settle(&mut net);
            }
            "OPTIONS" => {}
            _ => {
                let (id, request) = net.until(BOB, |event| match event {
                    Event::Request { id, request, .. } => Some((*id, request.clone())),
                    _ => None,
                });
                let response = request.response(status).build();
                net.ua(BOB, |ua, cx| ua.respond(cx, id, response)).unwrap();
            }
        }
        settle(&mut net);
        hung_up(&mut net, BOB, call);
        let target = if moves {
            "sip:caller@192.0.2.1;moved"
        } else {
            "sip:caller@192.0.2.1"
        };
        assert_eq!(
            last_request(&seen).uri().as_str(),
            target,
            "{method} {}",
            status.as_u16()
        );
    }
}

/// UA-006: RFC 3261 §8.1.1.8, and its like in RFC 3515 §2.4.7 and RFC 6665 §4.1.2.1: what may make a dialog says where its
/// sender is. UA-081: RFC 3428 §4: a MESSAGE makes none.
#[test]
fn requests_that_make_dialogs_have_one_contact_and_others_none() {
    let (mut net, seen) = with_callee(|_| None);
    let call = called(&mut net);
    let methods = [
        (Method::INVITE, true),
        (Method::SUBSCRIBE, true),
        (Method::REFER, true),
        (Method::NOTIFY, true),
        (Method::MESSAGE, false),
        (Method::PUBLISH, false),
    ];
    for (method, _) in &methods[1..] {
        net.ua(ALICE, |ua, cx| {
            ua.request(cx, &alice(), method.clone(), bob(), RequestOptions::new())
        })
        .unwrap();
        settle(&mut net);
    }
    for (method, _) in [
        (Method::SUBSCRIBE, true),
        (Method::UPDATE, true),
        (Method::MESSAGE, false),
    ] {
        asked(&mut net, ALICE, call, method);
    }
    hung_up(&mut net, ALICE, call);
    for request in requests(&seen) {
        let expected = usize::from(matches!(
            *request.method(),
            Method::INVITE | Method::SUBSCRIBE | Method::REFER | Method::NOTIFY | Method::UPDATE
        ));
        let contacts: Vec<Contact> = request
            .headers()
            .all::<Contact>()
            .map(Result::unwrap)
            .collect();
        assert_eq!(contacts.len(), expected, "{}", request.method());
        assert!(contacts.iter().all(|contact| contact.uri().is_sip()));
    }
    assert_eq!(requests(&seen).len(), 11, "{}", net.show());
}

/// DLG-005: RFC 3261 §12.1.1, §12.2.1.1: a caller of RFC 2543 has no tag, and nothing that goes to it has one.
#[test]
fn a_caller_without_a_tag_has_a_dialog() {
    let untagged = |request: Request| {
        let text = request.to_string().replace(";tag=c", "");
        Request::parse(text.into()).unwrap()
    };
    let (mut net, seen) = with_caller(|config| config);
    let (call, bob) = answered(&mut net, untagged(by_caller("INVITE", 1, "", CONTACT)));
    let ack = untagged(by_caller("ACK", 1, &bob, ""));
    net.send(CALLER, BOB, ack.to_bytes());
    net.until(BOB, established);
    let options = untagged(by_caller("OPTIONS", 2, &bob, ""));
    net.send(CALLER, BOB, options.to_bytes());
    settle(&mut net);
    assert_eq!(net.last_response().status(), StatusCode::OK);
    hung_up(&mut net, BOB, call);
    let bye = last_request(&seen);
    assert_eq!(bye.to().unwrap().tag(), None);
    assert_eq!(format!(";tag={}", bye.from().unwrap().tag().unwrap()), bob);
}

/// DLG-005: RFC 3261 §12.1.2: nor has a callee.
#[test]
fn a_callee_without_a_tag_has_a_dialog() {
    let (mut net, seen) = with_callee(|request| {
        (*request.method() == Method::INVITE).then(|| {
            let text = taken(request, "sip:bob@192.0.2.2").to_string();
            Response::parse(text.replace(";tag=b", "").into()).unwrap()
        })
    });
    let call = called(&mut net);
    asked(&mut net, ALICE, call, Method::INFO);
    hung_up(&mut net, ALICE, call);
    let seen = requests(&seen);
    let methods: Vec<&str> = seen.iter().map(|it| it.method().as_str()).collect();
    assert_eq!(methods, ["INVITE", "ACK", "INFO", "BYE"]);
    assert!(seen.iter().all(|it| it.to().unwrap().tag().is_none()));
}

/// DLG-010, UA-037: RFC 3261 §12.2.1.2, §14.1: who has lost the dialog says 481, who says nothing counts as 408. The call is
/// over, and a BYE says so to whoever still holds it.
#[test]
fn a_481_or_408_within_a_call_ends_it() {
    for method in [Method::INFO, Method::INVITE] {
        for status in [StatusCode::CALL_DOES_NOT_EXIST, StatusCode::REQUEST_TIMEOUT] {
            let within = method.clone();
            let (mut net, _) = with_callee(move |request| {
                let lost = *request.method() == within && request.has_to_tag();
                lost.then(|| request.response(status).build())
            });
            let call = called(&mut net);
            match method {
                Method::INVITE => net
                    .ua(ALICE, |ua, cx| ua.reoffer(cx, call, offer()))
                    .unwrap(),
                _ => asked(&mut net, ALICE, call, method.clone()),
            }
            let ended = net.until(ALICE, ended);
            assert_eq!(ended.cause, Cause::Lost);
            assert_eq!(ended.response.unwrap().status(), status);
            assert_eq!(
                net.count("alice     -> callee    BYE"),
                1,
                "{method}\n{}",
                net.show()
            );
            net.assert_nothing_is_left();
        }
    }
}

/// UA-041: RFC 3261 §15.1.1: with the BYE the session is over, whatever is said to it.
#[test]
fn a_bye_ends_the_session_at_once_and_the_call_whatever_is_said_to_it() {
    for status in [
        StatusCode::OK,
        StatusCode::CALL_DOES_NOT_EXIST,
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::SERVER_INTERNAL_ERROR,
    ] {
        let (mut net, _) = with_callee(move |request| {
            (*request.method() == Method::BYE).then(|| request.response(status).build())
        });
        let call = called(&mut net);
        net.events(ALICE);
        net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).unwrap();
        assert_eq!(names(&net.events(ALICE)), ["parting"]);
        assert_eq!(net.until(ALICE, ended).cause, Cause::HungUp);
        assert_eq!(net.count("alice     -> callee    BYE"), 1);
        net.assert_nothing_is_left();
    }
}

/// DLG-017: RFC 3261 §12.2.1.1: a dialog is its Call-ID and tags; the URIs in From and To may become others (RFC 4916).
#[test]
fn a_request_with_another_uri_in_from_belongs_to_its_dialog() {
    let (mut net, seen) = with_caller(|config| config);
    let (_, bob) = established_by(&mut net, by_caller("INVITE", 1, "", CONTACT));
    let renamed = |request: Request| {
        let text = request.to_string();
        let text = text.replace(
            "\"Caller\" <sip:caller@192.0.2.1>",
            "<sips:other@example.org>",
        );
        let text = text.replace("To: <sip:bob@192.0.2.2>", "To: \"Bob\" <tel:+15551234>");
        Request::parse(text.into()).unwrap()
    };
    for (number, method) in [(2, "OPTIONS"), (3, "BYE")] {
        let request = renamed(by_caller(method, number, &bob, ""));
        net.send(CALLER, BOB, request.to_bytes());
        settle(&mut net);
        assert_eq!(net.last_response().status(), StatusCode::OK, "{method}");
    }
    assert_eq!(net.until(BOB, ended).cause, Cause::HungUp);
    assert_eq!(responses(&seen).len(), 3);
    net.assert_nothing_is_left();
}

/// UA-025: RFC 3261 §11.2: OPTIONS asks, and changes nothing: not even the target.
#[test]
fn options_within_a_call_leaves_it_as_it_is() {
    let (mut net, seen) = with_caller(|config| config);
    let (call, bob) = established_by(&mut net, by_caller("INVITE", 1, "", CONTACT));
    net.events(BOB);
    let elsewhere = "Contact: <sip:caller@192.0.2.1;elsewhere>\r\n";
    let options = by_caller("OPTIONS", 2, &bob, elsewhere);
    net.send(CALLER, BOB, options.to_bytes());
    settle(&mut net);
    assert_eq!(net.last_response().status(), StatusCode::OK);
    assert_eq!(names(&net.events(BOB)), [""; 0]);
    hung_up(&mut net, BOB, call);
    let target: Uri = last_request(&seen).uri().clone();
    assert_eq!(target.as_str(), "sip:caller@192.0.2.1");
}
