//! Guessing at full speed beside honest logins, against the example `proxy`.
//!
//! It takes four minutes, so neither `cargo test` nor `cargo interop` runs it:
//!
//! ```console
//! $ cargo build --release --examples
//! $ cargo attack
//! ```

#[path = "../interop/network.rs"]
#[allow(dead_code)] // namespaces are for phones
mod network;
#[path = "../interop/process.rs"]
#[allow(dead_code)] // what outside programs need
mod process;
#[path = "../interop/programs.rs"]
#[allow(dead_code)] // phones
mod programs;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sipwright::auth::{Client, Credentials};
use sipwright::message::headers::CSeq;
use sipwright::message::{Method, Request, Response};

use crate::process::Folder;
use crate::programs::Server;

/// How long honest users log in before the attack begins: longer than a transaction lasts, so that what they cost is
/// there already.
const CALM: Duration = Duration::from_secs(40);
const ATTACK: Duration = Duration::from_secs(200);
const GUESSES_A_SECOND: u32 = 5_000;
const LOGINS_A_SECOND: u32 = 50;
const PATIENCE: Duration = Duration::from_secs(1);
const GROWTH_KIB: u64 = 5 * 1024;
const USERS: u32 = 50;

/// A socket on an address of loopback that does not wait.
fn socket(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind((address, 0)).expect("loopback has a free port");
    socket.set_nonblocking(true).expect("sockets can do so");
    socket
}

fn register(from: &UdpSocket, user: &str, serial: u64, lines: &str) -> String {
    let local = from.local_addr().expect("it is bound");
    format!(
        "REGISTER sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{serial}.1;rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:{user}@127.0.0.1>;tag={serial}\r\nTo: <sip:{user}@127.0.0.1>\r\n\
         Call-ID: {serial}@{ip}\r\nCSeq: 1 REGISTER\r\nContact: <sip:{user}@{local}>;expires=300\r\n{lines}\
         Content-Length: 0\r\n\r\n",
        ip = local.ip(),
    )
}

