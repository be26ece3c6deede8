//! Several transports that share the work of one.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{CloseReason, SendError, Sharding};
use sip_io::{FailReason, Note, Parcel, Shard};

/// Transports with the same listeners, which hand each other what they steer.
struct Mesh(Vec<Stage>);

impl Mesh {
    fn new(count: usize) -> Self {
        let config = |me| TransportConfig::default().sharding(Sharding::new(me, count, [9; 32]));
        let mut mesh = Self(
            Shard::first(count)
                .map(|me| Stage::with(config(me)))
                .collect(),
        );
        mesh.settle();
        mesh
    }

    /// Hands over what is steered until nothing is.
    fn settle(&mut self) {
        loop {
            let mut quiet = true;
            for from in 0..self.0.len() {
                self.0[from].drain();
                let out = std::mem::take(&mut self.0[from].out);
                for transmit in out {
                    let Transmit::Steer { to, parcel } = transmit else {
                        self.0[from].out.push(transmit);
                        continue;
                    };
                    quiet = false;
                    let from = Shard::new(from).unwrap();
                    assert_ne!(from, to, "{parcel:?}");
                    self.0[to.index()].receive(Receive::Steered { from, parcel });
                }
            }
            if quiet {
                return;
            }
        }
    }

    fn datagram(&mut self, at: usize, port: u16, contents: &str) {
        self.0[at].datagram(udp_from(port), contents.to_owned());
        self.settle();
    }

    fn bytes(&mut self, at: usize, flow: Flow, contents: &str) {
        self.0[at].bytes(flow, contents.to_owned());
        self.settle();
    }

    /// A peer opens a connection to one of them.
    fn accept(&mut self, at: usize) -> Flow {
        let stage = &mut self.0[at];
        stage.accepted += 1;
        let id = StreamId::accepted(stage.accepted).of_shard(Shard::new(at).unwrap());
        let flow = Flow::stream(Protocol::Tcp, id, local(), peer(40_000));
        stage.receive(Receive::Opened { flow });
        self.settle();
        flow
    }

    /// The events of each since the last time.
    fn events(&mut self) -> Vec<Vec<Event>> {
        self.0.iter_mut().map(Stage::events).collect()
    }

    /// A Call-ID whose messages meet at `shard`.
    fn call_for(&self, shard: usize) -> String {
        let sharding = self.0[shard].transport.config.sharding.as_ref().unwrap();
        let mut calls = (0..).map(|number| format!("call-{number}"));
        calls.find(|call| sharding.is_mine(call)).unwrap()
    }

    fn send(&mut self, at: usize, flow: &Flow, message: &'static str) -> Result<(), SendError> {
        let stage = &mut self.0[at];
        let sent = stage.transport.send(stage.now, flow, message.into());
        self.settle();
        sent
    }
}

fn request(method: &str, call_id: &str, branch: &str) -> String {
    options("198.51.100.7", "")
        .replace("OPTIONS", method)
        .replace("7@example.com", call_id)
        .replace("z9hG4bK1", branch)
}

/// Whatever socket or connection they come by, all messages with one Call-ID meet on one shard; a response, on the shard
/// whose branch it carries.
#[test]
fn everything_of_a_dialog_meets_on_one_shard() {
    let mut mesh = Mesh::new(4);
    let mut rng = Rng::new([1; 32]);
    let streams: Vec<Flow> = (0..4).map(|at| mesh.accept(at)).collect();
    let mut met: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    mesh.events();
    for number in 0..2_000 {
        let methods = ["INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS"];
        let method = methods[rng.below(6) as usize];
        let call_id = format!("{}@host", rng.below(60));
        let message = request(method, &call_id, &format!("z9hG4bK{number}"));
        let at = rng.below(4) as usize;
        if rng.below(2) == 0 {
            mesh.datagram(at, 1_024 + rng.below(60_000) as u16, &message);
        } else {
            mesh.bytes(at, streams[at], &message);
        }
        for (shard, events) in mesh.events().into_iter().enumerate() {
            for event in events {
                let Event::Request { request, flow } = event else {
                    panic!("{event:?}");
                };
                assert!(mesh.0[shard].transport.is_open(&flow));
                let call_id = request.call_id().unwrap().as_str().to_owned();
                met.entry(call_id).or_default().insert(shard);
            }
        }
    }
    assert_eq!(met.len(), 60);
    assert!(met.values().all(|shards| shards.len() == 1), "{met:?}");
    let used: BTreeSet<usize> = met.values().flatten().copied().collect();
    assert_eq!(used.len(), 4);
}

