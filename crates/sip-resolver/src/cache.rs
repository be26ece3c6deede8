//! Answers that still hold.

use crate::{Answer, LookupError, Question, ResolverConfig};
use ahash::RandomState;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

/// What became of a question.
pub(crate) type Outcome = Result<Arc<Answer>, LookupError>;

/// A bounded table of answers and of the lack of one.
pub(crate) struct Cache {
    entries: HashMap<Arc<Question>, Entry, RandomState>,
    /// The same entries, the one that ends first in front
    ends: BTreeSet<(Instant, Arc<Question>)>,
}

struct Entry {
    outcome: Outcome,
    /// When it holds no more
    fresh_until: Instant,
    /// From when on it is time to ask again
    due: Instant,
    /// When it is of no use at all
    end: Instant,
}

/// An answer that a resolver keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cached {
    /// What was asked
    pub question: Question,
    /// What came of it
    pub outcome: Result<Answer, LookupError>,
    /// How much longer it holds; zero when it is only kept in case that the DNS fails
    pub remaining: Duration,
}

impl Cache {
    pub(crate) fn new(hasher: RandomState) -> Self {
        Self {
            entries: HashMap::with_hasher(hasher),
            ends: BTreeSet::new(),
        }
    }

    pub(crate) fn insert(
        &mut self,
        now: Instant,
        question: &Question,
        outcome: &Outcome,
        config: &ResolverConfig,
    ) {
        let ttl = lifetime(outcome, config);
        if ttl.is_zero() || config.cache_entries == 0 {
            return;
        }
        let question = Arc::new(question.clone());
        self.take(&question);
        while self.entries.len() >= config.cache_entries {
            let Some((_, first)) = self.ends.pop_first() else {
                break;
            };
            self.entries.remove(&first);
        }
        let fresh_until = now + ttl;
        let stale = if outcome.is_ok() {
            config.stale
        } else {
            Duration::ZERO
        };
        let entry = Entry {
            outcome: outcome.clone(),
            fresh_until,
            due: if config.prefetch && outcome.is_ok() {
                fresh_until - ttl / 10
            } else {
                fresh_until
            },
            end: fresh_until + stale,
        };
        self.put(question, entry);
    }

    fn put(&mut self, question: Arc<Question>, entry: Entry) {
        self.ends.insert((entry.end, Arc::clone(&question)));
        self.entries.insert(question, entry);
    }

    fn take(&mut self, question: &Question) -> Option<(Arc<Question>, Entry)> {
        let (question, entry) = self.entries.remove_entry(question)?;
        self.ends.remove(&(entry.end, Arc::clone(&question)));
        Some((question, entry))
    }

    /// What is known, and whether it is time to ask again.
    pub(crate) fn find(&self, now: Instant, question: &Question) -> Option<(Outcome, bool)> {
        self.entries
            .get(question)
            .filter(|entry| entry.fresh_until > now)
            .map(|entry| (entry.outcome.clone(), entry.due <= now))
    }

    /// What was known once, kept for when the DNS fails; it holds for a while again (RFC 8767 §5).
    pub(crate) fn revive(&mut self, now: Instant, question: &Question) -> Option<Outcome> {
        let (question, mut entry) = self.take(question)?;
        let usable = entry.end > now && entry.outcome.is_ok();
        if !usable {
            return None;
        }
        entry.fresh_until = entry.fresh_until.max(now + RECHECK).min(entry.end);
        entry.due = entry.fresh_until;
        let outcome = entry.outcome.clone();
        self.put(question, entry);
        Some(outcome)
    }

    /// Drops every answer about a name.
    pub(crate) fn remove_name(&mut self, name: &str) {
        self.entries.retain(|question, _| question.name() != name);
        self.ends.retain(|(_, question)| question.name() != name);
    }

    pub(crate) fn iter(&self, now: Instant) -> impl Iterator<Item = Cached> {
        let current = self
            .entries
            .iter()
            .filter(move |(_, entry)| entry.end > now);
        current.map(move |(question, entry)| Cached {
            question: Question::clone(question),
            outcome: match &entry.outcome {
                Ok(answer) => Ok(Answer::clone(answer)),
                Err(error) => Err(*error),
            },
            remaining: entry.fresh_until.saturating_duration_since(now),
        })
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.ends.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

fn lifetime(outcome: &Outcome, config: &ResolverConfig) -> Duration {
    match outcome {
        Ok(answer) => answer.ttl().min(config.longest_ttl),
        Err(LookupError::NoSuchName { ttl } | LookupError::NoRecords { ttl }) => ttl
            .unwrap_or(config.negative_ttl)
            .min(config.longest_negative_ttl),
        // Nobody was asked.
        Err(LookupError::NoServer | LookupError::TooManyQuestions) => Duration::ZERO,
        Err(_) => config.failure_ttl,
    }
}

/// RFC 8767 §5: how long a stale answer is used before the DNS is asked again.
const RECHECK: Duration = Duration::from_secs(30);

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a test needs an instant to start from
mod tests {
    use super::*;
    use crate::RecordType;
    use std::net::IpAddr;

    fn question(n: usize) -> Question {
        Question::of(&format!("host{n}.example"), RecordType::A)
    }

    fn answer(ttl: u64) -> Outcome {
        Ok(Arc::new(Answer::addresses(
            [IpAddr::from([192, 0, 2, 1])],
            Duration::from_secs(ttl),
        )))
    }

    fn cache() -> Cache {
        Cache::new(RandomState::with_seeds(1, 2, 3, 4))
    }

    #[test]
    fn answers_end_when_their_time_is_over() {
        let (now, config) = (Instant::now(), ResolverConfig::new());
        let mut cache = cache();
        cache.insert(now, &question(1), &answer(10), &config);
        cache.insert(now, &question(2), &answer(0), &config);
        let nothing = Err(LookupError::NoSuchName {
            ttl: Some(Duration::from_secs(100_000)),
        });
        cache.insert(now, &question(3), &nothing, &config);
        cache.insert(now, &question(4), &Err(LookupError::ServerFailure), &config);
        let found = |n, seconds| {
            cache
                .find(now + Duration::from_secs(seconds), &question(n))
                .is_some()
        };
        assert!(found(1, 9) && !found(1, 10));
        assert!(!found(2, 0));
        assert!(found(3, 899) && !found(3, 900));
        assert!(found(4, 0) && !found(4, 1));
    }

    #[test]
    fn a_full_cache_drops_what_would_end_first() {
        let (now, config) = (Instant::now(), ResolverConfig::new().cache_entries(3));
        let mut cache = cache();
        for (n, ttl) in [(1, 50), (2, 10), (3, 90), (1, 60), (4, 20)] {
            cache.insert(now, &question(n), &answer(ttl), &config);
        }
        assert_eq!((cache.len(), cache.ends.len()), (3, 3));
        assert!(cache.find(now, &question(2)).is_none());
        assert!(cache.find(now, &question(1)).is_some());
        for n in 0..10_000 {
            cache.insert(now, &question(n), &answer(30), &config);
        }
        assert_eq!((cache.len(), cache.ends.len()), (3, 3));
        cache.clear();
        assert_eq!(cache.len(), 0);
    }
}
