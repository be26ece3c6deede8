//! Who reads the messages: this crate, the floor, and parsers of others.

use std::{fmt::Write, hint::black_box};

use bytes::Bytes;
use sip_message::{
    Message, NameAddrView, Uri,
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

/// What the routing level finds, by name, for a comparison of what was found.
pub type Values = Vec<(&'static str, String)>;

fn floor_structure(wire: &Bytes) -> bool {
    let mut lines = [(0, 0, 0); 64];
    black_box(floor::structure(black_box(wire), &mut lines));
    black_box(&lines);
    true
}

fn floor_routing(wire: &Bytes) -> bool {
    let mut routes = ([floor::Address::default(); 16], 0);
    black_box(&floor::routing(black_box(wire), &mut routes));
    black_box(&routes);
    true
}

/// HTTP's header lines have the shape of SIP's; the start line is skipped, for its version is not HTTP's.
fn httparse_structure(wire: &Bytes) -> bool {
    let wire = black_box(wire);
    let start = wire.iter().position(|&b| b == b'\n').map_or(0, |at| at + 1);
    let mut lines = [httparse::EMPTY_HEADER; 64];
    let read = httparse::parse_headers(&wire[start..], &mut lines).is_ok();
    black_box(&lines);
    read
}

fn structure(wire: &Bytes) -> bool {
    let message = Message::parse(black_box(wire).clone());
    black_box(&message).is_ok()
}

fn routing(wire: &Bytes) -> bool {
    let Ok(message) = &Message::parse(black_box(wire).clone()) else {
        return false;
    };
    let headers = message.headers();
    let mut good = true;
    if let Message::Request(request) = message {
        black_box((request.method(), request.uri()));
    }
    if let Some(Ok(via)) = &headers.view::<Via>() {
        black_box((via, via.branch_raw(), via.received(), via.rport()));
    } else {
        good = false;
    }
    if let Some(Ok(from)) = &headers.view::<From>() {
        black_box((from, from.tag_raw()));
    }
    if let Some(Ok(to)) = &headers.view::<To>() {
        black_box((to, to.tag_raw()));
    }
    black_box(&headers.view::<CallId>());
    black_box(&headers.view::<CSeq>());
    black_box(&headers.view::<Contact>());
    black_box(&headers.view::<MaxForwards>());
    black_box(&headers.view::<ContentLength>());
    black_box(&headers.view::<ContentType>());
    for route in headers.views::<Route>() {
        good &= black_box(&route).is_ok();
    }
    for route in headers.views::<RecordRoute>() {
        good &= black_box(&route).is_ok();
    }
    black_box(message);
    good
}

/// What [`routing`] finds.
pub fn values(wire: &Bytes) -> Values {
    fn uri<T: AsRef<[u8]>>(uri: &Uri<T>) -> String {
        let params: String = uri
            .params()
            .flat_map(|(name, value)| [";", name, value.map_or("", |_| "="), value.unwrap_or("")])
            .collect();
        format!(
            "{} {} {} {params}",
            uri.user_raw().unwrap_or(""),
            uri.host_str(),
            uri.port().unwrap_or(0)
        )
    }
    fn address(address: &NameAddrView<'_>) -> String {
        let mut text = uri(address.uri());
        text.push(' ');
        for (name, _) in address.params() {
            let value = address.param_raw(name).unwrap_or_default();
            let equal = if value.is_empty() { "" } else { "=" };
            let _ = write!(text, ";{name}{equal}{}", String::from_utf8_lossy(value));
        }
        let _ = write!(text, " {}", address.tag().unwrap_or(""));
        text
    }
    let message = Message::parse(wire.clone()).expect("a good message");
    let headers = message.headers();
    let mut values = Values::new();
    let mut add = |name, value| values.push((name, value));
    match &message {
        Message::Request(request) => {
            add("start", request.method().to_string());
            add("uri", uri(request.uri()));
        }
        Message::Response(response) => {
            add("start", response.status().as_u16().to_string());
            add("uri", "  0 ".to_owned());
        }
    }
    let via = headers.view::<Via>().expect("a Via").expect("a good Via");
    add(
        "via",
        format!(
            "{} {} {}",
            via.transport(),
            via.host_str(),
            via.port().unwrap_or(0)
        ),
    );
    add("branch", via.branch().unwrap_or("").to_owned());
    add(
        "received",
        via.received()
            .map(|address| address.to_string())
            .unwrap_or_default(),
    );
    add("rport", via.rport().flatten().unwrap_or(0).to_string());
    let from = headers.view::<From>().expect("From").expect("a good From");
    add("from", address(&from));
    let to = headers.view::<To>().expect("To").expect("a good To");
    add("to", address(&to));
    let call_id = headers.get::<CallId>().expect("Call-ID");
    add(
        "call-id",
        call_id.expect("a good Call-ID").as_str().to_owned(),
    );
    let cseq = headers.view::<CSeq>().expect("CSeq").expect("a good CSeq");
    add("cseq", format!("{} {}", cseq.number, cseq.method));
    let contact = headers.view::<Contact>().and_then(Result::ok).flatten();
    add(
        "contact",
        contact.map_or("  0   ".to_owned(), |contact| address(&contact)),
    );
    let hops = headers
        .view::<MaxForwards>()
        .and_then(Result::ok)
        .map_or(0, |hops| hops.0);
    add("max-forwards", hops.to_string());
    let length = headers
        .view::<ContentLength>()
        .and_then(Result::ok)
        .map_or(0, |length| length.0);
    add("content-length", length.to_string());
    let content_type = headers
        .get::<ContentType>()
        .and_then(Result::ok)
        .map(|content_type| content_type.to_string());
    add("content-type", content_type.unwrap_or_default());
    let mut all = String::new();
    for route in headers
        .views::<Route>()
        .chain(headers.views::<RecordRoute>())
    {
        let _ = writeln!(all, "{}", address(&route.expect("a good route")));
    }
    add("routes", all);
    add("body", message.body().len().to_string());
    values
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
