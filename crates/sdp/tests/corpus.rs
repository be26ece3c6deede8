//! Every description of a corpus, which is not part of this repository.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use sdp::{Capabilities, Session, SessionDescription};
use std::{env, fs, path::PathBuf};

/// Reads the folder that `SIPWRIGHT_CORPUS` names, with an `sdp/manifest.tsv` that says of each file what is expected.
#[test]
#[ignore = "needs the corpus: SIPWRIGHT_CORPUS"]
fn every_description_of_the_corpus_round_trips() {
    let root = env::var_os("SIPWRIGHT_CORPUS").map_or_else(
        || {
            PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../../shared/corpus"
            ))
        },
        PathBuf::from,
    );
    let root = root.join("sdp");
    let manifest = fs::read_to_string(root.join("manifest.tsv")).expect("the corpus is there");
    let (mut count, mut refused) = (0, Vec::new());
    for row in manifest.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let (Some(file), Some(expected)) = (columns.first(), columns.last()) else {
            continue;
        };
        assert!(
            expected.contains("must parse and round-trip"),
            "{file}: {expected}"
        );
        count += 1;
        let wire = fs::read(root.join(file)).unwrap();
        match SessionDescription::parse(wire.clone()) {
            Ok(mut description) => {
                assert_eq!(description.to_bytes(), wire, "{file}");
                // Also when it is put together from its lines.
                description.retain_lines(|_| true);
                let written = description.to_bytes();
                assert!(
                    written == wire || written.strip_suffix(b"\r\n") == Some(&wire[..]),
                    "{file}"
                );
                let abilities = Capabilities::audio("192.0.2.9:4000".parse().unwrap());
                let _ = Session::new(1).answer(&description, &abilities);
            }
            Err(error) => refused.push(format!("{file}: {error}")),
        }
    }
    assert!(count >= 160, "only {count} descriptions");
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}
