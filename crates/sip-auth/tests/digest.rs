//! A client and a server that know nothing of each other but a password.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // a test needs an instant to start from

use sip_auth::{
    Algorithm, AuthError, BackOff, Choice, Client, CredentialStore, Credentials, Digest, Malformed,
    Outcome, Proof, Qop, Role, Secret, Server, Users, Verdict,
};
use sip_io::WallClock;
use sip_message::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode, Tag,
    headers::{Authorization, ContentType, ProxyAuthenticationInfo, RetryAfter, Via},
};
use std::time::{Duration, Instant, SystemTime};

const REALM: &str = "example.com";

struct Bench {
    now: Instant,
    server: Server,
    client: Client,
    users: Users,
    cseq: u32,
}

impl Bench {
    fn new(policy: Digest) -> Self {
        let now = Instant::now();
        let mut client = Client::new([2; 32]);
        client.add(Credentials::password("alice", "s3cret:with:colons"));
        Self {
            now,
            server: server(policy, now),
            client,
            users: Users::new().add("alice", REALM, "s3cret:with:colons").add(
                "Jäsøn Doe",
                REALM,
                "x",
            ),
            cseq: 0,
        }
    }

    fn request(&mut self) -> Request {
        self.cseq += 1;
        request(self.cseq)
    }

    fn check(&mut self, request: &Request) -> Outcome {
        self.server
            .authenticate(self.now, request, Role::Proxy, &self.users)
    }

    /// Sends a request, and again with credentials when it is challenged.
    fn login(&mut self) -> (Request, Outcome) {
        let mut request = self.request();
        self.client.prepare(&mut request);
        let outcome = self.check(&request);
        let Some(challenge) = self
            .server
            .answer(self.now, &request, Role::Proxy, &outcome)
        else {
            return (request, outcome);
        };
        self.client.respond(&mut request, &challenge).unwrap();
        let outcome = self.check(&request);
        (request, outcome)
    }

    /// Checks a request and confirms the answer.
    fn confirm(&mut self, request: &Request) -> (Outcome, Option<Response>) {
        let Verdict::Question(mut question) = self.server.verify(self.now, request, Role::Proxy)
        else {
            panic!("has no credentials");
        };
        let secret = question.ask(&self.users);
        let (outcome, confirmation) = self.server.confirm(question, secret.as_ref());
        let response = confirmation.map(|confirmation| {
            let mut response = request
                .response(StatusCode::OK)
                .body(plain(), "hello")
                .build();
            confirmation.write(&mut response);
            response
        });
        (outcome, response)
    }

    fn challenged(&mut self) -> Request {
        let mut request = self.request();
        let response = self
            .server
            .answer(self.now, &request, Role::Proxy, &Outcome::Missing)
            .unwrap();
        self.client.respond(&mut request, &response).unwrap();
        request
    }
}

fn server(policy: Digest, now: Instant) -> Server {
    let clock = WallClock {
        at: now,
        is: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000),
    };
    Server::new(policy, [1; 32], clock)
}

fn request(cseq: u32) -> Request {
    Request::builder(Method::MESSAGE, "sip:bob@example.com")
        .header(
            Via::new(
                "UDP",
                "192.0.2.1".parse::<sip_message::Host>().unwrap(),
                None,
            )
            .with_branch("z9hG4bKx"),
        )
        .from("sip:alice@example.com", Tag::new("88sja8x").unwrap())
        .to("sip:bob@example.com")
        .call_id("987asjd97y7atg")
        .cseq(cseq)
        .body(plain(), "the body")
        .build()
        .unwrap()
}

fn plain() -> ContentType {
    "text/plain".parse().unwrap()
}

fn alice() -> Outcome {
    Outcome::Granted {
        user: "alice".into(),
    }
}

fn shown(request: &Request, name: &str) -> Option<String> {
    let value = request.headers().raw(&HeaderName::PROXY_AUTHORIZATION)?;
    let field: Authorization = value.text().parse().ok()?;
    field.param(name).map(std::borrow::Cow::into_owned)
}

