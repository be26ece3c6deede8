//! The laws of every machine, and any sequence of operations.

use super::harness::*;
use crate::{
    AckId, Draft, EndpointConfig, Event, Listener, RequestId, ServerTransactionId, Sharding, Stack,
};
use sip_io::{
    BindToken, CloseReason, FailReason, Flow, Note, Parcel, Protocol, Receive, Rng, Shard,
    StateMachine, StreamId, Transmit,
};
use sip_message::{Message, Request, StatusCode, Tag};
use sip_runtime::testing::{Step, check_laws};
use std::{
    io,
    time::{Duration, Instant},
};

/// Answers INVITE with 486 and hands the rest on.
#[derive(Debug, Default)]
struct Busy(std::collections::VecDeque<Event>);

impl crate::Core for Busy {
    type Event = Event;

    fn handle_event(&mut self, cx: &mut crate::Context<'_>, event: Event) -> Option<Event> {
        if let Event::Request { id, request, .. } = &event
            && request.method().as_str() == "INVITE"
        {
            let response = request
                .response(StatusCode::BUSY_HERE)
                .to_tag(cx.tag_for(*id));
            cx.respond(*id, response.build()).ok();
            return None;
        }
        if !matches!(event, Event::Request { .. }) {
            self.0.push_back(event);
            return None;
        }
        Some(event)
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.0.pop_front()
    }
}

fn stack(start: Instant, configure: impl FnOnce(EndpointConfig) -> EndpointConfig) -> Stack<Busy> {
    let mut stack = Stack::new(configure(config(start)), Busy::default());
    for listener in [Listener::udp(at(HERE)), Listener::tcp(at(HERE))] {
        stack.command(start, |_, cx| cx.listen(listener.clone()));
    }
    for token in 0..2 {
        stack.handle_receive(
            start,
            Receive::Bound {
                token: BindToken(token),
                result: Ok(at(HERE)),
            },
        );
    }
    stack
}

fn datagram(text: String) -> Step<Stack<Busy>> {
    Step::Receive(Receive::Datagram {
        flow: Flow::udp(at(HERE), at(BOB)),
        contents: text.into(),
    })
}

fn accepted() -> Flow {
    Flow::stream(
        Protocol::Tcp,
        StreamId::accepted(1),
        at(HERE),
        at("192.0.2.2:40000"),
    )
}

#[test]
fn a_stack_keeps_the_laws() {
    let opened = |number| {
        Flow::stream(
            Protocol::Tcp,
            StreamId::opened(number),
            at("192.0.2.1:40000"),
            at(BOB),
        )
    };
    let script = [
        Step::Command(|stack: &mut Stack<Busy>, now| {
            stack.command(now, |_, cx| {
                cx.request(draft("OPTIONS", "sip:bob@bob.example;transport=udp"));
                cx.request(draft("INVITE", "sip:bob@192.0.2.2;transport=tcp").deadline(9 * SECOND));
                cx.acknowledge(draft("ACK", "sip:bob@bob.example;transport=udp"));
            });
        }),
        Step::Wait(Duration::from_millis(700)),
        Step::Receive(Receive::Opened { flow: opened(0) }),
        datagram(inbound("INVITE", "UDP 192.0.2.2", "1")),
        datagram(inbound("INVITE", "UDP 192.0.2.2", "1")),
        datagram(inbound("MESSAGE", "UDP 192.0.2.2", "2")),
        Step::Wait(Duration::from_millis(1300)),
        Step::Receive(Receive::Failed {
            flow: Flow::udp(at(HERE), at(BOB)),
            reason: FailReason::Unreachable,
        }),
        datagram(inbound("CANCEL", "UDP 192.0.2.2", "1")),
        Step::Receive(Receive::Opened { flow: accepted() }),
        Step::Receive(Receive::Stream {
            flow: accepted(),
            contents: inbound("INVITE", "TCP two.example", "3").into(),
        }),
        Step::Receive(Receive::Closed {
            flow: accepted(),
            reason: CloseReason::ByPeer,
        }),
        Step::Wait(Duration::from_secs(20)),
        Step::Receive(Receive::Closed {
            flow: opened(0),
            reason: CloseReason::Broken(io::ErrorKind::ConnectionReset),
        }),
        datagram("garbage".into()),
        Step::Wait(Duration::from_secs(100)),
    ];
    check_laws(|start| stack(start, |config| config.zone(zone())), &script);
}

