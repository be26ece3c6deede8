//! Registrations (RFC 3665 §2), and challenges wherever they come (RFC 3261 §22).

#![allow(clippy::unwrap_used)] // a test fails by a panic

mod harness;

use std::{cell::RefCell, rc::Rc, time::Duration};

use harness::*;
use sip_auth::{Credentials, Digest, Outcome, Role, Server, Users};
use sip_message::{
    HeaderName, HeaderValue, Message, Method, Request, StatusCode, Tag,
    headers::{
        Authorization, CSeq, Contact, ContentType, Expires, MinExpires, ProxyAuthorization,
        RetryAfter,
    },
};
use sip_ua::{
    CallOptions, Cause, Event, Identity, RegistrationId, RegistrationOptions, RequestError,
};

/// The registrar's host.
const REGISTRAR: usize = BOB;

type Seen = Rc<RefCell<Vec<Request>>>;

/// A registrar with digest authentication at 192.0.2.2 and Alice at 192.0.2.1; what it was sent.
fn with_registrar(lifetime: Duration) -> (Net, Seen) {
    let mut net = Net::new(1);
    net.agent("alice");
    let seen = Seen::default();
    let noted = seen.clone();
    let policy = Digest::realm("example.com").nonce_lifetime(lifetime);
    let mut server = Server::new(policy, [9; 32], net.clock());
    let users = Users::new().add("alice", "example.com", "secret");
    net.script("registrar", move |message, from, out| {
        let Some(request) = request(message) else {
            return;
        };
        noted.borrow_mut().push(request.clone());
        let outcome = server.authenticate(out.now, request, Role::Server, &users);
        let response = match &outcome {
            Outcome::Granted { .. } => accepted(request),
            _ => server
                .answer(out.now, request, Role::Server, &outcome)
                .unwrap(),
        };
        out.send(from, response.to_bytes());
    });
    (net, seen)
}

/// The 200 that lists the binding, after another one of the same user.
fn accepted(request: &Request) -> sip_message::Response {
    let contact = request.headers().get::<Contact>().unwrap().unwrap();
    let mut builder = request
        .response(StatusCode::OK)
        .to_tag(Tag::new("registrar").unwrap());
    builder = builder
        .header(Contact::new(uri("sip:alice@198.51.100.9")).with_expires(Duration::from_secs(17)));
    if contact.expires() != Some(Duration::ZERO) {
        builder = builder.header(contact);
    }
    builder.build()
}

fn identity(password: &str) -> Identity {
    Identity::new(uri("sip:alice@192.0.2.2")).credentials(Credentials::password("alice", password))
}

fn register(net: &mut Net, password: &str) -> RegistrationId {
    net.ua(ALICE, |ua, cx| {
        ua.register(cx, &identity(password), RegistrationOptions::new())
    })
    .unwrap()
}

fn registered(event: &Event) -> Option<Duration> {
    match event {
        Event::Registered { expires, .. } => Some(*expires),
        _ => None,
    }
}

fn retrying(event: &Event) -> Option<Duration> {
    match event {
        Event::RegistrationRetrying { after, .. } => Some(*after),
        _ => None,
    }
}

fn over(event: &Event) -> Option<Result<(), RequestError>> {
    match event {
        Event::RegistrationEnded { result, .. } => Some(result.clone()),
        _ => None,
    }
}

