//! An endpoint that is one of several.

use super::harness::*;
use crate::{Event, KeepAlive, Sharding};
use sip_io::{Flow, Note, Parcel, Protocol, Receive, Shard, StreamId, Transmit};
use sip_message::StatusCode;

fn third() -> Sharding {
    Sharding::new(Shard::new(2).unwrap(), 4, [3; 32])
}

fn rig() -> Rig {
    Rig::with(|config| config.zone(zone()).sharding(third()))
}

/// Whatever we begin meets here: our Call-IDs are such, and our branches say whose they are.
#[test]
fn what_we_begin_comes_back_to_us() {
    let mut rig = rig();
    for _ in 0..20 {
        let call_id = rig.command(|cx| cx.new_call_id());
        assert!(third().is_mine(call_id.as_str()), "{call_id:?}");
    }
    rig.request(draft("OPTIONS", "sip:bob@192.0.2.2"));
    let (flow, request) = rig.sent_request();
    let branch = request.via().unwrap().branch().unwrap().to_owned();
    let mark: String = third().mark().into_iter().collect();
    assert!(branch.starts_with(&format!("z9hG4bK{mark}")), "{branch}");
    rig.answer(flow, &request, StatusCode::OK);
    let answered = |event: &Event| matches!(event, Event::Response { .. });
    assert!(rig.events().iter().any(answered));
}

/// The response to a request that another shard's connection brought is written there by its owner.
#[test]
fn a_request_from_another_shards_connection_is_answered_through_its_owner() {
    let mut rig = rig();
    let owner = Shard::new(1).unwrap();
    let id = StreamId::accepted(7).of_shard(owner);
    let flow = Flow::stream(Protocol::Tcp, id, at(HERE), at("192.0.2.2:40000"));
    let mut calls = (0..).map(|number| format!("call{number}"));
    let call_id = calls.find(|call| third().is_mine(call)).unwrap();
    let contents = inbound("OPTIONS", "TCP 192.0.2.2", &call_id).into();
    let parcel = Box::new(Parcel::Message { flow, contents });
    rig.receive(Receive::Steered {
        from: owner,
        parcel,
    });
    let events = rig.events();
    let [Event::Request { id, request, .. }] = &events[..] else {
        panic!("{events:?}");
    };
    let response = request.response(StatusCode::OK).build();
    rig.command(|cx| cx.respond(*id, response)).unwrap();
    let sent = rig.transmits();
    let [Transmit::Steer { to, parcel }] = &sent[..] else {
        panic!("{sent:?}");
    };
    assert_eq!(*to, owner);
    assert!(matches!(&**parcel, Parcel::Write { flow: on, .. } if *on == flow));
    // Whether it lives is its owner's business.
    rig.command(|cx| cx.keep_alive(flow, KeepAlive::agreed()));
    assert_eq!(rig.stack.endpoint().stats().flows_kept, 0);
    let closed = Parcel::Closed {
        flow,
        reason: sip_io::CloseReason::ByPeer,
    };
    rig.receive(Receive::Steered {
        from: owner,
        parcel: Box::new(closed),
    });
    let is_over = |event: &Event| matches!(event, Event::FlowClosed { flow: on } if *on == flow);
    assert!(rig.events().iter().any(is_over));
    assert!(!rig.stack.endpoint().is_flow_open(&flow));
}

#[test]
fn cores_of_two_shards_tell_each_other() {
    let mut rig = rig();
    let other = Shard::new(3).unwrap();
    rig.command(|cx| cx.tell(other, Note::new("a question")));
    let sent = rig.transmits();
    assert!(matches!(sent[..], [Transmit::Steer { to, .. }] if to == other));
    rig.receive(Receive::Steered {
        from: other,
        parcel: Box::new(Parcel::Note(Note::new("an answer"))),
    });
    let events = rig.events();
    let [Event::Note { from, note }] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!((*from, note.get::<&str>()), (other, Some(&"an answer")));
}
