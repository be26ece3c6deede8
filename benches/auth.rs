//! Asking who it is, and checking the answer.
//!
//! 64 times for each reading of the clock, which costs as much as a hash.

use bytes::Bytes;
use divan::{Bencher, black_box};
use sip_auth::{Algorithm, Client, Credentials, Digest, Outcome, Role, Secret, Server, Verdict};
use sip_io::WallClock;
use sip_message::{Request, headers::Authorization};
use sipwright_benches::REGISTER;
use std::time::{Duration, Instant, SystemTime};

fn main() {
    divan::main();
}

const ALGORITHMS: [Algorithm; 3] = [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512_256];
const REALM: &str = "atlanta.example.com";

fn server(algorithm: Algorithm, now: Instant) -> Server {
    let clock = WallClock {
        at: now,
        is: SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000),
    };
    Server::new(Digest::realm(REALM).algorithms([algorithm]), [1; 32], clock)
}

fn register() -> Request {
    let wire = Bytes::from_static(REGISTER.as_bytes());
    let mut request = Request::parse(wire).expect("a good message");
    request.headers_mut().remove::<Authorization>();
    request
}

/// H(A1) as a store holds it.
fn stored(algorithm: Algorithm) -> Secret {
    let digits = "0123456789abcdef".repeat(algorithm.hex_length() / 16);
    Secret::ha1(algorithm, &digits).expect("has the right length")
}

/// An Authorization header field against a stored hash, parsing included; each count is used once.
#[divan::bench(args = ALGORITHMS, sample_count = 1000, sample_size = 64)]
fn check(bencher: Bencher<'_, '_>, algorithm: Algorithm) {
    let now = Instant::now();
    let mut server = server(algorithm, now);
    let digits = "0123456789abcdef".repeat(algorithm.hex_length() / 16);
    let credentials = Credentials::ha1("alice", REALM, algorithm, &digits);
    let mut client = Client::new([2; 32]);
    client.add(credentials.expect("has the right length"));
    let mut first = register();
    let answer = server.answer(now, &first, Role::Server, &Outcome::Missing);
    let answered = client.respond(&mut first, &answer.expect("a challenge"));
    answered.expect("can be answered");
    let secret = stored(algorithm);
    bencher
        .with_inputs(|| {
            let mut request = register();
            client.prepare(&mut request);
            Request::parse(request.to_bytes()).expect("a good message")
        })
        .bench_local_refs(|request| {
            let Verdict::Question(question) = server.verify(now, black_box(request), Role::Server)
            else {
                unreachable!("the credentials are ours");
            };
            let outcome = server.decide(question, Some(&secret));
            assert!(matches!(outcome, Outcome::Granted { .. }));
        });
}

/// WWW-Authenticate with a new nonce.
#[divan::bench(args = ALGORITHMS, sample_count = 1000, sample_size = 64)]
fn challenge(bencher: Bencher<'_, '_>, algorithm: Algorithm) {
    let now = Instant::now();
    let mut server = server(algorithm, now);
    bencher.bench_local(|| server.challenge(black_box(now), false));
}
