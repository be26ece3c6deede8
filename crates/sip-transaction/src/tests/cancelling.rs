//! CANCEL: RFC 3261 §9. Trap 6.

use super::*;
use crate::{CancelError, Cancelled};
use sip_message::{HeaderName, HeaderValue};

/// TXN-024: RFC 3261 §9.1.
#[test]
fn txn_024_a_cancel_copies_the_invite_without_its_require() {
    let sent = edited(
        &invite(),
        "Max-Forwards: 70\r\n",
        "Route: <sip:p1.example.com;lr>\r\nMax-Forwards: 12\r\nRequire: a\r\nProxy-Require: b\r\n",
    );
    let mut stage = Stage::new();
    let id = stage.request(&sent, udp());
    stage.answer(&sent, 180);
    let reason = HeaderValue::new("SIP;cause=200").unwrap();
    let cancelled = stage.layer.cancel(stage.now, id, Some(reason));
    assert_eq!(cancelled, Ok(Cancelled::Sent));
    stage.drain();
    let (flow, Message::Request(cancel)) = stage.sent.last().unwrap() else {
        panic!("not a request");
    };
    assert_eq!(*flow, udp());
    assert_eq!(cancel.method(), &Method::CANCEL);
    assert_eq!(cancel.uri(), sent.uri());
    assert_eq!(cancel.via().unwrap(), sent.via().unwrap());
    for name in [
        HeaderName::ROUTE,
        HeaderName::FROM,
        HeaderName::TO,
        HeaderName::CALL_ID,
    ] {
        assert_eq!(cancel.headers().raw(&name), sent.headers().raw(&name));
    }
    assert_eq!(cancel.cseq().unwrap().number(), 1);
    assert!(!cancel.headers().contains_name(&HeaderName::REQUIRE));
    assert!(!cancel.headers().contains_name(&HeaderName::PROXY_REQUIRE));
    let reason = cancel.headers().raw(&HeaderName::REASON).unwrap();
    assert_eq!(reason.text(), "SIP;cause=200");
}

/// TXN-025: RFC 3261 §9.1.
#[test]
fn txn_025_a_cancel_before_any_response_goes_out_with_the_first_provisional_one() {
    let mut stage = Stage::new();
    let id = stage.request(&invite(), udp());
    assert_eq!(stage.cancel(id), Cancelled::Wished);
    assert_eq!(stage.cancel(id), Cancelled::Already);
    stage.until(600);
    stage.answer(&invite(), 100);
    stage.expect(
        "0 -> INVITE
         500 -> INVITE
         600 -> CANCEL
         600 up Response 100",
    );
    stage.answer(&invite(), 180);
    assert_eq!(stage.cancel(id), Cancelled::Already);
    stage.answer(&request(Method::CANCEL, "z9hG4bKone"), 200);
    stage.until(1_000);
    stage.answer(&invite(), 487);
    stage.until_idle();
    stage.expect(
        "600 up Response 180
         1000 -> ACK
         1000 up Response 487
         33000 up Ended",
    );
}

/// TXN-025: a final response overtakes the wish.
#[test]
fn txn_025_no_cancel_is_sent_after_a_final_response() {
    for code in [200, 486] {
        let mut stage = Stage::new();
        let id = stage.request(&invite(), udp());
        stage.cancel(id);
        stage.answer(&invite(), code);
        stage.answer(&invite(), 180);
        let late = stage.layer.cancel(stage.now, id, None);
        assert_eq!(late, Err(CancelError::AlreadyFinal));
        stage.until_idle();
        assert!(!stage.ladder.iter().any(|line| line.contains("CANCEL")));
        let gone = stage.layer.cancel(stage.now, id, None);
        assert_eq!(gone, Err(CancelError::Gone));
    }
}

/// TXN-026: RFC 3261 §9.1.
#[test]
fn txn_026_only_an_invite_can_be_cancelled() {
    let mut stage = Stage::new();
    let id = stage.request(&options(), udp());
    let refused = stage.layer.cancel(stage.now, id, None);
    assert_eq!(refused, Err(CancelError::NotInvite));
}

/// TXN-027: RFC 3261 §9.1.
#[test]
fn txn_027_without_a_final_response_the_invite_ends_64_t1_after_the_cancel() {
    let mut stage = Stage::new();
    let id = stage.request(&invite(), tcp());
    stage.answer(&invite(), 180);
    stage.until(10_000);
    stage.cancel(id);
    stage.answer(&request(Method::CANCEL, "z9hG4bKone"), 200);
    stage.until_idle();
    stage.expect(
        "0 -> INVITE
         0 up Response 180
         10000 -> CANCEL
         42000 up TimedOut
         42000 up Ended",
    );
}

