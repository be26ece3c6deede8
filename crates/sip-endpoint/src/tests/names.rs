//! Names: our own DNS client, or whoever answers instead.

use super::harness::*;
use crate::{AttemptFailure::*, Failure, Listener};
use bytes::Bytes;
use sip_io::{BindToken, Flow, Protocol, Receive, Transmit};
use sip_message::StatusCode;
use std::{io, net::IpAddr};

const SERVER: &str = "192.0.2.53:53";
/// Where our own socket for questions gets bound.
const SOCKET: &str = "0.0.0.0:41000";

fn asking() -> Rig {
    Rig::with(|config| config.nameservers([at(SERVER)]))
}

fn question_flow() -> Flow {
    Flow::udp(at(SOCKET), at(SERVER))
}

/// The socket that is asked for, and nothing else.
#[track_caller]
fn bind(rig: &mut Rig) -> BindToken {
    match rig.transmits().as_slice() {
        [
            Transmit::Bind {
                token,
                protocol: Protocol::Udp,
                local,
            },
        ] => {
            assert_eq!(*local, at("0.0.0.0:0"));
            *token
        }
        other => panic!("asks for a socket: {other:?}"),
    }
}

fn bound(rig: &mut Rig, token: BindToken) {
    let result = Ok(at(SOCKET));
    rig.receive(Receive::Bound { token, result });
}

/// The questions that were sent to the server.
#[track_caller]
fn asked(rig: &mut Rig) -> Vec<Bytes> {
    rig.transmits()
        .into_iter()
        .map(|transmit| match transmit {
            Transmit::Datagram { flow, contents } => {
                assert_eq!(flow, question_flow());
                contents
            }
            other => panic!("asks: {other:?}"),
        })
        .collect()
}

/// An answer to a question of ours (RFC 1035 §4.1): an address, or no such name.
fn answer(question: &[u8], address: Option<[u8; 4]>) -> Bytes {
    let name = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 1;
    let mut answer = question[..2].to_vec();
    let (code, count) = if address.is_some() {
        (0x80, 1)
    } else {
        (0x83, 0)
    };
    answer.extend([0x81, code, 0, 1, 0, count, 0, 0, 0, 0]);
    answer.extend(&question[12..name + 4]);
    if let Some(address) = address {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address);
    }
    answer.into()
}

/// The port is written and no listener speaks IPv6: one question is enough.
const NAMED: &str = "sip:bob@pbx.example:5070";

#[test]
fn the_first_question_binds_a_socket_and_is_repeated_until_it_is_answered() {
    let mut rig = asking();
    rig.sent_nothing();
    rig.request(draft("OPTIONS", NAMED));
    let token = bind(&mut rig);
    rig.wait(SECOND / 10);
    rig.sent_nothing();
    bound(&mut rig, token);
    let questions = asked(&mut rig);
    assert_eq!(questions.len(), 1);
    rig.wait(SECOND / 2);
    assert_eq!(asked(&mut rig).len(), 1, "repeated");
    rig.bytes(question_flow(), answer(&questions[0], Some([192, 0, 2, 2])));
    let (flow, request) = rig.sent_request();
    assert_eq!(flow, Flow::udp(at(HERE), at("192.0.2.2:5070")));
    rig.answer(flow, &request, StatusCode::OK);
    assert_eq!(rig.status(), StatusCode::OK);
    // The answer is kept, and the socket too.
    rig.request(draft("OPTIONS", NAMED));
    rig.sent_request();
    rig.wait(60 * SECOND);
    rig.transmits();
    rig.events();
    rig.request(draft("OPTIONS", "sip:bob@other.example:5070"));
    assert_eq!(asked(&mut rig).len(), 1);
    assert!(rig.questions.is_empty(), "nobody else is asked");
    rig.finish();
}

