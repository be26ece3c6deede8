//! The comparison: all contenders take turns in one run, so that what disturbs one disturbs all.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::{
    contenders::{ALL, Level},
    rows::{self, Written, read_all},
};

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
    let kinds = rows::kinds();
    let sizes: Vec<_> = kinds.iter().map(Bytes::len).collect();
    println!("{} kinds of messages, bytes: {sizes:?}", kinds.len());
    reading(&kinds, effort);
    writing(&kinds, effort);
}

/// Does the work of every row once, where a counter of instructions can see it.
pub fn count() {
    let kinds = rows::kinds();
    let mut part = 0;
    rows::each(&kinds, |name, messages, work| {
        // What happens the first time only shall not be counted.
        work();
        counted(work);
        part += 1;
        println!("part {part:>2}: {name}, {messages} messages");
    });
}

#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
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
    println!("\nreading            ns, one kind at a time   ns, kinds alternating   not read");
    println!(
        "                   (geometric mean)         (mean)                  of {}",
        kinds.len()
    );
    for (place, contender) in ALL.iter().enumerate() {
        if place == 0 || ALL[place - 1].level != contender.level {
            let structure = contender.level == Level::Structure;
            println!("{}", if structure { "structure" } else { "routing" });
        }
        let refused = kinds.iter().filter(|wire| !(contender.read)(wire)).count();
        println!(
            "  {:<16} {:>8.0}  {:<18} {:>12}   {refused:>8}",
            contender.name,
            geometric_mean(&single[place], |_| true),
            ratio(place, kinds, &single),
            mixed[place].as_nanos(),
        );
    }
}

/// How many times longer than the parser to compare with, over the kinds that this one reads: to refuse takes less time.
fn ratio(place: usize, kinds: &[Bytes], times: &[Vec<Duration>]) -> String {
    let level = ALL[place].level;
    let name = match level {
        Level::Structure => "httparse",
        Level::Routing => "floor",
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
    let mut written = Written::new(kinds);
    let mut best = [Duration::MAX; Written::NAMES.len()];
    for _ in 0..effort.rounds {
        for (place, best) in best.iter_mut().enumerate() {
            let mut fresh = written.fresh(effort.repeats as usize);
            let mut fresh = fresh.iter_mut();
            *best = (*best).min(time(effort.repeats, || written.work(place, &mut fresh)));
        }
    }
    println!("\nwriting                                                        ns");
    for (name, best) in Written::NAMES.iter().zip(best) {
        println!("  {name:<60} {:>4}", best.as_nanos());
    }
    println!();
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
