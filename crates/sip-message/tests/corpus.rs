//! Every message of a directory that its manifest calls valid can be read and is written as it came.
//!
//! The directory is named by the environment variable `SIPWRIGHT_CORPUS`; it has one folder for each set, with a `manifest.tsv`
//! whose first column is a file and of which one column says what is expected of it.

use std::{env, fs, path::Path};

use bytes::Bytes;
use sip_message::{Message, reject};

/// Examples in which an RFC breaks the grammar of RFC 3261, and where.
const SLIPS: &[(&str, &str)] = &[
    ("rfc3261/23.4.2-02.sip", "From"), // <alice@atlanta.com>: no scheme
    ("rfc3327/5.5.2-01.sip", "Request-URI"), // no scheme
    ("rfc3327/5.5.2-02.sip", "Request-URI"),
    ("rfc3327/5.5.2-03.sip", "Request-URI"),
    ("rfc3327/5.5.2-04.sip", "Request-URI"),
    ("rfc4660/7.1.1-01.sip", "From"), // ;tag:1234: a colon for an equals sign
    ("rfc4660/7.1.2-01.sip", "From"),
    ("rfc4660/7.1.2-02.sip", "From"),
    ("rfc4660/7.1.3-01.sip", "From"),
    ("rfc4660/7.2.1-01.sip", "From"),
    ("rfc4660/7.2.2-01.sip", "From"),
    ("rfc4660/7.2.3-01.sip", "From"),
    ("rfc4964/8.2-06.sip", "Via"), // user@host in sent-by
    ("rfc4964/8.2-08.sip", "Via"),
    ("rfc4964/8.2-13.sip", "Via"),
    ("rfc4964/8.2-15.sip", "Via"),
    ("rfc5626/9.1-01.sip", "To"),          // no scheme
    ("rfc6035/4.7.2-01.sip", "CSeq"),      // NOTIFY with PUBLISH in CSeq
    ("rfc6405/5.4-04.sip", "Request-URI"), // @.example.net
    ("rfc6873/4.4-02.sip", "From"),        // no scheme
    ("rfc7315/4.3.2.3-02.sip", "Via"),     // user@host in sent-by
    ("rfc7315/4.3.2.3-03.sip", "Via"),
    ("rfc7315/4.5.2.3-02.sip", "Via"),
    ("rfc7315/4.6.2.3-02.sip", "Via"),
    ("rfc8497/3.7-04.sip", "CSeq"), // INVITE with REFER in CSeq
];

fn read(folder: &Path, is_valid: impl Fn(&[&str]) -> bool) -> (usize, Vec<String>) {
    let manifest = fs::read_to_string(folder.join("manifest.tsv")).expect("has a manifest");
    let (mut messages, mut wrong) = (0, Vec::new());
    for row in manifest.lines().skip(1) {
        let columns: Vec<_> = row.split('\t').collect();
        let Ok(bytes) = fs::read(folder.join(columns[0])) else {
            continue;
        };
        if columns[0].ends_with(".flow.txt") {
            continue;
        }
        messages += 1;
        let wire = Bytes::from(bytes);
        let outcome = Message::parse(wire.clone()).and_then(|message| {
            assert!(
                wire.starts_with(&message.to_bytes()),
                "{} is written as it came",
                columns[0]
            );
            message.check().map(|()| message)
        });
        match outcome {
            Ok(_) => {}
            Err(error) => {
                let _ = reject(&wire, &error);
                let slip = SLIPS.contains(&(columns[0], error.field()));
                if is_valid(&columns) && !slip {
                    wrong.push(format!("{}: {error}", columns[0]));
                }
            }
        }
    }
    (messages, wrong)
}

/// MSG-057.
#[test]
#[ignore = "needs a directory of messages, named by SIPWRIGHT_CORPUS"]
fn every_valid_message_of_the_corpus_is_read_and_written_as_it_came() {
    let corpus = env::var("SIPWRIGHT_CORPUS").expect("SIPWRIGHT_CORPUS names a directory");
    let corpus = Path::new(&corpus);
    let (messages, wrong) = read(&corpus.join("flows"), |columns| {
        columns
            .last()
            .is_some_and(|expected| expected.starts_with("valid example"))
    });
    assert!(
        messages > 0 && wrong.is_empty(),
        "{} of {messages}: {wrong:#?}",
        wrong.len()
    );
    for (set, at_least) in [("torture-4475", 49), ("torture-5118", 12)] {
        let (messages, wrong) = read(&corpus.join(set), |columns| columns[2].starts_with("valid"));
        assert!(
            messages >= at_least && wrong.is_empty(),
            "{set}: {wrong:#?}"
        );
    }
}
