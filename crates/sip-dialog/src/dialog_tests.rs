use super::*;

fn invite(headers: &str) -> Request {
    let wire = format!(
        "INVITE sip:bob@example.com SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
         Max-Forwards: 70\r\n\
         From: \"Alice\" <sip:alice@example.com>;tag=a;x=y\r\n\
         To: <sip:bob@example.com>\r\n\
         Call-ID: 1@192.0.2.1\r\n\
         CSeq: 7 INVITE\r\n\
         Contact: <sip:alice@192.0.2.1:5070>\r\n\
         {headers}Content-Length: 0\r\n\r\n"
    );
    Request::parse(wire.into()).unwrap()
}

fn response(status: &str, to_tag: &str, headers: &str) -> Response {
    let wire = format!(
        "SIP/2.0 {status}\r\n\
         Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
         From: \"Alice\" <sip:alice@example.com>;tag=a;x=y\r\n\
         To: <sip:bob@example.com>{to_tag}\r\n\
         Call-ID: 1@192.0.2.1\r\n\
         CSeq: 7 INVITE\r\n\
         {headers}Content-Length: 0\r\n\r\n"
    );
    Response::parse(wire.into()).unwrap()
}

fn routes(request: &Request) -> Vec<String> {
    request
        .headers()
        .all::<Route>()
        .map(|route| route.unwrap().uri().to_string())
        .collect()
}

/// DLG-003, DLG-007: RFC 3261 §12.1.2; TRAPS 8: the UAC reverses Record-Route.
#[test]
fn the_uac_reverses_record_route_and_puts_the_target_into_the_request_uri() {
    let ok = response(
        "200 OK",
        ";tag=b",
        "Record-Route: <sip:near-bob;lr>, <sip:near-alice;lr;x=1>\r\nContact: <sip:bob@192.0.2.2>\r\n",
    );
    let mut dialog = Dialog::uac(&invite(""), &ok).unwrap();
    let bye = dialog.request(Method::BYE).unwrap();
    assert_eq!(bye.uri().as_str(), "sip:bob@192.0.2.2");
    assert_eq!(routes(&bye), ["sip:near-alice;lr;x=1", "sip:near-bob;lr"]);
    assert_eq!(bye.cseq().unwrap(), CSeq::new(8, Method::BYE));
    assert_eq!(
        bye.from().unwrap().to_string(),
        "\"Alice\" <sip:alice@example.com>;tag=a;x=y"
    );
    assert_eq!(bye.to().unwrap().tag().unwrap(), "b");
    assert_eq!(bye.call_id().unwrap(), "1@192.0.2.1");
}

/// DLG-002: RFC 3261 §12.1.1; TRAPS 8: the UAS does not.
#[test]
fn the_uas_keeps_record_route_in_order() {
    let invite = invite("Record-Route: <sip:near-bob;lr>\r\nRecord-Route: <sip:near-alice;lr>\r\n");
    let mut dialog = Dialog::uas(&invite, Tag::new("b").unwrap()).unwrap();
    let bye = dialog.request(Method::BYE).unwrap();
    assert_eq!(bye.uri().as_str(), "sip:alice@192.0.2.1:5070");
    assert_eq!(routes(&bye), ["sip:near-bob;lr", "sip:near-alice;lr"]);
    assert_eq!(bye.cseq().unwrap().number(), 1);
    assert_eq!(bye.from().unwrap().tag().unwrap(), "b");
    assert_eq!(bye.to().unwrap().tag().unwrap(), "a");
}

/// DLG-007: RFC 3261 §12.2.1.1; TRAPS 8: a first Route without `lr` swaps with the Request-URI.
#[test]
fn a_strict_router_swaps_places_with_the_target() {
    let ok = response(
        "200 OK",
        ";tag=b",
        "Record-Route: <sip:proxy4>, <sip:proxy3;lr>, <sip:proxy2>, <sip:proxy1?Subject=no>\r\n\
         Contact: <sip:user@remoteua>\r\n",
    );
    let mut dialog = Dialog::uac(&invite(""), &ok).unwrap();
    let info = dialog.request(Method::INFO).unwrap();
    assert_eq!(info.uri().as_str(), "sip:proxy1");
    assert_eq!(
        routes(&info),
        [
            "sip:proxy2",
            "sip:proxy3;lr",
            "sip:proxy4",
            "sip:user@remoteua"
        ]
    );
}

/// DLG-009, DLG-015: TRAPS 7: recompute the route set from the 2xx, then never change it: only the remote target.
#[test]
fn the_route_set_is_taken_again_from_the_2xx_and_then_stays() {
    let ringing = response(
        "180 Ringing",
        ";tag=b",
        "Record-Route: <sip:early;lr>\r\nContact: <sip:bob@early>\r\n",
    );
    let ok = response(
        "200 OK",
        ";tag=b",
        "Record-Route: <sip:late;lr>\r\nContact: <sip:bob@late>\r\n",
    );
    let again = response(
        "200 OK",
        ";tag=b",
        "Record-Route: <sip:never;lr>\r\nContact: <sip:bob@moved>\r\n",
    );
    let mut dialog = Dialog::uac(&invite(""), &ringing).unwrap();
    assert_eq!(dialog.state(), State::Early);
    assert_eq!(
        routes(&dialog.request(Method::INFO).unwrap()),
        ["sip:early;lr"]
    );
    dialog.receive_response(&ok).unwrap();
    assert_eq!(dialog.state(), State::Confirmed);
    dialog.receive_response(&again).unwrap();
    let bye = dialog.request(Method::BYE).unwrap();
    assert_eq!(routes(&bye), ["sip:late;lr"]);
    assert_eq!(bye.uri().as_str(), "sip:bob@moved");
}

