//! Phones and proxies on a simulated network, and what must be true of them when everything is over.

use futures_util::{
    future::{Either, join, select},
    pin_mut,
};
use sipwright::{
    Account, Call, Credentials, Registration, Server, ServerBuilder, UserAgent, UserAgentBuilder,
    endpoint::EndpointStats,
    message::{
        Message, Method, Uri,
        headers::{CSeq, Via},
    },
    proxy::{Foreign, Inbound, Registrar},
    proxy_core::ProxyStats,
    sim::Sim,
    trace::Trace,
    ua::UaStats,
};
use std::{cell::RefCell, collections::BTreeSet, time::Duration};

/// A network, and everyone on it who is watched.
pub(crate) struct Net {
    pub(crate) sim: Sim,
    stations: RefCell<Vec<Station>>,
}

struct Station {
    name: &'static str,
    trace: Trace,
    stack: Stack,
}

#[derive(Clone)]
enum Stack {
    Phone(UserAgent),
    Proxy(Server),
}

/// What a caller offers and a callee answers where nobody listens: no media are opened for it.
pub(crate) const SESSION: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
    m=audio 49172 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";

/// Longer than a caller waits for a first response.
pub(crate) const PATIENCE: Duration = Duration::from_secs(64);

/// 64×T1 + T4 + Timer C: what the last action brings about is over by then.
pub(crate) const SETTLED: Duration = Duration::from_secs(32 + 5 + 185);

impl Net {
    pub(crate) fn new(seed: u64) -> Self {
        let sim = Sim::new(seed);
        sim.alias("atlanta.example.com", "proxy1");
        sim.alias("biloxi.example.com", "proxy2");
        Self {
            sim,
            stations: RefCell::default(),
        }
    }

    /// A user agent on UDP.
    pub(crate) async fn phone(&self, name: &'static str) -> UserAgent {
        self.start_phone(name, |builder| builder.listen("udp:*:5060"))
            .await
    }

    /// A user agent that can connect to others, and nobody to it.
    pub(crate) async fn phone_without_listener(&self, name: &'static str) -> UserAgent {
        self.start_phone(name, |builder| builder).await
    }

    /// A user agent with listeners of its own.
    pub(crate) async fn start_phone(
        &self,
        name: &'static str,
        configure: impl FnOnce(UserAgentBuilder) -> UserAgentBuilder,
    ) -> UserAgent {
        let trace = Trace::new().keep(KEPT).named(name);
        let builder = UserAgent::builder()
            .runtime(self.sim.host(name))
            .trace(trace.clone());
        let ua = configure(builder).start().await.expect("the host is up");
        self.stations.borrow_mut().push(Station {
            name,
            trace,
            stack: Stack::Phone(ua.clone()),
        });
        ua
    }

    pub(crate) async fn proxy(
        &self,
        name: &'static str,
        configure: impl FnOnce(ServerBuilder) -> ServerBuilder,
    ) -> Server {
        let trace = Trace::new().keep(KEPT).named(name);
        let builder = Server::builder()
            .runtime(self.sim.host(name))
            .trace(trace.clone());
        let server = configure(builder).start().await.expect("the host is up");
        self.stations.borrow_mut().push(Station {
            name,
            trace,
            stack: Stack::Proxy(server.clone()),
        });
        server
    }

    /// Alice, on UDP, at her own host.
    pub(crate) async fn alice(&self) -> Account {
        let alice = self.phone("alice").await.account("sip:alice@alice");
        alice.build().expect("it is a URI")
    }

    /// Two phones on UDP with nobody between.
    pub(crate) async fn alice_and_bob(&self) -> (Account, UserAgent) {
        (self.alice().await, self.phone("bob").await)
    }

    /// A proxy at which Bob has registered by `transport`, as `sip:bob@proxy`; one second has passed.
    pub(crate) async fn registered(
        &self,
        bob: &UserAgent,
        transport: &str,
    ) -> (Registration, Server) {
        let server = self.proxy("proxy", |server| {
            let server = server.listen("udp:*:5060").listen("tcp:*:5060");
            let server = server.listen("ws:*").domain("proxy");
            server
                .registrar(Registrar::default())
                .foreign(Foreign::Anyone)
        });
        let server = server.await;
        let route = format!("sip:proxy;transport={transport};lr");
        let account = bob.account("sip:bob@proxy").outbound([route]);
        let account = account.build().expect("both are URIs");
        let binding = account.register().await.expect("nobody asks who he is");
        self.sim
            .sleep(Duration::from_secs(1) - self.sim.elapsed())
            .await;
        (binding, server)
    }

