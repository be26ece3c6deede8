//! Who answers for names, and what is kept of the answers.

use crate::{DOMAIN, TAKES_NO_CALLS, server};
use sipwright::{
    RequestError, Server, UserAgent, assert_ladder,
    io::Protocol,
    message::{Method, StatusCode, Uri},
    proxy::{Inbound, Registrar, Rejected, Relayed, Target},
    resolver::{
        Answer, HealthConfig, LookupError, Methods, Question, RecordType, Resolve, ResolverConfig,
        View, Zone,
    },
    sim::{Host, Sim},
};
use std::{
    future::pending,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// An application's own resolver: one address for each name, and a way to be slow.
#[derive(Clone)]
struct Own {
    address: IpAddr,
    asked: Arc<AtomicU64>,
    /// What is never answered
    silent: Option<RecordType>,
    ttl: Duration,
}

impl Own {
    fn new(host: &Host) -> Self {
        Self {
            address: host.ipv4().into(),
            asked: Arc::default(),
            silent: None,
            ttl: Duration::from_secs(60),
        }
    }
}

impl Resolve for Own {
    async fn lookup(&self, question: &Question) -> Result<Answer, LookupError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if question.name().starts_with("panic") {
            panic!("a resolver that is broken");
        }
        match question.record_type() {
            silent if Some(silent) == self.silent => pending().await,
            RecordType::A => Ok(Answer::addresses([self.address], self.ttl)),
            _ => Err(LookupError::NoRecords { ttl: None }),
        }
    }
}

async fn asking(sim: &Sim, own: &Own) -> UserAgent {
    let builder = UserAgent::builder()
        .runtime(sim.host("alice"))
        .listen("udp:*:5060")
        .resolver(own.clone());
    builder.start().await.expect("the host is up")
}

#[test]
fn the_applications_own_resolver_answers_and_its_answers_are_kept() {
    let sim = Sim::new(20);
    sim.run(async {
        let own = Own::new(&sim.host("one"));
        let alice = asking(&sim, &own).await;
        let _one = server(&sim, "one").await;
        for _ in 0..2 {
            let pong = alice.options("sip:somewhere.example").await;
            assert_eq!(pong.expect("it is found").status(), TAKES_NO_CALLS);
        }
        // NAPTR, SRV for UDP, A, AAAA: once.
        assert_eq!(own.asked.load(Ordering::Relaxed), 4);
        assert_eq!(alice.names().cached().await.len(), 4);
        alice.names().flush_name("somewhere.example").await;
        assert_eq!(alice.names().cached().await.len(), 1, "that of the service");
        alice.names().flush().await;
        assert!(alice.names().cached().await.is_empty());
    });
    // A resolver that is ready costs no time.
    assert_eq!(sim.ladder().rungs()[0].at, Duration::ZERO);
}

/// RFC 8305 §3: 50 ms, and not the time of the question that nobody answers.
#[test]
fn one_slow_aaaa_costs_fifty_milliseconds() {
    let sim = Sim::new(21);
    sim.run(async {
        let mut own = Own::new(&sim.host("one"));
        own.silent = Some(RecordType::Aaaa);
        let alice = asking(&sim, &own).await;
        let _one = server(&sim, "one").await;
        let pong = alice.options("sip:somewhere.example").await;
        assert_eq!(pong.expect("it is found").status(), TAKES_NO_CALLS);
    });
    assert_ladder!(
        sim,
        "
              50 ms  alice -> one    OPTIONS
              60 ms  one   -> alice  480
    "
    );
}

/// RFC 8305 §5: then the other family has its turn, and the first to be connected is used.
#[test]
fn a_connection_that_hangs_costs_a_quarter_of_a_second() {
    let sim = Sim::new(29);
    sim.run(async {
        let (dead, two) = (sim.host("dead"), sim.host("two"));
        sim.partition(&["dead"]);
        let zone = Zone::new()
            .address("dual.example", dead.ipv6())
            .address("dual.example", two.ipv4());
        let on_tcp = |host: Host| {
            let builder = UserAgent::builder().runtime(host).zone(zone.clone());
            builder.listen("tcp:*:5060").start()
        };
        let alice = on_tcp(sim.host("alice")).await.expect("the host is up");
        let _two = on_tcp(two).await.expect("the host is up");
        let pong = alice.options("sip:dual.example:5060;transport=tcp").await;
        assert_eq!(pong.expect("it is found").status(), TAKES_NO_CALLS);
    });
    let ladder = sim.ladder();
    let first = &ladder.rungs()[0];
    assert_eq!(first.to, "two", "{ladder}");
    assert!((250..300).contains(&first.at.as_millis()), "{ladder}");
}

