//! What an endpoint is made from.

use crate::{OverloadControl, Redaction, View};
use sip_io::WallClock;
use sip_resolver::{DnsConfig, HealthConfig, ResolverConfig, Zone};
use sip_transaction::{Matching, Timers};
use sip_transport::{Sharding, TransportConfig};
use std::{net::SocketAddr, time::Duration};

/// The configuration of an [`Endpoint`](crate::Endpoint): a seed and a clock are required, the rest has defaults.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    pub(crate) seed: [u8; 32],
    pub(crate) clock: WallClock,
    pub(crate) timers: Timers,
    pub(crate) transport: TransportConfig,
    pub(crate) view: View,
    pub(crate) product: Option<String>,
    pub(crate) transactions: usize,
    pub(crate) requests: usize,
    pub(crate) overload_answers: u32,
    pub(crate) datagram_limit: usize,
    pub(crate) observe: usize,
    pub(crate) trying_after: Option<Duration>,
    pub(crate) trying_reason: Option<String>,
    pub(crate) new_requests: Option<u32>,
    pub(crate) redaction: Redaction,
    pub(crate) strays: bool,
    pub(crate) answer_stun: bool,
    pub(crate) await_reconnection: bool,
    pub(crate) attempt_limit: Option<Duration>,
    pub(crate) attempt_delay: Duration,
    pub(crate) non_invite_limit: Option<Duration>,
    pub(crate) health: HealthConfig,
    pub(crate) affinity: Option<Duration>,
    pub(crate) overload_control: Option<OverloadControl>,
    pub(crate) matching: Matching,
    pub(crate) carried: Vec<String>,
}

impl EndpointConfig {
    /// The defaults, with the seed of every tag, branch and nonce, and the pair that tells dates.
    ///
    /// A program takes the seed from the system, once; a test fixes it.
    pub fn new(seed: [u8; 32], clock: WallClock) -> Self {
        Self {
            seed,
            clock,
            timers: Timers::default(),
            transport: TransportConfig::default(),
            view: View::default(),
            product: None,
            transactions: 65_536,
            requests: 65_536,
            overload_answers: 100,
            datagram_limit: 1300,
            observe: 0,
            trying_after: Some(Duration::from_millis(200)),
            trying_reason: None,
            new_requests: None,
            redaction: Redaction::default(),
            strays: false,
            answer_stun: true,
            await_reconnection: true,
            attempt_limit: None,
            attempt_delay: Duration::from_millis(250),
            non_invite_limit: None,
            health: HealthConfig::default(),
            affinity: None,
            overload_control: None,
            matching: Matching::default(),
            carried: Vec::new(),
        }
    }

    /// The timers of every transaction that does not bring its own. Defaults to RFC 3261's values.
    pub fn timers(mut self, timers: Timers) -> Self {
        self.timers = timers;
        self
    }

    /// The limits and times of the transport layer.
    pub fn transport(mut self, transport: TransportConfig) -> Self {
        self.transport = transport;
        self
    }

    /// Makes the endpoint one of several that share the work of one; see [`Sharding`]. Defaults to none. Limits and
    /// rates are then those of each.
    pub fn sharding(mut self, sharding: Sharding) -> Self {
        self.transport = self.transport.sharding(sharding);
        self
    }

    /// Another seed than that of [`new`](Self::new): what several endpoints have in common, each makes other tags and
    /// branches from.
    pub fn seed(mut self, seed: [u8; 32]) -> Self {
        self.seed = seed;
        self
    }

    /// Names that are known without asking. Defaults to none.
    pub fn zone(mut self, zone: Zone) -> Self {
        self.view = self.view.zone(zone);
        self
    }

    /// How names become servers: the cache, prefetching, old answers when the DNS is dead, telephone numbers. Defaults to
    /// [`ResolverConfig`]'s values. Of its transports and address families those are used that the listeners speak.
    pub fn resolver(mut self, resolver: ResolverConfig) -> Self {
        self.view = self.view.resolver(resolver);
        self
    }

    /// The servers that our own DNS client asks. Defaults to none: then each question comes out as
    /// [`StackEvent::LookupNeeded`](crate::StackEvent::LookupNeeded).
    pub fn nameservers(mut self, nameservers: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.view = self.view.nameservers(nameservers);
        self
    }

    /// [`nameservers`](Self::nameservers) with how often they are asked, and how long each time.
    pub fn dns(mut self, dns: DnsConfig) -> Self {
        self.view = self.view.dns(dns);
        self
    }

    /// The text of the User-Agent header field of our own requests that have none. Defaults to none, because a version
    /// number helps an attacker more than a peer (RFC 3261 §20.41). A text that cannot stand there is left out.
    pub fn product(mut self, product: impl Into<String>) -> Self {
        self.product = Some(product.into());
        self
    }

    /// How many transactions of each side may exist. Defaults to 65,536; above it new requests from peers get a
    /// stateless 503 (see [`overload_answers`](Self::overload_answers)), our own fail with
    /// [`Failure::Full`](crate::Failure::Full).
    pub fn transactions(mut self, limit: usize) -> Self {
        self.transactions = limit;
        self
    }

    /// How many requests of our own may be under way, those that wait for a name or a connection included. Defaults to
    /// 65,536; above it a request fails with [`Failure::Full`](crate::Failure::Full). As many ACKs are kept for
    /// repetition, and as many responses may wait for a connection.
    pub fn requests(mut self, limit: usize) -> Self {
        self.requests = limit;
        self
    }

    /// How many 503s a second are sent when the transaction table is full; above that requests are dropped. Defaults
    /// to 100. No Retry-After goes with it: that would stop an upstream proxy altogether (RFC 3261 §21.5.4).
    pub fn overload_answers(mut self, a_second: u32) -> Self {
        self.overload_answers = a_second;
        self
    }