/// RFC 7616 §3.4.3: the body is covered, so who changes it is found out.
#[test]
fn a_body_that_was_changed_on_the_way_is_refused_with_auth_int() {
    for algorithm in Algorithm::ALL {
        let policy = Digest::realm(REALM)
            .algorithms([algorithm])
            .protections([Qop::AuthInt]);
        let mut bench = Bench::new(policy);
        let (request, outcome) = bench.login();
        assert_eq!(outcome, alice(), "{algorithm}");
        assert_eq!(shown(&request, "qop").as_deref(), Some("auth-int"));
        let mut changed = bench.challenged();
        changed.set_body(plain(), "another body");
        assert_eq!(
            bench.check(&changed),
            Outcome::Refused {
                user: "alice".into()
            }
        );
    }
}

#[test]
fn less_protection_than_was_asked_for_is_not_taken() {
    let mut lax = Bench::new(Digest::realm(REALM).protections([Qop::Auth, Qop::AuthInt]));
    let request = lax.challenged();
    assert_eq!(shown(&request, "qop").as_deref(), Some("auth"));
    let mut strict = Bench::new(Digest::realm(REALM).protections([Qop::AuthInt]));
    assert_eq!(strict.check(&request), Outcome::Missing);
    lax.client.set_integrity(true);
    let request = lax.challenged();
    assert_eq!(shown(&request, "qop").as_deref(), Some("auth-int"));
    assert_eq!(strict.check(&request), alice());
}

/// AUT-015: RFC 7616 §3.4.4.
#[test]
fn a_hidden_user_is_found_by_the_hash() {
    for algorithm in Algorithm::ALL {
        let mut bench = Bench::new(
            Digest::realm(REALM)
                .algorithms([algorithm])
                .hash_users(true),
        );
        bench.users = bench.users.clone().hide(REALM);
        let (request, outcome) = bench.login();
        assert_eq!(outcome, alice());
        assert_eq!(shown(&request, "userhash").as_deref(), Some("true"));
        assert_ne!(shown(&request, "username").as_deref(), Some("alice"));
        // The client knows again what it has shown: a refusal is not answered with the same credentials.
        let refusal = bench
            .server
            .answer(bench.now, &request, Role::Proxy, &Outcome::Missing)
            .unwrap();
        let again = bench.client.respond(&mut request.clone(), &refusal);
        assert_eq!(
            again,
            Err(AuthError::Rejected {
                realm: REALM.into()
            })
        );
    }
}

#[test]
fn a_hidden_user_whom_the_store_cannot_find_is_refused() {
    let mut bench = Bench::new(Digest::realm(REALM).hash_users(true));
    let request = bench.challenged();
    assert!(matches!(bench.check(&request), Outcome::Refused { .. }));
    // A store that finds the wrong one gains nothing.
    let Verdict::Question(mut question) = bench.server.verify(bench.now, &request, Role::Proxy)
    else {
        panic!("has credentials");
    };
    assert!(question.is_hidden() && !question.reveal("bob"));
    let secret = Secret::password("s3cret:with:colons");
    assert!(matches!(
        bench.server.decide(question, Some(&secret)),
        Outcome::Refused { .. }
    ));
}

/// AUT-015: RFC 7616 §3.9.2 has this user.
#[test]
fn a_name_beyond_ascii_is_written_in_either_form() {
    for (utf8, param) in [(true, "username*"), (false, "username")] {
        let mut bench = Bench::new(Digest::realm(REALM).utf8(utf8));
        bench.client = Client::new([3; 32]);
        bench.client.add(Credentials::password("Jäsøn Doe", "x"));
        let (request, outcome) = bench.login();
        assert_eq!(
            outcome,
            Outcome::Granted {
                user: "Jäsøn Doe".into()
            }
        );
        let expected = if utf8 {
            "UTF-8''J%C3%A4s%C3%B8n%20Doe"
        } else {
            "Jäsøn Doe"
        };
        assert_eq!(shown(&request, param).as_deref(), Some(expected));
    }
}

