//! What test purposes of others ask for, and which tests of ours show it.

use std::{collections::BTreeSet, fs, path::Path};

const TIMERS: &str = include_str!("etsi_timers.md");

/// The rows of a table: its cells.
fn rows(table: &str) -> Vec<Vec<&str>> {
    let rows = table.lines().filter(|line| line.starts_with("| SIP_"));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

/// Whether `FILE: TEST` names a test in a crate.
fn exists(test: &str) -> bool {
    let Some((file, name)) = test.trim_matches('`').split_once(": ") else {
        return false;
    };
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let Ok(source) = fs::read_to_string(crates.join(file)) else {
        return false;
    };
    source.contains(&format!("#[test]\nfn {name}()"))
}

#[test]
fn every_timer_purpose_has_a_row_and_every_row_names_tests_that_exist() {
    let rows = rows(TIMERS);
    let ids: BTreeSet<&str> = rows.iter().map(|row| row[0]).collect();
    assert_eq!((rows.len(), ids.len()), (75, 75));
    for row in rows {
        let [id, _, _, known, state, tests] = row[..] else {
            panic!("{row:?}");
        };
        let tests: Vec<&str> = tests.split(", ").collect();
        match state {
            "shown" => assert_ne!(known, "–", "{id}"),
            "purpose unknown" => assert_eq!(known, "–", "{id}"),
            "not applicable" => {
                assert_eq!(tests, ["–"], "{id}");
                continue;
            }
            other => panic!("{id} is {other}"),
        }
        for test in tests {
            assert!(exists(test), "{id} names {test}");
        }
    }
}