#[test]
fn a_response_comes_to_the_shard_that_sent_the_request() {
    let mut mesh = Mesh::new(4);
    for sender in 0..4 {
        let sharding = mesh.0[sender].transport.config.sharding.clone().unwrap();
        let [high, low] = sharding.mark();
        for at in 0..4 {
            let branch = format!("z9hG4bK{high}{low}xyz");
            let response = ok("UDP", "192.0.2.1:5060").replace("z9hG4bK1", &branch);
            mesh.datagram(at, 5_060, &response);
            let told = mesh.events();
            let here = |events: &Vec<Event>| matches!(events[..], [Event::Response { .. }]);
            for (shard, events) in told.iter().enumerate() {
                assert_eq!(here(events), shard == sender, "{shard}: {events:?}");
            }
        }
    }
}

/// A connection is written on by every shard, and its end reaches those that have used it.
#[test]
fn a_connection_serves_all_shards_and_its_end_reaches_those_that_used_it() {
    let mut mesh = Mesh::new(4);
    let flow = mesh.accept(1);
    let call_id = mesh.call_for(3);
    mesh.bytes(1, flow, &request("INVITE", &call_id, "z9hG4bK1"));
    assert!(matches!(mesh.events()[3][..], [Event::Request { flow: told, .. }] if told == flow));
    // What we write about ourselves there is what its owner would write.
    let sent_by = |shard: usize| mesh.0[shard].transport.sent_by(&flow);
    assert_eq!(sent_by(3), sent_by(1));
    assert_eq!(
        mesh.0[3].transport.listener_of(&flow),
        mesh.0[1].transport.listener_of(&flow)
    );
    mesh.send(3, &flow, "an answer").unwrap();
    assert_eq!(mesh.0[1].sent(), [(flow, "an answer".to_owned())]);
    // Who has not used it does not know it.
    assert!(!mesh.0[0].transport.is_open(&flow));
    assert_eq!(mesh.send(0, &flow, "x"), Err(SendError::Gone));
    mesh.0[1].receive(Receive::Closed {
        flow,
        reason: sip_io::CloseReason::ByPeer,
    });
    mesh.settle();
    let ended = |events: &Vec<Event>| {
        matches!(
            events[..],
            [Event::Closed {
                reason: CloseReason::ByPeer,
                ..
            }]
        )
    };
    let told: Vec<bool> = mesh.events().iter().map(ended).collect();
    assert_eq!(told, [false, true, false, true]);
    assert!(!mesh.0[3].transport.is_open(&flow));
    assert_eq!(mesh.send(3, &flow, "x"), Err(SendError::Gone));
}

/// A flow may be told by another shard than its owner, such as the one that keeps the bindings.
#[test]
fn who_watches_a_connection_may_use_it_and_learns_of_its_end() {
    let mut mesh = Mesh::new(3);
    let flow = mesh.accept(0);
    mesh.events();
    mesh.0[2].transport.watch(&flow);
    mesh.settle();
    assert!(mesh.0[2].transport.is_open(&flow));
    mesh.send(2, &flow, "hello").unwrap();
    assert_eq!(mesh.0[0].sent().len(), 1);
    let now = mesh.0[0].now;
    mesh.0[0].transport.close(&flow);
    mesh.0[0].transport.handle_timeout(now);
    mesh.settle();
    assert!(matches!(mesh.events()[2][..], [Event::Closed { flow: told, .. }] if told == flow));
    // It is gone already when it is watched: that is told as well.
    mesh.0[1].transport.watch(&flow);
    mesh.settle();
    assert!(matches!(mesh.events()[1][..], [Event::Closed { flow: told, .. }] if told == flow));
    assert!(!mesh.0[1].transport.is_open(&flow));
}