/// Sends guesses at a steady pace until it is over; counts them, and their challenges.
fn attack(server: &str, over: &AtomicBool, sent: &AtomicU64, refused: &AtomicU64) {
    let socket = socket("127.0.0.2");
    let begin = Instant::now();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut buffer = [0; 4_096];
    for serial in 0_u64.. {
        if over.load(Ordering::Relaxed) {
            return;
        }
        while let Ok(length) = socket.recv(&mut buffer) {
            if buffer[..length].starts_with(b"SIP/2.0 401 ") {
                refused.fetch_add(1, Ordering::Relaxed);
            }
        }
        let due = begin + Duration::from_secs(1) / GUESSES_A_SECOND * serial as u32;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        // SplitMix64, so that every run is the same
        let mut random = || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed ^ (mixed >> 27)
        };
        let user = format!("guess{:x}", random());
        let nonce = format!("{:016x}{:016x}{:016x}", random(), random(), random());
        let response = format!("{:016x}{:016x}", random(), random());
        let credentials = format!(
            "Authorization: Digest username=\"{user}\", realm=\"127.0.0.1\", nonce=\"{nonce}\", \
             uri=\"sip:127.0.0.1\", response=\"{response}\", algorithm=MD5, cnonce=\"{:x}\", qop=auth, \
             nc=00000001\r\n",
            random()
        );
        let guess = register(&socket, &user, serial, &credentials);
        if socket.send_to(guess.as_bytes(), server).is_ok() {
            sent.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A login on its way.
struct Login {
    client: Client,
    request: Request,
    begin: Instant,
    sent: Instant,
}

/// How the logins went.
#[derive(Debug, Default)]
struct Tally {
    done: u32,
    slowest: Duration,
    failures: Vec<String>,
}

/// Logs in at a steady pace until it is over: challenged, then accepted.
fn log_in(server: &str, over: &AtomicBool) -> Tally {
    let socket = socket("127.0.0.1");
    let begin = Instant::now();
    let mut under_way: BTreeMap<String, Login> = BTreeMap::new();
    let mut tally = Tally::default();
    let mut serial = 0_u64;
    let mut buffer = [0; 4_096];
    loop {
        let now = Instant::now();
        let is_over = over.load(Ordering::Relaxed);
        if is_over && under_way.is_empty() {
            return tally;
        }
        if !is_over && begin + Duration::from_secs(1) / LOGINS_A_SECOND * serial as u32 <= now {
            let user = format!("user{}", serial % u64::from(USERS));
            let text = register(&socket, &user, serial, "");
            let request = Request::parse(text.into()).expect("is well-formed");
            let mut client = Client::new([serial.to_le_bytes()[0]; 32]);
            client.add(Credentials::password(user, "secret"));
            send(&socket, server, &request);
            let login = Login {
                client,
                request,
                begin: now,
                sent: now,
            };
            under_way.insert(format!("{serial}@127.0.0.1"), login);
            serial += 1;
        }
        match socket.recv(&mut buffer) {
            Ok(length) => {
                let text = buffer[..length].to_vec();
                let response = Response::parse(text.into()).expect("is well-formed");
                take(&socket, server, &mut under_way, &mut tally, &response);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                thread::sleep(Duration::from_millis(1));
            }
            Err(error) => panic!("{error}"),
        }
        let mut late = Vec::new();
        for (id, login) in &mut under_way {
            if now.saturating_duration_since(login.begin) > PATIENCE {
                late.push(id.clone());
            } else if now.saturating_duration_since(login.sent) > Duration::from_millis(400) {
                // what the socket's buffer had no room for
                login.sent = now;
                send(&socket, server, &login.request);
            }
        }
        for id in late {
            under_way.remove(&id);
            tally.failures.push(format!("{id} took too long"));
        }
    }
}

fn send(socket: &UdpSocket, server: &str, request: &Request) {
    socket
        .send_to(&request.to_bytes(), server)
        .expect("loopback takes datagrams");
}

fn take(
    socket: &UdpSocket,
    server: &str,
    under_way: &mut BTreeMap<String, Login>,
    tally: &mut Tally,
    response: &Response,
) {
    let id = response.call_id().expect("comes back").to_string();
    let Some(login) = under_way.get_mut(&id) else {
        return;
    };
    let number = login.request.cseq().expect("is there").number();
    if response.cseq().expect("comes back").number() != number {
        return;
    }
    match response.status().as_u16() {
        401 if number == 1 => {
            let answered = login.client.respond(&mut login.request, response);
            answered.expect("the challenge can be answered");
            let headers = login.request.headers_mut();
            headers.set(CSeq::new(2, Method::REGISTER));
            let text = String::from_utf8(login.request.to_bytes().to_vec()).expect("is text");
            // RFC 3261 §22.2: a new transaction
            let text = text.replacen(".1;rport", ".2;rport", 1);
            login.request = Request::parse(text.into()).expect("is well-formed");
            login.sent = Instant::now();
            send(socket, server, &login.request);
        }
        200 => {
            tally.done += 1;
            tally.slowest = tally.slowest.max(login.begin.elapsed());
            under_way.remove(&id);
        }
        100 => {}
        other => {
            tally.failures.push(format!("{id} got {other}"));
            under_way.remove(&id);
        }
    }
}

/// RFC 3261 §26.3.2.4: who does not know a password costs neither memory nor the time of those who do.
#[test]
#[ignore = "takes four minutes; needs the built examples"]
fn guesses_neither_delay_logins_nor_grow_the_server() {
    let folder = Folder::new("attack");
    let users: String = (0..USERS).map(|n| format!("user{n}:secret\n")).collect();
    let users = folder.write("users", users);
    let users = users.to_str().expect("the path is text");
    let mut proxy = Server::proxy(&folder, &["--domain", "127.0.0.1", "--users", users]);
    let server = proxy.address();
    let over = AtomicBool::new(false);
    let (sent, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    let (before, peak, tally) = thread::scope(|scope| {
        let logins = scope.spawn(|| log_in(&server, &over));
        thread::sleep(CALM);
        let before = proxy.process.memory();
        scope.spawn(|| attack(&server, &over, &sent, &refused));
        let begin = Instant::now();
        let mut peak = before;
        while begin.elapsed() < ATTACK {
            thread::sleep(Duration::from_secs(1));
            peak = peak.max(proxy.process.memory());
        }
        over.store(true, Ordering::Relaxed);
        (before, peak, logins.join().expect("logins do not panic"))
    });
    let (sent, refused) = (sent.into_inner(), refused.into_inner());
    println!(
        "{sent} guesses, {refused} of them challenged; {} logins, the slowest {:?}; memory {before} KiB, at most {peak} KiB",
        tally.done, tally.slowest
    );
    proxy.process.assert_running();
    assert!(
        tally.failures.is_empty(),
        "{} logins failed: {:?}",
        tally.failures.len(),
        &tally.failures[..tally.failures.len().min(10)]
    );
    let expected = LOGINS_A_SECOND * (CALM + ATTACK).as_secs() as u32;
    assert!(tally.done >= expected - LOGINS_A_SECOND, "{}", tally.done);
    assert!(
        sent >= u64::from(GUESSES_A_SECOND) * ATTACK.as_secs() * 99 / 100,
        "the attack was too weak: {sent}"
    );
    let growth = peak - before;
    assert!(growth <= GROWTH_KIB, "memory grew by {growth} KiB");
    proxy.stop();
}
