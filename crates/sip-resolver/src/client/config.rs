//! What a DNS client is told once.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// Settings of a [`DnsClient`](crate::DnsClient).
///
/// ```
/// # use sip_resolver::DnsConfig;
/// let config = DnsConfig::from_resolv_conf("search example.com\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n");
/// assert_eq!(config.servers().len(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct DnsConfig {
    pub(super) servers: Vec<SocketAddr>,
    pub(super) attempts: u32,
    pub(super) interval: Duration,
    pub(super) longest_interval: Duration,
    pub(super) questions: usize,
    pub(super) streams: bool,
}

impl DnsConfig {
    /// Asks these servers, the first one first; 16 at most.
    pub fn new(servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        let mut config = Self {
            servers: Vec::new(),
            attempts: 3,
            interval: Duration::from_millis(500),
            longest_interval: Duration::from_secs(2),
            questions: 8_192,
            streams: true,
        };
        config.set_servers(servers);
        config
    }

    /// Asks the servers that a system's `resolv.conf` names, at port 53; if there is none, the host itself.
    ///
    /// Other lines mean nothing here: SIP names are never completed with a search domain.
    pub fn from_resolv_conf(text: &str) -> Self {
        let mut servers: Vec<SocketAddr> = text
            .lines()
            .filter_map(|line| {
                let mut words = line.split_ascii_whitespace();
                let (Some("nameserver"), Some(address)) = (words.next(), words.next()) else {
                    return None;
                };
                // A scope (fe80::1%eth0) is left to the socket.
                let address = address.split('%').next().unwrap_or_default();
                let address: IpAddr = address.parse().ok()?;
                Some(SocketAddr::new(address, 53))
            })
            .collect();
        if servers.is_empty() {
            servers.push(SocketAddr::from(([127, 0, 0, 1], 53)));
        }
        Self::new(servers)
    }

    /// The servers.
    pub fn servers(&self) -> &[SocketAddr] {
        &self.servers
    }

    /// How often a question is sent, over all servers. Defaults to 3; with more servers than that, to their number.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// How long the first attempt waits; each further one waits twice as long, up to 2 s. Defaults to 500 ms, so that
    /// three attempts end after 3.5 s.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How many questions may be open, 32,768 at most. Defaults to 8,192; one more ends at once with
    /// [`LookupError::TooManyQuestions`](crate::LookupError::TooManyQuestions).
    #[must_use]
    pub fn questions(mut self, questions: usize) -> Self {
        self.questions = questions.min(32_768);
        self
    }

    /// Whether what was cut off is asked for over TCP. Defaults to yes (RFC 7766 §5); then somebody has to look at
    /// [`DnsClient::poll_stream`](crate::DnsClient::poll_stream).
    #[must_use]
    pub fn streams(mut self, streams: bool) -> Self {
        self.streams = streams;
        self
    }

    pub(super) fn set_servers(&mut self, servers: impl IntoIterator<Item = SocketAddr>) {
        self.servers = servers.into_iter().take(16).collect();
        self.attempts = self.attempts.max(self.servers.len() as u32);
    }

    /// How long the attempt after `made` others waits.
    pub(super) fn wait(&self, made: u32) -> Duration {
        let doubled = self.interval.saturating_mul(1 << made.min(16));
        doubled.min(self.longest_interval.max(self.interval))
    }
}