/// UA-004: RFC 3665 §2.1: successful new registration; then §2.2 (update) with credentials sent ahead, and §2.4 (cancellation).
/// REG-009: the Request-URI names no user. REG-010: a refresh comes in time. REG-011: zero takes the binding away.
/// AUT-011: credentials are sent ahead.
#[test]
fn a_registration_is_made_refreshed_and_withdrawn() {
    let (mut net, seen) = with_registrar(Duration::from_secs(3_600));
    let registration = register(&mut net, "secret");
    assert_eq!(net.until(ALICE, registered), Duration::from_secs(600));
    net.assert_ladder(
        "
           0 ms  alice     -> registrar REGISTER
          10 ms  registrar -> alice     401 REGISTER
          20 ms  alice     -> registrar REGISTER
          30 ms  registrar -> alice     200 REGISTER
        ",
    );
    net.until(ALICE, registered);
    let refreshed = net.elapsed();
    // Before it expires, with jitter.
    assert!((480..=541).contains(&refreshed.as_secs()), "{refreshed:?}");
    assert_eq!(
        net.count("401"),
        1,
        "credentials were sent ahead\n{}",
        net.show()
    );
    net.ua(ALICE, |ua, cx| ua.unregister(cx, registration))
        .unwrap();
    assert!(net.until(ALICE, over).is_ok());
    let seen = seen.borrow();
    let numbers: Vec<_> = seen.iter().map(|request| request.cseq().unwrap()).collect();
    let counted: Vec<_> = (1..=4)
        .map(|number| CSeq::new(number, Method::REGISTER))
        .collect();
    assert_eq!(numbers, counted, "TRAPS 13: CSeq + 1 for each");
    assert!(
        seen.iter()
            .all(|request| request.call_id().unwrap() == seen[0].call_id().unwrap())
    );
    assert_eq!(seen[0].uri().as_str(), "sip:192.0.2.2");
    assert_eq!(seen[0].to().unwrap().uri().as_str(), "sip:alice@192.0.2.2");
    let last = seen.last().unwrap();
    assert_eq!(
        last.headers().get::<Expires>().unwrap().unwrap(),
        Expires(0)
    );
    assert_eq!(
        last.headers().get::<Contact>().unwrap().unwrap().expires(),
        Some(Duration::ZERO)
    );
    drop(seen);
    net.assert_nothing_is_left();
}

/// AUT-007: RFC 3665 §2.5: wrong credentials are asked once, not in a loop.
#[test]
fn a_wrong_password_is_tried_once() {
    let (mut net, _) = with_registrar(Duration::from_secs(3_600));
    register(&mut net, "wrong");
    let Err(RequestError::Unauthorized(response)) = net.until(ALICE, over) else {
        panic!("refused")
    };
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(net.count("-> registrar REGISTER"), 2, "{}", net.show());
    net.assert_nothing_is_left();
}

/// A challenge without credentials to answer it.
#[test]
fn a_challenge_without_credentials_ends_the_registration() {
    let (mut net, _) = with_registrar(Duration::from_secs(3_600));
    let nobody = Identity::new(uri("sip:alice@192.0.2.2"));
    net.ua(ALICE, |ua, cx| {
        ua.register(cx, &nobody, RegistrationOptions::new())
    })
    .unwrap();
    assert!(matches!(
        net.until(ALICE, over),
        Err(RequestError::Unauthorized(_))
    ));
    assert_eq!(net.count("-> registrar REGISTER"), 1);
    net.assert_nothing_is_left();
}

/// AUT-001: RFC 3261 §22.1: who asks for a password in the clear does not get it.
#[test]
fn basic_is_not_answered() {
    let mut net = scripted(|request, _| {
        let challenge = HeaderValue::new("Basic realm=\"example.com\"").unwrap();
        request
            .response(StatusCode::UNAUTHORIZED)
            .raw_header(HeaderName::WWW_AUTHENTICATE, challenge)
            .build()
    });
    register(&mut net, "secret");
    let ended = net.until(ALICE, over);
    assert!(
        matches!(ended, Err(RequestError::Unauthorized(_))),
        "{ended:?}"
    );
    assert_eq!(net.count("-> registrar REGISTER"), 1);
    net.assert_nothing_is_left();
}

/// AUT-007: RFC 3261 §22.3: a nonce that has grown old is renewed without a word.
#[test]
fn a_stale_nonce_is_renewed() {
    let (mut net, _) = with_registrar(Duration::from_secs(300));
    let registration = register(&mut net, "secret");
    net.until(ALICE, registered);
    net.until(ALICE, registered);
    assert_eq!(net.count("401"), 2, "{}", net.show());
    net.ua(ALICE, |ua, cx| ua.unregister(cx, registration))
        .unwrap();
    assert!(net.until(ALICE, over).is_ok());
    net.assert_nothing_is_left();
}