/// What was under way to a connection when it ended is told as its end.
#[test]
fn writing_on_a_connection_that_has_just_ended_is_told() {
    let mut mesh = Mesh::new(2);
    let flow = mesh.accept(0);
    mesh.events();
    mesh.0[1].transport.watch(&flow);
    mesh.settle();
    let stage = &mut mesh.0[1];
    stage
        .transport
        .send(stage.now, &flow, "late".into())
        .unwrap();
    mesh.0[0].receive(Receive::Closed {
        flow,
        reason: sip_io::CloseReason::Broken(std::io::ErrorKind::ConnectionReset),
    });
    mesh.settle();
    assert!(mesh.0[0].sent().is_empty());
    let told = mesh.events();
    assert_eq!(told[1].len(), 1, "once: {told:?}");
}

#[test]
fn a_silent_connection_is_given_up_for_everybody() {
    let mut mesh = Mesh::new(3);
    let flow = mesh.accept(0);
    mesh.events();
    for user in [1, 2] {
        mesh.0[user].transport.watch(&flow);
    }
    mesh.settle();
    mesh.0[1].transport.give_up(&flow);
    mesh.settle();
    assert!(mesh.0[0].is_closing(flow));
    for events in mesh.events() {
        assert!(matches!(events[..], [Event::Closed { .. }]), "{events:?}");
    }
}

/// RFC 5626 §5.4: the registrar that a device promised signs of life to is not where its connection is.
#[test]
fn a_promise_made_to_one_shard_is_held_by_the_owner_of_the_connection() {
    let mut mesh = Mesh::new(2);
    let flow = mesh.accept(0);
    mesh.events();
    let stage = &mut mesh.0[1];
    stage.transport.watch(&flow);
    let within = Some(Duration::from_secs(20));
    stage.transport.expect_keep_alives(stage.now, &flow, within);
    mesh.settle();
    mesh.0[0].until(21);
    mesh.settle();
    for events in mesh.events() {
        assert!(matches!(events[..], [Event::Closed { .. }]), "{events:?}");
    }
}

/// What is no proper message belongs to nobody, so whoever gets it answers or drops it.
#[test]
fn what_cannot_be_read_is_answered_where_it_came() {
    let mut mesh = Mesh::new(3);
    let flow = mesh.accept(2);
    mesh.events();
    let call_id = mesh.call_for(1);
    let whole = request("OPTIONS", &call_id, "z9hG4bK1");
    let broken = [
        whole.replace("CSeq: 1 OPTIONS", "CSeq: 99999999999 OPTIONS"),
        whole.replace("Max-Forwards", "CSeq: 1 OPTIONS\r\nMax-Forwards"),
    ];
    for text in broken {
        mesh.datagram(0, 5_060, &text);
        mesh.bytes(2, flow, &text);
        for (shard, answers) in [(0, 1), (1, 0), (2, 1)] {
            let sent = mesh.0[shard].sent();
            assert_eq!(sent.len(), answers, "by {shard} to {text}");
            assert!(sent.iter().all(|(_, text)| text.starts_with("SIP/2.0 400")));
        }
    }
    mesh.datagram(0, 5_060, "\r\n\r\n");
    mesh.datagram(0, 5_060, "no message at all\r\n\r\n");
    assert!(mesh.events().iter().all(Vec::is_empty));
    let steered = |stage: &Stage| stage.transport.stats().steered;
    assert_eq!(mesh.0.iter().map(steered).sum::<u64>(), 0);
}

