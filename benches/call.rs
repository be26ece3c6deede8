//! A call between two user agents in memory: INVITE, 180, 200, ACK, BYE, 200, and then every timer.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use divan::Bencher;
use sip_endpoint::{EndpointConfig, Stack, StackEvent};
use sip_io::{Flow, Receive, StateMachine, Transmit, WallClock};
use sip_message::{StatusCode, Uri};
use sip_transport::Listener;
use sip_ua::{CallOptions, Event, Identity, UaConfig, UserAgent};

fn main() {
    divan::main();
}

const SESSION: Bytes = Bytes::from_static(
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 49172 RTP/AVP 0\r\n",
);

/// Two user agents, and a network that delivers at once.
struct Pair {
    now: Instant,
    alice: Stack<UserAgent>,
    bob: Stack<UserAgent>,
    identity: Identity,
    target: Uri,
}

impl Pair {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            now,
            alice: agent(1, now),
            bob: agent(2, now),
            identity: Identity::new(uri("sip:alice@192.0.2.1")),
            target: uri("sip:bob@192.0.2.2"),
        }
    }

    /// One call, from its INVITE until neither side remembers it.
    fn call(&mut self) {
        self.dial();
        let mut ended = 0;
        while ended < 2 {
            ended += self.exchange();
        }
    }

    fn dial(&mut self) {
        let (identity, target) = (&self.identity, self.target.clone());
        let dialled = self.alice.command(self.now, |agent, cx| {
            agent.call(cx, identity, target, CallOptions::default())
        });
        dialled.expect("there is room for a call");
    }

    /// Carries messages and does what events ask for, until all is quiet; how many calls ended meanwhile.
    fn exchange(&mut self) -> usize {
        let mut ended = 0;
        loop {
            let carried = carry(&mut self.alice, &mut self.bob, self.now)
                + carry(&mut self.bob, &mut self.alice, self.now);
            ended += react(&mut self.alice, self.now) + react(&mut self.bob, self.now);
            if carried == 0 {
                return ended;
            }
        }
    }

    /// Lets time pass until no timer is left.
    fn forget(&mut self) {
        while let Some(at) = [self.alice.poll_timeout(), self.bob.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
        {
            self.now = at;
            self.alice.handle_timeout(at);
            self.bob.handle_timeout(at);
            self.exchange();
        }
        self.now += Duration::from_secs(1);
    }
}

fn uri(text: &str) -> Uri {
    text.parse().expect("a good URI")
}

fn agent(host: u8, now: Instant) -> Stack<UserAgent> {
    let clock = WallClock {
        at: now,
        is: SystemTime::UNIX_EPOCH,
    };
    let agent = UserAgent::new(UaConfig::new([host; 32], clock));
    let mut stack = Stack::new(EndpointConfig::new([host; 32], clock), agent);
    let local = format!("192.0.2.{host}:5060").parse().expect("an address");
    stack.command(now, |_, cx| cx.listen(Listener::udp(local)));
    while let Some(transmit) = stack.poll_transmit() {
        if let Transmit::Bind { token, .. } = transmit {
            stack.handle_receive(
                now,
                Receive::Bound {
                    token,
                    result: Ok(local),
                },
            );
        }
    }
    stack
}

fn carry(from: &mut Stack<UserAgent>, to: &mut Stack<UserAgent>, now: Instant) -> usize {
    let mut carried = 0;
    while let Some(transmit) = from.poll_transmit() {
        if let Transmit::Datagram { flow, contents } = transmit {
            let flow = Flow::udp(flow.remote(), flow.local());
            to.handle_receive(now, Receive::Datagram { flow, contents });
            carried += 1;
        }
    }
    carried
}

/// Answers what calls, hangs up what is answered; how many calls ended.
fn react(stack: &mut Stack<UserAgent>, now: Instant) -> usize {
    let mut ended = 0;
    while let Some(event) = stack.poll_event() {
        let StackEvent::Core(event) = event else {
            continue;
        };
        stack.command(now, |agent, cx| match event {
            Event::IncomingCall { call, .. } => {
                agent.ring(cx, call).expect("the call waits");
                agent
                    .answer(cx, call, StatusCode::OK, Vec::new())
                    .expect("the call waits");
            }
            Event::SessionNeeded { call, question, .. } => {
                agent
                    .provide_session(cx, call, question, SESSION)
                    .expect("the call waits");
            }
            // the caller's side: its ACK is on its way
            Event::Answered { call, .. } => agent.hang_up(cx, call).expect("the call is up"),
            Event::Ended { .. } => ended += 1,
            _ => {}
        });
    }
    ended
}

/// One call after the other.
#[divan::bench]
fn one(bencher: Bencher<'_, '_>) {
    let mut pair = Pair::new();
    bencher.bench_local(|| {
        pair.call();
        pair.forget();
    });
    assert!(pair.alice.is_idle() && pair.bob.is_idle());
}

/// 1,000 calls at once.
#[divan::bench]
fn thousand(bencher: Bencher<'_, '_>) {
    let mut pair = Pair::new();
    bencher
        .counter(divan::counter::ItemsCount::new(1000_usize))
        .bench_local(|| {
            (0..1000).for_each(|_| pair.dial());
            let mut ended = 0;
            while ended < 2000 {
                ended += pair.exchange();
            }
            pair.forget();
        });
    assert!(pair.alice.is_idle() && pair.bob.is_idle());
}
