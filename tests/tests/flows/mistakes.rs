//! What an application has got wrong is said so that it can be found.

use crate::network::{Net, SETTLED};
use futures_util::{StreamExt, future::join};
use sipwright::{
    AccountError, BindError, MessageError, RequestError, Server, UserAgent,
    message::{Method, StatusCode},
};

#[test]
fn a_part_of_an_account_that_is_no_uri_is_named() {
    let net = Net::new(1);
    net.sim.run(async {
        let ua = net.phone("alice").await;
        let said = |error: AccountError| error.to_string();
        let alice = || ua.account("sip:alice@alice");
        assert_eq!(
            [
                said(ua.account("alice@alice").build().unwrap_err()),
                said(ua.account("tel:+4930").build().unwrap_err()),
                said(alice().registrar("sip:").build().unwrap_err()),
                said(alice().outbound(["sip:a b"]).build().unwrap_err()),
            ],
            [
                "address-of-record: URI has no scheme such as sip: at byte 5",
                "address-of-record: only sip and sips uris can be reached",
                "registrar: URI has an invalid host at byte 4",
                "outbound: URI is malformed at byte 5",
            ]
        );
        ua.close().await;
    });
}

#[test]
fn a_listener_that_cannot_be_spoken_at_says_what_is_missing() {
    let net = Net::new(2);
    net.sim.run(async {
        let builder = UserAgent::builder().runtime(net.sim.host("alice"));
        let error = builder.listen("tls:0.0.0.0:5061").start().await.unwrap_err();
        assert!(matches!(error, BindError::NotSpoken { .. }));
        let said = "cannot listen at tls:0.0.0.0:5061: it needs a certificate, given with `tls` or to the listener";
        assert_eq!(error.to_string(), said);

        let server = Server::builder().runtime(net.sim.host("bob"));
        let domains = server.domain("example.com").domain("sip:example.com");
        let error = domains.start().await.unwrap_err();
        assert_eq!(error.to_string(), "\"sip:example.com\" is no domain");
    });
}

/// A message that was refused was not taken, whoever refused it; any other request has its answer.
#[test]
fn a_message_that_is_refused_is_an_error() {
    let net = Net::new(3);
    net.sim.run(async {
        let (alice, bob) = net.alice_and_bob().await;
        let refused = alice.message("sip:bob@bob", "hello").await.unwrap_err();
        assert_eq!(refused.status(), Some(StatusCode::METHOD_NOT_ALLOWED));
        assert_eq!(refused.to_string(), "rejected with 405 Method Not Allowed");

        let mut messages = bob.messages();
        let dropped = async { drop(messages.next().await) };
        let sent = async { alice.message("sip:bob@bob", "hello").await };
        let ((), answer) = join(dropped, sent).await;
        assert!(
            matches!(answer, Err(MessageError::Rejected(response)) if response.status() == 500)
        );
        let taken = async { messages.next().await.unwrap().accept() };
        let ((), answer) = join(taken, async { alice.message("sip:bob@bob", "hello").await }).await;
        assert_eq!(answer.unwrap().status(), StatusCode::OK);

        let nowhere = alice.message("bob", "hello").await.unwrap_err();
        assert!(matches!(
            nowhere,
            MessageError::Request(RequestError::Parse(_))
        ));
        let other = alice
            .request(Method::SUBSCRIBE, "sip:bob@bob")
            .await
            .unwrap();
        assert!(!other.status().is_success());
        net.sim.sleep(SETTLED).await;
    });
    net.sim.run(net.assert_nothing_is_left());
}
