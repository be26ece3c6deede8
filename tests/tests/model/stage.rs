//! Phones and a proxy on a wire whose every message waits for the test to deliver or to lose it.

#![allow(clippy::disallowed_methods)] // a test needs an instant to start from

use sipwright::{
    endpoint::{Context, Domains, EndpointConfig, Listener, Stack, StackEvent},
    io::{BindToken, Flow, Receive, StateMachine, Transmit, WallClock},
    message::{Message, StatusCode, Uri},
    proxy_core::{self, Plan, Proxy, ProxyConfig},
    ua::{CallId, CallOptions, Ended, Event, Identity, UaConfig, UserAgent},
};
use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

/// Who is between the two phones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Between {
    Nobody,
    Proxy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Who {
    Alice,
    Proxy,
    Bob,
}

/// A message that was sent and did not arrive yet.
#[derive(Clone, Hash)]
pub(crate) struct Parcel {
    pub(crate) to: Who,
    from: Who,
    pub(crate) what: String,
    contents: Vec<u8>,
}

/// One thing that happened on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Sent(Who, String),
    Arrived(Who, String),
}

/// What a phone was told of its call.
#[derive(Default)]
pub(crate) struct Story {
    pub(crate) call: Option<CallId>,
    pub(crate) answered: usize,
    pub(crate) established: usize,
    pub(crate) ended: Vec<Ended>,
}

pub(crate) struct Stage {
    now: Instant,
    start: Instant,
    alice: Stack<UserAgent>,
    bob: Stack<UserAgent>,
    proxy: Stack<Proxy>,
    pub(crate) wire: Vec<Parcel>,
    pub(crate) deeds: Vec<Deed>,
    /// What each of the three took in so far, which is all that its state follows from
    histories: [DefaultHasher; 3],
    ladder: Vec<String>,
    pub(crate) at_alice: Story,
    pub(crate) at_bob: Story,
}

impl Stage {
    /// Alice has called Bob, and her INVITE waits on the wire.
    pub(crate) fn new(between: Between) -> Self {
        let start = Instant::now();
        let clock = WallClock {
            at: start,
            is: SystemTime::UNIX_EPOCH,
        };
        let endpoint = |who: Who| EndpointConfig::new([who as u8 + 1; 32], clock);
        let phone = |who: Who| {
            let ua = UserAgent::new(UaConfig::new([who as u8 + 5; 32], clock));
            Stack::new(endpoint(who), ua)
        };
        let domains = Domains::new(["example.com"]).expect("it is a host");
        let config = ProxyConfig::new([9; 32], clock).domains(domains);
        let mut stage = Self {
            now: start,
            start,
            alice: phone(Who::Alice),
            bob: phone(Who::Bob),
            proxy: Stack::new(endpoint(Who::Proxy), Proxy::new(config)),
            wire: Vec::new(),
            deeds: Vec::new(),
            histories: Default::default(),
            ladder: Vec::new(),
            at_alice: Story::default(),
            at_bob: Story::default(),
        };
        stage.alice.command(start, |_, cx| listen(cx, Who::Alice));
        stage.bob.command(start, |_, cx| listen(cx, Who::Bob));
        stage.proxy.command(start, |_, cx| listen(cx, Who::Proxy));
        stage.pump();
        let alice = Identity::new(uri("sip:alice@example.com"));
        let (alice, bob) = match between {
            Between::Nobody => (alice, uri(BOB)),
            Between::Proxy => (
                alice.route([uri("sip:192.0.2.2;lr")]),
                uri("sip:bob@example.com"),
            ),
        };
        let call = stage
            .alice
            .command(start, |ua, cx| ua.call(cx, &alice, bob, CallOptions::new()));
        stage.at_alice.call = Some(call.expect("there is room for one"));
        stage.pump();
        stage
    }

