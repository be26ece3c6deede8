//! Calls whose session changes while they last.

use crate::{
    bad_lines::{Ends, on_bad_lines},
    network::{Net, PATIENCE, SESSION, Way},
    wire::Wire,
};
use futures_util::{StreamExt, future::join};
use sipwright::{
    Account, Call, CallEvent, ReofferError, UserAgent, assert_ladder,
    message::{Request, Response},
};
use std::time::Duration;

/// SDP-010: RFC 3264 §8.4, by re-INVITE (RFC 3261 §14).
#[test]
fn a_call_is_held_and_taken_back() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let (alice, bob) = net.alice_and_bob().await;
        let Ends { caller, callee } = talk(&net, &alice, &bob).await;
        let (caller, callee) = (caller.unwrap(), callee.unwrap());
        let mut changes = callee.events();
        caller.hold().await.unwrap();
        let held = CallEvent::Session {
            sending: false,
            receiving: true,
        };
        assert_eq!(changes.next().await, Some(held));
        caller.resume().await.unwrap();
        let resumed = CallEvent::Session {
            sending: true,
            receiving: true,
        };
        assert_eq!(changes.next().await, Some(resumed));
        assert!(callee.hang_up().await.is_normal());
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    assert_ladder!(
        net.sim,
        "
               0 ms  alice -> bob    INVITE
              10 ms  bob   -> alice  200
              20 ms  alice -> bob    ACK
             510 ms  alice -> bob    INVITE
             520 ms  bob   -> alice  200
             530 ms  alice -> bob    ACK
             530 ms  alice -> bob    INVITE
             540 ms  bob   -> alice  200
             550 ms  alice -> bob    ACK
             550 ms  bob   -> alice  BYE
             560 ms  alice -> bob    200
    "
    );
    let directions: Vec<_> = net
        .bodies("alice", Way::Sent)
        .into_iter()
        .map(|body| direction(&body))
        .collect();
    assert_eq!(directions, ["sendrecv", "sendonly", "sendrecv"]);
    let directions: Vec<_> = net
        .bodies("bob", Way::Sent)
        .into_iter()
        .map(|body| direction(&body))
        .collect();
    assert_eq!(directions, ["sendrecv", "recvonly", "sendrecv"]);
    net.sim.run(net.assert_nothing_is_left());
}

/// RFC 3261 §14.1: both get 491, the owner of the Call-ID waits longer, and both changes happen.
#[test]
fn two_who_hold_each_other_at_once_both_succeed() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let (alice, bob) = net.alice_and_bob().await;
        let Ends { caller, callee } = talk(&net, &alice, &bob).await;
        let (caller, callee) = (caller.unwrap(), callee.unwrap());
        let (one, other) = join(caller.hold(), callee.hold()).await;
        one.unwrap();
        other.unwrap();
        assert!(caller.hang_up().await.is_normal());
    });
    assert!(net.sim.is_quiet(), "{:?}", net.sim.left());
    assert_eq!(net.sim.ladder().count("491"), 2);
    let last = ["alice", "bob"].map(|name| net.bodies(name, Way::Sent).pop().unwrap());
    let last = last.map(|body| direction(&body));
    assert_eq!(
        last,
        ["sendonly", "inactive"],
        "RFC 3264 §8.4: held from both sides"
    );
    net.sim.run(net.assert_nothing_is_left());
}

/// UA-039: RFC 3261 §14.2: who is asked for an offer within a call shows the session as it is: its streams, where they are,
/// with formats that the peer has agreed to.
#[test]
fn an_offer_that_is_asked_for_is_the_session_as_it_is() {
    let net = Net::new(1);
    net.sim.run(async {
        let bob = net.phone("bob").await;
        let peer = Wire::open(&net.sim, "peer").await;
        let answered = async { bob.incoming().await.unwrap().answer().await.unwrap() };
        let invited = async {
            let ok = peer.ask("bob", &by_peer("INVITE", 1, None, SESSION)).await;
            peer.tell("bob", &by_peer("ACK", 1, Some(&ok), "")).await;
            ok
        };
        let (call, first) = join(answered, invited).await;
        let again = by_peer("INVITE", 2, Some(&first), "");
        let again = peer.ask("bob", &again).await;
        assert_eq!(again.status().as_u16(), 200);
        let (session, streams, direction, formats) = shape(&again);
        let (of_session, agreed, was, _) = shape(&first);
        assert_eq!((session, streams, direction), (of_session, agreed, was));
        assert!(formats.contains(&"0".to_owned()), "{formats:?}");
        let ack = by_peer("ACK", 2, Some(&first), SESSION);
        peer.tell("bob", &ack).await;
        let bye = by_peer("BYE", 3, Some(&first), "");
        assert_eq!(peer.ask("bob", &bye).await.status().as_u16(), 200);
        assert!(call.ended().await.is_normal());
    });
}

