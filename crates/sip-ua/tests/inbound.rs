//! What a user agent answers to requests that are no ordinary call (RFC 3261 §8.2, §11.2).

#![allow(clippy::unwrap_used)] // a test fails by a panic

mod harness;

use std::time::Duration;

use harness::*;
use sip_endpoint::ServerTransactionId;
use sip_message::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode, Tag,
    headers::{Contact, ContentType, RetryAfter, Unsupported},
};
use sip_ua::{CallOptions, Event, RequestOptions, UaConfig};

const PEER: usize = 0;

/// A scripted peer and Bob.
fn net(configure: impl FnOnce(UaConfig) -> UaConfig) -> Net {
    let mut net = Net::new(1);
    net.script("peer", |_, _, _| {});
    let config = configure(net.config(BOB));
    net.agent_with("bob", config);
    net
}

fn a_request(method: &str, number: u32) -> Request {
    let via = format!("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{method}{number}");
    Request::builder(Method::new(method).unwrap(), "sip:bob@192.0.2.2")
        .via(via.parse().unwrap())
        .from("<sip:peer@192.0.2.1>", Tag::new("peer").unwrap())
        .to("<sip:bob@192.0.2.2>")
        .call_id(format!("{method}{number}"))
        .cseq(number)
        .contact(Contact::new(uri("sip:peer@192.0.2.1")))
        .build()
        .unwrap()
}

fn answer_to(net: &mut Net, request: &Request) -> Response {
    net.send(PEER, BOB, request.to_bytes());
    net.run_for(Duration::from_millis(50));
    let response = net.last_response();
    assert_eq!(
        response.call_id().unwrap(),
        request.call_id().unwrap(),
        "it is the answer to this request"
    );
    response
}

fn status_of(request: &Request) -> StatusCode {
    let mut net = net(|config| config);
    let response = answer_to(&mut net, request);
    assert!(response.to().unwrap().tag().is_some());
    assert_eq!(
        names(&net.events(BOB)),
        [""; 0],
        "the application saw nothing"
    );
    net.assert_nothing_is_left();
    response.status()
}

fn handed_out(event: &Event) -> Option<(ServerTransactionId, Request)> {
    match event {
        Event::Request { id, request, .. } => Some((*id, Request::clone(request))),
        _ => None,
    }
}

/// UA-024: RFC 3261 §11.2.
#[test]
fn options_says_what_is_served() {
    let mut net = net(|config| config.listen_to(Method::MESSAGE).extension("path"));
    let response = answer_to(&mut net, &a_request("OPTIONS", 1));
    assert_eq!(response.status(), StatusCode::OK);
    let raw = |name| response.headers().raw(&name).unwrap();
    assert_eq!(
        raw(HeaderName::ALLOW),
        "INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE"
    );
    assert_eq!(raw(HeaderName::ACCEPT), "application/sdp");
    assert_eq!(raw(HeaderName::ACCEPT_ENCODING), "identity");
    assert_eq!(raw(HeaderName::ACCEPT_LANGUAGE), "*");
    assert_eq!(raw(HeaderName::SUPPORTED), "path");
    assert!(response.headers().contains::<Contact>());
    net.ua(BOB, |ua, _| ua.ignore(&Method::MESSAGE));
    let response = answer_to(&mut net, &a_request("OPTIONS", 2));
    assert_eq!(
        response.headers().raw(&HeaderName::ALLOW).unwrap(),
        "INVITE, ACK, CANCEL, BYE, OPTIONS"
    );
    net.assert_nothing_is_left();
}

/// UA-024: RFC 3261 §11.2: the status is that of an INVITE.
#[test]
fn options_gets_what_an_invite_would_get() {
    let mut net = net(|config| config.take_calls(false));
    let unavailable = StatusCode::TEMPORARILY_UNAVAILABLE;
    assert_eq!(
        answer_to(&mut net, &a_request("OPTIONS", 1)).status(),
        unavailable
    );
    assert_eq!(
        answer_to(&mut net, &a_request("INVITE", 1)).status(),
        unavailable
    );
    net.assert_nothing_is_left();
}

/// UA-014, MSG-003: RFC 3261 §8.2.1: known and not served, unknown.
#[test]
fn methods_that_are_not_served_get_405_with_allow_or_501() {
    let mut net = net(|config| config);
    let response = answer_to(&mut net, &a_request("SUBSCRIBE", 1));
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(
        response.headers().raw(&HeaderName::ALLOW).unwrap(),
        "INVITE, ACK, CANCEL, BYE, OPTIONS"
    );
    // RFC 3261 §7.1: a method has case, so the second is no INVITE.
    for method in ["PING", "invite"] {
        assert_eq!(
            answer_to(&mut net, &a_request(method, 1)).status(),
            StatusCode::NOT_IMPLEMENTED
        );
    }
    assert_eq!(names(&net.events(BOB)), [""; 0]);
    net.assert_nothing_is_left();
}