/// RFC 7616 §3.4: one form of the name, and a hash only in the plain one.
#[test]
fn contradictory_names_are_malformed() {
    let mut bench = Bench::new(Digest::realm(REALM));
    let nonce = bench.server.challenge(bench.now, false)[0]
        .param("nonce")
        .unwrap()
        .into_owned();
    let rest = format!(
        r#"realm="{REALM}", nonce="{nonce}", uri="sip:bob@example.com", algorithm=MD5, response="{}""#,
        "0".repeat(32)
    );
    for (names, error) in [
        (
            r#"username="a", username*=UTF-8''a"#,
            Malformed::Repeated("username"),
        ),
        (
            "username*=UTF-8''a, userhash=true",
            Malformed::Invalid("userhash"),
        ),
        ("username*=latin1''a", Malformed::Invalid("username*")),
        ("userhash=false", Malformed::Missing("username")),
    ] {
        let mut request = bench.request();
        let value = HeaderValue::new(format!("Digest {names}, {rest}")).unwrap();
        request
            .headers_mut()
            .push_raw(HeaderName::PROXY_AUTHORIZATION, value);
        let outcome = bench.check(&request);
        assert_eq!(outcome, Outcome::Malformed(error));
        let answer = bench
            .server
            .answer(bench.now, &request, Role::Proxy, &outcome)
            .unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    }
}

#[test]
fn the_topmost_challenge_is_answered_or_the_strongest_by_choice() {
    let policy =
        Digest::realm(REALM).algorithms([Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512_256]);
    let mut bench = Bench::new(policy);
    assert_eq!(
        shown(&bench.challenged(), "algorithm").as_deref(),
        Some("MD5")
    );
    bench.client.set_choice(Choice::Strongest);
    let request = bench.challenged();
    assert_eq!(shown(&request, "algorithm").as_deref(), Some("SHA-512-256"));
    assert_eq!(bench.check(&request), alice());
}

#[test]
fn a_realm_that_asks_weaker_than_before_is_not_answered_by_choice() {
    let mut bench = Bench::new(Digest::realm(REALM));
    bench.login();
    let mut weak = Bench::new(Digest::realm(REALM).algorithms([Algorithm::Md5]));
    let mut request = weak.request();
    let challenge = weak
        .server
        .answer(weak.now, &request, Role::Proxy, &Outcome::Missing)
        .unwrap();
    bench.client.set_refuse_downgrade(true);
    let refused = bench.client.respond(&mut request, &challenge);
    assert_eq!(
        refused,
        Err(AuthError::Downgraded {
            realm: REALM.into()
        })
    );
    bench.client.set_refuse_downgrade(false);
    assert_eq!(bench.client.respond(&mut request, &challenge), Ok(()));
    bench.client.set_algorithms([Algorithm::Sha256]);
    let mut request = weak.request();
    assert_eq!(
        bench.client.respond(&mut request, &challenge),
        Err(AuthError::Unsupported)
    );
}

/// AUT-013: RFC 7616 §3.5: both sides prove that they know the password.
#[test]
fn a_confirmation_proves_the_server_and_renews_the_nonce() {
    for (algorithm, qop) in [
        (Algorithm::Md5, Qop::Auth),
        (Algorithm::Sha256Session, Qop::AuthInt),
    ] {
        let policy = Digest::realm(REALM)
            .algorithms([algorithm])
            .protections([qop]);
        let mut bench = Bench::new(policy);
        let request = bench.challenged();
        let (outcome, response) = bench.confirm(&request);
        assert_eq!(outcome, alice());
        let response = response.unwrap();
        let info = response
            .headers()
            .require::<ProxyAuthenticationInfo>()
            .unwrap();
        assert_eq!(info.param("nextnonce"), None);
        assert_eq!(info.param("nc").as_deref(), Some("00000001"));
        assert_eq!(bench.client.learn(&request, &response), Proof::Valid);

        // Half its life later the nonce is replaced, so nobody is ever challenged again.
        bench.now += Duration::from_secs(150);
        let mut request = bench.request();
        bench.client.prepare(&mut request);
        let (outcome, response) = bench.confirm(&request);
        assert_eq!(outcome, alice());
        assert_eq!(
            bench.client.learn(&request, &response.unwrap()),
            Proof::Valid
        );
        bench.now += Duration::from_secs(299);
        let mut request = bench.request();
        bench.client.prepare(&mut request);
        assert_eq!(shown(&request, "nc").as_deref(), Some("00000001"));
        assert_eq!(bench.check(&request), alice());
    }
}

