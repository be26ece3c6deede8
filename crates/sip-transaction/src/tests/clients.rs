//! Client transactions: RFC 3261 §17.1.

use super::*;
use crate::{Limits, RequestError, Timers};
use sip_message::HeaderName;

/// TXN-001: RFC 3261 §17.1.1.2, Timers A and B.
#[test]
fn txn_001_an_invite_is_repeated_at_doubling_intervals_until_timer_b() {
    let mut stage = Stage::new();
    stage.request(&invite(), udp());
    stage.until_idle();
    stage.expect(
        "0 -> INVITE
         500 -> INVITE
         1500 -> INVITE
         3500 -> INVITE
         7500 -> INVITE
         15500 -> INVITE
         31500 -> INVITE
         32000 up TimedOut
         32000 up Ended",
    );
}

/// TXN-001: a provisional response ends the repetition, and Timer B with it.
#[test]
fn txn_001_a_provisional_response_ends_repetition_and_timer_b() {
    let mut stage = Stage::new();
    stage.request(&invite(), udp());
    stage.until(700);
    stage.answer(&invite(), 100);
    stage.until(600_000);
    stage.expect(
        "0 -> INVITE
         500 -> INVITE
         700 up Response 100",
    );
    assert_eq!(stage.layer.poll_timeout(), None);
}

/// TXN-002: on a stream there is no Timer A, but there is Timer B.
#[test]
fn txn_002_on_a_stream_an_invite_is_sent_once_and_times_out() {
    let mut stage = Stage::new();
    stage.request(&invite(), tcp());
    stage.until_idle();
    stage.expect(
        "0 -> INVITE
         32000 up TimedOut
         32000 up Ended",
    );
}

/// TXN-003: a timeout and a failure are told apart, so that they can count as 408 and 503 (RFC 3261 §8.1.3.1).
#[test]
fn txn_003_a_timeout_and_a_transport_error_are_told_apart() {
    for request in [invite(), options()] {
        let mut stage = Stage::new();
        stage.request(&request, udp());
        stage.layer.flow_failed(stage.now, &udp());
        stage.drain();
        assert_eq!(stage.ladder[1..], ["0 up Failed", "0 up Ended"]);
        let mut stage = Stage::new();
        stage.request(&request, udp());
        stage.until_idle();
        let end = &stage.ladder[stage.ladder.len() - 2..];
        assert_eq!(end, ["32000 up TimedOut", "32000 up Ended"]);
    }
}

/// TXN-004: RFC 3261 §17.1.1.3. Trap 2.
#[test]
fn txn_004_the_ack_to_a_refusal_copies_the_invite_and_the_to_of_the_response() {
    let sent = edited(
        &invite(),
        "Max-Forwards: 70\r\n",
        "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKbelow\r\nRoute: <sip:p1.example.com;lr>,\r\n  \
         <sip:p2.example.com;lr>\r\nMax-Forwards: 12\r\nProxy-Require: foo\r\nRequire: bar\r\n",
    );
    let mut stage = Stage::new();
    stage.request(&sent, udp());
    stage.answer_as(&sent, 486, "busy");
    stage.expect(
        "0 -> INVITE
         0 -> ACK
         0 up Response 486",
    );
    let (flow, ack) = stage.sent.last().unwrap();
    assert_eq!(*flow, udp());
    let ack = ack.to_bytes();
    let ack = std::str::from_utf8(&ack).unwrap();
    assert_eq!(
        ack,
        "ACK sip:bob@192.0.2.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKone\r\n\
         Route: <sip:p1.example.com;lr>,\r\n  <sip:p2.example.com;lr>\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:alice@192.0.2.2>;tag=ours\r\n\
         To: <sip:bob@192.0.2.1>;tag=busy\r\n\
         Call-ID: 7@192.0.2.2\r\n\
         CSeq: 1 ACK\r\n\
         Content-Length: 0\r\n\r\n"
    );
}

/// TXN-005: RFC 3261 §17.1.1.2, Completed and Timer D.
#[test]
fn txn_005_each_repeated_refusal_is_acknowledged_until_timer_d_and_told_once() {
    let mut stage = Stage::new();
    stage.request(&invite(), udp());
    for _ in 0..3 {
        stage.answer(&invite(), 486);
    }
    stage.until(31_900);
    stage.answer(&invite(), 486);
    stage.until(32_100);
    stage.answer(&invite(), 486);
    stage.expect(
        "0 -> INVITE
         0 -> ACK
         0 up Response 486
         0 -> ACK
         0 -> ACK
         31900 -> ACK
         32000 up Ended
         32100 up Stray 486",
    );
}

/// TXN-005: on a stream Timer D is zero.
#[test]
fn txn_005_on_a_stream_a_refused_invite_ends_at_once() {
    let mut stage = Stage::new();
    stage.request(&invite(), tcp());
    stage.answer(&invite(), 404);
    stage.expect(
        "0 -> INVITE
         0 -> ACK
         0 up Response 404
         0 up Ended",
    );
    assert_eq!(stage.layer.poll_timeout(), None);
}

