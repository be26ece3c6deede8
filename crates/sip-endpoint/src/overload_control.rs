//! Overload control between neighbours (RFC 7339): who has too much to do says by how much others shall send less.

mod parameters;

use crate::{Endpoint, search::State};
use ahash::RandomState;
use parameters::{PARAMETERS, Word, announces, clean_lower_vias};
pub(crate) use parameters::{announced, strip_client};
use sip_io::{Flow, Rng, WallClock};
use sip_message::{
    Method, Request, Response,
    headers::{ResourcePriority, Via},
};
use sip_transaction::{ClientTransactionId, ServerTransactionId};
use sip_transport::Target;
use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

/// Overload control by the parameters `oc`, `oc-algo`, `oc-validity` and `oc-seq` of the Via (RFC 7339), with the
/// loss-based scheme (§7). For [`EndpointConfig::overload_control`](crate::EndpointConfig::overload_control).
///
/// As a **client** the endpoint announces itself in the Via of each request. A next hop, an address and a port, that
/// answers with `oc=30;oc-algo="loss";oc-validity=500` gets 30 % fewer requests for 500 ms. Chance picks those that are
/// not sent; at that hop they fail with [`AttemptFailure::Shed`](crate::AttemptFailure::Shed), so another server is tried or the
/// request fails with what is a 503 to a core (§5.10). Requests within dialogs, BYE, CANCEL and emergency calls
/// (`Resource-Priority: esnet.…`, `urn:service:sos`) are spared as long as others are left (§5.10.1); ACKs always pass.
///
/// As a **server** it tells each client that announced itself, in its responses, which share of all requests is too much:
/// what the application says by [`Endpoint::set_overload`], or the share of requests that it refused itself in the last
/// second, whichever is more. When that is over it says `oc=0;oc-validity=0` (§5.7).
///
/// Parameters that cannot be read count as absent. A proxy passes no word of a downstream server on (§5.4), and none of its
/// client's either (§5.6): what the client has announced is known until it is answered.
///
/// ```
/// # use sip_endpoint::{EndpointConfig, OverloadControl};
/// # fn configure(config: EndpointConfig) -> EndpointConfig {
/// // We heed what others say, and tell nobody about ourselves.
/// config.overload_control(OverloadControl::new().server(false))
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct OverloadControl {
    client: bool,
    server: bool,
    validity: Duration,
    next_hops: usize,
}

impl OverloadControl {
    /// In both roles.
    pub fn new() -> Self {
        Self {
            client: true,
            server: true,
            validity: Duration::from_millis(500),
            next_hops: 1024,
        }
    }

    /// Whether requests announce that we support it, and next hops are heeded. Defaults to yes.
    pub fn client(mut self, client: bool) -> Self {
        self.client = client;
        self
    }

    /// Whether clients that announce themselves are told about our load. Defaults to yes; no hides from peers how busy
    /// we are (RFC 7339 §5.2).
    pub fn server(mut self, server: bool) -> Self {
        self.server = server;
        self
    }

    /// How long what we tell holds unless a further response renews it, in whole milliseconds. Defaults to 500 ms, as
    /// RFC 7339 §4.3; at least 1 ms and at most a minute.
    pub fn validity(mut self, validity: Duration) -> Self {
        self.validity = validity.clamp(Duration::from_millis(1), LONGEST_VALIDITY);
        self
    }

    /// How many overloaded next hops are remembered. Defaults to 1024; above it the one heard of longest ago is
    /// forgotten, and gets everything.
    pub fn next_hops(mut self, limit: usize) -> Self {
        self.next_hops = limit;
        self
    }

    pub(crate) const fn is_client(&self) -> bool {
        self.client
    }
}

impl Default for OverloadControl {
    fn default() -> Self {
        Self::new()
    }
}

/// What is known of the load of others and of our own.
#[derive(Debug)]
pub(crate) struct Control {
    config: OverloadControl,
    clock: WallClock,
    rng: Rng,
    /// Whose request announced its client, as long as it may be answered: a Via that was forwarded comes back without
    clients: HashSet<ServerTransactionId, RandomState>,
    hops: HashMap<SocketAddr, NextHop, RandomState>,
    shed: u64,
    /// What the application says, in percent
    set: u8,
    pressure: Pressure,
    told: Told,
}

