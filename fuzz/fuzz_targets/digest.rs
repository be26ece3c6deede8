//! Nobody gets in by noise, no challenge upsets a client, and what a client writes is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sip_auth::{
    BackOff, BearerChallenge, BearerToken, Client, Credentials, Digest, Htdigest, Outcome, Qop, Role, Server, Users,
    aka::{Milenage, SoftUsim},
};
use sip_io::WallClock;
use sip_message::{HeaderName, HeaderValue, Method, Request, StatusCode, Tag, headers::WwwAuthenticate};
use std::time::{Instant, SystemTime};

fn request() -> Request {
    Request::builder(Method::REGISTER, "sip:example.com")
        .from("sip:alice@example.com", Tag::new("a").expect("is a tag"))
        .to("sip:alice@example.com")
        .call_id("c")
        .cseq(1)
        .build()
        .expect("is complete")
}

fn server(now: Instant) -> Server {
    let clock = WallClock {
        at: now,
        is: SystemTime::UNIX_EPOCH,
    };
    let policy = Digest::realm("example.com")
        .protections([Qop::Auth, Qop::AuthInt])
        .hash_users(true)
        .bind_source(true)
        .back_off(BackOff::default().entries(4));
    Server::new(policy, [1; 32], clock)
}

fuzz_target!(|data: &[u8]| {
    let now = Instant::now();
    let users = Users::new().add("alice", "example.com", "secret").hide("example.com");
    let mut server = server(now);
    let mut client = Client::new([2; 32]);
    client.add(Credentials::password("alice", "secret"));
    client.add_usim("alice", "example.com", SoftUsim::new(Milenage::new([1; 16], [2; 16]), 0));
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = (Users::parse(text), Htdigest::parse(text));
    }
    let with_scheme = [b"Digest realm=\"example.com\", ", data].concat();
    for value in [data, &with_scheme] {
        let Ok(value) = HeaderValue::new(value) else {
            continue;
        };
        // As credentials.
        let mut guess = request();
        guess.headers_mut().push_raw(HeaderName::AUTHORIZATION, value.clone());
        let outcome = server.authenticate(now, &guess, Role::Server, &users);
        assert!(!matches!(outcome, Outcome::Granted { .. }));
        assert!(server.answer(now, &guess, Role::Server, &outcome).is_some());
        if let Some(token) = BearerToken::of(&guess, Role::Server) {
            token.write(&mut guess, Role::Server);
            assert_eq!(BearerToken::of(&guess, Role::Server), Some(token));
        }
        // As a challenge.
        let mut asked = request();
        let response = asked
            .response(StatusCode::UNAUTHORIZED)
            .raw_header(HeaderName::WWW_AUTHENTICATE, value.clone())
            .build();
        if client.respond(&mut asked, &response).is_ok() {
            let again = server.authenticate(now, &asked, Role::Server, &users);
            assert!(!matches!(again, Outcome::Granted { .. } | Outcome::Malformed(_)), "{again:?}");
            client.prepare(&mut request());
        }
        if let Some(Ok(field)) = response.headers().get::<WwwAuthenticate>() {
            let _ = BearerChallenge::of_server(&field);
        }
        // As the confirmation of one.
        let answer = asked
            .response(StatusCode::OK)
            .raw_header(HeaderName::AUTHENTICATION_INFO, value)
            .build();
        client.learn(&asked, &answer);
        client.forget();
    }
    assert!(server.stats().failure_entries <= 4 && server.stats().replay_entries == 0);
});