/// MSG-014 and MSG-047: RFC 3261 §7.3.2: what nobody knows, and what nobody needs and cannot be read, hinders no call.
#[test]
fn what_is_unknown_or_malformed_and_not_needed_hinders_no_call() {
    for (number, line) in [
        "Foo: ;;,,",
        "Date: yesterday",
        "Warning: nonsense",
        "Expires: soon",
        "Timestamp: now",
        "Subject: ",
        "Alert-Info: <<>",
        "Call-Info: ;;;",
        "Priority: \"",
        "MIME-Version: x",
    ]
    .into_iter()
    .enumerate()
    {
        let mut net = net(|config| config);
        let text = a_request("INVITE", number as u32).to_string();
        let text = text.replace("\r\nContact:", &format!("\r\n{line}\r\nContact:"));
        assert!(text.contains(line));
        net.send(PEER, BOB, text);
        let call = net.until(BOB, incoming);
        net.ua(BOB, |ua, cx| ua.ring(cx, call)).unwrap();
        net.run_for(Duration::from_millis(50));
        assert_eq!(net.last_response().status(), StatusCode::RINGING, "{line}");
        net.ua(BOB, |ua, cx| {
            ua.reject(cx, call, StatusCode::DECLINE, Vec::new())
        })
        .unwrap();
        net.assert_nothing_is_left();
    }
}

/// MSG-025: RFC 3261 §20.8: a Call-ID has case, so these are two calls and no merged request.
#[test]
fn call_ids_that_differ_in_case_are_two_calls() {
    let mut net = net(|config| config);
    let mut calls = Vec::new();
    for (call_id, branch) in [("a@host", "1"), ("A@host", "2")] {
        let mut request = a_request("INVITE", 1);
        let value = HeaderValue::new(call_id).unwrap();
        request.headers_mut().set_raw(HeaderName::CALL_ID, value);
        let via = format!("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{branch}");
        let via = via.parse().unwrap();
        request.headers_mut().set::<sip_message::headers::Via>(via);
        net.send(PEER, BOB, request.to_bytes());
        calls.push(net.until(BOB, incoming));
    }
    assert_ne!(calls[0], calls[1]);
    for call in calls {
        net.ua(BOB, |ua, cx| {
            ua.reject(cx, call, StatusCode::DECLINE, Vec::new())
        })
        .unwrap();
    }
    net.assert_nothing_is_left();
}

/// UA-015: RFC 3261 §8.2.2.1: whoever it was meant for in To; whether there is such a user only the application knows.
#[test]
fn a_call_is_taken_whatever_to_says_and_an_unknown_user_gets_404() {
    let mut net = net(|config| config);
    for (number, to) in (1..).zip(["<sip:somebody@example.org>", "<tel:+15551234>", "<x:y>"]) {
        let text = a_request("INVITE", number).to_string();
        let text = text.replace("To: <sip:bob@192.0.2.2>", &format!("To: {to}"));
        net.send(
            PEER,
            BOB,
            text.replace("INVITE sip:bob@", "INVITE sip:nobody@"),
        );
        let (call, user) = net.until(BOB, |event| match event {
            Event::IncomingCall { call, request, .. } => {
                Some((*call, request.uri().user().unwrap().into_owned()))
            }
            _ => None,
        });
        assert_eq!(user, "nobody");
        net.ua(BOB, |ua, cx| {
            ua.reject(cx, call, StatusCode::NOT_FOUND, Vec::new())
        })
        .unwrap();
        assert_eq!(net.last_response().status(), StatusCode::NOT_FOUND);
    }
    net.assert_nothing_is_left();
}

/// UA-015: RFC 3261 §8.2.2.1.
#[test]
fn a_request_uri_of_another_scheme_gets_416() {
    let mut request = a_request("INVITE", 1);
    request.set_uri(uri("tel:+15551234"));
    assert_eq!(status_of(&request), StatusCode::UNSUPPORTED_URI_SCHEME);
}

