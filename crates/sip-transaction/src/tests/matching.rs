//! Which message belongs to which transaction: RFC 3261 §17.1.3, §17.2.3. Trap 1.

use std::collections::HashSet;

use super::*;
use crate::Matching;

/// TXN-010: RFC 3261 §17.1.3.
#[test]
fn txn_010_responses_match_by_branch_and_method() {
    let mut stage = Stage::new();
    let id = stage.request(&invite(), udp());
    stage.answer(&invite(), 180);
    stage.cancel(id);
    stage.answer(&request(Method::CANCEL, "z9hG4bKone"), 200);
    stage.answer(&invite(), 487);
    stage.answer(&request(Method::OPTIONS, "z9hG4bKone"), 200);
    stage.expect(
        "0 -> INVITE
         0 up Response 180
         0 -> CANCEL
         0 -> ACK
         0 up Response 487
         0 up Stray 200",
    );
}

/// TXN-020: RFC 3261 §17.2.3.
#[test]
fn txn_020_requests_match_by_branch_sent_by_and_method() {
    let mut stage = Stage::new();
    let first = options();
    stage.arrive(&first, udp());
    for (from, to, is_new) in [
        ("192.0.2.2:5060", "192.0.2.2:5061", true),
        ("192.0.2.2:5060", "host.example.com:5060", true),
        ("192.0.2.2:5060", "HOST.Example.COM:5060", false),
        ("z9hG4bKone", "z9hG4bKtwo", true),
        ("z9hG4bKone", "Z9HG4BKONE", false),
        ("OPTIONS", "MESSAGE", true),
        ("Call-ID: 7", "Call-ID: 8", false),
    ] {
        let before = stage.layer.len_server();
        stage.arrive(&edited(&first, from, to), udp());
        let added = stage.layer.len_server() - before;
        assert_eq!(added == 1, is_new, "{from} to {to}");
    }
}

const LOOSE: &str = "INVITE sip:bob@192.0.2.1 SIP/2.0\r\n\
     Via: SIP/2.0/UDP 192.0.2.2:5060\r\n\
     From: <sip:alice@192.0.2.2>;tag=ours\r\n\
     To: <sip:bob@192.0.2.1>\r\n\
     Call-ID: 7@192.0.2.2\r\n\
     CSeq: 1 INVITE\r\n\r\n";

/// TXN-021: RFC 3261 §17.2.3, peers of RFC 2543.
#[test]
fn txn_021_without_the_cookie_requests_match_by_their_header_fields() {
    for branch in ["", ";branch=1", ";branch=z9hG4bK"] {
        let via = format!("192.0.2.2:5060{branch}");
        let first = parse(&LOOSE.replace("192.0.2.2:5060", &via));
        let mut stage = Stage::new();
        stage.arrive(&first, udp());
        stage.arrive(&first, udp());
        assert_eq!(stage.layer.len_server(), 1);
        for (from, to) in [
            ("sip:bob@192.0.2.1 SIP", "sip:eve@192.0.2.1 SIP"),
            ("tag=ours", "tag=other"),
            ("Call-ID: 7", "Call-ID: 8"),
            ("CSeq: 1", "CSeq: 2"),
            ("192.0.2.2:5060", "192.0.2.9:5060"),
        ] {
            let before = stage.layer.len_server();
            stage.arrive(&edited(&first, from, to), udp());
            assert_eq!(stage.layer.len_server(), before + 1, "{to}");
        }
    }
}

/// TXN-021: the ACK matches if its To tag is that of the response, and the CANCEL matches, too.
#[test]
fn txn_021_an_ack_without_the_cookie_matches_with_the_tag_of_the_response() {
    let first = parse(LOOSE);
    let mut stage = Stage::new();
    stage.arrive(&first, udp());
    let id = stage.served();
    stage.arrive(&edited(&first, "CSeq: 1 INVITE", "CSeq: 1 CANCEL"), udp());
    stage.expect("0 up Request INVITE");
    let cancel = edited(
        &edited(&first, "INVITE sip", "CANCEL sip"),
        "1 INVITE",
        "1 CANCEL",
    );
    stage.arrive(&cancel, udp());
    stage.respond(id, &response(&first, 486, "bob")).unwrap();
    stage.arrive(&ack(&first, "other"), udp());
    stage.arrive(&ack(&first, "bob"), udp());
    stage.arrive(&ack(&first, "bob"), udp());
    stage.until(5_000);
    stage.expect(
        "0 up Cancel matched
         0 -> 486 INVITE
         0 up Ack unmatched
         3500 -> 100 CANCEL
         5000 up ServerEnded",
    );
}

