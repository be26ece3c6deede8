//! Changing the session of an established call (RFC 3261 §14).

#![allow(clippy::unwrap_used)] // a test fails by a panic

mod harness;

use std::time::Duration;

use bytes::Bytes;
use harness::*;
use sip_message::{
    HeaderField, HeaderName, Method, Request, StatusCode, Tag,
    headers::{Contact, RetryAfter, Warning},
};
use sip_ua::{CallId, CallOptions, Cause, Event, Offer, ReofferError, ReofferFailure};

fn established_call() -> (Net, CallId, CallId) {
    let mut net = Net::pair();
    let call = net
        .ua(ALICE, |ua, cx| {
            ua.call(cx, &alice(), bob(), CallOptions::new())
        })
        .unwrap();
    let taken = net.until(BOB, incoming);
    net.ua(BOB, |ua, cx| {
        ua.answer(cx, taken, StatusCode::OK, Vec::new())
    })
    .unwrap();
    net.until(ALICE, established);
    net.until(BOB, established);
    (net, call, taken)
}

fn hold() -> Bytes {
    Bytes::from_static(b"v=0\r\ns=hold\r\n")
}

fn reoffered(event: &Event) -> Option<Result<(), ReofferFailure>> {
    match event {
        Event::ReofferDone { result, .. } => Some(result.clone()),
        _ => None,
    }
}

fn hung_up(mut net: Net, call: CallId) {
    net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).unwrap();
    net.until(ALICE, ended);
    net.assert_nothing_is_left();
}

/// RFC 3665 §3.7 in its core: the session changes by re-INVITE, in both directions.
#[test]
fn either_side_changes_the_session() {
    let (mut net, call, taken) = established_call();
    net.ua(BOB, |ua, cx| ua.reoffer(cx, taken, hold())).unwrap();
    assert!(net.until(BOB, reoffered).is_ok());
    let (local, remote) = net.until(ALICE, |event| match event {
        Event::SessionReady { local, remote, .. } => Some((local.clone(), remote.clone())),
        _ => None,
    });
    assert_eq!((local, remote), (answer(), hold()));
    net.run_for(Duration::from_secs(1));
    net.ua(ALICE, |ua, cx| ua.reoffer(cx, call, offer()))
        .unwrap();
    assert!(net.until(ALICE, reoffered).is_ok());
    assert_eq!(names(&net.events(BOB)), ["session needed", "session"]);
    hung_up(net, call);
}

/// UA-033, UA-037, SDP-014: RFC 3261 §14.1: a failed re-INVITE leaves the session as it was, and the call up.
#[test]
fn a_refused_offer_leaves_the_session_as_it_was() {
    let (mut net, call, taken) = established_call();
    net.auto_session = false;
    net.ua(ALICE, |ua, cx| ua.reoffer(cx, call, hold()))
        .unwrap();
    let question = net.until(BOB, |event| match event {
        Event::SessionNeeded {
            question,
            offer: Some(offer),
            ..
        } if *offer == hold() => Some(*question),
        _ => None,
    });
    let refused = StatusCode::NOT_ACCEPTABLE_HERE;
    let why = Warning::new(305, "bob", "nothing acceptable").unwrap();
    let headers = vec![(HeaderName::WARNING, why.value())];
    net.ua(BOB, |ua, cx| {
        ua.refuse_session_saying(cx, taken, question, refused, headers)
    })
    .unwrap();
    let Err(ReofferFailure::Rejected(response)) = net.until(ALICE, reoffered) else {
        panic!("refused")
    };
    assert_eq!(response.status(), refused);
    let said = response.headers().require::<Warning>().unwrap();
    assert_eq!(said.code(), 305);
    assert!(
        net.ua(BOB, |ua, cx| ua.provide_session(
            cx,
            taken,
            question,
            answer()
        ))
        .is_err()
    );
    assert_eq!(names(&net.events(ALICE)), [""; 0]);
    net.auto_session = true;
    net.ua(ALICE, |ua, cx| ua.reoffer(cx, call, hold()))
        .unwrap();
    assert!(net.until(ALICE, reoffered).is_ok());
    hung_up(net, call);
}