/// A server that has asked for less at some time.
#[derive(Debug)]
struct NextHop {
    percent: u8,
    /// The end of the validity
    until: Instant,
    sequence: Option<u64>,
    /// Until when an older word is recognised as such
    remembered: Instant,
    heard: Instant,
    mix: Mix,
}

/// How many of the requests to a next hop are candidates (RFC 7339 §7.2).
#[derive(Clone, Copy, Debug)]
struct Mix {
    candidates: f64,
    all: f64,
}

/// Whether a request may be shed (RFC 7339 §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Category {
    /// It begins something new
    Candidate,
    /// It is sent unless there are too few candidates
    Spared,
}

/// What came and what of it was refused, second by second.
#[derive(Debug)]
struct Pressure {
    since: Instant,
    taken: u64,
    refused: u64,
    /// What the seconds before said
    percent: u8,
}

/// What the newest response said about us.
#[derive(Debug)]
struct Told {
    percent: u8,
    sequence: u64,
}

impl Control {
    pub(crate) fn new(
        config: OverloadControl,
        clock: WallClock,
        rng: Rng,
        hasher: RandomState,
    ) -> Self {
        Self {
            config,
            clock,
            rng,
            clients: HashSet::with_hasher(hasher.clone()),
            hops: HashMap::with_hasher(hasher),
            shed: 0,
            set: 0,
            pressure: Pressure {
                since: clock.at,
                taken: 0,
                refused: 0,
                percent: 0,
            },
            told: Told {
                percent: 0,
                sequence: timestamp(clock, clock.at),
            },
        }
    }

    pub(crate) fn taken(&mut self, now: Instant, id: ServerTransactionId, request: &Request) {
        self.pressure.roll(now);
        self.pressure.taken += 1;
        if self.config.server && announces(request.headers()) {
            self.clients.insert(id);
        }
    }

    pub(crate) fn answered(&mut self, id: ServerTransactionId) {
        self.clients.remove(&id);
    }

    pub(crate) fn refused(&mut self, now: Instant) {
        self.pressure.roll(now);
        self.pressure.refused += 1;
    }

    /// How many clients are remembered until they are answered.
    #[cfg(test)]
    pub(crate) fn known_clients(&self) -> usize {
        self.clients.len()
    }

    pub(crate) fn set(&mut self, percent: u8) {
        self.set = percent.min(100);
    }

    pub(crate) const fn shed(&self) -> u64 {
        self.shed
    }

    /// Completes the Via of a client that announced itself (RFC 7339 §5.1, §5.2).
    pub(crate) fn tell(
        &mut self,
        now: Instant,
        id: Option<ServerTransactionId>,
        response: &mut Response,
    ) {
        let is_known = id.is_some_and(|id| self.clients.contains(&id));
        if !self.config.server || !(is_known || announces(response.headers())) {
            return;
        }
        let Ok(mut via) = response.via() else { return };
        self.pressure.roll(now);
        let percent = self.set.max(self.pressure.percent);
        let sequence = self.told.sequence(percent, timestamp(self.clock, now));
        let validity = match percent {
            0 => 0,
            _ => self.config.validity.as_millis(),
        };
        for name in PARAMETERS {
            via.remove_param(name);
        }
        // RFC 7339 §9: the algorithm stands in quotes, though it is a token.
        let text = format!(
            "{via};oc={percent};oc-algo=\"loss\";oc-validity={validity};oc-seq={}.{:05}",
            sequence / TICKS,
            sequence % TICKS
        );
        if let Ok(via) = text.parse::<Via>() {
            response.headers_mut().replace_front(via);
        }
    }

    /// Takes in what a server says about itself, and lets none of it travel upstream (RFC 7339 §5.4).
    fn heed(&mut self, now: Instant, server: SocketAddr, response: &mut Response) {
        if !self.config.client {
            return;
        }
        let word = match response.headers().view::<Via>() {
            Some(Ok(via)) => Word::read(&via),
            _ => None,
        };
        if let Some(word) = word {
            self.note(now, server, word);
        }
        clean_lower_vias(response);
    }