/// TXN-006: RFC 6026 §7.2, Accepted and Timer M.
#[test]
fn txn_006_every_2xx_is_told_until_timer_m() {
    let mut stage = Stage::new();
    stage.request(&invite(), udp());
    stage.until(100);
    stage.answer(&invite(), 180);
    stage.answer_as(&invite(), 200, "first");
    stage.until(600);
    stage.answer_as(&invite(), 200, "first");
    stage.answer_as(&invite(), 200, "second");
    stage.answer_as(&invite(), 486, "third");
    stage.until(33_000);
    stage.answer_as(&invite(), 200, "first");
    stage.expect(
        "0 -> INVITE
         100 up Response 180
         100 up Response 200
         600 up Response 200
         600 up Response 200
         32100 up Ended
         33000 up Stray 200",
    );
}

/// TXN-007: RFC 3261 §13.2.2.4. Trap 2: the ACK to a 2xx is the user's, and no transaction.
#[test]
fn txn_007_the_ack_to_a_2xx_is_not_the_layers() {
    let mut stage = Stage::new();
    stage.request(&invite(), udp());
    stage.answer(&invite(), 200);
    let ack = request(Method::ACK, "z9hG4bKanother");
    let refused = stage.layer.request(stage.now, &ack, udp(), None);
    assert_eq!(refused, Err(RequestError::Ack));
    stage.until_idle();
    stage.expect(
        "0 -> INVITE
         0 up Response 200
         32000 up Ended",
    );
}

/// TXN-008: RFC 3261 §17.1.2.2, Timers E and F.
#[test]
fn txn_008_other_requests_are_repeated_at_intervals_up_to_t2_until_timer_f() {
    let mut stage = Stage::new();
    stage.request(&options(), udp());
    stage.until_idle();
    stage.expect(
        "0 -> OPTIONS
         500 -> OPTIONS
         1500 -> OPTIONS
         3500 -> OPTIONS
         7500 -> OPTIONS
         11500 -> OPTIONS
         15500 -> OPTIONS
         19500 -> OPTIONS
         23500 -> OPTIONS
         27500 -> OPTIONS
         31500 -> OPTIONS
         32000 up TimedOut
         32000 up Ended",
    );
}

/// TXN-008: after a provisional response they are repeated at T2.
#[test]
fn txn_008_after_a_provisional_response_the_interval_is_t2() {
    let mut stage = Stage::new();
    stage.request(&options(), udp());
    stage.until(400);
    stage.answer(&options(), 100);
    stage.until(9_000);
    stage.answer(&options(), 200);
    stage.until_idle();
    stage.expect(
        "0 -> OPTIONS
         400 up Response 100
         500 -> OPTIONS
         4500 -> OPTIONS
         8500 -> OPTIONS
         9000 up Response 200
         14000 up Ended",
    );
}

/// TXN-009: RFC 3261 §17.1.2.2, Timer K.
#[test]
fn txn_009_a_repeated_final_response_is_absorbed_until_timer_k() {
    let mut stage = Stage::new();
    stage.request(&options(), udp());
    stage.answer(&options(), 200);
    stage.until(4_900);
    stage.answer(&options(), 200);
    stage.until(5_100);
    stage.answer(&options(), 200);
    stage.expect(
        "0 -> OPTIONS
         0 up Response 200
         5000 up Ended
         5100 up Stray 200",
    );
    let mut stage = Stage::new();
    stage.request(&options(), tcp());
    stage.answer(&options(), 200);
    stage.expect(
        "0 -> OPTIONS
         0 up Response 200
         0 up Ended",
    );
}

/// TXN-033: RFC 3261 §17.1.4. TRA-016, TRA-017: §18.4.
#[test]
fn txn_033_tra_016_tra_017_a_transport_error_ends_what_had_no_response_at_once() {
    let mut stage = Stage::new();
    let other = request(Method::MESSAGE, "z9hG4bKtwo");
    let elsewhere = Flow::udp(at(5060), SocketAddr::from(([192, 0, 2, 3], 5060)));
    stage.request(&invite(), tcp());
    stage.request(&options(), tcp());
    stage.request(&other, elsewhere);
    stage.layer.flow_failed(stage.now, &tcp());
    stage.drain();
    stage.expect(
        "0 -> INVITE
         0 -> OPTIONS
         0 -> MESSAGE
         0 up Failed
         0 up Ended
         0 up Failed
         0 up Ended",
    );
    assert_eq!(stage.layer.len_client(), 1);
}

/// RFC 3261 §18.2.2: the peer has the request, and its response finds another way.
#[test]
fn what_had_a_provisional_response_survives_its_connection() {
    let mut stage = Stage::new();
    let refer = request(Method::REFER, "z9hG4bKtwo");
    stage.request(&invite(), tcp());
    stage.request(&refer, tcp());
    stage.answer(&invite(), 180);
    stage.answer(&refer, 100);
    stage.layer.flow_failed(stage.now, &tcp());
    stage.answer(&invite(), 200);
    stage.answer(&refer, 202);
    stage.expect(
        "0 -> INVITE
         0 -> REFER
         0 up Response 180
         0 up Response 100
         0 up Response 200
         0 up Response 202
         0 up Ended",
    );
}