/// What another shard hands over, and what is for another one.
#[test]
fn a_stack_of_several_keeps_the_laws() {
    let sharding = || Sharding::new(Shard::new(2).unwrap(), 4, [3; 32]);
    let owner = Shard::new(1).unwrap();
    let flow = Flow::stream(
        Protocol::Tcp,
        StreamId::accepted(9).of_shard(owner),
        at(HERE),
        at("192.0.2.2:40000"),
    );
    let steered = |parcel| {
        Step::Receive(Receive::Steered {
            from: owner,
            parcel: Box::new(parcel),
        })
    };
    let mut script = vec![Step::Command(|stack: &mut Stack<Busy>, now| {
        stack.command(now, |_, cx| {
            cx.request(draft("OPTIONS", "sip:bob@bob.example;transport=udp"));
            let (id, local) = (StreamId::accepted(3), at(HERE));
            let elsewhere = Flow::stream(Protocol::Tcp, id, local, at(BOB));
            cx.watch_flow(&elsewhere);
            cx.tell(Shard::default(), Note::new(1));
        });
    })];
    for number in 0..24 {
        let text = inbound("INVITE", "UDP 192.0.2.2", &number.to_string());
        script.push(datagram(text));
    }
    for number in 24..48 {
        let contents = inbound("INVITE", "TCP two.example", &number.to_string()).into();
        script.push(steered(Parcel::Message { flow, contents }));
    }
    script.extend([
        Step::Wait(Duration::from_millis(1300)),
        Step::Receive(Receive::Failed {
            flow: Flow::udp(at(HERE), at(BOB)),
            reason: FailReason::Unreachable,
        }),
        steered(Parcel::Note(Note::new(2))),
        steered(Parcel::Closed {
            flow,
            reason: CloseReason::ByPeer,
        }),
        Step::Wait(Duration::from_secs(3)),
        Step::Receive(Receive::Unsteered {
            to: owner,
            parcel: Box::new(Parcel::Write {
                flow,
                contents: "lost".into(),
            }),
        }),
        Step::Wait(Duration::from_secs(100)),
    ]);
    let several = move |config: EndpointConfig| config.zone(zone()).sharding(sharding());
    check_laws(|start| stack(start, several), &script);
}

#[test]
fn a_stack_that_asks_a_name_server_keeps_the_laws() {
    let bound = |token| {
        Step::Receive(Receive::Bound {
            token: BindToken(token),
            result: Ok(at("0.0.0.0:41000")),
        })
    };
    let script = [
        Step::Command(|stack: &mut Stack<Busy>, now| {
            stack.command(now, |_, cx| {
                cx.request(draft("OPTIONS", "sip:bob@bob.example;transport=udp"));
                cx.request(draft("INVITE", "sip:bob@pbx.example:5070").deadline(2 * SECOND));
            });
        }),
        Step::Wait(Duration::from_millis(600)),
        bound(1 << 63),
        Step::Wait(Duration::from_secs(60)),
    ];
    check_laws(
        |start| stack(start, |config| config.nameservers([at("192.0.2.53:53")])),
        &script,
    );
}

/// What a random run knows of the world.
struct World {
    rng: Rng,
    requests: Vec<RequestId>,
    acks: Vec<AckId>,
    servers: Vec<(ServerTransactionId, Request)>,
    flows: Vec<Flow>,
    sent: Vec<(Flow, Request)>,
    accepted: u64,
}

impl World {
    fn below(&mut self, limit: usize) -> usize {
        (self.rng.next_u64() % limit.max(1) as u64) as usize
    }

    fn one<T: Clone>(&mut self, of: fn(&Self) -> &Vec<T>) -> Option<T> {
        let index = self.below(of(self).len());
        of(self).get(index).cloned()
    }

    fn draft(&mut self) -> Draft {
        const METHODS: [&str; 4] = ["INVITE", "OPTIONS", "MESSAGE", "BYE"];
        const URIS: [&str; 8] = [
            "sip:bob@192.0.2.2",
            "sip:bob@192.0.2.2;transport=tcp",
            "sip:bob@bob.example;transport=udp",
            "sip:bob@tcp.example;transport=tcp",
            "sip:bob@unknown.example",
            "sips:bob@192.0.2.2",
            "tel:+1555",
            "sip:bob@[2001:db8::1]",
        ];
        let (method, uri) = (METHODS[self.below(4)], URIS[self.below(8)]);
        let mut request = request(method, uri);
        if self.below(4) == 0 {
            let content_type = sip_message::headers::ContentType::new("text/plain").unwrap();
            request.set_body(content_type, vec![b'x'; 1300]);
        }
        let draft = Draft::new(request);
        let draft = match self.below(6) {
            0 => draft.deadline(SECOND * self.below(40) as u32),
            1 => draft.to_targets([udp(BOB), tcp(BOB), udp(CAROL)]),
            _ => draft,
        };
        match (self.below(4), self.one(|world| &world.flows)) {
            (0, Some(flow)) => draft.to_flow(flow),
            (1, Some(flow)) => draft.only_flow(flow),
            _ => draft,
        }
    }

    fn status(&mut self) -> StatusCode {
        let codes = [
            StatusCode::TRYING,
            StatusCode::RINGING,
            StatusCode::OK,
            StatusCode::MOVED_TEMPORARILY,
            StatusCode::BUSY_HERE,
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::DECLINE,
        ];
        codes[self.below(codes.len())]
    }
}