/// Servers that forget to say `stale` refuse what was sent ahead; the same password with the new nonce is tried once.
#[test]
fn credentials_sent_ahead_have_a_second_try_at_a_server_that_does_not_say_stale() {
    let mut net = Net::new(1);
    net.agent("alice");
    let mut nonce = 0;
    net.script("registrar", move |message, from, out| {
        let Some(request) = request(message) else {
            return;
        };
        let current = format!("nonce=\"n{nonce}\"");
        let fresh = request
            .headers()
            .get::<Authorization>()
            .is_some_and(|value| value.unwrap().to_string().contains(&current));
        let response = if fresh {
            nonce += 1;
            accepted(request)
        } else {
            let challenge =
                format!("Digest realm=\"example.com\", {current}, algorithm=MD5, qop=\"auth\"");
            let challenge = HeaderValue::new(challenge).unwrap();
            request
                .response(StatusCode::UNAUTHORIZED)
                .raw_header(HeaderName::WWW_AUTHENTICATE, challenge)
                .build()
        };
        out.send(from, response.to_bytes());
    });
    let registration = register(&mut net, "secret");
    for _ in 0..5 {
        net.until(ALICE, registered);
    }
    assert_eq!(net.count("401"), 5, "{}", net.show());
    net.ua(ALICE, |ua, cx| ua.unregister(cx, registration))
        .unwrap();
    assert!(net.until(ALICE, over).is_ok());
    net.assert_nothing_is_left();
}

/// A registrar that answers what the closure says.
fn scripted(answer: impl Fn(&Request, usize) -> sip_message::Response + 'static) -> Net {
    let mut net = Net::new(1);
    net.agent("alice");
    let mut number = 0;
    net.script("registrar", move |message: &Message, from, out| {
        let Some(request) = request(message) else {
            return;
        };
        out.send(from, answer(request, number).to_bytes());
        number += 1;
    });
    net
}

/// REG-010: RFC 3261 §10.2.8: 423 names the shortest time that the registrar grants.
#[test]
fn an_interval_that_is_too_brief_is_made_longer() {
    let mut net =
        scripted(
            |request, _| match request.headers().get::<Expires>().unwrap().unwrap() {
                Expires(0) | Expires(1800) => accepted(request),
                _ => request
                    .response(StatusCode::INTERVAL_TOO_BRIEF)
                    .header(MinExpires(1800))
                    .build(),
            },
        );
    let registration = register(&mut net, "secret");
    assert_eq!(net.until(ALICE, registered), Duration::from_secs(1_800));
    net.ua(ALICE, |ua, cx| ua.unregister(cx, registration))
        .unwrap();
    assert!(net.until(ALICE, over).is_ok());
    assert_eq!(net.count("-> registrar REGISTER"), 3);
    net.assert_nothing_is_left();
}

/// REG-011: RFC 3261 §10.2.4: how long a binding is, the 200 says at its Contact, whatever was asked for and whatever else it
/// lists.
#[test]
fn the_200_says_how_long_a_binding_is() {
    let mut net = scripted(|request, _| {
        let own = request.headers().get::<Contact>().unwrap().unwrap();
        let asked = own.expires().unwrap();
        let others = accepted(request);
        let mut response = others;
        response.headers_mut().remove::<Contact>();
        let other = Contact::new(uri("sip:alice@198.51.100.9"));
        response
            .headers_mut()
            .push(other.with_expires(Duration::from_secs(9)));
        if !asked.is_zero() {
            let own = own.with_expires(Duration::from_secs(100));
            response.headers_mut().push(own);
        }
        response.headers_mut().set(Expires(3_000));
        response
    });
    let registration = register(&mut net, "secret");
    assert_eq!(net.until(ALICE, registered), Duration::from_secs(100));
    net.until(ALICE, registered);
    let refreshed = net.elapsed().as_secs();
    assert!((80..=91).contains(&refreshed), "{refreshed}");
    net.ua(ALICE, |ua, cx| ua.unregister(cx, registration))
        .unwrap();
    assert!(net.until(ALICE, over).is_ok());
    net.assert_nothing_is_left();
}

/// A registrar that refuses what it asked for itself is not asked for ever.
#[test]
fn a_423_that_cannot_be_pleased_ends_the_registration() {
    let mut net = scripted(|request, _| {
        request
            .response(StatusCode::INTERVAL_TOO_BRIEF)
            .header(MinExpires(1800))
            .build()
    });
    register(&mut net, "secret");
    assert!(matches!(
        net.until(ALICE, over),
        Err(RequestError::Rejected(_))
    ));
    assert_eq!(net.count("-> registrar REGISTER"), 2);
    net.assert_nothing_is_left();
}