/// The 2xx won: it goes up, for the user to ACK and BYE.
#[test]
fn a_2xx_that_crosses_the_cancel_goes_up() {
    let mut stage = Stage::new();
    let id = stage.request(&invite(), udp());
    stage.answer(&invite(), 180);
    stage.cancel(id);
    stage.answer(&invite(), 200);
    stage.answer(&request(Method::CANCEL, "z9hG4bKone"), 200);
    stage.until_idle();
    stage.expect(
        "0 -> INVITE
         0 up Response 180
         0 -> CANCEL
         0 up Response 200
         32000 up Ended",
    );
}

/// The CANCEL is a transaction of its own: repeated when lost, and nothing of it goes up.
#[test]
fn a_lost_cancel_is_repeated_and_its_failure_is_silent() {
    let mut stage = Stage::new();
    let id = stage.request(&invite(), udp());
    stage.answer(&invite(), 180);
    stage.cancel(id);
    stage.until(1_600);
    stage.layer.flow_failed(stage.now, &udp());
    stage.drain();
    stage.until(2_000);
    stage.answer(&invite(), 487);
    stage.expect(
        "0 -> INVITE
         0 up Response 180
         0 -> CANCEL
         500 -> CANCEL
         1500 -> CANCEL
         2000 -> ACK
         2000 up Response 487",
    );
}

/// A wish that is never fulfilled ends with Timer B.
#[test]
fn a_wish_without_any_response_times_out_with_the_invite() {
    let mut stage = Stage::new();
    let id = stage.request(&invite(), tcp());
    stage.cancel(id);
    stage.until_idle();
    stage.expect(
        "0 -> INVITE
         32000 up TimedOut
         32000 up Ended",
    );
}

/// TXN-028: RFC 3261 §9.2.
#[test]
fn txn_028_a_cancel_for_nothing_is_told_as_such() {
    let mut stage = Stage::new();
    let cancel = request(Method::CANCEL, "z9hG4bKunknown");
    stage.arrive(&cancel, udp());
    let id = stage.served();
    stage.respond(id, &response(&cancel, 481, "bob")).unwrap();
    stage.expect(
        "0 up Cancel unmatched
         0 -> 481 CANCEL",
    );
}

/// TXN-029: RFC 3261 §9.2.
#[test]
fn txn_029_a_cancel_names_its_invite_and_both_are_answered() {
    let mut stage = Stage::new();
    stage.arrive(&invite(), udp());
    let invited = stage.served();
    let cancel = request(Method::CANCEL, "z9hG4bKone");
    stage.arrive(&cancel, udp());
    let Some(Event::Cancel {
        id,
        invite: Some(found),
        ..
    }) = stage.told.last().cloned()
    else {
        panic!("no match");
    };
    assert_eq!(found, invited);
    stage.respond(id, &response(&cancel, 200, "bob")).unwrap();
    stage
        .respond(found, &response(&invite(), 487, "bob"))
        .unwrap();
    // A repeated CANCEL is the CANCEL transaction's own affair.
    stage.arrive(&cancel, udp());
    stage.expect(
        "0 up Request INVITE
         0 up Cancel matched
         0 -> 200 CANCEL
         0 -> 487 INVITE
         0 -> 200 CANCEL",
    );
    let tag = |(_, message): &(Flow, Message)| match message {
        Message::Response(response) => response.to().unwrap().tag(),
        Message::Request(_) => None,
    };
    let tags: Vec<_> = stage.sent.iter().map(tag).collect();
    assert!(
        tags.windows(2)
            .all(|pair| pair[0] == pair[1] && pair[0].is_some())
    );
}

/// TXN-030: RFC 3261 §9.2.
#[test]
fn txn_030_a_cancel_after_the_final_response_is_matched_and_changes_nothing() {
    let mut stage = Stage::new();
    stage.arrive(&invite(), udp());
    let invited = stage.served();
    stage
        .respond(invited, &response(&invite(), 200, "bob"))
        .unwrap();
    stage.arrive(&request(Method::CANCEL, "z9hG4bKone"), udp());
    assert_eq!(stage.layer.server_status(invited), Some(StatusCode::OK));
    stage.expect(
        "0 up Request INVITE
         0 -> 200 INVITE
         0 up Cancel matched",
    );
    let refused = stage.respond(invited, &response(&invite(), 487, "bob"));
    assert!(refused.is_err());
}

