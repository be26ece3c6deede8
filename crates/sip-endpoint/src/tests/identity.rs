//! What we write about ourselves.

use super::harness::*;
use crate::{ContactTemplate, Draft, EndpointConfig, Listener, RecordRouteTemplate};
use sip_io::Flow;
use sip_message::{
    Request, StatusCode,
    headers::{Contact, MaxForwards, RecordRoute, UserAgent, Via},
};

fn template() -> ContactTemplate {
    ContactTemplate {
        user: Some("alice".to_owned()),
        params: vec![("expires".to_owned(), Some("60".to_owned()))],
        ..ContactTemplate::default()
    }
}

fn record_routes(request: &Request) -> Vec<String> {
    let all = request.headers().all::<RecordRoute>();
    all.map(|value| value.unwrap().to_string()).collect()
}

/// Sends a request that a proxy forwards from `inbound` to `uri`.
fn forwarded(rig: &mut Rig, inbound_flow: Flow, uri: &str) -> Request {
    let text = inbound("INVITE", "UDP 192.0.2.2;received=192.0.2.2", "1");
    let draft = Draft::new(Request::parse(text.into()).unwrap())
        .to_uri(uri.parse().unwrap())
        .record_route(RecordRouteTemplate {
            inbound: inbound_flow,
            user: Some("token".to_owned()),
        });
    rig.request(draft);
    match rig.transmits().pop() {
        Some(sip_io::Transmit::Open { flow }) => {
            rig.opened(flow);
            rig.sent_request().1
        }
        Some(sip_io::Transmit::Datagram { contents, .. }) => Request::parse(contents).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn via_and_contact_name_the_bound_address_or_the_advertised_one() {
    let plain = [Listener::udp(at(HERE))];
    let advertised = [Listener::udp(at(HERE))
        .advertise("sip.example.net:6000")
        .unwrap()];
    for (listeners, sent_by) in [
        (plain, "192.0.2.1:5060"),
        (advertised, "sip.example.net:6000"),
    ] {
        let mut rig = Rig::listening(|config| config, &listeners);
        rig.request(draft("REGISTER", "sip:192.0.2.2").contact(template()));
        let (_, request) = rig.sent_request();
        let via = request.headers().require::<Via>().unwrap().to_string();
        assert!(
            via.starts_with(&format!("SIP/2.0/UDP {sent_by};rport;branch=z9hG4bK")),
            "{via}"
        );
        let contact = request.headers().require::<Contact>().unwrap().to_string();
        assert_eq!(contact, format!("<sip:alice@{sent_by}>;expires=60"));
        assert_eq!(request.headers().require::<MaxForwards>().unwrap().0, 70);
        let flow = Flow::udp(at(HERE), at(BOB));
        assert_eq!(rig.command(|cx| cx.sent_by(&flow).to_string()), sent_by);
        rig.finish();
    }
}

#[test]
fn an_outgoing_stream_names_the_listener_that_can_be_reached() {
    let mut rig = Rig::new();
    rig.request(draft("REGISTER", "sip:192.0.2.2;transport=tcp").contact(template()));
    let flow = rig.open();
    rig.opened(flow);
    let (_, request) = rig.sent_request();
    let via = request.headers().require::<Via>().unwrap().to_string();
    assert!(
        via.starts_with("SIP/2.0/TCP 192.0.2.1:5060;branch="),
        "{via}"
    );
    let contact = request.headers().require::<Contact>().unwrap();
    assert_eq!(
        contact.uri().to_string(),
        "sip:alice@192.0.2.1:5060;transport=tcp"
    );
    rig.finish();
}

#[test]
fn an_ipv6_address_stands_in_brackets() {
    let mut rig = Rig::listening(|config| config, &[Listener::udp(at("[2001:db8::1]:5060"))]);
    rig.request(draft("REGISTER", "sip:[2001:db8::2]").contact(template()));
    let (flow, request) = rig.sent_request();
    assert_eq!(flow.remote(), at("[2001:db8::2]:5060"));
    let contact = request.headers().require::<Contact>().unwrap();
    assert_eq!(contact.uri().to_string(), "sip:alice@[2001:db8::1]:5060");
    rig.finish();
}

#[test]
fn the_product_stands_in_our_own_requests_only() {
    let product = |config: EndpointConfig| config.product("sipwright/0.1");
    let mut rig = Rig::with(product);
    rig.request(draft("OPTIONS", "sip:bob@192.0.2.2"));
    let (_, own) = rig.sent_request();
    assert_eq!(
        own.headers().require::<UserAgent>().unwrap().to_string(),
        "sipwright/0.1"
    );
    let inbound_flow = Flow::udp(at(HERE), at(BOB));
    let forwarded = forwarded(&mut rig, inbound_flow, "sip:192.0.2.3");
    assert!(!forwarded.headers().contains::<UserAgent>());
    assert_eq!(forwarded.headers().all::<Via>().count(), 2);
    let text = request("OPTIONS", "sip:bob@192.0.2.2")
        .to_string()
        .replace("CSeq:", "User-Agent: phone\r\nCSeq:");
    rig.request(Draft::new(Request::parse(text.into()).unwrap()));
    let (_, named) = rig.sent_request();
    assert_eq!(
        named.headers().require::<UserAgent>().unwrap().to_string(),
        "phone"
    );
    rig.finish();
}

#[test]
fn a_product_that_cannot_stand_there_is_left_out() {
    let mut rig = Rig::with(|config| config.product("a\r\nEvil: yes"));
    rig.request(draft("OPTIONS", "sip:bob@192.0.2.2"));
    let (_, request) = rig.sent_request();
    assert!(!request.to_string().contains("Evil"));
    rig.finish();
}

/// TXN-022: RFC 3261 §8.1.1.7: unique in space and time.
#[test]
fn txn_022_each_request_of_ours_has_a_branch_that_no_other_has() {
    let mut rig = Rig::with(|config| config.transactions(200_000));
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..10_000 {
        rig.request(draft("OPTIONS", "sip:bob@192.0.2.2").only_flow(Flow::udp(at(HERE), at(BOB))));
        let (_, request) = rig.sent_request();
        let branch = branch(&request);
        // 16 of 32 letters: 80 bits of chance.
        assert!(
            branch.starts_with("z9hG4bK") && branch.len() >= 7 + 16,
            "{branch}"
        );
        assert!(seen.insert(branch));
    }
    // Nor does one of another endpoint, whose seed is another.
    let mut other = Rig::with(|config| EndpointConfig::new([77; 32], config.clock));
    other.request(draft("OPTIONS", "sip:bob@192.0.2.2"));
    let (_, request) = other.sent_request();
    assert!(!seen.contains(&branch(&request)));
}

/// MSG-042: RFC 3261 §19.3: tags that nobody guesses, and no two alike.
#[test]
fn each_tag_of_ours_is_like_no_other() {
    let mut rig = Rig::new();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100_000 {
        let tag = rig.stack.command(rig.now, |_, cx| cx.new_tag());
        // 32 bits of chance are seven letters of 32.
        assert!(tag.as_str().len() >= 8, "{tag}");
        assert!(seen.insert(tag.as_str().to_owned()), "{tag}");
    }
}

#[test]
fn each_branch_ends_with_the_suffix() {
    let mut rig = Rig::new();
    rig.request(draft("OPTIONS", "sip:bob@192.0.2.2").branch_suffix("loop"));
    let (_, request) = rig.sent_request();
    assert!(branch(&request).starts_with("z9hG4bK") && branch(&request).ends_with(".loop"));
    rig.finish();
}

/// RFC 3261 §16.6 step 4.
#[test]
fn one_record_route_where_both_sides_see_us_alike() {
    let mut rig = Rig::new();
    let inbound_flow = Flow::udp(at(HERE), at(BOB));
    let request = forwarded(&mut rig, inbound_flow, "sip:192.0.2.3");
    assert_eq!(record_routes(&request), ["<sip:token@192.0.2.1:5060;lr>"]);
    rig.finish();
}

/// RFC 5658 §5: the value for the side that the request goes to is on top.
#[test]
fn two_record_routes_where_the_transport_changes() {
    let mut rig = Rig::new();
    let inbound_flow = Flow::udp(at(HERE), at(BOB));
    let request = forwarded(&mut rig, inbound_flow, "sip:192.0.2.3;transport=tcp");
    assert_eq!(
        record_routes(&request),
        [
            "<sip:token@192.0.2.1:5060;transport=tcp;lr>",
            "<sip:token@192.0.2.1:5060;lr>"
        ]
    );
    rig.finish();
}

#[test]
fn two_record_routes_where_the_listener_changes() {
    let inside = Listener::udp(at("10.0.0.1:5060"));
    let outside = Listener::udp(at("192.0.2.1:5060"))
        .advertise("sip.example.net")
        .unwrap();
    let mut rig = Rig::listening(|config| config, &[inside, outside]);
    rig.receive(sip_io::Receive::Network {
        addresses: vec!["10.0.0.1".parse().unwrap(), "192.0.2.1".parse().unwrap()],
    });
    let inbound_flow = Flow::udp(at("192.0.2.1:5060"), at("192.0.2.9:5060"));
    let request = forwarded(&mut rig, inbound_flow, "sip:10.0.0.7");
    assert_eq!(
        record_routes(&request),
        [
            "<sip:token@10.0.0.1:5060;lr>",
            "<sip:token@sip.example.net:5060;lr>"
        ]
    );
    rig.finish();
}

#[test]
fn two_record_routes_where_the_address_family_changes() {
    let listeners = [
        Listener::udp(at(HERE)),
        Listener::udp(at("[2001:db8::1]:5060")),
    ];
    let mut rig = Rig::listening(|config| config, &listeners);
    let inbound_flow = Flow::udp(at(HERE), at(BOB));
    let request = forwarded(&mut rig, inbound_flow, "sip:[2001:db8::2]");
    assert_eq!(
        record_routes(&request),
        [
            "<sip:token@[2001:db8::1]:5060;lr>",
            "<sip:token@192.0.2.1:5060;lr>"
        ]
    );
    // The same name for both sides: still two, because each side needs a socket of its family.
    let listeners = listeners.map(|listener| listener.advertise("sip.example.net:5060").unwrap());
    let mut rig = Rig::listening(|config| config, &listeners);
    let request = forwarded(&mut rig, inbound_flow, "sip:[2001:db8::2]");
    assert_eq!(record_routes(&request).len(), 2);
    rig.finish();
}

#[test]
fn tags_and_call_ids_differ_and_a_transactions_tag_does_not() {
    let mut rig = Rig::new();
    let (one, two) = rig.command(|cx| (cx.new_tag(), cx.new_tag()));
    assert_ne!(one, two);
    let (one, two) = rig.command(|cx| (cx.new_call_id(), cx.new_call_id()));
    assert_ne!(one, two);
    let mut ids = Vec::new();
    for number in ["1", "2"] {
        rig.datagram(BOB, inbound("OPTIONS", "UDP 192.0.2.2", number));
        match rig.events().pop() {
            Some(crate::Event::Request { id, .. }) => ids.push(id),
            other => panic!("{other:?}"),
        }
    }
    let tag = |rig: &mut Rig, id| rig.command(|cx| cx.tag_for(id));
    assert_eq!(tag(&mut rig, ids[0]), tag(&mut rig, ids[0]));
    assert_ne!(tag(&mut rig, ids[0]), tag(&mut rig, ids[1]));
    rig.finish();
}

/// UA-022: RFC 3261 §8.2.7: who remembers nothing says the same again, and something else to something else.
#[test]
fn a_stateless_answer_has_the_same_tag_for_the_same_request() {
    let mut rig = Rig::new();
    let mut answer = |text: String| {
        rig.datagram(BOB, text);
        let Some(crate::Event::Request { id, request, .. }) = rig.events().pop() else {
            panic!("a request came")
        };
        rig.command(|cx| {
            let refused = request.response(StatusCode::UNAUTHORIZED);
            let refused = refused.to_tag(cx.tag_for(id)).build();
            cx.respond_statelessly(id, refused).unwrap();
        });
        let (_, response) = rig.sent_response();
        assert!(matches!(
            rig.events()[..],
            [crate::Event::ServerEnded { .. }]
        ));
        response.to().unwrap().tag().unwrap()
    };
    let register = |branch: &str| inbound("REGISTER", "UDP 192.0.2.2", branch);
    let first = answer(register("1"));
    assert_eq!(answer(register("1")), first);
    assert_ne!(answer(register("2")), first);
    let other = register("1").replace("CSeq: 1 ", "CSeq: 2 ");
    assert_ne!(answer(other), first);
    // A tag that the request had is kept.
    let within = register("3").replace(
        "To: <sip:alice@192.0.2.1>",
        "To: <sip:alice@192.0.2.1>;tag=theirs",
    );
    assert_eq!(answer(within).as_str(), "theirs");
}
