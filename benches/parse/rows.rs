//! The rows of the tables: who reads, and what is written.

use std::{hint::black_box, slice::IterMut};

use bytes::{Bytes, BytesMut};
use sip_message::{
    Message, Request, Response, StatusCode, Tag, Uri,
    headers::{MaxForwards, RecordRoute, Via},
};

use crate::{
    contenders::{self, ALL, Contender, Level},
    floor, kinds,
};

/// The size of the buffer that many messages are written to, one behind the other.
const POOL: usize = 65_536;

/// All kinds of messages, when it is sure that the floor finds in them what is found above it.
pub fn kinds() -> Vec<Bytes> {
    let kinds = kinds::all();
    for wire in &kinds {
        assert_eq!(floor::values(wire), contenders::values(wire));
    }
    kinds
}

/// Hands out the work of every row, with a name and how many messages it is about.
pub fn each(kinds: &[Bytes], mut run: impl FnMut(&str, usize, &mut dyn FnMut())) {
    for contender in &ALL {
        let level = match contender.level {
            Level::Structure => "structure",
            Level::Routing => "routing",
        };
        let name = format!("{level}, {}", contender.name);
        run(&name, kinds.len(), &mut || read_all(contender, kinds));
    }
    let mut written = Written::new(kinds);
    for (place, name) in Written::NAMES.iter().enumerate() {
        let mut fresh = written.fresh(4);
        let mut fresh = fresh.iter_mut();
        run(name, 1, &mut || written.work(place, &mut fresh));
    }
}

/// Reads every kind.
pub fn read_all(contender: &Contender, kinds: &[Bytes]) {
    for wire in kinds {
        black_box((contender.read)(wire));
    }
}

/// What is written: messages, and what a proxy changes in one: Request-URI, Via, Record-Route, Max-Forwards.
pub struct Written {
    phone: Message,
    carrier: Message,
    wire: Bytes,
    pool: BytesMut,
    uri: Uri,
    via: Via,
    record_route: RecordRoute,
    tag: Tag,
}

impl Written {
    pub const NAMES: [&str; 8] = [
        "copy of the carrier's INVITE, for comparison",
        "carrier's INVITE, unmodified",
        "carrier's INVITE, edited as by a proxy, into a pooled buffer",
        "carrier's INVITE, edited as by a proxy, into its own buffer",
        "180 to a phone's INVITE, built",
        "180 to the carrier's INVITE, built",
        "180 to a phone's INVITE, into a pooled buffer",
        "180 to the carrier's INVITE, into a pooled buffer",
    ];

    pub fn new(kinds: &[Bytes]) -> Self {
        let parse = |at: usize| Message::parse(kinds[at].clone()).expect("a good message");
        Self {
            phone: parse(kinds::PHONE_INVITE),
            carrier: parse(kinds::CARRIER_INVITE),
            wire: kinds[kinds::CARRIER_INVITE].clone(),
            pool: BytesMut::with_capacity(POOL),
            uri: Uri::parse("sip:bob@192.0.2.4:5060").expect("a good URI"),
            via: "SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bKabcdefgh12345"
                .parse()
                .expect("a good Via"),
            record_route: "<sip:198.51.100.1;lr>"
                .parse()
                .expect("a good Record-Route"),
            tag: Tag::new("314159").expect("a good tag"),
        }
    }

    /// Messages to edit: they are made beforehand and dropped afterwards.
    pub fn fresh(&self, count: usize) -> Vec<Message> {
        vec![self.carrier.clone(); count]
    }

    /// Does once what [`Written::NAMES`] says at this place.
    pub fn work(&mut self, place: usize, fresh: &mut IterMut<'_, Message>) {
        match place {
            0 => drop(black_box(Bytes::copy_from_slice(&self.wire))),
            1 => drop(black_box(self.carrier.to_bytes())),
            2 => {
                let message = fresh.next().expect("enough messages to edit");
                self.edit(message);
                message.write_to(&mut self.pool);
                drop(black_box(self.pool.split().freeze()));
            }
            3 => {
                let message = fresh.next().expect("enough messages to edit");
                self.edit(message);
                drop(black_box(message.to_bytes()));
            }
            4 => drop(black_box(ringing(&self.phone, &self.tag))),
            5 => drop(black_box(ringing(&self.carrier, &self.tag))),
            6 => respond(&self.phone, &self.tag, &mut self.pool),
            _ => respond(&self.carrier, &self.tag, &mut self.pool),
        }
    }

    fn edit(&self, message: &mut Message) {
        let Message::Request(request) = message else {
            return;
        };
        request.set_uri(self.uri.clone());
        let headers = request.headers_mut();
        if let Some(Ok(hops)) = headers.view::<MaxForwards>() {
            headers.set(MaxForwards(hops.0.saturating_sub(1)));
        }
        headers.push_front(self.via.clone());
        headers.push_front(self.record_route.clone());
    }
}

fn ringing(message: &Message, tag: &Tag) -> Response {
    let request: Option<&Request> = black_box(message).as_request();
    request
        .expect("a request")
        .response(StatusCode::RINGING)
        .to_tag(tag.clone())
        .build()
}

fn respond(message: &Message, tag: &Tag, pool: &mut BytesMut) {
    ringing(message, tag).write_to(pool);
    drop(black_box(pool.split().freeze()));
}