#[test]
fn a_resolver_that_is_silent_or_broken_is_a_failure_with_its_reason() {
    let sim = Sim::new(22);
    sim.run(async {
        let mut own = Own::new(&sim.host("one"));
        own.silent = Some(RecordType::A);
        let alice = asking(&sim, &own).await;
        let started = sim.elapsed();
        let error = alice.options("sip:somewhere.example:5060").await;
        let error = error.expect_err("nobody answers");
        assert!((sim.elapsed() - started) <= Duration::from_secs(12));
        assert!(matches!(error, RequestError::NoTarget { .. }), "{error}");
        let error = alice.options("sip:panic.example:5060").await;
        let text = error.expect_err("it is broken").to_string();
        assert!(text.starts_with("no server: panic.example "), "{text}");
        assert!(text.ends_with(": server failure"), "{text}");
    });
}

/// Each refresh asks anew where the registrar is; what the DNS said before counts for as long as it said.
#[test]
fn a_registration_follows_its_name_to_another_server() {
    let sim = Sim::new(23);
    sim.alias("office.example", "one");
    sim.run(async {
        let builder = UserAgent::builder()
            .runtime(sim.host("alice"))
            .listen("udp:0.0.0.0:5060");
        let alice = builder.start().await.expect("the host is up");
        let mut servers = Vec::new();
        for name in ["one", "two"] {
            let builder = Server::builder()
                .runtime(sim.host(name))
                .listen("udp:0.0.0.0:5060")
                .domain("office.example")
                .registrar(Registrar::default());
            servers.push(builder.start().await.expect("the host is up"));
        }
        let account = alice
            .account("sip:alice@office.example")
            .expires(Duration::from_secs(120))
            .build()
            .expect("is a URI");
        let _registration = account.register().await.expect("the first one is there");
        sim.alias("office.example", "two");
        sim.sleep(Duration::from_secs(300)).await;
        let ladder = sim.ladder();
        let towards: Vec<&str> = ladder
            .rungs()
            .iter()
            .filter(|rung| rung.what == "REGISTER")
            .map(|rung| rung.to.as_str())
            .collect();
        assert_eq!(towards.first(), Some(&"one"), "{ladder}");
        assert_eq!(towards.last(), Some(&"two"), "{ladder}");
    });
}

/// RFC 3261 §21.5.4: for as long as Retry-After says the server is not asked, and then it is again.
#[test]
fn a_server_that_says_503_with_retry_after_is_left_alone_for_that_time() {
    let sim = Sim::new(24);
    sim.run(async {
        let alice = crate::alice(&sim).await;
        let busy = |request: Inbound| async move {
            let response = request.request().response(StatusCode::SERVICE_UNAVAILABLE);
            let retry = sipwright::message::headers::RetryAfter::new(Duration::from_secs(120));
            Ok::<Relayed, Rejected>(request.answer(response.header(retry).build()))
        };
        let _one = Server::builder()
            .runtime(sim.host("one"))
            .listen("udp:0.0.0.0:5060")
            .domain("pair.example")
            .route(busy)
            .start()
            .await
            .expect("the host is up");
        let _two = server(&sim, "two").await;
        let to_bob = "sip:bob@pair.example";
        for wait in [100, 30] {
            let pong = alice.options(to_bob).await.expect("the second answers");
            assert_eq!(pong.status(), TAKES_NO_CALLS);
            let failed = alice.names().failed().await;
            assert_eq!(failed.len(), 1);
            assert!(failed[0].remaining <= Duration::from_secs(120));
            sim.sleep(Duration::from_secs(wait)).await;
        }
        alice.options(to_bob).await.expect("the second answers");
    });
    assert_ladder!(
        sim,
        "
               0 ms  alice -> one    OPTIONS
              10 ms  one   -> alice  503
              20 ms  alice -> two    OPTIONS
              30 ms  two   -> alice  480
          100040 ms  alice -> two    OPTIONS
          100050 ms  two   -> alice  480
          130060 ms  alice -> one    OPTIONS
          130070 ms  one   -> alice  503
          130080 ms  alice -> two    OPTIONS
          130090 ms  two   -> alice  480
    "
    );
}

/// The application may take a server for well again.
#[test]
fn a_server_that_is_forgiven_is_tried_first_again() {
    let sim = Sim::new(25);
    sim.run(async {
        let alice = crate::alice(&sim).await;
        let one = sim.host("one");
        let _two = server(&sim, "two").await;
        let first_asked = |from: usize| {
            let ladder = sim.ladder();
            let rung = &ladder.rungs()[from];
            (rung.to.clone(), ladder.rungs().len())
        };
        alice.options(DOMAIN).await.expect("the second answers");
        let (to, seen) = first_asked(0);
        assert_eq!(to, "one");
        alice.options(DOMAIN).await.expect("the second answers");
        let (to, seen) = first_asked(seen);
        assert_eq!(to, "two");
        let address = SocketAddr::from((one.ipv4(), 5060));
        alice.names().forgive((Protocol::Udp, address)).await;
        alice.options(DOMAIN).await.expect("the second answers");
        assert_eq!(first_asked(seen).0, "one");
    });
}

