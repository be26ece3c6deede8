//! What may be set for one transaction alone, and what a connection means that is gone for good.

use super::*;
use crate::Timers;

/// Where nobody can connect to us, no response comes any more: everything without a final one fails at once.
#[test]
fn a_connection_that_nothing_can_replace_takes_its_transactions_along() {
    let mut stage = Stage::new();
    let refer = request(Method::REFER, "z9hG4bKtwo");
    let done = request(Method::MESSAGE, "z9hG4bKthree");
    stage.request(&invite(), tcp());
    stage.request(&refer, tcp());
    stage.request(&done, tcp());
    stage.request(&options(), udp());
    stage.answer(&invite(), 180);
    stage.answer(&refer, 100);
    stage.answer(&done, 200);
    stage.ladder.clear();
    stage.layer.flow_cut(stage.now, &tcp());
    stage.drain();
    stage.expect(
        "0 up Failed
         0 up Ended
         0 up Failed
         0 up Ended",
    );
    assert_eq!(stage.layer.len_client(), 1, "what went another way stays");
    stage.until_idle();
    assert!(stage.layer.is_empty_inside());
}

/// Kamailio's `t_set_fr`: how long a transaction waits may be set while it waits.
#[test]
fn how_long_is_waited_may_be_changed_on_the_way() {
    let mut stage = Stage::new();
    let asked = request(Method::MESSAGE, "z9hG4bKtwo");
    let invited = stage.request(&invite(), tcp());
    let other = stage.request(&asked, tcp());
    stage.until(1_000);
    assert!(
        stage
            .layer
            .set_timeout(stage.now, invited, Duration::from_secs(2))
    );
    assert!(
        stage
            .layer
            .set_timeout(stage.now, other, Duration::from_secs(60))
    );
    stage.until(61_000);
    stage.expect(
        "0 -> INVITE
         0 -> MESSAGE
         3000 up TimedOut
         3000 up Ended
         61000 up TimedOut
         61000 up Ended",
    );
    assert!(
        !stage
            .layer
            .set_timeout(stage.now, other, Duration::from_secs(1))
    );
    let invited = stage.request(&request(Method::INVITE, "z9hG4bKfour"), tcp());
    stage.answer(&request(Method::INVITE, "z9hG4bKfour"), 180);
    assert!(
        !stage
            .layer
            .set_timeout(stage.now, invited, Duration::from_secs(1))
    );
}

/// One peer on a slow link has its own timers, the others those of all.
#[test]
fn a_server_transaction_may_have_timers_of_its_own() {
    let mut stage = Stage::new();
    let other = request(Method::MESSAGE, "z9hG4bKtwo");
    stage.arrive(&options(), udp());
    let slow = stage.served();
    stage.arrive(&other, udp());
    let usual = stage.served();
    let timers = Timers::default().remember_for(Duration::from_secs(2));
    stage.layer.set_server_timers(stage.now, slow, timers);
    stage
        .respond(slow, &response(&options(), 200, "bob"))
        .unwrap();
    stage.respond(usual, &response(&other, 200, "bob")).unwrap();
    stage.until(2_000);
    assert_eq!(stage.layer.len_server(), 1);
    assert!(stage.layer.is_serving(usual) && !stage.layer.is_serving(slow));
    stage.until(32_000);
    assert_eq!(stage.layer.len_server(), 0);
    assert!(stage.layer.is_empty_inside());
}

/// Kamailio's `t_set_auto_inv_100`: whether and when an INVITE is answered with 100 by itself may be set for one alone.
#[test]
fn an_invite_may_have_a_100_of_its_own_time_or_none() {
    let mut stage = Stage::new();
    let (late, never) = (invite(), request(Method::INVITE, "z9hG4bKtwo"));
    stage.arrive(&late, udp());
    let id = stage.served();
    let after = Some(Duration::from_secs(2));
    stage.layer.set_trying_after(stage.now, id, &late, after);
    stage.arrive(&never, udp());
    let silent = stage.served();
    stage
        .layer
        .set_trying_after(stage.now, silent, &never, None);
    stage.ladder.clear();
    stage.until(10_000);
    stage.expect("2000 -> 100 INVITE");
    // Once it is answered there is nothing to set.
    stage.layer.set_trying_after(stage.now, id, &late, after);
    stage.until(20_000);
    stage.expect("");
    for (id, request) in [(id, &late), (silent, &never)] {
        stage.respond(id, &response(request, 486, "bob")).unwrap();
    }
    stage.until_idle();
    assert!(stage.layer.is_empty_inside());
}

#[test]
fn a_100_says_what_it_is_told_to() {
    let start = Stage::new().now;
    let config = TransactionConfig::default().trying_reason("One\r\nmoment");
    let mut layer = TransactionLayer::new(config, Rng::new([7; 32]), start);
    layer.receive_request(start, udp(), invite());
    layer.handle_timeout(start + Duration::from_millis(200));
    let sent = layer.poll_transmit().unwrap().contents;
    assert!(sent.starts_with(b"SIP/2.0 100 One  moment\r\n"), "{sent:?}");
}

/// A request that is to get no answer takes no place, and its copy is a new one.
#[test]
fn a_server_transaction_is_forgotten_without_an_answer() {
    let mut stage = Stage::new();
    stage.arrive(&options(), udp());
    let id = stage.served();
    stage.layer.forget(id);
    stage.layer.forget(id);
    stage.drain();
    stage.arrive(&options(), udp());
    stage.expect(
        "0 up Request OPTIONS
         0 up ServerEnded
         0 up Request OPTIONS",
    );
    stage.layer.forget(stage.served());
    assert!(stage.layer.is_empty_inside());
}
