//! Overload control between neighbours (RFC 7339).

use super::harness::*;
use crate::{AttemptFailure::*, Draft, Event, OverloadControl};
use sip_io::{Flow, Transmit};
use sip_message::{
    Request, Response, StatusCode,
    headers::{ResourcePriority, Via},
};
use std::{net::IpAddr, time::Duration};

const BY_UDP: &str = "UDP 192.0.2.2:5060";
const BOB_URI: &str = "sip:bob@192.0.2.2";
const MILLISECOND: Duration = Duration::from_millis(1);

fn controlled() -> Rig {
    Rig::with(|config| config.zone(zone()).overload_control(OverloadControl::new()))
}

/// The next hop answers and writes `params` in place of what announces support.
fn answer_saying(rig: &mut Rig, flow: Flow, request: &Request, status: StatusCode, params: &str) {
    let mut response = request.response(status).build();
    response.ensure_content_length();
    let mut via = response.via().unwrap();
    via.remove_param("oc");
    via.remove_param("oc-algo");
    let via: Via = format!("{via}{params}").parse().unwrap();
    response.headers_mut().replace_front(via);
    rig.bytes(flow, response.to_bytes());
}

/// Bob answers a request and says something about his load.
fn told(rig: &mut Rig, params: &str) {
    rig.request(draft("OPTIONS", BOB_URI));
    let (flow, request) = rig.sent_request();
    answer_saying(rig, flow, &request, StatusCode::OK, params);
    rig.events();
}