/// The system tells of an undelivered datagram at any of the sockets that share an address.
#[test]
fn an_undelivered_datagram_is_told_to_every_shard() {
    let mut mesh = Mesh::new(3);
    let (flow, reason) = (udp_from(5_060), FailReason::Unreachable);
    mesh.0[1].receive(Receive::Failed { flow, reason });
    mesh.settle();
    for events in mesh.events() {
        assert!(matches!(events[..], [Event::Failed { flow: told, .. }] if told == flow));
    }
}

/// A call that another one takes the place of (RFC 3891) meets on that one's shard, wherever its messages come.
#[test]
fn an_adopted_call_meets_on_the_shard_that_has_it() {
    let mut mesh = Mesh::new(4);
    let call = mesh.call_for(1);
    let other = format!("{call}-other");
    let met = |mesh: &mut Mesh, call: &str| {
        let mut shards = BTreeSet::new();
        for at in 0..4 {
            mesh.datagram(at, 5_060, &request("BYE", call, &format!("z9hG4bK{at}")));
            let events = mesh.events();
            shards.extend((0..4).filter(|shard| !events[*shard].is_empty()));
        }
        Vec::from_iter(shards)
    };
    let others_home = met(&mut mesh, &other);
    assert_eq!(met(&mut mesh, &call), [1]);
    let adopt = |mesh: &mut Mesh, at: usize, by: usize| {
        let by = Shard::new(by).unwrap();
        mesh.0[at].transport.adopt(&call, by).unwrap();
        mesh.settle();
    };
    adopt(&mut mesh, 1, 3);
    assert_eq!(met(&mut mesh, &call), [3]);
    assert_eq!(met(&mut mesh, &other), others_home, "no other call");
    // A response still goes to who sent the request, whoever has the call.
    let [high, low] = mesh.0[2].transport.config.sharding.as_ref().unwrap().mark();
    let sent = request("BYE", &call, &format!("z9hG4bK{high}{low}1"));
    let via = format!("Via: SIP/2.0/UDP {LOCAL}:5060");
    let sent = sent.replace("Via: SIP/2.0/UDP 198.51.100.7", &via);
    let response = sent.replace(sent.lines().next().unwrap(), "SIP/2.0 200 OK");
    mesh.datagram(0, 5_060, &response);
    let told: Vec<usize> = mesh.events().iter().map(Vec::len).collect();
    assert_eq!(told, [0, 0, 1, 0], "{response}");
    // It may be handed on, and it comes home at the end; then nothing is left.
    adopt(&mut mesh, 3, 0);
    assert_eq!(met(&mut mesh, &call), [0]);
    adopt(&mut mesh, 0, 1);
    assert_eq!(met(&mut mesh, &call), [1]);
    assert!(
        mesh.0
            .iter()
            .all(|stage| stage.transport.stats().adopted == 0)
    );
}

#[test]
fn adopted_calls_are_bounded_and_a_known_one_may_move_at_the_limit() {
    let sharding = Sharding::new(Shard::default(), 2, [9; 32]);
    let config = TransportConfig::default().sharding(sharding.clone());
    let mut stage = Stage::with(config.adoptions(2));
    let calls: Vec<String> = (0..64).map(|number| format!("call-{number}")).collect();
    let theirs: Vec<_> = calls
        .iter()
        .filter(|call| !sharding.is_mine(call))
        .take(3)
        .collect();
    let mut adopt = |call: &str, by: usize| {
        let adopted = stage.transport.adopt(call, Shard::new(by).unwrap());
        let stats = stage.transport.stats();
        (adopted.is_ok(), stats.adopted, stats.adoptions_refused)
    };
    assert_eq!(adopt(theirs[0], 0), (true, 1, 0));
    assert_eq!(adopt(theirs[1], 0), (true, 2, 0));
    assert_eq!(adopt(theirs[2], 0), (false, 2, 1));
    assert_eq!(adopt(theirs[0], 0), (true, 2, 1));
    assert_eq!(adopt(theirs[0], 1), (true, 1, 1));
    assert_eq!(adopt(theirs[2], 0), (true, 2, 1));
    // Where nobody shares the work there is nobody to agree with.
    let mut alone = Stage::new();
    assert_eq!(alone.transport.adopt("call", Shard::default()), Ok(()));
    assert_eq!(alone.transport.stats().adopted, 0);
}

