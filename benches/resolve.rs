//! Names that nobody has asked for yet: the work of the resolver and of the DNS client, first alone, then with sockets.
//!
//! `cargo bench --bench resolve` prints, after the table, the processor time of one thread for each lookup over UDP sockets,
//! with a name server of the bench's own in another thread.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use divan::Bencher;
use rustix::time::{ClockId, clock_gettime};
use sip_io::{Protocol, Rng};
use sip_resolver::{
    DnsClient, DnsConfig, Event, Families, Query, Resolver, ResolverConfig, Target,
};

fn main() {
    divan::main();
    if std::env::args().any(|argument| argument == "--bench") {
        for (what, lookup) in LOOKUPS {
            let cost = over_sockets(lookup);
            println!("over UDP sockets, {what}: {cost:.1} µs of CPU per uncached lookup");
        }
    }
}

/// One question, or the whole way of RFC 3263: NAPTR, SRV, A.
const LOOKUPS: [(&str, Lookup); 2] = [("one question", address), ("three questions", server)];

type Lookup = fn(u64) -> Query;

fn address(number: u64) -> Query {
    let name = format!("h{number}.example");
    Query::host(&name, Some(5060), Some(Protocol::Udp)).expect("is a domain name")
}

fn server(number: u64) -> Query {
    let name = format!("h{number}.example");
    Query::host(&name, None, None).expect("is a domain name")
}

/// A resolver and its client, without any socket.
struct Bench {
    now: Instant,
    resolver: Resolver,
    client: DnsClient,
    number: u64,
}

impl Bench {
    fn new(nameserver: SocketAddr) -> Self {
        let now = Instant::now();
        let config = ResolverConfig::new().families(Families::V4);
        Self {
            now,
            resolver: Resolver::new(config, Rng::new([1; 32]), now),
            client: DnsClient::new(DnsConfig::new([nameserver]), Rng::new([2; 32]), now),
            number: 0,
        }
    }

    /// Looks up a name that it does not know; `exchange` carries a question to the server and brings the answer.
    fn look_up(
        &mut self,
        lookup: Lookup,
        mut exchange: impl FnMut(SocketAddr, &[u8]) -> Vec<u8>,
    ) -> Vec<Target> {
        self.number += 1;
        self.resolver.start(self.now, lookup(self.number));
        loop {
            match self.resolver.poll_event() {
                Some(Event::Question { id, question }) => self.client.ask(self.now, id, &question),
                Some(Event::Resolved { targets, .. }) => return targets,
                other => panic!("the server knows every name: {other:?}"),
            }
            while let Some((server, question)) = self.client.poll_transmit() {
                let answer = exchange(server, &question);
                self.client.handle_datagram(self.now, server, &answer);
            }
            while let Some((id, answer)) = self.client.poll_event() {
                self.resolver.provide_answer(self.now, id, answer);
            }
        }
    }
}

fn nameserver() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 53], 53))
}

#[divan::bench]
fn one_question(bencher: Bencher<'_, '_>) {
    let mut bench = Bench::new(nameserver());
    bencher.bench_local(|| bench.look_up(address, |_, question| answer(question)));
}

#[divan::bench]
fn three_questions(bencher: Bencher<'_, '_>) {
    let mut bench = Bench::new(nameserver());
    bencher.bench_local(|| bench.look_up(server, |_, question| answer(question)));
}

/// The processor time of this thread for a lookup, in microseconds.
fn over_sockets(lookup: Lookup) -> f64 {
    let name_server = UdpSocket::bind("127.0.0.1:0").expect("loopback is there");
    let at = name_server.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        let mut question = [0; 1_500];
        while let Ok((length, from)) = name_server.recv_from(&mut question) {
            if length == 0
                || name_server
                    .send_to(&answer(&question[..length]), from)
                    .is_err()
            {
                break;
            }
        }
    });
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback is there");
    let timeout = socket.set_read_timeout(Some(Duration::from_secs(5)));
    timeout.expect("a socket can wait for a time");
    let mut bench = Bench::new(at);
    let mut received = vec![0; 1_500];
    let mut exchange = |server, question: &[u8]| {
        socket.send_to(question, server).expect("loopback takes it");
        let length = socket.recv(&mut received).expect("the server answers");
        received[..length].to_vec()
    };
    let begin = thread_time();
    for _ in 0..MEASURED {
        bench.look_up(lookup, &mut exchange);
    }
    let spent = thread_time() - begin;
    socket.send_to(&[], at).expect("loopback takes it");
    spent.as_secs_f64() * 1e6 / f64::from(MEASURED)
}

const MEASURED: u32 = 20_000;

fn thread_time() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(spent.tv_sec as u64, spent.tv_nsec as u32)
}

/// What a server says that knows every name (RFC 1035 §4.1).
fn answer(question: &[u8]) -> Vec<u8> {
    const NAME: usize = 12;
    let length = question[NAME..].iter().position(|byte| *byte == 0);
    let end = NAME + length.expect("a name ends") + 1;
    let mut answer = Vec::with_capacity(128);
    answer.extend(&question[..2]);
    answer.extend([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    answer.extend(&question[NAME..end + 4]);
    let record_type = [question[end], question[end + 1]];
    answer.extend([0xc0, NAME as u8]);
    answer.extend(record_type);
    answer.extend([0, 1, 0, 0, 0, 60]);
    let data: Vec<u8> = match u16::from_be_bytes(record_type) {
        1 => vec![192, 0, 2, 1],
        33 => [
            &[0, 0, 0, 5, 0x13, 0xc4, 2, b's', b'1'][..],
            &question[NAME + 10..end],
        ]
        .concat(),
        35 => [
            &b"\0\0\0\0\x01s\x07SIP+D2U\0\x04_sip\x04_udp"[..],
            &question[NAME..end],
        ]
        .concat(),
        other => panic!("nobody asks for records of type {other}"),
    };
    answer.extend((data.len() as u16).to_be_bytes());
    answer.extend(data);
    answer
}
