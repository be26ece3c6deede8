//! What went over the wire, to look at afterwards.

use bytes::Bytes;
use sip_endpoint::{Direction, Observation};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Keeps the SIP messages of one or several user agents and servers.
///
/// Clones share what is kept. Messages are seen as text, with their time, direction and addresses; a trace never
/// delays signalling: when it is full the oldest are lost and counted.
///
/// ```
/// # use sipwright::{UserAgent, trace::Trace};
/// # async fn watched() -> sipwright::Result<()> {
/// let trace = Trace::new().keep(1_000);
/// let ua = UserAgent::builder().listen("udp:127.0.0.1:0").trace(trace.named("alice")).start().await?;
/// ua.options("sip:pbx.example.com").await?;
/// println!("{}", trace.ladder());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Trace {
    store: Arc<Mutex<Store>>,
    label: Option<Arc<str>>,
}

#[derive(Debug, Default)]
struct Store {
    kept: VecDeque<Seen>,
    limit: usize,
    lost: u64,
}

#[derive(Clone, Debug)]
struct Seen {
    observation: Observation,
    label: Option<Arc<str>>,
}

impl Trace {
    /// A trace that keeps nothing yet; see [`keep`](Self::keep).
    pub fn new() -> Self {
        Self {
            store: Arc::default(),
            label: None,
        }
    }

    /// How many messages are kept. Defaults to 0, because what is off costs nothing.
    pub fn keep(self, messages: usize) -> Self {
        self.lock().limit = messages;
        self
    }

    /// The same trace for one of those who are watched: its addresses show under `label`.
    pub fn named(&self, label: &str) -> Self {
        Self {
            store: Arc::clone(&self.store),
            label: Some(label.into()),
        }
    }

