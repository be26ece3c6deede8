//! A WebSocket server takes whatever a client sends: the same messages however the bytes come, and it never grows.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sip_io::{Flow, Protocol, Receive, Rng, StateMachine, StreamId, Transmit};
use sip_transport::{Event, Transport, TransportConfig};
use std::{net::SocketAddr, time::Instant};

/// What a client sends first, unless it is to be made up as well.
const REQUEST: &[u8] = b"GET /sip HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// What came of the bytes of one connection.
#[derive(Debug, PartialEq)]
struct Outcome {
    messages: Vec<Bytes>,
    closed: bool,
}

fn outcome(now: Instant, data: &[u8], step: usize, head: bool) -> Outcome {
    let config = TransportConfig::default().message_size(4_096).answers_per_second(u32::MAX);
    let mut server = Transport::new(config, Rng::new([7; 32]), now);
    server.listen(now, "ws:192.0.2.1:80".parse().expect("is a listener"));
    let Some(Transmit::Bind { token, local, .. }) = server.poll_transmit() else {
        panic!("nothing to bind")
    };
    server.handle_receive(now, Receive::Bound { token, result: Ok(local) });
    let peer: SocketAddr = "198.51.100.7:40000".parse().expect("is an address");
    let flow = Flow::stream(Protocol::Ws, StreamId::accepted(1), local, peer);
    server.handle_receive(now, Receive::Opened { flow });
    let head = if head { REQUEST } else { &[] };
    let mut outcome = Outcome { messages: Vec::new(), closed: false };
    let mut written = 0;
    for contents in std::iter::once(head).chain(data.chunks(step)) {
        let contents = Bytes::copy_from_slice(contents);
        server.handle_receive(now, Receive::Stream { flow, contents });
        while let Some(transmit) = server.poll_transmit() {
            match transmit {
                Transmit::Stream { contents, .. } => written += contents.len(),
                Transmit::Close { .. } => outcome.closed = true,
                _ => {}
            }
        }
        while let Some(event) = server.poll_event() {
            match event {
                Event::Request { request, .. } => outcome.messages.push(request.to_bytes()),
                Event::Response { response, .. } => outcome.messages.push(response.to_bytes()),
                _ => {}
            }
        }
    }
    // Pongs and refusals are as long as what they answer, and a response repeats a few header fields.
    assert!(written <= 8 * data.len() + 1_024, "{written}");
    outcome
}

fuzz_target!(|data: &[u8]| {
    let [step, choice, data @ ..] = data else { return };
    let now = Instant::now();
    let head = choice % 2 == 0;
    let whole = outcome(now, data, data.len().max(1), head);
    assert_eq!(outcome(now, data, usize::from(*step).max(1), head), whole);
    assert_eq!(outcome(now, data, 1, head), whole);
});
