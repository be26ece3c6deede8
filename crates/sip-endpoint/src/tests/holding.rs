//! A core that is behind: connections are not read meanwhile, and nothing of what they carry is lost.

use super::harness::*;
use crate::{Event, ServerTransactionId};
use sip_io::{Flow, Transmit};
use sip_message::{Frame, Limits, Message, Response, StatusCode, StreamFramer};
use std::{collections::VecDeque, time::Duration};

/// The peers of connections, and what waits in them while they are not read.
struct Peers {
    rig: Rig,
    flows: Vec<Flow>,
    paused: Vec<Flow>,
    waiting: VecDeque<(Flow, String)>,
    /// Who was told, in the order in which they were
    told: Vec<String>,
    /// How often all stood still
    pauses: usize,
    owed: Vec<(ServerTransactionId, Response)>,
    answered: Vec<(Flow, String)>,
}

impl Peers {
    fn new(flows: u64) -> Self {
        let mut rig = Rig::new();
        let flows =
            (0..flows).map(|number| rig.accept(number, &format!("192.0.2.2:{}", 4_000 + number)));
        let flows = flows.collect();
        rig.events();
        Self {
            rig,
            flows,
            paused: Vec::new(),
            waiting: VecDeque::new(),
            told: Vec::new(),
            pauses: 0,
            owed: Vec::new(),
            answered: Vec::new(),
        }
    }

    /// Sends as a driver does that heeds what it is told about reading.
    fn send(&mut self, flow: Flow, text: String) {
        if self.paused.contains(&flow) {
            self.waiting.push_back((flow, text));
        } else {
            self.rig.bytes(flow, text);
            self.look();
        }
    }

    fn look(&mut self) {
        for transmit in self.rig.transmits() {
            match transmit {
                Transmit::Pause { flow } => {
                    assert!(!self.paused.contains(&flow), "told once");
                    self.paused.push(flow);
                    self.pauses += usize::from(self.paused.len() == self.flows.len());
                }
                Transmit::Resume { flow } => self.paused.retain(|paused| *paused != flow),
                Transmit::Stream { flow, contents } => {
                    let mut framer = StreamFramer::new(Limits::default());
                    framer.push(&contents);
                    while let Ok(Some(Frame::Message(message))) = framer.next() {
                        let Ok(Message::Response(response)) = Message::parse(message) else {
                            panic!("no response")
                        };
                        assert_eq!(response.status(), StatusCode::OK);
                        let call = response.call_id().unwrap().as_str().to_owned();
                        self.answered.push((flow, call));
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        for event in self.rig.events() {
            if let Event::Request { id, request, .. } = event {
                self.told
                    .push(request.call_id().unwrap().as_str().to_owned());
                self.owed
                    .push((id, request.response(StatusCode::OK).build()));
            }
        }
    }
}

fn burst(name: &str, count: usize) -> String {
    (0..count)
        .map(|number| inbound("OPTIONS", "TCP 192.0.2.2:5060", &format!("{name}{number}")))
        .collect()
}

fn names(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{name}{number}")).collect()
}

#[test]
fn a_stack_that_is_behind_holds_its_connections_and_loses_nothing() {
    let mut peers = Peers::new(2);
    let (one, two) = (peers.flows[0], peers.flows[1]);
    // More than a core is given in one turn: it is behind, and neither connection is read.
    peers.send(one, burst("a", 10_000));
    assert_eq!(peers.paused.len(), 2);
    assert!(!peers.told.is_empty() && peers.told.len() < 10_000);
    peers.send(two, burst("b", 3));
    assert_eq!(peers.waiting.len(), 1, "the other one waits as well");
    // Who comes meanwhile is let in, and waits, too.
    let late = peers.rig.accept(9, "192.0.2.3:4000");
    peers.flows.push(late);
    peers.look();
    peers.send(late, burst("c", 3));
    assert_eq!(peers.waiting.len(), 2);
    // Time passes, and what waited goes on its way as soon as it is read again.
    for _ in 0..100 {
        peers.rig.wait(Duration::from_millis(1));
        peers.look();
        if peers.paused.is_empty() {
            for (flow, text) in std::mem::take(&mut peers.waiting) {
                peers.send(flow, text);
            }
        }
    }
    for (id, answer) in std::mem::take(&mut peers.owed) {
        peers.rig.command(|cx| cx.respond(id, answer)).unwrap();
    }
    peers.look();
    assert!(peers.paused.is_empty() && peers.waiting.is_empty());
    assert!(peers.pauses >= 2, "behind for more than one turn");
    let expected = [names("a", 10_000), names("b", 3), names("c", 3)].concat();
    assert_eq!(peers.told, expected, "each is told once, in order");
    let mut calls = peers.answered.iter().map(|(_, call)| call.clone());
    assert!(calls.by_ref().eq(expected), "and answered");
    let ways = [(one, 10_000), (two, 3), (late, 3)];
    for (flow, count) in ways {
        let back = peers.answered.iter().filter(|(way, _)| *way == flow);
        assert_eq!(back.count(), count, "on its own connection");
    }
    assert_eq!(peers.rig.stack.endpoint().stats().refused, 0);
}