/// UA-035, UA-036, UA-038, SDP-013: RFC 3261 §14.1 and §14.2: both offer at once, both get 491, both try again at different times, both succeed.
#[test]
fn glare_gives_491_and_both_offers_succeed_later() {
    let (mut net, call, taken) = established_call();
    net.ua(ALICE, |ua, cx| ua.reoffer(cx, call, hold()))
        .unwrap();
    net.ua(BOB, |ua, cx| ua.reoffer(cx, taken, hold())).unwrap();
    assert_eq!(
        net.ua(BOB, |ua, cx| ua.reoffer(cx, taken, hold())),
        Err(ReofferError::Busy)
    );
    assert!(net.until(BOB, reoffered).is_ok());
    let after_bob = net.elapsed();
    assert!(net.until(ALICE, reoffered).is_ok());
    assert_eq!(net.count("491 INVITE"), 2, "{}", net.show());
    // Who made the Call-ID waits 2.1 to 4 s, the other side less.
    assert!(after_bob < Duration::from_millis(2_100), "{}", net.show());
    assert!(
        net.elapsed() > Duration::from_millis(2_100),
        "{}",
        net.show()
    );
    hung_up(net, call);
}

/// RFC 3261 §14.1: after the rest the offer is asked for anew, because the other side's change may have come first.
#[test]
fn an_offer_that_met_491_is_made_anew() {
    let (mut net, call, taken) = established_call();
    net.ua(ALICE, |ua, cx| ua.reoffer(cx, call, hold()))
        .unwrap();
    net.ua(BOB, |ua, cx| ua.reoffer(cx, taken, hold())).unwrap();
    assert!(net.until(BOB, reoffered).is_ok());
    net.auto_session = false;
    let question = net.until(ALICE, |event| match event {
        Event::SessionNeeded {
            question,
            offer: None,
            ..
        } => Some(*question),
        _ => None,
    });
    let anew = Bytes::from_static(b"v=0\r\ns=anew\r\n");
    net.ua(ALICE, |ua, cx| {
        ua.provide_session(cx, call, question, anew.clone())
    })
    .unwrap();
    let (question, offer) = net.until(BOB, |event| match event {
        Event::SessionNeeded {
            question,
            offer: Some(offer),
            ..
        } => Some((*question, offer.clone())),
        _ => None,
    });
    assert_eq!(offer, anew);
    net.ua(BOB, |ua, cx| {
        ua.provide_session(cx, taken, question, answer())
    })
    .unwrap();
    assert!(net.until(ALICE, reoffered).is_ok());
    hung_up(net, call);
}

/// RFC 3261 §14.1: nobody makes an offer anew: the change is given up, and the call goes on.
#[test]
fn a_change_that_met_491_and_is_not_made_anew_is_given_up() {
    let (mut net, call, taken) = established_call();
    net.ua(ALICE, |ua, cx| ua.reoffer(cx, call, hold()))
        .unwrap();
    net.ua(BOB, |ua, cx| ua.reoffer(cx, taken, hold())).unwrap();
    assert!(net.until(BOB, reoffered).is_ok());
    net.auto_session = false;
    let question = net.until(ALICE, |event| match event {
        Event::SessionNeeded {
            question,
            offer: None,
            ..
        } => Some(*question),
        _ => None,
    });
    net.ua(ALICE, |ua, cx| {
        ua.refuse_session(cx, call, question, StatusCode::NOT_ACCEPTABLE_HERE)
    })
    .unwrap();
    assert!(matches!(
        net.until(ALICE, reoffered),
        Err(ReofferFailure::Glare)
    ));
    hung_up(net, call);
}

/// UA-042: RFC 3261 §15.1.2: a BYE ends the call while an offer waits for its answer; that gets 487.
#[test]
fn a_bye_during_a_reinvite_terminates_it() {
    let (mut net, call, taken) = established_call();
    net.auto_session = false;
    net.ua(ALICE, |ua, cx| ua.reoffer(cx, call, hold()))
        .unwrap();
    net.run_for(Duration::from_millis(500));
    net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).unwrap();
    assert_eq!(net.until(BOB, ended).cause, Cause::HungUp);
    assert!(net.until(ALICE, ended).by_us);
    assert_eq!(net.count("487 INVITE"), 1, "{}", net.show());
    assert!(net.ua(BOB, |ua, cx| ua.hang_up(cx, taken)).is_err());
    net.assert_nothing_is_left();
}