    /// What is kept, as a ladder. Each message stands once, also when both its ends are watched.
    pub fn ladder(&self) -> Ladder {
        let store = self.lock();
        let mut names = BTreeMap::new();
        for seen in &store.kept {
            let local = seen.observation.flow.local();
            let name = seen
                .label
                .as_deref()
                .map_or_else(|| local.to_string(), str::to_owned);
            names.insert(local, name);
        }
        let start = store.kept.iter().map(|seen| seen.observation.at).min();
        let mut rungs: Vec<Rung> = store
            .kept
            .iter()
            .filter_map(|seen| rung(&seen.observation, &names, start?))
            .collect();
        rungs.sort_by_key(|rung| rung.at);
        Ladder {
            rungs,
            lost: store.lost,
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.lock().limit
    }

    pub(crate) fn note(&self, observation: Observation) {
        let mut store = self.lock();
        if store.limit == 0 {
            return;
        }
        if store.kept.len() >= store.limit {
            store.kept.pop_front();
            store.lost += 1;
        }
        store.kept.push_back(Seen {
            observation,
            label: self.label.clone(),
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Store> {
        // Nothing that can panic runs under the lock.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Trace {
    fn default() -> Self {
        Self::new()
    }
}

/// Messages in the order of their times, with who sent each to whom.
///
/// `Display` prints one line for each: milliseconds since the first, sender, receiver, and the method or status.
#[derive(Clone, Debug)]
pub struct Ladder {
    rungs: Vec<Rung>,
    lost: u64,
}

/// One message of a [`Ladder`].
#[derive(Clone, Debug)]
pub struct Rung {
    at: Duration,
    from: String,
    to: String,
    summary: String,
    contents: Bytes,
}

impl Ladder {
    /// The messages.
    pub fn messages(&self) -> impl Iterator<Item = &Rung> {
        self.rungs.iter()
    }

    /// How many older messages were lost because the trace was full.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

impl Rung {
    /// When it was sent (or received, when only the receiver is watched), counted from the first message.
    pub fn at(&self) -> Duration {
        self.at
    }

    /// Who sent it: a name, or an address.
    pub fn from(&self) -> &str {
        &self.from
    }

    /// Who got it: a name, or an address.
    pub fn to(&self) -> &str {
        &self.to
    }

    /// The method, or the status code and reason.
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// The whole message. It may hold credentials and keys; `Display` of the ladder never shows it.
    pub fn contents(&self) -> &Bytes {
        &self.contents
    }
}

impl fmt::Display for Ladder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |name: fn(&Rung) -> &str| {
            self.rungs
                .iter()
                .map(|rung| name(rung).len())
                .max()
                .unwrap_or(0)
        };
        let (from, to) = (width(Rung::from), width(Rung::to));
        for rung in &self.rungs {
            let ms = rung.at.as_millis();
            writeln!(
                f,
                "{ms:>8} ms  {:from$} -> {:to$}  {}",
                rung.from, rung.to, rung.summary
            )?;
        }
        Ok(())
    }
}

fn rung(
    observation: &Observation,
    names: &BTreeMap<SocketAddr, String>,
    start: Instant,
) -> Option<Rung> {
    let flow = &observation.flow;
    // When the peer is watched too, what it sent stands there already.
    if observation.direction == Direction::Received && names.contains_key(&flow.remote()) {
        return None;
    }
    let name = |address: SocketAddr| {
        names
            .get(&address)
            .cloned()
            .unwrap_or_else(|| address.to_string())
    };
    let (from, to) = match observation.direction {
        Direction::Sent => (name(flow.local()), name(flow.remote())),
        Direction::Received => (name(flow.remote()), name(flow.local())),
    };
    let at = observation.at.saturating_duration_since(start);
    Some(Rung {
        at,
        from,
        to,
        summary: summary(&observation.contents),
        contents: observation.contents.clone(),
    })
}

/// The method of a request, the status of a response.
fn summary(contents: &[u8]) -> String {
    let line = contents
        .split(|&byte| byte == b'\r' || byte == b'\n')
        .next()
        .unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    match line.strip_prefix("SIP/2.0 ") {
        Some(status) => status.to_owned(),
        None => line.split(' ').next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_io::Flow;

    #[test]
    fn a_message_watched_at_both_ends_stands_once() {
        let trace = Trace::new().keep(10);
        let (alice, bob): (SocketAddr, SocketAddr) =
            (([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into());
        let start = Instant::now();
        let seen = |ms, direction, local, remote, contents: &'static str| Observation {
            at: start + Duration::from_millis(ms),
            direction,
            flow: Flow::udp(local, remote),
            contents: Bytes::from_static(contents.as_bytes()),
        };
        let (a, b) = (trace.named("alice"), trace.named("bob"));
        a.note(seen(
            0,
            Direction::Sent,
            alice,
            bob,
            "OPTIONS sip:bob SIP/2.0\r\n\r\n",
        ));
        b.note(seen(
            1,
            Direction::Received,
            bob,
            alice,
            "OPTIONS sip:bob SIP/2.0\r\n\r\n",
        ));
        b.note(seen(
            1,
            Direction::Sent,
            bob,
            alice,
            "SIP/2.0 200 OK\r\n\r\n",
        ));
        a.note(seen(
            2,
            Direction::Received,
            alice,
            bob,
            "SIP/2.0 200 OK\r\n\r\n",
        ));
        let expected =
            "       0 ms  alice -> bob    OPTIONS\n       1 ms  bob   -> alice  200 OK\n";
        assert_eq!(trace.ladder().to_string(), expected);
    }

    #[test]
    fn a_full_trace_loses_the_oldest_and_says_so() {
        let trace = Trace::new().keep(1);
        for _ in 0..3 {
            let flow = Flow::udp(([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into());
            let contents = Bytes::from_static(b"ACK sip:b SIP/2.0\r\n\r\n");
            trace.note(Observation {
                at: Instant::now(),
                direction: Direction::Sent,
                flow,
                contents,
            });
        }
        assert_eq!(
            (trace.ladder().messages().count(), trace.ladder().lost()),
            (1, 2)
        );
    }
}