#[test]
fn a_name_that_does_not_exist_has_no_target() {
    let mut rig = asking();
    rig.request(draft("OPTIONS", NAMED));
    let token = bind(&mut rig);
    bound(&mut rig, token);
    let questions = asked(&mut rig);
    rig.bytes(question_flow(), answer(&questions[0], None));
    assert!(matches!(rig.failure(), Failure::NoTarget { cause } if cause.contains("pbx.example")));
    rig.finish();
}

/// RFC 7766 §5.
#[test]
fn an_answer_that_was_cut_off_is_asked_for_over_tcp() {
    for is_refused in [false, true] {
        let mut rig = asking();
        rig.request(draft("OPTIONS", NAMED));
        let token = bind(&mut rig);
        bound(&mut rig, token);
        let question = asked(&mut rig).remove(0);
        let mut cut_off = answer(&question, Some([192, 0, 2, 3])).to_vec();
        cut_off[2] |= 2;
        rig.bytes(question_flow(), cut_off);
        let flow = rig.open();
        assert_eq!(
            (flow.protocol(), flow.remote()),
            (Protocol::Tcp, at(SERVER))
        );
        if is_refused {
            // What came is better than nothing.
            rig.refused(flow);
            assert_eq!(rig.sent_request().0.remote(), at("192.0.2.3:5070"));
            rig.finish();
            continue;
        }
        rig.opened(flow);
        let transmits = rig.transmits();
        let [
            Transmit::Stream {
                flow: used,
                contents,
            },
        ] = transmits.as_slice()
        else {
            panic!("asks again: {transmits:?}")
        };
        assert_eq!(*used, flow);
        assert_eq!(usize::from(contents[1]), contents.len() - 2);
        let whole = answer(&contents[2..], Some([192, 0, 2, 2]));
        rig.bytes(flow, vec![0, whole.len() as u8]);
        rig.bytes(flow, whole);
        let transmits = rig.transmits();
        assert!(
            matches!(&transmits[..], [Transmit::Datagram { flow: sip, .. }, Transmit::Close { flow: dns }]
                | [Transmit::Close { flow: dns }, Transmit::Datagram { flow: sip, .. }]
                if *dns == flow && sip.remote() == at("192.0.2.2:5070")),
            "{transmits:?}"
        );
        assert!(rig.stack.endpoint().stats().transport.connections == 0);
        rig.finish();
    }
}

#[test]
fn a_server_that_is_silent_or_unreachable_ends_in_no_target() {
    let mut rig = asking();
    rig.request(draft("OPTIONS", NAMED));
    let token = bind(&mut rig);
    bound(&mut rig, token);
    rig.unreachable(question_flow());
    rig.wait(20 * SECOND);
    assert!(asked(&mut rig).len() >= 3);
    assert!(matches!(rig.failure(), Failure::NoTarget { .. }));
    rig.finish();
}

/// A socket that cannot be bound is asked for again with the next repetition only, not in a circle.
#[test]
fn a_socket_that_cannot_be_bound_is_asked_for_again_later() {
    let mut rig = asking();
    rig.request(draft("OPTIONS", NAMED));
    let token = bind(&mut rig);
    let failed = Err(io::ErrorKind::AddrNotAvailable);
    rig.receive(Receive::Bound {
        token,
        result: failed,
    });
    rig.sent_nothing();
    rig.wait(SECOND / 2);
    let token = bind(&mut rig);
    bound(&mut rig, token);
    let questions = asked(&mut rig);
    rig.bytes(question_flow(), answer(&questions[0], Some([192, 0, 2, 2])));
    rig.sent_request();
    rig.finish();
    let mut rig = asking();
    rig.request(draft("OPTIONS", NAMED));
    while let Some(Transmit::Bind { token, .. }) = rig.transmits().pop() {
        rig.receive(Receive::Bound {
            token,
            result: failed,
        });
        rig.sent_nothing();
        rig.wait(3 * SECOND);
    }
    assert!(matches!(rig.failure(), Failure::NoTarget { .. }));
    rig.finish();
}