/// Trap 17: RFC 3261 §8.2.2.2.
#[test]
fn a_merged_request_is_told_from_a_new_one() {
    let mut stage = Stage::new();
    stage.arrive(&invite(), udp());
    let first = stage.served();
    assert!(!stage.layer.is_merged(first, &invite()));
    let fork = request(Method::INVITE, "z9hG4bKfork");
    stage.arrive(&fork, udp());
    let second = stage.served();
    assert_ne!(first, second);
    assert!(!stage.layer.is_merged(first, &invite()));
    assert!(stage.layer.is_merged(second, &fork));
    for (from, to) in [
        ("CSeq: 1", "CSeq: 2"),
        ("tag=ours", "tag=other"),
        ("Call-ID: 7", "Call-ID: 8"),
        (
            "To: <sip:bob@192.0.2.1>",
            "To: <sip:bob@192.0.2.1>;tag=dialog",
        ),
    ] {
        let other = edited(&request(Method::INVITE, "z9hG4bKnew"), from, to);
        let other = edited(&other, "z9hG4bKnew", &format!("z9hG4bK{}", to.len()));
        stage.arrive(&other, udp());
        let id = stage.served();
        assert!(!stage.layer.is_merged(id, &other), "{to}");
    }
    // When the first has gone, nothing is merged with it any more.
    stage
        .respond(first, &response(&invite(), 200, "bob"))
        .unwrap();
    stage.until(40_000);
    assert!(!stage.layer.is_merged(second, &fork));
}

/// TXN-022: RFC 3261 §8.1.1.7. Branches themselves are made above; here each one is another transaction.
#[test]
fn txn_022_every_branch_is_another_transaction_but_for_cancel_and_ack() {
    let mut rng = Rng::new([9; 32]);
    let mut seen = HashSet::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4));
    let mut layer_rng = Rng::new([10; 32]);
    let mut keys = crate::key::Keys::new(&mut layer_rng, Matching::default());
    let none = invite();
    for _ in 0..1_000_000 {
        let branch = format!("z9hG4bK{}", rng.token(16));
        assert!(seen.insert(keys.client(branch.as_bytes(), &Method::INVITE, none.headers())));
    }
    let mut stage = Stage::new();
    let id = stage.request(&invite(), udp());
    stage.answer(&invite(), 180);
    stage.cancel(id);
    stage.answer(&invite(), 487);
    let branches: Vec<_> = stage
        .sent
        .iter()
        .map(|(_, message)| match message {
            Message::Request(request) => request.via().unwrap().branch().unwrap().to_owned(),
            Message::Response(_) => String::new(),
        })
        .collect();
    assert_eq!(branches, ["z9hG4bKone"; 3]);
}

/// Kamailio's `callid_cseq_matching`: a branch alone is not enough where that is set.
#[test]
fn a_response_may_have_to_be_of_the_same_call() {
    for (strict, strays) in [(false, 0), (true, 2)] {
        let matching = Matching::default().call_id(strict);
        let mut stage = Stage::with(TransactionConfig::default().matching(matching));
        let id = stage.request(&invite(), udp());
        stage.answer(&edited(&invite(), "Call-ID: 7", "Call-ID: 8"), 180);
        stage.answer(&edited(&invite(), "CSeq: 1", "CSeq: 2"), 180);
        assert_eq!(stage.layer.stats().strays, strays);
        stage.answer(&invite(), 180);
        stage.cancel(id);
        stage.answer(&request(Method::CANCEL, "z9hG4bKone"), 200);
        stage.answer(&invite(), 487);
        assert_eq!(stage.layer.stats().strays, strays);
        stage.until_idle();
    }
}

/// Kamailio's `ruri_matching` and `via1_matching`, for peers of RFC 2543.
#[test]
fn without_the_cookie_less_may_have_to_agree() {
    let default = Matching::default();
    for (matching, (from, to)) in [
        (
            default.request_uri(false),
            ("sip:bob@192.0.2.1 SIP", "sip:eve@192.0.2.1 SIP"),
        ),
        (default.via(false), ("192.0.2.2:5060", "192.0.2.9:5060")),
    ] {
        for (matching, transactions) in [(default, 2), (matching, 1)] {
            let mut stage = Stage::with(TransactionConfig::default().matching(matching));
            stage.arrive(&parse(LOOSE), udp());
            stage.arrive(&edited(&parse(LOOSE), from, to), udp());
            assert_eq!(stage.layer.len_server(), transactions, "{to}");
        }
    }
}