/// RFC 3261 §12.2.1.2: silence to a re-INVITE ends the call.
#[test]
fn a_reinvite_that_nobody_answers_ends_the_call() {
    let lost: Vec<usize> = (3..60).collect();
    let mut net = Net::new(1).lose(&lost);
    net.agent("alice");
    net.agent("bob");
    let call = net
        .ua(ALICE, |ua, cx| {
            ua.call(cx, &alice(), bob(), CallOptions::new())
        })
        .unwrap();
    let taken = net.until(BOB, incoming);
    net.ua(BOB, |ua, cx| {
        ua.answer(cx, taken, StatusCode::OK, Vec::new())
    })
    .unwrap();
    net.until(BOB, established);
    net.until(ALICE, established);
    net.ua(ALICE, |ua, cx| ua.reoffer(cx, call, hold()))
        .unwrap();
    let ended_here = net.until(ALICE, ended);
    assert!(
        matches!(ended_here.cause, Cause::Failed(_)),
        "{ended_here:?}"
    );
    net.ua(BOB, |ua, cx| ua.hang_up(cx, taken)).unwrap();
    net.until(BOB, ended);
    net.assert_nothing_is_left();
}

/// A scripted caller, its dialog with Bob established, sends what it likes.
struct Caller {
    net: Net,
    call: CallId,
    tag: Tag,
    number: u32,
}

const CALLER: usize = 0;

impl Caller {
    fn new(offer: bool) -> Self {
        let mut net = Net::new(1);
        net.script("caller", |_, _, _| {});
        net.agent("bob");
        let mut invite = Self::request(Method::INVITE, 1, None);
        if offer {
            invite.set_body(
                sip_message::headers::ContentType::APPLICATION_SDP,
                harness::offer(),
            );
        }
        net.send(CALLER, BOB, invite.to_bytes());
        let taken = net.until(BOB, incoming);
        net.ua(BOB, |ua, cx| {
            ua.answer(cx, taken, StatusCode::OK, Vec::new())
        })
        .unwrap();
        net.run_for(Duration::from_millis(50));
        let tag = net.last_response().to().unwrap().tag().unwrap();
        Self {
            net,
            call: taken,
            tag,
            number: 1,
        }
    }

    fn request(method: Method, number: u32, to_tag: Option<&Tag>) -> Request {
        let branch = format!("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{number}{method}");
        let mut request = Request::builder(method, "sip:bob@192.0.2.2")
            .via(branch.parse().unwrap())
            .from("<sip:caller@192.0.2.1>", Tag::new("caller").unwrap())
            .to("<sip:bob@192.0.2.2>")
            .call_id("scripted")
            .cseq(number)
            .contact(Contact::new(uri("sip:caller@192.0.2.1")))
            .build()
            .unwrap();
        if let Some(tag) = to_tag {
            let to = request.to().unwrap().with_tag(tag);
            request.headers_mut().set(to);
        }
        request
    }

    fn send(&mut self, method: Method, body: Option<Bytes>) {
        if method != Method::ACK {
            self.number += 1;
        }
        let mut request = Self::request(method, self.number, Some(&self.tag));
        if let Some(body) = body {
            request.set_body(sip_message::headers::ContentType::APPLICATION_SDP, body);
        }
        self.net.send(CALLER, BOB, request.to_bytes());
        self.net.run_for(Duration::from_millis(50));
    }

    fn last_response(&self) -> sip_message::Response {
        self.net.last_response()
    }

    fn end(mut self) {
        self.send(Method::BYE, None);
        assert_eq!(self.net.count("200 BYE"), 1, "{}", self.net.show());
        self.net.assert_nothing_is_left();
    }
}