/// A request of a caller at `peer`, within the dialog that the response has made.
fn by_peer(method: &str, number: u32, dialog: Option<&Response>, session: &str) -> Request {
    let tag = dialog.and_then(|response| response.to().unwrap().tag());
    let tag = tag.map(|tag| format!(";tag={tag}")).unwrap_or_default();
    let text = format!(
        "{method} sip:bob@bob SIP/2.0\r\nVia: SIP/2.0/UDP peer;rport;branch=z9hG4bK{method}{number}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:peer@peer>;tag=p\r\nTo: <sip:bob@bob>{tag}\r\nCall-ID: by-hand\r\n\
         CSeq: {number} {method}\r\nContact: <sip:peer@peer>\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{session}",
        session.len()
    );
    Request::parse(text.into()).unwrap()
}

/// Whose session it is, its streams and where they are, the direction of the first, and its formats.
fn shape(response: &Response) -> (String, Vec<String>, &'static str, Vec<String>) {
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    let words = |kind: &'static str| {
        let lines = body.lines().filter(move |line| line.starts_with(kind));
        lines.map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    };
    let session = words("o=").next().unwrap()[1].clone();
    let streams = words("m=").map(|stream| stream[..3].join(" "));
    let formats = words("m=").next().unwrap()[3..].to_vec();
    (session, streams.collect(), direction(&body), formats)
}

/// UA-035: A second change of the same side has to wait for the first.
#[test]
fn a_change_while_another_is_open_is_refused_at_once() {
    let net = Net::new(1);
    let _witness = net.witness(1);
    net.sim.run(async {
        let (alice, bob) = net.alice_and_bob().await;
        let Ends { caller, callee } = talk(&net, &alice, &bob).await;
        let (caller, _callee) = (caller.unwrap(), callee.unwrap());
        let (one, other) = join(caller.hold(), caller.resume()).await;
        one.unwrap();
        assert!(matches!(other, Err(ReofferError::Busy)));
        caller.hang_up().await;
    });
}

/// RFC 3261 §14.1: the session stays as it was when the change fails, and the call stays unless the peer lost it.
#[test]
fn a_session_that_changes_on_a_bad_line_leaves_the_call_to_both_or_neither() {
    let established = on_bad_lines(&[("alice", "bob")], async |net, seed| {
        let (alice, bob) = net.alice_and_bob().await;
        let answered = async {
            let incoming = net.within(PATIENCE, bob.incoming()).await??;
            incoming.session(SESSION).answer().await.ok()
        };
        let (caller, callee) = join(alice.call(BOB).session(SESSION).into_future(), answered).await;
        let ends = Ends {
            caller: caller.ok(),
            callee,
        };
        let change = async |call: &Option<Call>, does: bool| {
            if let (Some(call), true) = (call, does) {
                // On this line it may fail.
                call.reoffer(SESSION).await.ok();
            }
        };
        join(
            change(&ends.caller, seed % 3 != 0),
            change(&ends.callee, seed % 3 != 1),
        )
        .await;
        if seed % 4 == 0
            && let Some(call) = &ends.caller
        {
            call.hang_up().await;
        }
        ends
    });
    assert!(
        established > 190,
        "only {established} of 200 calls came about"
    );
}

/// A call with audio of ours, which has gone on for a while.
async fn talk(net: &Net, alice: &Account, bob: &UserAgent) -> Ends {
    let answered = async { bob.incoming().await.unwrap().answer().await.unwrap() };
    let (caller, callee) = join(alice.call(BOB).into_future(), answered).await;
    net.sim.sleep(Duration::from_millis(480)).await;
    Ends {
        caller: Some(caller.unwrap()),
        callee: Some(callee),
    }
}

/// The direction of the first stream (RFC 8866 §6.7), which is `sendrecv` unless something else is said.
fn direction(body: &str) -> &'static str {
    let said = ["sendonly", "recvonly", "inactive"]
        .into_iter()
        .find(|direction| body.contains(&format!("a={direction}\r\n")));
    said.unwrap_or("sendrecv")
}

const BOB: &str = "sip:bob@bob";
