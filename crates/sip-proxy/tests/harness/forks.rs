//! A caller, two callees, and what they say to each other.

use super::{Decision, Draft, World, response, uri};
use sip_io::Flow;
use sip_message::{HeaderName, Request, Response};
use sip_proxy::Plan;

pub(crate) const BOB: &str = "sip:bob@10.0.0.3";
pub(crate) const CAROL: &str = "sip:carol@10.0.0.4";

pub(crate) fn three(plan: impl Fn() -> Plan + 'static) -> World {
    let mut world = World::new();
    world.host("alice", "10.0.0.2:5060");
    world.host("bob", "10.0.0.3:5060");
    world.host("carol", "10.0.0.4:5060");
    world.route = Box::new(move |_| Decision::Plan(plan()));
    world
}

pub(crate) fn at_once() -> Plan {
    Plan::at_once([uri(BOB), uri(CAROL)])
}

pub(crate) fn in_order() -> Plan {
    Plan::in_order([uri(BOB), uri(CAROL)])
}

pub(crate) fn invite(world: &mut World) -> Draft {
    let call = world
        .message("alice", "INVITE", "sip:group@example.com")
        .line("Contact: <sip:alice@10.0.0.2>");
    world.udp("alice", call.text());
    world.response_at("alice", 100);
    call
}

pub(crate) fn cancel(call: &Draft) -> Draft {
    Draft {
        method: "CANCEL".to_owned(),
        lines: Vec::new(),
        ..call.clone()
    }
}

/// The ACK to a final response other than 2xx: part of the INVITE's transaction.
pub(crate) fn ack(call: &Draft, response: &Response) -> Draft {
    Draft {
        method: "ACK".to_owned(),
        to: response.to().unwrap().to_string(),
        lines: Vec::new(),
        ..call.clone()
    }
}

pub(crate) fn refuse(world: &mut World, flow: Flow, request: &Request, code: u16, name: &str) {
    // What was sent again while the test waited.
    world.discard(name);
    world.reply(flow, response(request, code, name).to_bytes());
    let (_, ack) = world.request_at(name, "ACK");
    assert_eq!(ack.via().unwrap().branch(), request.via().unwrap().branch());
}

/// Answers a CANCEL with 200 and the INVITE with 487; the Reason of the CANCEL.
pub(crate) fn obey(world: &mut World, name: &str, invite: &Request) -> Option<String> {
    let (flow, cancel) = world.request_at(name, "CANCEL");
    assert_eq!(
        cancel.via().unwrap().branch(),
        invite.via().unwrap().branch()
    );
    world.reply(flow, response(&cancel, 200, name).to_bytes());
    refuse(world, flow, invite, 487, name);
    let reason = cancel.headers().raw(&HeaderName::REASON)?;
    Some(reason.text().into_owned())
}

pub(crate) fn fail(world: &mut World, call: &Draft, code: u16) -> Response {
    let response = world.response_at("alice", code);
    world.udp("alice", ack(call, &response).text());
    response
}
