//! Phones on WebSockets (RFC 7118), at a proxy that speaks UDP to the others.

use crate::network::Net;
use sipwright::{
    Refusal, Registration, Server, UserAgent, WebSocketConfig, assert_ladder, proxy::Foreign,
    transport::TransportConfig,
};
use std::time::Duration;

/// RFC 7118 §8: the phone registers and is called over the connection that it opened. Nobody could open another one: its
/// host has no listener.
#[test]
fn a_phone_on_a_web_socket_is_called_over_its_own_connection() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let alice = net.alice().await;
        let (bob, binding, _server) = on_a_web_socket(&net).await;
        let (caller, callee) = net.talk(&alice, BOB, &bob).await;
        assert!(caller.hang_up().await.is_normal());
        assert!(!callee.ended().await.by_us());
        binding.unregister().await.unwrap();
        bob.close().await;
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    assert_ladder!(
        net.sim,
        "
              40 ms  bob   -> proxy  REGISTER
              50 ms  proxy -> bob    200
            1000 ms  alice -> proxy  INVITE
            1010 ms  proxy -> alice  100
            1010 ms  proxy -> bob    INVITE
            1020 ms  bob   -> proxy  200
            1030 ms  proxy -> alice  200
            1040 ms  alice -> proxy  ACK
            1050 ms  proxy -> bob    ACK
            2060 ms  alice -> proxy  BYE
            2070 ms  proxy -> bob    BYE
            2080 ms  bob   -> proxy  200
            2090 ms  proxy -> alice  200
            2100 ms  bob   -> proxy  REGISTER
            2110 ms  proxy -> bob    200
    "
    );
    net.sim.run(net.assert_nothing_is_left());
}

/// RFC 7118 §8.2: the phone calls, and hangs up, over its connection.
#[test]
fn a_phone_on_a_web_socket_calls_and_hangs_up() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let alice = net.phone("alice").await;
        let (bob, binding, _server) = on_a_web_socket(&net).await;
        let account = bob.account(BOB).outbound([PROXY]).build().unwrap();
        let (caller, callee) = net.talk(&account, "sip:alice@alice", &alice).await;
        assert!(caller.hang_up().await.is_normal());
        assert!(!callee.ended().await.by_us());
        binding.unregister().await.unwrap();
        bob.close().await;
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    net.sim.run(net.assert_nothing_is_left());
}

/// A server of its own host: what it answers is no WebSocket, and the request fails at once.
#[test]
fn a_server_that_speaks_no_web_socket_fails_the_request() {
    let net = Net::new(1);
    net.sim.run(async {
        let _server = net
            .proxy("proxy", |server| {
                server.listen("tcp:*:80").foreign(Foreign::Anyone)
            })
            .await;
        let bob = net.phone_without_listener("bob").await;
        let asked = bob.options(PROXY).await;
        assert!(asked.is_err(), "{asked:?}");
        assert!(net.sim.elapsed() < Duration::from_secs(1));
    });
}

/// RFC 7118 §7: who has no credentials for the upgrade is told the status, who has them is let in.
#[test]
fn an_upgrade_may_want_credentials() {
    let net = Net::new(1);
    net.sim.run(async {
        let admitting = WebSocketConfig::default().admit(|upgrade| {
            let known = upgrade.header("authorization") == Some("Bearer token");
            let challenge = || Refusal::Unauthorized("Bearer realm=\"proxy\"".to_owned());
            known.then_some(()).ok_or_else(challenge)
        });
        let _server = net
            .proxy("proxy", |server| {
                let transport = TransportConfig::default().web_socket(admitting);
                let server = server.listen("ws:*").foreign(Foreign::Anyone);
                server.domain("proxy").transport(transport)
            })
            .await;
        let phone = async |name: &str, config: WebSocketConfig| {
            let transport = TransportConfig::default().web_socket(config);
            let phone = UserAgent::builder().runtime(net.sim.host(name));
            phone.transport(transport).start().await.unwrap()
        };
        let stranger = phone("stranger", WebSocketConfig::default()).await;
        let refused = stranger.options(PROXY).await.unwrap_err().to_string();
        assert!(refused.contains("HTTP status 401"), "{refused}");
        let config = WebSocketConfig::default().request_headers(|host| {
            let token = ("Authorization".to_owned(), "Bearer token".to_owned());
            Vec::from_iter(Some(token).filter(|_| host == "proxy"))
        });
        let known = phone("known", config).await;
        assert!(known.options(PROXY).await.is_ok());
    });
}

/// Bob's phone is a client of WebSockets, like a browser.
async fn on_a_web_socket(net: &Net) -> (UserAgent, Registration, Server) {
    let bob = net.phone_without_listener("bob").await;
    let (binding, server) = net.registered(&bob, "ws").await;
    (bob, binding, server)
}

const BOB: &str = "sip:bob@proxy";

const PROXY: &str = "sip:proxy;transport=ws;lr";