/// UA-017: RFC 3261 §8.2.2.3: 420 names what is not supported, and only that.
#[test]
fn an_unknown_require_gets_420_with_unsupported() {
    let mut net = net(|config| config.extension("path"));
    let mut request = a_request("INVITE", 1);
    request.headers_mut().push_raw(
        HeaderName::REQUIRE,
        HeaderValue::from_static("Path, 100rel, x-unheard-of"),
    );
    let response = answer_to(&mut net, &request);
    assert_eq!(response.status(), StatusCode::BAD_EXTENSION);
    let unsupported = response.headers().get::<Unsupported>().unwrap().unwrap();
    assert_eq!(
        unsupported.iter().collect::<Vec<_>>(),
        ["100rel", "x-unheard-of"]
    );
    net.assert_nothing_is_left();
}

/// UA-017: RFC 3261 §8.2.2.3: Require asks nothing in CANCEL and ACK, which nobody could answer so.
#[test]
fn a_require_in_cancel_or_ack_is_ignored() {
    let requiring = |method: &str, invite: &Request| {
        let text = invite
            .to_string()
            .replace("INVITE sip:", &format!("{method} sip:"));
        let text = text.replace("1 INVITE", &format!("1 {method}"));
        let text = text.replace("Contact:", "Require: x-unheard-of\r\nContact:");
        Request::parse(text.into()).unwrap()
    };
    let mut net = net(|config| config);
    let invite = a_request("INVITE", 1);
    net.send(PEER, BOB, invite.to_bytes());
    net.until(BOB, incoming);
    net.send(PEER, BOB, requiring("CANCEL", &invite).to_bytes());
    assert_eq!(net.until(BOB, ended).cause, sip_ua::Cause::Cancelled);
    net.run_for(Duration::from_millis(50));
    assert_eq!((net.count("200 CANCEL"), net.count("487 INVITE")), (1, 1));
    assert_eq!(net.count("420"), 0);
    let text = invite.to_string().replace("INVITE1", "INVITE9");
    let mut invite = Request::parse(text.into()).unwrap();
    net.send(PEER, BOB, invite.to_bytes());
    let call = net.until(BOB, incoming);
    net.ua(BOB, |ua, cx| {
        ua.answer(cx, call, StatusCode::OK, Vec::new())
    })
    .unwrap();
    let tag = net.last_response().to().unwrap().tag().unwrap();
    let to = invite.to().unwrap().with_tag(&tag);
    invite.headers_mut().set(to);
    let mut ack = requiring("ACK", &invite);
    ack.set_body(ContentType::APPLICATION_SDP, answer());
    let text = ack.to_string().replace("z9hG4bKINVITE9", "z9hG4bKACK9");
    net.send(PEER, BOB, text);
    net.until(BOB, established);
    net.ua(BOB, |ua, cx| ua.hang_up(cx, call)).unwrap();
    net.assert_nothing_is_left();
}

/// UA-023: RFC 3261 §8.3: who redirects says where to, the caller's way, and forwards nothing.
#[test]
fn a_redirection_lists_contacts_and_forwards_nothing() {
    let mut net = net(|config| config);
    net.send(PEER, BOB, a_request("INVITE", 1).to_bytes());
    let call = net.until(BOB, incoming);
    let contacts = ["<sip:one@192.0.2.1>;q=0.9", "<sip:two@192.0.2.1>;q=0.5"];
    let contacts = contacts.map(|it| (HeaderName::CONTACT, HeaderValue::from_static(it)));
    let moved = StatusCode::MOVED_TEMPORARILY;
    net.ua(BOB, |ua, cx| ua.reject(cx, call, moved, contacts.into()))
        .unwrap();
    let response = net.last_response();
    let listed: Vec<String> = response
        .headers()
        .all::<Contact>()
        .map(|contact| contact.unwrap().uri().to_string())
        .collect();
    assert_eq!(response.status(), moved);
    assert_eq!(listed, ["sip:one@192.0.2.1", "sip:two@192.0.2.1"]);
    let mut ack = a_request("ACK", 1);
    let via = a_request("INVITE", 1).via().unwrap();
    ack.headers_mut().set(via);
    ack.headers_mut().set(response.to().unwrap());
    ack.headers_mut().set(response.call_id().unwrap());
    net.send(PEER, BOB, ack.to_bytes());
    net.run();
    net.assert_ladder(
        "0 ms peer -> bob INVITE\n10 ms bob -> peer 302 INVITE\n10 ms peer -> bob ACK",
    );
    net.assert_nothing_is_left();
}

