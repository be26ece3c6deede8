//! What a proxy is made from.

use sip_auth::{Authenticator, CredentialStore, Role, Server};
use sip_endpoint::Domains;
use sip_io::WallClock;
use sip_message::{StatusCode, Uri};
use std::{fmt, net::IpAddr, time::Duration};

/// The configuration of a [`Proxy`](crate::Proxy): a seed and a clock are required, the rest has defaults.
///
/// ```
/// # use sip_io::WallClock;
/// # use sip_proxy::ProxyConfig;
/// # use std::time::{Duration, Instant, SystemTime};
/// let clock = WallClock { at: Instant::now(), is: SystemTime::now() };
/// let config = ProxyConfig::new([7; 32], clock).timer_c(Duration::from_secs(240));
/// ```
pub struct ProxyConfig {
    pub(crate) seed: [u8; 32],
    pub(crate) clock: WallClock,
    pub(crate) domains: Domains,
    pub(crate) auth: Option<Authenticator>,
    pub(crate) trusted: Vec<IpAddr>,
    pub(crate) foreign: Foreign,
    pub(crate) default_target: Option<Uri>,
    pub(crate) record_route: bool,
    pub(crate) answer_options: bool,
    pub(crate) timer_c: Duration,
    pub(crate) cancel_reason: bool,
    pub(crate) hand_on_reason: bool,
    pub(crate) cancel_unanswered: CancelUnanswered,
    pub(crate) unmatched_cancel: UnmatchedCancel,
    pub(crate) trying_after: Option<Duration>,
    pub(crate) own_status: Option<Box<OwnStatus>>,
    pub(crate) decision: Duration,
    pub(crate) max_breadth: u32,
    pub(crate) requests: usize,
    pub(crate) secrets: usize,
    pub(crate) targets: usize,
}

/// Who may have requests relayed that are neither from nor for a domain of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Foreign {
    /// Who has authenticated as a user of ours; nobody, when there is no authentication
    #[default]
    Authenticated,
    /// Anyone: an open relay
    Anyone,
}

/// What becomes of a branch that is to be cancelled and has said nothing yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CancelUnanswered {
    /// The INVITE is repeated, and its CANCEL goes out with the first provisional response (RFC 3261 §9.1)
    #[default]
    Wait,
    /// The same, but we wait for it no more: the branch counts as answered with 487 at once. A 2xx that comes after all
    /// has lost its way upstream, and its sender hears no ACK
    GiveUp,
    /// CANCEL goes out at once and the INVITE no more; see
    /// [`Endpoint::cancel_at_once`](sip_endpoint::Endpoint::cancel_at_once) for what may come of it
    AtOnce,
}

/// What becomes of a CANCEL for an INVITE that we do not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnmatchedCancel {
    /// It is answered 481: every INVITE that passes here is known as long as it can be cancelled, so nobody further on
    /// could know it by the branch that a CANCEL of ours would have
    #[default]
    Refuse,
    /// It goes where an ACK would go, by its Route or its Request-URI, and the answer comes back: for who shares a domain
    /// with another proxy (RFC 3261 §16.10). Each costs a transaction on both sides, and nobody is asked who he is
    Forward,
    /// It gets no answer, so that who invents them learns nothing and costs nothing
    Drop,
}

type OwnStatus = dyn Fn(StatusCode) -> Option<(StatusCode, Option<String>)> + Send;

impl fmt::Debug for ProxyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyConfig")
            .field("domains", &self.domains)
            .field("foreign", &self.foreign)
            .field("record_route", &self.record_route)
            .field("timer_c", &self.timer_c)
            .finish_non_exhaustive()
    }
}

impl ProxyConfig {
    /// The defaults, with the seed of the key that seals flow tokens, and the pair that tells dates.
    ///
    /// A proxy that is started again with the same seed knows the tokens that it gave before.
    pub fn new(seed: [u8; 32], clock: WallClock) -> Self {
        Self {
            seed,
            clock,
            domains: Domains::default(),
            auth: None,
            trusted: Vec::new(),
            foreign: Foreign::default(),
            default_target: None,
            record_route: true,
            answer_options: true,
            timer_c: Duration::from_secs(185),
            cancel_reason: true,
            hand_on_reason: true,
            cancel_unanswered: CancelUnanswered::default(),
            unmatched_cancel: UnmatchedCancel::default(),
            trying_after: Some(Duration::ZERO),
            own_status: None,
            decision: Duration::from_secs(30),
            max_breadth: 60,
            requests: 65_536,
            secrets: 10_000,
            targets: 60,
        }
    }

    /// The domains that we are responsible for, beside our listeners' own addresses. Defaults to none.
    pub fn domains(mut self, domains: Domains) -> Self {
        self.domains = domains;
        self
    }

    /// Who checks credentials (RFC 3261 §22.3), and the users. A request from a user of ours, or for a foreign domain, is then
    /// challenged with 407, and refused with 403 when its From is not the user who authenticated. ACK, CANCEL and
    /// requests inside a dialog that we recorded our route in are not. Defaults to none.
    pub fn authenticate(
        mut self,
        server: Server,
        users: impl CredentialStore + Send + 'static,
    ) -> Self {
        self.auth = Some(Authenticator::new(server, Role::Proxy, users));
        self
    }

    /// As [`authenticate`](Self::authenticate), with users that are elsewhere: each secret is asked for by
    /// [`Event::SecretNeeded`](crate::Event::SecretNeeded).
    pub fn authenticate_asking(mut self, server: Server) -> Self {
        self.auth = Some(Authenticator::asking(server, Role::Proxy));
        self
    }

