//! The comparison: all contenders take turns in one run, so that what disturbs one disturbs all.

use std::{
    hint::black_box,
    slice::IterMut,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use sip_message::{
    Message, Request, StatusCode, Tag, Uri,
    headers::{MaxForwards, RecordRoute, Via},
};

use crate::{
    contenders::{self, ALL, Contender, Level},
    floor, kinds,
};

/// The size of the buffer that many messages are written to, one behind the other.
const POOL: usize = 65_536;

/// How much is measured.
pub struct Effort {
    rounds: usize,
    repeats: u32,
}

impl Effort {
    /// Enough for figures.
    pub const FULL: Self = Self {
        rounds: 300,
        repeats: 40,
    };

    /// Enough to see that everything runs.
    pub const QUICK: Self = Self {
        rounds: 1,
        repeats: 1,
    };
}

/// Prints both tables.
pub fn print(effort: &Effort) {
    let kinds = kinds::all();
    let sizes: Vec<_> = kinds.iter().map(Bytes::len).collect();
    println!("{} kinds of messages, bytes: {sizes:?}", kinds.len());
    for wire in &kinds {
        assert_eq!(
            floor::values(wire),
            contenders::values(wire),
            "the floor finds what is found above it"
        );
    }
    reading(&kinds, effort);
    writing(&kinds, effort);
}

/// Runs every row of the tables once for a counter of instructions: each message of the kinds once, each writing once.
pub fn count() {
    let kinds = kinds::all();
    let mut part = 0;
    let mut row = |name: &str, messages: usize, work: &mut dyn FnMut()| {
        // What happens once only shall not be counted.
        work();
        counted(work);
        part += 1;
        println!("part {part:>2}: {name}, {messages} messages");
    };
    for contender in &ALL {
        let level = if contender.level == Level::Structure {
            "structure"
        } else {
            "routing"
        };
        row(
            &format!("{level}, {}", contender.name),
            kinds.len(),
            &mut || read_all(contender, &kinds),
        );
    }
    let written = Written::new(&kinds);
    let mut pool = BytesMut::with_capacity(POOL);
    for (place, name) in Written::NAMES.iter().enumerate() {
        let mut fresh = vec![written.carrier.clone(); 2];
        let mut fresh = fresh.iter_mut();
        row(name, 1, &mut || written.work(place, &mut fresh, &mut pool));
    }
}

#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
}

fn read_all(contender: &Contender, kinds: &[Bytes]) {
    for wire in kinds {
        black_box((contender.read)(wire));
    }
}

fn reading(kinds: &[Bytes], effort: &Effort) {
    let mut single = vec![vec![Duration::MAX; kinds.len()]; ALL.len()];
    let mut mixed = vec![Duration::MAX; ALL.len()];
    for _ in 0..effort.rounds {
        for (place, contender) in ALL.iter().enumerate() {
            for (wire, best) in kinds.iter().zip(&mut single[place]) {
                *best = (*best).min(time(effort.repeats, || {
                    black_box((contender.read)(wire));
                }));
            }
            let pass = time(effort.repeats, || read_all(contender, kinds));
            mixed[place] = mixed[place].min(pass / kinds.len() as u32);
        }
    }
    println!(
        "\nreading            ns, one kind at a time   ns, kinds alternating   allocations   not read"
    );
    println!(
        "                   (geometric mean)         (mean)                  per message   of {}",
        kinds.len()
    );
    for (place, contender) in ALL.iter().enumerate() {
        if place == 0 || ALL[place - 1].level != contender.level {
            let structure = contender.level == Level::Structure;
            println!("{}", if structure { "structure" } else { "routing" });
        }
        let allocations = allocation_counter::measure(|| read_all(contender, kinds)).count_total;
        let refused = kinds.iter().filter(|wire| !(contender.read)(wire)).count();
        println!(
            "  {:<16} {:>8.0}  {:<18} {:>12}   {:>15.2}   {refused:>8}",
            contender.name,
            geometric_mean(&single[place], |_| true),
            ratio(place, kinds, &single),
            mixed[place].as_nanos(),
            allocations as f64 / kinds.len() as f64,
        );
    }
}