#[test]
fn a_message_that_the_transport_refuses_fails_its_own_transaction_only() {
    let mut stage = Stage::new();
    let failed = stage.request(&invite(), udp());
    stage.request(&options(), udp());
    stage.layer.send_failed(stage.now, Owner::Client(failed));
    stage.drain();
    assert_eq!(stage.ladder[2..], ["0 up Failed", "0 up Ended"]);
    assert_eq!(stage.layer.client_flow(failed), None);
    assert_eq!(stage.layer.len_client(), 1);
}

/// TXN-034: RFC 4320 §4.2. Trap 16.
#[test]
fn txn_034_a_response_after_timer_f_is_dropped() {
    let mut stage = Stage::new();
    stage.request(&options(), tcp());
    stage.until(33_000);
    stage.answer(&options(), 200);
    stage.expect(
        "0 -> OPTIONS
         32000 up TimedOut
         32000 up Ended
         33000 up Stray 200",
    );
}

/// TXN-031: the timers of one transaction can differ.
#[test]
fn txn_031_a_transaction_may_bring_its_own_timers() {
    let mut stage = Stage::new();
    let slow = Timers::default().t1(Duration::from_secs(1));
    let hasty = Timers::default().give_up_after(Duration::from_secs(2));
    let other = request(Method::INVITE, "z9hG4bKtwo");
    stage
        .layer
        .request(stage.now, &invite(), tcp(), Some(slow))
        .unwrap();
    stage
        .layer
        .request(stage.now, &other, tcp(), Some(hasty))
        .unwrap();
    stage.drain();
    stage.until_idle();
    stage.expect(
        "0 -> INVITE
         0 -> INVITE
         2000 up TimedOut
         2000 up Ended
         64000 up TimedOut
         64000 up Ended",
    );
}

/// TRA-009, TXN-017: RFC 6026 §8.9. Trap 18: a stray is told and counted, and nothing is sent.
#[test]
fn tra_009_txn_017_a_stray_response_is_counted_and_nothing_is_sent() {
    let mut stage = Stage::new();
    stage.answer(&request(Method::INVITE, "z9hG4bKunknown"), 200);
    stage.expect("0 up Stray 200");
    assert_eq!(stage.layer.stats().strays, 1);
}

/// UA-010: RFC 3261 §8.1.3.3: a response to a request of ours that somebody else's Via stands in has gone astray, and the
/// transaction waits on. A proxy's has one Via for each hop.
#[test]
fn a_response_with_another_via_is_dropped_unless_the_request_was_forwarded() {
    let mut stage = Stage::new();
    let another = "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKother\r\nFrom:";
    for (separator, status) in [("\r\nVia: ", 180), (", ", 200), ("\r\nVia: ", 486)] {
        let mut stage = Stage::new();
        stage.request(&invite(), udp());
        let via = invite()
            .headers()
            .raw(&HeaderName::VIA)
            .unwrap()
            .text()
            .into_owned();
        let astray = format!("{via}{separator}SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKother");
        let astray = edited(&invite(), &via, &astray);
        stage.answer(&astray, status);
        stage.expect("0 -> INVITE");
        assert_eq!(stage.layer.stats().strays, 1);
        stage.answer(&invite(), 200);
        stage.expect("0 up Response 200");
    }
    let forwarded = edited(&invite(), "From:", another);
    stage.request(&forwarded, udp());
    stage.answer(&forwarded, 180);
    stage.expect("0 -> INVITE\n0 up Response 180");
}

#[test]
fn a_request_without_branch_or_with_one_in_use_is_refused() {
    let mut stage = Stage::new();
    let bare = edited(&options(), ";branch=z9hG4bKone", "");
    let refused = stage.layer.request(stage.now, &bare, udp(), None);
    assert_eq!(refused, Err(RequestError::NoBranch));
    stage.request(&options(), udp());
    let refused = stage.layer.request(stage.now, &options(), udp(), None);
    assert_eq!(refused, Err(RequestError::BranchInUse));
}

#[test]
fn a_full_table_refuses_requests_but_keeps_a_reserve() {
    let limits = Limits::default().transactions(2).reserve(1);
    let mut stage = Stage::with(TransactionConfig::default().limits(limits));
    let bye = edited(
        &request(Method::BYE, "z9hG4bKtwo"),
        "To: <sip:bob@192.0.2.1>",
        "To: <sip:bob@192.0.2.1>;tag=theirs",
    );
    stage.request(&invite(), udp());
    let full = Err(RequestError::Full { limit: 2 });
    let another = request(Method::OPTIONS, "z9hG4bKtwo");
    assert_eq!(stage.layer.request(stage.now, &another, udp(), None), full);
    stage.request(&bye, udp());
    let another = edited(&bye, "z9hG4bKtwo", "z9hG4bKthree");
    assert_eq!(stage.layer.request(stage.now, &another, udp(), None), full);
}
