//! ACKs to a 2xx (RFC 3261 §13.2.2.4; traps 2 and 5).

use super::harness::*;
use crate::AckId;
use sip_io::Transmit;
use sip_message::{
    StatusCode,
    headers::{Contact, Via},
};

fn contents(transmits: &[Transmit]) -> Vec<bytes::Bytes> {
    transmits
        .iter()
        .map(|transmit| match transmit {
            Transmit::Datagram { contents, .. } | Transmit::Stream { contents, .. } => {
                contents.clone()
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

fn repeat(rig: &mut Rig, id: AckId) {
    rig.command(|cx| cx.repeat_acknowledge(id));
}

/// TXN-007: RFC 3261 §13.2.2.4: an ACK to a 2xx is a request of its own, so it has a branch of its own and no transaction.
#[test]
fn txn_007_the_ack_to_a_2xx_has_a_branch_of_its_own_and_no_transaction() {
    let mut rig = Rig::new();
    rig.request(draft("INVITE", "sip:bob@192.0.2.2"));
    let (flow, invite) = rig.sent_request();
    rig.answer(flow, &invite, StatusCode::OK);
    rig.events();
    let before = rig.stack.endpoint().stats().client_transactions;
    rig.command(|cx| cx.acknowledge(draft("ACK", "sip:bob@192.0.2.2")));
    let (_, ack) = rig.sent_request();
    assert_ne!(branch(&ack), branch(&invite));
    assert_eq!(rig.stack.endpoint().stats().client_transactions, before);
    rig.wait(SECOND);
    rig.sent_nothing();
    rig.finish();
}

#[test]
fn the_same_bytes_are_sent_for_each_repeated_2xx() {
    let mut rig = Rig::new();
    let id = rig.command(|cx| cx.acknowledge(draft("ACK", "sip:bob@bob.example;transport=udp")));
    repeat(&mut rig, id);
    rig.wait(10 * SECOND);
    repeat(&mut rig, id);
    let sent = contents(&rig.transmits());
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|copy| *copy == sent[0]));
    rig.wait(22 * SECOND);
    repeat(&mut rig, id);
    rig.sent_nothing();
    assert!(rig.events().is_empty());
    rig.finish();
}

#[test]
fn an_ack_whose_flow_is_gone_is_located_anew() {
    let mut rig = Rig::new();
    let flow = rig.accept(1, "192.0.2.2:40000");
    let id = rig.command(|cx| cx.acknowledge(draft("ACK", "sip:bob@192.0.2.3").to_flow(flow)));
    let (used, first) = rig.sent_request();
    assert_eq!(used, flow);
    rig.closed(flow);
    repeat(&mut rig, id);
    let (used, second) = rig.sent_request();
    assert_eq!(used.remote(), at(CAROL));
    assert_ne!(branch(&first), branch(&second));
    repeat(&mut rig, id);
    let (_, third) = rig.sent_request();
    assert_eq!(third.to_bytes(), second.to_bytes());
    rig.finish();
}

#[test]
fn an_ack_that_found_no_way_is_tried_again_with_the_next_2xx() {
    let mut rig = Rig::new();
    let id = rig.command(|cx| cx.acknowledge(draft("ACK", "sip:bob@192.0.2.2;transport=tcp")));
    let flow = rig.open();
    repeat(&mut rig, id);
    rig.sent_nothing();
    rig.refused(flow);
    rig.sent_nothing();
    repeat(&mut rig, id);
    let flow = rig.open();
    rig.opened(flow);
    let (used, _) = rig.sent_request();
    assert_eq!(used, flow);
    rig.finish();
}

#[test]
fn an_ack_goes_to_the_next_target_when_the_first_fails() {
    let mut rig = Rig::new();
    let id = rig.command(|cx| cx.acknowledge(draft("ACK", "sip:bob@bob.example;transport=udp")));
    let (flow, first) = rig.sent_request();
    assert_eq!(flow.remote(), at(BOB));
    rig.unreachable(flow);
    let (flow, second) = rig.sent_request();
    assert_eq!(flow.remote(), at(CAROL));
    assert_ne!(branch(&first), branch(&second));
    rig.unreachable(flow);
    repeat(&mut rig, id);
    let (_, third) = rig.sent_request();
    assert_eq!(third.to_bytes(), second.to_bytes(), "there is nobody else");
    rig.finish();
}

#[test]
fn a_forwarded_ack_is_not_kept() {
    let mut rig = Rig::new();
    rig.command(|cx| cx.forward_ack(draft("ACK", "sip:bob@192.0.2.2")));
    rig.sent_request();
    assert_eq!(rig.stack.endpoint().stats().acknowledgements, 0);
    rig.command(|cx| cx.forward_ack(draft("ACK", "sip:bob@192.0.2.2;transport=tcp")));
    let flow = rig.open();
    assert_eq!(rig.stack.endpoint().stats().acknowledgements, 1);
    rig.refused(flow);
    assert_eq!(rig.stack.endpoint().stats().acknowledgements, 0);
    for nowhere in [
        "tel:+1555",
        "sip:a.invalid",
        "sip:unknown.example;transport=tls",
    ] {
        rig.command(|cx| cx.forward_ack(draft("ACK", nowhere)));
    }
    rig.sent_nothing();
    assert!(rig.events().is_empty());
    assert_eq!(rig.stack.endpoint().stats().acknowledgements_lost, 3);
    rig.finish();
}

#[test]
fn an_ack_that_may_only_use_its_flow_waits_for_nobody() {
    let mut rig = Rig::new();
    let flow = rig.accept(1, BOB);
    rig.closed(flow);
    rig.events();
    let id = rig.command(|cx| cx.acknowledge(draft("ACK", "sip:bob@192.0.2.2").only_flow(flow)));
    repeat(&mut rig, id);
    rig.command(|cx| cx.forward_ack(draft("ACK", "sip:bob@192.0.2.2").only_flow(flow)));
    rig.sent_nothing();
    rig.finish();
}

#[test]
fn above_the_limit_an_ack_is_sent_but_not_kept() {
    let mut rig = Rig::with(|config| config.requests(1));
    rig.command(|cx| cx.acknowledge(draft("ACK", "sip:bob@192.0.2.2")));
    let id = rig.command(|cx| cx.acknowledge(draft("ACK", "sip:bob@192.0.2.2")));
    assert_eq!(rig.transmits().len(), 2);
    repeat(&mut rig, id);
    rig.command(|cx| cx.forward_ack(draft("ACK", "sip:bob@192.0.2.2")));
    rig.sent_nothing();
    rig.finish();
}

#[test]
fn an_ack_carries_a_via_of_ours_and_the_contact_that_was_asked_for() {
    let mut rig = Rig::new();
    let ack = draft("ACK", "sip:bob@192.0.2.2").contact(crate::ContactTemplate::default());
    rig.command(|cx| cx.acknowledge(ack));
    let (_, ack) = rig.sent_request();
    assert_eq!(ack.headers().all::<Via>().count(), 1);
    assert!(ack.headers().contains::<Contact>());
    rig.finish();
}

#[test]
fn nothing_is_left_of_an_ack_that_is_forgotten_while_it_resolves_or_connects() {
    let mut rig = Rig::with(|config| {
        config.timers(sip_transaction::Timers::default().t1(std::time::Duration::from_millis(10)))
    });
    rig.command(|cx| cx.acknowledge(draft("ACK", "sip:bob@bob.example;transport=udp")));
    rig.command(|cx| cx.acknowledge(draft("ACK", "sip:bob@192.0.2.2;transport=tcp")));
    rig.wait(SECOND);
    assert_eq!(rig.stack.endpoint().stats().acknowledgements, 0);
    rig.finish();
}
