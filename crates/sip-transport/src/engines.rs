//! Which TLS is whose: the transport's, and that of listeners with one of their own.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use crate::{
    listener::{Listener, ListenerId},
    tls::{Engine, Tls},
};
use sip_io::{Protocol, WallClock};

/// What secure connections are made from.
#[derive(Default)]
pub(crate) struct Engines {
    /// By which certificates hold
    clock: Option<WallClock>,
    common: Option<(Tls, Engine)>,
    own: BTreeMap<ListenerId, (Arc<Tls>, Engine)>,
    /// How many were made, which tells the connections of one from those of another
    made: u32,
}

impl Engines {
    pub(crate) fn new(clock: Option<WallClock>, common: Option<Tls>, now: Instant) -> Self {
        let mut engines = Self {
            clock,
            ..Self::default()
        };
        if let Some((tls, clock)) = common.zip(clock) {
            engines.set(now, tls, clock);
        }
        engines
    }

    /// Replaces the transport's, and with it what listeners have of it.
    pub(crate) fn set(&mut self, now: Instant, tls: Tls, clock: WallClock) {
        self.clock = Some(clock);
        let engine = self.make(now, &tls, clock);
        self.common = Some((tls, engine));
        for (listener, (own, _)) in std::mem::take(&mut self.own) {
            self.set_own(now, listener, own);
        }
    }

    /// Gives a listener its own, or another one.
    pub(crate) fn set_own(&mut self, now: Instant, listener: ListenerId, own: Arc<Tls>) {
        let Some(clock) = self.clock else {
            return;
        };
        let engine = match &self.common {
            Some((common, _)) => {
                let whole = own.or(common);
                self.make(now, &whole, clock)
            }
            None => self.make(now, &own, clock),
        };
        self.own.insert(listener, (own, engine));
    }

    fn make(&mut self, now: Instant, tls: &Tls, clock: WallClock) -> Engine {
        self.made += 1;
        Engine::new(tls, clock, now, self.made)
    }

    pub(crate) fn remove(&mut self, listener: ListenerId) {
        self.own.remove(&listener);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.common.is_none() && self.own.is_empty()
    }

    /// Whether a listener could serve: some identity is there for it.
    pub(crate) fn serve(&self, listener: &Listener) -> bool {
        let common = self.common.as_ref().map(|(_, engine)| engine);
        let own = listener.own_tls().filter(|_| self.clock.is_some());
        own.is_some_and(|own| own.has_identity()) || common.is_some_and(Engine::has_identity)
    }

    /// What connections are made from that `listener` has accepted, or for which it speaks.
    pub(crate) fn of(&self, listener: Option<ListenerId>) -> Option<&Engine> {
        let own = listener.and_then(|listener| self.own.get(&listener));
        let own = own.map(|(_, engine)| engine);
        own.or_else(|| self.common.as_ref().map(|(_, engine)| engine))
    }

    /// Which of our identities and whose trust a connection is made with for which `listener` speaks.
    pub(crate) fn trust(&self, protocol: Protocol, listener: Option<ListenerId>) -> u32 {
        let engine = self.of(listener).filter(|_| protocol.is_secure());
        engine.map_or(0, Engine::trust)
    }

    pub(crate) fn all(&mut self) -> impl Iterator<Item = &mut Engine> {
        let common = self.common.iter_mut().map(|(_, engine)| engine);
        common.chain(self.own.values_mut().map(|(_, engine)| engine))
    }
}