/// UA-038: RFC 3261 §14.2: a second INVITE before the first has its final response gets 500 with Retry-After 0 to 10.
#[test]
fn an_overlapping_reinvite_gets_500_with_retry_after() {
    let mut caller = Caller::new(true);
    caller.send(Method::ACK, None);
    caller.net.auto_session = false;
    caller.send(Method::INVITE, Some(hold()));
    caller.send(Method::INVITE, Some(hold()));
    let response = caller.last_response();
    assert_eq!(response.status(), StatusCode::SERVER_INTERNAL_ERROR);
    assert!(
        response
            .headers()
            .get::<RetryAfter>()
            .unwrap()
            .unwrap()
            .seconds()
            <= 10
    );
    caller.end();
}

/// DLG-011: RFC 3261 §12.2.2: a CSeq that falls behind gets 500.
#[test]
fn a_request_out_of_order_gets_500() {
    let mut caller = Caller::new(true);
    caller.send(Method::ACK, None);
    caller.number = 10;
    caller.send(Method::OPTIONS, None);
    assert_eq!(caller.last_response().status(), StatusCode::OK);
    caller.number = 5;
    caller.send(Method::OPTIONS, None);
    assert_eq!(
        caller.last_response().status(),
        StatusCode::SERVER_INTERNAL_ERROR
    );
    caller.number = 11;
    caller.end();
}

/// UA-042, UA-043: RFC 3261 §15.1.2, §12.2.2: a BYE of yesterday ends nothing; one with a gap before it does.
#[test]
fn a_bye_ends_the_call_unless_its_number_is_old() {
    let mut caller = Caller::new(true);
    caller.send(Method::ACK, None);
    caller.number = 10;
    caller.send(Method::OPTIONS, None);
    caller.number = 5;
    caller.send(Method::BYE, None);
    let refused = caller.last_response();
    assert_eq!(refused.status(), StatusCode::SERVER_INTERNAL_ERROR);
    assert_eq!(refused.cseq().unwrap().to_string(), "6 BYE");
    assert_eq!(caller.net.ua(BOB, |ua, _| ua.stats().calls), 1);
    caller.number = 99;
    caller.end();
}

/// UA-035: RFC 3261 §14.1: nothing is offered while an INVITE of the peer is open, nor before its ACK.
#[test]
fn nothing_is_offered_while_the_peers_invite_is_open() {
    let mut caller = Caller::new(true);
    caller.send(Method::ACK, None);
    let call = caller.call;
    caller.net.auto_session = false;
    caller.net.events(BOB);
    caller.send(Method::INVITE, Some(hold()));
    let reoffer = |caller: &mut Caller| caller.net.ua(BOB, |ua, cx| ua.reoffer(cx, call, hold()));
    assert_eq!(reoffer(&mut caller), Err(ReofferError::Busy));
    let question = caller.net.until(BOB, |event| match event {
        Event::SessionNeeded { question, .. } => Some(*question),
        _ => None,
    });
    caller
        .net
        .ua(BOB, |ua, cx| {
            ua.provide_session(cx, call, question, answer())
        })
        .unwrap();
    assert_eq!(reoffer(&mut caller), Err(ReofferError::Busy));
    assert_eq!(caller.net.count("bob       -> caller    INVITE"), 0);
    caller.send(Method::ACK, None);
    assert_eq!(reoffer(&mut caller), Ok(()));
    assert_eq!(caller.net.count("bob       -> caller    INVITE"), 1);
    caller.end();
}

/// RFC 5407 §3.1.5: our offer in the 2xx waits for the ACK; an offer that comes meanwhile gets 491.
#[test]
fn an_offer_before_the_answer_to_ours_gets_491() {
    let mut caller = Caller::new(false);
    caller.send(Method::INVITE, Some(hold()));
    assert_eq!(caller.last_response().status(), StatusCode::REQUEST_PENDING);
    caller.number = 1;
    caller.send(Method::ACK, Some(answer()));
    caller.net.until(BOB, established);
    caller.number = 3;
    caller.end();
}