/// DLG-004: RFC 3261 §12.1: 100 and final failures make no dialog, nor does a provisional response without a tag.
#[test]
fn what_makes_no_dialog_says_why() {
    let of = |status, tag| Dialog::uac(&invite(""), &response(status, tag, "")).map(|_| ());
    assert_eq!(
        of("100 Trying", ";tag=b"),
        Err(DialogError::Status(StatusCode::TRYING))
    );
    assert_eq!(
        of("486 Busy Here", ";tag=b"),
        Err(DialogError::Status(StatusCode::BUSY_HERE))
    );
    assert_eq!(of("180 Ringing", ""), Err(DialogError::NoTag));
    // RFC 3261 §12.1.2: a peer of RFC 2543 has no tag, and its 2xx still wants an ACK.
    assert_eq!(of("200 OK", ""), Ok(()));
    let mut no_contact = invite("");
    no_contact.headers_mut().remove::<Contact>();
    let tag = Tag::new("b").unwrap();
    assert_eq!(
        Dialog::uas(&no_contact, tag).map(|_| ()),
        Err(DialogError::NoContact)
    );
}

/// DLG-011: RFC 3261 §12.2.2: lower is out of order, gaps are legal.
#[test]
fn a_cseq_that_falls_behind_is_out_of_order_and_gaps_are_not() {
    let mut dialog = Dialog::uas(&invite(""), Tag::new("b").unwrap()).unwrap();
    assert_eq!(
        dialog.receive_request(6),
        Err(OutOfOrder { number: 6, last: 7 })
    );
    assert_eq!(dialog.receive_request(9), Ok(()));
    assert_eq!(
        dialog.receive_request(8),
        Err(OutOfOrder { number: 8, last: 9 })
    );
    // The caller has not heard a request of the callee: any number is the first.
    let mut caller = Dialog::uac(&invite(""), &response("200 OK", ";tag=b", "")).unwrap();
    assert_eq!(caller.receive_request(1), Ok(()));
}

/// DLG-019: TRAPS 2: the ACK to a 2xx has the number and the credentials of the INVITE, and the dialog's route set.
#[test]
fn the_ack_to_a_2xx_carries_number_and_credentials_of_the_invite() {
    let invite = invite(
        "Proxy-Authorization: Digest username=\"alice\", realm=\"p\", nonce=\"n\", uri=\"sip:b\", response=\"r\"\r\n\
         Authorization: Digest username=\"alice\", realm=\"u\", nonce=\"n\", uri=\"sip:b\", response=\"r\"\r\n",
    );
    let ok = response(
        "200 OK",
        ";tag=b",
        "Record-Route: <sip:p;lr>\r\nContact: <sip:bob@192.0.2.2>\r\n",
    );
    let mut dialog = Dialog::uac(&invite, &ok).unwrap();
    dialog.request(Method::INFO).unwrap();
    let ack = dialog.ack(&invite);
    assert_eq!(ack.cseq().unwrap(), CSeq::new(7, Method::ACK));
    assert_eq!(ack.uri().as_str(), "sip:bob@192.0.2.2");
    assert_eq!(routes(&ack), ["sip:p;lr"]);
    assert!(ack.headers().contains::<ProxyAuthorization>());
    assert!(ack.headers().contains::<Authorization>());
}

/// DLG-019: RFC 3261 §8.1.1.5.
#[test]
fn numbers_stay_below_two_to_the_31st() {
    let mut late = invite("");
    let number = i32::MAX as u32 - 1;
    late.headers_mut().set(CSeq::new(number, Method::INVITE));
    let mut dialog = Dialog::uac(&late, &response("200 OK", ";tag=b", "")).unwrap();
    for method in [Method::INFO, Method::BYE] {
        let mut request = dialog.request(method).unwrap();
        assert_eq!(request.cseq().unwrap().number(), number + 1);
        dialog.renumber(&mut request);
        assert_eq!(request.cseq().unwrap().number(), number + 1);
    }
    assert_eq!(dialog.ack(&late).cseq().unwrap().number(), number);
}

/// RFC 3261 §22.2; TRAPS 13: the retry of a challenged request has CSeq + 1.
#[test]
fn a_challenged_request_gets_the_next_number() {
    let mut dialog = Dialog::uac(&invite(""), &response("200 OK", ";tag=b", "")).unwrap();
    let mut bye = dialog.request(Method::BYE).unwrap();
    dialog.terminate();
    dialog.renumber(&mut bye);
    assert_eq!(bye.cseq().unwrap(), CSeq::new(9, Method::BYE));
    assert_eq!(dialog.request(Method::INFO).map(|_| ()), Err(DialogOver));
}

/// RFC 5407 §3.1.5: an offer of ours in a 2xx has no answer while the ACK is lost.
#[test]
fn a_reinvite_before_the_answer_to_our_offer_is_glare() {
    let mut dialog = Dialog::uas(&invite(""), Tag::new("b").unwrap()).unwrap();
    dialog.offer_answer_mut().offer_locally().unwrap();
    assert_eq!(dialog.receive_invite(8), Err(Glare::Pending));
    dialog.offer_answer_mut().answer_remotely().unwrap();
    assert_eq!(dialog.receive_invite(9), Ok(()));
    assert_eq!(dialog.receive_invite(10), Err(Glare::Overlapping));
}
