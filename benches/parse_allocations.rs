//! How often reading and writing messages allocates: `cargo bench -p sipwright-benches --bench parse_allocations`.
//!
//! The rows are those of `parse`, which has no such counter, for a counter takes time at each allocation.

#[path = "parse/contenders.rs"]
mod contenders;
#[path = "parse/floor.rs"]
mod floor;
#[path = "parse/kinds.rs"]
mod kinds;
#[path = "parse/rows.rs"]
mod rows;

fn main() {
    println!("allocations for each message");
    rows::each(&rows::kinds(), |name, messages, work| {
        // A pooled buffer and the like are made the first time.
        work();
        let count = allocation_counter::measure(&mut *work).count_total;
        println!("  {name:<60} {:>8.2}", count as f64 / messages as f64);
    });
}
