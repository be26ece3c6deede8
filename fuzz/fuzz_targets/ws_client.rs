//! A WebSocket client takes whatever a server answers and sends: the same messages however the bytes come, and it never
//! grows.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sip_io::{Flow, Protocol, Receive, Rng, StateMachine, Transmit};
use sip_transport::{CloseReason, Event, Target, Transport, TransportConfig};
use std::{net::SocketAddr, time::Instant};
use tungstenite::handshake::derive_accept_key;

/// What came of the bytes of one connection.
#[derive(Debug, PartialEq)]
struct Outcome {
    opened: bool,
    messages: Vec<Bytes>,
    closed: Option<CloseReason>,
}

/// A client whose connection is open, and what it has asked for.
fn asking(now: Instant) -> (Transport, Flow, String) {
    let config = TransportConfig::default().message_size(4_096).answers_per_second(u32::MAX);
    let mut client = Transport::new(config, Rng::new([7; 32]), now);
    let address: SocketAddr = "192.0.2.1:80".parse().expect("is an address");
    let target = Target { protocol: Protocol::Ws, address, name: Some("example.com".to_owned()) };
    let flow = client.flow_to(now, &target).expect("leads there");
    let local = "198.51.100.7:40000".parse().expect("is an address");
    let flow = flow.with_local(local);
    client.handle_receive(now, Receive::Opened { flow });
    let asked = std::iter::from_fn(|| client.poll_transmit()).find_map(|transmit| match transmit {
        Transmit::Stream { contents, .. } => Some(contents),
        _ => None,
    });
    let asked = String::from_utf8(asked.expect("asks").to_vec()).expect("is text");
    (client, flow, asked)
}

/// What a server answers that grants what is asked for.
fn granted(asked: &str) -> String {
    let key = asked.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    let accept = derive_accept_key(key.expect("has a key").as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
    )
}

fn outcome(now: Instant, data: &[u8], step: usize, head: bool) -> Outcome {
    let (mut client, flow, asked) = asking(now);
    let head = if head { granted(&asked) } else { String::new() };
    let mut outcome = Outcome { opened: false, messages: Vec::new(), closed: None };
    let mut written = 0;
    for contents in std::iter::once(head.as_bytes()).chain(data.chunks(step)) {
        let contents = Bytes::copy_from_slice(contents);
        client.handle_receive(now, Receive::Stream { flow, contents });
        while let Some(transmit) = client.poll_transmit() {
            if let Transmit::Stream { contents, .. } = transmit {
                written += contents.len();
            }
        }
        while let Some(event) = client.poll_event() {
            match event {
                Event::Opened { .. } => outcome.opened = true,
                Event::Closed { reason, .. } => outcome.closed = Some(reason),
                Event::Request { request, .. } => outcome.messages.push(request.to_bytes()),
                Event::Response { response, .. } => outcome.messages.push(response.to_bytes()),
                _ => {}
            }
        }
    }
    assert_eq!(client.stats().connections, u64::from(outcome.closed.is_none()));
    // Pongs are as long as what they answer but for the mask, and a response repeats a few header fields.
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
