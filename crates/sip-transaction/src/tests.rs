//! The layer as its user sees it: what goes out and up, and when.

mod acks;
mod cancelling;
mod clients;
mod limits;
mod matching;
mod model;
mod servers;
mod settings;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::{
    ClientTransactionId, Event, Owner, ServerTransactionId, TransactionConfig, TransactionLayer,
};
use sip_io::{Flow, Protocol, Rng, StreamId};
use sip_message::{Message, Method, Request, Response, StatusCode, Tag};

/// A layer, its time, and a ladder of what it did: milliseconds, `->` sent or `up` told, and what.
struct Stage {
    layer: TransactionLayer,
    start: Instant,
    now: Instant,
    ladder: Vec<String>,
    /// What was sent, in order
    sent: Vec<(Flow, Message)>,
    /// What was told, in order
    told: Vec<Event>,
}

impl Stage {
    fn new() -> Self {
        Self::with(TransactionConfig::default())
    }

    #[allow(clippy::disallowed_methods)] // a test needs an instant to start from
    fn with(config: TransactionConfig) -> Self {
        let start = Instant::now();
        Self {
            layer: TransactionLayer::new(config, Rng::new([3; 32]), start),
            start,
            now: start,
            ladder: Vec::new(),
            sent: Vec::new(),
            told: Vec::new(),
        }
    }

    /// Lets time pass until `ms` after the start, doing what is due on the way at its time.
    fn until(&mut self, ms: u64) {
        let end = self.start + Duration::from_millis(ms);
        while let Some(due) = self.layer.poll_timeout().filter(|due| *due <= end) {
            assert!(
                due > self.now || self.now == self.start,
                "time stands still"
            );
            self.now = due;
            self.layer.handle_timeout(due);
            self.drain();
        }
        self.now = end;
    }

    /// Lets time pass until nothing is owed any more.
    fn until_idle(&mut self) {
        while let Some(due) = self.layer.poll_timeout() {
            self.now = due;
            self.layer.handle_timeout(due);
            self.drain();
        }
        assert_eq!((self.layer.len_client(), self.layer.len_server()), (0, 0));
    }

    fn drain(&mut self) {
        let ms = (self.now - self.start).as_millis();
        while let Some(send) = self.layer.poll_transmit() {
            let message = Message::parse(send.contents).unwrap();
            message.check().unwrap();
            assert_eq!(message.is_request(), matches!(send.owner, Owner::Client(_)));
            self.ladder.push(format!("{ms} -> {}", name(&message)));
            self.sent.push((send.flow, message));
        }
        while let Some(event) = self.layer.poll_event() {
            self.ladder.push(format!("{ms} up {}", describe(&event)));
            self.told.push(event);
        }
    }

    /// Compares the ladder since the last time with the lines of `expected`.
    #[track_caller]
    fn expect(&mut self, expected: &str) {
        let expected: Vec<&str> = expected
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        assert_eq!(std::mem::take(&mut self.ladder), expected);
    }

    fn request(&mut self, request: &Request, flow: Flow) -> ClientTransactionId {
        let id = self.layer.request(self.now, request, flow, None).unwrap();
        self.drain();
        id
    }

    fn cancel(&mut self, id: ClientTransactionId) -> crate::Cancelled {
        let cancelled = self.layer.cancel(self.now, id, None).unwrap();
        self.drain();
        cancelled
    }

    fn respond(
        &mut self,
        id: ServerTransactionId,
        response: &Response,
    ) -> Result<(), crate::RespondError> {
        let done = self.layer.respond(self.now, id, response, udp());
        self.drain();
        done
    }

    /// A request comes from the network.
    fn arrive(&mut self, request: &Request, flow: Flow) {
        self.layer.receive_request(self.now, flow, request.clone());
        self.drain();
    }

    /// A response comes from the network.
    fn answer(&mut self, request: &Request, status: u16) {
        self.answer_as(request, status, "theirs");
    }

    fn answer_as(&mut self, request: &Request, status: u16, tag: &str) {
        let response = response(request, status, tag);
        self.layer.receive_response(self.now, udp(), response);
        self.drain();
    }

    /// The id of the last request that was told.
    fn served(&self) -> ServerTransactionId {
        let id = self.told.iter().rev().find_map(|event| match event {
            Event::Request { id, .. } | Event::Cancel { id, .. } => Some(*id),
            _ => None,
        });
        id.unwrap()
    }

    /// The last message that was sent.
    fn last_sent(&self) -> &Message {
        &self.sent.last().unwrap().1
    }
}

fn name(message: &Message) -> String {
    match message {
        Message::Request(request) => request.method().to_string(),
        Message::Response(response) => {
            let cseq = response.cseq().unwrap();
            format!("{} {}", response.status().as_u16(), cseq.method())
        }
    }
}

fn describe(event: &Event) -> String {
    match event {
        Event::Request { request, .. } => format!("Request {}", request.method()),
        Event::Cancel { invite, .. } => format!("Cancel {}", matched(*invite)),
        Event::Ack { invite, .. } => format!("Ack {}", matched(*invite)),
        Event::Response { response, .. } => format!("Response {}", response.status().as_u16()),
        Event::Stray { response, .. } => format!("Stray {}", response.status().as_u16()),
        Event::TimedOut { .. } => "TimedOut".into(),
        Event::Failed { .. } => "Failed".into(),
        Event::Unacknowledged { .. } => "Unacknowledged".into(),
        Event::Overloaded { request, .. } => format!("Overloaded {}", request.method()),
        Event::Ended { .. } => "Ended".into(),
        Event::ServerEnded { .. } => "ServerEnded".into(),
    }
}

fn matched(invite: Option<ServerTransactionId>) -> &'static str {
    if invite.is_some() {
        "matched"
    } else {
        "unmatched"
    }
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn udp() -> Flow {
    Flow::udp(at(5060), SocketAddr::from(([192, 0, 2, 2], 5060)))
}

fn tcp() -> Flow {
    let peer = SocketAddr::from(([192, 0, 2, 2], 5060));
    Flow::stream(Protocol::Tcp, StreamId::opened(1), at(40_000), peer)
}

fn request(method: Method, branch: &str) -> Request {
    parse(&format!(
        "{method} sip:bob@192.0.2.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.2:5060;branch={branch}\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:alice@192.0.2.2>;tag=ours\r\n\
         To: <sip:bob@192.0.2.1>\r\n\
         Call-ID: 7@192.0.2.2\r\n\
         CSeq: 1 {method}\r\n\
         Content-Length: 0\r\n\r\n"
    ))
}

fn invite() -> Request {
    request(Method::INVITE, "z9hG4bKone")
}

fn options() -> Request {
    request(Method::OPTIONS, "z9hG4bKone")
}

/// The same request with another text in the place of one.
fn edited(request: &Request, from: &str, to: &str) -> Request {
    let text = String::from_utf8(request.to_bytes().to_vec()).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    parse(&text.replace(from, to))
}

fn parse(text: &str) -> Request {
    Request::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

fn status(code: u16) -> StatusCode {
    StatusCode::try_from(code).unwrap()
}

fn response(request: &Request, code: u16, tag: &str) -> Response {
    request
        .response(status(code))
        .to_tag(Tag::new(tag).unwrap())
        .build()
}

/// The ACK to a response other than 2xx, as a peer makes it.
fn ack(invite: &Request, tag: &str) -> Request {
    let ack = edited(invite, "INVITE", "ACK");
    edited(
        &ack,
        "To: <sip:bob@192.0.2.1>",
        &format!("To: <sip:bob@192.0.2.1>;tag={tag}"),
    )
}
