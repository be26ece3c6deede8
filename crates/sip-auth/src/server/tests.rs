#![allow(clippy::disallowed_methods)] // a test needs an instant to start from

use super::*;
use crate::{Client, Credentials, Users, digest::HASHES};
use proptest::prelude::*;
use sip_message::{
    HeaderName, HeaderValue, Method, Tag,
    headers::{ProxyAuthenticate, WwwAuthenticate},
};
use std::time::SystemTime;

const PASSWORD: &str = "s3cret:with:colons";

struct Bench {
    server: Server,
    users: Users,
    now: Instant,
}

impl Bench {
    fn new(policy: Digest) -> Self {
        let now = Instant::now();
        let clock = WallClock {
            at: now,
            is: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        };
        Self {
            server: Server::new(policy, [1; 32], clock),
            users: Users::new().add("alice", "example.com", PASSWORD),
            now,
        }
    }

    fn check(&mut self, request: &Request) -> Outcome {
        self.server
            .authenticate(self.now, request, Role::Server, &self.users)
    }

    /// A challenge of the first algorithm that is offered.
    fn challenge(&mut self) -> WwwAuthenticate {
        self.server.challenge(self.now, false).remove(0)
    }
}

fn realm() -> Digest {
    Digest::realm("example.com")
}

fn register() -> Request {
    Request::builder(Method::REGISTER, "sip:example.com")
        .from("sip:alice@example.com", Tag::new("a").expect("is a tag"))
        .to("sip:alice@example.com")
        .call_id("1@alice")
        .cseq(1)
        .build()
        .expect("is a request")
}

fn granted() -> Outcome {
    Outcome::Granted {
        user: "alice".into(),
    }
}

fn refused(user: &str) -> Outcome {
    Outcome::Refused { user: user.into() }
}

/// Credentials in all their parts, to be bent.
#[derive(Clone)]
struct Given {
    params: Vec<(String, String, bool)>,
}

impl Given {
    fn new(challenge: &WwwAuthenticate, user: &str, password: &str, count: Option<&str>) -> Self {
        let token = challenge.param("algorithm").expect("is written");
        let algorithm = Algorithm::from_token(&token).expect("is ours");
        let nonce = challenge.param("nonce").expect("is there").into_owned();
        let inputs = crate::Inputs {
            algorithm,
            user,
            realm: "example.com",
            method: "REGISTER",
            uri: "sip:example.com",
            nonce: &nonce,
            protection: count.map(|count| (Qop::Auth, count, "c")),
            body: b"",
        };
        let response = crate::response(&inputs, &Secret::password(password)).expect("a password");
        let mut params = vec![
            ("username", user.to_owned(), true),
            ("realm", "example.com".to_owned(), true),
            ("nonce", nonce.clone(), true),
            ("uri", "sip:example.com".to_owned(), true),
            ("response", response, true),
            ("algorithm", token.into_owned(), false),
        ];
        if let Some(count) = count {
            params.push(("cnonce", "c".to_owned(), true));
            params.push(("qop", "auth".to_owned(), false));
            params.push(("nc", count.to_owned(), false));
        }
        Self {
            params: params
                .into_iter()
                .map(|(name, value, quoted)| (name.to_owned(), value, quoted))
                .collect(),
        }
    }

    fn without(mut self, name: &str) -> Self {
        self.params.retain(|(other, ..)| other != name);
        self
    }

    fn with(self, name: &str, value: &str) -> Self {
        let mut given = self.without(name);
        given.params.push((name.into(), value.into(), true));
        given
    }

    fn twice(mut self, name: &str) -> Self {
        let again = self.params.iter().find(|(other, ..)| other == name);
        let again = again.expect("is there").clone();
        self.params.push(again);
        self
    }

    fn field(&self) -> Authorization {
        let params = self
            .params
            .iter()
            .map(|(name, value, quoted)| (name.as_str(), value.as_str(), *quoted));
        Authorization::new("Digest", params).expect("can be written")
    }

    fn request(&self) -> Request {
        let mut request = register();
        request.headers_mut().push(self.field());
        request
    }
}