/// AUT-013.
#[test]
fn a_false_confirmation_is_not_believed() {
    let mut bench = Bench::new(Digest::realm(REALM).one_time(true));
    let request = bench.challenged();
    let (_, response) = bench.confirm(&request);
    let mut response = response.unwrap();
    let info = response
        .headers()
        .require::<ProxyAuthenticationInfo>()
        .unwrap();
    let forged: Vec<_> = info
        .params()
        .map(|(name, value, quoted)| match name {
            "rspauth" => (name.to_owned(), "0".repeat(value.len()), quoted),
            _ => (name.to_owned(), value.into_owned(), quoted),
        })
        .collect();
    let forged = ProxyAuthenticationInfo::new(
        forged
            .iter()
            .map(|(name, value, quoted)| (&**name, &**value, *quoted)),
    );
    response.headers_mut().set(forged.unwrap());
    assert_eq!(bench.client.learn(&request, &response), Proof::Invalid);
    let mut next = bench.request();
    bench.client.prepare(&mut next);
    assert_eq!(shown(&next, "nonce"), shown(&request, "nonce"));
    let plain = request.response(StatusCode::OK).build();
    assert_eq!(bench.client.learn(&request, &plain), Proof::None);
}

#[test]
fn a_one_time_nonce_is_good_once_and_brings_the_next() {
    let mut bench = Bench::new(Digest::realm(REALM).one_time(true));
    let request = bench.challenged();
    let (outcome, response) = bench.confirm(&request);
    assert_eq!(outcome, alice());
    let mut ahead = bench.request();
    bench.client.prepare(&mut ahead);
    assert_eq!(bench.check(&ahead), Outcome::Stale);
    assert_eq!(
        bench.client.learn(&request, &response.unwrap()),
        Proof::Valid
    );
    let mut ahead = bench.request();
    bench.client.prepare(&mut ahead);
    assert_eq!(bench.check(&ahead), alice());
}

#[test]
fn a_bound_nonce_is_good_for_its_source_only() {
    let mut bench = Bench::new(Digest::realm(REALM).bind_source(true));
    let request = bench.challenged();
    let mut elsewhere = request.clone();
    let mut via = elsewhere.headers().require::<Via>().unwrap();
    via.set_received("192.0.2.2".parse().unwrap());
    elsewhere.headers_mut().replace_front(via);
    assert_eq!(bench.check(&elsewhere), Outcome::Stale);
    assert_eq!(bench.check(&request), alice());
}

#[test]
fn opaque_comes_back_and_shards_keep_to_themselves() {
    let mut bench = Bench::new(Digest::realm(REALM).opaque("any\u{7}thing").shard(1));
    let request = bench.challenged();
    assert_eq!(shown(&request, "opaque").as_deref(), Some("anything"));
    let mut other = server(Digest::realm(REALM).shard(2), bench.now);
    let outcome = other.authenticate(bench.now, &request, Role::Proxy, &bench.users);
    assert_eq!(outcome, Outcome::Stale);
    assert_eq!(bench.check(&request), alice());
}

/// A registrar and a proxy with one seed and realm are one to a phone.
#[test]
fn servers_with_one_seed_and_realm_take_each_others_nonces() {
    let mut bench = Bench::new(Digest::realm(REALM));
    let mut registrar = server(Digest::realm(REALM), bench.now);
    let mut register = bench.request();
    let answer = registrar
        .answer(bench.now, &register, Role::Server, &Outcome::Missing)
        .unwrap();
    bench.client.respond(&mut register, &answer).unwrap();
    let outcome = registrar.authenticate(bench.now, &register, Role::Server, &bench.users);
    assert_eq!(outcome, alice());
    // What the registrar gave works at the proxy, which uses the other pair of header fields.
    let challenge = answer.headers().raw(&HeaderName::WWW_AUTHENTICATE).unwrap();
    let mut invite = bench.request();
    let answer = invite
        .response(StatusCode::PROXY_AUTHENTICATION_REQUIRED)
        .raw_header(HeaderName::PROXY_AUTHENTICATE, challenge)
        .build();
    bench.client.respond(&mut invite, &answer).unwrap();
    assert_eq!(bench.check(&invite), alice());
    let mut foreign = server(Digest::realm("example.net"), bench.now);
    let outcome = foreign.authenticate(bench.now, &invite, Role::Proxy, &bench.users);
    assert_eq!(outcome, Outcome::Missing);
}