/// RFC 5407 §3.1.4: the ACK was lost, but nothing is open: the re-INVITE is served, and its ACK stands for both.
#[test]
fn a_reinvite_that_overtakes_the_ack_is_served() {
    let mut caller = Caller::new(true);
    caller.send(Method::INVITE, Some(hold()));
    assert_eq!(caller.last_response().status(), StatusCode::OK);
    caller.send(Method::ACK, None);
    caller.net.until(BOB, established);
    caller.net.run_for(Duration::from_secs(10));
    let before = caller.net.count("200 INVITE");
    caller.net.run_for(Duration::from_secs(10));
    assert_eq!(
        caller.net.count("200 INVITE"),
        before,
        "nothing is repeated any more"
    );
    caller.end();
}

/// RFC 3261 §13.2.1: an ACK without the answer that was due leaves a call without a session, which is ended.
#[test]
fn an_ack_without_the_answer_that_was_due_ends_the_call() {
    let mut caller = Caller::new(false);
    caller.send(Method::ACK, None);
    assert_eq!(caller.net.count("BYE"), 1, "{}", caller.net.show());
    assert_eq!(caller.net.until(BOB, ended).cause, Cause::NoSession);
    caller.net.assert_nothing_is_left();
}

/// UA-039: RFC 3261 §14.2: a peer may ask for our offer in a re-INVITE too.
#[test]
fn a_reinvite_without_an_offer_gets_one() {
    let mut caller = Caller::new(true);
    caller.send(Method::ACK, None);
    caller.send(Method::INVITE, None);
    assert_eq!(caller.last_response().body(), &offer());
    caller.net.events(BOB);
    caller.send(Method::ACK, Some(hold()));
    let remote = caller.net.until(BOB, |event| match event {
        Event::SessionReady { remote, .. } => Some(remote.clone()),
        _ => None,
    });
    assert_eq!(remote, hold());
    caller.end();
}

/// RFC 3261 §9.2: a CANCEL for a re-INVITE ends that alone.
#[test]
fn a_cancelled_reinvite_leaves_the_call_up() {
    let mut caller = Caller::new(true);
    caller.send(Method::ACK, None);
    caller.net.auto_session = false;
    caller.send(Method::INVITE, Some(hold()));
    let branch = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK2INVITE";
    let mut cancel = Caller::request(Method::CANCEL, 2, Some(&caller.tag));
    cancel
        .headers_mut()
        .set::<sip_message::headers::Via>(branch.parse().unwrap());
    caller.net.send(CALLER, BOB, cancel.to_bytes());
    caller.net.run_for(Duration::from_millis(50));
    assert_eq!(caller.net.count("200 CANCEL"), 1);
    assert_eq!(caller.net.count("487 INVITE"), 1, "{}", caller.net.show());
    assert!(caller.net.ua(BOB, |ua, _| ua.stats().calls) == 1);
    caller.end();
}

/// A call of ours that offers nothing and is offered what the application refuses is acknowledged and hung up.
#[test]
fn a_refused_late_offer_is_acknowledged_and_hung_up() {
    let mut net = Net::pair();
    let call = net
        .ua(ALICE, |ua, cx| {
            ua.call(cx, &alice(), bob(), CallOptions::new().offer(Offer::Late))
        })
        .unwrap();
    let taken = net.until(BOB, incoming);
    net.ua(BOB, |ua, cx| {
        ua.answer(cx, taken, StatusCode::OK, Vec::new())
    })
    .unwrap();
    net.auto_session = false;
    let question = net.until(ALICE, |event| match event {
        Event::SessionNeeded { question, .. } => Some(*question),
        _ => None,
    });
    let refused = StatusCode::NOT_ACCEPTABLE_HERE;
    net.ua(ALICE, |ua, cx| {
        ua.refuse_session(cx, call, question, refused)
    })
    .unwrap();
    assert_eq!(net.until(ALICE, ended).cause, Cause::NoSession);
    net.until(BOB, ended);
    assert_eq!(
        (net.count("ACK"), net.count("-> bob       BYE")),
        (1, 1),
        "{}",
        net.show()
    );
    net.assert_nothing_is_left();
}