/// AUT-003.
#[test]
fn a_challenge_offers_sha_256_before_md5_with_one_nonce() {
    let mut bench = Bench::new(realm());
    let challenges = bench.server.challenge(bench.now, false);
    let algorithms: Vec<_> = challenges
        .iter()
        .map(|challenge| {
            challenge
                .param("algorithm")
                .expect("is written")
                .into_owned()
        })
        .collect();
    assert_eq!(algorithms, ["SHA-256", "MD5"]);
    assert_eq!(challenges[0].param("nonce"), challenges[1].param("nonce"));
    assert!(challenges[0].to_string().contains(r#"qop="auth""#));
    assert_eq!(challenges[0].param("stale"), None);
    let again = bench.server.challenge(bench.now, true);
    assert_ne!(challenges[0].param("nonce"), again[0].param("nonce"));
    assert_eq!(again[0].param("stale").as_deref(), Some("true"));
}

#[test]
fn the_right_password_is_granted_and_the_wrong_one_refused() {
    for algorithm in Algorithm::ALL {
        let mut bench = Bench::new(realm().algorithms([algorithm]));
        assert_eq!(bench.check(&register()), Outcome::Missing);
        let challenge = bench.challenge();
        let right = Given::new(&challenge, "alice", PASSWORD, Some("00000001"));
        assert_eq!(bench.check(&right.request()), granted(), "{algorithm}");
        let wrong = Given::new(&challenge, "alice", "guess", Some("00000002"));
        assert_eq!(bench.check(&wrong.request()), refused("alice"));
        let nobody = Given::new(&challenge, "mallory", PASSWORD, Some("00000002"));
        assert_eq!(bench.check(&nobody.request()), refused("mallory"));
        let stats = bench.server.stats();
        assert_eq!(
            (stats.granted, stats.refused, stats.replay_entries),
            (1, 2, 1)
        );
    }
}

/// RFC 3261 §22.4 item 8: clients of RFC 2069 know no `qop`.
#[test]
fn without_qop_a_nonce_is_good_for_one_request() {
    let mut bench = Bench::new(realm().algorithms([Algorithm::Md5]));
    let challenge = bench.challenge();
    let given = Given::new(&challenge, "alice", PASSWORD, None);
    // RFC 2069 knew no algorithm either.
    assert_eq!(
        bench.check(&given.clone().without("algorithm").request()),
        granted()
    );
    assert_eq!(bench.check(&given.request()), Outcome::Stale);
    let challenge = bench.challenge();
    let given = Given::new(&challenge, "alice", PASSWORD, None);
    assert_eq!(bench.check(&given.request()), granted());
}

/// AUT-005: RFC 3261 §22.4 item 1: proxies on the way put another Request-URI in.
#[test]
fn the_request_uri_may_have_changed_on_the_way() {
    let mut bench = Bench::new(realm());
    let challenge = bench.challenge();
    let given = Given::new(&challenge, "alice", PASSWORD, Some("00000001"));
    let mut request = given.request();
    request.set_uri("sip:alice@192.0.2.4:5070".parse().expect("is a URI"));
    assert_eq!(bench.check(&request), granted());
    // What is covered may not.
    let bent = Given::new(&challenge, "alice", PASSWORD, Some("00000002"));
    let bent = bent.with("uri", "sip:alice@192.0.2.4:5070").request();
    assert_eq!(bench.check(&bent), refused("alice"));
}

/// AUT-012: RFC 7616 §3.4.5; over UDP requests overtake each other.
#[test]
fn counts_may_come_out_of_order_but_not_twice() {
    let mut bench = Bench::new(realm());
    let challenge = bench.challenge();
    for count in ["00000001", "00000004", "00000003", "00000002", "0000000A"] {
        let given = Given::new(&challenge, "alice", PASSWORD, Some(count));
        assert_eq!(bench.check(&given.request()), granted(), "{count}");
        assert_eq!(bench.check(&given.request()), Outcome::Stale, "{count}");
    }
    // A replay is not even a reason to ask for the password.
    let given = Given::new(&challenge, "alice", PASSWORD, Some("00000003"));
    let verdict = bench
        .server
        .verify(bench.now, &given.request(), Role::Server);
    assert!(matches!(verdict, Verdict::Settled(Outcome::Stale)));
}

#[test]
fn a_wrong_password_uses_no_count_up() {
    let mut bench = Bench::new(realm());
    let challenge = bench.challenge();
    let wrong = Given::new(&challenge, "alice", "guess", Some("00000001"));
    assert_eq!(bench.check(&wrong.request()), refused("alice"));
    let right = Given::new(&challenge, "alice", PASSWORD, Some("00000001"));
    assert_eq!(bench.check(&right.request()), granted());
}

/// AUT-012: The same request again while the store is still thinking.
#[test]
fn a_replay_between_question_and_answer_is_seen() {
    let mut bench = Bench::new(realm());
    let challenge = bench.challenge();
    let request = Given::new(&challenge, "alice", PASSWORD, Some("00000001")).request();
    let mut questions = Vec::new();
    for _ in 0..2 {
        match bench.server.verify(bench.now, &request, Role::Server) {
            Verdict::Question(question) => questions.push(question),
            Verdict::Settled(outcome) => panic!("{outcome:?}"),
        }
    }
    assert_eq!(
        (questions[0].user(), questions[0].realm()),
        ("alice", "example.com")
    );
    assert_eq!(questions[0].algorithm(), Algorithm::Sha256);
    let secret = Secret::password(PASSWORD);
    let outcomes: Vec<Outcome> = questions
        .into_iter()
        .map(|question| bench.server.decide(question, Some(&secret)))
        .collect();
    assert_eq!(outcomes, [granted(), Outcome::Stale]);
}

/// AUT-012.
#[test]
fn a_nonce_that_has_ended_or_is_not_ours_is_stale() {
    let mut bench = Bench::new(realm().nonce_lifetime(Duration::from_secs(10)));
    let challenge = bench.challenge();
    let given = Given::new(&challenge, "alice", PASSWORD, Some("00000001"));
    bench.now += Duration::from_secs(9);
    assert_eq!(bench.check(&given.request()), granted());
    bench.now += Duration::from_secs(1);
    let later = Given::new(&challenge, "alice", PASSWORD, Some("00000002"));
    assert_eq!(bench.check(&later.request()), Outcome::Stale);
    // As after a restart with another key.
    let mut other = Bench::new(realm());
    other.server = Server::new(realm(), [2; 32], other.server.clock);
    let foreign = other.challenge();
    let given = Given::new(&foreign, "alice", PASSWORD, Some("00000001"));
    assert_eq!(bench.check(&given.request()), Outcome::Stale);
}

/// A malformed field for our realm is a 400; what is for others is not ours to judge.
#[test]
fn malformed_credentials_are_told_from_those_of_others() {
    let mut bench = Bench::new(realm());
    let challenge = bench.challenge();
    let good = Given::new(&challenge, "alice", PASSWORD, Some("00000001"));
    let malformed = [
        (
            good.clone().without("username"),
            Malformed::Missing("username"),
        ),
        (good.clone().without("nonce"), Malformed::Missing("nonce")),
        (good.clone().without("uri"), Malformed::Missing("uri")),
        (
            good.clone().without("response"),
            Malformed::Missing("response"),
        ),
        (good.clone().without("realm"), Malformed::Missing("realm")),
        (good.clone().without("cnonce"), Malformed::Missing("cnonce")),
        (good.clone().without("nc"), Malformed::Missing("nc")),
        (
            good.clone().with("response", "xyz"),
            Malformed::Invalid("response"),
        ),
        (good.clone().with("nc", "0"), Malformed::Invalid("nc")),
        (good.clone().with("nc", "+1"), Malformed::Invalid("nc")),
        (
            good.clone().with("nc", "100000001"),
            Malformed::Invalid("nc"),
        ),
        (
            good.clone().with("qop", "auth-conf"),
            Malformed::Invalid("qop"),
        ),
        (
            good.clone().twice("response"),
            Malformed::Repeated("response"),
        ),
    ];
    for (given, error) in malformed {
        let request = given.request();
        let outcome = bench.check(&request);
        assert_eq!(outcome, Outcome::Malformed(error.clone()));
        let response = bench
            .server
            .answer(bench.now, &request, Role::Server, &outcome)
            .expect("is refused");
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert!(
            response.reason().contains(&error.to_string()),
            "{}",
            response.reason()
        );
        // The same for another realm is nobody's fault here.
        if error != Malformed::Missing("realm") {
            let elsewhere = given.with("realm", "example.net").request();
            assert_eq!(bench.check(&elsewhere), Outcome::Missing);
        }
    }
    let mut request = register();
    let unreadable = HeaderValue::new(r#"Digest username="alice, realm"#).expect("is text");
    request
        .headers_mut()
        .push_raw(HeaderName::AUTHORIZATION, unreadable);
    assert!(matches!(
        bench.check(&request),
        Outcome::Malformed(Malformed::Unreadable(_))
    ));
    // Beside it, good ones still count.
    request.headers_mut().push(good.field());
    assert_eq!(bench.check(&request), granted());
}

/// RFC 7616 covers octets: what they mean is not for the server to say.
#[test]
fn what_is_no_text_is_covered_as_it_came() {
    let mut bench = Bench::new(realm().algorithms([Algorithm::Md5]));
    let nonce = bench.challenge();
    let nonce = nonce.param("nonce").expect("is there");
    let key = digest::key(Algorithm::Md5, "alice", "example.com", PASSWORD.as_bytes());
    let covered = digest::covered(Algorithm::Md5, "REGISTER", b"sip:\xfc", None, b"");
    let protection = Some((Qop::Auth, &b"1"[..], &b"\xff"[..]));
    let nonce = nonce.as_bytes();
    let proof = digest::proof(Algorithm::Md5, &key, nonce, protection, b"\xff", &covered);
    let value = [
        b"Digest username=\"alice\", realm=\"example.com\", algorithm=MD5, qop=auth, nc=1, nonce=\"",
        nonce,
        b"\", uri=\"sip:\xfc\", cnonce=\"\xff\", response=\"",
        proof.as_bytes(),
        b"\"",
    ]
    .concat();
    let value = HeaderValue::new(&value).expect("can be written");
    let mut request = register();
    let headers = request.headers_mut();
    headers.push_raw(HeaderName::AUTHORIZATION, value);
    assert_eq!(bench.check(&request), granted());
}

/// AUT-009.
#[test]
fn other_schemes_and_realms_are_skipped() {
    let mut bench = Bench::new(realm());
    let challenge = bench.challenge();
    let mut request = register();
    for text in [
        "Basic YWxpY2U6c2VjcmV0",
        "Bearer eyJhbGciOi.JI",
        r#"Digest username="alice", realm="example.net", nonce="x", uri="sip:a", response="00""#,
    ] {
        let value = HeaderValue::new(text).expect("is text");
        request
            .headers_mut()
            .push_raw(HeaderName::AUTHORIZATION, value);
    }
    assert_eq!(bench.check(&request), Outcome::Missing);
    let good = Given::new(&challenge, "alice", PASSWORD, Some("00000001"));
    request.headers_mut().push(good.field());
    assert_eq!(bench.check(&request), granted());
    // A proxy does not look at what is for the server.
    let outcome = bench
        .server
        .authenticate(bench.now, &request, Role::Proxy, &bench.users);
    assert_eq!(outcome, Outcome::Missing);
}

#[test]
fn an_algorithm_that_was_not_offered_is_not_taken() {
    let mut old = Bench::new(realm().algorithms([Algorithm::Md5]));
    let challenge = old.challenge();
    let given = Given::new(&challenge, "alice", PASSWORD, Some("00000001"));
    old.server.policy.algorithms = vec![Algorithm::Sha256];
    assert_eq!(old.check(&given.request()), Outcome::Missing);
    let unknown = given.with("algorithm", "ROT13");
    assert_eq!(old.check(&unknown.request()), Outcome::Missing);
}

/// Whether a user exists must not show in the work: each decision takes the same hashes.
#[test]
fn unknown_users_cost_as_many_hashes_as_wrong_passwords() {
    let mut bench = Bench::new(realm().algorithms([Algorithm::Md5]));
    let challenge = bench.challenge();
    let stored = digest::key(Algorithm::Md5, "alice", "example.com", PASSWORD.as_bytes());
    let hash = Secret::ha1(Algorithm::Md5, stored.as_str()).expect("is a hash");
    let other = Secret::ha1(Algorithm::Sha256, &"0".repeat(64)).expect("is a hash");
    let secrets = [
        Some(Secret::password(PASSWORD)),
        Some(Secret::password("other")),
        Some(hash),
        Some(other),
        None,
    ];
    let mut counts = Vec::new();
    for (n, secret) in (1..).zip(secrets) {
        let count = format!("{n:08x}");
        let request = Given::new(&challenge, "alice", PASSWORD, Some(&count)).request();
        HASHES.set(0);
        let Verdict::Question(question) = bench.server.verify(bench.now, &request, Role::Server)
        else {
            panic!("it asks");
        };
        let outcome = bench.server.decide(question, secret.as_ref());
        assert_eq!(outcome == granted(), n == 1 || n == 3, "{n}");
        counts.push(HASHES.get());
    }
    assert_eq!(counts, [3; 5]);
}

/// Where only hashes are kept, nobody's key is hashed.
#[test]
fn with_stored_hashes_unknown_users_cost_as_many_hashes_as_known_ones() {
    let mut bench = Bench::new(realm().algorithms([Algorithm::Md5]));
    let challenge = bench.challenge();
    let stored = digest::key(Algorithm::Md5, "alice", "example.com", PASSWORD.as_bytes());
    let right = Secret::ha1(Algorithm::Md5, stored.as_str()).expect("is a hash");
    let wrong = Secret::ha1(Algorithm::Md5, &"0".repeat(32)).expect("is a hash");
    let mut work = |n: u32, secret: Option<&Secret>| {
        let count = format!("{n:08x}");
        let request = Given::new(&challenge, "alice", PASSWORD, Some(&count)).request();
        HASHES.set(0);
        let Verdict::Question(question) = bench.server.verify(bench.now, &request, Role::Server)
        else {
            panic!("it asks");
        };
        let outcome = bench.server.decide(question, secret);
        (outcome == granted(), HASHES.get())
    };
    // Before anybody was known, and the first who is.
    assert_eq!(work(1, None), (false, 3));
    assert_eq!(work(2, Some(&right)), (true, 3));
    assert_eq!(work(3, Some(&right)), (true, 2));
    assert_eq!(work(4, Some(&wrong)), (false, 2));
    assert_eq!(work(5, None), (false, 2));
    // From the first password on, everybody pays for it.
    assert_eq!(work(6, Some(&Secret::password("guess"))), (false, 3));
    assert_eq!(work(7, None), (false, 3));
    assert_eq!(work(8, Some(&right)), (true, 3));
}

/// What a peer sends is kept up to a length only.
#[test]
fn credentials_that_are_too_long_are_malformed() {
    let mut bench = Bench::new(realm());
    let challenge = bench.challenge();
    let good = Given::new(&challenge, "alice", PASSWORD, Some("00000001"));
    let long = "x".repeat(2_048);
    for name in ["username", "nonce", "uri", "cnonce", "response"] {
        let request = good.clone().with(name, &long).request();
        let outcome = bench.check(&request);
        assert_eq!(outcome, Outcome::Malformed(Malformed::TooLong(name)));
    }
    // Nobody's realm is so long, so it is another one.
    let elsewhere = good.clone().with("realm", &long).request();
    assert_eq!(bench.check(&elsewhere), Outcome::Missing);
    // What means nothing may be as long as it likes.
    let odd = good.with("opaque", &long).request();
    assert_eq!(bench.check(&odd), granted());
}

/// Read up to where it breaks, a field may show that it is none of ours.
#[test]
fn an_unreadable_field_of_another_realm_is_skipped() {
    let mut bench = Bench::new(realm());
    for (text, is_ours) in [
        (r#"Digest realm="example.net", username=""#, false),
        (r#"Digest realm="example.com", username=""#, true),
        (r#"Digest username=", realm="example.net""#, true),
    ] {
        let mut request = register();
        let value = HeaderValue::new(text).expect("is text");
        request
            .headers_mut()
            .push_raw(HeaderName::AUTHORIZATION, value);
        let outcome = bench.check(&request);
        let is_malformed = matches!(outcome, Outcome::Malformed(Malformed::Unreadable(_)));
        assert_eq!(is_malformed, is_ours, "{text}: {outcome:?}");
    }
}

#[test]
fn guesses_leave_nothing_behind() {
    let mut bench = Bench::new(realm().algorithms([Algorithm::Md5]));
    let challenge = bench.challenge();
    let mut given = Given::new(&challenge, "alice", "guess", Some("00000001"));
    for n in 0..4_000_u32 {
        // Half of them with nonces of ours, half with made-up ones.
        if n % 2 == 0 {
            given = given.with("nonce", &format!("{n:048x}"));
        } else {
            let nonce = bench
                .challenge()
                .param("nonce")
                .expect("is there")
                .into_owned();
            given = given.with("nonce", &nonce);
        }
        let given = given.clone().with("username", &format!("user{n}"));
        assert_ne!(bench.check(&given.request()), granted());
    }
    assert_eq!(bench.server.stats().replay_entries, 0);
}

#[test]
fn a_full_table_ends_the_oldest_nonce_with_a_new_challenge() {
    let mut bench = Bench::new(realm().replay_entries(2));
    let challenges: Vec<_> = (0..3).map(|_| bench.challenge()).collect();
    for challenge in &challenges {
        let given = Given::new(challenge, "alice", PASSWORD, Some("00000001"));
        assert_eq!(bench.check(&given.request()), granted());
    }
    let replay = Given::new(&challenges[0], "alice", PASSWORD, Some("00000001"));
    assert_eq!(bench.check(&replay.request()), Outcome::Stale);
    let next = Given::new(&challenges[2], "alice", PASSWORD, Some("00000002"));
    assert_eq!(bench.check(&next.request()), granted());
    let stats = bench.server.stats();
    assert_eq!((stats.evicted, stats.replay_entries), (1, 2));
}

#[test]
fn answers_are_challenges_or_refusals_by_policy() {
    let mut bench = Bench::new(realm());
    let request = register();
    let answer = |bench: &mut Bench, role, outcome: &Outcome| {
        bench.server.answer(bench.now, &request, role, outcome)
    };
    assert!(answer(&mut bench, Role::Server, &granted()).is_none());
    let response = answer(&mut bench, Role::Server, &Outcome::Stale).expect("a challenge");
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let first = response
        .headers()
        .require::<WwwAuthenticate>()
        .expect("is there");
    assert_eq!(first.param("stale").as_deref(), Some("true"));
    let response = answer(&mut bench, Role::Proxy, &Outcome::Missing).expect("a challenge");
    assert_eq!(response.status(), StatusCode::PROXY_AUTHENTICATION_REQUIRED);
    assert_eq!(response.headers().count::<ProxyAuthenticate>(), 2);
    let response = answer(&mut bench, Role::Server, &refused("alice")).expect("a challenge");
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    bench.server.policy.forbid_refused = true;
    let response = answer(&mut bench, Role::Server, &refused("alice")).expect("a refusal");
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

/// AUT-019: neither a password nor what proves it stands in a log. (That the comparison takes the same time whatever it
/// compares is `subtle`'s promise, which no test can show.)
#[test]
fn nothing_secret_is_shown() {
    let mut bench = Bench::new(realm());
    let challenge = bench.challenge();
    let request = Given::new(&challenge, "alice", PASSWORD, Some("00000001")).request();
    let verdict = bench.server.verify(bench.now, &request, Role::Server);
    let shown = format!("{:?} {verdict:?} {:?}", bench.server, bench.users);
    assert!(
        !shown.contains(PASSWORD) && !shown.contains("response"),
        "{shown}"
    );
}

proptest! {
    /// Names, realms and passwords of any kind, quotes and backslashes included.
    #[test]
    fn client_and_server_agree(
        user in "[^\\p{Cc}]{1,20}",
        realm in "[^\\p{Cc}]{0,20}",
        password in "\\PC{0,20}",
        guess in "\\PC{0,20}",
        proxy in any::<bool>(),
        algorithm in prop::sample::select(Algorithm::ALL.to_vec()),
    ) {
        let mut bench = Bench::new(Digest::realm(realm.clone()).algorithms([algorithm]));
        bench.users = Users::new().add(&user, &realm, &password);
        let role = if proxy { Role::Proxy } else { Role::Server };
        let mut request = register();
        let challenge = bench
            .server
            .answer(bench.now, &request, role, &Outcome::Missing)
            .expect("a challenge");
        let mut client = Client::new([3; 32]);
        client.add(Credentials::password(user.clone(), guess.clone()));
        client.respond(&mut request, &challenge).expect("can be answered");
        let wire = Request::parse(request.to_bytes()).expect("can be read");
        let outcome = bench.server.authenticate(bench.now, &wire, role, &bench.users);
        if guess == password {
            prop_assert_eq!(outcome, Outcome::Granted { user });
        } else {
            prop_assert_eq!(outcome, Outcome::Refused { user });
        }
    }

    /// Whatever stands in the field, checking it neither panics nor lets anyone in.
    #[test]
    fn nobody_gets_in_by_noise(text in "(Digest|Basic)? ?[ -~]{0,80}", realm in any::<bool>()) {
        let mut bench = Bench::new(realm_of(realm));
        let mut request = register();
        if let Ok(value) = HeaderValue::new(&text) {
            request.headers_mut().push_raw(HeaderName::AUTHORIZATION, value);
        }
        let is_in = matches!(bench.check(&request), Outcome::Granted { .. });
        prop_assert!(!is_in);
    }
}

fn realm_of(named: bool) -> Digest {
    if named { realm() } else { Digest::realm("") }
}
