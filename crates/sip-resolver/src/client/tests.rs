#![allow(clippy::disallowed_methods)] // a test needs an instant to start from

use super::*;
use crate::{Event, Families, Query, Record, RecordType, Resolver, ResolverConfig};
use hickory_proto::{
    op::{Message, MessageType, ResponseCode},
    rr::{
        Name, RData, Record as WireRecord,
        rdata::{A, CNAME, NAPTR, SOA, SRV},
    },
};
use std::time::Duration;

fn server(n: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, n], 53))
}

fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).expect("is a name");
    name.set_fqdn(true);
    name
}

fn record(owner: &str, ttl: u32, data: RData) -> WireRecord {
    WireRecord::from_rdata(name(owner), ttl, data)
}

fn a(owner: &str, ttl: u32, last: u8) -> WireRecord {
    record(owner, ttl, RData::A(A::new(198, 51, 100, last)))
}

fn alias(owner: &str, target: &str) -> WireRecord {
    record(owner, 300, RData::CNAME(CNAME(name(target))))
}

fn soa(ttl: u32, minimum: u32) -> WireRecord {
    let data = SOA::new(
        name("ns.example"),
        name("root.example"),
        1,
        2,
        3,
        4,
        minimum,
    );
    record("example", ttl, RData::SOA(data))
}

/// A client with questions on their way, and what a name server would do.
struct Bench {
    client: DnsClient,
    start: Instant,
    now: Instant,
    caller: QuestionId,
}

impl Bench {
    fn new(servers: u8) -> Self {
        let now = Instant::now();
        // Only a resolver makes question ids.
        let mut resolver = Resolver::new(
            ResolverConfig::new().families(Families::V4),
            Rng::new([9; 32]),
            now,
        );
        resolver.start(
            now,
            Query::host("x.example", Some(1), None).expect("is a host"),
        );
        let Some(Event::Question { id: caller, .. }) = resolver.poll_event() else {
            panic!("it asks");
        };
        Self {
            client: DnsClient::new(
                DnsConfig::new((1..=servers).map(server)),
                Rng::new([5; 32]),
                now,
            ),
            start: now,
            now,
            caller,
        }
    }

    fn ask(&mut self, name: &str, record_type: RecordType) -> (SocketAddr, Message) {
        self.client
            .ask(self.now, self.caller, &Question::of(name, record_type));
        self.sent().expect("a question is on its way")
    }

    fn sent(&mut self) -> Option<(SocketAddr, Message)> {
        let (to, datagram) = self.client.poll_transmit()?;
        Some((to, Message::from_vec(&datagram).expect("is DNS")))
    }

    fn receive(&mut self, from: SocketAddr, message: &Message) {
        let datagram = message.to_vec().expect("can be written");
        self.client.handle_datagram(self.now, from, &datagram);
    }

    /// Lets time pass to the next timer; how long after the start that is.
    fn wait(&mut self) -> Option<u128> {
        self.now = self.client.poll_timeout()?;
        self.client.handle_timeout(self.now);
        Some((self.now - self.start).as_millis())
    }

    fn ended(&mut self) -> Option<Result<Answer, LookupError>> {
        self.client.poll_event().map(|(caller, answer)| {
            assert_eq!(caller, self.caller);
            answer
        })
    }
}

fn reply(query: &Message, code: ResponseCode, answers: Vec<WireRecord>) -> Message {
    let mut reply = query.clone();
    reply.metadata.message_type = MessageType::Response;
    reply.metadata.response_code = code;
    reply.answers = answers;
    reply.edns = None;
    reply
}

#[test]
fn a_question_is_answered() {
    let mut bench = Bench::new(1);
    let (to, query) = bench.ask("pbx.example", RecordType::A);
    assert_eq!(to, server(1));
    assert!(query.metadata.recursion_desired);
    assert_eq!(
        query.edns.as_ref().map(|edns| edns.max_payload()),
        Some(1_232)
    );
    let answers = vec![
        a("PBX.example", 60, 1),
        a("pbx.example", 30, 2),
        a("other.example", 5, 3),
    ];
    bench.receive(server(1), &reply(&query, ResponseCode::NoError, answers));
    let addresses = [[198, 51, 100, 1].into(), [198, 51, 100, 2].into()];
    let expected = Answer::addresses(addresses, Duration::from_secs(30));
    assert_eq!(bench.ended(), Some(Ok(expected)));
    assert_eq!(bench.client.poll_timeout(), None);
}