#[test]
fn a_server_that_is_down_is_probed_and_comes_back() {
    let sim = Sim::new(26);
    sim.run(async {
        sim.srv("_sip._udp.pair.example", 1, 0, 5060, "one");
        sim.srv("_sip._udp.pair.example", 2, 0, 5060, "two");
        let health = HealthConfig::new()
            .back_off(Duration::from_secs(3_600))
            .ignore(Methods::Only(vec![Method::BYE]))
            .probe(Duration::from_secs(10));
        let alice = UserAgent::builder()
            .runtime(sim.host("alice"))
            .listen("udp:0.0.0.0:5060")
            .health(health)
            .start()
            .await
            .expect("the host is up");
        sim.host("one");
        let _two = server(&sim, "two").await;
        alice.options(DOMAIN).await.expect("the second answers");
        sim.sleep(Duration::from_secs(15)).await;
        let _one = server(&sim, "one").await;
        sim.sleep(Duration::from_secs(10)).await;
        alice.options(DOMAIN).await.expect("the first answers");
    });
    assert_ladder!(
        sim,
        "
               0 ms  alice -> one    OPTIONS
              20 ms  alice -> two    OPTIONS
              30 ms  two   -> alice  480
           10020 ms  alice -> one    OPTIONS
           20020 ms  alice -> one    OPTIONS
           20030 ms  one   -> alice  480
           25040 ms  alice -> one    OPTIONS
           25050 ms  one   -> alice  480
    "
    );
}

/// RFC 6116: the number becomes a URI by a private tree.
#[test]
fn a_telephone_number_is_reached_by_enum() {
    let sim = Sim::new(27);
    sim.run(async {
        let rule = sipwright::resolver::Record::Naptr(sipwright::resolver::Naptr {
            order: 100,
            preference: 10,
            flags: "u".into(),
            services: "E2U+sip".into(),
            regexp: "!^.*$!sip:desk@one!".into(),
            replacement: ".".into(),
        });
        let zone = Zone::new().record("4.3.2.1.5.5.5.1.numbers.example", rule);
        let alice = UserAgent::builder()
            .runtime(sim.host("alice"))
            .listen("udp:0.0.0.0:5060")
            .zone(zone)
            .lookups(ResolverConfig::new().enum_suffix("numbers.example"))
            .start()
            .await
            .expect("the host is up");
        let _one = server(&sim, "one").await;
        let pong = alice.options("tel:+15551234").await;
        assert_eq!(pong.expect("it is found").status(), TAKES_NO_CALLS);
        let unknown = alice.options("tel:+15559999").await;
        let text = unknown.expect_err("nobody has it").to_string();
        assert_eq!(text, "no server: +15559999 leads to no uri");
    });
    assert_eq!(sim.ladder().rungs()[0].to, "one");
}

/// A private view: the proxy asks for the name of a gateway inside where the listener inside asks.
#[test]
fn a_name_leads_where_the_view_of_the_listener_says() {
    let sim = Sim::new(28);
    sim.run(async {
        let (outside, inside) = (sim.host("outside"), sim.host("inside"));
        let knows = |host: &Host| Zone::new().address("gateway.example", host.ipv4());
        let edge = sim.host("edge");
        let local = |port| SocketAddr::from((edge.ipv4(), port));
        let by = local(5062);
        let route = move |request: Inbound| async move {
            let gateway = Uri::parse("sip:gateway.example:5060")?;
            let target = match request.uri().user().as_deref() {
                Some("inside") => Target::new(gateway).by_listener(by),
                _ => Target::new(gateway),
            };
            request.relay(sipwright::proxy::Plan::to(target)).await
        };
        let _edge = Server::builder()
            .runtime(edge.clone())
            .listen(format!("udp:{}", local(5060)))
            .listen_within(format!("udp:{by}"), View::new().zone(knows(&inside)))
            .zone(knows(&outside))
            .domain("edge")
            .route(route)
            .start()
            .await
            .expect("the host is up");
        let _servers = (server(&sim, "outside").await, server(&sim, "inside").await);
        let alice = server(&sim, "alice").await;
        for user in ["inside", "outside"] {
            let pong = alice.options(format!("sip:{user}@edge")).await;
            assert_eq!(pong.expect("it is found").status(), TAKES_NO_CALLS);
        }
    });
    let ladder = sim.ladder();
    let gateways: Vec<&str> = ladder
        .rungs()
        .iter()
        .filter(|rung| rung.from == "edge" && rung.what == "OPTIONS")
        .map(|rung| rung.to.as_str())
        .collect();
    assert_eq!(gateways, ["inside", "outside"], "{ladder}");
}
