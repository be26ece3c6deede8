//! A registrar whose bindings are elsewhere: it asks, and waits only so long.
#![allow(clippy::unwrap_used)] // in a test a panic is the answer
#![allow(clippy::disallowed_methods)] // a test needs an instant to start from

use sip_auth::{Client, Credentials, Digest, Proof, Secret, Server};
use sip_endpoint::{Domains, EndpointConfig, Listener, Stack, StackEvent};
use sip_io::{Flow, Receive, StateMachine, Transmit, WallClock};
use sip_message::{
    Request, Response,
    headers::{AuthenticationInfo, Contact},
};
use sip_registrar::{Change, Event, Registrar, RegistrarConfig, SecretId, UpdateError, UpdateId};
use std::{
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

struct Fixture {
    now: Instant,
    stack: Stack<Registrar>,
    flow: Flow,
    serial: u32,
}

impl Fixture {
    fn new(configure: impl FnOnce(RegistrarConfig) -> RegistrarConfig) -> Self {
        Self::on(|endpoint| endpoint, configure)
    }

    fn on(
        endpoint: impl FnOnce(EndpointConfig) -> EndpointConfig,
        configure: impl FnOnce(RegistrarConfig) -> RegistrarConfig,
    ) -> Self {
        let now = Instant::now();
        let clock = WallClock {
            at: now,
            is: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        };
        let config = configure(RegistrarConfig::new(
            clock,
            Domains::new(["example.com"]).unwrap(),
        ));
        let mut stack = Stack::new(
            endpoint(EndpointConfig::new([1; 32], clock)),
            Registrar::asking(config),
        );
        let local: SocketAddr = "10.0.0.1:5060".parse().unwrap();
        stack.command(now, |_, cx| cx.listen(Listener::udp(local)));
        let Some(Transmit::Bind { token, .. }) = stack.poll_transmit() else {
            panic!("asked for a socket")
        };
        stack.handle_receive(
            now,
            Receive::Bound {
                token,
                result: Ok(local),
            },
        );
        let flow = Flow::udp(local, "10.0.0.3:5060".parse().unwrap());
        Self {
            now,
            stack,
            flow,
            serial: 0,
        }
    }

    fn register(&mut self) {
        let register = self.request();
        self.send(&register);
    }

    fn send(&mut self, request: &Request) {
        let contents = request.to_bytes();
        self.stack.handle_receive(
            self.now,
            Receive::Datagram {
                flow: self.flow,
                contents,
            },
        );
    }

    fn request(&mut self) -> Request {
        self.serial += 1;
        let text = format!(
            "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.3:5060;branch=z9hG4bK{0}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:bob@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: 1\r\n\
             CSeq: {0} REGISTER\r\nContact: <sip:bob@10.0.0.3>;expires=60\r\nContent-Length: 0\r\n\r\n",
            self.serial
        );
        Request::parse(text.into()).unwrap()
    }

    fn question(&mut self) -> Option<(UpdateId, Change)> {
        std::iter::from_fn(|| self.stack.poll_event()).find_map(|event| match event {
            StackEvent::Core(Event::UpdateNeeded { id, aor, change }) => {
                assert_eq!(aor.as_str(), "sip:bob@example.com");
                Some((id, change))
            }
            _ => None,
        })
    }

    /// The next final response.
    fn answer(&mut self) -> Option<Response> {
        loop {
            let Transmit::Datagram { contents, .. } = self.stack.poll_transmit()? else {
                panic!("nothing but datagrams")
            };
            let response = Response::parse(contents).unwrap();
            if response.status().is_final() {
                return Some(response);
            }
        }
    }

    fn finish(mut self) {
        while let Some(at) = self.stack.poll_timeout() {
            self.now = at;
            self.stack.handle_timeout(at);
        }
        assert_eq!(self.stack.core().stats().pending, 0);
        assert!(self.stack.is_idle());
    }
}

#[test]
fn the_store_elsewhere_applies_the_change_and_the_answer_follows() {
    let mut fixture = Fixture::new(|config| config);
    fixture.register();
    assert!(fixture.answer().is_none());
    assert!(!fixture.stack.is_idle());
    let (id, change) = fixture.question().expect("asked");
    let bindings = change.apply(Vec::new()).unwrap();
    fixture.stack.command(fixture.now, |core, cx| {
        core.provide_update(cx, id, Ok(bindings))
    });
    let answer = fixture.answer().expect("answered");
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.headers().require::<Contact>().unwrap().expires(),
        Some(Duration::from_secs(60))
    );
    assert!(matches!(
        fixture.stack.poll_event(),
        Some(StackEvent::Core(Event::Changed { .. }))
    ));
    fixture.finish();
}