#[test]
fn srv_and_naptr_records_are_read() {
    let mut bench = Bench::new(1);
    let (_, query) = bench.ask("_sip._udp.example", RecordType::Srv);
    let srv = SRV::new(1, 2, 5060, name("Host.Example"));
    let dot = SRV::new(3, 4, 0, Name::root());
    let answers = vec![
        record("_sip._udp.example", 60, RData::SRV(srv)),
        record("_sip._udp.example", 60, RData::SRV(dot)),
    ];
    bench.receive(server(1), &reply(&query, ResponseCode::NoError, answers));
    let answer = bench.ended().expect("it ended").expect("it is answered");
    let targets: Vec<&str> = answer
        .records()
        .iter()
        .map(|record| match record {
            Record::Srv(srv) => srv.target.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(targets, ["host.example", "."]);

    let (_, query) = bench.ask("example", RecordType::Naptr);
    let naptr = NAPTR::new(
        50,
        10,
        Box::from(*b"s"),
        Box::from(*b"SIP+D2U"),
        Box::from(*b""),
        name("_sip._udp.example"),
    );
    let answers = vec![record("example", 60, RData::NAPTR(naptr))];
    bench.receive(server(1), &reply(&query, ResponseCode::NoError, answers));
    let answer = bench.ended().expect("it ended").expect("it is answered");
    assert!(matches!(
        answer.records(),
        [Record::Naptr(naptr)] if naptr.order == 50 && naptr.services == "SIP+D2U"
            && naptr.replacement == "_sip._udp.example"
    ));
}

#[test]
fn silence_is_answered_by_repetition_then_given_up() {
    let mut bench = Bench::new(1);
    bench.ask("pbx.example", RecordType::A);
    let mut sent = vec![0];
    loop {
        let at = bench.wait().expect("a timer is set until the end");
        if let Some(end) = bench.ended() {
            assert_eq!((at, end), (3_500, Err(LookupError::TimedOut)));
            break;
        }
        if bench.sent().is_some() {
            sent.push(at);
        }
    }
    assert_eq!(sent, [0, 500, 1_500]);
    assert_eq!(bench.client.poll_timeout(), None);
    assert_eq!(bench.client.stats().timed_out, 1);
}

#[test]
fn a_silent_server_is_followed_by_the_next_and_may_still_answer() {
    let mut bench = Bench::new(2);
    let (_, query) = bench.ask("pbx.example", RecordType::A);
    bench.wait();
    let mut second = bench.sent();
    while second.is_none() {
        bench.wait();
        second = bench.sent();
    }
    let (to, repeated) = second.expect("was waited for");
    assert_eq!(to, server(2));
    assert_eq!(repeated.metadata.id, query.metadata.id);
    let answer = reply(&query, ResponseCode::NoError, vec![a("pbx.example", 60, 1)]);
    bench.receive(server(1), &answer);
    assert!(matches!(bench.ended(), Some(Ok(_))));
    bench.receive(server(2), &answer);
    assert_eq!((bench.ended(), bench.client.stats().ignored), (None, 1));
}

#[test]
fn a_failing_server_is_followed_by_the_next_at_once() {
    let mut bench = Bench::new(3);
    let (first, query) = bench.ask("pbx.example", RecordType::A);
    bench.receive(first, &reply(&query, ResponseCode::ServFail, Vec::new()));
    let (second, query) = bench.sent().expect("the next server is asked");
    assert_eq!(second, server(2));
    bench.receive(second, &reply(&query, ResponseCode::Refused, Vec::new()));
    let (third, query) = bench.sent().expect("the next server is asked");
    assert_eq!(third, server(3));
    bench.receive(third, &reply(&query, ResponseCode::ServFail, Vec::new()));
    assert_eq!(bench.ended(), Some(Err(LookupError::ServerFailure)));
}

/// RFC 2308: what does not exist, and for how long.
#[test]
fn absence_has_two_forms_and_a_lifetime() {
    let mut bench = Bench::new(1);
    let (_, query) = bench.ask("gone.example", RecordType::A);
    let mut answer = reply(&query, ResponseCode::NXDomain, Vec::new());
    answer.add_authority(soa(3_600, 90));
    bench.receive(server(1), &answer);
    let ttl = Some(Duration::from_secs(90));
    assert_eq!(bench.ended(), Some(Err(LookupError::NoSuchName { ttl })));

    let (_, query) = bench.ask("pbx.example", RecordType::Aaaa);
    bench.receive(server(1), &reply(&query, ResponseCode::NoError, Vec::new()));
    assert_eq!(
        bench.ended(),
        Some(Err(LookupError::NoRecords { ttl: None }))
    );
}

/// RFC 5452 §9.1: source, id and question are all checked.
#[test]
fn forged_answers_are_ignored() {
    let mut bench = Bench::new(2);
    let (_, query) = bench.ask("pbx.example", RecordType::A);
    let forged = || vec![a("pbx.example", 60, 66), a("evil.example", 60, 66)];
    let good = reply(&query, ResponseCode::NoError, forged());
    for from in [
        SocketAddr::from(([192, 0, 2, 1], 54)),
        SocketAddr::from(([203, 0, 113, 1], 53)),
        // A server of ours, but one that was not asked.
        server(2),
    ] {
        bench.receive(from, &good);
    }
    let mut wrong_id = good.clone();
    wrong_id.metadata.id ^= 1;
    bench.receive(server(1), &wrong_id);
    let other_question = {
        let mut other = Bench::new(1);
        let (_, mut query) = other.ask("evil.example", RecordType::A);
        query.metadata.id = good.metadata.id;
        reply(&query, ResponseCode::NoError, forged())
    };
    bench.receive(server(1), &other_question);
    let mut no_question = good.clone();
    no_question.queries.clear();
    bench.receive(server(1), &no_question);
    let mut not_an_answer = good.clone();
    not_an_answer.metadata.message_type = MessageType::Query;
    bench.receive(server(1), &not_an_answer);
    bench.client.handle_datagram(bench.now, server(1), &[7]);
    assert_eq!(bench.ended(), None);
    assert_eq!(bench.client.stats().ignored, 8);
    bench.receive(server(1), &good);
    assert!(matches!(bench.ended(), Some(Ok(_))));
}

#[test]
fn an_answer_that_cannot_be_read_is_an_outcome_of_its_own() {
    let mut bench = Bench::new(1);
    let (_, query) = bench.ask("pbx.example", RecordType::A);
    for _ in 0..3 {
        let mut datagram = reply(&query, ResponseCode::NoError, vec![a("pbx.example", 60, 1)])
            .to_vec()
            .expect("can be written");
        datagram.truncate(datagram.len() - 3);
        bench
            .client
            .handle_datagram(bench.now, server(1), &datagram);
    }
    assert_eq!(bench.ended(), Some(Err(LookupError::Malformed)));
    assert_eq!(bench.client.stats().malformed, 3);
}

/// RFC 1034 §3.6.2.
#[test]
fn aliases_are_followed_inside_and_beyond_an_answer() {
    let mut bench = Bench::new(1);
    let (_, query) = bench.ask("www.example", RecordType::A);
    let answers = vec![
        alias("mid.example", "end.example"),
        alias("www.example", "mid.example"),
    ];
    bench.receive(server(1), &reply(&query, ResponseCode::NoError, answers));
    let (_, query) = bench.sent().expect("the end of the chain is asked for");
    assert_eq!(query.queries[0].name, name("end.example"));
    bench.receive(
        server(1),
        &reply(&query, ResponseCode::NoError, vec![a("end.example", 60, 1)]),
    );
    assert!(matches!(bench.ended(), Some(Ok(answer)) if answer.records().len() == 1));
}

#[test]
fn aliases_in_a_circle_end() {
    let mut bench = Bench::new(1);
    let (_, query) = bench.ask("a.example", RecordType::A);
    let circle = vec![
        alias("a.example", "b.example"),
        alias("b.example", "a.example"),
    ];
    bench.receive(server(1), &reply(&query, ResponseCode::NoError, circle));
    assert_eq!(bench.ended(), Some(Err(LookupError::ChainTooLong)));

    let (_, mut query) = bench.ask("n0.example", RecordType::A);
    for n in 0.. {
        let next = vec![alias(
            &format!("n{n}.example"),
            &format!("n{}.example", n + 1),
        )];
        bench.receive(server(1), &reply(&query, ResponseCode::NoError, next));
        match bench.sent() {
            Some((_, next)) => query = next,
            None => {
                assert_eq!(n, 8);
                break;
            }
        }
    }
    assert_eq!(bench.ended(), Some(Err(LookupError::ChainTooLong)));
}

/// A question whose answer came cut off, with as many records as `records` has, and the stream that was asked for.
fn cut_off(bench: &mut Bench, records: Vec<WireRecord>) -> (Message, DnsStreamId) {
    let (_, query) = bench.ask("pbx.example", RecordType::A);
    let mut answer = reply(&query, ResponseCode::NoError, records);
    answer.metadata.truncation = true;
    bench.receive(server(1), &answer);
    assert_eq!(bench.ended(), None);
    let Some(DnsStream::Open {
        stream,
        server: to,
        contents,
    }) = bench.client.poll_stream()
    else {
        panic!("a stream is asked for")
    };
    assert_eq!(to, server(1));
    assert_eq!(
        usize::from(u16::from_be_bytes([contents[0], contents[1]])),
        contents.len() - 2
    );
    let query = Message::from_vec(&contents[2..]).expect("is DNS");
    (query, stream)
}

fn framed(message: &Message) -> Vec<u8> {
    let message = message.to_vec().expect("can be written");
    let mut bytes = (message.len() as u16).to_be_bytes().to_vec();
    bytes.extend(message);
    bytes
}

/// RFC 7766 §5.
#[test]
fn what_is_cut_off_is_asked_for_over_a_stream() {
    let mut bench = Bench::new(1);
    let (query, stream) = cut_off(&mut bench, vec![a("pbx.example", 60, 1)]);
    let all = (1..=60).map(|n| a("pbx.example", 60, n)).collect();
    let bytes = framed(&reply(&query, ResponseCode::NoError, all));
    for byte in bytes {
        assert_eq!(bench.ended(), None);
        bench.client.handle_stream(bench.now, stream, &[byte]);
    }
    let Some(Ok(answer)) = bench.ended() else {
        panic!("it was answered")
    };
    assert_eq!((answer.records().len(), answer.is_truncated()), (60, false));
    assert_eq!(
        bench.client.poll_stream(),
        Some(DnsStream::Close { stream })
    );
    assert_eq!(bench.client.stats().streams, 1);
    assert_eq!(bench.client.poll_timeout(), None);
}

#[test]
fn a_stream_that_does_not_help_leaves_what_the_datagram_said() {
    type Trouble = fn(&mut Bench, &Message, DnsStreamId);
    let troubles: [Trouble; 4] = [
        |bench, _, stream| bench.client.handle_stream_end(bench.now, stream),
        |bench, _, _| while bench.wait().is_some() {},
        |bench, query, stream| {
            let mut forged = reply(query, ResponseCode::NoError, vec![a("pbx.example", 60, 66)]);
            forged.metadata.id ^= 1;
            bench
                .client
                .handle_stream(bench.now, stream, &framed(&forged));
        },
        |bench, _, stream| bench.client.handle_stream(bench.now, stream, &[0, 2, 7, 7]),
    ];
    for trouble in troubles {
        let mut bench = Bench::new(1);
        let (query, stream) = cut_off(&mut bench, vec![a("pbx.example", 60, 1)]);
        trouble(&mut bench, &query, stream);
        assert!(matches!(bench.ended(), Some(Ok(answer)) if answer.is_truncated()));
        assert_eq!(
            bench.client.poll_stream(),
            Some(DnsStream::Close { stream })
        );

        let (query, stream) = cut_off(&mut bench, Vec::new());
        trouble(&mut bench, &query, stream);
        assert_eq!(bench.ended(), Some(Err(LookupError::Truncated)));
        assert_eq!(
            (bench.client.stats().open, bench.client.streams.len()),
            (0, 0)
        );
    }
}

#[test]
fn an_alias_that_came_over_a_stream_is_followed_by_datagram() {
    let mut bench = Bench::new(1);
    let (query, stream) = cut_off(&mut bench, Vec::new());
    let answers = vec![alias("pbx.example", "end.example")];
    let bytes = framed(&reply(&query, ResponseCode::NoError, answers));
    bench.client.handle_stream(bench.now, stream, &bytes);
    let (_, query) = bench.sent().expect("the end of the chain is asked for");
    let answers = vec![a("end.example", 60, 1)];
    bench.receive(server(1), &reply(&query, ResponseCode::NoError, answers));
    assert!(matches!(bench.ended(), Some(Ok(_))));
}

#[test]
fn a_client_without_streams_says_that_an_answer_was_cut_off() {
    let mut bench = Bench::new(1);
    let config = DnsConfig::new([server(1)]).streams(false);
    bench.client = DnsClient::new(config, Rng::new([6; 32]), bench.now);
    let (_, query) = bench.ask("pbx.example", RecordType::A);
    let mut answer = reply(&query, ResponseCode::NoError, vec![a("pbx.example", 60, 1)]);
    answer.metadata.truncation = true;
    bench.receive(server(1), &answer);
    assert!(matches!(bench.ended(), Some(Ok(answer)) if answer.is_truncated()));
    assert_eq!(bench.client.poll_stream(), None);
}

/// RFC 6891 §7.
#[test]
fn a_server_that_does_not_know_edns_is_asked_without_it() {
    let mut bench = Bench::new(1);
    let (_, query) = bench.ask("pbx.example", RecordType::A);
    let mut refusal = reply(&query, ResponseCode::FormErr, Vec::new());
    refusal.queries.clear();
    bench.receive(server(1), &refusal);
    let (to, query) = bench.sent().expect("asked again");
    assert_eq!((to, query.edns.is_none()), (server(1), true));
    bench.receive(
        server(1),
        &reply(&query, ResponseCode::NoError, vec![a("pbx.example", 60, 1)]),
    );
    assert!(matches!(bench.ended(), Some(Ok(_))));
}

#[test]
fn without_servers_or_room_the_answer_is_immediate() {
    let mut bench = Bench::new(0);
    let question = Question::of("pbx.example", RecordType::A);
    bench.client.ask(bench.now, bench.caller, &question);
    assert_eq!(bench.ended(), Some(Err(LookupError::NoServer)));

    let config = DnsConfig::new([server(1)]).questions(100);
    bench.client = DnsClient::new(config, Rng::new([6; 32]), bench.now);
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..101 {
        bench.client.ask(bench.now, bench.caller, &question);
        ids.extend(bench.sent().map(|(_, query)| query.metadata.id));
    }
    assert_eq!(ids.len(), 100, "no two open questions have one id");
    assert_eq!(bench.ended(), Some(Err(LookupError::TooManyQuestions)));
    while bench.wait().is_some() {}
    assert_eq!(bench.client.stats().open, 0);
}

#[test]
fn servers_that_change_are_asked_from_the_next_attempt_on() {
    let mut bench = Bench::new(1);
    let (_, query) = bench.ask("pbx.example", RecordType::A);
    bench.client.set_servers([server(7)]);
    let answer = reply(&query, ResponseCode::NoError, vec![a("pbx.example", 60, 1)]);
    bench.receive(server(7), &answer);
    assert_eq!(bench.ended(), None);
    let mut next = None;
    while next.is_none() {
        bench.wait();
        next = bench.sent();
    }
    assert_eq!(next.map(|(to, _)| to), Some(server(7)));
    bench.receive(server(7), &answer);
    assert!(matches!(bench.ended(), Some(Ok(_))));
}

#[test]
fn no_datagram_panics_and_every_question_ends_once() {
    let mut rng = Rng::new([8; 32]);
    for _ in 0..2_000 {
        let mut bench = Bench::new(2);
        let (to, query) = bench.ask("pbx.example", RecordType::A);
        let answers = vec![alias("pbx.example", "b.example"), a("b.example", 60, 1)];
        let mut datagram = reply(&query, ResponseCode::NoError, answers)
            .to_vec()
            .expect("can be written");
        for _ in 0..1 + rng.below(4) {
            let at = 2 + rng.below(datagram.len() as u64 - 2) as usize;
            datagram[at] = rng.next_u32() as u8;
        }
        if rng.below(4) == 0 {
            datagram.truncate(rng.below(datagram.len() as u64) as usize);
        }
        bench.client.handle_datagram(bench.now, to, &datagram);
        let mut ends = u32::from(bench.ended().is_some());
        while bench.wait().is_some() {
            ends += u32::from(bench.ended().is_some());
        }
        assert_eq!((ends, bench.ended()), (1, None));
    }
}