/// Every order of a wish to cancel, provisional and final responses and the answer to the CANCEL, with any of them
/// lost: CANCEL goes out once at most, never before a provisional response and never after a final one; every 2xx goes
/// up; a refusal goes up once and each copy is acknowledged; the transaction ends once, and nothing is left.
#[test]
fn cancel_glare_in_every_order() {
    for steps in orders(["cancel", "180", "200", "487", "200 CANCEL"]) {
        for flow in [udp(), tcp()] {
            let mut stage = Stage::new();
            let id = stage.request(&invite(), flow);
            let (mut provisional, mut won, mut refused) = (false, false, false);
            let (mut wished, mut cancelled) = (false, false);
            for step in &steps {
                match *step {
                    "cancel" => {
                        wished = stage.layer.cancel(stage.now, id, None).is_ok();
                        stage.drain();
                    }
                    "180" => {
                        stage.answer(&invite(), 180);
                        provisional |= !won && !refused;
                    }
                    "200" => {
                        stage.answer(&invite(), 200);
                        won |= !refused;
                    }
                    "487" => {
                        stage.answer(&invite(), 487);
                        refused |= !won;
                    }
                    _ => stage.answer(&request(Method::CANCEL, "z9hG4bKone"), 200),
                }
                cancelled |= wished && provisional && !won && !refused;
                let sent = |line| stage.ladder.iter().filter(|sent| *sent == line).count();
                assert_eq!(sent("0 -> CANCEL"), usize::from(cancelled), "{steps:?}");
                assert_eq!(sent("0 -> ACK"), usize::from(refused), "{steps:?}");
                assert_eq!(sent("0 up Response 200"), usize::from(won), "{steps:?}");
                assert_eq!(sent("0 up Response 487"), usize::from(refused), "{steps:?}");
            }
            let is_pending = provisional && !cancelled && !won && !refused;
            if is_pending {
                // How long to wait for a final response is the user's decision.
                stage.cancel(id);
            }
            stage.until_idle();
            let ended = stage
                .told
                .iter()
                .filter(|event| matches!(event, Event::Ended { .. }));
            assert_eq!(ended.count(), 1, "{steps:?}");
            let timed_out = stage
                .told
                .iter()
                .any(|event| matches!(event, Event::TimedOut { .. }));
            assert_eq!(timed_out, !won && !refused, "{steps:?}");
        }
    }
}

/// The other side: every order of a repeated INVITE, a CANCEL and what the user says to them, with any of them missing.
/// A CANCEL is told once, by its INVITE, and has its own answer, whatever was said before; the first final response is
/// the only one; the INVITE's repetition brings what was said last, and nothing after a 2xx, which is its user's to
/// repeat; the transaction ends once, and nothing is left.
#[test]
fn cancel_glare_in_every_order_at_the_server() {
    for steps in orders(["INVITE", "CANCEL", "180", "200", "487"]) {
        for flow in [udp(), tcp()] {
            let mut stage = Stage::new();
            stage.arrive(&invite(), flow);
            let invited = stage.served();
            let (mut said, mut answers, mut cancelled) = (None, 0, false);
            for step in &steps {
                let before = stage.sent.len();
                match *step {
                    "INVITE" => {
                        stage.arrive(&invite(), flow);
                        let repeated = match said {
                            None | Some(200) => 0,
                            Some(_) => 1,
                        };
                        assert_eq!(stage.sent.len() - before, repeated, "{steps:?}");
                    }
                    "CANCEL" => {
                        stage.arrive(&request(Method::CANCEL, "z9hG4bKone"), flow);
                        cancelled = true;
                        let Some(Event::Cancel { id, invite, .. }) = stage.told.last().cloned()
                        else {
                            panic!("it was not told\n{steps:?}")
                        };
                        assert_eq!(invite, Some(invited), "{steps:?}");
                        let ok = response(&request(Method::CANCEL, "z9hG4bKone"), 200, "bob");
                        stage.respond(id, &ok).unwrap();
                    }
                    code => {
                        let code = code.parse().unwrap();
                        let done = stage.respond(invited, &response(&invite(), code, "bob"));
                        let is_over = matches!(said, Some(200 | 487));
                        assert_eq!(done.is_ok(), !is_over, "{steps:?}");
                        if !is_over {
                            said = Some(code);
                            answers += usize::from(code >= 200);
                        }
                    }
                }
            }
            if answers == 0 {
                let refusal = response(&invite(), 487, "bob");
                stage.respond(invited, &refusal).unwrap();
                said = Some(487);
            }
            if said == Some(487) {
                stage.arrive(&ack(&invite(), "bob"), flow);
            }
            stage.until_idle();
            let told = |what: fn(&Event) -> bool| stage.told.iter().filter(|e| what(e)).count();
            let ended = told(|event| matches!(event, Event::ServerEnded { .. }));
            assert_eq!(ended, 1 + usize::from(cancelled), "{steps:?}");
            let requests = told(|event| matches!(event, Event::Request { .. }));
            assert_eq!(requests, 1, "{steps:?}");
            let unacknowledged = told(|event| matches!(event, Event::Unacknowledged { .. }));
            assert_eq!(unacknowledged, 0, "{steps:?}");
        }
    }
}

