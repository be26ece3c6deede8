#![allow(clippy::disallowed_methods)] // a test needs an instant to start from

use super::*;
use crate::{Digest, Outcome, Server, Users};
use sip_io::WallClock;
use sip_message::{HeaderValue, StatusCode, Tag};
use std::time::{Duration, Instant, SystemTime};

fn request(method: Method, uri: &str) -> Request {
    Request::builder(method, uri)
        .from("sip:alice@example.com", Tag::new("a").expect("is a tag"))
        .to("sip:bob@example.com")
        .call_id("1@alice")
        .cseq(1)
        .build()
        .expect("is a request")
}

fn invite() -> Request {
    request(Method::INVITE, "sip:bob@example.com")
}

fn challenged(status: StatusCode, fields: &[(HeaderName, &str)]) -> Response {
    let mut response = invite().response(status).build();
    for (name, text) in fields {
        let value = HeaderValue::new(text).expect("is text");
        response.headers_mut().push_raw(name.clone(), value);
    }
    response
}

fn by_server(text: &str) -> Response {
    challenged(
        StatusCode::UNAUTHORIZED,
        &[(HeaderName::WWW_AUTHENTICATE, text)],
    )
}

fn by_proxy(text: &str) -> Response {
    challenged(
        StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        &[(HeaderName::PROXY_AUTHENTICATE, text)],
    )
}

fn alice() -> Client {
    let mut client = Client::new([1; 32]);
    client.add(Credentials::password("alice", "secret"));
    client
}

fn shown(request: &Request) -> Authorization {
    request
        .headers()
        .require::<Authorization>()
        .expect("credentials are there")
}

fn param(request: &Request, name: &str) -> Option<String> {
    shown(request).param(name).map(Cow::into_owned)
}

