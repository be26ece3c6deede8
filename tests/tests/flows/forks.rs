//! Calls that ring in several places (RFC 3261 §16.7 and §13.2.2.4).

use crate::{
    bad_lines::{Ends, on_bad_lines},
    network::{Net, PATIENCE, SESSION},
};
use futures_util::{FutureExt, future::join3};
use sipwright::{
    Account, AnswerError, Call, Registration, Server, UserAgent, assert_ladder,
    proxy::{Foreign, Registrar},
};
use std::time::Duration;

/// The one that answers wins, the other is cancelled.
#[test]
fn the_first_of_two_registered_phones_to_answer_has_the_call() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let (alice, desk, mobile, _server) = house(&net).await;
        let bindings = (register(&desk).await, register(&mobile).await);
        net.sim.sleep(SECOND - net.sim.elapsed()).await;
        let picked_up = async {
            let incoming = desk.incoming().await.unwrap();
            incoming.ring().await.unwrap();
            net.sim.sleep(SECOND).await;
            incoming.session(SESSION).answer().await.unwrap()
        };
        let left = async {
            let incoming = mobile.incoming().await.unwrap();
            incoming.ring().await.unwrap();
            // RFC 3326 §3.1: no call that was missed.
            let ended = incoming.cancelled().await;
            let [elsewhere] = ended.reasons() else {
                panic!("{:?}", ended.reasons());
            };
            assert_eq!(
                (elsewhere.protocol(), elsewhere.cause()),
                ("SIP", Some(200))
            );
            assert_eq!(incoming.answer().await.unwrap_err(), AnswerError::Cancelled);
        };
        let (called, answered, ()) = join3(
            alice.call(BOB).session(SESSION).into_future(),
            picked_up,
            left,
        )
        .await;
        net.sim.sleep(SECOND).await;
        assert!(called.unwrap().hang_up().await.is_normal());
        assert!(answered.ended().await.is_normal());
        bindings.0.unregister().await.unwrap();
        bindings.1.unregister().await.unwrap();
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    assert_ladder!(
        net.sim,
        "
               0 ms  desk   -> proxy   REGISTER
              10 ms  proxy  -> desk    200
              20 ms  mobile -> proxy   REGISTER
              30 ms  proxy  -> mobile  200
            1000 ms  alice  -> proxy   INVITE
            1010 ms  proxy  -> alice   100
            1010 ms  proxy  -> desk    INVITE
            1010 ms  proxy  -> mobile  INVITE
            1020 ms  desk   -> proxy   180
            1020 ms  mobile -> proxy   180
            1030 ms  proxy  -> alice   180
            1030 ms  proxy  -> alice   180
            2020 ms  desk   -> proxy   200
            2030 ms  proxy  -> alice   200
            2030 ms  proxy  -> mobile  CANCEL
            2040 ms  alice  -> proxy   ACK
            2040 ms  mobile -> proxy   200
            2040 ms  mobile -> proxy   487
            2050 ms  proxy  -> desk    ACK
            2050 ms  proxy  -> mobile  ACK
            3060 ms  alice  -> proxy   BYE
            3070 ms  proxy  -> desk    BYE
            3080 ms  desk   -> proxy   200
            3090 ms  proxy  -> alice   200
            3100 ms  desk   -> proxy   REGISTER
            3110 ms  proxy  -> desk    200
            3120 ms  mobile -> proxy   REGISTER
            3130 ms  proxy  -> mobile  200
    "
    );
    net.sim.run(net.assert_nothing_is_left());
}

/// RFC 3261 §13.2.2.4: both 2xx reach the caller, who keeps one dialog and ends the other.
#[test]
fn of_two_phones_that_answer_at_once_one_has_the_call_and_one_is_hung_up() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let (alice, desk, mobile, _server) = house(&net).await;
        let bindings = (register(&desk).await, register(&mobile).await);
        let answer = async |phone: &UserAgent| {
            phone
                .incoming()
                .await
                .unwrap()
                .session(SESSION)
                .answer()
                .await
        };
        let call = alice.call(BOB).session(SESSION).into_future();
        let (called, one, other) = join3(call, answer(&desk), answer(&mobile)).await;
        let (called, one, other) = (called.unwrap(), one.unwrap(), other.unwrap());
        net.sim.sleep(SECOND).await;
        let held = [&one, &other].map(|call| call.ended().now_or_never().is_none());
        assert!(held[0] != held[1], "one of both is held: {held:?}");
        assert!(called.hang_up().await.is_normal());
        assert!(!one.ended().await.by_us() && !other.ended().await.by_us());
        bindings.0.unregister().await.unwrap();
        bindings.1.unregister().await.unwrap();
    });
    assert_eq!(net.sim.ladder().count("BYE"), 4, "two calls, two hops each");
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    net.sim.run(net.assert_nothing_is_left());
}

/// Whatever is lost, at most one phone keeps the call, and only with the caller.
#[test]
fn a_forked_call_on_a_bad_line_ends_up_in_one_place_or_none() {
    let links = [("alice", "proxy"), ("proxy", "desk"), ("proxy", "mobile")];
    let established = on_bad_lines(&links, async |net, seed| {
        let (alice, desk, mobile, _server) = house(net).await;
        let bindings = (register(&desk).await, register(&mobile).await);
        let answer = async |phone: &UserAgent, after: u64| {
            let incoming = net.within(PATIENCE, phone.incoming()).await??;
            incoming.ring().await.ok()?;
            net.sim.sleep(Duration::from_millis(after)).await;
            incoming.session(SESSION).answer().await.ok()
        };
        let call = alice.call(BOB).session(SESSION).into_future();
        // From one after the other to both at once.
        let (called, one, other) = join3(
            call,
            answer(&desk, 1_000),
            answer(&mobile, 1_000 + seed % 7 * 10),
        )
        .await;
        drop(bindings);
        net.sim.sleep(Duration::from_secs(64)).await;
        let callee = one_of(one, other);
        Ends {
            caller: called.ok(),
            callee,
        }
    });
    assert!(
        established > 190,
        "only {established} of 200 calls came about"
    );
}

/// The call that is still held; never both are.
fn one_of(one: Option<Call>, other: Option<Call>) -> Option<Call> {
    let held = |call: &Option<Call>| {
        call.as_ref()
            .is_some_and(|call| call.ended().now_or_never().is_none())
    };
    assert!(!(held(&one) && held(&other)), "both phones hold the call");
    if held(&other) { other } else { one.or(other) }
}

/// A house with two phones for one address, and Alice, who calls from elsewhere.
async fn house(net: &Net) -> (Account, UserAgent, UserAgent, Server) {
    let server = net.proxy("proxy", |server| {
        server
            .listen("udp:*:5060")
            .domain("proxy")
            .registrar(Registrar::default())
            .foreign(Foreign::Anyone)
    });
    let server = server.await;
    let alice = net
        .phone("alice")
        .await
        .account("sip:alice@alice")
        .build()
        .unwrap();
    (
        alice,
        net.phone("desk").await,
        net.phone("mobile").await,
        server,
    )
}

async fn register(phone: &UserAgent) -> Registration {
    phone
        .account(BOB)
        .build()
        .unwrap()
        .register()
        .await
        .unwrap()
}

const BOB: &str = "sip:bob@proxy";

const SECOND: Duration = Duration::from_secs(1);