    /// The longest request, in bytes, that goes over UDP without TCP being tried first (RFC 3261 §18.1.1).
    ///
    /// Defaults to 1300, which RFC 3261 says where the path MTU is unknown; where it is known, the MTU less 200 is
    /// right. A peer that takes no TCP connection gets the request over UDP after all. `usize::MAX` never tries TCP,
    /// for networks where a firewall swallows connections and each attempt costs the time to open one.
    pub fn datagram_limit(mut self, bytes: usize) -> Self {
        self.datagram_limit = bytes;
        self
    }

    /// How long one server may stay silent before the next one is tried, or the request fails (RFC 3263 §4.3).
    ///
    /// Defaults to none: a server has 64×T1, as RFC 3261 §17.1 says. The time to open a connection counts. Any response, a
    /// 100 too, ends the wait. An INVITE that was given up is sent no more; if it is answered after all it is cancelled, and
    /// if that was a 2xx, a user agent ends the call.
    pub fn attempt_limit(mut self, limit: Duration) -> Self {
        self.attempt_limit = Some(limit);
        self
    }

    /// How long a connection may take to open before another address of the same server is tried beside it; the first
    /// to open is used, the others are closed (RFC 8305 §5).
    ///
    /// Defaults to 250 ms, as RFC 8305 §8 recommends; at least 10 ms.
    pub fn attempt_delay(mut self, delay: Duration) -> Self {
        self.attempt_delay = delay.max(Duration::from_millis(10));
        self
    }

    /// How long all attempts of a request other than INVITE may take together when there is more than one server.
    ///
    /// Defaults to none: 64×T1 for each server. 20 s leave time for an answer upstream, where another element's
    /// Timer F runs (RFC 4321 §1.2).
    pub fn non_invite_limit(mut self, limit: Duration) -> Self {
        self.non_invite_limit = Some(limit);
        self
    }

    /// What is remembered of servers that failed. Defaults to [`HealthConfig`]'s values: they are tried last for a while.
    pub fn health(mut self, health: HealthConfig) -> Self {
        self.health = health;
        self
    }

    /// For how long requests with one Call-ID, those of a dialog or a registration, stay with the server that answered
    /// the last of them, as long as the name leads to it. Defaults to none: each request chooses anew.
    pub fn affinity(mut self, lasts: Duration) -> Self {
        self.affinity = Some(lasts);
        self
    }

    /// Neighbours tell each other by parameters of the Via when they have too much to do (RFC 7339). Defaults to none:
    /// nothing is announced, told or heeded.
    pub fn overload_control(mut self, control: OverloadControl) -> Self {
        self.overload_control = Some(control);
        self
    }

    /// When an INVITE that no core has answered yet is answered with 100. Defaults to 200 ms (RFC 3261 §17.2.1); `None`
    /// leaves it to the core.
    pub fn trying_after(mut self, after: Option<Duration>) -> Self {
        self.trying_after = after;
        self
    }

    /// The reason phrase of every 100 that is no application's own. Defaults to the customary one, `Trying`.
    pub fn trying_reason(mut self, reason: impl Into<String>) -> Self {
        self.trying_reason = Some(reason.into());
        self
    }

    /// What has to agree for a message to belong to a transaction. Defaults to what RFC 3261 §17.1.3 and §17.2.3 say.
    pub fn matching(mut self, matching: Matching) -> Self {
        self.matching = matching;
        self
    }

    /// Repeats header fields of an INVITE whose names begin so in its CANCEL and in the ACK to its refusal; see
    /// [`TransactionConfig::carry`](sip_transaction::TransactionConfig::carry). Defaults to none.
    pub fn carry(mut self, beginning: impl Into<String>) -> Self {
        self.carried.push(beginning.into());
        self
    }

    /// How many requests that begin something new are taken in within a second. The rest gets 503 at the rate of
    /// [`overload_answers`](Self::overload_answers), or nothing; ACK, CANCEL and whatever belongs to a dialog pass always.
    /// Defaults to none.
    pub fn new_requests_per_second(mut self, requests: Option<u32>) -> Self {
        self.new_requests = requests;
        self
    }

    /// What the observation hides. Defaults to credentials alone.
    pub fn redact(mut self, redaction: Redaction) -> Self {
        self.redaction = redaction;
        self
    }

    /// Whether responses that belong to no request of ours come as [`Event::Stray`](crate::Event::Stray): for a
    /// stateless proxy, which alone forwards them (RFC 6026 §7.3). Defaults to no: they are counted and dropped.
    pub fn strays(mut self, strays: bool) -> Self {
        self.strays = strays;
        self
    }

    /// Whether STUN binding requests on our UDP ports are answered (RFC 5626 §8.1). Defaults to yes: whoever asks learns
    /// its own address and nothing else. Where they are not, nobody is told that it may keep its flow alive
    /// ([`TransportConfig::keep`], RFC 6223).
    pub fn answer_stun(mut self, answer: bool) -> Self {
        self.answer_stun = answer;
        self
    }

    /// Whether a request that had a provisional response goes on when its connection breaks, as long as a listener of
    /// ours is what its Via names: then the final response may come over a new connection (RFC 3261 §18.2.2).
    ///
    /// Defaults to yes. Where we listen for nothing like it such a request fails at once in any case, and so does one
    /// that had no response at all.
    pub fn await_reconnection(mut self, wait: bool) -> Self {
        self.await_reconnection = wait;
        self
    }

    /// How many messages the observation keeps until they are fetched. Defaults to 0: off, and free. When it is full
    /// the oldest are lost and counted.
    pub fn observe(mut self, messages: usize) -> Self {
        self.observe = messages;
        self
    }
}