#[test]
fn what_comes_to_the_socket_for_questions_is_no_sip() {
    let mut rig = asking();
    rig.request(draft("OPTIONS", NAMED));
    let token = bind(&mut rig);
    bound(&mut rig, token);
    asked(&mut rig);
    rig.bytes(
        question_flow(),
        inbound("OPTIONS", "UDP 192.0.2.53:53", "1"),
    );
    let stranger = Flow::udp(at(SOCKET), at("198.51.100.1:53"));
    rig.bytes(stranger, "nonsense");
    rig.sent_nothing();
    assert!(rig.events().is_empty());
    assert_eq!(rig.stack.endpoint().stats().transport.datagrams_in, 0);
    rig.finish();
}

#[test]
fn a_lookup_that_is_cancelled_sends_nothing_when_its_answer_comes() {
    let mut rig = asking();
    let id = rig.request(draft("INVITE", NAMED));
    let token = bind(&mut rig);
    bound(&mut rig, token);
    let questions = asked(&mut rig);
    rig.command(|cx| cx.cancel(id));
    rig.bytes(question_flow(), answer(&questions[0], Some([192, 0, 2, 2])));
    rig.sent_nothing();
    assert_eq!(rig.failure(), Failure::Cancelled);
    rig.finish();
}

#[test]
fn without_a_name_server_each_question_comes_out_and_is_answered_from_outside() {
    let mut rig = Rig::with(|config| config);
    rig.request(draft("OPTIONS", NAMED));
    rig.sent_nothing();
    let (id, question) = rig.questions.pop_front().unwrap();
    assert_eq!(question.to_string(), "pbx.example A");
    let answer = crate::Answer::addresses([IpAddr::from([192, 0, 2, 2])], SECOND);
    rig.stack.provide_answer(rig.now, id, Ok(answer.clone()));
    rig.command(|_| ());
    let (flow, _) = rig.sent_request();
    assert_eq!(flow.remote(), at("192.0.2.2:5070"));
    rig.stack.provide_answer(rig.now, id, Ok(answer));
    rig.command(|_| ());
    rig.sent_nothing();
    rig.finish();
}

/// Only addresses that a listener reaches are asked for, and only transports that one speaks.
#[test]
fn questions_are_those_that_our_listeners_have_a_use_for() {
    for (listeners, uri, expected) in [
        (vec![Listener::udp(at(HERE))], NAMED, vec!["pbx.example A"]),
        (
            vec![Listener::udp(at("[2001:db8::1]:5060"))],
            NAMED,
            vec!["pbx.example AAAA"],
        ),
        (
            vec![Listener::udp(at("[::]:5060"))],
            NAMED,
            vec!["pbx.example A", "pbx.example AAAA"],
        ),
        (
            vec![
                Listener::udp(at(HERE)),
                Listener::udp(at("[2001:db8::1]:5060")),
            ],
            NAMED,
            vec!["pbx.example A", "pbx.example AAAA"],
        ),
        (vec![], NAMED, vec!["pbx.example A", "pbx.example AAAA"]),
    ] {
        let mut rig = Rig::listening(|config| config, &listeners);
        rig.request(draft("OPTIONS", uri));
        let mut asked: Vec<_> = rig
            .questions
            .drain(..)
            .map(|(_, question)| question.to_string())
            .collect();
        asked.sort();
        assert_eq!(asked, expected, "{listeners:?}");
        rig.finish();
    }
}

/// RFC 3263 §4.1: an address without a transport is spoken to with what we speak.
#[test]
fn an_endpoint_that_listens_with_tcp_only_speaks_tcp() {
    let mut rig = Rig::listening(|config| config, &[Listener::tcp(at(HERE))]);
    rig.request(draft("OPTIONS", "sip:bob@192.0.2.2"));
    let flow = rig.open();
    assert_eq!((flow.protocol(), flow.remote()), (Protocol::Tcp, at(BOB)));
    rig.refused(flow);
    rig.events();
    rig.request(draft("OPTIONS", "sip:bob@192.0.2.2;transport=udp"));
    let failure = rig.failure();
    assert_eq!(tried(&failure), [(format!("UDP {BOB}"), NoListener)]);
    rig.finish();
}
