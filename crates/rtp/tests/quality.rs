//! The E-model against the tables of ITU-T G.107.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use rtp::quality::{Impairment, mos, rating};
use std::time::Duration;

fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    table.lines().skip(1).map(|line| line.split('\t').collect())
}

#[test]
fn scores_follow_annex_b() {
    let mut count = 0;
    for row in rows(include_str!("data/r-to-mos.tsv")) {
        let (r, expected): (f64, f64) = (row[0].parse().unwrap(), row[1].parse().unwrap());
        assert!((mos(r) - expected).abs() < 0.001, "R {r}");
        count += 1;
    }
    assert_eq!(count, 101);
    assert_eq!((mos(-20.0), mos(120.0)), (1.0, 4.5));
}

#[test]
fn ratings_follow_the_model() {
    for row in rows(include_str!("data/emodel.tsv")) {
        let number = |index: usize| row[index].parse::<f64>().unwrap();
        let impairment = Impairment {
            equipment: number(1),
            robustness: number(2),
        };
        let delay = Duration::from_millis(row[4].parse().unwrap());
        let r = rating(impairment, number(3) / 100.0, delay);
        assert!((r - number(5)).abs() < 0.5, "{row:?} gave {r}");
    }
}
