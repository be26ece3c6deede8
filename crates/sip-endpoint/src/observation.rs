//! Every SIP message that passes, for those who look.

use crate::Redaction;
use bytes::Bytes;
use sip_io::Flow;
use std::{collections::VecDeque, time::Instant};

/// One SIP message in clear text, as it went over a flow.
#[derive(Clone, Debug)]
pub struct Observation {
    /// When
    pub at: Instant,
    /// Which way
    pub direction: Direction,
    /// Between whom
    pub flow: Flow,
    /// The message, without what [`EndpointConfig::redact`](crate::EndpointConfig::redact) hides
    pub contents: Bytes,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the peer to us
    Received,
    /// From us to the peer
    Sent,
}

/// A bounded queue that loses the oldest.
#[derive(Debug)]
pub(crate) struct Observer {
    redaction: Redaction,
    kept: VecDeque<Observation>,
    limit: usize,
    lost: u64,
}

impl Observer {
    pub(crate) fn new(limit: usize, redaction: Redaction) -> Self {
        Self {
            redaction,
            kept: VecDeque::new(),
            limit,
            lost: 0,
        }
    }

    pub(crate) const fn is_on(&self) -> bool {
        self.limit > 0
    }

    pub(crate) fn note(&mut self, at: Instant, direction: Direction, flow: Flow, contents: Bytes) {
        if self.kept.len() == self.limit {
            self.kept.pop_front();
            self.lost += 1;
        }
        self.kept.push_back(Observation {
            at,
            direction,
            flow,
            contents: self.redaction.apply(contents),
        });
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Observation> {
        self.kept.pop_front()
    }

    pub(crate) const fn lost(&self) -> u64 {
        self.lost
    }
}
