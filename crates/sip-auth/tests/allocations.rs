//! What checking credentials allocates: so many pieces and so many octets, whatever a peer sends.
#![allow(clippy::unwrap_used)] // in a test a panic is the answer
#![allow(clippy::disallowed_methods)] // a test needs an instant to start from

use allocation_counter::{AllocationInfo, measure};
use sip_auth::{
    Algorithm, BackOff, Client, Credentials, Digest, Outcome, Role, Secret, Server, Verdict,
};
use sip_io::WallClock;
use sip_message::{HeaderName, HeaderValue, Method, Request, Tag};
use std::time::{Duration, Instant, SystemTime};

const REALM: &str = "example.com";
const HASH: &str = "0123456789abcdef0123456789abcdef";

struct Bench {
    now: Instant,
    server: Server,
    client: Client,
}

fn register() -> Request {
    Request::builder(Method::REGISTER, "sip:example.com")
        .from("sip:alice@example.com", Tag::new("a").unwrap())
        .to("sip:alice@example.com")
        .call_id("1@alice")
        .cseq(1)
        .build()
        .unwrap()
}

impl Bench {
    fn new() -> Self {
        Self::with(Digest::realm(REALM).algorithms([Algorithm::Md5]))
    }

    fn with(policy: Digest) -> Self {
        let now = Instant::now();
        let clock = WallClock {
            at: now,
            is: SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000),
        };
        let mut client = Client::new([2; 32]);
        client.add(Credentials::ha1("alice", REALM, Algorithm::Md5, HASH).unwrap());
        let mut bench = Self {
            now,
            server: Server::new(policy, [1; 32], clock),
            client,
        };
        let mut first = register();
        let challenge = bench
            .server
            .answer(now, &first, Role::Server, &Outcome::Missing)
            .unwrap();
        bench.client.respond(&mut first, &challenge).unwrap();
        bench.check(&first);
        bench
    }

    /// The text of good credentials, each time with the next count.
    fn credentials(&mut self) -> String {
        let mut request = register();
        self.client.prepare(&mut request);
        let value = request.headers().raw(&HeaderName::AUTHORIZATION).unwrap();
        value.text().into_owned()
    }

    /// Checks a request that came over the wire; returns what that cost, and whether it was granted.
    fn check(&mut self, request: &Request) -> (AllocationInfo, bool) {
        let request = Request::parse(request.to_bytes()).unwrap();
        let secret = Secret::ha1(Algorithm::Md5, HASH).unwrap();
        let mut granted = false;
        let cost = measure(|| {
            let outcome = match self.server.verify(self.now, &request, Role::Server) {
                Verdict::Question(question) => self.server.decide(question, Some(&secret)),
                Verdict::Settled(outcome) => outcome,
            };
            granted = matches!(outcome, Outcome::Granted { .. });
        });
        (cost, granted)
    }

    fn cost(&mut self, lines: &[String]) -> (AllocationInfo, bool) {
        let mut request = register();
        for line in lines {
            let value = HeaderValue::new(line).unwrap();
            request
                .headers_mut()
                .push_raw(HeaderName::AUTHORIZATION, value);
        }
        self.check(&request)
    }
}

#[test]
fn good_credentials_cost_a_name_and_what_was_said() {
    let mut bench = Bench::new();
    let line = bench.credentials();
    let (cost, granted) = bench.cost(&[line]);
    assert!(granted);
    assert!(cost.count_total <= 2 && cost.bytes_total < 512, "{cost:?}");
}

/// Up to 60,000 octets of what a peer may write: none of it decides how much is kept.
#[test]
fn no_peer_decides_how_much_is_allocated() {
    let mut bench = Bench::new();
    let good = bench.credentials();
    let long = "x".repeat(50_000);
    let escaped = r"\x".repeat(25_000);
    let params: String = (0..6_000).map(|n| format!(", p{n}=1")).collect();
    let bent = |from: &str, to: &str| vec![good.replace(from, to)];
    let cases = [
        vec![format!("{good}{params}")],
        vec![format!("{good}, opaque=\"{escaped}\"")],
        vec![format!("{good}, username*=\"{escaped}\"")],
        vec![format!("{good}, \"{long}\"")],
        bent("username=\"alice\"", &format!("username=\"{long}\"")),
        bent("username=\"alice\"", &format!("username=\"{escaped}\"")),
        bent("username=\"alice\"", &format!("username*=UTF-8''{long}")),
        bent("realm=\"example.com\"", &format!("realm=\"{escaped}\"")),
        bent("uri=\"sip:example.com\"", &format!("uri=\"{long}\"")),
        bent(" nonce=\"", &format!(" nonce=\"{long}")),
        bent("cnonce=\"", &format!("cnonce=\"{escaped}")),
        bent("response=\"", &format!("response=\"{escaped}")),
        vec![format!("Digest {long}")],
        vec![format!("Bearer {long}")],
        vec![good.replace("alice", "mallory"); 100],
        vec![format!("Digest realm=\"{}\"", r"\e".repeat(900)); 20],
        vec![good.replace("nc=", "nc=\"\\"); 100],
    ];
    for (n, lines) in cases.iter().enumerate() {
        let (cost, _) = bench.cost(lines);
        assert!(
            cost.count_total <= 64 && cost.bytes_max <= 16_384,
            "case {n}: {cost:?}"
        );
    }
    let (_, granted) = bench.cost(&[format!("{good}{params}")]);
    assert!(!granted, "its count was used");
}

/// Once its tables are full, no user, realm or nonce that was never seen before makes a server hold more, however many
/// there are.
#[test]
fn ever_new_users_realms_and_nonces_are_not_held() {
    let back_off = BackOff::default().entries(100).source_failures(u32::MAX);
    let policy = Digest::realm(REALM)
        .algorithms([Algorithm::Md5])
        .back_off(back_off);
    let mut bench = Bench::with(policy);
    let good = bench.credentials();
    let wrong = good.replace("cnonce=\"", "cnonce=\"0");
    let mut guess = |n: u32| {
        let user = wrong.replace("\"alice\"", &format!("\"user{n}\""));
        let line = match n % 3 {
            0 => user.replace("\"example.com\"", &format!("\"realm{n}\"")),
            1 => user.replace(" nonce=\"", &format!(" nonce=\"{n}")),
            _ => user,
        };
        let (cost, granted) = bench.cost(&[line]);
        assert!(!granted);
        cost.bytes_current
    };
    let filled: i64 = (0..3_000).map(&mut guess).sum();
    let later: i64 = (3_000..12_000).map(&mut guess).sum();
    assert!(filled < 65_536, "{filled} octets are held");
    assert!(later.abs() < 8_192, "{later} octets more");
    let (_, granted) = bench.cost(&[good]);
    assert!(granted);
}