#[test]
fn a_store_that_is_out_of_order_or_silent_is_503() {
    let mut fixture = Fixture::new(|config| config.decision(Duration::from_secs(5)));
    fixture.register();
    let (id, _) = fixture.question().expect("asked");
    let broken = UpdateError::Unavailable("no connection".to_owned());
    fixture.stack.command(fixture.now, |core, cx| {
        core.provide_update(cx, id, Err(broken))
    });
    assert_eq!(fixture.answer().expect("answered").status(), 503);
    fixture.register();
    let (id, change) = fixture.question().expect("asked");
    let late = fixture.now + Duration::from_secs(6);
    fixture.stack.handle_timeout(late);
    assert_eq!(fixture.answer().expect("answered").status(), 503);
    let bindings = change.apply(Vec::new()).unwrap();
    fixture
        .stack
        .command(late, |core, cx| core.provide_update(cx, id, Ok(bindings)));
    assert!(fixture.answer().is_none(), "too late");
    fixture.finish();
}

#[test]
fn questions_are_bounded() {
    let mut fixture = Fixture::new(|config| config.pending(1));
    fixture.register();
    fixture.register();
    assert_eq!(fixture.answer().expect("answered").status(), 503);
    assert!(fixture.question().is_some());
    assert!(fixture.question().is_none());
    fixture.stack.shutdown(fixture.now);
    assert_eq!(fixture.answer().expect("answered").status(), 503);
    fixture.finish();
}

impl Fixture {
    fn authenticating() -> Self {
        let clock = WallClock {
            at: Instant::now(),
            is: SystemTime::UNIX_EPOCH,
        };
        Self::new(|config| {
            config.authenticate_asking(Server::new(Digest::realm("example.com"), [2; 32], clock))
        })
    }

    /// Sends a REGISTER with credentials, and returns the question about their secret.
    fn secret_needed(&mut self, client: &mut Client) -> SecretId {
        let mut request = self.request();
        self.send(&request);
        let challenge = self.answer().expect("challenged");
        assert_eq!(challenge.status(), 401);
        // Another transaction, with a CSeq of its own.
        request = self.request();
        client.respond(&mut request, &challenge).unwrap();
        self.send(&request);
        let question =
            std::iter::from_fn(|| self.stack.poll_event()).find_map(|event| match event {
                StackEvent::Core(Event::SecretNeeded { id, user, realm }) => {
                    Some((id, user, realm))
                }
                _ => None,
            });
        let (id, user, realm) = question.expect("asked");
        assert_eq!((user.as_str(), realm.as_str()), ("bob", "example.com"));
        id
    }

    fn provide(&mut self, id: SecretId, secret: Result<Option<Secret>, String>) {
        self.stack
            .command(self.now, |core, cx| core.provide_secret(cx, id, secret));
    }
}

fn bob() -> Client {
    let mut client = Client::new([3; 32]);
    client.add(Credentials::password("bob", "secret"));
    client
}

#[test]
fn a_secret_from_elsewhere_lets_the_registration_go_on() {
    let mut fixture = Fixture::authenticating();
    let id = fixture.secret_needed(&mut bob());
    assert!(fixture.answer().is_none());
    fixture.provide(id, Ok(Some(Secret::password("secret"))));
    let (id, change) = fixture.question().expect("asked for the bindings");
    let bindings = change.apply(Vec::new()).unwrap();
    fixture.stack.command(fixture.now, |core, cx| {
        core.provide_update(cx, id, Ok(bindings))
    });
    assert_eq!(fixture.answer().expect("answered").status(), 200);
    fixture.finish();
}

