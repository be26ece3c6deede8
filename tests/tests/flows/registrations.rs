//! RFC 3665 §2.1 and §2.4: registrations that are made and withdrawn.

use crate::{
    bad_lines::{Ends, on_bad_lines},
    network::{BOB, Net, SETTLED},
};
use sipwright::{
    Account, Credentials, RegisterError, Server, UserAgent, assert_ladder, assert_ladder_snapshot,
    auth::{Digest, Users},
    message::StatusCode,
    proxy::Registrar,
};
use std::{cell::Cell, time::Duration};

/// RFC 3665 §2.1, then §2.4: the credentials of the first are sent ahead with the second, so it is not challenged.
#[test]
fn a_registration_is_challenged_once_and_withdrawn() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let (_bob_ua, bob, _registrar) = registrar_and_bob(&net, "hush").await;
        let registration = bob.register().await.unwrap();
        net.sim.sleep(Duration::from_secs(60)).await;
        registration.unregister().await.unwrap();
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    assert_ladder_snapshot!(net.sim, "a_registration_is_challenged_once_and_withdrawn");
    net.sim.run(net.assert_nothing_is_left());
}

/// PRX-005: RFC 3261 §10.2: requests for the address-of-record reach the phone from the first 200 to the second.
#[test]
fn a_phone_is_found_while_it_is_registered() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let (bob_ua, bob, _registrar) = registrar_and_bob(&net, "hush").await;
        let _messages = bob_ua.messages();
        let carol = net.phone("carol").await;
        let unavailable = StatusCode::TEMPORARILY_UNAVAILABLE;
        assert_eq!(carol.options(BOB).await.unwrap().status(), unavailable);
        assert_eq!(
            net.sim.ladder().count("OPTIONS"),
            1,
            "it went no further than the proxy"
        );
        let registration = bob.register().await.unwrap();
        carol.options(BOB).await.unwrap();
        assert_eq!(net.sim.ladder().count("OPTIONS"), 3, "it came to bob");
        registration.unregister().await.unwrap();
        assert_eq!(carol.options(BOB).await.unwrap().status(), unavailable);
        assert_eq!(
            net.sim.ladder().count("OPTIONS"),
            4,
            "it went no further than the proxy"
        );
    });
}

/// RFC 3665 §2.1 and §2.4.
#[test]
fn a_registration_on_a_bad_line_is_made_and_withdrawn() {
    let withdrawn = Cell::new(0);
    let held = on_bad_lines(&[("bob", "proxy2")], async |net, seed| {
        let (_bob_ua, bob, _registrar) = registrar_and_bob(net, "hush").await;
        if let Ok(registration) = bob.register().await {
            // In some of the runs it is refreshed before.
            net.sim.sleep(Duration::from_secs(seed % 3 * 600)).await;
            if seed % 5 == 0 {
                drop(registration);
                net.sim.sleep(SETTLED).await;
            } else if registration.unregister().await.is_ok() {
                assert_gone(net).await;
                withdrawn.set(withdrawn.get() + 1);
            }
        }
        Ends::default()
    });
    assert_eq!(held, 0, "nobody called");
    assert!(
        withdrawn.get() > 150,
        "only {} registrations were withdrawn",
        withdrawn.get()
    );
}

/// AUT-011: the realm is told: A password that is wrong is tried once.
#[test]
fn a_wrong_password_is_not_tried_again() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let (_bob_ua, bob, _registrar) = registrar_and_bob(&net, "hash").await;
        let refused = bob.register().await.unwrap_err();
        assert!(matches!(refused, RegisterError::Unauthorized { realm } if realm == "biloxi.example.com"));
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    assert_ladder!(
        net.sim,
        "
               0 ms  bob    -> proxy2  REGISTER
              10 ms  proxy2 -> bob     401
              20 ms  bob    -> proxy2  REGISTER
              30 ms  proxy2 -> bob     401
    "
    );
    net.sim.run(net.assert_nothing_is_left());
}

/// Nobody is found at Bob's address any more.
async fn assert_gone(net: &Net) {
    let carol = net.phone("carol").await;
    let pong = carol.options(BOB).await.expect("the line to carol is good");
    assert_eq!(pong.status(), StatusCode::TEMPORARILY_UNAVAILABLE);
}

async fn registrar_and_bob(net: &Net, password: &str) -> (UserAgent, Account, Server) {
    let users = Users::new().add("bob", "biloxi.example.com", "hush");
    let registrar = net.proxy("proxy2", |server| {
        server
            .listen("udp:*:5060")
            .domain("biloxi.example.com")
            .authenticate(Digest::realm("biloxi.example.com"), users)
            .registrar(Registrar::default())
    });
    let registrar = registrar.await;
    let ua = net.phone("bob").await;
    let bob = ua
        .account(BOB)
        .credentials(Credentials::password("bob", password))
        .build()
        .unwrap();
    (ua, bob, registrar)
}
