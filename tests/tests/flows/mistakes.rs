//! What an application has got wrong is said so that it can be found.

use crate::network::{Net, SETTLED};
use futures_util::{StreamExt, future::join};
use sipwright::{
    MessageError, RequestError,
    message::{Method, StatusCode},
};

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
