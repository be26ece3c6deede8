//! Many lookups at once.

#[cfg(test)]
mod keeping_tests;
#[cfg(test)]
mod tests;

use crate::{
    Answer, Cached, Families, LookupError, Query, Question, Record, ResolverConfig,
    cache::{Cache, Outcome},
    name,
    procedure::{Procedure, Step},
};
use ahash::RandomState;
use sip_io::{Protocol, Rng, TimerId, TimerQueue};
use sip_message::Uri;
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use thiserror::Error;

/// Finds out where queries lead, from a zone, a cache and the answers to single questions.
///
/// Lookups for the same name share their questions. Commands do the work; [`poll_event`](Self::poll_event) and
/// [`poll_timeout`](Self::poll_timeout) only look. A lookup that needs nothing from outside has its event queued when
/// [`start`](Self::start) returns.
///
/// ```
/// # use sip_io::Rng;
/// # use sip_resolver::{Answer, Event, Families, Query, Resolver, ResolverConfig};
/// # use std::time::{Duration, Instant};
/// let now = Instant::now();
/// let config = ResolverConfig::new().families(Families::V4);
/// let mut resolver = Resolver::new(config, Rng::new([0; 32]), now);
/// resolver.start(now, Query::host("pbx.example", Some(5070), None)?);
///
/// let Some(Event::Question { id, question }) = resolver.poll_event() else { panic!("nobody knows the name") };
/// assert_eq!(question.to_string(), "pbx.example A");
/// resolver.provide_answer(now, id, Ok(Answer::addresses([[192, 0, 2, 1].into()], Duration::from_secs(60))));
///
/// let Some(Event::Resolved { targets, .. }) = resolver.poll_event() else { panic!("it was answered") };
/// assert_eq!(targets[0].address, "192.0.2.1:5070".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Resolver {
    config: ResolverConfig,
    rng: Rng,
    lookups: HashMap<LookupId, Lookup, RandomState>,
    questions: HashMap<QuestionId, Asked, RandomState>,
    ids: HashMap<Question, QuestionId, RandomState>,
    cache: Cache,
    timers: TimerQueue<Timer>,
    events: VecDeque<Event>,
    serial: u64,
    stats: ResolverStats,
}

/// Names a lookup; never used twice by resolvers whose numbers are [apart](ResolverConfig::ids_from).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LookupId(u64);

/// Names a question; never used twice by resolvers whose numbers are [apart](ResolverConfig::ids_from).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuestionId(u64);

impl LookupId {
    /// Its number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl QuestionId {
    /// Its number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// A server's address, and how to speak to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// What to speak
    pub protocol: Protocol,
    /// Where
    pub address: SocketAddr,
    /// The host of what was resolved, which is the name that a TLS certificate has to have (RFC 5922 §4)
    pub name: String,
    /// The host whose address it is: what the SRV record names, or else the host of what was resolved. Targets with the
    /// same host and port are one server, reached in several ways
    pub server: String,
    /// What led to it, in the order in which it was learned; empty unless the resolver is told to keep
    /// [`origins`](ResolverConfig::origins)
    pub origins: Vec<Origin>,
    /// What a telephone number became on the way (RFC 6116), which is then to be the Request-URI
    pub uri: Option<Uri>,
}

/// A record on the way to a target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// What was asked
    pub question: Question,
    /// The record of the answer that was followed
    pub record: Record,
    /// How long the answer holds; [`Duration::MAX`] for what a zone knows
    pub ttl: Duration,
}

/// What a resolver tells its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Someone has to find this out and call [`Resolver::provide_answer`].
    Question {
        /// To be given back with the answer
        id: QuestionId,
        /// What is asked
        question: Question,
    },
    /// A lookup ended well.
    Resolved {
        /// Which lookup
        id: LookupId,
        /// At least one, in the order in which they are to be tried
        targets: Vec<Target>,
    },
    /// A lookup ended without a target.
    Failed {
        /// Which lookup
        id: LookupId,
        /// Why
        error: ResolveError,
    },
}

