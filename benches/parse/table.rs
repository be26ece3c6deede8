//! The comparison: all contenders take turns in one run, so that what disturbs one disturbs all.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use sip_message::{
    Message, StatusCode, Tag, Uri,
    headers::{MaxForwards, RecordRoute, Via},
};

use crate::{
    contenders::{ALL, Contender, Level},
    kinds,
};

/// How much is measured.
pub struct Effort {
    rounds: usize,
    repeats: u32,
}

impl Effort {
    /// Enough for figures.
    pub const FULL: Self = Self {
        rounds: 150,
        repeats: 40,
    };

    /// Enough to see that everything runs.
    pub const QUICK: Self = Self {
        rounds: 1,
        repeats: 1,
    };
}

/// Reads every kind many times with one contender, for a counter of instructions to look at.
#[inline(never)]
pub fn counted(contender: &Contender, kinds: &[Bytes], times: usize) {
    for _ in 0..times {
        for wire in kinds {
            black_box((contender.read)(wire));
        }
    }
}

/// Prints both tables.
pub fn print(effort: &Effort) {
    let kinds = kinds::all();
    let sizes: Vec<_> = kinds.iter().map(Bytes::len).collect();
    println!("{} kinds of messages, bytes: {sizes:?}", kinds.len());
    reading(&kinds, effort);
    writing(&kinds, effort);
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
            let pass = time(effort.repeats, || {
                for wire in kinds {
                    black_box((contender.read)(wire));
                }
            });
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
    let mut floor = [1.0; 2];
    for (place, contender) in ALL.iter().enumerate() {
        let mean = geometric_mean(&single[place]);
        let level = usize::from(contender.level == Level::Routing);
        let base = if level == 0 { "httparse" } else { "floor" };
        if contender.name == base {
            floor[level] = mean;
        }
        if place == 0 || ALL[place - 1].level != contender.level {
            println!("{}", if level == 0 { "structure" } else { "routing" });
        }
        let allocations = allocation_counter::measure(|| counted(contender, kinds, 1)).count_total;
        let refused = kinds.iter().filter(|wire| !(contender.read)(wire)).count();
        let ratio = if floor[level] > 1.0 {
            format!("{:.2}x {base}", mean / floor[level])
        } else {
            String::new()
        };
        println!(
            "  {:<16} {mean:>8.0}  {ratio:<18} {:>12}   {:>15.2}   {refused:>8}",
            contender.name,
            mixed[place].as_nanos(),
            allocations as f64 / kinds.len() as f64,
        );
    }
}

fn writing(kinds: &[Bytes], effort: &Effort) {
    let parse = |at: usize| Message::parse(kinds[at].clone()).expect("a good message");
    let (carrier, phone) = (parse(kinds::CARRIER_INVITE), parse(kinds::PHONE_INVITE));
    let edit = Edit::new();
    let mut pool = BytesMut::with_capacity(1 << 20);
    let mut best = [Duration::MAX; 6];
    let mut allocations = [0; 6];
    let repeats = effort.repeats;
    let tag = Tag::new("314159").expect("a good tag");
    for _ in 0..effort.rounds {
        let mut run = |place: usize, work: &mut dyn FnMut()| {
            best[place] = best[place].min(time(repeats, &mut *work));
            allocations[place] = allocation_counter::measure(work).count_total;
        };
        run(0, &mut || {
            drop(black_box(Bytes::copy_from_slice(
                &kinds[kinds::CARRIER_INVITE],
            )))
        });
        run(1, &mut || drop(black_box(carrier.to_bytes())));
        // Messages to edit are made beforehand and dropped afterwards.
        let mut fresh = vec![carrier.clone(); repeats as usize + 2].into_iter();
        let mut done = Vec::with_capacity(repeats as usize + 2);
        run(2, &mut || {
            if let Some(mut message) = fresh.next() {
                edit.apply(&mut message);
                message.write_to(&mut pool);
                drop(black_box(pool.split().freeze()));
                done.push(message);
            }
        });
        let mut fresh = vec![carrier.clone(); repeats as usize + 2].into_iter();
        let mut done = Vec::with_capacity(repeats as usize + 2);
        run(3, &mut || {
            if let Some(mut message) = fresh.next() {
                edit.apply(&mut message);
                drop(black_box(message.to_bytes()));
                done.push(message);
            }
        });
        for (place, request) in [(4, &phone), (5, &carrier)] {
            let request = request.as_request().expect("a request");
            run(place, &mut || {
                let response = black_box(request)
                    .response(StatusCode::RINGING)
                    .to_tag(tag.clone())
                    .build();
                response.write_to(&mut pool);
                drop(black_box(pool.split().freeze()));
            });
        }
    }
    println!("\nwriting                                                        ns   allocations");
    let names = [
        "copy of the carrier's INVITE, for comparison",
        "carrier's INVITE, unmodified",
        "carrier's INVITE, edited as by a proxy, into a pooled buffer",
        "carrier's INVITE, edited as by a proxy, into its own buffer",
        "180 to a phone's INVITE, into a pooled buffer",
        "180 to the carrier's INVITE, into a pooled buffer",
    ];
    for ((name, best), allocations) in names.iter().zip(best).zip(allocations) {
        println!("  {name:<60} {:>4}   {allocations:>11}", best.as_nanos());
    }
    println!();
}

/// What a proxy changes: Request-URI, Via, Record-Route, Max-Forwards.
struct Edit {
    uri: Uri,
    via: Via,
    record_route: RecordRoute,
}

impl Edit {
    fn new() -> Self {
        Self {
            uri: Uri::parse("sip:bob@192.0.2.4:5060").expect("a good URI"),
            via: "SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bKabcdefgh12345"
                .parse()
                .expect("a good Via"),
            record_route: "<sip:198.51.100.1;lr>"
                .parse()
                .expect("a good Record-Route"),
        }
    }

    fn apply(&self, message: &mut Message) {
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

fn time(repeats: u32, mut work: impl FnMut()) -> Duration {
    let begin = Instant::now();
    for _ in 0..repeats {
        work();
    }
    begin.elapsed() / repeats
}

fn geometric_mean(times: &[Duration]) -> f64 {
    let logarithms: f64 = times
        .iter()
        .map(|time| (time.as_nanos() as f64).max(1.0).ln())
        .sum();
    (logarithms / times.len() as f64).exp()
}