    /// Gives a phone a command about its call.
    pub(crate) fn command(
        &mut self,
        who: Who,
        name: &str,
        command: impl FnOnce(&mut UserAgent, &mut Context<'_>, CallId),
    ) {
        self.note(who, who, name);
        name.hash(&mut self.histories[who as usize]);
        let (stack, story) = match who {
            Who::Alice => (&mut self.alice, &self.at_alice),
            _ => (&mut self.bob, &self.at_bob),
        };
        let call = story.call.expect("there is a call");
        stack.command(self.now, |ua, cx| command(ua, cx, call));
        self.pump();
    }

    pub(crate) fn deliver(&mut self, index: usize) {
        let Parcel {
            to,
            from,
            what,
            contents,
        } = self.wire.remove(index);
        contents.hash(&mut self.histories[to as usize]);
        self.note(from, to, &what);
        self.deeds.push(Deed::Arrived(to, what));
        let receive = Receive::Datagram {
            flow: Flow::udp(address(to), address(from)),
            contents: contents.into(),
        };
        self.machine(to, |machine, now| machine.receive(now, receive));
        self.pump();
    }

    /// Delivers everything of these kinds, in order.
    pub(crate) fn deliver_all(&mut self, kinds: &[&str]) {
        let is_one = |parcel: &Parcel| kinds.contains(&parcel.what.as_str());
        while let Some(index) = self.wire.iter().position(is_one) {
            self.deliver(index);
        }
    }

    pub(crate) fn lose(&mut self, index: usize) {
        let Parcel { to, from, what, .. } = self.wire.remove(index);
        self.note(from, to, &format!("{what} (lost)"));
    }

    /// Lets time pass, while what is on the wire stays there.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some((who, at)) = self.due().filter(|(_, at)| *at <= end) {
            self.now = at.max(self.now);
            self.machine(who, |machine, now| {
                machine.wake(now);
                let next = machine.due();
                assert!(next.is_none_or(|next| next > at), "time does not pass");
            });
            self.pump();
        }
        self.now = end;
        for history in &mut self.histories {
            time.hash(history);
        }
    }

    /// Lets time pass, while everything arrives at once and in order.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            while !self.wire.is_empty() {
                self.deliver(0);
            }
            let Some((_, at)) = self.due().filter(|(_, at)| *at <= end) else {
                break;
            };
            self.pass(at.saturating_duration_since(self.now));
        }
        self.pass(end.saturating_duration_since(self.now));
    }

    /// All that the rest follows from: what every machine took in, and what is on the wire.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for history in &self.histories {
            history.finish().hash(&mut hasher);
        }
        let parcels = self.wire.iter().map(|parcel| {
            let mut hasher = DefaultHasher::new();
            parcel.hash(&mut hasher);
            hasher.finish()
        });
        let mut parcels: Vec<_> = parcels.collect();
        parcels.sort_unstable();
        parcels.hash(&mut hasher);
        hasher.finish()
    }

    /// The parcels that differ from each other, by index.
    pub(crate) fn distinct(&self) -> Vec<usize> {
        let mut known = BTreeSet::new();
        let is_new = |index: &usize| {
            let Parcel { to, contents, .. } = &self.wire[*index];
            known.insert((*to, contents))
        };
        (0..self.wire.len()).filter(is_new).collect()
    }

    pub(crate) fn sent(&self, who: Who, what: &str) -> usize {
        let deed = Deed::Sent(who, what.to_owned());
        self.deeds.iter().filter(|known| **known == deed).count()
    }

    pub(crate) fn arrived(&self, who: Who, what: &str) -> usize {
        let deed = Deed::Arrived(who, what.to_owned());
        self.deeds.iter().filter(|known| **known == deed).count()
    }

    /// How many calls each phone holds.
    pub(crate) fn calls(&self) -> [usize; 2] {
        [&self.alice, &self.bob].map(|stack| stack.core().stats().calls)
    }

    /// What somebody holds yet, or waits for.
    pub(crate) fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        let phones = [(Who::Alice, &self.alice), (Who::Bob, &self.bob)];
        for (who, stack) in phones {
            let held = stack.core().stats();
            if held.calls + held.dialogs + held.awaited + held.handed_out > 0 {
                left.push(format!("{who:?}: {held:?}"));
            }
            left.extend(transactions(who, stack));
        }
        if self.proxy.core().stats().held > 0 {
            left.push("Proxy: a response context".to_owned());
        }
        left.extend(transactions(Who::Proxy, &self.proxy));
        left
    }

    pub(crate) fn ladder(&self) -> String {
        self.ladder.join("\n")
    }

    fn due(&self) -> Option<(Who, Instant)> {
        let due = [
            (Who::Alice, self.alice.poll_timeout()),
            (Who::Proxy, self.proxy.poll_timeout()),
            (Who::Bob, self.bob.poll_timeout()),
        ];
        let due = due.into_iter().filter_map(|(who, at)| Some((who, at?)));
        due.min_by_key(|(who, at)| (*at, *who))
    }

    fn machine(&mut self, who: Who, with: impl FnOnce(&mut dyn Machine, Instant)) {
        match who {
            Who::Alice => with(&mut self.alice, self.now),
            Who::Proxy => with(&mut self.proxy, self.now),
            Who::Bob => with(&mut self.bob, self.now),
        }
    }

    /// Puts what the three send onto the wire, and takes in what they tell.
    fn pump(&mut self) {
        for who in [Who::Alice, Who::Proxy, Who::Bob] {
            loop {
                let mut transmit = None;
                self.machine(who, |machine, _| transmit = machine.next_transmit());
                let Some(transmit) = transmit else {
                    break;
                };
                self.transmit(who, transmit);
            }
        }
        let mut is_quiet = true;
        while let Some(event) = self.alice.poll_event() {
            is_quiet = false;
            tell(&mut self.alice, &mut self.at_alice, self.now, event);
        }
        while let Some(event) = self.bob.poll_event() {
            is_quiet = false;
            tell(&mut self.bob, &mut self.at_bob, self.now, event);
        }
        while let Some(event) = self.proxy.poll_event() {
            is_quiet = false;
            if let StackEvent::Core(proxy_core::Event::RouteNeeded { id, .. }) = event {
                let plan = Plan::to(uri(BOB));
                let relayed = self
                    .proxy
                    .command(self.now, |proxy, cx| proxy.relay(cx, id, plan));
                relayed.expect("it was asked for");
            }
        }
        if !is_quiet {
            self.pump();
        }
    }

    fn transmit(&mut self, from: Who, transmit: Transmit) {
        match transmit {
            Transmit::Bind { token, local, .. } => self.bound(from, token, local),
            Transmit::Datagram { flow, contents } => {
                let to = [Who::Alice, Who::Proxy, Who::Bob]
                    .into_iter()
                    .find(|who| address(*who) == flow.remote())
                    .expect("nobody else is there");
                let what =
                    what(Message::parse(contents.clone()).expect("we send what can be read"));
                self.deeds.push(Deed::Sent(from, what.clone()));
                let contents = contents.to_vec();
                self.wire.push(Parcel {
                    to,
                    from,
                    what,
                    contents,
                });
            }
            other => panic!("{from:?} wants {other:?}"),
        }
    }

    fn bound(&mut self, who: Who, token: BindToken, local: SocketAddr) {
        let receive = Receive::Bound {
            token,
            result: Ok(local),
        };
        self.machine(who, |machine, now| machine.receive(now, receive));
    }

    fn note(&mut self, from: Who, to: Who, what: &str) {
        let at = self.now.duration_since(self.start).as_millis();
        self.ladder
            .push(format!("{at:>8} ms  {from:?} -> {to:?}  {what}"));
    }
}