/// RFC 8489 §5: the number of a question comes back in its answer, and ends with that of the shard that asked.
#[test]
fn a_stun_answer_comes_to_the_shard_that_asked() {
    let mut mesh = Mesh::new(3);
    let mut answer = vec![1, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    answer.extend_from_slice(&[7; 11]);
    answer.push(2);
    let question = [&[0, 1], &answer[2..]].concat();
    mesh.0[0].datagram(udp_from(3_478), answer);
    mesh.settle();
    let told: Vec<usize> = mesh.events().iter().map(Vec::len).collect();
    assert_eq!(told, [0, 0, 1]);
    // A question is answered by whoever gets it.
    mesh.0[0].datagram(udp_from(3_478), question);
    mesh.settle();
    let told: Vec<usize> = mesh.events().iter().map(Vec::len).collect();
    assert_eq!(told, [1, 0, 0]);
}

/// What finds no room is counted; a write that is lost fails what it was part of.
#[test]
fn what_finds_no_room_is_counted_and_a_lost_write_is_a_failure() {
    let mut mesh = Mesh::new(2);
    let flow = mesh.accept(0);
    let call_id = mesh.call_for(1);
    mesh.0[0].datagram(udp_from(5_060), request("OPTIONS", &call_id, "z9hG4bK1"));
    mesh.0[1].transport.watch(&flow);
    mesh.settle();
    mesh.events();
    let refuse = |stage: &mut Stage, to: usize, parcel: Parcel| {
        stage.receive(Receive::Unsteered {
            to: Shard::new(to).unwrap(),
            parcel: Box::new(parcel),
        });
    };
    let (udp, contents) = (udp_from(5_060), Bytes::from_static(b"x"));
    let message = Parcel::Message {
        flow: udp,
        contents: contents.clone(),
    };
    refuse(&mut mesh.0[0], 1, message);
    refuse(&mut mesh.0[1], 0, Parcel::Write { flow, contents });
    let (lost, steered) = (mesh.0[0].transport.stats(), mesh.0[1].transport.stats());
    assert_eq!(
        (lost.steered, lost.steer_lost, steered.steer_lost),
        (1, 1, 1)
    );
    let told = mesh.events();
    assert!(told[0].is_empty());
    assert!(matches!(told[1][..], [Event::Failed { flow: failed, .. }] if failed == flow));
}

#[test]
fn a_note_comes_to_the_user_of_the_other_shard() {
    let mut mesh = Mesh::new(2);
    mesh.0[0]
        .transport
        .tell(Shard::new(1).unwrap(), Note::new(7_u8));
    mesh.settle();
    let told = mesh.events();
    let [Event::Note { from, note }] = &told[1][..] else {
        panic!("{told:?}");
    };
    assert_eq!((from.index(), note.get::<u8>()), (0, Some(&7)));
}

/// Alone, nothing is steered, and numbers are what they always were.
#[test]
fn one_shard_alone_is_none() {
    let sharding = Sharding::new(Shard::default(), 1, [9; 32]);
    let mut stage = Stage::with(TransportConfig::default().sharding(sharding));
    stage.datagram(udp_from(5_060), request("OPTIONS", "any", "z9hG4bK1"));
    assert!(matches!(stage.events()[..], [Event::Request { .. }]));
    let failed = (udp_from(5_060), FailReason::Unreachable);
    let (flow, reason) = failed;
    stage.receive(Receive::Failed { flow, reason });
    assert!(stage.out.is_empty(), "{:?}", stage.out);
}