    /// How many requests may wait for a secret. Defaults to 10,000; above it a request gets 503.
    pub fn secrets(mut self, limit: usize) -> Self {
        self.secrets = limit;
        self
    }

    /// Addresses whose requests are neither challenged nor refused, such as a gateway's. Defaults to none, because over
    /// UDP anyone can write a source address.
    pub fn trust(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.trusted = addresses.into_iter().collect();
        self
    }

    /// Who may use us as a relay between foreign domains. Defaults to [`Foreign::Authenticated`], because an open relay
    /// is found within a day.
    pub fn foreign(mut self, foreign: Foreign) -> Self {
        self.foreign = foreign;
        self
    }

    /// Where ACK and other requests inside a dialog go that come without a Route to a URI of ours: to a peer behind us
    /// whose Contact the other side ignores. Defaults to none: an ACK is then dropped, and any other request is a
    /// question like one outside a dialog.
    pub fn default_target(mut self, uri: Uri) -> Self {
        self.default_target = Some(uri);
        self
    }

    /// Whether we stay on the way of requests inside a dialog (RFC 3261 §16.6 step 4). Defaults to yes, because
    /// accepted connections and double routes need it.
    pub fn record_route(mut self, record_route: bool) -> Self {
        self.record_route = record_route;
        self
    }

    /// Whether OPTIONS for the proxy itself (our own URI without a user, RFC 3261 §11) is answered with 200. Defaults
    /// to yes, because phones ask so whether we live.
    pub fn answer_options(mut self, answer: bool) -> Self {
        self.answer_options = answer;
        self
    }

    /// How long an INVITE may ring on one branch since the last provisional response (Timer C, RFC 3261 §16.6
    /// step 11). Defaults to 185 s and is never less: it must be more than three minutes.
    pub fn timer_c(mut self, time: Duration) -> Self {
        self.timer_c = time.max(Duration::from_millis(180_001));
        self
    }

    /// Whether a CANCEL that we send by ourselves says why (RFC 3326): that the call was completed elsewhere, refused by a
    /// 6xx or not answered in time. Defaults to yes: by it a phone knows which calls it has missed.
    pub fn cancel_reason(mut self, says: bool) -> Self {
        self.cancel_reason = says;
        self
    }

    /// Whether the Reason of a CANCEL that came goes on with those that it leads to. Defaults to yes.
    pub fn hand_on_reason(mut self, hands_on: bool) -> Self {
        self.hand_on_reason = hands_on;
        self
    }

    /// What becomes of a branch that is to be cancelled and has said nothing yet. Defaults to what RFC 3261 §9.1 says.
    pub fn cancel_unanswered(mut self, how: CancelUnanswered) -> Self {
        self.cancel_unanswered = how;
        self
    }

    /// What becomes of a CANCEL for an INVITE that we do not know. Defaults to [`UnmatchedCancel::Refuse`].
    pub fn unmatched_cancel(mut self, what: UnmatchedCancel) -> Self {
        self.unmatched_cancel = what;
        self
    }

    /// When an INVITE gets its 100: zero is at once, `None` leaves it to who decides
    /// ([`Proxy::set_trying_after`](crate::Proxy::set_trying_after), [`Proxy::answer`](crate::Proxy::answer)). Defaults to
    /// zero: who asks a database or a distant target is slower than 200 ms (RFC 3261 §16.2).
    pub fn trying_after(mut self, after: Option<Duration>) -> Self {
        self.trying_after = after;
        self
    }

    /// What we say where RFC 3261 would have us say a status of our own – nobody answered, nobody is there, no decision
    /// came –: another final status, and a reason phrase of its own if there is one. `None` leaves it as it is, and so does
    /// what is no refusal.
    ///
    /// ```
    /// # use sip_message::StatusCode;
    /// # use sip_proxy::ProxyConfig;
    /// # fn configure(config: ProxyConfig) -> ProxyConfig {
    /// config.own_status(|status| match status {
    ///     StatusCode::REQUEST_TIMEOUT => Some((StatusCode::TEMPORARILY_UNAVAILABLE, None)),
    ///     StatusCode::SERVER_INTERNAL_ERROR => Some((status, Some("Try the Branch Office".to_owned()))),
    ///     _ => None,
    /// })
    /// # }
    /// ```
    pub fn own_status(
        mut self,
        own: impl Fn(StatusCode) -> Option<(StatusCode, Option<String>)> + Send + 'static,
    ) -> Self {
        self.own_status = Some(Box::new(own));
        self
    }

    /// How long a question may wait for its answer; afterwards the proxy sends 500, or the response that is held.
    /// Defaults to 30 s, because a user agent gives up after 32.
    pub fn decision(mut self, time: Duration) -> Self {
        self.decision = time;
        self
    }

    /// The most branches that a request may have at once, here and further on (Max-Breadth, RFC 5393 §5). Defaults to
    /// 60, as recommended there; zero counts as one.
    pub fn max_breadth(mut self, branches: u32) -> Self {
        self.max_breadth = branches.max(1);
        self
    }

    /// How many requests may be handled at the same time. Defaults to 65,536; above it a request gets 503.
    pub fn requests(mut self, limit: usize) -> Self {
        self.requests = limit;
        self
    }

    /// How many targets one request may be sent to, all plans together. Defaults to 60; those above are left out.
    pub fn targets(mut self, limit: usize) -> Self {
        self.targets = limit;
        self
    }
}
