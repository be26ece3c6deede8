//! Stacks of several workers: whatever worker a message comes to, what belongs together meets.

use crate::{
    network::{Net, SESSION, SETTLED},
    pki::Authority,
    wire::Wire,
};
use futures_util::{
    FutureExt,
    future::{join, join_all},
};
use sipwright::{
    Account, BindError, Credentials, Registration, Server, ServerBuilder, Tls, UserAgent,
    auth::{Client, Digest, Users},
    endpoint::EndpointStats,
    message::{Request, StatusCode},
    proxy::{DestinationStatus, DispatchSet, Foreign, Inbound, Registrar},
    runtime::Runtime,
    sim::{Host, Sim},
};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Hundreds of calls by UDP and TCP, from many ports and from a user agent of four workers, through a proxy of four to a
/// user agent of four: each is answered and hung up, and nothing remains anywhere.
#[test]
fn calls_pass_stacks_of_four_workers_whatever_worker_they_come_to() {
    let net = Net::new(1);
    net.sim.run(async {
        let proxy = net.proxy("proxy", |server| {
            let to_uas = async |request: Inbound| {
                let transport = if request.flow().is_stream() {
                    "tcp"
                } else {
                    "udp"
                };
                let uri = format!("sip:uas;transport={transport}");
                request.relay(crate::network::uri(&uri)).await
            };
            let server = server.workers(4).listen("udp:*:5060").listen("tcp:*:5060");
            server.foreign(Foreign::Anyone).route(to_uas)
        });
        let proxy = proxy.await;
        let uas = net.start_phone("uas", |phone| {
            phone.workers(4).listen("udp:*:5060").listen("tcp:*:5060")
        });
        let uas = uas.await;
        answer_everything(&net.sim.host("uas"), &uas);
        let mut callers = vec![
            net.start_phone("many", |phone| phone.workers(4).listen("udp:*:5060"))
                .await,
        ];
        let host = net.sim.host("alice");
        for number in 0..24 {
            let builder = UserAgent::builder().runtime(host.clone());
            let builder = if number % 2 == 0 {
                builder.listen("udp:*:0")
            } else {
                builder
            };
            callers.push(builder.start().await.unwrap());
        }
        let calls = callers.iter().enumerate().map(|(number, caller)| {
            let account = caller.account("sip:alice@alice").build().unwrap();
            let sim = net.sim.clone();
            async move {
                let count = if number == 0 { 100 } else { 8 };
                for call in 0..count {
                    let transport = if number % 2 == 1 { "udp" } else { "tcp" };
                    let transport = if number == 0 && call % 2 == 1 {
                        "udp"
                    } else {
                        transport
                    };
                    let uri = format!("sip:bob@proxy;transport={transport}");
                    let call = account.call(uri.as_str()).session(SESSION).await;
                    let call = call.unwrap_or_else(|error| panic!("caller {number}: {error}"));
                    sim.sleep(SECOND / 10).await;
                    assert!(call.hang_up().await.is_normal());
                }
            }
        });
        join_all(calls).await;
        net.sim.sleep(SETTLED).await;
        for (name, stats) in [("proxy", proxy.stats().await), ("uas", uas.stats().await)] {
            let stats = stats.unwrap();
            assert!(stats.transport.steered > 300, "{name}: {stats:?}");
            assert_eq!(stats.transport.steer_lost, 0, "{name}");
            assert_eq!(stats.transport.foreign_responses, 0, "{name}");
            assert_eq!(stats.transactions.strays, 0, "{name}");
        }
        assert_eq!(proxy.core_stats().await.unwrap().succeeded, 2 * 292);
        let held = uas.core_stats().await.unwrap();
        assert_eq!((held.calls, held.dialogs), (0, 0));
        for caller in callers {
            caller.close().await;
        }
        uas.close().await;
        proxy.close().await;
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    net.sim.run(net.assert_nothing_is_left());
}

/// A phone that nobody can connect to has its connection with one worker, its binding with another one and its calls
/// with others yet.
#[test]
fn phones_that_registered_over_connections_are_called_over_them_by_every_worker() {
    let (net, authority) = (Net::new(2), Authority::new("authority"));
    let _witness = net.witness(2);
    net.sim.run(async {
        let (alice, _server) = alice_and_proxy(&net, &authority).await;
        let mut phones = Vec::new();
        for number in 0..12 {
            phones.push(phone(&net.sim, number, &authority).await);
        }
        for (number, (bob, _)) in phones.iter().enumerate() {
            for by_callee in [false, true] {
                let called = alice.call(aor(number).as_str()).session(SESSION);
                let answered = async {
                    let incoming = bob.incoming().await.unwrap();
                    incoming.session(SESSION).answer().await
                };
                let (caller, callee) = join(called.into_future(), answered).await;
                let (caller, callee) = (caller.unwrap(), callee.unwrap());
                net.sim.sleep(SECOND).await;
                if by_callee {
                    assert!(callee.hang_up().await.is_normal());
                    caller.ended().await;
                } else {
                    assert!(caller.hang_up().await.is_normal());
                    callee.ended().await;
                }
            }
        }
        for (bob, binding) in phones {
            binding.unregister().await.unwrap();
            bob.close().await;
        }
        net.sim.sleep(SETTLED).await;
    });
    net.sim.run(net.assert_nothing_is_left());
}

/// RFC 5626 §7: the end of a connection reaches the worker that keeps the binding, and the one that has the next call.
#[test]
fn the_end_of_a_connection_ends_the_bindings_that_other_workers_keep() {
    let (net, authority) = (Net::new(3), Authority::new("authority"));
    let _witness = net.witness(3);
    net.sim.run(async {
        let (alice, server) = alice_and_proxy(&net, &authority).await;
        for number in 0..12 {
            let (bob, binding) = phone(&net.sim, number, &authority).await;
            let aor = aor(number);
            answer_everything(&net.sim.host(&format!("phone{number}")), &bob);
            net.sim.sleep(SECOND).await;
            let found = alice.request_options(aor.as_str()).await;
            assert_eq!(found, StatusCode::OK);
            binding.leave();
            bob.close().await;
            net.sim.sleep(SECOND).await;
            let asked = net.sim.elapsed();
            let gone = alice.request_options(aor.as_str()).await;
            assert!([430, 480].contains(&gone.as_u16()), "{gone}");
            assert!(net.sim.elapsed() - asked < 2 * SECOND);
        }
        net.sim.sleep(SETTLED).await;
        let stats: EndpointStats = server.stats().await.unwrap();
        assert_eq!(stats.transport.connections, 0, "{stats:?}");
    });
}

/// A nonce is good for the worker that gave it. Another one says that it has ended, and takes the same password with its
/// own (RFC 7616 §3.3).
#[test]
fn a_nonce_of_another_worker_is_stale_and_the_login_succeeds() {
    let net = Net::new(4);
    let _witness = net.witness(4);
    net.sim.run(async {
        let users = Users::new().add("alice", "proxy", "hush");
        let server = net.proxy("proxy", |server| {
            let server = several(server).authenticate(Digest::realm("proxy"), users);
            server.registrar(Registrar::default())
        });
        let _server = server.await;
        let mut client = Client::new([1; 32]);
        client.add(Credentials::password("alice", "hush"));
        let wire = Wire::open(&net.sim, "alice").await;
        let mut stale = 0;
        // Each registration has a Call-ID of its own, and so most of them another worker than the nonce.
        for number in 0..20 {
            let mut cseq = 1;
            loop {
                let mut request = register(number, cseq);
                client.prepare(&mut request);
                let response = wire.ask("proxy", &request).await;
                if response.status() == StatusCode::OK {
                    break;
                }
                assert_eq!((response.status(), cseq), (StatusCode::UNAUTHORIZED, 1));
                let text = String::from_utf8_lossy(&response.to_bytes()).into_owned();
                assert_eq!(text.contains("stale=true"), number > 0, "{text}");
                stale += usize::from(number > 0);
                client.respond(&mut request, &response).unwrap();
                cseq += 1;
            }
        }
        assert!((8..20).contains(&stale), "{stale} were told so");
    });
}

/// RFC 3261 §17: what gets lost is sent again, and finds the same worker.
#[test]
fn calls_on_a_bad_line_end_on_both_sides_whatever_worker_has_them() {
    let (net, authority) = (Net::new(8), Authority::new("authority"));
    net.sim.run(async {
        let (alice, _server) = alice_and_proxy(&net, &authority).await;
        let bob = net.start_phone("bob", |phone| phone.workers(4).listen("udp:*:5060"));
        let bob = bob.await;
        let account = bob.account(aor(0).as_str()).outbound(["sip:proxy;lr"]);
        let binding = account.build().unwrap().register().await.unwrap();
        answer_everything(&net.sim.host("bob"), &bob);
        net.sim.everywhere().loss(0.2);
        let calls = (0..40).map(|_| {
            let (sim, called) = (net.sim.clone(), alice.call(aor(0).as_str()));
            async move {
                let call = called.session(SESSION).await.ok()?;
                sim.sleep(10 * SECOND).await;
                Some(call.hang_up().await)
            }
        });
        let ended = join_all(calls).await;
        let talked = ended.into_iter().flatten().count();
        assert!(talked > 30, "{talked} of 40");
        net.sim.everywhere().loss(0.0);
        binding.unregister().await.unwrap();
        net.sim.sleep(SETTLED).await;
        assert_eq!(bob.core_stats().await.unwrap().calls, 0);
    });
    net.sim.run(net.assert_nothing_is_left());
}

/// A set of gateways is one for all workers: each call is counted where it is, and not any more when it is over.
#[test]
fn a_set_of_gateways_is_one_for_all_workers() {
    let net = Net::new(10);
    let _witness = net.witness(10);
    net.sim.run(async {
        let mut gateways = Vec::new();
        for name in ["gw1", "gw2"] {
            let gateway = net.phone(name).await;
            answer_everything(&net.sim.host(name), &gateway);
            gateways.push(gateway);
        }
        let set = DispatchSet::new().target("sip:gw1", 1).target("sip:gw2", 1);
        let shared = set.clone();
        let balance = move |request: Inbound| {
            let set = shared.clone();
            async move {
                let gateways = set.pick(request.request());
                request.relay(gateways).await
            }
        };
        let server = net.proxy("proxy", |server| {
            let server = several(server).dispatch(&set).foreign(Foreign::Anyone);
            server.route(balance)
        });
        let _server = server.await;
        let alice = net.phone("alice").await;
        let alice = alice.account("sip:alice@alice").build().unwrap();
        let begun = (0..40).map(|_| alice.call("sip:bob@proxy").session(SESSION).into_future());
        let calls: Vec<_> = join_all(begun).await;
        let load = |status: &DestinationStatus| status.load;
        let busy: Vec<_> = set.snapshot().iter().map(load).collect();
        assert_eq!(busy.iter().sum::<u32>(), 40, "{busy:?}");
        assert!(busy.iter().all(|calls| *calls > 5), "{busy:?}");
        for call in calls {
            assert!(call.unwrap().hang_up().await.is_normal());
        }
        net.sim.sleep(SETTLED).await;
        assert!(set.snapshot().iter().all(|status| status.load == 0));
    });
    net.sim.run(net.assert_nothing_is_left());
}

/// A start that is given up leaves no socket behind, and ports for media that are too few are told at once.
#[test]
fn a_start_of_several_workers_is_whole_or_nothing() {
    let sim = Sim::new(9);
    sim.run(async {
        let host = sim.host("bob");
        let listening = || {
            let builder = UserAgent::builder().runtime(host.clone());
            builder.workers(4).listen("udp:*:5060").listen("tcp:*:5060")
        };
        let taken = host.listen_tcp(([0, 0, 0, 0], 5060).into()).unwrap();
        let refused = listening().start().await.unwrap_err();
        assert!(matches!(refused, BindError::Refused { .. }), "{refused}");
        drop(taken);
        sim.sleep(SECOND).await;
        assert!(listening().start().now_or_never().is_none());
        sim.sleep(SECOND).await;
        let few = listening().media_ports(20_000..20_006).start().await;
        assert!(matches!(few, Err(BindError::Configuration(_))));
        sim.sleep(SECOND).await;
        listening().start().await.unwrap().close().await;
    });
}

/// A thousand requests in one go: each is answered, and the workers hand each other half of them.
#[test]
fn a_burst_is_answered_whole() {
    for transport in ["tcp", "udp"] {
        let net = Net::new(7);
        net.sim.run(async {
            let bob = net.start_phone("bob", |phone| {
                phone.workers(2).listen("udp:*:5060").listen("tcp:*:5060")
            });
            let bob = bob.await;
            let mut callers = Vec::new();
            let uri = format!("sip:bob@bob;transport={transport}");
            for _ in 0..4 {
                let caller = UserAgent::builder().runtime(net.sim.host("alice"));
                let caller = caller.listen("udp:*:0").start().await.unwrap();
                // The way is known before all take it at once.
                caller.options(uri.as_str()).await.unwrap();
                callers.push(caller);
            }
            let burst = callers.iter().flat_map(|caller| {
                let asked = |_| caller.options(uri.as_str()).into_future();
                (0..250).map(asked).collect::<Vec<_>>()
            });
            let answers = join_all(burst).await;
            let unanswered = answers.iter().filter(|answer| answer.is_err()).count();
            assert_eq!(unanswered, 0, "over {transport}");
            let stats = bob.stats().await.unwrap().transport;
            assert_eq!((stats.requests, stats.steer_lost), (1_004, 0), "{stats:?}");
            assert!((400..600).contains(&stats.steered), "{stats:?}");
        });
    }
}

#[test]
fn as_many_workers_as_there_may_be_and_no_more() {
    let sim = Sim::new(5);
    sim.run(async {
        for (workers, allowed) in [(0, false), (1, true), (64, true), (65, false)] {
            let builder = UserAgent::builder().runtime(sim.host("bob"));
            let started = builder.listen("udp:*:0").workers(workers).start().await;
            match started {
                Ok(ua) => {
                    assert!(allowed, "{workers}");
                    ua.close().await;
                }
                Err(error) => {
                    assert!(!allowed, "{workers}: {error}");
                    assert!(matches!(error, BindError::Configuration(_)), "{error}");
                }
            }
        }
    });
}

/// Every worker takes messages, and a closing stack ends as a whole.
#[test]
fn messages_reach_the_application_by_whatever_worker() {
    use futures_util::StreamExt;
    let net = Net::new(6);
    let _witness = net.witness(6);
    net.sim.run(async {
        let bob = net.start_phone("bob", |phone| phone.workers(3).listen("udp:*:5060"));
        let bob = bob.await;
        let alice = net.phone("alice").await;
        let alice = alice.account("sip:alice@alice").build().unwrap();
        let mut messages = bob.messages();
        let taken = async {
            for _ in 0..30 {
                let message = messages.next().await.unwrap();
                message.accept();
            }
        };
        let sent = join_all((0..30).map(|_| alice.message("sip:bob@bob", "hello").into_future()));
        let (_, sent) = join(taken, sent).await;
        assert!(sent.into_iter().all(|answer| answer.is_ok()));
        net.sim.sleep(SETTLED).await;
    });
    net.sim.run(net.assert_nothing_is_left());
}

fn several(server: ServerBuilder) -> ServerBuilder {
    let server = server.workers(4).domain("proxy");
    server.listen("udp:*:5060").listen("tcp:*:5060")
}

async fn alice_and_proxy(net: &Net, authority: &Authority) -> (Alice, Server) {
    let server = net.proxy("proxy", |server| {
        let tls = authority.certify(&["sip:proxy"]).shown(Tls::new());
        let server = several(server).listen("ws:*").listen("tls:*").tls(tls);
        let server = server.registrar(Registrar::default());
        server.foreign(Foreign::Anyone)
    });
    let server = server.await;
    let ua = net.phone("alice").await;
    let account = ua.account("sip:alice@alice").build().unwrap();
    (Alice { ua, account }, server)
}

/// A caller on UDP.
struct Alice {
    ua: UserAgent,
    account: Account,
}

impl Alice {
    fn call(&self, uri: &str) -> sipwright::Dial {
        self.account.call(uri)
    }

    async fn request_options(&self, uri: &str) -> StatusCode {
        self.ua.options(uri).await.unwrap().status()
    }
}

/// A phone without a listener, which registers over TCP, a WebSocket or TLS.
async fn phone(sim: &Sim, number: usize, authority: &Authority) -> (UserAgent, Registration) {
    let host = sim.host(&format!("phone{number}"));
    let ua = UserAgent::builder().runtime(host).tls(authority.believed());
    let ua = ua.start().await.unwrap();
    let transport = ["tcp", "ws", "tls"][number % 3];
    let proxy = format!("sip:proxy;transport={transport};lr");
    let account = ua
        .account(aor(number).as_str())
        .outbound([proxy.as_str()])
        .build()
        .unwrap();
    let binding = account.register().await.unwrap();
    (ua, binding)
}

fn aor(number: usize) -> String {
    format!("sip:bob{number}@proxy")
}

fn register(number: usize, cseq: u32) -> Request {
    let text = format!(
        "REGISTER sip:proxy SIP/2.0\r\nVia: SIP/2.0/UDP alice;rport;branch=z9hG4bK{number}x{cseq}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:alice@proxy>;tag=1\r\nTo: <sip:alice@proxy>\r\nCall-ID: call{number}\r\n\
         CSeq: {cseq} REGISTER\r\nContact: <sip:alice@alice:{}>\r\nContent-Length: 0\r\n\r\n",
        5_000 + number % 8
    );
    Request::parse(text.into()).unwrap()
}

/// Takes each call and waits for its end.
fn answer_everything(host: &Host, ua: &UserAgent) {
    let (ua, spawner) = (ua.clone(), host.clone());
    host.spawn(Box::pin(async move {
        while let Some(incoming) = ua.incoming().await {
            spawner.spawn(Box::pin(async move {
                if let Ok(call) = incoming.session(SESSION).answer().await {
                    call.ended().await;
                }
            }));
        }
    }));
}