    fn note(&mut self, now: Instant, server: SocketAddr, word: Word) {
        let mix = match self.hops.get(&server) {
            Some(hop) if hop.remembered > now && !hop.is_news(word.sequence) => return,
            Some(hop) => hop.mix,
            // Who never asked for less has nothing to take back.
            None if word.percent == 0 => return,
            None => {
                self.make_room();
                Mix::USUAL
            }
        };
        let until = now + word.validity;
        let hop = NextHop {
            percent: word.percent,
            until,
            sequence: word.sequence,
            remembered: until.max(now + TARDINESS),
            heard: now,
            mix,
        };
        if self.config.next_hops > 0 {
            self.hops.insert(server, hop);
        }
    }

    fn make_room(&mut self) {
        while !self.hops.is_empty() && self.hops.len() >= self.config.next_hops {
            let oldest = self.hops.iter().min_by_key(|(at, hop)| (hop.heard, **at));
            let Some((&oldest, _)) = oldest else { return };
            self.hops.remove(&oldest);
        }
    }

    /// Whether `server` is not to get this request (RFC 7339 §7.2).
    fn sheds(&mut self, now: Instant, server: SocketAddr, request: &Request) -> bool {
        let Some(hop) = self.hops.get_mut(&server) else {
            return false;
        };
        if hop.remembered <= now {
            self.hops.remove(&server);
            return false;
        }
        let category = Category::of(request);
        hop.mix.add(category);
        if hop.until <= now || hop.percent == 0 {
            return false;
        }
        let chance = hop.mix.chance(category, f64::from(hop.percent));
        let sheds = self.rng.fraction() * 100.0 < chance;
        self.shed += u64::from(sheds);
        sheds
    }
}

impl NextHop {
    fn is_news(&self, sequence: Option<u64>) -> bool {
        match (self.sequence, sequence) {
            (Some(last), Some(sequence)) => sequence > last,
            (Some(_), None) => false,
            (None, _) => true,
        }
    }
}

impl Mix {
    /// RFC 7339 §7.2 begins with 80 to 20; what comes soon outweighs it.
    const USUAL: Self = Self {
        candidates: 8.0,
        all: 10.0,
    };

    fn add(&mut self, category: Category) {
        self.all += 1.0;
        if category == Category::Candidate {
            self.candidates += 1.0;
        }
        // The older half counts for less and less.
        if self.all >= 1000.0 {
            self.all /= 2.0;
            self.candidates /= 2.0;
        }
    }

    /// How likely a request of `category` is shed, in percent, so that `percent` of all are.
    fn chance(self, category: Category, percent: f64) -> f64 {
        let share = self.candidates / self.all * 100.0;
        match category {
            Category::Candidate if percent < share => percent / share * 100.0,
            Category::Candidate => 100.0,
            Category::Spared if percent <= share => 0.0,
            Category::Spared => (percent - share) / (100.0 - share) * 100.0,
        }
    }
}

impl Category {
    /// RFC 7339 §5.10.1.
    fn of(request: &Request) -> Self {
        let belongs_to_something = request.has_to_tag()
            || matches!(
                *request.method(),
                Method::ACK | Method::BYE | Method::CANCEL
            );
        if belongs_to_something || is_emergency(request) {
            Self::Spared
        } else {
            Self::Candidate
        }
    }
}

impl Pressure {
    /// Closes the seconds that are over.
    fn roll(&mut self, now: Instant) {
        let over = now.saturating_duration_since(self.since).as_secs();
        if over == 0 {
            return;
        }
        let all = self.taken + self.refused;
        let share = (self.refused * 100).checked_div(all).unwrap_or(0) as u8;
        // Where clients do as they are told less is refused: who took that for the end would swing to and fro.
        self.percent = share.max(self.percent / 2);
        for _ in 1..over.min(8) {
            self.percent /= 2;
        }
        self.since += Duration::from_secs(over);
        self.taken = 0;
        self.refused = 0;
    }
}