/// UA-018, MSG-053, MSG-054: RFC 3261 §8.2.3.
#[test]
fn a_body_that_is_no_session_description_gets_415_unless_it_is_optional() {
    let mut request = a_request("INVITE", 1);
    request.set_body(ContentType::TEXT_PLAIN, "hello");
    let mut net = net(|config| config);
    let response = answer_to(&mut net, &request);
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(
        response.headers().raw(&HeaderName::ACCEPT).unwrap(),
        "application/sdp"
    );
    let mut request = a_request("INVITE", 2);
    request.set_body(ContentType::APPLICATION_SDP, offer());
    request.headers_mut().push_raw(
        HeaderName::CONTENT_ENCODING,
        HeaderValue::from_static("gzip"),
    );
    let response = answer_to(&mut net, &request);
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(
        response
            .headers()
            .raw(&HeaderName::ACCEPT_ENCODING)
            .unwrap(),
        "identity"
    );
    let mut request = a_request("INVITE", 3);
    request.set_body(ContentType::TEXT_PLAIN, "hello");
    let optional = HeaderValue::from_static("render;handling=optional");
    request
        .headers_mut()
        .push_raw(HeaderName::CONTENT_DISPOSITION, optional);
    net.send(PEER, BOB, request.to_bytes());
    let call = net.until(BOB, incoming);
    net.ua(BOB, |ua, cx| {
        ua.reject(cx, call, StatusCode::DECLINE, Vec::new())
    })
    .unwrap();
    net.assert_nothing_is_left();
}

/// UA-042, DLG-012: RFC 3261 §12.2.2: a dialog that is not ours, and a BYE that names none.
#[test]
fn requests_in_unknown_dialogs_get_481() {
    let mut bye = a_request("BYE", 1);
    assert_eq!(status_of(&bye), StatusCode::CALL_DOES_NOT_EXIST);
    let to = bye.to().unwrap().with_tag(&Tag::new("unheard-of").unwrap());
    bye.headers_mut().set(to.clone());
    assert_eq!(status_of(&bye), StatusCode::CALL_DOES_NOT_EXIST);
    let mut invite = a_request("INVITE", 1);
    invite.headers_mut().set(to);
    assert_eq!(status_of(&invite), StatusCode::CALL_DOES_NOT_EXIST);
}

/// DLG-012: TRAPS 3: nothing ever answers an ACK; TRAPS 18: a user agent drops stray ones.
#[test]
fn a_stray_ack_is_dropped() {
    let mut net = net(|config| config);
    let mut ack = a_request("ACK", 1);
    net.send(PEER, BOB, ack.to_bytes());
    let to = ack.to().unwrap().with_tag(&Tag::new("unheard-of").unwrap());
    ack.headers_mut().set(to);
    net.send(PEER, BOB, ack.to_bytes());
    net.run();
    net.assert_ladder("0 ms peer -> bob ACK\n0 ms peer -> bob ACK");
    net.assert_nothing_is_left();
}

/// RFC 3261 §9.2: a CANCEL that matches nothing.
#[test]
fn a_cancel_for_nothing_gets_481() {
    assert_eq!(
        status_of(&a_request("CANCEL", 1)),
        StatusCode::CALL_DOES_NOT_EXIST
    );
}

/// UA-016: TRAPS 17: the same request over another way.
#[test]
fn a_merged_invite_gets_482() {
    let mut net = net(|config| config);
    let first = a_request("INVITE", 1);
    net.send(PEER, BOB, first.to_bytes());
    let call = net.until(BOB, incoming);
    let mut second = first;
    second.headers_mut().set::<sip_message::headers::Via>(
        "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKother"
            .parse()
            .unwrap(),
    );
    assert_eq!(
        answer_to(&mut net, &second).status(),
        StatusCode::LOOP_DETECTED
    );
    assert_eq!(names(&net.events(BOB)), [""; 0]);
    net.ua(BOB, |ua, cx| {
        ua.reject(cx, call, StatusCode::DECLINE, Vec::new())
    })
    .unwrap();
    net.assert_nothing_is_left();
}

/// RFC 3261 §8.1.1.8: an INVITE must say where its sender is reached.
#[test]
fn an_invite_without_contact_gets_400() {
    let mut request = a_request("INVITE", 1);
    request.headers_mut().remove::<Contact>();
    assert_eq!(status_of(&request), StatusCode::BAD_REQUEST);
}