/// Why a lookup found nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The name does not exist (NXDOMAIN)
    #[error("{name} does not exist")]
    NoSuchName {
        /// The host as it was written
        name: String,
    },
    /// Neither the name nor any server that it leads to has an address
    #[error("{name} has no address")]
    NotFound {
        /// The host as it was written
        name: String,
    },
    /// The DNS could not be asked or did not say
    #[error("{question}: {error}")]
    Unanswered {
        /// What was asked
        question: Question,
        /// What came of it
        error: LookupError,
    },
    /// The domain says that it offers no SIP (an SRV record with target `.`, RFC 2782)
    #[error("{name} does not offer the service")]
    NotOffered {
        /// The domain
        name: String,
    },
    /// The name is one that stands for nothing (`.invalid`, RFC 6761 §6.4)
    #[error("{name} is never asked for")]
    NeverAsked {
        /// The name
        name: String,
    },
    /// No URI is known for the telephone number (RFC 6116)
    #[error("{number} leads to no uri")]
    NoSuchNumber {
        /// The number
        number: String,
    },
    /// The deadline passed before the answers came
    #[error("no answer before the deadline")]
    TimedOut,
    /// The limit of open lookups is reached
    #[error("{limit} lookups are open already")]
    TooManyLookups {
        /// The limit
        limit: usize,
    },
}

/// What a resolver has done, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResolverStats {
    /// Lookups started
    pub lookups: u64,
    /// Lookups that ended without a target
    pub failures: u64,
    /// Lookups refused at the limit
    pub refused: u64,
    /// Questions asked
    pub questions: u64,
    /// Questions answered from the cache
    pub cache_hits: u64,
    /// Questions that the DNS failed to answer and an old answer did
    pub stale: u64,
    /// Lookups open now
    pub open_lookups: usize,
    /// Questions open now
    pub open_questions: usize,
    /// Answers kept now
    pub cached: usize,
}

struct Lookup {
    query: Query,
    known: Vec<(Question, Outcome)>,
    /// Questions that it waits for
    waits_for: Vec<QuestionId>,
    seed: [u8; 32],
    deadline: TimerId,
    /// Set while only the slower address family is missing
    delay: Option<TimerId>,
}

struct Asked {
    question: Question,
    callers: BTreeSet<LookupId>,
    /// When it is looked at again, in case that nobody ever answers
    review: TimerId,
}

enum Timer {
    Deadline(LookupId),
    Delay(LookupId),
    Review(QuestionId),
}

impl Resolver {
    /// A resolver without anything to do. The generator orders servers of one priority and seeds the tables.
    pub fn new(config: ResolverConfig, mut rng: Rng, now: Instant) -> Self {
        let mut hasher = || {
            RandomState::with_seeds(
                rng.next_u64(),
                rng.next_u64(),
                rng.next_u64(),
                rng.next_u64(),
            )
        };
        Self {
            lookups: HashMap::with_hasher(hasher()),
            questions: HashMap::with_hasher(hasher()),
            ids: HashMap::with_hasher(hasher()),
            cache: Cache::new(hasher()),
            timers: TimerQueue::new(now),
            events: VecDeque::new(),
            serial: config.ids_from,
            stats: ResolverStats::default(),
            config,
            rng,
        }
    }

    /// Starts to find out where `query` leads. [`Event::Resolved`] or [`Event::Failed`] tells the end.
    pub fn start(&mut self, now: Instant, query: Query) -> LookupId {
        let id = LookupId(self.next_serial());
        self.stats.lookups += 1;
        if self.lookups.len() >= self.config.lookups {
            self.stats.refused += 1;
            let limit = self.config.lookups;
            self.fail(id, ResolveError::TooManyLookups { limit });
            return id;
        }
        let deadline = self
            .timers
            .insert(now + self.config.deadline, Timer::Deadline(id));
        let lookup = Lookup {
            query,
            known: Vec::new(),
            waits_for: Vec::new(),
            seed: self.rng.seed(),
            deadline,
            delay: None,
        };
        self.lookups.insert(id, lookup);
        self.advance(now, id, true);
        id
    }

    /// The target of a query that names an address: what [`start`](Self::start) would tell, without a lookup.
    pub fn literal(&self, query: &Query) -> Option<Target> {
        if !query.is_numeric() {
            return None;
        }
        let procedure = Procedure {
            query,
            config: &self.config,
            known: &[],
            patient: true,
            seed: [0; 32],
        };
        match procedure.run() {
            Step::Done(targets) => targets.into_iter().next(),
            Step::Wait { .. } | Step::Failed(_) => None,
        }
    }