impl Told {
    /// The number that goes with `percent`: another word has a higher one, and so has the same word when it is to hold
    /// longer (RFC 7339 §4.4, §5.4). That all is well need not be said twice.
    fn sequence(&mut self, percent: u8, now: u64) -> u64 {
        if percent != self.percent {
            self.sequence = now.max(self.sequence + 1);
        } else if percent > 0 {
            self.sequence = now.max(self.sequence);
        }
        self.percent = percent;
        self.sequence
    }
}

impl Endpoint {
    /// Says by which share, in percent, clients that support it shall send fewer requests (RFC 7339 §5.3): 0 leaves it
    /// to what the endpoint refuses itself.
    ///
    /// Clients that do not support it send on; the application refuses some of their requests with 503 without
    /// Retry-After (RFC 7339 §5.10.2). Without [`EndpointConfig::overload_control`](crate::EndpointConfig::overload_control)
    /// nobody is told.
    pub fn set_overload(&mut self, percent: u8) {
        if let Some(control) = &mut self.overload_control {
            control.set(percent);
        }
    }

    /// Tells a client that wants to know how busy we are.
    pub(crate) fn tell_overload(
        &mut self,
        now: Instant,
        id: Option<ServerTransactionId>,
        response: &mut Response,
    ) {
        if let Some(control) = &mut self.overload_control {
            control.tell(now, id, response);
        }
    }

    /// Takes in what a response says about the load of the server that the request went to.
    pub(crate) fn heed_overload(
        &mut self,
        now: Instant,
        transaction: ClientTransactionId,
        response: &mut Response,
        flow: &Flow,
    ) {
        let Some(control) = &mut self.overload_control else {
            return;
        };
        let id = self.attempts.get(&transaction);
        let request = id.and_then(|id| self.requests.get(id.0));
        let server = match request.map(|request| &request.state) {
            Some(State::Transaction { target, .. }) => target.address,
            _ => flow.remote(),
        };
        control.heed(now, server, response);
    }

    /// Whether this request is one of those that `target` asked not to be sent (RFC 7339 §5.5). Then its server is left
    /// with all its addresses, as after a 503.
    pub(crate) fn is_shed(
        &mut self,
        now: Instant,
        id: crate::RequestId,
        target: &Target,
        server: Option<&str>,
    ) -> bool {
        let Some(control) = &mut self.overload_control else {
            return false;
        };
        let request = self.requests.get_mut(id.0);
        let Some(search) = request.and_then(|request| request.search.as_deref_mut()) else {
            return false;
        };
        let sheds = control.sheds(now, target.address, &search.draft.request);
        if sheds {
            search.hops.retain(|hop| {
                hop.target.address != target.address && !hop.is_same_server(target, server)
            });
        }
        sheds
    }
}

/// RFC 7135 §3 and RFC 5031.
fn is_emergency(request: &Request) -> bool {
    let uri = request.uri();
    if !uri.is_sip() {
        let start = uri.as_bytes().get(..SOS.len());
        return start.is_some_and(|start| start.eq_ignore_ascii_case(SOS));
    }
    match request.headers().get::<ResourcePriority>() {
        Some(Ok(priority)) => priority
            .values()
            .any(|(namespace, _)| namespace.eq_ignore_ascii_case("esnet")),
        _ => false,
    }
}

/// The time of day in ticks: also after a restart higher than before.
fn timestamp(clock: WallClock, now: Instant) -> u64 {
    let since = clock.at(now).duration_since(SystemTime::UNIX_EPOCH);
    let since = since.unwrap_or(Duration::ZERO);
    since.as_secs() * TICKS + u64::from(since.subsec_micros() / 10)
}

const SOS: &[u8] = b"urn:service:sos";

/// Steps of `oc-seq` in a second: five digits.
const TICKS: u64 = 100_000;

/// At `oc=100` nothing is sent by whose response the server could take it back, so nobody silences us for longer.
const LONGEST_VALIDITY: Duration = Duration::from_secs(60);

/// How long a response may still come that was written earlier: a final one is repeated for 64×T1 as it was.
const TARDINESS: Duration = Duration::from_secs(32);