#[test]
fn a_wrong_secret_an_unknown_user_and_a_broken_store_bind_nothing() {
    for (secret, code) in [
        (Ok(Some(Secret::password("another"))), 401),
        (Ok(None), 401),
        (Err("no connection".to_owned()), 503),
    ] {
        let mut fixture = Fixture::authenticating();
        let id = fixture.secret_needed(&mut bob());
        fixture.provide(id, secret);
        assert_eq!(fixture.answer().expect("answered").status(), code);
        assert!(fixture.question().is_none());
        fixture.provide(id, Ok(None));
        assert!(fixture.answer().is_none(), "answered already");
        fixture.finish();
    }
}

impl Fixture {
    /// The response to a REGISTER whose sender is bob, with bob's secret and his binding stored elsewhere.
    fn registered(&mut self, request: &Request) -> Response {
        self.send(request);
        let id = std::iter::from_fn(|| self.stack.poll_event()).find_map(|event| match event {
            StackEvent::Core(Event::SecretNeeded { id, .. }) => Some(id),
            _ => None,
        });
        let id = id.expect("asked for the secret");
        self.provide(id, Ok(Some(Secret::password("secret"))));
        let (id, change) = self.question().expect("asked for the bindings");
        let bindings = change.apply(Vec::new()).unwrap();
        self.stack.command(self.now, |core, cx| {
            core.provide_update(cx, id, Ok(bindings))
        });
        self.answer().expect("answered")
    }
}

/// RFC 3261 §20.6, RFC 7616 §3.5: the 200 proves that the registrar knows the password, and renews the nonce in time.
#[test]
fn a_200_confirms_the_password_and_brings_the_next_nonce_before_the_old_one_ends() {
    let mut fixture = Fixture::authenticating();
    let mut client = bob();
    let mut request = fixture.request();
    fixture.send(&request);
    let challenge = fixture.answer().expect("challenged");
    request = fixture.request();
    client.respond(&mut request, &challenge).unwrap();
    let response = fixture.registered(&request);
    assert_eq!(response.status(), 200);
    assert_eq!(client.learn(&request, &response), Proof::Valid);
    let info = response.headers().require::<AuthenticationInfo>().unwrap();
    assert_eq!(info.param("nextnonce"), None);
    // One who does not know the password cannot say so.
    let mut guesser = Client::new([4; 32]);
    guesser.add(Credentials::password("bob", "guess"));
    let mut draft = fixture.request();
    guesser.respond(&mut draft, &challenge).unwrap();
    assert_eq!(guesser.learn(&request, &response), Proof::Invalid);
    // Every two minutes for an hour, with no further challenge: a nonce is good for five.
    for _ in 0..30 {
        fixture.now += Duration::from_secs(120);
        request = fixture.request();
        client.prepare(&mut request);
        let response = fixture.registered(&request);
        assert_eq!(response.status(), 200);
        assert_eq!(client.learn(&request, &response), Proof::Valid);
    }
    fixture.finish();
}

/// RFC 5626 §5.4, §6: a flow of datagrams is managed where the device can keep it alive.
#[test]
fn over_datagrams_a_reg_id_counts_where_stun_is_answered() {
    for answers in [true, false] {
        let mut fixture = Fixture::on(|endpoint| endpoint.answer_stun(answers), |config| config);
        let text = String::from_utf8(fixture.request().to_bytes().to_vec()).unwrap();
        let text = text.replace(
            ";expires=60",
            ";reg-id=1;+sip.instance=\"<urn:uuid:b>\"\r\nSupported: outbound, path",
        );
        fixture.send(&Request::parse(text.into()).unwrap());
        let (_, change) = fixture.question().unwrap();
        assert_eq!(change.is_outbound(), answers);
        let bindings = change.apply(Vec::new()).unwrap();
        let flow = Some(fixture.flow).filter(|_| answers);
        assert_eq!(bindings[0].flow, flow, "its Contact leads there as well");
        fixture.finish();
    }
}