/// Whether Bob gets a new request, which he then answers.
#[track_caller]
fn gets_a_request(rig: &mut Rig) -> bool {
    rig.events();
    rig.request(draft("OPTIONS", BOB_URI));
    match rig.transmits().as_slice() {
        [] => {
            let failure = rig.failure();
            assert_eq!(tried(&failure), [(BY_UDP.to_owned(), Shed)]);
            assert_eq!(failure.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(failure.is_shed());
            false
        }
        [Transmit::Datagram { flow, contents }] => {
            let request = Request::parse(contents.clone()).unwrap();
            rig.answer(*flow, &request, StatusCode::OK);
            rig.events();
            true
        }
        other => panic!("sends one request or none: {other:?}"),
    }
}

fn within_dialog(method: &str) -> Draft {
    let text = request(method, BOB_URI).to_string();
    let text = text.replace("To: <sip:bob@192.0.2.2>", "To: <sip:bob@192.0.2.2>;tag=b");
    Draft::new(Request::parse(text.into()).unwrap())
}

fn emergency() -> Draft {
    let mut request = request("INVITE", BOB_URI);
    let priority = ResourcePriority::new(["esnet.1"]).unwrap();
    request.headers_mut().set(priority);
    Draft::new(request)
}

/// How many of these were not sent.
fn shed(rig: &mut Rig, drafts: impl Iterator<Item = Draft>) -> usize {
    rig.events();
    let before = rig.stack.endpoint().stats().shed;
    let mut failed = 0;
    for draft in drafts {
        rig.request(draft);
        failed += rig.events().len();
        assert!(rig.transmits().len() <= 1);
    }
    let counted = rig.stack.endpoint().stats().shed - before;
    assert_eq!(counted, failed as u64);
    failed
}

/// What the response to a request with `params` in its Via says: `oc`, `oc-algo`, `oc-validity`, `oc-seq`.
fn says(rig: &mut Rig, number: u32, params: &str) -> [Option<Option<String>>; 4] {
    let branch = format!("n{number}");
    let text = inbound("OPTIONS", "UDP 192.0.2.2", &branch);
    let branch = format!("branch=z9hG4bK{branch}");
    let text = text.replace(&branch, &format!("{branch}{params}"));
    rig.datagram(BOB, text);
    let events = rig.events();
    let [Event::Request { id, request, .. }] = events.as_slice() else {
        panic!("a request comes: {events:?}")
    };
    let (id, response) = (*id, request.response(StatusCode::OK).build());
    rig.command(|cx| cx.respond(id, response)).unwrap();
    let (_, response) = rig.sent_response();
    said(&response)
}

fn said(response: &Response) -> [Option<Option<String>>; 4] {
    let via = response.via().unwrap();
    ["oc", "oc-algo", "oc-validity", "oc-seq"]
        .map(|name| via.param(name).map(|value| value.map(Into::into)))
}

fn value(text: &str) -> Option<Option<String>> {
    Some(Some(text.to_owned()))
}

const ANNOUNCED: &str = ";oc;oc-algo=\"loss,A\"";

#[test]
fn who_is_asked_for_30_percent_less_sheds_30_percent_of_what_is_new() {
    let mut rig = controlled();
    told(
        &mut rig,
        ";oc=30;oc-algo=\"loss\";oc-validity=60000;oc-seq=1.0",
    );
    let new = (0..10_000).map(|_| draft("OPTIONS", BOB_URI));
    let shed = shed(&mut rig, new);
    assert!((2_900..=3_100).contains(&shed), "{shed}");
}

/// RFC 7339 §5.3, §7.2: the share is that of all requests; what belongs to a dialog is spared, and so are emergencies.
#[test]
fn requests_within_dialogs_and_emergency_calls_are_spared() {
    let mut rig = controlled();
    let asked = ";oc=30;oc-algo=\"loss\";oc-validity=60000;oc-seq=1.0";
    told(&mut rig, asked);
    let mut failed = [0; 2];
    for number in 0..5_000 {
        failed[0] += shed(&mut rig, std::iter::once(draft("OPTIONS", BOB_URI)));
        let spared = match number % 3 {
            0 => within_dialog("BYE"),
            1 => within_dialog("INFO"),
            _ => emergency(),
        };
        failed[1] += shed(&mut rig, std::iter::once(spared));
    }
    assert!((2_900..=3_100).contains(&failed[0]), "{failed:?}");
    assert_eq!(failed[1], 0);
    // More than there is of what is new: all of it goes, and of the rest as much as is missing.
    let asked = asked.replace("oc=30", "oc=75").replace("1.0", "2.0");
    let (flow, request) = {
        rig.request(within_dialog("INFO"));
        rig.sent_request()
    };
    answer_saying(&mut rig, flow, &request, StatusCode::OK, &asked);
    let mut failed = [0; 2];
    for _ in 0..2_000 {
        failed[0] += shed(&mut rig, std::iter::once(draft("OPTIONS", BOB_URI)));
        failed[1] += shed(&mut rig, std::iter::once(within_dialog("INFO")));
    }
    assert_eq!(failed[0], 2_000);
    assert!((900..=1_100).contains(&failed[1]), "{failed:?}");
}

#[test]
fn control_ends_with_its_validity_and_at_once_when_the_server_says_so() {
    let mut rig = controlled();
    told(
        &mut rig,
        ";oc=100;oc-algo=\"loss\";oc-validity=200;oc-seq=1.0",
    );
    assert!(!gets_a_request(&mut rig));
    rig.wait(199 * MILLISECOND);
    assert!(!gets_a_request(&mut rig));
    rig.wait(MILLISECOND);
    assert!(gets_a_request(&mut rig));
    // RFC 7339 §4.3: 500 ms where nothing is said.
    told(&mut rig, ";oc=100;oc-algo=\"loss\";oc-seq=2.0");
    rig.wait(499 * MILLISECOND);
    assert!(!gets_a_request(&mut rig));
    rig.wait(MILLISECOND);
    assert!(gets_a_request(&mut rig));
    // §5.7: nought ends it, whatever `oc` says.
    rig.request(draft("OPTIONS", BOB_URI));
    let (flow, request) = rig.sent_request();
    let busy = ";oc=100;oc-algo=\"loss\";oc-validity=5000;oc-seq=3.0";
    answer_saying(&mut rig, flow, &request, StatusCode::TRYING, busy);
    assert!(!gets_a_request(&mut rig));
    let over = ";oc=100;oc-algo=\"loss\";oc-validity=0;oc-seq=4.0";
    answer_saying(&mut rig, flow, &request, StatusCode::OK, over);
    assert!(gets_a_request(&mut rig));
    rig.finish();
}

/// At 100 % nothing is sent that could bring better news.
#[test]
fn nobody_is_silenced_for_more_than_a_minute() {
    let mut rig = controlled();
    told(
        &mut rig,
        ";oc=100;oc-algo=\"loss\";oc-validity=999999999999;oc-seq=1.0",
    );
    rig.wait(59 * SECOND);
    assert!(!gets_a_request(&mut rig));
    rig.wait(SECOND);
    assert!(gets_a_request(&mut rig));
    rig.finish();
}

/// RFC 7339 §5.4.
#[test]
fn an_older_word_is_ignored_and_the_same_once_more_lasts_no_longer() {
    let mut rig = controlled();
    rig.request(draft("INVITE", BOB_URI));
    let (flow, invite) = rig.sent_request();
    let say = |rig: &mut Rig, params: &str| {
        answer_saying(rig, flow, &invite, StatusCode::RINGING, params);
    };
    say(
        &mut rig,
        ";oc=100;oc-algo=\"loss\";oc-validity=1000;oc-seq=1282321615.782",
    );
    rig.wait(600 * MILLISECOND);
    let busy = ";oc=100;oc-algo=\"loss\";oc-validity=1000;oc-seq=1282321615.78200";
    say(&mut rig, busy);
    let older = ";oc=0;oc-algo=\"loss\";oc-validity=0;oc-seq=1282321615.781";
    say(&mut rig, older);
    say(&mut rig, ";oc=0;oc-algo=\"loss\";oc-validity=0");
    assert!(!gets_a_request(&mut rig));
    rig.wait(400 * MILLISECOND);
    assert!(gets_a_request(&mut rig));
    // Late, after the end: still older.
    let older = busy.replace("78200", "78199");
    say(&mut rig, &older);
    assert!(gets_a_request(&mut rig));
    // Long afterwards it may be a server that has begun anew.
    rig.wait(32 * SECOND);
    say(&mut rig, &older);
    assert!(!gets_a_request(&mut rig));
}

#[test]
fn what_cannot_be_read_is_ignored() {
    for params in [
        ";oc;oc-algo=\"loss\"",
        ";oc;oc-algo=\"loss\";oc-validity=500;oc-seq=1.0",
        ";oc=101;oc-algo=\"loss\";oc-seq=1.0",
        ";oc=+99;oc-algo=\"loss\";oc-seq=1.0",
        ";oc=99.5;oc-algo=\"loss\";oc-seq=1.0",
        ";oc=all;oc-algo=\"loss\";oc-seq=1.0",
        ";oc=\"\";oc-algo=\"loss\";oc-seq=1.0",
        ";oc=100;oc-seq=1.0",
        ";oc=100;oc-algo;oc-seq=1.0",
        ";oc=100;oc-algo=\"rate\";oc-seq=1.0",
        ";oc=100;oc-algo=\"loss,rate\";oc-seq=1.0",
        ";oc=100;oc-algo=\"loss\";oc-validity=-1;oc-seq=1.0",
        ";oc=100;oc-algo=\"loss\";oc-validity=9999999999999999999;oc-seq=1.0",
        ";oc=100;oc-algo=\"loss\";oc-seq",
        ";oc=100;oc-algo=\"loss\";oc-seq=1.2.3",
        ";oc=100;oc-algo=\"loss\";oc-seq=1.123456",
        ";oc=100;oc-algo=\"loss\";oc-seq=1234567890123.1",
        ";oc-validity=500",
    ] {
        let mut rig = controlled();
        told(&mut rig, params);
        assert!(gets_a_request(&mut rig), "{params}");
    }
    // As others write it.
    for params in [";OC=100;oc-algo=loss", ";oc=100;oc-algo=\"LOSS\";oc-seq=17"] {
        let mut rig = controlled();
        told(&mut rig, params);
        assert!(!gets_a_request(&mut rig), "{params}");
    }
}

/// RFC 7339 §5.10: to a different destination, which is asked about its own load.
#[test]
fn what_the_first_server_does_not_want_goes_to_the_second() {
    let mut rig = controlled();
    told(&mut rig, ";oc=100;oc-algo=\"loss\";oc-seq=1.0");
    rig.request(draft("INVITE", "sip:bob@bob.example;transport=udp"));
    let (flow, invite) = rig.sent_request();
    assert_eq!(flow.remote(), at(CAROL));
    let busy = ";oc=100;oc-algo=\"loss\";oc-seq=1.0";
    answer_saying(&mut rig, flow, &invite, StatusCode::BUSY_HERE, busy);
    rig.transmits();
    rig.events();
    rig.request(draft("INVITE", "sip:bob@bob.example;transport=udp"));
    rig.sent_nothing();
    let failure = rig.failure();
    assert_eq!(
        tried(&failure),
        [(BY_UDP.to_owned(), Shed), (format!("UDP {CAROL}"), Shed)]
    );
    // Who sheds is not down: once it is over he is the first again.
    rig.wait(500 * MILLISECOND);
    rig.request(draft("OPTIONS", "sip:bob@bob.example;transport=udp"));
    let (flow, _) = rig.sent_request();
    assert_eq!(flow.remote(), at(BOB));
    rig.finish();
}

#[test]
fn no_connection_is_opened_for_what_is_shed_and_a_given_flow_counts_too() {
    let mut rig = controlled();
    told(&mut rig, ";oc=100;oc-algo=\"loss\";oc-seq=1.0");
    rig.request(draft("OPTIONS", BOB_URI).to_targets([tcp(BOB)]));
    rig.sent_nothing();
    assert_eq!(tried(&rig.failure()), [(format!("TCP {BOB}"), Shed)]);
    let flow = Flow::udp(at(HERE), at(BOB));
    rig.request(draft("OPTIONS", BOB_URI).to_flow(flow));
    rig.sent_nothing();
    assert_eq!(tried(&rig.failure()), [(BY_UDP.to_owned(), Shed)]);
    rig.request(draft("OPTIONS", BOB_URI).to_targets([udp("192.0.2.2:5070")]));
    let (flow, request) = rig.sent_request();
    rig.answer(flow, &request, StatusCode::OK);
    rig.finish();
}

/// RFC 8305 §5: another address of the server is tried beside the first, unless that one has asked for less.
#[test]
fn no_connection_races_to_an_overloaded_address() {
    let addresses = ["192.0.2.2", "192.0.2.3"];
    for overloaded in [false, true] {
        let mut rig = Rig::with(|config| {
            let zone = addresses.iter().fold(zone(), |zone, address| {
                zone.address("pair.example", address.parse::<IpAddr>().unwrap())
            });
            config.zone(zone).overload_control(OverloadControl::new())
        });
        rig.request(draft("OPTIONS", "sip:bob@pair.example;transport=tcp"));
        let first = rig.open();
        let other = addresses
            .into_iter()
            .find(|address| at(&format!("{address}:5060")) != first.remote());
        rig.request(draft("OPTIONS", &format!("sip:bob@{}", other.unwrap())));
        let (flow, request) = rig.sent_request();
        let busy = ";oc=100;oc-algo=\"loss\";oc-seq=1.0";
        let params = if overloaded { busy } else { "" };
        answer_saying(&mut rig, flow, &request, StatusCode::OK, params);
        rig.wait(250 * MILLISECOND);
        if overloaded {
            rig.sent_nothing();
        } else {
            rig.open();
        }
        rig.refused(first);
        rig.transmits();
        rig.events();
        rig.wait(100 * SECOND);
    }
}

#[test]
fn of_too_many_overloaded_servers_the_one_heard_of_longest_ago_is_forgotten() {
    let mut rig = Rig::with(|config| config.overload_control(OverloadControl::new().next_hops(1)));
    told(&mut rig, ";oc=100;oc-algo=\"loss\";oc-seq=1.0");
    assert!(!gets_a_request(&mut rig));
    // Who is not overloaded takes nobody's place.
    for (params, forgotten) in [
        (";oc=0;oc-algo=\"loss\";oc-validity=0;oc-seq=1.0", false),
        (";oc=10;oc-algo=\"loss\";oc-seq=2.0", true),
    ] {
        rig.request(draft("OPTIONS", "sip:carol@192.0.2.3"));
        let (flow, request) = rig.sent_request();
        answer_saying(&mut rig, flow, &request, StatusCode::OK, params);
        assert_eq!(gets_a_request(&mut rig), forgotten);
    }
    rig.finish();
}

/// RFC 7339 §4.1, §4.2: each request, that of another attempt and a CANCEL too.
#[test]
fn every_request_announces_that_we_support_it() {
    let mut rig = controlled();
    let id = rig.request(draft("INVITE", BOB_URI));
    let (flow, invite) = rig.sent_request();
    let text = invite.to_string();
    assert!(text.contains(";oc;oc-algo=\"loss\"\r\n"), "{text}");
    assert!(!text.contains("oc-validity") && !text.contains("oc-seq"));
    rig.answer(flow, &invite, StatusCode::RINGING);
    rig.command(|cx| cx.cancel(id));
    let (_, cancel) = rig.sent_request();
    assert_eq!(cancel.via().unwrap(), invite.via().unwrap());
    rig.command(|cx| cx.acknowledge(draft("ACK", BOB_URI)));
    let (_, ack) = rig.sent_request();
    assert_eq!(ack.via().unwrap().param("oc"), Some(None));
}

/// RFC 7339 §5.6: what a client announces is for us, and it is told by us when the answer of another comes.
#[test]
fn what_a_client_announces_goes_no_further_and_is_answered_all_the_same() {
    for (params, told) in [
        (ANNOUNCED, true),
        ("", false),
        (";oc;oc-algo=\"rate\"", false),
    ] {
        let mut rig = controlled();
        rig.command(|cx| cx.set_overload(40));
        let text = inbound("OPTIONS", "UDP 192.0.2.3", "n1");
        let text = text.replace("branch=z9hG4bKn1", &format!("branch=z9hG4bKn1{params}"));
        rig.datagram(CAROL, text);
        let events = rig.events();
        let [Event::Request { id, request, .. }] = events.as_slice() else {
            panic!("a request comes: {events:?}")
        };
        let mut forwarded = Request::clone(request);
        forwarded.set_uri(sip_message::Uri::parse(BOB_URI).unwrap());
        rig.request(Draft::new(forwarded));
        let (flow, sent) = rig.sent_request();
        let vias: Vec<Via> = sent.headers().all().map(Result::unwrap).collect();
        let [ours, theirs] = vias.as_slice() else {
            panic!("two Vias: {vias:?}")
        };
        assert_eq!(ours.param("oc"), Some(None));
        assert!(!theirs.to_string().contains("oc"), "{theirs}");
        rig.answer(flow, &sent, StatusCode::OK);
        let events = rig.events();
        let Some(Event::Response { response, .. }) = events
            .iter()
            .find(|event| matches!(event, Event::Response { .. }))
        else {
            panic!("a response comes: {events:?}")
        };
        let (id, mut response) = (*id, Response::clone(response));
        response.headers_mut().pop_front::<Via>();
        rig.command(|cx| cx.respond(id, response)).unwrap();
        let (_, response) = rig.sent_response();
        assert_eq!(
            said(&response)[0],
            told.then(|| Some("40".to_owned())),
            "{params}"
        );
        let known = |rig: &Rig| {
            let control = rig.stack.endpoint().overload_control.as_ref();
            control.unwrap().known_clients()
        };
        assert_eq!(known(&rig), usize::from(told), "{params}");
        rig.wait(40 * SECOND);
        assert_eq!(known(&rig), 0);
        rig.finish();
    }
}

/// RFC 7339 §5.4: a proxy passes nothing on that anybody behind it wrote into the Vias of others.
#[test]
fn what_a_server_writes_into_the_vias_of_others_goes_no_further() {
    let mut rig = controlled();
    let mut forwarded = request("OPTIONS", BOB_URI);
    let below: Via = "SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKb;oc;oc-algo=\"loss\""
        .parse()
        .unwrap();
    forwarded.headers_mut().push_front(below.clone());
    rig.request(Draft::new(forwarded));
    let (flow, request) = rig.sent_request();
    let mut response = request.response(StatusCode::OK).build();
    let written = below
        .clone()
        .with_param("oc", "100")
        .with_param("oc-validity", "60000")
        .with_param("oc-seq", "9.9");
    let top = response.via().unwrap();
    response.headers_mut().set(top.clone());
    response.headers_mut().push(written);
    response.ensure_content_length();
    rig.bytes(flow, response.to_bytes());
    let events = rig.events();
    let [Event::Response { response, .. }] = events.as_slice() else {
        panic!("a response comes: {events:?}")
    };
    let vias: Vec<_> = response
        .headers()
        .all::<Via>()
        .map(Result::unwrap)
        .collect();
    assert_eq!(vias, [top, below]);
}

/// RFC 7339 §5.1, §5.2, §5.7.
#[test]
fn a_server_tells_who_has_announced_itself_and_says_when_it_is_over() {
    let mut rig = controlled();
    assert_eq!(says(&mut rig, 0, ""), [None, None, None, None]);
    let well = says(&mut rig, 1, ANNOUNCED);
    assert_eq!(well[..3], [value("0"), value("loss"), value("0")]);
    rig.wait(SECOND);
    rig.command(|cx| cx.set_overload(40));
    assert_eq!(says(&mut rig, 2, ""), [None, None, None, None]);
    let only_others = says(&mut rig, 3, ";oc;oc-algo=\"rate\"");
    assert_eq!(only_others, [Some(None), value("rate"), None, None]);
    let busy = says(&mut rig, 4, ANNOUNCED);
    let expected = ["40", "loss", "500", "1.00000"].map(value);
    assert_eq!(busy, expected);
    // What a client writes there by itself does not stay; the same word at the same time has the same number.
    let busy = says(&mut rig, 5, ";oc=9;oc-algo=loss;oc-validity=7;oc-seq=99.9");
    assert_eq!(busy, expected);
    rig.wait(SECOND / 4);
    assert_eq!(says(&mut rig, 6, ANNOUNCED)[3], value("1.25000"));
    // Over: one new number, with which a client has heard it, and no other afterwards.
    rig.command(|cx| cx.set_overload(0));
    let over = ["0", "loss", "0", "1.25001"].map(value);
    assert_eq!(says(&mut rig, 7, ANNOUNCED), over);
    rig.wait(SECOND);
    assert_eq!(says(&mut rig, 8, ANNOUNCED), over);
    rig.command(|cx| cx.set_overload(200));
    assert_eq!(says(&mut rig, 9, ANNOUNCED)[0], value("100"));
}

#[test]
fn what_is_refused_is_told_and_forgotten_by_half_in_each_second() {
    let mut rig = Rig::with(|config| {
        let control = OverloadControl::new().validity(2 * SECOND);
        let config = config.new_requests_per_second(Some(10));
        config.overload_control(control)
    });
    for number in 0..20 {
        let text = inbound("OPTIONS", "UDP 192.0.2.2", &format!("r{number}"));
        let branch = format!("branch=z9hG4bKr{number}");
        rig.datagram(BOB, text.replace(&branch, &format!("{branch}{ANNOUNCED}")));
    }
    let refusals = rig.transmits();
    assert_eq!(refusals.len(), 10);
    let Transmit::Datagram { contents, .. } = &refusals[9] else {
        panic!("a datagram")
    };
    let refusal = Response::parse(contents.clone()).unwrap();
    assert_eq!(refusal.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(said(&refusal)[0], value("0"), "the second is not over");
    rig.events();
    rig.wait(SECOND);
    let busy = says(&mut rig, 0, ANNOUNCED);
    assert_eq!(busy[..3], [value("50"), value("loss"), value("2000")]);
    for (number, percent) in [(1, "25"), (2, "12"), (3, "6")] {
        rig.wait(SECOND);
        rig.transmits();
        assert_eq!(says(&mut rig, number, ANNOUNCED)[0], value(percent));
    }
    rig.wait(20 * SECOND);
    rig.transmits();
    assert_eq!(says(&mut rig, 9, ANNOUNCED)[0], value("0"));
}

/// Twice as much comes as may: client and server meet near the half, and little is left to be refused.
#[test]
fn what_is_told_settles_where_little_is_refused() {
    let mut rig = Rig::with(|config| {
        let config = config
            .new_requests_per_second(Some(100))
            .overload_answers(1000);
        config.overload_control(OverloadControl::new())
    });
    let (mut percent, mut due, mut number) = (0.0, 0.0, 0);
    let mut refused = Vec::new();
    for _second in 0..20 {
        let before = rig.stack.endpoint().stats().refused;
        for _ in 0..100 {
            rig.wait(10 * MILLISECOND);
            due += 2.0 * (1.0 - percent / 100.0);
            while due >= 1.0 {
                due -= 1.0;
                number += 1;
                let branch = format!("branch=z9hG4bKs{number}");
                let text = inbound("OPTIONS", "UDP 192.0.2.2", &format!("s{number}"));
                rig.datagram(BOB, text.replace(&branch, &format!("{branch}{ANNOUNCED}")));
                for event in rig.events() {
                    if let Event::Request { id, request, .. } = event {
                        let response = request.response(StatusCode::OK).build();
                        rig.command(|cx| cx.respond(id, response)).unwrap();
                    }
                }
                let (_, response) = rig.sent_response();
                let [told, ..] = said(&response);
                percent = told.flatten().unwrap().parse().unwrap();
            }
        }
        refused.push(rig.stack.endpoint().stats().refused - before);
    }
    for refused in &refused[5..] {
        assert!((10..=60).contains(refused), "{refused} of 200");
    }
    assert!((20.0..=45.0).contains(&percent), "{percent}");
}

#[test]
fn each_role_can_be_left_out() {
    let mut rig = Rig::with(|config| config.overload_control(OverloadControl::new().server(false)));
    rig.command(|cx| cx.set_overload(40));
    assert_eq!(says(&mut rig, 0, ANNOUNCED)[0], Some(None));
    told(&mut rig, ";oc=100;oc-algo=\"loss\";oc-seq=1.0");
    assert!(!gets_a_request(&mut rig));

    let mut rig = Rig::with(|config| config.overload_control(OverloadControl::new().client(false)));
    rig.command(|cx| cx.set_overload(40));
    assert_eq!(says(&mut rig, 0, ANNOUNCED)[0], value("40"));
    rig.request(draft("OPTIONS", BOB_URI));
    let (_, request) = rig.sent_request();
    assert_eq!(request.via().unwrap().param("oc"), None);
    told(&mut rig, ";oc=100;oc-algo=\"loss\";oc-seq=1.0");
    assert!(gets_a_request(&mut rig));
}

#[test]
fn without_being_asked_for_nothing_is_announced_told_or_heeded() {
    let mut rig = Rig::new();
    rig.request(draft("OPTIONS", BOB_URI));
    let (flow, request) = rig.sent_request();
    assert!(!request.via().unwrap().to_string().contains("oc"));
    rig.answer(flow, &request, StatusCode::OK);
    told(&mut rig, ";oc=100;oc-algo=\"loss\";oc-seq=1.0");
    assert!(gets_a_request(&mut rig));
    rig.command(|cx| cx.set_overload(40));
    let unchanged = [Some(None), value("loss,A"), None, None];
    assert_eq!(says(&mut rig, 0, ANNOUNCED), unchanged);
    assert_eq!(rig.stack.endpoint().stats().shed, 0);
}