/// AUT-005 and AUT-006: RFC 3261 §22.4: the `uri` is the Request-URI as written, and values are quoted as the grammar has
/// it.
#[test]
fn credentials_are_written_as_the_grammar_has_it() {
    let mut client = Client::new([1; 32]);
    client.add(Credentials::password(r#"al"ice\"#, "secret"));
    let mut request = request(Method::INVITE, "sip:b%6Fb@Example.com:5060;transport=udp");
    let response = by_server(
        r#"Digest realm="the \"realm\"", nonce="n", opaque="o", algorithm=MD5, qop="auth""#,
    );
    client
        .respond(&mut request, &response)
        .expect("can be answered");
    let text = shown(&request).to_string();
    for part in [
        r#"Digest username="al\"ice\\", realm="the \"realm\"", nonce="n","#,
        r#"uri="sip:b%6Fb@Example.com:5060;transport=udp""#,
        "algorithm=MD5,",
        r#"opaque="o""#,
        "qop=auth, nc=00000001",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

/// AUT-006: RFC 2069: without `qop` there is neither count nor client nonce, and what was not named stays unnamed.
#[test]
fn an_old_challenge_gets_an_old_answer() {
    let mut request = invite();
    alice()
        .respond(&mut request, &by_server(r#"Digest realm="r", nonce="n""#))
        .expect("can be answered");
    for name in ["qop", "nc", "cnonce", "algorithm", "opaque"] {
        assert_eq!(param(&request, name), None, "{name}");
    }
    let inputs = crate::Inputs {
        algorithm: Algorithm::Md5,
        user: "alice",
        realm: "r",
        method: "INVITE",
        uri: "sip:bob@example.com",
        nonce: "n",
        protection: None,
        body: b"",
    };
    let expected = crate::response(&inputs, &crate::Secret::password("secret"));
    assert_eq!(param(&request, "response"), expected);
}

/// AUT-003: RFC 8760 §2.4.
#[test]
fn the_topmost_challenge_that_is_supported_is_answered() {
    let fields = [
        r#"Basic realm="r""#,
        r#"Digest realm="r", nonce="n0", algorithm=AKAv1-MD5, qop="auth""#,
        r#"Digest realm="r", nonce="n1", algorithm=SHA-256, qop="auth""#,
        r#"Digest realm="r", nonce="n2", algorithm=MD5, qop="auth""#,
    ]
    .map(|text| (HeaderName::WWW_AUTHENTICATE, text));
    let response = challenged(StatusCode::UNAUTHORIZED, &fields);
    let mut request = invite();
    alice()
        .respond(&mut request, &response)
        .expect("can be answered");
    assert_eq!(param(&request, "algorithm").as_deref(), Some("SHA-256"));
    assert_eq!(request.headers().count::<Authorization>(), 1);

    let mut old = Client::new([1; 32]);
    let hash = "0".repeat(32);
    let stored = Credentials::ha1("alice", "r", Algorithm::Md5, &hash).expect("is a hash");
    old.add(stored);
    let mut request = invite();
    old.respond(&mut request, &response)
        .expect("can be answered");
    assert_eq!(param(&request, "nonce").as_deref(), Some("n2"));

    let mut strict = alice();
    strict.set_algorithms([Algorithm::Sha512_256]);
    assert_eq!(
        strict.respond(&mut invite(), &response),
        Err(AuthError::Unsupported)
    );
}

/// AUT-007: RFC 3261 §22.2: the same password is not tried twice.
#[test]
fn refused_credentials_are_not_sent_again() {
    let mut client = alice();
    let mut request = invite();
    let response = |n: u8| by_server(&format!(r#"Digest realm="r", nonce="n{n}", qop="auth""#));
    client
        .respond(&mut request, &response(1))
        .expect("can be answered");
    let before = request.to_bytes();
    assert_eq!(
        client.respond(&mut request, &response(2)),
        Err(AuthError::Rejected { realm: "r".into() })
    );
    assert_eq!(request.to_bytes(), before, "the request is as it was");
    // Another request may be tried; the answer decides.
    assert!(client.respond(&mut invite(), &response(3)).is_ok());
}

#[test]
fn the_next_credentials_that_fit_are_tried_after_a_refusal() {
    let mut client = alice();
    client.add(Credentials::password("bob", "hello").for_realm("r"));
    client.add(Credentials::password("carol", "x").for_realm("elsewhere"));
    let mut request = invite();
    let response = |n: u8| by_server(&format!(r#"Digest realm="r", nonce="n{n}", qop="auth""#));
    let mut users = Vec::new();
    let error = loop {
        match client.respond(&mut request, &response(users.len() as u8)) {
            Ok(()) => users.push(param(&request, "username").expect("is there")),
            Err(error) => break error,
        }
    };
    assert_eq!(users, ["bob", "alice"]);
    assert_eq!(error, AuthError::Rejected { realm: "r".into() });
}

/// AUT-007: RFC 3261 §22.2: `stale=true` means the same password with the new nonce, without asking anyone.
#[test]
fn a_stale_nonce_is_replaced_but_not_for_ever() {
    let mut client = alice();
    let mut request = invite();
    let response = |n: u32, stale: bool| {
        by_server(&format!(
            r#"Digest realm="r", nonce="n{n}", qop="auth", stale={stale}"#
        ))
    };
    client
        .respond(&mut request, &response(0, false))
        .expect("can be answered");
    for n in 1..=10 {
        // Each nonce was used before it was called stale.
        client.prepare(&mut request);
        client
            .respond(&mut request, &response(n, true))
            .expect("is only stale");
        assert_eq!(param(&request, "nonce"), Some(format!("n{n}")));
        assert_eq!(param(&request, "nc").as_deref(), Some("00000001"));
    }
    assert_eq!(
        client.respond(&mut request, &response(10, true)),
        Err(AuthError::Rejected { realm: "r".into() }),
        "the same nonce cannot be stale and new"
    );
    let refused = (11..100).find(|&n| client.respond(&mut request, &response(n, true)).is_err());
    assert_eq!(
        refused,
        Some(14),
        "a server that calls every new nonce stale is left"
    );
}

/// AUT-009: RFC 3261 §22.3: one field for each realm, and each proxy gets a new count with each request.
#[test]
fn several_realms_are_answered_one_after_the_other() {
    let mut client = alice();
    let mut request = invite();
    client
        .respond(
            &mut request,
            &by_proxy(r#"Digest realm="p1", nonce="a", qop="auth""#),
        )
        .expect("can be answered");
    client
        .respond(
            &mut request,
            &by_proxy(r#"Digest realm="p2", nonce="b", qop="auth""#),
        )
        .expect("can be answered");
    client
        .respond(
            &mut request,
            &by_server(r#"Digest realm="p1", nonce="c", qop="auth""#),
        )
        .expect("can be answered");
    let mut seen: Vec<(String, String, String)> = request
        .headers()
        .all::<sip_message::headers::ProxyAuthorization>()
        .map(|field| {
            let field = field.expect("can be read");
            let get = |name| field.param(name).expect("is there").into_owned();
            (get("realm"), get("nonce"), get("nc"))
        })
        .collect();
    seen.sort();
    let expected = [("p1", "a", "00000003"), ("p2", "b", "00000002")]
        .map(|(realm, nonce, nc)| (realm.to_owned(), nonce.to_owned(), nc.to_owned()));
    assert_eq!(seen, expected);
    assert_eq!(param(&request, "nonce").as_deref(), Some("c"));
}

/// RFC 3261 §16.7 item 7: a forking proxy brings the challenges of all branches in one response.
#[test]
fn challenges_of_several_realms_in_one_response_are_all_answered() {
    let mut client = Client::new([1; 32]);
    client.add(Credentials::password("alice", "one").for_realm("s1"));
    client.add(Credentials::password("alice", "two").for_realm("p1"));
    let response = challenged(
        StatusCode::UNAUTHORIZED,
        &[
            (
                HeaderName::WWW_AUTHENTICATE,
                r#"Digest realm="s1", nonce="a", qop="auth""#,
            ),
            (
                HeaderName::WWW_AUTHENTICATE,
                r#"Digest realm="s2", nonce="b", qop="auth""#,
            ),
            (
                HeaderName::PROXY_AUTHENTICATE,
                r#"Digest realm="p1", nonce="c", qop="auth""#,
            ),
        ],
    );
    let mut request = invite();
    client
        .respond(&mut request, &response)
        .expect("two of three can be answered");
    assert_eq!(request.headers().count::<Authorization>(), 1);
    assert!(
        request
            .headers()
            .contains::<sip_message::headers::ProxyAuthorization>()
    );
    // What is left over cannot be answered, and that ends it.
    let rest = by_server(r#"Digest realm="s2", nonce="d", qop="auth""#);
    assert_eq!(
        client.respond(&mut request, &rest),
        Err(AuthError::NoCredentials { realm: "s2".into() })
    );
}

/// AUT-006 and AUT-011: RFC 7616 §3.6 and RFC 3261 §22.3: no second challenge for the second request.
#[test]
fn later_requests_carry_credentials_ahead() {
    let mut client = alice();
    let mut first = invite();
    client
        .respond(
            &mut first,
            &by_server(r#"Digest realm="r", nonce="n", qop="auth""#),
        )
        .expect("can be answered");
    for expected in ["00000002", "00000003"] {
        let mut next = request(Method::BYE, "sip:bob@EXAMPLE.com;x=y");
        client.prepare(&mut next);
        assert_eq!(param(&next, "nc").as_deref(), Some(expected));
        assert_eq!(param(&next, "nonce").as_deref(), Some("n"));
    }
    // Twice prepared is still one field.
    let mut next = invite();
    client.prepare(&mut next);
    client.prepare(&mut next);
    assert_eq!(next.headers().count::<Authorization>(), 1);
    // A host that never asked learns nothing; a proxy on the way always does.
    let mut elsewhere = request(Method::OPTIONS, "sip:other.example");
    client.prepare(&mut elsewhere);
    assert!(!elsewhere.headers().contains::<Authorization>());
    client
        .respond(
            &mut invite(),
            &by_proxy(r#"Digest realm="p", nonce="q", qop="auth""#),
        )
        .expect("can be answered");
    client.prepare(&mut elsewhere);
    assert!(
        elsewhere
            .headers()
            .contains::<sip_message::headers::ProxyAuthorization>()
    );
    client.forget();
    let mut last = invite();
    client.prepare(&mut last);
    assert!(!last.headers().contains::<Authorization>());
}

#[test]
fn a_realm_of_many_hosts_leaves_the_last_eight() {
    let mut client = alice();
    let challenge = by_server(r#"Digest realm="r", nonce="n", qop="auth""#);
    for n in 0..20 {
        let mut request = request(Method::OPTIONS, &format!("sip:h{n}.example"));
        let answered = client.respond(&mut request, &challenge);
        answered.expect("can be answered");
    }
    for n in 0..20 {
        let mut request = request(Method::OPTIONS, &format!("sip:h{n}.example"));
        client.prepare(&mut request);
        let is_ahead = request.headers().contains::<Authorization>();
        assert_eq!(is_ahead, n >= 12, "h{n}.example");
    }
}

/// AUT-008: RFC 3261 §22.1.
#[test]
fn an_ack_repeats_and_a_cancel_has_none() {
    let mut client = alice();
    let mut first = invite();
    client
        .respond(
            &mut first,
            &by_server(r#"Digest realm="r", nonce="n", qop="auth""#),
        )
        .expect("can be answered");
    for method in [Method::ACK, Method::CANCEL] {
        let mut request = request(method, "sip:bob@example.com");
        client.prepare(&mut request);
        assert!(!request.headers().contains::<Authorization>());
    }
    let mut ack = request(Method::ACK, "sip:bob@192.0.2.7");
    repeat_credentials(&first, &mut ack);
    repeat_credentials(&first, &mut ack);
    assert_eq!(ack.headers().count::<Authorization>(), 1);
    assert_eq!(shown(&ack), shown(&first));
}

/// AUT-013: RFC 7616 §3.5.
#[test]
fn the_next_nonce_is_used_next() {
    let mut client = alice();
    let mut first = invite();
    client
        .respond(
            &mut first,
            &by_server(r#"Digest realm="r", nonce="n", qop="auth""#),
        )
        .expect("can be answered");
    let ok = challenged(
        StatusCode::OK,
        &[(
            HeaderName::AUTHENTICATION_INFO,
            r#"nextnonce="m", qop=auth"#,
        )],
    );
    // A response to a request without credentials proves nothing.
    client.learn(&invite(), &ok);
    client.learn(&first, &challenged(StatusCode::NOT_FOUND, &[]));
    let mut next = invite();
    client.prepare(&mut next);
    assert_eq!(param(&next, "nonce").as_deref(), Some("n"));
    client.learn(&next, &ok);
    client.prepare(&mut next);
    assert_eq!(param(&next, "nonce").as_deref(), Some("m"));
    assert_eq!(param(&next, "nc").as_deref(), Some("00000001"));
}

#[test]
fn credentials_of_others_in_the_request_stay() {
    let mut client = alice();
    let mut request = invite();
    let foreign = HeaderValue::new("Bearer abc").expect("is text");
    request
        .headers_mut()
        .push_raw(HeaderName::AUTHORIZATION, foreign.clone());
    client
        .respond(
            &mut request,
            &by_server(r#"Digest realm="r", nonce="n", qop="auth""#),
        )
        .expect("can be answered");
    client.prepare(&mut request);
    let values: Vec<HeaderValue> = request
        .headers()
        .raw_all(&HeaderName::AUTHORIZATION)
        .collect();
    assert_eq!(values.len(), 2);
    assert_eq!(values[0], foreign);
}

/// AUT-001.
#[test]
fn what_cannot_be_answered_is_told_apart() {
    let mut nobody = Client::new([1; 32]);
    let response = by_server(r#"Digest realm="r", nonce="n""#);
    assert_eq!(
        nobody.respond(&mut invite(), &response),
        Err(AuthError::NoCredentials { realm: "r".into() })
    );
    let mut client = alice();
    assert_eq!(
        client.respond(&mut invite(), &by_server(r#"Basic realm="r""#)),
        Err(AuthError::Unsupported)
    );
    assert_eq!(
        client.respond(&mut invite(), &challenged(StatusCode::UNAUTHORIZED, &[])),
        Err(AuthError::NotChallenged)
    );
    let mut evil = Client::new([1; 32]);
    evil.add(Credentials::password("al\r\nice", "secret"));
    let mut request = invite();
    assert_eq!(
        evil.respond(&mut request, &response),
        Err(AuthError::Unwritable)
    );
    assert!(!request.headers().contains::<Authorization>());
}

#[test]
fn realms_without_number_leave_sixteen_nonces() {
    let mut client = alice();
    for n in 0..1_000 {
        let response = by_proxy(&format!(r#"Digest realm="r{n}", nonce="n", qop="auth""#));
        client
            .respond(&mut invite(), &response)
            .expect("can be answered");
    }
    let mut request = invite();
    client.prepare(&mut request);
    let count = request
        .headers()
        .count::<sip_message::headers::ProxyAuthorization>();
    assert_eq!((client.sessions.len(), count), (16, 16));
    assert!(!format!("{client:?}").contains("secret"));
}

/// A client and a server over a link that reorders: whatever order requests come in, none is refused.
#[test]
fn parallel_requests_may_arrive_in_any_order() {
    let now = Instant::now();
    let clock = WallClock {
        at: now,
        is: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
    };
    for seed in 0..20 {
        let mut rng = Rng::new([seed; 32]);
        let mut server = Server::new(Digest::realm("example.com"), rng.seed(), clock);
        let users = Users::parse("alice:secret").expect("can be read");
        let mut client = alice();
        let mut first = invite();
        let response = server
            .answer(now, &first, Role::Proxy, &Outcome::Missing)
            .expect("a challenge");
        client
            .respond(&mut first, &response)
            .expect("can be answered");
        let mut requests: Vec<Request> = (0..40)
            .map(|_| {
                let mut next = invite();
                client.prepare(&mut next);
                next
            })
            .collect();
        requests.push(first);
        while !requests.is_empty() {
            let at = rng.below(requests.len() as u64) as usize;
            let outcome = server.authenticate(now, &requests.swap_remove(at), Role::Proxy, &users);
            assert_eq!(
                outcome,
                Outcome::Granted {
                    user: "alice".into()
                }
            );
        }
    }
}