/// How many times longer than the parser to compare with, over the kinds that this one reads: to refuse takes less time.
fn ratio(place: usize, kinds: &[Bytes], times: &[Vec<Duration>]) -> String {
    let level = ALL[place].level;
    let name = if level == Level::Structure {
        "httparse"
    } else {
        "floor"
    };
    let base = ALL
        .iter()
        .position(|other| other.name == name && other.level == level)
        .expect("a name from the list");
    let read: Vec<_> = kinds.iter().map(|wire| (ALL[base].read)(wire)).collect();
    let mean = |place: usize| geometric_mean(&times[place], |kind| read[kind]);
    format!("{:.2}x {name}", mean(place) / mean(base))
}

fn writing(kinds: &[Bytes], effort: &Effort) {
    let written = Written::new(kinds);
    let mut pool = BytesMut::with_capacity(POOL);
    let mut best = [Duration::MAX; Written::NAMES.len()];
    let mut allocations = [0; Written::NAMES.len()];
    for _ in 0..effort.rounds {
        for place in 0..Written::NAMES.len() {
            // Messages to edit are made beforehand and dropped afterwards.
            let count = effort.repeats as usize + 1;
            let mut fresh = vec![written.carrier.clone(); count];
            let mut fresh = fresh.iter_mut();
            let mut work = || written.work(place, &mut fresh, &mut pool);
            best[place] = best[place].min(time(effort.repeats, &mut work));
            allocations[place] = allocation_counter::measure(work).count_total;
        }
    }
    println!("\nwriting                                                        ns   allocations");
    for ((name, best), allocations) in Written::NAMES.iter().zip(best).zip(allocations) {
        println!("  {name:<60} {:>4}   {allocations:>11}", best.as_nanos());
    }
    println!();
}

/// What is written: messages, and what a proxy changes in one: Request-URI, Via, Record-Route, Max-Forwards.
struct Written {
    phone: Message,
    carrier: Message,
    wire: Bytes,
    uri: Uri,
    via: Via,
    record_route: RecordRoute,
    tag: Tag,
}

impl Written {
    const NAMES: [&str; 6] = [
        "copy of the carrier's INVITE, for comparison",
        "carrier's INVITE, unmodified",
        "carrier's INVITE, edited as by a proxy, into a pooled buffer",
        "carrier's INVITE, edited as by a proxy, into its own buffer",
        "180 to a phone's INVITE, into a pooled buffer",
        "180 to the carrier's INVITE, into a pooled buffer",
    ];

    fn new(kinds: &[Bytes]) -> Self {
        let parse = |at: usize| Message::parse(kinds[at].clone()).expect("a good message");
        Self {
            phone: parse(kinds::PHONE_INVITE),
            carrier: parse(kinds::CARRIER_INVITE),
            wire: kinds[kinds::CARRIER_INVITE].clone(),
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

    fn work(&self, place: usize, fresh: &mut IterMut<'_, Message>, pool: &mut BytesMut) {
        match place {
            0 => drop(black_box(Bytes::copy_from_slice(&self.wire))),
            1 => drop(black_box(self.carrier.to_bytes())),
            2 | 3 => {
                if let Some(message) = fresh.next() {
                    self.edit(message);
                    if place == 2 {
                        message.write_to(pool);
                        drop(black_box(pool.split().freeze()));
                    } else {
                        drop(black_box(message.to_bytes()));
                    }
                }
            }
            4 => self.respond(self.phone.as_request(), pool),
            _ => self.respond(self.carrier.as_request(), pool),
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

    fn respond(&self, request: Option<&Request>, pool: &mut BytesMut) {
        let request = black_box(request).expect("a request");
        let response = request
            .response(StatusCode::RINGING)
            .to_tag(self.tag.clone())
            .build();
        response.write_to(pool);
        drop(black_box(pool.split().freeze()));
    }
}

fn time(repeats: u32, mut work: impl FnMut()) -> Duration {
    let begin = Instant::now();
    for _ in 0..repeats {
        work();
    }
    begin.elapsed() / repeats
}

/// Over the kinds that shall count.
fn geometric_mean(times: &[Duration], counts: impl Fn(usize) -> bool) -> f64 {
    let logarithms: Vec<f64> = times
        .iter()
        .enumerate()
        .filter(|(kind, _)| counts(*kind))
        .map(|(_, time)| (time.as_nanos() as f64).max(1.0).ln())
        .collect();
    (logarithms.iter().sum::<f64>() / logarithms.len() as f64).exp()
}