    /// Gives a lookup up. An event of its that is queued already still comes; afterwards there is none.
    pub fn cancel(&mut self, id: LookupId) {
        self.finish(id);
    }

    /// Takes in the answer to a question. What nobody waits for any more is kept for the next one who asks.
    pub fn provide_answer(
        &mut self,
        now: Instant,
        id: QuestionId,
        answer: Result<Answer, LookupError>,
    ) {
        let Some((question, callers)) = self.forget(id) else {
            return;
        };
        let outcome: Outcome = match answer {
            Ok(answer) if answer.records().is_empty() => Err(LookupError::NoRecords { ttl: None }),
            Ok(answer) => Ok(Arc::new(answer)),
            Err(error) => Err(error),
        };
        let outcome = self.keep(now, &question, outcome);
        for caller in callers {
            if let Some(lookup) = self.lookups.get_mut(&caller) {
                lookup.waits_for.retain(|waiting| *waiting != id);
                lookup.known.push((question.clone(), outcome.clone()));
            }
            self.advance(now, caller, true);
        }
    }

    /// Ends what is overdue.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Delay(id) => {
                    if let Some(lookup) = self.lookups.get_mut(&id) {
                        lookup.delay = None;
                    }
                    self.advance(now, id, false);
                }
                Timer::Review(id) => self.review(now, id),
                Timer::Deadline(id) => {
                    self.advance(now, id, false);
                    if self.finish(id) {
                        self.fail(id, ResolveError::TimedOut);
                    }
                }
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Which addresses are of use now.
    pub const fn families(&self) -> Families {
        self.config.families
    }

    /// Whether a telephone number may lead somewhere: there is a suffix for ENUM (RFC 6116).
    pub const fn knows_numbers(&self) -> bool {
        self.config.enum_suffix.is_some()
    }

    /// Changes which addresses are of use, for lookups that start or go on from now on.
    pub fn set_families(&mut self, families: Families) {
        self.config.families = families;
    }

    /// Changes the transports that we speak, for lookups that start or go on from now on.
    pub fn set_protocols(&mut self, protocols: impl IntoIterator<Item = Protocol>) {
        self.config.protocols = protocols.into_iter().collect();
    }

    /// Forgets every answer.
    pub fn flush(&mut self) {
        self.cache.clear();
    }

    /// Forgets the answers about one name.
    pub fn flush_name(&mut self, name: &str) {
        if let Some(name) = name::normalize(name) {
            self.cache.remove_name(&name);
        }
    }

    /// Every answer that is kept, in no particular order.
    pub fn cached(&self, now: Instant) -> impl Iterator<Item = Cached> {
        self.cache.iter(now)
    }

    /// What was done and what is held.
    pub fn stats(&self) -> ResolverStats {
        ResolverStats {
            open_lookups: self.lookups.len(),
            open_questions: self.questions.len(),
            cached: self.cache.len(),
            ..self.stats
        }
    }

    /// Runs the procedure as far as it goes with what is known.
    fn advance(&mut self, now: Instant, id: LookupId, patient: bool) {
        loop {
            let Some(lookup) = self.lookups.get(&id) else {
                return;
            };
            let step = Procedure {
                query: &lookup.query,
                config: &self.config,
                known: &lookup.known,
                patient,
                seed: lookup.seed,
            }
            .run();
            match step {
                Step::Done(targets) => {
                    self.finish(id);
                    self.events.push_back(Event::Resolved { id, targets });
                    return;
                }
                Step::Failed(error) => {
                    self.finish(id);
                    self.fail(id, error);
                    return;
                }
                Step::Wait { questions, usable } => {
                    let mut learned = false;
                    for question in questions {
                        learned |= self.learn_or_ask(now, id, question);
                    }
                    if !learned {
                        self.set_delay(now, id, usable);
                        return;
                    }
                }
            }
        }
    }

    /// Answers a question of a lookup from what is known here, or has it asked. Whether it was answered.
    fn learn_or_ask(&mut self, now: Instant, id: LookupId, question: Question) -> bool {
        let Some(outcome) = self.find(now, &question) else {
            self.ask(now, id, question);
            return false;
        };
        if let Some(lookup) = self.lookups.get_mut(&id) {
            lookup.known.push((question, outcome));
        }
        true
    }

    fn find(&mut self, now: Instant, question: &Question) -> Option<Outcome> {
        if let Some(answer) = self.config.zone.answer(question) {
            return Some(answer.map(Arc::new));
        }
        if name::is_within(question.name(), "invalid") {
            return Some(Err(LookupError::NoSuchName { ttl: None }));
        }
        let (outcome, is_due) = self.cache.find(now, question)?;
        self.stats.cache_hits += 1;
        if is_due {
            self.question(now, question.clone());
        }
        Some(outcome)
    }

    /// Keeps an answer; when there is none because the DNS failed, an old one will do.
    fn keep(&mut self, now: Instant, question: &Question, outcome: Outcome) -> Outcome {
        let failed = matches!(&outcome, Err(error) if !error.is_negative());
        if failed && let Some(old) = self.cache.revive(now, question) {
            self.stats.stale += 1;
            return old;
        }
        self.cache.insert(now, question, &outcome, &self.config);
        outcome
    }

    fn ask(&mut self, now: Instant, caller: LookupId, question: Question) {
        let id = self.question(now, question);
        if let Some(lookup) = self.lookups.get_mut(&caller)
            && !lookup.waits_for.contains(&id)
            && let Some(asked) = self.questions.get_mut(&id)
        {
            lookup.waits_for.push(id);
            asked.callers.insert(caller);
        }
    }

    /// The open question, asked now unless it is open already.
    fn question(&mut self, now: Instant, question: Question) -> QuestionId {
        if let Some(id) = self.ids.get(&question) {
            return *id;
        }
        let id = QuestionId(self.next_serial());
        self.stats.questions += 1;
        self.ids.insert(question.clone(), id);
        let at = now + self.config.deadline;
        let asked = Asked {
            question: question.clone(),
            callers: BTreeSet::new(),
            review: self.timers.insert(at, Timer::Review(id)),
        };
        self.questions.insert(id, asked);
        self.events.push_back(Event::Question { id, question });
        id
    }

    /// Drops a question that nobody waits for and nobody answered; looks again later if someone waits.
    fn review(&mut self, now: Instant, id: QuestionId) {
        match self.questions.get_mut(&id) {
            Some(asked) if !asked.callers.is_empty() => {
                let at = now + self.config.deadline;
                asked.review = self.timers.insert(at, Timer::Review(id));
            }
            _ => {
                self.forget(id);
            }
        }
    }

    /// Takes a question off the tables.
    fn forget(&mut self, id: QuestionId) -> Option<(Question, BTreeSet<LookupId>)> {
        let asked = self.questions.remove(&id)?;
        self.ids.remove(&asked.question);
        self.timers.cancel(asked.review);
        Some((asked.question, asked.callers))
    }

    /// RFC 8305 §3: the slower family gets a short while once the other one is there.
    fn set_delay(&mut self, now: Instant, id: LookupId, usable: bool) {
        if let Some(lookup) = self.lookups.get_mut(&id)
            && usable
            && lookup.delay.is_none()
        {
            let at = now + self.config.resolution_delay;
            lookup.delay = Some(self.timers.insert(at, Timer::Delay(id)));
        }
    }

    /// Takes a lookup off the tables. Whether it was there.
    fn finish(&mut self, id: LookupId) -> bool {
        let Some(lookup) = self.lookups.remove(&id) else {
            return false;
        };
        self.timers.cancel(lookup.deadline);
        if let Some(delay) = lookup.delay {
            self.timers.cancel(delay);
        }
        for question in lookup.waits_for {
            if let Some(asked) = self.questions.get_mut(&question) {
                asked.callers.remove(&id);
                // A late answer still serves the next lookup, but what is kept for that has a limit.
                if asked.callers.is_empty() && self.questions.len() > self.config.lookups {
                    self.forget(question);
                }
            }
        }
        true
    }

    fn fail(&mut self, id: LookupId, error: ResolveError) {
        self.stats.failures += 1;
        self.events.push_back(Event::Failed { id, error });
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