/// A machine without its events.
trait Machine {
    fn receive(&mut self, now: Instant, receive: Receive);
    fn wake(&mut self, now: Instant);
    fn next_transmit(&mut self) -> Option<Transmit>;
    fn due(&self) -> Option<Instant>;
}

impl<M: StateMachine> Machine for M {
    fn receive(&mut self, now: Instant, receive: Receive) {
        self.handle_receive(now, receive);
    }

    fn wake(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    fn next_transmit(&mut self) -> Option<Transmit> {
        self.poll_transmit()
    }

    fn due(&self) -> Option<Instant> {
        self.poll_timeout()
    }
}

fn listen(cx: &mut Context<'_>, who: Who) {
    cx.listen(Listener::udp(address(who)));
}

fn tell(stack: &mut Stack<UserAgent>, story: &mut Story, now: Instant, event: StackEvent<Event>) {
    let StackEvent::Core(event) = event else {
        return;
    };
    match event {
        Event::IncomingCall { call, .. } => {
            assert!(story.call.is_none(), "Alice calls once");
            story.call = Some(call);
        }
        Event::SessionNeeded {
            call,
            question,
            offer,
        } => {
            let session = if offer.is_some() {
                "s=answer"
            } else {
                "s=offer"
            };
            let provided = stack.command(now, |ua, cx| {
                ua.provide_session(cx, call, question, session.into())
            });
            provided.expect("it was asked for");
        }
        Event::Answered { .. } => story.answered += 1,
        Event::Established { .. } => story.established += 1,
        Event::Ended { ended, .. } => story.ended.push(ended),
        _ => {}
    }
}

fn transactions<C: sipwright::endpoint::Core>(who: Who, stack: &Stack<C>) -> Option<String> {
    let stats = stack.endpoint().stats();
    let held = stats.client_transactions
        + stats.server_transactions
        + stats.requests
        + stats.acknowledgements;
    let timer = stack.poll_timeout().is_some();
    (held > 0 || timer).then(|| format!("{who:?}: {held} transactions, a timer: {timer}"))
}

/// Method or status code with method.
fn what(message: Message) -> String {
    match message {
        Message::Request(request) => request.method().to_string(),
        Message::Response(response) => {
            let status: StatusCode = response.status();
            let cseq = response.cseq().expect("we send what can be read");
            format!("{} {}", status.as_u16(), cseq.method())
        }
    }
}

fn address(who: Who) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, who as u8 + 1], 5060))
}

pub(crate) fn uri(text: &str) -> Uri {
    Uri::parse(text).expect("it is a URI")
}

const BOB: &str = "sip:bob@192.0.2.3";
