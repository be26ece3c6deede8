//! A client that sends OPTIONS or makes calls at an even pace, over one socket.

use std::{
    collections::HashMap,
    net::UdpSocket,
    time::{Duration, Instant},
};

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A request and its answer
    Options,
    /// INVITE, 200, ACK, BYE, 200
    Call,
}

pub struct Load {
    kind: Kind,
    socket: UdpSocket,
    own: String,
    peer: String,
    count: u64,
    a_second: u64,
    start: Instant,
    started: u64,
    repeated: u64,
    looked: Instant,
    /// What has no final response yet
    open: HashMap<u64, Open>,
}

struct Open {
    since: Instant,
    /// The To tag, once the call is answered and the BYE is out
    tag: Option<String>,
}

impl Load {
    pub fn new(kind: Kind, port: u16, count: u64, a_second: u64) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
        let peer = format!("127.0.0.1:{port}");
        socket.connect(&peer).expect("loopback leads to itself");
        let wait = Some(Duration::from_millis(1));
        socket
            .set_read_timeout(wait)
            .expect("a timeout that is not zero");
        let own = socket.local_addr().expect("it is bound").to_string();
        let now = Instant::now();
        Self {
            kind,
            socket,
            own,
            peer,
            count,
            a_second,
            start: now,
            started: 0,
            repeated: 0,
            looked: now,
            open: HashMap::new(),
        }
    }

    /// How many requests were sent again because no answer came for a second.
    pub const fn repeated(&self) -> u64 {
        self.repeated
    }

    /// Sends what is due, and takes what has come; whether there is more to do.
    pub fn go_on(&mut self) -> bool {
        let due = (self.start.elapsed().as_secs_f64() * self.a_second as f64) as u64;
        // After a machine stood still, what is due does not come all at once.
        let room = WINDOW.saturating_sub(self.open.len() as u64);
        for number in self.started..due.min(self.count).min(self.started + room) {
            self.started += 1;
            let since = Instant::now();
            self.open.insert(number, Open { since, tag: None });
            self.send(number);
        }
        let mut buffer = [0; 2048];
        // Until nothing comes for a moment, or the next ones are due.
        for _ in 0..64 {
            match self.socket.recv(&mut buffer) {
                Ok(length) => self.receive(&String::from_utf8_lossy(&buffer[..length])),
                Err(_) => break,
            }
        }
        if self.looked.elapsed() > Duration::from_millis(250) {
            self.repeat();
        }
        self.started < self.count || !self.open.is_empty()
    }

    fn receive(&mut self, message: &str) {
        let field = |name: &str| {
            let line = message.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::trim)
        };
        let status = message.get(8..11).and_then(|text| text.parse::<u16>().ok());
        let number = field("Call-ID:").and_then(|id| id.split('@').next()?.parse().ok());
        let (Some(status), Some(number), Some(cseq)) = (status, number, field("CSeq:")) else {
            return;
        };
        let Some(open) = self.open.get_mut(&number) else {
            return;
        };
        match status {
            100..=199 => {}
            200 if cseq.ends_with("INVITE") => {
                let tag = field("To:").and_then(|to| to.split_once(";tag="));
                let (_, tag) = tag.expect("a 2xx has a To tag");
                open.tag = Some(tag.to_owned());
                open.since = Instant::now();
                self.write("ACK", number, 1);
                self.send(number);
            }
            200 => {
                self.open.remove(&number);
            }
            _ => panic!("refused\n{message}"),
        }
    }

    /// RFC 3261 §17.1.1.2 in short: what was lost is sent again.
    fn repeat(&mut self) {
        self.looked = Instant::now();
        let late = |open: &Open| open.since.elapsed() > Duration::from_secs(1);
        let late: Vec<u64> = self
            .open
            .iter()
            .filter(|(_, open)| late(open))
            .map(|(number, _)| *number)
            .collect();
        for number in late {
            self.repeated += 1;
            if let Some(open) = self.open.get_mut(&number) {
                open.since = Instant::now();
            }
            self.send(number);
        }
    }

    /// Sends the request that a number has come to.
    fn send(&self, number: u64) {
        let answered = self
            .open
            .get(&number)
            .is_some_and(|open| open.tag.is_some());
        match self.kind {
            Kind::Options => self.write("OPTIONS", number, 1),
            Kind::Call if answered => self.write("BYE", number, 2),
            Kind::Call => self.write("INVITE", number, 1),
        }
    }

    fn write(&self, method: &str, number: u64, cseq: u32) {
        let Self { own, peer, .. } = self;
        let tag = self.open.get(&number).and_then(|open| open.tag.as_deref());
        let tag = tag.map_or_else(String::new, |tag| format!(";tag={tag}"));
        let session = if method == "INVITE" { SESSION } else { "" };
        let kind = if session.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        let request = format!(
            "{method} sip:bob@{peer} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{number}{method};rport\r\n\
             Max-Forwards: 70\r\nFrom: \"Alice\" <sip:alice@{own}>;tag=a{number}\r\nTo: <sip:bob@{peer}>{tag}\r\n\
             Call-ID: {number}@{own}\r\nCSeq: {cseq} {method}\r\nContact: <sip:alice@{own}>\r\n{kind}\
             Content-Length: {}\r\n\r\n{session}",
            session.len()
        );
        // What does not go out is sent again.
        self.socket.send(request.as_bytes()).ok();
    }
}

/// How many may be without their answer.
const WINDOW: u64 = 256;

const SESSION: &str = "v=0\r\no=alice 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                       m=audio 16000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";