/// One operation out of all.
fn operate(rig: &mut Rig, world: &mut World) {
    match world.below(16) {
        0 | 1 => {
            let draft = world.draft();
            let id = rig.request(draft);
            world.requests.push(id);
        }
        2 => {
            if let Some(id) = world.one(|world| &world.requests) {
                rig.command(|cx| cx.cancel(id));
            }
        }
        3 => {
            let draft = world.draft();
            let id = rig.command(|cx| cx.acknowledge(draft));
            world.acks.push(id);
        }
        4 => {
            if let Some(id) = world.one(|world| &world.acks) {
                rig.command(|cx| cx.repeat_acknowledge(id));
            }
            let draft = world.draft();
            rig.command(|cx| cx.forward_ack(draft));
        }
        5 | 6 => {
            if let Some((flow, request)) = world.one(|world| &world.sent) {
                let status = world.status();
                rig.answer(flow, &request, status);
            }
        }
        7 => {
            if let Some((id, request)) = world.one(|world| &world.servers) {
                let status = world.status();
                let response = request.response(status).to_tag(Tag::new("t").unwrap());
                rig.command(|cx| cx.respond(id, response.build()).ok());
            }
        }
        8 => {
            const VIAS: [&str; 3] = ["UDP 192.0.2.2", "UDP 192.0.2.2;rport", "UDP x.invalid"];
            const METHODS: [&str; 5] = ["INVITE", "OPTIONS", "CANCEL", "ACK", "BYE"];
            let (method, via) = (METHODS[world.below(5)], VIAS[world.below(3)]);
            let branch = world.below(8).to_string();
            rig.datagram(BOB, inbound(method, via, &branch));
        }
        9 => {
            world.accepted += 1;
            let flow = rig.accept(world.accepted, "192.0.2.2:40000");
            let via = ["TCP two.example", "TCP 192.0.2.2:5070", "TCP x.invalid"][world.below(3)];
            let branch = format!("s{}", world.accepted);
            rig.bytes(flow, inbound("INVITE", via, &branch));
            world.flows.push(flow);
        }
        10 | 11 => {
            if let Some(flow) = world.one(|world| &world.flows) {
                match world.below(4) {
                    0 => rig.closed(flow),
                    1 => rig.refused(flow),
                    2 => rig.unreachable(flow),
                    _ => rig.opened(flow),
                }
            }
        }
        12 => {
            let token = BindToken((1 << 63) + world.below(2) as u64);
            let result = if world.below(2) == 0 {
                Ok(at("0.0.0.0:41000"))
            } else {
                Err(io::ErrorKind::AddrInUse)
            };
            rig.receive(Receive::Bound { token, result });
        }
        13 => {
            let length = world.below(60);
            let bytes: Vec<u8> = (0..length).map(|_| world.below(256) as u8).collect();
            rig.datagram(BOB, bytes);
        }
        _ => {
            let milliseconds = [1, 100, 1_000, 9_000, 40_000][world.below(5)];
            rig.wait(Duration::from_millis(milliseconds));
        }
    }
}

/// Remembers what happened.
fn look(rig: &mut Rig, world: &mut World) {
    for transmit in rig.transmits() {
        match transmit {
            Transmit::Open { flow } => world.flows.push(flow),
            Transmit::Datagram { flow, contents } | Transmit::Stream { flow, contents } => {
                if let Ok(Message::Request(request)) = Message::parse(contents) {
                    world.flows.push(flow);
                    world.sent.push((flow, request));
                }
            }
            _ => {}
        }
    }
    for event in rig.events() {
        if let Event::Request { id, request, .. } = event {
            world.servers.push((id, *request));
        }
    }
    for known in [world.flows.len(), world.sent.len()] {
        assert!(known < 100_000, "it grows without end");
    }
}

#[test]
fn any_sequence_of_operations_ends_with_nothing_left() {
    for seed in 0..300_u64 {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let mut rig = Rig::with(|config| {
            let config = config.zone(zone()).requests(12).transactions(24);
            if seed % 2 == 0 {
                config.nameservers([at("192.0.2.53:53")])
            } else {
                config
            }
        });
        let mut world = World {
            rng: Rng::new(bytes),
            requests: Vec::new(),
            acks: Vec::new(),
            servers: Vec::new(),
            flows: Vec::new(),
            sent: Vec::new(),
            accepted: 0,
        };
        for _ in 0..120 {
            operate(&mut rig, &mut world);
            look(&mut rig, &mut world);
            let stats = rig.stack.endpoint().stats();
            assert!(stats.requests <= 12 && stats.server_transactions <= 24);
        }
        // INVITEs that nobody answers wait for their user.
        for id in std::mem::take(&mut world.requests) {
            rig.command(|cx| cx.cancel(id));
        }
        for (id, request) in std::mem::take(&mut world.servers) {
            let response = request.response(StatusCode::DECLINE).build();
            rig.command(|cx| cx.respond(id, response).ok());
        }
        rig.finish();
    }
}