/// Every order of some of the steps, of none too.
fn orders(steps: [&'static str; 5]) -> Vec<Vec<&'static str>> {
    let mut orders = vec![vec![]];
    let mut next = 0;
    while next < orders.len() {
        let order: Vec<&str> = orders[next].clone();
        let longer = steps.iter().filter(|step| !order.contains(step));
        orders.extend(longer.map(|step| [&order[..], &[*step]].concat()));
        next += 1;
    }
    assert_eq!(orders.len(), 326);
    orders
}

/// Kamailio's `cancel_b_method` 2.
#[test]
fn a_cancel_may_go_out_before_any_response_and_again_with_the_first() {
    let mut stage = Stage::new();
    let id = stage.request(&invite(), udp());
    let cancelled = stage.layer.cancel_at_once(stage.now, id, None);
    assert_eq!(cancelled, Ok(Cancelled::Sent));
    stage.drain();
    let again = stage.layer.cancel_at_once(stage.now, id, None);
    assert_eq!(again, Ok(Cancelled::Already));
    stage.until(400);
    stage.answer(&request(Method::CANCEL, "z9hG4bKone"), 481);
    stage.expect(
        "0 -> INVITE
         0 -> CANCEL",
    );
    stage.until(6_000);
    stage.answer(&invite(), 180);
    stage.answer(&invite(), 487);
    stage.expect(
        "6000 -> CANCEL
         6000 up Response 180
         6000 -> ACK
         6000 up Response 487",
    );
    stage.answer(&request(Method::CANCEL, "z9hG4bKone"), 200);
    stage.until_idle();
    assert!(stage.layer.is_empty_inside());
}

/// An INVITE that nobody has heard of ends by its Timer B, whatever became of the CANCEL.
#[test]
fn what_was_cancelled_at_once_and_is_never_answered_times_out() {
    let mut stage = Stage::new();
    let id = stage.request(&invite(), tcp());
    let cancelled = stage.layer.cancel_at_once(stage.now, id, None);
    assert_eq!(cancelled, Ok(Cancelled::Sent));
    stage.drain();
    stage.until(32_000);
    stage.expect(
        "0 -> INVITE
         0 -> CANCEL
         32000 up TimedOut
         32000 up Ended",
    );
    stage.until_idle();
}

/// Kamailio's `ac_extra_hdrs`.
#[test]
fn chosen_header_fields_go_along_with_cancel_and_ack() {
    let sent = edited(
        &invite(),
        "Max-Forwards: 70\r\n",
        "X-Tenant: 1\r\nMax-Forwards: 12\r\nx-trace: 2\r\nCall-Info: <sip:a>\r\nContent-Disposition: session\r\n",
    );
    let config = TransactionConfig::default().carry("X-").carry("C");
    let mut stage = Stage::with(config);
    let id = stage.request(&sent, udp());
    stage.answer(&sent, 180);
    stage.cancel(id);
    stage.answer(&sent, 487);
    for (place, method) in [(1, Method::CANCEL), (2, Method::ACK)] {
        let Message::Request(companion) = &stage.sent[place].1 else {
            panic!("not a request");
        };
        assert_eq!(*companion.method(), method);
        let text = String::from_utf8(companion.to_bytes().to_vec()).unwrap();
        for (line, times) in [
            ("X-Tenant: 1", 1),
            ("x-trace: 2", 1),
            ("Call-Info", 1),
            ("Call-ID", 1),
            ("CSeq", 1),
            ("Max-Forwards", 1),
            ("Content-Disposition", 0),
            ("Content-Length", 1),
        ] {
            assert_eq!(text.matches(line).count(), times, "{line} in {text}");
        }
    }
}