/// UA-090: RFC 5626 §4.5, table in appendix A: the time between attempts doubles from 1 min to 30 min, at least half of it certain.
#[test]
fn a_failing_registrar_is_asked_ever_less_often() {
    let mut net =
        scripted(|request, _| request.response(StatusCode::SERVER_INTERNAL_ERROR).build());
    let registration = register(&mut net, "secret");
    for doubled in [60, 120, 240, 480, 960, 1_800, 1_800] {
        let after = net.until(ALICE, retrying).as_secs_f64();
        assert!(
            (f64::from(doubled) / 2.0..=f64::from(doubled)).contains(&after),
            "{after} of {doubled}"
        );
    }
    // Nothing is bound, so there is nothing to withdraw.
    net.ua(ALICE, |ua, cx| ua.unregister(cx, registration))
        .unwrap();
    assert!(net.until(ALICE, over).is_ok());
    net.assert_nothing_is_left();
}

/// UA-044: RFC 3261 §20.33: a registrar may say itself when to come again; then all is well, and the count starts anew.
#[test]
fn retry_after_is_heeded_and_success_forgets_failures() {
    let mut net = scripted(|request, number| match number {
        0 => request
            .response(StatusCode::SERVICE_UNAVAILABLE)
            .header(RetryAfter::new(Duration::from_secs(100)))
            .build(),
        2 => request.response(StatusCode::SERVER_INTERNAL_ERROR).build(),
        _ => accepted(request),
    });
    let registration = register(&mut net, "secret");
    assert_eq!(net.until(ALICE, retrying), Duration::from_secs(100));
    net.until(ALICE, registered);
    assert!(net.until(ALICE, retrying) <= Duration::from_secs(60));
    net.until(ALICE, registered);
    net.ua(ALICE, |ua, cx| ua.unregister(cx, registration))
        .unwrap();
    net.assert_nothing_is_left();
}

/// A registrar that is not there is tried again as well.
#[test]
fn silence_is_a_failure_that_time_may_mend() {
    let mut net = Net::new(1);
    net.agent("alice");
    net.script("deaf", |_, _, _| {});
    let registration = register(&mut net, "secret");
    net.until(ALICE, retrying);
    assert_eq!(net.elapsed(), Duration::from_secs(32));
    net.ua(ALICE, |ua, cx| ua.unregister(cx, registration))
        .unwrap();
    net.assert_nothing_is_left();
}

/// What no time can mend.
#[test]
fn a_forbidden_registration_is_over() {
    let mut net = scripted(|request, _| request.response(StatusCode::FORBIDDEN).build());
    register(&mut net, "secret");
    let Err(RequestError::Rejected(response)) = net.until(ALICE, over) else {
        panic!("refused")
    };
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    net.assert_nothing_is_left();
}

/// REG-010: RFC 3261 §10.2: one REGISTER at a time.
///
/// API program 4: dropping a registration that is still under way withdraws what it has brought about.
#[test]
fn a_registration_that_is_given_up_under_way_is_withdrawn() {
    let (mut net, seen) = with_registrar(Duration::from_secs(3_600));
    let registration = register(&mut net, "secret");
    net.ua(ALICE, |ua, cx| ua.unregister(cx, registration))
        .unwrap();
    assert!(net.until(ALICE, over).is_ok());
    let expires: Vec<_> = seen
        .borrow()
        .iter()
        .map(|request| request.headers().get::<Expires>().unwrap().unwrap().0)
        .collect();
    assert_eq!(expires, [600, 600, 0]);
    net.assert_nothing_is_left();
}

/// API program 4: `leave` forgets without a message.
#[test]
fn leaving_sends_nothing() {
    let (mut net, seen) = with_registrar(Duration::from_secs(3_600));
    let registration = register(&mut net, "secret");
    net.until(ALICE, registered);
    net.ua(ALICE, |ua, _| ua.leave(registration)).unwrap();
    assert!(net.until(ALICE, over).is_ok());
    net.assert_nothing_is_left();
    assert_eq!(seen.borrow().len(), 2);
}

#[test]
fn a_shutdown_withdraws_registrations() {
    let (mut net, seen) = with_registrar(Duration::from_secs(3_600));
    register(&mut net, "secret");
    net.until(ALICE, registered);
    net.shutdown(ALICE);
    assert!(!net.is_idle(ALICE));
    assert!(net.until(ALICE, over).is_ok());
    assert_eq!(
        seen.borrow()
            .last()
            .unwrap()
            .headers()
            .get::<Expires>()
            .unwrap()
            .unwrap(),
        Expires(0)
    );
    net.assert_nothing_is_left();
}

