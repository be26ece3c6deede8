//! Any sequence of inputs: the laws hold, nothing panics, and nothing is left.

use super::*;

/// One caller and one callee over a network that loses, repeats and delays, for many seeds: the laws of
/// `sip_io::StateMachine` hold at each step, each transaction ends exactly once, and nothing remains.
#[test]
fn any_sequence_of_operations_leaves_nothing_behind() {
    for seed in 0..1_000_u32 {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&seed.to_be_bytes());
        Play::new(Rng::new(bytes)).run();
    }
}

struct Play {
    rng: Rng,
    now: Instant,
    start: Instant,
    caller: TransactionLayer,
    callee: TransactionLayer,
    /// Messages on the way: to the callee if they are requests, when they arrive, and what they are
    network: Vec<(Instant, Bytes)>,
    clients: Vec<ClientTransactionId>,
    servers: Vec<(ServerTransactionId, Request)>,
    begun: usize,
    ended: usize,
    served: usize,
    server_ended: usize,
    flow: Flow,
    is_closing: bool,
}

impl Play {
    #[allow(clippy::disallowed_methods)] // a test needs an instant to start from
    fn new(mut rng: Rng) -> Self {
        let start = Instant::now();
        let config = TransactionConfig::default();
        let flow = if rng.below(3) == 0 { tcp() } else { udp() };
        Self {
            caller: TransactionLayer::new(config.clone(), Rng::new(rng.seed()), start),
            callee: TransactionLayer::new(config, Rng::new(rng.seed()), start),
            rng,
            now: start,
            start,
            network: Vec::new(),
            clients: Vec::new(),
            servers: Vec::new(),
            begun: 0,
            ended: 0,
            served: 0,
            server_ended: 0,
            flow,
            is_closing: false,
        }
    }

    fn run(mut self) {
        for _ in 0..60 {
            self.operate();
            self.pump();
            let pause = self.rng.below(3_000);
            self.pass(Duration::from_millis(pause));
        }
        // Users that answer, at last: every request gets its final response, every INVITE is cancelled.
        self.is_closing = true;
        for (id, request) in std::mem::take(&mut self.servers) {
            self.answer(id, &request);
        }
        for id in std::mem::take(&mut self.clients) {
            let _over = self.caller.cancel(self.now, id, None);
        }
        self.pump();
        self.pass(Duration::from_secs(3 * 64));
        assert_eq!((self.caller.len_client(), self.callee.len_server()), (0, 0));
        assert_eq!(self.caller.poll_timeout(), None);
        assert_eq!(self.callee.poll_timeout(), None);
        assert_eq!(self.begun, self.ended, "each client transaction ends once");
        assert_eq!(
            self.served, self.server_ended,
            "each server transaction ends once"
        );
        assert!(self.caller.is_empty_inside() && self.callee.is_empty_inside());
    }

    fn operate(&mut self) {
        let (now, flow) = (self.now, self.flow);
        match self.rng.below(8) {
            0 | 1 => {
                let methods = [Method::INVITE, Method::OPTIONS, Method::INVITE];
                let method = methods[self.rng.below(3) as usize].clone();
                let request = request(method, &format!("z9hG4bK{}", self.begun));
                self.clients
                    .push(self.caller.request(now, &request, flow, None).unwrap());
                self.begun += 1;
            }
            2 if !self.clients.is_empty() => {
                let id = self.clients[self.rng.below(self.clients.len() as u64) as usize];
                let _whatever = self.caller.cancel(now, id, None);
            }
            3..=5 if !self.servers.is_empty() => {
                let which = self.rng.below(self.servers.len() as u64) as usize;
                let codes = [100, 180, 183, 200, 202, 302, 404, 487, 500, 603];
                let code = codes[self.rng.below(10) as usize];
                let (id, request) = &self.servers[which];
                let response = response(request, code, "bob");
                let _refused = self.callee.respond(now, *id, &response, flow);
            }
            6 if self.rng.below(4) == 0 => {
                self.caller.flow_failed(now, &flow);
                self.callee.flow_failed(now, &flow);
            }
            _ => {}
        }
    }

    fn answer(&mut self, id: ServerTransactionId, request: &Request) {
        let unavailable = response(request, 480, "bob");
        let _late = self.callee.respond(self.now, id, &unavailable, self.flow);
    }

    /// Moves what both sides send onto the network, and takes in what they tell.
    fn pump(&mut self) {
        loop {
            let out = self.caller.poll_transmit();
            let Some(send) = out.or_else(|| self.callee.poll_transmit()) else {
                break;
            };
            let copies = [0, 1, 1, 1, 1, 1, 2][self.rng.below(7) as usize];
            for _ in 0..copies {
                let delay = Duration::from_millis(self.rng.below(900));
                self.network.push((self.now + delay, send.contents.clone()));
            }
        }
        while let Some(event) = self.caller.poll_event() {
            self.ended += usize::from(matches!(event, Event::Ended { .. }));
            assert!(!matches!(
                event,
                Event::Request { .. } | Event::ServerEnded { .. }
            ));
        }
        while let Some(event) = self.callee.poll_event() {
            match event {
                Event::Request { id, request, .. } | Event::Cancel { id, request, .. } => {
                    self.served += 1;
                    if self.is_closing {
                        self.answer(id, &request);
                    } else {
                        self.servers.push((id, *request));
                    }
                }
                Event::ServerEnded { .. } => self.server_ended += 1,
                _ => {}
            }
        }
    }

    /// Lets time pass, doing what is due and delivering what arrives in its order.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let arrival = self.network.iter().map(|(at, _)| *at).min();
            let due = [
                arrival,
                self.caller.poll_timeout(),
                self.callee.poll_timeout(),
            ];
            let Some(next) = due.into_iter().flatten().min().filter(|at| *at <= end) else {
                break;
            };
            assert!(
                next.duration_since(self.start) < Duration::from_secs(3_600),
                "no end"
            );
            self.now = self.now.max(next);
            let now = self.now;
            if let Some(first) = self.network.iter().position(|(at, _)| *at <= now) {
                let (_, contents) = self.network.swap_remove(first);
                match Message::parse(contents).unwrap() {
                    Message::Request(request) => {
                        self.callee.receive_request(now, self.flow, request);
                    }
                    Message::Response(response) => {
                        self.caller.receive_response(now, self.flow, response);
                    }
                }
            }
            for layer in [&mut self.caller, &mut self.callee] {
                layer.handle_timeout(now);
                assert!(layer.poll_timeout().is_none_or(|at| at > now));
            }
            self.pump();
        }
        self.now = end;
    }
}
