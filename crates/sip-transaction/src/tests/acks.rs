//! ACK: whose it is.

use super::*;

/// TXN-015: RFC 6026 §7.1. The ACK to a 2xx has a branch of its own, and only the dialog can match it.
#[test]
fn txn_015_an_ack_to_a_2xx_goes_up_whatever_its_branch() {
    let mut stage = Stage::new();
    stage.arrive(&invite(), udp());
    let id = stage.served();
    stage.respond(id, &response(&invite(), 200, "bob")).unwrap();
    stage.arrive(&request(Method::ACK, "z9hG4bKanother"), udp());
    stage.arrive(&ack(&invite(), "bob"), udp());
    stage.expect(
        "0 up Request INVITE
         0 -> 200 INVITE
         0 up Ack unmatched
         0 up Ack matched",
    );
}

/// Trap 18: a stray ACK is told; a user agent drops it, a proxy forwards it. Trap 3: nothing answers it.
#[test]
fn a_stray_ack_is_told_and_not_answered() {
    let mut stage = Stage::new();
    stage.arrive(&request(Method::ACK, "z9hG4bKunknown"), udp());
    stage.arrive(&invite(), udp());
    stage.arrive(&ack(&invite(), "bob"), udp());
    stage.expect(
        "0 up Ack unmatched
         0 up Request INVITE
         0 up Ack unmatched",
    );
    assert_eq!(stage.layer.len_server(), 1);
}

/// The ACK stops the repetition of a refusal, also when it was lost at first.
#[test]
fn a_lost_ack_is_asked_for_again_by_the_repeated_refusal() {
    let mut stage = Stage::new();
    stage.arrive(&invite(), udp());
    let id = stage.served();
    stage.respond(id, &response(&invite(), 603, "bob")).unwrap();
    stage.until(1_600);
    stage.arrive(&ack(&invite(), "bob"), udp());
    stage.until_idle();
    stage.expect(
        "0 up Request INVITE
         0 -> 603 INVITE
         500 -> 603 INVITE
         1500 -> 603 INVITE
         6600 up ServerEnded",
    );
}
