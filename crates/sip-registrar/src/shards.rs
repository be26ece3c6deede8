//! Bindings that another shard keeps.
//!
//! A REGISTER meets on the shard of its Call-ID, and a call on that of another one; the bindings of an address-of-record
//! are kept by one shard, which a keyed hash of its name tells. The registrars ask each other:
//!
//! ```text
//!   shard of the REGISTER          shard of the bindings            shard of a call
//!          |------- update ---------------->|                              |
//!          |<------ updated ----------------|<------------- lookup --------|
//!          |                                |-------------- found -------->|
//! ```

use crate::{Binding, Change, Event, LookupId, Registrar, UpdateError, UpdateId};
use sip_endpoint::Context;
use sip_io::{Note, Shard, TimerId};
use sip_message::{Aor, Uri};
use std::time::Duration;

/// Where the bindings of a user are known.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// Here: these are they, most preferred first
    Now(Vec<Binding>),
    /// On another shard, which has been asked: [`Event::Found`] tells
    Later(LookupId),
}

/// What registrars tell each other.
enum Word {
    Update {
        id: u64,
        aor: Aor,
        change: Change,
    },
    Updated {
        id: u64,
        result: Result<Vec<Binding>, UpdateError>,
    },
    Lookup {
        id: u64,
        aor: Aor,
    },
    Found {
        id: u64,
        bindings: Vec<Binding>,
    },
}

impl Registrar {
    /// The bindings of the user that `uri` names, also where another shard keeps them; `None` when the URI is not of a
    /// domain of ours or names no user.
    ///
    /// What is told is fit to be used at once: flows of other shards are [watched](sip_endpoint::Endpoint::watch_flow).
    pub fn find(&mut self, cx: &mut Context<'_>, uri: &Uri) -> Option<Found> {
        let aor = self.aor(cx, uri)?;
        let Some(owner) = self.keeper(cx, &aor) else {
            let bindings = self.location.as_ref().map(|own| own.lookup(cx.now, &aor));
            let bindings = bindings.unwrap_or_default();
            watch(cx, &bindings);
            return Some(Found::Now(bindings));
        };
        self.last_id += 1;
        let id = self.last_id;
        if self.lookups.len() >= self.config.pending {
            let id = LookupId(id);
            self.events.push_back(Event::Found { id, bindings: None });
            return Some(Found::Later(id));
        }
        let timer = self.timers.insert(cx.now + LONGEST_LOOKUP, id);
        self.lookups.insert(id, timer);
        cx.tell(owner, Note::new(Word::Lookup { id, aor }));
        Some(Found::Later(LookupId(id)))
    }

    /// Which other shard keeps the bindings of an address-of-record, if it is another.
    pub(crate) fn keeper(&self, cx: &Context<'_>, aor: &Aor) -> Option<Shard> {
        // A store that is nowhere here is asked by whoever has the REGISTER.
        self.location.as_ref()?;
        let sharding = cx.sharding()?;
        let owner = sharding.of_key(aor.as_str().as_bytes());
        (owner != sharding.me()).then_some(owner)
    }

    pub(crate) fn ask_for_update(
        &self,
        cx: &mut Context<'_>,
        keeper: Shard,
        id: u64,
        aor: Aor,
        change: Change,
    ) {
        cx.tell(keeper, Note::new(Word::Update { id, aor, change }));
    }

    /// Takes a note, if it is from another registrar.
    pub(crate) fn note_received(&mut self, cx: &mut Context<'_>, from: Shard, note: &Note) -> bool {
        let Some(word) = note.get::<Word>() else {
            return false;
        };
        match word {
            Word::Update { id, aor, change } => {
                let result = self.update_for(cx, aor, change);
                cx.tell(from, Note::new(Word::Updated { id: *id, result }));
            }
            Word::Updated { id, result } => {
                self.provide_update(cx, UpdateId(*id), result.clone());
            }
            Word::Lookup { id, aor } => {
                let location = self.location.as_ref();
                let bindings = location.map(|own| own.lookup(cx.now, aor));
                let bindings = bindings.unwrap_or_default();
                cx.tell(from, Note::new(Word::Found { id: *id, bindings }));
            }
            Word::Found { id, bindings } => {
                if let Some(timer) = self.lookups.remove(id) {
                    self.timers.cancel(timer);
                    watch(cx, bindings);
                    let (id, bindings) = (LookupId(*id), Some(bindings.clone()));
                    self.events.push_back(Event::Found { id, bindings });
                }
            }
        }
        true
    }

    fn update_for(
        &mut self,
        cx: &mut Context<'_>,
        aor: &Aor,
        change: &Change,
    ) -> Result<Vec<Binding>, UpdateError> {
        let Some(location) = &mut self.location else {
            return Err(UpdateError::Unavailable("no location service".to_owned()));
        };
        let bindings = location.update(cx.now, aor, change)?;
        watch(cx, &bindings);
        // It may have ended while the REGISTER was with the other shard.
        let over = bindings.iter().filter_map(|binding| binding.flow);
        let over: Vec<_> = over.filter(|flow| !cx.is_flow_open(flow)).collect();
        if over.is_empty() {
            return Ok(bindings);
        }
        for flow in over {
            location.flow_closed(&flow);
        }
        Ok(location.lookup(cx.now, aor))
    }

    /// No answer has come to a lookup.
    pub(crate) fn lookup_over(&mut self, id: u64) -> bool {
        let asked: Option<TimerId> = self.lookups.remove(&id);
        if asked.is_some() {
            let id = LookupId(id);
            self.events.push_back(Event::Found { id, bindings: None });
        }
        asked.is_some()
    }
}

fn watch(cx: &mut Context<'_>, bindings: &[Binding]) {
    for flow in bindings.iter().filter_map(|binding| binding.flow) {
        cx.watch_flow(&flow);
    }
}

/// How long another shard may take: it is asked within the program, so one that takes longer has too much to do.
const LONGEST_LOOKUP: Duration = Duration::from_secs(2);