    /// A call to `uri` that is answered at once and has gone on for a second, as both ends have it.
    pub(crate) async fn talk(
        &self,
        caller: &Account,
        uri: &str,
        callee: &UserAgent,
    ) -> (Call, Call) {
        let answered = async {
            let incoming = callee.incoming().await.expect("somebody calls");
            incoming.session(SESSION).answer().await
        };
        let called = caller.call(uri).session(SESSION).into_future();
        let (called, answered) = join(called, answered).await;
        self.sim.sleep(Duration::from_secs(1)).await;
        (
            called.expect("it is answered"),
            answered.expect("it is acknowledged"),
        )
    }

    /// The proxies of RFC 3665: the first is for Alice's domain, the second for Bob's, and knows where Bob is.
    pub(crate) async fn proxies(
        &self,
        configure: impl FnOnce(ServerBuilder) -> ServerBuilder,
    ) -> [Server; 2] {
        let first = self.proxy("proxy1", |server| {
            configure(server.listen("udp:*:5060").domain("atlanta.example.com"))
        });
        let second = self.proxy("proxy2", |server| {
            let to_bob = async |request: Inbound| request.relay(uri("sip:bob@bob")).await;
            server
                .listen("udp:*:5060")
                .domain("biloxi.example.com")
                .route(to_bob)
        });
        [first.await, second.await]
    }

    /// Alice, whose calls pass proxy 1.
    pub(crate) async fn alice_of_atlanta(&self) -> Account {
        let alice = self
            .phone("alice")
            .await
            .account("sip:alice@atlanta.example.com");
        let alice = alice.outbound(["sip:atlanta.example.com;lr"]);
        alice
            .credentials(Credentials::password("alice", "secret"))
            .build()
            .expect("both are URIs")
    }

    /// What `future` gives, unless that takes too long.
    pub(crate) async fn within<F: Future>(&self, time: Duration, future: F) -> Option<F::Output> {
        let late = self.sim.sleep(time);
        pin_mut!(future, late);
        match select(future, late).await {
            Either::Left((output, _)) => Some(output),
            Either::Right(_) => None,
        }
    }

    /// Shows seed and ladder when the test fails while this lives.
    pub(crate) fn witness(&self, seed: u64) -> impl Drop {
        Witness {
            sim: self.sim.clone(),
            seed,
        }
    }