/// A limit and its documented answer.
#[test]
fn calls_above_the_limit_get_503() {
    let mut net = net(|config| config.calls(1));
    net.send(PEER, BOB, a_request("INVITE", 1).to_bytes());
    let call = net.until(BOB, incoming);
    assert_eq!(
        answer_to(&mut net, &a_request("INVITE", 2)).status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    let back = sip_ua::Identity::new(bob());
    let refused = net.ua(BOB, |ua, cx| {
        ua.call(cx, &back, uri("sip:peer@192.0.2.1"), CallOptions::new())
    });
    assert_eq!(refused, Err(sip_ua::StartError::Full(1)));
    net.ua(BOB, |ua, cx| ua.hang_up(cx, call)).unwrap();
    net.assert_nothing_is_left();
}

/// UA-081: A method that the application listens to is its own to answer, up to a limit.
#[test]
fn messages_are_handed_out_and_answered_by_the_application() {
    let mut net = net(|config| config.listen_to(Method::MESSAGE).handed_out(1));
    net.send(PEER, BOB, a_request("MESSAGE", 1).to_bytes());
    let (id, request) = net.until(BOB, handed_out);
    let response = answer_to(&mut net, &a_request("MESSAGE", 2));
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains::<RetryAfter>());
    let accepted = request.response(StatusCode::ACCEPTED).build();
    net.ua(BOB, |ua, cx| ua.respond(cx, id, accepted.clone()))
        .unwrap();
    assert_eq!(net.last_response().status(), StatusCode::ACCEPTED);
    assert!(!net.last_response().headers().contains::<Contact>());
    assert!(net.last_response().to().unwrap().tag().is_some());
    assert!(
        net.ua(BOB, |ua, cx| ua.respond(cx, id, accepted)).is_err(),
        "it was answered"
    );
    net.send(PEER, BOB, a_request("MESSAGE", 3).to_bytes());
    let (id, request) = net.until(BOB, handed_out);
    net.ua(BOB, |ua, cx| {
        ua.respond(cx, id, request.response(StatusCode::OK).build())
    })
    .unwrap();
    net.assert_nothing_is_left();
}

/// API program 3: any final response is a pong; a deadline is one for all.
#[test]
fn options_goes_out_and_its_answer_comes_back() {
    let mut net = Net::pair();
    let done = |event: &Event| match event {
        Event::RequestDone { result, .. } => Some(result.clone()),
        _ => None,
    };
    let options = RequestOptions::new().deadline(Duration::from_secs(5));
    net.ua(ALICE, |ua, cx| {
        ua.request(cx, &alice(), Method::OPTIONS, bob(), options.clone())
    })
    .unwrap();
    let (response, flow) = net.until(ALICE, done).unwrap();
    assert_eq!(
        (response.status(), flow.remote()),
        (StatusCode::OK, address(BOB))
    );
    let before = net.elapsed();
    let nowhere = uri("sip:carol@192.0.2.77");
    net.ua(ALICE, |ua, cx| {
        ua.request(cx, &alice(), Method::OPTIONS, nowhere, options)
    })
    .unwrap();
    assert!(net.until(ALICE, done).is_err());
    assert_eq!(net.elapsed() - before, Duration::from_secs(5));
    net.assert_nothing_is_left();
}

/// RFC 3261 §12.2.1.2: a 481 within a call says that the peer has lost it.
#[test]
fn a_481_to_a_request_within_a_call_ends_the_call() {
    let mut net = Net::new(1);
    net.agent("alice");
    net.script("bob", |message, from, out| {
        let Some(request) = request(message) else {
            return;
        };
        let tag = Tag::new("b").unwrap();
        match *request.method() {
            Method::INVITE => {
                let contact = Contact::new(uri("sip:bob@192.0.2.2"));
                let ok = request
                    .response(StatusCode::OK)
                    .to_tag(tag)
                    .contact(contact);
                out.send(
                    from,
                    ok.body(ContentType::APPLICATION_SDP, answer())
                        .build()
                        .to_bytes(),
                );
            }
            Method::ACK => {}
            _ => out.send(
                from,
                request
                    .response(StatusCode::CALL_DOES_NOT_EXIST)
                    .build()
                    .to_bytes(),
            ),
        }
    });
    let call = net
        .ua(ALICE, |ua, cx| {
            ua.call(cx, &alice(), bob(), CallOptions::new())
        })
        .unwrap();
    net.until(ALICE, established);
    net.ua(ALICE, |ua, cx| {
        ua.request_within(cx, call, Method::INFO, RequestOptions::new())
    })
    .unwrap();
    let ended = net.until(ALICE, ended);
    assert_eq!(ended.cause, sip_ua::Cause::Lost);
    assert_eq!(
        ended.response.unwrap().status(),
        StatusCode::CALL_DOES_NOT_EXIST
    );
    net.assert_nothing_is_left();
}

/// Trap 18.
#[test]
fn an_ack_that_belongs_to_nothing_is_dropped_and_counted() {
    let mut net = net(|config| config);
    net.send(PEER, BOB, a_request("ACK", 1).to_bytes());
    net.run_for(Duration::from_millis(50));
    assert_eq!(net.count("ACK"), 1, "nothing answers it");
    assert_eq!(net.core(BOB).stats().acknowledgements_dropped, 1);
    net.assert_nothing_is_left();
}
