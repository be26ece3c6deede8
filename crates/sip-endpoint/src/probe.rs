//! Asking servers that are down whether they live (RFC 3261 §11).

use crate::{Draft, Endpoint, Event, RequestId, endpoint::Due};
use ahash::RandomState;
use sip_message::{Method, Request, Uri};
use sip_resolver::ServerKey;
use sip_transport::Target;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Which servers are asked, and the requests that ask them.
#[derive(Debug)]
pub(crate) struct Probes {
    servers: HashMap<ServerKey, Probed, RandomState>,
    requests: HashMap<RequestId, ServerKey, RandomState>,
}

#[derive(Debug)]
struct Probed {
    target: Target,
    /// When there is no point in asking any more
    end: Instant,
}

impl Probes {
    pub(crate) fn new(hasher: RandomState) -> Self {
        Self {
            servers: HashMap::with_hasher(hasher.clone()),
            requests: HashMap::with_hasher(hasher),
        }
    }

    /// Whether an event is of a request of ours, of which no core is told.
    pub(crate) fn take(&mut self, event: &Event) -> bool {
        match event {
            Event::Response { id, .. } => self.requests.contains_key(id),
            Event::RequestFailed { id, .. } | Event::RequestEnded { id } => {
                self.requests.remove(id).is_some()
            }
            _ => false,
        }
    }

    /// Asks nobody any more.
    pub(crate) fn stop(&mut self) {
        self.servers.clear();
    }

    /// Whether this is a request of ours.
    pub(crate) fn is_ours(&self, id: RequestId) -> bool {
        self.requests.contains_key(&id)
    }
}

impl Endpoint {
    /// A request has failed at a server: from now on it is asked whether it lives, if that is configured.
    pub(crate) fn probe_later(&mut self, now: Instant, id: RequestId, target: &Target) {
        let health = &self.failover.health;
        let server = (target.protocol, target.address);
        let Some(interval) = health.probe_interval() else {
            return;
        };
        if self.probes.is_ours(id) || !health.is_down(now, server, &Method::OPTIONS) {
            return;
        }
        let end = now + health.longest();
        match self.probes.servers.get_mut(&server) {
            Some(probed) => probed.end = end,
            None => {
                let target = target.clone();
                self.probes.servers.insert(server, Probed { target, end });
                self.timers.insert(now + interval, Due::Probe(server));
            }
        }
    }

    /// What it answers, or that it does not, reaches the table as with any other request.
    pub(crate) fn probe(&mut self, now: Instant, server: ServerKey) {
        let health = &self.failover.health;
        let is_down = health.is_down(now, server, &Method::OPTIONS);
        let interval = health.probe_interval();
        let probed = self.probes.servers.get(&server);
        let (Some(probed), Some(interval)) = (probed.filter(|probed| probed.end > now), interval)
        else {
            self.probes.servers.remove(&server);
            return;
        };
        let target = probed.target.clone();
        // One whose time is over without a word is on trial with the next request.
        if !is_down {
            self.probes.servers.remove(&server);
            return;
        }
        self.timers.insert(now + interval, Due::Probe(server));
        if let Some(draft) = self.options(&target, interval) {
            let id = self.request(now, draft);
            self.probes.requests.insert(id, server);
        }
    }

    fn options(&mut self, target: &Target, interval: Duration) -> Option<Draft> {
        let host = match &target.name {
            Some(name) => name.clone(),
            None => target.address.ip().to_string(),
        };
        let scheme = if target.protocol.is_secure() {
            "sips"
        } else {
            "sip"
        };
        let uri = Uri::parse(format!("{scheme}:{host}"))
            .or_else(|_| Uri::parse(format!("sip:{}", target.address)))
            .ok()?;
        let (tag, call_id) = (self.new_tag(), self.new_call_id());
        let request = Request::builder(Method::OPTIONS, uri.clone())
            .from("sip:ping@anonymous.invalid", tag)
            .to(uri)
            .call_id(&call_id)
            .cseq(1)
            .max_forwards(70)
            .build()
            .ok()?;
        let deadline = interval.min(PATIENCE);
        Some(
            Draft::new(request)
                .to_targets([target.clone()])
                .deadline(deadline),
        )
    }
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(4);