#[test]
fn who_guesses_waits_and_others_do_not() {
    let policy = Digest::realm(REALM).back_off(BackOff::default().user_failures(2));
    let mut bench = Bench::new(policy);
    let right = bench.challenged();
    let mut guesser = Client::new([9; 32]);
    guesser.add(Credentials::password("alice", "guess"));
    std::mem::swap(&mut bench.client, &mut guesser);
    for _ in 0..3 {
        let guess = bench.challenged();
        assert_eq!(
            bench.check(&guess),
            Outcome::Refused {
                user: "alice".into()
            }
        );
        bench.client.forget();
    }
    let source = "192.0.2.1".parse().ok();
    assert_eq!(bench.server.failures("alice", source), (3, 3));
    let blocked = bench.check(&right);
    assert_eq!(
        blocked,
        Outcome::Blocked {
            user: "alice".into(),
            wait: Duration::from_secs(1)
        }
    );
    let answer = bench
        .server
        .answer(bench.now, &right, Role::Proxy, &blocked)
        .unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(answer.headers().contains::<RetryAfter>());
    // Alice herself calls from elsewhere.
    let mut elsewhere = right.clone();
    let mut via = elsewhere.headers().require::<Via>().unwrap();
    via.set_received("192.0.2.2".parse().unwrap());
    elsewhere.headers_mut().replace_front(via);
    assert_eq!(bench.check(&elsewhere), alice());
    bench.now += Duration::from_secs(1);
    assert_eq!(bench.server.failures("alice", source), (3, 3));
    std::mem::swap(&mut bench.client, &mut guesser);
    let right = bench.challenged();
    assert_eq!(bench.check(&right), alice());
    assert_eq!(bench.server.failures("alice", source), (0, 3));
    assert_eq!(bench.server.stats().blocked, 1);
}

/// AUT-001: Basic is neither offered nor taken (RFC 3261 §22).
#[test]
fn basic_is_neither_offered_nor_taken() {
    let mut bench = Bench::new(Digest::realm(REALM));
    let mut request = bench.request();
    let value = HeaderValue::new("Basic YWxpY2U6czNjcmV0OndpdGg6Y29sb25z").unwrap();
    request
        .headers_mut()
        .push_raw(HeaderName::PROXY_AUTHORIZATION, value);
    let outcome = bench.check(&request);
    assert_eq!(outcome, Outcome::Missing);
    let answer = bench
        .server
        .answer(bench.now, &request, Role::Proxy, &outcome)
        .unwrap();
    assert!(
        answer
            .headers()
            .raw_all(&HeaderName::PROXY_AUTHENTICATE)
            .all(|value| value.text().starts_with("Digest "))
    );
}

/// A store without users.
struct Nobody;

impl CredentialStore for Nobody {
    fn lookup(&self, _: &str, _: &str) -> Option<Secret> {
        None
    }
}

#[test]
fn nonces_realms_and_users_without_number_leave_nothing_behind() {
    let mut bench = Bench::new(Digest::realm(REALM).back_off(BackOff::default().entries(100)));
    let nonce = bench.server.challenge(bench.now, false)[0]
        .param("nonce")
        .unwrap()
        .into_owned();
    let response = "0".repeat(64);
    for n in 0..20_000 {
        let (realm, nonce) = match n % 3 {
            0 => (format!("realm{n}"), nonce.clone()),
            1 => (REALM.to_owned(), format!("{n:048x}")),
            _ => (REALM.to_owned(), nonce.clone()),
        };
        let mut request = request(1);
        let mut via = request.headers().require::<Via>().unwrap();
        via.set_received(std::net::Ipv4Addr::from_bits(n).into());
        request.headers_mut().replace_front(via);
        let value = format!(
            r#"Digest username="user{n}", realm="{realm}", nonce="{nonce}", uri="sip:x", algorithm=SHA-256, qop=auth, nc=1, cnonce="{n}", response="{response}""#
        );
        request.headers_mut().push_raw(
            HeaderName::PROXY_AUTHORIZATION,
            HeaderValue::new(&value).unwrap(),
        );
        let outcome = bench
            .server
            .authenticate(bench.now, &request, Role::Proxy, &Nobody);
        assert!(!matches!(outcome, Outcome::Granted { .. }));
    }
    let stats = bench.server.stats();
    assert_eq!(stats.replay_entries, 0);
    assert!(stats.failure_entries <= 100 && stats.refused > 6_000 && stats.stale > 6_000);
    let (_, outcome) = bench.login();
    assert_eq!(outcome, alice());
}