/// RFC 5626 §4.4.1 in its core: with the connection the way to us is lost, so it is bound anew at once.
#[test]
fn a_binding_is_made_anew_when_its_connection_breaks() {
    let mut net = Net::new(1);
    net.agent("alice");
    let config = net.config(REGISTRAR).listen_to(Method::REGISTER);
    net.agent_with("registrar", config);
    let answer = |net: &mut Net| {
        let (id, request) = net.until(REGISTRAR, |event| match event {
            Event::Request { id, request, .. } => Some((*id, request.clone())),
            _ => None,
        });
        net.ua(REGISTRAR, |ua, cx| ua.respond(cx, id, accepted(&request)))
            .unwrap();
    };
    let options = RegistrationOptions::new().registrar(uri("sip:192.0.2.2;transport=tcp"));
    let registration = net
        .ua(ALICE, |ua, cx| {
            ua.register(cx, &identity("secret"), options)
        })
        .unwrap();
    answer(&mut net);
    net.until(ALICE, registered);
    let before = net.elapsed();
    net.break_streams(REGISTRAR);
    answer(&mut net);
    net.until(ALICE, registered);
    assert!(
        net.elapsed() - before < Duration::from_secs(3),
        "{}",
        net.show()
    );
    assert_eq!(net.opened(ALICE), 2);
    net.ua(ALICE, |ua, _| ua.leave(registration)).unwrap();
}

/// AUT-008: RFC 3665 §3.2 in its core: a proxy challenges the INVITE; TRAPS 2: the ACK repeats its credentials; the BYE sends
/// them ahead.
#[test]
fn a_challenged_call_shows_its_credentials_in_ack_and_bye() {
    let mut net = Net::new(1);
    net.agent("alice");
    let seen = Seen::default();
    let noted = seen.clone();
    let mut server = Server::new(Digest::realm("example.com"), [9; 32], net.clock());
    let users = Users::new().add("alice", "example.com", "secret");
    net.script("bob", move |message, from, out| {
        let Some(request) = request(message) else {
            return;
        };
        noted.borrow_mut().push(request.clone());
        if *request.method() == Method::ACK {
            return;
        }
        let tag = Tag::new("b").unwrap();
        let outcome = server.authenticate(out.now, request, Role::Proxy, &users);
        let response = match (&outcome, request.method()) {
            (Outcome::Granted { .. }, &Method::INVITE) => {
                let contact = Contact::new(uri("sip:bob@192.0.2.2"));
                let ok = request
                    .response(StatusCode::OK)
                    .to_tag(tag)
                    .contact(contact);
                ok.body(ContentType::APPLICATION_SDP, answer()).build()
            }
            (Outcome::Granted { .. }, _) => request.response(StatusCode::OK).build(),
            _ => server
                .answer(out.now, request, Role::Proxy, &outcome)
                .unwrap(),
        };
        out.send(from, response.to_bytes());
    });
    let identity = alice().credentials(Credentials::password("alice", "secret"));
    let call = net
        .ua(ALICE, |ua, cx| {
            ua.call(cx, &identity, bob(), CallOptions::new())
        })
        .unwrap();
    net.until(ALICE, established);
    net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).unwrap();
    assert_eq!(net.until(ALICE, ended).cause, Cause::HungUp);
    net.assert_ladder(
        "
           0 ms  alice -> bob   INVITE
          10 ms  bob   -> alice 407 INVITE
          20 ms  alice -> bob   ACK
          20 ms  alice -> bob   INVITE
          30 ms  bob   -> alice 200 INVITE
          40 ms  alice -> bob   ACK
          40 ms  alice -> bob   BYE
          50 ms  bob   -> alice 200 BYE
        ",
    );
    let seen = seen.borrow();
    let credentials = |index: usize| {
        seen[index]
            .headers()
            .get::<ProxyAuthorization>()
            .map(|value| value.unwrap().to_string())
    };
    assert_eq!(credentials(0), None);
    assert_eq!(
        credentials(3),
        credentials(2),
        "the ACK repeats the INVITE's"
    );
    assert!(credentials(2).unwrap().contains("nc=00000001"));
    assert!(credentials(4).unwrap().contains("nc=00000002"));
    let numbers: Vec<_> = seen
        .iter()
        .map(|request| request.cseq().unwrap().number())
        .collect();
    assert_eq!(numbers, [1, 1, 2, 2, 3]);
    drop(seen);
    net.assert_nothing_is_left();
}