    /// The names of the user agents.
    pub(crate) fn phones(&self) -> Vec<&'static str> {
        let stations = self.stations.borrow();
        let phones = stations
            .iter()
            .filter(|station| matches!(station.stack, Stack::Phone(_)));
        phones.map(|station| station.name).collect()
    }

    /// How many messages a station received or sent whose start line and CSeq are these.
    pub(crate) fn seen(&self, name: &str, way: Way, what: &str, method: &Method) -> usize {
        let seen = self.messages(name, way).into_iter().filter(|message| {
            let start = match message {
                Message::Request(request) => request.method().as_str() == what,
                Message::Response(response) => response.status().as_u16().to_string() == what,
            };
            start && cseq(message).method() == method
        });
        seen.count()
    }

    /// The session descriptions that a station received or sent.
    pub(crate) fn bodies(&self, name: &str, way: Way) -> Vec<String> {
        let bodies = self
            .messages(name, way)
            .into_iter()
            .map(|message| match message {
                Message::Request(request) => String::from_utf8_lossy(request.body()).into_owned(),
                Message::Response(response) => {
                    String::from_utf8_lossy(response.body()).into_owned()
                }
            });
        bodies.filter(|body| !body.is_empty()).collect()
    }

    /// The start lines and header fields of all that a station sent.
    pub(crate) fn heads(&self, name: &str) -> String {
        let sent = self.messages(name, Way::Sent).into_iter();
        let heads = sent.map(|message| {
            let text = String::from_utf8_lossy(&message.to_bytes()).into_owned();
            let head = text.split("\r\n\r\n").next().unwrap_or_default();
            format!("{head}\r\n\r\n")
        });
        heads.collect()
    }

    fn messages(&self, name: &str, way: Way) -> Vec<Message> {
        let stations = self.stations.borrow();
        let station = stations
            .iter()
            .find(|station| station.name == name)
            .expect("it is on the network");
        let ladder = station.trace.ladder();
        let messages = ladder
            .messages()
            .filter(|rung| (rung.from() == name) == (way == Way::Sent));
        messages
            .map(|rung| Message::parse(rung.contents().clone()).expect("we send what can be read"))
            .collect()
    }

    /// Everyone holds nothing any more, has no timer set and has given every request an answer.
    pub(crate) async fn assert_nothing_is_left(&self) {
        assert_eq!(self.sim.left(), [""; 0], "somebody waits for something");
        let stacks: Vec<_> = {
            let stations = self.stations.borrow();
            stations
                .iter()
                .map(|station| (station.name, station.stack.clone()))
                .collect()
        };
        for (name, stack) in stacks {
            let (transport, cores) = match stack {
                Stack::Phone(ua) => (ua.stats().await, ua.core_stats().await.map(held_by_phone)),
                Stack::Proxy(server) => (
                    server.stats().await,
                    server.core_stats().await.map(held_by_proxy),
                ),
            };
            // Who has closed holds nothing.
            let (Some(transport), Some(cores)) = (transport, cores) else {
                continue;
            };
            assert_eq!(
                held(&transport),
                [0; 4],
                "{name} holds transactions of either kind, requests or ACKs"
            );
            assert_eq!(
                cores, 0,
                "{name} holds calls, dialogs, registrations or requests"
            );
        }
        for station in self.stations.borrow().iter() {
            let unanswered = station.unanswered();
            assert!(
                unanswered.is_empty(),
                "{} never answered {unanswered:?}",
                station.name
            );
        }
    }
}

/// Bob's address-of-record, in the domain of proxy 2.
pub(crate) const BOB: &str = "sip:bob@biloxi.example.com";

/// The three links of a call through both proxies.
pub(crate) const LINKS: [(&str, &str); 3] =
    [("alice", "proxy1"), ("proxy1", "proxy2"), ("proxy2", "bob")];

/// Which way a message passed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Sent,
    Received,
}

impl Station {
    /// Requests that had no final response, by branch and method (RFC 3261 §17.2.3).
    fn unanswered(&self) -> BTreeSet<(String, Method)> {
        let (mut asked, mut answered) = (BTreeSet::new(), BTreeSet::new());
        for rung in self.trace.ladder().messages() {
            let message =
                Message::parse(rung.contents().clone()).expect("we send what can be read");
            let via = message
                .headers()
                .get::<Via>()
                .expect("there is a Via")
                .expect("it is right");
            let branch = via.branch().expect("RFC 3261 asks for one").to_string();
            let key = (branch, cseq(&message).method().clone());
            let sent = rung.from() == self.name;
            match &message {
                Message::Request(request) if !sent && *request.method() != Method::ACK => {
                    asked.insert(key);
                }
                Message::Response(response) if sent && response.status().as_u16() >= 200 => {
                    answered.insert(key);
                }
                _ => {}
            }
        }
        asked.difference(&answered).cloned().collect()
    }
}

pub(crate) fn uri(text: &str) -> Uri {
    Uri::parse(text).expect("it is a URI")
}

fn held(stats: &EndpointStats) -> [usize; 4] {
    [
        stats.client_transactions,
        stats.server_transactions,
        stats.requests,
        stats.acknowledgements,
    ]
}

fn held_by_phone(stats: UaStats) -> usize {
    stats.calls
        + stats.dialogs
        + stats.registrations
        + stats.requests
        + stats.awaited
        + stats.handed_out
}

fn held_by_proxy(stats: ProxyStats) -> usize {
    stats.held + stats.waiting
}

fn cseq(message: &Message) -> CSeq {
    message
        .headers()
        .get::<CSeq>()
        .expect("there is a CSeq")
        .expect("it is right")
}

struct Witness {
    sim: Sim,
    seed: u64,
}

impl Drop for Witness {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("with seed {}\n{}", self.seed, self.sim.ladder());
        }
    }
}

/// More messages than any of these flows has.
const KEPT: usize = 10_000;
