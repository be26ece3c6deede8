//! Transactions from their request to their last timer, in virtual time; an OPTIONS at a user agent.

use std::time::{Instant, SystemTime};

use bytes::Bytes;
use divan::{Bencher, black_box, counter::ItemsCount};
use sip_endpoint::{EndpointConfig, Stack};
use sip_io::{Flow, Receive, Rng, StateMachine, WallClock};
use sip_message::{Request, Response, StatusCode, Tag};
use sip_transaction::{Event, TransactionConfig, TransactionLayer};
use sip_ua::{UaConfig, UserAgent};
use sipwright_benches::{INVITE, OPTIONS};

fn main() {
    divan::main();
}

/// How many transactions live at once.
const COUNTS: [usize; 2] = [100, 10_000];

struct Fixture {
    layer: TransactionLayer,
    flow: Flow,
    now: Instant,
    #[allow(clippy::vec_box)] // as the transport hands them up, one by one
    requests: Vec<Box<Request>>,
    #[allow(clippy::vec_box)]
    responses: Vec<Box<Response>>,
}

/// A layer, and as many requests with a branch of their own as asked for, with the responses to them.
fn fixture(message: &str, branch: &str, count: usize, status: StatusCode) -> Fixture {
    let now = Instant::now();
    let config = TransactionConfig::default();
    let layer = TransactionLayer::new(config, Rng::new([1; 32]), now);
    let local = "192.0.2.1:5060".parse().expect("an address");
    let remote = "192.0.2.101:5060".parse().expect("an address");
    let requests: Vec<_> = (0..count)
        .map(|number| {
            let text = message.replace(branch, &format!("{branch}{number}"));
            Box::new(Request::parse(text.into()).expect("a good request"))
        })
        .collect();
    let tag = Tag::new("314159").expect("a good tag");
    let responses = requests
        .iter()
        .map(|request| Box::new(request.response(status).to_tag(tag.clone()).build()))
        .collect();
    Fixture {
        layer,
        flow: Flow::udp(local, remote),
        now,
        requests,
        responses,
    }
}

impl Fixture {
    fn serve(mut self) -> Self {
        for request in self.requests.drain(..) {
            self.layer.receive_request(self.now, self.flow, request);
        }
        let mut responses = self.responses.drain(..);
        while let Some(event) = self.layer.poll_event() {
            if let Event::Request { id, .. } = event {
                let response = responses.next().expect("a response for each request");
                let sent = self.layer.respond(self.now, id, &response, self.flow);
                sent.expect("the transaction waits for its response");
            }
        }
        drop(responses);
        self
    }

    fn ask(mut self) -> Self {
        for request in &self.requests {
            let started = self.layer.request(self.now, request, self.flow, None);
            started.expect("there is room");
        }
        while let Some(send) = self.layer.poll_transmit() {
            black_box(send);
        }
        for response in self.responses.drain(..) {
            self.layer.receive_response(self.now, self.flow, response);
        }
        self
    }

    /// Lets time pass until no timer is left.
    fn end(mut self) -> TransactionLayer {
        loop {
            while let Some(event) = self.layer.poll_event() {
                black_box(event);
            }
            while let Some(send) = self.layer.poll_transmit() {
                black_box(send);
            }
            match self.layer.poll_timeout() {
                Some(at) => self.layer.handle_timeout(at),
                None => break,
            }
        }
        assert_eq!(self.layer.len_client() + self.layer.len_server(), 0);
        self.layer
    }
}

/// OPTIONS is answered 200; Timer J ends it.
#[divan::bench(args = COUNTS)]
fn server_non_invite(bencher: Bencher<'_, '_>, count: usize) {
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| fixture(OPTIONS, "z9hG4bKhjhs8ass877", count, StatusCode::OK))
        .bench_local_values(|fixture| fixture.serve().end());
}

/// INVITE is answered 486 and nobody acknowledges it: the response is sent again until Timer H.
#[divan::bench(args = COUNTS)]
fn server_invite(bencher: Bencher<'_, '_>, count: usize) {
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| fixture(INVITE, "z9hG4bK74bf9", count, StatusCode::BUSY_HERE))
        .bench_local_values(|fixture| fixture.serve().end());
}

/// OPTIONS is answered 200; Timer K ends it.
#[divan::bench(args = COUNTS)]
fn client_non_invite(bencher: Bencher<'_, '_>, count: usize) {
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| fixture(OPTIONS, "z9hG4bKhjhs8ass877", count, StatusCode::OK))
        .bench_local_values(|fixture| fixture.ask().end());
}

/// INVITE is answered 486, which the layer acknowledges; Timer D ends it.
#[divan::bench(args = COUNTS)]
fn client_invite(bencher: Bencher<'_, '_>, count: usize) {
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| fixture(INVITE, "z9hG4bK74bf9", count, StatusCode::BUSY_HERE))
        .bench_local_values(|fixture| fixture.ask().end());
}

/// OPTIONS from its datagram to that of its 200 at a user agent, which keeps the transaction.
#[divan::bench(args = COUNTS)]
fn options_at_user_agent(bencher: Bencher<'_, '_>, count: usize) {
    let now = Instant::now();
    let clock = WallClock {
        at: now,
        is: SystemTime::UNIX_EPOCH,
    };
    let local = "192.0.2.4:5060".parse().expect("an address");
    let remote = "192.0.2.1:5060".parse().expect("an address");
    let flow = Flow::udp(local, remote);
    let agent = || {
        let agent = UserAgent::new(UaConfig::new([1; 32], clock));
        let datagrams: Vec<Bytes> = (0..count)
            .map(|number| {
                let text = OPTIONS.replace("63104", &number.to_string());
                let branch = format!("ass877{number}");
                text.replace("ass877", &branch).into()
            })
            .collect();
        (
            Stack::new(EndpointConfig::new([2; 32], clock), agent),
            datagrams,
        )
    };
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(agent)
        .bench_local_values(|(mut stack, datagrams)| {
            for contents in datagrams {
                stack.handle_receive(now, Receive::Datagram { flow, contents });
                black_box(stack.poll_transmit().expect("an answer"));
            }
            stack
        });
}
