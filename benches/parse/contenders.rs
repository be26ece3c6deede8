//! Who reads the messages: this crate, the floor, and parsers of others.

use std::hint::black_box;

use bytes::Bytes;
use sip_message::{
    Message,
    headers::{
        CSeq, CallId, Contact, ContentLength, ContentType, From, MaxForwards, RecordRoute, Route,
        To, Via,
    },
};

use crate::floor;

/// How much of a message is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Start line, all header lines, body.
    Structure,
    /// And start line, Request-URI, top Via with branch, received and rport, From and To with tags, Call-ID, CSeq, first
    /// Contact, Max-Forwards, Content-Length, Content-Type, all Route and Record-Route.
    Routing,
}

/// A parser at a level.
pub struct Contender {
    pub name: &'static str,
    pub level: Level,
    /// Answers whether everything could be read.
    pub read: fn(&Bytes) -> bool,
}

pub const ALL: [Contender; 7] = [
    contender("floor", Level::Structure, floor_structure),
    contender("httparse", Level::Structure, httparse_structure),
    contender("sip-message", Level::Structure, structure),
    contender("rsip", Level::Structure, rsip_structure),
    contender("floor", Level::Routing, floor_routing),
    contender("sip-message", Level::Routing, routing),
    contender("rsip", Level::Routing, rsip_routing),
];

const fn contender(name: &'static str, level: Level, read: fn(&Bytes) -> bool) -> Contender {
    Contender { name, level, read }
}

fn floor_structure(wire: &Bytes) -> bool {
    let mut lines = [(0, 0, 0); 64];
    black_box(floor::structure(black_box(wire), &mut lines));
    black_box(&lines);
    true
}

fn floor_routing(wire: &Bytes) -> bool {
    black_box(floor::routing(black_box(wire)));
    true
}

/// HTTP's header lines have the shape of SIP's; the start line is skipped, for its version is not HTTP's.
fn httparse_structure(wire: &Bytes) -> bool {
    let wire = black_box(wire);
    let start = wire.iter().position(|&b| b == b'\n').map_or(0, |at| at + 1);
    let mut lines = [httparse::EMPTY_HEADER; 64];
    black_box(httparse::parse_headers(&wire[start..], &mut lines)).is_ok()
}

fn structure(wire: &Bytes) -> bool {
    black_box(Message::parse(black_box(wire.clone()))).is_ok()
}

fn routing(wire: &Bytes) -> bool {
    let Ok(message) = Message::parse(black_box(wire.clone())) else {
        return false;
    };
    let headers = message.headers();
    let mut good = true;
    if let Some(Ok(via)) = headers.view::<Via>() {
        black_box((via.branch(), via.received(), via.rport()));
    } else {
        good = false;
    }
    if let Some(Ok(from)) = headers.view::<From>() {
        black_box(from.tag());
    }
    if let Some(Ok(to)) = headers.view::<To>() {
        black_box(to.tag());
    }
    black_box(headers.view::<CallId>());
    black_box(headers.view::<CSeq>());
    black_box(headers.view::<Contact>());
    black_box(headers.view::<MaxForwards>());
    black_box(headers.view::<ContentLength>());
    black_box(headers.view::<ContentType>());
    for route in headers.views::<Route>() {
        good &= black_box(route).is_ok();
    }
    for route in headers.views::<RecordRoute>() {
        good &= black_box(route).is_ok();
    }
    black_box(&message);
    good
}

fn rsip_structure(wire: &Bytes) -> bool {
    black_box(rsip::SipMessage::try_from(black_box(&wire[..]))).is_ok()
}

fn rsip_routing(wire: &Bytes) -> bool {
    use rsip::prelude::*;
    let Ok(message) = rsip::SipMessage::try_from(black_box(&wire[..])) else {
        return false;
    };
    let mut good = true;
    match message.via_header().map(|via| via.typed()) {
        Ok(Ok(via)) => {
            black_box((via.branch(), via.received().is_ok()));
        }
        _ => good = false,
    }
    match message.from_header().map(|from| from.typed()) {
        Ok(Ok(from)) => {
            black_box(from.tag());
        }
        _ => good = false,
    }
    match message.to_header().map(|to| to.typed()) {
        Ok(Ok(to)) => {
            black_box(to.tag());
        }
        _ => good = false,
    }
    black_box(message.call_id_header().is_ok());
    good &= matches!(
        message.cseq_header().map(|cseq| cseq.typed().is_ok()),
        Ok(true)
    );
    black_box(
        message
            .contact_header()
            .map(|contact| contact.typed().is_ok())
            .is_ok(),
    );
    black_box(message.max_forwards_header().is_ok());
    for header in message.headers().iter() {
        match header {
            rsip::Header::Route(route) => good &= route.typed().is_ok(),
            rsip::Header::RecordRoute(route) => good &= route.typed().is_ok(),
            _ => {}
        }
    }
    good
}
