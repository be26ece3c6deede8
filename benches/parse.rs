//! Reading, editing and writing messages.
//!
//! `cargo bench -p sipwright-benches --bench parse` prints a comparison with other parsers, all of them in turns in one run,
//! then the parts of this one. Instructions, for every row of its two tables:
//!
//! ```console
//! $ cargo bench -p sipwright-benches --bench parse --no-run
//! $ valgrind --tool=callgrind --toggle-collect=parse::table::counted --dump-after=parse::table::counted target/release/deps/parse-* count
//! $ grep -H ^totals callgrind.out.*
//! ```
//!
//! What it prints says which row is in which part. Allocations: `--bench parse_allocations`.

#[path = "parse/contenders.rs"]
mod contenders;
#[path = "parse/floor.rs"]
mod floor;
#[path = "parse/kinds.rs"]
mod kinds;
#[path = "parse/rows.rs"]
mod rows;
#[path = "parse/table.rs"]
mod table;

use bytes::Bytes;
use divan::{Bencher, black_box, counter::BytesCount};
use sip_message::headers::{Contact, MaxForwards, RecordRoute, Via};
use sip_message::{Limits, Message, StatusCode, StreamFramer, Tag};
use sipwright_benches::{INVITE, OK, OPTIONS, REGISTER};

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if arguments.last().is_some_and(|last| last == "count") {
        table::count();
        return;
    }
    // Cargo says `--bench` for measuring, and nothing for seeing whether it runs.
    table::print(if arguments.iter().any(|argument| argument == "--bench") {
        &table::Effort::FULL
    } else {
        &table::Effort::QUICK
    });
    divan::main();
}

const MESSAGES: [(&str, &str); 4] = [
    ("INVITE", INVITE),
    ("200", OK),
    ("REGISTER", REGISTER),
    ("OPTIONS", OPTIONS),
];

fn wire(name: &str) -> Bytes {
    let message = MESSAGES.iter().find(|(known, _)| *known == name);
    Bytes::from_static(message.expect("a name from the list").1.as_bytes())
}

fn names() -> impl Iterator<Item = &'static str> {
    MESSAGES.iter().map(|(name, _)| *name)
}

/// Start line and where each header field is.
#[divan::bench(args = names())]
fn structure(bencher: Bencher<'_, '_>, name: &str) {
    let wire = wire(name);
    bencher
        .counter(BytesCount::new(wire.len()))
        .bench(|| Message::parse(black_box(wire.clone())));
}

/// All that RFC 3261 §8.1.1 requires, read and checked, as a transport does on arrival.
#[divan::bench(args = names())]
fn checked(bencher: Bencher<'_, '_>, name: &str) {
    let wire = wire(name);
    bencher.counter(BytesCount::new(wire.len())).bench(|| {
        let message = Message::parse(black_box(wire.clone())).expect("a good message");
        message.check().expect("a complete message");
        message
    });
}

/// Contact, every Via and every Record-Route as values.
#[divan::bench(args = names())]
fn values(bencher: Bencher<'_, '_>, name: &str) {
    let message = Message::parse(wire(name)).expect("a good message");
    bencher.bench(|| {
        let headers = black_box(&message).headers();
        let vias = headers.all::<Via>().filter(Result::is_ok).count();
        let routes = headers.all::<RecordRoute>().filter(Result::is_ok).count();
        (headers.get::<Contact>(), vias, routes)
    });
}

/// What a proxy changes on the way, and the bytes that leave.
#[divan::bench]
fn relay(bencher: Bencher<'_, '_>) {
    let wire = wire("INVITE");
    let via: Via = "SIP/2.0/UDP ss1.atlanta.example.com:5060;branch=z9hG4bK2d4790.1"
        .parse()
        .expect("a good value");
    bencher.bench(|| {
        let mut message = Message::parse(black_box(wire.clone())).expect("a good message");
        let headers = message.headers_mut();
        headers.push_front(via.clone());
        headers.set(MaxForwards(69));
        message.to_bytes()
    });
}

/// A response from its request, and its bytes.
#[divan::bench]
fn respond(bencher: Bencher<'_, '_>) {
    let message = Message::parse(wire("INVITE")).expect("a good message");
    let request = message.as_request().expect("a request");
    let tag = Tag::new("314159").expect("a good tag");
    bencher.bench(|| {
        let response = black_box(request).response(StatusCode::RINGING);
        response.to_tag(tag.clone()).build().to_bytes()
    });
}

/// Four messages out of a stream that arrives in pieces of 1,000 bytes.
#[divan::bench]
fn frames(bencher: Bencher<'_, '_>) {
    let stream: String = MESSAGES.iter().map(|(_, text)| *text).collect();
    bencher.counter(BytesCount::new(stream.len())).bench(|| {
        let mut framer = StreamFramer::new(Limits::default());
        let mut count = 0;
        for piece in black_box(stream.as_bytes()).chunks(1000) {
            framer.push(piece);
            while let Ok(Some(frame)) = framer.next() {
                black_box(frame);
                count += 1;
            }
        }
        count
    });
}
